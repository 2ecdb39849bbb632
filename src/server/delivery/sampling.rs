//! Which requests to a service are measured: some by chance, some because their headers ask for it.

use crate::server::base::rng::Rng;
use crate::server::config::options::LatencySampling;
use crate::server::protocol::header;
use crate::server::protocol::json::{ObjectWriter, write_text};

/// Headers that ask for a trace, as they stand in the document.
const UBER: &str = "Uber-Trace-Id";
const UBER_CONTEXT_PREFIX: &str = "Uberctx-";
const B3_SAMPLED: &str = "X-B3-Sampled";
const B3_TRACE: &str = "X-B3-Traceid";
const B3_PARENT_SPAN: &str = "X-B3-Parentspanid";
const B3_SPAN: &str = "X-B3-Spanid";
const B3: &str = "B3";
const TRACE_PARENT: &str = "Traceparent";
const TRACE_STATE: &str = "Tracestate";

/// One of these is in every request whose headers ask.
const ASKING: [&str; 5] = [UBER, B3_SAMPLED, B3_TRACE, B3, TRACE_PARENT];

/// Bytes of the headers that are kept of a measured request. Reference: no limit.
const DOCUMENT_BYTES_MAX: usize = 4096;

/// Whether a request with this header block is measured; gives the headers that asked for it as a
/// document, empty where none did.
pub(super) fn sample(sampling: LatencySampling, block: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    if let LatencySampling::Percent(percent) = sampling
        && (percent >= 100 || rng.below(100) < usize::from(percent))
    {
        return Some(Vec::new());
    }
    if !header::iter(block)
        .any(|(key, _)| ASKING.iter().any(|name| key.eq_ignore_ascii_case(name.as_bytes())))
    {
        return None;
    }
    let headers = Headers::read(block)?;
    let names = headers.asking()?;
    // Who asks with more than that is not measured: it is kept until the answer comes.
    Some(headers.document(&names)).filter(|document| document.len() <= DOCUMENT_BYTES_MAX)
}

/// The headers of a request, keys as the reference writes them.
struct Headers(Vec<(String, String)>);

impl Headers {
    /// `None` where there are none, or something in the block is no header: then none counts.
    fn read(block: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all: Vec<_> =
            header::iter(block).map(|(key, value)| (canonical(key), text(value.trim_ascii()))).collect();
        (!all.is_empty()).then_some(Self(all))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The names of the headers that ask for a measurement, with those that belong to them.
    fn asking(&self) -> Option<Vec<&str>> {
        if let Some(uber) = self.get(UBER) {
            let flags = uber.split(':').nth(3).filter(|_| uber.split(':').count() == 4)?;
            let context = self.0.iter().map(|(key, _)| key.as_str());
            let context = context.filter(|key| key.starts_with(UBER_CONTEXT_PREFIX));
            return is_odd_hex(flags).then(|| context.chain([UBER]).collect());
        }
        let b3 = || Some(vec![B3_SAMPLED, B3_TRACE, B3_PARENT_SPAN, B3_SPAN]);
        match self.get(B3_SAMPLED) {
            Some("1") => return b3(),
            Some("0") => return None,
            _ => {}
        }
        if self.get(B3_TRACE).is_some() {
            return b3();
        }
        if let Some(value) = self.get(B3) {
            let parts: Vec<_> = value.split('-').collect();
            let denied = parts.get(2) == Some(&"0") || parts == ["0"];
            return (!denied).then(|| vec![B3]);
        }
        let parts: Vec<_> = self.get(TRACE_PARENT)?.split('-').collect();
        let [_, _, _, flags] = parts.as_slice() else { return None };
        // The reference reads a signed byte: the highest bit makes it no number.
        let flags = if flags.len() == 2 { i8::from_str_radix(flags, 16).ok()? } else { return None };
        (flags & 1 == 1).then(|| vec![TRACE_PARENT, TRACE_STATE])
    }

    /// The headers of these names: `{"B3":["1"]}`, sorted.
    fn document(&self, names: &[&str]) -> Vec<u8> {
        let mut present: Vec<_> = names.iter().filter(|name| self.get(name).is_some()).copied().collect();
        present.sort_unstable();
        present.dedup();
        let mut out = Vec::new();
        let mut document = ObjectWriter::new(&mut out);
        for name in present {
            let values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            document.raw(name, |out| {
                out.push(b'[');
                for (at, value) in values.enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_text(out, value);
                }
                out.push(b']');
            });
        }
        document.end();
        out
    }
}

