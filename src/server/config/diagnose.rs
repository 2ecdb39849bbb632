//! What is wrong with a configuration: findings with a place, and how they are shown.
//!
//! The first line of a rendered finding is the reference's, to the byte. Below it, where the text
//! of the file is known, stand the source line, a caret, and the key that may have been meant.

use std::fmt::Write as _;
use std::sync::Arc;

use super::value::{Pos, Span};
use crate::server::base::quote::quote;

/// How much a finding matters. Both make `-t` fail; only an error stops a start or a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The server runs all the same.
    Warning,
    /// The configuration is refused.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Where; `None` where the reference prints no place in front of its text.
    pub pos: Option<Pos>,
    /// True place to show the source line of, also where the text has no place in front.
    pub shown: Option<(Arc<str>, Span)>,
    /// The reference's text, without the place.
    pub message: String,
    /// What may have been meant by a misspelled key or word.
    pub suggestion: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(pos: &Pos, message: impl Into<String>) -> Self {
        Self::at(Severity::Error, pos, message.into())
    }

    /// A warning at a place.
    pub fn warning(pos: &Pos, message: impl Into<String>) -> Self {
        Self::at(Severity::Warning, pos, message.into())
    }

    /// An error whose text the reference prints without a place.
    pub const fn unplaced(message: String) -> Self {
        Self { severity: Severity::Error, pos: None, shown: None, message, suggestion: None }
    }

    /// `unknown field "key"` at the key, with the nearest of `known` as suggestion.
    pub fn unknown_field(pos: &Pos, key: &str, known: &[&str]) -> Self {
        Self::error(pos, format!("unknown field {}", quote(key))).suggest(key, known)
    }

    /// Adds "did you mean" where one of `known` is near to `word`.
    #[must_use]
    pub fn suggest(mut self, word: &str, known: &[&str]) -> Self {
        self.suggestion = nearest(word, known).map(str::to_owned);
        self
    }

    /// The reference's one line: `file:line:column: message`, or the message alone.
    pub fn line(&self) -> String {
        match &self.pos {
            Some(pos) => format!("{pos}: {}", self.message),
            None => self.message.clone(),
        }
    }

    fn at(severity: Severity, pos: &Pos, message: String) -> Self {
        Self {
            severity,
            pos: Some(pos.clone()),
            shown: Some((Arc::clone(&pos.file), pos.span)),
            message,
            suggestion: None,
        }
    }
}

/// The texts of the files that a configuration was read from, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    files: Vec<(Arc<str>, Arc<str>)>,
}

impl Sources {
    /// Keeps a file's text for showing lines of it. A name added again is replaced.
    pub fn add(&mut self, name: Arc<str>, text: Arc<str>) {
        self.files.retain(|(known, _)| *known != name);
        self.files.push((name, text));
    }

    /// The text of a file.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|(known, _)| &**known == name).map(|(_, text)| &**text)
    }
}

/// Findings as the reference reports them, for what reads its output: one line each, warnings first,
/// and an empty line behind them.
pub fn report(findings: &[Diagnostic]) -> String {
    by_severity(findings).map(|finding| finding.line() + "\n").collect()
}

/// The same findings for a person: below each line its source and what may have been meant.
pub fn explain(findings: &[Diagnostic], sources: &Sources) -> String {
    by_severity(findings).map(|finding| render(finding, sources)).collect()
}

fn by_severity(findings: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    of(Severity::Warning).chain(of(Severity::Error))
}

/// A finding as a user reads it: the reference's line, then the source line with a caret and a
/// suggestion, as far as known. Each line ends with a newline.
pub fn render(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let mut out = diagnostic.line();
    out.push('\n');
    let shown = diagnostic.shown.as_ref().and_then(|(file, span)| excerpt(sources.text(file)?, *span));
    if let Some(Excerpt { number, line, offset, width }) = shown {
        let gutter = number.to_string();
        let blank = " ".repeat(gutter.len());
        // Tabs stay tabs, so that the caret stands under its text at any tab width.
        let indent: String = line.chars().take(offset).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(out, "  {gutter} | {line}");
        let _ = writeln!(out, "  {blank} | {indent}{}", "^".repeat(width.max(1)));
    }
    if let Some(suggestion) = &diagnostic.suggestion {
        let _ = writeln!(out, "  did you mean `{suggestion}`?");
    }
    out
}

struct Excerpt<'a> {
    /// Line number from 1.
    number: usize,
    line: &'a str,
    /// Characters in front of the caret.
    offset: usize,
    /// Characters to underline.
    width: usize,
}

/// Longest line that is shown, in bytes: generated files hold everything on one line.
const EXCERPT_BYTES_MAX: usize = 240;

