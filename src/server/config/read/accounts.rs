//! The `accounts` block.

use crate::server::base::quote::quote;
use crate::server::config::diagnose::Diagnostic;
use crate::server::config::options::{
    Account, AccountJetstream, AccountLimits, ClusterTraffic, GLOBAL_ACCOUNT, MessageTrace, Options, User,
};
use crate::server::config::value::{Entry, Map, Node, Pos, Value};
use crate::server::jwt::nkey::{self, KeyKind};

use super::context::{Context, Key, shown};
use super::shapes::saturated;
use super::subjects::is_publishable;
use super::{auth, exports, imports, mappings, permissions, relations};

/// Of a hundred, where nothing is said.
const TRACE_SAMPLING: u8 = 100;

pub(super) fn read(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    match &entry.node.value {
        Value::Array(items) => read_names(context, items, out),
        Value::Map(map) => {
            let errors = context.errors();
            for account in map {
                // A variable that stands among the accounts is none.
                if !account.node.used_as_variable {
                    read_account(context, account, out);
                }
            }
            if context.errors() == errors {
                relations::check(context, &entry.node.pos, out);
            }
        }
        _ => {}
    }
}

/// A plain list of names.
fn read_names(context: &mut Context<'_>, items: &[Node], out: &mut Options) {
    for item in items {
        let Some(name) = context.str(item) else { continue };
        if name == GLOBAL_ACCOUNT {
            context.error(&item.pos, format!("{} is a Reserved Account", quote(name)));
        } else if out.accounts.iter().any(|account| account.name == name) {
            context.error(&item.pos, format!("Duplicate Account Entry: {name}"));
        } else {
            out.accounts.push(Account { name: name.to_owned(), ..Account::default() });
        }
    }
}

/// An account while it is read.
#[derive(Default)]
struct Draft {
    account: Account,
    /// Its users, and where they stand.
    users: Option<(Vec<User>, Pos)>,
}

fn read_account(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let pos = &entry.node.pos;
    let Value::Map(map) = &entry.node.value else {
        return context.error(pos, "Expected map entries for accounts");
    };
    if entry.key == GLOBAL_ACCOUNT {
        return context.error(pos, format!("{} is a Reserved Account", quote(&entry.key)));
    }
    let mut draft = Draft::default();
    draft.account.name.clone_from(&entry.key);
    context.block(map, &[KEYS], &mut draft);
    let Draft { account, users } = draft;
    if let Some((mut users, pos)) = users {
        add_users(context, &account, &mut users, &pos, out);
    }
    out.accounts.push(account);
}

fn add_users(
    context: &mut Context<'_>,
    account: &Account,
    users: &mut Vec<User>,
    pos: &Pos,
    out: &mut Options,
) {
    if !users.is_empty() {
        if out.authorization.username.is_some() {
            return context.error(pos, "Can not have a single user/pass and accounts");
        }
        if out.authorization.token.is_some() {
            return context.error(pos, "Can not have a token and accounts");
        }
    }
    auth::apply_default_permissions(users, account.default_permissions.as_ref());
    for user in users.iter_mut() {
        user.account = Some(account.name.clone());
    }
    auth::add_users(context, pos, std::mem::take(users), out);
}

const KEYS: &[Key<Draft>] = &[
    Key::new(&["nkey"], |c, e, d| match e.node.value.as_str() {
        Some(key) if nkey::is_public(key, KeyKind::Account) => d.account.nkey = Some(key.to_owned()),
        _ => {
            let shown = match &e.node.value {
                Value::String(key) => quote(key),
                Value::Int(number) => quoted_letter(*number),
                other => format!("%!q({}={})", other.type_name(), shown(other)),
            };
            c.error(&e.node.pos, format!("Not a valid public nkey for an account: {shown}"));
        }
    }),
    Key::new(&["users"], |c, e, d| {
        let first = c.findings.len();
        d.users = auth::read_users(c, &e.node).map(|users| (users, e.node.pos.clone()));
        c.forget_place(first, &e.node.pos);
    }),
    Key::new(&["default_permissions"], |c, e, d| {
        d.account.default_permissions = permissions::read(c, &e.node);
    }),
    Key::new(&["exports"], |c, e, d| d.account.exports = exports::read(c, &e.node)),
    Key::new(&["imports"], |c, e, d| d.account.imports = imports::read(c, &e.node)),
    Key::new(&["mappings", "maps"], |c, e, d| d.account.mappings = mappings::read(c, e)),
    Key::new(&["limits"], |c, e, d| {
        let Value::Map(map) = &e.node.value else {
            let text = format!("Expected account limits to be a map/struct, got {}", shown(&e.node.value));
            return c.error(&e.node.pos, text);
        };
        c.block_or(map, &[LIMIT_KEYS], &mut d.account.limits, |c, e, known| {
            let text = format!("Unknown field {} parsing account limits", quote(&e.key));
            c.push(Diagnostic::error(&e.node.pos, text).suggest(&e.key, known));
        });
    }),
    Key::new(&["jetstream"], read_jetstream),
    Key::new(&["msg_trace", "trace_dest"], read_trace),
];

