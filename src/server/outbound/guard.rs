//! What one receiver may not get, and whom it may answer: permissions that are looked at where messages are
//! delivered.
//!
//! Receivers without a guard cost nothing: a bit of [`super::Standing`] says whether there is one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::queue::Outbound;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::subject_rules::SubjectRules;

/// Replies that one receiver may still answer. Who does not answer forgets the oldest. Reference: no bound
/// but their time.
const ANSWERS_MAX: usize = 1 << 17;

/// Notes of replies that were answered or noted anew, kept until their time comes, beside as many as
/// still count.
const STALE_NOTES_MAX: usize = 4096;

/// What a receiver's permissions say about what it is sent.
#[derive(Debug, Default)]
pub(super) struct Guard {
    /// Rules by which single messages are kept from it.
    filter: Option<Arc<SubjectRules>>,
    answers: Option<Answers>,
}

/// The replies that a receiver may publish to because requests with them have reached it.
#[derive(Debug)]
pub struct Answers {
    rule: AnswerRule,
    /// What it may publish to anyway.
    publish: Arc<SubjectRules>,
    replies: HashMap<Arc<[u8]>, Answer, foldhash::fast::RandomState>,
    /// Oldest first; stale where `replies` knows another time or none.
    notes: VecDeque<(Arc<[u8]>, Timestamp)>,
}

/// How often and how long one request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerRule {
    /// Answers to one request; `None`: any number.
    pub count_max: Option<u64>,
    /// Time to answer; `None`: no limit.
    pub age_max: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    noted: Timestamp,
    count: u64,
}

impl Answers {
    /// Nothing to answer yet. `publish` is what the receiver may publish to in any case.
    pub fn new(rule: AnswerRule, publish: Arc<SubjectRules>) -> Self {
        Self { rule, publish, replies: HashMap::default(), notes: VecDeque::new() }
    }

    /// A request with this reply subject is delivered.
    fn note(&mut self, reply: &[u8], now: Timestamp) {
        if self.publish.allow_publish(reply) {
            return;
        }
        self.forget(now);
        let reply: Arc<[u8]> = reply.into();
        self.replies.insert(Arc::clone(&reply), Answer { noted: now, count: 0 });
        self.notes.push_back((reply, now));
    }

    /// Whether the receiver may publish to `subject` as an answer; counts as one.
    fn take(&mut self, subject: &[u8], now: Timestamp) -> bool {
        let Some(answer) = self.replies.get_mut(subject) else { return false };
        let is_late = self.rule.age_max.is_some_and(|max| now.since(answer.noted) > max);
        answer.count += 1;
        let is_last = self.rule.count_max.is_some_and(|max| answer.count >= max);
        if is_late || is_last {
            self.replies.remove(subject);
        }
        !is_late
    }

    /// Forgets what is too old, and the oldest where there is too much.
    fn forget(&mut self, now: Timestamp) {
        while let Some((reply, noted)) = self.notes.front() {
            let is_old = self.rule.age_max.is_some_and(|max| now.since(*noted) > max);
            if !is_old && self.replies.len() < ANSWERS_MAX {
                break;
            }
            if self.replies.get(reply).is_some_and(|answer| answer.noted == *noted) {
                self.replies.remove(reply);
            }
            self.notes.pop_front();
        }
        if self.notes.len() > self.replies.len() * 2 + STALE_NOTES_MAX {
            let Self { replies, notes, .. } = self;
            notes.retain(|(reply, noted)| replies.get(reply).is_some_and(|answer| answer.noted == *noted));
        }
    }
}

impl Outbound {
    /// Puts other permissions in force, all at once: what `filter` denies is kept from the receiver, and it may
    /// answer by `answers`, if it needs that.
    pub fn set_guard(&self, filter: Option<&Arc<SubjectRules>>, answers: Option<Answers>) {
        let mut guard = self.guard.lock();
        let is_guarded = filter.is_some() || answers.is_some();
        *guard = is_guarded.then(|| Box::new(Guard { filter: filter.cloned(), answers }));
        self.set_guarded(is_guarded);
    }

    /// Keeps from the receiver what `filter` denies. Called before a subscription exists that needs it.
    pub fn filter_deliveries(&self, filter: &Arc<SubjectRules>) {
        let mut guard = self.guard.lock();
        guard.get_or_insert_default().filter = Some(Arc::clone(filter));
        self.set_guarded(true);
    }

    /// Whether a message on `subject` is kept from this receiver's subscription in the group `queue`.
    pub fn keeps_out(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let filter = self.guard.lock().as_ref().and_then(|guard| guard.filter.clone());
        filter.is_some_and(|filter| filter.deny_delivery(subject, queue))
    }

