//! Counts of messages that several destinations share: those of one account.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages and their payload bytes. On a cache line of its own: all workers add to it, a batch at a time.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Tally {
    messages: AtomicU64,
    payload_bytes: AtomicU64,
}

impl Tally {
    /// Counts a batch.
    #[inline]
    pub fn add(&self, messages: u64, payload_bytes: u64) {
        if messages != 0 {
            self.messages.fetch_add(messages, Ordering::Relaxed);
            self.payload_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
        }
    }

    /// Messages and payload bytes so far.
    pub fn totals(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.payload_bytes.load(Ordering::Relaxed))
    }
}
