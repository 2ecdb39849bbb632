//! Subscriptions that end while somebody in their account awaits answers: the answer may have been
//! awaited there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::subscription::Subscription;
use crate::server::base::inbox::Inbox;

/// Subjects that only the server subscribes to for answers.
const SERVICE_REPLY_PREFIX: &[u8] = b"_R_.";

/// One subscription that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The account it was in.
    pub account: Arc<str>,
    /// What it was subscribed to.
    pub subject: Box<[u8]>,
}

/// Where ends are reported, while that is wanted.
#[derive(Debug, Default)]
pub(super) struct Departures {
    wanted: AtomicBool,
    to: OnceLock<(Arc<str>, Arc<Inbox<Departure>>)>,
}

impl Departures {
    /// Names the account, and who hears of it.
    pub(super) fn report_to(&self, account: &Arc<str>, inbox: &Arc<Inbox<Departure>>) {
        let _ = self.to.set((Arc::clone(account), Arc::clone(inbox)));
    }

    /// Begins or ends to report.
    pub(super) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Reports the end of a subscription. Who reads late looks later: a full inbox loses it.
    pub(super) fn tell(&self, sub: &Subscription) {
        if self.wanted.load(Ordering::Relaxed)
            && sub.detour().is_none()
            && !sub.subject().starts_with(SERVICE_REPLY_PREFIX)
            && let Some((account, inbox)) = self.to.get()
        {
            let _ = inbox.push(Departure { account: Arc::clone(account), subject: sub.subject().into() });
        }
    }
}
