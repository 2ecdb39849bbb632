//! What a server says of itself first in its log. Pure.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::server::auth::is_hash;
use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::base::size::size_text;
use crate::server::config::options::{Options, PAYLOAD_BYTES_HIGH, UserIdentity};
use crate::server::jwt::{AccountClaims, OperatorClaims};
use crate::server::log::Level;

/// Characters of a node's id. Reference: 8.
const NODE_ID_LEN: usize = 8;

/// Features that may be switched by name, and whether they are on unless told otherwise. Reference: 2.15.
pub const FEATURE_FLAGS: &[(&str, bool)] = &[
    ("js_ack_fc_v2", false),
    ("js_api_reply_v2", false),
    ("js_raft_delete_range", true),
    ("js_snapshot_sources", false),
];

/// What a server is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The version that others are told.
    pub version: &'a str,
    /// The revision that it was built from, where the build knew it.
    pub git: Option<&'a str>,
    /// What it was built with.
    pub runtime: &'a str,
    /// Its name; the id where none was given.
    pub name: &'a str,
    /// Its public key.
    pub id: &'a str,
    /// Its cluster's name, configured or made up; `None` without a cluster.
    pub cluster: Option<&'a str>,
}

/// The lines in their order, from the first to the last before the pid file is written.
pub fn lines(options: &Options, identity: &Identity<'_>) -> Vec<(Level, Cow<'static, str>)> {
    let mut lines = Vec::new();
    let mut notice = |text: String| lines.push((Level::Notice, Cow::Owned(text)));
    notice("Starting nats-server".to_owned());
    notice(format!("  Version:  {}", identity.version));
    notice(format!("  Git:      [{}]", identity.git.unwrap_or("not set")));
    lines.push((Level::Debug, Cow::Owned(format!("  Go build: {}", identity.runtime))));
    let mut notice = |text: String| lines.push((Level::Notice, Cow::Owned(text)));
    if let Some(cluster) = identity.cluster {
        notice(format!("  Cluster:  {cluster}"));
    }
    notice(format!("  Name:     {}", identity.name));
    if options.jetstream.enabled {
        notice(format!("  Node:     {}", node_id(identity.name)));
    }
    notice(format!("  ID:       {}", identity.id));
    for line in feature_lines(options) {
        notice(line);
    }
    lines.extend(warnings_and_file(options));
    lines
}

fn feature_lines(options: &Options) -> Vec<String> {
    if options.feature_flags.is_empty() {
        return Vec::new();
    }
    let (mut configured, mut unsupported) = (Vec::new(), Vec::new());
    for (name, is_on) in &options.feature_flags {
        let Some((_, is_on_by_default)) = FEATURE_FLAGS.iter().find(|(known, _)| known == name) else {
            unsupported.push(name.as_str());
            continue;
        };
        let word = match (is_on_by_default, is_on) {
            (true, true) => "enabled",
            (true, false) => "opt-out",
            (false, true) => "opt-in",
            (false, false) => "disabled",
        };
        configured.push(format!("{name} ({word})"));
    }
    let configured = if configured.is_empty() { "none".to_owned() } else { configured.join(", ") };
    let mut lines = vec!["  Feature flags:".to_owned(), format!("    Configured:    {configured}")];
    if !unsupported.is_empty() {
        lines.push(format!("    Unsupported:   {}", unsupported.join(", ")));
    }
    lines
}

fn warnings_and_file(options: &Options) -> Vec<(Level, Cow<'static, str>)> {
    let mut lines = Vec::new();
    if has_plaintext_password(options) {
        lines.push((Level::Warn, Cow::Borrowed("Plaintext passwords detected, use nkeys or bcrypt")));
    }
    if let Some(path) = &options.config_file {
        let digest = &options.config_digest;
        let text = if digest.is_empty() {
            format!("Using configuration file: {} ", path.display())
        } else {
            format!("Using configuration file: {} ({digest})", path.display())
        };
        lines.push((Level::Notice, Cow::Owned(text)));
    }
    lines.extend(
        operators(options, &TimeZone::system()).into_iter().map(|text| (Level::Notice, Cow::Owned(text))),
    );
    if !options.operators.is_empty() && options.system_account.is_none() {
        lines.push((Level::Warn, Cow::Borrowed("Trusted Operators should utilize a System Account")));
    }
    if options.max_payload > PAYLOAD_BYTES_HIGH {
        let high = size_text(i64::from(PAYLOAD_BYTES_HIGH));
        let text = format!(
            "Maximum payloads over {high} are generally discouraged and could lead to poor performance"
        );
        lines.push((Level::Warn, Cow::Owned(text)));
    }
    if !options.default_js_domain.is_empty() {
        let text = "The option `default_js_domain` is a temporary backwards compatibility measure and will be removed";
        lines.push((Level::Warn, Cow::Borrowed(text)));
    }
    lines
}

