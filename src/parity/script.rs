//! A conversation: lines sent, lines expected, places that may differ.
//!
//! ```text
//! # What the script shows.
//! ! row: Core protocol | SUB and UNSUB | UNSUB removes the subscription
//! ! config: max_payload: 64
//! > SUB foo 1
//! b> PUB foo 2
//! b> hi
//! < MSG foo 1 2
//! < hi
//! =
//! @ b drop
//! @ log Client connection closed: Client Closed
//! ```
//!
//! | Line | Means |
//! |---|---|
//! | `name> text` | `text` and CRLF are sent on connection `name` (none: the nameless one), opened at its first mention |
//! | `name>> text` | the bytes of `text` are sent, with escapes, nothing added |
//! | `name< text` | the next line is `text`; `INFO {…}` names the fields that count, `"{{absent}}"` the ones that may not be there |
//! | `name<< text` | exactly these bytes come next |
//! | `name=` | PING is sent and PONG is the very next line: what was sent is handled, and nothing else was said |
//! | `@ name open` | connects, and reads the INFO |
//! | `@ name shut`, `drop`, `reset` | half-close, close, close with a reset |
//! | `@ name closed` | the server closes, and says nothing before |
//! | `@ name gone` | the server closes, whatever it says before |
//! | `@ name refused` | connecting is refused |
//! | `@ name flood 24 foo 1000` | 24 messages of 1,000 bytes are published to `foo` |
//! | `@ name log text` | the server's log has a line about this connection that ends in `text` (`[DBG] text`: at that level); without a name, about anything |
//! | `@ name then text` | as `log`, behind the line that the last such step found |
//! | `@ name unlogged text` | it has none so far |
//! | `@ reload text` | the configuration becomes `text` instead of the `! config` lines, and is reloaded |
//! | `@ signal HUP`, `@ exits 0` | a signal to the server; it has exited with this status |
//!
//! Header lines: `! row: …` names a row of the ledger that the script proves; `! config: …` is a line
//! of configuration the server is started with; `! alone` wants a server that no other script uses;
//! `! pings` makes the server's own PING part of the conversation (else it is passed over);
//! `! unbuilt: …` says what natsx doesn't have yet: its trial must fail, and turns red once it needn't;
//! `! beyond: …` says what the reference does instead, where natsx is better on purpose; `! whole` says that cutting the sent bytes into pieces would change the conversation.

use super::pattern::Pattern;
use super::rows::Name;

/// A connection's name; the nameless one is the empty text.
pub type Connection = String;

/// A conversation, as its file says it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    /// Rows of the ledger that it proves.
    pub rows: Vec<Name>,
    /// Lines of configuration that its server is started with.
    pub config: Vec<String>,
    /// May no other script use its server?
    pub alone: bool,
    /// Does the server's own PING count?
    pub pings: bool,
    /// What natsx doesn't have yet, so that it can't keep this script.
    pub unbuilt: Option<String>,
    /// What the reference does instead, where the conversation is natsx's own.
    pub beyond: Option<String>,
    /// May the bytes sent not be cut into pieces?
    pub whole: bool,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its line in the file, from 1.
    pub line: usize,
    /// What happens.
    pub what: What,
}

/// What a step does or wants.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Bytes are sent.
    Send { on: Connection, bytes: Pattern },
    /// A line comes.
    Line { on: Connection, want: Line },
    /// These bytes come.
    Bytes { on: Connection, bytes: Pattern },
    /// PING, and PONG as the very next line.
    Barrier { on: Connection },
    /// The connection is opened.
    Open { on: Connection },
    /// Its writing half is closed.
    Shut { on: Connection },
    /// It is closed.
    Drop { on: Connection },
    /// It is closed with a reset.
    Reset { on: Connection },
    /// The server closes it, silently.
    Closed { on: Connection },
    /// The server closes it.
    Gone { on: Connection },
    /// The server can't be reached.
    Refused { on: Connection },
    /// Messages are published as fast as they go.
    Flood { on: Connection, messages: usize, subject: String, bytes: usize },
    /// The log has such a line, about this connection or (`None`) about anything.
    Logged { on: Option<Connection>, want: LogLine, place: Place },
    /// The log has no such line.
    Unlogged { on: Option<Connection>, want: LogLine },
    /// The configuration is replaced and reloaded.
    Reload { config: String },
    /// A signal is sent to the server.
    Signal { name: SignalName },
    /// The server has exited with this status.
    Exits { status: i32 },
}

