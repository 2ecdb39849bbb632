//! Versions of servers: `2.15.1`, with or without what may follow.

/// Reads a version; the reference's refusal otherwise.
pub(super) fn parse(text: &str) -> Result<(u32, u32, u32), &'static str> {
    read(text).ok_or("invalid semver")
}

fn read(text: &str) -> Option<(u32, u32, u32)> {
    let (text, build) = split(text, '+');
    let (text, release) = split(text, '-');
    let words_fine = |words: Option<&str>, numbers: bool| {
        words.is_none_or(|words| words.split('.').all(|word| is_word(word) && (!numbers || !is_padded(word))))
    };
    if !words_fine(build, false) || !words_fine(release, true) {
        return None;
    }
    let mut parts = text.split('.');
    let mut number = || {
        let part = parts.next()?;
        let fine = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && !is_padded(part);
        fine.then(|| part.parse().unwrap_or(u32::MAX))
    };
    let version = (number()?, number()?, number()?);
    parts.next().is_none().then_some(version)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(text, rest)| (text, Some(rest)))
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A number with leading zeros.
fn is_padded(word: &str) -> bool {
    word.len() > 1 && word.starts_with('0') && word.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers_and_may_go_on() {
        for (text, want) in [
            ("2.8.0", Some((2, 8, 0))),
            ("2.15.0-dev", Some((2, 15, 0))),
            ("1.2.3-a.b+c.01", Some((1, 2, 3))),
            ("2.8", None),
            ("2.8.0.1", None),
            ("2.08.0", None),
            ("v2.8.0", None),
            ("2.8.0-01", None),
            ("2.8.0-", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), want, "{text}");
        }
    }
}
