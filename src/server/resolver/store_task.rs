//! The thread that owns a directory of claims: takes orders in turn, and answers once what they changed
//! is on the disk.
//!
//! Orders that wait when it looks are done together and share one sync of the directory.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::disk::Disk;
use super::index::Sum;
use super::key::AccountKey;
use super::pack;
use super::store::{Found, LoadError, Store, StoreError};
use crate::server::account::Trust;
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::io_text::io_text;

/// Orders that wait for the thread; who brings more waits.
pub const ORDERS_MAX: usize = 256;
/// Accounts whose claims one order reads.
pub const PEEKS_MAX: usize = 64;

/// How far ahead another server's clock may be.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(3600);

/// What the thread is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Read an account's claims.
    Load(AccountKey),
    /// Keep claims.
    Save(AccountKey, String),
    /// Keep claims unless later ones are there.
    SaveIfNewer(AccountKey, String),
    /// Keep what another server sent, where it is newer.
    Merge(String),
    /// Delete claims.
    Delete(Vec<AccountKey>),
    /// Name the accounts whose claims are kept.
    List,
    /// Read claims of several accounts, as lines of a pack.
    Peek(Vec<AccountKey>),
    /// Tell the sum of all.
    Sum,
    /// Look through the directory again.
    Reload,
    /// Remove claims whose time is over.
    Expire,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Claims of an account.
    Loaded(Result<String, LoadError>),
    /// Whether claims that were kept differ from those before.
    Saved(Result<bool, StoreError>),
    /// The accounts whose claims changed, the sums before and after, and what was refused.
    Merged {
        /// Those whose claims are others now.
        changed: Vec<AccountKey>,
        /// The sum of all before.
        before: Sum,
        /// The sum of all after.
        after: Sum,
        /// Why a line, and what follows it, was not taken.
        error: Option<String>,
    },
    /// The accounts whose claims are gone, how many of those asked for are not there, and why others stay.
    Deleted {
        /// Those whose claims went now.
        gone: Vec<AccountKey>,
        /// How many are not there, whoever took them away.
        count: usize,
        /// Why others stay.
        errors: Vec<String>,
    },
    /// The accounts whose claims are kept.
    Listed(Vec<AccountKey>),
    /// Lines of a pack.
    Lines(Vec<String>),
    /// The sum of all.
    Sum(Sum),
    /// What a look through the directory found.
    Reloaded(Result<Vec<AccountKey>, String>),
    /// Claims that are over are gone; why others stay.
    Expired(Vec<StoreError>),
}

#[derive(Debug)]
struct Envelope {
    order: Order,
    done: oneshot::Sender<Outcome>,
}

/// Brings orders to the thread. Cheap to clone; the thread ends when the last one is gone.
#[derive(Debug, Clone)]
pub struct Orders(mpsc::Sender<Envelope>);

impl Orders {
    /// Brings an order once there is room; the outcomes of one sender come in the order of its orders.
    /// A receiver that is closed says that the thread has ended.
    pub async fn bring(&self, order: Order) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        // An error drops `done`, which says the same.
        let _ = self.0.send(Envelope { order, done }).await;
        outcome
    }
}

/// Starts the thread; joining it waits until all that was ordered is done.
///
/// # Errors
/// The system gives no thread.
pub fn start<D: Disk + Send + 'static>(
    store: Store<D>,
    trust: Trust,
    clock: Arc<dyn Clock>,
) -> io::Result<(Orders, JoinHandle<()>)> {
    let (sender, orders) = mpsc::channel(ORDERS_MAX);
    let builder = std::thread::Builder::new().name("claims".to_owned());
    let handle = builder.spawn(move || run(store, &trust, &*clock, orders))?;
    Ok((Orders(sender), handle))
}

fn run<D: Disk>(mut store: Store<D>, trust: &Trust, clock: &dyn Clock, mut orders: mpsc::Receiver<Envelope>) {
    let mut batch = Vec::new();
    while orders.blocking_recv_many(&mut batch, ORDERS_MAX) > 0 {
        let now = clock.now();
        let perform = |Envelope { order, done }| (done, perform(&mut store, trust, order, now));
        let outcomes: Vec<(oneshot::Sender<Outcome>, Outcome)> = batch.drain(..).map(perform).collect();
        let synced = store.sync().map_err(|error| io_text(&error));
        for (done, outcome) in outcomes {
            // Who asked may have gone.
            let _ = done.send(if_synced(outcome, &synced));
        }
    }
}

