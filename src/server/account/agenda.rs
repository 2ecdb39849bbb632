//! Which accounts have requests that may be overdue, and when to look at them.
//!
//! A request notes its account only where that is not noted for an earlier moment already: with requests
//! that are answered in time, that is once a threshold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::state::Account;
use crate::server::base::clock::Timestamp;

/// Accounts by when to look at them.
#[derive(Default)]
pub struct Agenda {
    /// Leaf lock, held for an insertion or a split.
    noted: Mutex<Noted>,
    earlier: Notify,
}

#[derive(Default)]
struct Noted {
    by_moment: BTreeMap<(Timestamp, u64), Weak<Account>>,
    next: u64,
}

/// For when an account is noted; [`u64::MAX`] where it is not.
#[derive(Debug)]
pub(super) struct Note(AtomicU64);

impl Default for Note {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Note {
    /// Whether `at` is earlier than what is noted, which it is from now on.
    pub(super) fn is_earlier(&self, at: Timestamp) -> bool {
        // Most requests come while an earlier one is noted: a look is enough.
        self.0.load(Ordering::Acquire) > at.nanos()
            && self.0.fetch_min(at.nanos(), Ordering::AcqRel) > at.nanos()
    }
}

impl Agenda {
    /// Notes that `account` is to be looked at by `at`.
    pub(super) fn note(&self, account: &Arc<Account>, at: Timestamp) {
        if !account.note().is_earlier(at) {
            return;
        }
        let mut noted = self.noted.lock();
        let number = noted.next;
        noted.next += 1;
        noted.by_moment.insert((at, number), Arc::downgrade(account));
        let is_first = noted.by_moment.first_key_value().is_some_and(|(first, _)| *first == (at, number));
        drop(noted);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// When to look next.
    pub fn next(&self) -> Option<Timestamp> {
        self.noted.lock().by_moment.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Completes when something is noted for an earlier moment than all before.
    pub async fn earlier_noted(&self) {
        self.earlier.notified().await;
    }

    /// The accounts that are to be looked at by `now`; whoever takes them looks, see
    /// [`Account::take_overdue`].
    pub fn take_due(&self, now: Timestamp) -> Vec<Arc<Account>> {
        let due = {
            let mut noted = self.noted.lock();
            let end = (Timestamp::from_nanos(now.nanos().saturating_add(1)), 0);
            let later = noted.by_moment.split_off(&end);
            std::mem::replace(&mut noted.by_moment, later)
        };
        let accounts: Vec<_> = due.into_values().filter_map(|account| account.upgrade()).collect();
        accounts.iter().for_each(|account| account.note().0.store(u64::MAX, Ordering::Release));
        accounts
    }
}

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda").field("next", &self.next()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::interest::SharedInterest;

    fn at(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn account_is_noted_once_for_the_earliest_moment_and_again_after_a_look() {
        let agenda = Agenda::default();
        let [one, other] = ["A", "B"].map(|name| Arc::new(Account::new(name, SharedInterest::new())));
        agenda.note(&one, at(20));
        agenda.note(&one, at(30));
        agenda.note(&other, at(40));
        assert_eq!(agenda.next(), Some(at(20)));
        let due = agenda.take_due(at(30));
        assert!(due.len() == 1 && Arc::ptr_eq(&due[0], &one));
        assert_eq!(agenda.next(), Some(at(40)));
        agenda.note(&one, at(35));
        agenda.note(&one, at(32));
        assert_eq!(agenda.next(), Some(at(32)));
        drop(other);
        assert_eq!(agenda.take_due(at(50)).len(), 2, "noted twice, and one is gone");
        assert_eq!(agenda.next(), None);
    }
}
