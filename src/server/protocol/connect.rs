//! The CONNECT document: what a peer says about itself.

use std::fmt;

use super::json::{self, Document, JsonError, Slot, SubjectPermission};

/// What CONNECT said so far. A further CONNECT changes only the fields it mentions.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Messages come back to the connection that published them.
    pub echo: bool,
    /// Every operation is answered with +OK.
    pub verbose: bool,
    /// Publish subjects are checked.
    pub pedantic: bool,
    /// The client wants TLS; not enforced.
    pub tls_required: bool,
    /// Public nkey of the user.
    pub nkey: String,
    /// The user's claims.
    pub jwt: String,
    /// Signature of the nonce.
    pub sig: String,
    /// Authentication token.
    pub auth_token: String,
    /// User name.
    pub user: String,
    /// Password.
    pub pass: String,
    /// The client's name.
    pub name: String,
    /// The client library's language.
    pub lang: String,
    /// The client library's version.
    pub version: String,
    /// 0, or 1 for clients that understand INFO at any time; links have their own numbers.
    pub protocol: i64,
    /// An account of the client's choice: refused.
    pub account: String,
    /// As above.
    pub new_account: bool,
    /// The client understands headers.
    pub headers: bool,
    /// Requests that nobody takes are answered with status 503.
    pub no_responders: bool,
    /// Links: subjects that the peer imports.
    pub import: Option<SubjectPermission>,
    /// Links: subjects that the peer exports.
    pub export: Option<SubjectPermission>,
    /// Leaf nodes: the account over there.
    pub remote_account: String,
    /// The proxy's signature of the nonce.
    pub proxy_sig: String,
}

impl Default for ConnectOptions {
    /// Before the first CONNECT; reference: verbose, pedantic and echo are on.
    fn default() -> Self {
        Self {
            echo: true,
            verbose: true,
            pedantic: true,
            tls_required: false,
            nkey: String::new(),
            jwt: String::new(),
            sig: String::new(),
            auth_token: String::new(),
            user: String::new(),
            pass: String::new(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            account: String::new(),
            new_account: false,
            headers: false,
            no_responders: false,
            import: None,
            export: None,
            remote_account: String::new(),
            proxy_sig: String::new(),
        }
    }
}

/// Without what proves something: it may end in a log.
impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { nkey, user, name, lang, version, protocol, .. } = self;
        f.debug_struct("ConnectOptions")
            .field("nkey", nkey)
            .field("user", user)
            .field("name", name)
            .field("lang", lang)
            .field("version", version)
            .field("protocol", protocol)
            .finish_non_exhaustive()
    }
}

impl ConnectOptions {
    /// Reads the text behind `CONNECT`; fields that it does not mention keep their value.
    ///
    /// # Errors
    /// Text that is no JSON, or a value of the wrong kind: the connection is closed without a word to
    /// the peer, and the error goes to the log.
    pub fn merge(&mut self, text: &[u8]) -> Result<(), JsonError> {
        json::read(self, text)
    }
}

impl Document for ConnectOptions {
    const NAME: &'static str = "ClientOpts";
    const TYPE: &'static str = "server.ClientOpts";
    const FIELDS: &'static [&'static str] = &[
        "echo",
        "verbose",
        "pedantic",
        "tls_required",
        "nkey",
        "jwt",
        "sig",
        "auth_token",
        "user",
        "pass",
        "name",
        "lang",
        "version",
        "protocol",
        "account",
        "new_account",
        "headers",
        "no_responders",
        "import",
        "export",
        "remote_account",
        "proxy_sig",
    ];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "echo" => Slot::Bool(&mut self.echo),
            "verbose" => Slot::Bool(&mut self.verbose),
            "pedantic" => Slot::Bool(&mut self.pedantic),
            "tls_required" => Slot::Bool(&mut self.tls_required),
            "nkey" => Slot::Text(&mut self.nkey),
            "jwt" => Slot::Text(&mut self.jwt),
            "sig" => Slot::Text(&mut self.sig),
            "auth_token" => Slot::Text(&mut self.auth_token),
            "user" => Slot::Text(&mut self.user),
            "pass" => Slot::Text(&mut self.pass),
            "name" => Slot::Text(&mut self.name),
            "lang" => Slot::Text(&mut self.lang),
            "version" => Slot::Text(&mut self.version),
            "protocol" => Slot::Int(&mut self.protocol),
            "account" => Slot::Text(&mut self.account),
            "new_account" => Slot::Bool(&mut self.new_account),
            "headers" => Slot::Bool(&mut self.headers),
            "no_responders" => Slot::Bool(&mut self.no_responders),
            "import" => Slot::Permission(&mut self.import),
            "export" => Slot::Permission(&mut self.export),
            "remote_account" => Slot::Text(&mut self.remote_account),
            "proxy_sig" => Slot::Text(&mut self.proxy_sig),
            _ => return None,
        })
    }
}

