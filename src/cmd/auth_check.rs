//! What credentials become under a configuration, and what they may do: decided by the server's own code.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use nkeys::KeyPair;
use serde_json::{Value, json};

use super::load::Source;
use crate::server::account::Registry;
use crate::server::auth::{
    Applicant, Decision, Delegation, Grant, Note, Permissions, Policy, PolicyBuilder, Standing, decide,
};
use crate::server::base::base64::Base64;
use crate::server::base::clock::{Clock, SystemClock, Timestamp};
use crate::server::base::pem;
use crate::server::base::rng::Rng;
use crate::server::client::reserved::{SYSTEM_QUEUE, refusal};
use crate::server::config::check;
use crate::server::config::options::{ConnectionType, Options, Resolver, SubjectPermission};
use crate::server::config::read::Here;
use crate::server::jwt::{UserClaims, parse_creds};
use crate::server::net::PeerCertificate;
use crate::server::net::tls_dial::client_config;
use crate::server::protocol::connect::ConnectOptions;
use crate::server::protocol::subject::{is_valid, token_count};
use crate::server::protocol::subject_rules::SubjectRules;
use crate::server::protocol::subject_set::SetEntry;
use crate::server::resolver::url::Web;
use crate::server::run::REFERENCE_VERSION;

/// The nonce of a server that is not there.
const NONCE: &str = "natsx-auth-check";

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The configuration file.
    pub config: PathBuf,
    /// A user's name.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// The text of a file with a user's seed.
    pub nkey: Option<String>,
    /// The text of a `.creds` file.
    pub creds: Option<String>,
    /// The text of a PEM file with a certificate.
    pub certificate: Option<String>,
    /// How it connects.
    pub connection: ConnectionType,
    /// Where it comes from.
    pub from: IpAddr,
    /// Subjects to publish to.
    pub publish: Vec<String>,
    /// Subjects to subscribe to.
    pub subscribe: Vec<String>,
    /// In this queue group.
    pub queue: Option<String>,
}

/// What the server would say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who was let in, or the refusal.
    pub login: Result<Admitted, String>,
    /// What the log would tell of the decision.
    pub notes: Vec<String>,
    /// What was asked beyond that.
    pub verdicts: Vec<Verdict>,
}

/// Who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its name in logs and events.
    pub user: String,
    /// Its account.
    pub account: String,
    /// How it was recognised.
    pub by: &'static str,
}

/// Whether one thing is allowed, and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `publish` or `subscribe`.
    pub what: &'static str,
    /// The subject, and the queue group.
    pub subject: String,
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// The rule that decided.
    pub rule: String,
}

/// Answers a question.
///
/// # Errors
/// Why it cannot be answered: the configuration or the credentials are none.
pub fn answer(question: &Question) -> Result<Answer, String> {
    let source = Source { config: Some(question.config.clone()), ..Source::default() };
    let options = source.load().map_err(|error| error.explained())?.options;
    check::may_start(&options, REFERENCE_VERSION).map_err(|error| error.to_string())?;
    let said = said(question)?;
    let certificate = question.certificate.as_deref().map(certificate).transpose()?;
    let accounts =
        Registry::new(&options, Arc::new(SystemClock::new())).map_err(|error| error.to_string())?;
    let anonymous = format!("nats-{}", Rng::from_entropy().token(8));
    let policy = Arc::new(PolicyBuilder::new(&anonymous).build(&options, &accounts, None));
    let said = policy.completed(&said).unwrap_or(said);
    let now = SystemClock::new().now();
    let applicant = Applicant {
        said: &said,
        nonce: NONCE,
        connection: question.connection,
        is_secured: certificate.is_some(),
        has_chain: false,
        certificate: certificate.as_ref(),
        peer: Some(SocketAddr::new(question.from, 0)),
        id: 1,
        now,
        accounts: &accounts,
        looked_up: None,
        held: None,
    };
    let mut notes = Vec::new();
    let mut decision = decide(&policy, &applicant, &mut notes);
    if let Decision::NeedsAccount(account) = &decision {
        let looked_up = look_up(&options, account, &accounts, &policy, now).map_err(Into::into);
        let applicant = Applicant { looked_up: Some(&looked_up), ..applicant };
        decision = decide(&policy, &applicant, &mut notes);
    }
    if let Decision::Pending(work) = decision {
        decision = work.run();
    }
    heed_services(&policy, &applicant, &mut decision)?;
    let notes = notes.into_iter().map(|note| match note {
        Note::Debug(text) | Note::Error(text) | Note::Warning(text) => text,
    });
    let notes = notes.collect();
    match decision {
        Decision::Accepted(grant) => Ok(Answer {
            verdicts: verdicts(&options, question, &grant),
            login: Ok(admitted(&options, question, &grant)),
            notes,
        }),
        Decision::Refused(refusal) => {
            Ok(Answer { login: Err(refusal.wire().to_string()), notes, verdicts: Vec::new() })
        }
        _ => Err("the decision needs a running server".into()),
    }
}

