//! Eight characters that stand for a server's name where subjects and identifiers have to be short.

use sha2::{Digest as _, Sha256};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 8;

/// The hash of `name`; the reference's, since other servers compute it too.
pub fn name_hash(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let digit = |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).copied().map(char::from);
    digest.iter().take(LENGTH).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_the_references() {
        // As it stands in the subjects of a reference whose `server_name` is `srv`.
        assert_eq!(name_hash("srv"), "WIpmpD2I");
    }
}
