//! A service outside decides who may connect: what it is asked, what its answers do, and what becomes of
//! those that are late, wrong, or never come.

use futures_util::StreamExt as _;
use nkeys::{KeyPair, XKey};
use serde_json::{Value, json};

use natsx::server::base::base64::Base64;

use crate::harness::client::soon;
use crate::harness::operator::{self, Creds, Operator, sign};
use crate::harness::raw::Message;
use crate::harness::trial::trials;
use crate::harness::{Nats, Raw, Server, Start, block_on};

trials! {
    Nothing => [
        the_service_is_told_who_asks_for_whom,
        the_answer_says_who_a_client_is_and_what_it_may_do,
        limits_and_connection_types_of_an_answer_are_not_applied,
        questions_and_answers_are_sealed,
        users_of_the_service_are_not_asked_about_and_do_not_ask,
        users_of_the_file_are_asked_about_too,
        only_allowed_accounts_are_asked_about,
        wrong_answers_refuse_the_client_and_say_why,
        a_service_that_never_answers_refuses_everybody,
        a_client_behind_a_trusted_proxy_is_let_in_where_one_is_required,
        only_the_first_answer_counts,
        a_client_that_leaves_while_it_is_asked_about_leaves_nothing,
        an_answer_may_expire,
        a_nonce_is_told_with_its_signature,
        what_clients_prove_themselves_with_is_not_in_the_log,
        an_account_with_a_service_has_it_asked_about_its_users,
        a_service_of_an_account_answers_for_those_it_may_only,
    other_default_permissions_do_not_let_the_service_ask_itself,
    ],
    Natsx => [
        a_reload_takes_nothing_from_a_client_before_the_last_word,
    ],
}

/// A server with a callout, and its service: a connection that answers as the test says.
struct Service {
    raw: Raw,
    /// Somebody else in the service's account, who hears of refusals.
    witness: Raw,
    server: Server,
    issuer: KeyPair,
}

/// What a server asked.
struct Question {
    message: Message,
    claims: Value,
}

impl Question {
    fn of(message: Message, token: &str) -> Self {
        let body = token.split('.').nth(1).expect("a token");
        let body = Base64::Url.decode(body.as_bytes()).expect("base 64");
        Self { claims: serde_json::from_slice(&body).expect("claims"), message }
    }

    fn user(&self) -> &str {
        self.claims["nats"]["user_nkey"].as_str().expect("a key")
    }

    fn server(&self) -> &str {
        self.claims["nats"]["server_id"]["id"].as_str().expect("an id")
    }
}

impl Service {
    #[track_caller]
    fn start(more: &str) -> Self {
        Self::start_with(KeyPair::new_account(), more, "", "1")
    }

    #[track_caller]
    fn start_with(issuer: KeyPair, more: &str, users: &str, timeout: &str) -> Self {
        Self::start_beside(issuer, more, users, timeout, "")
    }

    /// `beside` stands beside all this in the file.
    #[track_caller]
    fn start_beside(issuer: KeyPair, more: &str, users: &str, timeout: &str, beside: &str) -> Self {
        let config = format!(
            r#"
            server_name: srv
            accounts {{
                AUTH: {{ users: [{{ user: svc, password: svc }}, {{ user: witness, password: w }}] }}
                A: {{ users: [{{ user: ann, password: open }}{users}] }}
                B: {{ users: [{{ user: bob, password: open }}] }}
                SYS: {{ users: [{{ user: sys, password: sys }}] }}
            }}
            system_account: SYS
            {beside}
            authorization {{
                timeout: {timeout}
                auth_callout {{ account: AUTH, auth_users: [svc, witness, sys], issuer: {}, {more} }}
            }}
            "#,
            issuer.public_key()
        );
        let server = Start::config(&config).args(&["-DV"]).start();
        let mut raw = log_in(&server, "svc", "svc");
        raw.send("SUB $SYS.REQ.USER.AUTH 1\r\n");
        raw.sync();
        let mut witness = log_in(&server, "witness", "w");
        witness.send("SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 1\r\n");
        witness.sync();
        Self { raw, witness, server, issuer }
    }

    /// The next question, as it came.
    #[track_caller]
    fn question(&mut self) -> Question {
        let message = self.raw.message();
        assert_eq!((message.subject.as_str(), &*message.headers), ("$SYS.REQ.USER.AUTH", &b""[..]));
        let token = message.text().to_owned();
        Question::of(message, &token)
    }

    fn answer(&mut self, question: &Question, body: impl AsRef<[u8]>) {
        let reply = question.message.reply.as_deref().expect("a reply");
        self.raw.send(
            [format!("PUB {reply} {}\r\n", body.as_ref().len()).as_bytes(), body.as_ref(), b"\r\n"].concat(),
        );
    }

