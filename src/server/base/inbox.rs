//! A bounded, counted queue towards one task: anybody puts in, nobody waits for room.
//!
//! Whoever has news for a task that is not a connection puts it here. A full inbox gives the item
//! back and counts it as lost: what a loss means is for its user to say.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Items on their way to one task. A leaf lock, held for a push or a pop.
pub struct Inbox<T> {
    capacity: usize,
    items: Mutex<VecDeque<T>>,
    lost: AtomicU64,
    came: Notify,
}

impl<T> Inbox<T> {
    /// An empty inbox that holds up to `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, items: Mutex::default(), lost: AtomicU64::new(0), came: Notify::new() }
    }

    /// Puts `item` in and wakes the task.
    ///
    /// # Errors
    /// The item, where the inbox is full; it is counted.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut items = self.items.lock();
        if items.len() >= self.capacity {
            drop(items);
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(item);
        }
        items.push_back(item);
        drop(items);
        self.came.notify_one();
        Ok(())
    }

    /// The oldest item, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        self.items.lock().pop_front()
    }

    /// The oldest item; completes when there is one. For one task at a time.
    pub async fn pop(&self) -> T {
        loop {
            let came = self.came.notified();
            if let Some(item) = self.try_pop() {
                return item;
            }
            came.await;
        }
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.items.lock().len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items given back because the inbox was full.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for Inbox<T> {
    /// Never the items: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("len", &self.len()).field("lost", &self.lost()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_inbox_gives_the_item_back_and_counts_it() {
        let inbox = Inbox::new(2);
        assert_eq!([inbox.push(1), inbox.push(2), inbox.push(3)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!((inbox.try_pop(), inbox.len(), inbox.lost()), (Some(1), 1, 1));
        assert_eq!(inbox.push(4), Ok(()));
    }

    #[tokio::test]
    async fn waiting_task_gets_what_comes() {
        let inbox = Inbox::new(8);
        let sends = async {
            inbox.push("one").unwrap();
            tokio::task::yield_now().await;
            inbox.push("two").unwrap();
        };
        let (got, ()) = tokio::join!(async { [inbox.pop().await, inbox.pop().await] }, sends);
        assert_eq!(got, ["one", "two"]);
    }
}
