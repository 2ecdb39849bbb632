//! Outbound staging: what a delivery costs between the match and the socket. One read batch of 512
//! messages is staged for one destination and for many, delivery by delivery and as one block, and
//! flushed; the destinations have no socket.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use natsx::server::outbound::{Aftermath, Block, Outbound, Outgoing, Stage};

/// Messages of one batch.
const MESSAGES: u64 = 512;
const DESTINATIONS: [usize; 3] = [1, 20, 1_000];
const SIZES: [usize; 3] = [16, 128, 16 << 10];

fn destinations(count: usize) -> Vec<Arc<Outbound>> {
    (0..count as u64).map(|id| Arc::new(Outbound::detached(id))).collect()
}

fn message<'a>(payload: &'a [u8], size_text: &'a [u8], tail: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        subject: b"orders.eu.0001",
        reply: b"",
        header_bytes: None,
        header_text: b"",
        size_text,
        payload,
        tail,
    }
}

fn flush(stage: &mut Stage) {
    stage.flush(None, &mut Aftermath { blocked: &mut |_| (), stalling: &mut Vec::new() });
}

fn staging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("staging");
    for size in SIZES {
        let payload = vec![b'x'; size];
        let size_text = size.to_string();
        let tail = [format!(" {size}\r\n").as_bytes(), &payload, b"\r\n"].concat();
        let message = message(&payload, size_text.as_bytes(), &tail);
        for count in DESTINATIONS {
            let targets = destinations(count);
            let mut stage = Stage::default();
            group.throughput(Throughput::Elements(MESSAGES));
            // The messages go round the destinations: each delivery finds another slot than the last.
            group.bench_function(BenchmarkId::new(format!("each/{size}"), count), |bencher| {
                bencher.iter(|| {
                    for target in targets.iter().cycle().take(MESSAGES as usize) {
                        let staged = stage.slot(target);
                        message.write_client(b"1", true, None, staged);
                    }
                    flush(&mut stage);
                });
            });
            let shared = message.share(2);
            if shared.is_some() {
                group.bench_function(BenchmarkId::new(format!("shared/{size}"), count), |bencher| {
                    bencher.iter(|| {
                        for target in targets.iter().cycle().take(MESSAGES as usize) {
                            let staged = stage.slot(target);
                            message.write_client(b"1", true, shared.as_ref(), staged);
                        }
                        flush(&mut stage);
                    });
                });
                continue;
            }
            // Every destination gets the whole batch.
            group.throughput(Throughput::Elements(MESSAGES * count as u64));
            group.bench_function(BenchmarkId::new(format!("block/{size}"), count), |bencher| {
                let mut block = Block::default();
                bencher.iter(|| {
                    block.restart(b"1");
                    (0..MESSAGES).for_each(|_| block.append(&message));
                    for target in &targets {
                        stage.copy(target, &block.addressed(b"1", MESSAGES as usize));
                        black_box(&stage);
                        flush(&mut stage);
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, staging);
criterion_main!(benches);
