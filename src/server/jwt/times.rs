//! Times of day at which a user may be connected.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span};

use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;

use super::document::{Document, Each, Named, When};
use super::findings::Findings;

/// From one time of day to another, which may lie after midnight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// `15:04:05`
    pub start: String,
    /// `15:04:05`
    pub end: String,
}

impl Document for TimeRange {
    const TYPE: &'static str = "jwt.TimeRange";

    fn fields(&mut self, each: Each<'_>) {
        each("start", When::Any, &mut self.start);
        each("end", When::Any, &mut self.end);
    }
}

impl Named for TimeRange {
    const LIST: &'static str = "[]jwt.TimeRange";
    const MAP: &'static str = "map[string]jwt.TimeRange";
}

/// What times of day say about a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// No times are set.
    Always,
    /// Inside; how long still.
    Open(Duration),
    /// Outside.
    Closed,
}

/// Whether `now` lies in one of the ranges; of several, the one that lasts longest counts.
pub(super) fn window(ranges: &[TimeRange], zone: &str, now: Timestamp) -> Window {
    if ranges.is_empty() {
        return Window::Always;
    }
    longest(ranges, zone, now).map_or(Window::Closed, Window::Open)
}

fn longest(ranges: &[TimeRange], zone: &str, now: Timestamp) -> Option<Duration> {
    let now = jiff::Timestamp::from_nanosecond(now.nanos().into()).ok()?;
    let now = now.to_zoned_datetime(self::zone(zone)?);
    let mut longest = None;
    for range in ranges {
        let (start, end) = (time_of_day(&range.start)?, time_of_day(&range.end)?);
        let on_today =
            |time: Time| now.date().to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok();
        let (start, end) = (on_today(start)?, on_today(end)?);
        let inside = if start <= end {
            (start < now && now < end).then_some(end)
        } else if now < end {
            Some(end)
        } else {
            let end = end.checked_add(Span::new().days(1)).ok()?;
            (start < now && now < end).then_some(end)
        };
        let left = inside.map(|end| end.duration_since(&now)).and_then(unsigned);
        longest = longest.max(left);
    }
    longest
}

fn unsigned(span: SignedDuration) -> Option<Duration> {
    Duration::try_from(span).ok()
}

pub(super) fn validate(ranges: &[TimeRange], zone_name: &str, findings: &mut Findings) {
    for range in ranges {
        for (text, name) in [(&range.start, "start"), (&range.end, "end")] {
            if text.is_empty() {
                let article = if name == "start" { "a" } else { "an" };
                findings.error(format!("time ranges {name} must contain {article} {name}"));
            } else if time_of_day(text).is_none() {
                findings.error(format!("{name} in time range is invalid {}", quote(text)));
            }
        }
    }
    if zone(zone_name).is_none() {
        let reason = if zone_name.starts_with(['/', '\\']) || zone_name.contains("..") {
            "time: invalid location name".to_owned()
        } else {
            format!("unknown time zone {zone_name}")
        };
        findings.error(format!("could not parse iana time zone by name: {reason}"));
    }
}

/// The zone of a name; the server's own for none.
fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "Local" => Some(TimeZone::system()),
        "UTC" => Some(TimeZone::UTC),
        // The reference reads the file of that name, so case matters.
        _ => TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name)),
    }
}

/// `15:04:05`: the hour may have one digit, seconds a fraction that is not looked at.
fn time_of_day(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (second, fraction) = match second.find(['.', ',']) {
        Some(at) => (second.get(..at)?, second.get(at + 1..)),
        None => (second, None),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
    let has_form = hour.len() <= 2 && minute.len() == 2 && second.len() == 2;
    if !has_form || ![hour, minute, second, fraction.unwrap_or("0")].into_iter().all(is_number) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str) -> TimeRange {
        TimeRange { start: start.into(), end: end.into() }
    }

    /// A moment of 2026-11-29, in UTC.
    fn at(time: &str) -> Timestamp {
        let moment: jiff::Timestamp = format!("2026-11-29T{time}Z").parse().unwrap();
        Timestamp::from_nanos(moment.as_nanosecond().try_into().unwrap())
    }

    #[test]
    fn a_moment_is_inside_a_range_or_not() {
        let minutes = |count: u64| Window::Open(Duration::from_secs(60 * count));
        for (start, end, zone, now, want) in [
            ("11:00:00", "22:00:00", "UTC", "13:00:00", minutes(540)),
            ("11:00:00", "22:00:00", "UTC", "22:00:00", Window::Closed),
            ("11:00:00", "22:00:00", "UTC", "11:00:00", Window::Closed),
            ("22:00:00", "06:00:00", "UTC", "05:00:00", minutes(60)),
            ("22:00:00", "06:00:00", "UTC", "23:30:00", minutes(390)),
            ("22:00:00", "06:00:00", "UTC", "12:00:00", Window::Closed),
            ("12:00:00", "12:00:00", "UTC", "12:00:00", Window::Closed),
            ("9:00:00", "10:00:00", "America/New_York", "14:30:00", minutes(30)),
            ("9:00:00", "10:00:00", "America/New_York", "09:30:00", Window::Closed),
            ("9:00:00", "10:00:00", "Nowhere/Town", "09:30:00", Window::Closed),
            ("bad", "10:00:00", "UTC", "09:30:00", Window::Closed),
        ] {
            assert_eq!(window(&[range(start, end)], zone, at(now)), want, "{start} {end} {zone} {now}");
        }
        assert_eq!(window(&[], "", at("00:00:00")), Window::Always);
        let two = [range("10:00:00", "11:00:00"), range("10:00:00", "12:00:00")];
        assert_eq!(window(&two, "UTC", at("10:30:00")), minutes(90));
    }

    #[test]
    fn times_and_zones_are_refused_in_the_references_words() {
        for (start, end, zone, want) in [
            ("1:02:03", "01:02:03.5", "UTC", ""),
            ("01:02:03", "23:59:59", "Europe/Berlin", ""),
            ("", "", "", "time ranges start must contain a start; time ranges end must contain an end"),
            (
                "1:2:3",
                "24:00:00",
                "",
                "start in time range is invalid \"1:2:3\"; end in time range is invalid \"24:00:00\"",
            ),
            (
                "01:02:03",
                "01:02:03",
                "Mars",
                "could not parse iana time zone by name: unknown time zone Mars",
            ),
            (
                "01:02:03",
                "01:02:03",
                "europe/berlin",
                "could not parse iana time zone by name: unknown time zone europe/berlin",
            ),
            (
                "01:02:03",
                "01:02:03",
                "../etc",
                "could not parse iana time zone by name: time: invalid location name",
            ),
        ] {
            let mut findings = Findings::default();
            validate(&[range(start, end)], zone, &mut findings);
            assert_eq!(findings.to_string(), want);
        }
    }
}
