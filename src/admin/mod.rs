//! What an operator does to a running server, over NATS and HTTP.
