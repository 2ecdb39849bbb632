//! Rules of the WebSocket and MQTT listeners.

use super::check_no_auth_user;
use crate::server::base::quote::quote;
use crate::server::base::url::Url;
use crate::server::config::options::Options;

/// Headers that belong to the upgrade itself.
const HEADERS_RESERVED: [&str; 5] = ["host", "content-length", "connection", "upgrade", "nats-no-masking"];

pub(super) fn check_mqtt(options: &Options) -> Result<(), String> {
    let mqtt = &options.mqtt;
    if mqtt.port == 0 {
        return Ok(());
    }
    let has_links = options.cluster.port != 0 || options.gateway.port != 0;
    if options.server_name.is_none() && has_links {
        return Err("mqtt requires server name to be explicitly set".into());
    }
    check_no_auth_user(options, mqtt.no_auth_user.as_deref())?;
    if !options.users.is_empty() {
        let refuse = |what: &str| {
            Err(format!("mqtt authentication {what} not compatible with presence of users/nkeys"))
        };
        if mqtt.username.is_some() {
            return refuse("username");
        }
        if mqtt.token.is_some() {
            return refuse("token");
        }
    }
    if mqtt.ack_wait_is_negative {
        return Err("ack wait must be a positive value".into());
    }
    if mqtt.js_api_timeout_is_negative {
        return Err("JS API timeout must be a positive value".into());
    }
    let has_leafs = options.leafnodes.port != 0 || !options.leafnodes.remotes.is_empty();
    if !options.jetstream.enabled && !has_links && !has_leafs {
        return Err("mqtt requires JetStream to be enabled if running in standalone mode".into());
    }
    Ok(())
}

pub(super) fn check_websocket(options: &Options) -> Result<(), String> {
    let websocket = &options.websocket;
    if websocket.port == 0 {
        return Ok(());
    }
    if websocket.tls.is_none() && !websocket.no_tls {
        return Err("websocket requires TLS configuration".into());
    }
    for origin in &websocket.allowed_origins {
        check_origin(origin)?;
    }
    check_no_auth_user(options, websocket.no_auth_user.as_deref())?;
    if !options.users.is_empty() {
        let refuse = |what: &str| {
            Err(format!("websocket authentication {what} not compatible with presence of users/nkeys"))
        };
        if websocket.username.is_some() {
            return refuse("username");
        }
        if websocket.token.is_some() {
            return refuse("token");
        }
    }
    if let Some(cookie) = &websocket.jwt_cookie
        && options.operators.is_empty()
        && options.trusted_keys.is_empty()
    {
        let cookie = quote(cookie);
        return Err(format!(
            "trusted operators or trusted keys configuration is required for JWT authentication via cookie {cookie}"
        ));
    }
    for name in websocket.headers.keys() {
        let lower = name.to_lowercase();
        if HEADERS_RESERVED.contains(&lower.as_str()) {
            return Err(format!("websocket: invalid header {} not allowed", quote(name)));
        }
        if lower.starts_with("sec-websocket-") {
            let name = quote(name);
            return Err(format!("websocket: invalid header {name}, \"Sec-WebSocket-\" prefix not allowed"));
        }
    }
    Ok(())
}

fn check_origin(origin: &str) -> Result<(), String> {
    let fail = |reason: String| Err(format!("unable to parse allowed origin: {reason}"));
    if origin.is_empty() {
        return fail("parse \"\": empty url".into());
    }
    let url = match Url::parse(origin) {
        Ok(url) => url,
        Err(error) => return fail(error.to_string()),
    };
    if url.scheme.is_empty() && !origin.starts_with('/') {
        return fail(format!("parse {}: invalid URI for request", quote(origin)));
    }
    let shown = quote(origin);
    if url.scheme != "http" && url.scheme != "https" {
        return Err(format!(
            "unable to parse allowed origin {shown}: allowed origins must be absolute URLs with http or https scheme"
        ));
    }
    if url.host.is_empty() {
        return Err(format!("unable to parse allowed origin {shown}: host is required"));
    }
    Ok(())
}
