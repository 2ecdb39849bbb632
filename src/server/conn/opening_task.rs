//! What happens on a connection before its session reads: greeting, PROXY preamble, TLS handshake.
//!
//! ```text
//! greet ----> (preamble?) ----> (TLS asked for?) --handshake--> session
//!   '- after the handshake, where TLS comes first
//! ```
//!
//! One task a connection of a listener with TLS or behind proxies; it ends by becoming the read task. Handshakes cost
//! milliseconds of computing: the listener's gate lets few of them compute at once, so that a thousand
//! clients that come together do not hold up those that are connected. Where responders are asked about
//! clients, steps are made on threads that may block; who waits for a responder leaves its turn to others.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::time::{Instant, timeout_at};

use super::context::Context;
use super::read_task::Connection;
use super::session::Session;
use super::tls_gate::TlsGate;
use super::worker;
use crate::server::base::base64::Base64;
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::config::options::HandshakeFirst;
use crate::server::delivery::Courier;
use crate::server::events::{
    CertificateInfo, ocsp_link_subject, ocsp_reject_subject, write_ocsp_link, write_ocsp_reject,
};
use crate::server::net::ocsp_peer::InvalidLink;
use crate::server::net::ocsp_turn::Turn;
use crate::server::net::proxy::{self, Missing, Preamble};
use crate::server::net::tls_error::HandshakeError;
use crate::server::net::tls_stream::{Handshake, Handshaking, TlsStream};
use crate::server::net::{PeerCertificate, Transport};
use crate::server::outbound::Outbound;
use crate::server::protocol::error::{CloseReason, WireError};

/// Time for a PROXY preamble. Reference: 5 s.
const PREAMBLE_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a client inside this process has to begin with TLS, where TLS comes first. Reference: 50 ms.
const IN_PROCESS_FALLBACK: Duration = Duration::from_millis(50);

/// Bytes that tell TLS from a client without it, or a preamble from both. Reference: 6.
const SNIFFED_BYTES: usize = 6;

/// Bytes read at once before the session reads. A preamble has at most 64 KiB.
const READ_BYTES: usize = 512;

/// How a connection begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who connects; `None` where it is this process. Of a connection that was reset the system no longer knows.
    pub peer: Option<SocketAddr>,
    /// A PROXY preamble may come.
    pub preamble: bool,
    /// The listener's TLS, if it has some.
    pub tls: Option<OpeningTls>,
}

/// The part of TLS in that.
#[derive(Debug, Clone)]
pub struct OpeningTls {
    /// What the listener's connections share.
    pub gate: Arc<TlsGate>,
    /// How the handshake is made.
    pub config: Arc<ServerConfig>,
    /// Steps of it may wait for responders.
    pub waits: bool,
    /// TLS begins before the greeting.
    pub first: HandshakeFirst,
    /// Clients may stay without TLS.
    pub optional: bool,
    /// Time for the handshake.
    pub timeout: Duration,
    /// Digests of the public keys that are accepted, in hexadecimal digits; `None` is any.
    pub pinned: Option<BTreeSet<String>>,
}

/// What a session does before it reads.
pub trait Opens: Session {
    /// The connection is there.
    fn created(&mut self);

    /// Stages what the peer is told first.
    fn greet(&mut self, greeting: Greeting, courier: &mut Courier);

    /// The PROXY preamble is over; it may have named the peer.
    fn preamble_read(&mut self, source: Option<SocketAddr>);

    /// The PROXY preamble is none: says so, and why the connection ends.
    fn preamble_failed(&self, error: &str) -> CloseReason;

    /// Stages an error that closes the connection.
    fn refuse(&mut self, error: WireError<'_>, courier: &mut Courier);
}

/// When a peer is greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// At once.
    Plain,
    /// Behind the handshake that came first.
    BehindHandshake,
}

/// How waiting for bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// They are there.
    Enough,
    /// The peer has closed its side before.
    Ended,
    /// They did not come in time.
    Late,
}

/// How long a PROXY preamble may take.
struct Patience {
    until: Timestamp,
    /// It is known that one comes.
    is_one: bool,
}

impl Patience {
    fn new(now: Timestamp) -> Self {
        Self { until: now + PREAMBLE_TIME_MAX, is_one: false }
    }

    /// Some of it has come, this has not. Once it is known to be one, it has its time anew.
    fn go_on(&mut self, now: Timestamp, missing: Missing) {
        if missing.is_behind_version() && !std::mem::replace(&mut self.is_one, true) {
            self.until = now + PREAMBLE_TIME_MAX;
        }
    }
}

