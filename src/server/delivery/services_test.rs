//! Messages that cross from one account into another: imported streams and services.

use std::sync::Arc;
use std::time::Duration;

use crate::server::account::{Account, Registry};
use crate::server::base::clock::{Clock, ManualClock, Timestamp};
use crate::server::base::inbox::Inbox;
use crate::server::base::rng::Rng;
use crate::server::config::options::{
    self, Export, ExportKind, Import, ImportKind, LatencySampling, Mapping, MappingDestination, Options,
    ResponseType, ServiceLatency,
};
use crate::server::delivery::{Courier, Detail, Manner, Message, Origin, Peer};
use crate::server::events::{ClientInfo, LatencyStatus};
use crate::server::interest::{Detour, Subscription};
use crate::server::log::{Levels, Logger};
use crate::server::outbound::Outbound;

/// A client as the server describes it.
struct Client {
    account: Arc<Account>,
    outbound: Arc<Outbound>,
    echo: bool,
}

impl Peer for Client {
    fn describe(&self, detail: Detail) -> ClientInfo<'_> {
        let account = (&**self.account.name()).into();
        let round_trip = Some(Duration::from_nanos(10));
        let mut info = ClientInfo { account, round_trip, ..ClientInfo::default() };
        if detail >= Detail::Server {
            info.server = "srv".into();
        }
        if detail == Detail::All {
            (info.id, info.kind) = (self.outbound.id(), "Client".into());
        }
        info
    }
}

impl Client {
    fn subscribe(&self, subject: &str, queue: Option<&str>, sid: &str) -> Subscription {
        let queue = queue.map(str::as_bytes);
        let sub = Subscription::new(Arc::clone(&self.outbound), subject.as_bytes(), queue, sid.as_bytes());
        self.account.interest().insert(sub.clone()).unwrap();
        sub
    }
}

struct World {
    registry: Registry,
    courier: Courier,
    logger: Logger,
    clock: Arc<ManualClock>,
    clients: u64,
}

impl World {
    fn new(options: &Options) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(Duration::from_secs(1));
        let (logger, _) = Logger::recorded(Levels::default(), Arc::clone(&clock) as Arc<dyn Clock>);
        let registry = Registry::new(options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { registry, courier: Courier::new(Rng::seeded(1)), logger, clock, clients: 0 }
    }

    fn client(&mut self, account: &str) -> Client {
        self.clients += 1;
        let outbound = Arc::new(Outbound::detached(self.clients));
        outbound.set_takes_headers(true);
        Client { account: self.registry.find(account).unwrap(), outbound, echo: true }
    }

    fn publish(&mut self, from: &Client, subject: &str, reply: &str, payload: &str) -> usize {
        self.publish_with(from, subject, reply, "", payload)
    }

    fn publish_with(&mut self, from: &Client, subject: &str, reply: &str, header: &str, body: &str) -> usize {
        let payload = format!("{header}{body}");
        let (header_text, size_text) = (header.len().to_string(), payload.len().to_string());
        let message = Message {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            header_bytes: (!header.is_empty()).then_some(header.len()),
            header_text: header_text.as_bytes(),
            size_text: size_text.as_bytes(),
            payload: payload.as_bytes(),
            tail: b"",
        };
        let origin =
            Origin { outbound: &from.outbound, account: &from.account, echo: from.echo, peer: Some(from) };
        let delivered = self.courier.deliver(&origin, &message, manner(&self.logger));
        self.courier.end_run();
        delivered.count.expect("what is delivered at once is counted")
    }

    /// What was staged for a client since the last call.
    fn got(&mut self, client: &Client) -> String {
        let staged = std::mem::take(self.courier.stage(&client.outbound).own());
        String::from_utf8(staged).unwrap()
    }

    /// The reply subject of the one request that a client got.
    fn reply_of(&mut self, client: &Client) -> String {
        let got = self.got(client);
        let line = got.split("\r\n").next().unwrap_or_default();
        let reply = line.split(' ').find(|word| word.starts_with("_R_."));
        reply.unwrap_or_else(|| panic!("{got}")).to_owned()
    }

