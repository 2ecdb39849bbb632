//! The desk of a resolver: takes what is asked of it, by the server and over the system account, gives the
//! orders for the directory, and turns their outcomes into answers.
//!
//! Pure: time and what accounts are in use come in; orders, messages and changes go out. The performer
//! hands each order's outcome back with the order's ticket.

use std::time::Duration;

use super::heads;
use super::index::Sum;
use super::key::AccountKey;
use super::kind::Kind;
use super::lookups::{self, FetchError, Source, Underway};
use super::mem::Memory;
use super::pack;
use super::requests::{self, Answer, Operator, Request, Rules, Verdict};
use super::store::LoadError;
use super::store_task::{Order, Outcome, PEEKS_MAX};
use crate::server::base::clock::Timestamp;
use crate::server::log::Level;

/// What a resolver is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which kind.
    pub kind: Kind,
    /// Whom it takes claims and orders from.
    pub operator: Operator,
    /// The system account, which nobody deletes; empty for none.
    pub system_account: String,
    /// Claims may be deleted.
    pub may_delete: bool,
    /// Time that other servers have for a look-up.
    pub timeout: Duration,
}

impl Settings {
    /// Where claims are looked for that are not at hand.
    const fn source(&self) -> Option<Source> {
        match self.kind {
            Kind::Memory => None,
            Kind::Url => Some(Source::Web),
            Kind::Full | Kind::Cache => Some(Source::Directory { timeout: self.timeout }),
        }
    }
}

/// What happens.
#[derive(Debug)]
pub enum Event<W> {
    /// The server wants an account's claims.
    Asked(String, W),
    /// A request over the system account.
    Request(Letter),
    /// Another server's answer to the question of this number.
    LookedUp(AccountKey, u64, String),
    /// Nobody heard the question of this number.
    Unheard(AccountKey, u64),
    /// Claims that another server sends because ours differ; empty at the end.
    Packed(String),
    /// What came of an order.
    Done(Ticket, Outcome),
    /// The web server answered.
    Fetched(AccountKey, Result<String, String>),
    /// An account in use took an update, or refused it.
    Applied(String, String, Result<(), String>),
    /// It is time to compare with other servers.
    Sync,
    /// It is time to look for claims that are over.
    Expire,
    /// The configuration was loaded again, and brings these claims; these accounts are in use.
    Reload(Vec<(AccountKey, String)>, Vec<AccountKey>),
}

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    /// Its subject.
    pub subject: String,
    /// Where the answer goes; empty where none is wanted.
    pub reply: String,
    /// What stands in it, without headers.
    pub body: Vec<u8>,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<W> {
    /// The directory is to do this; its outcome comes back with the ticket.
    Order(Order, Ticket),
    /// The web server is to be asked.
    Fetch(AccountKey),
    /// The other servers are to be asked for an account; their answers come back with the number.
    AskOthers(AccountKey, u64),
    /// The other servers are to be told the sum of ours; those that differ send what they have.
    AskPacks(Sum),
    /// A message in the system account.
    Reply(String, Body),
    /// Those who wait for claims get them, or learn why not.
    Answer(Vec<W>, Result<String, FetchError>),
    /// An account's claims are these now: if it is in use it is to be updated.
    Changed(AccountKey, String),
    /// The configuration brings these claims for an account in use: if they cannot be used, it is gone.
    Reloaded(AccountKey, String),
    /// An account in use is to be updated, and the result comes back with account and reply subject.
    Apply {
        /// Whose claims.
        account: String,
        /// The claims.
        token: String,
        /// Where the answer goes.
        reply: String,
    },
    /// An account's claims were deleted: if it is in use it is to be closed.
    Deleted(AccountKey),
    /// The configuration brings an account no more: it is to be taken out.
    Gone(AccountKey),
    /// A line for the log.
    Log(Level, String),
}

/// A message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// These bytes.
    Plain(String),
    /// A document that names the server.
    Answer(Answer),
    /// The list of accounts, which names the server.
    List(Vec<AccountKey>),
}

impl Body {
    /// The bytes; `server` is what the server says of itself, as JSON.
    pub fn write(&self, server: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.clone().into_bytes(),
            Self::Answer(answer) => answer.document(server),
            Self::List(accounts) => requests::list_document(accounts, server),
        }
    }
}

