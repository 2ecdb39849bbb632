//! Claims of no known kind: what they say is any JSON.

use serde_json::Value as Json;

use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::{JsonError, Value, write_text};

use super::claims::{About, Body, Claim, Claims};
use super::document::{self, Document, Each, Field, Listed, Mistakes, Place, When};
use super::error::JwtError;
use super::findings::Findings;
use super::nkey::KeyKind;
use super::token::{Chunks, VERSION, verify};

/// What such claims say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generic(serde_json::Map<String, Json>);

/// Claims of no known kind.
pub type GenericClaims = Claim<Generic>;

impl Generic {
    /// A field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    /// Adds a field, or changes it.
    pub fn insert(&mut self, name: &str, value: impl Into<Json>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Field for Generic {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        match value.kind() {
            "object" => {}
            "null" => return,
            _ => return mistakes.wrong(value, at, "map[string]interface {}"),
        }
        // The text was checked; only its nesting may be too deep.
        match serde_json::from_str(&String::from_utf8_lossy(value.raw())) {
            Ok(data) => self.0 = data,
            Err(_) => mistakes.add(JwtError::Json(JsonError::TooDeep)),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        write_object(&self.0, out);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn write_object(fields: &serde_json::Map<String, Json>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in fields.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_text(out, name);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

fn write_value(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::String(text) => write_text(out, text),
        Json::Array(elements) => {
            out.push(b'[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(element, out);
            }
            out.push(b']');
        }
        Json::Object(fields) => write_object(fields, out),
        Json::Null | Json::Bool(_) | Json::Number(_) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

impl Body for Generic {
    const KIND: &'static str = "generic";
    const NAME: &'static str = "GenericClaims";
    const OTHERS: &'static str = "not generic claim";
    const ISSUERS: &'static [KeyKind] = &[];

    fn mark(&mut self) {
        self.insert("version", VERSION);
    }

    fn of(claims: Claims) -> Option<GenericClaims> {
        if let Claims::Generic(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &GenericClaims, now: Timestamp, findings: &mut Findings) {
        claim.envelope.validate(now, findings);
    }
}

/// Reads any token as claims of no known kind, and verifies it.
///
/// The reference's library has this beside its decoder of all kinds, and they differ: that one expects
/// generic claims to be signed as the first version was, this one goes by the header.
///
/// # Errors
/// A text that is no token, or one that its issuer did not sign.
pub fn decode_generic(token: &str) -> Result<GenericClaims, JwtError> {
    let chunks = Chunks::of(token)?;
    let header = chunks.header()?;
    let body = chunks.body()?;
    let mut claim = GenericClaims::default();
    let mut outside = About::default();
    let mut fields = |each: Each<'_>| {
        claim.envelope.fields(each);
        each("nats", When::Any, &mut claim.nats);
        outside.fields(each);
    };
    let mut listed = Listed { kind: "struct", fields: &mut fields };
    document::read(&mut listed, "", Value::parse(&body).map_err(JwtError::Json)?)?;
    let is_first = header.is_first_version();
    verify(&claim.envelope.issuer, &chunks, if is_first { 1 } else { 2 })?;
    if is_first {
        if !outside.kind.is_empty() {
            claim.nats.insert("type", outside.kind);
        }
        if !outside.tags.is_empty() {
            claim.nats.insert("tags", outside.tags);
        }
    }
    Ok(claim)
}
