//! A certificate as paths are built of it: read once, refused where Go's parser refuses it.

use x509_parser::extensions::{
    BasicConstraints, ExtendedKeyUsage, GeneralName, NameConstraints, ParsedExtension,
};
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension, X509Version};

use super::certificate_policies::check_policies;
use super::certificate_rules::is_for_clients;
use super::der::{self, Der};
use super::name_constraints::{check_names, is_domain};
use crate::server::base::quote::quote;
use crate::server::base::url::Url;

/// One certificate.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    /// The whole of it.
    pub(super) der: &'a [u8],
    /// What it says.
    pub(super) facts: X509Certificate<'a>,
    /// What is signed, how, and the signature.
    pub(super) signed: Signed<'a>,
    /// The kind of its key, as DER names it.
    pub(super) key_algorithm: &'a [u8],
}

/// What somebody has signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    /// The bytes.
    pub(super) text: &'a [u8],
    /// The kind of signature, as DER names it.
    pub(super) algorithm: &'a [u8],
    /// The signature.
    pub(super) signature: &'a [u8],
}

/// Bytes that are no certificate; the text is the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x509: {0}")]
pub(super) struct Malformed(pub(super) String);

/// Extensions that decide something: one that cannot be read spoils the certificate.
const COUNTS: [&str; 12] = [
    "2.5.29.14",
    "2.5.29.15",
    "2.5.29.17",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.31",
    "2.5.29.32",
    "2.5.29.33",
    "2.5.29.35",
    "2.5.29.36",
    "2.5.29.37",
    "2.5.29.54",
];

impl<'a> Certificate<'a> {
    /// Reads one.
    pub(super) fn parse(der: &'a [u8]) -> Result<Self, Malformed> {
        let malformed = || Malformed("malformed certificate".to_owned());
        let (rest, facts) = X509Certificate::from_der(der).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(Malformed("trailing data".to_owned()));
        }
        let signed = Signed::read(der).ok_or_else(malformed)?;
        let key_algorithm = key_algorithm(der).ok_or_else(malformed)?;
        facts.extensions().iter().try_for_each(check_extension)?;
        Ok(Self { der, facts, signed, key_algorithm })
    }

    /// Its subject, DER.
    pub(super) fn subject(&self) -> &[u8] {
        self.facts.subject().as_raw()
    }

    /// Who has signed it, DER.
    pub(super) fn issuer(&self) -> &[u8] {
        self.facts.issuer().as_raw()
    }

    /// The key's bits.
    pub(super) fn key(&self) -> &[u8] {
        &self.facts.public_key().subject_public_key.data
    }

    /// The first extension that is read as what `pick` picks.
    pub(super) fn extension<'s, T>(
        &'s self,
        pick: impl Fn(&'s ParsedExtension<'a>) -> Option<T>,
    ) -> Option<T> {
        self.facts.extensions().iter().find_map(|extension| pick(extension.parsed_extension()))
    }

    /// What name its key goes by; empty where it says none.
    pub(super) fn key_id(&self) -> &[u8] {
        let id = self.extension(|extension| match extension {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        });
        id.unwrap_or_default()
    }

    /// What name the key goes by that has signed it; empty where it says none.
    pub(super) fn issuer_key_id(&self) -> &[u8] {
        let id = self.extension(|extension| match extension {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
            _ => None,
        });
        id.unwrap_or_default()
    }

    pub(super) fn basic_constraints(&self) -> Option<&BasicConstraints> {
        self.extension(|extension| match extension {
            ParsedExtension::BasicConstraints(constraints) => Some(constraints),
            _ => None,
        })
    }

    pub(super) fn purposes(&self) -> Option<&ExtendedKeyUsage<'a>> {
        self.extension(|extension| match extension {
            ParsedExtension::ExtendedKeyUsage(usage) => Some(usage),
            _ => None,
        })
    }

    pub(super) fn name_constraints(&self) -> Option<&NameConstraints<'a>> {
        self.extension(|extension| match extension {
            ParsedExtension::NameConstraints(constraints) => Some(constraints),
            _ => None,
        })
    }

    /// Its alternative names; `None` where it has no such extension.
    pub(super) fn names(&self) -> Option<&[GeneralName<'a>]> {
        self.extension(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.as_slice()),
            _ => None,
        })
    }

    /// The alternative names as they are written.
    pub(super) fn raw_names(&self) -> Option<&[u8]> {
        let named = |extension: &&X509Extension<'a>| {
            matches!(extension.parsed_extension(), ParsedExtension::SubjectAlternativeName(_))
        };
        self.facts.extensions().iter().find(named).map(|extension| extension.value)
    }

    /// Whether it was made to sign others; one of version 1 cannot say.
    pub(super) fn may_sign(&self) -> bool {
        let is_authority = match self.basic_constraints() {
            Some(constraints) => constraints.ca,
            None => self.facts.version() != X509Version::V3,
        };
        let usage = self.extension(|extension| match extension {
            ParsedExtension::KeyUsage(usage) => Some(usage),
            _ => None,
        });
        is_authority && usage.is_none_or(|usage| usage.flags == 0 || usage.key_cert_sign())
    }

    /// Whether everything in it that must be understood is.
    pub(super) fn is_understood(&self) -> bool {
        self.facts.extensions().iter().filter(|extension| extension.critical).all(is_understood)
    }

    /// What the reference calls an authority by.
    pub(super) fn short_name(&self) -> String {
        let subject = self.facts.subject();
        let name = subject.iter_common_name().last().or_else(|| subject.iter_organization().next());
        match name.and_then(|name| name.as_str().ok()).filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => format!("serial:{}", self.facts.serial),
        }
    }
}

