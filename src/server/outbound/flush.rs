//! Sending: the direct write at the end of a read batch, and the turns of a write task.
//!
//! One party at a time holds the right to write to a socket (`Pending::writing`). A reader takes it
//! for one direct write; where the socket is full the right passes, with what is left, to a write
//! task, which gives it back when nothing waits any more.

use std::io::{self, IoSlice};
use std::sync::Arc;

use super::block::Addressed;
use super::chunks::Chunks;
use super::queue::Outbound;
use super::staged::Staged;
use crate::server::net::Transport;
use crate::server::protocol::error::CloseReason;

/// What a flush leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flushed {
    /// Nothing: sent, queued behind somebody who is writing, or refused because it is closed.
    Done,
    /// The socket is full: the caller holds the right to write and must start a write task.
    Blocked,
}

/// A write task's turn: the socket and the bytes to send before the next turn.
#[derive(Debug)]
pub struct Turn {
    /// Where to write.
    pub transport: Arc<Transport>,
    /// What to write.
    pub chunks: Chunks,
    /// Bytes that were sent just before, until the socket was full.
    pub sent_before: usize,
}

/// How often a direct writer sends on what others queued meanwhile, before it hands over: it has a
/// connection of its own to read.
const DIRECT_ROUNDS_MAX: usize = 8;

/// Bytes that are to be sent at once, as far as the socket takes them.
pub(super) trait Parcel {
    /// Messages and bytes of payload.
    fn counts(&self) -> (u64, u64);

    /// Offers the bytes to the socket, as many as one call takes.
    fn write(&self, transport: &Transport) -> io::Result<Sent>;

    /// Queues a copy of all after the first `written` bytes.
    fn queue_rest(&self, written: usize, queue: &mut Chunks);
}

impl Parcel for Staged {
    fn counts(&self) -> (u64, u64) {
        self.counts()
    }

    fn write(&self, transport: &Transport) -> io::Result<Sent> {
        match self.contiguous() {
            Some(bytes) => write(transport, &[IoSlice::new(bytes)]),
            None => write(transport, &self.slices()),
        }
    }

    fn queue_rest(&self, written: usize, queue: &mut Chunks) {
        self.queue_rest(written, queue);
    }
}

impl Parcel for Addressed<'_> {
    fn counts(&self) -> (u64, u64) {
        (self.messages, self.payload_bytes)
    }

    fn write(&self, transport: &Transport) -> io::Result<Sent> {
        write(transport, &[IoSlice::new(self.bytes)])
    }

    fn queue_rest(&self, written: usize, queue: &mut Chunks) {
        queue.copy(self.bytes.get(written..).unwrap_or_default());
    }
}

impl Outbound {
    /// Sends what is staged, which is empty afterwards.
    pub fn flush(&self, staged: &mut Staged) -> Flushed {
        let flushed = self.send(staged);
        staged.clear();
        flushed
    }

    /// Sends all of `parcel`, or queues what cannot be sent now.
    pub(super) fn send(&self, parcel: &impl Parcel) -> Flushed {
        let (messages, payload_bytes) = parcel.counts();
        let transport = self.change(|pending| {
            pending.messages += messages;
            pending.payload_bytes += payload_bytes;
            if let Some(tally) = &pending.tally {
                tally.add(messages, payload_bytes);
            }
            if pending.refuses {
                return None;
            }
            if pending.writing || !pending.chunks.is_empty() {
                parcel.queue_rest(0, &mut pending.chunks);
                return None;
            }
            let transport = pending.transport.clone();
            pending.writing = transport.is_some();
            transport
        });
        let Some(transport) = transport else { return Flushed::Done };
        let mut rest = Chunks::default();
        match self.write_directly(&transport, parcel, &mut rest) {
            Ok(None) => Flushed::Done,
            Ok(Some(sent)) => {
                self.change(|pending| {
                    pending.sent_before_turn = sent;
                    pending.in_flight_bytes = 0;
                    rest.append(&mut pending.chunks);
                    pending.chunks = std::mem::take(&mut rest);
                });
                Flushed::Blocked
            }
            Err(_) => {
                self.fail(CloseReason::WriteError);
                Flushed::Done
            }
        }
    }

