//! Options: everything a configuration file or a flag can set, typed, with its unit.
//!
//! One struct a block; the general keys lie flat on [`Options`]. `Options::default()` is a server
//! started without a file: the reference's defaults. A key that the file leaves out keeps its
//! default, so a flag simply writes over what the file said. After file and flags,
//! [`Options::settle`] fills what depends on other keys.

mod accounts;
mod auth;
mod compression;
mod jetstream;
mod links;
mod listeners;
mod tls;

pub use accounts::{
    Account, AccountJetstream, AccountLimits, ClusterTraffic, Export, ExportKind, Import, ImportKind,
    LatencySampling, Mapping, MappingDestination, MessageTrace, ResponseType, ServiceLatency,
};
pub use auth::{
    AuthCallout, Authorization, ConnectionType, DirResolver, Operator, Permissions, Resolver,
    ResponsePermission, SubjectPermission, User, UserIdentity,
};
pub use compression::{Compression, CompressionMode, RTT_THRESHOLDS};
pub use jetstream::{
    CONCURRENT_IO_MAX, Jetstream, JetstreamLimits, JetstreamTpm, REQUEST_QUEUE_LIMIT, StoreCipher,
    SyncInterval,
};
pub use links::{
    Cluster, FIRST_INFO_TIMEOUT, Gateway, LEAF_RECONNECT, LEAFNODE_PORT, LeafProxy, LeafRemote, LeafUser,
    Leafnodes, LinkPermissions, POOL_SIZE, RemoteGateway,
};
pub use listeners::{Mqtt, Websocket};
pub use tls::{
    CertificatePair, CipherSuite, Curve, HandshakeFirst, Ocsp, OcspCache, OcspCacheStore, OcspMode, OcspPeer,
    Tls, TlsVersion,
};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// TCP port of the client listener. Reference: `port`.
pub const PORT: i32 = 4222;
/// The port value that lets the system choose a free port.
pub const PORT_RANDOM: i32 = -1;
/// Address that every listener binds unless told otherwise: all interfaces.
pub const HOST: &str = "0.0.0.0";
/// Bytes of one control line before the peer is refused. Reference: `max_control_line`, 4 KiB.
pub const CONTROL_LINE_BYTES_MAX: i32 = 4096;
/// Bytes of one message, header included. Reference: `max_payload`, 1 MiB.
pub const PAYLOAD_BYTES_MAX: i32 = 1024 * 1024;
/// `max_payload` above which the reference warns at start: 8 MiB.
pub const PAYLOAD_BYTES_HIGH: i32 = 8 * 1024 * 1024;
/// Bytes waiting to be written to one connection before it is a slow consumer. Reference: `max_pending`.
pub const PENDING_BYTES_MAX: i64 = 64 * 1024 * 1024;
/// Client connections at a time. Reference: `max_connections`.
pub const CONNECTIONS_MAX: i64 = 64 * 1024;
/// Closed connections remembered for `/connz`. Reference: `max_closed_clients`.
pub const CLOSED_CLIENTS_MAX: i64 = 10_000;
/// Silence after which a PING is sent. Reference: `ping_interval`.
pub const PING_INTERVAL: Duration = Duration::from_secs(120);
/// Unanswered PINGs before a connection is stale. Reference: `ping_max`.
pub const PING_MAX: i64 = 2;
/// Time for one flush before the connection counts as slow. Reference: `write_deadline`.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Time over which lame duck mode spreads closing clients. Reference: `lame_duck_duration`.
pub const LAME_DUCK_DURATION: Duration = Duration::from_secs(120);
/// Time in lame duck mode before the first client is closed. Reference: `lame_duck_grace_period`.
pub const LAME_DUCK_GRACE_PERIOD: Duration = Duration::from_secs(10);
/// Time to authenticate after connecting, without TLS. With TLS it is its timeout plus a second.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for a TLS handshake. Reference: `tls.timeout`.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(2);
/// Failed first connection attempts of a link between two reports.
pub const CONNECT_ERROR_REPORTS: i64 = 3600;
/// Failed reconnection attempts of a link between two reports.
pub const RECONNECT_ERROR_REPORTS: i64 = 1;
/// The account of users that name none.
pub const GLOBAL_ACCOUNT: &str = "$G";
/// The account for system events unless `system_account` names another.
pub const SYSTEM_ACCOUNT: &str = "$SYS";

