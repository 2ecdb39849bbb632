//! What is counted for an account on this server: what its connections send and receive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::server::base::clock::Timestamp;
use crate::server::outbound::Tally;

/// One account's counters.
#[derive(Debug, Default)]
pub struct Figures {
    received: Tally,
    sent: Arc<Tally>,
    /// When its connections were last told of; nanoseconds, 0 where they are not told of again.
    announced: AtomicU64,
    /// It stands in the queue of accounts that are told of again.
    queued: AtomicBool,
}

impl Figures {
    /// What came from its connections.
    pub fn received(&self) -> &Tally {
        &self.received
    }

    /// What went to its connections.
    pub fn sent(&self) -> &Arc<Tally> {
        &self.sent
    }

    /// Connections that did not keep up.
    pub fn slow_consumers(&self) -> u64 {
        self.sent.slow_consumers()
    }

    /// The account's connections were told of `now`; says whether it is to be put into the queue of
    /// those that are told of again, because it is not there yet.
    pub fn announce(&self, now: Timestamp) -> bool {
        self.announced.store(now.nanos(), Ordering::Release);
        self.enter_queue()
    }

    /// Puts the account into the queue; false where it is there already.
    pub fn enter_queue(&self) -> bool {
        !self.queued.swap(true, Ordering::AcqRel)
    }

    /// When its connections are to be told of again, `interval` after the last time; `None` where it
    /// has none.
    pub fn next_announcement(&self, interval: Duration) -> Option<Timestamp> {
        let last = Some(self.announced.load(Ordering::Acquire)).filter(|&nanos| nanos > 0)?;
        Some(Timestamp::from_nanos(last) + interval)
    }

    /// There are no connections any more: nothing is told again.
    pub fn rest(&self) {
        self.announced.store(0, Ordering::Release);
    }

    /// It is no longer in the queue.
    pub fn leave_queue(&self) {
        self.queued.store(false, Ordering::Release);
    }
}
