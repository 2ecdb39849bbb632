//! Inbound operations and refusals of a client, as the log shows them.

use super::session::ClientSession;
use crate::server::base::quote::quote;
use crate::server::log::trace_line::{self, Direction};
use crate::server::protocol::error::{ParseError, WireError};
use crate::server::protocol::op::{Op, Publish, Subscribe};

impl ClientSession {
    /// Traces the line of an operation; `input` begins with it.
    pub(super) fn trace_inbound(&self, op: &Op<'_>, input: &[u8]) {
        let args = arguments(input);
        let text = match op {
            Op::Connect(json) => trace_line::connect(json),
            Op::Ping => trace_line::operation(Direction::In, "PING", None),
            Op::Pong => trace_line::operation(Direction::In, "PONG", None),
            Op::Subscribe(_) => trace_line::operation(Direction::In, "SUB", Some(args)),
            Op::Unsubscribe(_) => trace_line::operation(Direction::In, "UNSUB", Some(args)),
            Op::Publish(Publish { header_len: None, .. }) => {
                trace_line::operation(Direction::In, "PUB", Some(args))
            }
            Op::Publish(_) => trace_line::operation(Direction::In, "HPUB", Some(args)),
            // Not shown by the reference, or not said by clients.
            Op::Ok
            | Op::Err(_)
            | Op::Info(_)
            | Op::LinkSubscribe(_)
            | Op::LinkUnsubscribe(_)
            | Op::LinkMessage(_)
            | Op::AccountInterest(_)
            | Op::AccountNoInterest(_) => return,
        };
        self.trace_text(&text);
    }

    /// Traces what was published; the line of it, and what a mapping made of its subject, come before.
    pub(super) fn trace_payload(&self, publish: &Publish<'_>) {
        let Some(trace) = &self.trace else { return };
        let header_bytes = publish.header_len.unwrap_or(0);
        let text = trace_line::payload(Direction::In, publish.payload, header_bytes, trace.view);
        if let Some(text) = text {
            self.trace_text(&text);
        }
    }

    /// Traces an operation whose line was read, and then refused; `input` begins with it.
    pub(super) fn trace_refused(&self, error: &ParseError, input: &[u8]) {
        let is_whole_line = matches!(
            error,
            ParseError::Arguments(_) | ParseError::HeadersNotSupported | ParseError::PayloadTooLarge { .. }
        );
        if is_whole_line {
            let word = input.split(|byte| matches!(byte, b' ' | b'\t')).next().unwrap_or_default();
            let word = String::from_utf8_lossy(word).to_uppercase();
            self.trace_text(&trace_line::operation(Direction::In, &word, Some(arguments(input))));
        }
    }

    pub(super) fn trace_mapping(&self, from: &[u8], to: &[u8]) {
        self.trace_text(&trace_line::mapping(from, to));
    }

    pub(super) fn log_refused_publish(&self, refusal: &WireError<'_>) {
        match refusal {
            WireError::PublishDenied { subject } => {
                self.error(format_args!("Publish Violation - Subject {}", quote(subject)));
            }
            WireError::ReplyDenied { reply } => {
                self.error(format_args!("Publish Violation - Reply {}", quote(reply)));
            }
            _ => {}
        }
    }

    pub(super) fn log_refused_subscription(&self, subscribe: &Subscribe<'_>) {
        let subject = quote(subscribe.subject);
        let sid = String::from_utf8_lossy(subscribe.sid);
        match subscribe.queue {
            Some(queue) => self.error(format_args!(
                "Subscription Violation - Subject {subject}, Queue: {}, SID {sid}",
                quote(queue)
            )),
            None => self.error(format_args!("Subscription Violation - Subject {subject}, SID {sid}")),
        }
    }
}

/// The arguments of the control line at the start of `input`.
fn arguments(input: &[u8]) -> &[u8] {
    let line = input.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let word = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    line.get(word..).unwrap_or_default().trim_ascii_start()
}
