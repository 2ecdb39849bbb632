//! Base 64 as tokens (URL alphabet, no padding) and PEM files (padded) use it.

/// Decodes either alphabet, with or without padding; `None` when the text is no base 64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(body.len() * 3 / 4);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for c in body.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        buffer = buffer << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits & 0xff) as u8);
        }
    }
    (body.len() % 4 != 1).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        for (text, want) in
            [("", ""), ("Zg==", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("fn5-", "~~~")]
        {
            assert_eq!(decode(text).unwrap(), want.as_bytes(), "{text}");
        }
        assert_eq!(decode("_-8"), decode("/+8="));
    }

    #[test]
    fn other_characters_and_impossible_lengths_are_refused() {
        for text in ["Zm9v!", "Z", "Zm9vY", "Zg=x"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
