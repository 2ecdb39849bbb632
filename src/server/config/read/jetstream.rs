//! The `jetstream` block, and `store_dir` beside it.

use crate::server::base::quote::quote;
use crate::server::config::duration::parse_duration;
use crate::server::config::options::{JetstreamTpm, Options, StoreCipher, SyncInterval};
use crate::server::config::value::{Entry, Node, Value};

use super::context::{Context, Key, shown};
use super::shapes::{filled, positive, span};

/// Bounds of `max_concurrent_io`.
const CONCURRENT_IO: std::ops::RangeInclusive<i64> = 4..=8192;

/// `store_dir`: at the top or in the block, not both.
pub(super) fn read_store_dir(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    if out.store_dir.is_some() {
        return context.error(&entry.node.pos, "Duplicate 'store_dir' configuration");
    }
    context.path(entry, &mut out.store_dir);
}

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    match &entry.node.value {
        Value::Bool(on) => out.jetstream.enabled = *on,
        Value::String(text) => match text.to_lowercase().as_str() {
            "enabled" | "enable" => out.jetstream.enabled = true,
            "disabled" | "disable" => out.jetstream.enabled = false,
            _ => {
                let text = format!("Expected 'enabled' or 'disabled' for string value, got '{text}'");
                context.error(&entry.node.pos, text);
            }
        },
        Value::Map(map) => {
            // A map enables, unless it says otherwise.
            out.jetstream.enabled = true;
            context.wrong_types_at = Some(entry.node.pos.clone());
            context.block(map, &[KEYS], out);
            context.wrong_types_at = None;
        }
        other => {
            let kind = other.type_name();
            let text = format!("Expected map, bool or string to define JetStream, got {kind}");
            context.error(&entry.node.pos, text);
        }
    }
}

const KEYS: &[Key<Options>] = &[
    Key::new(&["enabled", "enable"], |c, e, o| c.flag(e, &mut o.jetstream.enabled)),
    Key::new(&["strict"], |c, e, o| match &e.node.value {
        Value::Bool(strict) => o.jetstream.strict = *strict,
        other => {
            let text = format!("Expected 'true' or 'false' for bool value, got '{}'", as_text(other));
            c.error(&e.node.pos, text);
        }
    }),
    Key::new(&["store_dir", "storedir", "store"], read_store_dir),
    Key::new(&["sync_interval", "sync"], |c, e, o| {
        if e.node.value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("always")) {
            o.jetstream.sync_interval = Some(SyncInterval::Always);
        } else if let Some(nanos) = c.nanos(&e.key, &e.node) {
            o.jetstream.sync_interval = Some(SyncInterval::Every(span(nanos)));
        }
    }),
    Key::new(&["max_memory_store", "max_mem_store", "max_mem"], |c, e, o| {
        o.jetstream.max_memory_store = size(c, e, "max_mem_store");
    }),
    Key::new(&["max_file_store", "max_file"], |c, e, o| {
        o.jetstream.max_file_store = size(c, e, "max_file_store");
    }),
    Key::new(&["domain"], |c, e, o| c.text(e, &mut o.jetstream.domain)),
    Key::new(&["key", "ek", "encryption_key"], |c, e, o| c.text(e, &mut o.jetstream.key)),
    Key::new(&["prev_key", "prev_ek", "prev_encryption_key"], |c, e, o| c.text(e, &mut o.jetstream.prev_key)),
    Key::new(&["cipher"], read_cipher),
    Key::new(&["tpm"], read_tpm),
    Key::new(&["extension_hint"], |c, e, o| c.text(e, &mut o.jetstream.extension_hint)),
    Key::new(&["unique_tag"], |c, e, o| {
        if let Some(tag) = c.str(&e.node) {
            o.jetstream.unique_tag = filled(&tag.trim().to_lowercase());
        }
    }),
    Key::new(&["max_outstanding_catchup"], |c, e, o| {
        o.jetstream.max_outstanding_catchup = size(c, e, &e.key.to_lowercase()).unwrap_or(0);
    }),
    Key::new(&["max_buffered_size"], |c, e, o| {
        o.jetstream.max_buffered_size = size(c, e, &e.key.to_lowercase()).unwrap_or(0);
    }),
    Key::new(&["max_buffered_msgs"], |c, e, o| parseable(c, e, &mut o.jetstream.max_buffered_msgs)),
    Key::new(&["request_queue_limit"], |c, e, o| parseable(c, e, &mut o.jetstream.request_queue_limit)),
    Key::new(&["info_queue_limit"], |c, e, o| parseable(c, e, &mut o.jetstream.info_queue_limit)),
    Key::new(&["meta_compact"], |c, e, o| match e.node.value.as_int().map(u64::try_from) {
        Some(Ok(entries)) => o.jetstream.meta_compact = entries,
        _ => not_absolute(c, e, ""),
    }),
    Key::new(&["meta_compact_size"], |c, e, o| match size(c, e, &e.key.to_lowercase()).map(u64::try_from) {
        Some(Ok(bytes)) => o.jetstream.meta_compact_size = bytes,
        Some(Err(_)) => not_absolute(c, e, ""),
        None => {}
    }),
    Key::new(&["meta_compact_sync"], |c, e, o| c.flag(e, &mut o.jetstream.meta_compact_sync)),
    Key::new(&["max_concurrent_io"], |c, e, o| match e.node.value.as_int() {
        Some(count) if CONCURRENT_IO.contains(&count) => o.jetstream.max_concurrent_io = count,
        _ => not_absolute(c, e, " between 4 and 8192"),
    }),
    Key::new(&["limits"], |c, e, o| {
        if let Some(map) = c.map(&e.node, "Expected a map to define JetStreamLimits") {
            c.block(map, &[LIMIT_KEYS], o);
        }
    }),
];

