//! Bytes to operations, one at a time, without allocating for a message.
//!
//! Pure: the caller owns the bytes. It hands in what it has from the first byte of an operation on,
//! and gets the operation and its length, or how many bytes are needed before it pays to ask again.
//! The same bytes in any pieces give the same operations and the same error, and an error as soon as
//! the bytes that make it one are there.
//!
//! ```text
//! first byte -> word -> blanks -> arguments up to LF -> [payload, CR, LF] -> operation
//!     |           |        |            |                     |
//!     '-----------'--------'------------'---------------------'--> ParseError
//! ```

use std::ops::ControlFlow;

use memchr::memchr;

use super::args::{self, LinkForm, LinkMessageLine, MessageForm, Speaker};
use super::error::ParseError;
use super::op::{Kind, LinkMessage, Op};
use super::publish_line::{LastLine, PublishLine};
use super::words::{self, Code, Found, Rest, Word};
use crate::server::base::quote::quote;

/// Bytes of an unknown operation that the log shows.
const SNIPPET_BYTES: usize = 32;
/// Servers send longer lines than clients: accounts, replies and queue groups are in them.
const LINK_CONTROL_LINE_FACTOR: usize = 16;
/// CR and LF behind a payload.
const CRLF_BYTES: usize = 2;
/// Bytes that say nothing are passed once there are so many; fewer are cheaper shown again.
const PASSED_BYTES_MIN: usize = 256;

/// What a peer may send at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of arguments of a control line from a client; servers may send 16 times as many.
    pub control_line: usize,
    /// Most bytes of a message from a client or leaf node, header block included; `usize::MAX` for
    /// no limit.
    pub payload: usize,
    /// HPUB is allowed.
    pub headers: bool,
    /// Nothing but CONNECT is allowed: the peer has not authenticated.
    pub awaits_connect: bool,
}

/// What became of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// An operation that took the first `len` bytes.
    Op {
        /// The operation.
        op: Op<'a>,
        /// Its bytes, all of its line and payload.
        len: usize,
    },
    /// The first `len` bytes have said all that they can: the word that the parser keeps in mind, and what
    /// does not count behind it. The operation goes on with the bytes after them.
    Passed {
        /// Bytes not to be shown again.
        len: usize,
    },
    /// The operation is not complete.
    More {
        /// Bytes from the start of the operation that it has at least; once the line before a payload
        /// is complete, exactly those of the whole operation.
        need: usize,
    },
}

/// The parser of one connection. Small, because every idle connection has one.
#[derive(Debug)]
pub struct Parser {
    /// Memory of the last publish. Made by the first publish.
    last: Option<Box<LastLine>>,
    /// How far the line of an incomplete operation has been searched for its end.
    searched: u32,
    kind: Kind,
    form: LinkForm,
    /// The word of an operation whose beginning was passed.
    within: Option<Code>,
}

/// A complete line: where its arguments are and where it ends, from the start of the operation.
struct Line<'a> {
    args: &'a [u8],
    args_at: usize,
    end: usize,
}

