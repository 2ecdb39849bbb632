//! Why a handshake failed, in the reference's words (those of Go's `crypto/tls`).

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use rustls::{AlertDescription, Error, HandshakeType, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::client_hello::{self, ClientHello};
use super::ocsp_peer::InvalidLink;
use crate::server::base::io_text::io_text;

/// A handshake that failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// The peer sent something else. It may be a port scan or a load balancer's probe.
    NotTls,
    /// The peer sent a hello of SSL 2.
    Ssl2,
    /// The first message is longer than any may be.
    TooLong(u32),
    /// The peer closed, in the middle of a record or before one.
    Closed {
        /// Part of a record had come.
        within_record: bool,
    },
    /// The socket failed.
    Socket(io::Error),
    /// The peer took too long.
    TimedOut,
    /// The peer's certificate is not among those pinned.
    NotPinned,
    /// A responder does not call the peer's certificates good.
    NotOcspValid {
        /// The peer's own, DER.
        peer: Vec<u8>,
        /// Of each chain what is not good in it.
        links: Vec<InvalidLink>,
    },
    /// A client's certificate was refused: the whole text.
    Refused(String),
    /// A record is longer than any may be.
    Oversized(u16),
    /// What the peer sent does not do: the whole text, and the alert where the TLS library has another.
    Found {
        /// The text.
        text: String,
        /// The alert.
        alert: Option<Alert>,
    },
    /// Anything else that the TLS library found.
    Library(Error),
}

/// An alert in the clear that ends a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// Its number.
    description: u8,
    /// The version has been agreed on.
    negotiated: bool,
}

impl Alert {
    /// The whole record.
    const fn record(self) -> [u8; 7] {
        [21, 3, if self.negotiated { 3 } else { 1 }, 0, 2, 2, self.description]
    }
}

impl HandshakeError {
    /// Whether it may come from somebody who is no client at all: then it is only logged for debugging.
    pub const fn is_probe(&self) -> bool {
        matches!(self, Self::NotTls | Self::TimedOut)
    }

    /// The alert that tells the peer, where the TLS library says nothing or something else.
    pub(super) fn alert(&self) -> Option<[u8; 7]> {
        let early = |description| Some(Alert { description, negotiated: false });
        let alert = match self {
            Self::Ssl2 => early(70),
            Self::TooLong(_) => early(80),
            Self::Oversized(_) => early(22),
            Self::Found { alert, .. } => *alert,
            _ => None,
        };
        alert.map(Alert::record)
    }

    /// The text; `ends` are the addresses here and there.
    pub fn text(&self, ends: Option<(SocketAddr, SocketAddr)>) -> String {
        let socket = |reason: &str| match ends {
            Some((here, there)) => format!("read tcp {here}->{there}: {reason}"),
            None => format!("read pipe: {reason}"),
        };
        match self {
            Self::NotTls => "tls: first record does not look like a TLS handshake".into(),
            Self::Ssl2 => "tls: unsupported SSLv2 handshake received".into(),
            Self::TooLong(length) => format!(
                "tls: handshake message of length {length} bytes exceeds maximum of {MESSAGE_BYTES_MAX} bytes"
            ),
            Self::Closed { within_record: false } => "EOF".into(),
            Self::Closed { within_record: true } => "unexpected EOF".into(),
            Self::Socket(error) => socket(&format!("read: {}", io_text(error))),
            Self::TimedOut => socket("i/o timeout"),
            Self::NotOcspValid { .. } => "client not OCSP valid".into(),
            Self::NotPinned => "certificate not pinned".into(),
            Self::Oversized(length) => format!("tls: oversized record received with length {length}"),
            Self::Refused(text) | Self::Found { text, .. } => text.clone(),
            Self::Library(error) => library_text(error),
        }
    }
}

/// The longest message of a handshake.
pub(super) const MESSAGE_BYTES_MAX: u32 = 65536;

