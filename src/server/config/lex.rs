//! First step of reading a configuration file: text becomes tokens.
//!
//! The grammar is line-oriented and forgiving, and the reference's corners are part of it: where a
//! bare word ends, that `[1,2]` needs a blank before its bracket, that a lone `/` behind a value
//! is skipped. Tests hold them against answers of the reference. Scalars are scanned in
//! `lex_value`; this file knows statements, maps, arrays and includes.
//!
//! ```text
//! Top ----key----> value --> TopEnd --newline , ; }--> Top
//! Top --{--> Block --key--> value --> BlockEnd --newline , ;--> Block
//!                                     BlockEnd --}--> BlockClose --}--> (where the brace stood)
//! value --{--> MapKey --key--> value --> MapEnd --newline , ;--> MapKey --}--> (behind the value)
//! value --[--> Item --value--> ItemEnd --newline ,--> Item --]--> (behind the value)
//! ```

use std::borrow::Cow;

use super::cursor::{Cursor, END};
use super::lex_value::is_digit;
use super::value::Span;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// Left of a value.
    Key,
    /// Text, quoted or bare, escapes resolved.
    String,
    /// One of `true yes on false no off`.
    Bool,
    /// Digits with an optional sign and size suffix.
    Integer,
    /// Digits, a dot, digits.
    Float,
    /// `YYYY-MM-DDTHH:MM:SSZ` by shape; its ranges are not checked yet.
    Date,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `{`
    MapStart,
    /// `}`
    MapEnd,
    /// The name behind a bare `$`.
    Variable,
    /// The file behind `include`.
    Include,
    /// Nothing follows. Also where a quoted text has neither content nor an end.
    Eof,
    /// What stands here is none of the above; `text` says why.
    Error,
}

/// A piece of the text that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its content, or an error's message.
    pub text: Cow<'a, [u8]>,
    /// Line from 1.
    pub line: usize,
    /// Column as the reference counts it.
    pub column: isize,
    /// True place.
    pub span: Span,
}

/// Splits a text into tokens. After [`TokenKind::Eof`] it only repeats that; after [`TokenKind::Error`] it
/// stands still until [`Lexer::resume`].
#[derive(Debug)]
pub struct Lexer<'a> {
    pub(super) cursor: Cursor<'a>,
    /// First byte of the token being read that is not in `parts` yet.
    pub(super) start: usize,
    /// First byte of the token being read.
    token_start: usize,
    /// `line_start` as it was when the token being read began.
    token_line_start: usize,
    /// What was read of a text with escapes before `start`.
    pub(super) parts: Option<Vec<u8>>,
    state: State,
    /// Where to go on behind the value being read, innermost last.
    returns: Vec<State>,
    /// Where an error stopped the reading.
    failed: Option<State>,
}

/// What is expected next. See the drawing at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Top,
    TopEnd,
    Block,
    BlockEnd,
    BlockClose,
    Key,
    Value,
    MapKey,
    MapValue,
    MapEnd,
    Item,
    ItemEnd,
    Include,
    /// Behind a key: the separator is still to come.
    Separator(Inside),
    Done,
}

/// Where a key stands. Maps and statements differ in what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Statement,
    Map,
}