/// Starts the task. The caller has put `outbound` into the table.
#[expect(clippy::disallowed_methods, reason = "the place where connections start that have more to do first")]
pub fn start<S: Opens>(
    context: &Arc<Context>,
    transport: Arc<Transport>,
    outbound: Arc<Outbound>,
    session: S,
    opening: Opening,
) {
    context.table.began();
    let connection = Connection::new(context, transport, outbound, session);
    tokio::spawn(async move {
        let mut task = OpeningTask { connection, opening, early: Vec::new() };
        match task.run_guarded().await {
            Ok(()) => task.connection.go_on_from(&task.early),
            Err(reason) => task.connection.finish(reason).await,
        }
    });
}

struct OpeningTask<S> {
    connection: Connection<S>,
    opening: Opening,
    /// What was read and belongs to whoever reads next.
    early: Vec<u8>,
}

impl<S: Opens> OpeningTask<S> {
    /// [`Self::run`]; a panic in it closes this connection and no other.
    async fn run_guarded(&mut self) -> Result<(), CloseReason> {
        let outcome = {
            let mut run = std::pin::pin!(self.run());
            poll_fn(|context| {
                catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context)))
                    .map_or_else(|_| Poll::Ready(None), |polled| polled.map(Some))
            })
            .await
        };
        outcome.unwrap_or_else(|| {
            let label = self.connection.outbound.label();
            let logger = &self.connection.context.logger;
            logger.error(format_args!("{label} - Internal error, closing this connection"));
            Err(CloseReason::InternalClient)
        })
    }

    /// Opens the connection unless somebody asks for its end.
    async fn run(&mut self) -> Result<(), CloseReason> {
        let outbound = Arc::clone(&self.connection.outbound);
        tokio::select! {
            biased;
            reason = outbound.told_to_close() => Err(reason),
            opened = self.open() => opened,
        }
    }

    async fn open(&mut self) -> Result<(), CloseReason> {
        self.connection.session.created();
        if let Some(tls) = self.opening.tls.take() {
            return self.open_with(&tls).await;
        }
        self.greet(Greeting::Plain);
        self.preamble().await?;
        Ok(())
    }

    /// In the reference's order.
    async fn open_with(&mut self, tls: &OpeningTls) -> Result<(), CloseReason> {
        let in_process = self.opening.peer.is_none();
        let (mut first, fallback) = match tls.first {
            HandshakeFirst::Off => (false, None),
            HandshakeFirst::On => (true, in_process.then_some(IN_PROCESS_FALLBACK)),
            HandshakeFirst::Fallback(span) => (true, Some(span)),
        };
        if !first {
            self.greet(Greeting::Plain);
        }
        if let Some(span) = fallback {
            self.read_until(1, Instant::now() + span).await?;
            if self.early.is_empty() {
                first = false;
                self.greet(Greeting::Plain);
            }
        }
        let optional = !first && (in_process || tls.optional);
        if optional {
            self.read_until(SNIFFED_BYTES, Instant::now() + tls.timeout).await?;
        }
        let had_preamble = self.preamble().await?;
        if had_preamble && optional {
            self.read_until(1, Instant::now() + tls.timeout).await?;
        }
        if optional && !begins_handshake(&self.early) {
            return Ok(());
        }
        if !tls.gate.rate.allow(self.connection.context.clock.now()) {
            self.stage(|session, courier| session.refuse(WireError::Throttled, courier));
            return Err(CloseReason::MaxConnectionsExceeded);
        }
        self.secure(tls).await?;
        if first {
            self.greet(Greeting::BehindHandshake);
        }
        Ok(())
    }

    fn greet(&mut self, greeting: Greeting) {
        self.stage(|session, courier| session.greet(greeting, courier));
    }

    fn stage(&mut self, work: impl FnOnce(&mut S, &mut Courier)) {
        worker::with(|worker| {
            work(&mut self.connection.session, &mut worker.courier);
            self.connection.flush(&mut worker.courier);
        });
    }

    /// Reads until `count` bytes are there, the peer has closed, or `deadline` has come.
    async fn read_until(&mut self, count: usize, deadline: Instant) -> Result<Arrival, CloseReason> {
        let transport = Arc::clone(&self.connection.transport);
        while self.early.len() < count {
            let mut buffer = [0; READ_BYTES];
            match transport.read(&mut buffer) {
                Ok(0) => return Ok(Arrival::Ended),
                Ok(read) => self.early.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if timeout_at(deadline, readable(&transport)).await.is_err() {
                        return Ok(Arrival::Late);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(CloseReason::ReadError),
            }
        }
        Ok(Arrival::Enough)
    }

    /// Takes the PROXY preamble, if one may come, off what comes; says whether there was one.
    async fn preamble(&mut self) -> Result<bool, CloseReason> {
        if !self.opening.preamble {
            return Ok(false);
        }
        let mut patience = Patience::new(self.connection.context.clock.now());
        let mut need = SNIFFED_BYTES;
        loop {
            let left = patience.until.since(self.connection.context.clock.now());
            let arrival = self.read_until(need, Instant::now() + left).await?;
            let failure = match (proxy::parse(&self.early), arrival) {
                (Ok(Preamble::More { need: more, missing }), Arrival::Enough) => {
                    need = more;
                    patience.go_on(self.connection.context.clock.now(), missing);
                    continue;
                }
                (Ok(Preamble::More { missing, .. }), Arrival::Ended) => missing.ended(),
                (Ok(Preamble::More { missing, .. }), Arrival::Late) => {
                    missing.late(&self.connection.transport.link())
                }
                (Ok(Preamble::Absent), _) => return Ok(self.preamble_read(None, 0)),
                (Ok(Preamble::Present { source, length }), _) => {
                    return Ok(self.preamble_read(source, length));
                }
                (Err(error), _) => error.to_string(),
            };
            return Err(self.connection.session.preamble_failed(&failure));
        }
    }

    /// The first `length` bytes are the preamble; says whether that is any.
    fn preamble_read(&mut self, source: Option<SocketAddr>, length: usize) -> bool {
        self.early.drain(..length.min(self.early.len()));
        self.connection.session.preamble_read(source);
        length > 0
    }

    /// Makes the handshake and tells the log how it went.
    async fn secure(&mut self, opening: &OpeningTls) -> Result<(), CloseReason> {
        self.debug(format_args!("Starting TLS client connection handshake"));
        let transport = Arc::clone(&self.connection.transport);
        let Some(tls) = transport.tls() else { return Err(CloseReason::TlsHandshakeError) };
        let deadline = Instant::now() + opening.timeout;
        let ends = transport.local().zip(self.opening.peer);
        let outcome = match timeout_at(deadline, self.handshake(opening, &transport, tls, deadline)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                self.debug(format_args!("TLS handshake timeout"));
                Err(HandshakeError::TimedOut)
            }
        };
        match outcome {
            Ok(()) => {
                let state = tls.state().unwrap_or_default();
                self.debug(format_args!("TLS handshake complete"));
                self.debug(format_args!("TLS version {}, cipher suite {}", state.version, state.cipher));
                Ok(())
            }
            Err(error) => {
                self.failed(&error, ends);
                Err(CloseReason::TlsHandshakeError)
            }
        }
    }

    async fn handshake(
        &mut self,
        opening: &OpeningTls,
        transport: &Arc<Transport>,
        tls: &TlsStream,
        deadline: Instant,
    ) -> Result<(), HandshakeError> {
        let mut session = tls.begin(Arc::clone(&opening.config), &std::mem::take(&mut self.early))?;
        loop {
            let step;
            (session, step) = step_of(opening, transport, session, deadline).await?;
            if step.as_ref().err().is_some_and(|error| !error.is_probe()) {
                opening.gate.note_use();
            }
            match step? {
                Handshake::Done => break,
                Handshake::WaitsForPeer => readable(transport).await.map_err(HandshakeError::Socket)?,
                Handshake::WaitsForSocket => transport.writable().await.map_err(HandshakeError::Socket)?,
            }
        }
        opening.gate.note_use();
        tls.establish(session);
        self.check_pinned(opening.pinned.as_ref(), tls)
    }

    /// As the reference, tells the system account of who is turned away.
    fn tell_of_responders(&self, peer: &[u8], links: &[InvalidLink], text: &str) {
        let peer = certificate_info(peer);
        self.connection.context.speak(|herald, occasion| {
            for link in links {
                herald.tell(occasion, &ocsp_link_subject(herald.server_id()), |stamp, out| {
                    write_ocsp_link(stamp, &certificate_info(&link.certificate), &peer, &link.reason, out);
                });
            }
            herald.tell(occasion, &ocsp_reject_subject(herald.server_id()), |stamp, out| {
                write_ocsp_reject(stamp, "Client", &peer, text, out);
            });
        });
    }

    /// Whether the peer's key is among those accepted.
    fn check_pinned(&self, pinned: Option<&BTreeSet<String>>, tls: &TlsStream) -> Result<(), HandshakeError> {
        let Some(pinned) = pinned else { return Ok(()) };
        let Some(key) = tls.state().unwrap_or_default().public_key_hex() else {
            self.debug(format_args!("Failed pinned cert test as client did not provide a certificate"));
            return Err(HandshakeError::NotPinned);
        };
        if pinned.contains(&key) {
            return Ok(());
        }
        self.debug(format_args!("Failed pinned cert test for key id: {key}"));
        Err(HandshakeError::NotPinned)
    }

    fn failed(&self, error: &HandshakeError, ends: Option<(SocketAddr, SocketAddr)>) {
        let text = error.text(ends);
        if let HandshakeError::NotOcspValid { peer, links } = error {
            self.tell_of_responders(peer, links, &text);
        }
        if error.is_probe() {
            self.debug(format_args!("TLS handshake error: {text}"));
            return;
        }
        let label = self.connection.outbound.label();
        self.connection.context.logger.error(format_args!("{label} - TLS handshake error: {text}"));
    }

    fn debug(&self, text: fmt::Arguments<'_>) {
        let logger = &self.connection.context.logger;
        if logger.is_debug() {
            logger.debug(format_args!("{} - {text}", self.connection.outbound.label()));
        }
    }
}

