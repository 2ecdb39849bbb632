//! TLS on the client port: after INFO, before it, or not at all; with certificates on both sides.

use std::io::{Read, Write};
use std::path::Path;

use rcgen::{CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::harness::pki::{Authority, Certified, params};
use crate::harness::python::script;
use crate::harness::secure::{Offer, Secure, open, read_line};
use crate::harness::trial::trials;
use crate::harness::{Nats, Raw, Server, Start, block_on, eventually};
use crate::tls_issuers::Twins;

trials! {
    Nothing => [
        tls_follows_info_on_the_same_socket,
        info_says_what_clients_may_and_must,
        tls_may_come_first,
        tls_first_falls_back_to_info,
        clients_may_stay_without_tls_where_they_are_allowed_to,
        what_is_no_handshake_ends_the_connection,
        half_a_handshake_is_waited_for_until_its_timeout,
        clients_without_a_certificate_are_refused_where_one_is_asked_for,
        certificates_of_other_authorities_and_for_servers_are_refused,
        chains_behind_intermediates_are_followed,
        home_made_certificates_are_taken_as_the_reference_takes_them,
        certificates_of_version_1_are_taken_from_clients,
        only_pinned_keys_are_let_in,
        pinned_keys_need_a_certificate,
        versions_and_suites_are_those_configured,
        curves_are_those_configured,
        the_certificate_is_chosen_by_the_name_asked_for,
        a_block_without_certificates_lets_nobody_in,
        handshakes_beyond_the_rate_are_turned_away,
        connections_beyond_the_maximum_are_told_so_before_tls,
        a_preamble_comes_before_the_handshake,
        flags_turn_tls_on,
        a_reload_changes_certificates_for_those_who_come_later,
        a_reload_turns_tls_off_and_on,
        a_reload_changes_when_tls_begins,
        the_ports_file_says_that_clients_need_tls,
        a_slow_reader_gets_everything_encrypted,
        a_stopping_server_says_goodbye,
        many_silent_handshakes_do_not_hold_up_others,
        the_rust_client_connects_in_every_way,
    ],
    Natsx => [
        suites_that_cannot_be_used_are_named,
        keys_that_cannot_be_used_are_named,
        renewed_files_are_taken_without_a_signal,
        expiry_is_told_and_warned_about,
        names_in_certificates_begin_no_line_of_the_log,
    ],
    Python => [
        the_python_client_connects_in_every_way,
    ],
    Reference => [
        every_kind_of_certificate_gets_the_answer_of_the_reference,
        every_kind_of_garbage_gets_the_answer_of_the_reference,
        every_subject_is_shown_and_mapped_as_the_reference_does,
        a_start_says_who_has_to_speak_tls,
    ],
}

const PAIR: &str = "cert_file: '$DIR/server.pem', key_file: '$DIR/server.key'";

/// A directory with `ca.pem` and `server.pem`, and who signed them.
pub(crate) fn directory() -> (TempDir, Authority) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authority = Authority::new("test authority");
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("a file");
    authority.server(&["localhost", "127.0.0.1"]).write(dir.path(), "server");
    (dir, authority)
}

/// A server with these keys in its `tls` block, and others behind it; it logs what it debugs.
#[track_caller]
pub(crate) fn server(tls: &str, others: &str) -> (Server, Authority) {
    let (dir, authority) = directory();
    (Start::config(&config(tls, others)).dir(dir).args(&["-D"]).start(), authority)
}

pub(crate) fn config(tls: &str, others: &str) -> String {
    format!("tls {{ {PAIR}\n{tls}\n}}\n{others}\n")
}

/// A server whose clients need a certificate.
#[track_caller]
fn verifying(tls: &str) -> (Server, Authority) {
    server(&format!("ca_file: '$DIR/ca.pem', verify: true\n{tls}"), "")
}

/// Whether a client with this certificate gets as far as a PONG.
pub(crate) fn is_let_in(server: &Server, offer: Offer) -> bool {
    let Ok(mut client) = Secure::connect(server.addr(), offer) else { return false };
    client.try_send("PING\r\n") && client.try_line().is_some_and(|line| line == "PONG")
}

fn info(line: &str) -> serde_json::Value {
    serde_json::from_str(line.strip_prefix("INFO ").expect("INFO comes first")).expect("INFO is JSON")
}

fn tls_follows_info_on_the_same_socket() {
    for (version, suite, want) in [
        (&TLS13, "TLS13_AES_128_GCM_SHA256", "TLS version 1.3, cipher suite TLS_AES_128_GCM_SHA256"),
        (
            &TLS12,
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS version 1.2, cipher suite TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ),
    ] {
        let (server, _) = server("", "");
        let mut client = Secure::connect(server.addr(), Offer::new().version(version)).expect("a handshake");
        assert_eq!(client.agreed().1, suite);
        client.send("CONNECT {\"verbose\":true}\r\nSUB a 1\r\nPUB a 2\r\nhi\r\n");
        let lines: Vec<String> = (0..5).map(|_| client.line()).collect();
        assert_eq!(lines, ["+OK", "+OK", "+OK", "MSG a 1 2", "hi"]);
        server.wait_order(&["Starting TLS client connection handshake", "TLS handshake complete", want]);
    }
}