    /// Ends what is overdue by now.
    fn expire(&mut self) -> usize {
        let now = self.clock.now();
        let mut count = 0;
        for account in self.registry.common().agenda().take_due(now) {
            for awaited in account.take_overdue(now, usize::MAX) {
                count += 1;
                self.courier.tell_failed(&awaited, LatencyStatus::ServiceTimeout, manner(&self.logger));
            }
        }
        count
    }

    /// Looks at the subscriptions that have ended.
    fn settle_departures(&mut self) -> usize {
        let mut count = 0;
        while let Some(departure) = self.registry.common().departures().try_pop() {
            let Some(account) = self.registry.find(&departure.account) else { continue };
            for awaited in account.take_deserted(&departure.subject) {
                count += 1;
                self.courier.tell_failed(&awaited, LatencyStatus::RequestTimeout, manner(&self.logger));
            }
        }
        count
    }

    fn pending(&self, account: &str) -> (usize, usize) {
        self.registry.find(account).unwrap().pending_requests()
    }
}

fn manner(logger: &Logger) -> Manner<'_> {
    Manner {
        repeats: true,
        at_once: true,
        drops_for_stalling: false,
        now: Timestamp::default(),
        logger,
        log: None,
    }
}

fn account(name: &str, exports: Vec<Export>, imports: Vec<Import>) -> options::Account {
    options::Account { name: name.into(), exports, imports, ..options::Account::default() }
}

fn options(accounts: Vec<options::Account>) -> Options {
    Options { accounts, ..Options::default() }
}

fn stream(subject: &str) -> Export {
    Export { subject: subject.into(), accounts: None, account_token_position: 0, kind: ExportKind::Stream }
}

fn stream_from(account: &str, subject: &str, to: Option<&str>) -> Import {
    let kind = ImportKind::Stream { prefix: None, to: to.map(str::to_owned), allow_trace: false };
    Import { account: account.into(), subject: subject.into(), kind }
}

fn service_of(subject: &str, response_type: ResponseType, latency: Option<LatencySampling>) -> Export {
    let latency = latency.map(|sampling| ServiceLatency { subject: "latency".into(), sampling });
    let kind = ExportKind::Service {
        response_type,
        threshold: Some(Duration::from_secs(1)),
        latency,
        allow_trace: false,
    };
    Export { subject: subject.into(), accounts: None, account_token_position: 0, kind }
}

fn service(subject: &str) -> Export {
    service_of(subject, ResponseType::Singleton, None)
}

/// A service all of whose requests are measured; `results` hears of it.
fn telling(subject: &str, results: &str) -> Export {
    let mut export = service_of(subject, ResponseType::Singleton, Some(LatencySampling::Percent(100)));
    if let ExportKind::Service { latency: Some(latency), .. } = &mut export.kind {
        latency.subject = results.into();
    }
    export
}

fn service_from(account: &str, subject: &str, to: Option<&str>, share: bool) -> Import {
    let kind = ImportKind::Service { to: to.map(str::to_owned), share };
    Import { account: account.into(), subject: subject.into(), kind }
}

/// A offers `news.>`, B sees it as `a.news.>`.
fn newsstand() -> World {
    World::new(&options(vec![
        account("A", vec![stream("news.>")], vec![]),
        account("B", vec![], vec![stream_from("A", "news.>", Some("a.news.>"))]),
    ]))
}

#[test]
fn stream_reaches_the_importer_under_its_subject_and_ends_with_the_subscription() {
    let mut world = newsstand();
    let (a, b) = (world.client("A"), world.client("B"));
    let sub = b.subscribe("a.news.*", None, "7");
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 1);
    assert_eq!(world.publish(&a, "other", "", "x"), 0);
    assert_eq!(world.got(&b), "MSG a.news.eu 7 1\r\nx\r\n");
    b.account.interest().remove(&sub);
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 0);
    assert_eq!(a.account.interest().count(), 0);
}

