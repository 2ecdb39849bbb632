//! Operator mode: users, accounts and what they share by their claims. Every conversation is played with the
//! reference too, and must go the same way.

use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::harness::operator::{Operator, no_limits, sign, user};
use crate::harness::trial::trials;
use crate::harness::wait::eventually;
use crate::harness::{Raw, Server, Start};

trials! { Reference => [
    users_are_let_in_by_their_claims,
    users_are_refused_for_what_their_claims_say,
    users_of_accounts_that_are_none_are_refused,
    signing_keys_sign_users_and_strict_operators_need_them,
    scopes_give_rights_to_users_that_bring_none,
    rights_by_default_are_for_users_without_own_ones,
    limits_of_claims_are_kept,
    users_and_accounts_expire_while_connected,
    pinned_accounts_only_are_admitted,
    a_sentinel_stands_in_for_who_shows_no_claims,
    a_store_of_the_nats_tools_works_unchanged,
    the_log_tells_whom_a_server_trusts_and_what_is_wrong_with_accounts,
    the_log_names_accounts_as_their_claims_do,
    users_that_may_subscribe_to_nothing_are_closed,
    the_log_tells_how_accounts_come_into_use,
    trusted_keys_stand_in_for_an_operator,
    a_system_account_that_is_none_ends_a_start_before_its_log,
] }

pub(super) const MEMORY: &str = "MEMORY";
/// Seconds of the epoch, long past and far ahead.
const PAST: i64 = 1_000;
const FUTURE: i64 = 4_000_000_000;

/// Plays a conversation with both servers; both must give what is wanted.
#[track_caller]
pub(super) fn check<T: PartialEq + std::fmt::Debug>(config: &str, want: &T, play: impl Fn(&Server) -> T) {
    let config = format!("debug: true\n{config}");
    for is_reference in [true, false] {
        let start = Start::config(&config);
        let server = if is_reference { start.reference() } else { start }.start();
        let got = play(&server);
        assert_eq!(&got, want, "reference: {is_reference}\n{}", server.log().join("\n"));
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("a clock that is right").as_secs()).expect("a time of this age")
}

/// A user with more in the envelope of its claims.
pub(super) fn user_with(account: &KeyPair, issued: u64, more: Value, nats: Value) -> (KeyPair, String) {
    let key = KeyPair::new_user();
    let mut body = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    for (name, value) in nats.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let jwt = sign(account, &key.public_key(), issued, more, body);
    (key, jwt)
}

/// What a client says to this nonce.
pub(super) type Connect = Box<dyn Fn(&str) -> String>;

pub(super) fn signed(jwt: String, key: KeyPair) -> Connect {
    Box::new(move |nonce| {
        let signature = natsx::server::base::base64::Base64::Url.encode(&key.sign(nonce.as_bytes()).unwrap());
        json!({ "verbose": false, "pedantic": false, "jwt": jwt, "sig": signature }).to_string()
    })
}

fn said(options: Value) -> Connect {
    Box::new(move |_| options.to_string())
}

/// The first answer to a CONNECT and a PING.
fn answer(server: &Server, connect: &Connect) -> String {
    let mut raw = Raw::greeted(server);
    let nonce = raw.info_field("nonce").expect("operator mode gives nonces");
    raw.send(format!("CONNECT {}\r\nPING\r\n", connect(nonce.as_str().unwrap())));
    raw.line()
}

const LET_IN: &str = "PONG";
pub(super) const VIOLATION: &str = "-ERR 'Authorization Violation'";

/// Logs in with each; wants an answer, and a line of the log that contains a text.
#[track_caller]
fn check_logins(config: &str, cases: &[(&str, Connect, &str, &str)]) {
    let want: Vec<_> = cases.iter().map(|(name, _, answer, _)| format!("{name}: {answer}")).collect();
    check(config, &want, |server| {
        let mut got = Vec::new();
        for (name, connect, _, log) in cases {
            let mark = server.log_mark();
            got.push(format!("{name}: {}", answer(server, connect)));
            if !log.is_empty() {
                server.wait_log_after(mark, log);
            }
        }
        got
    });
}

