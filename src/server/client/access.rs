//! What a client is and may do: how it comes to be let in, what a reload changes about it.
//!
//! ```text
//! AwaitConnect --CONNECT--> decided --accepted--> Active
//!      |                     |   ^  '--refused--> (closed)
//!      |            pending  v   | DECISION
//!      |                   AwaitAuth: nothing is read, and not for ever
//!      '-- timeout --> (closed)
//! ```
//!
//! Where a service outside has a say, what was decided here is put before it, and that is awaited, too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::profile::Profile;
use super::session::{ClientSession, Phase};
use crate::server::account::{Account, Claimed, Membership};
use crate::server::auth::{
    Answered, Applicant, ClaimedUser, Decision, Errand, Grant, Identity, Note, Permissions, Refusal,
    RefusalReason, UserLimits, Work, decide,
};
use crate::server::base::base64::Base64;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::base::rng::Rng;
use crate::server::config::options::{ConnectionType, Options};
use crate::server::delivery::Courier;
use crate::server::interest::Subscription;
use crate::server::log::Level;
use crate::server::net::PeerCertificate;
use crate::server::protocol::error::{CloseReason, WireError};
use crate::server::protocol::subject_rules::SubjectRules;

/// Random bytes of a nonce.
const NONCE_BYTES: usize = 11;

/// How much longer than a client may take to authenticate the server may take to decide about it: far more
/// than whatever it waits for takes, which has a time of its own. A decision that never comes ends here.
const DECISION_MAX: Duration = Duration::from_secs(60);

/// What is known of who a client is. Only those have one of whom more is known than that they are there.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// What it was given to sign; empty for nothing.
    pub(super) nonce: Box<str>,
    /// What it has become.
    pub(super) grant: Option<Grant>,
    waiting: Option<Waiting>,
}

/// A decision that is not there yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) why: Why,
    /// It is the last word.
    pub(super) is_final: bool,
    /// The answer that the decision is for.
    pub(super) answered: Option<Box<Answered>>,
    /// To be handed to who does it.
    pub(super) errand: Option<Box<Errand>>,
    pub(super) decision: oneshot::Receiver<Decision>,
}

/// What made the client be judged, and so what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// A CONNECT, the first or not.
    Connect { first: bool },
    /// Something else came, and there is a user for everybody.
    Skipped,
    /// The options have changed.
    Reload,
}

impl Waiting {
    pub(super) fn for_work(why: Why, is_final: bool, work: Work) -> Self {
        let (errand, decision) = Errand::new(work);
        Self { why, is_final, answered: None, errand: Some(Box::new(errand)), decision }
    }
}

impl Access {
    /// Access of a client that was just accepted; `None` where there is nothing to keep.
    pub(super) fn new(needs_nonce: bool) -> Option<Box<Self>> {
        needs_nonce.then(|| Box::new(Self { nonce: nonce(), ..Self::default() }))
    }
}

fn nonce() -> Box<str> {
    let mut bytes = [0; NONCE_BYTES];
    Rng::fill_secret(&mut bytes);
    Base64::Url.encode(&bytes).into()
}

impl ClientSession {
    /// What comes once the client has been greeted: until when it has to authenticate, if it has to.
    pub(super) fn phase_after_greeting(&self, now: Timestamp) -> Phase {
        if self.limits.awaits_connect {
            Phase::AwaitConnect(now + self.context.policy.load().timeout())
        } else {
            Phase::Active
        }
    }

