//! Comparing the `leafnodes` block: its listener, then remote by remote.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::options::{
    Compression, GLOBAL_ACCOUNT, HandshakeFirst, LeafProxy, LeafRemote, LeafUser, Leafnodes, TLS_TIMEOUT,
    Tls, auth_timeout,
};
use super::general::{handshake_first, tls_changed};
use super::links::{ON_FOR_LEAFNODES, compression_shown, normal};
use super::shown::{Seconds, Secret, Shown, fields_shown, quoted_list};
use super::{Change, Comparison, Refusal, port};
use crate::server::base::quote::quote;

/// What of the `leafnodes` block changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeafnodesChange {
    /// The listener's `handshake_first`, if it changes.
    pub handshake_first: Option<HandshakeFirst>,
    /// The listener's compression, if it changes.
    pub compression: Option<Compression>,
    /// Remotes to connect to.
    pub added: Vec<LeafRemote>,
    /// Remotes to close.
    pub removed: Vec<LeafRemote>,
    /// Remotes that stay. Their TLS is taken over in any case.
    pub kept: Vec<RemoteChange>,
}

/// What of a remote changes; it is told by its URLs, account and credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteChange {
    /// The remote as it is from now on.
    pub remote: LeafRemote,
    /// TLS begins before INFO, if that changes.
    pub handshake_first: Option<bool>,
    /// Compression, if it changes.
    pub compression: Option<Compression>,
    /// It is not, or again, connected to, if that changes.
    pub disabled: Option<bool>,
}

impl LeafnodesChange {
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(first) = self.handshake_first {
            let tls = Tls { handshake_first: first, ..Tls::default() };
            let (first, fallback) = handshake_first(Some(&tls));
            lines.push(format!("Reloaded: LeafNode TLS HandshakeFirst value is: {first}"));
            let fallback = fallback.shown();
            lines.push(format!("Reloaded: LeafNode TLS HandshakeFirstFallback value is: {fallback}"));
        }
        if let Some(compression) = &self.compression {
            let value = compression_shown(Some(compression));
            lines.push(format!("Reloaded: LeafNode Compression value is: {value}"));
        }
        for remote in &self.removed {
            lines.push(format!("Reloaded: LeafNode Remote {} removed", safe_name(remote)));
        }
        for change in &self.kept {
            let about = format!("Reloaded: LeafNode Remote {}", safe_name(&change.remote));
            if let Some(first) = change.handshake_first {
                lines.push(format!("{about} TLS HandshakeFirst value is: {first}"));
            }
            if let Some(compression) = &change.compression {
                lines.push(format!("{about} Compression value is: {}", compression_shown(Some(compression))));
            }
            if let Some(disabled) = change.disabled {
                lines.push(format!("{about} Disabled value is: {disabled}"));
            }
        }
        lines
    }
}

impl RemoteChange {
    const fn is_something(&self) -> bool {
        self.handshake_first.is_some() || self.compression.is_some() || self.disabled.is_some()
    }
}

