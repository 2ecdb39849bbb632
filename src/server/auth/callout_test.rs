//! Answers of every kind, judged.

use nkeys::KeyPair;

use super::*;
use crate::server::jwt::fixtures::{NOW, NOW_S, signed};
use crate::server::jwt::{AccountClaims, NatsLimits, TimeRange, UserScope, decode};

/// A server that asks, and a service that answers.
struct Bench {
    keys: ServerKeys,
    issuer: KeyPair,
    service: XKey,
}

impl Bench {
    fn new() -> Self {
        Self { keys: ServerKeys::default(), issuer: KeyPair::new_account(), service: XKey::new() }
    }

    fn configured(&self, sealed: bool) -> AuthCallout {
        AuthCallout {
            issuer: self.issuer.public_key(),
            account: "AUTH".to_owned(),
            xkey: sealed.then(|| self.service.public_key()),
            ..AuthCallout::default()
        }
    }

    fn server_id(&self) -> String {
        self.keys.identity.public_key()
    }

    fn ask(&self, rules: &Rules<'_>) -> Question {
        let mut about = About { time_max: Duration::from_secs(2), ..About::default() };
        about.server.id = self.server_id();
        (about.client.nonce, about.connect.user) = ("nonce".to_owned(), "ann".to_owned());
        ask(&self.keys, rules, about, NOW).unwrap()
    }

    /// The token of a user that is let into account `A`, changed before it is signed.
    fn user(&self, question: &Question, change: impl FnOnce(&mut UserClaims)) -> String {
        let mut claims = UserClaims::new(question.user.clone());
        "A".clone_into(&mut claims.envelope.audience);
        claims.nats.rights.limits.nats = NatsLimits::NONE;
        change(&mut claims);
        signed(claims, &self.issuer)
    }

    /// The token of an answer, changed before it is signed.
    fn answer(&self, question: &Question, change: impl FnOnce(&mut AuthorizationResponseClaims)) -> String {
        let mut claims = AuthorizationResponseClaims::new(question.user.clone());
        claims.envelope.audience = self.server_id();
        change(&mut claims);
        signed(claims, &self.issuer)
    }

    fn judge(&self, question: &Question, rules: &Rules<'_>, answer: &[u8]) -> Result<Admitted, Rejection> {
        let find = |name: &str| if name == "A" { Target::Configured } else { Target::Missing };
        let circumstances = Circumstances { now: NOW, proxied: false, proxy_required: false, find: &find };
        let user = question.open(&self.keys, rules, answer, NOW)?;
        question.admit(rules, user, &circumstances, &mut Vec::new())
    }
}

/// What an answer with this user comes to in a configured callout.
#[track_caller]
fn refused_user(change: impl FnOnce(&mut UserClaims), want: &str) {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let user = bench.user(&question, change);
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let rejection = bench.judge(&question, &rules, answer.as_bytes()).unwrap_err();
    let want = want.replace("{issuer}", &bench.issuer.public_key()).replace("{user}", &question.user);
    assert_eq!(rejection.reason, want);
}

#[track_caller]
fn refused_answer(change: impl FnOnce(&mut AuthorizationResponseClaims), want: &str) {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let answer = bench.answer(&question, change);
    let rejection = bench.judge(&question, &rules, answer.as_bytes()).unwrap_err();
    assert_eq!((rejection.reason.as_str(), rejection.missing), (want, None));
}

#[test]
fn question_says_who_asks_about_whom_and_until_when() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let question = bench.ask(&Rules::configured(&callout));
    let claims = AuthorizationRequestClaims::decode(std::str::from_utf8(&question.body).unwrap()).unwrap();
    let envelope = &claims.envelope;
    assert_eq!(
        (&*envelope.audience, &*envelope.subject, &*envelope.issuer, envelope.expires),
        ("nats-authorization-request", &*callout.issuer, &*bench.server_id(), NOW_S + 2)
    );
    assert_eq!((&claims.nats.user_nkey, &*claims.nats.connect.user), (&question.user, "ann"));
    // Without a signature nobody needs the nonce.
    assert_eq!((&*claims.nats.client.nonce, &*claims.nats.server.xkey), ("", ""));
    assert!(question.header.is_empty() && claims.validate(NOW).is_empty());
}

