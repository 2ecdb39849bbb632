//! Roots and intermediates that are not quite what authorities are: whom they may vouch for.

use std::io::{Read, Write};

use nkeys::KeyPair;
use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, SanType};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use natsx::server::base::base64::Base64;

use crate::harness::pki::{Authority, Certified, params, san};
use crate::harness::secure::{Offer, Secure, open, read_line};
use crate::harness::trial::trials;
use crate::harness::{Server, Start};
use crate::tls::{config, directory, fixture, is_let_in};

trials! {
    Nothing => [
        a_key_on_p_521_is_used,
    ],
    Natsx => [
        chains_that_the_library_does_not_follow_are_refused,
    ],
    Reference => [
        nobody_is_vouched_for_by_an_unfit_issuer,
        chains_are_followed_as_the_reference_follows_them,
        names_are_held_against_constraints,
        a_service_is_told_of_the_session_as_by_the_reference,
        hellos_that_cannot_be_agreed_with_get_the_answer_of_the_reference,
    ],
}

/// What a server makes of a conversation: the lines of its log from the connection's beginning, without
/// what differs from run to run.
pub(crate) struct Twins {
    ours: Server,
    theirs: Server,
}

impl Twins {
    pub(crate) fn start(tls: &str) -> (Self, Authority) {
        Self::trusting(tls, &[])
    }

    /// `ca.pem` holds these as well.
    pub(crate) fn trusting(tls: &str, others: &[&Authority]) -> (Self, Authority) {
        let (dir, authority) = directory();
        let roots: String =
            std::iter::once(&authority).chain(others.iter().copied()).map(Authority::pem).collect();
        std::fs::write(dir.path().join("ca.pem"), roots).expect("a file");
        let copy = tempfile::tempdir().expect("a temporary directory");
        for name in ["ca.pem", "server.pem", "server.key"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).expect("a copy");
        }
        let start = |dir| Start::config(&config(tls, "")).dir(dir).args(&["-D"]);
        (Self { ours: start(dir).start(), theirs: start(copy).reference().start() }, authority)
    }

    /// Ours and the reference.
    pub(crate) const fn both(&self) -> [&Server; 2] {
        [&self.ours, &self.theirs]
    }

    /// Lets both servers have the same conversation; what they say and log must be the same.
    #[track_caller]
    pub(crate) fn compare<T: PartialEq + std::fmt::Debug>(&self, what: &str, talk: impl Fn(&Server) -> T) {
        let [got, want] = [&self.ours, &self.theirs].map(|server| {
            let mark = server.log_mark();
            let said = talk(server);
            let closed = server.wait_log_after(mark, "Client connection closed");
            // The reference closes while it says why, in either order.
            if closed.ends_with("TLS Handshake Failure") {
                server.wait_log_after(mark, "TLS handshake error");
            }
            let mut log: Vec<String> = server.log()[mark..].iter().filter_map(|line| plain(line)).collect();
            log.sort_unstable();
            (said, log)
        });
        assert_eq!(got, want, "{what}");
    }
}

/// A line of the log behind the connection's number, with its level; times and ports are left out.
fn plain(line: &str) -> Option<String> {
    // The reference says this behind the close, or before it.
    if line.ends_with("TLS handshake timeout") {
        return None;
    }
    let level = line.split_once(" [")?.1.get(..3)?;
    let (_, text) = line.split_once(" - cid:")?;
    let text = text.split_once(" - ")?.1;
    let words = text.split(' ').map(|word| match word {
        _ if word.contains("->") => "ADDRESSES:",
        _ if word.starts_with("20") && word.ends_with('Z') => "TIME",
        _ => word,
    });
    Some(format!("{level} {}", words.collect::<Vec<_>>().join(" ")))
}

