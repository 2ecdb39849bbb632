//! Requests to imported services, and their answers: how a message crosses from one account into
//! another and back.
//!
//! ```text
//! importer: help + _INBOX.1  --request-->  exporter: svc.help + _R_.aaaaaa.bbbbbb
//! importer: _INBOX.1         <--answer---  exporter: _R_.aaaaaa.bbbbbb
//! ```
//!
//! What was awaited is forgotten when it is answered, when nobody took the request, and by
//! `overdue_task` when it takes too long or nobody awaits the answer any more.

use std::sync::Arc;

use super::apart::Visit;
use super::courier::Courier;
use super::latency::measure;
use super::message::{Detail, Message, Origin};
use super::sampling::sample;
use crate::server::account::{Account, Awaited, Expectation, Measured, Noted, ServiceExport, ServiceImport};
use crate::server::config::options::ResponseType;
use crate::server::events::{ClientInfo, LatencyStatus};
use crate::server::protocol::{encode, header};

/// What a service is told of who asks.
const INFO_HEADER: &[u8] = b"Nats-Request-Info";

/// Replies that keep their subject: acknowledgements of consumers find their way by it.
const ACK_PREFIX: &[u8] = b"$JS.ACK.";

/// Services that one message may go through, one behind the other. Reference: no limit of its own.
const HOPS_MAX: usize = 64;

/// One service that a message went through on its way, and those before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop<'a> {
    export: &'a Arc<ServiceExport>,
    /// The import said that the exporter learns who asks.
    shares: bool,
    /// How much it learnt.
    detail: Detail,
    before: Option<&'a Self>,
    depth: usize,
}

impl Hop<'_> {
    /// Whether the message may go through `export` now: not a second time, and not on for ever.
    fn leads_on(hop: Option<&Hop<'_>>, export: &Arc<ServiceExport>) -> bool {
        let hops = std::iter::successors(hop, |hop| hop.before);
        hop.is_none_or(|hop| hop.depth < HOPS_MAX)
            && !hops.into_iter().any(|hop| Arc::ptr_eq(hop.export, export))
    }
}

impl Courier {
    /// Takes a request to the account that serves it; says whether anybody took it there.
    pub(super) fn request(&mut self, number: u32, visit: &Visit<'_>) -> bool {
        let Some(import) = visit.account.service(number) else { return false };
        if !Hop::leads_on(visit.hop, import.export()) || !self.may_cross() {
            return false;
        }
        let mut measured = self.sampled(import.export(), import.shares(), visit);
        let message = visit.message;
        let mut awaited = None;
        if !message.reply.is_empty() {
            let measured = measured.take();
            if !message.reply.starts_with(ACK_PREFIX) {
                awaited =
                    Some(self.expect(import.exporter(), visit.account, import.export(), measured, visit));
            }
        }
        let hop = next_hop(&import, visit.hop);
        let stamped = stamp(&hop, visit);
        let (mut header_digits, mut size_digits) = ([0; encode::DIGITS_MAX], [0; encode::DIGITS_MAX]);
        let mut request = Message {
            reply: awaited.as_ref().map_or(message.reply, |awaited| awaited.subject()),
            tail: b"",
            ..*message
        };
        if let Some((payload, header_bytes)) = &stamped {
            request.payload = payload;
            request.header_bytes = Some(*header_bytes);
            request.header_text = encode::decimal(*header_bytes as u64, &mut header_digits);
            request.size_text = encode::decimal(payload.len() as u64, &mut size_digits);
        }
        let subject = import.rename(message.subject);
        let taken = self.cross(import.exporter(), &hop, &subject, request, visit);
        if let Some(awaited) = awaited.filter(|_| !taken)
            && awaited.end()
        {
            self.tell_failed(&awaited, LatencyStatus::ServiceUnavailable, visit.manner);
        }
        if let Some(measured) = measured {
            self.tell_bad_request(import.exporter(), import.export(), &measured, visit.manner);
        }
        taken
    }

    /// Takes an answer to the account that asked. What nobody awaits, or takes there, is dropped: for
    /// whoever sent it that is no other thing than an answer that arrived.
    pub(super) fn answer(&mut self, visit: &Visit<'_>) {
        let message = visit.message;
        let Some(awaited) = visit.account.expected(message.subject) else { return };
        if !Hop::leads_on(visit.hop, awaited.export()) {
            return;
        }
        let is_only = awaited.export().response_type == ResponseType::Singleton;
        // Of two answers at the same time one is the first.
        if is_only && !awaited.end() {
            return;
        }
        if is_only {
            self.tell_answered(&awaited, visit.origin.peer, visit.manner);
        }
        // An answer may await an answer, and is measured if the request was.
        let next = (!message.reply.is_empty() && !message.reply.starts_with(ACK_PREFIX)).then(|| {
            let shares = awaited.measured().map(|request| request.shares);
            let measured = shares.and_then(|shares| self.sampled(awaited.export(), shares, visit));
            self.expect(awaited.importer(), visit.account, awaited.export(), measured, visit)
        });
        let reply = next.as_ref().map_or(message.reply, |next| next.subject());
        let hop = Hop {
            export: awaited.export(),
            shares: false,
            detail: Detail::Account,
            before: visit.hop,
            depth: visit.hop.map_or(0, |hop| hop.depth) + 1,
        };
        let answer = Message { reply, tail: b"", ..*message };
        let taken = self.cross(awaited.importer(), &hop, awaited.reply(), answer, visit);
        if let Some(next) = next.filter(|_| !taken) {
            next.end();
        }
        let is_last = message.payload.is_empty();
        if !is_only && (is_last || !taken) {
            awaited.end();
        } else if !is_only {
            awaited.touch(awaited.exporter().common().now());
        }
    }

