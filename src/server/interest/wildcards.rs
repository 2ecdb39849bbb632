//! Wildcard subscriptions: a table by mask, one probe each; a trie for what has too many masks.

use std::hash::BuildHasher;

use foldhash::fast::SeedableRandomState;

use super::pattern::{MASK_TOKENS_MAX, Mask, Pattern, covers, is_wildcard, tokens};
use super::subscription::Subscription;
use super::table::{Sink, Table, Tally};
use super::trie::Trie;

/// Distinct masks that have a table; measured: probing 64 costs about what the trie does.
const MASKS_MAX: usize = 64;

/// Mixed with a token's hash; odd, with bits all over.
const FOLD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug)]
struct Masked {
    mask: Mask,
    table: Table,
}

/// Wildcard subscriptions by pattern.
#[derive(Debug, Default)]
pub(super) struct Wildcards {
    masks: Vec<Masked>,
    trie: Trie,
}

impl Wildcards {
    pub(super) fn is_empty(&self) -> bool {
        self.masks.is_empty() && self.trie.is_empty()
    }

    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Subscription)) {
        self.masks.iter().for_each(|masked| masked.table.for_each(&mut *visit));
        self.trie.for_each(visit);
    }

    /// Gives `sink` what matches `subject`; nothing does where a token is empty.
    pub(super) fn collect(&self, subject: &[u8], hasher: &SeedableRandomState, sink: &mut impl Sink) {
        let mut hashes = [0; MASK_TOKENS_MAX];
        let mut slots = hashes.iter_mut();
        let mut count = 0;
        for token in tokens(subject) {
            if token.is_empty() {
                return;
            }
            count += 1;
            if let Some(slot) = slots.next() {
                *slot = hasher.hash_one(token);
            }
        }
        for masked in self.masks.iter().filter(|masked| masked.mask.admits(count)) {
            let hash = fold(masked.mask, hashes.iter().copied());
            masked.table.collect(hash, |pattern| covers(pattern, subject), sink);
            if sink.done() {
                return;
            }
        }
        if !self.trie.is_empty() {
            self.trie.collect(subject, hasher, sink);
        }
    }

    pub(super) fn insert(
        &mut self,
        pattern: Pattern,
        sub: Subscription,
        hasher: &SeedableRandomState,
    ) -> Tally {
        let Pattern::Masked(mask) = pattern else { return self.trie.insert(sub, hasher) };
        let index = match self.masks.iter().position(|masked| masked.mask == mask) {
            Some(index) => index,
            None if self.masks.len() == MASKS_MAX => return self.trie.insert(sub, hasher),
            None => {
                self.masks.push(Masked { mask, table: Table::default() });
                self.masks.len() - 1
            }
        };
        let Some(masked) = self.masks.get_mut(index) else { return Tally::default() };
        let rehash = |pattern: &[u8]| hash_pattern(mask, pattern, hasher);
        masked.table.insert(rehash(sub.subject()), sub, rehash)
    }

    pub(super) fn remove(
        &mut self,
        pattern: Pattern,
        sub: &Subscription,
        hasher: &SeedableRandomState,
    ) -> Option<Tally> {
        if let Pattern::Masked(mask) = pattern
            && let Some(index) = self.masks.iter().position(|masked| masked.mask == mask)
            && let Some(masked) = self.masks.get_mut(index)
        {
            let rehash = |pattern: &[u8]| hash_pattern(mask, pattern, hasher);
            let removed = masked.table.remove(rehash(sub.subject()), sub, rehash);
            if masked.table.is_empty() {
                self.masks.remove(index);
            }
            if removed.is_some() {
                return removed;
            }
        }
        // A pattern inserted while there were too many masks stays in the trie when some are gone.
        self.trie.remove(sub, hasher)
    }
}

/// The hash of a pattern in the table of its mask.
fn hash_pattern(mask: Mask, pattern: &[u8], hasher: &SeedableRandomState) -> u64 {
    let hashes = tokens(pattern).map(|token| if is_wildcard(token) { 0 } else { hasher.hash_one(token) });
    fold(mask, hashes)
}

/// Joins the hashes of the literal tokens; what stands at a wildcard doesn't count.
fn fold(mask: Mask, hashes: impl Iterator<Item = u64>) -> u64 {
    let mut joined = FOLD;
    for (position, hash) in hashes.take(mask.tokens).enumerate() {
        if mask.stars & (1 << position) == 0 {
            let product = u128::from(joined ^ hash) * u128::from(FOLD);
            joined = (product as u64) ^ ((product >> 64) as u64);
        }
    }
    joined
}
