//! A stream that may become a TLS session, and the session: from then on bytes are encrypted.
//!
//! The session is behind a leaf lock: the reader decrypts under it, whoever has the right to write
//! encrypts and sends under it. It owns no buffers while idle: both work in scratch space of the thread.
//!
//! What was encrypted and not taken by the socket is kept. A write then reports the plaintext of whole
//! records that are out, and withholds the rest: whoever writes offers it again, as after any short
//! write, and it counts as written once its ciphertext is gone. So nothing outside knows that a socket
//! full of ciphertext differs from a socket full of text.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};

use super::cipher;
use super::client_verifier;
use super::ocsp_turn::Turn;
use super::peer_certificate::PeerCertificate;
use super::tls_error::{self, HandshakeError, MESSAGE_BYTES_MAX};
use super::transport::Transport;

/// Plaintext of one record. TLS: 2^14.
const RECORD_BYTES_MAX: usize = 16 << 10;

/// A record as it is sent: header, nonce, tag and padding included. TLS 1.2: 2^14 + 2048 + 5.
const WIRE_RECORD_BYTES_MAX: usize = RECORD_BYTES_MAX + 2048 + 5;

/// Records encrypted for one call to the socket.
const RECORDS_A_WRITE_MAX: usize = 4;

/// Ciphertext read with one call, behind what was left of a record.
const READ_BYTES_MAX: usize = 64 << 10;

/// A stream with a TLS session, or before it.
pub struct TlsStream {
    under: Transport,
    session: OnceLock<Mutex<Session>>,
    /// A session is being agreed on: nothing may be written in the clear any more.
    begun: AtomicBool,
    /// Decrypted bytes wait inside the session: it can be read without the socket.
    readable: AtomicBool,
}

/// What a peer and this server have agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsState {
    /// `1.3`.
    pub version: &'static str,
    /// The registered name of the cipher suite.
    pub cipher: &'static str,
    /// The peer's certificates in DER, its own first; empty where none was asked for.
    pub peer_chain: Vec<Vec<u8>>,
}

impl TlsState {
    /// SHA-256 of the peer's public key, as `pinned_certs` names it; `None` where it showed no certificate.
    pub fn public_key_hex(&self) -> Option<String> {
        let leaf = self.peer_chain.first()?;
        PeerCertificate::from_der(leaf).ok().map(|leaf| leaf.public_key_sha256_hex())
    }
}

/// A session that is being agreed on. Who makes the handshake owns it, so that nobody waits for a lock
/// while a step of it takes long.
pub struct Handshaking(Session);

/// How far a handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The session stands.
    Done,
    /// It waits for the peer.
    WaitsForPeer,
    /// It waits for room in the socket.
    WaitsForSocket,
}

/// How bytes are handed to the socket.
#[derive(Debug, Clone, Copy)]
pub(super) enum Send {
    /// At once, whatever the runtime knows.
    Now,
    /// If the runtime takes the socket for ready; a full one is noticed for [`Transport::writable`].
    WhenReady,
}

impl TlsStream {
    /// A stream that is plain until [`Self::begin`].
    pub fn new(under: Transport) -> Self {
        Self {
            under,
            session: OnceLock::new(),
            begun: AtomicBool::new(false),
            readable: AtomicBool::new(false),
        }
    }

    /// The stream below.
    pub(super) const fn under(&self) -> &Transport {
        &self.under
    }

    /// Begins a session, as the side that accepts; `early` are bytes of it that were read already.
    pub fn begin(&self, config: Arc<ServerConfig>, early: &[u8]) -> Result<Handshaking, HandshakeError> {
        let connection = UnbufferedServerConnection::new(config).map_err(HandshakeError::Library)?;
        self.begun.store(true, Ordering::Relaxed);
        Ok(Handshaking(Session {
            connection,
            rest: early.to_vec(),
            plain: Vec::new(),
            unsent: Vec::new(),
            withheld: 0,
            heard: false,
            answered: false,
            closed: false,
        }))
    }

    /// Takes a handshake as far as it goes now.
    pub fn handshake(&self, handshaking: &mut Handshaking) -> Result<Handshake, HandshakeError> {
        handshaking.0.handshake(&self.under)
    }

    /// The same where it may wait for responders: on a thread that may block.
    pub fn handshake_in(
        &self,
        turn: Turn,
        handshaking: &mut Handshaking,
    ) -> Result<Handshake, HandshakeError> {
        client_verifier::in_turn(turn, || self.handshake(handshaking))
    }

