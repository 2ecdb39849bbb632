//! What equals, what differs, what is unproved: the verdict on a ledger, as text and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::evidence::{Ran, Sources};
use super::rows::{Counts, Ledger, Problem, Row, Status};

/// Rows that one test may prove; a test that claims more says nothing about most of them.
pub const ROWS_A_TEST_MAX: usize = 8;

/// What to hold a ledger against.
#[derive(Debug, Default)]
pub struct Demand<'a> {
    /// Only this section, where given.
    pub section: Option<&'a str>,
    /// Unresolved rows at most.
    pub unresolved_max: usize,
    /// The source tree with the tests that evidence names; `None` skips the look-up.
    pub sources: Option<&'a Sources>,
    /// The tests that ran; `None` skips the look-up.
    pub ran: Option<&'a Ran>,
}

/// What was found.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// Counts by section.
    pub sections: Vec<(String, Counts)>,
    /// Counts of all.
    pub total: Counts,
    /// Rows with something left to do.
    pub unresolved: Vec<&'a Row>,
    /// What makes the ledger untrue.
    pub problems: Vec<Problem>,
    /// The allowance it was held against.
    pub unresolved_max: usize,
    /// Was evidence looked up in sources?
    pub looked_up: bool,
}

/// Holds a ledger against a demand.
pub fn judge<'a>(ledger: &'a Ledger, demand: &Demand<'_>) -> Verdict<'a> {
    let wanted = |section: &str| demand.section.is_none_or(|only| only == section);
    let sections: Vec<(String, Counts)> =
        ledger.counts().into_iter().filter(|(section, _)| wanted(section)).collect();
    let rows: Vec<&Row> = ledger.rows.iter().filter(|row| wanted(&row.name.section)).collect();
    let mut total = Counts::default();
    rows.iter().for_each(|row| total.add(row.status));

    let mut problems = ledger.problems.clone();
    problems.extend(summary_problems(ledger));
    if let Some(section) = demand.section.filter(|_| rows.is_empty()) {
        problems.push(Problem { line: 1, text: format!("there is no section `{section}`") });
    }
    if ledger.has_evidence {
        problems.extend(rows.iter().flat_map(|row| evidence_problems(row, demand)));
        problems.extend(overworked(&ledger.rows));
    }
    if let Some(sources) = demand.sources {
        problems.extend(strangers(ledger, sources));
    }
    problems.sort();
    Verdict {
        sections,
        total,
        unresolved: rows.into_iter().filter(|row| row.status.is_unresolved()).collect(),
        problems,
        unresolved_max: demand.unresolved_max,
        looked_up: demand.sources.is_some(),
    }
}

fn summary_problems(ledger: &Ledger) -> Vec<Problem> {
    if ledger.summary.is_empty() {
        return Vec::new();
    }
    let mut actual: BTreeMap<String, Counts> = ledger.counts().into_iter().collect();
    let mut total = Counts::default();
    ledger.rows.iter().for_each(|row| total.add(row.status));
    actual.insert("Total".to_owned(), total);

    let mut problems = Vec::new();
    for line in &ledger.summary {
        let Some(counts) = actual.remove(&line.section) else {
            let text = format!("the summary has `{}` twice, or without a section of that name", line.section);
            problems.push(Problem { line: line.line, text });
            continue;
        };
        for (column, said) in &line.counts {
            let counted = match Status::parse(column) {
                Some(status) => counts.of(status),
                None if column == "Rows" => counts.rows(),
                None => continue,
            };
            if *said != counted.to_string() {
                let text =
                    format!("the summary says {said} {column} for `{}`, there are {counted}", line.section);
                problems.push(Problem { line: line.line, text });
            }
        }
    }
    let missing = actual.into_keys().map(|section| format!("the summary has no line for `{section}`"));
    problems.extend(missing.map(|text| Problem { line: 1, text }));
    problems
}

fn evidence_problems(row: &Row, demand: &Demand<'_>) -> Vec<Problem> {
    let problem = |text: String| Problem { line: row.line, text: format!("{}: {text}", row.name) };
    if !matches!(row.status, Status::Yes | Status::Blocked) {
        return Vec::new();
    }
    if row.evidence.is_empty() {
        return vec![problem("no evidence".to_owned())];
    }
    let mut problems = Vec::new();
    for evidence in &row.evidence {
        if let Some(Err(text)) = demand.sources.map(|sources| sources.find(evidence, &row.name)) {
            problems.push(problem(text));
        }
        if demand.ran.is_some_and(|ran| !ran.has(evidence)) {
            problems.push(problem(format!("`{evidence}` did not run")));
        }
    }
    problems
}

