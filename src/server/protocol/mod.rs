//! The text protocol, subjects and headers; knows no connections and no accounts.

pub mod op;
pub mod parser;
mod words;
mod publish_line;
pub mod args;
pub mod encode;
pub mod subject;
pub mod subject_set;
pub mod subject_rules;
pub mod transform;
pub mod mapping;
pub mod header;
pub mod json;
pub mod info;
pub mod connect;
pub mod error;
