//! What the parser makes of bytes.

use proptest::prelude::*;

use super::super::error::CloseReason;
use super::super::op::{Publish, Queues, Subscribe, Unsubscribe};
use super::*;

const LIMITS: Limits = Limits { control_line: 4096, payload: 1 << 20, headers: true, awaits_connect: false };

/// Every operation in `input`, described, then how it ended: bytes left over, or the error.
fn whole(parser: &mut Parser, input: &[u8], limits: &Limits) -> (Vec<String>, String) {
    let (mut ops, mut rest) = (Vec::new(), input);
    loop {
        match parser.step(rest, limits) {
            Ok(Step::Op { op, len }) => {
                ops.push(describe(&op));
                rest = &rest[len..];
            }
            Ok(Step::Passed { len }) => rest = &rest[len..],
            Ok(Step::More { need }) => {
                assert!(need > rest.len(), "asks for {need}, has {}", rest.len());
                return (ops, format!("{} left", rest.len()));
            }
            Err(error) => return (ops, brief(&error)),
        }
    }
}

/// The same with the bytes coming in pieces that end at `cuts`.
fn pieces(parser: &mut Parser, input: &[u8], cuts: &[usize], limits: &Limits) -> (Vec<String>, String) {
    let (mut ops, mut from) = (Vec::new(), 0);
    for &to in cuts.iter().chain([&input.len()]) {
        loop {
            match parser.step(&input[from..to.max(from)], limits) {
                Ok(Step::Op { op, len }) => {
                    ops.push(describe(&op));
                    from += len;
                }
                Ok(Step::Passed { len }) => from += len,
                Ok(Step::More { .. }) => break,
                Err(error) => return (ops, brief(&error)),
            }
        }
    }
    (ops, format!("{} left", input.len() - from))
}

/// An operation without `repeats` and `tail`, which say how it was read.
fn describe(op: &Op<'_>) -> String {
    match *op {
        Op::Publish(publish) => format!("{:?}", Publish { tail: b"", repeats: false, ..publish }),
        _ => format!("{op:?}"),
    }
}

/// An error without what depends on how much was there beyond the mistake.
fn brief(error: &ParseError) -> String {
    match error {
        ParseError::UnknownOperation { kind, state, offset, .. } => {
            format!("{kind} unknown {state} at {offset}")
        }
        ParseError::ControlLineTooLong { state, .. } => format!("too long in {state}"),
        other => other.to_string(),
    }
}

#[track_caller]
fn check_with(kind: Kind, limits: &Limits, input: &[u8], want: &[Op<'_>], left: usize) {
    let want: Vec<_> = want.iter().map(describe).collect();
    assert_eq!(whole(&mut Parser::new(kind), input, limits), (want, format!("{left} left")));
}

#[track_caller]
fn check(input: &str, want: &[Op<'_>]) {
    check_with(Kind::Client, &LIMITS, input.as_bytes(), want, 0);
}

#[track_caller]
fn refused(kind: Kind, input: &[u8], limits: &Limits) -> ParseError {
    let mut parser = Parser::new(kind);
    let mut rest = input;
    loop {
        match parser.step(rest, limits) {
            Ok(Step::Op { len, .. } | Step::Passed { len }) => rest = &rest[len..],
            Ok(Step::More { .. }) => panic!("accepted {:?}", quote(input)),
            Err(error) => return error,
        }
    }
}

/// The operation is refused without a word to the peer, with this in the log.
#[track_caller]
fn silent(input: &str, log: &str) {
    let error = refused(Kind::Client, input.as_bytes(), &LIMITS);
    assert_eq!(error.to_string(), log);
    assert_eq!((error.wire(), error.reason()), (None, CloseReason::ProtocolViolation));
}

#[track_caller]
fn unknown(kind: Kind, input: &str, log: &str) {
    let error = refused(kind, input.as_bytes(), &LIMITS);
    assert_eq!(error.to_string(), log);
    assert_eq!(error.wire().map(|text| text.to_string()).as_deref(), Some("Unknown Protocol Operation"));
    assert_eq!(error.reason(), CloseReason::ProtocolViolation);
}

fn publish<'a>(subject: &'a str, reply: &'a str, size: &'a str, payload: &'a str) -> Op<'a> {
    Op::Publish(Publish {
        subject: subject.as_bytes(),
        reply: reply.as_bytes(),
        header_len: None,
        size_text: size.as_bytes(),
        header_text: b"",
        payload: payload.as_bytes(),
        tail: b"",
        repeats: false,
    })
}

fn subscribe<'a>(subject: &'a str, queue: Option<&'a str>, sid: &'a str) -> Op<'a> {
    Op::Subscribe(Subscribe {
        subject: subject.as_bytes(),
        queue: queue.map(str::as_bytes),
        sid: sid.as_bytes(),
    })
}

