//! A hash table of subscriptions by subject, eight bytes an entry.
//!
//! Up to [`FLAT_MAX`] subscriptions of one subject stand beside each other in the flat table; more of
//! them move together into a [`Bucket`]. A subject is in one of the two, never in both. The owner
//! hashes: whole literals, or the literal tokens of wildcards of one mask.

use hashbrown::HashTable;

use super::packed::Packed;
use super::subscription::Subscription;

/// Subscriptions of one subject that may stand in the flat table.
const FLAT_MAX: usize = 4;

/// Entries of one table from which on it is split.
const SPLIT_ENTRIES: usize = 8192;

/// Tables that it is split into; a power of two.
pub(super) const SHARDS: usize = 64;

/// A table with fewer slots is never made smaller.
const SHRINK_SLOTS_MIN: usize = 256;

/// How many subscriptions of one subject and queue (or of no queue) there are after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub any: usize,
    /// Those of this server's own.
    pub local: usize,
}

impl Tally {
    fn of(set: &Packed) -> Self {
        Self { any: set.len(), local: set.local() }
    }

    fn count(&mut self, sub: &Subscription) {
        self.any += 1;
        self.local += usize::from(!sub.is_remote());
    }
}

/// Takes what a look-up finds.
pub(super) trait Sink {
    /// One subscription.
    fn one(&mut self, sub: &Subscription);

    /// All of a bucket.
    fn bucket(&mut self, bucket: &Bucket);

    /// Whether nothing more is wanted.
    fn done(&self) -> bool {
        false
    }
}

/// All subscriptions of one subject: plain ones, and one set per queue.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    plain: Packed,
    /// None of them is empty: a group's name is that of its first member.
    groups: Vec<Packed>,
}

impl Bucket {
    pub(super) fn plain(&self) -> &Packed {
        &self.plain
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (&[u8], &Packed)> {
        self.groups.iter().map(|set| (queue_of(set).unwrap_or_default(), set))
    }

    pub(super) fn has_detours(&self) -> bool {
        self.plain.has_detours() || self.groups.iter().any(Packed::has_detours)
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.groups.iter().map(Packed::len).sum::<usize>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.groups.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.plain.iter().chain(self.groups.iter().flat_map(Packed::iter))
    }

    pub(super) fn insert(&mut self, sub: Subscription) -> Tally {
        let Some(queue) = sub.queue() else {
            self.plain.push(sub);
            return Tally::of(&self.plain);
        };
        let set = match self.groups.iter().position(|set| queue_of(set) == Some(queue)) {
            Some(index) => self.groups.get_mut(index),
            None => {
                self.groups.push(Packed::default());
                self.groups.last_mut()
            }
        };
        let Some(set) = set else { return Tally::default() };
        set.push(sub);
        Tally::of(set)
    }

    pub(super) fn remove(&mut self, sub: &Subscription) -> Option<Tally> {
        let Some(queue) = sub.queue() else {
            return self.plain.remove(sub).then(|| Tally::of(&self.plain));
        };
        let index = self.groups.iter().position(|set| queue_of(set) == Some(queue))?;
        let set = self.groups.get_mut(index)?;
        if !set.remove(sub) {
            return None;
        }
        let tally = Tally::of(set);
        if set.is_empty() {
            self.groups.swap_remove(index);
        }
        Some(tally)
    }

    fn drain(mut self) -> Vec<Subscription> {
        let mut subs: Vec<_> = self.plain.drain().collect();
        self.groups.iter_mut().for_each(|set| subs.extend(set.drain()));
        subs
    }
}

fn queue_of(set: &Packed) -> Option<&[u8]> {
    set.iter().next().and_then(Subscription::queue)
}

#[derive(Debug)]
struct Crowd {
    subject: Box<[u8]>,
    bucket: Bucket,
}

/// Subscriptions by subject, up to some thousand.
#[derive(Debug, Default)]
struct Table {
    flat: HashTable<Subscription>,
    /// Entries of the flat table that share their subject with an earlier one: while there are none, a
    /// look-up ends with the first it finds.
    repeated: usize,
    crowds: HashTable<Box<Crowd>>,
}

impl Table {
    fn is_empty(&self) -> bool {
        self.flat.is_empty() && self.crowds.is_empty()
    }

    /// Entries, where a crowd counts as one.
    fn entries(&self) -> usize {
        self.flat.len() + self.crowds.len()
    }

    fn for_each(&self, visit: &mut dyn FnMut(&Subscription)) {
        self.flat.iter().for_each(&mut *visit);
        self.crowds.iter().for_each(|crowd| crowd.bucket.iter().for_each(&mut *visit));
    }

    /// Gives `sink` what stands under `hash` with a subject that `wanted` accepts.
    fn collect(&self, hash: u64, wanted: impl Fn(&[u8]) -> bool, sink: &mut impl Sink) {
        if let Some(sub) = self.flat.find(hash, |sub| wanted(sub.subject())) {
            if self.repeated == 0 {
                return sink.one(sub);
            }
            return self
                .flat
                .iter_hash(hash)
                .filter(|sub| wanted(sub.subject()))
                .for_each(|sub| sink.one(sub));
        }
        if self.crowds.is_empty() {
            return;
        }
        if let Some(crowd) = self.crowds.find(hash, |crowd| wanted(&crowd.subject)) {
            sink.bucket(&crowd.bucket);
        }
    }

