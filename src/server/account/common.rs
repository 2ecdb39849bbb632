//! What all accounts of a server share.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::agenda::Agenda;
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::inbox::Inbox;
use crate::server::base::name_hash::name_hash;
use crate::server::base::rng::Rng;
use crate::server::events::EventIds;
use crate::server::interest::Departure;

/// Ended subscriptions that wait for a look at who awaits an answer on them. What a full inbox loses,
/// the service's threshold ends.
const DEPARTURES_MAX: usize = 4096;

/// Shared by all accounts of one server.
pub struct Common {
    clock: Arc<dyn Clock>,
    ids: EventIds,
    /// What answers to measured requests end in, where the server has a system account.
    measured_suffix: OnceLock<String>,
    numbers: AtomicU64,
    departures: Arc<Inbox<Departure>>,
    agenda: Agenda,
    /// What requests of all accounts take while their answers are awaited.
    awaited_bytes: AtomicUsize,
}

impl Common {
    /// Nothing has happened yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ids: EventIds::new(&mut Rng::from_entropy()),
            measured_suffix: OnceLock::new(),
            numbers: AtomicU64::new(0),
            departures: Arc::new(Inbox::new(DEPARTURES_MAX)),
            agenda: Agenda::default(),
            awaited_bytes: AtomicUsize::new(0),
        }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An id for an event.
    pub fn event_id(&self) -> String {
        self.ids.next()
    }

    /// Names the server: answers to measured requests say by it whose measurement they are.
    pub fn name_server(&self, name: &str) {
        let _ = self.measured_suffix.set(format!(".{}.T", name_hash(name)));
    }

    /// What the subjects of answers to measured requests end in.
    pub(super) fn measured_suffix(&self) -> &str {
        self.measured_suffix.get().map_or("", String::as_str)
    }

    /// A number that nothing else of this server has.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Where subscriptions end, as far as somebody awaits answers in their account.
    pub fn departures(&self) -> &Arc<Inbox<Departure>> {
        &self.departures
    }

    /// Which accounts have requests that may be overdue, and when.
    pub fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    /// What requests of all accounts take while their answers are awaited.
    pub(super) fn awaited_bytes(&self) -> &AtomicUsize {
        &self.awaited_bytes
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common").finish_non_exhaustive()
    }
}
