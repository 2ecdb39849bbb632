//! What Go demands of the certificates in a path besides signatures, names and policies.

use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::certificate::Certificate;
use super::certificate_path::{Invalid, date};

/// Where in a path a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It is the peer's own.
    Peer,
    /// It was presented besides.
    Between,
    /// It is trusted.
    Root,
}

/// Whether a certificate may stand above `below`, the peer's own first.
pub(super) fn check(
    certificate: &Certificate<'_>,
    position: Position,
    below: &[&Certificate<'_>],
    now: UnixTime,
) -> Result<(), Invalid> {
    if !certificate.is_understood() {
        return Err(Invalid::other("unhandled critical extension"));
    }
    check_time(certificate, now)?;
    let constraints = certificate.basic_constraints();
    if position == Position::Between && !constraints.is_some_and(|constraints| constraints.ca) {
        return Err(Invalid::other("certificate is not authorized to sign other certificates"));
    }
    let most = constraints.and_then(|constraints| constraints.path_len_constraint);
    let most = most.and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| below.len() > most.saturating_add(1)) {
        return Err(Invalid::other("too many intermediates for path length constraint"));
    }
    Ok(())
}

/// Whether it holds now.
fn check_time(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), Invalid> {
    let at = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let validity = certificate.facts.validity();
    let not_before = at(validity.not_before.timestamp());
    let not_after = at(validity.not_after.timestamp());
    let now = Duration::from_secs(now.as_secs());
    let expired = |relation, limit| Invalid::Expired { now: date(now), relation, limit: date(limit) };
    if now < not_before {
        return Err(expired("before", not_before));
    }
    if not_after < now {
        return Err(expired("after", not_after));
    }
    Ok(())
}

/// Whether every certificate of a path is meant for clients, or for nothing in particular.
pub(super) fn is_for_clients(path: &[&Certificate<'_>]) -> bool {
    let suits = |certificate: &&Certificate<'_>| {
        certificate.purposes().is_none_or(|purposes| purposes.any || purposes.client_auth)
    };
    path.iter().all(suits)
}
