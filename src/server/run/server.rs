//! The assembled server: registries, handles, and what can be asked of it.
//!
//! ```text
//! Running --lame duck--> LameDuck --last client closed--> Stopping --> (wait returns)
//!    '------------------- stop -------------------------------^
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Mutex, oneshot, watch};

use super::ports::PortsFile;
use crate::server::auth::PolicyBuilder;
use crate::server::base::inbox::Inbox;
use crate::server::client::ClientContext;
use crate::server::config::options::Options;
use crate::server::net::listen_task::Gate;

/// How far the server's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Life {
    /// It takes connections.
    Running,
    /// It takes no new ones, and closes those it has, little by little.
    LameDuck,
    /// It closes everything.
    Stopping,
    /// Nothing is left.
    Stopped,
}

/// A running server. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Server {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) client: Arc<ClientContext>,
    /// How logins are to be judged, whatever the options.
    pub(super) policies: PolicyBuilder,
    /// Where clients connect.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) gate: watch::Sender<Gate>,
    pub(super) life: watch::Sender<Life>,
    /// The ports file there is. Held for a whole reload, so that there is one at a time.
    pub(super) ports_file: Mutex<Option<PortsFile>>,
    /// Reloads that the system account has asked for.
    pub(super) reloads: Arc<Inbox<ReloadOrder>>,
}

/// Reloads that may wait at once.
pub(super) const RELOADS_MAX: usize = 16;

/// Somebody in the system account wants the configuration reloaded.
#[derive(Debug)]
pub struct ReloadOrder {
    pub(super) answer: oneshot::Sender<Result<(), String>>,
}

impl ReloadOrder {
    /// Says what came of it, or why nothing did.
    pub fn done(self, outcome: Result<(), String>) {
        // Nobody waits where the server has stopped meanwhile.
        let _ = self.answer.send(outcome);
    }
}

impl Server {
    /// Where clients connect; the ports are those really bound.
    pub fn client_addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// The options in force.
    pub fn options(&self) -> Arc<Options> {
        self.inner.client.conn.options()
    }

    /// The server's public key.
    pub fn id(&self) -> String {
        self.inner.client.info.load().server_id.clone()
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.inner.client.conn.table.count()
    }

    /// The next reload that the system account asks for. Who runs the server reads its configuration again,
    /// [reloads](Self::reload) it and says what came of it; until somebody takes it, whoever asked waits.
    pub async fn reload_order(&self) -> ReloadOrder {
        self.inner.reloads.pop().await
    }

    /// How far the server's life has come.
    pub fn life(&self) -> Life {
        *self.inner.life.borrow()
    }

    /// Completes when the server has stopped.
    pub async fn stopped(&self) {
        let mut life = self.inner.life.subscribe();
        // An error says that the server is gone, which is as good.
        let _ = life.wait_for(|life| *life == Life::Stopped).await;
    }

    /// Advances the server's life; false where it is there already, or beyond.
    pub(super) fn advance(&self, to: Life) -> bool {
        self.inner.life.send_if_modified(|life| {
            let later = *life < to;
            if later {
                *life = to;
            }
            later
        })
    }
}