    /// From now on the session that was agreed on encrypts what is written. A second call does nothing.
    pub fn establish(&self, agreed: Handshaking) {
        self.readable.store(!agreed.0.plain.is_empty(), Ordering::Relaxed);
        let _ = self.session.set(Mutex::new(agreed.0));
    }

    /// What was agreed on, once the session stands.
    pub fn state(&self) -> Option<TlsState> {
        let session = self.session.get()?.lock();
        if session.connection.is_handshaking() {
            return None;
        }
        let chain = session.connection.peer_certificates().unwrap_or_default();
        Some(TlsState {
            version: cipher::version_text(session.connection.protocol_version()),
            cipher: cipher::suite_text(session.connection.negotiated_cipher_suite()),
            peer_chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
        })
    }

    /// Ready once plaintext may be read.
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.readable.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        self.under.poll_read_ready(context)
    }

    /// Reads plaintext; `WouldBlock` also where what came is no whole record yet.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(session) = self.session.get() else { return self.under.read(buffer) };
        let mut session = session.lock();
        let read = session.read(&self.under, buffer);
        self.readable.store(!session.plain.is_empty(), Ordering::Relaxed);
        read
    }

    /// Writes as much as the socket takes. After a short write the same bytes must be offered first.
    pub(super) fn write(&self, slices: &[IoSlice<'_>], send: Send) -> io::Result<usize> {
        let under = &self.under;
        match (self.session.get(), send) {
            (Some(session), Send::Now) => session.lock().write(slices, |bytes| under.write_now(bytes)),
            (Some(session), Send::WhenReady) => session.lock().write(slices, |bytes| under.try_write(bytes)),
            (None, _) if self.begun.load(Ordering::Relaxed) => Err(io::ErrorKind::BrokenPipe.into()),
            (None, Send::Now) => under.write_now_vectored(slices),
            (None, Send::WhenReady) => under.try_write_vectored(slices),
        }
    }

    /// Tells the peer that nothing follows, if the socket takes it, and ends both directions.
    pub(super) fn shutdown(&self) {
        if let Some(session) = self.session.get() {
            session.lock().say_goodbye(|bytes| self.under.write_now(bytes));
        }
        self.under.shutdown();
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").field("under", &self.under).finish_non_exhaustive()
    }
}

/// Leaf lock around it: held for a read or a write that does not wait, and the cryptography that goes
/// with it.
struct Session {
    connection: UnbufferedServerConnection,
    /// Received bytes that are no whole record yet.
    rest: Vec<u8>,
    /// Decrypted bytes that a read had no room for.
    plain: Vec<u8>,
    /// Encrypted bytes that the socket has not taken.
    unsent: Vec<u8>,
    /// Bytes of plaintext in `unsent` that no write has reported yet.
    withheld: usize,
    /// Something has come from the peer, and it looks like TLS.
    heard: bool,
    /// Something has gone out to it.
    answered: bool,
    /// The peer has said that nothing follows.
    closed: bool,
}

/// Buffers that each thread has once.
struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    gathered: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        incoming: vec![0; WIRE_RECORD_BYTES_MAX + READ_BYTES_MAX],
        outgoing: vec![0; RECORDS_A_WRITE_MAX * WIRE_RECORD_BYTES_MAX],
        gathered: Vec::with_capacity(RECORD_BYTES_MAX),
    });
}

impl Session {
    fn handshake(&mut self, under: &Transport) -> Result<Handshake, HandshakeError> {
        // Bytes that came before the session did.
        let mut early = std::mem::take(&mut self.rest);
        let mut progress = self.hear(&mut early);
        loop {
            // An alert that says why is on its way also where it failed.
            if let Err(error) = &progress {
                self.tell(error);
            }
            let sent = self.send_unsent(|bytes| under.try_write(bytes));
            progress?;
            if !sent.map_err(HandshakeError::Socket)? {
                return Ok(Handshake::WaitsForSocket);
            }
            if !self.connection.is_handshaking() {
                return Ok(Handshake::Done);
            }
            if self.closed {
                return Err(HandshakeError::Closed { within_record: false });
            }
            progress = SCRATCH.with_borrow_mut(|scratch| {
                let held = self.rest.len();
                let Some((front, free)) = scratch.incoming.split_at_mut_checked(held) else {
                    return Err(HandshakeError::NotTls);
                };
                front.copy_from_slice(&self.rest);
                let read = match under.read(free) {
                    Ok(0) => return Err(HandshakeError::Closed { within_record: held > 0 }),
                    Ok(read) => read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(HandshakeError::Socket(error)),
                };
                self.hear(scratch.incoming.get_mut(..held + read).unwrap_or_default())
            });
            if matches!(progress, Ok(false)) {
                return Ok(Handshake::WaitsForPeer);
            }
        }
    }

