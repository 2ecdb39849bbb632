//! Time, chance, buffers and data structures; knows nothing of NATS.

pub mod clock;