    /// Judges the client, and does what follows from it.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        why: Why,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        self.judge_with(now, why, None, courier)
    }

    /// As [`Self::judge`], once an account was looked up.
    fn judge_with(
        &mut self,
        now: Timestamp,
        why: Why,
        looked_up: Option<&Result<(), Box<str>>>,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        // Whatever was asked before counts no more.
        if let Some(access) = &mut self.access {
            access.waiting = None;
        }
        let policy = self.context.policy.load_full();
        if let Some(said) = policy.completed(&self.profile.options()) {
            self.profile = Profile::from(said);
        }
        let said = self.profile.options();
        let access = self.access.as_deref();
        let tls = if policy.reads_certificates() { self.outbound.tls_state() } else { None };
        let certificate =
            tls.as_ref().and_then(|tls| PeerCertificate::from_der(tls.peer_chain.first()?).ok());
        let mut notes = Vec::new();
        let decision = decide(
            &policy,
            &Applicant {
                said: &said,
                nonce: access.map(|access| &*access.nonce).unwrap_or_default(),
                connection: self.connection_type(),
                is_secured: tls.is_some(),
                has_chain: tls.as_ref().is_some_and(|tls| tls.peer_chain.len() > 1),
                certificate: certificate.map(Arc::new).as_ref(),
                peer: self.peer,
                id: self.outbound.id(),
                now,
                accounts: &self.context.accounts,
                looked_up,
                held: access.and_then(|access| access.grant.as_ref()).filter(|_| why == Why::Reload),
            },
            &mut notes,
        );
        self.log_notes(notes);
        self.proceed(now, why, decision, courier)
    }

    pub(super) fn log_notes(&self, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Debug(text) => self.debug(format_args!("{text}")),
                Note::Error(text) => self.error(format_args!("{text}")),
                Note::Warning(text) => self.context.conn.logger.warn(format_args!("{text}")),
            }
        }
    }

    /// What a client connects over.
    pub(super) fn connection_type(&self) -> ConnectionType {
        match self.peer {
            Some(_) => ConnectionType::Standard,
            None => ConnectionType::InProcess,
        }
    }

    /// Waits for a decision. Who is in already stays what it is meanwhile; others are not read from.
    pub(super) fn wait_for(&mut self, now: Timestamp, waiting: Waiting) {
        if waiting.why != Why::Reload {
            self.phase = Phase::AwaitAuth(now + self.context.policy.load().timeout() + DECISION_MAX);
        }
        self.access.get_or_insert_default().waiting = Some(waiting);
    }

    /// Does what follows from a verdict that stands.
    pub(super) fn conclude(
        &mut self,
        now: Timestamp,
        why: Why,
        decision: Decision,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        match decision {
            Decision::Refused(refusal) => Err(self.refuse_login(now, &refusal, courier)),
            Decision::Pending(work) => {
                self.wait_for(now, Waiting::for_work(why, false, work));
                Ok(())
            }
            Decision::NeedsAccount(account) => {
                let decision = self.context.wanted.ask(account, &self.outbound);
                self.wait_for(now, Waiting { why, is_final: false, answered: None, errand: None, decision });
                Ok(())
            }
            Decision::LookedUp(result) => self.judge_with(now, why, Some(&result), courier),
            Decision::Answered(answered) => self.weigh(now, why, answered, None, courier),
            Decision::Accepted(grant) => {
                self.enter(now, why, *grant, courier)?;
                self.phase = Phase::Active;
                self.limits.awaits_connect = false;
                if why != Why::Reload {
                    self.tell_connected(now, courier);
                }
                match why {
                    Why::Connect { first } => {
                        self.finish_connect(now, first, courier)?;
                        // Who is nobody in particular keeps what it has.
                        if self.is_user() { self.keep_to_limits(now, courier) } else { Ok(()) }
                    }
                    Why::Skipped => self.keep_to_limits(now, courier),
                    Why::Reload => self.keep_to_permissions(now, courier),
                }
            }
        }
    }

    /// Work that the client waits for, not handed on yet.
    pub(super) fn errand(&mut self) -> Option<Box<Errand>> {
        self.access.as_mut()?.waiting.as_mut()?.errand.take()
    }

    /// Somebody says that a decision is there.
    pub(super) fn take_decision(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        let Some(mut waiting) = self.access.as_mut().and_then(|access| access.waiting.take()) else {
            return Ok(());
        };
        let decision = match waiting.decision.try_recv() {
            Ok(decision) => decision,
            Err(oneshot::error::TryRecvError::Closed) => {
                Decision::Refused(Refusal::violation(self.profile.identity()))
            }
            // Told of an errand that was given up: the one that counts is on its way.
            Err(oneshot::error::TryRecvError::Empty) => {
                if let Some(access) = &mut self.access {
                    access.waiting = Some(waiting);
                }
                return Ok(());
            }
        };
        let why = waiting.why;
        match (waiting.answered, decision) {
            (Some(answered), Decision::LookedUp(found)) => {
                self.weigh(now, why, answered, Some(found), courier)
            }
            (_, decision) if waiting.is_final => self.conclude(now, why, decision, courier),
            (_, decision) => self.proceed(now, why, decision, courier),
        }
    }

    /// The client sent something else than CONNECT where it has to authenticate: it is let in as the user
    /// for everybody, if there is one for it. Says whether it is, or will be.
    pub(super) fn skips_connect(
        &mut self,
        now: Timestamp,
        courier: &mut Courier,
    ) -> Result<bool, CloseReason> {
        if self.context.policy.load().user_without_connect(self.connection_type()).is_none() {
            return Ok(false);
        }
        self.connected = true;
        self.judge(now, Why::Skipped, courier)?;
        Ok(true)
    }

    /// A login is refused: the owner of the account hears of it before the operator does.
    fn refuse_login(&self, now: Timestamp, refusal: &Refusal, courier: &mut Courier) -> CloseReason {
        let Some(told) = &refusal.told else {
            // Neither proxies that are not trusted nor an embedder's users are an account's business.
            let is_private =
                refusal.reason == RefusalReason::ProxyNotTrusted || self.context.policy.load().is_custom();
            if !is_private {
                let reason = refusal.wire().closes().unwrap_or(CloseReason::AuthenticationViolation);
                self.tell_account_refused(&self.account, now, reason.text(), courier);
            }
            return self.violation(now, refusal, courier);
        };
        let reason = self.violation(now, refusal, courier);
        if !told.text.is_empty() {
            self.context.conn.logger.warn(format_args!("{}", told.text));
        }
        if let Some(account) = &told.account {
            self.tell_account_refused(account, now, &told.text, courier);
        }
        reason
    }

    /// Says that a client may not be here; it closes.
    pub(super) fn violation(&self, now: Timestamp, refusal: &Refusal, courier: &mut Courier) -> CloseReason {
        match &refusal.identity {
            Identity::Nobody => self.error(format_args!("authentication error")),
            who => self.error(format_args!("authentication error - {}", who.text())),
        }
        let wire = refusal.wire();
        self.say(wire, courier);
        let reason = wire.closes().unwrap_or(CloseReason::AuthenticationViolation);
        self.tell_refused(now, reason, courier);
        reason
    }

    /// The time to authenticate is over.
    pub(super) fn authentication_timed_out(&self, courier: &mut Courier) -> CloseReason {
        self.expired(WireError::AuthenticationTimeout, courier)
    }

    /// What the client proved has expired.
    pub(super) fn authentication_expired(&self, courier: &mut Courier) -> CloseReason {
        self.expired(WireError::UserExpired, courier)
    }

    pub(super) fn expired(&self, error: WireError<'_>, courier: &mut Courier) -> CloseReason {
        self.say(error, courier);
        let text = error.to_string();
        self.log_for_many(Level::Debug, &text, &text);
        error.closes().unwrap_or(CloseReason::AuthenticationExpired)
    }

    /// Who the client is.
    pub(super) fn identity(&self) -> Identity {
        let grant = self.access.as_ref().and_then(|access| access.grant.as_ref());
        grant.map_or_else(|| self.profile.identity(), |grant| grant.identity.clone())
    }

    /// Moves into an account, if that has room for it. What came from the client till now counts for the one that it
    /// leaves.
    pub(super) fn move_to(&mut self, account: &Arc<Account>, now: Timestamp, courier: &mut Courier) -> bool {
        self.count_received();
        let left = Arc::clone(&self.account);
        let has_moved = self.account.move_to(account).is_ok();
        if has_moved && !Arc::ptr_eq(&left, account) {
            self.tell_moved(&left, now, courier);
        }
        has_moved
    }

    /// Becomes what was granted.
    pub(super) fn enter(
        &mut self,
        now: Timestamp,
        why: Why,
        grant: Grant,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        if self.sids.len() > 0 && !Arc::ptr_eq(&self.account, &grant.account) {
            // Its subscriptions belong where it was: it comes back as what it is now.
            return Err(CloseReason::ClientClosed);
        }
        if !self.move_to(&grant.account, now, courier) {
            // It goes as one of the account that has no room for it.
            self.account = Membership::uncounted(&grant.account);
            let error = WireError::AccountConnectionsExceeded;
            let text = error.to_string();
            self.log_for_many(Level::Error, &text, &text);
            self.say(error, courier);
            if why == Why::Reload {
                self.error(format_args!("authentication error - {}", self.identity().text()));
                self.tell_refused(now, CloseReason::AuthenticationViolation, courier);
            } else {
                self.error(format_args!("{error}"));
            }
            return Err(CloseReason::MaxAccountConnectionsExceeded);
        }
        self.take_permissions(grant.permissions.clone());
        let options = self.context.conn.options();
        self.take_limits(&options, grant.limits);
        let is_plain = grant.user.is_none()
            && grant.claimed.is_none()
            && grant.by_service.is_none()
            && grant.proxy.is_none()
            && grant.expires.is_none();
        match &mut self.access {
            Some(access) => access.grant = Some(grant),
            None if is_plain => {}
            None => self.access = Some(Box::new(Access { grant: Some(grant), ..Access::default() })),
        }
        Ok(())
    }

    pub(super) fn take_permissions(&mut self, permissions: Option<Arc<Permissions>>) {
        let is_same = match (&self.permissions, &permissions) {
            (None, None) => true,
            // What has been noted under the same rules goes on counting.
            (Some(own), Some(new)) => Arc::ptr_eq(own, new) || own.described() == new.described(),
            _ => false,
        };
        if is_same {
            return;
        }
        self.repeat_allowed = false;
        let filter = permissions.as_ref().and_then(|permissions| self.filter_of_own(permissions));
        self.filters_deliveries = filter.is_some();
        let answers = permissions.as_ref().and_then(|permissions| permissions.answers());
        self.outbound.set_guard(filter, answers);
        self.permissions = permissions;
    }

    /// The filter that the client's subscriptions need under other permissions. Those that are not allowed at all
    /// get nothing from now on: nobody may deliver to them once the old filter is gone.
    fn filter_of_own<'p>(&self, permissions: &'p Permissions) -> Option<&'p Arc<SubjectRules>> {
        let rules = permissions.subscribe();
        let (allowed, denied): (Vec<_>, Vec<_>) =
            self.sids.all().into_iter().partition(|held| rules.allow_subscribe(held.subject(), held.queue()));
        self.account.interest().remove_batch(&denied);
        for subscription in &denied {
            subscription.close();
        }
        let needs_filter = allowed.iter().any(|held| rules.filter_deliveries(held.subject(), held.queue()));
        needs_filter.then_some(rules)
    }

    /// Before `subscription` exists: has what is denied inside of it kept out.
    pub(super) fn filter_deliveries(&mut self, subject: &[u8], queue: Option<&[u8]>) {
        if let Some(permissions) = &self.permissions
            && !self.filters_deliveries
            && permissions.subscribe().filter_deliveries(subject, queue)
        {
            self.outbound.filter_deliveries(permissions.subscribe());
            self.filters_deliveries = true;
        }
    }

    /// The least of what server, account and user allow.
    pub(super) fn take_limits(&mut self, options: &Options, user: UserLimits) {
        let of_account = self.account.limits();
        let limit = |value: Option<i32>| value.and_then(|value| usize::try_from(value).ok());
        let of_user = |value: Option<u32>| value.map(|value| value as usize);
        let least = |server: Option<usize>, account: Option<usize>, user: Option<usize>| {
            [server, account, user].into_iter().flatten().min()
        };
        let server_payload = usize::try_from(options.max_payload).ok();
        let own_payload = least(None, limit(of_account.max_payload), of_user(user.payload));
        self.limits.payload = least(server_payload, own_payload, None).unwrap_or(usize::MAX);
        if let (Some(server), Some(own)) = (server_payload, own_payload)
            && server < own
        {
            self.debug(format_args!(
                "Max Payload set to {server} from server overrides account or user config"
            ));
        }
        let server_subscriptions = usize::try_from(options.max_subscriptions).ok().filter(|&max| max > 0);
        let own_subscriptions = least(None, limit(of_account.max_subscriptions), of_user(user.subscriptions));
        self.subscriptions_max = least(server_subscriptions, own_subscriptions, None);
        if let (Some(server), Some(own)) = (server_subscriptions, own_subscriptions)
            && server < own
        {
            self.debug(format_args!(
                "Max Subscriptions set to {server} from server overrides account or user config"
            ));
        }
    }

    /// The user that claims made of it, its own or those of a service's answer.
    pub(super) fn claimed_user(&self) -> Option<&ClaimedUser> {
        let grant = self.access.as_ref()?.grant.as_ref()?;
        grant.claimed.as_deref().or(grant.by_service.as_deref())
    }

    /// The account's claims that the client keeps to.
    pub(super) fn remember_claims(&mut self, claimed: Arc<Claimed>) {
        let grant = self.access.as_mut().and_then(|access| access.grant.as_mut());
        if let Some(user) = grant.and_then(|grant| grant.claimed.as_mut().or(grant.by_service.as_mut())) {
            user.account = claimed;
        }
    }

    /// Limits of the client's own.
    pub(super) fn user_limits(&self) -> UserLimits {
        let grant = self.access.as_ref().and_then(|access| access.grant.as_ref());
        grant.map(|grant| grant.limits).unwrap_or_default()
    }

    /// When what the client proved expires.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.access.as_ref()?.grant.as_ref()?.expires
    }
}

