//! Asks a service outside about a client that waits to be let in.
//!
//! One task a client while it waits, and no longer than it may take to authenticate: the question goes out
//! in the service's account, the first answer on a subject made for it counts, others find nobody. For a
//! client that is in already, and is asked about after a reload, that time begins with its turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::context::Context;
use crate::server::account::Account;
use crate::server::auth::callout::{CALLOUT_SUBJECT, Question};
use crate::server::auth::{Answered, Consultation, Decision, Identity, Refusal};
use crate::server::base::clock::Clock;
use crate::server::base::inbox::Inbox;
use crate::server::base::quote::quote;
use crate::server::base::rng::Rng;
use crate::server::delivery::{Post, Reply};
use crate::server::interest::{Detour, Letter, Subscription};
use crate::server::outbound::{Notices, Outbound};

/// What the subjects of answers to the server begin with.
const INBOX_PREFIX: &str = "$SYS._INBOX.";
/// Characters of each of the two tokens behind it.
const INBOX_TOKEN_LENGTH: usize = 8;

/// Clients that a service is asked about at once; the others wait their turn. After a reload it is asked
/// about all of its clients, and answers no faster for being asked all at once.
const CONSULTATIONS_MAX: usize = 256;

/// The turns of consultations. First come, first served.
#[derive(Debug)]
pub struct Consultations {
    turns: Semaphore,
}

impl Default for Consultations {
    fn default() -> Self {
        Self { turns: Semaphore::new(CONSULTATIONS_MAX) }
    }
}

/// Consults, then tells `owner`. Nobody is asked any more once `answer` is closed.
#[expect(clippy::disallowed_methods, reason = "the place where consultations start")]
pub(super) fn start(
    consultation: Consultation,
    answer: oneshot::Sender<Decision>,
    owner: Arc<Outbound>,
    context: Arc<Context>,
) {
    tokio::spawn(async move {
        // Dropped after the way back: whoever is told finds the decision there, or the way closed by a panic.
        let _told_in_the_end = Told(owner);
        let mut answer = answer;
        let decision = tokio::select! {
            decision = consult(consultation, &context) => decision,
            () = answer.closed() => return,
        };
        // An error says that nobody waits any more.
        let _ = answer.send(decision);
    });
}

/// Tells the owner when it is dropped.
struct Told(Arc<Outbound>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify(Notices::DECISION);
    }
}

async fn consult(mut consultation: Consultation, context: &Arc<Context>) -> Decision {
    let logger = &context.logger;
    let time_max = consultation.delegation().time_max();
    let mut started = context.clock.now();
    let Some(account) = consultation.delegation().account().cloned() else {
        return consultation.unanswered("");
    };
    let late = |consultation: Consultation| {
        let account = quote(account.name().as_bytes());
        logger
            .debug(format_args!("Authorization callout response not received in time on account {account}"));
        consultation.unanswered("")
    };
    // Held until the answer is there. An error inside would say that there are no turns, which never is.
    let wait_max = if consultation.is_in() { Duration::MAX } else { time_max };
    let Ok(_turn) = timeout(wait_max, context.consultations.turns.acquire()).await else {
        return late(consultation);
    };
    if consultation.is_in() {
        started = context.clock.now();
    }
    let (asking, at) = (Arc::clone(context), context.clock.now());
    let asked = context.verifiers.compute(move || {
        let question = consultation.ask(&asking.keys, at);
        (consultation, question)
    });
    let (consultation, question) = match asked.await {
        Some((consultation, Ok(question))) => (consultation, question),
        Some((consultation, Err(error))) => {
            logger.warn(format_args!("{error}"));
            return consultation.unanswered(error.to_string());
        }
        None => return Decision::Refused(Refusal::violation(Identity::Nobody)),
    };
    let place = AnswerPlace::new(&account);
    send(context, &account, &question, place.subscription.subject());
    // For who waits to be let in the turn and the answer have this time together: it may have hung up.
    let left = time_max.saturating_sub(context.clock.now().since(started));
    let Ok(answer) = timeout(left, place.inbox.pop()).await else { return late(consultation) };
    let (opening, at) = (Arc::clone(context), context.clock.now());
    let opened = context
        .verifiers
        .compute(move || Answered::open(consultation, question, answer.body(), &opening.keys, at));
    match opened.await {
        Some(answered) => Decision::Answered(Box::new(answered)),
        None => Decision::Refused(Refusal::violation(Identity::Nobody)),
    }
}

fn send(context: &Arc<Context>, account: &Arc<Account>, question: &Question, reply: &[u8]) {
    let post = Post {
        account,
        subject: CALLOUT_SUBJECT.as_bytes(),
        reply: Reply::To(reply),
        header: &question.header,
        body: &question.body,
    };
    context.speak(|herald, occasion| herald.voice().publish(&post, occasion));
}

/// Where one answer arrives; nowhere once this is dropped.
struct AnswerPlace {
    account: Arc<Account>,
    subscription: Subscription,
    inbox: Arc<Inbox<Letter>>,
}

impl AnswerPlace {
    fn new(account: &Arc<Account>) -> Self {
        let mut rng = Rng::from_entropy();
        let mut token = || rng.token(INBOX_TOKEN_LENGTH);
        let subject = format!("{INBOX_PREFIX}{}.{}", token(), token());
        // One answer counts.
        let inbox = Arc::new(Inbox::new(1));
        let (target, detour) = (Arc::clone(account.outbound()), Detour::Inbox(Arc::clone(&inbox)));
        let subscription = Subscription::with_detour(target, detour, subject.as_bytes(), None, b"callout");
        // A valid subject.
        let _ = account.interest().insert(subscription.clone());
        Self { account: Arc::clone(account), subscription, inbox }
    }
}

impl Drop for AnswerPlace {
    fn drop(&mut self) {
        self.account.interest().remove(&self.subscription);
        self.subscription.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::account::Registry;
    use crate::server::auth::Delegation;
    use crate::server::auth::callout::About;
    use crate::server::config::options::{self, AuthCallout, Options};

    #[tokio::test]
    async fn who_is_in_waits_for_a_turn_however_long_it_takes() {
        let mut options = Options::default();
        options.accounts = vec![options::Account { name: "AUTH".to_owned(), ..options::Account::default() }];
        options.authorization.timeout = Some(Duration::from_nanos(1));
        options.authorization.auth_callout =
            Some(AuthCallout { account: "AUTH".to_owned(), ..AuthCallout::default() });
        let context = Arc::new(Context::recorded(options).0);
        let accounts = Registry::new(&context.options(), Arc::new(context.clock.clone())).unwrap();
        let delegation = Delegation::configured(&context.options(), &accounts).unwrap();
        let consultation =
            |is_in| Consultation::new(&delegation, About::default(), Identity::Nobody, None, false, is_in);
        let turns = context.consultations.turns.acquire_many(CONSULTATIONS_MAX as u32).await.unwrap();
        let in_already = consult(consultation(true), &context);
        tokio::pin!(in_already);
        // The other's time is over, and would be for it, too.
        let decision = tokio::select! {
            biased;
            _ = &mut in_already => None,
            decision = consult(consultation(false), &context) => Some(decision),
        };
        assert!(matches!(decision, Some(Decision::Refused(_))), "{decision:?}");
        drop(turns);
        // Asked about, and answered by nobody.
        assert!(matches!(in_already.await, Decision::Refused(_)));
    }
}
