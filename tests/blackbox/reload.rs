//! A new configuration for a running server: what changes, what is refused, what stays.

use crate::harness::raw::QUIET;
use crate::harness::trial::trials;
use crate::harness::{Log, Raw, Server, Signal, Start};

trials! { Nothing => [
    each_change_is_logged_and_the_end_names_the_digest,
    a_new_max_payload_holds_for_open_clients,
    a_new_max_control_line_holds_for_open_clients,
    a_lower_max_connections_closes_surplus_clients,
    max_connections_of_zero_or_less_closes_everybody,
    the_ports_file_moves_with_its_directory,
    debug_and_trace_are_switched,
    logtime_is_switched,
    logtime_utc_is_switched,
    the_remote_syslog_is_changed,
    producers_are_no_longer_held_back,
    the_log_file_is_changed,
    a_new_pid_file_is_written,
    a_change_that_needs_a_restart_refuses_the_whole_reload,
    a_mistake_keeps_the_old_configuration,
    a_random_port_is_kept,
    connections_and_subscriptions_live_on,
    a_new_ping_max_holds_for_open_clients,
    many_reloads_in_a_row_all_succeed,
    a_reload_without_a_configuration_file_is_refused,
    new_users_are_let_in_and_old_ones_closed,
] }

fn each_change_is_logged_and_the_end_names_the_digest() {
    let server = Server::start("max_payload: 100");
    let mark = server.log_mark();
    server.reload(
        "max_payload: 200\nmax_connections: 5\nping_interval: \"10s\"\nping_max: 3\nmax_control_line: 2048",
    );
    for line in [
        "Reloaded: max_payload = 200",
        "Reloaded: max_connections = 5",
        "Reloaded: ping_interval = 10s",
        "Reloaded: ping_max = 3",
        "Reloaded: max_control_line = 2048",
    ] {
        server.wait_log_after(mark, &format!("[INF] {line}"));
    }
    let end = server.wait_log_after(mark, "Reloaded server configuration (sha256:");
    assert_eq!(end.rsplit(':').next().unwrap().trim_end_matches(')').len(), 64, "{end}");
}

fn a_new_max_payload_holds_for_open_clients() {
    let server = Server::start("max_payload: 10");
    let mut raw = Raw::connect(&server);
    server.reload("max_payload: 20");
    raw.send(format!("SUB a 1\r\nPUB a 20\r\n{}\r\n", "x".repeat(20)));
    raw.expect_message("a", &"x".repeat(20));
    server.reload("max_payload: 5");
    raw.send("PUB a 6\r\n");
    assert_eq!(raw.closed(), ["-ERR 'Maximum Payload Violation'"]);
    assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some(5.into()));
}

fn a_new_max_control_line_holds_for_open_clients() {
    let server = Server::start("max_control_line: 4096");
    let mut raw = Raw::connect(&server);
    raw.send(format!("SUB {} 1\r\n", "a".repeat(1000)));
    raw.expect_silence();
    server.reload("max_control_line: 512");
    raw.send(format!("SUB {} 2\r\n", "a".repeat(1000)));
    assert_eq!(raw.closed(), ["-ERR 'maximum control line exceeded'"]);
}

fn a_lower_max_connections_closes_surplus_clients() {
    let server = Server::start("max_connections: 10");
    let mut clients: Vec<Raw> = (0..6).map(|_| Raw::connect(&server)).collect();
    server.reload("max_connections: 2");
    let closed = clients
        .iter_mut()
        .filter_map(|raw| {
            // Those that stay answer the PING, whoever they are.
            let _ = raw.try_send("PING\r\n");
            let line = raw.try_line();
            (line.as_deref() != Some("PONG")).then_some(line)
        })
        .collect::<Vec<_>>();
    assert_eq!(closed.len(), 4, "{closed:?}");
    for line in closed.into_iter().flatten() {
        assert_eq!(line, "-ERR 'maximum connections exceeded'");
    }
}

fn max_connections_of_zero_or_less_closes_everybody() {
    for max in ["0", "-1"] {
        let server = Server::start("max_connections: 10");
        let mut clients: Vec<Raw> = (0..3).map(|_| Raw::connect(&server)).collect();
        server.reload(&format!("max_connections: {max}"));
        for raw in &mut clients {
            let lines = raw.closed();
            // A client whose socket is gone first sees no reason.
            assert!(lines.is_empty() || lines == ["-ERR 'maximum connections exceeded'"], "{lines:?}");
        }
        server.wait_log("Closed 3 connections to fall within max_connections");
    }
}

