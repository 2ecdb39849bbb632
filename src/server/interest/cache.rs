//! Match results by subject: one bounded table a worker, valid by generation.
//!
//! Sets of four, each in one cache line with the tags of what it holds and of what was merely seen. A
//! subject comes in when it is seen again, and one time in eight at first sight; who goes is the first
//! that wasn't used since the last round. Results that say "nobody" are kept like any other.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::generation::Place;
use super::result::MatchResult;
use super::shared::{Counters, SharedInterest};
use crate::server::base::rng::Rng;

/// Sets of a table; a power of two. With four entries each, 4,096 subjects in rotation find 98 %.
const SETS: usize = 4096;

/// Entries of a set.
const WAYS: usize = 4;

/// Of so many subjects seen for the first time, one comes in.
const AT_FIRST_SIGHT: usize = 8;

/// Bit of a tag: used since the last round.
const USED: u32 = 1;

/// Hits of an entry that are told one by one; later ones in blocks of as many.
const TOLD_AT_ONCE: u32 = 64;

/// Bytes of a subject that an entry holds in itself, so that finding it touches one place less.
const SHORT_BYTES: usize = 38;

#[derive(Debug)]
enum Name {
    Short(u8, [u8; SHORT_BYTES]),
    Long(Box<[u8]>),
}

impl Name {
    fn new(subject: &[u8]) -> Self {
        let mut short = [0; SHORT_BYTES];
        match (short.get_mut(..subject.len()), u8::try_from(subject.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(subject);
                Self::Short(length, short)
            }
            _ => Self::Long(subject.into()),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, short) => short.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(long) => long,
        }
    }
}

#[derive(Debug)]
struct Entry {
    counters: Arc<Counters>,
    subject: Name,
    result: Arc<MatchResult>,
    /// None until it is filled.
    stamp: Option<u64>,
    place: Place,
    hits: u32,
    hits_untold: u32,
}

impl Entry {
    fn new(account: &SharedInterest, subject: &[u8], nobody: &Arc<MatchResult>) -> Self {
        account.counters().stored();
        Self {
            counters: Arc::clone(account.counters()),
            subject: Name::new(subject),
            result: Arc::clone(nobody),
            stamp: None,
            place: Place::of(subject),
            hits: 0,
            hits_untold: 0,
        }
    }

    /// Matches anew. `stamp` was taken before: a change meanwhile makes it stale at once.
    fn fill(&mut self, account: &SharedInterest, stamp: u64, nobody: &Arc<MatchResult>) {
        self.tell_hits();
        let old_fanout = self.result.fanout();
        match Arc::get_mut(&mut self.result) {
            Some(result) => account.match_into(self.subject.bytes(), result),
            None => self.result = account.matches(self.subject.bytes()),
        }
        self.counters.replaced(old_fanout, self.result.fanout());
        if self.result.is_empty() {
            self.result = Arc::clone(nobody);
        }
        self.stamp = Some(stamp);
    }

    #[inline]
    fn is(&self, counters: &Arc<Counters>, subject: &[u8]) -> bool {
        // The entry holds its account's counters, so no other account can come to the same address.
        Arc::ptr_eq(&self.counters, counters) && self.subject.bytes() == subject
    }

    #[inline]
    fn hit(&mut self) {
        if self.hits < TOLD_AT_ONCE {
            self.hits += 1;
            self.counters.hit(1);
            return;
        }
        self.hits_untold += 1;
        if self.hits_untold == TOLD_AT_ONCE {
            self.tell_hits();
        }
    }

