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
    use proptest::prelude::*;

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

    /// Whether `pattern` covers `subject`, whose wildcards are plain words: token by token.
    fn model_covers(pattern: &str, subject: &str) -> bool {
        let (pattern, subject): (Vec<_>, Vec<_>) =
            (pattern.split('.').collect(), subject.split('.').collect());
        let (pattern, is_open) = match pattern.split_last() {
            Some((&">", before)) => (before, true),
            _ => (&*pattern, false),
        };
        let fits = if is_open { subject.len() > pattern.len() } else { subject.len() == pattern.len() };
        fits && pattern.iter().zip(&subject).all(|(own, word)| *own == "*" || own == word)
    }

    /// Whether the group `queue` is one of those that an entry is for.
    fn model_is_in(queue: &str, of: &str) -> bool {
        queue == of || (!queue.contains(['*', '>']) && model_covers(of, queue))
    }

    /// What entries say of a subject: is one for everybody, and of those for groups, is one for this?
    fn model_find(entries: &[String], subject: &str, queue: Option<&str>) -> (bool, Option<bool>) {
        let (mut plain, mut group) = (false, None);
        for entry in entries {
            let (pattern, of) =
                entry.split_once(' ').map_or((&**entry, None), |(pattern, of)| (pattern, Some(of)));
            if !model_covers(pattern, subject) {
                continue;
            }
            match of {
                None => plain = true,
                Some(of) => {
                    let is_member = queue.is_some_and(|queue| model_is_in(queue, of));
                    group = Some(group.unwrap_or(false) || is_member);
                }
            }
        }
        (plain, group)
    }

    fn model_allows_subscribe(
        allow: Option<&[String]>,
        deny: &[String],
        subject: &str,
        queue: Option<&str>,
    ) -> bool {
        let is_allowed = allow.is_none_or(|allow| match (model_find(allow, subject, queue), queue) {
            ((_, Some(is_member)), Some(_)) => is_member,
            ((plain, _), _) => plain,
        });
        let (plain, group) = model_find(deny, subject, queue);
        is_allowed && !plain && !(queue.is_some() && group == Some(true))
    }

    fn subject() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
            .prop_map(|tokens| tokens.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let tokens = prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 0..3);
        (tokens, prop::sample::select(vec!["a", "b", "*", ">"])).prop_map(|(mut tokens, last)| {
            tokens.push(last);
            tokens.join(".")
        })
    }

    fn group() -> impl Strategy<Value = Option<&'static str>> {
        prop::option::of(prop::sample::select(vec!["q", "q.a", "q.b", "other"]))
    }

    fn list() -> impl Strategy<Value = Vec<String>> {
        let queue =
            prop::option::weighted(0.4, prop::sample::select(vec!["q", "q.a", "q.*", "q.>", "*", ">"]));
        let entry = (pattern(), queue)
            .prop_map(|(pattern, queue)| queue.map_or(pattern.clone(), |queue| format!("{pattern} {queue}")));
        prop::collection::vec(entry, 0..5)
    }

    proptest! {
        #[test]
        fn rules_say_what_their_entries_say(
            allow in prop::option::of(list()),
            deny in list(),
            asked in prop_oneof![subject(), pattern()],
            queue in group(),
        ) {
            let refs = |list: &[String]| entries(&list.iter().map(String::as_str).collect::<Vec<_>>());
            let rules = SubjectRules::new(allow.as_deref().map(refs), refs(&deny));
            let (asked, group) = (asked.as_str(), queue.map(str::as_bytes));
            prop_assert_eq!(
                rules.allow_subscribe(asked.as_bytes(), group),
                model_allows_subscribe(allow.as_deref(), &deny, asked, queue)
            );
            let plain = |list: &[String]| model_find(list, asked, None).0;
            let may_publish = allow.as_deref().is_none_or(plain) && !plain(&deny);
            prop_assert_eq!(rules.allow_publish(asked.as_bytes()), may_publish);
        }

        #[test]
        fn nothing_denied_reaches_a_subscription_that_is_not_looked_at(
            deny in list(),
            (pattern, subject) in (pattern(), subject()),
            queue in group(),
        ) {
            let refs: Vec<_> = deny.iter().map(String::as_str).collect();
            let rules = rules(None, &refs);
            let (pattern, subject, group) = (pattern.as_bytes(), subject.as_bytes(), queue.map(str::as_bytes));
            let is_denied = rules.deny_delivery(subject, group);
            if is_denied && crate::server::protocol::subject::matches(subject, pattern) {
                prop_assert!(
                    rules.filter_deliveries(pattern, group) || !rules.allow_subscribe(pattern, group)
                );
            }
        }
    }
}
