//! One subscription: subject, queue, sid, target and its counters behind one thin pointer.
//!
//! The bytes stand in the tail of the one allocation that the client's table of sids and the sublist
//! share: some 60 bytes and the names.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use triomphe::ThinArc;

use super::detour::Detour;
use crate::server::outbound::Outbound;

/// Marks a subscription without a queue; an empty queue name is another thing.
const NO_QUEUE: u32 = u32::MAX;

/// Weight of a subscription of this server's own.
const LOCAL: u32 = u32::MAX;

/// Bit of [`Header::limit`] that says "closed".
const CLOSED: u64 = 1 << 63;

/// What comes of one more message for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Deliver it.
    Deliver,
    /// Deliver it, then remove the subscription: its maximum is reached.
    DeliverLast,
    /// Don't: closed, or its maximum was reached before.
    Exhausted,
}

struct Header {
    target: Arc<Outbound>,
    detour: Option<Box<Detour>>,
    delivered: AtomicU64,
    /// Messages until auto-unsubscribe (0 none), and [`CLOSED`]: one look decides the ordinary case.
    limit: AtomicU64,
    subject_len: u32,
    queue_len: u32,
    /// Place in a [`super::packed::Packed`]; a hint that is checked before use.
    position: AtomicU32,
    /// [`LOCAL`], or how many members of its queue group a link's subscription stands for.
    weight: AtomicU32,
}

/// Someone's interest in a subject. Cloning shares it.
#[derive(Clone)]
pub struct Subscription(ThinArc<Header, u8>);

impl Subscription {
    /// A subscription of a connection, or of anything else on this server.
    pub fn new(target: Arc<Outbound>, subject: &[u8], queue: Option<&[u8]>, sid: &[u8]) -> Self {
        Self::build(target, None, subject, queue, sid, LOCAL)
    }

    /// A subscription of this server's whose messages are not written to `target` but go another way.
    pub fn with_detour(
        target: Arc<Outbound>,
        detour: Detour,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) -> Self {
        Self::build(target, Some(Box::new(detour)), subject, queue, sid, LOCAL)
    }

    /// A subscription that stands for interest of another server. A queue subscription counts as
    /// `weight` members when one is picked; plain ones have weight 1.
    pub fn remote(
        target: Arc<Outbound>,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        weight: u32,
    ) -> Self {
        Self::build(target, None, subject, queue, sid, weight.min(LOCAL - 1))
    }

