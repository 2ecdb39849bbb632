//! What is wrong with accounts, in the reference's words.

use nkeys::KeyPair;

use super::super::fixtures::{NOW, NOW_S, token};
use super::super::{
    Activation, ActivationClaims, Claim, ConnectInfo, Finding, Latency, OperatorClaims, ResponseKind,
    Sampling, Severity, User, UserClaims,
};
use super::super::{AuthorizationRequestClaims, AuthorizationResponseClaims, Kind, TimeRange, UserScope};
use super::*;

/// Checks what blocks the use of claims, in order.
#[track_caller]
fn check<B: Body>(claim: &Claim<B>, want: &[&str]) {
    let findings = claim.validate(NOW);
    let texts: Vec<&str> = findings.iter().map(|finding| finding.text.as_str()).collect();
    assert_eq!(texts, want);
}

#[track_caller]
fn check_account(change: impl FnOnce(&mut Account), want: &[&str]) {
    let mut claim = AccountClaims::unlimited(KeyPair::new_account().public_key());
    change(&mut claim.nats);
    check(&claim, want);
    let blocks = want.iter().any(|text| !text.starts_with("the field to has been deprecated"));
    assert_eq!(claim.validate(NOW).is_blocking(false), blocks);
}

#[track_caller]
fn check_export(change: impl FnOnce(&mut Export), want: &[&str]) {
    let mut export = Export { subject: "a.*".into(), kind: Kind::Service, ..Export::default() };
    change(&mut export);
    check_account(|account| account.exports.push(Some(export)), want);
}

#[track_caller]
fn check_import(change: impl FnOnce(&mut Import), want: &[&str]) {
    let mut import =
        Import { subject: "a.*".into(), account: "A".into(), kind: Kind::Stream, ..Import::default() };
    change(&mut import);
    check_account(|account| account.imports.push(Some(import)), want);
}

#[test]
fn exports_have_a_subject_and_a_kind_and_what_fits_it() {
    check_export(|_| (), &[]);
    check_export(|export| export.kind = Kind::Unknown, &["invalid export type: \"unknown\""]);
    check_export(
        |export| export.response_kind = ResponseKind::Other("x".into()),
        &["invalid response type for service: \"x\""],
    );
    check_export(
        |export| {
            export.kind = Kind::Stream;
            export.response_kind = ResponseKind::Singleton;
            export.allow_trace = true;
            export.latency = Some(Latency { sampling: Sampling::Percent(101), results: "a.>".into() });
            export.response_threshold_nanos = 1;
        },
        &[
            "invalid response type for stream: \"Singleton\"",
            "AllowTrace only valid for service export",
            "latency tracking only permitted for services",
            "sampling percentage needs to be between 1-100",
            "results subject can not contain wildcards",
            "response threshold only valid for services",
        ],
    );
    check_export(|export| export.response_threshold_nanos = -1, &["negative response threshold is invalid"]);
    check_export(|export| export.subject = "".into(), &["subject cannot be empty"]);
    check_export(|export| export.info.description = "x".repeat(8193), &["Description is too long"]);
    check_export(|export| export.info.url = "x".into(), &["error parsing info url: no hostname or scheme"]);
    check_export(
        |export| export.info.url = "http://[".into(),
        &["error parsing info url: parse \"http://[\": missing ']' in host"],
    );
}

#[test]
fn the_token_of_the_importing_account_is_a_wildcard() {
    check_export(|export| export.account_token_position = 2, &[]);
    check_export(
        |export| export.account_token_position = 1,
        &["Account Token Position 1 matches 'a' but must match a * in: a.*"],
    );
    check_export(
        |export| export.account_token_position = 3,
        &["Account Token Position 3 exceeds length of subject 'a.*'"],
    );
    check_export(
        |export| {
            export.subject = "a".into();
            export.account_token_position = 1;
        },
        &["Account Token Position can only be used with wildcard subjects: a"],
    );
}

