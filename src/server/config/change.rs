//! What a reload changes: old and new options in, a list of changes or one refusal out.
//!
//! Nothing is applied here. `run` walks the list, logs each change's lines and does what it says;
//! the rest of the new options is in force as soon as they are the current ones. A change that no
//! running server can take refuses the whole reload, so nothing of it happens.
//!
//! The order of changes, the first refusal and all texts are the reference's: it compares its
//! options one by one in a fixed order. They were compared with its log over some 400 reloads.

mod general;
mod jetstream;
mod leafnodes;
mod links;
mod listeners;
mod shown;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod change_test;
#[cfg(test)]
mod blocks_test;

use std::path::PathBuf;
use std::time::Duration;

pub use leafnodes::{LeafnodesChange, RemoteChange};
pub use links::ClusterChange;
pub use listeners::MqttChange;

use super::options::{Options, PORT_RANDOM};
use crate::server::base::size::size_text;
use crate::server::base::url::Url;
use shown::{Seconds, Shown, quoted_list};

/// What is running, as far as the options do not say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Running {
    /// JetStream is up.
    pub jetstream: bool,
    /// The ports that listeners got; 0 where there is none.
    pub ports: Ports,
    /// A file that a `tls` block names (certificate, key, roots) has another content than when it
    /// was last read.
    pub tls_files_changed: bool,
    /// A client began a handshake since the `tls` block was last taken: for the reference the block has
    /// changed, because its library keeps what it needs for that in it.
    pub tls_used: bool,
    /// The user that was made up for those who give no name.
    pub made_up_user: Option<String>,
}

/// Bound ports. A file that asks for any port (-1) keeps them over a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports {
    /// The client listener's.
    pub client: i32,
    /// The route listener's.
    pub cluster: i32,
    /// The gateway listener's.
    pub gateway: i32,
    /// The leaf node listener's.
    pub leafnodes: i32,
    /// The WebSocket listener's.
    pub websocket: i32,
    /// The MQTT listener's.
    pub mqtt: i32,
}