/// Feeds arbitrary bytes to the reader; for fuzzing.
#[doc(hidden)]
pub fn fuzz_connect(data: &[u8]) {
    let mut options = ConnectOptions::default();
    let _ = options.merge(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(texts: &[&str], change: impl FnOnce(&mut ConnectOptions)) {
        let (mut got, mut want) = (ConnectOptions::default(), ConnectOptions::default());
        for text in texts {
            assert_eq!(got.merge(text.as_bytes()), Ok(()));
        }
        change(&mut want);
        assert_eq!(got, want, "{texts:?}");
    }

    #[test]
    fn missing_fields_keep_verbose_pedantic_and_echo_on() {
        check(&["{}"], |_| ());
        let options = ConnectOptions::default();
        assert!(options.verbose && options.pedantic && options.echo);
    }

    #[test]
    fn every_field_is_read() {
        let texts: Vec<_> = ConnectOptions::FIELDS
            .iter()
            .map(|name| {
                let value = match *name {
                    "echo" | "verbose" | "pedantic" => "false",
                    "tls_required" | "new_account" | "headers" | "no_responders" => "true",
                    "protocol" => "1",
                    "import" | "export" => "{\"allow\":[\"a\"]}",
                    _ => "\"x\"",
                };
                format!("{{\"{name}\":{value}}}")
            })
            .collect();
        let plain = ConnectOptions::default();
        for text in &texts {
            let mut options = ConnectOptions::default();
            assert_eq!(options.merge(text.as_bytes()), Ok(()));
            assert_ne!(options, plain, "{text}");
        }
    }

    #[test]
    fn what_proves_something_is_not_shown() {
        let mut options = ConnectOptions::default();
        let secrets = ["pass", "auth_token", "sig", "jwt", "proxy_sig"];
        for name in secrets {
            options.merge(format!("{{\"{name}\":\"hush\",\"user\":\"ann\"}}").as_bytes()).unwrap();
        }
        let shown = format!("{options:?}");
        assert!(shown.contains("ann") && !shown.contains("hush"), "{shown}");
    }

    #[test]
    fn unknown_fields_are_ignored() {
        check(&["{\"sys\":{\"verbose\":false},\"verbos\":false}"], |_| ());
    }

    #[test]
    fn later_connect_is_merged() {
        check(&["{\"verbose\":false,\"name\":\"a\"}", "{\"name\":\"b\"}"], |want| {
            want.verbose = false;
            want.name = "b".to_owned();
        });
    }

    #[test]
    fn mistakes_are_told_as_the_reference_logs_them() {
        for (text, want) in [
            ("{bad}", "invalid character 'b' looking for beginning of object key string"),
            ("\r", "unexpected end of JSON input"),
            (
                "{\"verbose\":\"x\"}",
                "json: cannot unmarshal string into Go struct field ClientOpts.verbose of type bool",
            ),
            ("[]", "json: cannot unmarshal array into Go value of type server.ClientOpts"),
        ] {
            let error = ConnectOptions::default().merge(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn random_bytes_do_not_panic(data in prop::collection::vec(
            prop_oneof![1 => any::<u8>(), 8 => prop::sample::select(b"{}\":,pasignkey= ".to_vec())], 0..60,
        )) {
            fuzz_connect(&data);
        }
    }
}
