//! Requests to services of other accounts, while their answers are awaited.
//!
//! The exporter knows a request by the subject that its answer is published on (`_R_.…`), and when it
//! is overdue; the importer by the subject on which the answer is awaited. Both forget it together:
//! when it is answered, when nobody awaits it any more, when it is overdue, or when its account awaits
//! too many.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::services::ServiceExport;
use super::state::Account;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::subject::{has_wildcard, matches, tokens};

/// Memory that the requests of one importing account take while their answers are awaited: half a
/// million of ordinary ones. With more the oldest are given up. Reference: no limit.
const AWAITED_BYTES_MAX: usize = 128 << 20;

/// The same for all accounts of a server: who asks while it is reached gives up its own oldest.
const SERVER_BYTES_MAX: usize = 512 << 20;

/// Requests that are looked at when a subscription has ended. What a look at a wide pattern does not
/// reach, the threshold ends.
const SEARCHED_MAX: usize = 4096;

/// What one request takes beside its subjects.
const AWAITED_BYTES: usize = 320;

/// One request whose answer is awaited.
#[derive(Debug)]
pub struct Awaited {
    number: u64,
    /// Where the exporter's account answers.
    subject: Box<[u8]>,
    exporter: Arc<Account>,
    /// Where the importer's account awaits it.
    reply: Arc<[u8]>,
    importer: Arc<Account>,
    export: Arc<ServiceExport>,
    /// When it was made, or last answered; nanoseconds.
    touched: AtomicU64,
    /// Under which moment it stands among those that may be overdue; changed under the exporter's lock.
    stands_at: AtomicU64,
    measured: Option<Box<Measured>>,
}

/// What is known of a request that is measured.
#[derive(Debug)]
pub struct Measured {
    /// When it came.
    pub started: Timestamp,
    /// Who asks, as a document; empty where nothing is said of it.
    pub requestor: Vec<u8>,
    /// The requestor's round trip.
    pub round_trip: Duration,
    /// The headers that asked for it, as a document; empty where chance did.
    pub header: Vec<u8>,
    /// All about the requestor may be said.
    pub shares: bool,
}

impl Awaited {
    /// Where the exporter's account answers.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The account that answers.
    pub fn exporter(&self) -> &Arc<Account> {
        &self.exporter
    }

    /// Where the importer's account awaits it.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// The account that awaits it.
    pub fn importer(&self) -> &Arc<Account> {
        &self.importer
    }

    /// The service.
    pub fn export(&self) -> &Arc<ServiceExport> {
        &self.export
    }

    /// What is known of it where it is measured.
    pub fn measured(&self) -> Option<&Measured> {
        self.measured.as_deref()
    }

    /// An answer came, and more may: it is awaited anew.
    pub fn touch(&self, now: Timestamp) {
        self.touched.store(now.nanos(), Ordering::Relaxed);
    }

    pub(super) fn due(&self) -> Timestamp {
        Timestamp::from_nanos(self.touched.load(Ordering::Relaxed)) + self.export.threshold
    }

    fn bytes(&self) -> usize {
        let measured = self.measured.as_ref();
        let documents = measured.map_or(0, |measured| measured.requestor.len() + measured.header.len());
        AWAITED_BYTES + self.subject.len() + self.reply.len() + documents
    }

    /// Nothing is awaited any more; says whether it was till now.
    pub fn end(&self) -> bool {
        let was = self.exporter.answers().forget_expected(self);
        self.importer.answers().forget_awaited(self);
        was
    }
}

/// A new request.
#[derive(Debug)]
pub struct Expectation<'a> {
    /// The account that answers.
    pub exporter: &'a Arc<Account>,
    /// The account that awaits the answer.
    pub importer: &'a Arc<Account>,
    /// Where it awaits it.
    pub reply: &'a [u8],
    /// The service.
    pub export: &'a Arc<ServiceExport>,
    /// Present where the request is measured.
    pub measured: Option<Box<Measured>>,
}

/// A request whose answer is awaited from now on.
#[derive(Debug)]
pub struct Noted {
    /// The request; it carries [`Awaited::subject`] as its reply.
    pub awaited: Arc<Awaited>,
    /// Older ones of its account that had to be given up for it.
    pub given_up: Vec<Arc<Awaited>>,
}

