//! What others hear of a client: its account's figures, and the events of its coming and going.

use std::sync::Arc;
use std::time::Duration;

use super::profile::Names;
use super::session::ClientSession;
use crate::server::account::Account;
use crate::server::auth::{Grant, Identity, callout};
use crate::server::base::clock::Timestamp;
use crate::server::base::pem;
use crate::server::delivery::{Courier, Occasion, Reply};
use crate::server::events::{
    ACCOUNT_AUTH_ERROR_SUBJECT, ClientInfo, Stamp, Traffic, UserInfo, auth_error_subject, connect_subject,
    disconnect_subject, write_connect, write_disconnect, write_user_info,
};
use crate::server::jwt;
use crate::server::net::TlsState;
use crate::server::protocol::connect::ConnectOptions;
use crate::server::protocol::error::CloseReason;

/// What the log and events call a client.
pub(super) const KIND: &str = "Client";
/// What events call a client that speaks the protocol of NATS over a plain or TLS connection.
const CLIENT_TYPE: &str = "nats";
/// The host of clients inside the process.
const IN_PROCESS_HOST: &str = "pipe";

/// How a question about a user came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// From that user.
    ByUser,
    /// In the system account, past the import that says from whom.
    Directly,
}

impl ClientSession {
    /// Counts what is sent from now on for the account that it is in. Nobody is told what the global
    /// account sends and receives: who uses no accounts pays nothing for their figures.
    pub(super) fn count_sent(&self) {
        let tally = (!self.is_in_global()).then(|| Arc::clone(self.account.figures().sent()));
        self.outbound.set_tally(tally);
    }

    fn is_in_global(&self) -> bool {
        Arc::ptr_eq(&self.account, self.context.accounts.global())
    }

    /// The client has left an account for the one that it is in.
    pub(super) fn tell_moved(&self, left: &Arc<Account>, now: Timestamp, courier: &mut Courier) {
        self.count_sent();
        let herald = &self.context.conn.herald;
        for account in [left, &self.account] {
            herald.tell_connections(&mut self.occasion(now, courier), account);
        }
    }

    /// How many connections its account has has changed.
    pub(super) fn tell_connections(&self, now: Timestamp, courier: &mut Courier) {
        let herald = &self.context.conn.herald;
        herald.tell_connections(&mut self.occasion(now, courier), &self.account);
    }

    /// Counts for the account that the client is in what came from it.
    pub(super) fn count_received(&mut self) {
        let (messages, payload_bytes) = self.stats.take_untold();
        if !self.is_in_global() {
            self.account.figures().received().add(messages, payload_bytes);
        }
    }

    /// The client has come: its CONNECT is accepted.
    pub(super) fn tell_connected(&self, now: Timestamp, courier: &mut Courier) {
        let herald = &self.context.conn.herald;
        let subject = connect_subject(self.account.name());
        if herald.is_heard(&subject) {
            let client = ClientInfo { round_trip: None, ..self.client_info() };
            let write = |stamp: &Stamp<'_>, out: &mut Vec<u8>| write_connect(stamp, &client, out);
            herald.tell(&mut self.occasion(now, courier), &subject, write);
        }
    }

    /// The client is refused: the operator hears of it.
    pub(super) fn tell_refused(&self, now: Timestamp, reason: CloseReason, courier: &mut Courier) {
        let herald = &self.context.conn.herald;
        let subject = auth_error_subject(herald.server_id());
        if herald.is_heard(&subject) {
            let write = self.end_writer(now, &self.account, reason.text());
            herald.tell(&mut self.occasion(now, courier), &subject, write);
        }
    }

    /// The client is refused: the owner of `account` hears of it, and of a `reason` that may be said.
    pub(super) fn tell_account_refused(
        &self,
        account: &Arc<Account>,
        now: Timestamp,
        reason: &str,
        courier: &mut Courier,
    ) {
        let herald = &self.context.conn.herald;
        if herald.speaks() && account.interest().has_interest(ACCOUNT_AUTH_ERROR_SUBJECT.as_bytes()) {
            let (write, mut occasion) = (self.end_writer(now, account, reason), self.occasion(now, courier));
            herald.tell_in(account, &mut occasion, ACCOUNT_AUTH_ERROR_SUBJECT, write);
        }
    }

