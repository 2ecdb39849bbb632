//! A server process: started on a free port, its log at hand, killed when it goes out of scope.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use tempfile::TempDir;

use super::command::serve;
use super::trial::reference;
use super::wait::{PATIENCE, eventually};

/// The signals that a server understands, by what they ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    Reload,
    Reopen,
    LameDuck,
}

/// Where the server under test writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    Stderr,
    /// A file of this name in the server's directory.
    File(&'static str),
    /// Somewhere the test looks after itself: the port comes from the ports file.
    Elsewhere,
}

/// How a server is to be started.
#[derive(Debug)]
pub(crate) struct Start {
    config: String,
    config_name: &'static str,
    args: Vec<String>,
    log: Log,
    dir: Option<TempDir>,
    with_config: bool,
    reference: bool,
    env: Vec<(&'static str, String)>,
}

impl Start {
    /// A server with this configuration text; it listens on a free port of the loopback.
    pub(crate) fn config(text: &str) -> Self {
        Self {
            config: text.to_owned(),
            config_name: "server.conf",
            args: Vec::new(),
            log: Log::Stderr,
            dir: None,
            with_config: true,
            reference: false,
            env: Vec::new(),
        }
    }

    /// More flags.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// The configuration file's name: its ending may decide how it is read.
    pub(crate) fn config_name(mut self, name: &'static str) -> Self {
        self.config_name = name;
        self
    }

    /// Where the log goes. With [`Log::File`] the configuration says so too, or nothing is found.
    pub(crate) fn log(mut self, log: Log) -> Self {
        self.log = log;
        self
    }

    /// A directory that the test has prepared; `$DIR` in the configuration stands for it.
    pub(crate) fn dir(mut self, dir: TempDir) -> Self {
        self.dir = Some(dir);
        self
    }

    /// A variable of the environment.
    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// Starts without a configuration file.
    pub(crate) fn without_config(mut self) -> Self {
        self.with_config = false;
        self
    }

    /// Starts the Go server instead of the one under test; the trial has asked for it.
    pub(crate) fn reference(mut self) -> Self {
        self.reference = true;
        self
    }

    /// What the server says instead of starting; `None` if it starts.
    pub(crate) fn refused(self) -> Option<Vec<String>> {
        let server = self.spawn();
        let ready = server.lines.wait(0, "Server is ready");
        ready.is_none().then(|| server.log())
    }

    /// Starts the server and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        let mut server = self.spawn();
        if server.log == Log::Elsewhere {
            server.port = server.port_from_file();
            return server;
        }
        let listening = server.wait_log("Listening for client connections on ");
        server.port = listening
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok())
            .unwrap_or_else(|| panic!("no port in {listening:?}"));
        server.wait_log("Server is ready");
        server
    }

    /// Starts the process.
    fn spawn(self) -> Server {
        let dir = self.dir.unwrap_or_else(|| tempfile::tempdir().expect("a temporary directory"));
        let config = dir.path().join(self.config_name);
        let text = self.config.replace("$DIR", &dir.path().display().to_string());
        std::fs::write(&config, text).expect("the configuration is written");
        let mut command = if self.reference {
            Command::new(reference().expect("the trial asks for the reference first"))
        } else {
            serve()
        };
        if self.with_config {
            command.arg("-c").arg(&config);
        }
        let mut child = command
            .args(["-a", "127.0.0.1", "-p", "-1"])
            .args(if self.log == Log::Elsewhere { &["--ports_file_dir", "."][..] } else { &[] })
            .args(self.args.iter().map(|arg| arg.replace("$DIR", &dir.path().display().to_string())))
            .envs(self.env)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let lines = Lines::read(child.stderr.take().expect("stderr is a pipe"));
        Server { child, dir, config, lines, log: self.log, port: 0 }
    }
}

/// A running server under test.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    dir: TempDir,
    config: PathBuf,
    lines: Arc<Lines>,
    log: Log,
    port: u16,
}

impl Server {
    /// A server with nothing but `config`.
    #[track_caller]
    pub(crate) fn start(config: &str) -> Self {
        Start::config(config).start()
    }

