//! Request and reply: requesters that wait for each answer, and responders that give it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr;

use super::busy::{self, Crew};
use super::histogram::Histogram;
use super::load::{Amount, LoadError};
use super::plan::payload;
use super::publisher::Pace;
use super::shared::{Failure, sleep_until};
use super::wire::{self, Target, in_words};

const READ_BYTES: usize = 64 * 1024;
const SUBJECT: &str = "bench.service.echo";

/// Who asks, who answers, how much.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Connections that ask, each waiting for its answer.
    pub requesters: usize,
    /// Connections that answer, in one queue group.
    pub responders: usize,
    /// Payload bytes of request and answer.
    pub size: usize,
    /// Requests in all, or for how long.
    pub amount: Amount,
    /// Whether each requester first asks some requests that do not count.
    pub warm_up: bool,
    /// Requests a second in all; none: as fast as answers come.
    pub rate: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Round trips; at a fixed rate from the moment at which the request was due.
    pub latency: Histogram,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// How long the busiest thread of this process ran or waited for a processor.
    pub busiest: Duration,
}

/// Lets everybody talk until all is said or there is a `failure`, from inside or outside. `measured` is
/// called with false when the warm-up is over and the measured part begins, and with true when it ends,
/// for taking a server's figures.
pub fn converse(
    target: &Target,
    plan: &Conversation,
    failure: &Failure,
    measured: &mut dyn FnMut(bool),
    progress: &mut dyn FnMut(f64),
) -> Result<Answers, LoadError> {
    let responders = (0..plan.responders)
        .map(|number| respond_on(target, number).map_err(LoadError::from))
        .collect::<Result<Vec<_>, _>>()?;
    let requesters = (0..plan.requesters)
        .map(|number| Requester::open(target, number, plan.size))
        .collect::<Result<Vec<_>, _>>()?;
    let closers: Vec<_> = responders.iter().filter_map(|stream| stream.try_clone().ok()).collect();
    let talk = Talk::new(plan, failure);
    let payload = payload(plan.size);
    let (elapsed, answering) = std::thread::scope(|scope| {
        for stream in responders {
            scope.spawn(|| talk.answer(stream, &payload));
        }
        for (number, requester) in requesters.into_iter().enumerate() {
            let talk = &talk;
            scope.spawn(move || talk.ask(number, requester));
        }
        talk.warm.wait();
        measured(false);
        let (started, busy) = (Instant::now(), talk.responders.busy());
        talk.begin.wait();
        talk.await_requesters(started, progress);
        let elapsed = started.elapsed();
        let answering = talk.responders.busiest_since(&busy);
        measured(true);
        talk.dismiss(closers, target.patience);
        (elapsed, answering)
    });
    failure.check()?;
    let asking = Duration::from_nanos(talk.busiest_ns.load(Ordering::Relaxed));
    let latency = talk.latency.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Answers { latency, elapsed, busiest: asking.max(answering) })
}

/// What the threads of a conversation share.
struct Talk<'a> {
    plan: &'a Conversation,
    failure: &'a Failure,
    /// Passed when all are warm, and when the measured part begins.
    warm: Barrier,
    begin: Barrier,
    /// Answers received.
    done: AtomicU64,
    /// Requesters and responders that have not ended.
    asking: AtomicU64,
    answering: AtomicU64,
    responders: Crew,
    busiest_ns: AtomicU64,
    latency: Mutex<Histogram>,
}

impl<'a> Talk<'a> {
    fn new(plan: &'a Conversation, failure: &'a Failure) -> Self {
        Self {
            plan,
            failure,
            warm: Barrier::new(plan.requesters + 1),
            begin: Barrier::new(plan.requesters + 1),
            done: AtomicU64::new(0),
            asking: AtomicU64::new(plan.requesters as u64),
            answering: AtomicU64::new(plan.responders as u64),
            responders: Crew::default(),
            busiest_ns: AtomicU64::new(0),
            latency: Mutex::new(Histogram::new()),
        }
    }

