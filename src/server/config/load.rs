//! Reading a configuration from disk: the one file of this folder that touches files and the
//! environment.

use std::io;

use super::digest::digest;
use super::parse::{self, Loader, Parsed};
use super::toml;

/// Reads files from disk and variables from the process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Loader for Disk {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads configuration files")]
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| {
            // A folder can be opened but not read.
            let verb = if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
            format!("{verb} {path}: {}", reason(&error))
        })
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        std::env::var_os(name).map(OsStringExt::into_vec)
    }
}

/// A failure of the system in the reference's words: as `strerror` has it, in lower case and
/// without the number.
pub fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidInput {
        return "invalid argument".into();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A configuration read from disk.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The tree, what is wrong with it, and the texts it came from.
    pub parsed: Parsed,
    /// `sha256:…` of the tree.
    pub digest: String,
}

/// Reads and parses the file `path` and all that it includes; as TOML where its name ends in
/// `.toml`.
///
/// # Errors
/// The reference's text where the file itself cannot be read. What is wrong inside of it stands in
/// `parsed.findings`.
pub fn load(path: &str, loader: &dyn Loader) -> Result<Loaded, String> {
    let text = loader.read(path)?;
    let parsed = match path.ends_with(".toml") {
        true => toml::parse(path, &text),
        false => parse::parse(path, &text, loader),
    };
    let digest = digest(&parsed.root);
    Ok(Loaded { parsed, digest })
}
