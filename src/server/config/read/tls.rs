//! `tls` blocks.

use std::path::PathBuf;

use crate::server::base::quote::quote;
use crate::server::config::duration::parse_duration;
use crate::server::config::options::{
    CertificatePair, CipherSuite, Curve, HandshakeFirst, Options, TLS_TIMEOUT, Tls, TlsVersion,
};
use crate::server::config::value::{Entry, Map, Node, Value};

use super::context::{Context, Key, shown};
use super::shapes::{positive, span_of_seconds};
use super::{ocsp, tls_files};

/// `handshake_first: auto`: how long a client has to begin its handshake before INFO is sent.
pub(super) const HANDSHAKE_FALLBACK: std::time::Duration = std::time::Duration::from_millis(50);

/// Where a block stands decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Clients, leaf nodes, resolvers: one side is known.
    OneWay,
    /// Routes and gateways: both sides are servers with URLs.
    Servers,
    /// A proxy on the way to a leaf node remote: this side only connects.
    Proxy,
}

/// The top-level block.
pub(super) fn read_client(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(tls) = read(context, entry, Place::OneWay) {
        out.tls = Some(tls);
    }
}

/// What a block says, while it is read.
struct Draft {
    tls: Tls,
    place: Place,
    /// Names of insecure suites, as written.
    insecure_suites: Vec<&'static str>,
    /// `timeout` is below zero.
    timeout_is_negative: bool,
}

const KEYS: &[Key<Draft>] = &[
    Key::new(&["cert_file"], |c, e, d| file(c, e, &mut d.tls.cert_file)),
    Key::new(&["key_file"], |c, e, d| file(c, e, &mut d.tls.key_file)),
    Key::new(&["ca_file"], |c, e, d| file(c, e, &mut d.tls.ca_file)),
    Key::new(&["certs", "certificates"], read_certificates),
    Key::new(&["insecure"], |c, e, d| d.tls.insecure = flag(c, e)),
    Key::new(&["verify"], |c, e, d| d.tls.verify |= flag(c, e)),
    Key::new(&["verify_and_map"], |c, e, d| {
        d.tls.verify_and_map = flag(c, e);
        d.tls.verify |= d.tls.verify_and_map;
    }),
    Key::new(&["verify_cert_and_check_known_urls"], |c, e, d| {
        let on = flag(c, e);
        if on && d.place != Place::Servers {
            c.error(&e.node.pos, "verify_cert_and_check_known_urls not supported in this context");
        }
        d.tls.verify_cert_and_check_known_urls = on;
        d.tls.verify |= on;
    }),
    Key::new(&["allow_insecure_cipher_suites"], |c, e, d| d.tls.allow_insecure_cipher_suites = flag(c, e)),
    Key::new(&["cipher_suites"], read_cipher_suites),
    Key::new(&["curve_preferences"], read_curves),
    Key::new(&["min_version"], read_min_version),
    Key::new(&["timeout"], |c, e, d| {
        if let Some(seconds) = c.seconds("tls config", &e.node) {
            d.timeout_is_negative = seconds < 0.0;
            d.tls.timeout = span_of_seconds(seconds).unwrap_or(TLS_TIMEOUT);
        }
    }),
    Key::new(&["connection_rate_limit"], |c, e, d| match e.node.value.as_int() {
        Some(rate) => d.tls.connection_rate_limit = rate,
        None => c.error(&e.node.pos, "error parsing tls config, 'connection_rate_limit' wrong type"),
    }),
    Key::new(&["pinned_certs"], read_pinned),
    Key::new(&["handshake_first", "first", "immediate"], read_handshake_first),
    Key::new(&["ocsp_peer"], |c, e, d| {
        if let Some(peer) = ocsp::read_peer(c, e) {
            d.tls.ocsp_peer = Some(peer);
        }
    }),
    Key::new(&["cert_store"], |c, e, _| {
        let text = match e.node.value.as_str().map(str::to_lowercase).as_deref() {
            None | Some("") => "expected 'cert_store' to be a valid non-empty string",
            Some("windowscurrentuser" | "windowslocalmachine") => {
                "cert_store not compatible with current operating system"
            }
            Some(_) => "cert store type not implemented",
        };
        c.error(&e.node.pos, text);
    }),
    // Without a certificate store these have nothing to choose from; their form is checked.
    Key::new(&["cert_match_by"], |c, e, _| match e.node.value.as_str().map(str::to_lowercase).as_deref() {
        None | Some("") => c.error(&e.node.pos, "expected 'cert_match_by' to be a valid non-empty string"),
        Some("issuer" | "subject" | "thumbprint") => {}
        Some(_) => c.error(&e.node.pos, "cert match by type not implemented"),
    }),
    Key::new(&["cert_match"], |c, e, _| {
        if e.node.value.as_str().is_none_or(str::is_empty) {
            c.error(&e.node.pos, "expected 'cert_match' to be a valid non-empty string");
        }
    }),
    Key::new(&["ca_certs_match"], |c, e, _| {
        let items = e.node.value.as_array().unwrap_or_default();
        if items.iter().any(|item| item.value.as_str().is_none()) {
            // The reference names the type of its token here.
            let text = "error parsing ca_cert_match: unsupported type *conf.token where string is expected";
            c.error(&e.node.pos, text);
        }
    }),
    Key::new(&["cert_match_skip_invalid"], |c, e, _| {
        if e.node.value.as_bool().is_none() {
            c.error(&e.node.pos, "expected 'cert_match_skip_invalid' to be a boolean");
        }
    }),
];

