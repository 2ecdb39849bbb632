//! Addresses that others are told: host and port as text, joined and split as the reference does.

use crate::server::base::quote::quote;

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") }
}

/// Host and port of `address`: `host`, `host:port`, `[v6]:port`. `default_port` where it has none, 0 or
/// -1; any other number is taken. What is no address is refused in the reference's words.
pub fn split(address: &str, default_port: u16) -> Result<(String, i64), String> {
    if address.is_empty() {
        return Err("No hostport specified".to_owned());
    }
    let completed = format!("{address}:{default_port}");
    let (host, port) = match halves(address) {
        Err(Fault::MissingPort) => halves(&completed).map_err(|fault| fault.text(&completed))?,
        other => other.map_err(|fault| fault.text(address))?,
    };
    let (host, port) = (host.trim().to_owned(), port.trim());
    let digits = port.strip_prefix(['-', '+']).unwrap_or(port);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {}: invalid syntax", quote(port)));
    }
    match port.parse() {
        Ok(0 | -1) => Ok((host, i64::from(default_port))),
        Ok(port) => Ok((host, port)),
        Err(_) => Err(format!("strconv.Atoi: parsing {}: value out of range", quote(port))),
    }
}

enum Fault {
    MissingPort,
    TooManyColons,
    MissingBracket,
    Unexpected(char),
}

impl Fault {
    fn text(&self, address: &str) -> String {
        let what = match self {
            Self::MissingPort => "missing port in address".into(),
            Self::TooManyColons => "too many colons in address".into(),
            Self::MissingBracket => "missing ']' in address".into(),
            Self::Unexpected(bracket) => format!("unexpected '{bracket}' in address"),
        };
        format!("address {address}: {what}")
    }
}

/// What stands before the last colon, without brackets, and what stands behind it.
fn halves(address: &str) -> Result<(&str, &str), Fault> {
    let (before, port) = address.rsplit_once(':').ok_or(Fault::MissingPort)?;
    let host = match address.strip_prefix('[') {
        Some(inner) => {
            let (host, behind) = inner.split_once(']').ok_or(Fault::MissingBracket)?;
            match behind.strip_prefix(':') {
                None => return Err(Fault::MissingPort),
                Some(rest) if rest.len() > port.len() => return Err(Fault::TooManyColons),
                Some(_) => host,
            }
        }
        None if before.contains(':') => return Err(Fault::TooManyColons),
        None => before,
    };
    let inside = |bracket: char| host.contains(bracket) || port.contains(bracket);
    if inside('[') {
        return Err(Fault::Unexpected('['));
    }
    if inside(']') {
        return Err(Fault::Unexpected(']'));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_are_bracketed() {
        assert_eq!(join("::1", 4222), "[::1]:4222");
        assert_eq!(join("[::1]", 4222), "[::1]:4222");
        assert_eq!(join("0.0.0.0", 4222), "0.0.0.0:4222");
    }

    #[test]
    fn addresses_are_taken_with_or_without_a_port() {
        for (good, host, port) in [
            ("host", "host", 4222),
            ("host:1", "host", 1),
            ("host:0", "host", 4222),
            ("host:99999", "host", 99999),
            (":5", "", 5),
            ("[::1]:5", "::1", 5),
            ("[::1]", "::1", 4222),
            ("1.2.3.4:-1", "1.2.3.4", 4222),
            ("a: 5 ", "a", 5),
        ] {
            assert_eq!(split(good, 4222), Ok((host.to_owned(), port)), "{good}");
        }
    }

    #[test]
    fn refusals_are_those_of_the_reference() {
        for (bad, want) in [
            ("a:b:c", "address a:b:c: too many colons in address"),
            ("::1", "address ::1: too many colons in address"),
            ("[::1", "address [::1: missing ']' in address"),
            ("a]:1", "address a]:1: unexpected ']' in address"),
            ("a[:1", "address a[:1: unexpected '[' in address"),
            ("host:abc", "strconv.Atoi: parsing \"abc\": invalid syntax"),
            ("host:", "strconv.Atoi: parsing \"\": invalid syntax"),
            (
                "host:99999999999999999999",
                "strconv.Atoi: parsing \"99999999999999999999\": value out of range",
            ),
        ] {
            assert_eq!(split(bad, 0), Err(want.into()), "{bad}");
        }
    }
}
