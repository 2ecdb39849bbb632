//! What Go demands of the certificates in a path besides what `webpki` asks: of a root that it holds now, may
//! sign and is for clients, and of everybody between that they were made to sign.

use std::time::Duration;

use rustls::pki_types::UnixTime;
use webpki::{Error, KeyUsage, RequiredEkuNotFoundContext};

use super::certificate::Certificate;

/// A path from a peer's certificate to a root: whether each may stand where it does. The peer's own is
/// checked as far as the others are.
pub(super) fn check_path(path: &[&Certificate<'_>], now: UnixTime) -> Result<(), Error> {
    for (at, certificate) in path.iter().enumerate() {
        if !certificate.is_understood() {
            return Err(Error::UnsupportedCriticalExtension);
        }
        check_time(certificate, now)?;
        if let Some(between) = at.checked_sub(1) {
            check_issuer(certificate, between)?;
        }
    }
    let suits = |certificate: &&Certificate<'_>| {
        certificate.purposes().is_none_or(|purposes| purposes.any || purposes.client_auth)
    };
    if path.iter().all(suits) { Ok(()) } else { Err(not_for_clients()) }
}

/// Whether it holds now.
fn check_time(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), Error> {
    let time = |at: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at).unwrap_or(0)));
    let validity = certificate.facts.validity();
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

/// Whether it may sign certificates, with `between` others between it and the peer's.
fn check_issuer(certificate: &Certificate<'_>, between: usize) -> Result<(), Error> {
    if !certificate.may_sign() {
        return Err(Error::UnknownIssuer);
    }
    let most = certificate.basic_constraints().and_then(|constraints| constraints.path_len_constraint);
    let most = most.and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| between > most) {
        return Err(Error::PathLenConstraintViolated);
    }
    Ok(())
}

/// One of a path is for something else.
pub(super) fn not_for_clients() -> Error {
    Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
        required: KeyUsage::client_auth(),
        present: Vec::new(),
    })
}
