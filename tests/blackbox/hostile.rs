//! Clients that mean no good, or don't know better: the server answers the others all the while.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::trial::trials;
use crate::harness::{Chance, Raw, Server, Start, eventually};

trials! { Nothing => [
    random_bytes_harm_nobody,
    mangled_conversations_harm_nobody,
    half_open_connections_harm_nobody,
    thousands_of_idle_connections_are_held,
    a_flood_of_connects_is_survived,
    connections_reset_in_the_middle_of_anything_are_cleaned_up,
    nested_and_huge_connect_documents_are_refused,
    a_client_that_only_half_sends_is_no_burden,
    a_web_browser_is_turned_away,
    subscribing_and_unsubscribing_without_end_leaves_nothing_behind,
] }

/// Sends without caring whether anybody listens.
fn throw(addr: SocketAddr, bytes: &[u8]) {
    if let Ok(mut stream) = TcpStream::connect(addr) {
        // The server may close at any byte: that is what the test wants.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
    }
}

/// A client and a server that know each other since before the trouble.
struct Witness {
    raw: Raw,
    rounds: u32,
}

impl Witness {
    fn new(server: &Server) -> Self {
        let mut raw = Raw::connect(server);
        raw.send("SUB witness 1\r\n");
        raw.sync();
        Self { raw, rounds: 0 }
    }

    /// The server still takes and delivers messages, and lets new clients in.
    #[track_caller]
    fn all_is_well(&mut self, server: &Server) {
        self.rounds += 1;
        let text = self.rounds.to_string();
        let mut other = Raw::connect(server);
        other.send(format!("PUB witness {}\r\n{text}\r\n", text.len()));
        other.sync();
        self.raw.expect_message("witness", &text);
    }
}

fn random_bytes_harm_nobody() {
    let mut server = Server::start("");
    let mut witness = Witness::new(&server);
    let mut chance = Chance::new(0x5eed_0001);
    for round in 0..300 {
        let size = 1 << chance.below(14);
        throw(server.addr(), &chance.bytes(size));
        if round % 50 == 0 {
            witness.all_is_well(&server);
        }
    }
    witness.all_is_well(&server);
    assert!(server.alive());
    assert!(!server.logged("panic"), "{:?}", server.log());
}

/// Conversations that mean something, with bytes changed, dropped and doubled.
fn mangled_conversations_harm_nobody() {
    const TEXT: &[u8] =
        b"CONNECT {\"verbose\":true,\"headers\":true,\"protocol\":1,\"no_responders\":true}\r\n\
        SUB foo.* q 1\r\nSUB > 2\r\nPUB foo.bar reply 11\r\nhello world\r\n\
        HPUB foo.bar r 22 27\r\nNATS/1.0\r\nKey: Val\r\n\r\nhello\r\nUNSUB 1 5\r\nPING\r\nPONG\r\n\
        UNSUB 2\r\nPUB a 0\r\n\r\nPUB $SYS.REQ.SERVER.PING r 2\r\n{}\r\nINFO {}\r\n+OK\r\nPING\r\n";
    let mut server = Server::start("");
    let mut witness = Witness::new(&server);
    let mut chance = Chance::new(0x5eed_0002);
    for round in 0..500 {
        let mut text = TEXT.to_vec();
        for _ in 0..=chance.below(4) {
            let at = chance.below(text.len());
            match chance.below(4) {
                0 => text[at] = (chance.next() >> 40) as u8,
                1 => drop(text.drain(at..(at + chance.below(20)).min(text.len()))),
                2 => {
                    let piece = text[at..(at + 30).min(text.len())].to_vec();
                    text.splice(at..at, piece);
                }
                _ => text[at] = b"0987654321 \r\n\t*>"[chance.below(16)],
            }
        }
        throw(server.addr(), &text);
        if round % 100 == 0 {
            witness.raw.sync();
        }
    }
    // What the mangled clients published may have reached the witness: only its own matters.
    drop(witness);
    Witness::new(&server).all_is_well(&server);
    assert!(server.alive());
    assert!(!server.logged("panic"), "{:?}", server.log());
}

fn half_open_connections_harm_nobody() {
    let server = Server::start("");
    let mut witness = Witness::new(&server);
    let before = server.open_files();
    let mut silent = Vec::new();
    for count in 0..300 {
        let stream = TcpStream::connect(server.addr()).unwrap();
        if count % 2 == 0 {
            // Gone for sending, still there for reading.
            stream.shutdown(Shutdown::Write).unwrap();
        }
        silent.push(stream);
    }
    witness.all_is_well(&server);
    drop(silent);
    witness.all_is_well(&server);
    eventually("the end of the half-open connections", || (server.open_files() <= before + 2).then_some(()));
}