#[test]
fn admitted_user_is_put_where_its_audience_says() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let user = bench.user(&question, |user| {
        user.envelope.expires = NOW_S + 60;
        user.nats.rights.connection_types = vec!["standard".to_owned(), "NEW".to_owned()];
    });
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let admitted = bench.judge(&question, &rules, answer.as_bytes()).unwrap();
    assert_eq!((&*admitted.account, admitted.expires), ("A", Some(NOW + Duration::from_secs(60))));
}

#[test]
fn sealed_question_is_read_by_the_service_only_and_answered_sealed_or_plainly() {
    let bench = Bench::new();
    let callout = bench.configured(true);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let curve = XKey::from_public_key(&bench.keys.curve.public_key()).unwrap();
    let want = format!("NATS/1.0\r\nNats-Server-Xkey: {}\r\n\r\n", curve.public_key());
    assert_eq!(question.header, want.as_bytes());
    let token = String::from_utf8(bench.service.open(&question.body, &curve).unwrap()).unwrap();
    assert_eq!(AuthorizationRequestClaims::decode(&token).unwrap().nats.server.xkey, curve.public_key());
    let user = bench.user(&question, |_| ());
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let sealed = bench.service.seal(answer.as_bytes(), &curve).unwrap();
    assert!(bench.judge(&question, &rules, &sealed).is_ok());
    assert!(bench.judge(&question, &rules, answer.as_bytes()).is_ok());
    let other = XKey::new().seal(answer.as_bytes(), &curve).unwrap();
    let reason = bench.judge(&question, &rules, &other).unwrap_err().reason;
    assert!(reason.starts_with("Error decrypting auth callout response on account \"AUTH\": "), "{reason}");
}

#[test]
fn answers_that_are_none_are_refused() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    for (answer, want) in [
        ("", "Auth callout violation: \"no reason supplied\" on account \"AUTH\""),
        ("garbage", "Expected 3 chunks"),
    ] {
        assert_eq!(bench.judge(&question, &rules, answer.as_bytes()).unwrap_err().reason, want);
    }
    // The question itself is no answer to it.
    assert!(bench.judge(&question, &rules, &question.body).is_err());
}

#[test]
fn answers_for_others_or_with_an_error_are_refused() {
    refused_answer(
        |claims| claims.envelope.subject = KeyPair::new_user().public_key(),
        "Authorization response had validation errors: Error or Jwt is required",
    );
    refused_answer(
        |claims| {
            claims.envelope.subject = KeyPair::new_user().public_key();
            claims.nats.error = "no".to_owned();
        },
        "Auth callout violation: auth callout response is not for expected user",
    );
    refused_answer(
        |claims| {
            claims.envelope.audience = KeyPair::new_server().public_key();
            claims.nats.error = "no".to_owned();
        },
        "Auth callout violation: auth callout response is not for server",
    );
    refused_answer(
        |claims| claims.nats.error = "not today".to_owned(),
        "Auth callout service returned an error: not today",
    );
    refused_answer(|claims| claims.nats.jwt = "eyJ".to_owned(), "Expected 3 chunks");
}

#[test]
fn users_that_were_not_asked_about_are_refused() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let other = UserClaims {
        envelope: jwt::Envelope { subject: KeyPair::new_user().public_key(), ..Default::default() },
        ..Default::default()
    };
    let other_key = other.envelope.subject.clone();
    let user = signed(other, &bench.issuer);
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let want = format!(
        "Expected authorized user of \"{}\" but got \"{other_key}\" on account \"AUTH\"",
        question.user
    );
    assert_eq!(bench.judge(&question, &rules, answer.as_bytes()).unwrap_err().reason, want);
}

