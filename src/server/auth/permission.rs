//! What a user may publish and subscribe to, compiled from its description.

use std::sync::Arc;

use crate::server::config::options::{self, ResponsePermission, SubjectPermission};
use crate::server::outbound::{AnswerRule, Answers};
use crate::server::protocol::subject_rules::SubjectRules;
use crate::server::protocol::subject_set::SetEntry;

/// Compiled permissions; all connections of one user share them.
#[derive(Debug)]
pub struct Permissions {
    publish: Arc<SubjectRules>,
    subscribe: Arc<SubjectRules>,
    described: options::Permissions,
}

impl Permissions {
    /// Compiles permissions that have been checked when they were read.
    ///
    /// Who may answer may publish nothing else, unless it is allowed by name. A zero in the rule for answers
    /// means the default.
    pub fn compile(description: &options::Permissions) -> Self {
        let described = with_defaults(description);
        Self {
            publish: Arc::new(publish_rules(described.publish.as_ref())),
            subscribe: Arc::new(subscribe_rules(described.subscribe.as_ref())),
            described,
        }
    }

    /// The same, with `subjects` denied for publishing.
    pub fn without_publish(&self, subjects: &[&str]) -> Self {
        let mut described = options::Permissions::clone(&self.described);
        let deny = &mut described.publish.get_or_insert_default().deny;
        deny.extend(subjects.iter().map(|subject| (*subject).to_owned()));
        Self::compile(&described)
    }

    /// Whether compiling `description` would give the same.
    pub fn is_of(&self, description: &options::Permissions) -> bool {
        with_defaults(description) == self.described
    }

    /// What they were compiled from, with defaults filled in.
    pub const fn described(&self) -> &options::Permissions {
        &self.described
    }

    /// The rules for what is published.
    pub const fn publish(&self) -> &Arc<SubjectRules> {
        &self.publish
    }

    /// The rules for what is subscribed to.
    pub const fn subscribe(&self) -> &Arc<SubjectRules> {
        &self.subscribe
    }

    /// Whether requests may be answered that could not be otherwise.
    pub const fn allow_answers(&self) -> bool {
        self.described.allow_responses.is_some()
    }

    /// Where a connection notes whom it may answer; `None` where that is no question.
    pub fn answers(&self) -> Option<Answers> {
        let rule = self.described.allow_responses?;
        let rule = AnswerRule { count_max: u64::try_from(rule.max_messages).ok(), age_max: rule.expires };
        Some(Answers::new(rule, Arc::clone(&self.publish)))
    }
}

fn with_defaults(description: &options::Permissions) -> options::Permissions {
    let mut described = options::Permissions::clone(description);
    if let Some(responses) = &mut described.allow_responses {
        described.publish.get_or_insert_default().allow.get_or_insert_default();
        let default = ResponsePermission::default();
        if responses.max_messages == 0 {
            responses.max_messages = default.max_messages;
        }
        if responses.expires.is_some_and(|time| time.is_zero()) {
            responses.expires = default.expires;
        }
    }
    described
}

/// Queue groups mean nothing to a publisher; an entry that names one counts for its subject.
fn publish_rules(described: Option<&SubjectPermission>) -> SubjectRules {
    let Some(SubjectPermission { allow, deny }) = described else { return SubjectRules::default() };
    let everybody = |texts: &[String]| {
        let mut entries = entries(texts);
        entries.iter_mut().for_each(|entry| entry.queue = None);
        entries
    };
    SubjectRules::new(allow.as_deref().map(everybody), everybody(deny))
}

/// An empty list of allowed subjects allows all, other than with publishing: so the reference has it.
fn subscribe_rules(described: Option<&SubjectPermission>) -> SubjectRules {
    let Some(SubjectPermission { allow, deny }) = described else { return SubjectRules::default() };
    let allow = allow.as_deref().filter(|allow| !allow.is_empty());
    SubjectRules::new(allow.map(entries), entries(deny))
}

fn entries(texts: &[String]) -> Vec<SetEntry> {
    texts.iter().filter_map(|text| SetEntry::parse(text)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn list(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn permissions(publish: Option<SubjectPermission>, subscribe: Option<SubjectPermission>) -> Permissions {
        Permissions::compile(&options::Permissions { publish, subscribe, allow_responses: None })
    }

    #[test]
    fn an_empty_list_allows_no_publish_and_every_subscription() {
        let empty = SubjectPermission { allow: Some(Vec::new()), deny: Vec::new() };
        let permissions = permissions(Some(empty.clone()), Some(empty));
        assert!(!permissions.publish().allow_publish(b"a"));
        assert!(permissions.subscribe().allow_subscribe(b"a", None));
    }

    #[test]
    fn who_may_answer_may_publish_nothing_else() {
        let responses = ResponsePermission { max_messages: 0, expires: Some(Duration::ZERO) };
        let described = options::Permissions { allow_responses: Some(responses), ..Default::default() };
        let permissions = Permissions::compile(&described);
        assert!(!permissions.publish().allow_publish(b"a") && permissions.answers().is_some());
        assert_eq!(permissions.described().allow_responses, Some(ResponsePermission::default()));
    }

    #[test]
    fn more_can_be_denied() {
        let allow = SubjectPermission { allow: Some(list(&["a.>"])), deny: Vec::new() };
        let permissions = permissions(Some(allow), None).without_publish(&["a.secret"]);
        assert!(permissions.publish().allow_publish(b"a.b"));
        assert!(!permissions.publish().allow_publish(b"a.secret"));
    }
}
