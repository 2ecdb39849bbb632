//! What a server asks an authorization service about a client, and what the service answers.

use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;

use super::claims::{About, Body, Claim, Claims};
use super::document::{Document, Each, Named, When};
use super::findings::Findings;
use super::nkey::{self, KeyKind};
use super::permissions::Int;

/// The server that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct ServerInfo {
    pub name: String,
    pub host: String,
    pub id: String,
    pub version: String,
    pub cluster: String,
    pub tags: Vec<String>,
    /// Public curve key that an answer may be sealed to.
    pub xkey: String,
}

impl Document for ServerInfo {
    const TYPE: &'static str = "jwt.ServerID";

    fn fields(&mut self, each: Each<'_>) {
        each("name", When::Always, &mut self.name);
        each("host", When::Always, &mut self.host);
        each("id", When::Always, &mut self.id);
        each("version", When::Any, &mut self.version);
        each("cluster", When::Any, &mut self.cluster);
        each("tags", When::Any, &mut self.tags);
        each("xkey", When::Any, &mut self.xkey);
    }
}

/// The connection that wants to be authorized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct ClientInfo {
    pub host: String,
    /// Its number at this server.
    pub id: u64,
    pub user: String,
    pub name: String,
    pub tags: Vec<String>,
    pub name_tag: String,
    pub kind: String,
    pub client_type: String,
    pub mqtt_id: String,
    /// What it signed.
    pub nonce: String,
}

impl Document for ClientInfo {
    const TYPE: &'static str = "jwt.ClientInformation";

    fn fields(&mut self, each: Each<'_>) {
        each("host", When::Any, &mut self.host);
        each("id", When::Any, &mut self.id);
        each("user", When::Any, &mut self.user);
        each("name", When::Any, &mut self.name);
        each("tags", When::Any, &mut self.tags);
        each("name_tag", When::Any, &mut self.name_tag);
        each("kind", When::Any, &mut self.kind);
        each("type", When::Any, &mut self.client_type);
        each("mqtt_id", When::Any, &mut self.mqtt_id);
        each("nonce", When::Any, &mut self.nonce);
    }
}

/// What the client said of itself. Holds secrets: no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct ConnectInfo {
    pub jwt: String,
    pub nkey: String,
    pub signature: String,
    pub token: String,
    pub user: String,
    pub password: String,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub protocol: i64,
}

impl std::fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectInfo")
            .field("user", &self.user)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Document for ConnectInfo {
    const TYPE: &'static str = "jwt.ConnectOptions";

    fn fields(&mut self, each: Each<'_>) {
        each("jwt", When::Any, &mut self.jwt);
        each("nkey", When::Any, &mut self.nkey);
        each("sig", When::Any, &mut self.signature);
        each("auth_token", When::Any, &mut self.token);
        each("user", When::Any, &mut self.user);
        each("pass", When::Any, &mut self.password);
        each("name", When::Any, &mut self.name);
        each("lang", When::Any, &mut self.lang);
        each("version", When::Any, &mut self.version);
        each("protocol", When::Always, &mut Int(&mut self.protocol));
    }
}

/// The TLS session of the client; certificates in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// `1.3`
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// What the client sent, where nobody verified it.
    pub certs: Vec<String>,
    /// Verified chains, each beginning with the client's certificate.
    pub verified_chains: Vec<Vec<String>>,
}

impl Document for ClientTls {
    const TYPE: &'static str = "jwt.ClientTLS";

    fn fields(&mut self, each: Each<'_>) {
        each("version", When::Any, &mut self.version);
        each("cipher", When::Any, &mut self.cipher);
        each("certs", When::Any, &mut self.certs);
        each("verified_chains", When::Any, &mut self.verified_chains);
    }
}

impl Named for Vec<String> {
    const LIST: &'static str = "[]jwt.StringList";
    const MAP: &'static str = "map[string]jwt.StringList";
}

