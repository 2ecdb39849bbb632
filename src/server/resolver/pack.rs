//! How servers hand each other claims: lines of `<account>|<token>`, one or more a message.
//!
//! A server asks with the sum of what it has. Equal sums are answered with an empty message at once;
//! others with all claims, and an empty message behind them.

use super::index::{SUM_BYTES, Sum};
use super::key::AccountKey;
use crate::server::base::quote::quote;

/// A line that is none. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// It has not two parts.
    #[error("line in package didn't contain 2 entries: {}", quote(.0))]
    Parts(String),
    /// The first is no account.
    #[error("key to merge is not a valid public account key")]
    Key,
}

/// The line of one account's claims.
pub fn line(key: &AccountKey, token: &str) -> String {
    format!("{key}|{token}")
}

/// The lines of a message. What follows a wrong one is not looked at.
pub fn lines(pack: &str) -> impl Iterator<Item = Result<(AccountKey, &str), PackError>> {
    pack.split('\n').filter(|line| !line.is_empty()).map(|line| {
        let (key, token) = line
            .split_once('|')
            .filter(|(_, token)| !token.contains('|'))
            .ok_or_else(|| PackError::Parts(shortened(line)))?;
        AccountKey::parse(key).map(|key| (key, token)).ok_or(PackError::Key)
    })
}

/// The sum that a request for packs carries; `None` where it carries none.
pub fn asked_sum(payload: &[u8]) -> Option<Sum> {
    <[u8; SUM_BYTES]>::try_from(payload).ok().map(Sum)
}

/// Characters of a wrong line that the log shows: it may hold claims, and be long.
const SHOWN_CHARS_MAX: usize = 100;

fn shortened(line: &str) -> String {
    line.chars().take(SHOWN_CHARS_MAX).collect()
}

/// For the fuzzer: any bytes are lines or refused.
pub fn fuzz_pack(data: &[u8]) {
    let _ = asked_sum(data);
    for (key, token) in lines(&String::from_utf8_lossy(data)).flatten() {
        debug_assert_eq!(lines(&line(&key, token)).next(), Some(Ok((key, token))));
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let key = AccountKey::parse(&KeyPair::new_account().public_key()).unwrap();
        let pack = format!("{}\n\n{}", line(&key, "a"), line(&key, "b\r"));
        let read: Vec<_> = lines(&pack).map(Result::unwrap).collect();
        assert_eq!(read, [(key, "a"), (key, "b\r")]);
        assert_eq!(lines("").count(), 0);
    }

    #[test]
    fn wrong_lines_are_refused_in_the_references_words() {
        let key = KeyPair::new_account().public_key();
        for (text, want) in [
            ("x".to_owned(), "line in package didn't contain 2 entries: \"x\""),
            ("a|b|c".to_owned(), "line in package didn't contain 2 entries: \"a|b|c\""),
            (format!("{}|t", key.to_lowercase()), "key to merge is not a valid public account key"),
            ("|".to_owned(), "key to merge is not a valid public account key"),
        ] {
            assert_eq!(lines(&text).next().unwrap().unwrap_err().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_refused(data: Vec<u8>, text in "[A|\n]{0,9}") {
            fuzz_pack(&data);
            fuzz_pack(text.as_bytes());
        }
    }
}
