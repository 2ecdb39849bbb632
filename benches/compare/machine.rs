//! Where and when figures were taken, for standing beside them.

use std::process::Command;

pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) date: String,
    /// This package's commit, `+` where the tree differs from it; empty outside a repository.
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn here() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Self {
            processor: field(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gib: kib.div_ceil(1 << 20),
            // The release without what its distributor appended.
            kernel: file("/proc/sys/kernel/osrelease")
                .split(['-', '+', '\n'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            date: jiff::Timestamp::now().to_string().chars().take(10).collect(),
            commit: commit(),
        }
    }
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return String::new() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "src", "Cargo.toml", "Cargo.lock"]);
    let mark = if changed.is_none_or(|files| files.is_empty()) { "" } else { "+" };
    format!("{commit}{mark}")
}
