//! Tells the log once a second how many TLS handshakes were turned away.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::tls_gate::TlsGate;
use crate::server::log::Logger;

/// Runs until it is dropped; at once over where there is no limit.
pub async fn run(gate: Arc<TlsGate>, logger: Logger) {
    if !gate.rate.is_limited() {
        return;
    }
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let rejected = gate.rate.take_rejected();
        if rejected > 0 {
            logger.warn(format_args!("Rejected {rejected} connections due to TLS rate limiting"));
        }
    }
}