/// One step of the handshake, when its turn has come; a step that may wait for responders on a thread that may.
async fn step_of(
    opening: &OpeningTls,
    transport: &Arc<Transport>,
    mut session: Handshaking,
    deadline: Instant,
) -> Result<(Handshaking, Result<Handshake, HandshakeError>), HandshakeError> {
    let ended = || HandshakeError::Library(rustls::Error::General("the handshake has ended".into()));
    // Errors would say that a semaphore is closed, which it never is.
    if !opening.waits {
        let _computing = opening.gate.computing.acquire().await;
        let step = transport.tls().ok_or_else(ended)?.handshake(&mut session);
        return Ok((session, step));
    }
    let turn = Turn::new(&opening.gate.computing, &opening.gate.asking, deadline).await;
    let transport = Arc::clone(transport);
    let stepped = tokio::task::spawn_blocking(move || {
        let step = transport.tls().map_or(Ok(Handshake::Done), |tls| tls.handshake_in(turn, &mut session));
        (session, step)
    });
    stepped.await.map_err(|_| ended())
}

/// Whether the first bytes are those of a TLS handshake.
fn begins_handshake(bytes: &[u8]) -> bool {
    /// The record type of handshakes.
    const HANDSHAKE: u8 = 0x16;
    bytes.first() == Some(&HANDSHAKE)
}