/// Takes into account that a service outside may have a say.
///
/// # Errors
/// It has the last word: only a running server can ask it.
fn heed_services(policy: &Policy, applicant: &Applicant<'_>, decision: &mut Decision) -> Result<(), String> {
    let Applicant { said, accounts, now, .. } = *applicant;
    let Some(delegation) = Delegation::about(policy, said, decision, accounts, now) else { return Ok(()) };
    let account = match &*decision {
        Decision::Accepted(grant) => &*grant.account,
        _ => &**accounts.global(),
    };
    let standing = delegation.standing(policy.looked_up(said, decision), account);
    match (standing, decision) {
        (Standing::Delegated, _) => {
            Err("a service decides about these credentials (auth_callout): ask the server".into())
        }
        (Standing::Own, Decision::Accepted(grant)) => {
            delegation.restrict(grant);
            Ok(())
        }
        (Standing::Own | Standing::Final, _) => Ok(()),
    }
}

/// Brings an account into use whose claims are preloaded, or in the resolver's directory.
fn look_up(
    options: &Options,
    name: &str,
    accounts: &Registry,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), String> {
    let token = resolved(options, name).or_else(|error| {
        // A server puts these into its resolver when it starts.
        options.resolver_preload.get(name).cloned().ok_or(error)
    })?;
    let trust = policy.trust().ok_or("account missing")?;
    let claims = trust.verify(name, &token, now).map_err(|error| error.to_string())?;
    accounts.put_claims(vec![(claims, token)], &HashMap::new(), trust, now, None);
    Ok(())
}

/// Claims of an account, from where the configuration keeps them.
fn resolved(options: &Options, name: &str) -> Result<String, String> {
    match &options.resolver {
        Some(Resolver::Full(dir) | Resolver::Cache(dir)) => {
            let path = dir.dir.join(format!("{name}.jwt"));
            std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        }
        Some(Resolver::Url(url)) => {
            let tls =
                client_config(options.resolver_tls.as_ref(), &Here).map_err(|error| error.to_string())?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(async { Web::new(url, tls)?.fetch(name).await })
        }
        Some(Resolver::Mem) | None => Err("account missing".to_owned()),
    }
}

/// What CONNECT would say.
fn said(question: &Question) -> Result<ConnectOptions, String> {
    let mut said = ConnectOptions {
        user: question.user.clone().unwrap_or_default(),
        pass: question.password.clone().unwrap_or_default(),
        auth_token: question.token.clone().unwrap_or_default(),
        ..ConnectOptions::default()
    };
    let key = match (&question.nkey, &question.creds) {
        (Some(text), _) => {
            let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
            let seed = seed.ok_or("the file holds no seed of a user (SU...)")?;
            KeyPair::from_seed(seed).map_err(|error| format!("the seed: {error}"))?
        }
        (None, Some(text)) => {
            let creds = parse_creds(text).map_err(|error| error.to_string())?;
            UserClaims::decode(&creds.token).map_err(|error| format!("the claims: {error}"))?;
            said.jwt = creds.token;
            creds.key
        }
        (None, None) => return Ok(said),
    };
    if said.jwt.is_empty() {
        said.nkey = key.public_key();
    }
    let signature = key.sign(NONCE.as_bytes()).map_err(|error| format!("the seed: {error}"))?;
    said.sig = Base64::Url.encode(&signature);
    Ok(said)
}

