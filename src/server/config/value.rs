//! The tree that every configuration file becomes: values with the place they were written at.
//!
//! `parse` and `toml` build it, `digest` hashes it, the readers under `read/` turn it into
//! `Options`. A tree knows nothing of keys' meanings: looking a key up without regard to case,
//! and refusing one that nobody knows, is the reader's business.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Bytes `start..end` of a file's text. Empty where there is nothing to point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// Where something was written.
///
/// `line` and `column` are the ones that the reference prints (its columns count from 0 on the
/// first line and from 1 on all others, and drift behind escapes); `span` is the true place, for
/// showing the source line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pos {
    /// The file's name as it was given to the loader.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column as the reference counts it; may be negative behind escapes.
    pub column: isize,
    /// True place in the file's text.
    pub span: Span,
}

impl fmt::Display for Pos {
    /// `file:line:column`, as in front of every message of the reference.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value, where it stands and how it came there.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// The place that messages name: in a map the key's, in an array the value's own.
    pub pos: Pos,
    /// The value's own place in the text of `pos.file`.
    pub span: Span,
    /// True where some `$name` refers to this entry: an unknown key that was used as a variable
    /// is no error.
    pub used_as_variable: bool,
    /// The name behind `$` where the value was written as a variable reference.
    pub from_variable: Option<Arc<str>>,
}

impl Node {
    /// A value at a place, neither used as a variable nor taken from one.
    pub fn new(value: Value, pos: Pos) -> Self {
        Self { value, span: pos.span, pos, used_as_variable: false, from_variable: None }
    }

    /// About how many bytes of memory the tree under and with this node takes.
    pub(super) fn bytes(&self) -> usize {
        let below = match &self.value {
            Value::Array(items) => items.iter().map(Self::bytes).sum(),
            Value::Map(map) => map.iter().map(|entry| 2 * entry.key.len() + entry.node.bytes()).sum(),
            Value::String(text) => text.len(),
            _ => 0,
        };
        below + size_of::<Self>()
    }
}

/// What a key can be set to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true`, `yes`, `on`, `false`, `no`, `off`, unquoted.
    Bool(bool),
    /// A whole number, its size suffix already multiplied in (wrapping, as in the reference).
    Int(i64),
    /// A number with a decimal point.
    Float(f64),
    /// Any text; bytes that are not UTF-8 have become U+FFFD each.
    String(String),
    /// A date, already checked: `YYYY-MM-DDTHH:MM:SSZ`.
    Date(String),
    /// `[ … ]`, in order.
    Array(Vec<Node>),
    /// `{ … }`, in order.
    Map(Map),
}

impl Value {
    /// The name that the reference's messages use for this kind of value.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Int(_) => "int64",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Date(_) => "time.Time",
            Self::Array(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
        }
    }

    /// The truth value, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The number with a decimal point, if it is one.
    pub const fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Node]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub const fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key as written, without its quotes.
    pub key: String,
    /// The value; its `pos` is this key's place.
    pub node: Node,
}

/// Entries in the order they were written. A key stands once, spelled exactly: writing it again
/// removes the earlier entry, so that of several spellings (`Port`, `port`) the last is the last.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    entries: Vec<Entry>,
    /// Exact key → its place in `entries`: maps of accounts and users grow long.
    places: HashMap<String, usize>,
}

impl Map {
    /// A map without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, removing an earlier one of the same spelling.
    pub fn insert(&mut self, key: String, node: Node) {
        self.insert_entry(Entry { key, node });
    }

    /// Adds an entry of another map.
    pub(super) fn insert_entry(&mut self, entry: Entry) {
        if let Some(place) = self.places.insert(entry.key.clone(), self.entries.len()) {
            self.entries.remove(place);
            for later in self.places.values_mut().filter(|later| **later > place) {
                *later -= 1;
            }
        }
        self.entries.push(entry);
    }

    /// The value of `key`, spelled exactly so.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(*self.places.get(key)?).map(|entry| &entry.node)
    }

    /// The value of `key`, spelled exactly so, for changing it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.get_mut(*self.places.get(key)?).map(|entry| &mut entry.node)
    }

    /// The last value whose key equals `key` without regard to ASCII case.
    pub fn get_ignore_case(&self, key: &str) -> Option<&Node> {
        self.entries.iter().rev().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| &entry.node)
    }

    /// All entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Map {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(value: i64) -> Node {
        Node::new(Value::Int(value), Pos::default())
    }

    #[test]
    fn a_key_written_again_replaces_and_moves_to_the_end() {
        let mut map = Map::new();
        map.insert("port".into(), int(1));
        map.insert("Port".into(), int(2));
        map.insert("port".into(), int(3));
        let seen: Vec<_> = map.iter().map(|entry| (entry.key.as_str(), entry.node.value.as_int())).collect();
        assert_eq!(seen, [("Port", Some(2)), ("port", Some(3))]);
        assert_eq!(map.get("Port").and_then(|node| node.value.as_int()), Some(2));
        assert_eq!(map.get("port").and_then(|node| node.value.as_int()), Some(3));
        assert_eq!(map.get_ignore_case("PORT").and_then(|node| node.value.as_int()), Some(3));
    }
}
