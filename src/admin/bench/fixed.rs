//! The same bytes in the same portions each time: a load for counting instructions.
//!
//! Each step writes a portion and waits until all of it has arrived and the server has answered a
//! PING, so that a server's reads and writes do not depend on how fast it is. For `callgrind` and
//! the like, under which a server runs fifty times slower.

use std::ops::RangeInclusive;

use super::load::{Amount, Effort, Fleet, LoadError};
use super::plan;
use super::request::{self, Conversation};
use super::runner::Settings;
use super::scenario::{self, Scenario, Shape};
use super::shared::Failure;

/// What was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Messages published, requests and answers included.
    pub published: u64,
    /// Messages received.
    pub delivered: u64,
    /// Subscriptions made.
    pub subscriptions: u64,
}

/// One part of the script.
struct Part {
    /// Of all messages.
    percent: u64,
    /// Messages in one portion.
    step: u64,
    shape: Shape,
    subscribers: usize,
    subjects: usize,
    size: RangeInclusive<usize>,
}

/// A part about one subject and small messages, which the others are variations of.
const PLAIN: Part =
    Part { percent: 5, step: 50, shape: Shape::Plain, subscribers: 1, subjects: 1, size: 128..=128 };

const PARTS: [Part; 6] = [
    Part { percent: 40, step: 200, subscribers: 0, ..PLAIN },
    Part { percent: 30, step: 100, ..PLAIN },
    Part { subscribers: 20, ..PLAIN },
    Part { shape: Shape::Wildcard, subscribers: 4, subjects: 100, ..PLAIN },
    Part { shape: Shape::Queue, subscribers: 4, ..PLAIN },
    Part { percent: 10, shape: Shape::Mixed, subscribers: 10, subjects: 500, size: 16..=1024, ..PLAIN },
];
/// Percent of all messages that are requests or their answers, one at a time.
const REQUEST_PERCENT: u64 = 5;

/// Plays `messages` messages.
pub fn play(settings: &Settings, messages: u64, progress: &mut dyn FnMut(f64)) -> Result<Played, LoadError> {
    let mut played = Played::default();
    for Part { percent, step, shape, subscribers, subjects, size } in PARTS {
        let share = messages * percent / 100;
        let part = Scenario { subscribers, subjects, size, messages: share, ..scenario::base() };
        let plan = plan::plan(&part, shape, Amount::Messages(share), settings.block_bytes)?;
        let effort = Effort { rate: None, ..settings.effort(&part) };
        let mut fleet = Fleet::start(&settings.target, &plan, effort)?;
        let mut left = share;
        while left > 0 {
            let phase = fleet.phase(Amount::Messages(left.min(step)), &mut |_| ())?;
            left -= left.min(step);
            played.published += phase.published;
            played.delivered += phase.delivered;
            progress(played.published as f64 / messages as f64);
        }
        fleet.finish()?;
        played.subscriptions += plan.subscriptions;
    }
    let share = messages * REQUEST_PERCENT / 100 / 2;
    let conversation = Conversation {
        requesters: 1,
        responders: 1,
        size: 128,
        amount: Amount::Messages(share),
        warm_up: false,
        rate: None,
    };
    let failure = Failure::default();
    let answers = request::converse(&settings.target, &conversation, &failure, &mut |_| (), &mut |_| ())?;
    played.published += 2 * answers.latency.len();
    played.delivered += 2 * answers.latency.len();
    played.subscriptions += 2;
    Ok(played)
}
