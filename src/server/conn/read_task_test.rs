//! A connection's life, with a session that does what its bytes tell it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::super::session::Consumed;
use super::*;
use crate::server::config::options::{Options, WriteTimeout};
use crate::server::log::Recorder;
use crate::server::outbound::OutboundRules;

/// Echoes bytes; `!` panics, `.` closes, `s` writes to another, `n…` is an operation of n kibibytes.
struct Obedient {
    outbound: Arc<Outbound>,
    other: Option<Arc<Outbound>>,
    closed: mpsc::UnboundedSender<CloseReason>,
}

impl Session for Obedient {
    fn opened(&mut self, _now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        courier.stage(&self.outbound).own().extend_from_slice(b"hello");
        Ok(())
    }

    fn received(
        &mut self,
        _now: Timestamp,
        input: &[u8],
        courier: &mut Courier,
    ) -> Result<Consumed, CloseReason> {
        let out = courier.stage(&self.outbound).own();
        match input.first() {
            None => return Ok(Consumed { bytes: 0, need: 1 }),
            Some(b'!') => panic!("told to"),
            Some(b's') => {
                if let Some(other) = &self.other {
                    courier.stage(other).own().extend_from_slice(&[0; 10]);
                    courier.stage(other).count_message(10);
                }
                return Ok(Consumed { bytes: 1, need: 0 });
            }
            Some(b'.') => {
                out.extend_from_slice(b"bye");
                return Err(CloseReason::ProtocolViolation);
            }
            Some(&size) if size >= 200 => {
                let need = (usize::from(size) - 199) << 10;
                if input.len() < need {
                    return Ok(Consumed { bytes: 0, need });
                }
                let sum: u64 = input[..need].iter().map(|&byte| u64::from(byte)).sum();
                out.extend_from_slice(&sum.to_be_bytes());
                return Ok(Consumed { bytes: need, need: 0 });
            }
            Some(_) => {}
        }
        out.extend_from_slice(&input[..1]);
        Ok(Consumed { bytes: 1, need: 0 })
    }

    fn notified(&mut self, _: Timestamp, _: Notices, courier: &mut Courier) -> Result<(), CloseReason> {
        courier.stage(&self.outbound).own().extend_from_slice(b"heard");
        Ok(())
    }

    fn last_words(&mut self, reason: CloseReason, courier: &mut Courier) {
        courier.stage(&self.outbound).own().extend_from_slice(reason.text().as_bytes());
    }

    fn due(&mut self, _: Timestamp, _: &mut Courier) -> Result<(), CloseReason> {
        Ok(())
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn closed(&mut self, _: Timestamp, reason: CloseReason, _: &mut Courier) {
        let _ = self.closed.send(reason);
    }
}

struct Bench {
    context: Arc<Context>,
    log: Recorder,
}

impl Bench {
    fn new() -> Self {
        let (context, log) = Context::recorded(Options::default());
        Self { context: Arc::new(context), log }
    }

    fn connect(&self) -> (UnixStream, Arc<Outbound>, mpsc::UnboundedReceiver<CloseReason>) {
        self.connect_beside(None)
    }

