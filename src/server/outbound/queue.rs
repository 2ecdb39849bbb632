//! One destination: the bytes that wait for it, who may write them, and how its owner is reached.
//!
//! A subscription points here and never sees a socket. Whoever stages bytes for a destination sends
//! them too (`flush`), unless somebody else is at it or the socket is full; then they queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::chunks::Chunks;
use super::guard::Guard;
use super::owner::{Notices, Owner};
use super::tally::Tally;
use crate::server::config::options::WriteTimeout;
use crate::server::net::{TlsState, Transport};
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::op::Kind;

/// Facts about a destination that others look at without its lock; bits of `flags`.
const CLOSED: u32 = 1;
const HEADERS: u32 = 1 << 1;
const STALLING: u32 = 1 << 2;
const EXHAUSTED: u32 = 1 << 3;
const GUARDED: u32 = 1 << 4;
const TAKES_INFO: u32 = 1 << 5;

/// What is known of a destination at one moment, without its lock.
#[derive(Debug, Clone, Copy)]
pub struct Standing(u32);

impl Standing {
    /// Whether nothing can be sent any more.
    #[inline]
    pub const fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// Whether so much waits that producers have to pause.
    #[inline]
    pub const fn is_stalling(self) -> bool {
        self.0 & STALLING != 0
    }

    /// Whether a message is lost on it; `drops_for_stalling` says that producers do not pause.
    #[inline]
    pub const fn loses(self, drops_for_stalling: bool) -> bool {
        self.is_closed() || (self.is_stalling() && drops_for_stalling)
    }

    /// Whether the receiver understands header messages.
    #[inline]
    pub const fn takes_headers(self) -> bool {
        self.0 & HEADERS != 0
    }

    /// Whether its permissions are to be asked about single messages.
    #[inline]
    pub const fn is_guarded(self) -> bool {
        self.0 & GUARDED != 0
    }
}

/// How much may wait for a destination, and how long a write to it may take. As the options were when
/// the connection came: a reload is for those that come later.
#[derive(Debug, Clone, Copy)]
pub struct OutboundRules {
    /// Bytes that may wait; `max_pending`.
    pub pending_bytes_max: usize,
    /// A receiver above that is closed (clients) instead of growing (links).
    pub closes: bool,
    /// `write_deadline`.
    pub write_deadline: Duration,
    /// `write_timeout`.
    pub write_timeout: WriteTimeout,
}

impl OutboundRules {
    /// Bytes above which producers are stalled. Reference: three quarters of `max_pending`.
    const fn stall_above(self) -> usize {
        self.pending_bytes_max / 4 * 3
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

/// What a subscription points to: the queue of one connection.
#[derive(Debug)]
pub struct Outbound {
    id: u64,
    kind: Kind,
    flags: AtomicU32,
    /// Where a worker staged for this destination last; a guess, checked before use.
    pub(super) slot_hint: AtomicU32,
    rules: OutboundRules,
    owner: Owner,
    pending: Mutex<Pending>,
    /// Leaf lock, held for one question about a message.
    pub(super) guard: Mutex<Option<Box<Guard>>>,
}

/// Held for an append or a take. The one lock taken inside is the buffer pool's, a leaf.
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
    /// Nothing is taken any more: too much waits, a write failed, or the connection has ended.
    pub(super) refuses: bool,
    pub(super) messages: u64,
    pub(super) payload_bytes: u64,
    /// Where the same is counted for the account.
    pub(super) tally: Option<Arc<Tally>>,
    /// Who waits for the receiver to catch up, or for the end of a write.
    waiting: Option<Arc<Notify>>,
    /// Sids of subscriptions that got all they asked for, for the owner to forget.
    exhausted: Vec<Box<[u8]>>,
    label: Option<Arc<str>>,
}

impl Pending {
    fn bytes(&self) -> usize {
        self.chunks.bytes() + self.in_flight_bytes
    }
}

impl Outbound {
    /// The queue of connection `id`, whose bytes go to `transport`.
    pub fn new(id: u64, kind: Kind, transport: Arc<Transport>, rules: OutboundRules) -> Self {
        let pending = Pending { transport: Some(transport), ..Pending::default() };
        Self::build(id, kind, rules, pending)
    }

