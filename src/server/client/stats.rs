//! What one client has sent.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages and payload bytes that came in. Written by the client's own task only, read by anybody.
#[derive(Debug, Default)]
pub struct ClientStats {
    messages: AtomicU64,
    payload_bytes: AtomicU64,
}

impl ClientStats {
    /// Counts one message.
    pub(super) fn count(&self, payload_bytes: usize) {
        // One writer: a load and a store are enough, and cheaper than a locked addition.
        let add = |counter: &AtomicU64, more: u64| {
            counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        };
        add(&self.messages, 1);
        add(&self.payload_bytes, payload_bytes as u64);
    }

    /// Messages and payload bytes so far.
    pub fn totals(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.payload_bytes.load(Ordering::Relaxed))
    }
}
