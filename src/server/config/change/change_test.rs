//! Reloads of general keys as tables: what is edited, and what the reference's log says about it.

use std::time::Duration;

use super::super::diagnose::Severity;
use super::super::load::Disk;
use super::super::options::{
    AuthCallout, DirResolver, HandshakeFirst, Ocsp, OcspCache, Operator, Options, Permissions, Resolver, Tls,
    User, UserIdentity, WriteTimeout,
};
use super::super::parse::parse;
use super::super::read::{DirectoryState, Files, read};
use super::test_server::{account, pinned, plain, seconds, some, tls, with};
use super::{Change, Effects, LogLine, Ports, Running, changes};

fn user(name: &str, password: &str) -> User {
    User {
        identity: UserIdentity::Password { username: name.into(), password: password.into() },
        permissions: None,
        account: None,
        allowed_connection_types: Vec::new(),
        proxy_required: false,
    }
}

fn nkey_user(key: &str) -> User {
    User { identity: UserIdentity::Nkey(key.into()), ..user("", "") }
}

#[test]
fn every_reload_checks_users_and_accounts_again() {
    let mut options = Options::default();
    options.settle();
    let changes = changes(&options, &options, &plain().running).unwrap();
    assert_eq!(changes, [Change::Users, Change::Accounts]);
    let lines: Vec<_> = changes.iter().flat_map(Change::log_lines).collect();
    let notice = |text: &str| LogLine::Notice(text.into());
    assert_eq!(lines, [notice("Reloaded: authorization users"), notice("Reloaded: accounts")]);
}

#[test]
fn log_levels_and_times() {
    plain().logs(|new| new.debug = true, &["Reloaded: debug = true"]);
    plain().logs(|new| new.trace = true, &["Reloaded: trace = true"]);
    plain().logs(|new| new.trace_verbose = true, &["Reloaded: trace_verbose = true"]);
    plain().logs(|new| new.trace_headers = true, &["Reloaded: trace_headers = true"]);
    plain().logs(|new| new.logtime = false, &["Reloaded: logtime = false"]);
    plain().logs(|new| new.logtime_utc = true, &["Reloaded: logtime_utc = true"]);
    plain().logs(|new| new.log_json = true, &["Reloaded: log_format = json"]);
    plain().logs(|new| new.max_traced_msg_len = 10, &["Reloaded: max_traced_msg_len = 10"]);
}

#[test]
fn log_targets_and_files() {
    plain().logs(|new| new.syslog = true, &["Reloaded: syslog = true"]);
    plain().logs(
        |new| new.remote_syslog = some("udp://127.0.0.1:9999"),
        &["Reloaded: remote_syslog = udp://127.0.0.1:9999"],
    );
    plain().logs(|new| new.log_file = Some("x.log".into()), &["Reloaded: log_file = x.log"]);
    plain().logs(|new| new.pid_file = Some("x.pid".into()), &["Reloaded: pid_file = x.pid"]);
    with(|old| old.pid_file = Some("x.pid".into())).logs(|new| new.pid_file = None, &[]);
    plain().logs(|new| new.ports_file_dir = Some(".".into()), &["Reloaded: ports_file_dir = ."]);
}

#[test]
fn connection_limits() {
    plain().logs(|new| new.max_connections = 10, &["Reloaded: max_connections = 10"]);
    with(|old| old.max_connections = 10)
        .logs(|new| new.max_connections = 0, &["Reloaded: max_connections = 65536"]);
    plain().logs(|new| new.max_control_line = 1000, &["Reloaded: max_control_line = 1000"]);
    plain().logs(|new| new.max_payload = 1000, &["Reloaded: max_payload = 1000"]);
    plain().logs(|new| new.ping_interval = seconds(90), &["Reloaded: ping_interval = 1m30s"]);
    plain().logs(|new| new.ping_max = 5, &["Reloaded: ping_max = 5"]);
    plain().logs(|new| new.write_deadline = seconds(5), &["Reloaded: write_deadline = 5s"]);
}

