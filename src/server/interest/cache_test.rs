//! The cache: same answers as without it, bounded, and it finds what rotates.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::subscription::Subscription;
use super::*;
use crate::server::outbound::Outbound;

fn sub(subject: &str, queue: Option<&str>) -> Subscription {
    let target = Arc::new(Outbound::detached(1));
    Subscription::new(target, subject.as_bytes(), queue.map(str::as_bytes), b"1")
}

fn account(subjects: &[&str]) -> Arc<SharedInterest> {
    let account = SharedInterest::new();
    subjects.iter().for_each(|subject| account.insert(sub(subject, None)).unwrap());
    Arc::new(account)
}

/// Looks up until the subject is in the cache.
fn warm(cache: &mut MatchCache, account: &SharedInterest, subject: &str) {
    let hits = account.stats().cache_hits;
    while account.stats().cache_hits == hits {
        cache.lookup(account, subject.as_bytes());
    }
}

#[test]
fn subject_seen_twice_is_found_from_then_on() {
    let (mut cache, account) = (MatchCache::new(), account(&["a", "*"]));
    (0..2).for_each(|_| {
        cache.lookup(&account, b"a");
    });
    let before = account.stats();
    let first = Arc::as_ptr(cache.lookup(&account, b"a"));
    assert_eq!(Arc::as_ptr(cache.lookup(&account, b"a")), first);
    let after = account.stats();
    assert_eq!((after.cache_hits - before.cache_hits, after.matches - before.matches), (2, 2));
    assert_eq!(cache.lookup(&account, b"a").plain.len(), 2);
}

#[test]
fn short_and_long_subjects_are_told_apart() {
    let (mut cache, account) = (MatchCache::new(), account(&[">"]));
    let subjects: Vec<_> = (1..100).map(|length| "s".repeat(length)).collect();
    for (count, subject) in subjects.iter().enumerate() {
        (0..count).for_each(|_| account.insert(sub(subject, None)).unwrap());
    }
    for _ in 0..4 {
        for (count, subject) in subjects.iter().enumerate() {
            assert_eq!(
                cache.lookup(&account, subject.as_bytes()).plain.len(),
                count + 1,
                "{}",
                subject.len()
            );
        }
    }
    assert!(account.stats().cache_hits > 100);
}

#[test]
fn nobody_is_remembered_too() {
    let (mut cache, account) = (MatchCache::new(), account(&["a"]));
    warm(&mut cache, &account, "nobody");
    assert!(cache.lookup(&account, b"nobody").is_empty());
    account.insert(sub("nobody", None)).unwrap();
    assert_eq!(cache.lookup(&account, b"nobody").plain.len(), 1);
}

#[test]
fn insertion_of_a_wildcard_shows_in_cached_results() {
    let (mut cache, account) = (MatchCache::new(), account(&["a.b.c"]));
    warm(&mut cache, &account, "a.b.c");
    for (number, pattern) in ["a.b.*", "*.b.c", ">", "a.>", "a.b.>", "a.b.c"].into_iter().enumerate() {
        account.insert(sub(pattern, None)).unwrap();
        assert_eq!(cache.lookup(&account, b"a.b.c").plain.len(), number + 2, "{pattern}");
    }
}

#[test]
fn removal_shows_in_cached_results() {
    let (mut cache, account) = (MatchCache::new(), account(&["a.b.c"]));
    let subs: Vec<_> = ["a.b.c", "a.b.*", ">", "*.b.c"].map(|pattern| sub(pattern, None)).into();
    subs.iter().for_each(|sub| account.insert(sub.clone()).unwrap());
    warm(&mut cache, &account, "a.b.c");
    for (number, sub) in subs.iter().enumerate() {
        account.remove(sub);
        assert_eq!(cache.lookup(&account, b"a.b.c").plain.len(), 4 - number);
    }
}

