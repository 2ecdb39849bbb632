//! The INFO document: what a server says about itself, to clients and to other servers.

use super::json::{self, Document, JsonError, ObjectWriter, Slot, SubjectPermission};

/// All fields, in the order they are written. Those without "always" are left out when empty, 0 or
/// false.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Public nkey of the server, new at each start. Always.
    pub server_id: String,
    /// Always.
    pub server_name: String,
    /// Version of the reference that is spoken. Always.
    pub version: String,
    /// Protocol number: 1 for clients; 3 between servers. Always.
    pub proto: i64,
    /// Revision that was built.
    pub git_commit: String,
    /// Runtime version. Always.
    pub go: String,
    /// Listen or advertised host. Always.
    pub host: String,
    /// Listen or advertised port. Always.
    pub port: i64,
    /// Headers are supported. Always.
    pub headers: bool,
    /// Clients have to authenticate.
    pub auth_required: bool,
    /// Clients have to use TLS.
    pub tls_required: bool,
    /// Client certificates are verified.
    pub tls_verify: bool,
    /// Clients may use TLS.
    pub tls_available: bool,
    /// Largest message in bytes for this connection. Always.
    pub max_payload: i32,
    /// `JetStream` is on.
    pub jetstream: bool,
    /// Links: URL of the server.
    pub ip: String,
    /// Number of the connection.
    pub client_id: u64,
    /// Address of the client.
    pub client_ip: String,
    /// To be signed by the client.
    pub nonce: String,
    /// Cluster name.
    pub cluster: String,
    /// The cluster name was made up.
    pub cluster_dynamic: bool,
    /// `JetStream` domain.
    pub domain: String,
    /// `host:port` of all servers for clients.
    pub connect_urls: Vec<String>,
    /// The same for WebSocket clients.
    pub ws_connect_urls: Vec<String>,
    /// The server is about to close its connections.
    pub ldm: bool,
    /// Links: compression mode.
    pub compression: String,
    /// This INFO answers a CONNECT.
    pub connect_info: bool,
    /// Account the connection is bound to.
    pub remote_account: String,
    /// It is the system account.
    pub acc_is_sys: bool,
    /// `JetStream` API level.
    pub api_lvl: i64,
    /// Routes: subjects imported.
    pub import: Option<SubjectPermission>,
    /// Routes: subjects exported.
    pub export: Option<SubjectPermission>,
    /// Routes: leaf node origin clusters are understood.
    pub lnoc: bool,
    /// Routes: also on unsubscribe.
    pub lnocu: bool,
    /// Routes: CONNECT is answered with INFO.
    pub info_on_connect: bool,
    /// Routes: connections in the pool.
    pub route_pool_size: i64,
    /// Routes: place in the pool.
    pub route_pool_idx: i64,
    /// Routes: the account that the route is for.
    pub route_account: String,
    /// Routes: request to add the account's route.
    pub route_acc_add_reqid: String,
    /// Routes: how to gossip.
    pub gossip_mode: u8,
    /// Gateways: name.
    pub gateway: String,
    /// Gateways: URLs of the cluster.
    pub gateway_urls: Vec<String>,
    /// Gateways: URL of the server, told to routes.
    pub gateway_url: String,
    /// Gateways: command.
    pub gateway_cmd: u8,
    /// Gateways: its argument.
    pub gateway_cmd_payload: Vec<u8>,
    /// Gateways: new reply prefix.
    pub gateway_nrp: bool,
    /// Gateways: all accounts are going to interest-only mode.
    pub gateway_iom: bool,
    /// Leaf nodes: URLs to reconnect to.
    pub leafnode_urls: Vec<String>,
    /// Public x25519 key of the server.
    pub xkey: String,
}