/// The line that `span` starts on. `None` where the span lies outside or the line is too long.
fn excerpt(text: &str, span: Span) -> Option<Excerpt<'_>> {
    let (before, rest) = text.split_at_checked(span.start)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line_end = rest.find('\n').map_or(text.len(), |at| span.start + at);
    let line = text.get(line_start..line_end)?.trim_end_matches('\r');
    if line.len() > EXCERPT_BYTES_MAX {
        return None;
    }
    let marked = text.get(span.start..span.end.min(line_end).max(span.start)).unwrap_or("");
    Some(Excerpt {
        number: before.matches('\n').count() + 1,
        line,
        offset: text.get(line_start..span.start)?.chars().count(),
        width: marked.trim_end().chars().count(),
    })
}

/// The word of `known` that `word` is most likely a misspelling of: at most a third of its letters
/// differ, case aside. The first of equally near ones.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Longer than every key; comparing costs the product of both lengths.
    const WORD_CHARS_MAX: usize = 64;
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).take(WORD_CHARS_MAX + 1).collect();
    if word.len() > WORD_CHARS_MAX {
        return None;
    }
    let most = (word.len() / 3).max(1);
    known
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= most && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be added, removed, replaced or swapped with their neighbour to make one word the
/// other; no letter is touched twice.
fn distance(word: &[char], candidate: &str) -> usize {
    let mut earlier: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=word.len()).collect();
    let mut letter_above = None;
    for (i, letter) in candidate.chars().flat_map(char::to_lowercase).enumerate() {
        let mut row = vec![i + 1];
        let mut own_before = None;
        for (j, &own) in word.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut least =
                (at(&above, j) + usize::from(own != letter)).min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if own_before == Some(letter) && letter_above == Some(own) {
                least = least.min(at(&earlier, j - 1) + 1);
            }
            row.push(least);
            own_before = Some(own);
        }
        earlier = std::mem::replace(&mut above, row);
        letter_above = Some(letter);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_distance(a: &str, b: &str, want: usize) {
        let word: Vec<char> = a.chars().collect();
        assert_eq!(distance(&word, b), want, "{a} {b}");
    }

    #[test]
    fn distance_counts_single_letter_changes() {
        check_distance("", "", 0);
        check_distance("", "abc", 3);
        check_distance("abc", "", 3);
        check_distance("kitten", "sitting", 3);
        check_distance("port", "prt", 1);
        check_distance("prt", "port", 1);
        check_distance("flaw", "lawn", 2);
    }

    #[test]
    fn distance_counts_a_swap_of_neighbours_once() {
        check_distance("prot", "port", 1);
        check_distance("tsl", "tls", 1);
        check_distance("abcd", "badc", 2);
        check_distance("ca", "abc", 3);
    }

    #[test]
    fn near_misses_are_found_and_far_words_are_not() {
        let known = ["port", "max_payload", "http_port", "tls"];
        for (word, want) in [
            ("prt", Some("port")),
            ("max_paylod", Some("max_payload")),
            ("MAX_PAYLOADS", Some("max_payload")),
            ("htttp_port", Some("http_port")),
            ("prot", Some("port")),
            ("tsl", Some("tls")),
            ("tl", Some("tls")),
            ("completely_else", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), want, "{word}");
        }
    }

    #[test]
    fn a_finding_shows_the_reference_line_first_then_source_caret_and_suggestion() {
        let mut sources = Sources::default();
        sources.add("a.conf".into(), "host: x\n\tprt: 4222\n".into());
        let pos = Pos { file: "a.conf".into(), line: 2, column: 2, span: Span { start: 9, end: 12 } };
        let finding = Diagnostic::unknown_field(&pos, "prt", &["host", "port"]);
        assert_eq!(
            render(&finding, &sources),
            "a.conf:2:2: unknown field \"prt\"\n  2 | \tprt: 4222\n    | \t^^^\n  did you mean `port`?\n"
        );
    }

    #[test]
    fn a_report_has_a_line_for_each_finding_warnings_first() {
        let mut sources = Sources::default();
        sources.add("a.conf".into(), "prt: 1\nx: 5\n".into());
        let at = |line, start, end| Pos { file: "a.conf".into(), line, column: 0, span: Span { start, end } };
        let findings = [
            Diagnostic::unknown_field(&at(1, 0, 3), "prt", &["port"]),
            Diagnostic::warning(&at(2, 7, 8), "odd"),
            Diagnostic::unplaced("bad".into()),
        ];
        assert_eq!(report(&findings), "a.conf:2:0: odd\na.conf:1:0: unknown field \"prt\"\nbad\n");
        assert_eq!(
            explain(&findings, &sources),
            "a.conf:2:0: odd\n  2 | x: 5\n    | ^\na.conf:1:0: unknown field \"prt\"\n  1 | prt: 1\n    | ^^^\n  \
             did you mean `port`?\nbad\n"
        );
    }

    #[test]
    fn without_the_text_only_the_reference_line_is_shown() {
        let pos = Pos { file: "a.conf".into(), line: 2, column: 2, span: Span { start: 9, end: 12 } };
        assert_eq!(render(&Diagnostic::error(&pos, "bad"), &Sources::default()), "a.conf:2:2: bad\n");
        assert_eq!(render(&Diagnostic::unplaced("bad".into()), &Sources::default()), "bad\n");
    }
}