fn unsubscribe(sid: &str, max: Option<u64>) -> Op<'_> {
    Op::Unsubscribe(Unsubscribe { sid: sid.as_bytes(), max })
}

#[test]
fn any_case() {
    for text in ["ping\r\n", "PiNg\r\n", "PING\r\n"] {
        check(text, &[Op::Ping]);
    }
    check("pub a 1\r\nx\r\nPuB a 1\r\ny\r\n", &[publish("a", "", "1", "x"), publish("a", "", "1", "y")]);
    check("sUb a 1\r\nunSUB 1\r\n", &[subscribe("a", None, "1"), unsubscribe("1", None)]);
    check("cOnNeCt {}\r\ninfo {}\r\n+ok\r\n", &[Op::Connect(b"{}"), Op::Info(b"{}"), Op::Ok]);
}

#[test]
fn line_ends_at_line_feed_and_loses_one_carriage_return() {
    check("PING\nPONG\n", &[Op::Ping, Op::Pong]);
    check("SUB a 1\nCONNECT {}\r\r\n", &[subscribe("a", None, "1"), Op::Connect(b"{}\r")]);
    check("PUB a 2\nhi\r\n", &[publish("a", "", "2", "hi")]);
}

#[test]
fn spaces_and_tabs_separate_arguments() {
    check("PUB\t a \t b\t 2 \r\nhi\r\n", &[publish("a", "b", "2", "hi")]);
    check("SUB  a\tq  1\t\r\n", &[subscribe("a", Some("q"), "1")]);
}

#[test]
fn stray_line_ends_separate_arguments_of_sub_only() {
    check("SUB a\r1\r\n", &[subscribe("a", None, "1")]);
    check("UNSUB 1\r5\n", &[unsubscribe("1", Some(5))]);
    check("PUB a\rb 1\r\nx\r\n", &[publish("a\rb", "", "1", "x")]);
}

#[test]
fn several_operations_in_one_packet() {
    check(
        "CONNECT {}\r\nPING\r\nSUB a 1\r\nPUB a 0\r\n\r\nUNSUB 1\r\n",
        &[
            Op::Connect(b"{}"),
            Op::Ping,
            subscribe("a", None, "1"),
            publish("a", "", "0", ""),
            unsubscribe("1", None),
        ],
    );
}

#[test]
fn rest_of_the_line_after_ping_pong_and_ok_is_ignored() {
    check("PINGxyz\r\nPONG 1 2\r\n+OK fine\r\n", &[Op::Ping, Op::Pong, Op::Ok]);
}

#[test]
fn connect_and_info_need_no_space() {
    check("CONNECT{}\r\nINFO{\"a\":1}\r\n", &[Op::Connect(b"{}"), Op::Info(b"{\"a\":1}")]);
    check("CONNECT\r\n", &[Op::Connect(b"\r")]);
}

#[test]
fn other_words_need_a_separator() {
    unknown(Kind::Client, "PUBa 1\r\n", "Client parser ERROR, state=31, i=3: proto='\"a 1\\r\"...'");
    unknown(Kind::Client, "HPUB\r\n", "Client parser ERROR, state=21, i=4: proto='\"\\r\"...'");
    unknown(Kind::Client, "SUB\r\n", "Client parser ERROR, state=45, i=3: proto='\"\\r\"...'");
    unknown(Kind::Client, "UNSUB1\r\n", "Client parser ERROR, state=63, i=5: proto='\"1\\r\"...'");
    unknown(Kind::Client, "-ERR\r\n", "Client parser ERROR, state=7, i=4: proto='\"\\r\"...'");
}

#[test]
fn unknown_word_is_refused_at_its_first_wrong_byte() {
    unknown(Kind::Client, "X", "Client parser ERROR, state=0, i=0: proto='\"\"...'");
    unknown(Kind::Client, "PIX", "Client parser ERROR, state=34, i=2: proto='\"\"...'");
    unknown(Kind::Client, "CONNECX", "Client parser ERROR, state=15, i=6: proto='\"\"...'");
    unknown(Kind::Client, "\r\n", "Client parser ERROR, state=0, i=0: proto='\"\\r\"...'");
}

#[test]
fn log_shows_at_most_32_bytes_of_an_unknown_word() {
    let error = refused(Kind::Client, &[b'x'; 100], &LIMITS);
    assert!(error.to_string().ends_with(&format!("proto='\"{}\"...'", "x".repeat(32))), "{error}");
}

