//! Accounts and their limits; knows no connections.

mod connections;
mod state;
mod figures;
mod registry;
mod mapping;

pub use connections::Connections;
pub use figures::Figures;
pub use mapping::Mappings;
pub use registry::Registry;
pub use state::Account;
