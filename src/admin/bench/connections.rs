//! Many connections: idle ones that cost memory, and storms of short ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memmem;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::busy;
use super::histogram::Histogram;
use super::load::{Amount, LoadError};
use super::publisher::Pace;
use super::shared::{Failure, sleep_until};
use super::wire::{self, Target, WireError};

/// Files that this process keeps for itself when it counts how many connections it may open.
const FILES_RESERVED: u64 = 64;
/// How often the owner of a storm looks at it.
const LOOK: Duration = Duration::from_millis(2);

/// Raises the limit of open files as far as allowed; how many connections fit, at most `wanted`.
pub fn connections_possible(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // A failure leaves the old limit, which is what is read back.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    wanted.min(usize::try_from(files.saturating_sub(FILES_RESERVED)).unwrap_or(usize::MAX))
}

/// Idle connections, each with one subscription.
pub struct Crowd {
    streams: Vec<TcpStream>,
    target: Target,
}

/// How a crowd or a storm connected.
#[derive(Debug, Clone)]
pub struct Connecting {
    /// From the first byte of the TCP handshake to the PONG.
    pub latency: Histogram,
    /// All of them together.
    pub elapsed: Duration,
    /// How long the busiest thread of this process ran or waited for a processor.
    pub busiest: Duration,
}

impl Crowd {
    /// Opens `count` connections one after the other, each subscribed to its own subject and to
    /// one that all share.
    pub fn gather(
        target: &Target,
        count: usize,
        progress: &mut dyn FnMut(f64),
    ) -> Result<(Self, Connecting), LoadError> {
        let mut streams = Vec::with_capacity(count);
        let mut latency = Histogram::new();
        let started = Instant::now();
        for number in 0..count {
            let begun = Instant::now();
            let mut stream = wire::connect(target)?;
            latency.record(wire::nanos(begun.elapsed()));
            stream
                .write_all(format!("SUB bench.crowd.{number} 1\r\n").as_bytes())
                .map_err(|error| target.io(error))?;
            streams.push(stream);
            if number % 64 == 0 {
                progress(number as f64 / count as f64);
            }
        }
        let crowd = Self { streams, target: target.clone() };
        crowd.sync()?;
        Ok((crowd, Connecting { latency, elapsed: started.elapsed(), busiest: Duration::ZERO }))
    }

    /// A PING on each connection, answered.
    fn sync(&self) -> Result<(), LoadError> {
        for mut stream in &self.streams {
            stream.write_all(b"PING\r\n").map_err(|error| self.target.io(error))?;
        }
        self.expect(b"PONG\r\n")
    }

    /// One message to each, from one publisher; returns when all have it.
    pub fn deliver_to_each(&self) -> Result<Duration, LoadError> {
        let mut publisher = wire::connect(&self.target)?;
        let started = Instant::now();
        let mut block = Vec::new();
        for number in 0..self.streams.len() {
            block.extend_from_slice(format!("PUB bench.crowd.{number} 2\r\nhi\r\n").as_bytes());
        }
        publisher.write_all(&block).map_err(|error| self.target.io(error))?;
        self.expect(b"\r\nhi\r\n")?;
        Ok(started.elapsed())
    }

    /// Reads from each until `wanted` has come; PINGs beside it are answered.
    fn expect(&self, wanted: &[u8]) -> Result<(), LoadError> {
        for mut stream in &self.streams {
            stream.set_read_timeout(Some(self.target.patience)).map_err(|error| self.target.io(error))?;
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            while memmem::find(&seen, wanted).is_none() {
                let count = stream.read(&mut buffer).map_err(|error| self.target.io(error))?;
                if count == 0 {
                    let said = String::from_utf8_lossy(&seen).trim_end().to_owned();
                    return Err(LoadError::Broken(format!(
                        "an idle connection was closed by the server: {said}"
                    )));
                }
                let fresh = buffer.get(..count).unwrap_or_default();
                if memmem::find(fresh, b"PING\r\n").is_some() {
                    stream.write_all(b"PONG\r\n").map_err(|error| self.target.io(error))?;
                }
                seen.extend_from_slice(fresh);
            }
        }
        Ok(())
    }

    /// How many connections there are.
    pub fn count(&self) -> u64 {
        self.streams.len() as u64
    }
}

/// Connects that come again and again: log in, PING, close.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// How many, or for how long.
    pub amount: Amount,
    /// How many at the same time.
    pub at_once: usize,
    /// How many a second; none: as fast as they go.
    pub rate: Option<u64>,
}

