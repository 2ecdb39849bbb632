//! Accounts whose connections are told of again although nothing changes: each half a minute after
//! it was last told of, while it has connections.
//!
//! A machine: it is told what was announced, and asked what is due. An account stands in the queue
//! once, where it was due when it was put in; one that was announced since then is put back when it
//! comes up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::server::account::Account;
use crate::server::base::clock::Timestamp;

/// Silence after which an account's connections are told of again. Reference: 30 s.
pub const ACCOUNT_HEARTBEAT: Duration = Duration::from_secs(30);

/// The accounts that wait for their next heartbeat. A leaf lock, held for a push or a pop.
#[derive(Debug, Default)]
pub(super) struct Heartbeats {
    waiting: Mutex<Waiting>,
    began: Notify,
}

/// Accounts by when they are due, and in which order they came.
#[derive(Debug, Default)]
struct Waiting {
    accounts: BTreeMap<(Timestamp, u64), Arc<Account>>,
    next: u64,
}

impl Heartbeats {
    /// The connections of `account` were told of `now`.
    pub(super) fn announced(&self, account: &Arc<Account>, now: Timestamp) {
        let figures = account.figures();
        if account.connections().count() == 0 {
            figures.rest();
        } else if figures.announce(now) {
            self.push(now + ACCOUNT_HEARTBEAT, account);
        }
    }

    /// An account that is due; it is to be announced then.
    pub(super) fn pop(&self, now: Timestamp) -> Option<Arc<Account>> {
        loop {
            let account = {
                let mut waiting = self.waiting.lock();
                let first = waiting.accounts.first_entry().filter(|first| first.key().0 <= now)?;
                first.remove()
            };
            let figures = account.figures();
            match figures.next_announcement(ACCOUNT_HEARTBEAT) {
                Some(due) if due <= now => {
                    figures.leave_queue();
                    return Some(account);
                }
                Some(due) => self.push(due, &account),
                None => {
                    figures.leave_queue();
                    // Whoever announced meanwhile found it in the queue.
                    if let Some(due) = figures.next_announcement(ACCOUNT_HEARTBEAT)
                        && figures.enter_queue()
                    {
                        self.push(due, &account);
                    }
                }
            }
        }
    }

    /// When somebody may be due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.waiting.lock().accounts.first_key_value().map(|((due, _), _)| *due)
    }

    /// Completes when the queue is no longer empty.
    pub(super) async fn began(&self) {
        self.began.notified().await;
    }

    fn push(&self, due: Timestamp, account: &Arc<Account>) {
        let mut waiting = self.waiting.lock();
        let key = (due, waiting.next);
        waiting.next += 1;
        waiting.accounts.insert(key, Arc::clone(account));
        if waiting.accounts.len() == 1 {
            self.began.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::interest::SharedInterest;

    fn account(name: &str, connections: usize) -> Arc<Account> {
        let account = Arc::new(Account::new(name, SharedInterest::new()));
        (0..connections).for_each(|_| assert!(account.connections().admit()));
        account
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(1) + Duration::from_secs(seconds)
    }

    fn due(beats: &Heartbeats, seconds: u64) -> Vec<String> {
        std::iter::from_fn(|| beats.pop(at(seconds))).map(|account| account.name().to_string()).collect()
    }

    #[test]
    fn account_is_due_half_a_minute_after_its_last_announcement() {
        let (beats, one, two) = (Heartbeats::default(), account("one", 1), account("two", 1));
        beats.announced(&one, at(0));
        beats.announced(&two, at(1));
        beats.announced(&one, at(10));
        assert_eq!((beats.next(), due(&beats, 29)), (Some(at(30)), vec![]));
        assert_eq!(due(&beats, 31), ["two"]);
        beats.announced(&two, at(31));
        assert_eq!(due(&beats, 40), ["one"]);
        assert_eq!((beats.next(), due(&beats, 60)), (Some(at(61)), vec![]));
        assert_eq!(due(&beats, 61), ["two"]);
    }

    #[test]
    fn account_that_was_put_back_is_not_late() {
        let (beats, one, two) = (Heartbeats::default(), account("one", 1), account("two", 1));
        beats.announced(&one, at(0));
        beats.announced(&one, at(1));
        beats.announced(&two, at(28));
        assert_eq!((due(&beats, 30), beats.next()), (vec![], Some(at(31))));
        assert_eq!(due(&beats, 31), ["one"]);
    }

    #[test]
    fn account_without_connections_rests_and_stands_in_the_queue_once() {
        let (beats, one) = (Heartbeats::default(), account("one", 1));
        for second in 0..5 {
            beats.announced(&one, at(second));
            one.connections().release();
            beats.announced(&one, at(second));
            assert!(one.connections().admit());
        }
        assert_eq!(beats.waiting.lock().accounts.len(), 1);
        one.connections().release();
        assert_eq!(due(&beats, 100), Vec::<String>::new());
        assert_eq!(beats.next(), None);
    }
}
