//! OCSP (RFC 6960): asking whether a certificate is still good, and believing the answer or not.
//!
//! Pure: certificates and bytes in, a request or a status out. An answer is believed when the issuer of
//! the certificate signed it, or somebody whom the issuer certified; what it is worth beyond that
//! (its time, the signer's purpose) the caller asks for.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_OCSP;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::der::{self, Der};

/// What a responder says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is good.
    Good,
    /// It was revoked.
    Revoked,
    /// The responder knows nothing of it.
    Unknown,
}

impl Status {
    /// The reference's word.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// An answer that is signed as it should be. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub status: Status,
    /// Since when it holds.
    pub this_update: i64,
    /// Until when; `None` where the responder does not say.
    pub next_update: Option<i64>,
    /// Who signed it was certified for signing such answers, or is the issuer.
    pub signer_may_sign: bool,
}

/// Bytes that are no answer to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not DER, or not the structure that the standard says.
    #[error("malformed OCSP response")]
    Malformed,
    /// The responder says that it does not answer.
    #[error("ocsp: error from server: {0}")]
    Responder(&'static str),
    /// It is not about this certificate, or about several.
    #[error("OCSP response is not for this certificate")]
    AnotherCertificate,
    /// Somebody else signed it.
    #[error("bad OCSP signature: {0}")]
    Signature(&'static str),
}

/// `id-pkix-ocsp-basic`: 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// SHA-1, by which certificates are named: 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
/// The tag of what says that an extension is critical: its DER is there only where it is.
const BOOLEAN: u8 = 1;
/// `id-pe-tlsfeature`: 1.3.6.1.5.5.7.1.24.
const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
/// `status_request` among the TLS features.
const STATUS_REQUEST: &[u8] = &[5];

/// The request about `certificate`, issued by `issuer`; both DER.
pub fn request(certificate: &[u8], issuer: &[u8]) -> Option<Vec<u8>> {
    let id = Id::new(&parsed(certificate)?, &parsed(issuer)?)?;
    let algorithm = der::element(
        der::SEQUENCE,
        &[&der::element(der::OBJECT_IDENTIFIER, &[SHA1]), &der::element(der::NULL, &[])],
    );
    let id = der::element(
        der::SEQUENCE,
        &[
            &algorithm,
            &der::element(der::OCTET_STRING, &[&id.issuer_name]),
            &der::element(der::OCTET_STRING, &[&id.issuer_key]),
            &der::element(der::INTEGER, &[&id.serial]),
        ],
    );
    // Request, its list, the part that would be signed, the whole.
    Some((0..4).fold(id, |inner, _| der::element(der::SEQUENCE, &[&inner])))
}

/// How requests and answers name a certificate.
#[derive(Debug, PartialEq, Eq)]
struct Id {
    issuer_name: Vec<u8>,
    issuer_key: Vec<u8>,
    serial: Vec<u8>,
}

impl Id {
    fn new(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<Self> {
        let sha1 = |bytes: &[u8]| digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
        Some(Self {
            issuer_name: sha1(issuer.subject().as_raw()),
            issuer_key: sha1(&issuer.public_key().subject_public_key.data),
            serial: certificate.raw_serial().to_vec(),
        })
    }
}

/// Reads an answer about `certificate` and checks who signed it.
pub fn answer(bytes: &[u8], certificate: &[u8], issuer: &[u8]) -> Result<Answer, AnswerError> {
    let certificate = parsed(certificate).ok_or(AnswerError::Malformed)?;
    let issuer = parsed(issuer).ok_or(AnswerError::Malformed)?;
    let basic = Basic::read(bytes)?;
    let signer_may_sign = basic.check_signature(&issuer)?;
    let single = single(basic.data)?;
    let id = Id::new(&certificate, &issuer).ok_or(AnswerError::Malformed)?;
    if !single.is_about(&id) {
        return Err(AnswerError::AnotherCertificate);
    }
    Ok(Answer {
        status: single.status,
        this_update: single.this_update,
        next_update: single.next_update,
        signer_may_sign,
    })
}

/// The signed part of an answer, its signature, and the signer's own certificate where it comes along.
struct Basic<'a> {
    signed: &'a [u8],
    data: Der<'a>,
    algorithm: &'a [u8],
    signature: &'a [u8],
    signer: Option<&'a [u8]>,
}

impl<'a> Basic<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, AnswerError> {
        let mut whole = Der::new(bytes);
        let mut response = whole.expect(der::SEQUENCE).ok_or(AnswerError::Malformed)?.inside();
        if !whole.is_empty() {
            return Err(AnswerError::Malformed);
        }
        let status = response.expect(der::ENUMERATED).ok_or(AnswerError::Malformed)?;
        match status.contents {
            [0] => {}
            [1] => return Err(AnswerError::Responder("malformed")),
            [2] => return Err(AnswerError::Responder("internal error")),
            [3] => return Err(AnswerError::Responder("try later")),
            [5] => return Err(AnswerError::Responder("signature required")),
            [6] => return Err(AnswerError::Responder("unauthorized")),
            _ => return Err(AnswerError::Responder("unknown OCSP status")),
        }
        Self::read_basic(response).ok_or(AnswerError::Malformed)
    }

    fn read_basic(mut response: Der<'a>) -> Option<Self> {
        let mut typed = response.expect(der::explicit(0))?.inside().expect(der::SEQUENCE)?.inside();
        if typed.expect(der::OBJECT_IDENTIFIER)?.contents != BASIC {
            return None;
        }
        let mut basic = typed.expect(der::OCTET_STRING)?.inside().expect(der::SEQUENCE)?.inside();
        let data = basic.expect(der::SEQUENCE)?;
        let algorithm = basic.expect(der::SEQUENCE)?.contents;
        let signature = basic.expect(der::BIT_STRING)?.bits()?;
        let signer = match basic.next_if(der::explicit(0)) {
            Some(certificates) => certificates.inside().expect(der::SEQUENCE)?.inside().next(),
            None => None,
        };
        let signer = signer.map(|signer| signer.raw);
        Some(Self { signed: data.raw, data: data.inside(), algorithm, signature, signer })
    }

    /// Whether the issuer, or one whom it certified, signed; says whether that one was certified for it.
    fn check_signature(&self, issuer: &X509Certificate<'_>) -> Result<bool, AnswerError> {
        let Some(signer) = self.signer else {
            return if signed_by(issuer, self.algorithm, self.signed, self.signature) {
                Ok(true)
            } else {
                Err(AnswerError::Signature("the issuer did not sign it"))
            };
        };
        let delegate = parsed(signer).ok_or(AnswerError::Malformed)?;
        if !signed_by(&delegate, self.algorithm, self.signed, self.signature) {
            return Err(AnswerError::Signature("the signer's certificate does not fit"));
        }
        if delegate.public_key().raw == issuer.public_key().raw {
            return Ok(true);
        }
        let parts = certificate_parts(signer).ok_or(AnswerError::Malformed)?;
        if !signed_by(issuer, parts.algorithm, parts.signed, parts.signature) {
            return Err(AnswerError::Signature("the issuer did not certify the signer"));
        }
        let usage = delegate.extended_key_usage().ok().flatten();
        Ok(usage.is_some_and(|usage| usage.value.ocsp_signing))
    }
}

