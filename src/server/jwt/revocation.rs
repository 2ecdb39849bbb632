//! Revocations: claims of a key that were issued until a moment are void.

use std::collections::BTreeMap;

use crate::server::protocol::json::Value;

use super::document::{Field, Mistakes, Place};

/// The key that stands for all keys.
pub const EVERYBODY: &str = "*";

/// Public keys, each with the moment (Unix seconds) up to which its claims are void.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(BTreeMap<String, i64>);

impl Revocations {
    /// Whether claims of `key` that were issued at this moment are void.
    #[must_use]
    pub fn is_revoked(&self, key: &str, issued_at: i64) -> bool {
        [EVERYBODY, key].iter().any(|key| self.0.get(*key).is_some_and(|until| *until >= issued_at))
    }

    /// Makes void what `key` was issued until then; a later moment that stands already is kept.
    pub fn revoke(&mut self, key: &str, until: i64) {
        let standing = self.0.entry(key.to_owned()).or_insert(until);
        *standing = until.max(*standing);
    }

    /// Every key with its moment.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(key, until)| (key.as_str(), *until))
    }

    /// Nothing is void.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl Field for Revocations {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        self.0.read(value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_until_then_is_void() {
        let mut revocations = Revocations::default();
        revocations.revoke("U1", 100);
        revocations.revoke("U1", 50);
        for (key, issued_at, want) in [("U1", 100, true), ("U1", 101, false), ("U2", 100, false)] {
            assert_eq!(revocations.is_revoked(key, issued_at), want, "{key} {issued_at}");
        }
        revocations.revoke(EVERYBODY, 200);
        for (key, issued_at, want) in [("U1", 200, true), ("U2", 200, true), ("U2", 201, false)] {
            assert_eq!(revocations.is_revoked(key, issued_at), want, "{key} {issued_at}");
        }
    }
}
