//! Plays a script against an address, and keeps the transcript.
//!
//! Order is made by answers, never by waiting: a step that expects something reads until it comes,
//! and silence is shown by PING and PONG with nothing between. Sends of one connection that follow
//! each other leave in one write; with [`Play::cut`] they leave in pieces of random length instead.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::host::{PATIENCE, Server};
use super::pattern::{Kept, Pattern, escape};
use super::script::{Field, Line, LogLine, Place, Script, Step, What};
use crate::server::base::rng::Rng;

/// Bytes of a piece at most, where sends are cut and short.
const PIECE_BYTES_MAX: usize = 12;
/// Sends above this many bytes are cut into some [`PIECES`] pieces.
const SHORT_BYTES_MAX: usize = 4096;
const PIECES: usize = 24;

/// How to play.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// Cut the sent bytes at places drawn from this seed.
    pub cut: Option<u64>,
    /// Take down what the server says instead of comparing it.
    pub record: bool,
    /// How long something expected may take to come.
    pub patience: Duration,
}

impl Default for Play {
    fn default() -> Self {
        Self { cut: None, record: false, patience: PATIENCE }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The connection's name.
    pub on: String,
    /// What happened.
    pub kind: Kind,
    /// The bytes, escaped, without the line's end.
    pub text: String,
}

/// What an entry of a transcript is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sent to the server.
    Sent,
    /// Got from the server.
    Got,
    /// Something happened.
    Event,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (on, text) = (&self.on, &self.text);
        match self.kind {
            Kind::Sent => write!(f, "{on}> {text}"),
            Kind::Got => write!(f, "{on}< {text}"),
            Kind::Event => write!(f, "@ {on} {text}"),
        }
    }
}

/// What came of a play.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// All that was sent and got.
    pub transcript: Vec<Entry>,
    /// Where it left the script: the step's line and a sentence.
    pub failure: Option<(usize, String)>,
    /// The script as recorded: lines to put after the step of this line.
    pub recorded: Vec<(usize, String)>,
}

impl Outcome {
    /// The failure with the last part of the transcript; empty where the script was kept.
    pub fn explain(&self) -> String {
        const SHOWN: usize = 30;
        let Some((line, problem)) = &self.failure else { return String::new() };
        let from = self.transcript.len().saturating_sub(SHOWN);
        let shown: Vec<String> =
            self.transcript.iter().skip(from).map(|entry| format!("    {entry}")).collect();
        format!("line {line}: {problem}\n{}", shown.join("\n"))
    }
}

/// Plays `script` against `address`; `server` is the server there, if the player's side started it.
pub fn play(script: &Script, address: SocketAddr, mut server: Option<&mut Server>, play: Play) -> Outcome {
    let start = server.as_deref().map_or(0, |server| server.log().length());
    let mut player = Player {
        address,
        play,
        rng: Rng::seeded(play.cut.unwrap_or_default()),
        pings: script.pings,
        connections: HashMap::new(),
        kept: Kept::new(),
        log_start: start,
        log_used: HashSet::new(),
        log_found: None,
        outcome: Outcome::default(),
    };
    let cut = if script.whole { None } else { play.cut };
    player.play.cut = cut;
    for (step, next) in script.steps.iter().zip(script.steps.iter().map(Some).skip(1).chain([None])) {
        if let Err(problem) = player.step(step, next, server.as_deref_mut()) {
            player.overhear();
            player.outcome.failure = Some((step.line, problem));
            break;
        }
    }
    player.leave();
    player.outcome
}

struct Player {
    address: SocketAddr,
    play: Play,
    rng: Rng,
    pings: bool,
    connections: HashMap<String, Connection>,
    kept: Kept,
    log_start: usize,
    log_used: HashSet<usize>,
    /// The line found last.
    log_found: Option<usize>,
    outcome: Outcome,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    port: u16,
    unsent: Vec<u8>,
    unread: Vec<u8>,
    ended: bool,
    patience: Duration,
    /// The INFO that came on connecting, until it is wanted or passed over.
    greeting: Option<Vec<u8>>,
}

enum Got {
    Line(Vec<u8>),
    Closed(Vec<u8>),
    Late(Vec<u8>),
}

