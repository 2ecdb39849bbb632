//! Ids of events: 22 characters, unique, and cheap to make. The form is the NUID of NATS clients.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::server::base::rng::Rng;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters that all ids of one generator begin with.
const PREFIX_LENGTH: usize = 12;
/// Characters that count.
const SEQUENCE_LENGTH: usize = 10;
/// Two ids in a row differ by at least this much, and by less than ten times that.
const STEP_MIN: u64 = 33;

/// Makes ids. Shared: each call gives another id.
#[derive(Debug)]
pub struct EventIds {
    prefix: String,
    sequence: AtomicU64,
    step: u64,
}

impl EventIds {
    /// A generator whose prefix, start and step are drawn from `rng`.
    pub fn new(rng: &mut Rng) -> Self {
        let step = STEP_MIN + rng.below(STEP_MIN as usize * 9) as u64;
        // The start leaves room for more ids than a server can ever make.
        Self { prefix: rng.token(PREFIX_LENGTH), sequence: AtomicU64::new(rng.next_u64() >> 6), step }
    }

    /// An id that this generator did not give before.
    pub fn next(&self) -> String {
        let mut id = self.prefix.clone();
        let mut number = self.sequence.fetch_add(self.step, Ordering::Relaxed);
        let digits: [u8; SEQUENCE_LENGTH] = std::array::from_fn(|_| {
            let digit = DIGITS.get((number % 62) as usize).copied().unwrap_or(b'0');
            number /= 62;
            digit
        });
        id.extend(digits.iter().rev().map(|&digit| char::from(digit)));
        id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_have_22_characters_and_differ() {
        let ids = EventIds::new(&mut Rng::seeded(1));
        let made: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