fn certificate(text: &str) -> Result<Arc<PeerCertificate>, String> {
    let first = pem::certificates(text.as_bytes()).next().ok_or("the file holds no certificate")?;
    PeerCertificate::from_der(&first).map(Arc::new).map_err(|error| error.to_string())
}

fn admitted(options: &Options, question: &Question, grant: &Grant) -> Admitted {
    let has_users = !options.users.is_empty() || options.authorization.username.is_some();
    let by = match () {
        () if question.creds.is_some() => "claims",
        () if question.nkey.is_some() => "nkey",
        () if grant.user.is_none() && !has_users => "no authorization is asked for",
        () if options.tls.as_ref().is_some_and(|tls| tls.verify_and_map) => "certificate",
        () if question.user.is_some() => "password",
        () if question.token.is_some() => "token",
        () => "no_auth_user",
    };
    let configured = grant.user.as_ref().map(|user| user.name().to_owned());
    let claimed = grant.claimed.as_ref().map(|user| format!("{} ({})", user.name, user.key));
    let user = configured.filter(|name| !name.is_empty()).or(claimed);
    let user = user.unwrap_or_else(|| grant.identity.name().to_owned());
    Admitted { user, account: grant.account.name().to_string(), by }
}

fn verdicts(options: &Options, question: &Question, grant: &Grant) -> Vec<Verdict> {
    let permissions = grant.permissions.as_deref();
    let publish = question.publish.iter().map(|subject| publish(subject, grant, permissions));
    let queue = question.queue.as_deref();
    let tokens_max = Some(usize::from(options.max_sub_tokens)).filter(|max| *max > 0);
    let subscribe =
        question.subscribe.iter().map(|subject| subscribe(subject, queue, permissions, tokens_max));
    publish.chain(subscribe).collect()
}

fn publish(subject: &str, grant: &Grant, permissions: Option<&Permissions>) -> Verdict {
    let verdict =
        |is_allowed, rule: String| Verdict { what: "publish", subject: subject.to_owned(), is_allowed, rule };
    // Any word will do: the server looks closer only for clients that ask for it (pedantic).
    if subject.is_empty() || subject.contains(char::is_whitespace) {
        return verdict(false, "no subject to publish to".to_owned());
    }
    // Permissions are asked for what a message becomes.
    let mapped = grant.account.map(subject.as_bytes(), &mut Rng::from_entropy());
    let becomes = mapped.as_deref().unwrap_or(subject.as_bytes());
    let shown = match &mapped {
        Some(mapped) => format!("mapped to {:?}, ", String::from_utf8_lossy(mapped)),
        None => String::new(),
    };
    if refusal(becomes, b"", || grant.account.is_system()).is_some() {
        return verdict(false, format!("{shown}only servers publish there"));
    }
    let Some(permissions) = permissions else {
        return verdict(true, format!("{shown}no permissions are set"));
    };
    let is_allowed = permissions.publish().allow_publish(becomes);
    let decides = |entry: SetEntry| SubjectRules::new(Some(vec![entry]), Vec::new()).allow_publish(becomes);
    let described = permissions.described();
    let mut rule = rule(described.publish.as_ref(), is_allowed, "publish", decides);
    if !is_allowed && described.allow_responses.is_some() {
        rule.push_str("; requests may be answered (allow_responses)");
    }
    verdict(is_allowed, shown + &rule)
}

