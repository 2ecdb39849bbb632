//! Reloads of blocks as tables: what is edited, and what the reference's log says about it.

use std::path::PathBuf;

use super::super::options::{
    Compression, HandshakeFirst, Jetstream, LeafProxy, LeafRemote, LeafUser, LinkPermissions, Options,
    RemoteGateway, StoreCipher, SyncInterval, Tls,
};
use super::test_server::{PIN, Server, account, pinned, plain, seconds, some, tls, url, with};
use super::{Change, changes};

fn cluster() -> Server {
    with(|old| {
        old.cluster.port = -1;
        old.cluster.name = some("C");
        old.accounts = vec![account("A"), account("B")];
    })
}

#[test]
fn cluster_settings() {
    let changed = &["Reloaded: cluster"];
    cluster().logs(|_| {}, &[]);
    cluster().logs(|new| new.cluster.connect_retries = 5, changed);
    cluster().logs(|new| new.cluster.advertise = some("a:1"), changed);
    cluster().logs(|new| new.cluster.no_advertise = true, changed);
    cluster().logs(|new| new.cluster.pool_size = 5, changed);
    cluster().logs(|new| new.cluster.username = some("a"), changed);
    cluster().logs(|new| new.cluster.auth_timeout = Some(seconds(5)), changed);
    cluster().logs(|new| new.cluster.auth_timeout = Some(seconds(2)), &[]);
    cluster().logs(|new| new.cluster.compression = Some(Compression::mode("s2_fast")), changed);
    cluster().logs(|new| new.cluster.compression = Some(Compression::mode("accept")), &[]);
    cluster().logs(|new| new.cluster.permissions = Some(LinkPermissions::default()), changed);
    cluster().logs(|new| new.cluster.accounts = vec!["A".into()], changed);
    cluster().logs(|new| new.cluster.name = some("D"), &["Cluster name updated to D", "Reloaded: cluster"]);
    cluster().logs(|new| new.cluster.name = None, changed);
    cluster().logs(|new| new.cluster.tls = Some(tls()), changed);
    cluster().logs(
        |new| new.cluster.tls = Some(Tls { insecure: true, ..tls() }),
        &[
            "Reloaded: cluster",
            "[WRN] TLS certificate chain and hostname of solicited routes will not be verified. DO NOT USE IN PRODUCTION!",
        ],
    );
}

#[test]
fn a_cluster_change_says_what_it_is() {
    let server = cluster();
    let change = |edit: fn(&mut Options)| {
        let (mut old, mut new) = (server.options.clone(), server.options.clone());
        edit(&mut new);
        old.settle();
        new.settle();
        let changes = changes(&old, &new, &server.running).unwrap();
        changes.into_iter().find_map(|change| match change {
            Change::Cluster(change) => Some(change),
            _ => None,
        })
    };
    let change = |edit| change(edit).unwrap_or_default();
    assert!(change(|new| new.cluster.permissions = Some(LinkPermissions::default())).permissions);
    assert!(change(|new| new.cluster.pool_size = 5).pool_size);
    assert!(change(|new| new.cluster.compression = Some(Compression::mode("off"))).compression);
    assert_eq!(change(|new| new.cluster.accounts = vec!["A".into()]).accounts_added, ["A"]);
    let without_pool = change(|new| new.cluster.pool_size = -1);
    assert!(without_pool.pool_size);
    assert_eq!(without_pool.accounts_removed, ["$SYS"]);
}

#[test]
fn routes_are_added_and_removed() {
    let server = with(|old| {
        old.cluster.port = -1;
        old.cluster.routes = vec![url("nats://127.0.0.1:1"), url("nats://127.0.0.1:2")];
    });
    server.logs(|new| new.cluster.routes.reverse(), &[]);
    server.logs(|new| new.cluster.routes.clear(), &["Reloaded: cluster routes"]);
    let mut new = server.options.clone();
    new.cluster.routes = vec![url("nats://127.0.0.1:2"), url("nats://127.0.0.1:3")];
    let found = changes(&server.options, &new, &server.running).unwrap();
    assert!(found.contains(&Change::Routes {
        added: vec![url("nats://127.0.0.1:3")],
        removed: vec![url("nats://127.0.0.1:1")]
    }));
}