/// One move of the lexer.
pub(super) enum Step<'a> {
    /// Nothing to report yet.
    Go,
    Emit(Token<'a>),
    Fail(String),
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub const fn new(text: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(text),
            start: 0,
            token_start: 0,
            token_line_start: 0,
            parts: None,
            state: State::Top,
            returns: Vec::new(),
            failed: None,
        }
    }

    /// The next token.
    pub fn next_token(&mut self) -> Token<'a> {
        loop {
            let state = self.state;
            let step = match state {
                State::Top => self.top(),
                State::TopEnd => self.top_end(),
                State::Block => self.block(),
                State::BlockEnd => self.block_end(),
                State::BlockClose => self.block_close(),
                State::Key => self.key(),
                State::Value => self.value(),
                State::MapKey => self.map_key(),
                State::MapValue => self.map_value(),
                State::MapEnd => self.map_end(),
                State::Item => self.item(),
                State::ItemEnd => self.item_end(),
                State::Include => self.include(),
                State::Separator(inside) => self.separator(inside),
                State::Done => Step::Emit(self.emit(TokenKind::Eof)),
            };
            match step {
                Step::Go => {}
                Step::Emit(token) => {
                    if token.kind == TokenKind::Eof {
                        self.state = State::Done;
                    }
                    return token;
                }
                Step::Fail(message) => return self.fail(state, message),
            }
        }
    }

    /// Goes on behind an error: at the next line, in the innermost map, array or block that was
    /// open. Does nothing without an error or at the end of the text.
    pub fn resume(&mut self) {
        let Some(failed) = self.failed.take() else { return };
        let Some(line_end) = self.cursor.newline() else { return };
        let Some(state) = self.enclosing(failed) else { return };
        self.cursor.pos += line_end;
        self.cursor.next();
        self.parts = None;
        self.ignore();
        self.state = state;
    }

    /// What is expected at a fresh line after an error in `failed`.
    fn enclosing(&mut self, failed: State) -> Option<State> {
        let behind = match failed {
            State::Value | State::Key | State::Include | State::Separator(Inside::Statement) => {
                self.returns.pop()?
            }
            other => other,
        };
        Some(match behind {
            State::Block | State::BlockEnd | State::BlockClose => State::Block,
            State::MapKey | State::MapValue | State::MapEnd | State::Separator(_) => State::MapKey,
            State::Item | State::ItemEnd => State::Item,
            _ => State::Top,
        })
    }

    fn fail(&mut self, state: State, message: String) -> Token<'a> {
        self.failed = Some(state);
        self.state = State::Done;
        Token {
            kind: TokenKind::Error,
            text: Cow::Owned(message.into_bytes()),
            line: self.cursor.line,
            column: distance(self.cursor.line_start, self.cursor.pos),
            span: Span {
                start: self.cursor.pos.saturating_sub(self.cursor.width.max(1)),
                end: self.cursor.pos,
            },
        }
    }
}

/// Statements: outside of any braces, and inside braces around the whole file.
impl<'a> Lexer<'a> {
    fn top(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if c.is_whitespace() => self.skip(),
            '{' => {
                self.returns.push(State::Top);
                self.skip_to(State::Block)
            }
            c => self.statement(c, State::Top, State::TopEnd),
        }
    }

    fn block(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if c.is_whitespace() => self.skip(),
            '{' => {
                self.returns.push(State::BlockClose);
                self.skip()
            }
            '}' => {
                self.ignore();
                self.leave()
            }
            c => self.statement(c, State::Block, State::BlockEnd),
        }
    }

    /// A comment, the end, or a key whose value is followed by `end`; `c` was just read.
    fn statement(&mut self, c: char, state: State, end: State) -> Step<'a> {
        match self.comment(c) {
            Slash::Comment => return self.go(state),
            Slash::Alone => return Step::Fail("Unexpected EOF.".into()),
            Slash::No => {}
        }
        if c == END {
            return self.unfinished();
        }
        self.cursor.back();
        self.returns.push(end);
        self.go(State::Key)
    }

    fn top_end(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' => Step::Go,
            '\n' | '\r' | END | ';' | ',' | '}' => self.skip_to(State::Top),
            c => match self.comment(c) {
                Slash::Comment => self.go(State::Top),
                Slash::Alone => Step::Go,
                Slash::No => Step::Fail(format!(
                    "Expected a top-level value to end with a new line, comment or EOF, but got '{}' instead.",
                    shown(c)
                )),
            },
        }
    }

    fn block_end(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' => Step::Go,
            '\n' | '\r' | ';' | ',' => self.skip_to(State::Block),
            '}' => {
                self.cursor.back();
                self.go(State::BlockClose)
            }
            c => match self.comment(c) {
                Slash::Comment | Slash::Alone => Step::Go,
                Slash::No => Step::Fail(format!(
                    "Expected a block-level value to end with a new line, comment or EOF, but got '{}' instead.",
                    shown(c)
                )),
            },
        }
    }

    fn block_close(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' | '\n' | '\r' => Step::Go,
            ';' | ',' => self.skip_to(State::Block),
            '}' => {
                self.ignore();
                self.leave()
            }
            c => match self.comment(c) {
                Slash::Comment => self.go(State::Block),
                Slash::Alone => Step::Go,
                Slash::No => Step::Fail(format!(
                    "Expected a block-level to end with a '}}', but got '{}' instead.",
                    shown(c)
                )),
            },
        }
    }
}

