//! The protocol as trace lines show it. Pure: bytes in, the text behind the client's label out.
//!
//! ```text
//! <<- [PUB orders 2]              came in
//! <<- MSG_PAYLOAD: ["hi"]         its payload, quoted
//! <<- [MAPPING orders -> o.eu]    its subject was mapped
//! ->> [MSG o.eu 1 2]              went out
//! <-> [DELSUB 1]                  a subscription ended
//! ```
//!
//! Whether tracing is on is asked before, by [`super::Logger::is_trace`].

use std::borrow::Cow;

use crate::server::base::quote::quote_inside;
use crate::server::protocol::connect::ConnectOptions;

/// Which way an operation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards the server.
    In,
    /// From the server.
    Out,
}

impl Direction {
    const fn arrow(self) -> &'static str {
        match self {
            Self::In => "<<-",
            Self::Out => "->>",
        }
    }
}

/// What of a payload is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayloadView {
    /// Bytes shown at most (`max_traced_msg_len`); 0: all.
    pub max_len: usize,
    /// Only the header block (`trace_headers`).
    pub headers_only: bool,
}

/// An operation: `<<- [SUB a 1]`. `op` is empty where `args` is the whole line; operations without
/// arguments pass `None`.
pub fn operation(direction: Direction, op: &str, args: Option<&[u8]>) -> String {
    let args = args.map(String::from_utf8_lossy);
    let arrow = direction.arrow();
    match args {
        None => format!("{arrow} [{op}]"),
        Some(args) if op.is_empty() => format!("{arrow} [{args}]"),
        Some(args) => format!("{arrow} [{op} {args}]"),
    }
}

/// A CONNECT that came in, with its secrets hidden: where that cannot be done neatly, with all of it hidden.
pub fn connect(args: &[u8]) -> String {
    let redacted = redact(args);
    let shown = if hides_secrets(args, &redacted) { &*redacted } else { REDACTED };
    operation(Direction::In, "CONNECT", Some(shown))
}

/// Whether what the reader finds in `redacted` holds no secret. The search for keys knows neither other cases
/// of their letters nor commas and escapes in values; the reader does. What it cannot read may not even seem
/// to hold one.
fn hides_secrets(args: &[u8], redacted: &[u8]) -> bool {
    let mut said = ConnectOptions::default();
    if said.merge(redacted).is_err() {
        return !seems_to_hold_secrets(args);
    }
    let is_hidden = |value: &str| value.is_empty() || value.as_bytes() == REDACTED;
    let signature = said.jwt.splitn(3, '.').nth(2).unwrap_or_default();
    [&*said.pass, &said.auth_token, &said.sig, &said.proxy_sig, signature].into_iter().all(is_hidden)
}

/// Whether there is the word of a secret's key in any case, or an escape that may hide one.
fn seems_to_hold_secrets(args: &[u8]) -> bool {
    let lower = args.to_ascii_lowercase();
    [&b"pass"[..], b"auth_token", b"sig", b"jwt", b"\\"].iter().any(|word| find(&lower, word).is_some())
}

/// A subscription that ended.
pub fn subscription_removed(sid: &[u8]) -> String {
    format!("<-> [DELSUB {}]", String::from_utf8_lossy(sid))
}

/// A message's subject was mapped.
pub fn mapping(from: &[u8], to: &[u8]) -> String {
    format!("<<- [MAPPING {} -> {}]", String::from_utf8_lossy(from), String::from_utf8_lossy(to))
}

/// A message's payload; `message` is header block and payload without the final CRLF, `header_len` the
/// length of the block with the empty line that ends it. Nothing is shown of empty messages, nor of
/// those without headers where only headers are wanted.
pub fn payload(direction: Direction, message: &[u8], header_len: usize, view: PayloadView) -> Option<String> {
    let shown = if view.headers_only { headers(message, header_len)? } else { message };
    if shown.is_empty() {
        return None;
    }
    let mut line = format!("{} MSG_PAYLOAD: [\"", direction.arrow());
    match shown.get(..view.max_len) {
        Some(head) if view.max_len > 0 && head.len() < shown.len() => {
            quote_inside(&mut line, head);
            line.push_str("...");
        }
        _ => quote_inside(&mut line, shown),
    }
    line.push_str("\"]");
    Some(line)
}

