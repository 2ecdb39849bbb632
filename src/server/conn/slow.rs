//! Receivers that do not keep up: when to give up on one, what is said, what is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::server::base::duration::go_duration;
use crate::server::config::options::WriteTimeout;
use crate::server::log::Logger;
use crate::server::outbound::Outbound;
use crate::server::protocol::op::Kind;

/// A write that was not done in time.
#[derive(Debug, Clone, Copy)]
pub struct Timeout {
    /// Bytes of the whole turn.
    pub attempted: usize,
    /// Buffers of the whole turn.
    pub chunks: usize,
    /// Bytes written since the deadline was set.
    pub written: usize,
    /// It is not the first time for these bytes.
    pub repeated: bool,
}

/// What becomes of a slow receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It gets another deadline.
    Retry,
    /// It is closed.
    Close,
}

/// Slow consumers seen, by kind of connection.
#[derive(Debug, Default)]
pub struct SlowConsumers {
    clients: AtomicU64,
    routes: AtomicU64,
    gateways: AtomicU64,
    leafs: AtomicU64,
}

impl SlowConsumers {
    /// A write was not done in time.
    pub fn timed_out(&self, outbound: &Outbound, timeout: Timeout, log: &Logger) -> Verdict {
        let rules = outbound.rules();
        self.count(outbound);
        let state = if timeout.repeated { "State" } else { "Detected" };
        log.notice(format_args!(
            "{} - Slow Consumer {state}: WriteDeadline of {} exceeded with {} chunks of {} total bytes.",
            outbound.label(),
            go_duration(rules.write_deadline),
            timeout.chunks,
            timeout.attempted,
        ));
        decide(outbound.kind(), rules.write_timeout, timeout.written)
    }

    /// More waits for a receiver than it may.
    pub fn overflowed(&self, outbound: &Outbound, log: &Logger) {
        self.count(outbound);
        let pending_bytes_max = outbound.rules().pending_bytes_max;
        log.notice(format_args!(
            "{} - Slow Consumer Detected: MaxPending of {pending_bytes_max} Exceeded",
            outbound.label()
        ));
    }

    /// A slow receiver took everything after all.
    pub fn recovered(&self, outbound: &Outbound, took: Duration, bytes: usize, chunks: usize, log: &Logger) {
        log.notice(format_args!(
            "{} - Slow Consumer Recovered: Flush took {:.3}s with {chunks} chunks of {bytes} total bytes.",
            outbound.label(),
            took.as_secs_f64(),
        ));
    }

    /// All slow consumers seen.
    pub fn total(&self) -> u64 {
        [&self.clients, &self.routes, &self.gateways, &self.leafs]
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    fn count(&self, outbound: &Outbound) {
        outbound.count_slow_consumer();
        let counter = match outbound.kind() {
            Kind::Router => &self.routes,
            Kind::Gateway => &self.gateways,
            Kind::Leafnode => &self.leafs,
            Kind::Client | Kind::System | Kind::Jetstream | Kind::Account => &self.clients,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A receiver that took nothing at all is given up; one that took something depends on the policy,
/// whose default is to close clients and to be patient with links.
fn decide(kind: Kind, policy: WriteTimeout, written: usize) -> Verdict {
    let closes = match policy {
        WriteTimeout::Default => kind == Kind::Client,
        WriteTimeout::Close => true,
        WriteTimeout::Retry => false,
    };
    if closes || written == 0 { Verdict::Close } else { Verdict::Retry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_decides_only_for_receivers_that_made_progress() {
        for (kind, policy, written, want) in [
            (Kind::Client, WriteTimeout::Default, 10, Verdict::Close),
            (Kind::Router, WriteTimeout::Default, 10, Verdict::Retry),
            (Kind::Client, WriteTimeout::Retry, 10, Verdict::Retry),
            (Kind::Client, WriteTimeout::Retry, 0, Verdict::Close),
            (Kind::Router, WriteTimeout::Close, 10, Verdict::Close),
        ] {
            assert_eq!(decide(kind, policy, written), want, "{kind:?} {policy:?} {written}");
        }
    }
}