fn library_text(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".into(),
        Error::DecryptError => "local error: tls: bad record MAC".into(),
        // What the library says where no certificate was found for the name asked for.
        Error::General(text) if text == "no server certificate chain resolved" => {
            "tls: no certificates configured".into()
        }
        other => format!("tls: {other}"),
    }
}

/// Versions as hellos name them.
const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

/// A client that has fallen back to an older version than both know, which somebody between may want.
pub(super) fn inappropriate_fallback(record: &[u8]) -> Option<HandshakeError> {
    /// `TLS_FALLBACK_SCSV`, RFC 7507.
    const FALLBACK: u16 = 0x5600;
    // What has come of a hello so far would be one without the extension that names its versions.
    let length = u16::from_be_bytes(*record.get(3..)?.first_chunk()?);
    let hello = ClientHello::read(record.get(..5 + usize::from(length))?)?;
    (!hello.versions.contains(&TLS13) && hello.suites.contains(&FALLBACK)).then(|| HandshakeError::Found {
        text: "tls: client using inappropriate protocol fallback".into(),
        alert: Some(Alert { description: 86, negotiated: true }),
    })
}

/// What the library found as the reference puts it, where it does; `record` holds the client's hello as long
/// as it is not `answered`.
pub(super) fn found(error: &Error, record: &[u8], answered: bool) -> Option<HandshakeError> {
    let early = |description, text: &str| {
        let alert = (!answered).then_some(Alert { description, negotiated: false });
        Some(HandshakeError::Found { text: text.into(), alert })
    };
    match error {
        Error::AlertReceived(AlertDescription::CloseNotify) => {
            Some(HandshakeError::Closed { within_record: false })
        }
        Error::InvalidMessage(InvalidMessage::InvalidEmptyPayload) => {
            early(10, "local error: tls: unexpected message")
        }
        Error::InvalidMessage(_) if !answered => early(50, "local error: tls: error decoding message"),
        Error::InappropriateMessage { .. } => early(10, "local error: tls: unexpected message"),
        Error::InappropriateHandshakeMessage { expect_types, got_type } => {
            match (message_name(*got_type), expect_types.first().and_then(|expected| message_name(*expected)))
            {
                (Some(got), Some(expected)) => early(
                    10,
                    &format!(
                        "tls: received unexpected handshake message of type *tls.{got} when waiting for \
                         *tls.{expected}"
                    ),
                ),
                _ => early(10, "local error: tls: unexpected message"),
            }
        }
        Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare) => late(None, "tls: invalid client key share"),
        Error::PeerMisbehaved(PeerMisbehaved::KeyEpochWithPendingFragment) => {
            late(None, "tls: handshake buffer not empty before setting read traffic secret")
        }
        Error::PeerMisbehaved(PeerMisbehaved::OfferedIncorrectCompressions) => {
            late(None, "tls: TLS 1.3 client supports illegal compression methods")
        }
        Error::PeerIncompatible(error) => incompatible(error, &ClientHello::read(record)?),
        _ => None,
    }
}

/// A finding behind the choice of the version.
fn late(description: Option<u8>, text: impl Into<String>) -> Option<HandshakeError> {
    let alert = description.map(|description| Alert { description, negotiated: true });
    Some(HandshakeError::Found { text: text.into(), alert })
}

