//! One destination: the bytes that wait for it, who may write them, and how its owner is woken.
//!
//! A subscription points here and never sees a socket. Whoever stages bytes for a destination sends
//! them too (`flush`), unless somebody else is at it or the socket is full; then they queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::chunks::Chunks;
use crate::server::net::Transport;
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::op::Kind;

/// What the owner of a destination is told; a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notices(u32);

impl Notices {
    /// The connection is to be closed, for [`Outbound::close_reason`].
    pub const CLOSE: Self = Self(1);
    /// The server's INFO has changed.
    pub const INFO: Self = Self(1 << 1);
    /// The options have changed.
    pub const OPTIONS: Self = Self(1 << 2);

    /// Whether all of `notice` is in the set.
    pub const fn contains(self, notice: Self) -> bool {
        self.0 & notice.0 == notice.0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Facts about a destination that others look at without its lock; bits of `flags`.
const CLOSED: u32 = 1;
const HEADERS: u32 = 1 << 1;
const STALLING: u32 = 1 << 2;
const EXHAUSTED: u32 = 1 << 3;

/// How much may wait for a destination.
#[derive(Debug, Clone, Copy)]
pub struct PendingLimits {
    /// Bytes that may wait; `max_pending` of the options.
    pub bytes_max: usize,
    /// A receiver above `bytes_max` is closed (clients) instead of growing (links).
    pub closes: bool,
}

impl PendingLimits {
    /// Bytes above which producers are stalled. Reference: three quarters of `max_pending`.
    const fn stall_above(self) -> usize {
        self.bytes_max / 4 * 3
    }
}

/// Messages and bytes that went to a destination, and what waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboundStats {
    /// Messages staged for it since it exists.
    pub messages: u64,
    /// Payload bytes of those messages.
    pub payload_bytes: u64,
    /// Bytes that wait for the socket.
    pub pending_bytes: usize,
}

/// What a subscription points to: the queue of one connection or of one internal receiver.
#[derive(Debug)]
pub struct Outbound {
    id: u64,
    kind: Kind,
    /// 0 for none, else the reason's place in [`CloseReason::ALL`] plus 1.
    close_reason: AtomicU8,
    flags: AtomicU32,
    notices: AtomicU32,
    /// Where a worker staged for this destination last; a guess, checked before use.
    pub(super) slot_hint: AtomicU32,
    limits: PendingLimits,
    owner: Mutex<Option<Waker>>,
    pub(super) pending: Mutex<Pending>,
}

/// Leaf lock: held for an append or a take; nothing is called while it is held.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) transport: Option<Arc<Transport>>,
    pub(super) chunks: Chunks,
    /// Bytes taken out of `chunks` by a writer that has not finished with them.
    pub(super) in_flight_bytes: usize,
    /// Bytes that a direct write sent before it met the full socket.
    pub(super) sent_before_turn: usize,
    /// Somebody holds the right to write to the socket.
    pub(super) writing: bool,
    pub(super) messages: u64,
    pub(super) payload_bytes: u64,
    released: Option<Arc<Notify>>,
    /// Sids of subscriptions that got all they asked for, for the owner to forget.
    exhausted: Vec<Box<[u8]>>,
    label: Option<Arc<str>>,
}

impl Pending {
    pub(super) fn bytes(&self) -> usize {
        self.chunks.bytes() + self.in_flight_bytes
    }
}

impl Outbound {
    /// The queue of connection `id`, whose bytes go to `transport`.
    pub fn new(id: u64, kind: Kind, transport: Arc<Transport>, limits: PendingLimits) -> Self {
        let pending = Pending { transport: Some(transport), ..Pending::default() };
        Self {
            id,
            kind,
            close_reason: AtomicU8::new(0),
            flags: AtomicU32::new(0),
            notices: AtomicU32::new(0),
            slot_hint: AtomicU32::new(0),
            limits,
            owner: Mutex::new(None),
            pending: Mutex::new(pending),
        }
    }

    /// A destination without a socket: what is sent to it waits, without a limit.
    pub fn detached(id: u64) -> Self {
        let limits = PendingLimits { bytes_max: usize::MAX, closes: false };
        Self {
            id,
            kind: Kind::System,
            close_reason: AtomicU8::new(0),
            flags: AtomicU32::new(0),
            notices: AtomicU32::new(0),
            slot_hint: AtomicU32::new(0),
            limits,
            owner: Mutex::new(None),
            pending: Mutex::new(Pending::default()),
        }
    }

    /// The connection id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What kind of connection this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the log calls this connection.
    pub fn label(&self) -> Arc<str> {
        self.pending.lock().label.clone().unwrap_or_default()
    }

    /// Sets what the log calls this connection.
    pub fn set_label(&self, label: Arc<str>) {
        self.pending.lock().label = Some(label);
    }

    /// Whether the receiver understands header messages.
    pub fn takes_headers(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & HEADERS != 0
    }

