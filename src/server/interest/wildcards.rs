//! Wildcard subscriptions: a table by mask, one probe each; a trie for what has too many masks.

use foldhash::fast::SeedableRandomState;

use super::hash_bytes;
use super::pattern::{MASK_TOKENS_MAX, Mask, Pattern};
use super::subscription::Subscription;
use super::table::{Sink, Tables, Tally};
use super::trie::Trie;
use crate::server::protocol::subject::{matches, tokens};

/// Distinct masks that have a table. Measured with 120 of them: probing each 0.9 us, the half in a trie
/// 2.7 us; a client can make more, so there is an end.
const MASKS_MAX: usize = 128;

/// An odd number with bits all over.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hashes of a subject's or pattern's first tokens, each turned by its position, and their sums: a
/// mask's hash is the sum of its tokens without those that stand at a `*`, whatever they are.
struct TokenHashes {
    each: [u64; MASK_TOKENS_MAX],
    /// Of the first i tokens.
    sums: [u64; MASK_TOKENS_MAX + 1],
    count: usize,
}

impl TokenHashes {
    /// None where a token is empty.
    fn of(subject: &[u8], hasher: &SeedableRandomState) -> Option<Self> {
        let mut hashes = Self { each: [0; MASK_TOKENS_MAX], sums: [0; MASK_TOKENS_MAX + 1], count: 0 };
        let mut sum = 0_u64;
        for token in tokens(subject) {
            if token.is_empty() {
                return None;
            }
            if let Some(slot) = hashes.each.get_mut(hashes.count) {
                *slot = hash_bytes(hasher, token).rotate_left(hashes.count as u32 * 7);
                sum = sum.wrapping_add(*slot);
                if let Some(total) = hashes.sums.get_mut(hashes.count + 1) {
                    *total = sum;
                }
            }
            hashes.count += 1;
        }
        Some(hashes)
    }

    /// The hash under `mask`, which has no more tokens than there are here.
    fn masked(&self, mask: Mask) -> u64 {
        let mut sum = self.sums.get(mask.tokens).copied().unwrap_or_default();
        let mut stars = mask.stars;
        while stars != 0 {
            let position = stars.trailing_zeros() as usize;
            sum = sum.wrapping_sub(self.each.get(position).copied().unwrap_or_default());
            stars &= stars - 1;
        }
        let product = u128::from(sum ^ SPREAD) * u128::from(SPREAD);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[derive(Debug)]
struct Masked {
    mask: Mask,
    tables: Tables,
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
        self.masks.iter().for_each(|masked| masked.tables.for_each(&mut *visit));
        self.trie.for_each(visit);
    }

    /// Gives `sink` what matches `subject`; nothing does where a token is empty.
    pub(super) fn collect(&self, subject: &[u8], hasher: &SeedableRandomState, sink: &mut impl Sink) {
        let Some(hashes) = TokenHashes::of(subject, hasher) else { return };
        for masked in self.masks.iter().filter(|masked| masked.mask.admits(hashes.count)) {
            let hash = hashes.masked(masked.mask);
            masked.tables.collect(hash, |pattern| matches(subject, pattern), sink);
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
                self.masks.push(Masked { mask, tables: Tables::default() });
                self.masks.len() - 1
            }
        };
        let Some(masked) = self.masks.get_mut(index) else { return Tally::default() };
        let rehash = |pattern: &[u8]| hash_pattern(mask, pattern, hasher);
        masked.tables.insert(sub, rehash)
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
            let removed = masked.tables.remove(sub, rehash);
            if masked.tables.is_empty() {
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
    TokenHashes::of(pattern, hasher).map_or(0, |hashes| hashes.masked(mask))
}
