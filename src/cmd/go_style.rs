//! The reference's flag syntax, which is Go's: one or two dashes, `-p 4222` or `-p=4222`, switches that
//! take a value only behind `=`, and everything after the first word that is no flag left alone.
//!
//! Pure: words in, values or the reference's complaint out. What flags there are is told by [`Known`].

use crate::server::base::quote::quote;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// `-D`, `-D=false`.
    Switch,
    /// A whole number: `-p 4222`, `-p -1`, `-p 0x107e`, `-p 4_222`.
    Number,
    /// Any text, the empty one included.
    Text,
}

/// A flag's value as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a [`FlagKind::Switch`].
    Switch(bool),
    /// Of a [`FlagKind::Number`].
    Number(i64),
    /// Of a [`FlagKind::Text`].
    Text(String),
}

impl Value {
    /// The switch's position; false for anything else.
    pub fn switch(&self) -> bool {
        matches!(self, Self::Switch(true))
    }

    /// The number; 0 for anything else.
    pub fn number(&self) -> i64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }

    /// The text; empty for anything else.
    pub fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }
}

/// Tells which flags there are.
pub trait Known {
    /// What the flag `name` (without dashes) takes; `None`: there is no such flag.
    fn kind(&self, name: &str) -> Option<FlagKind>;
}

/// A word that cannot be understood; the texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Dashes without a name.
    #[error("bad flag syntax: {0}")]
    Shape(String),
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// The words end where a value should stand.
    #[error("flag needs an argument: -{0}")]
    Missing(String),
    /// A switch's value is no boolean.
    #[error("invalid boolean value {} for -{name}: {reason}", quote(.value))]
    Switch {
        /// The flag without dashes.
        name: String,
        /// As given.
        value: String,
        /// Always a parse error.
        reason: ValueError,
    },
    /// A value is no number.
    #[error("invalid value {} for flag -{name}: {reason}", quote(.value))]
    Value {
        /// The flag without dashes.
        name: String,
        /// As given.
        value: String,
        /// What is wrong with it.
        reason: ValueError,
    },
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is no boolean, no number.
    #[error("parse error")]
    Parse,
    /// It is a number beyond 64 bits.
    #[error("value out of range")]
    Range,
}

/// The flags in their order, by the names they were given with, and the words behind them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// Name without dashes, and value.
    pub flags: Vec<(String, Value)>,
    /// From the first word that is no flag on.
    pub words: Vec<String>,
}

/// Reads `args`, which don't include the program's name.
pub fn parse(args: &[String], known: &impl Known) -> Result<Parsed, SyntaxError> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(word) = args.clone().next() {
        let Some(flag) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            break;
        };
        args.next();
        let flag = match flag.strip_prefix('-') {
            Some("") => break,
            Some(flag) => flag,
            None => flag,
        };
        if flag.is_empty() || flag.starts_with(['-', '=']) {
            return Err(SyntaxError::Shape(word.clone()));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let kind = known.kind(name).ok_or_else(|| SyntaxError::Unknown(name.to_owned()))?;
        let value = match (kind, value) {
            (FlagKind::Switch, None) => Value::Switch(true),
            (FlagKind::Switch, Some(value)) => switch(name, value)?,
            (_, Some(value)) => valued(kind, name, value)?,
            (_, None) => {
                let value = args.next().ok_or_else(|| SyntaxError::Missing(name.to_owned()))?;
                valued(kind, name, value)?
            }
        };
        parsed.flags.push((name.to_owned(), value));
    }
    parsed.words = args.cloned().collect();
    Ok(parsed)
}

fn switch(name: &str, value: &str) -> Result<Value, SyntaxError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Switch(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Switch(false)),
        _ => Err(SyntaxError::Switch { name: name.into(), value: value.into(), reason: ValueError::Parse }),
    }
}

fn valued(kind: FlagKind, name: &str, value: &str) -> Result<Value, SyntaxError> {
    if kind != FlagKind::Number {
        return Ok(Value::Text(value.to_owned()));
    }
    match number(value) {
        Ok(number) => Ok(Value::Number(number)),
        Err(reason) => Err(SyntaxError::Value { name: name.into(), value: value.into(), reason }),
    }
}

/// A number as Go reads it with base 0: sign, `0x`, `0o`, `0b` or `0` before digits, `_` between them.
fn number(text: &str) -> Result<i64, ValueError> {
    let (is_negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let prefixes = [("0x", 16), ("0o", 8), ("0b", 2)];
    let prefix =
        prefixes.iter().find_map(|(prefix, base)| lower.strip_prefix(prefix).map(|rest| (rest, *base)));
    let (rest, base, has_prefix) = match prefix {
        Some((rest, base)) => (rest, base, true),
        None if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..).unwrap_or_default(), 8, true),
        None => (lower.as_str(), 10, false),
    };
    let is_well_spaced =
        !rest.contains("__") && !rest.ends_with('_') && (has_prefix || !rest.starts_with('_'));
    let plain = rest.replace('_', "");
    if plain.is_empty() || !is_well_spaced || !plain.chars().all(|digit| digit.is_digit(base)) {
        return Err(ValueError::Parse);
    }
    let signed = if is_negative { format!("-{plain}") } else { plain };
    i64::from_str_radix(&signed, base).map_err(|_| ValueError::Range)
}

