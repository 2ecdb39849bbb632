//! The configuration language, the typed options, and what a reload changes.

pub mod value;
pub mod diagnose;
pub mod options;
pub mod url;
