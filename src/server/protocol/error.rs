//! What is said to a peer that did something wrong, and why connections end.

use super::op::Kind;
use crate::server::base::quote::quote;

/// Why a connection was closed; shown in `connz` and in disconnect events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer closed it.
    ClientClosed,
    /// No CONNECT in time.
    AuthenticationTimeout,
    /// Credentials refused.
    AuthenticationViolation,
    /// The TLS handshake failed.
    TlsHandshakeError,
    /// More bytes pending than `max_pending`.
    SlowConsumerPendingBytes,
    /// A write took longer than `write_deadline`.
    SlowConsumerWriteDeadline,
    /// Writing failed.
    WriteError,
    /// Reading failed.
    ReadError,
    /// The peer reported an error.
    ParseError,
    /// Too many PINGs went unanswered.
    StaleConnection,
    /// The peer broke the protocol.
    ProtocolViolation,
    /// CONNECT asked for an unknown protocol.
    BadClientProtocolVersion,
    /// The peer came to a listener for others.
    WrongPort,
    /// The account has no connection left.
    MaxAccountConnectionsExceeded,
    /// The server has no connection left.
    MaxConnectionsExceeded,
    /// A message was too large.
    MaxPayloadExceeded,
    /// A control line was too long.
    MaxControlLineExceeded,
    /// Too many subscriptions.
    MaxSubscriptionsExceeded,
    /// A second route to the same server.
    DuplicateRoute,
    /// A reload took the route away.
    RouteRemoved,
    /// The server stops.
    ServerShutdown,
    /// The credentials expired.
    AuthenticationExpired,
    /// A gateway of another name.
    WrongGateway,
    /// The account does not exist.
    MissingAccount,
    /// The credentials were revoked.
    Revocation,
    /// A connection inside the server ended.
    InternalClient,
    /// A message header was refused.
    MsgHeaderViolation,
    /// No-responder answers need headers.
    NoRespondersRequiresHeaders,
    /// A peer of another cluster name.
    ClusterNameConflict,
    /// A second leaf connection from the same remote.
    DuplicateRemoteLeafnodeConnection,
    /// An MQTT client id was taken over.
    DuplicateClientId,
    /// Two servers of one name.
    DuplicateServerName,
    /// The peer is too old.
    MinimumVersionRequired,
    /// A leaf node of the same cluster name.
    ClusterNamesIdentical,
    /// An operator closed it.
    Kicked,
    /// The proxy in front is not trusted.
    ProxyNotTrusted,
    /// The user must come through a proxy.
    ProxyRequired,
    /// None of the above.
    Unknown,
}

impl CloseReason {
    /// Every reason, in the order of the reference's numbering.
    pub const ALL: [Self; 38] = [
        Self::ClientClosed,
        Self::AuthenticationTimeout,
        Self::AuthenticationViolation,
        Self::TlsHandshakeError,
        Self::SlowConsumerPendingBytes,
        Self::SlowConsumerWriteDeadline,
        Self::WriteError,
        Self::ReadError,
        Self::ParseError,
        Self::StaleConnection,
        Self::ProtocolViolation,
        Self::BadClientProtocolVersion,
        Self::WrongPort,
        Self::MaxAccountConnectionsExceeded,
        Self::MaxConnectionsExceeded,
        Self::MaxPayloadExceeded,
        Self::MaxControlLineExceeded,
        Self::MaxSubscriptionsExceeded,
        Self::DuplicateRoute,
        Self::RouteRemoved,
        Self::ServerShutdown,
        Self::AuthenticationExpired,
        Self::WrongGateway,
        Self::MissingAccount,
        Self::Revocation,
        Self::InternalClient,
        Self::MsgHeaderViolation,
        Self::NoRespondersRequiresHeaders,
        Self::ClusterNameConflict,
        Self::DuplicateRemoteLeafnodeConnection,
        Self::DuplicateClientId,
        Self::DuplicateServerName,
        Self::MinimumVersionRequired,
        Self::ClusterNamesIdentical,
        Self::Kicked,
        Self::ProxyNotTrusted,
        Self::ProxyRequired,
        Self::Unknown,
    ];