/// Whether one or two hexadecimal digits have their lowest bit set.
fn is_odd_hex(digits: &str) -> bool {
    (1..=2).contains(&digits.len()) && u8::from_str_radix(digits, 16).is_ok_and(|flags| flags & 1 == 1)
}

/// A key as Go writes it: each part between dashes begins with a capital.
fn canonical(key: &[u8]) -> String {
    let mut begins = true;
    let letters = key.iter().map(|byte| {
        let letter = if begins { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        begins = letter == b'-';
        char::from(letter)
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &str, want: Option<&str>) {
        let block = format!("NATS/1.0\r\n{}\r\n\r\n", headers.replace('\n', "\r\n"));
        let got = sample(LatencySampling::Headers, block.as_bytes(), &mut Rng::seeded(1));
        let got = got.map(|document| String::from_utf8(document).unwrap());
        assert_eq!(got.as_deref(), want, "{headers}");
    }

    #[test]
    fn jaeger_asks_by_its_lowest_bit() {
        let id = "479fefe9525eddb:5adb976bfc1f95c1:479fefe9525eddb:";
        let want = |flags: &str| format!(r#"{{"Uber-Trace-Id":["{id}{flags}"]}}"#);
        for flags in ["1", "3", "01", "ff"] {
            check(&format!("Uber-Trace-Id: {id}{flags}"), Some(&want(flags)));
        }
        for flags in ["0", "2", "00", "001", "x", ""] {
            check(&format!("Uber-Trace-Id: {id}{flags}"), None);
        }
        check("Uber-Trace-Id: 1:2:1", None);
        check(
            &format!("uberctx-key: v\nuber-trace-id: {id}1\nOther: x"),
            Some(&format!(r#"{{"Uber-Trace-Id":["{id}1"],"Uberctx-Key":["v"]}}"#)),
        );
    }

    #[test]
    fn zipkin_asks_unless_it_says_no() {
        check("X-B3-Sampled: 1", Some(r#"{"X-B3-Sampled":["1"]}"#));
        check("X-B3-Sampled: 0", None);
        check("X-B3-Sampled: 0\nX-B3-TraceId: a", None);
        check(
            "X-B3-TraceId: a\nX-B3-SpanId: b\nX-B3-ParentSpanId: c",
            Some(r#"{"X-B3-Parentspanid":["c"],"X-B3-Spanid":["b"],"X-B3-Traceid":["a"]}"#),
        );
        check("B3: a-b-1-c", Some(r#"{"B3":["a-b-1-c"]}"#));
        check("b3: a-b", Some(r#"{"B3":["a-b"]}"#));
        check("B3: a-b-0-c", None);
        check("B3: 0", None);
    }

    #[test]
    fn trace_context_asks_by_its_lowest_bit() {
        let id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-";
        check(&format!("Traceparent: {id}01"), Some(&format!(r#"{{"Traceparent":["{id}01"]}}"#)));
        check(
            &format!("traceparent: {id}01\ntracestate: k=v"),
            Some(&format!(r#"{{"Traceparent":["{id}01"],"Tracestate":["k=v"]}}"#)),
        );
        for flags in ["00", "1", "81", "xx"] {
            check(&format!("Traceparent: {id}{flags}"), None);
        }
        check("Other: 1", None);
    }

    #[test]
    fn headers_that_are_too_large_to_be_kept_ask_for_nothing() {
        let state = "x".repeat(DOCUMENT_BYTES_MAX);
        check(&format!("Traceparent: 00-4bf9-00f0-01\ntracestate: {state}"), None);
    }

    #[test]
    fn chance_measures_about_as_many_as_asked_for() {
        let mut rng = Rng::seeded(1);
        let mut measured = |percent| {
            (0..1000).filter(|_| sample(LatencySampling::Percent(percent), b"", &mut rng).is_some()).count()
        };
        assert_eq!(measured(100), 1000);
        let some = measured(25);
        assert!((200..300).contains(&some), "{some}");
    }
}
