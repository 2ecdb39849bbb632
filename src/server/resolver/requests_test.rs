//! Requests and replies, to the letter.

use nkeys::KeyPair;
use proptest::prelude::*;

use super::super::kind::Kind;
use super::*;

const SERVER: &[u8] = b"{\"name\":\"s\"}";

fn operator() -> Operator {
    Operator { key: "O".into(), is_strict: true, keys: vec!["OS".into()] }
}

fn head(subject: &str, issuer: &str, broken_rules: Option<&str>) -> Result<AccountHead, String> {
    let broken_rules = broken_rules.map(str::to_owned);
    Ok(AccountHead { subject: subject.into(), issuer: issuer.into(), broken_rules })
}

/// What a kind of resolver says to an update: the account to keep, or the log line of the answer.
#[track_caller]
fn check(kind: Kind, asked: Option<&str>, read: Result<AccountHead, String>, want: &str) {
    let operator = operator();
    let rules = Rules {
        words: kind.words(),
        keeps_all: !kind.updates_known_only(),
        has_directory: kind.has_directory(),
        operator: &operator,
    };
    let said = match rules.judge(asked, b"x", read, |account| account == "A") {
        Verdict::Keep(account) => format!("keep {account}"),
        Verdict::Answered(answer) => answer.log_line().1,
    };
    assert_eq!(said, want, "{kind:?} {asked:?}");
}

#[test]
fn subjects_say_what_is_asked() {
    for (subject, want) in [
        ("$SYS.REQ.ACCOUNT.A.CLAIMS.LOOKUP", Some(Request::Lookup("A"))),
        ("$SYS.REQ.ACCOUNT.A.CLAIMS.UPDATE", Some(Request::Update(Some("A")))),
        ("$SYS.ACCOUNT.A.CLAIMS.UPDATE", Some(Request::Update(Some("A")))),
        ("$SYS.REQ.CLAIMS.UPDATE", Some(Request::Update(None))),
        ("$SYS.REQ.CLAIMS.LIST", Some(Request::List)),
        ("$SYS.REQ.CLAIMS.DELETE", Some(Request::Delete)),
        ("$SYS.REQ.CLAIMS.PACK", Some(Request::Pack)),
        ("$SYS.REQ.CLAIMS.PACK.", None),
        ("$SYS.REQ.CLAIMS.PACK..", None),
        ("$SYS.ACCOUNT.A.CLAIMS.UPDATE.x", None),
        ("$SYS.REQ.ACCOUNT.A.CLAIMS.LOOKUP.x", None),
        ("$SYS.REQ.CLAIMS.OTHER", None),
        ("", None),
    ] {
        assert_eq!(Request::parse(subject), want, "{subject}");
    }
}

#[test]
fn every_subject_of_a_kind_is_understood() {
    for kind in [Kind::Memory, Kind::Url, Kind::Full, Kind::Cache] {
        for (subject, is_shared) in kind.subjects() {
            let request = Request::parse(subject).unwrap();
            assert_eq!(*is_shared, request == Request::Pack);
        }
    }
    assert_eq!([Kind::Memory, Kind::Cache, Kind::Full].map(|kind| kind.subjects().len()), [2, 5, 7]);
}

#[test]
fn a_full_resolver_judges_in_the_references_order() {
    let broken = Some("validation errors: [a b]");
    check(Kind::Full, Some("A"), head("A", "OS", None), "keep A");
    check(Kind::Full, Some("B"), head("B", "OS", None), "keep B");
    check(Kind::Full, None, head("B", "OS", None), "keep B");
    check(Kind::Full, Some("A"), Err("e".into()), "jwt update resulted in error - n/a - e");
    check(Kind::Full, None, Err("e".into()), "jwt update resulted in error - n/a - e");
    check(
        Kind::Full,
        Some("A"),
        head("B", "O", broken),
        "jwt validation failed - B - validation errors: [a b]",
    );
    let mismatch = "jwt update resulted in error - A - subject does not match jwt content";
    check(Kind::Full, Some("A"), head("B", "O", None), mismatch);
    let strict = "jwt update resulted in error - A - operator requires issuer to be a signing key";
    check(Kind::Full, Some("A"), head("A", "O", None), strict);
    check(Kind::Full, None, head("A", "O", broken), strict);
    check(Kind::Full, None, head("A", "OS", broken), "jwt validation failed - A - validation errors: [a b]");
}

#[test]
fn a_cache_keeps_what_is_in_use() {
    let broken = Some("validation errors: [a]");
    check(Kind::Cache, Some("A"), head("A", "OS", None), "keep A");
    check(Kind::Cache, None, head("A", "OS", None), "keep A");
    check(Kind::Cache, Some("B"), head("B", "OS", broken), "jwt update cache skipped - B");
    check(Kind::Cache, None, head("B", "OS", None), "jwt update cache skipped - B");
    check(Kind::Cache, Some("A"), Err("e".into()), "jwt update cache resulted in error - A - e");
    check(Kind::Cache, None, Err("e".into()), "jwt update cache resulted in error - n/a - e");
    let strict = "jwt update cache resulted in error - B - operator requires issuer to be a signing key";
    check(Kind::Cache, None, head("B", "O", None), strict);
    let invalid = "jwt update cache validation failed - A - validation errors: [a]";
    check(Kind::Cache, Some("A"), head("A", "OS", broken), invalid);
    let mismatch = "jwt update cache resulted in error - A - subject does not match jwt content";
    check(Kind::Cache, Some("A"), head("B", "O", None), mismatch);
}

