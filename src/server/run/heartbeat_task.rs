//! Tells again, twice a minute, how many connections each account has.

use std::sync::Arc;

use crate::server::base::clock::Clock;
use crate::server::conn::{Context, lend_courier};
use crate::server::delivery::Occasion;

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<Context>) {
    loop {
        let now = context.clock.now();
        lend_courier(&context, |courier| {
            context.herald.tell_due_connections(&mut Occasion { now, courier, log: None });
        });
        let Some(next) = context.herald.next_heartbeat() else {
            context.herald.heartbeat_began().await;
            continue;
        };
        // All wait equally long: nobody becomes due before the first.
        let _ = tokio::time::timeout(next.since(now), std::future::pending::<()>()).await;
    }
}
