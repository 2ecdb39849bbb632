//! OCSP: answers stapled to the server's certificate, and questions about clients' certificates.

use tempfile::TempDir;

use crate::harness::pki::{Authority, Certified, params, san};
use crate::harness::responder::{Responder, Says, must_staple, responder_at};
use crate::harness::secure::{Offer, Secure};
use crate::harness::trial::trials;
use crate::harness::{Server, Start, eventually};

trials! {
    Nothing => [
        certificates_that_demand_a_staple_get_one,
        other_certificates_get_a_staple_where_always_is_asked_for,
        never_staples_nothing,
        a_server_without_an_answer_does_not_start,
        a_revoked_certificate_does_not_start_where_it_must_be_good,
        an_answer_that_is_stored_is_not_asked_for_again,
        answers_that_are_none_are_refused,
        configured_responders_are_asked_instead,
        responders_that_take_no_post_are_asked_by_get,
        a_server_stops_when_its_certificate_is_revoked,
        a_reload_switches_stapling_on,
        clients_are_let_in_by_what_their_responder_says,
        who_is_turned_away_hears_it_in_the_handshake,
        a_responder_that_does_not_answer_lets_in_whom_the_rules_say,
        a_responder_that_keeps_silent_holds_up_only_those_who_need_it,
        answers_about_clients_are_kept_as_the_cache_says,
        revoked_clients_stay_known_where_the_cache_preserves_them,
        the_cache_is_written_to_its_file_and_read_back,
        answers_of_delegates_count_where_they_may_sign,
        peers_are_checked_only_with_client_certificates,
        clients_that_are_turned_away_are_told_of_in_the_system_account,
        a_reload_switches_the_check_of_clients_on,
    ],
    Natsx => [
        a_wish_that_is_not_heeded_is_warned_about,
    ],
    Reference => [
        only_the_chain_that_was_accepted_is_asked_about,
    ],
}

struct World {
    dir: TempDir,
    authority: Authority,
    responder: Responder,
}

impl World {
    /// A directory with `ca.pem` and `server.pem`, whose certificate names a responder and demands a staple.
    fn new(demands: bool) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("test authority");
        let responder = Responder::start(authority.key(), None);
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("a file");
        let world = Self { dir, authority, responder };
        world.certificate(demands).write(world.dir.path(), "server");
        world
    }

    fn certificate(&self, demands: bool) -> Certified {
        let mut params = params("localhost", ["localhost", "127.0.0.1"].map(san));
        params.custom_extensions.push(responder_at(&self.responder.url()));
        if demands {
            params.custom_extensions.push(must_staple());
        }
        self.authority.sign(params, &[])
    }

    fn start(self, ocsp: &str) -> Start {
        Start::config(&config(ocsp)).dir(self.dir).args(&["-D"])
    }
}

fn config(ocsp: &str) -> String {
    format!(
        "store_dir: '$DIR/store'\n\
         tls {{ cert_file: '$DIR/server.pem', key_file: '$DIR/server.key', ca_file: '$DIR/ca.pem' }}\n{ocsp}\n"
    )
}

/// The answer that a client is shown; empty where none is stapled.
fn staple(server: &Server) -> Vec<u8> {
    Secure::connect(server.addr(), Offer::new()).expect("a handshake").staple()
}

#[track_caller]
fn refused(start: Start, want: &str) {
    let log = start.refused().expect("a refusal");
    assert!(log.iter().any(|line| line.contains(want)), "{want}: {}", log.join("\n"));
}

fn certificates_that_demand_a_staple_get_one() {
    for ocsp in ["", "ocsp: auto", "ocsp: true", "ocsp { mode: must }", "ocsp { mode: always }"] {
        let ocsp = if ocsp == "ocsp: auto" { "ocsp { mode: auto }" } else { ocsp };
        let server = World::new(true).start(ocsp).start();
        assert!(!staple(&server).is_empty(), "{ocsp}");
        server.wait_log("OCSP Stapling enabled for Client connections");
        server.wait_log("Found OCSP status for Client certificate at '");
        server.wait_log(": good, next update ");
    }
}

fn other_certificates_get_a_staple_where_always_is_asked_for() {
    for (ocsp, stapled) in [("", false), ("ocsp { mode: must }", false), ("ocsp { mode: always }", true)] {
        let server = World::new(false).start(ocsp).start();
        assert_eq!(!staple(&server).is_empty(), stapled, "{ocsp}");
    }
}

