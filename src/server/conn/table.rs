//! All open connections of one server, by id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::server::outbound::Outbound;

/// A power of two: the low bits of an id name its shard.
const SHARDS: usize = 16;

/// Ids below this belong to the server's own clients. Reference: the first client of a default
/// server is connection 5.
const FIRST_CLIENT_ID: u64 = 5;

type Shard = HashMap<u64, Arc<Outbound>, foldhash::fast::RandomState>;

/// Open connections. Each shard is a leaf lock, held for a lookup or a copy of its handles.
#[derive(Debug)]
pub struct Table {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
    /// Connections that have begun and not ended: also those that are closed but still send.
    alive: AtomicUsize,
    next_id: AtomicU64,
    emptied: Notify,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            count: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            next_id: AtomicU64::new(FIRST_CLIENT_ID),
            emptied: Notify::new(),
        }
    }
}

impl Table {
    /// An id that no connection of this server had before.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a connection unless there are `connections_max` already; says whether it did.
    pub fn insert(&self, outbound: &Arc<Outbound>, connections_max: usize) -> bool {
        let admitted = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < connections_max).then_some(count + 1)
        });
        if admitted.is_err() {
            return false;
        }
        self.shard(outbound.id()).lock().insert(outbound.id(), Arc::clone(outbound));
        true
    }

    /// Removes a connection.
    pub fn remove(&self, id: u64) {
        if self.shard(id).lock().remove(&id).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A connection's task has begun.
    pub fn began(&self) {
        self.alive.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection's task has let go of its socket.
    pub fn ended(&self) {
        if self.alive.fetch_sub(1, Ordering::Release) == 1 {
            self.emptied.notify_waiters();
        }
    }

    /// Completes when the last connection has ended.
    pub async fn emptied(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.alive.load(Ordering::Acquire) == 0 {
                return;
            }
            emptied.await;
        }
    }

    /// Open connections.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The connection with this id.
    pub fn get(&self, id: u64) -> Option<Arc<Outbound>> {
        self.shard(id).lock().get(&id).cloned()
    }

    /// All open connections, oldest first.
    pub fn all(&self) -> Vec<Arc<Outbound>> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect();
        all.sort_unstable_by_key(|outbound| outbound.id());
        all
    }

    #[expect(clippy::indexing_slicing, reason = "the mask keeps the index below SHARDS")]
    fn shard(&self, id: u64) -> &Mutex<Shard> {
        &self.shards[id as usize & (SHARDS - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_admitted_up_to_the_maximum() {
        let table = Table::default();
        let connections: Vec<_> = (1..=3).map(|id| Arc::new(Outbound::detached(id))).collect();
        let admitted: Vec<_> = connections.iter().map(|connection| table.insert(connection, 2)).collect();
        assert_eq!((admitted, table.count()), (vec![true, true, false], 2));
        table.remove(1);
        table.remove(1);
        assert_eq!(table.count(), 1);
        assert!(table.get(1).is_none() && table.get(2).is_some());
    }

    #[test]
    fn all_lists_the_oldest_first() {
        let table = Table::default();
        for id in [40, 7, 300, 12] {
            table.insert(&Arc::new(Outbound::detached(id)), 10);
        }
        assert_eq!(table.all().iter().map(|outbound| outbound.id()).collect::<Vec<_>>(), [7, 12, 40, 300]);
    }

    #[test]
    fn first_client_has_the_reference_s_id() {
        assert_eq!(Table::default().next_id(), 5);
    }
}