fn info_says_what_clients_may_and_must() {
    for (tls, others, required, available, verify) in [
        ("", "", true, false, false),
        ("ca_file: '$DIR/ca.pem', verify: true", "", true, false, true),
        ("", "allow_non_tls: true", false, true, false),
    ] {
        let (server, _) = server(tls, others);
        let raw = Raw::greeted(&server);
        let says = |field: &str| raw.info_field(field).is_some_and(|value| value == true);
        let said = (says("tls_required"), says("tls_available"), says("tls_verify"));
        assert_eq!(said, (required, available, verify), "{tls} {others}");
    }
}

fn tls_may_come_first() {
    let (server, _) = server("handshake_first: true", "");
    let mut client = Secure::connect_first(server.addr(), Offer::new()).expect("a handshake");
    assert_eq!(info(&client.line())["tls_required"], true);
    client.sync();
    let mut silent = open(server.addr());
    silent.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("a time");
    assert!(silent.read(&mut [0; 1]).is_err(), "who says nothing is told nothing");
    let mut socket = open(server.addr());
    socket.write_all(b"PING\r\nPING\r\n").expect("the server listens");
    assert!(!read_line(&mut socket).starts_with("INFO"));
    server.wait_log("Client connection closed: TLS Handshake Failure");
}

fn tls_first_falls_back_to_info() {
    for first in ["auto", "auto_fallback", "'100ms'"] {
        let (server, _) = server(&format!("handshake_first: {first}"), "");
        let mut client = Secure::connect_first(server.addr(), Offer::new()).expect("a handshake");
        assert_eq!(info(&client.line())["tls_required"], true);
        client.sync();
        Secure::connect(server.addr(), Offer::new()).expect("a handshake behind INFO").sync();
    }
}

fn clients_may_stay_without_tls_where_they_are_allowed_to() {
    let (server, _) = server("", "allow_non_tls: true");
    Raw::connect(&server).sync();
    Secure::connect(server.addr(), Offer::new()).expect("a handshake").sync();
    server.wait_log("TLS handshake complete");
    assert_eq!(server.log().iter().filter(|line| line.contains("TLS handshake complete")).count(), 1);
    // With TLS first as well, INFO behind the handshake says that it was required.
    let (server, _) = self::server("handshake_first: auto", "allow_non_tls: true");
    let mut client = Secure::connect_first(server.addr(), Offer::new()).expect("a handshake");
    let first = info(&client.line());
    assert_eq!((&first["tls_required"], &first["tls_available"]), (&true.into(), &true.into()));
    // What it is told later is what everybody is told.
    client.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    assert_eq!(client.line(), "PONG");
    assert_eq!(info(&client.line()).get("tls_required"), None);
    let mut raw = Raw::greeted(&server);
    assert_eq!(raw.info_field("tls_required"), None);
    raw.send("CONNECT {\"verbose\":false}\r\n");
    raw.sync();
}

fn what_is_no_handshake_ends_the_connection() {
    let (server, _) = server("", "");
    for (bytes, level, want) in [
        (&b"CONNECT {}\r\n"[..], "[DBG]", "tls: first record does not look like a TLS handshake"),
        (b"\x80\x2e\x01\x03\x01\0\0", "[ERR]", "tls: unsupported SSLv2 handshake received"),
        (b"\x16\x03", "[ERR]", "unexpected EOF"),
        (b"", "[ERR]", "EOF"),
    ] {
        let mark = server.log_mark();
        let mut socket = open(server.addr());
        read_line(&mut socket);
        socket.write_all(bytes).expect("the server listens");
        socket.shutdown(std::net::Shutdown::Write).expect("the socket is open");
        let line = server.wait_log_after(mark, &format!("TLS handshake error: {want}"));
        assert!(line.contains(level), "{line}");
        server.wait_log_after(mark, "Client connection closed: TLS Handshake Failure");
    }
}

fn half_a_handshake_is_waited_for_until_its_timeout() {
    let (server, _) = server("timeout: 0.2", "");
    for begun in [&b""[..], b"\x16\x03\x01\x01\0\x01"] {
        let mark = server.log_mark();
        let mut socket = open(server.addr());
        read_line(&mut socket);
        socket.write_all(begun).expect("the server listens");
        assert_eq!(socket.read(&mut [0; 100]).ok(), Some(0), "closed without a word");
        let line = server.wait_log_after(mark, "TLS handshake error: read tcp ");
        assert!(line.contains("[DBG]") && line.ends_with(": i/o timeout"), "{line}");
        server.wait_log_after(mark, "Client connection closed: TLS Handshake Failure");
    }
}

