//! The `cluster` block.

use crate::server::base::quote::quote;
use crate::server::config::duration::{SECOND, parse_duration};
use crate::server::config::options::{Cluster, Compression, LinkPermissions, Options, Permissions};
use crate::server::config::value::{Entry, Value};

use super::context::{Context, Key};
use super::shapes::{filled, positive, span};
use super::subjects::check_subjects;
use super::tls::{self, Place};
use super::{auth, permissions};

/// The longest time without a PING that routes allow.
const PING_INTERVAL_SECONDS_MAX: i64 = 30;

const KEYS: &[Key<Cluster>] = &[
    Key::new(&["name"], |c, e, o| match c.str(&e.node) {
        Some(name) if name.contains(' ') => c.error(&e.node.pos, "cluster name cannot contain spaces"),
        Some(name) => o.name = filled(name),
        None => {}
    }),
    Key::new(&["listen"], |c, e, o| c.listen_into(e, &mut o.host, &mut o.port)),
    Key::new(&["host", "net"], |c, e, o| c.text(e, &mut o.host)),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["authorization"], read_authorization),
    Key::new(&["permissions"], read_permissions),
    Key::new(&["routes"], |c, e, o| {
        if let Some(items) = c.plain_array(&e.node) {
            o.routes = c.urls("route", items);
        }
    }),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::Servers) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["advertise", "cluster_advertise"], |c, e, o| c.text(e, &mut o.advertise)),
    Key::new(&["no_advertise"], |c, e, o| c.flag(e, &mut o.no_advertise)),
    Key::new(&["connect_retries"], |c, e, o| c.number(e, &mut o.connect_retries)),
    Key::new(&["connect_backoff"], |c, e, o| c.flag(e, &mut o.connect_backoff)),
    Key::new(&["pool_size"], |c, e, o| c.number(e, &mut o.pool_size)),
    Key::new(&["accounts"], |c, e, o| o.accounts = c.strings("accounts", &e.node).unwrap_or_default()),
    Key::new(&["compression"], |c, e, o| read_compression(c, e, "s2_fast", &mut o.compression)),
    Key::new(&["ping_interval"], |c, e, o| {
        let Some(nanos) = c.nanos("ping_interval", &e.node) else { return };
        if nanos > PING_INTERVAL_SECONDS_MAX * SECOND {
            let text = "Cluster 'ping_interval' will reset to 30s which is the max for routes";
            c.warning(&e.node.pos, text);
        }
        o.ping_interval = positive(nanos);
    }),
    Key::new(&["ping_max"], |c, e, o| o.ping_max = c.int(&e.node).filter(|max| *max != 0)),
    Key::new(&["write_deadline"], |c, e, o| c.duration_or_none("write_deadline", e, &mut o.write_deadline)),
    Key::new(&["write_timeout"], |c, e, o| c.write_timeout(e, &mut o.write_timeout)),
];

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(map) = context.map(&entry.node, "Expected map to define cluster") {
        context.block(map, &[KEYS], &mut out.cluster);
    }
}

fn read_authorization(context: &mut Context<'_>, entry: &Entry, out: &mut Cluster) {
    let Some(auth) = auth::read_single(context, entry, "Cluster") else { return };
    out.username = auth.username;
    out.password = auth.password;
    out.auth_timeout = auth.timeout;
    let Some(permissions) = auth.default_permissions else { return };
    if let Err(text) = check_permissions(&permissions) {
        return context.error(&entry.node.pos, text);
    }
    let text = "setting \"permissions\" within cluster authorization block is deprecated";
    context.warning_use(&entry.node.pos, &entry.key, text);
    // Those of the block itself win, wherever they stand.
    if out.permissions.is_none() {
        out.permissions = Some(link_permissions(permissions));
    }
}

fn read_permissions(context: &mut Context<'_>, entry: &Entry, out: &mut Cluster) {
    let first = context.findings.len();
    let permissions = permissions::read(context, &entry.node);
    context.forget_place(first, &entry.node.pos);
    let Some(permissions) = permissions else { return };
    if permissions.allow_responses.is_some() {
        return context.error(&entry.node.pos, "Cluster permissions do not support dynamic responses");
    }
    if let Err(text) = check_permissions(&permissions) {
        return context.error(&entry.node.pos, text);
    }
    out.permissions = Some(link_permissions(permissions));
}

fn link_permissions(permissions: Permissions) -> LinkPermissions {
    LinkPermissions { import: permissions.publish, export: permissions.subscribe }
}

/// Subjects that cross routes name no queues.
fn check_permissions(permissions: &Permissions) -> Result<(), String> {
    for (name, rule) in [("import", &permissions.publish), ("export", &permissions.subscribe)] {
        let Some(rule) = rule else { continue };
        check_subjects(rule.allow.as_deref().unwrap_or_default(), false)
            .map_err(|text| format!("cluster {name} allow: {text}"))?;
        check_subjects(&rule.deny, false).map_err(|text| format!("cluster {name} deny: {text}"))?;
    }
    Ok(())
}

/// `compression` of routes and leaf links; `on` is the mode that a plain `true` means. Modes are
/// checked at start.
pub(super) fn read_compression(
    context: &mut Context<'_>,
    entry: &Entry,
    on: &str,
    out: &mut Option<Compression>,
) {
    const KEYS: &[Key<Compression>] = &[
        Key::new(&["mode"], |c, e, o| {
            if let Some(mode) = c.str(&e.node) {
                mode.clone_into(&mut o.mode);
            }
        }),
        Key::new(&["rtt_thresholds", "thresholds", "rtts", "rtt"], |c, e, o| {
            for item in c.plain_array(&e.node).unwrap_or_default() {
                let Some(text) = c.str(item) else { continue };
                match parse_duration(text) {
                    Ok(nanos) => o.rtt_thresholds.push(span(nanos)),
                    Err(reason) => c.error(&e.node.pos, reason),
                }
            }
        }),
    ];
    let mut compression = Compression::mode("");
    match &entry.node.value {
        Value::String(mode) => mode.clone_into(&mut compression.mode),
        Value::Bool(true) => on.clone_into(&mut compression.mode),
        Value::Bool(false) => "off".clone_into(&mut compression.mode),
        Value::Map(map) => context.block(map, &[KEYS], &mut compression),
        other => {
            let (key, kind) = (quote(&entry.key), other.type_name());
            let text = format!("field {key} should be a boolean or a structure, got {kind}");
            return context.error(&entry.node.pos, text);
        }
    }
    *out = (!compression.mode.is_empty()).then_some(compression);
}
