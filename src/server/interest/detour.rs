//! What is done with a message for a subscription instead of writing it to the subscription's target.
//!
//! Few subscriptions have a detour. Nothing in here looks into it but [`super::shadows`], which makes
//! those of imported streams; `delivery` does what it says.

use std::sync::Arc;

use super::letter::Letter;
use super::shadows::Shadow;
use crate::server::base::inbox::Inbox;

/// The ways a message may go.
#[derive(Debug)]
pub enum Detour {
    /// It goes, under another subject, to a subscription of an account that imports the stream.
    Stream(Shadow),
    /// It is a request to an imported service: its number in the account's table of imports.
    Service(u32),
    /// It is an answer to a request from another account: found by its subject.
    Answer,
    /// It goes to a task of the server's own. What a full inbox does not take is lost.
    Inbox(Arc<Inbox<Letter>>),
}

impl Detour {
    /// Whether the subscription wants what imported streams bring, like that of a connection.
    pub(super) const fn follows_imports(&self) -> bool {
        matches!(self, Self::Inbox(_))
    }
}