    /// Puts the alert that the reference sends behind what waits for the socket, where the TLS library has
    /// none or another.
    fn tell(&mut self, error: &HandshakeError) {
        /// What the library sends where a certificate is missing. TLS 1.2 has no such alert; there it is in
        /// the clear.
        const CERTIFICATE_REQUIRED: [u8; 7] = [21, 3, 3, 0, 2, 2, 116];
        const HANDSHAKE_FAILURE: u8 = 40;
        if let Some(alert) = error.alert() {
            // Instead of the library's own, if there is one.
            if matches!(self.unsent.last_chunk::<7>(), Some([21, 3, _, 0, 2, 2, _])) {
                self.unsent.truncate(self.unsent.len() - alert.len());
            }
            self.unsent.extend(alert);
        }
        if self.unsent.ends_with(&CERTIFICATE_REQUIRED)
            && let Some(description) = self.unsent.last_mut()
        {
            *description = HANDSHAKE_FAILURE;
        }
    }

    /// Takes in what the peer sent during the handshake; what is left of it becomes the rest.
    fn hear(&mut self, incoming: &mut [u8]) -> Result<bool, HandshakeError> {
        if !self.heard {
            self.heard = check_first_record(incoming)?;
        }
        if self.heard
            && !self.answered
            && let Some(error) = tls_error::inappropriate_fallback(incoming)
        {
            return Err(error);
        }
        // One that nobody took would explain another client's failure.
        drop(client_verifier::take_refusal());
        let mut plain = std::mem::take(&mut self.plain);
        let outcome =
            if self.heard { self.advance(incoming, |bytes| plain.extend_from_slice(bytes)) } else { Ok(0) };
        self.plain = plain;
        match outcome {
            Ok(consumed) => {
                self.rest = incoming.get(consumed..).unwrap_or_default().to_vec();
                Ok(true)
            }
            Err(error) => Err(client_verifier::take_refusal()
                .or_else(|| tls_error::found(&error, incoming, self.answered))
                .unwrap_or(HandshakeError::Library(error))),
        }
    }

    fn read(&mut self, under: &Transport, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.plain.is_empty() {
            return Ok(self.take_plain(buffer));
        }
        if self.closed {
            return Ok(0);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let held = self.rest.len();
            let limit = held + buffer.len().clamp(WIRE_RECORD_BYTES_MAX, READ_BYTES_MAX);
            let room = scratch.incoming.get_mut(..limit).ok_or(io::ErrorKind::InvalidData)?;
            let (front, free) = room.split_at_mut(held);
            front.copy_from_slice(&self.rest);
            let read = under.read(free)?;
            if read == 0 {
                // Ending between two records is taken for a goodbye, as the reference does.
                return if held == 0 { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            let incoming = room.get_mut(..held + read).unwrap_or_default();
            let mut filled = 0;
            let mut beyond = Vec::new();
            let consumed = self.advance(incoming, |bytes| {
                let free = buffer.get_mut(filled..).unwrap_or_default();
                let count = copy(bytes, free);
                filled += count;
                beyond.extend_from_slice(bytes.get(count..).unwrap_or_default());
            });
            self.plain = beyond;
            match consumed {
                Ok(consumed) => self.rest = incoming.get(consumed..).unwrap_or_default().to_vec(),
                // What came before the broken record is still good; the next read meets the error again.
                Err(_) if filled > 0 => self.rest = Vec::new(),
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            match filled {
                0 if self.closed => Ok(0),
                0 => Err(io::ErrorKind::WouldBlock.into()),
                filled => Ok(filled),
            }
        })
    }

    fn take_plain(&mut self, buffer: &mut [u8]) -> usize {
        let count = copy(&self.plain, buffer);
        if count == self.plain.len() {
            self.plain = Vec::new();
        } else {
            self.plain.drain(..count);
        }
        count
    }

    /// Lets the TLS library see what has come; says how many bytes of it are done with. What it has to
    /// say itself is put behind what waits for the socket.
    fn advance(&mut self, incoming: &mut [u8], mut plain: impl FnMut(&[u8])) -> Result<usize, rustls::Error> {
        let mut consumed = 0;
        let mut failed = None;
        loop {
            let rest = incoming.get_mut(consumed..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(rest);
            let mut waits = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        plain(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.answered |= failed.is_none();
                    let before = self.unsent.len();
                    append(&mut self.unsent, |room| data.encode(room));
                    // Behind its alert the library must not look again at what it has refused: it would
                    // refuse it once more.
                    let said = self.unsent.get(before..).unwrap_or_default();
                    waits = failed.is_some() && is_alert(said);
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.closed = true;
                    waits = true;
                }
                // Early data is never asked for; of what else there may be nothing can be done.
                Ok(_) => waits = true,
                // Once more: the alert that tells the peer comes out first.
                Err(error) if failed.is_none() => failed = Some(error),
                Err(_) => waits = true,
            }
            consumed += discard;
            if waits {
                return failed.map_or(Ok(consumed), Err);
            }
        }
    }

    fn write(
        &mut self,
        slices: &[IoSlice<'_>],
        mut send: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if !self.send_unsent(&mut send)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let mut written = self.withheld.min(offered);
        self.withheld -= written;
        if self.withheld > 0 {
            return Ok(written);
        }
        let mut source = Source { slices, at: 0, offset: 0 };
        source.skip(written);
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut records = [(0, 0); RECORDS_A_WRITE_MAX];
                let mut filled = 0;
                for record in &mut records {
                    let piece = source.next(&mut scratch.gathered);
                    if piece.is_empty() {
                        break;
                    }
                    filled += self.encrypt(piece, &mut scratch.outgoing, filled)?;
                    *record = (piece.len(), filled);
                }
                if filled == 0 {
                    return Ok(written);
                }
                let ciphertext = scratch.outgoing.get(..filled).unwrap_or_default();
                let sent = match send(ciphertext) {
                    Ok(sent) => sent,
                    Err(error) if is_full(&error) => 0,
                    Err(error) => return Err(error),
                };
                for (plain, _) in records.iter().filter(|(_, end)| 0 < *end && *end <= sent) {
                    written += plain;
                }
                if sent < filled {
                    self.withheld =
                        records.iter().filter(|(_, end)| sent < *end).map(|(plain, _)| plain).sum();
                    self.unsent = ciphertext.get(sent..).unwrap_or_default().to_vec();
                    return Ok(written);
                }
            }
        })
    }

