//! The server as a process: signals, exit codes, what it says before it ends.

use std::net::{TcpListener, TcpStream};

use crate::harness::trial::trials;
use crate::harness::{Output, Raw, Server, Signal, Start, run};

trials! { Nothing => [
    an_interrupt_shuts_down_with_exit_0,
    a_termination_shuts_down_with_exit_0,
    every_signal_is_logged_with_its_name,
    a_shutdown_closes_listener_and_clients,
    a_signal_is_delivered_by_process_id,
    a_signal_is_delivered_by_pid_file,
    a_signal_is_delivered_by_a_pattern_of_pid_files,
    each_name_of_a_signal_does_its_work,
    an_unknown_signal_name_is_refused,
    a_bad_process_id_is_refused,
    a_signal_without_process_id_lists_the_running_servers,
    a_port_in_use_is_fatal,
    an_invalid_port_is_fatal,
    a_missing_configuration_file_is_fatal,
    an_unknown_key_is_fatal_and_named_with_its_place,
    a_checked_configuration_gives_its_verdict_and_no_server,
    the_version_is_one_line,
    help_goes_to_stdout_with_exit_0,
    an_unknown_flag_shows_the_usage_with_exit_0,
    an_unknown_command_is_refused,
    flags_win_over_the_configuration_file,
    the_address_that_clients_are_told_is_a_flag_too,
    an_address_to_be_told_that_is_none_is_fatal_once_it_listens,
    warnings_alone_do_not_stop_a_start,
    keys_are_taken_in_any_case,
    flags_may_have_one_dash_or_two,
], Natsx => [
    secrets_are_not_seen_in_the_process_list,
] }

/// A run that must end with this code and say this on its stderr.
#[track_caller]
fn expect_end(args: &[&str], code: i32, stderr: &str) -> Output {
    let output = run(args);
    assert_eq!(output.code(), code, "{output:?}");
    assert!(output.stderr.contains(stderr), "no {stderr:?} in {output:?}");
    output
}

#[track_caller]
fn expect_shutdown(signal: Signal, name: &str) {
    let mut server = Server::start("");
    let mut raw = Raw::connect(&server);
    server.signal(signal);
    assert_eq!(server.wait_exit().code(), Some(0));
    server.wait_log(&format!("Trapped \"{name}\" signal"));
    server.wait_log("Initiating Shutdown...");
    server.wait_log("Server Exiting..");
    assert_eq!(raw.closed(), Vec::<String>::new());
}

fn an_interrupt_shuts_down_with_exit_0() {
    expect_shutdown(Signal::Interrupt, "interrupt");
}

fn a_termination_shuts_down_with_exit_0() {
    expect_shutdown(Signal::Terminate, "terminated");
}

fn every_signal_is_logged_with_its_name() {
    let mut server = Server::start("");
    let _client = Raw::connect(&server);
    // What the signal does is waited for too: only a lame duck lives on after a termination.
    for (signal, name, done) in [
        (Signal::Reload, "hangup", "Reloaded server configuration"),
        (Signal::Reopen, "user defined signal 1", "File log re-open ignored"),
        (Signal::LameDuck, "user defined signal 2", "Entering lame duck mode"),
        (Signal::Terminate, "terminated", "Trapped"),
        (Signal::Interrupt, "interrupt", "Server Exiting.."),
    ] {
        server.signal(signal);
        server.wait_log(&format!("Trapped \"{name}\" signal"));
        server.wait_log(done);
    }
    assert_eq!(server.wait_exit().code(), Some(0));
}

fn a_shutdown_closes_listener_and_clients() {
    let mut server = Start::config("").args(&["-D"]).start();
    let mut clients: Vec<Raw> = (0..20).map(|_| Raw::connect(&server)).collect();
    server.signal(Signal::Terminate);
    for raw in &mut clients {
        assert_eq!(raw.closed(), Vec::<String>::new());
    }
    server.wait_exit();
    assert!(TcpStream::connect(server.addr()).is_err(), "something still listens");
    server.wait_log("Client connection closed: Server Shutdown");
}

fn a_signal_is_delivered_by_process_id() {
    let mut server = Server::start("");
    expect_end(&["--signal", &format!("quit={}", server.pid())], 0, "");
    assert_eq!(server.wait_exit().code(), Some(0));
    server.wait_log("Trapped \"interrupt\" signal");
}

fn a_signal_is_delivered_by_pid_file() {
    let mut server = Start::config("").args(&["-P", "$DIR/server.pid"]).start();
    let file = server.dir().join("server.pid");
    expect_end(&["-sl", &format!("term={}", file.display())], 0, "");
    assert_eq!(server.wait_exit().code(), Some(0));
    server.wait_log("Trapped \"terminated\" signal");
}

