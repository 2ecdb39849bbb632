//! Second half of the lexer: values, from their first character to the one that ends them.
//!
//! A bare value is what its shape says: a number, a date, a truth value, a `$variable`, else text.

use super::cursor::END;
use super::lex::{Lexer, Step, TokenKind, shown};

impl<'a> Lexer<'a> {
    /// A value; blanks in front of it are skipped, a newline is an error.
    pub(super) fn value(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' => self.skip(),
            '[' => self.open_array(),
            '{' => self.open_map(),
            '\'' => {
                self.ignore();
                self.raw_text()
            }
            '"' => {
                self.ignore();
                self.escaped_text()
            }
            '(' => {
                self.ignore();
                self.text_block()
            }
            '-' => self.negative_number(),
            '.' => Step::Fail("Floats must start with a digit".into()),
            '\n' | '\r' => Step::Fail("Expected value but found new line".into()),
            c if is_digit(c) => self.number(),
            _ => {
                self.cursor.back();
                self.bare_text()
            }
        }
    }

    /// Behind `'`: everything up to the next one.
    fn raw_text(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '\'' => return self.finish(TokenKind::String, true),
                END => return self.unfinished(),
                _ => {}
            }
        }
    }

    /// Behind `"`: up to the next one that is not escaped.
    fn escaped_text(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '"' => return self.finish(TokenKind::String, true),
                END => return self.unfinished(),
                '\\' => {
                    if let Err(message) = self.escape() {
                        return Step::Fail(message);
                    }
                }
                _ => {}
            }
        }
    }

    /// A word without quotes, from wherever it was read to. Escapes count in it too; a single
    /// quote ends it and is dropped.
    fn bare_text(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '\n' | '\r' | END | ';' | ',' | ']' | '}' | ' ' | '\t' => break,
                '\'' => return self.finish(TokenKind::String, true),
                '\\' => {
                    if let Err(message) = self.escape() {
                        return Step::Fail(message);
                    }
                }
                _ => {}
            }
        }
        self.cursor.back();
        let kind = if self.parts.is_some() {
            TokenKind::String
        } else if is_bool(self.pending()) {
            TokenKind::Bool
        } else if self.cursor.byte(self.start) == Some(b'$') && self.cursor.pos > self.start {
            self.start += 1;
            TokenKind::Variable
        } else {
            TokenKind::String
        };
        let token = self.emit(kind);
        self.emit_and_leave(token)
    }

    /// Behind a backslash: what it stands for goes to `parts`.
    fn escape(&mut self) -> Result<(), String> {
        let before = self.cursor.bytes(self.start, self.cursor.pos.saturating_sub(1));
        self.parts.get_or_insert_default().extend_from_slice(before);
        let byte = match self.cursor.next() {
            'x' => self.hex_digits()?,
            't' => b'\t',
            'n' => b'\n',
            'r' => b'\r',
            '"' => b'"',
            '\\' => b'\\',
            other => {
                return Err(format!(
                    "Invalid escape character '{}'. Only the following escape characters are allowed: \
                     \\xXX, \\t, \\n, \\r, \\\", \\\\.",
                    shown(other)
                ));
            }
        };
        self.parts.get_or_insert_default().push(byte);
        self.start = self.cursor.pos;
        Ok(())
    }

    fn hex_digits(&mut self) -> Result<u8, String> {
        for _ in 0..2 {
            if matches!(self.cursor.next(), '\n' | '\r') {
                return Err("Expected two hexadecimal digits after '\\x', but hit end of line".into());
            }
        }
        let digits = self.cursor.bytes(self.cursor.pos.saturating_sub(2), self.cursor.pos);
        match digits {
            [high, low] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        }
        .ok_or_else(|| {
            format!(
                "Expected two hexadecimal digits after '\\x', but got '{}'",
                String::from_utf8_lossy(digits)
            )
        })
    }

    /// Behind `(`: lines up to a `)` that stands alone on its line.
    fn text_block(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                END => return Step::Fail("Unexpected EOF processing block.".into()),
                ')' if self.cursor.pos.checked_sub(2).and_then(|at| self.cursor.byte(at)) == Some(b'\n') => {}
                _ => continue,
            }
            if !matches!(self.cursor.next(), '\n' | END) {
                self.cursor.back();
                continue;
            }
            // At the very end of the text nothing was read, so nothing is taken back: without a
            // last newline the parenthesis stays part of the text, as in the reference.
            self.cursor.back();
            self.cursor.back();
            let token = self.emit(TokenKind::String);
            self.cursor.next();
            self.ignore();
            return self.emit_and_leave(token);
        }
    }

    /// Behind a digit: a whole number, or whatever else begins with digits.
    fn number(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '-' if self.cursor.pos - self.start == "2026-".len() => return self.date(),
                '-' => return Step::Fail("All ISO8601 dates must be in full Zulu form.".into()),
                '.' => return self.fraction(),
                '\n' | '\r' | END | '}' | ';' | ',' | ' ' | '\t' => {
                    return self.finish(TokenKind::Integer, false);
                }
                c if is_digit(c) => {}
                c if is_size(c) => return self.size_suffix(),
                // Any other character makes it text, also a `]` that was to end an array.
                _ => return self.bare_text(),
            }
        }
    }

    /// Behind `-`.
    fn negative_number(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if is_digit(c) => {}
            '.' => return Step::Fail("Floats must start with a digit, not '.'.".into()),
            c => return Step::Fail(format!("Expected a digit but got '{}'.", shown(c))),
        }
        loop {
            match self.cursor.next() {
                '.' => return self.fraction(),
                c if is_digit(c) => {}
                c if is_size(c) => return self.size_suffix(),
                _ => return self.finish(TokenKind::Integer, false),
            }
        }
    }

    /// Behind the first letter of a size suffix.
    fn size_suffix(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                'b' | 'B' | 'i' | 'I' => {}
                '\n' | '\r' | END | '}' | ';' | ',' | ' ' | '\t' => {
                    return self.finish(TokenKind::Integer, false);
                }
                _ => {
                    self.cursor.back();
                    return self.bare_text();
                }
            }
        }
    }

    /// Behind the dot of a number.
    fn fraction(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if is_digit(c) => {}
            c => {
                return Step::Fail(format!(
                    "Floats must have a digit after the '.', but got '{}' instead.",
                    shown(c)
                ));
            }
        }
        loop {
            match self.cursor.next() {
                '.' => return self.address(),
                c if is_digit(c) => {}
                _ => return self.finish(TokenKind::Float, false),
            }
        }
    }

    /// Behind the second dot of what looked like a number: `127.0.0.1:4222`.
    fn address(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '.' | ':' | '-' => {}
                c if is_digit(c) => {}
                _ => return self.finish(TokenKind::String, false),
            }
        }
    }

    /// Behind a year and its dash.
    fn date(&mut self) -> Step<'a> {
        for expected in "00-00T00:00:00Z".chars() {
            let found = self.cursor.next();
            if expected == '0' && !is_digit(found) {
                return Step::Fail(format!(
                    "Expected digit in ISO8601 datetime, but found '{}' instead.",
                    shown(found)
                ));
            }
            if expected != '0' && expected != found {
                return Step::Fail(format!(
                    "Expected '{expected}' in ISO8601 datetime, but found '{}' instead.",
                    shown(found)
                ));
            }
        }
        let token = self.emit(TokenKind::Date);
        self.emit_and_leave(token)
    }
}

