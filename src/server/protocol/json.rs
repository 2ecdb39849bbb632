//! JSON as the reference reads and writes it (Go 1.27's `encoding/json`).
//!
//! Reading differs from common libraries where users notice: fields are found in any case, unknown
//! ones are skipped, the last of equal keys wins, absent ones keep what was there, and mistakes are
//! told in Go's words, which end up in logs and API answers. Nesting is bounded and costs no stack.

use std::borrow::Cow;

use super::quote::quote;

/// Deepest nesting. Reference: 10,000.
const DEPTH_MAX: usize = 10_000;

/// Why a document was refused; the texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A character that fits nowhere.
    #[error("invalid character {character} {context}")]
    InvalidCharacter {
        /// The character in single quotes.
        character: String,
        /// Where it stood.
        context: &'static str,
        /// Bytes before it.
        offset: usize,
    },
    /// A backslash in a string with something that means nothing.
    #[error("invalid escape sequence {sequence} in string")]
    InvalidEscape {
        /// The sequence in quotes.
        sequence: String,
        /// Bytes before it.
        offset: usize,
    },
    /// More than 10,000 arrays and objects inside each other.
    #[error("exceeded max depth")]
    TooDeep,
    /// The document stops in the middle.
    #[error("unexpected end of JSON input")]
    UnexpectedEnd,
    /// A value of another kind than the field.
    #[error("json: cannot unmarshal {value} into {} of type {kind}", place_of(.structure, .field))]
    WrongType {
        /// What was there: `string`, `number 1.5`, `object`.
        value: String,
        /// The reference's name of the document.
        structure: &'static str,
        /// The path from the document as the peer wrote it; empty for the document itself.
        field: String,
        /// The reference's name of the field's type.
        kind: &'static str,
    },
    /// A field of bytes whose text is no base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
}

/// The first character of `text` in single quotes.
fn quote_character(text: &[u8]) -> String {
    let Some(chunk) = text.utf8_chunks().next() else { return String::new() };
    let Some(character) = chunk.valid().chars().next() else {
        return format!("'\\x{:02x}'", text.first().copied().unwrap_or_default());
    };
    match character {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        _ => {
            let mut buffer = [0; 4];
            let quoted = quote(character.encode_utf8(&mut buffer).as_bytes());
            let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            format!("'{}'", inside.unwrap_or_default())
        }
    }
}

/// An escape between backticks, or in double quotes if that would not show it well.
fn quote_escape(sequence: &[u8]) -> String {
    let quoted = quote(sequence);
    let plain = String::from_utf8_lossy(sequence);
    // Only the backslash at the start, and double quotes, may differ from what prints as it is.
    let prints = quoted.len() == plain.len() + 3 + plain.matches('"').count();
    if prints && !plain.contains(['`', ' ']) { format!("`{plain}`") } else { quoted }
}

fn place_of(structure: &str, field: &str) -> String {
    let in_array = field.rsplit('.').next().is_some_and(|last| last.parse::<usize>().is_ok());
    match field {
        "" => "Go value".to_owned(),
        _ if in_array => format!("{structure}.{field}"),
        _ => format!("Go struct field {structure}.{field}"),
    }
}

