//! Resolvers: where account claims are kept and fetched, and what can be asked of them over the system
//! account.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::harness::operator::{Operator, sign, user};
use crate::harness::trial::trials;
use crate::harness::wait::eventually;
use crate::harness::{Raw, Server, Start};

trials! {
    Nothing => [
        full_keeps_an_update_in_a_file_and_answers_look_ups,
        full_refuses_wrong_updates_in_the_references_words,
        full_at_its_limit_says_so,
        full_lists_and_packs_what_it_keeps,
        full_takes_newer_claims_from_other_servers,
        full_deletes_for_the_operator_only,
        full_without_allow_delete_refuses,
        hard_delete_leaves_nothing,
        deleting_closes_the_accounts_clients,
        preloaded_accounts_are_written_once_and_do_not_replace_newer_ones,
        claims_that_were_acknowledged_survive_a_kill,
        cache_asks_other_servers_and_keeps_the_answer,
        cache_updates_only_accounts_in_use,
        cache_gives_up_the_least_used,
        cache_forgets_after_its_ttl,
        memory_updates_accounts_in_use,
        url_fetches_accounts_and_must_be_there_at_start,
        what_keeps_a_resolver_from_being_opened_is_told_before_there_is_a_log,
        operators_need_their_system_account_for_a_directory,
        resolver_tls_says_which_web_server_is_believed,
        a_fetch_ends_with_its_timeout,
        a_reload_brings_other_preloads,
        a_reload_judges_by_what_claims_have_become,
        a_reload_does_not_switch_to_another_kind_of_accounts,
        a_directory_that_is_none_is_refused,
        without_a_resolver_nobody_answers,
        a_deleted_account_is_closed_until_it_gets_claims,
        mappings_that_are_none_are_refused,
    ],
    Natsx => [
        a_reload_moves_to_another_directory,
        what_nobody_else_can_have_is_not_waited_for,
    ],
    Reference => [
        a_reload_with_claims_that_are_no_good_closes_their_account,
        a_directory_moves_between_the_servers,
    ],
}

/// A connection of the system account that asks and waits for the answer.
struct Asker(Raw);

impl Asker {
    #[track_caller]
    fn of(operator: &Operator, server: &Server) -> Self {
        let mut raw = operator.system_user().log_in(server);
        raw.send("SUB answers 1\r\n");
        raw.sync();
        Self(raw)
    }

    #[track_caller]
    fn ask(&mut self, subject: &str, body: &[u8]) -> String {
        self.send(subject, body);
        self.next()
    }

    #[track_caller]
    fn send(&mut self, subject: &str, body: &[u8]) {
        self.0.send(format!("PUB {subject} answers {}\r\n", body.len()));
        self.0.send(body);
        self.0.send("\r\n");
    }

    #[track_caller]
    fn next(&mut self) -> String {
        self.0.message().text().to_owned()
    }

    /// The answer without what the server says of itself.
    #[track_caller]
    fn ask_json(&mut self, subject: &str, body: &str) -> Value {
        let text = self.ask(subject, body.as_bytes());
        let mut answer: Value = serde_json::from_str(&text).expect("an answer in JSON");
        let server = answer.as_object_mut().and_then(|answer| answer.remove("server"));
        assert!(server.is_some_and(|server| server["id"].is_string()), "{text}");
        answer
    }

    #[track_caller]
    fn update(&mut self, token: &str) -> Value {
        self.ask_json("$SYS.REQ.CLAIMS.UPDATE", token)
    }

