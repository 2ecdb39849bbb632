//! Tokens: claims as text, with the signature of their issuer.
//!
//! ```text
//! base64url(header) . base64url(claims) . base64url(signature)
//! ```
//! Since version 2 the signature covers header and claims; the first version signed the claims' chunk alone.

use std::fmt::Write as _;

use nkeys::KeyPair;
use sha2::{Digest, Sha512_256};

use crate::server::base::base64::Base64;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::Value;

use super::claims::{About, Body, Claim, Claims, seconds};
use super::document::{self, Document, Each, Field, Listed, When};
use super::error::JwtError;
use super::first_version;
use super::nkey;
use super::{Account, Activation, AuthorizationRequest, AuthorizationResponse, Generic, Operator, User};

/// Bytes of a token before it is refused unread. Reference: `MaxTokenSize`, 1 MiB.
pub const TOKEN_BYTES_MAX: usize = 1024 * 1024;
/// The version of claims that is written, and the newest that is read.
pub(super) const VERSION: i64 = 2;
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
/// The algorithm's name in the first version.
const FIRST_ALGORITHM: &str = "ed25519";
const ALGORITHM: &str = "ed25519-nkey";

/// Reads and verifies a token. That its issuer may be trusted, and that the claims make sense now, is not
/// looked at.
///
/// # Errors
/// A text that is no token, claims of an unknown version, a signature or an issuer that is not right; in this
/// order of the reference: size, chunks, header, claims, signature, kind of the issuer.
pub fn decode(token: &str) -> Result<Claims, JwtError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(JwtError::TooLarge(token.len()));
    }
    let chunks = Chunks::of(token)?;
    chunks.header()?;
    let body = chunks.body()?;
    let (version, claims) = load(&body)?;
    verify(&claims.envelope().issuer, &chunks, if version <= 1 { 1 } else { 2 })?;
    let issuers = claims.issuers();
    let issuer = nkey::public_kind(&claims.envelope().issuer);
    if !issuers.is_empty() && !issuer.is_some_and(|kind| issuers.contains(&kind)) {
        return Err(JwtError::Issuer(issuers));
    }
    Ok(claims)
}

/// Signs claims; fills in issuer, time, id, kind and version.
///
/// # Errors
/// A key that may not issue such claims or has no seed, a subject of the wrong kind.
pub fn sign<B: Body>(claim: &mut Claim<B>, key: &KeyPair, now: Timestamp) -> Result<String, JwtError> {
    if let Some(reason) = B::refuse(claim) {
        return Err(JwtError::Unsignable(reason));
    }
    if claim.envelope.subject.is_empty() {
        return Err(JwtError::Unsignable("subject is not set"));
    }
    let issuer = key.public_key();
    if !B::ISSUERS.is_empty() && !nkey::public_kind(&issuer).is_some_and(|kind| B::ISSUERS.contains(&kind)) {
        return Err(JwtError::Issuer(B::ISSUERS));
    }
    claim.nats.sort();
    claim.nats.mark();
    let envelope = &mut claim.envelope;
    envelope.issuer = issuer;
    envelope.issued_at = seconds(now);
    envelope.id.clear();
    envelope.id = nkey::to_base32(&Sha512_256::digest(json(envelope)));
    let mut token = Base64::Url.encode(HEADER.as_bytes());
    let _ = write!(token, ".{}", Base64::Url.encode(&json(claim)));
    let no_seed = |_| JwtError::Unsignable("nkeys: cannot sign, no private key available");
    let signature = key.sign(token.as_bytes()).map_err(no_seed)?;
    let _ = write!(token, ".{}", Base64::Url.encode(&signature));
    Ok(token)
}

fn json(field: &mut impl Field) -> Vec<u8> {
    let mut out = Vec::new();
    field.write(&mut out);
    out
}

/// A token cut at its dots.
pub(super) struct Chunks<'t> {
    header: &'t str,
    body: &'t str,
    signature: &'t str,
    /// Header and claims with the dot.
    signed: &'t str,
}

impl<'t> Chunks<'t> {
    pub(super) fn of(token: &'t str) -> Result<Self, JwtError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Chunks)?;
        let (header, body) = signed.split_once('.').ok_or(JwtError::Chunks)?;
        if body.contains('.') {
            return Err(JwtError::Chunks);
        }
        Ok(Self { header, body, signature, signed })
    }

    pub(super) fn header(&self) -> Result<Header, JwtError> {
        let text = bytes(self.header)?;
        let mut header = Header::default();
        document::read(&mut header, "Header", Value::parse(&text)?)?;
        if !header.kind.eq_ignore_ascii_case("JWT") {
            return Err(JwtError::Type(header.kind));
        }
        let algorithm = header.algorithm.to_lowercase();
        if algorithm != FIRST_ALGORITHM && algorithm != ALGORITHM {
            return Err(JwtError::Algorithm(header.algorithm));
        }
        Ok(header)
    }

