//! The order of a server's birth: what is judged, what is said, what is built, what listens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{Mutex, watch};

use super::accept::{self, ClientAccept};
use super::banner::{self, Identity};
use super::builder;
use super::certificate_task;
use super::files;
use super::heartbeat_task;
use super::ocsp_cache_task;
use super::overdue_task;
use super::request_task;
use super::server::{Inner, Life, RELOADS_MAX, Server};
use super::staple_task;
use super::tls::ListenerTls;
use super::version;
use super::{claimed_accounts, claims_task};
use super::{resolver, resolver_task};
use crate::server::account::Registry;
use crate::server::auth::{PolicyBuilder, ServerKeys, WantedAccounts};
use crate::server::base::clock::{Clock, SystemClock, Timestamp};
use crate::server::base::inbox::Inbox;
use crate::server::base::io_text::io_text;
use crate::server::base::quote::quote;
use crate::server::base::timer_task;
use crate::server::client::ClientContext;
use crate::server::config::advertise;
use crate::server::config::check;
use crate::server::config::options::{HandshakeFirst, Options, PORT_RANDOM, SYSTEM_ACCOUNT};
use crate::server::config::unbuilt;
use crate::server::conn::{Context, handshake_rate_task};
use crate::server::delivery::Herald;
use crate::server::events::{ServerFacts, ServerInfo};
use crate::server::log::Logger;
use crate::server::net::TlsSetupError;
use crate::server::net::listen_task::{self, Gate};
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::info::Info;
use crate::server::protocol::transform::TransformError;

