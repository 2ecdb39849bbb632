//! Ends requests between accounts whose answers are overdue, or awaited by nobody any more.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;

use crate::server::base::clock::Clock;
use crate::server::client::ClientContext;
use crate::server::conn::{Context, lend_courier};
use crate::server::delivery::Manner;
use crate::server::events::LatencyStatus;
use crate::server::interest::Departure;

/// Requests that are ended before others get their turn with the worker.
const OVERDUE_AT_ONCE: usize = 64;

/// Subscriptions that are looked at before others get their turn with the worker.
const DEPARTURES_AT_ONCE: usize = 64;

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<ClientContext>) {
    let common = Arc::clone(context.accounts.common());
    loop {
        let next = common.agenda().next();
        let wait = next.map_or(Duration::MAX, |next| next.since(context.conn.clock.now()));
        tokio::select! {
            departure = common.departures().pop() => attend(&context, departure),
            // An earlier moment that came meanwhile has left a permit.
            () = common.agenda().earlier_noted() => {}
            _ = timeout(wait, pending::<()>()) => end_overdue(&context).await,
        }
    }
}

/// Ends what was awaited where a subscription has ended, and the next of those that wait.
fn attend(context: &Arc<ClientContext>, first: Departure) {
    lend_courier(&context.conn, |courier| {
        let more = std::iter::from_fn(|| context.accounts.common().departures().try_pop());
        for Departure { account, subject } in std::iter::once(first).chain(more).take(DEPARTURES_AT_ONCE) {
            let Some(account) = context.accounts.find(&account) else { continue };
            for awaited in account.take_deserted(&subject) {
                courier.tell_failed(&awaited, LatencyStatus::RequestTimeout, manner(context));
            }
        }
    });
}

async fn end_overdue(context: &Arc<ClientContext>) {
    let now = context.conn.clock.now();
    for account in context.accounts.common().agenda().take_due(now) {
        loop {
            let overdue = account.take_overdue(now, OVERDUE_AT_ONCE);
            lend_courier(&context.conn, |courier| {
                for awaited in &overdue {
                    courier.tell_failed(awaited, LatencyStatus::ServiceTimeout, manner(context));
                }
            });
            yield_now().await;
            if overdue.len() < OVERDUE_AT_ONCE {
                break;
            }
        }
    }
}

fn manner(context: &ClientContext) -> Manner<'_> {
    let Context { clock, logger, .. } = &*context.conn;
    let now = clock.now();
    Manner { repeats: false, at_once: true, drops_for_stalling: false, now, logger, log: None }
}
