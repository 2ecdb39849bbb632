//! The session of one client: what it may do now, and what each of its operations does.
//!
//! ```text
//! AwaitPreamble --absent, read--> [AwaitConnect --CONNECT--> [AwaitAuth]] --> Active
//!      |                                |                        |             |
//!      '---- malformed, timeout --------'-- refused, timeout ----'--- error ---'--> (the read task ends)
//! ```
//!
//! CONNECT is optional where no credentials are asked for: then a client is active from the start, and
//! `connected` says whether it came. How a client is let in is told in `access`.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::access::Access;
use super::context::ClientContext;
use super::profile::Profile;
use super::sids::Sids;
use super::stats::ClientStats;
use crate::server::account::Membership;
use crate::server::auth::{Errand, Permissions, Refusal};
use crate::server::base::clock::Timestamp;
use crate::server::base::duration::go_duration;
use crate::server::config::options::Options;
use crate::server::conn::opening_task::{Greeting, Opens};
use crate::server::conn::{Consumed, Ping, PingAction, PingRules, Session};
use crate::server::delivery::{Courier, DeliveryLog};
use crate::server::log::Level;
use crate::server::log::trace_line::{self, Direction, PayloadView};
use crate::server::outbound::{Notices, Outbound};
use crate::server::protocol::encode;
use crate::server::protocol::error::{CloseReason, ParseError, WireError};
use crate::server::protocol::info::Info;
use crate::server::protocol::op::{Kind, Op};
use crate::server::protocol::parser::{Limits, Parser, Step};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The PROXY preamble may come: it is read before the session reads.
    AwaitPreamble,
    /// CONNECT has to come, until then.
    AwaitConnect(Timestamp),
    /// It is being decided whether the client is let in, until then at most: nothing is read.
    AwaitAuth(Timestamp),
    /// Operations are handled.
    Active,
}

/// What a client has been told before its first operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Greeted {
    /// Nothing.
    #[default]
    No,
    /// The log knows of it, the client was told nothing.
    Created,
    /// It has got INFO.
    Yes,
    /// It has got INFO behind a handshake that came first.
    BehindHandshake,
}

/// One client.
#[derive(Debug)]
pub struct ClientSession {
    pub(super) context: Arc<ClientContext>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) account: Membership,
    pub(super) parser: Parser,
    pub(super) limits: Limits,
    pub(super) phase: Phase,
    pub(super) profile: Profile,
    /// What the client may do; `None`: everything.
    pub(super) permissions: Option<Arc<Permissions>>,
    /// The last publish was allowed, and would be if it came again.
    pub(super) repeat_allowed: bool,
    /// Messages are kept from the client that its permissions deny.
    pub(super) filters_deliveries: bool,
    /// Who it is, where more is known than that it is there.
    pub(super) access: Option<Box<Access>>,
    /// A CONNECT has come.
    pub(super) connected: bool,
    /// The first PING after CONNECT was answered.
    pub(super) first_ping_answered: bool,
    pub(super) accepted: Timestamp,
    pub(super) peer: Option<SocketAddr>,
    pub(super) sids: Sids,
    pub(super) ping: Ping,
    pub(super) ping_rules: PingRules,
    pub(super) subscriptions_max: Option<usize>,
    pub(super) subject_tokens_max: Option<usize>,
    pub(super) drops_for_stalling: bool,
    /// The server has no room for it: it is greeted, told so, and closed.
    refused: bool,
    pub(super) greeted: Greeted,
    pub(super) stats: ClientStats,
    /// The line of the publish that has begun was traced.
    pub(super) traced_line: bool,
    /// Where this batch is traced, if it is.
    pub(super) trace: Option<Box<DeliveryLog>>,
}