fn the_ports_file_moves_with_its_directory() {
    let server = Server::start("ports_file_dir: \"$DIR\"");
    let file = |folder: &str| {
        let name = std::fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        server.dir().join(folder).join(format!("{name}_{}.ports", server.pid()))
    };
    crate::harness::eventually("the ports file", || file("").exists().then_some(()));
    std::fs::create_dir(server.dir().join("other")).unwrap();
    server.reload("ports_file_dir: \"$DIR/other\"");
    crate::harness::eventually("the other ports file", || file("other").exists().then_some(()));
    assert!(!file("").exists());
}

fn debug_and_trace_are_switched() {
    let server = Server::start("debug: false");
    Raw::connect(&server);
    server.reload("debug: true\ntrace: true");
    Raw::connect(&server);
    server.wait_log("[TRC] ");
    server.wait_log("Client connection closed");
    server.reload("debug: false\ntrace: false");
    let mark = server.log_mark();
    Raw::connect(&server);
    server.reload("max_payload: 100");
    let quiet = server.log().into_iter().skip(mark).all(|line| line.contains("[INF]"));
    assert!(quiet, "{:?}", server.log());
}

fn logtime_is_switched() {
    let server = Server::start("logtime: true");
    server.reload("logtime: false");
    let mark = server.log_mark();
    server.signal(Signal::Reopen);
    let line = server.wait_log_after(mark, "Trapped");
    assert_eq!(line, format!("[{}] [INF] Trapped \"user defined signal 1\" signal", server.pid()));
}

/// Fourteen hours ahead all year, by the machine's table of zones (package tzdata).
const ZONE: &str = "Pacific/Kiritimati";

/// The hour in the stamp of a line.
fn hour(line: &str) -> i32 {
    line.split_ascii_whitespace().nth(2).and_then(|time| time.split(':').next()?.parse().ok()).unwrap()
}

fn logtime_utc_is_switched() {
    let server = Start::config("logtime_utc: false").env("TZ", ZONE).start();
    let local = hour(&server.wait_log("Server is ready"));
    server.reload("logtime_utc: true");
    let mark = server.log_mark();
    server.signal(Signal::Reopen);
    let utc = hour(&server.wait_log_after(mark, "Trapped"));
    // The hour may strike in between.
    assert!([13, 14].contains(&(local - utc).rem_euclid(24)), "local {local}, UTC {utc}");
}

fn the_remote_syslog_is_changed() {
    let sockets = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let [one, two] = sockets.each_ref().map(|socket| {
        socket.set_read_timeout(Some(crate::harness::wait::PATIENCE)).unwrap();
        format!("remote_syslog: \"udp://{}\"", socket.local_addr().unwrap())
    });
    let hear = |socket: &std::net::UdpSocket, text: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).expect("a datagram from the server");
            if String::from_utf8_lossy(&buffer[..length]).contains(text) {
                return;
            }
        }
    };
    let server = Start::config(&one).log(Log::Elsewhere).start();
    hear(&sockets[0], "Server is ready");
    server.rewrite(&two);
    server.signal(Signal::Reload);
    hear(&sockets[1], "Reloaded server configuration");
    server.signal(Signal::Reopen);
    hear(&sockets[1], "Trapped");
}

/// What a receiver that is behind cannot take is dropped from now on.
fn producers_are_no_longer_held_back() {
    let limits = "max_pending: 4mb\nwrite_deadline: 60s\n";
    let server = Server::start(limits);
    let mut sleeper = Raw::connect(&server);
    sleeper.send("SUB flood 1\r\n");
    sleeper.sync();
    let mut publisher = Raw::connect(&server);
    server.reload(&format!("{limits}no_fast_producer_stall: true"));
    // More than the sockets and the queue hold: with the old setting the receiver would be closed.
    let chunk = format!("PUB flood 65536\r\n{}\r\n", "x".repeat(65536));
    for _ in 0..1000 {
        publisher.send(&chunk);
        publisher.sync();
    }
    assert!(!server.logged("Slow Consumer Detected") && !server.logged("Producer was stalled"));
    let mut got = 0;
    sleeper.send("PING\r\n");
    while sleeper.line() != "PONG" {
        got += 1;
        sleeper.line();
    }
    assert!(got > 0 && got < 1000, "{got} came");
}

fn the_log_file_is_changed() {
    let server = Start::config("log_file: \"$DIR/server.log\"").log(Log::File("server.log")).start();
    server.rewrite("log_file: \"$DIR/other.log\"");
    server.signal(Signal::Reload);
    crate::harness::eventually("the other log file", || {
        let text = std::fs::read_to_string(server.dir().join("other.log")).ok()?;
        text.contains("Reloaded server configuration").then_some(())
    });
}