impl Info {
    /// Appends the JSON text.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        object.text("server_id", &self.server_id);
        object.text("server_name", &self.server_name);
        object.text("version", &self.version);
        object.int("proto", self.proto);
        object.text_if_any("git_commit", &self.git_commit);
        object.text("go", &self.go);
        object.text("host", &self.host);
        object.int("port", self.port);
        object.bool("headers", self.headers);
        object.bool_if_true("auth_required", self.auth_required);
        object.bool_if_true("tls_required", self.tls_required);
        object.bool_if_true("tls_verify", self.tls_verify);
        object.bool_if_true("tls_available", self.tls_available);
        object.int("max_payload", self.max_payload.into());
        object.bool_if_true("jetstream", self.jetstream);
        object.text_if_any("ip", &self.ip);
        object.uint_if_any("client_id", self.client_id);
        object.text_if_any("client_ip", &self.client_ip);
        object.text_if_any("nonce", &self.nonce);
        object.text_if_any("cluster", &self.cluster);
        object.bool_if_true("cluster_dynamic", self.cluster_dynamic);
        object.text_if_any("domain", &self.domain);
        object.texts_if_any("connect_urls", &self.connect_urls);
        object.texts_if_any("ws_connect_urls", &self.ws_connect_urls);
        object.bool_if_true("ldm", self.ldm);
        object.text_if_any("compression", &self.compression);
        object.bool_if_true("connect_info", self.connect_info);
        object.text_if_any("remote_account", &self.remote_account);
        object.bool_if_true("acc_is_sys", self.acc_is_sys);
        object.int_if_any("api_lvl", self.api_lvl);
        self.write_links(&mut object);
        object.text_if_any("xkey", &self.xkey);
        object.end();
    }

    /// The fields for routes, gateways and leaf nodes.
    fn write_links(&self, object: &mut ObjectWriter<'_>) {
        object.permission_if_any("import", self.import.as_ref());
        object.permission_if_any("export", self.export.as_ref());
        object.bool_if_true("lnoc", self.lnoc);
        object.bool_if_true("lnocu", self.lnocu);
        object.bool_if_true("info_on_connect", self.info_on_connect);
        object.int_if_any("route_pool_size", self.route_pool_size);
        object.int_if_any("route_pool_idx", self.route_pool_idx);
        object.text_if_any("route_account", &self.route_account);
        object.text_if_any("route_acc_add_reqid", &self.route_acc_add_reqid);
        object.int_if_any("gossip_mode", self.gossip_mode.into());
        object.text_if_any("gateway", &self.gateway);
        object.texts_if_any("gateway_urls", &self.gateway_urls);
        object.text_if_any("gateway_url", &self.gateway_url);
        object.int_if_any("gateway_cmd", self.gateway_cmd.into());
        object.bytes_if_any("gateway_cmd_payload", &self.gateway_cmd_payload);
        object.bool_if_true("gateway_nrp", self.gateway_nrp);
        object.bool_if_true("gateway_iom", self.gateway_iom);
        object.texts_if_any("leafnode_urls", &self.leafnode_urls);
    }

    /// Appends the operation: `INFO {json} \r\n`, with the space that the reference writes.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"INFO ");
        self.write_json(out);
        out.extend_from_slice(b" \r\n");
    }

    /// Reads the text behind `INFO`.
    ///
    /// # Errors
    /// Text that is no JSON, or a value of the wrong kind.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let mut info = Self::default();
        json::read(&mut info, text)?;
        Ok(info)
    }
}

impl Document for Info {
    const NAME: &'static str = "Info";
    const TYPE: &'static str = "server.Info";
    #[rustfmt::skip]
    const FIELDS: &'static [&'static str] = &[
        "server_id", "server_name", "version", "proto", "git_commit", "go", "host", "port", "headers",
        "auth_required", "tls_required", "tls_verify", "tls_available", "max_payload", "jetstream", "ip",
        "client_id", "client_ip", "nonce", "cluster", "cluster_dynamic", "domain", "connect_urls",
        "ws_connect_urls", "ldm", "compression", "connect_info", "remote_account", "acc_is_sys", "api_lvl",
        "import", "export", "lnoc", "lnocu", "info_on_connect", "route_pool_size", "route_pool_idx",
        "route_account", "route_acc_add_reqid", "gossip_mode", "gateway", "gateway_urls", "gateway_url",
        "gateway_cmd", "gateway_cmd_payload", "gateway_nrp", "gateway_iom", "leafnode_urls", "xkey",
    ];

    fn slot(&mut self, name: &str) -> Option<Slot<'_>> {
        Some(match name {
            "server_id" => Slot::Text(&mut self.server_id),
            "server_name" => Slot::Text(&mut self.server_name),
            "version" => Slot::Text(&mut self.version),
            "proto" => Slot::Int(&mut self.proto),
            "git_commit" => Slot::Text(&mut self.git_commit),
            "go" => Slot::Text(&mut self.go),
            "host" => Slot::Text(&mut self.host),
            "port" => Slot::Int(&mut self.port),
            "headers" => Slot::Bool(&mut self.headers),
            "auth_required" => Slot::Bool(&mut self.auth_required),
            "tls_required" => Slot::Bool(&mut self.tls_required),
            "tls_verify" => Slot::Bool(&mut self.tls_verify),
            "tls_available" => Slot::Bool(&mut self.tls_available),
            "max_payload" => Slot::Int32(&mut self.max_payload),
            "jetstream" => Slot::Bool(&mut self.jetstream),
            "ip" => Slot::Text(&mut self.ip),
            "client_id" => Slot::Uint64(&mut self.client_id),
            "client_ip" => Slot::Text(&mut self.client_ip),
            "nonce" => Slot::Text(&mut self.nonce),
            "cluster" => Slot::Text(&mut self.cluster),
            "cluster_dynamic" => Slot::Bool(&mut self.cluster_dynamic),
            "domain" => Slot::Text(&mut self.domain),
            "connect_urls" => Slot::Texts(&mut self.connect_urls),
            "ws_connect_urls" => Slot::Texts(&mut self.ws_connect_urls),
            "ldm" => Slot::Bool(&mut self.ldm),
            "compression" => Slot::Text(&mut self.compression),
            "connect_info" => Slot::Bool(&mut self.connect_info),
            "remote_account" => Slot::Text(&mut self.remote_account),
            "acc_is_sys" => Slot::Bool(&mut self.acc_is_sys),
            "api_lvl" => Slot::Int(&mut self.api_lvl),
            "import" => Slot::Permission(&mut self.import),
            "export" => Slot::Permission(&mut self.export),
            "lnoc" => Slot::Bool(&mut self.lnoc),
            "lnocu" => Slot::Bool(&mut self.lnocu),
            "info_on_connect" => Slot::Bool(&mut self.info_on_connect),
            "route_pool_size" => Slot::Int(&mut self.route_pool_size),
            "route_pool_idx" => Slot::Int(&mut self.route_pool_idx),
            "route_account" => Slot::Text(&mut self.route_account),
            "route_acc_add_reqid" => Slot::Text(&mut self.route_acc_add_reqid),
            "gossip_mode" => Slot::Byte(&mut self.gossip_mode),
            "gateway" => Slot::Text(&mut self.gateway),
            "gateway_urls" => Slot::Texts(&mut self.gateway_urls),
            "gateway_url" => Slot::Text(&mut self.gateway_url),
            "gateway_cmd" => Slot::Byte(&mut self.gateway_cmd),
            "gateway_cmd_payload" => Slot::Bytes(&mut self.gateway_cmd_payload),
            "gateway_nrp" => Slot::Bool(&mut self.gateway_nrp),
            "gateway_iom" => Slot::Bool(&mut self.gateway_iom),
            "leafnode_urls" => Slot::Texts(&mut self.leafnode_urls),
            "xkey" => Slot::Text(&mut self.xkey),
            _ => return None,
        })
    }
}

