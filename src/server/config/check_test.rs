//! Rules between keys as a table: a configuration, and what the reference says when it is started.
//! The table lies in `tests/fixtures/config/keys/start.txt`; `FTL` marks what only its log says.

use super::{Refusal, check, check_jetstream_accounts, check_monitoring, check_system_account, may_start};
use crate::server::config::options::{Operator, Options, Resolver};
use crate::server::config::parse::{Loader, parse};
use crate::server::config::read::{DirectoryState, Files, read};

struct Nothing;

impl Files for Nothing {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("open {path}: no such file or directory"))
    }

    fn directory(&self, _: &str) -> DirectoryState {
        DirectoryState::Missing
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

impl Loader for Nothing {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Files::read(self, path)
    }

    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

const TABLE: &str = include_str!("../../../tests/fixtures/config/keys/start.txt");
const VERSION: &str = "2.15.1";

fn verdict(text: &str) -> Option<String> {
    let parsed = parse("x.conf", text.as_bytes(), &Nothing);
    let (mut options, findings) = read("x.conf", &parsed.root, &Nothing);
    if let Some(finding) = findings.first() {
        return Some(finding.line());
    }
    options.settle();
    if let Err(text) = check(&options, VERSION).and_then(|()| check_system_account(&options)) {
        return Some(text);
    }
    if let Err(text) = check_monitoring(&options) {
        return Some(format!("FTL {}", Refusal::Monitoring(text)));
    }
    check_jetstream_accounts(&options).err().map(|text| format!("FTL {text}"))
}

#[track_caller]
fn play(section: &str) {
    let lines = TABLE.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let mut lines =
        lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()).peekable();
    assert!(lines.peek().is_some(), "no section {section}");
    while let Some(text) = lines.next() {
        let want = lines.next_if(|line| line.starts_with("    ")).map(|line| line.trim_start().to_owned());
        assert_eq!(verdict(text), want, "{text}");
    }
}

macro_rules! sections {
    ($($section:ident),* $(,)?) => {
        #[test]
        fn every_section_is_played() {
            let played = [$(stringify!($section)),*];
            for line in TABLE.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')) {
                assert!(played.contains(&line), "{line}");
            }
        }

        $(#[test]
        fn $section() {
            play(stringify!($section));
        })*
    };
}

sections![
    times,
    sizes,
    monitoring,
    no_auth_user,
    default_js_domain,
    jetstream,
    mqtt,
    websocket,
    gateway,
    cluster,
    leafnodes,
    system_account,
    operators,
    others,
];

/// A server in operator mode, as far as the rules look at it.
fn operated(operator: Operator) -> Options {
    let key = "OAAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQDZUE".into();
    let operators = vec![Operator { key, ..operator }];
    Options { operators, resolver: Some(Resolver::Mem), ..Options::default() }
}

#[track_caller]
fn check_operated(options: Options, want: Result<(), &str>) {
    assert_eq!(check(&options, VERSION), want.map_err(str::to_owned));
}

#[test]
fn operators_need_a_resolver_and_exclude_what_the_file_says_itself() {
    use crate::server::config::options::{Account, AuthCallout, Authorization, DirResolver};
    check_operated(operated(Operator::default()), Ok(()));
    let options = operated(Operator::default());
    check_operated(
        Options { resolver: None, ..options.clone() },
        Err("operators require an account resolver to be configured"),
    );
    check_operated(
        Options { accounts: vec![Account::default()], ..options.clone() },
        Err("operators do not allow Accounts to be configured directly"),
    );
    check_operated(
        Options { trusted_keys: vec!["O".into()], ..options.clone() },
        Err("conflicting options for 'TrustedKeys' and 'TrustedOperators'"),
    );
    check_operated(
        Options { no_auth_user: Some("x".into()), ..options.clone() },
        Err("no_auth_user not compatible with Trusted Operator"),
    );
    check_operated(
        Options { resolver: Some(Resolver::Full(DirResolver::default())), ..options.clone() },
        Err(
            "using nats based account resolver - the system account needs to be specified in configuration or \
             the operator jwt",
        ),
    );
    let authorization =
        Authorization { auth_callout: Some(AuthCallout::default()), ..Authorization::default() };
    check_operated(
        Options { authorization, ..options.clone() },
        Err("operators do not allow authorization callouts to be configured directly"),
    );
    check_operated(
        Options { default_sentinel: Some("x".into()), ..options },
        Err("default sentinel JWT not valid"),
    );
    let named = operated(Operator { system_account: "A".into(), ..Operator::default() });
    check_operated(
        Options { system_account: Some("B".into()), ..named },
        Err("system_account in config and operator JWT must be identical"),
    );
}

#[test]
fn an_operator_may_ask_for_a_version() {
    let key = "OAAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQDZUE";
    for (asked, want) in [
        ("", None),
        ("2.15.1", None),
        ("1.99.99", None),
        ("2.14.9", None),
        ("3.0.0", Some("expected major version 3 > server major version 2")),
        ("2.16.0", Some("expected minor version 16 > server minor version 15")),
        ("2.15.2", Some("expected update version 2 > server update version 1")),
        (
            "2.15",
            Some(
                "expects version 2.15 got error instead: asserted server version must be of the form \
                 <major>.<minor>.<update>",
            ),
        ),
        (
            "2.x.1",
            Some("expects version 2.x.1 got error instead: asserted server version cant parse x to int"),
        ),
    ] {
        let options = operated(Operator { assert_server_version: asked.into(), ..Operator::default() });
        let want = want.map_or(Ok(()), |text| Err(format!("operator {key} {text}")));
        assert_eq!(check(&options, VERSION), want, "{asked}");
    }
}

#[test]
fn rules_are_judged_before_monitoring_and_that_before_what_is_not_built() {
    let mut options = Options { prof_port: 1, ..Options::default() };
    let refused = |options: &Options| may_start(options, VERSION).map_err(|refusal| refusal.to_string());
    let unbuilt = "the configuration uses `prof_port`, which natsx cannot do yet";
    assert_eq!(refused(&options), Err(unbuilt.to_owned()));
    (options.http_port, options.https_port) = (1, 2);
    let monitoring = "Can't start monitoring: can't specify both HTTP (1) and HTTPs (2) ports";
    assert_eq!(refused(&options), Err(monitoring.to_owned()));
    options.server_name = Some("a b".to_owned());
    assert_eq!(refused(&options), Err("server name cannot contain spaces".to_owned()));
    assert_eq!(refused(&Options::default()), Ok(()));
}
