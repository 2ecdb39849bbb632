//! Passwords and tokens as a configuration keeps them: plain or hashed with bcrypt.

use std::fmt;

use subtle::ConstantTimeEq;

/// What a password or token is compared with. It shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The word itself.
    Plain(Box<str>),
    /// Its bcrypt hash: comparing takes tens of milliseconds.
    Hash(Box<str>),
}

impl Secret {
    /// A secret as it is configured.
    pub fn new(configured: &str) -> Self {
        if is_hash(configured) { Self::Hash(configured.into()) } else { Self::Plain(configured.into()) }
    }

    /// The text that was configured.
    pub(super) fn configured(&self) -> &str {
        let (Self::Plain(text) | Self::Hash(text)) = self;
        text
    }

    /// Whether there is nothing to be known.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Plain(word) if word.is_empty())
    }

    /// Whether `given` is the secret. Takes the same time for every word of a length; for a hash, long.
    pub fn matches(&self, given: &str) -> bool {
        match self {
            Self::Plain(word) => word.as_bytes().ct_eq(given.as_bytes()).into(),
            // An error says that the hash is none; nobody knows a word for it.
            Self::Hash(hash) => bcrypt::verify(given, hash).unwrap_or(false),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain([REDACTED])",
            Self::Hash(_) => "Hash([REDACTED])",
        })
    }
}

/// A word that somebody gave. It shows itself nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Given(pub Box<str>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given([REDACTED])")
    }
}

/// Whether a configured password is a bcrypt hash: `$2a$11$…`, also with `b`, `x` and `y`.
pub fn is_hash(configured: &str) -> bool {
    matches!(
        configured.as_bytes(),
        [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', b'0'..=b'9', b'0'..=b'9', b'$', ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the word `secret`, as the reference's `passwd` tool makes them.
    fn hash() -> String {
        bcrypt::hash("secret", 4).unwrap()
    }

    #[test]
    fn plain_and_hashed_words_are_told_apart() {
        for (configured, hashed) in [
            ("secret", false),
            ("$2a$11$x", true),
            ("$2b$04$", true),
            ("$2x$04$", true),
            ("$2y$04$", true),
            ("$2c$04$", false),
            ("$2a$1$xx", false),
            ("x$2a$11$", false),
            ("", false),
        ] {
            assert_eq!(is_hash(configured), hashed, "{configured}");
        }
    }

    #[test]
    fn only_the_secret_matches() {
        for secret in [Secret::new("secret"), Secret::new(&hash())] {
            assert!(secret.matches("secret"));
            for other in ["", "Secret", "secret ", "secre", "$2a$04$"] {
                assert!(!secret.matches(other), "{other}");
            }
        }
        assert!(Secret::new("").is_empty() && !Secret::new("x").is_empty());
    }

    #[test]
    fn hashes_made_by_others_are_understood() {
        // Made with Go's bcrypt (`$2a$`), of the word `secret`; `$2y$` and `$2b$` name the same algorithm.
        let made = hash();
        for version in ["$2a$", "$2b$", "$2y$"] {
            let hash = format!("{version}{}", made.get(4..).unwrap());
            assert!(Secret::new(&hash).matches("secret"), "{hash}");
        }
        assert!(!Secret::new("$2a$04$tooshort").matches("secret"));
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let given = Given("hush".into());
        let shown = format!("{:?} {:?} {given:?}", Secret::new("hush"), Secret::new("$2a$04$hush"));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
