//! Two servers side by side: `cargo bench --bench compare -- --a "nats-server …" --b "natsx …"`.
//!
//! For each scenario of `natsx bench` it starts the servers alternately (A B A B …, a fresh
//! process each time), and prints medians and their ratios. `--write` puts the table, with its
//! recipe, versions and machine, into a Markdown file between two marks.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench starts processes and prints")]

mod machine;
mod server;
mod table;

use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};
use natsx::admin::bench::report::Outcome;
use natsx::admin::bench::runner::{Settings, run_scenario};
use natsx::admin::bench::scenario::{self, Scenario};

use machine::Machine;
use server::Server;
use table::{Comparison, Side};

/// What is compared unless scenarios are named: each shape for which there is a goal.
const SCENARIOS: &str = "publish@16,publish,one-to-one@16,one-to-one,one-to-one@4k,fan-out-20,fan-out-200,wildcard,\
    four-to-four,queue-2-4,queue-4-4,mixed,mixed-4,request@64,request,request-20,request-flood,\
    subjects-200k,subjects-1m,connections,storm";

fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("compare")
        .about("Compare two NATS servers, scenario by scenario, in alternating runs")
        .arg(
            option("a", "COMMAND", "The server to compare with; {port} stands for the port")
                .default_value("nats-server -a 127.0.0.1 -p {port}"),
        )
        .arg(
            option("b", "COMMAND", "The server in question (default: this package's natsx)")
                .default_value(concat!(env!("CARGO_BIN_EXE_natsx"), " serve -a 127.0.0.1 -p {port}")),
        )
        .arg(option("a-name", "NAME", "What A is called").default_value("reference"))
        .arg(option("b-name", "NAME", "What B is called").default_value("natsx"))
        .arg(
            option("pairs", "N", "Runs of each server a scenario")
                .default_value("5")
                .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(
            option("scenario", "NAMES", "Scenarios of natsx bench, with commas; @ adds a payload size")
                .default_value(SCENARIOS)
                .hide_default_value(true),
        )
        .arg(option("messages", "N", "Messages of each scenario").value_parser(value_parser!(u64).range(1..)))
        .arg(option("write", "FILE", "Put the table into this Markdown file, between its marks"))
        .arg(option("json", "FILE", "Write every run's figures into this file"))
        .arg(option("note", "TEXT", "A sentence about these circumstances, for the table's foot"))
        // What cargo adds to every bench's command line.
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

fn main() -> ExitCode {
    match compare(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(matches: &clap::ArgMatches) -> Result<(), String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let pairs = matches.get_one::<u32>("pairs").copied().unwrap_or(1);
    let messages = matches.get_one::<u64>("messages").copied();
    let mut sides = [Side::new(text("a-name"), text("a")), Side::new(text("b-name"), text("b"))];
    let machine = Machine::here();
    let mut comparisons = Vec::new();
    let mut failures = 0;
    for name in text("scenario").split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let scenarios = scenario::by_name(name);
        if scenarios.is_empty() {
            return Err(format!("no scenario named {name:?}"));
        }
        for mut scenario in scenarios {
            scenario.messages = messages.unwrap_or(scenario.messages);
            let mut comparison = Comparison::new(&scenario);
            for pair in 1..=pairs {
                let [a, b] = &mut sides;
                // Both or none, so that neighbouring runs stay pairs.
                match run_once(a, &scenario).and_then(|first| Ok([first, run_once(b, &scenario)?])) {
                    Ok(outcomes) => comparison.add(outcomes),
                    Err(error) => {
                        println!("compare: {}: {error}", scenario.name);
                        comparison.fail(error);
                        failures += 1;
                    }
                }
                println!("{pair}/{pairs} {}", comparison.line());
            }
            comparisons.push(comparison);
            // After each scenario: what was measured stays if the rest is interrupted.
            if matches.contains_id("json") {
                let json = serde_json::to_string_pretty(&comparisons).map_err(|error| error.to_string())?;
                std::fs::write(text("json"), json).map_err(|error| error.to_string())?;
            }
            if matches.contains_id("write") {
                let page = table::markdown(&comparisons, &sides, &machine, pairs, &text("note"));
                table::write_between_marks(&text("write"), &page)?;
            }
        }
    }
    println!("\n{}", table::terminal(&comparisons, &sides));
    if failures == 0 { Ok(()) } else { Err(format!("{failures} pairs failed")) }
}

/// One scenario against a fresh process.
fn run_once(side: &mut Side, scenario: &Scenario) -> Result<Outcome, String> {
    let server = Server::start(&side.command)?;
    side.version.get_or_insert_with(|| server.version());
    let mut settings = Settings::new(server.target().clone());
    settings.server_pid = Some(server.pid());
    let outcome =
        run_scenario(&settings, scenario, &mut |_| ()).map_err(|error| format!("{}: {error}", side.name));
    server.stop();
    outcome
}
