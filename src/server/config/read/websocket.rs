//! The `websocket` block.

use crate::server::config::duration::{SECOND, parse_duration};
use crate::server::config::options::{Options, Websocket};
use crate::server::config::value::{Entry, Value};

use super::auth;
use super::context::{Context, Key};
use super::shapes::positive;
use super::tls::{self, Place};

const KEYS: &[Key<Websocket>] = &[
    Key::new(&["listen"], |c, e, o| c.listen_into(e, &mut o.host, &mut o.port)),
    Key::new(&["host", "net"], |c, e, o| c.text(e, &mut o.host)),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["advertise"], |c, e, o| c.text(e, &mut o.advertise)),
    Key::new(&["no_tls"], |c, e, o| c.flag(e, &mut o.no_tls)),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::OneWay) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["same_origin"], |c, e, o| c.flag(e, &mut o.same_origin)),
    Key::new(
        &["allowed_origins", "allowed_origin", "allow_origins", "allow_origin", "origins", "origin"],
        |c, e, o| o.allowed_origins = c.strings("allowed origins", &e.node).unwrap_or_default(),
    ),
    Key::new(&["handshake_timeout"], |c, e, o| {
        o.handshake_timeout = match &e.node.value {
            Value::Int(seconds) => positive(seconds.saturating_mul(SECOND)),
            Value::String(text) => match parse_duration(text) {
                Ok(nanos) => positive(nanos),
                Err(reason) => return c.error(&e.node.pos, reason),
            },
            other => {
                let kind = other.type_name();
                let text = format!("error parsing handshake timeout: unsupported type {kind}");
                return c.error(&e.node.pos, text);
            }
        };
    }),
    Key::new(&["compression", "compress"], |c, e, o| c.flag(e, &mut o.compression)),
    Key::new(&["authorization", "authentication"], |c, e, o| {
        let auth = auth::read_simple(c, e);
        o.username = auth.username;
        o.password = auth.password;
        o.token = auth.token;
        o.auth_timeout = auth.timeout;
    }),
    Key::new(&["jwt_cookie"], |c, e, o| c.text(e, &mut o.jwt_cookie)),
    Key::new(&["user_cookie"], |c, e, o| c.text(e, &mut o.user_cookie)),
    Key::new(&["pass_cookie"], |c, e, o| c.text(e, &mut o.pass_cookie)),
    Key::new(&["token_cookie"], |c, e, o| c.text(e, &mut o.token_cookie)),
    Key::new(&["no_auth_user"], |c, e, o| c.text(e, &mut o.no_auth_user)),
    Key::new(&["headers"], read_headers),
    Key::new(&["ping_interval"], |c, e, o| c.duration_or_none("ping_interval", e, &mut o.ping_interval)),
];

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(map) = context.map(&entry.node, "Expected websocket to be a map") {
        context.block(map, &[KEYS], &mut out.websocket);
    }
}

/// Which headers may be set is checked at start.
fn read_headers(context: &mut Context<'_>, entry: &Entry, out: &mut Websocket) {
    let Value::Map(map) = &entry.node.value else {
        let kind = entry.node.value.type_name();
        return context.error(&entry.node.pos, format!("error parsing headers: unsupported type {kind}"));
    };
    out.headers.clear();
    for Entry { key, node } in map {
        match &node.value {
            Value::String(text) => _ = out.headers.insert(key.clone(), text.clone()),
            other => {
                let kind = other.type_name();
                context.error(&node.pos, format!("error parsing header key {key}: unsupported type {kind}"));
            }
        }
    }
}
