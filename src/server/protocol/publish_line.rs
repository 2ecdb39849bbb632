//! The control line of PUB and HPUB, and the memory of the last one.

use std::ops::Range;

use super::args::{refuse, size};
use super::error::ParseError;
use super::op::Publish;
use crate::server::base::quote::quote;

/// Longest control line, CRLF included, that is remembered; longer ones are parsed each time.
const REMEMBERED_BYTES_MAX: usize = 128;

/// CR and LF behind a payload.
const CRLF_BYTES: usize = 2;

/// Where the parts of a control line are, from the start of the operation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PublishLine {
    subject: Span,
    reply: Span,
    header_text: Span,
    size_text: Span,
    pub(super) header_len: Option<u32>,
    pub(super) size: u32,
    /// Where the payload begins.
    pub(super) end: u32,
    /// What is behind the subject stands as receivers get it, see [`Publish::tail`].
    verbatim: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: narrow(start), end: narrow(end) }
    }

    fn of(self, input: &[u8]) -> &[u8] {
        input.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl PublishLine {
    /// Reads a line of the usual shape: one separator between arguments, nothing odd. `None` asks for
    /// [`PublishLine::parse`], which says what is wrong or takes what is only unusual.
    #[inline]
    pub(super) fn parse_plain(input: &[u8], args: Range<usize>, end: usize, header: bool) -> Option<Self> {
        let start = args.start;
        let args = input.get(args)?;
        let subject_len = memchr::memchr2(b' ', b'\t', args)?;
        let (size, rest) = trailing_number(args)?;
        let size_at = rest.len();
        let (rest, header_len, header_span) = if header {
            let before = without_blank(rest)?;
            let (header_len, rest) = trailing_number(before)?;
            (rest, Some(header_len), Span::new(start + rest.len(), start + before.len()))
        } else {
            (rest, None, Span::default())
        };
        let before = without_blank(rest)?;
        let reply = if before.len() == subject_len {
            Span::default()
        } else {
            let reply = before.get(subject_len + 1..)?;
            if memchr::memchr2(b' ', b'\t', reply).is_some() {
                return None;
            }
            Span::new(start + subject_len + 1, start + before.len())
        };
        if subject_len == 0 || header_len.is_some_and(|len| len > size) {
            return None;
        }
        // Between the arguments, behind the subject and before each number.
        let blanks = [subject_len, before.len(), size_at.saturating_sub(1)];
        let verbatim = blanks.iter().all(|&at| args.get(at) == Some(&b' '))
            && input.get(start + args.len()) == Some(&b'\r')
            && header_len != Some(0);
        Some(Self {
            subject: Span::new(start, start + subject_len),
            reply,
            header_text: header_span,
            size_text: Span::new(start + size_at, start + args.len()),
            header_len,
            size,
            end: narrow(end),
            verbatim,
        })
    }

    /// Reads the arguments at `args` of `input`; the line, its LF included, ends at `end`.
    pub(super) fn parse(
        input: &[u8],
        args: Range<usize>,
        end: usize,
        header: bool,
    ) -> Result<Self, ParseError> {
        let raw = input.get(args.clone()).unwrap_or_default();
        let complain = |what: &str| {
            let name = if header { "processHeaderPub" } else { "processPub" };
            refuse(format!("{name} {what}: {}", quote(raw)))
        };
        let mut fields = Spans { input: raw, base: args.start, from: 0 };
        let most = if header { 4 } else { 3 };
        let mut found = [Span::default(); 4];
        let mut count = 0;
        while let Some(field) = fields.next() {
            let Some(slot) = found.get_mut(count).filter(|_| count < most) else {
                return Err(complain("Parse Error"));
            };
            *slot = field;
            count += 1;
        }
        let [a, b, c, d] = found;
        let none = Span::default();
        let (subject, reply, header_text, size_text) = match (header, count) {
            (false, 2) => (a, none, none, b),
            (false, 3) => (a, b, none, c),
            (true, 3) => (a, none, b, c),
            (true, 4) => (a, b, c, d),
            _ => return Err(complain("Parse Error")),
        };
        let header_len = if header {
            let Some(len) = size(header_text.of(input)) else {
                return Err(complain("Bad or Missing Header Size"));
            };
            Some(narrow(len))
        } else {
            None
        };
        let Some(size) = size(size_text.of(input)).map(narrow) else {
            return Err(complain(if header { "Bad or Missing Total Size" } else { "Bad or Missing Size" }));
        };
        if header_len.is_some_and(|len| len > size) {
            return Err(complain("Header Size larger then TotalSize"));
        }
        let end = narrow(end);
        Ok(Self { subject, reply, header_text, size_text, header_len, size, end, verbatim: false })
    }

    /// The operation, given its bytes and its payload.
    #[inline]
    pub(super) fn publish<'a>(&self, input: &'a [u8], payload: &'a [u8], repeats: bool) -> Publish<'a> {
        let whole_end = self.end as usize + payload.len() + CRLF_BYTES;
        let tail = if self.verbatim { input.get(self.subject.end as usize..whole_end) } else { None };
        Publish {
            subject: self.subject.of(input),
            reply: self.reply.of(input),
            header_len: self.header_len.map(|len| len as usize),
            size_text: self.size_text.of(input),
            header_text: self.header_text.of(input),
            payload,
            tail: tail.unwrap_or_default(),
            repeats,
        }
    }
}

/// Offsets and sizes fit: lines are bounded by the control line limit, sizes have nine digits.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The number at the end of `text`, one to nine digits, and what stands before it.
#[inline]
fn trailing_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let (mut value, mut scale, mut rest) = (0_u32, 1_u32, text);
    while let [before @ .., digit @ b'0'..=b'9'] = rest {
        if scale > 100_000_000 {
            return None;
        }
        value += u32::from(digit - b'0') * scale;
        scale *= 10;
        rest = before;
    }
    (rest.len() < text.len()).then_some((value, rest))
}

