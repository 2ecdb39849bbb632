//! What a reload of the `tls` block means for those who are connected, and what the log says of it.

use crate::harness::Start;
use crate::harness::pki::Certified;
use crate::harness::secure::{Offer, Secure};
use crate::harness::trial::trials;
use crate::tls::{config, directory, is_let_in, server};

trials! { Nothing => [
    a_reload_closes_clients_whose_key_is_not_pinned,
    a_reload_behind_handshakes_says_that_tls_is_enabled,
] }

fn a_reload_closes_clients_whose_key_is_not_pinned() {
    let (dir, authority) = directory();
    let (ann, bob) = (authority.client("ann"), authority.client("bob"));
    let pinned = |certified: &Certified| {
        config(&format!("ca_file: '$DIR/ca.pem', verify: true, pinned_certs: [\"{}\"]", certified.pin()), "")
    };
    let tls = config("ca_file: '$DIR/ca.pem', verify: true", "");
    let server = Start::config(&tls).dir(dir).args(&["-D"]).start();
    let connect = |certified| Secure::connect(server.addr(), Offer::new().certificate(certified));
    let (mut as_ann, mut as_bob) = (connect(&ann).expect("a handshake"), connect(&bob).expect("a handshake"));
    as_ann.sync();
    as_bob.sync();
    let mark = server.log_mark();
    server.reload(&pinned(&ann));
    server.wait_log_after(mark, "Reloaded: 1 pinned_certs");
    server.wait_log_after(mark, "Failed pinned cert test for key id: ");
    server.wait_log_after(mark, "Disconnect 1 clients due to pinned certs reload");
    assert!(as_bob.ended().is_ok());
    as_ann.sync();
    assert!(!is_let_in(&server, Offer::new().certificate(&bob)));
    let mark = server.log_mark();
    server.reload(&tls);
    server.wait_log_after(mark, "Reloaded: 0 pinned_certs");
    as_ann.sync();
    assert!(is_let_in(&server, Offer::new().certificate(&bob)));
}

fn a_reload_behind_handshakes_says_that_tls_is_enabled() {
    let (server, _authority) = server("", "");
    let reload = |payload: u32| {
        let mark = server.log_mark();
        server.reload(&config("", &format!("max_payload: {payload}")));
        server.wait_log_after(mark, "Reloaded server configuration");
        server.log().iter().skip(mark).any(|line| line.contains("Reloaded: tls = enabled"))
    };
    assert!(!reload(100));
    assert!(is_let_in(&server, Offer::new()));
    assert!(reload(101));
    assert!(!reload(102));
}
