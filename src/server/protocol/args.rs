//! Arguments of a control line: splitting, numbers, and what each operation makes of them.

use super::error::ParseError;
use super::op::{LinkSubscribe, LinkUnsubscribe, Queues, Subscribe, Unsubscribe};
use crate::server::base::quote::quote;

/// Most decimal digits of a size. Reference: nine, so that a size fits an int32.
pub const SIZE_DIGITS_MAX: usize = 9;

/// A size or count: one to nine decimal digits and nothing else; leading zeros are fine.
#[must_use]
pub fn size(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > SIZE_DIGITS_MAX {
        return None;
    }
    let mut value = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + usize::from(digit);
    }
    Some(value)
}

/// Whether a byte separates arguments everywhere but in PUB and HPUB, where CR and LF do not.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The arguments one after the other, runs of space, tab, CR and LF between them.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Splits `raw`.
    #[must_use]
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw }
    }

    /// What has not been handed out yet, without separators at its ends.
    fn remainder(self) -> &'a [u8] {
        let start = self.rest.iter().position(|&byte| !is_separator(byte)).unwrap_or(self.rest.len());
        let end = self.rest.iter().rposition(|&byte| !is_separator(byte)).map_or(start, |last| last + 1);
        self.rest.get(start..end).unwrap_or_default()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|&byte| !is_separator(byte))?;
        let rest = self.rest.get(start..)?;
        let end = rest.iter().position(|&byte| is_separator(byte)).unwrap_or(rest.len());
        let (field, rest) = rest.split_at_checked(end)?;
        self.rest = rest;
        Some(field)
    }
}

impl DoubleEndedIterator for Fields<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let end = self.rest.iter().rposition(|&byte| !is_separator(byte))? + 1;
        let rest = self.rest.get(..end)?;
        let start = rest.iter().rposition(|&byte| is_separator(byte)).map_or(0, |last| last + 1);
        let (rest, field) = rest.split_at_checked(start)?;
        self.rest = rest;
        Some(field)
    }
}

/// Exactly `N` arguments, or `None` for fewer or more.
fn exactly<const N: usize>(raw: &[u8]) -> Option<[&[u8]; N]> {
    let mut fields = Fields::new(raw);
    let mut out = [[].as_slice(); N];
    for slot in &mut out {
        *slot = fields.next()?;
    }
    fields.next().is_none().then_some(out)
}

/// `<subject> [queue] <sid>`
pub(super) fn subscribe(raw: &[u8]) -> Result<Subscribe<'_>, ParseError> {
    if let Some([subject, sid]) = exactly(raw) {
        return Ok(Subscribe { subject, queue: None, sid });
    }
    if let Some([subject, queue, sid]) = exactly(raw) {
        return Ok(Subscribe { subject, queue: Some(queue), sid });
    }
    Err(refuse(format!("processSub Parse Error: {}", quote(raw))))
}

/// `<sid> [max]`
pub(super) fn unsubscribe(raw: &[u8]) -> Result<Unsubscribe<'_>, ParseError> {
    if let Some([sid]) = exactly(raw) {
        return Ok(Unsubscribe { sid, max: None });
    }
    if let Some([sid, max]) = exactly(raw) {
        let max = size(max).filter(|&max| max > 0).and_then(|max| u64::try_from(max).ok());
        return Ok(Unsubscribe { sid, max });
    }
    Err(refuse(format!("processUnsub Parse Error: {}", quote(raw))))
}

/// Which arguments a link leaves out or adds; agreed in its handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkForm {
    /// Operations carry no account: leaf connections, and routes pinned to one account.
    pub account_implied: bool,
    /// `LS+` and `LMSG` begin with the leaf node's cluster: between cluster peers.
    pub leaf_origin: bool,
    /// `LS-` begins with it too: peers that announced `lnocu`.
    pub unsub_origin: bool,
}

/// The leading arguments that depend on the form of the link.
struct Lead<'a> {
    origin: &'a [u8],
    account: &'a [u8],
    subject: &'a [u8],
}

/// Takes origin, account and subject off `fields`; `None` when there are not enough.
fn lead<'a>(fields: &mut Fields<'a>, origin: bool, account: bool) -> Option<Lead<'a>> {
    Some(Lead {
        origin: if origin { fields.next()? } else { &[] },
        account: if account { fields.next()? } else { &[] },
        subject: fields.next()?,
    })
}

/// Says which of the reference's functions would have complained, for the log text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    Route,
    Gateway,
    Leaf,
}

/// `[origin] [account] <subject> [queue weight]`
pub(super) fn link_subscribe(
    raw: &[u8],
    leaf: bool,
    form: LinkForm,
    speaker: Speaker,
) -> Result<LinkSubscribe<'_>, ParseError> {
    let parse = || {
        let mut fields = Fields::new(raw);
        let lead = lead(&mut fields, leaf && form.leaf_origin, !form.account_implied)?;
        let (queue, weight) = match (fields.next(), fields.next(), fields.next()) {
            (None, _, _) => (None, 0),
            (Some(queue), Some(weight), None) => {
                (Some(queue), size(weight).and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0))
            }
            _ => return None,
        };
        let Lead { origin, account, subject } = lead;
        Some(LinkSubscribe { leaf, origin, account, subject, queue, weight })
    };
    parse().ok_or_else(|| {
        let text = String::from_utf8_lossy(raw);
        refuse(match speaker {
            Speaker::Route => {
                let prefix = if leaf { 'L' } else { 'R' };
                format!("processRemoteSub Parse Error: '{prefix} {text}'")
            }
            Speaker::Gateway => format!("processGatewaySubjectSub Parse Error: '{text}'"),
            Speaker::Leaf => format!("processLeafSub Parse Error: '{text}'"),
        })
    })
}