    /// The client has gone, and is no longer counted.
    pub(super) fn tell_disconnected(&self, now: Timestamp, reason: CloseReason, courier: &mut Courier) {
        let herald = &self.context.conn.herald;
        let subject = disconnect_subject(self.account.name());
        if herald.is_heard(&subject) {
            let write = self.end_writer(now, &self.account, reason.text());
            herald.tell(&mut self.occasion(now, courier), &subject, write);
        }
    }

    /// What a service outside is told of this client, to decide about it.
    pub(super) fn about(
        &self,
        identity: &Identity,
        said: ConnectOptions,
        nonce: &str,
        time_max: Duration,
        now: Timestamp,
    ) -> callout::About {
        let claimed = self.grant().and_then(|grant| grant.claimed.as_deref());
        let client = jwt::ClientInfo {
            host: self.host(),
            id: self.outbound.id(),
            user: identity.name().to_owned(),
            name: said.name.clone(),
            tags: claimed.map(|user| user.tags.to_vec()).unwrap_or_default(),
            name_tag: claimed.map(|user| user.name.to_string()).unwrap_or_default(),
            kind: KIND.to_owned(),
            client_type: CLIENT_TYPE.to_owned(),
            nonce: nonce.to_owned(),
            ..jwt::ClientInfo::default()
        };
        let tls = self.outbound.tls_state().map(|state| self.about_tls(state, now));
        callout::About { server: self.server_that_asks(), client, connect: connect_info(said), tls, time_max }
    }

    fn server_that_asks(&self) -> jwt::ServerInfo {
        let info = self.context.info.load();
        jwt::ServerInfo {
            name: info.server_name.clone(),
            host: info.host.clone(),
            id: info.server_id.clone(),
            version: info.version.clone(),
            cluster: info.cluster.clone(),
            tags: self.context.conn.options().server_tags.clone(),
            xkey: String::new(),
        }
    }

    /// What a service is told of the TLS session: where certificates are checked, by which chain to a root
    /// this one was accepted; else what was presented.
    fn about_tls(&self, state: TlsState, now: Timestamp) -> jwt::ClientTls {
        let pem = |chain: &[Vec<u8>]| chain.iter().map(|der| pem::write_certificate(der)).collect::<Vec<_>>();
        let setup = self.context.tls.setup();
        let verifier = setup.as_ref().and_then(|setup| setup.verifier());
        let path = verifier.and_then(|verifier| verifier.path(&state.peer_chain, now));
        jwt::ClientTls {
            version: state.version.into(),
            cipher: state.cipher.into(),
            certs: if path.is_none() { pem(&state.peer_chain) } else { Vec::new() },
            verified_chains: path.iter().map(|path| pem(path)).collect(),
        }
    }

    /// Answers who this client is, and what it may do. `asked` in the system account directly, the
    /// question does not say by whom.
    pub(super) fn answer_user_info(&self, asked: Asked, now: Timestamp, reply: &[u8], courier: &mut Courier) {
        let identity = self.identity();
        let permissions = self.permissions.as_ref().map(|permissions| permissions.described());
        let (user_name, _) = self.labels();
        let account_name = self.account.name_tag();
        let info = match asked {
            Asked::ByUser => UserInfo {
                user: identity.name(),
                account: self.account.name(),
                account_name: &account_name,
                user_name,
                permissions,
                expires: self.expires().map(|at| at.since(now)),
            },
            Asked::Directly => UserInfo { permissions, ..UserInfo::default() },
        };
        let write = |server: &_, sequence, out: &mut Vec<u8>| {
            write_user_info(server, sequence, now, &info, out);
        };
        // An answer that comes back through the import has no reply; a direct one an empty one.
        let no_reply = if asked == Asked::Directly { Reply::Blank } else { Reply::None };
        let occasion = &mut self.occasion(now, courier);
        self.context.conn.herald.say(&self.account, occasion, reply, no_reply, write);
    }

