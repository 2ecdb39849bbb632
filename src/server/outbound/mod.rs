//! Destinations: pending bytes, how a message is written for one, flushing.

mod chunks;
mod staged;
mod tally;
mod owner;
mod queue;
mod guard;
mod flush;
mod stage;
mod encoder;
mod block;

pub use block::{Addressed, Block};
pub use chunks::Chunks;
pub use encoder::{Outgoing, SharedPayload};
pub use flush::{Flushed, Turn};
pub use guard::{AnswerRule, Answers};
pub use owner::Notices;
pub use queue::{Outbound, OutboundRules, OutboundStats, Standing};
pub use stage::{Aftermath, Behind, Stage};
pub use staged::Staged;
pub use tally::Tally;
