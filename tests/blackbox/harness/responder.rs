//! An OCSP responder: it says of every certificate what the test wants it to say.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::{CustomExtension, KeyPair, SigningKey};

/// What the responder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Good,
    Revoked,
    Unknown,
    /// A server error of HTTP.
    Nothing,
    /// Bytes that are no answer.
    Garbage,
    /// Nothing at all: who asks waits until something else is said.
    Silence,
}

#[derive(Debug)]
struct State {
    says: Says,
    /// Seconds for which an answer holds; `None` leaves it open.
    holds: Option<i64>,
    /// Only GET is answered.
    refuses_post: bool,
    asked: Vec<String>,
    /// Connections of those who wait for an answer.
    waiting: Vec<TcpStream>,
}

/// A responder on a free port; it runs as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Responder {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Responder {
    /// Answers are signed with `key`; `signer` is sent along where somebody other than the issuer signs.
    pub(crate) fn start(key: KeyPair, signer: Option<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let state = State {
            says: Says::Good,
            holds: Some(3600),
            refuses_post: false,
            asked: Vec::new(),
            waiting: Vec::new(),
        };
        let responder = Self { addr, state: Arc::new(Mutex::new(state)) };
        let served = responder.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up gets no answer.
                let _ = served.serve(stream, &key, signer.as_deref());
            }
        });
        responder
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn says(&self, says: Says) {
        let mut state = self.state.lock().unwrap();
        state.says = says;
        state.waiting.clear();
    }

    pub(crate) fn holds(&self, seconds: Option<i64>) {
        self.state.lock().unwrap().holds = seconds;
    }

    pub(crate) fn refuses_post(&self) {
        self.state.lock().unwrap().refuses_post = true;
    }

    /// The methods of all questions so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }

    fn serve(&self, mut stream: TcpStream, key: &KeyPair, signer: Option<&[u8]>) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let head_end = loop {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..read]);
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if read == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.parse().unwrap_or(0));
        while bytes.len() < head_end + length {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer)?;
            bytes.extend_from_slice(&buffer[..read]);
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let request = if method == "POST" { bytes[head_end..].to_vec() } else { from_path(path) };
        let mut state = self.state.lock().unwrap();
        state.asked.push(method.to_owned());
        if state.says == Says::Silence {
            state.waiting.push(stream);
            return Ok(());
        }
        let refused = state.says == Says::Nothing || method == "POST" && state.refuses_post;
        let (status, body) = match state.says {
            _ if refused => ("500 Internal Server Error", Vec::new()),
            Says::Garbage => ("200 OK", b"no answer".to_vec()),
            says => ("200 OK", answer(&request, says, state.holds, key, signer)),
        };
        drop(state);
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat())
    }
}

/// The request in a path: base 64, its special characters escaped or not.
fn from_path(path: &str) -> Vec<u8> {
    let text = path.strip_prefix('/').unwrap_or(path);
    let text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    let mut bytes = Vec::new();
    let mut group = 0_u32;
    let mut bits = 0;
    for byte in text.bytes().filter(|&byte| byte != b'=') {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
            .iter()
            .position(|&digit| digit == byte)
            .unwrap_or(0);
        group = group << 6 | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits & 0xff) as u8);
        }
    }
    bytes
}

/// One DER element.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        short @ ..=0x7f => out.push(short.try_into().unwrap()),
        long @ ..=0xff => out.extend([0x81, long.try_into().unwrap()]),
        long => {
            out.push(0x82);
            out.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend(body);
    out
}

/// What the first element of some DER holds.
fn inside(der: &[u8]) -> &[u8] {
    let (header, length) = match der[1] {
        short @ ..=0x7f => (2, usize::from(short)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    &der[header..header + length]
}

fn answer(request: &[u8], says: Says, holds: Option<i64>, key: &KeyPair, signer: Option<&[u8]>) -> Vec<u8> {
    // Request, signed part, list, one entry, and in it what names the certificate.
    let id = der(0x30, &[inside(inside(inside(inside(inside(request)))))]);
    let now = jiff::Timestamp::now().as_second();
    let time = |seconds: i64| {
        let time = jiff::Timestamp::from_second(seconds).unwrap();
        der(0x18, &[time.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
    };
    let status = match says {
        Says::Good => der(0x80, &[]),
        Says::Revoked => der(0xa1, &[&time(now - 60)]),
        _ => der(0x82, &[]),
    };
    let next = holds.map(|seconds| der(0xa0, &[&time(now + seconds)])).unwrap_or_default();
    let single = der(0x30, &[&id, &status, &time(now - 10), &next]);
    let by_key = der(0xa2, &[&der(0x04, &[&[7; 20]])]);
    let data = der(0x30, &[&by_key, &time(now), &der(0x30, &[&single])]);
    let ecdsa_with_sha256 = der(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let signature = der(0x03, &[&[0], &key.sign(&data).expect("a signature")]);
    let certificates = signer.map(|signer| der(0xa0, &[&der(0x30, &[signer])])).unwrap_or_default();
    let basic = der(0x30, &[&data, &ecdsa_with_sha256, &signature, &certificates]);
    let basic_type = [0x06, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
    let typed = der(0x30, &[&basic_type, &der(0x04, &[&basic])]);
    der(0x30, &[&[0x0a, 1, 0], &der(0xa0, &[&typed])])
}

/// The extension that names a responder.
pub(crate) fn responder_at(url: &str) -> CustomExtension {
    let ocsp = [0x06, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];
    let access = der(0x30, &[&ocsp, &der(0x86, &[url.as_bytes()])]);
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], der(0x30, &[&access]))
}

/// The extension that demands an answer stapled to the certificate.
pub(crate) fn must_staple() -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 24], vec![0x30, 3, 2, 1, 5])
}
