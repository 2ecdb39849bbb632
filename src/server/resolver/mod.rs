//! Where account claims are kept and fetched; does not know what claims mean.
//!
//! Four kinds ([`Kind`]): `MEMORY`, `URL`, and the directories `FULL` and `CACHE`, whose files one thread owns
//! ([`store_task`]). [`lookups`] joins those who want the same account; [`requests`] is what can be asked
//! over the system account.

pub mod key;
pub mod stamp;
pub mod index;
pub mod disk;
pub mod store;
pub mod pack;
pub mod kind;
pub mod store_task;
pub mod mem;
pub mod url;
pub mod lookups;
pub mod requests;
pub mod heads;
pub mod desk;
pub mod ask;
#[cfg(test)]
mod simulated;

pub use ask::{Call, ClaimSource, Waiter};
pub use desk::{Action, Desk, Event};
pub use key::AccountKey;
pub use kind::{Keeping, Kind};
pub use lookups::FetchError;
