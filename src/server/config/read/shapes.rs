//! Shapes of values that many keys share: flags, sizes, durations, addresses, lists, URLs.
//!
//! Each method reads one entry into the field it is given, and leaves the field alone when the
//! value is refused.

use std::path::PathBuf;
use std::time::Duration;

use crate::server::base::quote::quote;
use crate::server::base::url::Url;
use crate::server::config::duration::{SECOND, parse_duration};
use crate::server::config::options::WriteTimeout;
use crate::server::config::value::{Entry, Node, Pos, Value};

use super::context::{Context, shown};

/// `timeout` above this many seconds is taken for a mistake.
const TIMEOUT_SECONDS_HIGH: f64 = 60.0;

impl Context<'_> {
    /// A truth value.
    pub(super) fn flag(&mut self, entry: &Entry, out: &mut bool) {
        if let Some(value) = self.bool(&entry.node) {
            *out = value;
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, entry: &Entry, out: &mut i64) {
        if let Some(value) = self.int(&entry.node) {
            *out = value;
        }
    }

    /// A port. One that no address can have is refused when it is bound.
    pub(super) fn port(&mut self, entry: &Entry, out: &mut i32) {
        if let Some(value) = self.int(&entry.node) {
            *out = saturated(value);
        }
    }

    /// A text; an empty one is the same as none.
    pub(super) fn text(&mut self, entry: &Entry, out: &mut Option<String>) {
        if let Some(text) = self.str(&entry.node) {
            *out = filled(text);
        }
    }

    /// A path; an empty one is the same as none.
    pub(super) fn path(&mut self, entry: &Entry, out: &mut Option<PathBuf>) {
        if let Some(text) = self.str(&entry.node) {
            *out = filled(text).map(PathBuf::from);
        }
    }

    /// A duration in signed nanoseconds: a text, or a number of seconds, which is warned of.
    pub(super) fn nanos(&mut self, field: &str, node: &Node) -> Option<i64> {
        if let Value::String(text) = &node.value {
            return match parse_duration(text) {
                Ok(nanos) => Some(nanos),
                Err(reason) => {
                    self.error(&node.pos, format!("error parsing {field}: {reason}"));
                    None
                }
            };
        }
        self.warning_use(&node.pos, field, &format!("{field} should be converted to a duration"));
        Some(self.int(node)?.saturating_mul(SECOND))
    }

    /// A duration that has a default: zero and below is zero.
    pub(super) fn duration(&mut self, field: &str, entry: &Entry, out: &mut Duration) {
        if let Some(nanos) = self.nanos(field, &entry.node) {
            *out = span(nanos);
        }
    }

    /// A duration that may be left out: zero and below is the same as none.
    pub(super) fn duration_or_none(&mut self, field: &str, entry: &Entry, out: &mut Option<Duration>) {
        if let Some(nanos) = self.nanos(field, &entry.node) {
            *out = positive(nanos);
        }
    }

    /// Seconds as a number, with or without fraction, or a duration. `what` starts the refusals:
    /// `authorization config`.
    pub(super) fn seconds(&mut self, what: &str, node: &Node) -> Option<f64> {
        match &node.value {
            Value::Int(seconds) => Some(*seconds as f64),
            Value::Float(seconds) => Some(*seconds),
            Value::String(text) => match parse_duration(text) {
                Ok(nanos) => Some(nanos as f64 / SECOND as f64),
                Err(reason) => {
                    self.error(&node.pos, format!("error parsing {what}, 'timeout' {reason}"));
                    None
                }
            },
            _ => {
                self.error(&node.pos, format!("error parsing {what}, 'timeout' wrong type"));
                None
            }
        }
    }

    /// `timeout` of an authorization block: as [`Self::seconds`], with a warning where it is long.
    pub(super) fn auth_timeout(&mut self, what: &str, entry: &Entry, out: &mut Option<Duration>) {
        let Some(seconds) = self.seconds(what, &entry.node) else { return };
        if seconds > TIMEOUT_SECONDS_HIGH {
            let text = format!(
                "timeout of {} ({seconds:.6} seconds) is high, consider keeping it under 60 seconds. \
                 possibly caused by unquoted duration; use '1m' instead of 1m, for example",
                shown(&entry.node.value)
            );
            self.warning_use(&entry.node.pos, &entry.key, &text);
        }
        *out = span_of_seconds(seconds);
    }

    /// `listen`: a port, or an address with one.
    pub(super) fn listen(&mut self, node: &Node) -> Option<(String, i32)> {
        let refusal = match &node.value {
            Value::Int(port) => return Some((String::new(), saturated(*port))),
            Value::String(text) => match split_host_port(text) {
                None => format!("could not parse address string {}", quote(text)),
                Some((host, port)) => match port.parse::<i64>() {
                    Ok(number) => return Some((host.to_owned(), saturated(number))),
                    Err(_) => format!("could not parse port {}", quote(port)),
                },
            },
            other => format!("expected port or host:port, got {}", other.type_name()),
        };
        self.error(&node.pos, refusal);
        None
    }

    /// `listen` of a block.
    pub(super) fn listen_into(&mut self, entry: &Entry, host: &mut Option<String>, port: &mut i32) {
        if let Some((new_host, new_port)) = self.listen(&entry.node) {
            *host = filled(&new_host);
            *port = new_port;
        }
    }

    /// `write_timeout`.
    pub(super) fn write_timeout(&mut self, entry: &Entry, out: &mut WriteTimeout) {
        *out = match self.str(&entry.node) {
            None => return,
            Some("default") => WriteTimeout::Default,
            Some("close") => WriteTimeout::Close,
            Some("retry") => WriteTimeout::Retry,
            Some(_) => {
                return self.error(&entry.node.pos, "write_timeout must be 'default', 'close' or 'retry'");
            }
        };
    }

    /// A text or a list of texts. `what` starts the refusals.
    pub(super) fn strings(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        match &node.value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    match &item.value {
                        Value::String(text) => out.push(text.clone()),
                        other => {
                            let text = format!(
                                "error parsing {what}: unsupported type in array {}",
                                other.type_name()
                            );
                            self.error(&item.pos, text);
                        }
                    }
                }
                Some(out)
            }
            other => {
                self.error(
                    &node.pos,
                    format!("error parsing {what}: unsupported type {}", other.type_name()),
                );
                None
            }
        }
    }

    /// A list of texts, where anything else is a plain wrong type.
    pub(super) fn plain_strings(&mut self, items: &[Node]) -> Vec<String> {
        items.iter().filter_map(|item| self.str(item).map(str::to_owned)).collect()
    }

    /// A URL. `kind` names it in the refusal: `route`.
    pub(super) fn url(&mut self, pos: &Pos, kind: &str, text: &str) -> Option<Url> {
        let text = text.trim();
        let url = Url::parse(text).ok();
        if url.is_none() {
            self.error(pos, format!("error parsing {kind} url [{}]", quote(text)));
        }
        url
    }

    /// A list of URLs; one written twice is warned of and taken once.
    pub(super) fn urls(&mut self, kind: &str, items: &[Node]) -> Vec<Url> {
        let mut seen: Vec<&str> = Vec::new();
        let mut urls = Vec::with_capacity(items.len());
        for item in items {
            let Some(text) = self.str(item) else { continue };
            if seen.contains(&text) {
                self.warning_use(&item.pos, text, &format!("Duplicate {kind} entry detected"));
                continue;
            }
            seen.push(text);
            urls.extend(self.url(&item.pos, kind, text));
        }
        urls
    }
}

