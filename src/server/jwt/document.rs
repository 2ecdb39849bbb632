//! Documents whose fields are listed once, and read and written by that list.
//!
//! Reading follows the rules of `protocol::json` (names in any case, unknown ones skipped, what is absent
//! keeps its value, the first value of a wrong kind is reported last); writing leaves out what the
//! reference leaves out.

use std::collections::BTreeMap;

use crate::server::protocol::json::{JsonError, Value, same_folded, write_text};

use super::error::JwtError;

/// A value inside a document.
pub(super) trait Field {
    /// Takes what the document says.
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes);

    /// Appends itself.
    fn write(&mut self, out: &mut Vec<u8>);

    /// Whether [`When::Any`] leaves it out.
    fn is_empty(&self) -> bool;
}

/// When a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In every document.
    Always,
    /// When it holds something.
    Any,
}

/// Takes each field of a document in turn.
pub(super) type Each<'e> = &'e mut dyn FnMut(&'static str, When, &mut dyn Field);

/// A value that is an object with known fields.
pub(super) trait Document {
    /// The reference's name of the type: `jwt.Import`.
    const TYPE: &'static str;

    /// Hands out its fields in the order in which they are written.
    fn fields(&mut self, each: Each<'_>);
}

impl<D: Document> Field for D {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        read_object(D::TYPE, &mut |each| self.fields(each), value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        write_object(&mut |each| self.fields(each), out);
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// An object whose fields are listed where it is read: the layouts of the first version.
pub(super) struct Listed<'l> {
    /// As [`Document::TYPE`].
    pub(super) kind: &'static str,
    /// As [`Document::fields`].
    pub(super) fields: &'l mut dyn FnMut(Each<'_>),
}

impl Field for Listed<'_> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        read_object(self.kind, self.fields, value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        write_object(self.fields, out);
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// Where in a document a value stands.
pub(super) enum Place<'p> {
    Root,
    Member(&'p Self, &'p str),
    Element(&'p Self, usize),
}

impl Place<'_> {
    fn path(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(Self::Root, name) => (*name).to_owned(),
            Self::Member(parent, name) => format!("{}.{name}", parent.path()),
            Self::Element(parent, at) => format!("{}.{at}", parent.path()),
        }
    }
}

/// The first value that did not fit.
pub(super) struct Mistakes {
    document: &'static str,
    first: Option<JwtError>,
}

impl Mistakes {
    /// A value of another kind than `kind`, the reference's name of what is wanted.
    pub(super) fn wrong(&mut self, value: Value<'_>, at: &Place<'_>, kind: &'static str) {
        self.wrong_as(value.kind().to_owned(), at, kind);
    }

    fn wrong_as(&mut self, value: String, at: &Place<'_>, kind: &'static str) {
        let structure = self.document;
        self.first.get_or_insert_with(|| {
            JwtError::Json(JsonError::WrongType { value, structure, field: at.path(), kind })
        });
    }

    /// What a field of its own kind says.
    pub(super) fn add(&mut self, error: JwtError) {
        self.first.get_or_insert(error);
    }
}

/// Reads a whole document; `name` is the reference's name without its package.
pub(super) fn read<F: Field>(field: &mut F, name: &'static str, value: Value<'_>) -> Result<(), JwtError> {
    let mut mistakes = Mistakes { document: name, first: None };
    field.read(value, &Place::Root, &mut mistakes);
    mistakes.first.map_or(Ok(()), Err)
}

