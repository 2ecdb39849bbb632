//! SUB and UNSUB of a client: rules, limits, and what becomes of a subscription.

use std::sync::Arc;

use super::reserved::SYSTEM_QUEUE;
use super::session::ClientSession;
use crate::server::auth::Permissions;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::delivery::Courier;
use crate::server::interest::Subscription;
use crate::server::log::trace_line;
use crate::server::protocol::error::WireError;
use crate::server::protocol::op::{Subscribe, Unsubscribe};

impl ClientSession {
    /// Handles one SUB. A sid that is taken keeps its subscription, and no error is said.
    pub(super) fn subscribe(&mut self, now: Timestamp, subscribe: &Subscribe<'_>, courier: &mut Courier) {
        let Subscribe { subject, queue, sid } = *subscribe;
        self.forget_exhausted();
        let is_denied =
            |permissions: &Arc<Permissions>| !permissions.subscribe().allow_subscribe(subject, queue);
        if queue == Some(SYSTEM_QUEUE) || self.permissions.as_ref().is_some_and(is_denied) {
            self.say(WireError::SubscribeDenied { subject, queue, sid: None }, courier);
            self.log_refused_subscription(subscribe);
            return;
        }
        if self.exceeds_tokens(subject) {
            self.say(WireError::TooManyTokens { subject }, courier);
            self.error(format_args!(
                "Subscription Violation Too Many Tokens - Subject {}, SID {}",
                quote(subject),
                String::from_utf8_lossy(sid)
            ));
            return;
        }
        if self.subscriptions_max.is_some_and(|max| self.sids.len() >= max) {
            self.log_too_many_subscriptions(now);
            self.say(WireError::SubscriptionsExceeded, courier);
            return;
        }
        if self.sids.get(sid).is_none() {
            self.filter_deliveries(subject, queue);
            let subscription = Subscription::new(Arc::clone(&self.outbound), subject, queue, sid);
            if self.account.interest().insert(subscription.clone()).is_err() {
                self.say(WireError::InvalidSubject, courier);
                return;
            }
            self.log_imports(&subscription);
            self.sids.insert(subscription);
        }
        if self.profile.verbose {
            self.say_ok(courier);
        }
    }

    /// Says what a subscription stands for in other accounts.
    fn log_imports(&self, subscription: &Subscription) {
        if !self.context.conn.logger.is_debug() {
            return;
        }
        for (shadow, import) in self.account.interest().shadows_of(subscription) {
            let (subject, exporter) = (quote(shadow.subject()), quote(import.exporter_name()));
            self.debug(format_args!("Creating import subscription on {subject} from account {exporter}"));
        }
    }

    /// Handles one UNSUB: ends the subscription now, or once it has received `max` messages in all.
    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>, courier: &mut Courier) {
        self.forget_exhausted();
        let held = self.sids.get(unsubscribe.sid);
        let is_over = held.is_some_and(|subscription| {
            subscription.set_max(unsubscribe.max.unwrap_or(0));
            subscription.max() <= subscription.delivered()
        });
        if self.profile.verbose {
            self.say_ok(courier);
        }
        if is_over && let Some(ended) = self.sids.remove(unsubscribe.sid) {
            self.end_subscription(&ended);
        }
    }

    /// Forgets the sids of subscriptions that got all they asked for: whoever delivered the last
    /// message took them out of the account's interest already.
    pub(super) fn forget_exhausted(&mut self) {
        for sid in self.outbound.take_exhausted() {
            // The sid may have been taken anew since.
            if self.sids.get(&sid).is_some_and(Subscription::is_closed) {
                self.sids.remove(&sid);
            }
        }
    }

    /// Ends all subscriptions of this client.
    pub(super) fn end_all_subscriptions(&mut self) {
        self.forget_exhausted();
        let all = self.sids.take_all();
        for subscription in &all {
            // Whoever delivered the last message it asked for has traced its end already.
            if subscription.close() {
                self.trace_removed(subscription);
            }
        }
        self.account.interest().remove_batch(&all);
    }

    pub(super) fn end_subscription(&self, subscription: &Subscription) {
        self.trace_removed(subscription);
        self.account.interest().remove(subscription);
        subscription.close();
    }

    fn trace_removed(&self, subscription: &Subscription) {
        if self.context.conn.logger.is_trace() {
            self.trace_text(&trace_line::subscription_removed(subscription.sid()));
        }
    }

    /// Says so once in a while for all clients of an account: a client may try in a loop.
    pub(super) fn log_too_many_subscriptions(&self, now: Timestamp) {
        if self.account.reports_subscription_limit(now) {
            self.error(format_args!("{}", WireError::SubscriptionsExceeded));
        }
    }

    fn exceeds_tokens(&self, subject: &[u8]) -> bool {
        let dots = || memchr::memchr_iter(b'.', subject).count();
        self.subject_tokens_max.is_some_and(|max| dots() + 1 > max)
    }
}
