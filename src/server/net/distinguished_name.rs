//! Distinguished names: as configurations write them (RFC 4514), and how two of them compare.
//!
//! Reference: names are compared RDN by RDN in order (RFC 4517, distinguishedNameMatch), and where
//! that fails as sets of RDNs. Types of attributes compare without case, values byte by byte.

/// A name: its relative names, in the order in which they are written, most specific first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DistinguishedName {
    /// The relative names.
    pub rdns: Vec<RelativeName>,
}

/// One relative name: mostly one attribute, several where they were joined by `+`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelativeName {
    /// Its attributes.
    pub attributes: Vec<NameAttribute>,
}

/// `CN=ann`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameAttribute {
    /// The type: `CN`.
    pub kind: Vec<u8>,
    /// The value: `ann`.
    pub value: Vec<u8>,
}

/// Why a text is no distinguished name. The text is the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A backslash is the last character but one.
    #[error("got corrupted escaped character")]
    CorruptedEscape,
    /// Behind a backslash stands neither a special character nor two hexadecimal digits.
    #[error("failed to decode escaped character: encoding/hex: invalid byte: {0}")]
    Escape(String),
    /// `type=#…`.
    #[error("unsupported BER encoding")]
    Ber,
    /// A value without its type.
    #[error("incomplete type, value pair")]
    Incomplete,
    /// The text ends with something that is no attribute.
    #[error("DN ended with incomplete type, value pair")]
    EndsIncomplete,
}

impl DistinguishedName {
    /// Reads `CN=ann,OU=people+UID=7`. Nothing is a name without relative names.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut reader = Reader::default();
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    let Some(first) = bytes.next() else { break };
                    let octet = match first {
                        b' ' | b'"' | b'#' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\' => first,
                        _ => hex_octet(first, bytes.next())?,
                    };
                    reader.push_escaped(octet);
                }
                b'=' => {
                    reader.kind = reader.take();
                    if bytes.peek() == Some(&b'#') {
                        return Err(NameError::Ber);
                    }
                }
                b',' | b'+' => reader.end_attribute(byte == b',')?,
                b' ' if reader.text.is_empty() => {}
                _ => reader.push(byte),
            }
        }
        reader.finish()
    }

    /// Whether both have the same relative names in the same order.
    pub fn matches(&self, other: &Self) -> bool {
        self.rdns.len() == other.rdns.len()
            && self.rdns.iter().zip(&other.rdns).all(|(ours, theirs)| ours.matches(theirs))
    }

    /// Whether both have the same relative names, in whatever order.
    pub fn matches_in_any_order(&self, other: &Self) -> bool {
        if self.rdns.len() != other.rdns.len() {
            return false;
        }
        let mut left: Vec<&RelativeName> = other.rdns.iter().collect();
        self.rdns.iter().all(|ours| {
            let found = left.iter().position(|theirs| ours.matches(theirs));
            found.map(|at| left.swap_remove(at)).is_some()
        })
    }
}

impl RelativeName {
    fn matches(&self, other: &Self) -> bool {
        self.attributes.len() == other.attributes.len() && self.has_all(other) && other.has_all(self)
    }

    fn has_all(&self, other: &Self) -> bool {
        other.attributes.iter().all(|wanted| self.attributes.iter().any(|own| own.matches(wanted)))
    }
}

impl NameAttribute {
    fn matches(&self, other: &Self) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind) && self.value == other.value
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    name: DistinguishedName,
    rdn: RelativeName,
    kind: Vec<u8>,
    text: Vec<u8>,
    /// Spaces at the end of `text` that were not escaped: no part of it unless something follows.
    trailing_spaces: usize,
}

impl Reader {
    fn push(&mut self, byte: u8) {
        self.trailing_spaces = if byte == b' ' { self.trailing_spaces + 1 } else { 0 };
        self.text.push(byte);
    }

    fn push_escaped(&mut self, octet: u8) {
        self.trailing_spaces = 0;
        self.text.push(octet);
    }