    /// An answer that lets a user into account `A`; `nats` adds to what it may, `more` to its envelope.
    fn admission(&self, question: &Question, more: Value, nats: Value) -> String {
        let user = user(&self.issuer, question, more, nats);
        response(&self.issuer, question, json!({ "jwt": user }))
    }

    #[track_caller]
    fn admit(&mut self, question: &Question) {
        let answer = self.admission(question, json!({ "name": "guest" }), json!({}));
        self.answer(question, answer);
    }

    /// The client is refused, and the witness hears why.
    #[track_caller]
    fn refused(&mut self, mut client: Raw, reason: &str) {
        client.expect("-ERR 'Authorization Violation'");
        assert_eq!(client.closed(), Vec::<String>::new());
        let event: Value = serde_json::from_str(self.witness.message().text()).expect("an event");
        assert_eq!(event["type"], "io.nats.server.advisory.v1.client_disconnect");
        assert_eq!((&event["reason"], &event["client"]["acc"]), (&json!(reason), &json!("AUTH")));
    }
}

fn user(issuer: &KeyPair, question: &Question, more: Value, nats: Value) -> String {
    let mut body = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    body.as_object_mut().unwrap().extend(nats.as_object().unwrap().clone());
    let mut envelope = json!({ "aud": "A" });
    envelope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sign(issuer, question.user(), now(), envelope, body)
}