    /// The text users see.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ClientClosed => "Client Closed",
            Self::AuthenticationTimeout => "Authentication Timeout",
            Self::AuthenticationViolation => "Authentication Failure",
            Self::TlsHandshakeError => "TLS Handshake Failure",
            Self::SlowConsumerPendingBytes => "Slow Consumer (Pending Bytes)",
            Self::SlowConsumerWriteDeadline => "Slow Consumer (Write Deadline)",
            Self::WriteError => "Write Error",
            Self::ReadError => "Read Error",
            Self::ParseError => "Parse Error",
            Self::StaleConnection => "Stale Connection",
            Self::ProtocolViolation => "Protocol Violation",
            Self::BadClientProtocolVersion => "Bad Client Protocol Version",
            Self::WrongPort => "Incorrect Port",
            Self::MaxAccountConnectionsExceeded => "Maximum Account Connections Exceeded",
            Self::MaxConnectionsExceeded => "Maximum Connections Exceeded",
            Self::MaxPayloadExceeded => "Maximum Message Payload Exceeded",
            Self::MaxControlLineExceeded => "Maximum Control Line Exceeded",
            Self::MaxSubscriptionsExceeded => "Maximum Subscriptions Exceeded",
            Self::DuplicateRoute => "Duplicate Route",
            Self::RouteRemoved => "Route Removed",
            Self::ServerShutdown => "Server Shutdown",
            Self::AuthenticationExpired => "Authentication Expired",
            Self::WrongGateway => "Wrong Gateway",
            Self::MissingAccount => "Missing Account",
            Self::Revocation => "Credentials Revoked",
            Self::InternalClient => "Internal Client",
            Self::MsgHeaderViolation => "Message Header Violation",
            Self::NoRespondersRequiresHeaders => "No Responders Requires Headers",
            Self::ClusterNameConflict => "Cluster Name Conflict",
            Self::DuplicateRemoteLeafnodeConnection => "Duplicate Remote LeafNode Connection",
            Self::DuplicateClientId => "Duplicate Client ID",
            Self::DuplicateServerName => "Duplicate Server Name",
            Self::MinimumVersionRequired => "Minimum Version Required",
            Self::ClusterNamesIdentical => "Cluster Names Identical",
            Self::Kicked => "Kicked",
            Self::ProxyNotTrusted => "Proxy Not Trusted",
            Self::ProxyRequired => "Proxy Required",
            Self::Unknown => "Unknown State",
        }
    }
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

