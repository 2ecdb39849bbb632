//! What a directory of claims holds, as far as it must be known without reading files: the sum of all,
//! when each ends, and which was used least.
//!
//! Pure: the store says what it did to the files, and asks what is to go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::key::AccountKey;
use crate::server::base::clock::Timestamp;

/// Bytes of a sum: SHA-256.
pub const SUM_BYTES: usize = 32;

/// Nanoseconds of a second.
const SECOND_NANOS: u64 = 1_000_000_000;

/// The SHA-256 of a token, or of many, each flipping the bits of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(pub [u8; SUM_BYTES]);

impl Sum {
    /// Adds what is not in it, removes what is.
    fn toggle(&mut self, other: &Self) {
        for (byte, other) in self.0.iter_mut().zip(other.0) {
            *byte ^= other;
        }
    }
}

impl std::fmt::LowerHex for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How many claims are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Claims kept at most.
    pub limit: usize,
    /// What is used least makes room for what is new; otherwise a full store refuses.
    pub evicts: bool,
    /// Kept for so long since the last use, whatever the claims say; otherwise until they expire.
    pub ttl: Option<Duration>,
}

/// Whether claims of an account may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is room, or they are there already.
    Free,
    /// First these must go.
    Evict(AccountKey),
    /// There is none.
    Full,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    sum: Sum,
    /// Seconds of the epoch at which the claims end; 0 is never.
    expires: u64,
    /// When they are to go; `NEVER` otherwise.
    due: Timestamp,
    /// Place in the order of use; 0 where nothing evicts.
    used: u64,
}

const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);

/// The accounts whose claims a directory holds.
#[derive(Debug)]
pub struct Index {
    policy: Policy,
    items: HashMap<AccountKey, Item, RandomState>,
    /// Those that are to go at some time, the next first.
    due: BTreeSet<(Timestamp, AccountKey)>,
    /// Where something evicts: all, least used first.
    order: BTreeMap<u64, AccountKey>,
    uses: u64,
    sum: Sum,
}