impl Comparison<'_> {
    pub(super) fn leafnodes(&mut self) -> Result<(), Refusal> {
        let refuse = |what: String| Refusal::Unsupported(format!("LeafNode: {what}"));
        let (old, new) = (&self.old.leafnodes, &self.new.leafnodes);
        if let Some(field) = listener_difference(old, new, self.running.ports.leafnodes) {
            return Err(refuse(field));
        }
        let mut tls = tls_changed(old.tls.as_ref(), new.tls.as_ref(), self.running.tls_files_changed);
        let mut change = LeafnodesChange::default();
        let first = |block: &Leafnodes| block.tls.as_ref().map(|tls| tls.handshake_first).unwrap_or_default();
        change.handshake_first = Some(first(new)).filter(|_| first(old) != first(new));
        let (was, is) = (compression(old.compression.as_ref()), compression(new.compression.as_ref()));
        change.compression = is.filter(|_| old.port != 0).filter(|is| was.as_ref() != Some(is));

        change.added.clone_from(&new.remotes);
        for old in &old.remotes {
            let same = change.added.iter().position(|remote| identity(remote) == identity(old));
            let Some(place) = same else {
                change.removed.push(old.clone());
                continue;
            };
            let new = change.added.remove(place);
            if let Some(field) = remote_difference(old, &new) {
                return Err(refuse(format!("remote {}: {field}", safe_name(&new))));
            }
            tls |= tls_changed(old.tls.as_ref(), new.tls.as_ref(), self.running.tls_files_changed);
            let first = |remote: &LeafRemote| handshake_first(remote.tls.as_ref()).0;
            let (was, is) = (compression(old.compression.as_ref()), compression(new.compression.as_ref()));
            change.kept.push(RemoteChange {
                handshake_first: Some(first(&new)).filter(|is| *is != first(old)),
                compression: is.filter(|is| was.as_ref() != Some(is)),
                disabled: Some(new.disabled).filter(|is| *is != old.disabled),
                remote: new,
            });
        }
        if tls
            || change.handshake_first.is_some()
            || change.compression.is_some()
            || !change.added.is_empty()
            || !change.removed.is_empty()
            || change.kept.iter().any(RemoteChange::is_something)
        {
            self.changes.push(Change::Leafnodes(change));
        }
        Ok(())
    }
}

fn compression(value: Option<&Compression>) -> Option<Compression> {
    normal(value, ON_FOR_LEAFNODES)
}

/// A field that may not differ, and how it does.
fn field<T: PartialEq + Shown>(name: &str, old: T, new: T) -> Option<String> {
    (old != new).then(|| format!("field \"{name}\": old={}, new={}", old.shown(), new.shown()))
}

/// The first field of the listener that differs and may not.
fn listener_difference(old: &Leafnodes, new: &Leafnodes, bound: i32) -> Option<String> {
    if users(&old.users) != users(&new.users) {
        let shown = |user: &LeafUser| {
            fields_shown(&[&user.username, &Secret(&Some(user.password.clone())), &user.account])
        };
        let all = |users: &[LeafUser]| users.iter().map(shown).collect::<Vec<_>>().shown();
        let (old, new) = (all(&old.users), all(&new.users));
        return Some(format!("field \"Users\": old={old}, new={new}"));
    }
    let authentication = |block: &Leafnodes| match block.port {
        0 => Seconds(block.auth_timeout.unwrap_or_default()),
        _ => Seconds(auth_timeout(block.auth_timeout, block.tls.as_ref())),
    };
    let handshake = |block: &Leafnodes| {
        let default = if block.port == 0 { Duration::ZERO } else { TLS_TIMEOUT };
        let timeout = block.tls.as_ref().map(|tls| tls.timeout).filter(|time| !time.is_zero());
        Seconds(timeout.unwrap_or(default))
    };
    let map = |block: &Leafnodes| block.tls.as_ref().is_some_and(|tls| tls.verify_and_map);
    let pinned = |block: &Leafnodes| -> BTreeSet<String> {
        block.tls.as_ref().map(|tls| tls.pinned_certs.clone()).unwrap_or_default()
    };
    let unset_is_zero = |time: Option<Duration>| time.unwrap_or_default();
    let fields = [
        field("Host", &old.host, &new.host),
        field("Port", port(old.port, bound), port(new.port, bound)),
        field("Username", &old.username, &new.username),
        field("Password", Secret(&old.password), Secret(&new.password)),
        field("ProxyRequired", old.proxy_required, new.proxy_required),
        field("Nkey", &old.nkey, &new.nkey),
        field("Account", &old.account, &new.account),
        field("AuthTimeout", authentication(old), authentication(new)),
        field("TLSTimeout", handshake(old), handshake(new)),
        field("TLSMap", map(old), map(new)),
        field("TLSPinnedCerts", pinned(old), pinned(new)),
        field("Advertise", &old.advertise, &new.advertise),
        field("NoAdvertise", old.no_advertise, new.no_advertise),
        field("ReconnectInterval", old.reconnect, new.reconnect),
        field("WriteDeadline", unset_is_zero(old.write_deadline), unset_is_zero(new.write_deadline)),
        field("WriteTimeout", old.write_timeout, new.write_timeout),
        field("MinVersion", &old.min_version, &new.min_version),
        field("IsolateLeafnodeInterest", old.isolate_leafnode_interest, new.isolate_leafnode_interest),
        field("DialTimeout", unset_is_zero(old.dial_timeout), unset_is_zero(new.dial_timeout)),
    ];
    fields.into_iter().flatten().next()
}

