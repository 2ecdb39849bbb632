//! The claims of all accounts in use, and what follows for the others when those of one change (operator
//! mode).
//!
//! What an account imports depends on what the exporters' claims say: whether they export it, to whom, and
//! whether an activation that it needs is good. So a change of one account's claims changes the descriptions
//! of all that import from it.
//!
//! Pure: claims and time come in, descriptions for the registry and lines for the log go out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::claimed::{self, Claimed};
use super::mapping::Mappings;
use super::trust::Trust;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::config::options;
use crate::server::config::read::refused_imports;
use crate::server::jwt::{self, AccountClaims, ActivationClaims, Import, Kind};
use crate::server::log::Level;

/// Accounts that are looked at when imports are followed. Reference: 1024.
const FOLLOWED_MAX: usize = 1024;
/// Shortest time between two updates of an account that nobody sends. Reference: 1 s.
const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// What follows from a change.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// Accounts that are described otherwise now, for the registry.
    pub(super) described: Vec<options::Account>,
    /// What the log is told.
    pub(super) notes: Vec<Note>,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(pub Level, pub String);

/// All accounts in use by their claims.
#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<Box<str>, Entry>,
    /// Who imports from whom, by the exporter.
    importers: HashMap<Box<str>, BTreeSet<Box<str>>>,
    /// When something is over, in an account.
    ends: BTreeSet<(Timestamp, Box<str>)>,
    /// Accounts that are looked up.
    looked_up: HashMap<Box<str>, LookedUp>,
}

/// An account that is looked up.
#[derive(Debug, Default)]
struct LookedUp {
    /// How often at once.
    times: usize,
    /// Claims that came for it meanwhile.
    heard: Option<(AccountClaims, String)>,
}

/// What happens at once to several accounts.
struct Round<'a> {
    /// Those that are not described yet by the claims they got.
    new: BTreeSet<Box<str>>,
    /// Why exporters are not there.
    absent: &'a HashMap<String, String>,
    now: Timestamp,
    /// Accounts that are described otherwise now.
    described: Vec<options::Account>,
}

/// A new account whose exporters are described before it.
struct TakenUp {
    name: Box<str>,
    /// Those that were not looked at yet.
    exporters: std::vec::IntoIter<Box<str>>,
    /// What the log is told of the others.
    told: HashMap<Box<str>, Vec<Note>>,
}

#[derive(Debug)]
struct Entry {
    claimed: Claimed,
    described: options::Account,
    /// It could not import all that it claims, when that was last told.
    is_incomplete: bool,
    /// The accounts that did not let it, and have not come again since.
    awaits: BTreeSet<Box<str>>,
    updated: Timestamp,
    /// When the first of its activations is over.
    activation_ends: Option<Timestamp>,
    /// It has been told that the account is over.
    is_expired: bool,
}

impl Book {
    /// No account is in use.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether an account is in use.
    #[must_use]
    pub(super) fn knows(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The claims of an account in use.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&Claimed> {
        self.entries.get(name).map(|entry| &entry.claimed)
    }

    /// Whether nothing would come of these claims: the account has them, and all that it imports.
    #[must_use]
    pub(super) fn has(&self, name: &str, token: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| {
            !entry.is_incomplete && !entry.claimed.is_deleted() && entry.claimed.token() == token
        })
    }

    /// Whether an account was updated so shortly ago that it is not looked up again.
    #[must_use]
    pub(super) fn is_fresh(&self, name: &str, now: Timestamp) -> bool {
        let fresh = |entry: &Entry| !entry.is_incomplete && now.since(entry.updated) < UPDATE_INTERVAL;
        self.entries.get(name).is_some_and(fresh)
    }

    /// The accounts that these claims import from and that are not in use yet.
    #[must_use]
    pub(super) fn missing(&self, claims: &AccountClaims) -> Vec<String> {
        let exporters = claims.nats.imports.iter().flatten().map(|import| import.account.as_str());
        let missing: BTreeSet<&str> = exporters.filter(|name| !self.knows(name)).collect();
        missing.into_iter().map(str::to_owned).collect()
    }

    /// A look-up of an account begins: claims that come for it are heard until it ends.
    pub(super) fn begin_look_up(&mut self, name: &str) {
        self.looked_up.entry(name.into()).or_default().times += 1;
    }

    /// A look-up of an account is over, and what was found is in force.
    pub(super) fn end_look_up(&mut self, name: &str) {
        if let Some(looked_up) = self.looked_up.get_mut(name) {
            looked_up.times -= 1;
            if looked_up.times == 0 {
                self.looked_up.remove(name);
            }
        }
    }

