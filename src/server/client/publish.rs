//! PUB and HPUB of a client: what is refused, what is answered, who gets it.

use std::sync::Arc;

use super::announce::Asked;
use super::reserved::refusal;
use super::session::ClientSession;
use crate::server::base::clock::Timestamp;
use crate::server::delivery::{Courier, Manner, Message, Origin};
use crate::server::events::USER_INFO_SUBJECT;
use crate::server::protocol::encode;
use crate::server::protocol::error::WireError;
use crate::server::protocol::op::Publish;
use crate::server::protocol::subject;

impl ClientSession {
    /// Handles one publish; says whether so much is staged that it should be sent before going on.
    pub(super) fn publish(&mut self, now: Timestamp, publish: &Publish<'_>, courier: &mut Courier) -> bool {
        self.stats.count(publish.payload.len());
        if self.profile.pedantic && !subject::is_valid_literal(publish.subject) {
            self.say(WireError::InvalidPublishSubject, courier);
        }
        let mapped = self.account.map(publish.subject, courier.rng());
        if self.trace.is_some() {
            if let Some(mapped) = &mapped {
                self.trace_mapping(publish.subject, mapped);
            }
            self.trace_payload(publish);
        }
        let (subject, reply) = (mapped.as_deref().unwrap_or(publish.subject), publish.reply);
        if let Some(permissions) = &self.permissions {
            // The same line as before, and nothing maps it: what was allowed then is.
            let is_known = publish.repeats && self.repeat_allowed && mapped.is_none();
            if !is_known {
                let by_rules = courier.may_publish(permissions, subject);
                self.repeat_allowed = by_rules && mapped.is_none();
                if !by_rules && !self.may_answer(now, subject, courier) {
                    return self.refuse_publish(WireError::PublishDenied { subject }, courier);
                }
            }
        }
        if let Some(refusal) = refusal(subject, reply, || self.speaks_in_system()) {
            return self.refuse_publish(refusal, courier);
        }
        if self.profile.verbose {
            self.say_ok(courier);
        }
        let message = Message {
            subject,
            reply,
            header_bytes: publish.header_len,
            header_text: publish.header_text,
            size_text: publish.size_text,
            payload: publish.payload,
            tail: publish.tail,
        };
        let origin = Origin {
            outbound: &self.outbound,
            account: &self.account,
            echo: self.profile.echo,
            peer: Some(self),
        };
        let awaits_count = self.profile.no_responders && !reply.is_empty();
        let manner = Manner {
            repeats: publish.repeats,
            at_once: awaits_count || self.profile.verbose,
            drops_for_stalling: self.drops_for_stalling,
            now,
            logger: &self.context.conn.logger,
            log: self.trace.as_deref(),
        };
        let delivered = courier.deliver(&origin, &message, manner);
        let asked = (!reply.is_empty()).then(|| self.asks_for_user_info(subject)).flatten();
        if let Some(asked) = asked {
            self.answer_user_info(asked, now, reply, courier);
        } else if delivered.count == Some(0) && awaits_count {
            self.say_no_responders(subject, reply, courier);
        }
        delivered.stage_full
    }

    /// Whether a request on `subject` is for what this server knows of users, and how it was asked.
    #[inline]
    fn asks_for_user_info(&self, subject: &[u8]) -> Option<Asked> {
        if !subject.starts_with(b"$SYS.REQ.USER.") || !self.context.conn.herald.speaks() {
            return None;
        }
        if subject == USER_INFO_SUBJECT {
            return Some(Asked::ByUser);
        }
        let is_direct = subject::token_count(subject) == 5 && subject.ends_with(b".INFO");
        (self.speaks_in_system() && is_direct).then_some(Asked::Directly)
    }

    /// Whether the client belongs to the system account.
    fn speaks_in_system(&self) -> bool {
        Arc::ptr_eq(&self.account, self.context.accounts.system())
    }

    /// Whether a message that no rule allows answers a request that has come in. What was delivered before,
    /// if only by this client to itself, counts.
    #[cold]
    fn may_answer(&self, now: Timestamp, subject: &[u8], courier: &mut Courier) -> bool {
        if !self.permissions.as_ref().is_some_and(|permissions| permissions.allow_answers()) {
            return false;
        }
        courier.end_run();
        self.outbound.may_answer(subject, now)
    }

    #[cold]
    fn refuse_publish(&self, refusal: WireError<'_>, courier: &mut Courier) -> bool {
        self.say(refusal, courier);
        self.log_refused_publish(&refusal);
        false
    }

    /// Tells a requester that nobody received its request, on the subscription that awaits the reply.
    fn say_no_responders(&self, subject: &[u8], reply: &[u8], courier: &mut Courier) {
        let waiting = self.account.interest().matches(reply);
        let own = waiting.plain.iter().find(|held| Arc::ptr_eq(held.target(), &self.outbound));
        let Some(own) = own else { return };
        let out = courier.stage(&self.outbound).own();
        encode::no_responders(out, reply, own.sid(), subject);
    }
}
