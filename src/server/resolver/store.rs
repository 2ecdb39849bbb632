//! A directory of account claims: one file an account, replaced as a whole.
//!
//! | File | Holds |
//! |---|---|
//! | `<account>.jwt` | claims in force; `<last two characters>/<account>.jwt` is read as well |
//! | `<account>.jwt.deleted` | claims that were deleted where that only renames |
//! | `<account>.jwt.new` | what was being written when a server died: removed at the next start |
//!
//! The reference's directory and ours are the same. A file that is no claims of the account it is named
//! after is left where it is and not seen: the next update, or another server's claims, replace it. (The
//! reference counts and sends it.)
//!
//! Nothing counts as done before [`Store::sync`] has returned; several changes share one.

use std::collections::BTreeSet;
use std::io;

use sha2::{Digest as _, Sha256};

use super::disk::Disk;
use super::index::{Index, Policy, Room, Sum};
use super::key::AccountKey;
use super::stamp::Stamp;
use crate::server::base::clock::Timestamp;
use crate::server::base::io_text::io_text;

const EXTENSION: &str = ".jwt";
const DELETED: &str = ".deleted";
const UNFINISHED: &str = ".new";

/// What becomes of deleted claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// None are deleted.
    Refused,
    /// Their file is renamed.
    Renames,
    /// Their file is removed.
    Removes,
}

/// Claims cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There are none.
    #[error("open {0}: no such file or directory")]
    Missing(String),
    /// The file is something else.
    #[error("{0} holds no claims of this account")]
    Damaged(String),
    /// The disk does not do it.
    #[error("{0}")]
    Disk(String),
}

/// Claims cannot be kept, or deleted. The texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no token.
    #[error("invalid JWT")]
    NoToken,
    /// As many are kept as may be.
    #[error("jwt store is full")]
    Full,
    /// The claims are another account's.
    #[error("jwt subject nkey and provided nkey do not match")]
    Subject,
    /// The claims came from another server, and are none.
    #[error("{0}")]
    Foreign(String),
    /// Deleting is not allowed.
    #[error("store is not set up to for delete")]
    Deletion,
    /// The disk does not do it.
    #[error("{0}")]
    Disk(String),
}

/// What opening, or reading again, found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Accounts whose claims are new or others than before.
    pub changed: Vec<AccountKey>,
    /// Files that are no claims, and why.
    pub damaged: Vec<String>,
}

/// Account claims in a directory.
#[derive(Debug)]
pub struct Store<D> {
    disk: D,
    index: Index,
    deletion: Deletion,
    /// Accounts whose files stand in a folder named by the end of their keys.
    in_shards: BTreeSet<AccountKey>,
    is_synced: bool,
}

