//! Text of a script: literal bytes, generated runs, and places that may differ.
//!
//! `{{x*100}}` is a run of a hundred `x`, `{{bytes*256}}` a fixed run of every byte value; both may
//! be sent and expected. `{{nkey}}` and the other [`Mask`]s match what differs from run to run;
//! `{{id:nkey}}` keeps what matched under a name, `{{=id}}` wants the same text again, and `{{>id}}` a greater number.

use std::collections::HashMap;

/// Bytes of one generated run at most, so that a script can't ask for the machine's memory.
pub const RUN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a place that may differ looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Anything, also nothing.
    Any,
    /// Decimal digits.
    Number,
    /// A public nkey: 56 characters of base 32.
    Nkey,
    /// The nonce of an INFO: 15 characters of URL base 64.
    Nonce,
    /// An address with its port.
    Address,
    /// An RFC 3339 time.
    Time,
    /// A version.
    Version,
    /// Anything without a space.
    Word,
}

impl Mask {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "any" => Self::Any,
            "number" => Self::Number,
            "nkey" => Self::Nkey,
            "nonce" => Self::Nonce,
            "address" => Self::Address,
            "time" => Self::Time,
            "version" => Self::Version,
            "word" => Self::Word,
            _ => return None,
        })
    }

    const fn length(self) -> (usize, usize) {
        match self {
            Self::Any => (0, usize::MAX),
            Self::Nkey => (56, 56),
            Self::Nonce => (15, 15),
            Self::Number | Self::Address | Self::Time | Self::Version | Self::Word => (1, usize::MAX),
        }
    }

    fn admits(self, byte: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Number => byte.is_ascii_digit(),
            Self::Nkey => byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte),
            Self::Nonce => byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_',
            Self::Address => byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'[' | b']'),
            Self::Time => byte.is_ascii_digit() || matches!(byte, b'T' | b':' | b'.' | b'Z' | b'+' | b'-'),
            Self::Version => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'),
            Self::Word => byte != b' ',
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Run { unit: Vec<u8>, times: usize },
    EveryByte { length: usize },
    Place { mask: Mask, name: Option<String> },
    Again(String),
    Above(String),
}

/// What kept places matched so far: name → text.
pub type Kept = HashMap<String, Vec<u8>>;

/// A line's text in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads `text`; with `escapes` a backslash starts `\r \n \t \0 \\ \xHH`.
    ///
    /// # Errors
    /// A sentence about the place that can't be read.
    pub fn parse(text: &str, escapes: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            push_literal(&mut pieces, before, escapes)?;
            let Some((inside, next)) = after.split_once("}}") else {
                return Err(format!("`{{{{{after}` has no closing braces"));
            };
            pieces.push(piece(inside)?);
            rest = next;
        }
        push_literal(&mut pieces, rest, escapes)?;
        Ok(Self { pieces })
    }

    /// The same, followed by these bytes.
    #[must_use]
    pub fn then(mut self, bytes: &[u8]) -> Self {
        self.pieces.push(Piece::Literal(bytes.to_vec()));
        self
    }

    /// The bytes to send, where nothing may differ.
    ///
    /// # Errors
    /// A sentence naming the place that can't be sent.
    pub fn bytes(&self, kept: &Kept) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Again(name) => match kept.get(name) {
                    Some(text) => out.extend_from_slice(text),
                    None => return Err(format!("nothing was kept under the name `{name}`")),
                },
                Piece::Above(name) => {
                    return Err(format!("a number above `{name}` can be expected, not sent"));
                }
                Piece::Place { mask, .. } => return Err(format!("{mask:?} can be expected, not sent")),
                fixed => out.extend(fixed.fixed()),
            }
        }
        Ok(out)
    }

    /// Is there nothing in it that may differ or that was kept before?
    pub fn is_fixed(&self) -> bool {
        !self
            .pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Place { .. } | Piece::Again(_) | Piece::Above(_)))
    }

    /// Does `text` fit? What the named places matched is kept only if all of it fits.
    pub fn matches(&self, text: &[u8], kept: &mut Kept) -> bool {
        let mut found = kept.clone();
        let fits = fits(&self.pieces, text, &mut found);
        if fits {
            *kept = found;
        }
        fits
    }
}

impl Piece {
    fn fixed(&self) -> Vec<u8> {
        match self {
            Self::Literal(bytes) => bytes.clone(),
            Self::Run { unit, times } => unit.repeat(*times),
            Self::EveryByte { length } => (0..=u8::MAX).cycle().take(*length).collect(),
            Self::Place { .. } | Self::Again(_) | Self::Above(_) => Vec::new(),
        }
    }
}

