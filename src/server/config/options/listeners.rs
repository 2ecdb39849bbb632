//! Options of the other client listeners: WebSocket and MQTT.

use std::collections::BTreeMap;
use std::time::Duration;

use super::tls::Tls;

/// The `websocket` block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Websocket {
    /// Address the listener binds; unset means all. `host`, `listen`.
    pub host: Option<String>,
    /// Port of the listener; 0 is none, -1 any. `port`, `listen`.
    pub port: i32,
    /// `host:port` told to WebSocket clients. `advertise`.
    pub advertise: Option<String>,
    /// TLS. `tls`.
    pub tls: Option<Tls>,
    /// No TLS is wanted; of no effect with a `tls` block. `no_tls`.
    pub no_tls: bool,
    /// The Origin header must name the requested host. `same_origin`.
    pub same_origin: bool,
    /// Origins accepted; empty is all. `allowed_origins`.
    pub allowed_origins: Vec<String>,
    /// Compression is offered. `compression`.
    pub compression: bool,
    /// Time for the upgrade, TLS included; unset means two seconds. `handshake_timeout`.
    pub handshake_timeout: Option<Duration>,
    /// The single user, instead of the general ones. `authorization.user`.
    pub username: Option<String>,
    /// Its password. `authorization.password`.
    pub password: Option<String>,
    /// The token, instead of the general ones. `authorization.token`.
    pub token: Option<String>,
    /// Time to authenticate; unset means the general one. `authorization.timeout`.
    pub auth_timeout: Option<Duration>,
    /// The user that clients without credentials become. `no_auth_user`.
    pub no_auth_user: Option<String>,
    /// Cookie that holds a user JWT. `jwt_cookie`.
    pub jwt_cookie: Option<String>,
    /// Cookie that holds the user's name. `user_cookie`.
    pub user_cookie: Option<String>,
    /// Cookie that holds the password. `pass_cookie`.
    pub pass_cookie: Option<String>,
    /// Cookie that holds a token. `token_cookie`.
    pub token_cookie: Option<String>,
    /// Headers of the upgrade's answer. `headers`.
    pub headers: BTreeMap<String, String>,
    /// Silence after which a PING is sent; unset means the general one. `ping_interval`.
    pub ping_interval: Option<Duration>,
}

/// The `mqtt` block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mqtt {
    /// Address the listener binds; unset means all. `host`, `listen`.
    pub host: Option<String>,
    /// Port of the listener; 0 is none, -1 any. `port`, `listen`.
    pub port: i32,
    /// TLS. `tls`.
    pub tls: Option<Tls>,
    /// The single user, instead of the general ones. `authorization.user`.
    pub username: Option<String>,
    /// Its password. `authorization.password`.
    pub password: Option<String>,
    /// The token, instead of the general ones. `authorization.token`.
    pub token: Option<String>,
    /// Time to authenticate; unset means the general one. `authorization.timeout`.
    pub auth_timeout: Option<Duration>,
    /// The user that clients without credentials become. `no_auth_user`.
    pub no_auth_user: Option<String>,
    /// Time to acknowledge a message; unset means 30 seconds. `ack_wait`.
    pub ack_wait: Option<Duration>,
    /// It was set below zero, which a start refuses.
    pub ack_wait_is_negative: bool,
    /// Time for JetStream API calls; unset means 5 seconds. `js_api_timeout`.
    pub js_api_timeout: Option<Duration>,
    /// It was set below zero, which a start refuses.
    pub js_api_timeout_is_negative: bool,
    /// Unacknowledged messages of a subscription; 0 means the default. `max_ack_pending`.
    pub max_ack_pending: u16,
    /// JetStream domain of the sessions. `js_domain`.
    pub js_domain: Option<String>,
    /// Replicas of its streams; 0 and below leaves it to the cluster's size. `stream_replicas`.
    pub stream_replicas: i64,
    /// Consumers are kept in memory. `consumer_memory_storage`.
    pub consumer_memory_storage: bool,
    /// Idle time after which consumers are removed; `None` is never. `consumer_inactive_threshold`.
    pub consumer_inactive_threshold: Option<Duration>,
    /// QoS 2 publishes are refused. `reject_qos2_publish`.
    pub reject_qos2_publish: bool,
    /// QoS 2 subscriptions become QoS 1. `downgrade_qos2_subscribe`.
    pub downgrade_qos2_subscribe: bool,
}
