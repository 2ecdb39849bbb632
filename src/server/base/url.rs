//! URLs of servers as configuration files name them: read, shown, compared.
//!
//! The rules and the texts of refusals are those of the reference's URL parser, which is laxer
//! than the standard in some places (any text without a scheme is a path) and stricter in others
//! (the port must be digits).

use std::fmt;

use crate::server::base::quote::quote;

/// A URL in its parts; decoded where the standard says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Url {
    /// Lower case, without the colon; empty where the text has none.
    pub scheme: String,
    /// User name and password before `@`.
    pub user: Option<UserInfo>,
    /// Host with its port, IPv6 addresses in brackets.
    pub host: String,
    /// What follows the scheme where no slash does: `mailto:x`.
    pub opaque: String,
    /// Path with its slash.
    pub path: String,
    /// The path as it was written, where it escapes more than it has to or less, and soundly.
    raw_path: Option<String>,
    /// What follows `?`.
    pub query: Option<String>,
    /// What follows `#`.
    pub fragment: Option<String>,
}

/// User name and password of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserInfo {
    /// Decoded name.
    pub username: String,
    /// Decoded password; `None` where there is no colon.
    pub password: Option<String>,
}

/// A text that is no URL; says what the reference says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse {}: {reason}", quote(.text))]
pub struct UrlError {
    text: String,
    reason: String,
}

impl Url {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (text, None),
        };
        let fail = |reason: String| UrlError { text: rest.to_owned(), reason };
        let mut url = Self::parse_without_fragment(rest).map_err(fail)?;
        if let Some(fragment) = fragment {
            let fail = |reason: String| UrlError { text: text.to_owned(), reason };
            url.fragment = Some(decode(fragment, Part::Fragment).map_err(fail)?);
        }
        Ok(url)
    }

    fn parse_without_fragment(text: &str) -> Result<Self, String> {
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err("net/url: invalid control character in URL".into());
        }
        let (scheme, rest) = split_scheme(text)?;
        let mut url = Self { scheme: scheme.to_ascii_lowercase(), ..Self::default() };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        url.query = query.map(str::to_owned);
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|first| first.contains(':')) {
                return Err("first path segment in URL cannot contain colon".into());
            }
        }
        let (authority, path) = split_authority(rest, url.scheme.is_empty());
        if let Some(authority) = authority {
            (url.user, url.host) = parse_authority(authority)?;
        }
        url.path = decode(path, Part::Path)?;
        url.raw_path =
            Some(path).filter(|path| is_sound(path) && **path != encoded(&url.path)).map(str::to_owned);
        Ok(url)
    }

    /// The host without port and brackets.
    pub fn hostname(&self) -> &str {
        let host = self.split_port().0;
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port's digits; empty where there is none.
    pub fn port(&self) -> &str {
        self.split_port().1
    }

    fn split_port(&self) -> (&str, &str) {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => {
                (host, port)
            }
            _ => (&self.host, ""),
        }
    }

    /// Adds the port where the URL names none.
    pub fn set_default_port(&mut self, port: u16) {
        if self.port().is_empty() {
            let host = self.hostname();
            self.host =
                if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        }
    }

    /// `ws` or `wss`.
    pub fn is_websocket(&self) -> bool {
        self.scheme == "ws" || self.scheme == "wss"
    }

    /// The same URL with `xxxxx` for its password: for logs.
    pub fn redacted(&self) -> Self {
        let mut url = self.clone();
        if let Some(user) = &mut url.user
            && let Some(password) = &mut user.password
        {
            *password = "xxxxx".into();
        }
        url
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.user.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.user.is_some() {
                    f.write_str("//")?;
                }
                if let Some(user) = &self.user {
                    encode(f, &user.username, Part::User)?;
                    if let Some(password) = &user.password {
                        f.write_str(":")?;
                        encode(f, password, Part::User)?;
                    }
                    f.write_str("@")?;
                }
                encode(f, &self.host, Part::Host)?;
            }
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                f.write_str("/")?;
            }
            match &self.raw_path {
                Some(raw) => f.write_str(raw)?,
                None => encode(f, &self.path, Part::Path)?,
            }
        } else {
            f.write_str(&self.opaque)?;
        }
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            f.write_str("#")?;
            encode(f, fragment, Part::Fragment)?;
        }
        Ok(())
    }
}

