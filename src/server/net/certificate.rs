//! A certificate as it is looked at before `webpki` and besides it: refused where Go's parser refuses it.

use std::time::Duration;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::UnixTime;
use x509_parser::extensions::{BasicConstraints, ExtendedKeyUsage, GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension, X509Version};

use super::certificate_rules::check_path;
use super::der::{self, Der};
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
    signed: Signed<'a>,
    /// The kind of its key, as DER names it.
    pub(super) key_algorithm: &'a [u8],
}

/// What somebody has signed.
#[derive(Debug, Clone, Copy)]
struct Signed<'a> {
    /// The bytes.
    text: &'a [u8],
    /// The kind of signature, as DER names it.
    algorithm: &'a [u8],
    /// The signature.
    signature: &'a [u8],
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
        if facts.extensions_map().is_err() {
            return Err(Malformed("certificate contains duplicate extensions".to_owned()));
        }
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

    /// The extension that is read as what `pick` picks.
    fn extension<'s, T>(&'s self, pick: impl Fn(&'s ParsedExtension<'a>) -> Option<T>) -> Option<T> {
        self.facts.extensions().iter().find_map(|extension| pick(extension.parsed_extension()))
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

    /// Whether it says which names those below it may have.
    pub(super) fn constrains_names(&self) -> bool {
        self.facts
            .extensions()
            .iter()
            .any(|extension| matches!(extension.parsed_extension(), ParsedExtension::NameConstraints(_)))
    }

    /// Whether it was signed with the key of `issuer`.
    pub(super) fn is_signed_by(&self, issuer: &Self, algorithms: WebPkiSupportedAlgorithms) -> bool {
        let Signed { text, algorithm, signature } = self.signed;
        self.facts.signature_algorithm == self.facts.tbs_certificate.signature
            && algorithms.all.iter().any(|known| {
                known.signature_alg_id().as_ref() == algorithm
                    && known.public_key_alg_id().as_ref() == issuer.key_algorithm
                    && known.verify_signature(issuer.key(), text, signature).is_ok()
            })
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

    /// Whether everything in it that must be understood is. Demands for policies always must: `webpki`
    /// passes over them, and nobody else looks at them.
    pub(super) fn is_understood(&self) -> bool {
        let counts = |extension: &&X509Extension<'_>| {
            extension.critical
                || matches!(extension.parsed_extension(), ParsedExtension::PolicyConstraints(_))
        };
        self.facts.extensions().iter().filter(counts).all(is_understood)
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

/// Whether it may stand for a host as Go has it: labels of at most 63 printable characters.
fn is_domain(name: &str) -> bool {
    /// RFC 1035.
    const NAME_BYTES_MAX: usize = 253;
    const LABEL_BYTES_MAX: usize = 63;
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.bytes().all(|byte| (33..=126).contains(&byte))
    };
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label)
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
        | ParsedExtension::CRLDistributionPoints(_) => true,
        ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().any(compares),
        ParsedExtension::NameConstraints(constraints) => {
            let subtrees = [&constraints.permitted_subtrees, &constraints.excluded_subtrees];
            subtrees.into_iter().flatten().flatten().all(|subtree| compares(&subtree.base))
        }
        _ => false,
    }
}

/// For the fuzzer: any bytes are a certificate or none, and whatever it says can be held against the rules.
pub fn fuzz_certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::parse(data) {
        let _ = check_path(&[&certificate, &certificate], UnixTime::since_unix_epoch(Duration::ZERO));
        let _ = (certificate.constrains_names(), certificate.short_name());
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
        assert!(certificate.constrains_names() && certificate.purposes().is_none());
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