    /// Whether an account is looked up.
    #[must_use]
    pub(super) fn is_looked_up(&self, name: &str) -> bool {
        self.looked_up.contains_key(name)
    }

    /// Claims came for an account; where it is looked up they count, not what is found.
    pub(super) fn hear(&mut self, claims: AccountClaims, token: String) {
        if let Some(looked_up) = self.looked_up.get_mut(claims.envelope.subject.as_str()) {
            looked_up.heard = Some((claims, token));
        }
    }

    /// What is to be put in force of claims that look-ups found: a look-up takes long, and others may have come
    /// meanwhile. Only what is missing or over is looked up, so claims in force that are neither came later,
    /// and stay if they are not older.
    pub(super) fn latest(
        &self,
        mut found: Vec<(AccountClaims, String)>,
        now: Timestamp,
    ) -> Vec<(AccountClaims, String)> {
        for one in &mut found {
            let looked_up = self.looked_up.get(one.0.envelope.subject.as_str());
            if let Some(heard) = looked_up.and_then(|looked_up| looked_up.heard.as_ref()) {
                one.clone_from(heard);
            }
        }
        found.retain(|(claims, _)| {
            let envelope = &claims.envelope;
            self.get(&envelope.subject)
                .is_none_or(|own| own.is_expired(now) || own.claims().envelope.issued_at < envelope.issued_at)
        });
        found
    }

    /// Takes claims that were verified, in the order in which they were wanted. `absent` says why an account
    /// that they import from is not there.
    pub(super) fn put(
        &mut self,
        claims: Vec<(AccountClaims, String)>,
        absent: &HashMap<String, String>,
        trust: &Trust,
        now: Timestamp,
    ) -> Change {
        let mut wanted = Vec::with_capacity(claims.len());
        for (claims, token) in claims {
            wanted.push(Box::from(claims.envelope.subject.as_str()));
            let entry = Entry {
                described: claimed::described(&claims),
                claimed: Claimed::new(claims, &token, trust),
                is_incomplete: false,
                awaits: BTreeSet::new(),
                updated: now,
                activation_ends: None,
                is_expired: false,
            };
            self.insert(entry);
        }
        let changed: BTreeSet<Box<str>> = wanted.iter().cloned().collect();
        let mut round = Round { new: changed.clone(), absent, now, described: Vec::new() };
        let mut notes = Vec::new();
        for name in &wanted {
            notes.append(&mut self.take_up(name, &mut round));
        }
        for importer in self.importers_of(&changed) {
            notes.append(&mut self.follow(&importer, &changed, &mut round));
        }
        Change { described: round.described, notes }
    }

    /// Describes an account that is new in this round, after those of its exporters that are new as well;
    /// gives what the log is told of them.
    fn take_up(&mut self, name: &str, round: &mut Round<'_>) -> Vec<Note> {
        // No calls of itself: how long a chain of exporters is, others say.
        let mut chain: Vec<TakenUp> = self.begin(name, round).into_iter().collect();
        while let Some(last) = chain.last_mut() {
            if let Some(exporter) = last.exporters.next() {
                chain.extend(self.begin(&exporter, round));
                continue;
            }
            let Some(TakenUp { name, told, .. }) = chain.pop() else { break };
            let notes = self.describe(&name, told, round);
            match chain.last_mut() {
                None => return notes,
                Some(_) if notes.is_empty() => {}
                Some(importer) => {
                    importer.told.insert(name, notes);
                }
            }
        }
        Vec::new()
    }

    /// Begins to take up an account, if it is new in this round.
    fn begin(&self, name: &str, round: &mut Round<'_>) -> Option<TakenUp> {
        let entry = self.entries.get(name).filter(|_| round.new.remove(name))?;
        let exporters: Vec<Box<str>> = exporters(entry).map(Box::from).collect();
        Some(TakenUp { name: name.into(), exporters: exporters.into_iter(), told: HashMap::new() })
    }

