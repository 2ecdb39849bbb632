//! `natsx parity`: check the ledger, merge rows into it, play scripts.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::diff;
use super::evidence::{Ran, Sources};
use super::host::Server;
use super::player::{self, Outcome, Play};
use super::report::{self, Demand};
use super::rows::Ledger;
use super::script::Script;
use super::update;

/// The ledger as it was when the binary was built.
const EMBEDDED: &str = include_str!("../../differences.md");

const FILE: &str = "differences.md";

/// The command's line, for the dispatch table.
pub fn command() -> Command {
    let file = Arg::new("file").long("file").value_name("F").value_parser(value_parser!(PathBuf));
    let server = Arg::new("server").long("server").value_name("A").required(true);
    Command::new("parity")
        .about("What equals the reference, row by row, and conversations that prove it")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("List unresolved rows of the ledger; fail on more than allowed, and on rows that prove nothing")
                .arg(file.clone().help("The ledger [default: ./differences.md, else the one in this binary]"))
                .arg(Arg::new("section").long("section").value_name("S").help("Only this section"))
                .arg(
                    Arg::new("max-unresolved")
                        .long("max-unresolved")
                        .value_name("N")
                        .default_value("0")
                        .value_parser(value_parser!(usize))
                        .help("Unresolved rows that are allowed"),
                )
                .arg(
                    Arg::new("ran")
                        .long("ran")
                        .value_name("F")
                        .value_parser(value_parser!(PathBuf))
                        .help("Tests that ran: one name a line, or the output of the test run"),
                )
                .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")),
        )
        .subcommand(
            Command::new("merge")
                .hide(true)
                .about("Merge lines `Section | Subsection | Feature | Status | evidence | notes` into the ledger")
                .arg(file)
                .arg(Arg::new("replace").long("replace").action(ArgAction::SetTrue).help("The line wins over the row"))
                .arg(Arg::new("rows").required(true).num_args(1..).value_parser(value_parser!(PathBuf))),
        )
        .subcommand(
            Command::new("play")
                .about("Play conversation scripts against a server")
                .arg(Arg::new("scripts").value_name("SCRIPT").required(true).num_args(1..).value_parser(value_parser!(PathBuf)))
                .arg(server.help("Address of a running server, or the program to start one from"))
                .arg(Arg::new("against").long("against").value_name("B").help("A second server; shows where the two differ"))
                .arg(
                    Arg::new("cut")
                        .long("cut")
                        .value_name("SEED")
                        .value_parser(value_parser!(u64))
                        .help("Cut the sent bytes at random places"),
                )
                .arg(
                    Arg::new("record")
                        .long("record")
                        .action(ArgAction::SetTrue)
                        .help("Rewrite each script with what the server says before a `=` or `closed`"),
                ),
        )
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match matches.subcommand() {
        Some(("check", matches)) => check(matches, &mut out),
        Some(("merge", matches)) => merge(matches, &mut out),
        Some(("play", matches)) => play(matches, &mut out),
        _ => Ok(false),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell where even this can't be written.
            let _ = writeln!(io::stderr(), "natsx parity: {error}");
            ExitCode::FAILURE
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> io::Result<String> {
    let bytes = fs::read(path).map_err(|error| named(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn check(matches: &ArgMatches, out: &mut impl Write) -> io::Result<bool> {
    let file = matches.get_one::<PathBuf>("file").cloned().or_else(|| {
        let beside = PathBuf::from(FILE);
        beside.is_file().then_some(beside)
    });
    let (text, sources) = match &file {
        None => (EMBEDDED.to_owned(), None),
        Some(file) => {
            let beside =
                file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            (read(file)?, Sources::at(beside)?)
        }
    };
    let ran =
        matches.get_one::<PathBuf>("ran").map(|path| read(path)).transpose()?.map(|text| Ran::parse(&text));
    let ledger = Ledger::parse(&text);
    let verdict = report::judge(
        &ledger,
        &Demand {
            section: matches.get_one::<String>("section").map(String::as_str),
            unresolved_max: matches.get_one("max-unresolved").copied().unwrap_or_default(),
            sources: sources.as_ref(),
            ran: ran.as_ref(),
        },
    );
    if matches.get_flag("json") {
        writeln!(out, "{:#}", verdict.to_json())?;
    } else {
        verdict.write_text(out)?;
    }
    Ok(verdict.passes())
}

fn merge(matches: &ArgMatches, out: &mut impl Write) -> io::Result<bool> {
    let file = matches.get_one::<PathBuf>("file").cloned().unwrap_or_else(|| PathBuf::from(FILE));
    let mut ledger = Ledger::parse(&read(&file)?);
    if let Some(problem) = ledger.problems.first() {
        // Writing the ledger anew would drop what could not be read.
        return Err(io::Error::other(format!("{}: line {}: {}", file.display(), problem.line, problem.text)));
    }
    let mut all_merged = true;
    for path in matches.get_many::<PathBuf>("rows").into_iter().flatten() {
        let merged = update::merge(&mut ledger, &read(path)?, matches.get_flag("replace"));
        writeln!(
            out,
            "{}: {} rows changed, {} lines refused",
            path.display(),
            merged.changed,
            merged.refused.len()
        )?;
        for refused in &merged.refused {
            writeln!(out, "    {refused}")?;
        }
        all_merged &= merged.refused.is_empty();
    }
    fs::write(&file, ledger.render()).map_err(|error| named(&file, &error))?;
    Ok(all_merged)
}

/// Where a script is played: at an address, or by a program that is started for each script.
enum Place {
    At(SocketAddr),
    Program(PathBuf),
}

impl Place {
    fn read(text: &str) -> io::Result<Self> {
        let program = PathBuf::from(text);
        if program.is_file() {
            return Ok(Self::Program(program));
        }
        let address = text.trim_start_matches("nats://").to_socket_addrs();
        let address = address.map_err(|error| named(&program, &error))?.next();
        address.map(Self::At).ok_or_else(|| io::Error::other(format!("{text}: no address")))
    }

    fn play(&self, script: &Script, how: Play) -> io::Result<Outcome> {
        match self {
            Self::At(address) => Ok(player::play(script, *address, None, how)),
            Self::Program(program) => {
                let mut server = match Server::start(program, &script.config) {
                    Ok(server) => server,
                    Err(error) => {
                        return Ok(Outcome { failure: Some((1, error.to_string())), ..Outcome::default() });
                    }
                };
                Ok(player::play(script, server.address(), Some(&mut server), how))
            }
        }
    }
}

fn play(matches: &ArgMatches, out: &mut impl Write) -> io::Result<bool> {
    let place = |name: &str| matches.get_one::<String>(name).map(|text| Place::read(text)).transpose();
    let Some(server) = place("server")? else { return Ok(false) };
    let against = place("against")?;
    let how =
        Play { cut: matches.get_one("cut").copied(), record: matches.get_flag("record"), ..Play::default() };
    let mut all_kept = true;
    for path in matches.get_many::<PathBuf>("scripts").into_iter().flatten() {
        let text = read(path)?;
        let script =
            Script::parse(&text).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        if matches!(server, Place::At(_)) && script.needs_host() && against.is_none() {
            writeln!(out, "skipped {}: it needs a server started for it, give a program", path.display())?;
            continue;
        }
        let outcome = server.play(&script, how)?;
        let kept = outcome.failure.is_none();
        writeln!(out, "{} {}", if kept { "ok     " } else { "differs" }, path.display())?;
        if !kept {
            writeln!(out, "{}", outcome.explain())?;
        }
        all_kept &= kept;
        if let Some(against) = &against {
            let other = against.play(&script, how)?;
            let difference = diff::render(&diff::compare(&outcome.transcript, &other.transcript));
            all_kept &= difference.is_empty() && other.failure.is_none();
            write!(out, "{difference}")?;
            if other.failure.is_some() {
                writeln!(out, "against: {}", other.explain())?;
            }
        }
        if how.record && kept {
            fs::write(path, rewritten(&text, &outcome)).map_err(|error| named(path, &error))?;
        }
    }
    Ok(all_kept)
}

/// The script with its expected lines replaced by what was recorded before each barrier and close.
fn rewritten(text: &str, outcome: &Outcome) -> String {
    let mut lines = String::new();
    for (index, line) in text.lines().enumerate() {
        let is_expected = !line.starts_with(['#', '!', '@'])
            && line.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').starts_with('<');
        if is_expected {
            continue;
        }
        for (_, recorded) in outcome.recorded.iter().filter(|(before, _)| *before == index + 1) {
            lines.push_str(recorded);
            lines.push('\n');
        }
        lines.push_str(line);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::rows::Status;
    use super::*;

    #[track_caller]
    fn output(arguments: &[&str]) -> (String, bool) {
        let matches = command().try_get_matches_from(arguments).unwrap();
        let mut out = Vec::new();
        let passes = match matches.subcommand().unwrap() {
            ("check", matches) => check(matches, &mut out),
            ("merge", matches) => merge(matches, &mut out),
            (_, matches) => play(matches, &mut out),
        };
        (String::from_utf8(out).unwrap(), passes.unwrap())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn the_embedded_ledger_has_no_malformed_row_and_adds_up() {
        let ledger = Ledger::parse(EMBEDDED);
        let verdict = report::judge(&ledger, &Demand { unresolved_max: usize::MAX, ..Demand::default() });
        assert!(verdict.passes(), "{:?}", verdict.problems);
        assert_eq!(ledger.render(), EMBEDDED, "the ledger is as `natsx parity merge` writes it");
        assert_eq!(verdict.total.rows(), 2_884);
    }

    #[test]
    fn rows_are_merged_into_the_file_and_the_summary_follows() {
        let directory = tempfile::tempdir().unwrap();
        let (file, rows) = (directory.path().join("d.md"), directory.path().join("rows.md"));
        fs::write(&file, EMBEDDED).unwrap();
        let name = &Ledger::parse(EMBEDDED).rows[0].name;
        fs::write(&rows, format!("{name} | Blocked | `m::refuses` | never |\nNo | such | row | Y | x |\n"))
            .unwrap();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let (out, all_merged) =
            output(&["parity", "merge", "--replace", "--file", &path(&file), &path(&rows)]);
        assert!(!all_merged && out.contains("1 rows changed, 1 lines refused"), "{out}");
        let (out, passes) =
            output(&["parity", "check", "--json", "--file", &path(&file), "--max-unresolved", "2884"]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let blocked = Ledger::parse(EMBEDDED).rows.iter().filter(|row| row.status == Status::Blocked).count();
        assert!(passes && json["total"]["Blocked"] == blocked + 1, "{}", json["total"]);
    }

    #[test]
    fn recorded_lines_replace_the_expected_ones() {
        let outcome = Outcome { recorded: vec![(3, "< new".to_owned())], ..Outcome::default() };
        assert_eq!(rewritten("> a\n< old\n=\n", &outcome), "> a\n< new\n=\n");
    }
}