/// Every text that can follow `-ERR` to a client; `Display` is the text without its single quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError<'a> {
    /// Bytes that are no operation, or a payload without its CRLF.
    #[error("Unknown Protocol Operation")]
    UnknownOperation,
    /// Credentials refused, or an operation before CONNECT.
    #[error("Authorization Violation")]
    AuthorizationViolation,
    /// Credentials refused because of the proxy in front.
    #[error("Authorization Violation")]
    ProxyNotTrusted,
    /// Credentials refused because there is no proxy in front.
    #[error("Authorization Violation")]
    ProxyRequired,
    /// No CONNECT in time.
    #[error("Authentication Timeout")]
    AuthenticationTimeout,
    /// The user's claims expired.
    #[error("User Authentication Expired")]
    UserExpired,
    /// The account's claims expired.
    #[error("Account Authentication Expired")]
    AccountExpired,
    /// The user was revoked.
    #[error("User Authentication Revoked")]
    UserRevoked,
    /// The account's `max_connections`.
    #[error("maximum account active connections exceeded")]
    AccountConnectionsExceeded,
    /// The server's `max_connections`.
    #[error("maximum connections exceeded")]
    ConnectionsExceeded,
    /// TLS `connection_rate_limit`.
    #[error("Connection throttling is active. Please try again later.")]
    Throttled,
    /// The account would not take the connection; it stays open.
    #[error("Failed Account Registration")]
    AccountRegistration,
    /// A message larger than `max_payload`.
    #[error("Maximum Payload Violation")]
    PayloadTooLarge,
    /// A control line longer than `max_control_line`.
    #[error("maximum control line exceeded")]
    ControlLineTooLong,
    /// `max_subscriptions`; the connection stays open.
    #[error("maximum subscriptions exceeded")]
    SubscriptionsExceeded,
    /// A SUB whose subject has an empty token or `>` before the end.
    #[error("Invalid Subject")]
    InvalidSubject,
    /// Pedantic only: a publish to a subject that is not literal.
    #[error("Invalid Publish Subject")]
    InvalidPublishSubject,
    /// No permission to publish to the subject.
    #[error("Permissions Violation for Publish to {}", quote(.subject))]
    PublishDenied {
        /// The subject after mapping.
        subject: &'a [u8],
    },
    /// A reply subject that only servers may use.
    #[error("Permissions Violation for Publish with Reply of {}", quote(.reply))]
    ReplyDenied {
        /// The reply subject.
        reply: &'a [u8],
    },
    /// No permission to subscribe.
    #[error("Permissions Violation for Subscription to {}{}{}", quote(.subject), using_queue(.queue), of_sid(.sid))]
    SubscribeDenied {
        /// The subject asked for.
        subject: &'a [u8],
        /// The queue group asked for.
        queue: Option<&'a [u8]>,
        /// Set when a reload took the permission away from an existing subscription.
        sid: Option<&'a [u8]>,
    },
    /// More tokens than `max_sub_tokens`.
    #[error("Permissions Violation for Subscription to {}, too many tokens", quote(.subject))]
    TooManyTokens {
        /// The subject asked for.
        subject: &'a [u8],
    },
    /// CONNECT with a protocol other than 0 and 1.
    #[error("invalid client protocol")]
    InvalidProtocol,
    /// CONNECT with `no_responders` and without headers.
    #[error("no responders requires headers support")]
    NoRespondersNeedHeaders,
    /// Too many PINGs went unanswered.
    #[error("Stale Connection")]
    StaleConnection,
    /// A plain connection where TLS is required.
    #[error("Secure Connection - TLS Required")]
    TlsRequired,
    /// A client came to a listener for servers.
    #[error("attempted to connect to {} port", port_of(.0))]
    WrongPort(Kind),
    /// A server announced interest in something that is no subject; the connection stays open.
    #[error("Invalid Subscription")]
    InvalidSubscription,
}

impl WireError<'_> {
    /// Why the connection closes after this was said; `None` when it stays open.
    #[must_use]
    pub const fn closes(&self) -> Option<CloseReason> {
        match self {
            Self::UnknownOperation => Some(CloseReason::ProtocolViolation),
            Self::AuthorizationViolation => Some(CloseReason::AuthenticationViolation),
            Self::ProxyNotTrusted => Some(CloseReason::ProxyNotTrusted),
            Self::ProxyRequired => Some(CloseReason::ProxyRequired),
            Self::AuthenticationTimeout => Some(CloseReason::AuthenticationTimeout),
            Self::UserExpired | Self::AccountExpired => Some(CloseReason::AuthenticationExpired),
            Self::UserRevoked => Some(CloseReason::Revocation),
            Self::AccountConnectionsExceeded => Some(CloseReason::MaxAccountConnectionsExceeded),
            Self::ConnectionsExceeded | Self::Throttled => Some(CloseReason::MaxConnectionsExceeded),
            Self::PayloadTooLarge => Some(CloseReason::MaxPayloadExceeded),
            Self::ControlLineTooLong => Some(CloseReason::MaxControlLineExceeded),
            Self::InvalidProtocol => Some(CloseReason::BadClientProtocolVersion),
            Self::NoRespondersNeedHeaders => Some(CloseReason::NoRespondersRequiresHeaders),
            Self::StaleConnection => Some(CloseReason::StaleConnection),
            Self::TlsRequired => Some(CloseReason::TlsHandshakeError),
            Self::WrongPort(_) => Some(CloseReason::WrongPort),
            Self::AccountRegistration
            | Self::SubscriptionsExceeded
            | Self::InvalidSubject
            | Self::InvalidPublishSubject
            | Self::PublishDenied { .. }
            | Self::ReplyDenied { .. }
            | Self::SubscribeDenied { .. }
            | Self::TooManyTokens { .. }
            | Self::InvalidSubscription => None,
        }
    }
}

