//! How a lame duck spreads the closing of its clients. Pure: numbers in, a plan out.

use std::time::Duration;

/// The longest pause between two closes. Reference: 1 s.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// When clients are closed, after the grace period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Clients closed between two pauses.
    pub(super) batch: usize,
    /// The longest pause; each is drawn from its upper half.
    pub pause: Duration,
}

impl Plan {
    /// Spreads `clients` over what `duration` leaves after the `grace` period.
    pub(super) fn new(clients: usize, duration: Duration, grace: Duration) -> Self {
        let span = match duration.saturating_sub(grace) {
            Duration::ZERO => PAUSE_MAX,
            span => span,
        };
        let span_nanos = span.as_nanos();
        let pause_nanos = span_nanos / (clients.max(1) as u128);
        if pause_nanos == 0 {
            let batch = usize::try_from(clients as u128 / span_nanos.max(1)).unwrap_or(usize::MAX);
            return Self { batch, pause: Duration::from_nanos(1) };
        }
        let pause = u64::try_from(pause_nanos).map_or(PAUSE_MAX, Duration::from_nanos).min(PAUSE_MAX);
        Self { batch: 1, pause }
    }

    /// One pause; `chance` is from 0 to 1.
    pub(super) fn pause(&self, chance: f64) -> Duration {
        self.pause.mul_f64(chance.clamp(0.5, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(clients: usize, duration: Duration, grace: Duration, batch: usize, pause: Duration) {
        assert_eq!(Plan::new(clients, duration, grace), Plan { batch, pause });
    }

    #[test]
    fn few_clients_are_closed_one_a_second() {
        check(10, Duration::from_secs(120), Duration::from_secs(10), 1, Duration::from_secs(1));
    }

    #[test]
    fn many_clients_share_the_time_left_after_the_grace_period() {
        check(1100, Duration::from_secs(120), Duration::from_secs(10), 1, Duration::from_millis(100));
    }

    #[test]
    fn more_clients_than_nanoseconds_go_in_batches() {
        check(1000, Duration::from_nanos(110), Duration::from_nanos(10), 10, Duration::from_nanos(1));
    }

    #[test]
    fn no_time_left_counts_as_a_second() {
        check(2, Duration::from_secs(1), Duration::from_secs(2), 1, Duration::from_millis(500));
    }

    #[test]
    fn pauses_are_from_the_upper_half() {
        let plan = Plan { batch: 1, pause: Duration::from_millis(100) };
        assert_eq!(plan.pause(0.0), Duration::from_millis(50));
        assert_eq!(plan.pause(0.9), Duration::from_millis(90));
    }
}
