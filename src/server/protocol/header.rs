//! Raw header blocks: find, set, add, remove; the status line.
//!
//! ```text
//! NATS/1.0[ <status>[ <text>]] CRLF
//! <key>: <value> CRLF ...
//! CRLF
//! ```
//!
//! Blocks come from clients unchecked, so everything here takes any bytes and leaves alone what it
//! does not understand. Keys are compared as they are stored.

use memchr::memmem;

use super::encode::CRLF;

/// What every block begins with.
pub const VERSION: &[u8] = b"NATS/1.0";
/// The first line of a block without status.
pub const FIRST_LINE: &[u8] = b"NATS/1.0\r\n";
/// Bytes of a block that says nothing: first line and closing CRLF.
const EMPTY_BYTES: usize = FIRST_LINE.len() + CRLF.len();

/// Where `key` stands: behind a CRLF and right before a colon.
fn position(block: &[u8], key: &[u8]) -> Option<usize> {
    memmem::find_iter(block, key).find(|&at| {
        let before = block.get(..at).unwrap_or_default();
        let after = block.get(at + key.len()..).unwrap_or_default();
        before.ends_with(CRLF) && after.starts_with(b":")
    })
}

/// The value of the first header with this key: what follows the colon and spaces, up to CRLF.
#[must_use]
pub fn get<'a>(block: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let at = position(block, key)?;
    let rest = block.get(at + key.len() + 1..)?;
    let end = memmem::find(rest, CRLF).unwrap_or(rest.len());
    let value = rest.get(..end)?;
    let spaces = value.iter().take_while(|&&byte| byte == b' ').count();
    value.get(spaces..)
}

/// Sets a header: the first one with this key gets the value, or one is added at the end.
pub fn set(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let Some(at) = position(block, key) else {
        add_raw(block, key, value);
        return;
    };
    let mut start = at + key.len() + 1;
    if block.get(start) == Some(&b' ') {
        start += 1;
    }
    let Some(len) = block.get(start..).and_then(|rest| memchr::memchr(b'\r', rest)) else { return };
    block.splice(start..start + len, value.iter().copied());
}

fn add_raw(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let closed = block.ends_with(CRLF);
    if closed {
        block.truncate(block.len() - CRLF.len());
    }
    block.extend_from_slice(key);
    block.extend_from_slice(b": ");
    block.extend_from_slice(value);
    block.extend_from_slice(CRLF);
    if closed {
        block.extend_from_slice(CRLF);
    }
}

/// Adds a header whether or not there is one with this key; an empty block is begun. Line ends in the
/// value become spaces, white space around it is dropped, and a key that is no header name adds
/// nothing.
pub fn add(block: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if block.len() > CRLF.len() {
        block.truncate(block.len() - CRLF.len());
    } else {
        block.clear();
        block.extend_from_slice(FIRST_LINE);
    }
    if is_name(key) {
        block.extend_from_slice(key);
        block.extend_from_slice(b": ");
        let spaced: Vec<_> =
            value.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect();
        block.extend_from_slice(spaced.trim_ascii());
        block.extend_from_slice(CRLF);
    }
    block.extend_from_slice(CRLF);
}

/// Whether a key is a token of HTTP, which the reference asks of keys it adds.
fn is_name(key: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !key.is_empty() && key.iter().all(is_token)
}

/// Removes every header with this key. A block that says nothing more becomes empty.
pub fn remove(block: &mut Vec<u8>, key: &[u8]) {
    while let Some(at) = position(block, key) {
        if !remove_line(block, at) {
            return;
        }
    }
}

/// Removes every header whose key begins so. A block that says nothing more becomes empty.
pub fn remove_prefix(block: &mut Vec<u8>, prefix: &[u8]) {
    let mut from = 0;
    while let Some(at) = block.get(from..).and_then(|rest| memmem::find(rest, prefix)).map(|at| at + from) {
        let begins_line = at.checked_sub(1).and_then(|before| block.get(before)) == Some(&b'\n');
        if !begins_line {
            from = at + prefix.len().max(1);
        } else if remove_line(block, at) {
            from = at;
        } else {
            return;
        }
    }
}

