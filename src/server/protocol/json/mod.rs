//! JSON as the reference reads and writes it (Go 1.27's `encoding/json`).
//!
//! Reading differs from common libraries where users notice: fields are found in any case, unknown
//! ones are skipped, the last of equal keys wins, absent ones keep what was there, and mistakes are
//! told in Go's words, which end up in logs and API answers. Nesting is bounded and costs no stack.

mod scan;
mod value;
mod read;
mod write;

pub use read::{Document, Slot, SubjectPermission, read, same_folded};
pub use scan::check;
pub use value::Value;
pub use write::{ObjectWriter, write_text};

/// Why a document was refused; the texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A character that fits nowhere.
    #[error("invalid character {character} {context}")]
    InvalidCharacter {
        /// The character in single quotes.
        character: String,
        /// Where it stood.
        context: &'static str,
        /// Bytes before it.
        offset: usize,
    },
    /// A backslash in a string with something that means nothing.
    #[error("invalid escape sequence {sequence} in string")]
    InvalidEscape {
        /// The sequence in quotes.
        sequence: String,
        /// Bytes before it.
        offset: usize,
    },
    /// More than 10,000 arrays and objects inside each other.
    #[error("exceeded max depth")]
    TooDeep,
    /// The document stops in the middle.
    #[error("unexpected end of JSON input")]
    UnexpectedEnd,
    /// A value of another kind than the field.
    #[error("json: cannot unmarshal {value} into {} of type {kind}", place_of(.structure, .field))]
    WrongType {
        /// What was there: `string`, `number 1.5`, `object`.
        value: String,
        /// The reference's name of the document.
        structure: &'static str,
        /// The path from the document as the peer wrote it; empty for the document itself.
        field: String,
        /// The reference's name of the field's type.
        kind: &'static str,
    },
    /// A field of bytes whose text is no base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
}

fn place_of(structure: &str, field: &str) -> String {
    let in_array = field.rsplit('.').next().is_some_and(|last| last.parse::<usize>().is_ok());
    match field {
        "" => "Go value".to_owned(),
        _ if in_array => format!("{structure}.{field}"),
        _ => format!("Go struct field {structure}.{field}"),
    }
}

/// Feeds arbitrary bytes to the reader; for fuzzing.
#[doc(hidden)]
pub fn fuzz_json(data: &[u8]) {
    let mut permission = SubjectPermission::default();
    let _ = read(&mut permission, data);
    if let Ok(value) = Value::parse(data) {
        let _ = (value.text(), value.members().count(), value.elements().count());
    }
}

#[cfg(test)]
#[path = "mod_test.rs"]
mod tests;
