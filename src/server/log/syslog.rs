//! Syslog, local and remote: datagrams and streams in the shape that the reference sends.
//!
//! ```text
//! <29>Nov 24 19:41:00 nats-server[24846]: text                    a unix socket
//! <5>2026-11-24T19:41:00+01:00 host nats-server[24846]: text      over the network
//! ```

use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;

use jiff::Timestamp as Moment;
use jiff::tz::TimeZone;

use super::level::Level;
use crate::server::base::clock::Timestamp;
use crate::server::base::io_text::io_text;

/// Sockets at which a local syslog listens, in the order of trying.
const LOCAL_SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Facility of lines to the local syslog. Reference: daemon.
const DAEMON_FACILITY: u8 = 3 << 3;

/// Facility of lines to a remote syslog. Reference: kernel, since it asks for a severity only.
const REMOTE_FACILITY: u8 = 0;

/// Where a syslog listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    /// Whatever of these takes a datagram or stream connection first.
    Local(Vec<PathBuf>),
    Unix(PathBuf),
    Udp(String),
    Tcp(String),
}

#[derive(Debug)]
enum Connection {
    Datagram(UnixDatagram),
    Unix(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// A connection to a syslog; made anew where it broke.
#[derive(Debug)]
pub(super) struct Syslog {
    address: Address,
    connection: Option<Connection>,
    facility: u8,
    head: Head,
}

/// What all messages of this process share.
#[derive(Debug)]
struct Head {
    tag: String,
    pid: u32,
    host: String,
    zone: TimeZone,
}

impl Syslog {
    /// The machine's own syslog; lines carry `tag`. Errors are the reference's words.
    pub(super) fn local(tag: &str, pid: u32, zone: TimeZone) -> Result<Self, String> {
        let sockets = LOCAL_SOCKETS.iter().map(PathBuf::from).collect();
        Self::open(Address::Local(sockets), DAEMON_FACILITY, tag, pid, zone)
    }

    /// The syslog at `url`: `udp://host:port`, `tcp://host:port` or `unix:///path`.
    pub(super) fn remote(url: &str, tag: &str, pid: u32, zone: TimeZone) -> Result<Self, String> {
        Self::open(parse(url)?, REMOTE_FACILITY, tag, pid, zone)
    }

    fn open(address: Address, facility: u8, tag: &str, pid: u32, zone: TimeZone) -> Result<Self, String> {
        let connection =
            Some(connect(&address).map_err(|error| format!("error connecting to syslog: {error:?}"))?);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { address, connection, facility, head: Head { tag: tag.to_owned(), pid, host, zone } })
    }

    /// Sends one line; after a failure once more over a new connection. What fails twice is lost, as
    /// there is nowhere to say so.
    pub(super) fn send(&mut self, at: Timestamp, level: Level, text: &str) {
        let priority = self.facility | level.severity();
        let message = match &self.connection {
            Some(Connection::Datagram(_) | Connection::Unix(_)) => self.head.local(priority, at, text),
            Some(_) => self.head.remote(priority, at, text),
            None => match self.address {
                Address::Local(_) | Address::Unix(_) => self.head.local(priority, at, text),
                Address::Udp(_) | Address::Tcp(_) => self.head.remote(priority, at, text),
            },
        };
        if self.connection.as_mut().is_some_and(|open| open.write(message.as_bytes()).is_ok()) {
            return;
        }
        self.connection = connect(&self.address).ok();
        if let Some(open) = &mut self.connection {
            let _ = open.write(message.as_bytes());
        }
    }
}

impl Head {
    fn local(&self, priority: u8, at: Timestamp, text: &str) -> String {
        let time = self.zoned(at).strftime("%b %e %H:%M:%S").to_string();
        format!("<{priority}>{time} {}[{}]: {text}{}", self.tag, self.pid, line_end(text))
    }

    fn remote(&self, priority: u8, at: Timestamp, text: &str) -> String {
        let zoned = self.zoned(at);
        let offset = if zoned.offset().seconds() == 0 { "Z" } else { "%:z" };
        let time = zoned.strftime(&format!("%Y-%m-%dT%H:%M:%S{offset}")).to_string();
        format!("<{priority}>{time} {} {}[{}]: {text}{}", self.host, self.tag, self.pid, line_end(text))
    }

