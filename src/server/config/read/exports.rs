//! `accounts.*.exports`.

use std::time::Duration;

use crate::server::base::quote::quote;
use crate::server::config::duration::parse_duration;
use crate::server::config::options::{Export, ExportKind, LatencySampling, ResponseType, ServiceLatency};
use crate::server::config::value::{Entry, Node, Pos, Value};

use super::context::{Context, Key, shown};
use super::shapes::positive;

/// Reads the list; entries that are neither stream nor service are left out.
pub(super) fn read(context: &mut Context<'_>, node: &Node) -> Vec<Export> {
    let Value::Array(items) = &node.value else {
        let kind = node.value.type_name();
        context.error(&node.pos, format!("Exports should be an array, got {kind}"));
        return Vec::new();
    };
    items.iter().filter_map(|item| read_one(context, item)).collect()
}

/// An export while it is read; directives that only services know keep their places.
#[derive(Default)]
struct Draft {
    stream: Option<String>,
    service: Option<String>,
    accounts: Vec<String>,
    account_token_position: u32,
    response: Option<(ResponseType, Pos)>,
    threshold: Option<(Option<Duration>, Pos)>,
    latency: Option<(ServiceLatency, Pos)>,
    allow_trace: Option<(bool, Pos)>,
}

fn read_one(context: &mut Context<'_>, item: &Node) -> Option<Export> {
    let map = context.map(item, "Export Items should be a map with type entry")?;
    let mut draft = Draft::default();
    context.block(map, &[KEYS], &mut draft);
    let (subject, kind) = match (draft.stream, draft.service) {
        (None, Some(subject)) => {
            let kind = ExportKind::Service {
                response_type: draft.response.map(|(kind, _)| kind).unwrap_or_default(),
                threshold: draft.threshold.and_then(|(span, _)| span),
                latency: draft.latency.map(|(latency, _)| latency),
                allow_trace: draft.allow_trace.is_some_and(|(on, _)| on),
            };
            (subject, kind)
        }
        (Some(subject), _) => {
            let directives = [
                ("response", draft.response.map(|(_, pos)| pos)),
                ("response", draft.threshold.map(|(_, pos)| pos)),
                ("latency", draft.latency.map(|(_, pos)| pos)),
                ("allow_trace", draft.allow_trace.map(|(_, pos)| pos)),
            ];
            for (name, pos) in directives {
                if let Some(pos) = pos {
                    context.error(&pos, format!("Detected {name} directive on non-service"));
                }
            }
            (subject, ExportKind::Stream)
        }
        (None, None) => return None,
    };
    Some(Export {
        subject,
        // An empty list is none: the export is public.
        accounts: (!draft.accounts.is_empty()).then_some(draft.accounts),
        account_token_position: draft.account_token_position,
        kind,
    })
}

