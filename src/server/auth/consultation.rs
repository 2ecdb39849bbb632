//! When a service outside decides about a client, and what becomes of its answer.
//!
//! The server's own verdict comes first, and is not final for those whom the service is asked about: it
//! binds the client to an account, which says whether the service is asked.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::callout::{self, AskError, CALLOUT_SUBJECT, Circumstances, Question, Rules, ServerKeys, Target};
use super::decide::{Decision, Refusal, RefusalReason};
use super::grant::Grant;
use super::identity::Identity;
use super::operator::granted;
use super::permission::Permissions;
use crate::server::account::{Account, Claimed, Registry, permissions};
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{self, AuthCallout, GLOBAL_ACCOUNT, Options};

/// Whom a service decides about.
#[derive(Debug)]
pub struct Delegation {
    scheme: Scheme,
    /// The account of the service; `None`: there is none of that name, and nobody who is asked about gets in.
    account: Option<Arc<Account>>,
    /// How long an answer may take.
    time_max: Duration,
}

/// Who wants the service asked.
#[derive(Debug)]
enum Scheme {
    /// The configuration.
    Configured {
        described: AuthCallout,
        /// Where a user may be put.
        accounts: HashMap<Box<str>, Placement>,
    },
    /// An account, by its claims; it may put users where these say.
    Claimed(Arc<Claimed>),
}

/// An account that a user may be put into.
#[derive(Debug)]
struct Placement {
    account: Arc<Account>,
    /// Those of its users that bring none.
    default_permissions: Option<Arc<Permissions>>,
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
    pub fn new(options: &Options, accounts: &Registry) -> Option<Arc<Self>> {
        let described = options.authorization.auth_callout.clone()?;
        let default_permissions = |name: &str| {
            let described = options.accounts.iter().find(|account| account.name == name)?;
            Some(Arc::new(Permissions::compile(described.default_permissions.as_ref()?)))
        };
        let named = |account: Arc<Account>| {
            let default_permissions = default_permissions(account.name());
            (Box::from(&**account.name()), Placement { account, default_permissions })
        };
        Some(Arc::new(Self {
            account: accounts.find(&described.account),
            scheme: Scheme::Configured {
                accounts: accounts.all().into_iter().map(named).collect(),
                described,
            },
            time_max: options.auth_timeout(),
        }))
    }

    /// The delegation of an account that has one by its claims.
    pub fn of_account(claimed: &Arc<Claimed>, accounts: &Registry, time_max: Duration) -> Option<Arc<Self>> {
        let claims = claimed.claims();
        claims.nats.authorization.is_enabled().then(|| {
            let account = accounts.find(&claims.envelope.subject);
            Arc::new(Self { scheme: Scheme::Claimed(Arc::clone(claimed)), account, time_max })
        })
    }

    fn rules(&self) -> Rules<'_> {
        match &self.scheme {
            Scheme::Configured { described, .. } => Rules::configured(described),
            Scheme::Claimed(claimed) => Rules::of_account(claimed.claims()),
        }
    }

    /// What the server's own verdict is worth for a client that calls itself `identity` and stands in
    /// `account`. Who was refused still stands in the global one.
    pub fn standing(&self, identity: &Identity, account: &Account) -> Standing {
        let described = match &self.scheme {
            Scheme::Configured { described, .. } => described,
            Scheme::Claimed(claimed) => {
                let users = &claimed.claims().nats.authorization.auth_users;
                let is_own = users.iter().any(|user| user == identity.name());
                return if is_own { Standing::Own } else { Standing::Delegated };
            }
        };
        let name: &str = account.name();
        let allowed = &described.allowed_accounts;
        if name != GLOBAL_ACCOUNT && !allowed.is_empty() && !allowed.iter().any(|one| one == name) {
            return Standing::Final;
        }
        if described.auth_users.iter().any(|user| user == identity.name()) {
            return Standing::Own;
        }
        Standing::Delegated
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
            let subjects = [CALLOUT_SUBJECT];
            let permissions = match &grant.permissions {
                Some(permissions) => permissions.without_publish(&subjects),
                None => Permissions::compile(&options::Permissions::default()).without_publish(&subjects),
            };
            grant.permissions = Some(Arc::new(permissions));
        }
    }

    /// Whether answers can be judged without looking for accounts.
    pub const fn knows_accounts(&self) -> bool {
        matches!(self.scheme, Scheme::Configured { .. })
    }

    fn placement(&self, name: &str) -> Option<&Placement> {
        match &self.scheme {
            Scheme::Configured { accounts, .. } => accounts.get(name),
            Scheme::Claimed(_) => None,
        }
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
    ) -> Self {
        Self { delegation: Arc::clone(delegation), about, identity, proxy, proxy_required }
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

    /// What the service's answer, `body`, decides.
    pub fn judge(self, question: &Question, keys: &ServerKeys, body: &[u8], now: Timestamp) -> Decision {
        let delegation = Arc::clone(&self.delegation);
        let find = |name: &str| match delegation.placement(name) {
            Some(_) => Target::Configured,
            None => Target::Missing,
        };
        match self.verdict(question, keys, body, now, &find) {
            Ok(admitted) => self.admit(&admitted),
            Err(refusal) => self.refused(refusal),
        }
    }

    fn verdict(
        &self,
        question: &Question,
        keys: &ServerKeys,
        body: &[u8],
        now: Timestamp,
        find: &dyn Fn(&str) -> Target,
    ) -> Result<callout::Admitted, callout::Refusal> {
        let circumstances =
            Circumstances { now, proxied: self.proxy.is_some(), proxy_required: self.proxy_required, find };
        question.judge(keys, &self.delegation.rules(), body, &circumstances)
    }

    fn refused(self, refusal: callout::Refusal) -> Decision {
        let reason = if refusal.for_want_of_a_proxy {
            RefusalReason::ProxyRequired
        } else {
            RefusalReason::Credentials
        };
        self.refuse(reason, refusal.reason)
    }

    /// What follows where nothing came in time, or nothing could be asked: with the text that the log had.
    pub fn unanswered(self, text: impl Into<String>) -> Decision {
        self.refuse(RefusalReason::Credentials, text)
    }

    fn refuse(self, reason: RefusalReason, told: impl Into<String>) -> Decision {
        let told = Some(told.into().into_boxed_str());
        let service = match &self.delegation.scheme {
            Scheme::Configured { .. } => None,
            Scheme::Claimed(claimed) => Some(Arc::clone(claimed)),
        };
        Decision::Refused(Refusal { reason, identity: self.identity, told, service })
    }

    fn admit(self, admitted: &callout::Admitted) -> Decision {
        let Some(place) = self.delegation.placement(&admitted.account) else {
            return self.unanswered("");
        };
        let mut grant = self.grant(admitted, &place.account);
        let own = permissions(&admitted.user.nats.rights.permissions);
        let own = own.map(|permissions| Arc::new(Permissions::compile(&permissions)));
        grant.permissions = own.or_else(|| place.default_permissions.clone());
        self.delegation.restrict(&mut grant);
        Decision::Accepted(Box::new(grant))
    }

    fn grant(&self, admitted: &callout::Admitted, account: &Arc<Account>) -> Grant {
        let identity = match &*admitted.user.envelope.name {
            "" => self.identity.clone(),
            name => Identity::User(name.into()),
        };
        Grant { expires: admitted.expires, ..Grant::open(account, identity, self.proxy.as_deref()) }
    }
}

