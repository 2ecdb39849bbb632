//! The sublist: rules of the reference, and the comparison with a slow twin, a list of pairs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::server::outbound::Outbound;

fn sub(subject: &str) -> Subscription {
    member(subject, None)
}

fn member(subject: &str, queue: Option<&str>) -> Subscription {
    let target = Arc::new(Outbound::detached(1));
    Subscription::new(target, subject.as_bytes(), queue.map(str::as_bytes), b"1")
}

fn list(subjects: &[&str]) -> Sublist {
    let mut list = Sublist::seeded(1);
    subjects.iter().for_each(|subject| {
        list.insert(sub(subject)).unwrap();
    });
    list
}

fn subjects(result: &MatchResult) -> Vec<String> {
    let mut subjects: Vec<_> =
        result.plain.iter().map(|sub| String::from_utf8_lossy(sub.subject()).into_owned()).collect();
    subjects.sort();
    subjects
}

#[track_caller]
fn check(patterns: &[&str], subject: &str, want: &[&str]) {
    let list = list(patterns);
    assert_eq!(subjects(&list.matches(subject.as_bytes())), want, "{subject}");
    assert_eq!(list.has_interest(subject.as_bytes()), !want.is_empty(), "{subject}");
    assert_eq!(list.count_interest(subject.as_bytes()), (want.len(), 0), "{subject}");
}

#[test]
fn literals_and_wildcards_are_both_returned() {
    let all = ["a.b.c", "a.*.c", "a.>", "*.b.*", ">", "a.b", "b.>", "a.*"];
    check(&all, "a.b.c", &["*.b.*", ">", "a.*.c", "a.>", "a.b.c"]);
}

#[test]
fn full_wildcard_does_not_match_its_own_prefix() {
    check(&["a.>", "a.b.>"], "a", &[]);
    check(&["a.>", "a.b.>"], "a.b", &["a.>"]);
}

#[test]
fn wildcards_at_the_root_match() {
    check(&["*", ">", "*.*", "*.>"], "a", &["*", ">"]);
    check(&["*", ">", "*.*", "*.>"], "a.b", &["*.*", "*.>", ">"]);
}

#[test]
fn wildcard_inside_a_token_is_literal() {
    check(&["foo*", "foo>", "f*.b"], "foobar", &[]);
    check(&["foo*", "foo>"], "foo*", &["foo*"]);
}

#[test]
fn subject_with_an_empty_token_matches_nothing() {
    for subject in ["", ".", "foo..bar", ".foo", "foo.", "foo.bar."] {
        check(&[">", "*", "*.*", "*.*.*", "foo.>", "*.>", "foo.*.bar"], subject, &[]);
    }
}

#[test]
fn published_wildcard_is_taken_literally() {
    check(&["foo.*", "foo.>", "foo.a", "foo.*.b"], "foo.*", &["foo.*", "foo.>"]);
    check(&["foo.*", "foo.>", "foo.a"], "foo.>", &["foo.*", "foo.>"]);
}

#[test]
fn every_odd_subject_reaches_whom_the_reference_sends_it_to() {
    // Published on a 2.15.1 server that had these subscriptions.
    let all = [">", "*", "*.*", "foo.*", "foo.>", "foo*", "foo>", "*.>", "foo.a", "*.*.*"];
    for (subject, want) in [
        ("foo", &["*", ">"][..]),
        ("foo*", &["*", ">", "foo*"]),
        ("foo>", &["*", ">", "foo>"]),
        ("foo.*", &["*.*", "*.>", ">", "foo.*", "foo.>"]),
        ("foo.>", &["*.*", "*.>", ">", "foo.*", "foo.>"]),
        ("foo..bar", &[]),
        (".foo", &[]),
        ("foo.", &[]),
        ("foo.a", &["*.*", "*.>", ">", "foo.*", "foo.>", "foo.a"]),
        (".", &[]),
        (">", &["*", ">"]),
        ("*", &["*", ">"]),
        ("foobar", &["*", ">"]),
        ("foo.bar.baz", &["*.*.*", "*.>", ">", "foo.>"]),
    ] {
        check(&all, subject, want);
    }
}

#[test]
fn subject_is_case_sensitive() {
    check(&["Foo", "foo.*"], "foo", &[]);
}

#[test]
fn invalid_subject_is_refused_and_leaves_nothing() {
    let mut list = Sublist::new();
    for subject in ["", "foo.", ".foo", "foo..bar", "foo.>.bar", ">.a"] {
        let refused = list.insert(sub(subject)).unwrap_err();
        assert_eq!(refused.to_string(), "sublist: invalid subject");
        assert!(!list.remove(&sub(subject)));
    }
    assert_eq!((list.count(), list.inserts(), list.removes()), (0, 0, 0));
}

