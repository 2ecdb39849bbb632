//! The command line of the one binary: parse, dispatch, exit code.
//!
//! Two programs in one. Called by the name `nats-server` (through a link) it is that program. As `natsx`
//! the first word names one of [`COMMANDS`]; flags without a word mean `serve`.

#![expect(
    clippy::disallowed_methods,
    reason = "the command line reads files, starts threads and asks the time"
)]

pub mod flags;
pub mod go_style;
pub mod serve;
pub mod load;
pub mod tell;
pub mod redact;
pub mod tls_help;
pub mod shell;
pub mod passwd;
pub mod auth;
pub mod auth_check;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::admin::bench;
use crate::parity;
use crate::server::run::REFERENCE_VERSION;

/// The version of natsx itself.
pub const NATSX: &str = env!("CARGO_PKG_VERSION");

/// Where a command speaks to: standard output and standard error, or a test's buffers.
pub struct Io<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// What went wrong.
    pub err: &'a mut dyn Write,
}

/// Which of the two programs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The reference's name.
    NatsServer,
    /// Ours.
    Natsx,
}

impl Program {
    /// By the path that the process was called by.
    pub fn called_by(path: &str) -> Self {
        match Path::new(path).file_name().and_then(|name| name.to_str()) {
            Some("nats-server") => Self::NatsServer,
            _ => Self::Natsx,
        }
    }

    /// As messages and usage texts name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NatsServer => "nats-server",
            Self::Natsx => "natsx",
        }
    }

    /// What `--version` prints.
    pub fn version_line(self) -> String {
        match self {
            Self::NatsServer => format!("nats-server: v{REFERENCE_VERSION}"),
            Self::Natsx => format!("natsx: v{NATSX}"),
        }
    }
}

/// A sub-command of natsx.
pub struct SubCommand {
    /// The word that calls it.
    pub name: &'static str,
    /// As help, man page and completions describe it.
    pub command: fn() -> clap::Command,
    /// Runs it with the words behind its name; gives the exit code.
    pub run: fn(&[String], &mut Io<'_>) -> ExitCode,
}

/// The sub-commands, in the order of the help text. A new one is one row.
pub const COMMANDS: &[SubCommand] = &[
    SubCommand {
        name: "serve",
        command: || flags::command("serve"),
        run: |args, io| ExitCode::from(serve::run(Program::Natsx, args, io)),
    },
    SubCommand {
        name: "bench",
        command: bench::command,
        run: |args, io| {
            redact::hide_from_others();
            with_clap(bench::command, bench::run, args, io)
        },
    },
    SubCommand {
        name: "parity",
        command: parity::command,
        run: |args, io| with_clap(parity::command, parity::run, args, io),
    },
    SubCommand {
        name: "passwd",
        command: passwd::command,
        run: |args, io| ExitCode::from(passwd::run(args, io)),
    },
    SubCommand { name: "auth", command: auth::command, run: |args, io| ExitCode::from(auth::run(args, io)) },
    SubCommand {
        name: "completions",
        command: shell::completions_command,
        run: |args, io| ExitCode::from(shell::completions(args, io)),
    },
    SubCommand {
        name: "man",
        command: shell::man_command,
        run: |args, io| ExitCode::from(shell::man(args, io)),
    },
];

/// Exit code of a command line that natsx cannot understand.
pub const USAGE_ERROR: u8 = 2;

/// The process's entry: reads the arguments, runs, gives the exit code.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os().map(lossy).collect();
    let mut io = Io { out: &mut std::io::stdout(), err: &mut std::io::stderr() };
    run(&args, &mut io)
}

fn lossy(arg: OsString) -> String {
    arg.into_string().unwrap_or_else(|arg| arg.to_string_lossy().into_owned())
}

/// Runs the command line `args`, the program's name included; gives the exit code.
pub fn run(args: &[String], io: &mut Io<'_>) -> ExitCode {
    let (path, args) = args.split_first().map_or(("", args), |(path, args)| (path.as_str(), args));
    if Program::called_by(path) == Program::NatsServer {
        return ExitCode::from(serve::run(Program::NatsServer, args, io));
    }
    let Some((word, rest)) = args.split_first() else {
        let _ = write!(io.err, "{}", top().render_help());
        return ExitCode::from(USAGE_ERROR);
    };
    match word.as_str() {
        "help" | "-h" | "--help" => help(rest, io),
        "version" | "-v" | "--version" if rest.is_empty() => {
            for program in [Program::Natsx, Program::NatsServer] {
                let _ = writeln!(io.out, "{}", program.version_line());
            }
            ExitCode::SUCCESS
        }
        word if word.starts_with('-') => ExitCode::from(serve::run(Program::Natsx, args, io)),
        word => match COMMANDS.iter().find(|command| command.name == word) {
            Some(command) => (command.run)(rest, io),
            None => unknown(word, io),
        },
    }
}

/// `natsx help` and `natsx help <command>`.
fn help(words: &[String], io: &mut Io<'_>) -> ExitCode {
    let Some(word) = words.first() else {
        let _ = write!(io.out, "{}", top().render_help());
        return ExitCode::SUCCESS;
    };
    match COMMANDS.iter().find(|command| command.name == word) {
        Some(command) if command.name == "serve" => {
            let _ = write!(io.out, "{}", flags::usage("natsx serve"));
            ExitCode::SUCCESS
        }
        Some(command) => {
            let _ = write!(io.out, "{}", (command.command)().bin_name(format!("natsx {word}")).render_help());
            ExitCode::SUCCESS
        }
        None => unknown(word, io),
    }
}

fn unknown(word: &str, io: &mut Io<'_>) -> ExitCode {
    let _ = writeln!(io.err, "natsx: there is no command {word:?}; `natsx help` lists them");
    ExitCode::from(USAGE_ERROR)
}

/// Runs a sub-command that clap describes and that prints by itself.
fn with_clap(
    command: fn() -> clap::Command,
    run: fn(&clap::ArgMatches) -> ExitCode,
    args: &[String],
    io: &mut Io<'_>,
) -> ExitCode {
    match parse_words(command(), args, io) {
        Ok(matches) => run(&matches),
        Err(code) => ExitCode::from(code),
    }
}

/// natsx as clap knows it, built from [`COMMANDS`].
pub fn top() -> clap::Command {
    let top = clap::Command::new("natsx")
        .about("A NATS server: same clients, same wire, same configuration as nats-server")
        .version(NATSX)
        .disable_version_flag(true)
        .arg(
            clap::Arg::new("version")
                .short('v')
                .long("version")
                .action(clap::ArgAction::Version)
                .help("Print the version"),
        )
        .subcommand_required(true);
    COMMANDS.iter().fold(top, |top, command| top.subcommand((command.command)()))
}

/// Reads the words of a sub-command that clap describes. An error is the exit code, everything said.
pub fn parse_words(command: clap::Command, args: &[String], io: &mut Io<'_>) -> Result<clap::ArgMatches, u8> {
    let name = command.get_name().to_owned();
    let words = std::iter::once(format!("natsx {name}")).chain(args.iter().cloned());
    command.bin_name(format!("natsx {name}")).try_get_matches_from(words).map_err(|error| {
        if error.use_stderr() {
            let _ = write!(io.err, "{error}");
            return USAGE_ERROR;
        }
        let _ = write!(io.out, "{error}");
        0
    })
}

#[cfg(test)]
#[path = "cmd_test.rs"]
mod tests;
