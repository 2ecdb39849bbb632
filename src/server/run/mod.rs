//! Builds everything, wires it, reloads it, stops it; does not know protocol details.

pub mod version;
mod server;
mod accept;
mod certificate_task;
mod staple_task;
mod ocsp_cache_task;
mod tls;
mod start;
mod builder;
mod lame_duck;
mod stop;
mod reload;
mod heartbeat_task;
mod resolver;
mod resolver_task;
mod claimed_accounts;
mod claims_task;
mod overdue_task;
mod request_task;
pub mod banner;
mod ports;
mod files;
pub mod signal;

pub use builder::Builder;
pub use files::called_by;
pub use ports::fuzz_own_addresses;
pub use reload::ReloadError;
pub use server::{Life, ReloadOrder, Server};
pub use start::{Prepared, StartError};
pub use version::{GIT_COMMIT, REFERENCE as REFERENCE_VERSION};
