//! Durations as Go prints them: `1h2m3.5s`, `250ms`, `0s`.

use std::fmt;
use std::time::Duration;

/// Shows a duration, or signed nanoseconds, in Go's notation.
pub fn go_duration(duration: impl Into<GoDuration>) -> GoDuration {
    duration.into()
}

/// A duration that is displayed in Go's notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoDuration {
    is_negative: bool,
    nanos: u128,
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self { is_negative: false, nanos: duration.as_nanos() }
    }
}

impl From<i64> for GoDuration {
    fn from(nanos: i64) -> Self {
        Self { is_negative: nanos < 0, nanos: nanos.unsigned_abs().into() }
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_negative, nanos } = *self;
        if is_negative {
            out.write_str("-")?;
        }
        match nanos {
            0 => out.write_str("0s"),
            1..1_000 => write!(out, "{nanos}ns"),
            1_000..1_000_000 => write!(out, "{}µs", Fraction { nanos, unit: 1_000 }),
            1_000_000..1_000_000_000 => write!(out, "{}ms", Fraction { nanos, unit: 1_000_000 }),
            _ => {
                let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
                if minutes >= 60 {
                    write!(out, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(out, "{}m", minutes % 60)?;
                }
                write!(out, "{}s", Fraction { nanos: rest, unit: 1_000_000_000 })
            }
        }
    }
}

/// `nanos / unit` as a decimal without trailing zeros; `unit` is a power of ten.
struct Fraction {
    nanos: u128,
    unit: u128,
}

impl fmt::Display for Fraction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.nanos / self.unit)?;
        let mut rest = self.nanos % self.unit;
        if rest == 0 {
            return Ok(());
        }
        let mut digits = self.unit.ilog10() as usize;
        while rest.is_multiple_of(10) {
            rest /= 10;
            digits -= 1;
        }
        write!(out, ".{rest:0digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_prints_them() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (100_000_000, "100ms"),
            (3_300_000_000, "3.3s"),
            (120_000_000_000, "2m0s"),
            (245_000_000_001, "4m5.000000001s"),
            (18_367_001_000_000, "5h6m7.001s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)).to_string(), want);
        }
        for (nanos, want) in [(-3_600_000_000_000_i64, "-1h0m0s"), (-5, "-5ns"), (1_500, "1.5µs")] {
            assert_eq!(go_duration(nanos).to_string(), want);
        }
    }
}