fn using_queue(queue: &Option<&[u8]>) -> String {
    queue.map(|name| format!(" using queue {}", quote(name))).unwrap_or_default()
}

fn of_sid(sid: &Option<&[u8]>) -> String {
    sid.map(|sid| format!(" (sid {})", quote(sid))).unwrap_or_default()
}

fn port_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Router => "route",
        Kind::Gateway => "gateway",
        Kind::Leafnode => "leaf node",
        Kind::Client | Kind::System | Kind::Jetstream | Kind::Account => "wrong",
    }
}

/// Why the parser gives up on a connection. `Display` is the text for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Something else than CONNECT while the peer has to authenticate.
    #[error("authentication error")]
    AwaitsConnect,
    /// Bytes that are no operation of this kind of peer, or a payload without its CRLF.
    #[error("{kind} parser ERROR, state={state}, i={offset}: proto='{snippet}...'")]
    UnknownOperation {
        /// Who sent it.
        kind: Kind,
        /// The reference's number of the parser state.
        state: u8,
        /// Where the offending byte is, from the start of the operation.
        offset: usize,
        /// What stands there, quoted.
        snippet: Box<str>,
    },
    /// A control line longer than allowed, complete or not.
    #[error("maximum control line exceeded")]
    ControlLineTooLong {
        /// The reference's number of the parser state.
        state: u8,
        /// The configured limit in bytes.
        max: usize,
        /// Bytes of arguments seen.
        length: usize,
    },
    /// A payload larger than allowed. The control line is complete; nothing after it was judged.
    #[error("maximum payload exceeded: {size} vs {max}")]
    PayloadTooLarge {
        /// Bytes announced, header block included.
        size: usize,
        /// Bytes allowed.
        max: usize,
        /// Bytes of header block announced; `Some` for operations with headers.
        header_len: Option<usize>,
        /// Where the header block begins, from the start of the operation: it may have arrived.
        payload_at: usize,
    },
    /// Headers from a peer that did not negotiate them.
    #[error("message headers not supported")]
    HeadersNotSupported,
    /// Arguments that do not fit the operation: the peer is told nothing.
    #[error("{0}")]
    Arguments(Box<str>),
}

