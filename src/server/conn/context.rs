//! What `run` hands to every connection of a server.

use std::sync::Arc;

use super::consult_task::Consultations;
use super::slow::SlowConsumers;
use super::table::Table;
use super::verify_task::Verifiers;
use crate::server::auth::callout::ServerKeys;
use crate::server::base::clock::SystemClock;
use crate::server::base::timers::Timers;
use crate::server::config::options::Options;
use crate::server::config::shared::Shared;
use crate::server::delivery::Herald;
use crate::server::log::Logger;

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
    /// The current options.
    pub fn options(&self) -> Arc<Options> {
        self.options.get()
    }
}
