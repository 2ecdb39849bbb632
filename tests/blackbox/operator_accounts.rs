//! Operator mode: what accounts share by their claims, and what changed claims do while clients are connected.
//! Every conversation is played with the reference too, and must go the same way.

use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::harness::operator::{Creds, Operator, no_limits, sign, user};
use crate::harness::trial::trials;
use crate::harness::{Raw, Server};
use crate::operator_mode::{Connect, MEMORY, VIOLATION, check, log_in, scoped, signed, user_with, with};

trials! { Reference => [
    imports_lead_to_what_other_accounts_export,
    exports_that_ask_for_it_need_an_activation,
    changed_claims_close_who_may_not_be_there_any_more,
    changed_claims_change_limits_and_rights_of_who_stays,
    changed_claims_change_imports_and_mappings,
    exporters_may_come_later,
    a_service_of_an_account_decides_about_its_users,
    the_same_claims_change_nothing,
    a_system_account_may_come_later,
    accounts_of_each_operator_are_trusted,
] }

/// Seconds of the epoch, long past.
const PAST: i64 = 1_000;

/// What came for a subscription, as `subject payload`.
fn messages(raw: &mut Raw, count: usize) -> Vec<String> {
    let mut all: Vec<String> = (0..count)
        .map(|_| raw.message())
        .map(|message| format!("{} {}", message.subject, message.text()))
        .collect();
    all.sort();
    all
}

fn imports_lead_to_what_other_accounts_export() {
    let operator = Operator::new();
    let [exporter, importer] = [(); 2].map(|()| KeyPair::new_account());
    let key = exporter.public_key();
    let own = importer.public_key();
    let exports = json!([
        { "subject": "public.>", "type": "stream" },
        { "subject": "for.*.x", "type": "stream", "account_token_position": 2 },
        { "subject": "ask.*", "type": "service" },
    ]);
    let imports = json!([
        { "subject": "public.a", "account": key, "type": "stream" },
        { "subject": "public.b", "account": key, "type": "stream", "to": "prefix" },
        { "subject": "public.c.*", "account": key, "type": "stream", "local_subject": "local.$1.c" },
        { "subject": format!("for.{own}.x"), "account": key, "type": "stream" },
        { "subject": "for.other.x", "account": key, "type": "stream" },
        { "subject": "ask.*", "account": key, "type": "service", "local_subject": "local.ask.$1" },
        { "subject": "hidden", "account": key, "type": "stream" },
    ]);
    let tokens = [
        operator.account(&exporter, "E", 1, json!({ "exports": exports })),
        operator.account(&importer, "I", 1, json!({ "imports": imports })),
    ];
    let config = operator.config(MEMORY, &[(&exporter, &tokens[0]), (&importer, &tokens[1])]);
    let (publisher, reader) = (user(&exporter, json!({})), user(&importer, json!({})));
    let mut want = vec![
        format!("for.{own}.x 4"),
        "local.z.c 3".to_owned(),
        "prefix.public.b 2".to_owned(),
        "public.a 1".to_owned(),
    ];
    want.extend(["ask.me please".to_owned(), "r answer".to_owned()]);
    check(&config, &want, |server| {
        let mut reader = reader.log_in(server);
        reader.send("SUB > 1\r\n");
        reader.expect_silence();
        let mut publisher = publisher.log_in(server);
        for (subject, payload) in [
            ("public.a", 1),
            ("public.b", 2),
            ("public.c.z", 3),
            (&*format!("for.{own}.x"), 4),
            ("for.other.x", 5),
            ("hidden", 6),
        ] {
            publisher.send(format!("PUB {subject} 1\r\n{payload}\r\n"));
        }
        publisher.expect_silence();
        let mut got = messages(&mut reader, 4);
        reader.send("UNSUB 1\r\nSUB r 2\r\n");
        publisher.send("SUB ask.* 1\r\n");
        publisher.expect_silence();
        reader.expect_silence();
        reader.send("PUB local.ask.me r 6\r\nplease\r\n");
        let request = publisher.message();
        got.push(format!("{} {}", request.subject, request.text()));
        publisher.send(format!("PUB {} 6\r\nanswer\r\n", request.reply.expect("a reply subject")));
        got.extend(messages(&mut reader, 1));
        got
    });
}

