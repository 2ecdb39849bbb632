//! Options about who may connect and do what.

#[cfg(not(test))]
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The top level `authorization` block (also those of links, as far as they allow it).
#[derive(Clone, PartialEq, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct Authorization {
    /// A block was there, even if empty.
    pub defined: bool,
    /// The single user. `user`, `username`.
    pub username: Option<String>,
    /// Its password, plain or bcrypt. `pass`, `password`.
    pub password: Option<String>,
    /// The token, plain or bcrypt. `token`.
    pub token: Option<String>,
    /// Time to authenticate; unset or zero means the default. `timeout`.
    pub timeout: Option<Duration>,
    /// Permissions of users that have none of their own. `default_permissions`.
    pub default_permissions: Option<Permissions>,
    /// Authorization is asked from a service. `auth_callout`.
    pub auth_callout: Option<AuthCallout>,
    /// The single user or token may come through a trusted proxy only. `proxy_required`.
    pub proxy_required: bool,
}

/// One user of `authorization.users` or `accounts.*.users`.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Name and password, or nkey.
    pub identity: UserIdentity,
    /// What it may do; `None` is everything.
    pub permissions: Option<Permissions>,
    /// Its account; `None` is the global one.
    pub account: Option<String>,
    /// Kinds of connection it may use; empty is all. `allowed_connection_types`.
    pub allowed_connection_types: Vec<ConnectionType>,
    /// It must come through a trusted proxy. `proxy_required`.
    pub proxy_required: bool,
}

/// How a user proves who it is.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum UserIdentity {
    /// By name and password; the password is plain or bcrypt, and may be empty.
    Password {
        /// `user`, `username`.
        username: String,
        /// `pass`, `password`.
        password: String,
    },
    /// By the nkey whose public key this is. `nkey`.
    Nkey(String),
}

/// Without password and token. (Tests of the reader compare every field by its debug output.)
#[cfg(not(test))]
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { defined, username, timeout, default_permissions, auth_callout, proxy_required, .. } = self;
        f.debug_struct("Authorization")
            .field("defined", defined)
            .field("username", username)
            .field("timeout", timeout)
            .field("default_permissions", default_permissions)
            .field("auth_callout", auth_callout)
            .field("proxy_required", proxy_required)
            .finish_non_exhaustive()
    }
}

/// Without the password.
#[cfg(not(test))]
impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => {
                f.debug_struct("Password").field("username", username).finish_non_exhaustive()
            }
            Self::Nkey(key) => f.debug_tuple("Nkey").field(key).finish(),
        }
    }
}

impl UserIdentity {
    /// The user's name or its public key.
    pub fn name(&self) -> &str {
        match self {
            Self::Password { username, .. } => username,
            Self::Nkey(key) => key,
        }
    }
}

/// A kind of connection that a user may be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionType {
    /// `STANDARD`.
    Standard,
    /// `WEBSOCKET`.
    Websocket,
    /// `LEAFNODE`.
    Leafnode,
    /// `LEAFNODE_WS`.
    LeafnodeWs,
    /// `MQTT`.
    Mqtt,
    /// `MQTT_WS`.
    MqttWs,
    /// `IN_PROCESS`.
    InProcess,
}

impl ConnectionType {
    /// The type with this name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "STANDARD" => Self::Standard,
            "WEBSOCKET" => Self::Websocket,
            "LEAFNODE" => Self::Leafnode,
            "LEAFNODE_WS" => Self::LeafnodeWs,
            "MQTT" => Self::Mqtt,
            "MQTT_WS" => Self::MqttWs,
            "IN_PROCESS" => Self::InProcess,
            _ => return None,
        })
    }
}

/// Publish and subscribe rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// What may be published; `None` is everything.
    pub publish: Option<SubjectPermission>,
    /// What may be subscribed; `None` is everything.
    pub subscribe: Option<SubjectPermission>,
    /// Answers to received requests may be published.
    pub allow_responses: Option<ResponsePermission>,
}

/// Allowed and denied subjects. Entries of subscribe rules may be `subject queue`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubjectPermission {
    /// Subjects allowed; `None` is all, empty is none.
    pub allow: Option<Vec<String>>,
    /// Subjects denied, also where allowed.
    pub deny: Vec<String>,
}

/// `allow_responses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponsePermission {
    /// Answers to one request; negative is no limit. `max`.
    pub max_messages: i64,
    /// Time to answer; `None` is no limit. `expires`.
    pub expires: Option<Duration>,
}

impl Default for ResponsePermission {
    /// One answer within two minutes.
    fn default() -> Self {
        Self { max_messages: 1, expires: Some(Duration::from_secs(120)) }
    }
}

/// `authorization.auth_callout`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthCallout {
    /// Public account nkey that signs the answers. `issuer`.
    pub issuer: String,
    /// Account of the service. `account`; default `$G`.
    pub account: String,
    /// Users that are not asked about: the service itself. `auth_users`.
    pub auth_users: Vec<String>,
    /// Public curve key of the service: requests are encrypted for it. `xkey`.
    pub xkey: Option<String>,
    /// Accounts that are asked about; empty is all. `allowed_accounts`.
    pub allowed_accounts: Vec<String>,
}

/// Where account claims are kept. `resolver`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolver {
    /// In memory, filled by `resolver_preload`. `MEM`, `MEMORY`.
    Mem,
    /// Fetched from here. `URL("…")`.
    Url(String),
    /// A directory with all accounts. `FULL`.
    Full(DirResolver),
    /// A directory with those in use. `CACHE`.
    Cache(DirResolver),
}

/// A resolver's directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirResolver {
    /// The directory. `dir`.
    pub dir: PathBuf,
    /// Claims kept; 0 is no limit. `limit`.
    pub limit: i64,
    /// FULL: time between two syncs; `None` is the default of a minute. `interval`.
    pub interval: Option<Duration>,
    /// CACHE: time without use after which claims are dropped; `None`: when they expire. `ttl`.
    pub ttl: Option<Duration>,
    /// FULL: claims may be deleted. `allow_delete`.
    pub allow_delete: bool,
    /// FULL: deleted for good instead of renamed. `hard_delete`.
    pub hard_delete: bool,
    /// Time to wait for a fetch; `None` is the default. `timeout`.
    pub timeout: Option<Duration>,
}

/// An operator that account claims are trusted of: its token and what configuration needs to know
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operator {
    /// The token, already read from its file.
    pub token: String,
    /// Its public key.
    pub key: String,
    /// Public keys that sign for it.
    pub signing_keys: Vec<String>,
    /// Only those sign, not its own.
    pub strict_signing_key_usage: bool,
    /// Public key of the system account; may be empty.
    pub system_account: String,
    /// Where account claims can be fetched; may be empty.
    pub account_server_url: String,
    /// Oldest version of a server that it allows; may be empty.
    pub assert_server_version: String,
}