    /// The claims of an account; empty where there are none.
    #[track_caller]
    fn look_up(&mut self, account: &str) -> String {
        self.ask(&format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"), b"")
    }
}

fn updated(account: &KeyPair, message: &str) -> Value {
    json!({ "data": { "account": account.public_key(), "code": 200, "message": message } })
}

fn refused(account: &str, description: &str) -> Value {
    json!({ "error": { "account": account, "code": 500, "description": description } })
}

const FULL: &str = "{ type: full, dir: \"$DIR/jwt\" }";

fn start(operator: &Operator, resolver: &str, accounts: &[(&KeyPair, &str)]) -> Server {
    Server::start(&operator.config(resolver, accounts))
}

fn file(server: &Server, account: &KeyPair) -> PathBuf {
    server.dir().join("jwt").join(format!("{}.jwt", account.public_key()))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn full_keeps_an_update_in_a_file_and_answers_look_ups() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, FULL, &[]);
    server.wait_log("Managing all jwt in exclusive directory ");
    let mut asker = Asker::of(&operator, &server);
    let key = account.public_key();
    assert_eq!(asker.look_up(&key), "");
    for (issued, subject) in [
        (10, "$SYS.REQ.CLAIMS.UPDATE".to_owned()),
        (11, format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.UPDATE")),
        (12, format!("$SYS.ACCOUNT.{key}.CLAIMS.UPDATE")),
        // An update is taken however old it is.
        (5, "$SYS.REQ.CLAIMS.UPDATE".to_owned()),
    ] {
        let token = operator.account(&account, "A", issued, json!({}));
        assert_eq!(asker.ask_json(&subject, &token), updated(&account, "jwt updated"));
        assert_eq!(std::fs::read_to_string(file(&server, &account)).unwrap(), token);
        assert_eq!(asker.look_up(&key), token);
    }
    assert_eq!((mode(&server.dir().join("jwt")), mode(&file(&server, &account))), (0o700, 0o600));
    user(&account, json!({})).log_in(&server);
    // What somebody wrote by hand is what is answered.
    let by_hand = operator.account(&account, "A", 20, json!({}));
    std::fs::write(file(&server, &account), &by_hand).unwrap();
    assert_eq!(asker.look_up(&key), by_hand);
}

fn full_refuses_wrong_updates_in_the_references_words() {
    let (operator, account, other) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let server = start(&operator, FULL, &[]);
    let mut asker = Asker::of(&operator, &server);
    let failed = "jwt update resulted in error";
    assert_eq!(asker.update(""), refused("n/a", &format!("{failed} - expected 3 chunks")));
    let mut forged = operator.account(&account, "A", 1, json!({}));
    forged.truncate(forged.len() - 20);
    forged.push_str("AAAAAAAAAAAAAAAAAAAA");
    let unsigned = format!("{failed} - claim failed V2 signature verification");
    assert_eq!(asker.update(&forged), refused("n/a", &unsigned));
    let of_a_user = sign(
        &account,
        &KeyPair::new_user().public_key(),
        1,
        json!({}),
        json!({ "type": "user", "version": 2 }),
    );
    assert_eq!(asker.update(&of_a_user), refused("n/a", &format!("{failed} - not account claim")));
    let token = operator.account(&account, "A", 1, json!({}));
    let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", other.public_key());
    let mismatch = format!("{failed} - subject does not match jwt content");
    assert_eq!(asker.ask_json(&subject, &token), refused(&other.public_key(), &mismatch));
    let tiers = json!({ "limits": { "tiered_limits": { "": { "mem_storage": 1 } } } });
    let invalid = "jwt validation failed - validation errors: [Tiered JetStream Limits can not contain a blank \"\" tier name]";
    let answer = asker.update(&operator.account(&account, "A", 1, tiers));
    assert_eq!(answer, refused(&account.public_key(), invalid));
    assert!(!file(&server, &account).exists());
}

fn full_at_its_limit_says_so() {
    let (operator, a, b) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let server = start(&operator, "{ type: full, dir: \"$DIR/jwt\", limit: 2 }", &[]);
    let mut asker = Asker::of(&operator, &server);
    assert_eq!(asker.update(&operator.account(&a, "A", 1, json!({}))), updated(&a, "jwt updated"));
    let full = "jwt update resulted in error - jwt store is full";
    assert_eq!(asker.update(&operator.account(&b, "B", 1, json!({}))), refused(&b.public_key(), full));
    assert_eq!(asker.update(&operator.account(&a, "A", 2, json!({}))), updated(&a, "jwt updated"));
}

/// The sum of tokens as servers compare it.
fn sum<'t>(tokens: impl IntoIterator<Item = &'t String>) -> [u8; 32] {
    use sha2::Digest as _;
    let mut sum = [0; 32];
    for token in tokens {
        let hash = sha2::Sha256::digest(token.as_bytes());
        sum.iter_mut().zip(hash).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn full_lists_and_packs_what_it_keeps() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, FULL, &[]);
    let mut asker = Asker::of(&operator, &server);
    let token = operator.account(&account, "A", 1, json!({}));
    asker.update(&token);
    let expired = KeyPair::new_account();
    asker.update(&operator.account_with(&expired, 1, json!({ "exp": 2 }), json!({})));
    let system = operator.account(&operator.system, "SYS", 1, json!({}));
    let mut lines =
        vec![(account.public_key(), token.clone()), (operator.system.public_key(), system.clone())];
    lines.sort();
    let ids: Vec<&String> = lines.iter().map(|(key, _)| key).collect();
    let list = asker.ask("$SYS.REQ.CLAIMS.LIST", b"");
    assert!(list.starts_with(&format!("{{\"data\":{},\"server\":{{", json!(ids))), "{list}");
    asker.send("$SYS.REQ.CLAIMS.PACK", &[0; 32]);
    for (key, token) in &lines {
        assert_eq!(asker.next(), format!("{key}|{token}"));
    }
    assert_eq!(asker.next(), "");
    let expired = std::fs::read_to_string(file(&server, &expired)).unwrap();
    assert_eq!(asker.ask("$SYS.REQ.CLAIMS.PACK", &sum([&token, &system, &expired])), "");
    asker.0.expect_silence();
}