#[test]
fn exports_of_a_kind_lie_apart() {
    let export = |subject: &str, kind| Some(Export { subject: subject.into(), kind, ..Export::default() });
    check_account(
        |account| {
            account.exports = vec![
                export("a.*", Kind::Stream),
                export("a.b", Kind::Stream),
                export("a.b", Kind::Service),
                export("s", Kind::Service),
                None,
            ];
        },
        &["null export is not allowed", "stream export subject \"a.*\" already exports \"a.b\""],
    );
}

#[test]
fn imports_have_a_subject_an_account_and_what_fits_their_kind() {
    check_import(|_| (), &[]);
    check_import(|import| import.kind = Kind::Unknown, &["invalid import type: \"unknown\""]);
    check_import(|import| import.account.clear(), &["account to import from is not specified"]);
    check_import(
        |import| import.share = true,
        &["sharing information (for latency tracking) is only valid for services: \"a.*\""],
    );
    check_import(
        |import| {
            import.kind = Kind::Service;
            import.allow_trace = true;
        },
        &["AllowTrace only valid for stream import"],
    );
    check_import(
        |import| import.to = "b".into(),
        &["the field to has been deprecated (use LocalSubject instead)"],
    );
    check_import(
        |import| {
            import.to = "b".into();
            import.local_subject = "b.$1".into();
        },
        &["the field to has been deprecated (use LocalSubject instead)", "Local Subject replaces To"],
    );
    check_import(
        |import| import.token = "x".into(),
        &["import \"a.*\" contains an invalid activation token"],
    );
    check_account(|account| account.imports.push(None), &["null import is not allowed"]);
}

#[test]
fn imported_services_of_an_account_do_not_overlap() {
    let import = |subject: &str, local: &str, account: &str| {
        let (subject, local_subject, account) = (subject.into(), local.into(), account.into());
        Some(Import { subject, local_subject, account, kind: Kind::Service, ..Import::default() })
    };
    check_account(
        |account| {
            account.imports = vec![
                import("a.*", "", "A1"),
                import("x.*", "a.$1", "A2"),
                import("b", "a.b", "A1"),
                import("a.*", "", "A1"),
            ];
        },
        &[
            "overlapping subject namespace for \"a.b\" and \"a.*\" in same account \"A1\"",
            "overlapping subject namespace for \"a.*\" and \"a.*\" in same account \"A1\"",
            "overlapping subject namespace for \"a.*\" and \"a.b\" in same account \"A1\"",
            "overlapping subject namespace for \"a.*\" in account \"A1\"",
        ],
    );
}

#[test]
fn an_activation_is_the_exporters_for_this_import() {
    let (exporter, importer, other) =
        (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_account());
    let check = |to: &KeyPair, subject: &str, kind, account: &KeyPair, want: &[&str]| {
        let token = token::<Activation>(&exporter, to, |claim| {
            claim.nats.subject = subject.into();
            claim.nats.kind = kind;
            // Its time is looked at when it is used.
            claim.envelope.expires = NOW_S - 1;
        });
        let (subject, account) = ("a.b".into(), account.public_key());
        let import = Import { subject, account, token, kind: Kind::Stream, ..Import::default() };
        let mut claim = AccountClaims::unlimited(importer.public_key());
        claim.nats.imports.push(Some(import));
        check(&claim, want);
    };
    check(&importer, "a.*", Kind::Stream, &exporter, &[]);
    check(
        &other,
        "b.>",
        Kind::Service,
        &other,
        &[
            "activation token doesn't match account for import \"a.b\"",
            "activation token doesn't match account it is being included in, \"a.b\"",
            "mismatch between token import type service and type of import stream",
            "activation token import subject \"b.>\" doesn't match import \"a.b\"",
        ],
    );
    let mut claim = ActivationClaims::new(importer.public_key());
    claim.nats.issuer_account = "x".into();
    claim.envelope.expires = NOW_S - 1;
    self::check(
        &claim,
        &[
            "claim is expired",
            "invalid import type: \"unknown\"",
            "subject cannot be empty",
            "account_id is not an account public key",
        ],
    );
}

