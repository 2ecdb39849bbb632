//! The operations of the text protocol, as values that borrow from the bytes they were read from.

use super::args::Fields;

/// What stands behind a connection; decides which operations it may send.
///
/// | Kind | Operations it sends |
/// |---|---|
/// | Client | CONNECT PING PONG PUB HPUB SUB UNSUB INFO +OK -ERR |
/// | Router | CONNECT INFO PING PONG RS+ RS- LS+ LS- RMSG HMSG LMSG +OK -ERR |
/// | Gateway | CONNECT INFO PING PONG A+ A- RS+ RS- RMSG HMSG +OK -ERR |
/// | Leafnode | CONNECT INFO PING PONG LS+ LS- LMSG HMSG +OK -ERR |
///
/// The others live inside the server and send none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An application.
    Client,
    /// A server of the same cluster.
    Router,
    /// A server of another cluster of the super-cluster.
    Gateway,
    /// A server that is, or has, a leaf node.
    Leafnode,
    /// The server's own system messages.
    System,
    /// `JetStream`'s own messages.
    Jetstream,
    /// An account's own messages (imports).
    Account,
}

impl Kind {
    /// The name in log lines, monitoring and traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::Router => "Router",
            Self::Gateway => "Gateway",
            Self::Leafnode => "Leafnode",
            Self::System => "System",
            Self::Jetstream => "JetStream",
            Self::Account => "Account",
        }
    }

    /// The number in documents that carry a kind as a number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Client => 0,
            Self::Router => 1,
            Self::Gateway => 2,
            Self::System => 3,
            Self::Leafnode => 4,
            Self::Jetstream => 5,
            Self::Account => 6,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `CONNECT {json}`: the JSON text.
    Connect(&'a [u8]),
    /// `INFO {json}`: the JSON text.
    Info(&'a [u8]),
    /// `PING`
    Ping,
    /// `PONG`
    Pong,
    /// `+OK`
    Ok,
    /// `-ERR <text>`: the text as sent, quotes included.
    Err(&'a [u8]),
    /// `PUB`, `HPUB`
    Publish(Publish<'a>),
    /// `SUB`
    Subscribe(Subscribe<'a>),
    /// `UNSUB`
    Unsubscribe(Unsubscribe<'a>),
    /// `RS+`, `LS+`: the other server gained interest.
    LinkSubscribe(LinkSubscribe<'a>),
    /// `RS-`, `LS-`: the other server lost interest.
    LinkUnsubscribe(LinkUnsubscribe<'a>),
    /// `RMSG`, `LMSG`, `HMSG`: a message from another server.
    LinkMessage(LinkMessage<'a>),
    /// `A+ <account>`: a gateway has interest in the account after all.
    AccountInterest(&'a [u8]),
    /// `A- <account>`: a gateway has no interest in the account.
    AccountNoInterest(&'a [u8]),
}

/// `PUB <subject> [reply] <size>` or `HPUB <subject> [reply] <header size> <total size>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The subject as written: not checked for validity.
    pub subject: &'a [u8],
    /// Where answers go; empty when there is none.
    pub reply: &'a [u8],
    /// Bytes of the header block at the start of `payload`; `Some` for HPUB, where it may be 0.
    pub header_len: Option<usize>,
    /// The (total) size as written, echoed to receivers: `02` stays `02`.
    pub size_text: &'a [u8],
    /// The header size as written; empty for PUB.
    pub header_text: &'a [u8],
    /// Header block and body, without the closing CRLF.
    pub payload: &'a [u8],
    /// All behind the subject, from the blank on and with the CRLF of the payload, where that is
    /// what a receiver gets behind the sid: single spaces, CRLF, no empty header block. Else empty.
    pub tail: &'a [u8],
    /// The whole control line is byte for byte that of the previous publish on this connection, so
    /// whatever was found out about that one by its subject holds unless something else changed.
    pub repeats: bool,
}

/// `SUB <subject> [queue] <sid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The subject or pattern as written: not checked for validity.
    pub subject: &'a [u8],
    /// The queue group.
    pub queue: Option<&'a [u8]>,
    /// The client's own name for the subscription: any word.
    pub sid: &'a [u8],
}

/// `UNSUB <sid> [max]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The client's own name for the subscription.
    pub sid: &'a [u8],
    /// Deliveries after which it ends. `None`, at once: also when the number is 0 or no number.
    pub max: Option<u64>,
}

/// `RS+` and `LS+`: `[origin] [account] <subject> [queue weight]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSubscribe<'a> {
    /// `LS+` rather than `RS+`: between cluster peers, interest of a leaf node.
    pub leaf: bool,
    /// The leaf node's cluster, on `LS+` between cluster peers; else empty.
    pub origin: &'a [u8],
    /// The account; empty where the connection implies it (leaf nodes, pinned routes).
    pub account: &'a [u8],
    /// The subject or pattern as written.
    pub subject: &'a [u8],
    /// The queue group.
    pub queue: Option<&'a [u8]>,
    /// Members of the queue group over there; 0 without a group or when no number was sent.
    pub weight: u32,
}

/// `RS-` and `LS-`: `[origin] [account] <subject> [queue]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkUnsubscribe<'a> {
    /// `LS-` rather than `RS-`.
    pub leaf: bool,
    /// The leaf node's cluster, if the peer sends it; else empty.
    pub origin: &'a [u8],
    /// The account; empty where the connection implies it.
    pub account: &'a [u8],
    /// The subject or pattern as written.
    pub subject: &'a [u8],
    /// The queue group.
    pub queue: Option<&'a [u8]>,
}

/// `RMSG`, `LMSG`, `HMSG`: `[origin] [account] <subject> [reply, or + reply queues.., or | queues..]
/// [header size] <size>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkMessage<'a> {
    /// The leaf node's cluster the message came from (`LMSG` between cluster peers); else empty.
    pub origin: &'a [u8],
    /// The account; empty where the connection implies it.
    pub account: &'a [u8],
    /// The subject as written.
    pub subject: &'a [u8],
    /// Where answers go; empty when there is none.
    pub reply: &'a [u8],
    /// Names of the queue groups that are to get one copy each on this side.
    pub queues: Queues<'a>,
    /// Bytes of the header block at the start of `payload`; `Some` for operations with headers.
    pub header_len: Option<usize>,
    /// The (total) size as written.
    pub size_text: &'a [u8],
    /// The header size as written; empty without headers.
    pub header_text: &'a [u8],
    /// Header block and body, without the closing CRLF.
    pub payload: &'a [u8],
}

/// Queue group names, still as one piece of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues<'a>(pub(super) &'a [u8]);

impl<'a> Queues<'a> {
    /// The names in the order they were sent.
    #[must_use]
    pub fn iter(self) -> Fields<'a> {
        Fields::new(self.0)
    }

    /// Whether no group is named.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }
}

impl<'a> IntoIterator for Queues<'a> {
    type Item = &'a [u8];
    type IntoIter = Fields<'a>;

    fn into_iter(self) -> Fields<'a> {
        self.iter()
    }
}

impl<'a> From<&'a [u8]> for Queues<'a> {
    fn from(names: &'a [u8]) -> Self {
        Self(names)
    }
}
