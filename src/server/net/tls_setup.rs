//! From a `tls` block to what handshakes are made with: certificates, keys, roots, choices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::certificate_names::CertificateNames;
use super::cipher::{self, UnsupportedChoice};
use super::client_verifier::ClientVerifier;
use super::ocsp;
use super::peer_certificate::PeerCertificate;
use crate::server::base::pem;
use crate::server::config::key_pair::{self, UnsupportedKey};
use crate::server::config::options::Tls;
use crate::server::config::read::Files;

/// Why no handshake can be made with a `tls` block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// A file cannot be read, or holds what it should not; the text is the reference's.
    #[error("{0}")]
    Files(String),
    /// A choice that the TLS library does not have.
    #[error(transparent)]
    Choice(#[from] UnsupportedChoice),
    /// A key that the TLS library cannot use.
    #[error("tls: {file}: {error}")]
    Key {
        /// The key's file.
        file: String,
        /// Which kind it is.
        error: UnsupportedKey,
    },
    /// The choices leave nothing to agree on.
    #[error("tls: {0}")]
    Library(String),
}

/// What one `tls` block stands for at one time.
#[derive(Debug, Clone)]
pub struct TlsSetup {
    /// How the accepting side makes handshakes.
    pub server: Arc<ServerConfig>,
    /// The certificates shown to peers, in their order.
    pub certificates: Vec<OwnCertificate>,
    /// Who accepts clients' certificates; `None` where they show none.
    verifier: Option<Arc<ClientVerifier>>,
    /// What `ca_file` holds; empty without one.
    roots: Vec<CertificateDer<'static>>,
    shown: Arc<Certificates>,
    /// Digests of all files read: whether they have changed since.
    files: FileDigests,
}

/// Files and the SHA-256 of what they held.
type FileDigests = BTreeMap<PathBuf, [u8; 32]>;

/// One certificate of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// Where it came from.
    pub file: PathBuf,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// The certificate, and what came behind it in its file.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Files where systems keep the roots they trust: the first there is counts. Reference: Go's list.
const SYSTEM_ROOTS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl TlsSetup {
    /// Reads the block's files and builds what it asks for.
    pub fn new(tls: &Tls, files: &dyn Files) -> Result<Self, TlsSetupError> {
        let mut reader = Reader::new(files);
        let provider = Arc::new(cipher::provider(tls)?);
        let (certificates, shown) = Certificates::read(tls, &mut reader)?;
        let shown = Arc::new(shown);
        let roots = match &tls.ca_file {
            Some(_) => reader.roots(tls.ca_file.as_deref())?,
            None => Vec::new(),
        };
        let verifier = if tls.verify {
            let trusted = reader.roots(tls.ca_file.as_deref())?;
            Some(Arc::new(ClientVerifier::new(trusted, &provider)))
        } else {
            None
        };
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&cipher::versions(tls))
            .map_err(|error| TlsSetupError::Library(error.to_string()))?
            .with_client_cert_verifier(match &verifier {
                Some(verifier) => Arc::clone(verifier) as Arc<dyn ClientCertVerifier>,
                None => WebPkiClientVerifier::no_client_auth(),
            })
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        server.ignore_client_order = true;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        // Sessions are resumed only where that skips no check of a certificate.
        if !tls.verify
            && let Ok(ticketer) = Ticketer::new()
        {
            server.ticketer = ticketer;
            server.send_tls13_tickets = 1;
        }
        Ok(Self { server: Arc::new(server), certificates, verifier, roots, shown, files: reader.digests })
    }

    /// Who accepts clients' certificates; `None` where nobody asks for one.
    pub fn verifier(&self) -> Option<&Arc<ClientVerifier>> {
        self.verifier.as_ref()
    }

    /// Whether a handshake waits for responders, so that it has to be made where it may wait.
    pub fn waits(&self) -> bool {
        self.verifier.as_ref().is_some_and(|verifier| verifier.peer_check().is_some())
    }

    /// From now on this responder's answer goes with certificate number `at`; `None` takes it off.
    pub fn staple(&self, at: usize, answer: Option<Vec<u8>>) {
        if let Some((_, key)) = self.shown.keys.get(at) {
            let bare = key.load();
            let mut stapled = CertifiedKey::new(bare.cert.clone(), Arc::clone(&bare.key));
            stapled.ocsp = answer;
            key.store(Arc::new(stapled));
        }
    }

    /// Who issued a certificate of this server: the next one in its file, or one of `ca_file`.
    ///
    /// # Errors
    /// Nobody did, or somebody who may not; the text is the reference's.
    pub fn issuer(&self, certificate: &OwnCertificate) -> Result<CertificateDer<'static>, String> {
        let [leaf, behind @ ..] = certificate.chain.as_slice() else { return Err("no issuers found".into()) };
        let candidates = if behind.is_empty() { self.roots.as_slice() } else { behind };
        let mut candidates = candidates.iter().take(if behind.is_empty() { candidates.len() } else { 1 });
        let issuer = candidates.find(|issuer| ocsp::is_issued_by(leaf, issuer)).ok_or("no issuers found")?;
        if ocsp::is_authority(issuer) {
            return Ok(issuer.clone());
        }
        let subject = PeerCertificate::from_der(issuer).map(|facts| facts.subject.full_text());
        Err(format!("{} invalid ca basic constraints: is not ca", subject.unwrap_or_default()))
    }

    /// Whether a file has another content than when this was built, or cannot be read any more.
    pub fn files_changed(&self, files: &dyn Files) -> bool {
        self.files.iter().any(|(path, digest)| {
            files.read(&path.to_string_lossy()).map(|bytes| Sha256::digest(bytes).into()) != Ok(*digest)
        })
    }
}