#[test]
fn maximum_of_a_subscription_counts_what_imports_bring() {
    let mut world = newsstand();
    let (a, b) = (world.client("A"), world.client("B"));
    let sub = b.subscribe(">", None, "7");
    sub.set_max(3);
    let counts = [
        world.publish(&a, "news.eu", "", "1"),
        world.publish(&b, "own", "", "2"),
        world.publish(&a, "news.us", "", "3"),
        world.publish(&a, "news.us", "", "4"),
        world.publish(&b, "own", "", "5"),
    ];
    assert_eq!(counts, [1, 1, 1, 0, 0]);
    assert_eq!((a.account.interest().count(), b.account.interest().count()), (0, 0));
    assert_eq!(b.outbound.take_exhausted(), [Box::from(*b"7")]);
}

#[test]
fn queue_group_is_one_over_both_accounts() {
    let mut world = newsstand();
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("news.*", Some("q"), "1");
    b.subscribe("a.news.*", Some("q"), "2");
    let counts: Vec<_> = (0..50).map(|_| world.publish(&a, "news.eu", "", "x")).collect();
    assert_eq!(counts, [1; 50]);
    let (own, imported) = (world.got(&a), world.got(&b));
    let (own, imported) =
        (own.matches("MSG news.eu 1 1").count(), imported.matches("MSG a.news.eu 2 1").count());
    assert!(own + imported == 50 && own > 0 && imported > 0, "{own} {imported}");
}

#[test]
fn inbox_of_the_server_gets_what_imports_bring() {
    let mut world = newsstand();
    let (a, b) = (world.client("A"), world.client("B"));
    let inbox = Arc::new(Inbox::new(1));
    let detour = Detour::Inbox(Arc::clone(&inbox));
    let sub = Subscription::with_detour(Arc::clone(b.account.outbound()), detour, b"a.news.*", None, b"");
    b.account.interest().insert(sub).unwrap();
    assert_eq!(world.publish(&a, "news.eu", "r", "x"), 1);
    assert_eq!(world.publish(&a, "news.eu", "r", "y"), 0, "it is full");
    let letter = inbox.try_pop().unwrap();
    assert_eq!((&*letter.subject, &*letter.reply, letter.body()), (&b"a.news.eu"[..], &b"r"[..], &b"x"[..]));
}

#[test]
fn reload_gives_and_takes_imports_of_subscriptions_that_are_there() {
    let without = options(vec![account("A", vec![stream("news.>")], vec![]), account("B", vec![], vec![])]);
    let with = options(vec![
        account("A", vec![stream("news.>")], vec![]),
        account("B", vec![], vec![stream_from("A", "news.>", None)]),
    ]);
    let mut world = World::new(&without);
    let (a, b) = (world.client("A"), world.client("B"));
    b.subscribe("news.eu", None, "1");
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 0);
    world.registry.update(&with).unwrap();
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 1);
    world.registry.update(&with).unwrap();
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 1, "once, not twice");
    world.registry.update(&without).unwrap();
    assert_eq!(world.publish(&a, "news.eu", "", "x"), 0);
    assert_eq!(a.account.interest().count(), 0);
}

/// A serves `svc.*`, B asks it as `ask.*`.
fn helpdesk(export: Export, share: bool) -> World {
    World::new(&options(vec![
        account("A", vec![export], vec![]),
        account("B", vec![], vec![service_from("A", "svc.*", Some("ask.*"), share)]),
    ]))
}

#[test]
fn request_crosses_and_its_one_answer_comes_back() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    b.subscribe("inbox", None, "2");
    assert_eq!(world.publish(&b, "ask.me", "inbox", "hi"), 1);
    let got = world.got(&a);
    let reply = got.split(' ').nth(3).unwrap().to_owned();
    let info = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"B\",\"rtt\":10}\r\n\r\n";
    assert_eq!(got, format!("HMSG svc.me 1 {reply} {} {}\r\n{info}hi\r\n", info.len(), info.len() + 2));
    let parts: Vec<_> = reply.split('.').collect();
    assert!(
        parts[0] == "_R_" && parts.len() == 3 && parts[1..].iter().all(|part| part.len() == 6),
        "{reply}"
    );
    assert_eq!((world.pending("A"), world.pending("B")), ((1, 0), (0, 1)));
    assert_eq!(world.publish(&a, &reply, "", "ok"), 1);
    assert_eq!(world.got(&b), "MSG inbox 2 2\r\nok\r\n");
    assert_eq!((world.pending("A"), world.pending("B")), ((0, 0), (0, 0)));
    // Who answers twice is not told, and nobody else is either.
    assert_eq!(world.publish(&a, &reply, "", "again"), 1);
    assert_eq!(world.got(&b), "");
}

