//! Operations to bytes, appended to a buffer that the caller owns. No formatting machinery: on the
//! way of a message only copies.

use super::error::WireError;
use super::op::{LinkSubscribe, LinkUnsubscribe, Publish, Subscribe, Unsubscribe};

/// `PING`, whole.
pub const PING: &[u8] = b"PING\r\n";
/// `PONG`, whole.
pub const PONG: &[u8] = b"PONG\r\n";
/// `+OK`, whole.
pub const OK: &[u8] = b"+OK\r\n";
/// What ends a line, and a payload.
pub const CRLF: &[u8] = b"\r\n";

/// Bytes of a line beside its arguments, at most: word, separators, CRLF.
const LINE_OVERHEAD: usize = 16;
/// Decimal digits of the largest number.
pub const DIGITS_MAX: usize = 20;

/// `MSG <subject> <sid> [reply] <size>`; the payload and its CRLF follow from the caller.
#[inline]
pub fn msg(out: &mut Vec<u8>, subject: &[u8], sid: &[u8], reply: &[u8], size_text: &[u8]) {
    out.reserve(LINE_OVERHEAD + subject.len() + sid.len() + reply.len() + size_text.len());
    out.extend_from_slice(b"MSG ");
    delivery(out, subject, sid, reply);
    out.extend_from_slice(size_text);
    out.extend_from_slice(CRLF);
}

/// `HMSG <subject> <sid> [reply] <header size> <total size>`; header block, body and CRLF follow from
/// the caller.
#[inline]
pub fn hmsg(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: &[u8],
    reply: &[u8],
    header_text: &[u8],
    size_text: &[u8],
) {
    let texts = header_text.len() + size_text.len();
    out.reserve(LINE_OVERHEAD + subject.len() + sid.len() + reply.len() + texts);
    out.extend_from_slice(b"HMSG ");
    delivery(out, subject, sid, reply);
    field(out, header_text);
    out.extend_from_slice(size_text);
    out.extend_from_slice(CRLF);
}

/// Subject, sid and reply, each with a space behind it.
#[inline]
fn delivery(out: &mut Vec<u8>, subject: &[u8], sid: &[u8], reply: &[u8]) {
    field(out, subject);
    field(out, sid);
    optional(out, reply);
}

/// The answer to a request that reached nobody: a message of headers only, complete.
pub fn no_responders(out: &mut Vec<u8>, reply: &[u8], sid: &[u8], subject: &[u8]) {
    const STATUS: &[u8] = b"NATS/1.0 503\r\nNats-Subject: ";
    const END: &[u8] = b"\r\n\r\n";
    let size = STATUS.len() + subject.len() + END.len();
    let mut digits = [0; DIGITS_MAX];
    let size_text = decimal(size as u64, &mut digits);
    hmsg(out, reply, sid, b"", size_text, size_text);
    out.extend_from_slice(STATUS);
    out.extend_from_slice(subject);
    out.extend_from_slice(END);
    out.extend_from_slice(CRLF);
}

/// `-ERR '<text>'`
pub fn err(out: &mut Vec<u8>, error: &WireError<'_>) {
    err_text(out, &error.to_string());
}

/// `-ERR '<text>'` with a text of the caller's.
pub fn err_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

/// `CONNECT {json}`, as the dialling side of a link sends it.
pub fn connect(out: &mut Vec<u8>, json: &[u8]) {
    line(out, b"CONNECT ", json);
}

/// `PUB` or `HPUB`, complete with payload.
pub fn publish(out: &mut Vec<u8>, publish: &Publish<'_>) {
    out.extend_from_slice(if publish.header_len.is_some() { b"HPUB ".as_slice() } else { b"PUB " });
    field(out, publish.subject);
    optional(out, publish.reply);
    if publish.header_len.is_some() {
        field(out, publish.header_text);
    }
    line(out, publish.size_text, b"");
    line(out, publish.payload, b"");
}

/// `SUB <subject> [queue] <sid>`
pub fn subscribe(out: &mut Vec<u8>, subscribe: &Subscribe<'_>) {
    out.extend_from_slice(b"SUB ");
    field(out, subscribe.subject);
    optional(out, subscribe.queue.unwrap_or_default());
    line(out, subscribe.sid, b"");
}

/// `UNSUB <sid> [max]`
pub fn unsubscribe(out: &mut Vec<u8>, unsubscribe: &Unsubscribe<'_>) {
    out.extend_from_slice(b"UNSUB ");
    out.extend_from_slice(unsubscribe.sid);
    if let Some(max) = unsubscribe.max {
        out.push(b' ');
        number(out, max);
    }
    out.extend_from_slice(CRLF);
}

