//! An imported stream: which subjects of an importing account stand for which of the exporting one.

use std::borrow::Cow;
use std::sync::Arc;

use super::shared::SharedInterest;
use crate::server::protocol::subject::{ANY, REST, has_wildcard, is_subset, tokens};
use crate::server::protocol::transform::{Transform, TransformError, Use, with_references, with_wildcards};

/// One import. Messages on subjects that `from` covers are seen under what `to` makes of them.
#[derive(Debug)]
pub struct StreamImport {
    exporter: Arc<SharedInterest>,
    exporter_name: Arc<str>,
    from: Box<[u8]>,
    to: Box<[u8]>,
    rename: Rename,
    allows_trace: bool,
}

/// How a subject of the exporter is seen by the importer.
#[derive(Debug)]
enum Rename {
    /// As it is.
    Same,
    /// Under this one; the exporter's has no wildcards.
    Literal,
    /// Transformed; the second one leads back.
    Transform(Transform, Option<Transform>),
}

impl StreamImport {
    /// The import of `from`, seen as `to`, which may refer to the wildcards of `from` by `$1`.
    ///
    /// # Errors
    /// `to` does not fit `from`; the reader of the configuration has refused it before.
    pub fn new(
        exporter: Arc<SharedInterest>,
        exporter_name: Arc<str>,
        from: &[u8],
        to: &[u8],
        allows_trace: bool,
    ) -> Result<Self, TransformError> {
        let rename = if !has_wildcard(from) {
            if from == to { Rename::Same } else { Rename::Literal }
        } else if from == to {
            Rename::Same
        } else {
            let transform = Transform::new(from, &with_references(to), Use::Import)?
                .ok_or(TransformError::InvalidSubject)?;
            let back = transform.reverse();
            Rename::Transform(transform, back)
        };
        let to = if has_wildcard(from) { with_wildcards(to) } else { to.to_vec() }.into_boxed_slice();
        Ok(Self { exporter, exporter_name, from: from.into(), to, rename, allows_trace })
    }

    /// Whether both bring the same messages, for subscriptions that outlive a reload.
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exporter, &other.exporter)
            && self.from == other.from
            && self.to == other.to
            && self.allows_trace == other.allows_trace
    }

    pub(super) fn exporter(&self) -> &Arc<SharedInterest> {
        &self.exporter
    }

    /// The exporting account.
    pub fn exporter_name(&self) -> &str {
        &self.exporter_name
    }

    /// Traces of messages go on beyond the import.
    pub fn allows_trace(&self) -> bool {
        self.allows_trace
    }

    /// What a message on `subject` of the exporter is called here.
    pub fn rename<'s>(&'s self, subject: &'s [u8]) -> Cow<'s, [u8]> {
        match &self.rename {
            Rename::Same => Cow::Borrowed(subject),
            Rename::Literal => Cow::Borrowed(&self.to),
            Rename::Transform(transform, _) => Cow::Owned(apply(transform, subject)),
        }
    }

    /// What has to be subscribed to at the exporter for a subscription to `pattern` here; `None` where
    /// the import brings nothing that it covers.
    pub fn wanted(&self, pattern: &[u8]) -> Option<Vec<u8>> {
        let narrowed = if pattern == &*self.to || is_subset(&self.to, pattern) && has_wildcard(pattern) {
            return Some(self.from.to_vec());
        } else if is_subset(pattern, &self.to) {
            Cow::Borrowed(pattern)
        } else {
            Cow::Owned(intersect(pattern, &self.to)?)
        };
        match &self.rename {
            Rename::Same => Some(narrowed.into_owned()),
            Rename::Literal => Some(self.from.to_vec()),
            Rename::Transform(_, back) => back.as_ref().map(|back| apply(back, &narrowed)),
        }
    }
}

fn apply(transform: &Transform, subject: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(transform.destination().len() + subject.len());
    // Imports use no chance.
    transform.apply(subject, &mut |_| 0, &mut out);
    out
}

