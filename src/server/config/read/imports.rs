//! `accounts.*.imports`.

use crate::server::base::quote::quote;
use crate::server::config::options::{Import, ImportKind};
use crate::server::config::value::{Entry, Node, Pos, Value};

use super::context::{Context, Key};
use super::shapes::filled;

/// Reads the list; entries that are neither stream nor service are left out.
pub(super) fn read(context: &mut Context<'_>, node: &Node) -> Vec<Import> {
    let Value::Array(items) = &node.value else {
        let kind = node.value.type_name();
        context.error(&node.pos, format!("Imports should be an array, got {kind}"));
        return Vec::new();
    };
    let mut imports: Vec<Import> = Vec::with_capacity(items.len());
    for item in items {
        let Some(import) = read_one(context, item) else { continue };
        let twin = local_subject(&import).and_then(|subject| {
            let same = |other: &&Import| {
                other.account == import.account && local_subject(other).as_deref() == Some(&*subject)
            };
            imports.iter().find(same)
        });
        if let (Some(twin), Some(subject)) = (twin, local_subject(&import)) {
            let text = format!(
                "Duplicate service import subject {}, previously used in import for account {}, subject {}",
                quote(&subject),
                quote(&twin.account),
                quote(&twin.subject)
            );
            context.error(&item.pos, text);
            continue;
        }
        imports.push(import);
    }
    imports
}

/// The subject that requests to an imported service are sent to.
pub(super) fn local_subject(import: &Import) -> Option<String> {
    match &import.kind {
        ImportKind::Service { to, .. } => Some(to.as_ref().unwrap_or(&import.subject).clone()),
        ImportKind::Stream { .. } => None,
    }
}

/// An import while it is read.
#[derive(Default)]
struct Draft {
    stream: Option<(String, String)>,
    service: Option<(String, String)>,
    to: Option<(String, Pos)>,
    prefix: Option<String>,
    share: bool,
    allow_trace: Option<(bool, Pos)>,
}

fn read_one(context: &mut Context<'_>, item: &Node) -> Option<Import> {
    let map = context.map(item, "Import Items should be a map with type entry")?;
    let mut draft = Draft::default();
    context.block(map, &[KEYS], &mut draft);
    if let Some((account, subject)) = draft.stream {
        if draft.prefix.is_some()
            && let Some((_, pos)) = &draft.to
        {
            context.error(pos, "Stream import can not have a 'prefix' and a 'to' property");
        }
        let kind = ImportKind::Stream {
            prefix: draft.prefix,
            to: draft.to.map(|(to, _)| to),
            allow_trace: draft.allow_trace.is_some_and(|(on, _)| on),
        };
        return Some(Import { account, subject, kind });
    }
    let (account, subject) = draft.service?;
    if let Some((_, pos)) = &draft.allow_trace {
        context.error(pos, "Detected allow_trace directive on a non-stream");
    }
    let kind = ImportKind::Service { to: draft.to.map(|(to, _)| to), share: draft.share };
    Some(Import { account, subject, kind })
}

const KEYS: &[Key<Draft>] = &[
    Key::new(&["stream"], |c, e, d| {
        if d.service.is_some() {
            return c.error(&e.node.pos, "Detected stream but already saw a service");
        }
        d.stream = read_source(c, e, "Stream");
    }),
    Key::new(&["service"], |c, e, d| {
        if d.stream.is_some() {
            return c.error(&e.node.pos, "Detected service but already saw a stream");
        }
        d.service = read_source(c, e, "Service");
    }),
    Key::new(&["prefix"], |c, e, d| d.prefix = c.str(&e.node).and_then(filled)),
    Key::new(&["to"], |c, e, d| {
        d.to = c.str(&e.node).and_then(filled).map(|to| (to, e.node.pos.clone()));
    }),
    Key::new(&["share"], |c, e, d| c.flag(e, &mut d.share)),
    Key::new(&["allow_trace"], |c, e, d| {
        d.allow_trace = c.bool(&e.node).map(|on| (on, e.node.pos.clone()));
    }),
];

/// Where an import comes from: account and subject.
fn read_source(context: &mut Context<'_>, entry: &Entry, what: &str) -> Option<(String, String)> {
    const KEYS: &[Key<(String, String)>] = &[
        Key::new(&["account"], |c, e, s| {
            if let Some(name) = c.str(&e.node) {
                name.clone_into(&mut s.0);
            }
        }),
        Key::new(&["subject"], |c, e, s| {
            if let Some(subject) = c.str(&e.node) {
                subject.clone_into(&mut s.1);
            }
        }),
    ];
    let Value::Map(map) = &entry.node.value else {
        let kind = entry.node.value.type_name();
        context.error(&entry.node.pos, format!("{what} entry should be an account map, got {kind}"));
        return None;
    };
    let mut source = (String::new(), String::new());
    context.block(map, &[KEYS], &mut source);
    if source.0.is_empty() || source.1.is_empty() {
        context.error(&entry.node.pos, "Expect an account name and a subject");
        return None;
    }
    Some(source)
}