    fn build(
        target: Arc<Outbound>,
        detour: Option<Box<Detour>>,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        weight: u32,
    ) -> Self {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1);
        let header = Header {
            target,
            detour,
            delivered: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            subject_len: length(subject),
            queue_len: queue.map_or(NO_QUEUE, length),
            position: AtomicU32::new(0),
            weight: AtomicU32::new(weight),
        };
        let mut tail = Vec::with_capacity(subject.len() + queue.map_or(0, <[u8]>::len) + sid.len());
        tail.extend_from_slice(subject);
        tail.extend_from_slice(queue.unwrap_or_default());
        tail.extend_from_slice(sid);
        Self(ThinArc::from_header_and_slice(header, &tail))
    }

    #[inline]
    fn head(&self) -> &Header {
        &self.0.header.header
    }

    /// The tail from `start` on; never fails, since the lengths were taken from the same bytes.
    #[inline]
    fn tail(&self, start: usize, length: usize) -> &[u8] {
        self.0.slice.get(start..start + length).unwrap_or_default()
    }

    #[inline]
    fn queue_bytes(&self) -> usize {
        match self.head().queue_len {
            NO_QUEUE => 0,
            length => length as usize,
        }
    }

    /// The subject, wildcards and all.
    #[inline]
    pub fn subject(&self) -> &[u8] {
        self.tail(0, self.head().subject_len as usize)
    }

    /// The queue group, if it is a member of one.
    #[inline]
    pub fn queue(&self) -> Option<&[u8]> {
        let head = self.head();
        (head.queue_len != NO_QUEUE).then(|| self.tail(head.subject_len as usize, self.queue_bytes()))
    }

    /// The identifier that the target knows this subscription by.
    #[inline]
    pub fn sid(&self) -> &[u8] {
        let start = self.head().subject_len as usize + self.queue_bytes();
        self.0.slice.get(start..).unwrap_or_default()
    }

    /// Where its messages go.
    #[inline]
    pub fn target(&self) -> &Arc<Outbound> {
        &self.head().target
    }

    /// What is done with its messages instead of writing them to the target.
    #[inline]
    pub fn detour(&self) -> Option<&Detour> {
        self.head().detour.as_deref()
    }

    /// Whether both are the same subscription, not merely equal ones.
    #[inline]
    pub fn same(&self, other: &Self) -> bool {
        self.0.heap_ptr() == other.0.heap_ptr()
    }

    /// Tells subscriptions that exist at the same time apart.
    #[inline]
    pub fn address(&self) -> usize {
        self.0.heap_ptr().addr()
    }

    /// Messages counted by [`Self::deliver_one`] and [`Self::deliver_many`].
    pub fn delivered(&self) -> u64 {
        self.head().delivered.load(Ordering::SeqCst)
    }

    /// Messages until it is removed by itself; 0 for never.
    pub fn max(&self) -> u64 {
        self.head().limit.load(Ordering::Relaxed) & !CLOSED
    }

    /// Sets [`Self::max`]. Whether it is reached already is for the caller to compare with
    /// [`Self::delivered`]; deliveries beside it either count there or see the maximum.
    pub fn set_max(&self, max: u64) {
        let limit = &self.head().limit;
        // Both orders of a concurrent close keep the mark.
        let _ = limit
            .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |old| Some((old & CLOSED) | (max & !CLOSED)));
    }

    /// Counts one message, and says whether to deliver it.
    #[inline]
    pub fn deliver_one(&self) -> Delivery {
        let head = self.head();
        if head.limit.load(Ordering::Relaxed) == 0 {
            return match self.deliver_unlimited(1) {
                (_, true) => Delivery::DeliverLast,
                (_, false) => Delivery::Deliver,
            };
        }
        match self.deliver_limited(1) {
            (0, _) => Delivery::Exhausted,
            (_, true) => Delivery::DeliverLast,
            (_, false) => Delivery::Deliver,
        }
    }

    /// Counts a run of `wanted` messages; gives how many of them to deliver, and whether the maximum
    /// is reached with them.
    #[inline]
    pub fn deliver_many(&self, wanted: u64) -> (u64, bool) {
        let head = self.head();
        if head.limit.load(Ordering::Relaxed) == 0 {
            return self.deliver_unlimited(wanted);
        }
        self.deliver_limited(wanted)
    }

    /// Counts messages while there is no maximum. One that was set since is looked at once they count: whoever
    /// set it may not have seen them.
    #[inline]
    fn deliver_unlimited(&self, wanted: u64) -> (u64, bool) {
        let head = self.head();
        let before = head.delivered.fetch_add(wanted, Ordering::SeqCst);
        let limit = head.limit.load(Ordering::SeqCst);
        (wanted, limit != 0 && (before + 1..=before + wanted).contains(&limit))
    }

    #[cold]
    fn deliver_limited(&self, wanted: u64) -> (u64, bool) {
        if self.is_closed() {
            return (0, false);
        }
        let (delivered, max) = (&self.head().delivered, self.max());
        let room = |count: u64| if max == 0 { wanted } else { wanted.min(max.saturating_sub(count)) };
        let before =
            delivered.fetch_update(Ordering::SeqCst, Ordering::Relaxed, |count| Some(count + room(count)));
        let (Ok(before) | Err(before)) = before;
        let granted = room(before);
        (granted, max != 0 && granted > 0 && before + granted == max)
    }

    /// Marks it as gone: results that were taken before may still hold it, and must skip it. Says
    /// whether it was not before.
    pub fn close(&self) -> bool {
        self.head().limit.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0
    }

    /// Whether [`Self::close`] was called.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.head().limit.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether it stands for interest of another server.
    #[inline]
    pub fn is_remote(&self) -> bool {
        self.head().weight.load(Ordering::Relaxed) != LOCAL
    }

    /// How many members of its queue group it counts as.
    pub fn weight(&self) -> u32 {
        match self.head().weight.load(Ordering::Relaxed) {
            LOCAL => 1,
            weight => weight,
        }
    }

    /// Changes a remote subscription's weight; results show it once
    /// [`super::SharedInterest::weight_changed`] was told.
    pub fn set_weight(&self, weight: u32) {
        if self.is_remote() {
            self.head().weight.store(weight.min(LOCAL - 1), Ordering::Relaxed);
        }
    }

    pub(super) fn position(&self) -> usize {
        self.head().position.load(Ordering::Relaxed) as usize
    }

    pub(super) fn set_position(&self, position: usize) {
        self.head().position.store(u32::try_from(position).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        f.debug_struct("Subscription")
            .field("subject", &text(self.subject()))
            .field("queue", &self.queue().map(text))
            .field("sid", &text(self.sid()))
            .field("delivered", &self.delivered())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(queue: Option<&[u8]>) -> Subscription {
        Subscription::new(Arc::new(Outbound::detached(1)), b"a.b", queue, b"7")
    }

    #[test]
    fn names_come_back_as_given() {
        for queue in [None, Some(&b""[..]), Some(b"workers")] {
            let sub = subscription(queue);
            assert_eq!((sub.subject(), sub.queue(), sub.sid()), (&b"a.b"[..], queue, &b"7"[..]));
        }
    }

    #[test]
    fn target_is_shared_and_copies_are_the_same() {
        let target = Arc::new(Outbound::detached(1));
        let sub = Subscription::new(Arc::clone(&target), b"a", None, b"1");
        assert!(Arc::ptr_eq(sub.target(), &target));
        assert!(sub.same(&sub.clone()));
        assert!(!sub.same(&Subscription::new(target, b"a", None, b"1")));
    }

    #[test]
    fn maximum_counts_what_was_delivered_before_it() {
        let sub = subscription(None);
        assert_eq!(sub.deliver_one(), Delivery::Deliver);
        sub.set_max(3);
        let next: Vec<_> = (0..3).map(|_| sub.deliver_one()).collect();
        assert_eq!(next, [Delivery::Deliver, Delivery::DeliverLast, Delivery::Exhausted]);
        assert_eq!((sub.delivered(), sub.max()), (3, 3));
    }

    #[test]
    fn maximum_below_the_count_is_exhausted_at_once() {
        let sub = subscription(None);
        sub.deliver_many(5);
        sub.set_max(5);
        assert_eq!((sub.deliver_one(), sub.delivered()), (Delivery::Exhausted, 5));
    }

    #[test]
    fn run_is_cut_at_the_maximum() {
        let sub = subscription(None);
        assert_eq!(sub.deliver_many(10), (10, false));
        sub.set_max(14);
        assert_eq!(sub.deliver_many(3), (3, false));
        assert_eq!(sub.deliver_many(3), (1, true));
        assert_eq!(sub.deliver_many(3), (0, false));
    }

    #[test]
    fn closed_takes_nothing_more_and_keeps_its_maximum() {
        let sub = subscription(None);
        sub.close();
        sub.set_max(9);
        assert!(sub.is_closed());
        assert_eq!((sub.deliver_one(), sub.max()), (Delivery::Exhausted, 9));
    }

    #[test]
    fn only_remote_subscriptions_have_a_weight() {
        let local = subscription(Some(b"q"));
        local.set_weight(5);
        assert_eq!((local.is_remote(), local.weight()), (false, 1));
        let remote = Subscription::remote(Arc::new(Outbound::detached(1)), b"a", Some(b"q"), b"", 3);
        assert_eq!((remote.is_remote(), remote.weight()), (true, 3));
        remote.set_weight(4);
        assert_eq!(remote.weight(), 4);
    }

    /// Whoever counts the last message ends the subscription, or whoever sets the maximum does.
    #[test]
    fn maximum_set_beside_a_delivery_is_noticed_by_one_of_them() {
        for round in 0..5_000 {
            let sub = subscription(None);
            let start = std::sync::Barrier::new(2);
            let (ended_by_delivery, ended_by_setter) = std::thread::scope(|scope| {
                let delivery = scope.spawn(|| {
                    start.wait();
                    (0..4).any(|_| sub.deliver_one() == Delivery::DeliverLast)
                });
                let setter = scope.spawn(|| {
                    start.wait();
                    sub.set_max(2);
                    sub.max() <= sub.delivered()
                });
                (delivery.join().unwrap(), setter.join().unwrap())
            });
            assert!(ended_by_delivery || ended_by_setter, "round {round}");
        }
    }

    #[test]
    fn many_threads_deliver_exactly_the_maximum() {
        let sub = subscription(None);
        sub.set_max(1000);
        let granted: u64 = std::thread::scope(|scope| {
            let deliver =
                || (0..500).map(|_| u64::from(sub.deliver_one() != Delivery::Exhausted)).sum::<u64>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(deliver)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((granted, sub.delivered()), (1000, 1000));
    }
}