#[test]
fn the_route_listener_stays() {
    let refused = |what: &str| format!("config reload not supported for cluster {what}");
    plain().refuses_as(|new| new.cluster.port = -1, &refused("host: old=, new=0.0.0.0"));
    cluster().refuses_as(|new| new.cluster.port = 0, &refused("host: old=0.0.0.0, new="));
    cluster().refuses_as(|new| new.cluster.port = 6333, &refused("port: old=6222, new=6333"));
    cluster()
        .refuses_as(|new| new.cluster.host = some("127.0.0.1"), &refused("host: old=0.0.0.0, new=127.0.0.1"));
    cluster().refuses_as(
        |new| new.cluster.advertise = some("a:b:c"),
        "invalid Cluster.Advertise value of a:b:c, err=address a:b:c: too many colons in address",
    );
    cluster().refuses_as(
        |new| new.cluster.accounts = vec!["X".into()],
        "unable to add account \"X\" to the list of dedicated routes: account missing",
    );
}

fn gateway() -> Server {
    with(|old| {
        old.gateway.port = -1;
        old.gateway.name = some("G");
        old.gateway.tls = Some(tls());
        let remote =
            |name: &str| RemoteGateway { name: name.into(), urls: vec![url("nats://h:1")], tls: None };
        old.gateway.gateways = vec![remote("X"), remote("Y")];
    })
}

#[test]
fn of_a_gateway_only_tls_changes() {
    gateway().logs(|new| new.gateway.tls.as_mut().unwrap().cert_file = Some("c2.pem".into()), &[]);
    gateway().logs(|new| new.gateway.gateways.reverse(), &[]);
    let shown = |user: &str, retries: &str, gateways: &str, unknown: &str| {
        format!(
            "{{G 0.0.0.0 7222 {user} 3 <set> 2 false false map[]  {retries} false {gateways} {unknown} 0s  <nil> 0 <set>}}"
        )
    };
    let both = "[{X <nil> 0 [nats://h:1] <nil>} {Y <nil> 0 [nats://h:1] <nil>}]";
    let old = shown(" ", "0", both, "false");
    let refuses = |edit: fn(&mut Options), new: &str| gateway().refuses(edit, "Gateway", &old, new);
    refuses(|new| new.gateway.connect_retries = 5, &shown(" ", "5", both, "false"));
    refuses(|new| new.gateway.reject_unknown_cluster = true, &shown(" ", "0", both, "true"));
    refuses(
        |new| new.gateway.gateways.truncate(1),
        &shown(" ", "0", "[{X <nil> 0 [nats://h:1] <nil>}]", "false"),
    );
    refuses(
        |new| {
            new.gateway.username = some("a");
            new.gateway.password = some("secret");
        },
        &shown("a [REDACTED]", "0", both, "false"),
    );
}

fn leafnodes() -> Server {
    with(|old| {
        old.leafnodes.port = -1;
        old.leafnodes.tls = Some(tls());
        let user =
            |name: &str| LeafUser { username: name.into(), password: "p".into(), ..LeafUser::default() };
        old.leafnodes.users = vec![user("a"), user("b")];
    })
}

#[test]
fn the_leaf_node_listener_changes_compression_and_tls() {
    leafnodes().logs(|_| {}, &[]);
    leafnodes().logs(
        |new| new.leafnodes.compression = Some(Compression::mode("s2_fast")),
        &["Reloaded: LeafNode Compression value is: {s2_fast []}"],
    );
    with(|old| {
        old.leafnodes.port = -1;
        old.leafnodes.compression = Some(Compression::mode("off"));
    })
    .logs(
        |new| new.leafnodes.compression = Some(Compression::mode("on")),
        &["Reloaded: LeafNode Compression value is: {s2_auto [10ms 50ms 100ms]}"],
    );
    leafnodes().logs(
        |new| new.leafnodes.tls.as_mut().unwrap().handshake_first = HandshakeFirst::On,
        &[
            "Reloaded: LeafNode TLS HandshakeFirst value is: true",
            "Reloaded: LeafNode TLS HandshakeFirstFallback value is: 0s",
        ],
    );
    leafnodes().logs(|new| new.leafnodes.tls.as_mut().unwrap().verify = true, &[]);
}

