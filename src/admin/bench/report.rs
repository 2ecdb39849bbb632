//! What a scenario came to, for scripts (JSON) and for people (a table).

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::histogram::Histogram;
use super::server_figures::ProcessFigures;

/// One scenario's result.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// Publishing, requesting or storming connections.
    pub publishers: usize,
    /// Subscribing or responding connections.
    pub subscribers: usize,
    /// Distinct subjects.
    pub subjects: usize,
    /// Subscriptions that were made.
    pub subscriptions: u64,
    /// Connections that were opened for their own sake.
    pub connections: u64,
    /// Payload bytes, least and most.
    pub size: [usize; 2],
    /// Messages published (requests: round trips).
    pub published: u64,
    /// Messages received (requests: answers).
    pub delivered: u64,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Messages a second that were asked for.
    pub asked_per_second: Option<u64>,
    /// Messages published a second.
    pub published_per_second: f64,
    /// Messages received a second.
    pub delivered_per_second: f64,
    /// Round trips or connects, where the scenario has any.
    pub latency: Option<Latency>,
    /// What connecting and subscribing took.
    pub setup: Setup,
    /// The server's figures, if its process was named.
    pub server: Option<ServerCost>,
    /// This process's own CPU time in the measured part, in seconds.
    pub client_cpu_seconds: f64,
    /// Which share of the measured part its busiest thread ran or waited for a processor, 0 to 1; zero
    /// where the system does not tell.
    pub client_busiest_thread: f64,
    /// Whether that thread was busy all the time, so that rates and latencies are those of this process.
    pub client_is_bottleneck: bool,
    /// What a reader should know about these figures.
    pub notes: Vec<String>,
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// The shortest.
    pub min_us: f64,
    /// The mean.
    pub mean_us: f64,
    /// Half took at most this.
    pub p50_us: f64,
    /// Nine of ten took at most this.
    pub p90_us: f64,
    /// 99 of 100 took at most this.
    pub p99_us: f64,
    /// 999 of 1,000 took at most this.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Self {
        let us = |nanos: u64| nanos as f64 / 1000.0;
        Self {
            count: histogram.len(),
            min_us: us(histogram.min()),
            mean_us: us(histogram.mean()),
            p50_us: us(histogram.quantile(0.5)),
            p90_us: us(histogram.quantile(0.9)),
            p99_us: us(histogram.quantile(0.99)),
            p999_us: us(histogram.quantile(0.999)),
            max_us: us(histogram.max()),
        }
    }
}

/// What connecting and subscribing took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Setup {
    /// Seconds until the server had taken everything.
    pub seconds: f64,
    /// The server's CPU seconds for it.
    pub server_cpu_seconds: Option<f64>,
}

/// What the server's process cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ServerCost {
    /// CPU seconds in the measured part.
    pub cpu_seconds: f64,
    /// CPU microseconds for each message in or out (published + received); a round trip counts
    /// as one, and so does a connect.
    pub cpu_us_per_message: f64,
    /// Resident bytes before anybody connected.
    pub rss_bytes_before: u64,
    /// Resident bytes with everybody connected and subscribed, before the measured part.
    pub rss_bytes_ready: u64,
    /// Resident bytes at the end of the measured part.
    pub rss_bytes_after: u64,
    /// Growth from before to ready, for each subscription or idle connection, where the scenario
    /// is about them.
    pub rss_bytes_each: Option<f64>,
}

impl ServerCost {
    /// From figures taken before connecting, before and after the measured part, and what
    /// counts: messages, and things that memory is spent on.
    pub fn new(
        idle: ProcessFigures,
        before: ProcessFigures,
        after: ProcessFigures,
        messages: u64,
        things: Option<u64>,
    ) -> Self {
        let cpu = after.cpu.saturating_sub(before.cpu);
        let growth = before.rss_bytes.saturating_sub(idle.rss_bytes) as f64;
        Self {
            cpu_seconds: cpu.as_secs_f64(),
            cpu_us_per_message: ratio(cpu.as_secs_f64() * 1e6, messages as f64),
            rss_bytes_before: idle.rss_bytes,
            rss_bytes_ready: before.rss_bytes,
            rss_bytes_after: after.rss_bytes,
            rss_bytes_each: things.map(|things| ratio(growth, things as f64)),
        }
    }
}

/// `part / whole`, zero where there is no whole.
pub fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// `count` a second.
pub fn per_second(count: u64, span: Duration) -> f64 {
    ratio(count as f64, span.as_secs_f64())
}