/// Which characters stand for themselves depends on where they stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    Zone,
    Path,
    Fragment,
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return Err("missing protocol scheme".into()),
            ':' => {
                let (scheme, rest) = text.split_at_checked(at).unwrap_or((text, ""));
                return Ok((scheme, rest.strip_prefix(':').unwrap_or(rest)));
            }
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

/// The part between `//` and the next slash, and what follows it.
fn split_authority(rest: &str, relative: bool) -> (Option<&str>, &str) {
    let Some(after) = rest.strip_prefix("//") else { return (None, rest) };
    if relative && after.starts_with('/') {
        return (None, rest);
    }
    match after.find('/').and_then(|at| after.split_at_checked(at)) {
        Some((authority, path)) => (Some(authority), path),
        None => (Some(after), ""),
    }
}

fn parse_authority(authority: &str) -> Result<(Option<UserInfo>, String), String> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok((None, parse_host(authority)?));
    };
    let host = parse_host(host)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    if !user.bytes().all(plain) {
        return Err("net/url: invalid userinfo".into());
    }
    let info = match user.split_once(':') {
        Some((name, password)) => {
            UserInfo { username: decode(name, Part::User)?, password: Some(decode(password, Part::User)?) }
        }
        None => UserInfo { username: decode(user, Part::User)?, password: None },
    };
    Ok((Some(info), host))
}

fn parse_host(host: &str) -> Result<String, String> {
    if host.starts_with('[') {
        let Some((inside, port)) = host.rsplit_once(']') else { return Err("missing ']' in host".into()) };
        check_port(port)?;
        let Some(zone_at) = inside.find("%25") else { return decode(host, Part::Host) };
        let (address, zone) = inside.split_at_checked(zone_at).unwrap_or((inside, ""));
        return Ok(format!("{}{}]{port}", decode(address, Part::Host)?, decode(zone, Part::Zone)?));
    }
    if let Some(at) = host.rfind(':') {
        check_port(host.split_at_checked(at).map_or("", |(_, port)| port))?;
    }
    decode(host, Part::Host)
}

/// What follows a host: nothing, or a colon and digits.
fn check_port(port: &str) -> Result<(), String> {
    let fine = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    if fine { Ok(()) } else { Err(format!("invalid port {} after host", quote(port))) }
}

fn decode(text: &str, part: Part) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let Some((digits, after)) = tail.split_first_chunk::<2>() else { return Err(bad_escape(rest)) };
            let hex = std::str::from_utf8(digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            let (Some(byte), true) = (hex, digits.iter().all(u8::is_ascii_hexdigit)) else {
                return Err(bad_escape(rest));
            };
            // A host may only escape what is not ASCII; the zone of an address also the percent sign.
            if part == Part::Host && byte < 0x80 && digits != b"25" {
                return Err(bad_escape(rest));
            }
            if part == Part::Zone && digits != b"25" && byte != b' ' && stands_escaped(byte, Part::Host) {
                return Err(bad_escape(rest));
            }
            bytes.push(byte);
            rest = after;
            continue;
        }
        if matches!(part, Part::Host | Part::Zone) && first < 0x80 && stands_escaped(first, part) {
            let shown = char::from(first).to_string();
            return Err(format!("invalid character {} in host name", quote(&shown)));
        }
        bytes.push(first);
        rest = tail;
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

fn bad_escape(rest: &[u8]) -> String {
    let shown = rest.get(..3).unwrap_or(rest);
    format!("invalid URL escape {}", quote(shown))
}

/// A path as it is written where nobody wrote it otherwise.
fn encoded(path: &str) -> String {
    struct Path<'a>(&'a str);
    impl fmt::Display for Path<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            encode(f, self.0, Part::Path)
        }
    }
    Path(path).to_string()
}

