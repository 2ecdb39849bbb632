//! Subjects and patterns as bytes: validity, tokens, wildcards, matching, overlap.
//!
//! Tokens are separated by `.`; `*` is any one token and `>` any one or more at the end, each only
//! when it is the whole token: `foo*` is a plain word. Bytes are opaque and case counts.

/// Separates tokens.
pub const SEPARATOR: u8 = b'.';
/// The token that stands for any one token.
pub const ANY: &[u8] = b"*";
/// The last token that stands for any one or more tokens.
pub const REST: &[u8] = b">";

/// What is wrong with a subject or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// No bytes, or nothing between two dots, before the first or after the last.
    #[error("empty token")]
    EmptyToken,
    /// `>` somewhere else than at the end.
    #[error("full wildcard before the last token")]
    RestNotLast,
    /// A wildcard where only a literal subject will do.
    #[error("wildcard in a literal subject")]
    Wildcard,
}

/// A literal subject: no empty token, no wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject<'a>(&'a [u8]);

impl<'a> Subject<'a> {
    /// Checks `raw`.
    ///
    /// # Errors
    /// An empty token or a wildcard.
    pub fn parse(raw: &'a [u8]) -> Result<Self, SubjectError> {
        for token in tokens(raw) {
            if token.is_empty() {
                return Err(SubjectError::EmptyToken);
            }
            if token == ANY || token == REST {
                return Err(SubjectError::Wildcard);
            }
        }
        Ok(Self(raw))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its tokens.
    pub fn tokens(self) -> Tokens<'a> {
        tokens(self.0)
    }

    /// Whether the pattern covers it.
    #[must_use]
    pub fn matches(self, pattern: SubjectPattern<'_>) -> bool {
        matches(self.0, pattern.0)
    }
}

/// What a subscription asks for: no empty token, `>` only at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectPattern<'a>(&'a [u8]);

impl<'a> SubjectPattern<'a> {
    /// Checks `raw` as SUB does.
    ///
    /// # Errors
    /// An empty token, or `>` before the end.
    pub fn parse(raw: &'a [u8]) -> Result<Self, SubjectError> {
        let mut ended = false;
        for token in tokens(raw) {
            if ended {
                return Err(SubjectError::RestNotLast);
            }
            if token.is_empty() {
                return Err(SubjectError::EmptyToken);
            }
            ended = token == REST;
        }
        Ok(Self(raw))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Its tokens.
    pub fn tokens(self) -> Tokens<'a> {
        tokens(self.0)
    }

    /// Whether it is one subject and no more.
    #[must_use]
    pub fn is_literal(self) -> bool {
        is_literal(self.0)
    }

    /// Whether it covers everything that `other` covers.
    #[must_use]
    pub fn covers(self, other: SubjectPattern<'_>) -> bool {
        is_subset(other.0, self.0)
    }

    /// Whether some subject is covered by both.
    #[must_use]
    pub fn overlaps(self, other: SubjectPattern<'_>) -> bool {
        collide(self.0, other.0)
    }
}

impl<'a> From<Subject<'a>> for SubjectPattern<'a> {
    fn from(subject: Subject<'a>) -> Self {
        Self(subject.0)
    }
}

/// The tokens of a subject; one empty token for no bytes.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let Some(end) = rest.iter().position(|&byte| byte == SEPARATOR) else {
            self.rest = None;
            return Some(rest);
        };
        self.rest = rest.get(end + 1..);
        rest.get(..end)
    }
}

/// Splits at the dots.
#[must_use]
pub const fn tokens(subject: &[u8]) -> Tokens<'_> {
    Tokens { rest: Some(subject) }
}

/// How many tokens; 0 for no bytes.
#[must_use]
pub fn token_count(subject: &[u8]) -> usize {
    if subject.is_empty() {
        return 0;
    }
    memchr::memchr_iter(SEPARATOR, subject).count() + 1
}

/// Whether SUB takes it: no empty token, `>` only at the end, nothing else is checked.
#[must_use]
pub fn is_valid_for_sub(subject: &[u8]) -> bool {
    SubjectPattern::parse(subject).is_ok()
}