/// Keys, separators and includes.
impl<'a> Lexer<'a> {
    fn key(&mut self) -> Step<'a> {
        match self.cursor.peek() {
            c @ ('=' | ':') => Step::Fail(format!("Unexpected key separator '{c}'")),
            c if c.is_whitespace() => {
                self.cursor.next();
                self.skip()
            }
            quote @ ('"' | '\'') => self.quoted_key(quote, Inside::Statement),
            _ => self.bare_key(Inside::Statement),
        }
    }

    fn map_key(&mut self) -> Step<'a> {
        match self.cursor.peek() {
            c @ ('=' | ':') => return Step::Fail(format!("Unexpected key separator '{c}'.")),
            ']' => return Step::Fail("Unexpected array end ']' processing map.".into()),
            c if c.is_whitespace() => {
                self.cursor.next();
                return self.skip();
            }
            '}' => {
                self.cursor.next();
                return self.close_map();
            }
            quote @ ('"' | '\'') => return self.quoted_key(quote, Inside::Map),
            END => return Step::Fail("Unexpected EOF processing map.".into()),
            c @ ('#' | '/') => {
                self.cursor.next();
                if self.comment(c) == Slash::Comment {
                    return Step::Go;
                }
                // A lone slash is dropped, and whatever follows it starts the key.
            }
            _ => {}
        }
        self.bare_key(Inside::Map)
    }

    fn bare_key(&mut self, inside: Inside) -> Step<'a> {
        self.ignore();
        self.cursor.next();
        loop {
            match self.cursor.peek() {
                END if inside == Inside::Map => {
                    return Step::Fail("Unexpected EOF processing map key.".into());
                }
                c if c.is_whitespace() => {
                    if self.pending().eq_ignore_ascii_case(b"include") {
                        self.ignore();
                        if inside == Inside::Map {
                            self.returns.push(State::MapEnd);
                        }
                        return self.go(State::Include);
                    }
                    break;
                }
                '=' | ':' | END => break,
                _ => self.cursor.next(),
            };
        }
        self.state = State::Separator(inside);
        Step::Emit(self.emit(TokenKind::Key))
    }

    fn quoted_key(&mut self, quote: char, inside: Inside) -> Step<'a> {
        self.cursor.next();
        self.ignore();
        loop {
            match self.cursor.peek() {
                END => {
                    return match (inside, quote) {
                        (Inside::Statement, _) => self.unfinished(),
                        (Inside::Map, '"') => {
                            Step::Fail("Unexpected EOF processing double quoted map key.".into())
                        }
                        (Inside::Map, _) => Step::Fail("Unexpected EOF processing quoted map key.".into()),
                    };
                }
                c if c == quote => break,
                _ => self.cursor.next(),
            };
        }
        let key = self.emit(TokenKind::Key);
        self.cursor.next();
        self.ignore();
        self.state = State::Separator(inside);
        Step::Emit(key)
    }

    fn separator(&mut self, inside: Inside) -> Step<'a> {
        let value = match inside {
            Inside::Statement => State::Value,
            Inside::Map => State::MapValue,
        };
        match self.cursor.next() {
            c if c.is_whitespace() => self.skip(),
            '=' | ':' => self.skip_to(value),
            END if inside == Inside::Statement => Step::Emit(self.emit(TokenKind::Eof)),
            _ => {
                self.cursor.back();
                self.go(value)
            }
        }
    }

    fn include(&mut self) -> Step<'a> {
        let found = match self.cursor.next() {
            ' ' | '\t' => return self.skip(),
            quote @ ('"' | '\'') => return self.quoted_include(quote),
            '[' => "start of an array",
            '{' => "start of a map",
            '(' => "start of a block",
            '\\' => "escape sequence",
            '\n' | '\r' => "new line",
            c if c == '-' || is_digit(c) => "start of a number",
            _ => {
                self.cursor.back();
                return self.bare_include();
            }
        };
        Step::Fail(format!("Expected include value but found {found}"))
    }

    fn quoted_include(&mut self, quote: char) -> Step<'a> {
        self.ignore();
        loop {
            match self.cursor.next() {
                END if quote == '"' => return Step::Fail("Unexpected EOF in double quoted include".into()),
                END => return Step::Fail("Unexpected EOF in quoted include".into()),
                c if c == quote => return self.finish(TokenKind::Include, true),
                _ => {}
            }
        }
    }

    fn bare_include(&mut self) -> Step<'a> {
        loop {
            match self.cursor.next() {
                '\n' | '\r' | END | ';' | '}' | ' ' | '\t' => return self.finish(TokenKind::Include, false),
                '\'' => return self.finish(TokenKind::Include, true),
                _ => {}
            }
        }
    }
}