    /// Sets whether the receiver understands header messages.
    pub fn set_takes_headers(&self, takes: bool) {
        self.set_flag(HEADERS, takes);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Whether so much waits that producers have to pause.
    pub fn is_stalling(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & STALLING != 0
    }

    /// Messages and bytes so far, and what waits.
    pub fn stats(&self) -> OutboundStats {
        let pending = self.pending.lock();
        OutboundStats {
            messages: pending.messages,
            payload_bytes: pending.payload_bytes,
            pending_bytes: pending.bytes(),
        }
    }

    /// Buffers that wait for the socket.
    pub fn pending_chunks(&self) -> usize {
        self.pending.lock().chunks.count()
    }

    /// A subscription `sid` of the owner has got all it asked for. The owner hears of it when it looks.
    pub fn exhausted(&self, sid: &[u8]) {
        self.pending.lock().exhausted.push(sid.into());
        self.set_flag(EXHAUSTED, true);
    }

    /// The sids given to [`Self::exhausted`] since the last call.
    pub fn take_exhausted(&self) -> Vec<Box<[u8]>> {
        if self.flags.load(Ordering::Relaxed) & EXHAUSTED == 0 {
            return Vec::new();
        }
        self.set_flag(EXHAUSTED, false);
        std::mem::take(&mut self.pending.lock().exhausted)
    }

    /// Asks the owner to close the connection; the first reason stands.
    pub fn request_close(&self, reason: CloseReason) {
        let code = reason as u8 + 1;
        let _ = self.close_reason.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        self.notify(Notices::CLOSE);
    }

    /// The reason of the first [`Self::request_close`].
    pub fn close_reason(&self) -> Option<CloseReason> {
        let code = self.close_reason.load(Ordering::Relaxed);
        CloseReason::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Tells the owner something and wakes it.
    pub fn notify(&self, notice: Notices) {
        self.notices.fetch_or(notice.0, Ordering::Release);
        let owner = self.owner.lock().clone();
        if let Some(owner) = owner {
            owner.wake();
        }
    }

    /// What the owner has been told since the last call.
    pub fn take_notices(&self) -> Notices {
        // The plain load keeps the common case, nothing new, free of a locked instruction.
        if self.notices.load(Ordering::Relaxed) == 0 {
            return Notices(0);
        }
        Notices(self.notices.swap(0, Ordering::Acquire))
    }

    /// Sets whom [`Self::notify`] wakes.
    pub fn set_owner(&self, waker: &Waker) {
        let mut owner = self.owner.lock();
        if !owner.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *owner = Some(waker.clone());
        }
    }

    /// Ends the destination: what waits is dropped, what comes is refused, the socket let go.
    pub fn shut(&self) {
        self.set_flag(CLOSED, true);
        let (transport, chunks, released) = {
            let mut pending = self.pending.lock();
            let released = pending.released.take();
            (pending.transport.take(), std::mem::take(&mut pending.chunks), released)
        };
        self.owner.lock().take();
        if let Some(transport) = &transport {
            transport.shutdown();
        }
        drop((transport, chunks));
        self.set_flag(STALLING, false);
        if let Some(released) = released {
            released.notify_waiters();
        }
    }

    /// Completes when producers may go on; at once where they may already.
    pub async fn released(&self) {
        let gate = Arc::clone(self.pending.lock().released.get_or_insert_default());
        let mut released = std::pin::pin!(gate.notified());
        released.as_mut().enable();
        if self.is_stalling() {
            released.await;
        }
    }

    /// Completes when nothing waits for the socket any more.
    pub async fn drained(&self) {
        let gate = Arc::clone(self.pending.lock().released.get_or_insert_default());
        loop {
            let mut released = std::pin::pin!(gate.notified());
            released.as_mut().enable();
            if !self.pending.lock().writing {
                return;
            }
            released.await;
        }
    }

    /// Whether the owner's peer is far behind: more waits than `max_pending`.
    pub fn is_over_limit(&self) -> bool {
        self.pending.lock().bytes() >= self.limits.bytes_max
    }

    /// How much may wait.
    pub fn limits(&self) -> PendingLimits {
        self.limits
    }

    /// Draws the consequences of `bytes` that wait now: stall gate, slow consumer.
    pub(super) fn weigh(&self, bytes: usize) {
        if bytes > self.limits.stall_above() {
            self.set_flag(STALLING, true);
        }
        if bytes > self.limits.bytes_max && self.limits.closes {
            self.request_close(CloseReason::SlowConsumerPendingBytes);
        }
    }

    /// Opens the stall gate once few enough `bytes` wait.
    pub(super) fn unweigh(&self, bytes: usize) {
        if self.is_stalling() && bytes <= self.limits.stall_above() {
            self.set_flag(STALLING, false);
            self.release();
        }
    }

    /// Wakes whoever waits for this destination to catch up.
    pub(super) fn release(&self) {
        let released = self.pending.lock().released.clone();
        if let Some(released) = released {
            released.notify_waiters();
        }
    }

    fn set_flag(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }
}