#[track_caller]
fn check_leafnodes(edit: impl FnOnce(&mut Options), field: &str, old: &str, new: &str) {
    let want = format!("config reload not supported for LeafNode: field \"{field}\": old={old}, new={new}");
    leafnodes().refuses_as(edit, &want);
}

const USERS: &str = "[{a [REDACTED] } {b [REDACTED] }]";

#[test]
fn the_leaf_node_listener_and_its_users_stay() {
    check_leafnodes(|new| new.leafnodes.port = 7333, "Port", "7422", "7333");
    check_leafnodes(|new| new.leafnodes.no_advertise = true, "NoAdvertise", "false", "true");
    check_leafnodes(|new| new.leafnodes.advertise = some("a:1"), "Advertise", "", "a:1");
    check_leafnodes(|new| new.leafnodes.reconnect = seconds(5), "ReconnectInterval", "1s", "5s");
    check_leafnodes(|new| new.leafnodes.username = some("a"), "Username", "", "a");
    check_leafnodes(|new| new.leafnodes.password = some("a"), "Password", "", "[REDACTED]");
    check_leafnodes(|new| new.leafnodes.auth_timeout = Some(seconds(5)), "AuthTimeout", "3", "5");
    check_leafnodes(|new| new.leafnodes.min_version = some("2.9.0"), "MinVersion", "", "2.9.0");
    check_leafnodes(
        |new| new.leafnodes.isolate_leafnode_interest = true,
        "IsolateLeafnodeInterest",
        "false",
        "true",
    );
    check_leafnodes(|new| new.leafnodes.dial_timeout = Some(seconds(5)), "DialTimeout", "0s", "5s");
    check_leafnodes(
        |new| new.leafnodes.tls.as_mut().unwrap().pinned_certs = pinned(),
        "TLSPinnedCerts",
        "map[]",
        &format!("map[{PIN}:{{}}]"),
    );
    check_leafnodes(|new| new.leafnodes.users[0].password = "q".into(), "Users", USERS, USERS);
    leafnodes().logs(|new| new.leafnodes.users.reverse(), &[]);
    plain().refuses_as(
        |new| new.leafnodes.port = -1,
        "config reload not supported for LeafNode: field \"Host\": old=, new=0.0.0.0",
    );
}

fn remote(address: &str) -> LeafRemote {
    LeafRemote { urls: vec![url(address)], ..LeafRemote::default() }
}

fn remotes() -> Server {
    with(|old| old.leafnodes.remotes = vec![remote("nats://127.0.0.1:1")])
}

const REMOTE: &str = "urls=[\"nats://127.0.0.1:1\"], account=\"$G\"";

#[test]
fn leaf_node_remotes_come_and_go() {
    let other = LeafRemote { account: some("A"), ..remote("nats://u:p@127.0.0.1:2") };
    remotes().logs(|_| {}, &[]);
    remotes().logs(|new| new.leafnodes.remotes.push(other.clone()), &[]);
    remotes()
        .logs(|new| new.leafnodes.remotes.clear(), &[&format!("Reloaded: LeafNode Remote {REMOTE} removed")]);
    with(|old| old.leafnodes.remotes = vec![other.clone()]).logs(
        |new| new.leafnodes.remotes.clear(),
        &["Reloaded: LeafNode Remote urls=[\"nats://u:xxxxx@127.0.0.1:2\"], account=\"A\" removed"],
    );
    let with_credentials =
        LeafRemote { credentials: Some(PathBuf::from("x.creds")), ..remote("nats://127.0.0.1:1") };
    with(|old| old.leafnodes.remotes = vec![with_credentials]).logs(
        |new| new.leafnodes.remotes[0].credentials = None,
        &[&format!("Reloaded: LeafNode Remote {REMOTE}, credentials=\"x.creds\" removed")],
    );
    let server = remotes();
    let mut new = server.options.clone();
    new.leafnodes.remotes.push(other.clone());
    let found = changes(&server.options, &new, &server.running).unwrap();
    let added = found.iter().find_map(|change| match change {
        Change::Leafnodes(change) => Some(change.added.as_slice()),
        _ => None,
    });
    assert_eq!(added, Some(&[other][..]));
}