/// One certificate's status.
struct Single {
    /// The issuer's name and key, where they are named by SHA-1 as in the request.
    issuer: Option<(Vec<u8>, Vec<u8>)>,
    serial: Vec<u8>,
    status: Status,
    this_update: i64,
    next_update: Option<i64>,
}

impl Single {
    fn is_about(&self, id: &Id) -> bool {
        let same_issuer =
            self.issuer.as_ref().is_none_or(|(name, key)| (name, key) == (&id.issuer_name, &id.issuer_key));
        self.serial == id.serial && same_issuer
    }
}

/// The one status that an answer holds.
fn single(mut data: Der<'_>) -> Result<Single, AnswerError> {
    let mut read = || {
        data.next_if(der::explicit(0));
        // Who answers: by name or by key.
        data.next()?;
        data.expect(der::GENERALIZED_TIME)?;
        let mut responses = data.expect(der::SEQUENCE)?.inside();
        let first = responses.expect(der::SEQUENCE)?;
        Some((first, responses.is_empty()))
    };
    let (response, alone) = read().ok_or(AnswerError::Malformed)?;
    if !alone {
        return Err(AnswerError::AnotherCertificate);
    }
    read_single(response.inside()).ok_or(AnswerError::Malformed)
}

fn read_single(mut response: Der<'_>) -> Option<Single> {
    let mut id = response.expect(der::SEQUENCE)?.inside();
    let algorithm = id.expect(der::SEQUENCE)?.inside().expect(der::OBJECT_IDENTIFIER)?.contents;
    let name = id.expect(der::OCTET_STRING)?.contents;
    let key = id.expect(der::OCTET_STRING)?.contents;
    let issuer = (algorithm == SHA1).then(|| (name.to_vec(), key.to_vec()));
    let serial = id.expect(der::INTEGER)?.contents.to_vec();
    // Go leaves out "revoked" where neither time nor reason of it are known: what says nothing is no good.
    let status = if response.next_if(der::implicit(0)).is_some() {
        Status::Good
    } else if response.next_if(der::implicit(2)).is_some() {
        Status::Unknown
    } else {
        response.next_if(der::explicit(1));
        Status::Revoked
    };
    let this_update = time(response.expect(der::GENERALIZED_TIME)?.contents)?;
    let next_update = match response.next_if(der::explicit(0)) {
        Some(next) => Some(time(next.inside().expect(der::GENERALIZED_TIME)?.contents)?),
        None => None,
    };
    if let Some(extensions) = response.next_if(der::explicit(1)) {
        let mut extensions = extensions.inside().expect(der::SEQUENCE)?.inside();
        while !extensions.is_empty() {
            let mut extension = extensions.expect(der::SEQUENCE)?.inside();
            extension.expect(der::OBJECT_IDENTIFIER)?;
            // None is understood here, so none may demand to be.
            if extension.next()?.tag == BOOLEAN {
                return None;
            }
        }
    }
    if !response.is_empty() {
        return None;
    }
    Some(Single { issuer, serial, status, this_update, next_update })
}

