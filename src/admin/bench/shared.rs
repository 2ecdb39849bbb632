//! What the threads of a load share: counters, and how a failure of one ends all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::busy::Crew;
use super::load::LoadError;
use super::plan::Total;

/// How long a thread sleeps before it looks whether the others go on.
const NAP: Duration = Duration::from_millis(50);

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
    /// Publishers that are inside a write, which may have to wait for the server.
    pub(super) writing: AtomicU64,
    /// The run is over: connections may end.
    pub(super) stopping: AtomicBool,
    pub(super) failure: Failure,
    /// The receiving threads.
    pub(super) receivers: Crew,
}

/// The first failure of several threads, which ends them all.
#[derive(Debug, Default)]
pub struct Failure {
    why: Mutex<Option<String>>,
    is_there: AtomicBool,
}

impl Failure {
    /// Notes a failure, unless there is one already.
    pub fn set(&self, why: impl Into<String>) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why.into());
        self.is_there.store(true, Ordering::Release);
    }

    /// Whether somebody has failed.
    pub fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Acquire)
    }

    /// The failure as an error, if there is one.
    pub fn check(&self) -> Result<(), LoadError> {
        if !self.is_there() {
            return Ok(());
        }
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(LoadError::Broken(why.unwrap_or_default()))
    }
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
            writing: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            failure: Failure::default(),
            receivers: Crew::default(),
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
    pub(super) fn fail(&self, why: impl Into<String>) {
        if !self.stopping.load(Ordering::Relaxed) {
            self.failure.set(why);
        }
    }

    /// Deliveries that are missing, as an error.
    pub(super) fn lost(&self, silence: Duration) -> LoadError {
        let expected = self.caused.load(Ordering::Relaxed);
        LoadError::Lost { missing: self.in_flight(), expected, silence }
    }
}

/// Sleeps until then, or until somebody has failed.
pub(super) fn sleep_until(due: Instant, failure: &Failure) {
    while !failure.is_there() {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
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

    /// Fails where the run has; else for how long nothing has been sent or received, where that is longer
    /// than it may be. Only time in which something `is_awaited` counts: a slow rate has pauses.
    pub(super) fn look(&mut self, shared: &Shared, is_awaited: bool) -> Result<Option<Duration>, LoadError> {
        shared.failure.check()?;
        let progress = Self::progress(shared);
        if progress != self.seen || !is_awaited {
            (self.seen, self.since) = (progress, Instant::now());
            return Ok(None);
        }
        let silence = self.since.elapsed();
        Ok((silence > self.patience).then_some(silence))
    }
}
