//! A certificate chain and its private key, from PEM: what `-t` judges and what `net` makes sessions of.
//!
//! The refusals are the reference's (Go's `tls.X509KeyPair`). A key that Go would use and the TLS
//! library here cannot is no mistake of the file: it is told apart, and a start refuses it.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    SubjectPublicKeyInfoDer,
};
use rustls::sign::SigningKey;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::server::base::pem::{self, Block};

/// A chain, leaf first, and the leaf's key.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// The certificates in the file's order; never empty.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key, or why it cannot be used here although it is sound.
    pub key: Result<Arc<dyn SigningKey>, UnsupportedKey>,
}

/// A kind of key that the TLS library cannot sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key is of a kind that natsx cannot sign with ({kind}); RSA of 2048 to 8192 bits, ECDSA on P-256, \
     P-384 or P-521, and Ed25519 can be used"
)]
pub struct UnsupportedKey {
    kind: String,
}

/// Reads a chain and its key; the refusal is the reference's.
pub fn parse(certificates: &[u8], key: &[u8]) -> Result<KeyPair, String> {
    let chain = chain(certificates)?;
    let key = key_block(key)?;
    let leaf = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let leaf = match leaf {
        Some((&[], leaf)) => leaf,
        Some(_) => return Err("x509: trailing data".into()),
        None => return Err("x509: malformed certificate".into()),
    };
    check_curve(leaf.public_key())?;
    let key = usable_key(leaf.public_key(), &key)?;
    Ok(KeyPair { chain, key })
}

/// Whether some bytes are a certificate.
pub fn is_certificate(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

fn chain(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let blocks = pem::blocks(file);
    let chain: Vec<_> = blocks
        .iter()
        .filter(|block| block.kind == pem::CERTIFICATE)
        .map(|block| CertificateDer::from(block.contents.clone()))
        .collect();
    if !chain.is_empty() {
        return Ok(chain);
    }
    Err(match blocks.as_slice() {
        [] => "tls: failed to find any PEM data in certificate input".into(),
        [only] if only.kind.ends_with(pem::PRIVATE_KEY) => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; \
             PEM inputs may have been switched"
                .into()
        }
        others => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks \
             of the following types: {}",
            kinds(others)
        ),
    })
}

fn key_block(file: &[u8]) -> Result<Vec<u8>, String> {
    let blocks = pem::blocks(file);
    if let Some(key) = blocks.iter().find(|block| block.is_private_key()) {
        return Ok(key.contents.clone());
    }
    Err(match blocks.as_slice() {
        [] => "tls: failed to find any PEM data in key input".into(),
        [only] if only.kind == pem::CERTIFICATE => {
            "tls: found a certificate rather than a key in the PEM for the private key".into()
        }
        others => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping \
             PEM blocks of the following types: {}",
            kinds(others)
        ),
    })
}

fn kinds(blocks: &[Block]) -> String {
    let kinds: Vec<&str> = blocks.iter().map(|block| block.kind.as_str()).collect();
    format!("[{}]", kinds.join(" "))
}

/// The key in whichever of the three forms it is written, if it is the one of the certificate.
fn usable_key(
    public: &SubjectPublicKeyInfo<'_>,
    der: &[u8],
) -> Result<Result<Arc<dyn SigningKey>, UnsupportedKey>, String> {
    let forms = [
        PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der)),
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)),
        PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der)),
    ];
    let Some(key) = forms.iter().find_map(|form| any_supported_type(form).ok()) else {
        // What belongs to such a certificate cannot be looked into: it passes, as it does in the reference.
        let kind = unsupported_kind(public).ok_or("tls: failed to parse private key")?;
        return Ok(Err(UnsupportedKey { kind }));
    };
    let own = key.public_key();
    match own.as_ref().map(|own| compare(public, own)) {
        Some(Match::Same) | None => Ok(Ok(key)),
        Some(Match::OtherKey) => Err("tls: private key does not match public key".into()),
        Some(Match::OtherKind) => Err("tls: private key type does not match public key type".into()),
    }
}

/// A curve that the reference does not know is a mistake of the certificate.
fn check_curve(public: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    const CURVES: [&str; 4] = ["1.3.132.0.33", "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];
    if public.algorithm.algorithm.to_id_string() != "1.2.840.10045.2.1" {
        return Ok(());
    }
    let curve = public.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    match curve {
        None => Err("x509: invalid ECDSA parameters".into()),
        Some(curve) if CURVES.contains(&&*curve.to_id_string()) => Ok(()),
        Some(_) => Err("x509: unsupported elliptic curve".into()),
    }
}

enum Match {
    Same,
    OtherKey,
    OtherKind,
}

fn compare(public: &SubjectPublicKeyInfo<'_>, own: &SubjectPublicKeyInfoDer<'_>) -> Match {
    let Ok((_, own)) = SubjectPublicKeyInfo::from_der(own) else { return Match::OtherKey };
    if public.algorithm.algorithm != own.algorithm.algorithm {
        return Match::OtherKind;
    }
    if public.subject_public_key.data == own.subject_public_key.data { Match::Same } else { Match::OtherKey }
}

/// The kind of a public key whose private half the TLS library cannot use.
fn unsupported_kind(public: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    match public.parsed().ok()? {
        PublicKey::RSA(key) if !(2048..=8192).contains(&key.key_size()) => {
            Some(format!("RSA of {} bits", key.key_size()))
        }
        PublicKey::EC(point) => match point.key_size() {
            224 => Some("ECDSA on P-224".into()),
            _ => None,
        },
        _ => None,
    }
}

/// For the fuzzer: any bytes are a pair or refused.
pub fn fuzz_key_pair(data: &[u8]) {
    let _ = parse(data, data);
    let _ = is_certificate(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERT: &[u8] = include_bytes!("../../../tests/fixtures/config/keys/files/cert.pem");
    const KEY: &[u8] = include_bytes!("../../../tests/fixtures/config/keys/files/key.pem");
    const BROKEN: &[u8] = b"-----BEGIN CERTIFICATE-----\nMAE=\n-----END CERTIFICATE-----\n";
    const BROKEN_KEY: &[u8] = b"-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n";

    #[track_caller]
    fn check(cert: &[u8], key: &[u8], want: Result<usize, &str>) {
        let got = parse(cert, key).map(|pair| {
            assert!(pair.key.is_ok());
            pair.chain.len()
        });
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[test]
    fn pairs_need_a_certificate_and_its_key() {
        check(CERT, KEY, Ok(1));
        check(b"", KEY, Err("tls: failed to find any PEM data in certificate input"));
        check(CERT, b"x", Err("tls: failed to find any PEM data in key input"));
        check(CERT, CERT, Err("tls: found a certificate rather than a key in the PEM for the private key"));
        check(BROKEN, KEY, Err("x509: malformed certificate"));
        check(CERT, BROKEN_KEY, Err("tls: failed to parse private key"));
    }

    #[test]
    fn key_of_another_certificate_is_refused() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let ecdsa = rcgen::generate_simple_self_signed(vec!["a".into()]).unwrap();
        let ecdsa = ecdsa.cert.pem();
        check(ecdsa.as_bytes(), other.as_bytes(), Err("tls: private key does not match public key"));
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
        check(
            ecdsa.as_bytes(),
            ed25519.as_bytes(),
            Err("tls: private key type does not match public key type"),
        );
    }
}
