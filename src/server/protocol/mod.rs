//! The text protocol, subjects and headers; knows no connections and no accounts.

pub mod op;
pub mod parser;
pub mod connect;
pub mod info;
mod words;
mod publish_line;
pub mod args;
pub mod encode;
pub mod subject;
pub mod transform;
pub mod header;
pub mod error;
pub mod quote;
