//! Keep-alive of one connection: when to send PING, when to give up.
//!
//! Pure: the session reports what happened and when, and does what comes back. Reference: one PING
//! for each `interval` without traffic; a peer that leaves more than `unanswered_max` of them
//! unanswered is stale. The round trip is measured anew once an hour.

use std::time::Duration;

use crate::server::base::clock::Timestamp;

/// How old a measured round trip may be before a PING is sent although the peer is busy.
const ROUND_TRIP_AGE_MAX: Duration = Duration::from_secs(3600);

/// How long after CONNECT the first PING waits at most, before its random delay.
const FIRST_PING_DELAY_MAX: Duration = Duration::from_secs(2);

/// When PINGs are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingRules {
    /// Silence before a PING; `ping_interval`.
    pub interval: Duration,
    /// PINGs that may stay unanswered; `ping_max`.
    pub unanswered_max: u32,
}

/// What to do at a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingAction {
    /// Send a PING.
    Send,
    /// The peer is busy: no PING is needed; it was heard this long ago.
    Delayed(Duration),
    /// Too many PINGs are unanswered.
    Stale,
}

/// The keep-alive state of one connection.
#[derive(Debug, Clone)]
pub struct Ping {
    due: Timestamp,
    heard: Timestamp,
    /// The last PING.
    sent: Option<Timestamp>,
    round_trip: Option<Duration>,
    unanswered: u32,
}

impl Ping {
    /// A connection that was accepted `now`.
    pub fn new(now: Timestamp, rules: PingRules) -> Self {
        Self { due: now + rules.interval, heard: now, sent: None, round_trip: None, unanswered: 0 }
    }

    /// The peer sent its CONNECT, `since_accept` after it was accepted: the first measure of the
    /// round trip. The next PING comes soon, spread by `chance` (0 to 1) over a fifth of the delay.
    pub fn connected(&mut self, now: Timestamp, since_accept: Duration, rules: PingRules, chance: f64) {
        self.round_trip = Some(since_accept.max(Duration::from_nanos(1)));
        let delay = rules.interval.min(FIRST_PING_DELAY_MAX);
        self.due = now + delay + delay.mul_f64(chance.clamp(0.0, 1.0) / 5.0);
    }

    /// The peer sent a message or a PING.
    pub fn heard(&mut self, now: Timestamp) {
        self.heard = now;
    }

    /// The peer answered.
    pub fn pong(&mut self, now: Timestamp) {
        self.unanswered = 0;
        if let Some(sent) = self.sent {
            self.round_trip = Some(now.since(sent).max(Duration::from_nanos(1)));
        }
    }

    /// When [`Self::at_deadline`] wants to be called.
    pub fn deadline(&self) -> Timestamp {
        self.due
    }

    /// The last measured round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The rules have changed while the next PING was awaited.
    pub fn rules_changed(&mut self, now: Timestamp, rules: PingRules) {
        self.due = self.due.min(now + rules.interval);
    }

    /// What to do now; `None` before the deadline.
    pub fn at_deadline(&mut self, now: Timestamp, rules: PingRules) -> Option<PingAction> {
        if now < self.due {
            return None;
        }
        let silence = now.since(self.heard);
        let measured = self.sent.is_some_and(|sent| now.since(sent) <= ROUND_TRIP_AGE_MAX);
        self.due = now + rules.interval;
        if silence < rules.interval && measured {
            return Some(PingAction::Delayed(silence));
        }
        if self.unanswered >= rules.unanswered_max {
            return Some(PingAction::Stale);
        }
        self.unanswered += 1;
        self.sent = Some(now);
        Some(PingAction::Send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: PingRules = PingRules { interval: Duration::from_secs(10), unanswered_max: 2 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn connected() -> Ping {
        let mut ping = Ping::new(at(0), RULES);
        ping.connected(at(1), Duration::from_millis(3), RULES, 0.0);
        ping
    }

    #[test]
    fn first_ping_comes_two_seconds_after_connect() {
        let mut ping = connected();
        assert_eq!(ping.deadline(), at(3));
        assert_eq!(ping.at_deadline(at(2), RULES), None);
        assert_eq!(ping.at_deadline(at(13), RULES), Some(PingAction::Send));
    }

    #[test]
    fn first_ping_is_sent_although_the_peer_is_busy() {
        let mut ping = connected();
        ping.heard(at(2));
        assert_eq!(ping.at_deadline(at(3), RULES), Some(PingAction::Send));
    }

    #[test]
    fn busy_peer_is_not_asked() {
        let mut ping = connected();
        assert_eq!(ping.at_deadline(at(3), RULES), Some(PingAction::Send));
        ping.pong(at(3));
        ping.heard(at(12));
        assert_eq!(ping.at_deadline(at(13), RULES), Some(PingAction::Delayed(Duration::from_secs(1))));
    }

    #[test]
    fn silent_peer_is_stale_at_the_third_deadline() {
        let mut ping = Ping::new(at(0), RULES);
        let actions: Vec<_> = (1..=3).filter_map(|tick| ping.at_deadline(at(tick * 10), RULES)).collect();
        assert_eq!(actions, [PingAction::Send, PingAction::Send, PingAction::Stale]);
    }

    #[test]
    fn pong_resets_the_count_and_measures_the_round_trip() {
        let mut ping = connected();
        assert_eq!(ping.at_deadline(at(13), RULES), Some(PingAction::Send));
        ping.pong(at(14));
        assert_eq!(ping.round_trip(), Some(Duration::from_secs(1)));
        let actions: Vec<_> = (3..=5).filter_map(|tick| ping.at_deadline(at(tick * 10), RULES)).collect();
        assert_eq!(actions, [PingAction::Send, PingAction::Send, PingAction::Stale]);
    }

    #[test]
    fn old_measure_makes_even_a_busy_peer_be_asked() {
        let mut ping = connected();
        assert_eq!(ping.at_deadline(at(3), RULES), Some(PingAction::Send));
        ping.pong(at(3));
        ping.heard(at(3700));
        assert_eq!(ping.at_deadline(at(3701), RULES), Some(PingAction::Send));
    }
}
