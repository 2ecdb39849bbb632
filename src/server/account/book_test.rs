//! What claims of one account mean for others.

use nkeys::KeyPair;

use super::*;
use crate::server::config::options::{ImportKind, Options};
use crate::server::jwt::fixtures::{NOW, NOW_S, signed, token};
use crate::server::jwt::{Activation, Export};

struct World {
    operator: KeyPair,
    trust: Trust,
    book: Book,
}

impl World {
    fn new() -> Self {
        let operator = KeyPair::new_operator();
        let trusted_keys = vec![operator.public_key()];
        let trust = Trust::of(&Options { trusted_keys, ..Options::default() }).unwrap();
        Self { operator, trust, book: Book::default() }
    }

    /// Puts the claims of an account; gives what is imported by which account then, and the log's lines.
    fn put(&mut self, key: &KeyPair, change: impl FnOnce(&mut jwt::Account)) -> (Vec<String>, Vec<String>) {
        let mut claims = AccountClaims::unlimited(key.public_key());
        change(&mut claims.nats);
        let token = signed(claims, &self.operator);
        let claims = self.trust.verify(&key.public_key(), &token, NOW).unwrap();
        let put = vec![(claims, token)];
        shown(self.book.put(put, &HashMap::new(), &self.trust, NOW))
    }
}

/// Imported subjects of the accounts that are described anew, and lines that are more than details.
fn shown(change: Change) -> (Vec<String>, Vec<String>) {
    let imports = change.described.iter().flat_map(|account| &account.imports);
    let subjects = imports.map(|import| import.subject.clone()).collect();
    let is_news = |note: &Note| !note.1.starts_with("Adding") && !note.1.starts_with("Updating");
    (subjects, change.notes.into_iter().filter(is_news).map(|Note(_, text)| text).collect())
}

fn export(subject: &str) -> Option<Export> {
    Some(Export { subject: subject.into(), kind: Kind::Stream, ..Export::default() })
}

fn import(subject: &str, exporter: &KeyPair, token: &str) -> Option<Import> {
    let (account, token) = (exporter.public_key(), token.to_owned());
    Some(Import { subject: subject.into(), account, token, kind: Kind::Stream, ..Import::default() })
}

#[test]
fn imports_stand_once_their_exporter_is_there_and_exports_them() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    let name = importer.public_key();
    let (imports, notes) = world.put(&importer, |account| account.imports.push(import("e.a", &exporter, "")));
    let missing = format!(
        "Can't locate account [{}] for import of [e.a] stream (err=account missing)",
        exporter.public_key()
    );
    assert_eq!((imports, notes), (vec![], vec![missing]));
    assert!(!world.book.has(&name, world.book.get(&name).unwrap().token()));
    let refused = format!("Error adding stream import to account [{name}]: stream import not authorized");
    let issues = format!("Account {name} has issues importing account {}", exporter.public_key());
    for (exports, want, told) in
        [(vec![], vec![], vec![refused, issues]), (vec![export("e.>")], vec!["e.a".to_owned()], vec![])]
    {
        let got = world.put(&exporter, |account| account.exports = exports);
        assert_eq!(got, (want, told));
    }
    assert!(world.book.has(&name, world.book.get(&name).unwrap().token()));
    let (imports, notes) = shown(world.book.remove(&exporter.public_key(), NOW));
    assert_eq!((imports, notes), (vec![], vec![]));
}

/// All lines, in their order.
fn lines(change: Change) -> Vec<String> {
    change.notes.into_iter().map(|Note(_, text)| text).collect()
}

#[test]
fn the_log_is_told_of_exporters_before_what_is_imported_of_them() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    let (a, b) = (importer.public_key(), exporter.public_key());
    let both = |exports: Vec<Option<Export>>| {
        let mut of_importer = AccountClaims::unlimited(a.clone());
        of_importer.nats.imports = vec![import("e.a", &exporter, "")];
        let mut of_exporter = AccountClaims::unlimited(b.clone());
        of_exporter.nats.exports = exports;
        [of_importer, of_exporter].map(|claims| (claims.clone(), signed(claims, &world.operator))).to_vec()
    };
    let claims = both(vec![export("e.>")]);
    let told = lines(world.book.put(claims, &HashMap::new(), &world.trust, NOW));
    let want = [
        format!("Updating account claims: {a}/"),
        format!("Updating account claims: {b}/"),
        format!("Adding stream export \"e.>\" for {b}"),
        format!("Adding stream import {b}:\"e.a\" for {a}:\"\""),
    ];
    assert_eq!(told, want);
    // Who has all that it claims follows without a word, whatever becomes of it.
    for exports in [vec![], vec![export("e.>")]] {
        let (claims, token) = both_of(&world, &b, exports);
        let change = world.book.put(vec![(claims, token)], &HashMap::new(), &world.trust, NOW);
        assert!(change.described.iter().any(|account| account.name == a));
        assert!(lines(change).iter().all(|line| !line.contains(&a)));
    }
}

