//! A set of subject patterns, some of them for queue groups only: which of them cover a subject.
//!
//! Compiled once, asked often: a trie in one block of memory, a step a token. Wildcards of the subject
//! asked about are plain words, as everywhere where subjects are matched: `foo.*` covers `foo.>`.

use super::subject::{collide, has_wildcard, is_subset};

/// The separator of tokens.
const SEPARATOR: u8 = b'.';

/// One pattern, and the queue group that it is for; `None`: for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetEntry {
    /// The pattern.
    pub subject: Box<[u8]>,
    /// A queue group, or a pattern of them.
    pub queue: Option<Box<[u8]>>,
}

impl SetEntry {
    /// Reads `subject` or `subject queue`, as permissions write them.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (subject, queue) = (words.next()?, words.next());
        let entry =
            Self { subject: subject.as_bytes().into(), queue: queue.map(|queue| queue.as_bytes().into()) };
        words.next().is_none().then_some(entry)
    }
}

/// What covers a subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covered {
    /// An entry for everybody.
    pub plain: bool,
    /// Entries for queue groups cover the subject: whether one of them is for the group asked about.
    pub queue: Option<bool>,
}

/// What ends at one place of the trie.
#[derive(Debug, Default)]
struct Ends {
    plain: bool,
    queues: Vec<Box<[u8]>>,
}

impl Ends {
    fn add(&mut self, queue: Option<&[u8]>) {
        match queue {
            None => self.plain = true,
            Some(queue) => self.queues.push(queue.into()),
        }
    }
}

#[derive(Debug, Default)]
struct Node {
    /// Next tokens in order, with the places of their nodes.
    words: Vec<(Box<[u8]>, u32)>,
    /// Where `*` leads.
    star: Option<u32>,
    /// Patterns that end here.
    here: Ends,
    /// Patterns that end with `>` here.
    tail: Ends,
}

/// A compiled set of patterns.
#[derive(Debug)]
pub struct SubjectSet {
    nodes: Vec<Node>,
    entries: Vec<SetEntry>,
}

impl SubjectSet {
    /// Compiles `entries`, whose subjects are valid patterns.
    pub fn new(entries: Vec<SetEntry>) -> Self {
        let mut set = Self { nodes: vec![Node::default()], entries: Vec::new() };
        for entry in &entries {
            set.insert(&entry.subject, entry.queue.as_deref());
        }
        set.entries = entries;
        set
    }

    /// The patterns as they were given.
    pub fn entries(&self) -> &[SetEntry] {
        &self.entries
    }

    /// Whether an entry for everybody covers `subject`.
    pub fn covers(&self, subject: &[u8]) -> bool {
        let mut covered = false;
        self.walk(subject, &mut |ends| {
            covered |= ends.plain;
            covered
        });
        covered
    }

    /// What covers `subject`, for who subscribes to it in the group `queue`.
    pub fn look_up(&self, subject: &[u8], queue: Option<&[u8]>) -> Covered {
        let mut covered = Covered::default();
        self.walk(subject, &mut |ends| {
            covered.plain |= ends.plain;
            if !ends.queues.is_empty() {
                let is_member = queue.is_some_and(|queue| ends.queues.iter().any(|of| is_in(queue, of)));
                covered.queue = Some(covered.queue.unwrap_or(false) || is_member);
            }
            false
        });
        covered
    }

    /// Whether a pattern has a subject in common with `subject`.
    pub fn overlaps(&self, subject: &[u8]) -> bool {
        self.entries.iter().any(|entry| collide(&entry.subject, subject))
    }

    fn insert(&mut self, pattern: &[u8], queue: Option<&[u8]>) {
        let mut at = 0;
        let mut rest = Some(pattern);
        while let Some((token, next)) = rest.map(split_token) {
            if token == b">" && next.is_none() {
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    node.tail.add(queue);
                }
                return;
            }
            at = self.step(at, token);
            rest = next;
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.here.add(queue);
        }
    }

    /// The node behind `token`, made where there is none.
    fn step(&mut self, at: u32, token: &[u8]) -> u32 {
        let fresh = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let Some(node) = self.nodes.get_mut(at as usize) else { return at };
        let next = match token {
            b"*" => *node.star.get_or_insert(fresh),
            _ => match node.words.binary_search_by(|(word, _)| (**word).cmp(token)) {
                Ok(found) => node.words.get(found).map_or(fresh, |(_, next)| *next),
                Err(place) => {
                    node.words.insert(place, (token.into(), fresh));
                    fresh
                }
            },
        };
        if next == fresh {
            self.nodes.push(Node::default());
        }
        next
    }

    /// Shows `visit` what covers `subject`, until it has seen enough. Each node is looked at once at
    /// most, however many wildcards there are.
    fn walk(&self, subject: &[u8], visit: &mut impl FnMut(&Ends) -> bool) {
        if has_empty_token(subject) {
            return;
        }
        let mut later: Vec<(u32, Option<&[u8]>)> = Vec::new();
        let mut now = Some((0, Some(subject)));
        while let Some((at, rest)) = now.take().or_else(|| later.pop()) {
            let Some(node) = self.nodes.get(at as usize) else { return };
            let Some(rest) = rest else {
                if visit(&node.here) {
                    return;
                }
                continue;
            };
            if visit(&node.tail) {
                return;
            }
            let (token, next) = split_token(rest);
            if let Ok(found) = node.words.binary_search_by(|(word, _)| (**word).cmp(token)) {
                now = node.words.get(found).map(|(_, word)| (*word, next));
            }
            match (node.star, &now) {
                (Some(star), None) => now = Some((star, next)),
                (Some(star), Some(_)) => later.push((star, next)),
                (None, _) => {}
            }
        }
    }
}

