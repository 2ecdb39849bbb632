//! The server as its system messages name it, and the events of its own life.

use std::collections::BTreeMap;

use super::stamp::time_text;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::encode;
use crate::server::protocol::json::ObjectWriter;

/// What a server is, as it tells others.
#[derive(Debug, Clone, Copy)]
pub struct ServerFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// The address that it listens on for clients.
    pub host: &'a str,
    /// Its public key.
    pub id: &'a str,
    /// Its cluster; empty for none.
    pub cluster: &'a str,
    /// Its version.
    pub version: &'a str,
    /// `server_tags`.
    pub tags: &'a [String],
    /// `server_metadata`.
    pub metadata: &'a BTreeMap<String, String>,
    /// Every feature that can be switched, in order of its name, and whether it is on.
    pub feature_flags: &'a [(&'a str, bool)],
}

/// The `server` object of a system message: written once but for what changes with each message.
#[derive(Debug, Clone, Default)]
pub struct ServerInfo {
    /// The object up to its sequence, without the brace that closes it.
    beginning: Vec<u8>,
}

impl ServerInfo {
    /// The object of a server that is `facts`.
    pub fn new(facts: &ServerFacts<'_>) -> Self {
        let mut beginning = Vec::new();
        let mut object = ObjectWriter::new(&mut beginning);
        object.text("name", facts.name);
        object.text("host", facts.host);
        object.text("id", facts.id);
        object.text_if_any("cluster", facts.cluster);
        object.text("ver", facts.version);
        object.texts_if_any("tags", facts.tags);
        if !facts.metadata.is_empty() {
            object.object("metadata", |metadata| {
                facts.metadata.iter().for_each(|(name, value)| metadata.text(name, value));
            });
        }
        if !facts.feature_flags.is_empty() {
            object.object("feature_flags", |flags| {
                facts.feature_flags.iter().for_each(|(name, is_on)| flags.bool(name, *is_on));
            });
        }
        object.bool("jetstream", false);
        object.uint("flags", 0);
        object.end();
        beginning.pop();
        Self { beginning }
    }

    /// Writes the object for the message with this sequence, sent at `time`. It is also the whole
    /// document of a server's last words.
    pub fn write(&self, sequence: u64, time: Timestamp, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.beginning);
        out.extend_from_slice(b",\"seq\":");
        encode::number(out, sequence);
        out.extend_from_slice(b",\"time\":\"");
        out.extend_from_slice(time_text(time).as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// Where a server says that it stops.
pub fn shutdown_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.SHUTDOWN")
}

/// Where a server says that it is a lame duck.
pub fn lame_duck_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.LAMEDUCK")
}

#[cfg(test)]
pub(super) fn example() -> ServerInfo {
    ServerInfo::new(&ServerFacts {
        name: "srv",
        host: "0.0.0.0",
        id: "NA",
        cluster: "",
        version: "2.15.1",
        tags: &[],
        metadata: &BTreeMap::new(),
        feature_flags: &[],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_described_in_the_references_order() {
        let info = ServerInfo::new(&ServerFacts {
            cluster: "east",
            tags: &["t1".to_owned(), "t2".to_owned()],
            metadata: &[("k1".to_owned(), "<v>".to_owned())].into(),
            feature_flags: &[("a", false), ("b", true)],
            name: "srv",
            host: "0.0.0.0",
            id: "NA",
            version: "2.15.1",
        });
        let mut out = Vec::new();
        info.write(12, Timestamp::from_nanos(1_000_000_000), &mut out);
        let want = concat!(
            r#"{"name":"srv","host":"0.0.0.0","id":"NA","cluster":"east","ver":"2.15.1","tags":["t1","t2"],"#,
            r#""metadata":{"k1":"\u003cv\u003e"},"feature_flags":{"a":false,"b":true},"jetstream":false,"#,
            r#""flags":0,"seq":12,"time":"1970-01-01T00:00:01Z"}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}
