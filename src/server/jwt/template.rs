//! Permissions of scoped users: subjects in which `{{…}}` stands for what is known of the user.

use std::borrow::Cow;

use crate::server::base::quote::quote;
use crate::server::protocol::subject::is_valid;

use super::permissions::Permission;
use super::user::UserRights;

/// Subjects that one list of permissions may grow to. Reference: 4096.
const SUBJECTS_MAX: usize = 4096;

/// What templates stand for.
#[derive(Debug, Clone, Copy)]
pub struct TemplateValues<'v> {
    /// `{{name()}}`
    pub name: &'v str,
    /// `{{subject()}}`
    pub subject: &'v str,
    /// `{{tag(key)}}`: the values of the user's tags `key:value`.
    pub tags: &'v [String],
    /// `{{account-name()}}`
    pub account_name: &'v str,
    /// `{{account-subject()}}`
    pub account_subject: &'v str,
    /// `{{account-tag(key)}}`
    pub account_tags: &'v [String],
}

/// Why a user gets no permissions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A denied subject would not be denied.
    #[error("generated invalid subject {}: {} is not defined", quote(.subject), quote(.tag))]
    Undefined {
        /// The template.
        subject: String,
        /// The tag that the user does not have.
        tag: String,
    },
    /// A denied subject that comes out as none.
    #[error("generated invalid subject")]
    Invalid,
    /// Something else between the braces.
    #[error("template operation in {}: {} is not defined", quote(.subject), quote(.operation))]
    Unknown {
        /// The template.
        subject: String,
        /// What stands between the braces.
        operation: String,
    },
    /// Tags with so many values that the subjects would be more than a server bears.
    #[error("template expansion exceeds limit: {SUBJECTS_MAX}")]
    TooMany,
}

/// Fills in the templates of a scope. Allowed subjects that come out as none are left out, and where none is
/// left everything is denied; denied subjects must all come out.
///
/// # Errors
/// A template that cannot be filled in.
pub fn expand(rights: &UserRights, values: &TemplateValues<'_>) -> Result<UserRights, TemplateError> {
    let mut rights = rights.clone();
    // In the reference's order, which decides what is reported.
    expand_permission(&mut rights.permissions.subscribe, values)?;
    expand_permission(&mut rights.permissions.publish, values)?;
    Ok(rights)
}

fn expand_permission(permission: &mut Permission, values: &TemplateValues<'_>) -> Result<(), TemplateError> {
    let had_allowed = !permission.allow.is_empty();
    permission.allow = expand_list(&permission.allow, Purpose::Allow, values)?;
    permission.deny = expand_list(&permission.deny, Purpose::Deny, values)?;
    let everything = ">".to_owned();
    if had_allowed && permission.allow.is_empty() && !permission.deny.contains(&everything) {
        permission.deny.push(everything);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Allow,
    Deny,
}

fn expand_list(
    list: &[String],
    purpose: Purpose,
    values: &TemplateValues<'_>,
) -> Result<Vec<String>, TemplateError> {
    if list.iter().all(|subject| templates(subject).next().is_none()) {
        return Ok(list.to_vec());
    }
    let mut out = Vec::with_capacity(list.len());
    for subject in list {
        expand_subject(subject, purpose, values, &mut out)?;
    }
    Ok(out)
}

/// The templates of a text, with their braces.
fn templates(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find("{{")?;
            let inside = rest.get(start + 2..)?;
            let end = inside.find('}')?;
            if end > 0 && inside.get(end..)?.starts_with("}}") {
                let len = end + 4;
                let found = rest.get(start..start + len)?;
                rest = rest.get(start + len..)?;
                return Some(found);
            }
            // As a search from left to right does: the next brace may begin a template.
            rest = rest.get(start + 1..)?;
        }
    })
}

fn expand_subject(
    subject: &str,
    purpose: Purpose,
    values: &TemplateValues<'_>,
    out: &mut Vec<String>,
) -> Result<(), TemplateError> {
    let mut slots: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut count = 1_usize;
    for template in templates(subject) {
        let meant = values_of(subject, template, purpose, values)?;
        count = count
            .checked_mul(meant.len())
            .filter(|count| *count <= SUBJECTS_MAX)
            .ok_or(TemplateError::TooMany)?;
        slots.push((template, meant));
    }
    if out.len() + count > SUBJECTS_MAX
        && slots.iter().any(|(template, _)| tag_of(operation(template)).is_some())
    {
        return Err(TemplateError::TooMany);
    }
    // Counts through all combinations, the last template fastest.
    for number in 0..count {
        let mut filled = Cow::Borrowed(subject);
        let mut rest = count;
        for (template, meant) in &slots {
            rest /= meant.len();
            let value = meant.get(number / rest % meant.len()).copied().unwrap_or_default();
            filled = Cow::Owned(filled.replace(template, value));
        }
        if is_valid(filled.as_bytes()) {
            out.push(filled.into_owned());
        } else if purpose == Purpose::Deny {
            return Err(TemplateError::Invalid);
        }
    }
    Ok(())
}

fn operation(template: &str) -> &str {
    let inside = template.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    inside.unwrap_or(template).trim()
}

