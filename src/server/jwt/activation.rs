//! Activations: an exporting account lets another import something.

use crate::server::base::clock::Timestamp;

use super::claims::{About, Body, Claim, Claims};
use super::document::{Document, Each, When};
use super::findings::Findings;
use super::nkey::{self, KeyKind};
use super::subject::{Kind, Subject};
use super::user::validate_issuer_account;

/// What an activation says; its subject is the importing account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activation {
    /// What may be imported.
    pub subject: Subject,
    /// Stream or service.
    pub kind: Kind,
    /// The exporting account, where a signing key of it is the issuer.
    pub issuer_account: String,
    /// Tags, kind, version.
    pub about: About,
}

/// An activation's claims.
pub type ActivationClaims = Claim<Activation>;

impl Activation {
    /// What is wrong with it at any time.
    pub(super) fn validate_timeless(claim: &ActivationClaims, findings: &mut Findings) {
        let activation = &claim.nats;
        if activation.kind == Kind::Unknown {
            findings.error("invalid import type: \"unknown\"");
        }
        activation.subject.validate(findings);
        validate_issuer_account(&activation.issuer_account, findings);
    }
}

impl Document for Activation {
    const TYPE: &'static str = "jwt.Activation";

    fn fields(&mut self, each: Each<'_>) {
        each("subject", When::Any, &mut self.subject);
        each("kind", When::Any, &mut self.kind);
        each("issuer_account", When::Any, &mut self.issuer_account);
        self.about.fields(each);
    }
}

impl Body for Activation {
    const KIND: &'static str = "activation";
    const NAME: &'static str = "ActivationClaims";
    const OTHERS: &'static str = "not activation claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account, KeyKind::Operator];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<ActivationClaims> {
        if let Claims::Activation(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &ActivationClaims, now: Timestamp, findings: &mut Findings) {
        claim.envelope.validate(now, findings);
        Self::validate_timeless(claim, findings);
    }

    fn refuse(claim: &ActivationClaims) -> Option<&'static str> {
        let is_account = nkey::is_public(&claim.envelope.subject, KeyKind::Account);
        (!is_account).then_some("expected subject to be an account")
    }
}
