//! Two transcripts side by side, ids and times normalised.

use super::player::Entry;

/// Fields of an INFO that differ from server to server without meaning anything.
const VOLATILE: [&str; 12] = [
    "server_id",
    "server_name",
    "version",
    "go",
    "git_commit",
    "host",
    "port",
    "client_id",
    "client_ip",
    "nonce",
    "xkey",
    "api_lvl",
];

/// The text with everything replaced that differs from run to run: ids, addresses, nonces, times.
pub fn masked(text: &str) -> String {
    if let Some(json) = text.strip_prefix("INFO ")
        && let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_str::<serde_json::Value>(json)
    {
        for name in VOLATILE {
            if let Some(value) = fields.get_mut(name) {
                *value = "{{any}}".into();
            }
        }
        return format!("INFO {}", serde_json::Value::Object(fields));
    }
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '+' | '-') {
            word.push(c);
            continue;
        }
        out.push_str(mask_of(&word).unwrap_or(&word));
        word.clear();
        out.push(c);
    }
    out.push_str(mask_of(&word).unwrap_or(&word));
    out
}

fn mask_of(word: &str) -> Option<&'static str> {
    let is_nkey = word.len() == 56
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte));
    if is_nkey {
        return Some("{{nkey}}");
    }
    if word.parse::<std::net::SocketAddr>().is_ok() {
        return Some("{{address}}");
    }
    word.parse::<jiff::Timestamp>().is_ok().then_some("{{time}}")
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// Both say it.
    Both(String),
    /// Only the first says it.
    Left(String),
    /// Only the second says it.
    Right(String),
}

/// Compares two transcripts line by line; equal lines are joined as far as order allows.
pub fn compare(left: &[Entry], right: &[Entry]) -> Vec<Side> {
    let line = |entry: &Entry| Entry { text: masked(&entry.text), ..entry.clone() }.to_string();
    let lines = |entries: &[Entry]| entries.iter().map(line).collect::<Vec<_>>();
    let (left, right) = (lines(left), lines(right));
    // Longest common subsequence, one row of lengths for each line of the left side.
    let mut lengths: Vec<Vec<u32>> = vec![vec![0; right.len() + 1]];
    for a in left.iter().rev() {
        let below = lengths.last().cloned().unwrap_or_default();
        let mut row = vec![0_u32];
        for (b, pair) in right.iter().rev().zip(below.windows(2)) {
            let (Some(&diagonal), Some(&down), Some(&across)) = (pair.first(), pair.last(), row.last())
            else {
                continue;
            };
            row.push(if a == b { diagonal + 1 } else { down.max(across) });
        }
        lengths.push(row);
    }
    let length = |i: usize, j: usize| {
        let row = lengths.get(left.len() - i);
        row.and_then(|row| row.get(right.len() - j)).copied().unwrap_or_default()
    };
    let (mut i, mut j) = (0, 0);
    let mut sides = Vec::new();
    loop {
        match (left.get(i), right.get(j)) {
            (Some(a), Some(b)) if a == b => {
                sides.push(Side::Both(a.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), Some(_)) if length(i + 1, j) >= length(i, j + 1) => {
                sides.push(Side::Left(a.clone()));
                i += 1;
            }
            (_, Some(b)) => {
                sides.push(Side::Right(b.clone()));
                j += 1;
            }
            (Some(a), None) => {
                sides.push(Side::Left(a.clone()));
                i += 1;
            }
            (None, None) => return sides,
        }
    }
}

/// The comparison as text; empty where both say the same.
pub fn render(sides: &[Side]) -> String {
    if sides.iter().all(|side| matches!(side, Side::Both(_))) {
        return String::new();
    }
    let lines = sides.iter().map(|side| match side {
        Side::Both(line) => format!("  {line}\n"),
        Side::Left(line) => format!("- {line}\n"),
        Side::Right(line) => format!("+ {line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parity::player::Kind;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(masked(text), want);
    }

    #[test]
    fn ids_addresses_and_times_are_masked() {
        check(&format!("SERVER.{} x", "N"), "SERVER.N x");
        check(&format!("at {} now", "A".repeat(56)), "at {{nkey}} now");
        check("from 127.0.0.1:4222, since 2026-01-02T03:04:05Z", "from {{address}}, since {{time}}");
        check("MSG foo 1 2", "MSG foo 1 2");
        check("INFO {\"client_id\":5,\"proto\":1} ", "INFO {\"client_id\":\"{{any}}\",\"proto\":1}");
    }

    fn entries(lines: &[&str]) -> Vec<Entry> {
        lines
            .iter()
            .map(|line| Entry { on: String::new(), kind: Kind::Got, text: (*line).to_owned() })
            .collect()
    }

    #[test]
    fn equal_transcripts_have_no_difference() {
        assert_eq!(render(&compare(&entries(&["a", "b"]), &entries(&["a", "b"]))), "");
    }

    #[test]
    fn an_info_differs_only_in_what_means_something() {
        let info = |port: u16, max: u32| format!("INFO {{\"port\":{port},\"max_payload\":{max}}} ");
        let (one, other) = (info(1, 7), info(2, 7));
        assert_eq!(render(&compare(&entries(&[&one]), &entries(&[&other]))), "");
        assert_ne!(render(&compare(&entries(&[&one]), &entries(&[&info(1, 8)]))), "");
    }

    #[test]
    fn differing_lines_stand_between_equal_ones() {
        let sides = compare(&entries(&["a", "b", "c"]), &entries(&["a", "x", "c", "d"]));
        assert_eq!(render(&sides), "  < a\n- < b\n+ < x\n  < c\n+ < d\n");
    }
}
