//! One message from its origin to its destinations; does not know clients or streams: a destination
//! is a queue with an encoder.

mod message;
mod courier;
mod fanout;
mod apart;
mod services;
mod sampling;
mod latency;
mod run;
mod trace;
mod internal;
mod heartbeats;
mod herald;

pub use courier::Courier;
pub use fanout::{Delivered, Manner};
pub use heartbeats::ACCOUNT_HEARTBEAT;
pub use herald::Herald;
pub use internal::{Internal, Occasion, Post, Reply};
pub use message::{Detail, Message, Origin, Peer};
pub use trace::DeliveryLog;