    /// Describes an account anew that imports from one that changed. The log is told where it had waited for
    /// that one.
    fn follow(&mut self, name: &str, changed: &BTreeSet<Box<str>>, round: &mut Round<'_>) -> Vec<Note> {
        let Some(entry) = self.entries.get(name) else { return Vec::new() };
        let came: Vec<Box<str>> = entry.awaits.intersection(changed).cloned().collect();
        let (was_incomplete, awaits) = (entry.is_incomplete, entry.awaits.clone());
        let mut notes = self.describe(name, HashMap::new(), round);
        if came.is_empty() {
            self.change(name, |entry| {
                entry.is_incomplete &= was_incomplete;
                entry.awaits = awaits;
            });
            return Vec::new();
        }
        if let Some(entry) = self.entries.get_mut(name) {
            let label = entry.claimed.label();
            // As the reference: that is told once.
            notes.extend(came.into_iter().filter(|exporter| entry.awaits.remove(exporter)).map(|exporter| {
                Note(Level::Error, format!("Account {label} has issues importing account {exporter}"))
            }));
        }
        notes
    }

    /// Forgets an account. Those that import from it lose that.
    pub(super) fn remove(&mut self, name: &str, now: Timestamp) -> Change {
        let Some(old) = self.entries.remove(name) else { return Change::default() };
        self.unlist(name, &old);
        let gone = BTreeSet::from([Box::from(name)]);
        self.describe_quietly(self.importers_of(&gone), now)
    }

    /// Closes an account whose claims were deleted where they are kept: until it gets others nobody can be in
    /// it, and it takes nothing of others. What it exports stays, for those who import it.
    pub(super) fn close(&mut self, name: &str, now: Timestamp) -> Change {
        let Some(mut entry) = self.entries.remove(name) else { return Change::default() };
        self.unlist(name, &entry);
        entry.claimed = entry.claimed.deleted();
        entry.updated = now;
        (entry.is_expired, entry.activation_ends) = (true, None);
        entry.described.imports.clear();
        let nothing = Some(0);
        entry.described.limits = options::AccountLimits {
            max_connections: nothing,
            max_subscriptions: nothing,
            max_payload: nothing,
            max_leafnodes: nothing,
        };
        let described = vec![entry.described.clone()];
        self.entries.insert(name.into(), entry);
        Change { described, notes: Vec::new() }
    }

    /// When the first activation or account is over, and [`Self::expire`] wants to be called.
    #[must_use]
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Takes an entry in. Imports that stood until now do so for the others, until they are looked at.
    fn insert(&mut self, mut entry: Entry) {
        let name: Box<str> = entry.described.name.as_str().into();
        if let Some(old) = self.entries.remove(&name) {
            self.unlist(&name, &old);
            entry.described.imports = old.described.imports;
        }
        for exporter in exporters(&entry) {
            self.importers.entry(exporter.into()).or_default().insert(name.clone());
        }
        self.ends.extend(entry.ends().map(|end| (end, name.clone())));
        self.entries.insert(name, entry);
    }

    /// Takes an entry that is gone out of the lists.
    fn unlist(&mut self, name: &str, old: &Entry) {
        for exporter in exporters(old) {
            if let Some(importers) = self.importers.get_mut(exporter) {
                importers.remove(name);
                if importers.is_empty() {
                    self.importers.remove(exporter);
                }
            }
        }
        if let Some(end) = old.ends() {
            self.ends.remove(&(end, name.into()));
        }
    }

    /// Describes anew the accounts with activations that are over; also gives the accounts that are over
    /// themselves since this was last asked.
    pub(super) fn expire(&mut self, now: Timestamp) -> (Change, Vec<Box<str>>) {
        let (mut expired, mut names) = (Vec::new(), Vec::new());
        while let Some((_, name)) = self.ends.first().filter(|(end, _)| *end <= now).cloned() {
            let Some(entry) = self.entries.get(&name) else {
                self.ends.pop_first();
                continue;
            };
            if entry.activation_ends.is_some_and(|until| until <= now) {
                names.push(name.clone());
            }
            let is_over = entry.claimed.is_expired(now) && !entry.is_expired;
            self.change(&name, |entry| {
                entry.is_expired |= is_over;
                entry.activation_ends = entry.activation_ends.filter(|until| *until > now);
            });
            expired.extend(is_over.then_some(name));
        }
        (self.describe_quietly(names, now), expired)
    }

    fn importers_of(&self, exporters: &BTreeSet<Box<str>>) -> Vec<Box<str>> {
        let importers = exporters.iter().filter_map(|exporter| self.importers.get(exporter)).flatten();
        let others: BTreeSet<&Box<str>> = importers.filter(|name| !exporters.contains(*name)).collect();
        others.into_iter().cloned().collect()
    }