impl Index {
    /// Holds nothing.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            items: HashMap::default(),
            due: BTreeSet::new(),
            order: BTreeMap::new(),
            uses: 0,
            sum: Sum::default(),
        }
    }

    /// The policy.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Accounts held.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The sum of an account's claims.
    pub fn sum_of(&self, key: &AccountKey) -> Option<Sum> {
        self.items.get(key).map(|item| item.sum)
    }

    /// The sum of all: equal to that of a directory with the same claims.
    pub const fn sum(&self) -> Sum {
        self.sum
    }

    /// All accounts whose claims are not over, by name.
    pub fn current(&self, now: Timestamp) -> Vec<AccountKey> {
        let now = now.nanos() / SECOND_NANOS;
        let current = self.items.iter().filter(|(_, item)| item.expires == 0 || item.expires >= now);
        let mut keys: Vec<AccountKey> = current.map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// Whether claims of this account may be written.
    pub fn room_for(&self, key: &AccountKey) -> Room {
        if self.items.len() < self.policy.limit || self.items.contains_key(key) {
            return Room::Free;
        }
        match self.order.first_key_value() {
            Some((_, least)) if self.policy.evicts => Room::Evict(*least),
            _ => Room::Full,
        }
    }

    /// An account's claims are now these; `expires` is in seconds, 0 is never.
    pub fn put(&mut self, key: AccountKey, sum: Sum, expires: i64, now: Timestamp) {
        let before = self.forget(&key);
        let expires = u64::try_from(expires).unwrap_or(0);
        let due = match self.policy.ttl {
            Some(ttl) => now + ttl,
            None if expires == 0 => NEVER,
            None => Timestamp::from_nanos(expires.saturating_mul(SECOND_NANOS)),
        };
        // New claims of a known account are no use of it: it keeps its place.
        let used = before.map_or_else(|| self.next_use(), |item| item.used);
        self.insert(key, Item { sum, expires, due, used });
    }

    /// An account's claims are gone; true where they were held.
    pub fn remove(&mut self, key: &AccountKey) -> bool {
        self.forget(key).is_some()
    }

    /// An account's claims were read or written.
    pub fn touch(&mut self, key: &AccountKey, now: Timestamp) {
        if !self.policy.evicts && self.policy.ttl.is_none() {
            return;
        }
        let Some(mut item) = self.forget(key) else { return };
        if let Some(ttl) = self.policy.ttl {
            item.due = now + ttl;
        }
        item.used = self.next_use();
        self.insert(*key, item);
    }

    /// The account whose claims are to go next, if their time has come.
    pub fn due(&self, now: Timestamp) -> Option<AccountKey> {
        self.due.first().filter(|(due, _)| *due <= now).map(|(_, key)| *key)
    }

    fn next_use(&mut self) -> u64 {
        if self.policy.evicts {
            self.uses += 1;
        }
        self.uses
    }

    fn insert(&mut self, key: AccountKey, item: Item) {
        self.sum.toggle(&item.sum);
        if item.due != NEVER {
            self.due.insert((item.due, key));
        }
        if self.policy.evicts {
            self.order.insert(item.used, key);
        }
        self.items.insert(key, item);
    }

    fn forget(&mut self, key: &AccountKey) -> Option<Item> {
        let item = self.items.remove(key)?;
        self.sum.toggle(&item.sum);
        if item.due != NEVER {
            self.due.remove(&(item.due, *key));
        }
        if self.policy.evicts {
            self.order.remove(&item.used);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::simulated::keys;
    use super::*;

    const FULL: Policy = Policy { limit: usize::MAX, evicts: false, ttl: None };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * SECOND_NANOS)
    }

    fn sum(byte: u8) -> Sum {
        Sum([byte; SUM_BYTES])
    }

    #[test]
    fn the_sum_is_that_of_what_is_held_whatever_came_before() {
        let [a, b] = keys();
        let mut index = Index::new(FULL);
        index.put(a, sum(1), 0, at(0));
        index.put(b, sum(2), 0, at(0));
        assert_eq!(index.sum(), sum(3));
        index.put(a, sum(4), 0, at(0));
        assert_eq!(index.sum(), sum(6));
        assert!(index.remove(&b) && !index.remove(&b));
        assert_eq!((index.sum(), index.sum_of(&a), index.len()), (sum(4), Some(sum(4)), 1));
    }

    #[test]
    fn claims_go_when_they_expire() {
        let [a, b, c] = keys();
        let mut index = Index::new(FULL);
        index.put(a, sum(1), 20, at(0));
        index.put(b, sum(2), 10, at(0));
        index.put(c, sum(3), 0, at(0));
        assert_eq!(index.due(at(9)), None);
        assert_eq!(index.due(at(10)), Some(b));
        assert_eq!(index.current(at(11)), [a, c]);
        index.remove(&b);
        assert_eq!((index.due(at(19)), index.due(at(20))), (None, Some(a)));
        index.put(a, sum(4), 0, at(20));
        assert_eq!(index.due(at(u32::MAX.into())), None);
    }

    #[test]
    fn a_time_to_live_counts_from_the_last_use_and_wins_over_what_claims_say() {
        let [a, b] = keys();
        let mut index = Index::new(Policy { ttl: Some(Duration::from_secs(10)), ..FULL });
        index.put(a, sum(1), 1, at(0));
        index.put(b, sum(2), 0, at(0));
        index.touch(&a, at(5));
        assert_eq!(index.due(at(10)), Some(b));
        index.remove(&b);
        assert_eq!((index.due(at(14)), index.due(at(15))), (None, Some(a)));
        // It is kept, and still not shown any more.
        assert!(index.current(at(2)).is_empty());
    }

    #[test]
    fn a_full_store_refuses_what_is_new_or_gives_up_what_is_used_least() {
        let [a, b, c] = keys();
        let mut index = Index::new(Policy { limit: 2, evicts: false, ttl: None });
        index.put(a, sum(1), 0, at(0));
        index.put(b, sum(2), 0, at(0));
        assert_eq!((index.room_for(&a), index.room_for(&c)), (Room::Free, Room::Full));
        let mut index = Index::new(Policy { limit: 2, evicts: true, ttl: None });
        index.put(a, sum(1), 0, at(0));
        index.put(b, sum(2), 0, at(0));
        assert_eq!(index.room_for(&c), Room::Evict(a));
        index.touch(&a, at(0));
        assert_eq!(index.room_for(&c), Room::Evict(b));
    }

    proptest! {
        #[test]
        fn parts_never_disagree(steps in proptest::collection::vec((0_usize..5, 0_u8..4, 0_i64..4), 0..60)) {
            let keys: [AccountKey; 5] = keys();
            let mut index = Index::new(Policy { limit: 3, evicts: true, ttl: None });
            let mut model: BTreeMap<AccountKey, (u8, i64)> = BTreeMap::new();
            for (which, kind, value) in steps {
                let key = keys[which];
                match kind {
                    0 => {
                        index.put(key, sum(which as u8 + 1), value, at(0));
                        model.insert(key, (which as u8 + 1, value));
                    }
                    1 => prop_assert_eq!(index.remove(&key), model.remove(&key).is_some()),
                    2 => index.touch(&key, at(0)),
                    _ => if let Some(due) = index.due(at(2)) {
                        prop_assert!((1..=2).contains(&model[&due].1));
                        index.remove(&due);
                        model.remove(&due);
                    }
                }
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(index.order.len(), model.len());
                prop_assert_eq!(index.due.len(), model.values().filter(|(_, expires)| *expires > 0).count());
                let want = model.values().fold(0, |all, (byte, _)| all ^ byte);
                prop_assert_eq!(index.sum(), sum(want));
            }
        }
    }
}
