//! What Go demands of the certificates in a chain besides signatures, names and their constraints.
//!
//! `webpki` asks much of it of what a peer presents and nothing of a root, of which it knows a name and a
//! key. So each path that it builds is looked at here as a whole, the root among the rest: a root that has
//! expired, may not sign or is for servers only vouches for nobody.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use webpki::{Error, KeyUsage, RequiredEkuNotFoundContext};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};

/// A path from a client's certificate to a root, DER: whether each certificate may stand where it does.
/// The client's own is checked as far as the others are.
pub(super) fn check_path(path: &[&[u8]], now: UnixTime) -> Result<(), Error> {
    let mut chain = Vec::with_capacity(path.len());
    for der in path {
        chain.push(parsed(der).ok_or(Error::BadDer)?);
    }
    for (at, certificate) in chain.iter().enumerate() {
        check_understood(certificate)?;
        check_time(certificate, now)?;
        if let Some(between) = at.checked_sub(1) {
            check_issuer(certificate, between)?;
        }
    }
    // From the root down: what one of them is not for, none below it is.
    chain.iter().rev().try_for_each(check_purpose)
}

/// Whether it holds now.
fn check_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let time = |at: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
    let validity = certificate.validity();
    let not_before = time(validity.not_before.timestamp());
    let not_after = time(validity.not_after.timestamp());
    if now < not_before {
        return Err(Error::CertNotValidYet { time: now, not_before });
    }
    if not_after < now {
        return Err(Error::CertExpired { time: now, not_after });
    }
    Ok(())
}

/// Whether it may sign certificates, with `between` others between it and the client's.
pub(super) fn check_issuer(certificate: &X509Certificate<'_>, between: usize) -> Result<(), Error> {
    let constraints = certificate.basic_constraints().map_err(|_| Error::BadDer)?;
    let is_authority = match &constraints {
        Some(constraints) => constraints.value.ca,
        None => certificate.version() != X509Version::V3,
    };
    let usage = certificate.key_usage().map_err(|_| Error::BadDer)?;
    if !is_authority || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(Error::UnknownIssuer);
    }
    let most = constraints.and_then(|constraints| constraints.value.path_len_constraint);
    let most = most.and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| between > most) {
        return Err(Error::PathLenConstraintViolated);
    }
    Ok(())
}

/// Whether it is meant for clients, or for nothing in particular.
fn check_purpose(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let usage = certificate.extended_key_usage().map_err(|_| Error::BadDer)?;
    if usage.is_some_and(|usage| !usage.value.any && !usage.value.client_auth) {
        return Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required: KeyUsage::client_auth(),
            present: Vec::new(),
        }));
    }
    Ok(())
}

/// Whether there is nothing in it that must be understood and is not.
fn check_understood(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    let understood = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
                | ParsedExtension::NameConstraints(_)
                | ParsedExtension::CertificatePolicies(_)
                | ParsedExtension::CRLDistributionPoints(_)
        )
    };
    let mut critical = certificate.extensions().iter().filter(|extension| extension.critical);
    if critical.all(|extension| understood(extension.parsed_extension())) {
        Ok(())
    } else {
        Err(Error::UnsupportedCriticalExtension)
    }
}

/// The certificate, if it is one.
pub(super) fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}
