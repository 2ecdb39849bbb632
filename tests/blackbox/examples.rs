//! The files in `conf/`: a server starts from each as it stands, and does what the file says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;

use crate::harness::operator::{Creds, Operator, user};
use crate::harness::pki::Certified;
use crate::harness::secure::{Offer, Secure};
use crate::harness::trial::trials;
use crate::harness::{Log, Raw, Server, Start, run};

trials! {
    Nothing => [
        every_example_has_a_test,
        every_example_is_valid,
        general,
        limits,
        logging,
        lame_duck,
        proxy_protocol,
        variables,
        accounts,
        auth_callout,
        users,
        operator,
        tls,
        the_readme_says_it_with_bare_sockets,
    ],
    Python => [
        the_readme_says_it_in_python,
    ],
    Natsx => [
        toml,
    ],
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Starts a server from one of the examples, on a free port.
#[track_caller]
fn start(name: &'static str) -> Server {
    let server = secured(name);
    exchange(&server);
    server
}

/// The same for an example that lets nobody in without credentials.
#[track_caller]
fn secured(name: &'static str) -> Server {
    Start::config(&text(name)).config_name(name).start()
}

/// A message goes out and comes back.
#[track_caller]
fn exchange(server: &Server) {
    let mut raw = Raw::connect(server);
    raw.send("SUB a 1\r\nPUB a 1\r\nx\r\n");
    raw.expect_message("a", "x");
}

/// The service of the file, as a program of its own would be: asked over NATS, it knows one password.
fn auth_callout() {
    let server = secured("auth_callout.conf");
    crate::callout::serve_the_example(&server);
}

fn examples() -> BTreeSet<String> {
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".conf") || name.ends_with(".toml")).collect()
}

fn every_example_has_a_test() {
    let readme = text("README.md");
    let source = include_str!("examples.rs");
    for name in examples() {
        assert!(readme.contains(&format!("`{name}`")), "conf/README.md doesn't mention {name}");
        assert!(source.contains(&format!("(\"{name}\")")), "no test starts a server from {name}");
    }
}

fn every_example_is_valid() {
    for name in examples() {
        if name.ends_with(".toml") {
            continue;
        }
        let output = run(["-t", "-c", folder().join(&name).to_str().unwrap()]);
        assert_eq!(output.code(), 0, "{name}: {output:?}");
    }
}

fn general() {
    let server = start("general.conf");
    assert_eq!(Raw::greeted(&server).info_field("server_name"), Some("nats_1".into()));
    let pid = std::fs::read_to_string(server.dir().join("natsx.pid")).unwrap();
    assert_eq!(pid, server.pid().to_string());
}

fn limits() {
    let server = start("limits.conf");
    assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some((1 << 20).into()));
}

/// The log file's name is the example's own, so it is looked for where the server was started.
fn logging() {
    let server = Start::config(&text("logging.conf")).log(Log::File("natsx.log")).start();
    exchange(&server);
    server.wait_log("[DBG] ");
}

fn accounts() {
    let server = Start::config(&text("accounts.conf")).config_name("accounts.conf").start();
    let user = |user: &str, password: &str| {
        let options = r#""verbose":false,"pedantic":false,"headers":true"#;
        Raw::connect_as(&server, &format!(r#"{{{options},"user":"{user}","pass":"{password}"}}"#))
    };
    let (mut shop, mut stock, mut report) =
        (user("shop", "buy"), user("stock", "keep"), user("report", "read"));
    stock.send("SUB stock.price.* 1\r\n");
    stock.sync();
    report.send("SUB shop.orders.> 1\r\n");
    report.sync();
    shop.send("SUB answer 1\r\nSUB from.> 2\r\nPUB price.pear answer 0\r\n\r\nPUB orders.new 4\r\npear\r\n");
    let asked = stock.message();
    assert_eq!(asked.subject, "stock.price.pear");
    stock.send(format!("PUB {} 1\r\n3\r\nPUB stock.news 5\r\nplums\r\n", asked.reply.unwrap()));
    shop.expect_message("answer", "3");
    shop.expect_message("from.stock.news", "plums");
    let order = report.message();
    assert!(["shop.orders.v1.new", "shop.orders.v2.new"].contains(&&*order.subject), "{order:?}");
}

fn lame_duck() {
    let server = start("lame_duck.conf");
    assert!(server.dir().join("natsx.pid").exists());
}

fn proxy_protocol() {
    let server = start("proxy_protocol.conf");
    let mut raw = Raw::greeted(&server);
    raw.send(
        "PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\nCONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n",
    );
    raw.expect("PONG");
    raw.sync();
    assert_eq!(raw.info_field("client_ip"), Some("192.0.2.7".into()));
}

fn variables() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(folder().join("limits.conf"), dir.path().join("limits.conf")).unwrap();
    let start = Start::config(&text("variables.conf")).config_name("variables.conf").dir(dir);
    let server = start.start();
    let raw = Raw::greeted(&server);
    assert_eq!(raw.info_field("max_payload"), Some((2 << 20).into()));
    assert_eq!(raw.info_field("server_name"), Some("nats_2".into()));
}

fn toml() {
    let server = start("limits.toml");
    assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some((1 << 20).into()));
    let output = run(["-t", "-c", folder().join("limits.toml").to_str().unwrap()]);
    assert_eq!(output.code(), 0, "{output:?}");
}

