//! Permissions of users, accounts and routes.

use crate::server::base::quote::quote;
use crate::server::config::diagnose::Diagnostic;
use crate::server::config::duration::parse_duration;
use crate::server::config::options::{Permissions, ResponsePermission, SubjectPermission};
use crate::server::config::value::{Entry, Node, Value};

use super::context::{Context, Key, shown};
use super::shapes::positive;
use super::subjects::check_subjects;

const KEYS: &[Key<Permissions>] = &[
    Key::new(&["publish", "pub", "import"], |c, e, p| {
        if let Some(rule) = read_rule(c, &e.node, false) {
            p.publish = rule;
        }
    }),
    Key::new(&["subscribe", "sub", "export"], |c, e, p| {
        if let Some(rule) = read_rule(c, &e.node, true) {
            p.subscribe = rule;
        }
    }),
    Key::new(&["allow_responses", "publish_allow_responses"], |c, e, p| {
        p.allow_responses = read_responses(c, &e.node)
    }),
];

/// Reads a block of permissions. `None` when it is no map.
pub(super) fn read(context: &mut Context<'_>, node: &Node) -> Option<Permissions> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected permissions to be a map/struct, got {}", shown(&node.value));
        context.error(&node.pos, text);
        return None;
    };
    let mut permissions = Permissions::default();
    context.block_or(map, &[KEYS], &mut permissions, |context, entry, known| {
        let text = format!("Unknown field {} parsing permissions", quote(&entry.key));
        context.push(Diagnostic::error(&entry.node.pos, text).suggest(&entry.key, known));
    });
    // Whoever may answer may not publish anything else, unless it is allowed by name.
    if permissions.allow_responses.is_some() {
        permissions.publish.get_or_insert_default().allow.get_or_insert_default();
    }
    Some(permissions)
}

/// A rule as a subject, a list of subjects, or a map of allowed and denied ones; an empty map is
/// no rule.
fn read_rule(context: &mut Context<'_>, node: &Node, queues: bool) -> Option<Option<SubjectPermission>> {
    let Value::Map(map) = &node.value else {
        let subjects = read_subjects(context, node, queues, false)?;
        return Some(Some(SubjectPermission { allow: listed(subjects), deny: Vec::new() }));
    };
    if map.is_empty() {
        return Some(None);
    }
    let mut rule = SubjectPermission::default();
    for Entry { key, node } in map {
        match key.to_lowercase().as_str() {
            "allow" => {
                if let Some(subjects) = read_subjects(context, node, queues, true) {
                    rule.allow = listed(subjects);
                }
            }
            "deny" => rule.deny = read_subjects(context, node, queues, true).unwrap_or_default(),
            _ if node.used_as_variable => {}
            _ => {
                let text = format!(
                    "Unknown field name {} parsing subject permissions, only 'allow' or 'deny' are permitted",
                    quote(key)
                );
                context.push(Diagnostic::error(&node.pos, text).suggest(key, &["allow", "deny"]));
            }
        }
    }
    Some(Some(rule))
}

/// An empty list in a file is no list: it allows everything.
fn listed(subjects: Vec<String>) -> Option<Vec<String>> {
    (!subjects.is_empty()).then_some(subjects)
}

/// A subject or a list of them. The reference forgets the place where the rule is no map.
pub(super) fn read_subjects(
    context: &mut Context<'_>,
    node: &Node,
    queues: bool,
    placed: bool,
) -> Option<Vec<String>> {
    let fail = |context: &mut Context<'_>, text: String| {
        if placed {
            context.error(&node.pos, text);
        } else {
            context.error_unplaced(&node.pos, text);
        }
    };
    let subjects = match &node.value {
        Value::String(subject) => vec![subject.clone()],
        Value::Array(items) => {
            let mut subjects = Vec::with_capacity(items.len());
            for item in items {
                let Value::String(subject) = &item.value else {
                    context.error(&item.pos, "Subject in permissions array cannot be cast to string");
                    return None;
                };
                subjects.push(subject.clone());
            }
            subjects
        }
        other => {
            let kind = other.type_name();
            let text =
                format!("Expected subject permissions to be a subject, or array of subjects, got {kind}");
            fail(context, text);
            return None;
        }
    };
    if let Err(text) = check_subjects(&subjects, queues) {
        fail(context, text);
        return None;
    }
    Some(subjects)
}

const RESPONSE_KEYS: &[Key<ResponsePermission>] = &[
    Key::new(&["max", "max_msgs", "max_messages", "max_responses"], |c, e, r| {
        // Zero means the default.
        r.max_messages = c.int(&e.node).filter(|max| *max != 0).unwrap_or(r.max_messages);
    }),
    Key::new(&["expires", "expiration", "ttl"], |c, e, r| {
        let Value::String(text) = &e.node.value else {
            return c.error(&e.node.pos, "error parsing expires, not a duration string");
        };
        match parse_duration(text) {
            // Zero means the default, below it there is no limit.
            Ok(0) => {}
            Ok(nanos) => r.expires = positive(nanos),
            Err(reason) => c.error(&e.node.pos, format!("error parsing expires: {reason}")),
        }
    }),
];

fn read_responses(context: &mut Context<'_>, node: &Node) -> Option<ResponsePermission> {
    let map = match &node.value {
        Value::Bool(on) => return on.then(ResponsePermission::default),
        Value::Map(map) => map,
        _ => {
            context.error(&node.pos, "error parsing response permissions, expected a boolean or a map");
            return None;
        }
    };
    let mut responses = ResponsePermission::default();
    context.block_or(map, &[RESPONSE_KEYS], &mut responses, |context, entry, known| {
        let text = format!("Unknown field {} parsing permissions", quote(&entry.key));
        context.push(Diagnostic::error(&entry.node.pos, text).suggest(&entry.key, known));
    });
    Some(responses)
}