/// One thing that a reload changes, with the new value.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// `client_advertise`.
    ClientAdvertise(Option<String>),
    /// `trace`.
    Trace(bool),
    /// `debug`.
    Debug(bool),
    /// `trace_verbose`.
    TraceVerbose(bool),
    /// `trace_headers`.
    TraceHeaders(bool),
    /// `logtime`.
    Logtime(bool),
    /// `logtime_utc`.
    LogtimeUtc(bool),
    /// `log_format`, natsx's own: whether it is `json`.
    LogJson(bool),
    /// `max_connections`: surplus clients are closed.
    MaxConnections(i64),
    /// Users that prove themselves by nkey.
    NkeyUsers,
    /// Users with passwords. Reported on every reload: users are checked again each time.
    Users,
    /// Accounts. Reported on every reload.
    Accounts,
    /// `default_sentinel`.
    DefaultSentinel(Option<String>),
    /// `authorization.user`.
    Username,
    /// `authorization.password`.
    Password,
    /// `authorization.token`.
    Token,
    /// `ping_interval`.
    PingInterval(Duration),
    /// `ping_max`.
    PingMax(i64),
    /// Time to authenticate, by `authorization.timeout` or by whether there is TLS.
    AuthTimeout(Duration),
    /// `max_control_line`, also of open connections.
    MaxControlLine(i32),
    /// `max_payload`, also of open connections.
    MaxPayload(i32),
    /// `no_fast_producer_stall`.
    NoFastProducerStall(bool),
    /// The `cluster` block.
    Cluster(ClusterChange),
    /// TLS of the `gateway` block or of its remotes.
    GatewayTls,
    /// The `leafnodes` block.
    Leafnodes(LeafnodesChange),
    /// JetStream is to be started or stopped.
    Jetstream(bool),
    /// Higher `jetstream.max_memory_store` and `max_file_store`; `None` leaves one as it is.
    JetstreamStorage {
        /// Bytes in memory.
        memory: Option<i64>,
        /// Bytes on disk.
        disk: Option<i64>,
    },
    /// `jetstream.limits`.
    JetstreamLimits,
    /// TLS of the `websocket` block.
    WebsocketTls,
    /// The `mqtt` block.
    Mqtt(MqttChange),
    /// `prof_block_rate`.
    ProfBlockRate(i64),
    /// `pid_file`: written anew where there is one.
    PidFile(Option<PathBuf>),
    /// `ports_file_dir`: the file in the old directory goes, one in the new is written.
    PortsFileDir {
        /// Where the file was.
        old: Option<PathBuf>,
        /// Where it is to be.
        new: Option<PathBuf>,
    },
    /// `log_file`.
    LogFile(Option<PathBuf>),
    /// `syslog`.
    Syslog(bool),
    /// `remote_syslog`.
    RemoteSyslog(Option<String>),
    /// `cluster.routes`.
    Routes {
        /// Routes to connect to.
        added: Vec<Url>,
        /// Routes to close.
        removed: Vec<Url>,
    },
    /// `tls.timeout`.
    TlsTimeout(Duration),
    /// The `tls` block; false where it is gone.
    Tls(bool),
    /// `tls.pinned_certs`: how many there are.
    PinnedCerts(usize),
    /// `tls.handshake_first`.
    HandshakeFirst(bool),
    /// The time of `tls.handshake_first` after which INFO is sent all the same.
    HandshakeFirstFallback(Duration),
    /// `write_deadline`, for new connections.
    WriteDeadline(Duration),
    /// `max_traced_msg_len`.
    MaxTracedMsgLen(i64),
    /// `watch_certificates`.
    WatchCertificates(bool),
    /// `resolver` or `resolver_tls`.
    Resolver,
    /// `connect_error_reports`.
    ConnectErrorReports(i64),
    /// `reconnect_error_reports`.
    ReconnectErrorReports(i64),
    /// `server_tags`.
    ServerTags,
    /// `server_metadata`.
    ServerMetadata,
    /// `ocsp`.
    Ocsp,
    /// `proxies.trusted`: clients of removed proxies are closed.
    Proxies {
        /// Keys trusted from now on.
        added: Vec<String>,
        /// Keys trusted no more.
        removed: Vec<String>,
    },
    /// `ocsp_cache`.
    OcspCache,
}

/// Why a reload is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A setting that only a restart can change.
    #[error("config reload not supported for {field}: old={old}, new={new}")]
    Field {
        /// The setting as the reference calls it.
        field: &'static str,
        /// Its value until now.
        old: String,
        /// What the file says now.
        new: String,
    },
    /// Something that only a restart can change.
    #[error("config reload not supported for {0}")]
    Unsupported(String),
    /// The new value cannot be used.
    #[error("{0}")]
    Invalid(String),
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLine {
    /// At `[INF]`.
    Notice(String),
    /// At `[WRN]`.
    Warning(String),
}

/// What happens once after all changes, because one of them asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// The logger is built anew.
    pub logging: bool,
    /// Open connections look up anew whether they trace.
    pub trace: bool,
    /// Open connections are authenticated anew.
    pub authorization: bool,
    /// A statsz event is sent.
    pub statsz: bool,
}

/// Compares options and says what is to be done, or why it cannot be.
///
/// Both have been settled and checked.
///
/// # Errors
/// The first setting, in the reference's order, that a running server cannot change.
pub fn changes(old: &Options, new: &Options, running: &Running) -> Result<Vec<Change>, Refusal> {
    let mut comparison = Comparison { old, new, running, changes: Vec::new(), unset_while_running: None };
    comparison.general()?;
    comparison.links()?;
    comparison.jetstream()?;
    comparison.websocket()?;
    comparison.mqtt()?;
    comparison.logging_and_files()?;
    comparison.tls()?;
    comparison.limits_and_trust()?;
    comparison.reports_and_notes()?;
    match comparison.unset_while_running {
        Some(what) => Err(Refusal::Unsupported(what.into())),
        None => Ok(comparison.changes),
    }
}