#[test]
fn weight_change_shows_in_cached_results() {
    let (mut cache, account) = (MatchCache::new(), account(&[]));
    let remote = Subscription::remote(Arc::new(Outbound::detached(1)), b"a", Some(b"q"), b"", 2);
    account.insert(remote.clone()).unwrap();
    warm(&mut cache, &account, "a");
    remote.set_weight(7);
    account.weight_changed(&remote);
    assert_eq!(cache.lookup(&account, b"a").queues[0].members.len(), 7);
}

#[test]
fn accounts_do_not_see_each_others_results() {
    let mut cache = MatchCache::new();
    let (one, other) = (account(&["a"]), account(&["a", "a"]));
    for _ in 0..50 {
        assert_eq!(cache.lookup(&one, b"a").plain.len(), 1);
        assert_eq!(cache.lookup(&other, b"a").plain.len(), 2);
    }
    // Accounts that come and go at the same address.
    for count in 0..50 {
        let next = account(&vec!["a"; count]);
        (0..4).for_each(|_| assert_eq!(cache.lookup(&next, b"a").plain.len(), count));
    }
}

#[test]
fn one_subject_in_eight_is_kept_at_first_sight() {
    let (mut cache, account) = (MatchCache::new(), account(&["s.*"]));
    for number in 0..8000 {
        cache.lookup(&account, format!("s.{number}").as_bytes());
    }
    let cached = account.stats().cached;
    assert!((700..1300).contains(&cached), "{cached}");
}

