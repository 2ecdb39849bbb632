//! A connection as system messages describe it: in events, and in the header that tells a service
//! who asks.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::stamp::time_text;
use crate::server::base::clock::Timestamp;
use crate::server::protocol::json::ObjectWriter;

/// One connection. What is empty, or not there, is left out of the document.
#[derive(Clone, Default)]
pub struct ClientInfo<'a> {
    /// When it was accepted.
    pub start: Option<Timestamp>,
    /// Its address, without the port.
    pub host: Cow<'a, str>,
    /// Its id.
    pub id: u64,
    /// Its account.
    pub account: Cow<'a, str>,
    /// The account through which its request came, where that was not its own.
    pub service: Cow<'a, str>,
    /// Its user: public key or name; a token's is `[REDACTED]`.
    pub user: Cow<'a, str>,
    /// The name that it gave itself.
    pub name: Cow<'a, str>,
    /// The client library's language.
    pub lang: Cow<'a, str>,
    /// The client library's version.
    pub version: Cow<'a, str>,
    /// Its round trip as last measured.
    pub round_trip: Option<Duration>,
    /// The server's name.
    pub server: Cow<'a, str>,
    /// The server's cluster.
    pub cluster: Cow<'a, str>,
    /// When it ended.
    pub stop: Option<Timestamp>,
    /// Its user's claims.
    pub jwt: Cow<'a, str>,
    /// The key that signed them.
    pub issuer_key: Cow<'a, str>,
    /// What the account calls itself, or the user, in a request.
    pub name_tag: Cow<'a, str>,
    /// The user's tags.
    pub tags: &'a [String],
    /// `Client`, `Leafnode` …
    pub kind: Cow<'a, str>,
    /// `nats`, `websocket`, `mqtt`.
    pub client_type: Cow<'a, str>,
    /// An MQTT client's id.
    pub mqtt_id: Cow<'a, str>,
}

impl ClientInfo<'_> {
    /// Writes the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::new(out);
        self.write_fields(&mut object);
        object.end();
    }

    pub(super) fn write_fields(&self, object: &mut ObjectWriter<'_>) {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        if let Some(start) = self.start {
            object.text("start", &time_text(start));
        }
        object.text_if_any("host", &self.host);
        object.uint_if_any("id", self.id);
        object.text_if_any("acc", &self.account);
        object.text_if_any("svc", &self.service);
        object.text_if_any("user", &self.user);
        object.text_if_any("name", &self.name);
        object.text_if_any("lang", &self.lang);
        object.text_if_any("ver", &self.version);
        object.uint_if_any("rtt", self.round_trip.map_or(0, nanos));
        object.text_if_any("server", &self.server);
        object.text_if_any("cluster", &self.cluster);
        if let Some(stop) = self.stop {
            object.text("stop", &time_text(stop));
        }
        object.text_if_any("jwt", &self.jwt);
        object.text_if_any("issuer_key", &self.issuer_key);
        object.text_if_any("name_tag", &self.name_tag);
        object.texts_if_any("tags", self.tags);
        object.text_if_any("kind", &self.kind);
        object.text_if_any("client_type", &self.client_type);
        object.text_if_any("client_id", &self.mqtt_id);
    }
}

impl fmt::Debug for ClientInfo<'_> {
    /// Without the claims: a bearer's are all that is needed to be that user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientInfo")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_references_order_and_empty_ones_are_left_out() {
        let whole = ClientInfo {
            start: Some(Timestamp::from_nanos(0)),
            host: "h".into(),
            id: 7,
            account: "A".into(),
            service: "B".into(),
            user: "ann".into(),
            name: "n".into(),
            lang: "go".into(),
            version: "1".into(),
            round_trip: Some(Duration::from_nanos(5)),
            server: "srv".into(),
            cluster: "c".into(),
            stop: Some(Timestamp::from_nanos(1_000_000_000)),
            jwt: "eyJ".into(),
            issuer_key: "AK".into(),
            name_tag: "tag".into(),
            tags: &["t".to_owned()],
            kind: "Client".into(),
            client_type: "nats".into(),
            mqtt_id: "m".into(),
        };
        let written = |info: &ClientInfo<'_>| {
            let mut out = Vec::new();
            info.write(&mut out);
            String::from_utf8(out).unwrap()
        };
        let want = concat!(
            r#"{"start":"1970-01-01T00:00:00Z","host":"h","id":7,"acc":"A","svc":"B","user":"ann","#,
            r#""name":"n","lang":"go","ver":"1","rtt":5,"server":"srv","cluster":"c","#,
            r#""stop":"1970-01-01T00:00:01Z","jwt":"eyJ","issuer_key":"AK","name_tag":"tag","tags":["t"],"#,
            r#""kind":"Client","client_type":"nats","client_id":"m"}"#
        );
        assert_eq!(written(&whole), want);
        assert_eq!(written(&ClientInfo { account: "A".into(), ..ClientInfo::default() }), r#"{"acc":"A"}"#);
        assert!(!format!("{whole:?}").contains("eyJ"));
    }
}
