//! The desk with a real store behind it: what goes out for what comes in.

use nkeys::KeyPair;

use super::super::index::Policy;
use super::super::simulated::{Simulated, keys, signed, token as unsigned, trusted};
use super::super::store::{Deletion, Store};
use super::super::store_task::perform;
use super::*;
use crate::server::jwt::fixtures::{NOW, token};
use crate::server::jwt::{Account, Generic};

/// A desk whose orders are done at once.
struct Office {
    desk: Desk<u32>,
    store: Store<Simulated>,
    known: Vec<String>,
}

impl Office {
    fn new(kind: Kind, operator: &KeyPair) -> Self {
        let operator =
            Operator { key: operator.public_key(), is_strict: false, keys: vec![operator.public_key()] };
        let settings = Settings {
            kind,
            operator,
            system_account: "S".to_owned(),
            may_delete: true,
            timeout: Duration::from_secs(2),
        };
        let policy = Policy { limit: 100, evicts: kind == Kind::Cache, ttl: None };
        let (store, _) = Store::open(Simulated::default(), policy, Deletion::Removes, NOW).unwrap();
        Self { desk: Desk::new(settings), store, known: Vec::new() }
    }

    /// All that goes out, orders done on the way; the log apart.
    fn take(&mut self, event: Event<u32>) -> (Vec<Action<u32>>, Vec<String>) {
        let (mut done, mut log) = (Vec::new(), Vec::new());
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut out = Vec::new();
            let known = self.known.clone();
            self.desk.handle(NOW, 0, &|name| known.iter().any(|known| known == name), event, &mut out);
            for action in out {
                match action {
                    Action::Order(order, ticket) => {
                        events
                            .insert(0, Event::Done(ticket, perform(&mut self.store, &trusted(), order, NOW)));
                    }
                    Action::Log(_, text) => log.push(text),
                    action => done.push(action),
                }
            }
        }
        (done, log)
    }

    fn ask(&mut self, subject: &str, body: &str) -> Vec<Action<u32>> {
        let letter = Letter { subject: subject.into(), reply: "r".into(), body: body.as_bytes().to_vec() };
        self.take(Event::Request(letter)).0
    }
}

fn reply(text: &str) -> Action<u32> {
    plain("r".to_owned(), text.to_owned())
}

/// The words of an answer to an update or a deletion.
fn words(action: &Action<u32>) -> String {
    let Action::Reply(_, Body::Answer(answer)) = action else { panic!("no answer: {action:?}") };
    answer.log_line().1
}

#[test]
fn an_update_is_kept_told_and_then_answered() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    let account = KeyPair::new_account();
    let key = AccountKey::parse(&account.public_key()).unwrap();
    let claims = token::<Account>(&operator, &account, |_| ());
    let out = office.ask("$SYS.REQ.CLAIMS.UPDATE", &claims);
    assert_eq!(out[0], Action::Changed(key, claims.clone()));
    assert_eq!(words(&out[1]), format!("jwt updated - {key}"));
    // The same once more changes nothing.
    assert_eq!(office.ask("$SYS.REQ.CLAIMS.UPDATE", &claims).len(), 1);
    let look_up = format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP");
    assert_eq!(office.ask(&look_up, ""), [reply(&claims)]);
    assert_eq!(office.ask("$SYS.REQ.CLAIMS.LIST", ""), [Action::Reply("r".into(), Body::List(vec![key]))]);
    assert_eq!(office.take(Event::Asked(key.to_string(), 7)).0, [Action::Answer(vec![7], Ok(claims))]);
    let request = token::<Generic>(&operator, &operator, |claim| {
        claim.nats.insert("accounts", vec![key.to_string()]);
    });
    let out = office.ask("$SYS.REQ.CLAIMS.DELETE", &request);
    assert_eq!(out[0], Action::Deleted(key));
    assert_eq!(words(&out[1]), "deleted 1 accounts");
    assert_eq!(office.ask(&look_up, ""), [reply("")]);
}

#[test]
fn nobody_is_answered_who_gave_no_reply_subject() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    for subject in ["$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.PACK", "$SYS.REQ.CLAIMS.UPDATE"] {
        let letter = Letter { subject: subject.into(), ..Letter::default() };
        assert_eq!(office.take(Event::Request(letter)).0, [], "{subject}");
    }
    let bad = office.take(Event::Request(Letter { subject: "x".into(), ..Letter::default() }));
    assert_eq!(bad.1, ["DirResolver - request on bad subject \"x\""]);
}

#[test]
fn packs_come_one_account_a_message_and_end_with_an_empty_one() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    let mut keys: Vec<AccountKey> =
        (0..=PEEKS_MAX).map(|_| AccountKey::parse(&KeyPair::new_account().public_key()).unwrap()).collect();
    keys.sort_unstable();
    let mut want = Vec::new();
    for key in keys {
        let claims = unsigned(&key, "1", 1, 0);
        office.store.save(&key, &claims, NOW).unwrap();
        want.push(reply(&pack::line(&key, &claims)));
    }
    want.push(reply(""));
    assert_eq!(office.ask("$SYS.REQ.CLAIMS.PACK", "not a sum"), want);
    let sum = office.store.sum().0.to_vec();
    let letter = Letter { subject: "$SYS.REQ.CLAIMS.PACK".into(), reply: "r".into(), body: sum };
    assert_eq!(office.take(Event::Request(letter)).0, [reply("")]);
}