const LIMIT_KEYS: &[Key<Options>] = &[
    Key::new(&["max_ack_pending"], |c, e, o| c.number(e, &mut o.jetstream.limits.max_ack_pending)),
    Key::new(&["max_ha_assets"], |c, e, o| c.number(e, &mut o.jetstream.limits.max_ha_assets)),
    Key::new(&["max_request_batch"], |c, e, o| c.number(e, &mut o.jetstream.limits.max_request_batch)),
    Key::new(&["duplicate_window"], |c, e, o| {
        o.jetstream.limits.duplicate_window = unplaced_duration(c, &e.node)
    }),
    Key::new(&["batch"], |c, e, o| {
        if let Some(map) = c.map(&e.node, "Expected a map to define batch limits") {
            c.block(map, &[BATCH_KEYS], o);
        }
    }),
];

const BATCH_KEYS: &[Key<Options>] = &[
    Key::new(&["max_inflight_per_stream"], |c, e, o| {
        c.number(e, &mut o.jetstream.limits.batch_max_inflight_per_stream);
    }),
    Key::new(&["max_inflight_total"], |c, e, o| {
        c.number(e, &mut o.jetstream.limits.batch_max_inflight_total)
    }),
    Key::new(&["max_msgs"], |c, e, o| c.number(e, &mut o.jetstream.limits.batch_max_msgs)),
    Key::new(&["timeout"], |c, e, o| o.jetstream.limits.batch_timeout = unplaced_duration(c, &e.node)),
];

/// The reference forgets the place of these.
fn unplaced_duration(context: &mut Context<'_>, node: &Node) -> Option<std::time::Duration> {
    match parse_duration(context.str(node)?) {
        Ok(nanos) => positive(nanos),
        Err(reason) => {
            context.error_unplaced(&node.pos, reason);
            None
        }
    }
}

