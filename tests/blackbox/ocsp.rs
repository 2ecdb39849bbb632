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
    ],
    Natsx => [
        a_wish_that_is_not_heeded_is_warned_about,
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
