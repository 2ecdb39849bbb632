//! The `leafnodes` block: the accepting side.

use std::collections::HashSet;

use crate::server::base::quote::quote;
use crate::server::config::options::{LeafUser, Leafnodes, Options};
use crate::server::config::value::{Entry, Node, Value};
use crate::server::config::version;
use crate::server::jwt::nkey::{self, KeyKind};

use super::cluster::read_compression;
use super::context::{Context, Key, shown};
use super::leaf_remote;
use super::tls::{self, Place};

const KEYS: &[Key<Leafnodes>] = &[
    Key::new(&["listen"], |c, e, o| c.listen_into(e, &mut o.host, &mut o.port)),
    Key::new(&["host", "net"], |c, e, o| c.text(e, &mut o.host)),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["authorization"], |c, e, o| {
        let Some(map) = c.plain_map(&e.node) else { return };
        c.block(map, &[AUTH_KEYS], o);
        if let Err(text) = check_users(o) {
            c.error(&e.node.pos, text);
        }
    }),
    Key::new(&["remotes"], |c, e, o| {
        if let Some(remotes) = leaf_remote::read_all(c, &e.node) {
            o.remotes = remotes;
        }
    }),
    Key::new(&["reconnect", "reconnect_delay", "reconnect_interval"], |c, e, o| {
        c.duration("reconnect", e, &mut o.reconnect);
    }),
    Key::new(&["dial_timeout"], |c, e, o| c.duration_or_none("dial_timeout", e, &mut o.dial_timeout)),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::OneWay) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["advertise", "leafnode_advertise"], |c, e, o| c.text(e, &mut o.advertise)),
    Key::new(&["no_advertise"], |c, e, o| c.flag(e, &mut o.no_advertise)),
    Key::new(&["min_version", "minimum_version"], |c, e, o| {
        let Some(version) = c.str(&e.node) else { return };
        match check_min_version(version) {
            Ok(()) => o.min_version = Some(version.to_owned()),
            Err(text) => c.error(&e.node.pos, text),
        }
    }),
    Key::new(&["compression"], |c, e, o| read_compression(c, e, "s2_auto", &mut o.compression)),
    Key::new(&["isolate_leafnode_interest", "isolate"], |c, e, o| {
        c.flag(e, &mut o.isolate_leafnode_interest)
    }),
    Key::new(&["write_deadline"], |c, e, o| c.duration_or_none("write_deadline", e, &mut o.write_deadline)),
    Key::new(&["write_timeout"], |c, e, o| c.write_timeout(e, &mut o.write_timeout)),
];

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(map) = context.map(&entry.node, "Expected map to define a leafnode") {
        context.block(map, &[KEYS], &mut out.leafnodes);
    }
}

const AUTH_KEYS: &[Key<Leafnodes>] = &[
    Key::new(&["user", "username"], |c, e, o| c.text(e, &mut o.username)),
    Key::new(&["pass", "password"], |c, e, o| c.text(e, &mut o.password)),
    Key::new(&["nkey"], |c, e, o| {
        let Some(key) = c.str(&e.node) else { return };
        if !nkey::is_public(key, KeyKind::User) {
            c.error(&e.node.pos, "Not a valid public nkey for leafnode authorization");
        }
        o.nkey = Some(key.to_owned());
    }),
    Key::new(&["timeout"], |c, e, o| c.auth_timeout("leafnode authorization config", e, &mut o.auth_timeout)),
    Key::new(&["users"], |c, e, o| {
        let Value::Array(items) = &e.node.value else {
            let text = format!("Expected users field to be an array, got {}", shown(&e.node.value));
            return c.error(&e.node.pos, text);
        };
        o.users = items.iter().filter_map(|item| read_user(c, item)).collect();
    }),
    Key::new(&["account"], |c, e, o| c.text(e, &mut o.account)),
    Key::new(&["proxy_required"], |c, e, o| c.flag(e, &mut o.proxy_required)),
];

const USER_KEYS: &[Key<LeafUser>] = &[
    Key::new(&["user", "username"], |c, e, o| {
        if let Some(name) = c.str(&e.node) {
            name.clone_into(&mut o.username);
        }
    }),
    Key::new(&["pass", "password"], |c, e, o| {
        if let Some(password) = c.str(&e.node) {
            password.clone_into(&mut o.password);
        }
    }),
    Key::new(&["account"], |c, e, o| c.text(e, &mut o.account)),
    Key::new(&["proxy_required"], |c, e, o| c.flag(e, &mut o.proxy_required)),
];

fn read_user(context: &mut Context<'_>, item: &Node) -> Option<LeafUser> {
    let Value::Map(map) = &item.value else {
        let text = format!("Expected user entry to be a map/struct, got {}", shown(&item.value));
        context.error(&item.pos, text);
        return None;
    };
    let mut user = LeafUser::default();
    context.block(map, &[USER_KEYS], &mut user);
    Some(user)
}

/// Either one user or several, each name once.
pub(in crate::server::config) fn check_users(leafnodes: &Leafnodes) -> Result<(), String> {
    if leafnodes.users.is_empty() {
        return Ok(());
    }
    if leafnodes.username.is_some() {
        return Err("can not have a single user/pass and a users array".into());
    }
    if leafnodes.nkey.is_some() {
        return Err("can not have a single nkey and a users array".into());
    }
    let mut names = HashSet::new();
    match leafnodes.users.iter().find(|user| !names.insert(&user.username)) {
        Some(user) => {
            Err(format!("duplicate user {} detected in leafnode authorization", quote(&user.username)))
        }
        None => Ok(()),
    }
}

/// Servers before 2.8 do not say their version.
pub(in crate::server::config) fn check_min_version(text: &str) -> Result<(), String> {
    match version::parse(text) {
        Err(reason) => Err(format!("invalid leafnode's minimum version: {reason}")),
        Ok(version) if version < (2, 8, 0) => Err("the minimum version should be at least 2.8.0".into()),
        Ok(_) => Ok(()),
    }
}
