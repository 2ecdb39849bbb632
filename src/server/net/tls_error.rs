//! Why a handshake failed, in the reference's words (those of Go's `crypto/tls`).

use std::io;
use std::net::SocketAddr;

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::client_hello::{self, ClientHello};
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
    NotOcspValid,
    /// A client's certificate was refused: the whole text.
    Refused(String),
    /// Nothing could be agreed on: the whole text.
    Incompatible(String),
    /// Anything else that the TLS library found.
    Library(Error),
}

impl HandshakeError {
    /// Whether it may come from somebody who is no client at all: then it is only logged for debugging.
    pub const fn is_probe(&self) -> bool {
        matches!(self, Self::NotTls | Self::TimedOut)
    }

    /// The alert that tells the peer, where the TLS library does not say it.
    pub(super) const fn alert(&self) -> Option<[u8; 7]> {
        /// A fatal alert in a record of version 1.0: nothing has been agreed on yet.
        const fn fatal(description: u8) -> Option<[u8; 7]> {
            Some([21, 3, 1, 0, 2, 2, description])
        }
        match self {
            Self::Ssl2 => fatal(70),
            Self::TooLong(_) => fatal(80),
            _ => None,
        }
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
            Self::NotOcspValid => "client not OCSP valid".into(),
            Self::NotPinned => "certificate not pinned".into(),
            Self::Refused(text) | Self::Incompatible(text) => text.clone(),
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
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon) => {
            "tls: no key exchanges supported by both client and server".into()
        }
        // What the library says where no certificate was found for the name asked for.
        Error::General(text) if text == "no server certificate chain resolved" => {
            "tls: no certificates configured".into()
        }
        other => format!("tls: {other}"),
    }
}

/// What the reference says where versions or suites do not meet; `record` holds the client's hello.
pub(super) fn incompatible(error: &Error, record: &[u8]) -> Option<HandshakeError> {
    let Error::PeerIncompatible(error) = error else { return None };
    let hello = ClientHello::read(record)?;
    let text = match error {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            format!("tls: client offered only unsupported versions: {}", client_hello::shown(&hello.versions))
        }
        PeerIncompatible::NoCipherSuitesInCommon => format!(
            "tls: no cipher suite supported by both client and server; client offered: {}",
            client_hello::shown(&hello.suites)
        ),
        _ => return None,
    };
    Some(HandshakeError::Incompatible(text))
}

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