impl Parser {
    /// A parser for a connection of this kind.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        let form = LinkForm {
            account_implied: matches!(kind, Kind::Leafnode),
            leaf_origin: matches!(kind, Kind::Router),
            unsub_origin: matches!(kind, Kind::Router),
        };
        Self { last: None, searched: 0, kind, form, within: None }
    }

    /// The kind of peer.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Changes what arguments the peer's link operations have, once the handshake said so.
    pub const fn set_link_form(&mut self, form: LinkForm) {
        self.form = form;
    }

    /// Gives back what only speeds up a busy connection.
    pub fn rest(&mut self) {
        self.last = None;
    }

    /// Reads the operation that `input` begins with.
    ///
    /// # Errors
    /// The peer broke the protocol: the error says what to tell it, what to log and why to close. The
    /// parser is of no use afterwards.
    #[inline]
    pub fn step<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<Step<'a>, ParseError> {
        if let Some(last) = &self.last
            && let Some(line) = last.again(input)
            && !limits.awaits_connect
            && line.end as usize <= limits.control_line
            && (limits.headers || line.header_len.is_none())
        {
            self.searched = 0;
            return self.publish(input, line, limits, true);
        }
        if let Some(line) = self.plain_publish(input, limits) {
            return self.publish(input, line, limits, false);
        }
        let step = self.read(input, limits)?;
        if matches!(step, Step::Op { .. }) {
            self.searched = 0;
            self.within = None;
        }
        Ok(step)
    }

    /// The word, in lower case, and the arguments of the line that `input` begins with, once it is complete.
    pub fn line<'a>(&self, input: &'a [u8]) -> Option<(&'static [u8], &'a [u8])> {
        let (word, from) = match self.within {
            Some(code) => (words::of(code)?, 0),
            None => match words::find(self.kind, input) {
                Found::Word(word) => (word, word.text.len()),
                Found::Partly | Found::Nothing { .. } => return None,
            },
        };
        let rest = input.get(from..)?;
        let is_separated = word.rest != Rest::Arguments || rest.first().is_some_and(is_blank);
        let args = rest.get(rest.iter().position(|byte| !is_blank(byte))?..)?;
        let first = usize::from(word.rest != Rest::Ignored);
        let end = first + memchr(b'\n', args.get(first..)?)?;
        is_separated.then(|| (word.text, without_carriage_return(args.get(..end).unwrap_or_default())))
    }

    /// The complete control line of a publish of the usual shape; anything else is left to `read`.
    #[inline]
    fn plain_publish(&self, input: &[u8], limits: &Limits) -> Option<PublishLine> {
        if self.kind != Kind::Client || limits.awaits_connect || self.searched > 0 {
            return None;
        }
        let (args_at, header) = match input {
            [b'P' | b'p', b'U' | b'u', b'B' | b'b', b' ' | b'\t', ..] => (4, false),
            [b'H' | b'h', b'P' | b'p', b'U' | b'u', b'B' | b'b', b' ' | b'\t', ..] if limits.headers => {
                (5, true)
            }
            _ => return None,
        };
        let window = input.len().min(limits.control_line.saturating_add(args_at));
        let line_feed = args_at + memchr(b'\n', input.get(args_at..window)?)?;
        let args_end = match input.get(args_at..line_feed)? {
            [.., b'\r'] => line_feed - 1,
            _ => line_feed,
        };
        PublishLine::parse_plain(input, args_at..args_end, line_feed + 1, header)
    }

    fn read<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<Step<'a>, ParseError> {
        let Some(first) = input.first() else { return Ok(Step::More { need: 1 }) };
        if let Some(word) = self.within.and_then(words::of) {
            return self.after_word(input, word, 0, limits);
        }
        if limits.awaits_connect && !first.eq_ignore_ascii_case(&b'c') {
            return Err(ParseError::AwaitsConnect);
        }
        match words::find(self.kind, input) {
            Found::Word(word) => self.after_word(input, word, word.text.len(), limits),
            Found::Partly => Ok(Step::More { need: input.len() + 1 }),
            Found::Nothing { state, offset } => Err(self.unknown(input, state, offset)),
        }
    }

    fn after_word<'a>(
        &mut self,
        input: &'a [u8],
        word: &'static Word,
        from: usize,
        limits: &Limits,
    ) -> Result<Step<'a>, ParseError> {
        let line = match word.rest {
            Rest::Ignored => self.ignored_line(input, from, word),
            Rest::Arguments => match input.get(from) {
                None => return Ok(Step::More { need: from + 1 }),
                Some(b' ' | b'\t') => self.argument_line(input, from, word, limits)?,
                Some(_) => {
                    return Err(self.unknown(input, word.states.last().copied().unwrap_or(0), from));
                }
            },
            Rest::Attached => self.argument_line(input, from, word, limits)?,
        };
        let line = match line {
            ControlFlow::Continue(line) => line,
            ControlFlow::Break(step) => return Ok(step),
        };
        let op = match word.code {
            Code::Ping => Op::Ping,
            Code::Pong => Op::Pong,
            Code::Ok => Op::Ok,
            Code::Connect => Op::Connect(line.args),
            Code::Info => Op::Info(line.args),
            Code::Err => Op::Err(line.args),
            Code::Sub => Op::Subscribe(args::subscribe(line.args)?),
            Code::Unsub => Op::Unsubscribe(args::unsubscribe(line.args)?),
            Code::AccountSub => Op::AccountInterest(line.args),
            Code::AccountUnsub => Op::AccountNoInterest(line.args),
            Code::RouteSub | Code::LeafSub => {
                let leaf = word.code == Code::LeafSub;
                Op::LinkSubscribe(args::link_subscribe(line.args, leaf, self.form, self.speaker())?)
            }
            Code::RouteUnsub | Code::LeafUnsub => {
                let leaf = word.code == Code::LeafUnsub;
                Op::LinkUnsubscribe(args::link_unsubscribe(line.args, leaf, self.form, self.speaker())?)
            }
            Code::Pub => return self.publish_line(input, &line, false, limits),
            Code::Hpub if !limits.headers => return Err(ParseError::HeadersNotSupported),
            Code::Hpub => return self.publish_line(input, &line, true, limits),
            Code::HeaderMsg if self.kind == Kind::Client => return self.message_for_nobody(input, &line),
            Code::RouteMsg | Code::LeafMsg | Code::HeaderMsg => {
                return self.link_message(input, &line, word.code, limits);
            }
        };
        Ok(Step::Op { op, len: line.end })
    }

    /// The line of an operation without arguments: all up to LF is skipped, however much it is.
    fn ignored_line<'a>(
        &mut self,
        input: &'a [u8],
        from: usize,
        word: &Word,
    ) -> ControlFlow<Step<'a>, Line<'a>> {
        if let Some(line_feed) = self.line_feed(input, from, input.len()) {
            return ControlFlow::Continue(Line { args: &[], args_at: from, end: line_feed + 1 });
        }
        if input.len() < PASSED_BYTES_MIN {
            return ControlFlow::Break(Step::More { need: input.len() + 1 });
        }
        // The last byte is shown again and was searched: no other operation begins there.
        self.pass(word, input.len() - 1, 1)
    }

    /// The line of an operation with arguments: any blanks, then at least one byte of any kind (as in the
    /// reference even CR or LF), then all up to LF without one CR before it.
    fn argument_line<'a>(
        &mut self,
        input: &'a [u8],
        from: usize,
        word: &Word,
        limits: &Limits,
    ) -> Result<ControlFlow<Step<'a>, Line<'a>>, ParseError> {
        let rest = input.get(from..).unwrap_or_default();
        let blanks = rest.iter().position(|byte| !is_blank(byte)).unwrap_or(rest.len());
        if blanks >= PASSED_BYTES_MIN {
            // One blank is shown again: it separates the arguments from the word.
            return Ok(self.pass(word, from + blanks - 1, 0));
        }
        let max = self.control_line_max(limits);
        let args_at = from + blanks;
        let line_feed = self.line_feed(input, args_at + 1, args_at.saturating_add(max));
        let seen = input.get(args_at..line_feed.unwrap_or(input.len())).unwrap_or_default();
        let args = without_carriage_return(seen);
        // Without its end, too: an error as soon as the line can only be too long.
        if args.len() > max {
            return Err(Self::too_long(word, args, limits));
        }
        Ok(match line_feed {
            Some(line_feed) => ControlFlow::Continue(Line { args, args_at, end: line_feed + 1 }),
            None => ControlFlow::Break(Step::More { need: input.len() + 1 }),
        })
    }

    /// Takes `len` bytes for granted, and keeps their word in mind; `searched` of those behind them have
    /// been searched for the line's end.
    #[cold]
    fn pass<'a>(&mut self, word: &Word, len: usize, searched: u32) -> ControlFlow<Step<'a>, Line<'a>> {
        self.within = Some(word.code);
        self.searched = searched;
        // What comes next may look like the last publish, and is none.
        self.last = None;
        ControlFlow::Break(Step::Passed { len })
    }

    /// Where the LF is, searched for in `from..=until + 1`: CR and LF may follow the longest line.
    fn line_feed(&mut self, input: &[u8], from: usize, until: usize) -> Option<usize> {
        let from = from.max(self.searched as usize);
        let until = until.saturating_add(CRLF_BYTES).min(input.len());
        let found = memchr(b'\n', input.get(from..until)?).map(|at| from + at);
        if found.is_none() {
            self.searched = u32::try_from(until).unwrap_or(0);
        }
        found
    }

    fn publish_line<'a>(
        &mut self,
        input: &'a [u8],
        line: &Line<'a>,
        header: bool,
        limits: &Limits,
    ) -> Result<Step<'a>, ParseError> {
        let args = line.args_at..line.args_at + line.args.len();
        let parts = PublishLine::parse(input, args, line.end, header)?;
        self.publish(input, parts, limits, false)
    }

    #[inline]
    fn publish<'a>(
        &mut self,
        input: &'a [u8],
        line: PublishLine,
        limits: &Limits,
        repeats: bool,
    ) -> Result<Step<'a>, ParseError> {
        let (at, size) = (line.end as usize, line.size as usize);
        if size > limits.payload {
            return Err(ParseError::PayloadTooLarge {
                size,
                max: limits.payload,
                header_len: line.header_len.map(|len| len as usize),
                payload_at: at,
            });
        }
        let Some((payload, len)) = self.payload(input, at, size)? else {
            return Ok(Step::More { need: at + size + CRLF_BYTES });
        };
        if !repeats {
            self.last.get_or_insert_with(|| Box::new(LastLine::new())).remember(input, line);
        }
        Ok(Step::Op { op: Op::Publish(line.publish(input, payload, repeats)), len })
    }

    fn link_message<'a>(
        &self,
        input: &'a [u8],
        line: &Line<'a>,
        code: Code,
        limits: &Limits,
    ) -> Result<Step<'a>, ParseError> {
        let leaf = self.kind == Kind::Leafnode;
        let form = MessageForm {
            origin: code == Code::LeafMsg && self.form.leaf_origin,
            account: !self.form.account_implied,
            header: code == Code::HeaderMsg || (code == Code::LeafMsg && !leaf),
            name: match (code, leaf) {
                (Code::HeaderMsg, true) => "processLeafHeaderMsgArgs",
                (Code::HeaderMsg, false) => "processRoutedHeaderMsgArgs",
                (Code::LeafMsg, false) => "processRoutedOriginClusterMsgArgs",
                (_, true) => "processLeafMsgArgs",
                (_, false) => "processRoutedMsgArgs",
            },
        };
        let parts = args::link_message(line.args, form)?;
        let LinkMessageLine { origin, account, subject, reply, queues, .. } = parts;
        let LinkMessageLine { header_len, header_text, size_text, size, .. } = parts;
        if leaf && size > limits.payload {
            let (max, payload_at) = (limits.payload, line.end);
            return Err(ParseError::PayloadTooLarge { size, max, header_len, payload_at });
        }
        let Some((payload, len)) = self.payload(input, line.end, size)? else {
            return Ok(Step::More { need: line.end + size + CRLF_BYTES });
        };
        let op = Op::LinkMessage(LinkMessage {
            origin,
            account,
            subject,
            reply,
            queues,
            header_len,
            size_text,
            header_text,
            payload,
        });
        Ok(Step::Op { op, len })
    }

    /// HMSG from a client: the reference does not read its arguments, and takes it for an empty message to
    /// nobody.
    fn message_for_nobody<'a>(&self, input: &'a [u8], line: &Line<'a>) -> Result<Step<'a>, ParseError> {
        Ok(match self.payload(input, line.end, 0)? {
            Some((_, len)) => Step::Op { op: Op::LinkMessage(LinkMessage::default()), len },
            None => Step::More { need: line.end + CRLF_BYTES },
        })
    }

    /// The payload of `size` bytes at `at` and the operation's length, once its CRLF is there.
    #[inline]
    fn payload<'a>(
        &self,
        input: &'a [u8],
        at: usize,
        size: usize,
    ) -> Result<Option<(&'a [u8], usize)>, ParseError> {
        let Some((payload, rest)) = input.get(at..).and_then(|rest| rest.split_at_checked(size)) else {
            return Ok(None);
        };
        match rest {
            [b'\r', b'\n', ..] => Ok(Some((payload, at + size + CRLF_BYTES))),
            [] | [b'\r'] => Ok(None),
            [b'\r', ..] => Err(self.unknown(input, words::STATE_PAYLOAD_LF, at + size + 1)),
            _ => Err(self.unknown(input, words::STATE_PAYLOAD_CR, at + size)),
        }
    }

    fn control_line_max(&self, limits: &Limits) -> usize {
        match self.kind {
            Kind::Client => limits.control_line,
            _ => limits.control_line.saturating_mul(LINK_CONTROL_LINE_FACTOR),
        }
    }

    const fn speaker(&self) -> Speaker {
        match self.kind {
            Kind::Gateway => Speaker::Gateway,
            Kind::Leafnode => Speaker::Leaf,
            _ => Speaker::Route,
        }
    }

    #[cold]
    fn unknown(&self, input: &[u8], state: u8, offset: usize) -> ParseError {
        // Where fewer bytes are there than would be shown, the reference leaves the last one out.
        let shown = input.get(offset..).unwrap_or_default();
        let shown =
            shown.get(..SNIPPET_BYTES).or(shown.split_last().map(|(_, shown)| shown)).unwrap_or_default();

        ParseError::UnknownOperation {
            kind: self.kind,
            state,
            offset,
            snippet: quote(shown).into_boxed_str(),
        }
    }

    #[cold]
    fn too_long(word: &Word, args: &[u8], limits: &Limits) -> ParseError {
        ParseError::ControlLineTooLong {
            state: word.argument_state,
            max: limits.control_line,
            length: args.len(),
        }
    }
}

