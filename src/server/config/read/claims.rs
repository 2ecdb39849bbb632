//! Tokens that a configuration holds: operators and preloaded accounts.
//!
//! A token must be whole, signed by the key that it names as issuer, and of the kind that is
//! wanted. What it says is understood in `jwt`; here only what other keys depend on.

use nkeys::KeyPair;
use serde::Deserialize;

use crate::server::base::base64::Base64;
use crate::server::base::quote::quote;
use crate::server::config::nkey::{self, KeyKind};
use crate::server::config::options::Operator;

use super::Files;

/// What every token in JSON begins with.
const TOKEN_START: &str = "eyJ";
/// The newest claims that are understood.
const CLAIMS_VERSION_MAX: i64 = 2;

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    typ: String,
    #[serde(default)]
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    sub: String,
    /// First version: the kind stands outside.
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    nats: Body,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    version: i64,
    signing_keys: Option<Vec<serde_json::Value>>,
    account_server_url: String,
    system_account: String,
    assert_server_version: String,
    strict_signing_key_usage: bool,
}

/// Reads an operator's token: from a file, or the text itself.
pub(super) fn operator(text: &str, files: &dyn Files) -> Result<Operator, String> {
    let contents = match files.read(text) {
        Ok(contents) => String::from_utf8_lossy(&contents).into_owned(),
        Err(_) if text.starts_with(TOKEN_START) => text.to_owned(),
        Err(reason) => return Err(reason),
    };
    let token = undecorated(&contents);
    let claims = decode(&token)?;
    if claims.kind() != "operator" {
        return Err("not operator claim".into());
    }
    expect_issuer(&claims, &[KeyKind::Operator], "[operator]")?;
    let keys = claims.nats.signing_keys.unwrap_or_default();
    Ok(Operator {
        token,
        key: claims.sub,
        signing_keys: keys.into_iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        strict_signing_key_usage: claims.nats.strict_signing_key_usage,
        system_account: claims.nats.system_account,
        account_server_url: claims.nats.account_server_url,
        assert_server_version: claims.nats.assert_server_version,
    })
}

/// What matters of a user's token that stands in for clients without one.
pub(in crate::server::config) struct Sentinel {
    /// It proves itself, without a signature.
    pub(in crate::server::config) is_bearer: bool,
    /// It was issued by a signing key of an account.
    pub(in crate::server::config) has_issuer_account: bool,
    /// It brings no rights and limits of its own.
    pub(in crate::server::config) has_no_permissions: bool,
}

/// Reads a user's token; `None` when it is none.
pub(in crate::server::config) fn sentinel(token: &str) -> Option<Sentinel> {
    let claims = decode(token).ok()?;
    if claims.kind() != "user" {
        return None;
    }
    expect_issuer(&claims, &[KeyKind::Account], "").ok()?;
    let body = token.split('.').nth(1)?;
    let document: serde_json::Value = json(body).ok()?;
    let nats = document.get("nats")?.as_object()?;
    /// Fields that say what the token is, not what its user may do.
    const IDENTITY: [&str; 4] = ["type", "version", "tags", "issuer_account"];
    Some(Sentinel {
        is_bearer: nats.get("bearer_token").and_then(serde_json::Value::as_bool).unwrap_or(false),
        has_issuer_account: nats
            .get("issuer_account")
            .and_then(|key| key.as_str())
            .is_some_and(|key| !key.is_empty()),
        has_no_permissions: nats
            .iter()
            .all(|(key, value)| IDENTITY.contains(&key.as_str()) || is_zero(value)),
    })
}

/// A value that is as good as left out.
fn is_zero(value: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String};
    match value {
        Null => true,
        Bool(on) => !on,
        Number(number) => number.as_f64() == Some(0.0),
        String(text) => text.is_empty(),
        Array(items) => items.is_empty(),
        Object(fields) => fields.values().all(is_zero),
    }
}

/// True for an account's token.
pub(super) fn is_account(token: &str) -> bool {
    decode(token).is_ok_and(|claims| {
        let issuers = [KeyKind::Account, KeyKind::Operator];
        claims.kind() == "account" && expect_issuer(&claims, &issuers, "").is_ok()
    })
}

impl Claims {
    fn kind(&self) -> &str {
        if self.nats.kind.is_empty() { &self.kind } else { &self.nats.kind }
    }
}

fn expect_issuer(claims: &Claims, kinds: &[KeyKind], shown: &str) -> Result<(), String> {
    match nkey::public_kind(&claims.iss) {
        Some(kind) if kinds.contains(&kind) => Ok(()),
        _ => Err(format!("unable to validate expected prefixes - {shown}")),
    }
}

