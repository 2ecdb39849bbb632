//! Reading a configuration from disk: the one file of this folder that touches files and the
//! environment.

use std::io;

use super::digest::digest;
use super::parse::{self, Loader, Parsed};
use super::toml;
use crate::server::base::io_text::io_text;

/// Reads files from disk and variables from the process's environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Loader for Disk {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads configuration files")]
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| {
            // A folder can be opened but not read.
            let verb = if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
            format!("{verb} {path}: {}", io_text(&error))
        })
    }

    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        std::env::var_os(name).map(OsStringExt::into_vec)
    }
}

/// A configuration read from disk.
#[derive(Debug, Clone, PartialEq)]
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests lay out files to be read")]
mod tests {
    use super::super::digest::canonical;
    use super::*;

    /// A folder with these files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn files_that_cannot_be_read_are_named_with_the_reason() {
        let folder = folder(&[]);
        let path = folder.path().to_str().unwrap();
        let refused = |path: &str| load(path, &Disk).err();
        let missing = format!("{path}/x.conf");
        assert_eq!(refused(&missing), Some(format!("open {missing}: no such file or directory")));
        assert_eq!(refused(path), Some(format!("read {path}: is a directory")));
        assert_eq!(refused("a\0b"), Some("open a\0b: invalid argument".into()));
        let below = format!("{path}/x.conf/y");
        std::fs::write(format!("{path}/x.conf"), "").unwrap();
        assert_eq!(refused(&below), Some(format!("open {below}: not a directory")));
    }

    #[test]
    fn includes_are_read_from_beside_the_file_and_the_digest_covers_them() {
        let folder = folder(&[
            ("x.conf", "port: 1\ninclude 'd/y.conf'\n"),
            ("d/y.conf", "include z.conf\nb: 2"),
            ("d/z.conf", "c: 3"),
            ("flat.conf", "b: 2, c: 3, port: 1"),
        ]);
        let at = |name: &str| load(folder.path().join(name).to_str().unwrap(), &Disk).unwrap();
        let loaded = at("x.conf");
        assert_eq!(loaded.parsed.findings, []);
        assert_eq!(canonical(&loaded.parsed.root), r#"{"b":2,"c":3,"port":1}"#);
        assert_eq!(loaded.digest, at("flat.conf").digest);
        assert_eq!(loaded.parsed.root.get("c").map(|node| node.pos.file.ends_with("/d/z.conf")), Some(true));
    }

    #[test]
    fn a_name_that_ends_in_toml_is_read_as_toml() {
        let folder = folder(&[("x.toml", "port = 1\n[cluster]\nname = 'C'\n"), ("x.conf", "[cluster]\n")]);
        let at = |name: &str| load(folder.path().join(name).to_str().unwrap(), &Disk).unwrap();
        assert_eq!(canonical(&at("x.toml").parsed.root), r#"{"cluster":{"name":"C"},"port":1}"#);
        assert!(!at("x.conf").parsed.findings.is_empty());
    }
}
