//! Deliveries in the protocol trace: `->> [MSG …]`.

use crate::server::log::{Logger, trace_line};
use crate::server::outbound::Outbound;

/// Writes each delivery of a traced server to its log.
#[derive(Debug, Clone)]
pub struct DeliveryLog {
    /// Where to.
    pub logger: Logger,
    /// How much of a payload is shown.
    pub view: trace_line::PayloadView,
}

impl DeliveryLog {
    /// Notes one delivery: `written` is the control line, its CRLF and the payload.
    pub fn delivered(&self, target: &Outbound, written: &[u8], header_bytes: usize) {
        let Some(end) = memchr::memchr(b'\n', written) else { return };
        let (line, payload) = written.split_at(end + 1);
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let label = target.label();
        let operation =
            trace_line::operation(trace_line::Direction::Out, &String::from_utf8_lossy(line), None);
        self.logger.trace(format_args!("{label} - {operation}"));
        let payload = payload.strip_suffix(b"\r\n").unwrap_or(payload);
        if let Some(text) = trace_line::payload(trace_line::Direction::Out, payload, header_bytes, self.view)
        {
            self.logger.trace(format_args!("{label} - {text}"));
        }
    }
}
