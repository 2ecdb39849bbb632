//! The task of a resolver: carries what happens to its desk, and what the desk says to where it belongs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinSet};

use super::{claimed_accounts, resolver};
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::inbox::Inbox;
use crate::server::base::rng::Rng;
use crate::server::client::ClientContext;
use crate::server::config::options::{self, Options};
use crate::server::delivery::{Post, Reply};
use crate::server::interest::{Detour, Letter, Subscription};
use crate::server::resolver::desk::{self, Action, Body, Desk, Event, Ticket};
use crate::server::resolver::index::Sum;
use crate::server::resolver::store_task::{Orders, Outcome};
use crate::server::resolver::url::Web;
use crate::server::resolver::{AccountKey, Call, Kind, Waiter};

/// Messages over the system account that wait for the task.
const LETTERS_MAX: usize = 8192;
/// Orders on their way to the directory before nothing more is taken.
const ORDERS_MAX: usize = 256;
/// Documents fetched from a web server at the same time.
const FETCHES_MAX: usize = 64;
/// Characters of the part of a reply subject that is this server's own.
const TOKEN_LENGTH: usize = 8;
/// Longest wait for anything: nothing depends on it.
const IDLE_WAIT: Duration = Duration::from_secs(3600);

/// What `start` has made for the task.
pub(super) struct Parts {
    pub(super) kind: Kind,
    pub(super) desk: Desk<Waiter>,
    /// The server's own questions.
    pub(super) calls: mpsc::Receiver<Call>,
    /// The directory, if there is one.
    pub(super) orders: Option<Orders>,
    /// The web server, if there is one.
    pub(super) web: Option<Web>,
    /// Time between two comparisons with other servers.
    pub(super) sync_interval: Option<Duration>,
    /// Time between two looks for claims that are over.
    pub(super) expiry_check: Option<Duration>,
}

/// Runs until nobody can ask any more.
pub(super) async fn run(context: Arc<ClientContext>, parts: Parts) {
    Task::new(context, parts).run().await;
}

struct Task {
    context: Arc<ClientContext>,
    desk: Desk<Waiter>,
    calls: mpsc::Receiver<Call>,
    orders: Option<Orders>,
    web: Option<Web>,
    letters: Arc<Inbox<Letter>>,
    /// Those lost that the log was told of.
    lost: u64,
    /// Orders on their way, in turn; their outcomes come in the same order.
    pending: VecDeque<(Ticket, oneshot::Receiver<Outcome>)>,
    fetches: JoinSet<Result<String, String>>,
    /// What each of them fetches.
    fetched: HashMap<task::Id, AccountKey>,
    /// Accounts to be fetched when there is room.
    to_fetch: VecDeque<AccountKey>,
    /// What the subjects of answers to this server begin with, up to a dot.
    inbox: String,
    /// This task hears questions for accounts, its own among them.
    answers_look_ups: bool,
    sync: Option<Repeated>,
    expiry: Option<Repeated>,
    /// What it listens to in the system account.
    subscriptions: Vec<Subscription>,
    /// The options that it was opened by.
    described: Described,
}

/// What the options say of a resolver.
#[derive(PartialEq)]
struct Described(Option<options::Resolver>, Option<options::Tls>);

impl Described {
    fn by(options: &Options) -> Self {
        Self(options.resolver.clone(), options.resolver_tls.clone())
    }
}

/// Something to be done again and again.
struct Repeated {
    every: Duration,
    next: Timestamp,
}

impl Repeated {
    fn later(every: Option<Duration>, now: Timestamp) -> Option<Self> {
        every.map(|every| Self { every, next: now + every })
    }

    fn at_once(every: Option<Duration>, now: Timestamp) -> Option<Self> {
        every.map(|every| Self { every, next: now })
    }

    /// Whether it is time; the next time is counted from now.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.next <= now;
        if due {
            self.next = now + self.every;
        }
        due
    }
}

/// What woke the task.
enum Woken {
    Call(Call),
    Letter(Letter),
    Outcome(Option<Outcome>),
    Fetched(AccountKey, Result<String, String>),
    Nothing,
    /// Nobody can ask any more.
    Ended,
}

