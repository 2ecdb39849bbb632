//! The words that operations begin with, and who may say them.

use super::op::Kind;

/// What a word stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Connect,
    Info,
    Ping,
    Pong,
    Ok,
    Err,
    Pub,
    Hpub,
    Sub,
    Unsub,
    RouteSub,
    RouteUnsub,
    LeafSub,
    LeafUnsub,
    RouteMsg,
    LeafMsg,
    HeaderMsg,
    AccountSub,
    AccountUnsub,
}

/// What follows the word on its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// At least one space or tab, then arguments.
    Arguments,
    /// Arguments, which may follow at once.
    Attached,
    /// Anything, ignored.
    Ignored,
}

/// One word. States are the reference's numbers, which its log lines show.
#[derive(Debug)]
pub(super) struct Word {
    /// In lower case.
    pub(super) text: &'static [u8],
    pub(super) code: Code,
    pub(super) rest: Rest,
    /// The state after each byte of the word.
    pub(super) states: &'static [u8],
    /// The state while arguments are read.
    pub(super) argument_state: u8,
    kinds: &'static [Kind],
}

use Kind::{Client, Gateway, Leafnode, Router};

const ALL: &[Kind] = &[Client, Router, Gateway, Leafnode];
const CLIENT: &[Kind] = &[Client];
const ROUTER_GATEWAY: &[Kind] = &[Router, Gateway];
const ROUTER_LEAF: &[Kind] = &[Router, Leafnode];
const GATEWAY: &[Kind] = &[Gateway];

const fn word(
    text: &'static [u8],
    code: Code,
    rest: Rest,
    kinds: &'static [Kind],
    states: &'static [u8],
    argument_state: u8,
) -> Word {
    Word { text, code, rest, states, argument_state, kinds }
}

#[rustfmt::skip]
static WORDS: [Word; 19] = [
    word(b"pub", Code::Pub, Rest::Arguments, CLIENT, &[29, 30, 31], 33),
    word(b"hpub", Code::Hpub, Rest::Arguments, CLIENT, &[18, 19, 20, 21], 23),
    word(b"sub", Code::Sub, Rest::Arguments, CLIENT, &[43, 44, 45], 47),
    word(b"unsub", Code::Unsub, Rest::Arguments, CLIENT, &[59, 60, 61, 62, 63], 65),
    word(b"ping", Code::Ping, Rest::Ignored, ALL, &[29, 34, 35, 36], 36),
    word(b"pong", Code::Pong, Rest::Ignored, ALL, &[29, 37, 38, 39], 39),
    word(b"rmsg", Code::RouteMsg, Rest::Arguments, ROUTER_GATEWAY, &[57, 66, 67, 68], 70),
    word(b"hmsg", Code::HeaderMsg, Rest::Arguments, ALL, &[18, 24, 25, 26], 28),
    word(b"lmsg", Code::LeafMsg, Rest::Arguments, ROUTER_LEAF, &[55, 66, 67, 68], 70),
    word(b"rs+", Code::RouteSub, Rest::Arguments, ROUTER_GATEWAY, &[57, 58, 45], 47),
    word(b"rs-", Code::RouteUnsub, Rest::Arguments, ROUTER_GATEWAY, &[57, 58, 63], 65),
    word(b"ls+", Code::LeafSub, Rest::Arguments, ROUTER_LEAF, &[55, 56, 45], 47),
    word(b"ls-", Code::LeafUnsub, Rest::Arguments, ROUTER_LEAF, &[55, 56, 63], 65),
    word(b"a+", Code::AccountSub, Rest::Arguments, GATEWAY, &[48, 49], 51),
    word(b"a-", Code::AccountUnsub, Rest::Arguments, GATEWAY, &[48, 52], 54),
    word(b"connect", Code::Connect, Rest::Attached, ALL, &[10, 11, 12, 13, 14, 15, 16], 17),
    word(b"info", Code::Info, Rest::Attached, ALL, &[71, 72, 73, 74], 75),
    word(b"+ok", Code::Ok, Rest::Ignored, ALL, &[1, 2, 3], 3),
    word(b"-err", Code::Err, Rest::Arguments, ALL, &[4, 5, 6, 7], 9),
];

/// State in which a payload's CR is due.
pub(super) const STATE_PAYLOAD_CR: u8 = 41;
/// State in which a payload's LF is due.
pub(super) const STATE_PAYLOAD_LF: u8 = 42;

/// What the first bytes of an operation say.
#[derive(Debug)]
pub(super) enum Found {
    /// The whole word is there.
    Word(&'static Word),
    /// All bytes so far fit a word; more are needed.
    Partly,
    /// The byte at `offset` fits no word.
    Nothing { state: u8, offset: usize },
}

/// The word that `code` stands for.
pub(super) fn of(code: Code) -> Option<&'static Word> {
    WORDS.iter().find(|word| word.code == code)
}

/// Finds the word that `input` begins with among those that a peer of this kind may say.
pub(super) fn find(kind: Kind, input: &[u8]) -> Found {
    let (mut state, mut offset) = (0, 0);
    for word in WORDS.iter().filter(|word| word.kinds.contains(&kind)) {
        let same =
            input.iter().zip(word.text).take_while(|(have, want)| have.eq_ignore_ascii_case(want)).count();
        if same == word.text.len() {
            return Found::Word(word);
        }
        if same > offset {
            offset = same;
            state = same.checked_sub(1).and_then(|last| word.states.get(last)).copied().unwrap_or(0);
        }
    }
    if offset == input.len() { Found::Partly } else { Found::Nothing { state, offset } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_word_has_its_state() {
        assert!(WORDS.iter().all(|word| word.states.len() == word.text.len()));
    }

    #[test]
    fn no_word_begins_another() {
        for one in &WORDS {
            assert_eq!(WORDS.iter().filter(|other| other.text.starts_with(one.text)).count(), 1);
        }
    }
}