#[test]
fn users_are_refused_for_what_their_claims_say() {
    refused_user(|user| user.envelope.expires = NOW_S - 1, "Error validating user JWT: claim is expired");
    refused_user(
        |user| {
            user.nats.rights.limits.times =
                vec![TimeRange { start: "01:00:00".into(), end: "02:00:00".into() }]
        },
        "Authorized user on account \"AUTH\" outside of valid connect times",
    );
    refused_user(
        |user| user.nats.rights.connection_types = vec!["NEW".to_owned()],
        "Authorized user on account \"AUTH\" using invalid connection type",
    );
    refused_user(
        |user| user.envelope.audience = "B".to_owned(),
        "No valid account \"B\" for auth callout response on account \"AUTH\": account missing",
    );
    refused_user(
        |user| user.nats.issuer_account = KeyPair::new_account().public_key(),
        "Error non operator mode account \"AUTH\": attempted to use issuer_account",
    );
}

#[test]
fn log_hears_of_times_and_unknown_connection_types() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let notes_about = |change: fn(&mut UserClaims)| {
        let user = bench.user(&question, change);
        let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
        let user = question.open(&bench.keys, &rules, answer.as_bytes(), NOW).unwrap();
        let find = |_: &str| Target::Configured;
        let circumstances = Circumstances { now: NOW, proxied: false, proxy_required: false, find: &find };
        let mut notes = Vec::new();
        let _ = question.admit(&rules, user, &circumstances, &mut notes);
        notes
    };
    let types = |user: &mut UserClaims| {
        user.nats.rights.connection_types = ["new", "STANDARD", "b"].map(str::to_owned).into();
    };
    assert_eq!(notes_about(types), [Note::Debug("invalid connection types [\"NEW\" \"B\"]".to_owned())]);
    let times = |user: &mut UserClaims| {
        user.nats.rights.limits.times = vec![TimeRange { start: "01:00:00".into(), end: "02:00:00".into() }];
    };
    assert_eq!(notes_about(times), [Note::Error("Outside connect times".to_owned())]);
}

#[test]
fn what_cannot_be_opened_is_told_in_the_words_of_the_references_library() {
    let bench = Bench::new();
    let callout = bench.configured(true);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    for (body, want) in [
        (b"short".to_vec(), "encrypted input is not valid"),
        (vec![b'x'; 28], "encrypted input is not valid"),
        (vec![b'x'; 29], "encrypted input wrong version"),
        ([b"xkv1".to_vec(), vec![b'x'; 60]].concat(), "could not decrypt input"),
    ] {
        let want = format!("Error decrypting auth callout response on account \"AUTH\": nkeys: {want}");
        assert_eq!(question.open(&bench.keys, &rules, &body, NOW).unwrap_err().reason, want);
    }
}

#[test]
fn user_of_another_issuer_is_refused() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let other = Bench { issuer: KeyPair::new_account(), ..Bench::new() };
    let user = other.user(&question, |_| ());
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let (expected, got) = (bench.issuer.public_key(), other.issuer.public_key());
    let want = format!(
        "Wrong issuer for auth callout response on account \"AUTH\", expected \"{expected}\" got \"{got}\""
    );
    assert_eq!(bench.judge(&question, &rules, answer.as_bytes()).unwrap_err().reason, want);
}

#[test]
fn proxy_that_is_missing_is_a_reason_of_its_own() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let rules = Rules::configured(&callout);
    let question = bench.ask(&rules);
    let user = bench.user(&question, |user| user.nats.rights.proxy_required = true);
    let answer = bench.answer(&question, |claims| claims.nats.jwt = user);
    let rejection = bench.judge(&question, &rules, answer.as_bytes()).unwrap_err();
    assert_eq!((&*rejection.reason, rejection.missing), ("Proxy connection required", Some(Missing::Proxy)));
    let find = |_: &str| Target::Configured;
    let circumstances = Circumstances { now: NOW, proxied: true, proxy_required: true, find: &find };
    let user = question.open(&bench.keys, &rules, answer.as_bytes(), NOW).unwrap();
    assert!(question.admit(&rules, user, &circumstances, &mut Vec::new()).is_ok());
}