fn clients_without_a_certificate_are_refused_where_one_is_asked_for() {
    let (server, authority) = verifying("");
    for version in [&TLS13, &TLS12] {
        let mark = server.log_mark();
        assert!(is_let_in(&server, Offer::new().version(version).certificate(&authority.client("ann"))));
        assert!(!is_let_in(&server, Offer::new().version(version)));
        server.wait_log_after(mark, "[ERR]");
        server.wait_log_after(mark, "TLS handshake error: tls: client didn't provide a certificate");
        let alert = if version == &TLS13 { "CertificateRequired" } else { "HandshakeFailure" };
        let heard = Secure::refusal(server.addr(), Offer::new().version(version));
        assert!(heard.contains(alert), "{heard}");
    }
}

fn certificates_of_other_authorities_and_for_servers_are_refused() {
    let (server, authority) = verifying("");
    let mut for_servers = params("bob", []);
    for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut expired = params("eve", []);
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut later = params("zoe", []);
    later.not_before = rcgen::date_time_ymd(2100, 1, 1);
    let mut critical = params("joe", []);
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    critical.custom_extensions.push(unknown);
    for (certificate, want) in [
        (
            Authority::new("another").client("ann"),
            "certificate signed by unknown authority (CN=ann SHA-256: ",
        ),
        (
            authority.sign(for_servers, &[]),
            "certificate specifies an incompatible key usage (CN=bob SHA-256: ",
        ),
        (authority.sign(expired, &[]), "certificate has expired or is not yet valid: current time "),
        (authority.sign(later, &[]), " is before 2100-01-01T00:00:00Z (CN=zoe SHA-256: "),
        (authority.sign(critical, &[]), "unhandled critical extension (CN=joe SHA-256: "),
    ] {
        let mark = server.log_mark();
        assert!(!is_let_in(&server, Offer::new().certificate(&certificate)), "{want}");
        server.wait_log_after(mark, "TLS handshake error: tls: failed to verify certificate: x509: ");
        server.wait_log_after(mark, want);
    }
}

fn chains_behind_intermediates_are_followed() {
    let (server, authority) = verifying("");
    let intermediate = authority.intermediate("between");
    let with_it = intermediate.sign(params("ann", []), &[&intermediate]);
    assert!(is_let_in(&server, Offer::new().certificate(&with_it)));
    let without = intermediate.sign(params("ann", []), &[]);
    assert!(!is_let_in(&server, Offer::new().certificate(&without)));
}

/// What scripts around `openssl` make: a certificate that could sign others, one for any purpose.
fn home_made_certificates_are_taken_as_the_reference_takes_them() {
    let (server, authority) = verifying("");
    let mut signs = params("signs", []);
    signs.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let mut any = params("any", []);
    any.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    for version in [&TLS13, &TLS12] {
        for certificate in [authority.sign(signs.clone(), &[]), authority.sign(any.clone(), &[])] {
            assert!(is_let_in(&server, Offer::new().version(version).certificate(&certificate)));
        }
    }
}

pub(crate) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
    std::fs::read_to_string(path).expect("a fixture")
}

fn certificates_of_version_1_are_taken_from_clients() {
    let (dir, _) = directory();
    std::fs::write(dir.path().join("ca.pem"), fixture("authority.pem")).expect("a file");
    let tls = config("ca_file: '$DIR/ca.pem', verify: true", "");
    let server = Start::config(&tls).dir(dir).start();
    let certified = Certified { chain: fixture("version1.pem"), key: fixture("version1.key") };
    for version in [&TLS13, &TLS12] {
        assert!(is_let_in(&server, Offer::new().version(version).certificate(&certified)));
    }
}

fn only_pinned_keys_are_let_in() {
    let (dir, authority) = directory();
    let (ann, bob) = (authority.client("ann"), authority.client("bob"));
    let tls = format!("ca_file: '$DIR/ca.pem', verify: true, pinned_certs: [\"{}\"]", ann.pin());
    let server = Start::config(&config(&tls, "")).dir(dir).args(&["-D"]).start();
    assert!(is_let_in(&server, Offer::new().certificate(&ann)));
    assert!(!is_let_in(&server, Offer::new().certificate(&bob)));
    server.wait_log(&format!("Failed pinned cert test for key id: {}", bob.pin()));
    server.wait_log("TLS handshake error: certificate not pinned");
}

fn pinned_keys_need_a_certificate() {
    let (server, _) = server(&format!("pinned_certs: [\"{}\"]", "ab".repeat(32)), "");
    assert!(!is_let_in(&server, Offer::new()));
    server.wait_log("Failed pinned cert test as client did not provide a certificate");
    server.wait_log("TLS handshake error: certificate not pinned");
}

