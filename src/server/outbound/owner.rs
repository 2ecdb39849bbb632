//! The task that owns a connection, as others reach it: what it is told, why it is to close, how it
//! is woken.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use crate::server::protocol::error::CloseReason;

/// What the owner of a destination is told; a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notices(u32);

impl Notices {
    /// The connection is to be closed, for the reason that it is told.
    pub const CLOSE: Self = Self(1);
    /// The server's INFO has changed.
    pub const INFO: Self = Self(1 << 1);
    /// The options have changed.
    pub const OPTIONS: Self = Self(1 << 2);

    /// What was asked elsewhere about the connection has been decided.
    pub const DECISION: Self = Self(1 << 3);
    /// The claims of its account have changed.
    pub const CLAIMS: Self = Self(1 << 4);
    /// The peer is to be told that the server is a lame duck.
    pub const LAME_DUCK: Self = Self(1 << 5);

    /// Whether all of `notice` is in the set.
    pub const fn contains(self, notice: Self) -> bool {
        self.0 & notice.0 == notice.0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The way to a connection's task.
#[derive(Debug, Default)]
pub(super) struct Owner {
    /// 0 for none, else the reason's place in [`CloseReason::ALL`] plus 1.
    close_reason: AtomicU8,
    notices: AtomicU32,
    /// Leaf lock, held for a clone or a store.
    waker: Mutex<Option<Waker>>,
}

impl Owner {
    /// Asks for the connection to be closed; the first reason stands.
    pub(super) fn request_close(&self, reason: CloseReason) {
        let code = reason as u8 + 1;
        let _ = self.close_reason.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        self.notify(Notices::CLOSE);
    }

    /// The reason of the first [`Self::request_close`].
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        let code = self.close_reason.load(Ordering::Relaxed);
        CloseReason::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Tells the owner something and wakes it.
    pub(super) fn notify(&self, notice: Notices) {
        self.notices.fetch_or(notice.0, Ordering::Release);
        let waker = self.waker.lock().clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What the owner has been told since the last call.
    pub(super) fn take_notices(&self) -> Notices {
        // The plain load keeps the common case, nothing new, free of a locked instruction.
        if self.notices.load(Ordering::Relaxed) == 0 {
            return Notices(0);
        }
        Notices(self.notices.swap(0, Ordering::Acquire))
    }

    /// Sets whom [`Self::notify`] wakes.
    pub(super) fn set_waker(&self, waker: &Waker) {
        let mut known = self.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Completes when somebody asks for the connection to be closed; whoever waits here is the owner.
    pub(super) async fn told_to_close(&self) -> CloseReason {
        poll_fn(|context| {
            self.set_waker(context.waker());
            self.close_reason().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Nobody is woken any more.
    pub(super) fn leave(&self) {
        self.waker.lock().take();
    }
}
