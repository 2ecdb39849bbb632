//! Walking through a configuration file's text, character by character and back.
//!
//! Where a line starts is kept as the reference keeps it, since columns are counted from there.

/// The end of the text reads as this character; so does a NUL byte, as in the reference.
pub(super) const END: char = '\0';

/// A place in a text.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    /// Behind the last character read.
    pub(super) pos: usize,
    /// Bytes of the last character read; 0 at the end of the text.
    pub(super) width: usize,
    /// Line of `pos`, counted from 1.
    pub(super) line: usize,
    /// Where the present line starts: its preceding newline, or 0 for the first line. Looking at a
    /// newline already moves it, which is why columns count from 1 behind the first line.
    pub(super) line_start: usize,
}

impl<'a> Cursor<'a> {
    /// The start of `text`.
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, pos: 0, width: 0, line: 1, line_start: 0 }
    }

    /// Reads a character. What is not UTF-8 reads as U+FFFD, a byte at a time.
    pub(super) fn next(&mut self) -> char {
        let Some((&first, rest)) = self.text.get(self.pos..).and_then(<[u8]>::split_first) else {
            self.width = 0;
            return END;
        };
        if first == b'\n' {
            self.line += 1;
            self.line_start = self.pos;
        }
        let c = match first {
            0..0x80 => char::from(first),
            _ => {
                let most = self.text.get(self.pos..self.pos + 1 + rest.len().min(3)).unwrap_or_default();
                first_char(most).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
        };
        self.width = if c == char::REPLACEMENT_CHARACTER && !self.text_at(self.pos, "\u{fffd}") {
            1
        } else {
            c.len_utf8()
        };
        self.pos += self.width;
        c
    }

    /// Takes the last character back; twice in a row goes back twice its width.
    pub(super) fn back(&mut self) {
        self.pos = self.pos.saturating_sub(self.width);
        if self.byte(self.pos) == Some(b'\n') {
            self.line = self.line.saturating_sub(1);
        }
    }

    /// The next character, not read.
    pub(super) fn peek(&mut self) -> char {
        let c = self.next();
        self.back();
        c
    }

    /// A byte of the text.
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Bytes of the text; empty where the range lies outside.
    pub(super) fn bytes(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// How far the next newline is.
    pub(super) fn newline(&self) -> Option<usize> {
        memchr::memchr(b'\n', self.text.get(self.pos..)?)
    }

    fn text_at(&self, at: usize, what: &str) -> bool {
        self.text.get(at..).is_some_and(|rest| rest.starts_with(what.as_bytes()))
    }
}

/// The character that the bytes begin with, if they begin with one.
fn first_char(bytes: &[u8]) -> Option<char> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next()
}
