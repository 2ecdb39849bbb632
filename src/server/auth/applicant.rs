//! Somebody who wants to connect: all that is known of it when it is decided.

use std::net::SocketAddr;
use std::sync::Arc;

use super::grant::Grant;
use crate::server::account::Registry;
use crate::server::base::clock::Timestamp;
use crate::server::config::options::ConnectionType;
use crate::server::net::PeerCertificate;
use crate::server::protocol::connect::ConnectOptions;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Applicant<'a> {
    /// What CONNECT said.
    pub said: &'a ConnectOptions,
    /// The nonce that it was given; empty for none.
    pub nonce: &'a str,
    /// What it connects over.
    pub connection: ConnectionType,
    /// It speaks TLS.
    pub is_secured: bool,
    /// It has presented other certificates behind its own.
    pub has_chain: bool,
    /// The certificate that it presented, where it matters.
    pub certificate: Option<&'a Arc<PeerCertificate>>,
    /// Where it comes from; `None`: from inside this process.
    pub peer: Option<SocketAddr>,
    /// The number of the connection.
    pub id: u64,
    /// The moment at which it is decided.
    pub now: Timestamp,
    /// The accounts in use.
    pub accounts: &'a Registry,
    /// What came of the look-up of its account, if there was one.
    pub looked_up: Option<&'a Result<(), Box<str>>>,
    /// What it has become before, where a reload asks again: what was proven need not be proven anew.
    pub held: Option<&'a Grant>,
}
