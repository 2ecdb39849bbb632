//! Subjects of subscriptions: what is valid, what shape a wildcard has, what covers what.
//!
//! Tokens are separated by `.`; `*` stands for one token, `>` for one or more at the end, and both only
//! as a whole token: `foo*` is a literal. Reference: a subscription's subject may not hold an empty
//! token nor anything behind `>`; nothing else is checked.

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

/// The tokens of a subject, empty ones included.
pub(super) fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|&byte| byte == b'.')
}

/// Whether a token is `*` or `>`.
pub(super) fn is_wildcard(token: &[u8]) -> bool {
    matches!(token, b"*" | b">")
}

/// Whether a message published on `subject` (no empty token) is wanted by `pattern`.
pub fn covers(pattern: &[u8], subject: &[u8]) -> bool {
    let mut given = tokens(subject);
    for wanted in tokens(pattern) {
        match (wanted, given.next()) {
            (_, None) => return false,
            (b">", Some(_)) => return true,
            (b"*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    given.next().is_none()
}

/// Whether some subject is wanted by both patterns.
pub fn collides(one: &[u8], other: &[u8]) -> bool {
    let mut given = tokens(other);
    for wanted in tokens(one) {
        match (wanted, given.next()) {
            (_, None) => return false,
            (b">", Some(_)) | (_, Some(b">")) => return true,
            (b"*", Some(_)) | (_, Some(b"*")) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    given.next().is_none()
}

/// Reads any bytes as a pattern and compares it with itself; panics only on a bug of ours.
pub fn fuzz_pattern(data: &[u8]) {
    let (one, other) = data.split_at(data.len() / 2);
    if Pattern::parse(one).is_ok() {
        assert!(covers(one, one) && collides(one, one), "a valid pattern covers itself");
    }
    if Pattern::parse(one) == Ok(Pattern::Literal) && Pattern::parse(other).is_ok() {
        assert_eq!(covers(other, one), collides(one, other), "a literal collides with what covers it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_covers(pattern: &str, subject: &str, want: bool) {
        assert_eq!(covers(pattern.as_bytes(), subject.as_bytes()), want, "{pattern} {subject}");
    }

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
        check_covers("foo*", "foobar", false);
        check_covers("foo*", "foo*", true);
    }

    #[test]
    fn partial_wildcard_takes_exactly_one_token() {
        check_covers("a.*", "a.b", true);
        check_covers("a.*", "a", false);
        check_covers("a.*", "a.b.c", false);
        check_covers("*.b", "a.b", true);
        check_covers("*", "a.b", false);
        check_covers("a.*", "a.*", true);
    }

    #[test]
    fn full_wildcard_needs_at_least_one_more_token() {
        check_covers("a.>", "a.b", true);
        check_covers("a.>", "a.b.c", true);
        check_covers("a.>", "a", false);
        check_covers(">", "a", true);
        check_covers("*.>", "a", false);
    }

    #[test]
    fn patterns_collide_where_a_subject_suits_both() {
        for (one, other, want) in [
            ("a.*", "*.b", true),
            ("a.>", "*.b", true),
            ("a.>", "a", false),
            ("*", "a.*", false),
            (">", "a.b.c", true),
            ("a.*.c", "a.b.>", true),
            ("a.*.c", "a.b.d", false),
            ("a.b", "a.b", true),
            ("a.*", "a.>", true),
            ("a.*.x", "b.>", false),
        ] {
            assert_eq!(collides(one.as_bytes(), other.as_bytes()), want, "{one} {other}");
            assert_eq!(collides(other.as_bytes(), one.as_bytes()), want, "{other} {one}");
        }
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