/// The header block without the two line ends behind it.
fn headers(message: &[u8], header_len: usize) -> Option<&[u8]> {
    message.get(..header_len.checked_sub(LINE_ENDS_LEN)?)
}

/// Length of CRLF twice.
const LINE_ENDS_LEN: usize = 4;

/// What stands where a secret stood.
const REDACTED: &[u8] = b"[REDACTED]";

/// `args` of a CONNECT with the values of keys that begin with `pass` or `auth_token`, and of `nkey`,
/// `sig` and `proxy_sig`, replaced by `[REDACTED]`. Works on text, as the reference does; now and then it hides
/// more than a secret. Other than there the signatures of tokens are hidden: a bearer's token is a secret.
pub fn redact(args: &[u8]) -> Cow<'_, [u8]> {
    let finders: [Finder; 3] = [find_prefixed, find_exact, find_signature];
    finders.into_iter().fold(Cow::Borrowed(args), |text, find| match text {
        Cow::Borrowed(same) => replace_values(same, find),
        Cow::Owned(changed) => Cow::Owned(replace_values(&changed, find).into_owned()),
    })
}

/// Finds a value in a text from some place on: where it starts and ends.
type Finder = fn(&[u8], usize) -> Option<(usize, usize)>;

/// Replaces every value that `find` finds.
fn replace_values(text: &[u8], find: Finder) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    while let Some((start, end)) = find(text, copied) {
        out.extend_from_slice(text.get(copied..start).unwrap_or_default());
        out.extend_from_slice(REDACTED);
        copied = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// A key that begins with `pass` or `auth_token`, from `from` on; gives its value's place. The key may
/// go on with anything but white space until a separator follows.
fn find_prefixed(text: &[u8], from: usize) -> Option<(usize, usize)> {
    for at in from..text.len() {
        let rest = text.get(at..)?;
        let Some(key_len) =
            [&b"auth_token"[..], b"pass"].iter().find(|key| rest.starts_with(key)).map(|key| key.len())
        else {
            continue;
        };
        let mut key_end = at + key_len;
        loop {
            if let Some(value) = value_after(text, key_end) {
                return Some(value);
            }
            match text.get(key_end) {
                Some(byte) if !is_space(*byte) => key_end += 1,
                _ => break,
            }
        }
    }
    None
}

/// The whole keys `nkey`, `sig`, `proxy_sig`, from `from` on; gives the value's place.
fn find_exact(text: &[u8], from: usize) -> Option<(usize, usize)> {
    (from..text.len()).find_map(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return None;
        }
        let rest = text.get(at..)?;
        let key = [&b"proxy_sig"[..], b"nkey", b"sig"].into_iter().find(|key| rest.starts_with(key))?;
        value_after(text, at + key.len())
    })
}

/// The signature of a token, from `from` on: the third part of `eyJ….….…`.
fn find_signature(text: &[u8], from: usize) -> Option<(usize, usize)> {
    const TOKEN_PREFIX: &[u8] = b"eyJ";
    let part_end = |start: usize| {
        let part = text.get(start..)?;
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        Some(start + part.iter().position(|byte| !is_inside(byte)).unwrap_or(part.len()))
    };
    let next_part = |start: usize| {
        let end = part_end(start)?;
        (text.get(end) == Some(&b'.')).then_some(end + 1)
    };
    let mut from = from;
    while let Some(found) = text.get(from..).and_then(|rest| find(rest, TOKEN_PREFIX)) {
        let start = from + found;
        if let Some(signature) = next_part(start).and_then(next_part) {
            let end = part_end(signature)?;
            if end > signature {
                return Some((signature, end));
            }
        }
        from = start + TOKEN_PREFIX.len();
    }
    None
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, word)
}

/// The place of the value behind a key that ends at `at`: quote, spaces, `:` or `=`, spaces, quote.
fn value_after(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let at = skip_space(text, skip_quote(text, at));
    if !matches!(text.get(at), Some(b':' | b'=')) {
        return None;
    }
    let start = skip_quote(text, skip_space(text, at + 1));
    let value = text.get(start..)?;
    let is_end = |byte: &u8| matches!(byte, b'"' | b',' | b'\r' | b'\n' | b'}');
    Some((start, start + value.iter().position(is_end).unwrap_or(value.len())))
}

