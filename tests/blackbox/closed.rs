//! Why a connection was closed, as the debug log tells it.

use rustix::net::sockopt::set_socket_linger;
use std::time::Duration;

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Signal, Start};

trials! { Nothing => [
    a_client_that_goes,
    a_client_that_breaks_the_protocol,
    a_client_that_exceeds_a_limit,
    a_client_that_fails_to_introduce_itself,
    a_client_that_falls_silent,
    a_client_of_a_server_that_goes,
    keepalive_of_the_kernel_is_off,
] }

fn server(config: &str) -> Server {
    Start::config(config).args(&["-D"]).start()
}

/// Sends this as a fresh client; the log must give this reason.
#[track_caller]
fn check(server: &Server, said: &str, reason: &str) {
    let mark = server.log_mark();
    let mut raw = Raw::greeted(server);
    raw.send(said);
    let line = server.wait_log_after(mark, "Client connection closed: ");
    assert!(line.ends_with(&format!("Client connection closed: {reason}")), "{said:?}: {line}");
}

const HELLO: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

fn a_client_that_goes() {
    let server = server("");
    let mark = server.log_mark();
    drop(Raw::connect(&server));
    server.wait_log_after(mark, "Client connection closed: Client Closed");
    // No lingering: the kernel answers the close with a reset.
    let mark = server.log_mark();
    let raw = Raw::connect(&server);
    set_socket_linger(raw.socket(), Some(Duration::ZERO)).unwrap();
    drop(raw);
    server.wait_log_after(mark, "Client connection closed: Read Error");
}

fn a_client_that_breaks_the_protocol() {
    let server = server("");
    check(&server, "NONSENSE\r\n", "Protocol Violation");
    check(&server, "SUB\r\n", "Protocol Violation");
    check(&server, &format!("{HELLO}PUB a 1\r\nxx\r\n"), "Protocol Violation");
    check(&server, &format!("{HELLO}-ERR 'no'\r\n"), "Parse Error");
}

fn a_client_that_exceeds_a_limit() {
    let server = server("max_payload: 10\nmax_control_line: 128\nmax_connections: 1");
    check(&server, &format!("{HELLO}PUB a 11\r\n"), "Maximum Message Payload Exceeded");
    check(&server, &format!("{HELLO}SUB {} 1\r\n", "a".repeat(200)), "Maximum Control Line Exceeded");
    let _only = Raw::connect(&server);
    check(&server, "", "Maximum Connections Exceeded");
}

fn a_client_that_fails_to_introduce_itself() {
    let server = server("");
    check(&server, "CONNECT {\"protocol\":2}\r\n", "Bad Client Protocol Version");
    check(&server, "CONNECT {\"no_responders\":true}\r\n", "No Responders Requires Headers");
    check(&server, "CONNECT {\"verbose\":\r\n", "Protocol Violation");
}

fn a_client_that_falls_silent() {
    check(&server("ping_interval: \"50ms\""), HELLO, "Stale Connection");
}

fn a_client_of_a_server_that_goes() {
    let mut server = server("");
    let _raw = Raw::connect(&server);
    server.signal(Signal::Terminate);
    server.wait_exit();
    server.wait_log("Client connection closed: Server Shutdown");
}

/// The kernel's table shows which timer a socket has: 02 stands for keepalive.
fn keepalive_of_the_kernel_is_off() {
    let server = server("");
    let raw = Raw::connect(&server);
    let ends = [server.addr().port(), raw.local_port()].map(|port| format!("0100007F:{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table
        .lines()
        .find(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            words.get(1) == Some(&ends[0].as_str()) && words.get(2) == Some(&ends[1].as_str())
        })
        .expect("the server's end of the connection");
    let timer = line.split_ascii_whitespace().nth(5).unwrap();
    assert!(!timer.starts_with("02:"), "{line}");
}