/// `RS+` or `LS+`; origin and account are written if they are there.
pub fn link_subscribe(out: &mut Vec<u8>, interest: &LinkSubscribe<'_>) {
    out.extend_from_slice(if interest.leaf { b"LS+ " } else { b"RS+ " });
    optional(out, interest.origin);
    optional(out, interest.account);
    out.extend_from_slice(interest.subject);
    if let Some(queue) = interest.queue {
        out.push(b' ');
        field(out, queue);
        number(out, interest.weight.into());
    }
    out.extend_from_slice(CRLF);
}

/// `RS-` or `LS-`; origin and account are written if they are there.
pub fn link_unsubscribe(out: &mut Vec<u8>, interest: &LinkUnsubscribe<'_>) {
    out.extend_from_slice(if interest.leaf { b"LS- " } else { b"RS- " });
    optional(out, interest.origin);
    optional(out, interest.account);
    out.extend_from_slice(interest.subject);
    if let Some(queue) = interest.queue {
        out.push(b' ');
        out.extend_from_slice(queue);
    }
    out.extend_from_slice(CRLF);
}

/// `A+ <account>`
pub fn account_interest(out: &mut Vec<u8>, account: &[u8]) {
    line(out, b"A+ ", account);
}

/// `A- <account>`
pub fn account_no_interest(out: &mut Vec<u8>, account: &[u8]) {
    line(out, b"A- ", account);
}

/// The word that a message to another server begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkWord {
    /// To routes and gateways, without headers.
    Rmsg,
    /// To leaf nodes without headers; to routes for a message that came from a leaf node's cluster.
    Lmsg,
    /// With headers.
    Hmsg,
}

/// The control line of a message to another server.
#[derive(Clone, Copy, Debug)]
pub struct LinkMessageLine<'a> {
    /// What it begins with.
    pub word: LinkWord,
    /// The leaf node's cluster; empty is left out.
    pub origin: &'a [u8],
    /// The account; empty is left out.
    pub account: &'a [u8],
    /// The subject.
    pub subject: &'a [u8],
    /// Where answers go; empty is left out.
    pub reply: &'a [u8],
    /// The header size; empty is left out, but LMSG to a route must say `0`.
    pub header_text: &'a [u8],
    /// The (total) size.
    pub size_text: &'a [u8],
}

/// `RMSG`, `LMSG` or `HMSG`, for the queue groups named; payload and its CRLF follow from the caller.
pub fn link_message<'a>(
    out: &mut Vec<u8>,
    parts: &LinkMessageLine<'_>,
    queues: impl IntoIterator<Item = &'a [u8]>,
) {
    out.extend_from_slice(match parts.word {
        LinkWord::Rmsg => b"RMSG ",
        LinkWord::Lmsg => b"LMSG ",
        LinkWord::Hmsg => b"HMSG ",
    });
    optional(out, parts.origin);
    optional(out, parts.account);
    field(out, parts.subject);
    let mut queues = queues.into_iter().peekable();
    if queues.peek().is_some() {
        field(out, if parts.reply.is_empty() { b"|" } else { b"+" });
    }
    optional(out, parts.reply);
    for queue in queues {
        field(out, queue);
    }
    optional(out, parts.header_text);
    line(out, parts.size_text, b"");
}

/// A number in decimal digits.
pub fn number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(decimal(value, &mut [0; DIGITS_MAX]));
}

