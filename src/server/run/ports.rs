//! Files that tell where a server runs: its process id, and the ports it bound.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::server::base::io_text::io_text;

/// Permissions of the pid file. Reference: 0600.
const PID_FILE_MODE: u32 = 0o600;
/// Permissions of the ports file, before the umask. Reference: 0666.
const PORTS_FILE_MODE: u32 = 0o666;

/// Writes the id `pid` of this process to `path`, digits only. The error is the reference's fatal line.
pub(super) fn write_pid(path: &Path, pid: u32) -> Result<(), String> {
    write_file(path, PID_FILE_MODE, pid.to_string().as_bytes())
        .map_err(|error| format!("Could not write pidfile: open {}: {}", path.display(), io_text(&error)))
}

/// One kind of listener: its scheme and the address it bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bound {
    /// It speaks TLS.
    pub is_tls: bool,
    /// With the port that the system gave.
    pub address: SocketAddr,
}

/// The listeners of a server; those that it doesn't have are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Listeners {
    /// Clients.
    pub nats: Option<Bound>,
    /// Monitoring over HTTP.
    pub monitoring: Option<Bound>,
    /// Routes.
    pub cluster: Option<Bound>,
    /// Profiles over HTTP.
    pub profile: Option<Bound>,
    /// Clients over WebSocket.
    pub websocket: Option<Bound>,
}

#[derive(Serialize)]
struct Document {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nats: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    monitoring: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cluster: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    websocket: Vec<String>,
}

/// The ports file's text. A listener on all addresses is listed with each of `own`, the machine's.
pub(super) fn document(listeners: &Listeners, own: &[IpAddr]) -> String {
    let urls = |bound: Option<Bound>, plain: &str, tls: &str| match bound {
        Some(bound) => urls(bound, if bound.is_tls { tls } else { plain }, own),
        None => Vec::new(),
    };
    let document = Document {
        nats: urls(listeners.nats, "nats", "tls"),
        monitoring: urls(listeners.monitoring, "http", "https"),
        cluster: urls(listeners.cluster, "nats", "tls"),
        profile: urls(listeners.profile, "http", "http"),
        websocket: urls(listeners.websocket, "ws", "wss"),
    };
    serde_json::to_string(&document).unwrap_or_default()
}

fn urls(bound: Bound, scheme: &str, own: &[IpAddr]) -> Vec<String> {
    let port = bound.address.port();
    let url = |ip: &IpAddr| format!("{scheme}://{}", SocketAddr::new(*ip, port));
    let ip = bound.address.ip();
    if ip.is_unspecified() { own.iter().map(url).collect() } else { vec![url(&ip)] }
}

/// The ports file that was written; removed when told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortsFile {
    path: PathBuf,
}

impl PortsFile {
    /// Writes `document` to `<name>_<pid>.ports` in `folder`; `called_by` is the path that the process
    /// was called by. The error is the reference's log line.
    pub(super) fn write(folder: &Path, called_by: &str, pid: u32, document: &str) -> Result<Self, String> {
        let name = called_by.rsplit('/').find(|part| !part.is_empty()).unwrap_or("natsx");
        let path = folder.join(format!("{name}_{pid}.ports"));
        match write_file(&path, PORTS_FILE_MODE, document.as_bytes()) {
            Ok(()) => Ok(Self { path }),
            Err(error) => {
                let path = path.display();
                Err(format!("Error writing ports file ({path}): open {path}: {}", io_text(&error)))
            }
        }
    }

