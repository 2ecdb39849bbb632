//! Claims of the first version: kind and tags stand outside, limits are fewer.

use crate::server::protocol::json::Value;

use super::account::AccountClaims;
use super::activation::ActivationClaims;
use super::claims::{About, Envelope};
use super::document::{self, Document, Each, Listed, When};
use super::error::JwtError;
use super::operator::OperatorClaims;
use super::permissions::NatsLimits;
use super::times::TimeRange;
use super::user::UserClaims;

pub(super) fn operator(value: Value<'_>) -> Result<OperatorClaims, JwtError> {
    let mut claim = OperatorClaims::default();
    let (nats, mut outside) = (&mut claim.nats, Outside::default());
    let mut fields = |each: Each<'_>| {
        each("signing_keys", When::Any, &mut nats.signing_keys);
        each("account_server_url", When::Any, &mut nats.account_server_url);
        each("operator_service_urls", When::Any, &mut nats.operator_service_urls);
        each("system_account", When::Any, &mut nats.system_account);
    };
    let body = Listed { kind: "jwt.v1NatsOperator", fields: &mut fields };
    read("v1OperatorClaims", &mut claim.envelope, &mut outside, body, value)?;
    claim.nats.about = outside.about;
    Ok(claim)
}

pub(super) fn account(value: Value<'_>) -> Result<AccountClaims, JwtError> {
    let mut claim = AccountClaims::default();
    let (nats, mut outside) = (&mut claim.nats, Outside::default());
    let mut signing_keys: Vec<String> = Vec::new();
    let mut fields = |each: Each<'_>| {
        each("imports", When::Any, &mut nats.imports);
        each("exports", When::Any, &mut nats.exports);
        let limits = &mut nats.limits;
        let mut inner = |each: Each<'_>| {
            limits.nats.fields(each);
            limits.account.fields(each);
        };
        each("limits", When::Any, &mut Listed { kind: "struct", fields: &mut inner });
        each("signing_keys", When::Any, &mut signing_keys);
        each("revocations", When::Any, &mut nats.revocations);
    };
    let body = Listed { kind: "jwt.v1NatsAccount", fields: &mut fields };
    read("v1AccountClaims", &mut claim.envelope, &mut outside, body, value)?;
    for key in signing_keys {
        claim.nats.signing_keys.add(key);
    }
    claim.nats.about = outside.about;
    Ok(claim)
}

pub(super) fn user(value: Value<'_>) -> Result<UserClaims, JwtError> {
    let mut claim = UserClaims::default();
    claim.nats.rights.limits.nats = NatsLimits::NONE;
    let (rights, mut outside) = (&mut claim.nats.rights, Outside::default());
    let mut max = 0_i64;
    let mut fields = |each: Each<'_>| {
        rights.permissions.fields(each);
        rights.limits.fields(each);
        each("bearer_token", When::Any, &mut rights.bearer_token);
        each("max", When::Any, &mut max);
    };
    let body = Listed { kind: "jwt.v1User", fields: &mut fields };
    read("v1UserClaims", &mut claim.envelope, &mut outside, body, value)?;
    claim.nats.issuer_account = outside.issuer_account;
    claim.nats.about = outside.about;
    Ok(claim)
}

pub(super) fn activation(value: Value<'_>) -> Result<ActivationClaims, JwtError> {
    let mut claim = ActivationClaims::default();
    let (nats, mut outside) = (&mut claim.nats, Outside::default());
    // Limits that meant nothing: read for the mistakes in them.
    let (mut max, mut payload, mut networks, mut times) =
        (0_i64, 0_i64, String::new(), Vec::<TimeRange>::new());
    let mut fields = |each: Each<'_>| {
        each("subject", When::Any, &mut nats.subject);
        each("type", When::Any, &mut nats.kind);
        each("max", When::Any, &mut max);
        each("payload", When::Any, &mut payload);
        each("src", When::Any, &mut networks);
        each("times", When::Any, &mut times);
    };
    let body = Listed { kind: "jwt.v1NatsActivation", fields: &mut fields };
    read("v1ActivationClaims", &mut claim.envelope, &mut outside, body, value)?;
    claim.nats.issuer_account = outside.issuer_account;
    claim.nats.about = outside.about;
    Ok(claim)
}

/// What stood outside the body.
#[derive(Default)]
struct Outside {
    about: About,
    issuer_account: String,
}

fn read(
    name: &'static str,
    envelope: &mut Envelope,
    outside: &mut Outside,
    mut body: Listed<'_>,
    value: Value<'_>,
) -> Result<(), JwtError> {
    let mut fields = |each: Each<'_>| {
        envelope.fields(each);
        each("tags", When::Any, &mut outside.about.tags);
        each("type", When::Any, &mut outside.about.kind);
        each("issuer_account", When::Any, &mut outside.issuer_account);
        each("nats", When::Any, &mut body);
    };
    document::read(&mut Listed { kind: "struct", fields: &mut fields }, name, value)?;
    outside.about.version = 1;
    Ok(())
}
