//! What one read batch has for one destination, before it is sent or queued.

use std::io::IoSlice;

use bytes::Bytes;

use super::block::Addressed;
use super::chunks::Chunks;

/// Slices handed to one direct write; what is beyond goes the way of bytes that would block.
const DIRECT_SLICES_MAX: usize = 64;

/// Bytes to send, in order: own bytes, with shared blocks spliced in.
#[derive(Debug, Default)]
pub struct Staged {
    own: Vec<u8>,
    splices: Vec<Splice>,
    spliced_bytes: usize,
    messages: u64,
    payload_bytes: u64,
}

/// A shared block that stands before `own[at]`.
#[derive(Debug)]
struct Splice {
    at: usize,
    block: Bytes,
}

impl Staged {
    /// Where lines and copied payloads are written.
    #[inline]
    pub fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// Appends a copy of what a block has for this destination.
    pub fn copy(&mut self, block: &Addressed<'_>) {
        self.own.extend_from_slice(block.bytes);
        self.messages += block.messages;
        self.payload_bytes += block.payload_bytes;
    }

    /// Appends a block without copying it.
    pub fn splice(&mut self, block: Bytes) {
        self.spliced_bytes += block.len();
        self.splices.push(Splice { at: self.own.len(), block });
    }

    /// Counts one message of `payload_bytes` towards the destination's figures.
    #[inline]
    pub fn count_message(&mut self, payload_bytes: usize) {
        self.messages += 1;
        self.payload_bytes += payload_bytes as u64;
    }

    /// Bytes to send.
    pub fn len(&self) -> usize {
        self.own.len() + self.spliced_bytes
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.splices.is_empty()
    }

    /// Messages and payload bytes counted.
    pub fn counts(&self) -> (u64, u64) {
        (self.messages, self.payload_bytes)
    }

    /// Capacity held for own bytes.
    pub fn capacity(&self) -> usize {
        self.own.capacity()
    }

    /// The whole as one piece, where no block is spliced in.
    pub fn contiguous(&self) -> Option<&[u8]> {
        self.splices.is_empty().then_some(self.own.as_slice())
    }

    /// The first pieces, as one vectored write wants them.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        self.pieces().take(DIRECT_SLICES_MAX).map(|piece| IoSlice::new(piece.bytes())).collect()
    }

    /// Queues everything after the first `written` bytes.
    pub fn queue_rest(&self, mut written: usize, queue: &mut Chunks) {
        if written == self.len() {
            return;
        }
        for piece in self.pieces() {
            let skip = written.min(piece.bytes().len());
            written -= skip;
            match piece {
                Piece::Own(bytes) => queue.copy(bytes.get(skip..).unwrap_or_default()),
                Piece::Shared(block) => queue.share(block.slice(skip..)),
            }
        }
    }

    /// Forgets everything, keeping the capacity.
    pub fn clear(&mut self) {
        self.own.clear();
        self.splices.clear();
        self.spliced_bytes = 0;
        self.messages = 0;
        self.payload_bytes = 0;
    }

    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let starts = std::iter::once(0).chain(self.splices.iter().map(|splice| splice.at));
        let ends = self.splices.iter().map(|splice| splice.at).chain(std::iter::once(self.own.len()));
        let owned = starts.zip(ends).map(|(start, end)| self.own.get(start..end).unwrap_or_default());
        let blocks = self.splices.iter().map(|splice| Some(&splice.block)).chain(std::iter::once(None));
        owned
            .zip(blocks)
            .flat_map(|(own, block)| [Some(Piece::Own(own)), block.map(Piece::Shared)])
            .flatten()
            .filter(|piece| !piece.bytes().is_empty())
    }
}

enum Piece<'a> {
    Own(&'a [u8]),
    Shared(&'a Bytes),
}

impl<'a> Piece<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(block) => block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged() -> Staged {
        let mut staged = Staged::default();
        staged.own().extend_from_slice(b"MSG a 1 3\r\n");
        staged.splice(Bytes::from_static(b"abc\r\n"));
        staged.own().extend_from_slice(b"MSG a 2 3\r\n");
        staged.splice(Bytes::from_static(b"def\r\n"));
        staged
    }

    const WHOLE: &[u8] = b"MSG a 1 3\r\nabc\r\nMSG a 2 3\r\ndef\r\n";

    #[test]
    fn pieces_stand_in_the_order_they_were_staged() {
        let whole: Vec<u8> = staged().slices().iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(whole, WHOLE);
    }

    #[test]
    fn rest_after_any_partial_write_is_queued() {
        for written in 0..=WHOLE.len() {
            let (staged, mut queue) = (staged(), Chunks::default());
            staged.queue_rest(written, &mut queue);
            let rest: Vec<u8> = queue.slices().iter().flat_map(|slice| slice.to_vec()).collect();
            assert_eq!(rest, WHOLE[written..], "{written}");
        }
    }
}