/// An activation of `exporter` for `importer`.
fn activation(
    signer: &KeyPair,
    exporter: &KeyPair,
    importer: &KeyPair,
    subject: &str,
    more: Value,
) -> String {
    let mut body = json!({ "type": "activation", "version": 2, "subject": subject, "kind": "stream" });
    if signer.public_key() != exporter.public_key() {
        body["issuer_account"] = exporter.public_key().into();
    }
    sign(signer, &importer.public_key(), 5, more, body)
}

fn exports_that_ask_for_it_need_an_activation() {
    let operator = Operator::new();
    let [exporter, signer, stranger] = [(); 3].map(|()| KeyPair::new_account());
    // Importers with each kind of activation; only the first two and the last are let have it.
    let importers: Vec<KeyPair> = (0..7).map(|_| KeyPair::new_account()).collect();
    let [own, by_signer, none, foreign, over, revoked, still] = &importers[..] else { unreachable!() };
    let export = json!({
        "subject": "secret.>", "type": "stream", "token_req": true,
        "revocations": { revoked.public_key(): 5, still.public_key(): 4 },
    });
    let nats = json!({ "exports": [export], "signing_keys": [signer.public_key()] });
    let exporter_token = operator.account(&exporter, "E", 1, nats);
    let activations = [
        activation(&exporter, &exporter, own, "secret.>", json!({})),
        activation(&signer, &exporter, by_signer, "secret.*", json!({})),
        String::new(),
        activation(&stranger, &exporter, foreign, "secret.>", json!({})),
        activation(&exporter, &exporter, over, "secret.>", json!({ "exp": PAST })),
        activation(&exporter, &exporter, revoked, "secret.>", json!({})),
        activation(&exporter, &exporter, still, "secret.>", json!({})),
    ];
    let _ = none;
    let tokens: Vec<String> = importers
        .iter()
        .zip(&activations)
        .map(|(importer, token)| {
            let mut import =
                json!({ "subject": "secret.a", "account": exporter.public_key(), "type": "stream" });
            if !token.is_empty() {
                import["token"] = token.as_str().into();
            }
            operator.account(importer, "I", 1, json!({ "imports": [import] }))
        })
        .collect();
    let mut accounts = vec![(&exporter, exporter_token.as_str())];
    accounts.extend(importers.iter().zip(&tokens).map(|(key, token)| (key, token.as_str())));
    let users: Vec<Creds> = importers.iter().map(|importer| user(importer, json!({}))).collect();
    let publisher = user(&exporter, json!({}));
    check(
        &operator.config(MEMORY, &accounts),
        &vec![true, true, false, false, false, false, true],
        |server| {
            let mut readers: Vec<Raw> = users.iter().map(|creds| creds.log_in(server)).collect();
            for reader in &mut readers {
                reader.send("SUB secret.a 1\r\nSUB end 2\r\n");
                reader.expect_silence();
            }
            let mut publisher = publisher.log_in(server);
            publisher.send("PUB secret.a 1\r\nx\r\n");
            publisher.expect_silence();
            readers
                .iter_mut()
                .map(|reader| {
                    reader.send("PUB end 0\r\n\r\n");
                    reader.message().subject == "secret.a"
                })
                .collect()
        },
    );
}

/// Sends new claims of an account to the server.
#[track_caller]
fn update(asker: &mut Raw, account: &KeyPair, token: &str) {
    let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", account.public_key());
    asker.send(format!("PUB {subject} answers {}\r\n{token}\r\n", token.len()));
    let answer = asker.message();
    assert!(answer.text().contains("\"code\":200"), "{}", answer.text());
}

fn asker(operator: &Operator, server: &Server) -> Raw {
    let mut raw = operator.system_user().log_in(server);
    raw.send("SUB answers 1\r\n");
    raw.sync();
    raw
}

