//! What accounts offer to and take from each other: checked once all of them are known.
//!
//! An import needs an export that covers it and is open to the importer, and must not lead back to
//! where it came from. The whole account block stands as the place of these findings, as in the
//! reference. Exports count in the order of the file, all streams before all services.

use std::collections::{BTreeSet, HashMap};

use crate::server::base::quote::quote;
use crate::server::config::options::{
    Account, Export, ExportKind, GLOBAL_ACCOUNT, Import, ImportKind, LatencySampling, Options, ResponseType,
    ServiceLatency,
};
use crate::server::config::value::Pos;

use super::context::Context;
use super::imports::local_subject;
use super::subjects::{
    check_import, collide, is_literal, is_publishable, is_subject, is_subset, with_wildcards,
};

/// Accounts that a search for cycles visits before it gives up.
const CYCLE_DEPTH_MAX: usize = 1024;

/// Checks all exports and imports; findings stand at `pos`.
pub(super) fn check(context: &mut Context<'_>, pos: &Pos, options: &Options) {
    let mut world = World::new(options);
    let mut fail = |text: String| context.error(pos, text);
    for stream_first in [true, false] {
        for account in &options.accounts {
            for export in account.exports.iter().filter(|export| is_stream(export) == stream_first) {
                world.export(account, export, &mut fail);
            }
        }
    }
    for stream_first in [true, false] {
        for account in &options.accounts {
            for import in &account.imports {
                if matches!(import.kind, ImportKind::Stream { .. }) == stream_first
                    && let Err(text) = world.import(account, import)
                {
                    fail(text);
                }
            }
        }
    }
    // Latency samples go through the system account.
    if context.no_system_account {
        for export in options.accounts.iter().flat_map(|account| &account.exports) {
            if let ExportKind::Service { latency: Some(_), .. } = export.kind {
                let subject = quote(&export.subject);
                let text =
                    format!("Error adding service latency sampling for {subject}: system account not setup");
                context.error(pos, text);
            }
        }
    }
}

const fn is_stream(export: &Export) -> bool {
    matches!(export.kind, ExportKind::Stream)
}

/// Who may import a subject.
#[derive(Default)]
struct Access<'a> {
    /// Position of the token that must be the importer's name, from 1; 0 is none.
    token_position: usize,
    /// Empty without a position: everyone.
    accounts: BTreeSet<&'a str>,
    response_type: ResponseType,
}

impl Access<'_> {
    fn admits(&self, importer: &str, subject: &str, exact: bool) -> bool {
        if self.token_position > 0 {
            // Where export and import are the same text, the position has nothing to hold.
            return !exact && subject.split('.').nth(self.token_position - 1) == Some(importer);
        }
        self.accounts.is_empty() || self.accounts.contains(importer)
    }
}

/// One import as the search for cycles sees it.
struct Link {
    /// Where it comes from.
    account: String,
    /// The exporter's subject.
    from: String,
    /// The subject here.
    to: String,
}

/// One account's exports and accepted imports.
#[derive(Default)]
struct Offer<'a> {
    streams: Vec<(&'a str, Access<'a>)>,
    services: Vec<(&'a str, Access<'a>)>,
    stream_imports: Vec<Link>,
    service_imports: Vec<Link>,
}

/// Which imports of `importer` cannot stand, and why; told by their place in its list. `known` are the
/// accounts that its imports lead to, directly or through others, with imports that stand.
///
/// That an account is admitted to what it imports is looked at as far as exports say it: activations are not.
pub fn refused_imports<'a>(
    known: impl Iterator<Item = &'a Account> + Clone,
    importer: &'a Account,
) -> Vec<(usize, String)> {
    let mut world = World::of(known.clone().chain([importer]));
    for account in known.clone().chain([importer]) {
        for export in &account.exports {
            world.export(account, export, &mut |_| ());
        }
    }
    for account in known.filter(|account| account.name != importer.name) {
        for import in &account.imports {
            let _ = world.admit(account, import);
        }
    }
    let imports = importer.imports.iter().enumerate();
    imports.filter_map(|(at, import)| Some((at, world.admit(importer, import).err()?))).collect()
}

struct World<'a> {
    offers: HashMap<&'a str, Offer<'a>>,
}

type Outcome = Result<(), String>;

impl<'a> World<'a> {
    fn new(options: &'a Options) -> Self {
        let mut world = Self::of(options.accounts.iter());
        // Mappings at the top of the file make the global account known.
        if !options.mappings.is_empty() {
            world.offers.entry(GLOBAL_ACCOUNT).or_default();
        }
        world
    }

