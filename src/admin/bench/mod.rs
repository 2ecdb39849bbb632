//! `natsx bench`: loads any NATS server and says what came of it.
//!
//! [`scenario`] names what can be run, [`plan`] spells it out; [`load`] (publish/subscribe),
//! [`request`] and [`connections`] run it over [`wire`], our own few lines of the protocol;
//! [`server_figures`] reads what the server's process cost; [`report`] shows it.

#![expect(clippy::disallowed_methods, reason = "a load generator has threads, files of /proc and a clock")]

pub mod scenario;
pub mod plan;
pub mod bounds;
pub mod load;
pub mod shared;
mod busy;
mod publisher;
mod receiver;
pub mod request;
pub mod connections;
pub mod fixed;
pub mod wire;
pub mod histogram;
pub mod server_figures;
pub mod report;
pub mod runner;
#[cfg(test)]
mod bench_test;

use std::fmt::Display;
use std::io::{IsTerminal as _, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use load::Amount;
use report::Outcome;
use runner::{Settings, run_scenario};
use scenario::{GROUPS, SCENARIOS, Scenario, parse_sizes};
use wire::{Login, Target};

/// Steps of the progress bar.
const PROGRESS_STEPS: u64 = 1_000;

/// The command line of `natsx bench`.
pub fn command() -> Command {
    let number = |name: &'static str, range: RangeInclusive<usize>, help: &'static str| {
        let parse = move |text: &str| within(text, &range);
        Arg::new(name).long(name).value_name("N").value_parser(parse).help(help)
    };
    let count = |name: &'static str, range: RangeInclusive<u64>, help: &'static str| {
        let parse = move |text: &str| within(text, &range);
        Arg::new(name).long(name).value_name("N").value_parser(parse).help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("bench")
        .about("Load a NATS server with named scenarios and report what it costs")
        .after_help(scenario_help())
        .arg(
            Arg::new("scenario")
                .value_name("SCENARIO")
                .num_args(0..)
                .help("Scenarios or groups to run (default: quick)"),
        )
        .arg(
            Arg::new("also")
                .long("scenario")
                .value_name("SCENARIO")
                .action(ArgAction::Append)
                .help("The same as naming it without the option"),
        )
        .arg(
            Arg::new("server")
                .long("server")
                .short('s')
                .value_name("URL")
                .default_value("nats://127.0.0.1:4222")
                .value_parser(|text: &str| Target::parse(text).map_err(|error| error.to_string()))
                .help("The server: [nats://][user:password@|token@]host[:port]"),
        )
        .arg(text("user", "NAME", "Log in as this user"))
        .arg(
            text("password", "TEXT", "With this password; `-` reads it from standard input").requires("user"),
        )
        .arg(text("token", "TEXT", "Log in with a token; `-` reads it from standard input"))
        .arg(file("creds", "Log in with the JWT and seed of a .creds file"))
        .arg(file("nkey", "Log in with the seed in a file"))
        .group(ArgGroup::new("login").args(["user", "token", "creds", "nkey"]))
        .arg(
            Arg::new("server-pid")
                .long("server-pid")
                .value_name("PID")
                .value_parser(value_parser!(u32).range(1..))
                .help("The server's process on this machine: adds its CPU time and memory"),
        )
        .arg(number(
            "publishers",
            0..=bounds::PUBLISHERS_MAX,
            "Publishing (requesting, storming) connections",
        ))
        .arg(number("subscribers", 0..=bounds::SUBSCRIBERS_MAX, "Subscribing (responding) connections"))
        .arg(number("subjects", bounds::SUBJECTS, "Distinct subjects"))
        .arg(number("connections", bounds::CONNECTIONS, "Idle connections, or connects of a storm"))
        .arg(
            Arg::new("size")
                .long("size")
                .value_name("BYTES")
                .value_parser(parse_sizes)
                .help("Payload bytes, or a range of them: 128, 4k, 16-1024"),
        )
        .arg(
            count("messages", bounds::MESSAGES, "Messages (requests) by all publishers together")
                .conflicts_with("duration"),
        )
        .arg(
            Arg::new("duration")
                .long("duration")
                .value_name("TIME")
                .value_parser(parse_duration)
                .help("Run for so long instead of a number of messages: 10s, 500ms, 1m"),
        )
        .arg(count("rate", bounds::RATE, "Messages (requests) a second by all publishers together"))
        .arg(number("block", bounds::BLOCK, "Bytes that a publisher writes at once (default: 65536)"))
        .arg(count("window", bounds::WINDOW, "Bytes that may be on their way to subscribers, all together"))
        .arg(number("receivers", bounds::RECEIVERS, "Threads that receive (default: 1)"))
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("TIME")
                .default_value("30s")
                .value_parser(parse_duration)
                .help("How long anything may take: silence after which what is missing counts as lost"),
        )
        .arg(number("repeat", bounds::REPEAT, "Run each scenario so many times"))
        .arg(
            Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON: one array of results"),
        )
        .arg(Arg::new("no-progress").long("no-progress").action(ArgAction::SetTrue).help("No progress bar"))
}

fn scenario_help() -> String {
    let mut help = "Scenarios:\n".to_owned();
    for scenario in SCENARIOS {
        help.push_str(&format!("  {:<14} {}\n", scenario.name, scenario.about));
    }
    help.push_str("Groups:\n");
    for (group, names) in GROUPS {
        help.push_str(&format!("  {group:<14} {}\n", names.join(", ")));
    }
    help.push_str("  all            everything but fixed\n");
    help
}

/// Runs what the arguments of [`command`] ask for.
pub fn run(matches: &ArgMatches) -> ExitCode {
    run_to(matches, &mut std::io::stdout().lock(), &mut std::io::stderr())
}

fn run_to(matches: &ArgMatches, out: &mut dyn Write, complaints: &mut dyn Write) -> ExitCode {
    let scenarios = match chosen(matches) {
        Ok(scenarios) => scenarios,
        Err(unknown) => {
            let _ = writeln!(complaints, "natsx bench: no scenario named {unknown:?}; --help lists them");
            return ExitCode::from(2);
        }
    };
    let settings = match settings(matches) {
        Ok(settings) => settings,
        Err(error) => {
            let _ = writeln!(complaints, "natsx bench: {error}");
            return ExitCode::from(2);
        }
    };
    for scenario in &scenarios {
        if let Err(why) = fits(scenario, &settings, matches) {
            let _ = writeln!(complaints, "natsx bench: {}: {why}", scenario.name);
            return ExitCode::from(2);
        }
    }
    let repeat = matches.get_one::<usize>("repeat").copied().unwrap_or(1);
    let mut results = Vec::new();
    for scenario in &scenarios {
        for _ in 0..repeat {
            let bar = progress_bar(matches, scenario.name);
            let outcome = run_scenario(&settings, scenario, &mut |share| {
                bar.set_position((share.clamp(0.0, 1.0) * PROGRESS_STEPS as f64) as u64);
            });
            bar.finish_and_clear();
            results.push(outcome.map_or_else(
                |error| {
                    let _ = writeln!(complaints, "natsx bench: {}: {error}", scenario.name);
                    Run::Failed { scenario: scenario.name, error: error.to_string() }
                },
                |outcome| Run::Done(Box::new(outcome)),
            ));
        }
    }
    let failed = results.iter().any(|run| matches!(run, Run::Failed { .. }));
    let written = show(&results, matches.get_flag("json"), out);
    if failed || written.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What a script gets of one run.
#[derive(Serialize)]
#[serde(untagged)]
enum Run {
    Done(Box<Outcome>),
    Failed { scenario: &'static str, error: String },
}

fn show(results: &[Run], as_json: bool, out: &mut dyn Write) -> std::io::Result<()> {
    if as_json {
        return writeln!(out, "{}", serde_json::to_string_pretty(results)?);
    }
    let outcomes: Vec<&Outcome> = results
        .iter()
        .filter_map(|run| match run {
            Run::Done(outcome) => Some(outcome.as_ref()),
            Run::Failed { .. } => None,
        })
        .collect();
    if outcomes.is_empty() { Ok(()) } else { writeln!(out, "{}", report::table(&outcomes)) }
}

/// Says in a sentence why `scenario` cannot be run with these options, if it cannot.
fn fits(scenario: &Scenario, settings: &Settings, matches: &ArgMatches) -> Result<(), String> {
    let given = ["messages", "duration", "rate"].into_iter().filter(|option| matches.contains_id(option));
    match given.filter_map(|option| bounds::refusal(scenario.kind, option)).next() {
        Some(refusal) => Err(refusal),
        None => bounds::check(scenario, settings),
    }
}

/// A number in decimal, within `range`.
fn within<T: FromStr + PartialOrd + Display>(text: &str, range: &RangeInclusive<T>) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("expected a number from {} to {}", range.start(), range.end()))
}

fn chosen(matches: &ArgMatches) -> Result<Vec<Scenario>, String> {
    let named = ["scenario", "also"].into_iter().filter_map(|id| matches.get_many::<String>(id)).flatten();
    let mut names: Vec<&str> = named.flat_map(|names| names.split(',')).collect();
    if names.is_empty() {
        names.push("quick");
    }
    let mut chosen = Vec::new();
    for name in names {
        let found = scenario::by_name(name);
        if found.is_empty() {
            return Err(name.to_owned());
        }
        chosen.extend(found);
    }
    for scenario in &mut chosen {
        change(scenario, matches);
    }
    Ok(chosen)
}

fn change(scenario: &mut Scenario, matches: &ArgMatches) {
    let set = |field: &mut usize, name: &str| {
        if let Some(number) = matches.get_one::<usize>(name) {
            *field = *number;
        }
    };
    set(&mut scenario.publishers, "publishers");
    set(&mut scenario.subscribers, "subscribers");
    set(&mut scenario.subjects, "subjects");
    set(&mut scenario.connections, "connections");
    if let Some(size) = matches.get_one::<RangeInclusive<usize>>("size") {
        scenario.size = size.clone();
    }
    if let Some(messages) = matches.get_one::<u64>("messages") {
        scenario.messages = *messages;
    }
}

fn settings(matches: &ArgMatches) -> Result<Settings, String> {
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    let mut settings = Settings::new(match matches.get_one::<Target>("server") {
        Some(target) => target.clone(),
        None => Target::parse("127.0.0.1").map_err(|error| error.to_string())?,
    });
    if let Some(login) = login(matches)? {
        settings.target.login = login;
    }
    settings.server_pid = matches.get_one::<u32>("server-pid").copied();
    settings.duration = matches.get_one::<Duration>("duration").copied();
    settings.rate = number("rate");
    settings.window_bytes = number("window");
    if let Some(block) = matches.get_one::<usize>("block") {
        settings.block_bytes = *block;
    }
    if let Some(receivers) = matches.get_one::<usize>("receivers") {
        settings.receivers = *receivers;
    }
    if let Some(timeout) = matches.get_one::<Duration>("timeout") {
        settings.target.patience = *timeout;
    }
    Ok(settings)
}

/// Who to be, where the command line says so: by name and password, a token, or a file of credentials.
fn login(matches: &ArgMatches) -> Result<Option<Login>, String> {
    let given = |name: &str| matches.get_one::<String>(name);
    if let Some(name) = given("user") {
        let password = given("password").map_or(Ok(String::new()), |password| secret(password))?;
        return Ok(Some(Login::User { name: name.clone(), password }));
    }
    if let Some(token) = given("token") {
        return secret(token).map(|token| Some(Login::Token(token)));
    }
    type Reader = fn(&str) -> Result<Login, String>;
    let readers: [(&str, Reader); 2] = [("creds", Login::from_creds_file), ("nkey", Login::from_nkey_file)];
    for (name, reader) in readers {
        if let Some(path) = matches.get_one::<PathBuf>(name) {
            let named = |error: String| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
            return reader(&text).map(Some).map_err(named);
        }
    }
    Ok(None)
}

/// A secret as it is given, or the first line of standard input for `-`.
fn secret(given: &str) -> Result<String, String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn progress_bar(matches: &ArgMatches, name: &'static str) -> ProgressBar {
    let quiet = matches.get_flag("no-progress") || matches.get_flag("json");
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>14} [{bar:40}] {percent:>3} % {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ");
    ProgressBar::new(PROGRESS_STEPS).with_style(style).with_prefix(name)
}

/// `10s`, `500ms`, `2m`; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match text.get(digits.len()..) {
        Some("ms") => 1.0,
        Some("" | "s") => 1e3,
        Some("m") => 60e3,
        Some("h") => 3600e3,
        _ => f64::NAN,
    };
    let ms = digits.parse::<f64>().unwrap_or(f64::NAN) * unit_ms;
    if (1.0..=bounds::TIME_MAX.as_secs_f64() * 1e3).contains(&ms) {
        return Ok(Duration::from_secs_f64(ms / 1e3));
    }
    Err("expected a time as in 10s, 500ms or 2m, from 1ms to 720h".to_owned())
}

