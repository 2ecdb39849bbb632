//! Starts the server that a script asks for, reads its log, signals it, and stops it.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::script::SignalName;

/// How long a server may take to start, to reload, to exit or to log what it has done. Long, because
/// the machine may be busy; whoever passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

const LISTENS: &str = "Listening for client connections on ";
const READY: &str = "Server is ready";

/// What every server is started with: a free port, and a log that says everything.
const CONFIG: &str = "listen: \"127.0.0.1:-1\"\ndebug: true\ntrace: true\n";

/// A running server and its log.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<LogBook>,
    directory: PathBuf,
}

impl Server {
    /// Starts `program` with these lines of configuration, and waits until it is ready. `%DIR%` in
    /// a line stands for the server's own temporary directory.
    ///
    /// # Errors
    /// The program can't be run, or its log says why it did not start.
    pub fn start(program: &Path, config: &[String]) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("natsx-parity-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory)?;
        write_config(&directory, &config.join("\n"))?;
        let mut child = Command::new(program)
            .arg("-c")
            .arg(directory.join("server.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(LogBook::default());
        if let Some(stderr) = child.stderr.take() {
            let book = Arc::clone(&log);
            thread::spawn(move || book.fill(BufReader::new(stderr)));
        }
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), log, directory };
        server.address = server.wait_until_ready()?;
        Ok(server)
    }

    /// Where it listens for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log.
    pub fn log(&self) -> &LogBook {
        &self.log
    }

    /// Gives it another configuration and waits until it has taken or refused it.
    ///
    /// # Errors
    /// The file can't be written, or the server doesn't answer.
    pub fn reload(&self, config: &str) -> io::Result<()> {
        write_config(&self.directory, config)?;
        let before = self.log.length();
        self.signal(SignalName::Hup)?;
        let done =
            |line: &str| line.contains("eloaded server configuration") || line.contains("ailed to reload");
        match self.log.wait_for(before, PATIENCE, done) {
            Some(_) => Ok(()),
            None => Err(io::Error::other("the server said nothing about the reload")),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It isn't there any more.
    pub fn signal(&self, name: SignalName) -> io::Result<()> {
        let signal = match name {
            SignalName::Hup => Signal::HUP,
            SignalName::Int => Signal::INT,
            SignalName::Term => Signal::TERM,
            SignalName::Usr1 => Signal::USR1,
            SignalName::Usr2 => Signal::USR2,
        };
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits until it has exited, and gives its status; `None` if a signal ended it.
    ///
    /// # Errors
    /// It runs on.
    pub fn wait_for_exit(&mut self) -> io::Result<Option<i32>> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("the server runs on"))
    }

    fn wait_until_ready(&mut self) -> io::Result<SocketAddr> {
        let fatal = |line: &str| line.contains("[FTL]") || line.contains("server.conf:");
        let ready = self.log.wait_for(0, PATIENCE, |line| line.contains(READY) || fatal(line));
        let lines = self.log.from(0);
        let address = lines
            .iter()
            .find_map(|line| line.split_once(LISTENS))
            .and_then(|(_, address)| address.trim().parse().ok());
        match (ready, address) {
            (Some(_), Some(address)) => Ok(address),
            _ => Err(io::Error::other(format!("the server did not start:\n{}", lines.join("\n")))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do where the child or the directory is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn write_config(directory: &Path, config: &str) -> io::Result<()> {
    let config = config.replace("%DIR%", &directory.to_string_lossy());
    fs::write(directory.join("server.conf"), format!("{CONFIG}{config}\n"))
}

/// The lines that a server has logged, growing.
#[derive(Debug, Default)]
pub struct LogBook {
    pages: Mutex<Pages>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Pages {
    lines: Vec<String>,
    ended: bool,
}

impl LogBook {
    /// Lines so far.
    pub fn length(&self) -> usize {
        self.pages().lines.len()
    }

    /// The lines from this one on.
    pub fn from(&self, start: usize) -> Vec<String> {
        self.pages().lines.get(start..).unwrap_or_default().to_vec()
    }

    /// Waits for a line from `start` on that fits, and gives its index. Gives up after `patience`, or
    /// when the server has closed its log.
    pub fn wait_for(
        &self,
        start: usize,
        patience: Duration,
        mut fits: impl FnMut(&str) -> bool,
    ) -> Option<usize> {
        let end = Instant::now() + patience;
        let mut next = start;
        let mut pages = self.pages();
        loop {
            let fresh = pages.lines.get(next..).unwrap_or_default();
            if let Some(offset) = fresh.iter().position(|line| fits(line)) {
                return Some(next + offset);
            }
            next += fresh.len();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || pages.ended {
                return None;
            }
            pages = self.grown.wait_timeout(pages, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn fill(&self, mut source: impl BufRead) {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = source.read_until(b'\n', &mut line).unwrap_or(0);
            let mut pages = self.pages();
            if read == 0 {
                pages.ended = true;
            } else {
                pages.lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            drop(pages);
            self.grown.notify_all();
            if read == 0 {
                return;
            }
        }
    }

    /// A reader that panicked leaves whole lines behind, so a poisoned lock is as good as another.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_the_first_line_that_fits_and_ends_with_its_server() {
        let book = LogBook::default();
        book.fill(&b"one\ntwo\none\n"[..]);
        assert_eq!(book.length(), 3);
        assert_eq!(book.wait_for(0, PATIENCE, |line| line == "two"), Some(1));
        assert_eq!(book.wait_for(1, PATIENCE, |line| line == "one"), Some(2));
        assert_eq!(book.wait_for(0, PATIENCE, |line| line == "three"), None);
        assert_eq!(book.from(2), ["one"]);
    }

    #[test]
    fn a_program_that_is_no_server_is_an_error() {
        assert!(Server::start(Path::new("/bin/false"), &[]).is_err());
        assert!(Server::start(Path::new("/nowhere/at/all"), &[]).is_err());
    }
}
