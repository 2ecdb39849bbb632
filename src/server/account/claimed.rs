//! An account by its claims: what they describe, and what they say of its users (operator mode).

use std::time::Duration;

use super::trust::Trust;
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{
    self, AccountJetstream, AccountLimits, ClusterTraffic, ExportKind, ImportKind, LatencySampling,
    MappingDestination, ResponsePermission, ResponseType, ServiceLatency, SubjectPermission,
};
use crate::server::jwt::{self, AccountClaims, ResponseKind, Sampling, UserScope};
use crate::server::protocol::subject::is_valid_publish;

/// The claims that an account in use was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    claims: AccountClaims,
    token: Box<str>,
    is_strict: bool,
    /// They were deleted where they are kept: nobody can be in the account any more.
    is_deleted: bool,
}

impl Claimed {
    /// Claims that were verified.
    #[must_use]
    pub fn new(claims: AccountClaims, token: &str, trust: &Trust) -> Self {
        let is_strict = trust.is_strict(&claims.envelope.issuer);
        Self { claims, token: token.into(), is_strict, is_deleted: false }
    }

    /// The same, once they were deleted where they are kept.
    #[must_use]
    pub(super) fn deleted(&self) -> Self {
        Self { is_deleted: true, ..self.clone() }
    }

    /// Whether they were deleted where they are kept.
    #[must_use]
    pub const fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// What was claimed.
    #[must_use]
    pub const fn claims(&self) -> &AccountClaims {
        &self.claims
    }

    /// The same as it came.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The account as the log names it: its key, and its name if it has one.
    #[must_use]
    pub fn label(&self) -> String {
        let envelope = &self.claims.envelope;
        match envelope.name.as_str() {
            "" => envelope.subject.clone(),
            name => format!("{}/{name}", envelope.subject),
        }
    }

    /// The scope of a key that signs its users; `None` for a key that does not.
    #[must_use]
    pub fn signer(&self, issuer: &str) -> Option<Option<&UserScope>> {
        let own = (issuer == self.claims.envelope.subject && !self.is_strict).then_some(None);
        own.or_else(|| self.claims.nats.signing_keys.get(issuer))
    }

    /// When it is over, if ever.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.claims.envelope.ends()
    }

    /// Whether it is over, by its time or because its claims were deleted.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.is_deleted || self.expires().is_some_and(|until| until <= now)
    }

    /// What users may do whose claims say nothing about it.
    #[must_use]
    pub fn default_permissions(&self) -> Option<options::Permissions> {
        permissions(&self.claims.nats.default_permissions)
    }
}

/// Permissions as options have them; `None` for none.
#[must_use]
pub fn permissions(claimed: &jwt::Permissions) -> Option<options::Permissions> {
    let subjects = |permission: &jwt::Permission| {
        (!permission.is_unset()).then(|| SubjectPermission {
            allow: Some(permission.allow.clone()).filter(|allow| !allow.is_empty()),
            deny: permission.deny.clone(),
        })
    };
    let mut out = options::Permissions {
        publish: subjects(&claimed.publish),
        subscribe: subjects(&claimed.subscribe),
        allow_responses: claimed.responses.map(responses),
    };
    if out.allow_responses.is_some() {
        // Who may answer publishes nothing else, unless that is said.
        out.publish.get_or_insert_default().allow.get_or_insert_default();
    }
    (out != options::Permissions::default()).then_some(out)
}

fn responses(claimed: jwt::Responses) -> ResponsePermission {
    let default = ResponsePermission::default();
    ResponsePermission {
        max_messages: if claimed.max == 0 { default.max_messages } else { claimed.max },
        expires: match claimed.ttl_nanos {
            0 => default.expires,
            nanos => u64::try_from(nanos).ok().map(Duration::from_nanos),
        },
    }
}

/// A limit as options have it; -1 is none.
fn limit(claimed: i64) -> Option<i32> {
    (claimed != jwt::NO_LIMIT).then(|| i32::try_from(claimed).unwrap_or(i32::MAX))
}

