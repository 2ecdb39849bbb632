//! What the server writes down: lines, traces, files.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::trial::trials;
use crate::harness::{Log, Raw, Server, Signal, Start, eventually, run};

trials! { Nothing => [
    a_line_has_process_time_level_and_text,
    logtime_false_drops_the_stamp,
    a_log_that_is_no_terminal_has_no_colours,
    the_start_is_told_line_by_line,
    a_configuration_file_is_named_with_its_digest,
    a_large_max_payload_is_warned_of,
    trace_shows_what_comes_and_goes,
    the_end_of_a_subscription_is_traced_once,
    debug_tells_of_connections_with_their_reason,
    a_traced_payload_is_cut_at_its_limit,
    trace_headers_shows_headers_only,
    the_log_file_is_appended_to,
    the_log_file_is_for_owner_and_group,
    a_log_file_that_cannot_be_opened_is_fatal,
    a_log_file_is_opened_again_after_a_rename,
    reopening_without_a_log_file_is_ignored,
    a_full_log_file_is_put_aside,
    only_so_many_log_files_are_kept,
    a_log_file_too_big_at_start_is_put_aside,
    a_remote_syslog_gets_the_lines_by_udp,
    a_remote_syslog_gets_the_lines_by_tcp,
    a_remote_syslog_of_another_kind_is_fatal,
    utc_may_be_asked_for,
    a_client_is_labelled_with_what_it_said_of_itself,
    secrets_are_redacted_in_a_traced_connect,
    a_plaintext_password_is_warned_of,
] }

/// Whether `text` has the shape: `9` stands for a digit, `#` for several, the rest for itself.
fn has_shape(text: &str, shape: &str) -> bool {
    let mut rest = text;
    for want in shape.chars() {
        match want {
            '#' => {
                let without = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
                if without.len() == rest.len() {
                    return false;
                }
                rest = without;
            }
            _ => {
                let Some(got) = rest.chars().next() else { return false };
                let fits = if want == '9' { got.is_ascii_digit() } else { got == want };
                if !fits {
                    return false;
                }
                rest = &rest[got.len_utf8()..];
            }
        }
    }
    true
}

fn a_line_has_process_time_level_and_text() {
    let server = Start::config("max_payload: 1mb").args(&["-DV"]).start();
    Raw::connect(&server);
    server.wait_log("Client connection closed");
    for line in server.log() {
        let fits = ["INF", "DBG", "TRC"]
            .iter()
            .any(|level| has_shape(&line, &format!("[#] 9999/99/99 99:99:99.999999 [{level}] ")));
        assert!(fits, "{line:?}");
        assert!(line.starts_with(&format!("[{}] ", server.pid())), "{line:?}");
    }
}

fn logtime_false_drops_the_stamp() {
    for start in [Start::config("logtime: false"), Start::config("").args(&["--logtime=false"])] {
        let server = start.start();
        let line = server.wait_log("Server is ready");
        assert_eq!(line, format!("[{}] [INF] Server is ready", server.pid()));
    }
}

fn a_log_that_is_no_terminal_has_no_colours() {
    let server = Start::config("max_payload: 10mb").args(&["-DV"]).start();
    Raw::connect(&server);
    server.wait_log("Client connection closed");
    assert!(server.log().iter().all(|line| !line.contains('\x1b')));
}

fn the_start_is_told_line_by_line() {
    let server = Start::config("max_payload: 1mb").args(&["-n", "gustav"]).start();
    let id = Raw::greeted(&server).info_field("server_id").unwrap();
    let mark = server.wait_order(&["[INF]   Version:  ", "[INF]   Git:      [", "[INF]   Name:     gustav"]);
    let id_line = format!("[INF]   ID:       {}", id.as_str().unwrap());
    server.wait_log_after(mark, &id_line);
    server.wait_order(&[&id_line, "Listening for client connections on 127.0.0.1:", "[INF] Server is ready"]);
    assert!(server.log()[0].contains("[INF] Starting nats"), "{:?}", server.log());
}

fn a_configuration_file_is_named_with_its_digest() {
    let server = Server::start("max_payload: 100");
    let line = server.wait_log("Using configuration file: ");
    let want = format!("Using configuration file: {} (sha256:", server.config_path().display());
    let (_, digest) = line.split_once(&want).unwrap_or_else(|| panic!("{line:?}"));
    assert_eq!(digest.trim_end_matches(')').len(), 64);
}

