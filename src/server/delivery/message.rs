//! A message on its way: what it is, and where it comes from.

use std::sync::Arc;

use crate::server::account::Account;
use crate::server::outbound::Outbound;
pub use crate::server::outbound::Outgoing as Message;

/// Where a message comes from, and what its sender asked for.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The sender's own queue.
    pub outbound: &'a Arc<Outbound>,
    /// The account it publishes in.
    pub account: &'a Arc<Account>,
    /// The sender wants its own messages too.
    pub echo: bool,
}
