//! natsx: a NATS server, its admin tools and its parity proof, in one package.
//!
//! Four parts. [`server`] is the server itself, in layers. [`cmd`] is the command line of the one
//! binary. [`admin`] is what an operator does to a running server, over NATS and HTTP. [`parity`]
//! reads the ledger `differences.md` and plays conversation scripts against any server.

pub mod server;

pub mod admin;
pub mod parity;

pub mod cmd;
