//! A document into fields.

use super::JsonError;
use super::value::Value;
use crate::server::base::base64::Base64;

/// A field of a document, ready to take a value.
#[derive(Debug)]
pub enum Slot<'s> {
    /// `bool`
    Bool(&'s mut bool),
    /// `int`
    Int(&'s mut i64),
    /// `int32`
    Int32(&'s mut i32),
    /// `uint64`
    Uint64(&'s mut u64),
    /// `uint8`
    Byte(&'s mut u8),
    /// `string`
    Text(&'s mut String),
    /// `[]string`
    Texts(&'s mut Vec<String>),
    /// `[]uint8`, base64 in the document
    Bytes(&'s mut Vec<u8>),
    /// Allowed and denied subjects.
    Permission(&'s mut Option<SubjectPermission>),
}

/// A document with fields.
pub trait Document {
    /// The reference's name, as it stands in error texts: `ClientOpts`.
    const NAME: &'static str;
    /// The reference's name of the whole type: `server.ClientOpts`.
    const TYPE: &'static str;
    /// Names of all fields.
    const FIELDS: &'static [&'static str];

    /// The field of this name, one of `FIELDS`.
    fn slot(&mut self, name: &str) -> Option<Slot<'_>>;
}

/// Reads `text` into a document; what `text` does not mention keeps its value.
///
/// # Errors
/// Text that is no JSON changes nothing. Values of the wrong kind are skipped; the first is reported
/// after everything else was read.
pub fn read<D: Document>(document: &mut D, text: &[u8]) -> Result<(), JsonError> {
    let value = Value::parse(text)?;
    let mut mistakes = Mistakes { structure: D::NAME, first: None };
    match value.kind() {
        "object" => members_into(document, value, "", &mut mistakes),
        "null" => {}
        kind => mistakes.wrong(kind.to_owned(), "", D::TYPE),
    }
    mistakes.first.map_or(Ok(()), Err)
}

struct Mistakes {
    structure: &'static str,
    first: Option<JsonError>,
}

impl Mistakes {
    fn wrong(&mut self, value: String, field: &str, kind: &'static str) {
        let (structure, field) = (self.structure, field.to_owned());
        self.first.get_or_insert(JsonError::WrongType { value, structure, field, kind });
    }
}

fn members_into<D: Document>(document: &mut D, object: Value<'_>, path: &str, mistakes: &mut Mistakes) {
    for (name, value) in object.members() {
        let exact = D::FIELDS.iter().find(|field| **field == name);
        let Some(field) = exact.or_else(|| D::FIELDS.iter().find(|field| same_folded(field, &name))) else {
            continue;
        };
        if let Some(slot) = document.slot(field) {
            fill(slot, value, &format!("{path}{name}"), mistakes);
        }
    }
}

/// Whether a name of a document names this field: equal but for case. Go's folding also takes the long s and
/// the Kelvin sign.
#[must_use]
pub fn same_folded(field: &str, name: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    field.chars().map(fold).eq(name.chars().map(fold))
}

fn fill(slot: Slot<'_>, value: Value<'_>, path: &str, mistakes: &mut Mistakes) {
    if value.is_null() {
        match slot {
            Slot::Texts(texts) => texts.clear(),
            Slot::Bytes(bytes) => bytes.clear(),
            Slot::Permission(permission) => *permission = None,
            _ => {}
        }
        return;
    }
    let kind = value.kind();
    match slot {
        Slot::Bool(target) => match value.raw() {
            b"true" => *target = true,
            b"false" => *target = false,
            _ => mistakes.wrong(kind.to_owned(), path, "bool"),
        },
        Slot::Int(target) => integer(target, value, path, "int", mistakes),
        Slot::Int32(target) => integer(target, value, path, "int32", mistakes),
        Slot::Uint64(target) => integer(target, value, path, "uint64", mistakes),
        Slot::Byte(target) => integer(target, value, path, "uint8", mistakes),
        Slot::Text(target) => match value.text() {
            Some(text) => *target = text.into_owned(),
            None => mistakes.wrong(kind.to_owned(), path, "string"),
        },
        Slot::Texts(target) if kind == "array" => {
            target.clear();
            for (at, element) in value.elements().enumerate() {
                let mut text = String::new();
                fill(Slot::Text(&mut text), element, &format!("{path}.{at}"), mistakes);
                target.push(text);
            }
        }
        Slot::Texts(_) => mistakes.wrong(kind.to_owned(), path, "[]string"),
        Slot::Bytes(target) => match value.text() {
            Some(text) => match Base64::Standard.decode(text.as_bytes()) {
                Ok(bytes) => *target = bytes,
                Err(at) => {
                    mistakes.first.get_or_insert(JsonError::Base64(at));
                }
            },
            None => mistakes.wrong(kind.to_owned(), path, "[]uint8"),
        },
        Slot::Permission(target) => {
            let permission = target.get_or_insert_default();
            if kind == "object" {
                members_into(permission, value, &format!("{path}."), mistakes);
            } else {
                mistakes.wrong(kind.to_owned(), path, "server.SubjectPermission");
            }
        }
    }
}

fn integer<N: std::str::FromStr>(
    target: &mut N,
    value: Value<'_>,
    path: &str,
    kind: &'static str,
    mistakes: &mut Mistakes,
) {
    if value.kind() != "number" {
        mistakes.wrong(value.kind().to_owned(), path, kind);
        return;
    }
    let text = String::from_utf8_lossy(value.raw());
    match text.parse() {
        Ok(number) => *target = number,
        Err(_) => mistakes.wrong(format!("number {text}"), path, kind),
    }
}

/// Subjects allowed and denied, as routes and leaf nodes tell each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectPermission {
    /// Subjects allowed; none means all.
    pub allow: Vec<String>,
    /// Subjects denied.
    pub deny: Vec<String>,
}

impl Document for SubjectPermission {
    const NAME: &'static str = "SubjectPermission";
    const TYPE: &'static str = "server.SubjectPermission";
    const FIELDS: &'static [&'static str] = &["allow", "deny"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        match name {
            "allow" => Some(Slot::Texts(&mut self.allow)),
            "deny" => Some(Slot::Texts(&mut self.deny)),
            _ => None,
        }
    }
}
