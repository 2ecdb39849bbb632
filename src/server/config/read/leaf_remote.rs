//! `leafnodes.remotes`: the connecting side.

use std::collections::HashSet;
use std::time::Duration;

use crate::server::base::quote::quote;
use crate::server::base::url::Url;
use crate::server::config::options::{GLOBAL_ACCOUNT, LeafProxy, LeafRemote};
use crate::server::config::value::{Entry, Node, Pos, Value};
use crate::server::jwt::nkey::{self, KeyKind};

use super::cluster::read_compression;
use super::context::{Context, Key, shown};
use super::permissions::read_subjects;
use super::shapes::{filled, span};
use super::tls::{self, Place};

/// A remote while it is read.
#[derive(Default)]
struct Draft {
    remote: LeafRemote,
    proxy: Option<ProxyDraft>,
}

/// The proxy's block, with its place: it is checked once the remote's URLs are known.
struct ProxyDraft {
    pos: Pos,
    proxy: LeafProxy,
    timeout_is_negative: bool,
    tls_timeout_is_negative: bool,
    /// Something in it was refused already.
    refused: bool,
}

const KEYS: &[Key<Draft>] = &[
    Key::new(&["url", "urls"], read_urls),
    Key::new(&["account", "local"], |c, e, d| c.text(e, &mut d.remote.account)),
    Key::new(&["credentials", "creds"], |c, e, d| {
        let Some(path) = c.str(&e.node) else { return };
        match expand_path(path, &|name| c.files.variable(name)) {
            Err(text) => c.error(&e.node.pos, text),
            Ok(_) if d.remote.nkey.is_some() => c.error(&e.node.pos, BOTH_KEYS),
            Ok(path) => d.remote.credentials = filled(&path).map(Into::into),
        }
    }),
    Key::new(&["nkey", "seed"], |c, e, d| {
        let Some(seed) = c.str(&e.node) else { return };
        if nkey::seed_kind(seed) != Some(KeyKind::User) {
            c.error(&e.node.pos, format!("Remote leafnode nkey is not a valid seed: {}", quote(seed)));
        } else if d.remote.credentials.is_some() {
            c.error(&e.node.pos, BOTH_KEYS);
        } else {
            d.remote.nkey = Some(seed.to_owned());
        }
    }),
    Key::new(&["tls"], |c, e, d| {
        if let Some(tls) = tls::read(c, e, Place::OneWay) {
            d.remote.tls = Some(tls);
        }
    }),
    Key::new(&["hub"], |c, e, d| c.flag(e, &mut d.remote.hub)),
    Key::new(&["deny_imports", "deny_import"], |c, e, d| {
        d.remote.deny_imports = read_subjects(c, &e.node, false, true).unwrap_or_default();
    }),
    Key::new(&["deny_exports", "deny_export"], |c, e, d| {
        d.remote.deny_exports = read_subjects(c, &e.node, false, true).unwrap_or_default();
    }),
    Key::new(&["no_randomize", "dont_randomize"], |c, e, d| c.flag(e, &mut d.remote.no_randomize)),
    Key::new(&["ws_compression", "ws_compress", "websocket_compress", "websocket_compression"], |c, e, d| {
        c.flag(e, &mut d.remote.ws_compression)
    }),
    Key::new(&["ws_no_masking", "websocket_no_masking"], |c, e, d| c.flag(e, &mut d.remote.ws_no_masking)),
    Key::new(&["jetstream_cluster_migrate", "js_cluster_migrate"], read_migrate),
    Key::new(&["isolate_leafnode_interest", "isolate"], |c, e, d| {
        c.flag(e, &mut d.remote.isolate_leafnode_interest);
    }),
    Key::new(&["request_isolation"], |c, e, d| c.flag(e, &mut d.remote.request_isolation)),
    Key::new(&["compression"], |c, e, d| read_compression(c, e, "s2_auto", &mut d.remote.compression)),
    Key::new(&["first_info_timeout"], |c, e, d| c.duration(&e.key, e, &mut d.remote.first_info_timeout)),
    Key::new(&["dial_timeout"], |c, e, d| c.duration_or_none(&e.key, e, &mut d.remote.dial_timeout)),
    Key::new(&["disabled"], |c, e, d| c.flag(e, &mut d.remote.disabled)),
    Key::new(&["proxy"], read_proxy),
    Key::new(&["ignore_discovered_servers"], |c, e, d| c.flag(e, &mut d.remote.ignore_discovered_servers)),
];

