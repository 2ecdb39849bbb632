//! When this server's certificates end, and what the log is told ahead of it.
//!
//! Pure: certificates and the time in, lines out. Beyond the reference, which says nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::tls_setup::OwnCertificate;
use crate::server::base::clock::Timestamp;

/// Warnings come when no more than so many days are left, and when none is.
const WARN_DAYS: [u64; 5] = [1, 3, 7, 14, 30];

const DAY: u64 = 24 * 60 * 60;

/// What has been said of each certificate.
#[derive(Debug, Default)]
pub struct Expiry {
    said: HashMap<(PathBuf, i64), u64>,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// For information: a certificate that was not seen before.
    Seen(String),
    /// It ends soon.
    Soon(String),
    /// It has ended.
    Over(String),
}

impl Expiry {
    /// What is to be said now of these certificates; each thing once.
    pub fn look(&mut self, certificates: &[OwnCertificate], now: Timestamp) -> Vec<Said> {
        let now = Duration::from_nanos(now.nanos()).as_secs();
        certificates.iter().filter_map(|certificate| self.look_at(certificate, now)).collect()
    }

    fn look_at(&mut self, certificate: &OwnCertificate, now: u64) -> Option<Said> {
        let end = u64::try_from(certificate.not_after).unwrap_or(0);
        let left = end.saturating_sub(now);
        let stage = match left {
            0 => 0,
            left => WARN_DAYS.into_iter().find(|days| left <= days * DAY).unwrap_or(u64::MAX),
        };
        let key = (certificate.file.clone(), certificate.not_after);
        if self.said.insert(key, stage) == Some(stage) {
            return None;
        }
        let file = certificate.file.display();
        let date = jiff::Timestamp::from_second(certificate.not_after).map(|end| end.to_string());
        let date = date.unwrap_or_default();
        Some(match stage {
            0 => Said::Over(format!("Certificate {file} has expired on {date}")),
            u64::MAX => Said::Seen(format!("Certificate {file} expires on {date}, in {} days", left / DAY)),
            _ if left < DAY => Said::Soon(format!("Certificate {file} expires on {date}, within a day")),
            _ => Said::Soon(format!("Certificate {file} expires on {date}, in {} days", left / DAY)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_certificate_is_told_of_when_seen_and_ever_more_urgently_later() {
        let mut expiry = Expiry::default();
        let certificate =
            OwnCertificate { file: "a.pem".into(), not_after: 1_800_000_000, chain: Vec::new() };
        let mut at = |days_before: f64| {
            let span = Duration::from_secs_f64((1_800_000_000.0 - days_before * DAY as f64).max(0.0));
            expiry.look(std::slice::from_ref(&certificate), Timestamp::default() + span)
        };
        let date = "2027-01-15T08:00:00Z";
        let seen = format!("Certificate a.pem expires on {date}, in 40 days");
        assert_eq!(at(40.0), [Said::Seen(seen)]);
        assert_eq!(at(31.0), []);
        let soon = |days| Said::Soon(format!("Certificate a.pem expires on {date}, in {days} days"));
        assert_eq!((at(29.5), at(20.0)), (vec![soon(29)], vec![]));
        assert_eq!((at(14.0), at(7.0), at(3.0)), (vec![soon(14)], vec![soon(7)], vec![soon(3)]));
        let last = Said::Soon(format!("Certificate a.pem expires on {date}, within a day"));
        assert_eq!((at(0.5), at(0.2)), (vec![last], vec![]));
        let over = Said::Over(format!("Certificate a.pem has expired on {date}"));
        assert_eq!((at(0.0), at(-1.0)), (vec![over], vec![]));
    }
}
