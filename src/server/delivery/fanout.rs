//! From a match result to staged deliveries: every plain subscription, one member of each group.

use std::sync::Arc;

use super::courier::Courier;
use super::message::{Message, Origin};
use super::trace::DeliveryLog;
use crate::server::interest::{Delivery, MatchResult, Subscription};
use crate::server::outbound::{Outbound, Stage};

/// What delivering a message came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Deliveries staged.
    pub count: usize,
    /// So much is staged that it should be sent before more is read.
    pub stage_full: bool,
}

/// How deliveries of one message behave; the same for all of its receivers.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// Receivers that are behind lose the message instead of stalling its producer.
    pub drops_for_stalling: bool,
    /// Where deliveries are traced, if they are.
    pub log: Option<&'a DeliveryLog<'a>>,
}

impl Courier {
    /// Stages `message` for everybody in its account who wants it.
    pub fn deliver(&mut self, origin: &Origin<'_>, message: &Message<'_>, manner: Manner<'_>) -> Delivered {
        let result: Arc<MatchResult>;
        let Self { stage, cache, rng } = self;
        let result = cache.lookup(origin.account.interest(), message.subject);
        let mut delivered = Delivered::default();
        let mut one = Deliverer { stage, origin, message, manner, delivered: &mut delivered };
        for subscription in result.plain() {
            one.deliver(subscription);
        }
        for group in result.queues() {
            let members = group.members();
            let start = rng.below(members.len());
            let (before, after) = members.split_at(start);
            // The first member that can take it does; a closed or silent one is passed over.
            let _ = after.iter().chain(before).any(|member| one.deliver(member));
        }
        delivered
    }
}
