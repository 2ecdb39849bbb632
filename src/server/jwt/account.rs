//! Accounts: what they offer and take, who signs for them, and within which limits they live.

use std::collections::BTreeMap;

use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;

use super::claims::{About, Body, Claim, Claims};
use super::document::{Document, Each, Named, When};
use super::exports::{self, Export, Info};
use super::findings::Findings;
use super::imports::{self, Import};
use super::nkey::{self, KeyKind};
use super::permissions::{Int, NatsLimits, Permissions};
use super::revocation::Revocations;
use super::signing_keys::SigningKeys;
use super::subject::Subject;
use super::{NO_LIMIT, revocation::EVERYBODY};

/// Limits of the whole account; -1 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Imports.
    pub imports: i64,
    /// Exports.
    pub exports: i64,
    /// Exports may have wildcards.
    pub wildcard_exports: bool,
    /// Users must sign.
    pub disallow_bearer: bool,
    /// Client connections.
    pub connections: i64,
    /// Leaf node connections.
    pub leaf_connections: i64,
}

impl AccountLimits {
    /// No limits.
    pub const NONE: Self = Self {
        imports: NO_LIMIT,
        exports: NO_LIMIT,
        wildcard_exports: true,
        disallow_bearer: false,
        connections: NO_LIMIT,
        leaf_connections: NO_LIMIT,
    };
}

impl Document for AccountLimits {
    const TYPE: &'static str = "jwt.AccountLimits";

    fn fields(&mut self, each: Each<'_>) {
        each("imports", When::Any, &mut self.imports);
        each("exports", When::Any, &mut self.exports);
        each("wildcards", When::Any, &mut self.wildcard_exports);
        each("disallow_bearer", When::Any, &mut self.disallow_bearer);
        each("conn", When::Any, &mut self.connections);
        each("leaf", When::Any, &mut self.leaf_connections);
    }
}

/// What JetStream may use. No storage of either kind switches it off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct JetStreamLimits {
    pub memory_storage: i64,
    pub disk_storage: i64,
    pub streams: i64,
    pub consumers: i64,
    pub max_ack_pending: i64,
    pub memory_max_stream_bytes: i64,
    pub disk_max_stream_bytes: i64,
    pub max_bytes_required: bool,
}

impl JetStreamLimits {
    const fn has_storage(&self) -> bool {
        self.memory_storage != 0 || self.disk_storage != 0
    }
}

impl Document for JetStreamLimits {
    const TYPE: &'static str = "jwt.JetStreamLimits";

    fn fields(&mut self, each: Each<'_>) {
        each("mem_storage", When::Any, &mut self.memory_storage);
        each("disk_storage", When::Any, &mut self.disk_storage);
        each("streams", When::Any, &mut self.streams);
        each("consumer", When::Any, &mut self.consumers);
        each("max_ack_pending", When::Any, &mut self.max_ack_pending);
        each("mem_max_stream_bytes", When::Any, &mut self.memory_max_stream_bytes);
        each("disk_max_stream_bytes", When::Any, &mut self.disk_max_stream_bytes);
        each("max_bytes_required", When::Any, &mut self.max_bytes_required);
    }
}

impl Named for JetStreamLimits {
    const LIST: &'static str = "[]jwt.JetStreamLimits";
    const MAP: &'static str = "jwt.JetStreamTieredLimits";
}

/// All limits that an operator sets for an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each connection.
    pub nats: NatsLimits,
    /// Of the account.
    pub account: AccountLimits,
    /// Of JetStream, whatever the number of replicas.
    pub jetstream: JetStreamLimits,
    /// Of JetStream by the number of replicas: `R1`, `R3`. Where there are any, `jetstream` says nothing.
    pub jetstream_tiers: BTreeMap<String, JetStreamLimits>,
}

impl Limits {
    /// No limits, and no JetStream.
    #[must_use]
    pub fn none() -> Self {
        Self { nats: NatsLimits::NONE, account: AccountLimits::NONE, ..Self::default() }
    }