fn versions_and_suites_are_those_configured() {
    let (new, _) = server("min_version: \"1.3\"", "");
    assert!(is_let_in(&new, Offer::new()) && !is_let_in(&new, Offer::new().version(&TLS12)));
    new.wait_log("TLS handshake error: tls: client offered only unsupported versions: [303]");
    let (strong, _) = server("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]", "");
    let agreed = |offer| Secure::connect(strong.addr(), offer).map(|client| client.agreed().1);
    let suite = agreed(Offer::new().version(&TLS12)).expect("a handshake");
    assert_eq!(suite, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert!(agreed(Offer::new().version(&TLS12).suites(|suite| suite.contains("AES_128"))).is_err());
    strong.wait_log("no cipher suite supported by both client and server; client offered: [");
    // Suites of TLS 1.3 are not chosen by that key.
    let suite = agreed(Offer::new().suites(|suite| suite.starts_with("TLS13_AES_128"))).expect("a handshake");
    assert_eq!(suite, "TLS13_AES_128_GCM_SHA256");
}

fn curves_are_those_configured() {
    let (server, _) = server("curve_preferences: [CurveP384]", "");
    assert!(is_let_in(&server, Offer::new().curves(|curve| curve == "secp384r1")));
    assert!(!is_let_in(&server, Offer::new().curves(|curve| curve == "X25519")));
    // Those that survive quantum computers are there unless others are named.
    let (server, _) = self::server("", "");
    assert!(is_let_in(&server, Offer::new().curves(|curve| curve == "X25519MLKEM768")));
    let (server, _) = self::server("curve_preferences: [X25519MLKEM768, SecP384r1MLKEM1024, CurveP521]", "");
    assert!(is_let_in(&server, Offer::new().curves(|curve| curve == "X25519MLKEM768")));
    assert!(!is_let_in(&server, Offer::new().curves(|curve| curve == "X25519")));
}

fn the_certificate_is_chosen_by_the_name_asked_for() {
    let (dir, authority) = directory();
    authority.server(&["a.example"]).write(dir.path(), "a");
    authority.server(&["*.b.example"]).write(dir.path(), "b");
    let pair = |name: &str| format!("{{ cert_file: '$DIR/{name}.pem', key_file: '$DIR/{name}.key' }}");
    let certs = format!("tls {{ certs: [ {}, {} ] }}", pair("a"), pair("b"));
    let server = Start::config(&certs).dir(dir).start();
    let shown = |name| {
        let client = Secure::connect(server.addr(), Offer::new().name(name)).expect("a handshake");
        client.server_chain()[0].clone()
    };
    assert_eq!(shown("a.example"), shown("nobody.example"), "the first stands for unknown names");
    assert_ne!(shown("a.example"), shown("x.b.example"));
}

fn a_block_without_certificates_lets_nobody_in() {
    let server = Start::config("tls { }").args(&["-D"]).start();
    assert!(!is_let_in(&server, Offer::new()));
    server.wait_log("TLS handshake error: tls: no certificates configured");
}

fn handshakes_beyond_the_rate_are_turned_away() {
    let (server, _) = server("connection_rate_limit: 2", "");
    let turned_away = |_: usize| {
        let mut socket = open(server.addr());
        assert!(read_line(&mut socket).starts_with("INFO"));
        let said = read_line(&mut socket);
        assert!(said.is_empty() || said.starts_with("-ERR"), "{said}");
        said == "-ERR 'Connection throttling is active. Please try again later.'"
    };
    // Those that may begin are not waited for: they time out in silence.
    let count = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|index| scope.spawn(move || turned_away(index))).collect();
        clients.into_iter().filter_map(|client| client.join().ok()).filter(|&away| away).count()
    });
    assert!((3..=5).contains(&count), "{count}");
    server.wait_log("Client connection closed: Maximum Connections Exceeded");
    // Once a second, and nobody is left out or told of twice.
    let rejected = |line: &String| {
        let (number, _) =
            line.split_once("[WRN] Rejected ")?.1.split_once(" connections due to TLS rate limiting")?;
        number.parse::<usize>().ok()
    };
    let told = eventually("all of them in the log", || {
        let told: Vec<_> = server.log().iter().filter_map(rejected).collect();
        (told.iter().sum::<usize>() >= count).then_some(told)
    });
    assert!(told.iter().sum::<usize>() == count && told.len() < count, "{told:?} of {count}");
}

fn connections_beyond_the_maximum_are_told_so_before_tls() {
    for (first, greeted) in [("", true), ("handshake_first: true", false)] {
        let (server, _) = server(first, "max_connections: 1");
        let one = open(server.addr());
        server.wait_log("Starting TLS client connection handshake");
        let mut other = open(server.addr());
        if greeted {
            assert!(read_line(&mut other).starts_with("INFO"));
        }
        assert_eq!(read_line(&mut other), "-ERR 'maximum connections exceeded'");
        server.wait_log("Client connection closed: Maximum Connections Exceeded");
        drop(one);
    }
}

fn a_preamble_comes_before_the_handshake() {
    let (server, _) = server("", "proxy_protocol: true");
    for preamble in ["", "PROXY TCP4 192.0.2.7 198.51.100.9 1234 4222\r\n"] {
        let mut socket = open(server.addr());
        assert_eq!(info(&read_line(&mut socket)).get("client_ip"), None);
        socket.write_all(preamble.as_bytes()).expect("the server listens");
        let mut client = Secure::upgrade(socket, Offer::new()).expect("a handshake");
        client.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
        assert_eq!(client.line(), "PONG");
        let want = if preamble.is_empty() { "127.0.0.1" } else { "192.0.2.7" };
        assert_eq!(info(&client.line())["client_ip"], want);
    }
    let mut socket = open(server.addr());
    read_line(&mut socket);
    socket.write_all(b"PROXY nonsense\r\n").expect("the server listens");
    server.wait_log("Error reading PROXY protocol header from 127.0.0.1:");
    server.wait_log("Client connection closed: Protocol Violation");
}

