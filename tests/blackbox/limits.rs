//! Who may be there, how many, for how long without a word, and how they learn that they may not.

use crate::harness::raw::QUIET;
use crate::harness::trial::trials;
use crate::harness::{Raw, Server, eventually};

trials! { Nothing => [
    a_connection_too_many_gets_info_and_a_refusal,
    a_freed_place_can_be_taken,
    no_connections_at_all_may_be_allowed,
    too_many_subscriptions_are_refused_and_the_client_stays,
    a_payload_too_large_closes_before_it_is_read,
    a_control_line_too_long_closes_before_it_ends,
    a_ping_comes_soon_after_connect,
    a_ping_comes_after_each_interval_of_silence,
    a_silent_client_is_stale_after_its_last_ping,
    a_client_that_never_says_connect_is_stale_too,
    a_pong_starts_the_count_again,
    no_ping_interrupts_a_talking_client,
    client_ids_count_up,
    the_server_id_is_new_with_each_start,
    without_connect_in_time_authentication_times_out,
    the_first_operation_must_be_connect_where_users_are_known,
] }

fn a_connection_too_many_gets_info_and_a_refusal() {
    let server = Server::start("max_connections: 2");
    let _first = [Raw::connect(&server), Raw::connect(&server)];
    let mut third = Raw::greeted(&server);
    assert_eq!(third.closed(), ["-ERR 'maximum connections exceeded'"]);
}

fn a_freed_place_can_be_taken() {
    let server = Server::start("max_connections: 1");
    for _ in 0..10 {
        // The place is free once the server has noticed that the one before is gone.
        eventually("a free place", || {
            let mut raw = Raw::greeted(&server);
            raw.send(format!("CONNECT {QUIET}\r\nPING\r\n"));
            (raw.try_line().as_deref() == Some("PONG")).then_some(())
        });
    }
}

fn no_connections_at_all_may_be_allowed() {
    let server = Server::start("max_connections: -1");
    assert_eq!(Raw::greeted(&server).closed(), ["-ERR 'maximum connections exceeded'"]);
}

fn too_many_subscriptions_are_refused_and_the_client_stays() {
    let server = Server::start("max_subscriptions: 2");
    let mut raw = Raw::connect(&server);
    raw.send("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n");
    assert_eq!(raw.sync(), ["-ERR 'maximum subscriptions exceeded'"]);
    raw.send("UNSUB 1\r\nSUB c 3\r\nPUB c 1\r\nx\r\nPUB a 1\r\nx\r\n");
    raw.expect_message("c", "x");
    raw.expect_silence();
}

fn a_payload_too_large_closes_before_it_is_read() {
    let server = Server::start("max_payload: 100");
    let mut raw = Raw::connect(&server);
    raw.send("PUB a 101\r\n");
    assert_eq!(raw.closed(), ["-ERR 'Maximum Payload Violation'"]);
}

fn a_control_line_too_long_closes_before_it_ends() {
    let server = Server::start("max_control_line: 512");
    let mut raw = Raw::connect(&server);
    raw.send(format!("PUB {}", "a".repeat(600)));
    assert_eq!(raw.closed(), ["-ERR 'maximum control line exceeded'"]);
}

/// Every line that the server sends a client that says nothing after its CONNECT.
fn told_in_silence(raw: &mut Raw) -> Vec<String> {
    std::iter::from_fn(|| raw.any_line()).filter(|line| !line.starts_with("INFO ")).collect()
}

fn a_ping_comes_soon_after_connect() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    while raw.any_line().unwrap().starts_with("INFO ") {}
}

fn a_ping_comes_after_each_interval_of_silence() {
    let server = Server::start("ping_interval: \"50ms\"");
    let mut raw = Raw::connect_as(&server, &QUIET.replace("\"protocol\":1", "\"protocol\":0"));
    for _ in 0..5 {
        assert_eq!(raw.any_line().as_deref(), Some("PING"));
        raw.send("PONG\r\n");
    }
}

fn a_silent_client_is_stale_after_its_last_ping() {
    for (max, pings) in [(1, 1), (2, 2), (4, 4)] {
        let server = Server::start(&format!("ping_interval: \"50ms\"\nping_max: {max}"));
        let mut raw = Raw::connect(&server);
        let mut want = vec!["PING"; pings];
        want.push("-ERR 'Stale Connection'");
        assert_eq!(told_in_silence(&mut raw), want);
    }
}

fn a_client_that_never_says_connect_is_stale_too() {
    let server = Server::start("ping_interval: \"50ms\"");
    let mut raw = Raw::greeted(&server);
    assert_eq!(told_in_silence(&mut raw).last().map(String::as_str), Some("-ERR 'Stale Connection'"));
}

fn a_pong_starts_the_count_again() {
    let server = Server::start("ping_interval: \"50ms\"\nping_max: 1");
    let mut raw = Raw::connect(&server);
    let mut pings = 0;
    while pings < 5 {
        match raw.any_line().as_deref() {
            Some("PING") => {
                pings += 1;
                raw.send("PONG\r\n");
            }
            Some(line) => assert!(line.starts_with("INFO "), "{line}"),
            None => panic!("closed after {pings} answered PINGs"),
        }
    }
    assert_eq!(told_in_silence(&mut raw), ["PING", "-ERR 'Stale Connection'"]);
}

/// Whatever arrives within the interval proves the client alive: nothing is asked meanwhile.
fn no_ping_interrupts_a_talking_client() {
    let server = Server::start("ping_interval: \"200ms\"\nping_max: 1");
    let mut talking = Raw::connect(&server);
    let mut silent = Raw::connect(&server);
    // The silent one's end tells how many intervals have passed; the other never stops talking.
    let mut asked = 0;
    let silent = std::thread::spawn(move || told_in_silence(&mut silent));
    while !silent.is_finished() {
        talking.send("PUB a 0\r\n\r\nPING\r\n");
        loop {
            match talking.any_line().as_deref() {
                Some("PONG") => break,
                Some("PING") => asked += 1,
                Some(_) => {}
                None => panic!("a talking client was closed"),
            }
        }
    }
    assert_eq!(silent.join().unwrap(), ["PING", "-ERR 'Stale Connection'"]);
    // One is allowed: the round trip is measured once after CONNECT.
    assert!(asked <= 1, "asked {asked} times");
}

fn without_connect_in_time_authentication_times_out() {
    let server = Server::start("authorization { user: a, password: b, timeout: 0.1 }");
    assert_eq!(Raw::greeted(&server).closed(), ["-ERR 'Authentication Timeout'"]);
}

fn the_first_operation_must_be_connect_where_users_are_known() {
    let server = Server::start("authorization { user: a, password: b }");
    for line in ["PING\r\n", "SUB a 1\r\n", "PUB a 0\r\n\r\n"] {
        let mut raw = Raw::greeted(&server);
        raw.send(line);
        assert_eq!(raw.closed(), ["-ERR 'Authorization Violation'"], "{line:?}");
    }
}

fn client_ids_count_up() {
    let server = Server::start("");
    let ids: Vec<u64> =
        (0..5).map(|_| Raw::greeted(&server).info_field("client_id").unwrap().as_u64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

fn the_server_id_is_new_with_each_start() {
    let id = || {
        let raw = Raw::greeted(&Server::start(""));
        let id = raw.info_field("server_id").unwrap().as_str().unwrap().to_owned();
        assert_eq!((id.len(), id.starts_with('N')), (56, true), "{id}");
        // Nobody named the server: its id is its name.
        assert_eq!(raw.info_field("server_name").unwrap().as_str(), Some(id.as_str()));
        id
    };
    assert_ne!(id(), id());
}
