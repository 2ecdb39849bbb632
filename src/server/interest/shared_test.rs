//! One account's interest: notices of what begins and ends, and use from many threads.

use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::super::cache::MatchCache;
use super::super::change::{ChangeReceiver, Heard, change_queue};
use super::*;
use crate::server::outbound::Outbound;

fn sub(subject: &str, queue: Option<&str>) -> Subscription {
    let target = Arc::new(Outbound::detached(1));
    Subscription::new(target, subject.as_bytes(), queue.map(str::as_bytes), b"1")
}

/// What was told, as `subject queue members`.
fn told(receiver: &mut ChangeReceiver) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    std::iter::from_fn(|| receiver.try_recv())
        .map(|heard| match heard {
            Heard::Resync => "resync".to_owned(),
            Heard::Change(change) => {
                let queue = change.queue.as_deref().map_or_else(|| "-".to_owned(), text);
                format!("{} {queue} {}", text(&change.subject), change.members)
            }
        })
        .collect()
}

#[test]
fn watch_tells_the_present_state_then_only_when_exact_interest_turns() {
    let account = SharedInterest::new();
    let (sender, mut receiver) = change_queue(64);
    account.watch(b"foo", None, &sender).unwrap();
    assert_eq!(told(&mut receiver), ["foo - 0"]);
    let subs = [
        sub("foo", None),
        sub("foo", None),
        sub("*", None),
        sub(">", None),
        sub("foo", Some("q")),
        sub("fo", None),
    ];
    subs.iter().for_each(|sub| account.insert(sub.clone()).unwrap());
    assert_eq!(told(&mut receiver), ["foo - 1"]);
    account.remove(&subs[0]);
    assert!(told(&mut receiver).is_empty());
    account.remove_batch(&subs[1..]);
    assert_eq!(told(&mut receiver), ["foo - 0"]);
    account.insert(subs[0].clone()).unwrap();
    assert_eq!(told(&mut receiver), ["foo - 1"]);
}

#[test]
fn watch_of_a_queue_hears_of_that_queue_only() {
    let account = SharedInterest::new();
    let (sender, mut receiver) = change_queue(64);
    let present = sub("foo", Some("q"));
    account.insert(present.clone()).unwrap();
    account.watch(b"foo", Some(b"q"), &sender).unwrap();
    assert_eq!(told(&mut receiver), ["foo q 1"]);
    for (subject, queue) in [("foo", None), ("foo", Some("r")), ("foo", Some("q")), ("*", Some("q"))] {
        account.insert(sub(subject, queue)).unwrap();
    }
    account.remove(&present);
    assert!(told(&mut receiver).is_empty());
}

#[test]
fn watch_refuses_wildcards_and_doubles() {
    let account = SharedInterest::new();
    let (sender, mut receiver) = change_queue(64);
    for subject in ["foo.*", ">", "*.a", "a.>"] {
        assert_eq!(
            account.watch(subject.as_bytes(), None, &sender),
            Err(InterestError::InvalidSubject),
            "{subject}"
        );
    }
    account.watch(b"foo", None, &sender).unwrap();
    let twice = account.watch(b"foo", None, &sender).unwrap_err();
    assert_eq!(twice.to_string(), "sublist: notification already registered");
    assert!(account.unwatch(b"foo", None, &sender));
    assert!(!account.unwatch(b"foo", None, &sender));
    told(&mut receiver);
    account.insert(sub("foo", None)).unwrap();
    assert!(told(&mut receiver).is_empty());
}

#[test]
fn feed_tells_when_local_interest_begins_and_ends_and_every_size_of_a_group() {
    let account = SharedInterest::new();
    let (sender, mut receiver) = change_queue(64);
    let early = [sub("a.*", None), sub("b", Some("q"))];
    early.iter().for_each(|sub| account.insert(sub.clone()).unwrap());
    let mut known: Vec<_> = account.follow(&sender).into_iter().map(|change| change.subject).collect();
    known.sort();
    assert_eq!(known, [(*b"a.*").into(), Box::<[u8]>::from(*b"b")]);
    let subs = [sub("a.*", None), sub("b", Some("q")), sub("c", None)];
    subs.iter().for_each(|sub| account.insert(sub.clone()).unwrap());
    assert_eq!(told(&mut receiver), ["b q 2", "c - 1"]);
    account.remove_batch(&early);
    assert_eq!(told(&mut receiver), ["b q 1"]);
    account.remove_batch(&subs);
    assert_eq!(told(&mut receiver), ["a.* - 0", "b q 0", "c - 0"]);
    account.unfollow(&sender);
    account.insert(subs[0].clone()).unwrap();
    assert!(told(&mut receiver).is_empty());
}