#[track_caller]
fn check_remote(edit: impl FnOnce(&mut LeafRemote), want: &str) {
    remotes().logs(
        |new| edit(&mut new.leafnodes.remotes[0]),
        &[&format!("Reloaded: LeafNode Remote {REMOTE} {want}")],
    );
}

#[test]
fn leaf_node_remotes_change_compression_tls_and_being_disabled() {
    check_remote(
        |new| new.compression = Some(Compression::mode("s2_better")),
        "Compression value is: {s2_better []}",
    );
    check_remote(|new| new.disabled = true, "Disabled value is: true");
    let server = with(|old| {
        old.leafnodes.remotes = vec![LeafRemote { tls: Some(tls()), ..remote("nats://127.0.0.1:1") }];
    });
    server.logs(
        |new| new.leafnodes.remotes[0].tls.as_mut().unwrap().handshake_first = HandshakeFirst::On,
        &[&format!("Reloaded: LeafNode Remote {REMOTE} TLS HandshakeFirst value is: true")],
    );
    server.logs(|new| new.leafnodes.remotes[0].tls.as_mut().unwrap().insecure = true, &[]);
}

#[track_caller]
fn check_remote_refused(edit: impl FnOnce(&mut LeafRemote), field: &str, old: &str, new: &str) {
    let want = format!(
        "config reload not supported for LeafNode: remote {REMOTE}: field \"{field}\": old={old}, new={new}"
    );
    remotes().refuses_as(|new| edit(&mut new.leafnodes.remotes[0]), &want);
}

#[test]
fn other_fields_of_leaf_node_remotes_are_refused() {
    check_remote_refused(|new| new.hub = true, "Hub", "false", "true");
    check_remote_refused(|new| new.deny_imports = vec!["x".into()], "DenyImports", "[]", "[x]");
    check_remote_refused(|new| new.deny_exports = vec!["x".into(), "y".into()], "DenyExports", "[]", "[x y]");
    check_remote_refused(|new| new.no_randomize = true, "NoRandomize", "false", "true");
    check_remote_refused(|new| new.ws_compression = true, "Websocket", "{false false}", "{true false}");
    check_remote_refused(
        |new| new.jetstream_cluster_migrate = true,
        "JetStreamClusterMigrate",
        "false",
        "true",
    );
    check_remote_refused(|new| new.isolate_leafnode_interest = true, "LocalIsolation", "false", "true");
    check_remote_refused(|new| new.request_isolation = true, "RequestIsolation", "false", "true");
    check_remote_refused(|new| new.first_info_timeout = seconds(5), "FirstInfoTimeout", "1s", "5s");
    check_remote_refused(|new| new.dial_timeout = Some(seconds(5)), "DialTimeout", "0s", "5s");
    check_remote_refused(
        |new| new.ignore_discovered_servers = true,
        "IgnoreDiscoveredServers",
        "false",
        "true",
    );
    check_remote_refused(|new| new.tls = Some(tls()), "TLSTimeout", "0", "2");
    remotes().refuses_as(
        |new| {
            let proxy = LeafProxy { url: "http://h:1".into(), ..LeafProxy::default() };
            new.leafnodes.remotes[0].proxy = Some(proxy);
        },
        &format!(
            "config reload not supported for LeafNode: remote {REMOTE}: field \"Proxy\": only the proxy TLS \
             configuration can be changed"
        ),
    );
}

#[test]
fn of_websocket_only_tls_changes() {
    let server = with(|old| {
        old.websocket.port = -1;
        old.websocket.no_tls = true;
        old.websocket.allowed_origins = vec!["http://b".into(), "http://a".into()];
    });
    server.logs(|new| new.websocket.tls = Some(Tls { timeout: seconds(5), ..tls() }), &[]);
    server.logs(|new| new.websocket.allowed_origins.reverse(), &[]);
    let shown = |user: &str, same_origin: &str, headers: &str| {
        format!(
            "{{0.0.0.0 8080       {user}  0 true <nil> false map[] {same_origin} [http://a http://b] false 0s 0s {headers} <nil>}}"
        )
    };
    let old = shown(" ", "false", "map[]");
    server.refuses(|new| new.websocket.same_origin = true, "Websocket", &old, &shown(" ", "true", "map[]"));
    server.refuses(
        |new| new.websocket.headers = [("a".into(), "b".into())].into(),
        "Websocket",
        &old,
        &shown(" ", "false", "map[a:b]"),
    );
    server.refuses(
        |new| {
            new.websocket.username = some("a");
            new.websocket.password = some("secret");
        },
        "Websocket",
        &old,
        &shown("a [REDACTED]", "false", "map[]"),
    );
    plain().refuses(
        |new| {
            new.websocket.port = 8080;
            new.websocket.no_tls = true;
        },
        "Websocket",
        "{ 0          0 false <nil> false map[] false [] false 0s 0s map[] <nil>}",
        "{0.0.0.0 8080          0 true <nil> false map[] false [] false 0s 0s map[] <nil>}",
    );
}