fn flags_turn_tls_on() {
    let (dir, authority) = directory();
    let flags = ["-D", "--tls", "--tlscert", "server.pem", "--tlskey", "server.key"];
    let server = Start::config("").dir(dir).args(&flags).start();
    assert!(is_let_in(&server, Offer::new()));
    let (dir, other) = directory();
    let verify = [&flags[..], &["--tlsverify", "--tlscacert", "ca.pem"]].concat();
    let server = Start::config("").dir(dir).args(&verify).start();
    assert!(is_let_in(&server, Offer::new().certificate(&other.client("ann"))));
    assert!(!is_let_in(&server, Offer::new().certificate(&authority.client("ann"))));
}

fn a_reload_changes_certificates_for_those_who_come_later() {
    let (server, authority) = server("", "");
    let mut old = Secure::connect(server.addr(), Offer::new()).expect("a handshake");
    authority.server(&["localhost"]).write(server.dir(), "server");
    let mark = server.log_mark();
    server.reload(&config("", ""));
    server.wait_log_after(mark, "Reloaded: tls = enabled");
    let new = Secure::connect(server.addr(), Offer::new()).expect("a handshake");
    assert_ne!(old.server_chain(), new.server_chain());
    old.sync();
}

fn a_reload_turns_tls_off_and_on() {
    let (server, _) = server("", "");
    let mut secure = Secure::connect(server.addr(), Offer::new()).expect("a handshake");
    server.reload("");
    server.wait_log("Reloaded: tls = disabled");
    let mut plain = Raw::connect(&server);
    assert_eq!(plain.info_field("tls_required"), None);
    server.reload(&config("", ""));
    server.wait_log("Reloaded: tls = enabled");
    assert!(is_let_in(&server, Offer::new()));
    secure.sync();
    plain.sync();
}

fn a_reload_changes_when_tls_begins() {
    let (server, _) = server("", "");
    server.reload(&config("handshake_first: true", ""));
    server.wait_log("Reloaded: Client TLS handshake first: true");
    let mut client = Secure::connect_first(server.addr(), Offer::new()).expect("a handshake");
    assert!(client.line().starts_with("INFO"));
}

fn the_ports_file_says_that_clients_need_tls() {
    let (server, _) = server("", "ports_file_dir: '$DIR'");
    let file = eventually("the ports file", || {
        let mut files = std::fs::read_dir(server.dir()).ok()?.filter_map(|file| Some(file.ok()?.path()));
        let file = files.find(|file| file.extension().is_some_and(|ending| ending == "ports"))?;
        std::fs::read_to_string(file).ok().filter(|text| !text.is_empty())
    });
    let url = format!("tls://{}", server.addr());
    assert!(file.contains(&url), "{file}");
}

/// More than sockets hold, so that ciphertext waits for its socket, with a reader that is late.
fn a_slow_reader_gets_everything_encrypted() {
    const MESSAGES: usize = 400;
    const BYTES: usize = 50_000;
    for version in [&TLS13, &TLS12] {
        let (server, _) = server("", "");
        let offer = Offer::new().version(version);
        let mut reader = Secure::connect(server.addr(), offer.clone()).expect("a handshake");
        reader.send("CONNECT {\"verbose\":false}\r\nSUB a 1\r\n");
        reader.sync();
        let mut writer = Secure::connect(server.addr(), offer).expect("a handshake");
        writer.send("CONNECT {\"verbose\":false}\r\n");
        for at in 0..MESSAGES {
            let mut payload = vec![u8::try_from(at % 251).unwrap(); BYTES];
            payload.splice(0..0, format!("PUB a {BYTES}\r\n").into_bytes());
            payload.extend_from_slice(b"\r\n");
            writer.send(payload);
        }
        writer.sync();
        for at in 0..MESSAGES {
            assert_eq!(reader.line(), format!("MSG a 1 {BYTES}"));
            let payload = reader.bytes(BYTES + 2).expect("the payload");
            assert!(payload[..BYTES].iter().all(|&byte| usize::from(byte) == at % 251), "message {at}");
        }
        reader.sync();
    }
}

fn a_stopping_server_says_goodbye() {
    let (server, _) = server("", "");
    let mut client = Secure::connect(server.addr(), Offer::new()).expect("a handshake");
    client.sync();
    let half = open(server.addr());
    server.wait_log("TLS handshake complete");
    server.signal(crate::harness::Signal::Terminate);
    assert_eq!(client.ended(), Ok(()), "closed with a goodbye");
    server.wait_log("Server Exiting..");
    drop(half);
}

fn many_silent_handshakes_do_not_hold_up_others() {
    let (mut server, _) = server("timeout: 30", "");
    let begun: Vec<_> = (0..1000)
        .map(|index| {
            let mut socket = open(server.addr());
            if index % 2 == 0 {
                socket.write_all(b"\x16\x03\x01\x01\0\x01\0\0").expect("the server listens");
            }
            socket
        })
        .collect();
    let mut client = Secure::connect(server.addr(), Offer::new()).expect("a handshake");
    client.sync();
    drop(begun);
    let closed = "Client connection closed: TLS Handshake Failure";
    eventually("the end of all of them", || {
        (server.log().iter().filter(|line| line.contains(closed)).count() == 1000).then_some(())
    });
    client.sync();
    assert!(server.alive());
}

