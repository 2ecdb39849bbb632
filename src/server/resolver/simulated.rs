//! A disk for tests that knows what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

use nkeys::KeyPair;

use super::disk::Disk;
use super::key::AccountKey;
use crate::server::account::Trust;
use crate::server::base::base64::Base64;
use crate::server::base::clock::Timestamp;
use crate::server::config::options::{self, Options};
use crate::server::jwt::fixtures::NOW;
use crate::server::jwt::{AccountClaims, Limits, sign};

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// One change of a name that is not on the disk yet.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Appears(String, Vec<u8>),
    Moves(String, String),
    Vanishes(String),
}

impl Step {
    fn apply(&self, files: &mut Files) {
        match self {
            Self::Appears(name, bytes) => {
                files.insert(name.clone(), bytes.clone());
            }
            Self::Moves(from, to) => {
                if let Some(bytes) = files.remove(from) {
                    files.insert(to.clone(), bytes);
                }
            }
            Self::Vanishes(name) => {
                files.remove(name);
            }
        }
    }
}

/// A disk that knows what would be left if the power went now.
#[derive(Debug, Default)]
pub(super) struct Simulated {
    pub(super) seen: Files,
    pub(super) durable: Files,
    pub(super) steps: Vec<Step>,
    /// Operations until the power goes.
    pub(super) left: Option<usize>,
}

impl Simulated {
    pub(super) fn with(files: Files) -> Self {
        Self { seen: files.clone(), durable: files, ..Self::default() }
    }

    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn step(&mut self, step: Step) {
        step.apply(&mut self.seen);
        self.steps.push(step);
    }

    /// What the disk holds after a power cut that let `kept` of the changed names through.
    pub(super) fn after_power_cut(&self, kept: usize) -> Files {
        let mut files = self.durable.clone();
        self.steps.iter().take(kept).for_each(|step| step.apply(&mut files));
        files
    }
}

impl Disk for Simulated {
    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.seen.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.seen.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.spend() {
            self.step(Step::Appears(name.to_owned(), bytes[..bytes.len() / 2].to_vec()));
            return Err(error);
        }
        self.step(Step::Appears(name.to_owned(), bytes.to_vec()));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.spend()?;
        if !self.seen.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.step(Step::Moves(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.spend()?;
        if !self.seen.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.step(Step::Vanishes(name.to_owned()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.spend()?;
        self.durable = self.seen.clone();
        self.steps.clear();
        Ok(())
    }

    fn shown(&self, name: &str) -> String {
        format!("/d/{name}")
    }
}

/// A token of `key` that was issued at `iat`, ends at `exp` (0: never), and is named `id`.
pub(super) fn token(key: &AccountKey, id: &str, iat: i64, exp: i64) -> String {
    let body = format!(r#"{{"jti":"{id}","sub":"{key}","iat":{iat},"exp":{exp}}}"#);
    format!("e30.{}.c2ln", Base64::Url.encode(body.as_bytes()))
}

/// Accounts' keys, in their order: the same ones in each test, for making them takes long.
pub(super) fn keys<const N: usize>() -> [AccountKey; N] {
    static KEYS: LazyLock<Vec<AccountKey>> = LazyLock::new(|| {
        let new = || AccountKey::parse(&KeyPair::new_account().public_key()).unwrap();
        let mut keys: Vec<_> = std::iter::repeat_with(new).take(5).collect();
        keys.sort_unstable();
        keys
    });
    std::array::from_fn(|at| KEYS[at])
}

/// The operator of these tests.
pub(super) fn operator() -> KeyPair {
    static SEED: LazyLock<String> = LazyLock::new(|| KeyPair::new_operator().seed().unwrap());
    KeyPair::from_seed(&SEED).unwrap()
}

/// Whom a server trusts that has this operator.
pub(super) fn trusted() -> Trust {
    let operator = options::Operator { key: operator().public_key(), ..options::Operator::default() };
    Trust::of(&Options { operators: vec![operator], ..Options::default() }).unwrap()
}

/// Claims of this account that say nothing, signed by this key.
pub(super) fn signed_by(key: &KeyPair, account: &AccountKey, now: Timestamp) -> String {
    let mut claims = AccountClaims::new(account.as_str());
    claims.nats.limits = Limits::none();
    sign(&mut claims, key, now).unwrap()
}

/// The same, signed by the operator now.
pub(super) fn signed(key: &AccountKey) -> String {
    signed_by(&operator(), key, NOW)
}