impl Task {
    fn new(context: Arc<ClientContext>, parts: Parts) -> Self {
        let now = context.conn.clock.now();
        let letters = Arc::new(Inbox::new(LETTERS_MAX));
        let mut rng = Rng::from_entropy();
        let inbox = format!("$SYS._INBOX.{}.{}.", rng.token(TOKEN_LENGTH), rng.token(TOKEN_LENGTH));
        let described = Described::by(&context.conn.options());
        let mut task = Self {
            context,
            desk: parts.desk,
            calls: parts.calls,
            orders: parts.orders,
            web: parts.web,
            letters,
            lost: 0,
            pending: VecDeque::new(),
            fetches: JoinSet::new(),
            fetched: HashMap::new(),
            to_fetch: VecDeque::new(),
            inbox,
            answers_look_ups: parts.kind == Kind::Full,
            sync: Repeated::later(parts.sync_interval, now),
            expiry: Repeated::at_once(parts.expiry_check, now),
            subscriptions: Vec::new(),
            described,
        };
        task.listen(parts.kind);
        task
    }

    /// Listens to what a resolver of this kind answers, and to nothing else.
    fn listen(&mut self, kind: Kind) {
        let system = Arc::clone(self.context.accounts.system());
        for subscription in self.subscriptions.drain(..) {
            system.interest().remove(&subscription);
            subscription.close();
        }
        let inbox = format!("{}>", self.inbox);
        let answers = kind.has_directory().then_some((inbox.as_str(), false));
        for (subject, is_shared) in kind.subjects().iter().copied().chain(answers) {
            let detour = Detour::Inbox(Arc::clone(&self.letters));
            let target = Arc::clone(system.outbound());
            let queue = is_shared.then_some(b"responder".as_slice());
            let subscription = Subscription::with_detour(target, detour, subject.as_bytes(), queue, b"0");
            // A valid subject.
            let _ = system.interest().insert(subscription.clone());
            self.subscriptions.push(subscription);
        }
    }

    /// The configuration was loaded again.
    async fn reload(&mut self, preloads: Vec<(AccountKey, String)>) {
        let options = self.context.conn.options();
        if Described::by(&options) != self.described {
            self.turn_into(&options).await;
        }
        let accounts = self.context.accounts.all();
        // Only those have keys for names whose claims come from here.
        let in_use = accounts.iter().filter_map(|account| AccountKey::parse(account.name()));
        self.handle(Event::Reload(preloads, in_use.collect())).await;
    }

    /// Goes on as the resolver that the options describe now; where that cannot be opened, as before. What
    /// was ordered of the old directory is done first. (The reference looks accounts up in the new one, and
    /// keeps updates in the old one, until it is restarted.)
    async fn turn_into(&mut self, options: &Options) {
        while let Some((ticket, outcome)) = self.pending.pop_front() {
            if let Ok(outcome) = outcome.await {
                self.handle(Event::Done(ticket, outcome)).await;
            }
        }
        let logger = self.context.conn.logger.clone();
        let opened = match resolver::open(options, &self.context.conn.clock).await {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(error) => return logger.error(format_args!("The resolver stays as it was: {error}")),
        };
        opened.announce(&logger);
        let Parts { kind, desk, orders, web, sync_interval, expiry_check, calls: _ } = opened.parts;
        if kind != self.desk.settings().kind {
            self.listen(kind);
        }
        self.desk.turn_into(desk.settings().clone());
        let now = self.context.conn.clock.now();
        self.answers_look_ups = kind == Kind::Full;
        (self.orders, self.web) = (orders, web);
        if self.web.is_none() {
            // Nobody waits for them any more.
            self.fetches.abort_all();
            self.fetched.clear();
            self.to_fetch.clear();
        }
        self.sync = Repeated::later(sync_interval, now);
        self.expiry = Repeated::at_once(expiry_check, now);
        self.described = Described::by(options);
    }