impl ParseError {
    /// The text for the peer, if it is told anything.
    #[must_use]
    pub const fn wire(&self) -> Option<WireError<'static>> {
        match self {
            Self::AwaitsConnect => Some(WireError::AuthorizationViolation),
            Self::UnknownOperation { .. } => Some(WireError::UnknownOperation),
            Self::ControlLineTooLong { .. } => Some(WireError::ControlLineTooLong),
            Self::PayloadTooLarge { .. } => Some(WireError::PayloadTooLarge),
            Self::HeadersNotSupported | Self::Arguments(_) => None,
        }
    }

    /// Why the connection closes.
    #[must_use]
    pub const fn reason(&self) -> CloseReason {
        match self {
            Self::AwaitsConnect => CloseReason::AuthenticationViolation,
            Self::ControlLineTooLong { .. } => CloseReason::MaxControlLineExceeded,
            Self::PayloadTooLarge { .. } => CloseReason::MaxPayloadExceeded,
            Self::UnknownOperation { .. } | Self::HeadersNotSupported | Self::Arguments(_) => {
                CloseReason::ProtocolViolation
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_text() {
        let texts: std::collections::HashSet<_> =
            CloseReason::ALL.iter().map(|reason| reason.text()).collect();
        assert_eq!(texts.len(), CloseReason::ALL.len());
    }

    #[track_caller]
    fn check(error: WireError<'_>, text: &str, closes: Option<&str>) {
        assert_eq!((error.to_string().as_str(), error.closes().map(CloseReason::text)), (text, closes));
    }

    #[test]
    fn texts_that_close_the_connection() {
        for (error, text, reason) in [
            (WireError::UnknownOperation, "Unknown Protocol Operation", "Protocol Violation"),
            (WireError::AuthorizationViolation, "Authorization Violation", "Authentication Failure"),
            (WireError::ProxyNotTrusted, "Authorization Violation", "Proxy Not Trusted"),
            (WireError::ProxyRequired, "Authorization Violation", "Proxy Required"),
            (WireError::AuthenticationTimeout, "Authentication Timeout", "Authentication Timeout"),
            (WireError::UserExpired, "User Authentication Expired", "Authentication Expired"),
            (WireError::AccountExpired, "Account Authentication Expired", "Authentication Expired"),
            (WireError::UserRevoked, "User Authentication Revoked", "Credentials Revoked"),
            (
                WireError::AccountConnectionsExceeded,
                "maximum account active connections exceeded",
                "Maximum Account Connections Exceeded",
            ),
            (WireError::ConnectionsExceeded, "maximum connections exceeded", "Maximum Connections Exceeded"),
            (
                WireError::Throttled,
                "Connection throttling is active. Please try again later.",
                "Maximum Connections Exceeded",
            ),
            (WireError::PayloadTooLarge, "Maximum Payload Violation", "Maximum Message Payload Exceeded"),
            (WireError::ControlLineTooLong, "maximum control line exceeded", "Maximum Control Line Exceeded"),
            (WireError::InvalidProtocol, "invalid client protocol", "Bad Client Protocol Version"),
            (
                WireError::NoRespondersNeedHeaders,
                "no responders requires headers support",
                "No Responders Requires Headers",
            ),
            (WireError::StaleConnection, "Stale Connection", "Stale Connection"),
            (WireError::TlsRequired, "Secure Connection - TLS Required", "TLS Handshake Failure"),
            (WireError::WrongPort(Kind::Router), "attempted to connect to route port", "Incorrect Port"),
            (
                WireError::WrongPort(Kind::Leafnode),
                "attempted to connect to leaf node port",
                "Incorrect Port",
            ),
            (WireError::WrongPort(Kind::Gateway), "attempted to connect to gateway port", "Incorrect Port"),
        ] {
            check(error, text, Some(reason));
        }
    }

    #[test]
    fn texts_that_leave_the_connection_open() {
        let denied = |queue, sid| WireError::SubscribeDenied { subject: b"foo.>", queue, sid };
        for (error, text) in [
            (WireError::AccountRegistration, "Failed Account Registration"),
            (WireError::SubscriptionsExceeded, "maximum subscriptions exceeded"),
            (WireError::InvalidSubject, "Invalid Subject"),
            (WireError::InvalidPublishSubject, "Invalid Publish Subject"),
            (WireError::PublishDenied { subject: b"a\"b" }, r#"Permissions Violation for Publish to "a\"b""#),
            (
                WireError::ReplyDenied { reply: b"_R_.x" },
                r#"Permissions Violation for Publish with Reply of "_R_.x""#,
            ),
            (denied(None, None), r#"Permissions Violation for Subscription to "foo.>""#),
            (
                denied(Some(b"q"), None),
                r#"Permissions Violation for Subscription to "foo.>" using queue "q""#,
            ),
            (
                denied(Some(b"q"), Some(b"7")),
                r#"Permissions Violation for Subscription to "foo.>" using queue "q" (sid "7")"#,
            ),
            (
                WireError::TooManyTokens { subject: b"a.b" },
                r#"Permissions Violation for Subscription to "a.b", too many tokens"#,
            ),
        ] {
            check(error, text, None);
        }
    }
}
