//! What an account offers as services, and what it takes of others' services.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::state::Account;
use crate::server::config::options::{self, ExportKind, ImportKind, ResponseType, ServiceLatency};
use crate::server::interest::Subscription;
use crate::server::protocol::subject::{has_wildcard, is_subset};
use crate::server::protocol::transform::{Transform, TransformError, Use, with_references, with_wildcards};

/// How long an answer is awaited where the export says nothing. Reference: 2 min.
const THRESHOLD: Duration = Duration::from_secs(120);

/// One exported service.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceExport {
    subject: Box<[u8]>,
    /// How many answers a request gets.
    pub response_type: ResponseType,
    /// How long an answer is awaited.
    pub threshold: Duration,
    /// Which requests are measured, and where the figures go.
    pub latency: Option<ServiceLatency>,
    /// Traces of messages go on beyond the export.
    pub allows_trace: bool,
}

/// The services that `described` offers; a subject that is there twice is one service.
pub(super) fn service_exports(described: &options::Account) -> Vec<Arc<ServiceExport>> {
    let mut exports: Vec<ServiceExport> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for export in &described.exports {
        let ExportKind::Service { response_type, threshold, latency, allow_trace } = &export.kind else {
            continue;
        };
        let new = ServiceExport {
            subject: export.subject.as_bytes().into(),
            response_type: *response_type,
            threshold: threshold.unwrap_or(THRESHOLD),
            latency: latency.clone(),
            allows_trace: *allow_trace,
        };
        let place = *places.entry(&export.subject).or_insert(exports.len());
        match exports.get_mut(place) {
            Some(other) => *other = new,
            None => exports.push(new),
        }
    }
    exports.into_iter().map(Arc::new).collect()
}

/// The export that a subject of the exporter belongs to: its own, or the first that covers it.
fn export_of(exports: &[Arc<ServiceExport>], subject: &[u8]) -> Option<Arc<ServiceExport>> {
    let own = exports.iter().find(|export| *export.subject == *subject);
    own.or_else(|| exports.iter().find(|export| is_subset(subject, &export.subject))).cloned()
}

/// One imported service.
#[derive(Debug)]
pub struct ServiceImport {
    exporter: Arc<Account>,
    export: Arc<ServiceExport>,
    local: Box<[u8]>,
    remote: Remote,
    shares: bool,
}

/// What a request is called in the exporter's account.
#[derive(Debug, PartialEq)]
enum Remote {
    /// As here.
    Same,
    Literal(Box<[u8]>),
    Transform(Transform),
}

impl ServiceImport {
    fn new(
        exporter: &Arc<Account>,
        export: Arc<ServiceExport>,
        local: &[u8],
        remote: &[u8],
        shares: bool,
    ) -> Result<Self, TransformError> {
        let exporter = Arc::clone(exporter);
        if !has_wildcard(remote) {
            let same = local == remote;
            let remote = if same { Remote::Same } else { Remote::Literal(remote.into()) };
            return Ok(Self { exporter, export, local: local.into(), remote, shares });
        }
        if local == remote {
            return Ok(Self { exporter, export, local: local.into(), remote: Remote::Same, shares });
        }
        // Written so that only the local subject refers to wildcards; used the other way.
        let back = Transform::new(&with_wildcards(remote), &with_references(local), Use::Import)?;
        let back = back.ok_or(TransformError::InvalidSubject)?;
        // One that uses a wildcard twice doesn't lead back. The reference starts all the same, and asks
        // for the pattern itself, which only its subscribers hear.
        let way = back.reverse_as_written();
        let remote = way.map_or_else(|| Remote::Literal(remote.into()), Remote::Transform);
        Ok(Self { exporter, export, local: with_wildcards(local).into(), remote, shares })
    }

    /// The account that serves.
    pub fn exporter(&self) -> &Arc<Account> {
        &self.exporter
    }

    /// What it serves.
    pub fn export(&self) -> &Arc<ServiceExport> {
        &self.export
    }

