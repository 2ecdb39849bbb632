//! One account: who in it subscribed to what, and where its messages are sent on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::connections::Connections;
use super::figures::Figures;
use super::mapping::Mappings;
use crate::server::base::clock::Timestamp;
use crate::server::base::rng::Rng;
use crate::server::interest::SharedInterest;

/// A name space of subjects: messages stay inside, unless exported and imported.
#[derive(Debug)]
pub struct Account {
    name: Arc<str>,
    interest: Arc<SharedInterest>,
    /// When a client at its limit of subscriptions was last reported; nanoseconds.
    limit_reported: AtomicU64,
    connections: Connections,
    mappings: ArcSwapOption<Mappings>,
    /// Whether there are mappings. Every message asks, and a look at them costs as much as its parsing.
    is_mapped: AtomicBool,
    figures: Figures,
}

/// How often the log says that a client is at its limit of subscriptions. Reference: 2 s an account.
const LIMIT_REPORT_INTERVAL: Duration = Duration::from_secs(2);

impl Account {
    /// An account without subscriptions.
    pub fn new(name: &str, interest: SharedInterest) -> Self {
        Self {
            name: name.into(),
            interest: Arc::new(interest),
            limit_reported: AtomicU64::new(0),
            connections: Connections::default(),
            mappings: ArcSwapOption::empty(),
            is_mapped: AtomicBool::new(false),
            figures: Figures::default(),
        }
    }

    /// The account's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is time to report a client at its limit of subscriptions; counts as reported.
    pub fn reports_subscription_limit(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_nanos(self.limit_reported.load(Ordering::Relaxed));
        let due = now.since(last) >= LIMIT_REPORT_INTERVAL;
        if due {
            self.limit_reported.store(now.nanos(), Ordering::Relaxed);
        }
        due
    }

    /// Its clients on this server.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Puts other subject mappings in force.
    pub fn set_mappings(&self, mappings: Mappings) {
        let is_mapped = !mappings.is_empty();
        self.mappings.store(is_mapped.then(|| Arc::new(mappings)));
        self.is_mapped.store(is_mapped, Ordering::Release);
    }

    /// Where a message to `subject` goes, if not there; see [`Mappings::map`].
    #[inline]
    pub fn map(&self, subject: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        if !self.is_mapped.load(Ordering::Acquire) {
            return None;
        }
        self.mappings.load().as_ref()?.map(subject, rng)
    }

    /// What is counted for it.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Its subscriptions.
    pub fn interest(&self) -> &Arc<SharedInterest> {
        &self.interest
    }
}
