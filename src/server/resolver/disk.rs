//! The files of a directory of claims: the few operations that a store needs, and the one place that
//! performs them.
//!
//! Names are relative to the directory. What was written is on the disk when `write` returns; that a name
//! appeared, moved or vanished is, when `sync` does.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::stamp::TOKEN_BYTES_MAX;

/// Permissions of a new directory, before the umask. Reference: 0700.
const DIR_MODE: u32 = 0o700;
/// Permissions of a new file, before the umask. Reference: 0600.
const FILE_MODE: u32 = 0o600;
/// Opening does not wait for somebody at the other end.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;
/// Directories inside each other that are looked through.
const DEPTH_MAX: usize = 8;

/// What a store does to files.
pub trait Disk {
    /// All files, those in directories below included, in the order of their names.
    ///
    /// # Errors
    /// As the system says.
    fn names(&self) -> io::Result<Vec<String>>;

    /// A file's bytes, as far as a token can be long.
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a file with these bytes, on the disk when it returns.
    ///
    /// # Errors
    /// As the system says; the file may be there in part.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name, replacing one that had it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Puts all changes of names on the disk.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// A file as messages name it.
    fn shown(&self, name: &str) -> String;
}

/// A directory of this machine.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Directories whose names changed since the last sync.
    changed: BTreeSet<PathBuf>,
}

impl Folder {
    /// The directory `root`, made where it is missing.
    ///
    /// # Errors
    /// It cannot be made, or is no directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        make_folder(root)?;
        let root = std::path::absolute(root)?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root, changed: BTreeSet::new() })
    }

    /// Whether others than the owner may put files here.
    pub fn others_may_write(&self) -> bool {
        self.root.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o022 != 0)
    }

    /// The directory as an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn names_changed(&mut self, path: &Path) {
        if let Some(parent) = path.parent()
            && !self.changed.contains(parent)
        {
            self.changed.insert(parent.to_owned());
        }
    }
}

impl Disk for Folder {
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        gather(&self.root, "", DEPTH_MAX, &mut names)?;
        names.sort_unstable();
        Ok(names)
    }

    #[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        // A pipe of that name must not hold anybody up.
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(self.path(name))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut bytes = Vec::new();
        // One byte more, so that what is too long shows.
        file.take(TOKEN_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        // Always a new one: what stands there may be a link to elsewhere, or for others to read.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        self.names_changed(&path);
        file.write_all(bytes)?;
        file.sync_data()
    }

    #[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        std::fs::rename(&from, &to)?;
        self.names_changed(&to);
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
    fn remove(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        std::fs::remove_file(&path)?;
        self.names_changed(&path);
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
    fn sync(&mut self) -> io::Result<()> {
        while let Some(folder) = self.changed.first() {
            File::open(folder)?.sync_all()?;
            self.changed.pop_first();
        }
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Appends the names of all files in `folder`, each behind `prefix`.
#[expect(clippy::disallowed_methods, reason = "files of claims are this file's job")]
fn gather(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text is not one of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = format!("{prefix}{name}");
        if !entry.file_type()?.is_dir() {
            names.push(name);
        } else if depth > 1 {
            gather(&entry.path(), &format!("{name}/"), depth - 1, names)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at the files they made")]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_and_its_files_are_the_owners_alone() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("a/jwt");
        let mut folder = Folder::open(&root).unwrap();
        folder.write("x", b"1").unwrap();
        folder.sync().unwrap();
        assert_eq!((mode(&root), mode(&root.join("x"))), (0o700, 0o600));
    }

    #[test]
    fn files_are_listed_with_their_folders_and_read_back() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(temp.path()).unwrap();
        std::fs::create_dir_all(temp.path().join("QX")).unwrap();
        for name in ["b", "a", "QX/c"] {
            folder.write(name, name.as_bytes()).unwrap();
        }
        folder.write("a", b"x").unwrap();
        assert_eq!(folder.names().unwrap(), ["QX/c", "a", "b"]);
        folder.rename("b", "a").unwrap();
        assert_eq!(folder.read("a").unwrap(), b"b");
        folder.remove("a").unwrap();
        folder.sync().unwrap();
        assert_eq!(folder.read("a").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_is_not_written_through_and_a_pipe_is_no_file() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(&temp.path().join("jwt")).unwrap();
        let elsewhere = temp.path().join("elsewhere");
        std::fs::write(&elsewhere, "precious").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path("x")).unwrap();
        folder.write("x", b"1").unwrap();
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"precious");
        assert_eq!(folder.read("x").unwrap(), b"1");
        let pipe = folder.path("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert_eq!(folder.read("pipe").unwrap_err().to_string(), "not a regular file");
        assert!(!folder.others_may_write());
        std::fs::set_permissions(folder.root(), std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(folder.others_may_write());
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert!(Folder::open(&path).is_err());
    }

    #[test]
    fn what_is_too_long_is_read_as_far_as_it_shows() {
        let temp = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(temp.path()).unwrap();
        folder.write("long", &vec![b'x'; TOKEN_BYTES_MAX + 10]).unwrap();
        assert_eq!(folder.read("long").unwrap().len(), TOKEN_BYTES_MAX + 1);
    }
}