/// Reads a block and looks at the files it names. `None` when something is wrong.
pub(super) fn read(context: &mut Context<'_>, entry: &Entry, place: Place) -> Option<Tls> {
    let map = context.plain_map(&entry.node)?;
    read_map(context, entry, map, place).map(|draft| draft.tls)
}

/// Keys that have no meaning towards a proxy.
const NOT_FOR_PROXIES: [&str; 9] = [
    "verify",
    "verify_and_map",
    "verify_cert_and_check_known_urls",
    "connection_rate_limit",
    "pinned_certs",
    "handshake_first",
    "first",
    "immediate",
    "ocsp_peer",
];

/// The block of a leaf node's proxy, and whether its timeout is below zero.
pub(super) fn read_proxy(context: &mut Context<'_>, entry: &Entry) -> Option<(Tls, bool)> {
    let map = context.plain_map(&entry.node)?;
    let mut known = Map::new();
    for entry in map {
        let name = entry.key.to_lowercase();
        let is_known = KEYS.iter().any(|key| key.names().contains(&name.as_str()));
        if !is_known || NOT_FOR_PROXIES.contains(&name.as_str()) {
            let text = format!("{} is not supported for proxy TLS", quote(&entry.key));
            context.error(&entry.node.pos, text);
        } else {
            known.insert(entry.key.clone(), entry.node.clone());
        }
    }
    let draft = read_map(context, entry, &known, Place::Proxy)?;
    Some((draft.tls, draft.timeout_is_negative))
}

fn read_map(context: &mut Context<'_>, entry: &Entry, map: &Map, place: Place) -> Option<Draft> {
    let errors = context.errors();
    let mut draft =
        Draft { tls: Tls::default(), place, insecure_suites: Vec::new(), timeout_is_negative: false };
    context.block_strict(map, &[KEYS], &mut draft, |context, entry, known| {
        unknown(context, entry, known, "error parsing tls config, unknown field");
    });
    if !draft.tls.certs.is_empty() && draft.tls.cert_file.is_some() {
        let text = "error parsing tls config, cannot combine 'cert_file' option with 'certs' option";
        context.error(&entry.node.pos, text);
    }
    if !draft.tls.allow_insecure_cipher_suites && !draft.insecure_suites.is_empty() {
        let text = format!(
            "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {}",
            draft.insecure_suites.join(", ")
        );
        context.error(&entry.node.pos, text);
    }
    if context.errors() == errors
        && let Err(text) = tls_files::check(&draft.tls, context.files)
    {
        context.error(&entry.node.pos, text);
    }
    (context.errors() == errors).then_some(draft)
}

/// An unknown key in a block that refuses also those that serve as variables; with a suggestion.
fn unknown(context: &mut Context<'_>, entry: &Entry, known: &[&str], text: &str) {
    use crate::server::config::diagnose::Diagnostic;
    let text = format!("{text} {}", quote(&entry.key));
    context.push(Diagnostic::error(&entry.node.pos, text).suggest(&entry.key, known));
}

fn file(context: &mut Context<'_>, entry: &Entry, out: &mut Option<PathBuf>) {
    match entry.node.value.as_str() {
        Some(path) => *out = (!path.is_empty()).then(|| path.into()),
        None => {
            let text =
                format!("error parsing tls config, expected '{}' to be filename", entry.key.to_lowercase());
            context.error(&entry.node.pos, text);
        }
    }
}

fn flag(context: &mut Context<'_>, entry: &Entry) -> bool {
    let value = entry.node.value.as_bool();
    if value.is_none() {
        let key = entry.key.to_lowercase();
        context.error(&entry.node.pos, format!("error parsing tls config, expected '{key}' to be a boolean"));
    }
    value.unwrap_or(false)
}

fn read_certificates(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let Value::Array(items) = &entry.node.value else {
        // The reference names the type of the whole block here.
        let text = "error parsing certificates config: unsupported type map[string]interface {}";
        return context.error(&entry.node.pos, text);
    };
    out.tls.certs = items.iter().filter_map(|item| read_certificate(context, item)).collect();
}

