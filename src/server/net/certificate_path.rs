//! The path from a peer's certificate to a root.
//!
//! ```text
//! certificate --signed by--> one that was presented with it --signed by--> … --signed by--> root
//! ```
//!
//! `webpki` finds it and decides: signatures, time, purposes, constraints. Of a root it knows no more than a
//! name, a key and constraints of names, so [`certificate_rules`](super::certificate_rules) looks at each
//! path that it accepts once more and refuses some; it lets nobody in whom `webpki` refuses.
//!
//! Only of two kinds of certificate, both home-made, `webpki` has no opinion: those of X.509 version 1, and
//! those that may themselves sign others. They are accepted where a root signed them, without anybody
//! between and without constraints of names; so is a root itself. Behind an intermediate they stay refused.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath};

use super::certificate::{Certificate, Malformed};
use super::certificate_refusal::{Invalid, hint};
use super::certificate_rules::{check_path, not_for_clients};

/// Certificates from a client's own to a root, DER.
pub type Path = Vec<Vec<u8>>;

/// Certificates at which paths end.
#[derive(Debug)]
pub(super) struct Roots {
    /// Each with its subject, DER.
    all: Vec<(CertificateDer<'static>, Vec<u8>)>,
    /// Those that `webpki` reads; one that it does not may still be a client's own certificate.
    anchors: Vec<TrustAnchor<'static>>,
    /// Where in `all` each anchor's certificate is.
    anchored: Vec<usize>,
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
        let anchor = |(at, (root, _)): (usize, &(CertificateDer<'static>, Vec<u8>))| {
            Some((webpki::anchor_from_trusted_cert(root).ok()?.to_owned(), at))
        };
        let (anchors, anchored) = all.iter().enumerate().filter_map(anchor).unzip();
        Self { all, anchors, anchored }
    }

    /// Their subjects, DER.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|(_, subject)| subject.as_slice())
    }

    /// The path by which what a peer presents, its own certificate first, is accepted.
    pub(super) fn path(
        &self,
        presented: &[&[u8]],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Path, Invalid> {
        let certificates = presented.iter().map(|der| Certificate::parse(der));
        let certificates: Vec<Certificate<'_>> = certificates.collect::<Result<_, Malformed>>()?;
        let Some((peer, between)) = certificates.split_first() else {
            return Err(Invalid::UnknownAuthority(String::new()));
        };
        self.find(peer, between, now, algorithms).map_err(|error| {
            let is_issuer = |subject: &[u8]| certificates.iter().any(|signed| signed.issuer() == subject);
            let roots = self.all.iter().filter(|(_, subject)| is_issuer(subject));
            let roots: Vec<_> = roots.filter_map(|(root, _)| Certificate::parse(root).ok()).collect();
            Invalid::new(&error, || hint(peer, roots.iter().chain(between), algorithms))
        })
    }

    fn find(
        &self,
        peer: &Certificate<'_>,
        between: &[Certificate<'_>],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Path, Error> {
        // What is wrong with the peer's own certificate is said before anything else.
        check_path(&[peer], now)?;
        if self.all.iter().any(|(root, _)| root.as_ref() == peer.der) {
            return Ok(vec![peer.der.to_vec()]);
        }
        match self.find_strictly(peer, between, now, algorithms) {
            Err(Error::UnsupportedCertVersion | Error::CaUsedAsEndEntity) => {
                self.find_directly(peer, now, algorithms)
            }
            other => other,
        }
    }

    /// As `webpki` does.
    fn find_strictly(
        &self,
        peer: &Certificate<'_>,
        between: &[Certificate<'_>],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Path, Error> {
        let own = CertificateDer::from(peer.der);
        let between: Vec<_> = between.iter().map(|other| CertificateDer::from(other.der)).collect();
        let whole = |found: &VerifiedPath<'_>| {
            let at = self.anchors.iter().position(|anchor| std::ptr::eq(anchor, found.anchor()));
            let root = at.and_then(|at| self.all.get(*self.anchored.get(at)?));
            let (root, _) = root.ok_or(Error::UnknownIssuer)?;
            let between = found.intermediate_certificates().map(|between| between.der().to_vec());
            Ok(std::iter::once(peer.der.to_vec()).chain(between).chain([root.to_vec()]).collect::<Path>())
        };
        let is_in_order = |found: &VerifiedPath<'_>| {
            let path = whole(found)?;
            let path: Vec<_> = path.iter().map(|der| Certificate::parse(der)).collect::<Result<_, _>>()?;
            check_path(&path.iter().collect::<Vec<_>>(), now)
        };
        let found = EndEntityCert::try_from(&own)?;
        let found = found.verify_for_usage(
            algorithms.all,
            &self.anchors,
            &between,
            now,
            ForClients,
            None,
            Some(&is_in_order),
        )?;
        whole(&found)
    }

    /// The certificate on its own, signed by a root.
    fn find_directly(
        &self,
        peer: &Certificate<'_>,
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Path, Error> {
        let mut refused = Error::UnknownIssuer;
        let roots = self.anchored.iter().filter_map(|at| self.all.get(*at));
        for (der, _) in roots.filter(|(_, subject)| subject == peer.issuer()) {
            let root = Certificate::parse(der)?;
            if root.constrains_names() || !peer.is_signed_by(&root, algorithms) {
                continue;
            }
            match check_path(&[peer, &root], now) {
                Ok(()) => return Ok(vec![peer.der.to_vec(), der.to_vec()]),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::BadDer
    }
}

/// Takes certificates that are for clients, for everything, or do not say; `webpki` itself knows nothing of
/// those that are for everything.
struct ForClients;

impl ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        /// `id-kp-clientAuth` and `anyExtendedKeyUsage`.
        const PURPOSES: [KeyPurposeId<'_>; 2] =
            [KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]), KeyPurposeId::new(&[0x55, 0x1d, 0x25, 0])];
        let purposes = purposes.collect::<Result<Vec<_>, _>>()?;
        if purposes.is_empty() || purposes.iter().any(|purpose| PURPOSES.contains(purpose)) {
            return Ok(());
        }
        Err(not_for_clients())
    }
}
