//! Rules of leaf nodes, gateways and clusters.

use std::collections::HashSet;

use crate::server::base::quote::quote;
use crate::server::config::options::{GLOBAL_ACCOUNT, LeafRemote, Options, SYSTEM_ACCOUNT};
use crate::server::config::read::{check_leaf_users, check_min_version, check_subjects, remote_name};
use crate::server::jwt::nkey::{self, KeyKind};

pub(super) fn check_leafnodes(options: &Options) -> Result<(), String> {
    let leafnodes = &options.leafnodes;
    check_leaf_users(leafnodes)?;
    let mut names = HashSet::new();
    for remote in &leafnodes.remotes {
        let shown = || remote_name(remote, true);
        check_subjects(&remote.deny_imports, false)
            .map_err(|text| format!("invalid deny_imports for remote {}: {text}", shown()))?;
        check_subjects(&remote.deny_exports, false)
            .map_err(|text| format!("invalid deny_exports for remote {}: {text}", shown()))?;
        if !names.insert(remote_name(remote, false)) {
            return Err(format!("duplicate remote {}", shown()));
        }
    }
    if options.operators.is_empty() { check_leaf_accounts(options) } else { check_leaf_operator(options) }?;
    if let Some(compression) = &leafnodes.compression {
        compression.resolve("s2_auto")?;
    }
    for remote in &leafnodes.remotes {
        check_remote(remote)?;
    }
    if leafnodes.port == 0 {
        return Ok(());
    }
    if let Some(version) = &leafnodes.min_version {
        check_min_version(version)?;
    }
    // Only with gateways beside leaf nodes must the system account have a name.
    let has_gateway = options.gateway.name.is_some() || options.gateway.port != 0;
    if has_gateway && options.system_account.is_none() {
        return Err(
            "leaf nodes and gateways (both being defined) require a system account to also be configured"
                .into(),
        );
    }
    Ok(())
}

/// Accounts that leaf nodes are bound to must exist.
fn check_leaf_accounts(options: &Options) -> Result<(), String> {
    let exists = |name: &str| {
        let is_system =
            options.system_account.is_none() && !options.no_system_account && name == SYSTEM_ACCOUNT;
        name == GLOBAL_ACCOUNT || is_system || options.accounts.iter().any(|account| account.name == name)
    };
    let leafnodes = &options.leafnodes;
    let users = leafnodes.users.iter().filter_map(|user| user.account.as_deref());
    let own = leafnodes.account.as_deref().into_iter().chain(users).map(|name| (name, "authorization"));
    let remotes = leafnodes.remotes.iter().filter_map(|remote| remote.account.as_deref());
    let mut all = own.chain(remotes.map(|name| (name, "remote")));
    match all.find(|(name, _)| !exists(name)) {
        Some((name, place)) => {
            Err(format!("cannot find local account {} specified in leafnode {place}", quote(name)))
        }
        None => Ok(()),
    }
}

fn check_leaf_operator(options: &Options) -> Result<(), String> {
    let leafnodes = &options.leafnodes;
    if !leafnodes.users.is_empty() {
        return Err("operator mode does not allow specifying users in leafnode config".into());
    }
    let is_account = |name: Option<&str>| name.is_some_and(|name| nkey::is_public(name, KeyKind::Account));
    if leafnodes.remotes.iter().any(|remote| !is_account(remote.account.as_deref())) {
        return Err("operator mode requires account nkeys in remotes. Please add an `account` key to each remote \
                    in your `leafnodes` section, to assign it to an account. Each account value should be a 56 \
                    character public key, starting with the letter 'A'"
            .into());
    }
    if leafnodes.port != 0 && leafnodes.account.is_some() && !is_account(leafnodes.account.as_deref()) {
        return Err("operator mode and non account nkeys are incompatible".into());
    }
    Ok(())
}

/// The URLs of a remote are all WebSocket or all not.
fn check_remote(remote: &LeafRemote) -> Result<(), String> {
    let websocket = remote.urls.iter().filter(|url| url.is_websocket()).count();
    if websocket != 0 && websocket != remote.urls.len() {
        let urls: Vec<String> = remote.urls.iter().map(|url| quote(url.redacted().to_string())).collect();
        return Err(format!(
            "remote leaf node configuration cannot have a mix of websocket and non-websocket urls: [{}]",
            urls.join(" ")
        ));
    }
    match &remote.compression {
        Some(compression) => compression.resolve("s2_auto").map(|_| ()),
        None => Ok(()),
    }
}

pub(super) fn check_gateway(options: &Options) -> Result<(), String> {
    let gateway = &options.gateway;
    let Some(name) = &gateway.name else {
        return if gateway.port == 0 { Ok(()) } else { Err("gateway has no name".into()) };
    };
    if name.contains(' ') {
        return Err("gateway name cannot contain spaces".into());
    }
    if gateway.port == 0 {
        return Err(format!("gateway {} has no port specified (select -1 for random port)", quote(name)));
    }
    for (at, remote) in gateway.gateways.iter().enumerate() {
        if remote.name.is_empty() {
            return Err(format!("gateway in the list {at} has no name"));
        }
        if remote.urls.is_empty() {
            return Err(format!("gateway {} has no URL", quote(&remote.name)));
        }
    }
    Ok(())
}

pub(super) fn check_cluster(options: &Options) -> Result<(), String> {
    let cluster = &options.cluster;
    if cluster.name.as_ref().is_some_and(|name| name.contains(' ')) {
        return Err("cluster name cannot contain spaces".into());
    }
    if let Some(permissions) = &cluster.permissions {
        for (name, rule) in [("import", &permissions.import), ("export", &permissions.export)] {
            let Some(rule) = rule else { continue };
            check_subjects(rule.allow.as_deref().unwrap_or_default(), false)
                .map_err(|text| format!("cluster {name} allow: {text}"))?;
            check_subjects(&rule.deny, false).map_err(|text| format!("cluster {name} deny: {text}"))?;
        }
    }
    if let Some(compression) = &cluster.compression {
        compression.resolve("s2_fast")?;
    }
    if let Some(gateway) = &options.gateway.name
        && cluster.name.as_ref().is_some_and(|name| name != gateway)
    {
        return Err("cluster name conflicts between cluster and gateway definitions".into());
    }
    if !cluster.accounts.is_empty() && cluster.pool_size < 0 {
        return Err("pool_size cannot be negative if pinned accounts are specified".into());
    }
    let mut names = HashSet::new();
    if let Some(twice) = cluster.accounts.iter().find(|name| !names.insert(*name)) {
        let all: Vec<String> = cluster.accounts.iter().map(quote).collect();
        let twice = quote(twice);
        return Err(format!(
            "found duplicate account name {twice} in pinned accounts list [{}]",
            all.join(" ")
        ));
    }
    Ok(())
}