/// Why a byte fits nowhere.
#[derive(Clone, Copy)]
enum Misfit {
    Character(&'static str),
    /// The escape began so many bytes before.
    Escape(usize),
    Depth,
}

impl Misfit {
    fn error(self, text: &[u8], at: usize) -> JsonError {
        match self {
            Self::Character(context) => {
                let character = quote_character(text.get(at..).unwrap_or_default());
                JsonError::InvalidCharacter { character, context, offset: at }
            }
            Self::Escape(before) => {
                const LONG: usize = br"\uXXXX".len();
                let offset = at.saturating_sub(before);
                let rest = text.get(offset..).unwrap_or_default();
                let len = if before == 1 { 2 } else { LONG };
                let sequence = quote_escape(rest.get(..len).unwrap_or(rest));
                JsonError::InvalidEscape { sequence, offset }
            }
            Self::Depth => JsonError::TooDeep,
        }
    }
}

/// What a grammar position expects next.
#[derive(Clone, Copy)]
enum State {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    AfterValue,
    Text,
    Escape,
    Hex(u8),
    Minus,
    Zero,
    Digits,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Word { rest: &'static [u8], contexts: &'static [&'static str] },
}

/// What a nested value is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Key,
    Member,
    Array,
}

const TRUE: &[&str] = &[
    "in literal true (expecting 'r')",
    "in literal true (expecting 'u')",
    "in literal true (expecting 'e')",
];
const FALSE: &[&str] = &[
    "in literal false (expecting 'a')",
    "in literal false (expecting 'l')",
    "in literal false (expecting 's')",
    "in literal false (expecting 'e')",
];
const NULL: &[&str] = &[
    "in literal null (expecting 'u')",
    "in literal null (expecting 'l')",
    "in literal null (expecting 'l')",
];

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Checks that `text` is one JSON value and nothing else.
///
/// # Errors
/// The first byte that fits nowhere, or a missing end.
pub fn check(text: &[u8]) -> Result<(), JsonError> {
    let mut scanner = Scanner { state: State::Value, inside: Vec::new() };
    for (at, &byte) in text.iter().enumerate() {
        scanner.step(byte).map_err(|misfit| misfit.error(text, at))?;
    }
    // A number ends only with what follows it.
    let ended = scanner.step(b' ').is_ok() && matches!(scanner.state, State::AfterValue);
    if ended && scanner.inside.is_empty() { Ok(()) } else { Err(JsonError::UnexpectedEnd) }
}

struct Scanner {
    state: State,
    inside: Vec<Inside>,
}

impl Scanner {
    fn step(&mut self, byte: u8) -> Result<(), Misfit> {
        match self.state {
            State::Value | State::ValueOrEnd | State::KeyOrEnd | State::Key | State::AfterValue
                if is_space(byte) => {}
            State::ValueOrEnd if byte == b']' => self.close(),
            State::Value | State::ValueOrEnd => return self.value(byte),
            State::KeyOrEnd if byte == b'}' => self.close(),
            State::KeyOrEnd | State::Key => {
                if byte != b'"' {
                    return Err(Misfit::Character("looking for beginning of object key string"));
                }
                self.state = State::Text;
            }
            State::AfterValue => return self.after_value(byte),
            State::Text => match byte {
                b'"' => self.state = State::AfterValue,
                b'\\' => self.state = State::Escape,
                0..0x20 => return Err(Misfit::Character("in string")),
                _ => {}
            },
            State::Escape => match byte {
                b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.state = State::Text,
                b'u' => self.state = State::Hex(0),
                _ => return Err(Misfit::Escape(1)),
            },
            State::Hex(seen) => {
                if !byte.is_ascii_hexdigit() {
                    return Err(Misfit::Escape(2 + usize::from(seen)));
                }
                self.state = if seen == 3 { State::Text } else { State::Hex(seen + 1) };
            }
            State::Word { rest, contexts } => return self.word(byte, rest, contexts),
            _ => return self.number(byte),
        }
        Ok(())
    }

    fn value(&mut self, byte: u8) -> Result<(), Misfit> {
        self.state = match byte {
            b'{' => return self.open(Inside::Key, State::KeyOrEnd),
            b'[' => return self.open(Inside::Array, State::ValueOrEnd),
            b'"' => State::Text,
            b'-' => State::Minus,
            b'0' => State::Zero,
            b'1'..=b'9' => State::Digits,
            b't' => State::Word { rest: b"rue", contexts: TRUE },
            b'f' => State::Word { rest: b"alse", contexts: FALSE },
            b'n' => State::Word { rest: b"ull", contexts: NULL },
            _ => return Err(Misfit::Character("looking for beginning of value")),
        };
        Ok(())
    }

    fn word(
        &mut self,
        byte: u8,
        rest: &'static [u8],
        contexts: &'static [&'static str],
    ) -> Result<(), Misfit> {
        let (Some((&want, rest)), Some((&context, contexts))) = (rest.split_first(), contexts.split_first())
        else {
            return self.after_value(byte);
        };
        if byte != want {
            return Err(Misfit::Character(context));
        }
        self.state = if rest.is_empty() { State::AfterValue } else { State::Word { rest, contexts } };
        Ok(())
    }

    fn number(&mut self, byte: u8) -> Result<(), Misfit> {
        self.state = match (self.state, byte) {
            (State::Minus, b'0') => State::Zero,
            (State::Minus, b'1'..=b'9') | (State::Digits, b'0'..=b'9') => State::Digits,
            (State::Zero | State::Digits, b'.') => State::Point,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Zero | State::Digits | State::Fraction, b'e' | b'E') => State::Exponent,
            (State::Exponent, b'+' | b'-') => State::ExponentSign,
            (State::Exponent | State::ExponentSign | State::ExponentDigits, b'0'..=b'9') => {
                State::ExponentDigits
            }
            (State::Minus | State::Point | State::Exponent | State::ExponentSign, _) => {
                return Err(Misfit::Character("in numeric literal"));
            }

            _ => {
                self.state = State::AfterValue;
                return if is_space(byte) { Ok(()) } else { self.after_value(byte) };
            }
        };
        Ok(())
    }

