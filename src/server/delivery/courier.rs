//! What a worker thread needs to carry messages: staging, match cache, chance.

use std::sync::Arc;

use super::run::Run;
use crate::server::auth::{Permissions, PublishCache};
use crate::server::base::rng::Rng;
use crate::server::interest::MatchCache;
use crate::server::outbound::{Aftermath, Behind, Outbound, Stage, Staged};

/// One worker's tools. Nothing in it outlives a read batch but caches.
#[derive(Debug)]
pub struct Courier {
    pub(super) stage: Stage,
    pub(super) cache: MatchCache,
    pub(super) rng: Rng,
    pub(super) run: Run,
    /// How many times the message on its way may still cross into another account; `None` while none is.
    pub(super) crossings_left: Option<u32>,
    publish_cache: PublishCache,
}

impl Courier {
    /// Tools with empty caches.
    pub fn new(rng: Rng) -> Self {
        Self {
            stage: Stage::default(),
            cache: MatchCache::new(),
            rng,
            run: Run::default(),
            crossings_left: None,
            publish_cache: PublishCache::default(),
        }
    }

    /// Where to write what goes to `target`.
    pub fn stage(&mut self, target: &Arc<Outbound>) -> &mut Staged {
        self.end_run();
        self.stage.slot(target)
    }

    /// Stages what was delivered and is still gathered. To be called before anything that decides
    /// who gets messages, or how, so that it does not concern those delivered before.
    pub fn end_run(&mut self) {
        self.run.end(&mut self.stage);
    }

    /// This worker's chance.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Whether `permissions` allow to publish to `subject`.
    pub fn may_publish(&mut self, permissions: &Arc<Permissions>, subject: &[u8]) -> bool {
        self.publish_cache.allows(permissions, subject)
    }

    /// Sends what is staged. `blocked` gets each destination whose socket is full: it needs a write
    /// task. `stalling` gets those for which so much waits that their producer should pause.
    pub fn flush(&mut self, blocked: &mut impl FnMut(&Arc<Outbound>), stalling: &mut Vec<Behind>) {
        self.send(None, &mut Aftermath { blocked, stalling });
    }

    /// As [`Self::flush`], at the end of what was read of `producer`: what it gets itself, the answer to
    /// a PING above all, goes behind its messages to others.
    pub fn flush_of(
        &mut self,
        producer: &Arc<Outbound>,
        blocked: &mut impl FnMut(&Arc<Outbound>),
        stalling: &mut Vec<Behind>,
    ) {
        self.send(Some(producer), &mut Aftermath { blocked, stalling });
    }

    fn send(&mut self, last: Option<&Arc<Outbound>>, aftermath: &mut Aftermath<'_>) {
        self.run.send(&mut self.stage, aftermath);
        self.stage.flush(last, aftermath);
    }
}
