//! Listening, dialling, the PROXY preamble; does not know what the bytes mean.

pub mod transport;
pub mod proxy;
pub mod listen_task;
pub mod advertise;

pub use transport::Transport;