fn a_new_pid_file_is_written() {
    let server = Server::start("pid_file: \"$DIR/one.pid\"");
    server.reload("pid_file: \"$DIR/two.pid\"");
    let text = std::fs::read_to_string(server.dir().join("two.pid")).unwrap();
    assert_eq!(text, server.pid().to_string());
}

fn a_change_that_needs_a_restart_refuses_the_whole_reload() {
    let server = Server::start("max_payload: 100\nserver_name: one");
    let line = server.reload_refused("max_payload: 200\nserver_name: two");
    let want = "[ERR] Failed to reload server configuration: config reload not supported for ServerName: old=one, new=two";
    assert!(line.ends_with(want), "{line}");
    let raw = Raw::greeted(&server);
    assert_eq!(raw.info_field("max_payload"), Some(100.into()));
    assert_eq!(raw.info_field("server_name"), Some("one".into()));
}

fn a_mistake_keeps_the_old_configuration() {
    let server = Server::start("max_payload: 100");
    for (config, words) in [
        ("max_payload: 200\nfoo: 1", "unknown field \"foo\""),
        ("max_payload: {", "Parse error on line 1: 'Unexpected EOF processing map.'"),
        ("max_payload: \"many\"", "server.conf:1:0: "),
    ] {
        let line = server.reload_refused(config);
        assert!(line.contains("[ERR] ") && line.contains(words), "{line}");
        assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some(100.into()));
    }
    server.reload("max_payload: 300");
    assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some(300.into()));
}

fn a_random_port_is_kept() {
    let server = Server::start("max_payload: 100");
    for size in [200, 300] {
        server.reload(&format!("max_payload: {size}"));
        let raw = Raw::greeted(&server);
        assert_eq!(raw.info_field("port"), Some(server.addr().port().into()));
    }
}

fn connections_and_subscriptions_live_on() {
    let server = Server::start("max_payload: 100");
    let mut receiver = Raw::connect(&server);
    receiver.send("SUB a.* 1\r\nSUB a.b q 2\r\n");
    receiver.sync();
    let mut sender = Raw::connect(&server);
    for round in 0..20 {
        server.rewrite(&format!("max_payload: {}", 200 + round));
        server.signal(Signal::Reload);
        for _ in 0..50 {
            sender.send("PUB a.b 1\r\nx\r\n");
        }
        for _ in 0..100 {
            receiver.expect_message("a.b", "x");
        }
    }
    receiver.expect_silence();
}

fn a_new_ping_max_holds_for_open_clients() {
    let server = Server::start("ping_interval: \"50ms\"\nping_max: 1000");
    let mut raw = Raw::connect_as(&server, &QUIET.replace("\"protocol\":1", "\"protocol\":0"));
    for _ in 0..3 {
        assert_eq!(raw.any_line().as_deref(), Some("PING"));
    }
    server.reload("ping_interval: \"50ms\"\nping_max: 2");
    let lines: Vec<String> = std::iter::from_fn(|| raw.any_line()).collect();
    assert_eq!(lines.last().map(String::as_str), Some("-ERR 'Stale Connection'"), "{lines:?}");
}

fn new_users_are_let_in_and_old_ones_closed() {
    let users = |name: &str| format!("authorization {{ users: [{{ user: {name}, password: p }}] }}");
    let options = |name: &str| format!(r#"{{"user":"{name}","pass":"p","verbose":false,"protocol":1}}"#);
    let server = Server::start(&users("old"));
    let mut old = Raw::connect_as(&server, &options("old"));
    server.reload(&users("new"));
    // Closed without a word: seen on the reference.
    assert_eq!(old.closed(), Vec::<String>::new());
    Raw::connect_as(&server, &options("new")).expect_silence();
    let mut refused = Raw::greeted(&server);
    refused.send(format!("CONNECT {}\r\n", options("old")));
    assert_eq!(refused.closed(), ["-ERR 'Authorization Violation'"]);
}

fn many_reloads_in_a_row_all_succeed() {
    let server = Server::start("max_payload: 100");
    for size in 101..141 {
        server.reload(&format!("max_payload: {size}"));
    }
    assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some(140.into()));
    let before = server.open_files();
    for size in 101..141 {
        server.reload(&format!("max_payload: {size}"));
    }
    assert!(server.open_files() <= before + 2, "reloads leave files open");
}

fn a_reload_without_a_configuration_file_is_refused() {
    let server = Start::config("").without_config().start();
    let mark = server.log_mark();
    server.signal(Signal::Reload);
    let line = server.wait_log_after(mark, "Failed to reload server configuration: ");
    assert!(line.ends_with("can only reload config when a file is provided using -c or --config"), "{line}");
}
