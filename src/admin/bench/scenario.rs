//! Scenarios by name, with their figures. `plan` spells the publish/subscribe ones out.

use std::ops::RangeInclusive;

/// Bytes of one payload at most: what a server can be configured to take.
const SIZE_MAX: usize = 64 << 20;

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Publishers flood, subscribers count.
    PubSub(Shape),
    /// Round trips, one after the other on each requester; `flood` adds a fan-out beside them.
    Request {
        /// Whether a fan-out of messages runs at the same time.
        flood: bool,
    },
    /// Idle connections with one subscription each.
    Connections,
    /// Connect, log in, PING, close, again and again.
    Storm,
    /// Very many log in at the same time, beside one connection that measures round trips.
    AuthStorm,
    /// The same bytes in the same portions each time, for counting instructions.
    Fixed,
}

/// Who listens in a publish/subscribe scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Subscribers (none: nobody listens) on the literal subjects.
    Plain,
    /// Subscribers on partial and full wildcards, all of which match.
    Wildcard,
    /// Subscribers share one queue group.
    Queue,
    /// Every subject has one subscription, on one of the subscribers' connections.
    Distinct,
    /// Literals, partial and full wildcards, sids of all lengths, one queue group.
    Mixed,
}

/// A scenario and its figures, each of which can be changed on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a few words.
    pub about: &'static str,
    /// How it is run.
    pub kind: Kind,
    /// Publishing (or requesting, or storming) connections.
    pub publishers: usize,
    /// Subscribing (or responding) connections.
    pub subscribers: usize,
    /// Distinct subjects.
    pub subjects: usize,
    /// Idle connections, or connects of a storm.
    pub connections: usize,
    /// Payload bytes, least and most.
    pub size: RangeInclusive<usize>,
    /// Messages (or requests) by all publishers together.
    pub messages: u64,
}

const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    kind: Kind::PubSub(Shape::Plain),
    publishers: 1,
    subscribers: 1,
    subjects: 1,
    connections: 0,
    size: 128..=128,
    messages: 4_000_000,
};

/// One publisher, one subscriber, one subject, 128 bytes: what the others are variations of.
pub const fn base() -> Scenario {
    PLAIN
}

impl Scenario {
    /// Whether nobody is meant to listen.
    pub fn is_unheard(&self) -> bool {
        self.name == "publish"
    }
}