/// A number's decimal digits, written to the end of `digits`.
pub fn decimal(mut value: u64, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        start -= 1;
        if value == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[inline]
fn field(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(b' ');
}

#[inline]
fn optional(out: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() {
        field(out, text);
    }
}

fn line(out: &mut Vec<u8>, start: &[u8], rest: &[u8]) {
    out.extend_from_slice(start);
    out.extend_from_slice(rest);
    out.extend_from_slice(CRLF);
}

#[cfg(test)]
mod tests {
    use super::super::op::{Kind, Op};
    use super::super::parser::{Limits, Parser, Step};
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Vec<u8>), want: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn message_lines_leave_an_absent_reply_out() {
        check(|out| msg(out, b"a.b", b"7", b"", b"02"), "MSG a.b 7 02\r\n");
        check(|out| msg(out, b"a.b", b"7", b"r", b"2"), "MSG a.b 7 r 2\r\n");
        check(|out| hmsg(out, b"a.b", b"7", b"", b"5", b"07"), "HMSG a.b 7 5 07\r\n");
        check(|out| hmsg(out, b"a.b", b"7", b"r", b"5", b"7"), "HMSG a.b 7 r 5 7\r\n");
    }

    #[test]
    fn no_responders_counts_32_bytes_and_the_subject() {
        check(
            |out| no_responders(out, b"_INBOX.1", b"3", b"foo"),
            "HMSG _INBOX.1 3 35 35\r\nNATS/1.0 503\r\nNats-Subject: foo\r\n\r\n\r\n",
        );
    }

    #[test]
    fn errors_stand_in_single_quotes() {
        check(|out| err(out, &WireError::InvalidSubject), "-ERR 'Invalid Subject'\r\n");
    }

    #[test]
    fn numbers_are_plain_decimal() {
        for value in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            check(|out| number(out, value), &value.to_string());
        }
    }

    #[test]
    fn link_message_marks_queues_with_or_without_reply() {
        let line = |word, reply, header_text| LinkMessageLine {
            word,
            origin: b"",
            account: b"A",
            subject: b"foo",
            reply,
            header_text,
            size_text: b"4",
        };
        let none: [&[u8]; 0] = [];
        check(|out| link_message(out, &line(LinkWord::Rmsg, b"", b""), none), "RMSG A foo 4\r\n");
        check(|out| link_message(out, &line(LinkWord::Rmsg, b"r", b""), none), "RMSG A foo r 4\r\n");
        let queues: [&[u8]; 2] = [b"q1", b"q2"];
        check(
            |out| link_message(out, &line(LinkWord::Hmsg, b"r", b"2"), queues),
            "HMSG A foo + r q1 q2 2 4\r\n",
        );
        check(|out| link_message(out, &line(LinkWord::Rmsg, b"", b""), queues), "RMSG A foo | q1 q2 4\r\n");
        let leaf = LinkMessageLine { origin: b"hub", ..line(LinkWord::Lmsg, b"", b"0") };
        check(|out| link_message(out, &leaf, none), "LMSG hub A foo 0 4\r\n");
    }

    /// What was encoded is parsed as the same operation.
    #[track_caller]
    fn round_trip(kind: Kind, text: &str) {
        let limits = Limits { control_line: 4096, payload: 4096, headers: true, awaits_connect: false };
        let mut parser = Parser::new(kind);
        let Ok(Step::Op { op, len }) = parser.step(text.as_bytes(), &limits) else { panic!("{text}") };
        assert_eq!(len, text.len());
        let mut out = Vec::new();
        match op {
            Op::Publish(op) => publish(&mut out, &op),
            Op::Subscribe(op) => subscribe(&mut out, &op),
            Op::Unsubscribe(op) => unsubscribe(&mut out, &op),
            Op::LinkSubscribe(op) => link_subscribe(&mut out, &op),
            Op::LinkUnsubscribe(op) => link_unsubscribe(&mut out, &op),
            Op::AccountInterest(account) => account_interest(&mut out, account),
            Op::AccountNoInterest(account) => account_no_interest(&mut out, account),
            Op::Connect(json) => connect(&mut out, json),
            Op::Ping => out.extend_from_slice(PING),
            Op::Pong => out.extend_from_slice(PONG),
            Op::Ok => out.extend_from_slice(OK),
            other => panic!("{other:?}"),
        }
        assert_eq!(String::from_utf8_lossy(&out), text);
    }

    #[test]
    fn operations_come_back_as_they_were() {
        for text in [
            "PUB a 2\r\nhi\r\n",
            "PUB a r 02\r\nhi\r\n",
            "HPUB a r 1 2\r\nhi\r\n",
            "SUB a 1\r\n",
            "SUB a q 1\r\n",
            "UNSUB 1\r\n",
            "UNSUB 1 5\r\n",
            "CONNECT {}\r\n",
            "PING\r\n",
            "PONG\r\n",
            "+OK\r\n",
        ] {
            round_trip(Kind::Client, text);
        }
        for text in [
            "RS+ A foo\r\n",
            "RS+ A foo q 3\r\n",
            "LS+ o A foo q 3\r\n",
            "RS- A foo q\r\n",
            "LS- o A foo\r\n",
        ] {
            round_trip(Kind::Router, text);
        }
        for text in ["LS+ foo\r\n", "LS+ foo q 3\r\n", "LS- foo q\r\n"] {
            round_trip(Kind::Leafnode, text);
        }
        for text in ["A+ A\r\n", "A- A\r\n"] {
            round_trip(Kind::Gateway, text);
        }
    }
}
