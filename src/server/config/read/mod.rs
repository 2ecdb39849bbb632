//! From the tree of a configuration file to [`Options`]: one file a block.
//!
//! Each block is a table of keys: the names a key goes by and what its value does to the options.
//! Every key is read, whatever is wrong with others, so that one run finds all mistakes. The
//! reference stops inside a block at its first one, and goes through keys in no particular order;
//! here it is the file's.
//!
//! Nothing here touches disk or environment: certificates, operator tokens and directories are
//! looked at through [`Files`].

mod context;
mod shapes;
mod subjects;
mod general;
mod logging;
mod limits;
mod tls;
mod tls_files;
mod ocsp;
mod auth;
mod permissions;
mod callout;
mod accounts;
mod exports;
mod imports;
mod relations;
mod mappings;
mod resolver;
mod cluster;
mod gateway;
mod leafnode;
mod leaf_remote;
mod jetstream;
mod websocket;
mod mqtt;
mod disk;

pub use disk::Here;
pub(super) use leaf_remote::name as remote_name;
pub(super) use leafnode::{check_min_version, check_users as check_leaf_users};
pub use relations::refused_imports;
pub(super) use subjects::check_subjects;

use context::{Context, Key};

use super::diagnose::{Diagnostic, Severity};
use super::options::Options;
use super::value::Map;

/// What a directory is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryState {
    /// Not there: it can be made.
    Missing,
    /// A directory that its owner may write to.
    Writable,
    /// A directory that its owner may not write to.
    ReadOnly,
    /// No directory.
    Other,
}

/// The world outside, as far as a configuration refers to it.
pub trait Files {
    /// The bytes of a file, or the reason in the reference's words: `open x: no such file or
    /// directory`.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// What stands at a path where a directory is wanted.
    fn directory(&self, path: &str) -> DirectoryState;

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;
}

/// All blocks' keys that stand at the top of a file.
const TOP: [&[Key<Options>]; 6] =
    [general::KEYS, logging::KEYS, limits::KEYS, auth::KEYS, resolver::KEYS, BLOCKS];

const BLOCKS: &[Key<Options>] = &[
    Key::new(&["cluster"], cluster::read),
    Key::new(&["gateway"], gateway::read),
    Key::new(&["leafnodes", "leaf"], leafnode::read),
    Key::new(&["jetstream"], jetstream::read),
    Key::new(&["store_dir", "storedir"], jetstream::read_store_dir),
    Key::new(&["websocket", "ws"], websocket::read),
    Key::new(&["mqtt"], mqtt::read),
    Key::new(&["tls"], tls::read_client),
    Key::new(&["ocsp"], ocsp::read),
    Key::new(&["ocsp_cache"], ocsp::read_cache),
    Key::new(&["accounts"], accounts::read),
    Key::new(&["mappings", "maps"], mappings::read_global),
];

/// Reads the tree of the file `name`. With an error among the findings the options are incomplete
/// and not to be used; with warnings only they are fine.
///
/// Rules that concern several keys are checked at start, by [`super::check`].
pub fn read(name: &str, root: &Map, files: &dyn Files) -> (Options, Vec<Diagnostic>) {
    let mut context = Context::new(files);
    let mut options = Options::default();
    if root.is_empty() {
        let text = format!("{name}: config has no values or is empty");
        context.push(Diagnostic { severity: Severity::Warning, ..Diagnostic::unplaced(text) });
    }
    general::read_system_account(&mut context, root, &mut options);
    context.no_system_account = general::says_no_system_account(root);
    context.block(root, &TOP, &mut options);
    callout::check_allowed_accounts(&mut context, &options);
    (options, context.findings)
}

/// Looks at the files that TLS settings name, on this machine; the refusal is the reference's.
pub fn check_tls_here(tls: &super::options::Tls) -> Result<(), String> {
    tls_files::check(tls, &Here)
}

/// Reads the top level of a file from the disk of this machine.
pub fn read_here(name: &str, root: &Map) -> (Options, Vec<Diagnostic>) {
    read(name, root, &Here)
}

#[cfg(test)]
mod cases_test;