/// What a connection that cannot take its bytes in time costs. Reference: `write_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriteTimeout {
    /// Clients are closed, links between servers are retried.
    #[default]
    Default,
    /// The connection is closed.
    Close,
    /// Writing is tried again until `max_pending` or stale detection ends it.
    Retry,
}

/// Where the program was started from and what it was started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The file that these options were read from; `None` when started without `-c`.
    pub config_file: Option<PathBuf>,
    /// `sha256:<hex>` of the file's parsed tree; empty without a file.
    pub config_digest: String,

    /// Address the client listener binds. `host`, `net`, `listen`.
    pub host: String,
    /// Port of the client listener; [`PORT_RANDOM`] lets the system choose. `port`, `listen`.
    pub port: i32,
    /// No client listener at all: for embedders, who connect in process.
    pub dont_listen: bool,
    /// Name shown to clients; unset means the server's id. `server_name`.
    pub server_name: Option<String>,
    /// `host:port` told to clients instead of the bound address. `client_advertise`.
    pub client_advertise: Option<String>,
    /// Connections open with a PROXY protocol preamble. `proxy_protocol`.
    pub proxy_protocol: bool,
    /// Public nkeys of proxies that may vouch for clients; `None` when there is no `proxies` block.
    pub proxies_trusted: Option<Vec<String>>,

    /// Log debug lines. `debug`.
    pub debug: bool,
    /// Log protocol lines. `trace`.
    pub trace: bool,
    /// Trace the system account too; implies `trace`. `trace_verbose`.
    pub trace_verbose: bool,
    /// Trace headers, not payloads; implies `trace`. `trace_headers`.
    pub trace_headers: bool,
    /// Log lines start with the time. `logtime`.
    pub logtime: bool,
    /// That time is UTC instead of local time. `logtime_utc`.
    pub logtime_utc: bool,
    /// Log lines are JSON objects instead of text; natsx's own. `log_format`: `text` or `json`.
    pub log_json: bool,
    /// File to log to instead of standard error. `log_file`, `logfile`.
    pub log_file: Option<PathBuf>,
    /// Bytes of the log file before it is rotated; 0 never. `logfile_size_limit`, `log_size_limit`.
    pub logfile_size_limit: i64,
    /// Log files kept, the current one included; 0 keeps all. `logfile_max_num`, `log_max_num`.
    pub logfile_max_num: i64,
    /// Log to the local syslog. `syslog`.
    pub syslog: bool,
    /// Log to the syslog at this URL, `udp://host:port`; implies `syslog`. `remote_syslog`.
    pub remote_syslog: Option<String>,
    /// Bytes of a traced message that are printed; 0 prints all. `max_traced_msg_len`.
    pub max_traced_msg_len: i64,
    /// File to write the process id to. `pid_file`.
    pub pid_file: Option<PathBuf>,
    /// Directory for a JSON file with the bound ports. `ports_file_dir`.
    pub ports_file_dir: Option<PathBuf>,

    /// Port that serves profiles over HTTP; 0 is none, [`PORT_RANDOM`] any. `prof_port`.
    pub prof_port: i32,
    /// Block profile rate; 0 is off. Of no effect in natsx. `prof_block_rate`.
    pub prof_block_rate: i64,
    /// Address the monitoring listener binds; unset means [`Options::host`]. From `http`, `https`.
    pub http_host: Option<String>,
    /// Port of the monitoring listener; 0 is none, [`PORT_RANDOM`] any. `http_port`, `http`.
    pub http_port: i32,
    /// Port of the monitoring listener with TLS; 0 is none. `https_port`, `https`.
    pub https_port: i32,
    /// Path under which the monitoring pages lie; unset means `/`. `http_base_path`.
    pub http_base_path: Option<String>,

    /// Bytes of one control line. `max_control_line`.
    pub max_control_line: i32,
    /// Bytes of one message, header included. `max_payload`.
    pub max_payload: i32,
    /// Bytes that may wait to be written to one connection. `max_pending`.
    pub max_pending: i64,
    /// Client connections at a time; negative refuses all. `max_connections`.
    pub max_connections: i64,
    /// Subscriptions of one connection; 0 and below is no limit. `max_subscriptions`.
    pub max_subscriptions: i64,
    /// Tokens of a subscribed subject; 0 is no limit. `max_sub_tokens`.
    pub max_sub_tokens: u8,
    /// Closed connections remembered for `/connz`. `max_closed_clients`.
    pub max_closed_clients: i64,
    /// Match without a cache of results. `no_sublist_cache`.
    pub no_sublist_cache: bool,
    /// Message headers are off. `no_header_support`.
    pub no_header_support: bool,
    /// Fast producers are not slowed down for slow consumers. `no_fast_producer_stall`.
    pub no_fast_producer_stall: bool,
    /// Silence after which a PING is sent. `ping_interval`.
    pub ping_interval: Duration,
    /// Unanswered PINGs before a connection is stale. `ping_max`.
    pub ping_max: i64,
    /// Time for one flush. `write_deadline`.
    pub write_deadline: Duration,
    /// What a missed write deadline costs. `write_timeout`.
    pub write_timeout: WriteTimeout,
    /// Time over which lame duck mode spreads closing clients. `lame_duck_duration`.
    pub lame_duck_duration: Duration,
    /// Time in lame duck mode before the first client is closed. `lame_duck_grace_period`.
    pub lame_duck_grace_period: Duration,
    /// Failed first connection attempts of a link between two reports. `connect_error_reports`.
    pub connect_error_reports: i64,
    /// Failed reconnection attempts of a link between two reports. `reconnect_error_reports`.
    pub reconnect_error_reports: i64,

    /// Tags for placement and requests: trimmed, lower case, without duplicates. `server_tags`.
    pub server_tags: Vec<String>,
    /// Free notes shown in varz and statsz. `server_metadata`.
    pub server_metadata: BTreeMap<String, String>,
    /// Features asked for or refused by name. `feature_flags`.
    pub feature_flags: BTreeMap<String, bool>,

    /// TLS of the client listener (and of `https`). `tls`.
    pub tls: Option<Tls>,
    /// With TLS: clients may stay without. `allow_non_tls`.
    pub allow_non_tls: bool,
    /// Renewed certificate files are taken without a signal. `watch_certificates`, natsx only.
    pub watch_certificates: bool,
    /// OCSP stapling; unset means only where the certificate demands it. `ocsp`.
    pub ocsp: Option<Ocsp>,
    /// Cache for OCSP answers about peers; unset means the default cache where it is used. `ocsp_cache`.
    pub ocsp_cache: Option<OcspCache>,

    /// Who may connect, when no accounts are configured. `authorization`.
    pub authorization: Authorization,
    /// Users of the authorization block and of all accounts, in the file's order.
    pub users: Vec<User>,
    /// The user that clients without credentials become. `no_auth_user`.
    pub no_auth_user: Option<String>,
    /// The user JWT for clients without credentials in operator mode. `default_sentinel`.
    pub default_sentinel: Option<String>,
    /// Accounts by the file; not those of a resolver. `accounts`.
    pub accounts: Vec<Account>,
    /// Name of the account for system events. `system_account`.
    pub system_account: Option<String>,
    /// There is no account for system events. `no_system_account`.
    pub no_system_account: bool,
    /// Subject mappings of the global account. `mappings`.
    pub mappings: Vec<Mapping>,

    /// Operators, files already read. `operator`.
    pub operators: Vec<Operator>,
    /// Public operator keys trusted without a JWT. `trusted_keys`.
    pub trusted_keys: Vec<String>,
    /// Where account claims are kept. `resolver`.
    pub resolver: Option<Resolver>,
    /// TLS towards a URL resolver. `resolver_tls`.
    pub resolver_tls: Option<Tls>,
    /// Account claims put into the resolver at start: public key to JWT. `resolver_preload`.
    pub resolver_preload: BTreeMap<String, String>,
    /// Accounts that are served from here only. `resolver_pinned_accounts`.
    pub resolver_pinned_accounts: Vec<String>,

    /// Routes to servers of the same cluster. `cluster`.
    pub cluster: Cluster,
    /// Links to other clusters. `gateway`.
    pub gateway: Gateway,
    /// Leaf links, both sides. `leafnodes`, `leaf`.
    pub leafnodes: Leafnodes,
    /// Clients over WebSocket. `websocket`, `ws`.
    pub websocket: Websocket,
    /// Clients over MQTT. `mqtt`.
    pub mqtt: Mqtt,
    /// Streams and consumers. `jetstream`.
    pub jetstream: Jetstream,
    /// Directory under which JetStream keeps its data. `store_dir`, here or in `jetstream`.
    pub store_dir: Option<PathBuf>,
    /// JetStream domain that an account's clients mean when they name none. `default_js_domain`.
    pub default_js_domain: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config_file: None,
            config_digest: String::new(),
            host: HOST.into(),
            port: PORT,
            dont_listen: false,
            server_name: None,
            client_advertise: None,
            proxy_protocol: false,
            proxies_trusted: None,
            debug: false,
            trace: false,
            trace_verbose: false,
            trace_headers: false,
            logtime: true,
            logtime_utc: false,
            log_json: false,
            log_file: None,
            logfile_size_limit: 0,
            logfile_max_num: 0,
            syslog: false,
            remote_syslog: None,
            max_traced_msg_len: 0,
            pid_file: None,
            ports_file_dir: None,
            prof_port: 0,
            prof_block_rate: 0,
            http_host: None,
            http_port: 0,
            https_port: 0,
            http_base_path: None,
            max_control_line: CONTROL_LINE_BYTES_MAX,
            max_payload: PAYLOAD_BYTES_MAX,
            max_pending: PENDING_BYTES_MAX,
            max_connections: CONNECTIONS_MAX,
            max_subscriptions: 0,
            max_sub_tokens: 0,
            max_closed_clients: CLOSED_CLIENTS_MAX,
            no_sublist_cache: false,
            no_header_support: false,
            no_fast_producer_stall: false,
            ping_interval: PING_INTERVAL,
            ping_max: PING_MAX,
            write_deadline: WRITE_DEADLINE,
            write_timeout: WriteTimeout::Default,
            lame_duck_duration: LAME_DUCK_DURATION,
            lame_duck_grace_period: LAME_DUCK_GRACE_PERIOD,
            connect_error_reports: CONNECT_ERROR_REPORTS,
            reconnect_error_reports: RECONNECT_ERROR_REPORTS,
            server_tags: Vec::new(),
            server_metadata: BTreeMap::new(),
            feature_flags: BTreeMap::new(),
            tls: None,
            allow_non_tls: false,
            watch_certificates: true,
            ocsp: None,
            ocsp_cache: None,
            authorization: Authorization::default(),
            users: Vec::new(),
            no_auth_user: None,
            default_sentinel: None,
            accounts: Vec::new(),
            system_account: None,
            no_system_account: false,
            mappings: Vec::new(),
            operators: Vec::new(),
            trusted_keys: Vec::new(),
            resolver: None,
            resolver_tls: None,
            resolver_preload: BTreeMap::new(),
            resolver_pinned_accounts: Vec::new(),
            cluster: Cluster::default(),
            gateway: Gateway::default(),
            leafnodes: Leafnodes::default(),
            websocket: Websocket::default(),
            mqtt: Mqtt::default(),
            jetstream: Jetstream::default(),
            store_dir: None,
            default_js_domain: BTreeMap::new(),
        }
    }
}

