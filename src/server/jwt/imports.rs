//! What an account takes from others.

use std::collections::BTreeMap;

use crate::server::base::quote::quote;

use super::activation::{Activation, ActivationClaims};
use super::document::{Document, Each, Named, When};
use super::findings::Findings;
use super::subject::{Kind, Subject};

/// One thing that an account takes from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// A name for people.
    pub name: String,
    /// The subject as who publishes first sees it: a stream's exporter, a service's importer.
    pub subject: Subject,
    /// Public key of the exporting account.
    pub account: String,
    /// Activation, if the exporter asks for one.
    pub token: String,
    /// Older way to say what `local_subject` says: a stream's prefix, a service's subject over there.
    pub to: Subject,
    /// The subject in the importing account; may refer to wildcards of `subject` by `$1`.
    pub local_subject: Subject,
    /// Stream or service.
    pub kind: Kind,
    /// The service gets to know who asks.
    pub share: bool,
    /// Traces of messages continue in the importing account.
    pub allow_trace: bool,
}

impl Import {
    /// Whether something about it, or about its activation, forbids it to the account `importer` at any time.
    #[must_use]
    pub fn is_refused(&self, importer: &str) -> bool {
        let mut findings = Findings::default();
        self.validate(importer, &mut findings);
        findings.is_blocking(false)
    }

    fn validate(&self, importer: &str, findings: &mut Findings) {
        let is_service = self.kind == Kind::Service;
        if self.kind == Kind::Unknown {
            findings.error("invalid import type: \"unknown\"");
        }
        if is_service && self.allow_trace {
            findings.error("AllowTrace only valid for stream import");
        }
        if self.account.is_empty() {
            findings.error("account to import from is not specified");
        }
        if !self.to.is_unset() {
            findings.warning("the field to has been deprecated (use LocalSubject instead)");
        }
        self.subject.validate(findings);
        if !self.local_subject.is_unset() {
            self.local_subject.validate_renaming(&self.subject, findings);
            if !self.to.is_unset() {
                findings.error("Local Subject replaces To");
            }
        }
        let shown = quote(self.subject.as_str());
        if self.share && !is_service {
            findings.error(format!(
                "sharing information (for latency tracking) is only valid for services: {shown}"
            ));
        }
        if self.token.is_empty() {
            return;
        }
        match ActivationClaims::decode(&self.token) {
            Ok(activation) => self.validate_activation(&activation, importer, findings),
            Err(_) => findings.error(format!("import {shown} contains an invalid activation token")),
        }
    }

    fn validate_activation(&self, claim: &ActivationClaims, importer: &str, findings: &mut Findings) {
        let shown = quote(self.subject.as_str());
        let (envelope, activation) = (&claim.envelope, &claim.nats);
        if envelope.issuer != self.account && activation.issuer_account != self.account {
            findings.error(format!("activation token doesn't match account for import {shown}"));
        }
        if envelope.subject != importer {
            findings
                .error(format!("activation token doesn't match account it is being included in, {shown}"));
        }
        if activation.kind != self.kind {
            findings.error(format!(
                "mismatch between token import type {} and type of import {}",
                activation.kind.as_str(),
                self.kind.as_str()
            ));
        }
        Activation::validate_timeless(claim, findings);
        let remote = if self.kind == Kind::Service && !self.to.is_unset() { &self.to } else { &self.subject };
        if !remote.is_contained_in(&activation.subject) {
            let allowed = quote(activation.subject.as_str());
            findings.error(format!("activation token import subject {allowed} doesn't match import {shown}"));
        }
    }

    /// The subject that a service takes in the namespace of its importer.
    fn taken(&self) -> Subject {
        [self.to.clone(), self.local_subject.without_references()]
            .into_iter()
            .find(|subject| !subject.is_unset())
            .unwrap_or_else(|| self.subject.clone())
    }
}

impl Document for Import {
    const TYPE: &'static str = "jwt.Import";

    fn fields(&mut self, each: Each<'_>) {
        each("name", When::Any, &mut self.name);
        each("subject", When::Any, &mut self.subject);
        each("account", When::Any, &mut self.account);
        each("token", When::Any, &mut self.token);
        each("to", When::Any, &mut self.to);
        each("local_subject", When::Any, &mut self.local_subject);
        each("type", When::Any, &mut self.kind);
        each("share", When::Any, &mut self.share);
        each("allow_trace", When::Any, &mut self.allow_trace);
    }
}

impl Named for Option<Import> {
    const LIST: &'static str = "jwt.Imports";
    const MAP: &'static str = "map[string]*jwt.Import";
}

/// Checks the imports of the account `importer`; services of one exporter must not overlap.
pub(super) fn validate(imports: &[Option<Import>], importer: &str, findings: &mut Findings) {
    let mut taken: BTreeMap<&str, Vec<Subject>> = BTreeMap::new();
    for import in imports {
        let Some(import) = import else {
            findings.error("null import is not allowed");
            continue;
        };
        if import.kind == Kind::Service {
            let subject = import.taken();
            let same = taken.entry(&import.account).or_default();
            let (shown, account) = (quote(subject.as_str()), quote(&import.account));
            for other in same.iter() {
                if subject.is_contained_in(other) || other.is_contained_in(&subject) {
                    let other = quote(other.as_str());
                    findings.error(format!(
                        "overlapping subject namespace for {shown} and {other} in same account {account}"
                    ));
                }
            }
            if same.contains(&subject) {
                findings.error(format!("overlapping subject namespace for {shown} in account {account}"));
            } else {
                same.push(subject);
            }
        }
        import.validate(importer, findings);
    }
}
