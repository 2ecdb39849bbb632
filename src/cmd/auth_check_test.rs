//! `natsx auth check`, as somebody at a shell sees it.

use std::process::ExitCode;

use super::super::{Io, run};

const CONFIG: &str = r#"
    accounts {
        SHOP {
            users: [
                { user: shop, password: shop-secret, permissions {
                    publish { allow: ["orders.>", "raw.*"], deny: "orders.secret" }
                    subscribe { allow: ["orders.>", "jobs workers"], deny: "orders.secret" }
                } }
                { user: responder, password: "HASH", permissions {
                    subscribe: "requests", allow_responses: true } }
                { nkey: UBVQ2LB4FYHRABSCFCH4TPPLSXOKFMS6WD3XCQAW2UR4TC5JLP6EM5NE }
            ]
            mappings { "raw.a": "orders.secret" }
        }
        BOOKS { users: [ { user: books, password: x, allowed_connection_types: [MQTT] } ] }
    }
"#;

/// The seed of the nkey above.
const SEED: &str = "SUAGZVBJ7O625ADTWJMA5VTDOCDBCNOUGMXQBZOLZI4QO4COEJV63CCT5U";

struct Files(tempfile::TempDir);

impl Files {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = config.replace("HASH", &bcrypt::hash("hashed", 4).unwrap());
        std::fs::write(dir.path().join("server.conf"), config).unwrap();
        std::fs::write(dir.path().join("user.nk"), SEED).unwrap();
        Self(dir)
    }

    /// Code, standard output, standard error; `DIR` stands for the directory.
    fn say(&self, words: &[&str]) -> (ExitCode, String, String) {
        let dir = self.0.path().display().to_string();
        let fixed = ["natsx", "auth", "check", "-c", "DIR/server.conf"];
        let args: Vec<String> = fixed.iter().chain(words).map(|word| word.replace("DIR", &dir)).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut Io { out: &mut out, err: &mut err });
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }
}

#[track_caller]
fn check(words: &[&str], code: u8, want: &str) {
    let (got, out, err) = Files::new(CONFIG).say(words);
    assert_eq!((got, out.trim_end(), err.as_str()), (ExitCode::from(code), want, ""), "{words:?}");
}

const SHOP: [&str; 4] = ["--user", "shop", "--pass", "shop-secret"];

#[test]
fn the_user_and_its_account_are_named() {
    check(&SHOP, 0, "accepted   shop in account SHOP, by password");
    let key = "UBVQ2LB4FYHRABSCFCH4TPPLSXOKFMS6WD3XCQAW2UR4TC5JLP6EM5NE";
    let hashed = ["--user", "responder", "--pass", "hashed"];
    check(&hashed, 0, "accepted   responder in account SHOP, by password");
    check(&["--user", "responder", "--pass", "HASH"], 1, "refused    Authorization Violation");
    let may_answer = "nothing in publish allow; requests may be answered (allow_responses)";
    let want =
        format!("accepted   responder in account SHOP, by password\npublish    a: denied ({may_answer})");
    check(&[&hashed[..], &["--publish", "a"]].concat(), 1, &want);
    check(&["--nkey", "DIR/user.nk"], 0, &format!("accepted   {key} in account SHOP, by nkey"));
}

#[test]
fn who_is_refused_is_told_as_the_server_would() {
    let refused = "refused    Authorization Violation";
    check(&["--user", "shop", "--pass", "wrong"], 1, refused);
    check(&["--user", "nobody", "--pass", "x"], 1, refused);
    check(&[], 1, refused);
    check(&["--user", "books", "--pass", "x"], 1, refused);
    let mqtt = ["--user", "books", "--pass", "x", "--connection", "mqtt"];
    check(&mqtt, 0, "accepted   books in account BOOKS, by password");
}

#[test]
fn the_rule_that_decides_is_named() {
    let rules = [
        ("--publish", "orders.new", "publish    orders.new: allowed (publish allow \"orders.>\")"),
        ("--publish", "orders.secret", "publish    orders.secret: denied (publish deny \"orders.secret\")"),
        ("--publish", "other", "publish    other: denied (nothing in publish allow)"),
        ("--publish", "raw.b", "publish    raw.b: allowed (publish allow \"raw.*\")"),
        (
            "--publish",
            "raw.a",
            "publish    raw.a: denied (mapped to \"orders.secret\", publish deny \"orders.secret\")",
        ),
        ("--publish", "orders.*", "publish    orders.*: allowed (publish allow \"orders.>\")"),
        ("--publish", "a b", "publish    a b: denied (no subject to publish to)"),
        ("--publish", "_GR_.x", "publish    _GR_.x: denied (only servers publish there)"),
        ("--publish", "$NRG.x", "publish    $NRG.x: denied (only servers publish there)"),
        ("--subscribe", "orders.new", "subscribe  orders.new: allowed (subscribe allow \"orders.>\")"),
        (
            "--subscribe",
            "orders.*",
            "subscribe  orders.*: allowed (subscribe allow \"orders.>\"; messages on denied subjects are left out)",
        ),
        ("--subscribe", "jobs", "subscribe  jobs: denied (nothing in subscribe allow)"),
    ];
    for (flag, subject, want) in rules {
        let words = [&SHOP[..], &[flag, subject]].concat();
        let code = u8::from(want.contains(": denied"));
        check(&words, code, &format!("accepted   shop in account SHOP, by password\n{want}"));
    }
    let words = [&SHOP[..], &["--subscribe", "jobs", "--queue", "workers"]].concat();
    let want = "subscribe  jobs workers: allowed (subscribe allow \"jobs workers\")";
    check(&words, 0, &format!("accepted   shop in account SHOP, by password\n{want}"));
}

