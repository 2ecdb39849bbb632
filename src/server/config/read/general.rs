//! General keys: addresses, identity, monitoring, profiles.

use crate::server::base::quote::quote;
use crate::server::config::options::Options;
use crate::server::config::value::{Entry, Map, Node, Value};
use crate::server::jwt::nkey;

use super::context::{Context, Key, TopKeys};
use super::shapes::filled;

pub(super) const KEYS: TopKeys = &[
    Key::new(&["listen"], |c, e, o| {
        if let Some((host, port)) = c.listen(&e.node) {
            (o.host, o.port) = (host, port);
        }
    }),
    Key::new(&["host", "net"], |c, e, o| {
        if let Some(host) = c.str(&e.node) {
            o.host = host.to_owned();
        }
    }),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["server_name"], |c, e, o| match c.str(&e.node) {
        Some(name) if name.contains(' ') => c.error(&e.node.pos, "server name cannot contain spaces"),
        Some(name) => o.server_name = filled(name),
        None => {}
    }),
    Key::new(&["client_advertise"], |c, e, o| c.text(e, &mut o.client_advertise)),
    Key::new(&["proxy_protocol"], |c, e, o| c.flag(e, &mut o.proxy_protocol)),
    Key::new(&["proxies"], read_proxies),
    Key::new(&["prof_port"], |c, e, o| c.port(e, &mut o.prof_port)),
    Key::new(&["prof_block_rate"], |c, e, o| c.number(e, &mut o.prof_block_rate)),
    Key::new(&["http"], |c, e, o| c.listen_into(e, &mut o.http_host, &mut o.http_port)),
    Key::new(&["https"], |c, e, o| c.listen_into(e, &mut o.http_host, &mut o.https_port)),
    Key::new(&["http_port", "monitor_port"], |c, e, o| c.port(e, &mut o.http_port)),
    Key::new(&["https_port"], |c, e, o| c.port(e, &mut o.https_port)),
    Key::new(&["http_base_path"], |c, e, o| c.text(e, &mut o.http_base_path)),
    Key::new(&["allow_non_tls"], |c, e, o| c.flag(e, &mut o.allow_non_tls)),
    Key::new(&["watch_certificates"], |c, e, o| c.flag(e, &mut o.watch_certificates)),
    Key::new(&["no_auth_user"], |c, e, o| c.text(e, &mut o.no_auth_user)),
    Key::new(&["default_sentinel"], |c, e, o| c.text(e, &mut o.default_sentinel)),
    // Read before everything else.
    Key::new(&["system_account", "system"], |_, _, _| {}),
    Key::new(&["no_system_account", "no_system", "no_sys_acc"], |c, e, o| {
        c.flag(e, &mut o.no_system_account)
    }),
    Key::new(&["server_tags"], read_tags),
    Key::new(&["server_metadata"], read_metadata),
    Key::new(&["feature_flags"], read_feature_flags),
    Key::new(&["default_js_domain"], read_default_domains),
];

/// `system_account`, which other keys depend on. Only the two lower-case spellings count, and
/// the long one goes first.
pub(super) fn read_system_account(context: &mut Context<'_>, root: &Map, out: &mut Options) {
    let Some(node) = root.get("system_account").or_else(|| root.get("system")) else { return };
    match node.value.as_str() {
        Some(name) => out.system_account = filled(name),
        None => context.error(&node.pos, "system account name must be a string"),
    }
}

/// Whether the file switches the system account off, wherever in it.
pub(super) fn says_no_system_account(root: &Map) -> bool {
    ["no_system_account", "no_system", "no_sys_acc"]
        .iter()
        .any(|name| root.get_ignore_case(name).is_some_and(|node| node.value == Value::Bool(true)))
}

fn read_proxies(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    const KEYS: &[Key<Vec<String>>] = &[Key::new(&["trusted"], read_trusted)];
    let Some(map) = context.map(&entry.node, "expected proxies to be a map/struct") else { return };
    let mut trusted = Vec::new();
    context.block(map, &[KEYS], &mut trusted);
    out.proxies_trusted = Some(trusted);
}

fn read_trusted(context: &mut Context<'_>, entry: &Entry, out: &mut Vec<String>) {
    const KEYS: &[Key<String>] = &[Key::new(&["key", "public_key"], |c, e, o| {
        let Some(key) = c.str(&e.node) else { return };
        if nkey::public_kind(key).is_none() {
            c.error(&e.node.pos, format!("invalid proxy key {}", quote(key)));
        }
        *o = key.to_owned();
    })];
    let Value::Array(items) = &entry.node.value else {
        let kind = entry.node.value.type_name();
        let text = format!("expected proxies' trusted field to be an array, got {kind}");
        return context.error(&entry.node.pos, text);
    };
    for item in items {
        let Some(map) = context.map(item, "expected proxies' trusted entry to be a map/struct") else {
            continue;
        };
        let mut key = String::new();
        context.block(map, &[KEYS], &mut key);
        out.push(key);
    }
}

/// Tags are trimmed and in lower case, each once.
fn read_tags(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let mut add = |text: &str| {
        let tag = text.trim().to_lowercase();
        if !tag.is_empty() && !out.server_tags.contains(&tag) {
            out.server_tags.push(tag);
        }
    };
    match &entry.node.value {
        Value::String(text) => add(text),
        Value::Array(items) => {
            for item in items {
                match &item.value {
                    Value::String(text) => add(text),
                    // The reference names the type of its token here.
                    _ => {
                        let text =
                            "error parsing tags: unsupported type *conf.token where string is expected";
                        context.error(&entry.node.pos, text);
                    }
                }
            }
        }
        other => {
            context.error(
                &entry.node.pos,
                format!("error parsing tags: unsupported type {}", other.type_name()),
            );
        }
    }
}

fn read_metadata(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Value::Map(map) = &entry.node.value else {
        let text = format!("error parsing metadata: unsupported type {}", entry.node.value.type_name());
        return context.error(&entry.node.pos, text);
    };
    for Entry { key, node } in map {
        if let Some(text) = context.str(node) {
            out.server_metadata.insert(key.clone(), text.to_owned());
        }
    }
}

fn read_feature_flags(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Value::Map(map) = &entry.node.value else {
        let text = format!("error parsing feature flags: unsupported type {}", entry.node.value.type_name());
        return context.error(&entry.node.pos, text);
    };
    for Entry { key, node } in map {
        match node.value.as_bool() {
            Some(on) => _ = out.feature_flags.insert(key.clone(), on),
            None => {
                let kind = node.value.type_name();
                let text = format!("error parsing feature flag {}: expected bool, got {kind}", quote(key));
                context.error(&node.pos, text);
            }
        }
    }
}

fn read_default_domains(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Value::Map(map) = &entry.node.value else {
        let kind = entry.node.value.type_name();
        return context
            .error(&entry.node.pos, format!("error default_js_domain config: unsupported type {kind}"));
    };
    out.default_js_domain.clear();
    for Entry { key, node } in map {
        if let Some(domain) = plain_text(context, entry, node) {
            out.default_js_domain.insert(key.clone(), domain);
        }
    }
}

/// A text inside of a block; the reference places a wrong type at the block.
fn plain_text(context: &mut Context<'_>, block: &Entry, node: &Node) -> Option<String> {
    context.wrong_types_at = Some(block.node.pos.clone());
    let text = context.str(node).map(str::to_owned);
    context.wrong_types_at = None;
    text
}