    /// Puts `sub` in; `rehash` gives the hash of any subject in here.
    fn insert(&mut self, hash: u64, sub: Subscription, rehash: impl Fn(&[u8]) -> u64) -> Tally {
        let equal = |other: &Subscription| other.subject() == sub.subject();
        let mut tally = Tally::default();
        let mut present = 0;
        for other in self.flat.iter_hash(hash).filter(|other| equal(other)) {
            present += 1;
            if other.queue() == sub.queue() {
                tally.count(other);
            }
        }
        if present == 0
            && let Some(crowd) = self.crowds.find_mut(hash, |crowd| *crowd.subject == *sub.subject())
        {
            return crowd.bucket.insert(sub);
        }
        if present < FLAT_MAX {
            tally.count(&sub);
            self.repeated += usize::from(present > 0);
            self.flat.insert_unique(hash, sub, |sub| rehash(sub.subject()));
            return tally;
        }
        let mut crowd = Box::new(Crowd { subject: sub.subject().into(), bucket: Bucket::default() });
        while let Ok(entry) = self.flat.find_entry(hash, equal) {
            crowd.bucket.insert(entry.remove().0);
        }
        self.repeated -= FLAT_MAX - 1;
        let tally = crowd.bucket.insert(sub);
        self.crowds.insert_unique(hash, crowd, |crowd| rehash(&crowd.subject));
        tally
    }

    /// Takes `sub` out; none where it isn't in.
    fn remove(&mut self, hash: u64, sub: &Subscription, rehash: impl Fn(&[u8]) -> u64) -> Option<Tally> {
        if let Ok(entry) = self.flat.find_entry(hash, |other| other.same(sub)) {
            entry.remove();
            let mut tally = Tally::default();
            let mut present = 0;
            for other in self.flat.iter_hash(hash).filter(|other| other.subject() == sub.subject()) {
                present += 1;
                if other.queue() == sub.queue() {
                    tally.count(other);
                }
            }
            self.repeated -= usize::from(present > 0);
            self.shrink(rehash);
            return Some(tally);
        }
        let mut entry = self.crowds.find_entry(hash, |crowd| *crowd.subject == *sub.subject()).ok()?;
        let tally = entry.get_mut().bucket.remove(sub)?;
        if entry.get().bucket.len() <= FLAT_MAX / 2 {
            let crowd = entry.remove().0;
            self.repeated += crowd.bucket.len().saturating_sub(1);
            for sub in crowd.bucket.drain() {
                self.flat.insert_unique(hash, sub, |sub| rehash(sub.subject()));
            }
            self.shrink(rehash);
        }
        Some(tally)
    }

    /// Gives memory back once a table is nearly empty.
    fn shrink(&mut self, rehash: impl Fn(&[u8]) -> u64) {
        let nearly_empty = |slots: usize, len: usize| slots >= SHRINK_SLOTS_MIN && len < slots / 8;
        if nearly_empty(self.flat.capacity(), self.flat.len()) {
            self.flat.shrink_to(self.flat.len() * 2, |sub| rehash(sub.subject()));
        }
        if nearly_empty(self.crowds.capacity(), self.crowds.len()) {
            self.crowds.shrink_to(self.crowds.len() * 2, |crowd| rehash(&crowd.subject));
        }
    }

    /// Moves every entry into `shards`, for a table that is split.
    fn split(&mut self, shards: &mut [Self], rehash: impl Fn(&[u8]) -> u64) {
        let count = shards.len();
        for sub in self.flat.drain() {
            let hash = rehash(sub.subject());
            if let Some(table) = shards.get_mut(shard(hash, count)) {
                table.repeated +=
                    usize::from(table.flat.find(hash, |other| other.subject() == sub.subject()).is_some());
                table.flat.insert_unique(hash, sub, |sub| rehash(sub.subject()));
            }
        }
        for crowd in self.crowds.drain() {
            let hash = rehash(&crowd.subject);
            if let Some(table) = shards.get_mut(shard(hash, count)) {
                table.crowds.insert_unique(hash, crowd, |crowd| rehash(&crowd.subject));
            }
        }
    }
}

/// One table, or [`SHARDS`] of them once there are many entries: no insert waits for a large table to
/// grow.
#[derive(Debug)]
pub(super) struct Tables(Vec<Table>);

impl Default for Tables {
    fn default() -> Self {
        Self(vec![Table::default()])
    }
}

impl Tables {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Table::is_empty)
    }

    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Subscription)) {
        self.0.iter().for_each(|table| table.for_each(&mut *visit));
    }

    pub(super) fn collect(&self, hash: u64, wanted: impl Fn(&[u8]) -> bool, sink: &mut impl Sink) {
        if let Some(table) = self.0.get(shard(hash, self.0.len())) {
            table.collect(hash, wanted, sink);
        }
    }

    pub(super) fn insert(&mut self, sub: Subscription, rehash: impl Fn(&[u8]) -> u64) -> Tally {
        if let [one] = self.0.as_mut_slice()
            && one.entries() >= SPLIT_ENTRIES
        {
            let mut shards: Vec<_> = (0..SHARDS).map(|_| Table::default()).collect();
            one.split(&mut shards, &rehash);
            self.0 = shards;
        }
        let hash = rehash(sub.subject());
        let index = shard(hash, self.0.len());
        self.0.get_mut(index).map_or_else(Tally::default, |table| table.insert(hash, sub, rehash))
    }

    pub(super) fn remove(&mut self, sub: &Subscription, rehash: impl Fn(&[u8]) -> u64) -> Option<Tally> {
        let hash = rehash(sub.subject());
        let index = shard(hash, self.0.len());
        self.0.get_mut(index)?.remove(hash, sub, rehash)
    }
}

/// The table that a hash belongs to: by bits that neither the table's slots nor its tags are made of.
fn shard(hash: u64, shards: usize) -> usize {
    (hash >> 40) as usize & (shards - 1)
}