#[test]
fn what_is_the_servers_own_is_denied_whatever_permissions_say() {
    let files = Files::new("max_subscription_tokens: 2");
    for (words, want) in [
        (&["--publish", "_GR_.a"][..], "publish    _GR_.a: denied (only servers publish there)"),
        (
            &["--subscribe", "a", "--queue", "_sys_"],
            "subscribe  a _sys_: denied (only servers subscribe in this queue group)",
        ),
        (&["--subscribe", "a.b.c"], "subscribe  a.b.c: denied (more tokens than max_subscription_tokens)"),
    ] {
        let (code, out, _) = files.say(words);
        assert!(code == ExitCode::from(1) && out.trim_end().ends_with(want), "{out}");
    }
}

#[test]
fn where_a_service_decides_only_its_own_users_are_judged() {
    let files = Files::new(include_str!("../../conf/auth_callout.conf"));
    let (code, out, err) = files.say(&["--user", "bob", "--pass", "x"]);
    assert_eq!((code, out.as_str()), (ExitCode::from(2), ""));
    assert!(err.contains("a service decides about these credentials"), "{err}");
    let own = ["--user", "auth", "--pass", "auth"];
    let (code, out, _) =
        files.say(&[&own[..], &["--publish", "$SYS.REQ.USER.AUTH", "--publish", "a"]].concat());
    assert_eq!(code, ExitCode::from(1));
    let want =
        "publish    $SYS.REQ.USER.AUTH: denied (publish deny \"$SYS.REQ.USER.AUTH\")\npublish    a: allowed";
    assert!(out.contains(want), "{out}");
}

#[test]
fn one_thing_that_is_denied_is_enough_for_the_exit_code() {
    let words = [&SHOP[..], &["--publish", "orders.a", "--publish", "b", "--json"]].concat();
    let (code, out, _) = Files::new(CONFIG).say(&words);
    assert_eq!(code, ExitCode::from(1));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["accepted"], &document["account"]), (&true.into(), &"SHOP".into()));
    let verdicts: Vec<_> = document["verdicts"].as_array().unwrap().iter().map(|it| &it["allowed"]).collect();
    assert_eq!(verdicts, [&true, &false]);
}

#[test]
fn without_authorization_everybody_may_do_everything() {
    let files = Files::new("port: 4222");
    let (code, out, _) = files.say(&["--publish", "a"]);
    assert_eq!(code, ExitCode::SUCCESS);
    let who = "accepted   nobody in particular in account $G, by no authorization is asked for";
    assert_eq!(out, format!("{who}\npublish    a: allowed (no permissions are set)\n"));
}

#[test]
fn claims_are_judged_as_in_operator_mode() {
    let files = Files::new(include_str!("../../conf/operator.conf"));
    let say = |name: &str, words: &[&str]| {
        let creds = format!("{}/conf/operator/{name}.creds", env!("CARGO_MANIFEST_DIR"));
        files.say(&[&["--creds", &creds], words].concat())
    };
    let (code, out, err) = say("shop", &["--publish", "orders.new"]);
    assert_eq!((code, err.as_str()), (ExitCode::SUCCESS, ""), "{out}");
    assert!(out.starts_with("accepted   u (U") && out.contains(", by claims\n"), "{out}");
    let (code, out, _) = say("books", &["--subscribe", "shop.orders.*", "--publish", "a", "--json"]);
    assert_eq!(code, ExitCode::from(1));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let rules: Vec<_> =
        document["verdicts"].as_array().unwrap().iter().map(|it| it["rule"].as_str()).collect();
    assert_eq!(rules, [Some("publish deny \">\""), Some("subscribe allow \"shop.>\"")]);
}

#[test]
fn users_of_a_network_are_judged_by_where_they_come_from() {
    let store = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/nsc");
    let files = Files::new(&std::fs::read_to_string(format!("{store}/memory.conf")).unwrap());
    let creds = format!("{store}/creds/elsewhere.creds");
    for (from, is_in) in [(&["--from", "10.1.2.3"][..], true), (&[], false)] {
        let (code, out, err) = files.say(&[&["--creds", &creds], from].concat());
        assert_eq!((code, err.as_str()), (ExitCode::from(u8::from(!is_in)), ""), "{out}");
        assert_eq!(out.contains("Bad src Ip 127.0.0.1"), !is_in, "{out}");
    }
}

#[test]
fn what_cannot_be_answered_is_said_on_standard_error() {
    let usage = ExitCode::from(2);
    let (code, out, err) = Files::new("nonsense {").say(&[]);
    assert!((code, out.as_str()) == (usage, "") && err.starts_with("natsx auth check: "), "{err}");
    let files = Files::new(CONFIG);
    let (code, _, err) = files.say(&["--creds", "DIR/user.nk"]);
    assert!(code == usage && !err.contains("SUAGZ"), "{err}");
    assert_eq!(files.say(&["--cert", "DIR/server.conf"]).0, usage);
    assert_eq!(files.say(&["--nkey", "DIR/missing"]).0, usage);
    assert_eq!(files.say(&["--user", "a", "--token", "b"]).0, usage);
}
