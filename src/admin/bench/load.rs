//! The load generator of the publish/subscribe scenarios: one thread a publisher, one (or a few)
//! for all that arrives, and a count of what everybody must have received.
//!
//! ```text
//! publisher threads --blocks of PUBs--> server --MSG--> receiver thread (epoll over all sockets)
//!        '--- waits while more than a window of deliveries is on its way ---'
//! ```
//!
//! A run is over when every expected message has arrived. More than expected, a closed connection
//! or a long silence is an error.

use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll;

use super::scenario::{Plan, Publication};
use super::wire::{self, Counter, Target, WireError};

/// Bytes that one read takes at most.
const READ_BYTES: usize = 256 * 1024;
/// How long a publisher sleeps when it is ahead of its subscribers or of its rate.
const PAUSE: Duration = Duration::from_micros(50);
/// How often the run's owner looks whether all has arrived.
const LOOK: Duration = Duration::from_micros(500);
/// At a fixed rate a publisher writes at most this much time's messages at once.
const PACE: Duration = Duration::from_millis(1);

/// How hard to load, and when to give up.
#[derive(Debug, Clone)]
pub struct Effort {
    /// Bytes that a publisher writes at once.
    pub block_bytes: usize,
    /// Deliveries that may be on their way, all subscribers together.
    pub window: u64,
    /// Messages a second by all publishers together; none: as fast as possible.
    pub rate: Option<u64>,
    /// Threads that receive.
    pub receivers: usize,
    /// Silence after which what is missing counts as lost.
    pub patience: Duration,
}

/// When a phase ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// After so many messages, all publishers together.
    Messages(u64),
    /// After so long.
    Time(Duration),
}

/// What a phase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseOutcome {
    /// Messages published.
    pub published: u64,
    /// Messages received.
    pub delivered: u64,
    /// From the first block to the last arrival.
    pub elapsed: Duration,
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Connecting failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A connection broke, or the server closed it.
    #[error("{0}")]
    Broken(String),
    /// Something did not arrive in time.
    #[error("{missing} of {expected} expected messages did not arrive, and nothing moved for {silence:.0?}")]
    Lost {
        /// Messages that are missing.
        missing: u64,
        /// Messages that should have come.
        expected: u64,
        /// How long nothing came.
        silence: Duration,
    },
    /// A tally has another number of messages than it should.
    #[error("subscriber group {tally} received {received} messages instead of {expected}")]
    Miscount {
        /// Which tally.
        tally: usize,
        /// What arrived.
        received: u64,
        /// What should have arrived.
        expected: u64,
    },
    /// The machine refused a thread or an epoll.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Counters of one connection, written by its receiver thread.
#[derive(Debug, Default)]
struct Gauge {
    messages: AtomicU64,
    payload_bytes: AtomicU64,
    pongs: AtomicU64,
    /// The server asked whether we live; the connection's writer owes a PONG.
    pong_owed: AtomicBool,
}

/// What all threads of a run share.
#[derive(Debug)]
struct Shared {
    born: Instant,
    /// Deliveries that the blocks written so far will cause.
    caused: AtomicU64,
    /// Messages written.
    published: AtomicU64,
    /// Deliveries received, by receiver thread.
    received: Vec<AtomicU64>,
    /// When something arrived last, nanoseconds after `born`.
    last_arrival: AtomicU64,
    stopping: AtomicBool,
    failure: Mutex<Option<String>>,
    failed: AtomicBool,
}

