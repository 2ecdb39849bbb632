//! Configuration written in TOML: the same keys, the same tree, the same readers.
//!
//! Beyond the reference. There are no variables, includes or size suffixes (`1_048_576` is what
//! TOML offers). Lines and columns both count from 1.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::{Diagnostic, Sources};
use super::parse::{DEPTH_MAX, FINDINGS_MAX, Parsed};
use super::value::{Map, Node, Pos, Span, Value};

/// Parses a TOML text that came from the file `name`.
pub fn parse(name: &str, text: &[u8]) -> Parsed {
    let file: Arc<str> = name.into();
    let mut sources = Sources::default();
    let mut reader = Reader { file: Arc::clone(&file), lines: Vec::new(), findings: Vec::new() };
    let root = match std::str::from_utf8(text) {
        Ok(text) => {
            sources.add(file, text.into());
            reader.lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
            reader.document(text)
        }
        Err(error) => {
            reader.findings.push(Diagnostic::unplaced(format!("{name}: {error}")));
            Map::new()
        }
    };
    Parsed { root, findings: reader.findings, sources }
}

struct Reader {
    file: Arc<str>,
    /// Offset of each line's first byte.
    lines: Vec<usize>,
    findings: Vec<Diagnostic>,
}

impl Reader {
    fn document(&mut self, text: &str) -> Map {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors.iter().take(FINDINGS_MAX) {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let pos = self.pos(error.span().unwrap_or_default().into());
            self.findings.push(Diagnostic::error(&pos, message));
        }
        self.table(table.get_ref(), 0)
    }

    /// Entries in the order they were written; the crate keeps them sorted by key.
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Map {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = Map::new();
        for (key, value) in entries {
            if let Some(mut node) = self.node(value, depth) {
                node.pos = self.pos(key.span().into());
                map.insert(key.get_ref().to_string(), node);
            }
        }
        map
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
        let pos = self.pos(value.span().into());
        if depth >= DEPTH_MAX {
            self.findings.push(Diagnostic::error(&pos, format!("nested deeper than {DEPTH_MAX} levels")));
            return None;
        }
        let content = match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(number) => {
                let Ok(number) = i64::from_str_radix(number.as_str(), number.radix()) else {
                    let message = format!("integer '{number}' is out of the range");
                    self.findings.push(Diagnostic::error(&pos, message));
                    return None;
                };
                Value::Int(number)
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::Float(number),
                _ => {
                    let message = format!("float '{}' is out of the range", number.as_str());
                    self.findings.push(Diagnostic::error(&pos, message));
                    return None;
                }
            },
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().filter_map(|item| self.node(item, depth + 1)).collect())
            }
            DeValue::Table(table) => Value::Map(self.table(table, depth + 1)),
        };
        Some(Node::new(content, pos))
    }

    fn pos(&self, span: Span) -> Pos {
        let line = self.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let column = span.start.saturating_sub(start) + 1;
        Pos { file: Arc::clone(&self.file), line, column: column.cast_signed(), span }
    }
}

/// Reads arbitrary bytes as TOML: it ends without a panic, and the tree can be hashed.
pub fn fuzz_toml(data: &[u8]) {
    let parsed = parse("fuzz.toml", data);
    super::digest::digest(&parsed.root);
    for finding in &parsed.findings {
        super::diagnose::render(finding, &parsed.sources);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::digest::canonical;
    use super::*;

    #[track_caller]
    fn check(text: &str, conf: &str) {
        let parsed = parse("x.toml", text.as_bytes());
        assert_eq!(parsed.findings, []);
        let same = super::super::parse::parse("x.conf", conf.as_bytes(), &super::super::load::Disk);
        assert_eq!(same.findings, []);
        assert_eq!(canonical(&parsed.root), canonical(&same.root), "{text}");
    }

    #[test]
    fn toml_gives_the_same_tree_as_the_configuration_language() {
        check(
            "port = 4222\nserver_name = \"a\"\ndebug = true\nwrite_deadline = '5s'\n",
            "port: 4222\nserver_name: a\ndebug: yes\nwrite_deadline: '5s'",
        );
        check(
            "[cluster]\nport = 1\n[cluster.tls]\ntimeout = 1.5\n",
            "cluster { port: 1\n tls { timeout: 1.5 } }",
        );
        check(
            "[[authorization.users]]\nuser = 'a'\n[[authorization.users]]\nuser = 'b'\n",
            "authorization { users: [ {user: a}, {user: b} ] }",
        );
        check("a = 0x10\nb = 1_000\nc = [1, 2]\nd = {e = -1}", "a: 16, b: 1000\nc: [1, 2 ]\nd: {e: -1}");
        check("d = 2016-05-04T18:53:41Z", "d: 2016-05-04T18:53:41Z");
        check("", "");
    }

    #[test]
    fn entries_keep_their_order_and_have_places() {
        let parsed = parse("x.toml", b"port = 1\n\n[cluster]\n  host = 'x'\n  a = 2\n[accounts]\n");
        let keys: Vec<_> =
            parsed.root.iter().map(|entry| format!("{} {}", entry.key, entry.node.pos)).collect();
        assert_eq!(keys, ["port x.toml:1:1", "cluster x.toml:3:2", "accounts x.toml:6:2"]);
        let inner = parsed.root.get("cluster").and_then(|node| node.value.as_map()).unwrap();
        let keys: Vec<_> = inner.iter().map(|entry| format!("{} {}", entry.key, entry.node.pos)).collect();
        assert_eq!(keys, ["host x.toml:4:3", "a x.toml:5:3"]);
    }

    #[test]
    fn every_mistake_has_a_place() {
        let parsed = parse("x.toml", b"a = 1\na = 2\nb = \nc = 99999999999999999999\nd = inf\n");
        let lines: Vec<_> = parsed.findings.iter().map(Diagnostic::line).collect();
        assert_eq!(
            lines,
            [
                "x.toml:2:1: duplicate key",
                "x.toml:3:5: string values must be quoted, expected literal string",
                "x.toml:4:5: integer '99999999999999999999' is out of the range",
                "x.toml:5:5: float 'inf' is out of the range",
            ]
        );
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        for text in [&b""[..], b"\xff", b"[", b"a", b"a=", b"[[a]]\n[a]", b"a.b.c=1", b"\r", b"a='''"] {
            fuzz_toml(text);
        }
        fuzz_toml(format!("a = {}", "[".repeat(100_000)).as_bytes());
        fuzz_toml(format!("a = {}", "{a=".repeat(10_000)).as_bytes());
        fuzz_toml(format!("{}a = 1", "a.".repeat(300_000)).as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(text in "[a-c=\\[\\]{}.'\"\n #0-9,é-]{0,60}") {
            fuzz_toml(text.as_bytes());
        }
    }
}