/// One account's part in requests: those it is to answer, and those it awaits answers for.
#[derive(Debug, Default)]
pub(super) struct Answers {
    expected: Mutex<Expected>,
    awaited: Mutex<AwaitedTable>,
    /// Requests that it awaits answers for.
    awaited_count: AtomicUsize,
}

/// As the exporter. A leaf lock, held for an insertion, a look-up, a removal.
#[derive(Debug, Default)]
struct Expected {
    /// By [`Awaited::subject`].
    by_subject: HashTable<Arc<Awaited>>,
    hasher: foldhash::fast::RandomState,
    /// When each is overdue, unless it was touched since.
    by_due: BTreeMap<(Timestamp, u64), Arc<Awaited>>,
}

/// As the importer. A leaf lock, held for an insertion, a removal, a search.
#[derive(Debug, Default)]
struct AwaitedTable {
    by_reply: BTreeMap<(Arc<[u8]>, u64), Arc<Awaited>>,
    by_age: BTreeMap<u64, Arc<Awaited>>,
    bytes: usize,
}

impl AwaitedTable {
    fn remove(&mut self, awaited: &Awaited) {
        if self.by_age.remove(&awaited.number).is_some() {
            self.by_reply.remove(&(Arc::clone(&awaited.reply), awaited.number));
            self.bytes -= awaited.bytes();
            awaited.importer.common().awaited_bytes().fetch_sub(awaited.bytes(), Ordering::Relaxed);
        }
    }
}

/// Makes a request one that is answered on `subject`.
///
/// # Errors
/// What was to be measured, back: something is expected there already.
pub(super) fn expect(
    expectation: Expectation<'_>,
    subject: &[u8],
    number: u64,
    now: Timestamp,
) -> Result<Noted, Option<Box<Measured>>> {
    let Expectation { exporter, importer, reply, export, measured } = expectation;
    let mut expected = exporter.answers().expected.lock();
    if expected.find(subject).is_some() {
        return Err(measured);
    }
    let awaited = Arc::new(Awaited {
        number,
        subject: subject.into(),
        exporter: Arc::clone(exporter),
        reply: reply.into(),
        importer: Arc::clone(importer),
        export: Arc::clone(export),
        touched: AtomicU64::new(now.nanos()),
        stands_at: AtomicU64::default(),
        measured,
    });
    expected.insert(Arc::clone(&awaited));
    drop(expected);
    let given_up = importer.answers().await_answer(Arc::clone(&awaited));
    given_up.iter().for_each(|oldest| {
        oldest.exporter.answers().forget_expected(oldest);
    });
    Ok(Noted { awaited, given_up })
}

impl Expected {
    fn find(&self, subject: &[u8]) -> Option<&Arc<Awaited>> {
        let hash = self.hasher.hash_one(subject);
        self.by_subject.find(hash, |awaited| *awaited.subject == *subject)
    }

    fn insert(&mut self, awaited: Arc<Awaited>) {
        self.stand(&awaited);
        let Self { by_subject, hasher, .. } = self;
        let hash = |awaited: &Arc<Awaited>| hasher.hash_one(awaited.subject());
        by_subject.insert_unique(hash(&awaited), awaited, hash);
    }

    /// Says whether it was there.
    fn remove(&mut self, awaited: &Awaited) -> bool {
        let hash = self.hasher.hash_one(awaited.subject());
        let entry = self.by_subject.find_entry(hash, |other| other.number == awaited.number);
        entry.map(|entry| drop(entry.remove())).is_ok()
    }

    /// Notes when `awaited` is to be looked at.
    fn stand(&mut self, awaited: &Arc<Awaited>) {
        let due = awaited.due();
        awaited.stands_at.store(due.nanos(), Ordering::Relaxed);
        self.by_due.insert((due, awaited.number), Arc::clone(awaited));
    }
}

impl Answers {
    /// The request that is answered on `subject`.
    pub(super) fn find(&self, subject: &[u8]) -> Option<Arc<Awaited>> {
        self.expected.lock().find(subject).cloned()
    }

    /// How many requests it is to answer, and how many answers it awaits.
    pub(super) fn counts(&self) -> (usize, usize) {
        let expected = self.expected.lock();
        debug_assert_eq!(expected.by_due.len(), expected.by_subject.len());
        (expected.by_subject.len(), self.awaited_count.load(Ordering::Relaxed))
    }