impl Player {
    fn step(&mut self, step: &Step, next: Option<&Step>, server: Option<&mut Server>) -> Result<(), String> {
        match &step.what {
            What::Send { on, bytes } => {
                let bytes = bytes.bytes(&self.kept)?;
                self.note_sent(on, &bytes);
                self.connection(on)?.unsent.extend_from_slice(&bytes);
                if !matches!(next.map(|next| &next.what), Some(What::Send { on: then, .. }) if then == on) {
                    self.flush(on);
                }
                Ok(())
            }
            What::Line { .. } | What::Bytes { .. } if self.play.record => Ok(()),
            What::Line { on, want } => self.expect_line(on, want),
            What::Bytes { on, bytes } => self.expect_bytes(on, bytes),
            What::Barrier { on } => self.barrier(on, step.line),
            What::Open { on } => self.connection(on).map(drop),
            What::Shut { on } => {
                let shut = self.connection(on)?.stream.shutdown(Shutdown::Write);
                self.note(on, Kind::Event, "shut");
                shut.map_err(|error| error.to_string())
            }
            What::Drop { on } => {
                self.connections.remove(on);
                self.note(on, Kind::Event, "drop");
                Ok(())
            }
            What::Reset { on } => self.reset(on),
            What::Closed { on } => self.closed(on, step.line),
            What::Gone { on } => self.gone(on),
            What::Refused { on } => self.refused(on),
            What::Flood { on, messages, subject, bytes } => self.flood(on, *messages, subject, *bytes),
            What::Logged { on, want, place } => self.logged(on.as_deref(), want, *place, hosted(server)?),
            What::Unlogged { on, want } => self.unlogged(on.as_deref(), want, hosted(server)?),
            What::Reload { config } => hosted(server)?.reload(config).map_err(|error| error.to_string()),
            What::Signal { name } => hosted(server)?.signal(*name).map_err(|error| error.to_string()),
            What::Exits { status } => match hosted(server)?.wait_for_exit() {
                Ok(Some(exited)) if exited == *status => Ok(()),
                Ok(exited) => Err(format!("the server exited with {exited:?}")),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// The connection of this name, opened if it isn't yet.
    fn connection(&mut self, on: &str) -> Result<&mut Connection, String> {
        if !self.connections.contains_key(on) {
            let stream = TcpStream::connect_timeout(&self.address, PATIENCE);
            let stream = stream.map_err(|error| format!("can't connect: {error}"))?;
            let ready = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
            let port = ready.and_then(|()| stream.local_addr()).map_err(|error| error.to_string())?.port();
            let mut connection = Connection {
                stream,
                port,
                unsent: Vec::new(),
                unread: Vec::new(),
                ended: false,
                patience: PATIENCE,
                greeting: None,
            };
            if let Got::Line(line) = connection.line() {
                self.note(on, Kind::Got, &escape(&line));
                if line.starts_with(b"INFO ") {
                    connection.greeting = Some(line);
                } else {
                    connection.unread.splice(0..0, line.into_iter().chain(*b"\r\n"));
                }
            }
            connection.patience = self.play.patience;
            self.connections.insert(on.to_owned(), connection);
        }
        self.connections.get_mut(on).ok_or_else(|| "no such connection".to_owned())
    }

    fn flush(&mut self, on: &str) {
        let Some(connection) = self.connections.get_mut(on) else { return };
        let bytes = std::mem::take(&mut connection.unsent);
        let piece_max = match self.play.cut {
            None => bytes.len(),
            Some(_) if bytes.len() <= SHORT_BYTES_MAX => PIECE_BYTES_MAX,
            Some(_) => bytes.len().div_ceil(PIECES) * 2,
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = if self.play.cut.is_some() { 1 + self.rng.below(piece_max) } else { piece_max };
            let Some((piece, later)) = rest.split_at_checked(length.min(rest.len())) else { break };
            // A server that has closed already says why in what is left to read.
            if connection.stream.write_all(piece).is_err() {
                break;
            }
            if self.play.cut.is_some() {
                std::thread::yield_now();
            }
            rest = later;
        }
    }

    fn note(&mut self, on: &str, kind: Kind, text: &str) {
        const SHOWN_BYTES: usize = 2000;
        let mut text = text.to_owned();
        if let Some(end) = (SHOWN_BYTES..text.len()).find(|&end| text.is_char_boundary(end)) {
            let length = text.len();
            text.truncate(end);
            text = format!("{text}… ({length} bytes)");
        }
        self.outcome.transcript.push(Entry { on: on.to_owned(), kind, text });
    }

    fn note_sent(&mut self, on: &str, bytes: &[u8]) {
        self.note(on, Kind::Sent, &escape(bytes.strip_suffix(b"\r\n").unwrap_or(bytes)));
    }

    /// The next line, the greeting and the server's own PING passed over unless they are wanted.
    fn next_line(&mut self, on: &str, wants_info: bool, wants_ping: bool) -> Result<Got, String> {
        let pings = self.pings;
        let connection = self.connection(on)?;
        if let Some(greeting) = connection.greeting.take()
            && wants_info
        {
            return Ok(Got::Line(greeting));
        }
        loop {
            let got = self.connection(on)?.line();
            match &got {
                Got::Line(line) => {
                    self.note(on, Kind::Got, &escape(line));
                    if line == b"PING" && !wants_ping && !pings {
                        continue;
                    }
                }
                Got::Closed(_) => self.note(on, Kind::Event, "closed by the server"),
                Got::Late(_) => self.note(on, Kind::Event, "nothing more came"),
            }
            return Ok(got);
        }
    }

    fn expect_line(&mut self, on: &str, want: &Line) -> Result<(), String> {
        let (is_info, is_ping) = match want {
            Line::Info(_) => (true, false),
            Line::Text(text) => {
                let mut kept = self.kept.clone();
                let greeting = self.connection(on)?.greeting.clone();
                let is_info = greeting.is_some_and(|greeting| text.matches(&greeting, &mut kept));
                (is_info, text.matches(b"PING", &mut kept))
            }
        };
        let line = match self.next_line(on, is_info, is_ping)? {
            Got::Line(line) => line,
            Got::Closed(rest) => return Err(format!("the server closed; before: `{}`", escape(&rest))),
            Got::Late(rest) => return Err(format!("nothing came; so far: `{}`", escape(&rest))),
        };
        match want {
            Line::Text(text) if text.matches(&line, &mut self.kept) => Ok(()),
            Line::Text(_) => Err(format!("got `{}`", escape(&line))),
            Line::Info(fields) => info_has(&line, fields, &mut self.kept),
        }
    }

    fn expect_bytes(&mut self, on: &str, want: &Pattern) -> Result<(), String> {
        let want = want.bytes(&self.kept)?;
        let connection = self.connection(on)?;
        connection.greeting = None;
        let got = connection.exactly(want.len());
        self.note(on, Kind::Got, &escape(&got));
        if got == want {
            return Ok(());
        }
        let same = got.iter().zip(&want).take_while(|(got, want)| got == want).count();
        Err(format!("got {} of {} bytes, equal up to {same}", got.len(), want.len()))
    }

    fn barrier(&mut self, on: &str, line: usize) -> Result<(), String> {
        self.connection(on)?.unsent.extend_from_slice(b"PING\r\n");
        self.note(on, Kind::Sent, "PING");
        self.flush(on);
        loop {
            match self.next_line(on, false, false)? {
                Got::Line(got) if got == b"PONG" => return Ok(()),
                Got::Line(got) if self.play.record => self.record(on, line, &got),
                Got::Line(got) => return Err(format!("before PONG came `{}`", escape(&got))),
                Got::Closed(rest) => return Err(format!("the server closed; before: `{}`", escape(&rest))),
                Got::Late(rest) => return Err(format!("no PONG came; so far: `{}`", escape(&rest))),
            }
        }
    }

    fn closed(&mut self, on: &str, line: usize) -> Result<(), String> {
        loop {
            match self.next_line(on, false, false)? {
                Got::Closed(rest) if rest.is_empty() => return Ok(()),
                Got::Line(got) if self.play.record => self.record(on, line, &got),
                Got::Line(got) => return Err(format!("before the close came `{}`", escape(&got))),
                Got::Closed(rest) => return Err(format!("before the close came `{}`", escape(&rest))),
                Got::Late(_) => return Err("the server didn't close".to_owned()),
            }
        }
    }

    fn record(&mut self, on: &str, line: usize, got: &[u8]) {
        let printable = got.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let text = match std::str::from_utf8(got) {
            Ok("") => format!("{on}<"),
            Ok(text) if printable => format!("{on}< {}", super::diff::masked(text)),
            _ => format!("{on}<< {}\\r\\n", escape(got)),
        };
        self.outcome.recorded.push((line, text));
    }

    fn gone(&mut self, on: &str) -> Result<(), String> {
        let connection = self.connection(on)?;
        while !connection.ended {
            connection.unread.clear();
            if !connection.read(Instant::now() + connection.patience) {
                return Err("the server didn't close".to_owned());
            }
        }
        self.note(on, Kind::Event, "gone");
        Ok(())
    }

    fn reset(&mut self, on: &str) -> Result<(), String> {
        self.note(on, Kind::Event, "reset");
        let Some(connection) = self.connections.remove(on) else {
            return Err("no such connection".to_owned());
        };
        // Closing with a linger time of zero sends RST instead of FIN.
        let reset = rustix::net::sockopt::set_socket_linger(&connection.stream, Some(Duration::ZERO));
        reset.map_err(|error| error.to_string())
    }

    /// Connects until it is refused: a signal may still be on its way.
    fn refused(&mut self, on: &str) -> Result<(), String> {
        let end = Instant::now() + self.play.patience;
        while Instant::now() < end {
            match TcpStream::connect_timeout(&self.address, PATIENCE) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.note(on, Kind::Event, "refused");
                    return Ok(());
                }
                // Taken, or reset while the listener goes.
                _ => std::thread::yield_now(),
            }
        }
        Err("the server takes connections".to_owned())
    }

    fn flood(&mut self, on: &str, messages: usize, subject: &str, bytes: usize) -> Result<(), String> {
        let mut message = format!("PUB {subject} {bytes}\r\n").into_bytes();
        message.resize(message.len() + bytes, b'x');
        message.extend_from_slice(b"\r\n");
        self.note(on, Kind::Event, &format!("flood {messages} {subject} {bytes}"));
        let connection = self.connection(on)?;
        for _ in 0..messages {
            if connection.stream.write_all(&message).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn logged(
        &mut self,
        on: Option<&str>,
        want: &LogLine,
        place: Place,
        server: &mut Server,
    ) -> Result<(), String> {
        let about = self.about(on)?;
        let mut at = match place {
            Place::Any => self.log_start,
            Place::Behind => self.log_found.map_or(self.log_start, |found| found + 1),
        };
        let end = Instant::now() + self.play.patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let found = server
                .log()
                .wait_for(at, left, |line| log_fits(line, about.as_deref(), want, &mut self.kept));
            let Some(found) = found else {
                let lines = server.log().from(self.log_start);
                let lines: Vec<&String> = lines
                    .iter()
                    .filter(|line| about.as_deref().is_none_or(|about| line.contains(about)))
                    .collect();
                let shown: Vec<String> =
                    lines.iter().rev().take(20).rev().map(|line| format!("    {line}")).collect();
                return Err(format!("the log has no such line, but\n{}", shown.join("\n")));
            };
            if self.log_used.insert(found) {
                self.log_found = Some(found);
                return Ok(());
            }
            at = found + 1;
        }
    }

    fn unlogged(&mut self, on: Option<&str>, want: &LogLine, server: &mut Server) -> Result<(), String> {
        let about = self.about(on)?;
        let lines = server.log().from(self.log_start);
        match lines.iter().find(|line| log_fits(line, about.as_deref(), want, &mut self.kept)) {
            Some(line) => Err(format!("the log has `{line}`")),
            None => Ok(()),
        }
    }

    /// What the log's lines about a connection have in common.
    fn about(&mut self, on: Option<&str>) -> Result<Option<String>, String> {
        let Some(on) = on else { return Ok(None) };
        Ok(Some(format!(":{} - cid:", self.connection(on)?.port)))
    }

    /// After a failure: what else the server had to say, for the transcript only.
    fn overhear(&mut self) {
        let names: Vec<String> = self.connections.keys().cloned().collect();
        for on in names {
            let Some(connection) = self.connections.get_mut(&on) else { continue };
            connection.read(Instant::now() + Duration::from_millis(50));
            let rest = std::mem::take(&mut connection.unread);
            if !rest.is_empty() {
                self.note(&on, Kind::Got, &format!("{} (overheard)", escape(&rest)));
            }
        }
    }

    /// Leaves nothing behind on a server that others use: subscriptions end before the connection.
    fn leave(&mut self) {
        for connection in self.connections.values_mut().filter(|connection| !connection.ended) {
            let _ = connection.stream.write_all(b"CONNECT {}\r\nPING\r\n");
        }
        for connection in self.connections.values_mut() {
            let end = Instant::now() + Duration::from_millis(500);
            while !connection.ended && !connection.unread.ends_with(b"PONG\r\n") && connection.read(end) {}
        }
    }
}

fn hosted(server: Option<&mut Server>) -> Result<&mut Server, String> {
    server.ok_or_else(|| "this step needs a server started by the player: give its program".to_owned())
}

fn info_has(line: &[u8], fields: &[(String, Field)], kept: &mut Kept) -> Result<(), String> {
    let got = format!("got `{}`", escape(line));
    let json =
        line.strip_prefix(b"INFO ").and_then(|json| serde_json::from_slice::<serde_json::Value>(json).ok());
    let Some(serde_json::Value::Object(object)) = json else { return Err(got) };
    for (name, want) in fields {
        let value = object.get(name);
        let fits = match (want, value) {
            (Field::Absent, None) => true,
            (Field::Value(want), Some(value)) => want == value,
            (Field::Text(want), Some(serde_json::Value::String(text))) => want.matches(text.as_bytes(), kept),
            (Field::Text(want), Some(value)) => want.matches(value.to_string().as_bytes(), kept),
            _ => false,
        };
        if !fits {
            return Err(format!(
                "`{name}` is {}; {got}",
                value.map_or("absent".to_owned(), ToString::to_string)
            ));
        }
    }
    Ok(())
}

/// Does a line of the log end in the wanted text, at a boundary of its parts?
fn log_fits(line: &str, about: Option<&str>, want: &LogLine, kept: &mut Kept) -> bool {
    if about.is_some_and(|about| !line.contains(about)) {
        return false;
    }
    let Some((level, text)) = log_parts(line) else { return false };
    if want.level.as_ref().is_some_and(|want| want != level) {
        return false;
    }
    let later = text.match_indices(" - ").filter_map(|(at, between)| text.get(at + between.len()..));
    std::iter::once(text).chain(later).any(|text| want.text.matches(text.as_bytes(), kept))
}

/// `[pid] date time [LVL] text` → level and text.
fn log_parts(line: &str) -> Option<(&str, &str)> {
    let labels = ["INF", "DBG", "WRN", "ERR", "FTL", "TRC"];
    labels.into_iter().find_map(|label| Some((label, line.split_once(&format!(" [{label}] "))?.1)))
}

impl Connection {
    /// Reads once; false where nothing came until `end`.
    fn read(&mut self, end: Instant) -> bool {
        let mut scratch = [0_u8; 65536];
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return false;
        }
        match self.stream.read(&mut scratch) {
            Ok(0) => self.ended = true,
            Ok(length) => self.unread.extend_from_slice(scratch.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return false;
            }
            // A reset is a close as well: the server had bytes of ours that it never read.
            Err(_) => self.ended = true,
        }
        true
    }

    fn line(&mut self) -> Got {
        let end = Instant::now() + self.patience;
        let mut searched = 0;
        loop {
            let found =
                self.unread.iter().skip(searched).position(|&byte| byte == b'\n').map(|at| at + searched);
            if let Some(at) = found {
                let mut line: Vec<u8> = self.unread.drain(..=at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Got::Line(line);
            }
            searched = self.unread.len();
            if self.ended {
                return Got::Closed(std::mem::take(&mut self.unread));
            }
            if !self.read(end) {
                return Got::Late(self.unread.clone());
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let end = Instant::now() + self.patience;
        while self.unread.len() < length && !self.ended && self.read(end) {}
        self.unread.drain(..length.min(self.unread.len())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// A server of a few lines: it greets, echoes every line but PING, and closes on `quit`.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    stream.write_all(b"INFO {\"proto\":1,\"server_id\":\"x\",\"n\":[1]} \r\n").unwrap();
                    let mut connection = Connection {
                        stream: stream.try_clone().unwrap(),
                        port: 0,
                        unsent: Vec::new(),
                        unread: Vec::new(),
                        ended: false,
                        patience: PATIENCE,
                        greeting: None,
                    };
                    while let Got::Line(line) = connection.line() {
                        match line.as_slice() {
                            b"quit" => return,
                            b"PING" => stream.write_all(b"PONG\r\n").unwrap(),
                            b"ask" => stream.write_all(b"PING\r\n").unwrap(),
                            other => stream.write_all(&[other, b"\r\n"].concat()).unwrap(),
                        }
                    }
                });
            }
        });
        address
    }

