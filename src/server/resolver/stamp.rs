//! What a store needs to know of a token: whose it is, which one, and from when to when.

use crate::server::base::base64::Base64;
use crate::server::protocol::json::Value;

/// Bytes of a token before it is none. Reference: 1 MiB.
pub const TOKEN_BYTES_MAX: usize = 1024 * 1024;

/// Head of a token's claims, as they stand: nobody has looked at the signature.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp {
    /// `jti`: names this very token.
    pub id: String,
    /// `sub`: whose claims these are.
    pub subject: String,
    /// `iat`, in seconds; 0 when it says nothing.
    pub issued_at: i64,
    /// `exp`, in seconds; 0 is never.
    pub expires: i64,
}

impl Stamp {
    /// Reads the claims of a token; `None` when it is none.
    pub fn read(token: &[u8]) -> Option<Self> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (_, body, _) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let body = Base64::Url.decode(body).ok()?;
        let document = Value::parse(&body).ok()?;
        if document.kind() != "object" {
            return None;
        }
        let mut stamp = Self::default();
        for (name, value) in document.members() {
            match name.as_ref() {
                "jti" => stamp.id = value.text()?.into_owned(),
                "sub" => stamp.subject = value.text()?.into_owned(),
                "iat" => stamp.issued_at = seconds(value)?,
                "exp" => stamp.expires = seconds(value)?,
                _ => {}
            }
        }
        Some(stamp)
    }

    /// Whether its time is over at `now`, in seconds of the epoch.
    pub const fn is_expired(&self, now: i64) -> bool {
        self.expires > 0 && self.expires < now
    }
}

fn seconds(value: Value<'_>) -> Option<i64> {
    std::str::from_utf8(value.raw()).ok()?.parse().ok()
}

/// For the fuzzer: any bytes are a token or none.
pub fn fuzz_stamp(data: &[u8]) {
    let _ = Stamp::read(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(body: &str) -> Vec<u8> {
        format!("e30.{}.c2ln", Base64::Url.encode(body.as_bytes())).into_bytes()
    }

    #[test]
    fn the_head_of_the_claims_is_read() {
        let read =
            Stamp::read(&token(r#"{"jti":"J","sub":"A","iat":5,"exp":7,"nats":{"sub":"B"}}"#)).unwrap();
        assert_eq!(read, Stamp { id: "J".into(), subject: "A".into(), issued_at: 5, expires: 7 });
        assert!(!read.is_expired(7) && read.is_expired(8));
        assert!(!Stamp::read(&token("{}")).unwrap().is_expired(i64::MAX));
    }

    #[test]
    fn a_line_end_behind_the_token_is_no_harm() {
        let mut with_end = token(r#"{"sub":"A"}"#);
        with_end.extend_from_slice(b"\r\n");
        assert_eq!(Stamp::read(&with_end).unwrap().subject, "A");
    }

    #[test]
    fn what_is_no_token_has_no_stamp() {
        let too_large = vec![b'.'; TOKEN_BYTES_MAX + 1];
        let cases: [&[u8]; 7] =
            [b"", b"a.b", b"a.b.c", b"a.e30.c.d", &token("[]"), &token(r#"{"iat":"x"}"#), &too_large];
        for wrong in cases {
            assert_eq!(Stamp::read(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_token_or_none(data: Vec<u8>) {
            fuzz_stamp(&data);
            fuzz_stamp(&token(&String::from_utf8_lossy(&data)));
        }
    }
}
