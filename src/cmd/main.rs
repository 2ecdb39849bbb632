//! The process's entry, and the allocator that release builds use.

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Freed memory goes back to the system within a second, by a thread of jemalloc's own: a server
/// that was busy is small again soon. Measured in `docs/performance.md`.
// SAFETY: jemalloc reads one pointer from this symbol, to text that ends with a zero byte. A slice
// begins with its pointer, and the literal has the zero.
#[cfg(feature = "jemalloc")]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> std::process::ExitCode {
    natsx::cmd::main()
}