fn mqtt() -> Server {
    with(|old| old.mqtt.port = -1)
}

#[track_caller]
fn check_mqtt(edit: impl FnOnce(&mut Options), values: [&str; 5]) {
    let [ack_wait, max_ack_pending, stream_replicas, memory, inactive] = values;
    mqtt().logs(
        edit,
        &[
            &format!("Reloaded: MQTT ack_wait = {ack_wait}"),
            &format!("Reloaded: MQTT max_ack_pending = {max_ack_pending}"),
            &format!("Reloaded: MQTT stream_replicas = {stream_replicas}"),
            "Reloaded: MQTT consumer_replicas = 0",
            &format!("Reloaded: MQTT consumer_memory_storage = {memory}"),
            &format!("Reloaded: MQTT consumer_inactive_threshold = {inactive}"),
        ],
    );
}

#[test]
fn mqtt_reports_all_its_settings_when_one_changes() {
    mqtt().logs(|_| {}, &[]);
    check_mqtt(|new| new.mqtt.ack_wait = Some(seconds(90)), ["1m30s", "0", "0", "false", "0s"]);
    check_mqtt(|new| new.mqtt.max_ack_pending = 7, ["0s", "7", "0", "false", "0s"]);
    check_mqtt(|new| new.mqtt.stream_replicas = 1, ["0s", "0", "1", "false", "0s"]);
    check_mqtt(|new| new.mqtt.consumer_memory_storage = true, ["0s", "0", "0", "true", "0s"]);
    check_mqtt(
        |new| new.mqtt.consumer_inactive_threshold = Some(seconds(3600)),
        ["0s", "0", "0", "false", "1h0m0s"],
    );
    check_mqtt(|new| new.mqtt.tls = Some(tls()), ["0s", "0", "0", "false", "0s"]);
}

#[test]
fn other_mqtt_fields_are_refused() {
    let shown = |domain: &str, timeout: &str, reject: &str| {
        format!(
            "{{0.0.0.0 1883     {domain} 0 0 false 0s 0 <nil> false 2 map[] 0s {timeout} 0 <nil> {reject} false}}"
        )
    };
    let old = shown("", "0s", "false");
    mqtt().refuses(|new| new.mqtt.js_domain = some("x"), "MQTT", &old, &shown("x", "0s", "false"));
    mqtt().refuses(|new| new.mqtt.js_api_timeout = Some(seconds(3)), "MQTT", &old, &shown("", "3s", "false"));
    mqtt().refuses(|new| new.mqtt.reject_qos2_publish = true, "MQTT", &old, &shown("", "0s", "true"));
}

fn jetstream() -> Server {
    with(|old| {
        old.store_dir = Some("jsd".into());
        old.jetstream = Jetstream {
            enabled: true,
            max_memory_store: Some(1_000_000),
            max_file_store: Some(10_000_000),
            ..Jetstream::default()
        };
    })
}

#[test]
fn jetstream_is_started_and_stopped() {
    plain().logs(|new| new.jetstream.enabled = true, &["Reloaded: JetStream"]);
    jetstream().logs(|new| new.jetstream.enabled = false, &["Reloaded: JetStream"]);
    // The whole block is gone.
    jetstream().logs(
        |new| {
            new.jetstream = Jetstream::default();
            new.store_dir = None;
        },
        &["Reloaded: JetStream"],
    );
    // It should run but does not: it is started again.
    let mut server = jetstream();
    server.running.jetstream = false;
    server.logs(|_| {}, &["Reloaded: JetStream"]);
    plain().logs(|new| new.store_dir = Some("sd".into()), &[]);
}

