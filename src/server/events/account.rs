//! How many connections an account has on this server, and what they have sent and received.

use super::stamp::{Stamp, Traffic};
use crate::server::protocol::json::ObjectWriter;

const ACCOUNT_CONNECTIONS_TYPE: &str = "io.nats.server.advisory.v1.account_connections";

/// An account's figures on this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountFigures<'a> {
    /// Its name.
    pub account: &'a str,
    /// What it calls itself.
    pub name: &'a str,
    /// Client connections.
    pub connections: usize,
    /// Leaf node connections.
    pub leafnodes: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// What went to its connections.
    pub sent: Traffic,
    /// What came from them.
    pub received: Traffic,
    /// Connections that did not keep up.
    pub slow_consumers: u64,
}

/// Where they are published: the old subject first, as the reference sends them.
pub fn account_connections_subjects(account: &str) -> [String; 2] {
    [format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"), format!("$SYS.ACCOUNT.{account}.SERVER.CONNS")]
}

/// The document.
pub fn write_account_connections(stamp: &Stamp<'_>, figures: &AccountFigures<'_>, out: &mut Vec<u8>) {
    let mut document = stamp.begin(ACCOUNT_CONNECTIONS_TYPE, out);
    document.text("acc", figures.account);
    document.text("name", figures.name);
    document.uint("conns", figures.connections as u64);
    document.uint("leafnodes", figures.leafnodes as u64);
    document.uint("total_conns", (figures.connections + figures.leafnodes) as u64);
    document.uint("num_subscriptions", figures.subscriptions as u64);
    write_traffic(&mut document, "sent", figures.sent);
    write_traffic(&mut document, "received", figures.received);
    document.uint("slow_consumers", figures.slow_consumers);
    document.end();
}

/// All traffic, then that of links: there are none yet.
fn write_traffic(document: &mut ObjectWriter<'_>, name: &str, traffic: Traffic) {
    document.object(name, |object| {
        traffic.write(object);
        for link in ["gateways", "routes", "leafs"] {
            object.object(link, |object| Traffic::default().write(object));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::Timestamp;
    use crate::server::events::server::example;

    #[test]
    fn figures_stand_in_the_references_order() {
        let server = example();
        let stamp = Stamp { id: "ID", time: Timestamp::from_nanos(0), server: &server, sequence: 1 };
        let figures = AccountFigures {
            account: "AK",
            name: "tag",
            connections: 2,
            leafnodes: 1,
            subscriptions: 4,
            sent: Traffic { messages: 3, payload_bytes: 419 },
            received: Traffic { messages: 1, payload_bytes: 5 },
            slow_consumers: 6,
        };
        let mut out = Vec::new();
        write_account_connections(&stamp, &figures, &mut out);
        let text = String::from_utf8(out).unwrap();
        let links =
            r#""gateways":{"msgs":0,"bytes":0},"routes":{"msgs":0,"bytes":0},"leafs":{"msgs":0,"bytes":0}"#;
        let want = format!(
            r#""acc":"AK","name":"tag","conns":2,"leafnodes":1,"total_conns":3,"num_subscriptions":4,"sent":{{"msgs":3,"bytes":419,{links}}},"received":{{"msgs":1,"bytes":5,{links}}},"slow_consumers":6}}"#
        );
        assert!(text.ends_with(&want), "{text}");
        assert_eq!(
            account_connections_subjects("A"),
            ["$SYS.SERVER.ACCOUNT.A.CONNS", "$SYS.ACCOUNT.A.SERVER.CONNS"]
        );
    }
}