impl Shared {
    fn received(&self) -> u64 {
        self.received.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn in_flight(&self) -> u64 {
        self.caused.load(Ordering::Relaxed).saturating_sub(self.received())
    }

    fn fail(&self, why: String) {
        if self.stopping.load(Ordering::Relaxed) {
            return;
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.failed.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), LoadError> {
        if !self.failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let why = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Err(LoadError::Broken(why.unwrap_or_default()))
    }
}

/// All connections of a scenario, connected and subscribed, with their receivers running.
pub struct Fleet {
    publishers: Vec<Publisher>,
    subscribers: Vec<Line>,
    /// Each subscriber's tally.
    tallies: Vec<usize>,
    lanes: Vec<Vec<usize>>,
    tally_count: usize,
    /// Messages that each publisher has sent since the fleet exists.
    sent: Vec<u64>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    effort: Effort,
}

/// One connection's sending half and its counters.
struct Line {
    stream: TcpStream,
    gauge: Arc<Gauge>,
}

struct Publisher {
    line: Line,
    publication: Arc<Publication>,
    /// Deliveries of the first n messages of a cycle.
    caused_up_to: Vec<u64>,
    /// Where in the cycle the next message is.
    position: usize,
}

impl Fleet {
    /// Connects everybody, subscribes, and waits until the server has taken it all.
    pub fn start(target: &Target, plan: &Plan, effort: Effort) -> Result<Self, LoadError> {
        let receivers = effort.receivers.max(1);
        let shared = Arc::new(Shared {
            born: Instant::now(),
            caused: AtomicU64::new(0),
            published: AtomicU64::new(0),
            received: (0..receivers).map(|_| AtomicU64::new(0)).collect(),
            last_arrival: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            failure: Mutex::new(None),
            failed: AtomicBool::new(false),
        });
        let mut seats: Vec<Vec<Seat>> = (0..receivers).map(|_| Vec::new()).collect();
        let mut open = |name: String, answers: bool, receiver: usize| -> Result<Line, LoadError> {
            let stream = wire::connect(target)?;
            let reading = stream.try_clone().map_err(|source| LoadError::System { what: "dup", source })?;
            let gauge = Arc::new(Gauge::default());
            if let Some(seats) = seats.get_mut(receiver % receivers) {
                seats.push(Seat {
                    stream: reading,
                    counter: Counter::default(),
                    gauge: Arc::clone(&gauge),
                    name,
                    answers,
                });
            }
            Ok(Line { stream, gauge })
        };
        let mut subscribers = Vec::new();
        for number in 0..plan.subscribers.len() {
            subscribers.push(open(format!("subscriber {number}"), true, number)?);
        }
        let mut publishers = Vec::new();
        for (number, publication) in plan.publications.iter().enumerate() {
            let line = open(format!("publisher {number}"), false, number)?;
            let caused = (0..publication.len())
                .map(|index| plan.lanes.get(publication.lane(index)).map_or(0, Vec::len));
            let caused_up_to = std::iter::once(0)
                .chain(caused.scan(0, |sum, count| {
                    *sum += count as u64;
                    Some(*sum)
                }))
                .collect();
            publishers.push(Publisher {
                line,
                publication: Arc::clone(publication),
                caused_up_to,
                position: 0,
            });
        }
        let mut threads = Vec::new();
        for (number, seats) in seats.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("receiver {number}"))
                .spawn(move || receive(seats, &shared, number))
                .map_err(|source| LoadError::System { what: "start a thread", source })?;
            threads.push(thread);
        }
        let mut fleet = Self {
            sent: vec![0; publishers.len()],
            publishers,
            subscribers,
            tallies: plan.subscribers.iter().map(|subscriber| subscriber.tally).collect(),
            lanes: plan.lanes.clone(),
            tally_count: plan.tallies,
            shared,
            threads,
            effort,
        };
        for (line, subscriber) in fleet.subscribers.iter_mut().zip(&plan.subscribers) {
            line.stream
                .write_all(&subscriber.lines)
                .map_err(|error| LoadError::Broken(format!("subscribing: {error}")))?;
        }
        fleet.sync()?;
        Ok(fleet)
    }

    /// Publishes `amount` and waits until all of it has arrived everywhere. `progress` is called
    /// now and then with the share that is done, 0 to 1.
    pub fn phase(
        &mut self,
        amount: Amount,
        progress: &mut dyn FnMut(f64),
    ) -> Result<PhaseOutcome, LoadError> {
        let before: u64 = self.sent.iter().sum();
        let received_before = self.shared.received();
        let count = self.publishers.len().max(1) as u64;
        let started = Instant::now();
        let shared = &self.shared;
        let effort = &self.effort;
        let running = AtomicU64::new(self.publishers.len() as u64);
        let breakers: Vec<_> =
            self.publishers.iter().filter_map(|publisher| publisher.line.stream.try_clone().ok()).collect();
        std::thread::scope(|scope| -> Result<(), LoadError> {
            for (index, (publisher, sent)) in self.publishers.iter_mut().zip(&mut self.sent).enumerate() {
                let quota = match amount {
                    Amount::Messages(all) => {
                        Quota::Messages(all / count + u64::from((index as u64) < all % count))
                    }
                    Amount::Time(span) => Quota::Until(started + span),
                };
                let rate = effort.rate.map(|rate| (rate as f64 / count as f64).max(0.001));
                let running = &running;
                scope.spawn(move || {
                    *sent += publisher.publish(quota, rate, effort, shared);
                    running.fetch_sub(1, Ordering::Release);
                });
            }
            let mut watch = Watch::new(shared, effort.patience);
            while running.load(Ordering::Acquire) > 0 {
                std::thread::sleep(LOOK);
                if let Err(error) = watch.look(shared) {
                    // A publisher may be stuck in a write: only the end of its socket frees it.
                    shared.failed.store(true, Ordering::Relaxed);
                    breakers.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
                    return Err(error);
                }
                progress(match amount {
                    Amount::Messages(all) => {
                        (shared.published.load(Ordering::Relaxed) - before) as f64 / all.max(1) as f64
                    }
                    Amount::Time(span) => started.elapsed().as_secs_f64() / span.as_secs_f64(),
                });
            }
            Ok(())
        })?;
        self.shared.check()?;
        self.arrive()?;
        let delivered = self.shared.received() - received_before;
        // With deliveries the last of them ends the phase, without any the server's PONG does.
        let arrived = self.shared.last_arrival.load(Ordering::Relaxed);
        self.sync_publishers()?;
        let last = if delivered > 0 { arrived } else { self.shared.last_arrival.load(Ordering::Relaxed) };
        Ok(PhaseOutcome {
            published: self.sent.iter().sum::<u64>() - before,
            delivered,
            elapsed: (self.shared.born + Duration::from_nanos(last)).saturating_duration_since(started),
        })
    }

