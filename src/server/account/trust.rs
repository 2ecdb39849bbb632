//! Whose claims make accounts: the keys of operators (operator mode).

use std::collections::HashSet;

use crate::server::base::clock::Timestamp;
use crate::server::config::options::Options;
use crate::server::jwt::{AccountClaims, JwtError};

/// Why claims do not make an account. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// They are no account's claims.
    #[error(transparent)]
    Token(#[from] JwtError),
    /// Nobody who is trusted signed them, they break a rule, or they are another account's.
    #[error("account validation failed")]
    Invalid,
}

/// The keys that are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    keys: HashSet<Box<str>>,
    /// Those of operators that have identities sign nothing.
    strict: HashSet<Box<str>>,
    /// The only accounts that clients may belong to; none for all.
    pinned: HashSet<Box<str>>,
}

impl Trust {
    /// Whom these options trust; `None` where no claims are asked for.
    #[must_use]
    pub fn of(options: &Options) -> Option<Self> {
        let mut trust = Self::default();
        trust.keys.extend(options.trusted_keys.iter().map(|key| Box::from(key.as_str())));
        for operator in &options.operators {
            let signing = operator.signing_keys.iter().map(|key| Box::from(key.as_str()));
            if operator.strict_signing_key_usage {
                trust.strict.extend(signing.clone());
            } else {
                trust.keys.insert(operator.key.as_str().into());
            }
            trust.keys.extend(signing);
        }
        let pinned = options.resolver_pinned_accounts.iter().map(|key| Box::from(key.as_str()));
        trust.pinned.extend(pinned);
        if !trust.pinned.is_empty() {
            // Whoever belongs to the operator can always connect.
            trust.pinned.extend(options.system_account.as_deref().map(Box::from));
        }
        (!trust.keys.is_empty()).then_some(trust)
    }

    /// Whether what this key signed counts.
    #[must_use]
    pub fn is_trusted(&self, issuer: &str) -> bool {
        self.keys.contains(issuer)
    }

    /// Whether identities of accounts sign no users where this key signed the account.
    #[must_use]
    pub fn is_strict(&self, issuer: &str) -> bool {
        self.strict.contains(issuer)
    }

    /// Whether clients may belong to this account.
    #[must_use]
    pub fn admits(&self, account: &str) -> bool {
        self.pinned.is_empty() || self.pinned.contains(account)
    }

    /// Reads the claims of the account `name`: signed by whom is trusted, and good at this moment.
    ///
    /// # Errors
    /// Claims that make no such account.
    pub fn verify(&self, name: &str, token: &str, now: Timestamp) -> Result<AccountClaims, ClaimsError> {
        let claims = AccountClaims::decode(token)?;
        let is_good = self.is_trusted(&claims.envelope.issuer) && !claims.validate(now).is_blocking(true);
        if is_good && claims.envelope.subject == name { Ok(claims) } else { Err(ClaimsError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;
    use crate::server::config::options::Operator;
    use crate::server::jwt::fixtures::{NOW, NOW_S, token};

    fn operator(key: &KeyPair, signing: &[&KeyPair], strict: bool) -> Operator {
        Operator {
            key: key.public_key(),
            signing_keys: signing.iter().map(|key| key.public_key()).collect(),
            strict_signing_key_usage: strict,
            ..Operator::default()
        }
    }

    #[test]
    fn operators_and_their_signing_keys_are_trusted() {
        let [lax, strict, signing, other] = [(); 4].map(|()| KeyPair::new_operator());
        let operators = vec![operator(&lax, &[], false), operator(&strict, &[&signing], true)];
        let trust = Trust::of(&Options { operators, ..Options::default() }).unwrap();
        for (key, trusted, is_strict) in
            [(&lax, true, false), (&strict, false, false), (&signing, true, true), (&other, false, false)]
        {
            let key = key.public_key();
            assert_eq!((trust.is_trusted(&key), trust.is_strict(&key)), (trusted, is_strict));
        }
        assert_eq!(Trust::of(&Options::default()), None);
    }

    #[test]
    fn claims_count_that_are_signed_good_and_the_accounts() {
        let [own, other] = [(); 2].map(|()| KeyPair::new_operator());
        let account = KeyPair::new_account();
        let name = account.public_key();
        let trusted_keys = vec![own.public_key()];
        let trust = Trust::of(&Options { trusted_keys, ..Options::default() }).unwrap();
        let signed = |key: &KeyPair, expires: i64| {
            token::<crate::server::jwt::Account>(key, &account, |claim| claim.envelope.expires = expires)
        };
        assert!(trust.verify(&name, &signed(&own, 0), NOW).is_ok());
        for (name, token, want) in [
            (&*name, signed(&other, 0), "account validation failed"),
            (&*name, signed(&own, NOW_S - 1), "account validation failed"),
            ("A", signed(&own, 0), "account validation failed"),
            (&*name, "x".to_owned(), "expected 3 chunks"),
        ] {
            assert_eq!(trust.verify(name, &token, NOW).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn pinned_accounts_and_the_system_account_are_admitted() {
        let options = Options {
            trusted_keys: vec!["O".into()],
            resolver_pinned_accounts: vec!["A".into()],
            system_account: Some("S".into()),
            ..Options::default()
        };
        let trust = Trust::of(&options).unwrap();
        for (name, want) in [("A", true), ("S", true), ("B", false)] {
            assert_eq!(trust.admits(name), want, "{name}");
        }
    }
}