fn incompatible(error: &PeerIncompatible, hello: &ClientHello) -> Option<HandshakeError> {
    let no_suite = || {
        let offered = client_hello::shown(&hello.suites);
        late(
            None,
            format!("tls: no cipher suite supported by both client and server; client offered: {offered}"),
        )
    };
    match error {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => unsupported_versions(hello),
        // The library looks for this extension before it looks at the versions.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired if hello.versions.contains(&TLS13) => {
            late(Some(109), "local error: tls: missing extension")
        }
        PeerIncompatible::SignatureAlgorithmsExtensionRequired if !hello.versions.contains(&TLS12) => {
            unsupported_versions(hello)
        }
        PeerIncompatible::NoKxGroupsInCommon if hello.versions.contains(&TLS13) => {
            late(None, "tls: no key exchanges supported by both client and server")
        }
        PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon => no_suite(),
        PeerIncompatible::NoSignatureSchemesInCommon => {
            late(None, "tls: peer doesn't support any of the certificate's signature algorithms")
        }
        PeerIncompatible::NullCompressionRequired if hello.versions.contains(&TLS13) => {
            late(None, "tls: TLS 1.3 client supports illegal compression methods")
        }
        PeerIncompatible::NullCompressionRequired => {
            late(None, "tls: client does not support uncompressed connections")
        }
        PeerIncompatible::UncompressedEcPointsRequired => {
            late(Some(109), "tls: client offered only incompatible point formats")
        }
        _ => None,
    }
}

fn unsupported_versions(hello: &ClientHello) -> Option<HandshakeError> {
    Some(HandshakeError::Found {
        text: format!(
            "tls: client offered only unsupported versions: {}",
            client_hello::shown(&hello.versions)
        ),
        alert: Some(Alert { description: 70, negotiated: false }),
    })
}

/// A message of the handshake as the reference's types are called.
const fn message_name(kind: HandshakeType) -> Option<&'static str> {
    Some(match kind {
        HandshakeType::HelloRequest => "helloRequestMsg",
        HandshakeType::ClientHello => "clientHelloMsg",
        HandshakeType::ServerHello => "serverHelloMsg",
        HandshakeType::NewSessionTicket => "newSessionTicketMsg",
        HandshakeType::EncryptedExtensions => "encryptedExtensionsMsg",
        HandshakeType::Certificate => "certificateMsg",
        HandshakeType::ServerKeyExchange => "serverKeyExchangeMsg",
        HandshakeType::CertificateRequest => "certificateRequestMsg",
        HandshakeType::ServerHelloDone => "serverHelloDoneMsg",
        HandshakeType::CertificateVerify => "certificateVerifyMsg",
        HandshakeType::ClientKeyExchange => "clientKeyExchangeMsg",
        HandshakeType::Finished => "finishedMsg",
        HandshakeType::CertificateStatus => "certificateStatusMsg",
        HandshakeType::KeyUpdate => "keyUpdateMsg",
        _ => return None,
    })
}

fn alert_text(alert: AlertDescription) -> Cow<'static, str> {
    Cow::Borrowed(match alert {
        AlertDescription::CloseNotify => "close notify",
        AlertDescription::UnexpectedMessage => "unexpected message",
        AlertDescription::BadRecordMac => "bad record MAC",
        AlertDescription::DecryptionFailed => "decryption failed",
        AlertDescription::RecordOverflow => "record overflow",
        AlertDescription::DecompressionFailure => "decompression failure",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::IllegalParameter => "illegal parameter",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::DecodeError => "error decoding message",
        AlertDescription::DecryptError => "error decrypting message",
        AlertDescription::ExportRestriction => "export restriction",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::InsufficientSecurity => "insufficient security level",
        AlertDescription::InternalError => "internal error",
        AlertDescription::InappropriateFallback => "inappropriate fallback",
        AlertDescription::UserCanceled => "user canceled",
        AlertDescription::NoRenegotiation => "no renegotiation",
        AlertDescription::MissingExtension => "missing extension",
        AlertDescription::UnsupportedExtension => "unsupported extension",
        AlertDescription::CertificateUnobtainable => "certificate unobtainable",
        AlertDescription::UnrecognisedName => "unrecognized name",
        AlertDescription::BadCertificateStatusResponse => "bad certificate status response",
        AlertDescription::BadCertificateHashValue => "bad certificate hash value",
        AlertDescription::UnknownPSKIdentity => "unknown PSK identity",
        AlertDescription::CertificateRequired => "certificate required",
        AlertDescription::NoApplicationProtocol => "no application protocol",
        _ => return Cow::Owned(format!("alert({})", u8::from(alert))),
    })
}
