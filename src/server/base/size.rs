//! Counts of bytes as people read them: `17.66 GB`.

use std::fmt;

/// Shows a count of bytes in steps of 1024 with two decimals; below that as it is, `12 B`.
pub fn size_text(bytes: i64) -> SizeText {
    SizeText(bytes)
}

/// A count of bytes that is displayed for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeText(i64);

impl fmt::Display for SizeText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1024 {
            return write!(out, "{} B", self.0);
        }
        #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
        let mut figure = self.0 as f64;
        let mut name = "B";
        for unit in UNITS {
            if figure < 1024.0 {
                break;
            }
            figure /= 1024.0;
            name = unit;
        }
        write!(out, "{figure:.2} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_steps_of_1024_with_two_decimals() {
        for (bytes, want) in [
            (-1, "-1 B"),
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KB"),
            (1536, "1.50 KB"),
            (1_000_000, "976.56 KB"),
            (8 * 1024 * 1024, "8.00 MB"),
            (20_000_000, "19.07 MB"),
            (17_660_000_000, "16.45 GB"),
            (i64::MAX, "8.00 EB"),
        ] {
            assert_eq!(size_text(bytes).to_string(), want);
        }
    }
}
