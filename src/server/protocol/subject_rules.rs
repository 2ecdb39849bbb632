//! What is allowed and what is denied, by subject: one side (publish, subscribe) of somebody's permissions.

use super::subject::has_wildcard;
use super::subject_set::{SetEntry, SubjectSet};

/// Allowed and denied subjects, compiled. Nothing set allows everything.
#[derive(Debug, Default)]
pub struct SubjectRules {
    /// Absent: everything is allowed.
    allow: Option<SubjectSet>,
    /// Absent: nothing is denied.
    deny: Option<SubjectSet>,
}

impl SubjectRules {
    /// Rules with these entries; no list of allowed ones allows all.
    pub fn new(allow: Option<Vec<SetEntry>>, deny: Vec<SetEntry>) -> Self {
        let deny = (!deny.is_empty()).then(|| SubjectSet::new(deny));
        Self { allow: allow.map(SubjectSet::new), deny }
    }

    /// Whether everything is allowed.
    pub const fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_none()
    }

    /// The denied subjects, if there are any.
    pub const fn denied(&self) -> Option<&SubjectSet> {
        self.deny.as_ref()
    }

    /// Whether a message may be published to `subject`.
    pub fn allow_publish(&self, subject: &[u8]) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.covers(subject))
            && !self.deny.as_ref().is_some_and(|deny| deny.covers(subject))
    }

    /// Whether `subject` may be subscribed to, in the group `queue` if there is one.
    ///
    /// Allowed entries for groups that cover the subject decide for members alone; an entry for everybody
    /// does for everybody where there are none. A denied one for everybody denies groups as well.
    pub fn allow_subscribe(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let allowed = self.allow.as_ref().is_none_or(|allow| {
            let covered = allow.look_up(subject, queue);
            covered.queue.filter(|_| queue.is_some()).unwrap_or(covered.plain)
        });
        allowed && !self.deny.as_ref().is_some_and(|deny| denies(deny, subject, queue))
    }

    /// Whether messages for a subscription to `subject` have to be looked at one by one, because something
    /// that it covers is denied.
    pub fn filter_deliveries(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let Some(deny) = &self.deny else { return false };
        (queue.is_some() || has_wildcard(subject)) && deny.overlaps(subject)
    }

    /// Whether a message on `subject` may not reach a subscription in the group `queue`.
    pub fn deny_delivery(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        self.deny.as_ref().is_some_and(|deny| denies(deny, subject, queue))
    }
}

fn denies(deny: &SubjectSet, subject: &[u8], queue: Option<&[u8]>) -> bool {
    let covered = deny.look_up(subject, queue);
    covered.plain || covered.queue == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(texts: &[&str]) -> Vec<SetEntry> {
        texts.iter().filter_map(|text| SetEntry::parse(text)).collect()
    }

    fn rules(allow: Option<&[&str]>, deny: &[&str]) -> SubjectRules {
        SubjectRules::new(allow.map(entries), entries(deny))
    }

    #[test]
    fn deny_wins_over_allow_and_no_list_allows_all() {
        for (allow, deny, subject, want) in [
            (None, &[][..], "a", true),
            (Some(&[][..]), &[], "a", false),
            (Some(&["a.>"]), &[], "a.b", true),
            (Some(&["a.>"]), &[], "b", false),
            (Some(&["a.>"]), &["a.secret"], "a.secret", false),
            (None, &["a.*"], "a.b", false),
            (None, &["a.*"], "a", true),
        ] {
            assert_eq!(rules(allow, deny).allow_publish(subject.as_bytes()), want, "{subject}");
        }
    }

    #[test]
    fn groups_are_allowed_and_denied_by_name() {
        for (allow, deny, subject, queue, want) in [
            (Some(&["foo"][..]), &[][..], "foo", Some("any"), true),
            (Some(&["foo v1"]), &[], "foo", None, false),
            (Some(&["foo v1"]), &[], "foo", Some("v1"), true),
            (Some(&["foo v1"]), &[], "foo", Some("v2"), false),
            (Some(&["foo", "foo v1"]), &[], "foo", None, true),
            (Some(&["foo", "foo v1"]), &[], "foo", Some("v2"), false),
            (Some(&["foo v1.*"]), &[], "foo", Some("v1.a"), true),
            (None, &["foo v1"], "foo", Some("v1"), false),
            (None, &["foo v1"], "foo", Some("v2"), true),
            (None, &["foo v1"], "foo", None, true),
            (None, &["foo"], "foo", Some("v1"), false),
        ] {
            let got = rules(allow, deny).allow_subscribe(subject.as_bytes(), queue.map(str::as_bytes));
            assert_eq!(got, want, "{allow:?} {deny:?} {subject} {queue:?}");
        }
    }

    #[test]
    fn deliveries_are_filtered_where_a_subscription_covers_what_is_denied() {
        let rules = rules(None, &["foo.secret", "foo.x group"]);
        for (subject, queue, want) in [
            ("foo.*", None, true),
            ("bar.*", None, false),
            ("foo.x", None, false),
            ("foo.x", Some("other"), true),
        ] {
            assert_eq!(
                rules.filter_deliveries(subject.as_bytes(), queue.map(str::as_bytes)),
                want,
                "{subject}"
            );
        }
        assert!(rules.deny_delivery(b"foo.secret", None) && !rules.deny_delivery(b"foo.open", None));
        assert!(
            rules.deny_delivery(b"foo.x", Some(b"group")) && !rules.deny_delivery(b"foo.x", Some(b"other"))
        );
    }
}