/// Any words are read or refused.
pub fn fuzz_go_style(data: &[u8]) {
    struct All;
    impl Known for All {
        fn kind(&self, name: &str) -> Option<FlagKind> {
            match name.len() % 4 {
                0 => Some(FlagKind::Switch),
                1 => Some(FlagKind::Number),
                2 => Some(FlagKind::Text),
                _ => None,
            }
        }
    }
    let args: Vec<String> =
        data.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into()).collect();
    match parse(&args, &All) {
        Ok(parsed) => debug_assert!(parsed.flags.len() + parsed.words.len() <= args.len()),
        Err(error) => debug_assert!(!error.to_string().is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Flags;

    impl Known for Flags {
        fn kind(&self, name: &str) -> Option<FlagKind> {
            match name {
                "D" | "debug" | "DV" => Some(FlagKind::Switch),
                "p" | "port" => Some(FlagKind::Number),
                "n" | "name" => Some(FlagKind::Text),
                _ => None,
            }
        }
    }

    fn words(line: &str) -> Vec<String> {
        line.split_terminator(' ').map(str::to_owned).collect()
    }

    /// Flags as `name=value`, then the words.
    #[track_caller]
    fn check(line: &str, want: &[&str], rest: &[&str]) {
        let parsed = parse(&words(line), &Flags).unwrap();
        let got: Vec<String> = parsed
            .flags
            .iter()
            .map(|(name, value)| match value {
                Value::Switch(on) => format!("{name}={on}"),
                Value::Number(number) => format!("{name}={number}"),
                Value::Text(text) => format!("{name}={text}"),
            })
            .collect();
        assert_eq!(got, want, "{line}");
        assert_eq!(parsed.words, rest, "{line}");
    }

    #[track_caller]
    fn check_refused(line: &str, want: &str) {
        assert_eq!(parse(&words(line), &Flags).unwrap_err().to_string(), want, "{line}");
    }

    #[test]
    fn one_dash_and_two_are_the_same() {
        check("-p 1 --p 2 -port 3 --port 4", &["p=1", "p=2", "port=3", "port=4"], &[]);
        check("-D --debug", &["D=true", "debug=true"], &[]);
    }

    #[test]
    fn a_value_may_stand_behind_an_equals_sign() {
        check("-p=1 --name=a=b -name=", &["p=1", "name=a=b", "name="], &[]);
        check("-D=false --debug=T -DV=0", &["D=false", "debug=true", "DV=false"], &[]);
    }

    #[test]
    fn a_value_flag_takes_the_next_word_whatever_it_is() {
        check("-name -D -p -1", &["name=-D", "p=-1"], &[]);
    }

    #[test]
    fn reading_stops_at_the_first_word_that_is_no_flag() {
        check("-D true -p 1", &["D=true"], &["true", "-p", "1"]);
        check("-D -- -p 1", &["D=true"], &["-p", "1"]);
        check("- -D", &[], &["-", "-D"]);
    }

    #[test]
    fn numbers_are_read_as_go_does() {
        for (text, want) in [
            ("0", Some(0)),
            ("+5", Some(5)),
            ("-1", Some(-1)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("017", Some(15)),
            ("0b101", Some(5)),
            ("1_000", Some(1000)),
            ("0x_1f", Some(31)),
            ("0_7", Some(7)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("08", None),
            ("0x", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1.5", None),
            ("", None),
            ("-", None),
            ("+-1", None),
        ] {
            assert_eq!(number(text), want.ok_or(ValueError::Parse), "{text}");
        }
        assert_eq!(number("9223372036854775808"), Err(ValueError::Range));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_references_words() {
        for (line, want) in [
            ("-x", "flag provided but not defined: -x"),
            ("--xyz=1", "flag provided but not defined: -xyz"),
            ("---D", "bad flag syntax: ---D"),
            ("-=x", "bad flag syntax: -=x"),
            ("--=x", "bad flag syntax: --=x"),
            ("-D -p", "flag needs an argument: -p"),
            ("-p abc", "invalid value \"abc\" for flag -p: parse error"),
            ("-p= -D", "invalid value \"\" for flag -p: parse error"),
            (
                "--port 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -port: value out of range",
            ),
            ("--debug=2", "invalid boolean value \"2\" for -debug: parse error"),
        ] {
            check_refused(line, want);
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(data: Vec<u8>, line in "(-{0,3}[a-z]{0,5}=?[0-9x_]{0,3}\0){0,5}") {
            fuzz_go_style(&data);
            fuzz_go_style(line.as_bytes());
        }
    }
}
