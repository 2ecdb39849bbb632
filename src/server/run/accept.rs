//! A new client connection: its queue, its session, its place in the table.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::server::base::clock::Clock;
use crate::server::base::io_text::io_text;
use crate::server::client::{ClientContext, ClientSession};
use crate::server::config::options::{HandshakeFirst, Options};
use crate::server::conn::opening_task::{self, Opening, OpeningTls};
use crate::server::conn::read_task;
use crate::server::net::Transport;
use crate::server::net::listen_task::Accept;
use crate::server::net::tls_stream::TlsStream;
use crate::server::outbound::{Outbound, OutboundRules};
use crate::server::protocol::op::Kind;

/// What the client listener does with connections.
#[derive(Debug)]
pub(super) struct ClientAccept {
    pub(super) context: Arc<ClientContext>,
    /// Where it listens.
    pub(super) address: String,
}

impl Accept for ClientAccept {
    fn accepted(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Small messages are not to wait for more; an error says that the peer is gone already.
        let _ = stream.set_nodelay(true);
        admit(&self.context, Transport::Tcp(stream), Some(peer));
    }

    fn failed_for_now(&mut self, error: &io::Error, pause: Duration) {
        self.context.conn.logger.error(format_args!(
            "Temporary Client Accept Error({}), sleeping {}ms",
            self.failure(error),
            pause.as_millis()
        ));
    }

    fn failed(&mut self, error: &io::Error) {
        self.context.conn.logger.error(format_args!("Client Accept error: {}", self.failure(error)));
    }
}

impl ClientAccept {
    fn failure(&self, error: &io::Error) -> String {
        format!("accept tcp {}: accept4: {}", self.address, io_text(error))
    }
}

/// Starts the connection of a client inside this process.
pub(super) fn admit_in_process(context: &Arc<ClientContext>, stream: UnixStream) -> Arc<Outbound> {
    admit(context, Transport::InProcess(stream), None)
}

/// Starts a connection, or its refusal; gives its queue.
fn admit(context: &Arc<ClientContext>, transport: Transport, peer: Option<SocketAddr>) -> Arc<Outbound> {
    let conn = &context.conn;
    let options = conn.options();
    let opening = opening(context, &options, peer);
    let tls = opening.as_ref().and_then(|opening| opening.tls.as_ref());
    // Where TLS comes first, there is no INFO before it.
    let greets_at_once = tls.is_none_or(|tls| tls.first == HandshakeFirst::Off);
    let transport = match tls {
        Some(_) => Transport::Tls(Box::new(TlsStream::new(transport))),
        None => transport,
    };
    let rules = OutboundRules {
        pending_bytes_max: usize::try_from(options.max_pending).unwrap_or(0),
        closes: true,
        write_deadline: options.write_deadline,
        write_timeout: options.write_timeout,
    };
    let id = conn.table.next_id();
    let transport = Arc::new(transport);
    let outbound = Arc::new(Outbound::new(id, Kind::Client, Arc::clone(&transport), rules));
    let from = peer.map_or_else(|| "pipe".to_owned(), |peer| peer.to_string());
    outbound.set_label(format!("{from} - cid:{id}").into());
    let connections_max = usize::try_from(options.max_connections).unwrap_or(0);
    // Before the session looks at options and policy: a reload either finds it in the table or has put the
    // new ones there already.
    let is_admitted = conn.table.insert(&outbound, connections_max);
    let mut session = ClientSession::new(Arc::clone(context), Arc::clone(&outbound), peer, conn.clock.now());
    if !is_admitted {
        session.refuse_connection(greets_at_once);
    }
    let queue = Arc::clone(&outbound);
    match opening.filter(|_| is_admitted) {
        Some(opening) => opening_task::start(conn, transport, outbound, session, opening),
        None => read_task::start(conn, transport, outbound, session),
    }
    queue
}

/// What a connection has to do before its session reads, if it has.
fn opening(context: &ClientContext, options: &Options, peer: Option<SocketAddr>) -> Option<Opening> {
    let preamble = options.proxy_protocol && peer.is_some();
    let tls = context.tls.setup().zip(options.tls.as_ref()).map(|(setup, tls)| OpeningTls {
        gate: Arc::clone(&context.tls),
        config: Arc::clone(&setup.server),
        waits: setup.waits(),
        first: tls.handshake_first,
        optional: options.allow_non_tls,
        timeout: tls.timeout,
        pinned: Some(tls.pinned_certs.clone()).filter(|pinned| !pinned.is_empty()),
    });
    (preamble || tls.is_some()).then_some(Opening { peer, preamble, tls })
}