#[inline]
fn without_blank(text: &[u8]) -> Option<&[u8]> {
    match text {
        [before @ .., b' ' | b'\t'] => Some(before),
        _ => None,
    }
}

/// Arguments as places; only space and tab separate them here.
struct Spans<'a> {
    input: &'a [u8],
    base: usize,
    from: usize,
}

impl Spans<'_> {
    fn next(&mut self) -> Option<Span> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let rest = self.input.get(self.from..)?;
        let start = self.from + rest.iter().position(|byte| !is_blank(byte))?;
        let rest = self.input.get(start..)?;
        let end = start + rest.iter().position(is_blank).unwrap_or(rest.len());
        self.from = end;
        Some(Span::new(self.base + start, self.base + end))
    }
}

/// The last control line that was handed out. Publishers send the same line again and again, and
/// comparing it is several times cheaper than reading it.
#[derive(Debug)]
pub(super) struct LastLine {
    bytes: [u8; REMEMBERED_BYTES_MAX],
    len: u8,
    line: PublishLine,
}

impl LastLine {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; REMEMBERED_BYTES_MAX],
            len: 0,
            line: PublishLine {
                subject: Span { start: 0, end: 0 },
                reply: Span { start: 0, end: 0 },
                header_text: Span { start: 0, end: 0 },
                size_text: Span { start: 0, end: 0 },
                header_len: None,
                size: 0,
                end: 0,
                verbatim: false,
            },
        }
    }

    /// The parts of the line, if `input` begins with the same one.
    pub(super) fn again(&self, input: &[u8]) -> Option<PublishLine> {
        let known = self.bytes.get(..usize::from(self.len))?;
        (!known.is_empty() && input.starts_with(known)).then_some(self.line)
    }

    /// Keeps the line that `input` begins with; one that is too long only ends the memory.
    #[inline]
    pub(super) fn remember(&mut self, input: &[u8], line: PublishLine) {
        const HALF: usize = REMEMBERED_BYTES_MAX / 2;
        let end = line.end as usize;
        self.len = 0;
        // Copies of a fixed size cost a fraction of others, and there are bytes behind most lines.
        if end <= HALF
            && let (Some(known), Some(slot)) = (input.first_chunk::<HALF>(), self.bytes.first_chunk_mut())
        {
            *slot = *known;
        } else if end <= REMEMBERED_BYTES_MAX
            && let Some(known) = input.first_chunk()
        {
            self.bytes = *known;
        } else if let (Some(known), Some(slot)) = (input.get(..end), self.bytes.get_mut(..end)) {
            slot.copy_from_slice(known);
        } else {
            return;
        }
        self.len = u8::try_from(end).unwrap_or(0);
        self.line = line;
    }
}
