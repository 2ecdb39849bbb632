//! Kinds of connections as claims name them.

use super::decide::Note;
use crate::server::base::quote::quote;
use crate::server::config::options::ConnectionType;

/// The kinds that these names mean; none for no names. Names that are not known do no harm as long as one is:
/// `None` where none is. The log hears of them.
pub(super) fn known_types(names: &[String], notes: &mut Vec<Note>) -> Option<Vec<ConnectionType>> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match ConnectionType::parse(name) {
            Some(connection) => known.push(connection),
            None => unknown.push(quote(name.to_uppercase())),
        }
    }
    if !unknown.is_empty() {
        notes.push(Note::Debug(format!("invalid connection types [{}]", unknown.join(" "))));
    }
    (unknown.is_empty() || !known.is_empty()).then_some(known)
}
