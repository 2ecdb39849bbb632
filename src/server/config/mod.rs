//! The configuration language, the typed options, and what a reload changes.

pub mod options;
pub mod url;
