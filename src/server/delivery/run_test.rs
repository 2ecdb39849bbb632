//! What a run delivers, against the same messages delivered one by one.

use std::io::Read;
use std::os::unix::net::UnixStream as PeerStream;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::net::UnixStream;

use crate::server::account::Account;
use crate::server::base::clock::ManualClock;
use crate::server::base::rng::Rng;
use crate::server::config::options::WriteTimeout;
use crate::server::delivery::{Courier, Manner, Message, Origin};
use crate::server::interest::{SharedInterest, Subscription};
use crate::server::log::{Levels, Logger};
use crate::server::net::Transport;
use crate::server::outbound::{Outbound, OutboundRules, OutboundStats};
use crate::server::protocol::op::Kind;

const TARGETS: usize = 5;
/// The sender's own queue is this target, at first.
const SENDER: usize = 0;
const SUBJECTS: [&str; 3] = ["a.b", "a.c", "x"];
const PATTERNS: [&str; 6] = ["a.*", "a.b", "a.c", "x", ">", "a.>"];

/// A subscription to be made.
#[derive(Debug, Clone)]
struct Wish {
    target: usize,
    pattern: usize,
    /// In a queue group of its own.
    queue: bool,
    sid_bytes: usize,
}

#[derive(Debug, Clone)]
enum Step {
    Publish {
        subject: usize,
        header_bytes: Option<usize>,
        body_bytes: usize,
        reply: bool,
        times: usize,
    },
    /// The sender is told something.
    Answer,
    /// Another connection publishes from now on.
    Sender(usize),
    /// A subscription gets so many more and ends.
    Limit {
        subscription: usize,
        more: u64,
    },
    Unsubscribe(usize),
    Close(usize),
    Flush,
}

#[derive(Debug, Clone)]
struct Scene {
    wishes: Vec<Wish>,
    takes_headers: [bool; TARGETS],
    echo: bool,
    steps: Vec<Step>,
}

/// One of two equal servers.
struct Side {
    account: Arc<Account>,
    courier: Courier,
    logger: Logger,
    targets: Vec<(Arc<Outbound>, PeerStream)>,
    received: Vec<Vec<u8>>,
    subscriptions: Vec<Subscription>,
    sender: usize,
    echo: bool,
    /// Messages are delivered one by one.
    at_once: bool,
    drops_for_stalling: bool,
    published: usize,
}

/// What a target got, and what is known of it afterwards.
#[derive(Debug, PartialEq)]
struct Outcome {
    received: Vec<String>,
    stats: OutboundStats,
    exhausted: Vec<Box<[u8]>>,
}

/// The operations in `stream`. In which order a message reaches several subscriptions of one
/// connection differs from one server to the next: those of one message are sorted.
fn operations(stream: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stream);
    let mut lines = text.split("\r\n");
    let mut found: Vec<(String, String)> = Vec::new();
    while let Some(line) = lines.next() {
        let payload = if line.contains("MSG ") { lines.next().unwrap_or_default() } else { "" };
        found.push((payload.trim_matches(['h', 'b']).to_owned(), format!("{line} {payload}")));
    }
    let same_message = |one: &(String, String), next: &(String, String)| !one.0.is_empty() && one.0 == next.0;
    found.chunk_by_mut(same_message).for_each(<[_]>::sort);
    found.into_iter().map(|(_, operation)| operation).collect()
}

fn target(id: u64, bytes_max: usize) -> (Arc<Outbound>, PeerStream) {
    let (ours, theirs) = PeerStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let transport = Arc::new(Transport::InProcess(UnixStream::from_std(ours).unwrap()));
    let rules = OutboundRules {
        pending_bytes_max: bytes_max,
        closes: false,
        write_deadline: Duration::from_secs(10),
        write_timeout: WriteTimeout::Default,
    };
    (Arc::new(Outbound::new(id, Kind::Client, transport, rules)), theirs)
}

