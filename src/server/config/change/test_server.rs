//! For the tests of this folder: a server with its file, to be edited and reloaded.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::options::{Account, Options, Tls};
use super::{Change, LogLine, Ports, Running, changes};
use crate::server::base::url::Url;

/// A server and its file, to be edited.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) options: Options,
    pub(super) running: Running,
}

/// A server as it starts without a file.
pub(super) fn plain() -> Server {
    with(|_| {})
}

/// A server that was started with these edits to the defaults.
pub(super) fn with(edit: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::default();
    edit(&mut options);
    let ports =
        Ports { client: 4222, cluster: 6222, gateway: 7222, leafnodes: 7422, websocket: 8080, mqtt: 1883 };
    let running = Running { jetstream: options.jetstream.enabled, ports, ..Running::default() };
    Server { options, running }
}

impl Server {
    /// The log of a reload after this edit to the file, without the two lines that every reload
    /// has; or the refusal.
    pub(super) fn reload(&self, edit: impl FnOnce(&mut Options)) -> Vec<String> {
        let mut old = self.options.clone();
        let mut new = self.options.clone();
        edit(&mut new);
        old.settle();
        new.settle();
        match changes(&old, &new, &self.running) {
            Err(refusal) => vec![refusal.to_string()],
            Ok(changes) => {
                let lines = changes
                    .iter()
                    .filter(|change| !matches!(change, Change::Users | Change::Accounts))
                    .flat_map(Change::log_lines);
                lines
                    .map(|line| match line {
                        LogLine::Notice(text) => text,
                        LogLine::Warning(text) => format!("[WRN] {text}"),
                    })
                    .collect()
            }
        }
    }

    #[track_caller]
    pub(super) fn logs(&self, edit: impl FnOnce(&mut Options), want: &[&str]) {
        assert_eq!(self.reload(edit), want);
    }

    #[track_caller]
    pub(super) fn refuses(&self, edit: impl FnOnce(&mut Options), field: &str, old: &str, new: &str) {
        let want = format!("config reload not supported for {field}: old={old}, new={new}");
        assert_eq!(self.reload(edit), [want]);
    }

    #[track_caller]
    pub(super) fn refuses_as(&self, edit: impl FnOnce(&mut Options), want: &str) {
        assert_eq!(self.reload(edit), [want]);
    }
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.into())
}

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(super) fn account(name: &str) -> Account {
    Account { name: name.into(), ..Account::default() }
}

pub(super) fn tls() -> Tls {
    Tls { cert_file: Some("c.pem".into()), key_file: Some("k.pem".into()), ..Tls::default() }
}

pub(super) fn pinned() -> BTreeSet<String> {
    [PIN.to_owned()].into()
}

pub(super) const PIN: &str = "a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9c32";
