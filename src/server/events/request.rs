//! What the system account may ask of this server: the services, their subjects, and the documents of
//! questions and answers.
//!
//! Pure: whoever hears the questions does what they ask for.

use super::server::ServerInfo;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::{self, Document, JsonError, ObjectWriter, Slot};

/// How many subscribers a subject has.
const SUBSCRIBERS_SUBJECT: &str = "$SYS.DEBUG.SUBSCRIBERS";

/// What a server does for the system account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Closes a client.
    Kick,
    /// Tells a client that the server is a lame duck.
    LameDuck,
    /// Reloads the configuration.
    Reload,
    /// Says who the server is.
    Identify,
    /// Counts the subscribers of a subject.
    CountSubscribers,
}

impl Service {
    /// All services of the server `id`, with the subjects that they are asked on.
    pub fn subjects(id: &str) -> [(Self, String); 6] {
        let own = |name: &str| format!("$SYS.REQ.SERVER.{id}.{name}");
        [
            (Self::Kick, own("KICK")),
            (Self::LameDuck, own("LDM")),
            (Self::Reload, own("RELOAD")),
            (Self::Identify, own("IDZ")),
            (Self::Identify, "$SYS.REQ.SERVER.PING.IDZ".to_owned()),
            (Self::CountSubscribers, SUBSCRIBERS_SUBJECT.to_owned()),
        ]
    }
}

/// The client that a question is about.
#[derive(Debug, Default)]
pub struct ClientChoice {
    /// Its connection.
    pub id: u64,
}

/// The client that a kick names.
#[derive(Debug, Default)]
struct Kicked(ClientChoice);

/// The client that a notice of a lame duck names.
#[derive(Debug, Default)]
struct Told(ClientChoice);

impl ClientChoice {
    /// Reads the question of a `service`, whose errors name its document.
    ///
    /// # Errors
    /// It is no such document.
    pub fn read(service: Service, body: &[u8]) -> Result<Self, JsonError> {
        if service == Service::Kick {
            let mut kicked = Kicked::default();
            return json::read(&mut kicked, body).map(|()| kicked.0);
        }
        let mut told = Told::default();
        json::read(&mut told, body).map(|()| told.0)
    }
}

impl Document for Kicked {
    const NAME: &'static str = "KickClientReq";
    const TYPE: &'static str = "server.KickClientReq";
    const FIELDS: &'static [&'static str] = &["cid"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        (name == "cid").then_some(Slot::Uint64(&mut self.0.id))
    }
}

impl Document for Told {
    const NAME: &'static str = "LDMClientReq";
    const TYPE: &'static str = "server.LDMClientReq";
    const FIELDS: &'static [&'static str] = &["cid"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        (name == "cid").then_some(Slot::Uint64(&mut self.0.id))
    }
}

/// Which servers a question is for: those that fit all that it says.
#[derive(Debug, Default)]
pub struct ServerFilter {
    name: String,
    cluster: String,
    host: String,
    is_exact: bool,
    tags: Vec<String>,
    domain: String,
}

/// A server that a question may be for.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its cluster.
    pub cluster: &'a str,
    /// The address that it listens on.
    pub host: &'a str,
    /// Its tags.
    pub tags: &'a [String],
    /// Its JetStream domain.
    pub domain: &'a str,
}

impl Document for ServerFilter {
    const NAME: &'static str = "EventFilterOptions";
    const TYPE: &'static str = "server.EventFilterOptions";
    const FIELDS: &'static [&'static str] =
        &["server_name", "cluster", "host", "exact_match", "tags", "domain"];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "server_name" => Slot::Text(&mut self.name),
            "cluster" => Slot::Text(&mut self.cluster),
            "host" => Slot::Text(&mut self.host),
            "exact_match" => Slot::Bool(&mut self.is_exact),
            "tags" => Slot::Texts(&mut self.tags),
            "domain" => Slot::Text(&mut self.domain),
            _ => return None,
        })
    }
}

impl ServerFilter {
    /// Reads the filter of a question; an empty one has none.
    ///
    /// # Errors
    /// It is no document, or a field has a value of the wrong kind.
    pub fn read(body: &[u8]) -> Result<Self, JsonError> {
        let mut filter = Self::default();
        if !body.is_empty() {
            json::read(&mut filter, body)?;
        }
        Ok(filter)
    }

    /// Whether the question is for `server`. Parts of names and addresses are enough unless it says otherwise.
    pub fn fits(&self, server: &Candidate<'_>) -> bool {
        let fits = |wanted: &str, have: &str| {
            wanted.is_empty() || if self.is_exact { wanted == have } else { have.contains(wanted) }
        };
        let has_tag = |tag: &String| {
            let tag = tag.trim().to_lowercase();
            server.tags.iter().any(|own| own.to_lowercase() == tag)
        };
        fits(&self.name, server.name)
            && fits(&self.host, server.host)
            && fits(&self.cluster, server.cluster)
            && self.tags.iter().all(has_tag)
            && (self.domain.is_empty() || self.domain == server.domain)
    }
}

