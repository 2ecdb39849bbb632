//! What it costs to read operations: one subject in a row, where the control line repeats, and many
//! subjects in turn, where it never does.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use natsx::server::protocol::op::{Kind, Op};
use natsx::server::protocol::parser::{Limits, Parser, Step};

const LIMITS: Limits = Limits { control_line: 4096, payload: 1 << 20, headers: true, awaits_connect: false };

/// Operations in one buffer: about what one read of a busy connection brings.
const OPERATIONS: usize = 512;

fn publishes(subjects: usize, reply: bool, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in 0..OPERATIONS {
        let reply = if reply { "_INBOX.aBcDeFgHiJkLmNoPqRsTuV.1234 " } else { "" };
        bytes.extend_from_slice(format!("PUB orders.eu.{:04} {reply}{size}\r\n", at % subjects).as_bytes());
        bytes.resize(bytes.len() + size, b'x');
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn headers(subjects: usize, size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in 0..OPERATIONS {
        let header = "NATS/1.0\r\nKey: value\r\n\r\n";
        let total = header.len() + size;
        bytes.extend_from_slice(
            format!("HPUB orders.eu.{:04} {} {total}\r\n{header}", at % subjects, header.len()).as_bytes(),
        );
        bytes.resize(bytes.len() + size, b'x');
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn mixed() -> Vec<u8> {
    let mut bytes = Vec::new();
    for at in 0..OPERATIONS {
        let size = [16, 128, 40, 1024].get(at % 4).copied().unwrap_or_default();
        match at % 16 {
            0 => bytes.extend_from_slice(format!("SUB _INBOX.{at}.* {at}\r\n").as_bytes()),
            1 => bytes.extend_from_slice(format!("UNSUB {at} 1\r\n").as_bytes()),
            2 => bytes.extend_from_slice(b"PING\r\n"),
            _ => {
                let reply = if at % 3 == 0 { format!("_INBOX.{at} ") } else { String::new() };
                let subject = format!("a.{}.event.{}", at * 7 % 100, at * 31 % 500);
                bytes.extend_from_slice(format!("PUB {subject} {reply}{size}\r\n").as_bytes());
                bytes.resize(bytes.len() + size, b'x');
                bytes.extend_from_slice(b"\r\n");
            }
        }
    }
    bytes
}

/// Reads all operations and touches what a server looks at.
fn read(parser: &mut Parser, mut input: &[u8]) -> usize {
    let mut sum = 0;
    while let Ok(Step::Op { op, len }) = parser.step(input, &LIMITS) {
        if let Op::Publish(publish) = op {
            sum += publish.subject.len() + publish.payload.len() + usize::from(publish.repeats);
        }
        input = input.get(len..).unwrap_or_default();
    }
    sum
}

fn parser(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parser");
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    for (name, input) in [
        ("pub 16 B, same line", publishes(1, false, 16)),
        ("pub 16 B, other lines", publishes(512, false, 16)),
        ("pub 128 B, same line", publishes(1, false, 128)),
        ("pub 128 B, other lines", publishes(512, false, 128)),
        ("pub with reply 128 B, other lines", publishes(512, true, 128)),
        ("hpub 128 B, same line", headers(1, 128)),
        ("hpub 128 B, other lines", headers(512, 128)),
        ("mixed", mixed()),
    ] {
        group.bench_with_input(BenchmarkId::from_parameter(name), &input, |bench, input| {
            let mut parser = Parser::new(Kind::Client);
            bench.iter(|| black_box(read(&mut parser, black_box(input))));
        });
    }
    group.finish();
}

criterion_group!(benches, parser);
criterion_main!(benches);
