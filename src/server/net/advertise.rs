//! Which addresses others are told: host and port as text, joined and split as the reference does.

/// `host:port`, with brackets around an IPv6 address.
pub fn join(host: &str, port: u16) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.contains(':') { format!("[{bare}]:{port}") } else { format!("{bare}:{port}") }
}

/// Host and port of an advertised address; `default_port` where it has none, 0 or -1.
pub fn split(address: &str, default_port: u16) -> Result<(String, u16), String> {
    if address.is_empty() {
        return Err("no hostport specified".to_owned());
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or(format!("address {address}: missing ']' in address"))?;
            (host, port.strip_prefix(':'))
        }
        None if address.matches(':').count() > 1 => {
            return Err(format!("address {address}: too many colons in address"));
        }
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let host = host.trim().to_owned();
    let Some(port) = port else { return Ok((host, default_port)) };
    let number: i64 = port
        .trim()
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing {:?}: invalid syntax", port.trim()))?;
    match number {
        0 | -1 => Ok((host, default_port)),
        _ => u16::try_from(number)
            .map(|port| (host, port))
            .map_err(|_| format!("port {number} is out of range")),
    }
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
    fn advertised_addresses_take_the_default_port() {
        for (address, want) in [
            ("me", Ok(("me".to_owned(), 4222))),
            ("me:0", Ok(("me".to_owned(), 4222))),
            ("me:-1", Ok(("me".to_owned(), 4222))),
            ("me:99", Ok(("me".to_owned(), 99))),
            ("[::1]:99", Ok(("::1".to_owned(), 99))),
            ("me:x", Err("strconv.Atoi: parsing \"x\": invalid syntax".to_owned())),
            ("::1", Err("address ::1: too many colons in address".to_owned())),
        ] {
            assert_eq!(split(address, 4222), want, "{address}");
        }
    }
}
