//! What services of other accounts are told of a client that asks them.

use super::session::ClientSession;
use crate::server::delivery::{Detail, Peer};
use crate::server::events::ClientInfo;

impl Peer for ClientSession {
    fn describe(&self, detail: Detail) -> ClientInfo<'_> {
        let least = || ClientInfo {
            account: (&**self.account.name()).into(),
            round_trip: self.ping.round_trip(),
            ..ClientInfo::default()
        };
        let info = match detail {
            Detail::Account => return least(),
            Detail::Server => least(),
            // The tag is that of the user's claims here, not the account's.
            Detail::All => ClientInfo { name_tag: self.labels().0.into(), ..self.client_info() },
        };
        let cluster = self.context.conn.options().cluster.name.clone();
        ClientInfo {
            server: self.context.info.load().server_name.clone().into(),
            cluster: cluster.unwrap_or_default().into(),
            ..info
        }
    }
}