    /// A destination without a socket, for tests of what only points to one.
    pub fn detached(id: u64) -> Self {
        Self::without_socket(id, Kind::System)
    }

    /// The server's own end of subscriptions and messages: nothing is ever written to it.
    pub fn without_socket(id: u64, kind: Kind) -> Self {
        let rules = OutboundRules {
            pending_bytes_max: usize::MAX,
            closes: false,
            write_deadline: Duration::MAX,
            write_timeout: WriteTimeout::Default,
        };
        Self::build(id, kind, rules, Pending::default())
    }

    fn build(id: u64, kind: Kind, rules: OutboundRules, pending: Pending) -> Self {
        Self {
            id,
            kind,
            flags: AtomicU32::new(0),
            slot_hint: AtomicU32::new(0),
            rules,
            owner: Owner::default(),
            pending: Mutex::new(pending),
            guard: Mutex::default(),
        }
    }

    /// The connection id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What TLS has agreed upon with the peer; `None` where there is no TLS.
    pub fn tls_state(&self) -> Option<TlsState> {
        let transport = self.pending.lock().transport.clone()?;
        transport.tls()?.state()
    }

    /// Whether the peer sends nothing any more.
    pub fn peer_has_ended(&self) -> bool {
        let transport = self.pending.lock().transport.clone();
        transport.is_some_and(|transport| transport.has_ended())
    }

    /// What kind of connection this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How much may wait, and how long writes may take.
    pub fn rules(&self) -> OutboundRules {
        self.rules
    }

    /// What the log calls this connection.
    pub fn label(&self) -> Arc<str> {
        self.pending.lock().label.clone().unwrap_or_default()
    }

    /// Sets what the log calls this connection.
    pub fn set_label(&self, label: Arc<str>) {
        self.pending.lock().label = Some(label);
    }

    /// Counts what is sent from now on for an account, too; or no longer.
    pub fn set_tally(&self, tally: Option<Arc<Tally>>) {
        self.pending.lock().tally = tally;
    }

    /// It did not keep up.
    pub fn count_slow_consumer(&self) {
        if let Some(tally) = &self.pending.lock().tally {
            tally.count_slow_consumer();
        }
    }

    /// Whether what is sent is counted there.
    pub fn counts_for(&self, tally: &Arc<Tally>) -> bool {
        self.pending.lock().tally.as_ref().is_some_and(|own| Arc::ptr_eq(own, tally))
    }

    /// What is known of it at this moment.
    #[inline]
    pub fn standing(&self) -> Standing {
        Standing(self.flags.load(Ordering::Relaxed))
    }

    /// Sets whether the receiver understands header messages.
    pub fn set_takes_headers(&self, takes: bool) {
        self.set_flag(HEADERS, takes);
    }

    /// Whether the receiver may be sent INFO at any time.
    pub fn takes_info(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & TAKES_INFO != 0
    }

    /// Sets [`Self::takes_info`].
    pub fn set_takes_info(&self, takes: bool) {
        self.set_flag(TAKES_INFO, takes);
    }

    /// Sets whether there is a guard.
    pub(super) fn set_guarded(&self, guarded: bool) {
        self.set_flag(GUARDED, guarded);
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.standing().is_closed()
    }

    /// Whether so much waits that producers have to pause.
    pub fn is_stalling(&self) -> bool {
        self.standing().is_stalling()
    }

