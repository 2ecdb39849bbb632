//! What services of other accounts are told of a client that sends them requests.

use super::session::ClientSession;
use crate::server::delivery::{Detail, Peer};
use crate::server::events::ClientInfo;

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
        // The tag is that of the user's claims here, not the account's.
        let (name_tag, _) = self.labels();
        self.describe_fully(|all| {
            tell(&ClientInfo { server: with_server.server, cluster, name_tag, ..*all });
        });
    }
}
