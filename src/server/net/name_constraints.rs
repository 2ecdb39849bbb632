//! Which names an authority lets those below it have (RFC 5280, 4.2.1.10), as Go reads it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

use super::certificate::Certificate;
use crate::server::base::quote::quote;
use crate::server::base::url::Url;

/// Whether no certificate of a path, a client's first, has a name that one above it does not allow; else
/// the reference's words for the first that has.
pub(super) fn check_names(path: &[&Certificate<'_>]) -> Result<(), String> {
    for (at, certificate) in path.iter().enumerate() {
        let above = path.iter().skip(at + 1).filter_map(|above| above.name_constraints());
        let Some(names) = certificate.names() else { continue };
        let mut above = above.peekable();
        if above.peek().is_none() {
            return Ok(());
        }
        let names: Vec<Name<'_>> = names.iter().filter_map(Name::new).collect::<Result<_, _>>()?;
        for constraints in above {
            // In the reference's order.
            for kind in [Kind::Ip, Kind::Dns, Kind::Uri, Kind::Email] {
                names
                    .iter()
                    .filter(|name| name.kind() == kind)
                    .try_for_each(|name| name.check(constraints))?;
            }
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ip,
    Dns,
    Uri,
    Email,
}

/// A name, and the part of it that constraints are about.
enum Name<'a> {
    Ip(&'a [u8]),
    Dns(&'a str),
    Uri { shown: String, host: String },
    Email { local: String, domain: String },
}

impl<'a> Name<'a> {
    /// `None` where no constraint is about such names; an error where it cannot be compared.
    fn new(name: &GeneralName<'a>) -> Option<Result<Self, String>> {
        match name {
            GeneralName::IPAddress(address) => Some(Ok(Self::Ip(address))),
            GeneralName::DNSName(host) => Some(Ok(Self::Dns(host))),
            GeneralName::URI(uri) => Some(Self::uri(uri)),
            GeneralName::RFC822Name(address) => Some(match mailbox(address) {
                Some((local, domain)) => Ok(Self::Email { local, domain: domain.to_ascii_lowercase() }),
                None => Err(format!("cannot parse rfc822Name {}", quote(address))),
            }),
            _ => None,
        }
    }

    fn uri(uri: &str) -> Result<Self, String> {
        let url = Url::parse(uri).map_err(|error| error.to_string())?;
        let (shown, host) = (url.to_string(), url.hostname().to_ascii_lowercase());
        if url.host.is_empty() {
            return Err(format!(
                "URI with empty host ({}) cannot be matched against constraints",
                quote(shown)
            ));
        }
        if url.host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
            return Err(format!("URI with IP ({}) cannot be matched against constraints", quote(shown)));
        }
        Ok(Self::Uri { shown, host })
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Ip(_) => Kind::Ip,
            Self::Dns(_) => Kind::Dns,
            Self::Uri { .. } => Kind::Uri,
            Self::Email { .. } => Kind::Email,
        }
    }

    fn check(&self, constraints: &NameConstraints<'_>) -> Result<(), String> {
        if let Self::Dns(host) = self
            && !is_domain(host)
        {
            return Err(format!("x509: cannot parse dnsName {}", quote(host)));
        }
        let subtrees = |subtrees: &Option<Vec<GeneralSubtree<'_>>>, allows: bool| {
            let mut same_kind = subtrees
                .iter()
                .flatten()
                .map(|subtree| &subtree.base)
                .filter(|base| self.is_kind_of(base))
                .peekable();
            let any = same_kind.peek().is_some();
            let matching = same_kind.find(|base| self.is_below(base, allows));
            (any, matching.map(shown))
        };
        if let (true, None) = subtrees(&constraints.permitted_subtrees, true) {
            return Err(format!("{} is not permitted by any constraint", self.described()));
        }
        match subtrees(&constraints.excluded_subtrees, false) {
            (_, Some(constraint)) => {
                Err(format!("{} is excluded by constraint {}", self.described(), quote(constraint)))
            }
            (_, None) => Ok(()),
        }
    }

    const fn is_kind_of(&self, base: &GeneralName<'_>) -> bool {
        matches!(
            (self, base),
            (Self::Ip(_), GeneralName::IPAddress(_))
                | (Self::Dns(_), GeneralName::DNSName(_))
                | (Self::Uri { .. }, GeneralName::URI(_))
                | (Self::Email { .. }, GeneralName::RFC822Name(_))
        )
    }

    /// Whether a subtree holds it. One that is excluded also holds a wildcard that covers its root.
    fn is_below(&self, base: &GeneralName<'_>, allows: bool) -> bool {
        match (self, base) {
            (Self::Ip(address), GeneralName::IPAddress(range)) => is_in_range(address, range),
            (Self::Dns(host), GeneralName::DNSName(domain)) => {
                let covers = |parent: &str| {
                    let domain = domain.split_once('.').map(|(_, parent)| parent);
                    domain.is_some_and(|domain| parent.eq_ignore_ascii_case(domain))
                };
                is_subdomain(host, domain) || !allows && host.strip_prefix("*.").is_some_and(covers)
            }
            (Self::Uri { host, .. }, GeneralName::URI(domain)) => is_subdomain(host, domain),
            (Self::Email { local, domain }, GeneralName::RFC822Name(constraint)) => match mailbox(constraint)
            {
                Some((user, host)) if constraint.contains('@') => {
                    user == *local && host.eq_ignore_ascii_case(domain)
                }
                _ => is_subdomain(domain, constraint),
            },
            _ => false,
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Ip(address) => format!("IP address {}", quote(ip(address))),
            Self::Dns(host) => format!("DNS name {}", quote(host)),
            Self::Uri { shown, .. } => format!("URI {}", quote(shown)),
            Self::Email { local, domain } => format!("email address {}", quote(format!("{local}@{domain}"))),
        }
    }
}

fn ip(bytes: &[u8]) -> String {
    if let Ok(address) = <[u8; 4]>::try_from(bytes) {
        return Ipv4Addr::from(address).to_string();
    }
    <[u8; 16]>::try_from(bytes).map(|address| Ipv6Addr::from(address).to_string()).unwrap_or_default()
}

fn is_in_range(address: &[u8], range: &[u8]) -> bool {
    let Some((network, mask)) = range.split_at_checked(range.len() / 2) else { return false };
    let mut bytes = address.iter().zip(network).zip(mask);
    address.len() == network.len() && bytes.all(|((address, network), mask)| address & mask == network & mask)
}

/// A constraint as refusals show it.
fn shown(base: &GeneralName<'_>) -> String {
    match base {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => {
            (*text).to_owned()
        }
        GeneralName::IPAddress(range) => {
            let (network, mask) = range.split_at_checked(range.len() / 2).unwrap_or_default();
            format!("{}/{}", ip(network), mask.iter().map(|byte| byte.count_ones()).sum::<u32>())
        }
        _ => String::new(),
    }
}

/// Whether `host` is `domain` or below it; below it only, where the domain begins with a dot.
fn is_subdomain(host: &str, domain: &str) -> bool {
    if domain.is_empty() {
        return true;
    }
    let Some((rest, end)) = host.len().checked_sub(domain.len()).and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };
    end.eq_ignore_ascii_case(domain) && (rest.is_empty() || rest.ends_with('.') || domain.starts_with('.'))
}

