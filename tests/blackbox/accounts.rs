//! Accounts side by side: what crosses from one into another, and what does not.

use std::collections::BTreeSet;

use async_nats::{ConnectOptions, RequestErrorKind, Subscriber};
use futures_util::StreamExt;

use crate::harness::client::soon;
use crate::harness::trial::trials;
use crate::harness::{Chance, Nats, Raw, Server, Start, block_on};

trials! { Nothing => [
    a_request_crosses_into_the_account_that_serves_it,
    a_request_that_nobody_serves_fails_at_once,
    many_requests_of_several_accounts_each_get_their_own_answer,
    a_stream_reaches_every_importer_under_its_own_subject,
    messages_of_one_publisher_arrive_in_order_whichever_way_they_take,
], Reference => [
    random_conversations_between_accounts_get_the_same_answers,
] }

const MARKET: &str = r#"accounts {
    A { users: [{ user: a, password: p }],
        exports: [{ service: "svc.*" }, { stream: "news.>" }] }
    B { users: [{ user: b, password: p }],
        imports: [{ service: { account: A, subject: "svc.*" }, to: "ask.*" },
                  { stream: { account: A, subject: "news.>" }, prefix: a }] }
    C { users: [{ user: c, password: p }],
        imports: [{ service: { account: A, subject: "svc.*" } },
                  { stream: { account: A, subject: "news.>" }, to: "heard.>" }] }
}"#;

async fn client(server: &Server, user: &str) -> Nats {
    Nats::connect_with(ConnectOptions::with_user_and_password(user.to_owned(), "p".to_owned()), &[server])
        .await
}

/// A service in account A that answers with what it was asked.
async fn serve(server: &Server) -> Nats {
    let nats = client(server, "a").await;
    let mut requests = nats.client.subscribe("svc.*").await.unwrap();
    nats.flush().await;
    let answers = nats.client.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let reply = request.reply.expect("a request has a reply");
            answers.publish(reply, request.payload).await.expect("the service is connected");
        }
    });
    nats
}

async fn next(messages: &mut Subscriber) -> (String, String) {
    let message = soon("a message", messages.next()).await.expect("the subscription is open");
    (message.subject.to_string(), String::from_utf8_lossy(&message.payload).into_owned())
}

fn a_request_crosses_into_the_account_that_serves_it() {
    let server = Server::start(MARKET);
    block_on(async {
        let _service = serve(&server).await;
        let asking = client(&server, "b").await;
        let answer = soon("an answer", asking.client.request("ask.me", "hi".into())).await.unwrap();
        assert_eq!(&answer.payload[..], b"hi");
        let other = asking.client.request("svc.me", "hi".into());
        assert!(soon("a refusal", other).await.is_err(), "the exporter's subject is not the importer's");
    });
}

fn a_request_that_nobody_serves_fails_at_once() {
    let server = Server::start(MARKET);
    block_on(async {
        let asking = client(&server, "b").await;
        let refused = soon("a refusal", asking.client.request("ask.me", "hi".into())).await.unwrap_err();
        assert_eq!(refused.kind(), RequestErrorKind::NoResponders);
    });
}

fn many_requests_of_several_accounts_each_get_their_own_answer() {
    const EACH: usize = 200;
    let server = Server::start(MARKET);
    block_on(async {
        let _service = serve(&server).await;
        let (b, c) = (client(&server, "b").await, client(&server, "c").await);
        let asked = |nats: &Nats, subject: &'static str| {
            let client = nats.client.clone();
            (0..EACH).map(move |number| {
                let (client, text) = (client.clone(), format!("{subject} {number}"));
                async move {
                    let answer = client.request(subject, text.clone().into()).await.expect("an answer");
                    assert_eq!(&answer.payload[..], text.as_bytes());
                }
            })
        };
        let all: Vec<_> = asked(&b, "ask.x").map(futures_util::future::FutureExt::boxed).collect();
        let others: Vec<_> = asked(&c, "svc.y").map(futures_util::future::FutureExt::boxed).collect();
        let all = futures_util::future::join_all(all.into_iter().chain(others));
        assert_eq!(soon("all answers", all).await.len(), 2 * EACH);
    });
}

