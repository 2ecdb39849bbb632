//! The official Rust client, with its events at hand.

use std::future::Future;

use async_nats::{Client, ConnectOptions, Event};
use tokio::sync::mpsc;

use super::server::Server;
use super::wait::PATIENCE;

/// Runs a test's future to its end.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test)
}

/// A connected client and what it reports about its connection.
pub(crate) struct Nats {
    pub(crate) client: Client,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Nats {
    /// A client of this server.
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::connect_with(ConnectOptions::new(), &[server]).await
    }

    /// A client that knows these servers and tries them in this order.
    pub(crate) async fn connect_with(options: ConnectOptions, servers: &[&Server]) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
        let client = options
            .retain_servers_order()
            .event_callback(move |event| {
                let sender = sender.clone();
                // A test that has ended no longer listens.
                async move { drop(sender.send(event)) }
            })
            .connect(urls)
            .await
            .expect("the client connects");
        Self { client, events }
    }

    /// Waits for the first event that `wanted` accepts.
    pub(crate) async fn event(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the client still reports");
                if wanted(&event) {
                    return event;
                }
            }
        };
        soon(what, search).await
    }

    /// Waits until the server has taken everything sent so far.
    pub(crate) async fn flush(&self) {
        soon("a flush", self.client.flush()).await.expect("the client flushes");
        // async-nats flushes to its socket only; a request that nobody answers is a round trip.
        let nobody = self.client.request(self.client.new_inbox(), "".into());
        assert!(soon("a round trip", nobody).await.is_err(), "somebody answered an inbox");
    }
}

/// Waits for a future that must not take for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
