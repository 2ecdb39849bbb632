//! Comparing the keys that stand outside of blocks, and `authorization`, `accounts`, `tls`.

use std::time::Duration;

use super::super::advertise;
use super::super::options::{
    HandshakeFirst, Operator, Options, Resolver, SYSTEM_ACCOUNT, TLS_TIMEOUT, Tls, User, UserIdentity,
};
use super::shown::Shown;
use super::{Change, Comparison, Refusal, fixed, port};

/// The keys from `server_name` to `no_fast_producer_stall`.
impl Comparison<'_> {
    pub(super) fn general(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old, self.new);
        fixed("ServerName", &old.server_name, &new.server_name)?;
        fixed("Host", &old.host, &new.host)?;
        let bound = self.running.ports.client;
        fixed("Port", port(old.port, bound), port(new.port, bound))?;
        fixed("DontListen", old.dont_listen, new.dont_listen)?;
        self.client_advertise()?;
        self.changed(&old.trace, &new.trace, |on| Change::Trace(*on));
        self.changed(&old.debug, &new.debug, |on| Change::Debug(*on));
        self.changed(&old.trace_verbose, &new.trace_verbose, |on| Change::TraceVerbose(*on));
        self.changed(&old.trace_headers, &new.trace_headers, |on| Change::TraceHeaders(*on));
        fixed("NoSublistCache", old.no_sublist_cache, new.no_sublist_cache)?;
        fixed("NoHeaderSupport", old.no_header_support, new.no_header_support)?;
        self.changed(&old.logtime, &new.logtime, |on| Change::Logtime(*on));
        self.changed(&old.logtime_utc, &new.logtime_utc, |on| Change::LogtimeUtc(*on));
        self.changed(&old.log_json, &new.log_json, |on| Change::LogJson(*on));
        self.changed(&old.max_connections, &new.max_connections, |count| Change::MaxConnections(*count));
        fixed("MaxSubs", old.max_subscriptions, new.max_subscriptions)?;
        fixed("MaxSubTokens", old.max_sub_tokens, new.max_sub_tokens)?;
        self.authorization()?;
        self.changed(&old.ping_interval, &new.ping_interval, |time| Change::PingInterval(*time));
        self.changed(&old.ping_max, &new.ping_max, |count| Change::PingMax(*count));
        fixed("HTTPHost", old.monitor_host(), new.monitor_host())?;
        fixed("HTTPPort", old.http_port, new.http_port)?;
        fixed("HTTPBasePath", &old.http_base_path, &new.http_base_path)?;
        fixed("HTTPSPort", old.https_port, new.https_port)?;
        self.changed(&old.auth_timeout(), &new.auth_timeout(), |time| Change::AuthTimeout(*time));
        self.changed(&old.max_control_line, &new.max_control_line, |bytes| Change::MaxControlLine(*bytes));
        self.changed(&old.max_payload, &new.max_payload, |bytes| Change::MaxPayload(*bytes));
        fixed("MaxPending", old.max_pending, new.max_pending)?;
        self.changed(&old.no_fast_producer_stall, &new.no_fast_producer_stall, |on| {
            Change::NoFastProducerStall(*on)
        });
        Ok(())
    }

    fn client_advertise(&mut self) -> Result<(), Refusal> {
        let new = &self.new.client_advertise;
        if self.old.client_advertise == *new {
            return Ok(());
        }
        if let Some(address) = new.as_deref().filter(|address| !address.is_empty()) {
            advertise::split(address, 0).map_err(|error| {
                Refusal::Invalid(format!("invalid ClientAdvertise value of {address}, err={error}"))
            })?;
        }
        self.changes.push(Change::ClientAdvertise(new.clone()));
        Ok(())
    }

    fn authorization(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old, self.new);
        if nkey_users_changed(&old.users, &new.users) {
            self.changes.push(Change::NkeyUsers);
        }
        self.changes.extend([Change::Users, Change::Accounts]);
        let old_default = old.no_auth_user.as_ref().or(self.running.made_up_user.as_ref()).cloned();
        let users_left = old_default.as_ref().is_none_or(|name| has_user(&new.users, name));
        if users_left || new.no_auth_user.is_some() {
            fixed("NoAuthUser", &old_default, &new.no_auth_user)?;
        }
        self.changed(&old.default_sentinel, &new.default_sentinel, |jwt| {
            Change::DefaultSentinel(jwt.clone())
        });
        let (old_system, new_system) = (system_account(old), system_account(new));
        if new_system.is_some() || old_system.as_deref() != Some(SYSTEM_ACCOUNT) {
            fixed("SystemAccount", old_system, new_system)?;
        }
        fixed("NoSystemAccount", old.no_system_account, new.no_system_account)?;
        let (old, new) = (&old.authorization, &new.authorization);
        self.changed(&old.username, &new.username, |_| Change::Username);
        self.changed(&old.password, &new.password, |_| Change::Password);
        fixed("ProxyRequired", old.proxy_required, new.proxy_required)?;
        fixed("ProxyProtocol", self.old.proxy_protocol, self.new.proxy_protocol)?;
        self.changed(&old.token, &new.token, |_| Change::Token);
        fixed("AuthCallout", old.auth_callout.clone(), new.auth_callout.clone())
    }
}

