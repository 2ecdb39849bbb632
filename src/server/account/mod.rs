//! Accounts: mappings, limits, what they take from each other; knows no connections.

mod common;
mod agenda;
mod trust;
mod claimed;
mod book;
mod connections;
mod figures;
mod state;
mod membership;
mod streams;
mod services;
mod answers;
mod registry;
mod by_claims;
mod mapping;

pub use agenda::Agenda;
pub use answers::{Awaited, Expectation, Measured, Noted};
pub use book::Note;
pub use claimed::{Claimed, described_mappings, permissions};
pub use common::Common;
pub use connections::Connections;
pub use figures::Figures;
pub use mapping::{Mappings, check_mappings};
pub use membership::{AccountFull, Membership};
pub use registry::Registry;
pub use services::{ServiceExport, ServiceImport};
pub use state::Account;
pub use trust::{ClaimsError, Trust};
