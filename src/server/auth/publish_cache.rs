//! Which subjects may be published to, remembered by each worker for all of its connections.
//!
//! Reference: 128 subjects a connection. Here a connection has none of its own: an idle one costs nothing,
//! and those of one user share what is known.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::permission::Permissions;

/// Subjects remembered; a power of two. A subject has one place, so that a lookup is one look.
const PLACES: usize = 4096;

/// Longer subjects are judged each time.
const SUBJECT_BYTES_MAX: usize = 256;

/// A worker's memory of what permissions said. Made of nothing until the first question.
#[derive(Debug, Default)]
pub struct PublishCache {
    places: Vec<Option<Entry>>,
    /// Seeded: clients choose the subjects.
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    /// Held, so that no others can come to the same address.
    permissions: Arc<Permissions>,
    subject: Box<[u8]>,
    allowed: bool,
}

impl PublishCache {
    /// Whether `permissions` allow to publish to `subject`.
    pub fn allows(&mut self, permissions: &Arc<Permissions>, subject: &[u8]) -> bool {
        let rules = permissions.publish();
        if rules.is_open() {
            return true;
        }
        if subject.len() > SUBJECT_BYTES_MAX {
            return rules.allow_publish(subject);
        }
        if self.places.is_empty() {
            self.places.resize_with(PLACES, || None);
        }
        let hash = self.hasher.hash_one((Arc::as_ptr(permissions).addr(), subject));
        let at = usize::try_from(hash).unwrap_or_default() & (PLACES - 1);
        let Some(place) = self.places.get_mut(at) else { return rules.allow_publish(subject) };
        match place {
            Some(entry) if Arc::ptr_eq(&entry.permissions, permissions) && *entry.subject == *subject => {
                entry.allowed
            }
            _ => {
                let allowed = rules.allow_publish(subject);
                let permissions = Arc::clone(permissions);
                *place = Some(Entry { permissions, subject: subject.into(), allowed });
                allowed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::options::{self, SubjectPermission};

    fn allowing(subject: &str) -> Arc<Permissions> {
        let publish = SubjectPermission { allow: Some(vec![subject.to_owned()]), deny: Vec::new() };
        let described = options::Permissions { publish: Some(publish), ..Default::default() };
        Arc::new(Permissions::compile(&described))
    }

    #[test]
    fn answers_stay_right_for_more_subjects_than_are_remembered() {
        let (mut cache, even, odd) = (PublishCache::default(), allowing("*.even"), allowing("*.odd"));
        for _ in 0..3 {
            for number in 0..PLACES * 2 {
                let subject = format!("{number}.{}", if number % 2 == 0 { "even" } else { "odd" });
                for (permissions, want) in [(&even, number % 2 == 0), (&odd, number % 2 == 1)] {
                    assert_eq!(cache.allows(permissions, subject.as_bytes()), want, "{subject}");
                }
            }
        }
    }

    #[test]
    fn long_subjects_are_judged_too() {
        let (mut cache, permissions) = (PublishCache::default(), allowing("a.>"));
        let subject = format!("a.{}", "x".repeat(SUBJECT_BYTES_MAX));
        assert!(cache.allows(&permissions, subject.as_bytes()));
        assert!(!cache.allows(&permissions, &subject.as_bytes()[2..]));
    }
}