fn full_takes_newer_claims_from_other_servers() {
    let (operator, a, b) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let server = start(&operator, "{ type: full, dir: \"$DIR/jwt\", interval: \"100ms\" }", &[]);
    let mut asker = Asker::of(&operator, &server);
    let token = |account: &KeyPair, issued| operator.account(account, "A", issued, json!({}));
    asker.update(&token(&a, 10));
    // The server asks the others now and then what they have.
    asker.0.send("SUB $SYS.REQ.CLAIMS.PACK 2\r\n");
    let request = asker.0.message();
    assert_eq!(request.payload.len(), 32);
    let reply = request.reply.unwrap();
    asker.0.send("UNSUB 2\r\n");
    let send = |asker: &mut Asker, lines: &str| {
        asker.0.send(format!("PUB {reply} {}\r\n{lines}\r\n", lines.len()));
    };
    let line = |account: &KeyPair, issued| format!("{}|{}", account.public_key(), token(account, issued));
    send(&mut asker, &format!("{}\n{}", line(&a, 9), line(&b, 1)));
    eventually("claims of B", || file(&server, &b).exists().then_some(()));
    assert_eq!(std::fs::read_to_string(file(&server, &a)).unwrap(), token(&a, 10));
    send(&mut asker, &line(&a, 11));
    let newer = token(&a, 11);
    eventually("newer claims of A", || {
        (std::fs::read_to_string(file(&server, &a)).ok()? == newer).then_some(())
    });
    send(&mut asker, "nonsense");
    server.wait_log(
        "DirResolver - Merging resulted in error: line in package didn't contain 2 entries: \"nonsense\"",
    );
    send(&mut asker, "x|y");
    server
        .wait_log("DirResolver - Merging resulted in error: key to merge is not a valid public account key");
}

/// A signed request to delete accounts.
fn deletion(operator: &KeyPair, accounts: &[&str]) -> String {
    sign(operator, &operator.public_key(), 1, json!({}), json!({ "accounts": accounts }))
}

const DELETING: &str = "{ type: full, dir: \"$DIR/jwt\", allow_delete: true }";
const DELETE: &str = "$SYS.REQ.CLAIMS.DELETE";

fn delete_refused(by: &str, why: &str) -> Value {
    json!({ "error": { "code": 500, "description": format!("delete accounts request by {by} failed - {why}") } })
}

fn full_deletes_for_the_operator_only() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, DELETING, &[]);
    let mut asker = Asker::of(&operator, &server);
    let token = operator.account(&account, "A", 1, json!({}));
    asker.update(&token);
    let key = account.public_key();
    let by = operator.key.public_key();
    assert_eq!(asker.ask_json(DELETE, ""), delete_refused("", "expected 3 chunks"));
    let stranger = KeyPair::new_operator();
    let untrusted = delete_refused(&stranger.public_key(), "not trusted");
    assert_eq!(asker.ask_json(DELETE, &deletion(&stranger, &[&key])), untrusted);
    let for_another = sign(&operator.key, &key, 1, json!({}), json!({ "accounts": [key] }));
    assert_eq!(asker.ask_json(DELETE, &for_another), delete_refused(&key, "not self signed"));
    let malformed = delete_refused(&by, "malformed request");
    assert_eq!(asker.ask_json(DELETE, &deletion(&operator.key, &["nonsense"])), malformed);
    let without = sign(&operator.key, &by, 1, json!({}), json!({}));
    assert_eq!(asker.ask_json(DELETE, &without), malformed);
    let system = delete_refused(&by, "not allowed to delete system account");
    assert_eq!(asker.ask_json(DELETE, &deletion(&operator.key, &[&operator.system.public_key()])), system);
    assert!(file(&server, &account).exists());
    let unknown = KeyPair::new_account().public_key();
    let deleted = json!({ "data": { "code": 200, "message": "deleted 2 accounts" } });
    assert_eq!(asker.ask_json(DELETE, &deletion(&operator.key, &[&key, &unknown])), deleted);
    assert!(!file(&server, &account).exists());
    let renamed = format!("{}.deleted", file(&server, &account).display());
    assert_eq!(std::fs::read_to_string(renamed).unwrap(), token);
    assert_eq!(asker.look_up(&key), "");
}

fn full_without_allow_delete_refuses() {
    let operator = Operator::new();
    let server = start(&operator, FULL, &[]);
    let mut asker = Asker::of(&operator, &server);
    let want = delete_refused(&operator.key.public_key(), "delete must be enabled in server config");
    assert_eq!(asker.ask_json(DELETE, &deletion(&operator.key, &[])), want);
}

