//! The files in `conf/`: a server starts from each as it stands, and does what the file says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
        auth_callout,
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
    let server = Start::config(&text(name)).config_name(name).start();
    exchange(&server);
    server
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
    let server = Start::config(&text("auth_callout.conf")).config_name("auth_callout.conf").start();
    crate::callout::serve_the_example(&server);
}

fn examples() -> BTreeSet<String> {
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "README.md").collect()
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
