//! Policies along a path (RFC 5280, 6.1, as RFC 9618 has it): whether certificates that must be issued
//! under a policy are. Which policy it is, nobody asks here: any will do.

use std::collections::BTreeSet;

use x509_parser::extensions::{ParsedExtension, PolicyConstraints};

use super::certificate::Certificate;

/// `anyPolicy`: 2.5.29.32.0.
const ANY: &[u8] = &[0x55, 0x1d, 0x20, 0x00];

/// Whether the policies of a path, a client's certificate first, are in order.
pub(super) fn check_policies(path: &[&Certificate<'_>]) -> bool {
    let Some((_, below_root)) = path.split_last() else { return true };
    // Certificates until a policy must be named, may be mapped no more, and `anyPolicy` stands for nothing.
    let mut explicit = path.len();
    let mut mapping = path.len();
    let mut any = path.len();
    // What the certificates so far may have been issued under; `None` once one names no policy.
    let mut valid = Some(BTreeSet::from([ANY.to_vec()]));
    for (at, certificate) in below_root.iter().enumerate().rev() {
        let is_last = at == 0;
        let is_self_issued = certificate.subject() == certificate.issuer();
        let named = policies(certificate);
        if named.is_empty() {
            valid = None;
        }
        if explicit == 0 && valid.is_none() {
            return false;
        }
        if let Some(expected) = &mut valid {
            let takes_any = named.contains(ANY) && (any > 0 || !is_last && is_self_issued);
            let is_expected = |policy: &&[u8]| expected.contains(*policy) || expected.contains(ANY);
            let mut next: BTreeSet<Vec<u8>> = named
                .iter()
                .filter(|policy| **policy != ANY)
                .filter(|policy| is_expected(policy))
                .map(|policy| policy.to_vec())
                .collect();
            if takes_any {
                next.append(expected);
            }
            if !is_last && !map(&mut next, certificate, mapping > 0) {
                return false;
            }
            *expected = next;
        }
        if is_last {
            break;
        }
        if !is_self_issued {
            explicit = explicit.saturating_sub(1);
            mapping = mapping.saturating_sub(1);
            any = any.saturating_sub(1);
        }
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        if let Some(constraints) = constraints(certificate) {
            explicit = constraints.require_explicit_policy.map_or(explicit, |most| explicit.min(count(most)));
            mapping = constraints.inhibit_policy_mapping.map_or(mapping, |most| mapping.min(count(most)));
        }
        let inhibits = certificate.extension(|extension| match extension {
            ParsedExtension::InhibitAnyPolicy(inhibits) => Some(inhibits.skip_certs),
            _ => None,
        });
        any = inhibits.map_or(any, |most| any.min(count(most)));
    }
    let demands = below_root.first().and_then(|last| constraints(last)?.require_explicit_policy);
    let is_demanded = explicit <= 1 || demands == Some(0);
    !is_demanded || valid.is_some_and(|valid| !valid.is_empty())
}

fn policies<'s>(certificate: &'s Certificate<'_>) -> BTreeSet<&'s [u8]> {
    let named = certificate.extension(|extension| match extension {
        ParsedExtension::CertificatePolicies(policies) => {
            Some(policies.iter().map(|policy| policy.policy_id.as_bytes()).collect())
        }
        _ => None,
    });
    named.unwrap_or_default()
}

fn constraints<'s>(certificate: &'s Certificate<'_>) -> Option<&'s PolicyConstraints> {
    certificate.extension(|extension| match extension {
        ParsedExtension::PolicyConstraints(constraints) => Some(constraints),
        _ => None,
    })
}

/// Puts others in the place of policies that a certificate maps; false where it may not map these.
fn map(policies: &mut BTreeSet<Vec<u8>>, certificate: &Certificate<'_>, may_map: bool) -> bool {
    let mappings = certificate.extension(|extension| match extension {
        ParsedExtension::PolicyMappings(mappings) => Some(mappings.mappings.as_slice()),
        _ => None,
    });
    let pairs: Vec<(&[u8], &[u8])> = mappings
        .unwrap_or_default()
        .iter()
        .map(|mapping| (mapping.issuer_domain_policy.as_bytes(), mapping.subject_domain_policy.as_bytes()))
        .collect();
    if may_map && pairs.iter().any(|(from, to)| *from == ANY || *to == ANY) {
        return false;
    }
    let known = policies.clone();
    policies.retain(|policy| pairs.iter().all(|(from, _)| policy != from));
    if may_map {
        let stands = |from: &[u8]| known.contains(from) || known.contains(ANY);
        policies.extend(pairs.iter().filter(|(from, _)| stands(from)).map(|(_, to)| to.to_vec()));
    }
    true
}