fn a_plaintext_password_is_warned_of() {
    let server = Server::start("authorization { user: joe, password: secret }");
    server.wait_log("[WRN] Plaintext passwords detected, use nkeys or bcrypt");
}

fn a_large_max_payload_is_warned_of() {
    let text =
        "[WRN] Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance";
    Server::start("max_payload: 9mb").wait_log(text);
    assert!(!Server::start("max_payload: 8mb").logged(text));
}

/// The lines that a client with this name caused, after its label.
fn traced(server: &Server, name: &str) -> Vec<String> {
    let label = format!(":{name}\" - ");
    let lines = server.log().into_iter();
    lines
        .filter_map(|line| line.split_once(&label).map(|(_, said)| said.to_owned()))
        .map(|said| said.strip_prefix("\"$G\" - ").map_or(said.clone(), str::to_owned))
        .collect()
}

/// A client called `tracer` that says `text` and then leaves.
fn tracer(server: &Server, text: &str) {
    let options =
        r#"{"verbose":false,"pedantic":false,"headers":true,"name":"tracer","lang":"x","version":"1"}"#;
    let mut raw = Raw::greeted(server);
    raw.send(format!("CONNECT {options}\r\n{text}PING\r\n"));
    while raw.line() != "PONG" {}
    server.wait_log("->> [PONG]");
}

fn trace_shows_what_comes_and_goes() {
    let server = Start::config("").args(&["-V"]).start();
    tracer(
        &server,
        "SUB foo 1\r\nPUB foo bar 5\r\nhello\r\nHPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 1\r\n",
    );
    assert_eq!(
        traced(&server, "tracer"),
        [
            "<<- [SUB foo 1]",
            "<<- [PUB foo bar 5]",
            "<<- MSG_PAYLOAD: [\"hello\"]",
            "->> [MSG foo 1 bar 5]",
            "->> MSG_PAYLOAD: [\"hello\"]",
            "<<- [HPUB foo 12 14]",
            "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhi\"]",
            "->> [HMSG foo 1 12 14]",
            "->> MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhi\"]",
            "<<- [UNSUB 1]",
            "<-> [DELSUB 1]",
            "<<- [PING]",
            "->> [PONG]",
        ]
    );
}

fn the_end_of_a_subscription_is_traced_once() {
    let server = Start::config("").args(&["-DV"]).start();
    let mut receiver = Raw::connect(&server);
    receiver.send("SUB foo 1\r\nUNSUB 1 1\r\nSUB foo 2\r\n");
    receiver.sync();
    let mut sender = Raw::connect(&server);
    sender.send("PUB foo 0\r\n\r\n");
    sender.sync();
    drop(receiver);
    server.wait_log("<-> [DELSUB 2]");
    let ends = server.log().into_iter().filter(|line| line.contains("<-> [DELSUB 1]"));
    assert_eq!(ends.count(), 1);
}

fn debug_tells_of_connections_with_their_reason() {
    let server = Start::config("").args(&["-D"]).start();
    Raw::connect(&server);
    server.wait_order(&["Client connection created", "Client connection closed: Client Closed"]);
    let mut raw = Raw::connect(&server);
    raw.send("NONSENSE\r\n");
    server.wait_log("Client connection closed: Protocol Violation");
}

fn a_client_is_labelled_with_what_it_said_of_itself() {
    let server = Start::config("authorization { user: joe, password: secret }").args(&["-D"]).start();
    let options = r#"{"user":"joe","pass":"secret","name":"n","lang":"l","version":"1.2","verbose":false}"#;
    let raw = Raw::connect_as(&server, options);
    let cid = raw.info_field("client_id").unwrap();
    drop(raw);
    let line = server.wait_log("Client connection closed");
    assert!(line.contains(&format!(" - cid:{cid} - \"v1.2:l:n\" - \"$G/user:joe\" - Client ")), "{line}");
}