    /// Sends `parcel`, then what others queued meanwhile, while the socket takes it. `None`:
    /// all is sent and the right to write given back. Else the bytes sent, with what is left in `rest`.
    fn write_directly(
        &self,
        transport: &Transport,
        parcel: &impl Parcel,
        rest: &mut Chunks,
    ) -> io::Result<Option<usize>> {
        let mut sent = parcel.write(transport)?;
        let mut total = sent.bytes;
        parcel.queue_rest(sent.bytes, rest);
        for _ in 0..DIRECT_ROUNDS_MAX {
            if sent.socket_full {
                break;
            }
            if rest.is_empty() {
                *rest = self.change(|pending| {
                    let batch = pending.chunks.take_batch();
                    pending.in_flight_bytes = batch.bytes();
                    pending.writing = !batch.is_empty();
                    batch
                });
            }
            if rest.is_empty() {
                return Ok(None);
            }
            sent = write(transport, &rest.slices())?;
            total += sent.bytes;
            rest.advance(sent.bytes);
        }
        Ok(Some(total))
    }

    /// The next turn of a write task; `None` gives the right to write back.
    pub fn next_turn(&self) -> Option<Turn> {
        self.change(|pending| {
            pending.in_flight_bytes = 0;
            let Some(transport) = pending.transport.clone().filter(|_| !pending.chunks.is_empty()) else {
                pending.writing = false;
                return None;
            };
            let chunks = pending.chunks.take_batch();
            pending.in_flight_bytes = chunks.bytes();
            Some(Turn { transport, chunks, sent_before: std::mem::take(&mut pending.sent_before_turn) })
        })
    }

    /// A write task has sent all but `left_bytes` of its turn.
    pub fn turn_progress(&self, left_bytes: usize) {
        self.change(|pending| pending.in_flight_bytes = left_bytes);
    }

    /// A write failed, or took too long: nothing is sent behind the hole, and the owner closes.
    pub fn fail(&self, reason: CloseReason) {
        self.change(|pending| {
            pending.refuses = true;
            pending.in_flight_bytes = 0;
            pending.writing = false;
        });
        self.request_close(reason);
    }
}

/// What became of a write.
pub(super) struct Sent {
    bytes: usize,
    /// The socket took less than it was offered.
    socket_full: bool,
}

fn write(transport: &Transport, slices: &[IoSlice<'_>]) -> io::Result<Sent> {
    let offered = slices.iter().map(|slice| slice.len()).sum();
    let written = match slices {
        [one] => transport.write_now(one),
        several => transport.write_now_vectored(several),
    };
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
        Err(error) => return Err(error),
    };
    Ok(Sent { bytes, socket_full: bytes < offered })
}

#[cfg(test)]
mod tests {
    use super::super::stage::{Aftermath, Stage};
    use std::io::Read;
    use std::os::unix::net::UnixStream as StdStream;
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::net::UnixStream;

    use super::*;
    use crate::server::config::options::WriteTimeout;
    use crate::server::outbound::OutboundRules;
    use crate::server::protocol::op::Kind;

    const RULES: OutboundRules = OutboundRules {
        pending_bytes_max: 1 << 20,
        closes: true,
        write_deadline: Duration::from_secs(10),
        write_timeout: WriteTimeout::Default,
    };

    fn pair() -> (Outbound, StdStream) {
        let (ours, theirs) = StdStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let transport = Arc::new(Transport::InProcess(UnixStream::from_std(ours).unwrap()));
        (Outbound::new(1, Kind::Client, transport, RULES), theirs)
    }

    fn staged(bytes: &[u8]) -> Staged {
        let mut staged = Staged::default();
        staged.own().extend_from_slice(bytes);
        staged
    }

