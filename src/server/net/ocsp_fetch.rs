//! Asking responders: OCSP over HTTP.

use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder};

use super::tls_dial;
use crate::server::base::base64::Base64;
use crate::server::base::io_text::io_text;
use crate::server::config::read::Files;

/// An answer has a few kilobytes; beyond this nothing is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Whoever asks responders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Asker(Client);

impl Asker {
    /// One that gives each responder so much time.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(timeout: Duration, files: &dyn Files) -> Result<Self, String> {
        let tls = tls_dial::client_config(None, files).map_err(|error| error.to_string())?;
        let client = Client::builder().timeout(timeout).no_proxy().tls_backend_preconfigured(tls).build();
        client.map(Self).map_err(|error| error.to_string())
    }

    /// Asks by POST, as most responders like it.
    ///
    /// # Errors
    /// There is no answer; the text is the reference's as far as it says why.
    pub async fn post(&self, url: &str, request: &[u8]) -> Result<Vec<u8>, String> {
        let asked = self.0.post(url).header(CONTENT_TYPE, "application/ocsp-request");
        let asked = asked.header(ACCEPT, "application/ocsp-response").body(request.to_vec());
        let refused =
            |status| format!("non-ok http status on POST request (reqlen={}): {status}", request.len());
        body(asked, &format!("Post \"{url}\""), refused).await
    }

    /// Asks by GET: the request is part of the address.
    ///
    /// # Errors
    /// As [`Self::post`]; `refused` makes a text of a status that is none of success.
    pub async fn get(
        &self,
        url: &str,
        request: &str,
        refused: impl Fn(u16) -> String,
    ) -> Result<Vec<u8>, String> {
        let url = format!("{url}/{request}");
        body(self.0.get(&url), &format!("Get \"{url}\""), refused).await
    }
}

/// A request as part of an address.
pub fn in_address(request: &[u8]) -> String {
    Base64::Standard.encode(request).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

async fn body(
    request: RequestBuilder,
    what: &str,
    refused: impl Fn(u16) -> String,
) -> Result<Vec<u8>, String> {
    let failed = |error: &reqwest::Error| format!("{what}: {}", reason(error));
    let mut answer = request.send().await.map_err(|error| failed(&error))?;
    if !answer.status().is_success() {
        return Err(refused(answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("{what}: the answer is longer than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no answer: the innermost cause.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".into();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    match last.downcast_ref::<io::Error>() {
        Some(error) => io_text(error),
        None => last.to_string(),
    }
}