impl Effects {
    /// The effects of these changes together.
    pub fn of(changes: &[Change]) -> Self {
        let any = |wanted: fn(&Change) -> bool| changes.iter().any(wanted);
        let trace = any(|change| {
            matches!(change, Change::Trace(_) | Change::TraceVerbose(_) | Change::TraceHeaders(_))
        });
        Self {
            trace,
            logging: trace
                || any(|change| {
                    matches!(
                        change,
                        Change::Debug(_)
                            | Change::Logtime(_)
                            | Change::LogtimeUtc(_)
                            | Change::LogJson(_)
                            | Change::LogFile(_)
                            | Change::Syslog(_)
                            | Change::RemoteSyslog(_)
                    )
                }),
            authorization: any(|change| {
                matches!(
                    change,
                    Change::NkeyUsers
                        | Change::Users
                        | Change::Accounts
                        | Change::Username
                        | Change::Password
                        | Change::Token
                        | Change::Cluster(_)
                        | Change::Resolver
                )
            }),
            statsz: any(|change| {
                matches!(
                    change,
                    Change::ServerTags
                        | Change::ServerMetadata
                        | Change::Jetstream(_)
                        | Change::JetstreamStorage { .. }
                        | Change::JetstreamLimits
                )
            }),
        }
    }
}

impl Change {
    /// What the log says about it.
    pub fn log_lines(&self) -> Vec<LogLine> {
        match self {
            Self::Cluster(change) => return change.log_lines(),
            Self::Leafnodes(change) => return notices(change.lines()),
            Self::Mqtt(change) => return notices(change.lines()),
            Self::JetstreamStorage { memory, disk } => {
                let line =
                    |key: &str, value: i64| format!("Reloaded: JetStream {key} = {}", size_text(value));
                let memory = memory.map(|value| line("max_mem_store", value));
                let disk = disk.map(|value| line("max_file_store", value));
                return notices(memory.into_iter().chain(disk).collect());
            }
            Self::Proxies { added, removed } => {
                let line = |keys: &[String], what: &str| {
                    let keys = quoted_list(keys.iter().map(String::as_str));
                    format!("Reloaded: proxies trusted keys {keys} were {what}")
                };
                let lists = [(removed, "removed"), (added, "added")].into_iter();
                let lines = lists.filter(|(keys, _)| !keys.is_empty()).map(|(keys, what)| line(keys, what));
                return notices(lines.collect());
            }
            Self::GatewayTls | Self::WebsocketTls | Self::PidFile(None) => return Vec::new(),
            Self::ClientAdvertise(address) => {
                return notices(vec![format!("Reload: client_advertise = {}", address.shown())]);
            }
            Self::OcspCache => return notices(vec!["Reloaded OCSP peer cache".into()]),
            _ => {}
        }
        notices(vec![format!("Reloaded: {}", self.what())])
    }

