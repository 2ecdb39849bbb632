//! Which versions this server tells others.

/// The version of the reference that this server equals: what clients, other servers and monitoring
/// are told, since they decide by it what may be asked of a server.
pub const COMPATIBLE: &str = "2.15.1";

/// The version of natsx itself.
pub const NATSX: &str = env!("CARGO_PKG_VERSION");
