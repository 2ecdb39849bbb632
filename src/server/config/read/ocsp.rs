//! `ocsp`, `ocsp_cache` and `tls.ocsp_peer`.

use std::time::Duration;

use crate::server::base::quote::quote;
use crate::server::config::duration::{SECOND, parse_duration};
use crate::server::config::options::{Ocsp, OcspCache, OcspCacheStore, OcspMode, OcspPeer, Options};
use crate::server::config::value::{Entry, Value};

use super::context::{Context, Key};

/// The shortest time between two saves of the cache.
const SAVE_INTERVAL_MIN: Duration = Duration::from_secs(1);

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let pos = &entry.node.pos;
    let map = match &entry.node.value {
        Value::Bool(true) => return out.ocsp = Some(Ocsp { mode: OcspMode::Auto, urls: Vec::new() }),
        Value::Bool(false) => return out.ocsp = Some(Ocsp { mode: OcspMode::Never, urls: Vec::new() }),
        Value::Map(map) => map,
        other => {
            let kind = other.type_name();
            return context.error(pos, format!("error parsing ocsp config: unsupported type {kind}"));
        }
    };
    let mut ocsp = Ocsp::default();
    // Here the reference looks at values one by one without noting where: wrong types stand at the block.
    context.wrong_types_at = Some(pos.clone());
    for Entry { key, node } in map {
        match key.as_str() {
            "mode" => match context.str(node).map(str::to_lowercase).as_deref() {
                Some("always") => ocsp.mode = OcspMode::Always,
                Some("must") => ocsp.mode = OcspMode::Must,
                Some("never") => ocsp.mode = OcspMode::Never,
                Some("auto") => ocsp.mode = OcspMode::Auto,
                // The word itself is not in the reference's text, only its type.
                Some(_) => {
                    context.error(&node.pos, "error parsing ocsp config: unsupported ocsp mode string")
                }
                None => {}
            },
            "url" => ocsp.urls.extend(context.str(node).map(str::to_owned)),
            // No value of a file has this type: the reference refuses every list here.
            "urls" => context.wrong_type(node, "[]string"),
            _ => context.error(&node.pos, "error parsing ocsp config: unsupported field string"),
        }
    }
    context.wrong_types_at = None;
    out.ocsp = Some(ocsp);
}

pub(super) fn read_cache(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let pos = &entry.node.pos;
    let map = match &entry.node.value {
        Value::Bool(on) => {
            let store = if *on { OcspCacheStore::Local } else { OcspCacheStore::None };
            return out.ocsp_cache = Some(OcspCache { store, ..OcspCache::default() });
        }
        Value::Map(map) => map,
        // The reference refuses this silently; its text has a slip, which is kept.
        other => {
            return context.error(pos, format!("error parsing tags: unsupported type {}", other.type_name()));
        }
    };
    let mut cache = OcspCache::default();
    context.block_strict(map, &[CACHE_KEYS], &mut cache, |context, entry, _| unknown(context, entry, CACHE));
    out.ocsp_cache = Some(cache);
}

const CACHE: &str = "OCSP peer cache";
const PEER: &str = "tls peer";

const CACHE_KEYS: &[Key<OcspCache>] = &[
    Key::new(&["type"], |c, e, o| match e.node.value.as_str() {
        None => unknown(c, e, CACHE),
        Some(text) => match text.to_lowercase().as_str() {
            "none" => o.store = OcspCacheStore::None,
            "local" => o.store = OcspCacheStore::Local,
            _ => c.error(&e.node.pos, format!("error parsing {CACHE} config, unknown type [{text}]")),
        },
    }),
    Key::new(&["local_store"], |c, e, o| match e.node.value.as_str() {
        Some("") => o.local_store = OcspCache::default().local_store,
        Some(path) => o.local_store = path.into(),
        None => unknown(c, e, CACHE),
    }),
    Key::new(&["preserve_revoked"], |c, e, o| flag(c, e, CACHE, &mut o.preserve_revoked)),
    Key::new(&["save_interval"], |c, e, o| match seconds(&e.node.value) {
        Ok(seconds) => o.save_interval = whole(seconds).max(SAVE_INTERVAL_MIN),
        // A slip of the reference: the text of a wrong duration is that of the other block.
        Err(Some(reason)) => conversion(c, e, PEER, &reason),
        Err(None) => conversion(c, e, CACHE, UNEXPECTED),
    }),
];

