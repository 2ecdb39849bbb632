//! The PROXY preamble in front of a client: whose address the server believes.

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Start};

trials! { Nothing => [
    version_1_names_the_client,
    version_1_unknown_keeps_the_real_address,
    version_2_names_the_client,
    version_2_local_and_unspecified_keep_the_real_address,
    version_2_extensions_are_skipped,
    a_client_without_preamble_is_taken_as_it_is,
    the_first_info_has_no_address_and_the_second_has,
    a_malformed_preamble_closes_and_is_logged,
    other_kinds_of_address_are_refused,
    a_preamble_that_does_not_end_is_waited_for_and_given_up,
    a_preamble_may_come_byte_by_byte_and_with_the_first_operations,
    without_the_option_a_preamble_is_an_unknown_operation,
] }

const CONNECT: &str = "CONNECT {\"verbose\":false,\"protocol\":1,\"pedantic\":false}\r\nPING\r\n";

fn server() -> Server {
    Start::config("proxy_protocol: true").args(&["-D"]).start()
}

/// Sends the preamble and a CONNECT behind it; the address that the server then names.
#[track_caller]
fn address_after(server: &Server, preamble: &[u8]) -> String {
    let mut raw = Raw::greeted(server);
    raw.send([preamble, CONNECT.as_bytes()].concat());
    while raw.line() != "PONG" {}
    raw.sync();
    raw.info_field("client_ip").expect("an address").as_str().unwrap().to_owned()
}

/// A preamble of version 2: command, family and transport, addresses.
fn version_2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
    bytes.extend(addresses);
    bytes
}

const LOCAL: u8 = 0;
const PROXY: u8 = 1;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

const ADDRESSES_4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 9, 0xd4, 0x31, 0x10, 0x7e];

fn addresses_6() -> Vec<u8> {
    let mut bytes = vec![0x20, 1, 0xd, 0xb8];
    bytes.resize(15, 0);
    bytes.push(7);
    bytes.extend([0; 15]);
    bytes.extend([1, 0xd4, 0x31, 0x10, 0x7e]);
    bytes
}

fn version_1_names_the_client() {
    let server = server();
    for (preamble, want) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.9 54321 4222\r\n", "192.0.2.7"),
        ("PROXY TCP6 2001:db8::7 ::1 54321 4222\r\n", "2001:db8::7"),
    ] {
        assert_eq!(address_after(&server, preamble.as_bytes()), want);
    }
}

fn version_1_unknown_keeps_the_real_address() {
    let server = server();
    for preamble in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN 192.0.2.7 198.51.100.9 1 2\r\n"] {
        assert_eq!(address_after(&server, preamble.as_bytes()), "127.0.0.1");
    }
}

fn version_2_names_the_client() {
    let server = server();
    assert_eq!(address_after(&server, &version_2(PROXY, TCP4, &ADDRESSES_4)), "192.0.2.7");
    assert_eq!(address_after(&server, &version_2(PROXY, TCP6, &addresses_6())), "2001:db8::7");
}

fn version_2_local_and_unspecified_keep_the_real_address() {
    let server = server();
    for preamble in [
        version_2(LOCAL, 0, &[]),
        version_2(LOCAL, TCP4, &ADDRESSES_4),
        version_2(PROXY, 0x01, &[]),
        version_2(PROXY, 0x01, &[1, 2, 3]),
    ] {
        assert_eq!(address_after(&server, &preamble), "127.0.0.1", "{preamble:?}");
    }
}

fn version_2_extensions_are_skipped() {
    let server = server();
    let with_extension = [ADDRESSES_4.as_slice(), &[0x04, 0, 3, 1, 2, 3]].concat();
    assert_eq!(address_after(&server, &version_2(PROXY, TCP4, &with_extension)), "192.0.2.7");
}

fn a_client_without_preamble_is_taken_as_it_is() {
    let server = server();
    assert_eq!(address_after(&server, b""), "127.0.0.1");
    let mut raw = Raw::greeted(&server);
    raw.send("CONNECT {\"verbose\":false}\r\nSUB a 1\r\nPUB a 1\r\nx\r\n");
    raw.expect_message("a", "x");
}

fn the_first_info_has_no_address_and_the_second_has() {
    let server = server();
    let mut raw = Raw::greeted(&server);
    assert_eq!(raw.info_field("client_ip"), None);
    raw.send(["PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n", CONNECT].concat());
    raw.expect("PONG");
    raw.sync();
    assert_eq!(raw.info_field("client_ip"), Some("192.0.2.7".into()));
    assert_eq!(raw.info_field("connect_info"), Some(true.into()));
}

#[track_caller]
fn expect_refused(preambles: &[&[u8]]) {
    for preamble in preambles {
        let server = server();
        let mut raw = Raw::greeted(&server);
        raw.send(preamble);
        assert_eq!(raw.closed(), Vec::<String>::new(), "{}", preamble.escape_ascii());
        let line = server.wait_log("Error reading PROXY protocol header from 127.0.0.1:");
        assert!(line.contains("[WRN] "), "{line}");
        server.wait_log("Client connection closed: Protocol Violation");
        Raw::greeted(&server);
    }
}

fn a_malformed_preamble_closes_and_is_logged() {
    expect_refused(&[
        b"PROXY \r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.700 198.51.100.9 1 2\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1 70000\r\n",
        format!("PROXY TCP4 {}\r\n", "1".repeat(120)).as_bytes(),
        b"\r\n\r\n\0\r\nQUITx\x21\x11\0\0",
        &version_2(2, TCP4, &ADDRESSES_4),
        &version_2(PROXY, TCP4, &ADDRESSES_4[..8]),
    ]);
}

fn other_kinds_of_address_are_refused() {
    expect_refused(&[
        b"PROXY UDP4 192.0.2.7 198.51.100.9 1 2\r\n",
        &version_2(PROXY, 0x12, &ADDRESSES_4),
        &version_2(PROXY, 0x31, &[0; 216]),
    ]);
}

/// Five seconds, by the unit tests; here that it ends at all.
fn a_preamble_that_does_not_end_is_waited_for_and_given_up() {
    let server = server();
    let mut silent = Raw::greeted(&server);
    let mut half = Raw::greeted(&server);
    half.send("PROXY TCP4 192");
    for raw in [&mut half, &mut silent] {
        assert_eq!(raw.closed(), Vec::<String>::new());
        let from = format!("Error reading PROXY protocol header from 127.0.0.1:{}: ", raw.local_port());
        server.wait_log(&from);
    }
    server.wait_log(": i/o timeout");
    server.wait_log("Client connection closed: Protocol Violation");
    assert_eq!(address_after(&server, b"PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n"), "192.0.2.7");
}

fn a_preamble_may_come_byte_by_byte_and_with_the_first_operations() {
    let server = server();
    for preamble in [
        b"PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n".to_vec(),
        version_2(PROXY, TCP4, &ADDRESSES_4),
        Vec::new(),
    ] {
        let mut raw = Raw::greeted(&server);
        for byte in [preamble.as_slice(), CONNECT.as_bytes()].concat() {
            raw.send([byte]);
        }
        raw.expect("PONG");
        raw.send("SUB a 1\r\nPUB a 1\r\nx\r\n");
        raw.expect_message("a", "x");
    }
}

fn without_the_option_a_preamble_is_an_unknown_operation() {
    let server = Server::start("");
    let mut raw = Raw::greeted(&server);
    raw.send("PROXY TCP4 192.0.2.7 198.51.100.9 1 2\r\n");
    assert_eq!(raw.closed(), ["-ERR 'Unknown Protocol Operation'"]);
}