impl ClientSession {
    /// A client that was accepted `now` from `peer`.
    pub fn new(
        context: Arc<ClientContext>,
        outbound: Arc<Outbound>,
        peer: Option<SocketAddr>,
        now: Timestamp,
    ) -> Self {
        let options = context.conn.options();
        let ping_rules = ping_rules(&options);
        let policy = context.policy.load();
        let phase = match peer {
            Some(_) if options.proxy_protocol => Phase::AwaitPreamble,
            _ => Phase::Active,
        };
        let session = Self {
            account: Membership::uncounted(context.accounts.global()),
            permissions: None,
            repeat_allowed: false,
            filters_deliveries: false,
            access: Access::new(policy.needs_nonce()),
            outbound,
            parser: Parser::new(Kind::Client),
            limits: Limits {
                control_line: usize::try_from(options.max_control_line).unwrap_or_default(),
                payload: payload_max(&options),
                headers: false,
                awaits_connect: policy.is_required(),
            },
            phase,
            profile: Profile::default(),
            connected: false,
            first_ping_answered: false,
            accepted: now,
            peer,
            sids: Sids::default(),
            ping: Ping::new(now, ping_rules),
            ping_rules,
            subscriptions_max: usize::try_from(options.max_subscriptions).ok().filter(|&max| max > 0),
            subject_tokens_max: Some(usize::from(options.max_sub_tokens)).filter(|&max| max > 0),
            drops_for_stalling: options.no_fast_producer_stall,
            refused: false,
            greeted: Greeted::default(),
            stats: ClientStats::default(),
            traced_line: false,
            trace: None,
            context,
        };
        session.count_sent();
        session
    }

    /// Makes the client be told, after it has got INFO if it `greets` it at all, that there are too many
    /// connections.
    pub fn refuse_connection(&mut self, greets: bool) {
        self.refused = true;
        if !greets {
            self.created();
            self.greeted = Greeted::Yes;
        }
    }

    fn say_too_many_connections(&self, courier: &mut Courier) {
        self.say(WireError::ConnectionsExceeded, courier);
        let text = WireError::ConnectionsExceeded.to_string();
        self.log_for_many(Level::Error, &text, &text);
    }

    /// Logs what many clients of an account may meet at once: once a second for all whose text is of that
    /// `kind`, with the account and the client behind it once these are known.
    pub(super) fn log_for_many(&self, level: Level, kind: &str, text: &str) {
        let is_known = self.connected && self.phase == Phase::Active;
        let (mut account, mut who) = (String::new(), String::new());
        if is_known {
            account = format!(" - Account:{}", self.account.label());
            who = self.identity().label().map(|who| format!(" - {who}")).unwrap_or_default();
        }
        let label = self.outbound.label();
        let logger = &self.context.conn.logger;
        let line = format_args!("{label} - {text}{account}{who}");
        logger.log_limited_by(level, &format!("{kind}{account}"), line);
    }