#[test]
fn subjects_of_more_than_32_tokens_match() {
    let long: Vec<String> = (0..40).map(|token| format!("t{token}")).collect();
    let subject = long.join(".");
    let mut star = long.clone();
    star[37] = "*".into();
    let tail = format!("{}.>", long[..35].join("."));
    let star = star.join(".");
    let mut other = long;
    other[39] = "x".into();
    let patterns = [subject.as_str(), star.as_str(), tail.as_str(), "t0.>", &other.join(".")];
    let mut want = vec!["t0.>", tail.as_str(), star.as_str(), subject.as_str()];
    want.sort_unstable();
    check(&patterns, &subject, &want);
}

#[test]
fn pattern_of_thousands_of_tokens_needs_no_stack() {
    let pattern = vec!["*"; 20_000].join(".");
    let subject = vec!["a"; 20_000].join(".");
    let mut list = list(&[&pattern, "a"]);
    assert_eq!(subjects(&list.matches(subject.as_bytes())), [pattern.as_str()]);
    let found = list.all().into_iter().find(|sub| sub.subject() == pattern.as_bytes()).unwrap();
    assert!(list.remove(&found));
    assert!(!list.has_interest(subject.as_bytes()));
}

#[test]
fn counts_follow_insertions_and_removals() {
    let mut list = Sublist::new();
    let subs: Vec<_> = ["a", "a", "a.*", ">", "b.c"].into_iter().map(sub).collect();
    for (number, sub) in subs.iter().enumerate() {
        list.insert(sub.clone()).unwrap();
        assert_eq!(list.count(), number + 1);
    }
    assert!(!list.remove(&sub("a")), "an equal one is not the same");
    assert!(list.remove(&subs[0]));
    assert!(!list.remove(&subs[0]));
    assert_eq!((list.count(), list.inserts(), list.removes()), (4, 5, 1));
    assert_eq!(list.remove_batch(&subs), 4);
    assert_eq!((list.count(), list.inserts(), list.removes()), (0, 5, 5));
    assert!(!list.has_interest(b"a"));
}

#[test]
fn batch_takes_out_its_own_and_no_others() {
    let mut list = Sublist::new();
    let (gone, stays): (Vec<_>, Vec<_>) =
        (0..600).map(|number| (sub(&format!("a.{}", number % 50)), sub("a.*"))).unzip();
    gone.iter().chain(&stays).for_each(|sub| {
        list.insert(sub.clone()).unwrap();
    });
    assert_eq!(list.remove_batch(&gone), 600);
    assert_eq!(list.matches(b"a.1").plain.len(), 600);
    assert!(list.all().iter().all(|sub| sub.subject() == b"a.*"));
}

#[test]
fn queue_members_are_grouped_by_name_over_all_patterns() {
    let mut list = Sublist::new();
    for (subject, queue, times) in [
        ("a.b", Some("x"), 40),
        ("a.*", Some("x"), 2),
        ("a.>", Some("y"), 1),
        ("a.b", None, 1),
        ("c", Some("z"), 1),
    ] {
        (0..times).for_each(|_| {
            list.insert(member(subject, queue)).unwrap();
        });
    }
    let result = list.matches(b"a.b");
    let mut groups: Vec<_> = result.queues.iter().map(|group| (&*group.name, group.members.len())).collect();
    groups.sort();
    assert_eq!(groups, [(&b"x"[..], 42), (b"y", 1)]);
    assert_eq!((result.plain.len(), result.fanout()), (1, 3));
    assert_eq!(list.count_interest(b"a.b"), (1, 43));
}

#[test]
fn empty_queue_name_is_a_queue() {
    let mut list = Sublist::new();
    list.insert(member("a", Some(""))).unwrap();
    list.insert(member("a", None)).unwrap();
    let result = list.matches(b"a");
    assert_eq!((result.plain.len(), result.queues.len()), (1, 1));
}

#[test]
fn remote_queue_member_counts_as_often_as_it_weighs() {
    for locals in [1, 100] {
        let mut list = Sublist::new();
        let target = Arc::new(Outbound::detached(2));
        let remote = Subscription::remote(target, b"a", Some(b"q"), b"", 5);
        list.insert(remote.clone()).unwrap();
        (0..locals).for_each(|_| {
            list.insert(member("a", Some("q"))).unwrap();
        });
        let weighed = |list: &Sublist| {
            let result = list.matches(b"a");
            let members = &result.queues[0].members;
            (members.iter().filter(|sub| sub.same(&remote)).count(), members.len())
        };
        assert_eq!(weighed(&list), (5, locals + 5));
        remote.set_weight(2);
        assert_eq!(weighed(&list), (2, locals + 2));
    }
}