    /// Whether JetStream is on.
    #[must_use]
    pub fn has_jetstream(&self) -> bool {
        if self.jetstream_tiers.is_empty() {
            return self.jetstream.has_storage();
        }
        self.jetstream_tiers.values().any(JetStreamLimits::has_storage)
    }

    fn validate(&self, findings: &mut Findings) {
        if self.jetstream_tiers.is_empty() {
            return;
        }
        if self.jetstream != JetStreamLimits::default() {
            findings.error("JetStream Limits and tiered JetStream Limits are mutually exclusive");
        }
        if self.jetstream_tiers.contains_key("") {
            findings.error("Tiered JetStream Limits can not contain a blank \"\" tier name");
        }
    }
}

impl Document for Limits {
    const TYPE: &'static str = "jwt.OperatorLimits";

    fn fields(&mut self, each: Each<'_>) {
        self.nats.fields(each);
        self.account.fields(each);
        self.jetstream.fields(each);
        each("tiered_limits", When::Any, &mut self.jetstream_tiers);
    }
}

/// One of the subjects that a subject is mapped to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightedMapping {
    /// The other subject.
    pub subject: Subject,
    weight: u8,
    /// Only in this cluster.
    pub cluster: String,
}

impl WeightedMapping {
    /// A mapping to this subject for so many of a hundred messages.
    #[must_use]
    pub fn new(subject: &str, weight: u8) -> Self {
        Self { subject: subject.into(), weight, cluster: String::new() }
    }

    /// So many of a hundred messages.
    #[must_use]
    pub const fn weight(&self) -> u8 {
        if self.weight == 0 { 100 } else { self.weight }
    }
}

impl Document for WeightedMapping {
    const TYPE: &'static str = "jwt.WeightedMapping";

    fn fields(&mut self, each: Each<'_>) {
        each("subject", When::Always, &mut self.subject);
        each("weight", When::Any, &mut self.weight);
        each("cluster", When::Any, &mut self.cluster);
    }
}

impl Named for WeightedMapping {
    const LIST: &'static str = "[]jwt.WeightedMapping";
    const MAP: &'static str = "map[string]jwt.WeightedMapping";
}

impl Named for Vec<WeightedMapping> {
    const LIST: &'static str = "[][]jwt.WeightedMapping";
    const MAP: &'static str = "jwt.Mapping";
}

fn validate_mapping(from: &str, to: &[WeightedMapping], findings: &mut Findings) {
    super::subject::validate_text(from, findings);
    let from = quote(from);
    let mut clusters: BTreeMap<&str, u32> = BTreeMap::new();
    let mut total = 0_u32;
    for mapping in to {
        mapping.subject.validate(findings);
        let weight = mapping.weight();
        if weight > 100 {
            findings.error(format!("Mapping {from} has a weight {weight} that exceeds 100"));
        }
        if mapping.cluster.is_empty() {
            total = total.saturating_add(weight.into());
            continue;
        }
        let of_cluster = clusters.entry(&mapping.cluster).or_default();
        *of_cluster = of_cluster.saturating_add(weight.into());
        if *of_cluster > 100 {
            let cluster = quote(&mapping.cluster);
            findings.error(format!(
                "Mapping {from} in cluster {cluster} exceeds 100% among all of it's weighted to mappings"
            ));
        }
    }
    if total > 100 {
        findings.error(format!("Mapping {from} exceeds 100% among all of it's weighted to mappings"));
    }
}

/// A service outside that says who the account's users are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalAuthorization {
    /// Users that are not asked about: the service itself. Without any, there is no such service.
    pub auth_users: Vec<String>,
    /// Accounts that a user may be put into; `*` for all.
    pub allowed_accounts: Vec<String>,
    /// Public curve key that requests are sealed to.
    pub xkey: String,
}

