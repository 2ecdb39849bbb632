//! How grave a line is, and which of the talkative levels are on.

/// How grave a line is; the graver, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The raw protocol, line by line.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What an operator wants to know.
    Notice,
    /// Something is not as it should be, the server copes.
    Warn,
    /// Something failed.
    Error,
    /// The server ends because of it.
    Fatal,
}

impl Level {
    /// The three letters between brackets in a text line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Trace => "TRC",
            Self::Debug => "DBG",
            Self::Notice => "INF",
            Self::Warn => "WRN",
            Self::Error => "ERR",
            Self::Fatal => "FTL",
        }
    }

    /// The terminal's colour code of the label.
    pub(super) const fn color(self) -> &'static str {
        match self {
            Self::Trace => "33",
            Self::Debug => "36",
            Self::Notice => "32",
            Self::Warn => "0;93",
            Self::Error | Self::Fatal => "31",
        }
    }

    /// The word in a JSON line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Notice => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    /// Syslog severity. The reference sends trace lines as notices.
    pub(super) const fn severity(self) -> u8 {
        match self {
            Self::Fatal => 2,
            Self::Error => 3,
            Self::Warn => 4,
            Self::Notice | Self::Trace => 5,
            Self::Debug => 7,
        }
    }

    /// Whether a line may be dropped when lines come faster than they can be written.
    pub(super) const fn is_droppable(self) -> bool {
        matches!(self, Self::Trace | Self::Debug)
    }
}

/// The levels that can be switched; everything from notice up is always on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Levels {
    /// Debug lines.
    pub debug: bool,
    /// The raw protocol of clients and links.
    pub trace: bool,
    /// The raw protocol of the system account too (`trace_verbose`).
    pub trace_system: bool,
}

impl Levels {
    const DEBUG: u8 = 1;
    const TRACE: u8 = 2;
    const TRACE_SYSTEM: u8 = 4;

    /// As a byte for an atomic.
    pub(super) const fn to_bits(self) -> u8 {
        let mut bits = 0;
        if self.debug {
            bits |= Self::DEBUG;
        }
        if self.trace {
            bits |= Self::TRACE;
        }
        if self.trace_system {
            bits |= Self::TRACE_SYSTEM;
        }
        bits
    }

    /// From the byte of an atomic.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self {
            debug: bits & Self::DEBUG != 0,
            trace: bits & Self::TRACE != 0,
            trace_system: bits & Self::TRACE_SYSTEM != 0,
        }
    }
}
