//! Inbound operations and refusals of a client, as the log shows them.

use super::session::ClientSession;
use crate::server::base::quote::quote;
use crate::server::log::trace_line::{self, Direction};
use crate::server::protocol::error::{ParseError, WireError};
use crate::server::protocol::op::{Op, Publish, Subscribe};

impl ClientSession {
    /// Traces an operation; `input` begins with it.
    pub(super) fn trace_inbound(&mut self, op: &Op<'_>, input: &[u8]) {
        match op {
            Op::Connect(json) => self.trace_text(&trace_line::connect(json)),
            Op::Ping => self.trace_text(&trace_line::operation(Direction::In, "PING", None)),
            Op::Pong => self.trace_text(&trace_line::operation(Direction::In, "PONG", None)),
            Op::Subscribe(_) | Op::Unsubscribe(_) => self.trace_line(input),
            // Its payload follows once it is known where it goes.
            Op::Publish(_) => {
                self.trace_publish_line(input);
                self.traced_line = false;
            }
            // Not shown by the reference, or not said by clients.
            Op::Ok
            | Op::Err(_)
            | Op::Info(_)
            | Op::LinkSubscribe(_)
            | Op::LinkUnsubscribe(_)
            | Op::LinkMessage(_)
            | Op::AccountInterest(_)
            | Op::AccountNoInterest(_) => {}
        }
    }

    /// Traces the line of a publish whose payload is still to come; `input` begins with it.
    pub(super) fn trace_publish_line(&mut self, input: &[u8]) {
        let is_publish = |(word, _): (&[u8], _)| matches!(word, b"pub" | b"hpub");
        if !self.traced_line && self.parser.line(input).is_some_and(is_publish) {
            self.trace_line(input);
            self.traced_line = true;
        }
    }

    /// Traces what a publish carries.
    #[cold]
    pub(super) fn trace_payload(&self, publish: &Publish<'_>) {
        let Some(trace) = &self.trace else { return };
        let header_bytes = publish.header_len.unwrap_or(0);
        let text = trace_line::payload(Direction::In, publish.payload, header_bytes, trace.view);
        if let Some(text) = text {
            self.trace_text(&text);
        }
    }

    /// Traces an operation whose line was read, and then refused; `input` begins with it.
    pub(super) fn trace_refused(&mut self, error: &ParseError, input: &[u8]) {
        match error {
            ParseError::Arguments(_)
            | ParseError::HeadersNotSupported
            | ParseError::PayloadTooLarge { .. } => self.trace_line(input),
            // The line may be right, and the end of the payload wrong.
            ParseError::UnknownOperation { .. } => self.trace_publish_line(input),
            ParseError::AwaitsConnect | ParseError::ControlLineTooLong { .. } => {}
        }
    }

    /// Traces the line that `input` begins with.
    fn trace_line(&self, input: &[u8]) {
        let Some((word, args)) = self.parser.line(input) else { return };
        let word = String::from_utf8_lossy(word).to_uppercase();
        self.trace_text(&trace_line::operation(Direction::In, &word, Some(args)));
    }

    pub(super) fn trace_mapping(&self, from: &[u8], to: &[u8]) {
        if self.trace.is_some() {
            self.trace_text(&trace_line::mapping(from, to));
        }
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
