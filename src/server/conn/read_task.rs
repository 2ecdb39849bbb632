//! Reads from one connection, and is the connection's life: it ends when the connection is closed.
//!
//! One task a connection. Between reads it waits in a hand-written poll function, because every byte
//! in this future is paid by every idle connection: no buffer, no timer and no second future lives
//! across a wait. What seldom happens (a stalled producer, the last flush) is boxed.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::consult_task;
use super::context::Context;
use super::input::Input;
use super::session::Session;
use super::worker::{self, Worker};
use super::write_task;
use crate::server::auth::{Errand, Work};
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::timers::TimerKey;
use crate::server::delivery::Courier;
use crate::server::net::Transport;
use crate::server::outbound::{Behind, Notices, Outbound};
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::op::Kind;

/// How long a closing connection's peer may take nothing of what waits. Reference: 100 ms.
const LAST_FLUSH_MAX: Duration = Duration::from_millis(100);

/// How long a producer waits for a receiver that is behind, and for one that is at its limit, with
/// each message for it.
const STALL_MAX: Duration = Duration::from_millis(2);
const STALL_AT_LIMIT_MAX: Duration = Duration::from_millis(5);
/// How long a producer waits for all of them after one read.
const STALL_TOTAL_MAX: Duration = Duration::from_millis(10);

/// One connection: its socket, its queue and its session.
pub struct Connection<S> {
    pub(super) context: Arc<Context>,
    pub(super) transport: Arc<Transport>,
    pub(super) outbound: Arc<Outbound>,
    input: Input,
    timer: Option<(Timestamp, TimerKey)>,
    opened: bool,
    pub(super) session: S,
}

/// Why the poll function returned.
enum Pause {
    /// Receivers are behind: wait for them before reading on.
    Stall(Box<[Behind]>),
    /// The connection is to be closed.
    Close(CloseReason),
}

/// What follows a read.
enum Next {
    /// The socket is empty.
    Wait,
    /// There may be more to read, after others had their turn.
    Yield,
    Pause(Pause),
}

/// Starts the connection's task. The caller has put `outbound` into the table.
pub fn start<S: Session>(
    context: &Arc<Context>,
    transport: Arc<Transport>,
    outbound: Arc<Outbound>,
    session: S,
) {
    context.table.began();
    Connection::new(context, transport, outbound, session).go_on_from(&[]);
}

impl<S: Session> Connection<S> {
    pub(super) fn new(
        context: &Arc<Context>,
        transport: Arc<Transport>,
        outbound: Arc<Outbound>,
        session: S,
    ) -> Self {
        let (context, input) = (Arc::clone(context), Input::default());
        Self { context, transport, outbound, input, timer: None, opened: false, session }
    }

    /// Starts the task. `early` is what the peer has sent already.
    #[expect(clippy::disallowed_methods, reason = "the place where connections start")]
    pub(super) fn go_on_from(mut self, early: &[u8]) {
        self.input.keep(early, 0);
        tokio::spawn(self.run());
    }

