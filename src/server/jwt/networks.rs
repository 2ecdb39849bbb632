//! Networks that users connect from, in CIDR notation.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::server::base::quote::quote;
use crate::server::protocol::json::Value;

use super::document::{Field, Mistakes, Place};
use super::findings::Findings;

/// Whether a connection from `host` may be; `None` is a connection without an address.
#[must_use]
pub(super) fn allow(networks: &[String], host: Option<IpAddr>) -> bool {
    if networks.is_empty() {
        return true;
    }
    let Some(host) = host.map(|host| host.to_canonical()) else { return false };
    for network in networks {
        match Network::parse(network) {
            None => return false,
            Some(network) if network.contains(host) => return true,
            Some(_) => {}
        }
    }
    false
}

pub(super) fn validate(networks: &[String], findings: &mut Findings) {
    for network in networks.iter().filter(|network| Network::parse(network).is_none()) {
        findings.error(format!("invalid cidr {} in user src limits", quote(network)));
    }
}

/// An address and how many of its bits are the network's.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if bits.is_empty() || !bits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let bits = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, bits })
    }

    fn contains(&self, host: IpAddr) -> bool {
        match (self.address, host) {
            (IpAddr::V4(network), IpAddr::V4(host)) => {
                same_bits(network.to_bits().into(), host.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(network), host) => {
                // An IPv4 network may be written as an IPv6 one: ::ffff:10.0.0.0/104.
                let host = match host {
                    IpAddr::V6(host) => host,
                    IpAddr::V4(host) if network.to_ipv4_mapped().is_some() => host.to_ipv6_mapped(),
                    IpAddr::V4(_) => return false,
                };
                same_bits(network.to_bits(), host.to_bits(), 128 - self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

/// Equal but for the last `rest` bits.
fn same_bits(one: u128, other: u128, rest: u32) -> bool {
    (one ^ other).checked_shr(rest).unwrap_or(0) == 0
}

/// Networks as a list, or as one text with commas.
pub(super) struct List<'l>(pub(super) &'l mut Vec<String>);

impl Field for List<'_> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        if let Some(text) = value.text() {
            self.0.clear();
            let text = text.to_lowercase();
            let mut known = HashSet::new();
            let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
            self.0.extend(networks.filter(|network| known.insert(*network)).map(str::to_owned));
            return;
        }
        let is_list = value.is_null()
            || value.kind() == "array"
                && value.elements().all(|element| element.is_null() || element.kind() == "string");
        if is_list {
            self.0.read(value, at, mistakes);
        } else {
            mistakes.wrong(value, &Place::Root, "string");
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_in_a_network_or_not() {
        for (network, host, want) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.9.9.9/8", "10.1.2.3", true),
            ("10.0.0.0/08", "10.1.2.3", true),
            ("1.2.3.4/32", "1.2.3.4", true),
            ("1.2.3.4/32", "1.2.3.5", false),
            ("0.0.0.0/0", "9.9.9.9", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::1/128", "::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "fe80::1", true),
            ("::/0", "1.2.3.4", false),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("bad", "1.2.3.4", false),
        ] {
            let networks = [network.to_owned()];
            assert_eq!(allow(&networks, Some(host.parse().unwrap())), want, "{network} {host}");
        }
        assert!(allow(&[], None));
        assert!(!allow(&["0.0.0.0/0".to_owned()], None));
    }

    #[test]
    fn a_network_is_an_address_with_bits() {
        for text in
            ["1.2.3.4", "1.2.3.4/33", "1.2.3/8", "x/8", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/+1", "::/129"]
        {
            let mut findings = Findings::default();
            validate(&[text.to_owned()], &mut findings);
            assert_eq!(findings.to_string(), format!("invalid cidr \"{text}\" in user src limits"));
        }
    }
}
