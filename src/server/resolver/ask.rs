//! How the rest of the server asks a resolver.

use tokio::sync::{mpsc, oneshot};

use super::key::AccountKey;
use super::lookups::FetchError;

/// Questions that wait for the resolver's task; who has one more waits.
const CALLS_MAX: usize = 256;

/// Where an account's claims go, or why there are none.
pub type Waiter = oneshot::Sender<Result<String, FetchError>>;

/// What a resolver's task is asked for.
#[derive(Debug)]
pub enum Call {
    /// An account's claims.
    Claims(String, Waiter),
    /// The configuration was loaded again, and brings these claims; who reloads waits until that is so.
    Reload(Vec<(AccountKey, String)>, oneshot::Sender<()>),
}

/// A place in the queue of a resolver's task.
#[derive(Debug)]
pub struct ReloadPlace<'a>(mpsc::Permit<'a, Call>);

impl ReloadPlace<'_> {
    /// Has what a configuration brings kept that was loaded again, and files looked at that somebody may have
    /// changed. Once this is done nothing is kept any more where it was kept before.
    pub async fn take(self, preloads: Vec<(AccountKey, String)>) {
        let (done, is_done) = oneshot::channel();
        self.0.send(Call::Reload(preloads, done));
        // An error says that the task has ended.
        let _ = is_done.await;
    }
}

/// Asks a resolver. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClaimSource(mpsc::Sender<Call>);

impl ClaimSource {
    /// With the end that the resolver's task listens at.
    pub fn new() -> (Self, mpsc::Receiver<Call>) {
        let (sender, calls) = mpsc::channel(CALLS_MAX);
        (Self(sender), calls)
    }

    /// Claims of an account, as a token that nobody has judged yet. Whoever asks for the same account
    /// meanwhile shares the look-up.
    ///
    /// # Errors
    /// There are none, or nobody says in time.
    pub async fn claims(&self, account: &str) -> Result<String, FetchError> {
        let (waiter, claims) = oneshot::channel();
        // An error drops the waiter, which says the same.
        let _ = self.0.send(Call::Claims(account.to_owned(), waiter)).await;
        claims.await.unwrap_or(Err(FetchError::Shutdown))
    }

    /// A place in the queue for a reload, so that nothing is waited for once it has begun; `None` where the
    /// task has ended.
    pub async fn place_for_reload(&self) -> Option<ReloadPlace<'_>> {
        self.0.reserve().await.ok().map(ReloadPlace)
    }
}
