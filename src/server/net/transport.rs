//! One byte stream to a peer, whatever carries it.
//!
//! Reads and writes never block: who gets `WouldBlock` waits for readiness. One party at a time writes,
//! and after a short write it offers the bytes that were not taken first again: TLS counts on it.
//! WebSocket will be a further variant; the in-process variant serves embedders.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use super::tls_stream::{Send, TlsStream};

/// A connected stream, registered with the runtime.
#[derive(Debug)]
pub enum Transport {
    /// A TCP connection.
    Tcp(TcpStream),
    /// One end of a socket pair inside this process.
    InProcess(UnixStream),
    /// One of the others, which becomes a TLS session once a handshake begins.
    Tls(Box<TlsStream>),
}

impl Transport {
    /// The peer's address; `None` where the peer is this process, or is gone.
    fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::InProcess(_) => None,
            Self::Tls(tls) => tls.under().peer(),
        }
    }

    /// Our own address; `None` where the peer is this process.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::InProcess(_) => None,
            Self::Tls(tls) => tls.under().local(),
        }
    }

    /// Both addresses, as errors of the system name a connection.
    pub fn link(&self) -> String {
        let text = |address: Option<SocketAddr>| address.map(|it| it.to_string()).unwrap_or_default();
        format!("{}->{}", text(self.local()), text(self.peer()))
    }

    /// The TLS session that this is or may become.
    pub const fn tls(&self) -> Option<&TlsStream> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Tcp(_) | Self::InProcess(_) => None,
        }
    }

    /// Whether the peer sends nothing any more, whatever of it has not been read.
    pub fn has_ended(&self) -> bool {
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::InProcess(stream) => stream.as_fd(),
            Self::Tls(tls) => return tls.under().has_ended(),
        };
        let ends = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut asked = [PollFd::new(&descriptor, ends)];
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        let answered = rustix::event::poll(&mut asked, Some(&no_wait)).is_ok();
        answered && asked.iter().any(|answer| answer.revents().intersects(ends))
    }

    /// Ready once bytes can be read or the peer has closed.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::InProcess(stream) => stream.poll_read_ready(context),
            Self::Tls(tls) => tls.poll_read_ready(context),
        }
    }

    /// Reads what is there, at most `buffer.len()` bytes; 0 means that the peer has closed.
    ///
    /// A short read proves the socket empty, so readiness is cleared with it: the next poll waits
    /// instead of spending a call on `WouldBlock`.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Self::Tls(tls) = self {
            return tls.read(buffer);
        }
        let mut outcome = Err(io::ErrorKind::WouldBlock.into());
        let attempt = || {
            let read = match self {
                Self::Tcp(stream) => rustix::io::read(stream.as_fd(), &mut *buffer),
                Self::InProcess(stream) => rustix::io::read(stream.as_fd(), &mut *buffer),
                Self::Tls(_) => Err(rustix::io::Errno::AGAIN),
            }?;
            outcome = Ok(read);
            if 0 < read && read < buffer.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        let result = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, attempt),
            Self::InProcess(stream) => stream.try_io(Interest::READABLE, attempt),
            Self::Tls(_) => Ok(()),
        };
        match (outcome, result) {
            (Ok(read), _) => Ok(read),
            (Err(error), Ok(())) | (Err(_), Err(error)) => Err(error),
        }
    }

    /// Writes as much as the socket takes now.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::InProcess(stream) => stream.try_write(bytes),
            Self::Tls(tls) => tls.write(&[IoSlice::new(bytes)], Send::WhenReady),
        }
    }

    /// [`Self::try_write`] for several pieces.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(slices),
            Self::InProcess(stream) => stream.try_write_vectored(slices),
            Self::Tls(tls) => tls.write(slices, Send::WhenReady),
        }
    }

    /// Writes as much as the socket takes now, without asking the runtime first: for whoever hands
    /// over to a task that waits when the socket is full. A fresh stream, of which the runtime knows
    /// nothing yet, is written to at once this way.
    pub fn write_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Self::Tcp(stream) => rustix::io::write(stream, bytes),
            Self::InProcess(stream) => rustix::io::write(stream, bytes),
            Self::Tls(tls) => return tls.write(&[IoSlice::new(bytes)], Send::Now),
        };
        Ok(written?)
    }

    /// [`Self::write_now`] for several pieces.
    pub fn write_now_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = match self {
            Self::Tcp(stream) => rustix::io::writev(stream, slices),
            Self::InProcess(stream) => rustix::io::writev(stream, slices),
            Self::Tls(tls) => return tls.write(slices, Send::Now),
        };
        Ok(written?)
    }

    /// Ends both directions; whoever waits for readiness is woken.
    pub fn shutdown(&self) {
        // An error says that the peer ended it before us.
        let _ = match self {
            Self::Tcp(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Both),
            Self::InProcess(stream) => rustix::net::shutdown(stream, rustix::net::Shutdown::Both),
            Self::Tls(tls) => return tls.shutdown(),
        };
    }

    /// Completes when the socket may take bytes again.
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_write_ready(context)).await
    }

    /// Ready once the socket may take bytes.
    pub fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(context),
            Self::InProcess(stream) => stream.poll_write_ready(context),
            Self::Tls(tls) => tls.under().poll_write_ready(context),
        }
    }
}
