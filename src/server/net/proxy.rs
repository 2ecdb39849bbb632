//! The PROXY protocol's preamble, versions 1 and 2: who is behind the proxy that connected.
//!
//! Pure: bytes in, an address or a verdict out. A connection without a preamble is a direct client,
//! which shows in its first six bytes.
//!
//! | Version | Layout |
//! |---|---|
//! | 1 | `PROXY ` (`TCP4`, `TCP6`) source destination source-port destination-port CRLF, at most 107 bytes |
//! | 1 | `PROXY UNKNOWN` anything CRLF |
//! | 2 | 12 signature, 1 version and command, 1 family and transport, 2 length, addresses, extensions |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes that tell a preamble from a direct client.
const DETECT_BYTES: usize = 6;
/// A version 1 line, CRLF included.
const LINE_BYTES_MAX: usize = 107;
const LINE_PREFIX: &[u8; DETECT_BYTES] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const HEADER_BYTES: usize = 16;

const COMMAND_LOCAL: u8 = 0;
const COMMAND_PROXY: u8 = 1;
const TRANSPORT_STREAM: u8 = 1;
const FAMILY_UNSPECIFIED: u8 = 0x00;
const FAMILY_INET: u8 = 0x10;
const FAMILY_INET6: u8 = 0x20;

/// What the bytes so far are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preamble {
    /// Not enough to tell.
    More {
        /// Bytes to be shown at least.
        need: usize,
        /// What has not come.
        missing: Missing,
    },
    /// No preamble: the bytes belong to a direct client.
    Absent,
    /// A preamble of `length` bytes; `source` is absent where the proxy speaks for itself.
    Present {
        /// The address of whoever is behind the proxy.
        source: Option<SocketAddr>,
        /// Bytes of the preamble.
        length: usize,
    },
}

/// A part of a preamble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Version,
    Line,
    Signature,
    Header,
    Ipv4,
    Ipv6,
    LocalAddresses,
    UnspecifiedAddresses,
}

/// What has not come of a preamble; says so in the reference's words should the peer not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    part: Part,
    /// Some of it has come.
    begun: bool,
}

impl Missing {
    /// Nothing has come yet.
    pub const ALL: Self = Self { part: Part::Version, begun: false };

    /// Whether it is known whether a preamble comes.
    pub fn is_behind_version(self) -> bool {
        self.part != Part::Version
    }

    /// The peer has closed its side.
    pub fn ended(self) -> String {
        // What is taken as it comes, or skipped, ends as any stream does.
        let is_whole = !matches!(self.part, Part::Line | Part::LocalAddresses | Part::UnspecifiedAddresses);
        let end = if is_whole && self.begun { "unexpected EOF" } else { "EOF" };
        format!("{}: {end}", self.failure())
    }

    /// The peer's time is over; `link` is its connection as the system's errors name it.
    pub fn late(self, link: &str) -> String {
        if self == Self::ALL {
            // The reference reads once more, from what it has.
            return self.ended();
        }
        format!("{}: read tcp {link}: i/o timeout", self.failure())
    }

    const fn failure(self) -> &'static str {
        match self.part {
            Part::Version => "failed to read protocol version",
            Part::Line => "failed to read v1 line",
            Part::Signature => "failed to read v2 signature",
            Part::Header => "failed to read v2 header",
            Part::Ipv4 => "failed to read IPv4 address data",
            Part::Ipv6 => "failed to read IPv6 address data",
            Part::LocalAddresses => "failed to discard LOCAL command address data",
            Part::UnspecifiedAddresses => "failed to discard UNSPEC address address data",
        }
    }
}

