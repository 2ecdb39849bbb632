//! The handle that everybody logs through.
//!
//! ```text
//! log.notice(format_args!("Listening for client connections on {address}"));
//! if log.is_trace() { … }          // one relaxed load, nothing is formatted when it is off
//! log.warn_limited(format_args!("…"));   // said once a second
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::level::{Level, Levels};
use super::limit::RepeatLimit;
use super::queue::{Item, Line, PENDING_BYTES_MAX, Queue};
use super::task::Command;
use crate::server::base::clock::Clock;

/// Says lines to the log. Cheap to clone; all clones share levels and queue.
#[derive(Clone)]
pub struct Logger(Arc<Shared>);

struct Shared {
    /// [`Levels`] as bits.
    levels: AtomicU8,
    queue: Queue<Command>,
    clock: Arc<dyn Clock>,
    /// No thread writes: a [`Recorder`] reads.
    is_recorded: bool,
    /// Leaf lock: held for a look-up in the table of recent statements.
    repeats: Mutex<RepeatLimit>,
}

impl Logger {
    /// A logger whose lines wait for a thread.
    pub(super) fn new(levels: Levels, clock: Arc<dyn Clock>) -> Self {
        Self::with(levels, clock, false)
    }

    fn with(levels: Levels, clock: Arc<dyn Clock>, is_recorded: bool) -> Self {
        Self(Arc::new(Shared {
            levels: AtomicU8::new(levels.to_bits()),
            queue: Queue::new(PENDING_BYTES_MAX),
            clock,
            is_recorded,
            repeats: Mutex::default(),
        }))
    }

    /// A logger that says nothing (`NoLog` of the reference).
    pub fn silent(clock: Arc<dyn Clock>) -> Self {
        let logger = Self::new(Levels::default(), clock);
        logger.0.queue.close();
        logger
    }

    /// A logger without a thread, and a reader of what was said: for tests.
    pub fn recorded(levels: Levels, clock: Arc<dyn Clock>) -> (Self, Recorder) {
        let logger = Self::with(levels, clock, true);
        (logger.clone(), Recorder(logger))
    }

    pub(super) fn queue(&self) -> &Queue<Command> {
        &self.0.queue
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.0.is_recorded
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }

    /// The levels that are on now.
    pub fn levels(&self) -> Levels {
        Levels::from_bits(self.0.levels.load(Ordering::Relaxed))
    }

    /// Switches levels, for all clones, from the next line on.
    pub fn set_levels(&self, levels: Levels) {
        self.0.levels.store(levels.to_bits(), Ordering::Relaxed);
    }

    /// Whether debug lines are wanted.
    #[inline]
    pub fn is_debug(&self) -> bool {
        self.levels().debug
    }

    /// Whether the raw protocol is wanted.
    #[inline]
    pub fn is_trace(&self) -> bool {
        self.levels().trace
    }

    /// Whether the raw protocol of the system account is wanted too.
    #[inline]
    pub fn is_trace_system(&self) -> bool {
        let levels = self.levels();
        levels.trace && levels.trace_system
    }

    /// Says a notice (`[INF]`).
    pub fn notice(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Notice, text);
    }

    /// Says a warning.
    pub fn warn(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Warn, text);
    }

    /// Says an error.
    pub fn error(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Error, text);
    }

    /// Says why the server ends, and waits until it is written. Ending is the caller's.
    pub fn fatal(&self, text: fmt::Arguments<'_>) {
        self.say(Level::Fatal, text);
        self.flush();
    }

    /// Says a debug line where they are on.
    #[inline]
    pub fn debug(&self, text: fmt::Arguments<'_>) {
        if self.is_debug() {
            self.say(Level::Debug, text);
        }
    }

    /// Says a trace line where they are on.
    #[inline]
    pub fn trace(&self, text: fmt::Arguments<'_>) {
        if self.is_trace() {
            self.say(Level::Trace, text);
        }
    }

    /// A warning unless the same was said within the last second.
    pub fn warn_limited(&self, text: fmt::Arguments<'_>) {
        self.say_limited(Level::Warn, text);
    }

    /// An error unless the same was said within the last second.
    pub fn error_limited(&self, text: fmt::Arguments<'_>) {
        self.say_limited(Level::Error, text);
    }

    /// A debug line unless the same was said within the last second.
    pub fn debug_limited(&self, text: fmt::Arguments<'_>) {
        if self.is_debug() {
            self.say_limited(Level::Debug, text);
        }
    }

    /// A warning unless one of the same `kind` was said within the last second, whatever its details.
    pub fn warn_limited_by(&self, kind: &str, text: fmt::Arguments<'_>) {
        self.log_limited_by(Level::Warn, kind, text);
    }

    /// A statement of a level that is on, unless one of the same `kind` was said within the last second,
    /// whatever its details.
    pub fn log_limited_by(&self, level: Level, kind: &str, text: fmt::Arguments<'_>) {
        if level == Level::Debug && !self.is_debug() {
            return;
        }
        let now = self.0.clock.now();
        let is_allowed = self.0.repeats.lock().allow(now, kind);
        if is_allowed {
            self.say(level, text);
        }
    }

    /// Writes a statement of any level that is on.
    pub fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        match level {
            Level::Trace => self.trace(text),
            Level::Debug => self.debug(text),
            _ => self.say(level, text),
        }
    }

    fn say_limited(&self, level: Level, text: fmt::Arguments<'_>) {
        let text = fmt::format(text);
        let at = self.0.clock.now();
        let is_allowed = self.0.repeats.lock().allow(at, &text);
        if is_allowed {
            self.0.queue.push_line(Line { at, level, text });
        }
    }

    fn say(&self, level: Level, text: fmt::Arguments<'_>) {
        let at = self.0.clock.now();
        self.0.queue.push_line(Line { at, level, text: fmt::format(text) });
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger").field("levels", &self.levels()).finish_non_exhaustive()
    }
}