impl Options {
    /// Fills what was set to zero or depends on other keys. Called once, after file and flags.
    ///
    /// The reference treats zero like "not given" for the fields named here. A zero that a file gives its
    /// own meaning has become another number when the file was read: `max_connections: 0` is -1, which
    /// lets nobody in.
    pub fn settle(&mut self) {
        if self.host.is_empty() {
            self.host = HOST.into();
        }
        default_if_zero(&mut self.port, PORT);
        default_if_zero(&mut self.max_connections, CONNECTIONS_MAX);
        default_if_zero(&mut self.ping_interval, PING_INTERVAL);
        default_if_zero(&mut self.ping_max, PING_MAX);
        default_if_zero(&mut self.max_control_line, CONTROL_LINE_BYTES_MAX);
        default_if_zero(&mut self.max_payload, PAYLOAD_BYTES_MAX);
        default_if_zero(&mut self.max_pending, PENDING_BYTES_MAX);
        default_if_zero(&mut self.write_deadline, WRITE_DEADLINE);
        default_if_zero(&mut self.max_closed_clients, CLOSED_CLIENTS_MAX);
        default_if_zero(&mut self.lame_duck_duration, LAME_DUCK_DURATION);
        default_if_zero(&mut self.lame_duck_grace_period, LAME_DUCK_GRACE_PERIOD);
        default_if_zero(&mut self.connect_error_reports, CONNECT_ERROR_REPORTS);
        default_if_zero(&mut self.reconnect_error_reports, RECONNECT_ERROR_REPORTS);
        let system = self.system_account_name().map(str::to_owned);
        // Where only the gateway has a name, the cluster has the same.
        if self.cluster.name.is_none() {
            self.cluster.name.clone_from(&self.gateway.name);
        }
        self.cluster.settle(system.as_deref());
        self.leafnodes.settle();
        self.jetstream.settle();
    }