/// Whether it may stand for a host as Go has it: labels of at most 63 printable characters.
pub(super) fn is_domain(name: &str) -> bool {
    /// RFC 1035.
    const NAME_BYTES_MAX: usize = 253;
    const LABEL_BYTES_MAX: usize = 63;
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(|byte| (33..=126).contains(&byte))
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
}

/// The two parts of an address as RFC 2821 has them; quotes and escapes are off the first.
fn mailbox(address: &str) -> Option<(String, String)> {
    const ATOM: &str = "!#$%&'*+-/=?^_`{|}~.";
    let mut local = String::new();
    let quoted = address.strip_prefix('"');
    let mut rest = quoted.unwrap_or(address).chars();
    let domain = loop {
        match rest.next()? {
            '\\' => local.push(rest.next().filter(|escaped| escaped.is_ascii() && *escaped != '\0')?),
            '"' if quoted.is_some() => break rest.as_str().strip_prefix('@')?,
            '@' if quoted.is_none() => break rest.as_str(),
            char if quoted.is_some() && char.is_ascii() && !matches!(char, '\0' | '\n' | '\r' | '\t') => {
                local.push(char);
            }
            char if quoted.is_none() && (char.is_ascii_alphanumeric() || ATOM.contains(char)) => {
                local.push(char)
            }
            _ => return None,
        }
    };
    let stray_dot = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    if quoted.is_none() && (local.is_empty() || stray_dot) {
        return None;
    }
    let is_valid = domain.is_empty() || is_domain(domain);
    is_valid.then(|| (local, domain.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_holds_itself_and_what_is_below() {
        for (host, domain, want) in [
            ("example.com", "example.com", true),
            ("a.EXAMPLE.com", "example.com", true),
            ("badexample.com", "example.com", false),
            ("example.com", ".example.com", false),
            ("a.example.com", ".example.com", true),
            ("com", "example.com", false),
            ("anything", "", true),
        ] {
            assert_eq!(is_subdomain(host, domain), want, "{host} {domain}");
        }
    }

    #[test]
    fn addresses_have_two_parts() {
        for (address, want) in [
            ("ann@example.com", Some(("ann", "example.com"))),
            ("\"a b\\\"\"@example.com", Some(("a b\"", "example.com"))),
            ("a\\,b@x", Some(("a,b", "x"))),
            (".a@x", None),
            ("a..b@x", None),
            ("a b@x", None),
            ("@x", None),
            ("nobody", None),
            ("a@x..y", None),
        ] {
            let want = want.map(|(local, domain)| (local.to_owned(), domain.to_owned()));
            assert_eq!(mailbox(address), want, "{address}");
        }
    }

    #[test]
    fn ranges_hold_addresses_of_their_own_length() {
        assert!(is_in_range(&[10, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]));
        assert!(!is_in_range(&[11, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0]));
        assert!(!is_in_range(&[0; 16], &[0; 8]));
        assert_eq!(shown(&GeneralName::IPAddress(&[10, 0, 0, 0, 255, 128, 0, 0])), "10.0.0.0/9");
    }
}