/// What a reload changes.
impl ClientSession {
    /// Judges the client by the new options. A user that is gone, or of another account now, is closed
    /// without a word: it will come back as what it is now.
    pub(super) fn judge_again(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        let why = match &self.access.as_mut().and_then(|access| access.waiting.take()) {
            Some(waiting) => waiting.why,
            None => Why::Reload,
        };
        if why == Why::Reload {
            if let Some(refusal) = self.lost_its_proxy() {
                return Err(self.violation(now, &refusal, courier));
            }
            if self.has_moved() {
                return Err(CloseReason::ClientClosed);
            }
            if !self.connected && self.phase != Phase::Active {
                // It has not introduced itself where it has to: the reference does not wait for that.
                let required = self.context.policy.load().is_required();
                if required {
                    return Err(self.violation(now, &Refusal::violation(Identity::Nobody), courier));
                }
                if matches!(self.phase, Phase::AwaitConnect(_)) {
                    self.phase = Phase::Active;
                }
                self.limits.awaits_connect = false;
                return Ok(());
            }
        }
        self.judge(now, why, courier)
    }

    /// Why the client may not stay whose proxy is trusted no more.
    fn lost_its_proxy(&self) -> Option<Refusal> {
        let proxy = self.access.as_ref()?.grant.as_ref()?.proxy.as_deref()?;
        let is_trusted = self.context.policy.load().proxies().iter().any(|key| key == proxy);
        let reason = RefusalReason::ProxyNotTrusted;
        (!is_trusted).then(|| Refusal { reason, ..Refusal::violation(self.identity()) })
    }

