//! The small files beside a running server: when the pid file and the ports file are written, moved, removed.
//!
//! The pid file outlives the server, as the reference's does.

use std::net::SocketAddr;
use std::path::Path;

use super::ports::{self, Bound, Listeners, PortsFile};
use super::server::Server;
use crate::server::config::options::Options;
use crate::server::log::Logger;

/// The path that this process was called by: it names the process in the syslog and in the ports file.
pub fn called_by() -> String {
    std::env::args_os().next().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Writes the pid file. The error is the reference's fatal line.
pub(super) fn write_pid(path: &Path) -> Result<(), String> {
    ports::write_pid(path, std::process::id())
}

/// Writes the ports file where the options ask for one. A failure is an error in the log, no more.
pub(super) fn write_ports(options: &Options, addresses: &[SocketAddr], logger: &Logger) -> Option<PortsFile> {
    let folder = options.ports_file_dir.as_ref()?;
    let nats = addresses.first().map(|address| Bound { is_tls: options.tls.is_some(), address: *address });
    let document = ports::document(&Listeners { nats, ..Listeners::default() }, &ports::own_addresses());
    let written = PortsFile::write(folder, &called_by(), std::process::id(), &document);
    written.map_err(|text| logger.error(format_args!("{text}"))).ok()
}

impl Server {
    /// The pid file that a reload asks for.
    pub(super) fn rewrite_pid(&self, path: &Path) {
        if let Err(error) = write_pid(path) {
            self.inner.client.conn.logger.error(format_args!("Failed to write pidfile: {error}"));
        }
    }

    /// Removes the ports file that there is and writes one where the options in force want it.
    pub(super) fn move_ports(&self, file: &mut Option<PortsFile>) {
        self.remove_ports(file);
        *file = write_ports(&self.options(), &self.inner.addresses, &self.inner.client.conn.logger);
    }

    /// Removes the ports file, if there is one.
    pub(super) fn remove_ports(&self, file: &mut Option<PortsFile>) {
        if let Some(Err(text)) = file.take().map(|file| file.remove()) {
            self.inner.client.conn.logger.error(format_args!("{text}"));
        }
    }
}
