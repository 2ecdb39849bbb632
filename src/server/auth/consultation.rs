//! When a service outside decides about a client, and what becomes of its answer.
//!
//! The server's own verdict comes first, and is not final for those whom the service is asked about: it
//! binds the client to an account, which says whether the service is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::callout::{
    self, AskError, CALLOUT_SUBJECT, Circumstances, Missing, Question, Rejection, Rules, Target,
};
use super::decide::{Decision, Note, Refusal, RefusalReason, Told};
use super::grant::{ClaimedUser, Grant, Labels};
use super::identity::Identity;
use super::permission::Permissions;
use super::policy::Policy;
use super::server_keys::ServerKeys;
use crate::server::account::{Account, Claimed, Registry, permissions};
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{self, AuthCallout, GLOBAL_ACCOUNT, Options};
use crate::server::jwt::UserClaims;
use crate::server::protocol::connect::ConnectOptions;

/// A service that decides about clients.
#[derive(Debug)]
pub struct Delegation {
    rule: Rule,
    /// The account of the service; `None`: there is none of that name, and nobody who is asked about gets in.
    account: Option<Arc<Account>>,
    /// How long an answer may take.
    time_max: Duration,
}

/// Who said that it decides.
#[derive(Debug)]
enum Rule {
    /// The configuration, about everybody.
    Configured(AuthCallout),
    /// An account, about its own users.
    Claimed(Arc<Claimed>),
}

/// What the server's own verdict is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It stands.
    Final,
    /// It stands; the client is of the service's account, maybe, and must not pose as the server there.
    Own,
    /// The service decides.
    Delegated,
}

impl Delegation {
    /// The delegation of a configuration that has one.
    pub fn configured(options: &Options, accounts: &Registry) -> Option<Arc<Self>> {
        let described = options.authorization.auth_callout.clone()?;
        Some(Arc::new(Self {
            account: accounts.find(&described.account),
            time_max: options.auth_timeout(),
            rule: Rule::Configured(described),
        }))
    }

    /// The delegation of an account that has its own service.
    pub fn claimed(account: &Arc<Account>, time_max: Duration) -> Option<Arc<Self>> {
        let claimed = account.claimed()?;
        let is_enabled = claimed.claims().nats.authorization.is_enabled();
        is_enabled.then(|| {
            Arc::new(Self { rule: Rule::Claimed(claimed), account: Some(Arc::clone(account)), time_max })
        })
    }

    /// Who else has a say about a client of whom the server itself decided this: a configured service, or that
    /// of the account whose claims the client shows.
    pub fn about(
        policy: &Policy,
        said: &ConnectOptions,
        decision: &Decision,
        accounts: &Registry,
        now: Timestamp,
    ) -> Option<Arc<Self>> {
        let account = match decision {
            Decision::Accepted(grant) => Some(&grant.account),
            // Nobody is asked about whom a proxy that is not trusted vouches for.
            Decision::Refused(Refusal { reason: RefusalReason::ProxyNotTrusted, .. }) => return None,
            Decision::Refused(_) => None,
            _ => return None,
        };
        if let Some(configured) = policy.delegation() {
            return Some(Arc::clone(configured));
        }
        let account = match account {
            Some(account) => Arc::clone(account),
            None => policy.account_by_claims(&said.jwt, accounts, now)?,
        };
        Self::claimed(&account, policy.timeout())
    }

    fn rules(&self) -> Rules<'_> {
        match &self.rule {
            Rule::Configured(described) => Rules::configured(described),
            Rule::Claimed(claimed) => Rules::of_account(claimed),
        }
    }

    /// What the server's own verdict is worth for a client that was looked up as `user`, see
    /// [`super::Policy::looked_up`], and stands in `account`. Who was refused still stands in the global one.
    pub fn standing(&self, user: Option<&str>, account: &Account) -> Standing {
        let own_users = match &self.rule {
            Rule::Configured(described) => {
                let name: &str = account.name();
                let allowed = &described.allowed_accounts;
                if name != GLOBAL_ACCOUNT && !allowed.is_empty() && !allowed.iter().any(|one| one == name) {
                    return Standing::Final;
                }
                &described.auth_users
            }
            Rule::Claimed(claimed) => &claimed.claims().nats.authorization.auth_users,
        };
        let is_own = user.is_some_and(|user| own_users.iter().any(|own| own == user));
        if is_own { Standing::Own } else { Standing::Delegated }
    }

    /// The account of the service.
    pub const fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// How long an answer may take.
    pub const fn time_max(&self) -> Duration {
        self.time_max
    }

    /// Takes from a client of the service's account the right to pose as the server there.
    pub fn restrict(&self, grant: &mut Grant) {
        if self.account.as_ref().is_some_and(|account| Arc::ptr_eq(account, &grant.account)) {
            grant.permissions = Some(Arc::new(restricted(grant.permissions.as_deref())));
            for user in [&mut grant.claimed, &mut grant.by_service].into_iter().flatten() {
                user.is_restricted = true;
            }
        }
    }
}