const BOTH_KEYS: &str = "Remote leafnode can not have both creds and nkey defined";

/// Reads the list. `None` when it is none.
pub(super) fn read_all(context: &mut Context<'_>, node: &Node) -> Option<Vec<LeafRemote>> {
    let Value::Array(items) = &node.value else {
        let kind = node.value.type_name();
        context.error(&node.pos, format!("Expected remotes field to be an array, got {kind}"));
        return None;
    };
    let mut names = HashSet::new();
    let mut remotes = Vec::with_capacity(items.len());
    for item in items {
        let Some((remote, pos)) = read_one(context, item) else { continue };
        if names.insert(name(&remote, false)) {
            remotes.push(remote);
        } else {
            context.error(&pos, format!("duplicate remote {}", name(&remote, true)));
        }
    }
    Some(remotes)
}

/// One remote, and the place that the reference names for it: that of a key it looked at last.
fn read_one(context: &mut Context<'_>, item: &Node) -> Option<(LeafRemote, Pos)> {
    let Value::Map(map) = &item.value else {
        let text = format!("Expected remote leafnode entry to be a map/struct, got {}", shown(&item.value));
        context.error(&item.pos, text);
        return None;
    };
    let mut draft = Draft::default();
    context.block(map, &[KEYS], &mut draft);
    let mut remote = draft.remote;
    if let Some(draft) = draft.proxy {
        if let Err(text) = check_proxy(&draft, &remote.urls, remote.tls.is_some()) {
            context.error(&draft.pos, text);
            return None;
        }
        remote.proxy = (!draft.proxy.url.is_empty()).then_some(draft.proxy);
    }
    let pos = map.iter().last().map_or(&item.pos, |entry| &entry.node.pos);
    Some((remote, pos.clone()))
}

/// What a remote is known by: URLs, account, credentials; passwords hidden on demand.
pub(in crate::server::config) fn name(remote: &LeafRemote, redacted: bool) -> String {
    let shown = |url: &Url| quote(if redacted { url.redacted() } else { url.clone() }.to_string());
    let urls: Vec<String> = remote.urls.iter().map(shown).collect();
    let account = quote(remote.account.as_deref().unwrap_or(GLOBAL_ACCOUNT));
    let key = match (&remote.credentials, &remote.nkey) {
        (Some(path), _) => format!(", credentials={}", quote(&*path.to_string_lossy())),
        (None, Some(_)) if redacted => ", nkey=\"[REDACTED]\"".into(),
        (None, Some(seed)) => format!(", nkey={}", quote(seed)),
        (None, None) => String::new(),
    };
    format!("urls=[{}], account={account}{key}", urls.join(" "))
}

fn read_urls(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let pos = &entry.node.pos;
    match &entry.node.value {
        Value::String(text) => out.remote.urls.extend(context.url(pos, "leafnode", text)),
        Value::Array(items) => out.remote.urls = context.urls("leafnode", items),
        other => {
            let text = format!("Expected remote leafnode url to be an array or string, got {}", shown(other));
            context.error(pos, text);
        }
    }
}

fn read_migrate(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    match &entry.node.value {
        Value::Bool(on) => out.remote.jetstream_cluster_migrate = *on,
        Value::Map(map) => {
            out.remote.jetstream_cluster_migrate = true;
            // Other keys are ignored here, as in the reference.
            let delay = map.get("leader_migrate_delay");
            let nanos = delay.and_then(|node| context.nanos("leader_migrate_delay", node));
            out.remote.leader_migrate_delay = nanos.map_or(Duration::ZERO, span);
        }
        other => {
            let kind = other.type_name();
            let text = format!("Expected boolean or map for jetstream_cluster_migrate, got {kind}");
            context.error_unplaced(&entry.node.pos, text);
        }
    }
}

