//! Who may connect, compiled from the options: what a login is judged by. Swapped whole at a reload.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::consultation::Delegation;
use super::decide::{Decision, Refusal};
use super::embedder::{Authenticator, Custom};
use super::identity::Identity;
use super::permission::Permissions;
use super::secret::Secret;
use crate::server::account::{Account, Registry, Trust};
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{self, ConnectionType, Options, UserIdentity};
use crate::server::jwt::UserClaims;
use crate::server::net::DistinguishedName;
use crate::server::protocol::connect::ConnectOptions;

/// One configured user.
#[derive(Debug, PartialEq)]
pub struct User {
    name: Box<str>,
    /// What proves it; `None`: the key that is its name.
    secret: Option<Secret>,
    account: ByIdentity<Account>,
    permissions: Option<ByIdentity<Permissions>>,
    connection_types: Vec<ConnectionType>,
    proxy_required: bool,
}

/// Something shared that equals only itself.
#[derive(Debug, Clone)]
struct ByIdentity<T>(Arc<T>);

impl<T> PartialEq for ByIdentity<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl User {
    /// Its name, or its public key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What proves it; `None`: the key that is its name.
    pub const fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }

    /// Its account.
    pub const fn account(&self) -> &Arc<Account> {
        &self.account.0
    }

    /// What it may do; `None`: everything.
    pub fn permissions(&self) -> Option<&Arc<Permissions>> {
        self.permissions.as_ref().map(|permissions| &permissions.0)
    }

    /// Whether it has to come through a trusted proxy.
    pub const fn is_proxy_required(&self) -> bool {
        self.proxy_required
    }

    /// Whether it may use this kind of connection.
    pub fn may_use(&self, connection: ConnectionType) -> bool {
        self.connection_types.is_empty() || self.connection_types.contains(&connection)
    }
}

/// By what logins are judged.
#[derive(Debug)]
pub struct Policy {
    users: HashMap<Box<str>, Arc<User>>,
    nkeys: HashMap<Box<str>, Arc<User>>,
    /// The one user or token of a configuration without a list.
    single: Option<Arc<User>>,
    single_token: bool,
    no_auth_user: Option<Box<str>>,
    /// The user for everybody was made by the server: nobody is told.
    made_up: bool,
    maps_certificates: bool,
    /// Users by the distinguished names that they are called by, in the order of their names.
    names: Vec<(DistinguishedName, Arc<User>)>,
    proxies: Vec<String>,
    proxy_required: bool,
    always_nonce: bool,
    timeout: Duration,
    global: Arc<Account>,
    /// Those that an embedder may name.
    accounts: HashMap<Box<str>, Arc<Account>>,
    custom: Option<Custom>,
    delegation: Option<Arc<Delegation>>,
    /// Whose claims make accounts; `None`: nobody shows claims.
    trust: Option<Trust>,
    /// Claims of the user that stands in for whoever shows none.
    sentinel: Option<Box<str>>,
}

/// What an embedder wants beyond the options, and what stays from one policy to the next.
#[derive(Debug, Clone, Default)]
pub struct PolicyBuilder {
    custom: Option<Custom>,
    always_nonce: bool,
    /// Name of the user for everybody where only the system account has users.
    anonymous: Box<str>,
}

impl PolicyBuilder {
    /// Policies of a server; `anonymous` is how it calls users that it has to make up.
    pub fn new(anonymous: &str) -> Self {
        Self { anonymous: anonymous.into(), ..Self::default() }
    }

    /// Lets an embedder decide.
    pub fn set_authenticator(&mut self, authenticator: impl Authenticator) {
        self.custom = Some(Custom(Arc::new(authenticator)));
    }

    /// Gives clients a nonce even where nothing of the server's own needs it.
    pub fn set_always_nonce(&mut self, always: bool) {
        self.always_nonce = always;
    }

