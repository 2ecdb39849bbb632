//! For tests: keys, and claims signed by them at a fixed moment.

use nkeys::KeyPair;

use crate::server::base::clock::Timestamp;

use super::{Body, Claim, sign};

/// 2026-11-29 19:00:00 UTC: when everything here is signed.
pub(crate) const NOW: Timestamp = Timestamp::from_nanos(NOW_S as u64 * 1_000_000_000);
/// The same in Unix seconds.
pub(crate) const NOW_S: i64 = 1_795_978_800;

/// The token of claims.
pub(crate) fn signed<B: Body>(mut claim: Claim<B>, key: &KeyPair) -> String {
    sign(&mut claim, key, NOW).unwrap()
}

/// The token of claims about the holder of `subject`, changed before they are signed.
pub(crate) fn token<B: Body>(key: &KeyPair, subject: &KeyPair, change: impl FnOnce(&mut Claim<B>)) -> String {
    let mut claim = Claim::new(subject.public_key());
    change(&mut claim);
    signed(claim, key)
}