    async fn run(mut self) {
        loop {
            let now = self.context.conn.clock.now();
            self.on_time(now).await;
            match self.next(now).await {
                Woken::Ended => return,
                Woken::Nothing => {}
                Woken::Call(Call::Claims(account, waiter)) => {
                    self.handle(Event::Asked(account, waiter)).await
                }
                Woken::Call(Call::Reload(preloads, done)) => {
                    self.reload(preloads).await;
                    // Who reloads may have gone.
                    let _ = done.send(());
                }
                Woken::Letter(letter) => {
                    if let Some(event) = self.event_of(&letter) {
                        self.handle(event).await;
                    }
                }
                Woken::Outcome(outcome) => {
                    let Some((ticket, _)) = self.pending.pop_front() else { continue };
                    let Some(outcome) = outcome else {
                        let logger = &self.context.conn.logger;
                        return logger.error(format_args!("DirResolver - The directory's thread has ended"));
                    };
                    self.handle(Event::Done(ticket, outcome)).await;
                }
                Woken::Fetched(key, result) => {
                    self.fetch_next();
                    self.handle(Event::Fetched(key, result)).await;
                }
            }
        }
    }

    /// Waits for whatever comes first.
    async fn next(&mut self, now: Timestamp) -> Woken {
        let times = [
            self.desk.deadline(),
            self.sync.as_ref().map(|it| it.next),
            self.expiry.as_ref().map(|it| it.next),
        ];
        let wait = times.into_iter().flatten().min().map_or(IDLE_WAIT, |next| next.since(now));
        let has_room = self.pending.len() < ORDERS_MAX;
        let Self { calls, letters, pending, fetches, fetched, .. } = self;
        let woken = async {
            tokio::select! {
                call = calls.recv(), if has_room => call.map_or(Woken::Ended, Woken::Call),
                letter = letters.pop(), if has_room => Woken::Letter(letter),
                outcome = outcome_of(pending) => Woken::Outcome(outcome),
                Some(ended) = fetches.join_next_with_id() => {
                    let (id, result) = match ended {
                        Ok(ended) => ended,
                        // Who waits is not to wait for ever.
                        Err(error) => (error.id(), Err("the fetch ended early".to_owned())),
                    };
                    fetched.remove(&id).map_or(Woken::Nothing, |key| Woken::Fetched(key, result))
                }
            }
        };
        tokio::time::timeout(wait, woken).await.unwrap_or(Woken::Nothing)
    }

    async fn on_time(&mut self, now: Timestamp) {
        let lost = self.letters.lost();
        if lost > self.lost {
            let logger = &self.context.conn.logger;
            logger.warn(format_args!("DirResolver - Dropped {} requests: too many wait", lost - self.lost));
            self.lost = lost;
        }
        let mut out = Vec::new();
        self.desk.expire_lookups(now, &mut out);
        self.perform(out).await;
        if self.sync.as_mut().is_some_and(|sync| sync.is_due(now)) {
            self.handle(Event::Sync).await;
        }
        if self.expiry.as_mut().is_some_and(|expiry| expiry.is_due(now)) {
            self.handle(Event::Expire).await;
        }
    }

    /// What a message means to the desk: an answer to this server, or a request.
    fn event_of(&self, letter: &Letter) -> Option<Event<Waiter>> {
        let subject = String::from_utf8_lossy(&letter.subject).into_owned();
        let Some(rest) = subject.strip_prefix(&self.inbox) else {
            let reply = String::from_utf8_lossy(&letter.reply).into_owned();
            // A question of this server's own is for the others.
            if reply.starts_with(&self.inbox) {
                return None;
            }
            return Some(Event::Request(desk::Letter { subject, reply, body: letter.body().to_vec() }));
        };
        let text = String::from_utf8_lossy(letter.body()).into_owned();
        match rest.split_once('.') {
            None => Some(Event::Packed(text)),
            Some((key, number)) => Some(Event::LookedUp(AccountKey::parse(key)?, number.parse().ok()?, text)),
        }
    }

    async fn handle(&mut self, event: Event<Waiter>) {
        let now = self.context.conn.clock.now();
        let mut out = Vec::new();
        let accounts = &self.context.accounts;
        let is_known = |name: &str| accounts.find(name).is_some();
        // Servers that are linked to this one: none yet.
        self.desk.handle(now, 0, &is_known, event, &mut out);
        self.perform(out).await;
    }