    /// Handles one operation; says whether what is staged should be sent before the next.
    fn operation(&mut self, now: Timestamp, op: Op<'_>, courier: &mut Courier) -> Result<bool, CloseReason> {
        match op {
            Op::Publish(publish) => return Ok(self.publish(now, &publish, courier)),
            Op::Subscribe(subscribe) => self.subscribe(now, &subscribe, courier),
            Op::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe, courier),
            Op::Ping => self.answer_ping(courier),
            Op::Pong => self.ping.pong(now),
            Op::Connect(json) => self.handle_connect(now, json, courier)?,
            Op::Info(json) => self.check_info(json)?,
            Op::Ok => {}
            Op::Err(text) => {
                self.error(format_args!("Client Error {}", String::from_utf8_lossy(text)));
                return Err(CloseReason::ParseError);
            }
            // HMSG: an empty message to nobody.
            Op::LinkMessage(_) if self.profile.verbose => self.say_ok(courier),
            Op::LinkMessage(_) => {}
            // The parser refuses what only servers say.
            Op::LinkSubscribe(_)
            | Op::LinkUnsubscribe(_)
            | Op::AccountInterest(_)
            | Op::AccountNoInterest(_) => return Err(CloseReason::ProtocolViolation),
        }
        Ok(false)
    }

    /// Handles all operations that are whole.
    pub(super) fn operations(
        &mut self,
        now: Timestamp,
        input: &[u8],
        courier: &mut Courier,
    ) -> Result<Consumed, CloseReason> {
        let mut bytes = 0;
        let mut heard = false;
        let consumed = loop {
            let rest = input.get(bytes..).unwrap_or_default();
            match self.parser.step(rest, &self.limits) {
                Ok(Step::Op { op, len }) => {
                    if self.trace.is_some() {
                        self.trace_inbound(&op, rest);
                    }
                    if !matches!(op, Op::Publish(_)) {
                        courier.end_run();
                    }
                    heard |= matches!(op, Op::Publish(_) | Op::Subscribe(_) | Op::Unsubscribe(_) | Op::Ping);
                    let full = self.operation(now, op, courier)?;
                    bytes += len;
                    if full || matches!(self.phase, Phase::AwaitAuth(_)) {
                        break Consumed { bytes, need: 0 };
                    }
                }
                Ok(Step::Passed { len }) => bytes += len,
                Ok(Step::More { need }) => {
                    if self.trace.is_some() {
                        self.trace_publish_line(rest);
                    }
                    break Consumed { bytes, need };
                }
                Err(ParseError::AwaitsConnect) if self.skips_connect(now, courier)? => {
                    if matches!(self.phase, Phase::AwaitAuth(_)) {
                        break Consumed { bytes, need: 0 };
                    }
                }
                Err(ParseError::AwaitsConnect) => {
                    return Err(self.violation(now, &Refusal::violation(self.identity()), courier));
                }
                Err(error) => return Err(self.give_up(error, rest, bytes, courier)),
            }
        };
        if heard {
            self.ping.heard(now);
        }
        Ok(consumed)
    }

    /// A client has no INFO to give; what it sends is ignored, but it must be a document.
    fn check_info(&self, json: &[u8]) -> Result<(), CloseReason> {
        Info::parse(json).map(|_| ()).map_err(|error| {
            self.error(format_args!("{error}"));
            CloseReason::ProtocolViolation
        })
    }

    /// The peer broke the protocol with what `rest` begins with, `consumed` bytes into its input: says
    /// so to it and to the log.
    fn give_up(
        &mut self,
        mut error: ParseError,
        rest: &[u8],
        consumed: usize,
        courier: &mut Courier,
    ) -> CloseReason {
        if self.trace.is_some() {
            self.trace_refused(&error, rest);
        }
        // The reference counts from the start of what it has read.
        if let ParseError::UnknownOperation { offset, .. } = &mut error {
            *offset += consumed;
        }
        let says_first = match error {
            // Logged once it is closed.
            ParseError::ControlLineTooLong { .. } => true,
            ParseError::PayloadTooLarge { .. } => {
                self.error(format_args!("{error}"));
                true
            }
            _ => false,
        };
        if let Some(wire) = error.wire() {
            self.say(wire, courier);
        }
        if !says_first {
            self.error(format_args!("{error}"));
        }
        error.reason()
    }

    fn answer_ping(&mut self, courier: &mut Courier) {
        self.trace_outbound("PONG");
        courier.stage(&self.outbound).own().extend_from_slice(encode::PONG);
        if self.connected
            && !std::mem::replace(&mut self.first_ping_answered, true)
            && self.takes_async_info()
        {
            self.outbound.set_takes_info(true);
            self.send_connect_info(courier);
        }
    }

    /// Stages `-ERR`.
    pub(super) fn say(&self, error: WireError<'_>, courier: &mut Courier) {
        if self.trace.is_some() {
            let text = error.to_string();
            self.trace_text(&trace_line::operation(Direction::Out, "-ERR", Some(text.as_bytes())));
        }
        encode::err(courier.stage(&self.outbound).own(), &error);
    }

    /// Stages `+OK`.
    pub(super) fn say_ok(&self, courier: &mut Courier) {
        self.trace_outbound("OK");
        courier.stage(&self.outbound).own().extend_from_slice(encode::OK);
    }

    /// Whether the client understands INFO at any time.
    pub(super) fn takes_async_info(&self) -> bool {
        self.connected && self.profile.protocol >= 1
    }

    /// Logs an error of this client.
    pub(super) fn error(&self, text: fmt::Arguments<'_>) {
        self.context.conn.logger.error(format_args!("{} - {text}", self.outbound.label()));
    }

    /// Logs a detail of this client.
    pub(super) fn debug(&self, text: fmt::Arguments<'_>) {
        let logger = &self.context.conn.logger;
        if logger.is_debug() {
            logger.debug(format_args!("{} - {text}", self.outbound.label()));
        }
    }

    /// Traces a line of this client.
    pub(super) fn trace_text(&self, text: &str) {
        self.context.conn.logger.trace(format_args!("{} - {text}", self.outbound.label()));
    }

    fn trace_outbound(&self, op: &str) {
        if self.trace.is_some() {
            self.trace_text(&trace_line::operation(Direction::Out, op, None));
        }
    }

    /// Takes up tracing, or drops it, as the log's level is now.
    fn follow_trace_level(&mut self) {
        let logger = &self.context.conn.logger;
        if logger.is_trace() == self.trace.is_some() {
            return;
        }
        self.traced_line = false;
        let options = self.context.conn.options();
        let view = PayloadView {
            max_len: usize::try_from(options.max_traced_msg_len).unwrap_or_default(),
            headers_only: options.trace_headers,
        };
        self.trace = logger.is_trace().then(|| Box::new(DeliveryLog { logger: logger.clone(), view }));
    }
}

