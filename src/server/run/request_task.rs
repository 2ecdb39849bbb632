//! Does what the system account asks of this server: closes clients, reloads, says who it is.
//!
//! A reload is done by whoever runs the server and knows its files: the order waits in a queue until it
//! takes it, and the answer is sent once it has said what came of it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::server::{RELOADS_MAX, ReloadOrder};
use crate::server::base::inbox::Inbox;
use crate::server::client::ClientContext;
use crate::server::delivery::{Post, Reply};
use crate::server::events::{
    Candidate, ClientChoice, Failure, ServerFilter, Service, read_subscribers, write_identity, write_outcome,
};
use crate::server::interest::{Detour, Letter, Subscription};
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;
use crate::server::protocol::op::Kind;
use crate::server::protocol::subject;

/// Questions that wait; more are dropped.
const LETTERS_MAX: usize = 1024;

/// A task that hears questions from the moment it is made.
pub(super) struct Task {
    context: Arc<ClientContext>,
    reloads: Arc<Inbox<ReloadOrder>>,
    letters: Arc<Inbox<Letter>>,
    services: [(Service, String); 6],
    /// Reloads that were ordered, in turn; no more than may wait.
    pending: VecDeque<Pending>,
}

/// A reload whose outcome is awaited.
struct Pending {
    /// Where it is wanted.
    reply: Box<[u8]>,
    outcome: oneshot::Receiver<Result<(), String>>,
}

impl Task {
    /// The task of a server; `None` where it has no system account. Reloads are put into `reloads`.
    pub(super) fn new(context: &Arc<ClientContext>, reloads: &Arc<Inbox<ReloadOrder>>) -> Option<Self> {
        if !context.conn.herald.speaks() {
            return None;
        }
        let task = Self {
            services: Service::subjects(context.conn.herald.server_id()),
            context: Arc::clone(context),
            reloads: Arc::clone(reloads),
            letters: Arc::new(Inbox::new(LETTERS_MAX)),
            pending: VecDeque::new(),
        };
        let system = task.context.accounts.system();
        for (_, subject) in &task.services {
            let detour = Detour::Inbox(Arc::clone(&task.letters));
            let target = Arc::clone(system.outbound());
            let subscription = Subscription::with_detour(target, detour, subject.as_bytes(), None, b"0");
            // A valid subject.
            let _ = system.interest().insert(subscription);
        }
        Some(task)
    }

    /// Runs as long as the server.
    pub(super) async fn run(mut self) {
        loop {
            let Self { letters, pending, .. } = &mut self;
            tokio::select! {
                letter = letters.pop() => self.handle(letter),
                outcome = outcome_of(pending) => {
                    let Some(reply) = self.pending.pop_front().map(|order| order.reply) else { continue };
                    let failure = |description| Failure { code: 500, description };
                    self.answer(&reply, &outcome.map_err(failure));
                }
            }
        }
    }

    fn handle(&mut self, letter: Letter) {
        let asked = self.services.iter().find(|(_, subject)| subject.as_bytes() == &*letter.subject);
        let Some(&(service, _)) = asked else { return };
        match service {
            Service::Kick | Service::LameDuck => {
                let choice = match ClientChoice::read(service, letter.body()) {
                    Ok(choice) => choice,
                    Err(error) => {
                        let logger = &self.context.conn.logger;
                        logger
                            .error(format_args!("SYSTEM - Error unmarshalling kick client request: {error}"));
                        return;
                    }
                };
                let act = if service == Service::Kick { Self::kick } else { Self::tell_lame_duck };
                if let Some(outcome) = self.if_meant(&letter, |task| act(task, choice.id)) {
                    self.answer(&letter.reply, &outcome);
                }
            }
            Service::Reload => match self.if_meant(&letter, |_| Ok(())) {
                Some(Ok(())) => {
                    if let Err(reply) = order(&self.reloads, &mut self.pending, letter.reply) {
                        let description = "too many reloads are under way".to_owned();
                        self.answer(&reply, &Err(Failure { code: 500, description }));
                    }
                }
                Some(refused) => self.answer(&letter.reply, &refused),
                None => {}
            },
            Service::Identify => {
                let info = self.context.info.load();
                let mut body = Vec::new();
                write_identity(&info.server_name, &info.host, &info.server_id, &mut body);
                self.publish(&letter.reply, &body);
            }
            Service::CountSubscribers => {
                let count = self.subscribers(letter.body()).to_string();
                self.publish(&letter.reply, count.as_bytes());
            }
        }
    }

