//! The log's thread: takes queued lines and writes them to the target.

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use jiff::tz::TimeZone;

use super::file::{LogFile, Rotation};
use super::level::{Level, Levels};
use super::line::{Format, LineStyle, Stamp, one_line};
use super::logger::Logger;
use super::queue::{Item, Line};
use super::syslog::Syslog;
use crate::server::base::clock::Clock;
use crate::server::base::io_text::io_text;

/// Bytes of lines that are gathered before they are written.
const WRITE_BYTES: usize = 64 * 1024;

/// Where lines go. Of several settings the reference takes the first of: file, remote, local syslog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Standard error; labels are coloured if it is a terminal.
    #[default]
    Stderr,
    /// A file that is appended to.
    File(PathBuf, Rotation),
    /// The syslog of the machine.
    Syslog,
    /// A syslog by URL.
    RemoteSyslog(String),
}

/// How the log is set up; all of it may change at a reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Where lines go.
    pub target: Target,
    /// Which levels are on.
    pub levels: Levels,
    /// Whether lines carry the time.
    pub stamp: Stamp,
    /// How a line looks; syslog lines are always text.
    pub format: Format,
    /// Name of the program in syslog lines: the last part of the path it was called by.
    pub syslog_tag: String,
}

/// The log cannot be set up. The texts are the reference's, which prints them with a date and exits 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The file cannot be opened or created.
    #[error("error opening file: open {path}: {reason}")]
    File {
        /// As it was given.
        path: String,
        /// The system's reason.
        reason: String,
    },
    /// The syslog's URL is wrong, or nobody listens there.
    #[error("{0}")]
    Syslog(String),
    /// The system gives no thread.
    #[error("error starting the log thread: {0}")]
    Thread(String),
}

/// What the thread is told between lines.
#[derive(Debug)]
pub(super) enum Command {
    Replace(Box<Writer>),
    Reopen,
    Flush(mpsc::SyncSender<()>),
    Stop,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    File(LogFile),
    Syslog(Syslog),
}

/// Formats and writes; what the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    style: LineStyle,
    /// Lines formatted and not yet written.
    pending: String,
}

/// The running log thread. Dropping it writes what is queued and ends it.
#[derive(Debug)]
pub struct LogThread {
    logger: Logger,
    handle: Option<JoinHandle<()>>,
}

/// Opens the target and starts the thread.
pub fn start(settings: &Settings, clock: Arc<dyn Clock>) -> Result<(Logger, LogThread), LogError> {
    let writer = Writer::open(settings)?;
    let logger = Logger::new(settings.levels, clock);
    let rotates_now = writer.is_past_limit();
    let for_thread = logger.clone();
    let builder = std::thread::Builder::new().name("log".to_owned());
    let handle =
        builder.spawn(move || run(&for_thread, writer)).map_err(|error| LogError::Thread(io_text(&error)))?;
    if rotates_now {
        logger.notice(format_args!("Rotating logfile..."));
    }
    Ok((logger.clone(), LogThread { logger, handle: Some(handle) }))
}

impl Logger {
    /// Sets the log up anew: levels at once, target and style behind the lines already said.
    /// Where the new target cannot be opened all stays as it is.
    pub fn reconfigure(&self, settings: &Settings) -> Result<(), LogError> {
        let writer = Writer::open(settings)?;
        let rotates_now = writer.is_past_limit();
        self.set_levels(settings.levels);
        self.queue().push_command(Command::Replace(Box::new(writer)));
        if rotates_now {
            self.notice(format_args!("Rotating logfile..."));
        }
        Ok(())
    }

    /// Opens the log file's path again, and says so (`File log re-opened`), or says why it did not.
    pub fn reopen(&self) {
        self.queue().push_command(Command::Reopen);
    }

    /// Waits until all that was said before is written.
    pub fn flush(&self) {
        if self.is_recorded() {
            return;
        }
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue().push_command(Command::Flush(done)) {
            // An error means that the thread has ended, having written all it had.
            let _ = wait.recv();
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.logger.queue().push_command(Command::Stop);
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}

/// Closes the queue when the thread ends, also by a panic: grave lines wait for room in a full queue,
/// and nobody may wait for a thread that is gone.
struct ClosesQueue<'a>(&'a Logger);

impl Drop for ClosesQueue<'_> {
    fn drop(&mut self) {
        self.0.queue().close();
    }
}

