//! A store made by `nsc` works as it is: its configurations start a server, its users log in and may do what
//! their claims say, its accounts are pushed. `tests/fixtures/nsc` says how it was made. Each conversation is
//! played with the reference too.

use std::path::{Path, PathBuf};

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, Subscriber};
use futures_util::StreamExt as _;
use natsx::server::jwt::{AccountClaims, UserClaims, parse_creds};
use serde_json::Value;

use crate::harness::client::soon;
use crate::harness::python::script;
use crate::harness::trial::trials;
use crate::harness::{Nats, Server, Start, block_on};

trials! { Reference => [
    each_user_is_let_in_or_refused_as_its_claims_say,
    accounts_share_what_their_claims_say,
    users_may_do_what_their_claims_say,
    accounts_are_pushed_and_pulled,
], Python => [
    the_python_client_uses_the_credentials,
] }

const ACCOUNTS: [&str; 5] = ["SYS", "SHOP", "DESK", "ROLES", "SMALL"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nsc").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn token(account: &str) -> String {
    text(&format!("accounts/{account}.jwt")).trim().to_owned()
}

fn key(account: &str) -> String {
    AccountClaims::decode(&token(account)).unwrap().envelope.subject
}

/// Both servers, started from this file of the store.
fn servers(config: &str) -> [Server; 2] {
    let config = text(config);
    [Start::config(&config), Start::config(&config).reference()].map(Start::start)
}

async fn options(user: &str) -> ConnectOptions {
    ConnectOptions::with_credentials_file(file(&format!("creds/{user}.creds"))).await.unwrap()
}

async fn log_in(server: &Server, user: &str) -> Client {
    options(user).await.connect(server.url()).await.unwrap_or_else(|error| panic!("{user}: {error}"))
}

async fn next(messages: &mut Subscriber) -> (String, String) {
    let message = soon("a message", messages.next()).await.expect("the subscription is open");
    (message.subject.to_string(), String::from_utf8_lossy(&message.payload).into_owned())
}

/// Waits until the server has taken what this client sent: an answer to a request comes behind it.
async fn settled(client: &Client) {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    next(&mut answers).await;
}

fn each_user_is_let_in_or_refused_as_its_claims_say() {
    for server in servers("memory.conf") {
        block_on(async {
            for user in ["admin", "clerk", "reader", "bearer", "agent", "ann", "one"] {
                log_in(&server, user).await;
            }
            for user in ["elsewhere", "browser", "gone"] {
                let error = options(user).await.connect(server.url()).await.unwrap_err();
                assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation, "{user}: {error}");
            }
        });
    }
}

fn accounts_share_what_their_claims_say() {
    for server in servers("memory.conf") {
        block_on(async {
            let (clerk, agent) = (log_in(&server, "clerk").await, log_in(&server, "agent").await);
            let mut heard = agent.subscribe(">").await.unwrap();
            let mut asked = clerk.subscribe("stock.ask").await.unwrap();
            let mut latency = clerk.subscribe("stock.latency").await.unwrap();
            settled(&clerk).await;
            settled(&agent).await;
            // What the agent sent itself to settle.
            next(&mut heard).await;
            for (subject, want) in [
                ("orders.eu.1", "shop.orders.eu.1"),
                ("prices.tea", "price.tea"),
                (&format!("accounts.{}.bills", key("DESK")), "bills"),
            ] {
                clerk.publish(subject.to_owned(), "x".into()).await.unwrap();
                assert_eq!(next(&mut heard).await, (want.to_owned(), "x".to_owned()));
            }
            // It has no activation for this one, and that is another account's.
            for subject in ["prices.coffee".to_owned(), format!("accounts.{}.bills", key("SMALL"))] {
                clerk.publish(subject, "x".into()).await.unwrap();
            }
            let question = agent.request("stock", "tea".into());
            let answer = async {
                let question = soon("the question", asked.next()).await.unwrap();
                assert_eq!(&*question.payload, b"tea");
                let info = question.headers.as_ref().and_then(|headers| headers.get("Nats-Request-Info"));
                let info: Value = serde_json::from_str(info.unwrap().as_str()).unwrap();
                // The import shares who asks.
                assert_eq!((&info["acc"], &info["name_tag"]), (&key("DESK").into(), &"agent".into()));
                clerk.publish(question.reply.unwrap(), "7".into()).await.unwrap();
            };
            let (answer, ()) = tokio::join!(question, answer);
            assert_eq!(&*answer.unwrap().payload, b"7");
            let metric: Value = serde_json::from_str(&next(&mut latency).await.1).unwrap();
            assert_eq!((&metric["status"], &metric["requestor"]["acc"]), (&200.into(), &key("DESK").into()));
        });
    }
}

