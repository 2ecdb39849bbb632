//! A publish/subscribe scenario spelled out: who subscribes to what, which messages go out in which
//! order, and who must receive how many of them.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::load::Amount;
use super::scenario::{Kind, Scenario, Shape};

/// Bytes of prepared messages that one publisher may hold in memory.
const PREPARED_BYTES_MAX: usize = 256 << 20;
/// Messages prepared in random order: enough that no cache of a server sees a pattern, few enough
/// that sending them does not cost the generator its own caches.
const PREPARED_MESSAGES_MAX: u64 = 1 << 16;
/// The same where every subject has its own subscription and most of them are to be met.
const PREPARED_MESSAGES_DISTINCT_MAX: u64 = 1 << 20;

/// Chance from a seed (splitmix64): the same run each time.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Chance that begins at `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, or zero where `limit` is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        usize::try_from((u128::from(word) * limit as u128) >> 64).unwrap_or(0)
    }

    /// A size within `range`, small ones as likely per doubling as large ones.
    fn size(&mut self, range: &RangeInclusive<usize>) -> usize {
        let (least, most) = (*range.start(), *range.end());
        if least >= most {
            return least;
        }
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        let base = least.max(1) as f64;
        let size = base * ((most as f64 + 1.0) / base).powf(share);
        (size as usize).clamp(least, most)
    }
}

/// A publish/subscribe scenario spelled out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What each publishing connection sends.
    pub publications: Vec<Arc<Publication>>,
    /// What each subscribing connection sends at first, and where its messages are tallied.
    pub subscribers: Vec<Subscriber>,
    /// For every lane (a class of messages) the tallies that receive one message each.
    pub lanes: Vec<Vec<usize>>,
    /// How many tallies there are.
    pub tallies: usize,
    /// Subscriptions in all.
    pub subscriptions: u64,
}

/// One subscribing connection.
#[derive(Debug, Clone, Default)]
pub struct Subscriber {
    /// Its SUB lines.
    pub lines: Vec<u8>,
    /// Its tally: members of a queue group share one.
    pub tally: usize,
}

impl Subscriber {
    /// UNSUB lines for its memberships of queue groups. They must be gone before the next
    /// scenario begins: a server may still choose a member whose connection is just closing.
    pub fn farewell(&self) -> Vec<u8> {
        let lines = self.lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let memberships = lines.filter(|line| line.iter().filter(|byte| **byte == b' ').count() == 3);
        let sids = memberships.filter_map(|line| line.rsplit(|byte| *byte == b' ').next());
        sids.flat_map(|sid| [b"UNSUB ", sid, b"\r\n"].concat()).collect()
    }
}

/// So many messages with so many bytes of payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Messages.
    pub messages: u64,
    /// Their payloads' bytes.
    pub payload_bytes: u64,
}

impl Total {
    /// Adds another.
    pub const fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.payload_bytes += other.payload_bytes;
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} messages with {} payload bytes", self.messages, self.payload_bytes)
    }
}

/// Messages ready to be sent, over and over.
#[derive(Debug, Clone, Default)]
pub struct Publication {
    data: Vec<u8>,
    /// Where each message ends in `data`.
    ends: Vec<u32>,
    /// How large each payload is.
    sizes: Vec<u32>,
    /// Each message's lane; empty where all are in lane 0.
    lanes: Vec<u32>,
}

/// More than a publication can number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is more than a plan can count: fewer subscribers or smaller payloads")]
pub struct TooLarge(usize);

fn number(number: usize) -> Result<u32, TooLarge> {
    u32::try_from(number).map_err(|_| TooLarge(number))
}

/// A portion of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion<'a> {
    /// Whole PUB commands.
    pub bytes: &'a [u8],
    /// How many.
    pub messages: usize,
}

