//! Subscriptions by subject: insert, remove, match. Pure: no locks, no cache.
//!
//! Literals stand in a flat hash ([`super::table`]), wildcards in one hash per mask
//! ([`super::wildcards`]).

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

use super::hash_bytes;
use super::pattern::{InterestError, Pattern};
use super::result::MatchResult;
use super::subscription::Subscription;
use super::table::{Bucket, Sink, Tables};
use super::wildcards::Wildcards;
use crate::server::protocol::subject::collide;

pub use super::table::Tally;

/// Subscriptions by subject.
#[derive(Debug)]
pub struct Sublist {
    hasher: SeedableRandomState,
    literals: Tables,
    wildcards: Wildcards,
    count: usize,
    inserts: u64,
    removes: u64,
}

impl Default for Sublist {
    fn default() -> Self {
        Self::new()
    }
}

impl Sublist {
    /// An empty list, hashing with a seed that no client can know.
    pub fn new() -> Self {
        Self::with_hasher(SeedableRandomState::random())
    }

    /// An empty list whose order of iteration is decided by `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self::with_hasher(SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()))
    }

    fn with_hasher(hasher: SeedableRandomState) -> Self {
        let wildcards = Wildcards::default();
        Self { hasher, literals: Tables::default(), wildcards, count: 0, inserts: 0, removes: 0 }
    }

    /// Subscriptions in here.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Insertions so far.
    pub fn inserts(&self) -> u64 {
        self.inserts
    }

    /// Removals so far.
    pub fn removes(&self) -> u64 {
        self.removes
    }

    /// Adds a subscription (each only once); gives how many of its subject and queue there are now.
    pub fn insert(&mut self, sub: Subscription) -> Result<Tally, InterestError> {
        let pattern = Pattern::parse(sub.subject())?;
        self.count += 1;
        self.inserts += 1;
        if pattern != Pattern::Literal {
            return Ok(self.wildcards.insert(pattern, sub, &self.hasher));
        }
        let hasher = &self.hasher;
        Ok(self.literals.insert(sub, |subject| hash_bytes(hasher, subject)))
    }

    /// Takes a subscription out; gives how many of its subject and queue are left, none where it
    /// wasn't in.
    pub fn take(&mut self, sub: &Subscription) -> Option<Tally> {
        let pattern = Pattern::parse(sub.subject()).ok()?;
        let hasher = &self.hasher;
        let tally = if pattern == Pattern::Literal {
            self.literals.remove(sub, |subject| hash_bytes(hasher, subject))?
        } else {
            self.wildcards.remove(pattern, sub, hasher)?
        };
        self.count -= 1;
        self.removes += 1;
        Some(tally)
    }

    /// Takes a subscription out; false where it wasn't in.
    pub fn remove(&mut self, sub: &Subscription) -> bool {
        self.take(sub).is_some()
    }

    /// Takes many out; gives how many of them were in.
    pub fn remove_batch(&mut self, subs: &[Subscription]) -> usize {
        subs.iter().filter(|sub| self.remove(sub)).count()
    }

    /// Who wants a message on `subject`.
    pub fn matches(&self, subject: &[u8]) -> MatchResult {
        let mut result = MatchResult::default();
        self.collect(subject, &mut result);
        result
    }

    /// The same into a result whose room is used again.
    pub fn match_into(&self, subject: &[u8], result: &mut MatchResult) {
        result.clear();
        self.collect(subject, result);
    }

    /// Whether anybody wants a message on `subject`.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        let mut any = Any(false);
        self.collect(subject, &mut any);
        any.0
    }

    /// How many plain subscriptions and how many queue members want a message on `subject`.
    pub fn count_interest(&self, subject: &[u8]) -> (usize, usize) {
        let mut counted = Counted { plain: 0, queue: 0 };
        self.collect(subject, &mut counted);
        (counted.plain, counted.queue)
    }

    /// The subscriptions that share a subject with `pattern`: with a wildcard, all that it covers.
    /// Looks at every subscription.
    pub fn reverse_match(&self, pattern: &[u8]) -> MatchResult {
        let mut result = MatchResult::default();
        self.for_each(&mut |sub| {
            if collide(pattern, sub.subject()) {
                result.one(sub);
            }
        });
        result
    }

    /// Calls `visit` with every subscription, in no order that means anything.
    pub fn for_each(&self, visit: &mut dyn FnMut(&Subscription)) {
        self.literals.for_each(&mut *visit);
        self.wildcards.for_each(visit);
    }

    /// Every subscription, in no order that means anything.
    pub fn all(&self) -> Vec<Subscription> {
        let mut all = Vec::with_capacity(self.count);
        self.for_each(&mut |sub| all.push(sub.clone()));
        all
    }

    /// How many subscriptions of exactly this subject and queue there are.
    pub(super) fn exactly(&self, subject: &[u8], queue: Option<&[u8]>) -> usize {
        let mut exact = Exact { subject, queue, count: 0 };
        self.collect_literals(subject, &mut exact);
        exact.count
    }

    fn collect(&self, subject: &[u8], sink: &mut impl Sink) {
        self.collect_literals(subject, sink);
        if !self.wildcards.is_empty() && !sink.done() {
            self.wildcards.collect(subject, &self.hasher, sink);
        }
    }

    fn collect_literals(&self, subject: &[u8], sink: &mut impl Sink) {
        self.literals.collect(hash_bytes(&self.hasher, subject), |literal| literal == subject, sink);
    }
}

struct Any(bool);

impl Sink for Any {
    fn one(&mut self, _: &Subscription) {
        self.0 = true;
    }

    fn bucket(&mut self, _: &Bucket) {
        self.0 = true;
    }

    fn done(&self) -> bool {
        self.0
    }
}

struct Counted {
    plain: usize,
    queue: usize,
}

impl Sink for Counted {
    fn one(&mut self, sub: &Subscription) {
        match sub.queue() {
            None => self.plain += 1,
            Some(_) => self.queue += 1,
        }
    }

    fn bucket(&mut self, bucket: &Bucket) {
        self.plain += bucket.plain().len();
        self.queue += bucket.len() - bucket.plain().len();
    }
}

struct Exact<'a> {
    subject: &'a [u8],
    queue: Option<&'a [u8]>,
    count: usize,
}

impl Sink for Exact<'_> {
    fn one(&mut self, sub: &Subscription) {
        self.count += usize::from(sub.subject() == self.subject && sub.queue() == self.queue);
    }

    fn bucket(&mut self, bucket: &Bucket) {
        self.count += match self.queue {
            None => bucket.plain().len(),
            Some(queue) => bucket.groups().find(|(name, _)| *name == queue).map_or(0, |(_, set)| set.len()),
        };
    }
}

#[cfg(test)]
#[path = "sublist_test.rs"]
mod tests;