/// Maps and arrays.
impl<'a> Lexer<'a> {
    fn map_value(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if c.is_whitespace() => self.skip(),
            ',' => Step::Fail("Unexpected map value terminator \",\".".into()),
            '}' => self.close_map(),
            _ => {
                self.cursor.back();
                self.returns.push(State::MapEnd);
                self.go(State::Value)
            }
        }
    }

    fn map_end(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' => self.skip(),
            ';' | ',' | '\n' | '\r' => self.skip_to(State::MapKey),
            '}' => self.close_map(),
            c => match self.comment(c) {
                Slash::Comment => Step::Go,
                Slash::Alone => self.skip_to(State::MapKey),
                Slash::No => Step::Fail(format!(
                    "Expected a map value terminator \",\" or a map terminator \"}}\", but got '{}' instead.",
                    shown(c)
                )),
            },
        }
    }

    fn item(&mut self) -> Step<'a> {
        match self.cursor.next() {
            c if c.is_whitespace() => self.skip(),
            ',' => Step::Fail("Unexpected array value terminator ','.".into()),
            ']' => self.close_array(),
            c => match self.comment(c) {
                Slash::Comment => Step::Go,
                Slash::Alone => Step::Fail("Unexpected array value terminator ','.".into()),
                Slash::No => {
                    self.cursor.back();
                    self.returns.push(State::ItemEnd);
                    self.go(State::Value)
                }
            },
        }
    }

    fn item_end(&mut self) -> Step<'a> {
        match self.cursor.next() {
            ' ' | '\t' => self.skip(),
            ',' | '\n' | '\r' => self.skip_to(State::Item),
            ']' => self.close_array(),
            c => match self.comment(c) {
                Slash::Comment => Step::Go,
                Slash::Alone => self.skip_to(State::Item),
                Slash::No => Step::Fail(format!(
                    "Expected an array value terminator \",\" or an array terminator \"]\", but got '{}' instead.",
                    shown(c)
                )),
            },
        }
    }

    pub(super) fn open_map(&mut self) -> Step<'a> {
        self.ignore();
        self.state = State::MapKey;
        Step::Emit(self.emit(TokenKind::MapStart))
    }

    pub(super) fn open_array(&mut self) -> Step<'a> {
        self.ignore();
        self.state = State::Item;
        Step::Emit(self.emit(TokenKind::ArrayStart))
    }

    fn close_map(&mut self) -> Step<'a> {
        self.ignore();
        let end = self.emit(TokenKind::MapEnd);
        self.emit_and_leave(end)
    }

    fn close_array(&mut self) -> Step<'a> {
        self.ignore();
        let end = self.emit(TokenKind::ArrayEnd);
        self.emit_and_leave(end)
    }
}

