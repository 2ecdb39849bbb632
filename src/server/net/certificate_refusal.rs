//! Why a client's certificate is refused, in the reference's words (those of Go's `crypto/x509`).

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;
use webpki::Error;
use x509_parser::public_key::PublicKey;

use super::certificate::{Certificate, Malformed};
use crate::server::base::quote::quote;

/// Why a certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    /// One that was presented is no certificate.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It has ended or not begun.
    #[error("x509: certificate has expired or is not yet valid: current time {now} is {relation} {limit}")]
    Expired { now: String, relation: &'static str, limit: String },
    /// Nobody known has signed it; what is in the way, where something is.
    #[error("x509: certificate signed by unknown authority{0}")]
    UnknownAuthority(String),
    /// Anything else.
    #[error("x509: {0}")]
    Other(&'static str),
}

impl Invalid {
    /// What an error of `webpki` means; `hint` says more where nobody known has signed.
    pub(super) fn new(error: &Error, hint: impl FnOnce() -> Option<String>) -> Self {
        match error {
            Error::CertExpired { time, not_after } => {
                Self::Expired { now: date(time), relation: "after", limit: date(not_after) }
            }
            Error::CertNotValidYet { time, not_before } => {
                Self::Expired { now: date(time), relation: "before", limit: date(not_before) }
            }
            Error::RequiredEkuNotFoundContext(_) => {
                Self::Other("certificate specifies an incompatible key usage")
            }
            Error::PathLenConstraintViolated => {
                Self::Other("too many intermediates for path length constraint")
            }
            Error::UnsupportedCriticalExtension => Self::Other("unhandled critical extension"),
            Error::NameConstraintViolation => {
                Self::Other("a root or intermediate certificate is not authorized to sign for this name")
            }
            Error::MaximumSignatureChecksExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumNameConstraintComparisonsExceeded => {
                Self::Other("signature check attempts limit reached while verifying certificate chain")
            }
            // The reference follows such a chain, and has no words for it.
            Error::MaximumPathDepthExceeded => Self::Other("too many intermediates"),
            _ => Self::UnknownAuthority(hint().unwrap_or_default()),
        }
    }
}

/// How far up a path somebody is looked for whose fault it is.
const HINT_DEPTH_MAX: usize = 8;

/// What the reference says besides where nobody known has signed: the first candidate on the way up that might
/// have, and why it has not.
pub(super) fn hint<'s, 'a: 's>(
    peer: &'s Certificate<'a>,
    candidates: impl Iterator<Item = &'s Certificate<'a>> + Clone,
    algorithms: WebPkiSupportedAlgorithms,
) -> Option<String> {
    let mut signed = peer;
    for _ in 0..HINT_DEPTH_MAX {
        let mut named = candidates
            .clone()
            .filter(|candidate| candidate.der != signed.der && candidate.subject() == signed.issuer());
        let candidate = named.next()?;
        let reason = if !candidate.may_sign() {
            "x509: invalid signature: parent certificate cannot sign this kind of certificate"
        } else if !signed.is_signed_by(candidate, algorithms) {
            match candidate.facts.public_key().parsed() {
                Ok(PublicKey::EC(_)) => "x509: ECDSA verification failure",
                Ok(PublicKey::RSA(_)) => "crypto/rsa: verification error",
                _ => "x509: Ed25519 verification failure",
            }
        } else {
            signed = candidate;
            continue;
        };
        return Some(format!(
            " (possibly because of {} while trying to verify candidate authority certificate {})",
            quote(reason),
            quote(candidate.short_name())
        ));
    }
    None
}

fn date(time: &UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
