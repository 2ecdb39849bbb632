//! What this server says of its own version.

/// The version of the reference that this server equals; clients enable their features by it.
pub const REFERENCE: &str = "2.15.1";

/// The revision it was built from, where the build knew it.
pub const GIT_COMMIT: Option<&str> = option_env!("NATSX_GIT_COMMIT");

/// What stands where the reference names its Go version.
pub(super) const RUNTIME: &str = "rust1.95";

/// The JetStream API level that INFO names, with JetStream or without. Reference: 5 in 2.15.
pub(super) const JETSTREAM_API_LEVEL: i64 = 5;
