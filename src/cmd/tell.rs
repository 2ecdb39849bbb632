//! `--signal`: tells running servers to stop, reload, reopen their log or become a lame duck.
//!
//! Finding processes and sending are handed in, so that the rules and texts are tested without any.

use std::io;

use rustix::process::{Pid, Signal, kill_process};

use crate::server::base::io_text::io_text;
use crate::server::base::quote::quote;

/// What processes there are and how they get a signal.
pub trait Processes {
    /// Ids of the running servers, this process excluded. `None`: the system does not tell.
    fn servers(&self) -> Option<Vec<i64>>;
    /// Sends a signal; an error is the system's text.
    fn send(&mut self, pid: i64, signal: Signal) -> Result<(), String>;
    /// The text of a file that may hold a process id.
    fn read(&self, path: &str) -> Option<String>;
}

/// Does what `--signal` asks: `name`, `name=pid`, `name=file` or `name=prefix*`. Errors are the
/// reference's texts.
pub fn tell(ask: &str, processes: &mut impl Processes) -> Result<(), String> {
    let mut parts = ask.split('=');
    let name = parts.next().unwrap_or_default();
    let pid = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    if !rest.is_empty() {
        return Err(format!("invalid signal parameters: [{}]", rest.join(" ")));
    }
    let pid = if pid.is_empty() { None } else { processes.read(pid) }.unwrap_or_else(|| pid.to_owned());
    let pids = choose(&pid, processes)?;
    let signal = signal(name)?;
    let mut failures = String::new();
    for pid in pids {
        if let Err(reason) = processes.send(pid, signal) {
            failures.push_str(&format!("\nsignal {} {pid}: {reason}", quote(name)));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The processes that `pid` means.
fn choose(pid: &str, processes: &impl Processes) -> Result<Vec<i64>, String> {
    let (prefix, is_pattern) = match pid.strip_suffix('*') {
        Some(prefix) => (prefix, true),
        None => (pid, false),
    };
    let number = if prefix.is_empty() {
        None
    } else {
        Some(prefix.parse::<i64>().map_err(|_| format!("invalid pid: {prefix}"))?)
    };
    if let (Some(number), false) = (number, is_pattern) {
        return Ok(vec![number]);
    }
    let running = processes.servers().ok_or("unable to resolve pid, try providing one")?;
    if running.is_empty() {
        return Err("no nats-server processes running".to_owned());
    }
    if running.len() > 1 && !is_pattern {
        let list: String = running.iter().map(|pid| format!("\n{pid}")).collect();
        return Err(format!("multiple nats-server processes running:{list}"));
    }
    Ok(running.into_iter().filter(|pid| pid.to_string().starts_with(prefix)).collect())
}

fn signal(name: &str) -> Result<Signal, String> {
    match name {
        "stop" => Ok(Signal::KILL),
        "quit" => Ok(Signal::INT),
        "term" => Ok(Signal::TERM),
        "reopen" => Ok(Signal::USR1),
        "reload" => Ok(Signal::HUP),
        "ldm" => Ok(Signal::USR2),
        _ => Err(format!("unknown signal {}", quote(name))),
    }
}

/// The processes of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Processes for Machine {
    fn servers(&self) -> Option<Vec<i64>> {
        let own = i64::from(std::process::id());
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").ok()?.flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok());
            let Some(pid) = pid.filter(|pid| *pid != own) else {
                continue;
            };
            // A process may be gone by now.
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            let args = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if is_server(name.trim_end(), &args) {
                found.push(pid);
            }
        }
        found.sort_unstable();
        Some(found)
    }

    fn send(&mut self, pid: i64, signal: Signal) -> Result<(), String> {
        let none = || "no such process".to_owned();
        // Zero and below would mean groups of processes, or all.
        let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or_else(none)?;
        kill_process(pid, signal).map_err(|error| io_text(&io::Error::from(error)))
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read(path).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
    }
}

/// Whether a process is a server: by name the reference's, or natsx when it serves.
fn is_server(name: &str, args: &[u8]) -> bool {
    if name.contains("nats-server") {
        return true;
    }
    let word = args.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    name == "natsx" && (word == b"serve" || word.starts_with(b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake {
        running: Vec<i64>,
        files: Vec<(&'static str, &'static str)>,
        sent: Vec<(i64, Signal)>,
        refuse: Option<&'static str>,
    }

    impl Processes for Fake {
        fn servers(&self) -> Option<Vec<i64>> {
            (self.running != [-1]).then(|| self.running.clone())
        }

        fn send(&mut self, pid: i64, signal: Signal) -> Result<(), String> {
            self.sent.push((pid, signal));
            self.refuse.map_or(Ok(()), |reason| Err(reason.to_owned()))
        }

        fn read(&self, path: &str) -> Option<String> {
            self.files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        }
    }

    #[track_caller]
    fn check(ask: &str, running: &[i64], want: &[(i64, Signal)]) {
        let files = vec![("/run/pid", "42"), ("7", "43")];
        let mut fake = Fake { running: running.to_vec(), files, ..Fake::default() };
        assert_eq!(tell(ask, &mut fake), Ok(()), "{ask}");
        assert_eq!(fake.sent, want, "{ask}");
    }

    #[track_caller]
    fn check_refused(ask: &str, running: &[i64], want: &str) {
        let mut fake = Fake { running: running.to_vec(), ..Fake::default() };
        assert_eq!(tell(ask, &mut fake), Err(want.to_owned()), "{ask}");
        assert_eq!(fake.sent, [], "{ask}");
    }

    #[test]
    fn every_name_has_its_signal() {
        for (name, signal) in [
            ("stop", Signal::KILL),
            ("quit", Signal::INT),
            ("term", Signal::TERM),
            ("reopen", Signal::USR1),
            ("reload", Signal::HUP),
            ("ldm", Signal::USR2),
        ] {
            check(&format!("{name}=5"), &[], &[(5, signal)]);
        }
    }

    #[test]
    fn the_only_server_needs_no_pid() {
        check("reload", &[11], &[(11, Signal::HUP)]);
        check("reload=", &[11], &[(11, Signal::HUP)]);
    }

    #[test]
    fn a_file_may_hold_the_pid() {
        check("quit=/run/pid", &[1, 2], &[(42, Signal::INT)]);
        check("quit=7", &[], &[(43, Signal::INT)]);
    }

    #[test]
    fn a_star_means_all_servers_whose_pid_begins_so() {
        check("quit=12*", &[12, 120, 21, 312], &[(12, Signal::INT), (120, Signal::INT)]);
        check("quit=*", &[1, 2], &[(1, Signal::INT), (2, Signal::INT)]);
        check("quit=9*", &[12], &[]);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        check_refused("foo=1", &[], "unknown signal \"foo\"");
        check_refused("=1", &[], "unknown signal \"\"");
        check_refused("foo", &[5], "unknown signal \"foo\"");
        check_refused("foo", &[], "no nats-server processes running");
    }

    #[test]
    fn a_bad_pid_is_refused() {
        for (ask, want) in [
            ("quit=abc", "invalid pid: abc"),
            ("quit=x*", "invalid pid: x"),
            ("quit=1 ", "invalid pid: 1 "),
            ("quit=999999999999999999999", "invalid pid: 999999999999999999999"),
            ("quit=1=2=3", "invalid signal parameters: [2 3]"),
            ("a=b=c", "invalid signal parameters: [c]"),
        ] {
            check_refused(ask, &[1], want);
        }
    }

    #[test]
    fn several_servers_are_listed() {
        check_refused("quit", &[11, 12], "multiple nats-server processes running:\n11\n12");
    }

    #[test]
    fn no_servers_and_an_unknown_machine_are_told() {
        check_refused("quit", &[], "no nats-server processes running");
        check_refused("quit=1*", &[], "no nats-server processes running");
        check_refused("quit", &[-1], "unable to resolve pid, try providing one");
    }

    #[test]
    fn what_the_system_refuses_is_told_for_each_process() {
        let mut fake = Fake { running: vec![11, 12], refuse: Some("no such process"), ..Fake::default() };
        let want = "\nsignal \"quit\" 11: no such process\nsignal \"quit\" 12: no such process";
        assert_eq!(tell("quit=*", &mut fake), Err(want.to_owned()));
    }

    #[test]
    fn pids_that_mean_groups_are_never_signalled() {
        for pid in [0, -1, i64::from(i32::MAX) + 1] {
            assert_eq!(Machine.send(pid, Signal::TERM), Err("no such process".to_owned()));
        }
    }

    #[test]
    fn servers_are_known_by_their_name_and_natsx_by_what_it_does() {
        for (name, args, want) in [
            ("nats-server", &b"/usr/sbin/nats-server\0-js\0"[..], true),
            ("natsx", b"natsx\0serve\0", true),
            ("natsx", b"natsx\0-p\x001\0", true),
            ("natsx", b"natsx\0bench\0", false),
            ("natsx", b"natsx\0", false),
            ("bash", b"bash\0nats-server\0", false),
        ] {
            assert_eq!(is_server(name, args), want, "{name}");
        }
    }
}
