//! Asks a service outside about a client that waits to be let in.
//!
//! One task a client while it waits, and no longer than it may take to authenticate: the question goes out
//! in the service's account, the first answer on a subject made for it counts, others find nobody.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::context::Context;
use super::worker::lend_courier;
use crate::server::account::Account;
use crate::server::auth::callout::{CALLOUT_SUBJECT, Question};
use crate::server::auth::{Answered, Consultation, Decision};
use crate::server::base::clock::Clock;
use crate::server::base::inbox::Inbox;
use crate::server::base::quote::quote;
use crate::server::base::rng::Rng;
use crate::server::delivery::{Occasion, Post};
use crate::server::interest::{Detour, Letter, Subscription};
use crate::server::outbound::{Notices, Outbound};

/// What the subjects of answers to the server begin with.
const INBOX_PREFIX: &str = "$SYS._INBOX.";
/// Characters of each of the two tokens behind it.
const INBOX_TOKEN_LENGTH: usize = 8;

/// Consults, then tells `owner`. Nobody is asked any more once `answer` is closed.
#[expect(clippy::disallowed_methods, reason = "the place where consultations start")]
pub(super) fn start(
    consultation: Consultation,
    mut answer: oneshot::Sender<Decision>,
    owner: Arc<Outbound>,
    context: Arc<Context>,
) {
    tokio::spawn(async move {
        let decision = tokio::select! {
            decision = consult(consultation, &context) => decision,
            () = answer.closed() => return,
        };
        // An error says that nobody waits any more.
        let _ = answer.send(decision);
        owner.notify(Notices::DECISION);
    });
}

async fn consult(mut consultation: Consultation, context: &Arc<Context>) -> Decision {
    let logger = &context.logger;
    let Some(account) = consultation.delegation().account().cloned() else {
        return consultation.unanswered("");
    };
    let question = match consultation.ask(&context.keys, context.clock.now()) {
        Ok(question) => question,
        Err(error) => {
            logger.warn(format_args!("{error}"));
            return consultation.unanswered(error.to_string());
        }
    };
    let place = AnswerPlace::new(&account);
    send(context, &account, &question, place.subscription.subject());
    match timeout(consultation.delegation().time_max(), place.inbox.pop()).await {
        Ok(letter) if !consultation.delegation().knows_accounts() => {
            Decision::Answered(Answered::new(consultation, question, letter.body()))
        }
        Ok(letter) => consultation.judge(&question, &context.keys, letter.body(), context.clock.now()),
        Err(_) => {
            logger.debug(format_args!(
                "Authorization callout response not received in time on account {}",
                quote(account.name().as_bytes())
            ));
            consultation.unanswered("")
        }
    }
}

fn send(context: &Arc<Context>, account: &Arc<Account>, question: &Question, reply: &[u8]) {
    let post = Post {
        account,
        subject: CALLOUT_SUBJECT.as_bytes(),
        reply: Some(reply),
        header: &question.header,
        body: &question.body,
    };
    lend_courier(context, |courier| {
        let mut occasion = Occasion { now: context.clock.now(), courier, log: None };
        context.herald.voice().publish(&post, &mut occasion);
    });
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
