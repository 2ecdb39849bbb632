//! Decisions about logins: who is let in, as whom, and what the log is told.

use super::*;
use crate::server::account::Registry;
use crate::server::auth::{PolicyBuilder, Secret};
use crate::server::base::base64::Base64;
use crate::server::base::clock::{SystemClock, Timestamp};
use crate::server::config::options::{self, ConnectionType, Options, UserIdentity};
use crate::server::protocol::connect::ConnectOptions;

fn user(name: &str, password: &str) -> options::User {
    options::User {
        identity: UserIdentity::Password { username: name.to_owned(), password: password.to_owned() },
        permissions: None,
        account: None,
        allowed_connection_types: Vec::new(),
        proxy_required: false,
    }
}

fn nkey(key: &nkeys::KeyPair) -> options::User {
    options::User { identity: UserIdentity::Nkey(key.public_key()), ..user("", "") }
}

fn policy(options: &Options) -> Arc<Policy> {
    let accounts = Registry::new(options, Arc::new(SystemClock::new())).unwrap();
    Arc::new(PolicyBuilder::new("nats-anybody").build(options, &accounts, None))
}

fn said(json: &str) -> ConnectOptions {
    let mut said = ConnectOptions::default();
    said.merge(json.as_bytes()).unwrap();
    said
}

/// Somebody who says this over a plain connection.
fn applicant<'a>(said: &'a ConnectOptions, accounts: &'a Registry) -> Applicant<'a> {
    Applicant {
        now: Timestamp::default(),
        accounts,
        looked_up: None,
        said,
        nonce: "nonce",
        connection: ConnectionType::Standard,
        is_secured: false,
        has_chain: false,
        certificate: None,
        peer: None,
        id: 1,
        held: None,
    }
}

fn no_accounts() -> Registry {
    Registry::new(&Options::default(), Arc::new(SystemClock::new())).unwrap()
}

/// What comes of a login with this CONNECT, in short, and the notes.
fn login_over(
    policy: &Arc<Policy>,
    json: &str,
    connection: ConnectionType,
) -> (Result<Identity, RefusalReason>, Vec<Note>) {
    let (said, accounts, mut notes) = (said(json), no_accounts(), Vec::new());
    let said = policy.completed(&said).unwrap_or(said);
    let applicant = Applicant { connection, ..applicant(&said, &accounts) };
    let mut decision = decide(policy, &applicant, &mut notes);
    if let Decision::Pending(work) = decision {
        decision = work.run();
    }
    let outcome = match decision {
        Decision::Accepted(grant) => Ok(grant.identity),
        Decision::Refused(refusal) => Err(refusal.reason),
        other => panic!("{other:?}"),
    };
    (outcome, notes)
}

fn login(policy: &Arc<Policy>, json: &str) -> (Result<Identity, RefusalReason>, Vec<Note>) {
    login_over(policy, json, ConnectionType::Standard)
}

#[track_caller]
fn check(policy: &Arc<Policy>, json: &str, want: Option<&str>) {
    let (outcome, notes) = login(policy, json);
    let got = outcome.map(|who| who.label().unwrap_or_else(|| "nobody".to_owned()));
    assert_eq!(got.as_deref().ok(), want, "{json} {notes:?}");
}