    /// What came of `work`, unless nobody wants to know or the question is for other servers.
    fn if_meant(
        &self,
        letter: &Letter,
        work: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Option<Result<(), Failure>> {
        if letter.reply.is_empty() {
            return None;
        }
        let filter = match ServerFilter::read(letter.body()) {
            Ok(filter) => filter,
            Err(error) => return Some(Err(Failure { code: 400, description: error.to_string() })),
        };
        let (info, options) = (self.context.info.load(), self.context.conn.options());
        let candidate = Candidate {
            name: &info.server_name,
            cluster: &info.cluster,
            host: &info.host,
            tags: &options.server_tags,
            domain: "",
        };
        let fits = filter.fits(&candidate);
        fits.then(|| work(self).map_err(|description| Failure { code: 500, description }))
    }

    fn kick(&self, id: u64) -> Result<(), String> {
        let client = self.context.conn.table.get(id).ok_or("no such client or leafnode id")?;
        client.request_close(CloseReason::Kicked);
        Ok(())
    }

    fn tell_lame_duck(&self, id: u64) -> Result<(), String> {
        let client = self.context.conn.table.get(id).ok_or("no such client id")?;
        if !client.takes_info() {
            return Err("client does not support Lame Duck Mode or is not ready to receive the notification"
                .to_owned());
        }
        client.notify(Notices::LAME_DUCK);
        Ok(())
    }

    /// How many clients in the system account are subscribed to what the question names.
    fn subscribers(&self, body: &[u8]) -> usize {
        let interest = self.context.accounts.system().interest();
        let (pattern, queue) = read_subscribers(body);
        let is_client = |sub: &Subscription| sub.target().kind() == Kind::Client;
        // A group without a name has those as members that are in none.
        let is_member =
            |sub: &Subscription| queue.is_none_or(|queue| sub.queue().unwrap_or_default() == queue);
        if subject::is_literal(pattern) {
            let found = interest.matches(pattern);
            let plain = found.plain.iter().filter(|_| queue.is_none());
            let members = found.queues.iter().flat_map(|group| group.members.iter());
            return plain.chain(members).filter(|sub| is_client(sub) && is_member(sub)).count();
        }
        let is_wanted = |sub: &&Subscription| {
            is_client(sub) && is_member(sub) && subject::is_subset(sub.subject(), pattern)
        };
        interest.all().iter().filter(is_wanted).count()
    }

    fn answer(&self, reply: &[u8], outcome: &Result<(), Failure>) {
        let system = self.context.accounts.system();
        self.context.conn.speak(|herald, occasion| {
            let now = occasion.now;
            herald.say(system, occasion, reply, Reply::Blank, |server, sequence, out| {
                write_outcome(server, sequence, now, outcome, out);
            });
        });
    }

    fn publish(&self, reply: &[u8], body: &[u8]) {
        let conn = &self.context.conn;
        if reply.is_empty() || !conn.herald.speaks() {
            return;
        }
        let account = self.context.accounts.system();
        let post = Post { account, subject: reply, reply: Reply::Blank, header: b"", body };
        conn.speak(|herald, occasion| herald.voice().publish(&post, occasion));
    }
}

/// Orders a reload whose outcome is wanted at `reply`; gives that back where too many wait already.
fn order(
    reloads: &Inbox<ReloadOrder>,
    pending: &mut VecDeque<Pending>,
    reply: Box<[u8]>,
) -> Result<(), Box<[u8]>> {
    let (answer, outcome) = oneshot::channel();
    // Who takes orders and does not answer them makes no room.
    if pending.len() >= RELOADS_MAX || reloads.push(ReloadOrder { answer }).is_err() {
        return Err(reply);
    }
    pending.push_back(Pending { reply, outcome });
    Ok(())
}

/// What came of the first reload on its way; nothing comes where there is none.
async fn outcome_of(pending: &mut VecDeque<Pending>) -> Result<(), String> {
    match pending.front_mut() {
        Some(Pending { outcome, .. }) => {
            (&mut *outcome).await.unwrap_or_else(|_| Err("the reload was given up".to_owned()))
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reloads_that_wait_are_bounded_whether_or_not_their_orders_were_taken() {
        let (reloads, mut pending) = (Inbox::new(RELOADS_MAX), VecDeque::new());
        let reply = || Box::from(b"reply".as_slice());
        for _ in 0..RELOADS_MAX {
            assert_eq!(order(&reloads, &mut pending, reply()), Ok(()));
        }
        assert_eq!(order(&reloads, &mut pending, reply()), Err(reply()));
        let taken = reloads.pop().await;
        assert_eq!(order(&reloads, &mut pending, reply()), Err(reply()));
        taken.done(Ok(()));
        assert_eq!(outcome_of(&mut pending).await, Ok(()));
        pending.pop_front();
        assert_eq!(order(&reloads, &mut pending, reply()), Ok(()));
    }
}
