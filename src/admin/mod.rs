//! What an operator does to a running server, over NATS and HTTP.

pub mod bench;
