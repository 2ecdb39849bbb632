//! Subject transforms: one subject pattern to another, with functions in the destination.
//!
//! `orders.*.*` to `shop.$2.{{partition(3,1)}}`: the destination's tokens are literals or functions
//! of the subject's tokens at the source's wildcards. A closing `>` copies what is left.
//!
//! Pure: chance comes in as a function that gives a number below its argument.

use super::subject::{self, REST, is_valid_literal, token_count, tokens};

/// Why a transform or mapping was refused; the texts are shown to users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// Source and destination have not the same shape, or one is no subject.
    #[error("invalid subject")]
    InvalidSubject,
    /// `{{name(..)}}` with a name that is none.
    #[error("invalid mapping destination: unknown function in {token}")]
    UnknownFunction {
        /// The destination's token.
        token: String,
    },
    /// A wildcard that the source has not. With a literal source, any use of a wildcard.
    #[error("invalid mapping destination: wildcard index out of range in {token}")]
    IndexOutOfRange {
        /// The destination's token, and the index if the source has wildcards at all.
        token: String,
    },
    /// A function that needs more.
    #[error("invalid mapping destination: not enough arguments passed to the function in {token}")]
    NotEnoughArguments {
        /// The destination's token.
        token: String,
    },
    /// A function that takes fewer.
    #[error("invalid mapping destination: too many arguments passed to the function in {token}")]
    TooManyArguments {
        /// The destination's token.
        token: String,
    },
    /// An argument that is no number, or a separator with a space or dot.
    #[error("invalid mapping destination: function argument is invalid or in the wrong format in {token}")]
    InvalidArgument {
        /// The destination's token.
        token: String,
    },
    /// A mapping destination that is no subject.
    #[error("invalid mapping destination: invalid transform{}", in_token(.token))]
    InvalidTransform {
        /// The destination's token, if it is one of them.
        token: String,
    },
    /// An import that drops a wildcard.
    #[error("invalid mapping destination: not using all of the token wildcard(s) in {destination}")]
    NotUsingAllWildcards {
        /// The whole destination.
        destination: String,
    },
    /// An import that uses more than wildcards.
    #[error(
        "invalid mapping destination: the only mapping function allowed for import transforms is \
         {{{{Wildcard()}}}} in {token}"
    )]
    NotSupportedForImport {
        /// The destination's token.
        token: String,
    },
    /// A mapping that names a destination twice.
    #[error("duplicate entry for {}", crate::server::base::quote::quote(.destination))]
    DuplicateDestination {
        /// The destination.
        destination: String,
    },
    /// A mapping destination of more than 100 %.
    #[error("individual weights need to be <= 100")]
    WeightTooLarge,
    /// Mapping destinations of more than 100 % together.
    #[error("total weight needs to be <= 100")]
    TotalWeightTooLarge,
}

fn in_token(token: &str) -> String {
    if token.is_empty() { String::new() } else { format!(" in {token}") }
}

/// Why a subject was not transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// The subject is not literal or has an empty token.
    #[error("invalid subject")]
    InvalidSubject,
    /// The source does not cover the subject.
    #[error("no matching transforms available")]
    NoMatch,
}

/// What a transform is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Mappings, stream transforms, republish: all functions, wildcards may be dropped.
    Any,
    /// Imports: the transform must be reversible, so only wildcards, and all of them.
    Import,
}

/// A checked transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: Box<[u8]>,
    destination: Box<[u8]>,
    parts: Vec<Part>,
    /// Tokens of the source, for what its `>` covers.
    source_tokens: usize,
}

/// One token of the destination. Source tokens are named by their place from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    Rest,
    Wildcard { token: usize },
    Partition { count: u32, tokens: Vec<usize> },
    Cut { cut: Cut, token: usize, size: i32 },
    Split { token: usize, separator: Box<[u8]> },
    Random { below: u32 },
}

