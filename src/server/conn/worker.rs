//! What each worker thread keeps for the connections it serves: scratch space and a courier.
//!
//! Idle connections own no buffers: bytes are read into the worker's scratch, and only what is left
//! of an unfinished operation moves to the connection.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::context::Context;
use super::write_task;
use crate::server::base::rng::Rng;
use crate::server::delivery::Courier;
use crate::server::outbound::Outbound;

/// Bytes read at once. Measured: 128 KiB costs least per message; see `docs/performance.md`.
pub(super) const SCRATCH_BYTES: usize = 128 << 10;

/// Free scratch that a read is worth making with.
pub(super) const READ_BYTES_MIN: usize = SCRATCH_BYTES / 2;

/// One thread's tools.
pub(super) struct Worker {
    pub(super) scratch: Vec<u8>,
    pub(super) courier: Courier,
}

impl Worker {
    /// After a panic: sends what was staged for others, and starts anew. Should the panic have come
    /// from sending, the batch is lost.
    pub(super) fn recover(&mut self, mut blocked: impl FnMut(&Arc<Outbound>)) {
        let flushed = catch_unwind(AssertUnwindSafe(|| self.courier.flush(&mut blocked, &mut Vec::new())));
        // Either way the caches may be half-changed.
        drop(flushed);
        *self = Self::new();
    }

    fn new() -> Self {
        Self { scratch: vec![0; SCRATCH_BYTES], courier: Courier::new(Rng::from_entropy()) }
    }
}

/// Lends this thread's courier to `work` for a task that is no connection, then sends what it staged.
pub fn lend_courier<T>(context: &Arc<Context>, work: impl FnOnce(&mut Courier) -> T) -> T {
    with(|worker| {
        let result = work(&mut worker.courier);
        worker.courier.flush(&mut |blocked| write_task::start(blocked, context), &mut Vec::new());
        result
    })
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Lends this thread's tools to `work`. They are made on first use, and made anew after a panic in
/// `work`, which may have left them half-used.
pub(super) fn with<T>(work: impl FnOnce(&mut Worker) -> T) -> T {
    // Taken out for the time of the call: a panic drops them instead of poisoning the thread.
    let mut worker = WORKER.with_borrow_mut(Option::take).unwrap_or_else(Worker::new);
    let result = work(&mut worker);
    WORKER.with_borrow_mut(|slot| *slot = Some(worker));
    result
}
