//! What each flag does to the options.

use std::collections::HashSet;
use std::time::Duration;

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_terminator(' ').map(str::to_owned).collect()
}

fn values(line: &str) -> FlagValues {
    parse(&words(line)).unwrap().0
}

fn applied(line: &str, mut options: Options) -> Options {
    apply(&values(line), &mut options).unwrap();
    options
}

/// All lines together change default options exactly as `change` does.
#[track_caller]
fn check(lines: &[&str], change: impl Fn(&mut Options)) {
    for line in lines {
        let mut want = Options::default();
        change(&mut want);
        assert_eq!(applied(line, Options::default()), want, "{line}");
    }
}

#[track_caller]
fn check_refused(line: &str, want: &str) {
    let error = apply(&values(line), &mut Options::default()).unwrap_err();
    assert_eq!(error.to_string(), want, "{line}");
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_host_has_three_names() {
    check(&["-a h", "--addr h", "-net=h"], |options| options.host = "h".into());
}

#[test]
fn the_port_may_be_random() {
    check(&["-p 99", "--port=99"], |options| options.port = 99);
    check(&["-p -1", "-port -1"], |options| options.port = -1);
}

#[test]
fn the_server_name_has_three_names() {
    check(&["-n x", "--name x", "--server_name x"], |options| options.server_name = some("x"));
}

#[test]
fn the_pid_file() {
    check(&["-P /f", "--pid /f"], |options| options.pid_file = Some("/f".into()));
}

#[test]
fn the_monitoring_ports() {
    check(&["-m 1", "--http_port 1"], |options| options.http_port = 1);
    check(&["-ms 1", "--https_port 1"], |options| options.https_port = 1);
}

#[test]
fn what_is_asked_of_the_command() {
    let ask = |line: &str| parse(&words(line)).unwrap().1;
    for line in ["-c f", "--config f"] {
        assert_eq!(ask(line), Asks { config: Some("f".into()), ..Asks::default() });
    }
    for line in ["-sl reload=1", "--signal reload=1"] {
        assert_eq!(ask(line), Asks { signal: some("reload=1"), ..Asks::default() });
    }
    assert_eq!(ask("-t"), Asks { check: true, ..Asks::default() });
    assert_eq!(ask("-h"), Asks { help: true, ..Asks::default() });
    assert_eq!(ask("--version"), Asks { version: true, ..Asks::default() });
    assert_eq!(ask("--help_tls"), Asks { tls_help: true, ..Asks::default() });
    assert_eq!(ask("-t=false -c= -sl= -h=false -v=0"), Asks::default());
}

#[test]
fn the_client_advertise_address() {
    check(&["--client_advertise h:1"], |options| options.client_advertise = some("h:1"));
}

#[test]
fn the_ports_file_directory() {
    check(&["--ports_file_dir /d"], |options| options.ports_file_dir = Some("/d".into()));
}

#[test]
fn the_log_file_and_its_limit() {
    check(&["-l /f", "--log /f"], |options| options.log_file = Some("/f".into()));
    check(&["--log_size_limit 5000"], |options| options.logfile_size_limit = 5000);
}

#[test]
fn the_time_in_the_log() {
    check(&["-T=false", "--logtime=false"], |options| options.logtime = false);
    check(&["-T", ""], |_| ());
    check(&["--logtime_utc"], |options| options.logtime_utc = true);
}

#[test]
fn the_syslogs() {
    check(&["-s", "--syslog"], |options| options.syslog = true);
    check(&["-r udp://h:1", "--remote_syslog udp://h:1"], |options| {
        options.remote_syslog = some("udp://h:1")
    });
}

#[test]
fn debug_and_trace() {
    check(&["-D", "--debug", "-D=true"], |options| options.debug = true);
    check(&["-V", "--trace"], |options| options.trace = true);
    check(&["-VV"], |options| (options.trace, options.trace_verbose) = (true, true));
    check(&["-DV", "-D -V"], |options| (options.debug, options.trace) = (true, true));
    check(&["-DVV", "-D -VV"], |options| {
        (options.debug, options.trace, options.trace_verbose) = (true, true, true);
    });
    check(&["-DV=false -D -V", "-VV -VV=false", "-D -D=false"], |_| ());
}

#[test]
fn the_traced_length() {
    check(&["--max_traced_msg_len 10"], |options| options.max_traced_msg_len = 10);
}

#[test]
fn jetstream_and_its_directory() {
    check(&["-js", "--jetstream"], |options| options.jetstream.enabled = true);
    check(&["-sd /d", "--store_dir /d"], |options| options.store_dir = Some("/d".into()));
}

#[test]
fn user_password_and_token() {
    check(&["--user u --pass p", "-user=u -pass=p"], |options| {
        options.authorization.username = some("u");
        options.authorization.password = some("p");
    });
    check(&["--auth t"], |options| options.authorization.token = some("t"));
}

#[test]
fn tls_needs_certificate_and_key() {
    check_refused("--tls", "TLS Server certificate must be present and valid");
    check_refused("--tlsverify", "TLS Server certificate must be present and valid");
    check_refused("--tls --tlscert c", "TLS Server private key must be present and valid");
    check_refused("--tlscert c", "TLS Server private key must be present and valid");
}

#[test]
fn tls_flags_make_tls() {
    let tls = |verify| Tls {
        cert_file: Some("c".into()),
        key_file: Some("k".into()),
        ca_file: Some("a".into()),
        verify,
        ..Tls::default()
    };
    check(
        &["--tls --tlscert c --tlskey k --tlscacert a", "--tlscert c --tlskey k --tlscacert a"],
        |options| {
            options.tls = Some(tls(false));
        },
    );
    check(&["--tlsverify --tlscert c --tlskey k --tlscacert a"], |options| options.tls = Some(tls(true)));
}

#[test]
fn tls_flags_replace_the_files_tls_but_for_what_has_no_flag() {
    let from_file =
        Tls { cert_file: Some("x".into()), verify: true, timeout: Duration::from_secs(9), ..Tls::default() };
    let options = Options { tls: Some(from_file), ..Options::default() };
    let tls = applied("--tlscert c --tlskey k", options.clone()).tls.unwrap();
    assert_eq!((tls.cert_file, tls.verify, tls.timeout), (Some("c".into()), false, Duration::from_secs(9)));
}

#[test]
fn tls_false_drops_the_files_tls() {
    let options = Options { tls: Some(Tls::default()), ..Options::default() };
    assert_eq!(applied("--tls=false", options.clone()).tls, None);
    assert_eq!(applied("--tls=false --tlscert c", options).tls, None);
}

#[test]
fn a_cluster_url_gives_host_port_and_credentials() {
    for name in ["--cluster", "--cluster_listen"] {
        check(&[&format!("{name} nats://u:p@h:5"), &format!("{name}=nats://u:p@h:5")], |options| {
            options.cluster.host = some("h");
            options.cluster.port = 5;
            options.cluster.username = some("u");
            options.cluster.password = some("p");
        });
    }
    check(&["--cluster nats://[::1]:5"], |options| {
        options.cluster.host = some("::1");
        options.cluster.port = 5;
    });
    check(&["--cluster nats://:-1"], |options| options.cluster.port = -1);
}

#[test]
fn a_cluster_url_without_credentials_drops_the_files() {
    let mut options = Options::default();
    options.cluster.username = some("u");
    options.cluster.password = some("p");
    let cluster = applied("--cluster nats://h:5", options).cluster;
    assert_eq!((cluster.username, cluster.password), (None, None));
}

#[test]
fn an_empty_cluster_url_disables_clustering() {
    let mut options = Options::default();
    options.cluster.port = 6222;
    assert_eq!(applied("--cluster=", options).cluster.port, 0);
}

#[test]
fn wrong_cluster_urls_are_refused_in_the_references_words() {
    for (url, want) in [
        ("nats://u@h:5", "expected cluster password to be set"),
        ("nats://127.0.0.1", "address 127.0.0.1: missing port in address"),
        ("foo", "missing port in address"),
        ("nats://127.0.0.1:x", "parse \"nats://127.0.0.1:x\": invalid port \":x\" after host"),
        (":%zz", "parse \":%zz\": missing protocol scheme"),
        ("nats://127.0.0.1:-2", "parse \"nats://127.0.0.1:-2\": invalid port \":-2\" after host"),
        ("127.0.0.1:5", "parse \"127.0.0.1:5\": first path segment in URL cannot contain colon"),
        ("nats://u:p@127.0.0.1:", "EOF"),
        ("nats://[::1:5", "parse \"nats://[::1:5\": missing ']' in host"),
    ] {
        check_refused(&format!("--cluster {url}"), want);
    }
}

#[test]
fn the_clusters_other_flags() {
    check(&["--cluster_name x"], |options| options.cluster.name = some("x"));
    check(&["--cluster_advertise h:1"], |options| options.cluster.advertise = some("h:1"));
    check(&["--no_advertise", "--no_advertise=true"], |options| options.cluster.no_advertise = true);
    check(&["--connect_retries 3"], |options| options.cluster.connect_retries = 3);
}

#[test]
fn routes_are_urls_between_commas_and_need_a_cluster() {
    let args = ["--routes", "nats://a:1, nats://b:2", "--cluster", "nats://:6"].map(str::to_owned);
    let mut options = Options::default();
    options.cluster.routes = vec![Url::parse("nats://old:1").unwrap()];
    apply(&parse(&args).unwrap().0, &mut options).unwrap();
    let routes: Vec<String> = options.cluster.routes.iter().map(Url::to_string).collect();
    assert_eq!(routes, ["nats://a:1", "nats://b:2"]);
    assert_eq!(applied("--routes=", options).cluster.routes, []);
    check_refused("--routes nats://a:1", "solicited routes require cluster capabilities, e.g. --cluster");
}

#[test]
fn the_profile_port() {
    check(&["--profile 1"], |options| options.prof_port = 1);
}

#[test]
fn flags_override_what_the_file_said_as_often_as_it_is_read() {
    let given = values("-p 99 -D=false -n flag --no_advertise=false -js=false -T");
    for round in 0..2 {
        let mut options = Options { port: 1000 + round, debug: true, logtime: false, ..Options::default() };
        options.server_name = some("file");
        options.cluster.no_advertise = true;
        options.jetstream.enabled = true;
        options.max_payload = 5;
        apply(&given, &mut options).unwrap();
        assert_eq!(options.port, 99);
        assert_eq!(options.server_name.as_deref(), Some("flag"));
        assert!(
            !options.debug && options.logtime && !options.cluster.no_advertise && !options.jetstream.enabled
        );
        assert_eq!(options.max_payload, 5);
    }
}

#[test]
fn no_name_is_used_twice_and_each_is_in_the_usage_text() {
    let usage = usage("nats-server");
    let mut seen = HashSet::new();
    for flag in FLAGS.iter().flat_map(|group| group.flags) {
        for name in flag.names {
            assert!(seen.insert(*name), "{name}");
            let dashed = [format!(" -{name} "), format!(" -{name},"), format!(" -{name}\n")];
            let double = [format!("--{name} "), format!("--{name},"), format!("--{name}\n")];
            assert!(dashed.iter().chain(&double).any(|spelt| usage.contains(spelt)), "{name}");
        }
    }
    assert_eq!(seen.len(), 64);
}

#[test]
fn the_usage_text_has_one_column_for_names_and_one_for_help() {
    let usage = usage("nats-server");
    assert!(usage.starts_with(
        "\nUsage: nats-server [options]\n\nServer Options:\n    -a, --addr, --net <host>         Address"
    ));
    assert!(usage.contains("    -n, --name\n        --server_name <server_name>  Name"));
    assert!(usage.ends_with("        --help_tls                   Help about TLS\n\n"));
    for line in usage.lines().filter(|line| line.starts_with("    ") && line.len() > HELP_COLUMN) {
        let (left, right) = line.split_at(HELP_COLUMN);
        assert!(left.ends_with(' ') && !right.starts_with(' '), "{line}");
    }
}

#[test]
fn clap_takes_the_rows() {
    let mut command = command("serve");
    command.build();
    let long = |name: &str| command.get_arguments().any(|argument| argument.get_long() == Some(name));
    assert!(long("jetstream") && long("cluster_listen") && long("help_tls"));
    command.debug_assert();
}
