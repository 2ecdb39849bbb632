//! Operator mode: `operator`, `trusted_keys`, `resolver` and what belongs to it.

use crate::server::base::duration::go_duration;
use crate::server::base::quote::quote;
use crate::server::base::url::Url;
use crate::server::config::duration::parse_duration;
use crate::server::config::options::{DirResolver, Operator, Options, Resolver};
use crate::server::config::value::{Entry, Map, Value};
use crate::server::jwt::nkey::{self, KeyKind};
use crate::server::jwt::{AccountClaims, OperatorClaims, token_of_file};

use super::context::{Context, Key, TopKeys};
use super::shapes::{filled, positive};
use super::tls::{self, Place};
use super::{DirectoryState, Files};

pub(super) const KEYS: TopKeys = &[
    Key::new(&["operator", "operators", "root", "roots", "root_operator", "root_operators"], read_operators),
    Key::new(&["trusted_keys", "trusted"], read_trusted_keys),
    Key::new(&["resolver", "account_resolver", "accounts_resolver"], read_resolver),
    Key::new(&["resolver_tls"], |c, e, o| {
        if let Some(tls) = tls::read(c, e, Place::OneWay) {
            o.resolver_tls = Some(tls);
        }
    }),
    Key::new(&["resolver_preload"], read_preload),
    Key::new(&["resolver_pinned_accounts"], |c, e, o| {
        o.resolver_pinned_accounts = c.strings("resolver_pinned_accounts", &e.node).unwrap_or_default();
    }),
];

fn read_operators(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let pos = &entry.node.pos;
    let names = match &entry.node.value {
        Value::String(name) => vec![name.clone()],
        Value::Array(items) => {
            let mut names = Vec::with_capacity(items.len());
            for item in items {
                match &item.value {
                    Value::String(name) => names.push(name.clone()),
                    _ => {
                        // The reference names the type of its token here.
                        let text =
                            "error parsing operators: unsupported type *conf.token where string is expected";
                        context.error(pos, text);
                    }
                }
            }
            names
        }
        other => {
            let kind = other.type_name();
            context.error(pos, format!("error parsing operators: unsupported type {kind}"));
            Vec::new()
        }
    };
    out.operators.clear();
    for name in names {
        match operator(&name, context.files) {
            Ok(operator) => out.operators.push(operator),
            Err(reason) => context.error(pos, format!("error parsing operator JWT: {reason}")),
        }
    }
    let [operator] = out.operators.as_slice() else { return };
    // A resolver or a system account of the file wins over what the operator says.
    if out.resolver.is_none()
        && let Ok(url) = Url::parse(operator.account_server_url.trim())
    {
        out.resolver = Some(Resolver::Url(format!("{url}/accounts/")));
    }
    if out.system_account.is_none() {
        out.system_account = filled(&operator.system_account);
    }
}

/// What every token begins with.
const TOKEN_START: &str = "eyJ";

/// Reads an operator's token: from a file, or the text itself.
fn operator(text: &str, files: &dyn Files) -> Result<Operator, String> {
    let contents = match files.read(text) {
        Ok(contents) => String::from_utf8_lossy(&contents).into_owned(),
        Err(_) if text.starts_with(TOKEN_START) => text.to_owned(),
        Err(reason) => return Err(reason),
    };
    let token = token_of_file(&contents).trim_end_matches(['\r', '\n']).to_owned();
    let OperatorClaims { envelope, nats } =
        OperatorClaims::decode(&token).map_err(|error| error.to_string())?;
    Ok(Operator {
        token,
        key: envelope.subject,
        signing_keys: nats.signing_keys,
        strict_signing_key_usage: nats.strict_signing_key_usage,
        system_account: nats.system_account,
        account_server_url: nats.account_server_url,
        assert_server_version: nats.assert_server_version,
    })
}

fn read_trusted_keys(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Some(keys) = context.strings("trusted", &entry.node) else { return };
    // Of a list, the reference names the last element's place.
    let last = entry.node.value.as_array().and_then(<[_]>::last);
    let pos = last.map_or(&entry.node.pos, |item| &item.pos);
    for key in keys.iter().filter(|key| !nkey::is_public(key, KeyKind::Operator)) {
        context.error(pos, format!("trust key {} required to be a valid public operator nkey", quote(key)));
    }
    out.trusted_keys = keys;
}

fn read_preload(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Value::Map(map) = &entry.node.value else {
        return context.error(&entry.node.pos, "preload should be a map of account_public_key:account_jwt");
    };
    out.resolver_preload.clear();
    for Entry { key, node } in map {
        match &node.value {
            Value::String(token) if AccountClaims::decode(token).is_ok() => {
                out.resolver_preload.insert(key.clone(), token.clone());
            }
            Value::String(_) => context.error(&node.pos, "invalid account JWT"),
            _ => context.error(&node.pos, "preload map value should be a string JWT"),
        }
    }
}

