//! Bytes between double quotes, escaped as the reference's `%q` does it.

use std::fmt::Write as _;

/// A text, or bytes that may be none, quoted: printable characters as they are, the rest as `\n`, `\x00`, `\u200b`, `\U000e0001`;
/// bytes that are not UTF-8 as `\xff`.
pub fn quote(raw: impl AsRef<[u8]>) -> String {
    let raw = raw.as_ref();
    let mut out = String::with_capacity(raw.len() + 2);
    out.push('"');
    quote_inside(&mut out, raw);
    out.push('"');
    out
}

/// Appends `raw` escaped, without the quotes around it.
pub fn quote_inside(out: &mut String, raw: &[u8]) {
    for chunk in raw.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push_letter(out, letter);
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

fn push_letter(out: &mut String, letter: char) {
    match letter {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        ' '..='~' => out.push(letter),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..='\x7f' => {
            let _ = write!(out, "\\x{:02x}", u32::from(letter));
        }
        _ if is_printable(letter) => out.push(letter),
        '\u{80}'..='\u{ffff}' => {
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        }
        _ => {
            let _ = write!(out, "\\U{:08x}", u32::from(letter));
        }
    }
}

/// Letters, marks, numbers, punctuation, symbols. The standard library keeps that table to itself, but
/// escapes what is not in it; combining marks it escapes only at a text's beginning.
fn is_printable(letter: char) -> bool {
    let mut buffer = [b'a'; 5];
    let Some((_, rest)) = buffer.split_first_mut() else {
        return false;
    };
    let size = 1 + letter.encode_utf8(rest).len();
    let text = buffer.get(..size).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.is_some_and(|text| text.escape_debug().nth(1) != Some('\\'))
}

/// Any bytes are quoted, and what comes out has no raw control character.
pub fn fuzz_quote(data: &[u8]) {
    let quoted = quote(data);
    debug_assert!(quoted.len() >= data.len().min(2));
    debug_assert!(!quoted.contains(|letter: char| letter.is_control()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_quoted_as_the_reference_does() {
        for (raw, want) in [
            (&b"hi"[..], r#""hi""#),
            (b"", r#""""#),
            (b"a\"b\\c'", r#""a\"b\\c'""#),
            (b"\x07\x08\x0c\n\r\t\x0b\0\x1f\x7f", r#""\a\b\f\n\r\t\v\x00\x1f\x7f""#),
            (b"\xff\xc3", r#""\xff\xc3""#),
            (
                "\u{e4}\u{4e2d}\u{1f600}a\u{301}\u{301}".as_bytes(),
                "\"\u{e4}\u{4e2d}\u{1f600}a\u{301}\u{301}\"",
            ),
            (
                "\u{80}\u{a0}\u{200b}\u{2028}\u{feff}\u{e000}".as_bytes(),
                r#""\u0080\u00a0\u200b\u2028\ufeff\ue000""#,
            ),
            ("\u{e0001}\u{10ffff}".as_bytes(), r#""\U000e0001\U0010ffff""#),
            ("\u{fffd}".as_bytes(), "\"\u{fffd}\""),
        ] {
            assert_eq!(quote(raw), want);
        }
    }

    #[test]
    fn no_bytes_break_the_quoter() {
        let mut state = 1_u32;
        for size in 0..200 {
            let data: Vec<u8> = (0..size)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state.to_le_bytes()[3]
                })
                .collect();
            fuzz_quote(&data);
        }
    }
}
