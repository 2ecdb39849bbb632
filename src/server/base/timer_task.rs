//! The one task that waits for the server's deadlines and wakes whoever armed them.

use std::sync::Arc;

use super::clock::{Clock, SystemClock};
use super::timers::Timers;

/// Drives `timers` until it is dropped with its runtime.
pub async fn run(timers: Arc<Timers>, clock: SystemClock) {
    loop {
        let now = clock.now();
        timers.fire(now);
        let Some(next) = timers.next() else {
            timers.earlier_armed().await;
            continue;
        };
        // An earlier deadline ends the wait; a late wake-up only delays.
        let _ = tokio::time::timeout(next.since(now), timers.earlier_armed()).await;
    }
}
