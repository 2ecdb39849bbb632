//! DER, element by element, as far as OCSP needs it: tags of one byte, definite lengths.

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// What it holds.
    pub(super) contents: &'a [u8],
    /// The whole of it.
    pub(super) raw: &'a [u8],
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// `[number]`, primitive.
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// `[number]`, constructed.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Der<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        let (length, body) = match *first {
            short if short < 0x80 => (usize::from(short), rest),
            long => {
                let (length, body) = rest.split_at_checked(usize::from(long & 0x7f))?;
                if length.is_empty() || length.len() > 4 {
                    return None;
                }
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), body)
            }
        };
        let (contents, rest) = body.split_at_checked(length)?;
        let raw = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element { tag: *tag, contents, raw })
    }

    /// The next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next element if it has this tag.
    pub(super) fn next_if(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Element<'a> {
    /// What it holds, to be read.
    pub(super) const fn inside(&self) -> Der<'a> {
        Der::new(self.contents)
    }

    /// A bit string of whole bytes.
    pub(super) fn bits(&self) -> Option<&'a [u8]> {
        self.contents.split_first().filter(|(unused, _)| **unused == 0).map(|(_, bits)| bits)
    }
}

/// An element of these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant = bytes.iter().skip_while(|byte| **byte == 0).copied();
            out.push(0x80 | u8::try_from(significant.clone().count()).unwrap_or_default());
            out.extend(significant);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_that_do_not_fit_end_the_reading() {
        for bytes in [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80], &[0x30, 0x85, 0, 0, 0, 0, 1, 0]] {
            assert!(Der::new(bytes).next().is_none(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts: Vec<Vec<u8>>, tag in 0_u8..=0xfe) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let written = element(tag, &parts);
            let mut der = Der::new(&written);
            let read = der.next().unwrap();
            prop_assert_eq!((read.tag, read.contents, read.raw), (tag, &*parts.concat(), &*written));
            prop_assert!(der.is_empty());
        }

        #[test]
        fn any_bytes_are_elements_or_end(data: Vec<u8>) {
            let mut der = Der::new(&data);
            while let Some(element) = der.next() {
                let _ = element.bits();
            }
        }
    }
}
