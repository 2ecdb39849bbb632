//! Consecutive messages for the same receivers, written once: from one receiver to the next only the
//! sid changes, in place.
//!
//! ```text
//! MSG <subject> |sid| [reply] <size>CRLF<payload>CRLF MSG <subject> |sid| ...
//!               ^ Mark::sid_at           ^ payload_at ^ end
//! ```

use super::encoder::Outgoing;
use super::staged::Staged;
use crate::server::protocol::encode;

/// Bytes after which a block takes no more. One read batch fits, unless its messages are tiny.
const BYTES_MAX: usize = 256 << 10;

/// Messages with the sid of one receiver at a time.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
    sid: Vec<u8>,
    has_headers: bool,
    /// Room for the bytes when sids of another length move them.
    spare: Vec<u8>,
}

/// Where the parts of one message are in the block's bytes.
#[derive(Debug, Clone, Copy)]
struct Mark {
    sid_at: u32,
    payload_at: u32,
    end: u32,
    /// 0 without a header block.
    header_bytes: u32,
}

impl Mark {
    fn payload_bytes(self) -> u64 {
        u64::from(self.end - self.payload_at) - encode::CRLF.len() as u64
    }
}

/// The first messages of a block as one receiver gets them.
#[derive(Debug, Clone, Copy)]
pub struct Addressed<'a> {
    /// The messages, whole.
    pub bytes: &'a [u8],
    /// How many they are.
    pub messages: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
}

impl Block {
    /// Forgets all messages; those to come are written for `sid` first.
    pub fn restart(&mut self, sid: &[u8]) {
        for buffer in [&mut self.bytes, &mut self.spare] {
            buffer.clear();
            // Long sids, written for many tiny messages, take many times a block's bytes.
            buffer.shrink_to(BYTES_MAX * 2);
        }
        self.marks.clear();
        self.has_headers = false;
        self.sid.clear();
        self.sid.extend_from_slice(sid);
    }

    /// Appends one message.
    #[inline]
    pub fn append(&mut self, message: &Outgoing<'_>) {
        let sid_at = self.bytes.len() + message.bytes_before_sid();
        message.write_whole(&self.sid, &mut self.bytes);
        let end = self.bytes.len();
        let payload_at = end - message.payload.len() - encode::CRLF.len();
        let header_bytes = message.header_bytes.unwrap_or(0);
        self.has_headers |= header_bytes > 0;
        self.marks.push(Mark {
            sid_at: narrow(sid_at),
            payload_at: narrow(payload_at),
            end: narrow(end),
            header_bytes: narrow(header_bytes),
        });
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.marks.len()
    }

    /// Whether some of the messages have header blocks.
    pub fn has_headers(&self) -> bool {
        self.has_headers
    }

