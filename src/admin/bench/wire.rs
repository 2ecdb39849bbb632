//! Just enough of the NATS protocol to load a server: connect, and count what arrives.
//!
//! Own code on purpose: a client library costs more CPU a message than the server it measures.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use memchr::memchr;
use serde_json::Value;

use crate::server::base::base64::Base64;

/// How long a server may take to answer a connect or a PING before it counts as gone, unless it is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of one protocol line before the peer is taken for something else than a NATS server.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The port of a NATS server that was named without one.
const DEFAULT_PORT: u16 = 4222;

/// Which server, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// Who to be.
    pub login: Login,
    /// How long it may take to answer before it counts as gone.
    pub patience: Duration,
}

/// How to prove oneself in CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// No credentials.
    Nobody,
    /// `nats://token@host`.
    Token(String),
    /// `nats://user:password@host`.
    User {
        /// The user's name.
        name: String,
        /// Its password.
        password: String,
    },
    /// A key that signs the server's nonce, with the claims that name it where there are any.
    Key {
        /// The seed, `SU…`.
        seed: String,
        /// A user's JWT.
        jwt: Option<String>,
    },
}

/// What can go wrong between us and a server.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The address is not one.
    #[error("{0}: not a server address, expected [nats://][user:password@]host[:port]")]
    Address(String),
    /// The network refused.
    #[error("{address}: {source}")]
    Io {
        /// The server.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long to answer, or to read.
    #[error("{address}: no answer within {}", in_words(*patience))]
    Silent {
        /// The server.
        address: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The server answered, but with a refusal or with something that is not NATS.
    #[error("{address}: {said}")]
    Refused {
        /// The server.
        address: String,
        /// Its words, or ours about them.
        said: String,
    },
}

impl Target {
    /// Reads `[nats://][user:password@|token@]host[:port]`.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        let refuse = || WireError::Address(text.to_owned());
        let rest = match text.split_once("://") {
            Some(("nats", rest)) => rest,
            Some(_) => return Err(refuse()),
            None => text,
        };
        let (login, host) = match rest.trim_end_matches('/').rsplit_once('@') {
            Some((login, host)) => (Login::parse(login), host),
            None => (Login::Nobody, rest.trim_end_matches('/')),
        };
        // A colon outside brackets separates the port; an IPv6 address needs the brackets.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, port.parse().map_err(|_| refuse())?),
            _ => (host, DEFAULT_PORT),
        };
        let bracketed = name.starts_with('[') && name.ends_with(']');
        if name.is_empty() || name.contains(':') && !bracketed {
            return Err(refuse());
        }
        Ok(Self { address: format!("{name}:{port}"), login, patience: PATIENCE })
    }

    pub(super) fn io(&self, source: io::Error) -> WireError {
        if matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return WireError::Silent { address: self.address.clone(), patience: self.patience };
        }
        WireError::Io { address: self.address.clone(), source }
    }

    fn refused(&self, said: impl Into<String>) -> WireError {
        WireError::Refused { address: self.address.clone(), said: said.into() }
    }

    fn connect_line(&self, nonce: &str) -> Result<String, WireError> {
        let mut connect = serde_json::json!({
            "verbose": false, "pedantic": false, "echo": true, "headers": true, "no_responders": true,
            "protocol": 1, "lang": "natsx-bench", "version": env!("CARGO_PKG_VERSION"), "name": "natsx bench",
        });
        let proof = self.login.fields(nonce).map_err(|error| self.refused(error))?;
        if let Some(fields) = connect.as_object_mut() {
            fields.extend(proof.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        }
        Ok(format!("CONNECT {connect}\r\nPING\r\n"))
    }
}

/// A span as people say it: `3 s`, `1.5 s`, `200 ms`.
pub(super) fn in_words(span: Duration) -> String {
    match span.as_millis() {
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms % 1_000 < 100 || ms >= 10_000 => format!("{} s", ms / 1_000),
        ms => format!("{:.1} s", ms as f64 / 1e3),
    }
}