fn users_are_let_in_by_their_claims() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({}));
    let of = |nats: Value| {
        let (key, jwt) = user_with(&account, 1, json!({ "name": "ann" }), nats);
        signed(jwt, key)
    };
    let bearer = user_with(&account, 1, json!({}), json!({ "bearer_token": true })).1;
    let (key, jwt) = user_with(&account, 1, json!({}), json!({}));
    let standard = Box::new(move |nonce: &str| {
        let signature = key.sign(nonce.as_bytes()).unwrap();
        let signature = natsx::server::base::base64::Base64::Standard.encode(&signature);
        json!({ "jwt": jwt, "sig": signature, "verbose": false }).to_string()
    });
    check_logins(
        &operator.config(MEMORY, &[(&account, &token)]),
        &[
            ("signed", of(json!({})), LET_IN, "has mappings false accused 0x"),
            ("bearer", said(json!({ "jwt": bearer, "verbose": false })), LET_IN, ""),
            ("standard base 64", standard, LET_IN, ""),
            ("own network", of(json!({ "src": ["10.0.0.0/8", "127.0.0.0/8"] })), LET_IN, ""),
            ("networks as a text", of(json!({ "src": "10.0.0.0/8, 127.0.0.1/32" })), LET_IN, ""),
            (
                "known type",
                of(json!({ "allowed_connection_types": ["standard", "X"] })),
                LET_IN,
                "invalid connection types [\"X\"]",
            ),
            (
                "all day",
                of(
                    json!({ "times": [{ "start": "00:00:00", "end": "12:00:00" }, { "start": "11:59:59", "end": "00:00:01" }] }),
                ),
                LET_IN,
                "",
            ),
        ],
    );
}

fn users_are_refused_for_what_their_claims_say() {
    let (operator, account, other) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let (gone, gone_jwt) = user_with(&account, 5, json!({}), json!({}));
    let revocations = json!({ gone.public_key(): 5 });
    let token = operator.account(
        &account,
        "A",
        1,
        json!({ "revocations": revocations, "limits": with(no_limits(), "disallow_bearer", json!(true)) }),
    );
    let of = |more: Value, nats: Value| {
        let (key, jwt) = user_with(&account, 1, more, nats);
        signed(jwt, key)
    };
    let unsigned = user_with(&account, 1, json!({}), json!({})).1;
    let bearer = user_with(&account, 1, json!({}), json!({ "bearer_token": true })).1;
    let foreign = {
        let (key, jwt) = user_with(&other, 1, json!({}), json!({ "issuer_account": account.public_key() }));
        signed(jwt, key)
    };
    let hours = json!({ "times": [{ "start": "00:00:00", "end": "00:00:00" }] });
    check_logins(
        &operator.config(MEMORY, &[(&account, &token)]),
        &[
            (
                "nothing",
                said(json!({ "user": "a", "pass": "b" })),
                VIOLATION,
                "Authentication requires a user JWT",
            ),
            ("no claims", said(json!({ "jwt": "a.b.c" })), VIOLATION, "Authentication requires a user JWT"),
            ("an account's", said(json!({ "jwt": token })), VIOLATION, "Authentication requires a user JWT"),
            ("no signature", said(json!({ "jwt": unsigned })), VIOLATION, "Signature missing"),
            (
                "no base 64",
                said(json!({ "jwt": unsigned, "sig": "!" })),
                VIOLATION,
                "Signature not valid base64",
            ),
            ("wrong signature", signed(unsigned, KeyPair::new_user()), VIOLATION, "Signature not verified"),
            (
                "expired",
                of(json!({ "exp": PAST }), json!({})),
                VIOLATION,
                "User JWT no longer valid: &{Issues:[claim is expired]}",
            ),
            (
                "not yet",
                of(json!({ "nbf": FUTURE }), json!({})),
                VIOLATION,
                "User JWT no longer valid: &{Issues:[claim is not yet valid]}",
            ),
            (
                "no network",
                of(json!({}), json!({ "src": ["1.2.3.4"] })),
                VIOLATION,
                "User JWT no longer valid: ",
            ),
            ("other issuer", foreign, VIOLATION, "User JWT issuer is not known"),
            ("bearer", said(json!({ "jwt": bearer })), VIOLATION, "Account does not allow bearer tokens"),
            (
                "type",
                of(json!({}), json!({ "allowed_connection_types": ["MQTT"] })),
                VIOLATION,
                "Connection type not allowed",
            ),
            (
                "no type",
                of(json!({}), json!({ "allowed_connection_types": ["a", "b"] })),
                VIOLATION,
                "invalid connection types [\"A\" \"B\"]",
            ),
            ("revoked", signed(gone_jwt, gone), VIOLATION, "User authentication revoked"),
            ("network", of(json!({}), json!({ "src": ["10.0.0.0/8"] })), VIOLATION, "Bad src Ip 127.0.0.1"),
            ("hours", of(json!({}), hours), VIOLATION, "Outside connect times"),
            (
                "proxy",
                of(json!({}), json!({ "proxy_required": true })),
                VIOLATION,
                "proxy connection required",
            ),
        ],
    );
}