#[test]
fn tally_counts_subject_and_queue_and_tells_local_from_remote() {
    let mut list = Sublist::new();
    let target = Arc::new(Outbound::detached(2));
    let remote = Subscription::remote(target, b"a", None, b"", 1);
    let local = sub("a");
    assert_eq!(list.insert(remote.clone()), Ok(Tally { any: 1, local: 0 }));
    assert_eq!(list.insert(local.clone()), Ok(Tally { any: 2, local: 1 }));
    assert_eq!(list.insert(member("a", Some("q"))), Ok(Tally { any: 1, local: 1 }));
    let more: Vec<_> = (0..20).map(|_| sub("a")).collect();
    for (number, sub) in more.iter().enumerate() {
        assert_eq!(list.insert(sub.clone()), Ok(Tally { any: 3 + number, local: 2 + number }));
    }
    list.remove_batch(&more);
    assert_eq!(list.take(&local), Some(Tally { any: 1, local: 0 }));
    assert_eq!(list.take(&remote), Some(Tally { any: 0, local: 0 }));
    assert_eq!(list.exactly(b"a", Some(b"q")), 1);
}

#[test]
fn reverse_match_finds_what_a_wildcard_covers() {
    let list = list(&["foo.bar", "foo.baz", "foo.bar.baz", "bar", "foo.*"]);
    for (pattern, want) in [
        ("foo.*", &["foo.*", "foo.bar", "foo.baz"][..]),
        ("foo.>", &["foo.*", "foo.bar", "foo.bar.baz", "foo.baz"]),
        ("*", &["bar"]),
        ("foo.bar", &["foo.*", "foo.bar"]),
        ("nope.>", &[]),
    ] {
        assert_eq!(subjects(&list.reverse_match(pattern.as_bytes())), want, "{pattern}");
    }
}

#[test]
fn more_masks_than_tables_still_match() {
    // Every mask of eight tokens: twice as many as have a table of their own.
    let mut list = Sublist::new();
    let masked = |stars: u32| {
        let tokens: Vec<_> = (0..8).map(|bit| if stars & (1 << bit) == 0 { "a" } else { "*" }).collect();
        sub(&tokens.join("."))
    };
    let patterns: Vec<_> = (1..256).map(masked).collect();
    patterns.iter().for_each(|sub| {
        list.insert(sub.clone()).unwrap();
    });
    let count = |list: &Sublist, subject: &str| list.matches(subject.as_bytes()).plain.len();
    assert_eq!(count(&list, "a.a.a.a.a.a.a.a"), 255);
    assert_eq!(count(&list, "b.a.a.a.a.a.a.a"), 128);
    assert_eq!(count(&list, "b.b.b.b.b.b.b.b"), 1);
    assert_eq!(count(&list, "b.b.b.b.b.b.b"), 0);
    // Tables become free; what is in the trie stays there and is found all the same.
    assert_eq!(list.remove_batch(&patterns[..60]), 60);
    assert_eq!(count(&list, "a.a.a.a.a.a.a.a"), 195);
    let again = masked(255);
    list.insert(again.clone()).unwrap();
    assert_eq!(count(&list, "b.b.b.b.b.b.b.b"), 2);
    assert!(list.remove(&again));
    assert_eq!(count(&list, "b.b.b.b.b.b.b.b"), 1);
    assert_eq!(list.remove_batch(&patterns[60..]), 195);
    assert!(list.wildcards.is_empty());
}

#[test]
fn many_of_a_kind_are_split_and_all_found() {
    for pattern in ["s.", "s.*."] {
        let mut list = Sublist::new();
        let named = |number: usize| sub(&format!("{pattern}{number}"));
        let mut subs: Vec<_> = (0..20_000).map(named).collect();
        // Crowds move too.
        subs.extend((0..20).map(|_| named(3)));
        for sub in &subs {
            list.insert(sub.clone()).unwrap();
        }
        for sub in subs.iter().take(20_000) {
            let subject = String::from_utf8_lossy(sub.subject()).replace('*', "x");
            let result = list.matches(subject.as_bytes());
            assert!(result.plain.iter().any(|found| found.same(sub)), "{subject}");
            assert_eq!(result.plain.len(), if subject.ends_with(".3") { 21 } else { 1 }, "{subject}");
        }
        assert_eq!(list.remove_batch(&subs), 20_020);
        assert!(list.literals.is_empty() && list.wildcards.is_empty());
    }
}

/// The slow twin: a list of subscriptions, each compared with the subject.
#[derive(Default)]
struct Twin(Vec<Subscription>);

