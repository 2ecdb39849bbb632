//! For which host names a certificate of this server stands, and until when.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Names and end of one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CertificateNames {
    /// DNS names, lower case; the first label may be `*`.
    dns: Vec<String>,
    /// When it ends, in seconds since 1970.
    pub(super) not_after: i64,
}

impl CertificateNames {
    /// Reads them from a certificate.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.iter().flat_map(|extension| &extension.value.general_names);
        let dns = names.filter_map(|name| match name {
            GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
            _ => None,
        });
        Some(Self { dns: dns.collect(), not_after: certificate.validity().not_after.timestamp() })
    }

    /// Whether the certificate stands for `host`.
    pub(super) fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.dns.iter().any(|name| name_matches(name.trim_end_matches('.'), &host))
    }
}

/// `*` stands for exactly one first label.
fn name_matches(name: &str, host: &str) -> bool {
    let rest = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_owned());
    match name.strip_prefix("*.") {
        Some(domain) => rest(host).is_some_and(|host| host == domain) && !host.starts_with('.'),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_first_label() {
        for (name, host, want) in [
            ("a.example", "a.example", true),
            ("a.example", "b.example", false),
            ("*.example", "a.example", true),
            ("*.example", "a.b.example", false),
            ("*.example", "example", false),
            ("*.example", ".example", false),
        ] {
            assert_eq!(name_matches(name, host), want, "{name} {host}");
        }
    }

    #[test]
    fn names_are_read_from_the_alternative_names() {
        let made =
            rcgen::generate_simple_self_signed(vec!["A.example".into(), "*.b.example".into()]).unwrap();
        let names = CertificateNames::of(made.cert.der()).unwrap();
        assert!(names.matches("a.EXAMPLE.") && names.matches("x.b.example") && !names.matches("b.example"));
    }
}