fn changed_claims_close_who_may_not_be_there_any_more() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let [kept, removed, altered] = [(); 3].map(|()| KeyPair::new_account());
    let scope = |subject: &str| {
        json!({
            "kind": "user_scope", "key": altered.public_key(), "role": "", "description": "",
            "template": { "pub": { "allow": [subject] }, "subs": -1, "data": -1, "payload": -1 },
        })
    };
    let keys = |all: Vec<Value>| json!({ "signing_keys": all });
    let (kept_key, removed_key) = (json!(kept.public_key()), json!(removed.public_key()));
    let before = keys(vec![kept_key.clone(), removed_key, scope("a")]);
    let issued = json!({ "issuer_account": account.public_key() });
    let users = [
        user_with(&account, 1, json!({}), json!({})),
        user_with(&account, 1, json!({}), json!({})),
        user_with(&account, 1, json!({}), json!({ "bearer_token": true })),
        user_with(&kept, 1, json!({}), issued.clone()),
        user_with(&removed, 1, json!({}), issued),
        scoped(&account, &altered, "s", &[]),
    ];
    let revoked = users[1].0.public_key();
    let connects: Vec<Connect> = users.into_iter().map(|(key, jwt)| signed(jwt, key)).collect();
    let mut after = keys(vec![kept_key, scope("b")]);
    after["revocations"] = json!({ revoked: 1 });
    after["limits"] = with(no_limits(), "disallow_bearer", json!(true));
    let tokens = [operator.account(&account, "A", 1, before), operator.account(&account, "A", 2, after)];
    let one = |line: &str| Some(vec![line.to_owned()]);
    let want = vec![
        None,
        one("-ERR 'User Authentication Revoked'"),
        one(VIOLATION),
        None,
        Some(vec![]),
        Some(vec![]),
    ];
    check(&operator.config(MEMORY, &[(&account, &tokens[0])]), &want, |server| {
        let mut clients: Vec<Raw> = connects.iter().map(|connect| log_in(server, connect)).collect();
        update(&mut asker(&operator, server), &account, &tokens[1]);
        let stays = |at: usize| at == 0 || at == 3;
        let outcome = |(at, client): (usize, &mut Raw)| {
            if stays(at) {
                client.expect_silence();
                return None;
            }
            Some(client.closed())
        };
        let outcomes = clients.iter_mut().enumerate().map(outcome).collect();
        server.wait_log("Client connection closed: Credentials Revoked");
        outcomes
    });
}

fn changed_claims_change_limits_and_rights_of_who_stays() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let mut limits = no_limits();
    (limits["conn"], limits["payload"]) = (json!(2), json!(4));
    let rights = json!({ "pub": { "deny": ["p"] }, "sub": { "deny": ["s"] } });
    let after = json!({ "limits": limits, "default_permissions": rights });
    let tokens = [operator.account(&account, "A", 1, json!({})), operator.account(&account, "A", 2, after)];
    let creds = user(&account, json!({}));
    let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let want = vec![
        lines(&["-ERR 'maximum account active connections exceeded'"]),
        lines(&[
            "-ERR 'Permissions Violation for Subscription to \"s\" (sid \"1\")'",
            "-ERR 'Permissions Violation for Publish to \"p\"'",
        ]),
        lines(&["-ERR 'Maximum Payload Violation'"]),
    ];
    check(&operator.config(MEMORY, &[(&account, &tokens[0])]), &want, |server| {
        let [mut first, mut second, mut third] = [(); 3].map(|()| creds.log_in(server));
        first.send("SUB s 1\r\nSUB t 2\r\n");
        first.expect_silence();
        update(&mut asker(&operator, server), &account, &tokens[1]);
        let mut all = vec![third.closed()];
        let mut news = vec![first.line()];
        first.send("PUB p 0\r\n\r\n");
        news.extend(first.sync());
        all.push(news);
        second.send("PUB a 5\r\n12345\r\n");
        all.push(second.closed());
        all
    });
}

