//! Whether a client's certificate is one: issued by a configured authority, valid now, meant for clients.
//!
//! `webpki` builds the paths and checks signatures and constraints of names; [`certificate_rules`] says
//! whether the certificates of a path may stand where they do. `webpki` is stricter than Go in three points
//! that home-made certificates meet: it takes no certificate of X.509 version 1, none that may itself sign
//! others, and none that lies among the roots itself. Such a certificate is accepted here where a root
//! signed it directly (or it is a root), which needs no path building; behind an intermediate it stays
//! refused.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use x509_parser::public_key::PublicKey;

use super::certificate_rules::{self as rules, parsed};
use super::peer_certificate::PeerCertificate;

/// Checks clients' certificates against roots.
#[derive(Debug)]
pub struct ClientVerifier {
    /// What `webpki` looks for at the end of a path; the root of each is at the same place in `anchored`.
    anchors: Vec<TrustAnchor<'static>>,
    anchored: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// How far up a path somebody is looked for whose fault it is.
const HINT_DEPTH_MAX: usize = 8;

/// Certificates from a client's own to a root, DER.
pub type Path = Vec<Vec<u8>>;

/// How many paths of one certificate are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    One,
    All,
}

impl ClientVerifier {
    /// A verifier with these roots; those that are no certificates are left out.
    pub(super) fn new(roots: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Self {
        // One that webpki cannot use may still be a client's own certificate.
        let (anchored, anchors): (Vec<_>, Vec<_>) = roots
            .iter()
            .filter_map(|root| {
                let anchor = webpki::anchor_from_trusted_cert(root).ok()?.to_owned();
                Some((root.clone(), anchor))
            })
            .unzip();
        let hints = anchors.iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect();
        Self { anchors, anchored, roots, hints, algorithms: provider.signature_verification_algorithms }
    }

    /// Every path by which certificates as a peer presents them are accepted, its own first; none where
    /// they are not.
    pub(super) fn paths(&self, presented: &[Vec<u8>], now: UnixTime) -> Vec<Path> {
        let presented: Vec<_> = presented.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let Some((end_entity, intermediates)) = presented.split_first() else { return Vec::new() };
        self.find(end_entity, intermediates, now, Wanted::All).unwrap_or_default()
    }

    /// At least one path, or why there is none.
    fn find(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        wanted: Wanted,
    ) -> Result<Vec<Path>, webpki::Error> {
        if self.roots.iter().any(|root| root == end_entity) {
            rules::check_path(&[end_entity], now)?;
            return Ok(vec![vec![end_entity.to_vec()]]);
        }
        let strict = match self.find_strictly(end_entity, intermediates, now, wanted) {
            Ok(paths) => return Ok(paths),
            Err(error) => error,
        };
        // Only what webpki has a word for in the reference's list says more than the direct look.
        self.find_directly(end_entity, now).map_err(|direct| if is_plain(&strict) { strict } else { direct })
    }

    /// With `webpki`, each path that it finds being looked at.
    fn find_strictly(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        wanted: Wanted,
    ) -> Result<Vec<Path>, webpki::Error> {
        let found = RefCell::new(Vec::<Path>::new());
        let check = |candidate: &VerifiedPath<'_>| {
            let at = self.anchors.iter().position(|anchor| std::ptr::eq(anchor, candidate.anchor()));
            let root = at.and_then(|at| self.anchored.get(at)).ok_or(webpki::Error::UnknownIssuer)?;
            let between: Vec<_> =
                candidate.intermediate_certificates().map(|between| between.der()).collect();
            let path: Vec<&[u8]> = std::iter::once(end_entity.as_ref())
                .chain(between.iter().map(AsRef::as_ref))
                .chain([root.as_ref()])
                .collect();
            rules::check_path(&path, now)?;
            let path: Path = path.into_iter().map(<[u8]>::to_vec).collect();
            let mut found = found.borrow_mut();
            if !found.contains(&path) {
                found.push(path);
            }
            // Refusing one is how the next is asked for.
            if wanted == Wanted::One { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let certificate = EndEntityCert::try_from(end_entity)?;
        let outcome = certificate.verify_for_usage(
            self.algorithms.all,
            &self.anchors,
            intermediates,
            now,
            AnyPurpose,
            None,
            Some(&check),
        );
        let outcome = outcome.map(|_| ());
        let found = found.into_inner();
        if found.is_empty() { outcome.map(|()| found) } else { Ok(found) }
    }

    /// The certificate on its own, signed by a root.
    fn find_directly(&self, der: &CertificateDer<'_>, now: UnixTime) -> Result<Vec<Path>, webpki::Error> {
        let certificate = parsed(der).ok_or(webpki::Error::BadDer)?;
        rules::check_path(&[der], now)?;
        let mut refused = webpki::Error::UnknownIssuer;
        let mut paths = Vec::new();
        for root in self.roots.iter().filter(|root| self.is_signed_by(&certificate, der, root)) {
            match rules::check_path(&[der, root], now) {
                Ok(()) => paths.push(vec![der.to_vec(), root.to_vec()]),
                Err(error) => refused = error,
            }
        }
        if paths.is_empty() { Err(refused) } else { Ok(paths) }
    }

    /// What the reference says besides where nobody known has signed: the first candidate on the way up
    /// that might have, and why it has not.
    fn hint(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Option<String> {
        let mut der = end_entity;
        for between in 0..HINT_DEPTH_MAX {
            let certificate = parsed(der)?;
            let mut next = None;
            for candidate in self.roots.iter().chain(intermediates).filter(|candidate| *candidate != der) {
                let Some(issuer) = parsed(candidate) else { continue };
                if issuer.subject().as_raw() != certificate.issuer().as_raw() {
                    continue;
                }
                let reason = if rules::check_issuer(&issuer, between) == Err(webpki::Error::UnknownIssuer) {
                    "x509: invalid signature: parent certificate cannot sign this kind of certificate"
                } else if !self.signature_is_valid(&certificate, der, &issuer) {
                    match issuer.public_key().parsed() {
                        Ok(PublicKey::EC(_)) => "x509: ECDSA verification failure",
                        Ok(PublicKey::RSA(_)) => "crypto/rsa: verification error",
                        _ => "x509: Ed25519 verification failure",
                    }
                } else {
                    next = Some(candidate);
                    break;
                };
                return Some(format!(
                    " (possibly because of {reason:?} while trying to verify candidate authority certificate \
                     {:?})",
                    short_name(&issuer)
                ));
            }
            der = next?;
        }
        None
    }

    fn is_signed_by(
        &self,
        certificate: &X509Certificate<'_>,
        der: &CertificateDer<'_>,
        root: &CertificateDer<'_>,
    ) -> bool {
        let Some(root) = parsed(root) else { return false };
        root.subject().as_raw() == certificate.issuer().as_raw()
            // Constraints of names are left to webpki.
            && root.name_constraints().is_ok_and(|constraints| constraints.is_none())
            && self.signature_is_valid(certificate, der, &root)
    }

    fn signature_is_valid(
        &self,
        certificate: &X509Certificate<'_>,
        der: &CertificateDer<'_>,
        issuer: &X509Certificate<'_>,
    ) -> bool {
        let signed = certificate.tbs_certificate.as_ref();
        let Some(signature_algorithm) = der_contents(der)
            .and_then(|whole| whole.strip_prefix(signed))
            .and_then(|rest| der_contents(rest))
        else {
            return false;
        };
        let Some(key_algorithm) = key_algorithm(issuer) else { return false };
        let key = &issuer.public_key().subject_public_key.data;
        self.algorithms.all.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.verify_signature(key, signed, &certificate.signature_value.data).is_ok()
        })
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
        match self.find(end_entity, intermediates, now, Wanted::One) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(error) => {
                let hint = self.hint(end_entity, intermediates);
                REFUSED.set(Some(refusal_text(&error, hint, end_entity, intermediates, now)));
                Err(with_alert(&error).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let version_1 = version_1(certificate);
        let Some(certificate_1) = &version_1 else {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms);
        };
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let candidates = candidates.map(|(_, algorithms)| *algorithms).unwrap_or_default();
        let key = &certificate_1.public_key().subject_public_key.data;
        let key_algorithm = key_algorithm(certificate_1);
        let valid = candidates.iter().any(|algorithm| {
            Some(algorithm.public_key_alg_id().as_ref()) == key_algorithm
                && algorithm.verify_signature(key, message, signed.signature()).is_ok()
        });
        if valid {
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
        let Some(certificate_1) = version_1(certificate) else {
            return verify_tls13_signature(message, certificate, signed, &self.algorithms);
        };
        let key = SubjectPublicKeyInfoDer::from(certificate_1.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

thread_local! {
    /// What the reference says of the certificate that was refused last on this thread. An error of the
    /// TLS library has no room for it, and `verify_client_cert` runs inside the call that returns it.
    static REFUSED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The reference's words for the certificate that the step of a handshake which just failed refused.
pub(super) fn take_refusal() -> Option<String> {
    REFUSED.take()
}

/// Lets `webpki` take certificates for any purpose: [`certificate_rules`](super::certificate_rules) asks.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// The certificate if it is of version 1, which the TLS library's own checks do not take.
fn version_1<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    parsed(der).filter(|certificate| certificate.version() != X509Version::V3)
}

fn key_algorithm<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    der_contents(certificate.public_key().raw).and_then(der_contents)
}

/// What the first element of some DER holds.
fn der_contents(der: &[u8]) -> Option<&[u8]> {
    x509_parser::asn1_rs::Any::from_der(der).ok().map(|(_, element)| element.data)
}

/// Errors that say what is wrong with a certificate of whatever shape.
const fn is_plain(error: &webpki::Error) -> bool {
    use webpki::Error as E;
    matches!(
        error,
        E::CertExpired { .. }
            | E::CertNotValidYet { .. }
            | E::InvalidCertValidity
            | E::UnsupportedCriticalExtension
            | E::InvalidSignatureForPublicKey
            | E::RequiredEkuNotFoundContext(_)
            | E::PathLenConstraintViolated
    )
}

/// What the reference calls an authority by.
fn short_name(certificate: &X509Certificate<'_>) -> String {
    let subject = certificate.subject();
    let name = subject.iter_common_name().last().or_else(|| subject.iter_organization().next());
    match name.and_then(|name| name.as_str().ok()).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("serial:{}", certificate.serial),
    }
}

/// The error whose alert is the one that the reference sends.
const fn with_alert(error: &webpki::Error) -> CertificateError {
    use webpki::Error as E;
    match error {
        E::CertExpired { .. } | E::CertNotValidYet { .. } | E::InvalidCertValidity => {
            CertificateError::Expired
        }
        E::BadDer
        | E::UnsupportedCriticalExtension
        | E::RequiredEkuNotFoundContext(_)
        | E::PathLenConstraintViolated => CertificateError::BadEncoding,
        _ => CertificateError::UnknownIssuer,
    }
}

/// What the reference's log says of it: the reason, then each certificate that was presented.
fn refusal_text(
    error: &webpki::Error,
    hint: Option<String>,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> String {
    let presented: Vec<String> = std::iter::once(end_entity)
        .chain(intermediates)
        .filter_map(|der| PeerCertificate::from_der(der).ok())
        .map(|facts| format!("{} SHA-256: {}", facts.subject.full_text(), facts.certificate_sha256_hex()))
        .collect();
    let reason = reason(error, hint, now);
    let detail = if presented.is_empty() { String::new() } else { format!(" ({})", presented.join("; ")) };
    format!("tls: failed to verify certificate: x509: {reason}{detail}")
}

fn reason(error: &webpki::Error, hint: Option<String>, now: UnixTime) -> String {
    let date = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
    };
    let outside = |relation: &str, limit: &UnixTime| {
        let now = date(&now);
        format!(
            "certificate has expired or is not yet valid: current time {now} is {relation} {}",
            date(limit)
        )
    };
    match error {
        webpki::Error::CertExpired { not_after, .. } => outside("after", not_after),
        webpki::Error::CertNotValidYet { not_before, .. } => outside("before", not_before),
        webpki::Error::InvalidCertValidity => "certificate has expired or is not yet valid".into(),
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            "certificate specifies an incompatible key usage".into()
        }
        webpki::Error::PathLenConstraintViolated => {
            "too many intermediates for path length constraint".into()
        }
        webpki::Error::UnsupportedCriticalExtension => "unhandled critical extension".into(),
        webpki::Error::BadDer => "malformed certificate".into(),
        _ => format!("certificate signed by unknown authority{}", hint.unwrap_or_default()),
    }
}
