//! Comparing the `websocket` and `mqtt` blocks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::options::{HOST, Mqtt, TLS_TIMEOUT, Tls, Websocket};
use super::general::tls_changed;
use super::shown::{Opaque, Seconds, Secret, Shown, fields_shown};
use super::{Change, Comparison, Refusal, port};

/// What MQTT sessions do from now on. All of it is reported when any of it, or TLS, changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MqttChange {
    /// `ack_wait`; zero means the default.
    pub ack_wait: Duration,
    /// `max_ack_pending`; zero means the default.
    pub max_ack_pending: u16,
    /// `stream_replicas`.
    pub stream_replicas: i64,
    /// `consumer_memory_storage`.
    pub consumer_memory_storage: bool,
    /// `consumer_inactive_threshold`; zero is never.
    pub consumer_inactive_threshold: Duration,
}

impl MqttChange {
    fn of(mqtt: &Mqtt) -> Self {
        Self {
            ack_wait: mqtt.ack_wait.unwrap_or_default(),
            max_ack_pending: mqtt.max_ack_pending,
            stream_replicas: mqtt.stream_replicas,
            consumer_memory_storage: mqtt.consumer_memory_storage,
            consumer_inactive_threshold: mqtt.consumer_inactive_threshold.unwrap_or_default(),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!("Reloaded: MQTT ack_wait = {}", self.ack_wait.shown()),
            format!("Reloaded: MQTT max_ack_pending = {}", self.max_ack_pending),
            format!("Reloaded: MQTT stream_replicas = {}", self.stream_replicas),
            // The reference no longer takes the key, but still names it.
            "Reloaded: MQTT consumer_replicas = 0".into(),
            format!("Reloaded: MQTT consumer_memory_storage = {}", self.consumer_memory_storage),
            format!(
                "Reloaded: MQTT consumer_inactive_threshold = {}",
                self.consumer_inactive_threshold.shown()
            ),
        ]
    }
}

impl Comparison<'_> {
    pub(super) fn websocket(&mut self) -> Result<(), Refusal> {
        let (old, new) = (&self.old.websocket, &self.new.websocket);
        let bound = self.running.ports.websocket;
        if websocket(old, bound) != websocket(new, bound) {
            let (old, new) = (websocket_shown(old, bound), websocket_shown(new, bound));
            return Err(Refusal::Field { field: "Websocket", old, new });
        }
        if old.tls != new.tls || self.running.tls_files_changed && new.tls.is_some() {
            self.changes.push(Change::WebsocketTls);
        }
        Ok(())
    }

    pub(super) fn mqtt(&mut self) -> Result<(), Refusal> {
        let (old, new) = (&self.old.mqtt, &self.new.mqtt);
        let bound = self.running.ports.mqtt;
        if mqtt(old, bound) != mqtt(new, bound) {
            let (old, new) = (mqtt_shown(old, bound), mqtt_shown(new, bound));
            return Err(Refusal::Field { field: "MQTT", old, new });
        }
        let change = MqttChange::of(new);
        if change != MqttChange::of(old)
            || tls_changed(old.tls.as_ref(), new.tls.as_ref(), self.running.tls_files_changed)
        {
            self.changes.push(Change::Mqtt(change));
        }
        Ok(())
    }
}

/// The part of a `tls` block that a listener cannot change while it runs.
type FixedTls = (bool, BTreeSet<String>);

fn fixed_tls(tls: Option<&Tls>) -> FixedTls {
    tls.map(|tls| (tls.verify_and_map, tls.pinned_certs.clone())).unwrap_or_default()
}

/// The address of a listener: all interfaces unless told otherwise, none where it does not run.
fn host(configured: Option<&String>, port: i32) -> Option<String> {
    configured.cloned().or_else(|| (port != 0).then(|| HOST.to_owned()))
}

/// What of the block cannot change while it runs.
fn websocket(block: &Websocket, bound: i32) -> (Websocket, FixedTls) {
    let mut allowed_origins = block.allowed_origins.clone();
    allowed_origins.sort();
    let fixed = Websocket {
        host: host(block.host.as_ref(), block.port),
        port: port(block.port, bound),
        tls: None,
        allowed_origins,
        ..block.clone()
    };
    (fixed, fixed_tls(block.tls.as_ref()))
}

fn websocket_shown(block: &Websocket, bound: i32) -> String {
    let (fixed, (map, pinned)) = websocket(block, bound);
    let fields: [&dyn Shown; 23] = [
        &fixed.host,
        &fixed.port,
        &fixed.advertise,
        &fixed.no_auth_user,
        &fixed.jwt_cookie,
        &fixed.user_cookie,
        &fixed.pass_cookie,
        &fixed.token_cookie,
        &fixed.username,
        &Secret(&fixed.password),
        &Secret(&fixed.token),
        &Seconds(fixed.auth_timeout.unwrap_or_default()),
        &fixed.no_tls,
        &Opaque(&block.tls),
        &map,
        &pinned,
        &fixed.same_origin,
        &fixed.allowed_origins,
        &fixed.compression,
        &fixed.handshake_timeout,
        &fixed.ping_interval,
        &fixed.headers,
        &Opaque(&block.tls),
    ];
    fields_shown(&fields)
}

/// What of the block cannot change while it runs, and the time for a handshake.
fn mqtt(block: &Mqtt, bound: i32) -> (Mqtt, FixedTls, Duration) {
    let fixed = Mqtt {
        host: host(block.host.as_ref(), block.port),
        port: port(block.port, bound),
        tls: None,
        ack_wait: None,
        max_ack_pending: 0,
        stream_replicas: 0,
        consumer_memory_storage: false,
        consumer_inactive_threshold: None,
        auth_timeout: Some(block.auth_timeout.unwrap_or_default()),
        js_api_timeout: Some(block.js_api_timeout.unwrap_or_default()),
        ..block.clone()
    };
    let default = if block.port == 0 { Duration::ZERO } else { TLS_TIMEOUT };
    let timeout = block.tls.as_ref().map(|tls| tls.timeout).filter(|time| !time.is_zero());
    (fixed, fixed_tls(block.tls.as_ref()), timeout.unwrap_or(default))
}

fn mqtt_shown(block: &Mqtt, bound: i32) -> String {
    let (fixed, (map, pinned), tls_timeout) = mqtt(block, bound);
    let fields: [&dyn Shown; 22] = [
        &fixed.host,
        &fixed.port,
        &fixed.no_auth_user,
        &fixed.username,
        &Secret(&fixed.password),
        &Secret(&fixed.token),
        &fixed.js_domain,
        &block.stream_replicas,
        // The reference no longer takes `consumer_replicas`, but still shows it.
        &0_i64,
        &block.consumer_memory_storage,
        &block.consumer_inactive_threshold,
        &Seconds(fixed.auth_timeout.unwrap_or_default()),
        &Opaque(&block.tls),
        &map,
        &Seconds(tls_timeout),
        &pinned,
        &block.ack_wait,
        &fixed.js_api_timeout,
        &block.max_ack_pending,
        &Opaque(&block.tls),
        &fixed.reject_qos2_publish,
        &fixed.downgrade_qos2_subscribe,
    ];
    fields_shown(&fields)
}
