//! What connections cost the server: system calls to deliver, memory while nothing happens.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Start};

trials! { Nothing => [
    deliveries_to_one_client_are_coalesced_into_few_writes,
    an_idle_connection_takes_little_memory,
], Reference => [
    an_idle_connection_takes_no_more_memory_than_the_reference_s,
] }

/// A figure that the system keeps of the server's process.
#[track_caller]
fn figure(server: &Server, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", server.pid())).expect("a process of our own");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next());
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

fn deliveries_to_one_client_are_coalesced_into_few_writes() {
    const MESSAGES: u64 = 2000;
    let server = Server::start("");
    let mut receiver = Raw::connect(&server);
    receiver.send("SUB a 1\r\n");
    receiver.sync();
    let mut sender = Raw::connect(&server);
    let burst = "PUB a 2\r\nhi\r\n".repeat(MESSAGES as usize);
    let before = figure(&server, "io", "syscw:");
    sender.send(burst);
    for _ in 0..MESSAGES {
        receiver.expect_message("a", "hi");
    }
    let writes = figure(&server, "io", "syscw:") - before;
    assert!((1..MESSAGES / 20).contains(&writes), "{writes} writes for {MESSAGES} messages");
}

/// Bytes of resident memory that each of many idle connections adds.
#[track_caller]
fn bytes_a_connection(start: Start) -> u64 {
    const CONNECTIONS: usize = 2000;
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum.or(Some(1 << 16)), maximum: limit.maximum };
    setrlimit(Resource::Nofile, wanted).expect("up to the maximum");
    let server = start.start();
    // What the first ones make the server set up is not theirs.
    let _first: Vec<Raw> = (0..20).map(|_| Raw::connect(&server)).collect();
    let before = figure(&server, "status", "VmRSS:");
    let connections: Vec<Raw> = (0..CONNECTIONS).map(|_| Raw::connect(&server)).collect();
    let after = figure(&server, "status", "VmRSS:");
    (after.saturating_sub(before) << 10) / connections.len() as u64
}

fn an_idle_connection_takes_little_memory() {
    let bytes = bytes_a_connection(Start::config(""));
    // Less than one read buffer under load.
    assert!(bytes < 64 << 10, "{bytes} bytes a connection");
}

fn an_idle_connection_takes_no_more_memory_than_the_reference_s() {
    let ours = bytes_a_connection(Start::config(""));
    let theirs = bytes_a_connection(Start::config("").reference());
    // The reference against itself differs by a little.
    assert!(ours * 4 <= theirs * 5, "{ours} bytes a connection, the reference {theirs}");
}