impl<'a> Signed<'a> {
    fn read(der: &'a [u8]) -> Option<Self> {
        let mut certificate = Der::new(der).expect(der::SEQUENCE)?.inside();
        Some(Self {
            text: certificate.expect(der::SEQUENCE)?.raw,
            algorithm: certificate.expect(der::SEQUENCE)?.contents,
            signature: certificate.expect(der::BIT_STRING)?.bits()?,
        })
    }
}

/// The kind of the key, as DER names it.
fn key_algorithm(der: &[u8]) -> Option<&[u8]> {
    let mut facts = Der::new(der).expect(der::SEQUENCE)?.inside().expect(der::SEQUENCE)?.inside();
    facts.next_if(der::explicit(0));
    // Serial number, kind of signature, issuer, validity, subject.
    for _ in 0..5 {
        facts.next()?;
    }
    Some(facts.expect(der::SEQUENCE)?.inside().expect(der::SEQUENCE)?.contents)
}

/// What Go's parser refuses of an extension that x509-parser takes.
fn check_extension(extension: &X509Extension<'_>) -> Result<(), Malformed> {
    let refused = |text: &str| Err(Malformed(text.to_owned()));
    match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(_) if extension.critical => {
            refused("subject key identifier incorrectly marked critical")
        }
        ParsedExtension::AuthorityKeyIdentifier(_) if extension.critical => {
            refused("authority key identifier incorrectly marked critical")
        }
        ParsedExtension::AuthorityInfoAccess(_) if extension.critical => {
            refused("authority info access incorrectly marked critical")
        }
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().try_for_each(check_name),
        ParsedExtension::NameConstraints(constraints) => {
            let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
            let mut bases = subtrees.into_iter().flatten().flatten().map(|subtree| &subtree.base);
            bases.try_for_each(check_constraint)
        }
        ParsedExtension::ParseError { .. } if COUNTS.contains(&&*extension.oid.to_id_string()) => {
            refused("malformed extension")
        }
        _ => Ok(()),
    }
}

