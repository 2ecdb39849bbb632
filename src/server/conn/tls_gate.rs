//! What a listener with TLS shares among its connections: how handshakes are made, and how many.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, Semaphore};

use super::handshake_rate::HandshakeRate;
use crate::server::net::TlsSetup;
use crate::server::net::ocsp_peer::PeerCheck;

/// Handshakes that wait for responders at once; beyond, who would have to is turned away. The reference has no
/// bound; a thread each, of those that the runtime has for what blocks (512).
const ASKING_MAX: usize = 256;

/// One listener's TLS. The default is none.
#[derive(Debug)]
pub struct TlsGate {
    /// How handshakes are made, swapped whole by a reload and by renewed files.
    setup: ArcSwapOption<TlsSetup>,
    /// A handshake was begun with the setup.
    used: AtomicBool,
    /// Wakes whoever looks after what handshakes are made with.
    changed: Notify,
    /// How many may begin within a second.
    pub rate: HandshakeRate,
    /// Who may compute a step of a handshake: half of the machine, so that the other half serves those
    /// that are connected.
    pub(super) computing: Arc<Semaphore>,
    /// Who may wait for responders within a step of a handshake: each holds a thread meanwhile,
    /// and no turn to compute.
    pub(super) asking: Arc<Semaphore>,
}

impl TlsGate {
    /// A gate without TLS so far, that lets `rate_limit` handshakes a second begin; zero is no limit.
    pub fn new(rate_limit: i64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            setup: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            changed: Notify::new(),
            rate: HandshakeRate::new(rate_limit),
            computing: Arc::new(Semaphore::new((cores / 2).max(1))),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
        }
    }

    /// How handshakes are made now; `None` without TLS.
    pub fn setup(&self) -> Option<Arc<TlsSetup>> {
        self.setup.load_full()
    }

    /// What is asked about clients' certificates now, if anything is.
    pub fn peer_check(&self) -> Option<Arc<PeerCheck>> {
        self.setup.load().as_ref()?.verifier()?.peer_check().cloned()
    }

    /// Connections that come from now on make their handshakes with `setup`.
    pub fn install(&self, setup: Option<Arc<TlsSetup>>) {
        self.setup.store(setup);
        self.used.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Notes that a peer has begun a handshake.
    pub(super) fn note_use(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether anybody has begun a handshake since the setup came into force.
    pub fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Completes when another setup has come into force.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Default for TlsGate {
    fn default() -> Self {
        Self::new(0)
    }
}
