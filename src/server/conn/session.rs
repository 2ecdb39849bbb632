//! What a kind of connection must answer; the read task asks.

use std::time::Duration;

use crate::server::auth::Errand;
use crate::server::base::clock::Timestamp;
use crate::server::delivery::Courier;
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;

/// What a session made of the bytes it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes that are done with; the rest is shown again, with more behind it.
    pub bytes: usize,
    /// Bytes, from the first unconsumed one, that are needed at least for the next step. 0: what is
    /// staged is to be sent first, then the rest is shown again.
    pub need: usize,
}

/// One connection's protocol. Nothing here waits: what goes out is staged with the courier, and the
/// read task sends it when the call has returned.
pub trait Session: Send + 'static {
    /// The connection is up.
    fn opened(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason>;

    /// Bytes came in; `input` starts where the last call stopped consuming.
    fn received(
        &mut self,
        now: Timestamp,
        input: &[u8],
        courier: &mut Courier,
    ) -> Result<Consumed, CloseReason>;

    /// Whether it takes bytes now. Who waits for a decision about itself does not.
    fn reads(&self) -> bool {
        true
    }

    /// Work that it waits for, to be done elsewhere; its end is told as [`Notices::DECISION`].
    fn take_errand(&mut self) -> Option<Box<Errand>> {
        None
    }

    /// Somebody told this connection something.
    fn notified(
        &mut self,
        now: Timestamp,
        notices: Notices,
        courier: &mut Courier,
    ) -> Result<(), CloseReason>;

    /// It was not read from for so long, because receivers of its messages were behind.
    fn stalled(&self, _span: Duration) {}

    /// Somebody asked for the connection to be closed: what is staged now still reaches the peer.
    fn last_words(&mut self, reason: CloseReason, courier: &mut Courier);

    /// The session's deadline has come.
    fn due(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason>;

    /// When [`Self::due`] wants to be called.
    fn deadline(&self) -> Option<Timestamp>;

    /// The connection is closed: give back what it held outside of itself, and tell others.
    fn closed(&mut self, now: Timestamp, reason: CloseReason, courier: &mut Courier);
}