/// What an order comes to when the directory could not be synced: nothing is done that may vanish.
fn if_synced(outcome: Outcome, synced: &Result<(), String>) -> Outcome {
    let Err(error) = synced else { return outcome };
    match outcome {
        Outcome::Saved(Ok(true)) => Outcome::Saved(Err(StoreError::Disk(error.clone()))),
        Outcome::Deleted { gone, count, mut errors } if !gone.is_empty() => {
            errors.push(error.clone());
            Outcome::Deleted { count: count - gone.len(), gone, errors }
        }
        outcome => outcome,
    }
}

/// Does one order; what it changed is on the disk after the next sync.
pub(super) fn perform<D: Disk>(store: &mut Store<D>, trust: &Trust, order: Order, now: Timestamp) -> Outcome {
    match order {
        Order::Load(key) => Outcome::Loaded(store.load(&key, now)),
        Order::Save(key, token) => Outcome::Saved(store.save(&key, &token, now)),
        Order::SaveIfNewer(key, token) => Outcome::Saved(save_foreign(store, trust, &key, &token, now)),
        Order::Merge(lines) => merge(store, trust, &lines, now),
        Order::Delete(keys) => delete(store, &keys),
        Order::List => Outcome::Listed(store.list(now)),
        Order::Peek(keys) => {
            let lines = keys.iter().take(PEEKS_MAX);
            let lines = lines.filter_map(|key| Some(pack::line(key, &store.peek(key)?)));
            Outcome::Lines(lines.collect())
        }
        Order::Sum => Outcome::Sum(store.sum()),
        Order::Expire => Outcome::Expired(store.expire(now)),
        Order::Reload => Outcome::Reloaded(match store.reload(now) {
            Ok(Found { changed, .. }) => Ok(changed),
            Err(error) => Err(io_text(&error)),
        }),
    }
}

fn merge<D: Disk>(store: &mut Store<D>, trust: &Trust, lines: &str, now: Timestamp) -> Outcome {
    let (before, mut changed, mut error) = (store.sum(), Vec::new(), None);
    for line in pack::lines(lines) {
        let kept = line.map_err(|error| error.to_string()).and_then(|(key, token)| {
            let kept = save_foreign(store, trust, &key, token, now);
            kept.map(|is_new| is_new.then_some(key)).map_err(|error| error.to_string())
        });
        match kept {
            Ok(key) => changed.extend(key),
            Err(why) => {
                error = Some(why);
                break;
            }
        }
    }
    Outcome::Merged { changed, before, after: store.sum(), error }
}

/// Keeps what another server has, if it is newer and somebody who is trusted signed it. (The reference keeps
/// what anybody signed: one message would replace an account's claims on every server, for good.)
fn save_foreign<D: Disk>(
    store: &mut Store<D>,
    trust: &Trust,
    key: &AccountKey,
    token: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if !store.is_newer(key, token) {
        return Ok(false);
    }
    let verified = trust.verify(key.as_str(), token, now);
    let issued_at = verified.map_err(|error| StoreError::Foreign(error.to_string()))?.envelope.issued_at;
    // Nothing would ever be newer.
    if issued_at > seconds(now + CLOCK_SKEW_MAX) {
        return Err(StoreError::Foreign("claims of the future".to_owned()));
    }
    store.save(key, token, now)
}