/// The subjects that both patterns cover, as one pattern, where neither covers the other: token by
/// token the narrower one. `None` where they share none.
fn intersect(pattern: &[u8], import: &[u8]) -> Option<Vec<u8>> {
    if !has_wildcard(pattern) {
        return None;
    }
    let imported: Vec<_> = tokens(import).collect();
    let mut narrowed: Vec<_> = tokens(pattern).collect();
    for (token, other) in narrowed.iter_mut().zip(&imported) {
        if *token == ANY && *other != REST {
            *token = other;
        }
    }
    let last = narrowed.len().checked_sub(1)?;
    if narrowed.last() == Some(&REST) && imported.len() >= narrowed.len() {
        narrowed.truncate(last);
        narrowed.extend(imported.get(last..)?);
    }
    let narrowed = narrowed.join(&b'.');
    is_subset(&narrowed, import).then_some(narrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(from: &str, to: &str) -> StreamImport {
        let exporter = Arc::new(SharedInterest::new());
        StreamImport::new(exporter, "A".into(), from.as_bytes(), to.as_bytes(), false).unwrap()
    }

    #[track_caller]
    fn wanted(from: &str, to: &str, pattern: &str, want: Option<&str>) {
        let got = import(from, to).wanted(pattern.as_bytes());
        let got = got.map(|subject| String::from_utf8(subject).unwrap());
        assert_eq!(got.as_deref(), want, "{from} as {to}: {pattern}");
    }

    #[test]
    fn subscription_that_is_or_covers_the_import_wants_all_of_it() {
        wanted("news.>", "a.news.>", "a.news.>", Some("news.>"));
        wanted("news.>", "a.news.>", "a.>", Some("news.>"));
        wanted("news.>", "a.news.>", ">", Some("news.>"));
        wanted("news", "a", "*", Some("news"));
        wanted("news.*.x", "news.*.x", "news.>", Some("news.*.x"));
    }

    #[test]
    fn narrower_subscription_wants_as_much_as_it_covers() {
        wanted("news.>", "a.news.>", "a.news.eu", Some("news.eu"));
        wanted("news.>", "a.news.>", "a.news.*.x", Some("news.*.x"));
        wanted("news.*.*", "n.$2.$1", "n.b.a", Some("news.a.b"));
        wanted("news.>", "news.>", "news.eu.>", Some("news.eu.>"));
        wanted("news", "a", "a", Some("news"));
    }

    #[test]
    fn overlapping_subscription_is_intersected_token_by_token() {
        wanted("news.*.x", "news.*.x", "*.eu.>", Some("news.eu.x"));
        wanted("news.*.x", "n.$1.x", "*.eu.*", Some("news.eu.x"));
        wanted("news.>", "n.>", "*.eu", Some("news.eu"));
        wanted("news.>", "n.>", "*.*", Some("news.*"));
        wanted("a.*.c.>", "a.*.c.>", "*.b.>", Some("a.b.c.>"));
    }

    #[test]
    fn subscription_beside_the_import_wants_nothing() {
        wanted("news.>", "a.news.>", "news.eu", None);
        wanted("news.*", "n.*", "n.a.b", None);
        wanted("news.*", "n.*", "*.a.b", None);
        wanted("news", "a", "b", None);
    }

    #[test]
    fn messages_are_seen_under_the_importers_subject() {
        for (from, to, subject, want) in [
            ("news.>", "a.news.>", "news.eu.x", "a.news.eu.x"),
            ("news.*.*", "n.$2.$1", "news.a.b", "n.b.a"),
            ("news", "a.b", "news", "a.b"),
            ("news.>", "news.>", "news.eu", "news.eu"),
        ] {
            assert_eq!(import(from, to).rename(subject.as_bytes()), want.as_bytes(), "{from} as {to}");
        }
    }
}
