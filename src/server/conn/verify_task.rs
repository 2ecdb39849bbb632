//! Does what takes long before a connection is let in, off the threads that serve connections.
//!
//! Bcrypt takes tens of milliseconds a password. A few comparisons run at once, however many clients log in
//! together; the others wait their turn, and whoever is connected already does not notice.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::server::auth::Errand;
use crate::server::outbound::{Notices, Outbound};
use crate::server::protocol::error::CloseReason;

/// Errands that are done at once, for so many cores: half of them stay free for connections.
const CORES_PER_ERRAND: usize = 2;

/// Questions to an embedder that wait for its answer at once: they cost a thread each, but hardly a core.
const QUESTIONS_MAX: usize = 32;

/// The turns of errands. First come, first served.
#[derive(Debug)]
pub struct Verifiers {
    /// For what keeps a core busy.
    turns: Arc<Semaphore>,
    /// For what waits for others.
    questions: Arc<Semaphore>,
}

impl Default for Verifiers {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            turns: Arc::new(Semaphore::new((cores / CORES_PER_ERRAND).max(1))),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        }
    }
}

impl Verifiers {
    /// Does work that keeps a thread busy, when its turn comes; `None` where it panicked.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        });
        done.await.ok()
    }

    /// Does `errand` when its turn comes, then tells `owner`. Nobody is told who has stopped waiting; who had
    /// to wait and has hung up meanwhile gets no turn.
    #[expect(clippy::disallowed_methods, reason = "the place where errands start")]
    pub(super) fn start(&self, errand: Box<Errand>, owner: &Arc<Outbound>) {
        let turns = Arc::clone(if errand.work.is_question() { &self.questions } else { &self.turns });
        let owner = Arc::clone(owner);
        tokio::spawn(async move {
            let Errand { work, mut answer } = *errand;
            let turn = if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
                turn
            } else {
                let turn = tokio::select! {
                    turn = turns.acquire_owned() => turn,
                    () = answer.closed() => return,
                };
                // An error would say that the semaphore is closed, which it never is.
                let Ok(turn) = turn else { return };
                if owner.peer_has_ended() {
                    owner.request_close(CloseReason::ClientClosed);
                    return;
                }
                turn
            };
            let done = tokio::task::spawn_blocking(move || {
                let decision = work.run();
                drop(turn);
                // An error says that nobody waits any more.
                let _ = answer.send(decision);
            });
            // A panic in the work drops the way back, which the session takes for a refusal.
            let _ = done.await;
            owner.notify(Notices::DECISION);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::account::Account;
    use crate::server::auth::{Decision, Given, Grant, Identity, Secret, Work};
    use crate::server::config::options::WriteTimeout;
    use crate::server::interest::SharedInterest;
    use crate::server::net::Transport;
    use crate::server::outbound::OutboundRules;
    use crate::server::protocol::op::Kind;
    use std::time::Duration;

    fn errand(given: &str) -> (Box<Errand>, tokio::sync::oneshot::Receiver<Decision>) {
        let account = Arc::new(Account::new("A", SharedInterest::new()));
        let (errand, decision) = Errand::new(Work::Compare {
            secret: Secret::new(&bcrypt::hash("secret", 4).unwrap()),
            given: Given(given.into()),
            grant: Box::new(Grant::open(&account, Identity::Nobody, None)),
        });
        (Box::new(errand), decision)
    }

    #[tokio::test]
    async fn errands_are_done_and_their_owners_told() {
        let (verifiers, owner) = (Verifiers::default(), Arc::new(Outbound::detached(1)));
        for (given, accepted) in [("secret", true), ("other", false)] {
            let (errand, decision) = errand(given);
            verifiers.start(errand, &owner);
            let decision = decision.await.unwrap();
            assert_eq!(matches!(decision, Decision::Accepted(_)), accepted, "{given}");
        }
    }

    #[tokio::test]
    async fn whoever_hangs_up_while_others_are_served_takes_no_turn() {
        let verifiers = Verifiers::default();
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let rules = OutboundRules {
            pending_bytes_max: 1000,
            closes: true,
            write_deadline: Duration::from_secs(1),
            write_timeout: WriteTimeout::Default,
        };
        let owner = Arc::new(Outbound::new(1, Kind::Client, Arc::new(Transport::InProcess(ours)), rules));
        let all = Arc::clone(&verifiers.turns).acquire_many_owned(verifiers.turns.available_permits() as u32);
        let held = all.await.unwrap();
        let (errand, decision) = errand("secret");
        verifiers.start(errand, &owner);
        // It begins to wait.
        tokio::task::yield_now().await;
        drop(theirs);
        drop(held);
        assert!(decision.await.is_err());
        assert_eq!(owner.close_reason(), Some(CloseReason::ClientClosed));
    }

    #[tokio::test]
    async fn whoever_stops_waiting_takes_no_turn() {
        let (verifiers, owner) = (Verifiers::default(), Arc::new(Outbound::detached(1)));
        let all = Arc::clone(&verifiers.turns).acquire_many_owned(verifiers.turns.available_permits() as u32);
        let held = all.await.unwrap();
        for _ in 0..100 {
            let (errand, decision) = errand("secret");
            verifiers.start(errand, &owner);
            drop(decision);
        }
        let (errand, decision) = errand("secret");
        verifiers.start(errand, &owner);
        drop(held);
        assert!(matches!(decision.await, Ok(Decision::Accepted(_))));
    }
}