    /// Encrypts one record behind `filled` bytes of `outgoing`; says how many bytes came of it.
    fn encrypt(&mut self, plain: &[u8], outgoing: &mut Vec<u8>, filled: usize) -> io::Result<usize> {
        let start = filled;
        let mut filled = filled;
        let mut rest = std::mem::take(&mut self.rest);
        let mut consumed = 0;
        let outcome = loop {
            let unread = rest.get_mut(consumed..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(unread);
            let step = match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let encrypted = with_room(outgoing, filled, |room| {
                        traffic.encrypt(plain, room).map_err(|error| match error {
                            EncryptError::InsufficientSize(size) => Some(size.required_size),
                            EncryptError::EncryptExhausted => None,
                        })
                    });
                    Some(encrypted)
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    // A change of keys that the peer asked for: it goes in front of the record.
                    let mut message = Vec::new();
                    append(&mut message, |room| data.encode(room));
                    let copied = with_room(outgoing, filled, |room| match room.get_mut(..message.len()) {
                        Some(room) => {
                            room.copy_from_slice(&message);
                            Ok(message.len())
                        }
                        None => Err(Some(message.len())),
                    });
                    filled += copied.unwrap_or_default();
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.closed = true;
                    None
                }
                Ok(_) | Err(_) => Some(None),
            };
            consumed += discard;
            if let Some(encrypted) = step {
                break encrypted;
            }
        };
        rest.drain(..consumed.min(rest.len()));
        self.rest = rest;
        let encrypted = outcome.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(filled + encrypted - start)
    }

    /// Sends what the socket did not take earlier; says whether all of it is gone.
    fn send_unsent(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match send(&self.unsent) {
                Ok(sent) if sent == self.unsent.len() => self.unsent = Vec::new(),
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if is_full(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Whether ciphertext waits for the socket.
    #[cfg(test)]
    fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn say_goodbye(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) {
        let mut rest = std::mem::take(&mut self.rest);
        if !self.connection.is_handshaking()
            && let Ok(ConnectionState::WriteTraffic(mut traffic)) =
                self.connection.process_tls_records(&mut rest).state
        {
            let mut goodbye = Vec::new();
            let queued = with_room(&mut goodbye, 0, |room| {
                traffic.queue_close_notify(room).map_err(|error| match error {
                    EncryptError::InsufficientSize(size) => Some(size.required_size),
                    EncryptError::EncryptExhausted => None,
                })
            });
            goodbye.truncate(queued.unwrap_or_default());
            self.unsent.extend(goodbye);
        }
        // A peer that does not read goes without.
        let _ = self.send_unsent(&mut send);
    }
}

/// The bytes of several slices, record by record.
struct Source<'a> {
    slices: &'a [IoSlice<'a>],
    at: usize,
    offset: usize,
}