const UNEXPECTED: &str = "unexpected type";

/// `tls.ocsp_peer`. Inside the map the reference puts two places in front of its text.
pub(super) fn read_peer(context: &mut Context<'_>, entry: &Entry) -> Option<OcspPeer> {
    let pos = &entry.node.pos;
    let mut peer = OcspPeer::default();
    match &entry.node.value {
        Value::Bool(verify) => peer.verify = *verify,
        Value::Map(map) => {
            let before = context.findings.len();
            context.block_strict(map, &[PEER_KEYS], &mut peer, |context, entry, _| {
                unknown(context, entry, PEER)
            });
            for finding in context.findings.iter_mut().skip(before) {
                finding.message = finding.line();
                finding.pos = Some(pos.clone());
            }
        }
        _ => {
            // The type named is that of the whole block.
            context.error(pos, "error parsing ocsp peer config: unsupported type map[string]interface {}");
            return None;
        }
    }
    Some(peer)
}

const PEER_KEYS: &[Key<OcspPeer>] = &[
    Key::new(&["verify"], |c, e, o| flag(c, e, PEER, &mut o.verify)),
    Key::new(&["warn_only"], |c, e, o| flag(c, e, PEER, &mut o.warn_only)),
    Key::new(&["unknown_is_good"], |c, e, o| flag(c, e, PEER, &mut o.unknown_is_good)),
    Key::new(&["allow_when_ca_unreachable"], |c, e, o| flag(c, e, PEER, &mut o.allow_when_ca_unreachable)),
    Key::new(&["ca_timeout"], |c, e, o| span(c, e, &mut o.ca_timeout)),
    Key::new(&["allowed_clockskew"], |c, e, o| match seconds(&e.node.value) {
        Err(_) => conversion(c, e, PEER, UNEXPECTED),
        Ok(_) => span(c, e, &mut o.allowed_clockskew),
    }),
    Key::new(&["cache_ttl_when_next_update_unset"], |c, e, o| {
        span(c, e, &mut o.cache_ttl_when_next_update_unset);
    }),
];

/// A key that the block does not know, or that it knows with another type.
fn unknown(context: &mut Context<'_>, entry: &Entry, block: &str) {
    let text = format!("error parsing {block} config, unknown field [{}]", quote(&entry.key));
    context.error(&entry.node.pos, text);
}

fn conversion(context: &mut Context<'_>, entry: &Entry, block: &str, reason: &str) {
    context.error(&entry.node.pos, format!("error parsing {block} config, conversion error: {reason}"));
}

fn flag(context: &mut Context<'_>, entry: &Entry, block: &str, out: &mut bool) {
    match entry.node.value.as_bool() {
        Some(on) => *out = on,
        None => unknown(context, entry, block),
    }
}

/// Seconds of a peer's block; below zero they are not taken.
fn span(context: &mut Context<'_>, entry: &Entry, out: &mut Duration) {
    match seconds(&entry.node.value) {
        Ok(seconds) => *out = Duration::try_from_secs_f64(seconds).unwrap_or(*out),
        Err(reason) => conversion(context, entry, PEER, reason.as_deref().unwrap_or(UNEXPECTED)),
    }
}

/// Seconds as a number or a duration; `Err(None)` for another type.
fn seconds(value: &Value) -> Result<f64, Option<String>> {
    match value {
        Value::Int(seconds) => Ok(*seconds as f64),
        Value::Float(seconds) => Ok(*seconds),
        Value::String(text) => match parse_duration(text) {
            Ok(nanos) => Ok(nanos as f64 / SECOND as f64),
            Err(reason) => Err(Some(reason)),
        },
        _ => Err(None),
    }
}

/// Whole seconds, rounded down; nothing below zero.
fn whole(seconds: f64) -> Duration {
    Duration::from_secs(Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs())
}