/// Where a line of the log is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Anywhere.
    Any,
    /// Behind the one found last.
    Behind,
}

/// The signals that a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalName {
    /// Reload.
    Hup,
    /// Shut down.
    Int,
    /// Shut down.
    Term,
    /// Reopen the log file.
    Usr1,
    /// Lame duck.
    Usr2,
}

/// A line expected from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// The text of a line.
    Text(Pattern),
    /// The fields that an INFO must have.
    Info(Vec<(String, Field)>),
}

/// What a field of an INFO must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// It may not be there.
    Absent,
    /// Its text (a number or boolean: as JSON).
    Text(Pattern),
    /// Exactly this value.
    Value(serde_json::Value),
}

/// A line expected in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// `DBG`, `INF`, …; any where absent.
    pub level: Option<String>,
    /// How the line ends.
    pub text: Pattern,
}

/// Why a script can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    /// The line in the file, from 1.
    pub line: usize,
    /// A sentence.
    pub problem: String,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that can't be read, and why.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        for (index, raw) in text.split('\n').enumerate() {
            let line = index + 1;
            let raw = raw.strip_suffix('\r').unwrap_or(raw);
            script.read_line(line, raw).map_err(|problem| ScriptError { line, problem })?;
        }
        Ok(script)
    }

    /// Does it need a server that the player itself started: its log, its signals, its configuration?
    pub fn needs_host(&self) -> bool {
        !self.config.is_empty()
            || self.steps.iter().any(|step| {
                matches!(
                    step.what,
                    What::Logged { .. }
                        | What::Unlogged { .. }
                        | What::Reload { .. }
                        | What::Signal { .. }
                        | What::Exits { .. }
                )
            })
    }

    /// Must its server be its own?
    pub fn wants_own_server(&self) -> bool {
        self.alone
            || self.steps.iter().any(|step| {
                matches!(step.what, What::Reload { .. } | What::Signal { .. } | What::Exits { .. })
            })
    }

    fn read_line(&mut self, line: usize, raw: &str) -> Result<(), String> {
        if raw.trim().is_empty() || raw.starts_with('#') {
            return Ok(());
        }
        if let Some(header) = raw.strip_prefix('!') {
            if !self.steps.is_empty() {
                return Err("a `!` line after the conversation has begun".to_owned());
            }
            return self.read_header(header.trim());
        }
        let what = match raw.strip_prefix('@') {
            Some(event) => read_event(event.trim_start())?,
            None => read_words(raw)?,
        };
        self.steps.push(Step { line, what });
        Ok(())
    }

    fn read_header(&mut self, header: &str) -> Result<(), String> {
        match header.split_once(':').map(|(key, value)| (key.trim(), value.trim())) {
            Some(("row", row)) => {
                let mut parts = row.splitn(3, " | ");
                let (Some(section), Some(subsection), Some(feature)) =
                    (parts.next(), parts.next(), parts.next())
                else {
                    return Err("a row is named `Section | Subsection | Feature`".to_owned());
                };
                self.rows.push(Name::new(section, subsection, feature));
            }
            Some(("unbuilt", unbuilt)) => self.unbuilt = Some(unbuilt.to_owned()),
            Some(("beyond", beyond)) => self.beyond = Some(beyond.to_owned()),
            Some(("config", config)) => self.config.push(config.to_owned()),
            _ => match header {
                "alone" => self.alone = true,
                "pings" => self.pings = true,
                "whole" => self.whole = true,
                _ => return Err(format!("`! {header}` is not known")),
            },
        }
        Ok(())
    }
}

