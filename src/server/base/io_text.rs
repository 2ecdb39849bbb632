//! The operating system's errors in the reference's words.

use std::io;

/// `error` as the reference prints it: the system's text with a small first letter and no number
/// (`no such file or directory`).
pub fn io_text(error: &io::Error) -> String {
    // A path with a NUL byte does not even get to the system.
    if error.kind() == io::ErrorKind::InvalidInput {
        return "invalid argument".to_owned();
    }
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else {
        return text;
    };
    let text = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_ascii_uppercase() && second.is_ascii_lowercase() => {
            format!("{}{}", first.to_ascii_lowercase(), letters.as_str())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_read_as_in_the_reference() {
        for (code, want) in [
            (1, "operation not permitted"),
            (2, "no such file or directory"),
            (3, "no such process"),
            (13, "permission denied"),
            (21, "is a directory"),
            (22, "invalid argument"),
            (98, "address already in use"),
            (111, "connection refused"),
        ] {
            assert_eq!(io_text(&io::Error::from_raw_os_error(code)), want);
        }
        assert_eq!(io_text(&io::Error::other("Odd")), "Odd");
        assert_eq!(io_text(&io::ErrorKind::InvalidInput.into()), "invalid argument");
    }
}
