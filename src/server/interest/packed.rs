//! Many subscriptions packed in chunks that match results share: copied only when both hold one and
//! the set changes, so that 200,000 subscribers of one subject cost a change a few microseconds.

use std::sync::Arc;

use super::subscription::Subscription;

/// Subscriptions of one chunk.
const CHUNK: usize = 256;

/// A run of subscriptions that a set and results share.
pub(super) type Chunk = Arc<Vec<Subscription>>;

/// A set of subscriptions: all chunks but the last are full; removal moves the last one into the gap.
#[derive(Debug, Default)]
pub(super) struct Packed {
    chunks: Vec<Chunk>,
    len: usize,
    remote: usize,
    detours: usize,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Subscriptions that are of this server's own.
    pub(super) fn local(&self) -> usize {
        self.len - self.remote
    }

    /// Whether messages for some of them go another way than to their targets.
    pub(super) fn has_detours(&self) -> bool {
        self.detours > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    pub(super) fn push(&mut self, sub: Subscription) {
        sub.set_position(self.len);
        self.remote += usize::from(sub.is_remote());
        self.detours += usize::from(sub.detour().is_some());
        self.len += 1;
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => own(chunk).push(sub),
            _ => self.chunks.push(Arc::new(vec![sub])),
        }
    }

    /// Takes `sub` out; false where it isn't in.
    pub(super) fn remove(&mut self, sub: &Subscription) -> bool {
        let Some(position) = self.find(sub) else { return false };
        let Some(last) = self.chunks.last_mut().and_then(|chunk| own(chunk).pop()) else { return false };
        self.len -= 1;
        self.remote -= usize::from(sub.is_remote());
        self.detours -= usize::from(sub.detour().is_some());
        if self.chunks.last().is_some_and(|chunk| chunk.is_empty()) {
            self.chunks.pop();
        }
        if position < self.len
            && let Some(slot) =
                self.chunks.get_mut(position / CHUNK).and_then(|chunk| own(chunk).get_mut(position % CHUNK))
        {
            last.set_position(position);
            *slot = last;
        }
        true
    }

    fn at(&self, position: usize) -> Option<&Subscription> {
        self.chunks.get(position / CHUNK)?.get(position % CHUNK)
    }

    /// Where `sub` stands: at its own note, unless it is in several sets and another one wrote there.
    fn find(&self, sub: &Subscription) -> Option<usize> {
        let noted = sub.position();
        if self.at(noted).is_some_and(|there| there.same(sub)) {
            return Some(noted);
        }
        self.iter().position(|there| there.same(sub))
    }

    /// Empties the set and gives out what was in.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Subscription> {
        (self.len, self.remote, self.detours) = (0, 0, 0);
        let chunks = std::mem::take(&mut self.chunks);
        chunks.into_iter().flat_map(|chunk| Arc::try_unwrap(chunk).unwrap_or_else(|shared| shared.to_vec()))
    }
}

/// The chunk for writing, copied first where a result holds it too.
fn own(chunk: &mut Chunk) -> &mut Vec<Subscription> {
    if Arc::get_mut(chunk).is_none() {
        let mut copy = Vec::with_capacity((chunk.len() + 1).next_power_of_two().min(CHUNK));
        copy.extend(chunk.iter().cloned());
        *chunk = Arc::new(copy);
    }
    Arc::make_mut(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::outbound::Outbound;

    fn subscriptions(count: usize) -> Vec<Subscription> {
        let target = Arc::new(Outbound::detached(1));
        (0..count)
            .map(|number| Subscription::new(Arc::clone(&target), b"a", None, number.to_string().as_bytes()))
            .collect()
    }

    #[test]
    fn removal_in_any_order_keeps_the_rest() {
        let subs = subscriptions(CHUNK * 2 + 10);
        let mut packed = Packed::default();
        subs.iter().cloned().for_each(|sub| packed.push(sub));
        let mut rng = crate::server::base::rng::Rng::seeded(5);
        let mut left = subs;
        while !left.is_empty() {
            let gone = left.swap_remove(rng.below(left.len()));
            assert!(packed.remove(&gone));
            assert!(!packed.remove(&gone));
            assert_eq!(packed.len(), left.len());
            assert_eq!(packed.iter().count(), left.len());
            assert!(!packed.iter().any(|sub| sub.same(&gone)));
            assert!(
                packed.iter().enumerate().all(|(place, sub)| sub.position() == place),
                "each knows its place"
            );
        }
        assert!(packed.is_empty() && packed.chunks().is_empty());
    }

    #[test]
    fn shared_chunks_keep_what_they_held() {
        let subs = subscriptions(CHUNK + 3);
        let mut packed = Packed::default();
        subs.iter().cloned().for_each(|sub| packed.push(sub));
        let taken: Vec<Chunk> = packed.chunks().to_vec();
        assert!(packed.remove(&subs[0]));
        packed.push(subs[0].clone());
        let held: Vec<_> = taken.iter().flat_map(|chunk| chunk.iter()).collect();
        assert!(held.iter().zip(&subs).all(|(one, other)| one.same(other)));
    }

    #[test]
    fn member_of_two_sets_is_found_in_both() {
        let subs = subscriptions(8);
        let (mut one, mut other) = (Packed::default(), Packed::default());
        subs.iter().cloned().for_each(|sub| one.push(sub));
        subs.iter().rev().cloned().for_each(|sub| other.push(sub));
        assert!(subs.iter().all(|sub| one.remove(sub) && other.remove(sub)));
    }
}