fn skip_quote(text: &[u8], at: usize) -> usize {
    if text.get(at) == Some(&b'"') { at + 1 } else { at }
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(|byte| is_space(*byte)) {
        at += 1;
    }
    at
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0c' | b'\r')
}

/// Any bytes can be redacted; what has no key comes back as it was.
pub fn fuzz_redact(data: &[u8]) {
    let out = redact(data);
    let has_key = [&b"pass"[..], b"auth_token", b"nkey", b"sig", b"eyJ"]
        .iter()
        .any(|key| data.windows(key.len()).any(|window| window == *key));
    debug_assert!(has_key || *out == *data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_redacted(raw: &str, want: &str) {
        assert_eq!(String::from_utf8_lossy(&redact(raw.as_bytes())), want, "{raw}");
    }

    #[track_caller]
    fn check_payload(message: &[u8], header_len: usize, view: PayloadView, want: Option<&str>) {
        assert_eq!(payload(Direction::In, message, header_len, view).as_deref(), want);
    }

    #[test]
    fn operations_carry_an_arrow_and_brackets() {
        assert_eq!(operation(Direction::In, "SUB", Some(b"a 1")), "<<- [SUB a 1]");
        assert_eq!(operation(Direction::Out, "PONG", None), "->> [PONG]");
        assert_eq!(operation(Direction::Out, "", Some(b"MSG a 1 2")), "->> [MSG a 1 2]");
        assert_eq!(
            operation(Direction::Out, "-ERR", Some(b"'Stale Connection'")),
            "->> [-ERR 'Stale Connection']"
        );
        assert_eq!(mapping(b"a", b"b.c"), "<<- [MAPPING a -> b.c]");
    }

    #[test]
    fn an_ended_subscription_is_traced_with_its_sid() {
        assert_eq!(subscription_removed(b"12"), "<-> [DELSUB 12]");
    }

    #[test]
    fn payloads_are_quoted_and_empty_ones_not_shown() {
        let all = PayloadView::default();
        check_payload(b"hi \"you\"\x01", 0, all, Some(r#"<<- MSG_PAYLOAD: ["hi \"you\"\x01"]"#));
        check_payload(b"", 0, all, None);
        let head = b"NATS/1.0\r\na: b\r\n\r\nbody";
        check_payload(head, 18, all, Some(r#"<<- MSG_PAYLOAD: ["NATS/1.0\r\na: b\r\n\r\nbody"]"#));
        let out = payload(Direction::Out, b"x", 0, all);
        assert_eq!(out.as_deref(), Some(r#"->> MSG_PAYLOAD: ["x"]"#));
    }

    #[test]
    fn payloads_are_cut_to_the_traced_length() {
        let view = PayloadView { max_len: 3, headers_only: false };
        check_payload(b"abc", 0, view, Some(r#"<<- MSG_PAYLOAD: ["abc"]"#));
        check_payload(b"abcd", 0, view, Some(r#"<<- MSG_PAYLOAD: ["abc..."]"#));
        check_payload(b"a\"\nd", 0, view, Some(r#"<<- MSG_PAYLOAD: ["a\"\n..."]"#));
        check_payload(
            "aä€".as_bytes(),
            0,
            PayloadView { max_len: 2, ..view },
            Some(r#"<<- MSG_PAYLOAD: ["a\xc3..."]"#),
        );
    }

    #[test]
    fn trace_headers_shows_the_header_block_only() {
        let view = PayloadView { max_len: 0, headers_only: true };
        check_payload(
            b"NATS/1.0\r\na: b\r\n\r\nbody",
            18,
            view,
            Some(r#"<<- MSG_PAYLOAD: ["NATS/1.0\r\na: b"]"#),
        );
        check_payload(b"body", 0, view, None);
        let cut = PayloadView { max_len: 4, ..view };
        check_payload(b"NATS/1.0\r\na: b\r\n\r\nbody", 18, cut, Some(r#"<<- MSG_PAYLOAD: ["NATS..."]"#));
    }

    #[test]
    fn secrets_of_a_connect_are_redacted() {
        for (raw, want) in [
            (r#"{"user":"u","pass":"p"}"#, r#"{"user":"u","pass":"[REDACTED]"}"#),
            (r#"{"password": "p,x"}"#, r#"{"password": "[REDACTED],x"}"#),
            (r#"{"auth_token":"t","name":"n"}"#, r#"{"auth_token":"[REDACTED]","name":"n"}"#),
            (r#"{"pass":""}"#, r#"{"pass":"[REDACTED]"}"#),
            (r#"{"pass":null,"x":1}"#, r#"{"pass":[REDACTED],"x":1}"#),
            (r#"{"nkey":"U","sig":"S","jwt":"J"}"#, r#"{"nkey":"[REDACTED]","sig":"[REDACTED]","jwt":"J"}"#),
            (r#"{"proxy_sig":"S"}"#, r#"{"proxy_sig":"[REDACTED]"}"#),
            (r#"{"my_sig":"S","signal":"x","nkeys":"y"}"#, r#"{"my_sig":"S","signal":"x","nkeys":"y"}"#),
            ("pass=p", "pass=[REDACTED]"),
            ("sig = s", "sig = [REDACTED]"),
            (r#"{"passport":"p"}"#, r#"{"passport":"[REDACTED]"}"#),
        ] {
            check_redacted(raw, want);
        }
    }

    #[test]
    fn secrets_that_are_hard_to_find_hide_the_whole() {
        for raw in [
            r#"{"PASS":"hush"}"#,
            r#"{"pass":"a,hush"}"#,
            r#"{"pass":"a}hush"}"#,
            r#"{"pass":"a\"hush"}"#,
            r#"{"Auth_Token":"hush","pass":"x"}"#,
            r#"{"p\u0061ss":"hush"}"#,
            r#"{"jwt":"\u0065yJh.eyJi.hush"}"#,
            // Nobody can read these.
            r#"{"user":"ann","pass":"a\"hush""#,
            r#"{"PASS":"hush""#,
            r#"{"pass":"a,hush""#,
            r#"{"p\u0061ss":"hush""#,
        ] {
            assert_eq!(connect(raw.as_bytes()), "<<- [CONNECT [REDACTED]]", "{raw}");
        }
        let plain = r#"{"user":"ann","pass":"hush"}"#;
        assert_eq!(connect(plain.as_bytes()), r#"<<- [CONNECT {"user":"ann","pass":"[REDACTED]"}]"#);
        assert_eq!(connect(br#"{"user":"ann""#), r#"<<- [CONNECT {"user":"ann"]"#);
    }

    #[test]
    fn tokens_are_shown_without_their_signature() {
        for (raw, want) in [
            (r#"{"jwt":"eyJh.eyJi.hush","name":"a"}"#, r#"{"jwt":"eyJh.eyJi.[REDACTED]","name":"a"}"#),
            (
                r#"{"jwt":"eyJh.b.-_","jwt":"eyJh.b.c"}"#,
                r#"{"jwt":"eyJh.b.[REDACTED]","jwt":"eyJh.b.[REDACTED]"}"#,
            ),
            (r#"{"jwt":"eyJh.eyJi"}"#, r#"{"jwt":"eyJh.eyJi"}"#),
            (r#"{"jwt":"JW"}"#, r#"{"jwt":"JW"}"#),
        ] {
            assert_eq!(connect(raw.as_bytes()), format!("<<- [CONNECT {want}]"));
        }
    }

    #[test]
    fn redaction_hides_too_much_rather_than_too_little_as_the_reference() {
        check_redacted(r#"{"name":"passenger","user":"bob"}"#, r#"{"name":"passenger","user":"[REDACTED]"}"#);
        check_redacted(r#"{"name":"pass ","user":"bob"}"#, r#"{"name":"pass ","user":"bob"}"#);
        check_redacted(r#"{"name":"pass : x"}"#, r#"{"name":"pass : [REDACTED]"}"#);
    }

    #[test]
    fn a_traced_connect_shows_no_secret() {
        assert_eq!(connect(br#"{"pass":"p"}"#), r#"<<- [CONNECT {"pass":"[REDACTED]"}]"#);
    }

    #[test]
    fn what_holds_no_secret_is_not_copied() {
        assert!(matches!(redact(br#"{"verbose":false}"#), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_redaction(data: Vec<u8>, text in "[a-z_\": =,}\\n]{0,40}(pass|sig|nkey|auth_token)?[ \":=]{0,4}.{0,9}") {
            fuzz_redact(&data);
            fuzz_redact(text.as_bytes());
        }
    }
}