    /// Whether the exporter learns who asks.
    pub fn shares(&self) -> bool {
        self.shares
    }

    /// The subject that requests are sent to here.
    pub(super) fn local(&self) -> &[u8] {
        &self.local
    }

    /// What a request to `subject` here is called in the exporter's account.
    pub fn rename<'s>(&'s self, subject: &'s [u8]) -> Cow<'s, [u8]> {
        match &self.remote {
            Remote::Same => Cow::Borrowed(subject),
            Remote::Literal(remote) => Cow::Borrowed(remote),
            Remote::Transform(transform) => {
                let mut out = Vec::with_capacity(transform.destination().len() + subject.len());
                // Imports use no chance.
                transform.apply(subject, &mut |_| 0, &mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Whether requests are sent on alike; the export may have changed.
    fn same_way(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exporter, &other.exporter)
            && self.local == other.local
            && self.remote == other.remote
    }
}

/// The service imports of `described`; `find` knows the exporting accounts and what they offer. Whether
/// an import is permitted was checked with the options.
pub(super) fn service_imports<'e>(
    described: &options::Account,
    find: impl Fn(&str) -> Option<(Arc<Account>, &'e [Arc<ServiceExport>])>,
) -> Result<Vec<ServiceImport>, TransformError> {
    let mut imports = Vec::new();
    for import in &described.imports {
        let ImportKind::Service { to, share } = &import.kind else { continue };
        let Some((exporter, exports)) = find(&import.account) else { continue };
        let remote = import.subject.as_bytes();
        let Some(export) = export_of(exports, remote) else { continue };
        let local = to.as_ref().map_or(remote, String::as_bytes);
        imports.push(ServiceImport::new(&exporter, export, local, remote, *share)?);
    }
    Ok(imports)
}

/// The service imports in force, by number. A subscription in the account's interest names the number;
/// one that is not here any more, of a result that was looked up before, leads nowhere.
#[derive(Debug, Default)]
pub(super) struct ServiceTable {
    /// By growing number.
    entries: Vec<Entry>,
    next: u32,
}

#[derive(Debug, Clone)]
struct Entry {
    number: u32,
    import: Arc<ServiceImport>,
    subscription: Subscription,
}

impl ServiceTable {
    /// The import with this number.
    pub(super) fn find(&self, number: u32) -> Option<&Arc<ServiceImport>> {
        let at = self.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.entries.get(at).map(|entry| &entry.import)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The table after a change to `imports`, where `subscribe` makes the subscription of a number.
    /// Imports that stay keep their number and subscription, so that no request is lost on the way.
    pub(super) fn changed(
        &self,
        imports: Vec<ServiceImport>,
        mut subscribe: impl FnMut(u32, &ServiceImport) -> Subscription,
    ) -> Self {
        let mut table = Self { entries: Vec::with_capacity(imports.len()), next: self.next };
        let mut present: HashMap<&[u8], Vec<&Entry>> = HashMap::new();
        for entry in &self.entries {
            present.entry(entry.import.local()).or_default().push(entry);
        }
        for import in imports {
            // Each of those present is one of the new ones at most: two may be alike.
            let stays = present.get_mut(import.local()).and_then(|alike| {
                let at = alike.iter().position(|entry| entry.import.same_way(&import))?;
                Some(alike.swap_remove(at))
            });
            let (number, subscription) = match stays {
                Some(entry) => (entry.number, entry.subscription.clone()),
                None => {
                    table.next += 1;
                    (table.next, subscribe(table.next, &import))
                }
            };
            table.entries.push(Entry { number, import: Arc::new(import), subscription });
        }
        table.entries.sort_by_key(|entry| entry.number);
        table
    }

    /// The subscriptions that `other` has not.
    pub(super) fn not_in(&self, other: &Self) -> Vec<Subscription> {
        let gone = self.entries.iter().filter(|entry| other.find(entry.number).is_none());
        gone.map(|entry| entry.subscription.clone()).collect()
    }
}
