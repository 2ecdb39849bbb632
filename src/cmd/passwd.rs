//! `natsx passwd`: a bcrypt hash for a password of the configuration.
//!
//! The password comes from a prompt that shows nothing, from standard input where that is no terminal, or
//! is made up; never from the command line, which other users of the machine can read.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use clap::{Arg, ArgAction, Command, value_parser};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::{Io, parse_words};

/// Characters that a password must have. The NATS tools ask for as many.
const PASSWORD_CHARS_MIN: usize = 22;
/// Bytes that bcrypt looks at; longer passwords are refused, as the NATS tools do.
const PASSWORD_BYTES_MAX: usize = 72;
/// Cost unless told otherwise: 2^11 rounds, as the NATS tools.
const COST: u32 = 11;
/// Bytes of a line that a terminal hands over at once.
const LINE_BYTES_MAX: usize = 4096;
/// What a terminal sends for ctrl-C.
const CTRL_C: u8 = 3;
/// What a password that is made up consists of.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// Where passwords come from.
pub trait Source {
    /// Somebody is there to be asked.
    fn is_terminal(&self) -> bool;

    /// Asks with `prompt` and gives the line that is typed, which is not shown.
    ///
    /// # Errors
    /// As the system says.
    fn ask(&mut self, prompt: &str) -> io::Result<String>;

    /// All of standard input, as far as a password can be long.
    ///
    /// # Errors
    /// As the system says.
    fn read(&mut self) -> io::Result<String>;
}

/// `natsx passwd` as clap knows it.
pub fn command() -> Command {
    Command::new("passwd")
        .about("Print the bcrypt hash of a password, for the configuration of a server")
        .after_help(
            "The password is asked for, or read from standard input where that is no terminal.\n\
             In a configuration: authorization { user: joe, password: \"$2a$11$...\" }",
        )
        .arg(
            Arg::new("cost")
                .long("cost")
                .short('c')
                .value_name("N")
                .value_parser(value_parser!(u32).range(4..=31))
                .help("How costly to check, 4 to 31: each step doubles the time (default: 11)"),
        )
        .arg(
            Arg::new("generate")
                .long("generate")
                .short('g')
                .action(ArgAction::SetTrue)
                .help("Make up a password, and print it as well"),
        )
}

/// Runs it with this process's terminal.
pub fn run(args: &[String], io: &mut Io<'_>) -> u8 {
    run_with(args, io, &mut Terminal)
}

/// Runs it with passwords from `source`.
pub fn run_with(args: &[String], io: &mut Io<'_>, source: &mut impl Source) -> u8 {
    let matches = match parse_words(command(), args, io) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let cost = matches.get_one::<u32>("cost").copied().unwrap_or(COST);
    let is_generated = matches.get_flag("generate");
    let password = if is_generated { generated() } else { given(source) };
    let hashed = password.and_then(|password| {
        let hash = bcrypt::hash_with_result(&password, cost).map_err(|error| error.to_string())?;
        // Checked alike under each letter; this is the one that the NATS tools write.
        Ok((password, hash.format_for_version(bcrypt::Version::TwoA)))
    });
    match hashed {
        Ok((password, hash)) if is_generated => {
            let _ = writeln!(io.out, "Generated password: {password}\n       bcrypt hash: {hash}");
            0
        }
        Ok((_, hash)) => {
            let _ = writeln!(io.out, "{hash}");
            0
        }
        Err(error) => {
            let _ = writeln!(io.err, "natsx passwd: {error}");
            1
        }
    }
}

/// The password that somebody types, twice, or that is piped in.
fn given(source: &mut impl Source) -> Result<String, String> {
    let could_not = |error: io::Error| format!("could not read password: {error}");
    let password = if source.is_terminal() {
        let password = source.ask("Enter password: ").map_err(could_not)?;
        if password != source.ask("Reenter password: ").map_err(could_not)? {
            return Err("passwords do not match".to_owned());
        }
        password
    } else {
        source.read().map_err(could_not)?.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(format!("password should be at least {PASSWORD_CHARS_MIN} characters long"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("password should be at most {PASSWORD_BYTES_MAX} bytes long"));
    }
    if password.contains('\0') {
        return Err("password should not contain a zero byte".to_owned());
    }
    Ok(password)
}

/// A password of the shortest length allowed: 132 bits of chance.
fn generated() -> Result<String, String> {
    let mut bytes = [0; PASSWORD_CHARS_MIN];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty()).map_err(|error| error.to_string())?;
    if filled < PASSWORD_CHARS_MIN {
        return Err("the system has no chance to give".to_owned());
    }
    let letter = |byte: &u8| LETTERS.get(usize::from(byte & 63)).copied().map(char::from);
    Ok(bytes.iter().filter_map(letter).collect())
}