fn response(issuer: &KeyPair, question: &Question, nats: Value) -> String {
    let mut body = json!({ "type": "authorization_response", "version": 2 });
    body.as_object_mut().unwrap().extend(nats.as_object().unwrap().clone());
    sign(issuer, question.user(), now(), json!({ "aud": question.server() }), body)
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn connect_line(user: &str, password: &str) -> String {
    let options = json!({
        "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
        "user": user, "pass": password, "name": "nm", "lang": "rs", "version": "1.2",
    });
    format!("CONNECT {options}\r\n")
}

/// A connection that asks to be let in.
fn ask(server: &Server, user: &str, password: &str) -> Raw {
    let mut raw = Raw::greeted(server);
    raw.send(connect_line(user, password));
    raw
}

fn log_in(server: &Server, user: &str, password: &str) -> Raw {
    let mut raw = ask(server, user, password);
    raw.sync();
    raw
}

/// What a client is told of itself.
#[track_caller]
fn user_info(client: &mut Raw) -> Value {
    client.send("SUB who 99\r\nPUB $SYS.REQ.USER.INFO who 0\r\n\r\n");
    let answer: Value = serde_json::from_str(client.message().text()).expect("a document");
    client.send("UNSUB 99\r\n");
    answer["data"].clone()
}

fn the_service_is_told_who_asks_for_whom() {
    let mut service = Service::start("");
    let before = now();
    let mut client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let claims = &question.claims;
    assert_eq!(claims["aud"], "nats-authorization-request");
    assert_eq!(claims["sub"], service.issuer.public_key());
    let id = client.info_field("server_id").unwrap();
    assert_eq!(claims["iss"], id);
    let expires = claims["exp"].as_u64().unwrap();
    assert!((before + 1..=now() + 2).contains(&expires), "{expires}");
    let nats = &claims["nats"];
    assert_eq!((&nats["type"], &nats["version"]), (&json!("authorization_request"), &json!(2)));
    let version = client.info_field("version").unwrap();
    let host = client.info_field("host").unwrap();
    assert_eq!(nats["server_id"], json!({ "name": "srv", "host": host, "id": id, "version": version }));
    let number = client.info_field("client_id").unwrap();
    let told = json!({ "host": "127.0.0.1", "id": number, "user": "zed", "name": "nm", "kind": "Client", "type": "nats" });
    assert_eq!(nats["client_info"], told);
    let said =
        json!({ "user": "zed", "pass": "hush", "name": "nm", "lang": "rs", "version": "1.2", "protocol": 1 });
    assert_eq!(nats["connect_opts"], said);
    assert!(question.message.reply.as_deref().is_some_and(|reply| reply.starts_with("$SYS._INBOX.")));
    service.admit(&question);
    client.sync();
    // No two are asked about under one name.
    let other = ask(&service.server, "zed", "hush");
    assert_ne!(service.question().user(), question.user());
    drop(other);
}

fn the_answer_says_who_a_client_is_and_what_it_may_do() {
    let mut service = Service::start("");
    let mut client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let nats = json!({ "pub": { "allow": ["$SYS.REQ.>"], "deny": ["secret"] }, "sub": { "deny": ["s"] }, "resp": { "max": 3, "ttl": 1000000000 } });
    let answer = service.admission(&question, json!({ "name": "guest" }), nats);
    service.answer(&question, answer);
    client.sync();
    let who = user_info(&mut client);
    assert_eq!((&who["user"], &who["account"]), (&json!("guest"), &json!("A")));
    let permissions = json!({
        "publish": { "allow": ["$SYS.REQ.>"], "deny": ["secret"] },
        "subscribe": { "deny": ["s"] },
        "responses": { "max": 3, "ttl": 1_000_000_000 },
    });
    assert_eq!(who["permissions"], permissions);
    client.send("PUB secret 1\r\nx\r\n");
    assert_eq!(client.sync(), ["-ERR 'Permissions Violation for Publish to \"secret\"'"]);
    // Somebody whom the service does not name keeps the name that it came with, and may do everything.
    let mut nameless = ask(&service.server, "zed", "hush");
    let question = service.question();
    let answer = service.admission(&question, json!({}), json!({}));
    service.answer(&question, answer);
    nameless.sync();
    assert_eq!(user_info(&mut nameless), json!({ "user": "zed", "account": "A", "account_name": "A" }));
    // A service may put its clients into its own account: they can't pose as the server there.
    let mut own = ask(&service.server, "zed", "hush");
    let question = service.question();
    let answer = service.admission(&question, json!({ "aud": "AUTH", "name": "guest" }), json!({}));
    service.answer(&question, answer);
    own.sync();
    let permissions = json!({ "publish": { "deny": ["$SYS.REQ.USER.AUTH"] }, "subscribe": {} });
    let want =
        json!({ "user": "guest", "account": "AUTH", "account_name": "AUTH", "permissions": permissions });
    assert_eq!(user_info(&mut own), want);
}

/// As in the reference, which looks for them where a client's own claims are.
fn limits_and_connection_types_of_an_answer_are_not_applied() {
    let mut service = Service::start("");
    let mut client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let nats = json!({ "subs": 1, "payload": 10, "allowed_connection_types": ["WEBSOCKET"] });
    let answer = service.admission(&question, json!({ "name": "guest" }), nats);
    service.answer(&question, answer);
    client.sync();
    client.send("SUB a 1\r\nSUB b 2\r\nPUB c 20\r\n01234567890123456789\r\n");
    assert_eq!(client.sync(), Vec::<String>::new());
    client.sync();
    assert_eq!(client.info_field("max_payload"), Some(1_048_576.into()));
}

fn questions_and_answers_are_sealed() {
    let curve = XKey::new();
    let mut service = Service::start(&format!("xkey: {}", curve.public_key()));
    for sealed in [true, false] {
        let mut client = ask(&service.server, "zed", "hush");
        let message = service.raw.message();
        let xkey = client.info_field("xkey").unwrap().as_str().unwrap().to_owned();
        assert_eq!(message.headers, format!("NATS/1.0\r\nNats-Server-Xkey: {xkey}\r\n\r\n").as_bytes());
        assert!(message.payload.starts_with(b"xkv1"));
        let server_key = XKey::from_public_key(&xkey).unwrap();
        let token = String::from_utf8(curve.open(&message.payload, &server_key).unwrap()).unwrap();
        let question = Question::of(message, &token);
        assert_eq!(question.claims["nats"]["server_id"]["xkey"], xkey);
        let answer = service.admission(&question, json!({ "name": "guest" }), json!({}));
        let answer =
            if sealed { curve.seal(answer.as_bytes(), &server_key).unwrap() } else { answer.into_bytes() };
        service.answer(&question, answer);
        client.sync();
        assert_eq!(user_info(&mut client)["user"], "guest");
    }
    let client = ask(&service.server, "zed", "hush");
    let message = service.raw.message();
    let server_key = XKey::from_public_key(client.info_field("xkey").unwrap().as_str().unwrap()).unwrap();
    let token = String::from_utf8(curve.open(&message.payload, &server_key).unwrap()).unwrap();
    let question = Question::of(message, &token);
    let answer = service.admission(&question, json!({}), json!({}));
    let sealed = XKey::new().seal(answer.as_bytes(), &server_key).unwrap();
    service.answer(&question, sealed);
    service.server.wait_log("Error decrypting auth callout response on account \"AUTH\": ");
    drop(client);
}

fn users_of_the_service_are_not_asked_about_and_do_not_ask() {
    let mut service = Service::start("");
    let mut witness = log_in(&service.server, "witness", "w");
    witness.send("PUB $SYS.REQ.USER.AUTH 1\r\nx\r\n");
    assert_eq!(witness.sync(), ["-ERR 'Permissions Violation for Publish to \"$SYS.REQ.USER.AUTH\"'"]);
    // With a wrong password they are refused at once; their account hears of it.
    let wrong = ask(&service.server, "svc", "wrong");
    service.refused(wrong, "Authentication Failure");
    service.raw.expect_silence();
}

fn users_of_the_file_are_asked_about_too() {
    let mut service = Service::start("");
    for password in ["open", "wrong"] {
        let mut client = ask(&service.server, "ann", password);
        let question = service.question();
        assert_eq!(question.claims["nats"]["connect_opts"]["pass"], password);
        let answer = service.admission(&question, json!({ "aud": "B" }), json!({}));
        service.answer(&question, answer);
        client.sync();
        assert_eq!(user_info(&mut client), json!({ "user": "ann", "account": "B", "account_name": "B" }));
        let client = ask(&service.server, "ann", password);
        let question = service.question();
        service.answer(&question, "");
        service.refused(client, "Auth callout violation: \"no reason supplied\" on account \"AUTH\"");
    }
}

fn only_allowed_accounts_are_asked_about() {
    let mut service = Service::start("allowed_accounts: [A, AUTH]");
    let mut bob = log_in(&service.server, "bob", "open");
    assert_eq!(user_info(&mut bob)["account"], "B");
    for (user, password) in [("ann", "open"), ("nobody", "x")] {
        let mut client = ask(&service.server, user, password);
        let question = service.question();
        service.admit(&question);
        client.sync();
    }
}

fn wrong_answers_refuse_the_client_and_say_why() {
    let mut service = Service::start("");
    let issuer = service.issuer.clone();
    let other = KeyPair::new_account();
    type Answer<'a> = Box<dyn Fn(&Question) -> String + 'a>;
    let admission = |more: Value, nats: Value| -> Answer<'_> {
        let issuer = &issuer;
        Box::new(move |question| {
            response(issuer, question, json!({ "jwt": user(issuer, question, more.clone(), nats.clone()) }))
        })
    };
    let cases: Vec<(Answer<'_>, String)> = vec![
        (
            Box::new(|_| String::new()),
            "Auth callout violation: \"no reason supplied\" on account \"AUTH\"".into(),
        ),
        (Box::new(|_| "garbage".into()), "Expected 3 chunks".into()),
        (Box::new(|question| question.message.text().into()), "Not an authorization request claim".into()),
        (
            Box::new(|question| response(&issuer, question, json!({ "error": "not today" }))),
            "Auth callout service returned an error: not today".into(),
        ),
        (
            Box::new(|question| response(&issuer, question, json!({}))),
            "Authorization response had validation errors: Error or Jwt is required".into(),
        ),
        (
            Box::new(|question| {
                let body = json!({ "type": "authorization_response", "version": 2, "error": "x" });
                let subject = KeyPair::new_user().public_key();
                sign(&issuer, &subject, now(), json!({ "aud": question.server() }), body)
            }),
            "Auth callout violation: auth callout response is not for expected user".into(),
        ),
        (
            Box::new(|question| {
                let body = json!({ "type": "authorization_response", "version": 2, "error": "x" });
                let audience = KeyPair::new_server().public_key();
                sign(&issuer, question.user(), now(), json!({ "aud": audience }), body)
            }),
            "Auth callout violation: auth callout response is not for server".into(),
        ),
        (
            Box::new(|question| {
                response(&issuer, question, json!({ "jwt": user(&other, question, json!({}), json!({})) }))
            }),
            format!(
                "Wrong issuer for auth callout response on account \"AUTH\", expected \"{}\" got \"{}\"",
                issuer.public_key(),
                other.public_key()
            ),
        ),
        (
            Box::new(|question| {
                let user = user(&issuer, question, json!({}), json!({}));
                response(&other, question, json!({ "jwt": user }))
            }),
            "Auth callout signing key is unknown".into(),
        ),
        (
            Box::new(|question| {
                let user = user(&issuer, question, json!({}), json!({}));
                let nats = json!({ "jwt": user, "issuer_account": issuer.public_key() });
                response(&other, question, nats)
            }),
            "Auth callout signing key is unknown".into(),
        ),
        (
            Box::new(|question| response(&other, question, json!({ "error": "not today" }))),
            "Auth callout signing key is unknown".into(),
        ),
        (
            Box::new(|question| {
                let body = json!({ "type": "authorization_response", "version": 2, "error": "x" });
                let subject = KeyPair::new_user().public_key();
                sign(&other, &subject, now(), json!({ "aud": question.server() }), body)
            }),
            "Auth callout violation: auth callout response is not for expected user".into(),
        ),
        (
            Box::new(|question| {
                let body = json!({ "type": "authorization_response", "version": 2, "error": "x" });
                let audience = KeyPair::new_server().public_key();
                sign(&other, question.user(), now(), json!({ "aud": audience }), body)
            }),
            "Auth callout violation: auth callout response is not for server".into(),
        ),
        (
            Box::new(|question| response(&other, question, json!({}))),
            "Authorization response had validation errors: Error or Jwt is required".into(),
        ),
        (
            admission(json!({ "aud": "C" }), json!({})),
            "No valid account \"C\" for auth callout response on account \"AUTH\": account missing".into(),
        ),
        (
            admission(json!({}), json!({ "issuer_account": issuer.public_key() })),
            "Error non operator mode account \"AUTH\": attempted to use issuer_account".into(),
        ),
        (
            admission(json!({}), json!({ "allowed_connection_types": ["NEW"] })),
            "Authorized user on account \"AUTH\" using invalid connection type".into(),
        ),
        (
            admission(json!({ "exp": now() - 5 }), json!({})),
            "Error validating user JWT: claim is expired".into(),
        ),
        (admission(json!({}), json!({ "proxy_required": true })), "Proxy connection required".into()),
    ];
    for (answer, reason) in cases {
        let mark = service.server.log_mark();
        let client = ask(&service.server, "zed", "hush");
        let question = service.question();
        let answer = answer(&question);
        service.answer(&question, answer);
        service.server.wait_log_after(mark, "authentication error - User \"zed\"");
        service.server.wait_log_after(mark, &format!("[WRN] {reason}"));
        service.refused(client, &reason);
    }
}

