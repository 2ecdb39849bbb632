//! One destination's pending bytes.

/// What a subscription points to: the queue of one connection or of one internal receiver.
#[derive(Debug)]
pub struct Outbound {
    id: u64,
}

impl Outbound {
    /// A destination that is connected to nothing; `id` is the connection id.
    pub fn detached(id: u64) -> Self {
        Self { id }
    }

    /// The connection id.
    pub fn id(&self) -> u64 {
        self.id
    }
}
