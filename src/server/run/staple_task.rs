//! Keeps responders' answers stapled to this server's certificates: asks, stores, asks again in time.
//!
//! Answers are kept in `<store_dir>/ocsp`, named by the certificate's SHA-256, as the reference keeps them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::server::base::base64::Base64;
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::duration::go_duration;
use crate::server::base::io_text::io_text;
use crate::server::client::ClientContext;
use crate::server::config::options::Options;
use crate::server::config::read::Here;
use crate::server::log::Logger;
use crate::server::net::TlsSetup;
use crate::server::net::ocsp::{self, Answer};
use crate::server::net::ocsp_fetch::Asker;
use crate::server::net::peer_certificate::hex;
use crate::server::net::staple::{self, Plan};
use crate::server::net::tls_setup::OwnCertificate;

/// Time for a responder. Reference: 30 s.
const ASK_TIME_MAX: Duration = Duration::from_secs(30);

/// The folder of the answers, below `store_dir`.
const FOLDER: &str = "ocsp";

/// One certificate with an answer stapled to it.
#[derive(Debug)]
struct Stapled {
    /// Its place among the certificates.
    at: usize,
    file: String,
    leaf: Vec<u8>,
    issuer: Vec<u8>,
    responders: Vec<String>,
    folder: Option<PathBuf>,
    stops: bool,
    answer: Option<Answer>,
}

/// Staples an answer to each certificate that is to have one, before anybody is shown it.
///
/// # Errors
/// There is none, or one after which the server is not to run.
pub(super) async fn staple_all(
    options: &Options,
    setup: &TlsSetup,
    now: Timestamp,
    logger: &Logger,
) -> Result<(), String> {
    for mut stapled in find(options, setup, Some(logger))? {
        stapled.take_up(setup, now, logger).await?;
    }
    Ok(())
}

/// The certificates that are to have an answer stapled; a wish that is not heeded is told to `logger`.
fn find(options: &Options, setup: &TlsSetup, logger: Option<&Logger>) -> Result<Vec<Stapled>, String> {
    let mut found = Vec::new();
    for (at, certificate) in setup.certificates.iter().enumerate() {
        let Some(leaf) = certificate.chain.first() else { continue };
        match staple::plan(options.ocsp.as_ref(), ocsp::must_staple(leaf)) {
            Plan::Bare => {}
            Plan::BareAgainstItsWish => {
                if let Some(logger) = logger {
                    logger.warn(format_args!(
                        "Certificate at '{}' has MustStaple but OCSP is disabled",
                        certificate.file.display()
                    ));
                }
            }
            Plan::Staple { stops } => found.push(Stapled::new(options, setup, at, certificate, stops)?),
        }
    }
    Ok(found)
}

impl Stapled {
    fn new(
        options: &Options,
        setup: &TlsSetup,
        at: usize,
        certificate: &OwnCertificate,
        stops: bool,
    ) -> Result<Self, String> {
        let leaf = certificate.chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
        let folder = options.store_dir.as_ref().map(|store| store.join(FOLDER));
        if let Some(folder) = &folder {
            make_folder(folder)?;
        }
        let overridden = options.ocsp.as_ref().map(|ocsp| ocsp.urls.clone()).filter(|urls| !urls.is_empty());
        Ok(Self {
            at,
            file: certificate.file.display().to_string(),
            issuer: setup.issuer(certificate)?.to_vec(),
            responders: overridden.unwrap_or_else(|| ocsp::responders(&leaf)),
            leaf,
            folder,
            stops,
            answer: None,
        })
    }

    /// Staples what is stored, or else what a responder says.
    async fn take_up(&mut self, setup: &TlsSetup, now: Timestamp, logger: &Logger) -> Result<(), String> {
        let (raw, answer) = match self.stored(now).await {
            Some(stored) => stored,
            None => self.ask(now, logger).await.map_err(|error| {
                format!("bad OCSP status update for certificate at '{}': {error}", self.file)
            })?,
        };
        if staple::ends(&answer, self.stops) {
            let status = answer.status.text();
            return Err(format!("found existing OCSP status for certificate at '{}': {status}", self.file));
        }
        setup.staple(self.at, Some(raw));
        self.answer = Some(answer);
        Ok(())
    }

    async fn stored(&self, now: Timestamp) -> Option<(Vec<u8>, Answer)> {
        let path = self.path()?;
        let raw = spawn_blocking(move || read(&path)).await.ok().flatten()?;
        let answer = ocsp::answer(&raw, &self.leaf, &self.issuer).ok()?;
        staple::check_time(&answer, now).ok()?;
        Some((raw, answer))
    }

    /// Asks the responders, one after the other, and stores the first answer.
    async fn ask(&self, now: Timestamp, logger: &Logger) -> Result<(Vec<u8>, Answer), String> {
        let request = ocsp::request(&self.leaf, &self.issuer).ok_or("x509: malformed certificate")?;
        if self.responders.is_empty() {
            return Err("no available ocsp servers".into());
        }
        let asker = Asker::new(ASK_TIME_MAX, &Here)?;
        let mut failed = String::new();
        for url in &self.responders {
            let raw = match ask_one(&asker, url.trim_end_matches('/'), &request, logger).await {
                Ok(raw) => raw,
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            let answer = ocsp::answer(&raw, &self.leaf, &self.issuer)
                .map_err(|error| format!("failed to get remote status: {error}"))?;
            staple::check_time(&answer, now)?;
            if let Some(path) = self.path() {
                let bytes = raw.clone();
                let written = spawn_blocking(move || write(&path, &bytes)).await;
                written
                    .unwrap_or_else(|_| Err("interrupted".into()))
                    .map_err(|error| format!("failed to write ocsp status: {error}"))?;
            }
            return Ok((raw, answer));
        }
        Err(format!("exhausted ocsp servers: {failed}"))
    }

    fn path(&self) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(hex(&Sha256::digest(&self.leaf))))
    }
}

