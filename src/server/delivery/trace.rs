//! Deliveries in the protocol trace: `->> [MSG …]`.

use super::message::Message;
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
    /// Notes one delivery of `message`; `written` begins with its control line.
    pub fn delivered(&self, target: &Outbound, written: &[u8], message: &Message<'_>, takes_headers: bool) {
        let line = written.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let header_bytes = message.header_bytes.unwrap_or(0);
        let (header_bytes, skipped) = if takes_headers { (header_bytes, 0) } else { (0, header_bytes) };
        let payload = message.payload.get(skipped..).unwrap_or_default();
        let label = target.label();
        let operation =
            trace_line::operation(trace_line::Direction::Out, &String::from_utf8_lossy(line), None);
        self.logger.trace(format_args!("{label} - {operation}"));
        if let Some(text) = trace_line::payload(trace_line::Direction::Out, payload, header_bytes, self.view)
        {
            self.logger.trace(format_args!("{label} - {text}"));
        }
    }
}