/// The pattern is a prefix of process ids.
fn a_signal_is_delivered_by_a_pattern_of_pid_files() {
    let mut server = Server::start("");
    expect_end(&["--signal", &format!("quit={}*", server.pid())], 0, "");
    assert_eq!(server.wait_exit().code(), Some(0));
}

fn each_name_of_a_signal_does_its_work() {
    let mut server = Server::start("");
    let _client = Raw::connect(&server);
    for (name, line) in [
        ("reload", "Reloaded server configuration"),
        ("reopen", "File log re-open ignored, not a file logger"),
        ("ldm", "Entering lame duck mode"),
    ] {
        expect_end(&["--signal", &format!("{name}={}", server.pid())], 0, "");
        server.wait_log(line);
    }
    expect_end(&["--signal", &format!("stop={}", server.pid())], 0, "");
    assert_eq!(server.wait_exit().code(), None, "stop kills");
}

fn an_unknown_signal_name_is_refused() {
    expect_end(&["--signal", "foo=1"], 1, "unknown signal \"foo\"");
}

fn a_bad_process_id_is_refused() {
    expect_end(&["--signal", "quit=abc"], 1, "invalid pid: abc");
    expect_end(&["--signal", "quit=/does/not/exist"], 1, "invalid pid: /does/not/exist");
    expect_end(&["--signal", "quit=4194305"], 1, "signal \"quit\" 4194305: no such process");
}

fn a_signal_without_process_id_lists_the_running_servers() {
    let servers = [Server::start(""), Server::start("")];
    let output = expect_end(&["--signal", "reload"], 1, "multiple nats-server processes running:");
    for server in &servers {
        assert!(output.stderr.lines().any(|line| line == server.pid().to_string()), "{output:?}");
        assert!(!server.logged("Trapped"), "a server was signalled all the same");
    }
}

fn a_port_in_use_is_fatal() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = expect_end(&["-a", "127.0.0.1", "-p", &port.to_string()], 1, "[FTL] ");
    let want = format!("Error listening on port: 127.0.0.1:{port}, ");
    assert!(output.stderr.contains(&want), "{output:?}");
    assert!(output.stderr.contains("address already in use"), "{output:?}");
}

fn an_invalid_port_is_fatal() {
    let output = expect_end(&["-a", "127.0.0.1", "-p", "99999"], 1, "[FTL] ");
    assert!(output.stderr.contains("99999") && output.stderr.contains("invalid port"), "{output:?}");
}

fn a_missing_configuration_file_is_fatal() {
    expect_end(&["-c", "/does/not/exist"], 1, "open /does/not/exist: no such file or directory");
}

/// Checks and starts with this configuration text, expecting a refusal with these words.
#[track_caller]
fn expect_refused(config: &str, words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.conf");
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    expect_end(&["-a", "127.0.0.1", "-p", "-1", "-c", file], 1, words);
    expect_end(&["-t", "-c", file], 1, words);
}

fn an_unknown_key_is_fatal_and_named_with_its_place() {
    expect_refused("port: 4222\nfoo: 1\n", "server.conf:2:1: unknown field \"foo\"");
    expect_refused("a: {\n", "Parse error on line 2: 'Unexpected EOF processing map.'");
}

fn a_checked_configuration_gives_its_verdict_and_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.conf");
    std::fs::write(&file, "port: 4222\nmax_payload: 2mb\n").unwrap();
    let output = expect_end(&["-t", "-c", file.to_str().unwrap()], 0, "is valid");
    assert!(!output.stderr.contains("Listening"), "{output:?}");
}

fn the_version_is_one_line() {
    for flag in ["-v", "--version"] {
        let output = run([flag]);
        assert_eq!(output.code(), 0);
        let line = output.stdout.strip_suffix('\n').unwrap_or_default();
        let (_name, version) = line.split_once(": v").unwrap_or_else(|| panic!("{output:?}"));
        let version = version.split(' ').next().unwrap_or_default();
        assert_eq!(version.split('.').count(), 3, "{output:?}");
        assert!(!line.contains('\n'), "{output:?}");
    }
}

fn help_goes_to_stdout_with_exit_0() {
    for flag in ["-h", "--help"] {
        let output = run([flag]);
        assert_eq!(output.code(), 0);
        assert!(output.stdout.contains("Usage:"), "{output:?}");
        for flag in ["--addr", "--port", "--signal", "--config", "--log"] {
            assert!(output.stdout.contains(flag), "no {flag} in {output:?}");
        }
    }
}