    fn tell_hits(&mut self) {
        if self.hits_untold > 0 {
            self.counters.hit(u64::from(std::mem::take(&mut self.hits_untold)));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tell_hits();
        self.counters.dropped(self.result.fanout());
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    tags: [u32; WAYS],
    seen: [u32; WAYS],
    entries: [Option<Box<Entry>>; WAYS],
}

impl Set {
    #[inline]
    fn find(&self, tag: u32, counters: &Arc<Counters>, subject: &[u8]) -> Option<usize> {
        let mut ways = self.tags.iter().zip(&self.entries);
        ways.position(|(&there, entry)| {
            there | USED == tag && entry.as_ref().is_some_and(|entry| entry.is(counters, subject))
        })
    }

    fn put(&mut self, way: usize, tag: u32, entry: Entry) {
        if let (Some(slot), Some(there)) = (self.entries.get_mut(way), self.tags.get_mut(way)) {
            *slot = Some(Box::new(entry));
            *there = tag;
        }
    }

    /// The entry, marked as used.
    #[inline]
    fn touch(&mut self, way: usize, tag: u32) -> Option<&mut Entry> {
        *self.tags.get_mut(way)? = tag;
        self.entries.get_mut(way)?.as_deref_mut()
    }

    fn result(&self, way: usize) -> Option<&Arc<MatchResult>> {
        Some(&self.entries.get(way)?.as_ref()?.result)
    }

    /// Whether this tag was seen lately; it is from now on.
    fn see(&mut self, tag: u32, rng: &mut Rng) -> bool {
        let mut seen = self.seen.iter_mut();
        if let Some(there) = seen.find(|there| **there == tag) {
            *there = 0;
            return true;
        }
        if let Some(slot) = self.seen.get_mut(rng.below(WAYS)) {
            *slot = tag;
        }
        false
    }

    /// The way to use for a newcomer: an empty one, or the first that wasn't used.
    fn victim(&mut self, rng: &mut Rng) -> usize {
        if let Some(empty) = self.entries.iter().position(Option::is_none) {
            return empty;
        }
        let start = rng.below(WAYS);
        for way in (start..WAYS).chain(0..start) {
            if let Some(tag) = self.tags.get_mut(way) {
                if *tag & USED == 0 {
                    return way;
                }
                *tag &= !USED;
            }
        }
        start
    }
}

/// A worker's match results. Not shared: each worker owns one, for all accounts.
#[derive(Debug)]
pub struct MatchCache {
    hasher: RandomState,
    sets: Box<[Set]>,
    rng: Rng,
    /// Set and way of the last result: publishers stay with a subject for a while.
    last: (usize, usize),
    /// The last result that wasn't admitted.
    passing: Arc<MatchResult>,
    /// The result that nobody wants a message, for all subjects.
    nobody: Arc<MatchResult>,
}

impl Default for MatchCache {
    fn default() -> Self {
        Self::new()
    }
}

impl MatchCache {
    /// An empty table: 256 KiB, and at most 16,384 results.
    pub fn new() -> Self {
        Self {
            hasher: RandomState::default(),
            sets: (0..SETS).map(|_| Set::default()).collect(),
            rng: Rng::from_entropy(),
            last: (0, 0),
            passing: Arc::default(),
            nobody: Arc::default(),
        }
    }

    /// Who wants a message on `subject` in `account`. A look-up that begins after an insertion
    /// returned sees it.
    pub fn lookup(&mut self, account: &SharedInterest, subject: &[u8]) -> &Arc<MatchResult> {
        if !account.is_cached() {
            return self.pass(account, subject);
        }
        let counters = account.counters();
        if let Some(way) = self.again(account, subject) {
            return self.sets.get(self.last.0).and_then(|set| set.result(way)).unwrap_or(&self.nobody);
        }
        let mut hasher = self.hasher.build_hasher();
        hasher.write_usize(Arc::as_ptr(counters).addr());
        hasher.write(subject);
        let hash = hasher.finish();
        let tag = (hash >> 32) as u32 | USED;
        let index = hash as usize & (SETS - 1);
        let Some(set) = self.sets.get_mut(index) else { return self.pass(account, subject) };
        let way = match set.find(tag, counters, subject) {
            Some(way) => way,
            None if set.see(tag, &mut self.rng) || self.rng.below(AT_FIRST_SIGHT) == 0 => {
                let way = set.victim(&mut self.rng);
                set.put(way, tag, Entry::new(account, subject, &self.nobody));
                way
            }
            None => return self.pass(account, subject),
        };
        let Some(entry) = set.touch(way, tag) else { return self.pass(account, subject) };
        let stamp = account.stamp_at(entry.place);
        if entry.stamp == Some(stamp) {
            entry.hit();
        } else {
            entry.fill(account, stamp, &self.nobody);
        }
        self.last = (index, way);
        // Borrowed anew: the compiler doesn't see that the early returns let go of the set.
        self.sets.get(index).and_then(|set| set.result(way)).unwrap_or(&self.nobody)
    }

    /// The way of the last result, if it is this subject's and still valid.
    #[inline]
    fn again(&mut self, account: &SharedInterest, subject: &[u8]) -> Option<usize> {
        let (index, way) = self.last;
        let entry = self.sets.get_mut(index)?.entries.get_mut(way)?.as_deref_mut()?;
        if !entry.is(account.counters(), subject) || entry.stamp != Some(account.stamp_at(entry.place)) {
            return None;
        }
        entry.hit();
        Some(way)
    }

    /// Tells the accounts all hits that were kept for a block, for exact figures.
    pub fn tell_hits(&mut self) {
        let entries = self.sets.iter_mut().flat_map(|set| set.entries.iter_mut().flatten());
        entries.for_each(|entry| entry.tell_hits());
    }

    /// Matches without keeping the result.
    fn pass(&mut self, account: &SharedInterest, subject: &[u8]) -> &Arc<MatchResult> {
        match Arc::get_mut(&mut self.passing) {
            Some(result) => account.match_into(subject, result),
            None => self.passing = account.matches(subject),
        }
        &self.passing
    }
}

#[cfg(test)]
#[path = "cache_test.rs"]
mod tests;