    fn zoned(&self, at: Timestamp) -> jiff::ZonedDateTime {
        Moment::from_nanosecond(i128::from(at.nanos()))
            .unwrap_or(Moment::MAX)
            .to_zoned_datetime(self.zone.clone())
    }
}

fn line_end(text: &str) -> &'static str {
    if text.ends_with('\n') { "" } else { "\n" }
}

impl Connection {
    fn write(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Datagram(socket) => socket.send(message).map(drop),
            Self::Udp(socket) => socket.send(message).map(drop),
            Self::Unix(stream) => stream.write_all(message),
            Self::Tcp(stream) => stream.write_all(message),
        }
    }
}

fn parse(url: &str) -> Result<Address, String> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err("error invalid network type: \"\"".to_owned());
    };
    if scheme.is_empty() {
        return Err(format!("parse {url:?}: missing protocol scheme"));
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    match scheme.to_ascii_lowercase().as_str() {
        "udp" => Ok(Address::Udp(host.to_owned())),
        "tcp" => Ok(Address::Tcp(host.to_owned())),
        "unix" => Ok(Address::Unix(PathBuf::from(path))),
        other => Err(format!("error invalid network type: {other:?}")),
    }
}

fn connect(address: &Address) -> Result<Connection, String> {
    match address {
        Address::Local(sockets) => sockets
            .iter()
            .find_map(|path| datagram(path).or_else(|_| UnixStream::connect(path).map(Connection::Unix)).ok())
            .ok_or_else(|| "Unix syslog delivery error".to_owned()),
        Address::Unix(path) => UnixStream::connect(path)
            .map(Connection::Unix)
            .map_err(|error| format!("dial unix {}: connect: {}", path.display(), io_text(&error))),
        Address::Udp(host) => {
            let target = resolve("udp", host)?;
            let any = if target.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).and_then(|socket| socket.connect(target).map(|()| socket));
            socket.map(Connection::Udp).map_err(|error| format!("dial udp {target}: {}", io_text(&error)))
        }
        Address::Tcp(host) => {
            let target = resolve("tcp", host)?;
            TcpStream::connect(target)
                .map(Connection::Tcp)
                .map_err(|error| format!("dial tcp {target}: connect: {}", io_text(&error)))
        }
    }
}

fn datagram(path: &PathBuf) -> io::Result<Connection> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(Connection::Datagram(socket))
}

