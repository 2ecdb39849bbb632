//! Listening, the PROXY preamble, TLS; planned: dialling. Does not know what the bytes mean.

pub mod transport;
pub mod distinguished_name;
pub mod peer_certificate;
mod certificate_names;
mod certificate;
pub mod certificate_path;
mod certificate_rules;
mod certificate_refusal;
mod key_exchange;
mod cipher;
mod client_hello;
pub mod client_verifier;
pub mod expiry;
mod der;
pub mod ocsp;
pub mod ocsp_fetch;
pub mod ocsp_cache;
pub mod ocsp_peer;
pub mod ocsp_turn;
pub mod staple;
pub mod tls_error;
pub mod tls_setup;
pub mod tls_dial;
pub mod tls_stream;
pub mod proxy;
pub mod listen_task;

pub use certificate::fuzz_certificate;
pub use client_hello::fuzz_client_hello;
pub use distinguished_name::DistinguishedName;
pub use peer_certificate::PeerCertificate;
pub use tls_setup::{TlsSetup, TlsSetupError};
pub use tls_stream::TlsState;
pub use transport::Transport;
