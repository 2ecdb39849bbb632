//! Deadlines of all tasks of one server: a deadline and the task to wake.
//!
//! A task that waits for its own deadline would carry a timer of its own, some 100 bytes each; here
//! it costs an entry while it is armed. Waking early or twice is allowed: whoever is woken looks at
//! its clock. `timer_task` drives this.

use std::collections::BTreeMap;
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::clock::Timestamp;

/// One armed deadline; needed to take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerKey {
    at: Timestamp,
    id: u64,
}

/// All armed deadlines. A leaf lock, held for one insert, removal or split.
#[derive(Debug, Default)]
pub struct Timers {
    armed: Mutex<Armed>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Armed {
    wakers: BTreeMap<TimerKey, Waker>,
    next_id: u64,
}

impl Timers {
    /// Wakes `waker` once `at` has come.
    pub fn arm(&self, at: Timestamp, waker: Waker) -> TimerKey {
        let (key, first) = {
            let mut armed = self.armed.lock();
            let key = TimerKey { at, id: armed.next_id };
            armed.next_id += 1;
            armed.wakers.insert(key, waker);
            (key, armed.wakers.first_key_value().is_some_and(|(first, _)| *first == key))
        };
        if first {
            self.earlier.notify_one();
        }
        key
    }

    /// Takes a deadline back; nothing happens where it has fired.
    pub fn cancel(&self, key: TimerKey) {
        self.armed.lock().wakers.remove(&key);
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Timestamp> {
        self.armed.lock().wakers.first_key_value().map(|(key, _)| key.at)
    }

    /// Wakes everybody whose deadline is `now` or earlier.
    pub fn fire(&self, now: Timestamp) {
        let due = {
            let mut armed = self.armed.lock();
            let end = TimerKey { at: Timestamp::from_nanos(now.nanos().saturating_add(1)), id: 0 };
            let later = armed.wakers.split_off(&end);
            std::mem::replace(&mut armed.wakers, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Completes when an earlier deadline than all before has been armed.
    pub async fn earlier_armed(&self) {
        self.earlier.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn fires_what_is_due_and_keeps_the_rest() {
        let (timers, count) = (Timers::default(), Arc::new(Count::default()));
        timers.arm(at(10), Arc::clone(&count).into());
        timers.arm(at(20), Arc::clone(&count).into());
        timers.fire(at(10));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(timers.next(), Some(at(20)));
    }

    #[test]
    fn cancelled_deadline_wakes_nobody() {
        let (timers, count) = (Timers::default(), Arc::new(Count::default()));
        let key = timers.arm(at(10), Arc::clone(&count).into());
        timers.cancel(key);
        timers.fire(at(10));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert_eq!(timers.next(), None);
    }
}
