//! The receiving side of a load: one thread reads many connections and counts what comes.

use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::event::epoll;

use super::shared::{Gauge, Shared};
use super::wire::Counter;

/// Bytes that one read takes at most.
const READ_BYTES: usize = 256 * 1024;
/// Readable connections taken from the system at once.
const EVENTS: usize = 256;

/// A connection as its receiver sees it.
pub(super) struct Seat {
    stream: TcpStream,
    counter: Counter,
    gauge: Arc<Gauge>,
    /// What it is called in errors.
    name: String,
    /// Whether the receiver may write PONG itself (nobody else writes while it receives).
    answers: bool,
}

/// Counts until every connection has ended; a failure ends the run.
pub(super) fn receive(mut seats: Vec<Seat>, shared: &Shared, number: usize) {
    shared.receivers.join();
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
    let mut events = [MaybeUninit::uninit(); EVENTS];
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
    /// A seat for the reading half of a connection.
    pub(super) fn new(stream: TcpStream, gauge: Arc<Gauge>, name: String, answers: bool) -> Self {
        Self { stream, counter: Counter::default(), gauge, name, answers }
    }

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
