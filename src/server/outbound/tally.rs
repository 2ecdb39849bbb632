//! Counts of messages that several destinations share: those of one account.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Cells of a tally at most: a power of two.
const CELLS_MAX: usize = 16;

/// Messages and their payload bytes. Each thread adds to a cell of its own, as long as there are enough.
#[derive(Debug, Default)]
pub struct Tally {
    /// Made with the first message: most accounts of a large server are idle.
    cells: OnceLock<Box<[Cell]>>,
    slow_consumers: AtomicU64,
}

/// One thread's part, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell {
    messages: AtomicU64,
    payload_bytes: AtomicU64,
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Counts a batch.
    #[inline]
    pub fn add(&self, messages: u64, payload_bytes: u64) {
        if messages != 0 {
            let cells = self.cells.get_or_init(cells);
            let at = THREAD.with(|thread| *thread) & (cells.len() - 1);
            if let Some(cell) = cells.get(at) {
                cell.messages.fetch_add(messages, Ordering::Relaxed);
                cell.payload_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
            }
        }
    }

    /// Messages and payload bytes so far.
    pub fn totals(&self) -> (u64, u64) {
        let read =
            |cell: &Cell| (cell.messages.load(Ordering::Relaxed), cell.payload_bytes.load(Ordering::Relaxed));
        let cells = self.cells.get().map(|cells| &**cells).unwrap_or_default();
        cells.iter().map(read).fold((0, 0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1))
    }

    /// A destination did not keep up.
    pub fn count_slow_consumer(&self) {
        self.slow_consumers.fetch_add(1, Ordering::Relaxed);
    }

    /// Destinations that did not keep up.
    pub fn slow_consumers(&self) -> u64 {
        self.slow_consumers.load(Ordering::Relaxed)
    }
}

fn cells() -> Box<[Cell]> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    (0..threads.next_power_of_two().min(CELLS_MAX)).map(|_| Cell::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_count_adds_up() {
        let tally = Tally::default();
        assert_eq!(tally.totals(), (0, 0));
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..100).for_each(|_| tally.add(2, 5)));
            }
        });
        tally.add(0, 7);
        assert_eq!(tally.totals(), (8000, 20_000));
    }
}