/// `value` with one field more.
pub(super) fn with(mut value: Value, name: &str, field: Value) -> Value {
    value[name] = field;
    value
}

fn users_of_accounts_that_are_none_are_refused() {
    let (operator, other) = (Operator::new(), Operator::new());
    let [unknown, foreign, over, broken] = [(); 4].map(|()| KeyPair::new_account());
    let mapping = json!({ "mappings": { "a": [{ "subject": "b", "weight": 101 }] } });
    let accounts = [
        (&foreign, other.account(&foreign, "F", 1, json!({}))),
        (&over, operator.account_with(&over, 1, json!({ "exp": PAST }), json!({}))),
        (&broken, operator.account(&broken, "B", 1, mapping)),
    ];
    let accounts: Vec<_> = accounts.iter().map(|(key, token)| (*key, token.as_str())).collect();
    let of = |account: &KeyPair| {
        let (key, jwt) = user_with(account, 1, json!({}), json!({}));
        signed(jwt, key)
    };
    let invalid = "Account JWT lookup error: account validation failed";
    check_logins(
        &operator.config(MEMORY, &accounts),
        &[
            ("unknown", of(&unknown), VIOLATION, "Account JWT lookup error: account missing"),
            ("other operator's", of(&foreign), VIOLATION, invalid),
            ("expired", of(&over), VIOLATION, invalid),
            ("breaks a rule", of(&broken), VIOLATION, invalid),
        ],
    );
}

fn signing_keys_sign_users_and_strict_operators_need_them() {
    let (operator, account, signer) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({ "signing_keys": [signer.public_key()] }));
    let by = |key: &KeyPair, nats: Value| {
        let (user, jwt) = user_with(key, 1, json!({}), nats);
        signed(jwt, user)
    };
    let issued = || json!({ "issuer_account": account.public_key() });
    check_logins(
        &operator.config(MEMORY, &[(&account, &token)]),
        &[
            ("signing key", by(&signer, issued()), LET_IN, ""),
            ("account", by(&account, json!({})), LET_IN, ""),
            (
                "without account",
                by(&signer, json!({})),
                VIOLATION,
                "Account JWT lookup error: account missing",
            ),
        ],
    );
    // A strict operator: only its signing key makes accounts, and only theirs make users.
    let key = KeyPair::new_operator();
    let nats = json!({
        "type": "operator", "version": 2, "strict_signing_key_usage": true, "signing_keys": [key.public_key()],
    });
    let jwt = sign(&operator.key, &operator.key.public_key(), 1, json!({}), nats);
    let body = json!({ "type": "account", "version": 2, "limits": no_limits(), "signing_keys": [signer.public_key()] });
    let token = sign(&key, &account.public_key(), 1, json!({}), body);
    let lax = KeyPair::new_account();
    let lax_token = operator.account(&lax, "L", 1, json!({}));
    let config = format!(
        "operator: {jwt}\nresolver: MEMORY\nresolver_preload: {{\n{}: {token}\n{}: {lax_token}\n}}\n",
        account.public_key(),
        lax.public_key()
    );
    check_logins(
        &config,
        &[
            ("signing key", by(&signer, issued()), LET_IN, ""),
            ("account", by(&account, json!({})), VIOLATION, "User JWT issuer is not known"),
            (
                "identity",
                by(&lax, json!({})),
                VIOLATION,
                "Account JWT lookup error: account validation failed",
            ),
        ],
    );
}

