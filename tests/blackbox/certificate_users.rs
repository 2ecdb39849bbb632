//! Users that certificates stand for: which name of a certificate counts, and in which order.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};

use crate::harness::pki::{Authority, params};
use crate::harness::secure::{Offer, Secure};
use crate::harness::trial::trials;
use crate::harness::{Server, Start};

trials! { Nothing => [
    an_email_address_counts_first,
    then_a_dns_name,
    then_a_uri,
    then_the_subject_in_order,
    then_the_subject_as_a_set,
    then_the_subject_with_its_domain_components,
    then_the_subject_as_text,
    names_of_nobody_are_refused,
    users_bound_to_other_connections_are_passed_over,
    a_user_in_connect_is_ignored_with_a_warning,
    a_password_is_asked_for_beside_the_certificate,
], Natsx => [
    who_is_somebody_else_after_a_reload_is_let_go,
] }

const EMAIL: &str = "ann@example.com";
const HOST: &str = "ann.example.com";
const SPIFFE: &str = "spiffe://example.com/ann";

/// A server on which certificates stand for these users (`user: …`), and who signs for its clients.
#[track_caller]
fn start(users: &[&str]) -> (Server, Authority) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let authority = Authority::new("test authority");
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("a file");
    authority.server(&["localhost", "127.0.0.1"]).write(dir.path(), "server");
    let users: Vec<String> = users.iter().map(|user| format!("{{ {user} }}")).collect();
    let config = format!(
        "tls {{ cert_file: '$DIR/server.pem', key_file: '$DIR/server.key', ca_file: '$DIR/ca.pem', verify_and_map: true }}\nauthorization {{ users: [{}] }}",
        users.join(", ")
    );
    (Start::config(&config).dir(dir).args(&["-D"]).start(), authority)
}

/// What stands in Ann's certificate beside its subject.
fn names(emails: &[&str], hosts: &[&str], uris: &[&str]) -> Vec<SanType> {
    let emails = emails.iter().map(|email| SanType::Rfc822Name((*email).try_into().unwrap()));
    let hosts = hosts.iter().map(|host| SanType::DnsName((*host).try_into().unwrap()));
    let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
    // Whatever the order in the certificate.
    uris.chain(hosts).chain(emails).collect()
}

/// Ann of the people of Example, the most general first as certificates have it.
fn subject() -> CertificateParams {
    let mut params = params("", []);
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::OrganizationName, "Example"),
        (DnType::OrganizationalUnitName, "people"),
        (DnType::CommonName, "ann"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    params
}

/// Says CONNECT with this certificate; what comes before the PONG, or before the end.
#[track_caller]
fn come(server: &Server, authority: &Authority, mut params: CertificateParams, more: &str) -> Vec<String> {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let offer = Offer::new().certificate(&authority.sign(params, &[]));
    let mut client = Secure::connect(server.addr(), offer).expect("a handshake");
    // The server may close before it has read all.
    let _ = client.try_send(format!("CONNECT {{\"verbose\":false,\"pedantic\":false{more}}}\r\nPING\r\n"));
    let mut said = Vec::new();
    while let Some(line) = client.try_line() {
        if line == "PONG" {
            break;
        }
        said.push(line);
    }
    said
}

const VIOLATION: &str = "-ERR 'Authorization Violation'";

fn an_email_address_counts_first() {
    let (server, authority) = start(&["user: 'ann@example.com'", "user: ann.example.com"]);
    let params = params("ann", names(&["other@example.com", EMAIL], &[HOST], &[SPIFFE]));
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    server.wait_log("[DBG] ");
    server.wait_log("Using email found in cert for auth [\"ann@example.com\"]");
}

fn then_a_dns_name() {
    let (server, authority) = start(&["user: ann.example.com", "user: 'spiffe://example.com/ann'"]);
    let params = params("ann", names(&[EMAIL], &["other.example.com", HOST], &[SPIFFE]));
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    server.wait_log("Using SAN found in cert for auth [\"ann.example.com\"]");
}

fn then_a_uri() {
    let (server, authority) = start(&["user: 'spiffe://example.com/ann'", "user: 'CN=ann'"]);
    let params = params("ann", names(&[EMAIL], &[HOST], &[SPIFFE]));
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    server.wait_log("Using URI found in cert for auth [\"spiffe://example.com/ann\"]");
}

fn then_the_subject_in_order() {
    let in_order = "CN=ann,OU=people,O=Example";
    let (server, authority) =
        start(&["user: 'O=Example, OU=people, CN=ann'", "user: 'CN=ann, OU=people, O=Example'"]);
    assert_eq!(come(&server, &authority, subject(), ""), [""; 0]);
    server.wait_log("Using DistinguishedNameMatch for auth [\"CN=ann, OU=people, O=Example\"]");
    let (server, authority) = start(&[&format!("user: '{in_order}'")]);
    assert_eq!(come(&server, &authority, subject(), ""), [""; 0]);
    server.wait_log(" - \"$G/user:CN=ann,OU=people,O=Example\" - ");
}

