//! Users: who may connect to an account, from where and when, and what they may do there.

use std::net::IpAddr;

use crate::server::base::clock::Timestamp;

use super::claims::{About, Body, Claim, Claims};
use super::document::{Document, Each, When};
use super::findings::Findings;
use super::networks;
use super::nkey::{self, KeyKind};
use super::permissions::{NatsLimits, Permissions, UserLimits};
use super::times::{self, Window};

/// What a user may, and within which limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserRights {
    /// Subjects.
    pub permissions: Permissions,
    /// Networks, times, sizes.
    pub limits: UserLimits,
    /// The token alone proves the user, without a signature.
    pub bearer_token: bool,
    /// The connection must come from a trusted proxy.
    pub proxy_required: bool,
    /// Kinds of connections; none means all.
    pub connection_types: Vec<String>,
}

impl UserRights {
    /// Says nothing at all, not even that there are no limits.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a connection from this address may be; `None` is a connection without one.
    #[must_use]
    pub fn allows_host(&self, host: Option<IpAddr>) -> bool {
        networks::allow(&self.limits.networks, host)
    }

    /// What the times of day say about this moment.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> Window {
        times::window(&self.limits.times, &self.limits.zone, now)
    }
}

impl Document for UserRights {
    const TYPE: &'static str = "jwt.UserPermissionLimits";

    fn fields(&mut self, each: Each<'_>) {
        self.permissions.fields(each);
        self.limits.fields(each);
        each("bearer_token", When::Any, &mut self.bearer_token);
        each("proxy_required", When::Any, &mut self.proxy_required);
        each("allowed_connection_types", When::Any, &mut self.connection_types);
    }
}

/// What a user's claims say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Own rights; nothing where a signing key's scope gives them.
    pub rights: UserRights,
    /// The account, where a signing key of it is the issuer.
    pub issuer_account: String,
    /// Tags, kind, version.
    pub about: About,
}

/// A user's claims.
pub type UserClaims = Claim<User>;

impl UserClaims {
    /// Claims about a user without limits.
    #[must_use]
    pub fn unlimited(subject: impl Into<String>) -> Self {
        let mut claim = Self::new(subject);
        claim.nats.rights.limits.nats = NatsLimits::NONE;
        claim
    }

    /// Public key of the account that the user belongs to.
    #[must_use]
    pub fn account(&self) -> &str {
        let (user, envelope) = (&self.nats, &self.envelope);
        if user.issuer_account.is_empty() { &envelope.issuer } else { &user.issuer_account }
    }
}

impl Document for User {
    const TYPE: &'static str = "jwt.User";

    fn fields(&mut self, each: Each<'_>) {
        self.rights.fields(each);
        each("issuer_account", When::Any, &mut self.issuer_account);
        self.about.fields(each);
    }
}

impl Body for User {
    const KIND: &'static str = "user";
    const NAME: &'static str = "UserClaims";
    const OTHERS: &'static str = "not user claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<UserClaims> {
        if let Claims::User(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &UserClaims, now: Timestamp, findings: &mut Findings) {
        claim.envelope.validate(now, findings);
        claim.nats.rights.permissions.validate(findings);
        claim.nats.rights.limits.validate(findings);
        validate_issuer_account(&claim.nats.issuer_account, findings);
    }

    fn refuse(claim: &UserClaims) -> Option<&'static str> {
        let is_user = nkey::is_public(&claim.envelope.subject, KeyKind::User);
        (!is_user).then_some("expected subject to be user public key")
    }
}

pub(super) fn validate_issuer_account(account: &str, findings: &mut Findings) {
    if !account.is_empty() && !nkey::is_public(account, KeyKind::Account) {
        findings.error("account_id is not an account public key");
    }
}