/// Reads files and remembers what they held.
pub(super) struct Reader<'a> {
    files: &'a dyn Files,
    digests: FileDigests,
}

impl<'a> Reader<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self { files, digests: FileDigests::new() }
    }

    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let bytes = self.files.read(&path.to_string_lossy())?;
        self.digests.insert(path.to_owned(), Sha256::digest(&bytes).into());
        Ok(bytes)
    }

    /// The roots of `ca_file`, or those that the system trusts.
    pub(super) fn roots(
        &mut self,
        ca_file: Option<&Path>,
    ) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
        let file = match ca_file {
            Some(path) => self.read(path).map_err(TlsSetupError::Files)?,
            None => SYSTEM_ROOTS.iter().find_map(|path| self.files.read(path).ok()).unwrap_or_default(),
        };
        Ok(pem::certificates(&file).map(CertificateDer::from).collect())
    }
}

/// The certificates of this server, and which of them a client is shown.
#[derive(Debug)]
struct Certificates {
    keys: Vec<(CertificateNames, ArcSwap<CertifiedKey>)>,
}

impl Certificates {
    fn read(tls: &Tls, reader: &mut Reader<'_>) -> Result<(Vec<OwnCertificate>, Self), TlsSetupError> {
        let (mut own, mut all) = (Vec::new(), Self { keys: Vec::new() });
        if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
            own.push(all.add(certificate, key, reader, "")?);
            return Ok((own, all));
        }
        let count = tls.certs.len();
        for (at, pair) in tls.certs.iter().enumerate() {
            own.push(all.add(&pair.cert_file, &pair.key_file, reader, &format!(" {}/{count}", at + 1))?);
        }
        Ok((own, all))
    }

    fn add(
        &mut self,
        file: &Path,
        key_file: &Path,
        reader: &mut Reader<'_>,
        which: &str,
    ) -> Result<OwnCertificate, TlsSetupError> {
        let refused = |reason| {
            TlsSetupError::Files(format!("error parsing X509 certificate/key pair{which}: {reason}"))
        };
        let certificate = reader.read(file).map_err(refused)?;
        let key = reader.read(key_file).map_err(refused)?;
        let pair = key_pair::parse(&certificate, &key).map_err(refused)?;
        let key = pair
            .key
            .map_err(|error| TlsSetupError::Key { file: key_file.to_string_lossy().into_owned(), error })?;
        let names = pair.chain.first().and_then(|leaf| CertificateNames::of(leaf)).unwrap_or_default();
        let own =
            OwnCertificate { file: file.to_owned(), not_after: names.not_after, chain: pair.chain.clone() };
        self.keys.push((names, ArcSwap::from_pointee(CertifiedKey::new(pair.chain, key))));
        Ok(own)
    }
}

impl ResolvesServerCert for Certificates {
    /// The first that has the name asked for and a signature the client knows; else the first.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let suits = |(names, key): &&(CertificateNames, ArcSwap<CertifiedKey>)| {
            hello.server_name().is_none_or(|name| names.matches(name))
                && key.load().key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let found = self.keys.iter().find(suits).or_else(|| self.keys.first());
        found.map(|(_, key)| key.load_full())
    }
}
