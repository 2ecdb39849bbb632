//! The lines that wait for the log's thread.
//!
//! Bounded by bytes. When lines come faster than they can be written, debug and trace lines are
//! dropped and counted; whoever says something graver waits for room instead.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

use super::level::Level;
use crate::server::base::clock::Timestamp;

/// Bytes of text that may wait to be written.
pub const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a queued line costs beside its text, in bytes.
const LINE_OVERHEAD_BYTES: usize = 48;

/// One statement as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was said.
    pub at: Timestamp,
    /// How grave it is.
    pub level: Level,
    /// What was said, without prefix.
    pub text: String,
}

/// What the thread finds in the queue, in the order in which it was put.
#[derive(Debug)]
pub(super) enum Item<C> {
    Line(Line),
    Command(C),
}

/// Leaf lock: held for an append or a take, nothing is called while it is held.
#[derive(Debug)]
pub(super) struct Queue<C> {
    state: Mutex<State<C>>,
    filled: Condvar,
    emptied: Condvar,
    bytes_max: usize,
}

#[derive(Debug)]
struct State<C> {
    items: VecDeque<Item<C>>,
    bytes: usize,
    dropped: u64,
    is_thread_waiting: bool,
    is_closed: bool,
}

impl<C> Queue<C> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                bytes: 0,
                dropped: 0,
                is_thread_waiting: false,
                is_closed: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            bytes_max,
        }
    }

    /// Queues a line, or drops it where it may be dropped and there is no room.
    pub(super) fn push_line(&self, line: Line) {
        let size = line.text.len() + LINE_OVERHEAD_BYTES;
        let mut state = self.state.lock();
        // An empty queue takes any line, whatever its size.
        while state.bytes > 0 && state.bytes + size > self.bytes_max && !state.is_closed {
            if line.level.is_droppable() {
                state.dropped += 1;
                return;
            }
            self.emptied.wait(&mut state);
        }
        if state.is_closed {
            return;
        }
        state.bytes += size;
        state.items.push_back(Item::Line(line));
        self.wake(state);
    }

    /// Queues a command behind all lines that were queued before. False: the thread has ended.
    pub(super) fn push_command(&self, command: C) -> bool {
        let mut state = self.state.lock();
        if state.is_closed {
            return false;
        }
        state.items.push_back(Item::Command(command));
        self.wake(state);
        true
    }

    fn wake(&self, state: parking_lot::MutexGuard<'_, State<C>>) {
        let is_thread_waiting = state.is_thread_waiting;
        drop(state);
        if is_thread_waiting {
            self.filled.notify_one();
        }
    }

    /// Takes everything, waiting for something to be there. Gives the count of lines dropped since.
    pub(super) fn take(&self, into: &mut VecDeque<Item<C>>) -> u64 {
        let mut state = self.state.lock();
        while state.items.is_empty() && !state.is_closed {
            state.is_thread_waiting = true;
            self.filled.wait(&mut state);
        }
        state.is_thread_waiting = false;
        self.take_locked(&mut state, into)
    }

    /// Takes what is there without waiting.
    pub(super) fn take_now(&self, into: &mut VecDeque<Item<C>>) -> u64 {
        self.take_locked(&mut self.state.lock(), into)
    }

    fn take_locked(&self, state: &mut State<C>, into: &mut VecDeque<Item<C>>) -> u64 {
        std::mem::swap(&mut state.items, into);
        state.bytes = 0;
        self.emptied.notify_all();
        std::mem::take(&mut state.dropped)
    }

    /// Lines from now on go nowhere, and nobody waits any longer.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_all();
        self.emptied.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, text: &str) -> Line {
        Line { at: Timestamp::default(), level, text: text.to_owned() }
    }

    fn texts(queue: &Queue<()>) -> Vec<String> {
        let mut items = VecDeque::new();
        queue.take_now(&mut items);
        items
            .into_iter()
            .filter_map(|item| match item {
                Item::Line(line) => Some(line.text),
                Item::Command(()) => None,
            })
            .collect()
    }

    #[test]
    fn a_full_queue_drops_and_counts_talk_only() {
        let queue = Queue::<()>::new(2 * (LINE_OVERHEAD_BYTES + 1));
        queue.push_line(line(Level::Error, "1"));
        queue.push_line(line(Level::Trace, "2"));
        queue.push_line(line(Level::Trace, "3"));
        queue.push_line(line(Level::Debug, "4"));
        let mut items = VecDeque::new();
        assert_eq!(queue.take_now(&mut items), 2);
        assert_eq!(items.len(), 2);
        queue.push_line(line(Level::Debug, "5"));
        assert_eq!(texts(&queue), ["5"]);
    }

    #[test]
    fn grave_lines_wait_for_room_and_none_is_lost() {
        let queue = Queue::<()>::new(3 * (LINE_OVERHEAD_BYTES + 2));
        let mut got = Vec::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let queue = &queue;
                scope.spawn(move || {
                    for number in 0..100 {
                        queue.push_line(line(Level::Error, &format!("{thread}{number}")));
                    }
                });
            }
            let mut items = VecDeque::new();
            while got.len() < 400 {
                queue.take(&mut items);
                got.extend(items.drain(..));
            }
        });
        assert_eq!(got.len(), 400);
    }

    #[test]
    fn an_empty_queue_takes_a_line_larger_than_its_limit() {
        let queue = Queue::<()>::new(10);
        queue.push_line(line(Level::Trace, "longer than ten bytes"));
        assert_eq!(texts(&queue).len(), 1);
    }

    #[test]
    fn a_closed_queue_swallows_lines_and_refuses_commands() {
        let queue = Queue::<()>::new(10);
        queue.close();
        queue.push_line(line(Level::Fatal, "x"));
        assert!(!queue.push_command(()));
        assert_eq!(texts(&queue).len(), 0);
    }
}