/// Functions of one token and a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    SplitFromLeft,
    SplitFromRight,
    SliceFromLeft,
    SliceFromRight,
    Left,
    Right,
}

impl Transform {
    /// Checks source and destination. An empty source is `>`; an empty destination is no transform.
    ///
    /// # Errors
    /// Shapes that do not fit, or a function that does not exist or has wrong arguments.
    pub fn new(source: &[u8], destination: &[u8], purpose: Use) -> Result<Option<Self>, TransformError> {
        if destination.is_empty() {
            return Ok(None);
        }
        let source = if source.is_empty() { REST } else { source };
        let have = Shape::of(source).ok_or(TransformError::InvalidSubject)?;
        let want = Shape::of(destination).ok_or(TransformError::InvalidSubject)?;
        if !want.wildcards.is_empty() || have.rest != want.rest {
            return Err(TransformError::InvalidSubject);
        }
        let literal_source = have.wildcards.is_empty() && !have.rest;
        let (mut parts, mut used) = (Vec::new(), 0);
        for token in tokens(destination) {
            let function = Function::parse(token)?;
            if purpose == Use::Import && !literal_source && !function.is_reversible() {
                return Err(TransformError::NotSupportedForImport { token: text(token) });
            }
            used += function.wildcards().len();
            parts.push(function.resolve(token, &have.wildcards, literal_source)?);
        }
        if purpose == Use::Import && used < have.wildcards.len() {
            return Err(TransformError::NotUsingAllWildcards { destination: text(destination) });
        }
        Ok(Some(Self {
            source: source.into(),
            destination: destination.into(),
            parts,
            source_tokens: token_count(source),
        }))
    }

    /// What it applies to; `>` if none was given.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The destination as written.
    #[must_use]
    pub fn destination(&self) -> &[u8] {
        &self.destination
    }

    /// The transformed subject.
    ///
    /// # Errors
    /// The subject is not literal, or not covered by the source.
    pub fn map(&self, subject: &[u8], random: &mut dyn FnMut(u32) -> u32) -> Result<Vec<u8>, MatchError> {
        if *self.source == *REST && *self.destination == *REST {
            return Ok(subject.to_vec());
        }
        if !is_valid_literal(subject) {
            return Err(MatchError::InvalidSubject);
        }
        if !subject::is_subset(subject, &self.source) {
            return Err(MatchError::NoMatch);
        }
        let mut out = Vec::with_capacity(self.destination.len() + subject.len());
        self.apply(subject, random, &mut out);
        Ok(out)
    }

