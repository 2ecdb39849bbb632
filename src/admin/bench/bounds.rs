//! What a run may ask for at most: more would exhaust this machine before it loads a server.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::runner::Settings;
use super::scenario::{Kind, Scenario, Shape};

/// Publishing, requesting or storming connections: each is a thread.
pub const PUBLISHERS_MAX: usize = 10_000;
/// Subscribing connections.
pub const SUBSCRIBERS_MAX: usize = 100_000;
/// Distinct subjects.
pub const SUBJECTS: RangeInclusive<usize> = 1..=10_000_000;
/// Idle connections, or connects of a storm.
pub const CONNECTIONS: RangeInclusive<usize> = 1..=10_000_000;
/// Messages of all publishers together.
pub const MESSAGES: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Messages a second of all publishers together.
pub const RATE: RangeInclusive<u64> = 1..=1_000_000_000;
/// Bytes that a publisher writes at once.
pub const BLOCK: RangeInclusive<usize> = 1..=64 << 20;
/// Bytes on their way to all subscribers.
pub const WINDOW: RangeInclusive<u64> = 1..=1 << 40;
/// Receiving threads.
pub const RECEIVERS: RangeInclusive<usize> = 1..=256;
/// Runs of each scenario.
pub const REPEAT: RangeInclusive<usize> = 1..=10_000;
/// How long a run, or a wait, may take.
pub const TIME_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Subscriptions of all connections together.
const SUBSCRIPTIONS_MAX: usize = 20_000_000;
/// Payload bytes that all connections together hold ready.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Says in a sentence why `scenario` cannot be run so, if it cannot.
pub fn check(scenario: &Scenario, settings: &Settings) -> Result<(), String> {
    let Scenario { publishers, subscribers, .. } = *scenario;
    let listens = matches!(scenario.kind, Kind::PubSub(_) | Kind::Request { .. });
    if publishers == 0 {
        return Err("--publishers 0: nobody would send anything".to_owned());
    }
    if subscribers == 0 && listens && !scenario.is_unheard() {
        return Err(
            "--subscribers 0: nobody would receive anything; `publish` is the scenario for that".to_owned()
        );
    }
    within("--publishers", publishers, PUBLISHERS_MAX)?;
    within("--subscribers", subscribers, SUBSCRIBERS_MAX)?;
    let subscriptions = match scenario.kind {
        Kind::PubSub(Shape::Plain | Shape::Queue) => subscribers.saturating_mul(scenario.subjects),
        Kind::PubSub(_) => scenario.subjects,
        _ => 0,
    };
    within("--subscribers times --subjects: subscriptions", subscriptions, SUBSCRIPTIONS_MAX)?;
    let size = *scenario.size.end();
    let bytes = match scenario.kind {
        Kind::Request { .. } => (publishers + subscribers).saturating_mul(size),
        Kind::PubSub(_) => publishers.saturating_mul(size.max(settings.block_bytes)),
        _ => 0,
    };
    within("connections times --size or --block: bytes", bytes, PAYLOAD_BYTES_MAX)?;
    Ok(())
}

fn within(what: &str, number: usize, most: usize) -> Result<(), String> {
    if number <= most {
        return Ok(());
    }
    Err(format!("{what}: {number} is more than the {most} that natsx bench can do"))
}

/// Says in a sentence why a scenario of this kind does not take `option` (`messages`, `duration` or `rate`),
/// if it does not.
pub fn refusal(kind: Kind, option: &str) -> Option<String> {
    let why = match (kind, option) {
        (Kind::Connections, _) => "it opens --connections connections and leaves them alone",
        (Kind::Storm | Kind::AuthStorm, "messages") => "--connections says how often it connects",
        (Kind::Fixed, "duration" | "rate") => "it plays a script, step by step",
        _ => return None,
    };
    Some(format!("--{option} does not go with it: {why}"))
}
