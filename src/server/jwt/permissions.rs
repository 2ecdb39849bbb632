//! What claims let a user do: subjects, answers, limits.

use crate::server::protocol::json::Value;

use super::document::{Document, Each, Field, Mistakes, Place, When};
use super::findings::Findings;
use super::networks;
use super::subject::validate_text;
use super::times::{self, TimeRange};

/// Subjects allowed and denied. Nothing allowed means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permission {
    /// Subjects allowed.
    pub allow: Vec<String>,
    /// Subjects denied.
    pub deny: Vec<String>,
}

impl Permission {
    /// Says nothing.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    fn validate(&self, queues: bool, findings: &mut Findings) {
        for text in self.allow.iter().chain(&self.deny) {
            let parts: Vec<&str> = text.split(' ').collect();
            match parts.as_slice() {
                [subject] => validate_text(subject, findings),
                [subject, queue] => {
                    validate_text(subject, findings);
                    validate_text(queue, findings);
                    if !queues {
                        findings
                            .error(format!("Permission Subject \"{text}\" is not allowed to contain queue"));
                    }
                }
                _ => findings.error(format!("Permission Subject \"{text}\" contains too many spaces")),
            }
        }
    }
}

impl Document for Permission {
    const TYPE: &'static str = "jwt.Permission";

    fn fields(&mut self, each: Each<'_>) {
        each("allow", When::Any, &mut self.allow);
        each("deny", When::Any, &mut self.deny);
    }
}

/// How many answers to a request may be published on its reply subject, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Responses {
    /// Messages; 0 for the server's default.
    pub max: i64,
    /// Nanoseconds; 0 for the server's default.
    pub ttl_nanos: i64,
}

impl Document for Responses {
    const TYPE: &'static str = "jwt.ResponsePermission";

    fn fields(&mut self, each: Each<'_>) {
        each("max", When::Always, &mut Int(&mut self.max));
        each("ttl", When::Always, &mut Nanos(&mut self.ttl_nanos));
    }
}

/// A number that the reference keeps as `int`.
pub(super) struct Int<'n>(pub(super) &'n mut i64);

impl Field for Int<'_> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        super::document::read_number(self.0, "int", value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn is_empty(&self) -> bool {
        *self.0 == 0
    }
}

/// A span of nanoseconds.
pub(super) struct Nanos<'n>(pub(super) &'n mut i64);

impl Field for Nanos<'_> {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        super::document::read_number(self.0, "time.Duration", value, at, mistakes);
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn is_empty(&self) -> bool {
        *self.0 == 0
    }
}

/// What may be published, subscribed to, and answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Publishing.
    pub publish: Permission,
    /// Subscribing; an entry may be `subject queue`.
    pub subscribe: Permission,
    /// Answers to requests.
    pub responses: Option<Responses>,
}

impl Permissions {
    /// Says nothing.
    #[must_use]
    pub const fn is_unset(&self) -> bool {
        self.publish.is_unset() && self.subscribe.is_unset() && self.responses.is_none()
    }

    pub(super) fn validate(&self, findings: &mut Findings) {
        self.subscribe.validate(true, findings);
        self.publish.validate(false, findings);
    }
}

impl Document for Permissions {
    const TYPE: &'static str = "jwt.Permissions";

    fn fields(&mut self, each: Each<'_>) {
        each("pub", When::Always, &mut self.publish);
        each("sub", When::Always, &mut self.subscribe);
        each("resp", When::Any, &mut self.responses);
    }
}

/// Limits of one connection; -1 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NatsLimits {
    /// Subscriptions.
    pub subscriptions: i64,
    /// Bytes altogether; nobody counts them.
    pub data: i64,
    /// Bytes of one message.
    pub payload: i64,
}

impl NatsLimits {
    /// No limits.
    pub const NONE: Self =
        Self { subscriptions: super::NO_LIMIT, data: super::NO_LIMIT, payload: super::NO_LIMIT };
}

impl Document for NatsLimits {
    const TYPE: &'static str = "jwt.NatsLimits";

    fn fields(&mut self, each: Each<'_>) {
        each("subs", When::Any, &mut self.subscriptions);
        each("data", When::Any, &mut self.data);
        each("payload", When::Any, &mut self.payload);
    }
}

/// From where and when a user may connect, and its limits then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserLimits {
    /// Networks; none means from everywhere.
    pub networks: Vec<String>,
    /// Times of day; none means at any time.
    pub times: Vec<TimeRange>,
    /// The zone of these times; the server's where it is empty.
    pub zone: String,
    /// Limits of the connection.
    pub nats: NatsLimits,
}

impl UserLimits {
    pub(super) fn validate(&self, findings: &mut Findings) {
        networks::validate(&self.networks, findings);
        times::validate(&self.times, &self.zone, findings);
    }
}

impl Document for UserLimits {
    const TYPE: &'static str = "jwt.Limits";

    fn fields(&mut self, each: Each<'_>) {
        each("src", When::Any, &mut networks::List(&mut self.networks));
        each("times", When::Any, &mut self.times);
        each("times_location", When::Any, &mut self.zone);
        self.nats.fields(each);
    }
}
