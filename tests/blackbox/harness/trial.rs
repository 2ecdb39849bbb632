//! Functions as trials: named after where they stand, reported as ignored where the machine lacks
//! what they need.

use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Trial};

use super::command::{Flavour, flavour};
use super::python;

/// What a trial needs besides the server under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// The Go server beside the one under test.
    Reference,
    /// Python with the official client.
    Python,
    /// This project's server: the reference doesn't have the behaviour.
    Natsx,
}

impl Need {
    /// Why the need isn't met here, or `None` if it is.
    fn missing(self) -> Option<&'static str> {
        match self {
            Self::Reference if reference().is_none() => Some("no reference nats-server on this machine"),
            Self::Python if python::interpreter().is_none() => Some("no python3 with nats-py"),
            Self::Natsx if flavour() == Flavour::Reference => Some("beyond the reference"),
            _ => None,
        }
    }
}

/// The Go server: `$NATS_SERVER`, else `nats-server` in the path.
pub(crate) fn reference() -> Option<PathBuf> {
    let named = std::env::var_os("NATS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    named.into_iter().chain(found).find(|binary| is_reference(binary))
}

/// `nats-server` may be a link to this project's own binary.
fn is_reference(binary: &Path) -> bool {
    binary.canonicalize().is_ok_and(|real| real.file_name().is_some_and(|name| name == "nats-server"))
}

/// A function as a trial called `<module path>::<name>`, as the ledger names its evidence.
pub(crate) fn trial(module: &str, name: &str, need: Need, test: fn()) -> Trial {
    Trial::ignorable_test(format!("{module}::{name}"), move || {
        if let Some(reason) = need.missing() {
            return Ok(Completion::ignored_with(reason));
        }
        test();
        Ok(Completion::Completed)
    })
}

/// Lists a module's tests by what they need: `trials! { Nothing => [a, b], Python => [c] }`.
macro_rules! trials {
    ($($need:ident => [$($name:ident),* $(,)?]),* $(,)?) => {
        /// The trials of this module.
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            use $crate::harness::trial::{Need, trial};
            vec![$($(trial(module_path!(), stringify!($name), Need::$need, $name),)*)*]
        }
    };
}
pub(crate) use trials;