    /// Not an `async fn`: that would hold the connection twice, as argument and as variable.
    #[expect(clippy::manual_async_fn, reason = "it would hold the connection twice")]
    fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let reason = loop {
                match poll_fn(|task| self.poll(task)).await {
                    Pause::Stall(receivers) => {
                        let span = Box::pin(stall(receivers)).await;
                        if span >= STALL_AT_LIMIT_MAX {
                            self.session.stalled(span);
                        }
                    }
                    Pause::Close(reason) => break reason,
                }
            };
            Box::pin(self.finish(reason)).await;
        }
    }

    fn poll(&mut self, task: &mut TaskContext<'_>) -> Poll<Pause> {
        // The owner is set before notices are looked at: none is missed.
        self.outbound.set_owner(task.waker());
        let now = self.context.clock.now();
        loop {
            if let Some(pause) = self.attend(now) {
                return Poll::Ready(pause);
            }
            if !self.session.reads() {
                self.arm(task);
                return Poll::Pending;
            }
            // What a pause left over comes before anything new.
            if self.input.is_held() {
                match self.guarded(|connection, worker| connection.go_on(now, worker)) {
                    Next::Pause(pause) => return Poll::Ready(pause),
                    Next::Wait | Next::Yield => continue,
                }
            }
            match self.transport.poll_read_ready(task) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Pause::Close(CloseReason::ReadError)),
                Poll::Pending => {
                    self.arm(task);
                    return Poll::Pending;
                }
            }
            match self.guarded(|connection, worker| connection.read(now, worker)) {
                Next::Wait => {}
                Next::Yield => {
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Pause(pause) => return Poll::Ready(pause),
            }
        }
    }

    /// Does what does not come from the socket: the opening, notices, the deadline.
    fn attend(&mut self, now: Timestamp) -> Option<Pause> {
        let notices = self.outbound.take_notices();
        let due = self.timer.is_some_and(|(at, _)| at <= now);
        if self.opened && notices.is_empty() && !due {
            return None;
        }
        let next = self.guarded(|connection, worker| {
            let outcome = connection.attend_to(now, notices, due, &mut worker.courier);
            connection.settle(outcome.map(|()| Next::Wait), &mut worker.courier)
        });
        match next {
            Next::Pause(pause) => Some(pause),
            Next::Wait | Next::Yield => None,
        }
    }

    fn attend_to(
        &mut self,
        now: Timestamp,
        notices: Notices,
        due: bool,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        if notices.contains(Notices::CLOSE) {
            let reason = self.outbound.close_reason().unwrap_or(CloseReason::ClientClosed);
            self.session.last_words(reason, courier);
            return Err(reason);
        }
        if !std::mem::replace(&mut self.opened, true) {
            self.session.opened(now, courier)?;
        }
        if !notices.is_empty() {
            self.session.notified(now, notices, courier)?;
        }
        if due {
            self.disarm();
            self.session.due(now, courier)?;
        }
        Ok(())
    }

    /// Handles what the session left over when it stopped early.
    fn go_on(&mut self, now: Timestamp, worker: &mut Worker) -> Next {
        let held = self.input.take();
        self.handle(now, &held, false, &mut worker.courier)
    }

    /// Reads once and handles all that is whole.
    fn read(&mut self, now: Timestamp, worker: &mut Worker) -> Next {
        let Worker { scratch, courier } = worker;
        if self.input.gathers().is_some() {
            let read = self.input.gather(|buffer| self.transport.read(buffer));
            return match read {
                Ok(0) => self.ended(courier),
                Ok(_) if self.input.gathers().is_some() => Next::Yield,
                Ok(_) => {
                    let whole = self.input.take();
                    self.handle(now, &whole, true, courier)
                }
                Err(error) => self.failed(&error, courier),
            };
        }
        let held = self.input.rest().len();
        if scratch.len() < held + worker::READ_BYTES_MIN {
            scratch.resize(held + worker::SCRATCH_BYTES, 0);
        }
        let (front, free) = scratch.split_at_mut(held);
        front.copy_from_slice(self.input.rest());
        match self.transport.read(free) {
            Ok(0) => self.ended(courier),
            Ok(read) => {
                let full = read == free.len();
                let next = self.handle(now, scratch.get(..held + read).unwrap_or_default(), full, courier);
                scratch.truncate(worker::SCRATCH_BYTES);
                next
            }
            Err(error) => self.failed(&error, courier),
        }
    }

    fn handle(&mut self, now: Timestamp, input: &[u8], full: bool, courier: &mut Courier) -> Next {
        let mut rest = input;
        loop {
            let outcome = self.session.received(now, rest, courier);
            let need = outcome.as_ref().map_or(0, |consumed| consumed.need);
            rest = rest
                .get(outcome.as_ref().map_or(rest.len(), |consumed| consumed.bytes)..)
                .unwrap_or_default();
            let idle = if full { Next::Yield } else { Next::Wait };
            match self.settle(outcome.map(|_| idle), courier) {
                // The session stopped early, to have sent what is staged.
                Next::Wait | Next::Yield if need == 0 && !rest.is_empty() && self.session.reads() => {}
                next => {
                    self.input.keep(rest, need);
                    return next;
                }
            }
        }
    }

    /// Sends what is staged; returns the receivers that are behind.
    pub(super) fn flush(&self, courier: &mut Courier) -> Vec<Behind> {
        let mut stalling = Vec::new();
        courier.flush_of(
            &self.outbound,
            &mut |blocked| write_task::start(blocked, &self.context),
            &mut stalling,
        );
        stalling
    }

    /// Sends what a call to the session staged, and draws the consequences of its outcome.
    fn settle(&mut self, outcome: Result<Next, CloseReason>, courier: &mut Courier) -> Next {
        let mut stalling = self.flush(courier);
        if let Some(errand) = self.session.take_errand() {
            match *errand {
                Errand { work: Work::Consult(consultation), answer } => {
                    let (owner, context) = (Arc::clone(&self.outbound), Arc::clone(&self.context));
                    consult_task::start(*consultation, answer, owner, context);
                }
                errand => self.context.verifiers.start(Box::new(errand), &self.outbound),
            }
        }
        match outcome {
            Err(reason) => Next::Pause(Pause::Close(reason)),
            Ok(_) if self.stalls(&mut stalling) => Next::Pause(Pause::Stall(stalling.into_boxed_slice())),
            Ok(next) => next,
        }
    }

    /// Only client producers wait for slow receivers, where the options hold producers back at all.
    /// Nobody waits for itself: it would not read on and so never answer.
    fn stalls(&self, receivers: &mut Vec<Behind>) -> bool {
        receivers.retain(|behind| !Arc::ptr_eq(&behind.receiver, &self.outbound));
        !receivers.is_empty()
            && self.outbound.kind() == Kind::Client
            && !self.context.options().no_fast_producer_stall
    }

    fn ended(&mut self, courier: &mut Courier) -> Next {
        self.settle(Err(CloseReason::ClientClosed), courier)
    }

    fn failed(&mut self, error: &io::Error, courier: &mut Courier) -> Next {
        match error.kind() {
            io::ErrorKind::WouldBlock => Next::Wait,
            io::ErrorKind::Interrupted => Next::Yield,
            _ => self.settle(Err(CloseReason::ReadError), courier),
        }
    }

    /// Lends the worker to `work`; a panic in it closes this connection and no other.
    fn guarded(&mut self, work: impl FnOnce(&mut Self, &mut Worker) -> Next) -> Next {
        let outcome = worker::with(|worker| {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut *self, &mut *worker)));
            if outcome.is_err() {
                worker.recover(|blocked| write_task::start(blocked, &self.context));
            }
            outcome
        });
        outcome.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            self.context.logger.error(format_args!(
                "{} - Internal error, closing this connection: {text}",
                self.outbound.label()
            ));
            Next::Pause(Pause::Close(CloseReason::InternalClient))
        })
    }

    /// Makes the server's timers wake this task at the session's deadline.
    fn arm(&mut self, task: &TaskContext<'_>) {
        let wanted = self.session.deadline();
        if self.timer.map(|(at, _)| at) == wanted {
            return;
        }
        self.disarm();
        self.timer = wanted.map(|at| (at, self.context.timers.arm(at, task.waker().clone())));
    }

    fn disarm(&mut self) {
        if let Some((_, key)) = self.timer.take() {
            self.context.timers.cancel(key);
        }
    }

    /// Closes: says so, takes the session out of everything, sends what waits, lets the socket go.
    pub(super) async fn finish(&mut self, reason: CloseReason) {
        self.disarm();
        if reason == CloseReason::SlowConsumerPendingBytes {
            self.context.slow.overflowed(&self.outbound, &self.context.logger);
        }
        // First of all: whoever reads that it is closed may count on its place being free.
        self.context.table.remove(self.outbound.id());
        self.context.logger.debug(format_args!(
            "{} - {} connection closed: {}",
            self.outbound.label(),
            self.outbound.kind(),
            reason.text()
        ));
        let now = self.context.clock.now();
        self.guarded(|connection, worker| {
            connection.session.closed(now, reason, &mut worker.courier);
            connection.settle(Ok(Next::Wait), &mut worker.courier)
        });
        if !skips_last_flush(reason) {
            flush_last(&self.outbound).await;
            self.discard_unread();
        }
        self.outbound.shut();
        self.context.table.ended();
    }

    /// Reads away what the peer has sent: closing a socket with unread bytes resets the connection,
    /// and the peer would lose the answer that says why.
    fn discard_unread(&self) {
        /// Enough for what was on its way; a peer that floods is not waited for.
        const READS_MAX: usize = 16;
        worker::with(|worker| {
            let _ = (0..READS_MAX).try_for_each(|_| match self.transport.read(&mut worker.scratch) {
                Ok(read) if read > 0 => Ok(()),
                _ => Err(()),
            });
        });
    }
}

