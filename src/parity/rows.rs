//! `differences.md` → rows with status and evidence, and back.
//!
//! One `##` heading a section, one table under it. Ledgers of other ports of the server are read too:
//! the section comes from the heading or from a column, the status from a column named `Status` or
//! after the port. Cells are taken as written, so that `>` or `<pid>` in a feature stays what it is.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// What a row is called: the key of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The `##` heading.
    pub section: String,
    /// The first column.
    pub subsection: String,
    /// The behaviour, one sentence.
    pub feature: String,
}

impl Name {
    /// A name from its three parts.
    pub fn new(section: &str, subsection: &str, feature: &str) -> Self {
        Self { section: section.to_owned(), subsection: subsection.to_owned(), feature: feature.to_owned() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} | {}", self.section, self.subsection, self.feature)
    }
}

/// How far a behaviour is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Not there.
    No,
    /// Accepted or listed, but does nothing yet.
    Stub,
    /// A part of it is there.
    Baseline,
    /// Can't apply here.
    Blocked,
    /// There, and proven.
    Yes,
}

impl Status {
    /// All of them, in the order of the summary's columns.
    pub const ALL: [Self; 5] = [Self::Yes, Self::Baseline, Self::No, Self::Stub, Self::Blocked];

    /// The status that the ledger writes as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == text)
    }

    /// As the ledger writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "Y",
            Self::Baseline => "Baseline",
            Self::No => "N",
            Self::Stub => "Stub",
            Self::Blocked => "Blocked",
        }
    }

    /// Is there still something to do?
    pub const fn is_unresolved(self) -> bool {
        matches!(self, Self::Baseline | Self::No | Self::Stub)
    }
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub name: Name,
    /// How far it is there.
    pub status: Status,
    /// Tests and scripts that fail without it.
    pub evidence: Vec<String>,
    /// What a reader should know besides.
    pub notes: String,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// A line of the summary table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryLine {
    /// The section, or `Total`.
    pub section: String,
    /// A count for each of the columns, by the column's heading.
    pub counts: Vec<(String, String)>,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// Something wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line in the file, from 1.
    pub line: usize,
    /// A sentence.
    pub text: String,
}

/// All rows of a ledger, and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// In the order of the file.
    pub rows: Vec<Row>,
    /// The summary at the top; empty where there is none.
    pub summary: Vec<SummaryLine>,
    /// Malformed or doubled rows, unknown statuses.
    pub problems: Vec<Problem>,
    /// Has any table a column for evidence?
    pub has_evidence: bool,
}

/// Counts by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    by_status: [usize; 5],
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, status: Status) {
        for (count, of) in self.by_status.iter_mut().zip(Status::ALL) {
            *count += usize::from(of == status);
        }
    }

    /// How many have this status.
    pub fn of(&self, status: Status) -> usize {
        self.by_status.iter().zip(Status::ALL).filter(|(_, of)| *of == status).map(|(count, _)| *count).sum()
    }

    /// How many there are.
    pub fn rows(&self) -> usize {
        self.by_status.iter().sum()
    }

    /// How many are unresolved.
    pub fn unresolved(&self) -> usize {
        Status::ALL.into_iter().filter(|status| status.is_unresolved()).map(|status| self.of(status)).sum()
    }
}

#[derive(Debug, Default)]
struct Columns {
    names: Vec<String>,
    section: Option<usize>,
    subsection: Option<usize>,
    feature: Option<usize>,
    status: Option<usize>,
    evidence: Option<usize>,
    notes: Option<usize>,
}

impl Columns {
    fn read(cells: Vec<String>) -> Self {
        let find = |names: &[&str]| {
            names.iter().find_map(|name| {
                cells.iter().position(|cell| cell.trim_matches(['*', '`']).eq_ignore_ascii_case(name))
            })
        };
        Self {
            section: find(&["Section"]),
            subsection: find(&["Subsection", "Sub"]),
            feature: find(&["Feature", "Behaviour", "Behavior", "Item"]),
            status: find(&["Status", ".NET", "Rust", "natsx"]),
            evidence: find(&["Evidence"]),
            notes: find(&["Notes", "Note"]),
            names: cells,
        }
    }

