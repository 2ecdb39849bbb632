//! Options of links between servers: routes, gateways, leaf nodes.

use std::path::PathBuf;
use std::time::Duration;

use super::Compression;
use super::auth::{Permissions, SubjectPermission};
use super::tls::Tls;
use super::{HOST, WriteTimeout, default_if_zero};
use crate::server::base::url::Url;

/// Port of leaf node connections where a remote's URL names none.
pub const LEAFNODE_PORT: u16 = 7422;
/// Connections of one route pool. Reference: `pool_size`.
pub const POOL_SIZE: i64 = 3;
/// Time between two attempts to reach a leaf node remote. Reference: `reconnect`.
pub const LEAF_RECONNECT: Duration = Duration::from_secs(1);
/// Time to wait for the first INFO of a leaf node remote. Reference: `first_info_timeout`.
pub const FIRST_INFO_TIMEOUT: Duration = Duration::from_secs(1);

/// The `cluster` block and `routes`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    /// Name of the cluster; unset means a generated one. `name`.
    pub name: Option<String>,
    /// Address the route listener binds. `host`, `listen`.
    pub host: Option<String>,
    /// Port of the route listener; 0 is none, -1 any. `port`, `listen`.
    pub port: i32,
    /// User that routes must present. `authorization.user`.
    pub username: Option<String>,
    /// Its password. `authorization.password`.
    pub password: Option<String>,
    /// Time to authenticate; unset means the default. `authorization.timeout`.
    pub auth_timeout: Option<Duration>,
    /// What crosses routes. `permissions`.
    pub permissions: Option<LinkPermissions>,
    /// Servers to connect to. `routes`.
    pub routes: Vec<Url>,
    /// TLS of routes, both ways. `tls`.
    pub tls: Option<Tls>,
    /// `host:port` told to other servers. `advertise`.
    pub advertise: Option<String>,
    /// Clients are not told about the other servers. `no_advertise`.
    pub no_advertise: bool,
    /// Attempts to reach a learned route; 0 is one. `connect_retries`.
    pub connect_retries: i64,
    /// Attempts get rarer. `connect_backoff`.
    pub connect_backoff: bool,
    /// Connections to each server; negative is one, without a pool. `pool_size`.
    pub pool_size: i64,
    /// Accounts with a connection of their own. `accounts`.
    pub accounts: Vec<String>,
    /// Compression of routes; unset means `accept`. `compression`.
    pub compression: Option<Compression>,
    /// Silence after which a PING is sent; unset means the general one. `ping_interval`.
    pub ping_interval: Option<Duration>,
    /// Unanswered PINGs; unset means the general figure. `ping_max`.
    pub ping_max: Option<i64>,
    /// Time for one flush; unset means the general one. `write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What a missed write deadline costs. `write_timeout`.
    pub write_timeout: WriteTimeout,
}

impl Cluster {
    /// See [`super::Options::settle`]; the system account always has a connection of its own.
    pub(super) fn settle(&mut self, system_account: Option<&str>) {
        if self.port == 0 {
            return;
        }
        self.host.get_or_insert_with(|| HOST.into());
        default_if_zero(&mut self.pool_size, POOL_SIZE);
        if self.pool_size > 0
            && let Some(system) = system_account
            && !self.accounts.iter().any(|name| name == system)
        {
            self.accounts.push(system.to_owned());
        }
        self.compression.get_or_insert_with(|| Compression::mode("accept"));
    }
}

/// `cluster.permissions`: what is taken from and told to other servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkPermissions {
    /// What routes may send here. `import`.
    pub import: Option<SubjectPermission>,
    /// What this server sends over routes. `export`.
    pub export: Option<SubjectPermission>,
}