fn resolve(network: &str, host: &str) -> Result<std::net::SocketAddr, String> {
    let name = host.rsplit_once(':').map(|(name, _)| name);
    let Some(name) = name else {
        return Err(format!("dial {network}: address {host}: missing port in address"));
    };
    let none = || format!("dial {network}: lookup {name}: no such host");
    host.to_socket_addrs().map_err(|_| none())?.next().ok_or_else(none)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the files they made")]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    const AT: Timestamp = Timestamp::from_nanos(1_795_549_109_618_090_123);

    fn zone() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(2))
    }

    fn remote(url: &str) -> Syslog {
        Syslog {
            head: Head { host: "vm".to_owned(), ..remote_head() },
            ..Syslog::remote(url, "t", 7, zone()).unwrap()
        }
    }

    fn remote_head() -> Head {
        Head { tag: "t".to_owned(), pid: 7, host: "vm".to_owned(), zone: zone() }
    }

    /// Sends a line of each level and gives what `next` receives for each.
    fn exchange(mut log: Syslog, mut next: impl FnMut() -> String) -> Vec<String> {
        let levels = [Level::Notice, Level::Warn, Level::Error, Level::Fatal, Level::Debug, Level::Trace];
        let mut got = Vec::new();
        for level in levels {
            log.send(AT, level, "hi");
            got.push(next());
        }
        got
    }

    fn datagram_text(receive: impl Fn(&mut [u8]) -> io::Result<usize>) -> String {
        let mut buffer = [0; 1024];
        let size = receive(&mut buffer).unwrap();
        String::from_utf8(buffer[..size].to_vec()).unwrap()
    }

    const OVER_NETWORK: [&str; 6] = [
        "<5>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
        "<4>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
        "<3>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
        "<2>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
        "<7>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
        "<5>2026-11-24T21:38:29+02:00 vm t[7]: hi\n",
    ];

    #[test]
    fn a_remote_syslog_over_udp_gets_a_datagram_a_line() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let url = format!("udp://{}", socket.local_addr().unwrap());
        assert_eq!(exchange(remote(&url), || datagram_text(|buffer| socket.recv(buffer))), OVER_NETWORK);
    }

    #[test]
    fn a_remote_syslog_over_tcp_gets_lines() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let log = remote(&format!("tcp://{}", listener.local_addr().unwrap()));
        let mut peer = listener.accept().unwrap().0;
        let mut buffer = [0; 41];
        let got = exchange(log, || {
            peer.read_exact(&mut buffer).unwrap();
            String::from_utf8(buffer.to_vec()).unwrap()
        });
        assert_eq!(got, OVER_NETWORK);
    }

    #[test]
    fn a_remote_syslog_at_a_unix_socket_gets_lines_without_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let mut log = remote(&format!("unix://{}", path.display()));
        log.send(AT, Level::Notice, "hi");
        drop(log);
        let mut got = String::new();
        listener.accept().unwrap().0.read_to_string(&mut got).unwrap();
        assert_eq!(got, "<5>Nov 24 21:38:29 t[7]: hi\n");
    }

    #[test]
    fn the_local_syslog_gets_datagrams_of_the_daemon_facility() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let address = Address::Local(vec![folder.path().join("none"), path]);
        let log = Syslog::open(address, DAEMON_FACILITY, "t", 7, zone()).unwrap();
        let got = exchange(log, || datagram_text(|buffer| socket.recv(buffer)));
        let priorities: Vec<&str> =
            got.iter().filter_map(|line| line.split_once("Nov").map(|cut| cut.0)).collect();
        assert_eq!(priorities, ["<29>", "<28>", "<27>", "<26>", "<31>", "<29>"]);
        assert_eq!(got.first().unwrap(), "<29>Nov 24 21:38:29 t[7]: hi\n");
    }

    #[test]
    fn a_line_after_a_broken_connection_goes_over_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut log = Syslog::open(Address::Local(vec![path.clone()]), 0, "t", 7, zone()).unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        log.send(AT, Level::Notice, "lost");
        let second = UnixDatagram::bind(&path).unwrap();
        log.send(AT, Level::Notice, "kept");
        assert!(datagram_text(|buffer| second.recv(buffer)).ends_with("kept\n"));
    }

    #[test]
    fn days_below_ten_are_padded_with_a_space_and_utc_is_z() {
        let head = Head { zone: TimeZone::UTC, ..remote_head() };
        let at = Timestamp::from_nanos(1_793_491_200_000_000_000);
        assert_eq!(head.local(5, at, "x\n"), "<5>Nov  1 00:00:00 t[7]: x\n");
        assert_eq!(head.remote(5, at, "x"), "<5>2026-11-01T00:00:00Z vm t[7]: x\n");
    }

    #[test]
    fn wrong_urls_and_deaf_hosts_are_refused_in_the_references_words() {
        for (url, want) in [
            ("foo://x", "error invalid network type: \"foo\""),
            ("x", "error invalid network type: \"\""),
            ("://x", "parse \"://x\": missing protocol scheme"),
            (
                "udp://127.0.0.1",
                "error connecting to syslog: \"dial udp: address 127.0.0.1: missing port in address\"",
            ),
            (
                "tcp://127.0.0.1:1",
                "error connecting to syslog: \"dial tcp 127.0.0.1:1: connect: connection refused\"",
            ),
            (
                "unix:///nope",
                "error connecting to syslog: \"dial unix /nope: connect: no such file or directory\"",
            ),
        ] {
            assert_eq!(Syslog::remote(url, "t", 7, zone()).unwrap_err(), want, "{url}");
        }
    }
}
