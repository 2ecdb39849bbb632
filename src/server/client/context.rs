//! What `run` hands to every client connection.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;

use crate::server::account::Registry;
use crate::server::auth::{Policy, WantedAccounts};
use crate::server::conn::{Context, TlsGate};
use crate::server::protocol::info::Info;
use crate::server::resolver::ClaimSource;

/// Shared by all client connections of one server.
#[derive(Debug)]
pub struct ClientContext {
    /// What all connections share.
    pub conn: Arc<Context>,
    /// The accounts.
    pub accounts: Registry,
    /// By what logins are judged.
    pub policy: ArcSwap<Policy>,
    /// Where accounts are asked for that are not in use yet.
    pub wanted: WantedAccounts,
    /// What INFO says, but for what differs from client to client.
    pub info: ArcSwap<Info>,
    /// TLS of the client listener.
    pub tls: Arc<TlsGate>,
    /// Where account claims are asked for, in operator mode.
    pub claim_source: Option<ClaimSource>,
    /// The server takes no new clients; those it has are told so, once.
    pub lame_duck: AtomicBool,
}
