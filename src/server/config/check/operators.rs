//! Rules of operator mode.

use crate::server::base::quote::quote;
use crate::server::config::options::{Operator, Options, Resolver};
use crate::server::config::version;
use crate::server::jwt::nkey::{self, KeyKind};
use crate::server::jwt::{UserClaims, server_version};

pub(super) fn check(options: &Options, server: &str) -> Result<(), String> {
    let [first, ..] = options.operators.as_slice() else {
        if options.default_sentinel.is_some() {
            return Err("default sentinel requires operators and accounts".into());
        }
        return Ok(());
    };
    if let Some(token) = &options.default_sentinel {
        let user = UserClaims::decode(token).map_err(|_| "default sentinel JWT not valid")?.nats;
        // A user of a scoped key gets its rights, and whether it is a bearer, from its account.
        let is_scoped = !user.issuer_account.is_empty() && user.rights.is_unset();
        if !user.rights.bearer_token && !is_scoped {
            return Err("default sentinel must be a bearer token".into());
        }
    }
    let Some(resolver) = &options.resolver else {
        return Err("operators require an account resolver to be configured".into());
    };
    if !options.accounts.is_empty() || !options.mappings.is_empty() {
        return Err("operators do not allow Accounts to be configured directly".into());
    }
    if !options.users.is_empty() {
        return Err("operators do not allow users to be configured directly".into());
    }
    if !options.trusted_keys.is_empty() {
        return Err("conflicting options for 'TrustedKeys' and 'TrustedOperators'".into());
    }
    check_system_account(options, first, resolver)?;
    for operator in &options.operators {
        check_version(operator, server)?;
    }
    check_keys(options)?;
    if options.authorization.auth_callout.is_some() {
        return Err("operators do not allow authorization callouts to be configured directly".into());
    }
    Ok(())
}

fn check_system_account(options: &Options, first: &Operator, resolver: &Resolver) -> Result<(), String> {
    let mut named = options.operators.iter().map(|operator| operator.system_account.as_str());
    match &options.system_account {
        Some(account) => {
            let foreign = named.clone().any(|name| !name.is_empty());
            if foreign && !named.any(|name| name == account) {
                return Err("system_account in config and operator JWT must be identical".into());
            }
        }
        None if first.system_account.is_empty()
            && matches!(resolver, Resolver::Full(_) | Resolver::Cache(_)) =>
        {
            return Err("using nats based account resolver - the system account needs to be specified in \
                        configuration or the operator jwt"
                .into());
        }
        None => {}
    }
    Ok(())
}

/// An operator may ask for a version that the server must have at least.
fn check_version(operator: &Operator, server: &str) -> Result<(), String> {
    let asked = operator.assert_server_version.as_str();
    if asked.is_empty() {
        return Ok(());
    }
    let key = &operator.key;
    let wanted = server_version(asked)
        .map_err(|e| format!("operator {key} expects version {asked} got error instead: {e}"))?;
    let have = version::parse(server).map(<[u32; 3]>::from).unwrap_or_default().map(i64::from);
    for (part, (wanted, have)) in ["major", "minor", "update"].iter().zip(wanted.iter().zip(have)) {
        if *wanted > have {
            return Err(format!(
                "operator {key} expected {part} version {wanted} > server {part} version {have}"
            ));
        }
        if *wanted < have {
            break;
        }
    }
    Ok(())
}

fn check_keys(options: &Options) -> Result<(), String> {
    for operator in &options.operators {
        let own = (!operator.strict_signing_key_usage).then_some(&operator.key);
        for key in own.into_iter().chain(&operator.signing_keys) {
            if !nkey::is_public(key, KeyKind::Operator) {
                let key = quote(key);
                return Err(format!("trusted Keys {key} are required to be a valid public operator nkey"));
            }
        }
    }
    for key in &options.resolver_pinned_accounts {
        if !nkey::is_public(key, KeyKind::Account) {
            return Err(format!("pinned account key {} is not a valid public account nkey", quote(key)));
        }
    }
    Ok(())
}
