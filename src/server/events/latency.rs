//! Service latency: how long a request to another account's service took.

use std::time::Duration;

use super::stamp::time_text;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::ObjectWriter;

const SERVICE_LATENCY_TYPE: &str = "io.nats.server.metric.v1.service_latency";

/// One measured request. Documents inside are whole objects; empty ones are left out.
#[derive(Debug, Clone, Copy)]
pub struct ServiceLatency<'a> {
    /// Its id; see [`super::EventIds`].
    pub id: &'a str,
    /// When this is said.
    pub time: Timestamp,
    /// What became of the request.
    pub status: LatencyStatus,
    /// Who asked.
    pub requestor: &'a [u8],
    /// Who answered.
    pub responder: &'a [u8],
    /// The request's headers that asked for the measurement.
    pub header: &'a [u8],
    /// When the request left the requestor.
    pub start: Timestamp,
    /// What the service took.
    pub service: Duration,
    /// What this server took.
    pub system: Duration,
    /// What the requestor waited.
    pub total: Duration,
}

/// What became of a measured request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyStatus {
    /// It was answered.
    Answered,
    /// It said nowhere to answer to.
    BadRequest,
    /// The requestor has stopped waiting.
    RequestTimeout,
    /// Nobody was there to take it.
    ServiceUnavailable,
    /// It was not answered in time.
    ServiceTimeout,
}

impl LatencyStatus {
    const fn code_and_text(self) -> (u64, &'static str) {
        match self {
            Self::Answered => (200, ""),
            Self::BadRequest => (400, "Bad Request"),
            Self::RequestTimeout => (408, "Request Timeout"),
            Self::ServiceUnavailable => (503, "Service Unavailable"),
            Self::ServiceTimeout => (504, "Service Timeout"),
        }
    }
}

impl ServiceLatency<'_> {
    /// Writes the document.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (code, text) = self.status.code_and_text();
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let mut document = ObjectWriter::new(out);
        document.text("type", SERVICE_LATENCY_TYPE);
        document.text("id", self.id);
        document.text("timestamp", &time_text(self.time));
        document.uint("status", code);
        document.text_if_any("description", text);
        for (name, inner) in
            [("requestor", self.requestor), ("responder", self.responder), ("header", self.header)]
        {
            if !inner.is_empty() {
                document.raw(name, |out| out.extend_from_slice(inner));
            }
        }
        document.text("start", &time_text(self.start));
        document.uint("service", nanos(self.service));
        document.uint("system", nanos(self.system));
        document.uint("total", nanos(self.total));
        document.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(latency: &ServiceLatency<'_>) -> String {
        let mut out = Vec::new();
        latency.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_stand_in_the_references_order_and_missing_objects_are_left_out() {
        let answered = ServiceLatency {
            id: "ID",
            time: Timestamp::from_nanos(1_000_000_000),
            status: LatencyStatus::Answered,
            requestor: br#"{"acc":"B"}"#,
            responder: br#"{"acc":"A"}"#,
            header: br#"{"B3":["1"]}"#,
            start: Timestamp::from_nanos(0),
            service: Duration::from_nanos(1),
            system: Duration::from_nanos(2),
            total: Duration::from_nanos(3),
        };
        let want = concat!(
            r#"{"type":"io.nats.server.metric.v1.service_latency","id":"ID","timestamp":"1970-01-01T00:00:01Z","#,
            r#""status":200,"requestor":{"acc":"B"},"responder":{"acc":"A"},"header":{"B3":["1"]},"#,
            r#""start":"1970-01-01T00:00:00Z","service":1,"system":2,"total":3}"#
        );
        assert_eq!(written(&answered), want);
        let zero = Duration::ZERO;
        let refused = ServiceLatency {
            status: LatencyStatus::BadRequest,
            requestor: b"",
            responder: b"",
            header: b"",
            service: zero,
            system: zero,
            total: zero,
            ..answered
        };
        let want = concat!(
            r#"{"type":"io.nats.server.metric.v1.service_latency","id":"ID","timestamp":"1970-01-01T00:00:01Z","#,
            r#""status":400,"description":"Bad Request","#,
            r#""start":"1970-01-01T00:00:00Z","service":0,"system":0,"total":0}"#
        );
        assert_eq!(written(&refused), want);
    }
}
