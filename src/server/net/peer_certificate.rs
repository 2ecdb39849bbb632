//! What a peer's certificate says of who presented it, as plain values.
//!
//! Only facts: `auth` decides whom they stand for. The forms of the subject are those of the reference
//! (Go's `crypto/x509/pkix`), because configurations name users by them.

use sha2::{Digest, Sha256};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Name;

use crate::server::base::url::Url;

use super::distinguished_name::{DistinguishedName, NameAttribute, RelativeName};

/// The facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// E-mail addresses among the alternative names, in their order.
    pub emails: Vec<String>,
    /// DNS names among the alternative names, in their order.
    pub dns_names: Vec<String>,
    /// URIs among the alternative names (SPIFFE ids are such), in their order, as Go writes them.
    pub uris: Vec<String>,
    /// The subject.
    pub subject: Subject,
    /// SHA-256 of the whole certificate.
    pub certificate_sha256: [u8; 32],
    /// SHA-256 of the public key (DER of `SubjectPublicKeyInfo`): what `pinned_certs` names.
    pub public_key_sha256: [u8; 32],
}

/// The subject of a certificate: relative names in the certificate's order, most general first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    rdns: Vec<Vec<SubjectAttribute>>,
}

/// One attribute of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SubjectAttribute {
    /// `2.5.4.3`.
    oid: String,
    /// `None` where the value is no text.
    value: Option<String>,
}

/// Bytes that are no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("x509: malformed certificate")]
pub struct MalformedCertificate;

const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";

/// Attributes that have a short name, in the order in which the reference's text form puts them.
const NAMED: [(&str, &str); 9] = [
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.17", "POSTALCODE"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
];

/// Of these the text form shows one only: the last.
const SINGLE: [&str; 2] = ["CN", "SERIALNUMBER"];

impl PeerCertificate {
    /// Reads a certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, MalformedCertificate> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| MalformedCertificate)?;
        let mut facts = Self {
            emails: Vec::new(),
            dns_names: Vec::new(),
            uris: Vec::new(),
            subject: Subject::new(certificate.subject()),
            certificate_sha256: Sha256::digest(der).into(),
            public_key_sha256: Sha256::digest(certificate.public_key().raw).into(),
        };
        let names = certificate.subject_alternative_name().map_err(|_| MalformedCertificate)?;
        for name in names.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::RFC822Name(email) => facts.emails.push((*email).to_owned()),
                GeneralName::DNSName(host) => facts.dns_names.push((*host).to_owned()),
                GeneralName::URI(uri) => {
                    let shown = Url::parse(uri).map_or_else(|_| (*uri).to_owned(), |url| url.to_string());
                    facts.uris.push(shown);
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// Who issued a certificate, in the forms that subjects have.
    pub fn issuer_of(der: &[u8]) -> Option<Subject> {
        X509Certificate::from_der(der).ok().map(|(_, certificate)| Subject::new(certificate.issuer()))
    }

    /// [`Self::public_key_sha256`] as `pinned_certs` writes it.
    pub fn public_key_sha256_hex(&self) -> String {
        hex(&self.public_key_sha256)
    }

    /// [`Self::certificate_sha256`] in hexadecimal digits.
    pub fn certificate_sha256_hex(&self) -> String {
        hex(&self.certificate_sha256)
    }
}

impl Subject {
    fn new(name: &X509Name<'_>) -> Self {
        let rdns = name.iter_rdn().map(|rdn| {
            let attributes = rdn.iter().map(|attribute| SubjectAttribute {
                oid: attribute.attr_type().to_id_string(),
                value: text(attribute.attr_value()),
            });
            attributes.collect()
        });
        Self { rdns: rdns.collect() }
    }

    /// The subject as it compares with names that configurations write; `None` where it has an attribute
    /// without a short name, or one that is no text. Most specific first.
    pub fn distinguished_name(&self) -> Option<DistinguishedName> {
        let rdns = self.rdns.iter().rev().filter(|rdn| !rdn.is_empty()).map(|rdn| {
            let attributes = rdn.iter().rev().map(|attribute| {
                let kind = match attribute.oid.as_str() {
                    DOMAIN_COMPONENT => "DC",
                    oid => short_name(oid)?,
                };
                let value = attribute.value.clone()?.into_bytes();
                Some(NameAttribute { kind: kind.into(), value })
            });
            Some(RelativeName { attributes: attributes.collect::<Option<_>>()? })
        });
        Some(DistinguishedName { rdns: rdns.collect::<Option<_>>()? })
    }

    /// The attributes that have a short name, grouped and ordered as Go's
    /// `Subject.ToRDNSequence().String()` has them: `CN=ann,OU=a+OU=b,O=x`. Domain components are not in it.
    pub fn text(&self) -> String {
        let mut groups = Vec::new();
        for (oid, name) in NAMED.iter().rev() {
            let values: Vec<&str> = if SINGLE.contains(name) {
                self.values(oid).next_back().filter(|value| !value.is_empty()).into_iter().collect()
            } else {
                self.values(oid).collect()
            };
            let parts: Vec<String> =
                values.iter().map(|value| format!("{name}={}", escaped(value))).collect();
            if !parts.is_empty() {
                groups.push(parts.join("+"));
            }
        }
        groups.join(",")
    }

