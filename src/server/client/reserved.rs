//! Subjects and queue groups that are the servers' own, whatever somebody's permissions say.

use crate::server::protocol::error::WireError;

/// Subjects of replies that find their way back over gateways: only servers publish to them.
const GATEWAY_REPLY_PREFIX: &[u8] = b"_GR_.";
/// As they began before.
const OLD_GATEWAY_REPLY_PREFIX: &[u8] = b"$GR.";
/// Subjects of consensus groups: only the system account publishes to them.
const RAFT_PREFIX: &[u8] = b"$NRG.";
/// Replies of service imports.
const SERVICE_REPLY_PREFIX: &[u8] = b"_R_.";
/// Acknowledgements of consumers.
const ACK_PREFIX: &[u8] = b"$JS.ACK.";
/// The queue group in which servers subscribe.
pub const SYSTEM_QUEUE: &[u8] = b"_sys_";

/// Why a publish is refused, if it is.
#[inline]
pub fn refusal<'a>(
    subject: &'a [u8],
    reply: &'a [u8],
    is_in_system: impl FnOnce() -> bool,
) -> Option<WireError<'a>> {
    // Nearly no subject begins like the reserved ones.
    if matches!(subject.first(), Some(b'_' | b'$'))
        && (goes_beyond(subject, GATEWAY_REPLY_PREFIX)
            || goes_beyond(subject, OLD_GATEWAY_REPLY_PREFIX)
            || (subject.starts_with(RAFT_PREFIX) && !is_in_system()))
    {
        return Some(WireError::PublishDenied { subject });
    }
    let reserved = [SERVICE_REPLY_PREFIX, ACK_PREFIX, GATEWAY_REPLY_PREFIX, OLD_GATEWAY_REPLY_PREFIX];
    if matches!(reply.first(), Some(b'_' | b'$'))
        && (reply.starts_with(SERVICE_REPLY_PREFIX)
            || reserved.iter().any(|prefix| goes_beyond(reply, prefix)))
    {
        return Some(WireError::ReplyDenied { reply });
    }
    None
}

/// Whether `subject` has the prefix and something behind it.
fn goes_beyond(subject: &[u8], prefix: &[u8]) -> bool {
    subject.len() > prefix.len() && subject.starts_with(prefix)
}
