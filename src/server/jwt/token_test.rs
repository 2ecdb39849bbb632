//! Tokens: read, refused, written. The files were made by the reference's tools.

use proptest::prelude::*;

use super::super::fixtures::{NOW, NOW_S, signed, token};
use super::super::{
    AccountClaims, ActivationClaims, Export, GenericClaims, Import, Kind, OperatorClaims, Revocations,
    UserClaims, UserScope, WeightedMapping, decode_generic, parse_creds, token_of_file,
};
use super::*;

const OPERATOR_V1: &str = include_str!("../../../tests/fixtures/jwt/operator_v1.jwt");
const ACCOUNT_V1: &str = include_str!("../../../tests/fixtures/jwt/account_v1.jwt");
const ACTIVATION_V1: &str = include_str!("../../../tests/fixtures/jwt/activation_v1.jwt");
const OPERATOR_V2: &str = include_str!("../../../tests/fixtures/jwt/operator_v2.jwt");
const ACCOUNT_V2: &str = include_str!("../../../tests/fixtures/jwt/account_v2.jwt");
const CREDS_V2: &str = include_str!("../../../tests/fixtures/jwt/user_v2.creds");

/// A token with this header and body, signed by the key over both.
fn made(key: &KeyPair, header: &str, body: &str) -> String {
    let signed = format!("{}.{}", Base64::Url.encode(header.as_bytes()), Base64::Url.encode(body.as_bytes()));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", Base64::Url.encode(&signature))
}

/// As the first version signed.
fn made_first(key: &KeyPair, body: &str) -> String {
    let body = Base64::Url.encode(body.as_bytes());
    let header = Base64::Url.encode(br#"{"typ":"jwt","alg":"ed25519"}"#);
    let signature = key.sign(body.as_bytes()).unwrap();
    format!("{header}.{body}.{}", Base64::Url.encode(&signature))
}

#[test]
fn tokens_of_the_references_tools_are_read() {
    let operator = OperatorClaims::decode(OPERATOR_V2.trim()).unwrap();
    assert!(operator.envelope.is_self_signed());
    assert_eq!(operator.envelope.name, "js-test");

    let account = AccountClaims::decode(ACCOUNT_V2.trim()).unwrap();
    assert!(operator.did_sign(&account.envelope.issuer, &account.envelope.subject));
    assert_eq!((account.nats.limits.jetstream.streams, account.nats.limits.account.connections), (100, -1));
    assert!(account.nats.limits.has_jetstream());
    assert!(account.validate(NOW).is_empty());

    let creds = parse_creds(CREDS_V2).unwrap();
    let user = UserClaims::decode(&creds.token).unwrap();
    assert_eq!(user.envelope.subject, creds.key.public_key());
    assert_eq!(user.account(), account.envelope.subject);
}

#[test]
fn tokens_of_the_first_version_become_such_of_the_second() {
    let operator = OperatorClaims::decode(token_of_file(OPERATOR_V1)).unwrap();
    assert_eq!((operator.nats.signing_keys.len(), operator.envelope.audience.as_str()), (3, "TESTS"));
    assert_eq!((operator.nats.about.kind.as_str(), operator.nats.about.version), ("operator", 1));
    let account = AccountClaims::decode(ACCOUNT_V1.trim()).unwrap();
    assert!(operator.did_sign(&account.envelope.issuer, &account.envelope.subject));
    let activation = ActivationClaims::decode(ACTIVATION_V1.trim()).unwrap();
    assert_eq!((activation.nats.subject.as_str(), activation.nats.kind), ("foo", Kind::Service));

    let (key, user) = (KeyPair::new_account(), KeyPair::new_user());
    let (issuer, subject) = (key.public_key(), user.public_key());
    let old = made_first(
        &key,
        &format!(
            r#"{{"iss":"{issuer}","sub":"{subject}","type":"user","tags":["a"],"issuer_account":"{issuer}",
                "nats":{{"pub":{{"allow":["x"]}},"src":"10.0.0.0/8, 1.2.3.4/32","max":7}}}}"#
        ),
    );
    let user = UserClaims::decode(&old).unwrap();
    assert_eq!(user.nats.about.tags, ["a"]);
    assert_eq!(user.account(), issuer);
    let rights = &user.nats.rights;
    assert_eq!(rights.permissions.publish.allow, ["x"]);
    assert_eq!(rights.limits.networks, ["10.0.0.0/8", "1.2.3.4/32"]);
    assert_eq!(rights.limits.nats.subscriptions, -1);
}