/// The `gateway` block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gateway {
    /// The block was there, even if empty.
    pub defined: bool,
    /// Name of this cluster among gateways. `name`.
    pub name: Option<String>,
    /// Address the gateway listener binds. `host`, `listen`.
    pub host: Option<String>,
    /// Port of the gateway listener; 0 is none, -1 any. `port`, `listen`.
    pub port: i32,
    /// User that gateways must present. `authorization.user`.
    pub username: Option<String>,
    /// Its password. `authorization.password`.
    pub password: Option<String>,
    /// Time to authenticate; unset means the default. `authorization.timeout`.
    pub auth_timeout: Option<Duration>,
    /// TLS of gateways, both ways. `tls`.
    pub tls: Option<Tls>,
    /// `host:port` told to other clusters. `advertise`.
    pub advertise: Option<String>,
    /// Attempts to reach a learned gateway; 0 is one. `connect_retries`.
    pub connect_retries: i64,
    /// Attempts get rarer. `connect_backoff`.
    pub connect_backoff: bool,
    /// Clusters that are not listed are refused. `reject_unknown_cluster`.
    pub reject_unknown_cluster: bool,
    /// Clusters to connect to. `gateways`.
    pub gateways: Vec<RemoteGateway>,
    /// Time for one flush; unset means the general one. `write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What a missed write deadline costs. `write_timeout`.
    pub write_timeout: WriteTimeout,
}

/// One entry of `gateway.gateways`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemoteGateway {
    /// Name of the cluster. `name`.
    pub name: String,
    /// Its servers. `url`, `urls`.
    pub urls: Vec<Url>,
    /// TLS towards it; unset means that of the block. `tls`.
    pub tls: Option<Tls>,
}

/// The `leafnodes` block.
#[derive(Debug, Clone, PartialEq)]
pub struct Leafnodes {
    /// Address the leaf node listener binds. `host`, `listen`.
    pub host: Option<String>,
    /// Port of the leaf node listener; 0 is none, -1 any. `port`, `listen`.
    pub port: i32,
    /// The single user that leaf nodes present. `authorization.user`.
    pub username: Option<String>,
    /// Its password. `authorization.password`.
    pub password: Option<String>,
    /// Public nkey that leaf nodes present. `authorization.nkey`.
    pub nkey: Option<String>,
    /// Account the single user or nkey is bound to. `authorization.account`.
    pub account: Option<String>,
    /// Several users, each with an account. `authorization.users`.
    pub users: Vec<LeafUser>,
    /// Time to authenticate; unset means the default. `authorization.timeout`.
    pub auth_timeout: Option<Duration>,
    /// Leaf nodes must come through a trusted proxy. `authorization.proxy_required`.
    pub proxy_required: bool,
    /// TLS of accepted leaf nodes. `tls`.
    pub tls: Option<Tls>,
    /// `host:port` told to leaf nodes. `advertise`.
    pub advertise: Option<String>,
    /// Leaf nodes are not told about other servers. `no_advertise`.
    pub no_advertise: bool,
    /// Time between two attempts to reach a remote. `reconnect`.
    pub reconnect: Duration,
    /// Time to reach a remote; unset means a second. `dial_timeout`.
    pub dial_timeout: Option<Duration>,
    /// Oldest version of a server accepted as a leaf node. `min_version`.
    pub min_version: Option<String>,
    /// Leaf nodes do not see each other's interest. `isolate_leafnode_interest`.
    pub isolate_leafnode_interest: bool,
    /// Compression of accepted leaf nodes; unset means `s2_auto`. `compression`.
    pub compression: Option<Compression>,
    /// Servers to connect to as a leaf node. `remotes`.
    pub remotes: Vec<LeafRemote>,
    /// Time for one flush; unset means the general one. `write_deadline`.
    pub write_deadline: Option<Duration>,
    /// What a missed write deadline costs. `write_timeout`.
    pub write_timeout: WriteTimeout,
}

impl Default for Leafnodes {
    fn default() -> Self {
        Self {
            host: None,
            port: 0,
            username: None,
            password: None,
            nkey: None,
            account: None,
            users: Vec::new(),
            auth_timeout: None,
            proxy_required: false,
            tls: None,
            advertise: None,
            no_advertise: false,
            reconnect: LEAF_RECONNECT,
            dial_timeout: None,
            min_version: None,
            isolate_leafnode_interest: false,
            compression: None,
            remotes: Vec::new(),
            write_deadline: None,
            write_timeout: WriteTimeout::Default,
        }
    }
}