impl Session for ClientSession {
    fn opened(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        self.follow_trace_level();
        if self.greeted == Greeted::No {
            self.created();
        }
        if self.greeted == Greeted::Created {
            self.greet(Greeting::Plain, courier);
        }
        if self.refused {
            self.say_too_many_connections(courier);
            return Err(CloseReason::MaxConnectionsExceeded);
        }
        if self.phase == Phase::Active {
            self.phase = self.phase_after_greeting(now);
        }
        Ok(())
    }

    fn received(
        &mut self,
        now: Timestamp,
        input: &[u8],
        courier: &mut Courier,
    ) -> Result<Consumed, CloseReason> {
        self.follow_trace_level();
        let consumed = match self.phase {
            Phase::Active | Phase::AwaitConnect(_) => self.operations(now, input, courier),
            // Nothing is shown to a session that does not read.
            Phase::AwaitPreamble | Phase::AwaitAuth(_) => Ok(Consumed { bytes: 0, need: 0 }),
        };
        self.count_received();
        consumed
    }

    fn reads(&self) -> bool {
        !matches!(self.phase, Phase::AwaitPreamble | Phase::AwaitAuth(_))
    }

    fn take_errand(&mut self) -> Option<Box<Errand>> {
        self.errand()
    }

    fn notified(
        &mut self,
        now: Timestamp,
        notices: Notices,
        courier: &mut Courier,
    ) -> Result<(), CloseReason> {
        if notices.contains(Notices::DECISION) {
            self.take_decision(now, courier)?;
        }
        if notices.contains(Notices::OPTIONS) {
            self.take_options(now);
            let has_claims = self.claimed_user().is_some();
            if self.account.is_removed() && !has_claims {
                return Err(CloseReason::ClientClosed);
            }
            if has_claims && !self.account.is_removed() {
                // What has become of the account's claims is told first, also where that is on its way still.
                self.keep_to_claims(now, courier)?;
            }
            self.judge_again(now, courier)?;
        }
        if notices.contains(Notices::CLAIMS) {
            self.keep_to_claims(now, courier)?;
        }
        let takes_info = self.takes_async_info() && self.first_ping_answered;
        if notices.contains(Notices::INFO) && takes_info {
            self.send_async_info(self.context.lame_duck.load(Ordering::Relaxed), courier);
        }
        if notices.contains(Notices::LAME_DUCK) && takes_info {
            self.debug(format_args!("Sending Lame Duck Mode info to client"));
            self.send_async_info(true, courier);
        }
        Ok(())
    }

    fn last_words(&mut self, reason: CloseReason, courier: &mut Courier) {
        match reason {
            CloseReason::MaxConnectionsExceeded => self.say_too_many_connections(courier),
            CloseReason::MaxAccountConnectionsExceeded => {
                self.say(WireError::AccountConnectionsExceeded, courier);
                let text = WireError::AccountConnectionsExceeded.to_string();
                self.log_for_many(Level::Error, &text, &text);
            }
            _ => {}
        }
    }