    /// Whether the client goes by the name of a user that is no more, or belongs elsewhere now.
    fn has_moved(&self) -> bool {
        let policy = self.context.policy.load();
        if policy.is_custom() {
            // Its users are known to the embedder alone, who is asked again.
            return false;
        }
        let user = match self.identity() {
            Identity::Nobody | Identity::Token | Identity::Jwt(_) => return false,
            Identity::Nkey(key) => policy.nkey(&key).cloned(),
            Identity::User(name) => policy.user(&name).cloned(),
        };
        user.is_none_or(|user| !Arc::ptr_eq(user.account(), &self.account))
    }

    /// Ends subscriptions that are allowed no more, and has the others filtered by the new rules.
    pub(super) fn keep_to_permissions(
        &mut self,
        now: Timestamp,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        self.forget_exhausted();
        let Some(permissions) = self.permissions.clone() else { return self.keep_to_limits(now, courier) };
        // As in the reference what ends now has counted.
        let is_over = self.has_too_many_subscriptions();
        let rules = permissions.subscribe();
        for subscription in self.sids.all() {
            if rules.allow_subscribe(subscription.subject(), subscription.queue()) {
                self.filter_deliveries(subscription.subject(), subscription.queue());
            } else {
                self.remove_denied(&subscription, courier);
            }
        }
        if is_over { Err(self.too_many_subscriptions(now, courier)) } else { Ok(()) }
    }