    async fn perform(&mut self, actions: Vec<Action<Waiter>>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Order(order, ticket) => {
                    if let Some(orders) = &self.orders {
                        let outcome = orders.bring(order).await;
                        self.pending.push_back((ticket, outcome));
                    }
                }
                Action::Fetch(key) => {
                    self.to_fetch.push_back(key);
                    self.fetch_next();
                }
                Action::AskOthers(key, number) => {
                    let subject = format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP");
                    let heard = self.publish(&subject, &format!("{}{key}.{number}", self.inbox), b"");
                    if heard <= usize::from(self.answers_look_ups) {
                        let mut out = Vec::new();
                        let now = self.context.conn.clock.now();
                        let unheard = Event::Unheard(key, number);
                        self.desk.handle(now, 0, &|_| false, unheard, &mut out);
                        actions.extend(out);
                    }
                }
                Action::AskPacks(Sum(sum)) => {
                    self.publish("$SYS.REQ.CLAIMS.PACK", &format!("{}packs", self.inbox), &sum);
                }
                Action::Reply(subject, Body::Plain(text)) => {
                    self.publish(&subject, "", text.as_bytes());
                }
                Action::Reply(subject, body) => self.say(&subject, &body),
                Action::Answer(waiting, result) => {
                    for waiter in waiting {
                        // Who asked may have gone.
                        let _ = waiter.send(result.clone());
                    }
                }
                Action::Changed(key, token) => {
                    let logger = &self.context.conn.logger;
                    if let Err(error) = claimed_accounts::apply(&self.context, key.as_str(), &token) {
                        logger.error(format_args!(
                            "DirResolver - Update for account \"{key}\" resulted in error {error}"
                        ));
                    }
                }
                Action::Apply { account, token, reply } => {
                    let result = claimed_accounts::apply(&self.context, &account, &token);
                    let mut out = Vec::new();
                    let now = self.context.conn.clock.now();
                    let applied = Event::Applied(account, reply, result);
                    self.desk.handle(now, 0, &|_| true, applied, &mut out);
                    actions.extend(out);
                }
                Action::Deleted(key) => claimed_accounts::close(&self.context, key.as_str()),
                Action::Reloaded(key, token) => {
                    if claimed_accounts::apply(&self.context, key.as_str(), &token).is_err() {
                        self.take_out(key);
                    }
                }
                Action::Gone(key) => self.take_out(key),
                Action::Log(level, text) => self.context.conn.logger.log(level, format_args!("{text}")),
            }
        }
    }

    /// A reload leaves an account without claims.
    fn take_out(&self, key: AccountKey) {
        let logger = &self.context.conn.logger;
        logger.notice(format_args!("Reloaded: deleting account [removed]: \"{key}\""));
        claimed_accounts::remove(&self.context, key.as_str());
    }

    /// Begins fetches as far as there is room for them.
    fn fetch_next(&mut self) {
        let Some(web) = &self.web else { return };
        while self.fetches.len() < FETCHES_MAX
            && let Some(key) = self.to_fetch.pop_front()
        {
            let web = web.clone();
            let fetch = self.fetches.spawn(async move { web.fetch(key.as_str()).await });
            self.fetched.insert(fetch.id(), key);
        }
    }

    /// Publishes in the system account; gives how many heard it, this task included.
    fn publish(&self, subject: &str, reply: &str, body: &[u8]) -> usize {
        let account = self.context.accounts.system();
        let (subject, reply) = (subject.as_bytes(), Reply::or_blank(reply.as_bytes()));
        let post = Post { account, subject, reply, header: b"", body };
        self.context.conn.speak(|herald, occasion| herald.voice().publish(&post, occasion))
    }

    /// Sends a document that names the server.
    fn say(&self, subject: &str, body: &Body) {
        let account = self.context.accounts.system();
        self.context.conn.speak(|herald, occasion| {
            let now = occasion.now;
            herald.say(account, occasion, subject.as_bytes(), Reply::Blank, |server, sequence, out| {
                let mut info = Vec::new();
                server.write(sequence, now, &mut info);
                out.extend_from_slice(&body.write(&info));
            });
        });
    }
}

/// The outcome of the first order on its way; `None` where nobody will bring it.
async fn outcome_of(pending: &mut VecDeque<(Ticket, oneshot::Receiver<Outcome>)>) -> Option<Outcome> {
    match pending.front_mut() {
        Some((_, outcome)) => outcome.await.ok(),
        None => std::future::pending().await,
    }
}
