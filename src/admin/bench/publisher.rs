//! The sending side of a load: one thread writes prepared blocks, as fast as its subscribers follow
//! or as its rate allows.

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::load::Effort;
use super::plan::Publication;
use super::shared::{Gauge, Shared};

/// How long a publisher sleeps when it is ahead of its subscribers.
const PAUSE: Duration = Duration::from_micros(50);
/// How long it sleeps at most until its next message is due: it also has PINGs to answer.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// At a fixed rate a publisher writes at most this much time's messages at once.
const PACE: Duration = Duration::from_millis(1);

/// One connection's sending half and its counters.
pub(super) struct Line {
    pub(super) stream: TcpStream,
    pub(super) gauge: Arc<Gauge>,
}

/// A publishing connection.
pub(super) struct Publisher {
    pub(super) line: Line,
    publication: Arc<Publication>,
    /// Deliveries of the first n messages of a cycle.
    caused_up_to: Vec<u64>,
    /// Where in the cycle the next message is.
    position: usize,
    /// Messages sent so far.
    sent: u64,
}

/// How much a publisher sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quota {
    Messages(u64),
    Until(Instant),
}

/// When the messages of one of several senders are due, so that all together send at an even rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Messages a second of this sender.
    rate: f64,
    /// Its place among the senders, 0 to 1: they take turns.
    offset: f64,
}

impl Pace {
    /// That of sender `number` of `count` that send `rate` messages a second together.
    pub(super) fn of(rate: u64, number: usize, count: usize) -> Self {
        let count = count.max(1) as f64;
        Self { rate: (rate as f64 / count).max(0.001), offset: number as f64 / count }
    }

    /// When its message after `sent` others is due, from the beginning on.
    pub(super) fn due(self, sent: u64) -> Duration {
        Duration::try_from_secs_f64((sent as f64 + self.offset) / self.rate).unwrap_or(Duration::MAX)
    }

    /// How many it sends at once.
    fn at_once(self) -> usize {
        (self.rate * PACE.as_secs_f64()).ceil().max(1.0) as usize
    }
}

impl Quota {
    /// How many more messages, after `sent`.
    fn left(self, sent: u64) -> usize {
        match self {
            Self::Messages(all) => usize::try_from(all.saturating_sub(sent)).unwrap_or(usize::MAX),
            Self::Until(end) if Instant::now() < end => usize::MAX,
            Self::Until(_) => 0,
        }
    }
}

impl Publisher {
    /// A publisher of `publication` on `line`; `lanes` says who receives what.
    pub(super) fn new(line: Line, publication: Arc<Publication>, lanes: &[Vec<usize>]) -> Self {
        let mut sum = 0;
        let mut caused_up_to = vec![0];
        caused_up_to.extend((0..publication.len()).map(|index| {
            sum += lanes.get(publication.lane(index)).map_or(0, Vec::len) as u64;
            sum
        }));
        Self { line, publication, caused_up_to, position: 0, sent: 0 }
    }

    /// Messages sent so far.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// What is being sent.
    pub(super) fn publication(&self) -> &Publication {
        &self.publication
    }

    /// Sends until the quota is used up or the run has failed.
    pub(super) fn publish(&mut self, quota: Quota, pace: Option<Pace>, effort: &Effort, shared: &Shared) {
        let started = Instant::now();
        let at_once = pace.map_or(usize::MAX, Pace::at_once);
        let mut sent = 0;
        while !shared.failure.is_there() && !self.publication.is_empty() {
            let left = quota.left(sent);
            if left == 0 {
                return;
            }
            if self.line.gauge.pong_owed.swap(false, Ordering::Relaxed) {
                // A broken connection shows at the next block.
                let _ = self.line.stream.write_all(b"PONG\r\n");
            }
            let early = pace.map_or(Duration::ZERO, |pace| pace.due(sent).saturating_sub(started.elapsed()));
            if !early.is_zero() || shared.in_flight() > effort.window {
                std::thread::sleep(early.clamp(PAUSE, PAUSE_MAX));
                continue;
            }
            match self.publish_block(left.min(at_once), effort.block_bytes, shared) {
                Ok(messages) => sent += messages,
                Err(error) => return shared.fail(format!("publishing: {error}")),
            }
        }
    }

    fn publish_block(&mut self, messages_max: usize, bytes_max: usize, shared: &Shared) -> io::Result<u64> {
        let portion = self.publication.portion(self.position, messages_max, bytes_max);
        let end = self.position + portion.messages;
        let caused = |index: usize| self.caused_up_to.get(index).copied().unwrap_or(0);
        // Before the write: what is on its way must never look negative.
        shared.caused.fetch_add(caused(end) - caused(self.position), Ordering::Relaxed);
        shared.writing.fetch_add(1, Ordering::Relaxed);
        let written = self.line.stream.write_all(portion.bytes);
        shared.writing.fetch_sub(1, Ordering::Relaxed);
        written?;
        let messages = portion.messages as u64;
        self.position = if end >= self.publication.len() { 0 } else { end };
        self.sent += messages;
        shared.published.fetch_add(messages, Ordering::Relaxed);
        Ok(messages)
    }
}
