//! How routes and leaf links compress.

use std::time::Duration;

use crate::server::base::duration::go_duration;
use crate::server::base::quote::quote;

/// Round trip times from which on `s2_auto` compresses harder, unless the file names others.
pub const RTT_THRESHOLDS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(100)];

/// Levels of `s2_auto`, and so the most thresholds there can be.
const LEVELS: usize = 4;

/// `compression` as configured; [`Compression::resolve`] says what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression {
    /// `off`, `accept`, `s2_fast`, `s2_better`, `s2_best`, `s2_auto`, `not supported` or their other names.
    pub mode: String,
    /// For `s2_auto`: round trip times from which on it compresses harder; empty means 10, 50, 100 ms.
    pub rtt_thresholds: Vec<Duration>,
}

/// A mode that a link can work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompressionMode {
    /// As a server that does not know of compression.
    NotSupported,
    /// Never.
    Off,
    /// As the other side wants it.
    Accept,
    /// The fastest level.
    Fast,
    /// The middle level.
    Better,
    /// The smallest result.
    Best,
    /// A level by round trip time; a zero stands for a level that is not used.
    Auto(Vec<Duration>),
}

impl Compression {
    /// This mode with its own thresholds.
    pub fn mode(mode: &str) -> Self {
        Self { mode: mode.into(), rtt_thresholds: Vec::new() }
    }

    /// What the configured words mean; `on` is the mode that a plain "on" stands for here.
    ///
    /// # Errors
    /// The reference's refusal of an unknown mode, or of thresholds that make no sense.
    pub fn resolve(&self, on: &str) -> Result<CompressionMode, String> {
        let lower = self.mode.to_lowercase();
        let mode = match lower.as_str() {
            "on" | "enabled" | "true" => on,
            mode => mode,
        };
        Ok(match mode {
            "not supported" | "not_supported" => CompressionMode::NotSupported,
            "disabled" | "off" | "false" => CompressionMode::Off,
            "accept" => CompressionMode::Accept,
            "auto" | "s2_auto" => CompressionMode::Auto(self.thresholds()?),
            "fast" | "s2_fast" => CompressionMode::Fast,
            "better" | "s2_better" => CompressionMode::Better,
            "best" | "s2_best" => CompressionMode::Best,
            _ => return Err(format!("unsupported compression mode {}", quote(&self.mode))),
        })
    }

    fn thresholds(&self) -> Result<Vec<Duration>, String> {
        if self.rtt_thresholds.is_empty() {
            return Ok(RTT_THRESHOLDS.to_vec());
        }
        let mut highest = Duration::ZERO;
        for threshold in self.rtt_thresholds.iter().filter(|threshold| !threshold.is_zero()) {
            if *threshold < highest {
                return Err(format!("RTT threshold values {} should be in ascending order", self.shown()));
            }
            highest = *threshold;
        }
        let used = self.rtt_thresholds.iter().rposition(|threshold| !threshold.is_zero());
        let used = used.map_or(0, |last| last + 1);
        let mode = quote(&self.mode);
        if used > LEVELS {
            let shown = self.shown();
            return Err(format!(
                "compression mode {mode} should have no more than {LEVELS} RTT thresholds: {shown}"
            ));
        }
        if used == 0 {
            return Err(format!("compression mode {mode} requires at least one RTT threshold"));
        }
        Ok(self.rtt_thresholds.iter().take(used).copied().collect())
    }

    fn shown(&self) -> String {
        let shown: Vec<String> =
            self.rtt_thresholds.iter().map(|span| go_duration(*span).to_string()).collect();
        format!("[{}]", shown.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(mode: &str, thresholds_ms: &[u64], want: Result<CompressionMode, &str>) {
        let rtt_thresholds = thresholds_ms.iter().map(|ms| Duration::from_millis(*ms)).collect();
        let compression = Compression { mode: mode.into(), rtt_thresholds };
        assert_eq!(compression.resolve("s2_fast"), want.map_err(str::to_owned), "{mode} {thresholds_ms:?}");
    }

    #[test]
    fn modes_go_by_several_names() {
        use CompressionMode::{Accept, Auto, Best, Better, Fast, NotSupported, Off};
        for (mode, want) in [
            ("on", Fast),
            ("Enabled", Fast),
            ("false", Off),
            ("disabled", Off),
            ("ACCEPT", Accept),
            ("s2_better", Better),
            ("best", Best),
            ("not supported", NotSupported),
            ("auto", Auto(RTT_THRESHOLDS.to_vec())),
        ] {
            check(mode, &[], Ok(want));
        }
        check("foo", &[], Err("unsupported compression mode \"foo\""));
    }

    #[test]
    fn thresholds_ascend_and_are_at_most_four() {
        let auto =
            |ms: &[u64]| Ok(CompressionMode::Auto(ms.iter().map(|ms| Duration::from_millis(*ms)).collect()));
        check("s2_auto", &[1, 2, 3], auto(&[1, 2, 3]));
        check("s2_auto", &[0, 2, 0, 3, 0], auto(&[0, 2, 0, 3]));
        check("s2_auto", &[2, 1], Err("RTT threshold values [2ms 1ms] should be in ascending order"));
        check("s2_auto", &[0, 0], Err("compression mode \"s2_auto\" requires at least one RTT threshold"));
        check(
            "auto",
            &[1, 2, 3, 4, 5],
            Err("compression mode \"auto\" should have no more than 4 RTT thresholds: [1ms 2ms 3ms 4ms 5ms]"),
        );
    }
}
