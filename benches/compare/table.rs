//! Runs of two servers as medians, ratios and tables.

use comfy_table::{CellAlignment, Table, presets};
use natsx::admin::bench::report::{Latency, Outcome, ServerCost, bytes, rate, ratio};
use natsx::admin::bench::scenario::{Kind, Scenario, Shape};
use serde::Serialize;

use crate::machine::Machine;

const BEGIN: &str = "<!-- compare: begin -->";
const END: &str = "<!-- compare: end -->";

/// No scenario's throughput is to be below the reference's; within so much they count as equal.
const THROUGHPUT_LEAST: f64 = 0.95;

/// One of the two servers.
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) command: String,
    /// As it gives it in INFO; none before its first start.
    pub(crate) version: Option<String>,
}

impl Side {
    pub(crate) const fn new(name: String, command: String) -> Self {
        Self { name, command, version: None }
    }

    /// The command as a reader would type it: the program without its directory.
    fn recipe(&self) -> String {
        let (program, arguments) = self.command.split_once(' ').unwrap_or((&self.command, ""));
        let program = program.rsplit('/').next().unwrap_or(program);
        format!("{program} {arguments}").trim_end().to_owned()
    }
}

/// All runs of one scenario.
#[derive(Serialize)]
pub(crate) struct Comparison {
    label: String,
    about: &'static str,
    #[serde(skip)]
    kind: Kind,
    goals: Vec<Goal>,
    runs: [Vec<Outcome>; 2],
    /// Why pairs have no figures.
    failures: Vec<String>,
}

/// What a figure of the second server should be.
#[derive(Debug, Clone, Copy, Serialize)]
struct Goal {
    figure: &'static str,
    bound: Bound,
}

#[derive(Debug, Clone, Copy, Serialize)]
enum Bound {
    /// At most this share of the first server's.
    RatioMost(f64),
    /// At least this share of the first server's.
    RatioLeast(f64),
    /// At most so many bytes.
    BytesMost(f64),
}

impl Bound {
    /// Whether the median keeps to it, and whether each pair did.
    fn verdict(self, b: f64, ratio: f64, spread: (f64, f64)) -> String {
        let (sign, bound, is_met, is_met_by_all) = match self {
            Self::RatioMost(most) => ("<=", format!("{most:.2}"), ratio <= most, spread.1 <= most),
            Self::RatioLeast(least) => (">=", format!("{least:.2}"), ratio >= least, spread.0 >= least),
            Self::BytesMost(most) => ("<=", bytes(most), b <= most, b <= most),
        };
        match (is_met, is_met_by_all) {
            (true, true) => format!("{sign} {bound}"),
            (true, false) => format!("{sign} {bound}, not in each pair"),
            (false, _) => format!("missed: {sign} {bound}"),
        }
    }
}

/// A figure of a scenario: its name, how it is taken from a run and how it is shown.
struct Figure {
    name: &'static str,
    take: fn(&Outcome) -> Option<f64>,
    show: fn(f64) -> String,
    /// Whether it is shown for scenarios of this kind.
    fits: fn(Kind) -> bool,
}

/// CPU first: it is the figure that a busy machine disturbs least.
const FIGURES: &[Figure] = &[
    Figure {
        name: "CPU us/msg",
        take: |run| run.server.map(|cost| cost.cpu_us_per_message),
        show: |us| format!("{us:.3}"),
        fits: |kind| kind != Kind::Connections,
    },
    Figure {
        name: "messages/s",
        take: |run| Some(run.published_per_second.max(run.delivered_per_second)),
        show: rate,
        fits: |kind| kind != Kind::Connections,
    },
    Figure { name: "p50 us", take: |run| latency(run, |l| l.p50_us), show: micros, fits: has_latency },
    Figure { name: "p99 us", take: |run| latency(run, |l| l.p99_us), show: micros, fits: has_latency },
    Figure { name: "p99.9 us", take: |run| latency(run, |l| l.p999_us), show: micros, fits: has_latency },
    Figure { name: "RSS", take: |run| run.server.map(rss), show: bytes, fits: |_| true },
    Figure {
        name: "RSS each",
        take: |run| run.server.and_then(|cost| cost.rss_bytes_each),
        show: bytes,
        fits: |kind| matches!(kind, Kind::Connections | Kind::PubSub(Shape::Distinct)),
    },
];

fn latency(run: &Outcome, pick: fn(&Latency) -> f64) -> Option<f64> {
    run.latency.as_ref().map(pick)
}

fn micros(us: f64) -> String {
    format!("{us:.0}")
}