/// A span in nanoseconds.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl Login {
    fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((name, password)) => Self::User { name: name.to_owned(), password: password.to_owned() },
            None => Self::Token(text.to_owned()),
        }
    }

    /// Takes a seed (`SU…`) from the text of a file: an nkey file or the seed block of a `.creds`.
    pub fn from_nkey_file(text: &str) -> Result<Self, String> {
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        Ok(Self::Key { seed: seed.ok_or("no user seed (SU...) in the file")?.to_owned(), jwt: None })
    }

    /// Takes the JWT and the seed from the text of a `.creds` file.
    pub fn from_creds_file(text: &str) -> Result<Self, String> {
        let jwt =
            text.lines().map(str::trim).find(|line| line.starts_with("ey")).ok_or("no JWT in the file")?;
        match Self::from_nkey_file(text)? {
            Self::Key { seed, .. } => Ok(Self::Key { seed, jwt: Some(jwt.to_owned()) }),
            other => Ok(other),
        }
    }

    /// The fields of CONNECT that prove it, given the server's nonce.
    fn fields(&self, nonce: &str) -> Result<Vec<(&'static str, String)>, String> {
        Ok(match self {
            Self::Nobody => Vec::new(),
            Self::Token(token) => vec![("auth_token", token.clone())],
            Self::User { name, password } => vec![("user", name.clone()), ("pass", password.clone())],
            Self::Key { seed, jwt } => {
                let key = nkeys::KeyPair::from_seed(seed).map_err(|error| format!("the seed: {error}"))?;
                let signature = key.sign(nonce.as_bytes()).map_err(|error| format!("signing: {error}"))?;
                let who = jwt.clone().map_or_else(|| ("nkey", key.public_key()), |jwt| ("jwt", jwt));
                vec![who, ("sig", Base64::Url.encode(&signature))]
            }
        })
    }
}

/// Connects, logs in and waits until the server has answered a PING.
pub fn connect(target: &Target) -> Result<TcpStream, WireError> {
    let (mut stream, info) = greet(target)?;
    if info.get("tls_required").and_then(Value::as_bool) == Some(true) {
        return Err(target.refused("the server requires TLS, which natsx bench does not speak"));
    }
    let nonce = info.get("nonce").and_then(Value::as_str).unwrap_or_default();
    stream.write_all(target.connect_line(nonce)?.as_bytes()).map_err(|error| target.io(error))?;
    await_pong(target, &mut stream)?;
    Ok(stream)
}

/// What the server says about itself before anybody logs in.
pub fn server_info(target: &Target) -> Result<Value, WireError> {
    greet(target).map(|(_, info)| info)
}

fn greet(target: &Target) -> Result<(TcpStream, Value), WireError> {
    let address = target
        .address
        .to_socket_addrs()
        .map_err(|error| target.io(error))?
        .next()
        .ok_or_else(|| WireError::Address(target.address.clone()))?;
    let mut stream =
        TcpStream::connect_timeout(&address, target.patience).map_err(|error| target.io(error))?;
    stream.set_nodelay(true).map_err(|error| target.io(error))?;
    stream.set_read_timeout(Some(target.patience)).map_err(|error| target.io(error))?;
    stream.set_write_timeout(Some(target.patience)).map_err(|error| target.io(error))?;
    let line = LineReader::default().next(&mut stream).map_err(|error| target.io(error))?;
    let Some(info) = line.strip_prefix("INFO ") else {
        return Err(target.refused(format!("expected INFO from a NATS server, got {line:?}")));
    };
    let info =
        serde_json::from_str(info).map_err(|error| target.refused(format!("INFO is no JSON: {error}")))?;
    Ok((stream, info))
}

/// Sends a PING and waits for its PONG, on a connection that gets nothing else meanwhile.
pub fn ping(target: &Target, stream: &mut TcpStream) -> Result<(), WireError> {
    stream.write_all(b"PING\r\n").map_err(|error| target.io(error))?;
    await_pong(target, stream)
}

fn await_pong(target: &Target, stream: &mut TcpStream) -> Result<(), WireError> {
    stream.set_read_timeout(Some(target.patience)).map_err(|error| target.io(error))?;
    let mut lines = LineReader::default();
    loop {
        let line = lines.next(stream).map_err(|error| target.io(error))?;
        match line.split(' ').next() {
            Some("PONG") => break,
            Some("PING") => stream.write_all(b"PONG\r\n").map_err(|error| target.io(error))?,
            Some("-ERR") => return Err(target.refused(line)),
            _ => {}
        }
    }
    stream.set_read_timeout(None).map_err(|error| target.io(error))
}

/// Reads single lines without reading past them: what follows belongs to whoever takes over.
#[derive(Default)]
struct LineReader {
    line: Vec<u8>,
}

