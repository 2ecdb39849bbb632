//! Destinations: pending bytes, how a message is written for one, flushing.

mod queue;

pub use queue::Outbound;
