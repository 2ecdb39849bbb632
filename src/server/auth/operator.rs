//! Proof by claims: users of accounts that an operator vouches for (operator mode).
//!
//! The order of the checks and the words are the reference's. Most of them need the account: where it is not
//! in use yet, it has to be looked up, and the decision begins anew.

use std::sync::Arc;

use super::decide::{Decision, Inquiry, Note, Refusal};
use super::grant::{ClaimedUser, Grant, UserLimits};
use super::identity::Identity;
use super::nkey;
use super::permission::Permissions;
use super::rights::{OutsideTimes, connection_types, ends, take_scope};
use crate::server::account::{Account, Claimed, Trust, permissions};
use crate::server::base::quote::quote;
use crate::server::jwt::{NO_LIMIT, UserClaims};

/// What ends a decision early.
enum Stop {
    /// The client may not connect.
    Refused(Refusal),
    /// This account is not in use yet.
    Account(Box<str>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Inquiry<'_> {
    /// Decides by the claims that the client shows.
    pub(super) fn by_claims(&mut self, trust: &Trust, proxy: Option<&str>) -> Result<Decision, Refusal> {
        match self.claimed_user(trust, proxy) {
            Ok(grant) => Ok(Decision::Accepted(Box::new(grant))),
            Err(Stop::Account(account)) => Ok(Decision::NeedsAccount(account)),
            Err(Stop::Refused(refusal)) => Err(refusal),
        }
    }

    fn claimed_user(&mut self, trust: &Trust, proxy: Option<&str>) -> Result<Grant, Stop> {
        let mut user = self.shown_claims()?;
        self.check_proxy(user.nats.rights.proxy_required, proxy)?;
        let now = self.applicant.now;
        let findings = user.validate(now);
        if findings.is_blocking(true) {
            return Err(self.stop(format!("User JWT no longer valid: {}", findings.issues())));
        }
        let (account, claimed) = self.account_of(&user, trust)?;
        let issuer = &claimed.claims().envelope.issuer;
        if !trust.is_trusted(issuer) {
            return Err(self.stop("Account JWT not signed by trusted operator"));
        }
        take_scope(&mut user, &claimed).map_err(|error| self.stop(error.brief()))?;
        if claimed.is_expired(now) {
            return Err(self.stop("Account JWT has expired"));
        }
        let rights = &user.nats.rights;
        if rights.bearer_token && claimed.claims().nats.limits.account.disallow_bearer {
            return Err(self.stop("Account does not allow bearer tokens"));
        }
        self.check_connection(&rights.connection_types)?;
        let Self { applicant, .. } = self;
        if !rights.bearer_token {
            let proof = nkey::verify(&user.envelope.subject, applicant.nonce, &applicant.said.sig);
            proof.map_err(|reason| self.stop(reason))?;
        }
        let (key, issued_at) = (&user.envelope.subject, user.envelope.issued_at);
        if claimed.claims().nats.revocations.is_revoked(key, issued_at) {
            return Err(self.stop("User authentication revoked"));
        }
        let host = self.applicant.peer.map(|peer| peer.ip());
        if !rights.allows_host(host) {
            let host = host.map(|host| host.to_canonical().to_string()).unwrap_or_default();
            return Err(self.stop_with(Note::Error(format!("Bad src Ip {host}"))));
        }
        let expires = ends(&user, now)
            .map_err(|OutsideTimes| self.stop_with(Note::Error("Outside connect times".into())))?;
        // Who finds no room is not called let in.
        if self.applicant.held.is_some() || account.connections().has_room() {
            self.note(authenticated(&user, &account, &claimed));
        }
        let identity = match self.said() {
            said @ (Identity::Nkey(_) | Identity::User(_)) => said,
            Identity::Jwt(_) | Identity::Token | Identity::Nobody => Identity::Jwt(key.as_str().into()),
        };
        Ok(Grant { expires, ..granted(user, &account, &claimed, identity, proxy) })
    }

    fn stop(&mut self, text: impl Into<String>) -> Stop {
        self.stop_with(Note::Debug(text.into()))
    }

    fn stop_with(&mut self, note: Note) -> Stop {
        self.notes.push(note);
        self.refused().into()
    }

    /// The claims that CONNECT brought, or those of the user that stands in for whoever brings none.
    fn shown_claims(&mut self) -> Result<UserClaims, Stop> {
        if let Ok(user) = UserClaims::decode(&self.applicant.said.jwt) {
            return Ok(user);
        }
        let Some(sentinel) = self.policy.sentinel() else {
            return Err(self.stop("Authentication requires a user JWT"));
        };
        UserClaims::decode(sentinel).map_err(|error| self.stop(format!("User JWT not valid: {error}")))
    }

    /// The user's account.
    fn account_of(&mut self, user: &UserClaims, trust: &Trust) -> Result<(Arc<Account>, Arc<Claimed>), Stop> {
        let name = user.account();
        if !trust.admits(name) {
            return Err(self.stop(format!("Account {name} not listed as operator pinned account")));
        }
        let in_use = self.applicant.accounts.find(name).and_then(|account| {
            let claimed = account.claimed()?;
            Some((account, claimed))
        });
        match (in_use, self.applicant.looked_up) {
            (_, Some(Err(reason))) => Err(self.stop(format!("Account JWT lookup error: {reason}"))),
            (Some((account, claimed)), Some(Ok(()))) => Ok((account, claimed)),
            (Some((account, claimed)), None) if !claimed.is_expired(self.applicant.now) => {
                Ok((account, claimed))
            }
            // It went away again.
            (None, Some(Ok(()))) => Err(self.stop("Account JWT lookup error: account missing")),
            (_, None) => Err(Stop::Account(name.into())),
        }
    }

    fn check_connection(&mut self, names: &[String]) -> Result<(), Stop> {
        let known = connection_types(names, self.notes).ok_or_else(|| self.refused())?;
        if !known.is_empty() && !known.contains(&self.applicant.connection) {
            return Err(self.stop("Connection type not allowed"));
        }
        Ok(())
    }
}

/// What a user becomes whose claims are good.
fn granted(
    user: UserClaims,
    account: &Arc<Account>,
    claimed: &Arc<Claimed>,
    identity: Identity,
    proxy: Option<&str>,
) -> Grant {
    let rights = &user.nats.rights;
    let own = permissions(&rights.permissions);
    let described = own.or_else(|| claimed.default_permissions());
    Grant {
        permissions: described.map(|described| Arc::new(Permissions::compile(&described))),
        limits: UserLimits {
            subscriptions: limit(rights.limits.nats.subscriptions),
            payload: limit(rights.limits.nats.payload),
        },
        claimed: Some(ClaimedUser::new(&user, claimed)),
        ..Grant::open(account, identity, proxy)
    }
}

/// A limit of a connection; -1 is none, less is nothing at all.
fn limit(claimed: i64) -> Option<u32> {
    let least = u32::try_from(claimed.max(0)).unwrap_or(u32::MAX);
    (claimed != NO_LIMIT).then_some(least)
}

fn authenticated(user: &UserClaims, account: &Account, claimed: &Claimed) -> String {
    let (envelope, of_account) = (&user.envelope, &claimed.claims().envelope);
    let list = |tags: &[String]| {
        let tags: Vec<String> = tags.iter().map(quote).collect();
        format!("[{}]", tags.join(" "))
    };
    format!(
        "Authenticated JWT: Client {} (claim-name: {}, claim-tags: {}) signed with {} by Account {} \
         (claim-name: {}, claim-tags: {}) signed with {} has mappings {} accused {:p}",
        quote(&envelope.subject),
        quote(&envelope.name),
        list(&user.nats.about.tags),
        quote(&envelope.issuer),
        quote(user.account()),
        quote(&of_account.name),
        list(&claimed.claims().nats.about.tags),
        quote(&of_account.issuer),
        account.is_mapped(),
        // Tells accounts of one key apart, as the reference does.
        account,
    )
}

#[cfg(test)]
#[path = "operator_test.rs"]
mod tests;
