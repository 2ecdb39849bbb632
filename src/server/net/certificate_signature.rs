//! Whether one certificate was signed with the key of another, and the reference's words where it was not.

use rustls::crypto::WebPkiSupportedAlgorithms;

use super::certificate::{Certificate, Signed};
use super::der::{self, Der};

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    Ecdsa,
    Ed25519,
    Other,
}

/// Identifiers of algorithms, DER.
const RSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];

/// Checks that `issuer` may have signed `signed` and has.
pub(super) fn check(
    signed: &Certificate<'_>,
    issuer: &Certificate<'_>,
    algorithms: WebPkiSupportedAlgorithms,
) -> Result<(), String> {
    if !issuer.may_sign() {
        return Err("x509: invalid signature: parent certificate cannot sign this kind of certificate".into());
    }
    let Signed { text, algorithm, signature } = signed.signed;
    let kind = identifier(issuer.key_algorithm);
    let mut known =
        algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm).peekable();
    if known.peek().is_none() {
        return Err(unknown(algorithm));
    }
    let mut fitting = known.filter(|known| known.public_key_alg_id().as_ref() == issuer.key_algorithm);
    if fitting.any(|fitting| fitting.verify_signature(issuer.key(), text, signature).is_ok()) {
        return Ok(());
    }
    Err(match kind {
        KeyKind::Rsa => "crypto/rsa: verification error",
        KeyKind::Ecdsa => "x509: ECDSA verification failure",
        KeyKind::Ed25519 => "x509: Ed25519 verification failure",
        KeyKind::Other => "x509: cannot verify signature: algorithm unimplemented",
    }
    .to_owned())
}

fn identifier(algorithm: &[u8]) -> KeyKind {
    match Der::new(algorithm).expect(der::OBJECT_IDENTIFIER).map(|identifier| identifier.contents) {
        Some(RSA_KEY) => KeyKind::Rsa,
        Some(EC_KEY) => KeyKind::Ecdsa,
        Some(ED25519) => KeyKind::Ed25519,
        _ => KeyKind::Other,
    }
}

fn unknown(algorithm: &[u8]) -> String {
    let insecure = match Der::new(algorithm).expect(der::OBJECT_IDENTIFIER).map(|known| known.contents) {
        Some(RSA_MD5) => "MD5-RSA",
        Some(RSA_SHA1) => "SHA1-RSA",
        Some(ECDSA_SHA1) => "ECDSA-SHA1",
        _ => return "x509: cannot verify signature: algorithm unimplemented".to_owned(),
    };
    format!("x509: cannot verify signature: insecure algorithm {insecure}")
}
