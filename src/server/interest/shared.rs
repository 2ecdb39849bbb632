//! One account's interest behind its lock, with its generations, watches and feeds.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::change::{ChangeSender, InterestChange};
use super::departure::{Departure, Departures};
use super::generation::{Generations, Place};
use super::import::StreamImport;
use super::pattern::{InterestError, is_wildcard};
use super::result::MatchResult;
use super::shadows::Shadows;
use super::sublist::{Sublist, Tally};
use super::subscription::Subscription;
use crate::server::base::inbox::Inbox;
use crate::server::protocol::subject::tokens;

/// Removals of a batch under one hold of the lock; matches come in between.
const BATCH: usize = 256;

/// The figures that `/subsz` and account statistics report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SublistStats {
    /// Subscriptions.
    pub subscriptions: usize,
    /// Results in the workers' caches.
    pub cached: u64,
    /// Insertions so far.
    pub inserts: u64,
    /// Removals so far.
    pub removes: u64,
    /// Matches asked for, answered from a cache or not.
    pub matches: u64,
    /// Those answered from a cache.
    pub cache_hits: u64,
    /// Most subscribers that a cached result had since the caches were last empty.
    pub fanout_max: u64,
    /// Subscribers of all cached results.
    pub fanout_total: u64,
}

impl SublistStats {
    /// The sum of both, as for several accounts.
    pub fn add(&mut self, other: &Self) {
        self.subscriptions += other.subscriptions;
        self.cached += other.cached;
        self.inserts += other.inserts;
        self.removes += other.removes;
        self.matches += other.matches;
        self.cache_hits += other.cache_hits;
        self.fanout_max = self.fanout_max.max(other.fanout_max);
        self.fanout_total += other.fanout_total;
    }

    /// The share of matches that a cache answered, 0 to 1.
    pub fn cache_hit_rate(&self) -> f64 {
        ratio(self.cache_hits, self.matches)
    }