fn run(logger: &Logger, mut writer: Writer) {
    let _closes = ClosesQueue(logger);
    let mut items = VecDeque::new();
    loop {
        let dropped = logger.queue().take(&mut items);
        for item in items.drain(..) {
            match item {
                Item::Line(line) => writer.write(&line, logger.clock()),
                Item::Command(Command::Stop) => {
                    writer.flush(logger.clock());
                    return;
                }
                Item::Command(command) => writer.obey(command, logger.clock()),
            }
        }
        if dropped > 0 {
            let text =
                format!("Dropped {dropped} debug and trace lines: they come faster than they are written");
            writer.say(logger.clock(), Level::Warn, text);
        }
        writer.flush(logger.clock());
    }
}

impl Writer {
    fn open(settings: &Settings) -> Result<Self, LogError> {
        let zone = TimeZone::system();
        let pid = std::process::id();
        let sink = match &settings.target {
            Target::Stderr => Sink::Stderr,
            Target::File(path, rotation) => {
                let file = LogFile::open(path, *rotation).map_err(|error| LogError::File {
                    path: path.display().to_string(),
                    reason: io_text(&error),
                })?;
                Sink::File(file)
            }
            Target::Syslog => {
                let tag = &settings.syslog_tag;
                Sink::Syslog(Syslog::local(tag, pid, zone.clone()).map_err(LogError::Syslog)?)
            }
            Target::RemoteSyslog(url) => {
                let tag = &settings.syslog_tag;
                Sink::Syslog(Syslog::remote(url, tag, pid, zone.clone()).map_err(LogError::Syslog)?)
            }
        };
        let colors = matches!(sink, Sink::Stderr) && io::stderr().is_terminal();
        let style = LineStyle { format: settings.format, stamp: settings.stamp, colors, pid, zone };
        Ok(Self { sink, style, pending: String::new() })
    }

    fn is_past_limit(&self) -> bool {
        matches!(&self.sink, Sink::File(file) if file.is_past_limit())
    }

    fn write(&mut self, line: &Line, clock: &dyn Clock) {
        if let Sink::Syslog(syslog) = &mut self.sink {
            syslog.send(line.at, line.level, &one_line(&line.text));
            return;
        }
        self.style.write(&mut self.pending, line.at, line.level, &line.text);
        let is_full = match &self.sink {
            Sink::File(file) => file.will_pass_limit(self.pending.len()),
            _ => false,
        };
        if is_full || self.pending.len() >= WRITE_BYTES {
            self.flush(clock);
        }
    }

    fn say(&mut self, clock: &dyn Clock, level: Level, text: String) {
        self.write(&Line { at: clock.now(), level, text }, clock);
    }

    fn obey(&mut self, command: Command, clock: &dyn Clock) {
        self.flush(clock);
        match command {
            Command::Replace(writer) => *self = *writer,
            Command::Reopen => self.reopen(clock),
            Command::Flush(done) => {
                let _ = done.send(());
            }
            Command::Stop => {}
        }
    }

    fn reopen(&mut self, clock: &dyn Clock) {
        let Sink::File(file) = &mut self.sink else {
            self.say(clock, Level::Notice, "File log re-open ignored, not a file logger".to_owned());
            return;
        };
        // The reference ends here where the file cannot be opened; we keep the old one and say so.
        match file.reopen() {
            Ok(()) => {
                if self.is_past_limit() {
                    self.say(clock, Level::Notice, "Rotating logfile...".to_owned());
                }
                self.say(clock, Level::Notice, "File log re-opened".to_owned());
            }
            Err(error) => {
                let text = format!("File log re-open failed, the old file stays: {}", io_text(&error));
                self.say(clock, Level::Error, text);
            }
        }
    }

