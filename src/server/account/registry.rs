//! All accounts of a server: built from the options, changed by a reload.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::book::Book;
use super::common::Common;
use super::mapping::Mappings;
use super::services::{ServiceExport, ServiceImport, service_exports, service_imports};
use super::state::Account;
use super::streams::stream_imports;
use crate::server::base::clock::Clock;
use crate::server::config::options::{self, GLOBAL_ACCOUNT, Options, SYSTEM_ACCOUNT};
use crate::server::interest::{SharedInterest, StreamImport};
use crate::server::protocol::transform::TransformError;

type ByName = HashMap<Arc<str>, Arc<Account>, foldhash::fast::RandomState>;

/// The accounts by name.
#[derive(Debug)]
pub struct Registry {
    global: Arc<Account>,
    system: Arc<Account>,
    /// Leaf lock, held for a look-up, an insertion, or a copy of all handles.
    by_name: RwLock<ByName>,
    /// Held for a whole update, so that there is one at a time; takes everything that an account has.
    updates: Mutex<()>,
    without_cache: bool,
    common: Arc<Common>,
    /// Claims of accounts. Held while what they, or options, describe is put in force: takes `updates`.
    pub(super) book: Mutex<Book>,
}

impl Registry {
    /// The accounts of `options`, which have been checked. `clock` times requests between them.
    ///
    /// # Errors
    /// A mapping or an import that is none; the reader of the configuration has refused it before.
    pub fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, TransformError> {
        let without_cache = options.no_sublist_cache;
        let common = Arc::new(Common::new(clock));
        let make = |name: &str, is_system: bool| {
            Arc::new(Account::of_server(name, interest(without_cache), &common, is_system))
        };
        // Without a system account nobody finds this one: it stays empty.
        let system_name = options.system_account_name();
        let is_one = system_name == Some(GLOBAL_ACCOUNT);
        let global = make(GLOBAL_ACCOUNT, is_one);
        let system =
            if is_one { Arc::clone(&global) } else { make(system_name.unwrap_or(SYSTEM_ACCOUNT), true) };
        let (by_name, updates) = (RwLock::default(), Mutex::default());
        let book = Mutex::default();
        let registry = Self { global, system, by_name, updates, without_cache, common, book };
        registry.update(options)?;
        Ok(registry)
    }

    /// The account of clients that belong to no other.
    pub fn global(&self) -> &Arc<Account> {
        &self.global
    }

    /// The account in which the server itself speaks.
    pub fn system(&self) -> &Arc<Account> {
        &self.system
    }

    /// What all accounts share.
    pub fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// The account of this name.
    pub fn find(&self, name: &str) -> Option<Arc<Account>> {
        self.by_name.read().get(name).cloned()
    }

    /// Every account, in no order that means anything.
    pub fn all(&self) -> Vec<Arc<Account>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Makes the accounts what `options` describe. Those that stay keep their identity; those that are
    /// not there any more are marked and given out: their clients are to be closed.
    ///
    /// # Errors
    /// A mapping or an import that is none; nothing has changed.
    pub fn update(&self, options: &Options) -> Result<Vec<Arc<Account>>, TransformError> {
        // An account that claims describe is not known as one before all of the change is in force.
        let _no_claims_change = self.book.lock();
        let _one_at_a_time = self.updates.lock();
        let described = self.described(options);
        let plans = self.plans(described.iter().map(AsRef::as_ref), options.cluster.name.as_deref())?;
        let imports = self.imports(&plans)?;
        // Accounts that claims describe are no business of the options.
        let claimed = self.all().into_iter().filter(|account| account.claimed().is_some());
        let staying = plans.iter().map(|plan| Arc::clone(&plan.account)).chain(claimed);
        let staying: ByName = staying.map(|account| (Arc::clone(account.name()), account)).collect();
        carry_out(plans, imports);
        let old = std::mem::replace(&mut *self.by_name.write(), staying.clone());
        let gone: Vec<_> = old.into_values().filter(|old| !staying.contains_key(old.name())).collect();
        gone.iter().for_each(|account| account.part());
        Ok(gone)
    }

    /// Makes accounts what these descriptions say, and leaves the others as they are. What they import of
    /// must be among them or here already.
    ///
    /// # Errors
    /// A mapping or an import that is none; nothing has changed.
    pub fn put(&self, described: &[options::Account], cluster: Option<&str>) -> Result<(), TransformError> {
        let _one_at_a_time = self.updates.lock();
        let plans = self.plans(described.iter(), cluster)?;
        let imports = self.imports(&plans)?;
        let mut by_name = self.by_name.write();
        for plan in &plans {
            by_name.insert(Arc::clone(plan.account.name()), Arc::clone(&plan.account));
        }
        drop(by_name);
        carry_out(plans, imports);
        Ok(())
    }

    /// Takes an account out: its clients are to be closed.
    pub fn remove(&self, name: &str) -> Option<Arc<Account>> {
        let _one_at_a_time = self.updates.lock();
        let account = self.by_name.write().remove(name)?;
        account.part();
        Some(account)
    }