#[test]
fn words_of_servers_are_unknown_from_clients() {
    for word in
        ["RS+ a b", "RS- a b", "LS+ a", "LS- a", "A+ a", "A- a", "RMSG a b 1", "LMSG a 1", "MSG a 1 1"]
    {
        let error = refused(Kind::Client, word.as_bytes(), &LIMITS);
        assert_eq!(brief(&error), "Client unknown 0 at 0", "{word}");
    }
}

/// The reference reads the line and none of its arguments.
#[test]
fn hmsg_of_a_client_is_an_empty_message_to_nobody() {
    check("HMSG a 9 9\r\n\r\nPING\r\n", &[Op::LinkMessage(LinkMessage::default()), Op::Ping]);
    assert_eq!(brief(&refused(Kind::Client, b"HMSG a 1 1\r\nx", &LIMITS)), "Client unknown 41 at 12");
    assert_eq!(brief(&refused(Kind::Client, b"HMX", &LIMITS)), "Client unknown 24 at 2");
    let limits = Limits { control_line: 10, ..LIMITS };
    assert_eq!(brief(&refused(Kind::Client, b"HMSG 12345678901", &limits)), "too long in 28");
}

#[test]
fn words_of_clients_and_of_other_links_are_unknown_from_servers() {
    let table: [(Kind, &[&str]); 3] = [
        (Kind::Router, &["PUB", "SUB", "UNSUB", "HPUB", "A+", "A-"]),
        (Kind::Gateway, &["PUB", "SUB", "UNSUB", "HPUB", "LS+", "LS-", "LMSG"]),
        (Kind::Leafnode, &["PUB", "SUB", "UNSUB", "HPUB", "RS+", "RS-", "RMSG", "A+"]),
    ];
    for (kind, words) in table {
        for word in words {
            assert_eq!(refused(kind, word.as_bytes(), &LIMITS).reason(), CloseReason::ProtocolViolation);
        }
    }
}

#[test]
fn payload_must_end_with_carriage_return_and_line_feed() {
    unknown(Kind::Client, "PUB a 2\r\nhix", "Client parser ERROR, state=41, i=11: proto='\"\"...'");
    unknown(Kind::Client, "PUB a 2\r\nhi\n", "Client parser ERROR, state=41, i=11: proto='\"\"...'");
    unknown(Kind::Client, "PUB a 2\r\nhi\rx", "Client parser ERROR, state=42, i=12: proto='\"\"...'");
}

#[test]
fn pub_with_wrong_arity_is_refused_silently() {
    silent("PUB \r\n", "processPub Parse Error: \"\\r\"");
    silent("PUB a\r\n", "processPub Parse Error: \"a\"");
    silent("PUB a b c 1\r\n", "processPub Parse Error: \"a b c 1\"");
}

#[test]
fn hpub_with_wrong_arity_is_refused_silently() {
    silent("HPUB a 1\r\n", "processHeaderPub Parse Error: \"a 1\"");
    silent("HPUB a b c 1 1\r\n", "processHeaderPub Parse Error: \"a b c 1 1\"");
}

#[test]
fn sub_with_wrong_arity_is_refused_silently() {
    silent("SUB a\r\n", "processSub Parse Error: \"a\"");
    silent("SUB a b c d\r\n", "processSub Parse Error: \"a b c d\"");
}

#[test]
fn unsub_with_wrong_arity_is_refused_silently() {
    silent("UNSUB \r\n", "processUnsub Parse Error: \"\\r\"");
    silent("UNSUB 1 2 3\r\n", "processUnsub Parse Error: \"1 2 3\"");
}

#[test]
fn size_has_one_to_nine_digits() {
    for bad in ["x", "-1", "+1", "1a", "1000000000", "0x1"] {
        silent(&format!("PUB a {bad}\r\n"), &format!("processPub Bad or Missing Size: \"a {bad}\""));
    }
    silent("HPUB a x 5\r\n", "processHeaderPub Bad or Missing Header Size: \"a x 5\"");
    silent("HPUB a 1 x\r\n", "processHeaderPub Bad or Missing Total Size: \"a 1 x\"");
    let limits = Limits { payload: usize::MAX, ..LIMITS };
    check_with(Kind::Client, &limits, b"PUB a 999999999\r\n", &[], 17);
}

#[test]
fn leading_zeros_of_a_size_are_kept_as_written() {
    check("PUB a 00002\r\nhi\r\n", &[publish("a", "", "00002", "hi")]);
}

#[test]
fn header_may_not_be_larger_than_the_message() {
    silent("HPUB a 6 5\r\n", "processHeaderPub Header Size larger then TotalSize: \"a 6 5\"");
}

#[test]
fn hpub_is_refused_silently_without_headers() {
    let error = refused(Kind::Client, b"HPUB a 1 1\r\n", &Limits { headers: false, ..LIMITS });
    assert_eq!((error.to_string().as_str(), error.wire()), ("message headers not supported", None));
}