    #[track_caller]
    fn check(text: &str, want: Option<(usize, &str)>) {
        let script = Script::parse(text).unwrap();
        for cut in [None, Some(1), Some(2)] {
            let outcome = play(&script, echo(), None, Play { cut, ..Play::default() });
            match (&outcome.failure, want) {
                (None, None) => {}
                (Some((line, problem)), Some((want_line, want))) => {
                    assert!(*line == want_line && problem.contains(want), "{}", outcome.explain());
                }
                _ => panic!("{text}\n{}", outcome.explain()),
            }
        }
    }

    #[test]
    fn a_conversation_that_is_kept_passes_whole_and_cut() {
        check(
            "< INFO {\"proto\":1,\"nonce\":\"{{absent}}\",\"n\":[1],\"server_id\":\"{{word}}\"}\n> hello\n< hello\n=",
            None,
        );
        check("> one\n> two\nb> three\n< one\n<< two\\r\\n\nb< three\n=\nb=", None);
        check("> id {{x*5}}\n< id {{id:word}}\n> {{=id}}\n< xxxxx\n> quit\n@ closed", None);
        check(">> {{bytes*10}}\\r\\n\n<< {{bytes*10}}\\r\\n\n> more\n> quit\n@ gone", None);
    }

    #[test]
    fn the_servers_own_ping_is_passed_over_unless_it_counts() {
        check("> ask\n> x\n< x", None);
        check("> ask\n< PING\n=", None);
        check("! pings\n> ask\n> x\n< x", Some((4, "got `PING`")));
    }