fn secrets_are_redacted_in_a_traced_connect() {
    let server = Start::config("authorization { user: joe, password: hush }").args(&["-DV"]).start();
    let options =
        r#"{"user":"joe","pass":"hush","auth_token":"psst","nkey":"mum","sig":"shh","verbose":false}"#;
    Raw::connect_as(&server, options);
    let line = server.wait_log("<<- [CONNECT ");
    assert!(line.contains(r#""user":"joe","pass":"[REDACTED]","auth_token":"[REDACTED]""#), "{line}");
    for secret in ["hush", "psst", "mum", "shh"] {
        assert!(!line.contains(secret), "{secret} in {line}");
    }
}

fn a_traced_payload_is_cut_at_its_limit() {
    let starts =
        [Start::config("max_traced_msg_len: 4"), Start::config("").args(&["--max_traced_msg_len", "4"])];
    for start in starts {
        let server = start.args(&["-V"]).start();
        tracer(&server, "PUB a 4\r\n1234\r\nPUB a 5\r\n12345\r\n");
        let payloads: Vec<String> =
            traced(&server, "tracer").into_iter().filter(|line| line.contains("PAYLOAD")).collect();
        assert_eq!(payloads, ["<<- MSG_PAYLOAD: [\"1234\"]", "<<- MSG_PAYLOAD: [\"1234...\"]"]);
    }
}

fn trace_headers_shows_headers_only() {
    let server = Start::config("trace: true\ntrace_headers: true").start();
    tracer(&server, "HPUB a 18 24\r\nNATS/1.0\r\nA: b\r\n\r\nsecret\r\n");
    let lines = traced(&server, "tracer");
    assert!(lines.iter().any(|line| line.contains("PAYLOAD") && line.contains("A: b")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "{lines:?}");
}

/// A server that logs to `server.log` in its directory.
fn logging_to_file(config: &str) -> Server {
    Start::config(&format!("log_file: \"$DIR/server.log\"\n{config}")).log(Log::File("server.log")).start()
}

fn the_log_file_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("server.log"), "what was there\n").unwrap();
    let server =
        Start::config("").args(&["-l", "$DIR/server.log"]).log(Log::File("server.log")).dir(dir).start();
    assert_eq!(server.log()[0], "what was there");
    server.wait_log("Starting nats");
}

fn the_log_file_is_for_owner_and_group() {
    let server = logging_to_file("");
    let mode = std::fs::metadata(server.dir().join("server.log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

fn a_log_file_that_cannot_be_opened_is_fatal() {
    let output = run(["-a", "127.0.0.1", "-p", "-1", "-l", "/does/not/exist/x.log"]);
    assert_eq!(output.code(), 1, "{output:?}");
    let want = "error opening file: open /does/not/exist/x.log: no such file or directory";
    assert!(output.stderr.contains(want), "{output:?}");
}

fn a_log_file_is_opened_again_after_a_rename() {
    let server = logging_to_file("");
    let (file, aside) = (server.dir().join("server.log"), server.dir().join("aside.log"));
    std::fs::rename(&file, &aside).unwrap();
    server.signal(Signal::Reopen);
    server.wait_log("File log re-opened");
    let old = std::fs::read_to_string(aside).unwrap();
    assert!(old.contains("Server is ready") && !old.contains("File log re-opened"), "{old}");
    assert!(!server.logged("Server is ready"), "{:?}", server.log());
}

fn reopening_without_a_log_file_is_ignored() {
    let server = Server::start("");
    server.signal(Signal::Reopen);
    server.wait_log("File log re-open ignored, not a file logger");
}

/// The files that were put aside, oldest first.
fn backups(server: &Server) -> Vec<PathBuf> {
    let files = std::fs::read_dir(server.dir()).unwrap().map(|file| file.unwrap().path());
    let mut backups: Vec<PathBuf> =
        files.filter(|file| file.to_string_lossy().contains("server.log.")).collect();
    backups.sort();
    backups
}

fn a_full_log_file_is_put_aside() {
    let server = logging_to_file("logfile_size_limit: 1000\ndebug: true");
    let backup = eventually("a file put aside", || {
        Raw::connect(&server);
        backups(&server).first().cloned()
    });
    let name = backup.file_name().unwrap().to_string_lossy().into_owned();
    assert!(has_shape(&name, "server.log.9999.99.99.99.99.99.999999999"), "{name}");
    let line = server.wait_log("Rotated log");
    assert_eq!(server.log().first(), Some(&line));
    assert!(line.contains("[INF] Rotated log, backup saved as \""), "{line:?}");
    assert!(line.contains("server.log.") && line.ends_with('"'), "{line:?}");
}

fn only_so_many_log_files_are_kept() {
    let server = logging_to_file("logfile_size_limit: 600\nlogfile_max_num: 3\ndebug: true");
    let mut seen = std::collections::BTreeSet::new();
    eventually("six files put aside", || {
        Raw::connect(&server);
        seen.extend(backups(&server));
        (seen.len() >= 6).then_some(())
    });
    // A backup more may stand for the moment between the rename and the purge.
    eventually("the purge", || (backups(&server).len() <= 2).then_some(()));
    let newest: Vec<PathBuf> = backups(&server);
    assert!(newest.iter().all(|file| seen.iter().take(seen.len() - 3).all(|old| old < file)), "{newest:?}");
}

fn a_log_file_too_big_at_start_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("server.log"), "old\n".repeat(1000)).unwrap();
    let config = "log_file: \"$DIR/server.log\"\nlogfile_size_limit: 2000";
    let server = Start::config(config).log(Log::File("server.log")).dir(dir).start();
    let backups = backups(&server);
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert!(std::fs::read_to_string(&backups[0]).unwrap().starts_with("old\n"));
    assert!(!server.logged("old"));
}

/// A line of syslog: `<priority>…tag[process]: text`.
#[track_caller]
fn check_syslog(line: &str, pid: u32, priority: u8, text: &str) {
    assert!(line.starts_with(&format!("<{priority}>")), "{line:?}");
    assert!(line.contains(&format!("[{pid}]: ")), "{line:?}");
    assert!(line.trim_end().ends_with(text), "{line:?}");
}

/// Notice, no facility: so the reference writes to a remote syslog.
const NOTICE: u8 = 5;

fn a_remote_syslog_gets_the_lines_by_udp() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(crate::harness::wait::PATIENCE)).unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    let server = Start::config("").args(&["-r", &address]).log(Log::Elsewhere).start();
    let mut buffer = [0; 4096];
    let line = loop {
        let length = socket.recv(&mut buffer).expect("a datagram from the server");
        let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if line.contains("Server is ready") {
            break line;
        }
    };
    check_syslog(&line, server.pid(), NOTICE, "Server is ready");
}