    /// A responder's thread.
    fn answer(&self, stream: TcpStream, payload: &[u8]) {
        self.responders.join();
        let outcome = respond(stream, payload);
        self.answering.fetch_sub(1, Ordering::Release);
        if self.asking.load(Ordering::Relaxed) > 0 {
            let why = outcome.map_or_else(|error| error.to_string(), |()| "closed by the server".to_owned());
            self.failure.set(format!("a responder's connection ended: {why}"));
        }
    }

    /// A requester's thread.
    fn ask(&self, number: usize, mut requester: Requester) {
        let share = Share::of(self.plan, number);
        let warmed = (0..share.warm_up).try_for_each(|_| match self.failure.is_there() {
            true => Ok(()),
            false => requester.ask(Instant::now()).map(drop),
        });
        self.warm.wait();
        self.begin.wait();
        let busy = busy::of_this_thread();
        match warmed.and_then(|()| requester.ask_all(&share, &self.done, self.failure)) {
            Ok(histogram) => self.latency.lock().unwrap_or_else(PoisonError::into_inner).merge(&histogram),
            Err(error) => self.failure.set(format!("requester {number}: {error}")),
        }
        let busy = busy::of_this_thread().saturating_sub(busy);
        self.busiest_ns.fetch_max(wire::nanos(busy), Ordering::Relaxed);
        self.asking.fetch_sub(1, Ordering::Release);
    }

    fn await_requesters(&self, started: Instant, progress: &mut dyn FnMut(f64)) {
        while self.asking.load(Ordering::Acquire) > 0 {
            std::thread::sleep(Duration::from_millis(2));
            progress(match self.plan.amount {
                Amount::Messages(all) => self.done.load(Ordering::Relaxed) as f64 / all.max(1) as f64,
                Amount::Time(span) => started.elapsed().as_secs_f64() / span.as_secs_f64(),
            });
        }
    }