/// The first token, and what stands behind its separator.
fn split_token(subject: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(SEPARATOR, subject) {
        None => (subject, None),
        Some(at) => (subject.get(..at).unwrap_or_default(), subject.get(at + 1..)),
    }
}

fn has_empty_token(subject: &[u8]) -> bool {
    let mut before = SEPARATOR;
    for &byte in subject {
        if byte == SEPARATOR && before == SEPARATOR {
            return true;
        }
        before = byte;
    }
    before == SEPARATOR
}

/// Whether the group `queue` is meant by `of`: by its name, which may look like a pattern, or by a pattern.
fn is_in(queue: &[u8], of: &[u8]) -> bool {
    queue == of || (has_wildcard(of) && is_subset(queue, of))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::server::protocol::subject::matches;

    fn set(entries: &[&str]) -> SubjectSet {
        SubjectSet::new(entries.iter().filter_map(|entry| SetEntry::parse(entry)).collect())
    }

    #[test]
    fn literals_and_wildcards_cover_as_subjects_match() {
        let set = set(&["a.b", "c.*", "d.>", "e.*.f"]);
        for (subject, want) in [
            ("a.b", true),
            ("a", false),
            ("a.b.c", false),
            ("c.x", true),
            ("c", false),
            ("c.x.y", false),
            ("d.x.y", true),
            ("d", false),
            ("e.x.f", true),
            ("e.x.g", false),
            ("c.>", true),
            ("d..x", false),
            ("", false),
        ] {
            assert_eq!(set.covers(subject.as_bytes()), want, "{subject}");
        }
    }

    #[test]
    fn entries_for_groups_cover_members_only() {
        let set = set(&["foo", "foo v1", "bar v1", "baz v2.*", "wild *"]);
        for (subject, queue, plain, member) in [
            ("foo", None, true, Some(false)),
            ("foo", Some("v1"), true, Some(true)),
            ("foo", Some("v2"), true, Some(false)),
            ("bar", None, false, Some(false)),
            ("bar", Some("v1"), false, Some(true)),
            ("baz", Some("v2.a"), false, Some(true)),
            ("baz", Some("v2.*"), false, Some(true)),
            ("baz", Some("v2"), false, Some(false)),
            ("wild", Some("any"), false, Some(true)),
            ("other", Some("v1"), false, None),
        ] {
            let got = set.look_up(subject.as_bytes(), queue.map(str::as_bytes));
            assert_eq!(got, Covered { plain, queue: member }, "{subject} {queue:?}");
        }
    }

    #[test]
    fn overlap_is_a_subject_in_common() {
        let set = set(&["a.secret"]);
        assert!(set.overlaps(b"a.*") && set.overlaps(b">") && !set.overlaps(b"b.*"));
    }

    fn token() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "*", "ab"])
    }

    fn pattern() -> impl Strategy<Value = String> {
        (prop::collection::vec(token(), 0..4), any::<bool>()).prop_map(|(mut tokens, full)| {
            if full || tokens.is_empty() {
                tokens.push(">");
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn set_covers_what_one_of_its_patterns_matches(
            patterns in prop::collection::vec(pattern(), 0..6),
            subject in prop::collection::vec(token(), 1..5),
        ) {
            let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let subject = subject.join(".");
            let want = texts.iter().any(|pattern| matches(subject.as_bytes(), pattern.as_bytes()));
            prop_assert_eq!(set(&texts).covers(subject.as_bytes()), want);
        }

        #[test]
        fn any_bytes_are_covered_or_not(subject: Vec<u8>, entry in ".{0,20}") {
            let set = SubjectSet::new(SetEntry::parse(&entry).into_iter().collect());
            let _ = (set.covers(&subject), set.look_up(&subject, Some(&subject)), set.overlaps(&subject));
        }
    }
}