fn rss(cost: ServerCost) -> f64 {
    cost.rss_bytes_after as f64
}

fn has_latency(kind: Kind) -> bool {
    matches!(kind, Kind::Request { .. } | Kind::Storm)
}

impl Comparison {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (least, most) = (*scenario.size.start(), *scenario.size.end());
        let size = if least == most { format!("{least} B") } else { format!("{least}-{most} B") };
        Self {
            label: format!("{}, {size}", scenario.name),
            about: scenario.about,
            kind: scenario.kind,
            goals: goals(scenario.name, most),
            runs: [Vec::new(), Vec::new()],
            failures: Vec::new(),
        }
    }

    /// Notes that a pair has no figures.
    pub(crate) fn fail(&mut self, why: String) {
        self.failures.push(why);
    }

    /// Adds a pair of runs that followed each other.
    pub(crate) fn add(&mut self, pair: [Outcome; 2]) {
        for (runs, outcome) in self.runs.iter_mut().zip(pair) {
            runs.push(outcome);
        }
    }

    /// One line about the runs so far.
    pub(crate) fn line(&self) -> String {
        let figure = FIGURES.iter().find(|figure| (figure.fits)(self.kind) && self.medians(figure).is_some());
        let Some((figure, (a, b))) = figure.and_then(|figure| Some((figure, self.medians(figure)?))) else {
            return format!("{}: no figures of both", self.label);
        };
        format!(
            "{}: {} {} / {} = {:.2}",
            self.label,
            figure.name,
            (figure.show)(b),
            (figure.show)(a),
            ratio(b, a)
        )
    }

    /// The medians of both sides, where both have the figure.
    fn medians(&self, figure: &Figure) -> Option<(f64, f64)> {
        let [a, b] = &self.runs;
        let of = |runs: &[Outcome]| median(runs.iter().filter_map(figure.take).collect());
        Some((of(a)?, of(b)?))
    }

    /// The least and the greatest ratio of two runs that followed each other.
    fn spread(&self, figure: &Figure) -> Option<(f64, f64)> {
        let [a, b] = &self.runs;
        let mut ratios: Vec<f64> =
            a.iter().zip(b).filter_map(|(a, b)| Some(ratio((figure.take)(b)?, (figure.take)(a)?))).collect();
        ratios.sort_by(f64::total_cmp);
        Some((*ratios.first()?, *ratios.last()?))
    }

    fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        FIGURES.iter().filter(|figure| (figure.fits)(self.kind)).filter_map(|figure| {
            let (a, b) = self.medians(figure)?;
            let (ratio, spread) = (ratio(b, a), self.spread(figure)?);
            let goal = self.goals.iter().find(|goal| goal.figure == figure.name);
            Some(Row {
                label: self.label.clone(),
                figure: figure.name,
                a: (figure.show)(a),
                b: (figure.show)(b),
                ratio,
                spread,
                verdict: goal.map_or_else(String::new, |goal| goal.bound.verdict(b, ratio, spread)),
            })
        })
    }

    /// Runs in which a thread of the load generator was busy all the time.
    fn bottlenecks(&self) -> [usize; 2] {
        self.runs.each_ref().map(|runs| runs.iter().filter(|run| run.client_is_bottleneck).count())
    }
}

struct Row {
    label: String,
    figure: &'static str,
    a: String,
    b: String,
    ratio: f64,
    spread: (f64, f64),
    verdict: String,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        [
            self.label.clone(),
            self.figure.to_owned(),
            self.a.clone(),
            self.b.clone(),
            format!("{:.2}x", self.ratio),
            format!("{:.2}-{:.2}", self.spread.0, self.spread.1),
            self.verdict.clone(),
        ]
    }
}

/// The floors that natsx holds itself to, beside the reference.
fn goals(name: &str, size: usize) -> Vec<Goal> {
    let most = |figure, most| Goal { figure, bound: Bound::RatioMost(most) };
    let bytes = |figure, most| Goal { figure, bound: Bound::BytesMost(most) };
    let cpu = |share| vec![most("CPU us/msg", share)];
    let mut goals = match name {
        "publish" => cpu(0.3),
        "one-to-one" if size > 1024 => cpu(0.6),
        "one-to-one" => cpu(0.25),
        "fan-out-20" | "fan-out-200" => cpu(0.2),
        "wildcard" | "queue-2-4" | "queue-4-4" => cpu(0.3),
        "mixed" | "mixed-4" | "subjects-200k" => cpu(0.35),
        "subjects-1m" => vec![most("CPU us/msg", 0.35), bytes("RSS", 350e6)],
        "request" => vec![most("p50 us", 0.75), most("p99 us", 0.6)],
        "connections" => vec![bytes("RSS each", 6.0 * 1024.0)],
        _ => Vec::new(),
    };
    goals.push(Goal { figure: "messages/s", bound: Bound::RatioLeast(THROUGHPUT_LEAST) });
    goals
}