fn the_rust_client_connects_in_every_way() {
    block_on(async {
        let (dir, authority) = directory();
        authority.client("ann").write(dir.path(), "ann");
        Authority::new("stranger").client("eve").write(dir.path(), "eve");
        let tls = "ca_file: '$DIR/ca.pem', verify: true, handshake_first: auto";
        let server = Start::config(&config(tls, "")).dir(dir).start();
        let file = |name: &str| server.dir().join(name);
        for first in [false, true] {
            let options = async_nats::ConnectOptions::new()
                .require_tls(true)
                .add_root_certificates(file("ca.pem"))
                .add_client_certificate(file("ann.pem"), file("ann.key"));
            let options = if first { options.tls_first() } else { options };
            Nats::connect_with(options, &[&server]).await.flush().await;
        }
        // Without a certificate, and with a stranger's.
        let plain =
            || async_nats::ConnectOptions::new().require_tls(true).add_root_certificates(file("ca.pem"));
        let stranger = plain().add_client_certificate(file("eve.pem"), file("eve.key"));
        for options in [plain(), stranger] {
            assert!(options.connect(server.url()).await.is_err());
        }
    });
}

fn the_python_client_connects_in_every_way() {
    let (dir, authority) = directory();
    authority.client("ann").write(dir.path(), "ann");
    Authority::new("stranger").client("eve").write(dir.path(), "eve");
    let tls = "ca_file: '$DIR/ca.pem', verify: true, handshake_first: auto";
    let server = Start::config(&config(tls, "")).dir(dir).start();
    script("tls", &[&server]);
}

fn suites_that_cannot_be_used_are_named() {
    for (tls, want) in [
        (
            "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
            "cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        ),
        (
            "cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256], allow_insecure_cipher_suites: true",
            "cipher suite TLS_RSA_WITH_AES_128_GCM_SHA256",
        ),
    ] {
        let (dir, _) = directory();
        let log = Start::config(&config(tls, "")).dir(dir).refused().expect("a refusal");
        assert!(log.iter().any(|line| line.contains(&format!("tls: {want} cannot be used: "))), "{log:?}");
    }
}

fn keys_that_cannot_be_used_are_named() {
    let (dir, _) = directory();
    Certified { chain: fixture("rsa1024.pem"), key: fixture("rsa1024.key") }.write(dir.path(), "server");
    let log = Start::config(&config("", "")).dir(dir).refused().expect("a refusal");
    let want = "server.key: the key is of a kind that natsx cannot sign with (RSA of 1024 bits)";
    assert!(log.iter().any(|line| line.contains(want)), "{log:?}");
}

fn renewed_files_are_taken_without_a_signal() {
    let (server, authority) = server("", "");
    let shown =
        || Secure::connect(server.addr(), Offer::new()).map(|client| client.server_chain()[0].clone());
    let before = shown().expect("a handshake");
    let renewed = authority.server(&["localhost"]);
    // The certificate is there before its key: nothing is taken until both are.
    std::fs::write(server.dir().join("server.pem"), &renewed.chain).expect("a file");
    server.wait_log(
        "those before stay in use: error parsing X509 certificate/key pair: tls: private key does not",
    );
    assert_eq!(shown().expect("a handshake"), before);
    let half = renewed.chain.get(..renewed.chain.len() / 2).expect("text");
    for (broken, complaint) in [
        (half, "tls: failed to find any PEM data in certificate input"),
        (&renewed.key, "PEM inputs may have been"),
    ] {
        let mark = server.log_mark();
        std::fs::write(server.dir().join("server.pem"), broken).expect("a file");
        let line =
            server.wait_log_after(mark, "those before stay in use: error parsing X509 certificate/key pair");
        assert!(line.contains(complaint), "{line}");
        assert_eq!(shown().expect("a handshake"), before);
    }
    renewed.write(server.dir(), "server");
    server.wait_log("Certificate files have changed: new connections use the new ones");
    assert_ne!(shown().expect("a handshake"), before);
    // Switched off, files are left alone until a reload.
    let mark = server.log_mark();
    server.reload(&config("", "watch_certificates: false"));
    server.wait_log_after(mark, "Reloaded: watch_certificates = false");
}

fn expiry_is_told_and_warned_about() {
    let (dir, authority) = directory();
    let mut soon = params("localhost", []);
    soon.not_after = std::time::SystemTime::now()
        .checked_add(std::time::Duration::from_secs(86_400 * 11 / 2))
        .unwrap()
        .into();
    authority.sign(soon, &[]).write(dir.path(), "soon");
    let pair = |name: &str| format!("{{ cert_file: '$DIR/{name}.pem', key_file: '$DIR/{name}.key' }}");
    let certs = format!("tls {{ certs: [ {}, {} ] }}", pair("server"), pair("soon"));
    let server = Start::config(&certs).dir(dir).start();
    let line = server.wait_log("server.pem expires on ");
    assert!(line.contains("[INF] Certificate "), "{line}");
    let line = server.wait_log("soon.pem expires on ");
    assert!(line.contains("[WRN] Certificate ") && line.ends_with(", in 5 days"), "{line}");
}

fn names_in_certificates_begin_no_line_of_the_log() {
    let (server, _) = verifying("");
    let forger = Authority::new("another").client("x\n[1] 2026/11/29 20:00:00.000000 [INF] forged");
    assert!(!is_let_in(&server, Offer::new().certificate(&forger)));
    let line = server.wait_log("forged");
    assert!(line.contains("[ERR]") && line.contains("CN=x\\n[1] "), "{line}");
}

const MAPPED: &str = "authorization { users: [\n\
    { user: 'ann@example.com', permissions: { publish: mail } }\n\
    { user: 'a.example', permissions: { publish: dns } }\n\
    { user: 'spiffe://example/ann', permissions: { publish: uri } }\n\
    { user: 'CN=ann,OU=people,O=ex', permissions: { publish: dn } }\n\
    { user: 'O=ex,CN=bob,OU=people', permissions: { publish: set } }\n\
    { user: 'CN=eve', permissions: { publish: text } }\n\
    { user: 'CN=x\\\\,y,O=\\\\#1', permissions: { publish: odd } }\n] }";

/// A certificate with this subject and these alternative names.
fn certificate(authority: &Authority, subject: &[(DnType, &str)], names: Vec<SanType>) -> Certified {
    let mut params = params("", names);
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    authority.sign(params, &[])
}

fn mail(address: &str) -> SanType {
    SanType::Rfc822Name(address.try_into().expect("an ASCII address"))
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("an ASCII address"))
}