#[test]
fn client_advertise_is_checked_and_told() {
    plain().logs(|new| new.client_advertise = some("a.b:4222"), &["Reload: client_advertise = a.b:4222"]);
    with(|old| old.client_advertise = some("a:1"))
        .logs(|new| new.client_advertise = None, &["Reload: client_advertise = "]);
    plain().refuses_as(
        |new| new.client_advertise = some("a:b:c"),
        "invalid ClientAdvertise value of a:b:c, err=address a:b:c: too many colons in address",
    );
}

#[test]
fn reports_notes_and_stalling() {
    plain().logs(|new| new.prof_block_rate = 1, &["Reloaded: prof_block_rate = 1"]);
    plain().logs(|new| new.connect_error_reports = 7, &["Reloaded: connect_error_reports = 7"]);
    plain().logs(|new| new.reconnect_error_reports = 7, &["Reloaded: reconnect_error_reports = 7"]);
    plain().logs(|new| new.no_fast_producer_stall = true, &["Reloaded: fast producers will not be stalled"]);
    with(|old| old.no_fast_producer_stall = true)
        .logs(|new| new.no_fast_producer_stall = false, &["Reloaded: fast producers will be stalled"]);
    plain().logs(|new| new.server_tags = vec!["a".into()], &["Reloaded: tags"]);
    plain().logs(|new| new.server_metadata = [("a".into(), "b".into())].into(), &["Reloaded: metadata"]);
}

#[test]
fn authorization_of_a_single_user_or_token() {
    plain().logs(|new| new.authorization.username = some("a"), &["Reloaded: authorization username"]);
    plain().logs(|new| new.authorization.password = some("a"), &["Reloaded: authorization password"]);
    plain().logs(|new| new.authorization.token = some("a"), &["Reloaded: authorization token"]);
    plain().logs(
        |new| new.authorization.timeout = Some(Duration::from_millis(500)),
        &["Reloaded: authorization timeout = 0.5"],
    );
    plain().logs(|new| new.default_sentinel = some("eyJ"), &["Reloaded: default_sentinel = eyJ"]);
}

#[test]
fn users_and_accounts_are_always_reported_and_nkeys_when_they_differ() {
    plain().logs(|new| new.users = vec![user("a", "b")], &[]);
    plain().logs(|new| new.accounts = vec![account("A")], &[]);
    plain().logs(|new| new.users = vec![nkey_user("U1")], &["Reloaded: authorization nkey users"]);
    let server = with(|old| old.users = vec![nkey_user("U1"), nkey_user("U2"), user("a", "b")]);
    server.logs(|new| new.users = vec![user("a", "c"), nkey_user("U2"), nkey_user("U1")], &[]);
    server.logs(
        |new| new.users[0].permissions = Some(Permissions::default()),
        &["Reloaded: authorization nkey users"],
    );
    // Those of accounts refer to what is built anew each time.
    with(|old| old.users = vec![User { account: some("A"), ..nkey_user("U1") }])
        .logs(|_| {}, &["Reloaded: authorization nkey users"]);
}

#[test]
fn exports_imports_and_mappings_come_with_the_accounts() {
    let server = with(|old| old.accounts = vec![account("A"), account("B")]);
    let mut new = server.options.clone();
    new.accounts.pop();
    let found = changes(&server.options, &new, &server.running).unwrap();
    assert!(found.contains(&Change::Accounts));
    assert!(Effects::of(&found).authorization);
}

#[test]
fn no_auth_user_may_only_go_with_its_user() {
    let server = with(|old| {
        old.users = vec![user("a", "b")];
        old.no_auth_user = some("a");
    });
    server.refuses(|new| new.no_auth_user = None, "NoAuthUser", "a", "");
    server.refuses(|new| new.no_auth_user = some("c"), "NoAuthUser", "a", "c");
    server.logs(
        |new| {
            new.no_auth_user = None;
            new.users = vec![user("c", "d")];
        },
        &[],
    );
    plain().refuses(|new| new.no_auth_user = some("a"), "NoAuthUser", "", "a");
}

