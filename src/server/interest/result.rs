//! What a match gives: plain subscriptions, and queue groups of which one member gets the message.

use std::sync::Arc;

use super::packed::{Chunk, Packed};
use super::subscription::Subscription;
use super::table::{Bucket, Sink};
use crate::server::base::rng::Rng;

/// From this many subscriptions on, a result shares the chunks of a set; below it copies them.
const SHARE_MIN: usize = 32;

/// Subscriptions of a result. A remote one of weight n may stand in it n times.
#[derive(Debug, Clone, Default)]
pub struct Members {
    own: Vec<Subscription>,
    shared: Vec<Chunk>,
    shared_len: usize,
}

impl Members {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.own.len() + self.shared_len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The subscriptions, in the order of [`Self::get`].
    pub fn iter(&self) -> std::iter::Flatten<Slices<'_>> {
        self.slices().flatten()
    }

    /// The same in contiguous pieces.
    pub fn slices(&self) -> Slices<'_> {
        Slices { own: Some(&self.own), shared: self.shared.iter() }
    }

    /// The subscription at `index`, below [`Self::len`].
    pub fn get(&self, index: usize) -> Option<&Subscription> {
        let Some(mut left) = index.checked_sub(self.own.len()) else { return self.own.get(index) };
        for chunk in &self.shared {
            match left.checked_sub(chunk.len()) {
                None => return chunk.get(left),
                Some(rest) => left = rest,
            }
        }
        None
    }

    /// Whether both hold the same subscriptions in the same order. May say no where it would take
    /// long to see.
    #[inline]
    pub fn same(&self, other: &Self) -> bool {
        self.own.len() == other.own.len()
            && self.shared.len() == other.shared.len()
            && self.own.iter().zip(&other.own).all(|(one, other)| one.same(other))
            && self.shared.iter().zip(&other.shared).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn push(&mut self, sub: &Subscription) {
        self.own.push(sub.clone());
    }

    fn push_weighted(&mut self, sub: &Subscription) {
        (0..sub.weight()).for_each(|_| self.push(sub));
    }

    fn extend(&mut self, set: &Packed) {
        if set.len() < SHARE_MIN {
            self.own.extend(set.iter().cloned());
            return;
        }
        self.shared.extend(set.chunks().iter().cloned());
        self.shared_len += set.len();
    }

    fn extend_weighted(&mut self, set: &Packed) {
        if set.local() == set.len() {
            return self.extend(set);
        }
        set.iter().for_each(|sub| self.push_weighted(sub));
    }

    fn clear(&mut self) {
        self.own.clear();
        self.shared.clear();
        self.shared_len = 0;
    }
}

impl<'a> IntoIterator for &'a Members {
    type Item = &'a Subscription;
    type IntoIter = std::iter::Flatten<Slices<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.slices().flatten()
    }
}

/// The contiguous pieces of [`Members`].
#[derive(Debug, Clone)]
pub struct Slices<'a> {
    own: Option<&'a [Subscription]>,
    shared: std::slice::Iter<'a, Chunk>,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [Subscription];

    fn next(&mut self) -> Option<Self::Item> {
        self.own.take().or_else(|| self.shared.next().map(|chunk| chunk.as_slice()))
    }
}

/// The members of one queue group that a subject matches, over all its patterns.
#[derive(Debug, Clone, Default)]
pub struct QueueGroup {
    /// The queue's name.
    pub name: Box<[u8]>,
    /// Its members; one of them gets the message.
    pub members: Members,
}

impl QueueGroup {
    /// The members, from one that chance draws on: the first that can take the message gets it.
    #[inline]
    pub fn drawn<'a>(&'a self, rng: &mut Rng) -> impl Iterator<Item = &'a Subscription> + use<'a> {
        let count = self.members.len();
        let start = if count > 1 { rng.below(count) } else { 0 };
        (start..count).chain(0..start).filter_map(|at| self.members.get(at))
    }
}

/// Who wants a message.
#[derive(Debug, Clone, Default)]
pub struct MatchResult {
    /// Each of them gets the message.
    pub plain: Members,
    /// Of each of them one member gets the message.
    pub queues: Vec<QueueGroup>,
    /// Some of them have a detour.
    has_detours: bool,
}

impl MatchResult {
    /// Whether nobody wants the message.
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.queues.is_empty()
    }

    /// Whether messages for some of them go another way than to their targets.
    #[inline]
    pub fn has_detours(&self) -> bool {
        self.has_detours
    }

    /// Plain subscriptions and queue groups, as the reference counts fan-out.
    pub fn fanout(&self) -> usize {
        self.plain.len() + self.queues.len()
    }

    /// Forgets all, keeping the room.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.queues.clear();
        self.has_detours = false;
    }

    /// The members of `name`; `known` is how many groups may be it (those before are distinct).
    fn group(&mut self, name: &[u8], known: usize) -> &mut Members {
        let found = self.queues.iter().take(known).position(|group| *group.name == *name);
        let index = found.unwrap_or(self.queues.len());
        if found.is_none() {
            self.queues.push(QueueGroup { name: name.into(), members: Members::default() });
        }
        #[expect(clippy::indexing_slicing, reason = "found above, or pushed just now")]
        &mut self.queues[index].members
    }
}

impl Sink for MatchResult {
    fn one(&mut self, sub: &Subscription) {
        self.has_detours |= sub.detour().is_some();
        match sub.queue() {
            None => self.plain.push(sub),
            Some(queue) => self.group(queue, self.queues.len()).push_weighted(sub),
        }
    }

    fn bucket(&mut self, bucket: &Bucket) {
        self.has_detours |= bucket.has_detours();
        self.plain.extend(bucket.plain());
        // The groups of one bucket are distinct: only what was there before can be one of them.
        let known = self.queues.len();
        for (name, set) in bucket.groups() {
            self.group(name, known).extend_weighted(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::outbound::Outbound;

    fn set(count: usize) -> Packed {
        let target = Arc::new(Outbound::detached(1));
        let mut set = Packed::default();
        (0..count).for_each(|_| set.push(Subscription::new(Arc::clone(&target), b"a", None, b"1")));
        set
    }

    #[test]
    fn members_of_small_and_large_sets_read_alike() {
        let sets = [set(3), set(600), set(40), set(1)];
        let mut members = Members::default();
        sets.iter().for_each(|set| members.extend(set));
        assert_eq!(members.len(), 644);
        assert_eq!(members.iter().count(), 644);
        for (index, sub) in members.iter().enumerate() {
            assert!(members.get(index).is_some_and(|there| there.same(sub)), "{index}");
        }
        assert!(members.get(644).is_none());
    }
}
