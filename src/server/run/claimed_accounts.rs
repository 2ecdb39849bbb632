//! Accounts whose claims come from a resolver: how they come to be in use, and what their claims change in
//! the running server.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::server::account::{Account, Claimed, Note, Trust};
use crate::server::base::clock::{Clock, Timestamp};
use crate::server::base::duration::go_duration;
use crate::server::client::ClientContext;
use crate::server::config::options::{Options, Resolver, SYSTEM_ACCOUNT};
use crate::server::jwt::AccountClaims;
use crate::server::log::Level;
use crate::server::outbound::Notices;
use crate::server::protocol::error::CloseReason;
use crate::server::resolver::FetchError;

/// Accounts that are looked up for one: those that it imports from, directly or through others.
const FOLLOWED_MAX: usize = 1024;
/// Time after which accounts that an account imports from are not looked up any more.
const FOLLOWING_MAX: Duration = Duration::from_secs(10);
/// A look-up that takes longer is told as a warning. Reference: 1 s.
const SLOW_FETCH: Duration = Duration::from_secs(1);

/// Puts claims of an account into force, if it is in use.
///
/// # Errors
/// The claims cannot be used.
pub(super) fn apply(context: &Arc<ClientContext>, account: &str, token: &str) -> Result<(), String> {
    let verified = || {
        let policy = context.policy.load();
        let trust = policy.trust().ok_or("account resolver missing")?;
        trust.verify(account, token, context.conn.clock.now()).map_err(|error| error.to_string())
    };
    // First, for the account may be in use as soon as it is not looked up any more.
    if context.accounts.is_looked_up(account)
        && let Ok(claims) = verified()
    {
        context.accounts.hear_claims(claims, token.to_owned());
    }
    if context.accounts.find(account).is_none() {
        return Ok(());
    }
    if context.accounts.has_claims(account, token) {
        tell(context, &[same_claims(account)]);
        return Ok(());
    }
    let now = context.conn.clock.now();
    let policy = context.policy.load();
    let trust = policy.trust().ok_or("account resolver missing")?;
    let claims = vec![(verified()?, token.to_owned())];
    let options = context.conn.options();
    let notes = context.accounts.put_claims(claims, &HashMap::new(), trust, now, cluster(&options));
    tell(context, &notes);
    follow_claims(context, [account]);
    Ok(())
}

/// Closes an account whose claims were deleted where they are kept: nobody can be in it until it gets others.
pub(super) fn close(context: &Arc<ClientContext>, account: &str) {
    let Some(closed) = context.accounts.find(account) else { return };
    context.conn.logger.debug(format_args!("Disable account {account} due to remove"));
    let now = context.conn.clock.now();
    let notes = context.accounts.close_claims(account, now, cluster(&context.conn.options()));
    tell(context, &notes);
    for connection in clients_of(context, &closed) {
        connection.notify(Notices::CLAIMS);
    }
}

/// Takes out an account that the configuration brings no more: who is in it is judged anew, and finds it gone.
pub(super) fn remove(context: &Arc<ClientContext>, account: &str) {
    let Some(removed) = context.accounts.find(account) else { return };
    let now = context.conn.clock.now();
    let notes = context.accounts.remove_claims(account, now, cluster(&context.conn.options()));
    tell(context, &notes);
    for connection in clients_of(context, &removed) {
        connection.notify(Notices::OPTIONS);
    }
}

/// Claims that were looked up and verified, in the order in which they were wanted.
pub(super) struct Found {
    claims: Vec<(AccountClaims, String)>,
    /// Why accounts that these import from are not there.
    absent: HashMap<String, String>,
    look_ups: LookUps,
}

/// Accounts that are looked up, until this is dropped.
struct LookUps {
    context: Arc<ClientContext>,
    names: Vec<String>,
}

impl LookUps {
    fn begin(&mut self, name: &str) {
        self.context.accounts.begin_look_up(name);
        self.names.push(name.to_owned());
    }
}

impl Drop for LookUps {
    fn drop(&mut self) {
        for name in &self.names {
            self.context.accounts.end_look_up(name);
        }
    }
}

/// What became of a search.
pub(super) struct Search {
    /// What the log is to be told of it.
    pub(super) told: Vec<Note>,
    /// What was found, or why the account itself is not to be had; the texts are the reference's.
    pub(super) outcome: Result<Found, String>,
}

/// Puts what was found into force, and has clients keep to it.
pub(super) fn put(context: &ClientContext, trust: &Trust, found: Found, now: Timestamp) {
    let Found { claims, absent, look_ups } = found;
    let options = context.conn.options();
    let notes = context.accounts.put_found_claims(claims, &absent, trust, now, cluster(&options));
    tell(context, &notes);
    follow_claims(context, look_ups.names.iter().map(String::as_str));
}

/// Has the clients of these accounts keep to their claims.
fn follow_claims<'n>(context: &ClientContext, names: impl IntoIterator<Item = &'n str>) {
    for name in names {
        if let Some(account) = context.accounts.find(name) {
            keep_to_claims(context, &account);
        }
    }
}

/// Describes accounts anew that have activations that are over, and closes clients of accounts that are.
pub(super) fn expire(context: &ClientContext, now: Timestamp) {
    let (notes, expired) = context.accounts.expire_claims(now, cluster(&context.conn.options()));
    tell(context, &notes);
    for account in expired {
        keep_to_claims(context, &account);
    }
}

fn same_claims(account: &str) -> Note {
    Note(Level::Debug, format!("Requested account update for [{account}], same claims detected"))
}