impl LineReader {
    fn next(&mut self, stream: &mut TcpStream) -> io::Result<String> {
        self.line.clear();
        let mut peeked = [0; 4096];
        loop {
            let seen = stream.peek(&mut peeked)?;
            let fresh = peeked.get(..seen).unwrap_or_default();
            if fresh.is_empty() || self.line.len() > LINE_BYTES_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = memchr(b'\n', fresh);
            let take = end.map_or(fresh.len(), |end| end + 1);
            let taken = peeked.get_mut(..take).unwrap_or_default();
            stream.read_exact(taken)?;
            self.line.extend_from_slice(taken);
            if end.is_some() {
                return Ok(String::from_utf8_lossy(&self.line).trim_end().to_owned());
            }
        }
    }
}

/// Counts the messages in a server's bytes, however they are cut.
///
/// Cheap: a control line equal to the previous one costs a comparison, a payload is skipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Messages that arrived whole.
    pub messages: u64,
    /// Their payloads (headers included), in bytes.
    pub payload_bytes: u64,
    /// PONGs seen.
    pub pongs: u64,
    /// PINGs seen and to be answered by the owner, who sets it back.
    pub pings: u64,
    /// The last `-ERR` line.
    pub error: Option<String>,
    /// The last message line with its line end, and the size of its payload.
    line: Vec<u8>,
    size: usize,
    /// What is left of a message whose end has not arrived: payload and line end.
    skip: usize,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

/// The bytes are not what a NATS server sends.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the server sent a line that is not part of the protocol: {0}")]
pub struct Garbage(String);

impl Counter {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Garbage> {
        let mut rest = bytes;
        loop {
            if self.skip > 0 {
                let Some((_, after)) = rest.split_at_checked(self.skip) else {
                    self.skip -= rest.len();
                    return Ok(());
                };
                rest = after;
                self.skip = 0;
                self.messages += 1;
                self.payload_bytes += self.size as u64;
            }
            if self.partial.is_empty() {
                rest = self.feed_same_line(rest);
                if self.skip > 0 {
                    continue;
                }
            }
            if rest.is_empty() {
                return Ok(());
            }
            let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end + 1))
            else {
                self.partial.extend_from_slice(rest);
                return if self.partial.len() > LINE_BYTES_MAX {
                    Err(garbage(&self.partial))
                } else {
                    Ok(())
                };
            };
            rest = after;
            if self.partial.is_empty() {
                self.feed_line(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.feed_line(&whole)?;
            }
        }
    }

    /// Takes whole messages under the same line as the last, and the line of a cut one.
    fn feed_same_line<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        if self.line.is_empty() {
            return rest;
        }
        let mut whole = 0;
        while let Some(body) = rest.strip_prefix(self.line.as_slice()) {
            let Some((_, after)) = body.split_at_checked(self.size + 2) else {
                rest = body;
                self.skip = self.size + 2;
                break;
            };
            rest = after;
            whole += 1;
        }
        self.messages += whole;
        self.payload_bytes += whole * self.size as u64;
        rest
    }

    fn feed_line(&mut self, line: &[u8]) -> Result<(), Garbage> {
        if line.starts_with(b"MSG ") || line.starts_with(b"HMSG ") {
            self.size = last_number(line).ok_or_else(|| garbage(line))?;
            self.skip = self.size + 2;
            self.line.clear();
            self.line.extend_from_slice(line);
            return Ok(());
        }
        match line.split(|byte| byte.is_ascii_whitespace()).next() {
            Some(b"PING") => self.pings += 1,
            Some(b"PONG") => self.pongs += 1,
            Some(b"INFO" | b"+OK") => {}
            Some(b"-ERR") => self.error = Some(String::from_utf8_lossy(line).trim_end().to_owned()),
            _ => return Err(garbage(line)),
        }
        Ok(())
    }
}

fn garbage(line: &[u8]) -> Garbage {
    Garbage(line.escape_ascii().take(120).map(char::from).collect())
}