#[test]
fn answer_that_nobody_takes_is_no_failure_for_its_sender() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    world.publish(&b, "ask.me", "nowhere", "hi");
    let reply = world.reply_of(&a);
    assert_eq!(world.publish(&a, &reply, "", "ok"), 1);
    assert_eq!((world.got(&b), world.pending("A")), (String::new(), (0, 0)));
}

#[test]
fn stream_of_answers_ends_with_one_that_nobody_takes() {
    let mut world = helpdesk(service_of("svc.*", ResponseType::Stream, None), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    world.publish(&b, "ask.me", "nowhere", "hi");
    let reply = world.reply_of(&a);
    world.publish(&a, &reply, "", "1");
    assert_eq!((world.pending("A"), world.pending("B")), ((0, 0), (0, 0)));
}

#[test]
fn import_goes_by_the_export_of_its_own_subject_if_there_is_one() {
    let exports = vec![service("svc.*"), service_of("svc.me", ResponseType::Stream, None)];
    let described = options(vec![
        account("A", exports, vec![]),
        account("B", vec![], vec![service_from("A", "svc.me", None, false)]),
    ]);
    let mut world = World::new(&described);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.me", None, "1");
    b.subscribe("inbox", None, "2");
    world.publish(&b, "svc.me", "inbox", "hi");
    let reply = world.reply_of(&a);
    world.registry.update(&described).unwrap();
    assert!(b.account.service(1).is_some(), "what stays through a reload is found by who is on the way");
    world.publish(&a, &reply, "", "1");
    world.publish(&a, &reply, "", "2");
    assert_eq!(world.got(&b), "MSG inbox 2 1\r\n1\r\nMSG inbox 2 1\r\n2\r\n");
}

#[test]
fn one_member_of_a_group_at_the_service_gets_each_request() {
    let mut world = helpdesk(service("svc.*"), false);
    let (one, other, b) = (world.client("A"), world.client("A"), world.client("B"));
    one.subscribe("svc.>", Some("q"), "1");
    other.subscribe("svc.>", Some("q"), "2");
    let taken: usize = (0..50).map(|_| world.publish(&b, "ask.me", "inbox", "hi")).sum();
    assert_eq!(taken, 50);
    let counts = [&one, &other].map(|member| world.got(member).matches("HMSG svc.me").count());
    assert!(counts[0] > 0 && counts[1] > 0 && counts[0] + counts[1] == 50, "{counts:?}");
}

#[test]
fn sender_is_described_as_far_as_the_import_shares() {
    let mut world = helpdesk(service("svc.*"), true);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    let forged = "Nats-Request-Info: forged\r\nnats-request-info : forged\r\nOther: 1\nNats-Request-Info:x";
    let header = format!("NATS/1.0\r\n{forged}\r\n\r\n");
    world.publish_with(&b, "ask.me", "", &header, "hi");
    let got = world.got(&a);
    let info = r#"Nats-Request-Info: {"id":2,"acc":"B","rtt":10,"server":"srv","kind":"Client"}"#;
    assert!(got.ends_with(&format!("\r\nNATS/1.0\r\nOther: 1\n{info}\r\n\r\nhi\r\n")), "{got}");
}

#[test]
fn nobody_behind_the_import_is_nobody_and_nothing_is_awaited() {
    let mut world = helpdesk(service("svc.*"), false);
    let b = world.client("B");
    b.subscribe("inbox", None, "2");
    assert_eq!(world.publish(&b, "ask.me", "inbox", "hi"), 0);
    assert_eq!((world.pending("A"), world.pending("B")), ((0, 0), (0, 0)));
}

#[test]
fn streamed_answers_come_until_an_empty_one() {
    for response_type in [ResponseType::Stream, ResponseType::Chunked] {
        let mut world = helpdesk(service_of("svc.*", response_type, None), false);
        let (a, b) = (world.client("A"), world.client("B"));
        a.subscribe("svc.>", None, "1");
        b.subscribe("inbox", None, "2");
        world.publish(&b, "ask.me", "inbox", "hi");
        let reply = world.reply_of(&a);
        for payload in ["1", "2", ""] {
            world.publish(&a, &reply, "", payload);
        }
        assert_eq!(world.pending("A"), (0, 0));
        world.publish(&a, &reply, "", "late");
        assert_eq!(world.got(&b), "MSG inbox 2 1\r\n1\r\nMSG inbox 2 1\r\n2\r\nMSG inbox 2 0\r\n\r\n");
    }
}

#[test]
fn answers_are_awaited_up_to_the_threshold_after_the_last_one() {
    let mut world = helpdesk(service_of("svc.*", ResponseType::Stream, None), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    b.subscribe("inbox", None, "2");
    world.publish(&b, "ask.me", "inbox", "hi");
    let reply = world.reply_of(&a);
    world.clock.advance(Duration::from_millis(900));
    world.publish(&a, &reply, "", "1");
    world.clock.advance(Duration::from_millis(900));
    assert_eq!(world.expire(), 0);
    world.clock.advance(Duration::from_millis(100));
    assert_eq!(world.expire(), 1);
    assert_eq!((world.pending("A"), world.pending("B")), ((0, 0), (0, 0)));
    world.publish(&a, &reply, "", "late");
    assert_eq!(world.got(&b), "MSG inbox 2 1\r\n1\r\n");
}

#[test]
fn overdue_requests_are_taken_as_many_at_a_time_as_wanted() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    for _ in 0..3 {
        world.publish(&b, "ask.me", "inbox", "hi");
    }
    world.clock.advance(Duration::from_secs(1));
    let now = world.clock.now();
    assert_eq!([2, 2, 2].map(|count| a.account.take_overdue(now, count).len()), [2, 1, 0]);
    assert_eq!((world.pending("A"), world.pending("B")), ((0, 0), (0, 0)));
}

#[test]
fn answer_that_nobody_awaits_any_more_is_forgotten() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    let subs = [b.subscribe("inbox.*", None, "2"), b.subscribe("inbox.1", None, "3")];
    for reply in ["inbox.1", "inbox.2", "inbox.2.x", "other"] {
        world.publish(&b, "ask.me", reply, "hi");
    }
    b.account.interest().remove(&subs[0]);
    assert_eq!(world.settle_departures(), 1, "inbox.1 is still heard, inbox.2.x and other never were");
    b.account.interest().remove(&subs[1]);
    assert_eq!(world.settle_departures(), 1);
    assert_eq!((world.pending("A"), world.pending("B")), ((2, 0), (0, 2)));
}