fn hard_delete_leaves_nothing() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let resolver = "{ type: full, dir: \"$DIR/jwt\", allow_delete: true, hard_delete: true }";
    let server = start(&operator, resolver, &[]);
    let mut asker = Asker::of(&operator, &server);
    asker.update(&operator.account(&account, "A", 1, json!({})));
    let deleted = json!({ "data": { "code": 200, "message": "deleted 1 accounts" } });
    assert_eq!(asker.ask_json(DELETE, &deletion(&operator.key, &[&account.public_key()])), deleted);
    let files = std::fs::read_dir(server.dir().join("jwt")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, [format!("{}.jwt", operator.system.public_key())]);
}

fn deleting_closes_the_accounts_clients() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, DELETING, &[]);
    let mut asker = Asker::of(&operator, &server);
    asker.update(&operator.account(&account, "A", 1, json!({})));
    let user = user(&account, json!({}));
    let mut client = user.log_in(&server);
    asker.ask_json(DELETE, &deletion(&operator.key, &[&account.public_key()]));
    assert_eq!(client.closed(), ["-ERR 'Account Authentication Expired'"]);
    assert_eq!(user.try_connect(&server).closed(), ["-ERR 'Authorization Violation'"]);
}

fn preloaded_accounts_are_written_once_and_do_not_replace_newer_ones() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let dir = tempfile::tempdir().unwrap();
    let token = |issued| operator.account(&account, "A", issued, json!({}));
    let path = dir.path().join("jwt");
    std::fs::create_dir(&path).unwrap();
    let path = path.join(format!("{}.jwt", account.public_key()));
    std::fs::write(&path, token(10)).unwrap();
    let config = operator.config(FULL, &[(&account, &token(9))]);
    let server = Start::config(&config).dir(dir).start();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), token(10));
    assert!(file(&server, &operator.system).exists());
    user(&account, json!({})).log_in(&server);
}

fn claims_that_were_acknowledged_survive_a_kill() {
    let operator = Operator::new();
    let config = operator.config(FULL, &[]);
    let mut kept = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3_u64 {
        let resolver = FULL.replace("$DIR", folder.path().to_str().unwrap());
        let server = Server::start(&config.replace(FULL, &resolver));
        let mut asker = Asker::of(&operator, &server);
        for (account, token) in &kept {
            let account: &KeyPair = account;
            assert_eq!(asker.look_up(&account.public_key()), *token);
        }
        for number in 0..5 {
            let account = KeyPair::new_account();
            let token = operator.account(&account, "A", round * 10 + number, json!({}));
            assert_eq!(asker.update(&token), updated(&account, "jwt updated"));
            kept.push((account, token));
        }
        // Dropping kills.
    }
}

/// Answers look-ups as a FULL server would.
#[track_caller]
fn answer_look_up(helper: &mut Raw, token: &str) {
    let request = helper.message();
    let reply = request.reply.unwrap();
    helper.send(format!("PUB {reply} {}\r\n{token}\r\n", token.len()));
}

fn cache_asks_other_servers_and_keeps_the_answer() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, "{ type: cache, dir: \"$DIR/jwt\" }", &[]);
    server.wait_log("Managing some jwt in exclusive directory ");
    let mut helper = operator.system_user().log_in(&server);
    helper.send("SUB $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP 1\r\n");
    helper.sync();
    let token = operator.account(&account, "A", 1, json!({}));
    let user = user(&account, json!({}));
    let mut client = user.try_connect(&server);
    answer_look_up(&mut helper, &token);
    client.sync();
    assert_eq!(std::fs::read_to_string(file(&server, &account)).unwrap(), token);
    // The account is known now: nobody is asked again.
    user.log_in(&server);
    helper.expect_silence();
}

fn cache_updates_only_accounts_in_use() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, "{ type: cache, dir: \"$DIR/jwt\" }", &[]);
    let mut asker = Asker::of(&operator, &server);
    let token = operator.account(&account, "A", 1, json!({}));
    assert_eq!(asker.update(&token), updated(&account, "jwt update cache skipped"));
    assert!(!file(&server, &account).exists());
    let system = operator.account(&operator.system, "SYS", 2, json!({}));
    assert_eq!(asker.update(&system), updated(&operator.system, "jwt updated cache"));
    assert_eq!(std::fs::read_to_string(file(&server, &operator.system)).unwrap(), system);
    let wrong = refused("n/a", "jwt update cache resulted in error - expected 3 chunks");
    assert_eq!(asker.update("x"), wrong);
}

fn cache_gives_up_the_least_used() {
    let operator = Operator::new();
    let [a, b] = [(); 2].map(|()| KeyPair::new_account());
    let tokens = [&a, &b].map(|account| operator.account(account, "A", 1, json!({})));
    let resolver = "{ type: cache, dir: \"$DIR/jwt\", limit: 2 }";
    let server = start(&operator, resolver, &[]);
    let mut helper = operator.system_user().log_in(&server);
    helper.send("SUB $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP 1\r\n");
    helper.sync();
    for (account, token) in [&a, &b].into_iter().zip(&tokens) {
        let mut client = user(account, json!({})).try_connect(&server);
        answer_look_up(&mut helper, token);
        client.sync();
    }
    // The system account's were read first.
    let exist = [&operator.system, &a, &b].map(|account| file(&server, account).exists());
    assert_eq!(exist, [false, true, true]);
}

