//! Listening, dialling, the PROXY preamble; does not know what the bytes mean.

pub mod transport;
pub mod distinguished_name;
pub mod peer_certificate;
pub mod proxy;
pub mod listen_task;
pub mod advertise;

pub use distinguished_name::DistinguishedName;
pub use peer_certificate::PeerCertificate;
pub use transport::Transport;
