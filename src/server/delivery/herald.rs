//! System messages: whether anybody hears them, their place in the server's sequence, and how they
//! leave. What they say is written by `events`; when, is for who has something to say.
//!
//! A message that nobody hears costs a look at the system account's interest. There is no queue:
//! whoever has something to say says it at once with the courier in hand, and waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::heartbeats::Heartbeats;
use super::internal::{Internal, Occasion, Post, Reply};
use crate::server::account::Account;
use crate::server::base::clock::Timestamp;
use crate::server::config::options::GLOBAL_ACCOUNT;
use crate::server::events::{
    AccountFigures, ServerInfo, Stamp, Traffic, account_connections_subjects, write_account_connections,
};
use crate::server::log::Logger;

/// Services of the system account that every other account imports by itself in the reference, where each
/// is a subscription. Here they are answered without one.
const SYSTEM_IMPORTS: usize = 4;

/// What a server says of itself and its connections.
#[derive(Debug)]
pub struct Herald {
    /// `None`: this server has no system account, and says nothing.
    system: Option<Arc<Account>>,
    /// The last word is said.
    silenced: AtomicBool,
    server_id: Box<str>,
    info: ArcSwap<ServerInfo>,
    sequence: AtomicU64,
    heartbeats: Heartbeats,
    voice: Internal,
}

impl Herald {
    /// A server that speaks in `system`, or not at all.
    pub fn new(system: Option<Arc<Account>>, server_id: &str, info: ServerInfo, logger: Logger) -> Self {
        Self {
            system,
            silenced: AtomicBool::new(false),
            server_id: server_id.into(),
            info: ArcSwap::from_pointee(info),
            sequence: AtomicU64::new(0),
            heartbeats: Heartbeats::default(),
            voice: Internal::new(logger),
        }
    }

    /// Puts another description of the server in force.
    pub fn set_info(&self, info: ServerInfo) {
        self.info.store(Arc::new(info));
    }

    /// The server's public key.
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// Whether there is a system account, and the server still speaks.
    pub fn speaks(&self) -> bool {
        self.system.is_some() && !self.silenced.load(Ordering::Relaxed)
    }

    /// Nothing is said from now on.
    pub fn silence(&self) {
        self.silenced.store(true, Ordering::Relaxed);
    }

    /// Whether anybody in the system account hears what is said on `subject`.
    pub fn is_heard(&self, subject: &str) -> bool {
        self.speaks()
            && self.system.as_ref().is_some_and(|system| system.interest().has_interest(subject.as_bytes()))
    }

