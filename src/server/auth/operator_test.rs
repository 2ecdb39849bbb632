//! Decisions about users by their claims, at a fixed moment.

use std::collections::HashMap;
use std::time::Duration;

use nkeys::KeyPair;

use super::*;
use crate::server::account::Registry;
use crate::server::auth::{Applicant, Policy, PolicyBuilder, decide};
use crate::server::base::base64::Base64;
use crate::server::base::clock::{SystemClock, Timestamp};
use crate::server::config::options::{ConnectionType, Options};
use crate::server::jwt::fixtures::{NOW, NOW_S, signed};
use crate::server::jwt::{AccountClaims, Permission, TimeRange, UserScope};
use crate::server::protocol::connect::ConnectOptions;

const NONCE: &str = "nonce";

struct World {
    operator: KeyPair,
    account: KeyPair,
    registry: Registry,
    policy: Arc<Policy>,
}

impl World {
    /// An operator with an account that is in use.
    fn new(change: impl FnOnce(&mut AccountClaims)) -> Self {
        let world = Self::without_account(Options::default());
        let mut claims = AccountClaims::unlimited(world.account.public_key());
        change(&mut claims);
        let token = signed(claims.clone(), &world.operator);
        claims.envelope.issuer = world.operator.public_key();
        let trust = world.policy.trust().unwrap();
        world.registry.put_claims(vec![(claims, token)], &HashMap::new(), trust, NOW, None);
        world
    }

    fn without_account(options: Options) -> Self {
        let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
        let options = Options { trusted_keys: vec![operator.public_key()], ..options };
        let registry = Registry::new(&options, Arc::new(SystemClock::new())).unwrap();
        let policy = Arc::new(PolicyBuilder::new("nats-anybody").build(&options, &registry, None));
        Self { operator, account, registry, policy }
    }

    fn user(&self, change: impl FnOnce(&mut UserClaims)) -> (KeyPair, String) {
        let key = KeyPair::new_user();
        let mut claims = UserClaims::unlimited(key.public_key());
        change(&mut claims);
        (key, signed(claims, &self.account))
    }

    fn decide(
        &self,
        said: &ConnectOptions,
        looked_up: Option<&Result<(), Box<str>>>,
    ) -> (Decision, Vec<Note>) {
        let mut notes = Vec::new();
        let applicant = Applicant {
            said,
            nonce: NONCE,
            connection: ConnectionType::Standard,
            is_secured: false,
            has_chain: false,
            certificate: None,
            peer: "192.0.2.1:1".parse().ok(),
            id: 1,
            now: NOW,
            accounts: &self.registry,
            looked_up,
            held: None,
        };
        (decide(&self.policy, &applicant, &mut notes), notes)
    }

    #[track_caller]
    fn grant(&self, said: &ConnectOptions) -> Grant {
        match self.decide(said, None) {
            (Decision::Accepted(grant), _) => *grant,
            other => panic!("{other:?}"),
        }
    }

    /// The last thing that the log is told of a refusal.
    #[track_caller]
    fn refusal(&self, said: &ConnectOptions, looked_up: Option<&Result<(), Box<str>>>) -> String {
        match self.decide(said, looked_up) {
            (Decision::Refused(_), notes) => match notes.last() {
                Some(Note::Debug(text) | Note::Error(text) | Note::Warning(text)) => text.clone(),
                None => String::new(),
            },
            other => panic!("{other:?}"),
        }
    }
}

fn shown((key, jwt): (KeyPair, String)) -> ConnectOptions {
    let sig = Base64::Url.encode(&key.sign(NONCE.as_bytes()).unwrap());
    ConnectOptions { jwt, sig, ..ConnectOptions::default() }
}

#[test]
fn a_grant_is_what_the_claims_say() {
    let world = World::new(|_| ());
    let (key, jwt) = world.user(|claims| {
        claims.envelope.name = "ann".into();
        claims.envelope.expires = NOW_S + 60;
        claims.nats.about.tags = vec!["a:b".into()];
        let rights = &mut claims.nats.rights;
        rights.permissions.publish = Permission { allow: vec!["p".into()], deny: vec![] };
        (rights.limits.nats.subscriptions, rights.limits.nats.payload) = (3, 0);
    });
    let public = key.public_key();
    let grant = world.grant(&shown((key, jwt)));
    assert_eq!(&**grant.account.name(), world.account.public_key());
    assert_eq!(grant.identity, Identity::Jwt(public.as_str().into()));
    assert_eq!(grant.limits, UserLimits { subscriptions: Some(3), payload: Some(0) });
    assert_eq!(grant.expires, Some(NOW + Duration::from_secs(60)));
    let publish = grant.permissions.unwrap().described().publish.clone().unwrap();
    assert_eq!(publish.allow, Some(vec!["p".to_owned()]));
    let user = grant.claimed.unwrap();
    assert_eq!((&*user.key, &*user.name, &*user.tags), (&*public, "ann", &["a:b".to_owned()][..]));
    assert!(!user.is_bearer && user.signing_key.is_none() && !user.has_default_permissions);
}

