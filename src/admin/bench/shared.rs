//! What the threads of a load share: counters, and how a failure of one ends all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::load::LoadError;
use super::plan::Total;

/// Counters of one connection, written by its receiver thread.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) messages: AtomicU64,
    pub(super) payload_bytes: AtomicU64,
    pub(super) pongs: AtomicU64,
    /// The server asked whether we live; the connection's writer owes a PONG.
    pub(super) pong_owed: AtomicBool,
}

impl Gauge {
    /// What arrived so far.
    pub(super) fn total(&self) -> Total {
        Total {
            messages: self.messages.load(Ordering::Relaxed),
            payload_bytes: self.payload_bytes.load(Ordering::Relaxed),
        }
    }
}

/// What all threads of a run share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) born: Instant,
    /// Deliveries that the blocks written so far will cause.
    pub(super) caused: AtomicU64,
    /// Messages written.
    pub(super) published: AtomicU64,
    /// Deliveries received, by receiver thread.
    pub(super) received: Vec<AtomicU64>,
    /// When something arrived last, nanoseconds after `born`.
    pub(super) last_arrival: AtomicU64,
    /// The run is over: connections may end.
    pub(super) stopping: AtomicBool,
    /// The first failure, in words.
    failure: Mutex<Option<String>>,
    /// Whether there is one.
    pub(super) failed: AtomicBool,
}

impl Shared {
    /// For a run with so many receiver threads.
    pub(super) fn new(receivers: usize) -> Self {
        Self {
            born: Instant::now(),
            caused: AtomicU64::new(0),
            published: AtomicU64::new(0),
            received: (0..receivers).map(|_| AtomicU64::new(0)).collect(),
            last_arrival: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        }
    }

    /// Deliveries received by all threads.
    pub(super) fn received(&self) -> u64 {
        self.received.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Deliveries on their way.
    pub(super) fn in_flight(&self) -> u64 {
        self.caused.load(Ordering::Relaxed).saturating_sub(self.received())
    }

    /// Ends the run, unless it is over anyway.
    pub(super) fn fail(&self, why: String) {
        if self.stopping.load(Ordering::Relaxed) {
            return;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.failed.store(true, Ordering::Relaxed);
    }

    /// The failure that ended the run, if one did.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let why = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(LoadError::Broken(why.unwrap_or_default()))
    }
}

/// Notices that a run has failed or that nothing moves any more.
pub(super) struct Watch {
    patience: Duration,
    seen: (u64, u64),
    since: Instant,
}

impl Watch {
    /// Watches from now on.
    pub(super) fn new(shared: &Shared, patience: Duration) -> Self {
        Self { patience, seen: Self::progress(shared), since: Instant::now() }
    }

    fn progress(shared: &Shared) -> (u64, u64) {
        (shared.published.load(Ordering::Relaxed), shared.last_arrival.load(Ordering::Relaxed))
    }

    /// Fails where the run has, or where nothing was sent or received for too long.
    pub(super) fn look(&mut self, shared: &Shared) -> Result<(), LoadError> {
        shared.check()?;
        let progress = Self::progress(shared);
        if progress != self.seen {
            (self.seen, self.since) = (progress, Instant::now());
            return Ok(());
        }
        let silence = self.since.elapsed();
        if silence <= self.patience {
            return Ok(());
        }
        let expected = shared.caused.load(Ordering::Relaxed);
        let missing = shared.in_flight();
        Err(LoadError::Lost { missing, expected, silence })
    }
}