    /// The policy of these options. What did not change since `before` is taken over from it, so that
    /// connections see that nothing changed.
    pub fn build(&self, options: &Options, accounts: &Registry, before: Option<&Policy>) -> Policy {
        let global = accounts.global();
        let mut policy = Policy {
            users: HashMap::new(),
            nkeys: HashMap::new(),
            single: None,
            single_token: false,
            no_auth_user: options.no_auth_user.as_deref().map(Into::into),
            made_up: false,
            maps_certificates: options.tls.as_ref().is_some_and(|tls| tls.verify_and_map),
            names: Vec::new(),
            proxies: options.proxies_trusted.clone().unwrap_or_default(),
            proxy_required: options.authorization.proxy_required,
            always_nonce: self.always_nonce,
            timeout: options.auth_timeout(),
            global: Arc::clone(global),
            accounts: HashMap::new(),
            custom: self.custom.clone(),
            delegation: Delegation::configured(options, accounts).filter(|_| self.custom.is_none()),
            trust: Trust::of(options),
            sentinel: options.default_sentinel.as_deref().filter(|token| !token.is_empty()).map(Into::into),
        };
        for user in &options.users {
            // An account that is named and not there: the reader of the file refuses that.
            let account = user.account.as_deref().and_then(|name| accounts.find(name));
            policy.add(user, account.unwrap_or_else(|| Arc::clone(global)), before);
        }
        if self.makes_up_a_user(options) {
            policy.add(&made_up_user(&self.anonymous), Arc::clone(global), before);
            policy.no_auth_user = Some(self.anonymous.clone());
            policy.made_up = true;
        }
        let single = &options.authorization;
        let token = single.token.as_deref().filter(|token| !token.is_empty());
        let username = single.username.as_deref().filter(|name| !name.is_empty());
        policy.single_token = token.is_some();
        policy.single = match (token, username) {
            (Some(token), _) => Some(("", token)),
            (None, Some(name)) => Some((name, single.password.as_deref().unwrap_or_default())),
            (None, None) => None,
        }
        .map(|(name, secret)| single_user(name, secret, global));
        if policy.maps_certificates {
            policy.names = distinguished_names(&policy.users);
        }
        if policy.custom.is_some() {
            let named = options.accounts.iter().filter_map(|account| accounts.find(&account.name));
            let all = named.chain([Arc::clone(global), Arc::clone(accounts.system())]);
            policy.accounts = all.map(|account| (Box::from(&**account.name()), account)).collect();
        }
        policy
    }

    /// Where users were only given to the system account, the global one stays open for everybody.
    fn makes_up_a_user(&self, options: &Options) -> bool {
        let system = options.configured_system_account();
        let only_system = matches!(&*options.accounts, [only] if Some(only.name.as_str()) == system);
        only_system && options.no_auth_user.is_none() && !options.authorization.defined
    }
}

fn made_up_user(name: &str) -> options::User {
    let password = name.get(6..).unwrap_or_default().to_owned();
    options::User {
        identity: UserIdentity::Password { username: name.to_owned(), password },
        permissions: None,
        account: None,
        allowed_connection_types: Vec::new(),
        proxy_required: false,
    }
}

fn single_user(name: &str, secret: &str, account: &Arc<Account>) -> Arc<User> {
    Arc::new(User {
        name: name.into(),
        secret: Some(Secret::new(secret)),
        account: ByIdentity(Arc::clone(account)),
        permissions: None,
        connection_types: Vec::new(),
        proxy_required: false,
    })
}

/// The names of users that are distinguished names.
fn distinguished_names(users: &HashMap<Box<str>, Arc<User>>) -> Vec<(DistinguishedName, Arc<User>)> {
    let mut named: Vec<_> = users
        .values()
        .filter_map(|user| Some((DistinguishedName::parse(user.name()).ok()?, Arc::clone(user))))
        .collect();
    named.sort_by(|(_, one), (_, other)| one.name().cmp(other.name()));
    named
}