/// Removes the line at `at`, says whether it had an end.
fn remove_line(block: &mut Vec<u8>, at: usize) -> bool {
    let Some(len) = block.get(at..).and_then(|rest| memmem::find(rest, CRLF)) else { return false };
    block.drain(at..at + len + CRLF.len());
    if block.len() <= EMPTY_BYTES {
        block.clear();
    }
    true
}

/// Takes the status off the first line. A block that says nothing more becomes empty.
pub fn remove_status(block: &mut Vec<u8>) {
    let Some(end) = memchr::memchr(b'\r', block) else { return };
    if !block.starts_with(VERSION) || end <= VERSION.len() {
        return;
    }
    block.drain(VERSION.len()..end);
    if block.len() == EMPTY_BYTES {
        block.clear();
    }
}

/// What the first line says: `NATS/1.0 <code>[ <text>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// The code's digits.
    pub code: &'a [u8],
    /// The text behind it; empty when there is none.
    pub text: &'a [u8],
}

/// The status of a block, if its first line has one.
#[must_use]
pub fn status(block: &[u8]) -> Option<Status<'_>> {
    let end = memmem::find(block, CRLF)?;
    let said = block.get(..end)?.strip_prefix(VERSION)?.trim_ascii();
    let code_len = said.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
    let (code, text) = said.split_at_checked(code_len)?;
    (!code.is_empty()).then(|| Status { code, text: text.trim_ascii() })
}

/// The headers of a block, key and value as they stand, value without white space around it.
///
/// Lines without a colon and the first line are left out.
pub fn iter(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let after_first = memmem::find(block, CRLF).and_then(|end| block.get(end + CRLF.len()..));
    Lines { rest: after_first.unwrap_or_default() }.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (key, value) = line.split_at_checked(colon)?;
        Some((key, value.get(1..)?.trim_ascii()))
    })
}

/// Lines up to the empty one.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memmem::find(self.rest, CRLF).unwrap_or(self.rest.len());
        let line = self.rest.get(..end)?;
        self.rest = self.rest.get(end + CRLF.len()..).unwrap_or_default();
        (!line.is_empty()).then_some(line)
    }
}

