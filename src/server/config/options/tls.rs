//! Options of TLS and OCSP.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::TLS_TIMEOUT;

/// A `tls` block: names of files and choices; `net` makes sessions of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// Certificate chain, PEM. `cert_file`.
    pub cert_file: Option<PathBuf>,
    /// Its private key, PEM. `key_file`.
    pub key_file: Option<PathBuf>,
    /// Roots that peers are checked against, PEM. `ca_file`.
    pub ca_file: Option<PathBuf>,
    /// Several certificates, chosen by what the client asks for. `certs`.
    pub certs: Vec<CertificatePair>,
    /// Peers must present a certificate. `verify`.
    pub verify: bool,
    /// And it says which user they are; implies `verify`. `verify_and_map`.
    pub verify_and_map: bool,
    /// And it must name a configured URL; implies `verify`. `verify_cert_and_check_known_urls`.
    pub verify_cert_and_check_known_urls: bool,
    /// The peer's certificate is not checked when connecting. `insecure`.
    pub insecure: bool,
    /// Cipher suites; empty means all secure ones. `cipher_suites`.
    pub cipher_suites: Vec<CipherSuite>,
    /// Insecure ones may be among them. `allow_insecure_cipher_suites`.
    pub allow_insecure_cipher_suites: bool,
    /// Key exchange groups, best first; empty means the default. `curve_preferences`.
    pub curve_preferences: Vec<Curve>,
    /// Oldest version; unset means 1.2. `min_version`.
    pub min_version: Option<TlsVersion>,
    /// Time for a handshake. `timeout`.
    pub timeout: Duration,
    /// Handshakes a second; 0 is no limit. `connection_rate_limit`.
    pub connection_rate_limit: i64,
    /// SHA-256 of the public keys accepted, lower-case hex; empty is any. `pinned_certs`.
    pub pinned_certs: BTreeSet<String>,
    /// TLS begins before INFO. `handshake_first`.
    pub handshake_first: HandshakeFirst,
    /// Peers' certificates are checked for revocation. `ocsp_peer`.
    pub ocsp_peer: Option<OcspPeer>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            ca_file: None,
            certs: Vec::new(),
            verify: false,
            verify_and_map: false,
            verify_cert_and_check_known_urls: false,
            insecure: false,
            cipher_suites: Vec::new(),
            allow_insecure_cipher_suites: false,
            curve_preferences: Vec::new(),
            min_version: None,
            timeout: TLS_TIMEOUT,
            connection_rate_limit: 0,
            pinned_certs: BTreeSet::new(),
            handshake_first: HandshakeFirst::Off,
            ocsp_peer: None,
        }
    }
}

/// One entry of `certs`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificatePair {
    /// `cert_file`.
    pub cert_file: PathBuf,
    /// `key_file`.
    pub key_file: PathBuf,
}

/// A cipher suite by its registered number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CipherSuite(pub u16);

/// A key exchange group by its registered number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Curve(pub u16);

/// `min_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// `handshake_first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandshakeFirst {
    /// INFO first.
    #[default]
    Off,
    /// TLS first, always.
    On,
    /// TLS first; after this time without a handshake INFO is sent. `auto` is 50 ms.
    Fallback(Duration),
}

/// `tls.ocsp_peer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspPeer {
    /// The check is on. `verify`.
    pub verify: bool,
    /// Time for the responder to answer. `ca_timeout`.
    pub ca_timeout: Duration,
    /// Clock difference tolerated. `allowed_clockskew`.
    pub allowed_clockskew: Duration,
    /// Refusals are only logged. `warn_only`.
    pub warn_only: bool,
    /// The answer "unknown" counts as good. `unknown_is_good`.
    pub unknown_is_good: bool,
    /// No answer counts as good. `allow_when_ca_unreachable`.
    pub allow_when_ca_unreachable: bool,
    /// How long an answer without next update is kept. `cache_ttl_when_next_update_unset`.
    pub cache_ttl_when_next_update_unset: Duration,
}

impl Default for OcspPeer {
    fn default() -> Self {
        Self {
            verify: false,
            ca_timeout: Duration::from_secs(2),
            allowed_clockskew: Duration::from_secs(30),
            warn_only: false,
            unknown_is_good: false,
            allow_when_ca_unreachable: false,
            cache_ttl_when_next_update_unset: Duration::from_secs(3600),
        }
    }
}

/// The `ocsp` block: stapling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ocsp {
    /// When to staple. `mode`.
    pub mode: OcspMode,
    /// Responders asked instead of the certificate's. `url`, `urls`.
    pub urls: Vec<String>,
}

/// `ocsp.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OcspMode {
    /// Where the certificate demands it.
    #[default]
    Auto,
    /// Where possible.
    Always,
    /// Not at all.
    Never,
    /// Always, and the server stops when its certificate is revoked.
    Must,
}

/// The `ocsp_cache` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcspCache {
    /// Where answers are kept. `type`.
    pub store: OcspCacheStore,
    /// Directory of the local store. `local_store`.
    pub local_store: PathBuf,
    /// "Revoked" outlives its validity. `preserve_revoked`.
    pub preserve_revoked: bool,
    /// Time between two saves. `save_interval`.
    pub save_interval: Duration,
}

impl Default for OcspCache {
    fn default() -> Self {
        Self {
            store: OcspCacheStore::Local,
            local_store: "_rc_".into(),
            preserve_revoked: false,
            save_interval: Duration::from_secs(300),
        }
    }
}

/// `ocsp_cache.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspCacheStore {
    /// Nothing is kept.
    None,
    /// In memory and in a directory.
    Local,
}

/// Cipher suites that may be named: number, name, and whether it may be used without opting in.
const SUITES: [(u16, &str, bool); 25] = [
    (0x1301, "TLS_AES_128_GCM_SHA256", true),
    (0x1302, "TLS_AES_256_GCM_SHA384", true),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256", true),
    (0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", true),
    (0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", true),
    (0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", true),
    (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", true),
    (0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", true),
    (0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", true),
    (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", true),
    (0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", true),
    (0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", true),
    (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", true),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA", false),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", false),
    (0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", false),
    (0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", false),
    (0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", false),
    (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", false),
    (0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", false),
    (0xc007, "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", false),
    (0xc011, "TLS_ECDHE_RSA_WITH_RC4_128_SHA", false),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", false),
    (0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", false),
    (0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", false),
];

/// Groups that may be named.
const CURVES: [(u16, &str); 7] = [
    (23, "CurveP256"),
    (24, "CurveP384"),
    (25, "CurveP521"),
    (29, "X25519"),
    (4587, "SecP256r1MLKEM768"),
    (4588, "X25519MLKEM768"),
    (4589, "SecP384r1MLKEM1024"),
];

impl CipherSuite {
    /// The suite of this name, its name, and whether it may be used without opting in.
    pub fn named(name: &str) -> Option<(Self, &'static str, bool)> {
        SUITES
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(id, name, secure)| (Self(*id), *name, *secure))
    }

    /// Its registered name; `None` for a number that no configuration can name.
    pub fn name(self) -> Option<&'static str> {
        SUITES.iter().find(|(id, _, _)| *id == self.0).map(|(_, name, _)| *name)
    }
}

impl Curve {
    /// The group of this name.
    pub fn named(name: &str) -> Option<Self> {
        CURVES.iter().find(|(_, known)| *known == name).map(|(id, _)| Self(*id))
    }

    /// Its name; `None` for a number that no configuration can name.
    pub fn name(self) -> Option<&'static str> {
        CURVES.iter().find(|(id, _)| *id == self.0).map(|(_, name)| *name)
    }
}
