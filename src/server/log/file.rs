//! The log file: appended to, renamed when it has grown past its limit, reopened when told to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::level::Level;
use super::line::{LineStyle, is_backup_suffix};
use crate::server::base::clock::Timestamp;
use crate::server::base::io_text::io_text;

/// Permissions of a new log file, before the umask. Reference: 0640.
const LOG_FILE_MODE: u32 = 0o640;

/// When a log file is put aside and how many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Bytes after which the file is put aside; 0: never.
    pub size_limit: u64,
    /// Files kept, the current one included; 0: all.
    pub files_max: usize,
}

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    written: u64,
    rotation: Rotation,
}

impl LogFile {
    /// Opens `path` for appending, creating it where it is missing.
    pub(super) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let file = open_append(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, written, rotation })
    }

    /// Whether the file is already past its limit, so that the next write puts it aside.
    pub(super) fn is_past_limit(&self) -> bool {
        self.rotation.size_limit > 0 && self.written > self.rotation.size_limit
    }

    /// Whether the file will be past its limit after `pending` more bytes.
    pub(super) fn will_pass_limit(&self, pending: usize) -> bool {
        let pending = u64::try_from(pending).unwrap_or(u64::MAX);
        self.rotation.size_limit > 0 && self.written.saturating_add(pending) > self.rotation.size_limit
    }

    /// Appends `lines`, which end at a line's end; puts the file aside if it is then past its limit.
    pub(super) fn write(&mut self, lines: &str, style: &LineStyle, now: Timestamp) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())?;
        self.written = self.written.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        if self.is_past_limit() { self.rotate(style, now) } else { Ok(()) }
    }

    /// Closes the file and opens its path again: what a tool renamed stays as it is.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path, self.rotation)?;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "rotation is this file's job")]
    fn rotate(&mut self, style: &LineStyle, now: Timestamp) -> io::Result<()> {
        let mut backup = self.path.clone().into_os_string();
        backup.push(".");
        backup.push(style.backup_suffix(now));
        let mut head = String::new();
        match std::fs::rename(&self.path, &backup) {
            Ok(()) => {
                self.file = open_append(&self.path)?;
                self.written = 0;
                let said = format!("Rotated log, backup saved as {:?}", PathBuf::from(backup));
                style.write_direct(&mut head, now, Level::Notice, &said);
            }
            Err(error) => {
                // The old file goes on; the next attempt comes when it has grown by its limit again.
                self.written = 0;
                let said = format!("Unable to rename logfile for rotation ({})", io_text(&error));
                style.write_direct(&mut head, now, Level::Error, &said);
            }
        }
        if self.rotation.files_max > 0 {
            self.purge(style, now, &mut head);
        }
        self.file.write_all(head.as_bytes())?;
        self.written += u64::try_from(head.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Removes the oldest backups until the current file and the rest are at most `files_max`.
    #[expect(clippy::disallowed_methods, reason = "removing old log files is this file's job")]
    fn purge(&self, style: &LineStyle, now: Timestamp, said: &mut String) {
        let folder = folder_of(&self.path);
        let backups = match self.backups(folder) {
            Ok(backups) => backups,
            Err(error) => {
                let text = format!(
                    "Unable to read directory {folder:?} for log purge (open {}: {}), will attempt next rotation",
                    folder.display(),
                    io_text(&error),
                );
                style.write_direct(said, now, Level::Error, &text);
                return;
            }
        };
        let kept = self.rotation.files_max.saturating_sub(1);
        for name in backups.iter().take(backups.len().saturating_sub(kept)) {
            let path = folder.join(name);
            if let Err(error) = std::fs::remove_file(&path) {
                let text = format!(
                    "Unable to remove backup log file {name:?} (remove {}: {}), will attempt next rotation",
                    path.display(),
                    io_text(&error),
                );
                style.write_direct(said, now, Level::Error, &text);
                return;
            }
            style.write_direct(said, now, Level::Notice, &format!("Purged log file {name:?}"));
        }
    }

    /// Names of the backups, oldest first: their stamps sort by time.
    #[expect(clippy::disallowed_methods, reason = "looking for old log files is this file's job")]
    fn backups(&self, folder: &Path) -> io::Result<Vec<String>> {
        let Some(base) = self.path.file_name().and_then(|name| name.to_str()) else {
            return Ok(Vec::new());
        };
        let mut backups = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let suffix = name.strip_prefix(base).and_then(|rest| rest.strip_prefix('.'));
            if suffix.is_some_and(is_backup_suffix) && !entry.file_type()?.is_dir() {
                backups.push(name);
            }
        }
        backups.sort_unstable();
        Ok(backups)
    }
}