/// A certificate as events show it.
fn certificate_info(der: &[u8]) -> CertificateInfo {
    let facts = PeerCertificate::from_der(der);
    CertificateInfo {
        subject: facts.as_ref().map(|facts| facts.subject.text()).unwrap_or_default(),
        issuer: PeerCertificate::issuer_of(der).map(|issuer| issuer.text()).unwrap_or_default(),
        fingerprint: facts
            .map(|facts| Base64::Standard.encode(&facts.certificate_sha256))
            .unwrap_or_default(),
        raw: Base64::Standard.encode(der),
    }
}

async fn readable(transport: &Transport) -> io::Result<()> {
    poll_fn(|context| transport.poll_read_ready(context)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patience: &mut Patience, at_ms: u64, bytes: &[u8], want_ms: u64) {
        let at = |ms: u64| Timestamp::from_nanos(ms * 1_000_000);
        let Ok(Preamble::More { missing, .. }) = proxy::parse(bytes) else { panic!("{bytes:?} is whole") };
        patience.go_on(at(at_ms), missing);
        assert_eq!(patience.until, at(want_ms), "{bytes:?}");
    }

    #[test]
    fn preamble_has_five_seconds_and_five_more_once_it_is_known_to_be_one() {
        let mut patience = Patience::new(Timestamp::default());
        check(&mut patience, 1000, b"PRO", 5000);
        check(&mut patience, 3000, b"PROXY TCP4", 8000);
        check(&mut patience, 4000, b"PROXY TCP4 192.0.2.7", 8000);
    }
}
