//! One line of the log, to the byte. Pure: the time comes in.
//!
//! ```text
//! [23120] 2026/11/24 19:38:29.618090 [INF] Starting nats-server
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::level::Level;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote_inside;

/// Whether lines carry the time, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamp {
    /// `logtime: false`.
    Off,
    /// Local time of the machine.
    #[default]
    Local,
    /// `logtime_utc: true`.
    Utc,
}

/// How a line looks. `Json` is natsx's own (`log_format: json`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The reference's lines.
    #[default]
    Text,
    /// One JSON object a line: `time` (always UTC), `pid`, `level`, `text`.
    Json,
}

/// Writes lines in one style.
#[derive(Debug, Clone)]
pub(super) struct LineStyle {
    pub(super) format: Format,
    pub(super) stamp: Stamp,
    pub(super) colors: bool,
    pub(super) pid: u32,
    pub(super) zone: TimeZone,
}

impl LineStyle {
    /// Appends one line; `text` gets a line feed unless it ends with one.
    pub(super) fn write(&self, out: &mut String, at: Timestamp, level: Level, text: &str) {
        match self.format {
            Format::Text => self.write_text(out, at, level, text),
            Format::Json => self.write_json(out, at, level, text),
        }
    }

    fn write_text(&self, out: &mut String, at: Timestamp, level: Level, text: &str) {
        self.write_prefix(out, at, level);
        let text = one_line(text);
        out.push_str(&text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    }

    /// A line that the file itself writes after a rotation: the reference ends these with CRLF.
    pub(super) fn write_direct(&self, out: &mut String, at: Timestamp, level: Level, text: &str) {
        match self.format {
            Format::Text => {
                self.write_prefix(out, at, level);
                out.push_str(text);
                out.push_str("\r\n");
            }
            Format::Json => self.write_json(out, at, level, text),
        }
    }

    fn write_prefix(&self, out: &mut String, at: Timestamp, level: Level) {
        let label = level.label();
        // Writing into a String cannot fail.
        let _ = write!(out, "[{}] ", self.pid);
        if let Some(time) = self.stamp_of(at) {
            let micros = time.subsec_nanosecond() / 1000;
            let _ = write!(
                out,
                "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{micros:06} ",
                time.year(),
                time.month(),
                time.day(),
                time.hour(),
                time.minute(),
                time.second(),
            );
        }
        if self.colors {
            let _ = write!(out, "[\x1b[{}m{label}\x1b[0m] ", level.color());
        } else {
            let _ = write!(out, "[{label}] ");
        }
    }

    fn stamp_of(&self, at: Timestamp) -> Option<DateTime> {
        match self.stamp {
            Stamp::Off => None,
            Stamp::Local => Some(civil(at, &self.zone)),
            Stamp::Utc => Some(civil(at, &TimeZone::UTC)),
        }
    }

    /// The suffix of a backup file: local time to the nanosecond, as the reference names them.
    pub(super) fn backup_suffix(&self, at: Timestamp) -> String {
        let time = civil(at, &self.zone);
        format!(
            "{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.subsec_nanosecond(),
        )
    }

    fn write_json(&self, out: &mut String, at: Timestamp, level: Level, text: &str) {
        let time = civil(at, &TimeZone::UTC);
        let micros = time.subsec_nanosecond() / 1000;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = serde_json::to_string(text).unwrap_or_default();
        let _ = writeln!(
            out,
            "{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{micros:06}Z\",\"pid\":{},\"level\":\"{}\",\"text\":{text}}}",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            self.pid,
            level.word(),
        );
    }
}

/// A statement without control characters but tabs and the line feed at its end. Names of certificates, or
/// what a service answers, come from outside: in the reference a line feed in them begins a line of its own,
/// that says whatever its maker wants.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    let stays = |letter: char| !letter.is_control() || letter == '\t';
    let body = text.strip_suffix('\n').unwrap_or(text);
    if body.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for letter in body.chars() {
        if stays(letter) {
            line.push(letter);
        } else {
            quote_inside(&mut line, letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Cow::Owned(line)
}

/// Wall time of `at` in `zone`.
pub(super) fn civil(at: Timestamp, zone: &TimeZone) -> DateTime {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or(jiff::Timestamp::MAX);
    moment.to_zoned_datetime(zone.clone()).datetime()
}

/// Whether `suffix` is what [`LineStyle::backup_suffix`] or the reference writes.
pub(super) fn is_backup_suffix(suffix: &str) -> bool {
    let parts: Vec<&str> = suffix.split('.').collect();
    let number =
        |part: &&str, digits: usize| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
    let [year, month, day, hour, minute, second, nanos] = parts.as_slice() else {
        return false;
    };
    number(year, 4)
        && [month, day, hour, minute, second].into_iter().all(|part| number(part, 2))
        && !nanos.is_empty()
        && nanos.len() <= 9
        && nanos.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_nanos(1_795_549_109_618_090_123);

    fn style() -> LineStyle {
        LineStyle {
            format: Format::Text,
            stamp: Stamp::Local,
            colors: false,
            pid: 7,
            zone: TimeZone::fixed(jiff::tz::offset(2)),
        }
    }

    #[track_caller]
    fn check(style: &LineStyle, level: Level, text: &str, want: &str) {
        let mut out = String::new();
        style.write(&mut out, AT, level, text);
        assert_eq!(out, want);
    }

    #[test]
    fn a_line_has_pid_local_time_with_micros_and_label() {
        check(&style(), Level::Notice, "hi", "[7] 2026/11/24 21:38:29.618090 [INF] hi\n");
        check(&style(), Level::Notice, "", "[7] 2026/11/24 21:38:29.618090 [INF] \n");
        check(&style(), Level::Warn, "hi\n", "[7] 2026/11/24 21:38:29.618090 [WRN] hi\n");
    }

    #[test]
    fn a_statement_is_one_line_whatever_is_in_it() {
        let style = LineStyle { stamp: Stamp::Off, ..style() };
        let forged = "CN=x\r\n[7] [INF] forged\n\n";
        check(&style, Level::Error, forged, "[7] [ERR] CN=x\\r\\n[7] [INF] forged\\n\n");
        check(&style, Level::Error, "\x1b[2J\u{85}\ta\\nä", "[7] [ERR] \\x1b[2J\\u0085\ta\\nä\n");
    }

    #[test]
    fn logtime_false_drops_the_stamp() {
        let style = LineStyle { stamp: Stamp::Off, ..style() };
        for (level, want) in [
            (Level::Trace, "[7] [TRC] x\n"),
            (Level::Debug, "[7] [DBG] x\n"),
            (Level::Notice, "[7] [INF] x\n"),
            (Level::Warn, "[7] [WRN] x\n"),
            (Level::Error, "[7] [ERR] x\n"),
            (Level::Fatal, "[7] [FTL] x\n"),
        ] {
            check(&style, level, "x", want);
        }
    }

    #[test]
    fn logtime_utc_shows_utc() {
        let style = LineStyle { stamp: Stamp::Utc, ..style() };
        check(&style, Level::Error, "x", "[7] 2026/11/24 19:38:29.618090 [ERR] x\n");
    }

    #[test]
    fn colors_paint_the_label_only() {
        let style = LineStyle { stamp: Stamp::Off, colors: true, ..style() };
        for (level, want) in [
            (Level::Trace, "[7] [\x1b[33mTRC\x1b[0m] x\n"),
            (Level::Debug, "[7] [\x1b[36mDBG\x1b[0m] x\n"),
            (Level::Notice, "[7] [\x1b[32mINF\x1b[0m] x\n"),
            (Level::Warn, "[7] [\x1b[0;93mWRN\x1b[0m] x\n"),
            (Level::Error, "[7] [\x1b[31mERR\x1b[0m] x\n"),
            (Level::Fatal, "[7] [\x1b[31mFTL\x1b[0m] x\n"),
        ] {
            check(&style, level, "x", want);
        }
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let style = LineStyle { format: Format::Json, ..style() };
        check(
            &style,
            Level::Warn,
            "a \"b\"\nc",
            "{\"time\":\"2026-11-24T19:38:29.618090Z\",\"pid\":7,\"level\":\"warn\",\"text\":\"a \\\"b\\\"\\nc\"}\n",
        );
    }

    #[test]
    fn backups_are_named_by_local_time_to_the_nanosecond() {
        let suffix = style().backup_suffix(AT);
        assert_eq!(suffix, "2026.11.24.21.38.29.618090123");
        assert!(is_backup_suffix(&suffix));
    }

    #[test]
    fn only_stamps_count_as_backups() {
        for (suffix, want) in [
            ("2026.11.24.21.38.29.618090123", true),
            ("2026.11.24.21.38.29.6", true),
            ("2026.11.24.21.38.29", false),
            ("2026.11.24.21.38.29.", false),
            ("2026.11.24.21.38.29.gz", false),
            ("bak", false),
            ("", false),
        ] {
            assert_eq!(is_backup_suffix(suffix), want, "{suffix}");
        }
    }
}