/// What one template stands for, one or several texts.
fn values_of<'v>(
    subject: &str,
    template: &str,
    purpose: Purpose,
    values: &TemplateValues<'v>,
) -> Result<Vec<&'v str>, TemplateError> {
    let operation = operation(template);
    let plain = match operation.to_ascii_lowercase().as_str() {
        "name()" => Some(values.name),
        "subject()" => Some(values.subject),
        "account-name()" => Some(values.account_name),
        "account-subject()" => Some(values.account_subject),
        _ => None,
    };
    if let Some(value) = plain {
        return Ok(vec![value]);
    }
    let Some((of_account, tag)) = tag_of(operation) else {
        return Err(TemplateError::Unknown { subject: subject.into(), operation: operation.into() });
    };
    let tags = if of_account { values.account_tags } else { values.tags };
    let prefix = format!("{}:", tag.to_lowercase());
    let found: Vec<&str> = tags.iter().filter_map(|tag| tag.strip_prefix(&prefix)).collect();
    match purpose {
        _ if !found.is_empty() => Ok(found),
        // No subject has a space: what is allowed only by this tag is left out.
        Purpose::Allow => Ok(vec![" "]),
        Purpose::Deny => Err(TemplateError::Undefined { subject: subject.into(), tag: tag.into() }),
    }
}

/// The key of `tag(key)` and `account-tag(key)`, and whether it is the account's.
fn tag_of(operation: &str) -> Option<(bool, &str)> {
    for (of_account, name) in [(false, "tag("), (true, "account-tag(")] {
        let Some((start, rest)) = operation.split_at_checked(name.len()) else { continue };
        if start.eq_ignore_ascii_case(name)
            && let Some(key) = rest.strip_suffix(')')
        {
            // The reference cuts off the word only where it is in small letters.
            return Some((of_account, if start == name { key } else { operation.strip_suffix(')')? }));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'v>(tags: &'v [String], account_tags: &'v [String]) -> TemplateValues<'v> {
        TemplateValues {
            name: "ann",
            subject: "UANN",
            tags,
            account_name: "acme",
            account_subject: "AACME",
            account_tags,
        }
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[track_caller]
    fn check(list: &[&str], purpose: Purpose, want: Result<&[&str], &str>) {
        let (tags, account_tags) = (texts(&["team:a", "team:b", "dep:x.y", "other"]), texts(&["region:eu"]));
        let got = expand_list(&texts(list), purpose, &values(&tags, &account_tags));
        assert_eq!(got.map_err(|error| error.to_string()), want.map(texts).map_err(str::to_owned));
    }

    #[test]
    fn templates_become_what_is_known_of_the_user() {
        check(&["a", "b.>"], Purpose::Allow, Ok(&["a", "b.>"]));
        check(&["{{name()}}.{{ Subject() }}"], Purpose::Allow, Ok(&["ann.UANN"]));
        check(&["{{account-name()}}.{{ACCOUNT-SUBJECT()}}.>"], Purpose::Deny, Ok(&["acme.AACME.>"]));
        check(&["t.{{tag(team)}}"], Purpose::Allow, Ok(&["t.a", "t.b"]));
        check(
            &["{{tag(TEAM)}}.{{tag(dep)}}.{{account-tag(region)}}"],
            Purpose::Deny,
            Ok(&["a.x.y.eu", "b.x.y.eu"]),
        );
        check(&["{{tag(team)}}.{{tag(team)}}"], Purpose::Allow, Ok(&["a.a", "a.a", "b.b", "b.b"]));
    }

    #[test]
    fn allowed_subjects_that_come_out_as_none_are_left_out() {
        check(&["t.{{tag(none)}}", "plain"], Purpose::Allow, Ok(&["plain"]));
        check(&["t.{{tag(none)}}"], Purpose::Allow, Ok(&[]));
        let mut permission = Permission { allow: texts(&["t.{{tag(none)}}"]), deny: texts(&["d"]) };
        expand_permission(&mut permission, &values(&[], &[])).unwrap();
        assert_eq!(permission, Permission { allow: vec![], deny: texts(&["d", ">"]) });
    }

    #[test]
    fn denied_subjects_must_come_out() {
        let undefined = "generated invalid subject \"t.{{tag(none)}}\": \"none\" is not defined";
        check(&["t.{{tag(none)}}"], Purpose::Deny, Err(undefined));
        check(&[".{{name()}}"], Purpose::Deny, Err("generated invalid subject"));
    }

    #[test]
    fn unknown_templates_are_refused() {
        for purpose in [Purpose::Allow, Purpose::Deny] {
            let unknown = "template operation in \"{{nobody()}}\": \"nobody()\" is not defined";
            check(&["{{nobody()}}"], purpose, Err(unknown));
            let unknown = "template operation in \"{{{name()}}\": \"{name()\" is not defined";
            check(&["{{{name()}}"], purpose, Err(unknown));
        }
    }

    #[test]
    fn tags_multiply_up_to_a_limit() {
        let many = |count: usize| (0..count).map(|at| format!("k:{at}")).collect::<Vec<_>>();
        let list = texts(&["{{tag(k)}}.{{tag(k)}}"]);
        // 64 x 64 is the limit; the reference replaces equal templates at once, so the diagonal repeats.
        assert_eq!(expand_list(&list, Purpose::Allow, &values(&many(64), &[])).unwrap().len(), SUBJECTS_MAX);
        for (list, tags) in [(list, 65), (texts(&["a.{{tag(k)}}", "b.{{tag(k)}}"]), 2049)] {
            let error = expand_list(&list, Purpose::Allow, &values(&many(tags), &[])).unwrap_err();
            assert_eq!(error.to_string(), "template expansion exceeds limit: 4096");
        }
    }
}
