//! A client's place in its account, counted until it ends.

use std::sync::Arc;

use super::state::Account;

/// The account has as many clients as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFull;

/// One client's place. It stands for the account that it is in.
#[derive(Debug)]
pub struct Membership {
    account: Arc<Account>,
    counts: bool,
}

impl Membership {
    /// A place in `account` that does not count: nothing may be refused to who has only just come.
    pub fn uncounted(account: &Arc<Account>) -> Self {
        Self { account: Arc::clone(account), counts: false }
    }

    /// Moves to `account`. Where that is the same it is looked at whether there still is room.
    ///
    /// # Errors
    /// There is no room; the old place is kept.
    pub fn move_to(&mut self, account: &Arc<Account>) -> Result<(), AccountFull> {
        let stays = self.counts && Arc::ptr_eq(&self.account, account);
        let has_room =
            if stays { !account.connections().are_too_many() } else { account.connections().admit() };
        if !has_room {
            return Err(AccountFull);
        }
        if !stays {
            *self = Self { account: Arc::clone(account), counts: true };
        }
        Ok(())
    }

    /// Gives the place back; says whether it counted.
    pub fn end(&mut self) -> bool {
        let counted = std::mem::take(&mut self.counts);
        if counted {
            self.account.connections().release();
        }
        counted
    }
}

impl std::ops::Deref for Membership {
    type Target = Arc<Account>;

    fn deref(&self) -> &Self::Target {
        &self.account
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::options::AccountLimits;
    use crate::server::interest::SharedInterest;

    fn limit(account: &Account, max: i32) {
        account.set_limits(AccountLimits { max_connections: Some(max), ..AccountLimits::default() });
    }

    #[test]
    fn an_account_takes_as_many_clients_as_it_may() {
        let [account, other] = ["A", "B"].map(|name| Arc::new(Account::new(name, SharedInterest::new())));
        limit(&account, 1);
        let mut first = Membership::uncounted(&other);
        let mut second = Membership::uncounted(&other);
        assert!(first.move_to(&account).is_ok() && second.move_to(&other).is_ok());
        assert_eq!(second.move_to(&account), Err(AccountFull));
        assert_eq!((account.connections().count(), other.connections().count()), (1, 1));
        first.end();
        first.end();
        assert!(second.move_to(&account).is_ok() && second.move_to(&account).is_ok());
        assert_eq!((account.connections().count(), other.connections().count()), (1, 0));
        limit(&account, 0);
        assert_eq!(second.move_to(&account), Err(AccountFull));
        drop(second);
        assert_eq!(account.connections().count(), 0);
    }
}
