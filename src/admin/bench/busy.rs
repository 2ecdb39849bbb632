//! How busy a thread of the load generator was: the CPU it had, and the CPU it waited for.
//!
//! A generator whose thread is busy all the time holds the server up, whatever the server's own CPU says:
//! this needs no look at the server's process, and a thread that sleeps for its rate is not busy.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A thread of this process, to be asked from any other while it lives.
#[derive(Debug, Clone)]
pub(super) struct Thread(PathBuf);

impl Thread {
    /// The calling thread; none where the system does not tell.
    pub(super) fn current() -> Option<Self> {
        let link = std::fs::read_link("/proc/thread-self").ok()?;
        Some(Self(PathBuf::from("/proc").join(link).join("schedstat")))
    }

    /// How long it has run or waited for a processor.
    pub(super) fn busy(&self) -> Option<Duration> {
        busy(&std::fs::read_to_string(&self.0).ok()?)
    }
}

/// Threads that live as long as a run.
#[derive(Debug, Default)]
pub(super) struct Crew(Mutex<Vec<Thread>>);

impl Crew {
    /// The calling thread becomes part of it.
    pub(super) fn join(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(Thread::current());
    }

    /// How long each has been busy so far.
    pub(super) fn busy(&self) -> Vec<Duration> {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.iter().map(|thread| thread.busy().unwrap_or_default()).collect()
    }

    /// How long the busiest was busy since these figures were taken.
    pub(super) fn busiest_since(&self, before: &[Duration]) -> Duration {
        let spans = self.busy().into_iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
        spans.max().unwrap_or_default()
    }
}

/// How long the calling thread has run or waited for a processor; zero where the system does not tell.
pub(super) fn of_this_thread() -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| busy(&text))
        .unwrap_or_default()
}

/// Nanoseconds on a processor, nanoseconds of waiting for one, number of turns.
fn busy(schedstat: &str) -> Option<Duration> {
    let mut fields = schedstat.split_ascii_whitespace();
    let (ran, waited) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(Duration::from_nanos(ran.saturating_add(waited)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_and_waiting_for_a_processor_are_both_busy() {
        assert_eq!(busy("241080554 530080382 90\n"), Some(Duration::from_nanos(771_160_936)));
        for text in ["", "1", "x 2 3"] {
            assert_eq!(busy(text), None, "{text}");
        }
    }

    #[test]
    fn thread_can_be_asked_by_another() {
        let thread = Thread::current().unwrap();
        std::thread::spawn(move || assert!(thread.busy().is_some())).join().unwrap();
    }
}
