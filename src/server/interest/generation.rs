//! Striped generations of an account's interest: which cached results a change makes invalid.
//!
//! A change of a literal subject counts in one of 1,024 stripes, one of a wildcard with two literal
//! tokens in front in one of 256, one of any other wildcard in the one counter for all. A subject's
//! stamp is the sum of the three that could concern it: counters only grow, so an equal sum means that
//! none of them moved.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;

use super::hash_bytes;
use super::pattern::is_wildcard;
use crate::server::protocol::subject::tokens;

/// Counters for literal subjects; a power of two.
const LITERALS: usize = 1024;

/// Counters for wildcards by their first two tokens; a power of two.
const PREFIXES: usize = 256;

/// Changes that an account counts for all its subjects before it gets its stripes (10 KiB).
const STRIPED_AFTER: u64 = 256;

/// Chance that clients cannot spoil is not needed here: whoever finds subjects of one stripe makes his
/// own account's cache miss, and could do that with a wildcard.
const HASHER: FixedState = FixedState::with_seed(0x6e61_7473);

/// Which counters concern a subject. The same for every account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    literal: u16,
    /// None where the subject is too short for a wildcard behind two tokens.
    prefix: Option<u8>,
}

impl Place {
    /// The place of a subject that messages are published on.
    pub fn of(subject: &[u8]) -> Self {
        Self { literal: literal_stripe(subject), prefix: two_tokens(subject).map(prefix_stripe) }
    }
}

/// What a change of a subscription's subject counts in.
enum Touched {
    Literal(u16),
    Prefix(u8),
    All,
}

impl Touched {
    fn by(subject: &[u8]) -> Self {
        match tokens(subject).position(is_wildcard) {
            None => Self::Literal(literal_stripe(subject)),
            Some(0 | 1) => Self::All,
            Some(_) => two_tokens(subject).map_or(Self::All, |prefix| Self::Prefix(prefix_stripe(prefix))),
        }
    }
}

fn literal_stripe(subject: &[u8]) -> u16 {
    (hash_bytes(&HASHER, subject) as usize & (LITERALS - 1)) as u16
}

fn prefix_stripe(prefix: &[u8]) -> u8 {
    (hash_bytes(&HASHER, prefix) as usize & (PREFIXES - 1)) as u8
}

/// The first two tokens, where there is a third.
fn two_tokens(subject: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr_iter(b'.', subject).nth(1)?;
    subject.get(..end)
}

#[derive(Debug)]
struct Stripes {
    literals: [AtomicU64; LITERALS],
    prefixes: [AtomicU64; PREFIXES],
}

/// The generations of one account. Aligned so that no other counter shares its line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Generations {
    all: AtomicU64,
    stripes: OnceLock<Box<Stripes>>,
}

impl Generations {
    /// The sum of the counters at `place`.
    pub(super) fn stamp(&self, place: Place) -> u64 {
        let all = self.all.load(Ordering::Acquire);
        let Some(stripes) = self.stripes.get() else { return all };
        let literal = stripes.literals.get(usize::from(place.literal));
        let prefix = place.prefix.and_then(|prefix| stripes.prefixes.get(usize::from(prefix)));
        let count =
            |counter: Option<&AtomicU64>| counter.map_or(0, |counter| counter.load(Ordering::Acquire));
        all + count(literal) + count(prefix)
    }

    /// Counts a change of a subscription's subject. To be called after the change can be seen, and
    /// before whoever asked for it is told.
    pub(super) fn count(&self, subject: &[u8]) {
        let stripe = self.stripes.get().and_then(|stripes| match Touched::by(subject) {
            Touched::Literal(stripe) => stripes.literals.get(usize::from(stripe)),
            Touched::Prefix(stripe) => stripes.prefixes.get(usize::from(stripe)),
            Touched::All => None,
        });
        if let Some(stripe) = stripe {
            stripe.fetch_add(1, Ordering::Release);
            return;
        }
        let changes = self.all.fetch_add(1, Ordering::Release);
        if changes >= STRIPED_AFTER {
            self.stripes.get_or_init(|| {
                Box::new(Stripes {
                    literals: [const { AtomicU64::new(0) }; LITERALS],
                    prefixes: [const { AtomicU64::new(0) }; PREFIXES],
                })
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn striped() -> Generations {
        let generations = Generations::default();
        (0..=STRIPED_AFTER).for_each(|_| generations.count(b"*"));
        assert!(generations.stripes.get().is_some());
        generations
    }

    #[track_caller]
    fn check(changed: &str, subject: &str, want: bool) {
        let generations = striped();
        let place = Place::of(subject.as_bytes());
        let before = generations.stamp(place);
        generations.count(changed.as_bytes());
        assert_eq!(generations.stamp(place) != before, want, "{changed} {subject}");
    }

    #[test]
    fn change_concerns_every_subject_it_covers_and_few_others() {
        for (changed, subject) in [
            ("a", "a"),
            ("a.b.c", "a.b.c"),
            ("a.b.*", "a.b.c"),
            ("a.b.>", "a.b.c.d"),
            ("a.b.c.*", "a.b.c.d"),
            ("a.*", "a.b"),
            ("a.>", "a.b.c"),
            (">", "a"),
            ("*.b.c", "a.b.c"),
        ] {
            check(changed, subject, true);
        }
        for (changed, subject) in [("a", "b"), ("a.b.c", "a.b.d"), ("a.b.*", "a.c.x"), ("a.b.*", "a.b")] {
            check(changed, subject, false);
        }
    }

    #[test]
    fn stamp_stands_when_the_stripes_come() {
        let generations = Generations::default();
        (0..STRIPED_AFTER).for_each(|_| generations.count(b"a"));
        let place = Place::of(b"b");
        let before = generations.stamp(place);
        generations.count(b"a");
        assert!(generations.stripes.get().is_some());
        let after = generations.stamp(place);
        generations.count(b"a");
        assert_eq!((after, generations.stamp(place)), (before + 1, before + 1));
    }
}
