//! `authorization` blocks and lists of users.

use std::time::Duration;

use crate::server::base::quote::quote;
use crate::server::config::options::{
    AuthCallout, Authorization, ConnectionType, Options, Permissions, User, UserIdentity,
};
use crate::server::config::value::{Entry, Node, Pos, Value};
use crate::server::jwt::nkey::{self, KeyKind};

use super::context::{Context, Key, TopKeys, shown};
use super::{callout, permissions};

pub(super) const KEYS: TopKeys = &[Key::new(&["authorization"], read_top)];

/// An `authorization` block of any place; which of it may be used there, the place decides.
#[derive(Default)]
pub(super) struct Auth {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) token: Option<String>,
    pub(super) timeout: Option<Duration>,
    /// `None` without a list; an empty list counts.
    pub(super) users: Option<Vec<User>>,
    pub(super) default_permissions: Option<Permissions>,
    pub(super) callout: Option<AuthCallout>,
    pub(super) proxy_required: bool,
}

const AUTH_KEYS: &[Key<Auth>] = &[
    Key::new(&["user", "username"], |c, e, a| c.text(e, &mut a.username)),
    Key::new(&["pass", "password"], |c, e, a| c.text(e, &mut a.password)),
    Key::new(&["token"], |c, e, a| c.text(e, &mut a.token)),
    Key::new(&["timeout"], |c, e, a| c.auth_timeout("authorization config", e, &mut a.timeout)),
    Key::new(&["users"], |c, e, a| {
        if let Some(users) = read_users(c, &e.node) {
            a.users = Some(users);
        }
    }),
    Key::new(&["default_permissions", "default_permission", "permissions"], |c, e, a| {
        if let Some(permissions) = permissions::read(c, &e.node) {
            a.default_permissions = Some(permissions);
        }
    }),
    Key::new(&["auth_callout", "auth_hook"], |c, e, a| {
        if let Some(callout) = callout::read(c, &e.node) {
            a.callout = Some(callout);
        }
    }),
    Key::new(&["proxy_required"], |c, e, a| c.flag(e, &mut a.proxy_required)),
];

/// Reads a block. Users without permissions of their own get the default ones.
pub(super) fn read(context: &mut Context<'_>, entry: &Entry) -> Option<Auth> {
    let map = context.plain_map(&entry.node)?;
    let mut auth = Auth::default();
    context.block(map, &[AUTH_KEYS], &mut auth);
    apply_default_permissions(
        auth.users.as_deref_mut().unwrap_or_default(),
        auth.default_permissions.as_ref(),
    );
    Some(auth)
}

/// Reads a block that may only name one user; `kind` starts the refusals: `Cluster`.
pub(super) fn read_single(context: &mut Context<'_>, entry: &Entry, kind: &str) -> Option<Auth> {
    let auth = read(context, entry)?;
    let refusal = if auth.users.is_some() {
        "does not allow multiple users"
    } else if auth.token.is_some() {
        "does not support tokens"
    } else if auth.callout.is_some() {
        "does not support callouts"
    } else {
        return Some(auth);
    };
    context.error(&entry.node.pos, format!("{kind} authorization {refusal}"));
    None
}

/// Gives the default permissions to users that have none of their own.
pub(super) fn apply_default_permissions(users: &mut [User], default: Option<&Permissions>) {
    let Some(default) = default else { return };
    for user in users.iter_mut().filter(|user| user.permissions.is_none()) {
        user.permissions = Some(default.clone());
    }
}

fn read_top(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    let Some(auth) = read(context, entry) else { return };
    let pos = &entry.node.pos;
    out.authorization = Authorization {
        defined: true,
        username: auth.username,
        password: auth.password,
        token: auth.token,
        timeout: auth.timeout,
        default_permissions: auth.default_permissions,
        auth_callout: auth.callout,
        proxy_required: auth.proxy_required,
    };
    let single = &out.authorization;
    if (single.username.is_some() || single.password.is_some()) && single.token.is_some() {
        return context.error(pos, "Cannot have a user/pass and token");
    }
    // Accounts that stand further up have brought their users already.
    if auth.users.is_some() || !out.users.is_empty() {
        if single.username.is_some() {
            return context.error(pos, "Can not have a single user/pass and a users array");
        }
        if single.token.is_some() {
            return context.error(pos, "Can not have a token and a users array");
        }
    }
    add_users(context, pos, auth.users.unwrap_or_default(), out);
}

/// Adds users whose names nobody has yet, across the authorization block and all accounts.
pub(super) fn add_users(context: &mut Context<'_>, pos: &Pos, users: Vec<User>, out: &mut Options) {
    for user in users {
        let name = user.identity.name();
        if context.user_names.insert(name.to_owned()) {
            out.users.push(user);
            continue;
        }
        let kind = if matches!(user.identity, UserIdentity::Nkey(_)) { "nkey" } else { "user" };
        context.error(pos, format!("Duplicate {kind} {} detected", quote(name)));
    }
}

/// A user while its entry is read.
#[derive(Default)]
struct Draft {
    username: String,
    password: String,
    nkey: String,
    permissions: Option<Permissions>,
    connection_types: Vec<ConnectionType>,
    proxy_required: bool,
}