fn read_resolver(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let pos = &entry.node.pos;
    let errors = context.errors();
    let resolver = match &entry.node.value {
        Value::String(text) => read_short(context, entry, text),
        Value::Map(map) => read_map(context, entry, map),
        other => {
            let kind = other.type_name();
            return context.error(pos, format!("error parsing operator resolver, wrong type {kind}"));
        }
    };
    if resolver.is_none() && context.errors() == errors {
        let text = "error parsing account resolver, should be MEM or  URL(\"url\") or a map containing dir and \
                    type state=[FULL|CACHE])";
        context.error(pos, text);
    }
    out.resolver = resolver;
}

/// `MEM` or `URL(…)`. The reference looks for these words anywhere in the text.
fn read_short(context: &mut Context<'_>, entry: &Entry, text: &str) -> Option<Resolver> {
    let lower = text.to_ascii_lowercase();
    if lower.contains("mem") {
        return Some(Resolver::Mem);
    }
    let at = lower.find("url")?;
    let (_, rest) = text.split_at_checked(at + "url".len())?;
    let mut url = in_parentheses(rest).unwrap_or_default().to_owned();
    context.url(&entry.node.pos, "account resolver", &url)?;
    if !url.ends_with('/') {
        url.push('/');
    }
    Some(Resolver::Url(url))
}

/// The text in `("…")`, quotes optional.
fn in_parentheses(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('(')?.trim_start();
    let inside = inside.strip_prefix('"').unwrap_or(inside);
    let end = inside.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(inside.len());
    let (run, after) = inside.split_at_checked(end)?;
    let after = after.strip_prefix('"').unwrap_or(after).trim_start();
    if after.starts_with(')') {
        return Some(run);
    }
    run.rsplit_once(')').map(|(url, _)| url)
}

fn read_map(context: &mut Context<'_>, entry: &Entry, map: &Map) -> Option<Resolver> {
    let pos = &entry.node.pos;
    let text = |c: &mut Context<'_>, key: &str| map.get(key).and_then(|node| c.str(node).map(str::to_owned));
    let flag = |c: &mut Context<'_>, key: &str| map.get(key).and_then(|node| c.bool(node));
    let span = |c: &mut Context<'_>, key: &str| {
        let text = map.get(key).and_then(|node| c.str(node))?;
        match parse_duration(text) {
            Ok(nanos) => Some(nanos),
            Err(reason) => {
                c.error(pos, reason);
                None
            }
        }
    };
    let errors = context.errors();
    let kind = text(context, "type").unwrap_or_default().to_uppercase();
    let (ttl, interval, timeout) =
        (span(context, "ttl"), span(context, "interval"), span(context, "timeout"));
    let hard_delete = flag(context, "hard_delete");
    let dir = DirResolver {
        dir: text(context, "dir").unwrap_or_default().into(),
        limit: map.get("limit").and_then(|node| context.int(node)).unwrap_or(0),
        interval: interval.and_then(positive),
        ttl: ttl.and_then(positive),
        allow_delete: flag(context, "allow_delete").unwrap_or(false),
        hard_delete: hard_delete.unwrap_or(false),
        timeout: timeout.and_then(positive),
    };
    if context.errors() > errors {
        return None;
    }
    let mut refuse = |wrong: bool, text: &str| {
        if wrong {
            context.error(pos, text);
        }
    };
    match kind.as_str() {
        "FULL" => {
            refuse(ttl.unwrap_or(0) != 0, "FULL does not accept ttl");
            let useless = hard_delete.is_some() && !dir.allow_delete;
            refuse(useless, "hard_delete has no effect without delete");
            check_dir(context, entry, &dir, timeout);
            Some(Resolver::Full(dir))
        }
        "CACHE" => {
            refuse(interval.unwrap_or(0) != 0, "CACHE does not accept sync");
            refuse(dir.allow_delete, "CACHE does not accept allow_delete");
            refuse(hard_delete.is_some(), "CACHE does not accept hard_delete");
            check_dir(context, entry, &dir, timeout);
            Some(Resolver::Cache(dir))
        }
        "MEM" | "MEMORY" => Some(Resolver::Mem),
        _ => None,
    }
}

fn check_dir(context: &mut Context<'_>, entry: &Entry, dir: &DirResolver, timeout: Option<i64>) {
    let path = dir.dir.to_string_lossy();
    let pos = &entry.node.pos;
    // The reference goes on to make the directory, and says how that failed.
    if path.is_empty() {
        context.error(pos, "dir has no value and needs to point to a directory");
        context.error(pos, "mkdir : no such file or directory");
        return;
    }
    let state = context.files.directory(&path);
    if matches!(state, DirectoryState::ReadOnly | DirectoryState::Other) {
        context.error(pos, "dir needs to point to an accessible directory");
    }
    if state == DirectoryState::Other {
        context.error(pos, format!("mkdir {path}: not a directory"));
        return;
    }
    if let Some(nanos) = timeout.filter(|nanos| *nanos <= 0) {
        context.error(pos, format!("Fetch timeout {} is too smal", go_duration(nanos)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stands_in_parentheses_with_or_without_quotes() {
        for (text, want) in [
            ("(http://a)", Some("http://a")),
            ("(\"http://a\")", Some("http://a")),
            ("( \"http://a\" ) x", Some("http://a")),
            ("(http://a(b)c)", Some("http://a(b)c")),
            ("(http://a", None),
            ("", None),
        ] {
            assert_eq!(in_parentheses(text), want, "{text}");
        }
    }
}
