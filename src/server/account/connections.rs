//! How many clients an account has on this server, and how many it may have.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts an account's client connections. Who is admitted is released when it goes.
#[derive(Debug)]
pub struct Connections {
    count: AtomicUsize,
    max: AtomicUsize,
}

impl Default for Connections {
    /// Nobody there, no maximum.
    fn default() -> Self {
        Self { count: AtomicUsize::new(0), max: AtomicUsize::new(usize::MAX) }
    }
}

impl Connections {
    /// Counts one more, unless there are as many as there may be; says whether it did.
    pub fn admit(&self) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let more = |count: usize| (count < max).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// One that was admitted is gone.
    pub fn release(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether one more would be admitted now.
    pub fn has_room(&self) -> bool {
        self.count() < self.max.load(Ordering::Relaxed)
    }

    /// Those that are there.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are more than there may be: the maximum has been lowered.
    pub fn are_too_many(&self) -> bool {
        self.count() > self.max.load(Ordering::Relaxed)
    }

    /// How many there may be; those that are there stay.
    pub(super) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_maximum_are_admitted() {
        let connections = Connections::default();
        connections.set_max(2);
        assert_eq!([(); 3].map(|()| connections.admit()), [true, true, false]);
        connections.release();
        assert!(connections.admit());
        assert_eq!(connections.count(), 2);
    }

    #[test]
    fn lower_maximum_lets_those_stay_who_are_there() {
        let connections = Connections::default();
        assert!(connections.admit() && connections.admit());
        connections.set_max(1);
        assert_eq!((connections.count(), connections.admit()), (2, false));
    }
}
