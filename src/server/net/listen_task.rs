//! Accepts connections on one listening socket.
//!
//! The gate says whether connections are taken: paused, they wait in the kernel's queue (a reload is
//! under way); shut, the socket is closed and the task ends (lame duck, stop).

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::timeout;

/// Waits after an accept error that may pass. Reference: 10 ms, doubling to 1 s.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Connections that wait to be accepted; the kernel bounds this by `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

/// Whether connections are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They are.
    Open,
    /// They wait.
    Paused,
    /// The socket is closed.
    Shut,
}

/// What a listener does with what happens to it.
pub trait Accept: Send + 'static {
    /// A connection was accepted.
    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr);

    /// Accepting failed for a reason that may pass; the next try is after `pause`.
    fn failed_for_now(&mut self, error: &io::Error, pause: Duration);

    /// Accepting failed; the next try is at once.
    fn failed(&mut self, error: &io::Error);
}

/// Listens on all addresses that `host` and `port` stand for. Port 0 is one that the system chooses.
///
/// An unspecified IPv4 address listens on IPv6 as well, where the machine has it, as the reference's
/// does. Addresses after the first may fail: the machine may not have them.
pub async fn listen(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => {
            let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
            if let Ok(listener) = bind(any) {
                return Ok(vec![listener]);
            }
            vec![SocketAddr::new(address, port)]
        }
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => {
            let mut found: Vec<_> = lookup_host((host, port)).await?.collect();
            found.sort_by_key(SocketAddr::is_ipv6);
            found.dedup();
            found
        }
    };
    let mut addresses = addresses.into_iter();
    let first = addresses.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let first = bind(first)?;
    let port = first.local_addr()?.port();
    let others = addresses.filter_map(|address| bind(SocketAddr::new(address.ip(), port)).ok());
    Ok(std::iter::once(first).chain(others.collect::<Vec<_>>()).collect())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    if address.is_ipv6() {
        let both = address.ip().is_unspecified();
        rustix::net::sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until the gate shuts. The socket is closed before the gate's receiver is dropped: who waits
/// for the receivers to go knows that nobody can connect any more.
pub async fn run(listener: TcpListener, mut gate: watch::Receiver<Gate>, accept: impl Accept) {
    accept_until_shut(&listener, &mut gate, accept).await;
    drop(listener);
    drop(gate);
}

async fn accept_until_shut(
    listener: &TcpListener,
    gate: &mut watch::Receiver<Gate>,
    mut accept: impl Accept,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let state = *gate.borrow_and_update();
        match state {
            Gate::Shut => return,
            Gate::Paused => {
                if gate.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Gate::Open => {}
        }
        let accepted = tokio::select! {
            changed = gate.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                backoff = BACKOFF_MIN;
                accept.accepted(stream, canonical(peer));
            }
            Err(error) if may_pass(&error) => {
                accept.failed_for_now(&error, backoff);
                let _ = timeout(backoff, gate.changed()).await;
                gate.mark_changed();
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
            Err(error) => accept.failed(&error),
        }
    }
}

/// An IPv4 peer of a socket for both families comes as a mapped address.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Out of file descriptors or buffers: others may give some back.
fn may_pass(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(
        code,
        Some(
            rustix::io::Errno::MFILE
                | rustix::io::Errno::NFILE
                | rustix::io::Errno::NOBUFS
                | rustix::io::Errno::NOMEM
                | rustix::io::Errno::CONNABORTED
                | rustix::io::Errno::INTR
        )
    )
}