fn both_of(world: &World, key: &str, exports: Vec<Option<Export>>) -> (AccountClaims, String) {
    let mut claims = AccountClaims::unlimited(key.to_owned());
    claims.nats.exports = exports;
    let token = signed(claims.clone(), &world.operator);
    (claims, token)
}

#[test]
fn who_waits_for_an_exporter_is_told_of_when_that_comes() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    let (a, b) = (importer.public_key(), exporter.public_key());
    world.put(&importer, |account| account.imports.push(import("e.a", &exporter, "")));
    for (exports, want) in [
        (
            vec![],
            vec![
                format!("Updating account claims: {a}/"),
                format!("Adding stream import {b}:\"e.a\" for {a}:\"\""),
                format!("Error adding stream import to account [{a}]: stream import not authorized"),
                format!("Account {a} has issues importing account {b}"),
            ],
        ),
        // It was told that there are issues: what ends them is not.
        (vec![export("e.>")], vec![]),
    ] {
        let (claims, token) = both_of(&world, &b, exports);
        let mut told = lines(world.book.put(vec![(claims, token)], &HashMap::new(), &world.trust, NOW));
        told.retain(|line| line.contains(&a));
        assert_eq!(told, want);
    }
    assert!(world.book.has(&a, world.book.get(&a).unwrap().token()));
}

#[test]
fn a_closed_account_keeps_its_exports_and_comes_back_with_any_claims() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    let (a, b) = (importer.public_key(), exporter.public_key());
    world.put(&exporter, |account| account.exports = vec![export("e.>")]);
    world.put(&importer, |account| account.imports.push(import("e.a", &exporter, "")));
    let token = world.book.get(&b).unwrap().token().to_owned();
    let change = world.book.close(&b, NOW);
    let described: Vec<_> = change.described.iter().map(|account| account.name.as_str()).collect();
    assert_eq!((described, change.described[0].limits.max_connections), (vec![b.as_str()], Some(0)));
    assert!(world.book.get(&b).unwrap().is_expired(NOW) && !world.book.has(&b, &token));
    assert!(
        world.book.is_fresh(&b, NOW) && world.book.get(&a).is_some_and(|claimed| !claimed.is_expired(NOW))
    );
    let (claims, token) = both_of(&world, &b, vec![export("e.>")]);
    world.book.put(vec![(claims, token)], &HashMap::new(), &world.trust, NOW);
    assert!(!world.book.get(&b).unwrap().is_expired(NOW));
}

#[test]
fn an_activation_counts_until_it_is_over() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    world.put(&exporter, |account| {
        account.exports = vec![export("e.>")];
        account.exports.iter_mut().flatten().for_each(|export| export.token_required = true);
    });
    let activation = token::<Activation>(&exporter, &importer, |claim| {
        (claim.nats.subject, claim.nats.kind) = ("e.>".into(), Kind::Stream);
        claim.envelope.expires = NOW_S + 10;
    });
    let (imports, _) =
        world.put(&importer, |account| account.imports.push(import("e.a", &exporter, &activation)));
    assert_eq!(imports, ["e.a"]);
    let end = NOW + Duration::from_secs(10);
    assert_eq!(world.book.deadline(), Some(end));
    let (change, expired) = world.book.expire(NOW);
    assert!(change == Change::default() && expired.is_empty());
    let (change, _) = world.book.expire(end);
    assert_eq!(shown(change), (vec![], vec![]));
    assert_eq!(world.book.deadline(), None);
}

#[test]
fn imports_that_form_a_cycle_are_refused() {
    let (mut world, one, other) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    world.put(&one, |account| account.exports.push(export("a")));
    let (imports, _) = world.put(&other, |account| {
        account.exports.push(export("a"));
        account.imports.push(import("a", &one, ""));
    });
    assert_eq!(imports, ["a"]);
    let (imports, notes) = world.put(&one, |account| {
        account.exports.push(export("a"));
        account.imports.push(import("a", &other, ""));
    });
    let label = one.public_key();
    let want = format!("Error adding stream import to account [{label}]: import forms a cycle");
    assert_eq!((imports, notes), (vec!["a".to_owned()], vec![want]));
}

