//! Accounts that have to be looked up before it can be decided about a client.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::decide::Decision;
use crate::server::outbound::{Notices, Outbound};

/// An account that somebody waits for.
#[derive(Debug)]
pub struct Wanted {
    /// Its public key.
    pub account: Box<str>,
    answer: oneshot::Sender<Decision>,
    owner: Arc<Outbound>,
}

impl Wanted {
    /// The account is in use now, or why it is not.
    pub fn done(self, result: Result<(), Box<str>>) {
        // An error says that nobody waits any more.
        let _ = self.answer.send(Decision::LookedUp(result));
        self.owner.notify(Notices::DECISION);
    }
}

/// Where accounts are asked for.
#[derive(Debug, Clone)]
pub struct WantedAccounts(mpsc::Sender<Wanted>);

impl WantedAccounts {
    /// Look-ups of which so many may wait, and where they come out.
    #[must_use]
    pub fn new(waiting_max: usize) -> (Self, mpsc::Receiver<Wanted>) {
        let (sender, receiver) = mpsc::channel(waiting_max);
        (Self(sender), receiver)
    }

    /// Asks for an account; `owner` is told when the decision is there.
    #[must_use]
    pub fn ask(&self, account: Box<str>, owner: &Arc<Outbound>) -> oneshot::Receiver<Decision> {
        let (answer, decision) = oneshot::channel();
        let wanted = Wanted { account, answer, owner: Arc::clone(owner) };
        if let Err(refused) = self.0.try_send(wanted) {
            refused.into_inner().done(Err("too many accounts are looked up at once".into()));
        }
        decision
    }
}