fn cache_forgets_after_its_ttl() {
    let operator = Operator::new();
    let server = start(&operator, "{ type: cache, dir: \"$DIR/jwt\", ttl: \"2s\" }", &[]);
    let path = file(&server, &operator.system);
    assert!(path.exists());
    eventually("the end of the file", || (!path.exists()).then_some(()));
}

fn memory_updates_accounts_in_use() {
    let (operator, account, unused) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let token = operator.account(&account, "A", 1, json!({}));
    let server = start(&operator, "MEMORY", &[(&account, &token)]);
    let mut asker = Asker::of(&operator, &server);
    let subject = |account: &KeyPair| format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", account.public_key());
    let skipped = updated(&unused, "jwt update skipped");
    let of_unused = operator.account(&unused, "B", 1, json!({}));
    assert_eq!(asker.ask_json(&subject(&unused), &of_unused), skipped);
    let mut client = user(&account, json!({})).log_in(&server);
    let empty = refused(&account.public_key(), "jwt update error - request body is empty");
    assert_eq!(asker.ask_json(&subject(&account), ""), empty);
    let limited =
        operator.account(&account, "A", 2, json!({ "limits": { "subs": 1, "payload": -1, "conn": -1 } }));
    assert_eq!(asker.ask_json(&subject(&account), &limited), updated(&account, "jwt updated"));
    client.send("SUB a 1\r\nSUB b 2\r\n");
    client.expect("-ERR 'maximum subscriptions exceeded'");
}

/// A web server that has these documents; keeps the paths it was asked for.
fn web_server(documents: Vec<(String, String)>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let paths = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => request.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let found = documents.iter().find(|(name, _)| *name == path);
            let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // The client may have gone.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            paths.lock().unwrap().push(path);
        }
    });
    (port, asked)
}

fn url_fetches_accounts_and_must_be_there_at_start() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let path = |key: &KeyPair| format!("/jwt/v1/accounts/{}", key.public_key());
    let (port, asked) = web_server(vec![
        ("/jwt/v1/accounts/".to_owned(), String::new()),
        (path(&operator.system), operator.account(&operator.system, "SYS", 1, json!({}))),
        (path(&account), operator.account(&account, "A", 1, json!({}))),
    ]);
    let config = |port: u16, folder: &str| {
        let resolver = format!("URL(\"http://127.0.0.1:{port}{folder}\")");
        let system = operator.system.public_key();
        format!("operator: {}\nsystem_account: {system}\nresolver: {resolver}\n", operator.jwt())
    };
    let server = Server::start(&config(port, "/jwt/v1/accounts"));
    assert_eq!(asked.lock().unwrap()[0], "/jwt/v1/accounts/");
    user(&account, json!({})).log_in(&server);
    assert!(asked.lock().unwrap().contains(&path(&account)));
    let unknown = KeyPair::new_account();
    assert_eq!(user(&unknown, json!({})).try_connect(&server).closed(), ["-ERR 'Authorization Violation'"]);
    let url = format!("http://127.0.0.1:{port}{}", path(&unknown));
    server.wait_log(&format!("[WRN] Account fetch failed: could not fetch <\"{url}\">: 404 Not Found"));
    let log = Start::config(&config(port, "/elsewhere")).refused().unwrap().join("\n");
    let want = format!("could not fetch <\"http://127.0.0.1:{port}/elsewhere/\">: 404 Not Found");
    assert!(log.contains(&want), "{log}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = Start::config(&config(nobody, "")).refused().unwrap().join("\n");
    let want = format!(
        "could not fetch <\"http://127.0.0.1:{nobody}/\">: Get \"http://127.0.0.1:{nobody}/\": dial tcp 127.0.0.1:{nobody}: connect: connection refused"
    );
    assert!(log.contains(&want), "{log}");
}

