//! A message on its way: what it is, and where it comes from.

use std::sync::Arc;

use crate::server::account::Account;
use crate::server::events::ClientInfo;
use crate::server::outbound::Outbound;
pub use crate::server::outbound::Outgoing as Message;

/// Where a message comes from, and what its sender asked for.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The sender's own queue.
    pub outbound: &'a Arc<Outbound>,
    /// The account it publishes in.
    pub account: &'a Arc<Account>,
    /// The sender wants its own messages too.
    pub echo: bool,
    /// The sender as services of other accounts get to know it; `None` where the server itself speaks.
    pub peer: Option<&'a dyn Peer>,
}

/// How much is told of who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Its account and its round trip.
    Account,
    /// Besides, the server and its cluster.
    Server,
    /// Everything.
    All,
}

/// A connection that sends requests. It is asked who it is only where a request goes to a service: what others
/// send goes without.
pub trait Peer {
    /// What there is to say of it.
    fn describe(&self, detail: Detail) -> ClientInfo<'_>;
}
