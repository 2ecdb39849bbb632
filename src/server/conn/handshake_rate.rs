//! How many TLS handshakes begin within a second, and how many were turned away.
//!
//! Pure but for its lock. Reference: `connection_rate_limit` counts in windows that begin with the first
//! handshake after the last one ended; the one that begins a window is not counted.

use std::time::Duration;

use parking_lot::Mutex;

use crate::server::base::clock::Timestamp;

/// One window. Reference: a second.
const WINDOW: Duration = Duration::from_secs(1);

/// The counter. Leaf lock, held for a comparison and an addition.
#[derive(Debug)]
pub struct HandshakeRate {
    /// Handshakes within a window; `None` is no limit.
    limit: Option<i64>,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    end: Option<Timestamp>,
    count: i64,
    rejected: u64,
}

impl HandshakeRate {
    /// At most `limit` a window; zero is no limit.
    pub fn new(limit: i64) -> Self {
        Self { limit: Some(limit).filter(|limit| *limit > 0), window: Mutex::default() }
    }

    /// Whether there is a limit.
    pub const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Counts a handshake; says whether it may begin.
    pub fn allow(&self, now: Timestamp) -> bool {
        let Some(limit) = self.limit else { return true };
        let mut window = self.window.lock();
        if window.end.is_none_or(|end| now > end) {
            window.count = 0;
            window.end = Some(now + WINDOW);
        } else {
            window.count += 1;
        }
        let allowed = window.count < limit;
        window.rejected += u64::from(!allowed);
        allowed
    }

    /// Handshakes turned away since the last call.
    pub fn take_rejected(&self) -> u64 {
        std::mem::take(&mut self.window.lock().rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::{Clock, SystemClock};

    #[test]
    fn a_window_takes_its_limit_and_turns_the_rest_away() {
        let rate = HandshakeRate::new(2);
        let now = SystemClock::new().now();
        let allowed: Vec<_> = (0..4).map(|_| rate.allow(now)).collect();
        assert_eq!(
            (allowed, rate.take_rejected(), rate.take_rejected()),
            (vec![true, true, false, false], 2, 0)
        );
        assert!(!rate.allow(now + WINDOW) && rate.allow(now + WINDOW + Duration::from_millis(1)));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let rate = HandshakeRate::new(0);
        let now = SystemClock::new().now();
        assert!((0..100).all(|_| rate.allow(now)) && !rate.is_limited() && rate.take_rejected() == 0);
    }
}