/// A column's header, and what stands in it for a run.
type Column = (&'static str, fn(&Outcome) -> String);

/// The columns of the table; those that are empty in each row are left out.
const COLUMNS: [Column; 12] = [
    ("scenario", |run| run.scenario.clone()),
    ("bytes", |run| size(run.size)),
    ("sent/s", |run| rate(run.published_per_second)),
    ("rcvd/s", |run| rate(run.delivered_per_second)),
    ("p50\nus", |run| latency(run, |l| l.p50_us)),
    ("p99\nus", |run| latency(run, |l| l.p99_us)),
    ("p99.9\nus", |run| latency(run, |l| l.p999_us)),
    ("server\nus/msg", |run| server(run, |cost| format!("{:.3}", cost.cpu_us_per_message))),
    ("server\ncores", |run| server(run, |cost| format!("{:.2}", ratio(cost.cpu_seconds, run.seconds)))),
    ("server\nRSS", |run| server(run, |cost| bytes(cost.rss_bytes_after as f64))),
    ("RSS\neach", |run| server(run, |cost| cost.rss_bytes_each.map_or_else(String::new, each))),
    ("client\ncores", |run| format!("{:.2}", ratio(run.client_cpu_seconds, run.seconds))),
];

fn latency(run: &Outcome, pick: fn(&Latency) -> f64) -> String {
    run.latency.as_ref().map_or_else(String::new, |latency| decimals(pick(latency)))
}

fn server(run: &Outcome, show: impl Fn(&ServerCost) -> String) -> String {
    run.server.as_ref().map_or_else(String::new, show)
}

/// Memory for each thing, where it could be seen at all.
fn each(number: f64) -> String {
    if number > 0.0 { bytes(number) } else { "-".to_owned() }
}

/// The outcomes as a table, notes below it.
pub fn table(outcomes: &[&Outcome]) -> String {
    let has_any = |cell: &fn(&Outcome) -> String| outcomes.iter().any(|run| !cell(run).is_empty());
    let columns: Vec<_> = COLUMNS.iter().filter(|(_, cell)| has_any(cell)).collect();
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(columns.iter().map(|(header, _)| *header));
    for outcome in outcomes {
        table.add_row(columns.iter().map(|(_, cell)| cell(outcome)));
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((u16::from(number == 0), 1));
        if number > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = table.to_string();
    for outcome in outcomes {
        for note in &outcome.notes {
            text.push_str(&format!("\n{}: {note}", outcome.scenario));
        }
    }
    text
}

fn size([least, most]: [usize; 2]) -> String {
    if least == most { least.to_string() } else { format!("{least}-{most}") }
}

/// A number a second as people read it: `1.25 M`, `830 k`, `12`.
pub fn rate(number: f64) -> String {
    match number {
        _ if number >= 1e6 => format!("{:.2} M", number / 1e6),
        _ if number >= 1e4 => format!("{:.0} k", number / 1e3),
        _ if number > 0.0 => format!("{number:.0}"),
        _ => String::new(),
    }
}

/// Bytes as people read them, in powers of 1,024.
pub fn bytes(number: f64) -> String {
    match number {
        _ if number >= 1_073_741_824.0 => format!("{:.2} GiB", number / 1_073_741_824.0),
        _ if number >= 1_048_576.0 => format!("{:.1} MiB", number / 1_048_576.0),
        _ if number >= 1024.0 => format!("{:.1} KiB", number / 1024.0),
        _ => format!("{number:.0} B"),
    }
}

fn decimals(number: f64) -> String {
    if number >= 100.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn outcome() -> Outcome {
        Outcome {
            scenario: "one-to-one".into(),
            publishers: 1,
            subscribers: 1,
            subjects: 1,
            subscriptions: 1,
            connections: 0,
            size: [16, 1024],
            published: 1_000_000,
            delivered: 1_000_000,
            seconds: 0.5,
            asked_per_second: None,
            published_per_second: 2e6,
            delivered_per_second: 2e6,
            latency: None,
            setup: Setup::default(),
            server: Some(ServerCost { cpu_seconds: 0.4, cpu_us_per_message: 0.2, ..ServerCost::default() }),
            client_cpu_seconds: 0.45,
            client_busiest_thread: 0.95,
            client_is_bottleneck: true,
            notes: vec!["mind this".into()],
        }
    }

    #[test]
    fn the_table_has_figures_and_notes() {
        let text = table(&[&outcome()]);
        for want in ["one-to-one", "16-1024", "2.00 M", "0.200", "0.80", "0.90", "one-to-one: mind this"] {
            assert!(text.contains(want), "{want} in\n{text}");
        }
    }

    #[test]
    fn the_usual_table_fits_a_terminal_and_leaves_out_what_nobody_has() {
        let text = table(&[&Outcome { server: None, ..outcome() }]);
        assert!(!text.contains("server") && !text.contains("p99") && !text.contains("each"), "{text}");
        let latency = Latency::from(&Histogram::new());
        let wide = Outcome {
            scenario: "request-flood".into(),
            latency: Some(Latency { p50_us: 12_345.0, p99_us: 12_345.0, p999_us: 12_345.0, ..latency }),
            ..outcome()
        };
        let text = table(&[&Outcome { notes: Vec::new(), ..wide }]);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn memory_that_cannot_be_seen_is_no_zero() {
        let each = |bytes| ServerCost { rss_bytes_each: Some(bytes), ..ServerCost::default() };
        let [none, some] = [0.0, 12.0].map(|bytes| Outcome { server: Some(each(bytes)), ..outcome() });
        let text = table(&[&none, &some]);
        assert!(text.contains(" - ") && text.contains("12 B"), "{text}");
    }

    #[test]
    fn figures_are_differences_per_message_and_per_thing() {
        let at = |ms, rss_bytes| ProcessFigures { cpu: Duration::from_millis(ms), rss_bytes, threads: 1 };
        let cost = ServerCost::new(at(10, 1_000), at(20, 3_000), at(520, 4_000), 1_000_000, Some(100));
        assert_eq!(cost.cpu_seconds, 0.5);
        assert_eq!(cost.cpu_us_per_message, 0.5);
        assert_eq!(cost.rss_bytes_each, Some(20.0));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([rate(0.0), rate(12.4), rate(83_400.0), rate(2.5e6)], ["", "12", "83 k", "2.50 M"]);
        assert_eq!([bytes(12.0), bytes(2048.0), bytes(3.5 * 1_048_576.0)], ["12 B", "2.0 KiB", "3.5 MiB"]);
    }
}
