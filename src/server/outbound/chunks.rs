//! Bytes that wait for a socket: a queue of pooled buffers and shared blocks.
//!
//! New data fills the free space of the last buffer, then takes the smallest pooled class that fits;
//! blocks that several destinations share are queued as they are.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

use crate::server::base::buffer;

/// Buffers handed to one vectored write. Reference: 1,024, the kernel's own limit.
pub(super) const WRITE_SLICES_MAX: usize = 1024;

#[derive(Debug)]
enum Block {
    Pooled(Vec<u8>),
    Shared(Bytes),
}

#[derive(Debug)]
struct Chunk {
    block: Block,
    /// Bytes of the block that have been written.
    start: usize,
}

impl Chunk {
    fn rest(&self) -> &[u8] {
        let whole = match &self.block {
            Block::Pooled(buffer) => buffer.as_slice(),
            Block::Shared(bytes) => bytes.as_ref(),
        };
        whole.get(self.start..).unwrap_or_default()
    }

    fn release(self) {
        if let Block::Pooled(buffer) = self.block {
            buffer::give(buffer);
        }
    }
}

/// A queue of bytes in order.
#[derive(Debug, Default)]
pub struct Chunks {
    queue: VecDeque<Chunk>,
    bytes: usize,
}

impl Chunks {
    /// Bytes in the queue.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Buffers in the queue.
    pub fn count(&self) -> usize {
        self.queue.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends a copy of `data`.
    pub fn copy(&mut self, mut data: &[u8]) {
        self.bytes += data.len();
        if let Some(Chunk { block: Block::Pooled(last), .. }) = self.queue.back_mut() {
            let (head, rest) = data.split_at(data.len().min(last.capacity() - last.len()));
            last.extend_from_slice(head);
            data = rest;
        }
        while !data.is_empty() {
            let mut fresh = buffer::take(data.len());
            let (head, rest) = data.split_at(data.len().min(fresh.capacity()));
            fresh.extend_from_slice(head);
            data = rest;
            self.queue.push_back(Chunk { block: Block::Pooled(fresh), start: 0 });
        }
    }

    /// Appends a shared block.
    pub fn share(&mut self, block: Bytes) {
        if block.is_empty() {
            return;
        }
        self.bytes += block.len();
        self.queue.push_back(Chunk { block: Block::Shared(block), start: 0 });
    }

    /// Appends all of `later`, which is left empty.
    pub fn append(&mut self, later: &mut Self) {
        self.bytes += std::mem::take(&mut later.bytes);
        self.queue.append(&mut later.queue);
    }

    /// Moves the first buffers, as many as one write takes, into a queue of their own.
    pub fn take_batch(&mut self) -> Self {
        if self.queue.len() <= WRITE_SLICES_MAX {
            return std::mem::take(self);
        }
        let later = self.queue.split_off(WRITE_SLICES_MAX);
        let queue = std::mem::replace(&mut self.queue, later);
        let bytes = queue.iter().map(|chunk| chunk.rest().len()).sum();
        self.bytes -= bytes;
        Self { queue, bytes }
    }

    /// The first buffers, as one vectored write wants them.
    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        self.queue.iter().take(WRITE_SLICES_MAX).map(|chunk| IoSlice::new(chunk.rest())).collect()
    }

    /// Drops the first `written` bytes.
    pub fn advance(&mut self, mut written: usize) {
        self.bytes -= written.min(self.bytes);
        while let Some(first) = self.queue.front_mut() {
            let rest = first.rest().len();
            if written < rest {
                first.start += written;
                return;
            }
            written -= rest;
            if let Some(done) = self.queue.pop_front() {
                done.release();
            }
        }
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        self.queue.drain(..).for_each(Chunk::release);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &Chunks) -> Vec<u8> {
        chunks.slices().iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn small_data_fills_the_last_buffer() {
        let mut chunks = Chunks::default();
        (0..100).for_each(|_| chunks.copy(b"12345"));
        assert_eq!((chunks.count(), chunks.bytes()), (1, 500));
        chunks.copy(&[7; 5000]);
        assert_eq!((chunks.count(), chunks.bytes()), (2, 5500));
    }

    #[test]
    fn batch_is_bounded_by_one_write() {
        let mut chunks = Chunks::default();
        (0..WRITE_SLICES_MAX + 5).for_each(|_| chunks.share(Bytes::from_static(b"abc")));
        let batch = chunks.take_batch();
        assert_eq!((batch.count(), batch.bytes()), (WRITE_SLICES_MAX, 3 * WRITE_SLICES_MAX));
        assert_eq!((chunks.count(), chunks.bytes()), (5, 15));
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_however_they_are_cut(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..900), any::<bool>()), 0..40),
            cuts in prop::collection::vec(0_usize..2000, 0..60),
        ) {
            let mut chunks = Chunks::default();
            let mut want = Vec::new();
            for (piece, shared) in &pieces {
                want.extend_from_slice(piece);
                if *shared { chunks.share(Bytes::copy_from_slice(piece)) } else { chunks.copy(piece) }
            }
            let mut got = Vec::new();
            for cut in cuts {
                let cut = cut.min(chunks.bytes());
                got.extend_from_slice(&all(&chunks)[..cut]);
                chunks.advance(cut);
            }
            got.extend_from_slice(&all(&chunks));
            prop_assert_eq!(got.len(), want.len());
            prop_assert!(got == want);
        }
    }
}