/// A whole number whose refusal calls it a size.
fn parseable(context: &mut Context<'_>, entry: &Entry, out: &mut i64) {
    match entry.node.value.as_int() {
        Some(number) => *out = number,
        None => {
            let (key, value) = (quote(&entry.key), shown(&entry.node.value));
            context.error(&entry.node.pos, format!("Expected a parseable size for {key}, got {value}"));
        }
    }
}

fn not_absolute(context: &mut Context<'_>, entry: &Entry, bounds: &str) {
    let (key, value) = (quote(&entry.key), shown(&entry.node.value));
    context.error(&entry.node.pos, format!("Expected an absolute size for {key}{bounds}, got {value}"));
}

/// Bytes as a number, or a text ending in K, M, G or T, each 1024 of the one before.
fn size(context: &mut Context<'_>, entry: &Entry, field: &str) -> Option<i64> {
    let result = match &entry.node.value {
        Value::Int(bytes) => Ok(*bytes),
        Value::String(text) => size_of_text(text),
        _ => Err("must be int64 or string".into()),
    };
    match result {
        Ok(bytes) => Some(bytes),
        Err(reason) => {
            context.error(&entry.node.pos, format!("{field} {reason}"));
            None
        }
    }
}

fn size_of_text(text: &str) -> Result<i64, String> {
    let Some((at, unit)) = text.char_indices().last() else { return Ok(0) };
    let digits = text.split_at_checked(at).map_or("", |(digits, _)| digits);
    let number = digits.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {reason}", quote(digits))
    })?;
    let shift = match unit {
        'K' => 10,
        'M' => 20,
        'G' => 30,
        'T' => 40,
        _ => return Err("sizes defined as strings must end in K, M, G, T".into()),
    };
    Ok(number.wrapping_mul(1 << shift))
}

fn read_cipher(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Some(name) = context.str(&entry.node) else { return };
    out.jetstream.cipher = match name.to_lowercase().as_str() {
        "chacha" | "chachapoly" => Some(StoreCipher::Chacha),
        "aes" => Some(StoreCipher::Aes),
        _ => return context.error(&entry.node.pos, format!("Unknown cipher type: {}", quote(name))),
    };
}

fn read_tpm(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    // The reference's text names the limits here too.
    let Some(map) = context.map(&entry.node, "Expected a map to define JetStreamLimits") else { return };
    out.jetstream.tpm = Some(JetstreamTpm::default());
    context.block(map, &[TPM_KEYS], out);
}

const TPM_KEYS: &[Key<Options>] = &[
    Key::new(&["keys_file"], |c, e, o| c.path(e, &mut tpm(o).keys_file)),
    Key::new(&["encryption_password"], |c, e, o| c.text(e, &mut tpm(o).encryption_password)),
    Key::new(&["srk_password"], |c, e, o| c.text(e, &mut tpm(o).srk_password)),
    Key::new(&["pcr"], |c, e, o| c.number(e, &mut tpm(o).pcr)),
    Key::new(&["cipher"], read_cipher),
];

fn tpm(options: &mut Options) -> &mut JetstreamTpm {
    options.jetstream.tpm.get_or_insert_default()
}

/// Go's `%s` of a value that should have been a text.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("%!s({}={})", other.type_name(), shown(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_text_end_in_a_letter() {
        for (text, want) in [
            ("", Ok(0)),
            ("1K", Ok(1024)),
            ("-2M", Ok(-2 << 20)),
            ("3G", Ok(3 << 30)),
            ("4T", Ok(4 << 40)),
            ("1k", Err("sizes defined as strings must end in K, M, G, T")),
            ("xK", Err("strconv.ParseInt: parsing \"x\": invalid syntax")),
            ("K", Err("strconv.ParseInt: parsing \"\": invalid syntax")),
            (
                "99999999999999999999K",
                Err("strconv.ParseInt: parsing \"99999999999999999999\": value out of range"),
            ),
        ] {
            assert_eq!(size_of_text(text), want.map_err(str::to_owned), "{text}");
        }
    }
}
