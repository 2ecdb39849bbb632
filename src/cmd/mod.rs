//! The command line of the one binary: parse, dispatch, exit code.

pub mod flags;
pub mod go_style;
