//! The grammar, byte by byte: a state machine that needs no stack of calls, and Go's words for what
//! fits nowhere.

use super::JsonError;
use crate::server::base::quote::{quote, quote_inside};

/// Deepest nesting. Reference: 10,000.
const DEPTH_MAX: usize = 10_000;

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
            let mut out = "'".to_owned();
            quote_inside(&mut out, character.encode_utf8(&mut buffer).as_bytes());
            out + "'"
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

pub(super) const fn is_space(byte: u8) -> bool {
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