    fn take(&mut self) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.text);
        text.truncate(text.len() - std::mem::take(&mut self.trailing_spaces));
        text
    }

    fn end_attribute(&mut self, ends_rdn: bool) -> Result<(), NameError> {
        if self.kind.is_empty() {
            return Err(NameError::Incomplete);
        }
        let value = self.take();
        self.rdn.attributes.push(NameAttribute { kind: std::mem::take(&mut self.kind), value });
        if ends_rdn {
            self.name.rdns.push(std::mem::take(&mut self.rdn));
        }
        Ok(())
    }

    /// What no comma ended counts only where it has a value, as in the reference.
    fn finish(mut self) -> Result<DistinguishedName, NameError> {
        if self.text.is_empty() {
            return Ok(self.name);
        }
        self.end_attribute(true).map_err(|_| NameError::EndsIncomplete)?;
        Ok(self.name)
    }
}

fn hex_octet(first: u8, second: Option<u8>) -> Result<u8, NameError> {
    let second = second.ok_or(NameError::CorruptedEscape)?;
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or_else(|| NameError::Escape(format!("U+{byte:04X} {:?}", char::from(byte))))
    };
    Ok(digit(first)? << 4 | digit(second)?)
}

/// For the fuzzer: any text is a name, equal to itself, or none.
pub fn fuzz_distinguished_name(data: &[u8]) {
    if let Ok(name) = DistinguishedName::parse(&String::from_utf8_lossy(data)) {
        assert!(name.matches(&name) && name.matches_in_any_order(&name));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap()
    }

    #[track_caller]
    fn check(one: &str, other: &str, same: bool, same_in_any_order: bool) {
        let (ours, theirs) = (name(one), name(other));
        assert_eq!(ours.matches(&theirs), same, "{one} {other}");
        assert_eq!(ours.matches_in_any_order(&theirs), same_in_any_order, "{one} {other}");
    }

    #[test]
    fn names_compare_in_order_and_as_sets() {
        check("CN=ann,OU=a,OU=b", "cn=ann, ou=a , ou=b", true, true);
        check("CN=ann,OU=a,OU=b", "CN=ann,OU=b,OU=a", false, true);
        check("CN=ann,OU=a", "CN=ann,OU=A", false, false);
        check("CN=ann,OU=a", "CN=ann,OU=a,OU=a", false, false);
        check("CN=ann,OU=a,OU=a", "CN=ann,OU=a,OU=b", false, false);
    }

    #[test]
    fn attributes_of_one_relative_name_have_no_order() {
        check("CN=ann+UID=7,O=x", "UID=7+CN=ann,O=x", true, true);
        check("CN=ann+UID=7", "CN=ann,UID=7", false, false);
    }

    #[test]
    fn escapes_and_spaces_are_read_as_the_reference_reads_them() {
        let value = |text: &str| name(text).rdns[0].attributes[0].value.clone();
        assert_eq!(value("CN=a\\,b"), b"a,b");
        assert_eq!(value("CN=Lu\\C4\\8Di\\C4\\87"), "Lučić".as_bytes());
        assert_eq!(value("CN= a b  ,O=x"), b"a b");
        assert_eq!(value("CN=a\\ "), b"a ");
        assert_eq!(name("").rdns.len(), 0);
        assert_eq!(name("CN=").rdns.len(), 0);
    }

    #[test]
    fn what_is_no_name_is_refused_in_the_references_words() {
        for (text, want) in [
            ("CN=a\\x", "got corrupted escaped character"),
            ("CN=a\\zz", "failed to decode escaped character: encoding/hex: invalid byte: U+007A 'z'"),
            ("CN=#0401", "unsupported BER encoding"),
            ("ann,CN=b", "incomplete type, value pair"),
            ("CN=b,ann", "DN ended with incomplete type, value pair"),
        ] {
            assert_eq!(
                DistinguishedName::parse(text).map_err(|error| error.to_string()),
                Err(want.to_owned())
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_none(text in ".{0,60}", data: Vec<u8>) {
            fuzz_distinguished_name(text.as_bytes());
            fuzz_distinguished_name(&data);
        }
    }
}
