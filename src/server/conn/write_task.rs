//! Writes to one connection while its socket is full.
//!
//! Started by whoever met the full socket, and holds the right to write until nothing waits. A turn
//! is what waits when it begins; a turn that is not written within `write_deadline` makes the peer a
//! slow consumer.

use std::io;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use super::context::Context;
use super::slow::{Timeout, Verdict};
use crate::server::outbound::{Outbound, Turn};
use crate::server::protocol::error::CloseReason;

/// Starts the task; the caller hands over the right to write.
#[expect(clippy::disallowed_methods, reason = "the place where write tasks start")]
pub(super) fn start(outbound: &Arc<Outbound>, context: &Arc<Context>) {
    tokio::spawn(run(Arc::clone(outbound), Arc::clone(context)));
}

async fn run(outbound: Arc<Outbound>, context: Arc<Context>) {
    while let Some(turn) = outbound.next_turn() {
        if let Err(reason) = write(&outbound, &context, turn).await {
            outbound.fail(reason);
            return;
        }
        // A socket that takes everything at once never makes this task wait: others get their turn.
        yield_now().await;
    }
}

/// Writes one turn.
async fn write(outbound: &Outbound, context: &Context, mut turn: Turn) -> Result<(), CloseReason> {
    let deadline_span = outbound.rules().write_deadline;
    let (attempted, chunks, started) = (turn.chunks.bytes(), turn.chunks.count(), Instant::now());
    let mut deadline = started + deadline_span;
    let mut slow = false;
    // What was written since the deadline was last set; the write that filled the socket counts.
    let mut written = turn.sent_before;
    while !turn.chunks.is_empty() {
        match turn.transport.try_write_vectored(&turn.chunks.slices()) {
            Ok(count) => {
                written += count;
                turn.chunks.advance(count);
                outbound.turn_progress(turn.chunks.bytes());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match timeout_at(deadline, turn.transport.writable()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Err(CloseReason::WriteError),
                    Err(_) => {
                        let timeout = Timeout { attempted, chunks, written, repeated: slow };
                        if context.slow.timed_out(outbound, timeout, &context.logger) == Verdict::Close {
                            return Err(CloseReason::SlowConsumerWriteDeadline);
                        }
                        (slow, written) = (true, 0);
                        deadline = Instant::now() + deadline_span;
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(CloseReason::WriteError),
        }
    }
    if slow {
        context.slow.recovered(outbound, started.elapsed(), attempted, chunks, &context.logger);
    }
    Ok(())
}
