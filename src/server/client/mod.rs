//! The client protocol; does not know routes, gateways and leaf nodes.

mod context;
mod sids;
mod stats;
mod profile;
mod session;
mod connect;
mod access;
mod consult;
mod changed_claims;
pub mod reserved;
mod subscribe;
mod publish;
mod peer;
mod announce;
mod trace;

pub use context::ClientContext;
pub use session::ClientSession;
