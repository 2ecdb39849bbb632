//! Chance: a small seeded generator, and the tokens that are drawn from it.
//!
//! Not for secrets. Whoever draws owns a generator, so that one seed decides a whole simulation.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A 64-bit generator (SplitMix64): one addition and a few multiplications a number.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator whose whole sequence is decided by `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator seeded from the operating system's entropy.
    pub fn from_entropy() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// Fills `bytes` with what nobody can guess, straight from the operating system: for what secrets
    /// depend on.
    pub fn fill_secret(bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // An error is an interruption: Linux has no other once it has started.
            let filled = rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty());
            rest = rest.get_mut(filled.unwrap_or(0)..).unwrap_or_default();
        }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // The high half of the product is uniform enough for any bound below 2^32.
        let product = u128::from(self.next_u64()) * bound as u128;
        (product >> 64) as usize
    }

    /// A number from 0 up to 1.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `length` characters of `0-9A-Za-z`.
    pub fn token(&mut self, length: usize) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        (0..length)
            .filter_map(|_| DIGITS.get(self.below(DIGITS.len())))
            .map(|&digit| char::from(digit))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_sequence() {
        let (mut one, mut two) = (Rng::seeded(7), Rng::seeded(7));
        assert!((0..100).all(|_| one.next_u64() == two.next_u64()));
    }

    #[test]
    fn below_reaches_every_value_and_no_other() {
        let mut rng = Rng::seeded(1);
        let mut seen = [0_u32; 5];
        (0..1000).for_each(|_| seen[rng.below(5)] += 1);
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn token_has_the_asked_length() {
        assert_eq!(Rng::seeded(3).token(22).len(), 22);
    }
}