impl<'a> Source<'a> {
    fn skip(&mut self, mut count: usize) {
        while let Some(slice) = self.slices.get(self.at) {
            let left = slice.len() - self.offset;
            if count < left {
                self.offset += count;
                return;
            }
            count -= left;
            (self.at, self.offset) = (self.at + 1, 0);
        }
    }

    /// The next record's text: straight from a slice that fills it, else gathered from several.
    fn next<'s>(&mut self, gathered: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        let Some(slice) = self.slices.get(self.at) else { return &[] };
        let rest = slice.get(self.offset..).unwrap_or_default();
        if rest.len() >= RECORD_BYTES_MAX || self.at + 1 == self.slices.len() {
            let piece = rest.get(..rest.len().min(RECORD_BYTES_MAX)).unwrap_or_default();
            self.skip(piece.len());
            return piece;
        }
        gathered.clear();
        while let Some(slice) = self.slices.get(self.at)
            && gathered.len() < RECORD_BYTES_MAX
        {
            let rest = slice.get(self.offset..).unwrap_or_default();
            let piece = rest.get(..rest.len().min(RECORD_BYTES_MAX - gathered.len())).unwrap_or_default();
            gathered.extend_from_slice(piece);
            self.skip(piece.len());
        }
        gathered
    }
}

/// Copies as much as fits.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// Whether a record that goes out is an alert, in the clear or encrypted.
fn is_alert(record: &[u8]) -> bool {
    const ALERT: u8 = 21;
    const ENCRYPTED: u8 = 23;
    /// Header, nonce, the two bytes of an alert, tag. The shortest other message, Finished, is longer.
    const ALERT_BYTES_MAX: usize = 5 + 8 + 2 + 16;
    matches!(record.first(), Some(&ALERT | &ENCRYPTED)) && record.len() <= ALERT_BYTES_MAX
}

/// Whether what came begins like TLS; false where too little has come to tell.
fn check_first_record(bytes: &[u8]) -> Result<bool, HandshakeError> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const SSL2: u8 = 0x80;
    /// Versions of TLS begin with 3; nothing sensible is beyond.
    const MAJOR_MAX: u8 = 0x10;
    let Some([kind, major, _, high, low]) = bytes.first_chunk::<5>() else { return Ok(false) };
    let length = u16::from_be_bytes([*high, *low]);
    let is_handshake = *kind == HANDSHAKE && *major < MAJOR_MAX;
    if is_handshake && usize::from(length) > WIRE_RECORD_BYTES_MAX - 5 {
        return Err(HandshakeError::Oversized(length));
    }
    match *kind {
        SSL2 => Err(HandshakeError::Ssl2),
        ALERT if *major < MAJOR_MAX => Ok(true),
        // A message may be spread over records, even its head.
        HANDSHAKE if is_handshake && length < 4 => Ok(true),
        HANDSHAKE if is_handshake => check_first_message(bytes),
        _ => Err(HandshakeError::NotTls),
    }
}

fn check_first_message(bytes: &[u8]) -> Result<bool, HandshakeError> {
    let Some([.., high, middle, low]) = bytes.first_chunk::<9>() else { return Ok(false) };
    let length = u32::from_be_bytes([0, *high, *middle, *low]);
    if length > MESSAGE_BYTES_MAX { Err(HandshakeError::TooLong(length)) } else { Ok(true) }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Appends what `encode` writes, which says how much room it needs.
fn append(out: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let filled = out.len();
    let written = with_room(out, filled, |room| {
        encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => Some(size.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    });
    out.truncate(filled + written.unwrap_or_default());
}

/// Calls `write` with the room behind `filled` bytes, making as much as it asks for. `None`: it gave up.
fn with_room(
    out: &mut Vec<u8>,
    filled: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Option<usize> {
    loop {
        match write(out.get_mut(filled..).unwrap_or_default()) {
            Ok(written) => return Some(written),
            Err(needed) => {
                let needed = filled + needed?;
                if needed <= out.len() {
                    return None;
                }
                out.resize(needed, 0);
            }
        }
    }
}

#[cfg(test)]
#[path = "tls_stream_test.rs"]
mod tests;