/// A preamble that is none. The text is the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreambleError {
    /// The version 1 line does not end.
    #[error("invalid PROXY protocol header: v1 line too long")]
    LineTooLong,
    /// Not five fields.
    #[error("invalid PROXY protocol header: invalid v1 format")]
    Format,
    /// A field that should be an address.
    #[error("invalid PROXY protocol header: invalid address")]
    Address,
    /// A field that should be a port.
    #[error("invalid {side} port: strconv.ParseUint: parsing {text:?}: {cause}")]
    Port {
        /// `source` or `dest`.
        side: &'static str,
        /// The field.
        text: String,
        /// What is wrong with it, in Go's words.
        cause: &'static str,
    },
    /// An address of the other family.
    #[error("invalid PROXY protocol header: {protocol} with {family} address")]
    WrongFamily {
        /// The protocol named.
        protocol: &'static str,
        /// The family of the address.
        family: &'static str,
    },
    /// A protocol that is neither `TCP4` nor `TCP6`.
    #[error("invalid PROXY protocol header: invalid protocol {0}")]
    Protocol(String),
    /// Six bytes of the version 2 signature, then something else.
    #[error("invalid PROXY protocol header: invalid signature")]
    Signature,
    /// Not version 2.
    #[error("invalid PROXY protocol header: invalid version 0x{0:02x}")]
    Version(u8),
    /// A command other than LOCAL and PROXY.
    #[error("unknown PROXY protocol command: 0x{0:02x}")]
    Command(u8),
    /// Not a stream.
    #[error("unsupported PROXY protocol feature: only STREAM protocol supported")]
    NotStream,
    /// A family other than IPv4 and IPv6.
    #[error("unsupported PROXY protocol feature: unsupported address family 0x{0:02x}")]
    Family(u8),
    /// Fewer bytes than the addresses of the family need.
    #[error("{family} address data too short: {length} bytes")]
    AddressTooShort {
        /// The family.
        family: &'static str,
        /// Bytes announced.
        length: usize,
    },
}

/// Reads the preamble at the start of `bytes`.
pub fn parse(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    let Some(first) = bytes.first_chunk::<DETECT_BYTES>() else {
        return Ok(more(DETECT_BYTES, Part::Version, !bytes.is_empty()));
    };
    if first == LINE_PREFIX {
        return line(bytes);
    }
    if SIGNATURE.starts_with(first) {
        return binary(bytes);
    }
    Ok(Preamble::Absent)
}

const fn more(need: usize, part: Part, begun: bool) -> Preamble {
    Preamble::More { need, missing: Missing { part, begun } }
}

fn line(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    let window = bytes.get(..bytes.len().min(LINE_BYTES_MAX)).unwrap_or_default();
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX {
            Ok(more(bytes.len() + 1, Part::Line, true))
        } else {
            Err(PreambleError::LineTooLong)
        };
    };
    let text = String::from_utf8_lossy(bytes.get(LINE_PREFIX.len()..end).unwrap_or_default());
    let fields: Vec<&str> = text.split_whitespace().collect();
    let length = end + 2;
    match fields.as_slice() {
        ["UNKNOWN", ..] => Ok(Preamble::Present { source: None, length }),
        [protocol, source, destination, source_port, destination_port] => {
            let address: IpAddr = source.parse().map_err(|_| PreambleError::Address)?;
            let _: IpAddr = destination.parse().map_err(|_| PreambleError::Address)?;
            let port = port("source", source_port)?;
            self::port("dest", destination_port)?;
            check_family(protocol, [source, destination])?;
            Ok(Preamble::Present { source: Some(SocketAddr::new(address, port)), length })
        }
        _ => Err(PreambleError::Format),
    }
}

fn port(side: &'static str, text: &str) -> Result<u16, PreambleError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let cause = if digits { "value out of range" } else { "invalid syntax" };
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or_else(|| PreambleError::Port { side, text: text.to_owned(), cause })
}

/// The written form decides: an IPv4 address mapped into IPv6 is `TCP6`.
fn check_family(protocol: &str, addresses: [&str; 2]) -> Result<(), PreambleError> {
    let v6 = addresses.map(|address| address.contains(':'));
    match protocol {
        "TCP4" if v6.contains(&true) => Err(PreambleError::WrongFamily { protocol: "TCP4", family: "IPv6" }),
        "TCP6" if v6.contains(&false) => Err(PreambleError::WrongFamily { protocol: "TCP6", family: "IPv4" }),
        "TCP4" | "TCP6" => Ok(()),
        _ => Err(PreambleError::Protocol(protocol.to_owned())),
    }
}

