//! Going down gently: new clients refused, those present told and closed one after the other.

use std::net::TcpStream;

use crate::harness::raw::QUIET;
use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Signal, Start, eventually, run};

trials! { Nothing => [
    new_connections_are_refused_while_old_ones_work,
    a_client_of_protocol_1_is_told,
    a_client_of_protocol_0_hears_nothing,
    clients_are_closed_after_the_grace_period_and_the_server_exits,
    clients_are_closed_one_after_the_other,
    without_clients_the_exit_is_immediate,
    a_termination_is_ignored_on_the_way_down,
    a_second_lame_duck_signal_is_ignored,
    an_interrupt_still_shuts_down,
    a_client_may_leave_by_itself_and_ends_the_wait,
    a_short_duration_is_refused,
    a_grace_period_that_takes_it_all_is_refused,
] }

/// Grace that a test can wait for; the duration is the shortest allowed.
const QUICK: &str = "lame_duck_duration: 30s\nlame_duck_grace_period: 10ms";

/// A server with the default grace period and one client, on its way down.
fn going_down() -> (Server, Raw) {
    let server = Server::start("");
    let raw = Raw::connect(&server);
    server.signal(Signal::LameDuck);
    server.wait_log("Entering lame duck mode, stop accepting new clients");
    (server, raw)
}

fn new_connections_are_refused_while_old_ones_work() {
    let (server, mut raw) = going_down();
    eventually("the listener's end", || TcpStream::connect(server.addr()).is_err().then_some(()));
    raw.send("SUB a 1\r\nPUB a 1\r\nx\r\n");
    raw.expect_message("a", "x");
}

fn a_client_of_protocol_1_is_told() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    // The INFO that answers the CONNECT stands behind its PONG.
    raw.sync();
    assert_eq!(raw.info_field("ldm"), None);
    assert_eq!(raw.info_field("connect_info"), Some(true.into()));
    server.signal(Signal::LameDuck);
    let line = raw.any_line().unwrap();
    assert!(line.starts_with("INFO {") && line.contains("\"ldm\":true"), "{line}");
}

fn a_client_of_protocol_0_hears_nothing() {
    let server = Server::start("");
    let mut raw = Raw::connect_as(&server, &QUIET.replace("\"protocol\":1", "\"protocol\":0"));
    let mut told = Raw::connect(&server);
    told.sync();
    server.signal(Signal::LameDuck);
    assert!(told.any_line().unwrap().contains("\"ldm\":true"));
    raw.send("PING\r\n");
    assert_eq!(raw.any_line().as_deref(), Some("PONG"));
}

fn clients_are_closed_after_the_grace_period_and_the_server_exits() {
    let mut server = Server::start(QUICK);
    let mut clients: Vec<Raw> = (0..5).map(|_| Raw::connect(&server)).collect();
    server.signal(Signal::LameDuck);
    for raw in &mut clients {
        assert_eq!(raw.closed(), Vec::<String>::new());
        assert_eq!(raw.info_field("ldm"), Some(true.into()));
    }
    assert_eq!(server.wait_exit().code(), Some(0));
}

/// Each close is followed by a pause of half a second to a second: the others are served meanwhile.
fn clients_are_closed_one_after_the_other() {
    let mut server = Start::config(QUICK).args(&["-D"]).start();
    let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(&server)).collect();
    server.signal(Signal::LameDuck);
    let mut mark = 0;
    while !clients.is_empty() {
        let line = server.wait_log_after(mark, "Client connection closed: Server Shutdown");
        mark = 1 + server.log().iter().position(|said| *said == line).unwrap();
        let gone = clients.iter().position(|raw| line.contains(&format!(":{} - cid:", raw.local_port())));
        assert_eq!(clients.remove(gone.unwrap()).closed(), Vec::<String>::new());
        for raw in &mut clients {
            raw.sync();
        }
    }
    assert_eq!(server.wait_exit().code(), Some(0));
}

fn without_clients_the_exit_is_immediate() {
    let mut server = Server::start("");
    server.signal(Signal::LameDuck);
    assert_eq!(server.wait_exit().code(), Some(0));
    server.wait_log("Server Exiting..");
}

fn a_termination_is_ignored_on_the_way_down() {
    let (mut server, mut raw) = going_down();
    server.signal(Signal::Terminate);
    server.wait_log("Trapped \"terminated\" signal");
    raw.expect_silence();
    assert!(server.alive());
}

fn a_second_lame_duck_signal_is_ignored() {
    let (mut server, mut raw) = going_down();
    let mark = server.log_mark();
    server.signal(Signal::LameDuck);
    server.wait_log_after(mark, "Trapped \"user defined signal 2\" signal");
    raw.expect_silence();
    assert!(server.alive());
    let entered = server.log().iter().filter(|line| line.contains("Entering lame duck mode")).count();
    assert_eq!(entered, 1);
}

fn an_interrupt_still_shuts_down() {
    let (mut server, mut raw) = going_down();
    server.signal(Signal::Interrupt);
    assert_eq!(server.wait_exit().code(), Some(0));
    assert_eq!(raw.closed(), Vec::<String>::new());
}

fn a_client_may_leave_by_itself_and_ends_the_wait() {
    let mut server = Server::start(QUICK);
    let raw = Raw::connect(&server);
    server.signal(Signal::LameDuck);
    server.wait_log("Entering lame duck mode");
    drop(raw);
    assert_eq!(server.wait_exit().code(), Some(0));
}

#[track_caller]
fn expect_refused(config: &str, words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.conf");
    std::fs::write(&file, config).unwrap();
    let output = run(["-a", "127.0.0.1", "-p", "-1", "-c", file.to_str().unwrap()]);
    assert_eq!(output.code(), 1, "{output:?}");
    assert!(output.stderr.contains(words), "{output:?}");
}

fn a_short_duration_is_refused() {
    expect_refused("lame_duck_duration: 10s", "invalid lame_duck_duration of 10s, minimum is 30 seconds");
}

fn a_grace_period_that_takes_it_all_is_refused() {
    expect_refused(
        "lame_duck_duration: 30s\nlame_duck_grace_period: 40s",
        "lame duck grace period (40s) should be strictly lower than lame duck duration (30s)",
    );
}
