//! Runs: consecutive messages of one sender for the same receivers, gathered and delivered together.
//!
//! Each message is written once, and at the end of the run every receiver gets the whole block with
//! its sid in it: one counting, one look at the receiver, one copy or one write a run instead of a
//! message. What each receiver gets, and in which order, is what it would get one by one: a run ends
//! before anything else is staged for anybody, and receivers that one by one would get the messages
//! interleaved (two subscriptions of one connection) make no run.
//!
//! ```text
//! none --second message for the same receivers--> gathering --another--> gathering
//!   ^                                                 |
//!   '-- other sender or receivers, anything staged, flush -'
//! ```

use std::sync::Arc;

use super::fanout::{Home, Manner, Round, exhaust};
use super::message::{Message, Origin};
use crate::server::account::Account;
use crate::server::base::clock::Timestamp;
use crate::server::interest::{MatchResult, Subscription};
use crate::server::log::Logger;
use crate::server::outbound::{Addressed, Aftermath, Block, Outbound, Stage};

/// Larger payloads are shared by their receivers instead of written into a block.
const PAYLOAD_BYTES_MAX: usize = 8 << 10;

/// The run that a worker gathers, if it does.
#[derive(Debug, Default)]
pub(super) struct Run {
    block: Block,
    /// Those of the run; kept when it is over, because the next run is often for the same.
    receivers: Receivers,
    /// Present while messages are gathered.
    sender: Option<Sender>,
    /// Whom the last message was for.
    last: Glance,
}

impl Run {
    /// Takes `message`, which is for `result`, into the run; false where it is to be delivered by
    /// itself. A run that it is no part of is staged first.
    #[inline]
    pub(super) fn gather(
        &mut self,
        stage: &mut Stage,
        result: &Arc<MatchResult>,
        origin: &Origin<'_>,
        message: &Message<'_>,
        manner: &Manner<'_>,
    ) -> bool {
        let apart = manner.at_once
            || manner.log.is_some()
            || message.payload.len() > PAYLOAD_BYTES_MAX
            || !result.queues.is_empty();
        let goes_on = |sender: &Sender| !apart && sender.is(origin, manner) && self.receivers.are(result);
        if self.sender.as_ref().is_some_and(|sender| !goes_on(sender)) {
            self.end(stage);
        }
        if apart || (self.sender.is_none() && !self.begins(result, origin, manner)) {
            return false;
        }
        self.block.append(message);
        true
    }

    /// Begins a run if it is likely to become one. Random traffic must not pay for runs.
    fn begins(&mut self, result: &Arc<MatchResult>, origin: &Origin<'_>, manner: &Manner<'_>) -> bool {
        let glance = Glance::at(result);
        let again = std::mem::replace(&mut self.last, glance) == glance;
        if !again && !manner.repeats {
            return false;
        }
        if !self.receivers.are(result) {
            self.receivers = Receivers::of(result);
        }
        let Some(first) = self.receivers.result.plain.get(0).filter(|_| self.receivers.get_alike) else {
            return false;
        };
        self.block.restart(first.sid());
        self.sender = Some(Sender::new(origin, manner));
        true
    }

    /// Whether the run should be sent before it grows.
    pub(super) fn is_full(&self) -> bool {
        self.sender.is_some() && self.block.is_full()
    }

    /// Ends the run: its messages are staged.
    #[inline]
    pub(super) fn end(&mut self, stage: &mut Stage) {
        if let Some(sender) = self.sender.take() {
            self.deliver(&sender, stage, |stage, target, block| stage.copy(target, &block));
        }
    }

    /// Ends the run: its messages are sent, straight from the block.
    pub(super) fn send(&mut self, stage: &mut Stage, aftermath: &mut Aftermath<'_>) {
        if let Some(sender) = self.sender.take() {
            self.deliver(&sender, stage, |stage, target, block| stage.send(target, &block, aftermath));
        }
    }

