//! Look-ups of claims on their way: who waits for which account, and where it is looked for next.
//!
//! ```text
//! asked --> directory --> other servers --> kept --> answered
//!       '--> web server ------------------------------^
//! ```
//!
//! Whoever asks for an account that is being looked up waits with the others. Nothing is remembered
//! afterwards: what was not found is looked for again.
//!
//! Pure: `W` is whoever waits, in production the sending half of a channel.

use std::collections::HashMap;
use std::time::Duration;

use super::key::AccountKey;
use crate::server::base::clock::Timestamp;

/// Accounts that are looked up at the same time.
const LOOKUPS_MAX: usize = 1024;

/// Claims cannot be had. The texts are the reference's, as it logs them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The name is none of an account.
    #[error("will only fetch valid account keys")]
    Name,
    /// The configuration brings none.
    #[error("account missing")]
    Missing,
    /// No server has any.
    #[error("account jwt not found")]
    NotFound,
    /// Nobody answered in time.
    #[error("fetching jwt timed out")]
    TimedOut,
    /// Too much is looked up already.
    #[error("too many accounts are looked up at once")]
    Busy,
    /// The server is stopping.
    #[error("fetching jwt failed due to shutdown")]
    Shutdown,
    /// The directory or the web server does not do it.
    #[error("{0}")]
    Failed(String),
}

/// Where claims are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A web server.
    Web,
    /// The directory, then other servers.
    Directory {
        /// Time that the other servers have.
        timeout: Duration,
    },
}

/// What happened to a look-up.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<W> {
    /// Somebody wants claims.
    Asked(W),
    /// The directory was read; `None` where it holds none.
    Loaded(Result<Option<String>, String>),
    /// A server answered the question of this number; empty where it has none.
    Replied(u64, String),
    /// Nobody heard the question of this number.
    Unheard(u64),
    /// The web server answered.
    Fetched(Result<String, String>),
    /// What another server had is kept, or why not.
    Kept(Result<(), String>),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<W> {
    /// Read the directory.
    Load(AccountKey),
    /// Ask the other servers; their answers come with the question's number.
    AskOthers(AccountKey, u64),
    /// Ask the web server.
    Fetch(AccountKey),
    /// Keep what another server had.
    Keep(AccountKey, String),
    /// Tell those who wait.
    Answer(Vec<W>, Result<String, FetchError>),
}

#[derive(Debug)]
struct Lookup<W> {
    waiting: Vec<W>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Loading,
    Fetching,
    /// Others are asked: which question, until when, and how many may still say that they have none.
    Asking {
        number: u64,
        until: Timestamp,
        missing: usize,
    },
    Keeping(String),
}

/// All look-ups on their way.
#[derive(Debug)]
pub struct Underway<W> {
    source: Source,
    running: HashMap<AccountKey, Lookup<W>>,
    /// Questions to other servers so far.
    questions: u64,
}

impl<W> Underway<W> {
    /// Looks in `source`.
    pub fn new(source: Source) -> Self {
        Self { source, running: HashMap::new(), questions: 0 }
    }

    /// Whether look-ups in this source are of the same kind.
    pub fn is_like(&self, source: Source) -> bool {
        std::mem::discriminant(&self.source) == std::mem::discriminant(&source)
    }

    /// Looks in this source from now on; what is under way keeps its time.
    pub fn look_in(&mut self, source: Source) {
        self.source = source;
    }

    /// What happened to the look-up of `key`; `others` servers are known at present.
    pub fn handle(
        &mut self,
        now: Timestamp,
        others: usize,
        key: AccountKey,
        event: Event<W>,
    ) -> Option<Action<W>> {
        match event {
            Event::Asked(waiter) => self.asked(key, waiter),
            Event::Loaded(Ok(None)) => self.ask_others(now, others, key),
            Event::Loaded(Ok(Some(token))) => self.finish(&key, Ok(token)),
            Event::Loaded(Err(error)) => self.finish(&key, Err(FetchError::Failed(error))),
            Event::Fetched(result) if self.is_fetching(&key) => {
                self.finish(&key, result.map_err(FetchError::Failed))
            }
            // From a web server that is not asked any more.
            Event::Fetched(_) => None,
            Event::Replied(number, token) => self.replied(key, number, token),
            Event::Unheard(number) if self.is_asking(&key, number) => {
                self.finish(&key, Err(FetchError::NotFound))
            }
            Event::Unheard(_) => None,
            Event::Kept(result) => self.kept(&key, result),
        }
    }

