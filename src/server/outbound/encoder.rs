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
    /// What stands behind the sid as a receiver gets it, payload and all; empty where it has to be
    /// put together. See `Publish::tail`.
    pub tail: &'a [u8],
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

    /// The header block; empty where there is none.
    pub fn header(&self) -> &[u8] {
        self.payload.get(..self.header_bytes.unwrap_or(0)).unwrap_or_default()
    }

    /// Bytes that a whole message has before the sid.
    #[inline]
    pub fn bytes_before_sid(&self) -> usize {
        self.word().len() + self.subject.len() + 1
    }

    #[inline]
    fn word(&self) -> &'static [u8] {
        match self.header_bytes {
            None | Some(0) => b"MSG ",
            Some(_) => b"HMSG ",
        }
    }

    /// Writes the message, header block and all, for one subscription `sid`.
    #[inline]
    pub fn write_whole(&self, sid: &[u8], out: &mut Vec<u8>) {
        if self.tail.is_empty() {
            self.write_line(sid, out);
            out.extend_from_slice(self.payload);
            out.extend_from_slice(encode::CRLF);
            return;
        }
        out.reserve(self.bytes_before_sid() + sid.len() + self.tail.len());
        out.extend_from_slice(self.word());
        out.extend_from_slice(self.subject);
        out.push(b' ');
        out.extend_from_slice(sid);
        out.extend_from_slice(self.tail);
    }

    fn write_line(&self, sid: &[u8], out: &mut Vec<u8>) {
        match self.header_bytes {
            None | Some(0) => encode::msg(out, self.subject, sid, self.reply, self.size_text),
            Some(_) => encode::hmsg(out, self.subject, sid, self.reply, self.header_text, self.size_text),
        }
    }

    /// Writes the message for one subscription `sid` of a receiver that `takes_headers` or not.
    /// `shared` is this message's payload, if it is to be shared.
    #[inline]
    pub fn write_client(
        &self,
        sid: &[u8],
        takes_headers: bool,
        shared: Option<&SharedPayload>,
        staged: &mut Staged,
    ) {
        let skipped = if takes_headers { 0 } else { self.header_bytes.unwrap_or(0) };
        let body = self.payload.get(skipped..).unwrap_or_default();
        staged.count_message(body.len());
        let out = staged.own();
        match shared {
            None if skipped == 0 => return self.write_whole(sid, out),
            Some(_) if skipped == 0 => self.write_line(sid, out),
            _ => {
                let mut digits = [0; encode::DIGITS_MAX];
                let size_text = encode::decimal(body.len() as u64, &mut digits);
                encode::msg(out, self.subject, sid, self.reply, size_text);
            }
        }
        match shared {
            None => {
                out.extend_from_slice(body);
                out.extend_from_slice(encode::CRLF);
            }
            Some(SharedPayload(block)) => staged.splice(block.slice(skipped.min(block.len())..)),
        }
    }
}