async fn ask_one(asker: &Asker, url: &str, request: &[u8], logger: &Logger) -> Result<Vec<u8>, String> {
    let start = Instant::now();
    let told = |method: &str, outcome: &Result<Vec<u8>, String>| {
        if outcome.is_ok() {
            logger.debug(format_args!(
                "Received OCSP response (method={method}, status=200, url={url}, duration={:.3}s)",
                start.elapsed().as_secs_f64()
            ));
        }
    };
    let posted = asker.post(url, request).await;
    told("POST", &posted);
    let Err(post_error) = posted else { return posted };
    let encoded = Base64::Standard.encode(request);
    let refused = |status| format!("non-ok http status on GET request (reqlen={}): {status}", encoded.len());
    let got = asker.get(url, &encoded, refused).await;
    told("GET", &got);
    got.map_err(|get_error| format!("{post_error}\n{get_error}"))
}

/// Runs until a certificate is no longer good and the server is to stop for it.
pub(super) async fn run(client: Arc<ClientContext>) {
    let logger = &client.conn.logger;
    loop {
        let (options, setup) = (client.conn.options(), client.tls.setup());
        let Some(setup) = setup else {
            client.tls.changed().await;
            continue;
        };
        let mut all = find(&options, &setup, None).unwrap_or_default();
        if !all.is_empty() {
            logger.notice(format_args!("OCSP Stapling enabled for Client connections"));
        }
        let mut looks: Vec<Instant> = Vec::new();
        for stapled in &mut all {
            let now = client.conn.clock.now();
            // Stored just before, unless there is no place to store it.
            let found = stapled.take_up(&setup, now, logger).await;
            let next = staple::next_look(stapled.answer.as_ref(), now);
            if let (Ok(()), Some(answer)) = (found, &stapled.answer) {
                logger.notice(format_args!(
                    "Found OCSP status for Client certificate at '{}': {}, next update {}, checking again in {}",
                    stapled.file,
                    answer.status.text(),
                    staple::date(answer.next_update),
                    go_duration(next)
                ));
            }
            looks.push(Instant::now() + next);
        }
        loop {
            let Some((at, due)) = looks.iter().copied().enumerate().min_by_key(|(_, due)| *due) else {
                client.tls.changed().await;
                break;
            };
            tokio::select! {
                () = client.tls.changed() => break,
                () = sleep_until(due) => {}
            }
            let (Some(stapled), Some(look)) = (all.get_mut(at), looks.get_mut(at)) else { break };
            match renew(stapled, &setup, client.conn.clock.now(), logger).await {
                Some(next) => *look = Instant::now() + next,
                None if stapled.stops => return,
                // As the reference: an answer that is not good ends the questions.
                None => {
                    all.remove(at);
                    looks.remove(at);
                }
            }
        }
    }
}

/// Asks again; says when to ask next, or `None` where the certificate is no longer good.
async fn renew(stapled: &mut Stapled, setup: &TlsSetup, now: Timestamp, logger: &Logger) -> Option<Duration> {
    match stapled.ask(now, logger).await {
        Err(error) => {
            let next = staple::next_look(stapled.answer.as_ref(), now);
            logger.error(format_args!(
                "Bad OCSP status update for certificate '{}': {error}, trying again in {}",
                stapled.file,
                go_duration(next)
            ));
            Some(next)
        }
        Ok((raw, answer)) => {
            setup.staple(stapled.at, Some(raw));
            let status = answer.status;
            let next = staple::next_look(Some(&answer), now);
            let date = staple::date(answer.next_update);
            stapled.answer = Some(answer);
            if status != ocsp::Status::Good {
                let (file, status) = (&stapled.file, status.text());
                logger.error(format_args!("Received OCSP status for Client certificate '{file}': {status}"));
                return None;
            }
            logger.notice(format_args!(
                "Received OCSP status for Client certificate '{}': good, next update {date}, checking again in {}",
                stapled.file,
                go_duration(next)
            ));
            Some(next)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the folder of answers is made where it is used")]
fn make_folder(folder: &Path) -> Result<(), String> {
    match std::fs::metadata(folder) {
        Ok(entry) if entry.is_dir() => Ok(()),
        Ok(_) => Err("OCSP storage directory is not a directory".into()),
        Err(_) => std::fs::create_dir_all(folder).map_err(|error| {
            format!(
                "could not create OCSP storage directory - mkdir {}: {}",
                folder.display(),
                io_text(&error)
            )
        }),
    }
}

#[expect(clippy::disallowed_methods, reason = "answers are kept in files")]
fn read(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path).ok()
}

/// Writes beside the file and renames: whoever reads meanwhile finds the old answer.
#[expect(clippy::disallowed_methods, reason = "answers are kept in files")]
fn write(path: &Path, answer: &[u8]) -> Result<(), String> {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, answer)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| format!("open {}: {}", beside.display(), io_text(&error)))
}
