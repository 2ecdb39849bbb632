//! Files, directories and variables of this machine: the one reader that touches them.

use std::os::unix::fs::PermissionsExt;

use super::{DirectoryState, Files};
use crate::server::base::io_text::io_text;

/// This machine.
#[derive(Debug, Clone, Copy)]
pub struct Here;

impl Files for Here {
    #[expect(clippy::disallowed_methods, reason = "certificates and tokens that a configuration names")]
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| {
            let verb = if error.kind() == std::io::ErrorKind::IsADirectory { "read" } else { "open" };
            format!("{verb} {path}: {}", io_text(&error))
        })
    }

    #[expect(clippy::disallowed_methods, reason = "directories that a configuration names")]
    fn directory(&self, path: &str) -> DirectoryState {
        match std::fs::metadata(path) {
            Err(_) => DirectoryState::Missing,
            Ok(entry) if !entry.is_dir() => DirectoryState::Other,
            Ok(entry) if entry.permissions().mode() & 0o200 == 0 => DirectoryState::ReadOnly,
            Ok(_) => DirectoryState::Writable,
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
