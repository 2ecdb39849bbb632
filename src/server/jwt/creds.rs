//! Files of credentials: a token and a seed between lines of dashes.
//!
//! ```text
//! -----BEGIN NATS USER JWT-----
//! eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ…
//! ------END NATS USER JWT------
//!
//! -----BEGIN USER NKEY SEED-----
//! SU…
//! ------END USER NKEY SEED------
//! ```

use nkeys::KeyPair;

use super::error::JwtError;
use super::nkey::{self, KeyKind};

/// What a user shows, and what proves it.
#[derive(Clone)]
pub struct Creds {
    /// The user's token.
    pub token: String,
    /// The user's key.
    pub key: KeyPair,
}

impl std::fmt::Debug for Creds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Creds").field("key", &self.key.public_key()).finish_non_exhaustive()
    }
}

/// Reads a user's credentials.
///
/// # Errors
/// A file without a user's seed.
pub fn parse_creds(contents: &str) -> Result<Creds, JwtError> {
    let seed = seed_of_file(contents).ok_or(JwtError::Seed("no nkey seed found"))?;
    if nkey::seed_kind(seed) != Some(KeyKind::User) {
        return Err(JwtError::Seed("doesn't contain an user seed nkey"));
    }
    let key = KeyPair::from_seed(seed).map_err(|_| JwtError::Seed("doesn't contain a seed nkey"))?;
    Ok(Creds { token: token_of_file(contents).to_owned(), key })
}

/// The token of a file: the first line between two lines of dashes, otherwise all of it.
#[must_use]
pub fn token_of_file(contents: &str) -> &str {
    blocks(contents).next().unwrap_or(contents)
}

/// The seed of a file: in its second block, or on a line of its own.
fn seed_of_file(contents: &str) -> Option<&str> {
    let starts = |line: &str| ["SO", "SA", "SU"].iter().any(|start| line.starts_with(start));
    let line = blocks(contents).nth(1);
    line.or_else(|| contents.lines().map(str::trim).find(|line| starts(line)))
}

/// Lines of letters, digits and `-_.=` between two lines that begin and end with dashes.
fn blocks(contents: &str) -> impl Iterator<Item = &str> {
    let mut rest = contents;
    std::iter::from_fn(move || {
        loop {
            let (rule, after) = rest.split_once('\n')?;
            rest = after;
            if !is_rule(rule) {
                continue;
            }
            let Some((line, end)) = after.split_once('\n') else { continue };
            let (end, after) = end.split_once('\n').unwrap_or((end, ""));
            let line = line.strip_suffix('\r').unwrap_or(line);
            if end.starts_with(DASHES) && is_rule(end) && is_token(line) {
                rest = after;
                return Some(line);
            }
        }
    })
}

const DASHES: &str = "---";

/// Three or more dashes, anything, three or more dashes; something else may stand before, as the reference
/// has it.
fn is_rule(line: &str) -> bool {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(start) = line.find(DASHES) else { return false };
    line.ends_with(DASHES) && line.len() >= start + 2 * DASHES.len()
}

fn is_token(line: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'=');
    !line.is_empty() && line.bytes().all(fits)
}

/// For the fuzzer: any text is credentials or refused.
pub fn fuzz_creds(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (parse_creds(&text), token_of_file(&text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(token: &str, seed: &str, end: &str) -> String {
        [
            "-----BEGIN NATS USER JWT-----",
            token,
            "------END NATS USER JWT------",
            "",
            "************************* IMPORTANT *************************",
            "NKEY Seed printed below can be used to sign and prove identity.",
            "",
            "-----BEGIN USER NKEY SEED-----",
            seed,
            "------END USER NKEY SEED------",
            "",
            "*************************************************************",
        ]
        .join(end)
    }

    #[test]
    fn credentials_are_a_token_and_a_seed() {
        let user = KeyPair::new_user();
        for end in ["\n", "\r\n"] {
            let creds = parse_creds(&file("a.b-_.c=", &user.seed().unwrap(), end)).unwrap();
            assert_eq!((creds.token.as_str(), creds.key.public_key()), ("a.b-_.c=", user.public_key()));
        }
        let seed = user.seed().unwrap();
        let short = format!("---x---\na.b.c\n---y---\n---z---\n{seed}\n---w---");
        assert_eq!(parse_creds(&short).unwrap().key.public_key(), user.public_key());
        assert!(!format!("{:?}", parse_creds(&short)).contains(&seed));
    }

    #[test]
    fn a_file_without_decoration_is_the_token() {
        for (contents, want) in [
            ("a.b.c", "a.b.c"),
            ("--x--\na.b.c\n--y--\n", "--x--\na.b.c\n--y--\n"),
            ("---x---\na b\n---y---\n", "---x---\na b\n---y---\n"),
            ("\n  \n---x---\na.b.c\n---y---\nrest", "a.b.c"),
        ] {
            assert_eq!(token_of_file(contents), want, "{contents:?}");
        }
    }

    #[test]
    fn files_without_a_users_seed_are_refused() {
        let account = KeyPair::new_account().seed().unwrap();
        for (seed, want) in [
            (account.as_str(), "doesn't contain an user seed nkey"),
            ("SUAAA", "doesn't contain an user seed nkey"),
        ] {
            assert_eq!(parse_creds(&file("a.b.c", seed, "\n")).unwrap_err().to_string(), want);
        }
        assert_eq!(parse_creds("a.b.c").unwrap_err().to_string(), "no nkey seed found");
    }

    proptest! {
        #[test]
        fn any_text_is_credentials_or_refused(text in "(-{2,4}[a-z]?-{2,4}|[A-Z.]{0,3}|\r?\n){0,12}") {
            fuzz_creds(text.as_bytes());
        }
    }
}