    /// Publishes an event on `subject` in the system account; `write` makes its document.
    pub fn tell(
        &self,
        occasion: &mut Occasion<'_>,
        subject: &str,
        write: impl FnOnce(&Stamp<'_>, &mut Vec<u8>),
    ) {
        if let Some(system) = &self.system {
            self.tell_in(system, occasion, subject, write);
        }
    }

    /// Publishes an event in any account.
    pub fn tell_in(
        &self,
        account: &Arc<Account>,
        occasion: &mut Occasion<'_>,
        subject: &str,
        write: impl FnOnce(&Stamp<'_>, &mut Vec<u8>),
    ) {
        let time = occasion.now;
        self.say(account, occasion, subject.as_bytes(), Reply::Blank, |server, sequence, out| {
            let id = account.common().event_id();
            write(&Stamp { id: &id, time, server, sequence }, out);
        });
    }

    /// Publishes a message that is no event; `write` gets what a `server` object needs.
    pub fn say(
        &self,
        account: &Arc<Account>,
        occasion: &mut Occasion<'_>,
        subject: &[u8],
        reply: Reply<'_>,
        write: impl FnOnce(&ServerInfo, u64, &mut Vec<u8>),
    ) {
        if !self.speaks() {
            return;
        }
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let mut body = Vec::new();
        write(&self.info.load(), sequence, &mut body);
        let post = Post { account, subject, reply, header: b"", body: &body };
        self.voice.publish(&post, occasion);
    }

    /// Says something about the server itself in the system account.
    pub fn say_of_itself(&self, occasion: &mut Occasion<'_>, subject: &str) {
        let now = occasion.now;
        if let Some(system) = self.system.as_ref().filter(|_| self.is_heard(subject)) {
            let write = |server: &ServerInfo, sequence, out: &mut Vec<u8>| server.write(sequence, now, out);
            self.say(system, occasion, subject.as_bytes(), Reply::Blank, write);
        }
    }

    /// Tells how many connections `account` has: they have changed, or it is time to say so again.
    /// The global account's are not told of.
    pub fn tell_connections(&self, occasion: &mut Occasion<'_>, account: &Arc<Account>) {
        if !self.speaks() || **account.name() == *GLOBAL_ACCOUNT {
            return;
        }
        self.heartbeats.announced(account, occasion.now);
        let subjects = account_connections_subjects(account.name());
        if !subjects.iter().any(|subject| self.is_heard(subject)) {
            return;
        }
        let (figures, name) = (account.figures(), account.name_tag());
        let traffic = |(messages, payload_bytes): (u64, u64)| Traffic { messages, payload_bytes };
        let figures = AccountFigures {
            account: account.name(),
            name: &name,
            connections: account.connections().count(),
            leafnodes: 0,
            subscriptions: account.interest().count() + if account.is_system() { 0 } else { SYSTEM_IMPORTS },
            sent: traffic(figures.sent().totals()),
            received: traffic(figures.received().totals()),
            slow_consumers: figures.slow_consumers(),
        };
        // Both are the same event.
        let (id, time) = (account.common().event_id(), occasion.now);
        let Some(system) = &self.system else { return };
        for subject in &subjects {
            self.say(system, occasion, subject.as_bytes(), Reply::Blank, |server, sequence, out| {
                write_account_connections(&Stamp { id: &id, time, server, sequence }, &figures, out);
            });
        }
    }

    /// Tells of the accounts that were not told of for [`super::ACCOUNT_HEARTBEAT`], but of so many at most;
    /// false where there may be more.
    pub fn tell_due_connections(&self, occasion: &mut Occasion<'_>, at_most: usize) -> bool {
        for _ in 0..at_most {
            let Some(account) = self.heartbeats.pop(occasion.now) else { return true };
            self.tell_connections(occasion, &account);
        }
        false
    }

    /// When [`Self::tell_due_connections`] wants to be called.
    pub fn next_heartbeat(&self) -> Option<Timestamp> {
        self.heartbeats.next()
    }

    /// Completes when there is a next heartbeat after there was none.
    pub async fn heartbeat_began(&self) {
        self.heartbeats.began().await;
    }

    /// The server as a publisher of anything else.
    pub fn voice(&self) -> &Internal {
        &self.voice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::clock::SystemClock;
    use crate::server::base::rng::Rng;
    use crate::server::delivery::Courier;
    use crate::server::interest::{SharedInterest, Subscription};
    use crate::server::log::Levels;
    use crate::server::outbound::Outbound;

    fn logger() -> Logger {
        Logger::recorded(Levels::default(), Arc::new(SystemClock::new())).0
    }

    /// A herald, and somebody who subscribed to `pattern` in its system account.
    fn heard(pattern: &[u8]) -> (Herald, Arc<Outbound>) {
        let system = Arc::new(Account::new("SYS", SharedInterest::new()));
        let receiver = Arc::new(Outbound::detached(9));
        system.interest().insert(Subscription::new(Arc::clone(&receiver), pattern, None, b"1")).unwrap();
        (Herald::new(Some(system), "NA", ServerInfo::default(), logger()), receiver)
    }

    #[test]
    fn events_are_numbered_and_have_their_own_ids() {
        let (herald, receiver) = heard(b"$SYS.>");
        let mut courier = Courier::new(Rng::seeded(1));
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut occasion = Occasion { now: Timestamp::from_nanos(5), courier: &mut courier, log: None };
            herald.tell(&mut occasion, "$SYS.A", |stamp, out| {
                out.push(b'x');
                seen.push((stamp.sequence, stamp.id.to_owned(), stamp.time.nanos()));
            });
        }
        assert_eq!(courier.stage(&receiver).own().as_slice(), b"MSG $SYS.A 1  1\r\nx\r\n".repeat(3));
        assert_eq!(seen.iter().map(|(sequence, ..)| *sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(seen.windows(2).all(|pair| pair[0].1 != pair[1].1) && seen[0].2 == 5);
    }

    #[test]
    fn only_subjects_with_a_listener_are_heard_and_nothing_after_the_last_word() {
        let (herald, receiver) = heard(b"$SYS.ACCOUNT.*.CONNECT");
        assert!(herald.is_heard("$SYS.ACCOUNT.A.CONNECT") && !herald.is_heard("$SYS.ACCOUNT.A.DISCONNECT"));
        herald.silence();
        assert!(!herald.is_heard("$SYS.ACCOUNT.A.CONNECT"));
        let mut courier = Courier::new(Rng::seeded(1));
        let mut occasion = Occasion { now: Timestamp::from_nanos(5), courier: &mut courier, log: None };
        herald.tell(&mut occasion, "$SYS.ACCOUNT.A.CONNECT", |_, out| out.push(b'x'));
        assert!(courier.stage(&receiver).own().is_empty());
    }

    #[test]
    fn server_without_a_system_account_says_nothing() {
        let herald = Herald::new(None, "NA", ServerInfo::default(), logger());
        assert!(!herald.speaks() && !herald.is_heard("$SYS.A"));
    }
}
