//! Authorization by a service outside: what it is asked about a client, and what its answer is worth.
//!
//! A machine of two steps: [`ask`] makes a sealed question, [`Question::open`] and [`Question::admit`] read the answer,
//! in the reference's order and with its texts. Who carries both is for others.
//!
//! ```text
//! ask --answer--> open, admit: Admitted, or a Rejection with the reason that the log and an event tell
//!   '--nothing in time--> refused without a reason
//! ```

use std::sync::Arc;
use std::time::Duration;

use nkeys::{KeyPair, XKey};

use super::decide::Note;
use super::rights::{self, OutsideTimes};
use super::server_keys::ServerKeys;
use crate::server::account::Claimed;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::config::options::AuthCallout;
use crate::server::jwt::{
    self, AuthorizationRequestClaims, AuthorizationResponseClaims, ClientInfo, ClientTls, ConnectInfo,
    UserClaims,
};
use crate::server::protocol::header;

/// Where the service listens, in its account.
pub const CALLOUT_SUBJECT: &str = "$SYS.REQ.USER.AUTH";
/// For whom a question is meant.
const REQUEST_AUDIENCE: &str = "nats-authorization-request";
/// The header that names the server's curve key, where a question is sealed.
const XKEY_HEADER: &[u8] = b"Nats-Server-Xkey";
/// What every token begins with; what does not is sealed.
const TOKEN_PREFIX: &[u8] = b"eyJ";

/// Who asks whom, and whose answers count.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The account of the service.
    pub account: &'a str,
    /// The curve key that questions are sealed for.
    pub xkey: Option<&'a str>,
    /// Whose answers count.
    pub trust: Trust<'a>,
}

/// Whose answers count.
#[derive(Debug)]
pub enum Trust<'a> {
    /// The configured issuer's; the audience of the user's claims names its account.
    Issuer(&'a str),
    /// The account's own and its signing keys'; users are of accounts that it may speak for.
    Account(&'a Claimed),
}

impl<'a> Rules<'a> {
    /// The rules of a configured callout.
    pub fn configured(callout: &'a AuthCallout) -> Self {
        Self {
            account: &callout.account,
            xkey: callout.xkey.as_deref(),
            trust: Trust::Issuer(&callout.issuer),
        }
    }

    /// The rules of an account that has its own service.
    pub fn of_account(account: &'a Claimed) -> Self {
        let claims = account.claims();
        let xkey = &claims.nats.authorization.xkey;
        Self {
            account: &claims.envelope.subject,
            xkey: Some(xkey.as_str()).filter(|key| !key.is_empty()),
            trust: Trust::Account(account),
        }
    }
}

/// What is asked about one client.
#[derive(Debug, Default)]
pub struct About {
    /// The server that asks; its curve key is filled in where questions are sealed.
    pub server: jwt::ServerInfo,
    /// The connection.
    pub client: ClientInfo,
    /// What it said.
    pub connect: ConnectInfo,
    /// Its TLS session.
    pub tls: Option<ClientTls>,
    /// How long the answer may take.
    pub time_max: Duration,
}

/// A question on its way, and what is needed to judge its answer.
pub struct Question {
    /// Header block to send; empty for none.
    pub header: Vec<u8>,
    /// Body to send.
    pub body: Vec<u8>,
    /// The user that the answer has to be about: made up, so that no answer can be used twice.
    user: String,
    server_id: String,
    is_sealed: bool,
}

impl std::fmt::Debug for Question {
    /// Without the body, which holds a client's secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Question").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why no question could be made. The text is the reference's.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The claims cannot be signed.
    #[error("Error encoding auth request claim on account {}: {reason}", quote(.account))]
    Encode {
        /// The service's account.
        account: String,
        /// Why.
        reason: String,
    },
    /// They cannot be sealed.
    #[error("Error encrypting auth request claim on account {}: {reason}", quote(.account))]
    Seal {
        /// The service's account.
        account: String,
        /// Why.
        reason: String,
    },
}

/// Why an answer lets nobody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What the log and the account's event say.
    pub reason: String,
    /// What was missing, where something was.
    pub missing: Option<Missing>,
}

/// What an admission lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The connection should have come from a trusted proxy.
    Proxy,
    /// There is no account of this name, or it is not in use yet, or not any more.
    Account(String),
}

impl Rejection {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: title_case(&reason.into()), missing: None }
    }
}

/// A client that is let in.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// Its account.
    pub account: String,
    /// Its user's claims; the rights in it are those that count.
    pub user: UserClaims,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// What of the present state an answer is judged by.
