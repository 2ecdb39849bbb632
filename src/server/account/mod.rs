//! Accounts and their limits; knows no connections.

mod state;
mod registry;
mod mapping;

pub use mapping::Mappings;
pub use registry::Registry;
pub use state::{Account, AccountFull, Membership};
