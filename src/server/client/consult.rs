//! A service outside has the last word about a client: when it is asked, and what follows from its answer.

use std::sync::Arc;

use super::access::{Waiting, Why};
use super::session::ClientSession;
use crate::server::auth::{
    Answered, Consultation, Decision, Delegation, Refusal, RefusalReason, Standing, Verdict, Work,
};
use crate::server::base::clock::Timestamp;
use crate::server::delivery::Courier;
use crate::server::protocol::error::CloseReason;

impl ClientSession {
    /// Puts the server's own verdict before a service outside, where one has a say; else it stands.
    pub(super) fn proceed(
        &mut self,
        now: Timestamp,
        why: Why,
        mut decision: Decision,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let (policy, said) = (self.context.policy.load_full(), self.profile.options());
        let delegation = Delegation::about(&policy, &said, &decision, &self.context.accounts, now);
        let Some(delegation) = delegation else { return self.conclude(now, why, decision, courier) };
        let account = match &decision {
            Decision::Accepted(grant) => &*grant.account,
            _ => &**self.account,
        };
        let standing = delegation.standing(policy.looked_up(&said, &decision), account);
        match (standing, &mut decision) {
            (Standing::Own, Decision::Accepted(grant)) => delegation.restrict(grant),
            (Standing::Own, Decision::Refused(refusal)) => {
                // One of the service's own: its account hears of it, not the one that it stands in.
                if let Some(account) = delegation.account() {
                    let reason = refusal.wire().closes().unwrap_or(CloseReason::AuthenticationViolation);
                    self.tell_account_refused(account, now, reason.text(), courier);
                }
                return Err(self.violation(now, refusal, courier));
            }
            (Standing::Final | Standing::Own, _) => {}
            (Standing::Delegated, _) => {
                return self.consult(now, why, &delegation, decision, courier);
            }
        }
        self.conclude(now, why, decision, courier)
    }

    /// Has the service asked. Meanwhile a client that has just come stands in the account that the server's
    /// own verdict gave it.
    fn consult(
        &mut self,
        now: Timestamp,
        why: Why,
        delegation: &Arc<Delegation>,
        decision: Decision,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let (identity, proxy, proxy_required) = match decision {
            Decision::Refused(Refusal { identity, proxy, reason, .. }) => {
                (identity, proxy, reason == RefusalReason::ProxyRequired)
            }
            Decision::Accepted(grant) => {
                let (identity, proxy) = (grant.identity.clone(), grant.proxy.clone());
                // Who is in already keeps what it has until the last word.
                if why != Why::Reload {
                    self.enter(now, why, *grant, courier)?;
                }
                (identity, proxy, false)
            }
            decision => return self.conclude(now, why, decision, courier),
        };
        let policy = self.context.policy.load_full();
        let mut said = self.profile.options();
        said.jwt = policy.shown_token(&said.jwt).to_owned();
        let nonce = self.access.as_ref().map(|access| access.nonce.clone()).unwrap_or_default();
        let about = self.about(&identity, said, &nonce, delegation.time_max(), now);
        let is_in = why == Why::Reload;
        let consultation = Consultation::new(delegation, about, identity, proxy, proxy_required, is_in);
        self.wait_for(now, Waiting::for_work(why, true, Work::Consult(Box::new(consultation))));
        Ok(())
    }

    /// Judges the service's answer. `found` is what came of looking up an account that it names.
    pub(super) fn weigh(
        &mut self,
        now: Timestamp,
        why: Why,
        answered: Box<Answered>,
        found: Option<Result<(), Box<str>>>,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let mut notes = Vec::new();
        let verdict = answered.judge(&self.context.accounts, found, now, &mut notes);
        self.log_notes(notes);
        match verdict {
            Verdict::Decided(decision) => self.conclude(now, why, decision, courier),
            Verdict::NeedsAccount(account, answered) => {
                let decision = self.context.wanted.ask(account, &self.outbound);
                let answered = Some(answered);
                self.wait_for(now, Waiting { why, is_final: true, answered, errand: None, decision });
                Ok(())
            }
        }
    }
}
