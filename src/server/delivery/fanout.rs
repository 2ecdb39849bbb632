//! From a match result to staged deliveries: every plain subscription, one member of each group.

use std::sync::Arc;

use super::courier::Courier;
use super::message::{Message, Origin};
use super::trace::DeliveryLog;
use crate::server::base::clock::Timestamp;
use crate::server::interest::{Delivery, Shadow, SharedInterest, Subscription};
use crate::server::log::{Logger, trace_line};
use crate::server::outbound::{SharedPayload, Stage};

/// What delivering a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Receivers that took it. None while it waits in a run: they are asked when that ends, and some may
    /// be closed or hear no echo. What is to be answered by the count asks for [`Manner::at_once`].
    pub count: Option<usize>,
    /// So much is staged that it should be sent before more is read.
    pub stage_full: bool,
}

/// How deliveries of one message behave; the same for all of its receivers.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// The sender's publish before looked the same: likely more of them come.
    pub repeats: bool,
    /// Something about the message is answered: it is to be staged before that.
    pub at_once: bool,
    /// Receivers that are behind lose the message instead of stalling its producer.
    pub drops_for_stalling: bool,
    /// When it is delivered: requests may be answered for some time.
    pub now: Timestamp,
    /// Where it is said that a subscription has got all it asked for.
    pub logger: &'a Logger,
    /// Where deliveries are traced, if they are.
    pub log: Option<&'a DeliveryLog>,
}

impl Courier {
    /// Stages `message` for everybody in its account who wants it.
    pub fn deliver(&mut self, origin: &Origin<'_>, message: &Message<'_>, manner: Manner<'_>) -> Delivered {
        let Self { stage, cache, rng, run, .. } = self;
        let result = cache.lookup(origin.account.interest(), message.subject);
        if result.is_empty() {
            return Delivered { count: Some(0), stage_full: false };
        }
        if result.has_detours() {
            let result = Arc::clone(result);
            run.end(stage);
            return self.deliver_apart(&result, origin, message, manner);
        }
        if run.gather(stage, result, origin, message, &manner) {
            return Delivered { count: None, stage_full: run.is_full() || stage.is_full() };
        }
        let shared = message.share(result.fanout());
        let home = Home::Here(origin.account.interest());
        let mut round =
            Round { stage, origin, home, message, shared: shared.as_ref(), manner: &manner, count: 0 };
        for subscription in result.plain.iter() {
            round.deliver(subscription);
        }
        for group in &result.queues {
            // A closed or silent member is passed over.
            let _ = group.drawn(rng).any(|member| round.deliver(member));
        }
        Delivered { count: Some(round.count), stage_full: round.stage.is_full() }
    }
}

/// Where a subscription stands that may come to its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Home<'a> {
    /// In this interest.
    Here(&'a SharedInterest),
    /// Where the shadow's original is.
    Shadow(&'a Shadow),
}

impl Home<'_> {
    fn remove(self, subscription: &Subscription) {
        match self {
            Self::Here(interest) => {
                interest.remove(subscription);
            }
            Self::Shadow(shadow) => shadow.end(),
        }
    }
}

/// The deliveries of one message.
pub(super) struct Round<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) origin: &'a Origin<'a>,
    pub(super) home: Home<'a>,
    pub(super) message: &'a Message<'a>,
    pub(super) shared: Option<&'a SharedPayload>,
    pub(super) manner: &'a Manner<'a>,
    pub(super) count: usize,
}