const KEYS: &[Key<Draft>] = &[
    Key::new(&["stream"], |c, e, d| {
        if d.service.is_some() {
            let text = format!("Detected stream {} but already saw a service", quote(shown(&e.node.value)));
            return c.error(&e.node.pos, text);
        }
        d.stream = subject(c, e, "stream");
    }),
    Key::new(&["service"], |c, e, d| {
        if d.stream.is_some() {
            let text = format!("Detected service {} but already saw a stream", quote(shown(&e.node.value)));
            return c.error(&e.node.pos, text);
        }
        d.service = subject(c, e, "service");
    }),
    Key::new(&["response_type", "response"], |c, e, d| {
        if d.response.is_some() {
            return c.error(&e.node.pos, "Duplicate response type definition");
        }
        let kind = match &e.node.value {
            Value::String(text) => match text.to_lowercase().as_str() {
                "single" | "singleton" => ResponseType::Singleton,
                "stream" => ResponseType::Stream,
                "chunk" | "chunked" => ResponseType::Chunked,
                _ => {
                    c.error(&e.node.pos, format!("Unknown response type: {}", quote(text)));
                    return;
                }
            },
            other => {
                let kind = other.type_name();
                return c.error(&e.node.pos, format!("Expected response type to be string, got {kind}"));
            }
        };
        d.response = Some((kind, e.node.pos.clone()));
    }),
    Key::new(&["threshold", "response_threshold", "response_max_time", "response_time"], |c, e, d| {
        if d.threshold.is_some() {
            return c.error(&e.node.pos, "Duplicate response threshold detected");
        }
        let shown = match &e.node.value {
            Value::String(text) => match parse_duration(text) {
                Ok(nanos) => {
                    d.threshold = Some((positive(nanos), e.node.pos.clone()));
                    return;
                }
                Err(_) => quote(text),
            },
            other => other.type_name().to_owned(),
        };
        let text = format!("Expected response threshold to be a parseable time duration, got {shown}");
        c.error(&e.node.pos, text);
    }),
    Key::new(&["accounts"], |c, e, d| {
        if let Some(items) = c.plain_array(&e.node) {
            d.accounts = c.plain_strings(items);
        }
    }),
    Key::new(&["latency"], |c, e, d| {
        d.latency = read_latency(c, &e.node).map(|latency| (latency, e.node.pos.clone()));
    }),
    Key::new(&["account_token_position"], |c, e, d| {
        if let Some(position) = c.int(&e.node) {
            d.account_token_position = u32::try_from(position).unwrap_or(u32::MAX);
        }
    }),
    Key::new(&["allow_trace"], |c, e, d| {
        d.allow_trace = c.bool(&e.node).map(|on| (on, e.node.pos.clone()));
    }),
];

fn subject(context: &mut Context<'_>, entry: &Entry, what: &str) -> Option<String> {
    match &entry.node.value {
        Value::String(subject) => Some(subject.clone()),
        other => {
            let kind = other.type_name();
            context.error(&entry.node.pos, format!("Expected {what} name to be string, got {kind}"));
            None
        }
    }
}

/// A subject, or a map with a share of requests; its keys count in lower case only.
fn read_latency(context: &mut Context<'_>, node: &Node) -> Option<ServiceLatency> {
    let map = match &node.value {
        Value::String(subject) => {
            return Some(ServiceLatency {
                subject: subject.clone(),
                sampling: LatencySampling::Percent(100),
            });
        }
        Value::Map(map) => map,
        other => {
            let kind = other.type_name();
            let text = format!("Expected latency entry to be a map/struct or string, got {kind}");
            context.error(&node.pos, text);
            return None;
        }
    };
    let sampling = match map.get("sampling") {
        Some(sampling) => read_sampling(context, sampling)?,
        None => LatencySampling::Percent(100),
    };
    let Some(subject) = map.get("subject") else {
        context.error(&node.pos, "Latency subject required, but missing");
        return None;
    };
    let Value::String(text) = &subject.value else {
        // The reference names the wanted type here.
        context.error(&subject.pos, "Expected latency subject to be a string, got string");
        return None;
    };
    Some(ServiceLatency { subject: text.clone(), sampling })
}

fn read_sampling(context: &mut Context<'_>, node: &Node) -> Option<LatencySampling> {
    let number = match &node.value {
        Value::Int(number) => *number,
        Value::String(text) if text.trim().eq_ignore_ascii_case("headers") => {
            return Some(LatencySampling::Headers);
        }
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or(text);
            match digits.parse() {
                Ok(number) => number,
                Err(_) => {
                    let text = format!(
                        "Failed to parse latency sample: strconv.Atoi: parsing {}: invalid syntax",
                        quote(digits)
                    );
                    context.error(&node.pos, text);
                    return None;
                }
            }
        }
        other => {
            let kind = other.type_name();
            let text = format!("Expected latency sample to be a string or map/struct, got {kind}");
            context.error(&node.pos, text);
            return None;
        }
    };
    match u8::try_from(number) {
        Ok(percent @ 1..=100) => Some(LatencySampling::Percent(percent)),
        _ => {
            context.error(&node.pos, "bad sampling percentage, should be 1-100");
            None
        }
    }
}