/// How a storm of log-ins went.
#[derive(Debug, Clone)]
pub struct LogIns {
    /// Those that succeeded; at a fixed rate from the moment at which they were due.
    pub succeeded: Connecting,
    /// Those that did not.
    pub failed: u64,
    /// What the server, or the system, said to the first of them.
    pub failure: Option<String>,
    /// Round trips of a connection that was there before.
    pub others: Histogram,
}

impl Storm {
    /// Connects again and again; the first that is refused ends it.
    pub fn rage(self, target: &Target, progress: &mut dyn FnMut(f64)) -> Result<Connecting, LoadError> {
        let failure = Failure::default();
        let refused = |error: WireError| failure.set(error.to_string());
        let connecting = self.connect(target, &failure, &refused, &mut |share| {
            progress(share);
            Ok(())
        })?;
        failure.check()?;
        Ok(connecting)
    }

    /// Logs in again and again while another connection measures its round trips. That some are refused or
    /// time out is a result, not a failure.
    pub fn rage_beside_another(
        self,
        target: &Target,
        progress: &mut dyn FnMut(f64),
    ) -> Result<LogIns, LoadError> {
        let mut bystander = wire::connect(target)?;
        let (failed, first) = (AtomicU64::new(0), Failure::default());
        let refused = |error: WireError| {
            failed.fetch_add(1, Ordering::Relaxed);
            first.set(error.to_string());
        };
        let mut others = Histogram::new();
        let succeeded = self.connect(target, &Failure::default(), &refused, &mut |share| {
            let begun = Instant::now();
            wire::ping(target, &mut bystander)?;
            others.record(wire::nanos(begun.elapsed()));
            progress(share);
            Ok(())
        })?;
        let failure = first.check().err().map(|error| error.to_string());
        Ok(LogIns { succeeded, failed: failed.into_inner(), failure, others })
    }

    /// Connects until all is done or there is a `failure`; `look` is called all the time meanwhile, with
    /// the share that is done.
    fn connect(
        self,
        target: &Target,
        failure: &Failure,
        refused: &(dyn Fn(WireError) + Sync),
        look: &mut dyn FnMut(f64) -> Result<(), LoadError>,
    ) -> Result<Connecting, LoadError> {
        let Self { amount, at_once, rate } = self;
        let (taken, running, busiest_ns) =
            (AtomicU64::new(0), AtomicU64::new(at_once as u64), AtomicU64::new(0));
        let latency = Mutex::new(Histogram::new());
        let pace = rate.map(|rate| Pace::of(rate, 0, 1));
        let started = Instant::now();
        // The next one's number says when it is due; none when all are taken.
        let next = || {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            let after = pace.map_or_else(|| started.elapsed(), |pace| pace.due(number));
            let is_wanted = match amount {
                Amount::Messages(count) => number < count,
                Amount::Time(span) => after < span,
            };
            is_wanted.then(|| started.checked_add(after)).flatten()
        };
        let connect_all = || {
            let mut own = Histogram::new();
            while let Some(due) = next().filter(|_| !failure.is_there()) {
                sleep_until(due, failure);
                match wire::connect(target) {
                    Ok(stream) => {
                        own.record(wire::nanos(due.elapsed()));
                        drop(stream);
                    }
                    Err(error) => refused(error),
                }
            }
            latency.lock().unwrap_or_else(PoisonError::into_inner).merge(&own);
            busiest_ns.fetch_max(wire::nanos(busy::of_this_thread()), Ordering::Relaxed);
            running.fetch_sub(1, Ordering::Release);
        };
        std::thread::scope(|scope| {
            (0..at_once).for_each(|_| drop(scope.spawn(connect_all)));
            while running.load(Ordering::Acquire) > 0 {
                std::thread::sleep(LOOK);
                let looked = look(match amount {
                    Amount::Messages(all) => {
                        taken.load(Ordering::Relaxed).min(all) as f64 / all.max(1) as f64
                    }
                    Amount::Time(span) => started.elapsed().as_secs_f64() / span.as_secs_f64(),
                });
                if let Err(error) = looked {
                    failure.set(error.to_string());
                    return Err(error);
                }
            }
            Ok(())
        })?;
        let latency = latency.into_inner().unwrap_or_else(PoisonError::into_inner);
        let busiest = Duration::from_nanos(busiest_ns.into_inner());
        Ok(Connecting { latency, elapsed: started.elapsed(), busiest })
    }
}