const USER_KEYS: &[Key<Draft>] = &[
    Key::new(&["nkey"], |c, e, u| plain(c, e, &mut u.nkey)),
    Key::new(&["user", "username"], |c, e, u| plain(c, e, &mut u.username)),
    Key::new(&["pass", "password"], |c, e, u| plain(c, e, &mut u.password)),
    Key::new(&["permissions", "permission", "authorization"], |c, e, u| {
        // A value of a wrong type in there spoils the permissions alone.
        let wrong_types = c.wrong_types;
        if let Some(permissions) = permissions::read(c, &e.node) {
            u.permissions = Some(permissions);
        }
        c.wrong_types = wrong_types;
    }),
    Key::new(&["allowed_connection_types", "connection_types", "clients"], |c, e, u| {
        u.connection_types = read_connection_types(c, &e.node);
    }),
    Key::new(&["proxy_required"], |c, e, u| c.flag(e, &mut u.proxy_required)),
];

/// Reads a list of users. `None` when it is no list.
pub(super) fn read_users(context: &mut Context<'_>, node: &Node) -> Option<Vec<User>> {
    let Value::Array(items) = &node.value else {
        let text = format!("Expected users field to be an array, got {}", shown(&node.value));
        context.error(&node.pos, text);
        return None;
    };
    let entries: Vec<_> = items.iter().map(|item| read_user(context, item)).collect();
    // All are looked at, for what is wrong with them; as in the reference nobody of such a list is a user.
    let users: Result<Vec<_>, _> = entries.into_iter().collect();
    users.ok().map(|users| users.into_iter().flatten().collect())
}

/// The list of a user that is none counts for nothing.
struct GivenUp;

/// `None` for what is no entry.
fn read_user(context: &mut Context<'_>, item: &Node) -> Result<Option<User>, GivenUp> {
    let Value::Map(map) = &item.value else {
        let text = format!("Expected user entry to be a map/struct, got {}", shown(&item.value));
        context.error(&item.pos, text);
        return Ok(None);
    };
    let mut draft = Draft::default();
    let wrong_types = context.wrong_types;
    context.block(map, &[USER_KEYS], &mut draft);
    if context.wrong_types > wrong_types {
        return Err(GivenUp);
    }
    // The reference names the place of the key that it happened to look at last.
    let pos = map.iter().last().map_or(&item.pos, |entry| &entry.node.pos);
    let identity = if draft.nkey.is_empty() {
        if draft.username.is_empty() {
            context.error(pos, "User entry requires a user");
            return Err(GivenUp);
        }
        UserIdentity::Password { username: draft.username, password: draft.password }
    } else {
        if !nkey::is_public(&draft.nkey, KeyKind::User) {
            context.error(pos, "Not a valid public nkey for a user");
            return Err(GivenUp);
        }
        if !draft.username.is_empty() || !draft.password.is_empty() {
            context.error(pos, "Nkey users do not take usernames or passwords");
            return Err(GivenUp);
        }
        UserIdentity::Nkey(draft.nkey)
    };
    Ok(Some(User {
        identity,
        permissions: draft.permissions,
        account: None,
        allowed_connection_types: draft.connection_types,
        proxy_required: draft.proxy_required,
    }))
}

fn plain(context: &mut Context<'_>, entry: &Entry, out: &mut String) {
    if let Some(text) = context.str(&entry.node) {
        text.clone_into(out);
    }
}

fn read_connection_types(context: &mut Context<'_>, node: &Node) -> Vec<ConnectionType> {
    let names = context.strings("allowed connection types", node).unwrap_or_default();
    let unknown: Vec<String> = names
        .iter()
        .filter(|name| ConnectionType::parse(name).is_none())
        .map(|name| quote(name.to_uppercase()))
        .collect();
    if !unknown.is_empty() {
        context.error(&node.pos, format!("invalid connection types [{}]", unknown.join(" ")));
    }
    let mut types: Vec<ConnectionType> =
        names.iter().filter_map(|name| ConnectionType::parse(name)).collect();
    types.sort_unstable();
    types.dedup();
    types
}

/// What a block of a client listener may say about its own users.
#[derive(Default)]
pub(super) struct SimpleAuth {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) token: Option<String>,
    pub(super) timeout: Option<Duration>,
}

const SIMPLE_KEYS: &[Key<SimpleAuth>] = &[
    Key::new(&["user", "username"], |c, e, a| c.text(e, &mut a.username)),
    Key::new(&["pass", "password"], |c, e, a| c.text(e, &mut a.password)),
    Key::new(&["token"], |c, e, a| c.text(e, &mut a.token)),
    // A duration, or anything else, silently means one second: so the reference has it.
    Key::new(&["timeout"], |_, e, a| {
        let seconds = match &e.node.value {
            Value::Int(seconds) => *seconds as f64,
            Value::Float(seconds) => *seconds,
            _ => 1.0,
        };
        a.timeout = super::shapes::span_of_seconds(seconds);
    }),
];

/// Reads the `authorization` block of WebSocket or MQTT.
pub(super) fn read_simple(context: &mut Context<'_>, entry: &Entry) -> SimpleAuth {
    let mut auth = SimpleAuth::default();
    if let Some(map) = context.plain_map(&entry.node) {
        context.block(map, &[SIMPLE_KEYS], &mut auth);
    }
    auth
}

#[cfg(test)]
mod tests {
    use crate::server::config::parse::parse;
    use crate::server::config::read::{disk::Here, read};

    /// The places of these depend on chance in the reference; here they are the last key's.
    #[test]
    fn an_nkey_stands_alone() {
        let key = "UAAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCLL5";
        for other in ["user: a", "username: a", "pass: a"] {
            let text = format!("authorization {{ users: [ {{\nnkey: {key}\n{other} }} ] }}");
            let root = parse("x.conf", text.as_bytes(), &crate::server::config::load::Disk).root;
            let (_, findings) = read("x.conf", &root, &Here);
            let lines: Vec<String> = findings.iter().map(|finding| finding.line()).collect();
            assert_eq!(lines, ["x.conf:3:1: Nkey users do not take usernames or passwords"]);
        }
    }
}