/// The strict rule of configuration and `JetStream`: as SUB's, and no space, tab, CR, LF or FF.
#[must_use]
pub fn is_valid(subject: &[u8]) -> bool {
    is_valid_for_sub(subject)
        && !subject.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c'))
}

/// The strict rule, and no NUL, no invalid UTF-8, no U+FFFD.
#[must_use]
pub fn is_valid_text(subject: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(subject) else { return false };
    is_valid(subject) && !text.contains(['\0', '\u{fffd}'])
}

/// No empty token and no wildcard: the rule for pedantic publishers.
#[must_use]
pub fn is_valid_literal(subject: &[u8]) -> bool {
    Subject::parse(subject).is_ok()
}

/// The strict rule, and no wildcard.
#[must_use]
pub fn is_valid_publish(subject: &[u8]) -> bool {
    is_valid(subject) && is_literal(subject)
}

/// Whether no token is a wildcard; validity is not checked.
#[must_use]
pub fn is_literal(subject: &[u8]) -> bool {
    !has_wildcard(subject)
}

/// Whether some token is a wildcard; validity is not checked.
#[must_use]
pub fn has_wildcard(subject: &[u8]) -> bool {
    memchr::memchr2(b'*', b'>', subject).is_some()
        && tokens(subject).any(|token| token == ANY || token == REST)
}

/// Whether `pattern` covers the subject `literal`, whose own wildcards are plain words here, so that
/// a message published to `foo.*` reaches `foo.*` and `foo.>`. Empty tokens match nothing.
#[must_use]
pub fn matches(literal: &[u8], pattern: &[u8]) -> bool {
    let (mut have, mut want) = (tokens(literal), tokens(pattern));
    loop {
        match (have.next(), want.next()) {
            (None, None) => return true,
            (Some(_), Some(REST)) if want.rest.is_none() => {
                return no_empty_token(literal);
            }
            (Some(have), Some(want)) if !have.is_empty() && (want == ANY || have == want) => {}
            _ => return false,
        }
    }
}

fn no_empty_token(subject: &[u8]) -> bool {
    tokens(subject).all(|token| !token.is_empty())
}

/// Whether every subject that `subject` (literal or pattern) covers is covered by `of` too.
#[must_use]
pub fn is_subset(subject: &[u8], of: &[u8]) -> bool {
    let (mut have, mut want) = (tokens(subject), tokens(of));
    loop {
        match (have.next(), want.next()) {
            (None, None) => return true,
            (Some(_), Some(REST)) => return true,
            (None, _) | (_, None) | (Some(b"" | REST), _) | (_, Some(b"")) => return false,
            (Some(_), Some(ANY)) => {}
            (Some(ANY), Some(_)) => return false,
            (Some(have), Some(want)) if have == want => {}
            _ => return false,
        }
    }
}