/// What an order is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ticket {
    /// A look-up of the server's own.
    Load(AccountKey),
    /// What another server had for such a look-up.
    Keep(AccountKey),
    /// A look-up of somebody else, answered there.
    LookUp(AccountKey, String),
    /// An update: account, claims, and where the answer goes.
    Update(AccountKey, String, String),
    /// A list, answered there.
    List(String),
    /// A deletion, answered there.
    Delete(String),
    /// The sum, for somebody who has this one and wants packs there.
    PackSum(Vec<u8>, String),
    /// The accounts, for somebody who wants packs there, and who has this sum.
    PackAccounts(Vec<u8>, Sum, String),
    /// Lines of a pack for there; these accounts are left.
    PackLines(Vec<AccountKey>, String),
    /// The sum, to be compared with other servers'.
    Sync,
    /// Claims that another server sent.
    Merge,
    /// Nothing comes of it but a line in the log.
    Expire,
    /// Claims that a configuration brings: a reload of the directory tells of them.
    Preload,
    /// The directory was looked through again.
    Reload,
    /// Claims that changed, to be handed to their account.
    Changed(AccountKey),
}

/// One resolver's desk; `W` is whoever waits for claims.
#[derive(Debug)]
pub struct Desk<W> {
    settings: Settings,
    memory: Memory,
    /// Where claims have to be looked for elsewhere.
    lookups: Option<Underway<W>>,
}

impl<W> Desk<W> {
    /// Nothing is asked yet.
    pub fn new(settings: Settings) -> Self {
        let lookups = settings.source().map(Underway::new);
        Self { settings, memory: Memory::default(), lookups }
    }

    /// What it is.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes on as something else. Look-ups that are under way go on where they can be answered still; who
    /// waits for the others is told that they end.
    pub fn turn_into(&mut self, settings: Settings) {
        self.lookups = match (self.lookups.take(), settings.source()) {
            (Some(mut lookups), Some(source)) if lookups.is_like(source) => {
                lookups.look_in(source);
                Some(lookups)
            }
            (_, source) => source.map(Underway::new),
        };
        self.settings = settings;
    }

    /// Keeps preloaded claims, where they are kept in memory.
    pub fn preload(&mut self, key: AccountKey, token: String) {
        self.memory.save(key, token);
    }

