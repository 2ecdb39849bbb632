//! An operator with its accounts and users: keys, and claims signed with them as the NATS tools sign them.

use nkeys::KeyPair;
use serde_json::{Value, json};

use natsx::server::base::base64::Base64;

use super::raw::Raw;
use super::server::Server;

/// What a client needs to log in with claims.
pub(crate) struct Creds {
    /// The user's claims.
    pub(crate) jwt: String,
    key: KeyPair,
}

/// An operator with a system account.
pub(crate) struct Operator {
    pub(crate) key: KeyPair,
    pub(crate) system: KeyPair,
}

/// The claims `nats` about `subject`, signed by `issuer` at `issued` (seconds of the epoch).
pub(crate) fn sign(issuer: &KeyPair, subject: &str, issued: u64, more: Value, nats: Value) -> String {
    let mut claims = json!({ "iat": issued, "iss": issuer.public_key(), "sub": subject, "nats": nats });
    for (name, value) in more.as_object().into_iter().flatten() {
        claims[name] = value.clone();
    }
    // The id is a hash of the claims; nobody checks more than that it differs.
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(claims.to_string());
    claims["jti"] = hash.iter().map(|byte| format!("{byte:02X}")).collect::<String>().into();
    let part = |json: Value| Base64::Url.encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
    let signature = issuer.sign(signed.as_bytes()).expect("a key with its seed");
    format!("{signed}.{}", Base64::Url.encode(&signature))
}

/// No limits, as claims of accounts say it.
pub(crate) fn no_limits() -> Value {
    json!({ "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1 })
}

impl Operator {
    /// With new keys.
    pub(crate) fn new() -> Self {
        Self { key: KeyPair::new_operator(), system: KeyPair::new_account() }
    }

    /// Its own claims.
    pub(crate) fn jwt(&self) -> String {
        let nats = json!({ "type": "operator", "version": 2, "system_account": self.system.public_key() });
        sign(&self.key, &self.key.public_key(), 1, json!({ "name": "O" }), nats)
    }

    /// Claims of an account called `name`, issued at `issued`; `nats` adds to what they say.
    pub(crate) fn account(&self, account: &KeyPair, name: &str, issued: u64, nats: Value) -> String {
        self.account_with(account, issued, json!({ "name": name }), nats)
    }

    /// The same with more in the envelope: an expiry, say.
    pub(crate) fn account_with(&self, account: &KeyPair, issued: u64, more: Value, nats: Value) -> String {
        let mut body = json!({ "type": "account", "version": 2, "limits": no_limits() });
        for (name, value) in nats.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        sign(&self.key, &account.public_key(), issued, more, body)
    }

    /// The start of a configuration: the operator, and a resolver as `resolver` says; the system account
    /// and `accounts` are preloaded.
    pub(crate) fn config(&self, resolver: &str, accounts: &[(&KeyPair, &str)]) -> String {
        let system = self.account(&self.system, "SYS", 1, json!({}));
        let preloads = accounts.iter().map(|(key, jwt)| format!("  {}: {jwt}\n", key.public_key()));
        format!(
            "operator: {}\nsystem_account: {}\nresolver: {resolver}\nresolver_preload: {{\n  {}: {system}\n{}}}\n",
            self.jwt(),
            self.system.public_key(),
            self.system.public_key(),
            preloads.collect::<String>(),
        )
    }

    /// A user of the system account.
    pub(crate) fn system_user(&self) -> Creds {
        user(&self.system, json!({}))
    }
}

/// A new user of `account`; `nats` adds to what its claims say.
pub(crate) fn user(account: &KeyPair, nats: Value) -> Creds {
    let key = KeyPair::new_user();
    let mut body = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    for (name, value) in nats.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    let jwt = sign(account, &key.public_key(), 1, json!({ "name": "u" }), body);
    Creds { jwt, key }
}

impl Creds {
    /// The user's public key.
    pub(crate) fn public_key(&self) -> String {
        self.key.public_key()
    }

    /// Reads a `.creds` file.
    #[track_caller]
    pub(crate) fn read(file: &str) -> Self {
        let line = |start: &str| file.lines().find(|line| line.starts_with(start)).expect("a .creds file");
        Self { jwt: line("eyJ").to_owned(), key: KeyPair::from_seed(line("SU")).expect("a seed") }
    }

    /// The options of a CONNECT for this nonce.
    pub(crate) fn connect(&self, nonce: &str) -> String {
        let signature = self.key.sign(nonce.as_bytes()).expect("a key with its seed");
        json!({
            "verbose": false, "pedantic": false, "protocol": 1, "headers": true, "no_responders": true,
            "jwt": self.jwt, "sig": Base64::Url.encode(&signature),
        })
        .to_string()
    }

    /// A connection that has sent its CONNECT.
    #[track_caller]
    pub(crate) fn try_connect(&self, server: &Server) -> Raw {
        let mut raw = Raw::greeted(server);
        let nonce = raw.info_field("nonce").expect("operator mode gives nonces");
        raw.send(format!("CONNECT {}\r\n", self.connect(nonce.as_str().expect("a text"))));
        raw
    }

    /// A connection that was let in.
    #[track_caller]
    pub(crate) fn log_in(&self, server: &Server) -> Raw {
        let mut raw = self.try_connect(server);
        raw.sync();
        raw
    }

    /// As a `.creds` file.
    pub(crate) fn file(&self) -> String {
        let seed = self.key.seed().expect("a key with its seed");
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
            self.jwt
        )
    }
}
