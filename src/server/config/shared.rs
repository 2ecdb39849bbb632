//! The options in force: many read them, a reload swaps them whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::options::Options;

/// The current options. A reader keeps those it began with, whatever a reload does meanwhile.
#[derive(Debug)]
pub struct Shared {
    current: ArcSwap<Options>,
}

impl Shared {
    /// These options from now on.
    pub fn new(options: Options) -> Self {
        Self { current: ArcSwap::from_pointee(options) }
    }

    /// The options in force.
    pub fn get(&self) -> Arc<Options> {
        self.current.load_full()
    }

    /// Puts others in force and gives back the ones before.
    pub fn swap(&self, options: Options) -> Arc<Options> {
        self.current.swap(Arc::new(options))
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_the_options_it_began_with() {
        let shared = Shared::default();
        let before = shared.get();
        let replaced = shared.swap(Options { port: 1, ..Options::default() });
        assert!(Arc::ptr_eq(&before, &replaced));
        assert_eq!((before.port, shared.get().port), (4222, 1));
    }
}