    fn await_answer(&self, awaited: Arc<Awaited>) -> Vec<Arc<Awaited>> {
        let (importer, mut given_up) = (Arc::clone(&awaited.importer), Vec::new());
        let in_all = importer.common().awaited_bytes();
        let mut table = self.awaited.lock();
        table.bytes += awaited.bytes();
        in_all.fetch_add(awaited.bytes(), Ordering::Relaxed);
        table.by_reply.insert((Arc::clone(&awaited.reply), awaited.number), Arc::clone(&awaited));
        table.by_age.insert(awaited.number, awaited);
        while (table.bytes > AWAITED_BYTES_MAX || in_all.load(Ordering::Relaxed) > SERVER_BYTES_MAX)
            && table.by_age.len() > 1
            && let Some((_, oldest)) = table.by_age.first_key_value()
        {
            let oldest = Arc::clone(oldest);
            table.remove(&oldest);
            given_up.push(oldest);
        }
        self.counted(&table, &importer);
        given_up
    }

    /// Makes known how many answers are awaited, under the lock that decides it.
    fn counted(&self, table: &AwaitedTable, importer: &Account) {
        self.awaited_count.store(table.by_age.len(), Ordering::Relaxed);
        importer.interest().want_departures(!table.by_age.is_empty());
    }

    fn forget_expected(&self, awaited: &Awaited) -> bool {
        let mut expected = self.expected.lock();
        if !expected.remove(awaited) {
            return false;
        }
        let stands_at = Timestamp::from_nanos(awaited.stands_at.load(Ordering::Relaxed));
        expected.by_due.remove(&(stands_at, awaited.number));
        true
    }

    fn forget_awaited(&self, awaited: &Awaited) {
        let mut table = self.awaited.lock();
        table.remove(awaited);
        self.counted(&table, &awaited.importer);
    }

    /// Takes out up to `count` of the requests that are overdue, and gives when to look again.
    pub(super) fn take_overdue(
        &self,
        now: Timestamp,
        count: usize,
    ) -> (Vec<Arc<Awaited>>, Option<Timestamp>) {
        let mut overdue = Vec::new();
        let mut expected = self.expected.lock();
        while overdue.len() < count
            && let Some(entry) = expected.by_due.first_entry()
            && entry.key().0 <= now
        {
            let awaited = entry.remove();
            if awaited.due() > now {
                expected.stand(&awaited);
            } else if expected.remove(&awaited) {
                overdue.push(awaited);
            }
        }
        let next = expected.by_due.first_key_value().map(|(&(at, _), _)| at);
        drop(expected);
        overdue.iter().for_each(|awaited| awaited.importer.answers().forget_awaited(awaited));
        (overdue, next)
    }

    /// The requests whose answers are awaited where `pattern` was subscribed to.
    pub(super) fn awaited_on(&self, pattern: &[u8]) -> Vec<Arc<Awaited>> {
        let table = self.awaited.lock();
        let wild = has_wildcard(pattern);
        // Replies that a wildcard covers begin with its tokens before it.
        let literal = if wild { literal_prefix(pattern) } else { pattern };
        let from = (Arc::<[u8]>::from(literal), 0);
        let all = table.by_reply.range((Bound::Included(from), Bound::Unbounded));
        let near = all.take_while(|((reply, _), _)| reply.starts_with(literal)).take(SEARCHED_MAX);
        let fits = |reply: &[u8]| if wild { matches(reply, pattern) } else { reply == pattern };
        // A literal's own come first; those that only begin like it follow.
        let own = near.take_while(|((reply, _), _)| wild || reply.len() == literal.len());
        own.filter(|((reply, _), _)| fits(reply)).map(|(_, awaited)| Arc::clone(awaited)).collect()
    }

    /// Forgets everything, for an account that is no more.
    pub(super) fn end_all(&self) {
        let expected: Vec<_> = self.expected.lock().by_subject.iter().cloned().collect();
        let awaited: Vec<_> = self.awaited.lock().by_age.values().cloned().collect();
        for request in expected.iter().chain(&awaited) {
            request.end();
        }
    }
}

/// What stands before the first wildcard, up to its dot.
fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let literal = tokens(pattern).take_while(|token| !matches!(*token, b"*" | b">"));
    let length: usize = literal.map(|token| token.len() + 1).sum();
    pattern.get(..length).unwrap_or(pattern)
}