/// What the server complains of when this is done.
async fn complaint(server: &Server, user: &str, subscribe: Option<&str>, publish: &str) -> String {
    let mut nats = Nats::connect_with(options(user).await, &[server]).await;
    let mut subscriptions = Vec::new();
    if let Some(subject) = subscribe {
        subscriptions.push(nats.client.subscribe(subject.to_owned()).await.unwrap());
    }
    nats.client.publish(publish.to_owned(), "x".into()).await.unwrap();
    let error = |event: &Event| matches!(event, Event::ServerError(_));
    nats.event("a complaint", error).await.to_string()
}

fn users_may_do_what_their_claims_say() {
    let ann = UserClaims::decode(&parse_creds(&text("creds/ann.creds")).unwrap().token).unwrap();
    let ann = ann.envelope.subject;
    for server in servers("memory.conf") {
        block_on(async {
            for (user, subscribe, publish, want) in [
                ("reader", None, "orders.1", "publish to \"orders.1\""),
                ("reader", Some("orders.1.2"), "x", "subscription to \"orders.1.2\""),
                ("ann", None, "team.green.x", "publish to \"team.green.x\""),
                ("ann", None, "ROLES.bob", "publish to \"roles.bob\""),
                ("ann", Some("inbox.x"), "ROLES.ann", "subscription to \"inbox.x\""),
                ("one", None, "secret.x", "publish to \"secret.x\""),
            ] {
                let said = complaint(&server, user, subscribe, publish).await.to_lowercase();
                assert!(said.contains(&format!("permissions violation for {want}")), "{user}: {said}");
            }
            // What the role lets her do, and no more than one subscription of it.
            let mut nats = Nats::connect_with(options("ann").await, &[&server]).await;
            let _inbox = nats.client.subscribe(format!("inbox.{ann}")).await.unwrap();
            for subject in ["team.red.a", "team.blue.a.b", "ROLES.ann"] {
                nats.client.publish(subject, "x".into()).await.unwrap();
            }
            let _second = nats.client.subscribe(format!("inbox.{ann}")).await.unwrap();
            let event = nats.event("a complaint", |event| matches!(event, Event::ServerError(_))).await;
            assert!(event.to_string().contains("maximum subscriptions exceeded"), "{event}");
            // One connection, a mapping, and a payload of 64 bytes at most.
            let small = log_in(&server, "one").await;
            let mut mapped = small.subscribe("new.*").await.unwrap();
            small.publish("old.x", "1".into()).await.unwrap();
            assert_eq!(next(&mut mapped).await, ("new.x".to_owned(), "1".to_owned()));
            let error = options("one").await.connect(server.url()).await.unwrap_err().to_string();
            assert!(error.contains("maximum account active connections exceeded"), "{error}");
        });
    }
}

fn accounts_are_pushed_and_pulled() {
    for server in servers("full.conf") {
        block_on(async {
            let admin = log_in(&server, "admin").await;
            let ask = async |subject: String, body: String| {
                soon("an answer", admin.request(subject, body.into())).await.unwrap().payload
            };
            let read = |answer: &[u8]| serde_json::from_slice::<Value>(answer).unwrap();
            for account in ACCOUNTS {
                let answer = read(&ask("$SYS.REQ.CLAIMS.UPDATE".into(), token(account)).await);
                let data = &answer["data"];
                assert_eq!((&data["code"], &data["account"]), (&200.into(), &key(account).into()));
            }
            let listed = read(&ask("$SYS.REQ.CLAIMS.LIST".into(), String::new()).await);
            assert_eq!(listed["data"].as_array().unwrap().len(), ACCOUNTS.len());
            for account in ACCOUNTS {
                let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", key(account));
                assert_eq!(ask(subject, String::new()).await, token(account));
                let kept = server.dir().join(format!("jwt/{}.jwt", key(account)));
                assert_eq!(std::fs::read_to_string(kept).unwrap(), token(account));
            }
            // The users of accounts that were pushed come in.
            for user in ["clerk", "agent", "ann", "one"] {
                log_in(&server, user).await;
            }
        });
    }
}

fn the_python_client_uses_the_credentials() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("creds")).unwrap();
    for user in ["clerk", "bearer", "elsewhere", "browser", "gone"] {
        let name = format!("creds/{user}.creds");
        std::fs::copy(file(&name), dir.path().join(&name)).unwrap();
    }
    script("store", &[&Start::config(&text("memory.conf")).dir(dir).start()]);
}