impl ExternalAuthorization {
    /// Whether there is such a service.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !self.auth_users.is_empty()
    }

    fn validate(&self, findings: &mut Findings) {
        if !self.allowed_accounts.is_empty() && self.auth_users.is_empty() {
            findings.error("External authorization cannot have accounts without users specified");
        }
        for user in self.auth_users.iter().filter(|user| !nkey::is_public(user, KeyKind::User)) {
            findings.error(format!("AuthUser {} is not a valid user public key", quote(user)));
        }
        for account in &self.allowed_accounts {
            if account == EVERYBODY {
                if self.allowed_accounts.len() > 1 {
                    findings.error("AllowedAccounts can only be a list of accounts or \"*\"");
                }
            } else if !nkey::is_public(account, KeyKind::Account) {
                findings.error(format!("Account {} is not a valid account public key", quote(account)));
            }
        }
        if !self.xkey.is_empty() && !nkey::is_public(&self.xkey, KeyKind::Curve) {
            findings.error(format!("XKey {} is not a valid public xkey", quote(&self.xkey)));
        }
    }
}

impl Document for ExternalAuthorization {
    const TYPE: &'static str = "jwt.ExternalAuthorization";

    fn fields(&mut self, each: Each<'_>) {
        each("auth_users", When::Any, &mut self.auth_users);
        each("allowed_accounts", When::Any, &mut self.allowed_accounts);
        each("xkey", When::Any, &mut self.xkey);
    }
}

/// Where traces of the account's messages go that ask for one by the header `traceparent`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageTrace {
    /// The subject.
    pub destination: Subject,
    sampling: i64,
}

impl MessageTrace {
    /// So many of a hundred messages.
    #[must_use]
    pub const fn sampling(&self) -> i64 {
        if self.sampling == 0 { 100 } else { self.sampling }
    }

    fn validate(&self, findings: &mut Findings) {
        let mut own = Findings::default();
        self.destination.validate(&mut own);
        if let Some(first) = own.iter().next() {
            findings.error(format!("the account Trace.Destination {}", first.text));
        }
        if self.destination.has_wildcards() {
            let subject = quote(self.destination.as_str());
            findings.error(format!(
                "the account Trace.Destination subject {subject} is not a valid publish subject"
            ));
        }
        if !(0..=100).contains(&self.sampling) {
            findings.error(format!(
                "the account Trace.Sampling value '{}' is not valid, should be in the range [1..100]",
                self.sampling
            ));
        }
    }
}

impl Document for MessageTrace {
    const TYPE: &'static str = "jwt.MsgTrace";

    fn fields(&mut self, each: Each<'_>) {
        each("dest", When::Any, &mut self.destination);
        each("sampling", When::Any, &mut Int(&mut self.sampling));
    }
}

/// What an account's claims say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What it takes from others; `None` is an entry that says nothing, which validation refuses.
    pub imports: Vec<Option<Import>>,
    /// What it offers; `None` as above.
    pub exports: Vec<Option<Export>>,
    /// Limits.
    pub limits: Limits,
    /// Keys that sign for it.
    pub signing_keys: SigningKeys,
    /// Users that are void.
    pub revocations: Revocations,
    /// Rights of users without own ones.
    pub default_permissions: Permissions,
    /// Subjects that are mapped to others.
    pub mappings: BTreeMap<String, Vec<WeightedMapping>>,
    /// A service that authorizes its users.
    pub authorization: ExternalAuthorization,
    /// Where traces go.
    pub trace: Option<MessageTrace>,
    /// Which account carries the traffic of its consensus groups: `system`, `owner`, or not said.
    pub cluster_traffic: String,
    /// For people.
    pub info: Info,
    /// Tags, kind, version.
    pub about: About,
}

/// An account's claims.
pub type AccountClaims = Claim<Account>;

impl AccountClaims {
    /// Claims about an account without limits, and without JetStream.
    #[must_use]
    pub fn unlimited(subject: impl Into<String>) -> Self {
        let mut claim = Self::new(subject);
        claim.nats.limits = Limits::none();
        claim
    }

    /// Whether the account itself or a signing key of it issued something for the account that is named there.
    #[must_use]
    pub fn did_sign(&self, issuer: &str, issuer_account: &str) -> bool {
        let own = &self.envelope.subject;
        issuer == own || issuer_account == own && self.nats.signing_keys.get(issuer).is_some()
    }
}