    fn of(accounts: impl Iterator<Item = &'a Account>) -> Self {
        Self { offers: accounts.map(|account| (account.name.as_str(), Offer::default())).collect() }
    }

    fn export(&mut self, account: &'a Account, export: &'a Export, fail: &mut impl FnMut(String)) {
        let kind = if is_stream(export) { "stream" } else { "service" };
        let mut admitted = Vec::new();
        for name in export.accounts.iter().flatten() {
            if self.offers.contains_key(name.as_str()) {
                admitted.push(name.as_str());
            } else {
                fail(format!("{} account not defined for {kind} export", quote(name)));
            }
        }
        let subject = quote(&export.subject);
        let position = usize::try_from(export.account_token_position).unwrap_or(usize::MAX);
        if position > 0 && export.subject.split('.').nth(position - 1) != Some("*") {
            return fail(format!("Error adding {kind} export {subject}: sublist: invalid subject"));
        }
        let Some(offer) = self.offers.get_mut(account.name.as_str()) else { return };
        let list = if is_stream(export) { &mut offer.streams } else { &mut offer.services };
        let at = list.iter().position(|(known, _)| *known == export.subject);
        let at = at.unwrap_or_else(|| {
            list.push((&export.subject, Access::default()));
            list.len() - 1
        });
        let Some((_, access)) = list.get_mut(at) else { return };
        if position > 0 || !admitted.is_empty() {
            access.token_position = position;
            access.accounts.extend(admitted);
        }
        let ExportKind::Service { response_type, latency, .. } = &export.kind else { return };
        if *response_type != ResponseType::Singleton {
            access.response_type = *response_type;
        }
        let response_type = access.response_type;
        if let Some(latency) = latency
            && let Err(reason) = check_latency(latency, response_type, offer)
        {
            let results = quote(&latency.subject);
            fail(format!(
                "Error adding service latency sampling for {subject} on subject {results}: {reason}"
            ));
        }
    }

    fn import(&mut self, account: &'a Account, import: &Import) -> Outcome {
        let (kind, doing) = match import.kind {
            ImportKind::Stream { .. } => ("stream", "stream import"),
            ImportKind::Service { .. } => ("service", "service import"),
        };
        if !self.offers.contains_key(import.account.as_str()) {
            return Err(format!("{} account not defined for {kind} import", quote(&import.account)));
        }
        let result = self.admit(account, import);
        result.map_err(|reason| format!("Error adding {doing} {}: {reason}", quote(&import.subject)))
    }

    fn admit(&mut self, account: &'a Account, import: &Import) -> Outcome {
        match &import.kind {
            ImportKind::Stream { prefix, to, .. } => {
                self.import_stream(&account.name, import, prefix.as_deref(), to.as_deref())
            }
            ImportKind::Service { .. } => self.import_service(&account.name, import),
        }
    }

    fn import_stream(
        &mut self,
        name: &str,
        import: &Import,
        prefix: Option<&str>,
        to: Option<&str>,
    ) -> Outcome {
        let from = import.subject.as_str();
        let offer = self.offer(&import.account);
        if !is_subject(from) || !offer.is_some_and(|offer| admits(&offer.streams, name, from)) {
            return Err("stream import not authorized".into());
        }
        let to = match (prefix, to) {
            (Some(prefix), _) if !is_literal(prefix) => {
                return Err("stream import prefix can not contain wildcard tokens".into());
            }
            (Some(prefix), _) => {
                let dot = if prefix.ends_with('.') { "" } else { "." };
                format!("{prefix}{dot}{from}")
            }
            (None, to) => to.unwrap_or(from).to_owned(),
        };
        for subject in [to.as_str(), from] {
            self.check_stream_cycle(&import.account, subject, &mut BTreeSet::from([name.to_owned()]))?;
        }
        let mut seen = to.clone();
        if !is_literal(from) && to != from {
            check_import(from, &to).map_err(|reason| {
                let (from, to) = (quote(from), quote(&to));
                format!("failed to create mapping transform for stream import subject from {from} to {to}: {reason}")
            })?;
            seen = with_wildcards(&to);
        }
        let imports = &mut self.offer_mut(name).ok_or("account missing")?.stream_imports;
        if imports.iter().any(|link| link.account == import.account && link.from == from) {
            return Err("stream import already exists".into());
        }
        imports.push(Link { account: import.account.clone(), from: from.to_owned(), to: seen });
        Ok(())
    }

