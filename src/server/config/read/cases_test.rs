//! Keys as tables: a configuration, and what the reference says to it or what it sets.
//!
//! The tables lie in `tests/fixtures/config/keys`, one a block, with a section a test. A line that
//! starts at the margin is a configuration (`\n` is a line break). Indented lines below it are what
//! `-t` of the reference 2.15.1 prints, as a set, or, behind `+`, what differs from the default
//! options. `README.md` there says how they were recorded.

use std::collections::BTreeSet;

use super::{DirectoryState, Files, read};
use crate::server::config::diagnose::Severity;
use crate::server::config::options::Options;
use crate::server::config::parse::{Loader, parse};

/// The files beside the tables.
struct Beside;

const FILES: [(&str, &str); 4] = [
    ("files/cert.pem", include_str!("../../../../tests/fixtures/config/keys/files/cert.pem")),
    ("files/key.pem", include_str!("../../../../tests/fixtures/config/keys/files/key.pem")),
    ("files/ca.pem", include_str!("../../../../tests/fixtures/config/keys/files/ca.pem")),
    ("files/empty.pem", include_str!("../../../../tests/fixtures/config/keys/files/empty.pem")),
];

impl Files for Beside {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "files" {
            return Err("read files: is a directory".into());
        }
        let found = FILES.iter().find(|(name, _)| *name == path);
        let (_, text) = found.ok_or_else(|| format!("open {path}: no such file or directory"))?;
        Ok(text.as_bytes().to_vec())
    }

    fn directory(&self, path: &str) -> DirectoryState {
        match path {
            "files" => DirectoryState::Writable,
            _ if FILES.iter().any(|(name, _)| *name == path) => DirectoryState::Other,
            _ => DirectoryState::Missing,
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/me".into())
    }
}

impl Loader for Beside {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Files::read(self, path)
    }

    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// What a configuration gives: findings, or what it changes in the options.
fn answer(text: &str) -> (Vec<String>, Options) {
    let parsed = parse("x.conf", text.as_bytes(), &Beside);
    assert!(parsed.findings.is_empty(), "{text}: {:?}", parsed.findings);
    let (options, findings) = read("x.conf", &parsed.root, &Beside);
    let lines = findings.iter().flat_map(|finding| {
        assert!(
            finding.severity == Severity::Error || finding.pos.is_some() || finding.message.contains("empty")
        );
        finding.line().lines().map(str::to_owned).collect::<Vec<_>>()
    });
    (lines.collect(), options)
}

/// The part of the options' debug output that is not that of the default ones, on one line.
fn difference(options: &Options) -> String {
    let (ours, default) = (format!("{options:#?}"), format!("{:#?}", Options::default()));
    let ours: Vec<&str> = ours.lines().map(str::trim).collect();
    let default: Vec<&str> = default.lines().map(str::trim).collect();
    let same_start = ours.iter().zip(&default).take_while(|(a, b)| a == b).count();
    let most = ours.len().min(default.len()) - same_start;
    let same_end = ours.iter().rev().zip(default.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    ours[same_start..ours.len() - same_end].join(" ")
}

fn sections(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
}

/// Plays one section of a table.
#[track_caller]
fn play(table: &'static str, section: &str) {
    let lines = table.lines().skip_while(|line| *line != format!("[{section}]")).skip(1);
    let mut lines =
        lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty()).peekable();
    let mut count = 0;
    while let Some(text) = lines.next() {
        let mut want = BTreeSet::new();
        let mut sets = None;
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            match line.trim_start().strip_prefix("+ ") {
                Some(change) => sets = Some(change),
                None => _ = want.insert(line.trim_start().to_owned()),
            }
        }
        let (findings, options) = answer(&text.replace("\\n", "\n"));
        assert_eq!(findings.into_iter().collect::<BTreeSet<_>>(), want, "{text}");
        if let Some(change) = sets {
            assert_eq!(difference(&options), change, "{text}");
        }
        count += 1;
    }
    assert!(count > 0, "no section {section}");
}

macro_rules! tables {
    ($($file:ident => [$($section:ident),* $(,)?],)*) => {
        $(mod $file {
            const TABLE: &str = include_str!(concat!(
                "../../../../tests/fixtures/config/keys/", stringify!($file), ".txt"
            ));

            #[test]
            fn every_section_is_played() {
                let played = [$(stringify!($section)),*];
                for section in super::sections(TABLE) {
                    assert!(played.contains(&section), "{section}");
                }
            }

            $(#[test]
            fn $section() {
                super::play(TABLE, stringify!($section));
            })*
        })*
    };
}