/// Claims of a user without rights and limits.
pub(super) fn scoped(account: &KeyPair, signer: &KeyPair, name: &str, tags: &[&str]) -> (KeyPair, String) {
    let key = KeyPair::new_user();
    let body = json!({
        "type": "user", "version": 2, "issuer_account": account.public_key(), "tags": tags,
    });
    let jwt = sign(signer, &key.public_key(), 1, json!({ "name": name }), body);
    (key, jwt)
}

pub(super) fn log_in(server: &Server, connect: &Connect) -> Raw {
    let mut raw = Raw::greeted(server);
    let nonce = raw.info_field("nonce").expect("operator mode gives nonces");
    raw.send(format!("CONNECT {}\r\n", connect(nonce.as_str().unwrap())));
    raw.sync();
    raw
}

fn scopes_give_rights_to_users_that_bring_none() {
    let (operator, account, signer) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let scope = json!({
        "kind": "user_scope", "key": signer.public_key(), "role": "r", "description": "",
        "template": {
            "pub": { "allow": ["{{name()}}.>", "team.{{tag(team)}}", "acc.{{account-name()}}", "nobody.{{tag(none)}}"] },
            "sub": { "allow": ["{{subject()}}.>"] },
            "subs": 2, "data": -1, "payload": 5,
        },
    });
    let token = operator.account(&account, "A", 1, json!({ "signing_keys": [scope] }));
    let (key, jwt) = scoped(&account, &signer, "ann", &["team:red", "team:blue"]);
    let ann = key.public_key();
    let ann_in = signed(jwt, key);
    let denied = |subject: &str| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'");
    let mut want: Vec<String> =
        ["bob.a", "team.green", "nobody.x"].iter().map(|subject| denied(subject)).collect();
    want.push("-ERR 'Permissions Violation for Subscription to \"other\"'".into());
    want.push("-ERR 'maximum subscriptions exceeded'".into());
    want.push("-ERR 'Maximum Payload Violation'".into());
    check(&operator.config(MEMORY, &[(&account, &token)]), &want, |server| {
        let mut raw = log_in(server, &ann_in);
        for subject in ["ann.x", "team.red", "team.blue", "acc.A", "bob.a", "team.green", "nobody.x"] {
            raw.send(format!("PUB {subject} 0\r\n\r\n"));
        }
        raw.send(format!("SUB {ann}.a 1\r\nSUB other 2\r\nSUB {ann}.b 3\r\nSUB {ann}.c 4\r\n"));
        let mut lines = raw.sync();
        raw.send("PUB ann.x 6\r\n123456\r\n");
        lines.extend(raw.closed());
        lines
    });
    let own = {
        let (key, jwt) = user_with(&signer, 1, json!({}), json!({ "issuer_account": account.public_key() }));
        signed(jwt, key)
    };
    let bad = KeyPair::new_account();
    let denying = json!({
        "kind": "user_scope", "key": bad.public_key(), "role": "", "description": "",
        "template": { "pub": { "deny": ["x.{{tag(none)}}"] } },
    });
    let token = operator.account(&account, "A", 1, json!({ "signing_keys": [scope_of(&signer), denying] }));
    let (key, jwt) = scoped(&account, &bad, "ann", &[]);
    let reason = "User JWT is not valid: scoped users require no permissions or limits set";
    check_logins(
        &operator.config(MEMORY, &[(&account, &token)]),
        &[
            ("own limits", own, VIOLATION, reason),
            ("undefined", signed(jwt, key), VIOLATION, "User JWT generated invalid permissions"),
        ],
    );
}