    fn read(peer: &mut StdStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        peer.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn staged_bytes_go_out_at_once() {
        let (outbound, mut peer) = pair();
        assert_eq!(outbound.flush(&mut staged(b"PING\r\n")), Flushed::Done);
        assert_eq!(read(&mut peer, 6), b"PING\r\n");
    }

    #[tokio::test]
    async fn many_shared_blocks_go_out_without_a_write_task() {
        let (outbound, mut peer) = pair();
        let mut many = Staged::default();
        (0..200).for_each(|_| many.splice(Bytes::from_static(b"0123456789")));
        assert_eq!(outbound.flush(&mut many), Flushed::Done);
        assert_eq!(read(&mut peer, 2000), b"0123456789".repeat(200));
    }

    #[tokio::test]
    async fn full_socket_hands_over_and_later_bytes_queue_behind() {
        let (outbound, mut peer) = pair();
        let first = vec![b'a'; 512 << 10];
        assert_eq!(outbound.flush(&mut staged(&first)), Flushed::Blocked);
        assert_eq!(outbound.flush(&mut staged(b"later")), Flushed::Done);
        let mut received = Vec::new();
        // The write task's part, by hand: a turn at a time, while the peer reads.
        while let Some(mut turn) = outbound.next_turn() {
            while !turn.chunks.is_empty() {
                let sent = write(&turn.transport, &turn.chunks.slices()).unwrap();
                turn.chunks.advance(sent.bytes);
                outbound.turn_progress(turn.chunks.bytes());
                let waiting = outbound.stats().pending_bytes;
                let sent = first.len() + 5 - waiting;
                received.extend(read(&mut peer, (sent - received.len()).min(64 << 10)));
            }
        }
        received.extend(read(&mut peer, first.len() + 5 - received.len()));
        assert!(received == [first.as_slice(), b"later"].concat());
        assert_eq!(outbound.flush(&mut staged(b"x")), Flushed::Done);
        assert_eq!(read(&mut peer, 1), b"x");
    }

    #[tokio::test]
    async fn what_a_producer_gets_itself_goes_behind_what_others_get() {
        let all = [pair(), pair(), pair()].map(|(outbound, peer)| (Arc::new(outbound), peer));
        let mut stage = Stage::default();
        for (target, _) in &all {
            stage.slot(target).own().extend(vec![b'a'; 512 << 10]);
        }
        let mut order = Vec::new();
        // More than a socket takes, so that each tells of its turn.
        let mut blocked = |target: &Arc<Outbound>| order.push(Arc::clone(target));
        let mut aftermath = Aftermath { blocked: &mut blocked, stalling: &mut Vec::new() };
        stage.flush(Some(&all[0].0), &mut aftermath);
        assert_eq!(order.len(), 3);
        assert!(Arc::ptr_eq(&order[2], &all[0].0));
    }

    /// A parcel of which the socket takes only a part, and during whose write another thread sends `other`.
    struct Interrupted<'a> {
        outbound: &'a Outbound,
        bytes: &'a [u8],
        taken: usize,
        socket_full: bool,
        other: &'a [u8],
    }

    impl Parcel for Interrupted<'_> {
        fn counts(&self) -> (u64, u64) {
            (1, 0)
        }

        fn write(&self, transport: &Transport) -> io::Result<Sent> {
            assert_eq!(self.outbound.flush(&mut staged(self.other)), Flushed::Done);
            let sent = write(transport, &[IoSlice::new(&self.bytes[..self.taken])])?;
            Ok(Sent { socket_full: self.socket_full, ..sent })
        }

