//! Base 64: the standard alphabet with padding (byte fields of JSON, PEM), and the URL's without (tokens,
//! signatures).

/// The digits of one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base64 {
    /// `+` and `/`, filled up with `=`.
    Standard,
    /// `-` and `_`, without padding.
    Url,
}

/// What stands for the values 0 to 61 in either spelling.
const COMMON: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Base64 {
    /// Appends `bytes` in this spelling.
    pub fn encode_into(self, bytes: &[u8], out: &mut Vec<u8>) {
        for chunk in bytes.chunks(3) {
            let group = chunk.iter().fold(0_u32, |group, &byte| (group << 8) | u32::from(byte))
                << (8 * (3 - chunk.len()));
            for place in 0..4 {
                if place <= chunk.len() {
                    out.push(self.digit(group >> (18 - 6 * place) & 0x3f));
                } else if self == Self::Standard {
                    out.push(b'=');
                }
            }
        }
    }

    /// `bytes` in this spelling.
    pub fn encode(self, bytes: &[u8]) -> String {
        let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
        self.encode_into(bytes, &mut out);
        out.into_iter().map(char::from).collect()
    }

    /// Reads a text; line ends are skipped.
    ///
    /// # Errors
    /// Where the text is wrong, as Go counts it: the wrong byte, the `=` that has no second, the group that
    /// is not full.
    pub fn decode(self, text: &[u8]) -> Result<Vec<u8>, usize> {
        let mut out = Vec::with_capacity(text.len() / 4 * 3);
        let (mut group, mut count, mut padding) = (0_u32, 0_u32, 0_u32);
        for (at, &byte) in text.iter().enumerate() {
            if matches!(byte, b'\r' | b'\n') {
                continue;
            }
            match self.value(byte) {
                Some(value) if padding == 0 => group = (group << 6) | value,
                None if self.pads() && byte == b'=' && count >= 2 && padding < 2 => {
                    group <<= 6;
                    padding += 1;
                }
                _ if padding > 0 => return Err(at - 1),
                _ => return Err(at),
            }
            count += 1;
            if count == 4 {
                push_bytes(group, 3 - padding as usize, &mut out);
                if padding > 0 {
                    let rest = text.iter().skip(at + 1).position(|byte| !matches!(byte, b'\r' | b'\n'));
                    return rest.map_or(Ok(out), |more| Err(at + 1 + more));
                }
                (group, count) = (0, 0);
            }
        }
        match count {
            0 => Ok(out),
            2 | 3 if !self.pads() => {
                push_bytes(group << (6 * (4 - count)), count as usize - 1, &mut out);
                Ok(out)
            }
            _ if padding > 0 => Err(text.len()),
            _ => Err(text.len() - count as usize),
        }
    }

    const fn pads(self) -> bool {
        matches!(self, Self::Standard)
    }

    const fn last_two(self) -> [u8; 2] {
        match self {
            Self::Standard => *b"+/",
            Self::Url => *b"-_",
        }
    }

    fn digit(self, value: u32) -> u8 {
        let [before_last, last] = self.last_two();
        COMMON.get(value as usize).copied().unwrap_or(if value == 62 { before_last } else { last })
    }

    fn value(self, digit: u8) -> Option<u32> {
        let [before_last, last] = self.last_two();
        match digit {
            b'A'..=b'Z' => Some(u32::from(digit - b'A')),
            b'a'..=b'z' => Some(u32::from(digit - b'a') + 26),
            b'0'..=b'9' => Some(u32::from(digit - b'0') + 52),
            _ if digit == before_last => Some(62),
            _ if digit == last => Some(63),
            _ => None,
        }
    }
}

/// The first `count` of the three bytes of a group of four digits.
fn push_bytes(group: u32, count: usize, out: &mut Vec<u8>) {
    let [_, bytes @ ..] = group.to_be_bytes();
    out.extend(bytes.iter().take(count));
}

/// Any bytes are read or refused at a place inside, and what was read comes back.
pub fn fuzz_base64(data: &[u8]) {
    for spelling in [Base64::Standard, Base64::Url] {
        match spelling.decode(data) {
            Ok(bytes) => {
                debug_assert_eq!(spelling.decode(spelling.encode(&bytes).as_bytes()), Ok(bytes));
            }
            Err(at) => debug_assert!(at <= data.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(spelling: Base64, bytes: &str, text: &str) {
        assert_eq!(spelling.encode(bytes.as_bytes()), text);
        assert_eq!(spelling.decode(text.as_bytes()).as_deref(), Ok(bytes.as_bytes()));
    }

    #[test]
    fn the_standard_spelling_is_padded_and_the_urls_is_not() {
        for (bytes, standard, url) in [
            ("", "", ""),
            ("f", "Zg==", "Zg"),
            ("fo", "Zm8=", "Zm8"),
            ("foo", "Zm9v", "Zm9v"),
            ("foob", "Zm9vYg==", "Zm9vYg"),
            ("~~~?", "fn5+Pw==", "fn5-Pw"),
        ] {
            check(Base64::Standard, bytes, standard);
            check(Base64::Url, bytes, url);
        }
    }

    #[test]
    fn line_ends_are_skipped() {
        assert_eq!(Base64::Standard.decode(b"Zm9v\r\nYg==\n"), Ok(b"foob".to_vec()));
        assert_eq!(Base64::Url.decode(b"Zm9v\r\nYg\n"), Ok(b"foob".to_vec()));
    }

    #[test]
    fn a_wrong_byte_is_refused_at_its_place() {
        for (spelling, text, at) in [
            (Base64::Standard, "Zm9v!", 4),
            (Base64::Standard, "Z", 0),
            (Base64::Standard, "Zm9vYg", 4),
            (Base64::Standard, "Zm9vYg=", 7),
            (Base64::Standard, "Zm=v", 2),
            (Base64::Standard, "Zm9vY===", 5),
            (Base64::Standard, "Zg==x", 4),
            (Base64::Standard, "fn5-", 3),
            (Base64::Url, "Zm9vY", 4),
            (Base64::Url, "Zg==", 2),
            (Base64::Url, "fn5+", 3),
        ] {
            assert_eq!(spelling.decode(text.as_bytes()), Err(at), "{spelling:?} {text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data: Vec<u8>, text in "[A-Za-z0-9+/_=\r\n-]{0,40}") {
            fuzz_base64(&data);
            fuzz_base64(text.as_bytes());
        }

        #[test]
        fn what_is_written_reads_back(data: Vec<u8>) {
            for spelling in [Base64::Standard, Base64::Url] {
                prop_assert_eq!(spelling.decode(spelling.encode(&data).as_bytes()), Ok(data.clone()));
            }
        }
    }
}