pub struct Circumstances<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// A trusted proxy stands in front of the client.
    pub proxied: bool,
    /// The client has to come from one, whatever the answer says.
    pub proxy_required: bool,
    /// Finds the account that a user is to be put into.
    pub find: &'a dyn Fn(&str) -> Target,
}

/// An account that a user is to be put into.
#[derive(Debug, Clone)]
pub enum Target {
    /// There is none of this name.
    Missing,
    /// It is configured.
    Configured,
    /// It has claims.
    Claimed(Arc<Claimed>),
}

/// Makes the question whether a client may be let in.
///
/// # Errors
/// Keys that are none.
pub fn ask(keys: &ServerKeys, rules: &Rules<'_>, about: About, now: Timestamp) -> Result<Question, AskError> {
    let account = || rules.account.to_owned();
    let user = KeyPair::new_user().public_key();
    let subject = match rules.trust {
        Trust::Issuer(issuer) => issuer,
        Trust::Account(_) => rules.account,
    };
    let server_id = about.server.id.clone();
    let mut claims = AuthorizationRequestClaims::new(subject);
    REQUEST_AUDIENCE.clone_into(&mut claims.envelope.audience);
    let expires = (now + about.time_max).nanos() / 1_000_000_000;
    claims.envelope.expires = i64::try_from(expires).unwrap_or(i64::MAX);
    claims.nats.user_nkey.clone_from(&user);
    claims.nats.server = about.server;
    claims.nats.client = about.client;
    claims.nats.connect = about.connect;
    claims.nats.tls = about.tls;
    if claims.nats.connect.signature.is_empty() {
        claims.nats.client.nonce.clear();
    }
    let mut block = Vec::new();
    if rules.xkey.is_some() {
        claims.nats.server.xkey = keys.curve.public_key();
        header::add(&mut block, XKEY_HEADER, claims.nats.server.xkey.as_bytes());
    }
    let token = jwt::sign(&mut claims, &keys.identity, now)
        .map_err(|error| AskError::Encode { account: account(), reason: error.to_string() })?;
    let body = match rules.xkey {
        None => token.into_bytes(),
        Some(xkey) => XKey::from_public_key(xkey)
            .and_then(|service| keys.curve.seal(token.as_bytes(), &service))
            .map_err(|error| AskError::Seal { account: account(), reason: error.to_string() })?,
    };
    Ok(Question { header: block, body, user, server_id, is_sealed: rules.xkey.is_some() })
}

