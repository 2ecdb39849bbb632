//! Latencies in a few kilobytes: counts by logarithmic bucket, quantiles within 1.6 %.

/// Sub-buckets of each power of two, as a power of two.
const SUB_BITS: u32 = 6;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
/// Buckets that cover every `u64`.
const BUCKETS: usize = ((64 - SUB_BITS as usize) + 1) << SUB_BITS;

/// How often each duration occurred, in nanoseconds.
///
/// ```text
/// value < 64          one bucket a value
/// 2^k ≤ value < 2^k+1 64 buckets of equal width
/// ```
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, sum: 0, min: u64::MAX, max: 0 }
    }

    /// Counts one duration of `nanos` nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        if let Some(count) = self.counts.get_mut(bucket_of(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.sum += u128::from(nanos);
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
    }

    /// Adds all that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// How many durations were counted.
    pub const fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was counted.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The longest duration, exact; zero if there is none.
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The shortest duration, exact; zero if there is none.
    pub const fn min(&self) -> u64 {
        if self.total == 0 { 0 } else { self.min }
    }

    /// The mean duration, exact to the nanosecond; zero if there is none.
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(u128::from(self.total)).and_then(|mean| u64::try_from(mean).ok()).unwrap_or(0)
    }

    /// The duration that a share of `quantile` (0 to 1) does not exceed, rounded up to its bucket's
    /// upper edge but never above the longest; zero if there is none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = (quantile.clamp(0.0, 1.0) * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_edge(bucket).min(self.max);
            }
        }
        self.max
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket_of(value: u64) -> usize {
    if value < SUB_BUCKETS {
        return value as usize;
    }
    let exponent = value.ilog2() - SUB_BITS;
    let sub = (value >> exponent) - SUB_BUCKETS;
    (((u64::from(exponent) + 1) << SUB_BITS) + sub) as usize
}

fn upper_edge(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let exponent = (bucket >> SUB_BITS) - 1;
    let sub = bucket & (SUB_BUCKETS - 1);
    let width = 1u64 << exponent;
    ((SUB_BUCKETS + sub) << exponent) + (width - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_recorded_gives_zeros() {
        let histogram = Histogram::new();
        assert!(histogram.is_empty());
        assert_eq!(
            (histogram.min(), histogram.mean(), histogram.max(), histogram.quantile(0.99)),
            (0, 0, 0, 0)
        );
    }

    #[test]
    fn quantiles_of_one_to_a_thousand_lie_where_they_should() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.record(value));
        for (quantile, want) in [(0.0, 1), (0.5, 500), (0.99, 990), (0.999, 999), (1.0, 1000)] {
            let got = histogram.quantile(quantile);
            assert!(got >= want && got as f64 <= want as f64 * 1.016, "{quantile}: {got} for {want}");
        }
        assert_eq!((histogram.min(), histogram.max(), histogram.mean()), (1, 1000, 500));
    }

    #[test]
    fn merging_equals_recording_in_one() {
        let (mut left, mut right, mut whole) = (Histogram::new(), Histogram::new(), Histogram::new());
        for value in [3, 70, 5_000, 1 << 40] {
            left.record(value);
            whole.record(value);
        }
        for value in [1, 900_000, u64::MAX] {
            right.record(value);
            whole.record(value);
        }
        left.merge(&right);
        assert_eq!(left.counts, whole.counts);
        assert_eq!((left.min(), left.max(), left.len()), (whole.min(), whole.max(), whole.len()));
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_value_within_one_part_in_64(value: u64) {
            let edge = upper_edge(bucket_of(value));
            prop_assert!(edge >= value);
            prop_assert!(edge - value <= value / 64);
        }
    }
}