tables! {
    general => [
        listen,
        host,
        port,
        server_name,
        client_advertise,
        http,
        https,
        http_port,
        http_base_path,
        proxy_protocol,
        proxies,
        max_control_line,
        max_payload,
        max_pending,
        max_connections,
        max_subscriptions,
        max_sub_tokens,
        max_closed_clients,
        max_traced_msg_len,
        write_deadline,
        write_timeout,
        ping_interval,
        ping_max,
        no_fast_producer_stall,
        no_header_support,
        no_sublist_cache,
        lame_duck_duration,
        lame_duck_grace_period,
        connect_error_reports,
        reconnect_error_reports,
        debug,
        trace,
        trace_verbose,
        trace_headers,
        logtime,
        logtime_utc,
        log_file,
        log_size_limit,
        log_max_num,
        syslog,
        remote_syslog,
        pid_file,
        ports_file_dir,
        prof_port,
        prof_block_rate,
        server_tags,
        server_metadata,
        feature_flags,
        system_account,
        no_system_account,
        default_js_domain,
        allow_non_tls,
        default_sentinel,
        no_auth_user,
        unknown_fields,
    ],
    auth => [
        user,
        token,
        users,
        timeout,
        users_nkey,
        other,
        default_permissions,
        permissions_queues,
        permissions,
        allow_responses,
        connection_types,
        proxy_required,
        callout,
        callout_allowed_accounts,
    ],
    accounts => [
        forms,
        nkey,
        users,
        default_permissions,
        limits,
        jetstream,
        jetstream_traffic,
        msg_trace,
        mappings,
        mappings_weighted,
        exports,
        export_private,
        export_response,
        export_threshold,
        export_latency,
        export_token_position,
        export_trace,
        imports,
        import_to_and_prefix,
        import_share_and_trace,
        import_private,
        import_cycles,
    ],
    tls => [
        cert_file,
        block,
        ca_file,
        certs,
        verify,
        verify_and_map,
        known_urls,
        insecure,
        cipher_suites,
        curve_preferences,
        min_version,
        timeout,
        connection_rate_limit,
        pinned_certs,
        handshake_first,
        unknown,
        windows,
        ocsp_peer,
        ocsp,
        ocsp_cache,
    ],
    links => [
        cluster_name,
        cluster_listen,
        cluster_host,
        cluster_block,
        cluster_authorization,
        cluster_permissions,
        cluster_routes,
        cluster_tls,
        cluster_advertise,
        cluster_no_advertise,
        cluster_connect_retries,
        cluster_pool_size,
        cluster_accounts,
        cluster_compression,
        cluster_ping,
        cluster_write,
        gateway_name,
        gateway_listen,
        gateway_host,
        gateway_block,
        gateway_authorization,
        gateway_tls,
        gateway_advertise,
        gateway_connect_retries,
        gateway_reject_unknown_cluster,
        gateway_write,
        gateway_gateways,
        leafnodes_listen,
        leafnodes_host,
        leafnodes_block,
        leafnodes_authorization,
        leafnodes_reconnect,
        leafnodes_dial_timeout,
        leafnodes_tls,
        leafnodes_advertise,
        leafnodes_no_advertise,
        leafnodes_min_version,
        leafnodes_compression,
        leafnodes_isolate_leafnode_interest,
        leafnodes_write,
        remote_urls,
        remote_account,
        remote_credentials,
        remote_nkey,
        remote_tls,
        remote_hub,
        remote_deny,
        remote_no_randomize,
        remote_websocket,
        remote_migrate,
        remote_isolation,
        remote_compression,
        remote_first_info_timeout,
        remote_dial_timeout,
        remote_disabled,
        remote_ignore_discovered_servers,
        remote_unknown,
        remote_proxy,
    ],
    listeners => [
        websocket_listen,
        websocket_host,
        websocket_block,
        websocket_advertise,
        websocket_tls,
        websocket_same_origin,
        websocket_allowed_origins,
        websocket_handshake_timeout,
        websocket_compression,
        websocket_authorization,
        websocket_cookies,
        websocket_no_auth_user,
        websocket_headers,
        websocket_ping,
        mqtt_listen,
        mqtt_host,
        mqtt_block,
        mqtt_tls,
        mqtt_authorization,
        mqtt_no_auth_user,
        mqtt_ack_wait,
        mqtt_js_api_timeout,
        mqtt_max_ack_pending,
        mqtt_js_domain,
        mqtt_stream_replicas,
        mqtt_consumer_replicas,
        mqtt_consumer,
        mqtt_reject_qos,
        mqtt_downgrade_qos,
    ],
    jetstream => [
        forms,
        store_dir,
        max_mem_and_file,
        sync_interval,
        domain,
        keys,
        prev_keys,
        cipher,
        tpm,
        extension_hint,
        unique_tag,
        max_outstanding_catchup,
        max_buffered,
        queue_limits,
        meta_compact,
        max_concurrent_io,
        strict,
        limits,
        unknown,
    ],
    operator => [
        operator,
        trusted_keys,
        resolver_mem,
        resolver_url,
        resolver_full,
        resolver_cache,
        resolver_tls,
        resolver_preload,
        resolver_pinned_accounts,
    ],
}
