//! Levels, files, syslog and the exact line format; does not know who logs.
//!
//! [`Logger`] is what everybody holds: cheap to clone, cheap when a level is off. Lines go into one
//! bounded queue and one thread writes them ([`task`]), so that no connection waits for a disk.

pub mod level;
pub mod line;
pub mod trace_line;
pub mod limit;
pub mod queue;
pub mod logger;
pub mod file;
pub mod syslog;
pub mod task;
pub mod settings;

pub use file::Rotation;
pub use level::{Level, Levels};
pub use line::{Format, Stamp};
pub use logger::{Logger, Recorder};
pub use task::{LogError, LogThread, Settings, Target, start};