fn a_client_behind_a_trusted_proxy_is_let_in_where_one_is_required() {
    let [proxy, other] = [(); 2].map(|()| KeyPair::new_account());
    let beside = format!("proxies {{ trusted: [{{ key: {} }}] }}", proxy.public_key());
    let far = ", { user: far, password: open, proxy_required: true }";
    let mut service = Service::start_beside(KeyPair::new_account(), "", far, "5", &beside);
    let come = |service: &Service, user: &str, proxy: Option<&KeyPair>| {
        let mut raw = Raw::greeted(&service.server);
        let nonce = raw.info_field("nonce").expect("a nonce");
        let sign =
            |proxy: &KeyPair| Base64::Url.encode(&proxy.sign(nonce.as_str().unwrap().as_bytes()).unwrap());
        let options = json!({ "verbose": false, "user": user, "pass": "open", "proxy_sig": proxy.map(sign).unwrap_or_default() });
        raw.send(format!("CONNECT {options}\r\n"));
        raw
    };
    // The file requires a proxy of one, the answer of the other.
    for (user, nats) in [("far", json!({})), ("zed", json!({ "proxy_required": true }))] {
        for (by, lets_in) in [(Some(&proxy), true), (None, false)] {
            let mut client = come(&service, user, by);
            let question = service.question();
            let answer = service.admission(&question, json!({}), nats.clone());
            service.answer(&question, answer);
            if lets_in {
                client.sync();
            } else {
                service.refused(client, "Proxy connection required");
            }
        }
    }
    // Somebody else's word is worth nothing, and nobody is asked.
    let mut stranger = come(&service, "zed", Some(&other));
    assert_eq!(stranger.closed(), ["-ERR 'Authorization Violation'"]);
    let mut last = come(&service, "last", None);
    let question = service.question();
    assert_eq!(question.claims["nats"]["connect_opts"]["user"], "last");
    service.admit(&question);
    last.sync();
}