    /// Removes the file. The error is the reference's log line.
    #[expect(clippy::disallowed_methods, reason = "the ports file is this file's job")]
    pub(super) fn remove(&self) -> Result<(), String> {
        std::fs::remove_file(&self.path).map_err(|error| {
            let path = self.path.display();
            format!("Error cleaning up ports file {path}: remove {path}: {}", io_text(&error))
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "pid and ports files are this file's job")]
fn write_file(path: &Path, mode: u32, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text)
}

/// The machine's own addresses, by interface as the system lists them; IPv6 behind IPv4. Empty where the
/// system doesn't tell.
#[expect(clippy::disallowed_methods, reason = "the system's tables are files")]
pub(super) fn own_addresses() -> Vec<IpAddr> {
    let four = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let six = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut all = ipv4_addresses(&four);
    all.extend(ipv6_addresses(&six));
    // Loopback first, as interfaces are listed.
    all.sort_by_key(|ip| !ip.is_loopback());
    all
}

/// The addresses in `/proc/net/fib_trie`: a line with the address, then one that says `/32 host LOCAL`.
fn ipv4_addresses(table: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok().map(IpAddr::V4);
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.take()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// The addresses in `/proc/net/if_inet6`: 32 hex digits at the beginning of each line.
fn ipv6_addresses(table: &str) -> Vec<IpAddr> {
    let addresses = table.lines().filter_map(|line| line.split_whitespace().next());
    let numbers = addresses.filter_map(|digits| u128::from_str_radix(digits, 16).ok());
    numbers.map(|number| IpAddr::V6(Ipv6Addr::from(number))).collect()
}

/// Any tables are read without complaint.
pub fn fuzz_own_addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut shown = String::new();
    for address in ipv4_addresses(&text).into_iter().chain(ipv6_addresses(&text)) {
        let _ = write!(shown, "{address} ");
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the files they made")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;

    fn bound(address: &str, is_tls: bool) -> Option<Bound> {
        Some(Bound { is_tls, address: address.parse().unwrap() })
    }

    fn own() -> Vec<IpAddr> {
        ["127.0.0.1", "::1", "192.0.2.2", "fd00::2"].map(|address| address.parse().unwrap()).to_vec()
    }

    #[track_caller]
    fn check(listeners: Listeners, want: &str) {
        assert_eq!(document(&listeners, &own()), want);
    }

    #[test]
    fn the_pid_file_holds_digits_only_and_belongs_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid(&path, 1_234_567).unwrap();
        write_pid(&path, 42).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "42");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_pid_file_that_cannot_be_written_is_told_in_the_references_words() {
        let want = "Could not write pidfile: open /nope/x: no such file or directory";
        assert_eq!(write_pid(Path::new("/nope/x"), 1), Err(want.to_owned()));
    }

    #[test]
    fn the_ports_file_lists_the_listeners_there_are() {
        check(Listeners::default(), "{}");
        check(
            Listeners {
                nats: bound("127.0.0.1:1", false),
                monitoring: bound("127.0.0.1:2", false),
                cluster: bound("[::1]:3", false),
                profile: bound("127.0.0.1:4", false),
                websocket: bound("127.0.0.1:5", false),
            },
            r#"{"nats":["nats://127.0.0.1:1"],"monitoring":["http://127.0.0.1:2"],"cluster":["nats://[::1]:3"],"profile":["http://127.0.0.1:4"],"websocket":["ws://127.0.0.1:5"]}"#,
        );
    }

    #[test]
    fn a_listener_on_all_addresses_lists_each() {
        let want =
            r#"{"nats":["nats://127.0.0.1:1","nats://[::1]:1","nats://192.0.2.2:1","nats://[fd00::2]:1"]}"#;
        check(Listeners { nats: bound("0.0.0.0:1", false), ..Listeners::default() }, want);
        check(Listeners { nats: bound("[::]:1", false), ..Listeners::default() }, want);
    }

    #[test]
    fn schemes_tell_of_tls() {
        check(
            Listeners {
                nats: bound("127.0.0.1:1", true),
                monitoring: bound("127.0.0.1:2", true),
                cluster: bound("127.0.0.1:3", true),
                profile: None,
                websocket: bound("127.0.0.1:5", true),
            },
            r#"{"nats":["tls://127.0.0.1:1"],"monitoring":["https://127.0.0.1:2"],"cluster":["tls://127.0.0.1:3"],"websocket":["wss://127.0.0.1:5"]}"#,
        );
    }

    #[test]
    fn the_ports_file_is_named_by_program_and_process_and_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = PortsFile::write(folder.path(), "/usr/sbin/nats-server", 7, "{}").unwrap();
        let path = folder.path().join("nats-server_7.ports");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}");
        file.remove().unwrap();
        assert!(!path.exists());
        let gone = format!(
            "Error cleaning up ports file {0}: remove {0}: no such file or directory",
            path.display()
        );
        assert_eq!(file.remove(), Err(gone));
    }

    #[test]
    fn a_ports_file_that_cannot_be_written_is_told_in_the_references_words() {
        let want =
            "Error writing ports file (/nope/n_7.ports): open /nope/n_7.ports: no such file or directory";
        assert_eq!(PortsFile::write(Path::new("/nope"), "n", 7, "{}"), Err(want.to_owned()));
    }

    #[test]
    fn own_addresses_are_read_from_the_systems_tables() {
        let four = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 192.0.2.2\n        /32 host LOCAL\nLocal:\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        let want: Vec<IpAddr> = ["127.0.0.1", "192.0.2.2"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(ipv4_addresses(four), want);
        let six = "fd000000000000000000000000000002 04 40 00 82     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        let want: Vec<IpAddr> = ["fd00::2", "::1"].map(|address| address.parse().unwrap()).to_vec();
        assert_eq!(ipv6_addresses(six), want);
    }

    #[test]
    fn this_machine_has_a_loopback_address_and_it_comes_first() {
        assert!(own_addresses().first().is_some_and(IpAddr::is_loopback));
    }

    proptest! {
        #[test]
        fn any_table_is_read(data: Vec<u8>, text in "(\\|-- [0-9.]{0,16}\n|/32 host LOCAL\n|[0-9a-f]{0,34} x\n){0,9}") {
            fuzz_own_addresses(&data);
            fuzz_own_addresses(text.as_bytes());
        }
    }
}
