//! What a user's claims let it do, whoever shows them: the client itself, or a service's answer about it.

use std::borrow::Cow;

use super::decide::Note;
use crate::server::account::Claimed;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::config::options::ConnectionType;
use crate::server::jwt::{self, TemplateError, TemplateValues, UserClaims, Window};

/// Why a user gets no rights from the key that signed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScopeError {
    /// The account has no such key.
    #[error("User JWT issuer {} is not known", quote(.0))]
    UnknownIssuer(String),
    /// The key has a scope, which is not for this user.
    #[error("User JWT is not valid: {0}")]
    Invalid(&'static str),
    /// The subjects of the scope cannot be filled in.
    #[error("User JWT generated invalid permissions: {0}")]
    Template(#[from] TemplateError),
}

impl ScopeError {
    /// The text as the reference's log has it where the client itself shows the claims.
    pub(super) fn brief(&self) -> Cow<'static, str> {
        match self {
            Self::UnknownIssuer(_) => "User JWT issuer is not known".into(),
            Self::Invalid(_) => self.to_string().into(),
            Self::Template(_) => "User JWT generated invalid permissions".into(),
        }
    }
}

/// Gives a user what the scope of its signing key says, where there is one.
pub(super) fn take_scope(user: &mut UserClaims, account: &Claimed) -> Result<(), ScopeError> {
    let issuer = &user.envelope.issuer;
    let scope = account.signer(issuer).ok_or_else(|| ScopeError::UnknownIssuer(issuer.clone()))?;
    let Some(scope) = scope else { return Ok(()) };
    scope.check(user).map_err(ScopeError::Invalid)?;
    let claims = account.claims();
    let values = TemplateValues {
        name: &user.envelope.name,
        subject: &user.envelope.subject,
        tags: &user.nats.about.tags,
        account_name: &claims.envelope.name,
        account_subject: &claims.envelope.subject,
        account_tags: &claims.nats.about.tags,
    };
    user.nats.rights = jwt::expand(&scope.template, &values)?;
    Ok(())
}

/// It is none of the times of day at which a user may be connected.
pub(super) struct OutsideTimes;

/// When a user's time is over, that of its claims or that of day; `None` is never.
pub(super) fn ends(user: &UserClaims, now: Timestamp) -> Result<Option<Timestamp>, OutsideTimes> {
    let of_day = match user.nats.rights.window(now) {
        Window::Always => None,
        Window::Open(left) => Some(now + left),
        Window::Closed => return Err(OutsideTimes),
    };
    Ok([user.envelope.ends(), of_day].into_iter().flatten().min())
}

/// The kinds of connections that these names mean; none for no names. Names that are not known do no harm as
/// long as one is: `None` where none is. The log hears of them.
pub(super) fn connection_types(names: &[String], notes: &mut Vec<Note>) -> Option<Vec<ConnectionType>> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match ConnectionType::parse(name) {
            Some(connection) => known.push(connection),
            None => unknown.push(quote(name.to_uppercase())),
        }
    }
    if !unknown.is_empty() {
        notes.push(Note::Debug(format!("invalid connection types [{}]", unknown.join(" "))));
    }
    (unknown.is_empty() || !known.is_empty()).then_some(known)
}