    /// Whether all that may wait does.
    pub fn is_over_limit(&self) -> bool {
        self.pending.lock().bytes() >= self.rules.pending_bytes_max
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

    /// A subscription `sid` of the owner has got all it asked for. The owner hears of it when it looks.
    pub fn exhausted(&self, sid: &[u8]) {
        self.pending.lock().exhausted.push(sid.into());
        self.set_flag(EXHAUSTED, true);
    }

    /// The sids given to [`Self::exhausted`] since the last call.
    pub fn take_exhausted(&self) -> Vec<Box<[u8]>> {
        if !self.has_flag(EXHAUSTED) {
            return Vec::new();
        }
        self.set_flag(EXHAUSTED, false);
        std::mem::take(&mut self.pending.lock().exhausted)
    }

    /// The connection's addresses, as errors of the system name it.
    pub fn link(&self) -> String {
        let transport = self.pending.lock().transport.clone();
        transport.map(|transport| transport.link()).unwrap_or_default()
    }

    /// Asks the owner to close the connection; the first reason stands.
    pub fn request_close(&self, reason: CloseReason) {
        self.owner.request_close(reason);
    }

    /// The reason of the first [`Self::request_close`].
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.owner.close_reason()
    }

    /// Completes with the reason of the first [`Self::request_close`]; whoever waits here is the owner.
    pub async fn told_to_close(&self) -> CloseReason {
        self.owner.told_to_close().await
    }

    /// Tells the owner something and wakes it.
    pub fn notify(&self, notice: Notices) {
        self.owner.notify(notice);
    }

    /// What the owner has been told since the last call.
    pub fn take_notices(&self) -> Notices {
        self.owner.take_notices()
    }

    /// Sets whom [`Self::notify`] wakes.
    pub fn set_owner(&self, waker: &Waker) {
        self.owner.set_waker(waker);
    }

    /// Ends the destination: what waits is dropped, what comes is refused, the socket let go.
    pub fn shut(&self) {
        let transport = self.change(|pending| {
            pending.refuses = true;
            pending.writing = false;
            pending.transport.take()
        });
        self.owner.leave();
        if let Some(transport) = transport {
            transport.shutdown();
        }
    }

    /// Completes when producers may go on; at once where they may already.
    pub async fn released(&self) {
        self.wait_while(Self::is_stalling).await;
    }

    /// Completes when nobody writes and so nothing waits for the socket.
    pub async fn drained(&self) {
        self.wait_while(|outbound| outbound.pending.lock().writing).await;
    }

    async fn wait_while(&self, holds: impl Fn(&Self) -> bool) {
        loop {
            let gate = Arc::clone(self.pending.lock().waiting.get_or_insert_default());
            let mut changed = std::pin::pin!(gate.notified());
            changed.as_mut().enable();
            if !holds(self) {
                return;
            }
            changed.await;
        }
    }

    /// Changes what is pending and draws the consequences, all under one lock so that no two changes
    /// draw them in the wrong order: stall mark, slow consumer, end, and who is woken by it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Pending) -> T) -> T {
        let mut overflows = false;
        let (result, woken, dropped) = {
            let mut pending = self.pending.lock();
            let result = change(&mut pending);
            if pending.bytes() > self.rules.pending_bytes_max && self.rules.closes && !pending.refuses {
                overflows = true;
                pending.refuses = true;
            }
            let dropped =
                if pending.refuses { std::mem::take(&mut pending.chunks) } else { Chunks::default() };
            let stalls = !pending.refuses && pending.bytes() > self.rules.stall_above();
            if stalls != self.is_stalling() {
                self.set_flag(STALLING, stalls);
            }
            if pending.refuses {
                self.set_flag(CLOSED, true);
            }
            let woken = if stalls && pending.writing { None } else { pending.waiting.take() };
            (result, woken, dropped)
        };
        drop(dropped);
        if let Some(woken) = woken {
            woken.notify_waiters();
        }
        if overflows {
            self.request_close(CloseReason::SlowConsumerPendingBytes);
        }
        result
    }

    fn has_flag(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    fn set_flag(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }
}
