//! Ends requests between accounts whose answers are overdue, or awaited by nobody any more.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::server::base::clock::Clock;
use crate::server::client::ClientContext;
use crate::server::conn::{Context, lend_courier};
use crate::server::delivery::{Courier, Manner};
use crate::server::events::LatencyStatus;
use crate::server::interest::Departure;

/// Pause between two looks at the accounts: many requests that are overdue at about the same time cost
/// one look.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// Subscriptions that are looked at before others get their turn with the worker.
const DEPARTURES_AT_ONCE: usize = 64;

/// Runs until it is dropped.
pub(super) async fn run(context: Arc<ClientContext>) {
    let common = Arc::clone(context.accounts.common());
    let mut due = None;
    loop {
        // One that comes meanwhile has left a permit with `due_changed`.
        due = [due, common.take_due()].into_iter().flatten().min();
        let wait = due.map_or(Duration::MAX, |due| due.since(context.conn.clock.now()));
        tokio::select! {
            departure = common.departures().pop() => attend(&context, departure),
            () = common.due_changed() => {}
            _ = timeout(wait, pending::<()>()) => {
                due = None;
                end_overdue(&context);
                let _ = timeout(LOOK_PAUSE, pending::<()>()).await;
            }
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

fn end_overdue(context: &Arc<ClientContext>) {
    let now = context.conn.clock.now();
    lend_courier(&context.conn, |courier: &mut Courier| {
        for account in context.accounts.all() {
            for awaited in account.take_overdue(now) {
                courier.tell_failed(&awaited, LatencyStatus::ServiceTimeout, manner(context));
            }
        }
    });
}

fn manner(context: &ClientContext) -> Manner<'_> {
    let Context { clock, logger, .. } = &*context.conn;
    let now = clock.now();
    Manner { repeats: false, at_once: true, drops_for_stalling: false, now, logger, log: None }
}