    /// When [`Self::expire_lookups`] wants to be called.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.lookups.as_ref()?.deadline()
    }

    /// Gives up look-ups that nobody answered in time.
    pub fn expire_lookups(&mut self, now: Timestamp, out: &mut Vec<Action<W>>) {
        let actions = self.lookups.as_mut().map(|lookups| lookups.expire(now)).unwrap_or_default();
        actions.into_iter().for_each(|action| self.act(action, out));
    }

    /// Takes what happens; `others` servers are known, and `is_known` says whether an account is in use.
    pub fn handle(
        &mut self,
        now: Timestamp,
        others: usize,
        is_known: &dyn Fn(&str) -> bool,
        event: Event<W>,
        out: &mut Vec<Action<W>>,
    ) {
        match event {
            Event::Asked(account, waiter) => self.asked(now, &account, waiter, out),
            Event::Request(letter) => self.request(now, is_known, letter, out),
            Event::LookedUp(key, number, token) => {
                self.look_up(now, others, key, lookups::Event::Replied(number, token), out);
            }
            Event::Unheard(key, number) => {
                self.look_up(now, others, key, lookups::Event::Unheard(number), out);
            }
            Event::Packed(lines) if lines.is_empty() => {}
            Event::Packed(lines) => out.push(Action::Order(Order::Merge(lines), Ticket::Merge)),
            Event::Done(ticket, outcome) => self.done(now, others, is_known, ticket, outcome, out),
            Event::Fetched(key, result) => {
                self.look_up(now, others, key, lookups::Event::Fetched(result), out);
            }
            Event::Applied(account, reply, result) => {
                answer(requests::updated(self.settings.kind.words(), &account, result), reply, out);
            }
            Event::Sync => out.push(Action::Order(Order::Sum, Ticket::Sync)),
            Event::Expire => out.push(Action::Order(Order::Expire, Ticket::Expire)),
            Event::Reload(preloads, in_use) => self.reload(preloads, in_use, out),
        }
    }

    fn reload(
        &mut self,
        preloads: Vec<(AccountKey, String)>,
        in_use: Vec<AccountKey>,
        out: &mut Vec<Action<W>>,
    ) {
        match self.settings.kind {
            Kind::Memory => {
                self.memory = Memory::default();
                preloads.into_iter().for_each(|(key, token)| self.preload(key, token));
                out.extend(in_use.into_iter().map(|key| match self.memory.load(&key) {
                    Some(token) => Action::Reloaded(key, token.to_owned()),
                    None => Action::Gone(key),
                }));
            }
            Kind::Url => {}
            Kind::Full | Kind::Cache => {
                let keep = |(key, token)| Action::Order(Order::SaveIfNewer(key, token), Ticket::Preload);
                out.extend(preloads.into_iter().map(keep));
                out.push(Action::Order(Order::Reload, Ticket::Reload));
            }
        }
    }

    fn asked(&mut self, now: Timestamp, account: &str, waiter: W, out: &mut Vec<Action<W>>) {
        let Some(key) = AccountKey::parse(account) else {
            return out.push(Action::Answer(vec![waiter], Err(FetchError::Name)));
        };
        if self.settings.kind == Kind::Memory {
            let found = self.memory.load(&key).map(str::to_owned).ok_or(FetchError::Missing);
            return out.push(Action::Answer(vec![waiter], found));
        }
        self.look_up(now, 0, key, lookups::Event::Asked(waiter), out);
    }

    fn look_up(
        &mut self,
        now: Timestamp,
        others: usize,
        key: AccountKey,
        event: lookups::Event<W>,
        out: &mut Vec<Action<W>>,
    ) {
        let action = self.lookups.as_mut().and_then(|lookups| lookups.handle(now, others, key, event));
        if let Some(action) = action {
            self.act(action, out);
        }
    }

    fn act(&mut self, action: lookups::Action<W>, out: &mut Vec<Action<W>>) {
        out.push(match action {
            lookups::Action::Load(key) => Action::Order(Order::Load(key), Ticket::Load(key)),
            lookups::Action::AskOthers(key, number) => Action::AskOthers(key, number),
            lookups::Action::Fetch(key) => Action::Fetch(key),
            lookups::Action::Keep(key, token) => {
                Action::Order(Order::SaveIfNewer(key, token), Ticket::Keep(key))
            }
            lookups::Action::Answer(waiting, result) => Action::Answer(waiting, result),
        });
    }

    fn request(
        &mut self,
        now: Timestamp,
        is_known: &dyn Fn(&str) -> bool,
        letter: Letter,
        out: &mut Vec<Action<W>>,
    ) {
        let Letter { subject, reply, body } = letter;
        let Some(request) = Request::parse(&subject) else {
            return out.push(Action::Log(
                Level::Debug,
                format!("DirResolver - request on bad subject {subject:?}"),
            ));
        };
        match request {
            Request::Update(asked) => self.update(now, is_known, asked, body, reply, out),
            Request::Delete => self.delete(&body, reply, out),
            // Nobody waits for these.
            _ if reply.is_empty() => {}
            Request::Lookup(account) => match AccountKey::parse(account) {
                Some(key) => out.push(Action::Order(Order::Load(key), Ticket::LookUp(key, reply))),
                None => {
                    let text =
                        format!("DirResolver - Error looking up account {account:?}: invalid public key");
                    out.push(Action::Log(Level::Error, text));
                }
            },
            Request::List => out.push(Action::Order(Order::List, Ticket::List(reply))),
            Request::Pack => out.push(Action::Order(Order::Sum, Ticket::PackSum(body, reply))),
        }
    }

    fn update(
        &self,
        now: Timestamp,
        is_known: &dyn Fn(&str) -> bool,
        asked: Option<&str>,
        body: Vec<u8>,
        reply: String,
        out: &mut Vec<Action<W>>,
    ) {
        let kind = self.settings.kind;
        let rules = Rules {
            words: kind.words(),
            keeps_all: !kind.updates_known_only(),
            has_directory: kind.has_directory(),
            operator: &self.settings.operator,
        };
        let read = heads::account_head(&body, now);
        let account = match rules.judge(asked, &body, read, is_known) {
            Verdict::Answered(given) => return answer(given, reply, out),
            Verdict::Keep(account) => account,
        };
        // What was read as claims is text.
        let token = String::from_utf8(body).unwrap_or_default();
        if !kind.has_directory() {
            return out.push(Action::Apply { account, token, reply });
        }
        match AccountKey::parse(&account) {
            Some(key) => {
                let order = Order::Save(key, token.clone());
                out.push(Action::Order(order, Ticket::Update(key, token, reply)));
            }
            None => {
                let result = Err("invalid public key".to_owned());
                answer(requests::updated(kind.words(), &account, result), reply, out);
            }
        }
    }

    fn delete(&self, body: &[u8], reply: String, out: &mut Vec<Action<W>>) {
        let Settings { operator, system_account, may_delete, .. } = &self.settings;
        let read = heads::delete_request(body);
        match requests::judge_delete(read, *may_delete, operator, system_account) {
            Ok(keys) => out.push(Action::Order(Order::Delete(keys), Ticket::Delete(reply))),
            Err(refusal) => answer(refusal, reply, out),
        }
    }

    fn done(
        &mut self,
        now: Timestamp,
        others: usize,
        is_known: &dyn Fn(&str) -> bool,
        ticket: Ticket,
        outcome: Outcome,
        out: &mut Vec<Action<W>>,
    ) {
        match (ticket, outcome) {
            (Ticket::Load(key), Outcome::Loaded(result)) => {
                let loaded = self.loaded(result, out);
                self.look_up(now, others, key, lookups::Event::Loaded(loaded), out);
            }
            (Ticket::Keep(key), Outcome::Saved(result)) => {
                let kept = result.map(drop).map_err(|error| error.to_string());
                self.look_up(now, others, key, lookups::Event::Kept(kept), out);
            }
            (Ticket::LookUp(key, reply), Outcome::Loaded(result)) => match self.loaded(result, out) {
                Ok(Some(token)) => out.push(plain(reply, token)),
                Ok(None) => {
                    let text = format!("DirResolver - Could not find account \"{key}\"");
                    out.push(Action::Log(Level::Debug, text));
                    out.push(plain(reply, String::new()));
                }
                Err(error) => {
                    let text = format!("DirResolver - Error looking up account \"{key}\": {error}");
                    out.push(Action::Log(Level::Error, text));
                }
            },
            (Ticket::Update(key, token, reply), Outcome::Saved(result)) => {
                if result == Ok(true) {
                    out.push(Action::Changed(key, token));
                }
                let result = result.map(drop).map_err(|error| error.to_string());
                answer(requests::updated(self.settings.kind.words(), key.as_str(), result), reply, out);
            }
            (Ticket::List(reply), Outcome::Listed(accounts)) => {
                let text = format!("list request responded with {} account ids", accounts.len());
                out.push(Action::Log(Level::Debug, text));
                out.push(Action::Reply(reply, Body::List(accounts)));
            }
            (Ticket::Delete(reply), Outcome::Deleted { gone, count, errors }) => {
                out.extend(gone.into_iter().map(Action::Deleted));
                answer(requests::deleted(count, &errors), reply, out);
            }
            (Ticket::Sync, Outcome::Sum(sum)) => {
                out.push(Action::Log(Level::Debug, format!("DirResolver - Checking store state: {sum:x}")));
                out.push(Action::AskPacks(sum));
            }
            (Ticket::Merge, outcome @ Outcome::Merged { .. }) => merged(outcome, is_known, out),
            (Ticket::Changed(key), Outcome::Loaded(result)) => match result {
                Ok(token) => out.push(Action::Changed(key, token)),
                Err(error) => {
                    let text = format!("DirResolver - Update got error on load: {error}");
                    out.push(Action::Log(Level::Error, text));
                }
            },
            (Ticket::Expire, Outcome::Expired(refused)) => {
                let text = |error| format!("DirResolver - Expired claims stay: {error}");
                out.extend(refused.into_iter().map(|error| Action::Log(Level::Warn, text(error))));
            }
            (Ticket::Reload, Outcome::Reloaded(Ok(changed))) => changed_accounts(changed, is_known, out),
            (Ticket::Reload, Outcome::Reloaded(Err(error))) => {
                out.push(Action::Log(Level::Error, format!("DirResolver - Reload got error: {error}")));
            }
            (Ticket::Preload, Outcome::Saved(Err(error))) => {
                let text = format!("DirResolver - Preloaded claims are not kept: {error}");
                out.push(Action::Log(Level::Warn, text));
            }
            (Ticket::Preload, _) => {}
            (ticket, outcome) => pack(ticket, outcome, out),
        }
    }

    /// Claims that were read; `None` where there are none, or what is there is none.
    fn loaded(
        &self,
        result: Result<String, LoadError>,
        out: &mut Vec<Action<W>>,
    ) -> Result<Option<String>, String> {
        match result {
            Ok(token) => Ok(Some(token)),
            Err(LoadError::Missing(_)) => Ok(None),
            Err(error @ LoadError::Damaged(_)) => {
                out.push(Action::Log(Level::Warn, format!("DirResolver - {error}")));
                Ok(None)
            }
            Err(LoadError::Disk(error)) => Err(error),
        }
    }
}