impl Publication {
    /// Messages in one cycle.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// At least one message and at most `messages_max`, from number `from` on, in at most
    /// `bytes_max` bytes (one message may be larger), not past the cycle's end.
    pub fn portion(&self, from: usize, messages_max: usize, bytes_max: usize) -> Portion<'_> {
        let begin = self.offset(from);
        let fits = self
            .ends
            .get(from..)
            .unwrap_or_default()
            .partition_point(|end| *end as usize - begin <= bytes_max);
        let messages = fits.max(1).min(messages_max).min(self.len().saturating_sub(from));
        let bytes = self.data.get(begin..self.offset(from + messages)).unwrap_or_default();
        Portion { bytes, messages }
    }

    /// What the first `sent` messages, cycles included, come to in each of `lanes` lanes.
    pub fn totals_by_lane(&self, sent: u64, lanes: usize) -> Vec<Total> {
        let mut totals = vec![Total::default(); lanes];
        let length = self.len() as u64;
        let (cycles, rest) = (sent.checked_div(length).unwrap_or(0), sent.checked_rem(length).unwrap_or(0));
        for (index, size) in self.sizes.iter().enumerate() {
            let times = cycles + u64::from((index as u64) < rest);
            if let Some(total) = totals.get_mut(self.lane(index)) {
                total.add(Total { messages: times, payload_bytes: times * u64::from(*size) });
            }
        }
        totals
    }

    /// The lane of message number `index` of a cycle.
    pub fn lane(&self, index: usize) -> usize {
        self.lanes.get(index).map_or(0, |lane| *lane as usize)
    }

    fn offset(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| *end as usize)
    }

    /// `lane` where not all are in lane 0.
    fn push(&mut self, subject: &str, payload: &[u8], lane: Option<usize>) -> Result<(), TooLarge> {
        self.data.extend_from_slice(b"PUB ");
        self.data.extend_from_slice(subject.as_bytes());
        self.data.extend_from_slice(format!(" {}\r\n", payload.len()).as_bytes());
        self.data.extend_from_slice(payload);
        self.data.extend_from_slice(b"\r\n");
        self.ends.push(number(self.data.len())?);
        self.sizes.push(number(payload.len())?);
        self.lanes.extend(lane.map(number).transpose()?);
        Ok(())
    }
}

/// A payload of printable bytes.
pub fn payload(size: usize) -> Vec<u8> {
    (b'!'..=b'~').cycle().take(size).collect()
}

/// Spells a publish/subscribe scenario out, for so much of it. `block_bytes` is how much a publisher
/// writes at once.
pub fn plan(scenario: &Scenario, shape: Shape, amount: Amount, block_bytes: usize) -> Result<Plan, TooLarge> {
    let mut plan = match shape {
        Shape::Plain => plain(scenario),
        Shape::Wildcard => wildcard(scenario),
        Shape::Queue => queue(scenario),
        Shape::Distinct => distinct(scenario),
        Shape::Mixed => mixed(scenario),
    };
    let lane_of = |subject: usize| match shape {
        Shape::Distinct => subject % scenario.subscribers.max(1),
        Shape::Mixed => subject % MIXED_LITERAL.min(scenario.subscribers.max(1)),
        _ => 0,
    };
    plan.publications = (0..scenario.publishers)
        .map(|publisher| publication(scenario, publisher, amount, block_bytes, lane_of).map(Arc::new))
        .collect::<Result<_, _>>()?;
    Ok(plan)
}

/// Connections of the mixed scenario that hold literal subscriptions.
const MIXED_LITERAL: usize = 4;

