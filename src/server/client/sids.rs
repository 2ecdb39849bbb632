//! One client's subscriptions by the names the client gave them.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::server::interest::Subscription;

/// Up to this many subscriptions are searched one by one: most clients have few, and a vector of
/// exact size is the smallest that holds them.
const FEW_MAX: usize = 16;

/// Subscriptions by sid.
#[derive(Debug)]
pub(super) struct Sids {
    held: Held,
}

#[derive(Debug)]
enum Held {
    Few(Vec<Subscription>),
    Many(Box<Many>),
}

#[derive(Debug)]
struct Many {
    table: HashTable<Subscription>,
    /// Seeded: the client chooses the keys.
    hasher: foldhash::fast::RandomState,
}

impl Many {
    fn hash(&self, sid: &[u8]) -> u64 {
        self.hasher.hash_one(sid)
    }

    fn insert(&mut self, subscription: Subscription) {
        let Self { table, hasher } = self;
        let hash = hasher.hash_one(subscription.sid());
        table.insert_unique(hash, subscription, |held| hasher.hash_one(held.sid()));
    }
}

impl Default for Sids {
    fn default() -> Self {
        Self { held: Held::Few(Vec::new()) }
    }
}

impl Sids {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match &self.held {
            Held::Few(few) => few.len(),
            Held::Many(many) => many.table.len(),
        }
    }

    /// The subscription named `sid`.
    pub(super) fn get(&self, sid: &[u8]) -> Option<&Subscription> {
        match &self.held {
            Held::Few(few) => few.iter().find(|held| held.sid() == sid),
            Held::Many(many) => many.table.find(many.hash(sid), |held| held.sid() == sid),
        }
    }

    /// Adds a subscription; the caller knows that its sid is free.
    pub(super) fn insert(&mut self, subscription: Subscription) {
        debug_assert!(self.get(subscription.sid()).is_none(), "a sid names one subscription");
        match &mut self.held {
            Held::Few(few) if few.len() < FEW_MAX => {
                few.reserve_exact(1);
                few.push(subscription);
            }
            Held::Few(few) => {
                let mut many =
                    Many { table: HashTable::new(), hasher: foldhash::fast::RandomState::default() };
                few.drain(..).for_each(|held| many.insert(held));
                many.insert(subscription);
                self.held = Held::Many(Box::new(many));
            }
            Held::Many(many) => many.insert(subscription),
        }
    }

    /// Takes the subscription named `sid` out.
    pub(super) fn remove(&mut self, sid: &[u8]) -> Option<Subscription> {
        match &mut self.held {
            Held::Few(few) => {
                let at = few.iter().position(|held| held.sid() == sid)?;
                Some(few.swap_remove(at))
            }
            Held::Many(many) => {
                let hash = many.hash(sid);
                let entry = many.table.find_entry(hash, |held| held.sid() == sid).ok()?;
                Some(entry.remove().0)
            }
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Subscription> {
        match &self.held {
            Held::Few(few) => few.clone(),
            Held::Many(many) => many.table.iter().cloned().collect(),
        }
    }

    /// Takes all out.
    pub(super) fn take_all(&mut self) -> Vec<Subscription> {
        match std::mem::take(self).held {
            Held::Few(few) => few,
            Held::Many(many) => many.table.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::server::outbound::Outbound;

    #[test]
    fn few_and_many_behave_alike() {
        let target = Arc::new(Outbound::detached(1));
        let mut sids = Sids::default();
        for sid in 0..100 {
            let sid = sid.to_string();
            sids.insert(Subscription::new(Arc::clone(&target), b"a", None, sid.as_bytes()));
            assert!(sids.get(sid.as_bytes()).is_some() && sids.get(b"none").is_none());
        }
        assert!(sids.remove(b"3").is_some() && sids.remove(b"3").is_none());
        assert_eq!((sids.len(), sids.take_all().len(), sids.len()), (99, 99, 0));
    }
}