fn never_staples_nothing() {
    for ocsp in ["ocsp: false", "ocsp { mode: never }"] {
        let world = World::new(true);
        let responder = world.responder.clone();
        let server = world.start(ocsp).start();
        assert!(staple(&server).is_empty());
        assert_eq!(responder.asked().len(), 0);
    }
}

/// The reference says it before it has a log.
fn a_wish_that_is_not_heeded_is_warned_about() {
    let server = World::new(true).start("ocsp: false").start();
    server.wait_log("has MustStaple but OCSP is disabled");
}

fn a_server_without_an_answer_does_not_start() {
    for (says, want) in [
        (Says::Nothing, "exhausted ocsp servers: non-ok http status on POST request (reqlen="),
        (Says::Garbage, "failed to get remote status: "),
    ] {
        let world = World::new(true);
        world.responder.says(says);
        refused(world.start(""), want);
    }
}

fn a_revoked_certificate_does_not_start_where_it_must_be_good() {
    for (says, word) in [(Says::Revoked, "revoked"), (Says::Unknown, "unknown")] {
        let world = World::new(true);
        world.responder.says(says);
        let want = format!("server.pem': {word}");
        refused(world.start("ocsp { mode: must }"), &want);
        // Otherwise the answer is shown as it is.
        let world = World::new(true);
        world.responder.says(says);
        let server = world.start("").start();
        assert!(!staple(&server).is_empty());
    }
}

fn an_answer_that_is_stored_is_not_asked_for_again() {
    let world = World::new(true);
    let responder = world.responder.clone();
    let server = world.start("").start();
    let first = staple(&server);
    let folder = server.dir().join("store/ocsp");
    let stored = eventually("a stored answer", || {
        let file = std::fs::read_dir(&folder).ok()?.next()?.ok()?.path();
        (file.file_name()?.len() == 64).then(|| std::fs::read(file).ok())?
    });
    assert_eq!(stored, first);
    let copy = tempfile::tempdir().expect("a temporary directory");
    for name in ["server.pem", "server.key", "ca.pem"] {
        std::fs::copy(server.dir().join(name), copy.path().join(name)).expect("a copy");
    }
    std::fs::create_dir_all(copy.path().join("store/ocsp")).expect("a folder");
    let name = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().file_name();
    std::fs::write(copy.path().join("store/ocsp").join(name), &stored).expect("a file");
    responder.says(Says::Nothing);
    let other = Start::config(&config("")).dir(copy).start();
    assert_eq!(staple(&other), first);
}

fn answers_that_are_none_are_refused() {
    let world = World::new(true);
    world.responder.holds(Some(-5));
    refused(world.start(""), "invalid ocsp NextUpdate, is past time: ");
    // Somebody else's signature.
    let mut world = World::new(true);
    let stranger = Responder::start(Authority::new("another").key(), None);
    world.responder = stranger;
    world.certificate(true).write(world.dir.path(), "server");
    refused(world.start(""), "failed to get remote status: ");
}

fn configured_responders_are_asked_instead() {
    let world = World::new(true);
    let (named, other) = (world.responder.clone(), Responder::start(world.authority.key(), None));
    let server = world.start(&format!("ocsp {{ mode: auto, url: '{}' }}", other.url())).start();
    assert!(!staple(&server).is_empty());
    assert_eq!((named.asked().len(), other.asked().is_empty()), (0, false));
}

fn responders_that_take_no_post_are_asked_by_get() {
    let world = World::new(true);
    world.responder.refuses_post();
    let responder = world.responder.clone();
    let server = world.start("").start();
    assert!(!staple(&server).is_empty());
    assert_eq!(responder.asked()[..2], ["POST", "GET"]);
}

fn a_server_stops_when_its_certificate_is_revoked() {
    let world = World::new(true);
    world.responder.holds(Some(2));
    let responder = world.responder.clone();
    let mut server = world.start("ocsp { mode: always }").start();
    server.wait_log("Found OCSP status for Client certificate");
    responder.says(Says::Revoked);
    let line = server.wait_log("Received OCSP status for Client certificate '");
    assert!(line.contains("[ERR]") && line.ends_with("server.pem': revoked"), "{line}");
    server.wait_exit();
}

fn a_reload_switches_stapling_on() {
    let world = World::new(false);
    let server = world.start("").start();
    assert!(staple(&server).is_empty());
    server.reload(&config("ocsp { mode: always }"));
    server.wait_log("Reloaded: OCSP");
    eventually("a staple", || (!staple(&server).is_empty()).then_some(()));
}