impl<D: Disk> Store<D> {
    /// Looks through a directory.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn open(disk: D, policy: Policy, deletion: Deletion, now: Timestamp) -> io::Result<(Self, Found)> {
        let in_shards = BTreeSet::new();
        let mut store = Self { disk, index: Index::new(policy), deletion, in_shards, is_synced: true };
        for name in store.disk.names()? {
            let unfinished = name.strip_suffix(UNFINISHED).and_then(|name| name.strip_suffix(EXTENSION));
            if unfinished.is_some_and(|key| AccountKey::parse(last_part(key)).is_some()) {
                store.disk.remove(&name)?;
                store.is_synced = false;
            }
        }
        let found = store.reload(now)?;
        store.sync()?;
        Ok((store, found))
    }

    /// Looks through the directory again: files may have been changed by hand.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn reload(&mut self, now: Timestamp) -> io::Result<Found> {
        let names = self.disk.names()?;
        let empty = Index::new(self.index.policy());
        let before = std::mem::replace(&mut self.index, empty);
        self.in_shards.clear();
        let mut found = Found::default();
        for name in names {
            let Some(stem) = name.strip_suffix(EXTENSION) else { continue };
            let Some(key) = AccountKey::parse(last_part(stem)) else { continue };
            let is_sharded = name == sharded(&key);
            // A file beside the folders wins; one deeper down is nobody's.
            if !is_sharded && name != flat(&key) {
                continue;
            }
            match self.read(&name, &key) {
                Ok((_, stamp, sum)) => {
                    if is_sharded {
                        self.in_shards.insert(key);
                    } else {
                        self.in_shards.remove(&key);
                    }
                    self.index.put(key, sum, stamp.expires, now);
                    if before.sum_of(&key) != Some(sum) {
                        found.changed.push(key);
                    }
                }
                Err(LoadError::Missing(_)) => {}
                Err(error) => found.damaged.push(error.to_string()),
            }
        }
        Ok(found)
    }

    /// Claims of an account, as its file holds them now.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn load(&mut self, key: &AccountKey, now: Timestamp) -> Result<String, LoadError> {
        let (token, stamp, sum) = self.read(&self.name(key), key)?;
        // Changed by hand since it was looked at.
        if self.index.sum_of(key) != Some(sum) {
            self.index.put(*key, sum, stamp.expires, now);
        }
        self.index.touch(key, now);
        Ok(token)
    }

    /// Claims of an account without counting as a use; `None` where there are none to show.
    pub fn peek(&self, key: &AccountKey) -> Option<String> {
        self.read(&self.name(key), key).ok().map(|(token, _, _)| token)
    }

    /// Keeps claims of an account; true where they differ from those before.
    ///
    /// # Errors
    /// There is no room, or the disk does not do it: the claims before stay.
    pub fn save(&mut self, key: &AccountKey, token: &str, now: Timestamp) -> Result<bool, StoreError> {
        if token.is_empty() {
            return Err(StoreError::NoToken);
        }
        let stamp = Stamp::read(token.as_bytes()).ok_or(StoreError::NoToken)?;
        if stamp.subject != key.as_str() {
            return Err(StoreError::Subject);
        }
        let sum = sum_of(token.as_bytes());
        self.index.touch(key, now);
        if self.index.sum_of(key) == Some(sum)
            && self.read(&self.name(key), key).is_ok_and(|(_, _, have)| have == sum)
        {
            return Ok(false);
        }
        loop {
            match self.index.room_for(key) {
                Room::Free => break,
                Room::Full => return Err(StoreError::Full),
                Room::Evict(least) => self.discard(&least)?,
            }
        }
        let name = self.name(key);
        let unfinished = format!("{name}{UNFINISHED}");
        self.is_synced = false;
        let written = self.disk.write(&unfinished, token.as_bytes());
        if let Err(error) = written.and_then(|()| self.disk.rename(&unfinished, &name)) {
            // A full disk gets back what it can; what was there stays.
            let _ = self.disk.remove(&unfinished);
            return Err(self.failed("open", &name, &error));
        }
        self.index.put(*key, sum, stamp.expires, now);
        Ok(true)
    }

    /// Whether claims of an account are others than those it has, which were not issued later.
    pub fn is_newer(&self, key: &AccountKey, token: &str) -> bool {
        let Some(new) = Stamp::read(token.as_bytes()) else { return false };
        match self.read(&self.name(key), key) {
            Ok((_, have, _)) => have.id != new.id && have.issued_at <= new.issued_at,
            Err(_) => true,
        }
    }

    /// Keeps claims of an account if they are newer.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_if_newer(
        &mut self,
        key: &AccountKey,
        token: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.is_newer(key, token) && self.save(key, token, now)?)
    }

    /// Deletes claims of an account; true where there were some.
    ///
    /// # Errors
    /// It is not allowed, or the disk does not do it.
    pub fn delete(&mut self, key: &AccountKey) -> Result<bool, StoreError> {
        let name = self.name(key);
        let (verb, done) = match self.deletion {
            Deletion::Refused => return Err(StoreError::Deletion),
            Deletion::Renames => ("rename", self.disk.rename(&name, &format!("{name}{DELETED}"))),
            Deletion::Removes => ("remove", self.disk.remove(&name)),
        };
        match done {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed(verb, &name, &error)),
        }
        self.is_synced = false;
        self.forget(key);
        Ok(true)
    }

    /// Removes all claims whose time is over; gives what the disk refused.
    pub fn expire(&mut self, now: Timestamp) -> Vec<StoreError> {
        let mut refused = Vec::new();
        while let Some(key) = self.index.due(now) {
            if let Err(error) = self.discard(&key) {
                refused.push(error);
                // Not looked at again before the directory is: one bad file must not hold up the others.
                self.forget(&key);
            }
        }
        refused
    }

    /// Accounts whose claims are kept and not over.
    pub fn list(&self, now: Timestamp) -> Vec<AccountKey> {
        self.index.current(now)
    }

    /// The sum of all claims kept.
    pub const fn sum(&self) -> Sum {
        self.index.sum()
    }

    /// Whether claims may be deleted.
    pub const fn deletion(&self) -> Deletion {
        self.deletion
    }

    /// Claims kept.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether none are kept.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Makes all that was done last.
    ///
    /// # Errors
    /// As the system says; what was done may vanish with the power.
    pub fn sync(&mut self) -> io::Result<()> {
        if !self.is_synced {
            self.disk.sync()?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// The file of an account.
    fn name(&self, key: &AccountKey) -> String {
        if self.in_shards.contains(key) { sharded(key) } else { flat(key) }
    }

    fn read(&self, name: &str, key: &AccountKey) -> Result<(String, Stamp, Sum), LoadError> {
        let bytes = self.disk.read(name).map_err(|error| {
            let path = self.disk.shown(name);
            match error.kind() {
                io::ErrorKind::NotFound => LoadError::Missing(path),
                _ => LoadError::Disk(format!("open {path}: {}", io_text(&error))),
            }
        })?;
        let damaged = || LoadError::Damaged(self.disk.shown(name));
        let stamp = Stamp::read(&bytes).filter(|stamp| stamp.subject == key.as_str()).ok_or_else(damaged)?;
        let sum = sum_of(&bytes);
        let token = String::from_utf8(bytes).map_err(|_| damaged())?;
        Ok((token, stamp, sum))
    }

    /// Removes an account's file for good.
    fn discard(&mut self, key: &AccountKey) -> Result<(), StoreError> {
        let name = self.name(key);
        match self.disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(self.failed("remove", &name, &error));
            }
            _ => {}
        }
        self.is_synced = false;
        self.forget(key);
        Ok(())
    }

    fn forget(&mut self, key: &AccountKey) {
        self.index.remove(key);
        self.in_shards.remove(key);
    }

    fn failed(&self, verb: &str, name: &str, error: &io::Error) -> StoreError {
        StoreError::Disk(format!("{verb} {}: {}", self.disk.shown(name), io_text(error)))
    }
}

fn sum_of(token: &[u8]) -> Sum {
    Sum(Sha256::digest(token).into())
}

fn flat(key: &AccountKey) -> String {
    format!("{key}{EXTENSION}")
}

fn sharded(key: &AccountKey) -> String {
    let text = key.as_str();
    let end = text.get(text.len().saturating_sub(2)..).unwrap_or_default();
    format!("{end}/{key}{EXTENSION}")
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
#[path = "store_test.rs"]
mod tests;