/// The decimal number that ends a line; none if there is none or it is absurd.
fn last_number(line: &[u8]) -> Option<usize> {
    let line = line.trim_ascii_end();
    let digits = line.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 9 {
        return None;
    }
    let (_, digits) = line.split_at_checked(line.len() - digits)?;
    Some(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

/// Feeds arbitrary bytes to the counter, whole and byte by byte: both must agree, neither may panic.
pub fn fuzz_counter(data: &[u8]) {
    let (mut whole, mut cut) = (Counter::default(), Counter::default());
    let one = whole.feed(data);
    let many = data.chunks(1).try_for_each(|byte| cut.feed(byte));
    assert_eq!(one.is_ok(), many.is_ok());
    if one.is_ok() {
        assert_eq!((whole.messages, whole.payload_bytes), (cut.messages, cut.payload_bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check_target(text: &str, address: &str, login: Login) {
        assert_eq!(
            Target::parse(text).unwrap(),
            Target { address: address.to_owned(), login, patience: PATIENCE },
            "{text}"
        );
    }

    #[test]
    fn addresses_are_read_with_their_defaults() {
        check_target("localhost", "localhost:4222", Login::Nobody);
        check_target("nats://127.0.0.1:5000/", "127.0.0.1:5000", Login::Nobody);
        check_target("nats://[::1]", "[::1]:4222", Login::Nobody);
        check_target("[::1]:99", "[::1]:99", Login::Nobody);
        check_target("nats://t0k@h", "h:4222", Login::Token("t0k".into()));
        let user = Login::User { name: "a".into(), password: "b:c@d".into() };
        check_target("nats://a:b:c@d@h:1", "h:1", user);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "http://h", "tls://h", "h:port", "h:70000", "::1"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credential_files_give_jwt_and_seed_and_a_signature() {
        let key = nkeys::KeyPair::new_user();
        let seed = key.seed().unwrap();
        let text =
            format!("-----BEGIN NATS USER JWT-----\neyJ0.e30.x\n------END\n\n-----BEGIN SEED\n{seed}\n---\n");
        let creds = Login::from_creds_file(&text).unwrap();
        assert_eq!(creds, Login::Key { seed: seed.clone(), jwt: Some("eyJ0.e30.x".into()) });
        let names = |login: Login| {
            login.fields("nonce").unwrap().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(names(creds), ["jwt", "sig"]);
        assert_eq!(names(Login::from_nkey_file(&seed).unwrap()), ["nkey", "sig"]);
        assert!(Login::from_creds_file(&seed).is_err());
        assert!(Login::from_nkey_file("nothing").is_err());
    }

    #[test]
    fn spans_read_well() {
        let words = [3_000, 1_540, 3_040, 200, 65_300].map(|ms| in_words(Duration::from_millis(ms)));
        assert_eq!(words, ["3 s", "1.5 s", "3 s", "200 ms", "65 s"]);
    }

    const STREAM: &[u8] = b"INFO {}\r\nMSG a 1 5\r\nhello\r\nMSG a 1 5\r\nMSG \r\r\nPING\r\nMSG a.b 22 _R 0\r\n\r\n\
        HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPONG\r\n+OK\r\nMSG a 1 5\r\nworld\r\n-ERR 'Slow Consumer'\r\n";

    #[track_caller]
    fn check_stream(counter: &Counter) {
        assert_eq!((counter.messages, counter.payload_bytes), (5, 29));
        assert_eq!((counter.pings, counter.pongs), (1, 1));
        assert_eq!(counter.error.as_deref(), Some("-ERR 'Slow Consumer'"));
    }

    #[test]
    fn messages_are_counted_whatever_their_payload_looks_like() {
        let mut counter = Counter::default();
        counter.feed(STREAM).unwrap();
        check_stream(&counter);
    }

    #[test]
    fn a_message_counts_only_once_it_is_whole() {
        let mut counter = Counter::default();
        counter.feed(b"MSG a 1 5\r\nhello\r").unwrap();
        assert_eq!(counter.messages, 0);
        counter.feed(b"\n").unwrap();
        assert_eq!(counter.messages, 1);
    }

    #[test]
    fn a_line_that_is_not_nats_is_shown() {
        let error = Counter::default().feed(b"HTTP/1.1 400\r\n").unwrap_err().to_string();
        assert!(error.contains("HTTP/1.1 400"), "{error}");
        assert!(Counter::default().feed(b"MSG a 1 x\r\n").is_err());
        assert!(Counter::default().feed(b"MSG a 1 99999999999\r\n").is_err());
    }

    #[test]
    fn fuzz_corpus_does_not_panic() {
        for data in
            [STREAM, b"", b"\r\n", b"MSG", b"MSG  1\r\n", b"MSG a 1 0\r\n\r\nMSG a 1 0\r\nMSG a 1 0\r\n"]
        {
            fuzz_counter(data);
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut counter = Counter::default();
            let mut from = 0;
            for to in cuts.into_iter().chain([STREAM.len()]) {
                counter.feed(&STREAM[from..to]).unwrap();
                from = to;
            }
            check_stream(&counter);
        }

        #[test]
        fn random_bytes_do_not_panic(data: Vec<u8>) {
            fuzz_counter(&data);
        }
    }
}
