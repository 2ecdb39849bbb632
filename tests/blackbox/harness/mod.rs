//! What every module of the black-box tests stands on: servers, raw sockets, clients, trials.

pub(crate) mod wait;
pub(crate) mod chance;
pub(crate) mod command;
pub(crate) mod server;
pub(crate) mod raw;
pub(crate) mod client;
pub(crate) mod python;
pub(crate) mod pki;
pub(crate) mod responder;
pub(crate) mod secure;
pub(crate) mod operator;
pub(crate) mod trial;

pub(crate) use chance::Chance;
pub(crate) use client::{Nats, block_on};
pub(crate) use command::{Output, run};
pub(crate) use raw::Raw;
pub(crate) use server::{Log, Server, Signal, Start};
pub(crate) use wait::eventually;