impl Side {
    fn new(scene: &Scene, at_once: bool) -> Self {
        let clock = Arc::new(ManualClock::default());
        let (logger, _) = Logger::recorded(Levels::default(), clock);
        let targets: Vec<_> = (0..TARGETS).map(|id| target(id as u64, 1 << 20)).collect();
        for ((target, _), &takes) in targets.iter().zip(&scene.takes_headers) {
            target.set_takes_headers(takes);
        }
        let account = Arc::new(Account::new("A", SharedInterest::new()));
        let mut side = Self {
            account,
            courier: Courier::new(Rng::seeded(7)),
            logger,
            targets,
            received: vec![Vec::new(); TARGETS],
            subscriptions: Vec::new(),
            sender: SENDER,
            echo: scene.echo,
            at_once,
            drops_for_stalling: false,
            published: 0,
        };
        scene.wishes.iter().for_each(|wish| side.subscribe(wish));
        side
    }

    fn subscribe(&mut self, wish: &Wish) {
        let number = self.subscriptions.len();
        let sid = format!("{number}{}", "s".repeat(wish.sid_bytes));
        let group = format!("q{number}");
        let queue = wish.queue.then_some(group.as_bytes());
        let target = Arc::clone(&self.targets[wish.target].0);
        let subscription =
            Subscription::new(target, PATTERNS[wish.pattern].as_bytes(), queue, sid.as_bytes());
        self.account.interest().insert(subscription.clone()).unwrap();
        self.subscriptions.push(subscription);
    }