impl Policy {
    fn add(&mut self, described: &options::User, account: Arc<Account>, before: Option<&Self>) {
        let (secret, is_nkey) = match &described.identity {
            UserIdentity::Password { password, .. } => (Some(Secret::new(password)), false),
            UserIdentity::Nkey(_) => (None, true),
        };
        let name = described.identity.name();
        let known = before.and_then(|before| before.of(is_nkey).get(name));
        let permissions = described.permissions.as_ref().map(|wanted| {
            let known = known.and_then(|user| user.permissions()).filter(|known| known.is_of(wanted));
            ByIdentity(known.cloned().unwrap_or_else(|| Arc::new(Permissions::compile(wanted))))
        });
        let user = User {
            name: name.into(),
            secret,
            account: ByIdentity(account),
            permissions,
            connection_types: described.allowed_connection_types.clone(),
            proxy_required: described.proxy_required,
        };
        let user = known.filter(|known| ***known == user).cloned().unwrap_or_else(|| Arc::new(user));
        let list = if is_nkey { &mut self.nkeys } else { &mut self.users };
        list.insert(name.into(), user);
    }

    fn of(&self, is_nkey: bool) -> &HashMap<Box<str>, Arc<User>> {
        if is_nkey { &self.nkeys } else { &self.users }
    }

    /// Whether credentials are asked for.
    pub fn is_required(&self) -> bool {
        self.custom.is_some()
            || self.trust.is_some()
            || self.has_users()
            || self.has_nkeys()
            || self.single.is_some()
    }

    /// The service outside that decides about clients.
    pub const fn delegation(&self) -> Option<&Arc<Delegation>> {
        self.delegation.as_ref()
    }

    /// The token that a client shows where claims are asked for: what it said, or that of the user who
    /// stands in for whoever says nothing.
    pub fn shown_token<'a>(&'a self, said: &'a str) -> &'a str {
        match &self.trust {
            None => "",
            Some(_) if UserClaims::decode(said).is_ok() => said,
            Some(_) => self.sentinel.as_deref().unwrap_or_default(),
        }
    }

    /// The account of a client that shows claims, where they are good and the account is in use.
    pub fn account_by_claims(&self, said: &str, accounts: &Registry, now: Timestamp) -> Option<Arc<Account>> {
        let user = UserClaims::decode(self.shown_token(said)).ok()?;
        if user.validate(now).is_blocking(true) {
            return None;
        }
        accounts.find(user.account())
    }

    /// Whether clients are told so when they are greeted: not where everybody is let in.
    pub fn tells_required(&self) -> bool {
        self.is_required() && (self.no_auth_user.is_none() || self.made_up)
    }

    /// Whether clients are given a nonce.
    pub fn needs_nonce(&self) -> bool {
        self.always_nonce || self.trust.is_some() || self.has_nkeys() || !self.proxies.is_empty()
    }

    /// Time to authenticate.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether there are users with passwords.
    pub fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// Whether there are users with keys.
    pub fn has_nkeys(&self) -> bool {
        !self.nkeys.is_empty()
    }

    /// The user with this name.
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// Whether somebody is called so, of a list or the only one.
    fn has_user(&self, name: &str) -> bool {
        let is_only = || self.single.as_ref().is_some_and(|single| single.name() == name);
        !name.is_empty() && (self.users.contains_key(name) || is_only())
    }

    /// The user with this public key.
    pub fn nkey(&self, key: &str) -> Option<&Arc<User>> {
        self.nkeys.get(key)
    }

    /// The user that a login was judged as, by name or key: not what it calls itself beside that. A key counts
    /// where keys are configured, and only one of those; nothing that nobody looked at makes somebody of it.
    pub fn looked_up<'a>(&self, said: &'a ConnectOptions, decision: &'a Decision) -> Option<&'a str> {
        match decision {
            Decision::Accepted(grant) => match (&grant.claimed, &grant.user) {
                (Some(claimed), _) => Some(&claimed.key),
                (None, Some(user)) => Some(user.name()),
                (None, None) => None,
            },
            Decision::Refused(Refusal { identity: Identity::Jwt(key), .. }) => Some(key),
            Decision::Refused(_) if self.has_nkeys() && !said.nkey.is_empty() => {
                self.nkey(&said.nkey).map(|_| said.nkey.as_str())
            }
            Decision::Refused(_) => Some(said.user.as_str()).filter(|user| self.has_user(user)),
            _ => None,
        }
    }

    /// The name of the user for those who give no credentials.
    pub fn no_auth_user(&self) -> Option<&str> {
        self.no_auth_user.as_deref()
    }

