//! The server, in layers: a folder imports only folders declared before it.
//!
//! `tests/tidy.rs` holds the same order and fails, with file and line, on an import that points
//! down the list. News travels upwards through queues that the upper layer handed down.

pub mod base;
pub mod protocol;
pub mod config;
pub mod log;
pub mod net;
pub mod outbound;
pub mod interest;
pub mod account;
pub mod delivery;
pub mod conn;
pub mod client;
pub mod run;