/// CONNECT with a certificate, then a PUB to each subject that some user may publish to: the one that is
/// not refused says who the client has become.
fn becomes(server: &Server, certified: &Certified) -> Vec<String> {
    let offer = Offer::new().certificate(certified);
    let Ok(mut client) = Secure::connect(server.addr(), offer) else { return vec!["refused".into()] };
    let subjects = ["mail", "dns", "uri", "dn", "set", "text", "odd"];
    let publishes: String = subjects.iter().map(|subject| format!("PUB {subject} 0\r\n\r\n")).collect();
    client.try_send(format!("CONNECT {{\"verbose\":false}}\r\n{publishes}PING\r\n"));
    let mut left: Vec<String> = subjects.map(str::to_owned).to_vec();
    while let Some(line) = client.try_line() {
        match line.strip_prefix("-ERR 'Permissions Violation for Publish to \"") {
            Some(rest) => left.retain(|subject| !rest.starts_with(&format!("{subject}\""))),
            None if line == "PONG" => return left,
            None => return vec![line],
        }
    }
    vec!["closed".into()]
}

fn a_start_says_who_has_to_speak_tls() {
    let first = "[WRN] Clients that are not using \"TLS Handshake First\" option will fail to connect";
    let required = "[INF] TLS required for client connections";
    for (tls, others, want) in [
        ("", "", &[required][..]),
        ("", "allow_non_tls: true", &["[INF] TLS available for client connections"]),
        ("handshake_first: true", "allow_non_tls: true", &[required, first]),
        ("handshake_first: auto", "", &[required]),
    ] {
        for is_reference in [true, false] {
            let start = Start::config(&config(tls, others)).dir(directory().0);
            let server = if is_reference { start.reference() } else { start }.start();
            let log = server.log();
            let told = log.iter().filter_map(|line| line.get(line.find(" [")? + 1..));
            let told: Vec<&str> = told.filter(|text| text.contains("TLS ")).collect();
            assert_eq!(told, want, "{tls} {others} reference: {is_reference}");
        }
    }
}