/// A client with the password that the example's comments give away.
#[track_caller]
fn log_in(server: &Server, user: &str, password: &str) -> Raw {
    let options = serde_json::json!({
        "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
        "user": user, "pass": password,
    });
    Raw::connect_as(server, &options.to_string())
}

fn users() {
    let server = secured("users.conf");
    let mut anybody = Raw::greeted(&server);
    anybody.send("CONNECT {}\r\n");
    assert_eq!(anybody.closed(), ["-ERR 'Authorization Violation'"]);
    let mut admin = log_in(&server, "admin", "admin of everything, carefully");
    admin.send("SUB sensors.> 1\r\n");
    admin.sync();
    let mut sensor = log_in(&server, "sensor", "sensor in the cellar, humid");
    sensor.send("PUB sensors.cellar.state 3\r\nwet\r\nPUB other 0\r\n\r\nSUB sensors.> 1\r\n");
    admin.expect_message("sensors.cellar.state", "wet");
    sensor.expect("-ERR 'Permissions Violation for Publish to \"other\"'");
    sensor.expect("-ERR 'Permissions Violation for Subscription to \"sensors.>\"'");
    let mut worker = log_in(&server, "worker", "worker that never sleeps once");
    worker.send("SUB requests.> 1\r\nSUB requests.> workers 2\r\n");
    worker.expect("-ERR 'Permissions Violation for Subscription to \"requests.>\"'");
    worker.sync();
    let mut guest = log_in(&server, "guest", "guest who may look and ask");
    guest.send("SUB _INBOX.g 1\r\nPUB requests.a _INBOX.g 1\r\n?\r\n");
    let request = worker.message();
    assert_eq!((request.reply.as_deref(), request.text()), (Some("_INBOX.g"), "?"));
    worker.send("PUB _INBOX.g 1\r\n!\r\nPUB _INBOX.g 1\r\n!\r\n");
    guest.expect_message("_INBOX.g", "!");
    worker.expect("-ERR 'Permissions Violation for Publish to \"_INBOX.g\"'");
    let key = KeyPair::from_seed(text("auditor.nk").trim()).unwrap();
    let mut auditor = Raw::greeted(&server);
    let nonce = auditor.info_field("nonce").unwrap();
    let signature = key.sign(nonce.as_str().unwrap().as_bytes()).unwrap();
    let signature = natsx::server::base::base64::Base64::Url.encode(&signature);
    let options = serde_json::json!({ "verbose": false, "nkey": key.public_key(), "sig": signature });
    auditor.send(format!("CONNECT {options}\r\nSUB public.a 1\r\nSUB private.a 2\r\n"));
    auditor.expect("-ERR 'Permissions Violation for Subscription to \"private.a\"'");
    auditor.sync();
}

/// When the example's claims were signed: 2026-11-29.
const SIGNED: u64 = 1_795_980_000;

/// Signs the operator's example anew, with new keys. The tests do not: it is committed as it is.
///
/// ```text
/// NATSX_SIGN_EXAMPLES=1 cargo test --test blackbox -- blackbox::examples::operator
/// ```
fn sign_the_operators_example() {
    let operator = Operator::new();
    let [shop, books] = [(); 2].map(|()| KeyPair::new_account());
    let orders = serde_json::json!([{ "name": "orders", "subject": "orders.>", "type": "stream" }]);
    let shop_claims = operator.account(&shop, "SHOP", SIGNED, serde_json::json!({ "exports": orders }));
    let import = serde_json::json!([{
        "name": "orders", "subject": "orders.>", "account": shop.public_key(), "type": "stream",
        "local_subject": "shop.orders.>",
    }]);
    let books_claims = operator.account(&books, "BOOKS", SIGNED, serde_json::json!({ "imports": import }));
    let resolver =
        "{\n  type: full\n  dir: \"./jwt\"\n  allow_delete: true\n  interval: \"2m\"\n  timeout: \"1.9s\"\n}";
    let config = operator.config(resolver, &[(&shop, &shop_claims), (&books, &books_claims)]);
    let write = |name: &str, text: &str| std::fs::write(folder().join(name), text).unwrap();
    write("operator.conf", &format!("{OPERATOR_HEAD}{config}"));
    std::fs::create_dir_all(folder().join("operator")).unwrap();
    write("operator/operator.nk", &format!("{}\n", operator.key.seed().unwrap()));
    write("operator/admin.creds", &operator.system_user().file());
    write("operator/shop.creds", &user(&shop, serde_json::json!({})).file());
    let only_reads =
        serde_json::json!({ "pub": { "deny": [">"] }, "sub": { "allow": ["shop.>", "_INBOX.>"] } });
    write("operator/books.creds", &user(&books, only_reads).file());
}

