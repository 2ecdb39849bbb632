//! Proof by proxy: somebody trusted stands in front of a client and signs the nonce for it.

use nkeys::KeyPair;

use crate::server::base::base64::Base64;

/// The trusted key by which `signature` of `nonce` was made; `None` where no proxy speaks, or none is
/// trusted at all.
///
/// # Errors
/// A proxy speaks that is not trusted; with what the log says of it at debug level, if it does.
pub(super) fn vouched<'a>(
    trusted: &'a [String],
    nonce: &str,
    signature: &str,
) -> Result<Option<&'a str>, Option<&'static str>> {
    if signature.is_empty() || trusted.is_empty() {
        return Ok(None);
    }
    let signature =
        Base64::Url.decode(signature.as_bytes()).map_err(|_| Some("Proxy signature not valid base64"))?;
    let signer = trusted.iter().filter(|_| !nonce.is_empty()).find(|key| {
        KeyPair::from_public_key(key).is_ok_and(|key| key.verify(nonce.as_bytes(), &signature).is_ok())
    });
    signer.map(|key| Some(key.as_str())).ok_or(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_keys_vouch_and_others_do_not() {
        let (trusted, other) = (KeyPair::new_account(), KeyPair::new_account());
        let keys = [KeyPair::new_account().public_key(), trusted.public_key()];
        let signed = |pair: &KeyPair| Base64::Url.encode(&pair.sign(b"nonce").unwrap());
        assert_eq!(vouched(&keys, "nonce", &signed(&trusted)), Ok(Some(keys[1].as_str())));
        assert_eq!(vouched(&keys, "nonce", &signed(&other)), Err(None));
        assert_eq!(vouched(&keys, "nonce", "+/=="), Err(Some("Proxy signature not valid base64")));
        assert_eq!(vouched(&keys, "nonce", ""), Ok(None));
        assert_eq!(vouched(&[], "nonce", &signed(&trusted)), Ok(None));
    }
}
