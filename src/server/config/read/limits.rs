//! Keys of limits and times that hold for every client connection.

use crate::server::base::duration::go_duration;
use crate::server::config::duration::{SECOND, parse_duration};
use crate::server::config::value::Entry;

use super::context::{Context, Key, TopKeys};
use super::shapes::{saturated, span};

/// The shortest time in which lame duck mode may close all clients.
const LAME_DUCK_SECONDS_MIN: i64 = 30;

pub(super) const KEYS: TopKeys = &[
    Key::new(&["max_control_line"], |c, e, o| size32(c, e, &mut o.max_control_line)),
    Key::new(&["max_payload"], |c, e, o| size32(c, e, &mut o.max_payload)),
    Key::new(&["max_pending"], |c, e, o| c.number(e, &mut o.max_pending)),
    Key::new(&["max_connections", "max_conn"], |c, e, o| {
        c.number(e, &mut o.max_connections);
        // Zero refuses everyone here; left to itself it would become the default.
        if o.max_connections == 0 {
            o.max_connections = -1;
        }
    }),
    Key::new(&["max_subscriptions", "max_subs"], |c, e, o| c.number(e, &mut o.max_subscriptions)),
    Key::new(&["max_sub_tokens", "max_subscription_tokens"], |c, e, o| {
        let Some(number) = c.int(&e.node) else { return };
        match u8::try_from(number) {
            Ok(tokens) if tokens > 0 => o.max_sub_tokens = tokens,
            _ if number > 0 => c.error(&e.node.pos, format!("{} value is too big", e.key)),
            _ => c.error(&e.node.pos, format!("{} value can not be negative", e.key)),
        }
    }),
    Key::new(&["max_closed_clients"], |c, e, o| c.number(e, &mut o.max_closed_clients)),
    Key::new(&["no_sublist_cache", "disable_sublist_cache"], |c, e, o| c.flag(e, &mut o.no_sublist_cache)),
    Key::new(&["no_header_support"], |c, e, o| c.flag(e, &mut o.no_header_support)),
    Key::new(&["no_fast_producer_stall"], |c, e, o| c.flag(e, &mut o.no_fast_producer_stall)),
    Key::new(&["ping_interval"], |c, e, o| c.duration("ping_interval", e, &mut o.ping_interval)),
    Key::new(&["ping_max"], |c, e, o| c.number(e, &mut o.ping_max)),
    Key::new(&["write_deadline"], |c, e, o| c.duration("write_deadline", e, &mut o.write_deadline)),
    Key::new(&["write_timeout"], |c, e, o| c.write_timeout(e, &mut o.write_timeout)),
    Key::new(&["lame_duck_duration"], |c, e, o| {
        let Some(nanos) = lame_duck_nanos(c, e) else { return };
        if nanos < LAME_DUCK_SECONDS_MIN * SECOND {
            let shown = go_duration(nanos);
            let text = format!("invalid lame_duck_duration of {shown}, minimum is 30 seconds");
            return c.error(&e.node.pos, text);
        }
        o.lame_duck_duration = span(nanos);
    }),
    Key::new(&["lame_duck_grace_period"], |c, e, o| {
        let Some(nanos) = lame_duck_nanos(c, e) else { return };
        if nanos < 0 {
            return c.error(&e.node.pos, "invalid lame_duck_grace_period, needs to be positive");
        }
        o.lame_duck_grace_period = span(nanos);
    }),
    Key::new(&["connect_error_reports"], |c, e, o| c.number(e, &mut o.connect_error_reports)),
    Key::new(&["reconnect_error_reports"], |c, e, o| c.number(e, &mut o.reconnect_error_reports)),
];

/// A size that must fit into 31 bits.
fn size32(context: &mut Context<'_>, entry: &Entry, out: &mut i32) {
    let Some(size) = context.int(&entry.node) else { return };
    if size > i64::from(i32::MAX) {
        return context.error(&entry.node.pos, format!("{} value is too big", entry.key));
    }
    *out = saturated(size);
}

/// These durations have never been numbers.
fn lame_duck_nanos(context: &mut Context<'_>, entry: &Entry) -> Option<i64> {
    let text = context.str(&entry.node)?;
    match parse_duration(text) {
        Ok(nanos) => Some(nanos),
        Err(reason) => {
            let field = entry.key.to_lowercase();
            context.error(&entry.node.pos, format!("error parsing {field}: {reason}"));
            None
        }
    }
}
