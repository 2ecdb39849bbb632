//! One account: who in it subscribed to what, and where its messages are sent on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::mapping::Mappings;
use crate::server::config::options::AccountLimits;
use crate::server::base::clock::Timestamp;
use crate::server::base::rng::Rng;
use crate::server::interest::SharedInterest;

/// A name space of subjects: messages stay inside, unless exported and imported.
#[derive(Debug)]
pub struct Account {
    name: Arc<str>,
    interest: Arc<SharedInterest>,
    /// When a client at its limit of subscriptions was last reported; nanoseconds.
    limit_reported: AtomicU64,
    mappings: ArcSwapOption<Mappings>,
    /// Whether there are mappings. Every message asks, and a look at them costs as much as its parsing.
    is_mapped: AtomicBool,
    limits: ArcSwap<AccountLimits>,
    /// Client connections.
    connections: AtomicUsize,
}

/// How often the log says that a client is at its limit of subscriptions. Reference: 2 s an account.
const LIMIT_REPORT_INTERVAL: Duration = Duration::from_secs(2);

impl Account {
    /// An account without subscriptions.
    pub fn new(name: &str, interest: SharedInterest) -> Self {
        Self {
            name: name.into(),
            interest: Arc::new(interest),
            limit_reported: AtomicU64::new(0),
            mappings: ArcSwapOption::empty(),
            is_mapped: AtomicBool::new(false),
            limits: ArcSwap::default(),
            connections: AtomicUsize::new(0),
        }
    }

    /// Puts other limits in force. Who is in it already looks at them when told to.
    pub fn set_limits(&self, limits: AccountLimits) {
        self.limits.store(Arc::new(limits));
    }

    /// What its members may use.
    pub fn limits(&self) -> AccountLimits {
        **self.limits.load()
    }

    /// Client connections that belong to it.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn connections_max(&self) -> usize {
        let max = self.limits().max_connections;
        max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX)
    }

    /// The account's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is time to report a client at its limit of subscriptions; counts as reported.
    pub fn reports_subscription_limit(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_nanos(self.limit_reported.load(Ordering::Relaxed));
        let due = now.since(last) >= LIMIT_REPORT_INTERVAL;
        if due {
            self.limit_reported.store(now.nanos(), Ordering::Relaxed);
        }
        due
    }

    /// Puts other subject mappings in force.
    pub fn set_mappings(&self, mappings: Mappings) {
        let is_mapped = !mappings.is_empty();
        self.mappings.store(is_mapped.then(|| Arc::new(mappings)));
        self.is_mapped.store(is_mapped, Ordering::Release);
    }

    /// Where a message to `subject` goes, if not there; see [`Mappings::map`].
    #[inline]
    pub fn map(&self, subject: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        if !self.is_mapped.load(Ordering::Acquire) {
            return None;
        }
        self.mappings.load().as_ref()?.map(subject, rng)
    }

    /// Its subscriptions.
    pub fn interest(&self) -> &Arc<SharedInterest> {
        &self.interest
    }
}

/// A client connection's place in its account, counted until it ends.
#[derive(Debug)]
pub struct Membership {
    account: Arc<Account>,
    counts: bool,
}

/// The account has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFull;

impl Membership {
    /// A place in `account`.
    ///
    /// # Errors
    /// There is none left.
    pub fn enter(account: &Arc<Account>) -> Result<Self, AccountFull> {
        let max = account.connections_max();
        let entered = account.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < max).then_some(count + 1)
        });
        entered.map(|_| Self { account: Arc::clone(account), counts: true }).map_err(|_| AccountFull)
    }

    /// A place in `account` that nobody counts.
    pub fn uncounted(account: &Arc<Account>) -> Self {
        Self { account: Arc::clone(account), counts: false }
    }

    /// Moves to `account`, which may be the same: then it is looked at whether the place still stands.
    ///
    /// # Errors
    /// There is no place left; the one it had is kept.
    pub fn move_to(&mut self, account: &Arc<Account>) -> Result<(), AccountFull> {
        if self.counts && Arc::ptr_eq(&self.account, account) {
            let stands = account.connections() <= account.connections_max();
            return if stands { Ok(()) } else { Err(AccountFull) };
        }
        *self = Self::enter(account)?;
        Ok(())
    }

    /// Gives the place back, while the account is still known.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.counts) {
            self.account.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl std::ops::Deref for Membership {
    type Target = Arc<Account>;

    fn deref(&self) -> &Self::Target {
        &self.account
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(max_connections: Option<i32>) -> Arc<Account> {
        let account = Account::new("A", SharedInterest::new());
        account.set_limits(AccountLimits { max_connections, ..AccountLimits::default() });
        Arc::new(account)
    }

    #[test]
    fn an_account_takes_as_many_connections_as_it_may() {
        let (account, other) = (account(Some(1)), account(None));
        let mut first = Membership::enter(&account).unwrap();
        let mut second = Membership::enter(&other).unwrap();
        assert!(second.move_to(&account).is_err());
        assert_eq!((account.connections(), other.connections()), (1, 1));
        first.end();
        first.end();
        assert!(second.move_to(&account).is_ok() && second.move_to(&account).is_ok());
        assert_eq!((account.connections(), other.connections()), (1, 0));
        account.set_limits(AccountLimits { max_connections: Some(0), ..AccountLimits::default() });
        assert!(second.move_to(&account).is_err());
        drop(second);
        assert_eq!(account.connections(), 0);
    }
}