/// How much of a scenario is run: its messages, unless a time is set.
fn amount(scenario: &Scenario, duration: Option<Duration>) -> Amount {
    duration.map_or(Amount::Messages(scenario.messages), Amount::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(line: &[&str]) -> ArgMatches {
        command().try_get_matches_from([&["bench"], line].concat()).unwrap()
    }

    #[test]
    fn every_scenario_and_group_is_in_the_help_and_can_be_chosen() {
        let help = command().render_long_help().to_string();
        let groups = GROUPS.iter().map(|(group, _)| *group);
        for name in SCENARIOS.iter().map(|scenario| scenario.name).chain(groups).chain(["all"]) {
            assert!(help.contains(name), "{name}");
            assert!(!chosen(&matches(&[name])).unwrap().is_empty(), "{name}");
        }
    }

    #[test]
    fn names_come_with_or_without_the_option_and_with_sizes() {
        let chosen = chosen(&matches(&["publish,one-to-one@4k", "--scenario", "mixed@1-2"])).unwrap();
        let have: Vec<_> = chosen.iter().map(|scenario| (scenario.name, scenario.size.clone())).collect();
        assert_eq!(have, [("publish", 128..=128), ("one-to-one", 4096..=4096), ("mixed", 1..=2)]);
    }

    #[test]
    fn figures_on_the_command_line_replace_the_scenarios() {
        let line =
            ["one-to-one", "--publishers", "3", "--subscribers", "2", "--size", "4k", "--messages", "7"];
        let chosen = chosen(&matches(&line)).unwrap().remove(0);
        assert_eq!((chosen.publishers, chosen.subscribers, chosen.messages), (3, 2, 7));
        assert_eq!(chosen.size, 4096..=4096);
        let settings =
            settings(&matches(&["--rate", "5", "--duration", "1500ms", "--server-pid", "12"])).unwrap();
        assert_eq!((settings.rate, settings.server_pid), (Some(5), Some(12)));
        assert_eq!(settings.duration, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn one_way_to_log_in_can_be_named() {
        let login = |line: &[&str]| login(&matches(line)).unwrap();
        let user = Login::User { name: "joe".to_owned(), password: "s3cret".to_owned() };
        assert_eq!(login(&["--user", "joe", "--password", "s3cret"]), Some(user));
        assert_eq!(login(&["--token", "t"]), Some(Login::Token("t".to_owned())));
        assert_eq!(login(&[]), None);
        for line in
            [&["--user", "joe", "--token", "t"][..], &["--password", "x"], &["--creds", "a", "--nkey", "b"]]
        {
            assert!(command().try_get_matches_from([&["bench"], line].concat()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn an_unknown_scenario_is_a_usage_error() {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let code = run_to(&matches(&["nonsense"]), &mut out, &mut complaints);
        assert_eq!(code, ExitCode::from(2));
        assert!(out.is_empty());
        assert!(String::from_utf8(complaints).unwrap().contains("nonsense"));
    }

    #[test]
    fn a_server_that_is_not_there_is_a_failure_with_its_address() {
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let line = matches(&["publish", "--server", "127.0.0.1:1", "--json"]);
        assert_eq!(run_to(&line, &mut out, &mut complaints), ExitCode::FAILURE);
        let results: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(results[0]["scenario"], "publish");
        assert!(results[0]["error"].as_str().unwrap().contains("127.0.0.1:1"), "{results}");
        assert!(String::from_utf8(complaints).unwrap().contains("127.0.0.1:1"));
    }

    #[track_caller]
    fn check_refusal(line: &[&str], want: &str) {
        let said = match command().try_get_matches_from([&["bench"], line].concat()) {
            Err(error) => error.to_string(),
            Ok(matches) => {
                let (mut out, mut complaints) = (Vec::new(), Vec::new());
                assert_eq!(run_to(&matches, &mut out, &mut complaints), ExitCode::from(2), "{line:?}");
                String::from_utf8(complaints).unwrap()
            }
        };
        assert!(said.contains(want), "{line:?}: {said}");
    }

    #[test]
    fn more_than_a_machine_can_do_is_refused_before_anything_is_planned() {
        let most = u64::MAX.to_string();
        for option in ["publishers", "subscribers", "subjects", "connections", "messages", "rate"] {
            check_refusal(&["one-to-one", &format!("--{option}"), &most], "expected a number from ");
        }
        check_refusal(&["one-to-one", "--receivers", &most], "expected a number from 1 to 256");
        check_refusal(&["one-to-one", "--block", "0"], "expected a number from 1 to 67108864");
        check_refusal(&["publish", "--size", "64m", "--publishers", "100"], "is more than the 1073741824");
        check_refusal(&["request", "--size", "64m", "--subscribers", "100"], "is more than the 1073741824");
        let wide = ["fan-out-200", "--subjects", "10000000"];
        check_refusal(&wide, "subscriptions: 2000000000 is more than the 20000000");
    }

    #[test]
    fn nobody_and_options_that_mean_nothing_are_refused_with_a_sentence() {
        check_refusal(&["one-to-one", "--publishers", "0"], "one-to-one: --publishers 0: nobody would send");
        check_refusal(&["one-to-one", "--subscribers", "0"], "`publish` is the scenario for that");
        check_refusal(&["request", "--subscribers", "0"], "--subscribers 0: nobody would receive");
        check_refusal(&["connections", "--duration", "1s"], "--duration does not go with it");
        check_refusal(&["connections", "--rate", "1"], "--rate does not go with it");
        check_refusal(&["storm", "--messages", "1"], "--connections says how often it connects");
        check_refusal(&["fixed", "--rate", "1"], "step by step");
    }

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(parse_sizes("128"), Ok(128..=128));
        assert_eq!(parse_sizes("16-1k"), Ok(16..=1024));
        for wrong in ["", "x", "5-4", "-1", "1g", "65m", "99999999999999999999k"] {
            assert!(parse_sizes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["", "s", "-1s", "0", "0.1ms", "721h", "5x", "1e300h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