/// A server that asks about its clients, whose certificates name `responder`.
struct Asking {
    server: Server,
    authority: Authority,
    responder: Responder,
}

fn asking_config(peer: &str, others: &str) -> String {
    format!(
        "tls {{ cert_file: '$DIR/server.pem', key_file: '$DIR/server.key', ca_file: '$DIR/ca.pem'\n\
         verify: true\n{peer}\n}}\n{others}\n"
    )
}

impl Asking {
    fn start(peer: &str, others: &str) -> Self {
        Self::start_as(peer, others, |start| start)
    }

    fn start_as(peer: &str, others: &str, kind: impl FnOnce(Start) -> Start) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::new("test authority");
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("a file");
        authority.server(&["localhost"]).write(dir.path(), "server");
        let server = kind(Start::config(&asking_config(peer, others)).dir(dir).args(&["-D"])).start();
        let responder = Responder::start(authority.key(), None);
        Self { server, authority, responder }
    }

    fn client(&self, name: &str) -> Certified {
        let mut params = params(name, []);
        params.custom_extensions.push(responder_at(&self.responder.url()));
        self.authority.sign(params, &[])
    }

    fn lets_in(&self, certificate: &Certified) -> bool {
        let offer = Offer::new().certificate(certificate);
        let Ok(mut client) = Secure::connect(self.server.addr(), offer) else { return false };
        client.try_send("PING\r\n") && client.try_line().is_some_and(|line| line == "PONG")
    }
}

/// The name and the key of an intermediate are public: anybody can put a certificate of his own around them.
fn only_the_chain_that_was_accepted_is_asked_about() {
    let kinds: [fn(Start) -> Start; 2] = [|start| start, Start::reference];
    for kind in kinds {
        let asking = Asking::start_as("ocsp_peer: true", NO_CACHE, kind);
        let between = asking.authority.intermediate_altered("between", |between| {
            between.custom_extensions.push(responder_at(&asking.responder.url()));
        });
        let evil = Authority::new("evil");
        let evil_responder = Responder::start(evil.key(), None);
        let silent = evil.copy_of(&between, "between", vec![]);
        let calling = evil.copy_of(&between, "between", vec![responder_at(&evil_responder.url())]);
        let (between_pem, evil_pem) = (between.pem(), evil.pem());
        for presented in [
            vec![&between_pem],
            vec![&silent, &between_pem],
            vec![&silent, &evil_pem, &between_pem],
            vec![&calling, &between_pem],
            vec![&calling, &evil_pem, &between_pem],
        ] {
            let mut ann = between.sign(params("ann", []), &[]);
            ann.chain.extend(presented.into_iter().map(String::as_str));
            for (says, lets_in) in [(Says::Good, true), (Says::Revoked, false), (Says::Nothing, false)] {
                asking.responder.says(says);
                let before = asking.responder.asked().len();
                assert_eq!(asking.lets_in(&ann), lets_in, "{says:?}");
                assert!(asking.responder.asked().len() > before, "{says:?}");
            }
        }
        assert_eq!(evil_responder.asked().len(), 0);
    }
}

const NO_CACHE: &str = "ocsp_cache: false";

fn clients_are_let_in_by_what_their_responder_says() {
    for (peer, says, lets_in) in [
        ("ocsp_peer: true", Says::Good, true),
        ("ocsp_peer: true", Says::Revoked, false),
        ("ocsp_peer: true", Says::Unknown, false),
        ("ocsp_peer { verify: true, unknown_is_good: true }", Says::Unknown, true),
        ("ocsp_peer { verify: true, warn_only: true }", Says::Revoked, true),
        ("ocsp_peer: true", Says::Garbage, false),
        ("ocsp_peer: false", Says::Revoked, true),
    ] {
        let asking = Asking::start(peer, NO_CACHE);
        asking.responder.says(says);
        assert_eq!(asking.lets_in(&asking.client("ann")), lets_in, "{peer} {says:?}");
        if !lets_in {
            asking.server.wait_log("[ERR]");
            asking.server.wait_log("TLS handshake error: client not OCSP valid");
            asking.server.wait_log("Client connection closed: TLS Handshake Failure");
        }
        if says == Says::Revoked && peer != "ocsp_peer: false" {
            asking.server.wait_log("[WRN] OCSP verify fail for [CN=ann] with CA status [revoked]");
        }
        assert!(asking.responder.asked().iter().all(|method| method == "GET"));
        // A certificate that names no responder is not asked about.
        assert!(asking.lets_in(&asking.authority.client("bob")));
    }
}