/// Whether some subject is covered by both patterns. Equal ones always collide.
#[must_use]
pub fn collide(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    let (mut one, mut other) = (tokens(one), tokens(other));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (None, _) | (_, None) | (Some(b""), _) | (_, Some(b"")) => return false,
            (Some(REST), _) | (_, Some(REST)) => return true,
            (Some(ANY), _) | (_, Some(ANY)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Feeds two arbitrary byte strings to every function; for fuzzing.
#[doc(hidden)]
pub fn fuzz_subject(data: &[u8]) {
    let (one, other) = data.split_at_checked(data.len() / 2).unwrap_or_default();
    let _ = (matches(one, other), is_subset(one, other), collide(one, other), token_count(one));
    let _ = (is_valid_text(one), is_valid_publish(one), is_valid_literal(other));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, subject: &str, want: bool) {
        assert_eq!(matches(subject.as_bytes(), pattern.as_bytes()), want, "{pattern} {subject}");
    }

    #[test]
    fn star_is_exactly_one_token() {
        check("a.*", "a.b", true);
        check("*.b", "a.b", true);
        check("a.*", "a", false);
        check("a.*", "a.b.c", false);
        check("a.*.c", "a.b.c", true);
    }

    #[test]
    fn full_wildcard_needs_at_least_one_more_token() {
        check("a.>", "a.b.c", true);
        check("a.>", "a", false);
        check(">", "a", true);
        check(">", "", false);
    }

    #[test]
    fn wildcard_inside_a_token_is_a_plain_character() {
        check("foo*", "foobar", false);
        check("foo*", "foo*", true);
        check("foo.>bar", "foo.>bar", true);
        check("foo.>x", "foo.y", false);
        assert!(is_literal(b"foo*.b>r.**"));
    }

    #[test]
    fn wildcards_of_a_published_subject_are_plain_words() {
        check("foo.*", "foo.*", true);
        check("foo.>", "foo.*", true);
        check("foo.bar", "foo.*", false);
        check("foo.>", "foo.>", true);
    }

    #[test]
    fn subject_with_an_empty_token_matches_nothing() {
        for subject in ["foo..bar", ".foo", "foo.", "", "."] {
            for pattern in [">", "*", "foo.>", "foo.*.bar", "*.foo", "foo.*", "*.*"] {
                check(pattern, subject, false);
            }
        }
    }

    #[test]
    fn case_counts() {
        check("a.B", "a.b", false);
    }

    #[test]
    fn sub_refuses_empty_tokens_and_early_full_wildcards_only() {
        for good in ["a", "a.b", "*", ">", "a.*.>", "a b", "foo*", "a\t.b", "\u{4e16}", "\0"] {
            assert!(is_valid_for_sub(good.as_bytes()), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", ">.a", "a.>.b"] {
            assert!(!is_valid_for_sub(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn strict_rule_refuses_white_space_too() {
        for bad in ["a b", "a.\t", "a\r", "a\nb", "a\x0c", " ", "a.>.b", "a..b"] {
            assert!(!is_valid(bad.as_bytes()), "{bad:?}");
        }
        assert!(is_valid(b"a.*.>") && is_valid(b"a\0") && is_valid(b"\xff"));
    }

    #[test]
    fn text_rule_refuses_what_is_no_text() {
        for bad in [b"a\0".as_slice(), b"\xff", b"a.\xc3", "a\u{fffd}".as_bytes(), b"a b"] {
            assert!(!is_valid_text(bad), "{bad:?}");
        }
        assert!(is_valid_text("gr\u{fc}n.*".as_bytes()));
    }

    #[test]
    fn literal_rules_refuse_wildcards() {
        for bad in ["*", "a.*", "a.>", "a..b", ""] {
            assert!(!is_valid_literal(bad.as_bytes()), "{bad}");
            assert!(!is_valid_publish(bad.as_bytes()), "{bad}");
        }
        assert!(is_valid_literal(b"foo*.b c") && !is_valid_publish(b"foo*.b c") && is_valid_publish(b"foo*"));
    }

    #[test]
    fn parsing_says_what_is_wrong() {
        assert_eq!(Subject::parse(b"a..b"), Err(SubjectError::EmptyToken));
        assert_eq!(Subject::parse(b"a.*"), Err(SubjectError::Wildcard));
        assert_eq!(SubjectPattern::parse(b">.a"), Err(SubjectError::RestNotLast));
        let (subject, pattern) = (Subject::parse(b"a.b").unwrap(), SubjectPattern::parse(b"a.*").unwrap());
        assert!(subject.matches(pattern) && pattern.covers(subject.into()) && !pattern.is_literal());
        assert!(pattern.overlaps(SubjectPattern::parse(b"*.b").unwrap()));
        assert_eq!(subject.tokens().collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn tokens_are_counted_by_dots() {
        for (subject, want) in [("", 0), ("a", 1), ("a.b", 2), ("a..b", 3), ("a.", 2)] {
            assert_eq!(token_count(subject.as_bytes()), want, "{subject}");
        }
    }

    #[test]
    fn subset() {
        for (subject, of, want) in [
            ("foo.bar", "foo.bar", true),
            ("foo.*", ">", true),
            ("foo.*", "*.*", true),
            ("foo.*", "foo.*", true),
            ("foo.*", "foo.bar", false),
            ("foo.>", ">", true),
            ("foo.>", "*.>", true),
            ("foo.>", "foo.>", true),
            ("foo.>", "foo.*", false),
            ("foo.>", "foo.bar", false),
            ("foo..bar", "foo.*.bar", false),
            ("foo.*", "*", false),
            ("foo", "*", true),
        ] {
            assert_eq!(is_subset(subject.as_bytes(), of.as_bytes()), want, "{subject} {of}");
        }
    }

    #[test]
    fn collision() {
        for (one, other, want) in [
            ("foo.*", "foo.*.bar.>", false),
            ("foo.*.bar.>", "foo.*", false),
            ("foo.*", "foo.foo", true),
            ("foo.*", "*.foo", true),
            ("foo.*.bar.>", "*.bar.foo", false),
            ("foo.>", "*.bar.foo", true),
            ("*", "foo", true),
            ("*", "foo.bar", false),
            (">", "foo.bar", true),
            ("a", "b", false),
        ] {
            assert_eq!(collide(one.as_bytes(), other.as_bytes()), want, "{one} {other}");
            assert_eq!(collide(other.as_bytes(), one.as_bytes()), want, "{other} {one}");
        }
    }

    /// The same question asked of vectors, position by position.
    fn slow_matches(subject: &[&str], pattern: &[&str]) -> bool {
        if subject.iter().any(|token| token.is_empty()) {
            return false;
        }
        match pattern.split_last() {
            Some((&">", lead)) => {
                subject.len() > lead.len()
                    && lead.iter().zip(subject).all(|(want, have)| *want == "*" || want == have)
            }
            _ => {
                subject.len() == pattern.len()
                    && pattern.iter().zip(subject).all(|(want, have)| *want == "*" || want == have)
            }
        }
    }

    fn words(wild: bool) -> impl Strategy<Value = Vec<&'static str>> {
        let literal = vec!["a", "b", "ab", "a*"];
        let token = if wild { [literal, vec!["*"]].concat() } else { literal };
        (prop::collection::vec(prop::sample::select(token), 1..5), any::<bool>()).prop_map(
            move |(mut tokens, rest)| {
                if wild && rest {
                    tokens.push(">");
                }
                tokens
            },
        )
    }

    proptest! {
        #[test]
        fn matching_agrees_with_a_slow_twin(subject in words(false), pattern in words(true)) {
            let want = slow_matches(&subject, &pattern);
            prop_assert_eq!(matches(subject.join(".").as_bytes(), pattern.join(".").as_bytes()), want);
        }

        #[test]
        fn covering_pattern_matches_whatever_the_other_matches(
            subject in words(false), one in words(true), other in words(true),
        ) {
            let (subject, one, other) = (subject.join("."), one.join("."), other.join("."));
            let (by_one, by_other) =
                (matches(subject.as_bytes(), one.as_bytes()), matches(subject.as_bytes(), other.as_bytes()));
            if is_subset(one.as_bytes(), other.as_bytes()) {
                prop_assert!(!by_one || by_other);
            }
            if by_one && by_other {
                prop_assert!(collide(one.as_bytes(), other.as_bytes()));
            }
        }

        #[test]
        fn colliding_patterns_share_a_subject(one in words(true), other in words(true)) {
            // A witness: each wildcard replaced by what the other has there.
            let fill = |have: &[&'static str], other: &[&'static str], len: usize| -> Vec<&'static str> {
                (0..len)
                    .map(|at| {
                        let pick = |tokens: &[&'static str]| tokens.get(at).copied().filter(|token| !["*", ">"].contains(token));
                        pick(have).or_else(|| pick(other)).unwrap_or("a")
                    })
                    .collect()
            };
            let len = one.len().max(other.len());
            let witness = fill(&one, &other, len);
            let shared = slow_matches(&witness, &one) && slow_matches(&witness, &other);
            prop_assert_eq!(collide(one.join(".").as_bytes(), other.join(".").as_bytes()), shared);
        }

        #[test]
        fn random_bytes_do_not_panic(data in prop::collection::vec(any::<u8>(), 0..60)) {
            fuzz_subject(&data);
        }
    }
}