    fn after_value(&mut self, byte: u8) -> Result<(), Misfit> {
        let Some(inside) = self.inside.last_mut() else {
            return Err(Misfit::Character("after top-level value"));
        };
        match (*inside, byte) {
            (Inside::Key, b':') => {
                *inside = Inside::Member;
                self.state = State::Value;
            }
            (Inside::Member, b',') => {
                *inside = Inside::Key;
                self.state = State::Key;
            }
            (Inside::Array, b',') => self.state = State::Value,
            (Inside::Member, b'}') | (Inside::Array, b']') => self.close(),
            (Inside::Key, _) => return Err(Misfit::Character("after object key")),
            (Inside::Member, _) => return Err(Misfit::Character("after object key:value pair")),
            (Inside::Array, _) => return Err(Misfit::Character("after array element")),
        }
        Ok(())
    }

    fn open(&mut self, inside: Inside, state: State) -> Result<(), Misfit> {
        if self.inside.len() >= DEPTH_MAX {
            return Err(Misfit::Depth);
        }
        self.inside.push(inside);
        self.state = state;
        Ok(())
    }

    fn close(&mut self) {
        self.inside.pop();
        self.state = State::AfterValue;
    }
}

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

/// A field of a document, ready to take a value.
#[derive(Debug)]
pub enum Slot<'s> {
    /// `bool`
    Bool(&'s mut bool),
    /// `int`
    Int(&'s mut i64),
    /// `int32`
    Int32(&'s mut i32),
    /// `uint64`
    Uint64(&'s mut u64),
    /// `uint8`
    Byte(&'s mut u8),
    /// `string`
    Text(&'s mut String),
    /// `[]string`
    Texts(&'s mut Vec<String>),
    /// `[]uint8`, base64 in the document
    Bytes(&'s mut Vec<u8>),
    /// Allowed and denied subjects.
    Permission(&'s mut Option<SubjectPermission>),
}

/// A document with fields.
pub trait Document {
    /// The reference's name, as it stands in error texts: `ClientOpts`.
    const NAME: &'static str;
    /// The reference's name of the whole type: `server.ClientOpts`.
    const TYPE: &'static str;
    /// Names of all fields.
    const FIELDS: &'static [&'static str];

    /// The field of this name, one of `FIELDS`.
    fn slot(&mut self, name: &str) -> Option<Slot<'_>>;
}

/// Reads `text` into a document; what `text` does not mention keeps its value.
///
/// # Errors
/// Text that is no JSON changes nothing. Values of the wrong kind are skipped; the first is reported
/// after everything else was read.
pub fn read<D: Document>(document: &mut D, text: &[u8]) -> Result<(), JsonError> {
    let value = Value::parse(text)?;
    let mut mistakes = Mistakes { structure: D::NAME, first: None };
    match value.kind() {
        "object" => members_into(document, value, "", &mut mistakes),
        "null" => {}
        kind => mistakes.wrong(kind.to_owned(), "", D::TYPE),
    }
    mistakes.first.map_or(Ok(()), Err)
}

struct Mistakes {
    structure: &'static str,
    first: Option<JsonError>,
}

impl Mistakes {
    fn wrong(&mut self, value: String, field: &str, kind: &'static str) {
        let (structure, field) = (self.structure, field.to_owned());
        self.first.get_or_insert(JsonError::WrongType { value, structure, field, kind });
    }
}

fn members_into<D: Document>(document: &mut D, object: Value<'_>, path: &str, mistakes: &mut Mistakes) {
    for (name, value) in object.members() {
        let exact = D::FIELDS.iter().find(|field| **field == name);
        let Some(field) = exact.or_else(|| D::FIELDS.iter().find(|field| same_folded(field, &name))) else {
            continue;
        };
        if let Some(slot) = document.slot(field) {
            fill(slot, value, &format!("{path}{name}"), mistakes);
        }
    }
}

/// Equal but for case; Go's folding also takes the long s and the Kelvin sign.
fn same_folded(field: &str, name: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    field.chars().map(fold).eq(name.chars().map(fold))
}

fn fill(slot: Slot<'_>, value: Value<'_>, path: &str, mistakes: &mut Mistakes) {
    if value.is_null() {
        match slot {
            Slot::Texts(texts) => texts.clear(),
            Slot::Bytes(bytes) => bytes.clear(),
            Slot::Permission(permission) => *permission = None,
            _ => {}
        }
        return;
    }
    let kind = value.kind();
    match slot {
        Slot::Bool(target) => match value.raw() {
            b"true" => *target = true,
            b"false" => *target = false,
            _ => mistakes.wrong(kind.to_owned(), path, "bool"),
        },
        Slot::Int(target) => integer(target, value, path, "int", mistakes),
        Slot::Int32(target) => integer(target, value, path, "int32", mistakes),
        Slot::Uint64(target) => integer(target, value, path, "uint64", mistakes),
        Slot::Byte(target) => integer(target, value, path, "uint8", mistakes),
        Slot::Text(target) => match value.text() {
            Some(text) => *target = text.into_owned(),
            None => mistakes.wrong(kind.to_owned(), path, "string"),
        },
        Slot::Texts(target) if kind == "array" => {
            target.clear();
            for (at, element) in value.elements().enumerate() {
                let mut text = String::new();
                fill(Slot::Text(&mut text), element, &format!("{path}.{at}"), mistakes);
                target.push(text);
            }
        }
        Slot::Texts(_) => mistakes.wrong(kind.to_owned(), path, "[]string"),
        Slot::Bytes(target) => match value.text() {
            Some(text) => match from_base64(text.as_bytes()) {
                Ok(bytes) => *target = bytes,
                Err(at) => {
                    mistakes.first.get_or_insert(JsonError::Base64(at));
                }
            },
            None => mistakes.wrong(kind.to_owned(), path, "[]uint8"),
        },
        Slot::Permission(target) => {
            let permission = target.get_or_insert_default();
            if kind == "object" {
                members_into(permission, value, &format!("{path}."), mistakes);
            } else {
                mistakes.wrong(kind.to_owned(), path, "server.SubjectPermission");
            }
        }
    }
}

fn integer<N: std::str::FromStr>(
    target: &mut N,
    value: Value<'_>,
    path: &str,
    kind: &'static str,
    mistakes: &mut Mistakes,
) {
    if value.kind() != "number" {
        mistakes.wrong(value.kind().to_owned(), path, kind);
        return;
    }
    let text = String::from_utf8_lossy(value.raw());
    match text.parse() {
        Ok(number) => *target = number,
        Err(_) => mistakes.wrong(format!("number {text}"), path, kind),
    }
}

/// Subjects allowed and denied, as routes and leaf nodes tell each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectPermission {
    /// Subjects allowed; none means all.
    pub allow: Vec<String>,
    /// Subjects denied.
    pub deny: Vec<String>,
}

impl Document for SubjectPermission {
    const NAME: &'static str = "SubjectPermission";
    const TYPE: &'static str = "server.SubjectPermission";
    const FIELDS: &'static [&'static str] = &["allow", "deny"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        match name {
            "allow" => Some(Slot::Texts(&mut self.allow)),
            "deny" => Some(Slot::Texts(&mut self.deny)),
            _ => None,
        }
    }
}

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
        super::encode::number(self.out, value.unsigned_abs());
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
            super::encode::number(self.out, value);
        }
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
            to_base64(value, self.out);
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

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| (group << 8) | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place)) & 0x3f;
            let character = BASE64.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { character } else { b'=' });
        }
    }
}

