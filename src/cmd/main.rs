//! The process's entry.
use natsx::server::{base::clock::SystemClock, config::options::Options, log, run::Server};
use std::sync::Arc;
#[cfg(feature = "jemalloc")]
#[global_allocator]
static A: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
fn main() {
    let port: i32 = std::env::args().nth(1).and_then(|p| p.parse().ok()).unwrap_or(4222);
    let mut options = Options { port, ..Options::default() };
    options.settle();
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async move {
        let (logger, _thread) = log::start(&log::Settings::default(), Arc::new(SystemClock::new())).unwrap();
        if std::env::args().any(|a| a == "-DV") {
            logger.set_levels(log::Levels { debug: true, trace: true, ..Default::default() });
        }
        let s = Server::start(options, logger).await.unwrap();
        s.stopped().await;
    });
}