/// The text, unless it is empty.
pub(super) fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number in the range of 32 bits: beyond it, the bound.
pub(super) fn saturated(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

/// Nanoseconds as a duration; below zero is zero.
pub(super) fn span(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Nanoseconds as a duration; zero and below is none.
pub(super) fn positive(nanos: i64) -> Option<Duration> {
    (nanos > 0).then(|| span(nanos))
}

/// Seconds as a duration; zero and below is none.
pub(super) fn span_of_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|span| !span.is_zero())
}

/// Splits at the last colon, as the reference does: IPv6 addresses stand in brackets.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']')?;
        return (!inside.contains(['[', ']'])).then_some((inside, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_split_at_their_port() {
        for (text, want) in [
            ("a:1", Some(("a", "1"))),
            (":1", Some(("", "1"))),
            ("[::1]:1", Some(("::1", "1"))),
            ("a:", Some(("a", ""))),
            ("a", None),
            ("::1", None),
            ("[::1]", None),
            ("[::1:1", None),
            ("a]:1", None),
        ] {
            assert_eq!(split_host_port(text), want, "{text}");
        }
    }

    #[test]
    fn seconds_that_are_no_time_are_none() {
        assert_eq!(span_of_seconds(1.5), Some(Duration::from_millis(1500)));
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(span_of_seconds(seconds), None);
        }
    }
}
