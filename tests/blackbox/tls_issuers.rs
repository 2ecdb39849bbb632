//! Roots and intermediates that are not quite what authorities are: whom they may vouch for.

use rcgen::ExtendedKeyUsagePurpose;

use crate::harness::pki::{Authority, Certified, params};
use crate::harness::secure::Offer;
use crate::harness::trial::trials;
use crate::tls::{Twins, is_let_in};

trials! {
    Reference => [
        nobody_is_vouched_for_by_an_unfit_issuer,
    ],
}

fn nobody_is_vouched_for_by_an_unfit_issuer() {
    let path_length = |most| rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(most));
    let digital_signature = || vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let leaf = Authority::altered("no authority", |params| params.is_ca = rcgen::IsCa::ExplicitNoCa);
    let expired = Authority::altered("expired", |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let later = Authority::altered("later", |params| params.not_before = rcgen::date_time_ymd(2100, 1, 1));
    let for_servers = Authority::altered("for servers", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let for_all = Authority::altered("for all", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    });
    let signs_nothing = Authority::altered("signs nothing", |params| params.key_usages = digital_signature());
    let signs_silently = Authority::altered("signs silently", |params| params.key_usages = Vec::new());
    let last = Authority::altered("last", |params| params.is_ca = path_length(0));
    let one_more = Authority::altered("one more", |params| params.is_ca = path_length(1));
    let roots =
        [&leaf, &expired, &later, &for_servers, &for_all, &signs_nothing, &signs_silently, &last, &one_more];
    let names = [
        "no authority",
        "expired",
        "later",
        "for servers",
        "for all",
        "signs nothing",
        "signs silently",
        "last",
        "one more",
    ];
    let (twins, authority) = Twins::trusting("ca_file: '$DIR/ca.pem', verify: true", &roots);
    // Each root signs a client itself and behind an intermediate.
    let mut kinds: Vec<(String, Certified)> = Vec::new();
    let mut signed_by = |what: &str, issuer: &Authority, behind: &[&Authority]| {
        kinds.push((what.to_owned(), issuer.sign(params("admin", []), behind)));
    };
    for (name, root) in names.into_iter().zip(roots) {
        let between = root.intermediate("between");
        signed_by(name, root, &[]);
        signed_by(&format!("behind {name}"), &between, &[&between]);
    }
    for (what, between) in [
        ("signs nothing", authority.intermediate_altered("b1", |b| b.key_usages = digital_signature())),
        ("signs silently", authority.intermediate_altered("b2", |b| b.key_usages = Vec::new())),
        (
            "for servers",
            authority.intermediate_altered("b3", |b| {
                b.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
        ),
        (
            "for all",
            authority
                .intermediate_altered("b4", |b| b.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
        ),
        ("expired", authority.intermediate_altered("b5", |b| b.not_after = rcgen::date_time_ymd(2021, 1, 1))),
    ] {
        signed_by(&format!("an intermediate that is {what}"), &between, &[&between]);
    }
    let upper = authority.intermediate_altered("upper", |upper| upper.is_ca = path_length(0));
    let lower = upper.intermediate("lower");
    signed_by("an intermediate below the last", &lower, &[&lower, &upper]);
    for (what, certified) in &kinds {
        twins.compare(what, |server| is_let_in(server, Offer::new().certificate(certified)));
    }
    // What is itself among the roots needs nobody.
    twins.compare("a root", |server| is_let_in(server, Offer::new().certificate(&leaf.certified())));
}
