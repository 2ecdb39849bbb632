//! The small files beside a server: its process id, its ports.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::trial::trials;
use crate::harness::{Server, Signal, Start, eventually, run};

trials! { Nothing => [
    the_pid_file_holds_the_number_for_its_owner_only,
    the_pid_file_outlives_the_server,
    a_pid_file_that_cannot_be_written_is_fatal,
    the_pid_file_may_come_from_the_configuration,
    the_ports_file_names_program_and_process,
    the_ports_file_lists_the_client_addresses,
    a_wildcard_host_lists_every_interface,
    the_ports_file_goes_with_the_server,
] }

fn the_pid_file_holds_the_number_for_its_owner_only() {
    let server = Start::config("").args(&["-P", "$DIR/server.pid"]).start();
    let file = server.dir().join("server.pid");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), server.pid().to_string());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

fn the_pid_file_outlives_the_server() {
    let mut server = Start::config("").args(&["--pid", "$DIR/server.pid"]).start();
    server.signal(Signal::Terminate);
    server.wait_exit();
    assert!(server.dir().join("server.pid").exists());
}

fn a_pid_file_that_cannot_be_written_is_fatal() {
    let output = run(["-a", "127.0.0.1", "-p", "-1", "-P", "/does/not/exist/pid"]);
    assert_eq!(output.code(), 1);
    let want = "[FTL] Could not write pidfile: open /does/not/exist/pid: no such file or directory";
    assert!(output.stderr.contains(want), "{output:?}");
}

fn the_pid_file_may_come_from_the_configuration() {
    let server = Server::start("pid_file: \"$DIR/from_config.pid\"");
    let text = std::fs::read_to_string(server.dir().join("from_config.pid")).unwrap();
    assert_eq!(text, server.pid().to_string());
}

/// The ports file's place and content, once it is there and whole.
fn ports(server: &Server) -> (PathBuf, serde_json::Value) {
    let ending = format!("_{}.ports", server.pid());
    eventually("the ports file", || {
        let mut files = std::fs::read_dir(server.dir()).unwrap().map(|file| file.unwrap().path());
        let file = files.find(|file| file.to_string_lossy().ends_with(&ending))?;
        let text = std::fs::read_to_string(&file).unwrap();
        Some((file, serde_json::from_str(&text).ok()?))
    })
}

fn with_ports_file(config: &str, args: &[&str]) -> Server {
    let mut all = vec!["--ports_file_dir", "$DIR"];
    all.extend(args);
    Start::config(config).args(&all).start()
}

fn the_ports_file_names_program_and_process() {
    let server = with_ports_file("", &[]);
    let (file, _) = ports(&server);
    let program = std::fs::read_link(format!("/proc/{}/exe", server.pid())).unwrap();
    let program = program.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(file.file_name().unwrap().to_string_lossy(), format!("{program}_{}.ports", server.pid()));
}

fn the_ports_file_lists_the_client_addresses() {
    let server = with_ports_file("", &[]);
    let (_, content) = ports(&server);
    assert_eq!(content, serde_json::json!({ "nats": [server.url()] }));
}

fn a_wildcard_host_lists_every_interface() {
    let server = with_ports_file("", &["-a", "0.0.0.0"]);
    let (_, content) = ports(&server);
    let urls: Vec<&str> =
        content["nats"].as_array().unwrap().iter().map(|url| url.as_str().unwrap()).collect();
    assert!(urls.contains(&server.url().as_str()), "{urls:?}");
    assert!(urls.iter().all(|url| !url.contains("0.0.0.0")), "{urls:?}");
}

fn the_ports_file_goes_with_the_server() {
    let mut server = with_ports_file("", &[]);
    let (file, _) = ports(&server);
    server.signal(Signal::Terminate);
    server.wait_exit();
    assert!(!file.exists());
}