/// Why a question was not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// 400 for a question that is none, 500 for what could not be done.
    pub code: u16,
    /// In words.
    pub description: String,
}

/// Writes the answer of a service that only says whether it was done.
pub fn write_outcome(
    server: &ServerInfo,
    sequence: u64,
    now: Timestamp,
    outcome: &Result<(), Failure>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"server\":");
    server.write(sequence, now, out);
    if let Err(Failure { code, description }) = outcome {
        out.extend_from_slice(b",\"error\":");
        let mut error = ObjectWriter::new(out);
        error.uint("code", u64::from(*code));
        error.text("description", description);
        error.end();
    }
    out.push(b'}');
}

/// Writes who a server is.
pub fn write_identity(name: &str, host: &str, id: &str, out: &mut Vec<u8>) {
    let mut object = ObjectWriter::new(out);
    object.text("name", name);
    object.text("host", host);
    object.text("id", id);
    object.end();
}

/// Whose subscribers a question wants counted: a subject or a pattern, and a queue group if any.
pub fn read_subscribers(body: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut words = body.trim_ascii().split(|&byte| byte == b' ');
    (words.next().unwrap_or_default(), words.next())
}

/// Fuzz body: no question may panic.
#[doc(hidden)]
pub fn fuzz_request(data: &[u8]) {
    let _ = ClientChoice::read(Service::Kick, data);
    let _ = ServerFilter::read(data);
    let _ = read_subscribers(data);
}

#[cfg(test)]
mod tests {
    use super::super::server::example;
    use super::*;

    #[track_caller]
    fn check(filter: &str, want: bool) {
        let tags = ["t1".to_owned(), "t2".to_owned()];
        let server = Candidate { name: "srv-1", cluster: "east", host: "127.0.0.1", tags: &tags, domain: "" };
        let filter = ServerFilter::read(filter.as_bytes()).unwrap();
        assert_eq!(filter.fits(&server), want, "{filter:?}");
    }

    #[test]
    fn filter_takes_parts_of_names_unless_it_is_exact() {
        for (filter, want) in [
            ("", true),
            ("{}", true),
            (r#"{"server_name":"rv"}"#, true),
            (r#"{"server_name":"x"}"#, false),
            (r#"{"server_name":"srv","exact_match":true}"#, false),
            (r#"{"server_name":"srv-1","exact_match":true}"#, true),
            (r#"{"host":"127"}"#, true),
            (r#"{"host":"x"}"#, false),
            (r#"{"host":"127","exact_match":true}"#, false),
            (r#"{"cluster":"eas"}"#, true),
            (r#"{"cluster":"srv"}"#, false),
            (r#"{"cluster":"eas","exact_match":true}"#, false),
            (r#"{"cluster":"east","exact_match":true}"#, true),
            (r#"{"tags":["T1"," t2"]}"#, true),
            (r#"{"tags":["t1","t3"]}"#, false),
            (r#"{"domain":"d"}"#, false),
        ] {
            check(filter, want);
        }
    }

    #[test]
    fn questions_that_are_none_are_told_in_the_references_words() {
        let kick = |body: &str| ClientChoice::read(Service::Kick, body.as_bytes()).map(|choice| choice.id);
        assert_eq!(kick(r#"{"CID":7}"#), Ok(7));
        assert_eq!(kick("").unwrap_err().to_string(), "unexpected end of JSON input");
        assert_eq!(
            kick(r#"{"cid":"x"}"#).unwrap_err().to_string(),
            "json: cannot unmarshal string into Go struct field KickClientReq.cid of type uint64"
        );
        let told = ClientChoice::read(Service::LameDuck, b"[]").unwrap_err().to_string();
        assert_eq!(told, "json: cannot unmarshal array into Go value of type server.LDMClientReq");
    }

    #[test]
    fn outcome_names_the_server_and_what_went_wrong() {
        let written = |outcome| {
            let mut out = Vec::new();
            write_outcome(&example(), 3, Timestamp::from_nanos(0), &outcome, &mut out);
            String::from_utf8(out).unwrap()
        };
        let failure = Failure { code: 500, description: "no \"x\"".to_owned() };
        let server = written(Ok(())).strip_suffix('}').unwrap().to_owned();
        assert!(
            server.starts_with(r#"{"server":{"name":"srv","#) && server.ends_with(r#"00Z"}"#),
            "{server}"
        );
        let want = format!("{server}{}", r#","error":{"code":500,"description":"no \"x\""}}"#);
        assert_eq!(written(Err(failure)), want);
    }

    #[test]
    fn subscribers_are_asked_for_by_subject_and_group() {
        for (body, want) in
            [("a", ("a", None)), (" a q ", ("a", Some("q"))), ("a  q", ("a", Some(""))), ("", ("", None))]
        {
            let (subject, queue) = read_subscribers(body.as_bytes());
            let text = |bytes| std::str::from_utf8(bytes).unwrap();
            assert_eq!((text(subject), queue.map(text)), want, "{body}");
        }
    }
}