    /// A message with this reply subject is delivered: the receiver may answer it.
    pub fn note_reply(&self, reply: &[u8], now: Timestamp) {
        if reply.is_empty() {
            return;
        }
        if let Some(answers) = self.guard.lock().as_mut().and_then(|guard| guard.answers.as_mut()) {
            answers.note(reply, now);
        }
    }

    /// Whether the receiver may publish to `subject` as an answer to a request; counts as one.
    pub fn may_answer(&self, subject: &[u8], now: Timestamp) -> bool {
        self.guard
            .lock()
            .as_mut()
            .and_then(|guard| guard.answers.as_mut())
            .is_some_and(|answers| answers.take(subject, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::protocol::subject_set::SetEntry;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(0) + SECOND * u32::try_from(seconds).unwrap()
    }

    /// Answers of a receiver that may publish to `open.>` anyway.
    fn answers(count_max: Option<u64>, age_max: Option<Duration>) -> Answers {
        let open = SetEntry::parse("open.>").into_iter().collect();
        let publish = Arc::new(SubjectRules::new(Some(open), Vec::new()));
        Answers::new(AnswerRule { count_max, age_max }, publish)
    }

    #[test]
    fn request_may_be_answered_so_often_and_so_long() {
        let mut answers = answers(Some(2), Some(SECOND * 10));
        answers.note(b"r", at(0));
        answers.note(b"late", at(0));
        let taken: Vec<_> = (1..=3).map(|second| answers.take(b"r", at(second))).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(!answers.take(b"late", at(11)) && !answers.take(b"other", at(1)));
        answers.note(b"r", at(20));
        assert!(answers.take(b"r", at(30)));
    }

    #[test]
    fn without_limits_answers_have_no_end() {
        let mut answers = answers(None, None);
        answers.note(b"r", at(0));
        assert!((0..1000).all(|second| answers.take(b"r", at(second))));
    }

    #[test]
    fn replies_that_may_be_published_to_anyway_are_not_noted() {
        let mut answers = answers(None, None);
        answers.note(b"open.r", at(0));
        assert!(answers.replies.is_empty());
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut answers = answers(Some(1), Some(SECOND));
        for second in 0..100 {
            answers.note(format!("r{second}").as_bytes(), at(second));
        }
        assert_eq!((answers.replies.len(), answers.notes.len()), (2, 2));
    }

    #[test]
    fn the_oldest_are_forgotten_where_there_are_too_many() {
        let mut answers = answers(None, None);
        for reply in 0..=ANSWERS_MAX {
            answers.note(&reply.to_be_bytes(), at(0));
        }
        assert_eq!(answers.replies.len(), ANSWERS_MAX);
        assert!(!answers.take(&0_usize.to_be_bytes(), at(0)));
        assert!(answers.take(&1_usize.to_be_bytes(), at(0)));
    }

    #[test]
    fn answered_requests_leave_no_notes_behind() {
        let mut answers = answers(Some(1), None);
        for reply in 0..STALE_NOTES_MAX * 3 {
            let reply = reply.to_be_bytes();
            answers.note(&reply, at(0));
            assert!(answers.take(&reply, at(0)));
        }
        assert!(answers.notes.len() <= STALE_NOTES_MAX + 2, "{}", answers.notes.len());
    }

    #[test]
    fn other_permissions_come_all_at_once() {
        let outbound = Outbound::detached(1);
        let rules =
            |denied: &str| Arc::new(SubjectRules::new(None, SetEntry::parse(denied).into_iter().collect()));
        outbound.set_guard(Some(&rules("a")), Some(answers(None, None)));
        outbound.note_reply(b"r", at(0));
        assert!(outbound.keeps_out(b"a", None) && outbound.may_answer(b"r", at(0)));
        outbound.set_guard(Some(&rules("b")), None);
        assert!(!outbound.keeps_out(b"a", None) && outbound.keeps_out(b"b", None));
        assert!(!outbound.may_answer(b"r", at(0)));
    }

    #[test]
    fn a_guard_is_seen_from_outside() {
        let outbound = Outbound::detached(1);
        assert!(!outbound.standing().is_guarded() && !outbound.keeps_out(b"secret", None));
        let rules = SubjectRules::new(None, SetEntry::parse("secret").into_iter().collect());
        outbound.filter_deliveries(&Arc::new(rules));
        assert!(outbound.standing().is_guarded() && outbound.keeps_out(b"secret", None));
        outbound.set_guard(None, None);
        assert!(!outbound.standing().is_guarded());
    }
}
