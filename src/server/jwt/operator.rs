//! Operators: whose signature makes an account one of this system.

use crate::server::base::clock::Timestamp;
use crate::server::base::quote::quote;
use crate::server::base::url::Url;

use super::claims::{About, Body, Claim, Claims};
use super::document::{Document, Each, When};
use super::findings::Findings;
use super::nkey::{self, KeyKind};

/// What an operator's claims say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operator {
    /// Further keys that sign for it.
    pub signing_keys: Vec<String>,
    /// Where accounts can be looked up; `/accounts` is appended.
    pub account_server_url: String,
    /// Where tools can connect to.
    pub operator_service_urls: Vec<String>,
    /// Public key of the system account.
    pub system_account: String,
    /// The version that a server must have at least.
    pub assert_server_version: String,
    /// Identities sign nothing, only signing keys do.
    pub strict_signing_key_usage: bool,
    /// Tags, kind, version.
    pub about: About,
}

/// An operator's claims.
pub type OperatorClaims = Claim<Operator>;

impl OperatorClaims {
    /// Whether it, or a signing key of it, signed something that was issued by `issuer` about `subject`.
    #[must_use]
    pub fn did_sign(&self, issuer: &str, subject: &str) -> bool {
        if issuer == self.envelope.subject {
            return !self.nats.strict_signing_key_usage || subject == self.envelope.subject;
        }
        self.nats.signing_keys.iter().any(|key| key == issuer)
    }
}

impl Document for Operator {
    const TYPE: &'static str = "jwt.Operator";

    fn fields(&mut self, each: Each<'_>) {
        each("signing_keys", When::Any, &mut self.signing_keys);
        each("account_server_url", When::Any, &mut self.account_server_url);
        each("operator_service_urls", When::Any, &mut self.operator_service_urls);
        each("system_account", When::Any, &mut self.system_account);
        each("assert_server_version", When::Any, &mut self.assert_server_version);
        each("strict_signing_key_usage", When::Any, &mut self.strict_signing_key_usage);
        self.about.fields(each);
    }
}

impl Body for Operator {
    const KIND: &'static str = "operator";
    const NAME: &'static str = "OperatorClaims";
    const OTHERS: &'static str = "not operator claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Operator];

    fn mark(&mut self) {
        self.about.mark(Self::KIND);
    }

    fn of(claims: Claims) -> Option<OperatorClaims> {
        if let Claims::Operator(claim) = claims { Some(*claim) } else { None }
    }

    fn validate(claim: &OperatorClaims, now: Timestamp, findings: &mut Findings) {
        claim.envelope.validate(now, findings);
        let operator = &claim.nats;
        if let Err(reason) = check_account_server(&operator.account_server_url) {
            findings.error(reason);
        }
        for url in operator.operator_service_urls.iter().filter(|url| !url.is_empty()) {
            if let Err(reason) = check_service(url) {
                findings.error(reason);
            }
        }
        for key in operator.signing_keys.iter().filter(|key| !nkey::is_public(key, KeyKind::Operator)) {
            findings.error(format!("{key} is not an operator public key"));
        }
        let account = &operator.system_account;
        if !account.is_empty() && !nkey::is_public(account, KeyKind::Account) {
            findings.error(format!("{account} is not an account public key"));
        }
        if let Err(reason) = server_version(&operator.assert_server_version) {
            findings.error(format!("assert server version error: {reason}"));
        }
    }

    fn refuse(claim: &OperatorClaims) -> Option<&'static str> {
        let is_operator = nkey::is_public(&claim.envelope.subject, KeyKind::Operator);
        (!is_operator).then_some("expected subject to be an operator public key")
    }
}

fn check_account_server(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let url = Url::parse(text).map_err(|error| format!("error parsing account server url: {error}"))?;
    if url.scheme.is_empty() {
        return Err(format!("account server url {} requires a protocol", quote(text)));
    }
    Ok(())
}

fn check_service(text: &str) -> Result<(), String> {
    let shown = quote(text);
    let url =
        Url::parse(text).map_err(|error| format!("error parsing operator service url {shown}: {error}"))?;
    if url.user.is_some() {
        return Err(format!("operator service url {shown} - credentials are not supported"));
    }
    if !url.path.is_empty() {
        return Err(format!("operator service url {shown} - paths are not supported"));
    }
    if !matches!(url.scheme.as_str(), "nats" | "tls" | "ws" | "wss") {
        return Err(format!(
            "operator service url {shown} - protocol not supported (only 'nats', 'tls', 'ws', 'wss' only)"
        ));
    }
    Ok(())
}

/// Major, minor and update of the version that an operator asks for; zeros where it asks for none.
///
/// # Errors
/// A text that is no version.
pub fn server_version(text: &str) -> Result<[i64; 3], String> {
    if text.is_empty() {
        return Ok([0; 3]);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let [major, minor, update] = parts.as_slice() else {
        return Err("asserted server version must be of the form <major>.<minor>.<update>".into());
    };
    let number = |part: &str| {
        part.parse::<i64>().map_err(|_| format!("asserted server version cant parse {part} to int"))
    };
    let version = [number(major)?, number(minor)?, number(update)?];
    if version.iter().any(|part| *part < 0) {
        return Err(format!("asserted server version can'b contain negative values: {text}"));
    }
    Ok(version)
}