    /// Makes sure that nobody received more or less than expected, and closes everything.
    pub fn finish(mut self) -> Result<(), LoadError> {
        self.sync()?;
        let mut expected = vec![0; self.tally_count];
        for (publisher, sent) in self.publishers.iter().zip(&self.sent) {
            let by_lane = publisher.publication.count_by_lane(*sent, self.lanes.len());
            for (lane, count) in self.lanes.iter().zip(by_lane) {
                for tally in lane {
                    if let Some(expected) = expected.get_mut(*tally) {
                        *expected += count;
                    }
                }
            }
        }
        let mut received = vec![0; self.tally_count];
        for (line, tally) in self.subscribers.iter().zip(&self.tallies) {
            if let Some(received) = received.get_mut(*tally) {
                *received += line.gauge.messages.load(Ordering::Relaxed);
            }
        }
        for (tally, (expected, received)) in expected.into_iter().zip(received).enumerate() {
            if expected != received {
                return Err(LoadError::Miscount { tally, received, expected });
            }
        }
        Ok(())
    }

    /// Waits until every publisher's blocks were taken by the server.
    fn sync_publishers(&mut self) -> Result<(), LoadError> {
        ping_all(
            &mut self.publishers.iter_mut().map(|publisher| &mut publisher.line),
            &self.shared,
            &self.effort,
        )
    }

    /// Waits until everything that was sent to the server has been taken, and everything that it
    /// had for us has come.
    fn sync(&mut self) -> Result<(), LoadError> {
        self.sync_publishers()?;
        ping_all(&mut self.subscribers.iter_mut(), &self.shared, &self.effort)
    }

    fn arrive(&self) -> Result<(), LoadError> {
        let mut watch = Watch::new(&self.shared, self.effort.patience);
        while self.shared.in_flight() > 0 {
            watch.look(&self.shared)?;
            std::thread::sleep(LOOK);
        }
        self.shared.check()
    }
}

/// Notices that a run has failed or that nothing moves any more.
struct Watch {
    patience: Duration,
    seen: (u64, u64),
    since: Instant,
}

impl Watch {
    fn new(shared: &Shared, patience: Duration) -> Self {
        Self { patience, seen: Self::progress(shared), since: Instant::now() }
    }

    fn progress(shared: &Shared) -> (u64, u64) {
        (shared.published.load(Ordering::Relaxed), shared.last_arrival.load(Ordering::Relaxed))
    }