fn changed_claims_change_imports_and_mappings() {
    let operator = Operator::new();
    let [exporter, importer] = [(); 2].map(|()| KeyPair::new_account());
    let key = exporter.public_key();
    let exports = json!({ "exports": [{ "subject": "e.>", "type": "stream" }] });
    let exporting = operator.account(&exporter, "E", 1, exports);
    let nothing = operator.account(&exporter, "E", 2, json!({}));
    let import = json!([{ "subject": "e.a", "account": key, "type": "stream" }]);
    let mapping = json!({ "m": [{ "subject": "n" }] });
    let plain = operator.account(&importer, "I", 1, json!({}));
    let importing = operator.account(&importer, "I", 2, json!({ "imports": import, "mappings": mapping }));
    let (publisher, reader) = (user(&exporter, json!({})), user(&importer, json!({})));
    let config = operator.config(MEMORY, &[(&exporter, &exporting), (&importer, &plain)]);
    let want = vec![vec!["m"], vec!["e.a", "n"], vec!["n"]];
    let want: Vec<Vec<String>> =
        want.into_iter().map(|all| all.into_iter().map(str::to_owned).collect()).collect();
    check(&config, &want, |server| {
        let mut asker = asker(&operator, server);
        let (mut publisher, mut reader) = (publisher.log_in(server), reader.log_in(server));
        reader.send("SUB > 1\r\n");
        reader.expect_silence();
        let mut seen = || {
            publisher.send("PUB e.a 0\r\n\r\n");
            publisher.expect_silence();
            reader.send("PUB m 0\r\n\r\nPUB end 0\r\n\r\n");
            let subjects =
                std::iter::from_fn(|| Some(reader.message().subject).filter(|subject| subject != "end"));
            subjects.collect::<Vec<_>>()
        };
        let mut all = vec![seen()];
        update(&mut asker, &importer, &importing);
        all.push(seen());
        update(&mut asker, &exporter, &nothing);
        all.push(seen());
        all
    });
}

fn exporters_may_come_later() {
    let operator = Operator::new();
    let [exporter, importer] = [(); 2].map(|()| KeyPair::new_account());
    let key = exporter.public_key();
    let import = json!([{ "subject": "e.a", "account": key, "type": "stream" }]);
    let importing = operator.account(&importer, "I", 1, json!({ "imports": import }));
    let exports = json!({ "exports": [{ "subject": "e.>", "type": "stream" }] });
    let exporting = operator.account(&exporter, "E", 1, exports);
    let (publisher, reader) = (user(&exporter, json!({})), user(&importer, json!({})));
    let resolver = "{ type: full, dir: \"$DIR/jwt\" }";
    check(&operator.config(resolver, &[(&importer, &importing)]), &"e.a".to_owned(), |server| {
        let mut reader = reader.log_in(server);
        server.wait_log(&format!("Can't locate account [{key}] for import of [e.a] stream (err="));
        reader.send("SUB e.a 1\r\n");
        reader.expect_silence();
        update(&mut asker(&operator, server), &exporter, &exporting);
        let mut publisher = publisher.log_in(server);
        publisher.send("PUB e.a 0\r\n\r\n");
        reader.message().subject
    });
}

/// Answers one question of a server: `user` makes the user's claims of its key, or there is an error.
fn answer_question(
    service: &mut Raw,
    signer: &KeyPair,
    user: impl FnOnce(&str) -> Result<String, &'static str>,
) {
    let question = service.message();
    let body = question.text().split('.').nth(1).unwrap();
    let body = natsx::server::base::base64::Base64::Url.decode(body.as_bytes()).unwrap();
    let claims: Value = serde_json::from_slice(&body).unwrap();
    let (key, server) = (&claims["nats"]["user_nkey"], &claims["nats"]["server_id"]["id"]);
    let mut nats = json!({ "type": "authorization_response", "version": 2 });
    match user(key.as_str().unwrap()) {
        Ok(jwt) => nats["jwt"] = jwt.into(),
        Err(error) => nats["error"] = error.into(),
    }
    let answer = sign(signer, key.as_str().unwrap(), 1, json!({ "aud": server }), nats);
    service.send(format!("PUB {} {}\r\n{answer}\r\n", question.reply.unwrap(), answer.len()));
}