    /// Appends the transformed subject without asking whether the source covers `subject`; tokens that
    /// are not there count as empty.
    pub fn apply(&self, subject: &[u8], random: &mut dyn FnMut(u32) -> u32, out: &mut Vec<u8>) {
        let found: Vec<_> = tokens(subject).collect();
        let token = |at: usize| found.get(at).copied().unwrap_or_default();
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                out.push(b'.');
            }
            match part {
                Part::Literal(word) => out.extend_from_slice(word),
                Part::Wildcard { token: at } => out.extend_from_slice(token(*at)),
                Part::Partition { count, tokens } if tokens.is_empty() => {
                    push_number(out, partition(fnv1a(FNV_START, subject), *count));
                }
                Part::Partition { count, tokens } => {
                    let hash = tokens.iter().fold(FNV_START, |hash, &at| fnv1a(hash, token(at)));
                    push_number(out, partition(hash, *count));
                }
                Part::Cut { cut, token: at, size } => cut.apply(token(*at), *size, out),
                Part::Split { token: at, separator } => split(token(*at), separator, out),
                Part::Random { below: 0 } => out.push(b'0'),
                Part::Random { below } => push_number(out, random(*below)),
                Part::Rest => {
                    let left = found.iter().skip(self.source_tokens.saturating_sub(1)).copied();
                    join(left, out);
                }
            }
        }
    }

    /// The transform back, if there is one: only wildcards, each of them once.
    #[must_use]
    pub fn reverse(&self) -> Option<Self> {
        let wildcards = self.wildcards();
        self.back(|referred, nth| referred.iter().position(|at| wildcards.get(nth) == Some(at)))
    }

    /// The transform back as imports of services take it, where the source's nth wildcard becomes what the
    /// nth reference is written as: `a.*.*.*` to `b.$3.$1.$2` takes `b.x.y.z` to `a.z.x.y`. Where three or
    /// more change places in a circle that is not [`Self::reverse`], but it is how the reference
    /// finds the way, and configurations are written for it.
    #[must_use]
    pub fn reverse_as_written(&self) -> Option<Self> {
        let wildcards = self.wildcards();
        self.back(|referred, nth| wildcards.iter().position(|at| referred.get(nth) == Some(at)))
    }

    /// Places of the source's wildcards.
    fn wildcards(&self) -> Vec<usize> {
        let all = tokens(&self.source).enumerate();
        all.filter(|(_, token)| *token == subject::ANY).map(|(at, _)| at).collect()
    }

    /// The transform from the destination to the source. `place` knows which wildcard of the destination
    /// the source's nth is, where those of the destination refer to these tokens of the source.
    fn back(&self, place: impl Fn(&[usize], usize) -> Option<usize>) -> Option<Self> {
        let (mut source, mut referred) = (Vec::new(), Vec::new());
        for (at, part) in self.parts.iter().enumerate() {
            if at > 0 {
                source.push(b'.');
            }
            match part {
                Part::Literal(word) => source.extend_from_slice(word),
                Part::Rest => source.extend_from_slice(REST),
                Part::Wildcard { token } => {
                    referred.push(*token);
                    source.push(b'*');
                }
                _ => return None,
            }
        }
        let (mut destination, mut nth) = (Vec::new(), 0);
        for (at, token) in tokens(&self.source).enumerate() {
            if at > 0 {
                destination.push(b'.');
            }
            if token == subject::ANY {
                destination.push(b'$');
                destination.extend_from_slice((place(&referred, nth)? + 1).to_string().as_bytes());
                nth += 1;
            } else {
                destination.extend_from_slice(token);
            }
        }
        Self::new(&source, &destination, Use::Import).ok().flatten()
    }
}

/// The wildcards of a pattern replaced by references to them: `a.*.*` gives `a.$1.$2`.
#[must_use]
pub fn with_references(pattern: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pattern.len() + 8);
    let mut count = 0;
    for (at, token) in tokens(pattern).enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        if token == subject::ANY {
            count += 1;
            out.push(b'$');
            push_number(&mut out, count);
        } else {
            out.extend_from_slice(token);
        }
    }
    out
}

/// References to wildcards as the wildcards they stand for: `a.$2.{{wildcard(1)}}` gives `a.*.*`.
#[must_use]
pub fn with_wildcards(subject: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(subject.len());
    for (at, token) in tokens(subject).enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(if is_reference(token) { subject::ANY } else { token });
    }
    out
}

fn is_reference(token: &[u8]) -> bool {
    let number = token.strip_prefix(b"$").is_some_and(|rest| matches!(rest.first(), Some(b'1'..=b'9')));
    number
        || Call::parse(token).is_some_and(|call| {
            call.known() == Some(Name::Wildcard) && call.arguments.is_some_and(|inside| !inside.is_empty())
        })
}

/// Checks the destination of an account mapping, which may use fewer characters than other
/// transforms. An empty destination is fine.
///
/// # Errors
/// As [`Transform::new`]; besides, white space is refused.
pub fn check_mapping(source: &[u8], destination: &[u8]) -> Result<(), TransformError> {
    if destination.is_empty() {
        return Ok(());
    }
    let mut ended = false;
    for token in tokens(destination) {
        if token.is_empty() || ended {
            return Err(TransformError::InvalidTransform { token: text(token) });
        }
        if let Some(call) = Call::parse(token) {
            if call.known().is_none() {
                return Err(TransformError::UnknownFunction { token: text(token) });
            }
        } else if token == REST {
            ended = true;
        } else if token.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c')) {
            return Err(TransformError::InvalidTransform { token: String::new() });
        }
    }
    Transform::new(source, destination, Use::Any).map(|_| ())
}

