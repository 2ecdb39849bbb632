//! Comparing the `cluster` and `gateway` blocks.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::advertise;
use super::super::options::{
    Cluster, Compression, GLOBAL_ACCOUNT, Gateway, HOST, RemoteGateway, TLS_TIMEOUT, Tls, auth_timeout,
};
use super::general::tls_changed;
use super::shown::{Opaque, Seconds, Secret, Shown, fields_shown};
use super::{Change, Comparison, LogLine, Refusal, port};
use crate::server::base::url::Url;

/// What of the `cluster` block changes and needs more than new options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterChange {
    /// The cluster's name from now on.
    pub renamed: Option<String>,
    /// What may cross routes: subscriptions are exchanged anew.
    pub permissions: bool,
    /// Compression: routes switch, or are closed where it must be negotiated.
    pub compression: bool,
    /// The number of routes to each server: pooled routes are closed.
    pub pool_size: bool,
    /// Accounts that get a route of their own.
    pub accounts_added: Vec<String>,
    /// Accounts that lose it.
    pub accounts_removed: Vec<String>,
    /// Certificates of routes are not checked.
    pub insecure: bool,
}

impl ClusterChange {
    pub(super) fn log_lines(&self) -> Vec<LogLine> {
        let renamed = self.renamed.as_ref().map(|name| format!("Cluster name updated to {name}"));
        let notices = renamed.into_iter().chain(["Reloaded: cluster".into()]).map(LogLine::Notice);
        let insecure = "TLS certificate chain and hostname of solicited routes will not be verified. \
                        DO NOT USE IN PRODUCTION!";
        notices.chain(self.insecure.then(|| LogLine::Warning(insecure.into()))).collect()
    }
}

impl Comparison<'_> {
    /// The blocks of links between servers, in the reference's order.
    pub(super) fn links(&mut self) -> Result<(), Refusal> {
        self.cluster()?;
        self.gateway()?;
        self.leafnodes()
    }

    fn cluster(&mut self) -> Result<(), Refusal> {
        let (old, new) = (&self.old.cluster, &self.new.cluster);
        let bound = self.running.ports.cluster;
        let tls = tls_changed(old.tls.as_ref(), new.tls.as_ref(), self.running.tls_files_changed);
        if !tls && cluster(old, bound) == cluster(new, bound) {
            return Ok(());
        }
        let unsupported = |what: &str, old: String, new: String| {
            Refusal::Unsupported(format!("cluster {what}: old={old}, new={new}"))
        };
        if old.host != new.host {
            return Err(unsupported("host", old.host.shown(), new.host.shown()));
        }
        let (old_port, new_port) = (port(old.port, bound), port(new.port, bound));
        if old_port != new_port {
            return Err(unsupported("port", old_port.shown(), new_port.shown()));
        }
        if let Some(address) = new.advertise.as_deref().filter(|address| !address.is_empty()) {
            advertise::split(address, 0).map_err(|error| {
                Refusal::Invalid(format!("invalid Cluster.Advertise value of {address}, err={error}"))
            })?;
        }
        let without = |list: &[String], other: &[String]| -> Vec<String> {
            list.iter().filter(|name| !other.contains(name)).cloned().collect()
        };
        let accounts_added = without(&new.accounts, &old.accounts);
        if let Some(name) = accounts_added.iter().find(|name| !self.knows_account(name)) {
            return Err(Refusal::Invalid(format!(
                "unable to add account {} to the list of dedicated routes: account missing",
                crate::server::base::quote::quote(name)
            )));
        }
        let mut accounts_removed = without(&old.accounts, &new.accounts);
        // Without a pool the system account has no route of its own either.
        if new.pool_size < 0
            && old.pool_size >= 0
            && let Some(system) = self.new.system_account_name()
            && !accounts_removed.iter().any(|name| name == system)
        {
            accounts_removed.push(system.to_owned());
        }
        self.changes.push(Change::Cluster(ClusterChange {
            renamed: new.name.clone().filter(|name| old.name.as_ref() != Some(name)),
            permissions: old.permissions != new.permissions,
            compression: normal(old.compression.as_ref(), ON_FOR_ROUTES)
                != normal(new.compression.as_ref(), ON_FOR_ROUTES),
            pool_size: old.pool_size != new.pool_size,
            accounts_added,
            accounts_removed,
            insecure: new.tls.as_ref().is_some_and(|tls| tls.insecure),
        }));
        Ok(())
    }

    /// Whether the account runs already. With a resolver only the server can tell.
    fn knows_account(&self, name: &str) -> bool {
        self.old.resolver.is_some()
            || name == GLOBAL_ACCOUNT
            || Some(name) == self.old.system_account_name()
            || self.old.accounts.iter().any(|account| account.name == name)
    }

    /// Routes to other servers, compared without regard to their order.
    pub(super) fn routes(&mut self) {
        fn sorted(routes: &[Url]) -> Vec<Url> {
            let mut routes = routes.to_vec();
            routes.sort_by_cached_key(Url::to_string);
            routes
        }
        let (old, new) = (sorted(&self.old.cluster.routes), sorted(&self.new.cluster.routes));
        if old == new {
            return;
        }
        let without = |list: &[Url], other: &[Url]| -> Vec<Url> {
            list.iter().filter(|url| !other.contains(url)).cloned().collect()
        };
        self.changes.push(Change::Routes { added: without(&new, &old), removed: without(&old, &new) });
    }

    fn gateway(&mut self) -> Result<(), Refusal> {
        let (old, new) = (&self.old.gateway, &self.new.gateway);
        let bound = self.running.ports.gateway;
        if gateway(old, bound) != gateway(new, bound) {
            let (old, new) = (gateway_shown(old, bound), gateway_shown(new, bound));
            return Err(Refusal::Field { field: "Gateway", old, new });
        }
        if old.tls != new.tls
            || remotes_tls(old) != remotes_tls(new)
            || self.running.tls_files_changed && (new.tls.is_some() || !new.gateways.is_empty())
        {
            self.changes.push(Change::GatewayTls);
        }
        Ok(())
    }
}

