//! One account: who in it subscribed to what, what it may use, and where its messages are sent on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use super::agenda::Note;
use super::answers::{self, Answers, Awaited, Expectation, Noted};
use super::claimed::Claimed;
use super::common::Common;
use super::connections::Connections;
use super::figures::Figures;
use super::mapping::Mappings;
use super::services::{ServiceExport, ServiceImport, ServiceTable};
use crate::server::base::clock::{SystemClock, Timestamp};
use crate::server::base::rng::Rng;
use crate::server::config::options::AccountLimits;
use crate::server::interest::{Detour, SharedInterest, Subscription};
use crate::server::outbound::Outbound;
use crate::server::protocol::op::Kind;

/// A name space of subjects: messages stay inside, unless exported and imported. It keeps its identity
/// over reloads.
#[derive(Debug)]
pub struct Account {
    name: Arc<str>,
    interest: Arc<SharedInterest>,
    /// When a client at its limit of subscriptions was last reported; nanoseconds.
    limit_reported: AtomicU64,
    limits: ArcSwap<AccountLimits>,
    connections: Connections,
    figures: Figures,
    mappings: ArcSwapOption<Mappings>,
    /// Whether there are mappings. Every message asks, and a look at them costs as much as its parsing.
    is_mapped: AtomicBool,
    /// The server itself speaks in it.
    is_system: bool,
    /// A reload has taken it out: whoever is in it has to go.
    is_removed: AtomicBool,
    common: Arc<Common>,
    /// Where its own messages come from, and its own subscriptions point to.
    outbound: Arc<Outbound>,
    services: ArcSwap<ServiceTable>,
    offers: ArcSwap<Vec<Arc<ServiceExport>>>,
    claimed: ArcSwapOption<Claimed>,
    answers: Answers,
    /// When it is looked at for overdue requests.
    note: Note,
    /// What the subjects of answers to others' requests begin with, once there was one: `_R_.xxxxxx.`
    answer_prefix: OnceLock<Box<[u8]>>,
}

/// How often the log says that a client is at its limit of subscriptions. Reference: 2 s an account.
const LIMIT_REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Characters of each part of an answer's subject. Reference: 6.
const ANSWER_TOKEN_LENGTH: usize = 6;

impl Account {
    /// An account without subscriptions, that shares nothing with others.
    pub fn new(name: &str, interest: SharedInterest) -> Self {
        Self::of_server(name, interest, &Arc::new(Common::new(Arc::new(SystemClock::new()))), false)
    }

    /// An account of the server whose accounts share `common`.
    pub(super) fn of_server(
        name: &str,
        interest: SharedInterest,
        common: &Arc<Common>,
        is_system: bool,
    ) -> Self {
        let name: Arc<str> = name.into();
        interest.report_departures(&name, common.departures());
        Self {
            name,
            interest: Arc::new(interest),
            limit_reported: AtomicU64::new(0),
            limits: ArcSwap::default(),
            connections: Connections::default(),
            figures: Figures::default(),
            mappings: ArcSwapOption::empty(),
            is_mapped: AtomicBool::new(false),
            is_system,
            is_removed: AtomicBool::new(false),
            common: Arc::clone(common),
            outbound: Arc::new(Outbound::without_socket(0, Kind::Account)),
            services: ArcSwap::default(),
            offers: ArcSwap::default(),
            claimed: ArcSwapOption::empty(),
            answers: Answers::default(),
            note: Note::default(),
            answer_prefix: OnceLock::new(),
        }
    }

    /// The account's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is time to report a client at its limit of subscriptions; counts as reported.
    pub fn reports_subscription_limit(&self, now: Timestamp) -> bool {
        let last = Timestamp::from_nanos(self.limit_reported.load(Ordering::Relaxed));
        let due = now.since(last) >= LIMIT_REPORT_INTERVAL;
        if due {
            self.limit_reported.store(now.nanos(), Ordering::Relaxed);
        }
        due
    }

    /// What it may use.
    pub fn limits(&self) -> AccountLimits {
        **self.limits.load()
    }

    /// The claims that it was made of; none where the options describe it.
    pub fn claimed(&self) -> Option<Arc<Claimed>> {
        self.claimed.load_full()
    }

    /// Puts other claims in force; what they describe is put in force by the registry.
    pub fn set_claimed(&self, claimed: Claimed) {
        self.claimed.store(Some(Arc::new(claimed)));
    }

    /// The services that it exports.
    pub(super) fn offers(&self) -> Arc<Vec<Arc<ServiceExport>>> {
        self.offers.load_full()
    }

    /// Puts other exported services in force, for imports that come.
    pub(super) fn set_offers(&self, exports: Vec<Arc<ServiceExport>>) {
        self.offers.store(Arc::new(exports));
    }

    /// Puts other limits in force, for connections that come.
    pub(super) fn set_limits(&self, limits: AccountLimits) {
        let max = limits.max_connections.and_then(|max| usize::try_from(max).ok());
        self.connections.set_max(max.unwrap_or(usize::MAX));
        self.limits.store(Arc::new(limits));
    }

    /// Its clients on this server.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Whether a reload has taken it out.
    pub fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    /// Whether the server itself speaks in it.
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// What it shares with the other accounts of its server.
    pub fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// Where its own messages come from.
    pub fn outbound(&self) -> &Arc<Outbound> {
        &self.outbound
    }