fn a_service_that_never_answers_refuses_everybody() {
    let mut service = Service::start("");
    // Many wait at once, and for no longer than one.
    let clients: Vec<_> = (0..20).map(|_| ask(&service.server, "zed", "hush")).collect();
    let already_in = log_in(&service.server, "sys", "sys");
    for client in clients {
        service.refused(client, "");
    }
    service.server.wait_log("Authorization callout response not received in time on account \"AUTH\"");
    drop(already_in);
}

fn only_the_first_answer_counts() {
    let mut service = Service::start("");
    let mut client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let refusal = response(&service.issuer, &question, json!({ "error": "no" }));
    service.admit(&question);
    service.answer(&question, refusal);
    client.sync();
    // A late answer finds nobody.
    service.admit(&question);
    client.sync();
    let client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let refusal = response(&service.issuer, &question, json!({ "error": "no" }));
    service.answer(&question, refusal);
    service.admit(&question);
    service.refused(client, "Auth callout service returned an error: no");
}

fn a_client_that_leaves_while_it_is_asked_about_leaves_nothing() {
    let mut service = Service::start("");
    let client = ask(&service.server, "zed", "hush");
    let question = service.question();
    drop(client);
    service.admit(&question);
    service.raw.sync();
    let mut next = ask(&service.server, "zed", "hush");
    let question = service.question();
    service.admit(&question);
    next.sync();
}

