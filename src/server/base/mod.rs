//! Time, chance, buffers and data structures; knows nothing of NATS.

pub mod clock;
pub mod duration;
pub mod rng;
pub mod size;
pub mod base64;
pub mod pem;
pub mod io_text;
pub mod quote;
pub mod name_hash;
pub mod url;
pub mod buffer;
pub mod inbox;
pub mod timers;
pub mod timer_task;
