//! The configuration language, the typed options, and what a reload changes.
//!
//! A file becomes tokens (`lex`), then a tree of values with their places (`parse`, `value`), then
//! typed options. Findings on the way are values too (`diagnose`).

pub mod value;
pub mod diagnose;
mod cursor;
pub mod lex;
mod lex_value;
mod number;
mod path;
pub mod parse;
#[cfg(test)]
mod parse_test;
pub mod toml;
pub mod digest;
pub mod load;
pub mod duration;
pub mod key_pair;
mod version;
pub mod options;
pub mod advertise;
pub mod read;
pub mod unbuilt;
pub mod check;
pub mod shared;
pub mod change;