/// A number in quotes is the letter of that number: Go's `%q`.
fn quoted_letter(number: i64) -> String {
    let letter = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    if letter == '\'' {
        return "'\\''".into();
    }
    let text = quote(letter.to_string()).replace("\\\"", "\"");
    let inside = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&text);
    format!("'{inside}'")
}

const LIMIT_KEYS: &[Key<AccountLimits>] = &[
    Key::new(&["max_connections", "max_conn"], |c, e, l| limit(c, e, &mut l.max_connections)),
    Key::new(&["max_subscriptions", "max_subs"], |c, e, l| limit(c, e, &mut l.max_subscriptions)),
    Key::new(&["max_payload", "max_pay"], |c, e, l| limit(c, e, &mut l.max_payload)),
    Key::new(&["max_leafnodes", "max_leafs"], |c, e, l| limit(c, e, &mut l.max_leafnodes)),
];

fn limit(context: &mut Context<'_>, entry: &Entry, out: &mut Option<i32>) {
    if let Some(number) = context.int(&entry.node) {
        *out = Some(saturated(number));
    }
}

fn read_jetstream(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let account = &mut out.account;
    let first = context.findings.len();
    match &entry.node.value {
        Value::Bool(on) => account.jetstream = on.then(AccountJetstream::default),
        Value::String(text) => match text.to_lowercase().as_str() {
            "enabled" | "enable" => account.jetstream = Some(AccountJetstream::default()),
            "disabled" | "disable" => account.jetstream = None,
            _ => {
                let text = format!("Expected 'enabled' or 'disabled' for string value, got '{text}'");
                context.error(&entry.node.pos, text);
            }
        },
        Value::Map(map) => read_jetstream_map(context, map, account),
        other => {
            let kind = other.type_name();
            let text = format!("Expected map, bool or string to define JetStream, got {kind}");
            context.error(&entry.node.pos, text);
        }
    }
    context.forget_place(first, &entry.node.pos);
}

fn read_jetstream_map(context: &mut Context<'_>, map: &Map, account: &mut Account) {
    let mut draft = (AccountJetstream::default(), ClusterTraffic::default());
    context.block(map, &[JETSTREAM_KEYS], &mut draft);
    account.jetstream = Some(draft.0);
    account.cluster_traffic = draft.1;
}

const JETSTREAM_KEYS: &[Key<(AccountJetstream, ClusterTraffic)>] = &[
    Key::new(&["max_memory", "max_mem", "mem", "memory"], |c, e, (j, _)| size(c, e, &mut j.max_memory)),
    Key::new(&["max_store", "max_file", "max_disk", "store", "disk"], |c, e, (j, _)| {
        size(c, e, &mut j.max_store)
    }),
    Key::new(&["max_streams", "streams"], |c, e, (j, _)| size(c, e, &mut j.max_streams)),
    Key::new(&["max_consumers", "consumers"], |c, e, (j, _)| size(c, e, &mut j.max_consumers)),
    Key::new(&["max_bytes_required", "max_stream_bytes", "max_bytes"], |c, e, (j, _)| {
        match e.node.value.as_bool() {
            Some(required) => j.max_bytes_required = required,
            None => expected(c, e, "Expected a parseable bool"),
        }
    }),
    Key::new(&["memory_max_stream_bytes", "mem_max_stream_bytes"], |c, e, (j, _)| {
        size(c, e, &mut j.memory_max_stream_bytes);
    }),
    Key::new(&["store_max_stream_bytes", "disk_max_stream_bytes"], |c, e, (j, _)| {
        size(c, e, &mut j.store_max_stream_bytes);
    }),
    Key::new(&["max_ack_pending"], |c, e, (j, _)| size(c, e, &mut j.max_ack_pending)),
    Key::new(&["cluster_traffic"], |c, e, (_, traffic)| match e.node.value.as_str() {
        Some("system" | "") => *traffic = ClusterTraffic::System,
        Some("owner") => *traffic = ClusterTraffic::Owner,
        Some(_) => expected(c, e, "Expected 'system' or 'owner' string value"),
        None => expected(c, e, "Expected either 'system' or 'owner' string value"),
    }),
];