fn an_answer_may_expire() {
    let mut service = Service::start("");
    let mut client = ask(&service.server, "zed", "hush");
    let question = service.question();
    let answer = service.admission(&question, json!({ "exp": now() + 2 }), json!({}));
    service.answer(&question, answer);
    client.sync();
    assert_eq!(client.closed(), ["-ERR 'User Authentication Expired'"]);
}

fn a_nonce_is_told_with_its_signature() {
    let key = KeyPair::new_user();
    let users = format!(", {{ nkey: {} }}", key.public_key());
    let mut service = Service::start_with(KeyPair::new_account(), "", &users, "1");
    let stranger = KeyPair::new_user().public_key();
    let mut client = Raw::greeted(&service.server);
    let nonce = client.info_field("nonce").unwrap();
    let options = json!({ "verbose": false, "nkey": stranger, "sig": "c2ln", "protocol": 1 });
    client.send(format!("CONNECT {options}\r\n"));
    let question = service.question();
    let nats = &question.claims["nats"];
    assert_eq!((&nats["client_info"]["nonce"], &nats["client_info"]["user"]), (&nonce, &json!(stranger)));
    assert_eq!(
        (&nats["connect_opts"]["sig"], &nats["connect_opts"]["nkey"]),
        (&json!("c2ln"), &json!(stranger))
    );
    service.admit(&question);
    client.sync();
}

fn what_clients_prove_themselves_with_is_not_in_the_log() {
    let curve = XKey::new();
    let mut service = Service::start(&format!("xkey: {}", curve.public_key()));
    let mut client = ask(&service.server, "zed", "hush-hush");
    let message = service.raw.message();
    let server_key = XKey::from_public_key(client.info_field("xkey").unwrap().as_str().unwrap()).unwrap();
    let token = String::from_utf8(curve.open(&message.payload, &server_key).unwrap()).unwrap();
    let question = Question::of(message, &token);
    service.admit(&question);
    client.sync();
    let log = service.server.log().join("\n");
    let token_body = token.split('.').nth(1).unwrap();
    assert!(log.contains("[CONNECT ") && !log.contains("hush-hush") && !log.contains(token_body), "{log}");
}

/// The reference gives a client what its own verdict says while it asks again, and so lets through what the
/// service had denied.
fn a_reload_takes_nothing_from_a_client_before_the_last_word() {
    let mut service = Service::start("");
    let deny = json!({ "sub": { "deny": ["foo.secret"] } });
    let mut ann = ask(&service.server, "ann", "open");
    let question = service.question();
    let answer = service.admission(&question, json!({}), deny.clone());
    service.answer(&question, answer);
    ann.send("SUB foo.* 1\r\n");
    ann.sync();
    let config = std::fs::read_to_string(service.server.config_path()).unwrap();
    service.server.reload(&config.replace("timeout: 1", "timeout: 1.5"));
    // It is asked about her again; meanwhile she gets what she got before, and no more.
    let again = service.question();
    let mut bob = ask(&service.server, "bob", "open");
    let other = service.question();
    service.admit(&other);
    bob.send("PUB foo.secret 1\r\nx\r\nPUB foo.open 1\r\ny\r\n");
    bob.sync();
    let answer = service.admission(&again, json!({}), deny);
    service.answer(&again, answer);
    ann.expect_message("foo.open", "y");
    ann.expect_silence();
}

/// Operator mode: an account with a service, and one that this may put users into.
struct Claimed {
    operator: Operator,
    auth: KeyPair,
    service: Creds,
    /// Whom everybody connects as who is to be asked about.
    sentinel: Creds,
    app: KeyPair,
    signer: KeyPair,
    server: Server,
}