    /// The part behind `Reloaded: ` of a change with one plain line.
    fn what(&self) -> String {
        match self {
            Self::Trace(on) => format!("trace = {on}"),
            Self::Debug(on) => format!("debug = {on}"),
            Self::TraceVerbose(on) => format!("trace_verbose = {on}"),
            Self::TraceHeaders(on) => format!("trace_headers = {on}"),
            Self::Logtime(on) => format!("logtime = {on}"),
            Self::LogtimeUtc(on) => format!("logtime_utc = {on}"),
            Self::LogJson(on) => format!("log_format = {}", if *on { "json" } else { "text" }),
            Self::MaxConnections(count) => format!("max_connections = {count}"),
            Self::NkeyUsers => "authorization nkey users".into(),
            Self::Users => "authorization users".into(),
            Self::Accounts | Self::Resolver => "accounts".into(),
            Self::DefaultSentinel(jwt) => format!("default_sentinel = {}", jwt.shown()),
            Self::Username => "authorization username".into(),
            Self::Password => "authorization password".into(),
            Self::Token => "authorization token".into(),
            Self::PingInterval(interval) => format!("ping_interval = {}", interval.shown()),
            Self::PingMax(count) => format!("ping_max = {count}"),
            Self::AuthTimeout(time) => format!("authorization timeout = {}", Seconds(*time).shown()),
            Self::MaxControlLine(bytes) => format!("max_control_line = {bytes}"),
            Self::MaxPayload(bytes) => format!("max_payload = {bytes}"),
            Self::NoFastProducerStall(true) => "fast producers will not be stalled".into(),
            Self::NoFastProducerStall(false) => "fast producers will be stalled".into(),
            Self::Jetstream(_) => "JetStream".into(),
            Self::JetstreamLimits => "JetStream limits".into(),
            Self::ProfBlockRate(rate) => format!("prof_block_rate = {rate}"),
            Self::PidFile(path) => format!("pid_file = {}", path.shown()),
            Self::PortsFileDir { new, .. } => format!("ports_file_dir = {}", new.shown()),
            Self::LogFile(path) => format!("log_file = {}", path.shown()),
            Self::Syslog(on) => format!("syslog = {on}"),
            Self::RemoteSyslog(url) => format!("remote_syslog = {}", url.shown()),
            Self::Routes { .. } => "cluster routes".into(),
            Self::TlsTimeout(time) => format!("tls timeout = {}", Seconds(*time).shown()),
            Self::Tls(true) => "tls = enabled".into(),
            Self::Tls(false) => "tls = disabled".into(),
            Self::PinnedCerts(count) => format!("{count} pinned_certs"),
            Self::HandshakeFirst(on) => format!("Client TLS handshake first: {on}"),
            Self::HandshakeFirstFallback(time) => {
                format!("Client TLS handshake first fallback delay: {}", time.shown())
            }
            Self::WriteDeadline(time) => format!("write_deadline = {}", time.shown()),
            Self::WatchCertificates(on) => format!("watch_certificates = {on}"),
            Self::MaxTracedMsgLen(bytes) => format!("max_traced_msg_len = {bytes}"),
            Self::ConnectErrorReports(count) => format!("connect_error_reports = {count}"),
            Self::ReconnectErrorReports(count) => format!("reconnect_error_reports = {count}"),
            Self::ServerTags => "tags".into(),
            Self::ServerMetadata => "metadata".into(),
            Self::Ocsp => "OCSP".into(),
            // These have lines of their own in `log_lines`.
            Self::ClientAdvertise(_)
            | Self::Cluster(_)
            | Self::GatewayTls
            | Self::Leafnodes(_)
            | Self::JetstreamStorage { .. }
            | Self::WebsocketTls
            | Self::Mqtt(_)
            | Self::Proxies { .. }
            | Self::OcspCache => String::new(),
        }
    }
}

/// Old and new options being compared; the parts of it are in the files of this folder.
struct Comparison<'a> {
    old: &'a Options,
    new: &'a Options,
    running: &'a Running,
    changes: Vec<Change>,
    /// What JetStream lost from the file while it goes on running: refused behind all else.
    unset_while_running: Option<&'static str>,
}

impl Comparison<'_> {
    /// Takes note of a change where values differ.
    fn changed<T: PartialEq>(&mut self, old: &T, new: &T, change: impl FnOnce(&T) -> Change) {
        if old != new {
            self.changes.push(change(new));
        }
    }
}

/// Refuses a change of a setting that needs a restart.
fn fixed<T: PartialEq + Shown>(field: &'static str, old: T, new: T) -> Result<(), Refusal> {
    if old == new {
        return Ok(());
    }
    Err(Refusal::Field { field, old: old.shown(), new: new.shown() })
}

/// The port that a listener has or would have: asking for any keeps the bound one.
const fn port(configured: i32, bound: i32) -> i32 {
    if configured == PORT_RANDOM { bound } else { configured }
}

fn notices(lines: Vec<String>) -> Vec<LogLine> {
    lines.into_iter().map(LogLine::Notice).collect()
}
