//! What a resolver needs to know of claims that others bring: the one place here that reads them.

use super::requests::{AccountHead, DeleteRequest};
use crate::server::account::{check_mappings, described_mappings};
use crate::server::base::clock::Timestamp;
use crate::server::jwt::{AccountClaims, Severity, decode_generic};

/// What an update's payload says.
///
/// # Errors
/// Why it is no account's claims, in the reference's words.
pub fn account_head(payload: &[u8], now: Timestamp) -> Result<AccountHead, String> {
    let claims = AccountClaims::decode(&text(payload)).map_err(|error| error.to_string())?;
    let findings = claims.validate(now);
    let broken_rules = if findings.is_blocking(false) {
        // The reference lists what the time forbids as well.
        let errors = findings.iter().filter(|finding| finding.severity != Severity::Warning);
        let texts = errors.map(|finding| finding.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(format!("validation errors: [{texts}]"))
    } else {
        check_mappings(&described_mappings(&claims)).err()
    };
    let envelope = claims.envelope;
    Ok(AccountHead { subject: envelope.subject, issuer: envelope.issuer, broken_rules })
}

/// What a request to delete says.
///
/// # Errors
/// Why it is no claims, in the reference's words.
pub fn delete_request(payload: &[u8]) -> Result<DeleteRequest, String> {
    let claims = decode_generic(&text(payload)).map_err(|error| error.to_string())?;
    let list = claims.nats.get("accounts").and_then(serde_json::Value::as_array);
    let accounts = list.and_then(|list| list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect());
    Ok(DeleteRequest { subject: claims.envelope.subject, issuer: claims.envelope.issuer, accounts })
}

fn text(payload: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(payload)
}

/// For the fuzzer: any payload is read or refused.
pub fn fuzz_claims_request(data: &[u8]) {
    let _ = account_head(data, Timestamp::default());
    let _ = delete_request(data);
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;
    use proptest::prelude::*;

    use super::*;
    use crate::server::jwt::fixtures::{NOW, token};
    use crate::server::jwt::{Account, Generic};

    #[test]
    fn an_update_names_account_signer_and_broken_rules() {
        let (operator, account) = (KeyPair::new_operator(), KeyPair::new_account());
        let good = token::<Account>(&operator, &account, |_| ());
        let head = account_head(good.as_bytes(), NOW).unwrap();
        assert_eq!((head.subject, head.issuer), (account.public_key(), operator.public_key()));
        assert_eq!(head.broken_rules, None);
        let bad = token::<Account>(&operator, &account, |claim| {
            claim.nats.limits.jetstream_tiers.insert(String::new(), Default::default());
        });
        let broken = account_head(bad.as_bytes(), NOW).unwrap().broken_rules.unwrap();
        let want = "validation errors: [Tiered JetStream Limits can not contain a blank \"\" tier name]";
        assert_eq!(broken, want);
        assert_eq!(account_head(b"", NOW).unwrap_err(), "expected 3 chunks");
    }

    #[test]
    fn a_deletion_names_its_accounts_or_is_malformed() {
        let operator = KeyPair::new_operator();
        let request = |value: serde_json::Value| {
            let token = token::<Generic>(&operator, &operator, |claim| claim.nats.insert("accounts", value));
            delete_request(token.as_bytes()).unwrap()
        };
        let read = request(serde_json::json!(["A", "B"]));
        assert_eq!((read.subject, read.issuer), (operator.public_key(), operator.public_key()));
        assert_eq!(read.accounts, Some(vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!(request(serde_json::json!(["A", 1])).accounts, None);
        assert_eq!(request(serde_json::json!("A")).accounts, None);
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(data: Vec<u8>) {
            fuzz_claims_request(&data);
        }
    }
}