#[test]
fn flood_of_requests_gives_up_the_oldest() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    let long = "x".repeat(60_000);
    let mut ask = |number| {
        world.publish(&b, "ask.me", &format!("{number:04}{long}"), "");
        world.reply_of(&a)
    };
    let subjects: Vec<_> = (0..2500).map(&mut ask).collect();
    let is_awaited = |subject: &String| a.account.expected(subject.as_bytes()).is_some();
    assert_eq!((is_awaited(&subjects[0]), is_awaited(&subjects[2499])), (false, true));
    let (expected, awaited) = (world.pending("A").0, world.pending("B").1);
    assert_eq!(expected, awaited);
    assert!((2000..2500).contains(&awaited), "{awaited}");
}

#[test]
fn acknowledgements_keep_their_reply_and_answers_may_be_answered() {
    let mut world = helpdesk(service("svc.*"), false);
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("svc.>", None, "1");
    b.subscribe("inbox", None, "2");
    world.publish(&b, "ask.me", "$JS.ACK.x", "");
    assert!(world.got(&a).starts_with("HMSG svc.me 1 $JS.ACK.x "));
    world.publish(&b, "ask.me", "inbox", "");
    let reply = world.reply_of(&a);
    a.subscribe("back", None, "3");
    world.publish(&a, &reply, "back", "and you?");
    let back = world.reply_of(&b);
    world.publish(&b, &back, "", "fine");
    assert_eq!(world.got(&a), "MSG back 3 4\r\nfine\r\n");
}