fn nobody_is_vouched_for_by_an_unfit_issuer() {
    let path_length = |most| rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(most));
    let digital_signature = || vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let leaf = Authority::altered("no authority", |params| params.is_ca = rcgen::IsCa::ExplicitNoCa);
    let expired = Authority::altered("expired", |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let later = Authority::altered("later", |params| params.not_before = rcgen::date_time_ymd(2100, 1, 1));
    let for_servers = Authority::altered("for servers", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let for_all = Authority::altered("for all", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    });
    let signs_nothing = Authority::altered("signs nothing", |params| params.key_usages = digital_signature());
    let signs_silently = Authority::altered("signs silently", |params| params.key_usages = Vec::new());
    let last = Authority::altered("last", |params| params.is_ca = path_length(0));
    let one_more = Authority::altered("one more", |params| params.is_ca = path_length(1));
    let roots =
        [&leaf, &expired, &later, &for_servers, &for_all, &signs_nothing, &signs_silently, &last, &one_more];
    let names = [
        "no authority",
        "expired",
        "later",
        "for servers",
        "for all",
        "signs nothing",
        "signs silently",
        "last",
        "one more",
    ];
    let (twins, authority) = Twins::trusting("ca_file: '$DIR/ca.pem', verify: true", &roots);
    // Each root signs a client itself and behind an intermediate.
    let mut kinds: Vec<(String, Certified)> = Vec::new();
    let mut signed_by = |what: &str, issuer: &Authority, behind: &[&Authority]| {
        kinds.push((what.to_owned(), issuer.sign(params("admin", []), behind)));
    };
    for (name, root) in names.into_iter().zip(roots) {
        let between = root.intermediate("between");
        signed_by(name, root, &[]);
        signed_by(&format!("behind {name}"), &between, &[&between]);
    }
    for (what, between) in [
        ("signs nothing", authority.intermediate_altered("b1", |b| b.key_usages = digital_signature())),
        ("signs silently", authority.intermediate_altered("b2", |b| b.key_usages = Vec::new())),
        (
            "for servers",
            authority.intermediate_altered("b3", |b| {
                b.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "for all",
            authority
                .intermediate_altered("b4", |b| b.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        ),
        ("expired", authority.intermediate_altered("b5", |b| b.not_after = rcgen::date_time_ymd(2021, 1, 1))),
    ] {
        signed_by(&format!("an intermediate that is {what}"), &between, &[&between]);
    }
    let upper = authority.intermediate_altered("upper", |upper| upper.is_ca = path_length(0));
    let lower = upper.intermediate("lower");
    signed_by("an intermediate below the last", &lower, &[&lower, &upper]);
    for (what, certified) in &kinds {
        twins.compare(what, |server| is_let_in(server, Offer::new().certificate(certified)));
    }
    // What is itself among the roots needs nobody.
    twins.compare("a root", |server| is_let_in(server, Offer::new().certificate(&leaf.certified())));
}

/// A certificate (PEM) of the same name with the same key as `of`, signed by another.
fn crossed(by: &Authority, of: &Authority, name: &str) -> String {
    by.copy_of(of, name, Vec::new())
}

fn chains_are_followed_as_the_reference_follows_them() {
    let (twins, authority) = Twins::trusting("ca_file: '$DIR/ca.pem', verify: true", &[]);
    let stranger = Authority::new("stranger");
    let (between, deep) = {
        let between = authority.intermediate("between");
        let deep = between.intermediate("deep");
        (between, deep)
    };
    let leaf = |issuer: &Authority| issuer.sign(params("ann", []), &[]);
    // The client's own certificate, and what it sends behind it.
    let behind = |issuer: &Authority, others: &[&str]| {
        let own = leaf(issuer);
        Certified { chain: own.chain + &others.concat(), key: own.key }
    };
    let [between_pem, deep_pem, root_pem] = [&between, &deep, &authority].map(Authority::pem);
    let strange = crossed(&stranger, &between, "between");
    let namesakes: Vec<String> = (0..5).map(|_| stranger.intermediate("deep").pem()).collect();
    let namesakes: Vec<&str> = namesakes.iter().map(String::as_str).collect();
    // One that may sign others is taken where a root signed it, and no less is asked of it.
    let signs = |issuer: &Authority, alter: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut signs = params("ann", []);
        signs.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        alter(&mut signs);
        issuer.sign(signs, &[])
    };
    let namesake = Authority::new("test authority");
    let kinds = [
        ("an authority", signs(&authority, &|_| ())),
        ("an authority, signed by a stranger", signs(&stranger, &|_| ())),
        ("an authority, signed by a namesake", signs(&namesake, &|_| ())),
        ("an expired authority", signs(&authority, &|own| own.not_after = rcgen::date_time_ymd(2021, 1, 1))),
        (
            "an authority for servers",
            signs(&authority, &|own| own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        ("in order", behind(&deep, &[&deep_pem, &between_pem])),
        ("out of order", behind(&deep, &[&between_pem, &deep_pem])),
        ("with the root", behind(&deep, &[&root_pem, &deep_pem, &between_pem, &root_pem])),
        ("with others", behind(&between, &[&deep_pem, &stranger.pem(), &between_pem])),
        ("with a gap", behind(&deep, &[&deep_pem])),
        ("cross-signed by a stranger", behind(&between, &[&strange])),
        ("cross-signed by a stranger too", behind(&between, &[&strange, &between_pem])),
        ("behind namesakes", behind(&deep, &[namesakes.concat().as_str(), &deep_pem, &between_pem])),
        ("of namesakes only", behind(&deep, &namesakes)),
    ];
    for (what, certified) in &kinds {
        for version in [&TLS13, &TLS12] {
            twins.compare(what, |server| {
                is_let_in(server, Offer::new().version(version).certificate(certified))
            });
        }
    }
}

/// The reference takes all but the last two.
fn chains_that_the_library_does_not_follow_are_refused() {
    let (dir, authority) = directory();
    let constraining = Authority::altered("constraining", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    std::fs::write(dir.path().join("ca.pem"), authority.pem() + &constraining.pem()).expect("a file");
    let server = Start::config(&config("ca_file: '$DIR/ca.pem', verify: true", "")).dir(dir).start();
    let between = authority.intermediate("between");
    let deep = between.intermediate("deep");
    let mut signs = params("ann", []);
    signs.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // Two more than the library follows, each of a name of its own; and as many namesakes.
    let ladder = |name: &dyn Fn(usize) -> String| {
        let mut rungs = vec![authority.intermediate(&name(0))];
        for at in 1..8 {
            let next = rungs[at - 1].intermediate(&name(at));
            rungs.push(next);
        }
        let behind: Vec<&Authority> = rungs.iter().rev().collect();
        behind[0].sign(params("ann", []), &behind)
    };
    let extended = |critical: bool, oid: &[u64], content: &[u8]| {
        let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
        extension.set_criticality(critical);
        extension
    };
    // The policy 1.2.3, and PolicyConstraints with requireExplicitPolicy 0.
    let policy = || extended(true, &[2, 5, 29, 32], &[0x30, 6, 0x30, 4, 6, 2, 0x2a, 3]);
    let demand = |critical| extended(critical, &[2, 5, 29, 36], &[0x30, 3, 0x80, 1, 0]);
    let mut under_policy = params("ann", []);
    under_policy.custom_extensions = vec![policy()];
    let demanding = |name: &str, critical: bool| {
        authority.intermediate_altered(name, |params| params.custom_extensions = vec![demand(critical)])
    };
    let demands = demanding("demands", true);
    let demands_softly = demanding("demands softly", false);
    let mails = authority.intermediate_altered("mails", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::Rfc822Name("example.com".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let mail = SanType::Rfc822Name("ann@example.com".try_into().expect("ASCII"));
    for (what, certified, want) in [
        (
            "an address",
            mails.sign(params("ann", [mail]), &[&mails]),
            "not authorized to sign for this name (",
        ),
        ("long", ladder(&|at| format!("rung {at}")), "x509: too many intermediates ("),
        ("long, of namesakes", ladder(&|_| "rung".into()), "x509: signature check attempts limit reached"),
        ("an authority below constraints", constraining.sign(signs.clone(), &[]), "unknown authority ("),
        ("an authority behind an intermediate", between.sign(signs, &[&between]), "unknown authority ("),
        (
            "an intermediate",
            Certified { chain: deep.pem() + &between.pem(), key: deep.certified().key },
            "unknown authority (",
        ),
        ("with a critical policy", authority.sign(under_policy, &[]), "x509: unhandled critical extension ("),
        (
            "under a demand",
            demands.sign(params("ann", []), &[&demands]),
            "x509: unhandled critical extension (",
        ),
        (
            "under a demand that need not be understood",
            demands_softly.sign(params("ann", []), &[&demands_softly]),
            "x509: unhandled critical extension (",
        ),
    ] {
        for version in [&TLS13, &TLS12] {
            let mark = server.log_mark();
            assert!(!is_let_in(&server, Offer::new().version(version).certificate(&certified)), "{what}");
            let line = server.wait_log_after(mark, "TLS handshake error: ");
            assert!(line.contains(want), "{what}: {line}");
        }
    }
}

fn names_are_held_against_constraints() {
    let (twins, authority) = Twins::trusting("ca_file: '$DIR/ca.pem', verify: true", &[]);
    let subtree = |base: GeneralSubtree, permits: bool| rcgen::NameConstraints {
        permitted_subtrees: if permits { vec![base.clone()] } else { Vec::new() },
        excluded_subtrees: if permits { Vec::new() } else { vec![base] },
    };
    let constrained = |name: &str, constraints: rcgen::NameConstraints| {
        authority.intermediate_altered(name, |params| params.name_constraints = Some(constraints))
    };
    let dns = |domain: &str| GeneralSubtree::DnsName(domain.to_owned());
    let below = constrained("below", subtree(dns("example.com"), true));
    let strictly = constrained("strictly", subtree(dns(".example.com"), true));
    let without = constrained("without", subtree(dns("example.com"), false));
    let mails = constrained("mails", subtree(GeneralSubtree::Rfc822Name("example.com".into()), true));
    let net = rcgen::CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8);
    let inside = constrained("inside", subtree(GeneralSubtree::IpAddress(net), true));
    let mail = |address: &str| SanType::Rfc822Name(address.try_into().expect("ASCII"));
    let uri = |uri: &str| SanType::URI(uri.try_into().expect("ASCII"));
    let kinds: Vec<(&Authority, Vec<SanType>)> = vec![
        (&below, vec![]),
        (&below, vec![san("a.example.com")]),
        (&below, vec![san("A.Example.COM"), san("example.com")]),
        (&below, vec![san("a.example.com"), san("a.example.org")]),
        (&below, vec![mail("a@b.org"), uri("spiffe://b.org/x"), san("127.0.0.1")]),
        (&strictly, vec![san("example.com")]),
        (&strictly, vec![san("a.example.com")]),
        (&without, vec![san("a.example.org")]),
        (&without, vec![san("a.example.com")]),
        (&without, vec![san("*.com")]),
        (&mails, vec![mail("ann@example.org")]),
        (&mails, vec![mail("not an address")]),
        (&inside, vec![san("10.1.2.3")]),
        (&inside, vec![san("127.0.0.1")]),
        (&inside, vec![san("::1")]),
        (&authority, vec![uri("http://a b/")]),
        (&authority, vec![uri("spiffe://a..b/x")]),
        (&authority, vec![uri("http://a/%zz")]),
    ];
    for (issuer, names) in kinds {
        let what = format!("{names:?}");
        let certified = issuer.sign(params("ann", names), &[issuer]);
        let [ours, theirs] =
            twins.both().map(|server| is_let_in(server, Offer::new().certificate(&certified)));
        assert_eq!(ours, theirs, "{what}");
    }
}

/// What a server asks a service about a client with TLS, as far as it is about TLS.
fn told_of_tls(server: &Server, service: Offer, client: Offer) -> Value {
    let mut service = Secure::connect(server.addr(), service).expect("a handshake");
    service.send(
        "CONNECT {\"verbose\":false,\"user\":\"svc\",\"pass\":\"svc\"}\r\nSUB $SYS.REQ.USER.AUTH 1\r\n",
    );
    service.sync();
    let mut client = Secure::connect(server.addr(), client).expect("a handshake");
    client.send("CONNECT {\"verbose\":false,\"user\":\"zed\",\"pass\":\"z\"}\r\n");
    let head = service.line();
    let length = head.rsplit(' ').next().and_then(|length| length.parse().ok()).expect("a length");
    let token = String::from_utf8(service.bytes(length).expect("a question")).expect("a token");
    let body = Base64::Url.decode(token.split('.').nth(1).expect("claims").as_bytes()).expect("base 64");
    serde_json::from_slice::<Value>(&body).expect("claims")["nats"]["client_tls"].clone()
}

fn a_service_is_told_of_the_session_as_by_the_reference() {
    let issuer = KeyPair::new_account().public_key();
    let callout = |tls: &str| {
        format!(
            "{tls}\n}}\naccounts {{ AUTH: {{ users: [{{ user: svc, password: svc }}] }} }}\nauthorization {{ timeout: 5, \
             auth_callout {{ account: AUTH, auth_users: [svc], issuer: {issuer} }} }}\nfeature_flags {{"
        )
    };
    let other = Authority::new("other");
    for tls in ["ca_file: '$DIR/ca.pem', verify: true", ""] {
        let (twins, authority) = Twins::trusting(&callout(tls), &[&other]);
        let between = authority.intermediate("between");
        let own = between.sign(params("ann", []), &[&between]);
        // Behind it one more that leads to another root: two chains are good, of which one is told.
        let twice = Certified {
            chain: own.chain.clone() + &crossed(&other, &between, "between"),
            key: own.key.clone(),
        };
        let service = Offer::new().certificate(&authority.client("svc"));
        for certified in [authority.client("bob"), own, twice] {
            for version in [&TLS13, &TLS12] {
                let client = Offer::new().version(version).certificate(&certified);
                let [ours, mut theirs] =
                    twins.both().map(|server| told_of_tls(server, service.clone(), client.clone()));
                assert!(theirs["version"].is_string(), "{theirs}");
                if let Some(chains) = theirs.get_mut("verified_chains").and_then(Value::as_array_mut) {
                    chains.truncate(1);
                }
                assert_eq!(ours, theirs, "{tls}");
            }
        }
    }
}

/// The first message of a client with this version, these suites and extensions.
fn client_hello(version: u16, suites: &[u16], extensions: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes();
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &length(&suites),
        &suites,
        &[1, 0],
        &length(extensions),
        extensions,
    ]
    .concat();
    let message = [&[1, 0][..], &length(&body), &body].concat();
    [&[0x16, 3, 1][..], &length(&message), &message].concat()
}

fn hellos_that_cannot_be_agreed_with_get_the_answer_of_the_reference() {
    let (twins, _) = Twins::start("");
    for hello in [
        client_hello(0x0301, &[0xc02b], &[]),
        client_hello(0x0302, &[0xc02b], &[]),
        client_hello(0x0300, &[0xc02b], &[]),
        client_hello(0x0303, &[0xc02b], b"\0\x2b\0\x03\x02\x7f\x1c"),
        client_hello(0x0303, &[0xc02b, 0x5600], b"\0\x0a\0\x04\0\x02\0\x1d\0\x0d\0\x04\0\x02\x04\x03"),
        client_hello(0x0303, &[0xc02f], b"\0\x0a\0\x04\0\x02\0\x1d\0\x0d\0\x04\0\x02\x04\x03"),
        client_hello(0x0303, &[0xc02b], b"\0\x0a\0\x04\0\x02\x01\0\0\x0d\0\x04\0\x02\x04\x03"),
    ] {
        let what = hello.escape_ascii().to_string();
        twins.compare(&what, |server| {
            let mut socket = open(server.addr());
            read_line(&mut socket);
            socket.write_all(&hello).expect("the server listens");
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer);
            answer
        });
    }
}

fn a_key_on_p_521_is_used() {
    let (dir, _) = directory();
    Certified { chain: fixture("p521.pem"), key: fixture("p521.key") }.write(dir.path(), "server");
    let server = Start::config(&config("", "")).dir(dir).start();
    for version in [&TLS13, &TLS12] {
        assert!(is_let_in(&server, Offer::new().version(version)));
    }
}