fn every_kind_of_certificate_gets_the_answer_of_the_reference() {
    let (twins, authority) = Twins::start("ca_file: '$DIR/ca.pem', verify: true");
    let between = authority.intermediate("between");
    let mut kinds: Vec<(&str, Option<Certified>)> = vec![
        ("none", None),
        ("good", Some(authority.client("ann"))),
        ("stranger's", Some(Authority::new("another").client("ann"))),
        ("namesake's", Some(Authority::new("test authority").client("ann"))),
        ("chain", Some(between.sign(params("ann", []), &[&between]))),
        ("chain with a gap", Some(between.sign(params("ann", []), &[]))),
        ("signed by a leaf", Some(leaf_as_authority(&authority))),
    ];
    type Change = fn(&mut rcgen::CertificateParams);
    let changes: [(&str, Change); 5] = [
        ("expired", |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1)),
        ("not yet valid", |params| params.not_before = rcgen::date_time_ymd(2100, 1, 1)),
        ("for servers", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ("for anything", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        ("authority", |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
    ];
    for (kind, change) in changes {
        let mut params = params("ann", []);
        change(&mut params);
        kinds.push((kind, Some(authority.sign(params, &[]))));
    }
    for (kind, certified) in kinds {
        for version in [&TLS13, &TLS12] {
            let mut offer = Offer::new().version(version);
            if let Some(certified) = &certified {
                offer = offer.certificate(certified);
            }
            twins.compare(kind, |server| is_let_in(server, offer.clone()));
        }
    }
}

/// A certificate whose signer was not made to sign.
fn leaf_as_authority(authority: &Authority) -> Certified {
    let leaf = authority.not_an_authority("leaf");
    leaf.sign(params("ann", []), &[&leaf])
}

fn every_subject_is_shown_and_mapped_as_the_reference_does() {
    let tls = format!("ca_file: '$DIR/ca.pem', verify_and_map: true\n}}\n{MAPPED}\nfeature_flags {{");
    let (twins, authority) = Twins::start(&tls);
    let stranger = Authority::new("another");
    let uid = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
    let dc = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    let serial = DnType::CustomDnType(vec![2, 5, 4, 5]);
    let street = DnType::CustomDnType(vec![2, 5, 4, 9]);
    let subjects: Vec<Vec<(DnType, &str)>> = vec![
        vec![],
        vec![(DnType::CommonName, "x,y"), (DnType::OrganizationName, "#1")],
        vec![(DnType::CommonName, " a+b;<c>\\\"d ")],
        vec![(DnType::CountryName, "DE"), (DnType::LocalityName, "Köln"), (DnType::CommonName, "ann")],
        vec![(uid.clone(), "7"), (DnType::CommonName, "ann")],
        vec![(uid, "#ä, b "), (DnType::CommonName, "ann")],
        vec![(dc, "example"), (DnType::CommonName, "ann")],
        vec![(serial, "12"), (street, "s"), (DnType::StateOrProvinceName, "NRW"), (DnType::CommonName, "")],
        vec![
            (DnType::OrganizationName, "ex"),
            (DnType::OrganizationalUnitName, "people"),
            (DnType::CommonName, "ann"),
        ],
    ];
    for subject in subjects {
        for signer in [&authority, &stranger] {
            let certified = certificate(signer, &subject, vec![]);
            twins.compare(&format!("{subject:?}"), |server| becomes(server, &certified));
        }
    }
    let between = authority.intermediate("between");
    let certified = between.sign(params("ann", []), &[&between]);
    twins.compare("behind an intermediate", |server| becomes(server, &certified));
    let uris = [
        "spiffe://example/ann?x=1#y",
        "SPIFFE://Example/ann",
        "spiffe://example/a%20b/%7Euser",
        "spiffe://example/a%2Fb",
        "spiffe://user:pass@example:80/",
        "urn:x:%41",
        "http://example?",
        "/path only",
    ];
    let uris = uris.into_iter().map(|text| vec![uri(text)]);
    for names in uris.chain([vec![mail("a@b"), mail("ann@example.com")]]) {
        let certified = certificate(&authority, &[], names.clone());
        twins.compare(&format!("{names:?}"), |server| becomes(server, &certified));
    }
}

fn every_kind_of_garbage_gets_the_answer_of_the_reference() {
    let (twins, _) = Twins::start("timeout: 0.3");
    let hello = |length: u8| [&[0x16, 3, 1, 0, length][..], &vec![b'a'; length.into()]].concat();
    for bytes in [
        b"CONNECT {}\r\nPING\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"\x80\x2e\x01\x03\x01\0\0\0\0".to_vec(),
        b"\x16\x03\x01".to_vec(),
        b"\x15\x03\x01\0\x02\x02\x28".to_vec(),
        b"\x17\x03\x03\0\x10aaaaaaaaaaaaaaaa".to_vec(),
        b"\x16\x20\x01\0\x10aaaaaaaaaaaaaaaa".to_vec(),
        hello(16),
        Vec::new(),
        // Alerts; messages of other kinds; records and messages of wrong lengths.
        b"\x15\x03\x01\0\x02\x02\0".to_vec(),
        b"\x15\x03\x01\0\x02\x02\xff".to_vec(),
        b"\x16\x03\x01\0\x04\0\0\0\0".to_vec(),
        b"\x16\x03\x03\0\x04\x63\0\0\0".to_vec(),
        [&b"\x16\x03\x03\0\x10\x14\0\0\x0c"[..], b"aaaaaaaaaaaa"].concat(),
        b"\x16\x03\x01\0\x08\x01\0\0\x04\x03\x03aa".to_vec(),
        b"\x16\x03\x01\x48\x01".to_vec(),
        b"\x16\x03\x01\0\0".to_vec(),
    ] {
        for ends in [true, false] {
            let what = format!("{} ends: {ends}", bytes.escape_ascii());
            twins.compare(&what, |server| {
                let mut socket = open(server.addr());
                read_line(&mut socket);
                socket.write_all(&bytes).expect("the server listens");
                if ends {
                    socket.shutdown(std::net::Shutdown::Write).expect("the socket is open");
                }
                let mut answer = Vec::new();
                // A reset says no more than an end.
                let _ = socket.read_to_end(&mut answer);
                answer
            });
        }
    }
}
