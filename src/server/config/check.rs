//! Rules between keys: judged at start and at reload, not by `-t`.
//!
//! Each rule is the reference's, and so are the order and the text: the first broken one is told.

mod links;
mod listeners;
mod operators;

use super::options::{
    Account, GLOBAL_ACCOUNT, Options, Permissions, SYSTEM_ACCOUNT, SubjectPermission, UserIdentity,
};
use super::read::check_subjects;
use super::unbuilt::unbuilt;
use crate::server::base::duration::go_duration;
use crate::server::base::quote::quote;
use crate::server::jwt::nkey;

/// Why a server may not run with its options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// They contradict each other, or ask for what natsx cannot do yet.
    #[error("{0}")]
    Options(String),
    /// Monitoring is asked for in a way that cannot be. The reference notices when it has begun to start.
    #[error("Can't start monitoring: {0}")]
    Monitoring(String),
}

/// Whether a server may start with these settled options: the one place that says so. `version` is the
/// reference's version that this server stands for: an operator may ask for a newer one.
///
/// # Errors
/// The reference's text for the first rule that is broken; then what natsx cannot do yet.
pub fn may_start(options: &Options, version: &str) -> Result<(), Refusal> {
    are_sound(options, version)?;
    check_system_account(options).map_err(Refusal::Options)?;
    check_monitoring(options).map_err(Refusal::Monitoring)?;
    are_built(options)
}

/// Whether these settled options contradict each other: what a running server asks of new ones. Its system
/// account stays, whatever they say of it, and monitoring it cannot change.
///
/// # Errors
/// As [`may_start`].
pub fn are_sound(options: &Options, version: &str) -> Result<(), Refusal> {
    check(options, version).map_err(Refusal::Options)
}

/// Whether natsx can do all that these options ask for.
///
/// # Errors
/// The first that it cannot do yet.
pub fn are_built(options: &Options) -> Result<(), Refusal> {
    unbuilt(options).map_or(Ok(()), |text| Err(Refusal::Options(text)))
}

fn check(options: &Options, version: &str) -> Result<(), String> {
    check_times(options)?;
    check_sizes(options)?;
    if options.server_name.as_ref().is_some_and(|name| name.contains(' ')) {
        return Err("server name cannot contain spaces".into());
    }
    operators::check(options, version)?;
    links::check_leafnodes(options)?;
    check_users(options)?;
    check_no_auth_user(options, options.no_auth_user.as_deref())?;
    check_proxies(options)?;
    links::check_gateway(options)?;
    links::check_cluster(options)?;
    listeners::check_mqtt(options)?;
    check_jetstream(options)?;
    listeners::check_websocket(options)
}

/// A named system account must exist; a resolver is asked for it later.
fn check_system_account(options: &Options) -> Result<(), String> {
    let Some(name) = &options.system_account else { return Ok(()) };
    let exists = name == GLOBAL_ACCOUNT || options.accounts.iter().any(|account| account.name == *name);
    match (exists, &options.resolver) {
        (true, _) => Ok(()),
        (false, None) => Err("error resolving system account: account missing".into()),
        (false, Some(_)) if nkey::is_public(name, nkey::KeyKind::Account) => Ok(()),
        (false, Some(_)) => Err("error resolving system account: will only fetch valid account keys".into()),
    }
}

/// What makes JetStream impossible, found when it is started.
pub fn check_jetstream_accounts(options: &Options) -> Result<(), String> {
    let system = options.system_account_name();
    let is_system = |account: &Account| Some(account.name.as_str()) == system && account.jetstream.is_some();
    if options.jetstream.enabled && options.accounts.iter().any(is_system) {
        return Err("Not allowed to enable JetStream on the system account".into());
    }
    Ok(())
}

/// Monitoring has one port, and with TLS it needs the certificate of the client listener.
fn check_monitoring(options: &Options) -> Result<(), String> {
    let (http, https) = (options.http_port, options.https_port);
    if http != 0 && https != 0 {
        return Err(format!("can't specify both HTTP ({http}) and HTTPs ({https}) ports"));
    }
    if https != 0 && options.tls.is_none() {
        return Err("TLS cert and key required for HTTPS".into());
    }
    Ok(())
}

fn check_times(options: &Options) -> Result<(), String> {
    let (grace, duration) = (options.lame_duck_grace_period, options.lame_duck_duration);
    if duration.is_zero() || grace < duration {
        return Ok(());
    }
    Err(format!(
        "lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
        go_duration(grace),
        go_duration(duration)
    ))
}

fn check_sizes(options: &Options) -> Result<(), String> {
    let (payload, pending) = (options.max_payload, options.max_pending);
    if i64::from(payload) > pending {
        return Err(format!("max_payload ({payload}) cannot be higher than max_pending ({pending})"));
    }
    Ok(())
}