    /// The imported service of this number, which a subscription's detour names.
    pub fn service(&self, number: u32) -> Option<Arc<ServiceImport>> {
        self.services.load().find(number).cloned()
    }

    /// Puts other service imports in force. Not for two at a time.
    pub(super) fn set_services(&self, imports: Vec<ServiceImport>) {
        let old = self.services.load_full();
        if old.is_empty() && imports.is_empty() {
            return;
        }
        // New subscriptions lead nowhere until their table is there, old ones once it is.
        let new = old.changed(imports, |number, import| {
            let detour = Detour::Service(number);
            let sid = number.to_string();
            let outbound = Arc::clone(&self.outbound);
            Subscription::with_detour(outbound, detour, import.local(), None, sid.as_bytes())
        });
        for subscription in new.not_in(&old) {
            // The subject was checked with the options.
            let _ = self.interest.insert(subscription);
        }
        let gone = old.not_in(&new);
        self.services.store(Arc::new(new));
        self.interest.remove_batch(&gone);
    }

    /// Notes a request to a service of this account.
    pub fn expect(self: &Arc<Self>, mut expectation: Expectation<'_>, rng: &mut Rng) -> Noted {
        let prefix = self.answer_prefix.get_or_init(|| self.answer_prefix(rng));
        loop {
            let suffix = if expectation.measured.is_some() { self.common.measured_suffix() } else { "" };
            let subject = [prefix, rng.token(ANSWER_TOKEN_LENGTH).as_bytes(), suffix.as_bytes()].concat();
            let Expectation { exporter, importer, reply, export, measured } = expectation;
            let expected = Expectation { exporter, importer, reply, export, measured };
            match answers::expect(expected, &subject, self.common.number(), self.common.now()) {
                Ok(noted) => {
                    self.common.agenda().note(self, noted.awaited.due());
                    return noted;
                }
                Err(measured) => expectation = Expectation { exporter, importer, reply, export, measured },
            }
        }
    }

    /// What answers' subjects begin with from now on, subscribed to.
    fn answer_prefix(&self, rng: &mut Rng) -> Box<[u8]> {
        let prefix = format!("_R_.{}.", rng.token(ANSWER_TOKEN_LENGTH));
        let pattern = format!("{prefix}>");
        let outbound = Arc::clone(&self.outbound);
        let all = Subscription::with_detour(outbound, Detour::Answer, pattern.as_bytes(), None, b"0");
        // A valid subject.
        let _ = self.interest.insert(all);
        prefix.into_bytes().into()
    }

    /// The request that an answer on `subject` is for.
    pub fn expected(&self, subject: &[u8]) -> Option<Arc<Awaited>> {
        self.answers.find(subject)
    }

    /// Takes out up to `count` of the requests to this account's services that are overdue; the account
    /// is on the agenda for the next.
    pub fn take_overdue(self: &Arc<Self>, now: Timestamp, count: usize) -> Vec<Arc<Awaited>> {
        let (overdue, next) = self.answers.take_overdue(now, count);
        if let Some(next) = next {
            self.common.agenda().note(self, next);
        }
        overdue
    }

    pub(super) fn note(&self) -> &Note {
        &self.note
    }

    /// A subscription to `subject` has ended: takes out the requests whose answers nobody awaits now.
    pub fn take_deserted(&self, subject: &[u8]) -> Vec<Arc<Awaited>> {
        let mut deserted = self.answers.awaited_on(subject);
        deserted.retain(|awaited| !self.interest.has_interest(awaited.reply()) && awaited.end());
        deserted
    }

    /// Requests that it is to answer, and requests that it awaits answers for.
    pub fn pending_requests(&self) -> (usize, usize) {
        self.answers.counts()
    }

    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Ends what it has to do with others: it is no more.
    pub(super) fn part(&self) {
        self.is_removed.store(true, Ordering::Release);
        self.interest.set_imports(Vec::new());
        self.set_services(Vec::new());
        self.answers.end_all();
    }

    /// Puts other subject mappings in force.
    pub fn set_mappings(&self, mappings: Mappings) {
        let is_mapped = !mappings.is_empty();
        self.mappings.store(is_mapped.then(|| Arc::new(mappings)));
        self.is_mapped.store(is_mapped, Ordering::Release);
    }

    /// Where a message to `subject` goes, if not there; see [`Mappings::map`].
    #[inline]
    pub fn map(&self, subject: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        if !self.is_mapped.load(Ordering::Acquire) {
            return None;
        }
        self.mappings.load().as_ref()?.map(subject, rng)
    }

    /// Whether messages to some subjects go to others.
    pub fn is_mapped(&self) -> bool {
        self.is_mapped.load(Ordering::Acquire)
    }

    /// What it calls itself: the name in its claims, or the one that it goes by.
    pub fn name_tag(&self) -> String {
        let named = self.claimed().map(|claimed| claimed.claims().envelope.name.clone());
        named.filter(|name| !name.is_empty()).unwrap_or_else(|| self.name.to_string())
    }

    /// The account as the log names it: by its name, and what its claims call it.
    pub fn label(&self) -> String {
        self.claimed().map_or_else(|| self.name.to_string(), |claimed| claimed.label())
    }

    /// What is counted for it.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Its subscriptions.
    pub fn interest(&self) -> &Arc<SharedInterest> {
        &self.interest
    }
}