    /// What a client that gives no credentials is taken to have said: as if it had given those of the user for
    /// everybody, as they are configured. So a reload that changes them is felt; and nobody gets in without a
    /// word where the word is known by its hash alone.
    ///
    /// `None`: it gives some, or there is no such user.
    pub fn completed(&self, said: &ConnectOptions) -> Option<ConnectOptions> {
        let gives_some = !said.user.is_empty() || !said.pass.is_empty() || !said.auth_token.is_empty();
        if gives_some || self.is_custom() || self.trust.is_some() {
            return None;
        }
        let name = self.no_auth_user()?;
        let mut completed = ConnectOptions::clone(said);
        if said.nkey.is_empty() && self.nkey(name).is_some() {
            name.clone_into(&mut completed.nkey);
            return Some(completed);
        }
        let is_by_key = self.has_nkeys() && !said.nkey.is_empty();
        let user = self.user(name).filter(|_| !is_by_key && !self.maps_certificates)?;
        name.clone_into(&mut completed.user);
        user.secret().map_or("", Secret::configured).clone_into(&mut completed.pass);
        Some(completed)
    }

    /// The name of the user for everybody where the server made it up.
    pub fn made_up_user(&self) -> Option<&str> {
        self.no_auth_user().filter(|_| self.made_up)
    }

    /// The user for those who send no CONNECT at all, if this kind of connection may.
    pub fn user_without_connect(&self, connection: ConnectionType) -> Option<&Arc<User>> {
        let user = self.user(self.no_auth_user()?)?;
        Some(user).filter(|user| !user.proxy_required && user.may_use(connection))
    }

    /// The user who is called by this distinguished name, in order or else as a set.
    pub(super) fn user_with_name(
        &self,
        name: &DistinguishedName,
        connection: ConnectionType,
    ) -> Option<Arc<User>> {
        let find = |matches: fn(&DistinguishedName, &DistinguishedName) -> bool| {
            let found = self.names.iter().find(|(own, user)| user.may_use(connection) && matches(own, name));
            found.map(|(_, user)| Arc::clone(user))
        };
        find(DistinguishedName::matches).or_else(|| find(DistinguishedName::matches_in_any_order))
    }

    /// Whether an embedder decides.
    pub const fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// Whether it matters which certificate a client presented.
    pub const fn reads_certificates(&self) -> bool {
        self.maps_certificates || self.custom.is_some()
    }

    /// Whether certificates say who somebody is.
    pub(super) const fn maps_certificates(&self) -> bool {
        self.maps_certificates
    }

    /// Whether a user without a password is one by certificate only, on whatever listener.
    pub(super) fn needs_certificate(&self, user: &User) -> bool {
        let is_blank = user.secret.as_ref().is_some_and(Secret::is_empty);
        is_blank && self.maps_certificates && user.may_use(ConnectionType::Standard)
    }

    /// The one user or token of a configuration without a list.
    pub(super) const fn single(&self) -> Option<&Arc<User>> {
        self.single.as_ref()
    }

    /// Whether [`Self::single`] is a token.
    pub(super) const fn is_single_token(&self) -> bool {
        self.single_token
    }

    /// Whether [`Self::single`] has to come through a trusted proxy.
    pub(super) const fn is_proxy_required(&self) -> bool {
        self.proxy_required
    }

    /// The keys of trusted proxies.
    pub fn proxies(&self) -> &[String] {
        &self.proxies
    }

    /// The account of those who have no other.
    pub const fn global(&self) -> &Arc<Account> {
        &self.global
    }

    /// The account with this name, where an embedder decides.
    pub(super) fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    /// Whose claims make accounts; `None`: nobody shows claims.
    pub const fn trust(&self) -> Option<&Trust> {
        self.trust.as_ref()
    }

    /// Claims of the user that stands in for whoever shows none.
    pub(super) fn sentinel(&self) -> Option<&str> {
        self.sentinel.as_deref()
    }

    /// The embedder's authenticator.
    pub(super) const fn custom(&self) -> Option<&Custom> {
        self.custom.as_ref()
    }
}
