//! What all readers share: where findings go, and how a block's keys find their readers.

use std::collections::HashSet;

use crate::server::base::quote::quote;
use crate::server::config::diagnose::Diagnostic;
use crate::server::config::number::{self, Number};
use crate::server::config::options::Options;
use crate::server::config::value::{Entry, Map, Node, Pos, Value};

use super::Files;

/// Findings so far, and the world outside.
pub(super) struct Context<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) findings: Vec<Diagnostic>,
    /// The file switches the system account off, wherever it says so.
    pub(super) no_system_account: bool,
    /// Where the reference puts values of a wrong type while it reads this block: at the block.
    pub(super) wrong_types_at: Option<Pos>,
    /// Values of a wrong type so far: the reference gives up the block that has one.
    pub(super) wrong_types: usize,
    /// Users so far, of the authorization block and of all accounts.
    pub(super) user_names: HashSet<String>,
}

/// One key of a block: its names, in lower case, and what reads its value.
pub(super) struct Key<T> {
    names: &'static [&'static str],
    read: fn(&mut Context<'_>, &Entry, &mut T),
}

impl<T> Key<T> {
    pub(super) const fn new(
        names: &'static [&'static str],
        read: fn(&mut Context<'_>, &Entry, &mut T),
    ) -> Self {
        Self { names, read }
    }

    pub(super) const fn names(&self) -> &'static [&'static str] {
        self.names
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self {
            files,
            findings: Vec::new(),
            no_system_account: false,
            wrong_types_at: None,
            wrong_types: 0,
            user_names: HashSet::new(),
        }
    }

    /// Keeps a finding.
    pub(super) fn push(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    /// An error at a place.
    pub(super) fn error(&mut self, pos: &Pos, text: impl Into<String>) {
        self.push(Diagnostic::error(pos, text));
    }

    /// An error that the reference prints without a place; the source line is known all the same.
    pub(super) fn error_unplaced(&mut self, pos: &Pos, text: impl Into<String>) {
        let placed = Diagnostic::error(pos, text);
        self.push(Diagnostic { pos: None, ..placed });
    }

    /// A warning at a place.
    pub(super) fn warning(&mut self, pos: &Pos, text: impl Into<String>) {
        self.push(Diagnostic::warning(pos, text));
    }

    /// A warning about a key's use.
    pub(super) fn warning_use(&mut self, pos: &Pos, field: &str, text: &str) {
        self.warning(pos, format!("invalid use of field {}: {text}", quote(field)));
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        use crate::server::config::diagnose::Severity;
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    /// From here on, findings of the block that began at `first` name no place: the reference looks
    /// at the block's value without keeping where it stood. Only those at the block itself change.
    pub(super) fn forget_place(&mut self, first: usize, pos: &Pos) {
        for finding in self.findings.iter_mut().skip(first) {
            if finding.pos.as_ref() == Some(pos) {
                finding.pos = None;
            }
        }
    }

    /// A value of a type that its key cannot have; `wanted` is the reference's name of the right one.
    pub(super) fn wrong_type(&mut self, node: &Node, wanted: &str) {
        let text =
            format!("interface conversion: interface {{}} is {}, not {wanted}", node.value.type_name());
        let pos = self.wrong_types_at.clone().unwrap_or_else(|| node.pos.clone());
        self.wrong_types += 1;
        self.error(&pos, text);
    }

    /// Reads every entry of a map by the tables of its block; unknown keys are errors, unless the
    /// entry only serves as a variable.
    pub(super) fn block<T>(&mut self, map: &Map, tables: &[&[Key<T>]], out: &mut T) {
        self.block_or(map, tables, out, |context, entry, known| {
            context.push(Diagnostic::unknown_field(&entry.node.pos, &entry.key, known));
        });
    }

    /// As [`Self::block`], with the block's own text for unknown keys.
    pub(super) fn block_or<T>(
        &mut self,
        map: &Map,
        tables: &[&[Key<T>]],
        out: &mut T,
        unknown: impl Fn(&mut Self, &Entry, &[&str]),
    ) {
        self.block_strict(map, tables, out, |context, entry, known| {
            if !entry.node.used_as_variable {
                unknown(context, entry, known);
            }
        });
    }

    /// As [`Self::block_or`], for blocks that know no variables among their keys.
    pub(super) fn block_strict<T>(
        &mut self,
        map: &Map,
        tables: &[&[Key<T>]],
        out: &mut T,
        unknown: impl Fn(&mut Self, &Entry, &[&str]),
    ) {
        for entry in map {
            let name = entry.key.to_lowercase();
            let mut keys = tables.iter().copied().flatten();
            if let Some(key) = keys.find(|key| key.names.contains(&name.as_str())) {
                (key.read)(self, entry, out);
            } else {
                let known: Vec<&str> =
                    tables.iter().copied().flatten().flat_map(|key| key.names).copied().collect();
                unknown(self, entry, &known);
            }
        }
    }

    /// The map that a block must be; otherwise the block's own text with the type it has instead.
    pub(super) fn map<'n>(&mut self, node: &'n Node, refusal: &str) -> Option<&'n Map> {
        let map = node.value.as_map();
        if map.is_none() {
            self.error(&node.pos, format!("{refusal}, got {}", node.value.type_name()));
        }
        map
    }

    /// The map that a block must be; otherwise the plain refusal of a wrong type.
    pub(super) fn plain_map<'n>(&mut self, node: &'n Node) -> Option<&'n Map> {
        let map = node.value.as_map();
        if map.is_none() {
            self.wrong_type(node, "map[string]interface {}");
        }
        map
    }

    /// The list that a value must be; otherwise the plain refusal of a wrong type.
    pub(super) fn plain_array<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        let items = node.value.as_array();
        if items.is_none() {
            self.wrong_type(node, "[]interface {}");
        }
        items
    }

    /// The text that a value must be; otherwise the plain refusal of a wrong type.
    pub(super) fn str<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        let text = node.value.as_str();
        if text.is_none() {
            self.wrong_type(node, "string");
        }
        text
    }

    /// The whole number that a value must be; otherwise the plain refusal of a wrong type.
    pub(super) fn int(&mut self, node: &Node) -> Option<i64> {
        let number = node.value.as_int().or_else(|| toml_size(node));
        if number.is_none() {
            self.wrong_type(node, "int64");
        }
        number
    }

    /// The truth value that a value must be; otherwise the plain refusal of a wrong type.
    pub(super) fn bool(&mut self, node: &Node) -> Option<bool> {
        let value = node.value.as_bool();
        if value.is_none() {
            self.wrong_type(node, "bool");
        }
        value
    }
}

