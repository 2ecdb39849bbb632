//! Who is let in, with what, and what comes of it: official clients, raw sockets, and those who mean no good.

use std::io::Write;

use async_nats::{ConnectErrorKind, ConnectOptions};
use natsx::server::base::base64::Base64;
use nkeys::KeyPair;

use crate::harness::python::script;
use crate::harness::trial::trials;
use crate::harness::{Nats, Raw, Server, Start, block_on};

trials! { Nothing => [
    the_rust_client_logs_in_with_a_password,
    the_rust_client_logs_in_with_a_token,
    the_rust_client_logs_in_with_an_nkey,
    user_password_and_token_come_from_flags,
    a_nonce_is_signed_in_either_spelling_and_only_once,
    the_holder_of_a_key_is_called_by_it,
    a_proxy_vouches_until_a_reload_distrusts_it,
    users_without_a_password_are_bound_to_kinds_of_connections,
    a_token_is_asked_for_anew_after_a_reload,
    a_key_that_a_reload_takes_away_is_let_go,
    huge_credentials_harm_nobody,
    secrets_are_in_no_log,
], Natsx => [
    a_thousand_hashed_logins_hold_up_nobody,
], Python => [
    the_python_client_logs_in_with_a_password_and_a_token,
] }

/// Of the word `hush`, at a cost that lets a login take a while.
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuuX5pcYeCKyx94x6lfAOkk2ZAPSYbhT7u";

async fn is_refused(options: ConnectOptions, server: &Server) {
    let error = options.connect(server.url()).await.unwrap_err();
    assert!(
        matches!(error.kind(), ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation),
        "{error:?}"
    );
}

/// A CONNECT that says this beside the usual.
fn connect(more: &str) -> String {
    format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1,{more}}}\r\n")
}

/// Sends it, and what the server says before the PONG, or before it closes.
#[track_caller]
fn log_in(raw: &mut Raw, more: &str) -> Vec<String> {
    raw.send(connect(more));
    // The server may have closed already; then its words say why.
    let _ = raw.try_send("PING\r\n");
    let mut said = Vec::new();
    while let Some(line) = raw.try_line() {
        if line == "PONG" {
            break;
        }
        said.push(line);
    }
    said
}

const VIOLATION: &str = "-ERR 'Authorization Violation'";

fn the_rust_client_logs_in_with_a_password() {
    let config = format!(
        "accounts {{ A {{ users: [{{ user: ann, password: secret }}, {{ user: bob, password: \"{HASH}\" }}] }} }}"
    );
    let server = Server::start(&config);
    block_on(async {
        for (user, password) in [("ann", "secret"), ("bob", "hush")] {
            let options = ConnectOptions::with_user_and_password(user.into(), password.into());
            Nats::connect_with(options, &[&server]).await.flush().await;
        }
        for (user, password) in [("ann", "hush"), ("bob", HASH), ("eve", "secret")] {
            is_refused(ConnectOptions::with_user_and_password(user.into(), password.into()), &server).await;
        }
        is_refused(ConnectOptions::new(), &server).await;
    });
}

fn the_rust_client_logs_in_with_a_token() {
    let server = Server::start("authorization { token: secret }");
    block_on(async {
        Nats::connect_with(ConnectOptions::with_token("secret".into()), &[&server]).await.flush().await;
        is_refused(ConnectOptions::with_token("other".into()), &server).await;
        is_refused(ConnectOptions::with_user_and_password("secret".into(), "secret".into()), &server).await;
    });
}

fn the_rust_client_logs_in_with_an_nkey() {
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let server = Server::start(&format!("authorization {{ users: [{{ nkey: {} }}] }}", known.public_key()));
    block_on(async {
        let options = |pair: &KeyPair| ConnectOptions::with_nkey(pair.seed().unwrap());
        Nats::connect_with(options(&known), &[&server]).await.flush().await;
        is_refused(options(&unknown), &server).await;
    });
}