/// Feeds arbitrary bytes to every function; for fuzzing.
#[doc(hidden)]
pub fn fuzz_header(data: &[u8]) {
    for key in [b"a".as_slice(), b"Nats-Subject", b""] {
        let _ = get(data, key);
        set(&mut data.to_vec(), key, b"v");
        add(&mut data.to_vec(), key, data);
        remove(&mut data.to_vec(), key);
        remove_prefix(&mut data.to_vec(), key);
    }
    remove_status(&mut data.to_vec());
    let _ = (status(data), iter(data).count());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK: &str = "NATS/1.0\r\nFoo: bar\r\nA-Foo: x\r\nfoo:  two words \r\nEmpty:\r\n\r\n";

    #[track_caller]
    fn check_get(block: &str, key: &str, want: Option<&str>) {
        let value =
            get(block.as_bytes(), key.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(value.as_deref(), want, "{key} in {block:?}");
    }

    #[test]
    fn value_is_found_by_whole_key_at_the_start_of_a_line() {
        check_get(BLOCK, "Foo", Some("bar"));
        check_get(BLOCK, "foo", Some("two words "));
        check_get(BLOCK, "A-Foo", Some("x"));
        check_get(BLOCK, "Empty", Some(""));
        check_get(BLOCK, "oo", None);
        check_get(BLOCK, "Fo", None);
        check_get(BLOCK, "NATS/1.0", None);
        check_get("Foo: bar\r\n", "Foo", None);
        check_get("NATS/1.0\r\nFoo: bar", "Foo", Some("bar"));
        check_get("", "Foo", None);
    }

    #[track_caller]
    fn check_edit(edit: impl FnOnce(&mut Vec<u8>), block: &str, want: &str) {
        let mut block = block.as_bytes().to_vec();
        edit(&mut block);
        assert_eq!(String::from_utf8_lossy(&block), want);
    }

    #[test]
    fn set_replaces_the_first_value_in_place() {
        let block = "NATS/1.0\r\nA: 1\r\nB:2\r\nA: 3\r\n\r\n";
        check_edit(|b| set(b, b"A", b"long"), block, "NATS/1.0\r\nA: long\r\nB:2\r\nA: 3\r\n\r\n");
        check_edit(|b| set(b, b"B", b""), block, "NATS/1.0\r\nA: 1\r\nB:\r\nA: 3\r\n\r\n");
    }

    #[test]
    fn set_adds_a_missing_header_at_the_end() {
        check_edit(|b| set(b, b"B", b"2"), "NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\nB: 2\r\n\r\n");
        check_edit(|b| set(b, b"B", b"2"), "", "B: 2\r\n");
        check_edit(|b| set(b, b"A", b"2"), "NATS/1.0\r\nA: 1", "NATS/1.0\r\nA: 1");
    }

    #[test]
    fn add_begins_a_block_and_cleans_the_value() {
        check_edit(|b| add(b, b"A", b" x\r\ny "), "", "NATS/1.0\r\nA: x  y\r\n\r\n");
        check_edit(|b| add(b, b"A", b"2"), "NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\nA: 2\r\n\r\n");
        check_edit(|b| add(b, b"bad key", b"2"), "", "NATS/1.0\r\n\r\n");
    }

    #[test]
    fn remove_takes_every_header_of_the_key() {
        check_edit(
            |b| remove(b, b"A"),
            "NATS/1.0\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\n",
            "NATS/1.0\r\nB: 2\r\n\r\n",
        );
        check_edit(|b| remove(b, b"A"), "NATS/1.0\r\nA: 1\r\nA: 3\r\n\r\n", "");
        check_edit(|b| remove(b, b"A"), "NATS/1.0\r\nB: A: 1\r\n\r\n", "NATS/1.0\r\nB: A: 1\r\n\r\n");
    }

    #[test]
    fn remove_by_prefix_takes_keys_that_begin_so() {
        check_edit(
            |b| remove_prefix(b, b"Nats-"),
            "NATS/1.0\r\nNats-A: 1\r\nX-Nats-B: 2\r\nNats-C: Nats-\r\n\r\n",
            "NATS/1.0\r\nX-Nats-B: 2\r\n\r\n",
        );
    }

    #[test]
    fn status_is_code_and_text() {
        for (block, want) in [
            ("NATS/1.0 503\r\n\r\n", Some(("503", ""))),
            ("NATS/1.0 100 Idle Heartbeat\r\n\r\n", Some(("100", "Idle Heartbeat"))),
            ("NATS/1.0\r\n\r\n", None),
            ("NATS/1.0   \r\nA: 1\r\n\r\n", None),
            ("HTTP/1.1 200\r\n\r\n", None),
            ("NATS/1.0 503", None),
        ] {
            let got = status(block.as_bytes()).map(|s| {
                (String::from_utf8_lossy(s.code).into_owned(), String::from_utf8_lossy(s.text).into_owned())
            });
            assert_eq!(got.as_ref().map(|(code, text)| (code.as_str(), text.as_str())), want, "{block:?}");
        }
    }

    #[test]
    fn status_can_be_taken_off() {
        check_edit(remove_status, "NATS/1.0 100 Idle\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\n\r\n");
        check_edit(remove_status, "NATS/1.0 503\r\n\r\n", "");
        check_edit(remove_status, "NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 1\r\n\r\n");
    }

    #[test]
    fn headers_are_listed_in_order() {
        let list: Vec<_> = iter(BLOCK.as_bytes())
            .map(|(key, value)| {
                format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
            })
            .collect();
        assert_eq!(list, ["Foo=bar", "A-Foo=x", "foo=two words", "Empty="]);
    }

    proptest! {
        #[test]
        fn what_was_set_is_found(keys in prop::collection::vec("[A-Za-z-]{1,6}", 1..6), value in "[ -~]{0,12}") {
            let mut block = b"NATS/1.0\r\n\r\n".to_vec();
            for key in &keys {
                set(&mut block, key.as_bytes(), value.as_bytes());
            }
            for key in &keys {
                prop_assert_eq!(get(&block, key.as_bytes()), Some(value.trim_start_matches(' ').as_bytes()));
            }
            for key in &keys {
                remove(&mut block, key.as_bytes());
            }
            prop_assert!(block.is_empty());
        }

        #[test]
        fn random_bytes_do_not_panic(data in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\r\n: aN".to_vec())], 0..60,
        )) {
            fuzz_header(&data);
        }
    }
}