/// Takes a token apart and checks its signature.
fn decode(token: &str) -> Result<Claims, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, body, signature] = parts.as_slice() else { return Err("expected 3 chunks".into()) };
    let header: Header = json(header)?;
    if !header.typ.eq_ignore_ascii_case("jwt") {
        return Err(format!("not supported type {}", quote(&header.typ)));
    }
    if !matches!(header.alg.to_lowercase().as_str(), "ed25519" | "ed25519-nkey") {
        return Err(format!("unexpected {} algorithm", quote(&header.alg)));
    }
    let claims: Claims = json(body)?;
    // The first version stands its kind outside and signs the body alone.
    let version = if claims.kind.is_empty() { claims.nats.version } else { 1 };
    if version > CLAIMS_VERSION_MAX {
        return Err(format!("library supports version {CLAIMS_VERSION_MAX} or less - received {version}"));
    }
    let signed = if version <= 1 { *body } else { token.rsplit_once('.').map_or("", |(signed, _)| signed) };
    let signature = bytes(signature)?;
    let verified = KeyPair::from_public_key(&claims.iss)
        .is_ok_and(|issuer| issuer.verify(signed.as_bytes(), &signature).is_ok());
    if !verified {
        let version = if version <= 1 { 1 } else { 2 };
        return Err(format!("claim failed V{version} signature verification"));
    }
    Ok(claims)
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, String> {
    let data = bytes(part)?;
    serde_json::from_slice(&data).map_err(|error| {
        if error.is_eof() {
            return "unexpected end of JSON input".into();
        }
        if let (true, Some(first)) = (error.column() == 1, data.first().copied().map(char::from)) {
            return format!("invalid character '{first}' looking for beginning of value");
        }
        error.to_string()
    })
}

fn bytes(part: &str) -> Result<Vec<u8>, String> {
    Base64::Url.decode(part.as_bytes()).map_err(|at| format!("illegal base64 data at input byte {at}"))
}

/// The token of a decorated file: the line between two lines of dashes; otherwise all of it.
fn undecorated(contents: &str) -> String {
    let is_rule = |line: &str| line.len() > 6 && line.starts_with("---") && line.ends_with("---");
    let lines: Vec<&str> = contents.lines().collect();
    for window in lines.windows(3) {
        if let [before, token, after] = window
            && is_rule(before.trim())
            && is_rule(after.trim())
            && !token.trim().is_empty()
        {
            return token.trim().to_owned();
        }
    }
    contents.trim_end_matches(['\r', '\n']).to_owned()
}

/// For the fuzzer: any text is a token or refused.
pub fn fuzz_claims(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = decode(&undecorated(&text));
    let _ = is_account(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::read::DirectoryState;
    use proptest::prelude::*;

    struct Nothing;

    impl Files for Nothing {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            Err(format!("open {path}: no such file or directory"))
        }

        fn directory(&self, _: &str) -> DirectoryState {
            DirectoryState::Missing
        }

        fn variable(&self, _: &str) -> Option<String> {
            None
        }
    }

    fn token(issuer: &KeyPair, nats: &str) -> String {
        let key = issuer.public_key();
        let header = Base64::Url.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let body = Base64::Url.encode(format!(r#"{{"iss":"{key}","sub":"{key}","nats":{nats}}}"#).as_bytes());
        let signed = format!("{header}.{body}");
        let signature = issuer.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", Base64::Url.encode(&signature))
    }

    #[test]
    fn an_operator_says_what_other_keys_depend_on() {
        let operator_key = KeyPair::new_operator();
        let body = r#"{"type":"operator","version":2,"account_server_url":"nats://a","system_account":"S"}"#;
        let token = token(&operator_key, body);
        let read = operator(&token, &Nothing).unwrap();
        assert_eq!(read.key, operator_key.public_key());
        assert_eq!(read.account_server_url, "nats://a");
        assert_eq!(read.system_account, "S");
        let decorated =
            format!("-----BEGIN NATS OPERATOR JWT-----\n{token}\n------END NATS OPERATOR JWT------\n");
        assert_eq!(undecorated(&decorated), token);
    }

    #[test]
    fn wrong_tokens_are_refused_in_the_references_words() {
        let account = KeyPair::new_account();
        let good = token(&account, r#"{"type":"account","version":2}"#);
        assert!(is_account(&good));
        assert_eq!(operator(&good, &Nothing).unwrap_err(), "not operator claim");
        assert_eq!(operator("nowhere", &Nothing).unwrap_err(), "open nowhere: no such file or directory");
        assert_eq!(operator("eyJ", &Nothing).unwrap_err(), "expected 3 chunks");
        let mut signature = good.clone();
        let first = signature.rfind('.').unwrap() + 1;
        let other = if signature[first..].starts_with('A') { "B" } else { "A" };
        signature.replace_range(first..=first, other);
        assert!(!is_account(&signature));
        assert_eq!(decode(&signature).err().unwrap(), "claim failed V2 signature verification");
        let user = token(&KeyPair::new_user(), r#"{"type":"account","version":2}"#);
        assert!(!is_account(&user));
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_refused(data: Vec<u8>) {
            fuzz_claims(&data);
        }
    }
}
