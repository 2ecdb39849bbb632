//! Whether a client's certificate is one: signed by a configured authority, valid now, meant for clients.
//!
//! [`certificate_path`](super::certificate_path) finds the path from it to a root. Where responders are to
//! be asked about it, that happens here too, so that a client which is turned away
//! hears it from the handshake: the call then waits for answers, and the step of the handshake that makes
//! it has to run on a thread that may wait, with [`in_turn`].

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::runtime::Handle;
use x509_parser::prelude::X509Version;

use super::certificate::Certificate;
use super::certificate_path::{Path, Roots};
use super::certificate_refusal::Invalid;
use super::ocsp_peer::{InvalidLink, PeerCheck};
use super::ocsp_turn::Turn;
use super::peer_certificate::PeerCertificate;
use super::tls_error::HandshakeError;
use crate::server::base::clock::Timestamp;

/// Checks clients' certificates against roots.
#[derive(Debug)]
pub struct ClientVerifier {
    roots: Roots,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
    /// What responders are asked; nothing so far.
    peer_check: OnceLock<Arc<PeerCheck>>,
}

impl ClientVerifier {
    /// A verifier with these roots; those that are no certificates are left out.
    pub(super) fn new(roots: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Self {
        let roots = Roots::new(roots);
        let hints = roots.subjects().map(|subject| DistinguishedName::from(subject.to_vec())).collect();
        let algorithms = provider.signature_verification_algorithms;
        Self { roots, hints, algorithms, peer_check: OnceLock::new() }
    }

    /// From now on responders are asked too; a second call does nothing.
    pub fn ask(&self, check: Arc<PeerCheck>) {
        let _ = self.peer_check.set(check);
    }

    /// What responders are asked, if anything is.
    pub fn peer_check(&self) -> Option<&Arc<PeerCheck>> {
        self.peer_check.get()
    }

    /// The path by which certificates as a peer presents them, its own first, are accepted, if they are.
    pub fn path(&self, presented: &[Vec<u8>], now: Timestamp) -> Option<Path> {
        let presented: Vec<&[u8]> = presented.iter().map(Vec::as_slice).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_nanos(now.nanos()));
        self.roots.path(&presented, now, self.algorithms).ok()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let presented: Vec<&[u8]> =
            std::iter::once(end_entity).chain(intermediates).map(AsRef::as_ref).collect();
        let path = self.roots.path(&presented, now, self.algorithms).map_err(|error| {
            REFUSED.set(Some(HandshakeError::Refused(refusal_text(&error, &presented))));
            alert(&error)
        })?;
        if let Some(check) = self.peer_check.get() {
            wait_for(check, path, now).map_err(|links| {
                let peer = end_entity.to_vec();
                REFUSED.set(Some(HandshakeError::NotOcspValid { peer, links }));
                CertificateError::BadEncoding
            })?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = version_1(certificate) else {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms);
        };
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let candidates = candidates.map(|(_, algorithms)| *algorithms).unwrap_or_default();
        let is_valid = candidates.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == certificate.key_algorithm
                && algorithm.verify_signature(certificate.key(), message, signed.signature()).is_ok()
        });
        if is_valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = version_1(certificate) else {
            return verify_tls13_signature(message, certificate, signed, &self.algorithms);
        };
        let key = SubjectPublicKeyInfoDer::from(certificate.facts.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

thread_local! {
    /// Why the certificate that was refused last on this thread was. An error of the TLS library has no
    /// room for it, and `verify_client_cert` runs inside the call that returns it.
    static REFUSED: RefCell<Option<HandshakeError>> = const { RefCell::new(None) };

    /// The turn of the step that is made on this thread.
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// Why the step of a handshake which just failed refused the client's certificate.
pub(super) fn take_refusal() -> Option<HandshakeError> {
    REFUSED.take()
}

/// Makes a step of a handshake that may wait for responders, in its turn.
pub(super) fn in_turn<T>(turn: Turn, step: impl FnOnce() -> T) -> T {
    /// Also where the step panics, the turn ends with it.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            drop(TURN.take());
        }
    }
    let _end = End;
    TURN.set(Some(turn));
    step()
}

/// The certificate if it is of version 1, with whose key the TLS library checks nothing by itself.
fn version_1<'a>(der: &'a CertificateDer<'_>) -> Option<Certificate<'a>> {
    let certificate = Certificate::parse(der).ok()?;
    (certificate.facts.version() != X509Version::V3).then_some(certificate)
}

/// Asks the responders and waits for what they say.
fn wait_for(check: &PeerCheck, path: Path, now: UnixTime) -> Result<(), Vec<InvalidLink>> {
    let now = Timestamp::default() + Duration::from_secs(now.as_secs());
    // Without a runtime and a turn nobody can be asked, and nobody is let in unasked.
    let (Ok(runtime), Some(mut turn)) = (Handle::try_current(), TURN.take()) else { return Err(Vec::new()) };
    let outcome = runtime.block_on(check.check(&[path], now, &mut turn));
    TURN.set(Some(turn));
    outcome
}

/// The error whose alert is the one that the reference sends.
const fn alert(error: &Invalid) -> CertificateError {
    match error {
        Invalid::Expired { .. } => CertificateError::Expired,
        Invalid::UnknownAuthority(_) => CertificateError::UnknownIssuer,
        Invalid::Malformed(_) | Invalid::Other(_) => CertificateError::BadEncoding,
    }
}

/// What the reference's log says of it: the reason, then each certificate that was presented.
fn refusal_text(error: &Invalid, presented: &[&[u8]]) -> String {
    if let Invalid::Malformed(reason) = error {
        return format!("tls: failed to parse client certificate: {reason}");
    }
    let presented: Vec<String> = presented
        .iter()
        .filter_map(|der| PeerCertificate::from_der(der).ok())
        .map(|facts| format!("{} SHA-256: {}", facts.subject.full_text(), facts.certificate_sha256_hex()))
        .collect();
    let detail = if presented.is_empty() { String::new() } else { format!(" ({})", presented.join("; ")) };
    format!("tls: failed to verify certificate: {error}{detail}")
}
