//! Paths from a peer's certificate to a root, found as Go's `x509.Verify` finds them.
//!
//! ```text
//! certificate --signed by--> one that was presented with it --signed by--> … --signed by--> root
//! ```
//!
//! From the peer's certificate upwards each candidate is tried whose name is that of the issuer, those
//! first whose key goes by the name that the signed one gives; a path ends at a root. Those found are then
//! looked at as a whole: purposes, policies, names. What is wrong, and with whose words the reference says
//! so, depends on this order; home-made certificates meet all of it.

use std::time::Duration;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};

use super::certificate::{Certificate, Malformed};
use super::certificate_policies::check_policies;
use super::certificate_rules::{self as rules, Position};
use super::certificate_signature::{self as signature};
use super::name_constraints::check_names;
use crate::server::base::quote::quote;

/// Signatures that are looked at for one certificate. Reference: 100.
const SIGNATURES_MAX: usize = 100;

/// Certificates from a client's own to a root, DER.
pub type Path = Vec<Vec<u8>>;

/// Certificates at which paths end.
#[derive(Debug)]
pub(super) struct Roots {
    /// Each with its subject, DER.
    all: Vec<(CertificateDer<'static>, Vec<u8>)>,
}

/// Why a certificate is refused; the text is the reference's.
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
    Other(String),
}

impl Invalid {
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }
}

impl Roots {
    /// Those that are certificates.
    pub(super) fn new(roots: Vec<CertificateDer<'static>>) -> Self {
        let mut all: Vec<(CertificateDer<'static>, Vec<u8>)> = Vec::new();
        for root in roots {
            let subject = Certificate::parse(&root).ok().map(|root| root.subject().to_vec());
            if let Some(subject) = subject
                && all.iter().all(|(known, _)| *known != root)
            {
                all.push((root, subject));
            }
        }
        Self { all }
    }

    /// Their subjects, DER.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|(_, subject)| subject.as_slice())
    }

    /// All paths by which what a peer presents is accepted, its own certificate first: never none.
    pub(super) fn paths(
        &self,
        presented: &[&[u8]],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Vec<Path>, Invalid> {
        let mut certificates: Vec<Certificate<'_>> = Vec::with_capacity(presented.len());
        for der in presented {
            certificates.push(Certificate::parse(der)?);
        }
        let Some((peer, others)) = certificates.split_first() else {
            return Err(Invalid::UnknownAuthority(String::new()));
        };
        let mut between: Vec<&Certificate<'_>> = Vec::new();
        for other in others {
            if between.iter().all(|known| known.der != other.der) {
                between.push(other);
            }
        }
        let is_issuer =
            |subject: &[u8]| certificates.iter().any(|certificate| certificate.issuer() == subject);
        let roots: Vec<Certificate<'_>> = self
            .all
            .iter()
            .filter(|(_, subject)| is_issuer(subject))
            .filter_map(|(root, _)| Certificate::parse(root).ok())
            .collect();
        rules::check(peer, Position::Peer, &[], now)?;
        let paths = if self.all.iter().any(|(root, _)| root.as_ref() == peer.der) {
            vec![vec![peer]]
        } else {
            let mut search = Search { roots: &roots, between: &between, now, algorithms, signatures: 0 };
            search.above(&[peer])?
        };
        let paths = accepted(paths)?;
        let path =
            |path: &Vec<&Certificate<'_>>| path.iter().map(|certificate| certificate.der.to_vec()).collect();
        Ok(paths.iter().map(path).collect())
    }
}

/// The search for one certificate's paths.
struct Search<'s, 'a> {
    roots: &'s [Certificate<'a>],
    between: &'s [&'s Certificate<'a>],
    now: UnixTime,
    algorithms: WebPkiSupportedAlgorithms,
    /// How many have been looked at.
    signatures: usize,
}

