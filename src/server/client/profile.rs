//! What a client said of itself in CONNECT, kept small: every idle connection has one.

use crate::server::auth::Identity;
use crate::server::protocol::connect::ConnectOptions;
use crate::server::protocol::json::JsonError;

/// The switches that operations look at, and the names that others are shown.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// Messages come back to the connection that published them.
    pub(super) echo: bool,
    /// Every operation is answered with +OK.
    pub(super) verbose: bool,
    /// Publish subjects are checked.
    pub(super) pedantic: bool,
    /// The client understands headers.
    pub(super) headers: bool,
    /// Requests that nobody takes are answered with status 503.
    pub(super) no_responders: bool,
    /// 0, or 1 for clients that understand INFO at any time.
    pub(super) protocol: i64,
    /// Absent while all three are empty.
    names: Option<Box<Names>>,
    /// All that was said, where more was said than is kept here.
    whole: Option<Box<ConnectOptions>>,
}

/// Who the client says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) name: Box<str>,
    pub(super) lang: Box<str>,
    pub(super) version: Box<str>,
}

impl Default for Profile {
    /// Before the first CONNECT.
    fn default() -> Self {
        Self::from(ConnectOptions::default())
    }
}

impl From<ConnectOptions> for Profile {
    fn from(said: ConnectOptions) -> Self {
        let names = Names {
            name: said.name.as_str().into(),
            lang: said.lang.as_str().into(),
            version: said.version.as_str().into(),
        };
        let mut profile = Self {
            echo: said.echo,
            verbose: said.verbose,
            pedantic: said.pedantic,
            headers: said.headers,
            no_responders: said.no_responders,
            protocol: said.protocol,
            names: (names != Names::default()).then(|| Box::new(names)),
            whole: None,
        };
        if profile.options() != said {
            profile.whole = Some(Box::new(said));
        }
        profile
    }
}

impl Profile {
    /// Takes a further CONNECT in: what it does not mention stays.
    pub(super) fn merge(&mut self, json: &[u8]) -> Result<(), JsonError> {
        let mut said = self.options();
        said.merge(json)?;
        *self = Self::from(said);
        Ok(())
    }

    /// Who the client says it is.
    pub(super) fn names(&self) -> Names {
        self.names.as_deref().cloned().unwrap_or_default()
    }

    /// Who the client says to be.
    pub(super) fn identity(&self) -> Identity {
        self.whole.as_ref().map(|said| Identity::said(said)).unwrap_or_default()
    }

    /// Whether the client chose an account, which is refused.
    pub(super) fn chose_account(&self) -> bool {
        self.whole.as_ref().is_some_and(|said| said.new_account || !said.account.is_empty())
    }

    /// All that the client said.
    pub(super) fn options(&self) -> ConnectOptions {
        if let Some(whole) = &self.whole {
            return ConnectOptions::clone(whole);
        }
        let Names { name, lang, version } = self.names();
        ConnectOptions {
            echo: self.echo,
            verbose: self.verbose,
            pedantic: self.pedantic,
            headers: self.headers,
            no_responders: self.no_responders,
            protocol: self.protocol,
            name: name.into(),
            lang: lang.into(),
            version: version.into(),
            ..ConnectOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_connects_change_only_what_they_mention() {
        let mut profile = Profile::default();
        profile.merge(br#"{"verbose":false,"name":"me","lang":"rust","user":"ann"}"#).unwrap();
        profile.merge(br#"{"echo":false,"lang":"go"}"#).unwrap();
        assert_eq!((profile.verbose, profile.pedantic, profile.echo), (false, true, false));
        assert_eq!((&*profile.names().name, &*profile.names().lang), ("me", "go"));
        assert_eq!(profile.options().user, "ann");
    }

    #[test]
    fn usual_clients_cost_little() {
        let mut profile = Profile::default();
        profile
            .merge(br#"{"verbose":false,"pedantic":false,"name":"","lang":"go","version":"1.50"}"#)
            .unwrap();
        assert!(profile.whole.is_none());
        assert!(size_of::<Profile>() <= 40, "{}", size_of::<Profile>());
    }

    #[test]
    fn chosen_account_is_seen() {
        let mut profile = Profile::default();
        profile.merge(br#"{"account":"A"}"#).unwrap();
        assert!(profile.chose_account());
    }
}