impl Question {
    /// Whether the user in an answer, opened, is let in, and as what. What the log is told of the client goes
    /// to `notes`.
    ///
    /// # Errors
    /// The client is refused.
    pub fn admit(
        &self,
        rules: &Rules<'_>,
        mut user: UserClaims,
        circumstances: &Circumstances<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Admitted, Rejection> {
        let now = circumstances.now;
        if (circumstances.proxy_required || user.nats.rights.proxy_required) && !circumstances.proxied {
            let reason = "Proxy connection required".to_owned();
            return Err(Rejection { reason, missing: Some(Missing::Proxy) });
        }
        if let Some(finding) = user.validate(now).iter().next() {
            return Err(Rejection::new(format!("Error validating user JWT: {}", finding.text)));
        }
        if user.envelope.subject != self.user {
            return Err(Rejection::new(format!(
                "Expected authorized user of {} but got {} on account {}",
                quote(&self.user),
                quote(&user.envelope.subject),
                quote(rules.account)
            )));
        }
        let refuse = |what: &str| {
            Rejection::new(format!("authorized user on account {} {what}", quote(rules.account)))
        };
        let expires = rights::ends(&user, now).map_err(|OutsideTimes| {
            notes.push(Note::Error("Outside connect times".to_owned()));
            refuse("outside of valid connect times")
        })?;
        if rights::connection_types(&user.nats.rights.connection_types, notes).is_none() {
            return Err(refuse("using invalid connection type"));
        }
        let account = place(rules, &mut user, circumstances.find, now)?;
        Ok(Admitted { account, user, expires })
    }

    /// The user's claims in the answer `body`, if it is one. Opens seals and proves signatures, which takes
    /// a while.
    ///
    /// # Errors
    /// The client is refused.
    pub fn open(
        &self,
        keys: &ServerKeys,
        rules: &Rules<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<UserClaims, Rejection> {
        self.user_in(keys, rules, body, now).map_err(Rejection::new)
    }

    fn user_in(
        &self,
        keys: &ServerKeys,
        rules: &Rules<'_>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<UserClaims, String> {
        let account = quote(rules.account);
        if body.is_empty() {
            return Err(format!("auth callout violation: \"no reason supplied\" on account {account}"));
        }
        let is_sealed = self.is_sealed && !body.starts_with(TOKEN_PREFIX);
        let opened;
        let token = match rules.xkey.filter(|_| is_sealed) {
            None => body,
            Some(xkey) => {
                let open = XKey::from_public_key(xkey).and_then(|service| keys.curve.open(body, &service));
                opened = open.map_err(|_| {
                    let reason = why_sealed(body);
                    format!("error decrypting auth callout response on account {account}: {reason}")
                })?;
                &opened
            }
        };
        let claims = AuthorizationResponseClaims::decode(&String::from_utf8_lossy(token))
            .map_err(|error| error.to_string())?;
        if let Some(finding) = claims.validate(now).iter().next() {
            return Err(format!("authorization response had validation errors: {}", finding.text));
        }
        if claims.envelope.subject != self.user {
            return Err("auth callout violation: auth callout response is not for expected user".to_owned());
        }
        if claims.envelope.audience != self.server_id {
            return Err("auth callout violation: auth callout response is not for server".to_owned());
        }
        let response = &claims.nats;
        // Who could read the question is known by that.
        let is_signer_known = is_sealed
            || match rules.trust {
                Trust::Issuer(issuer) => claims.envelope.issuer == issuer,
                Trust::Account(own) => {
                    let account = &response.issuer_account;
                    let signer = if account.is_empty() { &claims.envelope.issuer } else { account };
                    *signer == own.claims().envelope.subject || own.signer(signer).is_some()
                }
            };
        if !is_signer_known {
            return Err("auth callout signing key is unknown".to_owned());
        }
        if !response.error.is_empty() {
            return Err(format!("auth callout service returned an error: {}", response.error));
        }
        UserClaims::decode(&response.jwt).map_err(|error| error.to_string())
    }
}

/// Why something sealed cannot be opened, in the words of the reference's library.
fn why_sealed(body: &[u8]) -> &'static str {
    const VERSION: &[u8] = b"xkv1";
    const NONCE_BYTES: usize = 24;
    if body.len() <= VERSION.len() + NONCE_BYTES {
        "nkeys: encrypted input is not valid"
    } else if !body.starts_with(VERSION) {
        "nkeys: encrypted input wrong version"
    } else {
        "nkeys: could not decrypt input"
    }
}

/// The account that a user is put into, if its issuer may put it there.
fn place(
    rules: &Rules<'_>,
    user: &mut UserClaims,
    find: &dyn Fn(&str) -> Target,
    now: Timestamp,
) -> Result<String, Rejection> {
    let asked = quote(rules.account);
    let missing = |name: String, why: &str| {
        let named = quote(&name);
        let text = format!("No valid account {named} for auth callout response on account {asked}: {why}");
        Rejection { reason: text, missing: Some(Missing::Account(name)) }
    };
    match rules.trust {
        Trust::Issuer(issuer) => {
            if !user.nats.issuer_account.is_empty() {
                let text =
                    format!("error non operator mode account {asked}: attempted to use issuer_account");
                return Err(Rejection::new(text));
            }
            if user.envelope.issuer != issuer {
                return Err(Rejection::new(format!(
                    "wrong issuer for auth callout response on account {asked}, expected {} got {}",
                    quote(issuer),
                    quote(&user.envelope.issuer)
                )));
            }
            let name = user.envelope.audience.clone();
            match find(&name) {
                Target::Missing => Err(missing(name, "account missing")),
                Target::Configured | Target::Claimed(_) => Ok(name),
            }
        }
        Trust::Account(own) => {
            let (name, own) = (user.account().to_owned(), own.claims());
            let allowed = &own.nats.authorization.allowed_accounts;
            let may = name == own.envelope.subject
                || allowed.contains(&name)
                || matches!(allowed.as_slice(), [one] if one == jwt::EVERYBODY);
            if !may {
                return Err(Rejection::new(format!(
                    "account {} not permitted as valid account option for auth callout for account {asked}",
                    quote(&user.envelope.issuer)
                )));
            }
            let Target::Claimed(account) = find(&name) else { return Err(missing(name, "account missing")) };
            if account.is_expired(now) {
                return Err(missing(name, "account expired"));
            }
            rights::take_scope(user, &account).map_err(|error| Rejection::new(error.to_string()))?;
            Ok(name)
        }
    }
}

fn title_case(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
#[path = "callout_test.rs"]
mod tests;
