//! Which binary is under test, and how it is called.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Whose binary is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// This project's server.
    Natsx,
    /// The Go server: the tests themselves are being tested.
    Reference,
}

/// The binary under test: `$NATSX_BIN`, else the one that cargo built beside these tests.
fn binary() -> PathBuf {
    std::env::var_os("NATSX_BIN").map_or_else(|| env!("CARGO_BIN_EXE_natsx").into(), PathBuf::from)
}

/// A binary named `nats-server` is taken for the reference; it knows no `serve`.
pub(crate) fn flavour() -> Flavour {
    match binary().file_name() {
        Some(name) if name == "nats-server" => Flavour::Reference,
        _ => Flavour::Natsx,
    }
}

/// The server's command line up to its first flag.
pub(crate) fn serve() -> Command {
    let mut command = Command::new(binary());
    if flavour() == Flavour::Natsx {
        command.arg("serve");
    }
    command.stdin(Stdio::null());
    command
}

/// What a command said, once it has ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// The exit code; a signal is a failure of the test.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by a signal: {self:?}"))
    }
}

/// Runs the server's command with `args` to its end.
pub(crate) fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let done = serve().args(args).output().expect("the binary under test runs");
    Output {
        status: done.status,
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}