impl Claimed {
    #[track_caller]
    fn start(allowed: &Value) -> Self {
        let (operator, auth, app, signer) =
            (Operator::new(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_account());
        let service = operator::user(&auth, json!({}));
        let deny = json!({ "deny": [">"] });
        let sentinel = operator::user(&auth, json!({ "bearer_token": true, "pub": deny, "sub": deny }));
        let user = service.public_key();
        let external = json!({ "auth_users": [user], "allowed_accounts": allowed });
        let auth_jwt = operator.account(&auth, "AUTH", 1, json!({ "authorization": external }));
        let scope = json!({
            "kind": "user_scope", "key": signer.public_key(), "role": "guest",
            "template": { "subs": -1, "data": -1, "payload": -1, "pub": { "allow": ["$SYS.REQ.>", "{{name()}}.>"] } },
        });
        let app_jwt = operator.account(&app, "APP", 1, json!({ "signing_keys": [scope] }));
        let config = operator.config("MEMORY", &[(&auth, &auth_jwt), (&app, &app_jwt)]);
        let server =
            Start::config(&format!("server_name: srv\n{config}\nauthorization {{ timeout: 1 }}")).start();
        Self { operator, auth, service, sentinel, app, signer, server }
    }

    /// The service, listening.
    #[track_caller]
    fn serve(&self) -> Raw {
        let mut raw = self.service.log_in(&self.server);
        raw.send("SUB $SYS.REQ.USER.AUTH 1\r\n");
        raw.sync();
        raw
    }

    /// A client with the sentinel's claims, and a name and password of its own.
    fn ask(&self) -> Raw {
        let mut raw = Raw::greeted(&self.server);
        let options = json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
            "jwt": self.sentinel.jwt, "user": "zed", "pass": "hush",
        });
        raw.send(format!("CONNECT {options}\r\n"));
        raw
    }

    /// A user of the other account, by its signing key, called `ann`.
    fn guest(&self, question: &Question) -> String {
        let body = json!({ "type": "user", "version": 2, "issuer_account": self.app.public_key() });
        sign(&self.signer, question.user(), now(), json!({ "name": "ann" }), body)
    }
}

#[track_caller]
fn question(service: &mut Raw) -> Question {
    let message = service.message();
    let token = message.text().to_owned();
    Question::of(message, &token)
}

fn reply(service: &mut Raw, question: &Question, answer: &str) {
    let reply = question.message.reply.as_deref().expect("a reply");
    service.send(format!("PUB {reply} {}\r\n{answer}\r\n", answer.len()));
}

fn an_account_with_a_service_has_it_asked_about_its_users() {
    let claimed = Claimed::start(&json!(["*"]));
    let mut service = claimed.serve();
    service.send("PUB $SYS.REQ.USER.AUTH 1\r\nx\r\n");
    assert_eq!(service.sync(), ["-ERR 'Permissions Violation for Publish to \"$SYS.REQ.USER.AUTH\"'"]);
    let mut client = claimed.ask();
    let asked = question(&mut service);
    assert_eq!(asked.claims["sub"], claimed.auth.public_key());
    let nats = &asked.claims["nats"];
    assert_eq!(
        (&nats["connect_opts"]["jwt"], &nats["connect_opts"]["user"], &nats["client_info"]["user"]),
        (&json!(claimed.sentinel.jwt), &json!("zed"), &json!("zed"))
    );
    let guest = claimed.guest(&asked);
    let answer = response(&claimed.auth, &asked, json!({ "jwt": guest }));
    reply(&mut service, &asked, &answer);
    client.sync();
    let permissions = json!({ "publish": { "allow": ["$SYS.REQ.>", "ann.>"] }, "subscribe": {} });
    let mut who = user_info(&mut client);
    let allowed = who["permissions"]["publish"]["allow"].as_array_mut().unwrap();
    allowed.sort_by_key(|subject| subject.to_string());
    let app = claimed.app.public_key();
    // The name in the claims that it came with stays, as in the reference.
    let want = json!({
        "user": "ann", "user_name": "u", "account": app, "account_name": "APP", "permissions": permissions,
    });
    assert_eq!(who, want);
}

fn a_service_of_an_account_answers_for_those_it_may_only() {
    let claimed = Claimed::start(&json!([]));
    let mut service = claimed.serve();
    let mut witness = claimed.operator.system_user().log_in(&claimed.server);
    witness.send("SUB $SYS.ACCOUNT.*.CONNECT 1\r\n");
    witness.sync();
    service.send("SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 2\r\n");
    let (auth, signer) = (claimed.auth.public_key(), claimed.signer.public_key());
    let not_permitted = format!(
        "Account \"{signer}\" not permitted as valid account option for auth callout for account \"{auth}\""
    );
    let cases = [
        (&claimed.auth, true, not_permitted.as_str()),
        (&claimed.signer, true, "Auth callout signing key is unknown"),
        (&claimed.auth, false, "Auth callout service returned an error: no"),
    ];
    for (answerer, admits, reason) in cases {
        let mut client = claimed.ask();
        let asked = question(&mut service);
        let nats = if admits { json!({ "jwt": claimed.guest(&asked) }) } else { json!({ "error": "no" }) };
        reply(&mut service, &asked, &response(answerer, &asked, nats));
        client.expect("-ERR 'Authorization Violation'");
        assert_eq!(client.closed(), Vec::<String>::new());
        let event: Value = serde_json::from_str(service.message().text()).expect("an event");
        assert_eq!((&event["reason"], &event["client"]["acc"]), (&json!(reason), &json!(auth)));
    }
    // Its own users it may let in.
    let mut client = claimed.ask();
    let asked = question(&mut service);
    let body = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let user = sign(&claimed.auth, asked.user(), now(), json!({ "name": "ann" }), body);
    reply(&mut service, &asked, &response(&claimed.auth, &asked, json!({ "jwt": user })));
    client.sync();
    let event: Value = serde_json::from_str(witness.message().text()).expect("an event");
    let told = &event["client"];
    assert_eq!(
        (&told["user"], &told["acc"], &told["name_tag"]),
        (&json!("ann"), &json!(auth), &json!("AUTH"))
    );
    assert_eq!((&told["issuer_key"], told.get("jwt")), (&json!(auth), None));
}