#[test]
fn an_account_that_is_over_is_told_once() {
    let (mut world, key) = (World::new(), KeyPair::new_account());
    let mut claims = AccountClaims::unlimited(key.public_key());
    claims.envelope.expires = NOW_S + 1;
    let token = signed(claims, &world.operator);
    let claims = world.trust.verify(&key.public_key(), &token, NOW).unwrap();
    world.book.put(vec![(claims, token)], &HashMap::new(), &world.trust, NOW);
    let end = NOW + Duration::from_secs(1);
    assert_eq!(world.book.deadline(), Some(end));
    assert!(world.book.expire(NOW).1.is_empty());
    assert_eq!(world.book.expire(end).1, [Box::from(key.public_key())]);
    assert!(world.book.expire(end).1.is_empty() && world.book.deadline().is_none());
}

#[test]
fn what_imports_lead_to_is_named_as_it_is_called_here() {
    let (mut world, exporter, importer) = (World::new(), KeyPair::new_account(), KeyPair::new_account());
    world.put(&exporter, |account| account.exports.push(export("e.*")));
    let mut claims = AccountClaims::unlimited(importer.public_key());
    let mut renamed = import("e.*", &exporter, "").unwrap();
    renamed.local_subject = "l.$1".into();
    claims.nats.imports.push(Some(renamed));
    let token = signed(claims.clone(), &world.operator);
    let change = world.book.put(vec![(claims, token)], &HashMap::new(), &world.trust, NOW);
    let import = &change.described[0].imports[0];
    let to = Some("l.$1".to_owned());
    assert_eq!(import.kind, ImportKind::Stream { prefix: None, to, allow_trace: false });
}

#[test]
fn claims_that_came_while_an_account_was_looked_up_are_not_lost() {
    let (mut world, key) = (World::new(), KeyPair::new_account());
    let name = key.public_key();
    let claims = |issued_at: i64, expires: i64| {
        let mut claims = AccountClaims::unlimited(&name);
        (claims.envelope.issued_at, claims.envelope.expires) = (issued_at, expires);
        (claims, issued_at.to_string())
    };
    let latest = |book: &Book, found| {
        let latest = book.latest(vec![found], NOW);
        latest.first().map(|(_, token)| token.clone())
    };
    // Those of an account that is not in use yet are heard as long as somebody looks it up.
    world.book.begin_look_up(&name);
    world.book.begin_look_up(&name);
    let (update, token) = claims(2, 0);
    world.book.hear(update, token);
    world.book.end_look_up(&name);
    assert_eq!(latest(&world.book, claims(1, 0)).as_deref(), Some("2"));
    world.book.end_look_up(&name);
    assert_eq!(latest(&world.book, claims(1, 0)).as_deref(), Some("1"));
    // Those in force stay unless they are older, or over.
    for (expires, found, want) in [(0, 1, None), (0, 2, None), (0, 3, Some("3")), (NOW_S, 1, Some("1"))] {
        world.book.put(vec![claims(2, expires)], &HashMap::new(), &world.trust, NOW);
        assert_eq!(latest(&world.book, claims(found, 0)).as_deref(), want, "{expires} {found}");
    }
}

#[test]
fn a_long_chain_of_exporters_needs_no_stack() {
    const LENGTH: usize = 200;
    let chain = || {
        let mut world = World::new();
        let keys: Vec<KeyPair> = (0..LENGTH).map(|_| KeyPair::new_account()).collect();
        let link = |(at, key): (usize, &KeyPair)| {
            let mut claims = AccountClaims::unlimited(key.public_key());
            // Of each something else, that nothing leads on and the search for circles is short.
            let subject = |at: usize| format!("e.{at}");
            claims.nats.exports.push(export(&subject(at)));
            claims.nats.imports.extend(keys.get(at + 1).map(|from| import(&subject(at + 1), from, "")));
            (claims, String::new())
        };
        let links = keys.iter().enumerate().map(link).collect();
        let (imports, notes) = shown(world.book.put(links, &HashMap::new(), &world.trust, NOW));
        (imports.len(), notes)
    };
    let thread = std::thread::Builder::new().stack_size(192 * 1024).spawn(chain).unwrap();
    assert_eq!(thread.join().unwrap(), (LENGTH - 1, Vec::new()));
}