    /// Subscribers of a cached result on average.
    pub fn fanout_average(&self) -> f64 {
        ratio(self.fanout_total, self.cached)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What caches count for an account. Aligned so that counting disturbs no look-up.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Counters {
    matches: AtomicU64,
    hits: AtomicU64,
    entries: AtomicU64,
    fanout_max: AtomicU64,
    fanout_total: AtomicU64,
}

impl Counters {
    /// A match that no cache answered.
    pub(super) fn missed(&self) {
        self.matches.fetch_add(1, Ordering::Relaxed);
    }

    /// Matches that a cache answered.
    pub(super) fn hit(&self, count: u64) {
        self.matches.fetch_add(count, Ordering::Relaxed);
        self.hits.fetch_add(count, Ordering::Relaxed);
    }

    /// A cache holds one more result.
    pub(super) fn stored(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    /// A result that a cache holds was replaced by a newer one.
    pub(super) fn replaced(&self, old_fanout: usize, fanout: usize) {
        if old_fanout != fanout {
            self.fanout_total.fetch_sub(old_fanout as u64, Ordering::Relaxed);
            self.fanout_total.fetch_add(fanout as u64, Ordering::Relaxed);
            self.fanout_max.fetch_max(fanout as u64, Ordering::Relaxed);
        }
    }

    /// A cache holds one result less.
    pub(super) fn dropped(&self, fanout: usize) {
        self.fanout_total.fetch_sub(fanout as u64, Ordering::Relaxed);
        if self.entries.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.fanout_max.store(0, Ordering::Relaxed);
        }
    }
}

/// Who watches one subject and queue.
type Watches = HashMap<Box<[u8]>, Vec<ChangeSender>>;

#[derive(Debug)]
struct Inner {
    sublist: Sublist,
    watches: Watches,
    feeds: Vec<ChangeSender>,
}

impl Inner {
    /// Tells of an insertion (`grown`) or a removal.
    fn tell(&self, sub: &Subscription, tally: Tally, grown: bool) {
        let turned = |count: usize| count == usize::from(grown);
        if !self.watches.is_empty()
            && turned(tally.any)
            && let Some(watchers) = self.watches.get(&*watch_key(sub.subject(), sub.queue()))
        {
            watchers.iter().for_each(|watcher| watcher.send(sub.subject(), sub.queue(), tally.any));
        }
        if !sub.is_remote() && (sub.queue().is_some() || turned(tally.local)) {
            self.feeds.iter().for_each(|feed| feed.send(sub.subject(), sub.queue(), tally.local));
        }
    }
}

fn watch_key(subject: &[u8], queue: Option<&[u8]>) -> Box<[u8]> {
    // No subject holds a space.
    let parts = [Some(subject), queue.map(|_| &b" "[..]), queue];
    parts.into_iter().flatten().flatten().copied().collect()
}

/// An account's interest.
#[derive(Debug)]
pub struct SharedInterest {
    generations: Generations,
    counters: Arc<Counters>,
    cached: bool,
    shadows: Shadows,
    departures: Departures,
    /// Leaf lock, but for the queues of [`super::change`]: held for a match that missed the cache, a
    /// change, or a small batch of them.
    inner: RwLock<Inner>,
}

impl Default for SharedInterest {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedInterest {
    /// No interest yet; workers may cache results.
    pub fn new() -> Self {
        Self::with(Sublist::new(), true)
    }

    /// No interest yet; workers cache nothing (`no_sublist_cache`).
    pub fn without_cache() -> Self {
        Self::with(Sublist::new(), false)
    }

    /// Starts from `sublist`; `cached` says whether workers may keep results.
    pub fn with(sublist: Sublist, cached: bool) -> Self {
        let inner = RwLock::new(Inner { sublist, watches: Watches::new(), feeds: Vec::new() });
        Self {
            generations: Generations::default(),
            counters: Arc::default(),
            cached,
            shadows: Shadows::default(),
            departures: Departures::default(),
            inner,
        }
    }

    /// Whether workers may keep results.
    pub fn is_cached(&self) -> bool {
        self.cached
    }

    /// Adds a subscription, each only once, here and where it has to be for the account's imports. A
    /// match that begins after this returned sees it.
    pub fn insert(&self, sub: Subscription) -> Result<(), InterestError> {
        self.insert_here(&sub)?;
        self.shadows.cast(&sub);
        Ok(())
    }

    /// Adds a subscription here only.
    pub(super) fn insert_here(&self, sub: &Subscription) -> Result<(), InterestError> {
        let mut inner = self.inner.write();
        let tally = inner.sublist.insert(sub.clone())?;
        inner.tell(sub, tally, true);
        drop(inner);
        self.generations.count(sub.subject());
        Ok(())
    }

    /// Takes a subscription out; false where it wasn't in.
    pub fn remove(&self, sub: &Subscription) -> bool {
        self.remove_batch(std::slice::from_ref(sub)) == 1
    }

    /// Takes many out, here and where they are for the account's imports; gives how many of them were
    /// in here.
    pub fn remove_batch(&self, subs: &[Subscription]) -> usize {
        let removed = self.remove_here(subs);
        for sub in subs {
            self.shadows.withdraw(sub);
            self.departures.tell(sub);
        }
        removed
    }

    /// Takes subscriptions out here only.
    pub(super) fn remove_here(&self, subs: &[Subscription]) -> usize {
        let mut removed = 0;
        for batch in subs.chunks(BATCH) {
            let mut inner = self.inner.write();
            for sub in batch {
                if let Some(tally) = inner.sublist.take(sub) {
                    removed += 1;
                    inner.tell(sub, tally, false);
                }
            }
            drop(inner);
            batch.iter().for_each(|sub| self.generations.count(sub.subject()));
        }
        removed
    }

    /// Puts other stream imports in force, for the subscriptions that are here and those that come.
    pub fn set_imports(self: &Arc<Self>, imports: Vec<StreamImport>) {
        self.shadows.set_imports(imports, Arc::downgrade(self), || self.all());
    }

    /// What a subscription stands for in other accounts: there, and by which import.
    pub fn shadows_of(&self, sub: &Subscription) -> Vec<(Subscription, Arc<StreamImport>)> {
        self.shadows.of(sub)
    }

    /// Names the account that this is the interest of, and who hears of subscriptions that end.
    pub fn report_departures(&self, account: &Arc<str>, to: &Arc<Inbox<Departure>>) {
        self.departures.report_to(account, to);
    }

    /// Begins or ends to report subscriptions that end.
    pub fn want_departures(&self, wanted: bool) {
        self.departures.want(wanted);
    }

    /// Makes results show the new weight of a remote subscription.
    pub fn weight_changed(&self, sub: &Subscription) {
        self.generations.count(sub.subject());
    }

    /// Who wants a message on `subject`, past any cache.
    pub fn matches(&self, subject: &[u8]) -> Arc<MatchResult> {
        let mut result = MatchResult::default();
        self.match_into(subject, &mut result);
        Arc::new(result)
    }

    /// The same into a result whose room is used again.
    pub fn match_into(&self, subject: &[u8], result: &mut MatchResult) {
        self.counters.missed();
        // What the old result held may be the last of it: dropped before the lock is taken.
        result.clear();
        self.inner.read().sublist.match_into(subject, result);
    }

    /// Whether anybody wants a message on `subject`.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        self.inner.read().sublist.has_interest(subject)
    }

    /// How many plain subscriptions and how many queue members want a message on `subject`.
    pub fn count_interest(&self, subject: &[u8]) -> (usize, usize) {
        self.inner.read().sublist.count_interest(subject)
    }

    /// The subscriptions that share a subject with `pattern`. Looks at every subscription.
    pub fn reverse_match(&self, pattern: &[u8]) -> MatchResult {
        self.inner.read().sublist.reverse_match(pattern)
    }

    /// Subscriptions in here.
    pub fn count(&self) -> usize {
        self.inner.read().sublist.count()
    }

    /// Every subscription, in no order that means anything.
    pub fn all(&self) -> Vec<Subscription> {
        self.inner.read().sublist.all()
    }

    /// The generation of `subject`: a result stays valid while this doesn't change.
    pub fn stamp(&self, subject: &[u8]) -> u64 {
        self.stamp_at(Place::of(subject))
    }

    /// The same for who kept the subject's place.
    pub fn stamp_at(&self, place: Place) -> u64 {
        self.generations.stamp(place)
    }

    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The figures as they stand. A cache tells its hits of a busy subject in blocks.
    pub fn stats(&self) -> SublistStats {
        let inner = self.inner.read();
        let (subscriptions, inserts, removes) =
            (inner.sublist.count(), inner.sublist.inserts(), inner.sublist.removes());
        drop(inner);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        SublistStats {
            subscriptions,
            inserts,
            removes,
            cached: read(&counters.entries),
            matches: read(&counters.matches),
            cache_hits: read(&counters.hits),
            fanout_max: read(&counters.fanout_max),
            fanout_total: read(&counters.fanout_total),
        }
    }

    /// Tells `watcher` whether there is a subscription of exactly this literal subject (and queue), now
    /// and whenever that turns. Wildcard subscriptions that cover it don't count.
    pub fn watch(
        &self,
        subject: &[u8],
        queue: Option<&[u8]>,
        watcher: &ChangeSender,
    ) -> Result<(), InterestError> {
        if tokens(subject).any(is_wildcard) {
            return Err(InterestError::InvalidSubject);
        }
        let mut guard = self.inner.write();
        let inner = &mut *guard;
        let watchers = inner.watches.entry(watch_key(subject, queue)).or_default();
        if watchers.iter().any(|other| other.same_queue(watcher)) {
            return Err(InterestError::AlreadyRegistered);
        }
        watchers.push(watcher.clone());
        watcher.send(subject, queue, inner.sublist.exactly(subject, queue));
        Ok(())
    }

    /// Ends a watch; false where there was none.
    pub fn unwatch(&self, subject: &[u8], queue: Option<&[u8]>, watcher: &ChangeSender) -> bool {
        let mut inner = self.inner.write();
        let key = watch_key(subject, queue);
        let Some(watchers) = inner.watches.get_mut(&*key) else { return false };
        let before = watchers.len();
        watchers.retain(|other| !other.same_queue(watcher));
        let removed = watchers.len() < before;
        if watchers.is_empty() {
            inner.watches.remove(&*key);
        }
        removed
    }

    /// Feeds `feed` with changes of this server's own interest from now on, and gives what there is.
    ///
    /// A plain subject is told when interest begins and ends, a queue group whenever its size changes.
    pub fn follow(&self, feed: &ChangeSender) -> Vec<InterestChange> {
        let mut inner = self.inner.write();
        if !inner.feeds.iter().any(|other| other.same_queue(feed)) {
            inner.feeds.push(feed.clone());
        }
        local_interest(&inner.sublist, feed)
    }

    /// Stops feeding.
    pub fn unfollow(&self, feed: &ChangeSender) {
        self.inner.write().feeds.retain(|other| !other.same_queue(feed));
    }
}

fn local_interest(sublist: &Sublist, feed: &ChangeSender) -> Vec<InterestChange> {
    let mut counts: HashMap<Box<[u8]>, InterestChange> = HashMap::new();
    sublist.for_each(&mut |sub| {
        if !sub.is_remote() {
            let change = || feed.change(sub.subject(), sub.queue(), 0);
            counts.entry(watch_key(sub.subject(), sub.queue())).or_insert_with(change).members += 1;
        }
    });
    counts.into_values().collect()
}

#[cfg(test)]
#[path = "shared_test.rs"]
mod tests;
