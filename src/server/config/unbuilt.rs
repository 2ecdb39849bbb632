//! What a configuration may ask for that natsx does not do yet.
//!
//! `-t` judges such a file like any other; a start refuses it, so that nobody runs a server that
//! silently leaves out, say, its passwords. Who builds a feature removes its row.

use super::options::Options;

/// Whether the options ask for something.
type IsUsed = fn(&Options) -> bool;

/// What is not built, and whether it is asked for. The first in use is named.
const UNBUILT: &[(&str, IsUsed)] = &[
    ("http", |o| o.http_port != 0),
    ("https", |o| o.https_port != 0),
    ("cluster", |o| o.cluster.port != 0 || !o.cluster.routes.is_empty()),
    ("gateway", |o| o.gateway.port != 0 || !o.gateway.gateways.is_empty()),
    ("leafnodes", |o| o.leafnodes.port != 0 || !o.leafnodes.remotes.is_empty()),
    ("websocket", |o| o.websocket.port != 0),
    ("mqtt", |o| o.mqtt.port != 0),
    ("jetstream", |o| o.jetstream.enabled),
    ("prof_port", |o| o.prof_port != 0),
];

/// Keys that belong to what is not built and change nothing without it: a server may start with them,
/// and says so.
const WITHOUT_EFFECT: &[(&str, IsUsed)] = &[
    ("max_closed_clients", |o| o.max_closed_clients != Options::default().max_closed_clients),
    ("connect_error_reports", |o| o.connect_error_reports != Options::default().connect_error_reports),
    ("reconnect_error_reports", |o| o.reconnect_error_reports != Options::default().reconnect_error_reports),
    ("http_base_path", |o| o.http_base_path.is_some()),
    ("prof_block_rate", |o| o.prof_block_rate != 0),
];

/// The keys in use that have no effect yet.
pub fn without_effect(options: &Options) -> impl Iterator<Item = &'static str> {
    WITHOUT_EFFECT.iter().filter(|(_, is_used)| is_used(options)).map(|(name, _)| *name)
}

/// One sentence that names the first thing asked for that is not built; `None` when all is.
pub(super) fn unbuilt(options: &Options) -> Option<String> {
    let (name, _) = UNBUILT.iter().find(|(_, is_used)| is_used(options))?;
    Some(format!("the configuration uses `{name}`, which natsx cannot do yet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::options::Jetstream;

    #[test]
    fn keys_without_effect_are_named() {
        let mut options = Options::default();
        options.settle();
        assert_eq!(without_effect(&options).count(), 0);
        (options.prof_block_rate, options.max_closed_clients) = (1, 5);
        let named: Vec<_> = without_effect(&options).collect();
        assert_eq!(named, ["max_closed_clients", "prof_block_rate"]);
    }

    #[test]
    fn a_server_without_special_wishes_can_start() {
        assert_eq!(unbuilt(&Options::default()), None);
        let mut settled = Options::default();
        settled.settle();
        assert_eq!(unbuilt(&settled), None);
    }

    #[test]
    fn the_first_thing_that_is_missing_is_named() {
        let jetstream = Jetstream { enabled: true, ..Jetstream::default() };
        let options = Options { jetstream, http_port: 8222, ..Options::default() };
        assert_eq!(unbuilt(&options).unwrap(), "the configuration uses `http`, which natsx cannot do yet");
        let jetstream_only = Options { http_port: 0, ..options };
        let want = "the configuration uses `jetstream`, which natsx cannot do yet";
        assert_eq!(unbuilt(&jetstream_only).unwrap(), want);
    }
}