    fn connect_beside(
        &self,
        other: Option<Arc<Outbound>>,
    ) -> (UnixStream, Arc<Outbound>, mpsc::UnboundedReceiver<CloseReason>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let transport = Arc::new(Transport::InProcess(ours));
        let rules = OutboundRules {
            pending_bytes_max: 1 << 20,
            closes: true,
            write_deadline: Duration::from_secs(10),
            write_timeout: WriteTimeout::Default,
        };
        let id = self.context.table.next_id();
        let outbound = Arc::new(Outbound::new(id, Kind::Client, Arc::clone(&transport), rules));
        assert!(self.context.table.insert(&outbound, 100));
        let (closed, closing) = mpsc::unbounded_channel();
        let session = Obedient { outbound: Arc::clone(&outbound), other, closed };
        start(&self.context, transport, Arc::clone(&outbound), session);
        (theirs, outbound, closing)
    }
}

async fn expect(peer: &mut UnixStream, want: &[u8]) {
    let mut got = vec![0; want.len()];
    peer.read_exact(&mut got).await.unwrap();
    assert_eq!(got, want);
}

#[tokio::test]
async fn panic_closes_its_own_connection_only() {
    let bench = Bench::new();
    let (mut bad, _, mut closing) = bench.connect();
    let (mut good, _, _) = bench.connect();
    expect(&mut bad, b"hello").await;
    expect(&mut good, b"hello").await;
    bad.write_all(b"!").await.unwrap();
    assert_eq!(bad.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(closing.recv().await, Some(CloseReason::InternalClient));
    good.write_all(b"x").await.unwrap();
    expect(&mut good, b"x").await;
    assert_eq!(bench.context.table.count(), 1);
    let lines = bench.log.lines();
    assert!(
        lines.iter().any(|line| line.contains("Internal error, closing this connection: told to")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn last_words_reach_the_peer_although_it_sent_more() {
    let bench = Bench::new();
    let (mut peer, _, mut closing) = bench.connect();
    peer.write_all(b".and much more that nobody reads").await.unwrap();
    let mut all = Vec::new();
    peer.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"hellobye");
    assert_eq!(closing.recv().await, Some(CloseReason::ProtocolViolation));
}

#[tokio::test]
async fn large_operation_is_gathered_and_the_next_one_found() {
    let bench = Bench::new();
    let (mut peer, _, _closing) = bench.connect();
    expect(&mut peer, b"hello").await;
    let large = [vec![255], vec![1; (56 << 10) - 1]].concat();
    for _ in 0..3 {
        peer.write_all(&large).await.unwrap();
        peer.write_all(b"z").await.unwrap();
    }
    let sum = 255 + (56_u64 << 10) - 1;
    for _ in 0..3 {
        expect(&mut peer, &[sum.to_be_bytes().as_slice(), b"z"].concat()).await;
    }
}

#[tokio::test]
async fn operations_behind_a_stalled_receiver_are_handled_without_new_bytes() {
    let bench = Bench::new();
    let (_asleep, slow, _) = bench.connect();
    // More than the socket takes, and than three quarters of what may wait.
    let mut much = crate::server::outbound::Staged::default();
    much.own().resize(1_010_000, 0);
    if slow.flush(&mut much) == crate::server::outbound::Flushed::Blocked {
        write_task::start(&slow, &bench.context);
    }
    assert!(slow.is_stalling());
    let (mut peer, _, _closing) = bench.connect_beside(Some(Arc::clone(&slow)));
    expect(&mut peer, b"hello").await;
    peer.write_all(b"sssx").await.unwrap();
    expect(&mut peer, b"x").await;
}

#[tokio::test]
async fn end_of_the_peer_is_client_closed() {
    let bench = Bench::new();
    let (mut peer, _, mut closing) = bench.connect();
    expect(&mut peer, b"hello").await;
    drop(peer);
    assert_eq!(closing.recv().await, Some(CloseReason::ClientClosed));
}

#[tokio::test]
async fn owner_hears_notices_and_close_requests() {
    let bench = Bench::new();
    let (mut peer, outbound, mut closing) = bench.connect();
    expect(&mut peer, b"hello").await;
    outbound.notify(Notices::INFO);
    expect(&mut peer, b"heard").await;
    outbound.request_close(CloseReason::Kicked);
    outbound.request_close(CloseReason::StaleConnection);
    expect(&mut peer, b"Kicked").await;
    assert_eq!(closing.recv().await, Some(CloseReason::Kicked));
    bench.context.table.emptied().await;
}

#[test]
fn idle_connection_s_future_is_small() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let transport = Arc::new(Transport::InProcess(ours));
    let outbound = Arc::new(Outbound::detached(1));
    let session =
        Obedient { outbound: Arc::clone(&outbound), other: None, closed: mpsc::unbounded_channel().0 };
    let connection = Connection {
        context: Arc::clone(&bench.context),
        transport,
        outbound,
        input: Input::default(),
        timer: None,
        opened: false,
        session,
    };
    let session_size = size_of::<Obedient>();
    let size = size_of_val(&connection.run()) - session_size;
    assert!(size <= 128, "{size} bytes beside the session");
}