    /// Changes when something is over in an account.
    fn change(&mut self, name: &str, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let before = entry.ends();
        change(entry);
        let after = entry.ends();
        if before != after {
            self.ends.extend(after.map(|end| (end, name.into())));
            if let Some(end) = before {
                self.ends.remove(&(end, name.into()));
            }
        }
    }

    /// Describes accounts anew without a word, as the reference ends and begins imports that were told of.
    fn describe_quietly(&mut self, names: Vec<Box<str>>, now: Timestamp) -> Change {
        let absent = HashMap::new();
        let mut round = Round { new: BTreeSet::new(), absent: &absent, now, described: Vec::new() };
        for name in names {
            self.follow(&name, &BTreeSet::new(), &mut round);
        }
        Change { described: round.described, notes: Vec::new() }
    }

    /// Describes an account by what all claims say now; gives what the log is told. `told` is what it is told
    /// of exporters, before the first import of each.
    fn describe(
        &mut self,
        name: &str,
        told: HashMap<Box<str>, Vec<Note>>,
        round: &mut Round<'_>,
    ) -> Vec<Note> {
        let open = self.entries.get(name).filter(|entry| !entry.claimed.is_deleted());
        let Some(entry) = open else { return Vec::new() };
        let outcome = self.outcome(entry, told, round.absent, round.now);
        round.described.push(outcome.described.clone());
        self.change(name, |entry| {
            entry.is_incomplete = !outcome.lacks.is_empty();
            entry.awaits = outcome.lacks;
            entry.activation_ends = outcome.activation_ends;
            entry.described = outcome.described;
        });
        outcome.notes
    }

    fn outcome(
        &self,
        entry: &Entry,
        mut told: HashMap<Box<str>, Vec<Note>>,
        absent: &HashMap<String, String>,
        now: Timestamp,
    ) -> Outcome {
        let claims = entry.claimed.claims();
        let label = entry.claimed.label();
        let mut outcome = Outcome::begin(claims, &label);
        for import in claims.nats.imports.iter().flatten() {
            outcome.notes.extend(told.remove(import.account.as_str()).unwrap_or_default());
            let Some(exporter) = self.entries.get(import.account.as_str()) else {
                let Import { account, subject, kind, .. } = import;
                let reason = absent.get(account).map_or("account missing", String::as_str);
                let kind = kind.as_str();
                let text = format!(
                    "Can't locate account [{account}] for import of [{subject}] {kind} (err={reason})"
                );
                outcome.fails(account, Level::Error, text);
                continue;
            };
            let adding = adding(import, &exporter.claimed.label(), &label);
            outcome.notes.push(Note(Level::Debug, adding));
            match activation(import, &exporter.claimed, &claims.envelope.subject, now) {
                Activation::NotNeeded => {}
                Activation::Good(ends) => {
                    outcome.activation_ends = [outcome.activation_ends, ends].into_iter().flatten().min();
                }
                Activation::Bad => {
                    let kind = import.kind.as_str();
                    let reason = format!("{kind} import not authorized");
                    outcome.fails(&import.account, Level::Debug, error_adding(import, &label, &reason));
                    continue;
                }
            }
            outcome.described.imports.push(claimed::import(import));
        }
        let followed = self.followed(&outcome.described);
        let refused = refused_imports(followed.iter().copied(), &outcome.described);
        for (at, reason) in refused.into_iter().rev() {
            let import = outcome.described.imports.remove(at);
            let kind = match import.kind {
                options::ImportKind::Stream { .. } => "stream",
                options::ImportKind::Service { .. } => "service",
            };
            let text = format!("Error adding {kind} import to account [{label}]: {reason}");
            outcome.fails(&import.account, Level::Debug, text);
        }
        outcome
    }

    /// The accounts that imports lead to, directly or through others.
    fn followed(&self, importer: &options::Account) -> Vec<&options::Account> {
        let mut found: Vec<&options::Account> = Vec::new();
        let mut names = BTreeSet::from([importer.name.as_str()]);
        let mut next: Vec<&options::Import> = importer.imports.iter().collect();
        while let Some(import) = next.pop() {
            if found.len() < FOLLOWED_MAX
                && names.insert(&import.account)
                && let Some(entry) = self.entries.get(import.account.as_str())
            {
                next.extend(&entry.described.imports);
                found.push(&entry.described);
            }
        }
        found
    }
}

impl Entry {
    /// When the first thing in it is over.
    fn ends(&self) -> Option<Timestamp> {
        let account = self.claimed.expires().filter(|_| !self.is_expired);
        [self.activation_ends, account].into_iter().flatten().min()
    }
}