fn cluster(options: &Options) -> Option<&str> {
    options.cluster.name.as_deref()
}

pub(super) fn tell(context: &ClientContext, notes: &[Note]) {
    for Note(level, text) in notes {
        context.conn.logger.log(*level, format_args!("{text}"));
    }
}

/// Has the clients of an account look at its claims. Where there are more than may be, those that came last
/// go.
fn keep_to_claims(context: &ClientContext, account: &Arc<Account>) {
    if account.connections().count() == 0 {
        return;
    }
    let max = account.limits().max_connections.and_then(|max| usize::try_from(max).ok());
    for (at, connection) in clients_of(context, account).iter().enumerate() {
        if max.is_some_and(|max| at >= max) {
            connection.request_close(CloseReason::MaxAccountConnectionsExceeded);
        } else {
            connection.notify(Notices::CLAIMS);
        }
    }
}

/// The clients of an account, oldest first.
fn clients_of(context: &ClientContext, account: &Account) -> Vec<Arc<crate::server::outbound::Outbound>> {
    let mut all = context.conn.table.all();
    all.retain(|connection| connection.counts_for(account.figures().sent()));
    all
}

/// Looks up an account and those that it imports from, as far as they are not in use yet.
pub(super) async fn find(context: &Arc<ClientContext>, name: &str) -> Search {
    let mut told = Vec::new();
    let outcome = find_telling(context, name, &mut told).await;
    Search { told, outcome }
}

async fn find_telling(
    context: &Arc<ClientContext>,
    name: &str,
    told: &mut Vec<Note>,
) -> Result<Found, String> {
    let started = context.conn.clock.now();
    let look_ups = LookUps { context: Arc::clone(context), names: Vec::new() };
    let mut found = Found { claims: Vec::new(), absent: HashMap::new(), look_ups };
    let mut wanted = VecDeque::from([name.to_owned()]);
    while let Some(next) = wanted.pop_front() {
        if next != name && context.conn.clock.now().since(started) > FOLLOWING_MAX {
            found.absent.insert(next, FetchError::TimedOut.to_string());
            continue;
        }
        found.look_ups.begin(&next);
        let fetched = fetch(context, &next, told).await;
        let now = context.conn.clock.now();
        if let Ok(token) = &fetched
            && context.accounts.has_claims(&next, token)
        {
            told.push(same_claims(&next));
            continue;
        }
        let verified = fetched.and_then(|token| {
            let policy = context.policy.load();
            let trust = policy.trust().ok_or("account resolver missing")?;
            let claims = trust.verify(&next, &token, now).map_err(|error| error.to_string())?;
            Ok((claims, token))
        });
        match verified {
            Ok((claims, token)) => {
                let is_new = |name: &String| {
                    *name != next
                        && !wanted.contains(name)
                        && !found.absent.contains_key(name)
                        && !found.claims.iter().any(|(claims, _)| claims.envelope.subject == *name)
                };
                let missing: Vec<String> =
                    context.accounts.missing_claims(&claims).into_iter().filter(is_new).collect();
                let room = FOLLOWED_MAX.saturating_sub(found.claims.len() + wanted.len());
                wanted.extend(missing.into_iter().take(room));
                found.claims.push((claims, token));
            }
            Err(error) if next == name => return Err(error),
            Err(error) => {
                found.absent.insert(next, error);
            }
        }
    }
    Ok(found)
}

async fn fetch(context: &ClientContext, name: &str, told: &mut Vec<Note>) -> Result<String, String> {
    let claim_source = context.claim_source.as_ref().ok_or("account resolver missing")?;
    let started = context.conn.clock.now();
    let fetched = claim_source.claims(name).await.map_err(|error| error.to_string());
    let taken = context.conn.clock.now().since(started);
    let level = if taken > SLOW_FETCH { Level::Warn } else { Level::Debug };
    told.push(Note(level, format!("Account [{name}] fetch took {}", go_duration(taken))));
    if let Err(error) = &fetched {
        told.push(Note(Level::Warn, format!("Account fetch failed: {error}")));
    }
    fetched
}

/// The system account of an operator, at start: its claims are looked up. Where they cannot be had yet of a
/// resolver that depends on others, an account stands in for it that can be told its claims; says whether
/// that is so.
///
/// # Errors
/// There are no claims, and none will come.
pub(super) async fn start_system_account(context: &Arc<ClientContext>) -> Result<bool, String> {
    let options = context.conn.options();
    let policy = context.policy.load_full();
    let (Some(trust), Some(name)) = (policy.trust(), options.system_account.as_deref()) else {
        return Ok(false);
    };
    if name == SYSTEM_ACCOUNT {
        return Ok(false);
    }
    let may_come = options.operators.len() == 1 && !matches!(options.resolver, Some(Resolver::Mem));
    let now = context.conn.clock.now();
    // Nothing of this is told, as the reference does it before it has a log.
    match find(context, name).await.outcome {
        Ok(Found { claims, absent, look_ups: _until_then }) => {
            context.accounts.put_found_claims(claims, &absent, trust, now, cluster(&options));
        }
        Err(error) if !may_come => return Err(format!("error resolving system account: {error}")),
        Err(_) => {
            let Some(operator) = options.operators.first() else { return Ok(false) };
            let mut claims = AccountClaims::unlimited(name);
            claims.envelope.issuer = operator.key.clone();
            context.accounts.system().set_claimed(Claimed::new(claims, "", trust));
            context.conn.logger.notice(format_args!("Using bootstrapping system account"));
            return Ok(true);
        }
    }
    Ok(false)
}
