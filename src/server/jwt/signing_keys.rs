//! Keys that sign users for an account, with or without a scope that says what such users may.

use std::collections::BTreeMap;

use crate::server::base::quote::quote;
use crate::server::protocol::json::Value;

use super::document::{self, Document, Each, Field, Mistakes, Place, When};
use super::error::JwtError;
use super::findings::Findings;
use super::nkey::{self, KeyKind};
use super::permissions::NatsLimits;
use super::user::{UserClaims, UserRights};

/// The only kind of scope there is.
const USER_SCOPE: &str = "user_scope";

/// What users get that were signed by a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserScope {
    kind: ScopeKind,
    /// The signing key.
    pub key: String,
    /// A name for people.
    pub role: String,
    /// Rights and limits; subjects may be templates.
    pub template: UserRights,
    /// For people.
    pub description: String,
}

impl UserScope {
    /// A scope for the users of this key, without rights of its own and without limits.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        let mut scope = Self { key: key.into(), ..Self::default() };
        scope.template.limits.nats = NatsLimits::NONE;
        scope
    }

    /// Checks that a user may get its rights from here.
    ///
    /// # Errors
    /// Another issuer; a user that brings rights or limits of its own.
    pub fn check(&self, user: &UserClaims) -> Result<(), &'static str> {
        if user.envelope.issuer != self.key {
            return Err("issuer not the scoped signer");
        }
        if !user.nats.rights.is_unset() {
            return Err("scoped users require no permissions or limits set");
        }
        Ok(())
    }
}

impl Document for UserScope {
    const TYPE: &'static str = "jwt.UserScope";

    fn fields(&mut self, each: Each<'_>) {
        each("kind", When::Always, &mut self.kind);
        each("key", When::Always, &mut self.key);
        each("role", When::Always, &mut self.role);
        each("template", When::Always, &mut self.template);
        each("description", When::Always, &mut self.description);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ScopeKind;

impl Field for ScopeKind {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        let mut text = String::new();
        text.read(value, at, mistakes);
        if text != USER_SCOPE {
            mistakes.add(JwtError::ScopeType);
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        USER_SCOPE.to_owned().write(out);
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// Signing keys by their public key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SigningKeys(BTreeMap<String, Option<Box<UserScope>>>);

impl SigningKeys {
    /// The scope of a key, if it is one of these.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Option<&UserScope>> {
        self.0.get(key).map(|scope| scope.as_deref())
    }

    /// Every key with its scope.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&UserScope>)> {
        self.0.iter().map(|(key, scope)| (key.as_str(), scope.as_deref()))
    }

    /// Adds a key without a scope.
    pub fn add(&mut self, key: impl Into<String>) {
        self.0.insert(key.into(), None);
    }

    /// Adds a key with its scope.
    pub fn add_scope(&mut self, scope: UserScope) {
        self.0.insert(scope.key.clone(), Some(Box::new(scope)));
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        for (key, scope) in self.iter() {
            match scope {
                Some(scope) if !nkey::is_public(&scope.key, KeyKind::Account) => {
                    findings.error(format!("{} is not an account public key", scope.key));
                }
                None if !nkey::is_public(key, KeyKind::Account) => {
                    findings.error(format!("{} is not a valid account signing key", quote(key)));
                }
                _ => {}
            }
        }
    }
}

impl Field for SigningKeys {
    fn read(&mut self, value: Value<'_>, _: &Place<'_>, mistakes: &mut Mistakes) {
        if !matches!(value.kind(), "array" | "null") {
            return mistakes.wrong(value, &Place::Root, "[]interface {}");
        }
        for element in value.elements() {
            match element.kind() {
                "string" => self.add(element.text().unwrap_or_default()),
                "object" => match read_scope(element) {
                    Ok(scope) => self.add_scope(scope),
                    Err(error) => return mistakes.add(error),
                },
                _ => {}
            }
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, (key, scope)) in self.0.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            match scope {
                Some(scope) => scope.as_mut().write(out),
                None => key.clone().write(out),
            }
        }
        out.push(b']');
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read_scope(value: Value<'_>) -> Result<UserScope, JwtError> {
    let member = |name: &str| value.members().filter(|(key, _)| key == name).last().map(|(_, value)| value);
    if member("kind").and_then(Value::text).is_none_or(|kind| kind != USER_SCOPE) {
        // The reference shows the field "type" here, which scopes do not have.
        let shown = member("type").map(Value::text);
        let shown = shown.map_or("%!q(<nil>)".to_owned(), |text| quote(text.unwrap_or_default().as_bytes()));
        return Err(JwtError::Scope(shown));
    }
    let mut scope = UserScope::new("");
    document::read(&mut scope, "UserScope", value)?;
    Ok(scope)
}
