//! Bytes of an operation that has not arrived whole.
//!
//! Small rests are copied into the worker's scratch in front of the next read. Once an operation is
//! known to be large it is read straight into a buffer of its final size, so that its bytes are not
//! copied again with each read.

use super::worker::SCRATCH_BYTES;

/// Operations of at least this many bytes are gathered in a buffer of their own.
const GATHER_BYTES_MIN: usize = SCRATCH_BYTES / 4;

/// What is left over between two reads of a connection.
#[derive(Debug, Default)]
pub(super) struct Input {
    rest: Vec<u8>,
    /// Bytes that the operation at the front of `rest` needs at least.
    need: usize,
}

impl Input {
    /// The bytes that were left.
    pub(super) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Keeps `rest`, of which at least `need` bytes are needed for the next step.
    pub(super) fn keep(&mut self, rest: &[u8], need: usize) {
        self.need = need;
        if rest.is_empty() {
            self.rest = Vec::new();
            return;
        }
        let capacity = if need >= GATHER_BYTES_MIN { need.max(rest.len()) } else { rest.len() };
        let mut kept = Vec::with_capacity(capacity);
        kept.extend_from_slice(rest);
        self.rest = kept;
    }

    /// Whether whole operations may be held: the session stopped early, to go on after a pause.
    pub(super) fn is_held(&self) -> bool {
        self.need == 0 && !self.rest.is_empty()
    }

    /// Whether the next read goes into the buffer of a large operation, and how much it takes. A single
    /// byte says that nobody knows how many there are: a long line, which is read like any bytes.
    pub(super) fn gathers(&self) -> Option<usize> {
        let missing = self.need.saturating_sub(self.rest.len());
        (self.need >= GATHER_BYTES_MIN && missing > 1).then_some(missing)
    }

    /// Reads at most what [`Self::gathers`] said; returns what `read` returned.
    pub(super) fn gather<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let held = self.rest.len();
        // Only the piece about to be read is zeroed, not the whole operation each time.
        let piece = self.need.saturating_sub(held).min(SCRATCH_BYTES);
        self.rest.resize(held + piece, 0);
        let result = read(self.rest.get_mut(held..).unwrap_or_default());
        self.rest.truncate(held + result.as_ref().map_or(0, |&count| count));
        result
    }

    /// Takes the gathered bytes out.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.need = 0;
        std::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rests_are_not_gathered() {
        let mut input = Input::default();
        input.keep(b"PUB a 10\r\nabc", 22);
        assert_eq!((input.gathers(), input.rest()), (None, &b"PUB a 10\r\nabc"[..]));
    }

    #[test]
    fn long_lines_are_not_gathered_byte_by_byte() {
        let mut input = Input::default();
        input.keep(&[1; GATHER_BYTES_MIN], GATHER_BYTES_MIN + 1);
        assert_eq!(input.gathers(), None);
    }

    #[test]
    fn large_operation_is_read_into_its_final_buffer() {
        let mut input = Input::default();
        let need = GATHER_BYTES_MIN + 10;
        input.keep(&[1; 10], need);
        let mut reads = 0;
        while let Some(missing) = input.gathers() {
            let read = input.gather(|buffer| {
                let count = buffer.len().min(1000).min(missing);
                buffer[..count].fill(2);
                Ok::<_, ()>(count)
            });
            assert!(read.is_ok_and(|count| count > 0));
            reads += 1;
        }
        let whole = input.take();
        assert_eq!((whole.len(), whole.capacity(), reads), (need, need, GATHER_BYTES_MIN.div_ceil(1000)));
        assert!(whole[..10].iter().all(|&byte| byte == 1) && whole[10..].iter().all(|&byte| byte == 2));
    }

    /// A buffer is as large as what it holds, up to one operation, and goes with it.
    #[test]
    fn nothing_is_allocated_once_all_is_handled() {
        let mut input = Input::default();
        assert_eq!(input.rest.capacity(), 0);
        for rest in [vec![1; 10], vec![1; SCRATCH_BYTES]] {
            input.keep(&rest, rest.len() + 1);
            assert!((rest.len()..=rest.len() + 1).contains(&input.rest.capacity()));
            input.keep(&[], 0);
            assert_eq!(input.rest.capacity(), 0);
            input.keep(&rest, rest.len() + 1);
            assert_eq!(input.take(), rest);
            assert_eq!(input.rest.capacity(), 0);
        }
    }

    #[test]
    fn failed_read_leaves_what_was_there() {
        let mut input = Input::default();
        input.keep(&[1; 10], GATHER_BYTES_MIN);
        assert_eq!(input.gather(|_| Err::<usize, _>("reset")), Err("reset"));
        assert_eq!(input.rest(), [1; 10]);
    }
}
