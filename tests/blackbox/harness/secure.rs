//! A client that speaks TLS through a raw socket, and shows what comes back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use super::pki::Certified;
use super::wait::PATIENCE;

/// What a TLS client offers.
#[derive(Clone)]
pub(crate) struct Offer {
    provider: CryptoProvider,
    versions: Vec<&'static SupportedProtocolVersion>,
    certificate: Option<(Vec<CertificateDer<'static>>, Arc<PrivateKeyDer<'static>>)>,
    name: &'static str,
}

impl Offer {
    /// Everything, without a certificate, for `localhost`.
    pub(crate) fn new() -> Self {
        Self {
            provider: aws_lc_rs::default_provider(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            certificate: None,
            name: "localhost",
        }
    }

    pub(crate) fn certificate(mut self, certified: &Certified) -> Self {
        let chain = CertificateDer::pem_slice_iter(certified.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(certified.key.as_bytes()).expect("a key");
        self.certificate = Some((chain.collect::<Result<_, _>>().expect("certificates"), Arc::new(key)));
        self
    }

    pub(crate) fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    pub(crate) fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    pub(crate) fn suites(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.provider.cipher_suites.retain(|suite| suite.suite().as_str().is_some_and(&keep));
        self
    }

    pub(crate) fn curves(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.provider.kx_groups.retain(|group| group.name().as_str().is_some_and(&keep));
        self
    }

    fn config(self, staple: Arc<Mutex<Vec<u8>>>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider))
            .with_protocol_versions(&self.versions)
            .expect("usable choices")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody { staple }));
        match self.certificate {
            Some((chain, key)) => {
                let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key");
                // Not checked: some tests are about certificates that are wrong.
                let pair = SingleCertAndKey::from(CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(pair))
            }
            None => builder.with_no_client_auth(),
        }
    }
}

/// A connection with TLS.
pub(crate) struct Secure {
    stream: StreamOwned<ClientConnection, TcpStream>,
    staple: Arc<Mutex<Vec<u8>>>,
    unread: Vec<u8>,
}

impl Secure {
    /// Makes the handshake on a socket that has been used in plain so far.
    pub(crate) fn upgrade(socket: TcpStream, offer: Offer) -> Result<Self, std::io::Error> {
        let name = ServerName::try_from(offer.name).expect("a name");
        let staple = Arc::default();
        let connection =
            ClientConnection::new(Arc::new(offer.config(Arc::clone(&staple))), name).expect("a TLS client");
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream, staple, unread: Vec::new() })
    }

    /// Connects, reads INFO, and makes the handshake.
    pub(crate) fn connect(addr: SocketAddr, offer: Offer) -> Result<Self, std::io::Error> {
        let mut socket = open(addr);
        read_line(&mut socket);
        Self::upgrade(socket, offer)
    }

    /// Connects and makes the handshake first.
    pub(crate) fn connect_first(addr: SocketAddr, offer: Offer) -> Result<Self, std::io::Error> {
        Self::upgrade(open(addr), offer)
    }

    /// Tries to connect and to be served; what the refusal says, wherever in the handshake it comes.
    pub(crate) fn refusal(addr: SocketAddr, offer: Offer) -> String {
        let mut client = match Self::connect(addr, offer) {
            Ok(client) => client,
            Err(error) => return error.to_string(),
        };
        client.try_send("PING\r\n");
        let said = std::io::copy(&mut client.stream, &mut std::io::sink());
        said.map_or_else(|error| error.to_string(), |bytes| format!("{bytes} bytes and no refusal"))
    }

    /// What was agreed on: version and suite.
    pub(crate) fn agreed(&self) -> (String, String) {
        let version = self.stream.conn.protocol_version().expect("a version");
        let suite = self.stream.conn.negotiated_cipher_suite().expect("a suite").suite();
        (version.as_str().unwrap_or_default().into(), suite.as_str().unwrap_or_default().into())
    }

    /// The responder's answer that came with the certificate.
    pub(crate) fn staple(&self) -> Vec<u8> {
        self.staple.lock().unwrap().clone()
    }

    /// The server's certificates.
    pub(crate) fn server_chain(&self) -> &[CertificateDer<'static>] {
        self.stream.conn.peer_certificates().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes what is sent");
        self.stream.flush().expect("the server takes what is sent");
    }

    /// Sends; false where the server is no longer there.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Reads until the server closes; an error where it does so without the goodbye of TLS.
    pub(crate) fn ended(&mut self) -> Result<(), std::io::ErrorKind> {
        std::io::copy(&mut self.stream, &mut std::io::sink()).map(|_| ()).map_err(|error| error.kind())
    }

    /// The next line without its end; `None` once the server has closed.
    pub(crate) fn try_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Some(line);
            }
            self.fill()?;
        }
    }

    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        self.try_line().expect("a line")
    }

    /// The next bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            self.fill()?;
        }
        Some(self.unread.drain(..count).collect())
    }

    fn fill(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 << 10];
        let read = self.stream.read(&mut buffer).ok().filter(|&read| read > 0)?;
        self.unread.extend_from_slice(&buffer[..read]);
        Some(())
    }

    /// Waits until the server has handled everything sent so far.
    #[track_caller]
    pub(crate) fn sync(&mut self) {
        self.send("PING\r\n");
        while self.line() != "PONG" {}
    }
}

/// A socket that does not wait for ever.
pub(crate) fn open(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).expect("the server accepts");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket.set_write_timeout(Some(PATIENCE)).expect("a socket option");
    socket
}

/// A line, byte by byte: what follows it is left in the socket.
pub(crate) fn read_line(socket: &mut TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while socket.read(&mut byte).is_ok_and(|read| read == 1) && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8_lossy(&line).trim_end().to_owned()
}

/// Takes any server for the right one.
#[derive(Debug)]
struct Anybody {
    /// What came stapled to the certificate.
    staple: Arc<Mutex<Vec<u8>>>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        staple: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.staple.lock().unwrap() = staple.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
