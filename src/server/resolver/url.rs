//! `URL(…)`: claims fetched from a web server, one document an account.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::{Client, StatusCode};

use super::kind::FETCH_TIMEOUT;
use super::stamp::TOKEN_BYTES_MAX;
use crate::server::base::io_text::io_text;
use crate::server::base::quote::quote;
use crate::server::base::url::Url;

/// Idle connections kept to the web server, and for how long. Reference: 10, 30 s.
const IDLE_CONNECTIONS_MAX: usize = 10;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A web server that has account claims. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client,
    /// Ends in a slash; an account's name follows.
    base: String,
}

impl Web {
    /// The server at `base`; `tls` is how its certificate is judged, and ours shown.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(base: &str, tls: rustls::ClientConfig) -> Result<Self, String> {
        let client = Client::builder()
            .timeout(FETCH_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .no_proxy()
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|error| error.to_string())?;
        let slash = if base.ends_with('/') { "" } else { "/" };
        Ok(Self { client, base: format!("{base}{slash}") })
    }

    /// What the server says of `account`; of none, whether it is there at all.
    ///
    /// # Errors
    /// It is not there, or has none; the text is the reference's.
    pub async fn fetch(&self, account: &str) -> Result<String, String> {
        let address = format!("{}{account}", self.base);
        let shown = redacted(&address);
        let could_not = |why: String| format!("could not fetch <{}>: {why}", quote(&shown));
        if let Some(why) = unfit(&address) {
            return Err(could_not(format!("Get {}: {why}", quote(&shown))));
        }
        let answer = self.client.get(&address).send().await;
        let mut answer = answer.map_err(|error| could_not(reason(&error, &shown)))?;
        if answer.status() != StatusCode::OK {
            return Err(could_not(status_text(answer.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| reason(&error, &shown))? {
            if body.len() + chunk.len() > TOKEN_BYTES_MAX {
                return Err(could_not("the document is longer than a token can be".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        String::from_utf8(body).map_err(|_| could_not("the document is no text".to_owned()))
    }
}

/// What keeps anybody from asking there.
fn unfit(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    if !matches!(&*url.scheme, "http" | "https") {
        return Some(format!("unsupported protocol scheme {}", quote(&url.scheme)));
    }
    if url.hostname().is_empty() {
        return Some("http: no Host in request URL".to_owned());
    }
    let port = url.port();
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    (!is_port).then(|| format!("dial tcp: address {port}: invalid port"))
}

/// The address without a password.
fn redacted(address: &str) -> String {
    match Url::parse(address) {
        Ok(url) if address.contains('@') => url.redacted().to_string(),
        _ => address.to_owned(),
    }
}

/// `404 Not Found`.
fn status_text(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(words) => format!("{} {words}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Why there is no answer, as Go puts it; reqwest's own words would name the address with its password.
fn reason(error: &reqwest::Error, shown: &str) -> String {
    let scheme = Url::parse(shown).map(|url| url.scheme).unwrap_or_default();
    let mut why = if !matches!(scheme.as_str(), "http" | "https") {
        format!("unsupported protocol scheme {}", quote(&scheme))
    } else if error.is_timeout() {
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
    } else {
        let mut last: &dyn std::error::Error = error;
        while let Some(source) = last.source() {
            last = source;
        }
        match last.downcast_ref::<io::Error>() {
            Some(error) => io_text(error),
            None if error.source().is_none() => "the answer is none of HTTP".to_owned(),
            None => last.to_string(),
        }
    };
    if error.is_connect() && !error.is_timeout() {
        let address = Url::parse(shown).map(|url| format!("{}:{}", url.hostname(), port(&url)));
        why = format!("dial tcp {}: connect: {why}", address.unwrap_or_default());
    }
    format!("Get {}: {why}", quote(shown))
}

fn port(url: &Url) -> &str {
    match (url.port(), url.scheme.as_str()) {
        ("", "https") => "443",
        ("", _) => "80",
        (port, _) => port,
    }
}