/// Users by name with what may not change: password and account.
fn users(users: &[LeafUser]) -> BTreeMap<&str, (&str, Option<&str>)> {
    users
        .iter()
        .map(|user| (user.username.as_str(), (user.password.as_str(), user.account.as_deref())))
        .collect()
}

/// The first field of a remote that differs and may not.
fn remote_difference(old: &LeafRemote, new: &LeafRemote) -> Option<String> {
    let handshake =
        |remote: &LeafRemote| Seconds(remote.tls.as_ref().map(|tls| tls.timeout).unwrap_or_default());
    let websocket = |remote: &LeafRemote| fields_shown(&[&remote.ws_compression, &remote.ws_no_masking]);
    let unset_is_zero = |time: Option<Duration>| time.unwrap_or_default();
    let before_proxy = [
        field("NoRandomize", old.no_randomize, new.no_randomize),
        field("TLSTimeout", handshake(old), handshake(new)),
        field("Hub", old.hub, new.hub),
        field("DenyImports", old.deny_imports.clone(), new.deny_imports.clone()),
        field("DenyExports", old.deny_exports.clone(), new.deny_exports.clone()),
        field("FirstInfoTimeout", old.first_info_timeout, new.first_info_timeout),
        field("DialTimeout", unset_is_zero(old.dial_timeout), unset_is_zero(new.dial_timeout)),
        field("Websocket", websocket(old), websocket(new)),
    ];
    let proxy = (proxy(old.proxy.as_ref()) != proxy(new.proxy.as_ref()))
        .then(|| "field \"Proxy\": only the proxy TLS configuration can be changed".to_owned());
    let behind_proxy = [
        field("JetStreamClusterMigrate", old.jetstream_cluster_migrate, new.jetstream_cluster_migrate),
        field("JetStreamClusterMigrateDelay", old.leader_migrate_delay, new.leader_migrate_delay),
        field("LocalIsolation", old.isolate_leafnode_interest, new.isolate_leafnode_interest),
        field("RequestIsolation", old.request_isolation, new.request_isolation),
        field("IgnoreDiscoveredServers", old.ignore_discovered_servers, new.ignore_discovered_servers),
    ];
    before_proxy.into_iter().chain([proxy]).chain(behind_proxy).flatten().next()
}

/// No proxy is the same as an empty one.
fn proxy(proxy: Option<&LeafProxy>) -> LeafProxy {
    proxy.cloned().unwrap_or_default()
}

/// What makes a remote the same one over a reload.
fn identity(remote: &LeafRemote) -> String {
    name(remote, remote.urls.iter().map(ToString::to_string).collect(), remote.nkey.clone())
}

/// A remote as the log names it.
fn safe_name(remote: &LeafRemote) -> String {
    let urls = remote.urls.iter().map(|url| url.redacted().to_string()).collect();
    name(remote, urls, remote.nkey.as_ref().map(|_| "[REDACTED]".to_owned()))
}

fn name(remote: &LeafRemote, urls: Vec<String>, nkey: Option<String>) -> String {
    let urls = quoted_list(urls.iter().map(String::as_str));
    let account = quote(remote.account.as_deref().unwrap_or(GLOBAL_ACCOUNT));
    let credentials = match (&remote.credentials, nkey) {
        (Some(path), _) => format!(", credentials={}", quote(path.display().to_string())),
        (None, Some(nkey)) => format!(", nkey={}", quote(&nkey)),
        (None, None) => String::new(),
    };
    format!("urls={urls}, account={account}{credentials}")
}