/// The account that claims describe, but for what it imports.
#[must_use]
pub(super) fn described(claims: &AccountClaims) -> options::Account {
    let jwt::Account { limits, exports, default_permissions, trace, cluster_traffic, .. } = &claims.nats;
    options::Account {
        name: claims.envelope.subject.clone(),
        nkey: Some(claims.envelope.subject.clone()),
        limits: AccountLimits {
            max_connections: limit(limits.account.connections),
            max_subscriptions: limit(limits.nats.subscriptions),
            max_payload: limit(limits.nats.payload),
            max_leafnodes: limit(limits.account.leaf_connections),
        },
        jetstream: limits.has_jetstream().then(|| jetstream(&limits.jetstream)),
        cluster_traffic: match cluster_traffic.as_str() {
            "owner" => ClusterTraffic::Owner,
            _ => ClusterTraffic::System,
        },
        exports: exports.iter().flatten().map(export).collect(),
        imports: Vec::new(),
        mappings: described_mappings(claims),
        default_permissions: permissions(default_permissions),
        msg_trace: trace.as_ref().and_then(message_trace),
    }
}

fn jetstream(claimed: &jwt::JetStreamLimits) -> AccountJetstream {
    let positive = |value: i64| if value > 0 { value } else { jwt::NO_LIMIT };
    AccountJetstream {
        max_memory: claimed.memory_storage,
        max_store: claimed.disk_storage,
        max_streams: claimed.streams,
        max_consumers: claimed.consumers,
        max_ack_pending: positive(claimed.max_ack_pending),
        memory_max_stream_bytes: positive(claimed.memory_max_stream_bytes),
        store_max_stream_bytes: positive(claimed.disk_max_stream_bytes),
        max_bytes_required: claimed.max_bytes_required,
    }
}

fn export(claimed: &jwt::Export) -> options::Export {
    let response_type = match claimed.response_kind {
        ResponseKind::Stream => ResponseType::Stream,
        ResponseKind::Chunked => ResponseType::Chunked,
        _ => ResponseType::Singleton,
    };
    let threshold = u64::try_from(claimed.response_threshold_nanos).ok().filter(|&nanos| nanos > 0);
    let latency = claimed.latency.as_ref().map(|latency| ServiceLatency {
        subject: latency.results.to_string(),
        sampling: match latency.sampling {
            Sampling::Headers => LatencySampling::Headers,
            Sampling::Percent(percent) => {
                LatencySampling::Percent(u8::try_from(percent.clamp(1, 100)).unwrap_or(100))
            }
        },
    });
    // Only an answer of one message can be measured, and the figures need a subject to go to.
    let is_measurable = |latency: &ServiceLatency| {
        response_type == ResponseType::Singleton && is_valid_publish(latency.subject.as_bytes())
    };
    options::Export {
        subject: claimed.subject.to_string(),
        accounts: claimed.token_required.then(Vec::new),
        account_token_position: u32::try_from(claimed.account_token_position).unwrap_or(u32::MAX),
        kind: match claimed.kind {
            jwt::Kind::Service => ExportKind::Service {
                response_type,
                threshold: threshold.map(Duration::from_nanos),
                latency: latency.filter(is_measurable),
                allow_trace: claimed.allow_trace,
            },
            jwt::Kind::Stream | jwt::Kind::Unknown => ExportKind::Stream,
        },
    }
}

/// An import as options have it.
#[must_use]
pub(super) fn import(claimed: &jwt::Import) -> options::Import {
    let jwt::Import { subject, to, local_subject, account, .. } = claimed;
    let filled = |subject: &jwt::Subject| Some(subject.to_string()).filter(|text| !text.is_empty());
    let local = filled(local_subject);
    let (subject, kind) = match claimed.kind {
        jwt::Kind::Service => {
            // The older way says the subject over there instead of the one here.
            let remote = filled(to).filter(|_| local.is_none());
            let to = local.or_else(|| remote.as_ref().and(filled(subject)));
            let subject = remote.unwrap_or_else(|| subject.to_string());
            (subject, ImportKind::Service { to, share: claimed.share })
        }
        jwt::Kind::Stream | jwt::Kind::Unknown => {
            let prefix = filled(to).filter(|_| local.is_none());
            let allow_trace = claimed.allow_trace;
            (subject.to_string(), ImportKind::Stream { prefix, to: local, allow_trace })
        }
    };
    options::Import { account: account.clone(), subject, kind }
}