/// What a subject looks like, if it is valid.
struct Shape {
    /// Places of `*` tokens.
    wildcards: Vec<usize>,
    rest: bool,
}

impl Shape {
    fn of(subject: &[u8]) -> Option<Self> {
        if !subject::is_valid_for_sub(subject) {
            return None;
        }
        let places = tokens(subject).enumerate();
        let wildcards = places.filter(|(_, token)| *token == subject::ANY).map(|(at, _)| at).collect();
        Some(Self { wildcards, rest: tokens(subject).last() == Some(REST) })
    }
}

/// The functions by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Wildcard,
    Partition,
    Split,
    Random,
    Cut(Cut),
}

/// Capitals may be small letters too, everything else stands as it is.
const NAMES: [(&[u8], Name); 10] = [
    (b"Wildcard", Name::Wildcard),
    (b"Partition", Name::Partition),
    (b"SplitFromLeft", Name::Cut(Cut::SplitFromLeft)),
    (b"SplitFromRight", Name::Cut(Cut::SplitFromRight)),
    (b"SliceFromLeft", Name::Cut(Cut::SliceFromLeft)),
    (b"SliceFromRight", Name::Cut(Cut::SliceFromRight)),
    (b"Right", Name::Cut(Cut::Right)),
    (b"Left", Name::Cut(Cut::Left)),
    (b"Split", Name::Split),
    (b"Random", Name::Random),
];

/// `{{ name ( arguments ) }}`, or at least the braces.
struct Call<'a> {
    name: &'a [u8],
    arguments: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    fn parse(token: &'a [u8]) -> Option<Self> {
        let inside = token.strip_prefix(b"{{")?.strip_suffix(b"}}").filter(|inside| !inside.is_empty())?;
        let inside = trim(inside);
        let open = memchr::memchr(b'(', inside).unwrap_or(inside.len());
        let (name, rest) = inside.split_at_checked(open)?;
        let arguments = rest.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")"));
        Some(Self { name: trim(name), arguments })
    }

    fn known(&self) -> Option<Name> {
        self.arguments?;
        let same = |want: &[u8]| {
            self.name.len() == want.len()
                && self
                    .name
                    .iter()
                    .zip(want)
                    .all(|(have, want)| have == want || *have == want.to_ascii_lowercase())
        };
        NAMES.iter().find(|(want, _)| same(want)).map(|(_, name)| *name)
    }
}

/// Without spaces, tabs and line ends around it.
fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// A token of the destination before its wildcards are looked up in the source.
enum Function {
    Literal,
    Wildcard(i64),
    Partition { count: u32, wildcards: Vec<i64> },
    Cut { cut: Cut, wildcard: i64, size: i32 },
    Split { wildcard: i64, separator: Box<[u8]> },
    Random { below: u32 },
}

