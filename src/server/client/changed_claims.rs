//! What changed claims of its account do to a client.
//!
//! In the reference's order: limits, rights by default, then whether the user may still be there: bearers,
//! revocations, and last the key that signed it.

use super::session::ClientSession;
use crate::server::account::Claimed;
use crate::server::auth::{ClaimedUser, Refusal};
use crate::server::base::clock::Timestamp;
use crate::server::delivery::Courier;
use crate::server::protocol::error::{CloseReason, WireError};

impl ClientSession {
    /// Keeps to what the claims of the account say now.
    pub(super) fn keep_to_claims(
        &mut self,
        now: Timestamp,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let Some(claimed) = self.account.claimed() else { return Ok(()) };
        if self.account.is_removed() || claimed.is_expired(now) {
            return Err(self.expired(WireError::AccountExpired, courier));
        }
        let options = self.context.conn.options();
        self.take_limits(&options, self.user_limits());
        self.keep_to_limits(now, courier)?;
        let Some(user) = self.claimed_user().cloned() else { return Ok(()) };
        self.follow_default_permissions(&user, &claimed, now, courier)?;
        let claims = &claimed.claims().nats;
        if user.is_bearer && claims.limits.account.disallow_bearer {
            self.debug(format_args!("Bearer User JWT not allowed"));
            return Err(self.violation(now, &Refusal::violation(self.identity()), courier));
        }
        if claims.revocations.is_revoked(&user.key, user.issued_at) {
            return Err(self.expired(WireError::UserRevoked, courier));
        }
        if let Some(key) = &user.signing_key
            && claimed.signer(key) != user.account.signer(key)
        {
            return Err(CloseReason::AuthenticationViolation);
        }
        self.remember_claims(claimed);
        Ok(())
    }

    /// Who has no rights of its own has other ones when those of the account change.
    fn follow_default_permissions(
        &mut self,
        user: &ClaimedUser,
        claimed: &Claimed,
        now: Timestamp,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let described = claimed.default_permissions();
        if !user.has_default_permissions || described == user.account.default_permissions() {
            return Ok(());
        }
        self.take_permissions(user.permissions_by_default(described.as_ref()));
        self.keep_to_permissions(now, courier)
    }
}
