//! Waiting for what another process does: the one place that polls.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails: far longer than it should, since machines are
/// busy, and never a figure that a test asserts.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Pause between two looks at something that cannot be waited for by an event.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `look` finds something, and returns it; panics with `what` after [`PATIENCE`].
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}
