//! Deliveries of a message for which some subscription has a detour: it crosses into another account,
//! or goes to a task of the server's own.

use std::sync::Arc;

use bytes::Bytes;

use super::courier::Courier;
use super::fanout::{Delivered, Home, Manner, Round, exhaust};
use super::message::{Message, Origin};
use super::services::Hop;
use crate::server::account::Account;
use crate::server::base::inbox::Inbox;
use crate::server::interest::{Delivery, Detour, Letter, MatchResult, Shadow, Subscription};
use crate::server::outbound::SharedPayload;

/// Times that one message may cross into another account in all. Imports may branch at every step, so
/// that the ways through some dozens of accounts are more than any server can go. Reference: no limit.
const CROSSINGS_MAX: u32 = 1024;

/// One message at one account: where it began, or where a service brought it.
pub(super) struct Visit<'a> {
    pub(super) origin: &'a Origin<'a>,
    /// The account that the message is in now.
    pub(super) account: &'a Arc<Account>,
    /// The services that it went through.
    pub(super) hop: Option<&'a Hop<'a>>,
    pub(super) message: &'a Message<'a>,
    pub(super) shared: Option<SharedPayload>,
    pub(super) manner: Manner<'a>,
}

impl<'a> Visit<'a> {
    fn home(&self) -> Home<'a> {
        Home::Here(self.account.interest())
    }
}

impl Courier {
    /// Stages `message` for all of `result`.
    #[cold]
    #[inline(never)]
    pub(super) fn deliver_apart(
        &mut self,
        result: &MatchResult,
        origin: &Origin<'_>,
        message: &Message<'_>,
        manner: Manner<'_>,
    ) -> Delivered {
        let shared = message.share(result.fanout());
        let visit = Visit { origin, account: origin.account, hop: None, message, shared, manner };
        // What is told of a message on its way takes part in its budget.
        let before = self.crossings_left;
        self.crossings_left = before.or(Some(CROSSINGS_MAX));
        let count = self.visit(result, &visit);
        self.crossings_left = before.and(self.crossings_left);
        Delivered { count: Some(count), stage_full: self.stage.is_full() }
    }

    /// Takes the message to all who want it where it is now; gives how many took it.
    pub(super) fn visit(&mut self, result: &MatchResult, visit: &Visit<'_>) -> usize {
        let mut count = 0;
        for subscription in result.plain.iter() {
            count += usize::from(self.take(subscription, visit));
        }
        for group in &result.queues {
            let mut members = group.drawn(&mut self.rng);
            count += usize::from(members.any(|member| self.take(member, visit)));
        }
        count
    }

    /// Takes the message to one subscription; says whether somebody took it.
    fn take(&mut self, subscription: &Subscription, visit: &Visit<'_>) -> bool {
        match subscription.detour() {
            None => self.stage_for(subscription, visit.home(), visit, visit.message),
            Some(Detour::Stream(shadow)) => self.take_to_importer(shadow, visit),
            Some(Detour::Service(number)) => self.request(*number, visit),
            Some(Detour::Answer) => {
                self.answer(visit);
                true
            }
            Some(Detour::Inbox(inbox)) => {
                put(inbox, subscription, visit.home(), visit.message, &visit.manner)
            }
        }
    }

    /// Takes the message to the subscription that a shadow stands for. What came here through a service
    /// is not exported again.
    fn take_to_importer(&mut self, shadow: &Shadow, visit: &Visit<'_>) -> bool {
        if visit.hop.is_some() {
            return false;
        }
        let subject = shadow.import().rename(visit.message.subject);
        let message = Message { subject: &subject, ..*visit.message };
        match shadow.original().detour() {
            Some(Detour::Inbox(inbox)) => {
                put(inbox, shadow.original(), Home::Shadow(shadow), &message, &visit.manner)
            }
            _ => self.stage_for(shadow.original(), Home::Shadow(shadow), visit, &message),
        }
    }

    fn stage_for(
        &mut self,
        subscription: &Subscription,
        home: Home<'_>,
        visit: &Visit<'_>,
        message: &Message<'_>,
    ) -> bool {
        let Visit { origin, shared, manner, .. } = visit;
        let shared = shared.as_ref();
        Round { stage: &mut self.stage, origin, home, message, shared, manner, count: 0 }
            .deliver(subscription)
    }
}

/// Puts a copy of the message into an inbox. A full one loses it, and counts that.
fn put(
    inbox: &Arc<Inbox<Letter>>,
    subscription: &Subscription,
    home: Home<'_>,
    message: &Message<'_>,
    manner: &Manner<'_>,
) -> bool {
    let delivery = subscription.deliver_one();
    if delivery != Delivery::Deliver {
        exhaust(home, subscription, manner.logger);
    }
    if delivery == Delivery::Exhausted {
        return false;
    }
    let letter = Letter {
        subject: message.subject.into(),
        reply: message.reply.into(),
        header_bytes: message.header_bytes,
        payload: Bytes::copy_from_slice(message.payload),
    };
    inbox.push(letter).is_ok()
}