/// `20261129193000Z` in seconds since 1970.
fn time(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let part = |from: usize, to: usize| i8::try_from(field(from, to)?).ok();
    let date = jiff::civil::DateTime::new(
        field(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    );
    Some(jiff::tz::TimeZone::UTC.to_timestamp(date.ok()?).ok()?.as_second())
}

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// What a certificate's signature is about.
struct Parts<'a> {
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

fn certificate_parts(der: &[u8]) -> Option<Parts<'_>> {
    let mut certificate = Der::new(der).expect(der::SEQUENCE)?.inside();
    let signed = certificate.expect(der::SEQUENCE)?.raw;
    let algorithm = certificate.expect(der::SEQUENCE)?.contents;
    let signature = certificate.expect(der::BIT_STRING)?.bits()?;
    Some(Parts { signed, algorithm, signature })
}

/// Whether the key of `signer` made this signature.
fn signed_by(signer: &X509Certificate<'_>, algorithm: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let algorithms: WebPkiSupportedAlgorithms =
        provider::default_provider().signature_verification_algorithms;
    let key = signer.public_key();
    let Some(key_algorithm) =
        Der::new(key.raw).expect(der::SEQUENCE).and_then(|key| key.inside().expect(der::SEQUENCE))
    else {
        return false;
    };
    algorithms.all.iter().any(|candidate| {
        candidate.signature_alg_id().as_ref() == algorithm
            && candidate.public_key_alg_id().as_ref() == key_algorithm.contents
            && candidate.verify_signature(&key.subject_public_key.data, signed, signature).is_ok()
    })
}

/// Whether `issuer` signed `certificate`; both DER.
pub fn is_issued_by(certificate: &[u8], issuer: &[u8]) -> bool {
    let (Some(leaf), Some(parts), Some(issuer)) =
        (parsed(certificate), certificate_parts(certificate), parsed(issuer))
    else {
        return false;
    };
    leaf.issuer().as_raw() == issuer.subject().as_raw()
        && signed_by(&issuer, parts.algorithm, parts.signed, parts.signature)
}

/// Whether a certificate may sign others.
pub fn is_authority(der: &[u8]) -> bool {
    parsed(der).is_some_and(|certificate| certificate.is_ca())
}

/// The web addresses of a certificate's responders.
pub fn responders(der: &[u8]) -> Vec<String> {
    let Some(certificate) = parsed(der) else { return Vec::new() };
    let mut found = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() else { continue };
        for description in &access.accessdescs {
            if description.access_method == OID_PKIX_ACCESS_DESCRIPTOR_OCSP
                && let GeneralName::URI(uri) = &description.access_location
                && (uri.starts_with("http://") || uri.starts_with("https://"))
            {
                found.push((*uri).to_owned());
            }
        }
    }
    found
}

/// Whether a certificate demands that an answer is stapled to it.
pub fn must_staple(der: &[u8]) -> bool {
    let Some(certificate) = parsed(der) else { return false };
    let feature =
        certificate.extensions().iter().find(|extension| extension.oid.to_id_string() == TLS_FEATURE);
    let features = feature.and_then(|feature| Der::new(feature.value).expect(der::SEQUENCE));
    features.is_some_and(|features| {
        let mut features = features.inside();
        std::iter::from_fn(|| features.next()).any(|feature| feature.contents == STATUS_REQUEST)
    })
}