/// Users that came from a file are sound; an embedder's may not be.
fn check_users(options: &Options) -> Result<(), String> {
    for user in &options.users {
        let Some(permissions) = &user.permissions else { continue };
        let kind = if matches!(user.identity, UserIdentity::Nkey(_)) { "nkey" } else { "user" };
        check_permissions(permissions).map_err(|text| {
            format!("invalid permissions for {kind} {}: {text}", quote(user.identity.name()))
        })?;
    }
    Ok(())
}

fn check_permissions(permissions: &Permissions) -> Result<(), String> {
    check_rule("publish", permissions.publish.as_ref(), false)?;
    check_rule("subscribe", permissions.subscribe.as_ref(), true)
}

fn check_rule(name: &str, rule: Option<&SubjectPermission>, queues: bool) -> Result<(), String> {
    let Some(rule) = rule else { return Ok(()) };
    check_subjects(rule.allow.as_deref().unwrap_or_default(), queues)
        .map_err(|e| format!("{name} allow: {e}"))?;
    check_subjects(&rule.deny, queues).map_err(|e| format!("{name} deny: {e}"))
}

/// The user that nameless clients become must exist.
fn check_no_auth_user(options: &Options, user: Option<&str>) -> Result<(), String> {
    let Some(name) = user else { return Ok(()) };
    if !options.operators.is_empty() {
        return Err("no_auth_user not compatible with Trusted Operator".into());
    }
    if options.users.is_empty() {
        return Err(format!("no_auth_user: \"{name}\" present, but users/nkeys are not defined"));
    }
    if options.users.iter().any(|user| user.identity.name() == name) {
        return Ok(());
    }
    Err(format!(
        "no_auth_user: \"{name}\" not present as user or nkey in authorization block or account configuration"
    ))
}

fn check_proxies(options: &Options) -> Result<(), String> {
    let keys = options.proxies_trusted.as_deref().unwrap_or_default();
    match keys.iter().find(|key| nkey::public_kind(key).is_none()) {
        Some(key) => Err(format!("proxy trusted key {} is invalid", quote(key))),
        None => Ok(()),
    }
}

fn check_jetstream(options: &Options) -> Result<(), String> {
    check_default_domains(options)?;
    let jetstream = &options.jetstream;
    if let Some(domain) = &jetstream.domain {
        let derived = format!("$JS.{domain}.API.>");
        if !is_subject(&derived) {
            return Err(format!("invalid domain name: derived {} is not a valid subject", quote(&derived)));
        }
        if domain.contains(['.', '*', '>']) {
            return Err("invalid domain name: may not contain ., * or >".into());
        }
    }
    if !jetstream.enabled || options.cluster.port == 0 {
        return Ok(());
    }
    if options.server_name.is_none() {
        return Err("jetstream cluster requires `server_name` to be set".into());
    }
    if options.cluster.name.is_none() {
        return Err("jetstream cluster requires `cluster.name` to be set".into());
    }
    let hint = jetstream.extension_hint.as_deref().unwrap_or_default().to_lowercase();
    if !matches!(hint.as_str(), "" | "will_extend" | "no_extend") {
        return Err(format!("expected 'no_extend' for string value, got '{hint}'"));
    }
    if jetstream.max_outstanding_catchup < 0 {
        return Err("jetstream max catchup cannot be negative".into());
    }
    Ok(())
}

fn check_default_domains(options: &Options) -> Result<(), String> {
    let domains = &options.default_js_domain;
    for (name, domain) in domains {
        if !options.operators.is_empty() {
            if !nkey::is_public(name, nkey::KeyKind::Account) {
                return Err(format!(
                    "default_js_domain contains account name {}, which is not a valid public account nkey",
                    quote(name)
                ));
            }
            continue;
        }
        let account = options.accounts.iter().find(|account| account.name == *name);
        match account {
            None if name != GLOBAL_ACCOUNT => {
                return Err(format!(
                    "in non operator mode, `default_js_domain` references non existing account {}",
                    quote(name)
                ));
            }
            Some(account) if account.jetstream.is_some() && !domain.is_empty() => {
                let name = quote(name);
                return Err(format!("default_js_domain contains account name {name} with enabled JetStream"));
            }
            _ => {}
        }
    }
    let system = options.system_account.as_deref().unwrap_or(SYSTEM_ACCOUNT);
    for (name, domain) in domains {
        if name == system {
            return Err(format!("system account {} can not be in default_js_domain", quote(name)));
        }
        if !domain.is_empty() && !is_subject(&format!("$JS.{domain}.API.>")) {
            let (name, domain) = (quote(name), quote(domain));
            return Err(format!(
                "default_js_domain contains account {name} with invalid domain name {domain}"
            ));
        }
    }
    Ok(())
}

fn is_subject(text: &str) -> bool {
    crate::server::protocol::subject::is_valid(text.as_bytes())
}

#[cfg(test)]
#[path = "check_test.rs"]
mod tests;