    /// Answers look-ups whose time is over.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Action<W>> {
        let over = |lookup: &Lookup<W>| matches!(lookup.stage, Stage::Asking { until, .. } if until <= now);
        let keys: Vec<AccountKey> =
            self.running.iter().filter(|(_, lookup)| over(lookup)).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.finish(key, Err(FetchError::TimedOut))).collect()
    }

    /// When [`Self::expire`] wants to be called.
    pub fn deadline(&self) -> Option<Timestamp> {
        let until = |lookup: &Lookup<W>| match lookup.stage {
            Stage::Asking { until, .. } => Some(until),
            _ => None,
        };
        self.running.values().filter_map(until).min()
    }

    fn asked(&mut self, key: AccountKey, waiter: W) -> Option<Action<W>> {
        if let Some(lookup) = self.running.get_mut(&key) {
            lookup.waiting.push(waiter);
            return None;
        }
        if self.running.len() >= LOOKUPS_MAX {
            return Some(Action::Answer(vec![waiter], Err(FetchError::Busy)));
        }
        let (stage, action) = match self.source {
            Source::Web => (Stage::Fetching, Action::Fetch(key)),
            Source::Directory { .. } => (Stage::Loading, Action::Load(key)),
        };
        self.running.insert(key, Lookup { waiting: vec![waiter], stage });
        Some(action)
    }

    fn ask_others(&mut self, now: Timestamp, others: usize, key: AccountKey) -> Option<Action<W>> {
        let Source::Directory { timeout } = self.source else { return None };
        let lookup = self.running.get_mut(&key)?;
        self.questions += 1;
        let number = self.questions;
        lookup.stage = Stage::Asking { number, until: now + timeout, missing: others };
        Some(Action::AskOthers(key, number))
    }

    fn replied(&mut self, key: AccountKey, to: u64, token: String) -> Option<Action<W>> {
        let lookup = self.running.get_mut(&key)?;
        let Stage::Asking { number, missing, .. } = &mut lookup.stage else { return None };
        // An answer to a question that was given up says nothing about this one.
        if *number != to {
            return None;
        }
        if !token.is_empty() {
            lookup.stage = Stage::Keeping(token.clone());
            return Some(Action::Keep(key, token));
        }
        // Servers may be there that nobody knows of: where none is known, one empty answer says nothing
        // that time will not.
        *missing = missing.checked_sub(1)?;
        if *missing > 0 {
            return None;
        }
        self.finish(&key, Err(FetchError::NotFound))
    }

    fn is_asking(&self, key: &AccountKey, question: u64) -> bool {
        let stage = self.running.get(key).map(|lookup| &lookup.stage);
        matches!(stage, Some(Stage::Asking { number, .. }) if *number == question)
    }

    fn is_fetching(&self, key: &AccountKey) -> bool {
        self.running.get(key).is_some_and(|lookup| matches!(lookup.stage, Stage::Fetching))
    }

    fn kept(&mut self, key: &AccountKey, result: Result<(), String>) -> Option<Action<W>> {
        let lookup = self.running.remove(key)?;
        let Stage::Keeping(token) = lookup.stage else { return None };
        let result = result.map(|()| token).map_err(FetchError::Failed);
        Some(Action::Answer(lookup.waiting, result))
    }

    fn finish(&mut self, key: &AccountKey, result: Result<String, FetchError>) -> Option<Action<W>> {
        let lookup = self.running.remove(key)?;
        Some(Action::Answer(lookup.waiting, result))
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    const DIRECTORY: Source = Source::Directory { timeout: Duration::from_secs(2) };

    fn key() -> AccountKey {
        AccountKey::parse(&KeyPair::new_account().public_key()).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn token() -> String {
        "token".to_owned()
    }

    /// One account's look-up, at time 1, with two other servers known.
    struct Talk {
        lookups: Underway<u32>,
        key: AccountKey,
    }

    impl Talk {
        fn new(source: Source) -> Self {
            Self { lookups: Underway::new(source), key: key() }
        }

        fn say(&mut self, event: Event<u32>) -> Option<Action<u32>> {
            self.lookups.handle(at(1), 2, self.key, event)
        }
    }

    #[test]
    fn what_the_directory_holds_answers_all_who_wait() {
        let mut talk = Talk::new(DIRECTORY);
        assert_eq!(talk.say(Event::Asked(1)), Some(Action::Load(talk.key)));
        assert_eq!(talk.say(Event::Asked(2)), None);
        let loaded = talk.say(Event::Loaded(Ok(Some(token()))));
        assert_eq!(loaded, Some(Action::Answer(vec![1, 2], Ok(token()))));
        // The next one is a look-up of its own.
        assert_eq!(talk.say(Event::Asked(3)), Some(Action::Load(talk.key)));
    }

    #[test]
    fn what_another_server_has_is_kept_before_it_is_given_away() {
        let mut talk = Talk::new(DIRECTORY);
        talk.say(Event::Asked(1));
        assert_eq!(talk.say(Event::Loaded(Ok(None))), Some(Action::AskOthers(talk.key, 1)));
        assert_eq!(talk.say(Event::Replied(1, String::new())), None);
        assert_eq!(talk.say(Event::Replied(1, token())), Some(Action::Keep(talk.key, token())));
        // Later answers come too late.
        assert_eq!(talk.say(Event::Replied(1, "other".to_owned())), None);
        assert_eq!(talk.lookups.deadline(), None);
        assert_eq!(talk.say(Event::Kept(Ok(()))), Some(Action::Answer(vec![1], Ok(token()))));
        talk.say(Event::Asked(2));
        talk.say(Event::Loaded(Ok(None)));
        // Too late for the first question, and no answer to the second.
        assert_eq!(talk.say(Event::Replied(1, token())), None);
        talk.say(Event::Replied(2, token()));
        let full = Err(FetchError::Failed("jwt store is full".to_owned()));
        let kept = talk.say(Event::Kept(Err("jwt store is full".to_owned())));
        assert_eq!(kept, Some(Action::Answer(vec![2], full)));
    }

    #[test]
    fn it_is_not_found_once_every_known_server_said_so_or_where_nobody_hears() {
        let mut talk = Talk::new(DIRECTORY);
        talk.say(Event::Asked(1));
        talk.say(Event::Loaded(Ok(None)));
        assert_eq!(talk.say(Event::Replied(1, String::new())), None);
        let not_found = |waiter| Some(Action::Answer(vec![waiter], Err(FetchError::NotFound)));
        assert_eq!(talk.say(Event::Replied(1, String::new())), not_found(1));
        talk.say(Event::Asked(2));
        talk.say(Event::Loaded(Ok(None)));
        assert_eq!(talk.say(Event::Unheard(1)), None);
        assert_eq!(talk.say(Event::Unheard(2)), not_found(2));
    }

    #[test]
    fn silence_ends_with_the_time() {
        let (mut lookups, key) = (Underway::new(DIRECTORY), key());
        lookups.handle(at(0), 0, key, Event::Asked(1));
        assert_eq!(lookups.deadline(), None);
        lookups.handle(at(1), 0, key, Event::Loaded(Ok(None)));
        // No server is known: one that has none is not all there may be.
        assert_eq!(lookups.handle(at(1), 0, key, Event::Replied(1, String::new())), None);
        assert_eq!(lookups.deadline(), Some(at(3)));
        assert!(lookups.expire(at(2)).is_empty());
        assert_eq!(lookups.expire(at(3)), [Action::Answer(vec![1], Err(FetchError::TimedOut))]);
        assert_eq!(lookups.handle(at(4), 0, key, Event::Replied(1, token())), None);
    }

    #[test]
    fn a_web_server_is_asked_once_for_all() {
        let mut talk = Talk::new(Source::Web);
        assert_eq!(talk.say(Event::Asked(1)), Some(Action::Fetch(talk.key)));
        assert_eq!(talk.say(Event::Asked(2)), None);
        let error = Err(FetchError::Failed("404".to_owned()));
        let fetched = talk.say(Event::Fetched(Err("404".to_owned())));
        assert_eq!(fetched, Some(Action::Answer(vec![1, 2], error)));
    }

    #[test]
    fn what_a_web_server_says_that_is_not_asked_any_more_ends_nothing() {
        let mut talk = Talk::new(DIRECTORY);
        talk.say(Event::Asked(1));
        assert_eq!(talk.say(Event::Fetched(Ok("old".to_owned()))), None);
        let loaded = talk.say(Event::Loaded(Ok(Some(token()))));
        assert_eq!(loaded, Some(Action::Answer(vec![1], Ok(token()))));
    }

    #[test]
    fn look_ups_at_once_are_bounded() {
        let mut lookups = Underway::new(Source::Web);
        for waiter in 0..LOOKUPS_MAX {
            // Only equality matters here: cheaper than real keys.
            let mut text = [b'A'; 56];
            text[52..].copy_from_slice(format!("{waiter:04}").as_bytes());
            let key = AccountKey::for_tests(text);
            assert!(matches!(lookups.handle(at(0), 0, key, Event::Asked(waiter)), Some(Action::Fetch(_))));
        }
        let busy = lookups.handle(at(0), 0, key(), Event::Asked(9));
        assert_eq!(busy, Some(Action::Answer(vec![9], Err(FetchError::Busy))));
    }
}
