//! All accounts of a server.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::mapping::Mappings;
use super::state::Account;
use crate::server::config::options::{GLOBAL_ACCOUNT, Options, SYSTEM_ACCOUNT};
use crate::server::interest::SharedInterest;
use crate::server::protocol::transform::TransformError;

/// The accounts by name.
#[derive(Debug)]
pub struct Registry {
    interest: fn() -> SharedInterest,
    global: Arc<Account>,
    system: Arc<Account>,
    /// All but the global account.
    others: ArcSwap<HashMap<Arc<str>, Arc<Account>>>,
}

impl Registry {
    /// The global and the system account, each with an interest made by `interest`.
    pub fn new(interest: fn() -> SharedInterest) -> Self {
        Self::with_system(interest, SYSTEM_ACCOUNT)
    }

    /// The same, with a system account of this name.
    pub fn with_system(interest: fn() -> SharedInterest, system: &str) -> Self {
        let global = Arc::new(Account::new(GLOBAL_ACCOUNT, interest()));
        let system = match system {
            GLOBAL_ACCOUNT => Arc::clone(&global),
            name => Arc::new(Account::new(name, interest())),
        };
        let others = HashMap::from([(Arc::clone(system.name()), Arc::clone(&system))]);
        Self { interest, global, system, others: ArcSwap::from_pointee(others) }
    }

    /// Makes the accounts what the options say. Those that stay keep their identity, and their members.
    ///
    /// # Errors
    /// A mapping that is none; then nothing has changed.
    pub fn configure(&self, options: &Options) -> Result<(), TransformError> {
        let cluster = options.cluster.name.as_deref();
        let mappings = Mappings::new(&options.mappings, cluster)?;
        let of_accounts = options
            .accounts
            .iter()
            .map(|account| Mappings::new(&account.mappings, cluster))
            .collect::<Result<Vec<_>, _>>()?;
        self.global.set_mappings(mappings);
        let mut others = HashMap::from([(Arc::clone(self.system.name()), Arc::clone(&self.system))]);
        for (described, mappings) in options.accounts.iter().zip(of_accounts) {
            let account = self
                .find(&described.name)
                .unwrap_or_else(|| Arc::new(Account::new(&described.name, (self.interest)())));
            account.set_mappings(mappings);
            account.set_limits(described.limits);
            others.insert(Arc::clone(account.name()), account);
        }
        self.others.store(Arc::new(others));
        Ok(())
    }

    /// The account with this name.
    pub fn find(&self, name: &str) -> Option<Arc<Account>> {
        if name == GLOBAL_ACCOUNT {
            return Some(Arc::clone(&self.global));
        }
        self.others.load().get(name).cloned()
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
