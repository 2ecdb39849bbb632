//! News of interest: what begins and ends, as values in a bounded queue.
//!
//! Nothing is waited for on the way in. Where the queue is full, its content is dropped and the
//! receiver told to look at everything again ([`Heard::Resync`]); counts are absolute, so a change that
//! arrives behind a fresh look does no harm.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Interest in one subject (and queue) after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterestChange {
    /// The number that the sender was made with: whose interest it is.
    pub source: u64,
    /// The subject, wildcards and all.
    pub subject: Box<[u8]>,
    /// The queue group, if it is about one.
    pub queue: Option<Box<[u8]>>,
    /// Subscriptions there are now; 0 says that interest ended.
    pub members: usize,
}

/// What a receiver hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// One change.
    Change(InterestChange),
    /// Changes were lost: look at everything again.
    Resync,
}

#[derive(Debug)]
struct Pending {
    changes: VecDeque<InterestChange>,
    lost: bool,
}

#[derive(Debug)]
struct Queue {
    /// Leaf lock, also taken under an account's: held for a push or a pop.
    pending: Mutex<Pending>,
    capacity: usize,
    filled: Notify,
}

/// The end that news are put in.
#[derive(Debug, Clone)]
pub struct ChangeSender {
    queue: Arc<Queue>,
    source: u64,
}

/// The end that news are taken from; there is one.
#[derive(Debug)]
pub struct ChangeReceiver {
    queue: Arc<Queue>,
}

/// A queue of at most `capacity` changes.
pub fn change_queue(capacity: usize) -> (ChangeSender, ChangeReceiver) {
    let pending = Mutex::new(Pending { changes: VecDeque::new(), lost: false });
    let queue = Arc::new(Queue { pending, capacity, filled: Notify::new() });
    (ChangeSender { queue: Arc::clone(&queue), source: 0 }, ChangeReceiver { queue })
}

impl ChangeSender {
    /// A sender into the same queue whose changes carry `source`.
    pub fn for_source(&self, source: u64) -> Self {
        Self { queue: Arc::clone(&self.queue), source }
    }

    /// Whether both put into the same queue.
    pub fn same_queue(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.queue, &other.queue)
    }

    /// Puts a change in; where the queue is full, all of it becomes one resync mark.
    pub(super) fn send(&self, subject: &[u8], queue: Option<&[u8]>, members: usize) {
        let change = self.change(subject, queue, members);
        let mut pending = self.queue.pending.lock();
        if !pending.lost {
            if pending.changes.len() < self.queue.capacity {
                pending.changes.push_back(change);
            } else {
                pending.changes.clear();
                pending.lost = true;
            }
        }
        drop(pending);
        self.queue.filled.notify_one();
    }

    /// A change as this sender puts it.
    pub(super) fn change(&self, subject: &[u8], queue: Option<&[u8]>, members: usize) -> InterestChange {
        InterestChange { source: self.source, subject: subject.into(), queue: queue.map(Into::into), members }
    }
}

impl ChangeReceiver {
    /// What is there, in the order it was put in.
    pub fn try_recv(&mut self) -> Option<Heard> {
        let mut pending = self.queue.pending.lock();
        if std::mem::take(&mut pending.lost) {
            return Some(Heard::Resync);
        }
        pending.changes.pop_front().map(Heard::Change)
    }

    /// Waits for the next news. May be dropped while waiting; nothing is lost.
    pub async fn recv(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.try_recv() {
                return heard;
            }
            self.queue.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_in_order_and_name_their_source() {
        let (sender, mut receiver) = change_queue(8);
        sender.for_source(7).send(b"a", None, 1);
        sender.send(b"b", Some(b"q"), 2);
        let first = InterestChange { source: 7, subject: (*b"a").into(), queue: None, members: 1 };
        assert_eq!(receiver.try_recv(), Some(Heard::Change(first)));
        assert_eq!(receiver.try_recv(), Some(Heard::Change(sender.change(b"b", Some(b"q"), 2))));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn full_queue_becomes_one_resync_mark() {
        let (sender, mut receiver) = change_queue(2);
        (0..5).for_each(|count| sender.send(b"a", None, count));
        assert_eq!(receiver.try_recv(), Some(Heard::Resync));
        assert_eq!(receiver.try_recv(), None);
        sender.send(b"a", None, 0);
        assert_eq!(receiver.try_recv(), Some(Heard::Change(sender.change(b"a", None, 0))));
    }

    #[tokio::test]
    async fn waiting_receiver_is_woken() {
        let (sender, mut receiver) = change_queue(2);
        // The receiver is asked first, finds nothing and waits.
        let (heard, ()) = tokio::join!(receiver.recv(), async { sender.send(b"a", None, 1) });
        assert_eq!(heard, Heard::Change(sender.change(b"a", None, 1)));
    }
}