fn fits(pieces: &[Piece], text: &[u8], kept: &mut Kept) -> bool {
    let Some((piece, later)) = pieces.split_first() else {
        return text.is_empty();
    };
    match piece {
        Piece::Place { mask, name } => {
            let (least, most) = mask.length();
            let run = text.iter().take_while(|&&byte| mask.admits(byte)).count().min(most);
            // Longest first: a place takes all it can, and gives back what later pieces need.
            (least..=run).rev().any(|length| {
                let Some((taken, rest)) = text.split_at_checked(length) else { return false };
                if let Some(name) = name {
                    kept.insert(name.clone(), taken.to_vec());
                }
                fits(later, rest, kept)
            })
        }
        Piece::Again(name) => {
            let Some(want) = kept.get(name).cloned() else { return false };
            text.strip_prefix(want.as_slice()).is_some_and(|rest| fits(later, rest, kept))
        }
        Piece::Above(name) => {
            let number = |digits: &[u8]| {
                std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok())
            };
            let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (Some((digits, rest)), Some(least)) = (text.split_at_checked(length), kept.get(name)) else {
                return false;
            };
            number(digits) > number(least) && fits(later, rest, kept)
        }
        fixed => text.strip_prefix(fixed.fixed().as_slice()).is_some_and(|rest| fits(later, rest, kept)),
    }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str, escapes: bool) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let bytes = if escapes { unescape(text)? } else { text.as_bytes().to_vec() };
    pieces.push(Piece::Literal(bytes));
    Ok(())
}

fn piece(inside: &str) -> Result<Piece, String> {
    if let Some(name) = inside.strip_prefix('=') {
        return Ok(Piece::Again(name.to_owned()));
    }
    if let Some(name) = inside.strip_prefix('>') {
        return Ok(Piece::Above(name.to_owned()));
    }
    if let Some((unit, times)) = inside.rsplit_once('*') {
        let times: usize = times.parse().map_err(|_| format!("`{times}` is not a count"))?;
        if unit == "bytes" {
            return if times > RUN_BYTES_MAX {
                Err(too_long(times))
            } else {
                Ok(Piece::EveryByte { length: times })
            };
        }
        let unit = unescape(unit)?;
        return match unit.len().checked_mul(times) {
            Some(length) if length <= RUN_BYTES_MAX => Ok(Piece::Run { unit, times }),
            _ => Err(too_long(times)),
        };
    }
    let (name, mask) = match inside.split_once(':') {
        Some((name, mask)) => (Some(name.to_owned()), mask),
        None => (None, inside),
    };
    let mask = Mask::named(mask).ok_or_else(|| format!("`{mask}` is no place that may differ"))?;
    Ok(Piece::Place { mask, name })
}

fn too_long(times: usize) -> String {
    format!("a run of {times} is above {RUN_BYTES_MAX} bytes")
}

/// `\r \n \t \0 \\ \xHH` become their bytes.
///
/// # Errors
/// A sentence naming the escape that is none.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()]
                    .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
                match digits {
                    [Some(high), Some(low)] => u8::try_from(high * 16 + low).unwrap_or_default(),
                    _ => return Err("`\\x` wants two hexadecimal digits".to_owned()),
                }
            }
            Some(other) => return Err(format!("`\\{}` is no escape", char::from(other))),
            None => return Err("a backslash at the end".to_owned()),
        });
    }
    Ok(out)
}

/// The bytes as a script would write them after `>>` or `<<`.
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, want: bool) {
        let pattern = Pattern::parse(pattern, false).unwrap();
        assert_eq!(pattern.matches(text.as_bytes(), &mut Kept::new()), want, "{pattern:?} {text}");
    }

    #[test]
    fn text_without_places_matches_only_itself() {
        check("MSG foo 1 2", "MSG foo 1 2", true);
        check("MSG foo 1 2", "MSG foo 1 22", false);
        check("", "", true);
        check("", "x", false);
    }

    #[test]
    fn places_take_what_they_admit_and_no_more() {
        check("cid:{{number}} - x", "cid:17 - x", true);
        check("cid:{{number}} - x", "cid: - x", false);
        check("{{any}} last {{any}}", "one last last thing", true);
        check("{{word}} {{word}}", "one two three", false);
        check("at {{address}}", "at 127.0.0.1:4222", true);
        check("{{version}} {{time}}", "2.15.1-dev 2026-01-02T03:04:05.678Z", true);
        check("{{nkey}}", &"A".repeat(56), true);
        check("{{nkey}}", &"A".repeat(55), false);
    }

    #[test]
    fn a_kept_place_is_wanted_again() {
        check("{{id:word}} and {{=id}}", "x1 and x1", true);
        check("{{id:word}} and {{=id}}", "x1 and x2", false);
        check("{{=never}}", "x", false);
        check("{{n:number}} {{>n}}", "9 10", true);
        check("{{n:number}} {{>n}}", "9 9", false);
    }

    #[test]
    fn runs_are_generated() {
        let run = Pattern::parse("{{ab*3}}{{\\xff*2}}", false).unwrap();
        assert_eq!(run.bytes(&Kept::new()).unwrap(), b"ababab\xff\xff");
        assert_eq!(Pattern::parse("{{bytes*3}}", false).unwrap().bytes(&Kept::new()).unwrap(), [0, 1, 2]);
        assert!(Pattern::parse("{{x*999999999999}}", false).is_err());
    }

    #[test]
    fn what_may_differ_is_not_sent() {
        assert!(Pattern::parse("{{any}}", false).unwrap().bytes(&Kept::new()).is_err());
    }

    #[test]
    fn unreadable_places_are_named() {
        for text in ["{{", "{{nothing}}", "{{x*y}}"] {
            assert!(Pattern::parse(text, false).is_err(), "{text}");
        }
        for text in ["\\", "\\q", "\\x1", "\\xzz"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn escaped_bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&bytes)).unwrap(), bytes);
        }
    }
}
