//! The official Python client does with this server what it does with any: one script a trial.

use crate::harness::python::script;
use crate::harness::trial::trials;
use crate::harness::{Server, Start};

trials! { Python => [
    publish_subscribe,
    wildcards,
    queue_groups,
    request_reply,
    headers,
    no_responders,
    drain,
    lame_duck,
    slow_consumer,
] }

fn publish_subscribe() {
    script("publish_subscribe", &[&Server::start("")]);
}

fn wildcards() {
    script("wildcards", &[&Server::start("")]);
}

fn queue_groups() {
    script("queue_groups", &[&Server::start("")]);
}

fn request_reply() {
    script("request_reply", &[&Server::start("")]);
}

fn headers() {
    script("headers", &[&Server::start("")]);
}

fn no_responders() {
    script("no_responders", &[&Server::start("")]);
}

fn drain() {
    script("drain", &[&Server::start("")]);
}

/// The script sends the signal itself, so that it comes in the middle of its conversation.
fn lame_duck() {
    let old = Start::config("lame_duck_duration: 30s\nlame_duck_grace_period: 10ms").start();
    script("lame_duck", &[&old, &Server::start("")]);
}

/// The server has to cut off a client that stops reading; the client has to come back.
fn slow_consumer() {
    let server = Server::start("max_pending: 2mb");
    script("slow_consumer", &[&server]);
    server.wait_log("Slow Consumer Detected");
}