        fn queue_rest(&self, written: usize, queue: &mut Chunks) {
            queue.copy(&self.bytes[written..]);
        }
    }

    /// What a write task would send, turn by turn, on a socket that takes everything.
    fn take_turns(outbound: &Outbound) {
        while let Some(mut turn) = outbound.next_turn() {
            let sent = write(&turn.transport, &turn.chunks.slices()).unwrap();
            turn.chunks.advance(sent.bytes);
            assert!(turn.chunks.is_empty());
        }
    }

    #[tokio::test]
    async fn rest_of_a_write_goes_before_what_others_sent_meanwhile() {
        for (taken, socket_full) in [(0, true), (3, true), (6, true), (0, false), (3, false), (6, false)] {
            let (outbound, mut peer) = pair();
            let first =
                Interrupted { outbound: &outbound, bytes: b"FIRST\n", taken, socket_full, other: b"LATER\n" };
            let want = if socket_full { Flushed::Blocked } else { Flushed::Done };
            assert_eq!(outbound.send(&first), want);
            if socket_full {
                assert_eq!(outbound.flush(&mut staged(b"LAST\n")), Flushed::Done);
                take_turns(&outbound);
            } else {
                assert_eq!(outbound.flush(&mut staged(b"LAST\n")), Flushed::Done);
            }
            assert_eq!(read(&mut peer, 17), b"FIRST\nLATER\nLAST\n", "{taken} bytes taken, {socket_full}");
            assert_eq!((outbound.stats().pending_bytes, outbound.stats().messages), (0, 1));
        }
    }

    #[tokio::test]
    async fn what_comes_while_somebody_writes_waits_once_and_in_order() {
        let (outbound, mut peer) = pair();
        outbound.change(|pending| pending.writing = true);
        let mut blocks = staged(b"two ");
        blocks.splice(Bytes::from_static(b"three "));
        assert_eq!(outbound.flush(&mut staged(b"one ")), Flushed::Done);
        assert_eq!(outbound.flush(&mut blocks), Flushed::Done);
        let block = Addressed { bytes: b"four ", messages: 1, payload_bytes: 0 };
        assert_eq!(outbound.send(&block), Flushed::Done);
        assert_eq!(outbound.stats().pending_bytes, 19);
        take_turns(&outbound);
        assert_eq!(read(&mut peer, 19), b"one two three four ");
        assert_eq!(outbound.flush(&mut staged(b"end")), Flushed::Done);
        assert_eq!(read(&mut peer, 3), b"end");
    }

    #[tokio::test]
    async fn three_quarters_of_the_limit_stall_and_more_than_all_closes() {
        let (outbound, _peer) = pair();
        assert_eq!(outbound.flush(&mut staged(&vec![0; 900 << 10])), Flushed::Blocked);
        let waiting = outbound.stats().pending_bytes;
        let more = (RULES.pending_bytes_max / 4 * 3 + 1).saturating_sub(waiting);
        assert_eq!(outbound.flush(&mut staged(&vec![0; more])), Flushed::Done);
        assert!(outbound.is_stalling() && !outbound.is_closed());
        assert_eq!(outbound.flush(&mut staged(&vec![0; RULES.pending_bytes_max])), Flushed::Done);
        assert_eq!(outbound.close_reason(), Some(CloseReason::SlowConsumerPendingBytes));
    }

    #[tokio::test]
    async fn nothing_queues_behind_the_limit() {
        let (outbound, _peer) = pair();
        assert_eq!(outbound.flush(&mut staged(&vec![0; 4 << 20])), Flushed::Blocked);
        (0..10).for_each(|_| assert_eq!(outbound.flush(&mut staged(&[0; 1000])), Flushed::Done));
        assert_eq!(outbound.stats().pending_bytes, 0);
        assert!(outbound.is_closed() && !outbound.is_stalling());
    }

    #[tokio::test]
    async fn stall_ends_when_enough_was_taken() {
        let (outbound, _peer) = pair();
        let rules = outbound.rules();
        outbound.change(|pending| pending.in_flight_bytes = rules.pending_bytes_max);
        assert!(outbound.is_stalling());
        let (released, ()) = tokio::join!(outbound.released(), async { outbound.turn_progress(10) });
        assert_eq!((released, outbound.is_stalling()), ((), false));
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a peer that reads beside the test")]
    async fn direct_writer_that_drains_what_others_queued_ends_the_stall() {
        let (outbound, mut peer) = pair();
        // As if another were writing: this one queues, beyond three quarters.
        outbound.change(|pending| pending.writing = true);
        assert_eq!(outbound.flush(&mut staged(&vec![1; 900 << 10])), Flushed::Done);
        assert!(outbound.is_stalling());
        let reader = std::thread::spawn(move || read(&mut peer, 900 << 10).len());
        let transport = outbound.change(|pending| pending.transport.clone()).unwrap();
        let mut rest = Chunks::default();
        while outbound.write_directly(&transport, &staged(b""), &mut rest).unwrap().is_some() {
            outbound.change(|pending| {
                pending.in_flight_bytes = 0;
                rest.append(&mut pending.chunks);
                pending.chunks = std::mem::take(&mut rest);
            });
        }
        assert_eq!(reader.join().unwrap(), 900 << 10);
        assert!(!outbound.is_stalling());
        outbound.drained().await;
    }

    #[tokio::test]
    async fn gone_peer_closes_the_connection() {
        let (outbound, peer) = pair();
        drop(peer);
        assert_eq!(outbound.flush(&mut staged(b"x")), Flushed::Done);
        assert_eq!(outbound.close_reason(), Some(CloseReason::WriteError));
    }

    #[tokio::test]
    async fn nothing_is_sent_after_the_end() {
        let (outbound, mut peer) = pair();
        outbound.shut();
        assert_eq!(outbound.flush(&mut staged(b"x")), Flushed::Done);
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
    }
}