    /// What the options say of accounts that no claims describe. The server's own are among them whether the
    /// options name them or not.
    fn described<'o>(&self, options: &'o Options) -> Vec<Cow<'o, options::Account>> {
        let named = |name: &Arc<str>| options::Account { name: name.to_string(), ..Default::default() };
        let global = options::Account { mappings: options.mappings.clone(), ..named(self.global.name()) };
        let is_apart = options.system_account_name().is_some() && !Arc::ptr_eq(&self.system, &self.global);
        let own = [is_apart.then(|| named(self.system.name())), Some(global)].into_iter().flatten();
        let unnamed = own.filter(|own| options.accounts.iter().all(|other| other.name != own.name));
        let all = unnamed.map(Cow::Owned).chain(options.accounts.iter().map(Cow::Borrowed));
        let is_claimed = |name: &str| self.present(name).is_some_and(|account| account.claimed().is_some());
        all.filter(|described| !is_claimed(&described.name)).collect()
    }

    fn plans<'o>(
        &self,
        described: impl Iterator<Item = &'o options::Account>,
        cluster: Option<&str>,
    ) -> Result<Vec<Plan<'o>>, TransformError> {
        let plan = |described: &'o options::Account| {
            let account = self.present(&described.name).unwrap_or_else(|| self.make(&described.name));
            let mappings = Mappings::new(&described.mappings, cluster)?;
            Ok(Plan { account, described, mappings, exports: service_exports(described) })
        };
        described.map(plan).collect()
    }

    /// What the planned accounts import, of each other and of accounts that are here.
    fn imports(&self, plans: &[Plan<'_>]) -> Result<Vec<Imports>, TransformError> {
        let by_name: HashMap<&str, &Plan<'_>> =
            plans.iter().map(|plan| (&**plan.account.name(), plan)).collect();
        let mut all = Vec::with_capacity(plans.len());
        for plan in plans {
            // The exporters that are not planned, with what they offer.
            let mut present = HashMap::new();
            for import in &plan.described.imports {
                let name = import.account.as_str();
                if !by_name.contains_key(name)
                    && let Some(account) = self.find(name)
                {
                    let offers = account.offers();
                    present.insert(name, (account, offers));
                }
            }
            all.push(Imports {
                streams: stream_imports(plan.described, |name| match by_name.get(name) {
                    Some(plan) => Some(Arc::clone(&plan.account)),
                    None => present.get(name).map(|(account, _)| Arc::clone(account)),
                })?,
                services: service_imports(plan.described, |name| match by_name.get(name) {
                    Some(plan) => Some((Arc::clone(&plan.account), plan.exports.as_slice())),
                    None => {
                        present.get(name).map(|(account, offers)| (Arc::clone(account), offers.as_slice()))
                    }
                })?,
            });
        }
        Ok(all)
    }

    /// The account of this name; the system account also before it can be found.
    fn present(&self, name: &str) -> Option<Arc<Account>> {
        let own = [&self.global, &self.system].into_iter().find(|own| &**own.name() == name);
        own.cloned().or_else(|| self.find(name))
    }

    fn make(&self, name: &str) -> Arc<Account> {
        Arc::new(Account::of_server(name, interest(self.without_cache), &self.common, false))
    }
}

/// What one account is to become.
struct Plan<'o> {
    account: Arc<Account>,
    described: &'o options::Account,
    mappings: Mappings,
    exports: Vec<Arc<ServiceExport>>,
}

/// What one account is to import.
struct Imports {
    streams: Vec<StreamImport>,
    services: Vec<ServiceImport>,
}

fn carry_out(plans: Vec<Plan<'_>>, imports: Vec<Imports>) {
    for (plan, imports) in plans.into_iter().zip(imports) {
        plan.account.set_offers(plan.exports);
        plan.account.interest().set_imports(imports.streams);
        plan.account.set_services(imports.services);
        plan.account.set_limits(plan.described.limits);
        plan.account.set_mappings(plan.mappings);
    }
}

fn interest(without_cache: bool) -> SharedInterest {
    if without_cache { SharedInterest::without_cache() } else { SharedInterest::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::SystemClock;
    use crate::server::config::options::{Import, ImportKind};

    fn described(names: &[&str]) -> Options {
        let account =
            |name: &&str| options::Account { name: (*name).to_owned(), ..options::Account::default() };
        Options { accounts: names.iter().map(account).collect(), ..Options::default() }
    }

    fn registry_of(options: &Options) -> Registry {
        Registry::new(options, Arc::new(SystemClock::new())).unwrap()
    }

    #[test]
    fn accounts_that_stay_are_the_same_after_a_reload_and_the_others_part() {
        let registry = registry_of(&described(&["A", "B"]));
        let (a, b) = (registry.find("A").unwrap(), registry.find("B").unwrap());
        let gone = registry.update(&described(&["A", "C"])).unwrap();
        assert!(gone.len() == 1 && Arc::ptr_eq(&gone[0], &b) && b.is_removed() && !a.is_removed());
        assert!(Arc::ptr_eq(&registry.find("A").unwrap(), &a));
        assert!(registry.find("B").is_none() && registry.find("C").is_some());
    }

    #[test]
    fn global_and_system_account_are_always_there_unless_there_is_to_be_no_system() {
        let registry = registry_of(&Options::default());
        assert!(Arc::ptr_eq(&registry.find("$G").unwrap(), registry.global()));
        assert!(Arc::ptr_eq(&registry.find("$SYS").unwrap(), registry.system()));
        assert!(registry.system().is_system() && !registry.global().is_system());
        let without = Options { no_system_account: true, ..described(&["A"]) };
        let registry = registry_of(&without);
        assert!(registry.find("$SYS").is_none() && registry.find("A").is_some());
        let named = Options { system_account: Some("A".into()), ..described(&["A"]) };
        let registry = registry_of(&named);
        assert!(Arc::ptr_eq(&registry.find("A").unwrap(), registry.system()));
    }

    #[test]
    fn import_that_is_none_changes_nothing() {
        let registry = registry_of(&described(&["A"]));
        let mut wrong = described(&["A", "B"]);
        let to = Some("b.$3".to_owned());
        let kind = ImportKind::Stream { prefix: None, to, allow_trace: false };
        wrong.accounts[1].imports.push(Import { account: "A".into(), subject: "a.*".into(), kind });
        assert!(registry.update(&wrong).is_err());
        assert!(registry.find("B").is_none());
    }
}
