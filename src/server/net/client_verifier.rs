//! Whether a client's certificate is one: issued by a configured authority, valid now, meant for clients.
//!
//! `webpki` decides. It is stricter than Go in three points that home-made certificates meet: it takes no
//! certificate of X.509 version 1, none that may itself sign others, and none that lies among the roots
//! itself. Such a certificate is accepted here where a root signed it directly (or it is a root), which
//! needs no path building; behind an intermediate it stays refused.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

use super::peer_certificate::PeerCertificate;

/// Checks clients' certificates against roots.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    /// `None` where there is no root: nobody is accepted.
    strict: Option<Arc<dyn ClientCertVerifier>>,
    roots: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    /// A verifier with these roots; those that are no certificates are left out.
    pub(super) fn new(roots: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Self {
        let mut store = RootCertStore::empty();
        for root in &roots {
            // One that webpki cannot use may still be a client's own certificate.
            let _ = store.add(root.clone());
        }
        let strict =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
        Self { strict: strict.ok(), roots, algorithms: provider.signature_verification_algorithms }
    }

    /// The certificate on its own: a root, or signed by one.
    fn verify_directly(&self, der: &CertificateDer<'_>, now: UnixTime) -> Result<(), CertificateError> {
        let certificate = parsed(der).ok_or(CertificateError::BadEncoding)?;
        check_time(&certificate, now)?;
        check_purpose(&certificate)?;
        let root =
            self.roots.iter().find(|root| *root == der || self.is_signed_by(&certificate, der, root, now));
        root.map(|_| ()).ok_or(CertificateError::UnknownIssuer)
    }

    fn is_signed_by(
        &self,
        certificate: &X509Certificate<'_>,
        der: &CertificateDer<'_>,
        root: &CertificateDer<'_>,
        now: UnixTime,
    ) -> bool {
        let Some(root) = parsed(root) else { return false };
        root.subject().as_raw() == certificate.issuer().as_raw()
            && may_sign(&root)
            && check_time(&root, now).is_ok()
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
        self.strict.as_ref().map(|strict| strict.root_hint_subjects()).unwrap_or_default()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let strict = match &self.strict {
            Some(strict) => strict.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let Err(refused) = strict else { return Ok(ClientCertVerified::assertion()) };
        let error = match (refused, self.verify_directly(end_entity, now)) {
            (_, Ok(())) => return Ok(ClientCertVerified::assertion()),
            // Only what webpki has a word for in the reference's list says more than the direct look.
            (Error::InvalidCertificate(strict), Err(_)) if is_plain(&strict) => strict,
            (_, Err(direct)) => direct,
        };
        REFUSED.set(Some(refusal_text(&error, end_entity, intermediates, now)));
        Err(with_alert(error).into())
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

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// The certificate if it is of version 1, which the TLS library's own checks do not take.
fn version_1<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    parsed(der).filter(|certificate| certificate.version() != X509Version::V3)
}

fn check_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let time =
        |at: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(at).unwrap_or(0)));
    let validity = certificate.validity();
    let not_before = time(validity.not_before.timestamp());
    let not_after = time(validity.not_after.timestamp());
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before });
    }
    if not_after < now {
        return Err(CertificateError::ExpiredContext { time: now, not_after });
    }
    Ok(())
}

/// Meant for clients, or for nothing in particular, and nothing in it that must be understood and is not.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let usage = certificate.extended_key_usage().map_err(|_| CertificateError::BadEncoding)?;
    if usage.is_some_and(|usage| !usage.value.any && !usage.value.client_auth) {
        return Err(CertificateError::InvalidPurpose);
    }
    let understood = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
        )
    };
    let all = certificate.extensions().iter();
    if all.filter(|extension| extension.critical).all(|extension| understood(extension.parsed_extension())) {
        Ok(())
    } else {
        Err(CertificateError::UnhandledCriticalExtension)
    }
}

/// Whether a root may sign certificates. One that constrains names is left to webpki.
fn may_sign(root: &X509Certificate<'_>) -> bool {
    let constraints = root.basic_constraints();
    let is_authority = match constraints {
        Ok(Some(constraints)) => constraints.value.ca,
        Ok(None) => root.version() != X509Version::V3,
        Err(_) => false,
    };
    let usage = root.key_usage();
    let signs = usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    is_authority && signs && root.name_constraints().is_ok_and(|constraints| constraints.is_none())
}

fn key_algorithm<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    der_contents(certificate.public_key().raw).and_then(der_contents)
}

/// What the first element of some DER holds.
fn der_contents(der: &[u8]) -> Option<&[u8]> {
    x509_parser::asn1_rs::Any::from_der(der).ok().map(|(_, element)| element.data)
}

/// Errors that say what is wrong with a certificate of whatever shape.
fn is_plain(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::UnhandledCriticalExtension
            | CertificateError::BadSignature
            | CertificateError::Revoked
    )
}

/// The error whose alert is the one that the reference sends.
fn with_alert(error: CertificateError) -> CertificateError {
    match error {
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateError::Expired
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::UnknownIssuer => error,
        _ => CertificateError::BadEncoding,
    }
}

/// What the reference's log says of it: the reason, then each certificate that was presented.
fn refusal_text(
    error: &CertificateError,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> String {
    let presented: Vec<String> = std::iter::once(end_entity)
        .chain(intermediates)
        .filter_map(|der| PeerCertificate::from_der(der).ok())
        .map(|facts| format!("{} SHA-256: {}", facts.subject.full_text(), facts.certificate_sha256_hex()))
        .collect();
    let reason = reason(error, now);
    let detail = if presented.is_empty() { String::new() } else { format!(" ({})", presented.join("; ")) };
    format!("tls: failed to verify certificate: x509: {reason}{detail}")
}

fn reason(error: &CertificateError, now: UnixTime) -> String {
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
        CertificateError::ExpiredContext { not_after, .. } => outside("after", not_after),
        CertificateError::NotValidYetContext { not_before, .. } => outside("before", not_before),
        CertificateError::Expired | CertificateError::NotValidYet => {
            "certificate has expired or is not yet valid".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate specifies an incompatible key usage".into()
        }
        CertificateError::UnhandledCriticalExtension => "unhandled critical extension".into(),
        CertificateError::BadEncoding => "malformed certificate".into(),
        _ => "certificate signed by unknown authority".into(),
    }
}