fn the_python_client_logs_in_with_a_password_and_a_token() {
    let users = Server::start(&format!("authorization {{ users: [{{ user: bob, password: \"{HASH}\" }}] }}"));
    let token = Server::start("authorization { token: secret }");
    let (known, unknown) = (KeyPair::new_user(), KeyPair::new_user());
    let dir = tempfile::tempdir().unwrap();
    for (name, pair) in [("known.nk", &known), ("unknown.nk", &unknown)] {
        std::fs::write(dir.path().join(name), pair.seed().unwrap()).unwrap();
    }
    let config = format!("authorization {{ users: [{{ nkey: {} }}] }}", known.public_key());
    let nkey = Start::config(&config).dir(dir).start();
    script("credentials", &[&users, &token, &nkey]);
}

fn user_password_and_token_come_from_flags() {
    let users = Start::config("").args(&["--user", "ann", "--pass", "secret"]).start();
    assert_eq!(log_in(&mut Raw::greeted(&users), r#""user":"ann","pass":"secret""#), [""; 0]);
    assert_eq!(log_in(&mut Raw::greeted(&users), r#""user":"ann","pass":"other""#), [VIOLATION]);
    let token = Start::config("").args(&["--auth", "secret"]).start();
    assert_eq!(log_in(&mut Raw::greeted(&token), r#""auth_token":"secret""#), [""; 0]);
    assert_eq!(log_in(&mut Raw::greeted(&token), r#""auth_token":"other""#), [VIOLATION]);
}

/// The part of CONNECT that proves that `pair` was given this connection's nonce.
fn proof(raw: &Raw, pair: &KeyPair, spelling: Base64) -> String {
    let nonce = raw.info_field("nonce").expect("a nonce");
    let signature = pair.sign(nonce.as_str().unwrap().as_bytes()).unwrap();
    format!(r#""nkey":"{}","sig":"{}""#, pair.public_key(), spelling.encode(&signature))
}

fn a_nonce_is_signed_in_either_spelling_and_only_once() {
    let pair = KeyPair::new_user();
    let server = Server::start(&format!("authorization {{ users: [{{ nkey: {} }}] }}", pair.public_key()));
    let mut old = String::new();
    for spelling in [Base64::Url, Base64::Standard] {
        let mut raw = Raw::greeted(&server);
        assert_eq!(raw.info_field("nonce").unwrap().as_str().unwrap().len(), 15);
        old = proof(&raw, &pair, spelling);
        assert_eq!(log_in(&mut raw, &old), [""; 0], "{spelling:?}");
    }
    assert_eq!(log_in(&mut Raw::greeted(&server), &old), [VIOLATION]);
}

fn the_holder_of_a_key_is_called_by_it() {
    let pair = KeyPair::new_user();
    let key = pair.public_key();
    let server =
        Start::config(&format!("accounts {{ A {{ users: [{{ nkey: {key} }}] }} }}")).args(&["-D"]).start();
    let mut raw = Raw::greeted(&server);
    let proof = proof(&raw, &pair, Base64::Url);
    assert_eq!(log_in(&mut raw, &proof), [""; 0]);
    drop(raw);
    server.wait_log(&format!(" - \"A/nkey:{key}\" - Client connection closed"));
}

fn a_proxy_vouches_until_a_reload_distrusts_it() {
    let [first, second] = [KeyPair::new_account(), KeyPair::new_account()];
    let users = "authorization { users: [{ user: far, password: p, proxy_required: true }, { user: near, password: p }] }";
    let trusting = |proxies: &[&KeyPair]| {
        let keys: Vec<String> =
            proxies.iter().map(|proxy| format!("{{ key: {} }}", proxy.public_key())).collect();
        format!("{users}\nproxies {{ trusted: [{}] }}", keys.join(", "))
    };
    let server = Server::start(&trusting(&[&first, &second]));
    let come = |user: &str, proxy: &KeyPair| {
        let mut raw = Raw::greeted(&server);
        let nonce = raw.info_field("nonce").expect("a nonce");
        let signature = Base64::Url.encode(&proxy.sign(nonce.as_str().unwrap().as_bytes()).unwrap());
        let said = log_in(&mut raw, &format!(r#""user":"{user}","pass":"p","proxy_sig":"{signature}""#));
        assert_eq!(said, [""; 0], "{user}");
        raw
    };
    let (mut far, mut near) = (come("far", &first), come("near", &first));
    let mut other = come("far", &second);
    server.reload(&trusting(&[&second]));
    assert_eq!(far.closed(), [VIOLATION]);
    assert_eq!(near.closed(), [VIOLATION]);
    assert_eq!(other.sync(), [""; 0]);
}

fn a_key_that_a_reload_takes_away_is_let_go() {
    let [stays, goes, comes] = [(); 3].map(|()| KeyPair::new_user());
    let config = |keys: &[&KeyPair]| {
        let users: Vec<String> = keys.iter().map(|key| format!("{{ nkey: {} }}", key.public_key())).collect();
        format!("authorization {{ users: [{}] }}", users.join(", "))
    };
    let server = Server::start(&config(&[&stays, &goes]));
    let [mut staying, mut going] = [&stays, &goes].map(|pair| {
        let mut raw = Raw::greeted(&server);
        let proof = proof(&raw, pair, Base64::Url);
        assert_eq!(log_in(&mut raw, &proof), [""; 0]);
        raw
    });
    server.reload(&config(&[&stays, &comes]));
    server.wait_log("Reloaded: authorization nkey users");
    assert_eq!(going.closed(), [""; 0]);
    assert_eq!(staying.sync(), [""; 0]);
    let mut coming = Raw::greeted(&server);
    let proof = proof(&coming, &comes, Base64::Url);
    assert_eq!(log_in(&mut coming, &proof), [""; 0]);
}

fn users_without_a_password_are_bound_to_kinds_of_connections() {
    let server = Server::start(
        "authorization { users: [{ user: web, password: p, allowed_connection_types: [websocket] }, { user: any, password: p }] }\nno_auth_user: web",
    );
    let mut raw = Raw::greeted(&server);
    raw.send("PING\r\n");
    assert_eq!(raw.closed(), [VIOLATION]);
    assert_eq!(log_in(&mut Raw::greeted(&server), r#""name":"nobody""#), [VIOLATION]);
    assert_eq!(log_in(&mut Raw::greeted(&server), r#""user":"any","pass":"p""#), [""; 0]);
}

fn a_token_is_asked_for_anew_after_a_reload() {
    let config = |token: &str, more: &str| format!("authorization {{ token: \"{token}\" }}\n{more}");
    let server = Server::start(&config(HASH, ""));
    let mut raw = Raw::greeted(&server);
    assert_eq!(log_in(&mut raw, r#""auth_token":"hush""#), [""; 0]);
    server.reload(&config(HASH, "max_payload: 1000"));
    assert_eq!(raw.sync(), [""; 0]);
    server.reload(&config("hush", ""));
    assert_eq!(raw.sync(), [""; 0]);
    server.reload(&config("other", ""));
    assert_eq!(raw.closed(), [VIOLATION]);
}

/// What is compared with a hash waits its turn, and nobody else waits with it. (In the reference others do.)
fn a_thousand_hashed_logins_hold_up_nobody() {
    const LOGINS: usize = 1000;
    const ROUNDS: usize = 20;
    let config = format!(
        "authorization {{ timeout: 60, users: [{{ user: slow, password: \"{HASH}\" }}, {{ user: quick, password: p }}] }}"
    );
    let server = Server::start(&config);
    let mut witness = Raw::greeted(&server);
    assert_eq!(log_in(&mut witness, r#""user":"quick","pass":"p""#), [""; 0]);
    witness.send("SUB witness 1\r\n");
    let mut slow: Vec<Raw> = (0..LOGINS).map(|_| Raw::greeted(&server)).collect();
    for (at, raw) in slow.iter_mut().enumerate() {
        let password = if at % 2 == 0 { "hush" } else { "loud" };
        raw.send(connect(&format!(r#""user":"slow","pass":"{password}""#)) + "PING\r\n");
    }
    for round in 0..ROUNDS {
        let text = round.to_string();
        witness.send(format!("PUB witness {}\r\n{text}\r\n", text.len()));
        witness.expect_message("witness", &text);
        let mut newcomer = Raw::greeted(&server);
        assert_eq!(log_in(&mut newcomer, r#""user":"quick","pass":"p""#), [""; 0]);
    }
    let answered = slow.iter().filter(|raw| has_something(raw)).count();
    assert!(answered < LOGINS / 2, "{ROUNDS} rounds took as long as {answered} logins");
    for (at, raw) in slow.iter_mut().enumerate() {
        let want = if at % 2 == 0 { "PONG" } else { VIOLATION };
        assert_eq!(raw.line(), want, "{at}");
    }
}

/// Whether the server has sent something that was not read yet.
fn has_something(raw: &Raw) -> bool {
    raw.socket().set_nonblocking(true).unwrap();
    let there = raw.socket().peek(&mut [0]).is_ok();
    raw.socket().set_nonblocking(false).unwrap();
    there
}

fn huge_credentials_harm_nobody() {
    let config = format!(
        "max_control_line: 2MB\nauthorization {{ timeout: 60, users: [{{ user: slow, password: \"{HASH}\" }}, {{ user: quick, password: p }}] }}"
    );
    let server = Server::start(&config);
    let huge = "x".repeat(256 << 10);
    for more in [
        format!(r#""user":"{huge}","pass":"p""#),
        format!(r#""user":"quick","pass":"{huge}""#),
        format!(r#""user":"slow","pass":"{huge}""#),
        format!(r#""nkey":"{huge}","sig":"{huge}""#),
        format!(r#""jwt":"{huge}""#),
        format!(r#""auth_token":"{huge}""#),
        format!(r#""proxy_sig":"{huge}""#),
    ] {
        assert_eq!(log_in(&mut Raw::greeted(&server), &more), [VIOLATION]);
    }
    // In the middle of one.
    let cut = Raw::greeted(&server);
    let _ = cut.socket().write_all(format!("CONNECT {{\"user\":\"{huge}").as_bytes());
    drop(cut);
    assert_eq!(log_in(&mut Raw::greeted(&server), r#""user":"quick","pass":"p""#), [""; 0]);
}

fn secrets_are_in_no_log() {
    let pair = KeyPair::new_user();
    let config = |more: &str| {
        format!(
            "accounts {{ A {{ users: [{{ user: ann, password: hush-plain }}, {{ user: bob, password: \"{HASH}\" }}, {{ nkey: {} }}{more}] }} }}",
            pair.public_key()
        )
    };
    let server = Start::config(&config("")).args(&["-DV"]).start();
    let mut stays = Raw::greeted(&server);
    assert_eq!(log_in(&mut stays, r#""user":"ann","pass":"hush-plain""#), [""; 0]);
    assert_eq!(log_in(&mut Raw::greeted(&server), r#""user":"bob","pass":"hush""#), [""; 0]);
    let mut by_key = Raw::greeted(&server);
    let proof = proof(&by_key, &pair, Base64::Url);
    assert_eq!(log_in(&mut by_key, &proof), [""; 0]);
    let signature = proof.rsplit('"').nth(1).unwrap();
    for wrong in [
        r#""user":"ann","pass":"hush-wrong""#,
        r#""user":"nobody","pass":"hush-nobody""#,
        r#""auth_token":"hush-token""#,
        r#""pass":"hush-alone""#,
        r#""user":"ann","pass":"hush-proxied","proxy_sig":"hush-proxy""#,
    ] {
        log_in(&mut Raw::greeted(&server), wrong);
    }
    server.reload(&config(", { user: eve, password: hush-new }"));
    assert_eq!(stays.sync(), [""; 0]);
    for line in server.log() {
        for secret in ["hush-", HASH, signature] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}
