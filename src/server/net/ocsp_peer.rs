//! Whether the responders of a peer's chain say that its certificates are good.
//!
//! Reference: a chain is valid when each certificate in it that names a responder is good; one that names
//! none is. What is said to the log is the reference's too. The chains are those by which the peer's
//! certificate is accepted: what it presented besides is nobody's word, and no address in it is called.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::certificate_path::Path;
use super::ocsp::{self, Answer, Status};
use super::ocsp_cache::OcspCache;
use super::ocsp_fetch::{Asker, in_address};
use super::ocsp_turn::Turn;
use super::peer_certificate::PeerCertificate;
use super::staple::date;
use crate::server::base::base64::Base64;
use crate::server::base::clock::Timestamp;
use crate::server::base::duration::go_duration;
use crate::server::config::options::OcspPeer;
use crate::server::config::read::Files;
use crate::server::log::Logger;

/// What a listener asks about its clients' certificates.
#[derive(Debug)]
pub struct PeerCheck {
    rules: OcspPeer,
    /// `None`: nothing is kept.
    cache: Option<Arc<OcspCache>>,
    asker: Asker,
    log: Logger,
}

/// A chain with a certificate that is not good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLink {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Why, in the reference's words.
    pub reason: String,
}

impl PeerCheck {
    /// A check by these rules, which tells the log what it does.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(
        rules: OcspPeer,
        cache: Option<Arc<OcspCache>>,
        files: &dyn Files,
        log: Logger,
    ) -> Result<Self, String> {
        let asker = Asker::new(rules.ca_timeout, files)?;
        Ok(Self { rules, cache, asker, log })
    }

    /// Where answers are kept.
    pub fn cache(&self) -> Option<Arc<OcspCache>> {
        self.cache.clone()
    }

    /// Checks the chains by which a peer's certificate is accepted; waits for responders in `turn`.
    ///
    /// # Errors
    /// No chain is good: of each the first certificate that is not.
    pub async fn check(
        &self,
        chains: &[Path],
        now: Timestamp,
        turn: &mut Turn,
    ) -> Result<(), Vec<InvalidLink>> {
        let log = &self.log;
        log.debug(format_args!("Peer OCSP enabled: {} TLS client chain(s) will be evaluated", chains.len()));
        if chains.is_empty() {
            log.error(format_args!("Peer certificate is nil, rejecting OCSP peer"));
            return Err(Vec::new());
        }
        let mut invalid = Vec::new();
        for (index, chain) in chains.iter().enumerate() {
            match self.check_chain(index, chain, now, turn).await {
                Ok(()) => return Ok(()),
                Err(link) => invalid.push(link),
            }
        }
        log.debug(format_args!("No OCSP valid chains, thus peer is invalid"));
        Err(invalid)
    }

    async fn check_chain(
        &self,
        index: usize,
        chain: &Path,
        now: Timestamp,
        turn: &mut Turn,
    ) -> Result<(), InvalidLink> {
        let log = &self.log;
        log.debug(format_args!("Chain [{index}]: {} total link(s)", chain.len()));
        if chain.len() == 1 {
            log.debug(format_args!("Chain [{index}] is self-signed, thus peer is valid"));
            return Ok(());
        }
        let links: Vec<_> = chain
            .iter()
            .zip(chain.iter().skip(1))
            .map(|(certificate, issuer)| (certificate, issuer, ocsp::responders(certificate)))
            .filter(|(_, _, responders)| !responders.is_empty())
            .collect();
        if links.is_empty() {
            log.debug(format_args!("Chain [{index}] has no OCSP eligible links, thus peer is valid"));
            return Ok(());
        }
        log.debug(format_args!("Chain [{index}] has {} OCSP eligible link(s)", links.len()));
        for (certificate, issuer, responders) in links {
            let link = Link { check: self, certificate, issuer, responders: &responders, now, log };
            if let Err(reason) = link.is_good(turn).await {
                log.debug(format_args!("{reason}"));
                return Err(InvalidLink { certificate: certificate.clone(), reason });
            }
        }
        log.debug(format_args!("Chain [{index}] is OCSP valid for all eligible links, thus peer is valid"));
        Ok(())
    }
}