fn is_bool(word: &[u8]) -> bool {
    ["true", "false", "on", "off", "yes", "no"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

const fn is_size(c: char) -> bool {
    matches!(c, 'k' | 'K' | 'm' | 'M' | 'g' | 'G' | 't' | 'T' | 'p' | 'P' | 'e' | 'E')
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// A decimal digit of any script: each of them begins a number, though only `0` to `9` can be one.
pub(super) fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && OTHER_DIGITS.iter().any(|range| range.contains(&c)))
}

/// Unicode 15, general category Nd, without ASCII.
const OTHER_DIGITS: [std::ops::RangeInclusive<char>; 63] = [
    '\u{660}'..='\u{669}',
    '\u{6f0}'..='\u{6f9}',
    '\u{7c0}'..='\u{7c9}',
    '\u{966}'..='\u{96f}',
    '\u{9e6}'..='\u{9ef}',
    '\u{a66}'..='\u{a6f}',
    '\u{ae6}'..='\u{aef}',
    '\u{b66}'..='\u{b6f}',
    '\u{be6}'..='\u{bef}',
    '\u{c66}'..='\u{c6f}',
    '\u{ce6}'..='\u{cef}',
    '\u{d66}'..='\u{d6f}',
    '\u{de6}'..='\u{def}',
    '\u{e50}'..='\u{e59}',
    '\u{ed0}'..='\u{ed9}',
    '\u{f20}'..='\u{f29}',
    '\u{1040}'..='\u{1049}',
    '\u{1090}'..='\u{1099}',
    '\u{17e0}'..='\u{17e9}',
    '\u{1810}'..='\u{1819}',
    '\u{1946}'..='\u{194f}',
    '\u{19d0}'..='\u{19d9}',
    '\u{1a80}'..='\u{1a89}',
    '\u{1a90}'..='\u{1a99}',
    '\u{1b50}'..='\u{1b59}',
    '\u{1bb0}'..='\u{1bb9}',
    '\u{1c40}'..='\u{1c49}',
    '\u{1c50}'..='\u{1c59}',
    '\u{a620}'..='\u{a629}',
    '\u{a8d0}'..='\u{a8d9}',
    '\u{a900}'..='\u{a909}',
    '\u{a9d0}'..='\u{a9d9}',
    '\u{a9f0}'..='\u{a9f9}',
    '\u{aa50}'..='\u{aa59}',
    '\u{abf0}'..='\u{abf9}',
    '\u{ff10}'..='\u{ff19}',
    '\u{104a0}'..='\u{104a9}',
    '\u{10d30}'..='\u{10d39}',
    '\u{11066}'..='\u{1106f}',
    '\u{110f0}'..='\u{110f9}',
    '\u{11136}'..='\u{1113f}',
    '\u{111d0}'..='\u{111d9}',
    '\u{112f0}'..='\u{112f9}',
    '\u{11450}'..='\u{11459}',
    '\u{114d0}'..='\u{114d9}',
    '\u{11650}'..='\u{11659}',
    '\u{116c0}'..='\u{116c9}',
    '\u{11730}'..='\u{11739}',
    '\u{118e0}'..='\u{118e9}',
    '\u{11950}'..='\u{11959}',
    '\u{11c50}'..='\u{11c59}',
    '\u{11d50}'..='\u{11d59}',
    '\u{11da0}'..='\u{11da9}',
    '\u{11f50}'..='\u{11f59}',
    '\u{16a60}'..='\u{16a69}',
    '\u{16ac0}'..='\u{16ac9}',
    '\u{16b50}'..='\u{16b59}',
    '\u{1d7ce}'..='\u{1d7ff}',
    '\u{1e140}'..='\u{1e149}',
    '\u{1e2f0}'..='\u{1e2f9}',
    '\u{1e4f0}'..='\u{1e4f9}',
    '\u{1e950}'..='\u{1e959}',
    '\u{1fbf0}'..='\u{1fbf9}',
];
