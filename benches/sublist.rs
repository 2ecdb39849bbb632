//! Interest: insert, match and remove at 1 thousand, 100 thousand and 1 million subscriptions; the
//! cache; wildcards; one subject that everybody wants. `cargo bench --bench sublist -- memory
//! [wildcards]` weighs the million instead.

#![expect(clippy::print_stdout, reason = "a bench reports on the terminal")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "benches may fail loudly")]
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};

use natsx::server::base::rng::Rng;
use natsx::server::interest::{MatchCache, MatchResult, SharedInterest, Sublist, Subscription};
use natsx::server::outbound::Outbound;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// Changes timed in one go.
const STEP: usize = 1_000;

fn target() -> Arc<Outbound> {
    Arc::new(Outbound::detached(1))
}

fn literal(number: usize) -> String {
    format!("orders.{}.item.{number}", number % 97)
}

fn literals(target: &Arc<Outbound>, numbers: std::ops::Range<usize>) -> Vec<Subscription> {
    numbers
        .map(|number| {
            let sid = number.to_string();
            Subscription::new(Arc::clone(target), literal(number).as_bytes(), None, sid.as_bytes())
        })
        .collect()
}

fn filled(subs: &[Subscription]) -> Sublist {
    let mut list = Sublist::new();
    subs.iter().for_each(|sub| {
        list.insert(sub.clone()).unwrap();
    });
    list
}

fn shuffled(mut numbers: Vec<usize>) -> Vec<usize> {
    let mut rng = Rng::seeded(1);
    for end in (1..numbers.len()).rev() {
        numbers.swap(end, rng.below(end + 1));
    }
    numbers
}

fn list(criterion: &mut Criterion) {
    let target = target();
    for size in SIZES {
        let subs = literals(&target, 0..size);
        let mut list = filled(&subs);

        let more = literals(&target, size..size + STEP);
        let mut timed = |name: &str, inserting: bool| {
            criterion.bench_function(&format!("{name}/{size}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds.div_ceil(STEP as u64) {
                        let start = Instant::now();
                        for sub in &more {
                            let _ = black_box(list.insert(sub.clone()));
                        }
                        let middle = Instant::now();
                        for sub in &more {
                            black_box(list.remove(sub));
                        }
                        spent += if inserting { middle - start } else { middle.elapsed() };
                    }
                    spent * u32::try_from(rounds).unwrap()
                        / u32::try_from(rounds.div_ceil(STEP as u64) * STEP as u64).unwrap()
                });
            });
        };
        timed("insert", true);
        timed("remove", false);

        let subjects: Vec<String> = shuffled((0..size).collect()).into_iter().map(literal).collect();
        let mut result = MatchResult::default();
        let mut next = subjects.iter().cycle();
        criterion.bench_function(&format!("match random/{size}"), |bencher| {
            bencher.iter(|| {
                list.match_into(next.next().unwrap().as_bytes(), &mut result);
                black_box(result.plain.len())
            });
        });
        criterion.bench_function(&format!("match hot/{size}"), |bencher| {
            bencher.iter(|| {
                list.match_into(subjects[0].as_bytes(), &mut result);
                black_box(result.plain.len())
            });
        });
        criterion.bench_function(&format!("match nobody/{size}"), |bencher| {
            bencher.iter(|| {
                list.match_into(b"orders.5.item.none", &mut result);
                black_box(result.plain.len())
            });
        });
    }
}

fn wildcards(criterion: &mut Criterion) {
    let target = target();
    for masks in [4, 16, 64, 120, 127] {
        let mut list = Sublist::new();
        for number in 0..1_000_usize {
            let stars = number % masks + 1;
            let name = format!("n{number}");
            let tokens: Vec<&str> = (0..8)
                .map(|bit| {
                    if bit < 7 && stars & (1 << bit) != 0 {
                        "*"
                    } else if bit == 7 {
                        name.as_str()
                    } else {
                        "t"
                    }
                })
                .collect();
            list.insert(Subscription::new(Arc::clone(&target), tokens.join(".").as_bytes(), None, b"1"))
                .unwrap();
        }
        let subjects: Vec<String> = shuffled((0..1_000).collect())
            .into_iter()
            .map(|number| format!("t.t.t.t.t.t.t.n{number}"))
            .collect();
        let mut next = subjects.iter().cycle();
        let mut result = MatchResult::default();
        criterion.bench_function(&format!("match 1k wildcards, masks/{masks}"), |bencher| {
            bencher.iter(|| {
                list.match_into(next.next().unwrap().as_bytes(), &mut result);
                black_box(result.plain.len())
            });
        });
    }
}