/// One certificate of a chain, and who answers for it.
struct Link<'a> {
    check: &'a PeerCheck,
    certificate: &'a [u8],
    issuer: &'a [u8],
    responders: &'a [String],
    now: Timestamp,
    log: &'a Logger,
}

impl Link<'_> {
    async fn is_good(&self, turn: &mut Turn) -> Result<(), String> {
        let key = Base64::Standard.encode(&Sha256::digest(self.certificate));
        let subject = PeerCertificate::from_der(self.certificate).map(|facts| facts.subject.text());
        let subject = subject.unwrap_or_default();
        let mut was_revoked = false;
        self.debug(&format!("Checking OCSP peer cache for [{subject}], key [{key}]"));
        let answer = match self.cached(&key, &subject, &mut was_revoked) {
            Some(answer) => answer,
            None => match self.ask(&key, &subject, was_revoked, turn).await? {
                Some(answer) => answer,
                None => return Ok(()),
            },
        };
        let good = match answer.status {
            Status::Good => true,
            Status::Unknown => self.check.rules.unknown_is_good,
            Status::Revoked => false,
        };
        if good {
            self.debug(&format!("OCSP verify pass for [{subject}]"));
            return Ok(());
        }
        let status = answer.status.text();
        self.warn(&format!("OCSP verify fail for [{subject}] with CA status [{status}]"));
        self.unless_warn_only(&subject, format!("Invalid OCSP response status: {status}"))
    }

    /// What is kept about it and still holds.
    fn cached(&self, key: &str, subject: &str, was_revoked: &mut bool) -> Option<Answer> {
        let cache = self.check.cache.as_ref()?;
        let Some(raw) = cache.get(key) else {
            self.debug(&format!("OCSP peer cache miss for key [{key}]"));
            return None;
        };
        self.debug(&format!("OCSP peer cache hit for key [{key}]"));
        let answer = ocsp::answer(&raw, self.certificate, self.issuer).ok();
        let Some(answer) = answer.filter(|answer| answer.signer_may_sign) else {
            self.debug(&format!("Invalid cached OCSP response for [{subject}] with fingerprint [{key}]"));
            self.forget(cache, key);
            return None;
        };
        *was_revoked = answer.status == Status::Revoked;
        let status = answer.status.text();
        if self.is_current(&answer) {
            self.debug(&format!("Cached OCSP response is current, status [{status}]"));
            return Some(answer);
        }
        self.debug(&format!("Cached OCSP response is expired, status [{status}]"));
        self.forget(cache, key);
        None
    }

    fn forget(&self, cache: &OcspCache, key: &str) {
        if cache.forget(key) {
            self.debug(&format!("Revoked OCSP response for key [{key}] preserved by cache policy"));
        } else {
            self.debug(&format!("Deleting OCSP peer cached response for key [{key}]"));
        }
    }

    /// What a responder says; `None` where there is nothing to go by and the rules let it pass.
    async fn ask(
        &self,
        key: &str,
        subject: &str,
        was_revoked: bool,
        turn: &mut Turn,
    ) -> Result<Option<Answer>, String> {
        let raw = match turn.wait(self.fetch()).await {
            Ok(Ok(raw)) => raw,
            // Not as an unreachable responder: who is revoked may bring enough clients along.
            Err(error) => {
                self.warn(&format!("No OCSP response from CA responder for [{subject}]: {error}"));
                return self.unless_warn_only(subject, error.into()).map(|()| None);
            }
            Ok(Err(error)) => {
                self.warn(&format!(
                    "Attempt to obtain OCSP response from CA responder for [{subject}] failed: {error}"
                ));
                return self.unreachable(subject, was_revoked).map(|()| None);
            }
        };
        let answer = match ocsp::answer(&raw, self.certificate, self.issuer) {
            Ok(answer) => answer,
            Err(error) => {
                self.log.error(format_args!("Could not parse OCSP CA response for [{subject}]: {error}"));
                return self.unless_warn_only(subject, "Failed OCSP response parse".into()).map(|()| None);
            }
        };
        if !answer.signer_may_sign {
            let text = format!("Invalid OCSP response delegation: {subject}");
            self.warn(&text);
            return self.unless_warn_only(subject, text).map(|()| None);
        }
        if !self.is_current(&answer) {
            self.warn(&format!("New OCSP CA response obtained for [{subject}] but not current"));
            let text = "OCSP response not in effectivity window";
            return self.unless_warn_only(subject, text.into()).map(|()| None);
        }
        if let Some(cache) = &self.check.cache {
            self.debug(&format!("Caching OCSP response for [{subject}], key [{key}]"));
            cache.put(key, subject, &raw, &answer, self.now);
        }
        Ok(Some(answer))
    }

    async fn fetch(&self) -> Result<Vec<u8>, String> {
        let request = ocsp::request(self.certificate, self.issuer).ok_or("invalid chain link")?;
        let request = in_address(&request);
        let mut failed = String::new();
        for url in self.responders {
            self.debug(&format!("Trying OCSP responder url [{url}]"));
            let refused = |status| format!("bad OCSP responder http status: [{status}]");
            match self.check.asker.get(url.trim_end_matches('/'), &request, refused).await {
                Ok(raw) => return Ok(raw),
                Err(error) => failed = error,
            }
        }
        Err(format!("exhausted OCSP responders: {failed}"))
    }

    fn unreachable(&self, subject: &str, was_revoked: bool) -> Result<(), String> {
        let rules = &self.check.rules;
        let failed = "Failed OCSP response fetch".to_owned();
        if rules.warn_only || !rules.allow_when_ca_unreachable {
            return self.unless_warn_only(subject, failed);
        }
        let known = if was_revoked {
            "cached revocation exists so rejecting"
        } else {
            "no cached revocation so allowing"
        };
        self.warn(&format!(
            "Failed to obtain OCSP CA response for [{subject}] but AllowWhenCAUnreachable set; {known}"
        ));
        if was_revoked { Err(failed) } else { Ok(()) }
    }

    fn unless_warn_only(&self, subject: &str, reason: String) -> Result<(), String> {
        if !self.check.rules.warn_only {
            return Err(reason);
        }
        self.warn(&format!("OCSP verify fail for [{subject}] but WarnOnly is true so allowing"));
        Ok(())
    }

    /// Whether an answer holds now, give or take what clocks may differ.
    fn is_current(&self, answer: &Answer) -> bool {
        let rules = &self.check.rules;
        let skew = rules.allowed_clockskew;
        let at =
            |seconds: i64| Timestamp::default() + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let now = date(i64::try_from(self.now.nanos() / 1_000_000_000).ok());
        let ttl = i64::try_from(rules.cache_ttl_when_next_update_unset.as_secs()).unwrap_or(i64::MAX);
        let (end, what) = match answer.next_update {
            Some(next) => (next, "NextUpdate"),
            None => (answer.this_update.saturating_add(ttl), "cache expiry"),
        };
        let skew_text = go_duration(skew);
        if at(end) + skew < self.now {
            let end = date(Some(end));
            self.debug(&format!(
                "OCSP response {what} [{end}] is before now [{now}] with clockskew [{skew_text}]"
            ));
            return false;
        }
        if at(answer.this_update) > self.now + skew {
            let begin = date(Some(answer.this_update));
            self.debug(&format!(
                "OCSP response ThisUpdate [{begin}] is before now [{now}] with clockskew [{skew_text}]"
            ));
            return false;
        }
        true
    }

    fn debug(&self, text: &str) {
        self.log.debug(format_args!("{text}"));
    }

    fn warn(&self, text: &str) {
        self.log.warn(format_args!("{text}"));
    }
}
