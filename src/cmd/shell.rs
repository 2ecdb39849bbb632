//! What a shell wants of a program: completions and man pages, made from the same rows as the help.

use clap::{Arg, Command};
use clap_complete::Shell;

use super::{Io, USAGE_ERROR, parse_words, top};

/// `natsx completions`.
pub fn completions_command() -> Command {
    Command::new("completions")
        .about("Print the completions for a shell")
        .arg(Arg::new("shell").required(true).help("Which shell").value_parser(clap::value_parser!(Shell)))
}

/// Prints the completions of the shell that is named.
pub fn completions(args: &[String], io: &mut Io<'_>) -> u8 {
    let matches = match parse_words(completions_command(), args, io) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let Some(shell) = matches.get_one::<Shell>("shell") else {
        return USAGE_ERROR;
    };
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut top(), "natsx", &mut script);
    write_all(io, &script)
}

/// `natsx man`.
pub fn man_command() -> Command {
    Command::new("man")
        .about("Print the man page of natsx, or of one of its commands")
        .arg(Arg::new("command").help("The command; without one, natsx itself"))
}

/// Prints a man page.
pub fn man(args: &[String], io: &mut Io<'_>) -> u8 {
    let matches = match parse_words(man_command(), args, io) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let mut command = top();
    command.build();
    if let Some(name) = matches.get_one::<String>("command") {
        match command.find_subcommand(name) {
            Some(found) => command = found.clone().display_name(format!("natsx-{name}")),
            None => {
                let _ = writeln!(io.err, "natsx: there is no command {name:?}; `natsx help` lists them");
                return USAGE_ERROR;
            }
        }
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => write_all(io, &page),
        Err(error) => {
            let _ = writeln!(io.err, "natsx: {error}");
            1
        }
    }
}

fn write_all(io: &mut Io<'_>, bytes: &[u8]) -> u8 {
    // A reader that went away (`| head`) is no failure of ours.
    let _ = io.out.write_all(bytes);
    0
}