fn a_stream_reaches_every_importer_under_its_own_subject() {
    let server = Server::start(MARKET);
    block_on(async {
        let (a, b, c) = (client(&server, "a").await, client(&server, "b").await, client(&server, "c").await);
        let mut prefixed = b.client.subscribe("a.news.*").await.unwrap();
        let mut renamed = c.client.subscribe("heard.>").await.unwrap();
        b.flush().await;
        c.flush().await;
        a.client.publish("news.eu", "hi".into()).await.unwrap();
        a.client.flush().await.unwrap();
        assert_eq!(next(&mut prefixed).await, ("a.news.eu".to_owned(), "hi".to_owned()));
        assert_eq!(next(&mut renamed).await, ("heard.eu".to_owned(), "hi".to_owned()));
    });
}

/// Subjects that go to plain subscribers, to importers, and to both: runs of messages are gathered
/// for some of them and not for others.
fn messages_of_one_publisher_arrive_in_order_whichever_way_they_take() {
    const MESSAGES: usize = 3000;
    let server = Server::start(MARKET);
    let user = |user: &str| {
        let options = format!(r#"{{"verbose":false,"pedantic":false,"user":"{user}","pass":"p"}}"#);
        Raw::connect_as(&server, &options)
    };
    let (mut publisher, mut own, mut importer) = (user("a"), user("a"), user("b"));
    own.send("SUB plain 1\r\nSUB news.> 2\r\n");
    own.sync();
    importer.send("SUB a.news.both 1\r\n");
    importer.sync();
    let mut chance = Chance::new(7);
    let mut sent = Vec::new();
    let mut bytes = Vec::new();
    let mut subject = "plain";
    for number in 0..MESSAGES {
        if chance.below(3) == 0 {
            subject = chance.of(&["plain", "news.own", "news.both"]);
        }
        let text = number.to_string();
        bytes.extend_from_slice(format!("PUB {subject} {}\r\n{text}\r\n", text.len()).as_bytes());
        sent.push((subject, text));
    }
    publisher.send(&bytes);
    publisher.sync();
    for (subject, text) in &sent {
        own.expect_message(subject, text);
    }
    for (_, text) in sent.iter().filter(|(subject, _)| *subject == "news.both") {
        importer.expect_message("a.news.both", text);
    }
}

/// Accounts that import from each other, both streams and services.
const NEIGHBOURS: &str = r#"accounts {
    A { users: [{ user: a, password: p }],
        exports: [{ stream: "s.>" }, { service: "q.*" }, { service: many, response_type: stream }],
        imports: [{ stream: { account: B, subject: "t.*.x" }, to: "from.b.$1" },
                  { service: { account: B, subject: "help.b" }, to: help }] }
    B { users: [{ user: b, password: p }],
        mappings: { "map.me": "help.b" },
        exports: [{ stream: "t.*.x" }, { service: "help.b" }],
        imports: [{ stream: { account: A, subject: "s.>" }, prefix: a },
                  { service: { account: A, subject: "q.*" }, to: "ask.*" },
                  { service: { account: A, subject: many } }] }
}"#;

const SUBJECTS: [&str; 26] = [
    "s.1", "s.1.2", "s.*", "s.>", "t.1.x", "t.2.x", "t.2.y", "t.*.x", "from.b.1", "from.b.*", "from.>",
    "a.s.1", "a.>", "*.s.*", ">", "q.1", "q.*", "many", "ask.1", "ask.*", "help", "help.b", "map.me", "in.1",
    "in.*", "*.1.>",
];

/// One thing that one of the two does.
#[derive(Debug, Clone)]
enum Deed {
    Say(String),
    /// Answers the last request that it got.
    Answer {
        payload: &'static str,
        reply: &'static str,
    },
}

/// The two at one of the servers.
struct Pair {
    connections: [Raw; 2],
    /// The last reply subject that each saw.
    asked: [Option<String>; 2],
}