/// Feeds arbitrary bytes to the reader; for fuzzing.
#[doc(hidden)]
pub fn fuzz_info(data: &[u8]) {
    if let Ok(info) = Info::parse(data) {
        info.write_line(&mut Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(info: &Info) -> String {
        let mut out = Vec::new();
        info.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn empty_fields_are_left_out_but_for_those_always_there() {
        assert_eq!(
            json(&Info::default()),
            r#"{"server_id":"","server_name":"","version":"","proto":0,"go":"","host":"","port":0,"headers":false,"max_payload":0}"#
        );
    }

    #[test]
    fn line_has_a_space_before_its_end() {
        let mut out = Vec::new();
        Info::default().write_line(&mut out);
        assert!(out.starts_with(b"INFO {\"server_id\"") && out.ends_with(b"} \r\n"));
    }

    /// As the reference wrote it to a client, keys shortened.
    const CLIENT: &str = r#"{"server_id":"NA","server_name":"NA","version":"2.15.1","proto":1,"git_commit":"abcdefg","go":"go1.26","host":"0.0.0.0","port":4222,"headers":true,"max_payload":1048576,"client_id":5,"client_ip":"127.0.0.1","api_lvl":5,"xkey":"XA"}"#;

    #[test]
    fn document_of_the_reference_comes_back_byte_for_byte() {
        let info = Info::parse(CLIENT.as_bytes()).unwrap();
        assert_eq!((info.client_id, info.port, info.max_payload), (5, 4222, 1_048_576));
        assert_eq!(json(&info), CLIENT);
    }

    #[test]
    fn every_field_is_written_in_order_and_read_back() {
        let text = r#"{"server_id":"a","server_name":"b","version":"c","proto":3,"git_commit":"d","go":"e","host":"f","port":1,"headers":true,"auth_required":true,"tls_required":true,"tls_verify":true,"tls_available":true,"max_payload":2,"jetstream":true,"ip":"g","client_id":3,"client_ip":"h","nonce":"i","cluster":"j","cluster_dynamic":true,"domain":"k","connect_urls":["l","m"],"ws_connect_urls":["n"],"ldm":true,"compression":"o","connect_info":true,"remote_account":"p","acc_is_sys":true,"api_lvl":4,"import":{"allow":["q"]},"export":{"deny":["r","s"]},"lnoc":true,"lnocu":true,"info_on_connect":true,"route_pool_size":5,"route_pool_idx":6,"route_account":"t","route_acc_add_reqid":"u","gossip_mode":7,"gateway":"v","gateway_urls":["w"],"gateway_url":"x","gateway_cmd":8,"gateway_cmd_payload":"eXo=","gateway_nrp":true,"gateway_iom":true,"leafnode_urls":["z"],"xkey":"X"}"#;
        let info = Info::parse(text.as_bytes()).unwrap();
        assert_eq!(info.gateway_cmd_payload, b"yz");
        assert_eq!(json(&info), text);
        let names: Vec<_> = text.match_indices("\":").count().checked_sub(2).into_iter().collect();
        assert_eq!(names, [Info::FIELDS.len()], "a field of FIELDS is missing above");
    }

    #[test]
    fn markup_is_escaped() {
        let info = Info { server_name: "<a&b>".to_owned(), ..Info::default() };
        assert!(json(&info).contains(r#""server_name":"\u003ca\u0026b\u003e""#));
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_do_not_panic(data in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            fuzz_info(&data);
        }
    }
}
