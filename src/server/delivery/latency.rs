//! What is told of measured requests to services.

use std::sync::Arc;
use std::time::Duration;

use super::courier::Courier;
use super::fanout::Manner;
use super::message::{Detail, Message, Origin, Peer};
use crate::server::account::{Account, Awaited, Measured, ServiceExport};
use crate::server::base::clock::Timestamp;
use crate::server::events::{LatencyStatus, ServiceLatency};
use crate::server::protocol::encode;

/// Notes of a request what will be told of it. `header` is the document of what asked for it.
pub(super) fn measure(peer: Option<&dyn Peer>, shares: bool, header: Vec<u8>, now: Timestamp) -> Measured {
    let detail = if shares { Detail::All } else { Detail::Account };
    let (requestor, round_trip) = described(peer, detail);
    Measured { started: now, requestor, round_trip, header, shares }
}

/// Who somebody is, as a document, and its round trip.
fn described(peer: Option<&dyn Peer>, detail: Detail) -> (Vec<u8>, Duration) {
    let mut document = Vec::new();
    let Some(info) = peer.map(|peer| peer.describe(detail)) else { return (document, Duration::ZERO) };
    info.write(&mut document);
    (document, info.round_trip.unwrap_or_default())
}

impl Courier {
    /// Tells that a measured request is answered by `peer`.
    pub(super) fn tell_answered(&mut self, awaited: &Awaited, peer: Option<&dyn Peer>, manner: Manner<'_>) {
        let Some(measured) = awaited.measured() else { return };
        let now = awaited.exporter().common().now();
        let (responder, round_trip) = described(peer, Detail::All);
        let taken = now.since(measured.started);
        let system =
            if round_trip.is_zero() { Duration::ZERO } else { awaited.exporter().common().now().since(now) };
        let latency = ServiceLatency {
            responder: &responder,
            service: taken.saturating_sub(round_trip),
            system,
            total: measured.round_trip + taken + system,
            ..blank(measured, LatencyStatus::Answered)
        };
        self.tell_latency(awaited.exporter(), awaited.export(), latency, manner);
    }

    /// Tells that a request, if it is measured, came to nothing.
    pub fn tell_failed(&mut self, awaited: &Awaited, status: LatencyStatus, manner: Manner<'_>) {
        if let Some(measured) = awaited.measured() {
            self.tell_latency(awaited.exporter(), awaited.export(), blank(measured, status), manner);
        }
    }

    /// Tells that a measured request has no reply.
    pub(super) fn tell_bad_request(
        &mut self,
        exporter: &Arc<Account>,
        export: &ServiceExport,
        measured: &Measured,
        manner: Manner<'_>,
    ) {
        self.tell_latency(exporter, export, blank(measured, LatencyStatus::BadRequest), manner);
    }

    fn tell_latency(
        &mut self,
        exporter: &Arc<Account>,
        export: &ServiceExport,
        latency: ServiceLatency<'_>,
        manner: Manner<'_>,
    ) {
        let Some(results) = &export.latency else { return };
        let (id, mut body) = (exporter.common().event_id(), Vec::new());
        ServiceLatency { id: &id, time: exporter.common().now(), ..latency }.write(&mut body);
        let mut digits = [0; encode::DIGITS_MAX];
        // The reference writes the space of a reply that it doesn't have.
        let size_text = [b" ", encode::decimal(body.len() as u64, &mut digits)].concat();
        let message = Message {
            subject: results.subject.as_bytes(),
            reply: b"",
            header_bytes: None,
            header_text: b"",
            size_text: &size_text,
            payload: &body,
            tail: b"",
        };
        let origin = Origin { outbound: exporter.outbound(), account: exporter, echo: false, peer: None };
        self.deliver(&origin, &message, Manner { repeats: false, at_once: true, ..manner });
    }
}

/// What is the same in every document of a request.
fn blank(measured: &Measured, status: LatencyStatus) -> ServiceLatency<'_> {
    let start = measured.started.nanos();
    let before = u64::try_from(measured.round_trip.as_nanos()).unwrap_or(u64::MAX);
    ServiceLatency {
        id: "",
        time: Timestamp::default(),
        status,
        requestor: &measured.requestor,
        responder: b"",
        header: &measured.header,
        start: Timestamp::from_nanos(start.saturating_sub(before)),
        service: Duration::ZERO,
        system: Duration::ZERO,
        total: Duration::ZERO,
    }
}