/// These permissions without the right to pose as the server to a service that decides.
fn restricted(permissions: Option<&Permissions>) -> Permissions {
    let subjects = [CALLOUT_SUBJECT];
    match permissions {
        Some(permissions) => permissions.without_publish(&subjects),
        None => Permissions::compile(&options::Permissions::default()).without_publish(&subjects),
    }
}

impl ClaimedUser {
    /// What it may do now that its account has these default permissions, if it has none of its own.
    #[must_use]
    pub fn permissions_by_default(
        &self,
        described: Option<&options::Permissions>,
    ) -> Option<Arc<Permissions>> {
        let permissions = described.map(Permissions::compile);
        let permissions =
            if self.is_restricted { Some(restricted(permissions.as_ref())) } else { permissions };
        permissions.map(Arc::new)
    }
}

/// A service's decision that is awaited about one client.
pub struct Consultation {
    delegation: Arc<Delegation>,
    about: callout::About,
    /// Who the client says to be.
    identity: Identity,
    /// The trusted proxy in front of it.
    proxy: Option<Box<str>>,
    /// It has to come from one, whatever the service says.
    proxy_required: bool,
    /// It is in already, and stays meanwhile.
    is_in: bool,
    /// What the claims call the client that it shows, if it shows some, and their labels.
    labels: Labels,
}

impl fmt::Debug for Consultation {
    /// Without what the client said, which holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consultation").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Consultation {
    /// A consultation of `delegation` about a client.
    pub fn new(
        delegation: &Arc<Delegation>,
        about: callout::About,
        identity: Identity,
        proxy: Option<Box<str>>,
        proxy_required: bool,
        is_in: bool,
    ) -> Self {
        let labels =
            Labels { name: about.client.name_tag.as_str().into(), tags: about.client.tags.clone().into() };
        Self { delegation: Arc::clone(delegation), about, identity, proxy, proxy_required, is_in, labels }
    }

    /// Whether the client is in already: it has time to wait until it is asked about.
    pub const fn is_in(&self) -> bool {
        self.is_in
    }

    /// Whom it asks.
    pub const fn delegation(&self) -> &Arc<Delegation> {
        &self.delegation
    }

    /// The question, once.
    ///
    /// # Errors
    /// It cannot be made; the text is for the log.
    pub fn ask(&mut self, keys: &ServerKeys, now: Timestamp) -> Result<Question, AskError> {
        let about = std::mem::take(&mut self.about);
        callout::ask(keys, &self.delegation.rules(), about, now)
    }

    /// What follows where nothing came in time, or nothing could be asked: with the text that the log had.
    pub fn unanswered(self, text: impl Into<String>) -> Decision {
        self.refuse(false, text)
    }

    /// Refuses the client. That a proxy is missing stays the reason, whatever the service says.
    fn refuse(self, lacks_proxy: bool, told: impl Into<String>) -> Decision {
        let reason = if lacks_proxy || self.proxy_required {
            RefusalReason::ProxyRequired
        } else {
            RefusalReason::Credentials
        };
        let told = Some(Told { text: told.into().into(), account: self.delegation.account.clone() });
        Decision::Refused(Refusal { reason, identity: self.identity, proxy: self.proxy, told })
    }

    fn admit(self, admitted: &callout::Admitted, account: &Arc<Account>) -> Decision {
        let delegation = Arc::clone(&self.delegation);
        let user = &admitted.user;
        let identity = match &*user.envelope.name {
            "" => self.identity.clone(),
            name => Identity::User(name.into()),
        };
        let mut grant = Grant::open(account, identity, self.proxy.as_deref());
        let own = permissions(&user.nats.rights.permissions);
        // Other than those of claims, the default permissions of a configured account are not for users of a
        // service: so the reference has it.
        let described = own.or_else(|| account.claimed()?.default_permissions());
        grant.permissions = described.map(|described| Arc::new(Permissions::compile(&described)));
        grant.by_service = account.claimed().map(|claimed| {
            // What the client showed of itself was no proof, whatever it is now.
            Box::new(ClaimedUser { is_bearer: false, ..*ClaimedUser::new(user, &claimed) })
        });
        grant.expires = admitted.expires;
        let is_by_signing_key = !user.nats.issuer_account.is_empty();
        let signer = if is_by_signing_key { &user.envelope.issuer } else { &**account.name() };
        grant.signed_by = Some(signer.into());
        // As in the reference those of the claims that it came with stay.
        grant.labels = Some(Box::new(self.labels)).filter(|labels| !labels.name.is_empty());
        delegation.restrict(&mut grant);
        Decision::Accepted(Box::new(grant))
    }
}

