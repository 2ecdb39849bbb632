//! Whether an address to be told to others is one: `host`, `host:port`, `[v6]:port`.

use crate::server::base::quote::quote;

/// Refuses what is no address, in the reference's words. A missing port is fine.
pub(super) fn check(address: &str) -> Result<(), String> {
    let port = match split(address) {
        Err(Fault::MissingPort) => {
            split(&format!("{address}:0")).map_err(|fault| fault.text(&format!("{address}:0")))?;
            return Ok(());
        }
        other => other.map_err(|fault| fault.text(address))?,
    };
    let port = port.trim();
    let digits = port.strip_prefix(['-', '+']).unwrap_or(port);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.Atoi: parsing {}: invalid syntax", quote(port)));
    }
    match port.parse::<i64>() {
        Ok(_) => Ok(()),
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

/// The port behind the last colon.
fn split(address: &str) -> Result<&str, Fault> {
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
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_accepted_with_or_without_a_port() {
        for good in ["host", "host:1", ":4222", "[::1]:4222", "[::1]", "1.2.3.4:-1", "a: 5 "] {
            assert_eq!(check(good), Ok(()), "{good}");
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
            assert_eq!(check(bad), Err(want.into()), "{bad}");
        }
    }
}