fn check_name(name: &GeneralName<'_>) -> Result<(), Malformed> {
    let text = match name {
        GeneralName::URI(uri) => match Url::parse(uri) {
            Err(error) => format!("cannot parse URI {}: {error}", quote(uri)),
            Ok(url) if !url.host.is_empty() && !is_domain(&url.host) => {
                format!("cannot parse URI {}: invalid domain", quote(uri))
            }
            Ok(_) => return Ok(()),
        },
        GeneralName::IPAddress(address) if !matches!(address.len(), 4 | 16) => {
            format!("cannot parse IP address of length {}", address.len())
        }
        GeneralName::Invalid(tag, _) => match tag.0 {
            1 => "SAN rfc822Name is malformed".to_owned(),
            2 => "SAN dNSName is malformed".to_owned(),
            6 => "SAN uniformResourceIdentifier is malformed".to_owned(),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(Malformed(text))
}

fn check_constraint(base: &GeneralName<'_>) -> Result<(), Malformed> {
    let is_valid = |domain: &str| domain.is_empty() || is_domain(domain.strip_prefix('.').unwrap_or(domain));
    let text = match base {
        GeneralName::DNSName(domain) if !is_valid(domain) => {
            format!("failed to parse dnsName constraint {}", quote(domain))
        }
        GeneralName::RFC822Name(domain) if !domain.contains('@') && !is_valid(domain) => {
            format!("failed to parse rfc822Name constraint {}", quote(domain))
        }
        GeneralName::URI(domain) if domain.parse::<std::net::IpAddr>().is_ok() => {
            format!("failed to parse URI constraint {}: cannot be IP address", quote(domain))
        }
        GeneralName::URI(domain) if !is_valid(domain) => {
            format!("failed to parse URI constraint {}", quote(domain))
        }
        GeneralName::IPAddress(range) if !matches!(range.len(), 8 | 32) => {
            format!("IP constraint contained value of length {}", range.len())
        }
        _ => return Ok(()),
    };
    Err(Malformed(text))
}

fn is_understood(extension: &X509Extension<'_>) -> bool {
    let compares = |name: &GeneralName<'_>| {
        matches!(
            name,
            GeneralName::DNSName(_)
                | GeneralName::RFC822Name(_)
                | GeneralName::URI(_)
                | GeneralName::IPAddress(_)
        )
    };
    match extension.parsed_extension() {
        ParsedExtension::BasicConstraints(_)
        | ParsedExtension::KeyUsage(_)
        | ParsedExtension::ExtendedKeyUsage(_)
        | ParsedExtension::CertificatePolicies(_)
        | ParsedExtension::PolicyConstraints(_)
        | ParsedExtension::PolicyMappings(_)
        | ParsedExtension::InhibitAnyPolicy(_)
        | ParsedExtension::CRLDistributionPoints(_) => true,
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().any(compares),
        ParsedExtension::NameConstraints(constraints) => {
            let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
            subtrees.into_iter().flatten().flatten().all(|subtree| compares(&subtree.base))
        }
        _ => false,
    }
}

/// For the fuzzer: any bytes are a certificate or none, and whatever it says can be held against others.
pub fn fuzz_certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::parse(data) {
        let path = [&certificate, &certificate];
        let _ = (check_names(&path), check_policies(&path), is_for_clients(&path));
        let _ = (certificate.may_sign(), certificate.is_understood(), certificate.short_name());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, GeneralSubtree, IsCa, KeyPair, NameConstraints, SanType};

    use super::*;

    /// One with all that is looked at.
    fn made() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example.com".into()]).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(1));
        params.subject_alt_names.push(SanType::URI("spiffe://example.com/a".try_into().unwrap()));
        params.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()));
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: vec![GeneralSubtree::Rfc822Name("b@example.com".into())],
        });
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn what_is_read_is_what_was_made() {
        let der = made();
        let certificate = Certificate::parse(&der).unwrap();
        assert!(certificate.may_sign() && certificate.is_understood());
        assert_eq!(certificate.names().map(<[_]>::len), Some(3));
        assert_eq!(certificate.subject(), certificate.issuer());
        assert_eq!(Certificate::parse(&der[1..]).unwrap_err().to_string(), "x509: malformed certificate");
        let longer = [&der[..], b"x"].concat();
        assert_eq!(Certificate::parse(&longer).unwrap_err().to_string(), "x509: trailing data");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_none(data: Vec<u8>, at in 0_usize..400, byte: u8) {
            fuzz_certificate(&data);
            let mut changed = made();
            let at = at % changed.len();
            changed[at] = byte;
            fuzz_certificate(&changed);
        }
    }
}