fn overworked(rows: &[Row]) -> Vec<Problem> {
    let mut proves: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.status == Status::Yes) {
        for evidence in &row.evidence {
            proves.entry(evidence).or_default().push(row.line);
        }
    }
    let too_many = proves.into_iter().filter(|(_, lines)| lines.len() > ROWS_A_TEST_MAX);
    too_many
        .map(|(evidence, lines)| Problem {
            line: lines.first().copied().unwrap_or(1),
            text: format!("`{evidence}` proves {} rows, above {ROWS_A_TEST_MAX}", lines.len()),
        })
        .collect()
}

/// Scripts that name rows which the ledger doesn't have.
fn strangers(ledger: &Ledger, sources: &Sources) -> Vec<Problem> {
    let known: std::collections::HashSet<_> = ledger.rows.iter().map(|row| &row.name).collect();
    let named = sources.scripts().flat_map(|(path, rows)| rows.iter().map(move |row| (path, row)));
    named
        .filter(|(_, row)| !known.contains(row))
        .map(|(path, row)| Problem { line: 1, text: format!("`{path}` names a row that isn't there: {row}") })
        .collect()
}

impl Verdict<'_> {
    /// Is the ledger true, and are few enough rows unresolved?
    pub fn passes(&self) -> bool {
        self.problems.is_empty() && self.unresolved.len() <= self.unresolved_max
    }

    /// For people.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        for row in &self.unresolved {
            writeln!(out, "{:<8}  {}", row.status.word(), row.name)?;
        }
        if !self.unresolved.is_empty() {
            writeln!(out)?;
        }
        let width = self.sections.iter().map(|(section, _)| section.len()).max().unwrap_or(0).max(7);
        writeln!(
            out,
            "{:<width$} {:>6} {:>9} {:>6} {:>6} {:>8} {:>6}",
            "Section", "Y", "Baseline", "N", "Stub", "Blocked", "Rows"
        )?;
        let total = std::iter::once(("Total", &self.total));
        for (section, counts) in
            self.sections.iter().map(|(section, counts)| (section.as_str(), counts)).chain(total)
        {
            let [yes, baseline, no, stub, blocked] = Status::ALL.map(|status| counts.of(status));
            writeln!(
                out,
                "{section:<width$} {yes:>6} {baseline:>9} {no:>6} {stub:>6} {blocked:>8} {:>6}",
                counts.rows()
            )?;
        }
        writeln!(out)?;
        for problem in &self.problems {
            writeln!(out, "line {}: {}", problem.line, problem.text)?;
        }
        if !self.looked_up {
            writeln!(out, "No sources beside the ledger: evidence was not looked up.")?;
        }
        let verdict = if self.passes() { "passes" } else { "fails" };
        writeln!(
            out,
            "{verdict}: {} unresolved of {} rows (at most {} allowed), {} problems",
            self.unresolved.len(),
            self.total.rows(),
            self.unresolved_max,
            self.problems.len()
        )
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Value {
        let counts = |counts: &Counts| {
            let mut object = serde_json::Map::new();
            for status in Status::ALL {
                object.insert(status.word().to_owned(), counts.of(status).into());
            }
            object.insert("Rows".to_owned(), counts.rows().into());
            serde_json::Value::Object(object)
        };
        let sections: serde_json::Map<String, serde_json::Value> =
            self.sections.iter().map(|(section, of)| (section.clone(), counts(of))).collect();
        let unresolved: Vec<serde_json::Value> = self
            .unresolved
            .iter()
            .map(|row| {
                json!({
                    "section": row.name.section, "subsection": row.name.subsection, "feature": row.name.feature,
                    "status": row.status.word(), "notes": row.notes, "line": row.line,
                })
            })
            .collect();
        let problems: Vec<serde_json::Value> = self
            .problems
            .iter()
            .map(|problem| json!({"line": problem.line, "problem": problem.text}))
            .collect();
        json!({
            "passes": self.passes(),
            "max_unresolved": self.unresolved_max,
            "evidence_looked_up": self.looked_up,
            "total": counts(&self.total),
            "sections": sections,
            "unresolved": unresolved,
            "problems": problems,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(summary: &str, rows: &str) -> Ledger {
        Ledger::parse(&format!(
            "| Section | Y | Baseline | N | Stub | Blocked | Rows |\n|---|---|---|---|---|---|---|\n{summary}\n## Core\n\n\
             | Subsection | Feature | Status | Evidence | Notes |\n|---|---|---|---|---|\n{rows}\n"
        ))
    }

    const SUMS: &str = "| Core | 1 | 0 | 1 | 0 | 0 | 2 |\n| Total | 1 | 0 | 1 | 0 | 0 | 2 |\n";
    const ROWS: &str = "| a | one | Y | `m::t` | |\n| a | two | N | - | |";

    #[track_caller]
    fn check(ledger: &Ledger, unresolved_max: usize, want: &[&str]) {
        let verdict = judge(ledger, &Demand { unresolved_max, ..Demand::default() });
        let problems: Vec<&str> = verdict.problems.iter().map(|problem| problem.text.as_str()).collect();
        assert_eq!(problems.len(), want.len(), "{problems:?}");
        assert!(problems.iter().zip(want).all(|(problem, want)| problem.contains(want)), "{problems:?}");
    }

    #[test]
    fn unresolved_rows_above_the_allowance_fail() {
        let ledger = ledger(SUMS, ROWS);
        for (unresolved_max, passes) in [(0, false), (1, true)] {
            let verdict = judge(&ledger, &Demand { unresolved_max, ..Demand::default() });
            assert_eq!(verdict.passes(), passes, "{unresolved_max}");
            assert_eq!(verdict.unresolved.len(), 1);
        }
    }

    #[test]
    fn a_summary_that_does_not_add_up_is_a_problem() {
        check(&ledger(SUMS, ROWS), 1, &[]);
        check(
            &ledger(&SUMS.replace("| Core | 1", "| Core | 2"), ROWS),
            1,
            &["says 2 Y for `Core`, there are 1"],
        );
        check(&ledger(SUMS.split_once('\n').unwrap().0, ROWS), 1, &["no line for `Total`"]);
        check(&ledger(&format!("{SUMS}| Other | 0 | 0 | 0 | 0 | 0 | 0 |\n"), ROWS), 1, &["`Other`"]);
    }

    #[test]
    fn a_y_row_needs_evidence() {
        check(&ledger(SUMS, "| a | one | Y | - | |\n| a | two | N | - | |"), 1, &["no evidence"]);
    }

    #[test]
    fn one_test_proves_no_more_than_its_share() {
        let rows: Vec<String> = (0..9).map(|row| format!("| a | {row} | Y | `m::t` | |")).collect();
        let sums = "| Core | 9 | 0 | 0 | 0 | 0 | 9 |\n| Total | 9 | 0 | 0 | 0 | 0 | 9 |\n";
        check(&ledger(sums, &rows.join("\n")), 0, &["`m::t` proves 9 rows"]);
    }

    #[test]
    fn evidence_that_did_not_run_is_a_problem() {
        let ledger = ledger(SUMS, ROWS);
        for (ran, problems) in [("x::m::t\n", 0), ("m::other\n", 1)] {
            let ran = Ran::parse(ran);
            let verdict = judge(&ledger, &Demand { ran: Some(&ran), unresolved_max: 1, ..Demand::default() });
            assert_eq!(verdict.problems.len(), problems, "{:?}", verdict.problems);
        }
    }

    #[test]
    fn a_section_is_judged_alone() {
        let ledger = ledger(SUMS, ROWS);
        let verdict = judge(&ledger, &Demand { section: Some("Elsewhere"), ..Demand::default() });
        assert!(!verdict.passes() && verdict.unresolved.is_empty());
    }

    #[test]
    fn the_report_lists_every_unresolved_row() {
        let ledger = ledger(SUMS, ROWS);
        let verdict = judge(&ledger, &Demand::default());
        let mut text = Vec::new();
        verdict.write_text(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("N         Core | a | two\n") && text.contains("fails: 1 unresolved of 2 rows"),
            "{text}"
        );
        assert_eq!(verdict.to_json()["unresolved"][0]["feature"], "two");
    }
}