#[test]
fn limits_of_the_operator_are_kept() {
    const IMPORTS: &str = "the account contains more imports than allowed by the operator";
    check_account(
        |account| {
            account.limits.account.imports = 0;
            let (subject, account_key) = ("a".into(), "A".into());
            let import = Import { subject, account: account_key, kind: Kind::Stream, ..Import::default() };
            account.imports.push(Some(import));
        },
        &[IMPORTS, IMPORTS],
    );
    check_account(
        |account| {
            account.limits.account.exports = 1;
            account.limits.account.wildcard_exports = false;
            for subject in ["a.*", "b.>"] {
                let export = Export { subject: subject.into(), kind: Kind::Stream, ..Export::default() };
                account.exports.push(Some(export));
            }
        },
        &[
            "the account contains more exports than allowed by the operator",
            "the account contains wildcard exports that are not allowed by the operator",
            "the account contains wildcard exports that are not allowed by the operator",
        ],
    );
    check_account(
        |account| {
            account.limits.jetstream.streams = 1;
            account.limits.jetstream_tiers.insert(String::new(), JetStreamLimits::default());
        },
        &[
            "JetStream Limits and tiered JetStream Limits are mutually exclusive",
            "Tiered JetStream Limits can not contain a blank \"\" tier name",
        ],
    );
}

#[test]
fn weights_of_mappings_sum_up_to_a_hundred() {
    let clustered = |subject, weight, cluster: &str| {
        let mapping = WeightedMapping::new(subject, weight);
        WeightedMapping { cluster: cluster.into(), ..mapping }
    };
    check_account(
        |account| {
            let mut add = |from: &str, to: Vec<WeightedMapping>| account.mappings.insert(from.into(), to);
            add("a", vec![WeightedMapping::new("b", 50), WeightedMapping::new("c", 50)]);
            add("b", vec![WeightedMapping::new("b", 0), WeightedMapping::new("c", 1)]);
            add("c", vec![WeightedMapping::new("d", 101)]);
            add("d", vec![clustered("e", 60, "x"), clustered("f", 60, "x"), clustered("f", 60, "y")]);
        },
        &[
            "Mapping \"b\" exceeds 100% among all of it's weighted to mappings",
            "Mapping \"c\" has a weight 101 that exceeds 100",
            "Mapping \"c\" exceeds 100% among all of it's weighted to mappings",
            "Mapping \"d\" in cluster \"x\" exceeds 100% among all of it's weighted to mappings",
        ],
    );
}

#[test]
fn keys_are_of_the_kind_that_is_needed() {
    check_account(
        |account| {
            account.authorization.allowed_accounts = vec!["*".into(), "x".into()];
            account.authorization.xkey = "x".into();
            account.signing_keys.add("x");
            account.signing_keys.add_scope(UserScope::new("y"));
        },
        &[
            "External authorization cannot have accounts without users specified",
            "AllowedAccounts can only be a list of accounts or \"*\"",
            "Account \"x\" is not a valid account public key",
            "XKey \"x\" is not a valid public xkey",
            "\"x\" is not a valid account signing key",
            "y is not an account public key",
        ],
    );
    check_account(
        |account| account.authorization.auth_users = vec!["u".into()],
        &["AuthUser \"u\" is not a valid user public key"],
    );
}

#[test]
fn traces_go_to_a_subject_that_can_be_published_to() {
    let trace =
        |destination: &str, sampling| Some(MessageTrace { destination: destination.into(), sampling });
    check_account(|account| account.trace = trace("a", 0), &[]);
    check_account(
        |account| account.trace = trace("a.>", 101),
        &[
            "the account Trace.Destination subject \"a.>\" is not a valid publish subject",
            "the account Trace.Sampling value '101' is not valid, should be in the range [1..100]",
        ],
    );
    check_account(
        |account| account.trace = trace("", 1),
        &["the account Trace.Destination subject cannot be empty"],
    );
    check_account(|account| account.cluster_traffic = "x".into(), &["unknown cluster traffic option: \"x\""]);
}

