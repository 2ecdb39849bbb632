//! Accounts and their limits; knows no connections.

mod state;
mod registry;
mod mapping;

pub use mapping::Mappings;
pub use registry::{GLOBAL_ACCOUNT, Registry, SYSTEM_ACCOUNT};
pub use state::Account;