#[test]
fn rotating_over_4096_subjects_hits() {
    let (mut cache, account) = (MatchCache::new(), account(&["s.*"]));
    let subjects: Vec<_> = (0..4096).map(|number| format!("s.{number}")).collect();
    let rotate = |cache: &mut MatchCache, rounds: usize| {
        for _ in 0..rounds {
            subjects
                .iter()
                .for_each(|subject| assert_eq!(cache.lookup(&account, subject.as_bytes()).plain.len(), 1));
        }
    };
    rotate(&mut cache, 10);
    cache.tell_hits();
    let before = account.stats();
    rotate(&mut cache, 10);
    cache.tell_hits();
    let after = account.stats();
    let rate = ratio(after.cache_hits - before.cache_hits, after.matches - before.matches);
    assert!(rate > 0.95, "{rate}");
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn hits_survive_inboxes_that_come_and_go() {
    let (mut cache, account) = (MatchCache::new(), account(&["s.*", ">"]));
    let hot: Vec<_> = (0..500).map(|number| format!("s.{number}")).collect();
    // After each look-up of a hot subject a request: an inbox comes, is published to once, and goes.
    let round = |cache: &mut MatchCache, round: usize| {
        for (number, subject) in hot.iter().enumerate() {
            cache.lookup(&account, subject.as_bytes());
            let inbox = sub(&format!("_INBOX.{round}.{number}"), None);
            account.insert(inbox.clone()).unwrap();
            assert_eq!(cache.lookup(&account, inbox.subject()).plain.len(), 2);
            account.remove(&inbox);
        }
        cache.tell_hits();
        account.stats().cache_hits
    };
    let warm = (0..10).map(|number| round(&mut cache, number)).last().unwrap();
    let hits = (10..40).map(|number| round(&mut cache, number)).last().unwrap() - warm;
    // Every inbox counts in one of 1,024 stripes twice, and 500 of them pass between two look-ups.
    let rate = ratio(hits, 30 * 500);
    assert!(rate > 0.5, "{rate}");
}

#[test]
fn cache_holds_a_bounded_number_of_results() {
    let (mut cache, account) = (MatchCache::new(), account(&["s.>"]));
    for number in 0..200_000 {
        let subject = format!("s.{number}");
        (0..2).for_each(|_| {
            cache.lookup(&account, subject.as_bytes());
        });
    }
    let cached = account.stats().cached;
    assert!(cached <= (SETS * WAYS) as u64 && cached > (SETS * WAYS / 2) as u64, "{cached}");
    drop(cache);
    assert_eq!(account.stats().cached, 0);
}

#[test]
fn without_cache_nothing_is_kept() {
    let account = SharedInterest::without_cache();
    account.insert(sub("a", None)).unwrap();
    let mut cache = MatchCache::new();
    (0..100).for_each(|_| assert_eq!(cache.lookup(&account, b"a").plain.len(), 1));
    let stats = account.stats();
    assert_eq!((stats.cached, stats.cache_hits, stats.matches), (0, 0, 100));
}

#[test]
fn stats_count_matches_hits_and_fanout() {
    let (mut cache, account) = (MatchCache::new(), account(&["a", "a", "b", "*"]));
    account.insert(sub("b", Some("q"))).unwrap();
    warm(&mut cache, &account, "a");
    warm(&mut cache, &account, "b");
    warm(&mut cache, &account, "c");
    let before = account.stats();
    (0..30).for_each(|_| {
        cache.lookup(&account, b"a");
    });
    let stats = account.stats();
    assert_eq!((stats.subscriptions, stats.inserts, stats.removes), (5, 5, 0));
    assert_eq!((stats.cache_hits - before.cache_hits, stats.matches - before.matches), (30, 30));
    assert_eq!((stats.cached, stats.fanout_max, stats.fanout_total), (3, 3, 7));
    assert!(stats.cache_hit_rate() > 0.5 && stats.cache_hit_rate() < 1.0);
    assert!((stats.fanout_average() - 7.0 / 3.0).abs() < 1e-9);
}

#[test]
fn result_that_is_held_is_not_changed_under_its_holder() {
    let (mut cache, account) = (MatchCache::new(), account(&["a"]));
    warm(&mut cache, &account, "a");
    let held = Arc::clone(cache.lookup(&account, b"a"));
    account.insert(sub("a", None)).unwrap();
    assert_eq!(cache.lookup(&account, b"a").plain.len(), 2);
    assert_eq!(held.plain.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Insert(String, Option<String>),
    Remove(prop::sample::Index),
    Look(String),
}

fn step() -> impl Strategy<Value = Step> {
    let tokens = |set: &'static [&'static str]| {
        prop::collection::vec(prop::sample::select(set), 1..4).prop_map(|tokens| tokens.join("."))
    };
    let queue = prop::option::of(Just("q".to_owned()));
    prop_oneof![
        1 => (tokens(&["a", "b", "*", ">"]), queue).prop_map(|(subject, queue)| Step::Insert(subject, queue)),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        6 => tokens(&["a", "b"]).prop_map(Step::Look),
    ]
}

proptest! {
    #[test]
    fn cached_result_is_the_uncached_one(steps in prop::collection::vec(step(), 1..400), striped: bool) {
        let (mut cache, account) = (MatchCache::new(), account(&[]));
        let mut subs = Vec::new();
        for _ in 0..if striped { 300 } else { 0 } {
            let inbox = sub("inbox", None);
            account.insert(inbox.clone()).unwrap();
            account.remove(&inbox);
        }
        for step in steps {
            match step {
                Step::Insert(subject, queue) => {
                    let sub = sub(&subject, queue.as_deref());
                    if account.insert(sub.clone()).is_ok() {
                        subs.push(sub);
                    }
                }
                Step::Remove(index) if !subs.is_empty() => {
                    let sub = subs.swap_remove(index.index(subs.len()));
                    prop_assert!(account.remove(&sub));
                }
                Step::Remove(_) => {}
                Step::Look(subject) => {
                    let want = account.matches(subject.as_bytes());
                    let got = cache.lookup(&account, subject.as_bytes());
                    let same = |one: &super::super::Members, other: &super::super::Members| {
                        one.len() == other.len() && one.iter().all(|sub| other.iter().any(|there| there.same(sub)))
                    };
                    prop_assert!(same(&got.plain, &want.plain));
                    prop_assert_eq!(got.queues.len(), want.queues.len());
                    prop_assert!(got.queues.iter().zip(&want.queues).all(|(one, other)| same(&one.members, &other.members)));
                }
            }
        }
    }
}
