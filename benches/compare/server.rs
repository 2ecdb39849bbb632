//! A server's process: started on a free port, stopped when done.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use natsx::admin::bench::wire::{self, Login, Target};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    child: Child,
    target: Target,
}

impl Server {
    /// Starts `command`, `{port}` replaced by a free port, and waits until it answers.
    pub(crate) fn start(command: &str) -> Result<Self, String> {
        Self::start_as(command, Login::Nobody, PATIENCE).map(|(server, _)| server)
    }

    /// The same for a server that lets in `login` only, and may take `patience`; also gives how long it took.
    pub(crate) fn start_as(
        command: &str,
        login: Login,
        patience: Duration,
    ) -> Result<(Self, Duration), String> {
        let port = free_port()?;
        let command = command.replace("{port}", &port.to_string());
        let mut words = command.split_ascii_whitespace();
        let program = words.next().ok_or("an empty command")?;
        let target = Target::parse(&format!("127.0.0.1:{port}")).map_err(|error| error.to_string())?;
        let started = Instant::now();
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program}: {error}"))?;
        let mut server = Self { child, target: Target { login, ..target } };
        loop {
            if TcpStream::connect(&server.target.address).is_ok() && wire::connect(&server.target).is_ok() {
                return Ok((server, started.elapsed()));
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{command}: ended at once ({status})"));
            }
            if started.elapsed() > patience {
                return Err(format!("{command}: no answer on port {port} after {patience:?}"));
            }
            std::thread::sleep(LOOK);
        }
    }

    pub(crate) const fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The version that it gives in INFO, with that of its Go where it has one.
    pub(crate) fn version(&self) -> String {
        let info = wire::server_info(&self.target).unwrap_or_default();
        let field =
            |name: &str| info.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let (version, go) = (field("version"), field("go"));
        if go.starts_with("go") { format!("{version} ({go})") } else { version }
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if asked.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