/// For the fuzzer: any bytes are an answer or none.
pub fn fuzz_ocsp(data: &[u8]) {
    if let Ok(basic) = Basic::read(data) {
        let _ = single(basic.data);
    }
    let _ = (responders(data), must_staple(data), is_authority(data), is_issued_by(data, data));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    use super::*;

    fn certificate(extensions: &[(&[u64], Vec<u8>)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        for (oid, content) in extensions {
            params.custom_extensions.push(CustomExtension::from_oid_content(oid, content.clone()));
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn certificates_say_whom_to_ask_and_whether_a_staple_is_demanded() {
        const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
        const FEATURE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 24];
        let uri = |uri: &str| {
            let ocsp: &[u8] = &[0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
            der::element(der::SEQUENCE, &[ocsp, &der::element(0x86, &[uri.as_bytes()])])
        };
        let access = der::element(der::SEQUENCE, &[&uri("http://a/"), &uri("ldap://b"), &uri("https://c")]);
        let asked = certificate(&[(ACCESS, access), (FEATURE, vec![0x30, 3, 2, 1, 5])]);
        assert_eq!(
            (responders(&asked), must_staple(&asked)),
            (vec!["http://a/".into(), "https://c".into()], true)
        );
        let other = certificate(&[(FEATURE, vec![0x30, 3, 2, 1, 17])]);
        assert_eq!((responders(&other), must_staple(&other)), (Vec::new(), false));
    }

    #[test]
    fn times_are_those_of_the_standard() {
        assert_eq!(time(b"19700101000100Z"), Some(60));
        for wrong in [&b"19700101000100"[..], b"1970010100010Z", b"19701301000100Z", b"1970010100010aZ", b""]
        {
            assert_eq!(time(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_status_is_for_the_certificate_of_one_issuer_and_demands_nothing_unknown() {
        let id = Id { issuer_name: vec![1; 20], issuer_key: vec![2; 20], serial: vec![3] };
        let read = |name: u8, key: u8, serial: u8, extension: &[&[u8]]| {
            let algorithm = der::element(der::SEQUENCE, &[&der::element(der::OBJECT_IDENTIFIER, &[SHA1])]);
            let name = der::element(der::OCTET_STRING, &[&[name; 20]]);
            let key = der::element(der::OCTET_STRING, &[&[key; 20]]);
            let serial = der::element(der::INTEGER, &[&[serial]]);
            let named = der::element(der::SEQUENCE, &[&algorithm, &name, &key, &serial]);
            let good = der::element(der::implicit(0), &[]);
            let time = der::element(der::GENERALIZED_TIME, &[b"20261129193000Z"]);
            let extension = der::element(der::SEQUENCE, extension);
            let extensions = der::element(der::explicit(1), &[&der::element(der::SEQUENCE, &[&extension])]);
            let single = [named, good, time, extensions].concat();
            read_single(Der::new(&single)).map(|single| single.is_about(&id))
        };
        let oid: &[u8] = &[der::OBJECT_IDENTIFIER, 1, 0x2a];
        let value: &[u8] = &[der::OCTET_STRING, 0];
        let critical: &[u8] = &[BOOLEAN, 1, 0xff];
        assert_eq!(read(1, 2, 3, &[oid, value]), Some(true));
        for (name, key, serial) in [(9, 2, 3), (1, 9, 3), (1, 2, 9)] {
            assert_eq!(read(name, key, serial, &[oid, value]), Some(false));
        }
        assert_eq!(read(1, 2, 3, &[oid, critical, value]), None);
    }

    #[test]
    fn a_status_that_is_left_out_is_revoked() {
        let sha1 = der::element(der::SEQUENCE, &[&der::element(der::OBJECT_IDENTIFIER, &[SHA1])]);
        let hash = der::element(der::OCTET_STRING, &[&[1; 20]]);
        let serial = der::element(der::INTEGER, &[&[3]]);
        let named = der::element(der::SEQUENCE, &[&sha1, &hash, &hash, &serial]);
        let time = der::element(der::GENERALIZED_TIME, &[b"20261129193000Z"]);
        let status = |status: &[u8]| {
            let single = [&named, status, &time].concat();
            read_single(Der::new(&single)).map(|single| single.status)
        };
        assert_eq!(status(&der::element(der::implicit(0), &[])), Some(Status::Good));
        assert_eq!(status(&der::element(der::explicit(1), &[&time])), Some(Status::Revoked));
        assert_eq!(status(&der::element(der::implicit(2), &[])), Some(Status::Unknown));
        assert_eq!(status(&[]), Some(Status::Revoked));
        assert_eq!(status(&der::element(der::explicit(3), &[])), None);
    }

    #[test]
    fn responders_that_refuse_say_why() {
        for (status, want) in
            [(1, "malformed"), (3, "try later"), (6, "unauthorized"), (9, "unknown OCSP status")]
        {
            let refused = der::element(der::SEQUENCE, &[&der::element(der::ENUMERATED, &[&[status]])]);
            assert_eq!(Basic::read(&refused).err(), Some(AnswerError::Responder(want)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(data: Vec<u8>, parts: Vec<Vec<u8>>, tag: u8) {
            fuzz_ocsp(&data);
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let typed = der::element(tag, &parts);
            let good = der::element(der::ENUMERATED, &[&[0]]);
            fuzz_ocsp(&der::element(der::SEQUENCE, &[&good, &der::element(der::explicit(0), &[&typed])]));
        }
    }
}
