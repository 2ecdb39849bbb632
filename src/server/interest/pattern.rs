//! Subjects of subscriptions: valid or not, literal or not, and where their wildcards stand.
//!
//! What covers what is [`crate::server::protocol::subject`]'s business. A message published on `foo.*`
//! reaches `foo.*` and `foo.>`: wildcards of a published subject are plain words.

use crate::server::protocol::subject::{is_valid_for_sub, is_valid_literal, token_count, tokens};

/// Tokens that a wildcard pattern may have before its `>` and still be found by mask; longer ones live
/// in the trie.
pub(super) const MASK_TOKENS_MAX: usize = 16;

/// Why interest could not be registered. The texts are the reference's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InterestError {
    /// An empty token, something behind `>`, or a wildcard where a literal is asked for.
    #[error("sublist: invalid subject")]
    InvalidSubject,
    /// The same queue already watches the same subject.
    #[error("sublist: notification already registered")]
    AlreadyRegistered,
}

/// Where the wildcards of a pattern stand; patterns of one mask share a hash table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mask {
    /// Tokens before `>`, or all of them where there is none.
    pub(super) tokens: usize,
    /// Bit i is set where token i is `*`.
    pub(super) stars: u32,
    /// The pattern ends in `>`.
    pub(super) full: bool,
}

impl Mask {
    /// Whether a subject of `count` tokens can match a pattern of this mask.
    pub(super) fn admits(self, count: usize) -> bool {
        if self.full { count > self.tokens } else { count == self.tokens }
    }
}

/// What a subscription's subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// No wildcard in it.
    Literal,
    /// Wildcards, and few enough tokens for a mask.
    Masked(Mask),
    /// Wildcards, and more than [`MASK_TOKENS_MAX`] tokens.
    Deep,
}

impl Pattern {
    /// Reads a subscription's subject.
    pub(super) fn parse(subject: &[u8]) -> Result<Self, InterestError> {
        let mut mask = Mask { tokens: 0, stars: 0, full: false };
        let mut wildcard = false;
        for token in tokens(subject) {
            if token.is_empty() || mask.full {
                return Err(InterestError::InvalidSubject);
            }
            match token {
                b">" => (mask.full, wildcard) = (true, true),
                b"*" => {
                    wildcard = true;
                    if mask.tokens < MASK_TOKENS_MAX {
                        mask.stars |= 1 << mask.tokens;
                    }
                    mask.tokens += 1;
                }
                _ => mask.tokens += 1,
            }
        }
        Ok(match wildcard {
            false => Self::Literal,
            true if mask.tokens <= MASK_TOKENS_MAX => Self::Masked(mask),
            true => Self::Deep,
        })
    }
}

/// Whether a token is `*` or `>`.
pub(super) fn is_wildcard(token: &[u8]) -> bool {
    matches!(token, b"*" | b">")
}

/// Reads any bytes as a pattern; panics only on a bug of ours.
pub fn fuzz_pattern(data: &[u8]) {
    let read = Pattern::parse(data);
    assert_eq!(read.is_ok(), is_valid_for_sub(data), "one rule of what is valid");
    let literal = read == Ok(Pattern::Literal);
    assert_eq!(literal, is_valid_literal(data), "one rule of what is literal");
    if let Ok(Pattern::Masked(mask)) = read {
        assert!(mask.full || mask.stars != 0, "a wildcard has its place in the mask");
        assert!(mask.admits(token_count(data)), "a pattern matches itself, literally");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_valid(subject: &str, want: bool) {
        assert_eq!(Pattern::parse(subject.as_bytes()).is_ok(), want, "{subject}");
    }

    #[test]
    fn empty_tokens_and_tokens_behind_a_full_wildcard_are_refused() {
        for subject in ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b", ">.>", ">.*"] {
            check_valid(subject, false);
        }
        for subject in ["a", "*", ">", "a.*", "*.*.>", "a*", "a>", "a.>b", "**", ">>", "a b", "\u{e4}.\u{df}"]
        {
            check_valid(subject, true);
        }
    }

    #[test]
    fn wildcards_count_only_as_whole_tokens() {
        for subject in ["a*", "a>", "*a", ">a.b", "a.**", "a.>>"] {
            assert_eq!(Pattern::parse(subject.as_bytes()), Ok(Pattern::Literal), "{subject}");
        }
    }

    #[track_caller]
    fn check_mask(pattern: &str, tokens: usize, stars: u32, full: bool) {
        let want = Pattern::Masked(Mask { tokens, stars, full });
        assert_eq!(Pattern::parse(pattern.as_bytes()), Ok(want), "{pattern}");
    }

    #[test]
    fn mask_says_where_the_wildcards_stand() {
        check_mask("*", 1, 0b1, false);
        check_mask(">", 0, 0, true);
        check_mask("a.*.b.*", 4, 0b1010, false);
        check_mask("*.a.>", 2, 0b1, true);
        let sixteen = vec!["*"; 16].join(".");
        check_mask(&sixteen, 16, 0xffff, false);
        for deep in [format!("{sixteen}.a"), format!("a.{sixteen}.>")] {
            assert_eq!(Pattern::parse(deep.as_bytes()), Ok(Pattern::Deep), "{deep}");
        }
    }

    #[test]
    fn mask_admits_subjects_of_its_length() {
        let mask = |full| Mask { tokens: 2, stars: 1, full };
        let admitted = |full: bool| (0..5).filter(|&count| mask(full).admits(count)).collect::<Vec<_>>();
        assert_eq!(admitted(false), [2]);
        assert_eq!(admitted(true), [3, 4]);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let mut rng = crate::server::base::rng::Rng::seeded(11);
        for length in 0..400 {
            let data: Vec<u8> = (0..length % 24).map(|_| b".*>ab\xff"[rng.below(6)]).collect();
            fuzz_pattern(&data);
        }
    }
}
