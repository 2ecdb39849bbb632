//! What a process costs, from `/proc`: CPU time and resident memory.

use std::path::Path;
use std::time::Duration;

/// Clock ticks a second in `/proc/PID/stat`. Linux promises 100 to user space on every
/// architecture that this program is built for.
const TICKS_PER_SECOND: u64 = 100;

/// A process's figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessFigures {
    /// User and system time of all threads, ended ones included, exact to a tick (10 ms).
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
    /// Threads.
    pub threads: u64,
}

/// Why a process's figures could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// No such process, or not ours to look at.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file that was asked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not look like Linux's.
    #[error("{path} is not in the form that Linux gives it")]
    Form {
        /// The file that was read.
        path: String,
    },
}

/// The figures of process `pid`.
pub fn of_process(pid: u32) -> Result<ProcessFigures, FiguresError> {
    read(Path::new("/proc").join(pid.to_string()).as_path())
}

/// The figures of this process.
pub fn of_self() -> Result<ProcessFigures, FiguresError> {
    read(Path::new("/proc/self"))
}

fn read(directory: &Path) -> Result<ProcessFigures, FiguresError> {
    let stat = text(&directory.join("stat"))?;
    let status = text(&directory.join("status"))?;
    let form = |name: &str| FiguresError::Form { path: directory.join(name).display().to_string() };
    Ok(ProcessFigures {
        cpu: cpu(&stat).ok_or_else(|| form("stat"))?,
        rss_bytes: status_number(&status, "VmRSS:").ok_or_else(|| form("status"))? * 1024,
        threads: status_number(&status, "Threads:").ok_or_else(|| form("status"))?,
    })
}

fn text(path: &Path) -> Result<String, FiguresError> {
    std::fs::read_to_string(path)
        .map_err(|source| FiguresError::Read { path: path.display().to_string(), source })
}

/// utime + stime: fields 14 and 15, counted after the name, which may hold spaces and parentheses.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS_PER_SECOND))
}

fn status_number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 75 9 9 20 0 8 0 100 1000 200";
        assert_eq!(cpu(stat), Some(Duration::from_millis(3250)));
    }

    #[test]
    fn what_is_not_a_stat_line_is_refused() {
        for stat in ["", "42 name S 1", "42 (name) S 1 2 3", "42 (n) S 1 42 42 0 -1 4 1 0 0 0 x y"] {
            assert_eq!(cpu(stat), None, "{stat}");
        }
    }

    #[test]
    fn this_process_has_memory_and_a_thread() {
        let figures = of_self().unwrap();
        assert!(figures.rss_bytes > 0);
        assert!(figures.threads >= 1);
        assert!(of_process(std::process::id()).unwrap().rss_bytes > 0);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = of_process(u32::MAX).unwrap_err().to_string();
        assert!(error.contains("/proc/4294967295/stat"), "{error}");
    }
}
