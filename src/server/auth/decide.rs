//! Whether somebody may connect, and as whom: the order in which credentials are looked at.

use std::sync::Arc;

use super::applicant::Applicant;
use super::consultation::Answered;
use super::embedder::Login;
use super::grant::Grant;
use super::identity::Identity;
use super::policy::{Policy, User};
use super::secret::{Given, Secret};
use super::work::Work;
use super::{certificate, nkey, proxy};
use crate::server::account::Account;
use crate::server::base::quote::quote;
use crate::server::protocol::error::WireError;

/// What was decided.
#[derive(Debug)]
pub enum Decision {
    /// It may connect.
    Accepted(Box<Grant>),
    /// It may not.
    Refused(Refusal),
    /// It is not decided before this is done.
    Pending(Work),
    /// It is not decided before this account is in use: it is to be looked up, and decided anew.
    NeedsAccount(Box<str>),
    /// An account was looked up: it is to be decided anew.
    LookedUp(Result<(), Box<str>>),
    /// A service outside has answered: that is to be judged.
    Answered(Box<Answered>),
}

/// Why somebody may not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub reason: RefusalReason,
    /// Who was refused.
    pub identity: Identity,
    /// The key of the trusted proxy that vouched for it.
    pub proxy: Option<Box<str>>,
    /// What a service outside that decided it said.
    pub told: Option<Told>,
}

/// Why a service outside refused somebody.
#[derive(Debug, Clone)]
pub struct Told {
    /// The reason; empty where it did not answer in time.
    pub text: Box<str>,
    /// The service's account.
    pub account: Option<Arc<Account>>,
}

impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Told {}

/// What is wrong with a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Its credentials.
    Credentials,
    /// The proxy in front is not trusted.
    ProxyNotTrusted,
    /// There is no proxy in front, and the user needs one.
    ProxyRequired,
}

/// Something that the log is told on the way to a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A detail about the connection.
    Debug(String),
    /// Something about the connection that an operator should know.
    Error(String),
    /// A warning about no connection in particular.
    Warning(String),
}

impl Refusal {
    /// Wrong credentials.
    pub const fn violation(identity: Identity) -> Self {
        Self { reason: RefusalReason::Credentials, identity, proxy: None, told: None }
    }

    /// What the peer is told.
    pub const fn wire(&self) -> WireError<'static> {
        match self.reason {
            RefusalReason::Credentials => WireError::AuthorizationViolation,
            RefusalReason::ProxyNotTrusted => WireError::ProxyNotTrusted,
            RefusalReason::ProxyRequired => WireError::ProxyRequired,
        }
    }
}

/// Decides about a client. What the log is told goes to `notes`.
pub fn decide(policy: &Arc<Policy>, applicant: &Applicant<'_>, notes: &mut Vec<Note>) -> Decision {
    if policy.custom().is_some() {
        let login = Login {
            options: applicant.said.clone(),
            nonce: applicant.nonce.to_owned(),
            peer: applicant.peer,
            connection: applicant.connection,
            id: applicant.id,
            certificate: applicant.certificate.cloned(),
        };
        return Decision::Pending(Work::Ask { policy: Arc::clone(policy), login: Box::new(login) });
    }
    Inquiry { policy, applicant, notes }.decide()
}

/// One decision on its way.
pub(super) struct Inquiry<'a> {
    pub(super) policy: &'a Policy,
    pub(super) applicant: &'a Applicant<'a>,
    pub(super) notes: &'a mut Vec<Note>,
}

impl<'a> Inquiry<'a> {
    fn decide(mut self) -> Decision {
        let proxy = match self.proxy() {
            Ok(proxy) => proxy,
            Err(refusal) => return Decision::Refused(refusal),
        };
        self.decide_behind(proxy).unwrap_or_else(|refusal| {
            // A service outside may have another opinion, and has to know.
            Decision::Refused(Refusal { proxy: proxy.map(Into::into), ..refusal })
        })
    }

    fn decide_behind(&mut self, proxy: Option<&str>) -> Result<Decision, Refusal> {
        if !self.policy.is_required() {
            return Ok(accepted(Grant::open(self.policy.global(), self.said(), proxy)));
        }
        if let Some(trust) = self.policy.trust() {
            return self.by_claims(trust, proxy);
        }
        if let Some(user) = self.nkey_user()? {
            return self.by_signature(&user, proxy);
        }
        if let Some(user) = self.certified_user()? {
            return self.by_password(&user, true, proxy);
        }
        if let Some(user) = self.named_user()? {
            return self.by_password(&user, false, proxy);
        }
        self.by_single(proxy)
    }

    /// Who the applicant says to be.
    pub(super) fn said(&self) -> Identity {
        match self.applicant.held.map(|held| &held.identity) {
            // Who was let in by claims keeps the name that they gave it.
            Some(identity @ Identity::Jwt(_)) => identity.clone(),
            _ => Identity::said(self.applicant.said),
        }
    }

    pub(super) fn refused(&self) -> Refusal {
        Refusal::violation(self.said())
    }

    fn refused_for(&mut self, reason: RefusalReason, text: &str) -> Refusal {
        self.note(text);
        Refusal { reason, ..self.refused() }
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(Note::Debug(text.into()));
    }