    /// The account for system events; `None` when there is none.
    pub fn system_account_name(&self) -> Option<&str> {
        match &self.system_account {
            Some(name) => Some(name),
            None if self.no_system_account => None,
            None => Some(SYSTEM_ACCOUNT),
        }
    }

    /// The account for system events that the file names, if only by listing `$SYS` among its accounts.
    pub fn configured_system_account(&self) -> Option<&str> {
        let listed = || self.accounts.iter().any(|account| account.name == SYSTEM_ACCOUNT);
        self.system_account.as_deref().or_else(|| listed().then_some(SYSTEM_ACCOUNT))
    }

    /// Time a client has to authenticate: `authorization.timeout`, else the default for its transport.
    pub fn auth_timeout(&self) -> Duration {
        auth_timeout(self.authorization.timeout, self.tls.as_ref())
    }

    /// Address of the monitoring listener.
    pub fn monitor_host(&self) -> &str {
        self.http_host.as_deref().unwrap_or(&self.host)
    }
}

/// A configured authentication time, else two seconds, or with TLS its timeout and a second.
pub(crate) fn auth_timeout(configured: Option<Duration>, tls: Option<&Tls>) -> Duration {
    match (configured, tls) {
        (Some(timeout), _) if !timeout.is_zero() => timeout,
        (_, Some(tls)) => tls.timeout.saturating_add(Duration::from_secs(1)),
        (_, None) => AUTH_TIMEOUT,
    }
}

/// Replaces a zero, which the reference reads as "not given".
pub(crate) fn default_if_zero<T: PartialEq + Default>(value: &mut T, default: T) {
    if *value == T::default() {
        *value = default;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_to_authenticate_is_two_seconds_or_that_of_tls_and_one_more() {
        let seconds = Duration::from_secs;
        let tls = Tls { timeout: seconds(5), ..Tls::default() };
        for (configured, tls, want) in [
            (None, None, 2),
            (Some(Duration::ZERO), None, 2),
            (Some(seconds(7)), None, 7),
            (None, Some(&tls), 6),
            (Some(seconds(7)), Some(&tls), 7),
        ] {
            assert_eq!(auth_timeout(configured, tls), seconds(want));
        }
    }
}
