//! A worker's staging: what one read batch has for each destination.
//!
//! One lock of a destination per batch, not per message: deliveries are collected here and sent when
//! the batch ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::block::Addressed;
use super::flush::Flushed;
use super::queue::Outbound;
use super::staged::Staged;

/// Bytes staged for all destinations before they are sent in the middle of a batch. A bound on
/// memory, set so high that only very wide fan-outs meet it: sending early means many small writes.
pub(super) const STAGED_BYTES_MAX: usize = 64 << 20;

/// Capacity that an idle worker keeps for one destination, and for all of them.
const KEPT_BYTES_MAX: usize = 256 << 10;
const KEPT_BYTES_TOTAL_MAX: usize = 8 << 20;

#[derive(Debug)]
struct Slot {
    target: Arc<Outbound>,
    staged: Staged,
}

/// A receiver that is behind.
#[derive(Debug, Clone)]
pub struct Behind {
    /// Whose queue it is.
    pub receiver: Arc<Outbound>,
    /// Messages that this batch added to what waits for it.
    pub messages: u64,
}

/// What is to be done for destinations that did not take everything.
pub struct Aftermath<'a> {
    /// Gets each destination whose socket is full: it needs a write task.
    pub blocked: &'a mut dyn FnMut(&Arc<Outbound>),
    /// Those for which so much waits that their producer should pause.
    pub stalling: &'a mut Vec<Behind>,
}

impl Aftermath<'_> {
    fn sent(&mut self, target: &Arc<Outbound>, messages: u64, flushed: Flushed) {
        if flushed == Flushed::Blocked {
            (self.blocked)(target);
        }
        if target.is_stalling() {
            self.stalling.push(Behind { receiver: Arc::clone(target), messages });
        }
    }
}

/// Staged messages by destination.
#[derive(Debug, Default)]
pub struct Stage {
    slots: Vec<Slot>,
    /// Slots by the destination's address, for destinations whose hint is stale.
    index: HashMap<usize, usize, foldhash::fast::RandomState>,
    /// Emptied staging buffers, kept for the next batch.
    spare: Vec<Staged>,
    spare_bytes: usize,
    /// About how many bytes are staged in all.
    staged_bytes: usize,
}

impl Stage {
    /// Where to write what goes to `target`.
    #[inline]
    pub fn slot(&mut self, target: &Arc<Outbound>) -> &mut Staged {
        let at = self.at_hint(target).unwrap_or_else(|| self.find_or_open(target));
        #[expect(clippy::indexing_slicing, reason = "either found just now or opened just now")]
        &mut self.slots[at].staged
    }

    /// Stages what a block has for `target`.
    pub fn copy(&mut self, target: &Arc<Outbound>, block: &Addressed<'_>) {
        self.slot(target).copy(block);
        self.add(block.bytes.len());
    }

    /// Sends what a block has for `target` straight from the block, behind what is staged for it.
    pub fn send(&mut self, target: &Arc<Outbound>, block: &Addressed<'_>, aftermath: &mut Aftermath<'_>) {
        if self.holds(target) {
            self.copy(target, block);
            return;
        }
        let flushed = target.send(block);
        aftermath.sent(target, block.messages, flushed);
    }

    /// Whether something is staged for `target`.
    fn holds(&self, target: &Arc<Outbound>) -> bool {
        self.find(target).is_some()
    }

    fn find(&self, target: &Arc<Outbound>) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let listed = || self.index.get(&Arc::as_ptr(target).addr()).copied();
        self.at_hint(target).or_else(listed)
    }

    #[inline]
    fn at_hint(&self, target: &Arc<Outbound>) -> Option<usize> {
        let hint = target.slot_hint.load(Ordering::Relaxed) as usize;
        self.slots.get(hint).is_some_and(|slot| Arc::ptr_eq(&slot.target, target)).then_some(hint)
    }

    /// Notes that about `bytes` have been staged.
    #[inline]
    pub fn add(&mut self, bytes: usize) {
        self.staged_bytes += bytes;
    }

    /// Whether it is time to send before the batch ends, see `STAGED_BYTES_MAX`.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.staged_bytes > STAGED_BYTES_MAX
    }

    /// Sends everything, what goes to `last` behind all else: who reads that its messages were taken may
    /// rely on their being on their way.
    pub fn flush(&mut self, last: Option<&Arc<Outbound>>, aftermath: &mut Aftermath<'_>) {
        if let Some(at) = last.and_then(|last| self.find(last)) {
            let end = self.slots.len() - 1;
            self.slots.swap(at, end);
        }
        self.index.clear();
        self.staged_bytes = 0;
        for Slot { target, mut staged } in self.slots.drain(..) {
            let (messages, _) = staged.counts();
            let flushed = target.flush(&mut staged);
            aftermath.sent(&target, messages, flushed);
            let capacity = staged.capacity();
            if capacity <= KEPT_BYTES_MAX && self.spare_bytes + capacity <= KEPT_BYTES_TOTAL_MAX {
                self.spare_bytes += capacity;
                self.spare.push(staged);
            }
        }
    }

    fn find_or_open(&mut self, target: &Arc<Outbound>) -> usize {
        let address = Arc::as_ptr(target).addr();
        let at = *self.index.entry(address).or_insert_with(|| {
            let staged = self.spare.pop().unwrap_or_default();
            self.spare_bytes -= staged.capacity().min(self.spare_bytes);
            self.slots.push(Slot { target: Arc::clone(target), staged });
            self.slots.len() - 1
        });
        target.slot_hint.store(u32::try_from(at).unwrap_or(u32::MAX), Ordering::Relaxed);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_destination_has_one_slot_a_batch() {
        let (mut stage, one, two) =
            (Stage::default(), Arc::new(Outbound::detached(1)), Arc::new(Outbound::detached(2)));
        for target in [&one, &two, &one, &two] {
            stage.slot(target).own().push(b'x');
        }
        assert_eq!((stage.slot(&one).len(), stage.slot(&two).len(), stage.slots.len()), (2, 2, 2));
    }

    #[test]
    fn block_goes_behind_what_is_staged_and_else_straight_out() {
        let (mut stage, one, two) =
            (Stage::default(), Arc::new(Outbound::detached(1)), Arc::new(Outbound::detached(2)));
        stage.slot(&one).own().extend_from_slice(b"+OK");
        let block = Addressed { bytes: b"MSG", messages: 1, payload_bytes: 0 };
        for target in [&one, &two] {
            stage.send(target, &block, &mut Aftermath { blocked: &mut |_| (), stalling: &mut Vec::new() });
        }
        assert_eq!(stage.slot(&one).own(), b"+OKMSG");
        assert_eq!((stage.slots.len(), two.stats().messages), (1, 1));
    }

    #[test]
    fn stale_hint_of_another_batch_is_not_believed() {
        let (mut stage, one, two) =
            (Stage::default(), Arc::new(Outbound::detached(1)), Arc::new(Outbound::detached(2)));
        stage.slot(&one).own().push(b'1');
        stage.slot(&two).own().push(b'2');
        stage.flush(None, &mut Aftermath { blocked: &mut |_| (), stalling: &mut Vec::new() });
        stage.slot(&two).own().push(b'2');
        assert_eq!(stage.slot(&one).len(), 0);
        assert_eq!(stage.slot(&two).len(), 1);
    }
}