/// A service's answer, opened, that is to be judged.
#[derive(Debug)]
pub struct Answered {
    consultation: Consultation,
    question: Question,
    user: Result<UserClaims, Rejection>,
}

impl Answered {
    /// Opens the `answer` to a question of this consultation, which takes a while.
    pub fn open(
        consultation: Consultation,
        question: Question,
        answer: &[u8],
        keys: &ServerKeys,
        now: Timestamp,
    ) -> Self {
        let user = question.open(keys, &consultation.delegation.rules(), answer, now);
        Self { consultation, question, user }
    }

    /// What it decides; an account that a user is put into may have to be looked up before. `found` says
    /// what came of that. What the log is told of the client goes to `notes`.
    pub fn judge(
        self: Box<Self>,
        accounts: &Registry,
        found: Option<Result<(), Box<str>>>,
        now: Timestamp,
        notes: &mut Vec<Note>,
    ) -> Verdict {
        let consultation = &self.consultation;
        let delegation = Arc::clone(&consultation.delegation);
        let find = |name: &str| match accounts.find(name) {
            None => Target::Missing,
            Some(account) => account.claimed().map_or(Target::Configured, Target::Claimed),
        };
        let circumstances = Circumstances {
            now,
            proxied: consultation.proxy.is_some(),
            proxy_required: consultation.proxy_required,
            find: &find,
        };
        let rules = delegation.rules();
        let mut told = Vec::new();
        let user = self.user.clone();
        let judged = user.and_then(|user| self.question.admit(&rules, user, &circumstances, &mut told));
        let may_be_found = matches!(delegation.rule, Rule::Claimed(_)) && found.is_none();
        if let Err(Rejection { missing: Some(Missing::Account(name)), .. }) = &judged
            && may_be_found
        {
            return Verdict::NeedsAccount(name.as_str().into(), self);
        }
        notes.append(&mut told);
        let rejection = match judged {
            Ok(admitted) => match accounts.find(&admitted.account) {
                Some(account) => return Verdict::Decided(self.consultation.admit(&admitted, &account)),
                // It went away just now.
                None => return Verdict::Decided(self.consultation.unanswered("")),
            },
            Err(rejection) => rejection,
        };
        let lacks_proxy = rejection.missing == Some(Missing::Proxy);
        Verdict::Decided(self.consultation.refuse(lacks_proxy, rejection.reason))
    }
}

/// What an answer comes to.
#[derive(Debug)]
pub enum Verdict {
    /// The client is let in or not.
    Decided(Decision),
    /// This account is to be looked up, and the answer judged again.
    NeedsAccount(Box<str>, Box<Answered>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::SystemClock;

    fn delegation(allowed: &[&str]) -> (Arc<Delegation>, Registry) {
        let mut options = Options::default();
        let account = |name: &str| options::Account { name: name.to_owned(), ..options::Account::default() };
        options.accounts = vec![account("AUTH"), account("A"), account("B")];
        options.authorization.auth_callout = Some(AuthCallout {
            account: "AUTH".to_owned(),
            auth_users: vec!["svc".to_owned()],
            allowed_accounts: allowed.iter().map(|&name| name.to_owned()).collect(),
            ..AuthCallout::default()
        });
        let accounts = Registry::new(&options, Arc::new(SystemClock::new())).unwrap();
        (Delegation::configured(&options, &accounts).unwrap(), accounts)
    }

    #[test]
    fn service_decides_about_everybody_but_its_users_and_other_accounts() {
        use Standing::{Delegated, Final, Own};
        for (allowed, user, account, want) in [
            (&[][..], "ann", "A", Delegated),
            (&[], "ann", "$G", Delegated),
            (&[], "svc", "AUTH", Own),
            (&["A"], "ann", "A", Delegated),
            (&["A"], "ann", "B", Final),
            (&["A"], "ann", "$G", Delegated),
            // Its own account not being listed, even its users stand as they are.
            (&["A"], "svc", "AUTH", Final),
        ] {
            let (delegation, accounts) = delegation(allowed);
            let account = accounts.find(account).unwrap();
            let got = delegation.standing(Some(user), &account);
            assert_eq!(got, want, "{allowed:?} {user} {}", account.name());
        }
    }

    #[test]
    fn nobody_in_the_services_account_may_ask_it() {
        let (delegation, accounts) = delegation(&[]);
        for (account, may) in [("AUTH", false), ("A", true)] {
            let account = accounts.find(account).unwrap();
            let mut grant = Grant::open(&account, Identity::Nobody, None);
            delegation.restrict(&mut grant);
            let allows = |permissions: Arc<Permissions>| {
                permissions.publish().allow_publish(CALLOUT_SUBJECT.as_bytes())
            };
            assert_eq!(grant.permissions.is_none_or(allows), may, "{}", account.name());
        }
    }
}
