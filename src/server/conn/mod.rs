//! What every connection shares: reading, writing, ping, closing; does not know what kind it is.

mod session;
mod context;
mod table;
mod ping;
mod slow;
mod worker;
mod input;
mod handshake_rate;
mod tls_gate;
pub mod handshake_rate_task;
pub mod opening_task;
pub mod read_task;
mod write_task;
mod verify_task;
mod consult_task;

pub use consult_task::Consultations;
pub use context::Context;
pub use ping::{Ping, PingAction, PingRules};
pub use session::{Consumed, Session};
pub use slow::SlowConsumers;
pub use table::Table;
pub use tls_gate::TlsGate;
pub use verify_task::Verifiers;
pub use worker::lend_courier;