    /// Ends the responders. One that is just closing would still be chosen in the next scenario: each
    /// unsubscribes and waits for the server to take it.
    fn dismiss(&self, mut closers: Vec<TcpStream>, patience: Duration) {
        closers.iter_mut().for_each(|stream| drop(stream.write_all(b"UNSUB 1\r\nPING\r\n")));
        let asked = Instant::now();
        while self.answering.load(Ordering::Acquire) > 0 && asked.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        closers.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

/// One requester's part of the whole.
struct Share {
    amount: Amount,
    warm_up: u64,
    pace: Option<Pace>,
}

impl Share {
    fn of(plan: &Conversation, number: usize) -> Self {
        let all = plan.requesters.max(1) as u64;
        let amount = match plan.amount {
            Amount::Messages(count) => {
                Amount::Messages(count / all + u64::from((number as u64) < count % all))
            }
            span => span,
        };
        let warm_up = match amount {
            _ if !plan.warm_up => 0,
            Amount::Messages(count) => (count / 10).min(2_000),
            Amount::Time(_) => 500,
        };
        let pace = plan.rate.map(|rate| Pace::of(rate, number, plan.requesters));
        Self { amount, warm_up, pace }
    }
}

struct Requester {
    stream: TcpStream,
    patience: Duration,
    request: Vec<u8>,
    buffer: Vec<u8>,
    /// Bytes of an answer that has not arrived whole.
    pending: Vec<u8>,
}

impl Requester {
    fn open(target: &Target, number: usize, size: usize) -> Result<Self, LoadError> {
        let mut stream = wire::connect(target)?;
        let broken = |error: std::io::Error| LoadError::Broken(format!("requester {number}: {error}"));
        stream.set_read_timeout(Some(target.patience)).map_err(broken)?;
        let inbox = format!("_INBOX.bench.{}.{number}", std::process::id());
        stream.write_all(format!("SUB {inbox} 1\r\nPING\r\n").as_bytes()).map_err(broken)?;
        let mut request = format!("PUB {SUBJECT} {inbox} {size}\r\n").into_bytes();
        request.extend_from_slice(&payload(size));
        request.extend_from_slice(b"\r\n");
        Ok(Self {
            stream,
            patience: target.patience,
            request,
            buffer: vec![0; READ_BYTES],
            pending: Vec::new(),
        })
    }

    fn ask_all(&mut self, share: &Share, done: &AtomicU64, failure: &Failure) -> Result<Histogram, String> {
        let mut latency = Histogram::new();
        let started = Instant::now();
        while !failure.is_there() {
            let more = match share.amount {
                Amount::Messages(all) => latency.len() < all,
                Amount::Time(span) => started.elapsed() < span,
            };
            if !more {
                break;
            }
            let mut due = Instant::now();
            if let Some(pace) = share.pace {
                // What a late answer delays counts as waiting for those behind it.
                let after = pace.due(latency.len());
                if matches!(share.amount, Amount::Time(span) if after >= span) {
                    break;
                }
                due = started.checked_add(after).unwrap_or(due);
                sleep_until(due, failure);
            }
            latency.record(self.ask(due)?);
            done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(latency)
    }

    fn told(&self, error: &std::io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("no answer within {}", in_words(self.patience))
            }
            _ => error.to_string(),
        }
    }

    /// One round trip, in nanoseconds from when it was `due`.
    fn ask(&mut self, due: Instant) -> Result<u64, String> {
        self.stream.write_all(&self.request).map_err(|error| self.told(&error))?;
        loop {
            let count = match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err("closed by the server".to_owned()),
                Ok(count) => count,
                Err(error) => return Err(self.told(&error)),
            };
            self.pending.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
            let mut answers = 0;
            let mut pings = 0;
            let used = each_operation(&self.pending, &mut |operation| match operation {
                Operation::Message { empty_status: true, .. } => {
                    Err("nobody answers (no responders)".to_owned())
                }
                Operation::Message { .. } => {
                    answers += 1;
                    Ok(())
                }
                Operation::Ping => {
                    pings += 1;
                    Ok(())
                }
                Operation::Error(error) => Err(error.to_owned()),
                Operation::Pong | Operation::Other => Ok(()),
            })?;
            self.pending.drain(..used);
            for _ in 0..pings {
                self.stream.write_all(b"PONG\r\n").map_err(|error| error.to_string())?;
            }
            match answers {
                0 => {}
                1 => return Ok(wire::nanos(due.elapsed())),
                more => return Err(format!("{more} answers to one request")),
            }
        }
    }
}

fn respond_on(target: &Target, number: usize) -> Result<TcpStream, wire::WireError> {
    let mut stream = wire::connect(target)?;
    let io = |source| wire::WireError::Io { address: format!("responder {number}"), source };
    stream.write_all(format!("SUB {SUBJECT} responders 1\r\n").as_bytes()).map_err(io)?;
    wire::ping(target, &mut stream)?;
    Ok(stream)
}

/// Answers every request until the connection ends, or until a PONG says that the server has taken
/// the UNSUB before it.
fn respond(mut stream: TcpStream, payload: &[u8]) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut pending = Vec::new();
    let mut out = Vec::new();
    let tail = [format!(" {}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat();
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        pending.extend_from_slice(buffer.get(..count).unwrap_or_default());
        out.clear();
        let mut over = false;
        let used = each_operation(&pending, &mut |operation| {
            match operation {
                Operation::Message { reply: Some(reply), .. } => {
                    out.extend_from_slice(b"PUB ");
                    out.extend_from_slice(reply);
                    out.extend_from_slice(&tail);
                }
                Operation::Ping => out.extend_from_slice(b"PONG\r\n"),
                Operation::Pong => over = true,
                Operation::Error(error) => return Err(error.to_owned()),
                _ => {}
            }
            Ok(())
        })
        .map_err(std::io::Error::other)?;
        pending.drain(..used);
        stream.write_all(&out)?;
        if over {
            return Ok(());
        }
    }
}