#[test]
fn hpub_gives_header_block_and_body_as_one_unchecked_payload() {
    let want = |header_len, header_text, size_text, payload| {
        Op::Publish(Publish {
            subject: b"a",
            reply: b"r",
            header_len: Some(header_len),
            size_text,
            header_text,
            payload,
            tail: b"",
            repeats: false,
        })
    };
    check("HPUB a r 5 07\r\nhellohi\r\n", &[want(5, b"5", b"07", b"hellohi")]);
    check("HPUB a r 0 2\r\nhi\r\n", &[want(0, b"0", b"2", b"hi")]);
}

#[test]
fn binary_payload_passes_unchanged() {
    let mut input = b"PUB a 256\r\n".to_vec();
    let payload: Vec<u8> = (0..=255).collect();
    input.extend_from_slice(&payload);
    input.extend_from_slice(b"\r\n");
    let mut parser = Parser::new(Kind::Client);
    let Ok(Step::Op { op: Op::Publish(publish), len }) = parser.step(&input, &LIMITS) else { panic!() };
    assert_eq!((publish.payload, len), (payload.as_slice(), input.len()));
}

#[test]
fn payload_over_the_limit_is_refused_before_it_arrives() {
    let limits = Limits { payload: 10, ..LIMITS };
    for (line, header_len) in [("PUB a 11\r\n", None), ("HPUB a 5 11\r\n", Some(5))] {
        let error = refused(Kind::Client, line.as_bytes(), &limits);
        assert_eq!(
            error,
            ParseError::PayloadTooLarge { size: 11, max: 10, header_len, payload_at: line.len() }
        );
        assert_eq!(error.to_string(), "maximum payload exceeded: 11 vs 10");
        assert_eq!(error.wire().map(|text| text.to_string()).as_deref(), Some("Maximum Payload Violation"));
        assert_eq!(error.reason(), CloseReason::MaxPayloadExceeded);
    }
    check_with(
        Kind::Client,
        &limits,
        b"PUB a 10\r\n0123456789\r\n",
        &[publish("a", "", "10", "0123456789")],
        0,
    );
}

#[test]
fn lowered_payload_limit_holds_for_a_repeated_line() {
    let mut parser = Parser::new(Kind::Client);
    let input = b"PUB a 5\r\nhello\r\n";
    assert!(parser.step(input, &LIMITS).is_ok());
    let error = parser.step(input, &Limits { payload: 4, ..LIMITS }).unwrap_err();
    assert_eq!(error.to_string(), "maximum payload exceeded: 5 vs 4");
    assert!(parser.step(b"HPUB a 5 5\r\nhello\r\n", &LIMITS).is_ok());
    assert!(parser.step(b"HPUB a 5 5\r\nhello\r\n", &Limits { headers: false, ..LIMITS }).is_err());
}

/// A line of `count` argument bytes, and the limit that allows `limit`.
#[track_caller]
fn line_of(kind: Kind, count: usize, limit: usize, ok: bool) {
    let limits = Limits { control_line: limit, ..LIMITS };
    for end in ["", "\r", "\n", "\r\n"] {
        let line = format!("CONNECT {}{end}", "x".repeat(count));
        let mut parser = Parser::new(kind);
        let result = parser.step(line.as_bytes(), &limits);
        assert_eq!(result.is_ok(), ok, "{line:?}");
        if let Err(error) = result {
            assert_eq!(
                error.wire().map(|text| text.to_string()).as_deref(),
                Some("maximum control line exceeded")
            );
            assert_eq!(error.reason(), CloseReason::MaxControlLineExceeded);
        }
    }
}

#[test]
fn control_line_limit_counts_argument_bytes_complete_or_partial() {
    line_of(Kind::Client, 10, 10, true);
    line_of(Kind::Client, 11, 10, false);
    line_of(Kind::Leafnode, 160, 10, true);
    line_of(Kind::Leafnode, 161, 10, false);
}

#[test]
fn overlong_line_is_logged_without_its_text() {
    let error = refused(
        Kind::Client,
        &[b"SUB ".as_slice(), &[b'x'; 200]].concat(),
        &Limits { control_line: 150, ..LIMITS },
    );
    assert_eq!(error, ParseError::ControlLineTooLong { state: 47, max: 150, length: 200 });
    assert_eq!(error.to_string(), "maximum control line exceeded");
}

