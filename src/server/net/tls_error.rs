//! Why a handshake failed, in the reference's words (those of Go's `crypto/tls`).

use std::io;
use std::net::SocketAddr;

use rustls::{AlertDescription, Error, PeerIncompatible};

use crate::server::base::io_text::io_text;

/// A handshake that failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// The peer sent something else. It may be a port scan or a load balancer's probe.
    NotTls,
    /// The peer sent a hello of SSL 2.
    Ssl2,
    /// The peer closed.
    Closed,
    /// The socket failed.
    Socket(io::Error),
    /// The peer took too long.
    TimedOut,
    /// The peer's certificate is not among those pinned.
    NotPinned,
    /// A client's certificate was refused: the whole text.
    Refused(String),
    /// Anything else that the TLS library found.
    Library(Error),
}

impl HandshakeError {
    /// Whether it may come from somebody who is no client at all: then it is only logged for debugging.
    pub const fn is_probe(&self) -> bool {
        matches!(self, Self::NotTls | Self::Ssl2 | Self::TimedOut)
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
            Self::Closed => "EOF".into(),
            Self::Socket(error) => socket(&format!("read: {}", io_text(error))),
            Self::TimedOut => socket("i/o timeout"),
            Self::NotPinned => "certificate not pinned".into(),
            Self::Refused(text) => text.clone(),
            Self::Library(error) => library_text(error),
        }
    }
}

fn library_text(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".into(),
        Error::DecryptError => "local error: tls: bad record MAC".into(),
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "tls: client offered only unsupported versions".into(),
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            "tls: no cipher suite supported by both client and server".into()
        }
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) => {
            "tls: no key exchanges supported by both client and server".into()
        }
        Error::General(text) if text == NO_CERTIFICATE => NO_CERTIFICATE.into(),
        other => format!("tls: {other}"),
    }
}

/// A `tls` block without certificates.
pub(super) const NO_CERTIFICATE: &str = "tls: no certificates configured";

fn alert_text(alert: AlertDescription) -> &'static str {
    match alert {
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
        _ => "unknown alert",
    }
}