/// The keys from `prof_port` to `cluster.routes`.
impl Comparison<'_> {
    pub(super) fn logging_and_files(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old, self.new);
        fixed("ProfPort", old.prof_port, new.prof_port)?;
        self.changed(&old.prof_block_rate, &new.prof_block_rate, |rate| Change::ProfBlockRate(*rate));
        self.changed(&old.pid_file, &new.pid_file, |path| Change::PidFile(path.clone()));
        self.changed(&old.ports_file_dir, &new.ports_file_dir, |path| Change::PortsFileDir {
            old: old.ports_file_dir.clone(),
            new: path.clone(),
        });
        self.changed(&old.log_file, &new.log_file, |path| Change::LogFile(path.clone()));
        fixed("LogSizeLimit", old.logfile_size_limit, new.logfile_size_limit)?;
        fixed("LogMaxFiles", old.logfile_max_num, new.logfile_max_num)?;
        self.changed(&old.syslog, &new.syslog, |on| Change::Syslog(*on));
        self.changed(&old.remote_syslog, &new.remote_syslog, |url| Change::RemoteSyslog(url.clone()));
        self.routes();
        Ok(())
    }
}

/// The `tls` block and what goes with it.
impl Comparison<'_> {
    pub(super) fn tls(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old.tls.as_ref(), self.new.tls.as_ref());
        self.changed(&tls_timeout(old), &tls_timeout(new), |time| Change::TlsTimeout(*time));
        let maps = |tls: Option<&Tls>| tls.is_some_and(|tls| tls.verify_and_map);
        fixed("TLSMap", maps(old), maps(new))?;
        if tls_changed(old, new, self.running.tls_files_changed || self.running.tls_used) {
            self.changes.push(Change::Tls(new.is_some()));
        }
        let pinned = |tls: Option<&Tls>| tls.map(|tls| tls.pinned_certs.clone()).unwrap_or_default();
        self.changed(&pinned(old), &pinned(new), |certs| Change::PinnedCerts(certs.len()));
        let rate = |tls: Option<&Tls>| tls.map_or(0, |tls| tls.connection_rate_limit);
        fixed("TLSRateLimit", rate(old), rate(new))?;
        let (old_first, new_first) = (handshake_first(old), handshake_first(new));
        self.changed(&old_first.0, &new_first.0, |on| Change::HandshakeFirst(*on));
        self.changed(&old_first.1, &new_first.1, |time| Change::HandshakeFirstFallback(*time));
        let (old_watch, new_watch) = (self.old.watch_certificates, self.new.watch_certificates);
        self.changed(&old_watch, &new_watch, |on| Change::WatchCertificates(*on));
        fixed("AllowNonTLS", self.old.allow_non_tls, self.new.allow_non_tls)
    }
}

