//! Turns of handshakes where responders are asked about clients: few steps compute at once, more may wait.
//!
//! A step computes in a turn of one kind, and while it waits for responders it has one of the other kind
//! instead. So a responder that is slow holds up nobody but those who have to wait for it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// One step's turn. It goes where the step is made: whoever stops waiting for the step gives nothing back.
#[derive(Debug)]
pub struct Turn {
    computing: Option<OwnedSemaphorePermit>,
    asking: Arc<Semaphore>,
    /// The end of the time for the handshake.
    until: Instant,
}

impl Turn {
    /// A turn for a step that computes, when it has come.
    pub async fn new(computing: &Arc<Semaphore>, asking: &Arc<Semaphore>, until: Instant) -> Self {
        // An error would say that the semaphore is closed, which it never is.
        let computing = Arc::clone(computing).acquire_owned().await.ok();
        Self { computing, asking: Arc::clone(asking), until }
    }

    /// Waits for a responder, then for a turn to go on.
    ///
    /// # Errors
    /// Too many wait already, or the time for the handshake is over.
    pub(super) async fn wait<T>(&mut self, answer: impl Future<Output = T>) -> Result<T, &'static str> {
        let Ok(asking) = self.asking.try_acquire() else {
            return Err("too many OCSP responses are waited for");
        };
        let computing = self.computing.take().map(|permit| Arc::clone(permit.semaphore()));
        let answer = timeout_at(self.until, answer).await;
        if let Some(computing) = computing {
            self.computing = computing.acquire_owned().await.ok();
        }
        drop(asking);
        answer.map_err(|_| "the time for the handshake is over")
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_responder_leaves_its_turn_to_others() {
        let (computing, asking) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        // Nothing here lets so much time pass.
        let far = Instant::now() + std::time::Duration::from_secs(1 << 20);
        let mut first = Turn::new(&computing, &asking, far).await;
        let mut waiting = Box::pin(first.wait(pending::<()>()));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        // Others compute, but none besides may wait.
        let mut second = Turn::new(&computing, &asking, far).now_or_never().unwrap();
        let refusal = second.wait(ready(())).now_or_never().unwrap();
        assert_eq!(refusal, Err("too many OCSP responses are waited for"));
        drop(waiting);
        assert_eq!(second.wait(ready(7)).now_or_never().unwrap(), Ok(7));
        assert_eq!((computing.available_permits(), asking.available_permits()), (0, 1));
        drop(second);
        assert_eq!(computing.available_permits(), 1);
        let mut late = Turn::new(&computing, &asking, Instant::now()).await;
        assert_eq!(late.wait(pending::<()>()).await, Err("the time for the handshake is over"));
        assert_eq!((computing.available_permits(), asking.available_permits()), (0, 1));
    }
}
