//! From the command line to options: the file's, with the flags written over them. The same at every
//! reload.

use std::path::{Path, PathBuf};

use super::flags::{self, FlagError, FlagValues};
use crate::server::config;
use crate::server::config::diagnose::{self, Severity};
use crate::server::config::load::Disk;
use crate::server::config::options::Options;

/// Where a server's options come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// What the command line said.
    pub flags: FlagValues,
}

/// Why there are no options. Texts as the reference prints them behind `nats-server: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("{0}")]
    Open(String),
    /// A file that the TLS flags name cannot be used.
    #[error("{0}")]
    TlsFiles(String),
    /// What the file says cannot be.
    #[error("{report}")]
    File {
        /// The findings as the reference tells them: a line each, but of syntax only the first.
        report: String,
        /// All findings, each with its source line and what may have been meant.
        explained: String,
    },
    /// A reload of a server that was started without a file.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// What the flags say cannot be.
    #[error(transparent)]
    Flag(#[from] FlagError),
}

impl LoadError {
    /// All that is known about it, for a person.
    pub fn explained(&self) -> String {
        match self {
            Self::File { explained, .. } => explained.trim_end().to_owned(),
            other => other.to_string(),
        }
    }
}

/// Options, and what is odd about the file they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// File, flags and defaults together.
    pub options: Options,
    /// Warnings, a line each with its end.
    pub warnings: String,
}

impl Source {
    /// Reads file and flags for a reload, which needs a file.
    pub fn load_again(&self) -> Result<Loaded, LoadError> {
        if self.config.is_none() {
            return Err(LoadError::NoFile);
        }
        self.load()
    }

    /// Reads the file, if any, and writes the flags over it.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut loaded = match &self.config {
            Some(path) => read(path)?,
            None => Loaded { options: Options::default(), warnings: String::new() },
        };
        flags::apply(&self.flags, &mut loaded.options)?;
        // What the file says of TLS was looked at when it was read.
        if let Some(tls) = loaded.options.tls.as_ref().filter(|_| self.flags.has_tls()) {
            config::read::check_tls_here(tls).map_err(LoadError::TlsFiles)?;
        }
        loaded.options.settle();
        Ok(loaded)
    }
}

/// Reads a configuration file. What is wrong with it is told as the reference does: a file that cannot be
/// parsed with its first mistake, one that can with all that was found, warnings first.
pub fn read(path: &Path) -> Result<Loaded, LoadError> {
    let name = path.to_string_lossy();
    let file = config::load::load(&name, &Disk).map_err(LoadError::Open)?;
    if let Some(first) = file.parsed.findings.first() {
        let explained = diagnose::explain(&file.parsed.findings, &file.parsed.sources);
        return Err(LoadError::File { report: first.line(), explained });
    }
    let (mut options, findings) = config::read::read_here(&name, &file.parsed.root);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        let explained = diagnose::explain(&findings, &file.parsed.sources);
        return Err(LoadError::File { report: diagnose::report(&findings), explained });
    }
    options.config_file = Some(path.to_owned());
    options.config_digest = file.digest;
    Ok(Loaded { options, warnings: diagnose::report(&findings) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a file with this text; its path is shown as `s.conf`.
    fn read_text(text: &str) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.conf");
        std::fs::write(&path, text).unwrap();
        let shown = |text: &str| text.replace(&format!("{}/", folder.path().display()), "");
        match read(&path) {
            Ok(loaded) => Ok(Loaded { warnings: shown(&loaded.warnings), ..loaded }),
            Err(error) => Err(shown(&error.to_string())),
        }
    }

    #[test]
    fn a_good_file_gives_options_and_digest() {
        let loaded = read_text("port: 14999").unwrap();
        assert_eq!(loaded.options.port, 14999);
        assert_eq!(
            loaded.options.config_digest,
            "sha256:863d2fb90b76abd8b0ef70f512332b7aea1c3145b330f6f8dc2d30ccbe2c0fab"
        );
        assert!(loaded.options.config_file.is_some());
        assert_eq!(loaded.warnings, "");
    }

    #[test]
    fn the_log_may_be_json() {
        assert!(read_text("log_format: json").unwrap().options.log_json);
        assert!(!read_text("log_format: text").unwrap().options.log_json);
        let refused = read_text("log_format: xml").unwrap_err();
        assert_eq!(refused, "s.conf:1:0: log_format must be \"text\" or \"json\", not \"xml\"\n");
    }

    #[test]
    fn an_empty_file_is_warned_of() {
        assert_eq!(read_text("# nothing\n").unwrap().warnings, "s.conf: config has no values or is empty\n");
    }

    #[test]
    fn a_file_that_cannot_be_parsed_is_refused_with_its_first_mistake() {
        let refused = read_text("port: 14999\nfoo {\n");
        assert_eq!(refused.unwrap_err(), "Parse error on line 3: 'Unexpected EOF processing map.'");
    }

    #[test]
    fn all_mistakes_of_a_file_are_told_a_line_each() {
        let refused = read_text("port: abc\n foo: 1\n bar: 2\n").unwrap_err();
        let mut lines: Vec<&str> = refused.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "s.conf:1:0: interface conversion: interface {} is string, not int64",
                "s.conf:2:2: unknown field \"foo\"",
                "s.conf:3:2: unknown field \"bar\"",
            ]
        );
        assert!(refused.ends_with('\n'));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_in_the_references_words() {
        let refused = |path: &str| read(Path::new(path)).unwrap_err().to_string();
        assert_eq!(refused("/nope"), "open /nope: no such file or directory");
        assert_eq!(refused("/tmp"), "read /tmp: is a directory");
    }

    #[test]
    fn flags_win_over_the_file_each_time_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.conf");
        let args = ["-p", "99", "-D=false"].map(str::to_owned);
        let source = Source { config: Some(path.clone()), flags: flags::parse(&args).unwrap().0 };
        std::fs::write(&path, "port: 5\n debug: true\n max_payload: 100\n").unwrap();
        let first = source.load().unwrap().options;
        std::fs::write(&path, "port: 6\n debug: true\n max_payload: 200\n").unwrap();
        let second = source.load_again().unwrap().options;
        for (options, max_payload) in [(first, 100), (second, 200)] {
            assert_eq!((options.port, options.debug, options.max_payload), (99, false, max_payload));
        }
    }

    #[test]
    fn a_server_without_a_file_cannot_reload() {
        let refused = Source::default().load_again().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "can only reload config when a file is provided using -c or --config"
        );
    }
}