#[test]
fn listener_settings_are_refused() {
    plain().refuses(|new| new.host = "127.0.0.1".into(), "Host", "0.0.0.0", "127.0.0.1");
    plain().refuses(|new| new.port = 4333, "Port", "4222", "4333");
    plain().refuses(|new| new.server_name = some("x"), "ServerName", "", "x");
    plain().refuses(|new| new.http_host = some("127.0.0.1"), "HTTPHost", "0.0.0.0", "127.0.0.1");
    plain().refuses(|new| new.http_port = -1, "HTTPPort", "0", "-1");
    plain().refuses(|new| new.https_port = 8222, "HTTPSPort", "0", "8222");
    plain().refuses(|new| new.http_base_path = some("/x"), "HTTPBasePath", "", "/x");
    plain().refuses(|new| new.prof_port = 18333, "ProfPort", "0", "18333");
}

#[test]
fn a_port_left_to_the_system_is_kept() {
    let random = with(|old| old.port = -1);
    random.logs(|_| {}, &[]);
    random.logs(|new| new.port = 4222, &[]);
    random.refuses(|new| new.port = 4333, "Port", "4222", "4333");
    plain().logs(|new| new.port = -1, &[]);
}

#[test]
fn limits_that_need_a_restart_are_refused() {
    plain().refuses(|new| new.max_pending = 2 << 20, "MaxPending", "67108864", "2097152");
    plain().refuses(|new| new.max_subscriptions = 5, "MaxSubs", "0", "5");
    plain().refuses(|new| new.max_sub_tokens = 5, "MaxSubTokens", "0", "5");
    plain().refuses(|new| new.max_closed_clients = 5, "MaxClosedClients", "10000", "5");
    plain().refuses(|new| new.write_timeout = WriteTimeout::Close, "WriteTimeout", "", "close");
    with(|old| old.write_timeout = WriteTimeout::Close).refuses(
        |new| new.write_timeout = WriteTimeout::Retry,
        "WriteTimeout",
        "close",
        "retry",
    );
    plain().refuses(|new| new.lame_duck_duration = seconds(60), "LameDuckDuration", "2m0s", "1m0s");
    plain().refuses(|new| new.lame_duck_grace_period = seconds(5), "LameDuckGracePeriod", "10s", "5s");
    plain().refuses(|new| new.logfile_size_limit = 1000, "LogSizeLimit", "0", "1000");
    plain().refuses(|new| new.logfile_max_num = 2, "LogMaxFiles", "0", "2");
}

#[test]
fn switches_that_need_a_restart_are_refused() {
    plain().refuses(|new| new.proxy_protocol = true, "ProxyProtocol", "false", "true");
    plain().refuses(|new| new.allow_non_tls = true, "AllowNonTLS", "false", "true");
    plain().refuses(|new| new.no_header_support = true, "NoHeaderSupport", "false", "true");
    plain().refuses(|new| new.no_sublist_cache = true, "NoSublistCache", "false", "true");
    plain().refuses(|new| new.authorization.proxy_required = true, "ProxyRequired", "false", "true");
    plain().refuses(
        |new| new.feature_flags = [("a".into(), true), ("b".into(), false)].into(),
        "FeatureFlags",
        "map[]",
        "map[a:true b:false]",
    );
    plain().refuses(
        |new| {
            new.authorization.auth_callout = Some(AuthCallout {
                issuer: "AIS".into(),
                account: "A".into(),
                auth_users: vec!["auth".into()],
                ..AuthCallout::default()
            });
        },
        "AuthCallout",
        "<nil>",
        "&{AIS A [auth]  []}",
    );
}

#[test]
fn the_system_account_stays() {
    plain().refuses(|new| new.no_system_account = true, "NoSystemAccount", "false", "true");
    plain().refuses(|new| new.system_account = some("A"), "SystemAccount", "", "A");
    with(|old| old.system_account = some("A")).refuses(
        |new| new.system_account = None,
        "SystemAccount",
        "A",
        "",
    );
    with(|old| old.system_account = some("$SYS")).logs(|new| new.system_account = None, &[]);
    // An account of that name is the system account, named or not.
    with(|old| old.accounts = vec![account("$SYS")]).logs(|new| new.system_account = some("$SYS"), &[]);
}