#[test]
fn without_a_directory_accounts_in_use_are_updated() {
    for kind in [Kind::Memory, Kind::Url] {
        // Rules and signer are judged by the account.
        check(kind, Some("A"), head("A", "O", Some("[a]")), "keep A");
        check(kind, Some("B"), head("B", "OS", None), "jwt update skipped - B");
        check(kind, Some("A"), Err("e".into()), "jwt update resulted in error - A - e");
        let mismatch = "jwt update resulted in error - A - subject does not match jwt content";
        check(kind, Some("A"), head("B", "OS", None), mismatch);
        let operator = operator();
        let rules =
            Rules { words: kind.words(), keeps_all: false, has_directory: false, operator: &operator };
        let Verdict::Answered(answer) = rules.judge(Some("A"), b"", Err("e".into()), |_| true) else {
            panic!("an empty request is answered");
        };
        assert_eq!(answer.log_line(), (Level::Error, "jwt update error - A - request body is empty".into()));
    }
}

#[test]
fn answers_are_the_references_documents() {
    let words = Kind::Full.words();
    let text = |answer: &Answer| String::from_utf8(answer.document(SERVER)).unwrap();
    let done = updated(words, "A", Ok(()));
    assert_eq!(
        text(&done),
        r#"{"server":{"name":"s"},"data":{"account":"A","code":200,"message":"jwt updated"}}"#
    );
    assert_eq!(done.log_line(), (Level::Debug, "jwt updated - A".into()));
    let full = updated(words, "A", Err("jwt store is full".into()));
    let want = r#"{"server":{"name":"s"},"error":{"account":"A","code":500,"description":"jwt update resulted in error - jwt store is full"}}"#;
    assert_eq!(text(&full), want);
    assert_eq!(
        text(&deleted(2, &[])),
        r#"{"server":{"name":"s"},"data":{"code":200,"message":"deleted 2 accounts"}}"#
    );
    let partly = deleted(1, &["a".into(), "b".into()]);
    let want = r#"{"server":{"name":"s"},"error":{"code":500,"description":"deleted 1 accounts, failed for 2 - a\nb"}}"#;
    assert_eq!(text(&partly), want);
}

#[test]
fn the_list_of_accounts_comes_before_the_server() {
    let key = super::super::AccountKey::parse(&KeyPair::new_account().public_key()).unwrap();
    let text = |keys: &[super::super::AccountKey]| String::from_utf8(list_document(keys, SERVER)).unwrap();
    assert_eq!(text(&[]), r#"{"data":[],"server":{"name":"s"}}"#);
    assert_eq!(text(&[key, key]), format!(r#"{{"data":["{key}","{key}"],"server":{{"name":"s"}}}}"#));
}

#[test]
fn a_deletion_is_the_operators_own_and_never_the_system_accounts() {
    let [a, system] = std::array::from_fn(|_| KeyPair::new_account().public_key());
    let accounts = |keys: &[&str]| Some(keys.iter().map(|key| (*key).to_owned()).collect());
    let request = |subject: &str, issuer: &str, accounts| DeleteRequest {
        subject: subject.into(),
        issuer: issuer.into(),
        accounts,
    };
    let judge = |read: Result<DeleteRequest, String>, may_delete: bool| {
        judge_delete(read, may_delete, &operator(), &system)
            .map(|keys| keys.len())
            .map_err(|answer| answer.log_line().1)
    };
    assert_eq!(judge(Ok(request("OS", "OS", accounts(&[&a]))), true), Ok(1));
    assert_eq!(judge(Ok(request("OS", "OS", accounts(&[]))), true), Ok(0));
    let refused = |by: &str, why: &str| Err(format!("delete accounts request by {by} failed - {why}"));
    let good = || request("OS", "OS", accounts(&[&a]));
    assert_eq!(judge(Err("expected 3 chunks".into()), true), refused("", "expected 3 chunks"));
    assert_eq!(judge(Ok(good()), false), refused("OS", "delete must be enabled in server config"));
    assert_eq!(judge(Ok(request("X", "OS", None)), true), refused("X", "not self signed"));
    assert_eq!(judge(Ok(request("O", "O", None)), true), refused("O", "not trusted"));
    assert_eq!(judge(Ok(request("OS", "OS", None)), true), refused("OS", "malformed request"));
    let wrong = request("OS", "OS", accounts(&[&a, "nonsense"]));
    assert_eq!(judge(Ok(wrong), true), refused("OS", "malformed request"));
    let both = request("OS", "OS", accounts(&[&a, &system]));
    assert_eq!(judge(Ok(both), true), refused("OS", "not allowed to delete system account"));
}

proptest! {
    #[test]
    fn any_subject_is_a_request_or_none(subject in "[$A-Z.*]{0,40}") {
        let _ = Request::parse(&subject);
    }
}