fn what_keeps_a_resolver_from_being_opened_is_told_before_there_is_a_log() {
    let operator = Operator::new();
    let system = operator.system.public_key();
    let tokens = format!("operator: {}\nsystem_account: {system}", operator.jwt());
    let preload =
        format!("resolver_preload {{ {system}: {} }}", operator.account(&operator.system, "S", 1, json!({})));
    for (resolver, want) in [
        (
            "URL(\"ftp://x/\")",
            "could not fetch <\"ftp://x/\">: Get \"ftp://x/\": unsupported protocol scheme \"ftp\"",
        ),
        ("URL(x)", "could not fetch <\"x/\">: Get \"x/\": unsupported protocol scheme \"\""),
        ("URL(\"http:x\")", "could not fetch <\"http:x/\">: Get \"http:x/\": http: no Host in request URL"),
        (
            "URL(\"http://127.0.0.1:99999\")",
            "could not fetch <\"http://127.0.0.1:99999/\">: Get \"http://127.0.0.1:99999/\": dial tcp: address 99999: invalid port",
        ),
        ("MEMORY", "error resolving system account: account missing"),
        (
            &format!("URL(\"http://127.0.0.1:1/\")\n{preload}"),
            "resolver preloads only available for writeable resolver types MEM/DIR/CACHE_DIR",
        ),
    ] {
        let log = Start::config(&format!("{tokens}\nresolver: {resolver}\n")).refused().unwrap().join("\n");
        assert!(log.contains(want), "{log}");
        assert!(!log.contains("[FTL]") && !log.contains("[INF]"), "{log}");
    }
}

/// A web server behind TLS that knows one document, with the certificate that it shows.
fn tls_web_server(documents: Vec<(String, String)>) -> (u16, String) {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, stream.unwrap());
            let mut request = [0; 4096];
            // Who does not believe the certificate goes away.
            let Ok(count) = stream.read(&mut request) else { continue };
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = documents.iter().find(|(name, _)| name == path);
            let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, own.cert.pem())
}

fn resolver_tls_says_which_web_server_is_believed() {
    let operator = Operator::new();
    let path = format!("/accounts/{}", operator.system.public_key());
    let (port, certificate) = tls_web_server(vec![
        ("/accounts/".to_owned(), String::new()),
        (path, operator.account(&operator.system, "SYS", 1, json!({}))),
    ]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), certificate).unwrap();
    let config = |tls: &str| {
        format!(
            "operator: {}\nsystem_account: {}\nresolver: URL(\"https://localhost:{port}/accounts/\")\n{tls}\n",
            operator.jwt(),
            operator.system.public_key()
        )
    };
    let server = Start::config(&config("resolver_tls { ca_file: \"$DIR/ca.pem\" }")).dir(dir).start();
    operator.system_user().log_in(&server);
    let log = Start::config(&config("")).refused().unwrap().join("\n");
    let want = format!(
        "could not fetch <\"https://localhost:{port}/accounts/\">: Get \"https://localhost:{port}/accounts/\":"
    );
    assert!(log.contains(&want), "{log}");
}

fn a_fetch_ends_with_its_timeout() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, "{ type: cache, dir: \"$DIR/jwt\", timeout: \"100ms\" }", &[]);
    let mut silent = operator.system_user().log_in(&server);
    silent.send("SUB $SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP 1\r\n");
    silent.sync();
    let mut client = user(&account, json!({})).try_connect(&server);
    assert_eq!(client.closed(), ["-ERR 'Authorization Violation'"]);
    server.wait_log("[WRN] Account fetch failed: fetching jwt timed out");
}

/// The reference waits for its timeout where no other server is there.
fn what_nobody_else_can_have_is_not_waited_for() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    for kind in ["full", "cache"] {
        let server =
            start(&operator, &format!("{{ type: {kind}, dir: \"$DIR/jwt\", timeout: \"1h\" }}"), &[]);
        let mut client = user(&account, json!({})).try_connect(&server);
        assert_eq!(client.closed(), ["-ERR 'Authorization Violation'"]);
        server.wait_log("[WRN] Account fetch failed: account jwt not found");
    }
}

fn a_reload_brings_other_preloads() {
    let (operator, a, b) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let claims = |account: &KeyPair, issued, subs: i64| {
        operator.account(
            account,
            "A",
            issued,
            json!({ "limits": { "subs": subs, "payload": -1, "conn": -1 } }),
        )
    };
    let server = start(&operator, "MEMORY", &[(&a, &claims(&a, 1, -1))]);
    let mut of_a = user(&a, json!({})).log_in(&server);
    let of_b = user(&b, json!({}));
    assert_eq!(of_b.try_connect(&server).closed(), ["-ERR 'Authorization Violation'"]);
    server.reload(&operator.config("MEMORY", &[(&a, &claims(&a, 2, 1)), (&b, &claims(&b, 1, -1))]));
    of_b.log_in(&server);
    of_a.send("SUB a 1\r\nSUB b 2\r\n");
    of_a.expect("-ERR 'maximum subscriptions exceeded'");
    let mark = server.log_mark();
    server.reload(&operator.config("MEMORY", &[(&b, &claims(&b, 1, -1))]));
    server
        .wait_log_after(mark, &format!("[INF] Reloaded: deleting account [removed]: \"{}\"", a.public_key()));
    assert_eq!(user(&a, json!({})).try_connect(&server).closed(), ["-ERR 'Authorization Violation'"]);
}

