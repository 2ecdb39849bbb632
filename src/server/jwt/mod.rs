//! Tokens of operator mode: nkeys, claims, signatures, what claims allow; knows no accounts and no connections.
//!
//! Pure: the present time is an argument, and nothing is looked up but time zones. Texts and the order of
//! checks are those of the reference's library.

pub mod nkey;
mod error;
mod document;
mod subject;
mod findings;
mod permissions;
mod revocation;
mod times;
mod networks;
mod claims;
mod operator;
mod exports;
mod imports;
mod signing_keys;
mod account;
mod user;
mod activation;
mod authorization;
mod generic;
mod first_version;
mod token;
mod template;
mod creds;

pub use account::{
    Account, AccountClaims, AccountLimits, ExternalAuthorization, JetStreamLimits, Limits, MessageTrace,
    WeightedMapping,
};
pub use activation::{Activation, ActivationClaims};
pub use authorization::{
    AuthorizationRequest, AuthorizationRequestClaims, AuthorizationResponse, AuthorizationResponseClaims,
    ClientInfo, ClientTls, ConnectInfo, ServerInfo,
};
pub use claims::{About, Body, Claim, Claims, Envelope};
pub use creds::{Creds, fuzz_creds, parse_creds, token_of_file};
pub use error::JwtError;
pub use exports::{Export, Info, Latency, ResponseKind, Sampling};
pub use findings::{Finding, Findings, Severity};
pub use generic::{Generic, GenericClaims, decode_generic};
pub use imports::Import;
pub use operator::{Operator, OperatorClaims, server_version};
pub use permissions::{NatsLimits, Permission, Permissions, Responses, UserLimits};
pub use revocation::{EVERYBODY, Revocations};
pub use signing_keys::{SigningKeys, UserScope};
pub use subject::{Kind, Subject};
pub use template::{TemplateError, TemplateValues, expand};
pub use times::{TimeRange, Window};
pub use token::{TOKEN_BYTES_MAX, decode, fuzz_token, sign};
pub use user::{User, UserClaims, UserRights};

/// What no limit says: any number.
pub const NO_LIMIT: i64 = -1;

#[cfg(test)]
pub(crate) mod fixtures;