    #[test]
    fn what_differs_is_placed() {
        check("> hello\n< hallo", Some((2, "got `hello`")));
        check("< INFO {\"proto\":2}", Some((1, "`proto` is 1")));
        check("< INFO {\"proto\":\"{{absent}}\"}", Some((1, "`proto` is 1")));
        check("> more\n=", Some((2, "before PONG came `more`")));
        check("> more\n> quit\n@ closed", Some((3, "before the close came `more`")));
        check("> quit\n< more", Some((2, "the server closed")));
        check("> ab\n<< ac\\r\\n", Some((2, "equal up to 1")));
        check("@ signal HUP", Some((1, "needs a server started by the player")));
    }

    #[test]
    fn a_log_line_is_wanted_by_its_end() {
        let line = "[7] 2026/01/02 03:04:05.000006 [DBG] 127.0.0.1:555 - cid:5 - \"v1:go:n\" - Client connection closed: X";
        let want = |level: Option<&str>, text| LogLine {
            level: level.map(str::to_owned),
            text: Pattern::parse(text, false).unwrap(),
        };
        for (about, want, fits) in [
            (Some(":555 - cid:"), want(None, "Client connection closed: X"), true),
            (Some(":556 - cid:"), want(None, "Client connection closed: X"), false),
            (None, want(Some("DBG"), "cid:{{number}} - {{any}}"), true),
            (None, want(Some("INF"), "Client connection closed: X"), false),
            (None, want(None, "connection closed: X"), false),
        ] {
            assert_eq!(log_fits(line, about, &want, &mut Kept::new()), fits, "{want:?}");
        }
    }
}
