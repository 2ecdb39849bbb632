//! The CONNECT document: what a peer says about itself.

use super::json::{self, Document, JsonError, Slot, SubjectPermission};

/// What CONNECT said so far. A further CONNECT changes only the fields it mentions.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What stands in a trace instead of a secret.
const REDACTED: &[u8] = b"[REDACTED]";

/// The text of a CONNECT as a trace may show it: values of keys that begin with `pass` or
/// `auth_token`, and of `nkey`, `sig` and `proxy_sig`, are replaced.
///
/// Works on any text, JSON or not, by looking for the key, `:` or `=`, and the value up to a quote,
/// comma, brace or line end.
#[must_use]
pub fn redact(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = next_secret(text, text.len() - rest.len()) {
        let from = text.len() - rest.len();
        out.extend_from_slice(text.get(from..start).unwrap_or_default());
        out.extend_from_slice(REDACTED);
        rest = text.get(end..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Where the value of the next secret key at or after `from` is.
fn next_secret(text: &[u8], from: usize) -> Option<(usize, usize)> {
    (from..text.len()).find_map(|at| secret_at(text, at))
}

fn secret_at(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let alone = !at.checked_sub(1).and_then(|before| text.get(before)).is_some_and(|&byte| is_word(byte));
    let key_len = if rest.starts_with(b"auth_token") {
        prefixed_key_len(rest, b"auth_token".len())?
    } else if rest.starts_with(b"pass") {
        prefixed_key_len(rest, b"pass".len())?
    } else {
        let exact = [b"proxy_sig".as_slice(), b"nkey", b"sig"];
        exact
            .iter()
            .find(|key| alone && rest.starts_with(key) && value_follows(rest, key.len()).is_some())?
            .len()
    };
    let value = value_follows(rest, key_len)?;
    let len = rest.get(value..)?.iter().take_while(|byte| !b"\",\r\n}".contains(byte)).count();
    Some((at + value, at + value + len))
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The shortest key that begins with the first `least` bytes and has a value behind it.
fn prefixed_key_len(rest: &[u8], least: usize) -> Option<usize> {
    let longest = least + rest.get(least..)?.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    (least..=longest).find(|&len| value_follows(rest, len).is_some())
}

/// Where the value begins behind a key of this length: `["] [space] : or = [space] ["]`.
fn value_follows(rest: &[u8], key_len: usize) -> Option<usize> {
    let mut at = key_len;
    let skip = |at: &mut usize, wanted: fn(u8) -> bool, most: usize| {
        let count =
            rest.get(*at..).unwrap_or_default().iter().take(most).take_while(|&&byte| wanted(byte)).count();
        *at += count;
        count
    };
    skip(&mut at, |byte| byte == b'"', 1);
    skip(&mut at, |byte| byte.is_ascii_whitespace(), usize::MAX);
    if skip(&mut at, |byte| matches!(byte, b':' | b'='), 1) == 0 {
        return None;
    }
    skip(&mut at, |byte| byte.is_ascii_whitespace(), usize::MAX);
    skip(&mut at, |byte| byte == b'"', 1);
    Some(at)
}

/// Feeds arbitrary bytes to the reader; for fuzzing.
#[doc(hidden)]
pub fn fuzz_connect(data: &[u8]) {
    let mut options = ConnectOptions::default();
    let _ = options.merge(data);
    let _ = redact(data);
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

    #[track_caller]
    fn check_redacted(text: &str, want: &str) {
        assert_eq!(String::from_utf8_lossy(&redact(text.as_bytes())), want);
    }

    #[test]
    fn secrets_do_not_stand_in_traces() {
        check_redacted(
            "{\"user\":\"u\",\"pass\":\"p\",\"auth_token\":\"t\",\"nkey\":\"U\",\"sig\":\"s\",\"proxy_sig\":\"q\",\"x\":1}",
            "{\"user\":\"u\",\"pass\":\"[REDACTED]\",\"auth_token\":\"[REDACTED]\",\"nkey\":\"[REDACTED]\",\"sig\":\"[REDACTED]\",\"proxy_sig\":\"[REDACTED]\",\"x\":1}",
        );
        check_redacted("{\"password\" : \"p\"}", "{\"password\" : \"[REDACTED]\"}");
        check_redacted("pass=abc, sig=d", "pass=[REDACTED], sig=[REDACTED]");
        check_redacted("{\"nosig\":\"x\",\"name\":\"bypass\"}", "{\"nosig\":\"x\",\"name\":\"bypass\"}");
        check_redacted("{\"pass\":\"\"}", "{\"pass\":\"[REDACTED]\"}");
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