fn a_service_of_an_account_decides_about_its_users() {
    let operator = Operator::new();
    let [own, allowed, other] = [(); 3].map(|()| KeyPair::new_account());
    let (service, service_jwt) = user_with(&own, 1, json!({}), json!({}));
    let authorization =
        json!({ "auth_users": [service.public_key()], "allowed_accounts": [allowed.public_key()] });
    let tokens = [
        operator.account(&own, "AUTH", 1, json!({ "authorization": authorization })),
        operator.account(
            &allowed,
            "B",
            1,
            json!({ "default_permissions": { "pub": { "deny": ["d"] }, "sub": {} } }),
        ),
        operator.account(&other, "C", 1, json!({})),
    ];
    let config = operator.config(MEMORY, &[(&own, &tokens[0]), (&allowed, &tokens[1]), (&other, &tokens[2])]);
    let service_in = signed(service_jwt, service);
    let (sentinel, sentinel_jwt) = user_with(&own, 1, json!({}), json!({}));
    let asked = signed(sentinel_jwt, sentinel);
    let made = |account: &KeyPair, key: &str| {
        let nats = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        Ok(sign(account, key, 1, json!({ "name": "guest" }), nats))
    };
    let want = vec![
        vec!["-ERR 'Permissions Violation for Publish to \"$SYS.REQ.USER.AUTH\"'".to_owned()],
        vec!["-ERR 'Permissions Violation for Publish to \"d\"'".to_owned()],
        vec![],
        vec![VIOLATION.to_owned()],
        vec![VIOLATION.to_owned()],
    ];
    check(&config, &want, |server| {
        let mut service = log_in(server, &service_in);
        service.send("SUB $SYS.REQ.USER.AUTH 1\r\nPUB $SYS.REQ.USER.AUTH 0\r\n\r\n");
        let mut all = vec![service.sync()];
        let mut ask = |signer: &KeyPair, account: Option<&KeyPair>| {
            let mut raw = Raw::greeted(server);
            let nonce = raw.info_field("nonce").unwrap();
            raw.send(format!("CONNECT {}\r\n", asked(nonce.as_str().unwrap())));
            answer_question(&mut service, signer, |key| match account {
                Some(account) => made(account, key),
                None => Err("no"),
            });
            raw
        };
        // An account that it may use, not in use until now, and its own.
        for account in [&allowed, &own] {
            let mut raw = ask(&own, Some(account));
            raw.send("PUB d 0\r\n\r\n");
            all.push(raw.sync());
        }
        all.push(ask(&own, Some(&other)).closed());
        all.push(ask(&own, None).closed());
        all
    });
}

fn the_same_claims_change_nothing() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({}));
    let creds = user(&account, json!({}));
    let line = format!("Requested account update for [{}], same claims detected", account.public_key());
    check(&operator.config(MEMORY, &[(&account, &token)]), &true, |server| {
        let mut client = creds.log_in(server);
        let mark = server.log_mark();
        update(&mut asker(&operator, server), &account, &token);
        server.wait_log_after(mark, &line);
        client.sync().is_empty()
    });
}

fn a_system_account_may_come_later() {
    let operator = Operator::new();
    let system = operator.system.public_key();
    let config = format!(
        "operator: {}\nsystem_account: {system}\nresolver: {{ type: full, dir: \"$DIR/jwt\" }}\n",
        operator.jwt()
    );
    let token = operator.account(&operator.system, "SYS", 1, json!({}));
    check(&config, &true, |server| {
        server.wait_log("Using bootstrapping system account");
        // Its users are let in before its claims are there: somebody has to bring them.
        let mut asker = asker(&operator, server);
        update(&mut asker, &operator.system, &token);
        server.wait_log("System account fetched and updated");
        asker.sync().is_empty()
    });
}

fn accounts_of_each_operator_are_trusted() {
    let (one, other) = (Operator::new(), Operator::new());
    let accounts = [&one, &other].map(|operator| {
        let account = KeyPair::new_account();
        let token = operator.account(&account, "A", 1, json!({}));
        (account, token)
    });
    let jwt = |operator: &Operator| {
        let nats = json!({ "type": "operator", "version": 2 });
        sign(&operator.key, &operator.key.public_key(), 1, json!({}), nats)
    };
    let preloads: String =
        accounts.iter().map(|(account, token)| format!("  {}: {token}\n", account.public_key())).collect();
    let config = format!(
        "operators: [{}, {}]\nresolver: MEMORY\nresolver_preload: {{\n{preloads}}}\n",
        jwt(&one),
        jwt(&other)
    );
    check(&config, &true, |server| {
        accounts.iter().all(|(account, _)| user(account, json!({})).log_in(server).sync().is_empty())
    });
}