/// `[origin] [account] <subject> [queue]`
pub(super) fn link_unsubscribe(
    raw: &[u8],
    leaf: bool,
    form: LinkForm,
    speaker: Speaker,
) -> Result<LinkUnsubscribe<'_>, ParseError> {
    let parse = || {
        let mut fields = Fields::new(raw);
        let lead = lead(&mut fields, leaf && form.unsub_origin, !form.account_implied)?;
        let rest = fields.remainder();
        // A leaf node's line is never refused: with more words it names a group that nobody has.
        if speaker != Speaker::Leaf && Fields::new(rest).count() > 1 {
            return None;
        }
        let Lead { origin, account, subject } = lead;
        let queue = (!rest.is_empty()).then_some(rest);
        Some(LinkUnsubscribe { leaf, origin, account, subject, queue })
    };
    parse().ok_or_else(|| {
        let text = String::from_utf8_lossy(raw);
        refuse(match speaker {
            Speaker::Route => format!("processRemoteUnsub parse error: '{text}'"),
            Speaker::Gateway => format!("processGatewaySubjectUnsub parse error: '{text}'"),
            Speaker::Leaf => format!("processLeafUnsub parse error: '{text}'"),
        })
    })
}

/// The control line of RMSG, LMSG or HMSG, before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkMessageLine<'a> {
    pub(super) origin: &'a [u8],
    pub(super) account: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) reply: &'a [u8],
    pub(super) queues: Queues<'a>,
    pub(super) header_len: Option<usize>,
    pub(super) header_text: &'a [u8],
    pub(super) size_text: &'a [u8],
    pub(super) size: usize,
}

/// What the line of a message on a link consists of.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageForm {
    pub(super) origin: bool,
    pub(super) account: bool,
    pub(super) header: bool,
    /// The reference's function, for the log text.
    pub(super) name: &'static str,
}

/// `[origin] [account] <subject> [reply] [header size] <size>`, where instead of the reply there may
/// be `+ <reply> <queue>..` or `| <queue>..`.
pub(super) fn link_message(raw: &[u8], form: MessageForm) -> Result<LinkMessageLine<'_>, ParseError> {
    let name = form.name;
    let arity = || refuse(format!("{name} Parse Error: '{}'", all_words(raw)));
    let mut fields = Fields::new(raw);
    let Lead { origin, account, subject } = lead(&mut fields, form.origin, form.account).ok_or_else(arity)?;
    let size_text = fields.next_back().ok_or_else(arity)?;
    let header_text = if form.header { fields.next_back().ok_or_else(arity)? } else { &[] };
    let (reply, queues) = reply_and_queues(fields).map_err(|indicator| {
        refuse(format!("{name} Bad or Missing Reply Indicator: '{}'", String::from_utf8_lossy(indicator)))
    })?;
    let header_len = if form.header {
        Some(size(header_text).ok_or_else(|| {
            refuse(format!("{name} Bad or Missing Header Size: '{}'", String::from_utf8_lossy(raw)))
        })?)
    } else {
        None
    };
    let size =
        size(size_text).ok_or_else(|| refuse(format!("{name} Bad or Missing Size: '{}'", all_words(raw))))?;
    if header_len.is_some_and(|header| header > size) {
        let text = String::from_utf8_lossy(raw);
        return Err(refuse(format!("{name} Header Size larger then TotalSize: '{text}'")));
    }
    Ok(LinkMessageLine { origin, account, subject, reply, queues, header_len, header_text, size_text, size })
}

/// One word is a reply; more begin with an indicator.
fn reply_and_queues(fields: Fields<'_>) -> Result<(&[u8], Queues<'_>), &[u8]> {
    let mut rest = fields.clone();
    match (rest.next(), rest.next()) {
        (None, _) => Ok((&[], Queues::default())),
        (Some(reply), None) => Ok((reply, Queues::default())),
        (Some(b"+"), Some(reply)) => Ok((reply, Queues(rest.remainder()))),
        (Some(b"|"), Some(_)) => {
            let mut names = fields;
            let _indicator = names.next();
            Ok((&[], Queues(names.remainder())))
        }
        (Some(other), Some(_)) => Err(other),
    }
}

/// All arguments as Go prints a list of words: `[a b c]`.
fn all_words(raw: &[u8]) -> String {
    let texts: Vec<_> = Fields::new(raw).map(String::from_utf8_lossy).collect();
    format!("[{}]", texts.join(" "))
}

pub(super) fn refuse(text: String) -> ParseError {
    ParseError::Arguments(text.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_one_to_nine_digits() {
        for (text, want) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("999999999", Some(999_999_999)),
            ("", None),
            ("1000000000", None),
            ("-1", None),
            ("1 ", None),
            ("/", None),
            (":", None),
        ] {
            assert_eq!(size(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn fields_come_from_either_end() {
        let raw = b" a\tb \r c\n";
        assert_eq!(Fields::new(raw).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        assert_eq!(Fields::new(raw).rev().collect::<Vec<_>>(), [b"c", b"b", b"a"]);
        let mut fields = Fields::new(raw);
        assert_eq!(
            (fields.next(), fields.next_back(), fields.remainder()),
            (Some(&b"a"[..]), Some(&b"c"[..]), &b"b"[..])
        );
        assert_eq!(Fields::new(b" \t").next(), None);
    }
}