#[test]
fn trust_and_resolver() {
    let keys = |list: &[&str]| list.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    plain().refuses(|new| new.trusted_keys = keys(&["O1"]), "TrustedKeys", "[]", "[O1]");
    with(|old| old.trusted_keys = keys(&["O1", "O2"]))
        .logs(|new| new.trusted_keys = keys(&["O2", "O1"]), &[]);
    let operator = Operator { token: "jwt".into(), key: "O1".into(), ..Operator::default() };
    plain().refuses(|new| new.operators = vec![operator], "TrustedOperators", "[]", "[O1]");
    let moved = "config reload does not support moving to or from an account resolver";
    plain().refuses_as(|new| new.resolver = Some(Resolver::Mem), moved);
    let memory = with(|old| old.resolver = Some(Resolver::Mem));
    memory.refuses_as(|new| new.resolver = None, moved);
    memory.logs(|new| new.resolver = Some(Resolver::Url("http://x".into())), &["Reloaded: accounts"]);
    memory.logs(|new| new.resolver_preload = [("A".into(), "jwt".into())].into(), &[]);
    let preload = |options: &mut Options| options.resolver_preload = [("A".into(), "jwt".into())].into();
    let holds_something = with(|old| {
        old.resolver = Some(Resolver::Mem);
        preload(old);
    });
    holds_something.logs(|_| {}, &["Reloaded: accounts"]);
    let directory = with(|old| old.resolver = Some(Resolver::Full(DirResolver::default())));
    directory.logs(|_| {}, &["Reloaded: accounts"]);
    plain().refuses(
        |new| new.default_js_domain = [("A".into(), "x".into())].into(),
        "JsAccDefaultDomain",
        "map[]",
        "map[A:x]",
    );
}

#[test]
fn tls_comes_and_goes_and_takes_its_timeouts_along() {
    plain().logs(
        |new| new.tls = Some(tls()),
        &["Reloaded: authorization timeout = 3", "Reloaded: tls = enabled"],
    );
    with(|old| old.tls = Some(Tls { timeout: seconds(5), pinned_certs: pinned(), ..tls() })).logs(
        |new| new.tls = None,
        &[
            "Reloaded: authorization timeout = 2",
            "Reloaded: tls timeout = 2",
            "Reloaded: tls = disabled",
            "Reloaded: 0 pinned_certs",
        ],
    );
}

#[track_caller]
fn check_tls(edit: impl FnOnce(&mut Tls), want: &[&str]) {
    with(|old| old.tls = Some(tls())).logs(|new| edit(new.tls.as_mut().unwrap()), want);
}

#[test]
fn tls_settings() {
    check_tls(|_| {}, &[]);
    check_tls(|new| new.cert_file = Some("c2.pem".into()), &["Reloaded: tls = enabled"]);
    check_tls(|new| new.verify = true, &["Reloaded: tls = enabled"]);
    check_tls(
        |new| new.timeout = Duration::from_millis(1500),
        &["Reloaded: authorization timeout = 2.5", "Reloaded: tls timeout = 1.5"],
    );
    check_tls(|new| new.pinned_certs = pinned(), &["Reloaded: 1 pinned_certs"]);
    check_tls(
        |new| new.handshake_first = HandshakeFirst::On,
        &["Reloaded: Client TLS handshake first: true"],
    );
    check_tls(
        |new| new.handshake_first = HandshakeFirst::Fallback(Duration::from_millis(50)),
        &[
            "Reloaded: Client TLS handshake first: true",
            "Reloaded: Client TLS handshake first fallback delay: 50ms",
        ],
    );
    let server = with(|old| old.tls = Some(tls()));
    server.refuses(|new| new.tls.as_mut().unwrap().verify_and_map = true, "TLSMap", "false", "true");
    server.refuses(|new| new.tls.as_mut().unwrap().connection_rate_limit = 5, "TLSRateLimit", "0", "5");
}

#[test]
fn tls_files_with_new_content_count_as_a_change() {
    let mut server = with(|old| old.tls = Some(tls()));
    server.logs(|_| {}, &[]);
    server.running.tls_files_changed = true;
    server.logs(|_| {}, &["Reloaded: tls = enabled"]);
}