#[test]
fn what_other_servers_send_is_merged_and_told_to_the_accounts() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    let sum = office.store.sum();
    assert_eq!(office.take(Event::Sync).0, [Action::AskPacks(sum)]);
    let [a, b] = keys();
    office.known = vec![a.to_string()];
    let (of_a, of_b) = (signed(&a), signed(&b));
    let lines = format!("{}\n{}", pack::line(&a, &of_a), pack::line(&b, &of_b));
    let (out, log) = office.take(Event::Packed(lines));
    // Nobody uses B here.
    assert_eq!(out, [Action::Changed(a, of_a)]);
    assert_eq!(office.store.peek(&b), Some(of_b));
    let after = office.store.sum();
    assert_eq!(log, [format!("DirResolver - Merging succeeded and changed {sum:x} to {after:x}")]);
    assert_eq!(office.take(Event::Packed(String::new())), (vec![], vec![]));
    let (_, log) = office.take(Event::Packed("x|y".to_owned()));
    assert_eq!(
        log,
        ["DirResolver - Merging resulted in error: key to merge is not a valid public account key"]
    );
}

#[test]
fn claims_that_are_not_here_are_asked_for_and_kept() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Cache, &operator);
    let [a, b] = keys();
    assert_eq!(office.take(Event::Asked(a.to_string(), 1)).0, [Action::AskOthers(a, 1)]);
    let claims = signed(&a);
    let out = office.take(Event::LookedUp(a, 1, claims.clone())).0;
    assert_eq!(out, [Action::Answer(vec![1], Ok(claims.clone()))]);
    assert_eq!(office.store.peek(&a), Some(claims));
    office.take(Event::Asked(b.to_string(), 2));
    let mut out = Vec::new();
    office.desk.expire_lookups(NOW + Duration::from_secs(2), &mut out);
    assert_eq!(out, [Action::Answer(vec![2], Err(FetchError::TimedOut))]);
    let wrong = office.take(Event::Asked("x".to_owned(), 3)).0;
    assert_eq!(wrong, [Action::Answer(vec![3], Err(FetchError::Name))]);
}

#[test]
fn memory_answers_at_once_and_updates_the_account_itself() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Memory, &operator);
    let account = KeyPair::new_account();
    let key = AccountKey::parse(&account.public_key()).unwrap();
    let missing = Action::Answer(vec![1], Err(FetchError::Missing));
    assert_eq!(office.take(Event::Asked(key.to_string(), 1)).0, [missing]);
    office.desk.preload(key, "t".to_owned());
    let found = office.take(Event::Asked(key.to_string(), 1)).0;
    assert_eq!(found, [Action::Answer(vec![1], Ok("t".to_owned()))]);
    let subject = format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE");
    let claims = token::<Account>(&operator, &account, |_| ());
    assert_eq!(words(&office.ask(&subject, &claims)[0]), format!("jwt update skipped - {key}"));
    office.known.push(key.to_string());
    let apply = Action::Apply { account: key.to_string(), token: claims.clone(), reply: "r".to_owned() };
    assert_eq!(office.ask(&subject, &claims), [apply]);
    // What a reload brings takes the place of all that was there.
    let [other] = keys();
    let out = office.take(Event::Reload(vec![(key, "new".to_owned())], vec![key, other])).0;
    assert_eq!(out, [Action::Reloaded(key, "new".to_owned()), Action::Gone(other)]);
    let refused = Err("account validation failed".to_owned());
    let out = office.take(Event::Applied(key.to_string(), "r".to_owned(), refused)).0;
    assert_eq!(words(&out[0]), format!("jwt update resulted in error - {key} - account validation failed"));
}

#[test]
fn a_reload_tells_of_files_that_changed() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    let [a] = keys();
    let claims = signed(&a);
    office.store.save(&a, &claims, NOW).unwrap();
    assert_eq!(office.take(Event::Reload(Vec::new(), Vec::new())).0, []);
    let by_hand = token::<Account>(&operator, &KeyPair::new_account(), |_| ());
    let changed = Event::Done(Ticket::Changed(a), Outcome::Loaded(Ok(by_hand.clone())));
    assert_eq!(office.take(changed).0, [Action::Changed(a, by_hand)]);
    office.known = vec![a.to_string()];
    let reloaded = Event::Done(Ticket::Reload, Outcome::Reloaded(Ok(vec![a])));
    assert_eq!(office.take(reloaded).0, [Action::Changed(a, claims)]);
    assert_eq!(Office::new(Kind::Memory, &operator).take(Event::Reload(Vec::new(), Vec::new())).0, []);
}

#[test]
fn a_file_that_is_no_claims_counts_as_none() {
    let operator = KeyPair::new_operator();
    let mut office = Office::new(Kind::Full, &operator);
    let key = AccountKey::parse(&KeyPair::new_account().public_key()).unwrap();
    let ticket = Ticket::LookUp(key, "r".to_owned());
    let damaged = Outcome::Loaded(Err(LoadError::Damaged("/d/a.jwt".to_owned())));
    let (out, log) = office.take(Event::Done(ticket.clone(), damaged));
    assert_eq!(out, [reply("")]);
    let not_found = format!("DirResolver - Could not find account \"{key}\"");
    assert_eq!(log, ["DirResolver - /d/a.jwt holds no claims of this account", not_found.as_str()]);
    let broken = Outcome::Loaded(Err(LoadError::Disk("open /d/a.jwt: permission denied".to_owned())));
    let (out, log) = office.take(Event::Done(ticket, broken));
    assert_eq!((out.len(), log.len()), (0, 1));
}
