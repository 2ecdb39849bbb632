//! Nkeys: keys whose text says what they are for, and what they signed.
//!
//! ```text
//! public key: | prefix | 32 key | 2 CRC, little endian |, in base 32: 56 letters
//! seed:       | seed prefix + 3 bits of the public one | its other bits | 32 seed | 2 CRC |: 58 letters
//! ```

use nkeys::KeyPair;

use crate::server::base::base64::Base64;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `O…`.
    Operator,
    /// `N…`.
    Server,
    /// `C…`.
    Cluster,
    /// `A…`.
    Account,
    /// `U…`.
    User,
    /// `X…`.
    Curve,
}

impl KeyKind {
    const fn of_prefix(prefix: u8) -> Option<Self> {
        Some(match prefix {
            0x70 => Self::Operator,
            0x68 => Self::Server,
            0x10 => Self::Cluster,
            0x00 => Self::Account,
            0xa0 => Self::User,
            0xb8 => Self::Curve,
            _ => return None,
        })
    }

    /// The reference's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Server => "server",
            Self::Cluster => "cluster",
            Self::Account => "account",
            Self::User => "user",
            Self::Curve => "x25519",
        }
    }
}

/// Prefix of seeds, and of private keys, which are no public keys.
const SEED: u8 = 0x90;
/// Longest text looked at: a seed has 58 characters.
const KEY_CHARS_MAX: usize = 512;

/// The kind of a public key; `None` when the text is none.
pub fn public_kind(text: &str) -> Option<KeyKind> {
    KeyKind::of_prefix(*decode(text)?.first()?)
}

/// True when `text` is a public key of this kind.
pub fn is_public(text: &str, kind: KeyKind) -> bool {
    public_kind(text) == Some(kind)
}

/// The kind of key that a seed makes; `None` when the text is no seed.
pub fn seed_kind(text: &str) -> Option<KeyKind> {
    let raw = decode(text)?;
    let [first, second, ..] = raw.as_slice() else { return None };
    if first & 0xf8 != SEED {
        return None;
    }
    KeyKind::of_prefix((first & 0x07) << 5 | (second & 0xf8) >> 3)
}

/// Whether `signature` is what the holder of this public key made of `signed`.
#[must_use]
pub fn verify(key: &str, signed: &[u8], signature: &[u8]) -> bool {
    KeyPair::from_public_key(key).is_ok_and(|key| key.verify(signed, signature).is_ok())
}

/// The signature of a nonce as CONNECT has it: in the URL's base 64, or in the standard one.
#[must_use]
pub fn signature_bytes(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    Base64::Url.decode(text).or_else(|_| Base64::Standard.decode(text)).ok()
}

/// The bytes without the checksum, which is right.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > KEY_CHARS_MAX {
        return None;
    }
    let raw = base32(text)?;
    let (body, sum) = raw.split_last_chunk::<2>()?;
    (body.len() >= 2 && crc16(body) == u16::from_le_bytes(*sum)).then(|| body.to_vec())
}

/// Bytes in base 32, without padding.
pub(super) fn to_base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let mut push = |value: u32| {
        out.extend(LETTERS.get(value as usize & 31).copied().map(char::from));
    };
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
    }
    if bits > 0 {
        push(buffer << (5 - bits));
    }
    out
}

/// The bytes of a text in base 32 without padding.
fn base32(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        buffer = buffer << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits & 0xff) as u8);
        }
    }
    // Lengths at which the last character would carry nothing.
    if matches!(text.len() % 8, 1 | 3 | 6) {
        return None;
    }
    Some(out)
}

/// CRC-16 with the polynomial 0x1021, starting from 0.
fn crc16(data: &[u8]) -> u16 {
    let mut sum: u16 = 0;
    for byte in data {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x1021 };
        }
    }
    sum
}

/// For the fuzzer: any text is a key or none.
pub fn fuzz_nkey(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = (public_kind(&text), seed_kind(&text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_kind_of_key_is_told_by_its_prefix() {
        let pairs = [
            (KeyPair::new_operator(), KeyKind::Operator),
            (KeyPair::new_server(), KeyKind::Server),
            (KeyPair::new_cluster(), KeyKind::Cluster),
            (KeyPair::new_account(), KeyKind::Account),
            (KeyPair::new_user(), KeyKind::User),
        ];
        for (pair, kind) in pairs {
            assert_eq!(public_kind(&pair.public_key()), Some(kind));
            assert_eq!(seed_kind(&pair.seed().unwrap()), Some(kind));
            assert_eq!(public_kind(&pair.seed().unwrap()), None);
            assert_eq!(seed_kind(&pair.public_key()), None);
        }
        let curve = nkeys::XKey::new();
        assert_eq!(public_kind(&curve.public_key()), Some(KeyKind::Curve));
    }

    #[test]
    fn a_changed_letter_breaks_the_checksum() {
        let key = KeyPair::new_user().public_key();
        let last = if key.ends_with('A') { "B" } else { "A" };
        assert_eq!(public_kind(&format!("{}{last}", &key[..key.len() - 1])), None);
        for text in ["", "A", "AA", "AAAA", "ua", "U A"] {
            assert_eq!(public_kind(text), None, "{text}");
        }
    }

    #[test]
    fn a_signature_is_its_key_holders() {
        let (user, other) = (KeyPair::new_user(), KeyPair::new_user());
        let signature = user.sign(b"nonce").unwrap();
        for spelling in [Base64::Url, Base64::Standard] {
            let sent = signature_bytes(&spelling.encode(&signature)).unwrap();
            assert!(verify(&user.public_key(), b"nonce", &sent));
            assert!(!verify(&user.public_key(), b"other", &sent));
            assert!(!verify(&other.public_key(), b"nonce", &sent));
            assert!(!verify("U", b"nonce", &sent));
        }
        assert_eq!(signature_bytes("!"), None);
    }

    proptest! {
        #[test]
        fn bytes_in_base_32_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(base32(&to_base32(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_a_key_or_none(data: Vec<u8>) {
            fuzz_nkey(&data);
        }
    }
}
