//! One account: who in it subscribed to what.

use std::sync::Arc;

use crate::server::interest::SharedInterest;

/// A name space of subjects: messages stay inside, unless exported and imported.
#[derive(Debug)]
pub struct Account {
    name: Arc<str>,
    interest: Arc<SharedInterest>,
}

impl Account {
    /// An account without subscriptions.
    pub fn new(name: &str, interest: SharedInterest) -> Self {
        Self { name: name.into(), interest: Arc::new(interest) }
    }

    /// The account's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its subscriptions.
    pub fn interest(&self) -> &Arc<SharedInterest> {
        &self.interest
    }
}