/// Standard base64 with padding; line ends are skipped. The error is the place of the wrong byte.
fn from_base64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count, mut padding) = (0_u32, 0_u32, 0_u32);
    for (at, &byte) in text.iter().enumerate() {
        if matches!(byte, b'\r' | b'\n') {
            continue;
        }
        let digit = BASE64.iter().position(|&known| known == byte);
        match digit {
            Some(digit) if padding == 0 => group = (group << 6) | u32::try_from(digit).unwrap_or(0),
            None if byte == b'=' && count >= 2 && padding < 2 => {
                group <<= 6;
                padding += 1;
            }
            _ => return Err(at),
        }
        count += 1;
        if count == 4 {
            let [_, bytes @ ..] = group.to_be_bytes();
            out.extend_from_slice(bytes.get(..3 - padding as usize).unwrap_or_default());
            if padding > 0 {
                let rest = text.iter().skip(at + 1).position(|byte| !matches!(byte, b'\r' | b'\n'));
                return rest.map_or(Ok(out), |more| Err(at + 1 + more));
            }
            (group, count) = (0, 0);
        }
    }
    if count == 0 { Ok(out) } else { Err(text.len()) }
}

/// Feeds arbitrary bytes to the reader; for fuzzing.
#[doc(hidden)]
pub fn fuzz_json(data: &[u8]) {
    let mut permission = SubjectPermission::default();
    let _ = read(&mut permission, data);
    if let Ok(value) = Value::parse(data) {
        let _ = (value.text(), value.members().count(), value.elements().count());
    }
    let _ = from_base64(data);
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;
