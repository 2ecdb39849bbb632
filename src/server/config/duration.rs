//! Durations as configuration files spell them (`1h2m3.5s`).

use std::fmt::Write as _;

use crate::server::base::duration::go_duration;

/// Nanoseconds of one second.
pub const SECOND: i64 = 1_000_000_000;

/// Units from the longest on; both spellings of "micro".
const UNITS: [(&str, u64); 8] = [
    ("h", 3600 * SECOND as u64),
    ("m", 60 * SECOND as u64),
    ("s", SECOND as u64),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];

/// Reads a duration: signed nanoseconds, or the reference's refusal.
///
/// Numbers may have fractions, every number needs a unit, `0` alone does not.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quote(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    /// The most that the sum may be: one more than the greatest positive duration, for the least negative.
    const SUM_MAX: u64 = 1 << 63;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end).unwrap_or((after, ""));
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {}", quote(text)));
        }
        let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {} in duration {}", quote(unit), quote(text)));
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let part = whole
            .checked_mul(*nanos)
            .and_then(|part| part.checked_add(fraction_nanos(fraction, *nanos)))
            .and_then(|part| part.checked_add(sum))
            .filter(|sum| *sum <= SUM_MAX);
        sum = part.ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        return Ok((sum as i64).wrapping_neg());
    }
    i64::try_from(sum).map_err(|_| invalid())
}

/// A text in quotes as Go's library of times has it: byte by byte what is not ASCII.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=0x7f => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A fraction's digits in nanoseconds of a unit, rounded down.
fn fraction_nanos(digits: &str, unit: u64) -> u64 {
    /// More digits than this cannot change the result.
    const DIGITS_MAX: usize = 18;
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in digits.bytes().take(DIGITS_MAX) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(0)
}

/// For the fuzzer: any text is read or refused; what was read is shown and read back the same.
pub fn fuzz_duration(data: &[u8]) {
    if let Ok(nanos) = parse_duration(&String::from_utf8_lossy(data)) {
        assert_eq!(parse_duration(&go_duration(nanos).to_string()), Ok(nanos));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: Result<i64, &str>) {
        assert_eq!(parse_duration(text), want.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn durations_are_read_with_units_fractions_and_signs() {
        check("2s", Ok(2 * SECOND));
        check("1h2m3.5s", Ok(3723 * SECOND + SECOND / 2));
        check("-1.5h", Ok(-5400 * SECOND));
        check("1us2\u{b5}s3\u{3bc}s", Ok(6_000));
        check(".5s", Ok(SECOND / 2));
        check("1.s", Ok(SECOND));
        check("0", Ok(0));
        check("+0", Ok(0));
    }

    #[test]
    fn wrong_durations_are_refused_in_the_references_words() {
        check("", Err("time: invalid duration \"\""));
        check("-", Err("time: invalid duration \"-\""));
        check("x", Err("time: invalid duration \"x\""));
        check("\u{e9}\"\\", Err(r#"time: invalid duration "\xc3\xa9\"\\""#));
        check(".s", Err("time: invalid duration \".s\""));
        check("5", Err("time: missing unit in duration \"5\""));
        check("5q", Err("time: unknown unit \"q\" in duration \"5q\""));
        check("9999999999h", Err("time: invalid duration \"9999999999h\""));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(data: Vec<u8>) {
            fuzz_duration(&data);
        }

        #[test]
        fn what_is_shown_reads_back_the_same(nanos: i64) {
            prop_assert_eq!(parse_duration(&go_duration(nanos).to_string()), Ok(nanos));
        }
    }
}