fn then_the_subject_as_a_set() {
    let (server, authority) =
        start(&["user: 'O=Example,CN=ann,OU=people'", "user: 'CN=bob,OU=people,O=Example'"]);
    assert_eq!(come(&server, &authority, subject(), ""), [""; 0]);
    server.wait_log("Using DistinguishedNameMatch for auth [\"O=Example,CN=ann,OU=people\"]");
}

/// An attribute without a short name keeps the subject from comparing as a distinguished name.
fn then_the_subject_with_its_domain_components() {
    let (server, authority) = start(&["user: 'CN=ann,O=Example,DC=example'"]);
    let mut params = params("", []);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let component = || DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
    params.distinguished_name.push(component(), "example");
    params
        .distinguished_name
        .push(DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), "ann@example.com");
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, "ann");
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    server.wait_log("Using RDNSequence for auth [\"CN=ann,O=Example,DC=example\"]");
}

/// The text has the order of Go's newer versions, whatever the certificate's.
fn then_the_subject_as_text() {
    let (server, authority) = start(&["user: 'CN=ann,OU=people,O=Example,L=Bonn,ST=NRW,C=DE'"]);
    let mut params = params("", []);
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (DnType::CommonName, "ann"),
        (DnType::LocalityName, "Bonn"),
        (DnType::OrganizationName, "Example"),
        (DnType::CountryName, "DE"),
        (DnType::OrganizationalUnitName, "people"),
        (DnType::StateOrProvinceName, "NRW"),
        (DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]), "example"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    let subject = "CN=ann,OU=people,O=Example,L=Bonn,ST=NRW,C=DE";
    server.wait_log(&format!("RDNSequence could not be used for auth [\"{subject},DC=example\"]"));
    server.wait_log(&format!("Using certificate subject for auth [\"{subject}\"]"));
}

fn names_of_nobody_are_refused() {
    let (server, authority) = start(&["user: bob"]);
    let nobody = params("eve", names(&["eve@example.com"], &[], &[]));
    assert_eq!(come(&server, &authority, nobody, r#","user":"bob""#), [VIOLATION]);
    server.wait_log("DistinguishedNameMatch could not be used for auth [\"CN=eve\"]");
    server.wait_log("User in cert [\"CN=eve\"], not found");
}

fn users_bound_to_other_connections_are_passed_over() {
    let (server, authority) = start(&[
        "user: 'ann@example.com', allowed_connection_types: [websocket]",
        "user: 'CN=ann,OU=people,O=Example'",
    ]);
    let mut params = subject();
    params.subject_alt_names = names(&[EMAIL], &[], &[]);
    assert_eq!(come(&server, &authority, params, ""), [""; 0]);
    server.wait_log("Using DistinguishedNameMatch for auth [\"CN=ann,OU=people,O=Example\"]");
}

fn a_user_in_connect_is_ignored_with_a_warning() {
    let (server, authority) = start(&["user: 'ann@example.com'", "user: bob"]);
    let params = params("ann", names(&[EMAIL], &[], &[]));
    assert_eq!(come(&server, &authority, params, r#","user":"bob""#), [""; 0]);
    server.wait_log("[WRN] User \"bob\" found in connect proto, but user required from cert");
    server.wait_log(" - \"$G/user:ann@example.com\" - ");
}

fn a_password_is_asked_for_beside_the_certificate() {
    let (server, authority) = start(&["user: 'ann@example.com', password: secret"]);
    let ann = || params("ann", names(&[EMAIL], &[], &[]));
    assert_eq!(come(&server, &authority, ann(), ""), [VIOLATION]);
    assert_eq!(come(&server, &authority, ann(), r#","pass":"secret""#), [""; 0]);
}

/// In the reference it goes on hearing what is said where it was.
fn who_is_somebody_else_after_a_reload_is_let_go() {
    let (server, authority) = start(&["user: ann.example.com"]);
    let mut params = params("ann", names(&[EMAIL], &[HOST], &[]));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let offer = Offer::new().certificate(&authority.sign(params, &[]));
    let mut client = Secure::connect(server.addr(), offer).expect("a handshake");
    client.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB foo 1\r\n");
    client.sync();
    server.reload(
        "tls { cert_file: '$DIR/server.pem', key_file: '$DIR/server.key', ca_file: '$DIR/ca.pem', verify_and_map: true }\naccounts { A { users: [{ user: 'ann@example.com' }] }, B { users: [{ user: ann.example.com }] } }",
    );
    assert_eq!(client.try_line(), None);
}
