//! The server, in layers: a folder imports only earlier ones.
//!
//! `tests/tidy.rs` holds the same order and fails, with file and line, on an import of a later layer. News for
//! a later layer travels through a queue that this one handed to the earlier.

pub mod base;
pub mod protocol;
pub mod jwt;
pub mod config;
pub mod log;
pub mod net;
pub mod outbound;
pub mod interest;
pub mod events;
pub mod account;
pub mod auth;
pub mod delivery;
pub mod resolver;
pub mod conn;
pub mod client;
pub mod run;
