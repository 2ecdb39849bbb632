//! What a connection has become.

use std::sync::Arc;

use super::identity::Identity;
use super::permission::Permissions;
use super::policy::User;
use crate::server::account::{Account, Claimed};
use crate::server::base::clock::Timestamp;
use crate::server::jwt::UserClaims;

/// What a connection is, may do and how long.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The account it belongs to.
    pub account: Arc<Account>,
    /// Who it is.
    pub identity: Identity,
    /// What it may do; `None`: everything.
    pub permissions: Option<Arc<Permissions>>,
    /// Limits of its own, beside those of account and server.
    pub limits: UserLimits,
    /// When it is closed because its credentials have expired.
    pub expires: Option<Timestamp>,
    /// The key of the trusted proxy that vouched for it.
    pub proxy: Option<Box<str>>,
    /// The configured user that it has become, if it is one.
    pub user: Option<Arc<User>>,
    /// The key that stands for it in events, where that is not its claims': of the account, mostly.
    pub signed_by: Option<Box<str>>,
    /// What claims called it that no longer count.
    pub labels: Option<Box<Labels>>,
    /// The user that claims made of it, if they did.
    pub claimed: Option<Box<ClaimedUser>>,
    /// The user that a service's answer made of it, if it is of an account with claims: they may change what
    /// it is, but are not its own.
    pub by_service: Option<Box<ClaimedUser>>,
}

/// What claims call a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// Its name.
    pub name: Box<str>,
    /// Its tags.
    pub tags: Box<[String]>,
}

/// What stays known of a user that showed claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedUser {
    /// Its public key.
    pub key: Box<str>,
    /// Its name in the claims.
    pub name: Box<str>,
    /// Its labels.
    pub tags: Box<[String]>,
    /// The account's claims, as the connection keeps to them.
    pub account: Arc<Claimed>,
    /// When the claims were signed, in Unix seconds.
    pub issued_at: i64,
    /// It proved nothing but that it has the claims.
    pub is_bearer: bool,
    /// The signing key of the account that signed them; `None` where it was the account itself.
    pub signing_key: Option<Box<str>>,
    /// It may do what the account lets those do whose claims say nothing about it.
    pub has_default_permissions: bool,
    /// It is of the account of a service that decides, and must not pose as the server there, whatever else it
    /// may do.
    pub is_restricted: bool,
}

impl ClaimedUser {
    /// What stays known of a user of the account with these claims.
    pub(super) fn new(user: &UserClaims, account: &Arc<Claimed>) -> Box<Self> {
        let is_by_signing_key = !user.nats.issuer_account.is_empty();
        Box::new(Self {
            key: user.envelope.subject.as_str().into(),
            name: user.envelope.name.as_str().into(),
            tags: user.nats.about.tags.clone().into(),
            account: Arc::clone(account),
            issued_at: user.envelope.issued_at,
            is_bearer: user.nats.rights.bearer_token,
            signing_key: is_by_signing_key.then(|| user.envelope.issuer.as_str().into()),
            has_default_permissions: user.nats.rights.permissions.is_unset(),
            is_restricted: false,
        })
    }
}

/// Limits of one user; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// Subscriptions of a connection.
    pub subscriptions: Option<u32>,
    /// Bytes of a message.
    pub payload: Option<u32>,
}

impl Grant {
    /// A connection of `account` that may do everything.
    pub fn open(account: &Arc<Account>, identity: Identity, proxy: Option<&str>) -> Self {
        Self {
            account: Arc::clone(account),
            identity,
            permissions: None,
            limits: UserLimits::default(),
            expires: None,
            proxy: proxy.map(Into::into),
            user: None,
            signed_by: None,
            labels: None,
            claimed: None,
            by_service: None,
        }
    }

    /// A connection of the configured user `user`.
    pub fn of_user(user: &Arc<User>, identity: Identity, proxy: Option<&str>) -> Self {
        Self {
            permissions: user.permissions().cloned(),
            user: Some(Arc::clone(user)),
            ..Self::open(user.account(), identity, proxy)
        }
    }
}
