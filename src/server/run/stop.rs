//! The end of a server: at once, or as a lame duck.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::lame_duck::Plan;
use super::ocsp_cache_task;
use super::server::{Life, Server};
use crate::server::base::rng::Rng;
use crate::server::events::{lame_duck_subject, shutdown_subject};
use crate::server::net::listen_task::Gate;
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;

/// How long a stop waits for connections whose peers still take what they are owed.
const LAST_CONNECTIONS_MAX: Duration = Duration::from_secs(10);

impl Server {
    /// Closes all listeners and connections; completes when they are gone.
    pub async fn stop(&self) {
        if !self.advance(Life::Stopping) {
            self.stopped().await;
            return;
        }
        let conn = &self.inner.client.conn;
        conn.logger.notice(format_args!("Initiating Shutdown..."));
        self.say(&shutdown_subject(conn.herald.server_id()));
        conn.herald.silence();
        self.shut_listeners().await;
        for outbound in conn.table.all() {
            outbound.request_close(CloseReason::ServerShutdown);
        }
        let _ = timeout(LAST_CONNECTIONS_MAX, conn.table.emptied()).await;
        ocsp_cache_task::save(&self.inner.client).await;
        self.remove_ports(&mut *self.inner.ports_file.lock().await);
        conn.logger.notice(format_args!("Server Exiting.."));
        self.advance(Life::Stopped);
    }

    /// Takes no new connections, tells clients to go elsewhere, and closes them little by little;
    /// stops when the last is closed. A second call does nothing.
    pub async fn lame_duck(&self) {
        if !self.advance(Life::LameDuck) {
            return;
        }
        let conn = &self.inner.client.conn;
        conn.logger.notice(format_args!("Entering lame duck mode, stop accepting new clients"));
        self.say(&lame_duck_subject(conn.herald.server_id()));
        self.shut_listeners().await;
        let clients = conn.table.all();
        if clients.is_empty() {
            self.stop().await;
            return;
        }
        self.inner.client.lame_duck.store(true, Ordering::Relaxed);
        for client in &clients {
            client.notify(Notices::INFO);
        }
        let options = self.options();
        if self.pause(options.lame_duck_grace_period).await {
            return;
        }
        conn.logger.notice(format_args!("Closing existing clients"));
        let plan = Plan::new(clients.len(), options.lame_duck_duration, options.lame_duck_grace_period);
        let mut rng = Rng::from_entropy();
        for (at, client) in clients.iter().enumerate() {
            client.request_close(CloseReason::ServerShutdown);
            let last = at + 1 == clients.len();
            let pauses = plan.batch <= 1 || at % plan.batch == 0;
            if !last && pauses && self.pause(plan.pause(rng.fraction())).await {
                return;
            }
        }
        self.stop().await;
    }

    /// Says something of this server in its system account.
    fn say(&self, subject: &str) {
        self.inner.client.conn.speak(|herald, occasion| herald.say_of_itself(occasion, subject));
    }

    /// Closes all listeners; completes when nobody can connect any more.
    async fn shut_listeners(&self) {
        self.inner.gate.send_replace(Gate::Shut);
        // Each listener holds a receiver of the gate for as long as it holds its socket.
        self.inner.gate.closed().await;
    }

    /// Waits for `span`; true where the server stops meanwhile.
    async fn pause(&self, span: Duration) -> bool {
        let mut life = self.inner.life.subscribe();
        timeout(span, life.wait_for(|life| *life >= Life::Stopping)).await.is_ok()
    }
}
