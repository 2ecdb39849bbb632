//! `auth_callout`: a service that decides who may connect.

use std::cell::Cell;

use crate::server::base::quote::quote;
use crate::server::config::diagnose::Diagnostic;
use crate::server::config::options::{AuthCallout, GLOBAL_ACCOUNT, Options};
use crate::server::config::value::{Entry, Node, Value};
use crate::server::jwt::nkey::{self, KeyKind};

use super::context::{Context, Key, shown};

const KEYS: &[Key<AuthCallout>] = &[
    Key::new(&["issuer"], |c, e, a| {
        let Some(key) = c.str(&e.node) else { return };
        if !nkey::is_public(key, KeyKind::Account) {
            let text = format!("Expected callout user to be a valid public account nkey, got {}", quote(key));
            c.error(&e.node.pos, text);
        }
        key.clone_into(&mut a.issuer);
    }),
    Key::new(&["account", "acc"], |c, e, a| {
        if let Some(name) = c.str(&e.node) {
            name.clone_into(&mut a.account);
        }
    }),
    Key::new(&["auth_users", "users"], |c, e, a| names(c, e, "auth_users", &mut a.auth_users)),
    Key::new(&["xkey", "key"], |c, e, a| {
        let Some(key) = c.str(&e.node) else { return };
        if !nkey::is_public(key, KeyKind::Curve) {
            let text = format!("Expected callout xkey to be a valid public xkey, got {}", quote(key));
            c.error(&e.node.pos, text);
        }
        a.xkey = Some(key.to_owned());
    }),
    Key::new(&["allowed_accounts"], |c, e, a| names(c, e, "allowed accounts", &mut a.allowed_accounts)),
];

/// Reads the block. `None` when it is no map or lacks what it must have.
pub(super) fn read(context: &mut Context<'_>, node: &Node) -> Option<AuthCallout> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected authorization callout to be a map/struct, got {}", shown(&node.value));
        context.error(&node.pos, text);
        return None;
    };
    let errors = context.errors();
    let mut callout = AuthCallout::default();
    let unknown = Cell::new(0);
    context.block_or(map, &[KEYS], &mut callout, |context, entry, known| {
        unknown.set(unknown.get() + 1);
        let text = format!("Unknown field {} parsing authorization callout", quote(&entry.key));
        context.push(Diagnostic::error(&entry.node.pos, text).suggest(&entry.key, known));
    });
    if callout.account.is_empty() {
        callout.account = GLOBAL_ACCOUNT.into();
    }
    // The reference names the place of the key that it happened to look at last.
    let pos = map.iter().last().map_or(&node.pos, |entry| &entry.node.pos);
    if context.errors() > errors + unknown.get() {
        return None;
    }
    if callout.issuer.is_empty() {
        context.error(pos, "Authorization callouts require an issuer to be specified");
    } else if callout.auth_users.is_empty() {
        context.error(pos, "Authorization callouts require authorized users to be specified");
    }
    (context.errors() == errors).then_some(callout)
}

fn names(context: &mut Context<'_>, entry: &Entry, what: &str, out: &mut Vec<String>) {
    match &entry.node.value {
        Value::Array(items) => out.extend(context.plain_strings(items)),
        // The reference names the type of its token here.
        _ => context.error(&entry.node.pos, format!("Expected {what} field to be an array, got *conf.token")),
    }
}

/// The accounts a service is asked for must exist; known once the whole file is read.
pub(super) fn check_allowed_accounts(context: &mut Context<'_>, options: &Options) {
    let Some(callout) = &options.authorization.auth_callout else { return };
    for name in &callout.allowed_accounts {
        if !options.accounts.iter().any(|account| account.name == *name) {
            let text =
                format!("auth_callout allowed account {} not found in configured accounts", quote(name));
            context.push(Diagnostic::unplaced(text));
        }
    }
}