impl Function {
    fn parse(token: &[u8]) -> Result<Self, TransformError> {
        if let Some(index) = token.strip_prefix(b"$") {
            // Other things begin with `$` too, so what is no number is a literal.
            return Ok(integer(index).map_or(Self::Literal, Self::Wildcard));
        }
        let Some(call) = Call::parse(token) else { return Ok(Self::Literal) };
        let (Some(name), Some(arguments)) = (call.known(), call.arguments) else {
            return Err(TransformError::UnknownFunction { token: text(token) });
        };
        let arguments = split_arguments(arguments);
        let invalid = || TransformError::InvalidArgument { token: text(token) };
        let number = |raw: &[u8]| integer(trim_spaces(raw)).ok_or_else(invalid);
        match (name, arguments.as_slice()) {
            (Name::Wildcard, [b""]) => Err(TransformError::NotEnoughArguments { token: text(token) }),
            (Name::Wildcard, [index]) => Ok(Self::Wildcard(number(index)?)),
            (Name::Partition, [count, indexes @ ..]) => {
                let count = wrapped(number(count)?).ok_or_else(invalid)?.cast_unsigned();
                let wildcards = indexes.iter().map(|index| number(index)).collect::<Result<_, _>>()?;
                Ok(Self::Partition { count, wildcards })
            }
            (Name::Random, [below]) => {
                let below = wrapped(number(below)?).ok_or_else(invalid)?.unsigned_abs();
                Ok(Self::Random { below })
            }
            (Name::Cut(cut), [index, size]) => {
                let wildcard = number(index)?;
                let size = i32::try_from(number(size)?).map_err(|_| invalid())?;
                Ok(Self::Cut { cut, wildcard, size })
            }
            (Name::Split, [index, separator]) => {
                let wildcard = number(index)?;
                if separator.contains(&b' ') || separator.contains(&b'.') {
                    return Err(invalid());
                }
                Ok(Self::Split { wildcard, separator: (*separator).into() })
            }
            // The reference says "not enough" for too many here.
            (Name::Random | Name::Partition, _) => {
                Err(TransformError::NotEnoughArguments { token: text(token) })
            }
            (Name::Cut(_) | Name::Split, short) if short.len() < 2 => {
                Err(TransformError::NotEnoughArguments { token: text(token) })
            }
            (Name::Wildcard | Name::Cut(_) | Name::Split, _) => {
                Err(TransformError::TooManyArguments { token: text(token) })
            }
        }
    }

    const fn is_reversible(&self) -> bool {
        matches!(self, Self::Literal | Self::Wildcard(_))
    }

    fn wildcards(&self) -> &[i64] {
        match self {
            Self::Literal | Self::Random { .. } => &[],
            Self::Wildcard(index) => std::slice::from_ref(index),
            Self::Partition { wildcards, .. } => wildcards,
            Self::Cut { wildcard, .. } | Self::Split { wildcard, .. } => std::slice::from_ref(wildcard),
        }
    }

    /// Looks the wildcards up: `places` are those of the source.
    fn resolve(self, token: &[u8], places: &[usize], literal_source: bool) -> Result<Part, TransformError> {
        if literal_source {
            return match self {
                Self::Literal => Ok(literal(token)),
                Self::Partition { count, .. } => Ok(Part::Partition { count, tokens: Vec::new() }),
                Self::Random { below } => Ok(Part::Random { below }),
                _ => Err(TransformError::IndexOutOfRange { token: text(token) }),
            };
        }
        // Index 0 and below is the first token, as in the reference.
        let place = |index: i64| match usize::try_from(index) {
            Err(_) | Ok(0) => Ok(0),
            Ok(index) => places.get(index - 1).copied().ok_or_else(|| TransformError::IndexOutOfRange {
                token: format!("{}: [{index}]", text(token)),
            }),
        };
        Ok(match self {
            Self::Literal => literal(token),
            Self::Wildcard(index) => Part::Wildcard { token: place(index)? },
            Self::Partition { count, wildcards } => {
                Part::Partition { count, tokens: wildcards.into_iter().map(place).collect::<Result<_, _>>()? }
            }
            Self::Cut { cut, wildcard, size } => Part::Cut { cut, token: place(wildcard)?, size },
            Self::Split { wildcard, separator } => Part::Split { token: place(wildcard)?, separator },
            Self::Random { below } => Part::Random { below },
        })
    }
}

fn literal(token: &[u8]) -> Part {
    if token == REST { Part::Rest } else { Part::Literal(token.into()) }
}