#[test]
fn without_users_everybody_is_let_in() {
    let policy = policy(&Options::default());
    assert!(!policy.is_required() && !policy.needs_nonce());
    check(&policy, "{}", Some("nobody"));
    check(&policy, r#"{"user":"ann","pass":"any"}"#, Some("user:ann"));
}

#[test]
fn one_user_or_one_token_is_compared() {
    let mut options = Options::default();
    options.authorization.username = Some("ann".to_owned());
    options.authorization.password = Some("hush".to_owned());
    let one = policy(&options);
    check(&one, r#"{"user":"ann","pass":"hush"}"#, Some("user:ann"));
    for wrong in
        [r#"{"user":"ann","pass":"loud"}"#, r#"{"user":"bob","pass":"hush"}"#, "{}", r#"{"pass":"hush"}"#]
    {
        check(&one, wrong, None);
    }
    let mut options = Options::default();
    options.authorization.token = Some(bcrypt::hash("hush", 4).unwrap());
    let token = policy(&options);
    check(&token, r#"{"auth_token":"hush"}"#, Some("token"));
    check(&token, r#"{"auth_token":"loud"}"#, None);
    check(&token, r#"{"user":"hush","pass":"hush"}"#, None);
}

#[test]
fn users_are_found_by_name_and_their_passwords_compared() {
    let hashed = user("bob", &bcrypt::hash("hush", 4).unwrap());
    let policy = policy(&Options { users: vec![user("ann", "hush"), hashed], ..Options::default() });
    assert!(policy.is_required() && policy.tells_required());
    check(&policy, r#"{"user":"ann","pass":"hush"}"#, Some("user:ann"));
    check(&policy, r#"{"user":"bob","pass":"hush"}"#, Some("user:bob"));
    for wrong in
        [r#"{"user":"ann"}"#, r#"{"user":"bob","pass":"loud"}"#, r#"{"user":"eve","pass":"hush"}"#, "{}"]
    {
        check(&policy, wrong, None);
    }
}

#[test]
fn who_gives_nothing_becomes_the_user_for_everybody() {
    let options = Options {
        users: vec![user("ann", "hush"), user("bob", "hush")],
        no_auth_user: Some("ann".to_owned()),
        ..Options::default()
    };
    let policy = policy(&options);
    assert!(policy.is_required() && !policy.tells_required());
    check(&policy, "{}", Some("user:ann"));
    for wrong in [r#"{"user":"ann"}"#, r#"{"pass":"x"}"#, r#"{"auth_token":"x"}"#] {
        check(&policy, wrong, None);
    }
    assert_eq!(policy.user_without_connect(ConnectionType::Standard).unwrap().name(), "ann");
}

#[test]
fn a_hashed_password_lets_nobody_in_for_nothing() {
    let hashed = user("ann", &bcrypt::hash("hush", 4).unwrap());
    let options = Options { users: vec![hashed], no_auth_user: Some("ann".to_owned()), ..Options::default() };
    check(&policy(&options), "{}", None);
}

#[test]
fn holders_of_keys_sign_the_nonce() {
    let (pair, other) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let policy = policy(&Options { users: vec![nkey(&pair)], ..Options::default() });
    assert!(policy.needs_nonce());
    let connect = |pair: &nkeys::KeyPair, nonce: &str| {
        let signature = Base64::Url.encode(&pair.sign(nonce.as_bytes()).unwrap());
        format!(r#"{{"nkey":"{}","sig":"{signature}"}}"#, pair.public_key())
    };
    check(&policy, &connect(&pair, "nonce"), Some(&format!("nkey:{}", pair.public_key())));
    check(&policy, &connect(&other, "nonce"), None);
    check(&policy, "{}", None);
    let (outcome, notes) = login(&policy, &connect(&pair, "another"));
    assert_eq!(outcome, Err(RefusalReason::Credentials));
    assert_eq!(notes, [Note::Debug("Signature not verified".to_owned())]);
}

#[test]
fn a_key_for_everybody_needs_no_signature() {
    let pair = nkeys::KeyPair::new_user();
    let key = pair.public_key();
    let options = Options { users: vec![nkey(&pair)], no_auth_user: Some(key.clone()), ..Options::default() };
    let policy = policy(&options);
    check(&policy, "{}", Some(&format!("nkey:{key}")));
    check(&policy, &format!(r#"{{"nkey":"{key}"}}"#), Some(&format!("nkey:{key}")));
    assert!(policy.user_without_connect(ConnectionType::Standard).is_none());
}

#[test]
fn users_may_be_bound_to_kinds_of_connections() {
    let bound =
        options::User { allowed_connection_types: vec![ConnectionType::InProcess], ..user("ann", "p") };
    let policy =
        policy(&Options { users: vec![bound], no_auth_user: Some("ann".to_owned()), ..Options::default() });
    let connect = r#"{"user":"ann","pass":"p"}"#;
    assert!(login_over(&policy, connect, ConnectionType::InProcess).0.is_ok());
    assert!(login_over(&policy, connect, ConnectionType::Standard).0.is_err());
    assert!(policy.user_without_connect(ConnectionType::Standard).is_none());
}

#[test]
fn proxies_vouch_for_those_who_need_it() {
    let (proxy, other) = (nkeys::KeyPair::new_account(), nkeys::KeyPair::new_account());
    let needs = options::User { proxy_required: true, ..user("ann", "p") };
    let policy = policy(&Options {
        users: vec![needs, user("bob", "p")],
        proxies_trusted: Some(vec![proxy.public_key()]),
        ..Options::default()
    });
    assert!(policy.needs_nonce());
    let connect = |name: &str, signer: Option<&nkeys::KeyPair>| {
        let signature = signer.map(|signer| Base64::Url.encode(&signer.sign(b"nonce").unwrap()));
        format!(r#"{{"user":"{name}","pass":"p","proxy_sig":"{}"}}"#, signature.unwrap_or_default())
    };
    check(&policy, &connect("ann", Some(&proxy)), Some("user:ann"));
    check(&policy, &connect("bob", None), Some("user:bob"));
    for (name, signer, reason, text) in [
        ("ann", None, RefusalReason::ProxyRequired, "proxy connection required"),
        ("bob", Some(&other), RefusalReason::ProxyNotTrusted, "proxy is not trusted"),
    ] {
        let (outcome, notes) = login(&policy, &connect(name, signer));
        assert_eq!((outcome, notes), (Err(reason), vec![Note::Debug(text.to_owned())]));
    }
}

#[test]
fn who_is_refused_is_still_known_to_come_through_a_trusted_proxy() {
    let proxy = nkeys::KeyPair::new_account();
    let trusted = || Some(vec![proxy.public_key()]);
    let signature = Base64::Url.encode(&proxy.sign(b"nonce").unwrap());
    let said = said(&format!(r#"{{"user":"ann","pass":"loud","proxy_sig":"{signature}"}}"#));
    let accounts = no_accounts();
    for password in ["hush".to_owned(), bcrypt::hash("hush", 4).unwrap()] {
        let users = vec![user("ann", &password)];
        let policy = policy(&Options { users, proxies_trusted: trusted(), ..Options::default() });
        let decision = match decide(&policy, &applicant(&said, &accounts), &mut Vec::new()) {
            Decision::Pending(work) => work.run(),
            decision => decision,
        };
        let Decision::Refused(refusal) = decision else { panic!("{decision:?}") };
        assert_eq!(refusal.proxy.as_deref(), Some(&*proxy.public_key()));
    }
}

#[test]
fn the_global_account_stays_open_where_only_the_system_account_has_users() {
    let system = options::Account { name: "SYS".to_owned(), ..options::Account::default() };
    let options = Options {
        accounts: vec![system],
        system_account: Some("SYS".to_owned()),
        users: vec![options::User { account: Some("SYS".to_owned()), ..user("ann", "p") }],
        ..Options::default()
    };
    let open = policy(&options);
    assert!(open.tells_required());
    check(&open, "{}", Some("user:nats-anybody"));
    check(&open, r#"{"user":"ann","pass":"p"}"#, Some("user:ann"));
    let mut closed = options;
    closed.authorization.defined = true;
    check(&policy(&closed), "{}", None);
}

#[test]
fn what_a_reload_leaves_as_it_is_need_not_be_proven_again() {
    let hash = bcrypt::hash("hush", 4).unwrap();
    let policy =
        |password: &str| policy(&Options { users: vec![user("ann", password)], ..Options::default() });
    let before = policy(&hash);
    let held = Grant::of_user(before.user("ann").unwrap(), Identity::Nobody, None);
    let (said, accounts) = (said(r#"{"user":"ann","pass":"hush"}"#), no_accounts());
    let (applicant, mut notes) = (Applicant { held: Some(&held), ..applicant(&said, &accounts) }, Vec::new());
    assert!(matches!(decide(&policy(&hash), &applicant, &mut notes), Decision::Accepted(_)));
    let other = bcrypt::hash("hush", 4).unwrap();
    assert!(matches!(decide(&policy(&other), &applicant, &mut notes), Decision::Pending(_)));
    assert!(matches!(decide(&policy("loud"), &applicant, &mut notes), Decision::Refused(_)));
    assert!(Secret::new(&other).matches("hush"));
}

#[test]
fn users_that_stay_keep_their_identity_over_a_reload() {
    let accounts = no_accounts();
    let permissions = options::Permissions {
        publish: Some(options::SubjectPermission { allow: None, deny: vec!["a".to_owned()] }),
        ..options::Permissions::default()
    };
    let mut options = Options {
        users: vec![options::User { permissions: Some(permissions), ..user("ann", "p") }],
        ..Options::default()
    };
    let builder = PolicyBuilder::new("nats-anybody");
    let before = builder.build(&options, &accounts, None);
    let same = builder.build(&options, &accounts, Some(&before));
    assert!(Arc::ptr_eq(before.user("ann").unwrap(), same.user("ann").unwrap()));
    options.users[0].identity =
        UserIdentity::Password { username: "ann".to_owned(), password: "q".to_owned() };
    let after = builder.build(&options, &accounts, Some(&before));
    let of = |policy: &Policy| Arc::clone(policy.user("ann").unwrap().permissions().unwrap());
    assert!(!Arc::ptr_eq(before.user("ann").unwrap(), after.user("ann").unwrap()));
    assert!(Arc::ptr_eq(&of(&before), &of(&after)));
}