fn read_words(raw: &str) -> Result<What, String> {
    let end = raw.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(raw.len());
    let Some((name, rest)) = raw.split_at_checked(end) else {
        return Err("not a step".to_owned());
    };
    let on = name.to_owned();
    if rest.trim_end() == "=" {
        return Ok(What::Barrier { on });
    }
    if let Some(text) = rest.strip_prefix(">>") {
        return Ok(What::Send { on, bytes: Pattern::parse(after_space(text), true)? });
    }
    if let Some(text) = rest.strip_prefix('>') {
        let bytes = Pattern::parse(after_space(text), false)?.then(b"\r\n");
        return Ok(What::Send { on, bytes });
    }
    if let Some(text) = rest.strip_prefix("<<") {
        return Ok(What::Bytes { on, bytes: Pattern::parse(after_space(text), true)? });
    }
    if let Some(text) = rest.strip_prefix('<') {
        return Ok(What::Line { on, want: read_want(after_space(text))? });
    }
    Err("a step begins with a connection's name and one of > >> < << =".to_owned())
}

fn after_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

fn read_want(text: &str) -> Result<Line, String> {
    let fields =
        text.strip_prefix("INFO ").and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let Some(serde_json::Value::Object(fields)) = fields else {
        return Ok(Line::Text(Pattern::parse(text, false)?));
    };
    let mut want = Vec::new();
    for (name, value) in fields {
        let field = match value {
            serde_json::Value::String(text) if text == "{{absent}}" => Field::Absent,
            serde_json::Value::String(text) => Field::Text(Pattern::parse(&text, false)?),
            other => Field::Value(other),
        };
        want.push((name, field));
    }
    Ok(Line::Info(want))
}

fn read_event(event: &str) -> Result<What, String> {
    let (first, rest) = word(event);
    if let Some(what) = read_named_event(None, first, rest)? {
        return Ok(what);
    }
    let (verb, rest) = word(rest);
    match read_named_event(Some(first), verb, rest)? {
        Some(what) => Ok(what),
        None => Err(format!("`@ {event}` is not known")),
    }
}

fn read_named_event(name: Option<&str>, verb: &str, rest: &str) -> Result<Option<What>, String> {
    let on = name.unwrap_or_default().to_owned();
    let about = name.map(str::to_owned);
    Ok(Some(match verb {
        "open" => What::Open { on },
        "shut" => What::Shut { on },
        "drop" => What::Drop { on },
        "reset" => What::Reset { on },
        "closed" => What::Closed { on },
        "gone" => What::Gone { on },
        "refused" => What::Refused { on },
        "flood" => {
            let mut words = rest.split_ascii_whitespace();
            let (Some(messages), Some(subject), Some(bytes)) = (words.next(), words.next(), words.next())
            else {
                return Err("flood wants a count, a subject and a size".to_owned());
            };
            let number = |text: &str| text.parse::<usize>().map_err(|_| format!("`{text}` is not a number"));
            let (messages, bytes) = (number(messages)?, number(bytes)?);
            if bytes > super::pattern::RUN_BYTES_MAX || messages > 1_000_000 {
                return Err("a flood beyond all bounds".to_owned());
            }
            What::Flood { on, messages, subject: subject.to_owned(), bytes }
        }
        "log" => What::Logged { on: about, want: read_log_line(rest)?, place: Place::Any },
        "then" => What::Logged { on: about, want: read_log_line(rest)?, place: Place::Behind },
        "unlogged" => What::Unlogged { on: about, want: read_log_line(rest)? },
        "reload" if name.is_none() => What::Reload { config: rest.to_owned() },
        "signal" if name.is_none() => What::Signal { name: read_signal(rest)? },
        "exits" if name.is_none() => {
            What::Exits { status: rest.trim().parse().map_err(|_| format!("`{rest}` is not a status"))? }
        }
        _ => return Ok(None),
    }))
}

fn read_log_line(text: &str) -> Result<LogLine, String> {
    let level =
        text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).filter(|(level, _)| level.len() == 3);
    let (level, text) = match level {
        Some((level, text)) => (Some(level.to_owned()), text),
        None => (None, text),
    };
    Ok(LogLine { level, text: Pattern::parse(text, false)? })
}