    /// Writes the event of this client's end, as one of `account`.
    fn end_writer<'a>(
        &'a self,
        now: Timestamp,
        account: &'a Account,
        reason: &'a str,
    ) -> impl Fn(&Stamp<'_>, &mut Vec<u8>) + use<'a> {
        let (messages, payload_bytes) = self.stats.totals();
        let sent = Traffic { messages, payload_bytes };
        let outbound = self.outbound.stats();
        let received = Traffic { messages: outbound.messages, payload_bytes: outbound.payload_bytes };
        let account = (&**account.name()).into();
        let client = ClientInfo { stop: Some(now), account, ..self.client_info() };
        move |stamp, out| write_disconnect(stamp, &client, [sent, received], reason, out)
    }

    /// What there is to say of this client.
    pub(super) fn client_info(&self) -> ClientInfo<'_> {
        let Names { name, lang, version } = self.profile.names();
        let identity = self.identity();
        let grant = self.grant();
        // Claims mean nothing where nobody is trusted to sign them, and none once a service has decided.
        let is_by_service = grant.is_some_and(|grant| grant.by_service.is_some());
        let reads_claims = !is_by_service && self.context.policy.load().trust().is_some();
        let claims = if reads_claims { self.profile.options().jwt } else { String::new() };
        ClientInfo {
            jwt: claims.into(),
            issuer_key: grant.map(issuer_key).unwrap_or_default().into(),
            tags: self.labels().1,
            start: Some(self.accepted),
            host: self.host().into(),
            id: self.outbound.id(),
            account: (&**self.account.name()).into(),
            user: identity.name().to_owned().into(),
            name: String::from(name).into(),
            lang: String::from(lang).into(),
            version: String::from(version).into(),
            round_trip: self.ping.round_trip(),
            name_tag: self.account.name_tag().into(),
            kind: KIND.into(),
            client_type: CLIENT_TYPE.into(),
            ..ClientInfo::default()
        }
    }

    /// What claims call the client: its name, and its tags.
    pub(super) fn labels(&self) -> (&str, &[String]) {
        let Some(grant) = self.grant() else { return Default::default() };
        match (&grant.claimed, &grant.labels) {
            (Some(claimed), _) => (&claimed.name, &claimed.tags),
            (None, Some(labels)) => (&labels.name, &labels.tags),
            (None, None) => Default::default(),
        }
    }

    fn grant(&self) -> Option<&Grant> {
        self.access.as_ref()?.grant.as_ref()
    }

    fn host(&self) -> String {
        self.address().unwrap_or_else(|| IN_PROCESS_HOST.to_owned())
    }

    /// Where the client is, without the port; `None` inside the process.
    pub(super) fn address(&self) -> Option<String> {
        self.peer.map(|peer| peer.ip().to_canonical().to_string())
    }

    fn occasion<'a>(&'a self, now: Timestamp, courier: &'a mut Courier) -> Occasion<'a> {
        Occasion { now, courier, log: self.trace.as_deref() }
    }
}

/// What a client said, as a service is told.
fn connect_info(said: ConnectOptions) -> jwt::ConnectInfo {
    jwt::ConnectInfo {
        jwt: said.jwt,
        nkey: said.nkey,
        signature: said.sig,
        token: said.auth_token,
        user: said.user,
        password: said.pass,
        name: said.name,
        lang: said.lang,
        version: said.version,
        protocol: said.protocol,
    }
}

/// The key that stands for a client in events: what signed its claims, or the account of one with a key.
fn issuer_key(grant: &Grant) -> &str {
    if let Some(key) = &grant.signed_by {
        return key;
    }
    let by_claims = grant.claimed.as_ref().map(|user| user.signing_key.as_deref());
    let by_key = grant.user.as_ref().is_some_and(|user| user.secret().is_none());
    match by_claims {
        Some(Some(signer)) => signer,
        Some(None) => grant.account.name(),
        None if by_key => grant.account.name(),
        None => "",
    }
}
