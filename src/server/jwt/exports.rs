//! What an account offers to others.

use crate::server::base::quote::quote;
use crate::server::base::url::Url;
use crate::server::protocol::json::Value;

use super::document::{Document, Each, Field, Mistakes, Named, Place, When};
use super::findings::Findings;
use super::permissions::{Int, Nanos};
use super::revocation::Revocations;
use super::subject::{Kind, Subject};

/// Longest description and longest URL of it, in bytes.
const INFO_BYTES_MAX: usize = 8 * 1024;

/// How a service answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ResponseKind {
    /// Not said: one message.
    #[default]
    Unset,
    /// One message.
    Singleton,
    /// Any number of messages.
    Stream,
    /// One answer in several messages.
    Chunked,
    /// Nothing that is known.
    Other(String),
}

impl ResponseKind {
    fn as_str(&self) -> &str {
        match self {
            Self::Unset => "",
            Self::Singleton => "Singleton",
            Self::Stream => "Stream",
            Self::Chunked => "Chunked",
            Self::Other(text) => text,
        }
    }
}

impl Field for ResponseKind {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        let mut text = self.as_str().to_owned();
        super::document::read_text(&mut text, "jwt.ResponseType", value, at, mistakes);
        *self = match text.as_str() {
            "" => Self::Unset,
            "Singleton" => Self::Singleton,
            "Stream" => Self::Stream,
            "Chunked" => Self::Chunked,
            _ => Self::Other(text),
        };
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.as_str().to_owned().write(out);
    }

    fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }
}

/// Which requests are measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Those whose headers ask for it.
    #[default]
    Headers,
    /// So many of a hundred.
    Percent(i64),
}

impl Field for Sampling {
    fn read(&mut self, value: Value<'_>, at: &Place<'_>, mistakes: &mut Mistakes) {
        if value.raw().eq_ignore_ascii_case(br#""headers""#) {
            *self = Self::Headers;
            return;
        }
        let mut percent = 0;
        Int(&mut percent).read(value, at, mistakes);
        *self = if percent == 0 { Self::Headers } else { Self::Percent(percent) };
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Headers => out.extend_from_slice(br#""headers""#),
            Self::Percent(percent) => percent.write(out),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::Headers
    }
}

/// How the latency of a service is measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    /// Which requests.
    pub sampling: Sampling,
    /// Where the figures are published.
    pub results: Subject,
}

impl Latency {
    fn validate(&self, findings: &mut Findings) {
        if let Sampling::Percent(percent) = self.sampling
            && !(1..=100).contains(&percent)
        {
            findings.error("sampling percentage needs to be between 1-100");
        }
        self.results.validate(findings);
        if self.results.has_wildcards() {
            findings.error("results subject can not contain wildcards");
        }
    }
}

impl Document for Latency {
    const TYPE: &'static str = "jwt.ServiceLatency";

    fn fields(&mut self, each: Each<'_>) {
        each("sampling", When::Always, &mut self.sampling);
        each("results", When::Always, &mut self.results);
    }
}

/// A description for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// What it is.
    pub description: String,
    /// Where more is told.
    pub url: String,
}

impl Info {
    pub(super) fn validate(&self, findings: &mut Findings) {
        if self.description.len() > INFO_BYTES_MAX {
            findings.error("Description is too long");
        }
        if self.url.is_empty() {
            return;
        }
        if self.url.len() > INFO_BYTES_MAX {
            findings.error("Info URL is too long");
        }
        match Url::parse(&self.url) {
            Ok(url) if url.hostname().is_empty() || url.scheme.is_empty() => {
                findings.error("error parsing info url: no hostname or scheme");
            }
            Ok(_) => {}
            Err(error) => findings.error(format!("error parsing info url: {error}")),
        }
    }
}

impl Document for Info {
    const TYPE: &'static str = "jwt.Info";

    fn fields(&mut self, each: Each<'_>) {
        each("description", When::Any, &mut self.description);
        each("info_url", When::Any, &mut self.url);
    }
}

