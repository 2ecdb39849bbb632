//! The same bytes in the same portions each time: a load for counting instructions.
//!
//! Each step writes a portion and waits until all of it has arrived and the server has answered a
//! PING, so that a server's reads and writes do not depend on how fast it is. For `callgrind` and
//! the like, under which a server runs fifty times slower.

use super::load::{Amount, Effort, Fleet, LoadError};
use super::plan;
use super::request::{self, Conversation};
use super::runner::Settings;
use super::scenario::{self, Scenario, Shape};

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

/// One part of the script: percent of all messages, messages a step, and what.
const PARTS: &[(u64, u64, Shape, usize, usize, usize)] = &[
    // percent, step, shape, subscribers, subjects, largest payload
    (40, 200, Shape::Plain, 0, 1, 128),
    (30, 100, Shape::Plain, 1, 1, 128),
    (5, 50, Shape::Plain, 20, 1, 128),
    (5, 50, Shape::Wildcard, 4, 100, 128),
    (5, 50, Shape::Queue, 4, 1, 128),
    (10, 50, Shape::Mixed, 10, 500, 1024),
];
/// Percent of all messages that are requests or their answers, one at a time.
const REQUEST_PERCENT: u64 = 5;

/// Plays `messages` messages.
pub fn play(settings: &Settings, messages: u64, progress: &mut dyn FnMut(f64)) -> Result<Played, LoadError> {
    let mut played = Played::default();
    for (percent, step, shape, subscribers, subjects, size) in PARTS.iter().copied() {
        let least = if shape == Shape::Mixed { 16 } else { size };
        let share = messages * percent / 100;
        let part =
            Scenario { subscribers, subjects, size: least..=size, messages: share, ..scenario::base() };
        let plan = plan::plan(&part, shape, settings.block_bytes);
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
        patience: settings.patience,
    };
    let answers = request::converse(&settings.target, &conversation, &mut |_| (), &mut |_| ())?;
    played.published += 2 * answers.latency.len();
    played.delivered += 2 * answers.latency.len();
    played.subscriptions += 2;
    Ok(played)
}