    fn remove_denied(&mut self, subscription: &Subscription, courier: &mut Courier) {
        if let Some(ended) = self.sids.remove(subscription.sid()) {
            self.end_subscription(&ended);
        }
        let (subject, queue, sid) = (subscription.subject(), subscription.queue(), subscription.sid());
        self.say(WireError::SubscribeDenied { subject, queue, sid: Some(sid) }, courier);
        let group = queue.map(|queue| format!(" using queue {}", quote(queue))).unwrap_or_default();
        self.context.conn.logger.notice(format_args!(
            "Removed sub {}{group} (sid {}) for {} - not authorized",
            quote(subject),
            quote(sid),
            self.identity().text()
        ));
    }

    fn is_user(&self) -> bool {
        let grant = self.access.as_ref().and_then(|access| access.grant.as_ref());
        grant.is_some_and(|it| it.user.is_some() || it.claimed.is_some() || it.by_service.is_some())
    }

    /// A client with as many subscriptions as it may have from now on is closed: one that may have none, at once.
    pub(super) fn keep_to_limits(&self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        if self.has_too_many_subscriptions() {
            return Err(self.too_many_subscriptions(now, courier));
        }
        Ok(())
    }

    fn has_too_many_subscriptions(&self) -> bool {
        self.subscriptions_max.is_some_and(|max| self.sids.len() >= max)
    }

    fn too_many_subscriptions(&self, now: Timestamp, courier: &mut Courier) -> CloseReason {
        self.log_too_many_subscriptions(now);
        self.say(WireError::SubscriptionsExceeded, courier);
        CloseReason::MaxSubscriptionsExceeded
    }
}