fn who_is_turned_away_hears_it_in_the_handshake() {
    let asking = Asking::start("ocsp_peer: true", NO_CACHE);
    asking.responder.says(Says::Revoked);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let offer = Offer::new().version(version).certificate(&asking.client("ann"));
        let heard = Secure::refusal(asking.server.addr(), offer);
        assert!(heard.contains("BadCertificate"), "{heard}");
    }
}

fn a_responder_that_does_not_answer_lets_in_whom_the_rules_say() {
    for (peer, lets_in) in [
        ("ocsp_peer: true", false),
        ("ocsp_peer { verify: true, allow_when_ca_unreachable: true }", true),
        ("ocsp_peer { verify: true, warn_only: true }", true),
    ] {
        let asking = Asking::start(peer, NO_CACHE);
        asking.responder.says(Says::Nothing);
        assert_eq!(asking.lets_in(&asking.client("ann")), lets_in, "{peer}");
        asking.server.wait_log("Attempt to obtain OCSP response from CA responder for [CN=ann] failed: ");
        asking.server.wait_log("bad OCSP responder http status: [500]");
    }
}

/// More wait than the machine computes for at once; none of them is through before the others are in.
fn a_responder_that_keeps_silent_holds_up_only_those_who_need_it() {
    const WAITING: usize = 80;
    let cache = "ocsp_cache { type: local, local_store: '$DIR/rc' }";
    let asking = Asking::start("timeout: 600\nocsp_peer { verify: true, ca_timeout: 600 }", cache);
    let (ann, cyd) = (asking.client("ann"), asking.client("cyd"));
    assert!(asking.lets_in(&ann));
    let before = asking.responder.asked().len();
    asking.responder.says(Says::Silence);
    // A client of TLS 1.3 believes itself connected once it has said everything.
    let offer = Offer::new().version(&rustls::version::TLS13).certificate(&cyd);
    let _waiting: Vec<Secure> = (0..WAITING)
        .map(|_| Secure::connect(asking.server.addr(), offer.clone()).expect("a handshake"))
        .collect();
    eventually("all questions", || (asking.responder.asked().len() == before + WAITING).then_some(()));
    assert!(asking.lets_in(&ann), "its answer is known");
    assert!(asking.lets_in(&asking.authority.client("bob")), "nobody is asked about it");
    asking.responder.says(Says::Good);
    assert!(asking.lets_in(&cyd));
}

fn answers_about_clients_are_kept_as_the_cache_says() {
    for (cache, asked) in
        [("ocsp_cache: false", 2), ("ocsp_cache { type: local, local_store: '$DIR/rc' }", 1)]
    {
        let asking = Asking::start("ocsp_peer: true", cache);
        let ann = asking.client("ann");
        assert!(asking.lets_in(&ann) && asking.lets_in(&ann));
        assert_eq!(asking.responder.asked().len(), asked, "{cache}");
        let kind = if asked == 2 { "none" } else { "local" };
        asking.server.wait_log(&format!("OCSP peer cache online, type [{kind}]"));
    }
}

fn revoked_clients_stay_known_where_the_cache_preserves_them() {
    for preserves in [false, true] {
        let cache =
            format!("ocsp_cache {{ type: local, local_store: '$DIR/rc', preserve_revoked: {preserves} }}");
        let peer = "ocsp_peer { verify: true, allow_when_ca_unreachable: true, allowed_clockskew: 0 }";
        let asking = Asking::start(peer, &cache);
        let ann = asking.client("ann");
        asking.responder.says(Says::Revoked);
        asking.responder.holds(Some(1));
        assert!(!asking.lets_in(&ann));
        asking.responder.says(Says::Nothing);
        // Once the answer holds no more, the first look throws it away or does not.
        let lets_in = eventually("the end of the answer", || {
            let mark = asking.server.log_mark();
            let lets_in = asking.lets_in(&ann);
            let log = asking.server.log();
            log[mark..].iter().any(|line| line.contains("response is expired")).then_some(lets_in)
        });
        assert!(!lets_in, "it was revoked as far as anybody knows");
        assert_eq!(asking.lets_in(&ann), !preserves);
    }
}

