//! Applies what a reload changes to the running server.
//!
//! The new options are checked and compared first; nothing is touched before it is known that all of
//! it can be done. Accept loops are held meanwhile: whoever connects is met by the new options.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::banner;
use super::files;
use super::ocsp_cache_task;
use super::ports::PortsFile;
use super::resolver;
use super::server::Server;
use super::start::{self, StartError};
use super::tls::ListenerTls;
use super::version;
use crate::server::base::clock::Clock;
use crate::server::config::change::{self, Change, Effects, LogLine, Ports, Refusal, Running};
use crate::server::config::options::{Options, Resolver};
use crate::server::config::{self, check};
use crate::server::log::Settings;
use crate::server::net::listen_task::Gate;
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::info::Info;
use crate::server::resolver::AccountKey;

/// Why the running server goes on as it was. The text is the reference's.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new options contradict each other, or ask for what is not built.
    #[error(transparent)]
    Options(#[from] check::Refusal),
    /// A value of them cannot be used.
    #[error(transparent)]
    Value(#[from] StartError),
    /// A running server cannot change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A reload that can be done.
struct Plan {
    options: Options,
    changes: Vec<Change>,
    /// Host and port that clients are told.
    address: (String, i64),
    /// What those who connect later meet, if that changes.
    tls: Option<ListenerTls>,
    preloads: Vec<(AccountKey, String)>,
    logging: Settings,
}

impl Server {
    /// Puts `new` into force; on an error everything stays as it is.
    ///
    /// `new` is settled, with the command line's flags over it.
    pub async fn reload(&self, new: Options) -> Result<(), ReloadError> {
        let mut ports_file = self.inner.ports_file.lock().await;
        let place = match &self.inner.client.claim_source {
            Some(claim_source) => claim_source.place_for_reload().await,
            None => None,
        };
        let _held = HeldGate::hold(&self.inner.gate);
        let old = self.options();
        let Plan { options, changes, address, tls, preloads, logging } = self.plan(&old, new).await?;
        let digest = options.config_digest.clone();
        self.put_in_force(options)?;
        if let Some(tls) = tls {
            self.change_tls(tls);
        }
        for change in &changes {
            self.apply(change, &address, &mut ports_file);
            self.tell(change);
        }
        let logger = &self.inner.client.conn.logger;
        if Effects::of(&changes).logging
            && let Err(error) = logger.reconfigure(&logging)
        {
            logger.error(format_args!("{error}"));
        }
        if let Some(place) = place {
            self.tell_of_preloads();
            place.take(preloads).await;
        }
        for connection in self.inner.client.conn.table.all() {
            connection.notify(Notices::OPTIONS);
        }
        let digest = if digest.is_empty() { digest } else { format!("({digest})") };
        logger.notice(format_args!("Reloaded server configuration {digest}"));
        if changes.iter().any(|change| matches!(change, Change::PinnedCerts(_))) {
            self.close_unpinned();
        }
        Ok(())
    }

    /// What a reload from `old` to `new` does, if it can be done. Nothing is touched.
    async fn plan(&self, old: &Options, options: Options) -> Result<Plan, ReloadError> {
        check::are_sound(&options, version::REFERENCE)?;
        let changes = change::changes(old, &options, &self.running())?;
        check::are_built(&options)?;
        let address = start::advertised(&options, self.port())?;
        let secures_anew =
            changes.iter().any(|change| matches!(change, Change::Tls(_) | Change::Ocsp | Change::OcspCache));
        let drops_cache = changes.contains(&Change::OcspCache);
        let tls = if secures_anew { Some(self.listener_tls(&options, drops_cache).await?) } else { None };
        let preloads = resolver::preloads(&options).map_err(StartError::Resolver)?;
        let logging = Settings::from_options(&options, &files::called_by());
        Ok(Plan { options, changes, address, tls, preloads, logging })
    }

    /// What is wrong with claims that stand in the configuration, where they are the only ones.
    fn tell_of_preloads(&self) {
        let conn = &self.inner.client.conn;
        let options = conn.options();
        if matches!(options.resolver, Some(Resolver::Mem)) {
            for (level, text) in banner::preload_warnings(&options, conn.clock.now()) {
                conn.logger.log(level, format_args!("{text}"));
            }
        }
    }

    /// From here on the new options count, for whoever looks at them.
    fn put_in_force(&self, options: Options) -> Result<(), StartError> {
        let client = &self.inner.client;
        // The sessions of accounts that are gone see it when they take up the new options.
        client.accounts.update(&options)?;
        let policy = self.inner.policies.build(&options, &client.accounts, Some(&client.policy.load()));
        let auth_required = policy.is_required();
        client.conn.herald.set_info(start::description(&options, &client.info.load()));
        client.conn.options.swap(options);
        client.policy.store(Arc::new(policy));
        self.change_info(|info| info.auth_required = auth_required);
        Ok(())
    }

    /// Tells the log of a change.
    fn tell(&self, change: &Change) {
        let logger = &self.inner.client.conn.logger;
        for line in change.log_lines() {
            match line {
                LogLine::Notice(text) => logger.notice(format_args!("{text}")),
                LogLine::Warning(text) => logger.warn(format_args!("{text}")),
            }
        }
    }

    /// The port where clients connect.
    fn port(&self) -> u16 {
        self.inner.addresses.first().map_or(0, SocketAddr::port)
    }

    fn running(&self) -> Running {
        let setup = self.inner.client.tls.setup();
        Running {
            ports: Ports { client: self.port().into(), ..Ports::default() },
            tls_files_changed: setup.is_some_and(|setup| setup.files_changed(&config::read::Here)),
            tls_used: self.inner.client.tls.was_used(),
            made_up_user: self.inner.client.policy.load().made_up_user().map(Into::into),
            ..Running::default()
        }
    }

    /// Closes those who are connected and whose key is not among those pinned now, also who uses no TLS.
    fn close_unpinned(&self) {
        let options = self.options();
        let Some(pinned) =
            options.tls.as_ref().map(|tls| &tls.pinned_certs).filter(|pinned| !pinned.is_empty())
        else {
            return;
        };
        let conn = &self.inner.client.conn;
        let mut closed = 0;
        for connection in conn.table.all() {
            let state = connection.tls_state().unwrap_or_default();
            let key = state.public_key_hex();
            if key.as_ref().is_some_and(|key| pinned.contains(key)) {
                continue;
            }
            let label = connection.label();
            match key {
                Some(key) => {
                    conn.logger.debug(format_args!("{label} - Failed pinned cert test for key id: {key}"));
                }
                None => conn.logger.debug(format_args!(
                    "{label} - Failed pinned cert test as client did not provide a certificate"
                )),
            }
            connection.request_close(CloseReason::TlsHandshakeError);
            closed += 1;
        }
        if closed > 0 {
            conn.logger.notice(format_args!("Disconnect {closed} clients due to pinned certs reload"));
        }
    }

    /// What those who connect later meet; not in force yet.
    async fn listener_tls(&self, new: &Options, drops_cache: bool) -> Result<ListenerTls, StartError> {
        let client = &self.inner.client;
        let logger = &client.conn.logger;
        ocsp_cache_task::save(client).await;
        let kept = client.tls.peer_check().and_then(|check| check.cache()).filter(|_| !drops_cache);
        let tls = ListenerTls::build(new, kept, logger)?;
        if let Err(error) = tls.staple(new, client.conn.clock.now(), logger).await {
            logger.warn(format_args!("Can't restart OCSP features: {error}"));
        }
        Ok(tls)
    }

    /// Who connects from now on meets this TLS. As the reference: `tls_verify` stays when TLS goes, and
    /// `tls_available` as it was at the start.
    fn change_tls(&self, new: ListenerTls) {
        let options = self.options();
        let tls = options.tls.as_ref();
        self.change_info(|info| {
            info.tls_required = tls.is_some() && !options.allow_non_tls;
            info.tls_verify = tls.map_or(info.tls_verify, |tls| tls.verify);
        });
        new.install(&self.inner.client.tls);
    }

    /// Does what a change asks for beyond the new options being in force. `address` is what clients are told.
    fn apply(&self, change: &Change, address: &(String, i64), ports_file: &mut Option<PortsFile>) {
        match change {
            // As the reference: those who are connected already are not told.
            Change::ClientAdvertise(_) => {
                self.change_info(|info| (info.host, info.port) = address.clone());
            }
            Change::MaxPayload(bytes) => self.change_info(|info| info.max_payload = *bytes),
            Change::MaxConnections(max) => self.close_surplus(*max),
            Change::PidFile(Some(path)) => self.rewrite_pid(path),
            Change::PortsFileDir { .. } => self.move_ports(ports_file),
            // The options in force are all that is needed, here or where connections take them up;
            // what belongs to blocks that are not built cannot have changed.
            _ => {}
        }
    }

    /// Changes some of INFO's fields; the others keep what anybody else puts there meanwhile.
    fn change_info(&self, change: impl Fn(&mut Info)) {
        self.inner.client.info.rcu(|info| {
            let mut info = Info::clone(info);
            change(&mut info);
            info
        });
    }

    /// Closes connections beyond the new maximum; those that came first stay. Zero and less lets nobody stay.
    fn close_surplus(&self, max: i64) {
        let conn = &self.inner.client.conn;
        let connections = conn.table.all();
        let surplus = connections.get(usize::try_from(max).unwrap_or(0)..).unwrap_or_default();
        if surplus.is_empty() {
            return;
        }
        for connection in surplus {
            connection.request_close(CloseReason::MaxConnectionsExceeded);
        }
        conn.logger
            .notice(format_args!("Closed {} connections to fall within max_connections", surplus.len()));
    }
}

/// An open gate, paused until this is dropped. A gate that was shut stays shut.
struct HeldGate<'a>(&'a watch::Sender<Gate>);

impl<'a> HeldGate<'a> {
    fn hold(gate: &'a watch::Sender<Gate>) -> Self {
        turn(gate, Gate::Open, Gate::Paused);
        Self(gate)
    }
}

impl Drop for HeldGate<'_> {
    fn drop(&mut self) {
        turn(self.0, Gate::Paused, Gate::Open);
    }
}

fn turn(gate: &watch::Sender<Gate>, from: Gate, to: Gate) {
    gate.send_if_modified(|state| {
        let turns = *state == from;
        if turns {
            *state = to;
        }
        turns
    });
}
