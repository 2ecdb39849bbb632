//! The public key that an account's claims are filed under.

use std::fmt;

use crate::server::jwt::nkey::{self, KeyKind};

/// Characters of a public key.
const KEY_CHARS: usize = 56;

/// An account's public key, in its spelling: valid, and small enough to keep many of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey([u8; KEY_CHARS]);

impl AccountKey {
    /// The key that `text` spells; `None` when it is none of an account.
    pub fn parse(text: &str) -> Option<Self> {
        let key = text.as_bytes().try_into().ok()?;
        nkey::is_public(text, KeyKind::Account).then_some(Self(key))
    }

    /// A key that nobody has, made without looking.
    #[cfg(test)]
    pub(super) const fn for_tests(text: [u8; KEY_CHARS]) -> Self {
        Self(text)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        // Always text: only `parse` makes one.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    #[test]
    fn only_public_keys_of_accounts_are_keys() {
        let key = KeyPair::new_account().public_key();
        assert_eq!(AccountKey::parse(&key).unwrap().to_string(), key);
        let (seed, user) = (KeyPair::new_account().seed().unwrap(), KeyPair::new_user().public_key());
        for wrong in ["", "A", "../x", &seed, &user, &key.to_lowercase(), &key[..55]] {
            assert_eq!(AccountKey::parse(wrong), None, "{wrong}");
        }
    }
}