/// Reads what was said to a logger that has no thread.
#[derive(Debug)]
pub struct Recorder(Logger);

impl Recorder {
    /// What was said since the last call, as `[INF] text`.
    pub fn lines(&self) -> Vec<String> {
        self.take().iter().map(|line| format!("[{}] {}", line.level.label(), line.text)).collect()
    }

    /// What was said since the last call, with times.
    pub fn take(&self) -> Vec<Line> {
        let mut items = VecDeque::new();
        self.0.queue().take_now(&mut items);
        items
            .into_iter()
            .filter_map(|item| match item {
                Item::Line(line) => Some(line),
                Item::Command(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::server::base::clock::ManualClock;

    fn recorded(levels: Levels) -> (Logger, Recorder, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::default());
        let (log, recorder) = Logger::recorded(levels, clock.clone());
        (log, recorder, clock)
    }

    fn say_all(log: &Logger) {
        log.trace(format_args!("t"));
        log.debug(format_args!("d"));
        log.notice(format_args!("n"));
        log.warn(format_args!("w"));
        log.error(format_args!("e"));
    }

    #[test]
    fn a_recorded_fatal_line_does_not_wait_for_a_thread() {
        let (log, recorder, _) = recorded(Levels::default());
        log.fatal(format_args!("f"));
        assert_eq!(recorder.lines(), ["[FTL] f"]);
    }

    #[test]
    fn talk_is_off_unless_asked_for() {
        let (log, recorder, _) = recorded(Levels::default());
        say_all(&log);
        assert_eq!(recorder.lines(), ["[INF] n", "[WRN] w", "[ERR] e"]);
    }

    #[test]
    fn levels_switch_for_all_clones_while_running() {
        let (log, recorder, _) = recorded(Levels::default());
        let clone = log.clone();
        log.set_levels(Levels { debug: true, trace: true, trace_system: false });
        say_all(&clone);
        assert_eq!(recorder.lines(), ["[TRC] t", "[DBG] d", "[INF] n", "[WRN] w", "[ERR] e"]);
        assert!(clone.is_debug() && clone.is_trace() && !clone.is_trace_system());
        log.set_levels(Levels { debug: false, trace: true, trace_system: true });
        say_all(&clone);
        assert_eq!(recorder.lines(), ["[TRC] t", "[INF] n", "[WRN] w", "[ERR] e"]);
        assert!(clone.is_trace_system());
    }

    #[test]
    fn identical_statements_are_said_once_a_second() {
        let (log, recorder, clock) = recorded(Levels { debug: true, ..Levels::default() });
        for _ in 0..3 {
            log.warn_limited(format_args!("a {}", 1));
            log.error_limited(format_args!("b"));
            log.debug_limited(format_args!("c"));
            log.warn_limited_by("kind", format_args!("d"));
        }
        assert_eq!(recorder.lines(), ["[WRN] a 1", "[ERR] b", "[DBG] c", "[WRN] d"]);
        clock.advance(Duration::from_secs(1));
        log.warn_limited(format_args!("a 1"));
        log.warn_limited_by("kind", format_args!("other"));
        assert_eq!(recorder.lines(), ["[WRN] a 1", "[WRN] other"]);
    }

    #[test]
    fn a_silent_logger_keeps_nothing_and_never_waits() {
        let log = Logger::silent(Arc::new(ManualClock::default()));
        say_all(&log);
        log.fatal(format_args!("f"));
    }
}