    pub(super) fn body(&self) -> Result<Vec<u8>, JwtError> {
        bytes(self.body)
    }
}

fn bytes(chunk: &str) -> Result<Vec<u8>, JwtError> {
    Base64::Url.decode(chunk.as_bytes()).map_err(JwtError::Base64)
}

/// Checks the signature of claims of version 1 or 2.
pub(super) fn verify(issuer: &str, chunks: &Chunks<'_>, version: u8) -> Result<(), JwtError> {
    let signature = bytes(chunks.signature)?;
    let signed = if version == 1 { chunks.body } else { chunks.signed };
    if nkey::verify(issuer, signed.as_bytes(), &signature) {
        return Ok(());
    }
    Err(JwtError::Signature(version))
}

#[derive(Default)]
pub(super) struct Header {
    kind: String,
    algorithm: String,
}

impl Header {
    pub(super) fn is_first_version(&self) -> bool {
        self.algorithm == FIRST_ALGORITHM
    }
}

impl Document for Header {
    const TYPE: &'static str = "jwt.Header";

    fn fields(&mut self, each: Each<'_>) {
        each("typ", When::Always, &mut self.kind);
        each("alg", When::Always, &mut self.algorithm);
    }
}

/// The claims of a body and their version, which is -1 for generic ones.
fn load(body: &[u8]) -> Result<(i64, Claims), JwtError> {
    let value = Value::parse(body)?;
    let mut outside = String::new();
    let mut about = About::default();
    let mut fields = |each: Each<'_>| {
        each("type", When::Any, &mut outside);
        each("nats", When::Any, &mut about);
    };
    document::read(&mut Listed { kind: "jwt.identifier", fields: &mut fields }, "identifier", value)?;
    // The first version says its kind outside.
    let (kind, version) = if outside.is_empty() { (about.kind, about.version) } else { (outside, 1) };
    if version > VERSION {
        return Err(JwtError::Newer);
    }
    let claims = match kind.as_str() {
        Operator::KIND => Claims::Operator(versioned(version, value, first_version::operator)?),
        Account::KIND => {
            let mut claim = versioned(version, value, first_version::account)?;
            let limits = &mut claim.nats.limits;
            if !limits.jetstream_tiers.is_empty() {
                limits.jetstream = Default::default();
            }
            Claims::Account(claim)
        }
        User::KIND => Claims::User(versioned(version, value, first_version::user)?),
        Activation::KIND => Claims::Activation(versioned(version, value, first_version::activation)?),
        AuthorizationRequest::KIND => Claims::AuthorizationRequest(second_version(value)?),
        AuthorizationResponse::KIND => Claims::AuthorizationResponse(second_version(value)?),
        "cluster" => return Err(JwtError::Unsupported("ClusterClaims")),
        "server" => return Err(JwtError::Unsupported("ServerClaims")),
        _ => return Ok((-1, Claims::Generic(second_version::<Generic>(value)?))),
    };
    Ok((version, claims))
}

fn versioned<B: Body>(
    version: i64,
    value: Value<'_>,
    first: fn(Value<'_>) -> Result<Claim<B>, JwtError>,
) -> Result<Box<Claim<B>>, JwtError> {
    match version {
        1 => first(value).map(Box::new),
        2 => second_version(value),
        _ => Err(JwtError::Version(version)),
    }
}

fn second_version<B: Body>(value: Value<'_>) -> Result<Box<Claim<B>>, JwtError> {
    let mut claim = Box::<Claim<B>>::default();
    document::read(claim.as_mut(), B::NAME, value)?;
    Ok(claim)
}

/// For the fuzzer: any text is a token or refused, and what is signed can be read again.
pub fn fuzz_token(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = decode(&text);
    let _ = super::decode_generic(&text);
    // What a signature would have to be guessed for.
    let Ok((_, claims)) = load(data) else { return };
    let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
    match claims {
        Claims::Operator(claim) => drop(claim.validate(now)),
        Claims::Account(claim) => drop(claim.validate(now)),
        Claims::User(claim) => {
            drop(claim.validate(now));
            let _ = (claim.nats.rights.allows_host(None), claim.nats.rights.window(now));
        }
        Claims::Activation(claim) => drop(claim.validate(now)),
        Claims::AuthorizationRequest(claim) => drop(claim.validate(now)),
        Claims::AuthorizationResponse(claim) => drop(claim.validate(now)),
        Claims::Generic(claim) => drop(claim.validate(now)),
    }
}

#[cfg(test)]
#[path = "token_test.rs"]
mod tests;
