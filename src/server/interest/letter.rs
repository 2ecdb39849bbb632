//! A message that a task of the server's own receives: owned, where connections get bytes written.

use bytes::Bytes;

/// One message as it lies in an inbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subject it was delivered under.
    pub subject: Box<[u8]>,
    /// The reply subject; empty where there is none.
    pub reply: Box<[u8]>,
    /// Header bytes at the start of `payload`; `None` where the message came without a header part.
    pub header_bytes: Option<usize>,
    /// Header block and body.
    pub payload: Bytes,
}

impl Letter {
    /// The header block; empty where there is none.
    pub fn header(&self) -> &[u8] {
        self.payload.get(..self.header_bytes.unwrap_or(0)).unwrap_or_default()
    }

    /// What stands behind the header block.
    pub fn body(&self) -> &[u8] {
        self.payload.get(self.header_bytes.unwrap_or(0)..).unwrap_or_default()
    }
}

impl std::fmt::Debug for Letter {
    /// Without what it says, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter")
            .field("subject", &self.subject.escape_ascii().to_string())
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