fn subscribe(
    subject: &str,
    queue: Option<&str>,
    permissions: Option<&Permissions>,
    tokens_max: Option<usize>,
) -> Verdict {
    let subject_and_queue = match queue {
        Some(queue) => format!("{subject} {queue}"),
        None => subject.to_owned(),
    };
    let verdict = |is_allowed, rule: String| Verdict {
        what: "subscribe",
        subject: subject_and_queue,
        is_allowed,
        rule,
    };
    if !is_valid(subject.as_bytes()) {
        return verdict(false, "no subject to subscribe to".to_owned());
    }
    if queue.is_some_and(|queue| queue.as_bytes() == SYSTEM_QUEUE) {
        return verdict(false, "only servers subscribe in this queue group".to_owned());
    }
    if tokens_max.is_some_and(|max| token_count(subject.as_bytes()) > max) {
        return verdict(false, "more tokens than max_subscription_tokens".to_owned());
    }
    let Some(permissions) = permissions else { return verdict(true, "no permissions are set".to_owned()) };
    let (subject, queue) = (subject.as_bytes(), queue.map(str::as_bytes));
    let rules = permissions.subscribe();
    let is_allowed = rules.allow_subscribe(subject, queue);
    let decides =
        |entry: SetEntry| SubjectRules::new(Some(vec![entry]), Vec::new()).allow_subscribe(subject, queue);
    let mut rule = rule(permissions.described().subscribe.as_ref(), is_allowed, "subscribe", decides);
    if is_allowed && rules.filter_deliveries(subject, queue) {
        rule.push_str("; messages on denied subjects are left out");
    }
    verdict(is_allowed, rule)
}

/// The entry of a list that decides: a denied one before an allowed one.
fn rule(
    described: Option<&SubjectPermission>,
    is_allowed: bool,
    what: &str,
    decides: impl Fn(SetEntry) -> bool,
) -> String {
    let Some(SubjectPermission { allow, deny }) = described else {
        return format!("no rule for {what}");
    };
    let first = |entries: &[String]| {
        let found = entries.iter().find(|text| SetEntry::parse(text).is_some_and(&decides));
        found.map(|text| format!("{text:?}"))
    };
    if let Some(entry) = first(deny).filter(|_| !is_allowed) {
        return format!("{what} deny {entry}");
    }
    match (is_allowed, allow.as_deref()) {
        (true, Some(allow)) => match first(allow) {
            Some(entry) => format!("{what} allow {entry}"),
            None => format!("{what} allow, which is empty"),
        },
        (true, None) => format!("{what} denies other subjects only"),
        (false, _) => format!("nothing in {what} allow"),
    }
}

impl Answer {
    /// Whether all that was asked is allowed.
    pub fn is_yes(&self) -> bool {
        self.login.is_ok() && self.verdicts.iter().all(|verdict| verdict.is_allowed)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        match &self.login {
            Ok(Admitted { user, account, by }) => {
                let user = if user.is_empty() { "nobody in particular" } else { user };
                let _ = write!(out, "accepted   {user} in account {account}, by {by}");
            }
            Err(reason) => {
                let _ = write!(out, "refused    {reason}");
            }
        }
        for note in &self.notes {
            let _ = write!(out, "\n           {note}");
        }
        for Verdict { what, subject, is_allowed, rule } in &self.verdicts {
            let word = if *is_allowed { "allowed" } else { "denied" };
            let _ = write!(out, "\n{what:<10} {subject}: {word} ({rule})");
        }
        out
    }

    /// For scripts.
    pub fn json(&self) -> String {
        let verdict = |Verdict { what, subject, is_allowed, rule }: &Verdict| json!({ "what": what, "subject": subject, "allowed": is_allowed, "rule": rule });
        let verdicts: Vec<Value> = self.verdicts.iter().map(verdict).collect();
        let document = match &self.login {
            Ok(Admitted { user, account, by }) => json!({
                "accepted": true, "user": user, "account": account, "by": by,
                "notes": self.notes, "verdicts": verdicts,
            }),
            Err(reason) => json!({
                "accepted": false, "reason": reason, "notes": self.notes, "verdicts": verdicts,
            }),
        };
        document.to_string()
    }
}

#[cfg(test)]
#[path = "auth_check_test.rs"]
mod tests;