/// One operation from a server.
#[derive(Debug, PartialEq, Eq)]
enum Operation<'a> {
    Message {
        reply: Option<&'a [u8]>,
        /// A header and nothing else: how a server says that nobody listens.
        empty_status: bool,
    },
    Ping,
    Pong,
    Error(&'a str),
    Other,
}

/// Calls `take` for every whole operation; how many bytes they were.
fn each_operation(
    bytes: &[u8],
    take: &mut dyn FnMut(Operation<'_>) -> Result<(), String>,
) -> Result<usize, String> {
    let mut used = 0;
    while let Some((_, rest)) = bytes.split_at_checked(used) {
        let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end + 1)) else {
            break;
        };
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let verb = words.next().unwrap_or_default();
        used += line.len();
        match verb {
            b"MSG" | b"HMSG" => {
                let arguments: Vec<_> = words.collect();
                let headers = verb == b"HMSG";
                let size =
                    arguments.last().and_then(|word| std::str::from_utf8(word).ok()?.parse::<usize>().ok());
                let size =
                    size.filter(|size| *size < usize::MAX / 2).ok_or("a message line without a size")?;
                if after.len() < size + 2 {
                    used -= line.len();
                    break;
                }
                let with_reply = if headers { 5 } else { 4 };
                let reply = if arguments.len() == with_reply { arguments.get(2).copied() } else { None };
                let body = after.get(..size).unwrap_or_default();
                let empty_status = headers && body.starts_with(b"NATS/1.0 503");
                used += size + 2;
                take(Operation::Message { reply, empty_status })?;
            }
            b"PING" => take(Operation::Ping)?,
            b"PONG" => take(Operation::Pong)?,
            b"-ERR" => take(Operation::Error(std::str::from_utf8(line).unwrap_or("-ERR").trim_end()))?,
            _ => take(Operation::Other)?,
        }
    }
    Ok(used)
}

/// Feeds arbitrary bytes to the reader of operations, which may refuse but not panic.
pub fn fuzz_operations(data: &[u8]) {
    if let Ok(used) = each_operation(data, &mut |_| Ok(())) {
        assert!(used <= data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &[Operation<'_>], want_used: usize) {
        let mut seen = 0;
        let used = each_operation(bytes, &mut |operation| {
            assert_eq!(Some(&operation), want.get(seen));
            seen += 1;
            Ok(())
        });
        assert_eq!((used, seen), (Ok(want_used), want.len()));
    }

    fn message(reply: Option<&[u8]>) -> Operation<'_> {
        Operation::Message { reply, empty_status: false }
    }

    #[test]
    fn replies_are_found_with_and_without_headers() {
        check(b"MSG a 1 2\r\nhi\r\nMSG a 1 _R.1 2\r\nhi\r\n", &[message(None), message(Some(b"_R.1"))], 35);
        check(b"HMSG a 1 _R 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", &[message(Some(b"_R"))], 35);
    }

    #[test]
    fn what_has_not_arrived_whole_is_left() {
        check(b"PING\r\nMSG a 1 2\r\nhi\r", &[Operation::Ping], 6);
        check(b"PING\r\nMSG a 1", &[Operation::Ping], 6);
    }

    #[test]
    fn no_responders_is_told_from_an_answer() {
        let status = Operation::Message { reply: None, empty_status: true };
        check(b"HMSG _I 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", &[status], 35);
    }

    proptest! {
        #[test]
        fn random_bytes_do_not_panic(data: Vec<u8>) {
            fuzz_operations(&data);
        }

        #[test]
        fn message_lines_with_any_size_do_not_panic(size: u64, tail: Vec<u8>) {
            let mut data = format!("MSG a 1 {size}\r\n").into_bytes();
            data.extend_from_slice(&tail);
            fuzz_operations(&data);
        }
    }
}
