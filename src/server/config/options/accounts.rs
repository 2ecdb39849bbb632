//! Options of accounts: what they offer, take, map and may use.

use std::time::Duration;

use super::auth::Permissions;

/// One entry of `accounts`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    /// Its name, unique among accounts.
    pub name: String,
    /// Public account nkey. `nkey`.
    pub nkey: Option<String>,
    /// Limits on connections and messages. `limits`.
    pub limits: AccountLimits,
    /// JetStream for this account; `None` is off. `jetstream`.
    pub jetstream: Option<AccountJetstream>,
    /// Where JetStream's cluster traffic for it is sent. `jetstream.cluster_traffic`.
    pub cluster_traffic: ClusterTraffic,
    /// What it offers to others. `exports`.
    pub exports: Vec<Export>,
    /// What it takes from others. `imports`.
    pub imports: Vec<Import>,
    /// Subject mappings. `mappings`.
    pub mappings: Vec<Mapping>,
    /// Permissions of its users that have none of their own. `default_permissions`.
    pub default_permissions: Option<Permissions>,
    /// Where traces of W3C-tagged messages go. `msg_trace`.
    pub msg_trace: Option<MessageTrace>,
}

/// `accounts.*.limits`; `None` or negative is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountLimits {
    /// Client connections. `max_connections`.
    pub max_connections: Option<i32>,
    /// Subscriptions of one connection. `max_subscriptions`.
    pub max_subscriptions: Option<i32>,
    /// Bytes of one message. `max_payload`.
    pub max_payload: Option<i32>,
    /// Leaf node connections. `max_leafnodes`.
    pub max_leafnodes: Option<i32>,
}

/// `accounts.*.jetstream`; -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountJetstream {
    /// Bytes in memory. `max_memory`.
    pub max_memory: i64,
    /// Bytes on disk. `max_store`.
    pub max_store: i64,
    /// Streams. `max_streams`.
    pub max_streams: i64,
    /// Consumers. `max_consumers`.
    pub max_consumers: i64,
    /// Unacknowledged messages of one consumer. `max_ack_pending`.
    pub max_ack_pending: i64,
    /// Bytes of one memory stream. `memory_max_stream_bytes`.
    pub memory_max_stream_bytes: i64,
    /// Bytes of one file stream. `store_max_stream_bytes`.
    pub store_max_stream_bytes: i64,
    /// Streams must state their `max_bytes`. `max_bytes_required`.
    pub max_bytes_required: bool,
}

impl Default for AccountJetstream {
    /// No limits.
    fn default() -> Self {
        Self {
            max_memory: -1,
            max_store: -1,
            max_streams: -1,
            max_consumers: -1,
            max_ack_pending: -1,
            memory_max_stream_bytes: -1,
            store_max_stream_bytes: -1,
            max_bytes_required: false,
        }
    }
}

/// The account that JetStream's cluster traffic of an account runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClusterTraffic {
    /// The system account.
    #[default]
    System,
    /// The account itself.
    Owner,
}

/// One entry of `exports`.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The subject offered, wildcards allowed.
    pub subject: String,
    /// Accounts that may import it; `None` is everyone. `accounts`.
    pub accounts: Option<Vec<String>>,
    /// Position of the token that must be the importer's key, from 1; 0 is none. `account_token_position`.
    pub account_token_position: u32,
    /// Stream or service.
    pub kind: ExportKind,
}

/// What an export is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportKind {
    /// Messages flow to importers. `stream`.
    Stream,
    /// Importers send requests. `service`.
    Service {
        /// How many answers a request gets. `response_type`.
        response_type: ResponseType,
        /// Time to wait for an answer; `None` is the default of two minutes. `threshold`.
        threshold: Option<Duration>,
        /// Latency samples. `latency`.
        latency: Option<ServiceLatency>,
        /// Traces cross this export. `allow_trace`.
        allow_trace: bool,
    },
}

/// `response_type` of a service export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseType {
    /// One answer. `single`, `singleton`.
    #[default]
    Singleton,
    /// Answers until an empty one. `stream`.
    Stream,
    /// One answer in pieces. `chunk`, `chunked`.
    Chunked,
}

/// `latency` of a service export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLatency {
    /// Subject the samples are published to.
    pub subject: String,
    /// Which requests are sampled. `sampling`.
    pub sampling: LatencySampling,
}

/// Which requests are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencySampling {
    /// This many of a hundred, 1 to 100.
    Percent(u8),
    /// Those whose headers ask for it.
    Headers,
}

/// One entry of `imports`.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The exporting account.
    pub account: String,
    /// The exporter's subject.
    pub subject: String,
    /// Stream or service.
    pub kind: ImportKind,
}

/// What an import is.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportKind {
    /// A stream of the exporter.
    Stream {
        /// Prefix put before the subject. `prefix`.
        prefix: Option<String>,
        /// Subject it is seen under. `to`.
        to: Option<String>,
        /// Traces cross this import. `allow_trace`.
        allow_trace: bool,
    },
    /// A service of the exporter.
    Service {
        /// Subject that requests are sent to here; unset means the exporter's. `to`.
        to: Option<String>,
        /// The exporter learns who asks. `share`.
        share: bool,
    },
}

/// One source subject of `mappings` with where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The subject that is mapped, wildcards allowed.
    pub source: String,
    /// Where its messages go, by weight.
    pub destinations: Vec<MappingDestination>,
}

/// One destination of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingDestination {
    /// The subject, with `$1` and mapping functions.
    pub subject: String,
    /// Its share of a hundred.
    pub weight: u8,
    /// Only for messages that arise in this cluster. `cluster`.
    pub cluster: Option<String>,
}

/// `msg_trace` of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTrace {
    /// Subject the traces are published to. `dest`.
    pub dest: String,
    /// How many of a hundred are traced, 1 to 100. `sampling`.
    pub sampling: u8,
}