impl Document for Account {
    const TYPE: &'static str = "jwt.Account";

    fn fields(&mut self, each: Each<'_>) {
        each("imports", When::Any, &mut self.imports);
        each("exports", When::Any, &mut self.exports);
        each("limits", When::Any, &mut self.limits);
        each("signing_keys", When::Any, &mut self.signing_keys);
        each("revocations", When::Any, &mut self.revocations);
        each("default_permissions", When::Any, &mut self.default_permissions);
        each("mappings", When::Any, &mut self.mappings);
        each("authorization", When::Any, &mut self.authorization);
        each("trace", When::Any, &mut self.trace);
        each("cluster_traffic", When::Any, &mut self.cluster_traffic);
        self.info.fields(each);
        self.about.fields(each);
    }
}

impl Body for Account {
    const KIND: &'static str = "account";
    const NAME: &'static str = "AccountClaims";
    const OTHERS: &'static str = "not account claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account, KeyKind::Operator];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<AccountClaims> {
        if let Claims::Account(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &AccountClaims, now: Timestamp, findings: &mut Findings) {
        claim.envelope.validate(now, findings);
        claim.nats.validate(&claim.envelope.subject, findings);
        let is_self_signed = nkey::is_public(&claim.envelope.issuer, KeyKind::Account);
        if is_self_signed && claim.nats.limits != Limits::default() {
            findings.warning("self-signed account JWTs shouldn't contain operator limits");
        }
    }

    fn refuse(claim: &AccountClaims) -> Option<&'static str> {
        let is_account = nkey::is_public(&claim.envelope.subject, KeyKind::Account);
        (!is_account).then_some("expected subject to be account public key")
    }

    fn sort(&mut self) {
        self.exports.sort_by(|one, other| {
            let subject = |export: &Option<Export>| export.as_ref().map(|export| export.subject.clone());
            subject(one).cmp(&subject(other))
        });
        self.imports.sort_by(|one, other| {
            let subject = |import: &Option<Import>| import.as_ref().map(|import| import.subject.clone());
            subject(one).cmp(&subject(other))
        });
    }
}

impl Account {
    fn validate(&self, subject: &str, findings: &mut Findings) {
        imports::validate(&self.imports, subject, findings);
        exports::validate(&self.exports, findings);
        self.limits.validate(findings);
        self.default_permissions.validate(findings);
        for (from, to) in &self.mappings {
            validate_mapping(from, to, findings);
        }
        self.authorization.validate(findings);
        if let Some(trace) = &self.trace {
            trace.validate(findings);
        }
        self.validate_counts(findings);
        self.signing_keys.validate(findings);
        self.info.validate(findings);
        if !matches!(self.cluster_traffic.as_str(), "" | "system" | "owner") {
            let option = quote(&self.cluster_traffic);
            findings.error(format!("unknown cluster traffic option: {option}"));
        }
    }

    fn validate_counts(&self, findings: &mut Findings) {
        let count = |len: usize| i64::try_from(len).unwrap_or(i64::MAX);
        let limits = &self.limits.account;
        const TOO_MANY_IMPORTS: &str = "the account contains more imports than allowed by the operator";
        let too_many_imports = count(self.imports.len()) > limits.imports;
        // The reference says it twice where limits are set.
        if self.limits != Limits::default() && limits.imports >= 0 && too_many_imports {
            findings.error(TOO_MANY_IMPORTS);
        }
        if limits.imports != NO_LIMIT && too_many_imports {
            findings.error(TOO_MANY_IMPORTS);
        }
        if limits.exports == NO_LIMIT {
            return;
        }
        if count(self.exports.len()) > limits.exports {
            findings.error("the account contains more exports than allowed by the operator");
        }
        if !limits.wildcard_exports {
            for _ in self.exports.iter().flatten().filter(|export| export.subject.has_wildcards()) {
                findings.error("the account contains wildcard exports that are not allowed by the operator");
            }
        }
    }
}

#[cfg(test)]
#[path = "account_test.rs"]
mod tests;
