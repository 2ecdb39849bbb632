//! Certificates of all kinds, made for one test.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use sha2::{Digest, Sha256};

/// An authority that signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate chain and its key, PEM.
pub(crate) struct Certified {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    /// One that signed itself.
    pub(crate) fn new(name: &str) -> Self {
        Self::altered(name, |_| {})
    }

    /// One that signed itself, and is not quite what authorities are.
    pub(crate) fn altered(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = authority(name);
        change(&mut params);
        Self { issuer: CertifiedIssuer::self_signed(params, key()).expect("an authority") }
    }

    /// One that this one signed.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        self.intermediate_altered(name, |_| {})
    }

    /// One that this one signed, and that is not quite what authorities are.
    pub(crate) fn intermediate_altered(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = authority(name);
        change(&mut params);
        Self { issuer: CertifiedIssuer::signed_by(params, key(), &self.issuer).expect("an authority") }
    }

    /// One that this one signed, but not to sign others.
    pub(crate) fn not_an_authority(&self, name: &str) -> Self {
        self.intermediate_altered(name, |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = Vec::new();
        })
    }

    /// A copy of its key.
    pub(crate) fn key(&self) -> KeyPair {
        KeyPair::from_pem(&self.issuer.key().serialize_pem()).expect("a key")
    }

    /// A certificate (PEM) with the name and the key of `other`, which this one signed.
    pub(crate) fn copy_of(&self, other: &Self, name: &str, extensions: Vec<CustomExtension>) -> String {
        let mut params = authority(name);
        params.custom_extensions = extensions;
        params.signed_by(other.issuer.key(), &self.issuer).expect("a certificate").pem()
    }

    /// Its own certificate, as somebody shows it who has the key.
    pub(crate) fn certified(&self) -> Certified {
        Certified { chain: self.pem(), key: self.issuer.key().serialize_pem() }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for servers of these names.
    pub(crate) fn server(&self, names: &[&str]) -> Certified {
        self.sign(params(names[0], names.iter().map(|name| san(name))), &[])
    }

    /// A certificate for a client of this name.
    pub(crate) fn client(&self, name: &str) -> Certified {
        let mut params = params(name, []);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &[])
    }

    /// A certificate as described; `intermediates` are sent behind it.
    pub(crate) fn sign(&self, params: CertificateParams, intermediates: &[&Self]) -> Certified {
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let mut chain = certificate.pem();
        chain.extend(intermediates.iter().map(|intermediate| intermediate.pem()));
        Certified { chain, key: key.serialize_pem() }
    }
}

impl Certified {
    /// SHA-256 of the public key, as `pinned_certs` names it.
    pub(crate) fn pin(&self) -> String {
        let key = KeyPair::from_pem(&self.key).expect("a key");
        let digest = Sha256::digest(key.subject_public_key_info());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The certificate alone, DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject;
        let der = rustls::pki_types::CertificateDer::from_pem_slice(self.chain.as_bytes());
        der.expect("a certificate").to_vec()
    }

    /// Writes `<name>.pem` and `<name>.key`.
    pub(crate) fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.pem")), &self.chain).expect("a file");
        std::fs::write(dir.join(format!("{name}.key")), &self.key).expect("a file");
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name, []);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

/// What stands in a certificate of this common name and these alternative names.
pub(crate) fn params(name: &str, names: impl IntoIterator<Item = SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = names.into_iter().collect();
    params
}

/// A DNS name, or an address where it is one.
pub(crate) fn san(name: &str) -> SanType {
    match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into().expect("an ASCII name")),
    }
}
