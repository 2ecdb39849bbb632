//! Numbers and dates of the configuration language: from a token's text to a value.

use super::lex_value::is_digit;

/// What digits with a suffix turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Number {
    Value(i64),
    /// The letters behind the digits are no suffix. The reference then sets nothing.
    UnknownSuffix,
}

/// A whole number with its size suffix multiplied in. A product that does not fit wraps, as in the
/// reference; digits that do not fit are an error.
pub(super) fn integer(text: &[u8]) -> Result<Number, String> {
    let shown = String::from_utf8_lossy(text);
    let digits = shown.chars().take_while(|c| is_digit(*c) || *c == '-').map(char::len_utf8).sum::<usize>();
    let (digits, suffix) = shown.split_at_checked(digits).unwrap_or((&shown, ""));
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("expected integer, but got '{shown}'"));
    }
    let number: i64 = digits.parse().map_err(|_| format!("integer '{shown}' is out of the range"))?;
    Ok(match factor(&suffix.to_ascii_lowercase()) {
        Some(factor) => Number::Value(number.wrapping_mul(factor)),
        None => Number::UnknownSuffix,
    })
}

/// `k` counts in thousands; `kb`, `ki` and `kib` in 1024.
fn factor(suffix: &str) -> Option<i64> {
    let Some(letter) = suffix.chars().next() else { return Some(1) };
    let power = u32::try_from("kmgtpe".find(letter)?).ok()? + 1;
    match suffix.get(1..)? {
        "" => 1000_i64.checked_pow(power),
        "b" | "i" | "ib" => 1024_i64.checked_pow(power),
        _ => None,
    }
}

/// A number with a decimal point.
pub(super) fn float(text: &[u8]) -> Result<f64, String> {
    let shown = String::from_utf8_lossy(text);
    let number: f64 = shown.parse().map_err(|_| format!("expected float, but got '{shown}'"))?;
    if number.is_infinite() {
        return Err(format!("float '{shown}' is out of the range"));
    }
    Ok(number)
}

/// A date, given by shape, that exists.
pub(super) fn date(text: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(text);
    match exists(&shown) {
        Some(true) => Ok(shown.into_owned()),
        _ => Err(format!("expected Zulu formatted DateTime, but got '{shown}'")),
    }
}

/// `None` where a digit is not ASCII.
fn exists(date: &str) -> Option<bool> {
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<u32>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    Some((1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_integer(text: &str, want: Result<i64, &str>) {
        assert_eq!(integer(text.as_bytes()), want.map(Number::Value).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn k_is_1000_and_kb_ki_kib_are_1024_up_to_e() {
        for (power, letter) in (1..).zip("kmgtpe".chars()) {
            check_integer(&format!("1{letter}"), Ok(1000_i64.pow(power)));
            check_integer(&format!("-3{}", letter.to_ascii_uppercase()), Ok(-3 * 1000_i64.pow(power)));
            for tail in ["b", "i", "ib", "B", "I", "iB", "IB"] {
                check_integer(&format!("2{letter}{tail}"), Ok(2 * 1024_i64.pow(power)));
            }
        }
    }

    #[test]
    fn digits_out_of_range_are_an_error_and_products_wrap() {
        check_integer("9223372036854775807", Ok(i64::MAX));
        check_integer("-9223372036854775808", Ok(i64::MIN));
        check_integer("9223372036854775808", Err("integer '9223372036854775808' is out of the range"));
        check_integer("99999999999999999999k", Err("integer '99999999999999999999k' is out of the range"));
        check_integer("16eb", Ok(0));
        check_integer("9223372036854775807k", Ok(-1000));
    }

    #[test]
    fn digits_of_other_scripts_are_no_number() {
        check_integer("1\u{663}", Err("expected integer, but got '1\u{663}'"));
        assert_eq!(float("1.\u{663}".as_bytes()), Err("expected float, but got '1.\u{663}'".into()));
    }

    #[test]
    fn letters_that_are_no_suffix_set_nothing() {
        for text in ["1kbb", "1kibi", "1kii", "1kbi"] {
            assert_eq!(integer(text.as_bytes()), Ok(Number::UnknownSuffix), "{text}");
        }
    }

    #[test]
    fn floats_out_of_range_are_an_error() {
        assert_eq!(float(b"-1.50"), Ok(-1.5));
        let long = format!("{}.0", "9".repeat(400));
        assert_eq!(float(long.as_bytes()), Err(format!("float '{long}' is out of the range")));
    }

    #[test]
    fn dates_must_exist() {
        for good in
            ["2016-05-04T18:53:41Z", "2024-02-29T00:00:00Z", "2000-02-29T23:59:59Z", "0000-01-01T00:00:00Z"]
        {
            assert_eq!(date(good.as_bytes()), Ok(good.to_owned()));
        }
        for bad in [
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2016-13-01T00:00:00Z",
            "2016-00-01T00:00:00Z",
            "2016-04-31T00:00:00Z",
            "2016-01-00T00:00:00Z",
            "2016-01-01T24:00:00Z",
            "2016-01-01T00:60:00Z",
            "2016-01-01T00:00:60Z",
        ] {
            assert_eq!(
                date(bad.as_bytes()),
                Err(format!("expected Zulu formatted DateTime, but got '{bad}'"))
            );
        }
    }
}