fn publication(
    scenario: &Scenario,
    publisher: usize,
    amount: Amount,
    block_bytes: usize,
    lane_of: impl Fn(usize) -> usize,
) -> Result<Publication, TooLarge> {
    let mut chance = Chance::new(publisher as u64 + 1);
    let payload = payload(*scenario.size.end());
    let mut publication = Publication::default();
    let uniform = scenario.subjects == 1 && scenario.size.start() == scenario.size.end();
    let distinct = scenario.kind == Kind::PubSub(Shape::Distinct);
    let most = if distinct { PREPARED_MESSAGES_DISTINCT_MAX } else { PREPARED_MESSAGES_MAX };
    let wanted = match amount {
        Amount::Messages(all) => (all / scenario.publishers.max(1) as u64).clamp(1, most),
        Amount::Time(_) => most,
    };
    let bytes_max = if uniform { block_bytes } else { PREPARED_BYTES_MAX / scenario.publishers.max(1) };
    let mut name = String::new();
    for _ in 0..wanted {
        let subject = chance.below(scenario.subjects);
        name.clear();
        subject_name(&mut name, subject);
        let size = chance.size(&scenario.size);
        let line = "PUB   \r\n\r\n".len() + name.len() + 7;
        if !publication.is_empty() && publication.data.len() + line + size > bytes_max {
            break;
        }
        let lane = (scenario.subjects > 1).then(|| lane_of(subject));
        publication.push(&name, payload.get(..size).unwrap_or_default(), lane)?;
    }
    Ok(publication)
}

/// `bench.<region>.<kind>.<number>`: four tokens, as a fleet of devices would have them.
fn subject_name(into: &mut String, index: usize) {
    let _ = write!(into, "bench.r{}.k{}.{index}", index % 10, index / 10 % 10);
}

fn subject(index: usize) -> String {
    let mut name = String::new();
    subject_name(&mut name, index);
    name
}

fn sub(pattern: &str, queue: Option<&str>, sid: u64) -> String {
    match queue {
        Some(queue) => format!("SUB {pattern} {queue} {sid}\r\n"),
        None => format!("SUB {pattern} {sid}\r\n"),
    }
}

fn shared_by_all(subscribers: Vec<Subscriber>, tallies: usize, subscriptions: usize) -> Plan {
    Plan {
        publications: Vec::new(),
        subscribers,
        lanes: vec![(0..tallies).collect()],
        tallies,
        subscriptions: subscriptions as u64,
    }
}

fn plain(scenario: &Scenario) -> Plan {
    let lines: String =
        (0..scenario.subjects).map(|index| sub(&subject(index), None, index as u64 + 1)).collect();
    let subscribers: Vec<_> = (0..scenario.subscribers)
        .map(|tally| Subscriber { lines: lines.clone().into_bytes(), tally })
        .collect();
    shared_by_all(subscribers, scenario.subscribers, scenario.subscribers * scenario.subjects)
}

fn wildcard(scenario: &Scenario) -> Plan {
    let patterns = ["bench.>", "bench.*.*.*", "*.*.*.>", ">"];
    let subscribers = patterns.iter().cycle().take(scenario.subscribers).enumerate();
    let subscribers: Vec<_> = subscribers
        .map(|(tally, pattern)| Subscriber {
            lines: sub(pattern, None, tally as u64 + 1).into_bytes(),
            tally,
        })
        .collect();
    shared_by_all(subscribers, scenario.subscribers, scenario.subscribers)
}

fn queue(scenario: &Scenario) -> Plan {
    let lines: String =
        (0..scenario.subjects).map(|index| sub(&subject(index), Some("workers"), index as u64 + 1)).collect();
    let subscribers = (0..scenario.subscribers)
        .map(|_| Subscriber { lines: lines.clone().into_bytes(), tally: 0 })
        .collect();
    let tallies = scenario.subscribers.min(1);
    shared_by_all(subscribers, tallies, scenario.subscribers * scenario.subjects)
}

fn distinct(scenario: &Scenario) -> Plan {
    let mut subscribers: Vec<_> =
        (0..scenario.subscribers).map(|tally| Subscriber { lines: Vec::new(), tally }).collect();
    let connections = scenario.subscribers.max(1);
    for (tally, subscriber) in subscribers.iter_mut().enumerate() {
        let mut lines = String::new();
        for (sid, index) in (tally..scenario.subjects).step_by(connections).enumerate() {
            lines.push_str("SUB ");
            subject_name(&mut lines, index);
            let _ = write!(lines, " {}\r\n", sid + 1);
        }
        subscriber.lines = lines.into_bytes();
    }
    Plan {
        publications: Vec::new(),
        subscribers,
        lanes: (0..scenario.subscribers).map(|tally| vec![tally]).collect(),
        tallies: scenario.subscribers,
        subscriptions: scenario.subjects as u64,
    }
}