    /// Where the ports file says that it listens.
    #[track_caller]
    fn port_from_file(&self) -> u16 {
        eventually("the ports file", || {
            let mut files = std::fs::read_dir(self.dir()).ok()?.filter_map(|file| Some(file.ok()?.path()));
            let file = files.find(|file| file.extension().is_some_and(|ending| ending == "ports"))?;
            let text = std::fs::read_to_string(file).ok()?;
            let content: serde_json::Value = serde_json::from_str(&text).ok()?;
            content["nats"][0].as_str()?.rsplit(':').next()?.parse().ok()
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.addr())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its own directory, with the configuration file in it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_path(&self) -> &Path {
        &self.config
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Vec<String> {
        match self.log {
            Log::Stderr | Log::Elsewhere => self.lines.lock().text.clone(),
            Log::File(name) => std::fs::read_to_string(self.dir.path().join(name))
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The first log line with `text` in it, waited for.
    #[track_caller]
    pub(crate) fn wait_log(&self, text: &str) -> String {
        self.wait_log_after(0, text)
    }

    /// How many lines the log has: what comes later is found by [`Self::wait_log_after`].
    pub(crate) fn log_mark(&self) -> usize {
        self.log().len()
    }

    /// The first log line with `text` in it after the line number `mark`, waited for.
    #[track_caller]
    pub(crate) fn wait_log_after(&self, mark: usize, text: &str) -> String {
        let found = match self.log {
            Log::Stderr | Log::Elsewhere => self.lines.wait(mark, text),
            Log::File(_) => Some(eventually(&format!("{text:?} in the log file"), || {
                self.log().into_iter().skip(mark).find(|line| line.contains(text))
            })),
        };
        found.unwrap_or_else(|| panic!("the log never said {text:?}:\n{}", self.log().join("\n")))
    }

    /// Waits for these texts in the log, one after the other; returns the line behind the last.
    #[track_caller]
    pub(crate) fn wait_order(&self, texts: &[&str]) -> usize {
        let mut mark = 0;
        for text in texts {
            self.wait_log_after(mark, text);
            let rest = self.log().into_iter().skip(mark);
            mark += 1 + rest.take_while(|line| !line.contains(text)).count();
        }
        mark
    }

    /// Whether the log holds `text` by now.
    pub(crate) fn logged(&self, text: &str) -> bool {
        self.log().iter().any(|line| line.contains(text))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        use rustix::process::{Pid, Signal as Unix, kill_process};
        let pid = Pid::from_child(&self.child);
        let signal = match signal {
            Signal::Interrupt => Unix::INT,
            Signal::Terminate => Unix::TERM,
            Signal::Reload => Unix::HUP,
            Signal::Reopen => Unix::USR1,
            Signal::LameDuck => Unix::USR2,
        };
        kill_process(pid, signal).expect("the server is there to be signalled");
    }

    /// Replaces the configuration file's text.
    pub(crate) fn rewrite(&self, config: &str) {
        let text = config.replace("$DIR", &self.dir.path().display().to_string());
        std::fs::write(&self.config, text).expect("the configuration is written");
    }

    /// Replaces the configuration, reloads and waits for success.
    #[track_caller]
    pub(crate) fn reload(&self, config: &str) {
        let mark = self.log_mark();
        self.rewrite(config);
        self.signal(Signal::Reload);
        self.wait_log_after(mark, "Reloaded server configuration");
    }

    /// Replaces the configuration, asks for a reload and returns the line that refuses it.
    #[track_caller]
    pub(crate) fn reload_refused(&self, config: &str) -> String {
        let mark = self.log_mark();
        self.rewrite(config);
        self.signal(Signal::Reload);
        self.wait_log_after(mark, "Failed to reload server configuration")
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        eventually("the server's exit", || self.child.try_wait().expect("the child can be asked"))
    }

    /// Whether the process still runs.
    pub(crate) fn alive(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_none()
    }

    /// File descriptors the process holds now.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The child may be gone already: both calls then have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.get(log.len().saturating_sub(40)..).unwrap_or_default();
            eprintln!("--- log of the server that the failing test used\n{}", tail.join("\n"));
        }
    }
}

/// The lines a process has written to its stderr.
#[derive(Debug, Default)]
struct Lines {
    heard: Mutex<Heard>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Heard {
    text: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(stderr: ChildStderr) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let writer = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut input = BufReader::new(stderr);
            let mut raw = Vec::new();
            while matches!(input.read_until(b'\n', &mut raw), Ok(count) if count > 0) {
                let line = String::from_utf8_lossy(&raw).trim_end().to_owned();
                writer.lock().text.push(line);
                writer.news.notify_all();
                raw.clear();
            }
            writer.lock().ended = true;
            writer.news.notify_all();
        });
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().expect("no reader of the log panics")
    }

    /// The first line after `mark` that holds `text`; `None` once no such line can come any more.
    fn wait(&self, mark: usize, text: &str) -> Option<String> {
        let give_up = Instant::now() + PATIENCE;
        let mut heard = self.lock();
        let mut seen = mark;
        loop {
            let news = heard.text.get(seen..).unwrap_or_default();
            if let Some(line) = news.iter().find(|line| line.contains(text)) {
                return Some(line.clone());
            }
            seen = seen.max(heard.text.len());
            let left = give_up.checked_duration_since(Instant::now())?;
            if heard.ended {
                return None;
            }
            heard = self.news.wait_timeout(heard, left).expect("no reader of the log panics").0;
        }
    }
}