fn a_remote_syslog_gets_the_lines_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let reader = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(crate::harness::wait::PATIENCE)).unwrap();
        BufReader::new(stream).lines().map(Result::unwrap).find(|line| line.contains("Server is ready"))
    });
    let server = Start::config(&format!("remote_syslog: \"{address}\"")).log(Log::Elsewhere).start();
    let line = reader.join().unwrap().expect("the connection stays open");
    check_syslog(&line, server.pid(), NOTICE, "Server is ready");
}

fn a_remote_syslog_of_another_kind_is_fatal() {
    let output = run(["-a", "127.0.0.1", "-p", "-1", "-r", "http://127.0.0.1:1"]);
    assert_eq!(output.code(), 1, "{output:?}");
    assert!(output.stderr.contains("invalid network type: \"http\""), "{output:?}");
}

/// Minutes since midnight in the stamp of a line.
fn minutes(line: &str) -> i32 {
    let time = line.split_ascii_whitespace().nth(2).unwrap();
    let mut parts = time.split(':').map(|part| part.split('.').next().unwrap().parse::<i32>().unwrap());
    parts.next().unwrap() * 60 + parts.next().unwrap()
}

/// Fourteen hours ahead all year, by the machine's table of zones (package tzdata).
const ZONE: &str = "Pacific/Kiritimati";

/// Two servers in that zone, one of them told to write UTC.
fn utc_may_be_asked_for() {
    let stamp = |config: &str| {
        let server = Start::config(config).env("TZ", ZONE).start();
        minutes(&server.wait_log("Server is ready"))
    };
    let (local, utc) = (stamp("logtime: true"), stamp("logtime_utc: true"));
    let ahead = (local - utc).rem_euclid(24 * 60);
    // Starts are minutes apart at worst.
    assert!((820..=845).contains(&ahead), "local time is {ahead} minutes ahead");
}
