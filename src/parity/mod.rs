//! Rows of differences.md, their evidence, and conversation scripts played against any server.
//!
//! A server is seen from outside only: through its socket, its log and its exit status.

#![expect(
    clippy::disallowed_methods,
    reason = "this part stands outside the server: it reads files and the clock itself"
)]

pub mod rows;
pub mod evidence;
pub mod report;
pub mod update;
pub mod pattern;
pub mod script;
pub mod host;
pub mod player;
pub mod diff;
mod command;

pub use command::{command, run};
