//! Who somebody is, or says to be, as logs and labels name it. Never a secret.

use crate::server::base::quote::quote;
use crate::server::protocol::connect::ConnectOptions;

/// Who a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// Nobody in particular.
    #[default]
    Nobody,
    /// A user with this name.
    User(Box<str>),
    /// The holder of this public key.
    Nkey(Box<str>),
    /// The holder of this public key, by claims.
    Jwt(Box<str>),
    /// The holder of a token.
    Token,
}

impl Identity {
    /// Who a client says to be. Of several the first counts: nkey, user, token.
    pub fn said(options: &ConnectOptions) -> Self {
        match (&*options.nkey, &*options.user, &*options.auth_token) {
            ("", "", "") => Self::Nobody,
            ("", "", _) => Self::Token,
            ("", user, _) => Self::User(user.into()),
            (nkey, _, _) => Self::Nkey(nkey.into()),
        }
    }

    /// The name in events: the user's or the key; a token is not shown.
    pub fn name(&self) -> &str {
        match self {
            Self::Nobody => "",
            Self::User(name) | Self::Nkey(name) | Self::Jwt(name) => name,
            Self::Token => "[REDACTED]",
        }
    }

    /// The part of a connection's label: `user:ann`.
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::User(name) => Some(format!("user:{name}")),
            Self::Nkey(key) => Some(format!("nkey:{key}")),
            Self::Jwt(key) => Some(format!("jwt:{key}")),
            Self::Token => Some("token".to_owned()),
        }
    }

    /// The words of a log line: `User "ann"`.
    pub fn text(&self) -> String {
        match self {
            Self::Nobody => "User \"N/A\"".to_owned(),
            Self::User(name) => format!("User {}", quote(name.as_bytes())),
            Self::Nkey(key) => format!("Nkey {}", quote(key.as_bytes())),
            Self::Jwt(key) => format!("JWT User {}", quote(key.as_bytes())),
            Self::Token => "Token \"[REDACTED]\"".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nkey_counts_before_the_user_before_the_token() {
        for (json, label, text) in [
            (r#"{"name":"me"}"#, None, r#"User "N/A""#),
            (r#"{"auth_token":"secret"}"#, Some("token"), r#"Token "[REDACTED]""#),
            (r#"{"user":"ann","pass":"secret","auth_token":"secret"}"#, Some("user:ann"), r#"User "ann""#),
            (r#"{"user":"ann","nkey":"UX"}"#, Some("nkey:UX"), r#"Nkey "UX""#),
        ] {
            let mut options = ConnectOptions::default();
            options.merge(json.as_bytes()).unwrap();
            let who = Identity::said(&options);
            assert_eq!((who.label().as_deref(), &*who.text()), (label, text), "{json}");
        }
    }
}
