//! Fields into a document.

use super::read::SubjectPermission;
use crate::server::base::base64::Base64;
use crate::server::protocol::encode;

/// Writes one object, fields in the order they are given.
#[derive(Debug)]
pub struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Begins an object.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        write_text(self.out, name);
        self.out.push(b':');
    }

    /// A string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(self.out, value);
    }

    /// A string, left out when empty.
    pub fn text_if_any(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A truth value.
    pub fn bool(&mut self, name: &str, value: bool) {
        self.name(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A truth value, left out when false.
    pub fn bool_if_true(&mut self, name: &str, value: bool) {
        if value {
            self.bool(name, value);
        }
    }

    /// A number.
    pub fn int(&mut self, name: &str, value: i64) {
        self.name(name);
        if value < 0 {
            self.out.push(b'-');
        }
        encode::number(self.out, value.unsigned_abs());
    }

    /// A number, left out when 0.
    pub fn int_if_any(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.int(name, value);
        }
    }

    /// A number without sign, left out when 0.
    pub fn uint_if_any(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.name(name);
            encode::number(self.out, value);
        }
    }

    /// A number without sign.
    pub fn uint(&mut self, name: &str, value: u64) {
        self.name(name);
        encode::number(self.out, value);
    }

    /// An object inside, filled by `fill`.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.name(name);
        let mut inner = ObjectWriter::new(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// A value that `write` writes, whatever its kind.
    pub fn raw(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.name(name);
        write(self.out);
    }

    /// A list of strings, left out when empty.
    pub fn texts_if_any(&mut self, name: &str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        self.name(name);
        self.out.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            write_text(self.out, value);
        }
        self.out.push(b']');
    }

    /// Bytes as base64, left out when empty.
    pub fn bytes_if_any(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.name(name);
            self.out.push(b'"');
            Base64::Standard.encode_into(value, self.out);
            self.out.push(b'"');
        }
    }

    /// Allowed and denied subjects, left out when there are none.
    pub fn permission_if_any(&mut self, name: &str, value: Option<&SubjectPermission>) {
        if let Some(permission) = value {
            self.name(name);
            let mut inner = ObjectWriter::new(self.out);
            inner.texts_if_any("allow", &permission.allow);
            inner.texts_if_any("deny", &permission.deny);
            inner.end();
        }
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// A string in quotes, escaped as Go does: also `<`, `>`, `&` and the two Unicode line ends.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut buffer = [0; 4];
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\x08' => out.extend_from_slice(b"\\b"),
            '\x0c' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
    out.push(b'"');
}