/// An account that has its own service, and another one that it may speak for.
#[test]
fn service_of_an_account_speaks_for_it_and_for_those_it_is_allowed_to() {
    let bench = Bench::new();
    let (own, other, signer) = (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_account());
    let mut claims = AccountClaims::unlimited(own.public_key());
    let over = KeyPair::new_account();
    claims.nats.authorization.allowed_accounts = vec![other.public_key(), over.public_key()];
    let mut over_claims = AccountClaims::unlimited(over.public_key());
    over_claims.envelope.expires = NOW_S;
    let mut other_claims = AccountClaims::unlimited(other.public_key());
    let mut scope = UserScope::new(signer.public_key());
    scope.template.permissions.publish.allow = vec!["hello.{{name()}}".to_owned()];
    other_claims.nats.signing_keys.add_scope(scope);
    let trust = crate::server::account::Trust::default();
    let other_claims = Arc::new(Claimed::new(other_claims, "", &trust));
    let over_claims = Arc::new(Claimed::new(over_claims, "", &trust));
    let claimed = Claimed::new(claims, "", &trust);
    let rules = Rules::of_account(&claimed);
    let question = bench.ask(&rules);
    let judge = |user: String, answerer: &KeyPair| {
        let mut answer = AuthorizationResponseClaims::new(question.user.clone());
        answer.envelope.audience = bench.server_id();
        answer.nats.jwt = user;
        let find = |name: &str| {
            if name == other.public_key() {
                Target::Claimed(Arc::clone(&other_claims))
            } else if name == over.public_key() {
                Target::Claimed(Arc::clone(&over_claims))
            } else {
                Target::Missing
            }
        };
        let circumstances = Circumstances { now: NOW, proxied: false, proxy_required: false, find: &find };
        let user = question.open(&bench.keys, &rules, signed(answer, answerer).as_bytes(), NOW)?;
        question.admit(&rules, user, &circumstances, &mut Vec::new())
    };
    let scoped = |change: &dyn Fn(&mut UserClaims)| {
        let mut user = UserClaims::new(question.user.clone());
        user.envelope.name = "ann".to_owned();
        user.nats.issuer_account = other.public_key();
        change(&mut user);
        signed(user, &signer)
    };
    let admitted = judge(scoped(&|_| ()), &own).unwrap();
    assert_eq!(admitted.account, other.public_key());
    assert_eq!(admitted.user.nats.rights.permissions.publish.allow, ["hello.ann"]);
    let reason = |user: String, answerer: &KeyPair| judge(user, answerer).unwrap_err().reason;
    assert_eq!(reason(scoped(&|_| ()), &signer), "Auth callout signing key is unknown");
    let third = KeyPair::new_account();
    let user = scoped(&|user| user.nats.issuer_account = third.public_key());
    let want = format!(
        "Account \"{}\" not permitted as valid account option for auth callout for account \"{}\"",
        signer.public_key(),
        own.public_key()
    );
    assert_eq!(reason(user, &own), want);
    let expired = judge(scoped(&|user| user.nats.issuer_account = over.public_key()), &own).unwrap_err();
    assert_eq!(expired.missing, Some(Missing::Account(over.public_key())));
    assert!(expired.reason.ends_with(": account expired"), "{}", expired.reason);
    let user = scoped(&|user| user.nats.rights.bearer_token = true);
    let want = "User JWT is not valid: scoped users require no permissions or limits set";
    assert_eq!(reason(user, &own), want);
}

#[test]
fn question_shows_no_secrets() {
    let bench = Bench::new();
    let callout = bench.configured(false);
    let mut about = About::default();
    about.connect.password = "hush".to_owned();
    let shown = format!("{about:?}");
    let question = ask(&bench.keys, &Rules::configured(&callout), about, NOW).unwrap();
    assert!(!shown.contains("hush") && !format!("{question:?}").contains("eyJ"));
    assert!(decode(std::str::from_utf8(&question.body).unwrap()).is_ok());
}
