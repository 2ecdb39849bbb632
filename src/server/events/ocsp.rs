//! Events of OCSP: a peer whose certificates its responders do not call good.

use super::stamp::Stamp;
use crate::server::protocol::json::ObjectWriter;

const REJECT_TYPE: &str = "io.nats.server.advisory.v1.ocsp_peer_reject";
const LINK_TYPE: &str = "io.nats.server.advisory.v1.ocsp_peer_link_invalid";

/// Where a peer that was turned away is told of.
pub fn ocsp_reject_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.OCSP.PEER.CONN.REJECT")
}

/// Where the certificate that is not good is told of.
pub fn ocsp_link_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.OCSP.PEER.LINK.INVALID")
}

/// A certificate as events show it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateInfo {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// SHA-256, base 64.
    pub fingerprint: String,
    /// The certificate itself, base 64.
    pub raw: String,
}

impl CertificateInfo {
    fn write(&self, object: &mut ObjectWriter<'_>) {
        object.text_if_any("subject", &self.subject);
        object.text_if_any("issuer", &self.issuer);
        object.text_if_any("fingerprint", &self.fingerprint);
        object.text_if_any("raw", &self.raw);
    }
}

/// The document of a peer that was turned away; `kind` is what kind of connection it wanted.
pub fn write_ocsp_reject(
    stamp: &Stamp<'_>,
    kind: &str,
    peer: &CertificateInfo,
    reason: &str,
    out: &mut Vec<u8>,
) {
    let mut document = stamp.begin_without_server(REJECT_TYPE, out);
    document.text("kind", kind);
    document.object("peer", |object| peer.write(object));
    stamp.write_server(&mut document);
    document.text("reason", reason);
    document.end();
}

/// The document of a certificate that is not good.
pub fn write_ocsp_link(
    stamp: &Stamp<'_>,
    link: &CertificateInfo,
    peer: &CertificateInfo,
    reason: &str,
    out: &mut Vec<u8>,
) {
    let mut document = stamp.begin_without_server(LINK_TYPE, out);
    document.object("link", |object| link.write(object));
    document.object("peer", |object| peer.write(object));
    stamp.write_server(&mut document);
    document.text("reason", reason);
    document.end();
}