fn seconds(moment: Timestamp) -> i64 {
    i64::try_from(moment.nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

fn delete<D: Disk>(store: &mut Store<D>, keys: &[AccountKey]) -> Outcome {
    let (mut gone, mut count, mut errors) = (Vec::new(), 0, Vec::new());
    for key in keys {
        match store.delete(key) {
            Ok(was_there) => {
                count += 1;
                gone.extend(was_there.then_some(*key));
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    Outcome::Deleted { gone, count, errors }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::super::index::Policy;
    use super::super::simulated::{Simulated, operator, signed, signed_by, token, trusted};
    use super::super::store::Deletion;
    use super::*;
    use crate::server::base::clock::ManualClock;
    use crate::server::jwt::fixtures::NOW;

    const FULL: Policy = Policy { limit: usize::MAX, evicts: false, ttl: None };

    fn key() -> AccountKey {
        AccountKey::parse(&KeyPair::new_account().public_key()).unwrap()
    }

    fn thread(disk: Simulated) -> (Orders, JoinHandle<()>) {
        let (store, _) = Store::open(disk, FULL, Deletion::Removes, NOW).unwrap();
        let clock = ManualClock::default();
        clock.advance(Duration::from_nanos(NOW.nanos()));
        start(store, trusted(), Arc::new(clock)).unwrap()
    }

    async fn ask(orders: &Orders, order: Order) -> Outcome {
        orders.bring(order).await.await.unwrap()
    }

    #[tokio::test]
    async fn orders_are_done_in_turn_and_the_thread_ends_with_them() {
        let (orders, handle) = thread(Simulated::default());
        let (a, b) = (key(), key());
        let first = token(&a, "1", 1, 0);
        let saved = orders.bring(Order::Save(a, first.clone())).await;
        let loaded = orders.bring(Order::Load(a)).await;
        assert_eq!(saved.await.unwrap(), Outcome::Saved(Ok(true)));
        assert_eq!(loaded.await.unwrap(), Outcome::Loaded(Ok(first.clone())));
        let line = pack::line(&a, &first);
        assert_eq!(ask(&orders, Order::Peek(vec![b, a])).await, Outcome::Lines(vec![line]));
        assert_eq!(ask(&orders, Order::List).await, Outcome::Listed(vec![a]));
        let gone = Outcome::Deleted { gone: vec![a], count: 2, errors: Vec::new() };
        assert_eq!(ask(&orders, Order::Delete(vec![a, b])).await, gone);
        drop(orders);
        handle.join().unwrap();
    }

    #[tokio::test]
    async fn what_another_server_sent_is_taken_up_to_the_first_wrong_line() {
        let (orders, _handle) = thread(Simulated::default());
        let (a, b) = (key(), key());
        let lines = [pack::line(&a, &signed(&a)), "x".to_owned(), pack::line(&b, &signed(&b))];
        let Outcome::Merged { changed, before, after, error } =
            ask(&orders, Order::Merge(lines.join("\n"))).await
        else {
            panic!("a merge was ordered");
        };
        assert_eq!((changed, before), (vec![a], Sum::default()));
        assert_eq!(ask(&orders, Order::Sum).await, Outcome::Sum(after));
        assert_eq!(error.unwrap(), "line in package didn't contain 2 entries: \"x\"");
    }

    #[tokio::test]
    async fn what_nobody_trusted_signed_is_not_taken_from_other_servers() {
        let (orders, _handle) = thread(Simulated::default());
        let a = key();
        let forged = format!("{}AAAA", &signed(&a)[..signed(&a).len() - 4]);
        let by_a_stranger = signed_by(&KeyPair::new_operator(), &a, NOW);
        let of_the_future = signed_by(&operator(), &a, NOW + Duration::from_secs(7200));
        for (wrong, why) in [
            (forged, "claim failed V2 signature verification"),
            (by_a_stranger, "account validation failed"),
            (of_the_future, "claims of the future"),
        ] {
            let kept = ask(&orders, Order::SaveIfNewer(a, wrong)).await;
            assert_eq!(kept, Outcome::Saved(Err(StoreError::Foreign(why.to_owned()))));
        }
        assert_eq!(ask(&orders, Order::SaveIfNewer(a, signed(&a))).await, Outcome::Saved(Ok(true)));
    }

    #[tokio::test]
    async fn nothing_counts_as_done_when_the_directory_cannot_be_synced() {
        // Two operations: the file and its name; the sync of the directory fails.
        let (orders, _handle) = thread(Simulated { left: Some(2), ..Simulated::default() });
        let a = key();
        let saved = ask(&orders, Order::Save(a, token(&a, "1", 1, 0))).await;
        assert_eq!(saved, Outcome::Saved(Err(StoreError::Disk("power".to_owned()))));
    }
}
