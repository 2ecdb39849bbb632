//! Which of the repeated statements are let through. Pure: the time comes in.
//!
//! Reference: an identical statement is suppressed for about a second (auth, limit and stall messages).

use std::time::Duration;

use std::collections::HashMap;

use crate::server::base::clock::Timestamp;

/// How long a statement stays suppressed after it was let through. Reference: 1 s.
pub const REPEAT_SPAN: Duration = Duration::from_secs(1);

/// Statements remembered at once; beyond it, old ones are forgotten and, where all are young, new ones
/// are let through unremembered.
pub const STATEMENTS_MAX: usize = 4096;

/// Remembers when each statement was last let through.
#[derive(Debug, Default)]
pub struct RepeatLimit {
    seen: HashMap<String, Timestamp>,
}

impl RepeatLimit {
    /// Whether `statement` may be logged now; if so it counts as said.
    pub fn allow(&mut self, now: Timestamp, statement: &str) -> bool {
        if let Some(said) = self.seen.get_mut(statement) {
            if now.since(*said) < REPEAT_SPAN {
                return false;
            }
            *said = now;
            return true;
        }
        if self.seen.len() >= STATEMENTS_MAX {
            self.seen.retain(|_, said| now.since(*said) < REPEAT_SPAN);
        }
        if self.seen.len() < STATEMENTS_MAX {
            self.seen.insert(statement.to_owned(), now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_nanos(1_000_000_000_000);

    #[test]
    fn a_repeated_statement_is_suppressed_for_a_second() {
        let mut limit = RepeatLimit::default();
        for (millis, statement, want) in [
            (0, "a", true),
            (1, "a", false),
            (1, "b", true),
            (999, "a", false),
            (1000, "a", true),
            (1001, "b", true),
            (1002, "a", false),
        ] {
            let now = START + Duration::from_millis(millis);
            assert_eq!(limit.allow(now, statement), want, "{statement} at {millis} ms");
        }
    }

    #[test]
    fn the_memory_is_bounded_and_old_statements_make_room() {
        let mut limit = RepeatLimit::default();
        for number in 0..STATEMENTS_MAX + 10 {
            assert!(limit.allow(START, &number.to_string()));
        }
        assert_eq!(limit.seen.len(), STATEMENTS_MAX);
        assert!(limit.allow(START + REPEAT_SPAN, "later"));
        assert_eq!(limit.seen.len(), 1);
    }
}
