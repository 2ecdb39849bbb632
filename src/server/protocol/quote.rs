//! Text quoted as the reference quotes it in log lines and -ERR texts (Go's `%q`).

use std::fmt::Write as _;

/// `raw` in double quotes, with everything that does not print escaped.
///
/// Bytes that are not UTF-8 become `\xNN`, other unprintable characters `\uNNNN` or `\UNNNNNNNN`.
#[must_use]
pub fn quote(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len() + 2);
    out.push('"');
    for chunk in raw.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_character(character, &mut out);
        }
        for byte in chunk.invalid() {
            push_escape(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

/// What a `Display` of arguments between quotes shows: `[a b c]`, as Go prints a list of words.
#[must_use]
pub fn words(fields: &[&[u8]]) -> String {
    let texts: Vec<_> = fields.iter().map(|field| String::from_utf8_lossy(field)).collect();
    format!("[{}]", texts.join(" "))
}

fn quote_character(character: char, out: &mut String) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..='\x1f' | '\x7f' => push_escape(out, format_args!("\\x{:02x}", u32::from(character))),
        ' '..='~' => out.push(character),
        _ if prints(character) => out.push(character),
        '\0'..='\u{ffff}' => push_escape(out, format_args!("\\u{:04x}", u32::from(character))),
        _ => push_escape(out, format_args!("\\U{:08x}", u32::from(character))),
    }
}

fn push_escape(out: &mut String, escape: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(escape);
}

/// Whether a character has a shape of its own. The second place in a string is asked because the
/// standard library escapes a combining mark in the first, which Go does not.
fn prints(character: char) -> bool {
    let mut pair = String::with_capacity(8);
    pair.push('a');
    pair.push(character);
    pair.escape_debug().nth(1) == Some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &[u8], want: &str) {
        assert_eq!(quote(raw), want);
    }

    #[test]
    fn plain_text_stands_between_quotes() {
        check(b"foo 5", "\"foo 5\"");
        check("gr\u{fc}n \u{4e16}".as_bytes(), "\"gr\u{fc}n \u{4e16}\"");
        check("e\u{301}".as_bytes(), "\"e\u{301}\"");
    }

    #[test]
    fn control_characters_and_quotes_are_escaped() {
        check(b"a\"b\\c", r#""a\"b\\c""#);
        check(b"\r\n\t\x07\x08\x0b\x0c\0\x7f", r#""\r\n\t\a\b\v\f\x00\x7f""#);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hex() {
        check(b"\xff\xc3(", r#""\xff\xc3(""#);
        check("\u{a0}\u{ad}\u{e000}\u{10ffff}".as_bytes(), r#""\u00a0\u00ad\ue000\U0010ffff""#);
    }
}