impl Leafnodes {
    /// See [`super::Options::settle`].
    pub(super) fn settle(&mut self) {
        default_if_zero(&mut self.reconnect, LEAF_RECONNECT);
        if self.port != 0 {
            self.host.get_or_insert_with(|| HOST.into());
            self.compression.get_or_insert_with(|| Compression::mode("s2_auto"));
        }
        for remote in &mut self.remotes {
            for url in &mut remote.urls {
                url.set_default_port(LEAFNODE_PORT);
            }
            default_if_zero(&mut remote.first_info_timeout, FIRST_INFO_TIMEOUT);
            remote.compression.get_or_insert_with(|| Compression::mode("s2_auto"));
        }
    }
}

/// One entry of `leafnodes.authorization.users`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeafUser {
    /// `user`, `username`.
    pub username: String,
    /// `pass`, `password`.
    pub password: String,
    /// Account it is bound to; unset means the global one. `account`.
    pub account: Option<String>,
    /// It must come through a trusted proxy. `proxy_required`.
    pub proxy_required: bool,
    /// What it may do; `None` is everything.
    pub permissions: Option<Permissions>,
}

/// One entry of `leafnodes.remotes`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeafRemote {
    /// Servers, tried in turn. `url`, `urls`.
    pub urls: Vec<Url>,
    /// Account here; unset means the global one. `account`.
    pub account: Option<String>,
    /// File with user JWT and seed. `credentials`.
    pub credentials: Option<PathBuf>,
    /// Seed of a user nkey. `nkey`.
    pub nkey: Option<String>,
    /// TLS towards it. `tls`.
    pub tls: Option<Tls>,
    /// This side is the hub. `hub`.
    pub hub: bool,
    /// Subjects not taken from it. `deny_imports`.
    pub deny_imports: Vec<String>,
    /// Subjects not sent to it. `deny_exports`.
    pub deny_exports: Vec<String>,
    /// URLs are tried in the file's order. `no_randomize`.
    pub no_randomize: bool,
    /// WebSocket frames are compressed. `ws_compression`.
    pub ws_compression: bool,
    /// WebSocket frames are not masked. `ws_no_masking`.
    pub ws_no_masking: bool,
    /// Leaders move away while the link is down. `jetstream_cluster_migrate`.
    pub jetstream_cluster_migrate: bool,
    /// Time before they do. `jetstream_cluster_migrate.leader_migrate_delay`.
    pub leader_migrate_delay: Duration,
    /// Interest of other leaf nodes here is kept from it. `isolate_leafnode_interest`.
    pub isolate_leafnode_interest: bool,
    /// It is asked to keep interest of its other leaf nodes from us. `request_isolation`.
    pub request_isolation: bool,
    /// Compression; unset means `s2_auto`. `compression`.
    pub compression: Option<Compression>,
    /// Time to wait for its first INFO. `first_info_timeout`.
    pub first_info_timeout: Duration,
    /// Time to reach it; unset means that of the block. `dial_timeout`.
    pub dial_timeout: Option<Duration>,
    /// It is not connected to. `disabled`.
    pub disabled: bool,
    /// Servers that it tells about are not used. `ignore_discovered_servers`.
    pub ignore_discovered_servers: bool,
    /// HTTP proxy for WebSocket URLs. `proxy`.
    pub proxy: Option<LeafProxy>,
}

/// `proxy` of a leaf node remote.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeafProxy {
    /// Address, `http` or `https`. `url`.
    pub url: String,
    /// User at the proxy. `username`.
    pub username: Option<String>,
    /// Its password. `password`.
    pub password: Option<String>,
    /// Time to get through; zero means the dial timeout. `timeout`.
    pub timeout: Duration,
    /// TLS towards an `https` proxy. `tls`.
    pub tls: Option<Tls>,
}
