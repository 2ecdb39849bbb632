//! What `run` hands to every connection of a server.

use std::sync::Arc;

use super::consult_task::Consultations;
use super::slow::SlowConsumers;
use super::table::Table;
use super::verify_task::Verifiers;
use super::worker::lend_courier;
use crate::server::auth::ServerKeys;
use crate::server::base::clock::{Clock, SystemClock};
use crate::server::base::timers::Timers;
use crate::server::config::options::Options;
use crate::server::config::shared::Shared;
use crate::server::delivery::{Herald, Occasion};
#[cfg(test)]
use crate::server::events::ServerInfo;
use crate::server::log::Logger;
#[cfg(test)]
use crate::server::log::{Levels, Recorder};

/// Shared by all connections of one server.
#[derive(Debug)]
pub struct Context {
    /// Where "now" comes from.
    pub clock: SystemClock,
    /// Deadlines of all connections.
    pub timers: Arc<Timers>,
    /// The server's log.
    pub logger: Logger,
    /// The current options.
    pub options: Shared,
    /// All open connections.
    pub table: Table,
    /// Receivers that did not keep up.
    pub slow: SlowConsumers,
    /// Who the server is.
    pub keys: ServerKeys,
    /// What the server says in its system account.
    pub herald: Herald,
    /// Who does what takes long before a connection is let in.
    pub verifiers: Verifiers,
    /// Turns to ask a service outside about clients.
    pub consultations: Consultations,
}

impl Context {
    /// What connections share of a server that has none yet.
    pub fn new(
        clock: SystemClock,
        options: Options,
        keys: ServerKeys,
        herald: Herald,
        logger: Logger,
    ) -> Self {
        Self {
            clock,
            timers: Arc::default(),
            logger,
            options: Shared::new(options),
            table: Table::default(),
            slow: SlowConsumers::default(),
            keys,
            herald,
            verifiers: Verifiers::default(),
            consultations: Consultations::default(),
        }
    }

    /// For tests: a server that says nothing in a system account, and its log.
    #[cfg(test)]
    pub fn recorded(options: Options) -> (Self, Recorder) {
        let clock = SystemClock::new();
        let (logger, log) = Logger::recorded(Levels::default(), Arc::new(clock.clone()));
        let herald = Herald::new(None, "", ServerInfo::default(), logger.clone());
        (Self::new(clock, options, ServerKeys::default(), herald, logger), log)
    }

    /// Lets the server say something, now and with this thread's courier, for a task that is no connection;
    /// then sends what it staged.
    pub fn speak<T>(self: &Arc<Self>, say: impl FnOnce(&Herald, &mut Occasion<'_>) -> T) -> T {
        lend_courier(self, |courier| {
            say(&self.herald, &mut Occasion { now: self.clock.now(), courier, log: None })
        })
    }

    /// The current options.
    pub fn options(&self) -> Arc<Options> {
        self.options.get()
    }
}