/// Whatever does not count towards the limit is passed, so that it need not be kept either.
#[test]
fn blanks_before_arguments_and_text_behind_ping_are_passed_without_end() {
    let limits = Limits { control_line: 10, ..LIMITS };
    for (start, end, want) in [
        ("PING", "\r\n", Op::Ping),
        ("PONG", "\n", Op::Pong),
        ("+OK", "\r\n", Op::Ok),
        ("SUB", "a 1\r\n", subscribe("a", None, "1")),
        ("UNSUB ", "1\r\n", unsubscribe("1", None)),
        ("PUB", "a 1\r\nx\r\n", publish("a", "", "1", "x")),
        ("CONNECT", "{}\r\n", Op::Connect(b"{}")),
    ] {
        for blanks in [PASSED_BYTES_MIN - 1, PASSED_BYTES_MIN, PASSED_BYTES_MIN + 1, 3000] {
            let operation = format!("{start}{}{end}", " ".repeat(blanks));
            // Nor is the word kept in mind for what follows.
            let input = format!("PUB a 1\r\nx\r\n{operation}PUB a 1\r\nx\r\nPING\r\n");
            let message = publish("a", "", "1", "x");
            check_with(Kind::Client, &limits, input.as_bytes(), &[message, want, message, Op::Ping], 0);
            let want = whole(&mut Parser::new(Kind::Client), input.as_bytes(), &limits);
            let every: Vec<_> = (0..input.len()).collect();
            let cut = pieces(&mut Parser::new(Kind::Client), input.as_bytes(), &every, &limits);
            assert_eq!(cut, want, "{start} {blanks}");
        }
    }
}

#[test]
fn text_behind_ping_may_look_like_a_publish() {
    let text = format!("PING{}PUB a 1\r\nPING\r\n", "x".repeat(1000));
    let every: Vec<_> = (0..text.len()).collect();
    let (ops, end) = pieces(&mut Parser::new(Kind::Client), text.as_bytes(), &every, &LIMITS);
    assert_eq!((ops, end.as_str()), (vec![describe(&Op::Ping); 2], "0 left"));
}

#[test]
fn unsub_without_a_positive_number_ends_at_once() {
    for max in ["0", "-1", "x", "1000000000", "00"] {
        check(&format!("UNSUB 1 {max}\r\n"), &[unsubscribe("1", None)]);
    }
    check("UNSUB abc 7\r\n", &[unsubscribe("abc", Some(7))]);
}

#[test]
fn error_from_the_peer_is_handed_over() {
    check("-ERR 'bad thing'\r\n", &[Op::Err(b"'bad thing'")]);
}

#[test]
fn only_connect_is_taken_while_it_is_awaited() {
    let limits = Limits { awaits_connect: true, ..LIMITS };
    for first in ["P", "X", "PUB a 1\r\n", "\r\n", "I"] {
        let error = refused(Kind::Client, first.as_bytes(), &limits);
        assert_eq!(error, ParseError::AwaitsConnect);
        assert_eq!(error.wire().map(|text| text.to_string()).as_deref(), Some("Authorization Violation"));
        assert_eq!(error.reason(), CloseReason::AuthenticationViolation);
    }
    check_with(Kind::Client, &limits, b"CONNECT {}\r\n", &[Op::Connect(b"{}")], 0);
    check_with(Kind::Client, &limits, b"c", &[], 1);
}

#[test]
fn need_is_the_whole_operation_once_its_line_is_complete() {
    let mut parser = Parser::new(Kind::Client);
    for (have, need) in
        [("", 1), ("P", 2), ("PUB", 4), ("PUB a 5\r", 9), ("PUB a 5\r\n", 16), ("PUB a 5\r\nhel", 16)]
    {
        assert_eq!(parser.step(have.as_bytes(), &LIMITS), Ok(Step::More { need }), "{have:?}");
    }
}

#[test]
fn repeated_line_is_reported() {
    let mut parser = Parser::new(Kind::Client);
    let long = format!("PUB {} 1\r\nx\r\n", "l".repeat(200));
    for (input, want) in [
        ("PUB a 1\r\nx\r\n", false),
        ("PUB a 1\r\ny\r\n", true),
        ("PUB a 1\r\nz\r\n", true),
        ("PUB b 1\r\nx\r\n", false),
        ("PUB a 1\r\nx\r\n", false),
        ("HPUB a 1 1\r\nx\r\n", false),
        ("HPUB a 1 1\r\ny\r\n", true),
        (long.as_str(), false),
        (long.as_str(), false),
        ("HPUB a 1 1\r\nx\r\n", false),
    ] {
        let Ok(Step::Op { op: Op::Publish(publish), .. }) = parser.step(input.as_bytes(), &LIMITS) else {
            panic!()
        };
        assert_eq!(publish.repeats, want, "{input}");
    }
    parser.rest();
    let Ok(Step::Op { op: Op::Publish(publish), .. }) = parser.step(b"HPUB a 1 1\r\nx\r\n", &LIMITS) else {
        panic!()
    };
    assert!(!publish.repeats);
}

