//! Cipher suites, curves and versions by the reference's names, as far as the TLS library has them.
//!
//! The library knows forward-secret AEAD suites and TLS 1.2 and 1.3 only. What a configuration names
//! beyond that is refused with a sentence: silently left out, it would fail at some client's handshake.

use std::sync::LazyLock;

use rustls::crypto::aws_lc_rs::{self, cipher_suite as suites};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{
    CipherSuiteCommon, ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite,
};

use super::key_exchange::GROUPS;
use crate::server::config::options::{CipherSuite, Curve, Tls, TlsVersion};

/// Records that one key of TLS 1.2 encrypts; beyond, the library closes the connection. Its own bound is
/// 2^24, which a busy client reaches within hours, and the reference has none. 2^36 is never reached, and
/// the chance to tell texts apart stays below 2^-40 for records of a kilobyte.
const TLS12_RECORDS_MAX: u64 = 1 << 36;

/// What a configuration names and the TLS library does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedChoice {
    /// A cipher suite.
    #[error(
        "tls: cipher suite {0} cannot be used: natsx has no suites with CBC, RC4, 3DES or RSA key exchange, \
         which have no forward secrecy or no authenticated encryption"
    )]
    Suite(&'static str),
    /// A number that no configuration can name.
    #[error("tls: curve preference {0} cannot be used: natsx does not know it")]
    Curve(u16),
}

/// TLS 1.3 suites, which no configuration chooses among, in the reference's order.
static SUITES_13: [SupportedCipherSuite; 3] = [
    suites::TLS13_AES_128_GCM_SHA256,
    suites::TLS13_AES_256_GCM_SHA384,
    suites::TLS13_CHACHA20_POLY1305_SHA256,
];

/// TLS 1.2 suites in the reference's order.
static SUITES_12: LazyLock<Vec<Tls12CipherSuite>> = LazyLock::new(|| {
    [
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
    .iter()
    .filter_map(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => Some(Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: suite.common.suite,
                hash_provider: suite.common.hash_provider,
                confidentiality_limit: TLS12_RECORDS_MAX,
            },
            prf_provider: suite.prf_provider,
            kx: suite.kx,
            sign: suite.sign,
            aead_alg: suite.aead_alg,
        }),
        SupportedCipherSuite::Tls13(_) => None,
    })
    .collect()
});

/// The cryptography that a `tls` block asks for.
pub(super) fn provider(tls: &Tls) -> Result<CryptoProvider, UnsupportedChoice> {
    let mut cipher_suites = SUITES_13.to_vec();
    let known = |wanted: CipherSuite| {
        let in_12 = SUITES_12.iter().any(|suite| u16::from(suite.common.suite) == wanted.0);
        in_12 || SUITES_13.iter().any(|suite| u16::from(suite.suite()) == wanted.0)
    };
    if let Some(unknown) = tls.cipher_suites.iter().find(|wanted| !known(**wanted)) {
        return Err(UnsupportedChoice::Suite(unknown.name().unwrap_or_default()));
    }
    let chosen = |suite: &&Tls12CipherSuite| {
        tls.cipher_suites.is_empty()
            || tls.cipher_suites.iter().any(|wanted| u16::from(suite.common.suite) == wanted.0)
    };
    cipher_suites.extend(SUITES_12.iter().filter(chosen).map(SupportedCipherSuite::Tls12));
    let kx_groups = if tls.curve_preferences.is_empty() {
        GROUPS.to_vec()
    } else {
        tls.curve_preferences.iter().map(|curve| group(*curve)).collect::<Result<_, _>>()?
    };
    Ok(CryptoProvider { cipher_suites, kx_groups, ..aws_lc_rs::default_provider() })
}

fn group(curve: Curve) -> Result<&'static dyn SupportedKxGroup, UnsupportedChoice> {
    let found = GROUPS.iter().find(|group| u16::from(group.name()) == curve.0);
    found.copied().ok_or(UnsupportedChoice::Curve(curve.0))
}

/// The versions from the oldest that a `tls` block allows.
pub(super) fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    match tls.min_version {
        Some(TlsVersion::V1_3) => vec![&rustls::version::TLS13],
        Some(TlsVersion::V1_2) | None => vec![&rustls::version::TLS13, &rustls::version::TLS12],
    }
}

/// The version as log lines show it.
pub(super) fn version_text(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    }
}

/// The registered name of a suite.
pub(super) fn suite_text(suite: Option<SupportedCipherSuite>) -> &'static str {
    suite.and_then(|suite| CipherSuite(suite.suite().into()).name()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> CipherSuite {
        CipherSuite::named(name).unwrap().0
    }

    fn names(tls: &Tls) -> Vec<&'static str> {
        provider(tls).unwrap().cipher_suites.iter().map(|suite| suite_text(Some(*suite))).collect()
    }

    #[test]
    fn all_suites_are_offered_unless_some_are_chosen() {
        assert_eq!(names(&Tls::default()).len(), 9);
        let chosen =
            Tls { cipher_suites: vec![named("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")], ..Tls::default() };
        assert_eq!(
            names(&chosen),
            [
                "TLS_AES_128_GCM_SHA256",
                "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256",
                "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
            ]
        );
    }

    #[test]
    fn what_the_library_has_not_is_refused_by_name() {
        for suite in ["TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"] {
            let tls = Tls { cipher_suites: vec![named(suite)], ..Tls::default() };
            let refused = provider(&tls).map(|_| ()).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("tls: cipher suite {suite} cannot be used: ")), "{refused}");
        }
        let tls = Tls { curve_preferences: vec![Curve(1)], ..Tls::default() };
        let refused = provider(&tls).map(|_| ()).unwrap_err().to_string();
        assert!(refused.starts_with("tls: curve preference 1 cannot be used: "), "{refused}");
    }

    #[test]
    fn curves_stand_in_the_order_of_preference() {
        let groups = |names: &[&str]| -> Vec<u16> {
            let curves = names.iter().filter_map(|name| Curve::named(name)).collect();
            let groups = provider(&Tls { curve_preferences: curves, ..Tls::default() }).unwrap().kx_groups;
            groups.iter().map(|group| group.name().into()).collect()
        };
        assert_eq!(groups(&["CurveP384", "CurveP521", "X25519"]), [24, 25, 29]);
        assert_eq!(groups(&[]), [4588, 4589, 4587, 29, 23, 24, 25]);
    }
}