/// Why a server did not start; the text is the reference's last log line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The client port cannot be listened on.
    #[error("Error listening on port: {address}, {}", quote(.reason))]
    Listen {
        /// Host and port asked for.
        address: String,
        /// What the system said, in the reference's words.
        reason: String,
    },
    /// The options contradict each other, or ask for what natsx cannot do yet.
    #[error(transparent)]
    Refused(#[from] check::Refusal),
    /// A subject mapping or an import is none.
    #[error(transparent)]
    Mapping(#[from] TransformError),
    /// The `tls` block cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The resolver cannot be opened, or has no claims of the system account that could be used. The log has
    /// not begun.
    #[error("{0}")]
    Unopened(String),
    /// The resolver cannot be looked after, or the system account not be found. The log has begun.
    #[error("{0}")]
    Resolver(String),
    /// A certificate cannot be shown without a responder's answer, and there is none that is good; or
    /// answers about clients are asked for, and clients show no certificates.
    #[error("{0}")]
    Staple(String),
    /// The pid file cannot be written.
    #[error("{0}")]
    PidFile(String),
    /// `client_advertise` is no host and port.
    #[error("Error setting server INFO with ClientAdvertise value of {value}, err={error}")]
    Advertise {
        /// The value.
        value: String,
        /// What is wrong with it.
        error: String,
    },
}

/// Options that have been judged, while nothing has been done yet.
#[derive(Debug)]
pub struct Prepared {
    pub(super) options: Options,
    /// A mistake that the log tells of, behind the first lines.
    told_by_log: Option<check::Refusal>,
}

impl Prepared {
    /// Judges settled options.
    ///
    /// # Errors
    /// What must not even begin to start.
    pub fn new(options: Options) -> Result<Self, check::Refusal> {
        let told_by_log = match check::may_start(&options, version::REFERENCE) {
            Ok(()) => None,
            Err(refusal @ check::Refusal::Monitoring(_)) => Some(refusal),
            Err(refusal) => return Err(refusal),
        };
        Ok(Self { options, told_by_log })
    }

    /// The options.
    pub const fn options(&self) -> &Options {
        &self.options
    }
}

impl Server {
    /// Starts a server: when this returns, clients can connect.
    ///
    /// `options` are settled. The runtime that calls this is the one it runs on.
    pub async fn start(options: Options, logger: Logger) -> Result<Self, StartError> {
        Self::start_prepared(Prepared::new(options)?, logger).await
    }

    /// Starts a server with options that have been judged before there was a log.
    pub async fn start_prepared(prepared: Prepared, logger: Logger) -> Result<Self, StartError> {
        Self::start_with(prepared, logger, builder::policies()).await
    }

    pub(super) async fn start_with(
        prepared: Prepared,
        logger: Logger,
        policies: PolicyBuilder,
    ) -> Result<Self, StartError> {
        let Prepared { options, told_by_log } = prepared;
        let clock = SystemClock::new();
        let resolver = resolver::open(&options, &clock).await.map_err(StartError::Unopened)?;
        resolver::check_system_account(&options, clock.now()).map_err(StartError::Unopened)?;
        let keys = ServerKeys::default();
        announce(&options, &keys.identity.public_key(), clock.now(), &logger);
        if let Some(path) = &options.pid_file {
            files::write_pid(path).map_err(StartError::PidFile)?;
        }
        if let Some(refusal) = told_by_log {
            return Err(refusal.into());
        }
        let tls = ListenerTls::build(&options, None, &logger)?;
        tls.staple(&options, clock.now(), &logger).await.map_err(StartError::Staple)?;
        if let Some(resolver) = &resolver {
            resolver::check_start(&options).map_err(StartError::Resolver)?;
            resolver.announce(&logger);
        }
        let listeners = listen(&options).await?;
        let addresses: Vec<_> = listeners.iter().filter_map(|it| it.local_addr().ok()).collect();
        let port = addresses.first().map_or(0, SocketAddr::port);
        // Where clients are told a wrong address, the log has first that the server listens.
        let info =
            greeting(&options, &keys, port).inspect_err(|_| tell_listening(&options, port, &logger))?;
        let (wanted, wanted_accounts) = WantedAccounts::new(claims_task::WANTED_MAX);
        let claim_source = resolver.as_ref().map(|resolver| resolver.claim_source.clone());
        let accounts = Registry::new(&options, Arc::new(clock.clone()))?;
        let herald = herald(&options, &accounts, &info, &logger);
        let policy = policies.build(&options, &accounts, None);
        let client = Arc::new(ClientContext {
            info: ArcSwap::from_pointee(Info { auth_required: policy.is_required(), ..info }),
            policy: ArcSwap::from_pointee(policy),
            accounts,
            wanted,
            tls: Arc::new(tls.into_gate(&options)),
            claim_source,
            lame_duck: AtomicBool::new(false),
            conn: Arc::new(Context::new(clock, options, keys, herald, logger)),
        });
        let (gate, life) = (watch::Sender::new(Gate::Open), watch::Sender::new(Life::Running));
        start_tasks(&client, &life);
        if let Some(resolver) = resolver {
            spawn_until_stopped(&life, resolver_task::run(Arc::clone(&client), resolver.parts));
        }
        let awaits_system =
            claimed_accounts::start_system_account(&client).await.map_err(StartError::Resolver)?;
        tell_listening(&client.conn.options(), port, &client.conn.logger);
        spawn_until_stopped(&life, claims_task::run(Arc::clone(&client), wanted_accounts, awaits_system));
        let reloads = Arc::new(Inbox::new(RELOADS_MAX));
        // Its subscriptions are there before the first client is.
        if let Some(task) = request_task::Task::new(&client, &reloads) {
            spawn_until_stopped(&life, task.run());
        }
        for listener in listeners {
            let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
            let accept = ClientAccept { context: Arc::clone(&client), address };
            spawn_until_stopped(&life, listen_task::run(listener, gate.subscribe(), accept));
        }
        client.conn.logger.notice(format_args!("Server is ready"));
        let ports_file =
            Mutex::new(files::write_ports(&client.conn.options(), &addresses, &client.conn.logger));
        let server =
            Self { inner: Arc::new(Inner { client, policies, addresses, gate, life, ports_file, reloads }) };
        server.keep_stapled();
        Ok(server)
    }

    /// Keeps answers of responders stapled to certificates; stops where one is no longer good.
    fn keep_stapled(&self) {
        let server = self.clone();
        spawn_until_stopped(&self.inner.life, async move {
            staple_task::run(Arc::clone(&server.inner.client)).await;
            server.stop().await;
        });
    }

    /// A connection to this server inside the process: the other end of a stream, as a client has it.
    ///
    /// # Errors
    /// The system has no more streams, or the server takes no more clients.
    pub fn connect_in_process(&self) -> io::Result<UnixStream> {
        let refused = || io::Error::new(io::ErrorKind::NotConnected, "failed to create connection");
        if self.life() != Life::Running {
            return Err(refused());
        }
        let (ours, theirs) = UnixStream::pair()?;
        let outbound = accept::admit_in_process(&self.inner.client, ours);
        // Whoever closes all connections looks for them once its life has advanced.
        if self.life() != Life::Running {
            outbound.request_close(CloseReason::ServerShutdown);
            return Err(refused());
        }
        Ok(theirs)
    }
}

/// Starts the tasks that run from the first moment on and need nothing else.
fn start_tasks(client: &Arc<ClientContext>, life: &watch::Sender<Life>) {
    let conn = &client.conn;
    spawn_until_stopped(life, timer_task::run(Arc::clone(&conn.timers), conn.clock.clone()));
    spawn_until_stopped(life, heartbeat_task::run(Arc::clone(conn)));
    spawn_until_stopped(life, handshake_rate_task::run(Arc::clone(&client.tls), conn.logger.clone()));
    spawn_until_stopped(life, certificate_task::run(Arc::clone(client)));
    spawn_until_stopped(life, ocsp_cache_task::run(Arc::clone(client)));
    spawn_until_stopped(life, overdue_task::run(Arc::clone(client)));
}

#[expect(clippy::disallowed_methods, reason = "the server's own tasks start here")]
fn spawn_until_stopped(life: &watch::Sender<Life>, task: impl Future<Output = ()> + Send + 'static) {
    let mut life = life.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            _ = life.wait_for(|life| *life == Life::Stopped) => {}
        }
    });
}