#[test]
fn claims_are_written_as_the_reference_writes_them() {
    for token in [OPERATOR_V2.trim(), ACCOUNT_V2.trim(), &parse_creds(CREDS_V2).unwrap().token] {
        let body = Chunks::of(token).unwrap().body().unwrap();
        let (written, envelope) = match decode(token).unwrap() {
            Claims::Operator(mut claim) => (json(claim.as_mut()), claim.envelope),
            Claims::Account(mut claim) => (json(claim.as_mut()), claim.envelope),
            Claims::User(mut claim) => (json(claim.as_mut()), claim.envelope),
            other => panic!("{other:?}"),
        };
        // Accounts could not say this when the file was made.
        let written = String::from_utf8(written).unwrap().replace(r#""authorization":{},"#, "");
        assert_eq!(written, String::from_utf8(body).unwrap());
        let mut hashed = envelope.clone();
        hashed.id.clear();
        assert_eq!(nkey::to_base32(&Sha512_256::digest(json(&mut hashed))), envelope.id);
    }
}

#[test]
fn what_was_signed_is_read_again() {
    let (operator, account, signer, user) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let mut claim = AccountClaims::unlimited(account.public_key());
    claim.envelope.name = "a <b> & \"c\"".into();
    claim.nats.exports =
        vec![Some(Export { subject: "b.*".into(), kind: Kind::Stream, ..Export::default() })];
    let import = |subject: &str| {
        let account = KeyPair::new_account().public_key();
        Some(Import { subject: subject.into(), account, kind: Kind::Service, ..Import::default() })
    };
    claim.nats.imports = vec![import("z"), import("a")];
    claim.nats.mappings.insert("m".into(), vec![WeightedMapping::new("n", 40)]);
    claim.nats.signing_keys.add(KeyPair::new_account().public_key());
    let mut scope = UserScope::new(signer.public_key());
    scope.template.permissions.publish.allow.push("{{name()}}".into());
    claim.nats.signing_keys.add_scope(scope);
    let mut revocations = Revocations::default();
    revocations.revoke(&user.public_key(), NOW_S);
    claim.nats.revocations = revocations;
    let token = sign(&mut claim, &operator, NOW).unwrap();
    let read = AccountClaims::decode(&token).unwrap();
    assert_eq!(read, claim);
    assert_eq!(read.validate(NOW).to_string(), "");
    assert_eq!((read.envelope.issuer, read.envelope.issued_at), (operator.public_key(), NOW_S));
    let subjects: Vec<_> = read.nats.imports.iter().flatten().map(|import| import.subject.as_str()).collect();
    assert_eq!(subjects, ["a", "z"]);

    let mut claim = UserClaims::new(user.public_key());
    claim.nats.issuer_account = account.public_key();
    let user = UserClaims::decode(&signed(claim, &signer)).unwrap();
    assert_eq!(read.nats.signing_keys.get(&signer.public_key()).unwrap().unwrap().check(&user), Ok(()));
}

#[test]
fn tokens_are_refused_in_the_references_words() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let header = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
    let body = |key: &KeyPair, nats: &str| format!(r#"{{"iss":"{}","nats":{nats}}}"#, key.public_key());
    let said = |nats: &str| made(&account, header, &body(&account, nats));
    let head = |header: &str| made(&account, header, &body(&account, r#"{"type":"user","version":2}"#));
    let good = head(header);
    let (signed, _) = good.rsplit_once('.').unwrap();
    for (token, want) in [
        (
            "a".repeat(TOKEN_BYTES_MAX + 1),
            "token size 1048577 exceeds maximum of 1048576 bytes: token too large",
        ),
        ("".into(), "expected 3 chunks"),
        ("a.b".into(), "expected 3 chunks"),
        ("a.b.c.d".into(), "expected 3 chunks"),
        ("!.b.c".into(), "illegal base64 data at input byte 0"),
        ("..".into(), "unexpected end of JSON input"),
        (head("{\"typ\":\"JWT\"}"), "unexpected \"\" algorithm"),
        (head("{\"typ\":\"JWT\",\"alg\":\"none\"}"), "unexpected \"none\" algorithm"),
        (head("{\"typ\":\"x\",\"alg\":\"ed25519\"}"), "not supported type \"x\""),
        (head("[]"), "json: cannot unmarshal array into Go value of type jwt.Header"),
        (format!("{signed}.!"), "illegal base64 data at input byte 0"),
        (format!("{signed}."), "claim failed V2 signature verification"),
        (format!("{signed}.{}", Base64::Url.encode(&[0; 64])), "claim failed V2 signature verification"),
        (said(r#"{"type":"user","version":3}"#), "JWT was generated by a newer version "),
        (said(r#"{"type":"user"}"#), "library supports version 2 or less - received 0"),
        (said(r#"{"type":"cluster","version":2}"#), "ClusterClaims are not supported"),
        (said(r#"{"type":"server","version":2}"#), "ServerClaims are not supported"),
        (said(r#"{"type":"custom","version":2}"#), "claim failed V1 signature verification"),
        (said(r#"{"type":"account","version":2}"#), "not user claim"),
        (
            made(&user, header, &body(&user, r#"{"type":"user","version":2}"#)),
            "unable to validate expected prefixes - [account]",
        ),
        (
            made(&user, header, &body(&user, r#"{"type":"account","version":2}"#)),
            "unable to validate expected prefixes - [account operator]",
        ),
        (
            made(&operator, header, &body(&operator, r#"{"type":"authorization_request","version":2}"#)),
            "unable to validate expected prefixes - [server]",
        ),
        (
            said(r#"{"type":"user","version":2,"subs":"x"}"#),
            "json: cannot unmarshal string into Go struct field UserClaims.nats.subs of type int64",
        ),
        (said(r#"{"type":"account","version":2,"exports":[{"type":"x"}]}"#), "unknown export type \"x\""),
        (
            said(r#"{"type":"account","version":2,"signing_keys":[{"kind":"x"}]}"#),
            "unknown signing key scope %!q(<nil>)",
        ),
    ] {
        assert_eq!(UserClaims::decode(&token).unwrap_err().to_string(), want, "{}", token.len());
    }
}

#[test]
fn only_who_may_issue_claims_signs_them() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let refusal = |error: JwtError| error.to_string();
    let wrong_issuer = sign(&mut UserClaims::new(user.public_key()), &operator, NOW).map_err(refusal);
    assert_eq!(wrong_issuer.unwrap_err(), "unable to validate expected prefixes - [account]");
    let wrong_subject = sign(&mut UserClaims::new(account.public_key()), &account, NOW).map_err(refusal);
    assert_eq!(wrong_subject.unwrap_err(), "expected subject to be user public key");
    let public = KeyPair::from_public_key(&account.public_key()).unwrap();
    assert!(sign(&mut UserClaims::new(user.public_key()), &public, NOW).is_err());
}

#[test]
fn generic_claims_are_read_by_their_own_decoder() {
    let operator = KeyPair::new_operator();
    let request = token::<Generic>(&operator, &operator, |claim| {
        claim.nats.insert("accounts", vec!["A1", "A2"]);
    });
    let read: GenericClaims = decode_generic(&request).unwrap();
    assert!(read.envelope.is_self_signed());
    assert_eq!(read.nats.get("accounts").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(decode(&request).unwrap_err().to_string(), "claim failed V1 signature verification");
    let first = made_first(
        &operator,
        &format!(r#"{{"iss":"{}","type":"custom","nats":{{"a":1}}}}"#, operator.public_key()),
    );
    assert_eq!(decode_generic(&first).unwrap().nats.get("type").unwrap(), "custom");
    assert!(matches!(decode(&first).unwrap(), Claims::Generic(_)));
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_refused(text in "[a-zA-Z0-9_-]{0,20}\\.?[a-zA-Z0-9_-]{0,20}\\.?[a-zA-Z0-9_-]{0,20}") {
        fuzz_token(text.as_bytes());
    }

    #[test]
    fn any_claims_are_read_or_refused(
        kind in "(operator|account|user|activation|authorization_request|authorization_response|x)",
        version in 0..4,
        field in "(imports|exports|limits|signing_keys|src|times|mappings|pub|trace|service_latency|subs)",
        value in "(\\[(\\{\\}|null|\"a\")?\\]|\\{(\"[a-z]\":[0-9])?\\}|\"[a-z/:.]{0,4}\"|-?[0-9]|null|true)",
    ) {
        let body = format!(r#"{{"nats":{{"type":"{kind}","version":{version},"{field}":{value}}}}}"#);
        fuzz_token(body.as_bytes());
        let first = format!(r#"{{"type":"{kind}","nats":{{"{field}":{value}}}}}"#);
        fuzz_token(first.as_bytes());
    }
}