#[test]
fn a_window_ends_a_connection_before_its_claims_do() {
    let world = World::new(|_| ());
    let range = TimeRange { start: "18:00:00".into(), end: "19:30:00".into() };
    let expiring = |seconds: i64| {
        let range = range.clone();
        world.user(move |claims| {
            claims.envelope.expires = NOW_S + seconds;
            claims.nats.rights.limits.times.push(range);
            claims.nats.rights.limits.zone = "UTC".into();
        })
    };
    // It is 19:00.
    for (seconds, want) in [(3600, 1800), (600, 600)] {
        let grant = world.grant(&shown(expiring(seconds)));
        assert_eq!(grant.expires, Some(NOW + Duration::from_secs(want)));
    }
}

#[test]
fn a_time_before_the_epoch_is_over() {
    let world = World::new(|_| ());
    let grant = world.grant(&shown(world.user(|claims| claims.envelope.expires = -1)));
    assert_eq!(grant.expires, Some(Timestamp::default()));
}

#[test]
fn an_account_that_is_not_in_use_is_looked_up_first() {
    let world = World::without_account(Options::default());
    let said = shown(world.user(|_| ()));
    match world.decide(&said, None) {
        (Decision::NeedsAccount(account), _) => assert_eq!(*account, *world.account.public_key()),
        other => panic!("{other:?}"),
    }
    let missing = Err("account jwt not found".into());
    let reason = world.refusal(&said, Some(&missing));
    assert_eq!(reason, "Account JWT lookup error: account jwt not found");
    let vanished = world.refusal(&said, Some(&Ok(())));
    assert_eq!(vanished, "Account JWT lookup error: account missing");
}

#[test]
fn an_account_that_is_over_is_looked_up_again() {
    let world = World::new(|claims| claims.envelope.expires = NOW_S);
    let said = shown(world.user(|_| ()));
    assert!(matches!(world.decide(&said, None).0, Decision::NeedsAccount(_)));
    assert_eq!(world.refusal(&said, Some(&Ok(()))), "Account JWT has expired");
}

#[test]
fn an_account_of_somebody_else_does_not_count_when_trust_has_gone() {
    let world = World::new(|_| ());
    let said = shown(world.user(|_| ()));
    let options = Options { trusted_keys: vec![KeyPair::new_operator().public_key()], ..Options::default() };
    let policy = Arc::new(PolicyBuilder::new("nats-anybody").build(&options, &world.registry, None));
    let world = World { policy, ..world };
    assert_eq!(world.refusal(&said, None), "Account JWT not signed by trusted operator");
}

#[test]
fn a_scope_gives_rights_and_limits() {
    let signer = KeyPair::new_account();
    let mut scope = UserScope::new(signer.public_key());
    scope.template.permissions.subscribe.allow.push("{{name()}}.>".into());
    scope.template.bearer_token = true;
    let world = World::new(|claims| claims.nats.signing_keys.add_scope(scope));
    let mut claims = UserClaims::new(KeyPair::new_user().public_key());
    claims.envelope.name = "ann".into();
    claims.nats.issuer_account = world.account.public_key();
    let said = ConnectOptions { jwt: signed(claims, &signer), ..ConnectOptions::default() };
    let grant = world.grant(&said);
    let subscribe = grant.permissions.unwrap().described().subscribe.clone().unwrap();
    assert_eq!(subscribe.allow, Some(vec!["ann.>".to_owned()]));
    let user = grant.claimed.unwrap();
    assert_eq!((user.is_bearer, user.signing_key.as_deref()), (true, Some(&*signer.public_key())));
}

#[test]
fn the_name_of_a_user_that_says_one_is_kept() {
    let world = World::new(|_| ());
    let said = ConnectOptions { user: "bob".into(), ..shown(world.user(|_| ())) };
    assert_eq!(world.grant(&said).identity, Identity::User("bob".into()));
}