fn scope_of(signer: &KeyPair) -> Value {
    json!({ "kind": "user_scope", "key": signer.public_key(), "role": "", "description": "", "template": {} })
}

fn rights_by_default_are_for_users_without_own_ones() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let defaults = json!({ "pub": { "deny": ["d"] }, "sub": {}, "resp": { "max": 1, "ttl": 0 } });
    let token = operator.account(&account, "A", 1, json!({ "default_permissions": defaults }));
    let plain = user(&account, json!({}));
    let own = user(&account, json!({ "pub": { "allow": ["d"] } }));
    let denied = |subject: &str| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'");
    check(
        &operator.config(MEMORY, &[(&account, &token)]),
        &vec![vec![denied("d"), denied("e")], vec![denied("e")]],
        |server| {
            [&plain, &own]
                .map(|creds| {
                    let mut raw = creds.log_in(server);
                    raw.send("PUB d 0\r\n\r\nPUB e 0\r\n\r\n");
                    raw.sync()
                })
                .to_vec()
        },
    );
}

/// The texts of log lines that hold one of `words`.
fn logged(server: &Server, words: &[&str]) -> Vec<String> {
    let is_wanted = |line: &&String| words.iter().any(|word| line.contains(word));
    let text = |line: &String| line.split_once(" [").map(|(_, text)| format!("[{text}")).unwrap_or_default();
    server.log().iter().filter(is_wanted).map(text).collect()
}

fn the_log_tells_whom_a_server_trusts_and_what_is_wrong_with_accounts() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account_with(&account, 1, json!({ "name": "A", "exp": PAST }), json!({}));
    let want: Vec<String> = [
        "[INF] Trusted Operators".to_owned(),
        "[INF]   System  : \"\"".to_owned(),
        "[INF]   Operator: \"O\"".to_owned(),
        "[INF]   Issued  : 1970-01-01 00:00:01 +0000 UTC".to_owned(),
        "[INF]   Expires : Never".to_owned(),
        format!("[WRN] Account [{}] has validation issues:", account.public_key()),
        "[WRN]   - claim is expired".to_owned(),
    ]
    .into();
    check(&operator.config(MEMORY, &[(&account, &token)]), &want, |server| {
        let words = [
            "Trusted",
            "  System  :",
            "  Operator:",
            "  Issued  :",
            "  Expires :",
            "validation issues",
            "   - ",
        ];
        logged(server, &words)
    });
}

fn the_log_names_accounts_as_their_claims_do() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account(&account, "Shop", 1, json!({}));
    let creds = user(&account, json!({ "pub": { "deny": ["d"] } }));
    let who = format!("\"{}/Shop/jwt:{}\"", account.public_key(), creds.public_key());
    let want = format!("{who} - Publish Violation - Subject \"d\"");
    check(&operator.config(MEMORY, &[(&account, &token)]), &Some(want), |server| {
        let mut raw = creds.log_in(server);
        raw.send("PUB d 0\r\n\r\n");
        raw.sync();
        server.wait_log("Publish Violation");
        let lines = logged(server, &["Publish Violation"]);
        lines
            .first()
            .and_then(|line| line.split_once(" - ")?.1.split_once(" - "))
            .map(|(_, text)| text.to_owned())
    });
}

fn users_that_may_subscribe_to_nothing_are_closed() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({}));
    let creds = user(&account, json!({ "subs": 0 }));
    let want = vec!["-ERR 'maximum subscriptions exceeded'".to_owned()];
    check(&operator.config(MEMORY, &[(&account, &token)]), &want, |server| {
        creds.try_connect(server).closed()
    });
}

