//! Who may connect and do what; does not know how a connection is refused.
//!
//! [`decide()`] is the place where it is decided, one file a way to prove oneself. It touches nothing: what
//! takes long comes back as [`Work`] to be done elsewhere.

mod identity;
mod permission;
mod publish_cache;
mod secret;
pub mod nkey;
mod proxy;
mod certificate;
mod embedder;
mod policy;
mod applicant;
mod grant;
mod server_keys;
mod rights;
pub mod callout;
mod wanted;
mod operator;
mod consultation;
mod work;
mod decide;

pub use applicant::Applicant;
pub use consultation::{Answered, Consultation, Delegation, Standing, Verdict};
pub use decide::{Decision, Note, Refusal, RefusalReason, Told, decide};
pub use embedder::{Admission, Authenticator, Login};
pub use grant::{ClaimedUser, Grant, UserLimits};
pub use identity::Identity;
pub use permission::Permissions;
pub use policy::{Policy, PolicyBuilder, User};
pub use publish_cache::PublishCache;
pub use secret::{Given, Secret, is_hash};
pub use server_keys::ServerKeys;
pub use wanted::{Wanted, WantedAccounts};
pub use work::{Errand, Work};