    fn publish(
        &mut self,
        subject: usize,
        header_bytes: Option<usize>,
        payload: &[u8],
        reply: &[u8],
        repeats: bool,
    ) {
        let subject = SUBJECTS[subject].as_bytes();
        let size_text = format!("0{}", payload.len());
        let header_text = header_bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
        let sizes =
            [header_text.as_str(), size_text.as_str()].join(if header_text.is_empty() { "" } else { " " });
        let reply_field = if reply.is_empty() { Vec::new() } else { [reply, b" "].concat() };
        let tail = [b" ", &*reply_field, sizes.as_bytes(), b"\r\n", payload, b"\r\n"].concat();
        // One by one each message is put together, in a run it is passed on as it was written.
        let is_verbatim = !self.at_once && header_bytes != Some(0);
        let message = Message {
            subject,
            reply,
            header_bytes,
            header_text: header_text.as_bytes(),
            size_text: size_text.as_bytes(),
            payload,
            tail: if is_verbatim { &tail } else { b"" },
        };
        let origin = Origin {
            outbound: &self.targets[self.sender].0,
            account: &self.account,
            echo: self.echo,
            peer: None,
        };
        let manner = Manner {
            repeats,
            at_once: self.at_once,
            drops_for_stalling: self.drops_for_stalling,
            now: crate::server::base::clock::Timestamp::default(),
            logger: &self.logger,
            log: None,
        };
        if self.courier.deliver(&origin, &message, manner).stage_full {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut blocked = Vec::new();
        self.courier.flush(&mut |target| blocked.push(Arc::clone(target)), &mut Vec::new());
        for ((target, peer), received) in self.targets.iter_mut().zip(&mut self.received) {
            // Ends with "would block" or with the end of the stream; what was read is there.
            let _ = peer.read_to_end(received);
            if !blocked.iter().any(|other| Arc::ptr_eq(other, target)) {
                continue;
            }
            // The write task's part, by hand.
            while let Some(mut turn) = target.next_turn() {
                while !turn.chunks.is_empty() {
                    turn.chunks
                        .advance(turn.transport.write_now_vectored(&turn.chunks.slices()).unwrap_or(0));
                    let _ = peer.read_to_end(received);
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        if matches!(step, Step::Limit { .. } | Step::Unsubscribe(_) | Step::Close(_)) {
            self.courier.end_run();
        }
        match *step {
            Step::Publish { subject, header_bytes, body_bytes, reply, times } => {
                for time in 0..times {
                    self.published += 1;
                    let payload = format!("{}{:05}", "h".repeat(header_bytes.unwrap_or(0)), self.published);
                    let payload = payload + &"b".repeat(body_bytes);
                    let reply: &[u8] = if reply { b"r" } else { b"" };
                    self.publish(subject, header_bytes, payload.as_bytes(), reply, time > 0);
                }
            }
            Step::Answer => {
                let sender = Arc::clone(&self.targets[self.sender].0);
                self.courier.stage(&sender).own().extend_from_slice(b"+OK\r\n");
            }
            Step::Sender(target) => self.sender = target,
            Step::Limit { subscription, more } => {
                if let Some(subscription) = self.subscriptions.get(subscription) {
                    subscription.set_max(subscription.delivered() + more);
                }
            }
            Step::Unsubscribe(subscription) => {
                if let Some(subscription) = self.subscriptions.get(subscription) {
                    self.account.interest().remove(subscription);
                    subscription.close();
                }
            }
            Step::Close(target) => self.targets[target].0.shut(),
            Step::Flush => self.flush(),
        }
    }

    fn outcome(&mut self) -> (Vec<Outcome>, Vec<u64>) {
        self.flush();
        let outcomes = self.targets.iter().zip(&self.received).map(|((target, _), received)| {
            let mut exhausted = target.take_exhausted();
            exhausted.sort();
            Outcome { received: operations(received), stats: target.stats(), exhausted }
        });
        let outcomes = outcomes.collect();
        (outcomes, self.subscriptions.iter().map(Subscription::delivered).collect())
    }
}

/// Sockets need a runtime to be registered with.
fn in_runtime<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _inside = runtime.enter();
    work()
}

#[track_caller]
fn check(scene: &Scene) {
    in_runtime(|| {
        let [gathered, one_by_one] = [false, true].map(|at_once| {
            let mut side = Side::new(scene, at_once);
            scene.steps.iter().for_each(|step| side.step(step));
            side.outcome()
        });
        for (target, (gathered, one_by_one)) in gathered.0.iter().zip(&one_by_one.0).enumerate() {
            for (at, (got, want)) in gathered.received.iter().zip(&one_by_one.received).enumerate() {
                assert_eq!(got, want, "operation {at} of target {target}");
            }
            assert_eq!(gathered, one_by_one, "target {target}");
        }
        assert_eq!(gathered.1, one_by_one.1, "deliveries of each subscription");
    });
}

fn wish(target: usize, pattern: usize, sid_bytes: usize) -> Wish {
    Wish { target, pattern, queue: false, sid_bytes }
}

fn publish(subject: usize, times: usize) -> Step {
    Step::Publish { subject, header_bytes: None, body_bytes: 3, reply: false, times }
}

fn scene(wishes: Vec<Wish>, steps: Vec<Step>) -> Scene {
    Scene { wishes, takes_headers: [true; TARGETS], echo: true, steps }
}

fn any_step() -> impl Strategy<Value = Step> {
    // Some are too large for a run.
    let body_bytes = prop_oneof![8 => 0_usize..300, 1 => 8180_usize..9500];
    prop_oneof![
        12 => (0..SUBJECTS.len(), prop::option::weighted(0.3, 0_usize..4), body_bytes, any::<bool>(), 1_usize..9)
            .prop_map(|(subject, header_bytes, body_bytes, reply, times)| {
                Step::Publish { subject, header_bytes, body_bytes, reply, times }
            }),
        2 => Just(Step::Answer),
        1 => (0_usize..2).prop_map(Step::Sender),
        2 => (0_usize..8, 0_u64..12).prop_map(|(subscription, more)| Step::Limit { subscription, more }),
        1 => (0_usize..8).prop_map(Step::Unsubscribe),
        1 => (1..TARGETS).prop_map(Step::Close),
        2 => Just(Step::Flush),
    ]
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let sid_bytes = prop_oneof![4 => 0_usize..3, 1 => 60_usize..70];
    (0..TARGETS, 0..PATTERNS.len(), prop::bool::weighted(0.15), sid_bytes)
        .prop_map(|(target, pattern, queue, sid_bytes)| Wish { target, pattern, queue, sid_bytes })
}

proptest! {
    #[test]
    fn receivers_get_what_they_get_one_by_one(
        wishes in prop::collection::vec(any_wish(), 0..7),
        takes_headers in any::<[bool; TARGETS]>(),
        echo in any::<bool>(),
        steps in prop::collection::vec(any_step(), 1..25),
    ) {
        check(&Scene { wishes, takes_headers, echo, steps });
    }
}

#[test]
fn run_over_several_subjects_keeps_their_order() {
    let steps = (0..20).map(|at| publish(at % 2, 1)).collect();
    check(&scene(vec![wish(1, 0, 0), wish(2, 0, 1)], steps));
}

#[test]
fn messages_of_two_senders_are_no_run() {
    let steps = (0..10).flat_map(|at| [Step::Sender(at % 2), publish(0, 1)]).collect();
    check(&Scene { echo: false, ..scene(vec![wish(0, 1, 0), wish(1, 1, 0), wish(2, 1, 0)], steps) });
}

#[test]
fn answer_stands_between_the_messages_before_and_after_it() {
    let steps = vec![publish(0, 5), Step::Answer, publish(0, 5), Step::Answer];
    check(&scene(vec![wish(SENDER, 1, 0), wish(1, 1, 0)], steps));
}

#[test]
fn connection_with_two_subscriptions_gets_each_message_twice_in_a_row() {
    check(&scene(vec![wish(1, 0, 0), wish(1, 1, 0), wish(2, 1, 0)], vec![publish(0, 9)]));
}

#[test]
fn maximum_in_the_middle_of_a_run_cuts_it_and_ends_the_subscription() {
    let limit = Step::Limit { subscription: 0, more: 4 };
    check(&scene(vec![wish(1, 1, 0), wish(2, 1, 0)], vec![limit, publish(0, 9), publish(0, 3)]));
}

#[test]
fn what_was_published_before_unsubscribing_is_still_delivered() {
    let steps = vec![publish(0, 5), Step::Unsubscribe(0), publish(0, 5)];
    check(&scene(vec![wish(1, 1, 0), wish(2, 1, 0)], steps));
}

#[test]
fn header_blocks_are_left_out_for_who_does_not_take_them() {
    let with_headers =
        Step::Publish { subject: 0, header_bytes: Some(3), body_bytes: 10, reply: true, times: 5 };
    let steps = vec![with_headers, publish(0, 3)];
    let mut scene = scene(vec![wish(1, 1, 0), wish(2, 1, 2), wish(3, 1, 0)], steps);
    scene.takes_headers[2] = false;
    check(&scene);
}

#[test]
fn large_block_is_sent_before_it_grows_on() {
    let large = Step::Publish { subject: 0, header_bytes: None, body_bytes: 8000, reply: false, times: 80 };
    check(&scene(vec![wish(1, 1, 0), wish(2, 1, 0)], vec![large]));
}

#[test]
fn payload_too_large_for_a_run_keeps_its_place() {
    let large =
        |times| Step::Publish { subject: 0, header_bytes: None, body_bytes: 9 << 10, reply: false, times };
    let steps = vec![publish(0, 5), large(1), publish(0, 5), large(3), publish(0, 1), large(1)];
    check(&scene(vec![wish(1, 1, 0), wish(2, 1, 0)], steps));
}

#[test]
fn message_for_a_queue_group_keeps_its_place() {
    let in_group = Wish { queue: true, ..wish(2, 3, 0) };
    let steps = vec![publish(0, 5), publish(2, 1), publish(0, 5), publish(2, 3), publish(0, 2)];
    check(&scene(vec![wish(1, 4, 0), in_group], steps));
}

#[test]
fn receiver_that_is_behind_loses_messages_and_nothing_of_its_maximum() {
    for at_once in [false, true] {
        in_runtime(|| {
            let mut side = Side::new(&scene(Vec::new(), Vec::new()), at_once);
            side.drops_for_stalling = true;
            side.targets[1] = target(1, 1000);
            side.subscribe(&wish(1, 1, 0));
            side.subscribe(&wish(2, 1, 0));
            side.subscriptions[0].set_max(3);
            let behind = Arc::clone(&side.targets[1].0);
            side.courier.stage(&behind).own().resize(4 << 20, b'x');
            side.courier.flush(&mut |_| (), &mut Vec::new());
            assert!(behind.is_stalling());
            side.step(&publish(0, 9));
            side.courier.flush(&mut |_| (), &mut Vec::new());
            assert_eq!((behind.stats().messages, side.targets[2].0.stats().messages), (0, 9));
            assert_eq!((side.subscriptions[0].delivered(), side.subscriptions[1].delivered()), (0, 9));
        });
    }
}

#[test]
fn run_is_gathered_and_written_once_for_all() {
    in_runtime(|| {
        let mut side = Side::new(&scene(vec![wish(1, 1, 0), wish(2, 1, 0)], Vec::new()), false);
        side.step(&publish(0, 9));
        // The first is not yet known to begin a run; the others wait.
        assert_eq!(side.subscriptions.iter().map(Subscription::delivered).collect::<Vec<_>>(), [1, 1]);
        side.courier.end_run();
        assert_eq!(side.subscriptions.iter().map(Subscription::delivered).collect::<Vec<_>>(), [9, 9]);
    });
}