#[test]
fn chain_of_imports_says_through_which_account_and_back() {
    let mut world = World::new(&options(vec![
        account("A", vec![service("a")], vec![]),
        account("B", vec![service("b")], vec![service_from("A", "a", Some("b"), false)]),
        account("C", vec![], vec![service_from("B", "b", Some("c"), false)]),
    ]));
    let (a, c) = (world.client("A"), world.client("C"));
    a.subscribe("a", None, "1");
    c.subscribe("inbox", None, "2");
    assert_eq!(world.publish(&c, "c", "inbox", "hi"), 1);
    let got = world.got(&a);
    assert!(got.contains(r#"Nats-Request-Info: {"acc":"C","svc":"B","rtt":10}"#), "{got}");
    let reply = got.split(' ').nth(3).unwrap().to_owned();
    assert_eq!(world.publish(&a, &reply, "", "ok"), 1);
    assert_eq!(world.got(&c), "MSG inbox 2 2\r\nok\r\n");
}

#[test]
fn import_that_shares_behind_one_that_does_not_tells_the_server_only() {
    let mut world = World::new(&options(vec![
        account("A", vec![service("a")], vec![]),
        account("B", vec![service("b")], vec![service_from("A", "a", Some("b"), true)]),
        account("C", vec![], vec![service_from("B", "b", Some("c"), false)]),
    ]));
    let (a, c) = (world.client("A"), world.client("C"));
    a.subscribe("a", None, "1");
    world.publish(&c, "c", "", "hi");
    let got = world.got(&a);
    assert!(got.contains(r#"Info: {"acc":"C","svc":"B","rtt":10,"server":"srv"}"#), "{got}");
}

#[test]
fn imports_in_a_circle_stop_where_they_began() {
    // No configuration may say this; the delivery stands it anyhow.
    let mut world = World::new(&options(vec![
        account("A", vec![service("x")], vec![service_from("B", "x", None, false)]),
        account("B", vec![service("x")], vec![service_from("A", "x", None, false)]),
    ]));
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("x", None, "1");
    assert_eq!(world.publish(&b, "x", "", "hi"), 1);
    assert_eq!(world.got(&a).matches("HMSG x 1").count(), 1);
}

#[test]
fn what_came_through_a_service_is_not_exported_as_a_stream() {
    let mut world = World::new(&options(vec![
        account("A", vec![service("x"), stream("x")], vec![]),
        account("B", vec![], vec![service_from("A", "x", None, false)]),
        account("C", vec![], vec![stream_from("A", "x", None)]),
    ]));
    let (a, b, c) = (world.client("A"), world.client("B"), world.client("C"));
    a.subscribe("x", None, "1");
    c.subscribe("x", None, "2");
    assert_eq!(world.publish(&b, "x", "", "hi"), 1);
    assert_eq!(world.got(&c), "");
    assert_eq!(world.publish(&a, "x", "", "hi"), 2);
}

#[test]
fn exporters_mappings_are_for_requests_too() {
    let mut a = account("A", vec![service("svc.*")], vec![]);
    let to = MappingDestination { subject: "v2".into(), weight: 100, cluster: None };
    a.mappings.push(Mapping { source: "svc.me".into(), destinations: vec![to] });
    let b = account("B", vec![], vec![service_from("A", "svc.*", None, false)]);
    let mut world = World::new(&options(vec![a, b]));
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("v2", None, "1");
    assert_eq!(world.publish(&b, "svc.me", "", "hi"), 1);
    assert!(world.got(&a).starts_with("HMSG v2 1 "));
}

#[test]
fn one_request_reaches_every_account_it_is_imported_from() {
    let mut world = World::new(&options(vec![
        account("A", vec![service("x")], vec![]),
        account("B", vec![service("x")], vec![]),
        account("C", vec![], vec![service_from("A", "x", None, false), service_from("B", "x", None, false)]),
    ]));
    let (a, b, c) = (world.client("A"), world.client("B"), world.client("C"));
    a.subscribe("x", None, "1");
    b.subscribe("x", None, "1");
    assert_eq!(world.publish(&c, "x", "", "hi"), 2);
}

/// A measures all requests; gives the world with a server and a requestor, and who hears the figures.
fn measured(sampling: LatencySampling) -> (World, Client, Client, Client) {
    let mut world = helpdesk(service_of("svc.*", ResponseType::Singleton, Some(sampling)), false);
    let (a, b, ear) = (world.client("A"), world.client("B"), world.client("A"));
    a.subscribe("svc.>", None, "1");
    b.subscribe("inbox", None, "2");
    ear.subscribe("latency", None, "3");
    (world, a, b, ear)
}

/// The document that was heard, from its status on.
fn heard(world: &mut World, ear: &Client) -> String {
    let got = world.got(ear);
    let at = got.find(r#""status""#).unwrap_or(0);
    got[at..].trim_end().to_owned()
}

#[test]
fn answered_request_is_measured() {
    let (mut world, a, b, ear) = measured(LatencySampling::Percent(100));
    world.publish(&b, "ask.me", "inbox", "hi");
    let reply = world.reply_of(&a);
    world.clock.advance(Duration::from_nanos(100));
    world.publish(&a, &reply, "", "ok");
    let requestor = r#""requestor":{"acc":"B","rtt":10}"#;
    let responder = r#""responder":{"id":1,"acc":"A","rtt":10,"server":"srv","kind":"Client"}"#;
    let start = r#""start":"1970-01-01T00:00:00.99999999Z""#;
    let want =
        format!(r#""status":200,{requestor},{responder},{start},"service":90,"system":0,"total":110}}"#);
    assert_eq!(heard(&mut world, &ear), want);
    assert_eq!(world.got(&b), "MSG inbox 2 2\r\nok\r\n");
}

#[test]
fn answer_that_is_answered_is_measured_and_shared_like_the_request() {
    let measured = || service_of("svc.*", ResponseType::Singleton, Some(LatencySampling::Percent(100)));
    for (share, requestor) in [
        (false, r#""requestor":{"acc":"A","rtt":10},"#),
        (true, r#""requestor":{"id":1,"acc":"A","rtt":10,"server":"srv","kind":"Client"},"#),
    ] {
        let mut world = helpdesk(measured(), share);
        let (a, b, ear) = (world.client("A"), world.client("B"), world.client("B"));
        a.subscribe("svc.>", None, "1");
        b.subscribe("inbox", None, "2");
        ear.subscribe("latency", None, "3");
        world.publish(&b, "ask.me", "inbox", "hi");
        let reply = world.reply_of(&a);
        world.publish(&a, &reply, "back", "and you?");
        let back = world.reply_of(&b);
        world.publish(&b, &back, "", "fine");
        let heard = heard(&mut world, &ear);
        assert!(heard.starts_with(r#""status":200"#) && heard.contains(requestor), "{heard}");
    }
}

#[test]
fn requests_that_come_to_nothing_are_measured() {
    let requestor = r#""requestor":{"acc":"B","rtt":10},"start":"1970-01-01T00:00:00.99999999Z""#;
    let rest = r#""service":0,"system":0,"total":0}"#;
    let want =
        |status: &str, text: &str| format!(r#""status":{status},"description":"{text}",{requestor},{rest}"#);
    let (mut world, _, b, ear) = measured(LatencySampling::Percent(100));
    world.publish(&b, "ask.me", "", "hi");
    assert_eq!(heard(&mut world, &ear), want("400", "Bad Request"));
    world.publish(&b, "ask.me", "inbox", "hi");
    world.clock.advance(Duration::from_secs(1));
    world.expire();
    assert_eq!(heard(&mut world, &ear), want("504", "Service Timeout"));

    let (mut world, _, b, ear) = measured(LatencySampling::Percent(100));
    let gone = b.subscribe("gone", None, "4");
    world.publish(&b, "ask.me", "gone", "hi");
    b.account.interest().remove(&gone);
    world.settle_departures();
    assert_eq!(heard(&mut world, &ear), want("408", "Request Timeout"));

    let mut world =
        helpdesk(service_of("svc.*", ResponseType::Singleton, Some(LatencySampling::Percent(100))), false);
    let (b, ear) = (world.client("B"), world.client("A"));
    ear.subscribe("latency", None, "3");
    world.publish(&b, "ask.me", "inbox", "hi");
    assert_eq!(heard(&mut world, &ear), want("503", "Service Unavailable"));
}

#[test]
fn headers_ask_for_a_measurement_and_are_told() {
    let (mut world, a, b, ear) = measured(LatencySampling::Headers);
    world.publish(&b, "ask.me", "inbox", "hi");
    let reply = world.reply_of(&a);
    world.publish(&a, &reply, "", "ok");
    assert_eq!(world.got(&ear), "");
    world.publish_with(&b, "ask.me", "inbox", "NATS/1.0\r\nX-B3-Sampled: 1\r\n\r\n", "hi");
    let reply = world.reply_of(&a);
    world.publish(&a, &reply, "", "ok");
    let heard = heard(&mut world, &ear);
    assert!(heard.contains(r#""header":{"X-B3-Sampled":["1"]},"start""#), "{heard}");
}

#[test]
fn figures_that_are_requests_themselves_are_not_measured() {
    // What A tells of `s` is a request to B, what B tells of `t` one to A.
    let mut world = World::new(&options(vec![
        account("A", vec![telling("s", "m")], vec![service_from("B", "t", Some("m"), false)]),
        account("B", vec![telling("t", "n")], vec![service_from("A", "s", Some("n"), false)]),
    ]));
    let (ear, b) = (world.client("B"), world.client("B"));
    ear.subscribe("t", None, "1");
    ear.subscribe("n", None, "2");
    assert_eq!(world.publish(&b, "n", "", "hi"), 1);
    let got = world.got(&ear);
    assert_eq!((got.matches("MSG t 1 ").count(), got.matches("MSG n 2 ").count()), (1, 1), "{got}");
}

#[test]
fn system_account_learns_which_server_a_request_came_to() {
    let mut world = World::new(&Options {
        system_account: Some("A".into()),
        ..options(vec![
            account("A", vec![service("x")], vec![]),
            account("B", vec![], vec![service_from("A", "x", None, false)]),
        ])
    });
    let (a, b) = (world.client("A"), world.client("B"));
    a.subscribe("x", None, "1");
    world.publish(&b, "x", "", "hi");
    let got = world.got(&a);
    assert!(got.contains(r#"Nats-Request-Info: {"acc":"B","rtt":10,"server":"srv"}"#), "{got}");
}

#[test]
fn message_with_too_many_ways_takes_some_of_them() {
    // Each account imports the service of all that come after it: 2^18 ways from the first to the last.
    // What is told of it on its way goes all of these ways again.
    const ACCOUNTS: usize = 20;
    let name = |number: usize| format!("A{number:02}");
    for export in [service("x"), telling("x", "x")] {
        let accounts = (0..ACCOUNTS).map(|number| {
            let after = number + 1..ACCOUNTS;
            let imports = after.map(|exporter| service_from(&name(exporter), "x", None, false)).collect();
            account(&name(number), vec![export.clone()], imports)
        });
        let mut world = World::new(&options(accounts.collect()));
        let (first, last) = (world.client(&name(0)), world.client(&name(ACCOUNTS - 1)));
        last.subscribe("x", None, "1");
        first.subscribe("inbox", None, "2");
        assert!(world.publish(&first, "x", "inbox", "hi") > 0);
        assert!(world.publish(&first, "x", "", "hi") > 0, "the next message has its own budget");
        let taken = world.got(&last).matches("HMSG x 1 ").count();
        assert!((2..2 * 1024).contains(&taken), "{taken}");
        assert!(world.pending(&name(0)).1 < 1024);
    }
}
