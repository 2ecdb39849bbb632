//! Pooled byte buffers in three size classes.
//!
//! Reference: outbound buffers come in 512, 4,096 and 65,536 bytes; data larger than the largest
//! class is split.

use parking_lot::Mutex;

/// Capacities of pooled buffers, in bytes.
pub const CLASS_BYTES: [usize; 3] = [512, 4096, 65_536];

/// Buffers kept for reuse in each class; more are given back to the allocator.
const KEPT_MAX: [usize; 3] = [256, 128, 32];

static POOL: [Mutex<Vec<Vec<u8>>>; 3] = [const { Mutex::new(Vec::new()) }; 3];

/// The smallest class that holds `wanted` bytes, or the largest there is.
fn class_for(wanted: usize) -> usize {
    CLASS_BYTES.iter().position(|&bytes| wanted <= bytes).unwrap_or(CLASS_BYTES.len() - 1)
}

/// An empty buffer of the smallest class that holds `wanted` bytes, or of the largest class.
pub fn take(wanted: usize) -> Vec<u8> {
    let class = class_for(wanted);
    let (Some(pool), Some(&bytes)) = (POOL.get(class), CLASS_BYTES.get(class)) else { return Vec::new() };
    let kept = pool.lock().pop();
    kept.unwrap_or_else(|| Vec::with_capacity(bytes))
}

/// Gives a buffer back; one that is of no class is freed.
pub fn give(mut buffer: Vec<u8>) {
    let Some(class) = CLASS_BYTES.iter().position(|&bytes| bytes == buffer.capacity()) else { return };
    let (Some(pool), Some(&kept_max)) = (POOL.get(class), KEPT_MAX.get(class)) else { return };
    buffer.clear();
    let mut pool = pool.lock();
    if pool.len() < kept_max {
        pool.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_class_that_fits_is_taken() {
        for (wanted, capacity) in
            [(1, 512), (512, 512), (513, 4096), (4096, 4096), (4097, 65_536), (1 << 20, 65_536)]
        {
            assert_eq!(take(wanted).capacity(), capacity, "{wanted}");
        }
    }

    #[test]
    fn buffer_given_back_comes_empty() {
        let mut buffer = take(10);
        buffer.extend_from_slice(b"left over");
        give(buffer);
        assert!((0..300).all(|_| take(10).is_empty()));
    }
}
