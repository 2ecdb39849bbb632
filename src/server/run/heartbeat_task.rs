//! Tells again, twice a minute, how many connections each account has.

use std::sync::Arc;

use crate::server::base::clock::Clock;
use crate::server::conn::Context;

/// Accounts that are told of before others have their turn.
const ACCOUNTS_A_TURN: usize = 64;

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<Context>) {
    loop {
        let now = context.clock.now();
        let all_told =
            context.speak(|herald, occasion| herald.tell_due_connections(occasion, ACCOUNTS_A_TURN));
        if !all_told {
            tokio::task::yield_now().await;
            continue;
        }
        let Some(next) = context.herald.next_heartbeat() else {
            context.herald.heartbeat_began().await;
            continue;
        };
        // All wait equally long: nobody becomes due before the first.
        let _ = tokio::time::timeout(next.since(now), std::future::pending::<()>()).await;
    }
}