fn the_log_tells_how_accounts_come_into_use() {
    let operator = Operator::new();
    let [exporter, importer] = [(); 2].map(|()| KeyPair::new_account());
    let (from, own) = (exporter.public_key(), importer.public_key());
    let mapping = json!({ "x": [{ "subject": "y.>" }] });
    let exports = json!([{ "subject": "a.>", "type": "stream" }, { "subject": "b", "type": "service" }]);
    let imports = json!([
        { "subject": "a.b", "account": from, "type": "stream" },
        { "subject": "c", "account": from, "type": "stream" },
    ]);
    let tokens = [
        operator.account(&exporter, "E", 1, json!({ "exports": exports, "mappings": mapping })),
        operator.account(&importer, "I", 1, json!({ "imports": imports })),
    ];
    let config = operator.config(MEMORY, &[(&exporter, &tokens[0]), (&importer, &tokens[1])]);
    let want = [
        format!("Updating account claims: {own}/I"),
        format!("Updating account claims: {from}/E"),
        format!("Error adding subject mapping \"x\" for account [{from}/E]: invalid subject"),
        format!("Adding stream export \"a.>\" for {from}/E"),
        format!("Adding service export \"b\" for {from}/E"),
        format!("Adding stream import {from}/E:\"a.b\" for {own}/I:\"\""),
        format!("Adding stream import {from}/E:\"c\" for {own}/I:\"\""),
        format!("Error adding stream import to account [{own}/I]: stream import not authorized"),
    ];
    check(&config, &want.to_vec(), |server| {
        user(&importer, json!({})).log_in(server);
        let lines = logged(server, &["Updating account claims", "Adding ", "Error adding "]);
        lines.iter().map(|line| line.split_once("] ").map_or("", |(_, text)| text).to_owned()).collect()
    });
}

fn trusted_keys_stand_in_for_an_operator() {
    let (operator, stranger) = (Operator::new(), Operator::new());
    let [known, unknown] = [(); 2].map(|()| KeyPair::new_account());
    let tokens = [operator.account(&known, "A", 1, json!({})), stranger.account(&unknown, "B", 1, json!({}))];
    let config = format!(
        "trusted_keys: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}\n{}: {} }}\n",
        operator.key.public_key(),
        known.public_key(),
        tokens[0],
        unknown.public_key(),
        tokens[1],
    );
    let creds = [&known, &unknown].map(|account| user(account, json!({})));
    check(&config, &[LET_IN, VIOLATION].map(str::to_owned), |server| {
        creds.each_ref().map(|creds| {
            let mut raw = creds.try_connect(server);
            raw.send("PING\r\n");
            raw.line()
        })
    });
}

/// The reference looks at it before it has a log.
fn a_system_account_that_is_none_ends_a_start_before_its_log() {
    let operator = Operator::new();
    let preloads = operator.config(MEMORY, &[]);
    let (head, _) = preloads.split_once("resolver_preload").unwrap();
    let other = Operator::new().account(&operator.system, "SYS", 1, json!({}));
    let stranger = format!("{head}resolver_preload {{ {}: {other} }}\n", operator.system.public_key());
    for (config, why) in [(head, "account missing"), (&stranger, "account validation failed")] {
        for is_reference in [true, false] {
            let start = Start::config(config);
            let said = if is_reference { start.reference() } else { start }.refused().unwrap();
            let want = format!(": error resolving system account: {why}");
            assert!(said.len() == 1 && said[0].ends_with(&want) && !said[0].contains("[FTL]"), "{said:?}");
        }
    }
}