/// Says what came of a request: in the log, and to who asked.
fn answer<W>(answer: Answer, reply: String, out: &mut Vec<Action<W>>) {
    let (level, text) = answer.log_line();
    out.push(Action::Log(level, text));
    if !reply.is_empty() {
        out.push(Action::Reply(reply, Body::Answer(answer)));
    }
}

fn plain<W>(reply: String, text: String) -> Action<W> {
    Action::Reply(reply, Body::Plain(text))
}

/// Reads claims that changed, for the accounts that are in use.
fn changed_accounts<W>(changed: Vec<AccountKey>, is_known: &dyn Fn(&str) -> bool, out: &mut Vec<Action<W>>) {
    let in_use = changed.into_iter().filter(|key| is_known(key.as_str()));
    out.extend(in_use.map(|key| Action::Order(Order::Load(key), Ticket::Changed(key))));
}

fn merged<W>(outcome: Outcome, is_known: &dyn Fn(&str) -> bool, out: &mut Vec<Action<W>>) {
    let Outcome::Merged { changed, before, after, error } = outcome else { return };
    changed_accounts(changed, is_known, out);
    out.push(match error {
        Some(error) => Action::Log(Level::Error, format!("DirResolver - Merging resulted in error: {error}")),
        None => {
            let text = format!("DirResolver - Merging succeeded and changed {before:x} to {after:x}");
            Action::Log(Level::Debug, text)
        }
    });
}

