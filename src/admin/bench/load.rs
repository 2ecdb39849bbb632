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

use std::io::Write as _;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::busy;
use super::plan::{Plan, Subscriber, TooLarge, Total};
use super::publisher::{Line, Pace, Publisher, Quota};
use super::receiver::{Seat, receive};
use super::shared::{Gauge, Shared, Watch};
use super::wire::{self, Target, WireError, in_words};

/// How often the run's owner looks whether all has arrived.
const LOOK: Duration = Duration::from_micros(500);

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
    /// How long the busiest thread of this process ran or waited for a processor.
    pub busiest: Duration,
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
    /// The scenario is too large.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// Something did not arrive in time.
    #[error(
        "{missing} of {expected} expected messages did not arrive, and nothing moved for {}",
        in_words(*silence)
    )]
    Lost {
        /// Messages that are missing.
        missing: u64,
        /// Messages that should have come.
        expected: u64,
        /// How long nothing came.
        silence: Duration,
    },
    /// The server stopped reading.
    #[error("the server took nothing more from a publisher for {}", in_words(*.0))]
    Stuck(Duration),
    /// The server did not answer a PING.
    #[error("no PONG on {connections} connections, and nothing moved for {}", in_words(*silence))]
    NoPong {
        /// How many wait for one.
        connections: usize,
        /// How long nothing came.
        silence: Duration,
    },
    /// A subscriber (or a queue group) received something else than it should.
    #[error("subscriber group {tally} received {received} instead of {expected}")]
    Miscount {
        /// Which tally.
        tally: usize,
        /// What arrived.
        received: Total,
        /// What should have arrived.
        expected: Total,
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

/// All connections of a scenario, connected and subscribed, with their receivers running.
pub struct Fleet {
    publishers: Vec<Publisher>,
    subscribers: Vec<Line>,
    /// Each subscriber's tally.
    tallies: Vec<usize>,
    /// What each subscriber sends at the end.
    farewells: Vec<Vec<u8>>,
    lanes: Vec<Vec<usize>>,
    tally_count: usize,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    effort: Effort,
}

impl Fleet {
    /// Connects everybody, subscribes, and waits until the server has taken it all.
    pub fn start(target: &Target, plan: &Plan, effort: Effort) -> Result<Self, LoadError> {
        let receivers = effort.receivers.max(1);
        let mut seats: Vec<Vec<Seat>> = (0..receivers).map(|_| Vec::new()).collect();
        let mut open = |name: String, answers: bool, receiver: usize| -> Result<Line, LoadError> {
            let (line, seat) = connect(target, name, answers)?;
            if let Some(seats) = seats.get_mut(receiver % receivers) {
                seats.push(seat);
            }
            Ok(line)
        };
        let subscribers = (0..plan.subscribers.len())
            .map(|number| open(format!("subscriber {number}"), true, number))
            .collect::<Result<_, _>>()?;
        let publishers = (plan.publications.iter().enumerate())
            .map(|(number, publication)| {
                let line = open(format!("publisher {number}"), false, number)?;
                Ok(Publisher::new(line, Arc::clone(publication), &plan.lanes))
            })
            .collect::<Result<_, LoadError>>()?;
        let mut fleet = Self {
            publishers,
            subscribers,
            tallies: plan.subscribers.iter().map(|subscriber| subscriber.tally).collect(),
            farewells: plan.subscribers.iter().map(Subscriber::farewell).collect(),
            lanes: plan.lanes.clone(),
            tally_count: plan.tallies,
            shared: Arc::new(Shared::new(receivers)),
            threads: Vec::new(),
            effort,
        };
        for (number, seats) in seats.into_iter().enumerate() {
            let shared = Arc::clone(&fleet.shared);
            let thread = std::thread::Builder::new()
                .name(format!("receiver {number}"))
                .spawn(move || receive(seats, &shared, number))
                .map_err(|source| LoadError::System { what: "starting a thread", source })?;
            fleet.threads.push(thread);
        }
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
        let published_before = self.published();
        let received_before = self.shared.received();
        let busy_before = self.shared.receivers.busy();
        let started = Instant::now();
        let publishing = self.publish(amount, started, &mut |published| {
            progress(match amount {
                Amount::Messages(all) => (published - published_before) as f64 / all.max(1) as f64,
                Amount::Time(span) => started.elapsed().as_secs_f64() / span.as_secs_f64(),
            });
        })?;
        self.arrive()?;
        let busiest = publishing.max(self.shared.receivers.busiest_since(&busy_before));
        let delivered = self.shared.received() - received_before;
        // With deliveries the last of them ends the phase, without any the server's PONG does.
        let arrived = self.shared.last_arrival.load(Ordering::Relaxed);
        self.sync_publishers()?;
        let last = if delivered > 0 { arrived } else { self.shared.last_arrival.load(Ordering::Relaxed) };
        Ok(PhaseOutcome {
            published: self.published() - published_before,
            delivered,
            busiest,
            elapsed: (self.shared.born + Duration::from_nanos(last)).saturating_duration_since(started),
        })
    }

    fn published(&self) -> u64 {
        self.publishers.iter().map(Publisher::sent).sum()
    }

    /// One thread a publisher, until all have written their part; how long the busiest of them was busy.
    fn publish(
        &mut self,
        amount: Amount,
        started: Instant,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Duration, LoadError> {
        let senders = self.publishers.len();
        let count = senders as u64;
        let (shared, effort) = (&self.shared, &self.effort);
        let (running, busiest_ns) = (AtomicU64::new(count), AtomicU64::new(0));
        let breakers: Vec<_> =
            self.publishers.iter().filter_map(|publisher| publisher.line.stream.try_clone().ok()).collect();
        std::thread::scope(|scope| {
            for (index, publisher) in self.publishers.iter_mut().enumerate() {
                let quota = match amount {
                    Amount::Messages(all) => {
                        Quota::Messages(all / count + u64::from((index as u64) < all % count))
                    }
                    Amount::Time(span) => Quota::Until(started + span),
                };
                let pace = effort.rate.map(|rate| Pace::of(rate, index, senders));
                let (running, busiest_ns) = (&running, &busiest_ns);
                scope.spawn(move || {
                    publisher.publish(quota, pace, effort, shared);
                    busiest_ns.fetch_max(wire::nanos(busy::of_this_thread()), Ordering::Relaxed);
                    running.fetch_sub(1, Ordering::Release);
                });
            }
            let mut watch = Watch::new(shared, effort.patience);
            while running.load(Ordering::Acquire) > 0 {
                std::thread::sleep(LOOK);
                let (is_lost, writes) = (shared.in_flight() > 0, shared.writing.load(Ordering::Relaxed) > 0);
                let failure = match watch.look(shared, is_lost || writes) {
                    Ok(None) => None,
                    Ok(Some(silence)) if is_lost => Some(shared.lost(silence)),
                    Ok(Some(silence)) => Some(LoadError::Stuck(silence)),
                    Err(error) => Some(error),
                };
                if let Some(error) = failure {
                    // A publisher may be stuck in a write: only the end of its socket frees it.
                    shared.fail(error.to_string());
                    breakers.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
                    return Err(error);
                }
                progress(shared.published.load(Ordering::Relaxed));
            }
            shared.failure.check()?;
            Ok(Duration::from_nanos(busiest_ns.load(Ordering::Relaxed)))
        })
    }

    /// Makes sure that nobody received more or less than expected, and closes everything.
    pub fn finish(mut self) -> Result<(), LoadError> {
        for (line, farewell) in self.subscribers.iter_mut().zip(&self.farewells) {
            line.stream
                .write_all(farewell)
                .map_err(|error| LoadError::Broken(format!("unsubscribing: {error}")))?;
        }
        self.sync()?;
        let mut expected = vec![Total::default(); self.tally_count];
        for publisher in &self.publishers {
            let by_lane = publisher.publication().totals_by_lane(publisher.sent(), self.lanes.len());
            for (lane, total) in self.lanes.iter().zip(by_lane) {
                for tally in lane {
                    if let Some(expected) = expected.get_mut(*tally) {
                        expected.add(total);
                    }
                }
            }
        }
        let mut received = vec![Total::default(); self.tally_count];
        for (line, tally) in self.subscribers.iter().zip(&self.tallies) {
            if let Some(received) = received.get_mut(*tally) {
                received.add(line.gauge.total());
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
            if let Some(silence) = watch.look(&self.shared, true)? {
                return Err(self.shared.lost(silence));
            }
            std::thread::sleep(LOOK);
        }
        self.shared.failure.check()
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

/// Opens one connection: the half that sends, and what a receiver thread needs of it.
fn connect(target: &Target, name: String, answers: bool) -> Result<(Line, Seat), LoadError> {
    let stream = wire::connect(target)?;
    // From here on the watch over all threads says when something takes too long.
    stream
        .set_write_timeout(None)
        .map_err(|source| LoadError::System { what: "setting up a socket", source })?;
    let reading =
        stream.try_clone().map_err(|source| LoadError::System { what: "duplicating a socket", source })?;
    let gauge = Arc::new(Gauge::default());
    let seat = Seat::new(reading, Arc::clone(&gauge), name, answers);
    Ok((Line { stream, gauge }, seat))
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
            return shared.failure.check();
        }
        if let Some(silence) = watch.look(shared, true)? {
            return Err(LoadError::NoPong { connections: awaited.len(), silence });
        }
        std::thread::sleep(LOOK);
    }
}
