//! System events, and what the system account may ask: subjects and documents, as the reference has them.
//!
//! Pure: who asks for them and how they are sent is for later layers. A document is written into a
//! buffer of the caller's; nothing here knows a connection or an account.

mod id;
mod server;
mod client;
mod stamp;
mod connection;
mod account;
mod latency;
mod user_info;
mod ocsp;
mod request;

pub use account::{AccountFigures, account_connections_subjects, write_account_connections};
pub use client::ClientInfo;
pub use connection::{
    ACCOUNT_AUTH_ERROR_SUBJECT, auth_error_subject, connect_subject, disconnect_subject, write_connect,
    write_disconnect,
};
pub use id::EventIds;
pub use latency::{LatencyStatus, ServiceLatency};
pub use ocsp::{CertificateInfo, ocsp_link_subject, ocsp_reject_subject, write_ocsp_link, write_ocsp_reject};
pub use request::{
    Candidate, ClientChoice, Failure, ServerFilter, Service, fuzz_request, read_subscribers, write_identity,
    write_outcome,
};
pub use server::{ServerFacts, ServerInfo, lame_duck_subject, shutdown_subject};
pub use stamp::{Stamp, Traffic};
pub use user_info::{USER_INFO_SUBJECT, UserInfo, user_info_subject, write_user_info};
