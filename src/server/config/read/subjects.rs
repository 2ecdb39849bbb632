//! Validity of the subjects and queue names that a configuration file holds.

use crate::server::base::quote::quote;
use crate::server::protocol::subject;
use crate::server::protocol::transform::{self, Transform, Use, with_references};

/// True for a subject: tokens without blanks, none empty, `>` only as the last.
pub(super) fn is_subject(text: &str) -> bool {
    subject::is_valid(text.as_bytes())
}

/// True for a subject without wildcards.
pub(super) fn is_literal(text: &str) -> bool {
    subject::is_literal(text.as_bytes())
}

/// True for a subject that can be published to.
pub(super) fn is_publishable(text: &str) -> bool {
    subject::is_valid_publish(text.as_bytes())
}

/// True when every subject that `narrow` matches is matched by `wide`.
pub(super) fn is_subset(narrow: &str, wide: &str) -> bool {
    subject::is_subset(narrow.as_bytes(), wide.as_bytes())
}

/// True when some subject is matched by both.
pub(super) fn collide(a: &str, b: &str) -> bool {
    subject::collide(a.as_bytes(), b.as_bytes())
}

/// Checks that messages to `source` can be mapped to `destination`.
pub(super) fn check_mapping(source: &str, destination: &str) -> Result<(), String> {
    transform::check_mapping(source.as_bytes(), destination.as_bytes()).map_err(|error| error.to_string())
}

/// Checks that an import of `from` can be seen as `to`, and found back from there.
pub(super) fn check_import(from: &str, to: &str) -> Result<(), String> {
    let to = with_references(to.as_bytes());
    Transform::new(from.as_bytes(), &to, Use::Import).map(|_| ()).map_err(|error| error.to_string())
}

/// References to wildcards (`$1`, `{{wildcard(1)}}`) become wildcards again.
pub(super) fn with_wildcards(subject: &str) -> String {
    String::from_utf8_lossy(&transform::with_wildcards(subject.as_bytes())).into_owned()
}

/// Checks subjects of permissions; where queues are allowed, also `subject queue`.
pub(in crate::server::config) fn check_subjects(subjects: &[String], queues: bool) -> Result<(), String> {
    for subject in subjects.iter().filter(|subject| !is_subject(subject)) {
        let refusal = |text: &str| Err(format!("subject {} is not a valid subject", quote(text)));
        let mut parts = subject.split_whitespace();
        let (Some(first), Some(queue), None, true) = (parts.next(), parts.next(), parts.next(), queues)
        else {
            return refusal(subject);
        };
        if !is_subject(first) {
            return refusal(first);
        }
        if !is_subject(queue) {
            return Err(format!("queue {} is not a valid queue", quote(queue)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_have_filled_tokens_and_end_at_the_full_wildcard() {
        for good in ["a", "a.b", "*", ">", "a.*.>", "a*b", "a>", "$SYS.>"] {
            assert!(is_subject(good), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", ">.a", "a b", "a.\t"] {
            assert!(!is_subject(bad), "{bad}");
        }
    }

    #[test]
    fn a_queue_may_follow_a_subject_where_queues_are_allowed() {
        let check = |text: &str, queues| check_subjects(&[text.to_owned()], queues).err();
        assert_eq!(check("a q", true), None);
        assert_eq!(check("a q", false).unwrap(), "subject \"a q\" is not a valid subject");
        assert_eq!(check("a. q", true).unwrap(), "subject \"a.\" is not a valid subject");
        assert_eq!(check("a q.", true).unwrap(), "queue \"q.\" is not a valid queue");
        assert_eq!(check("a q r", true).unwrap(), "subject \"a q r\" is not a valid subject");
    }

    #[test]
    fn references_become_wildcards() {
        for (text, want) in [
            ("a.$1.b", "a.*.b"),
            ("a.{{wildcard(2)}}", "a.*"),
            ("a.{{ Wildcard (2) }}", "a.*"),
            ("$SYS.$0", "$SYS.$0"),
            ("a.{{split(1,-)}}", "a.{{split(1,-)}}"),
        ] {
            assert_eq!(with_wildcards(text), want);
        }
    }
}
