//! Destinations: pending bytes, how a message is written for one, flushing.

mod chunks;
mod staged;
mod queue;
mod flush;
mod stage;
mod encoder;

pub use chunks::Chunks;
pub use encoder::{Outgoing, SharedPayload};
pub use flush::{Flushed, Turn};
pub use queue::{Notices, Outbound, OutboundStats, PendingLimits};
pub use stage::{Behind, Stage};
pub use staged::Staged;