/// What connection number `connection` of the mixed scenario holds, in a circle of ten:
/// 0-3 literals, 4 one region each, 5 one kind each, 6 everything, 7-9 the queue group.
fn mixed(scenario: &Scenario) -> Plan {
    let literal = MIXED_LITERAL.min(scenario.subscribers);
    let mut subscribers = Vec::new();
    let mut common = Vec::new();
    let mut queue_tally = None;
    let mut tallies = literal;
    let mut subscriptions = 0;
    let mut sid = Sids::default();
    for connection in 0..scenario.subscribers {
        let mut lines = String::new();
        let mut add = |pattern: &str, queue: Option<&str>| {
            lines.push_str(&sub(pattern, queue, sid.next()));
            subscriptions += 1;
        };
        let mut own = || {
            tallies += 1;
            common.push(tallies - 1);
            tallies - 1
        };
        let tally = match connection {
            _ if connection < literal => {
                (connection..scenario.subjects).step_by(literal).for_each(|index| add(&subject(index), None));
                connection
            }
            _ => match connection % 10 {
                7..=9 => {
                    add("bench.>", Some("workers"));
                    *queue_tally.get_or_insert_with(own)
                }
                remainder => {
                    match remainder % 3 {
                        1 => (0..10).for_each(|region| add(&format!("bench.r{region}.*.*"), None)),
                        2 => (0..10).for_each(|kind| add(&format!("bench.*.k{kind}.>"), None)),
                        _ => add("bench.>", None),
                    }
                    own()
                }
            },
        };
        subscribers.push(Subscriber { lines: lines.into_bytes(), tally });
    }
    let lanes =
        (0..literal).map(|tally| [tally].into_iter().chain(common.iter().copied()).collect()).collect();
    Plan { publications: Vec::new(), subscribers, lanes, tallies, subscriptions }
}

/// Subscription ids of one to nine digits, all distinct.
#[derive(Debug, Default)]
struct Sids {
    given: u64,
}