impl Round<'_> {
    /// Stages the message for one subscription; says whether it took it.
    pub(super) fn deliver(&mut self, subscription: &Subscription) -> bool {
        let target = subscription.target();
        if !self.origin.echo && Arc::ptr_eq(target, self.origin.outbound) {
            return false;
        }
        let standing = target.standing();
        if standing.loses(self.manner.drops_for_stalling) {
            return false;
        }
        if standing.is_guarded() && target.keeps_out(self.message.subject, subscription.queue()) {
            return false;
        }
        let delivery = subscription.deliver_one();
        if delivery == Delivery::Exhausted {
            // An UNSUB may have set the maximum while the last message was on its way.
            exhaust(self.home, subscription, self.manner.logger);
            return false;
        }
        let is_last = delivery == Delivery::DeliverLast;
        if is_last {
            say_exhausted(subscription, self.manner.logger);
        }
        let staged = self.stage.slot(target);
        let before = staged.own().len();
        let takes_headers = standing.takes_headers();
        self.message.write_client(subscription.sid(), takes_headers, self.shared, staged);
        let written = staged.own().len() - before;
        if let Some(log) = self.manner.log {
            let line = staged.own().get(before..).unwrap_or_default();
            log.delivered(target, line, self.message, takes_headers);
        }
        if standing.is_guarded() {
            target.note_reply(self.message.reply, self.manner.now);
        }
        if is_last && subscription.close() {
            end_exhausted(self.home, subscription, self.manner.logger);
        }
        self.count += 1;
        self.stage.add(written);
        true
    }
}

/// A subscription has received all it asked for: it ends, and its owner hears of it. Nothing happens
/// where it has ended.
#[cold]
pub(super) fn exhaust(home: Home<'_>, subscription: &Subscription, logger: &Logger) {
    if subscription.close() {
        say_exhausted(subscription, logger);
        end_exhausted(home, subscription, logger);
    }
}

#[cold]
fn say_exhausted(subscription: &Subscription, logger: &Logger) {
    if logger.is_debug() {
        logger.debug(format_args!(
            "{} - Auto-unsubscribe limit of {} reached for sid '{}'",
            subscription.target().label(),
            subscription.max(),
            String::from_utf8_lossy(subscription.sid())
        ));
    }
}

/// What follows once a subscription is closed that has received all it asked for.
#[cold]
fn end_exhausted(home: Home<'_>, subscription: &Subscription, logger: &Logger) {
    if logger.is_trace() {
        let removed = trace_line::subscription_removed(subscription.sid());
        logger.trace(format_args!("{} - {removed}", subscription.target().label()));
    }
    home.remove(subscription);
    subscription.target().exhausted(subscription.sid());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::account::Account;
    use crate::server::base::clock::ManualClock;
    use crate::server::base::rng::Rng;
    use crate::server::log::Levels;
    use crate::server::outbound::Outbound;

    /// As an UNSUB leaves it that has set the maximum while the last message was on its way: nobody saw
    /// it reached.
    fn overtaken(repeats: bool) -> (usize, Vec<Box<[u8]>>) {
        let (logger, _) = Logger::recorded(Levels::default(), Arc::new(ManualClock::default()));
        let account = Arc::new(Account::new("A", SharedInterest::new()));
        let (sender, target) = (Arc::new(Outbound::detached(1)), Arc::new(Outbound::detached(2)));
        let sub = Subscription::new(Arc::clone(&target), b"a", None, b"7");
        account.interest().insert(sub.clone()).unwrap();
        let mut courier = Courier::new(Rng::seeded(1));
        let origin = Origin { outbound: &sender, account: &account, echo: true, peer: None };
        let manner = Manner {
            repeats,
            at_once: !repeats,
            drops_for_stalling: false,
            now: Timestamp::default(),
            logger: &logger,
            log: None,
        };
        let message = Message {
            subject: b"a",
            reply: b"",
            header_bytes: None,
            header_text: b"",
            size_text: b"0",
            payload: b"",
            tail: b"",
        };
        courier.deliver(&origin, &message, manner);
        courier.end_run();
        sub.set_max(1);
        for _ in 0..3 {
            courier.deliver(&origin, &message, manner);
            courier.end_run();
        }
        (account.interest().count(), target.take_exhausted())
    }

    #[test]
    fn subscription_whose_maximum_was_overtaken_ends_with_the_next_message() {
        assert_eq!(overtaken(false), (0, vec![Box::from(*b"7")]));
        assert_eq!(overtaken(true), (0, vec![Box::from(*b"7")]));
    }
}
