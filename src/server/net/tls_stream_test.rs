//! Tests of sessions: whatever the socket takes and the reader offers, the bytes are the same.

use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned, SupportedProtocolVersion,
};
use tokio::net::UnixStream;

use super::*;
use crate::server::base::rng::Rng;

type Peer = StreamOwned<ClientConnection, StdStream>;

/// A session before its handshake, and the client at the other end.
fn pair(version: &'static SupportedProtocolVersion) -> (Transport, Handshaking, Peer) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (ours, theirs) = StdStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
    let stream = TlsStream::new(Transport::InProcess(UnixStream::from_std(ours).unwrap()));
    let handshaking = stream.begin(Arc::new(server), &[]).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(client), name).unwrap();
    (Transport::Tls(Box::new(stream)), handshaking, StreamOwned::new(client, theirs))
}

async fn shake_hands(transport: &Transport, mut handshaking: Handshaking) {
    let tls = transport.tls().unwrap();
    loop {
        // What is written before the session stands must not go out in the clear.
        assert_eq!(transport.write_now(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        match tls.handshake(&mut handshaking).unwrap() {
            Handshake::Done => return tls.establish(handshaking),
            Handshake::WaitsForPeer => {
                std::future::poll_fn(|context| transport.poll_read_ready(context)).await.unwrap();
            }
            Handshake::WaitsForSocket => transport.writable().await.unwrap(),
        }
    }
}

/// Bytes that differ from place to place.
fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect()
}

/// Writes all of it in pieces, as an outbound queue does: what was not taken is offered again.
async fn write_all(transport: &Transport, mut rest: &[u8], chance: &mut Rng) {
    while !rest.is_empty() {
        let mut slices = Vec::new();
        let mut from = rest;
        for _ in 0..1 + chance.below(40) {
            let length = 1 + {
                let most = if chance.below(4) == 0 { 40_000 } else { 200 };
                chance.below(most)
            };
            let (piece, behind) = from.split_at(length.min(from.len()));
            slices.push(IoSlice::new(piece));
            from = behind;
        }
        let now = chance.below(2) == 0;
        let written =
            if now { transport.write_now_vectored(&slices) } else { transport.try_write_vectored(&slices) };
        match written {
            Ok(count) => rest = &rest[count..],
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                // With what is offered next time the slices lie elsewhere, and hold the same bytes.
                transport.writable().await.unwrap();
            }
        }
    }
    // Nothing is offered any more: what was withheld is only done when a write says so.
    assert!(!transport.tls().unwrap().session.get().unwrap().lock().has_unsent());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a peer that reads beside the test")]
async fn short_writes_lose_nothing_and_repeat_nothing() {
    for (version, seed) in [(&rustls::version::TLS13, 1), (&rustls::version::TLS12, 2)] {
        let (transport, handshaking, mut peer) = pair(version);
        let sent = text(3 << 20);
        let (has_read, all_read) = std::sync::mpsc::channel();
        let mut read = vec![0; sent.len()];
        let reader = std::thread::spawn(move || {
            peer.read_exact(&mut read).unwrap();
            has_read.send(()).unwrap();
            let more = peer.read_to_end(&mut Vec::new());
            (read, more)
        });
        shake_hands(&transport, handshaking).await;
        write_all(&transport, &sent, &mut Rng::seeded(seed)).await;
        // A full socket would not take the goodbye.
        all_read.recv().unwrap();
        transport.shutdown();
        let (read, more) = reader.join().unwrap();
        assert!(read == sent, "{} bytes of {}", read.len(), sent.len());
        // The end is one of TLS, else this were an error.
        assert_eq!(more.unwrap(), 0);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a peer that writes beside the test")]
async fn reads_of_any_size_give_the_same_bytes() {
    for (version, seed) in [(&rustls::version::TLS13, 3), (&rustls::version::TLS12, 4)] {
        let (transport, handshaking, mut peer) = pair(version);
        let sent = text(1 << 20);
        let expected = sent.clone();
        let writer = std::thread::spawn(move || {
            let mut chance = Rng::seeded(seed);
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let length = 1 + chance.below(30_000);
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                peer.write_all(piece).unwrap();
                rest = behind;
            }
            peer.conn.send_close_notify();
            peer.flush().unwrap();
            peer
        });
        shake_hands(&transport, handshaking).await;
        let mut chance = Rng::seeded(seed + 10);
        let mut read = Vec::new();
        loop {
            let most = if chance.below(3) == 0 { 10 } else { 100_000 };
            let mut buffer = vec![0; 1 + chance.below(most)];
            match transport.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => read.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    std::future::poll_fn(|context| transport.poll_read_ready(context)).await.unwrap();
                }
            }
        }
        assert!(read == expected, "{} bytes of {}", read.len(), expected.len());
        drop(writer.join().unwrap());
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a peer that writes beside the test")]
async fn idle_sessions_hold_no_buffers() {
    let (transport, handshaking, mut peer) = pair(&rustls::version::TLS13);
    let writer = std::thread::spawn(move || {
        peer.write_all(&text(100_000)).unwrap();
        peer
    });
    shake_hands(&transport, handshaking).await;
    let mut left = 100_000;
    while left > 0 {
        match transport.read(&mut [0; 30_000]) {
            Ok(count) => left -= count,
            Err(_) => std::future::poll_fn(|context| transport.poll_read_ready(context)).await.unwrap(),
        }
    }
    let session = transport.tls().unwrap().session.get().unwrap().lock();
    assert_eq!((session.rest.capacity(), session.plain.capacity(), session.unsent.capacity()), (0, 0, 0));
    drop(session);
    drop(writer.join().unwrap());
}

/// A hello that has fallen back to TLS 1.2 unless its extensions name TLS 1.3.
fn fallen_back(extensions: &[u8]) -> Vec<u8> {
    let length = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
    let suites = [0, 4, 0xc0, 0x2b, 0x56, 0];
    let end = [&[1, 0][..], &length(extensions.len()), extensions].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &suites, &end].concat();
    [&[22, 3, 1], &length(4 + body.len())[..], &[1, 0], &length(body.len()), &body].concat()
}

#[tokio::test]
async fn fallbacks_are_found_however_the_hello_is_cut() {
    const VERSIONS: [u8; 7] = [0, 43, 0, 3, 2, 3, 4];
    let (transport, _, _) = pair(&rustls::version::TLS13);
    let config = Arc::new(
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new())),
    );
    for (extensions, has_fallen) in [(&[][..], true), (&VERSIONS, false)] {
        let hello = fallen_back(extensions);
        for cut in 0..hello.len() {
            let mut session = transport.tls().unwrap().begin(Arc::clone(&config), &[]).unwrap().0;
            session.hear(&mut hello[..cut].to_vec()).unwrap();
            let mut whole = [&session.rest[..], &hello[cut..]].concat();
            let error = session.hear(&mut whole).unwrap_err();
            assert_eq!(error.text(None).contains("inappropriate protocol fallback"), has_fallen, "{cut}");
        }
    }
}

#[test]
fn what_is_no_tls_is_told_apart_by_its_first_bytes() {
    for (bytes, want) in [
        (&b"PING\r\n"[..], Err("NotTls")),
        (b"\x80\x2e\x01\x03\x01", Err("Ssl2")),
        (b"\x16\x20\x01\0\x20\x01\0\0\x10", Err("NotTls")),
        (b"\x16\x03\x01\0\x20\x01\xff\xff\xff", Err("TooLong(16777215)")),
        (b"\x16\x03\x01\0\x20\x01\0\0\x1c", Ok(true)),
        (b"\x16\x03\x01\0\x01\x01\x16\x03\x01", Ok(true)),
        (b"\x16\x03\x01\x48\x01", Err("Oversized(18433)")),
        (b"\x16\x03\x01\x48\x00\x01\0\0\x1c", Ok(true)),
        (b"\x15\x03\x01\0\x02", Ok(true)),
        (b"\x16\x03\x01\0", Ok(false)),
        (b"", Ok(false)),
    ] {
        let outcome = check_first_record(bytes).map_err(|error| format!("{error:?}"));
        assert_eq!(outcome, want.map_err(str::to_owned), "{bytes:?}");
    }
}