fn limits_of_claims_are_kept() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let mut limits = no_limits();
    (limits["conn"], limits["payload"], limits["subs"]) = (json!(2), json!(8), json!(3));
    let token = operator.account(&account, "A", 1, json!({ "limits": limits }));
    let small = user(&account, json!({ "payload": 4, "subs": 1 }));
    let large = user(&account, json!({ "payload": 100, "subs": 100 }));
    let payload = |size: usize| format!("PUB a {size}\r\n{}\r\n", "x".repeat(size));
    let want: Vec<Vec<String>> = [
        vec!["-ERR 'maximum subscriptions exceeded'", "-ERR 'Maximum Payload Violation'"],
        vec!["-ERR 'maximum subscriptions exceeded'", "-ERR 'Maximum Payload Violation'"],
        vec!["-ERR 'maximum account active connections exceeded'"],
    ]
    .map(|lines| lines.into_iter().map(str::to_owned).collect())
    .to_vec();
    check(&operator.config(MEMORY, &[(&account, &token)]), &want, |server| {
        let mut all = Vec::new();
        for (creds, subscriptions, size) in [(&small, 1, 4), (&large, 3, 8)] {
            let mut raw = creds.log_in(server);
            for sid in 0..=subscriptions {
                raw.send(format!("SUB s.{sid} {sid}\r\n"));
            }
            raw.send(payload(size));
            let mut lines = raw.sync();
            raw.send(payload(size + 1));
            lines.extend(raw.closed());
            all.push(lines);
        }
        // The others must be gone before their places can be taken.
        let mut stay = Vec::new();
        eventually("two places", || {
            let mut raw = small.try_connect(server);
            let _ = raw.try_send("PING\r\n");
            let let_in = raw.try_line().as_deref() == Some("PONG");
            let_in.then(|| stay.push(raw));
            (stay.len() == 2).then_some(())
        });
        all.push(small.try_connect(server).closed());
        all
    });
}

fn users_and_accounts_expire_while_connected() {
    let operator = Operator::new();
    let [lasting, ending] = [(); 2].map(|()| KeyPair::new_account());
    let tokens = [&lasting, &ending].map(|account| operator.account(account, "A", 1, json!({})));
    let config = operator.config(MEMORY, &[(&lasting, &tokens[0]), (&ending, &tokens[1])]);
    let creds = user(&ending, json!({}));
    let want = ["-ERR 'User Authentication Expired'", "-ERR 'Account Authentication Expired'"];
    // The end is told of in the log with the account and the user.
    let ends = |server: &Server| {
        let mut lines = logged(server, &["Authentication Expired - Account:"]);
        lines.iter_mut().for_each(|line| *line = line.rsplit(" - ").take(2).collect::<Vec<_>>().join(" "));
        lines.sort();
        lines
    };
    let accounts: Vec<_> =
        [&lasting, &ending].map(|account| format!("Account:{}", account.public_key())).into();
    check(&config, &(want.map(|line| vec![line.to_owned()]), true), |server| {
        let mut of_account = creds.log_in(server);
        let mut asker = operator.system_user().log_in(server);
        asker.send("SUB answers 1\r\n");
        // Long enough to be let in, short enough to wait for.
        let (key, jwt) = user_with(&lasting, 1, json!({ "exp": now() + 4 }), json!({}));
        let mut of_user = log_in(server, &signed(jwt, key));
        let token = operator.account_with(&ending, 2, json!({ "exp": now() + 4 }), json!({}));
        let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", ending.public_key());
        asker.send(format!("PUB {subject} answers {}\r\n{token}\r\n", token.len()));
        let answer = asker.message();
        assert!(answer.text().contains("\"code\":200"), "{}", answer.text());
        let closed = [of_user.closed(), of_account.closed()];
        // Both of them.
        eventually("both ends in the log", || {
            (logged(server, &["Client connection closed: Authentication Expired"]).len() == 2).then_some(())
        });
        // The resolver has the preloaded claims still, and they are looked up again.
        creds.log_in(server).expect_silence();
        let lines = ends(server);
        let is_told = |account: &String| {
            lines.iter().any(|line| line.starts_with("jwt:U") && line.contains(&**account))
        };
        (closed, accounts.iter().all(is_told))
    });
}