    /// Whether it is time to send the block before anything is appended.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > BYTES_MAX
    }

    /// The first `messages`, as the receiver gets them who knows them by `sid`.
    pub fn addressed(&mut self, sid: &[u8], messages: usize) -> Addressed<'_> {
        if self.sid != sid {
            self.readdress(sid);
        }
        let marks = self.marks.get(..messages).unwrap_or(&self.marks);
        let end = marks.last().map_or(0, |mark| mark.end as usize);
        Addressed {
            bytes: self.bytes.get(..end).unwrap_or_default(),
            messages: marks.len() as u64,
            payload_bytes: marks.iter().map(|mark| mark.payload_bytes()).sum(),
        }
    }

    /// One of the messages, read back.
    pub fn outgoing(&self, at: usize) -> Option<Outgoing<'_>> {
        let start = at.checked_sub(1).and_then(|before| self.marks.get(before)).map_or(0, |mark| mark.end);
        let mark = self.marks.get(at)?;
        let line = self.bytes.get(start as usize..mark.payload_at as usize)?;
        let (before, after) = line.split_at_checked((mark.sid_at - start) as usize)?;
        let subject = before.split(|byte| *byte == b' ').nth(1)?;
        let mut fields = after.get(self.sid.len()..)?.trim_ascii().rsplit(|byte| *byte == b' ');
        let size_text = fields.next()?;
        let header_text = if mark.header_bytes > 0 { fields.next()? } else { b"" };
        Some(Outgoing {
            subject,
            reply: fields.next().unwrap_or_default(),
            header_bytes: (mark.header_bytes > 0).then_some(mark.header_bytes as usize),
            header_text,
            size_text,
            payload: self
                .bytes
                .get(mark.payload_at as usize..(mark.end as usize).checked_sub(encode::CRLF.len())?)?,
            tail: b"",
        })
    }

    /// Stages the first `messages` for a receiver that understands no headers: without them. Returns
    /// the bytes staged.
    pub fn write_without_headers(&mut self, sid: &[u8], messages: usize, staged: &mut Staged) -> usize {
        let before = staged.own().len();
        let addressed = self.addressed(sid, messages).messages;
        let mut start = 0;
        for mark in self.marks.iter().take(addressed as usize) {
            let end = mark.end as usize;
            let message = self.bytes.get(start..end).unwrap_or_default();
            let (line, payload) =
                message.split_at_checked(mark.payload_at as usize - start).unwrap_or_default();
            let body = payload.get(mark.header_bytes as usize..).unwrap_or_default();
            let out = staged.own();
            match line.strip_prefix(b"H").filter(|_| mark.header_bytes > 0) {
                Some(line) => {
                    out.extend_from_slice(without_sizes(line));
                    encode::number(out, (body.len() - encode::CRLF.len()) as u64);
                    out.extend_from_slice(encode::CRLF);
                }
                None => out.extend_from_slice(line),
            }
            out.extend_from_slice(body);
            staged.count_message(body.len() - encode::CRLF.len());
            start = end;
        }
        staged.own().len() - before
    }

    fn readdress(&mut self, sid: &[u8]) {
        match (sid.len() == self.sid.len(), sid.len()) {
            (false, _) => self.relay(sid),
            // Most sids are short numbers; copies of a fixed size are single instructions.
            (true, 1) => self.patch::<1>(sid),
            (true, 2) => self.patch::<2>(sid),
            (true, 3) => self.patch::<3>(sid),
            (true, 4) => self.patch::<4>(sid),
            (true, _) => {
                for mark in &self.marks {
                    let at = mark.sid_at as usize;
                    if let Some(slot) = self.bytes.get_mut(at..at + sid.len()) {
                        slot.copy_from_slice(sid);
                    }
                }
            }
        }
        self.sid.clear();
        self.sid.extend_from_slice(sid);
    }

    fn patch<const BYTES: usize>(&mut self, sid: &[u8]) {
        let Some(sid) = sid.first_chunk::<BYTES>() else { return };
        for mark in &self.marks {
            let rest = self.bytes.get_mut(mark.sid_at as usize..);
            if let Some(slot) = rest.and_then(<[u8]>::first_chunk_mut) {
                *slot = *sid;
            }
        }
    }

    /// Writes all anew around a sid of another length.
    fn relay(&mut self, sid: &[u8]) {
        self.spare.clear();
        let mut from = 0;
        for mark in &mut self.marks {
            let (sid_at, end) = (mark.sid_at as usize, mark.end as usize);
            self.spare.extend_from_slice(self.bytes.get(from..sid_at).unwrap_or_default());
            let new_sid_at = self.spare.len();
            self.spare.extend_from_slice(sid);
            self.spare.extend_from_slice(self.bytes.get(sid_at + self.sid.len()..end).unwrap_or_default());
            let new_end = self.spare.len();
            *mark = Mark {
                sid_at: narrow(new_sid_at),
                payload_at: narrow(new_end - (end - mark.payload_at as usize)),
                end: narrow(new_end),
                header_bytes: mark.header_bytes,
            };
            from = end;
        }
        std::mem::swap(&mut self.bytes, &mut self.spare);
    }
}