/// Beyond the reference: TOML has no size suffixes, so a size with one is a text there (`"64mb"`).
fn toml_size(node: &Node) -> Option<i64> {
    let text = node.value.as_str()?;
    if !node.pos.file.ends_with(".toml") || !text.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    match number::integer(text.as_bytes()) {
        Ok(Number::Value(size)) => Some(size),
        _ => None,
    }
}

/// A value as the reference shows it inside a message (Go's `%v`).
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Date(text) => text.trim_end_matches('Z').replacen('T', " ", 1) + " +0000 UTC",
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| shown(&item.value)).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|entry| format!("{}:{}", entry.key, shown(&entry.node.value))).collect();
            entries.sort_unstable();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// Keys of the top level, read into all options.
pub(super) type TopKeys = &'static [Key<Options>];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_be_texts_in_toml_only() {
        let node = |file: &str, text: &str| {
            let pos = Pos { file: file.into(), ..Pos::default() };
            Node::new(Value::String(text.into()), pos)
        };
        assert_eq!(toml_size(&node("x.toml", "64mb")), Some(64 << 20));
        assert_eq!(toml_size(&node("x.toml", "1K")), Some(1000));
        for (file, text) in [("x.conf", "64mb"), ("x.toml", "64"), ("x.toml", "mb"), ("x.toml", "5q")] {
            assert_eq!(toml_size(&node(file, text)), None, "{file} {text}");
        }
    }
}