/// What a server asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// The server.
    pub server: ServerInfo,
    /// Public key that the answer's user must have.
    pub user_nkey: String,
    /// The connection.
    pub client: ClientInfo,
    /// What the client said.
    pub connect: ConnectInfo,
    /// Its TLS session.
    pub tls: Option<ClientTls>,
    /// A nonce of the request.
    pub request_nonce: String,
    /// Tags, kind, version.
    pub about: About,
}

/// The claims of a request.
pub type AuthorizationRequestClaims = Claim<AuthorizationRequest>;

impl Document for AuthorizationRequest {
    const TYPE: &'static str = "jwt.AuthorizationRequest";

    fn fields(&mut self, each: Each<'_>) {
        each("server_id", When::Always, &mut self.server);
        each("user_nkey", When::Always, &mut self.user_nkey);
        each("client_info", When::Always, &mut self.client);
        each("connect_opts", When::Always, &mut self.connect);
        each("client_tls", When::Any, &mut self.tls);
        each("request_nonce", When::Any, &mut self.request_nonce);
        self.about.fields(each);
    }
}

impl Body for AuthorizationRequest {
    const KIND: &'static str = "authorization_request";
    const NAME: &'static str = "AuthorizationRequestClaims";
    const OTHERS: &'static str = "not an authorization request claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Server];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<AuthorizationRequestClaims> {
        if let Claims::AuthorizationRequest(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &AuthorizationRequestClaims, now: Timestamp, findings: &mut Findings) {
        let key = &claim.nats.user_nkey;
        if key.is_empty() {
            findings.error("User nkey is required");
        } else if !nkey::is_public(key, KeyKind::User) {
            findings.error(format!("User nkey {} is not a valid user public key", quote(key)));
        }
        claim.envelope.validate(now, findings);
    }
}

/// What the service answers: a user's token or a reason, not both.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthorizationResponse {
    /// The user's token.
    pub jwt: String,
    /// Why the client is refused.
    pub error: String,
    /// The account, where a signing key of it is the issuer.
    pub issuer_account: String,
    /// Tags, kind, version.
    pub about: About,
}

impl std::fmt::Debug for AuthorizationResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthorizationResponse").field("error", &self.error).finish_non_exhaustive()
    }
}

/// The claims of an answer.
pub type AuthorizationResponseClaims = Claim<AuthorizationResponse>;

impl Document for AuthorizationResponse {
    const TYPE: &'static str = "jwt.AuthorizationResponse";

    fn fields(&mut self, each: Each<'_>) {
        each("jwt", When::Any, &mut self.jwt);
        each("error", When::Any, &mut self.error);
        each("issuer_account", When::Any, &mut self.issuer_account);
        self.about.fields(each);
    }
}

impl Body for AuthorizationResponse {
    const KIND: &'static str = "authorization_response";
    const NAME: &'static str = "AuthorizationResponseClaims";
    // The reference says "request" here too.
    const OTHERS: &'static str = "not an authorization request claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<AuthorizationResponseClaims> {
        if let Claims::AuthorizationResponse(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &AuthorizationResponseClaims, now: Timestamp, findings: &mut Findings) {
        let (envelope, response) = (&claim.envelope, &claim.nats);
        if !nkey::is_public(&envelope.subject, KeyKind::User) {
            findings.error("Subject must be a user public key");
        }
        if !nkey::is_public(&envelope.audience, KeyKind::Server) {
            findings.error("Audience must be a server public key");
        }
        match (response.error.is_empty(), response.jwt.is_empty()) {
            (true, true) => findings.error("Error or Jwt is required"),
            (false, false) => findings.error("Only Error or Jwt can be set"),
            _ => {}
        }
        let account = &response.issuer_account;
        if !account.is_empty() && !nkey::is_public(account, KeyKind::Account) {
            findings.error("issuer_account is not an account public key");
        }
        envelope.validate(now, findings);
    }
}