/// The block with defaults filled in, without routes.
fn cluster(block: &Cluster, bound: i32) -> Cluster {
    Cluster {
        port: port(block.port, bound),
        auth_timeout: (block.port != 0).then(|| auth_timeout(block.auth_timeout, block.tls.as_ref())),
        routes: Vec::new(),
        compression: normal(block.compression.as_ref(), ON_FOR_ROUTES),
        ..block.clone()
    }
}

/// A gateway's TLS as far as it is fixed while it runs: for the listener and each remote the time
/// for a handshake, and whether certificates stand for users or must name a known URL.
type FixedTls = (Duration, bool, bool);

fn fixed_tls(tls: Option<&Tls>, default: Duration) -> FixedTls {
    let timeout = tls.map(|tls| tls.timeout).filter(|time| !time.is_zero()).unwrap_or(default);
    tls.map_or((timeout, false, false), |tls| {
        (timeout, tls.verify_and_map, tls.verify_cert_and_check_known_urls)
    })
}

/// What of the block cannot change while it runs; of each remote its TLS timeout. The remotes are
/// compared by name.
fn gateway(block: &Gateway, bound: i32) -> (Gateway, FixedTls, Vec<Duration>) {
    let runs = block.port != 0;
    let mut gateways = block.gateways.clone();
    gateways.sort_by(|a, b| a.name.cmp(&b.name));
    let timeouts = gateways.iter().map(|remote| fixed_tls(remote.tls.as_ref(), Duration::ZERO).0).collect();
    for remote in &mut gateways {
        remote.tls = None;
    }
    let default_auth = || auth_timeout(block.auth_timeout, block.tls.as_ref());
    let fixed = Gateway {
        host: block.host.clone().or_else(|| runs.then(|| HOST.to_owned())),
        port: port(block.port, bound),
        auth_timeout: if runs { Some(default_auth()) } else { block.auth_timeout },
        tls: None,
        gateways,
        ..block.clone()
    };
    let default = if runs { TLS_TIMEOUT } else { Duration::ZERO };
    (fixed, fixed_tls(block.tls.as_ref(), default), timeouts)
}

