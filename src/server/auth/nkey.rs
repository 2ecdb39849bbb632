//! Proof by nkey: a signature of the nonce that the server gave out.

use nkeys::KeyPair;
use nkeys::error::ErrorKind;

use crate::server::base::base64::Base64;

/// Whether `signature` is the one of `nonce` by the holder of the public key `key`.
///
/// # Errors
/// What the log says at debug level of a signature that does not count.
pub(super) fn verify(key: &str, nonce: &str, signature: &str) -> Result<(), String> {
    if signature.is_empty() {
        return Err("Signature missing".to_owned());
    }
    // Who was given nothing to sign can have signed nothing: that signature would serve for ever.
    if nonce.is_empty() {
        return Err("Signature not verified".to_owned());
    }
    let signature = Base64::Url
        .decode(signature.as_bytes())
        .or_else(|_| Base64::Standard.decode(signature.as_bytes()))
        .map_err(|_| "Signature not valid base64".to_owned())?;
    let key = KeyPair::from_public_key(key).map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::ChecksumFailure => "invalid checksum",
            ErrorKind::InvalidPrefix => "invalid public key",
            _ => "invalid encoded key",
        };
        format!("User nkey not valid: nkeys: {reason}")
    })?;
    key.verify(nonce.as_bytes(), &signature).map_err(|_| "Signature not verified".to_owned())
}

/// For the fuzzer: any text is a signature or none.
pub fn fuzz_signature(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = verify("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", "nonce", &text);
    let _ = verify(&text, "nonce", "c2lnbmF0dXJl");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signature_counts_in_both_spellings() {
        let pair = KeyPair::new_user();
        let signature = pair.sign(b"nonce").unwrap();
        for spelling in [Base64::Url, Base64::Standard] {
            assert_eq!(verify(&pair.public_key(), "nonce", &spelling.encode(&signature)), Ok(()));
        }
    }

    #[test]
    fn what_is_wrong_with_a_signature_is_told() {
        let (pair, other) = (KeyPair::new_user(), KeyPair::new_user());
        let signed = |nonce: &str| Base64::Url.encode(&pair.sign(nonce.as_bytes()).unwrap());
        let key = pair.public_key();
        for (key, signature, want) in [
            (&*key, String::new(), "Signature missing"),
            (&key, "!".to_owned(), "Signature not valid base64"),
            (&key, signed("another"), "Signature not verified"),
            (&key, "c2hvcnQ".to_owned(), "Signature not verified"),
            (&other.public_key(), signed("nonce"), "Signature not verified"),
        ] {
            assert_eq!(verify(key, "nonce", &signature), Err(want.to_owned()));
        }
    }

    #[test]
    fn a_signature_of_nothing_proves_nothing() {
        let pair = KeyPair::new_user();
        let signature = Base64::Url.encode(&pair.sign(b"").unwrap());
        assert_eq!(verify(&pair.public_key(), "", &signature), Err("Signature not verified".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_signature_or_none(data: Vec<u8>) {
            fuzz_signature(&data);
        }
    }
}
