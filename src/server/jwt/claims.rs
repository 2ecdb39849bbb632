//! Claims: who says it of whom and until when, and what.

use crate::server::base::clock::Timestamp;

use super::account::AccountClaims;
use super::activation::ActivationClaims;
use super::authorization::{AuthorizationRequestClaims, AuthorizationResponseClaims};
use super::document::{Document, Each, Field, When};
use super::error::JwtError;
use super::findings::Findings;
use super::generic::GenericClaims;
use super::nkey::KeyKind;
use super::operator::OperatorClaims;
use super::token::{VERSION, decode};
use super::user::UserClaims;

/// Nanoseconds of a second.
const SECOND_NANOS: u64 = 1_000_000_000;

/// What all claims have. Times are Unix seconds, 0 for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// For whom they are.
    pub audience: String,
    /// After this second they are void.
    pub expires: i64,
    /// A hash of the other fields here.
    pub id: String,
    /// When they were signed.
    pub issued_at: i64,
    /// Public key of who signed them.
    pub issuer: String,
    /// A name for people.
    pub name: String,
    /// Before this second they are void.
    pub not_before: i64,
    /// Public key of whom they are about.
    pub subject: String,
}

impl Envelope {
    /// The issuer is the subject.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.issuer == self.subject
    }

    /// When they are void, if ever. A time before the epoch is over.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        let seconds = u64::try_from(self.expires).unwrap_or(0);
        (self.expires != 0).then(|| Timestamp::from_nanos(seconds.saturating_mul(SECOND_NANOS)))
    }

    pub(super) fn validate(&self, now: Timestamp, findings: &mut Findings) {
        let now = seconds(now);
        if self.expires > 0 && now > self.expires {
            findings.time_check("claim is expired");
        }
        if self.not_before > 0 && self.not_before > now {
            findings.time_check("claim is not yet valid");
        }
    }
}

/// Whole seconds since the Unix epoch.
pub(super) fn seconds(moment: Timestamp) -> i64 {
    i64::try_from(moment.nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

impl Document for Envelope {
    const TYPE: &'static str = "jwt.ClaimsData";

    fn fields(&mut self, each: Each<'_>) {
        each("aud", When::Any, &mut self.audience);
        each("exp", When::Any, &mut self.expires);
        each("jti", When::Any, &mut self.id);
        each("iat", When::Any, &mut self.issued_at);
        each("iss", When::Any, &mut self.issuer);
        each("name", When::Any, &mut self.name);
        each("nbf", When::Any, &mut self.not_before);
        each("sub", When::Any, &mut self.subject);
    }
}

/// What the body of all claims says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Labels, in small letters: `region:eu`.
    pub tags: Vec<String>,
    /// Which claims these are: `user`.
    pub kind: String,
    /// Of which version.
    pub version: i64,
}

impl Document for About {
    const TYPE: &'static str = "jwt.GenericFields";

    fn fields(&mut self, each: Each<'_>) {
        each("tags", When::Any, &mut self.tags);
        each("type", When::Any, &mut self.kind);
        each("version", When::Any, &mut super::permissions::Int(&mut self.version));
    }
}

impl About {
    pub(super) fn mark(&mut self, kind: &str) {
        kind.clone_into(&mut self.kind);
        self.version = VERSION;
    }
}

/// What claims of one kind say.
#[expect(private_bounds, reason = "how claims are read and written is nobody else's business")]
pub trait Body: Field + Default + Clone {
    /// As the claims name it: `user`.
    const KIND: &'static str;
    /// The reference's name of the claims: `UserClaims`.
    const NAME: &'static str;
    /// What is said to claims of another kind.
    const OTHERS: &'static str;
    /// Whose keys may issue them; none means anybody's.
    const ISSUERS: &'static [KeyKind];

    /// Says of which kind and version it is.
    fn mark(&mut self);

    /// Out of the claims of any kind.
    fn of(claims: Claims) -> Option<Claim<Self>>;

    /// What is wrong with such claims.
    fn validate(claim: &Claim<Self>, now: Timestamp, findings: &mut Findings);

    /// What forbids to sign them.
    fn refuse(_claim: &Claim<Self>) -> Option<&'static str> {
        None
    }

    /// Puts in order what is written in order.
    fn sort(&mut self) {}
}

/// Claims of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim<B> {
    /// What all claims have.
    pub envelope: Envelope,
    /// What these say.
    pub nats: B,
}

impl<B: Body> Claim<B> {
    /// Claims about `subject` that say nothing yet.
    #[must_use]
    pub fn new(subject: impl Into<String>) -> Self {
        let mut claim = Self::default();
        claim.envelope.subject = subject.into();
        claim
    }

    /// Reads and verifies a token of this kind.
    ///
    /// # Errors
    /// As [`decode`], and a token of another kind.
    pub fn decode(token: &str) -> Result<Self, JwtError> {
        B::of(decode(token)?).ok_or(JwtError::Kind(B::OTHERS))
    }

    /// What is wrong with them at this moment.
    #[must_use]
    pub fn validate(&self, now: Timestamp) -> Findings {
        let mut findings = Findings::default();
        B::validate(self, now, &mut findings);
        findings
    }
}

impl<B: Body> Document for Claim<B> {
    const TYPE: &'static str = B::NAME;

    fn fields(&mut self, each: Each<'_>) {
        self.envelope.fields(each);
        each("nats", When::Any, &mut self.nats);
    }
}

/// Claims of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named by its kind")]
pub enum Claims {
    Operator(Box<OperatorClaims>),
    Account(Box<AccountClaims>),
    User(Box<UserClaims>),
    Activation(Box<ActivationClaims>),
    AuthorizationRequest(Box<AuthorizationRequestClaims>),
    AuthorizationResponse(Box<AuthorizationResponseClaims>),
    Generic(Box<GenericClaims>),
}

impl Claims {
    /// What all claims have.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        match self {
            Self::Operator(claim) => &claim.envelope,
            Self::Account(claim) => &claim.envelope,
            Self::User(claim) => &claim.envelope,
            Self::Activation(claim) => &claim.envelope,
            Self::AuthorizationRequest(claim) => &claim.envelope,
            Self::AuthorizationResponse(claim) => &claim.envelope,
            Self::Generic(claim) => &claim.envelope,
        }
    }

    /// Whose keys may issue them.
    pub(super) const fn issuers(&self) -> &'static [KeyKind] {
        match self {
            Self::Operator(_) => super::operator::Operator::ISSUERS,
            Self::Account(_) => super::account::Account::ISSUERS,
            Self::User(_) => super::user::User::ISSUERS,
            Self::Activation(_) => super::activation::Activation::ISSUERS,
            Self::AuthorizationRequest(_) => super::authorization::AuthorizationRequest::ISSUERS,
            Self::AuthorizationResponse(_) => super::authorization::AuthorizationResponse::ISSUERS,
            Self::Generic(_) => &[],
        }
    }
}