#[test]
fn tail_is_there_where_it_can_be_sent_on_as_it_is() {
    for (input, want) in [
        ("PUB a 1\r\nx\r\n", " 1\r\nx\r\n"),
        ("PUB a r 01\r\nx\r\nPING", " r 01\r\nx\r\n"),
        ("HPUB a 1 2\r\nxy\r\n", " 1 2\r\nxy\r\n"),
        ("HPUB a r 1 2\r\nxy\r\n", " r 1 2\r\nxy\r\n"),
        ("HPUB a 0 2\r\nxy\r\n", ""),
        ("PUB a 1\nx\r\n", ""),
        ("PUB a\t1\r\nx\r\n", ""),
        ("PUB a r\t1\r\nx\r\n", ""),
        ("PUB a\tr 1\r\nx\r\n", ""),
        ("HPUB a\t1 2\r\nxy\r\n", ""),
        ("HPUB a r\t1 2\r\nxy\r\n", ""),
        ("HPUB a r 1\t2\r\nxy\r\n", ""),
        ("PUB  a 1\r\nx\r\n", ""),
        ("PUB a 1 \r\nx\r\n", ""),
    ] {
        let mut parser = Parser::new(Kind::Client);
        // The second time from the memory of the first.
        for _ in 0..2 {
            let Ok(Step::Op { op: Op::Publish(publish), .. }) = parser.step(input.as_bytes(), &LIMITS) else {
                panic!("{input}")
            };
            assert_eq!(String::from_utf8_lossy(publish.tail), want, "{input}");
        }
    }
}

#[test]
fn line_whose_payload_is_still_to_come_repeats_nothing() {
    let mut parser = Parser::new(Kind::Client);
    for input in ["PUB a 1\r\nx\r\n", "PUB b 1\r\n", "PUB b 1\r\nx\r\n"] {
        match parser.step(input.as_bytes(), &LIMITS) {
            Ok(Step::Op { op: Op::Publish(publish), .. }) => assert!(!publish.repeats),
            other => assert!(matches!(other, Ok(Step::More { .. })), "{other:?}"),
        }
    }
}

#[test]
fn route_interest() {
    let sub = |leaf, origin, account, subject, queue, weight| {
        Op::LinkSubscribe(super::super::op::LinkSubscribe { leaf, origin, account, subject, queue, weight })
    };
    let unsub = |leaf, origin, account, subject, queue| {
        Op::LinkUnsubscribe(super::super::op::LinkUnsubscribe { leaf, origin, account, subject, queue })
    };
    check_with(
        Kind::Router,
        &LIMITS,
        b"RS+ A foo\r\nRS+ A foo q 3\r\nLS+ o A foo\r\nLS+ o A foo q x\r\nRS- A foo\r\nRS- A foo q\r\nLS- o A foo q\r\n",
        &[
            sub(false, b"", b"A", b"foo", None, 0),
            sub(false, b"", b"A", b"foo", Some(b"q"), 3),
            sub(true, b"o", b"A", b"foo", None, 0),
            sub(true, b"o", b"A", b"foo", Some(b"q"), 0),
            unsub(false, b"", b"A", b"foo", None),
            unsub(false, b"", b"A", b"foo", Some(b"q")),
            unsub(true, b"o", b"A", b"foo", Some(b"q")),
        ],
        0,
    );
    let mut pinned = Parser::new(Kind::Router);
    pinned.set_link_form(LinkForm { account_implied: true, leaf_origin: true, unsub_origin: false });
    assert_eq!(
        whole(&mut pinned, b"RS+ foo\r\nLS- foo\r\n", &LIMITS).0,
        [describe(&sub(false, b"", b"", b"foo", None, 0)), describe(&unsub(true, b"", b"", b"foo", None))]
    );
    for (kind, input, log) in [
        (Kind::Router, "RS+ A\r\n", "processRemoteSub Parse Error: 'R A'"),
        (Kind::Router, "LS+ o A foo q\r\n", "processRemoteSub Parse Error: 'L o A foo q'"),
        (Kind::Router, "RS- A\r\n", "processRemoteUnsub parse error: 'A'"),
        (Kind::Gateway, "RS+ A\r\n", "processGatewaySubjectSub Parse Error: 'A'"),
        (Kind::Gateway, "RS- A b c d\r\n", "processGatewaySubjectUnsub parse error: 'A b c d'"),
        (Kind::Leafnode, "LS+ a b\r\n", "processLeafSub Parse Error: 'a b'"),
    ] {
        assert_eq!(refused(kind, input.as_bytes(), &LIMITS).to_string(), log);
    }
}