impl Sids {
    fn next(&mut self) -> u64 {
        self.given += 1;
        let digits = u32::try_from(self.given % 9).unwrap_or(0);
        // The counter keeps them distinct, the power of ten above it gives the length.
        if self.given < 10_u64.pow(digits) { 10_u64.pow(digits) + self.given } else { self.given }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::bench::scenario::by_name;
    use std::collections::HashSet;

    fn plan_of(name: &str) -> Plan {
        let scenario = by_name(name).remove(0);
        let Kind::PubSub(shape) = scenario.kind else { panic!("{name}") };
        plan(&scenario, shape, Amount::Messages(scenario.messages), 64 * 1024).unwrap()
    }

    #[test]
    fn portions_cover_a_cycle_without_cutting_a_message() {
        let plan = plan_of("mixed");
        let publication = &plan.publications[0];
        let (mut from, mut bytes) = (0, Vec::new());
        while from < publication.len() {
            let portion = publication.portion(from, usize::MAX, 4096);
            assert!(portion.bytes.starts_with(b"PUB bench.") && portion.bytes.ends_with(b"\r\n"));
            assert!(portion.bytes.len() <= 4096);
            bytes.extend_from_slice(portion.bytes);
            from += portion.messages;
        }
        assert_eq!(bytes, publication.data);
    }

    #[test]
    fn a_portion_is_at_least_one_message_and_never_more_than_asked_for() {
        let plan = plan_of("one-to-one@4k");
        let publication = &plan.publications[0];
        assert_eq!(publication.portion(0, 5, 1).messages, 1);
        assert_eq!(publication.portion(0, 2, 1 << 20).messages, 2);
    }

    #[test]
    fn totals_count_whole_cycles_and_the_rest() {
        let plan = plan_of("mixed");
        let publication = &plan.publications[0];
        let length = publication.len() as u64;
        let sum = |sent| {
            let totals = publication.totals_by_lane(sent, plan.lanes.len());
            totals.into_iter().fold(0, |sum, total| sum + total.messages)
        };
        assert_eq!([sum(0), sum(1), sum(length * 3 + 7)], [0, 1, length * 3 + 7]);
    }

    #[test]
    fn mixed_traffic_has_every_kind_of_subscription_and_sids_of_one_to_nine_digits() {
        let plan = plan_of("mixed");
        let lines = plan.subscribers.iter().flat_map(|subscriber| subscriber.lines.clone()).collect();
        let lines = String::from_utf8(lines).unwrap();
        for want in [
            "SUB bench.> workers ",
            "SUB bench.> ",
            "SUB bench.r3.*.* ",
            "SUB bench.*.k7.> ",
            "SUB bench.r1.k0.1 ",
        ] {
            assert!(lines.contains(want), "{want}");
        }
        let sids: Vec<_> = lines.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(sids.iter().collect::<HashSet<_>>().len(), sids.len());
        assert_eq!(sids.iter().map(|sid| sid.len()).collect::<HashSet<_>>(), (1..=9).collect());
    }

    #[test]
    fn a_farewell_ends_the_memberships_of_queue_groups_only() {
        let lines = b"SUB a 1\r\nSUB b g 22\r\nSUB c g 333\r\n".to_vec();
        let farewell = Subscriber { lines, tally: 0 }.farewell();
        assert_eq!(farewell, b"UNSUB 22\r\nUNSUB 333\r\n");
    }

    #[test]
    fn mixed_sizes_stay_in_their_range_and_reach_both_ends() {
        let mut chance = Chance::new(7);
        let sizes: HashSet<_> = (0..20_000).map(|_| chance.size(&(16..=1024))).collect();
        assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&16), Some(&1024)));
    }

    #[test]
    fn each_distinct_subject_has_exactly_one_subscription() {
        let mut scenario = by_name("subjects-200k").remove(0);
        scenario.subjects = 1_003;
        let plan = plan(&scenario, Shape::Distinct, Amount::Messages(100), 1024).unwrap();
        let mut subjects = HashSet::new();
        for subscriber in &plan.subscribers {
            for line in String::from_utf8(subscriber.lines.clone()).unwrap().lines() {
                assert!(subjects.insert(line.split(' ').nth(1).unwrap().to_owned()), "{line}");
            }
        }
        assert_eq!(subjects.len(), 1_003);
    }

    #[test]
    fn subscribers_beyond_sixty_five_thousand_have_lanes_of_their_own() {
        let mut scenario = by_name("subjects-200k").remove(0);
        (scenario.subscribers, scenario.subjects) = (70_000, 70_000);
        let plan = plan(&scenario, Shape::Distinct, Amount::Messages(300_000), 1024).unwrap();
        let publication = &plan.publications[0];
        assert!((0..publication.len()).any(|index| publication.lane(index) > usize::from(u16::MAX)));
        assert_eq!(number(usize::MAX), Err(TooLarge(usize::MAX)));
    }

    #[test]
    fn as_many_messages_are_prepared_as_a_run_may_need() {
        let scenario = by_name("mixed").remove(0);
        let prepared = |amount| plan(&scenario, Shape::Mixed, amount, 1024).unwrap().publications[0].len();
        assert_eq!(prepared(Amount::Messages(10)), 10);
        assert!(prepared(Amount::Time(std::time::Duration::from_secs(1))) > 60_000);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(plan_of("mixed-4").publications[3].data, plan_of("mixed-4").publications[3].data);
    }
}