#[test]
fn feed_does_not_tell_of_remote_interest() {
    let account = SharedInterest::new();
    let (sender, mut receiver) = change_queue(64);
    assert!(account.follow(&sender).is_empty());
    let remote = Subscription::remote(Arc::new(Outbound::detached(1)), b"a", None, b"", 1);
    let local = sub("a", None);
    account.insert(remote.clone()).unwrap();
    account.insert(local.clone()).unwrap();
    account.remove(&local);
    account.remove(&remote);
    assert_eq!(told(&mut receiver), ["a - 1", "a - 0"]);
}

#[test]
fn stamp_moves_only_for_subjects_that_a_change_concerns() {
    let account = SharedInterest::new();
    // Enough changes for stripes.
    for _ in 0..200 {
        let inbox = sub("inbox", None);
        account.insert(inbox.clone()).unwrap();
        account.remove(&inbox);
    }
    let stamps = || [account.stamp(b"a.b.c"), account.stamp(b"x")];
    let before = stamps();
    account.insert(sub("a.b.*", None)).unwrap();
    assert_ne!(stamps()[0], before[0]);
    assert_eq!(stamps()[1], before[1]);
}

/// Where a changer and the matchers meet: how often each matcher went round, and what is surely in.
struct Meeting {
    account: SharedInterest,
    /// By changer: the number of the round whose subscription is surely in, or 0.
    surely_in: [AtomicU64; 2],
    /// By matcher: rounds over all subjects.
    rounds: [AtomicU64; 2],
    /// What a match missed; noted, since a matcher that panics would keep the changers waiting.
    missed: Mutex<Vec<String>>,
    done: AtomicBool,
}

impl Meeting {
    /// Waits until every matcher began and ended a round.
    fn let_them_look(&self) {
        for round in &self.rounds {
            let until = round.load(Ordering::Acquire) + 2;
            while round.load(Ordering::Acquire) < until {
                std::thread::yield_now();
            }
        }
    }

    fn keep_matching(&self, matcher: &AtomicU64) {
        let mut cache = MatchCache::new();
        while !self.done.load(Ordering::Acquire) {
            for (number, flag) in self.surely_in.iter().enumerate() {
                let subject = format!("s.{number}.x");
                let before = flag.load(Ordering::Acquire);
                let found = cache.lookup(&self.account, subject.as_bytes()).plain.len();
                let past_cache = self.account.matches(subject.as_bytes()).plain.len();
                // In all the time: then both must have seen it.
                let was_in = before != 0 && before == flag.load(Ordering::Acquire);
                if was_in && (found, past_cache) != (1, 1) {
                    self.missed.lock().push(format!("{subject} {found} {past_cache}"));
                }
            }
            matcher.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn keep_changing(&self, number: usize, flag: &AtomicU64) {
        for (pattern, round) in ["s.N.x", "s.N.*", "s.N.>", "*.N.x"].into_iter().cycle().zip(1..200) {
            let coming = sub(&pattern.replace('N', &number.to_string()), None);
            self.account.insert(coming.clone()).unwrap();
            flag.store(round, Ordering::Release);
            if round % 4 == 0 {
                self.let_them_look();
            }
            flag.store(0, Ordering::Release);
            assert!(self.account.remove(&coming));
            // Elsewhere something comes and goes, mostly at the same moment.
            let other = sub(&format!("other.{number}.{round}"), None);
            self.account.insert(other.clone()).unwrap();
            assert_eq!(self.account.remove_batch(&[other]), 1);
            if round % 4 == 3 {
                self.let_them_look();
            }
        }
    }
}

#[test]
fn insertion_that_returned_is_seen_by_every_match_from_any_thread() {
    let meeting = Meeting {
        account: SharedInterest::new(),
        surely_in: Default::default(),
        rounds: Default::default(),
        missed: Mutex::default(),
        done: AtomicBool::new(false),
    };
    let meeting = &meeting;
    std::thread::scope(|scope| {
        meeting.rounds.iter().for_each(|matcher| drop(scope.spawn(|| meeting.keep_matching(matcher))));
        let changers = meeting.surely_in.iter().enumerate();
        let changers: Vec<_> =
            changers.map(|(number, flag)| scope.spawn(move || meeting.keep_changing(number, flag))).collect();
        changers.into_iter().for_each(|changer| changer.join().unwrap());
        meeting.done.store(true, Ordering::Release);
    });
    assert_eq!(*meeting.missed.lock(), Vec::<String>::new());
    let stats = meeting.account.stats();
    assert_eq!((stats.subscriptions, stats.inserts, stats.removes), (0, 2 * 2 * 199, 2 * 2 * 199));
}
