//! What one client has sent.

/// Messages and payload bytes that came in.
#[derive(Debug, Default)]
pub(super) struct ClientStats {
    messages: u64,
    payload_bytes: u64,
    /// What of them an account has been told.
    told: (u64, u64),
}

impl ClientStats {
    /// Counts one message.
    #[inline]
    pub(super) fn count(&mut self, payload_bytes: usize) {
        self.messages += 1;
        self.payload_bytes += payload_bytes as u64;
    }

    /// Messages and payload bytes so far.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.messages, self.payload_bytes)
    }

    /// Those since this was asked last.
    pub(super) fn take_untold(&mut self) -> (u64, u64) {
        let (messages, payload_bytes) =
            std::mem::replace(&mut self.told, (self.messages, self.payload_bytes));
        (self.messages - messages, self.payload_bytes - payload_bytes)
    }
}