/// The keys from `write_deadline` to `resolver_tls`.
impl Comparison<'_> {
    pub(super) fn limits_and_trust(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old, self.new);
        self.changed(&old.write_deadline, &new.write_deadline, |time| Change::WriteDeadline(*time));
        fixed("WriteTimeout", old.write_timeout, new.write_timeout)?;
        fixed("MaxClosedClients", old.max_closed_clients, new.max_closed_clients)?;
        fixed("LameDuckDuration", old.lame_duck_duration, new.lame_duck_duration)?;
        fixed("LameDuckGracePeriod", old.lame_duck_grace_period, new.lame_duck_grace_period)?;
        self.changed(&old.max_traced_msg_len, &new.max_traced_msg_len, |len| Change::MaxTracedMsgLen(*len));
        if old.operators.is_empty() || old.trusted_keys.is_empty() {
            fixed("TrustedKeys", sorted(&old.trusted_keys), sorted(&new.trusted_keys))?;
        }
        let tokens = |operators: &[Operator]| {
            sorted(&operators.iter().map(|operator| operator.token.clone()).collect::<Vec<_>>())
        };
        if tokens(&old.operators) != tokens(&new.operators) {
            let keys = |operators: &[Operator]| {
                operators.iter().map(|operator| operator.key.clone()).collect::<Vec<_>>().shown()
            };
            let (old, new) = (keys(&old.operators), keys(&new.operators));
            return Err(Refusal::Field { field: "TrustedOperators", old, new });
        }
        if old.resolver.is_some() != new.resolver.is_some() {
            let text = "config reload does not support moving to or from an account resolver";
            return Err(Refusal::Invalid(text.into()));
        }
        // The reference takes one that holds something as another one each time.
        let holds_something = match &old.resolver {
            Some(Resolver::Full(_) | Resolver::Cache(_)) => true,
            Some(Resolver::Mem) => !old.resolver_preload.is_empty(),
            Some(Resolver::Url(_)) | None => false,
        };
        if holds_something || old.resolver != new.resolver {
            self.changes.push(Change::Resolver);
        }
        self.changed(&old.resolver_tls, &new.resolver_tls, |_| Change::Resolver);
        Ok(())
    }

    /// The keys from `connect_error_reports` on.
    pub(super) fn reports_and_notes(&mut self) -> Result<(), Refusal> {
        let (old, new) = (self.old, self.new);
        self.changed(&old.connect_error_reports, &new.connect_error_reports, |count| {
            Change::ConnectErrorReports(*count)
        });
        self.changed(&old.reconnect_error_reports, &new.reconnect_error_reports, |count| {
            Change::ReconnectErrorReports(*count)
        });
        self.changed(&old.server_tags, &new.server_tags, |_| Change::ServerTags);
        self.changed(&old.server_metadata, &new.server_metadata, |_| Change::ServerMetadata);
        fixed("FeatureFlags", old.feature_flags.clone(), new.feature_flags.clone())?;
        self.changed(&old.ocsp, &new.ocsp, |_| Change::Ocsp);
        self.proxies();
        self.changed(&old.ocsp_cache, &new.ocsp_cache, |_| Change::OcspCache);
        Ok(())
    }

    /// No `proxies` block is the same as an empty one. (The reference crashes where the block
    /// appears or disappears.)
    fn proxies(&mut self) {
        let keys = |options: &Options| options.proxies_trusted.clone().unwrap_or_default();
        let (old, new) = (keys(self.old), keys(self.new));
        let without = |list: &[String], other: &[String]| -> Vec<String> {
            list.iter().filter(|key| !other.contains(key)).cloned().collect()
        };
        let (added, removed) = (without(&new, &old), without(&old, &new));
        if !added.is_empty() || !removed.is_empty() {
            self.changes.push(Change::Proxies { added, removed });
        }
    }
}

/// Nkey users compared without regard to their order. Those of accounts always count as changed:
/// they refer to accounts, which do.
fn nkey_users_changed(old: &[User], new: &[User]) -> bool {
    fn nkeys(users: &[User]) -> Vec<&User> {
        let mut users: Vec<_> =
            users.iter().filter(|user| matches!(user.identity, UserIdentity::Nkey(_))).collect();
        users.sort_by_key(|user| user.identity.name());
        users
    }
    let (old, new) = (nkeys(old), nkeys(new));
    old != new || old.iter().any(|user| user.account.is_some())
}

fn has_user(users: &[User], name: &str) -> bool {
    users
        .iter()
        .any(|user| matches!(&user.identity, UserIdentity::Password { username, .. } if username == name))
}

/// The system account by name, also where it is only among the accounts.
fn system_account(options: &Options) -> Option<String> {
    let listed = || options.accounts.iter().find(|account| account.name == SYSTEM_ACCOUNT);
    options.system_account.clone().or_else(|| listed().map(|account| account.name.clone()))
}

fn sorted(list: &[String]) -> Vec<String> {
    let mut list = list.to_vec();
    list.sort();
    list
}

/// Time for a handshake; the default also stands where there is no TLS.
fn tls_timeout(tls: Option<&Tls>) -> Duration {
    tls.map(|tls| tls.timeout).filter(|time| !time.is_zero()).unwrap_or(TLS_TIMEOUT)
}

/// Whether TLS begins before INFO, and after which time INFO is sent all the same.
pub(super) fn handshake_first(tls: Option<&Tls>) -> (bool, Duration) {
    match tls.map(|tls| tls.handshake_first) {
        None | Some(HandshakeFirst::Off) => (false, Duration::ZERO),
        Some(HandshakeFirst::On) => (true, Duration::ZERO),
        Some(HandshakeFirst::Fallback(time)) => (true, time),
    }
}

/// Whether sessions must be made with other settings from now on. Roots from a file count as
/// changed each time, as in the reference: what else they stand for cannot be compared.
pub(super) fn tls_changed(old: Option<&Tls>, new: Option<&Tls>, files_changed: bool) -> bool {
    match (old, new) {
        (None, None) => false,
        (Some(old), Some(new)) => files_changed || new.ca_file.is_some() || session(old) != session(new),
        _ => true,
    }
}

/// The block without what is compared, and reported, for itself.
fn session(tls: &Tls) -> Tls {
    Tls {
        timeout: Duration::ZERO,
        connection_rate_limit: 0,
        pinned_certs: Default::default(),
        handshake_first: HandshakeFirst::Off,
        verify_and_map: false,
        ..tls.clone()
    }
}
