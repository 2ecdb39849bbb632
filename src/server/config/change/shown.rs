//! Values as the reference's log lines and refusals show them.
//!
//! Passwords and keys are the one deliberate difference: the reference writes them into its log,
//! here stands `[REDACTED]`. Where it prints a memory address, a name stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::super::options::{AuthCallout, StoreCipher, WriteTimeout};
use crate::server::base::duration::go_duration;
use crate::server::base::quote::quote;

/// How a value is written behind `old=` and `new=`.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown_as_displayed {
    ($($kind:ty),*) => {$(
        impl Shown for $kind {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

shown_as_displayed!(bool, i32, i64, u8, u16, u64, str, String);

impl<T: Shown + ?Sized> Shown for &T {
    fn shown(&self) -> String {
        (**self).shown()
    }
}

impl Shown for Option<String> {
    fn shown(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Shown for Option<PathBuf> {
    fn shown(&self) -> String {
        self.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        duration(*self)
    }
}

impl Shown for Option<Duration> {
    fn shown(&self) -> String {
        duration(self.unwrap_or_default())
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> String {
        format!("[{}]", self.iter().map(Shown::shown).collect::<Vec<_>>().join(" "))
    }
}

impl<T: Shown> Shown for BTreeMap<String, T> {
    fn shown(&self) -> String {
        let entries: Vec<_> = self.iter().map(|(key, value)| format!("{key}:{}", value.shown())).collect();
        format!("map[{}]", entries.join(" "))
    }
}

impl Shown for BTreeSet<String> {
    fn shown(&self) -> String {
        format!("map[{}]", self.iter().map(|key| format!("{key}:{{}}")).collect::<Vec<_>>().join(" "))
    }
}

impl Shown for WriteTimeout {
    fn shown(&self) -> String {
        match self {
            Self::Default => "",
            Self::Close => "close",
            Self::Retry => "retry",
        }
        .into()
    }
}

impl Shown for StoreCipher {
    fn shown(&self) -> String {
        match self {
            Self::Chacha => "ChaCha20-Poly1305",
            Self::Aes => "AES-GCM",
        }
        .into()
    }
}

impl Shown for Option<AuthCallout> {
    fn shown(&self) -> String {
        match self {
            None => "<nil>".into(),
            Some(callout) => {
                let fields: [&dyn Shown; 5] = [
                    &callout.issuer,
                    &callout.account,
                    &callout.auth_users,
                    &callout.xkey,
                    &callout.allowed_accounts,
                ];
                format!("&{}", fields_shown(&fields))
            }
        }
    }
}

/// Seconds with a fraction, as the reference keeps timeouts of handshakes and authentication.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seconds(pub(super) Duration);

impl Shown for Seconds {
    fn shown(&self) -> String {
        let seconds = self.0.as_secs_f64();
        if seconds != 0.0 && !(1e-4..1e21).contains(&seconds) {
            let text = format!("{seconds:e}");
            return match text.split_once("e-") {
                Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
                None => text.replacen('e', "e+", 1),
            };
        }
        seconds.to_string()
    }
}

/// A password or key: compared as it is, shown as being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret<'a>(pub(super) &'a Option<String>);

impl Shown for Secret<'_> {
    fn shown(&self) -> String {
        match self.0.as_deref() {
            None | Some("") => String::new(),
            Some(_) => "[REDACTED]".into(),
        }
    }
}

/// Something that the reference shows as the address where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Opaque<'a, T>(pub(super) &'a Option<T>);

impl<T> Shown for Opaque<'_, T> {
    fn shown(&self) -> String {
        match self.0 {
            None => "<nil>".into(),
            Some(_) => "<set>".into(),
        }
    }
}

/// A block, field by field in the reference's order.
pub(super) fn fields_shown(fields: &[&dyn Shown]) -> String {
    format!("{{{}}}", fields.iter().map(|field| field.shown()).collect::<Vec<_>>().join(" "))
}

/// A list of texts, each in quotes.
pub(super) fn quoted_list<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(quote).collect();
    format!("[{}]", quoted.join(" "))
}

/// `1h0m0s`, `1.5s`, `20ms`, `0s`.
fn duration(value: Duration) -> String {
    go_duration(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_shown_as_plain_numbers() {
        for (nanos, want) in
            [(0, "0"), (2_000_000_000, "2"), (500_000_000, "0.5"), (60_000_000_000, "60"), (10_000, "1e-05")]
        {
            assert_eq!(Seconds(Duration::from_nanos(nanos)).shown(), want);
        }
    }
}