/// Making tokens.
impl<'a> Lexer<'a> {
    /// The token being read, so far, without `parts`.
    pub(super) fn pending(&self) -> &'a [u8] {
        self.cursor.bytes(self.start, self.cursor.pos)
    }

    /// What was read so far belongs to no token.
    pub(super) fn ignore(&mut self) {
        self.start = self.cursor.pos;
        self.token_start = self.cursor.pos;
        self.token_line_start = self.cursor.line_start;
    }

    /// Makes a token of what was read since the last one.
    pub(super) fn emit(&mut self, kind: TokenKind) -> Token<'a> {
        let rest = self.pending();
        let text = match self.parts.take() {
            None => Cow::Borrowed(rest),
            Some(mut parts) => {
                parts.extend_from_slice(rest);
                Cow::Owned(parts)
            }
        };
        // Counted backwards from the end, so a resolved escape moves the column to the right.
        let column = distance(self.token_line_start, self.cursor.pos).saturating_sub_unsigned(text.len());
        let token = Token {
            kind,
            text,
            line: self.cursor.line,
            column,
            span: Span { start: self.token_start.min(self.cursor.pos), end: self.cursor.pos },
        };
        self.ignore();
        token
    }

    /// Makes a token of all but the last character, which is dropped with `drop_last` and read
    /// again without; then leaves the value.
    pub(super) fn finish(&mut self, kind: TokenKind, drop_last: bool) -> Step<'a> {
        self.cursor.back();
        let token = self.emit(kind);
        if drop_last {
            self.cursor.next();
            self.ignore();
        }
        self.emit_and_leave(token)
    }

    /// Reports a value and goes on behind it.
    pub(super) fn emit_and_leave(&mut self, token: Token<'a>) -> Step<'a> {
        match self.leave() {
            Step::Go => Step::Emit(token),
            other => other,
        }
    }

    /// The text ended inside of something: an error, except where nothing of it was read yet.
    pub(super) fn unfinished(&mut self) -> Step<'a> {
        if self.cursor.pos > self.start {
            return Step::Fail("Unexpected EOF.".into());
        }
        Step::Emit(self.emit(TokenKind::Eof))
    }

    pub(super) fn skip(&mut self) -> Step<'a> {
        self.ignore();
        Step::Go
    }

    fn skip_to(&mut self, state: State) -> Step<'a> {
        self.ignore();
        self.go(state)
    }

    fn go(&mut self, state: State) -> Step<'a> {
        self.state = state;
        Step::Go
    }

    fn leave(&mut self) -> Step<'a> {
        match self.returns.pop() {
            Some(state) => self.go(state),
            None => Step::Fail("BUG in lexer: no states to pop.".into()),
        }
    }

    /// Skips a comment if `c`, just read, begins one.
    fn comment(&mut self, c: char) -> Slash {
        match c {
            '#' => {}
            '/' if self.cursor.next() == '/' => {}
            '/' => {
                self.cursor.back();
                return Slash::Alone;
            }
            _ => return Slash::No,
        }
        while !matches!(self.cursor.peek(), '\n' | '\r' | END) {
            self.cursor.next();
        }
        self.ignore();
        Slash::Comment
    }
}

/// What a character that may begin a comment turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slash {
    /// The comment is behind us.
    Comment,
    /// A single slash, which was read.
    Alone,
    /// Something else.
    No,
}

/// A character as the messages show it.
pub(super) fn shown(c: char) -> Cow<'static, str> {
    match c {
        '\n' => Cow::Borrowed("\\n"),
        _ => Cow::Owned(c.to_string()),
    }
}

fn distance(from: usize, to: usize) -> isize {
    to.cast_signed() - from.cast_signed()
}
