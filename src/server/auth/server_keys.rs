//! The keys of a server: by one it proves who it is, by the other it gets what only it can read.

use nkeys::{KeyPair, XKey};

/// The keys of this server, new at each start.
#[derive(Debug)]
pub struct ServerKeys {
    /// Who the server is; signs what it asks.
    pub identity: KeyPair,
    /// Opens what is sealed for it.
    pub curve: XKey,
}

impl Default for ServerKeys {
    fn default() -> Self {
        Self { identity: KeyPair::new_server(), curve: XKey::new() }
    }
}