    fn import_service(&mut self, name: &str, import: &Import) -> Outcome {
        let remote = import.subject.as_str();
        let local = local_subject(import).unwrap_or_default();
        if !is_subject(remote) || !is_subject(&local) {
            return Err("sublist: invalid subject".into());
        }
        let offer = self.offer(&import.account);
        if !offer.is_some_and(|offer| admits(&offer.services, name, remote)) {
            return Err("service import not authorized".into());
        }
        let wild = !is_literal(remote);
        let seen = if wild { with_wildcards(&local) } else { local.clone() };
        self.check_service_cycle(&import.account, &seen, &mut BTreeSet::from([name.to_owned()]))?;
        let imports = &mut self.offer_mut(name).ok_or("account missing")?.service_imports;
        if let Some(twin) = imports.iter().find(|link| link.account == import.account && link.to == local) {
            return Err(format!(
                "duplicate service import subject {}, previously used in import for account {}, subject {}",
                quote(&local),
                quote(&twin.account),
                quote(&twin.from)
            ));
        }
        let mut link = Link { account: import.account.clone(), from: remote.to_owned(), to: local.clone() };
        if wild && remote != local {
            let remote = with_wildcards(remote);
            check_import(&remote, &local).map_err(|reason| {
                let (from, to) = (quote(&local), quote(&remote));
                format!("failed to create mapping transform for service import subject from {from} to {to}: {reason}")
            })?;
            link.from = remote;
            link.to = seen;
        }
        imports.push(link);
        Ok(())
    }

    fn offer(&self, name: &str) -> Option<&Offer<'a>> {
        self.offers.get(name)
    }

    fn offer_mut(&mut self, name: &str) -> Option<&mut Offer<'a>> {
        self.offers.get_mut(name)
    }

    /// Follows service imports from `account` on, by what a request to `subject` becomes there.
    fn check_service_cycle(&self, account: &str, subject: &str, visited: &mut BTreeSet<String>) -> Outcome {
        let imports = self.offer(account).map(|offer| offer.service_imports.as_slice()).unwrap_or_default();
        let follow = |link: &Link| collide(subject, &link.from).then(|| link.to.clone());
        self.follow(account, subject, imports, follow, visited, Self::check_service_cycle)
    }

    /// Follows stream imports from `account` on, as far as it exports `subject` at all.
    fn check_stream_cycle(&self, account: &str, subject: &str, visited: &mut BTreeSet<String>) -> Outcome {
        let Some(offer) = self.offer(account) else { return Ok(()) };
        if !offer.streams.iter().any(|(exported, _)| is_subset(subject, exported)) {
            return if visited.len() >= CYCLE_DEPTH_MAX { Err(TOO_DEEP.into()) } else { Ok(()) };
        }
        let follow = |link: &Link| collide(subject, &link.to).then(|| link.to.clone());
        self.follow(account, subject, &offer.stream_imports, follow, visited, Self::check_stream_cycle)
    }

    fn follow(
        &self,
        account: &str,
        subject: &str,
        imports: &[Link],
        next_subject: impl Fn(&Link) -> Option<String>,
        visited: &mut BTreeSet<String>,
        step: fn(&Self, &str, &str, &mut BTreeSet<String>) -> Outcome,
    ) -> Outcome {
        if visited.len() >= CYCLE_DEPTH_MAX {
            return Err(TOO_DEEP.into());
        }
        for link in imports {
            let Some(next) = next_subject(link) else { continue };
            if visited.contains(&link.account) {
                return Err("import forms a cycle".into());
            }
            visited.insert(account.to_owned());
            let next = if is_subset(&next, subject) { next } else { subject.to_owned() };
            step(self, &link.account, &next, visited)?;
        }
        Ok(())
    }
}

const TOO_DEEP: &str = "search cycle depth exhausted";

fn admits(exports: &[(&str, Access<'_>)], importer: &str, subject: &str) -> bool {
    if let Some((_, access)) = exports.iter().find(|(exported, _)| *exported == subject) {
        return access.admits(importer, subject, true);
    }
    let covering = exports.iter().find(|(exported, _)| is_subset(subject, exported));
    covering.is_some_and(|(_, access)| access.admits(importer, subject, false))
}

/// Samples go to a subject that is no service itself, for services with one answer.
fn check_latency(
    latency: &ServiceLatency,
    response: ResponseType,
    offer: &Offer<'_>,
) -> Result<(), &'static str> {
    debug_assert!(latency.sampling != LatencySampling::Percent(0));
    let results = latency.subject.as_str();
    let is_service = offer.services.iter().any(|(exported, _)| is_subset(results, exported));
    if !is_publishable(results) || is_service {
        return Err("invalid publish subject");
    }
    if response != ResponseType::Singleton {
        return Err("bad service response type");
    }
    Ok(())
}
