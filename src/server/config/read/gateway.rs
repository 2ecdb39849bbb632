//! The `gateway` block.

use crate::server::config::options::{Gateway, Options, RemoteGateway};
use crate::server::config::value::{Entry, Node, Value};

use super::auth;
use super::context::{Context, Key, shown};
use super::shapes::filled;
use super::tls::{self, Place};

const KEYS: &[Key<Gateway>] = &[
    Key::new(&["name"], |c, e, o| match c.str(&e.node) {
        Some(name) if name.contains(' ') => c.error(&e.node.pos, "gateway name cannot contain spaces"),
        Some(name) => o.name = filled(name),
        None => {}
    }),
    Key::new(&["listen"], |c, e, o| c.listen_into(e, &mut o.host, &mut o.port)),
    Key::new(&["host", "net"], |c, e, o| c.text(e, &mut o.host)),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["authorization"], |c, e, o| {
        let Some(auth) = auth::read_single(c, e, "Gateway") else { return };
        o.username = auth.username;
        o.password = auth.password;
        o.auth_timeout = auth.timeout;
    }),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::Servers) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["advertise"], |c, e, o| c.text(e, &mut o.advertise)),
    Key::new(&["connect_retries"], |c, e, o| c.number(e, &mut o.connect_retries)),
    Key::new(&["connect_backoff"], |c, e, o| c.flag(e, &mut o.connect_backoff)),
    Key::new(&["reject_unknown_cluster", "reject_unknown"], |c, e, o| {
        c.flag(e, &mut o.reject_unknown_cluster)
    }),
    Key::new(&["gateways"], |c, e, o| {
        let Value::Array(items) = &e.node.value else {
            let kind = e.node.value.type_name();
            return c
                .error_unplaced(&e.node.pos, format!("Expected gateways field to be an array, got {kind}"));
        };
        o.gateways = items.iter().filter_map(|item| read_remote(c, item)).collect();
    }),
    Key::new(&["write_deadline"], |c, e, o| c.duration_or_none("write_deadline", e, &mut o.write_deadline)),
    Key::new(&["write_timeout"], |c, e, o| c.write_timeout(e, &mut o.write_timeout)),
];

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(map) = context.map(&entry.node, "Expected gateway to be a map") {
        out.gateway.defined = true;
        context.block(map, &[KEYS], &mut out.gateway);
    }
}

const REMOTE_KEYS: &[Key<RemoteGateway>] = &[
    Key::new(&["name"], |c, e, o| {
        if let Some(name) = c.str(&e.node) {
            name.clone_into(&mut o.name);
        }
    }),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::Servers) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["url"], |c, e, o| {
        if let Some(text) = c.str(&e.node) {
            o.urls.extend(c.url(&e.node.pos, "gateway", text));
        }
    }),
    Key::new(&["urls"], |c, e, o| {
        if let Some(items) = c.plain_array(&e.node) {
            o.urls = c.urls("gateway", items);
        }
    }),
];

fn read_remote(context: &mut Context<'_>, item: &Node) -> Option<RemoteGateway> {
    let Value::Map(map) = &item.value else {
        let text = format!("Expected gateway entry to be a map/struct, got {}", shown(&item.value));
        context.error(&item.pos, text);
        return None;
    };
    let mut remote = RemoteGateway::default();
    context.block(map, &[REMOTE_KEYS], &mut remote);
    Some(remote)
}
