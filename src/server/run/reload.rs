//! Applies what a reload changes to the running server.
//!
//! The new options are checked and compared first; nothing is touched before it is known that all of
//! it can be done. Accept loops are held meanwhile: whoever connects is met by the new options.

use std::path::Path;

use tokio::sync::watch;

use super::ports;
use super::server::Server;
use super::start;
use crate::server::config::change::{self, Change, Effects, LogLine, Ports, Refusal, Running};
use crate::server::config::options::Options;
use crate::server::log::Settings;
use crate::server::net::listen_task::Gate;
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::info::Info;

/// Why the running server goes on as it was. The text is the reference's.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new options contradict each other, or ask for what is not built.
    #[error("{0}")]
    Options(String),
    /// A running server cannot change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Server {
    /// Puts `new` into force; on an error everything stays as it is.
    ///
    /// `new` is settled, with the command line's flags over it. `called_by` is the path that this
    /// process was called by, for the log.
    pub async fn reload(&self, new: Options, called_by: &str) -> Result<(), ReloadError> {
        let _one_at_a_time = self.inner.reloading.lock().await;
        let _held = HeldGate::hold(&self.inner.gate);
        let old = self.options();
        start::check(&new).map_err(ReloadError::Options)?;
        let changes = change::changes(&old, &new, &self.running())?;
        let info = self.info_for(&new).map_err(ReloadError::Options)?;
        let mappings = start::mappings(&new).map_err(|error| ReloadError::Options(error.to_string()))?;
        let settings = Settings::from_options(&new, called_by);
        let digest = new.config_digest.clone();
        self.inner.client.conn.options.swap(new);
        self.inner.client.accounts.global().set_mappings(mappings);
        let logger = &self.inner.client.conn.logger;
        for change in &changes {
            self.apply(change, &info);
            for line in change.log_lines() {
                match line {
                    LogLine::Notice(text) => logger.notice(format_args!("{text}")),
                    LogLine::Warning(text) => logger.warn(format_args!("{text}")),
                }
            }
        }
        if Effects::of(&changes).logging
            && let Err(error) = logger.reconfigure(&settings)
        {
            logger.error(format_args!("{error}"));
        }
        for connection in self.inner.client.conn.table.all() {
            connection.notify(Notices::OPTIONS);
        }
        let digest = if digest.is_empty() { digest } else { format!("({digest})") };
        logger.notice(format_args!("Reloaded server configuration {digest}"));
        Ok(())
    }

    fn running(&self) -> Running {
        let client = self.inner.addresses.first().map_or(0, |address| i32::from(address.port()));
        Running { ports: Ports { client, ..Ports::default() }, ..Running::default() }
    }

    /// INFO as the new options have it.
    fn info_for(&self, new: &Options) -> Result<Info, String> {
        let mut info = Info::clone(&self.inner.client.info.load());
        let port = self.inner.addresses.first().map_or(0, std::net::SocketAddr::port);
        (info.host, info.port) = start::advertised(new, port).map_err(|error| error.to_string())?;
        info.max_payload = new.max_payload;
        Ok(info)
    }

    /// Does what a change asks for beyond the new options being in force.
    fn apply(&self, change: &Change, info: &Info) {
        let client = &self.inner.client;
        match change {
            Change::ClientAdvertise(_) => {
                client.info.store(info.clone().into());
                client.conn.table.all().iter().for_each(|connection| connection.notify(Notices::INFO));
            }
            Change::MaxPayload(_) => client.info.store(info.clone().into()),
            Change::MaxConnections(max) => self.close_surplus(*max),
            Change::PidFile(Some(path)) => self.write_pid(path),
            // The options in force are all that is needed, here or where connections take them up;
            // what belongs to blocks that are not built cannot have changed.
            _ => {}
        }
    }

    /// Closes connections beyond the new maximum, the newest first.
    fn close_surplus(&self, max: i64) {
        let conn = &self.inner.client.conn;
        let Some(max) = usize::try_from(max).ok().filter(|&max| max > 0) else { return };
        let connections = conn.table.all();
        let surplus = connections.get(max..).unwrap_or_default();
        if surplus.is_empty() {
            return;
        }
        for connection in surplus {
            connection.request_close(CloseReason::MaxConnectionsExceeded);
        }
        conn.logger
            .notice(format_args!("Closed {} connections to fall within max_connections", surplus.len()));
    }

    fn write_pid(&self, path: &Path) {
        if let Err(error) = ports::write_pid(path, std::process::id()) {
            self.inner.client.conn.logger.error(format_args!("Failed to write pidfile: {error}"));
        }
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
