//! Many connections: idle ones that cost memory, and storms of short ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memmem;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::histogram::Histogram;
use super::load::LoadError;
use super::wire::{self, Target};

/// Files that this process keeps for itself when it counts how many connections it may open.
const FILES_RESERVED: u64 = 64;

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
}

/// How a crowd or a storm connected.
#[derive(Debug, Clone)]
pub struct Connecting {
    /// From the first byte of the TCP handshake to the PONG.
    pub latency: Histogram,
    /// All of them together.
    pub elapsed: Duration,
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
            latency.record(nanos(begun.elapsed()));
            stream
                .write_all(format!("SUB bench.crowd.{number} 1\r\n").as_bytes())
                .map_err(|error| broken("subscribing", &error))?;
            streams.push(stream);
            if number % 64 == 0 {
                progress(number as f64 / count as f64);
            }
        }
        let crowd = Self { streams };
        crowd.sync()?;
        Ok((crowd, Connecting { latency, elapsed: started.elapsed() }))
    }

    /// A PING on each connection, answered.
    fn sync(&self) -> Result<(), LoadError> {
        for mut stream in &self.streams {
            stream.write_all(b"PING\r\n").map_err(|error| broken("PING", &error))?;
        }
        self.expect(b"PONG\r\n")
    }

    /// One message to each, from one publisher; returns when all have it.
    pub fn deliver_to_each(&self, target: &Target) -> Result<Duration, LoadError> {
        let mut publisher = wire::connect(target)?;
        let started = Instant::now();
        let mut block = Vec::new();
        for number in 0..self.streams.len() {
            block.extend_from_slice(format!("PUB bench.crowd.{number} 2\r\nhi\r\n").as_bytes());
        }
        publisher.write_all(&block).map_err(|error| broken("publishing", &error))?;
        self.expect(b"\r\nhi\r\n")?;
        Ok(started.elapsed())
    }

    /// Reads from each until `wanted` has come; PINGs beside it are answered.
    fn expect(&self, wanted: &[u8]) -> Result<(), LoadError> {
        for mut stream in &self.streams {
            stream.set_read_timeout(Some(wire::ANSWER_WAIT)).map_err(|error| broken("waiting", &error))?;
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            while memmem::find(&seen, wanted).is_none() {
                let count =
                    stream.read(&mut buffer).map_err(|error| broken("waiting for an answer", &error))?;
                if count == 0 {
                    let said = String::from_utf8_lossy(&seen).trim_end().to_owned();
                    return Err(LoadError::Broken(format!(
                        "an idle connection was closed by the server: {said}"
                    )));
                }
                let fresh = buffer.get(..count).unwrap_or_default();
                if memmem::find(fresh, b"PING\r\n").is_some() {
                    stream.write_all(b"PONG\r\n").map_err(|error| broken("PONG", &error))?;
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

/// `count` times connect, log in, PING and close, `at_once` of them at the same time.
pub fn storm(
    target: &Target,
    count: usize,
    at_once: usize,
    progress: &mut dyn FnMut(f64),
) -> Result<Connecting, LoadError> {
    let taken = AtomicU64::new(0);
    let running = AtomicU64::new(at_once as u64);
    let merged = Mutex::new(Histogram::new());
    let failure = Mutex::new(None);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let mut latency = Histogram::new();
                while taken.fetch_add(1, Ordering::Relaxed) < count as u64 {
                    let begun = Instant::now();
                    match wire::connect(target) {
                        Ok(stream) => drop(stream),
                        Err(error) => {
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            taken.store(u64::MAX / 2, Ordering::Relaxed);
                            break;
                        }
                    }
                    latency.record(nanos(begun.elapsed()));
                }
                merged.lock().unwrap_or_else(PoisonError::into_inner).merge(&latency);
                running.fetch_sub(1, Ordering::Release);
            });
        }
        while running.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(2));
            progress(taken.load(Ordering::Relaxed).min(count as u64) as f64 / count.max(1) as f64);
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let latency = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Connecting { latency, elapsed: started.elapsed() })
}

/// How a storm of log-ins went.
#[derive(Debug, Clone)]
pub struct LogIns {
    /// Those that succeeded.
    pub succeeded: Connecting,
    /// Those that did not.
    pub failed: u64,
    /// What the server, or the system, said to the first of them.
    pub failure: Option<String>,
    /// Round trips of a connection that was there before.
    pub others: Histogram,
}

/// `count` log-ins, `at_once` of them at the same time, while another connection measures its round trips.
/// That some are refused or time out is a result, not a failure.
pub fn auth_storm(
    target: &Target,
    count: usize,
    at_once: usize,
    progress: &mut dyn FnMut(f64),
) -> Result<LogIns, LoadError> {
    let mut bystander = wire::connect(target)?;
    let taken = AtomicU64::new(0);
    let running = AtomicU64::new(at_once as u64);
    let (merged, refusals) = (Mutex::new(Histogram::new()), Mutex::new((0, None)));
    let started = Instant::now();
    let others = std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let mut latency = Histogram::new();
                while taken.fetch_add(1, Ordering::Relaxed) < count as u64 {
                    let begun = Instant::now();
                    match wire::connect(target) {
                        Ok(stream) => {
                            latency.record(nanos(begun.elapsed()));
                            drop(stream);
                        }
                        Err(error) => {
                            let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
                            refusals.0 += 1;
                            refusals.1.get_or_insert(error.to_string());
                        }
                    }
                }
                merged.lock().unwrap_or_else(PoisonError::into_inner).merge(&latency);
                running.fetch_sub(1, Ordering::Release);
            });
        }
        let mut others = Histogram::new();
        while running.load(Ordering::Acquire) > 0 {
            let begun = Instant::now();
            wire::ping(target, &mut bystander)?;
            others.record(nanos(begun.elapsed()));
            std::thread::sleep(Duration::from_millis(2));
            progress(taken.load(Ordering::Relaxed).min(count as u64) as f64 / count.max(1) as f64);
        }
        Ok::<Histogram, LoadError>(others)
    })?;
    let latency = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (failed, failure) = refusals.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(LogIns { succeeded: Connecting { latency, elapsed: started.elapsed() }, failed, failure, others })
}

fn broken(what: &str, error: &std::io::Error) -> LoadError {
    LoadError::Broken(format!("{what}: {error}"))
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