    /// Counts one more crossing, unless the message has crossed too often.
    fn may_cross(&mut self) -> bool {
        self.crossings_left = self.crossings_left.and_then(|left| left.checked_sub(1)).or(Some(0));
        self.crossings_left != Some(0)
    }

    /// Delivers `message`, under `subject` or what the account's mappings make of it, in `account`.
    fn cross(
        &mut self,
        account: &Arc<Account>,
        hop: &Hop<'_>,
        subject: &[u8],
        message: Message<'_>,
        visit: &Visit<'_>,
    ) -> bool {
        let mapped = account.map(subject, &mut self.rng);
        let message = Message { subject: mapped.as_deref().unwrap_or(subject), ..message };
        let result = Arc::clone(self.cache.lookup(account.interest(), message.subject));
        if result.is_empty() {
            return false;
        }
        let shared = message.share(result.fanout());
        let Visit { origin, manner, .. } = *visit;
        self.visit(&result, &Visit { origin, account, hop: Some(hop), message: &message, shared, manner }) > 0
    }

    /// What will be told of the request, if it is measured. The server's own messages are not: what is
    /// told may itself be a request to a service that is measured, and so on in a circle.
    fn sampled(&mut self, export: &ServiceExport, shares: bool, visit: &Visit<'_>) -> Option<Box<Measured>> {
        let latency = export.latency.as_ref()?;
        visit.origin.peer?;
        let header = sample(latency.sampling, visit.message.header(), &mut self.rng)?;
        let now = visit.account.common().now();
        Some(Box::new(measure(visit.origin.peer, shares, header, now)))
    }

    fn expect(
        &mut self,
        exporter: &Arc<Account>,
        importer: &Arc<Account>,
        export: &Arc<ServiceExport>,
        measured: Option<Box<Measured>>,
        visit: &Visit<'_>,
    ) -> Arc<Awaited> {
        // Only one answer can be measured.
        let measured = measured.filter(|_| export.response_type == ResponseType::Singleton);
        let expectation = Expectation { exporter, importer, reply: visit.message.reply, export, measured };
        let Noted { awaited, given_up } = exporter.expect(expectation, &mut self.rng);
        for oldest in given_up {
            self.tell_failed(&oldest, LatencyStatus::ServiceTimeout, visit.manner);
        }
        awaited
    }
}

/// The way on through `import`. What an exporter learns of who asks, those behind it learn too.
fn next_hop<'a>(import: &'a ServiceImport, before: Option<&'a Hop<'a>>) -> Hop<'a> {
    let opens = import.shares() || import.exporter().is_system();
    let detail = match before {
        None if import.shares() => Detail::All,
        None if opens => Detail::Server,
        None => Detail::Account,
        Some(before) if !before.shares && opens => before.detail.max(Detail::Server),
        Some(before) => before.detail,
    };
    let depth = before.map_or(0, |hop| hop.depth) + 1;
    Hop { export: import.export(), shares: import.shares(), detail, before, depth }
}

/// The message's payload with a header that says who asks, and how long the header block is; `None`
/// where nobody in particular asks.
fn stamp(hop: &Hop<'_>, visit: &Visit<'_>) -> Option<(Vec<u8>, usize)> {
    let Origin { peer, account, .. } = *visit.origin;
    let mut info = Vec::new();
    // A request that came through a service already says through which account.
    let service = visit.hop.map_or("", |_| &**visit.account.name());
    let client = match peer {
        Some(peer) => peer.describe(hop.detail),
        None if account.is_system() => return None,
        // The server speaks for the account: it tells of a measured request.
        None => ClientInfo { account: (&**account.name()).into(), ..ClientInfo::default() },
    };
    ClientInfo { service: service.into(), ..client }.write(&mut info);
    let message = visit.message;
    let mut block = without_info(message.header());
    header::add(&mut block, INFO_HEADER, &info);
    let header_bytes = block.len();
    block.extend_from_slice(message.payload.get(message.header_bytes.unwrap_or(0)..).unwrap_or_default());
    Some((block, header_bytes))
}

/// A header block without what anybody says of who asks, in whichever spelling a client of the service may
/// understand: the reference takes out only the one that it writes itself.
fn without_info(block: &[u8]) -> Vec<u8> {
    let is_info = |line: &&[u8]| {
        let key = line.split(|&byte| byte == b':').next().unwrap_or_default();
        line.contains(&b':') && key.trim_ascii().eq_ignore_ascii_case(INFO_HEADER)
    };
    block.split_inclusive(|&byte| byte == b'\n').filter(|line| !is_info(line)).flatten().copied().collect()
}

#[cfg(test)]
#[path = "services_test.rs"]
mod tests;
