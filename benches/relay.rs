//! What copying costs: `cargo bench --bench relay`.
//!
//! A relay reads blocks of messages from one loopback socket and writes them to others, and does nothing
//! else. Its CPU per message in or out is the floor under the same figure of a server.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench has threads and prints")]

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::scope;
use std::time::Duration;

/// Bytes of one read and one write: what `natsx bench` writes at once.
const BLOCK_BYTES: usize = 64 << 10;
/// What a PUB and its subject take beside the payload.
const LINE_BYTES: usize = 28;
/// Bytes that go through in all.
const BYTES: usize = 2 << 30;

fn main() -> io::Result<()> {
    println!("{:>8} {:>10} {:>14}", "copies", "payload B", "CPU us/msg");
    for (copies, payload) in
        [(0, 16), (0, 128), (1, 16), (1, 128), (1, 4096), (4, 128), (20, 128), (200, 128)]
    {
        let (messages, cpu) = relay(copies, payload + LINE_BYTES)?;
        let us = cpu.as_secs_f64() * 1e6 / (messages * (1 + copies)) as f64;
        println!("{copies:>8} {payload:>10} {us:>14.4}");
    }
    Ok(())
}

/// Passes messages of `bytes` on to so many sockets: how many, and the CPU time of the thread that did it.
fn relay(copies: usize, bytes: usize) -> io::Result<(usize, Duration)> {
    let blocks = BYTES / BLOCK_BYTES / (1 + copies);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let pair = || -> io::Result<(TcpStream, TcpStream)> {
        let near = TcpStream::connect(address)?;
        Ok((near, listener.accept()?.0))
    };
    let (mut sender, mut source) = pair()?;
    let (mut sinks, receivers): (Vec<_>, Vec<_>) =
        (0..copies).map(|_| pair()).collect::<io::Result<Vec<_>>>()?.into_iter().unzip();
    // The receivers end with the sinks, which end with this.
    scope(move |scope| {
        scope.spawn(move || {
            let block = vec![b'x'; BLOCK_BYTES];
            (0..blocks).try_for_each(|_| sender.write_all(&block))
        });
        for mut receiver in receivers {
            scope.spawn(move || {
                let mut buffer = vec![0; BLOCK_BYTES];
                while receiver.read(&mut buffer)? > 0 {}
                Ok::<(), io::Error>(())
            });
        }
        let mut buffer = vec![0; BLOCK_BYTES];
        let before = cpu()?;
        let mut total = 0;
        loop {
            let count = source.read(&mut buffer)?;
            let block = buffer.get(..count).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            total += count;
            sinks.iter_mut().try_for_each(|sink| sink.write_all(block))?;
        }
        let cpu = cpu()?.saturating_sub(before);
        Ok((total / bytes, cpu))
    })
}

/// The CPU time of the calling thread.
fn cpu() -> io::Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
