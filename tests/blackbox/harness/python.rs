//! The official Python client: scripts in `tests/python`, run against a server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::server::Server;

/// The interpreter that has nats-py: `$NATSX_PYTHON`, the one `.ci/run` prepares, or the system's.
pub(crate) fn interpreter() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let named = std::env::var_os("NATSX_PYTHON").map(PathBuf::from);
            let prepared = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python3");
            named.into_iter().chain([prepared, PathBuf::from("python3")]).find(|python| has_client(python))
        })
        .as_deref()
}

fn has_client(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", "import nats"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs `tests/python/<name>.py` with the servers' addresses and process ids as its arguments
/// (`nats://…=1234`); the script's exceptions fail the test.
#[track_caller]
pub(crate) fn script(name: &str, servers: &[&Server]) {
    let python = interpreter().expect("the trial asks for Python first");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(format!("{name}.py"));
    let done = Command::new(python)
        .arg("-B")
        .arg(path)
        .args(servers.iter().map(|server| format!("{}={}", server.url(), server.pid())))
        .output()
        .expect("python runs");
    assert!(
        done.status.success(),
        "{name}.py failed:\n{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