#[test]
fn ocsp_and_proxies() {
    plain().logs(|new| new.ocsp = Some(Ocsp::default()), &["Reloaded: OCSP"]);
    plain().logs(|new| new.ocsp_cache = Some(OcspCache::default()), &["Reloaded OCSP peer cache"]);
    let keys = |list: &[&str]| Some(list.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    let added = "Reloaded: proxies trusted keys [\"U2\" \"U3\"] were added";
    let removed = "Reloaded: proxies trusted keys [\"U1\"] were removed";
    let server = with(|old| old.proxies_trusted = keys(&["U1"]));
    server.logs(|new| new.proxies_trusted = keys(&["U1", "U2", "U3"]), &[added]);
    server.logs(|new| new.proxies_trusted = keys(&["U2", "U3"]), &[removed, added]);
    // The reference crashes on these.
    server.logs(|new| new.proxies_trusted = None, &[removed]);
    plain().logs(|new| new.proxies_trusted = keys(&["U2", "U3"]), &[added]);
    plain().logs(|new| new.proxies_trusted = keys(&[]), &[]);
}

#[test]
fn the_first_refusal_in_the_references_order_wins_and_nothing_else_is_logged() {
    let edit = |new: &mut Options| {
        new.debug = true;
        new.max_pending = 128 << 20;
        new.host = "127.0.0.1".into();
    };
    plain().refuses(edit, "Host", "0.0.0.0", "127.0.0.1");
}

#[test]
fn changes_are_logged_in_the_references_order() {
    let edit = |new: &mut Options| {
        new.server_tags = vec!["x".into()];
        new.max_payload = 2000;
        new.ping_max = 9;
        new.logtime_utc = true;
        new.debug = true;
    };
    plain().logs(
        edit,
        &[
            "Reloaded: debug = true",
            "Reloaded: logtime_utc = true",
            "Reloaded: ping_max = 9",
            "Reloaded: max_payload = 2000",
            "Reloaded: tags",
        ],
    );
}

#[test]
fn effects_follow_from_changes() {
    let none = Effects::default();
    for (change, want) in [
        (Change::Trace(true), Effects { logging: true, trace: true, ..none }),
        (Change::Debug(true), Effects { logging: true, ..none }),
        (Change::Token, Effects { authorization: true, ..none }),
        (Change::ServerTags, Effects { statsz: true, ..none }),
        (Change::PingMax(1), none),
    ] {
        assert_eq!(Effects::of(std::slice::from_ref(&change)), want, "{change:?}");
    }
}

/// Nothing but the configuration itself.
struct Nowhere;

impl Files for Nowhere {
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

/// The settled options of a file's text, or why there are none.
fn options(text: &str) -> Result<Options, String> {
    let parsed = parse("x.conf", text.as_bytes(), &Disk);
    let (mut options, findings) = read("x.conf", &parsed.root, &Nowhere);
    let findings = parsed.findings.into_iter().chain(findings);
    let errors: Vec<_> = findings
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.line())
        .collect();
    options.settle();
    if errors.is_empty() { Ok(options) } else { Err(errors.join("\n")) }
}

fn said(old: &str, new: &str) -> Vec<String> {
    let old = options(old).unwrap();
    let found = options(new).and_then(|new| {
        let bound = |port: i32| if port == -1 { 55555 } else { port };
        let ports = Ports {
            client: bound(old.port),
            cluster: bound(old.cluster.port),
            gateway: bound(old.gateway.port),
            leafnodes: bound(old.leafnodes.port),
            websocket: bound(old.websocket.port),
            mqtt: bound(old.mqtt.port),
        };
        let running = Running { jetstream: old.jetstream.enabled, ports, ..Running::default() };
        changes(&old, &new, &running).map_err(|refusal| refusal.to_string())
    });
    match found {
        Err(error) => vec![format!("Failed to reload server configuration: {error}")],
        Ok(changes) => changes
            .iter()
            .filter(|change| **change != Change::Users)
            .flat_map(Change::log_lines)
            .map(|line| match line {
                LogLine::Notice(text) => text,
                LogLine::Warning(text) => format!("[WRN] {text}"),
            })
            .collect(),
    }
}

#[test]
fn reloads_say_what_the_reference_said() {
    let reloads = include_str!("../../../../tests/fixtures/config/reloads.jsonl");
    for line in reloads.lines() {
        let (old, new, want): (String, String, Vec<String>) = serde_json::from_str(line).unwrap();
        // A list of several findings ends with an empty line.
        let want: Vec<_> = want.into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(said(&old, &new), want, "from {old} to {new}");
    }
}