fn exporters(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.claimed.claims().nats.imports.iter().flatten().map(|import| import.account.as_str())
}

/// What becomes of one account.
struct Outcome {
    described: options::Account,
    notes: Vec<Note>,
    lacks: BTreeSet<Box<str>>,
    activation_ends: Option<Timestamp>,
}

impl Outcome {
    /// What claims say of the account alone: all but its imports.
    fn begin(claims: &AccountClaims, label: &str) -> Self {
        let mut described = claimed::described(claims);
        let (key, name) = (&claims.envelope.subject, &claims.envelope.name);
        let mut notes = vec![Note(Level::Debug, format!("Updating account claims: {key}/{name}"))];
        // A mapping that is none does not keep the others from being in force.
        described.mappings.retain(|mapping| match Mappings::new(std::slice::from_ref(mapping), None) {
            Ok(_) => true,
            Err(error) => {
                let source = quote(&mapping.source);
                let text = format!("Error adding subject mapping {source} for account [{label}]: {error}");
                notes.push(Note(Level::Error, text));
                false
            }
        });
        notes.extend(claims.nats.exports.iter().flatten().map(|export| {
            let (kind, subject) = (export.kind.as_str(), quote(export.subject.as_str()));
            Note(Level::Debug, format!("Adding {kind} export {subject} for {label}"))
        }));
        Self { described, notes, lacks: BTreeSet::new(), activation_ends: None }
    }

    fn fails(&mut self, exporter: &str, level: Level, text: String) {
        self.lacks.insert(exporter.into());
        self.notes.push(Note(level, text));
    }
}

fn adding(import: &Import, exporter: &str, importer: &str) -> String {
    let Import { subject, to, local_subject, kind, .. } = import;
    let (from, to) = match (kind, local_subject.is_unset()) {
        (Kind::Service, false) => (local_subject, subject),
        (_, false) => (subject, local_subject),
        (_, true) => (subject, to),
    };
    let (from, to) = (quote(from.as_str()), quote(to.as_str()));
    format!("Adding {} import {exporter}:{from} for {importer}:{to}", kind.as_str())
}

fn error_adding(import: &Import, importer: &str, reason: &str) -> String {
    format!("Error adding {} import to account [{importer}]: {reason}", import.kind.as_str())
}

/// What an import needs beside an export.
enum Activation {
    /// Nothing.
    NotNeeded,
    /// An activation, and it has a good one, which ends then.
    Good(Option<Timestamp>),
    /// An activation, and it has no good one.
    Bad,
}

fn activation(import: &Import, exporter: &Claimed, importer: &str, now: Timestamp) -> Activation {
    let remote = match import.kind {
        Kind::Service if import.local_subject.is_unset() && !import.to.is_unset() => &import.to,
        _ => &import.subject,
    };
    let exports =
        || exporter.claims().nats.exports.iter().flatten().filter(|export| export.kind == import.kind);
    let own = exports().find(|export| export.subject == *remote);
    let Some(export) = own.or_else(|| exports().find(|export| remote.is_contained_in(&export.subject)))
    else {
        // Nothing is exported: that is told elsewhere.
        return Activation::NotNeeded;
    };
    if !export.token_required || export.account_token_position > 0 {
        return Activation::NotNeeded;
    }
    match good_activation(import, export, exporter, importer, now) {
        Some(claim) => Activation::Good(claim.envelope.ends()),
        None => Activation::Bad,
    }
}

fn good_activation(
    import: &Import,
    export: &jwt::Export,
    exporter: &Claimed,
    importer: &str,
    now: Timestamp,
) -> Option<ActivationClaims> {
    if import.token.is_empty() || import.is_refused(importer) {
        return None;
    }
    let claim = ActivationClaims::decode(&import.token).ok()?;
    let account = &claim.nats.issuer_account;
    let is_trusted = account.is_empty()
        || *account == exporter.claims().envelope.subject
            && exporter.signer(&claim.envelope.issuer).is_some();
    let is_over = claim.envelope.ends().is_some_and(|end| end <= now);
    let is_revoked = export.revocations.is_revoked(&claim.envelope.subject, claim.envelope.issued_at);
    let is_good = is_trusted && !claim.validate(now).is_blocking(true) && !is_over && !is_revoked;
    is_good.then_some(claim)
}

#[cfg(test)]
#[path = "book_test.rs"]
mod tests;