const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `line` without one CR at its end; a CR alone is an argument.
fn without_carriage_return(line: &[u8]) -> &[u8] {
    match line {
        [kept @ .., b'\r'] if !kept.is_empty() => kept,
        _ => line,
    }
}

/// Feeds arbitrary bytes to a parser of every kind, whole and byte by byte; for fuzzing.
#[doc(hidden)]
pub fn fuzz_parser(data: &[u8]) {
    let limits = Limits { control_line: 64, payload: 1024, headers: true, awaits_connect: false };
    for kind in [Kind::Client, Kind::Router, Kind::Gateway, Kind::Leafnode] {
        let mut parser = Parser::new(kind);
        let mut rest = data;
        while let Ok(Step::Op { len, .. } | Step::Passed { len }) = parser.step(rest, &limits) {
            let Some((_, after)) = rest.split_at_checked(len) else { break };
            rest = after;
        }
        let mut parser = Parser::new(kind);
        let mut from = 0;
        for to in 0..=data.len() {
            let Some(have) = data.get(from..to) else { break };
            match parser.step(have, &limits) {
                Ok(Step::Op { len, .. } | Step::Passed { len }) => from += len,
                Ok(Step::More { .. }) => {}
                Err(_) => break,
            }
        }
    }
}

#[cfg(test)]
#[path = "parser_test.rs"]
mod tests;