/// Whose claims are believed.
fn operators(options: &Options, zone: &TimeZone) -> Vec<String> {
    if options.operators.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["Trusted Operators".to_owned()];
    // The reader of the configuration has decoded them before.
    for claims in options.operators.iter().filter_map(|operator| OperatorClaims::decode(&operator.token).ok())
    {
        let envelope = claims.envelope;
        lines.push(format!("  System  : {}", quote(envelope.audience.as_bytes())));
        lines.push(format!("  Operator: {}", quote(envelope.name.as_bytes())));
        lines.push(format!("  Issued  : {}", day_and_time(envelope.issued_at, zone)));
        let expires = match envelope.expires {
            0 => "Never".to_owned(),
            seconds => day_and_time(seconds, zone),
        };
        lines.push(format!("  Expires : {expires}"));
    }
    lines
}

/// Seconds of the epoch as the reference prints a time: `2026-11-29 20:00:00 +0000 UTC`.
fn day_and_time(seconds: i64, zone: &TimeZone) -> String {
    let Ok(moment) = jiff::Timestamp::from_second(seconds) else { return seconds.to_string() };
    moment.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// What is wrong with accounts whose claims stand in the configuration: the log tells at once, not only
/// when a client comes.
pub fn preload_warnings(options: &Options, now: Timestamp) -> Vec<(Level, String)> {
    let mut lines = Vec::new();
    for (key, token) in options.resolver_preload.iter().filter(|_| !options.operators.is_empty()) {
        let Ok(claims) = AccountClaims::decode(token) else {
            lines.push((Level::Error, format!("Preloaded account [{key}] not valid")));
            continue;
        };
        let findings = claims.validate(now);
        if findings.is_blocking(true) {
            lines.push((Level::Warn, format!("Account [{key}] has validation issues:")));
            lines.extend(findings.iter().map(|finding| (Level::Warn, format!("  - {}", finding.text))));
        }
    }
    lines
}

/// Whether a password stands in the configuration as it is typed. Users without one who are known by
/// their certificate don't count.
fn has_plaintext_password(options: &Options) -> bool {
    let is_plain = |password: &str| !is_hash(password);
    let maps_certificates = options.tls.as_ref().is_some_and(|tls| tls.verify_and_map);
    let single = options
        .authorization
        .password
        .as_deref()
        .is_some_and(|password| !password.is_empty() && is_plain(password));
    single
        || options.users.iter().any(|user| match &user.identity {
            UserIdentity::Nkey(_) => false,
            UserIdentity::Password { password, .. } if password.is_empty() => !maps_certificates,
            UserIdentity::Password { password, .. } => is_plain(password),
        })
}

/// The short name of a server in system subjects and of a JetStream node: from the SHA-256 of its name.
pub fn node_id(name: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(name.as_bytes());
    let digit = |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).map(|digit| char::from(*digit));
    hash.iter().take(NODE_ID_LEN).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::options::{Operator, Tls, User};

    const IDENTITY: Identity<'_> =
        Identity { version: "2.15.1", git: None, runtime: "rust", name: "srv1", id: "NA", cluster: None };

    #[track_caller]
    fn check(change: impl Fn(&mut Options), identity: &Identity<'_>, want: &[&str]) {
        let mut options = Options::default();
        change(&mut options);
        let got: Vec<String> = lines(&options, identity)
            .iter()
            .map(|(level, text)| format!("[{}] {text}", level.label()))
            .collect();
        assert_eq!(got, want);
    }

    /// The lines behind the identity.
    #[track_caller]
    fn check_rest(change: impl Fn(&mut Options), want: &[&str]) {
        let mut options = Options::default();
        change(&mut options);
        let got: Vec<String> = lines(&options, &IDENTITY)
            .iter()
            .skip_while(|(_, text)| !text.starts_with("  ID:"))
            .skip(1)
            .map(|(level, text)| format!("[{}] {text}", level.label()))
            .collect();
        assert_eq!(got, want);
    }

    fn user(name: &str, password: &str) -> User {
        User {
            identity: UserIdentity::Password { username: name.into(), password: password.into() },
            permissions: None,
            account: None,
            allowed_connection_types: Vec::new(),
            proxy_required: false,
        }
    }

    const PLAIN: &str = "[WRN] Plaintext passwords detected, use nkeys or bcrypt";
    const BCRYPT: &str = "$2a$11$V1qrpBVkNKmTDKWn4HWfOOQ1oFfEEQyx0mq9Nks2ha6hrX/ZCTtUG";

    #[test]
    fn a_plain_server_tells_version_name_and_id() {
        check(
            |_| (),
            &IDENTITY,
            &[
                "[INF] Starting nats-server",
                "[INF]   Version:  2.15.1",
                "[INF]   Git:      [not set]",
                "[DBG]   Go build: rust",
                "[INF]   Name:     srv1",
                "[INF]   ID:       NA",
            ],
        );
    }

    #[test]
    fn cluster_node_and_revision_are_told_where_there_are_some() {
        check(
            |options| options.jetstream.enabled = true,
            &Identity { git: Some("abc"), cluster: Some("C"), ..IDENTITY },
            &[
                "[INF] Starting nats-server",
                "[INF]   Version:  2.15.1",
                "[INF]   Git:      [abc]",
                "[DBG]   Go build: rust",
                "[INF]   Cluster:  C",
                "[INF]   Name:     srv1",
                "[INF]   Node:     8UIcYUaa",
                "[INF]   ID:       NA",
            ],
        );
    }

    #[test]
    fn feature_flags_are_listed_and_unknown_ones_unsupported() {
        let flags = |all: &'static [(&'static str, bool)]| {
            move |options: &mut Options| {
                options.feature_flags =
                    all.iter().map(|(name, is_on)| ((*name).to_owned(), *is_on)).collect();
            }
        };
        check_rest(
            flags(&[("js_ack_fc_v2", true), ("foo", false), ("bar", true), ("js_raft_delete_range", false)]),
            &[
                "[INF]   Feature flags:",
                "[INF]     Configured:    js_ack_fc_v2 (opt-in), js_raft_delete_range (opt-out)",
                "[INF]     Unsupported:   bar, foo",
            ],
        );
        check_rest(
            flags(&[("js_ack_fc_v2", false), ("js_raft_delete_range", true), ("js_snapshot_sources", true)]),
            &[
                "[INF]   Feature flags:",
                "[INF]     Configured:    js_ack_fc_v2 (disabled), js_raft_delete_range (enabled), js_snapshot_sources (opt-in)",
            ],
        );
        check_rest(
            flags(&[("foo", false)]),
            &["[INF]   Feature flags:", "[INF]     Configured:    none", "[INF]     Unsupported:   foo"],
        );
    }

    #[test]
    fn plaintext_passwords_are_warned_of() {
        check_rest(|options| options.authorization.password = Some("b".into()), &[PLAIN]);
        check_rest(|options| options.users = vec![user("a", BCRYPT), user("b", "c")], &[PLAIN]);
        check_rest(|options| options.users = vec![user("a", "")], &[PLAIN]);
        check_rest(
            |options| {
                options.users = vec![user("CN=a", ""), user("CN=b", "c")];
                options.tls = Some(Tls { verify_and_map: true, ..Tls::default() });
            },
            &[PLAIN],
        );
    }

    #[test]
    fn hashes_nkeys_and_mapped_certificates_are_not_warned_of() {
        check_rest(|options| options.authorization.password = Some(BCRYPT.into()), &[]);
        check_rest(|options| options.authorization.password = Some("".into()), &[]);
        check_rest(|options| options.users = vec![user("a", BCRYPT)], &[]);
        check_rest(
            |options| {
                options.users = vec![User { identity: UserIdentity::Nkey("U".into()), ..user("a", "") }]
            },
            &[],
        );
        check_rest(
            |options| {
                options.users = vec![user("CN=a", "")];
                options.tls = Some(Tls { verify_and_map: true, ..Tls::default() });
            },
            &[],
        );
    }

    #[test]
    fn the_configuration_file_is_named_with_its_digest() {
        check_rest(
            |options| {
                options.config_file = Some("s.conf".into());
                options.config_digest = "sha256:ab".into();
            },
            &["[INF] Using configuration file: s.conf (sha256:ab)"],
        );
    }

    #[test]
    fn odd_settings_are_warned_of() {
        check_rest(
            |options| {
                options.max_payload = PAYLOAD_BYTES_HIGH + 1;
                options.operators = vec![Operator::default()];
                options.default_js_domain.insert("$G".into(), "x".into());
            },
            &[
                "[INF] Trusted Operators",
                "[WRN] Trusted Operators should utilize a System Account",
                "[WRN] Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance",
                "[WRN] The option `default_js_domain` is a temporary backwards compatibility measure and will be removed",
            ],
        );
        check_rest(|options| options.max_payload = PAYLOAD_BYTES_HIGH, &[]);
    }

    #[test]
    fn the_node_id_follows_from_the_name() {
        assert_eq!(node_id("srv1"), "8UIcYUaa");
    }
}