    fn stalled(&self, span: Duration) {
        let kind = "Producer was stalled for a total of ";
        let span = go_duration(Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
        self.log_for_many(Level::Warn, kind, &format!("{kind}{span}"));
    }

    fn due(&mut self, now: Timestamp, courier: &mut Courier) -> Result<(), CloseReason> {
        match self.phase {
            Phase::AwaitConnect(until) | Phase::AwaitAuth(until) if until <= now => {
                return Err(self.authentication_timed_out(courier));
            }
            _ if self.expires().is_some_and(|until| until <= now) => {
                return Err(self.authentication_expired(courier));
            }
            // Its PONG would not be read.
            Phase::AwaitAuth(_) => return Ok(()),
            _ => {}
        }
        let Some(action) = self.ping.at_deadline(now, self.ping_rules) else { return Ok(()) };
        self.debug(format_args!("Client Ping Timer"));
        match action {
            PingAction::Send => {
                // A client that has to be asked is not busy.
                self.parser.rest();
                self.trace_outbound("PING");
                courier.stage(&self.outbound).own().extend_from_slice(encode::PING);
            }
            PingAction::Delayed(silence) => self.debug(format_args!(
                "Delaying PING due to remote client data or ping {}s ago",
                (silence + Duration::from_millis(500)).as_secs()
            )),
            PingAction::Stale => {
                self.debug(format_args!("Stale Client Connection - Closing"));
                self.say(WireError::StaleConnection, courier);
                return Err(CloseReason::StaleConnection);
            }
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Timestamp> {
        let until = match self.phase {
            Phase::AwaitConnect(until) => Some(until),
            Phase::AwaitAuth(until) => {
                return Some(self.expires().map_or(until, |expires| expires.min(until)));
            }
            Phase::AwaitPreamble | Phase::Active => self.expires(),
        };
        let ping = self.ping.deadline();
        Some(until.map_or(ping, |until| until.min(ping)))
    }

    fn closed(&mut self, now: Timestamp, reason: CloseReason, courier: &mut Courier) {
        self.end_all_subscriptions();
        // Who found no room changes nothing about how many there are.
        let is_surplus = !self.account.end() && reason == CloseReason::MaxAccountConnectionsExceeded;
        if !is_surplus {
            self.tell_connections(now, courier);
        }
        self.tell_disconnected(now, reason, courier);
        // The reference closes first where it gives up on one of these.
        let error = match reason {
            CloseReason::MaxControlLineExceeded => WireError::ControlLineTooLong,
            CloseReason::BadClientProtocolVersion => WireError::InvalidProtocol,
            CloseReason::NoRespondersRequiresHeaders => WireError::NoRespondersNeedHeaders,
            _ => return,
        };
        self.error(format_args!("{error}"));
    }
}

impl Opens for ClientSession {
    fn created(&mut self) {
        self.follow_trace_level();
        self.greeted = Greeted::Created;
        self.debug(format_args!("Client connection created"));
    }

    fn greet(&mut self, greeting: Greeting, courier: &mut Courier) {
        self.greeted = match greeting {
            Greeting::Plain => Greeted::Yes,
            Greeting::BehindHandshake => Greeted::BehindHandshake,
        };
        self.send_first_info(courier);
    }

    fn preamble_read(&mut self, source: Option<SocketAddr>) {
        self.peer = source.or(self.peer);
        self.phase = Phase::Active;
    }

    fn preamble_failed(&self, error: &str) -> CloseReason {
        self.say_preamble_failed(error)
    }

    fn refuse(&mut self, error: WireError<'_>, courier: &mut Courier) {
        self.say(error, courier);
    }
}

impl ClientSession {
    /// Takes over what a reload changed for open connections.
    fn take_options(&mut self, now: Timestamp) {
        let options = self.context.conn.options();
        self.take_limits(&options, self.user_limits());
        self.limits.control_line = usize::try_from(options.max_control_line).unwrap_or_default();
        self.drops_for_stalling = options.no_fast_producer_stall;
        self.ping_rules = ping_rules(&options);
        self.ping.rules_changed(now, self.ping_rules);
        // Dropped here, taken up again with what is shown now by the next batch.
        self.trace = None;
    }
}

/// A negative maximum is none.
fn payload_max(options: &Options) -> usize {
    usize::try_from(options.max_payload).unwrap_or(usize::MAX)
}

fn ping_rules(options: &Options) -> PingRules {
    PingRules {
        interval: options.ping_interval,
        unanswered_max: u32::try_from(options.ping_max).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::account::Registry;
    use crate::server::auth::{PolicyBuilder, WantedAccounts};
    use crate::server::base::clock::Clock;
    use crate::server::base::rng::Rng;
    use crate::server::config::options::{self, UserIdentity};
    use crate::server::conn::Context;
    use crate::server::log::Recorder;

    /// A client of a server with these options, accepted now, and the server's log.
    fn client(options: Options) -> (ClientSession, Timestamp, Recorder) {
        let (conn, log) = Context::recorded(options);
        let (now, options) = (conn.clock.now(), conn.options());
        let accounts = Registry::new(&options, Arc::new(conn.clock.clone())).unwrap();
        let policy = PolicyBuilder::new("nats-anybody").build(&options, &accounts, None);
        let context = ClientContext {
            conn: Arc::new(conn),
            accounts,
            wanted: WantedAccounts::new(1).0,
            claim_source: None,
            policy: arc_swap::ArcSwap::from_pointee(policy),
            info: arc_swap::ArcSwap::default(),
            tls: Arc::default(),
            lame_duck: false.into(),
        };
        let outbound = Arc::new(Outbound::detached(1));
        let peer = "192.0.2.1:7".parse().ok();
        (ClientSession::new(Arc::new(context), outbound, peer, now), now, log)
    }

    #[test]
    fn messages_count_for_the_account_that_they_were_sent_in() {
        let account = |name: &str| options::Account { name: name.into(), ..options::Account::default() };
        let user = |name: &str, account: &str| options::User {
            identity: UserIdentity::Password { username: name.into(), password: "p".into() },
            permissions: None,
            account: Some(account.into()),
            allowed_connection_types: Vec::new(),
            proxy_required: false,
        };
        let accounts = vec![account("A"), account("B")];
        let users = vec![user("ann", "A"), user("bob", "B")];
        let (mut session, now, _) = client(Options { accounts, users, ..Options::default() });
        let mut courier = Courier::new(Rng::seeded(1));
        session.opened(now, &mut courier).unwrap();
        let connect = |name: &str| format!("CONNECT {{\"user\":\"{name}\",\"pass\":\"p\"}}\r\n");
        let batch = [&connect("ann"), "PUB x 1\r\n1\r\n", &connect("bob"), "PUB x 2\r\n12\r\n"].concat();
        session.received(now, batch.as_bytes(), &mut courier).unwrap();
        let received =
            |name: &str| session.context.accounts.find(name).unwrap().figures().received().totals();
        assert_eq!((received("A"), received("B")), ((1, 1), (1, 2)));
    }

    #[test]
    fn nobody_waits_for_ever_for_a_decision() {
        let user = options::User {
            // Nothing is computed here.
            identity: UserIdentity::Password {
                username: "ann".into(),
                password: "$2a$11$W2zko751KUvVy59mUTWmpOdWjpEm5qhcCZRd05GjI/sSOT.xtiHyG".into(),
            },
            permissions: None,
            account: None,
            allowed_connection_types: Vec::new(),
            proxy_required: false,
        };
        let (mut session, now, _) = client(Options { users: vec![user], ..Options::default() });
        let mut courier = Courier::new(Rng::seeded(1));
        session.opened(now, &mut courier).unwrap();
        session.received(now, b"CONNECT {\"user\":\"ann\",\"pass\":\"p\"}\r\n", &mut courier).unwrap();
        assert!(!session.reads());
        let last = session.deadline().unwrap();
        assert_eq!(session.due(now + Duration::from_secs(60), &mut courier), Ok(()));
        assert_eq!(session.due(last, &mut courier), Err(CloseReason::AuthenticationTimeout));
    }

    #[test]
    fn who_says_anew_that_it_takes_no_info_takes_none() {
        let (mut session, now, _) = client(Options::default());
        let mut courier = Courier::new(Rng::seeded(1));
        session.opened(now, &mut courier).unwrap();
        let mut takes_info = |text: &str| {
            session.received(now, text.as_bytes(), &mut courier).unwrap();
            session.outbound.takes_info()
        };
        assert!(!takes_info("CONNECT {\"protocol\":1}\r\n"));
        assert!(takes_info("PING\r\n"));
        assert!(!takes_info("CONNECT {\"protocol\":0}\r\n"));
        assert!(takes_info("CONNECT {\"protocol\":1}\r\n"));
    }

    #[test]
    fn idle_client_is_small() {
        let size = size_of::<ClientSession>();
        assert!(size <= 384, "{size} bytes");
    }
}
