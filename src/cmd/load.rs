//! From the command line to options: the file's, with the flags written over them. The same at every
//! reload.

use std::path::{Path, PathBuf};

use super::flags::{self, FlagError, FlagValues};
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
    /// The file cannot be read, or what it says cannot be; a line a finding.
    #[error("{0}")]
    File(String),
    /// A reload of a server that was started without a file.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// What the flags say cannot be.
    #[error(transparent)]
    Flag(#[from] FlagError),
}

/// Options, and what is odd about the file they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// File, flags and defaults together.
    pub options: Options,
    /// Warnings, a line each.
    pub warnings: Vec<String>,
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
            None => Loaded { options: Options::default(), warnings: Vec::new() },
        };
        flags::apply(&self.flags, &mut loaded.options)?;
        loaded.options.settle();
        Ok(loaded)
    }
}

/// Reads a configuration file.
pub fn read(path: &Path) -> Result<Loaded, LoadError> {
    Err(LoadError::File(format!("open {}: configuration files cannot be read yet", path.display())))
}