/// Every scenario, in the order in which a report shows them.
pub static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "publish",
        about: "publish, nobody listens",
        subscribers: 0,
        messages: 5_000_000,
        ..PLAIN
    },
    Scenario { name: "one-to-one", about: "1 publisher, 1 subscriber", ..PLAIN },
    Scenario {
        name: "fan-out-20",
        about: "1 publisher, 20 subscribers",
        subscribers: 20,
        messages: 500_000,
        ..PLAIN
    },
    Scenario {
        name: "fan-out-200",
        about: "1 publisher, 200 subscribers",
        subscribers: 200,
        messages: 50_000,
        ..PLAIN
    },
    Scenario {
        name: "wildcard",
        about: "1 publisher, 4 wildcard subscribers, 100 subjects",
        kind: Kind::PubSub(Shape::Wildcard),
        subscribers: 4,
        subjects: 100,
        messages: 1_000_000,
        ..PLAIN
    },
    Scenario {
        name: "four-to-four",
        about: "4 publishers, 4 subscribers",
        publishers: 4,
        subscribers: 4,
        messages: 1_000_000,
        ..PLAIN
    },
    Scenario {
        name: "queue-2-4",
        about: "2 publishers, a queue group of 4",
        kind: Kind::PubSub(Shape::Queue),
        publishers: 2,
        subscribers: 4,
        ..PLAIN
    },
    Scenario {
        name: "queue-4-4",
        about: "4 publishers, a queue group of 4",
        kind: Kind::PubSub(Shape::Queue),
        publishers: 4,
        subscribers: 4,
        ..PLAIN
    },
    Scenario {
        name: "mixed",
        about: "1 publisher, 500 subjects in random order, literals, wildcards, a queue group",
        kind: Kind::PubSub(Shape::Mixed),
        subscribers: 10,
        subjects: 500,
        size: 16..=1024,
        messages: 500_000,
        ..PLAIN
    },
    Scenario {
        name: "mixed-4",
        about: "4 publishers, 5,000 subjects in random order, literals, wildcards, a queue group",
        kind: Kind::PubSub(Shape::Mixed),
        publishers: 4,
        subscribers: 10,
        subjects: 5_000,
        size: 16..=1024,
        messages: 500_000,
        ..PLAIN
    },
    Scenario {
        name: "request",
        about: "1 requester, 1 responder",
        kind: Kind::Request { flood: false },
        messages: 40_000,
        ..PLAIN
    },
    Scenario {
        name: "request-20",
        about: "20 requesters, 4 responders in a queue group",
        kind: Kind::Request { flood: false },
        publishers: 20,
        subscribers: 4,
        messages: 200_000,
        ..PLAIN
    },
    Scenario {
        name: "request-flood",
        about: "1 requester, 1 responder, beside a fan-out 1:20",
        kind: Kind::Request { flood: true },
        messages: 10_000,
        ..PLAIN
    },
    Scenario {
        name: "subjects-200k",
        about: "200,000 distinct subscriptions on 10 connections, random publish",
        kind: Kind::PubSub(Shape::Distinct),
        subscribers: 10,
        subjects: 200_000,
        size: 16..=16,
        ..PLAIN
    },
    Scenario {
        name: "subjects-1m",
        about: "1,000,000 distinct subscriptions on 10 connections, random publish",
        kind: Kind::PubSub(Shape::Distinct),
        subscribers: 10,
        subjects: 1_000_000,
        size: 16..=16,
        ..PLAIN
    },
    Scenario {
        name: "connections",
        about: "5,000 idle connections with one subscription each",
        kind: Kind::Connections,
        connections: 5_000,
        size: 16..=16,
        messages: 0,
        ..PLAIN
    },
    Scenario {
        name: "storm",
        about: "5,000 connects, 8 at a time: log in, PING, close",
        kind: Kind::Storm,
        publishers: 8,
        connections: 5_000,
        messages: 0,
        ..PLAIN
    },
    Scenario {
        name: "auth-storm",
        about: "1,000 connections log in at once, beside one that measures its round trips",
        kind: Kind::AuthStorm,
        publishers: 1_000,
        connections: 1_000,
        messages: 0,
        ..PLAIN
    },
    Scenario {
        name: "fixed",
        about: "the same 100,000 messages each time, for counting instructions",
        kind: Kind::Fixed,
        messages: 100_000,
        ..PLAIN
    },
];

/// Names that stand for several scenarios.
pub static GROUPS: &[(&str, &[&str])] = &[
    ("quick", &["publish", "one-to-one", "fan-out-20", "mixed", "request"]),
    (
        "core",
        &[
            "publish",
            "one-to-one",
            "fan-out-20",
            "fan-out-200",
            "wildcard",
            "four-to-four",
            "queue-2-4",
            "queue-4-4",
            "mixed",
            "mixed-4",
            "request",
            "request-20",
            "request-flood",
        ],
    ),
    ("memory", &["subjects-200k", "subjects-1m", "connections", "storm"]),
];

/// The scenarios that `name` stands for, with another payload size where one follows an `@`
/// (`one-to-one@4k`); none if the name is unknown or the size none.
pub fn by_name(name: &str) -> Vec<Scenario> {
    let Some((name, size)) = name.split_once('@') else { return by_plain_name(name) };
    let Ok(size) = parse_sizes(size) else { return Vec::new() };
    let mut scenarios = by_plain_name(name);
    scenarios.iter_mut().for_each(|scenario| scenario.size = size.clone());
    scenarios
}

/// Reads `128`, `4k`, `1m`, or two of them with a dash between.
pub fn parse_sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let one = |text: &str| {
        let (digits, factor) = match text.char_indices().last() {
            Some((end, 'k' | 'K')) => (text.get(..end).unwrap_or_default(), 1 << 10),
            Some((end, 'm' | 'M')) => (text.get(..end).unwrap_or_default(), 1 << 20),
            _ => (text, 1),
        };
        let size = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
        size.filter(|size| *size <= SIZE_MAX)
    };
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (one(least), one(most)) {
        (Some(least), Some(most)) if least <= most => Ok(least..=most),
        _ => Err("expected bytes as in 128, 4k or 16-1024, at most 64m".to_owned()),
    }
}

fn by_plain_name(name: &str) -> Vec<Scenario> {
    if name == "all" {
        return SCENARIOS.iter().filter(|scenario| scenario.kind != Kind::Fixed).cloned().collect();
    }
    let names: &[&str] = match GROUPS.iter().find(|(group, _)| *group == name) {
        Some((_, names)) => names,
        None => &[name],
    };
    names.iter().filter_map(|name| SCENARIOS.iter().find(|one| one.name == *name)).cloned().collect()
}
