//! CONNECT of a client: what it switches, and which INFO a client is sent when.

use std::net::SocketAddr;
use std::sync::Arc;

use super::access::Why;
use super::profile::Names;
use super::session::{ClientSession, Greeted, Phase};
use crate::server::auth::Refusal;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::delivery::Courier;
use crate::server::protocol::error::{CloseReason, WireError};
use crate::server::protocol::info::Info;

/// The highest client protocol there is: 1 understands INFO at any time.
const CLIENT_PROTOCOL_MAX: i64 = 1;

impl ClientSession {
    /// Handles one CONNECT. A second one starts over: options are merged, nothing else stays.
    pub(super) fn handle_connect(
        &mut self,
        now: Timestamp,
        json: &[u8],
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        let chance = courier.rng().fraction();
        self.ping.connected(now, now.since(self.accepted), self.ping_rules, chance);
        if let Err(error) = self.profile.merge(json) {
            self.error(format_args!("{error}"));
            return Err(CloseReason::ProtocolViolation);
        }
        let first = !std::mem::replace(&mut self.connected, true);
        let options = self.context.conn.options();
        self.limits.headers = self.profile.headers && !options.no_header_support;
        self.outbound.set_takes_headers(self.limits.headers);
        self.outbound.set_takes_info(self.takes_async_info() && self.first_ping_answered);
        if !first {
            self.start_over(now, courier);
        }
        self.judge(now, Why::Connect { first }, courier)
    }

    /// Ends all subscriptions, and leaves the account for the one in which everybody begins: where it is decided
    /// anew who a client is, the account that it was in has no say.
    fn start_over(&mut self, now: Timestamp, courier: &mut Courier) {
        self.end_all_subscriptions();
        let global = Arc::clone(self.context.accounts.global());
        if !Arc::ptr_eq(&self.account, &global) {
            self.move_to(&global, now, courier);
        }
    }

    /// Does what is left of a CONNECT once the client is let in.
    pub(super) fn finish_connect(
        &mut self,
        now: Timestamp,
        first: bool,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        if self.profile.chose_account() {
            return Err(self.violation(now, &Refusal::violation(self.identity()), courier));
        }
        if first {
            self.relabel();
        }
        if !(0..=CLIENT_PROTOCOL_MAX).contains(&self.profile.protocol) {
            return Err(self.refuse(WireError::InvalidProtocol, courier));
        }
        if self.profile.no_responders && !self.limits.headers {
            return Err(self.refuse(WireError::NoRespondersNeedHeaders, courier));
        }
        if self.profile.verbose {
            self.say_ok(courier);
        }
        Ok(())
    }

    /// Says an error after which the connection closes.
    fn refuse(&self, error: WireError<'_>, courier: &mut Courier) -> CloseReason {
        self.say(error, courier);
        error.closes().unwrap_or(CloseReason::ProtocolViolation)
    }

    /// Puts what the client said of itself into its label: `… - "v1.2:rust:name" - "$G/user:ann"`.
    fn relabel(&self) {
        let Names { name, lang, version } = self.profile.names();
        let version = if version.is_empty() { String::new() } else { format!("v{version}") };
        let parts = [&*version, &*lang, &*name];
        let said = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(":");
        let who = self.identity().label().map(|who| format!("{}/{who}", self.account.label()));
        let additions = [Some(said).filter(|said| !said.is_empty()), who];
        let mut label = self.outbound.label().to_string();
        for addition in additions.into_iter().flatten() {
            label = format!("{label} - {}", quote(addition.as_bytes()));
        }
        self.outbound.set_label(label.into());
    }

    /// Stages the INFO that greets a client. Behind a proxy its address is not known yet.
    pub(super) fn send_first_info(&self, courier: &mut Courier) {
        let mut info = self.info();
        if let Some(access) = &self.access {
            info.nonce = access.nonce.to_string();
        }
        // Later INFO says what the listener asks of everybody.
        info.tls_required |= self.greeted == Greeted::BehindHandshake;
        if !self.context.policy.load().tells_required() {
            info.auth_required = false;
        }
        if self.phase == Phase::AwaitPreamble {
            info.client_ip = String::new();
        }
        info.write_line(courier.stage(&self.outbound).own());
    }

    /// Stages the INFO that answers the first PING after CONNECT.
    pub(super) fn send_connect_info(&self, courier: &mut Courier) {
        let mut info = self.info();
        info.connect_info = true;
        info.remote_account = self.account.name().to_string();
        info.acc_is_sys = Arc::ptr_eq(&self.account, self.context.accounts.system());
        info.write_line(courier.stage(&self.outbound).own());
    }

    /// Stages an INFO because something in it has changed, or is to be said of this `lame_duck` again.
    pub(super) fn send_async_info(&self, lame_duck: bool, courier: &mut Courier) {
        let mut info = self.info();
        if lame_duck {
            info.ldm = true;
            info.connect_urls.clear();
        }
        info.write_line(courier.stage(&self.outbound).own());
    }

    fn info(&self) -> Info {
        let mut info = Info::clone(&self.context.info.load());
        info.client_id = self.outbound.id();
        info.client_ip = self.address().unwrap_or_default();
        info.max_payload = i32::try_from(self.limits.payload).unwrap_or(-1);
        if self.peer.is_none() && info.tls_required {
            // Inside this process nobody has to use TLS.
            (info.tls_required, info.tls_available) = (false, true);
        }
        info
    }

    pub(super) fn say_preamble_failed(&self, error: &str) -> CloseReason {
        let peer = self.peer.map(|peer: SocketAddr| peer.to_string()).unwrap_or_default();
        self.context
            .conn
            .logger
            .warn(format_args!("Error reading PROXY protocol header from {peer}: {error}"));
        CloseReason::ProtocolViolation
    }
}