    fn deliver(
        &mut self,
        sender: &Sender,
        stage: &mut Stage,
        mut put: impl FnMut(&mut Stage, &Arc<Outbound>, Addressed<'_>),
    ) {
        let Self { block, receivers, .. } = self;
        // Receivers with sids of one length after the other: the block is moved once for each length.
        for bucket in receivers.sid_lengths() {
            for subscription in receivers.result.plain.iter().filter(|sub| length_bucket(sub) == bucket) {
                let (target, standing) = (subscription.target(), subscription.target().standing());
                if sender.hears_no_echo(target) || standing.loses(sender.drops_for_stalling) {
                    continue;
                }
                if standing.is_guarded() {
                    deliver_guarded(block, sender, subscription, stage);
                    continue;
                }
                let (granted, is_last) = subscription.deliver_many(block.messages() as u64);
                let granted = usize::try_from(granted).unwrap_or(usize::MAX);
                let home = Home::Here(sender.account.interest());
                if granted == 0 {
                    exhaust(home, subscription, &sender.logger);
                    continue;
                }
                if block.has_headers() && !standing.takes_headers() {
                    let bytes = block.write_without_headers(subscription.sid(), granted, stage.slot(target));
                    stage.add(bytes);
                } else {
                    put(stage, target, block.addressed(subscription.sid(), granted));
                }
                if is_last {
                    exhaust(home, subscription, &sender.logger);
                }
            }
        }
    }
}

/// Stages a run for a receiver whose permissions are asked about each of its messages.
#[cold]
fn deliver_guarded(block: &Block, sender: &Sender, subscription: &Subscription, stage: &mut Stage) {
    let (origin, manner) = (sender.origin(), sender.manner());
    for message in (0..block.messages()).map_while(|at| block.outgoing(at)) {
        let home = Home::Here(sender.account.interest());
        Round { stage, origin: &origin, home, message: &message, shared: None, manner: &manner, count: 0 }
            .deliver(subscription);
    }
}

/// Who sends a run, and how: what its messages have in common beside their receivers.
#[derive(Debug)]
struct Sender {
    outbound: Arc<Outbound>,
    account: Arc<Account>,
    echo: bool,
    drops_for_stalling: bool,
    /// When it began.
    now: Timestamp,
    logger: Logger,
}

impl Sender {
    fn new(origin: &Origin<'_>, manner: &Manner<'_>) -> Self {
        Self {
            outbound: Arc::clone(origin.outbound),
            account: Arc::clone(origin.account),
            echo: origin.echo,
            drops_for_stalling: manner.drops_for_stalling,
            now: manner.now,
            logger: manner.logger.clone(),
        }
    }

    #[inline]
    fn is(&self, origin: &Origin<'_>, manner: &Manner<'_>) -> bool {
        Arc::ptr_eq(&self.outbound, origin.outbound)
            && Arc::ptr_eq(&self.account, origin.account)
            && self.echo == origin.echo
            && self.drops_for_stalling == manner.drops_for_stalling
    }

    fn origin(&self) -> Origin<'_> {
        Origin { outbound: &self.outbound, account: &self.account, echo: self.echo, peer: None }
    }

    fn manner(&self) -> Manner<'_> {
        Manner {
            repeats: false,
            at_once: true,
            drops_for_stalling: self.drops_for_stalling,
            now: self.now,
            logger: &self.logger,
            log: None,
        }
    }

    fn hears_no_echo(&self, target: &Arc<Outbound>) -> bool {
        !self.echo && Arc::ptr_eq(&self.outbound, target)
    }
}

/// The receivers of a run, and what was found out about them.
#[derive(Debug, Default)]
struct Receivers {
    result: Arc<MatchResult>,
    /// They can get one block: no target is there twice, none is another server.
    get_alike: bool,
    /// Which [`length_bucket`]s there are; a bit each.
    lengths: u64,
}

impl Receivers {
    fn of(result: &Arc<MatchResult>) -> Self {
        let mut lengths = 0;
        let mut targets = Vec::with_capacity(result.plain.len());
        let mut is_local = true;
        for subscription in &result.plain {
            lengths |= 1 << length_bucket(subscription);
            targets.push(Arc::as_ptr(subscription.target()).addr());
            is_local &= !subscription.is_remote();
        }
        targets.sort_unstable();
        let is_repeated = targets.iter().zip(targets.iter().skip(1)).any(|(one, next)| one == next);
        Self { result: Arc::clone(result), get_alike: is_local && !is_repeated, lengths }
    }

    /// Whether `result` is the same receivers, be it for another subject.
    #[inline]
    fn are(&self, result: &Arc<MatchResult>) -> bool {
        Arc::ptr_eq(&self.result, result) || self.result.plain.same(&result.plain)
    }

    fn sid_lengths(&self) -> impl Iterator<Item = u32> + use<> {
        let lengths = self.lengths;
        (0..u64::BITS).filter(move |bucket| lengths & (1 << bucket) != 0)
    }
}

/// The length of a subscription's sid; those of 63 bytes and more are in one bucket.
fn length_bucket(subscription: &Subscription) -> u32 {
    u32::try_from(subscription.sid().len()).unwrap_or(u32::MAX).min(u64::BITS - 1)
}

/// Receivers at a glance: number, first and last. Others may look alike, which costs a comparison
/// later; it holds nothing, so that it is cheap for messages that make no run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Glance(usize, usize, usize);

impl Glance {
    fn at(result: &MatchResult) -> Self {
        let address = |at: usize| result.plain.get(at).map_or(0, Subscription::address);
        let count = result.plain.len();
        Self(count, address(0), address(count.saturating_sub(1)))
    }
}

#[cfg(test)]
#[path = "run_test.rs"]
mod tests;