fn pinned_accounts_only_are_admitted() {
    let operator = Operator::new();
    let [pinned, other] = [(); 2].map(|()| KeyPair::new_account());
    let tokens = [&pinned, &other].map(|account| operator.account(account, "A", 1, json!({})));
    let mut config = operator.config(MEMORY, &[(&pinned, &tokens[0]), (&other, &tokens[1])]);
    config.push_str(&format!("resolver_pinned_accounts: [{}]\n", pinned.public_key()));
    let of = |account: &KeyPair| {
        let (key, jwt) = user_with(account, 1, json!({}), json!({}));
        signed(jwt, key)
    };
    let reason = format!("Account {} not listed as operator pinned account", other.public_key());
    check_logins(
        &config,
        &[
            ("pinned", of(&pinned), LET_IN, ""),
            ("system", of(&operator.system), LET_IN, ""),
            ("other", of(&other), VIOLATION, &reason),
        ],
    );
}

fn a_sentinel_stands_in_for_who_shows_no_claims() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({}));
    let sentinel =
        user_with(&account, 1, json!({}), json!({ "bearer_token": true, "pub": { "deny": [">"] } })).1;
    let mut config = operator.config(MEMORY, &[(&account, &token)]);
    config.push_str(&format!("default_sentinel: {sentinel}\n"));
    let denied = "-ERR 'Permissions Violation for Publish to \"a\"'".to_owned();
    check(&config, &vec![vec![denied.clone()], vec![denied], vec![]], |server| {
        let say = |mut raw: Raw| {
            raw.send("PUB a 0\r\n\r\n");
            raw.sync()
        };
        let nothing = said(json!({ "verbose": false }));
        let other = said(json!({ "verbose": false, "jwt": "no claims", "user": "a", "pass": "b" }));
        let creds = user(&account, json!({}));
        vec![say(log_in(server, &nothing)), say(log_in(server, &other)), say(creds.log_in(server))]
    });
}

/// As `nsc` and its `generate config` leave them: an operator's file, preloaded accounts, files of credentials.
fn a_store_of_the_nats_tools_works_unchanged() {
    const OPERATOR: &str = include_str!("../fixtures/jwt/operator_v2.jwt");
    const ACCOUNT: &str = include_str!("../fixtures/jwt/account_v2.jwt");
    const CREDS: &str = include_str!("../fixtures/jwt/user_v2.creds");
    let account = natsx::server::jwt::AccountClaims::decode(ACCOUNT.trim()).unwrap().envelope.subject;
    for is_reference in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let decorated =
            format!("-----BEGIN NATS OPERATOR JWT-----\n{OPERATOR}------END NATS OPERATOR JWT------\n");
        std::fs::write(dir.path().join("operator.jwt"), decorated).unwrap();
        std::fs::write(dir.path().join("one.creds"), CREDS).unwrap();
        let creds = dir.path().join("one.creds");
        // A user that was made today stands beside it.
        let (operator, own) = (Operator::new(), KeyPair::new_account());
        let made = operator.config(MEMORY, &[(&own, &operator.account(&own, "A", 1, json!({})))]);
        let own_creds = dir.path().join("own.creds");
        std::fs::write(&own_creds, user(&own, json!({})).file()).unwrap();
        let config = format!(
            "operator: \"$DIR/operator.jwt\"\nresolver: MEMORY\nresolver_preload: {{ {account}: {} }}\n",
            ACCOUNT.trim()
        );
        let starts = [Start::config(&config).dir(dir), Start::config(&made)];
        let servers = starts.map(|start| if is_reference { start.reference() } else { start }.start());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (server, creds) in servers.iter().zip([creds, own_creds]) {
            runtime.block_on(async {
                let options = async_nats::ConnectOptions::with_credentials_file(creds).await.unwrap();
                let client = options.connect(server.url()).await.unwrap();
                let mut subscription = client.subscribe("a").await.unwrap();
                client.publish("a", "hi".into()).await.unwrap();
                let message = futures_util::StreamExt::next(&mut subscription).await.unwrap();
                assert_eq!(&*message.payload, b"hi", "reference: {is_reference}");
            });
        }
    }
}