impl<'s, 'a> Search<'s, 'a> {
    /// All paths to roots that begin with `path`; else why there is none.
    fn above(&mut self, path: &[&'s Certificate<'a>]) -> Result<Vec<Vec<&'s Certificate<'a>>>, Invalid> {
        let Some(signed) = path.last() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        // What was wrong with the last candidate above a good signature, and with the first of all.
        let (mut refused, mut hint) = (None, None);
        let roots = likely_issuers(signed, self.roots.iter()).into_iter().map(|root| (Position::Root, root));
        let between = likely_issuers(signed, self.between.iter().copied()).into_iter();
        let candidates: Vec<_> = roots.chain(between.map(|other| (Position::Between, other))).collect();
        for (position, candidate) in candidates {
            if path.iter().any(|member| is_same(member, candidate)) {
                continue;
            }
            self.signatures += 1;
            if self.signatures > SIGNATURES_MAX {
                let text = "signature check attempts limit reached while verifying certificate chain";
                refused = Some(Invalid::other(text));
                continue;
            }
            if let Err(reason) = signature::check(signed, candidate, self.algorithms) {
                hint.get_or_insert((reason, candidate));
                continue;
            }
            refused = match rules::check(candidate, position, path, self.now) {
                Err(error) => {
                    hint.get_or_insert_with(|| (error.to_string(), candidate));
                    Some(error)
                }
                Ok(()) => {
                    let longer: Vec<_> = path.iter().copied().chain([candidate]).collect();
                    match position {
                        Position::Root => {
                            found.push(longer);
                            None
                        }
                        Position::Peer | Position::Between => match self.above(&longer) {
                            Ok(more) => {
                                found.extend(more);
                                None
                            }
                            Err(error) => Some(error),
                        },
                    }
                }
            };
        }
        if !found.is_empty() {
            return Ok(found);
        }
        Err(refused.unwrap_or_else(|| Invalid::UnknownAuthority(hint.map(in_words).unwrap_or_default())))
    }
}

fn in_words((reason, candidate): (String, &Certificate<'_>)) -> String {
    format!(
        " (possibly because of {} while trying to verify candidate authority certificate {})",
        quote(reason),
        quote(candidate.short_name())
    )
}

/// Those who may have signed, by name; first those whose key goes by the name that the signed one gives,
/// last those whose key goes by another.
fn likely_issuers<'s, 'a: 's>(
    signed: &Certificate<'_>,
    from: impl Iterator<Item = &'s Certificate<'a>>,
) -> Vec<&'s Certificate<'a>> {
    let wanted = signed.issuer_key_id();
    let mut found: Vec<_> = from.filter(|candidate| candidate.subject() == signed.issuer()).collect();
    found.sort_by_key(|candidate| {
        let own = candidate.key_id();
        if own == wanted {
            0
        } else if own.is_empty() || wanted.is_empty() {
            1
        } else {
            2
        }
    });
    found
}

/// Whether two certificates are about the same subject with the same key and alternative names.
fn is_same(one: &Certificate<'_>, other: &Certificate<'_>) -> bool {
    one.subject() == other.subject()
        && one.facts.public_key().raw == other.facts.public_key().raw
        && one.raw_names() == other.raw_names()
}

/// The paths that are in order as a whole.
fn accepted<'s, 'a>(paths: Vec<Vec<&'s Certificate<'a>>>) -> Result<Vec<Vec<&'s Certificate<'a>>>, Invalid> {
    let (mut other_purposes, mut other_policies, mut misnamed) = (0_usize, 0_usize, None);
    let mut good = Vec::new();
    for path in paths {
        if !rules::is_for_clients(&path) {
            other_purposes += 1;
        } else if !check_policies(&path) {
            other_policies += 1;
        } else if let Err(reason) = check_names(&path) {
            misnamed.get_or_insert(reason);
        } else {
            good.push(path);
        }
    }
    if !good.is_empty() {
        return Ok(good);
    }
    Err(Invalid::Other(match (misnamed, other_purposes, other_policies) {
        (Some(reason), ..) => {
            format!("a root or intermediate certificate is not authorized to sign for this name: {reason}")
        }
        (None, _, 0) => "certificate specifies an incompatible key usage".to_owned(),
        (None, 0, count) => format!("no valid chains built: {count} candidate chains with invalid policies"),
        (None, purposes, policies) => format!(
            "no valid chains built: {purposes} candidate chains with incompatible key usage, \
             {policies} candidate chains with invalid policies"
        ),
    }))
}

/// A time as refusals show it.
pub(super) fn date(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