    fn is_summary(&self) -> bool {
        self.feature.is_none() && self.section.is_some() && self.names.iter().any(|name| name == "Rows")
    }

    fn holds_rows(&self) -> bool {
        self.feature.is_some() && self.status.is_some()
    }
}

impl Ledger {
    /// Reads a ledger. What is wrong with it is among its problems.
    pub fn parse(text: &str) -> Self {
        let mut ledger = Self::default();
        let lines = LineStarts::of(text);
        let mut tables: Vec<Range<usize>> = Vec::new();
        let mut columns = Columns::default();
        let (mut section, mut subsection) = (String::new(), String::new());
        let mut heading = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            let raw = text.get(range.clone()).unwrap_or_default();
            match event {
                Event::Start(Tag::Heading { level, .. }) => heading = Some(level),
                Event::End(TagEnd::Heading(_)) => {
                    let title = raw.trim().trim_matches('#').trim().to_owned();
                    match heading.take() {
                        Some(HeadingLevel::H2) => (section, subsection) = (title, String::new()),
                        Some(HeadingLevel::H3) => subsection = title,
                        _ => {}
                    }
                }
                Event::Start(Tag::Table(_)) => tables.push(range),
                Event::Start(Tag::TableHead) => {
                    columns = Columns::read(cells(raw));
                    ledger.has_evidence |= columns.holds_rows() && columns.evidence.is_some();
                }
                Event::Start(Tag::TableRow) => {
                    let line = lines.line(range.start);
                    if columns.is_summary() {
                        ledger.read_summary(&columns, &cells(raw), line);
                    } else if columns.holds_rows() {
                        ledger.read_row(&columns, &cells(raw), (&section, &subsection), line);
                    }
                }
                _ => {}
            }
        }
        ledger.find_rows_outside(text, &lines, &tables);
        ledger.find_doubles();
        ledger
    }

    /// Counts of each section, in the order of the file.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        let mut sections: Vec<(String, Counts)> = Vec::new();
        let mut at: HashMap<&str, usize> = HashMap::new();
        for row in &self.rows {
            let index = *at.entry(&row.name.section).or_insert_with(|| {
                sections.push((row.name.section.clone(), Counts::default()));
                sections.len() - 1
            });
            if let Some((_, counts)) = sections.get_mut(index) {
                counts.add(row.status);
            }
        }
        sections
    }

    /// The whole ledger as `differences.md`, its summary counted anew.
    pub fn render(&self) -> String {
        let mut out = String::from(PREFACE);
        let sections = self.counts();
        out.push_str(
            "\n| Section | Y | Baseline | N | Stub | Blocked | Rows |\n|---|---|---|---|---|---|---|\n",
        );
        let mut total = Counts::default();
        for (section, counts) in &sections {
            out.push_str(&summary_line(section, counts));
        }
        for row in &self.rows {
            total.add(row.status);
        }
        out.push_str(&summary_line("Total", &total));
        for (section, _) in &sections {
            let _ = write!(
                out,
                "\n## {section}\n\n| Subsection | Feature | Status | Evidence | Notes |\n|---|---|---|---|---|\n"
            );
            for row in self.rows.iter().filter(|row| row.name.section == *section) {
                let evidence: Vec<String> = row.evidence.iter().map(|item| format!("`{item}`")).collect();
                let evidence = if evidence.is_empty() { "-".to_owned() } else { evidence.join(", ") };
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} |",
                    cell(&row.name.subsection),
                    cell(&row.name.feature),
                    row.status.word(),
                    cell(&evidence),
                    cell(&row.notes)
                );
            }
        }
        out.replace(" |  |\n", " | |\n")
    }

    fn problem(&mut self, line: usize, text: String) {
        self.problems.push(Problem { line, text });
    }

    fn read_summary(&mut self, columns: &Columns, cells: &[String], line: usize) {
        let Some(section) = columns.section.and_then(|at| cells.get(at)) else { return };
        let counts = columns.names.iter().zip(cells).filter(|(name, _)| *name != "Section");
        let counts = counts.map(|(name, count)| (name.clone(), count.trim_matches('*').to_owned())).collect();
        self.summary.push(SummaryLine { section: section.trim_matches('*').to_owned(), counts, line });
    }

    fn read_row(&mut self, columns: &Columns, cells: &[String], heading: (&str, &str), line: usize) {
        if cells.len() != columns.names.len() {
            self.problem(
                line,
                format!("a row of {} cells in a table of {}", cells.len(), columns.names.len()),
            );
            return;
        }
        let take = |at: Option<usize>| at.and_then(|at| cells.get(at)).map(String::as_str);
        let section = take(columns.section).unwrap_or(heading.0);
        let subsection = take(columns.subsection).unwrap_or(heading.1);
        let feature = take(columns.feature).unwrap_or_default();
        if section.is_empty() || feature.is_empty() {
            self.problem(line, "a row without a section or a feature".to_owned());
            return;
        }
        let word = take(columns.status).unwrap_or_default();
        let Some(status) = Status::parse(word.trim_matches(['*', '`'])) else {
            self.problem(line, format!("`{word}` is no status"));
            return;
        };
        self.rows.push(Row {
            name: Name::new(section, subsection, feature),
            status,
            evidence: split_evidence(take(columns.evidence).unwrap_or_default()),
            notes: take(columns.notes).unwrap_or_default().to_owned(),
            line,
        });
    }

    /// A line that begins with a bar but belongs to no table was meant to be a row.
    fn find_rows_outside(&mut self, text: &str, lines: &LineStarts, tables: &[Range<usize>]) {
        let mut fenced = false;
        for (index, &start) in lines.starts.iter().enumerate() {
            let rest = text.get(start..).unwrap_or_default();
            fenced ^= rest.starts_with("```");
            if rest.starts_with('|') && !fenced && !tables.iter().any(|table| table.contains(&start)) {
                self.problem(index + 1, "a row outside of any table".to_owned());
            }
        }
    }

    fn find_doubles(&mut self) {
        let mut seen: HashMap<&Name, usize> = HashMap::new();
        let mut doubles = Vec::new();
        for row in &self.rows {
            if let Some(first) = seen.get(&row.name) {
                doubles.push(Problem {
                    line: row.line,
                    text: format!("`{}` stands in line {first} already", row.name),
                });
            } else {
                seen.insert(&row.name, row.line);
            }
        }
        self.problems.append(&mut doubles);
    }
}

