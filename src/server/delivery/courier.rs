//! What a worker thread needs to carry messages: staging, match cache, chance.

use std::sync::Arc;

use crate::server::base::rng::Rng;
use crate::server::interest::MatchCache;
use crate::server::outbound::{Behind, Outbound, Stage, Staged};

/// One worker's tools. Nothing in it outlives a read batch but caches.
#[derive(Debug)]
pub struct Courier {
    pub(super) stage: Stage,
    pub(super) cache: MatchCache,
    pub(super) rng: Rng,
}

impl Courier {
    /// Tools with empty caches.
    pub fn new(rng: Rng) -> Self {
        Self { stage: Stage::default(), cache: MatchCache::new(), rng }
    }

    /// Where to write what goes to `target`.
    pub fn stage(&mut self, target: &Arc<Outbound>) -> &mut Staged {
        self.stage.slot(target)
    }

    /// This worker's chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Sends what is staged. `blocked` gets each destination whose socket is full: it needs a write
    /// task. `stalling` gets those for which so much waits that their producer should pause.
    pub fn flush(&mut self, blocked: &mut impl FnMut(&Arc<Outbound>), stalling: &mut Vec<Behind>) {
        self.stage.flush(blocked, stalling);
    }
}
