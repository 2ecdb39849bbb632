//! Who subscribed to what, and matching; carries a target and never looks into it.
//!
//! A [`SharedInterest`] is one account's interest. A worker asks its own [`MatchCache`] who wants a
//! subject; what that doesn't know comes from the account's [`Sublist`], behind a leaf lock.

mod pattern;
mod letter;
mod detour;
mod subscription;
mod packed;
mod result;
mod table;
mod trie;
mod wildcards;
mod sublist;
mod change;
mod generation;
mod import;
mod shadows;
mod departure;
mod shared;
mod cache;

pub use cache::MatchCache;
pub use change::{ChangeReceiver, ChangeSender, Heard, InterestChange, change_queue};
pub use departure::Departure;
pub use detour::Detour;
pub use generation::Place;
pub use import::StreamImport;
pub use letter::Letter;
pub use pattern::{InterestError, fuzz_pattern};
pub use result::{MatchResult, Members, QueueGroup, Slices};
pub use shadows::Shadow;
pub use shared::{SharedInterest, SublistStats};
pub use sublist::{Sublist, Tally};
pub use subscription::{Delivery, Subscription};

/// The hash of some bytes, without their length: nothing else is hashed along with them.
#[inline]
fn hash_bytes<H: std::hash::BuildHasher>(hasher: &H, bytes: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    std::hash::Hasher::write(&mut state, bytes);
    std::hash::Hasher::finish(&state)
}