fn binary(bytes: &[u8]) -> Result<Preamble, PreambleError> {
    let Some(signature) = bytes.first_chunk::<{ SIGNATURE.len() }>() else {
        return Ok(more(SIGNATURE.len(), Part::Signature, bytes.len() > DETECT_BYTES));
    };
    if signature != SIGNATURE {
        return Err(PreambleError::Signature);
    }
    let Some(&[version, family, high, low]) = bytes.get(SIGNATURE.len()..HEADER_BYTES) else {
        return Ok(more(HEADER_BYTES, Part::Header, bytes.len() > SIGNATURE.len()));
    };
    if version & 0xf0 != 0x20 {
        return Err(PreambleError::Version(version & 0xf0));
    }
    let announced = usize::from(u16::from_be_bytes([high, low]));
    let length = HEADER_BYTES + announced;
    let (source, part) = match version & 0x0f {
        COMMAND_LOCAL => (None, Part::LocalAddresses),
        COMMAND_PROXY if family & 0x0f != TRANSPORT_STREAM => return Err(PreambleError::NotStream),
        COMMAND_PROXY => match family & 0xf0 {
            FAMILY_INET if announced < 12 => {
                return Err(PreambleError::AddressTooShort { family: "IPv4", length: announced });
            }
            FAMILY_INET6 if announced < 36 => {
                return Err(PreambleError::AddressTooShort { family: "IPv6", length: announced });
            }
            FAMILY_INET => (Some(FAMILY_INET), Part::Ipv4),
            FAMILY_INET6 => (Some(FAMILY_INET6), Part::Ipv6),
            FAMILY_UNSPECIFIED => (None, Part::UnspecifiedAddresses),
            other => return Err(PreambleError::Family(other)),
        },
        command => return Err(PreambleError::Command(command)),
    };
    let Some(addresses) = bytes.get(HEADER_BYTES..length) else {
        return Ok(more(length, part, bytes.len() > HEADER_BYTES));
    };
    let source = source.and_then(|family| source_address(family, addresses));
    Ok(Preamble::Present { source, length })
}

/// | IPv4: 4 source, 4 destination | IPv6: 16 source, 16 destination | 2 source port, 2 destination port |
fn source_address(family: u8, addresses: &[u8]) -> Option<SocketAddr> {
    if family == FAMILY_INET {
        let (address, rest) = addresses.split_first_chunk::<4>()?;
        let port = rest.get(4..)?.first_chunk::<2>()?;
        return Some(SocketAddr::new(Ipv4Addr::from(*address).into(), u16::from_be_bytes(*port)));
    }
    let (address, rest) = addresses.split_first_chunk::<16>()?;
    let port = rest.get(16..)?.first_chunk::<2>()?;
    let address = Ipv6Addr::from(*address);
    Some(SocketAddr::new(address.into(), u16::from_be_bytes(*port)))
}

