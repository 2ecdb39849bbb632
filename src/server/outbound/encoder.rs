//! How a destination wants a message written.

use bytes::Bytes;

use super::staged::Staged;
use crate::server::protocol::encode;

/// A message as it is handed to destinations: pieces borrowed from where it was read.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The subject it is delivered under.
    pub subject: &'a [u8],
    /// The reply subject; empty where there is none.
    pub reply: &'a [u8],
    /// Header bytes at the start of `payload`; `None` where the message came without a header part.
    pub header_bytes: Option<usize>,
    /// The header size as the publisher wrote it.
    pub header_text: &'a [u8],
    /// The size of `payload` as the publisher wrote it.
    pub size_text: &'a [u8],
    /// Header block and body.
    pub payload: &'a [u8],
}

/// Payloads from this size on are shared among several receivers instead of copied for each.
const SHARED_BYTES_MIN: usize = 8 << 10;

/// A payload and its CRLF, once for all receivers of a message.
#[derive(Debug, Clone)]
pub struct SharedPayload(Bytes);

impl Outgoing<'_> {
    /// The payload as a block to share, where `receivers` are enough and it is large enough.
    pub fn share(&self, receivers: usize) -> Option<SharedPayload> {
        (receivers > 1 && self.payload.len() >= SHARED_BYTES_MIN)
            .then(|| SharedPayload(Bytes::from([self.payload, b"\r\n"].concat())))
    }

    /// Writes the message for one subscription `sid` of a receiver that `takes_headers` or not.
    /// `shared` is this message's payload, if it is to be shared.
    pub fn write_client(
        &self,
        sid: &[u8],
        takes_headers: bool,
        shared: Option<&SharedPayload>,
        staged: &mut Staged,
    ) {
        let out = staged.own();
        let mut skipped = 0;
        match self.header_bytes {
            None | Some(0) => encode::msg(out, self.subject, sid, self.reply, self.size_text),
            Some(_) if takes_headers => {
                encode::hmsg(out, self.subject, sid, self.reply, self.header_text, self.size_text);
            }
            Some(header_bytes) => {
                skipped = header_bytes;
                let body = self.payload.get(header_bytes..).unwrap_or_default();
                let mut digits = [0; encode::DIGITS_MAX];
                let size_text = encode::decimal(body.len() as u64, &mut digits);
                encode::msg(out, self.subject, sid, self.reply, size_text);
            }
        }
        let body = self.payload.get(skipped..).unwrap_or_default();
        match shared {
            None => {
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            }
            Some(SharedPayload(block)) => staged.splice(block.slice(skipped.min(block.len())..)),
        }
        staged.count_message(body.len());
    }
}