/// Lets a producer wait a moment for receivers that are behind.
async fn stall(receivers: Box<[Behind]>) -> Duration {
    let start = Instant::now();
    for Behind { receiver, messages } in receivers {
        let each = if receiver.is_over_limit() { STALL_AT_LIMIT_MAX } else { STALL_MAX };
        let span = each.saturating_mul(u32::try_from(messages).unwrap_or(u32::MAX));
        let _ = timeout_at(start + STALL_TOTAL_MAX, timeout(span, receiver.released())).await;
    }
    start.elapsed()
}

/// Waits for what still waits to be sent, while the peer takes some of it.
async fn flush_last(outbound: &Outbound) {
    let mut left = outbound.stats().pending_bytes;
    while timeout(LAST_FLUSH_MAX, outbound.drained()).await.is_err() {
        let now = outbound.stats().pending_bytes;
        if now >= left {
            return;
        }
        left = now;
    }
}

/// Reasons after which nothing can or should be sent any more.
fn skips_last_flush(reason: CloseReason) -> bool {
    matches!(
        reason,
        CloseReason::ReadError
            | CloseReason::WriteError
            | CloseReason::SlowConsumerPendingBytes
            | CloseReason::SlowConsumerWriteDeadline
            | CloseReason::TlsHandshakeError
    )
}

#[cfg(test)]
#[path = "read_task_test.rs"]
mod tests;