    fn look(&mut self, shared: &Shared) -> Result<(), LoadError> {
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

impl Drop for Fleet {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let lines = self.publishers.iter().map(|publisher| &publisher.line).chain(&self.subscribers);
        for line in lines {
            let _ = line.stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Sends a PING on each line and waits for all the PONGs.
fn ping_all(
    lines: &mut dyn Iterator<Item = &mut Line>,
    shared: &Shared,
    effort: &Effort,
) -> Result<(), LoadError> {
    let mut awaited = Vec::new();
    for line in lines {
        let pongs = line.gauge.pongs.load(Ordering::Relaxed);
        line.stream.write_all(b"PING\r\n").map_err(|error| LoadError::Broken(format!("PING: {error}")))?;
        awaited.push((Arc::clone(&line.gauge), pongs + 1));
    }
    let mut watch = Watch::new(shared, effort.patience);
    loop {
        awaited.retain(|(gauge, pongs)| gauge.pongs.load(Ordering::Acquire) < *pongs);
        if awaited.is_empty() {
            return shared.check();
        }
        watch.look(shared)?;
        std::thread::sleep(LOOK);
    }
}

#[derive(Debug, Clone, Copy)]
enum Quota {
    Messages(u64),
    Until(Instant),
}

impl Publisher {
    /// Sends until the quota is used up or the run has failed; how many messages were sent.
    fn publish(&mut self, quota: Quota, rate: Option<f64>, effort: &Effort, shared: &Shared) -> u64 {
        let started = Instant::now();
        let paced = rate.map_or(usize::MAX, |rate| (rate * PACE.as_secs_f64()).ceil() as usize).max(1);
        let mut sent = 0;
        while !shared.failed.load(Ordering::Relaxed) && !self.publication.is_empty() {
            let left = match quota {
                Quota::Messages(all) => usize::try_from(all - sent).unwrap_or(usize::MAX),
                Quota::Until(end) => {
                    if Instant::now() < end {
                        usize::MAX
                    } else {
                        0
                    }
                }
            };
            if left == 0 {
                break;
            }
            if self.line.gauge.pong_owed.swap(false, Ordering::Relaxed) {
                let _ = self.line.stream.write_all(b"PONG\r\n");
            }
            let due = rate.is_none_or(|rate| started.elapsed().as_secs_f64() * rate >= sent as f64);
            if !due || shared.in_flight() > effort.window {
                std::thread::sleep(PAUSE);
                continue;
            }
            let portion = self.publication.portion(self.position, left.min(paced), effort.block_bytes);
            let caused = |index: usize| self.caused_up_to.get(index).copied().unwrap_or(0);
            let end = self.position + portion.messages;
            shared.caused.fetch_add(caused(end) - caused(self.position), Ordering::Relaxed);
            if let Err(error) = self.line.stream.write_all(portion.bytes) {
                shared.fail(format!("publishing: {error}"));
                break;
            }
            sent += portion.messages as u64;
            shared.published.fetch_add(portion.messages as u64, Ordering::Relaxed);
            self.position = if end >= self.publication.len() { 0 } else { end };
        }
        sent
    }
}

/// A connection as its receiver sees it.
struct Seat {
    stream: TcpStream,
    counter: Counter,
    gauge: Arc<Gauge>,
    name: String,
    /// Whether the receiver may write PONG itself (nobody else writes while it receives).
    answers: bool,
}

fn receive(mut seats: Vec<Seat>, shared: &Shared, number: usize) {
    if let Err(error) = receive_all(&mut seats, shared, number) {
        shared.fail(error);
    }
}

fn receive_all(seats: &mut [Seat], shared: &Shared, number: usize) -> Result<(), String> {
    let system = |error: rustix::io::Errno| format!("epoll: {error}");
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system)?;
    for (index, seat) in seats.iter().enumerate() {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&poll, &seat.stream, data, epoll::EventFlags::IN).map_err(system)?;
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut events = [MaybeUninit::uninit(); 256];
    let mut open = seats.len();
    let mut total = 0;
    while open > 0 {
        let (ready, _) = match epoll::wait(&poll, &mut events, None) {
            Ok(ready) => ready,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(system(error)),
        };
        for event in ready {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(seat) = seats.get_mut(index) else { continue };
            let before = seat.counter.messages;
            if !seat.read(&mut buffer, shared) {
                let _ = epoll::delete(&poll, &seat.stream);
                open -= 1;
            }
            total += seat.counter.messages - before;
            shared.last_arrival.store(nanos_since(shared.born), Ordering::Relaxed);
            if let Some(received) = shared.received.get(number) {
                received.store(total, Ordering::Release);
            }
        }
    }
    Ok(())
}

fn nanos_since(moment: Instant) -> u64 {
    u64::try_from(moment.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Seat {
    /// One read; whether the connection is still open.
    fn read(&mut self, buffer: &mut [u8], shared: &Shared) -> bool {
        let outcome = self.stream.read(buffer);
        let bytes = match &outcome {
            Ok(0) => return self.closed("closed by the server", shared),
            Ok(count) => buffer.get(..*count).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return true,
            Err(error) => return self.closed(&error.to_string(), shared),
        };
        if let Err(garbage) = self.counter.feed(bytes) {
            return self.closed(&garbage.to_string(), shared);
        }
        self.gauge.messages.store(self.counter.messages, Ordering::Relaxed);
        self.gauge.payload_bytes.store(self.counter.payload_bytes, Ordering::Relaxed);
        if self.gauge.pongs.load(Ordering::Relaxed) != self.counter.pongs {
            self.gauge.pongs.store(self.counter.pongs, Ordering::Release);
        }
        if self.counter.pings > 0 {
            self.counter.pings = 0;
            if self.answers {
                let _ = self.stream.write_all(b"PONG\r\n");
            } else {
                self.gauge.pong_owed.store(true, Ordering::Relaxed);
            }
        }
        if let Some(error) = &self.counter.error {
            shared.fail(format!("{}: {error}", self.name));
        }
        true
    }

    fn closed(&self, why: &str, shared: &Shared) -> bool {
        let said = self.counter.error.as_deref().unwrap_or("no reason given");
        shared.fail(format!("{}: {why} after {} messages ({said})", self.name, self.counter.messages));
        false
    }
}