const OPERATOR_HEAD: &str = "\
# Operator mode: accounts and users are claims that an operator and its accounts sign. The server trusts the
# operator; claims of accounts are kept in a directory and can be changed while it runs, over the system account:
#
#   nats --creds conf/operator/admin.creds request '$SYS.REQ.CLAIMS.LIST' ''
#
# conf/operator/ holds the credentials of a user of each account (admin of SYS; shop; books, who only reads) and
# the operator's seed. They are public: make your own, with nsc, before anybody else can reach the server.

port: 4222

";

/// The user of a `.creds` file of the example.
#[track_caller]
fn log_in_with(server: &Server, name: &str) -> Raw {
    Creds::read(&text(&format!("operator/{name}.creds"))).log_in(server)
}

fn operator() {
    if std::env::var_os("NATSX_SIGN_EXAMPLES").is_some() {
        sign_the_operators_example();
    }
    let server = secured("operator.conf");
    let mut shop = log_in_with(&server, "shop");
    let mut books = log_in_with(&server, "books");
    books.send("SUB shop.orders.* 1\r\nPUB a 0\r\n\r\n");
    books.expect("-ERR 'Permissions Violation for Publish to \"a\"'");
    books.sync();
    shop.send("PUB orders.new 2\r\n42\r\n");
    books.expect_message("shop.orders.new", "42");
    let mut admin = log_in_with(&server, "admin");
    admin.send("SUB answers 1\r\nPUB $SYS.REQ.CLAIMS.LIST answers 0\r\n\r\n");
    let list: serde_json::Value = serde_json::from_str(admin.message().text()).unwrap();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(3), "{list}");
    assert_eq!(std::fs::read_dir(server.dir().join("jwt")).unwrap().count(), 3);
}

/// Users by their certificates; paths count from where the server is started.
fn tls() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("conf/tls")).unwrap();
    for file in ["ca.pem", "server.pem", "server.key"] {
        std::fs::copy(folder().join("tls").join(file), dir.path().join("conf/tls").join(file)).unwrap();
    }
    let server = Start::config(&text("tls.conf")).config_name("tls.conf").dir(dir).start();
    let offer = |name: &str| {
        let chain = text(&format!("tls/{name}.pem"));
        Offer::new().certificate(&Certified { chain, key: text(&format!("tls/{name}.key")) })
    };
    let mut ann = Secure::connect(server.addr(), offer("ann")).unwrap();
    ann.send("CONNECT {\"verbose\":false}\r\nSUB sensors.> 1\r\n");
    ann.sync();
    let mut sensor = Secure::connect(server.addr(), offer("sensor")).unwrap();
    sensor.send("CONNECT {\"verbose\":false}\r\nPUB other 0\r\n\r\nPUB sensors.cellar.state 3\r\nwet\r\n");
    assert_eq!(sensor.line(), "-ERR 'Permissions Violation for Publish to \"other\"'");
    assert_eq!([ann.line(), ann.line()], ["MSG sensors.cellar.state 1 3", "wet"]);
    assert!(!crate::tls::is_let_in(&server, Offer::new()), "who shows no certificate stays outside");
}

fn readme() -> String {
    std::fs::read_to_string(folder().join("../README.md")).unwrap()
}

/// The text between `printf '` and the quote behind it, for the line that holds `words`.
fn printf(words: &str) -> String {
    let readme = readme();
    let line = readme.lines().find(|line| line.contains("printf '") && line.contains(words)).unwrap();
    let text = line.split('\'').nth(1).unwrap();
    text.replace("\\r", "\r").replace("\\n", "\n")
}

fn the_readme_says_it_with_bare_sockets() {
    let server = Server::start("");
    let mut subscriber = Raw::greeted(&server);
    subscriber.send(printf("SUB greet"));
    subscriber.sync();
    Raw::greeted(&server).send(printf("PUB greet"));
    subscriber.expect("MSG greet.joe 1 5");
    subscriber.expect("hello");
    assert!(readme().contains("    MSG greet.joe 1 5\n    hello\n"));
}

fn the_readme_says_it_in_python() {
    let server = Server::start("");
    let readme = readme();
    let code = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let code = code.replace("nats://127.0.0.1:4222", &server.url());
    let python = crate::harness::python::interpreter().unwrap();
    let done = std::process::Command::new(python).args(["-c", &code]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "b'hello'\n", "{done:?}");
}