const PREFACE: &str = "\
# Differences from the reference

What equals nats-server 2.15, what does not, row by row. `natsx parity check` reads this file: it lists the rows that
are unresolved, and fails on evidence that doesn't exist, on doubled or malformed rows, and on a summary that doesn't
add up. A script named as evidence is played with `natsx parity play`.

- **Y**: the behaviour is there; the evidence names the tests and scripts that fail without it.
- **Baseline**: a part of it is there; the notes say what is missing.
- **N**: not there.
- **Stub**: accepted or listed, but does nothing yet.
- **Blocked**: can't apply to natsx; it is refused or answered with a sentence that says so.

A note that begins with `Beyond:` names a place where natsx is better on purpose, and what the reference does there.
";

fn summary_line(section: &str, counts: &Counts) -> String {
    let numbers: Vec<String> = Status::ALL.iter().map(|&status| counts.of(status).to_string()).collect();
    format!("| {section} | {} | {} |\n", numbers.join(" | "), counts.rows())
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A row's text → its cells as written, trimmed, `\|` unescaped.
pub fn cells(raw: &str) -> Vec<String> {
    let raw = raw.trim();
    let raw = raw.strip_prefix('|').unwrap_or(raw);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in raw.chars() {
        let Some(last) = cells.last_mut() else { break };
        match c {
            '|' if escaped => {
                last.pop();
                last.push('|');
            }
            '|' => cells.push(String::new()),
            other => last.push(other),
        }
        escaped = c == '\\' && !escaped;
    }
    if raw.ends_with('|') && !raw.ends_with("\\|") {
        cells.pop();
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}

/// The tests and scripts that an evidence cell names.
pub fn split_evidence(text: &str) -> Vec<String> {
    let items = text.split([',', ';']).map(|item| item.trim().trim_matches('`').trim());
    items.filter(|item| !item.is_empty() && *item != "-").map(str::to_owned).collect()
}

struct LineStarts {
    starts: Vec<usize>,
}

impl LineStarts {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(ends).collect() }
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at)
    }
}

