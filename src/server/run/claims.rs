//! Accounts whose claims come from a resolver: what their claims change in the running server.

use crate::server::client::ClientContext;

/// Puts claims of an account into force, if it is in use.
///
/// # Errors
/// The claims cannot be used.
pub(super) fn apply(
    _context: &std::sync::Arc<ClientContext>,
    _account: &str,
    _token: &str,
) -> Result<(), String> {
    Err("accounts of an operator cannot be changed yet".to_owned())
}

/// Closes an account whose claims were deleted.
pub(super) fn remove(_context: &std::sync::Arc<ClientContext>, _account: &str) {}