#[test]
fn a_self_signed_account_should_not_limit_itself() {
    let key = KeyPair::new_account();
    let mut claim = AccountClaims::unlimited(key.public_key());
    claim.envelope.issuer = key.public_key();
    let warning = Finding {
        text: "self-signed account JWTs shouldn't contain operator limits".into(),
        severity: Severity::Warning,
    };
    assert_eq!(claim.validate(NOW).iter().collect::<Vec<_>>(), [&warning]);
}

#[test]
fn times_of_claims_are_told_apart_from_what_is_wrong_with_them() {
    for (not_before, expires, want) in [
        (0, 0, ""),
        (NOW_S, NOW_S, ""),
        (NOW_S + 1, 0, "claim is not yet valid"),
        (0, NOW_S - 1, "claim is expired"),
    ] {
        let mut claim = UserClaims::new("U");
        (claim.envelope.not_before, claim.envelope.expires) = (not_before, expires);
        let findings = claim.validate(NOW);
        assert_eq!(findings.to_string(), want);
        assert_eq!((findings.is_blocking(true), findings.is_blocking(false)), (!want.is_empty(), false));
    }
}

#[test]
fn users_have_subjects_networks_and_times() {
    let mut claim = UserClaims::new("U");
    let User { rights, issuer_account, .. } = &mut claim.nats;
    rights.permissions.publish.allow = vec!["a b".into(), "a b c".into(), ".".into()];
    rights.permissions.subscribe.deny = vec!["a q".into(), "a ".into()];
    rights.limits.networks = vec!["1.2.3.4".into()];
    rights.limits.times = vec![TimeRange { start: "x".into(), end: "01:00:00".into() }];
    *issuer_account = "x".into();
    check(
        &claim,
        &[
            "subject cannot be empty",
            "Permission Subject \"a b\" is not allowed to contain queue",
            "Permission Subject \"a b c\" contains too many spaces",
            "subject \".\" cannot start or end with a `.`",
            "invalid cidr \"1.2.3.4\" in user src limits",
            "start in time range is invalid \"x\"",
            "account_id is not an account public key",
        ],
    );
}

#[test]
fn operators_have_keys_urls_and_versions() {
    let mut claim = OperatorClaims::new("O");
    claim.nats.signing_keys = vec!["x".into()];
    claim.nats.system_account = "y".into();
    claim.nats.account_server_url = "host".into();
    claim.nats.operator_service_urls =
        ["nats://a:4222", "http://a", "nats://u@a", "tls://a/b", ""].map(str::to_owned).to_vec();
    claim.nats.assert_server_version = "1.2".into();
    check(
        &claim,
        &[
            "account server url \"host\" requires a protocol",
            "operator service url \"http://a\" - protocol not supported (only 'nats', 'tls', 'ws', 'wss' only)",
            "operator service url \"nats://u@a\" - credentials are not supported",
            "operator service url \"tls://a/b\" - paths are not supported",
            "x is not an operator public key",
            "y is not an account public key",
            "assert server version error: asserted server version must be of the form <major>.<minor>.<update>",
        ],
    );
}

#[test]
fn authorization_is_asked_and_answered_by_the_right_keys() {
    check(&AuthorizationRequestClaims::new("A"), &["User nkey is required"]);
    let mut request = AuthorizationRequestClaims::new("A");
    request.nats.user_nkey = "x".into();
    request.nats.connect = ConnectInfo { password: "secret".into(), ..ConnectInfo::default() };
    check(&request, &["User nkey \"x\" is not a valid user public key"]);
    assert!(!format!("{request:?}").contains("secret"));

    let mut response = AuthorizationResponseClaims::new("A");
    response.nats.issuer_account = "x".into();
    check(
        &response,
        &[
            "Subject must be a user public key",
            "Audience must be a server public key",
            "Error or Jwt is required",
            "issuer_account is not an account public key",
        ],
    );
    let mut response = AuthorizationResponseClaims::new(KeyPair::new_user().public_key());
    response.envelope.audience = KeyPair::new_server().public_key();
    (response.nats.jwt, response.nats.error) = ("a".into(), "b".into());
    check(&response, &["Only Error or Jwt can be set"]);
}