#[test]
fn gateway_and_leaf_interest() {
    check_with(
        Kind::Gateway,
        &LIMITS,
        b"A+ A\r\nA- B\r\n",
        &[Op::AccountInterest(b"A"), Op::AccountNoInterest(b"B")],
        0,
    );
    let (subject, queue): (&[u8], Option<&[u8]>) = (b"foo", Some(b"q"));
    let (leaf, origin, account): (bool, &[u8], &[u8]) = (true, b"", b"");
    check_with(
        Kind::Leafnode,
        &LIMITS,
        b"LS+ foo q 2\r\nLS- foo q\r\n",
        &[
            Op::LinkSubscribe(super::super::op::LinkSubscribe {
                leaf,
                origin,
                account,
                subject,
                queue,
                weight: 2,
            }),
            Op::LinkUnsubscribe(super::super::op::LinkUnsubscribe { leaf, origin, account, subject, queue }),
        ],
        0,
    );
}

fn message<'a>(origin: &'a str, account: &'a str, reply: &'a str, queues: &'a str, header: bool) -> Op<'a> {
    Op::LinkMessage(LinkMessage {
        origin: origin.as_bytes(),
        account: account.as_bytes(),
        subject: b"foo",
        reply: reply.as_bytes(),
        queues: Queues::from(queues.as_bytes()),
        header_len: header.then_some(2),
        size_text: b"4",
        header_text: if header { b"2" } else { b"" },
        payload: b"hhbb",
    })
}

#[test]
fn link_messages_with_reply_and_queues() {
    for (args, reply, queues) in [
        ("", "", ""),
        (" r", "r", ""),
        (" +", "+", ""),
        (" + r", "r", ""),
        (" + r q1 q2", "r", "q1 q2"),
        (" | q1", "", "q1"),
        (" | q1 q2", "", "q1 q2"),
    ] {
        for (kind, lead, header, origin, account) in [
            (Kind::Router, "RMSG A", false, "", "A"),
            (Kind::Router, "HMSG A", true, "", "A"),
            (Kind::Router, "LMSG o A", true, "o", "A"),
            (Kind::Gateway, "RMSG A", false, "", "A"),
            (Kind::Gateway, "HMSG A", true, "", "A"),
            (Kind::Leafnode, "LMSG", false, "", ""),
            (Kind::Leafnode, "HMSG", true, "", ""),
        ] {
            let sizes = if header { "2 4" } else { "4" };
            let input = format!("{lead} foo{args} {sizes}\r\nhhbb\r\n");
            check_with(
                kind,
                &LIMITS,
                input.as_bytes(),
                &[message(origin, account, reply, queues, header)],
                0,
            );
        }
    }
}

#[test]
fn malformed_link_messages_are_refused_silently() {
    for (kind, line, log) in [
        (Kind::Router, "RMSG A foo", "processRoutedMsgArgs Parse Error: '[A foo]'"),
        (Kind::Router, "RMSG A foo x r 4", "processRoutedMsgArgs Bad or Missing Reply Indicator: 'x'"),
        (Kind::Router, "RMSG A foo x", "processRoutedMsgArgs Bad or Missing Size: '[A foo x]'"),
        (Kind::Router, "HMSG A foo 4", "processRoutedHeaderMsgArgs Parse Error: '[A foo 4]'"),
        (
            Kind::Router,
            "HMSG A foo x 4",
            "processRoutedHeaderMsgArgs Bad or Missing Header Size: 'A foo x 4'",
        ),
        (
            Kind::Router,
            "HMSG A foo 5 4",
            "processRoutedHeaderMsgArgs Header Size larger then TotalSize: 'A foo 5 4'",
        ),
        (Kind::Router, "LMSG o A foo 4", "processRoutedOriginClusterMsgArgs Parse Error: '[o A foo 4]'"),
        (Kind::Leafnode, "LMSG foo", "processLeafMsgArgs Parse Error: '[foo]'"),
        (Kind::Leafnode, "HMSG foo 4", "processLeafHeaderMsgArgs Parse Error: '[foo 4]'"),
    ] {
        assert_eq!(refused(kind, format!("{line}\r\n").as_bytes(), &LIMITS).to_string(), log);
    }
    let limits = Limits { payload: 3, ..LIMITS };
    assert_eq!(refused(Kind::Leafnode, b"LMSG foo 4\r\n", &limits).reason(), CloseReason::MaxPayloadExceeded);
    check_with(Kind::Router, &limits, b"RMSG A foo 4\r\nhhbb\r\n", &[message("", "A", "", "", false)], 0);
}

#[test]
fn parser_is_small() {
    assert!(size_of::<Parser>() <= 32, "{}", size_of::<Parser>());
}

