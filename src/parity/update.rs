//! Row updates merged into a ledger, from files of lines
//! `Section | Subsection | Feature | Status | evidence | notes`.

use std::collections::HashMap;

use super::rows::{Ledger, Name, Status, cells, split_evidence};

/// What merging one file did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows whose line now says something else.
    pub changed: usize,
    /// Lines that could not be merged, with the reason.
    pub refused: Vec<String>,
}

/// Merges the lines of `text` into `ledger`. A better status replaces a row's evidence and notes, an
/// equal one adds to them, a lesser one changes nothing; with `replace`, the line always wins.
pub fn merge(ledger: &mut Ledger, text: &str, replace: bool) -> Merged {
    let at: HashMap<Name, usize> =
        ledger.rows.iter().enumerate().map(|(at, row)| (row.name.clone(), at)).collect();
    let mut merged = Merged::default();
    for (index, line) in text.lines().enumerate() {
        let Some(update) = read(line) else { continue };
        let update = match update {
            Ok(update) => update,
            Err(problem) => {
                merged.refused.push(format!("line {}: {problem}", index + 1));
                continue;
            }
        };
        let Some(row) = at.get(&update.name).and_then(|&at| ledger.rows.get_mut(at)) else {
            merged.refused.push(format!("line {}: the ledger has no row `{}`", index + 1, update.name));
            continue;
        };
        let before = row.clone();
        if replace || update.status > row.status {
            (row.status, row.evidence, row.notes) = (update.status, update.evidence, update.notes);
        } else if update.status == row.status {
            for evidence in update.evidence {
                if !row.evidence.contains(&evidence) {
                    row.evidence.push(evidence);
                }
            }
            if row.notes.is_empty() {
                row.notes = update.notes;
            } else if !row.notes.contains(&update.notes) {
                row.notes = format!("{}; {}", row.notes, update.notes);
            }
        }
        merged.changed += usize::from(*row != before);
    }
    merged
}

struct Update {
    name: Name,
    status: Status,
    evidence: Vec<String>,
    notes: String,
}

/// `None` for lines that are no update: prose, headings, a table's head.
fn read(line: &str) -> Option<Result<Update, String>> {
    let line = line.trim();
    let cells = cells(line.trim_start_matches("- "));
    if cells.len() < 4
        || line.starts_with('#')
        || line.starts_with("|--")
        || line.contains("Feature | Status")
    {
        return None;
    }
    // A feature may hold a bar itself, so the status is the first cell after it that is one.
    let status = cells
        .iter()
        .enumerate()
        .skip(3)
        .find_map(|(at, cell)| Some((at, Status::parse(cell.trim_matches('`'))?)));
    let Some((at, status)) = status else {
        return Some(Err(format!("no status in `{line}`")));
    };
    let (Some(section), Some(subsection), Some(feature)) = (cells.first(), cells.get(1), cells.get(2..at))
    else {
        return Some(Err(format!("no name in `{line}`")));
    };
    let evidence = cells.get(at + 1).map(|cell| split_evidence(cell)).unwrap_or_default();
    let notes = cells.get(at + 2..).unwrap_or_default().join(" | ");
    Some(Ok(Update { name: Name::new(section, subsection, &feature.join(" | ")), status, evidence, notes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "## Core\n\n| Subsection | Feature | Status | Evidence | Notes |\n|---|---|---|---|---|\n\
        | a | one | N | - | |\n| a | with \\| bar | Y | `m::t` | |\n";

    #[track_caller]
    fn check(update: &str, feature: &str, want: (Status, &[&str], &str)) {
        let mut ledger = Ledger::parse(ROWS);
        let merged = merge(&mut ledger, update, false);
        assert_eq!(merged.refused, Vec::<String>::new());
        let row = ledger.rows.iter().find(|row| row.name.feature == feature).unwrap();
        let evidence: Vec<&str> = row.evidence.iter().map(String::as_str).collect();
        assert_eq!((row.status, evidence.as_slice(), row.notes.as_str()), want, "{update}");
    }

    #[test]
    fn a_better_status_replaces() {
        check(
            "Core | a | one | Baseline | `m::x` | no y yet",
            "one",
            (Status::Baseline, &["m::x"], "no y yet"),
        );
        check("| Core | a | one | Y | m::x, m::y |", "one", (Status::Yes, &["m::x", "m::y"], ""));
    }

    #[test]
    fn an_equal_status_adds_evidence_and_a_lesser_one_nothing() {
        check("Core | a | with | bar | Y | m::u |", "with | bar", (Status::Yes, &["m::t", "m::u"], ""));
        check("Core | a | with \\| bar | Baseline | m::u | x", "with | bar", (Status::Yes, &["m::t"], ""));
    }

    #[test]
    fn unknown_rows_and_lines_without_a_status_are_refused() {
        let mut ledger = Ledger::parse(ROWS);
        let merged = merge(
            &mut ledger,
            "Core | a | none | Y | m::x |\nCore | a | one | Yes | x |\n# title\nprose\n",
            false,
        );
        assert_eq!((merged.changed, merged.refused.len()), (0, 2), "{merged:?}");
    }
}
