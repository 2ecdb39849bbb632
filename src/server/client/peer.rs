//! What services of other accounts are told of a client that sends them requests.

use super::profile::Names;
use super::session::ClientSession;
use crate::server::delivery::{Detail, Peer};
use crate::server::events::ClientInfo;

/// The host of clients inside the process.
const IN_PROCESS_HOST: &str = "pipe";

impl Peer for ClientSession {
    fn describe(&self, detail: Detail, tell: &mut dyn FnMut(&ClientInfo<'_>)) {
        let least = ClientInfo {
            account: self.account.name(),
            round_trip: self.ping.round_trip(),
            ..ClientInfo::default()
        };
        if detail == Detail::Account {
            return tell(&least);
        }
        let (info, options) = (self.context.info.load(), self.context.conn.options());
        let cluster = options.cluster.name.as_deref().unwrap_or_default();
        let with_server = ClientInfo { server: &info.server_name, cluster, ..least };
        if detail == Detail::Server {
            return tell(&with_server);
        }
        let host =
            self.peer.map_or_else(|| IN_PROCESS_HOST.to_owned(), |peer| peer.ip().to_canonical().to_string());
        let Names { name, lang, version } = self.profile.names();
        tell(&ClientInfo {
            start: Some(self.accepted),
            host: &host,
            id: self.outbound.id(),
            name: &name,
            lang: &lang,
            version: &version,
            kind: "Client",
            client_type: "nats",
            ..with_server
        });
    }
}
