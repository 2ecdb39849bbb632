//! Values as slices of a checked document: taken apart only where somebody looks.

use std::borrow::Cow;

use super::JsonError;
use super::scan::{check, is_space};

/// A value inside a checked document, still as text without white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value of a whole document.
    ///
    /// # Errors
    /// As [`check`].
    pub fn parse(text: &'a [u8]) -> Result<Self, JsonError> {
        check(text)?;
        Ok(Self(text.trim_ascii()))
    }

    /// Its text.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.0
    }

    /// What Go calls its kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self.0.first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "null",
            _ => "number",
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == b"null"
    }

    /// Its text, if it is a string: escapes resolved, what is no text replaced by U+FFFD.
    #[must_use]
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if !inside.contains(&b'\\')
            && let Ok(plain) = std::str::from_utf8(inside)
        {
            return Some(Cow::Borrowed(plain));
        }
        Some(Cow::Owned(unescape(inside)))
    }

    /// Names and values of an object, in order; nothing for other kinds.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut parts = Parts::new(self.0, b"{");
        std::iter::from_fn(move || {
            let name = parts.next()?.text()?;
            Some((name, parts.next()?))
        })
    }

    /// Values of an array, in order; nothing for other kinds.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        Parts::new(self.0, b"[")
    }
}

/// The values directly inside an array or object, names of members among them.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Parts<'a> {
    fn new(text: &'a [u8], opening: &[u8]) -> Self {
        Self { rest: text.strip_prefix(opening).unwrap_or_default() }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let between = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b':');
        let start = self.rest.iter().position(|byte| !between(byte))?;
        let rest = self.rest.get(start..)?;
        let len = value_len(rest)?;
        let (value, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Value(value))
    }
}

/// Bytes of the value that a checked text begins with; `None` at a closing bracket.
fn value_len(text: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    quoted = false;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at).filter(|&at| at > 0),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' | b':' if depth == 0 => return Some(at),
            _ if depth == 0 && is_space(byte) => return Some(at),
            _ => {}
        }
    }
    Some(text.len()).filter(|&len| len > 0)
}

fn unescape(inside: &[u8]) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or_default();
        push_lossy(&mut out, plain);
        let (character, len) = escape_of(escape);
        out.push(character);
        rest = escape.get(len..).unwrap_or_default();
    }
    push_lossy(&mut out, rest);
    out
}

/// The character that an escape stands for, and its length.
fn escape_of(escape: &[u8]) -> (char, usize) {
    const LONE_SURROGATE: char = char::REPLACEMENT_CHARACTER;
    match escape.get(1) {
        Some(b'b') => ('\x08', 2),
        Some(b'f') => ('\x0c', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => {
            let unit = hex(escape);
            if let Some(character) = char::from_u32(unit) {
                return (character, 6);
            }
            let low = escape.get(6..).filter(|next| next.starts_with(b"\\u")).map(hex);
            match low {
                Some(low @ 0xdc00..=0xdfff) if unit < 0xdc00 => {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    (char::from_u32(code).unwrap_or(LONE_SURROGATE), 12)
                }
                _ => (LONE_SURROGATE, 6),
            }
        }
        Some(&byte) => (char::from(byte), 2),
        None => (LONE_SURROGATE, 1),
    }
}

/// The four digits of `\uXXXX`.
fn hex(escape: &[u8]) -> u32 {
    let digits = escape.get(2..6).unwrap_or_default();
    digits.iter().fold(0, |value, &digit| value * 16 + char::from(digit).to_digit(16).unwrap_or(0))
}

/// Every byte that is no text becomes its own U+FFFD.
fn push_lossy(out: &mut String, raw: &[u8]) {
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}