/// The steps of answering a request for packs: the sum, then the accounts, then their claims bit by bit.
fn pack<W>(ticket: Ticket, outcome: Outcome, out: &mut Vec<Action<W>>) {
    match (ticket, outcome) {
        (Ticket::PackSum(theirs, reply), Outcome::Sum(ours)) => {
            if pack::asked_sum(&theirs) == Some(ours) {
                out.push(plain(reply, String::new()));
                let text = format!("DirResolver - Pack request matches hash {ours:x}");
                return out.push(Action::Log(Level::Debug, text));
            }
            out.push(Action::Order(Order::List, Ticket::PackAccounts(theirs, ours, reply)));
        }
        (Ticket::PackAccounts(theirs, ours, reply), Outcome::Listed(accounts)) => {
            let theirs: String = theirs.iter().map(|byte| format!("{byte:02x}")).collect();
            let text =
                format!("DirResolver - Pack request hash {theirs} - finished responding with hash {ours:x}");
            out.push(Action::Log(Level::Debug, text));
            next_lines(accounts, reply, out);
        }
        (Ticket::PackLines(left, reply), Outcome::Lines(lines)) => {
            out.extend(lines.into_iter().map(|line| plain(reply.clone(), line)));
            next_lines(left, reply, out);
        }
        _ => debug_assert!(false, "an outcome that its order cannot have"),
    }
}

/// Orders the next lines of a pack, or ends it.
fn next_lines<W>(mut accounts: Vec<AccountKey>, reply: String, out: &mut Vec<Action<W>>) {
    if accounts.is_empty() {
        return out.push(plain(reply, String::new()));
    }
    let left = accounts.split_off(accounts.len().min(PEEKS_MAX));
    out.push(Action::Order(Order::Peek(accounts), Ticket::PackLines(left, reply)));
}

#[cfg(test)]
#[path = "desk_test.rs"]
mod tests;