/// Fuzz body: no bytes may panic, and a preamble that is present stays the same with bytes behind it.
pub fn fuzz_proxy(data: &[u8]) {
    if let Ok(found @ Preamble::Present { length, .. }) = parse(data) {
        assert!(length <= data.len());
        assert_eq!(parse(data.get(..length).unwrap_or_default()), Ok(found));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], source: Option<&str>, length: usize) {
        let source = source.map(|source| source.parse().unwrap());
        assert_eq!(parse(bytes), Ok(Preamble::Present { source, length }));
    }

    #[track_caller]
    fn refused(bytes: &[u8], text: &str) {
        assert_eq!(parse(bytes).map_err(|error| error.to_string()), Err(text.to_owned()));
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
        bytes.extend(addresses);
        bytes
    }

    #[test]
    fn version_1_names_the_source() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 4222\r\nCONNECT", Some("192.0.2.1:5000"), 45);
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 4222\r\n", Some("[2001:db8::1]:5000"), 46);
    }

    #[test]
    fn version_1_unknown_keeps_the_real_address() {
        check(b"PROXY UNKNOWN\r\n", None, 15);
        check(b"PROXY UNKNOWN what ever\r\nPING\r\n", None, 25);
    }

    #[test]
    fn version_2_names_the_source_and_skips_extensions() {
        let v4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x13, 0x88, 0x10, 0x7e];
        check(&v2(1, 0x11, &v4), Some("192.0.2.7:5000"), 28);
        check(&v2(1, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat()), Some("192.0.2.7:5000"), 32);
        let mut v6 = [0_u8; 36];
        (v6[0], v6[15], v6[32], v6[33]) = (0x20, 1, 0x13, 0x88);
        check(&v2(1, 0x21, &v6), Some("[2000::1]:5000"), 52);
    }

    #[test]
    fn version_2_local_and_unspecified_keep_the_real_address() {
        check(&v2(0, 0x00, &[1, 2, 3]), None, 19);
        check(&v2(1, 0x01, &[]), None, 16);
    }

    #[test]
    fn other_first_bytes_are_a_direct_client() {
        assert_eq!(parse(b"CONNECT {}"), Ok(Preamble::Absent));
        assert_eq!(parse(b"PING\r"), Ok(more(6, Part::Version, true)));
    }

    #[test]
    fn malformed_preambles_are_refused() {
        refused(b"PROXY TCP4 1.2.3.4\r\n", "invalid PROXY protocol header: invalid v1 format");
        refused(b"PROXY TCP4 a b 1 2\r\n", "invalid PROXY protocol header: invalid address");
        refused(b"PROXY TCP4 ::1 ::1 1 2\r\n", "invalid PROXY protocol header: TCP4 with IPv6 address");
        refused(
            b"PROXY UDP4 1.1.1.1 1.1.1.1 1 2\r\n",
            "invalid PROXY protocol header: invalid protocol UDP4",
        );
        refused(
            b"PROXY TCP4 1.1.1.1 1.1.1.1 70000 2\r\n",
            "invalid source port: strconv.ParseUint: parsing \"70000\": value out of range",
        );
        refused(
            &[b"PROXY ".as_slice(), &[b'x'; 101]].concat(),
            "invalid PROXY protocol header: v1 line too long",
        );
        refused(b"\r\n\r\n\0\rxxxxxx", "invalid PROXY protocol header: invalid signature");
    }

    #[test]
    fn datagrams_and_unix_sockets_are_unsupported() {
        refused(&v2(1, 0x12, &[0; 12]), "unsupported PROXY protocol feature: only STREAM protocol supported");
        refused(&v2(1, 0x31, &[]), "unsupported PROXY protocol feature: unsupported address family 0x30");
        refused(&v2(2, 0x11, &[]), "unknown PROXY protocol command: 0x02");
        refused(&v2(1, 0x11, &[0; 4]), "IPv4 address data too short: 4 bytes");
    }

    #[test]
    fn what_has_not_come_is_named_by_its_part() {
        let v2 = |bytes: &[u8]| [&SIGNATURE[..], bytes].concat();
        let cases = [
            (vec![], "protocol version: EOF", "protocol version: EOF"),
            (
                b"PROX".to_vec(),
                "protocol version: unexpected EOF",
                "protocol version: read tcp a->b: i/o timeout",
            ),
            (b"PROXY TCP4".to_vec(), "v1 line: EOF", "v1 line: read tcp a->b: i/o timeout"),
            (SIGNATURE[..6].to_vec(), "v2 signature: EOF", "v2 signature: read tcp a->b: i/o timeout"),
            (
                SIGNATURE[..7].to_vec(),
                "v2 signature: unexpected EOF",
                "v2 signature: read tcp a->b: i/o timeout",
            ),
            (v2(b""), "v2 header: EOF", "v2 header: read tcp a->b: i/o timeout"),
            (v2(b"\x21"), "v2 header: unexpected EOF", "v2 header: read tcp a->b: i/o timeout"),
            (
                v2(b"\x21\x11\0\x0c"),
                "IPv4 address data: EOF",
                "IPv4 address data: read tcp a->b: i/o timeout",
            ),
            (
                v2(b"\x21\x21\0\x24a"),
                "IPv6 address data: unexpected EOF",
                "IPv6 address data: read tcp a->b: i/o timeout",
            ),
        ];
        for (bytes, ended, late) in cases {
            let Ok(Preamble::More { missing, .. }) = parse(&bytes) else { panic!("{bytes:?}") };
            let read = |text: &str| format!("failed to read {text}");
            assert_eq!((missing.ended(), missing.late("a->b")), (read(ended), read(late)));
        }
        for (bytes, kind) in [(b"\x20\x11\0\x0ca", "LOCAL command"), (b"\x21\x01\0\x0ca", "UNSPEC address")] {
            let Ok(Preamble::More { missing, .. }) = parse(&v2(bytes)) else { panic!("{bytes:?}") };
            assert_eq!(missing.ended(), format!("failed to discard {kind} address data: EOF"));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..200), version in 0..3_u8) {
            let mut bytes = match version {
                1 => LINE_PREFIX.to_vec(),
                2 => SIGNATURE.to_vec(),
                _ => Vec::new(),
            };
            bytes.extend(data);
            fuzz_proxy(&bytes);
        }

        #[test]
        fn any_prefix_asks_for_more_or_decides_alike(cut in 0_usize..45) {
            let whole = b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 4222\r\n";
            let wants_more = matches!(parse(&whole[..cut]), Ok(Preamble::More { need, .. }) if need > cut);
            prop_assert!(wants_more);
        }
    }
}
