//! The `mqtt` block.

use crate::server::config::options::{Mqtt, Options};
use crate::server::config::value::Entry;

use super::auth;
use super::context::{Context, Key};
use super::tls::{self, Place};

const KEYS: &[Key<Mqtt>] = &[
    Key::new(&["listen"], |c, e, o| c.listen_into(e, &mut o.host, &mut o.port)),
    Key::new(&["host", "net"], |c, e, o| c.text(e, &mut o.host)),
    Key::new(&["port"], |c, e, o| c.port(e, &mut o.port)),
    Key::new(&["tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::OneWay) {
            o.tls = Some(tls);
        }
    }),
    Key::new(&["authorization", "authentication"], |c, e, o| {
        let auth = auth::read_simple(c, e);
        o.username = auth.username;
        o.password = auth.password;
        o.token = auth.token;
        o.auth_timeout = auth.timeout;
    }),
    Key::new(&["no_auth_user"], |c, e, o| c.text(e, &mut o.no_auth_user)),
    // Negative times are refused at start.
    Key::new(&["ack_wait", "ackwait"], |c, e, o| {
        if let Some(nanos) = c.nanos("ack_wait", &e.node) {
            o.ack_wait = super::shapes::positive(nanos);
            o.ack_wait_is_negative = nanos < 0;
        }
    }),
    Key::new(&["js_api_timeout", "api_timeout"], |c, e, o| {
        if let Some(nanos) = c.nanos("js_api_timeout", &e.node) {
            o.js_api_timeout = super::shapes::positive(nanos);
            o.js_api_timeout_is_negative = nanos < 0;
        }
    }),
    Key::new(&["max_ack_pending", "max_pending", "max_inflight"], |c, e, o| {
        let Some(count) = c.int(&e.node) else { return };
        match u16::try_from(count) {
            Ok(count) => o.max_ack_pending = count,
            Err(_) => c.error(&e.node.pos, format!("invalid value {count}, should in [0..65535] range")),
        }
    }),
    Key::new(&["js_domain"], |c, e, o| c.text(e, &mut o.js_domain)),
    Key::new(&["stream_replicas"], |c, e, o| c.number(e, &mut o.stream_replicas)),
    Key::new(&["consumer_replicas"], |c, e, _| {
        let text = "consumer replicas setting ignored in this server version";
        c.warning_use(&e.node.pos, &e.key, text);
    }),
    Key::new(&["consumer_memory_storage"], |c, e, o| c.flag(e, &mut o.consumer_memory_storage)),
    Key::new(&["consumer_inactive_threshold", "consumer_auto_cleanup"], |c, e, o| {
        c.duration_or_none("consumer_inactive_threshold", e, &mut o.consumer_inactive_threshold);
    }),
    Key::new(&["reject_qos2_publish"], |c, e, o| c.flag(e, &mut o.reject_qos2_publish)),
    Key::new(&["downgrade_qos2_subscribe"], |c, e, o| c.flag(e, &mut o.downgrade_qos2_subscribe)),
];

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if let Some(map) = context.map(&entry.node, "Expected mqtt to be a map") {
        context.block(map, &[KEYS], &mut out.mqtt);
    }
}