fn the_cache_is_written_to_its_file_and_read_back() {
    let cache = "ocsp_cache { type: local, local_store: '$DIR/rc', save_interval: 1 }";
    let asking = Asking::start("ocsp_peer: true", cache);
    let ann = asking.client("ann");
    assert!(asking.lets_in(&ann));
    let file = asking.server.dir().join("rc/cache.json");
    let text = eventually("the file", || std::fs::read_to_string(&file).ok().filter(|text| !text.is_empty()));
    let content: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let entry = content.as_object().unwrap().values().next().expect("an entry");
    assert_eq!((&entry["subject"], &entry["resp_status"]), (&"CN=ann".into(), &"good".into()));
    // Another server that finds the file asks nobody.
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in ["server.pem", "server.key", "ca.pem"] {
        std::fs::copy(asking.server.dir().join(name), dir.path().join(name)).expect("a copy");
    }
    std::fs::create_dir(dir.path().join("rc")).expect("a folder");
    std::fs::write(dir.path().join("rc/cache.json"), text).expect("a file");
    let start = Start::config(&asking_config("ocsp_peer: true", cache)).dir(dir).args(&["-D"]);
    let other = Asking { server: start.start(), ..asking };
    other.responder.says(Says::Nothing);
    assert!(other.lets_in(&ann));
}

fn answers_of_delegates_count_where_they_may_sign() {
    for may_sign in [true, false] {
        let mut asking = Asking::start("ocsp_peer: true", NO_CACHE);
        let mut delegate = params("delegate", []);
        if may_sign {
            delegate.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
        }
        let delegate = asking.authority.sign(delegate, &[]);
        let key = rcgen::KeyPair::from_pem(&delegate.key).expect("a key");
        asking.responder = Responder::start(key, Some(delegate.der()));
        assert_eq!(asking.lets_in(&asking.client("ann")), may_sign);
    }
}

fn peers_are_checked_only_with_client_certificates() {
    let world = World::new(false);
    let text = "tls { cert_file: '$DIR/server.pem', key_file: '$DIR/server.key', ocsp_peer: true }";
    let want = "OCSP peer verification for client connections requires TLS verify (mTLS) to be enabled";
    refused(Start::config(text).dir(world.dir), want);
}

fn clients_that_are_turned_away_are_told_of_in_the_system_account() {
    let accounts = "accounts { SYS { users: [ { user: sys, password: pw } ] } }\nsystem_account: SYS";
    let asking = Asking::start("ocsp_peer: true", &format!("{NO_CACHE}\n{accounts}"));
    let offer = Offer::new().certificate(&asking.authority.client("watcher"));
    let mut watcher = Secure::connect(asking.server.addr(), offer).expect("a handshake");
    watcher.send("CONNECT {\"verbose\":false,\"user\":\"sys\",\"pass\":\"pw\"}\r\n");
    watcher.send("SUB $SYS.SERVER.*.OCSP.PEER.> 1\r\n");
    watcher.sync();
    asking.responder.says(Says::Revoked);
    assert!(!asking.lets_in(&asking.client("ann")));
    let mut event = |subject: &str| -> serde_json::Value {
        let line = watcher.line();
        assert!(line.contains(subject), "{line}");
        let size = line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let body = watcher.bytes(size + 2).expect("a document");
        serde_json::from_slice(&body[..size]).expect("JSON")
    };
    let link = event(".OCSP.PEER.LINK.INVALID ");
    assert_eq!(link["type"], "io.nats.server.advisory.v1.ocsp_peer_link_invalid");
    assert_eq!(link["link"], link["peer"]);
    assert_eq!(link["link"]["subject"], "CN=ann");
    assert_eq!(link["link"]["issuer"], "CN=test authority");
    assert_eq!(link["reason"], "Invalid OCSP response status: revoked");
    let reject = event(".OCSP.PEER.CONN.REJECT ");
    assert_eq!(reject["type"], "io.nats.server.advisory.v1.ocsp_peer_reject");
    assert_eq!((&reject["kind"], &reject["peer"]), (&"Client".into(), &link["peer"]));
    assert_eq!(reject["reason"], "client not OCSP valid");
}

fn a_reload_switches_the_check_of_clients_on() {
    let asking = Asking::start("", NO_CACHE);
    asking.responder.says(Says::Revoked);
    let ann = asking.client("ann");
    assert!(asking.lets_in(&ann));
    asking.server.reload(&asking_config("ocsp_peer: true", NO_CACHE));
    assert!(!asking.lets_in(&ann));
    asking.server.reload(&asking_config("", NO_CACHE));
    assert!(asking.lets_in(&ann));
}