/// Whether a path, as it was written, needs no other escapes to be read the same.
fn is_sound(path: &str) -> bool {
    path.bytes().all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !stands_escaped(byte, Part::Path))
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str, part: Part) -> fmt::Result {
    for c in text.chars() {
        if c.is_ascii() && !stands_escaped(c as u8, part) {
            write!(f, "{c}")?;
            continue;
        }
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// Whether this byte is written as `%XX` in that part.
fn stands_escaped(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    let plain: &[u8] = match part {
        Part::User => b"$&+,;=",
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"",
        Part::Path => b"$&+,/:;=@",
        Part::Fragment => b"$&+,/:;=?@!()*",
    };
    !plain.contains(&byte)
}

/// For the fuzzer: any text is read or refused, and what was read can be read again.
pub fn fuzz_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(url) = Url::parse(&text) {
        let _ = url.redacted().to_string();
        let _ = (url.hostname(), url.port());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        let got = match Url::parse(text) {
            Ok(url) => format!("{}|{}|{}|{}", url.scheme, url.hostname(), url.port(), url),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn urls_are_read_into_their_parts() {
        check("nats://a:4222", "nats|a|4222|nats://a:4222");
        check("nats-route://u:p@[::1]:6222/x?y=1", "nats-route|::1|6222|nats-route://u:p@[::1]:6222/x?y=1");
        check("NATS://a", "nats|a||nats://a");
        check("a", "|||a");
        check("tls://a.b/p%20q", "tls|a.b||tls://a.b/p%20q");
        check("tls://a/p%2Fq/~%7E", "tls|a||tls://a/p%2Fq/~%7E");
        check("tls://a/p q%41", "tls|a||tls://a/p%20qA");
        check("nats://u%40x:p%3Aw@h", "nats|h||nats://u%40x:p%3Aw@h");
    }

    #[test]
    fn wrong_urls_are_refused_in_the_references_words() {
        check("a:b:c", "a|||a:b:c");
        check("127.0.0.1:4222", "parse \"127.0.0.1:4222\": first path segment in URL cannot contain colon");
        check("://a", "parse \"://a\": missing protocol scheme");
        check("nats://a:x", "parse \"nats://a:x\": invalid port \":x\" after host");
        check("nats://a b", "parse \"nats://a b\": invalid character \" \" in host name");
        check("nats://[::1", "parse \"nats://[::1\": missing ']' in host");
        check("nats://u ser@a", "parse \"nats://u ser@a\": net/url: invalid userinfo");
        check("nats://a/%zz", "parse \"nats://a/%zz\": invalid URL escape \"%zz\"");
        check("nats://a%41", "parse \"nats://a%41\": invalid URL escape \"%41\"");
        check("nats://a\n", "parse \"nats://a\\n\": net/url: invalid control character in URL");
    }

    #[test]
    fn a_default_port_is_added_only_where_none_is_named() {
        let mut url = Url::parse("nats://[::1]").unwrap();
        url.set_default_port(7422);
        assert_eq!(url.to_string(), "nats://[::1]:7422");
        url.set_default_port(1);
        assert_eq!(url.port(), "7422");
    }

    #[test]
    fn a_redacted_url_keeps_all_but_the_password() {
        assert_eq!(Url::parse("nats://u:secret@a:1").unwrap().redacted().to_string(), "nats://u:xxxxx@a:1");
        assert_eq!(Url::parse("nats://token@a:1").unwrap().redacted().to_string(), "nats://token@a:1");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(data: Vec<u8>) {
            fuzz_url(&data);
        }

        #[test]
        fn what_is_shown_reads_back_the_same(host in "[a-z]{1,8}", port in 1u16.., user in "[ -~]{0,6}", path in "(/[ -~]{0,6})?") {
            let url = Url {
                scheme: "nats".into(),
                user: Some(UserInfo { username: user.clone(), password: Some(user) }),
                host: format!("{host}:{port}"),
                path,
                ..Url::default()
            };
            prop_assert_eq!(Url::parse(&url.to_string()).unwrap(), url);
        }
    }
}