fn an_unknown_flag_shows_the_usage_with_exit_0() {
    for (args, words) in [
        (["--nope"].as_slice(), "flag provided but not defined: -nope"),
        (["--signal"].as_slice(), "flag needs an argument: -signal"),
        (["-p", "many"].as_slice(), "invalid value \"many\" for flag -p: parse error"),
    ] {
        let output = expect_end(args, 0, words);
        assert!(output.stdout.contains("Usage:"), "{output:?}");
    }
}

fn an_unknown_command_is_refused() {
    expect_end(&["extra"], 1, "unrecognized command: \"extra\"");
}

fn flags_win_over_the_configuration_file() {
    let config = "server_name: file\nmax_payload: 100\nport: 1\ndebug: true";
    let server = Start::config(config).args(&["-n", "flag", "--debug=false"]).start();
    let raw = Raw::greeted(&server);
    assert_eq!(raw.info_field("server_name"), Some("flag".into()));
    assert_eq!(raw.info_field("max_payload"), Some(100.into()));
    // The name in the file would be refused as a change: what the flag gave is the old one.
    server.reload("server_name: flag\nmax_payload: 200\nport: 1\ndebug: true\ntrace: true");
    let raw = Raw::connect(&server);
    assert_eq!(raw.info_field("max_payload"), Some(200.into()));
    server.wait_log("<<- [CONNECT ");
    assert!(!server.logged("[DBG]"), "the file's debug won");
}

fn the_address_that_clients_are_told_is_a_flag_too() {
    let server =
        Start::config("client_advertise: \"file:1\"").args(&["--client_advertise", "a.b:99"]).start();
    let raw = Raw::greeted(&server);
    assert_eq!((raw.info_field("host"), raw.info_field("port")), (Some("a.b".into()), Some(99.into())));
}

fn an_address_to_be_told_that_is_none_is_fatal_once_it_listens() {
    let text = "Error setting server INFO with ClientAdvertise value of a:b, err=strconv.Atoi: parsing \"b\": invalid syntax";
    let output = expect_end(&["-a", "127.0.0.1", "-p", "-1", "--client_advertise", "a:b"], 1, text);
    let listening = output.stderr.find("Listening for client connections on 127.0.0.1:");
    assert!(listening.is_some_and(|at| Some(at) < output.stderr.find(text)), "{output:?}");
}

/// Only `-t` takes a warning for a mistake.
fn warnings_alone_do_not_stop_a_start() {
    let config = "write_deadline: 10\nmax_payload: 100";
    let server = Server::start(config);
    server.wait_log(
        "server.conf:1:0: invalid use of field \"write_deadline\": write_deadline should be converted",
    );
    assert_eq!(Raw::connect(&server).info_field("max_payload"), Some(100.into()));
    expect_end(
        &["-t", "-c", server.config_path().to_str().unwrap()],
        1,
        "write_deadline should be converted",
    );
}

fn keys_are_taken_in_any_case() {
    for key in ["MAX_PAYLOAD", "Max_Payload", "max_payload", "mAx_pAyLoAd"] {
        let server = Server::start(&format!("{key}: 100"));
        assert_eq!(Raw::greeted(&server).info_field("max_payload"), Some(100.into()), "{key}");
    }
    let mappings = Server::start("Mappings: { a: [ { Destination: b, WEIGHT: 100 } ] }");
    let mut raw = Raw::connect(&mappings);
    raw.send("SUB b 1\r\nPUB a 1\r\nx\r\n");
    raw.expect_message("b", "x");
}

fn flags_may_have_one_dash_or_two() {
    for flag in [["-server_name", "a"].as_slice(), &["--name=a"], &["-n=a"], &["--n", "a"]] {
        let server = Start::config("").args(flag).start();
        assert_eq!(Raw::greeted(&server).info_field("server_name"), Some("a".into()), "{flag:?}");
    }
}

/// The reference leaves them there. The last value of a flag counts, so that nobody has to log in.
fn secrets_are_not_seen_in_the_process_list() {
    let secrets = ["--user=somebody", "--pass", "very-secret", "--user=", "--pass="];
    let server = Start::config("").args(&secrets).args(&["-n", "shown"]).start();
    let args = std::fs::read(format!("/proc/{}/cmdline", server.pid())).expect("the arguments");
    let args = String::from_utf8_lossy(&args).replace('\0', " ");
    assert!(!args.contains("somebody") && !args.contains("very-secret"), "{args}");
    assert!(args.contains("--user=[REDACT") && args.contains("-n shown"), "{args}");
}
