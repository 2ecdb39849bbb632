//! x
use crate::harness::trial::trials;
trials! {}