/// One thing that an account offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// A name for people.
    pub name: String,
    /// The subject in the exporting account.
    pub subject: Subject,
    /// Stream or service.
    pub kind: Kind,
    /// Who imports it must show an activation.
    pub token_required: bool,
    /// Activations that are void.
    pub revocations: Revocations,
    /// How the service answers.
    pub response_kind: ResponseKind,
    /// How long an answer may take; 0 for the server's default.
    pub response_threshold_nanos: i64,
    /// How its latency is measured.
    pub latency: Option<Latency>,
    /// Which token must be the importing account, counted from 1; 0 for none.
    pub account_token_position: u64,
    /// It is shown to others.
    pub advertise: bool,
    /// Traces of messages continue in this account.
    pub allow_trace: bool,
    /// For people.
    pub info: Info,
}

impl Export {
    fn validate(&self, findings: &mut Findings) {
        let is_service = self.kind == Kind::Service;
        match self.kind {
            Kind::Unknown => findings.error("invalid export type: \"unknown\""),
            Kind::Service => {
                if let ResponseKind::Other(kind) = &self.response_kind {
                    findings.error(format!("invalid response type for service: {}", quote(kind)));
                }
            }
            Kind::Stream => {
                if self.response_kind != ResponseKind::Unset {
                    let kind = quote(self.response_kind.as_str());
                    findings.error(format!("invalid response type for stream: {kind}"));
                }
                if self.allow_trace {
                    findings.error("AllowTrace only valid for service export");
                }
            }
        }
        if let Some(latency) = &self.latency {
            if !is_service {
                findings.error("latency tracking only permitted for services");
            }
            latency.validate(findings);
        }
        if self.response_threshold_nanos < 0 {
            findings.error("negative response threshold is invalid");
        }
        if self.response_threshold_nanos > 0 && !is_service {
            findings.error("response threshold only valid for services");
        }
        self.subject.validate(findings);
        self.validate_position(findings);
        self.info.validate(findings);
    }

    fn validate_position(&self, findings: &mut Findings) {
        let (position, subject) = (self.account_token_position, &self.subject);
        let Some(before) = position.checked_sub(1) else { return };
        if !subject.has_wildcards() {
            findings
                .error(format!("Account Token Position can only be used with wildcard subjects: {subject}"));
            return;
        }
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        match subject.as_str().split('.').nth(before) {
            None => findings
                .error(format!("Account Token Position {position} exceeds length of subject '{subject}'")),
            Some("*") => {}
            Some(token) => findings.error(format!(
                "Account Token Position {position} matches '{token}' but must match a * in: {subject}"
            )),
        }
    }
}

impl Document for Export {
    const TYPE: &'static str = "jwt.Export";

    fn fields(&mut self, each: Each<'_>) {
        each("name", When::Any, &mut self.name);
        each("subject", When::Any, &mut self.subject);
        each("type", When::Any, &mut self.kind);
        each("token_req", When::Any, &mut self.token_required);
        each("revocations", When::Any, &mut self.revocations);
        each("response_type", When::Any, &mut self.response_kind);
        each("response_threshold", When::Any, &mut Nanos(&mut self.response_threshold_nanos));
        each("service_latency", When::Any, &mut self.latency);
        each("account_token_position", When::Any, &mut self.account_token_position);
        each("advertise", When::Any, &mut self.advertise);
        each("allow_trace", When::Any, &mut self.allow_trace);
        self.info.fields(each);
    }
}

impl Named for Option<Export> {
    const LIST: &'static str = "jwt.Exports";
    const MAP: &'static str = "map[string]*jwt.Export";
}

pub(super) fn validate(exports: &[Option<Export>], findings: &mut Findings) {
    let (mut services, mut streams) = (Vec::new(), Vec::new());
    for export in exports {
        let Some(export) = export else {
            findings.error("null export is not allowed");
            continue;
        };
        let same = if export.kind == Kind::Service { &mut services } else { &mut streams };
        same.push(&export.subject);
        export.validate(findings);
    }
    validate_apart(Kind::Service, &services, findings);
    validate_apart(Kind::Stream, &streams, findings);
}

/// No subject may be part of another.
fn validate_apart(kind: Kind, subjects: &[&Subject], findings: &mut Findings) {
    let mut told: Vec<&Subject> = Vec::new();
    for (at, inner) in subjects.iter().enumerate() {
        for (other_at, outer) in subjects.iter().enumerate() {
            if at != other_at && inner.is_contained_in(outer) && !told.contains(outer) {
                told.push(outer);
                let (outer, inner) = (quote(outer.as_str()), quote(inner.as_str()));
                findings.error(format!("{} export subject {outer} already exports {inner}", kind.as_str()));
            }
        }
    }
}