#[test]
fn usual_and_unusual_lines_are_read_alike() {
    for line in [
        "PUB a 1",
        "PUB\ta\t1",
        "PUB a b 1",
        "PUB  a 1",
        "PUB a  1",
        "PUB a 1 ",
        "PUB a b  1",
        "PUB a\tb\t1",
        "PUB 1 1",
        "PUB 1 1 1",
        "PUB a 000000001",
        "PUB a b1",
        "PUB a 1 1",
        "PUB a,1 1",
        "PUB a b c 1",
        "PUB a 0000000001",
        "PUB 1",
        "HPUB a 0 1",
        "HPUB a 1 1",
        "HPUB a b 1 1",
        "HPUB a  1 1",
        "HPUB a 1  1",
        "HPUB a\t1\t1",
        "HPUB a 2 1",
        "HPUB 1 1",
        "HPUB a b c 1 1",
        "HPUB a x 1",
        "HPUB a 1 1 1",
        "HPUB 1 1 1",
    ] {
        for end in ["\r\n", "\n", "\r\r\n"] {
            let input = format!("{line}{end}x\r\n");
            let cut = line.len();
            let mut parser = Parser::new(Kind::Client);
            // A line that came in two parts is not read the short way.
            let want = pieces(&mut parser, input.as_bytes(), &[cut], &LIMITS);
            assert_eq!(whole(&mut Parser::new(Kind::Client), input.as_bytes(), &LIMITS), want, "{input:?}");
        }
    }
}

/// Lines and fragments that make interesting traffic when joined.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        30 => prop::sample::select(vec![
            "PING\r\n", "PONG\n", "+OK\r\n", "CONNECT {}\r\n", "CONNECT{\"a\":1}\n", "INFO {}\r\n", "-ERR 'x'\r\n",
            "PUB a 5\r\nhello\r\n", "PUB a 5\r\nhello\r\n", "PUB a.b r 0\r\n\r\n", "pub\ta\t2\r\nhi\r\n",
            "HPUB a 4 6\r\nhhhhbb\r\n", "HPUB a r 0 2\r\nbb\r\n", "SUB a 1\r\n", "SUB a q 2\r\n", "UNSUB 1 5\r\n",
            "RS+ A foo\r\n", "LS+ o A foo q 1\r\n", "RMSG A foo 2\r\nhi\r\n", "HMSG A foo | q 2 4\r\nhhbb\r\n",
            "LMSG o A foo + r q 2 4\r\nhhbb\r\n", "A+ A\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::sample::select(vec![
            "PINGxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", "PUB  \r\n", "SUB \n", "PUB a x\r\n", "PUB a 99\r\n",
            "PUB a 2\r\nhixx", "PUB a 2\r\nhi\rx", "PUB aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\nx\r\n",
            "SUB                                       a 1\r\n", "P", "C", "\r\n", "\r", "\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => (prop::sample::select(vec!["PING", "SUB", "CONNECT"]), 200_usize..600)
            .prop_map(|(word, blanks)| format!("{word}{}a 1\r\n", " ".repeat(blanks)).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec((piece, 1_usize..4), 0..12).prop_map(|pieces| {
        pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect::<Vec<_>>().concat()
    })
}

#[test]
fn search_position_of_a_cut_line_is_forgotten_with_the_line() {
    let input = b"PUB a 5\r\nhello\r\nPUB a 5\r\nhello\r\nPING\r\n";
    let every: Vec<_> = (0..input.len()).collect();
    let (ops, end) = pieces(&mut Parser::new(Kind::Client), input, &every, &LIMITS);
    assert_eq!((ops.len(), end.as_str()), (3, "0 left"));
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_operations_and_error(
        input in traffic(),
        mut cuts in prop::collection::vec(0_usize..400, 0..20),
        kind in prop::sample::select(vec![Kind::Client, Kind::Client, Kind::Router, Kind::Gateway, Kind::Leafnode]),
    ) {
        let limits = Limits { control_line: if kind == Kind::Client { 32 } else { 2 }, payload: 50, ..LIMITS };
        cuts.retain(|&cut| cut < input.len());
        cuts.sort_unstable();
        let want = whole(&mut Parser::new(kind), &input, &limits);
        prop_assert_eq!(&pieces(&mut Parser::new(kind), &input, &cuts, &limits), &want);
        let every: Vec<_> = (0..input.len()).collect();
        prop_assert_eq!(&pieces(&mut Parser::new(kind), &input, &every, &limits), &want);
    }

    #[test]
    fn random_bytes_do_not_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_parser(&data);
    }

    #[test]
    fn mangled_traffic_does_not_panic(mut data in traffic(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        if !data.is_empty() {
            let at = at.index(data.len());
            data[at] = byte;
        }
        fuzz_parser(&data);
    }
}
