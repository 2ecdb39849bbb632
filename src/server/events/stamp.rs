//! What all events begin with: type, id, time, and the server that sends them.

use super::server::ServerInfo;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::ObjectWriter;

/// One event's place among all that a server sends.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Its id; see [`super::EventIds`].
    pub id: &'a str,
    /// When what it tells of happened.
    pub time: Timestamp,
    /// Who sends it.
    pub server: &'a ServerInfo,
    /// How many system messages this server has sent, this one included.
    pub sequence: u64,
}

impl Stamp<'_> {
    /// Begins the document of an event of type `kind`.
    pub(super) fn begin<'o>(&self, kind: &str, out: &'o mut Vec<u8>) -> ObjectWriter<'o> {
        let mut document = self.begin_without_server(kind, out);
        self.write_server(&mut document);
        document
    }

    /// [`Self::begin`] for the few that name the server later.
    pub(super) fn begin_without_server<'o>(&self, kind: &str, out: &'o mut Vec<u8>) -> ObjectWriter<'o> {
        let mut document = ObjectWriter::new(out);
        document.text("type", kind);
        document.text("id", self.id);
        document.text("timestamp", &time_text(self.time));
        document
    }

    /// The server that sends the event.
    pub(super) fn write_server(&self, document: &mut ObjectWriter<'_>) {
        document.raw("server", |out| self.server.write(self.sequence, self.time, out));
    }
}

/// Messages and their payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Payload bytes of them, headers included.
    pub payload_bytes: u64,
}

impl Traffic {
    pub(super) fn write(self, object: &mut ObjectWriter<'_>) {
        object.uint("msgs", self.messages);
        object.uint("bytes", self.payload_bytes);
    }
}

/// A moment as Go's JSON has it: RFC 3339 in UTC, as many digits of a second as are not zero.
pub(super) fn time_text(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc_with_the_digits_they_need() {
        for (nanos, want) in [
            (1_795_980_000_000_000_000, "2026-11-29T19:20:00Z"),
            (1_795_980_000_500_000_000, "2026-11-29T19:20:00.5Z"),
            (1_795_980_000_000_000_001, "2026-11-29T19:20:00.000000001Z"),
        ] {
            assert_eq!(time_text(Timestamp::from_nanos(nanos)), want);
        }
    }
}