/// Arguments between commas, without white space behind the commas.
fn split_arguments(raw: &[u8]) -> Vec<&[u8]> {
    let mut arguments = Vec::new();
    for (at, argument) in raw.split(|&byte| byte == b',').enumerate() {
        arguments.push(if at == 0 { argument } else { argument.trim_ascii_start() });
    }
    arguments
}

fn trim_spaces(mut raw: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = raw {
        raw = rest;
    }
    raw
}

/// A decimal number with optional sign.
fn integer(raw: &[u8]) -> Option<i64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

/// A number that may not pass 2^31 - 1; far below, it wraps as in the reference.
#[expect(clippy::cast_possible_truncation, reason = "the reference wraps numbers below -2^31")]
fn wrapped(value: i64) -> Option<i32> {
    (value <= i64::from(i32::MAX)).then_some(value as i32)
}

impl Cut {
    fn apply(self, token: &[u8], size: i32, out: &mut Vec<u8>) {
        let size = usize::try_from(size).unwrap_or(0);
        if size == 0 || size >= token.len() {
            out.extend_from_slice(token);
            return;
        }
        let from_end = token.len() - size;
        match self {
            Self::SplitFromLeft => push_halves(token, size, out),
            Self::SplitFromRight => push_halves(token, from_end, out),
            Self::SliceFromLeft => join(token.chunks(size), out),
            Self::SliceFromRight => {
                let (first, rest) = token.split_at_checked(token.len() % size).unwrap_or_default();
                let first = Some(first).filter(|first| !first.is_empty());
                join(first.into_iter().chain(rest.chunks(size)), out);
            }
            Self::Left => out.extend_from_slice(token.get(..size).unwrap_or_default()),
            Self::Right => out.extend_from_slice(token.get(from_end..).unwrap_or_default()),
        }
    }
}

fn push_halves(token: &[u8], at: usize, out: &mut Vec<u8>) {
    let (left, right) = token.split_at_checked(at).unwrap_or_default();
    join([left, right], out);
}

/// The parts between separators that are not empty, joined by dots. Without a separator every
/// character is a part.
fn split(token: &[u8], separator: &[u8], out: &mut Vec<u8>) {
    if separator.is_empty() {
        let text = String::from_utf8_lossy(token);
        let mut buffer = [0; 4];
        for (at, character) in text.chars().enumerate() {
            if at > 0 {
                out.push(b'.');
            }
            out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        }
        return;
    }
    let mut rest = Some(token);
    let parts = std::iter::from_fn(|| {
        let have = rest?;
        let Some(at) = memchr::memmem::find(have, separator) else {
            rest = None;
            return Some(have);
        };
        rest = have.get(at + separator.len()..);
        have.get(..at)
    });
    join(parts.filter(|part| !part.is_empty()), out);
}

fn join<'a>(parts: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        out.extend_from_slice(part);
    }
}

const FNV_START: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// FNV-1a, 32 bits, continued from `hash`.
fn fnv1a(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME))
}

fn partition(hash: u32, count: u32) -> u32 {
    hash.checked_rem(count).unwrap_or(0)
}

fn push_number(out: &mut Vec<u8>, value: u32) {
    super::encode::number(out, value.into());
}

fn text(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).into_owned()
}

/// Makes transforms of arbitrary bytes and applies them; for fuzzing.
#[doc(hidden)]
pub fn fuzz_transform(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == b'\n');
    let (Some(source), Some(destination)) = (parts.next(), parts.next()) else { return };
    let subject = parts.next().unwrap_or_default();
    let _ = check_mapping(source, destination);
    for purpose in [Use::Any, Use::Import] {
        if let Ok(Some(transform)) = Transform::new(source, destination, purpose) {
            let _ = transform.map(subject, &mut |below| below - 1);
            transform.apply(subject, &mut |_| 0, &mut Vec::new());
            let _ = transform.reverse();
        }
    }
    let _ = with_references(source);
}

#[cfg(test)]
#[path = "transform_test.rs"]
mod tests;
