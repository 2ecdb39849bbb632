//! Sending: the direct write at the end of a read batch, and the turns of a write task.
//!
//! One party at a time holds the right to write to a socket (`Pending::writing`). A reader takes it
//! for one direct write; where the socket is full the right passes, with what is left, to a write
//! task, which gives it back when nothing waits any more.

use std::io::{self, IoSlice};
use std::sync::Arc;

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

impl Outbound {
    /// Sends what is staged, which is empty afterwards.
    pub fn flush(&self, staged: &mut Staged) -> Flushed {
        let (messages, payload_bytes) = staged.counts();
        let transport = {
            let mut pending = self.pending.lock();
            pending.messages += messages;
            pending.payload_bytes += payload_bytes;
            let free = !pending.writing && pending.chunks.is_empty();
            match &pending.transport {
                Some(transport) if free => {
                    let transport = Arc::clone(transport);
                    pending.writing = true;
                    transport
                }
                Some(_) => {
                    staged.move_rest(0, &mut pending.chunks);
                    let bytes = pending.bytes();
                    drop(pending);
                    self.weigh(bytes);
                    return Flushed::Done;
                }
                None => {
                    drop(pending);
                    staged.clear();
                    return Flushed::Done;
                }
            }
        };
        let direct = match staged.contiguous() {
            Some(bytes) => write(&transport, &[IoSlice::new(bytes)]),
            None => write(&transport, &staged.slices()),
        };
        let mut sent = match direct {
            Ok(sent) => sent,
            Err(_) => return self.broken(staged),
        };
        let mut rest = Chunks::default();
        let mut sent_before = sent.bytes;
        staged.move_rest(sent.bytes, &mut rest);
        // What others queued meanwhile goes too, while the socket takes it.
        while !sent.socket_full {
            if rest.is_empty() {
                let mut pending = self.pending.lock();
                if pending.chunks.is_empty() {
                    pending.writing = false;
                    return Flushed::Done;
                }
                rest = pending.chunks.take_batch();
            }
            sent = match write(&transport, &rest.slices()) {
                Ok(sent) => sent,
                Err(_) => return self.broken(staged),
            };
            rest.advance(sent.bytes);
            sent_before += sent.bytes;
        }
        let bytes = {
            let mut pending = self.pending.lock();
            pending.sent_before_turn = sent_before;
            rest.append(&mut pending.chunks);
            pending.chunks = rest;
            pending.bytes()
        };
        self.weigh(bytes);
        Flushed::Blocked
    }

    /// The socket is of no use any more.
    fn broken(&self, staged: &mut Staged) -> Flushed {
        staged.clear();
        self.pending.lock().writing = false;
        self.request_close(CloseReason::WriteError);
        Flushed::Done
    }

    /// The next turn of a write task; `None` gives the right to write back.
    pub fn next_turn(&self) -> Option<Turn> {
        {
            let mut pending = self.pending.lock();
            if let Some(transport) = pending.transport.clone()
                && !pending.chunks.is_empty()
            {
                let chunks = pending.chunks.take_batch();
                pending.in_flight_bytes = chunks.bytes();
                let sent_before = std::mem::take(&mut pending.sent_before_turn);
                return Some(Turn { transport, chunks, sent_before });
            }
            pending.writing = false;
            pending.in_flight_bytes = 0;
        }
        self.release();
        None
    }

    /// A write task gives up: what waits stays unsent, the right to write is not given back, so that
    /// nothing is sent behind a hole.
    pub fn abandon(&self) {
        self.pending.lock().in_flight_bytes = 0;
        self.release();
    }

    /// A write task has sent all but `left_bytes` of its turn.
    pub fn turn_progress(&self, left_bytes: usize) {
        let bytes = {
            let mut pending = self.pending.lock();
            pending.in_flight_bytes = left_bytes;
            pending.bytes()
        };
        self.unweigh(bytes);
    }
}

/// What became of a write.
struct Sent {
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
    use std::io::Read;
    use std::os::unix::net::UnixStream as StdStream;

    use bytes::Bytes;
    use tokio::net::UnixStream;

    use super::*;
    use crate::server::outbound::PendingLimits;
    use crate::server::protocol::op::Kind;

    const LIMITS: PendingLimits = PendingLimits { bytes_max: 1 << 20, closes: true };

    fn pair() -> (Outbound, StdStream) {
        let (ours, theirs) = StdStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let transport = Arc::new(Transport::InProcess(UnixStream::from_std(ours).unwrap()));
        (Outbound::new(1, Kind::Client, transport, LIMITS), theirs)
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
        let mut received = 0;
        // The write task's part, by hand: a turn at a time, while the peer reads.
        while let Some(mut turn) = outbound.next_turn() {
            while !turn.chunks.is_empty() {
                let sent = write(&turn.transport, &turn.chunks.slices()).unwrap();
                turn.chunks.advance(sent.bytes);
                outbound.turn_progress(turn.chunks.bytes());
                let waiting = outbound.stats().pending_bytes;
                received += read(&mut peer, (first.len() + 5 - waiting - received).min(64 << 10)).len();
            }
        }
        let last = read(&mut peer, first.len() + 5 - received);
        assert!(last.ends_with(b"alater") || last == b"later");
        assert_eq!(outbound.flush(&mut staged(b"x")), Flushed::Done);
        assert_eq!(read(&mut peer, 1), b"x");
    }

    #[tokio::test]
    async fn more_than_the_limit_closes_a_client_and_three_quarters_stall() {
        let (outbound, _peer) = pair();
        assert_eq!(outbound.flush(&mut staged(&vec![0; 900 << 10])), Flushed::Blocked);
        let waiting = outbound.stats().pending_bytes;
        let more = (LIMITS.bytes_max / 4 * 3 + 1).saturating_sub(waiting);
        assert_eq!(outbound.flush(&mut staged(&vec![0; more])), Flushed::Done);
        assert!(outbound.is_stalling() && outbound.close_reason().is_none());
        assert_eq!(outbound.flush(&mut staged(&vec![0; LIMITS.bytes_max])), Flushed::Done);
        assert_eq!(outbound.close_reason(), Some(CloseReason::SlowConsumerPendingBytes));
    }

    #[tokio::test]
    async fn stall_ends_when_enough_was_taken() {
        let (outbound, _peer) = pair();
        assert_eq!(outbound.flush(&mut staged(&vec![0; (1 << 20) - 1])), Flushed::Blocked);
        let turn = outbound.next_turn().unwrap();
        outbound.weigh(turn.chunks.bytes().max(800 << 10));
        assert!(outbound.is_stalling());
        let (released, ()) = tokio::join!(outbound.released(), async { outbound.turn_progress(10) });
        assert_eq!((released, outbound.is_stalling()), ((), false));
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