fn read_object(
    kind: &'static str,
    fields: &mut dyn FnMut(Each<'_>),
    value: Value<'_>,
    at: &Place<'_>,
    mistakes: &mut Mistakes,
) {
    match value.kind() {
        "object" => {}
        "null" => return,
        _ => return mistakes.wrong(value, at, kind),
    }
    for (name, value) in value.members() {
        let place = Place::Member(at, &name);
        let mut found = false;
        let mut take = |fits: &dyn Fn(&str) -> bool| {
            fields(&mut |field, _, target| {
                if !found && fits(field) {
                    found = true;
                    target.read(value, &place, mistakes);
                }
            });
        };
        take(&|field| field == name);
        take(&|field| same_folded(field, &name));
    }
}

fn write_object(fields: &mut dyn FnMut(Each<'_>), out: &mut Vec<u8>) {
    out.push(b'{');
    let mut separator = "";
    fields(&mut |name, when, field| {
        if when == When::Any && field.is_empty() {
            return;
        }
        out.extend_from_slice(separator.as_bytes());
        separator = ",";
        write_text(out, name);
        out.push(b':');
        field.write(out);
    });
    out.push(b'}');
}

impl Field for bool {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        match value.raw() {
            b"true" => *self = true,
            b"false" => *self = false,
            b"null" => {}
            _ => mistakes.wrong(value, at, "bool"),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn is_empty(&self) -> bool {
        !*self
    }
}

/// Reads a number of the type that the reference calls `kind`.
pub(super) fn read_number<N: std::str::FromStr>(
    target: &mut N,
    kind: &'static str,
    value: Value<'_>,
    at: &Place<'_>,
    mistakes: &mut Mistakes,
) {
    match value.kind() {
        "null" => {}
        "number" => {
            let text = String::from_utf8_lossy(value.raw());
            match text.parse() {
                Ok(number) => *target = number,
                Err(_) => mistakes.wrong_as(format!("number {text}"), at, kind),
            }
        }
        _ => mistakes.wrong(value, at, kind),
    }
}

macro_rules! number {
    ($type:ty, $kind:literal) => {
        impl Field for $type {
            fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
                read_number(self, $kind, value, at, mistakes);
            }

            fn write(&mut self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.to_string().as_bytes());
            }

            fn is_empty(&self) -> bool {
                *self == 0
            }
        }
    };
}

number!(i64, "int64");
number!(u64, "uint64");
number!(u8, "uint8");

impl Field for String {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        read_text(self, "string", value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        write_text(out, self);
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

/// Reads a text of the type that the reference calls `kind`.
pub(super) fn read_text(
    target: &mut String,
    kind: &'static str,
    value: Value<'_>,
    at: &Place<'_>,
    mistakes: &mut Mistakes,
) {
    match value.text() {
        Some(text) => *target = text.into_owned(),
        None if value.is_null() => {}
        None => mistakes.wrong(value, at, kind),
    }
}

impl<F: Field + Default + Named> Field for Vec<F> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        match value.kind() {
            "array" => {}
            "null" => return self.clear(),
            _ => return mistakes.wrong(value, at, F::LIST),
        }
        self.clear();
        for (index, element) in value.elements().enumerate() {
            let mut field = F::default();
            field.read(element, &Place::Element(at, index), mistakes);
            self.push(field);
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, field) in self.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            field.write(out);
        }
        out.push(b']');
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<F: Field + Default + Named> Field for BTreeMap<String, F> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        match value.kind() {
            "object" => {}
            "null" => return self.clear(),
            _ => return mistakes.wrong(value, at, F::MAP),
        }
        for (name, value) in value.members() {
            let mut field = F::default();
            field.read(value, &Place::Member(at, &name), mistakes);
            self.insert(name.into_owned(), field);
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (name, field)) in self.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_text(out, name);
            out.push(b':');
            field.write(out);
        }
        out.push(b'}');
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<F: Field + Default> Field for Option<F> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        if value.is_null() {
            *self = None;
        } else {
            self.get_or_insert_default().read(value, at, mistakes);
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        match self {
            Some(field) => field.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

/// What the reference calls lists and maps of a type, for its error texts.
pub(super) trait Named {
    /// `[]string`
    const LIST: &'static str;
    /// `map[string]int64`
    const MAP: &'static str;
}

impl Named for String {
    const LIST: &'static str = "jwt.StringList";
    const MAP: &'static str = "map[string]string";
}

impl Named for i64 {
    const LIST: &'static str = "[]int64";
    const MAP: &'static str = "jwt.RevocationList";
}