/// A service's answer that is judged where accounts can be found, and may have to wait for one.
pub struct Answered {
    consultation: Consultation,
    question: Question,
    body: Box<[u8]>,
}

impl fmt::Debug for Answered {
    /// Without the body, which holds claims.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").field("consultation", &self.consultation).finish_non_exhaustive()
    }
}

impl Answered {
    /// The answer `body` to `question`.
    pub fn new(consultation: Consultation, question: Question, body: &[u8]) -> Box<Self> {
        Box::new(Self { consultation, question, body: body.into() })
    }

    /// What it decides. `is_last`: there is nothing more to be looked up.
    ///
    /// # Errors
    /// This account has to be looked up first.
    pub fn judge(
        self: Box<Self>,
        keys: &ServerKeys,
        accounts: &Registry,
        is_last: bool,
        now: Timestamp,
    ) -> Result<Decision, (Box<str>, Box<Self>)> {
        let missing = Cell::new(None);
        let find = |name: &str| match accounts.find(name).and_then(|account| account.claimed()) {
            Some(claimed) => Target::Claimed(Arc::clone(claimed.claims())),
            None => {
                missing.set(Some(Box::from(name)));
                Target::Missing
            }
        };
        let verdict = self.consultation.verdict(&self.question, keys, &self.body, now, &find);
        match (verdict, missing.take()) {
            (Ok(admitted), _) => Ok(self.consultation.admit_claimed(admitted, accounts)),
            (Err(_), Some(name)) if !is_last => Err((name, self)),
            (Err(refusal), _) => Ok(self.consultation.refused(refusal)),
        }
    }
}

impl Consultation {
    fn admit_claimed(self, admitted: callout::Admitted, accounts: &Registry) -> Decision {
        let account = accounts.find(&admitted.account);
        let found = account.and_then(|account| Some((account.claimed()?, account)));
        let Some((claimed, account)) = found else { return self.unanswered("") };
        let grant = self.grant(&admitted, &account);
        let by_claims =
            granted(admitted.user, &account, &claimed, grant.identity.clone(), self.proxy.as_deref());
        let mut grant = Grant { expires: grant.expires, ..by_claims };
        self.delegation.restrict(&mut grant);
        Decision::Accepted(Box::new(grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::SystemClock;

    fn delegation(allowed: &[&str]) -> Arc<Delegation> {
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
        Delegation::new(&options, &accounts).unwrap()
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
            let delegation = delegation(allowed);
            let account = &delegation.placement(account).unwrap().account;
            let got = delegation.standing(&Identity::User(user.into()), account);
            assert_eq!(got, want, "{allowed:?} {user} {}", account.name());
        }
    }

    #[test]
    fn nobody_in_the_services_account_may_ask_it() {
        let delegation = delegation(&[]);
        for (account, may) in [("AUTH", false), ("A", true)] {
            let account = &delegation.placement(account).unwrap().account;
            let mut grant = Grant::open(account, Identity::Nobody, None);
            delegation.restrict(&mut grant);
            let allows = |permissions: Arc<Permissions>| {
                permissions.publish().allow_publish(CALLOUT_SUBJECT.as_bytes())
            };
            assert_eq!(grant.permissions.is_none_or(allows), may, "{}", account.name());
        }
    }
}