struct Terminal;

impl Source for Terminal {
    fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }

    fn ask(&mut self, prompt: &str) -> io::Result<String> {
        eprint!("{prompt}");
        io::stderr().flush()?;
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        // Ctrl-C ends the line instead of the process, which would leave a terminal that shows nothing.
        hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        hidden.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        let mut line = [0; LINE_BYTES_MAX];
        let read = io::stdin().lock().read(&mut line);
        tcsetattr(io::stdin(), OptionalActions::Flush, &shown)?;
        eprintln!();
        let line = line.get(..read?).unwrap_or_default();
        if line.contains(&CTRL_C) {
            return Err(io::Error::other("interrupted"));
        }
        let text = std::str::from_utf8(line).map_err(|_| io::Error::other("it is no text"))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn read(&mut self) -> io::Result<String> {
        let mut text = String::new();
        // More than a password can be long, so that a longer one shows.
        io::stdin().take(4 * PASSWORD_BYTES_MAX as u64).read_to_string(&mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "correct horse battery staple";

    /// Answers in turn; no answers are standard input that is no terminal.
    struct Answers {
        typed: Vec<&'static str>,
        piped: &'static str,
    }

    impl Source for Answers {
        fn is_terminal(&self) -> bool {
            !self.typed.is_empty()
        }

        fn ask(&mut self, _: &str) -> io::Result<String> {
            Ok(self.typed.remove(0).to_owned())
        }

        fn read(&mut self) -> io::Result<String> {
            Ok(self.piped.to_owned())
        }
    }

    fn say(args: &[&str], typed: &[&'static str], piped: &'static str) -> (u8, String, String) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut source = Answers { typed: typed.to_vec(), piped };
        let code = run_with(&args, &mut Io { out: &mut out, err: &mut err }, &mut source);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_is_piped_in_or_typed_twice_is_hashed() {
        for (typed, piped) in [(vec![], "correct horse battery staple\n"), (vec![LONG, LONG], "")] {
            let (code, out, err) = say(&["--cost", "4"], &typed, piped);
            assert_eq!((code, err.as_str()), (0, ""));
            let hash = out.trim_end();
            assert!(hash.starts_with("$2a$04$") && hash.len() == 60, "{hash}");
            assert!(bcrypt::verify(LONG, hash).unwrap());
        }
    }

    #[test]
    fn what_is_made_up_is_printed_with_its_hash() {
        let (code, out, _) = say(&["-g", "-c", "4"], &[], "");
        assert_eq!(code, 0);
        let (first, second) = out.split_once('\n').unwrap();
        let password = first.strip_prefix("Generated password: ").unwrap();
        let hash = second.trim_start().strip_prefix("bcrypt hash: ").unwrap().trim_end();
        assert_eq!(password.len(), PASSWORD_CHARS_MIN);
        assert!(bcrypt::verify(password, hash).unwrap());
        assert_ne!(out, say(&["-g", "-c", "4"], &[], "").1);
    }

    #[test]
    fn weak_and_mistyped_passwords_are_refused_and_not_shown() {
        let too_long = "x".repeat(73).leak();
        for (typed, piped, want) in [
            (vec![], "short", "password should be at least 22 characters long"),
            (vec![LONG, "correct horse battery stable"], "", "passwords do not match"),
            (vec![], &*too_long, "password should be at most 72 bytes long"),
            (vec![], "correct horse \0 battery staple", "password should not contain a zero byte"),
        ] {
            let (code, out, err) = say(&[], &typed, piped);
            assert_eq!((code, out.as_str(), err), (1, "", format!("natsx passwd: {want}\n")));
        }
    }

    #[test]
    fn costs_that_bcrypt_does_not_know_are_refused() {
        for cost in ["3", "32", "x"] {
            assert_eq!(say(&["-c", cost], &[], LONG).0, super::super::USAGE_ERROR);
        }
    }
}