impl Pair {
    fn new(server: &Server, options: &str) -> Self {
        let connections = ["a", "b"].map(|user| {
            let options =
                format!(r#"{{"verbose":false,"pedantic":false,"user":"{user}","pass":"p"{options}}}"#);
            Raw::connect_as(server, &options)
        });
        Self { connections, asked: [None, None] }
    }

    /// Does it, and gives what each then heard, in no order: which subscription is served first is
    /// nobody's promise.
    fn act(&mut self, who: usize, deed: &Deed) -> Vec<String> {
        let said = match deed {
            Deed::Say(text) => text.clone(),
            Deed::Answer { payload, reply } => match &self.asked[who] {
                Some(subject) => format!("PUB {subject} {reply}{}\r\n{payload}\r\n", payload.len()),
                None => String::new(),
            },
        };
        self.connections[who].send(said);
        let mut heard = Vec::new();
        for at in [who, 1 - who] {
            self.connections[at].send("PING\r\n");
            let mut lines = Vec::new();
            while let Some(line) = self.connections[at].try_line().filter(|line| line != "PONG") {
                lines.push(self.shown(at, &line));
            }
            lines.sort();
            heard.extend(lines.into_iter().map(|line| format!("{at}: {line}")));
        }
        heard
    }

    /// A line as both servers would say it, with the payload of a message behind it.
    fn shown(&mut self, at: usize, line: &str) -> String {
        if !line.contains("MSG ") {
            return line.to_owned();
        }
        let mut words: Vec<&str> = line.split(' ').collect();
        let size = words.pop().and_then(|size| size.parse().ok()).unwrap_or(0);
        if words[0] == "HMSG" {
            words.pop();
        }
        if let Some(reply) = words.get(3).filter(|reply| reply.starts_with("_R_.")) {
            self.asked[at] = Some((*reply).to_owned());
        }
        let words: Vec<_> =
            words.iter().map(|word| if word.starts_with("_R_.") { "_R_" } else { *word }).collect();
        let payload = self.connections[at].bytes(size + 2).expect("a payload");
        let payload = payload.escape_ascii().to_string();
        if payload.starts_with("NATS/1.0 503") {
            // On which of several subscriptions is nobody's promise.
            return format!("{} {payload}", words[1]);
        }
        // The round trip is nobody's promise either.
        let (before, behind) = payload.split_once(r#"\"rtt\":"#).unwrap_or((&payload, ""));
        format!(
            "{} {before} {}",
            words.join(" "),
            behind.trim_start_matches(|digit: char| digit.is_ascii_digit())
        )
    }
}

fn deed(chance: &mut Chance, number: usize) -> Deed {
    let subject = chance.of(&SUBJECTS);
    let sid = chance.of(&["1", "2", "3", "4"]);
    let payload = chance.of(&["", "x", "hello"]);
    let reply = chance.of(&["", "in.1 ", "in.2 ", "other "]);
    Deed::Say(match chance.below(16) {
        0..5 => format!("SUB {subject} {sid}\r\n"),
        5 => format!("SUB {subject} group{number} {sid}\r\n"),
        6 => format!("UNSUB {sid}\r\n"),
        7 => {
            let header =
                chance.of(&["NATS/1.0\r\nA: b\r\n\r\n", "NATS/1.0\r\nNats-Request-Info: me\r\n\r\n"]);
            let total = header.len() + payload.len();
            format!("HPUB {subject} {reply}{} {total}\r\n{header}{payload}\r\n", header.len())
        }
        8..11 => {
            let payload = chance.of(&["", "ok", "more"]);
            return Deed::Answer { payload, reply: chance.of(&["", "", "in.1 "]) };
        }
        _ => format!("PUB {subject} {reply}{}\r\n{payload}\r\n", payload.len()),
    })
}

fn random_conversations_between_accounts_get_the_same_answers() {
    let seeds = std::env::var("SEED").map_or_else(|_| (1..=10).collect(), |seed| vec![seed.parse().unwrap()]);
    let ours = Start::config(NEIGHBOURS).start();
    let theirs = Start::config(NEIGHBOURS).reference().start();
    for seed in seeds {
        let mut chance = Chance::new(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1);
        let options = chance.of(&[
            r#","headers":true,"no_responders":true"#,
            r#","headers":true,"echo":false"#,
            r#","headers":true"#,
        ]);
        let (mut our_pair, mut their_pair) = (Pair::new(&ours, options), Pair::new(&theirs, options));
        let mut done = BTreeSet::new();
        for number in 0..200 {
            let (who, deed) = (chance.below(2), deed(&mut chance, number));
            let (want, got) = (their_pair.act(who, &deed), our_pair.act(who, &deed));
            assert_eq!(got, want, "seed {seed}, step {number}: {who} does {deed:?}, before: {done:?}");
            done.insert(format!("{number:03} {who} {deed:?}"));
        }
    }
}
