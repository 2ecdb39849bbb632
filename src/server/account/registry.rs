//! All accounts of a server.

use std::sync::Arc;

use super::state::Account;
use crate::server::config::options::{GLOBAL_ACCOUNT, SYSTEM_ACCOUNT};
use crate::server::interest::SharedInterest;

/// The accounts by name.
#[derive(Debug)]
pub struct Registry {
    global: Arc<Account>,
    system: Arc<Account>,
}

impl Registry {
    /// The global and the system account, each with an interest made by `interest`.
    pub fn new(interest: impl Fn() -> SharedInterest) -> Self {
        Self {
            global: Arc::new(Account::new(GLOBAL_ACCOUNT, interest())),
            system: Arc::new(Account::new(SYSTEM_ACCOUNT, interest())),
        }
    }

    /// The account of clients that belong to no other.
    pub fn global(&self) -> &Arc<Account> {
        &self.global
    }

    /// The account in which the server itself speaks.
    pub fn system(&self) -> &Arc<Account> {
        &self.system
    }
}
