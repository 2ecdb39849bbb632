//! Sending: the direct write at the end of a read batch, and the turns of a write task.
//!
//! One party at a time holds the right to write to a socket (`Pending::writing`). A reader takes it
//! for one direct write; where the socket is full the right passes, with what is left, to a write
//! task, which gives it back when nothing waits any more.

use std::io;
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
        let outcome = match staged.contiguous() {
            Some(bytes) => transport.write_now(bytes),
            None => transport.write_now_vectored(&staged.slices()),
        };
        match outcome {
            Ok(written) => self.after_direct_write(written, staged),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.after_direct_write(0, staged)
            }
            Err(_) => {
                staged.clear();
                self.pending.lock().writing = false;
                self.request_close(CloseReason::WriteError);
                Flushed::Done
            }
        }
    }

    /// Queues what a direct write left, in front of what others queued meanwhile.
    fn after_direct_write(&self, written: usize, staged: &mut Staged) -> Flushed {
        let whole = written == staged.len();
        let bytes = {
            let mut pending = self.pending.lock();
            if whole && pending.chunks.is_empty() {
                pending.writing = false;
                drop(pending);
                staged.clear();
                return Flushed::Done;
            }
            let mut queue = Chunks::default();
            staged.move_rest(written, &mut queue);
            queue.append(&mut pending.chunks);
            pending.chunks = queue;
            pending.bytes()
        };
        self.weigh(bytes);
        Flushed::Blocked
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
                return Some(Turn { transport, chunks });
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
