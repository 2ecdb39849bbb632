//! Receivers that do not keep up, and what becomes of them and of those who send to them.

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Signal, Start};

trials! { Nothing => [
    pending_over_its_limit_closes_a_slow_consumer,
    a_write_that_meets_its_deadline_unfinished_closes_a_slow_consumer,
    retry_keeps_a_slow_consumer_that_makes_progress,
    retry_closes_a_slow_consumer_without_progress,
    a_producer_is_held_back_at_three_quarters_of_max_pending,
    a_producer_waits_ten_milliseconds_a_read_however_many_messages_it_held,
    a_stalled_producer_is_told_of_once_a_second,
    without_producer_stall_messages_to_a_slow_consumer_are_dropped,
    a_slow_consumer_does_not_hold_up_the_others,
    an_error_is_delivered_before_its_connection_closes,
    a_shutdown_delivers_what_is_pending,
] }

/// Payload of the floods: a few of them fill the sockets' buffers.
const CHUNK_BYTES: usize = 256 << 10;
/// More bytes than a connection's two socket buffers hold on any usual machine.
const FLOOD_BYTES: usize = 64 << 20;

fn chunk(subject: &str) -> Vec<u8> {
    let mut bytes = format!("PUB {subject} {CHUNK_BYTES}\r\n").into_bytes();
    bytes.resize(bytes.len() + CHUNK_BYTES, b'x');
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Someone who subscribes to `flood` and then reads no more.
fn sleeper(server: &Server) -> Raw {
    let mut raw = Raw::connect(server);
    raw.send("SUB flood 1\r\n");
    raw.sync();
    raw
}

/// Publishes to `flood` until the log says `text`; returns that line.
#[track_caller]
fn flood_until(server: &Server, publisher: &mut Raw, text: &str) -> String {
    let chunk = chunk("flood");
    for _ in 0..FLOOD_BYTES / CHUNK_BYTES {
        publisher.send(&chunk);
        publisher.sync();
        if server.logged(text) {
            break;
        }
    }
    server.wait_log(text)
}

fn pending_over_its_limit_closes_a_slow_consumer() {
    let server = Start::config("max_pending: 1mb\nwrite_deadline: 60s").args(&["-D"]).start();
    let mut sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    let line = flood_until(&server, &mut publisher, "Slow Consumer");
    assert!(line.contains("[INF] ") || line.contains("[WRN] "), "{line}");
    assert!(line.contains("Slow Consumer Detected: MaxPending of 1048576 Exceeded"), "{line}");
    server.wait_log("Client connection closed: Slow Consumer (Pending Bytes)");
    // What the sockets held still comes, then the end.
    sleeper.closed();
}

fn a_write_that_meets_its_deadline_unfinished_closes_a_slow_consumer() {
    let server = Start::config("write_deadline: 100ms").args(&["-D"]).start();
    let mut sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    let line = flood_until(&server, &mut publisher, "Slow Consumer");
    assert!(line.contains("Slow Consumer Detected: WriteDeadline of 100ms exceeded with "), "{line}");
    assert!(line.contains(" chunks of ") && line.ends_with(" total bytes."), "{line}");
    server.wait_log("Client connection closed: Slow Consumer (Write Deadline)");
    sleeper.closed();
}

fn retry_keeps_a_slow_consumer_that_makes_progress() {
    let server = Server::start("write_deadline: 100ms\nwrite_timeout: retry");
    let mut sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    let chunk = chunk("flood");
    let mut sent = 0;
    // The first timeout comes in the middle of a write, so that some bytes had gone.
    while !server.logged("Slow Consumer Detected: WriteDeadline of 100ms exceeded") && sent < 200 {
        publisher.send(&chunk);
        publisher.sync();
        sent += 1;
    }
    server.wait_log("Slow Consumer Detected: WriteDeadline of 100ms exceeded");
    for _ in 0..sent {
        assert_eq!(sleeper.message().payload.len(), CHUNK_BYTES);
    }
    sleeper.expect_silence();
    server.wait_log("Slow Consumer Recovered: Flush took ");
}

fn retry_closes_a_slow_consumer_without_progress() {
    let server = Start::config("write_deadline: 100ms\nwrite_timeout: retry").args(&["-D"]).start();
    let _sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    // Once a whole deadline has passed without a byte, the connection is given up.
    flood_until(&server, &mut publisher, "connection closed: Slow Consumer (Write Deadline)");
}

fn a_producer_is_held_back_at_three_quarters_of_max_pending() {
    let server = Server::start("max_pending: 16mb\nwrite_deadline: 60s");
    let _sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    // Several messages to one read: each is held back, and their sum is what gets logged.
    let burst = format!("PUB flood 2000\r\n{}\r\n", "x".repeat(2000)).repeat(32);
    for _ in 0..FLOOD_BYTES / burst.len() {
        publisher.send(&burst);
        publisher.sync();
        if server.logged("Producer was stalled") || server.logged("Slow Consumer") {
            break;
        }
    }
    server.wait_log("Producer was stalled for a total of ");
    assert!(!server.logged("Slow Consumer Detected"), "closed before the producer was held back");
}

/// Publishes bursts, each of one read and 500 messages, until the producer is held back; it waits 2 ms
/// for each message to a receiver that is behind, were there no limit for all of them.
fn stalled(server: &Server) -> (Raw, Raw, String) {
    let sleeper = sleeper(server);
    let mut publisher = Raw::connect(server);
    let burst = format!("PUB flood 100\r\n{}\r\n", "x".repeat(100)).repeat(500);
    for _ in 0..FLOOD_BYTES / burst.len() {
        publisher.send(&burst);
        publisher.sync();
        if server.logged("Producer was stalled") {
            break;
        }
    }
    server.wait_log("Producer was stalled for a total of ");
    (sleeper, publisher, burst)
}

fn a_producer_waits_ten_milliseconds_a_read_however_many_messages_it_held() {
    let server = Server::start("max_pending: 16mb\nwrite_deadline: 60s");
    let _stalled = stalled(&server);
    let line = server.wait_log("Producer was stalled for a total of ");
    let total = line.split("total of ").nth(1).and_then(|total| total.split(' ').next()).unwrap();
    let millis = total.strip_suffix("ms").and_then(|millis| millis.parse::<u64>().ok());
    // A second, were each message waited for; a busy machine wakes late.
    assert!(millis.is_some_and(|millis| (5..500).contains(&millis)), "{line}");
    assert!(line.ends_with("ms - Account:$G"), "{line}");
}

fn a_stalled_producer_is_told_of_once_a_second() {
    const BURSTS: usize = 40;
    let server = Server::start("max_pending: 16mb\nwrite_deadline: 60s");
    let (_sleeper, mut publisher, burst) = stalled(&server);
    for _ in 0..BURSTS {
        publisher.send(&burst);
        publisher.sync();
    }
    let lines = server.log().iter().filter(|line| line.contains("Producer was stalled")).count();
    assert!(lines < BURSTS / 2, "{lines} lines about {BURSTS} stalls");
}

fn without_producer_stall_messages_to_a_slow_consumer_are_dropped() {
    let server = Start::config("max_pending: 8mb\nwrite_deadline: 60s\nno_fast_producer_stall: true")
        .args(&["-D"])
        .start();
    let mut sleeper = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    let chunk = chunk("flood");
    let sent = FLOOD_BYTES / CHUNK_BYTES;
    for _ in 0..sent {
        publisher.send(&chunk);
        publisher.sync();
    }
    assert!(!server.logged("Slow Consumer Detected"), "closed instead of spared");
    assert!(!server.logged("Producer was stalled"), "the producer was held back");
    publisher.send("PUB flood 4\r\nlast\r\n");
    publisher.sync();
    // It is still there: what it takes now makes room for more.
    let mut got = 0;
    sleeper.send("SUB mark 2\r\nPING\r\n");
    while sleeper.line() != "PONG" {
        got += 1;
        // The rest of the message: its payload has no line end in it.
        sleeper.line();
    }
    assert!(got > 0 && got < sent, "{got} of {sent} came");
    publisher.send("PUB mark 0\r\n\r\n");
    sleeper.expect_message("mark", "");
}

fn a_slow_consumer_does_not_hold_up_the_others() {
    let server = Server::start("max_pending: 4mb\nwrite_deadline: 60s");
    let _sleepers: Vec<Raw> = (0..3).map(|_| sleeper(&server)).collect();
    let mut awake = Raw::connect(&server);
    awake.send("SUB flood 1\r\n");
    awake.sync();
    let mut publisher = Raw::connect(&server);
    let chunk = chunk("flood");
    for _ in 0..FLOOD_BYTES / CHUNK_BYTES {
        publisher.send(&chunk);
        assert_eq!(awake.message().payload.len(), CHUNK_BYTES);
    }
    awake.expect_silence();
}

fn an_error_is_delivered_before_its_connection_closes() {
    let server = Server::start("");
    for _ in 0..50 {
        let mut raw = Raw::connect(&server);
        raw.send("SUB a 1\r\nPUB a 1\r\nx\r\nNONSENSE\r\n");
        raw.expect_message("a", "x");
        assert_eq!(raw.closed(), ["-ERR 'Unknown Protocol Operation'"]);
    }
}

fn a_shutdown_delivers_what_is_pending() {
    let mut server = Server::start("");
    let mut receiver = sleeper(&server);
    let mut publisher = Raw::connect(&server);
    // More than the sockets hold: most of it waits in the server when the end comes.
    const CHUNKS: usize = 60;
    for _ in 0..CHUNKS {
        publisher.send(chunk("flood"));
        publisher.sync();
    }
    server.signal(Signal::Terminate);
    let mut got = 0;
    while receiver.try_message().is_some() {
        got += 1;
    }
    assert_eq!(got, CHUNKS);
    assert!(server.wait_exit().success());
}