/// The mappings that claims describe; whether they are any is not looked at.
#[must_use]
pub fn described_mappings(claims: &AccountClaims) -> Vec<options::Mapping> {
    claims.nats.mappings.iter().map(|(from, to)| mapping(from, to)).collect()
}

fn mapping(from: &str, to: &[jwt::WeightedMapping]) -> options::Mapping {
    let destination = |mapping: &jwt::WeightedMapping| MappingDestination {
        subject: mapping.subject.to_string(),
        weight: mapping.weight(),
        cluster: Some(mapping.cluster.clone()).filter(|cluster| !cluster.is_empty()),
    };
    options::Mapping { source: from.to_owned(), destinations: to.iter().map(destination).collect() }
}

/// Where traces go; nowhere where that cannot be published to.
fn message_trace(claimed: &jwt::MessageTrace) -> Option<options::MessageTrace> {
    let dest = claimed.destination.to_string();
    let sampling = u8::try_from(claimed.sampling()).ok().filter(|percent| (1..=100).contains(percent));
    is_valid_publish(dest.as_bytes())
        .then(|| options::MessageTrace { dest, sampling: sampling.unwrap_or(100) })
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::import as convert;
    use super::*;
    use crate::server::jwt::{Kind, Permission, Responses};

    #[test]
    fn permissions_are_those_of_the_claims() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(permissions(&jwt::Permissions::default()), None);
        let claimed = jwt::Permissions {
            subscribe: Permission { allow: Vec::new(), deny: texts(&["a"]) },
            responses: Some(Responses { max: 0, ttl_nanos: -1 }),
            ..jwt::Permissions::default()
        };
        let want = options::Permissions {
            publish: Some(SubjectPermission { allow: Some(Vec::new()), deny: Vec::new() }),
            subscribe: Some(SubjectPermission { allow: None, deny: texts(&["a"]) }),
            allow_responses: Some(ResponsePermission { max_messages: 1, expires: None }),
        };
        assert_eq!(permissions(&claimed), Some(want));
    }

    #[test]
    fn limits_of_none_and_of_nothing_are_told_apart() {
        let mut claims = AccountClaims::unlimited("A");
        assert_eq!(described(&claims).limits, AccountLimits::default());
        claims.nats.limits.account.connections = 0;
        claims.nats.limits.nats.payload = i64::MAX;
        let limits = described(&claims).limits;
        assert_eq!((limits.max_connections, limits.max_payload), (Some(0), Some(i32::MAX)));
    }

    #[test]
    fn imports_say_what_a_subject_is_called_here_in_either_way() {
        let import = |kind: Kind, to: &str, local: &str| {
            let (to, local_subject) = (to.into(), local.into());
            convert(&jwt::Import {
                subject: "a.*".into(),
                account: "B".into(),
                to,
                local_subject,
                kind,
                ..Default::default()
            })
        };
        let text = |text: &str| Some(text.to_owned());
        let service = |to: Option<String>| ImportKind::Service { to, share: false };
        let stream = |prefix, to| ImportKind::Stream { prefix, to, allow_trace: false };
        for (kind, to, local, subject, want) in [
            (Kind::Service, "", "", "a.*", service(None)),
            (Kind::Service, "r.*", "", "r.*", service(text("a.*"))),
            (Kind::Service, "", "l.$1", "a.*", service(text("l.$1"))),
            (Kind::Stream, "", "", "a.*", stream(None, None)),
            (Kind::Stream, "p", "", "a.*", stream(text("p"), None)),
            (Kind::Stream, "", "l.$1", "a.*", stream(None, text("l.$1"))),
        ] {
            let got = import(kind, to, local);
            assert_eq!((got.subject.as_str(), got.kind), (subject, want), "{kind:?} {to} {local}");
        }
    }

    #[test]
    fn a_strict_operator_has_signing_keys_sign_users() {
        let [account, signer, other] = [(); 3].map(|()| KeyPair::new_account());
        let mut claims = AccountClaims::unlimited(account.public_key());
        claims.nats.signing_keys.add(signer.public_key());
        for is_strict in [false, true] {
            let claimed = Claimed { claims: claims.clone(), token: "".into(), is_strict, is_deleted: false };
            for (key, want) in [(&account, !is_strict), (&signer, true), (&other, false)] {
                assert_eq!(claimed.signer(&key.public_key()).is_some(), want, "{is_strict}");
            }
        }
    }
}