fn crowd(criterion: &mut Criterion) {
    let target = target();
    let account = SharedInterest::new();
    let subs: Vec<_> =
        (0..200_000).map(|_| Subscription::new(Arc::clone(&target), b"everybody", None, b"1")).collect();
    subs.iter().for_each(|sub| account.insert(sub.clone()).unwrap());
    let mut cache = MatchCache::new();
    let mut turn = 0;
    criterion.bench_function("change and match, 200k on one subject", |bencher| {
        bencher.iter(|| {
            turn = (turn + 7_919) % subs.len();
            account.remove(&subs[turn]);
            black_box(cache.lookup(&account, b"everybody").plain.len());
            account.insert(subs[turn].clone()).unwrap();
        });
    });
}

fn cache(criterion: &mut Criterion) {
    let target = target();
    let account = SharedInterest::new();
    literals(&target, 0..100_000).into_iter().for_each(|sub| account.insert(sub).unwrap());
    account.insert(Subscription::new(target, b"orders.*.item.>", None, b"w")).unwrap();
    for rotating in [1, 64, 1_024, 4_096] {
        let mut cache = MatchCache::new();
        let subjects: Vec<String> = (0..rotating).map(literal).collect();
        for subject in subjects.iter().cycle().take(20 * rotating) {
            cache.lookup(&account, subject.as_bytes());
        }
        let mut next = subjects.iter().cycle();
        criterion.bench_function(&format!("cache hit, subjects/{rotating}"), |bencher| {
            bencher.iter(|| black_box(cache.lookup(&account, next.next().unwrap().as_bytes()).plain.len()));
        });
    }
    let mut cache = MatchCache::new();
    let mut number = 0_u64;
    criterion.bench_function("cache, one-off subjects", |bencher| {
        bencher.iter(|| {
            number += 1;
            let mut subject = *b"orders.5.item.00000000";
            subject[14..].copy_from_slice(&number.to_le_bytes());
            black_box(cache.lookup(&account, &subject).plain.len())
        });
    });
    let sub = Subscription::new(self::target(), b"a", None, b"1");
    criterion.bench_function("deliver_one", |bencher| bencher.iter(|| black_box(sub.deliver_one())));
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Resident bytes of each of a million subscriptions, with what finds them. One kind a process: what
/// one frees, the next would find.
fn memory(wildcards: bool) {
    let million = SIZES[2];
    let target = target();
    let caches_before = resident_bytes();
    let caches: Vec<MatchCache> = (0..16).map(|_| MatchCache::new()).collect();
    println!("an empty cache: {} bytes", (resident_bytes() - caches_before) / caches.len());

    let before = resident_bytes();
    let account = SharedInterest::new();
    let mut slowest = Duration::ZERO;
    for number in 0..million {
        let subject = if wildcards { format!("orders.*.item.{number}") } else { literal(number) };
        let sid = number.to_string();
        let sub = Subscription::new(Arc::clone(&target), subject.as_bytes(), None, sid.as_bytes());
        let start = Instant::now();
        account.insert(sub).unwrap();
        slowest = slowest.max(start.elapsed());
    }
    let bytes = (resident_bytes() - before) / million;
    println!("{bytes} bytes a subscription, slowest insert {slowest:?}");
    let all = account.all();
    let start = Instant::now();
    account.remove_batch(&all);
    println!("{:?} to remove all", start.elapsed());
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = list, wildcards, crowd, cache
}

fn main() {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    if asked("memory") {
        return memory(asked("wildcards"));
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