/// Says where clients connect, and who has to speak TLS.
fn tell_listening(options: &Options, port: u16, logger: &Logger) {
    let address = advertise::join(&options.host, port);
    logger.notice(format_args!("Listening for client connections on {address}"));
    if options.proxy_protocol {
        logger.notice(format_args!("PROXY protocol enabled for client connections"));
    }
    let Some(tls) = &options.tls else { return };
    let comes_first = tls.handshake_first == HandshakeFirst::On;
    let word = if options.allow_non_tls && !comes_first { "available" } else { "required" };
    logger.notice(format_args!("TLS {word} for client connections"));
    if comes_first {
        logger.warn(format_args!(
            "Clients that are not using \"TLS Handshake First\" option will fail to connect"
        ));
    }
}

/// The first lines of the log.
fn announce(options: &Options, server_id: &str, now: Timestamp, logger: &Logger) {
    let identity = Identity {
        version: version::REFERENCE,
        git: version::GIT_COMMIT,
        runtime: version::RUNTIME,
        name: options.server_name.as_deref().unwrap_or(server_id),
        id: server_id,
        cluster: options.cluster.name.as_deref().or(options.gateway.name.as_deref()),
    };
    for (level, text) in banner::lines(options, &identity) {
        logger.log(level, format_args!("{text}"));
    }
    for (level, text) in banner::preload_warnings(options, now) {
        logger.log(level, format_args!("{text}"));
    }
    if options.system_account.is_none() && !options.no_system_account {
        logger.debug(format_args!("Created system account: {}", quote(SYSTEM_ACCOUNT)));
    }
    for key in unbuilt::without_effect(options) {
        logger.warn(format_args!("`{key}` has no effect: what it is for is not built yet"));
    }
}

/// The port to listen on; 0 is one that the system chooses.
fn listen_port(options: &Options) -> Result<u16, StartError> {
    match options.port {
        PORT_RANDOM => Ok(0),
        port => u16::try_from(port).map_err(|_| StartError::Listen {
            address: format!("{}:{port}", options.host),
            reason: format!("listen tcp: address {port}: invalid port"),
        }),
    }
}

/// Listens where clients are to connect; nobody is accepted yet.
async fn listen(options: &Options) -> Result<Vec<TcpListener>, StartError> {
    let port = listen_port(options)?;
    let listeners = listen_task::listen(&options.host, port).await;
    listeners.map_err(|error| listen_error(&options.host, port, &error))
}

fn listen_error(host: &str, port: u16, error: &io::Error) -> StartError {
    let address = advertise::join(host, port);
    let reason = match error.raw_os_error() {
        Some(_) => format!("listen tcp {address}: bind: {}", io_text(error)),
        None => format!("listen tcp: lookup {host}: no such host"),
    };
    StartError::Listen { address, reason }
}