    /// Writes what is pending. A target that cannot be written loses lines: there is nowhere to say so
    /// but standard error.
    fn flush(&mut self, clock: &dyn Clock) {
        if self.pending.is_empty() {
            return;
        }
        let written = match &mut self.sink {
            Sink::File(file) => file.write(&self.pending, &self.style, clock.now()),
            Sink::Stderr => io::stderr().write_all(self.pending.as_bytes()),
            Sink::Syslog(_) => Ok(()),
        };
        if written.is_err() && matches!(self.sink, Sink::File(_)) {
            let _ = io::stderr().write_all(self.pending.as_bytes());
        }
        self.pending.clear();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the files they made")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::server::base::clock::SystemClock;

    fn settings(path: &Path, size_limit: u64) -> Settings {
        Settings {
            target: Target::File(path.to_owned(), Rotation { size_limit, files_max: 0 }),
            stamp: Stamp::Off,
            ..Settings::default()
        }
    }

    fn started(settings: &Settings) -> (Logger, LogThread) {
        start(settings, Arc::new(SystemClock::new())).unwrap()
    }

    /// The file's text with the process's id as `[1]`.
    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap().replace(&format!("[{}]", std::process::id()), "[1]")
    }

    #[test]
    fn everything_said_is_written_before_the_thread_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        let (log, thread) = started(&settings(&path, 0));
        for number in 0..1000 {
            log.error(format_args!("{number}"));
        }
        drop(thread);
        log.error(format_args!("too late"));
        let want: String = (0..1000).map(|number| format!("[1] [ERR] {number}\n")).collect();
        assert_eq!(text(&path), want);
    }

    #[test]
    fn a_fatal_line_is_on_disk_when_the_call_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        let (log, _thread) = started(&settings(&path, 0));
        log.fatal(format_args!("port {} in use", 4222));
        assert_eq!(text(&path), "[1] [FTL] port 4222 in use\n");
    }

    #[test]
    fn reopening_goes_on_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        let (log, _thread) = started(&settings(&path, 0));
        log.notice(format_args!("one"));
        log.flush();
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        log.reopen();
        log.notice(format_args!("two"));
        log.flush();
        assert_eq!(text(&folder.path().join("moved")), "[1] [INF] one\n");
        assert_eq!(text(&path), "[1] [INF] File log re-opened\n[1] [INF] two\n");
    }

    #[test]
    fn a_target_that_is_no_file_ignores_reopening() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let url = format!("udp://{}", socket.local_addr().unwrap());
        let settings = Settings { target: Target::RemoteSyslog(url), ..Settings::default() };
        let (log, _thread) = started(&settings);
        log.reopen();
        let mut buffer = [0; 512];
        let size = socket.recv(&mut buffer).unwrap();
        let got = String::from_utf8_lossy(&buffer[..size]).into_owned();
        assert!(got.ends_with(": File log re-open ignored, not a file logger\n"), "{got}");
    }

    #[test]
    fn a_reload_moves_the_log_behind_what_was_said() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        let (log, _thread) = started(&settings(&first, 0));
        log.notice(format_args!("one"));
        let mut changed = settings(&second, 0);
        changed.levels.debug = true;
        log.reconfigure(&changed).unwrap();
        log.debug(format_args!("two"));
        log.flush();
        assert_eq!(text(&first), "[1] [INF] one\n");
        assert_eq!(text(&second), "[1] [DBG] two\n");
    }

    #[test]
    fn a_target_that_cannot_be_opened_is_refused_and_the_old_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        let (log, _thread) = started(&settings(&path, 0));
        let refused = log.reconfigure(&settings(Path::new("/nope/x"), 0)).unwrap_err();
        assert_eq!(refused.to_string(), "error opening file: open /nope/x: no such file or directory");
        log.fatal(format_args!("here"));
        assert_eq!(text(&path), "[1] [FTL] here\n");
    }

    #[test]
    fn an_oversize_file_is_put_aside_at_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        std::fs::write(&path, "a line of yesterday\n").unwrap();
        let (log, _thread) = started(&settings(&path, 10));
        log.flush();
        let now = text(&path);
        assert!(now.starts_with("[1] [INF] Rotated log, backup saved as \""), "{now}");
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let backup = entries.into_iter().find(|entry| *entry != path).unwrap();
        assert_eq!(text(&backup), "a line of yesterday\n[1] [INF] Rotating logfile...\n");
    }

    #[test]
    fn many_threads_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.log");
        let (log, thread) = started(&settings(&path, 0));
        std::thread::scope(|scope| {
            for name in 0..4 {
                let log = &log;
                scope.spawn(move || (0..500).for_each(|number| log.warn(format_args!("{name} {number}"))));
            }
        });
        drop(thread);
        assert_eq!(text(&path).lines().count(), 2000);
    }
}