#[test]
fn jetstream_storage_grows_and_does_not_shrink() {
    let both = |new: &mut Options| {
        new.jetstream.max_memory_store = Some(3 << 30);
        new.jetstream.max_file_store = Some(20_000_000);
    };
    jetstream().logs(
        both,
        &["Reloaded: JetStream max_mem_store = 3.00 GB", "Reloaded: JetStream max_file_store = 19.07 MB"],
    );
    jetstream().logs(
        |new| new.jetstream.max_memory_store = Some(2_000_000),
        &["Reloaded: JetStream max_mem_store = 1.91 MB"],
    );
    let refused = |what: &str| format!("config reload not supported for {what}");
    jetstream().refuses_as(
        |new| new.jetstream.max_memory_store = Some(1),
        &refused("decreasing jetstream max memory and store"),
    );
    jetstream().refuses_as(
        |new| new.jetstream.max_file_store = None,
        &refused("jetstream max memory and max store"),
    );
    with(|old| old.jetstream.enabled = true).refuses_as(
        |new| new.jetstream.max_file_store = Some(1),
        &refused("jetstream dynamic max memory and store"),
    );
    jetstream()
        .refuses_as(|new| new.store_dir = Some("jsd2".into()), &refused("jetstream storage directory"));
    jetstream().refuses_as(|new| new.store_dir = None, &refused("jetstream storage dir"));
}

#[test]
fn jetstream_limits_and_compaction_change() {
    jetstream().logs(|new| new.jetstream.limits.max_ack_pending = 5, &["Reloaded: JetStream limits"]);
    jetstream().logs(|new| new.jetstream.meta_compact = 5, &[]);
    jetstream().logs(|new| new.jetstream.meta_compact_size = 5, &[]);
    jetstream().logs(|new| new.jetstream.meta_compact_sync = true, &[]);
}

#[track_caller]
fn check_jetstream(edit: impl FnOnce(&mut Jetstream), field: &str, old: &str, new: &str) {
    jetstream().refuses(|options| edit(&mut options.jetstream), field, old, new);
}

#[test]
fn other_jetstream_settings_are_refused() {
    check_jetstream(|new| new.strict = false, "NoJetStreamStrict", "false", "true");
    check_jetstream(|new| new.domain = some("x"), "JetStreamDomain", "", "x");
    check_jetstream(|new| new.extension_hint = some("no_extend"), "JetStreamExtHint", "", "no_extend");
    check_jetstream(|new| new.unique_tag = some("x"), "JetStreamUniqueTag", "", "x");
    check_jetstream(|new| new.max_outstanding_catchup = 1, "JetStreamMaxCatchup", "0", "1");
    check_jetstream(|new| new.max_buffered_msgs = 10, "StreamMaxBufferedMsgs", "0", "10");
    check_jetstream(|new| new.max_buffered_size = 10, "StreamMaxBufferedSize", "0", "10");
    check_jetstream(|new| new.request_queue_limit = 5, "JetStreamRequestQueueLimit", "10000", "5");
    check_jetstream(|new| new.info_queue_limit = 5, "JetStreamInfoQueueLimit", "10000", "5");
    check_jetstream(|new| new.max_concurrent_io = 5, "JetStreamConcurrentIOs", "4096", "5");
    let every = |count| Some(SyncInterval::Every(seconds(count)));
    check_jetstream(|new| new.sync_interval = every(5), "SyncInterval", "2m0s", "5s");
    check_jetstream(|new| new.sync_interval = Some(SyncInterval::Always), "SyncAlways", "false", "true");
}

#[test]
fn jetstream_keys_are_refused_without_being_shown() {
    check_jetstream(|new| new.key = some("secret"), "JetStreamKey", "", "[REDACTED]");
    check_jetstream(|new| new.prev_key = some("secret"), "JetStreamOldKey", "", "[REDACTED]");
    check_jetstream(
        |new| new.cipher = Some(StoreCipher::Aes),
        "JetStreamCipher",
        "ChaCha20-Poly1305",
        "AES-GCM",
    );
}
