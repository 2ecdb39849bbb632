//! What takes long before it is decided: done on other threads, a few at a time, while its connection waits.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tokio::sync::oneshot;

use super::consultation::Consultation;
use super::decide::{Decision, Refusal};
use super::embedder::Login;
use super::grant::Grant;
use super::identity::Identity;
use super::permission::Permissions;
use super::policy::Policy;
use super::secret::{Given, Secret};
use crate::server::base::clock::Timestamp;

/// Work between a CONNECT and its decision.
#[derive(Debug)]
pub enum Work {
    /// A word is to be compared with a hash.
    Compare {
        /// What it has to match.
        secret: Secret,
        /// What was given.
        given: Given,
        /// What follows if it does.
        grant: Box<Grant>,
    },
    /// A service outside is to be asked; nothing that keeps a thread busy.
    Consult(Box<Consultation>),
    /// The embedder is to be asked.
    Ask {
        /// Who is asked.
        policy: Arc<Policy>,
        /// Who asks.
        login: Box<Login>,
    },
}

impl Work {
    /// Whether it waits for others rather than computes.
    pub const fn is_question(&self) -> bool {
        matches!(self, Self::Ask { .. })
    }

    /// Does it, on a thread that may be kept busy.
    pub fn run(self) -> Decision {
        match self {
            Self::Compare { secret, given, grant } if secret.matches(&given.0) => Decision::Accepted(grant),
            Self::Compare { grant, .. } => {
                Decision::Refused(Refusal { proxy: grant.proxy, ..Refusal::violation(grant.identity) })
            }
            Self::Ask { policy, login } => ask(&policy, &login),
            // Whoever could ask it did not.
            Self::Consult(consultation) => consultation.unanswered(""),
        }
    }
}

fn ask(policy: &Policy, login: &Login) -> Decision {
    let said = Identity::said(&login.options);
    let refused = |who| Decision::Refused(Refusal::violation(who));
    let Some(custom) = policy.custom() else { return refused(said) };
    let Some(admission) = custom.0.authenticate(login) else { return refused(said) };
    let account = match &admission.account {
        None => Some(policy.global()),
        Some(name) => policy.account(name),
    };
    let Some(account) = account else { return refused(said) };
    let identity = admission.username.map_or(said, |name| Identity::User(name.into()));
    let mut grant = Grant::open(account, identity, None);
    grant.permissions = admission.permissions.map(|permissions| Arc::new(Permissions::compile(&permissions)));
    grant.expires = admission.deadline.map(|deadline| {
        let nanos = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    });
    Decision::Accepted(Box::new(grant))
}

/// Work on its way to who does it, and the way back.
#[derive(Debug)]
pub struct Errand {
    /// What is to be done.
    pub work: Work,
    /// Where the decision goes. Closed when nobody waits for it any more.
    pub answer: oneshot::Sender<Decision>,
}

impl Errand {
    /// Work to be done, and where its decision will come out.
    pub fn new(work: Work) -> (Self, oneshot::Receiver<Decision>) {
        let (answer, decision) = oneshot::channel();
        (Self { work, answer }, decision)
    }
}
