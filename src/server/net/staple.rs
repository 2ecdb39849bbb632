//! Stapling: which certificates of this server carry a responder's answer, and when to ask for the next.
//!
//! Pure: options, certificates, answers and the time in; decisions and texts out.

use std::time::Duration;

use super::ocsp::{Answer, Status};
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{Ocsp, OcspMode};

/// Time to the next question where the responder does not say until when its answer holds.
const LOOK_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);
/// Time to the next question where the answer has run out.
const LOOK_AFTER_END: Duration = Duration::from_secs(2 * 60);

/// What becomes of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is stapled.
    Bare,
    /// Nothing is stapled, although the certificate demands it.
    BareAgainstItsWish,
    /// An answer is stapled.
    Staple {
        /// The server stops when the certificate is not good.
        stops: bool,
    },
}

/// What `ocsp` says of a certificate.
pub fn plan(ocsp: Option<&Ocsp>, must_staple: bool) -> Plan {
    match (ocsp.map(|ocsp| ocsp.mode), must_staple) {
        (Some(OcspMode::Never), true) => Plan::BareAgainstItsWish,
        (Some(OcspMode::Always), _) => Plan::Staple { stops: true },
        (Some(OcspMode::Must), true) => Plan::Staple { stops: true },
        (None | Some(OcspMode::Auto), true) => Plan::Staple { stops: false },
        (_, false) => Plan::Bare,
    }
}

/// Whether an answer holds now; the refusal is the reference's.
pub fn check_time(answer: &Answer, now: Timestamp) -> Result<(), String> {
    let now = seconds(now);
    if let Some(next) = answer.next_update.filter(|next| *next < now) {
        return Err(format!("invalid ocsp NextUpdate, is past time: {}", date(Some(next))));
    }
    if answer.this_update > now {
        let date = date(Some(answer.this_update));
        return Err(format!("invalid ocsp ThisUpdate, is future time: {date}"));
    }
    Ok(())
}

/// Time to the next question: half of what the answer still holds.
pub fn next_look(answer: Option<&Answer>, now: Timestamp) -> Duration {
    let Some(answer) = answer else { return LOOK_AFTER_END };
    let Some(next) = answer.next_update else { return LOOK_DEFAULT };
    let end = Duration::from_secs(u64::try_from(next).unwrap_or(0));
    match end.checked_sub(Duration::from_nanos(now.nanos())) {
        Some(left) => left / 2,
        None => LOOK_AFTER_END,
    }
}

/// A time as the reference's log shows it; without one its zero time.
pub fn date(at: Option<i64>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(|| "0001-01-01T00:00:00Z".into(), |at| at.to_string())
}

/// Whether an answer ends a server that stops for it.
pub fn ends(answer: &Answer, stops: bool) -> bool {
    stops && answer.status != Status::Good
}

fn seconds(now: Timestamp) -> i64 {
    i64::try_from(Duration::from_nanos(now.nanos()).as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_certificate_decide_together() {
        let with = |mode| Ocsp { mode, urls: Vec::new() };
        let staple = |stops| Plan::Staple { stops };
        for (mode, plain, must) in [
            (None, Plan::Bare, staple(false)),
            (Some(OcspMode::Auto), Plan::Bare, staple(false)),
            (Some(OcspMode::Always), staple(true), staple(true)),
            (Some(OcspMode::Must), Plan::Bare, staple(true)),
            (Some(OcspMode::Never), Plan::Bare, Plan::BareAgainstItsWish),
        ] {
            let ocsp = mode.map(with);
            assert_eq!((plan(ocsp.as_ref(), false), plan(ocsp.as_ref(), true)), (plain, must), "{mode:?}");
        }
    }

    fn answer(this_update: i64, next_update: Option<i64>) -> Answer {
        Answer { status: Status::Good, this_update, next_update, signer_may_sign: true }
    }

    #[test]
    fn answers_hold_between_their_times() {
        let now = Timestamp::default() + Duration::from_secs(1000);
        assert_eq!(check_time(&answer(900, Some(1100)), now), Ok(()));
        assert_eq!(check_time(&answer(900, None), now), Ok(()));
        let past = "invalid ocsp NextUpdate, is past time: 1970-01-01T00:16:39Z";
        assert_eq!(check_time(&answer(900, Some(999)), now), Err(past.to_owned()));
        let future = "invalid ocsp ThisUpdate, is future time: 1970-01-01T00:16:41Z";
        assert_eq!(check_time(&answer(1001, None), now), Err(future.to_owned()));
    }

    #[test]
    fn next_question_comes_after_half_of_what_is_left() {
        let now = Timestamp::default() + Duration::from_secs(1000);
        let next = |answer: Option<&Answer>| next_look(answer, now).as_secs();
        assert_eq!(next(Some(&answer(900, Some(1100)))), 50);
        assert_eq!(next(Some(&answer(900, None))), 86_400);
        assert_eq!(next(Some(&answer(900, Some(900)))), 120);
        assert_eq!(next(None), 120);
    }
}
