//! The process's entry.

fn main() {}
