//! `natsx auth`: questions about who may do what, answered from a configuration without a running server.

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};

use super::{Io, USAGE_ERROR, auth_check, parse_words};
use crate::server::config::options::ConnectionType;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// `natsx auth` as clap knows it.
pub fn command() -> Command {
    Command::new("auth")
        .about("Ask a configuration who may connect and do what")
        .subcommand_required(true)
        .subcommand(check_command())
}

fn check_command() -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("check")
        .about("Which user would these credentials become, and may it publish or subscribe here?")
        .after_help(
            "Exit codes: 0 all of it is allowed, 1 something is not, 2 the question cannot be answered.\n\
             `-` for a password or a token reads it from standard input.",
        )
        .arg(file("config", "The server's configuration").short('c').required(true))
        .arg(text("user", "NAME", "Log in as this user"))
        .arg(text("pass", "TEXT", "With this password").visible_alias("password").requires("user"))
        .arg(text("token", "TEXT", "Log in with a token"))
        .arg(file("nkey", "Log in with the seed of a user in this file"))
        .arg(file("creds", "Log in with the claims and the seed of a .creds file"))
        .arg(file("cert", "Present the certificate in this PEM file; it counts as verified"))
        .arg(
            Arg::new("connection")
                .long("connection")
                .value_name("TYPE")
                .value_parser(|name: &str| ConnectionType::parse(name).ok_or("no type of connection"))
                .help("The type of connection: STANDARD (the default), WEBSOCKET, MQTT, ..."),
        )
        .arg(
            Arg::new("from")
                .long("from")
                .value_name("ADDRESS")
                .value_parser(value_parser!(IpAddr))
                .help("The address that it comes from (127.0.0.1)"),
        )
        .arg(text("publish", "SUBJECT", "May it publish here? Can be repeated").action(ArgAction::Append))
        .arg(text("subscribe", "SUBJECT", "May it subscribe here? Can be repeated").action(ArgAction::Append))
        .arg(text("queue", "NAME", "Subscribe in this queue group").requires("subscribe"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
        .group(ArgGroup::new("login").args(["user", "token", "nkey", "creds"]))
}

/// Runs what the words ask for.
pub fn run(args: &[String], io: &mut Io<'_>) -> u8 {
    let matches = match parse_words(command(), args, io) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    match matches.subcommand() {
        Some(("check", matches)) => check(matches, io),
        _ => USAGE_ERROR,
    }
}

fn check(matches: &ArgMatches, io: &mut Io<'_>) -> u8 {
    match question(matches).and_then(|question| auth_check::answer(&question)) {
        Ok(answer) => {
            let text = if matches.get_flag("json") { answer.json() } else { answer.text() };
            let _ = writeln!(io.out, "{text}");
            u8::from(!answer.is_yes())
        }
        Err(error) => {
            let _ = writeln!(io.err, "natsx auth check: {error}");
            USAGE_ERROR
        }
    }
}

fn question(matches: &ArgMatches) -> Result<auth_check::Question, String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let secret = |name: &str| text(name).map(given).transpose();
    let file = |name: &str| matches.get_one::<PathBuf>(name).map(read).transpose();
    let list = |name: &str| -> Vec<String> {
        matches.get_many::<String>(name).into_iter().flatten().cloned().collect()
    };
    let config = matches.get_one::<PathBuf>("config").cloned().unwrap_or_default();
    Ok(auth_check::Question {
        config,
        user: text("user"),
        password: secret("pass")?,
        token: secret("token")?,
        nkey: file("nkey")?,
        creds: file("creds")?,
        certificate: file("cert")?,
        connection: matches.get_one("connection").copied().unwrap_or(ConnectionType::Standard),
        from: matches.get_one("from").copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        publish: list("publish"),
        subscribe: list("subscribe"),
        queue: text("queue"),
    })
}

fn read(path: &PathBuf) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A secret as it is given, or the first line of standard input for `-`.
fn given(text: String) -> Result<String, String> {
    if text != "-" {
        return Ok(text);
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