/// What INFO says to every client.
fn greeting(options: &Options, keys: &ServerKeys, port: u16) -> Result<Info, StartError> {
    let (host, port) = advertised(options, port)?;
    let server_id = keys.identity.public_key();
    Ok(Info {
        server_name: options.server_name.clone().unwrap_or_else(|| server_id.clone()),
        server_id,
        version: version::REFERENCE.to_owned(),
        proto: 1,
        git_commit: version::GIT_COMMIT.map(str::to_owned).unwrap_or_default(),
        go: version::RUNTIME.to_owned(),
        host,
        port,
        headers: !options.no_header_support,
        max_payload: options.max_payload,
        tls_required: options.tls.is_some() && !options.allow_non_tls,
        tls_available: options.tls.is_some() && options.allow_non_tls,
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify),
        xkey: keys.curve.public_key(),
        api_lvl: version::JETSTREAM_API_LEVEL,
        ..Info::default()
    })
}

/// What speaks for the server in its system account, where it has one.
fn herald(options: &Options, accounts: &Registry, info: &Info, logger: &Logger) -> Herald {
    let system = options.system_account_name().map(|_| Arc::clone(accounts.system()));
    if system.is_some() {
        accounts.common().name_server(&info.server_name);
    }
    Herald::new(system, &info.server_id, description(options, info), logger.clone())
}

/// What system messages say of a server whose INFO is `info`.
pub(super) fn description(options: &Options, info: &Info) -> ServerInfo {
    let chosen = |&(name, by_default): &(&'static str, bool)| {
        (name, options.feature_flags.get(name).copied().unwrap_or(by_default))
    };
    let feature_flags: Vec<_> = banner::FEATURE_FLAGS.iter().map(chosen).collect();
    ServerInfo::new(&ServerFacts {
        name: &info.server_name,
        host: &info.host,
        id: &info.server_id,
        cluster: &info.cluster,
        version: &info.version,
        tags: &options.server_tags,
        metadata: &options.server_metadata,
        feature_flags: &feature_flags,
    })
}

/// Host and port that clients are told, for a server that listens on `port`.
pub(super) fn advertised(options: &Options, port: u16) -> Result<(String, i64), StartError> {
    let Some(value) = options.client_advertise.as_ref().filter(|value| !value.is_empty()) else {
        return Ok((options.host.clone(), i64::from(port)));
    };
    advertise::split(value, port).map_err(|error| StartError::Advertise { value: value.clone(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_monitoring_is_left_for_the_log_and_others_refuse_at_once() {
        let wrong = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            Prepared::new(options)
        };
        let prepared = wrong(|options| options.https_port = 1).unwrap();
        let want = "Can't start monitoring: TLS cert and key required for HTTPS";
        assert_eq!(prepared.told_by_log.map(|refusal| refusal.to_string()).as_deref(), Some(want));
        assert!(wrong(|options| options.server_name = Some("a b".to_owned())).is_err());
        assert!(wrong(|options| options.http_port = 1).is_err());
    }

    #[test]
    fn ports_that_are_none_are_refused() {
        for (port, want) in [
            (70000, "Error listening on port: 0.0.0.0:70000, \"listen tcp: address 70000: invalid port\""),
            (-5, "Error listening on port: 0.0.0.0:-5, \"listen tcp: address -5: invalid port\""),
        ] {
            let refused = listen_port(&Options { port, ..Options::default() });
            assert_eq!(refused.map_err(|error| error.to_string()), Err(want.to_owned()));
        }
    }

    #[test]
    fn minus_one_lets_the_system_choose_a_port() {
        let options = Options { port: PORT_RANDOM, ..Options::default() };
        assert!(listen_port(&options).is_ok_and(|port| port == 0));
    }

    #[test]
    fn what_the_system_says_about_listening_is_told_in_the_references_words() {
        let said = |host: &str, error: &io::Error| listen_error(host, 5, error).to_string();
        assert_eq!(
            said("127.0.0.1", &io::Error::from_raw_os_error(98)),
            "Error listening on port: 127.0.0.1:5, \"listen tcp 127.0.0.1:5: bind: address already in use\""
        );
        assert_eq!(
            said("nohost", &io::Error::other("failed to lookup address information")),
            "Error listening on port: nohost:5, \"listen tcp: lookup nohost: no such host\""
        );
    }
}