impl Twin {
    /// Addresses of plain subscriptions, and of members by queue, each sorted.
    fn matches(&self, subject: &[u8]) -> Seen {
        seen(self.0.iter().filter(|sub| wanted(text(sub.subject()), text(subject))))
    }
}

/// The rules, token by token, as the reference's documentation puts them.
fn wanted(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
    let fits = |(want, token): (&&str, &&str)| *want == "*" || want == token;
    if subject.contains(&"") {
        return false;
    }
    if let [front @ .., ">"] = pattern.as_slice() {
        return subject.len() > front.len() && front.iter().zip(&subject).all(fits);
    }
    subject.len() == pattern.len() && pattern.iter().zip(&subject).all(fits)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

type Seen = BTreeMap<Option<Vec<u8>>, Vec<usize>>;

fn seen<'a>(subs: impl Iterator<Item = &'a Subscription>) -> Seen {
    let mut seen = Seen::new();
    for sub in subs {
        seen.entry(sub.queue().map(<[u8]>::to_vec)).or_default().push(sub.subject().as_ptr().addr());
    }
    seen.values_mut().for_each(|addresses| addresses.sort_unstable());
    seen
}

fn seen_in(result: &MatchResult) -> Seen {
    for group in &result.queues {
        assert!(group.members.iter().all(|sub| sub.queue() == Some(&*group.name)));
    }
    let names: std::collections::BTreeSet<_> = result.queues.iter().map(|group| &group.name).collect();
    assert_eq!(names.len(), result.queues.len(), "one group a name");
    seen(result.plain.iter().chain(result.queues.iter().flat_map(|group| group.members.iter())))
}

#[derive(Debug, Clone)]
enum Step {
    Insert { subject: String, queue: Option<String>, times: usize },
    Remove(prop::sample::Index),
    RemoveAll(String),
    Match(String),
}

fn token() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "dd", "*", ">", "a*", ""])
}

fn subject() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(token(), 1..5).prop_map(|tokens| tokens.join(".")),
        1 => prop::collection::vec(token(), 15..20).prop_map(|tokens| tokens.join(".")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let queue = prop::option::of(prop::sample::select(vec!["q", "r", ""]).prop_map(str::to_owned));
    let times = prop_oneof![6 => 1_usize..3, 1 => 4_usize..9, 1 => 30_usize..70];
    prop_oneof![
        5 => (subject(), queue, times).prop_map(|(subject, queue, times)| Step::Insert { subject, queue, times }),
        3 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => subject().prop_map(Step::RemoveAll),
        5 => subject().prop_map(Step::Match),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn list_agrees_with_its_slow_twin(steps in prop::collection::vec(step(), 1..60), seed: u64) {
        let mut list = Sublist::seeded(seed);
        let mut twin = Twin::default();
        for step in steps {
            match step {
                Step::Insert { subject, queue, times } => for _ in 0..times {
                    let sub = member(&subject, queue.as_deref());
                    if let Ok(tally) = list.insert(sub.clone()) {
                        twin.0.push(sub.clone());
                        let same = |other: &&Subscription| other.subject() == sub.subject() && other.queue() == sub.queue();
                        prop_assert_eq!(tally.any, twin.0.iter().filter(same).count());
                    }
                },
                Step::Remove(index) if !twin.0.is_empty() => {
                    let sub = twin.0.swap_remove(index.index(twin.0.len()));
                    let same = |other: &&Subscription| other.subject() == sub.subject() && other.queue() == sub.queue();
                    prop_assert_eq!(list.take(&sub).map(|tally| tally.any), Some(twin.0.iter().filter(same).count()));
                    prop_assert!(list.take(&sub).is_none());
                }
                Step::Remove(_) => {}
                Step::RemoveAll(pattern) => {
                    let gone = twin.0.extract_if(.., |sub| wanted(&pattern, text(sub.subject()))).collect::<Vec<_>>();
                    prop_assert_eq!(list.remove_batch(&gone), gone.len());
                }
                Step::Match(subject) => {
                    let want = twin.matches(subject.as_bytes());
                    prop_assert_eq!(&seen_in(&list.matches(subject.as_bytes())), &want, "{}", subject);
                    prop_assert_eq!(list.has_interest(subject.as_bytes()), !want.is_empty());
                    let plain = want.get(&None).map_or(0, Vec::len);
                    let all: usize = want.values().map(Vec::len).sum();
                    prop_assert_eq!(list.count_interest(subject.as_bytes()), (plain, all - plain));
                }
            }
            prop_assert_eq!(list.count(), twin.0.len());
        }
        prop_assert_eq!(seen(list.all().iter()), seen(twin.0.iter()));
        prop_assert_eq!(list.remove_batch(&twin.0), twin.0.len());
        prop_assert!(list.wildcards.is_empty() && list.literals.is_empty());
    }
}
