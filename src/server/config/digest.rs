//! The digest by which two servers show that they run the same configuration.
//!
//! SHA-256 over the tree as compact JSON with sorted keys and a newline at the end. So comments,
//! blanks, the order of keys, size suffixes and the way into files do not matter; variables do
//! stand in it, both where they are defined and where they are used.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::value::{Entry, Map, Node, Value};

/// `sha256:` and the digest in hex.
pub fn digest(root: &Map) -> String {
    let json = canonical(root) + "\n";
    let mut out = String::from("sha256:");
    for byte in Sha256::digest(json.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The tree as compact JSON, keys sorted.
pub fn canonical(root: &Map) -> String {
    let mut json = String::new();
    map(&mut json, root);
    json
}

fn map(out: &mut String, map: &Map) {
    let mut entries: Vec<&Entry> = map.iter().collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    out.push('{');
    for (i, entry) in entries.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, &entry.key);
        out.push(':');
        value(out, &entry.node);
    }
    out.push('}');
}

fn value(out: &mut String, node: &Node) {
    match &node.value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(value) => float(out, *value),
        Value::String(value) | Value::Date(value) => string(out, value),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                value(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => map(out, entries),
    }
}

/// Shortest digits that read back as the same number; very small and very large ones with an
/// exponent.
fn float(out: &mut String, value: f64) {
    let size = value.abs();
    let _ = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let exponent = if size < 1.0 { "" } else { "+" };
        write!(out, "{}", text.replacen('e', &format!("e{exponent}"), 1))
    } else {
        write!(out, "{value}")
    };
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::value::Pos;
    use super::*;

    #[track_caller]
    fn check(value: Value, want: &str) {
        let mut root = Map::new();
        root.insert("k".into(), Node::new(value, Pos::default()));
        assert_eq!(canonical(&root), format!("{{\"k\":{want}}}"));
    }

    #[test]
    fn floats_have_their_shortest_digits_and_an_exponent_at_the_edges() {
        for (value, want) in [
            (1.5, "1.5"),
            (-0.25, "-0.25"),
            (3.0, "3"),
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
        ] {
            check(Value::Float(value), want);
        }
    }

    #[test]
    fn texts_are_escaped_for_html_and_javascript_too() {
        check(Value::String("<a>&\u{2028}\u{2029}".into()), r#""\u003ca\u003e\u0026\u2028\u2029""#);
        check(
            Value::String("\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}".into()),
            "\"\\\"\\\\\\n\\r\\t\\b\\f\\u0001\u{7f}\"",
        );
        check(Value::String("é\u{fffd}".into()), "\"é\u{fffd}\"");
    }

    #[test]
    fn keys_are_sorted_by_their_bytes_at_every_level() {
        let mut inner = Map::new();
        for key in ["b", "B", "é", "a"] {
            inner.insert(key.into(), Node::new(Value::Int(1), Pos::default()));
        }
        check(Value::Map(inner), r#"{"B":1,"a":1,"b":1,"é":1}"#);
        check(Value::Array(Vec::new()), "[]");
    }
}