/// Claims that cannot be used may revoke somebody: the old ones don't stay in force.
fn a_reload_with_claims_that_are_no_good_closes_their_account() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let config = |issued, claims: Value| {
        operator.config("MEMORY", &[(&account, &operator.account(&account, "A", issued, claims))])
    };
    let too_heavy = json!({ "mappings": { "a": [{ "subject": "b", "weight": 101 }] } });
    for is_reference in [true, false] {
        let start = Start::config(&config(1, json!({})));
        let server = if is_reference { start.reference() } else { start }.start();
        let mut user_of_a = user(&account, json!({})).log_in(&server);
        server.reload(&config(2, too_heavy.clone()));
        let name = account.public_key();
        server.wait_log(&format!("Account [{name}] has validation issues:"));
        server.wait_log(&format!("Reloaded: deleting account [removed]: \"{name}\""));
        assert_eq!(user_of_a.closed(), ["-ERR 'Authorization Violation'"]);
    }
}

fn a_reload_judges_by_what_claims_have_become() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let config = |issued, revocations: Value| {
        let claims = json!({ "revocations": revocations });
        operator.config("MEMORY", &[(&account, &operator.account(&account, "A", issued, claims))])
    };
    let server = Server::start(&config(1, json!({})));
    let mut user_of_a = user(&account, json!({})).log_in(&server);
    let pinned = format!("resolver_pinned_accounts: [{}]\n", operator.system.public_key());
    server.reload(&format!("{}\n{pinned}", config(1, json!({}))));
    assert_eq!(user_of_a.closed(), ["-ERR 'Authorization Violation'"]);
    server.wait_log("authentication error - JWT User \"U");
    server.reload(&config(1, json!({})));
    let mut of_nobody = user(&account, json!({})).log_in(&server);
    server.reload(&operator.config("MEMORY", &[]));
    assert_eq!(of_nobody.closed(), ["-ERR 'Authorization Violation'"]);
    server.reload(&config(1, json!({})));
    let mut revoked = user(&account, json!({})).log_in(&server);
    server.reload(&config(2, json!({ "*": 4_000_000_000_u64 })));
    assert_eq!(revoked.closed(), ["-ERR 'User Authentication Revoked'"]);
}

fn a_reload_does_not_switch_to_another_kind_of_accounts() {
    let operator = Operator::new();
    let server = start(&operator, FULL, &[]);
    let refusal = server.reload_refused("");
    let want = "config reload does not support moving to or from an account resolver";
    // Which of the changed keys is looked at first is a matter of chance.
    let other = "config reload not supported for ";
    assert!(refusal.contains(want) || refusal.contains(other), "{refusal}");
    Asker::of(&operator, &server);
}

fn a_directory_that_is_none_is_refused() {
    let operator = Operator::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("jwt"), "").unwrap();
    let log = Start::config(&operator.config(FULL, &[])).dir(dir).refused().unwrap().join("\n");
    assert!(log.contains("dir needs to point to an accessible directory"), "{log}");
    let log = Start::config(&operator.config("{ type: full }", &[])).refused().unwrap().join("\n");
    assert!(log.contains("dir has no value and needs to point to a directory"), "{log}");
}

fn without_a_resolver_nobody_answers() {
    let server =
        Server::start("accounts { SYS { users: [ { user: s, password: s } ] } }\nsystem_account: SYS");
    let mut raw = Raw::connect_as(
        &server,
        r#"{"verbose":false,"headers":true,"no_responders":true,"user":"s","pass":"s"}"#,
    );
    raw.send("SUB answers 1\r\n");
    for subject in ["CLAIMS.LIST", "CLAIMS.UPDATE", "CLAIMS.PACK", "CLAIMS.DELETE", "ACCOUNT.A.CLAIMS.LOOKUP"]
    {
        raw.send(format!("PUB $SYS.REQ.{subject} answers 0\r\n\r\n"));
        let answer = raw.message();
        assert!(answer.headers.starts_with(b"NATS/1.0 503\r\n"), "{subject}");
    }
}

fn operators_need_their_system_account_for_a_directory() {
    let operator = Operator::new();
    let jwt = sign(
        &operator.key,
        &operator.key.public_key(),
        1,
        json!({}),
        json!({ "type": "operator", "version": 2 }),
    );
    let log = Start::config(&format!("operator: {jwt}\nresolver: {FULL}\n")).refused().unwrap().join("\n");
    let want = "using nats based account resolver - the system account needs to be specified in configuration or the operator jwt";
    assert!(log.contains(want), "{log}");
}