/// Offsets fit: a block is a few hundred KiB, at most some MiB once it is written for a long sid.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A control line up to its last two arguments, which are the sizes, with the blank before them.
fn without_sizes(line: &[u8]) -> &[u8] {
    let mut blanks = memchr::memrchr_iter(b' ', line);
    let end = blanks.nth(1).map_or(line.len(), |at| at + 1);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(reply: &'a [u8], header_bytes: Option<usize>, payload: &'a [u8]) -> Outgoing<'a> {
        Outgoing {
            subject: b"a.b",
            reply,
            header_bytes,
            header_text: b"2",
            size_text: if payload.len() == 3 { b"3" } else { b"1" },
            payload,
            tail: b"",
        }
    }

    fn block() -> Block {
        let mut block = Block::default();
        block.restart(b"1");
        block.append(&message(b"", None, b"x"));
        block.append(&message(b"r", Some(2), b"hhy"));
        block.append(&message(b"", None, b"z"));
        block
    }

    #[track_caller]
    fn check(block: &mut Block, sid: &str, messages: usize, want: &str, payload_bytes: u64) {
        let addressed = block.addressed(sid.as_bytes(), messages);
        assert_eq!(String::from_utf8_lossy(addressed.bytes), want, "{sid}");
        assert_eq!((addressed.messages, addressed.payload_bytes), (messages as u64, payload_bytes));
    }

    #[test]
    fn sids_of_any_length_take_turns() {
        let mut block = block();
        for sid in [
            "1",
            "2",
            "10",
            "123",
            "321",
            "4",
            "1234",
            "12345",
            "54321",
            "word-of-thirty-two-bytes-or-more",
            "",
        ] {
            let want =
                format!("MSG a.b {sid} 1\r\nx\r\nHMSG a.b {sid} r 2 3\r\nhhy\r\nMSG a.b {sid} 1\r\nz\r\n");
            check(&mut block, sid, 3, &want, 5);
        }
    }

    #[test]
    fn receiver_may_get_the_first_messages_only() {
        check(&mut block(), "77", 1, "MSG a.b 77 1\r\nx\r\n", 1);
        check(&mut block(), "1", 0, "", 0);
    }

    #[test]
    fn headers_are_left_out_where_they_are_not_understood() {
        let (mut block, mut staged) = (block(), Staged::default());
        let bytes = block.write_without_headers(b"22", 2, &mut staged);
        assert_eq!(bytes, staged.own().len());
        assert_eq!(staged.own(), b"MSG a.b 22 1\r\nx\r\nMSG a.b 22 r 1\r\ny\r\n");
        assert_eq!(staged.counts(), (2, 2));
    }

    #[test]
    fn messages_are_read_back_one_by_one() {
        let mut block = block();
        for sid in ["1", "long-sid", ""] {
            block.addressed(sid.as_bytes(), 3);
            for (at, want) in
                [message(b"", None, b"x"), message(b"r", Some(2), b"hhy"), message(b"", None, b"z")]
                    .iter()
                    .enumerate()
            {
                let got = block.outgoing(at).unwrap();
                let parts = |message: &Outgoing<'_>| {
                    [message.subject, message.reply, message.size_text, message.payload].map(<[u8]>::to_vec)
                };
                assert_eq!((parts(&got), got.header_bytes), (parts(want), want.header_bytes), "{sid}");
            }
        }
        assert!(block.outgoing(3).is_none());
    }

    #[test]
    fn block_begins_anew_for_the_next_messages() {
        let mut block = block();
        block.restart(b"9");
        assert_eq!((block.messages(), block.has_headers()), (0, false));
        block.append(&message(b"", None, b"n"));
        check(&mut block, "9", 1, "MSG a.b 9 1\r\nn\r\n", 1);
    }

    #[test]
    fn block_is_full_after_its_bytes_not_its_messages() {
        let (mut block, payload) = (Block::default(), vec![b'x'; BYTES_MAX / 2]);
        for want in [false, false, true] {
            assert_eq!(block.is_full(), want);
            block.append(&message(b"", None, &payload));
        }
    }
}
