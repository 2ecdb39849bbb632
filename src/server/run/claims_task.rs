//! The task that brings accounts into use by their claims, and ends what is over in them (operator mode).

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::timeout;

use super::claimed_accounts::{self, Search};
use crate::server::auth::Wanted;
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::client::ClientContext;

/// Look-ups that wait for the task.
pub(super) const WANTED_MAX: usize = 4096;
/// Time between two attempts to find the claims of the system account. Reference: 1 s.
const SYSTEM_RETRY: Duration = Duration::from_secs(1);
/// Longest time between two looks for what is over; claims that come in between may be over before.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until nobody can ask any more. `awaits_system` says that an account stands in for the system account.
pub(super) async fn run(context: Arc<ClientContext>, wanted: mpsc::Receiver<Wanted>, awaits_system: bool) {
    Task {
        context,
        wanted,
        awaits_system,
        waiting: HashMap::new(),
        searches: JoinSet::new(),
        searched: HashMap::new(),
    }
    .run()
    .await;
}

struct Task {
    context: Arc<ClientContext>,
    wanted: mpsc::Receiver<Wanted>,
    awaits_system: bool,
    /// Who waits for which account.
    waiting: HashMap<Box<str>, Vec<Wanted>>,
    searches: JoinSet<Search>,
    /// For whom each of them is.
    searched: HashMap<task::Id, Box<str>>,
}

impl Task {
    async fn run(mut self) {
        let mut retry = self.context.conn.clock.now() + SYSTEM_RETRY;
        loop {
            let now = self.context.conn.clock.now();
            if self.awaits_system && retry <= now {
                retry = now + SYSTEM_RETRY;
                self.search_system();
            }
            let wait = self.next_look(now);
            let Self { wanted, searches, .. } = &mut self;
            tokio::select! {
                wanted = wanted.recv() => match wanted {
                    Some(wanted) => self.wanted(wanted),
                    None => return,
                },
                Some(ended) = searches.join_next_with_id() => self.ended(ended),
                _ = timeout(wait, pending::<()>()) => claimed_accounts::expire(&self.context, self.context.conn.clock.now()),
            }
        }
    }

    /// Until it is looked for what is over, or for the system account.
    fn next_look(&self, now: Timestamp) -> Duration {
        let accounts = &self.context.accounts;
        if !accounts.knows_claims() && !self.awaits_system {
            return Duration::MAX;
        }
        let until = accounts.claims_deadline().map_or(LOOK_INTERVAL, |deadline| deadline.since(now));
        until.min(LOOK_INTERVAL)
    }

    fn wanted(&mut self, wanted: Wanted) {
        let now = self.context.conn.clock.now();
        let claimed = self.context.accounts.find(&wanted.account).and_then(|account| account.claimed());
        let is_over = claimed.as_ref().is_some_and(|claimed| claimed.is_expired(now));
        if claimed.is_some() && !is_over {
            return wanted.done(Ok(()));
        }
        if is_over {
            let account = &wanted.account;
            let logger = &self.context.conn.logger;
            logger.debug(format_args!("Requested account [{account}] has expired"));
            if self.context.accounts.has_fresh_claims(account, now) {
                logger.debug(format_args!("Requested account update for [{account}] ignored, too soon"));
                return wanted.done(Err("account expired".into()));
            }
        }
        let name = wanted.account.clone();
        let waiting = self.waiting.entry(name.clone()).or_default();
        waiting.push(wanted);
        if waiting.len() == 1 {
            self.search(name);
        }
    }

    fn search(&mut self, name: Box<str>) {
        let context = Arc::clone(&self.context);
        let account = Box::clone(&name);
        let search = self.searches.spawn(async move { claimed_accounts::find(&context, &account).await });
        self.searched.insert(search.id(), name);
    }

    fn ended(&mut self, ended: Result<(task::Id, Search), JoinError>) {
        let (id, search) = ended.unwrap_or_else(|error| {
            // One that panicked has said so; who waits for it is refused.
            let outcome = Err("account missing".to_owned());
            (error.id(), Search { told: Vec::new(), outcome })
        });
        if let Some(name) = self.searched.remove(&id) {
            self.conclude(&name, search);
        }
    }

    fn search_system(&mut self) {
        let name = Box::from(&**self.context.accounts.system().name());
        if !self.waiting.contains_key(&name) {
            self.waiting.insert(Box::clone(&name), Vec::new());
            self.search(name);
        }
    }

    fn conclude(&mut self, name: &str, search: Search) {
        claimed_accounts::tell(&self.context, &search.told);
        let waiting = self.waiting.remove(name).unwrap_or_default();
        let now = self.context.conn.clock.now();
        let policy = self.context.policy.load_full();
        let result = match (search.outcome, policy.trust()) {
            (Ok(found), Some(trust)) => {
                claimed_accounts::put(&self.context, trust, found, now);
                if self.awaits_system && name == &**self.context.accounts.system().name() {
                    self.awaits_system = false;
                    self.context.conn.logger.notice(format_args!("System account fetched and updated"));
                }
                Ok(())
            }
            (Ok(_), None) => Err("account missing".to_owned()),
            (Err(error), _) => Err(error),
        };
        let was_known = self.context.accounts.find(name).and_then(|account| account.claimed()).is_some();
        for wanted in waiting {
            wanted.done(match &result {
                Ok(()) => Ok(()),
                // It is over, whatever else is wrong.
                Err(_) if was_known => Err("account expired".into()),
                Err(error) => Err(error.as_str().into()),
            });
        }
    }
}