/// Raises this process's limit of open files as far as it goes; the limit then.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Without the right to raise it the limit stays what it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Ten thousand where the machine allows it: each takes a file here and one in the server.
fn thousands_of_idle_connections_are_held() {
    let limit = raise_open_files();
    let count = usize::try_from(limit.saturating_sub(2000).min(10_000)).unwrap();
    assert!(count >= 100, "only {limit} open files are allowed here");
    let server = Server::start("");
    let mut witness = Witness::new(&server);
    let mut idle: Vec<Raw> = Vec::with_capacity(count);
    for number in 0..count {
        let mut raw = Raw::greeted(&server);
        raw.send(format!("CONNECT {{\"verbose\":false}}\r\nSUB idle.{number} 1\r\n"));
        idle.push(raw);
    }
    witness.all_is_well(&server);
    for number in (0..count).step_by(97) {
        idle[number].sync();
        witness.raw.send(format!("PUB idle.{number} 1\r\nx\r\n"));
        idle[number].expect_message(&format!("idle.{number}"), "x");
    }
    let full = server.open_files();
    assert!(full >= count, "{full} files for {count} connections");
    drop(idle);
    eventually("the end of all of them", || (server.open_files() < 200).then_some(()));
    witness.all_is_well(&server);
}

fn a_flood_of_connects_is_survived() {
    let server = Server::start("");
    let mut witness = Witness::new(&server);
    let before = server.open_files();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for count in 0..500 {
                    let Ok(stream) = TcpStream::connect(server.addr()) else { continue };
                    if count % 3 == 0 {
                        let _ = (&stream).write_all(b"CONNECT {}\r\nPING\r\n");
                    }
                }
            });
        }
        for _ in 0..5 {
            witness.all_is_well(&server);
        }
    });
    witness.all_is_well(&server);
    eventually("the end of the flood", || (server.open_files() <= before + 2).then_some(()));
}

fn connections_reset_in_the_middle_of_anything_are_cleaned_up() {
    let server = Start::config("").args(&["-D"]).start();
    let mut witness = Witness::new(&server);
    let before = server.open_files();
    for bytes in [
        "",
        "CONN",
        "CONNECT {\"verbose\":false}\r\n",
        "CONNECT {\"verbose\":false}\r\nSUB a",
        "CONNECT {\"verbose\":false}\r\nPUB a 100\r\nhalf",
        "CONNECT {\"verbose\":false}\r\nSUB > 1\r\nPUB a 1\r\nx",
    ] {
        for _ in 0..20 {
            let mut raw = Raw::open(server.addr());
            raw.send(bytes);
            // Unread bytes make the kernel answer with a reset when the socket is closed.
            drop(raw);
        }
        witness.all_is_well(&server);
    }
    eventually("the end of all of them", || (server.open_files() <= before + 2).then_some(()));
}

fn nested_and_huge_connect_documents_are_refused() {
    let mut server = Server::start("max_control_line: 1mb");
    let mut witness = Witness::new(&server);
    for document in [
        format!("{{\"name\":{}", "[".repeat(100_000)),
        "{".repeat(1000),
        format!("{{\"name\":\"{}\"", "x".repeat(10_000)),
        "[]".to_owned(),
        "\u{fffd}\0".to_owned(),
        "{\"verbose\":\"yes\"}".to_owned(),
    ] {
        let mut raw = Raw::greeted(&server);
        // The server may be gone before it has read all.
        let _ = raw.try_send(format!("CONNECT {document}\r\nPING\r\n"));
        let lines = raw.closed();
        assert!(!lines.contains(&"PONG".to_owned()), "{document:.40}: {lines:?}");
        witness.all_is_well(&server);
    }
    assert!(server.alive());
}

fn a_client_that_only_half_sends_is_no_burden() {
    let server = Server::start("");
    let mut witness = Witness::new(&server);
    let slow: Vec<Raw> = (0..50)
        .map(|_| {
            let mut raw = Raw::greeted(&server);
            raw.send("CONNECT {\"verbose\":false}\r\nPUB witness 1000000\r\nthe beginning of a long");
            raw
        })
        .collect();
    for _ in 0..10 {
        witness.all_is_well(&server);
    }
    drop(slow);
    witness.all_is_well(&server);
    witness.raw.expect_silence();
}

fn a_web_browser_is_turned_away() {
    let server = Server::start("");
    let mut raw = Raw::greeted(&server);
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(raw.closed(), ["-ERR 'Unknown Protocol Operation'"]);
}

fn subscribing_and_unsubscribing_without_end_leaves_nothing_behind() {
    let server = Server::start("");
    let mut witness = Witness::new(&server);
    let mut raw = Raw::connect(&server);
    for round in 0..200 {
        let text: String = (0..250)
            .map(|number| format!("SUB churn.{round}.{number} 1\r\nUNSUB 1\r\nSUB churn.*.{number} q 2\r\nUNSUB 2 1\r\nUNSUB 2\r\n"))
            .collect();
        raw.send(text);
        raw.sync();
    }
    raw.send("PUB churn.1.1 r 0\r\n\r\nSUB r 9\r\nPUB churn.1.1 r 0\r\n\r\n");
    let nobody = raw.message();
    assert_eq!((nobody.subject.as_str(), nobody.sid.as_str()), ("r", "9"));
    assert!(nobody.headers.starts_with(b"NATS/1.0 503"), "{nobody:?}");
    witness.all_is_well(&server);
}