    fn proxy(&mut self) -> Result<Option<&'a str>, Refusal> {
        let Applicant { said, nonce, .. } = *self.applicant;
        proxy::vouched(self.policy.proxies(), nonce, &said.proxy_sig).map_err(|detail| {
            detail.into_iter().for_each(|detail| self.note(detail));
            self.refused_for(RefusalReason::ProxyNotTrusted, "proxy is not trusted")
        })
    }

    pub(super) fn check_proxy(&mut self, required: bool, proxy: Option<&str>) -> Result<(), Refusal> {
        if required && proxy.is_none() {
            return Err(self.refused_for(RefusalReason::ProxyRequired, "proxy connection required"));
        }
        Ok(())
    }

    /// As [`Self::check_proxy`], once it is known who the user is.
    fn check_proxy_of(
        &mut self,
        user: &User,
        identity: &Identity,
        proxy: Option<&str>,
    ) -> Result<(), Refusal> {
        let refused = |refusal| Refusal { identity: identity.clone(), ..refusal };
        self.check_proxy(user.is_proxy_required(), proxy).map_err(refused)
    }

    /// The user whose key was given.
    fn nkey_user(&self) -> Result<Option<Arc<User>>, Refusal> {
        let key = &*self.applicant.said.nkey;
        if !self.policy.has_nkeys() || key.is_empty() {
            return Ok(None);
        }
        let user = self.policy.nkey(key).filter(|user| user.may_use(self.applicant.connection));
        user.cloned().map(Some).ok_or_else(|| Refusal::violation(Identity::Nkey(key.into())))
    }

    fn by_signature(&mut self, user: &Arc<User>, proxy: Option<&str>) -> Result<Decision, Refusal> {
        let identity = Identity::Nkey(user.name().into());
        self.check_proxy_of(user, &identity, proxy)?;
        let Applicant { said, nonce, .. } = *self.applicant;
        if self.policy.no_auth_user() != Some(user.name()) {
            nkey::verify(user.name(), nonce, &said.sig).map_err(|detail| {
                self.note(detail);
                Refusal::violation(identity.clone())
            })?;
        }
        Ok(accepted(Grant::of_user(user, identity, proxy)))
    }

    /// The user that the client's certificate names, where certificates do that.
    fn certified_user(&mut self) -> Result<Option<Arc<User>>, Refusal> {
        if !self.policy.has_users() || !self.policy.maps_certificates() {
            return Ok(None);
        }
        let Some(user) = certificate::user_of(self.policy, self.applicant, self.notes) else {
            return Err(self.refused());
        };
        let said = self.applicant.said;
        if !said.user.is_empty() {
            let user = quote(&said.user);
            let text = format!("User {user} found in connect proto, but user required from cert");
            self.notes.push(Note::Warning(text));
        }
        Ok(Some(user))
    }

    /// The user whose name was given.
    fn named_user(&self) -> Result<Option<Arc<User>>, Refusal> {
        let Applicant { said, connection, .. } = *self.applicant;
        if !self.policy.has_users() || said.user.is_empty() {
            return Ok(None);
        }
        let user = self.policy.user(&said.user).filter(|user| user.may_use(connection));
        user.cloned().map(Some).ok_or_else(|| self.refused())
    }

    fn by_password(
        &mut self,
        user: &Arc<User>,
        is_certified: bool,
        proxy: Option<&str>,
    ) -> Result<Decision, Refusal> {
        // A key that was given goes before the name.
        let identity = match self.said() {
            Identity::Nobody | Identity::Token | Identity::User(_) => Identity::User(user.name().into()),
            key => key,
        };
        self.check_proxy_of(user, &identity, proxy)?;
        let is_default = self.policy.no_auth_user() == Some(user.name());
        if !is_certified && !is_default && self.policy.needs_certificate(user) {
            self.note(format!("User {} requires a client certificate", quote(user.name())));
            return Err(Refusal::violation(identity));
        }
        self.compare(user, &self.applicant.said.pass, Grant::of_user(user, identity, proxy))
    }

    /// The one user, or the one token, of a configuration without a list of users.
    fn by_single(&mut self, proxy: Option<&str>) -> Result<Decision, Refusal> {
        self.check_proxy(self.policy.is_proxy_required(), proxy)?;
        let Some(single) = self.policy.single().cloned() else { return Err(self.refused()) };
        let said = self.applicant.said;
        let grant = Grant::of_user(&single, self.said(), proxy);
        if self.policy.is_single_token() {
            return self.compare(&single, &said.auth_token, grant);
        }
        if said.user != single.name() {
            return Err(self.refused());
        }
        self.compare(&single, &said.pass, grant)
    }

    /// Compares what was given with the user's secret: at once, or later where it is a hash.
    fn compare(&self, user: &User, given: &str, grant: Grant) -> Result<Decision, Refusal> {
        let Some(secret) = user.secret() else { return Err(Refusal::violation(grant.identity)) };
        let held = self.applicant.held.and_then(|held| held.user.as_ref());
        let is_proven = held.is_some_and(|held| held.name() == user.name() && held.secret() == Some(secret));
        match secret {
            _ if is_proven => Ok(accepted(grant)),
            Secret::Plain(_) if secret.matches(given) => Ok(accepted(grant)),
            Secret::Plain(_) => Err(Refusal::violation(grant.identity)),
            Secret::Hash(_) => {
                let (secret, given) = (Secret::clone(secret), Given(given.into()));
                Ok(Decision::Pending(Work::Compare { secret, given, grant: Box::new(grant) }))
            }
        }
    }
}

fn accepted(grant: Grant) -> Decision {
    Decision::Accepted(Box::new(grant))
}

#[cfg(test)]
#[path = "decide_test.rs"]
mod tests;