fn read_signal(name: &str) -> Result<SignalName, String> {
    Ok(match name.trim() {
        "HUP" => SignalName::Hup,
        "INT" => SignalName::Int,
        "TERM" => SignalName::Term,
        "USR1" => SignalName::Usr1,
        "USR2" => SignalName::Usr2,
        other => return Err(format!("`{other}` is no signal of a server")),
    })
}

fn word(text: &str) -> (&str, &str) {
    match text.split_once(' ') {
        Some((first, rest)) => (first, rest),
        None => (text.trim_end(), ""),
    }
}

/// Any bytes give a script or an error, never a panic.
pub fn fuzz_script(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let first = Script::parse(&text);
    assert_eq!(first, Script::parse(&text), "the same text reads the same");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::rng::Rng;

    #[track_caller]
    fn step(text: &str) -> What {
        let script = Script::parse(text).unwrap();
        assert_eq!(script.steps.len(), 1, "{text}");
        script.steps.into_iter().next().unwrap().what
    }

    fn fixed(text: &str) -> Pattern {
        Pattern::parse(text, true).unwrap()
    }

    #[test]
    fn lines_are_sent_with_crlf_and_raw_bytes_without() {
        assert_eq!(step("> PING"), What::Send { on: String::new(), bytes: fixed("PING").then(b"\r\n") });
        assert_eq!(step("b>> PI\\r"), What::Send { on: "b".to_owned(), bytes: fixed("PI\\r") });
        assert_eq!(step(">"), What::Send { on: String::new(), bytes: Pattern::default().then(b"\r\n") });
    }

    #[test]
    fn an_info_names_the_fields_that_count() {
        let What::Line { want: Line::Info(fields), .. } =
            step(r#"< INFO {"proto":1,"nonce":"{{absent}}","host":"h"}"#)
        else {
            panic!("not an INFO")
        };
        assert_eq!(fields.len(), 3);
        assert!(fields.contains(&("proto".to_owned(), Field::Value(1.into()))));
        assert!(fields.contains(&("nonce".to_owned(), Field::Absent)));
    }

    #[test]
    fn events_may_name_a_connection() {
        assert_eq!(step("@ closed"), What::Closed { on: String::new() });
        assert_eq!(step("@ b closed"), What::Closed { on: "b".to_owned() });
        assert_eq!(step("@ signal USR2"), What::Signal { name: SignalName::Usr2 });
        let What::Logged { on, want, .. } = step("@ log [DBG] Client connection closed: Client Closed")
        else {
            panic!("not a log line")
        };
        assert_eq!((on, want.level.as_deref()), (None, Some("DBG")));
    }

    #[test]
    fn headers_name_rows_and_configuration() {
        let script =
            Script::parse("! row: A | B | C, and | more\n! config: max_payload: 64\n! alone\n! pings\n")
                .unwrap();
        assert_eq!(script.rows, [Name::new("A", "B", "C, and | more")]);
        assert_eq!(script.config, ["max_payload: 64"]);
        assert!(script.alone && script.pings && script.needs_host() && script.wants_own_server());
    }

    #[test]
    fn what_cannot_be_read_is_placed() {
        for (text, line) in
            [("# ok\n? what", 2), ("! nonsense", 1), ("@ a jumps", 1), ("> a\n! alone", 2), ("@ exits x", 1)]
        {
            assert_eq!(Script::parse(text).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn no_bytes_panic_the_reader() {
        let corpus = [
            "> SUB foo 1\n< MSG foo 1 {{number}}\n@ a flood 1 b 2\n@ log [DBG] x\n< INFO {\"a\":{\"b\":1}}\n! row: a | b | c",
        ];
        let mut rng = Rng::seeded(11);
        for text in corpus {
            fuzz_script(text.as_bytes());
            for _ in 0..2_000 {
                let mut bytes = text.as_bytes().to_vec();
                for _ in 0..=rng.below(4) {
                    let at = rng.below(bytes.len());
                    bytes[at] = rng.next_u64() as u8;
                }
                bytes.truncate(rng.below(bytes.len()) + 1);
                fuzz_script(&bytes);
            }
        }
    }
}
