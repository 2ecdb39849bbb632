//! The server itself as a publisher, in any account: with a worker's courier in hand, from inside a
//! session or from a task that was lent one.

use std::sync::Arc;

use super::courier::Courier;
use super::fanout::Manner;
use super::message::{Message, Origin};
use super::trace::DeliveryLog;
use crate::server::account::Account;
use crate::server::base::clock::Timestamp;
use crate::server::log::Logger;
use crate::server::outbound::Outbound;
use crate::server::protocol::encode;

/// The connection id of the server's own voice. Reference: the system client is connection 1.
const VOICE_ID: u64 = 1;

/// One message of the server's.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// The account that it is published in.
    pub account: &'a Arc<Account>,
    /// Its subject.
    pub subject: &'a [u8],
    /// Where it is answered.
    pub reply: Reply<'a>,
    /// Its header block; empty for none.
    pub header: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

/// Where a message of the server's is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply<'a> {
    /// Nowhere.
    None,
    /// Nowhere, but its place in the line is there: two spaces in a row, as in the reference's own messages.
    Blank,
    /// On this subject.
    To(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// On `subject`, which is empty where nobody waits for an answer.
    pub const fn or_blank(subject: &'a [u8]) -> Self {
        if subject.is_empty() { Self::Blank } else { Self::To(subject) }
    }

    const fn subject(self) -> &'a [u8] {
        match self {
            Self::None | Self::Blank => b"",
            Self::To(subject) => subject,
        }
    }
}

/// When, and with what, something is said.
#[derive(Debug)]
pub struct Occasion<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// The worker's tools.
    pub courier: &'a mut Courier,
    /// Where deliveries are traced, if they are.
    pub log: Option<&'a DeliveryLog>,
}

/// The server's voice: where its own messages come from.
#[derive(Debug)]
pub struct Internal {
    outbound: Arc<Outbound>,
    logger: Logger,
}

impl Internal {
    /// A voice whose deliveries are logged by `logger`.
    pub fn new(logger: Logger) -> Self {
        Self { outbound: Arc::new(Outbound::detached(VOICE_ID)), logger }
    }

    /// Stages `post` for everybody who wants it; gives how many do.
    pub fn publish(&self, post: &Post<'_>, occasion: &mut Occasion<'_>) -> usize {
        let Occasion { now, log, .. } = *occasion;
        occasion.courier.end_run();
        let whole = (!post.header.is_empty()).then(|| [post.header, post.body].concat());
        let payload = whole.as_deref().unwrap_or(post.body);
        let (mut header_digits, mut size_digits) = ([0; encode::DIGITS_MAX], [0; encode::DIGITS_MAX]);
        let (mut header_text, mut size_text) = (
            encode::decimal(post.header.len() as u64, &mut header_digits),
            encode::decimal(payload.len() as u64, &mut size_digits),
        );
        let spaced;
        if post.reply == Reply::Blank {
            let first = if whole.is_some() { &mut header_text } else { &mut size_text };
            spaced = [b" ", *first].concat();
            *first = &spaced;
        }
        let message = Message {
            subject: post.subject,
            reply: post.reply.subject(),
            header_bytes: whole.is_some().then_some(post.header.len()),
            header_text,
            size_text,
            payload,
            tail: &[],
        };
        let origin = Origin { outbound: &self.outbound, account: post.account, echo: false, peer: None };
        let manner = Manner {
            repeats: false,
            at_once: true,
            drops_for_stalling: false,
            now,
            logger: &self.logger,
            log,
        };
        occasion.courier.deliver(&origin, &message, manner).count.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::SystemClock;
    use crate::server::base::rng::Rng;
    use crate::server::interest::{SharedInterest, Subscription};
    use crate::server::log::Levels;

    #[test]
    fn message_reaches_subscribers_of_its_account_with_its_header() {
        let (logger, _log) = Logger::recorded(Levels::default(), Arc::new(SystemClock::new()));
        let voice = Internal::new(logger);
        let account = Arc::new(Account::new("A", SharedInterest::new()));
        let receiver = Arc::new(Outbound::detached(9));
        receiver.set_takes_headers(true);
        let subscription = Subscription::new(Arc::clone(&receiver), b"a.*", None, b"7");
        account.interest().insert(subscription).unwrap();
        let mut courier = Courier::new(Rng::seeded(1));
        let mut publish = |subject, reply, header| {
            let post = Post { account: &account, subject, reply, header, body: b"body" };
            voice.publish(
                &post,
                &mut Occasion { now: Timestamp::from_nanos(1), courier: &mut courier, log: None },
            )
        };
        assert_eq!(publish(b"b", Reply::None, b""), 0);
        assert_eq!(publish(b"a.b", Reply::None, b""), 1);
        assert_eq!(publish(b"a.b", Reply::Blank, b""), 1);
        assert_eq!(publish(b"a.c", Reply::To(b"r"), b"NATS/1.0\r\nK: v\r\n\r\n"), 1);
        let want = [
            &b"MSG a.b 7 4\r\nbody\r\nMSG a.b 7  4\r\nbody\r\n"[..],
            b"HMSG a.c 7 r 18 22\r\nNATS/1.0\r\nK: v\r\n\r\nbody\r\n",
        ];
        assert_eq!(courier.stage(&receiver).own().as_slice(), want.concat());
    }
}
