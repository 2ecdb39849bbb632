//! Taking connections in: when descriptors run out, and while a reload is under way.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Signal, Start};

trials! { Nothing => [
    a_lack_of_descriptors_is_waited_out_from_10_ms_to_a_second,
    connections_wait_while_a_reload_is_under_way,
] }

/// How many descriptors the server may have from now on.
fn limit_descriptors(server: &Server, limit: u64) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: Some(limit), maximum };
    prlimit(pid, Resource::Nofile, limit).expect("a process of our own");
}

/// The lowest limit under which the server keeps what it has: one more descriptor is too many.
fn exhaust_descriptors(server: &Server) {
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("a process of our own");
    let numbers = open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse::<u64>().unwrap());
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    // The first number that is free is what the kernel would give next.
    let free = numbers.iter().zip(0..).find(|(number, at)| *number != at).map(|(_, at)| at);
    limit_descriptors(server, free.unwrap_or(numbers.len() as u64));
}

/// Each try waits twice as long as the one before, up to a second; the first success starts over.
fn a_lack_of_descriptors_is_waited_out_from_10_ms_to_a_second() {
    let server = Server::start("");
    // Kept: a descriptor that comes back in between would start the waits over.
    let mut held = Vec::new();
    for _ in 0..2 {
        let mark = server.log_mark();
        exhaust_descriptors(&server);
        let mut raw = Raw::open(server.addr());
        for pause in [10, 20, 40, 80, 160, 320, 640, 1000] {
            let want = format!("too many open files), sleeping {pause}ms");
            let line = server.wait_log_after(mark, &want);
            let at = server.addr();
            let failure = format!("[ERR] Temporary Client Accept Error(accept tcp {at}: accept4: too");
            assert!(line.contains(&failure), "{line}");
        }
        let said = |pause: &str| {
            server.log().iter().skip(mark).filter(|line| line.ends_with(&format!("sleeping {pause}"))).count()
        };
        assert_eq!((said("10ms"), said("640ms")), (1, 1));
        limit_descriptors(&server, 1000);
        assert!(raw.any_line().unwrap().starts_with("INFO {"));
        held.push(raw);
    }
}

/// The reload is held up by a pid file that is a pipe: writing it ends when someone reads.
fn connections_wait_while_a_reload_is_under_way() {
    let server = Start::config("max_payload: 100").args(&["-D"]).start();
    let pipe = server.dir().join("pid");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut old = Raw::connect(&server);
    server.rewrite("max_payload: 200\npid_file: \"$DIR/pid\"");
    server.signal(Signal::Reload);
    server.wait_log("Reloaded: max_payload = 200");

    let mut newcomer = Raw::open(server.addr());
    // Those who are there already are served meanwhile.
    (0..50).for_each(|_| drop(old.sync()));
    let created = format!("127.0.0.1:{} - cid:", newcomer.local_port());
    assert!(!server.logged(&created), "taken in during the reload");

    assert_eq!(fs::read_to_string(&pipe).unwrap(), server.pid().to_string());
    let info = newcomer.any_line().unwrap();
    assert!(info.starts_with("INFO {") && info.contains("\"max_payload\":200"), "{info}");
    server.wait_order(&["Reloaded server configuration", &created]);
}