/// Any bytes give a ledger, and a clean one reads the same after it was written anew.
pub fn fuzz_ledger(data: &[u8]) {
    let ledger = Ledger::parse(&String::from_utf8_lossy(data));
    let _ = ledger.render();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::base::rng::Rng;

    const OURS: &str = "# L\n\n| Section | Y | Baseline | N | Stub | Blocked | Rows |\n|---|---|---|---|---|---|---|\n\
        | Core | 1 | 0 | 1 | 0 | 0 | 2 |\n| Total | 1 | 0 | 1 | 0 | 0 | 2 |\n\n## Core\n\n\
        | Subsection | Feature | Status | Evidence | Notes |\n|---|---|---|---|---|\n\
        | Ops | SUB with > and <pid> | Y | `tests/scripts/a.txt`, `parser::tests::b` | |\n\
        | Ops | RMSG with \\| | N | - | later |\n";

    #[test]
    fn rows_are_taken_as_written() {
        let ledger = Ledger::parse(OURS);
        assert_eq!(ledger.problems, []);
        let names: Vec<&str> = ledger.rows.iter().map(|row| row.name.feature.as_str()).collect();
        assert_eq!(names, ["SUB with > and <pid>", "RMSG with |"]);
        let first = ledger.rows.first().unwrap();
        assert_eq!(first.evidence, ["tests/scripts/a.txt", "parser::tests::b"]);
        assert_eq!((first.status, first.line), (Status::Yes, 12));
        assert_eq!(ledger.summary.len(), 2);
    }

    #[test]
    fn a_ledger_written_anew_reads_the_same() {
        let first = Ledger::parse(OURS);
        let again = Ledger::parse(&first.render());
        assert_eq!(again.problems, []);
        let strip = |ledger: &Ledger| {
            ledger.rows.iter().cloned().map(|row| Row { line: 0, ..row }).collect::<Vec<_>>()
        };
        assert_eq!(strip(&first), strip(&again));
        assert_eq!(again.render(), first.render());
    }

    #[track_caller]
    fn first(text: &str) -> (String, Status) {
        let ledger = Ledger::parse(text);
        assert_eq!(ledger.problems, [], "{text}");
        let row = ledger.rows.first().unwrap();
        (row.name.to_string(), row.status)
    }

    #[test]
    fn ledgers_of_other_ports_are_read() {
        let dotnet = "## 1. Core\n\n### Start\n\n| Feature | Go | .NET | Notes |\n|---|---|---|---|\n| Keys | Y | Stub | x |\n";
        assert_eq!(first(dotnet), ("1. Core | Start | Keys".to_owned(), Status::Stub));
        let rust = "| Section | Sub | Behaviour | Rust |\n|---|---|---|---|\n| Core | Ops | Case | **Y** |\n";
        assert_eq!(first(rust), ("Core | Ops | Case".to_owned(), Status::Yes));
    }

    #[track_caller]
    fn check_problem(row: &str, want: &str) {
        let ledger = Ledger::parse(&format!("{OURS}{row}\n"));
        assert!(
            ledger.problems.iter().any(|problem| problem.text.contains(want)),
            "{row}: {:?}",
            ledger.problems
        );
    }

    #[test]
    fn bad_rows_are_problems() {
        check_problem("| Ops | RMSG with \\| | N | - | |", "stands in line 13 already");
        check_problem("| Ops | A thing | Partly | - | |", "`Partly` is no status");
        check_problem("| Ops | A thing | N | - |", "a row of 4 cells in a table of 5");
        check_problem("| Ops | A thing | N | - | | |", "a row of 6 cells in a table of 5");
        check_problem("| Ops | | N | - | |", "without a section or a feature");
        check_problem("\n| Ops | A thing | N | - | |", "outside of any table");
    }

    #[test]
    fn no_bytes_panic_the_reader() {
        let mut rng = Rng::seeded(5);
        for _ in 0..500 {
            let mut bytes = OURS.as_bytes().to_vec();
            for _ in 0..=rng.below(6) {
                let at = rng.below(bytes.len());
                bytes[at] = *b"|\n#\\`-x\xff".get(rng.below(8)).unwrap();
            }
            fuzz_ledger(&bytes);
        }
    }
}
