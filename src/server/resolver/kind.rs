//! The four kinds of resolver: what each keeps, which requests it answers, in which words.

use std::time::Duration;

use super::index::Policy;
use super::store::Deletion;
use crate::server::config::options::{DirResolver, Resolver};

/// Accounts that a cache keeps unless told otherwise. Reference: 1,000.
const CACHE_ACCOUNTS: usize = 1_000;
/// Time that one look-up elsewhere may take. Reference: 1.9 s, just under the client's time to log in.
pub const FETCH_TIMEOUT: Duration = Duration::from_millis(1900);
/// Time between two comparisons with other servers. Reference: a minute.
const SYNC_INTERVAL: Duration = Duration::from_secs(60);
/// Longest time between two looks for claims that are over. Reference: a minute.
const EXPIRY_CHECK_MAX: Duration = Duration::from_secs(60);
/// Shortest such time, for a time to live of nanoseconds.
const EXPIRY_CHECK_MIN: Duration = Duration::from_millis(10);

/// A kind of resolver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What the configuration brings.
    Memory,
    /// A web server.
    Url,
    /// A directory with all accounts, the same on every server.
    Full,
    /// A directory with the accounts in use.
    Cache,
}

/// How replies to updates begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// All went well.
    pub updated: &'static str,
    /// Nobody uses the account here.
    pub skipped: &'static str,
    /// It cannot be done.
    pub failed: &'static str,
    /// The claims break rules.
    pub invalid: &'static str,
}

const PLAIN_WORDS: Words = Words {
    updated: "jwt updated",
    skipped: "jwt update skipped",
    failed: "jwt update resulted in error",
    invalid: "jwt validation failed",
};

const CACHE_WORDS: Words = Words {
    updated: "jwt updated cache",
    skipped: "jwt update cache skipped",
    failed: "jwt update cache resulted in error",
    invalid: "jwt update cache validation failed",
};

impl Kind {
    /// The kind that the options name.
    pub const fn of(resolver: &Resolver) -> Self {
        match resolver {
            Resolver::Mem => Self::Memory,
            Resolver::Url(_) => Self::Url,
            Resolver::Full(_) => Self::Full,
            Resolver::Cache(_) => Self::Cache,
        }
    }

    /// Whether it keeps claims in a directory.
    pub const fn has_directory(self) -> bool {
        matches!(self, Self::Full | Self::Cache)
    }

    /// Whether updates are only for accounts in use here.
    pub const fn updates_known_only(self) -> bool {
        !matches!(self, Self::Full)
    }

    /// How its replies to updates begin.
    pub const fn words(self) -> &'static Words {
        if matches!(self, Self::Cache) { &CACHE_WORDS } else { &PLAIN_WORDS }
    }

    /// The subjects whose requests it answers; `true` where one member of a group is to.
    pub const fn subjects(self) -> &'static [(&'static str, bool)] {
        const ALL: &[(&str, bool)] = &[
            ("$SYS.ACCOUNT.*.CLAIMS.UPDATE", false),
            ("$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE", false),
            ("$SYS.REQ.CLAIMS.UPDATE", false),
            ("$SYS.REQ.CLAIMS.LIST", false),
            ("$SYS.REQ.CLAIMS.DELETE", false),
            ("$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", false),
            ("$SYS.REQ.CLAIMS.PACK", true),
        ];
        match self {
            Self::Memory | Self::Url => ALL.split_at(2).0,
            Self::Cache => ALL.split_at(5).0,
            Self::Full => ALL,
        }
    }
}

/// How a directory is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    /// How much, for how long.
    pub policy: Policy,
    /// What becomes of deleted claims.
    pub deletion: Deletion,
    /// Time between two looks for claims that are over.
    pub expiry_check: Duration,
    /// Time that one look-up at other servers may take.
    pub timeout: Duration,
    /// Time between two comparisons with other servers; `None` where there are none.
    pub interval: Option<Duration>,
}

impl Keeping {
    /// As the options of a FULL directory say.
    pub fn full(dir: &DirResolver) -> Self {
        let deletion = match (dir.allow_delete, dir.hard_delete) {
            (false, _) => Deletion::Refused,
            (true, false) => Deletion::Renames,
            (true, true) => Deletion::Removes,
        };
        Self {
            policy: Policy { limit: limit(dir.limit, usize::MAX), evicts: false, ttl: None },
            deletion,
            expiry_check: EXPIRY_CHECK_MAX,
            timeout: dir.timeout.unwrap_or(FETCH_TIMEOUT),
            interval: Some(dir.interval.unwrap_or(SYNC_INTERVAL)),
        }
    }

    /// As the options of a CACHE directory say.
    pub fn cache(dir: &DirResolver) -> Self {
        let check = dir.ttl.map_or(EXPIRY_CHECK_MAX, |ttl| ttl / 2);
        Self {
            policy: Policy { limit: limit(dir.limit, CACHE_ACCOUNTS), evicts: true, ttl: dir.ttl },
            deletion: Deletion::Removes,
            expiry_check: check.clamp(EXPIRY_CHECK_MIN, EXPIRY_CHECK_MAX),
            timeout: dir.timeout.unwrap_or(FETCH_TIMEOUT),
            interval: None,
        }
    }
}

fn limit(given: i64, otherwise: usize) -> usize {
    usize::try_from(given).ok().filter(|limit| *limit > 0).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_kept_by_the_references_defaults() {
        let dir = DirResolver::default();
        let (full, cache) = (Keeping::full(&dir), Keeping::cache(&dir));
        assert_eq!(full.policy, Policy { limit: usize::MAX, evicts: false, ttl: None });
        assert_eq!(cache.policy, Policy { limit: 1000, evicts: true, ttl: None });
        assert_eq!((full.deletion, cache.deletion), (Deletion::Refused, Deletion::Removes));
        assert_eq!((full.interval, cache.interval), (Some(Duration::from_secs(60)), None));
        assert_eq!(full.timeout, Duration::from_millis(1900));
        assert_eq!(cache.expiry_check, Duration::from_secs(60));
    }

    #[test]
    fn options_change_how_a_directory_is_kept() {
        let dir = DirResolver {
            limit: 7,
            interval: Some(Duration::from_secs(5)),
            timeout: Some(Duration::from_secs(3)),
            allow_delete: true,
            ..DirResolver::default()
        };
        let full = Keeping::full(&dir);
        assert_eq!((full.policy.limit, full.deletion), (7, Deletion::Renames));
        assert_eq!((full.interval, full.timeout), (Some(Duration::from_secs(5)), Duration::from_secs(3)));
        let hard = DirResolver { hard_delete: true, ..dir.clone() };
        assert_eq!(Keeping::full(&hard).deletion, Deletion::Removes);
        let short = DirResolver { ttl: Some(Duration::from_secs(10)), limit: 0, ..dir };
        let cache = Keeping::cache(&short);
        assert_eq!((cache.policy.limit, cache.expiry_check), (1000, Duration::from_secs(5)));
    }
}