fn other_default_permissions_do_not_let_the_service_ask_itself() {
    let claimed = Claimed::start(&json!([]));
    let mut service = claimed.serve();
    service.send("SUB s 2\r\n");
    service.sync();
    let auth = claimed.auth.public_key();
    let external = json!({ "auth_users": [claimed.service.public_key()], "allowed_accounts": [] });
    let rights = json!({ "pub": { "deny": ["p"] }, "sub": { "deny": ["s"] } });
    let after = json!({ "authorization": external, "default_permissions": rights });
    let token = claimed.operator.account(&claimed.auth, "AUTH", 2, after);
    let mut asker = claimed.operator.system_user().log_in(&claimed.server);
    asker.send("SUB answers 1\r\n");
    asker.send(format!("PUB $SYS.REQ.ACCOUNT.{auth}.CLAIMS.UPDATE answers {}\r\n{token}\r\n", token.len()));
    let answer = asker.message();
    assert!(answer.text().contains("\"code\":200"), "{}", answer.text());
    assert_eq!(service.line(), "-ERR 'Permissions Violation for Subscription to \"s\" (sid \"2\")'");
    service.send("PUB p 0\r\n\r\nPUB $SYS.REQ.USER.AUTH 1\r\nx\r\n");
    let denied = |subject: &str| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'");
    assert_eq!(service.sync(), [denied("p"), denied("$SYS.REQ.USER.AUTH")]);
}

/// Plays the service that `conf/auth_callout.conf` describes.
pub(crate) fn serve_the_example(server: &Server) {
    const ISSUER_SEED: &str = "SAAJUGSAJPOW7LJ2VGT2CLS42KTSNQKVCOHAQECN5MKFSSJ7P6NLGZKYVY";
    const CURVE_SEED: &str = "SXALDS3RLVUJOXJFZMJQK44SOS7FXJSLEHRSPKH7MFAN2TM74FI55TAOXE";
    block_on(async {
        let options = |user: &str, password: &str| {
            async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        };
        let service = Nats::connect_with(options("auth", "auth"), &[server]).await;
        let mut questions = service.client.subscribe("$SYS.REQ.USER.AUTH").await.unwrap();
        service.flush().await;
        let client = service.client.clone();
        let serving = tokio::spawn(async move {
            let issuer = KeyPair::from_seed(ISSUER_SEED).unwrap();
            let curve = XKey::from_seed(CURVE_SEED).unwrap();
            while let Some(message) = questions.next().await {
                let headers = message.headers.unwrap();
                let server_key =
                    XKey::from_public_key(headers.get("Nats-Server-Xkey").unwrap().as_str()).unwrap();
                let token = String::from_utf8(curve.open(&message.payload, &server_key).unwrap()).unwrap();
                let raw = Message {
                    subject: message.subject.to_string(),
                    sid: String::new(),
                    reply: None,
                    headers: Vec::new(),
                    payload: Vec::new(),
                };
                let question = Question::of(raw, &token);
                let said = &question.claims["nats"]["connect_opts"];
                let nats = if said["pass"] == "let me in" {
                    let user =
                        user(&issuer, &question, json!({ "aud": "APP", "name": said["user"] }), json!({}));
                    json!({ "jwt": user })
                } else {
                    json!({ "error": "wrong password" })
                };
                let answer = response(&issuer, &question, nats);
                let sealed = curve.seal(answer.as_bytes(), &server_key).unwrap();
                client.publish(message.reply.unwrap(), sealed.into()).await.unwrap();
                client.flush().await.unwrap();
            }
        });
        let ann = Nats::connect_with(options("ann", "let me in"), &[server]).await;
        let who = soon("an answer", ann.client.request("$SYS.REQ.USER.INFO", "".into())).await.unwrap();
        let who: Value = serde_json::from_slice(&who.payload).unwrap();
        assert_eq!((&who["data"]["user"], &who["data"]["account"]), (&json!("ann"), &json!("APP")));
        let refused = options("ann", "please").connect(server.url()).await;
        assert!(refused.is_err());
        serving.abort();
    });
}
