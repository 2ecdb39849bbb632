//! Subjects as claims name them: the rules of the claims' library, which are laxer than the protocol's.

use std::fmt;

use crate::server::base::quote::quote;
use crate::server::protocol::json::Value;

use super::document::{Field, Mistakes, Named, Place, read_text};
use super::error::JwtError;
use super::findings::Findings;

/// A subject or pattern inside claims; any text until it was validated.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// No text at all.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has a wildcard as a token.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        let text = self.0.as_str();
        text.ends_with(".>")
            || text.contains(".*.")
            || text.ends_with(".*")
            || text.starts_with("*.")
            || text == "*"
            || text == ">"
    }

    /// Whether all that matches it also matches `other`.
    #[must_use]
    pub fn is_contained_in(&self, other: &Self) -> bool {
        let mut own = self.0.split('.');
        let mut others = other.0.split('.').peekable();
        while let Some(token) = others.next() {
            let Some(mine) = own.next() else { return false };
            if token == ">" && others.peek().is_none() {
                return true;
            }
            if token != mine && token != "*" {
                return false;
            }
        }
        own.next().is_none()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        validate_text(&self.0, findings);
    }

    /// Tokens that are `*`.
    fn stars(&self) -> usize {
        self.0.split('.').filter(|token| *token == "*").count()
    }

    fn ends_in_full_wildcard(&self) -> bool {
        self.0 == ">" || self.0.ends_with(".>")
    }

    /// This subject with every reference to a wildcard (`$1`) as the wildcard itself.
    #[must_use]
    pub fn without_references(&self) -> Self {
        let plain = |token| if reference(token).is_some() { "*" } else { token };
        let tokens: Vec<&str> = self.0.split('.').map(plain).collect();
        Self(tokens.join("."))
    }

    /// Checks this as the name under which `from` is known locally.
    pub(super) fn validate_renaming(&self, from: &Self, findings: &mut Findings) {
        self.validate(findings);
        if from.is_unset() {
            findings.error("subject cannot be empty");
        }
        if self.0.contains(' ') {
            findings.error(format!("subject {} cannot have spaces", quote(&self.0)));
        }
        if self.ends_in_full_wildcard() != from.ends_in_full_wildcard() {
            findings.error("both, renaming subject and subject, need to end or not end in >");
        }
        let wildcards = from.stars();
        let mut used = self.stars();
        for index in self.0.split('.').filter_map(reference) {
            if index > i64::try_from(wildcards).unwrap_or(i64::MAX) {
                findings.error(format!(
                    "Reference ${index} in {} reference * in {} that do not exist",
                    quote(&self.0),
                    quote(&from.0)
                ));
            } else {
                used += 1;
            }
        }
        if used != wildcards {
            findings.error("subject does not contain enough * or reference wildcards $[0-9]");
        }
    }
}

/// The number of a token that refers to a wildcard.
fn reference(token: &str) -> Option<i64> {
    let number = token.strip_prefix('$')?;
    number.parse().ok()
}

/// Checks a subject: not empty, no spaces, no empty tokens.
pub(super) fn validate_text(text: &str, findings: &mut Findings) {
    if text.is_empty() {
        findings.error("subject cannot be empty");
        return;
    }
    let shown = quote(text);
    if text.contains(' ') {
        findings.error(format!("subject {shown} cannot have spaces"));
    }
    if text.starts_with('.') || text.ends_with('.') {
        findings.error(format!("subject {shown} cannot start or end with a `.`"));
    }
    if text.contains("..") {
        findings.error(format!("subject {shown} cannot contain consecutive `.`"));
    }
}

impl From<&str> for Subject {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Field for Subject {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        read_text(&mut self.0, "jwt.Subject", value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn is_empty(&self) -> bool {
        self.is_unset()
    }
}

/// What is exported or imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Not said.
    #[default]
    Unknown,
    /// Messages of the exporter.
    Stream,
    /// Requests to the exporter.
    Service,
}

impl Kind {
    /// `stream`, `service`, `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stream => "stream",
            Self::Service => "service",
        }
    }
}

impl Field for Kind {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        let mut text = String::new();
        match value.kind() {
            "string" | "null" => text.read(value, at, mistakes),
            _ => return mistakes.wrong(value, &Place::Root, "string"),
        }
        match text.as_str() {
            "stream" => *self = Self::Stream,
            "service" => *self = Self::Service,
            _ => mistakes.add(JwtError::ExportType(text)),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("\"{}\"", self.as_str()).as_bytes());
    }

    fn is_empty(&self) -> bool {
        *self == Self::Unknown
    }
}

impl Named for Subject {
    const LIST: &'static str = "[]jwt.Subject";
    const MAP: &'static str = "map[string]jwt.Subject";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_is_token_by_token() {
        for (own, other, want) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a.b", "a.*", true),
            ("a.*", "a.b", false),
            ("a.b.c", "a.>", true),
            ("a", "a.>", false),
            ("a.>", ">", true),
            ("a.>", "a.*", true),
            ("a.b", "a", false),
            ("a", "a.b", false),
            ("*", "*", true),
        ] {
            assert_eq!(Subject::from(own).is_contained_in(&other.into()), want, "{own} in {other}");
        }
    }

    #[test]
    fn wildcards_are_whole_tokens() {
        for (text, want) in [
            ("a", false),
            ("a*", false),
            ("a>", false),
            ("*", true),
            (">", true),
            ("*.a", true),
            ("a.*.b", true),
            ("a.*", true),
            ("a.>", true),
        ] {
            assert_eq!(Subject::from(text).has_wildcards(), want, "{text}");
        }
    }

    #[test]
    fn subjects_are_refused_in_the_references_words() {
        for (text, want) in [
            ("", "subject cannot be empty"),
            ("a b", "subject \"a b\" cannot have spaces"),
            (".a", "subject \".a\" cannot start or end with a `.`"),
            ("a..b", "subject \"a..b\" cannot contain consecutive `.`"),
        ] {
            let mut findings = Findings::default();
            Subject::from(text).validate(&mut findings);
            assert_eq!(findings.to_string(), want);
        }
    }

    #[test]
    fn a_renaming_uses_every_wildcard() {
        for (local, from, want) in [
            ("b.$1", "a.*", ""),
            ("b.*", "a.*", ""),
            ("b.$2.$1", "a.*.*", ""),
            ("b", "a", ""),
            ("b.>", "a.>", ""),
            ("b", "a.>", "both, renaming subject and subject, need to end or not end in >"),
            ("b", "a.*", "subject does not contain enough * or reference wildcards $[0-9]"),
            (
                "b.$2",
                "a.*",
                "Reference $2 in \"b.$2\" reference * in \"a.*\" that do not exist; subject does not contain \
                 enough * or reference wildcards $[0-9]",
            ),
        ] {
            let mut findings = Findings::default();
            Subject::from(local).validate_renaming(&from.into(), &mut findings);
            assert_eq!(findings.to_string(), want, "{local} from {from}");
        }
        assert_eq!(Subject::from("a.$1.$x.$2").without_references().as_str(), "a.*.$x.*");
    }
}