fn a_directory_moves_between_the_servers() {
    let operator = Operator::new();
    let folder = tempfile::tempdir().unwrap();
    let resolver = DELETING.replace("$DIR", folder.path().to_str().unwrap());
    let config = operator.config(&resolver, &[]);
    let mut kept: Vec<(KeyPair, String)> = Vec::new();
    let mut gone: Vec<KeyPair> = Vec::new();
    for is_reference in [true, false, true] {
        let start = Start::config(&config);
        let server = if is_reference { start.reference() } else { start }.start();
        let mut asker = Asker::of(&operator, &server);
        let system = operator.account(&operator.system, "SYS", 1, json!({}));
        let all = sum(kept.iter().map(|(_, token)| token).chain([&system]));
        assert_eq!(asker.ask("$SYS.REQ.CLAIMS.PACK", &all), "");
        for (account, token) in &kept {
            assert_eq!(asker.look_up(&account.public_key()), *token);
            user(account, json!({})).log_in(&server);
        }
        for account in &gone {
            assert_eq!(asker.look_up(&account.public_key()), "");
        }
        for _ in 0..3 {
            let account = KeyPair::new_account();
            let token = operator.account(&account, "A", 1, json!({}));
            assert_eq!(asker.update(&token), updated(&account, "jwt updated"));
            kept.push((account, token));
        }
        let (account, _) = kept.remove(0);
        asker.ask_json(DELETE, &deletion(&operator.key, &[&account.public_key()]));
        gone.push(account);
    }
}

/// What a reload brings is what counts: claims are kept in the new directory, and looked up there. (The
/// reference looks up in the new one and keeps in the old one, until it is restarted.)
fn a_reload_moves_to_another_directory() {
    let (operator, a, b) = (Operator::new(), KeyPair::new_account(), KeyPair::new_account());
    let server = start(&operator, FULL, &[]);
    let mut asker = Asker::of(&operator, &server);
    asker.update(&operator.account(&a, "A", 1, json!({})));
    let other = "{ type: full, dir: \"$DIR/other\", allow_delete: true }";
    server.reload(&operator.config(other, &[]));
    assert_eq!(asker.look_up(&a.public_key()), "");
    assert_eq!(asker.update(&operator.account(&b, "B", 1, json!({}))), updated(&b, "jwt updated"));
    assert!(server.dir().join(format!("other/{}.jwt", b.public_key())).exists());
    user(&b, json!({})).log_in(&server);
    // Options of the directory count as well: this one deletes.
    let done = asker.ask_json("$SYS.REQ.CLAIMS.DELETE", &deletion(&operator.key, &[&b.public_key()]));
    assert_eq!(done["data"]["message"], "deleted 1 accounts");
    server.reload(&operator.config(FULL, &[]));
    assert_eq!(asker.look_up(&a.public_key()), operator.account(&a, "A", 1, json!({})));
}

/// Claims that were deleted close their account until others come, in the reference's words.
fn a_deleted_account_is_closed_until_it_gets_claims() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let deletes = "{ type: full, dir: \"$DIR/jwt\", allow_delete: true }";
    let server = Server::start(&format!("debug: true\n{}", operator.config(deletes, &[])));
    let mut asker = Asker::of(&operator, &server);
    asker.update(&operator.account(&account, "A", 1, json!({})));
    let mut client = user(&account, json!({})).log_in(&server);
    let key = account.public_key();
    let mark = server.log_mark();
    asker.ask("$SYS.REQ.CLAIMS.DELETE", deletion(&operator.key, &[&key]).as_bytes());
    assert_eq!(client.line(), "-ERR 'Account Authentication Expired'");
    server.wait_log_after(mark, &format!("Disable account {key} due to remove"));
    asker.look_up(&key);
    server.wait_log_after(mark, &format!("DirResolver - Could not find account \"{key}\""));
    let refused = user(&account, json!({})).try_connect(&server).closed();
    assert_eq!(refused, ["-ERR 'Authorization Violation'"]);
    server.wait_log_after(mark, &format!("Requested account [{key}] has expired"));
    server.wait_log_after(mark, "Account JWT lookup error: account expired");
    asker.update(&operator.account(&account, "A", 2, json!({})));
    user(&account, json!({})).log_in(&server);
}

fn mappings_that_are_none_are_refused() {
    let (operator, account) = (Operator::new(), KeyPair::new_account());
    let server = start(&operator, FULL, &[]);
    let mut asker = Asker::of(&operator, &server);
    let index = "invalid mapping destination: wildcard index out of range in $2: [2]";
    for (mappings, why) in [
        (json!({ "a.*": [{ "subject": "b.$2" }] }), format!("mapping \"a.*\" -> \"b.$2\": {index}")),
        (json!({ "a": [{ "subject": "b.>" }] }), "mapping \"a\" -> \"b.>\": invalid subject".to_owned()),
        (
            json!({ "a": [{ "subject": "b", "weight": 50 }, { "subject": "b", "weight": 50 }] }),
            "mapping \"a\": duplicate entry for \"b\"".to_owned(),
        ),
    ] {
        let answer = asker.update(&operator.account(&account, "A", 1, json!({ "mappings": mappings })));
        assert_eq!(answer, refused(&account.public_key(), &format!("jwt validation failed - {why}")));
    }
}