/// The middle of some values, the mean of the two middle ones where there are two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

/// The geometric mean of the CPU ratios of all publish/subscribe scenarios.
fn geometric_mean(comparisons: &[Comparison]) -> Option<f64> {
    let ratios: Vec<f64> = comparisons
        .iter()
        .filter(|comparison| matches!(comparison.kind, Kind::PubSub(_)))
        .filter_map(|comparison| comparison.rows().find(|row| row.figure == "CPU us/msg"))
        .map(|row| row.ratio)
        .filter(|ratio| *ratio > 0.0)
        .collect();
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    if ratios.is_empty() { None } else { Some((sum / ratios.len() as f64).exp()) }
}

fn header(sides: &[Side; 2]) -> [String; 7] {
    let [a, b] = sides;
    [
        "Scenario".into(),
        "Figure".into(),
        a.name.clone(),
        b.name.clone(),
        "Ratio".into(),
        "Spread".into(),
        "Goal".into(),
    ]
}

/// For people at a terminal.
pub(crate) fn terminal(comparisons: &[Comparison], sides: &[Side; 2]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header(sides));
    for row in comparisons.iter().flat_map(Comparison::rows) {
        table.add_row(row.cells());
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mean = geometric_mean(comparisons);
    let mean = mean
        .map_or_else(String::new, |mean| format!("\ngeometric mean of CPU, publish/subscribe: {mean:.3}x"));
    format!("{table}{mean}")
}

/// For a page: the table, and beside it how, where and when.
pub(crate) fn markdown(
    comparisons: &[Comparison],
    sides: &[Side; 2],
    machine: &Machine,
    pairs: u32,
    note: &str,
) -> String {
    let mut lines = Vec::new();
    let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
    lines.push(line(&header(sides)));
    lines.push("|---|---|--:|--:|--:|--:|---|".to_owned());
    lines.extend(comparisons.iter().flat_map(Comparison::rows).map(|row| line(&row.cells())));
    if let Some(mean) = geometric_mean(comparisons) {
        lines.push(String::new());
        lines.push(format!("Geometric mean of the CPU ratios, publish/subscribe: **{mean:.2}x**."));
    }
    lines.push(String::new());
    lines.push(format!(
        "Medians of {pairs} alternating pairs, a fresh process each; {}, {} cores ({}), {} GiB, Linux {}.",
        machine.date, machine.cores, machine.processor, machine.memory_gib, machine.kernel
    ));
    for side in sides {
        let version = side.version.as_deref().unwrap_or("unknown");
        lines.push(format!("- {}: version {version}, `{}`", side.name, side.recipe()));
    }
    if !machine.commit.is_empty() {
        lines.push(format!("- natsx at commit {}", machine.commit));
    }
    for comparison in comparisons {
        let [a, b] = comparison.bottlenecks();
        if a + b > 0 {
            lines.push(format!(
                "- {}: a thread of the load generator was busy all the time in {a} runs of A and {b} of B",
                comparison.label
            ));
        }
        if let Some(why) = comparison.failures.first() {
            let count = comparison.failures.len();
            lines.push(format!("- {}: {count} of {pairs} pairs failed: {why}", comparison.label));
        }
    }
    if !note.is_empty() {
        lines.push(format!("- {note}"));
    }
    lines.push(String::new());
    lines.push("The scenarios:".to_owned());
    lines.push(String::new());
    lines
        .extend(comparisons.iter().map(|comparison| format!("- {}: {}", comparison.label, comparison.about)));
    lines.join("\n")
}

/// Replaces what stands between the marks of `file`, which must have them.
pub(crate) fn write_between_marks(file: &str, text: &str) -> Result<(), String> {
    let page = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let marks = format!("{file} needs the lines {BEGIN} and {END}");
    let (before, rest) = page.split_once(BEGIN).ok_or(&marks)?;
    let (_, after) = rest.split_once(END).ok_or(&marks)?;
    let page = format!("{before}{BEGIN}\n\n{text}\n\n{END}{after}");
    std::fs::write(file, page).map_err(|error| format!("{file}: {error}"))
}