fn remotes_tls(block: &Gateway) -> Vec<(&str, Option<&Tls>)> {
    let mut remotes: Vec<_> =
        block.gateways.iter().map(|remote| (remote.name.as_str(), remote.tls.as_ref())).collect();
    remotes.sort_by_key(|(name, _)| *name);
    remotes
}

fn gateway_shown(block: &Gateway, bound: i32) -> String {
    let (fixed, (tls_timeout, map, known_urls), _) = gateway(block, bound);
    let pinned: BTreeSet<String> = block.tls.as_ref().map(|tls| tls.pinned_certs.clone()).unwrap_or_default();
    let remotes = fixed.gateways.iter().map(|remote| remote_shown(remote, block)).collect::<Vec<_>>();
    let nothing: Option<()> = None;
    let fields: [&dyn Shown; 21] = [
        &fixed.name,
        &fixed.host,
        &fixed.port,
        &fixed.username,
        &Secret(&fixed.password),
        &Seconds(fixed.auth_timeout.unwrap_or_default()),
        &Opaque(&block.tls),
        &Seconds(tls_timeout),
        &map,
        &known_urls,
        &pinned,
        &fixed.advertise,
        &fixed.connect_retries,
        &fixed.connect_backoff,
        &remotes,
        &fixed.reject_unknown_cluster,
        &fixed.write_deadline,
        &fixed.write_timeout,
        &Opaque(&nothing),
        &0_i64,
        &Opaque(&block.tls),
    ];
    fields_shown(&fields)
}

/// A remote, which the reference shows as an address in memory: as it would show its fields.
fn remote_shown(remote: &RemoteGateway, block: &Gateway) -> String {
    let tls = block.gateways.iter().find(|other| other.name == remote.name).and_then(|own| own.tls.clone());
    let urls: Vec<String> = remote.urls.iter().map(|url| url.redacted().to_string()).collect();
    let timeout = fixed_tls(tls.as_ref(), Duration::ZERO).0;
    fields_shown(&[&remote.name, &Opaque(&tls), &Seconds(timeout), &urls, &Opaque(&tls)])
}

/// What `on` means for routes.
pub(super) const ON_FOR_ROUTES: &str = "s2_fast";
/// What `on` means for leaf nodes.
pub(super) const ON_FOR_LEAFNODES: &str = "s2_auto";

/// The mode by its first name; thresholds only where they matter, and then never empty.
pub(super) fn normal(compression: Option<&Compression>, on: &str) -> Option<Compression> {
    const AUTO_MS: [u64; 3] = [10, 50, 100];
    let compression = compression?;
    let lower = compression.mode.to_ascii_lowercase();
    let mode = match lower.as_str() {
        "on" | "enabled" | "true" => on,
        other => other,
    };
    let mode = match mode {
        "not supported" | "not_supported" => "not supported",
        "disabled" | "off" | "false" => "off",
        "auto" | "s2_auto" => "s2_auto",
        "fast" | "s2_fast" => "s2_fast",
        "better" | "s2_better" => "s2_better",
        "best" | "s2_best" => "s2_best",
        other => other,
    };
    let mut rtt_thresholds = Vec::new();
    if mode == "s2_auto" {
        rtt_thresholds.clone_from(&compression.rtt_thresholds);
        while rtt_thresholds.last().is_some_and(Duration::is_zero) {
            rtt_thresholds.pop();
        }
        if rtt_thresholds.is_empty() {
            rtt_thresholds.extend(AUTO_MS.map(Duration::from_millis));
        }
    }
    Some(Compression { mode: mode.into(), rtt_thresholds })
}

/// `{s2_auto [10ms 50ms 100ms]}`
pub(super) fn compression_shown(compression: Option<&Compression>) -> String {
    match compression {
        None => "{ []}".into(),
        Some(Compression { mode, rtt_thresholds }) => fields_shown(&[mode, rtt_thresholds]),
    }
}
