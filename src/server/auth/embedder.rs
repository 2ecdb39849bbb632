//! The embedder's own way to decide who may connect.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::server::config::options::{ConnectionType, Permissions};
use crate::server::net::PeerCertificate;
use crate::server::protocol::connect::ConnectOptions;

/// Decides instead of the server who may connect, and as whom.
///
/// It replaces all that a configuration says about users. It is asked at each CONNECT, and again for every
/// connection at each reload; who is connected stays so until the answer. The call comes on a thread that may
/// block; some dozens of them wait at once, and a connection that waits for its answer holds up no other. An
/// answer that never comes keeps its thread: give up in time.
///
/// ```
/// use natsx::server::auth::{Admission, Authenticator, Login};
///
/// struct Guests;
///
/// impl Authenticator for Guests {
///     fn authenticate(&self, login: &Login) -> Option<Admission> {
///         (login.options.user == "guest").then(Admission::default)
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// What becomes of a login; `None` refuses it.
    fn authenticate(&self, login: &Login) -> Option<Admission>;
}

/// Somebody who wants to connect.
#[derive(Debug, Clone)]
pub struct Login {
    /// What CONNECT said: user, password, token, nkey, signature, claims and the rest.
    pub options: ConnectOptions,
    /// The nonce that the client was given to sign; empty where it was given none.
    pub nonce: String,
    /// Where it comes from; `None`: from inside this process.
    pub peer: Option<SocketAddr>,
    /// What it connects over.
    pub connection: ConnectionType,
    /// The number of the connection.
    pub id: u64,
    /// The certificate that it presented, verified as the configuration asks for.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// What a connection becomes that was let in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Admission {
    /// The name under which it appears; `None`: the one it gave.
    pub username: Option<String>,
    /// The account it belongs to, one that is configured; `None`: the global one.
    pub account: Option<String>,
    /// What it may do; `None`: everything.
    pub permissions: Option<Permissions>,
    /// When it is closed.
    pub deadline: Option<SystemTime>,
}

/// An authenticator as the server holds it.
#[derive(Clone)]
pub(super) struct Custom(pub(super) Arc<dyn Authenticator>);

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authenticator")
    }
}