fn size(context: &mut Context<'_>, entry: &Entry, out: &mut i64) {
    match entry.node.value.as_int() {
        Some(number) => *out = number,
        None => expected(context, entry, "Expected a parseable size"),
    }
}

fn expected(context: &mut Context<'_>, entry: &Entry, text: &str) {
    let (key, value) = (quote(&entry.key), shown(&entry.node.value));
    context.error(&entry.node.pos, format!("{text} for {key}, got {value}"));
}

fn read_trace(context: &mut Context<'_>, entry: &Entry, out: &mut Draft) {
    let mut dest = None;
    let mut sampling = None;
    match &entry.node.value {
        Value::String(_) => dest = trace_dest(context, &entry.key, &entry.node),
        Value::Map(map) => {
            let errors = context.errors();
            for Entry { key, node } in map {
                match key.to_lowercase().as_str() {
                    "dest" => dest = trace_dest(context, key, node),
                    "sampling" => sampling = trace_sampling(context, key, node),
                    _ if node.used_as_variable => {}
                    _ => {
                        let (field, block) = (quote(key), quote(&entry.key));
                        let text =
                            format!("Unknown field {field} parsing account message trace map/struct {block}");
                        context.push(Diagnostic::error(&node.pos, text).suggest(key, &["dest", "sampling"]));
                    }
                }
            }
            if context.errors() > errors {
                return;
            }
        }
        other => {
            let (key, kind) = (quote(&entry.key), other.type_name());
            let text =
                format!("Expected account message trace {key} to be a string or a map/struct, got {kind}");
            return context.error(&entry.node.pos, text);
        }
    }
    match dest {
        Some(dest) => {
            let sampling = sampling.unwrap_or(TRACE_SAMPLING);
            out.account.msg_trace = Some(MessageTrace { dest, sampling });
        }
        None if sampling.is_some() => {
            let text = "Trace destination sampling ignored since no destination was set";
            context.warning(&entry.node.pos, text);
        }
        None => {}
    }
}

fn trace_dest(context: &mut Context<'_>, key: &str, node: &Node) -> Option<String> {
    match &node.value {
        Value::String(subject) if is_publishable(subject) => return Some(subject.clone()),
        Value::String(subject) => {
            context.error(&node.pos, format!("Trace destination {} is not valid", quote(subject)));
        }
        other => {
            let (key, kind) = (quote(key), other.type_name());
            context.error(&node.pos, format!("Field {key} should be a string, got {kind}"));
        }
    }
    None
}

fn trace_sampling(context: &mut Context<'_>, key: &str, node: &Node) -> Option<u8> {
    let refusal = match &node.value {
        Value::Int(number) => match u8::try_from(*number) {
            Ok(percent @ 1..=100) => return Some(percent),
            _ => out_of_range(*number),
        },
        Value::String(text) => match text.strip_suffix('%').unwrap_or(text).parse::<i64>() {
            Ok(number) => match u8::try_from(number) {
                Ok(percent @ 1..=100) => return Some(percent),
                _ => out_of_range(number),
            },
            Err(_) => format!("Invalid trace destination sampling value {}", quote(text)),
        },
        other => {
            let (key, kind) = (quote(key), other.type_name());
            format!("Trace destination sampling field {key} should be an integer or a percentage, got {kind}")
        }
    };
    context.error(&node.pos, refusal);
    None
}

/// The first word is misspelled in the reference too.
fn out_of_range(number: i64) -> String {
    format!("Ttrace destination sampling value {number} is invalid, needs to be [1..100]")
}