const PROXY_KEYS: &[Key<ProxyDraft>] = &[
    Key::new(&["url"], |c, e, d| {
        if let Some(url) = c.str(&e.node) {
            url.clone_into(&mut d.proxy.url);
        }
    }),
    Key::new(&["username"], |c, e, d| c.text(e, &mut d.proxy.username)),
    Key::new(&["password"], |c, e, d| c.text(e, &mut d.proxy.password)),
    Key::new(&["timeout"], |c, e, d| {
        if let Some(nanos) = c.nanos("proxy timeout", &e.node) {
            d.proxy.timeout = span(nanos);
            d.timeout_is_negative = nanos < 0;
        }
    }),
    Key::new(&["tls"], |c, e, d| {
        if let Some((tls, timeout_is_negative)) = tls::read_proxy(c, e) {
            d.proxy.tls = Some(tls);
            d.tls_timeout_is_negative = timeout_is_negative;
        }
    }),
];

fn read_proxy(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let Some(map) = context.map(&entry.node, "Expected proxy to be a map") else { return };
    let errors = context.errors();
    let mut draft = ProxyDraft {
        pos: entry.node.pos.clone(),
        proxy: LeafProxy::default(),
        timeout_is_negative: false,
        tls_timeout_is_negative: false,
        refused: false,
    };
    context.block(map, &[PROXY_KEYS], &mut draft);
    draft.refused = context.errors() > errors;
    out.proxy = Some(draft);
}

/// Checks a proxy by itself and against the URLs that go through it.
fn check_proxy(draft: &ProxyDraft, urls: &[Url], has_tls: bool) -> Result<(), String> {
    let proxy = &draft.proxy;
    if proxy.url.is_empty() {
        // What was refused in it may have been the URL.
        if *proxy == LeafProxy::default() || draft.refused {
            return Ok(());
        }
        return Err("proxy URL must be specified when other proxy options are set".into());
    }
    let url = Url::parse(&proxy.url).map_err(|error| format!("invalid proxy URL: {error}"))?;
    if url.scheme != "http" && url.scheme != "https" {
        return Err(format!("proxy URL scheme must be http or https, got: {}", url.scheme));
    }
    if url.host.is_empty() {
        return Err("proxy URL must specify a host".into());
    }
    if draft.timeout_is_negative {
        return Err("proxy timeout must be >= 0".into());
    }
    if proxy.username.is_none() != proxy.password.is_none() {
        return Err("proxy username and password must both be specified or both be empty".into());
    }
    if proxy.tls.is_some() && url.scheme != "https" {
        return Err(format!("proxy TLS configuration requires an https proxy URL, got: {}", url.scheme));
    }
    if draft.tls_timeout_is_negative {
        return Err("proxy TLS timeout must be >= 0".into());
    }
    match urls.iter().find(|url| url.scheme == "wss" && !has_tls) {
        Some(url) => Err(format!(
            "proxy is configured but remote URL {url} requires TLS and no TLS configuration is provided. When \
             using proxy with TLS endpoints, ensure TLS is properly configured for the leafnode remote"
        )),
        None => Ok(()),
    }
}

/// Puts environment variables and the home directory into a path.
fn expand_path(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let path = expand_variables(path, variable);
    let Some(rest) = path.strip_prefix('~') else { return Ok(path) };
    let home = variable("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or("failed to get home dir, require $HOME")?;
    Ok(format!("{}/{}", home.trim_end_matches('/'), rest.trim_start_matches('/')))
}

/// Replaces `$name` and `${name}`; unknown ones by nothing.
fn expand_variables(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some((name, tail)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            out.push_str(&variable(name).unwrap_or_default());
            rest = tail;
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(&variable(name).unwrap_or_default());
        }
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_take_variables_and_the_home_directory() {
        let variable = |name: &str| match name {
            "HOME" => Some("/home/me/".to_owned()),
            "X" => Some("x".to_owned()),
            _ => None,
        };
        for (path, want) in [
            ("a.creds", "a.creds"),
            ("~/a.creds", "/home/me/a.creds"),
            ("$X/${X}y/$X_", "x/xy/"),
            ("$NO/a", "/a"),
            ("a$", "a$"),
        ] {
            assert_eq!(expand_path(path, &variable).unwrap(), want);
        }
        assert_eq!(expand_path("~/a", &|_| None).unwrap_err(), "failed to get home dir, require $HOME");
    }
}