#[expect(clippy::disallowed_methods, reason = "opening the log file is this file's job")]
fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(LOG_FILE_MODE).open(path)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the files they made")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::super::line::{Format, Stamp};
    use super::*;

    /// 2026-11-24 19:38:29.618090123 UTC.
    const AT: Timestamp = Timestamp::from_nanos(1_795_549_109_618_090_123);

    fn style() -> LineStyle {
        LineStyle { format: Format::Text, stamp: Stamp::Off, colors: false, pid: 7, zone: TimeZone::UTC }
    }

    fn open(folder: &tempfile::TempDir, size_limit: u64, files_max: usize) -> LogFile {
        LogFile::open(&folder.path().join("s.log"), Rotation { size_limit, files_max }).unwrap()
    }

    #[track_caller]
    fn check(folder: &tempfile::TempDir, name: &str, want: &str) {
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), want, "{name}");
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_log_file_is_appended_to_and_made_with_mode_0640() {
        let folder = tempfile::tempdir().unwrap();
        open(&folder, 0, 0).write("one\n", &style(), AT).unwrap();
        open(&folder, 0, 0).write("two\n", &style(), AT).unwrap();
        check(&folder, "s.log", "one\ntwo\n");
        let mode = std::fs::metadata(folder.path().join("s.log")).unwrap().permissions().mode();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap().trim();
        let umask = u32::from_str_radix(umask, 8).unwrap();
        assert_eq!(mode & 0o777, 0o640 & !umask);
    }

    #[test]
    fn the_write_that_passes_the_limit_puts_the_file_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(&folder, 10, 0);
        file.write("12345\n", &style(), AT).unwrap();
        assert!(file.will_pass_limit(6));
        file.write("6789\n", &style(), AT).unwrap();
        let backup = "s.log.2026.11.24.19.38.29.618090123";
        assert_eq!(names(&folder), ["s.log", backup]);
        check(&folder, backup, "12345\n6789\n");
        let path = folder.path().join(backup);
        let first = format!("[7] [INF] Rotated log, backup saved as \"{}\"\r\n", path.display());
        check(&folder, "s.log", &first);
    }

    #[test]
    fn a_file_at_its_limit_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(&folder, 10, 0);
        file.write("123456789\n", &style(), AT).unwrap();
        assert!(!file.is_past_limit());
        assert_eq!(names(&folder), ["s.log"]);
    }

    #[test]
    fn an_oversize_file_is_past_its_limit_when_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s.log"), "12345678901\n").unwrap();
        assert!(open(&folder, 10, 0).is_past_limit());
        assert!(!open(&folder, 0, 0).is_past_limit());
    }

    #[test]
    fn the_oldest_backups_beyond_the_count_are_purged() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["s.log.bak", "s.log.2020.01.01.00.00.00", "t.log.2020.01.01.00.00.00.000000001"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut file = open(&folder, 1, 3);
        for second in 0..4 {
            file.write("xx\n", &style(), AT + Duration::from_secs(second)).unwrap();
        }
        assert_eq!(
            names(&folder),
            [
                "s.log",
                "s.log.2020.01.01.00.00.00",
                "s.log.2026.11.24.19.38.31.618090123",
                "s.log.2026.11.24.19.38.32.618090123",
                "s.log.bak",
                "t.log.2020.01.01.00.00.00.000000001",
            ]
        );
        let log = std::fs::read_to_string(folder.path().join("s.log")).unwrap();
        let last = "[7] [INF] Purged log file \"s.log.2026.11.24.19.38.30.618090123\"\r\n";
        assert!(log.ends_with(last), "{log}");
    }

    #[test]
    fn reopening_writes_to_a_new_file_at_the_same_path() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(&folder, 0, 0);
        file.write("old\n", &style(), AT).unwrap();
        std::fs::rename(folder.path().join("s.log"), folder.path().join("moved")).unwrap();
        file.write("still old\n", &style(), AT).unwrap();
        file.reopen().unwrap();
        file.write("new\n", &style(), AT).unwrap();
        check(&folder, "moved", "old\nstill old\n");
        check(&folder, "s.log", "new\n");
    }
}
