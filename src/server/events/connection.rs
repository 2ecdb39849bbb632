//! Events of connections: they come, they go, they are refused.

use super::client::ClientInfo;
use super::stamp::{Stamp, Traffic};

const CONNECT_TYPE: &str = "io.nats.server.advisory.v1.client_connect";
const DISCONNECT_TYPE: &str = "io.nats.server.advisory.v1.client_disconnect";

/// Where an account hears of a connection that was refused to it.
pub const ACCOUNT_AUTH_ERROR_SUBJECT: &str = "$SYS.ACCOUNT.CLIENT.AUTH.ERR";

/// Where a connection in `account` is told of.
pub fn connect_subject(account: &str) -> String {
    format!("$SYS.ACCOUNT.{account}.CONNECT")
}

/// Where the end of a connection in `account` is told of.
pub fn disconnect_subject(account: &str) -> String {
    format!("$SYS.ACCOUNT.{account}.DISCONNECT")
}

/// Where the operator hears of a connection that a server refused.
pub fn auth_error_subject(server_id: &str) -> String {
    format!("$SYS.SERVER.{server_id}.CLIENT.AUTH.ERR")
}

/// The document of a connection that has come.
pub fn write_connect(stamp: &Stamp<'_>, client: &ClientInfo<'_>, out: &mut Vec<u8>) {
    let mut document = stamp.begin(CONNECT_TYPE, out);
    document.object("client", |object| client.write_fields(object));
    document.end();
}

/// The document of a connection that has ended, or was refused. It `sent` the server so much, and
/// `received` so much from it.
pub fn write_disconnect(
    stamp: &Stamp<'_>,
    client: &ClientInfo<'_>,
    [sent, received]: [Traffic; 2],
    reason: &str,
    out: &mut Vec<u8>,
) {
    let mut document = stamp.begin(DISCONNECT_TYPE, out);
    document.object("client", |object| client.write_fields(object));
    document.object("sent", |object| sent.write(object));
    document.object("received", |object| received.write(object));
    document.text("reason", reason);
    document.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::Timestamp;
    use crate::server::events::server::example;

    const SERVER: &str = r#"{"name":"srv","host":"0.0.0.0","id":"NA","ver":"2.15.1","jetstream":false,"flags":0,"seq":3,"time":"1970-01-01T00:00:01Z"}"#;

    fn written(write: impl FnOnce(&Stamp<'_>, &mut Vec<u8>)) -> String {
        let (server, mut out) = (example(), Vec::new());
        let time = Timestamp::from_nanos(1_000_000_000);
        write(&Stamp { id: "ID", time, server: &server, sequence: 3 }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn connect_says_who_came() {
        let client = ClientInfo { id: 7, account: "A".into(), ..ClientInfo::default() };
        let want = format!(
            r#"{{"type":"io.nats.server.advisory.v1.client_connect","id":"ID","timestamp":"1970-01-01T00:00:01Z","server":{SERVER},"client":{{"id":7,"acc":"A"}}}}"#
        );
        assert_eq!(written(|stamp, out| write_connect(stamp, &client, out)), want);
    }

    #[test]
    fn disconnect_counts_and_says_why() {
        let client = ClientInfo { id: 7, account: "A".into(), ..ClientInfo::default() };
        let traffic = [(3, 5), (1, 2)].map(|(messages, payload_bytes)| Traffic { messages, payload_bytes });
        let want = format!(
            r#"{{"type":"io.nats.server.advisory.v1.client_disconnect","id":"ID","timestamp":"1970-01-01T00:00:01Z","server":{SERVER},"client":{{"id":7,"acc":"A"}},"sent":{{"msgs":3,"bytes":5}},"received":{{"msgs":1,"bytes":2}},"reason":"Client Closed"}}"#
        );
        assert_eq!(
            written(|stamp, out| write_disconnect(stamp, &client, traffic, "Client Closed", out)),
            want
        );
    }
}