    /// The whole subject as Go's `Subject.String()` shows it in logs: [`Self::text`], then attributes
    /// without a short name.
    pub fn full_text(&self) -> String {
        let others = self.attributes().filter(|attribute| short_name(&attribute.oid).is_none());
        let others: Vec<String> = others
            .rev()
            .map(|attribute| {
                let value = attribute.value.as_deref().unwrap_or_default();
                format!("{}={}", attribute.oid, escaped(value))
            })
            .collect();
        let parts = [self.text(), others.join(",")];
        parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(",")
    }

    /// `DC=example,DC=com`: the domain components in the certificate's order; empty where there are none.
    pub fn domain_components(&self) -> String {
        let parts: Vec<String> = self.values(DOMAIN_COMPONENT).map(|value| format!("DC={value}")).collect();
        parts.join(",")
    }

    fn attributes(&self) -> impl DoubleEndedIterator<Item = &SubjectAttribute> {
        self.rdns.iter().flatten()
    }

    fn values<'a>(&'a self, oid: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.attributes()
            .filter(move |attribute| attribute.oid == oid)
            .filter_map(|attribute| attribute.value.as_deref())
    }
}

fn short_name(oid: &str) -> Option<&'static str> {
    NAMED.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// A value that is text, in any of the encodings that names use.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::NumericString | Tag::Ia5String => {
            Some(String::from_utf8_lossy(value.data).into_owned())
        }
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, _) = value.data.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        _ => None,
    }
}

/// A value in the text form of a subject.
fn escaped(value: &str) -> String {
    let last = value.char_indices().next_back().map_or(0, |(at, _)| at);
    let mut out = String::with_capacity(value.len());
    for (at, char) in value.char_indices() {
        let escapes = match char {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at == 0 || at == last,
            '#' => at == 0,
            _ => false,
        };
        if escapes {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// For the fuzzer: any bytes are a certificate or none.
pub fn fuzz_peer_certificate(data: &[u8]) {
    if let Ok(facts) = PeerCertificate::from_der(data) {
        let subject = &facts.subject;
        let _ =
            (subject.text(), subject.full_text(), subject.domain_components(), subject.distinguished_name());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName as Names, DnType, KeyPair, SanType};

    use super::*;

    const UID: &[u64] = &[0, 9, 2342, 19_200_300, 100, 1, 1];
    const DC: &[u64] = &[0, 9, 2342, 19_200_300, 100, 1, 25];

    fn facts(subject: &[(DnType, &str)], names: Vec<SanType>) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = Names::new();
        subject.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        params.subject_alt_names = names;
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerCertificate::from_der(made.der()).unwrap()
    }

    #[test]
    fn subject_is_shown_as_go_shows_it() {
        let subject = |subject: &[(DnType, &str)]| facts(subject, vec![]).subject;
        let ann = subject(&[
            (DnType::CustomDnType(DC.to_vec()), "example"),
            (DnType::CommonName, "a,b "),
            (DnType::CustomDnType(UID.to_vec()), "7"),
            (DnType::OrganizationName, "#1"),
        ]);
        assert_eq!(ann.text(), "CN=a\\,b\\ ,O=\\#1");
        let uid = "0.9.2342.19200300.100.1.1=7";
        let dc = "0.9.2342.19200300.100.1.25=example";
        assert_eq!(ann.full_text(), format!("CN=a\\,b\\ ,O=\\#1,{uid},{dc}"));
        assert_eq!(ann.domain_components(), "DC=example");
        assert_eq!(ann.distinguished_name(), None, "a user id has no short name");
        assert_eq!((subject(&[]).text(), subject(&[]).full_text()), (String::new(), String::new()));
    }

    #[test]
    fn attributes_have_an_order_of_their_own() {
        let kind = |last: u64| DnType::CustomDnType(vec![2, 5, 4, last]);
        let shuffled = facts(
            &[
                (DnType::CommonName, "ann"),
                (DnType::OrganizationalUnitName, "people"),
                (DnType::OrganizationName, "Example"),
                (kind(17), "53111"),
                (kind(9), "Markt 1"),
                (DnType::LocalityName, "Bonn"),
                (DnType::StateOrProvinceName, "NRW"),
                (DnType::CountryName, "DE"),
                (kind(5), "7"),
            ],
            vec![],
        );
        let want =
            "SERIALNUMBER=7,CN=ann,OU=people,O=Example,POSTALCODE=53111,STREET=Markt 1,L=Bonn,ST=NRW,C=DE";
        assert_eq!(shuffled.subject.text(), want);
    }

    #[test]
    fn subject_compares_with_names_as_written() {
        let subject = [(DnType::OrganizationName, "ex"), (DnType::CommonName, "ann")];
        let name = facts(&subject, vec![]).subject.distinguished_name().unwrap();
        assert!(name.matches(&DistinguishedName::parse("CN=ann, O=ex").unwrap()));
    }

    #[test]
    fn alternative_names_are_told_by_their_kind() {
        let names = vec![
            SanType::Rfc822Name("ann@example.com".try_into().unwrap()),
            SanType::DnsName("a.example".try_into().unwrap()),
            SanType::URI("spiffe://example/ann".try_into().unwrap()),
            SanType::IpAddress([127, 0, 0, 1].into()),
        ];
        let facts = facts(&[], names);
        assert_eq!(facts.emails, ["ann@example.com"]);
        assert_eq!(
            (facts.dns_names, facts.uris),
            (vec!["a.example".into()], vec!["spiffe://example/ann".into()])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_none(data: Vec<u8>) {
            fuzz_peer_certificate(&data);
        }
    }
}