fn read_certificate(context: &mut Context<'_>, item: &Node) -> Option<CertificatePair> {
    let map = context.map_of_certificate(item)?;
    let mut pair = CertificatePair::default();
    let mut last = &item.pos;
    for Entry { key, node } in map {
        last = &node.pos;
        let Value::String(path) = &node.value else {
            let kind = node.value.type_name();
            context.error(&node.pos, format!("error parsing certificates config: unsupported type {kind}"));
            return None;
        };
        match key.as_str() {
            "cert_file" => pair.cert_file = path.into(),
            "key_file" => pair.key_file = path.into(),
            _ => {
                let text = format!("error parsing tls certs config, unknown field {}", quote(key));
                context.error(&node.pos, text);
                return None;
            }
        }
    }
    if pair.cert_file.as_os_str().is_empty() || pair.key_file.as_os_str().is_empty() {
        let text = "error parsing certificates config: both 'cert_file' and 'cert_key' options are required";
        context.error(last, text);
        return None;
    }
    Some(pair)
}

impl Context<'_> {
    fn map_of_certificate<'n>(&mut self, item: &'n Node) -> Option<&'n Map> {
        let map = item.value.as_map();
        if map.is_none() {
            let kind = item.value.type_name();
            self.error(&item.pos, format!("error parsing certificates config: unsupported type {kind}"));
        }
        map
    }
}

fn read_cipher_suites(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let Some(items) = context.plain_array(&entry.node) else { return };
    if items.is_empty() {
        return context.error(&entry.node.pos, "error parsing tls config, 'cipher_suites' cannot be empty");
    }
    for item in items {
        let Some(name) = context.str(item) else { continue };
        match CipherSuite::named(name) {
            Some((suite, name, secure)) => {
                out.tls.cipher_suites.push(suite);
                if !secure {
                    out.insecure_suites.push(name);
                }
            }
            None => context.error(&item.pos, format!("unrecognized cipher {name}")),
        }
    }
}

fn read_curves(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let Some(items) = context.plain_array(&entry.node) else { return };
    if items.is_empty() {
        return context
            .error(&entry.node.pos, "error parsing tls config, 'curve_preferences' cannot be empty");
    }
    for item in items {
        let Some(name) = context.str(item) else { continue };
        match Curve::named(name) {
            Some(curve) => out.tls.curve_preferences.push(curve),
            None => context.error(&item.pos, format!("unrecognized curve preference {name}")),
        }
    }
}

fn read_min_version(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let refusal = match &entry.node.value {
        Value::String(text) => match text.as_str() {
            "1.2" => return out.tls.min_version = Some(TlsVersion::V1_2),
            "1.3" => return out.tls.min_version = Some(TlsVersion::V1_3),
            "1.0" | "1.1" => format!("unsupported TLS version: TLS {text}"),
            _ => format!("unknown version: {text}"),
        },
        other => format!("'min_version' wrong type: {}", shown(other)),
    };
    context.error(&entry.node.pos, format!("error parsing tls config: {refusal}"));
}

fn read_pinned(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    /// Hexadecimal digits of a SHA-256.
    const DIGITS: usize = 64;
    const FORM: &str = "hex-encoded sha256 of DER encoded SubjectPublicKeyInfo";
    let Value::Array(items) = &entry.node.value else {
        let text = format!("error parsing tls config, expected 'pinned_certs' to be a list of {FORM}");
        return context.error(&entry.node.pos, text);
    };
    for item in items {
        let Some(text) = context.str(item) else { continue };
        let key = text.to_lowercase();
        if key.len() != DIGITS || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
            let text =
                format!("error parsing tls config, 'pinned_certs' key {key} does not look like {FORM}");
            context.error(&item.pos, text);
            continue;
        }
        out.tls.pinned_certs.insert(key);
    }
}

fn read_handshake_first(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    out.tls.handshake_first = match &entry.node.value {
        Value::Bool(true) => HandshakeFirst::On,
        Value::Bool(false) => HandshakeFirst::Off,
        Value::String(text) => match (text.to_lowercase().as_str(), parse_duration(text)) {
            ("true" | "on", _) => HandshakeFirst::On,
            ("false" | "off", _) => HandshakeFirst::Off,
            ("auto" | "auto_fallback", _) => HandshakeFirst::Fallback(HANDSHAKE_FALLBACK),
            (_, Ok(nanos)) => positive(nanos).map_or(HandshakeFirst::On, HandshakeFirst::Fallback),
            (_, Err(_)) => {
                let text = format!("field {}'s value {} is invalid", quote(&entry.key), quote(text));
                return context.error(&entry.node.pos, text);
            }
        },
        other => {
            let (key, kind) = (quote(&entry.key), other.type_name());
            return context
                .error(&entry.node.pos, format!("field {key} should be a boolean or a string, got {kind}"));
        }
    };
}
