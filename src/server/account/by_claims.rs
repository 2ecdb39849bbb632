//! The registry's accounts by their claims (operator mode): what the book says is put in force.

use std::collections::HashMap;
use std::sync::Arc;

use super::book::{Book, Change, Note};
use super::registry::Registry;
use super::state::Account;
use super::trust::Trust;
use crate::server::base::clock::Timestamp;
use crate::server::jwt::AccountClaims;
use crate::server::log::Level;

impl Registry {
    /// Whether nothing would come of these claims: the account has them, and all that it imports.
    #[must_use]
    pub fn has_claims(&self, account: &str, token: &str) -> bool {
        self.book.lock().has(account, token)
    }

    /// Whether the claims of an account came so shortly ago that they are not looked up again.
    #[must_use]
    pub fn has_fresh_claims(&self, account: &str, now: Timestamp) -> bool {
        self.book.lock().is_fresh(account, now)
    }

    /// The accounts that these claims import from and that are not in use yet.
    #[must_use]
    pub fn missing_claims(&self, claims: &AccountClaims) -> Vec<String> {
        self.book.lock().missing(claims)
    }

    /// When something in claims is over next, and [`Self::expire_claims`] wants to be called.
    #[must_use]
    pub fn claims_deadline(&self) -> Option<Timestamp> {
        self.book.lock().deadline()
    }

    /// Whether there are accounts by claims.
    #[must_use]
    pub fn knows_claims(&self) -> bool {
        !self.book.lock().is_empty()
    }

    /// Puts verified claims in force, here and where others import from them. `absent` says why an account
    /// that they import from is not there. What the log is told comes back.
    pub fn put_claims(
        &self,
        claims: Vec<(AccountClaims, String)>,
        absent: &HashMap<String, String>,
        trust: &Trust,
        now: Timestamp,
        cluster: Option<&str>,
    ) -> Vec<Note> {
        self.put_in(&mut self.book.lock(), claims, absent, trust, now, cluster)
    }

    /// Puts claims in force that a look-up found, which takes long: where later ones came meanwhile, those.
    pub fn put_found_claims(
        &self,
        found: Vec<(AccountClaims, String)>,
        absent: &HashMap<String, String>,
        trust: &Trust,
        now: Timestamp,
        cluster: Option<&str>,
    ) -> Vec<Note> {
        let mut book = self.book.lock();
        let claims = book.latest(found, now);
        self.put_in(&mut book, claims, absent, trust, now, cluster)
    }

    /// A look-up of an account's claims begins: those that come meanwhile are heard until it ends.
    pub fn begin_look_up(&self, account: &str) {
        self.book.lock().begin_look_up(account);
    }

    /// A look-up of an account's claims is over, and what was found is in force.
    pub fn end_look_up(&self, account: &str) {
        self.book.lock().end_look_up(account);
    }

    /// Whether an account's claims are looked up.
    #[must_use]
    pub fn is_looked_up(&self, account: &str) -> bool {
        self.book.lock().is_looked_up(account)
    }

    /// Verified claims came for an account: where it is looked up they count, not what is found.
    pub fn hear_claims(&self, claims: AccountClaims, token: String) {
        self.book.lock().hear(claims, token);
    }

    fn put_in(
        &self,
        book: &mut Book,
        claims: Vec<(AccountClaims, String)>,
        absent: &HashMap<String, String>,
        trust: &Trust,
        now: Timestamp,
        cluster: Option<&str>,
    ) -> Vec<Note> {
        let names: Vec<String> = claims.iter().map(|(claims, _)| claims.envelope.subject.clone()).collect();
        let change = book.put(claims, absent, trust, now);
        let notes = self.carry_out_claims(change, cluster);
        for name in names {
            if let (Some(account), Some(claimed)) = (self.find(&name), book.get(&name)) {
                account.set_claimed(claimed.clone());
            }
        }
        notes
    }

    /// Closes an account whose claims were deleted where they are kept; it comes back with others.
    pub fn close_claims(&self, account: &str, now: Timestamp, cluster: Option<&str>) -> Vec<Note> {
        let mut book = self.book.lock();
        let change = book.close(account, now);
        let notes = self.carry_out_claims(change, cluster);
        if let (Some(account), Some(claimed)) = (self.find(account), book.get(account)) {
            account.set_claimed(claimed.clone());
        }
        notes
    }

    /// Takes out an account whose claims are gone.
    pub fn remove_claims(&self, account: &str, now: Timestamp, cluster: Option<&str>) -> Vec<Note> {
        let mut book = self.book.lock();
        let change = book.remove(account, now);
        let notes = self.carry_out_claims(change, cluster);
        self.remove(account);
        notes
    }

    /// Describes anew the accounts with activations that are over; also gives those that are over themselves.
    pub fn expire_claims(&self, now: Timestamp, cluster: Option<&str>) -> (Vec<Note>, Vec<Arc<Account>>) {
        let mut book = self.book.lock();
        let (change, expired) = book.expire(now);
        let notes = self.carry_out_claims(change, cluster);
        (notes, expired.iter().filter_map(|name| self.find(name)).collect())
    }

    fn carry_out_claims(&self, change: Change, cluster: Option<&str>) -> Vec<Note> {
        let Change { described, mut notes } = change;
        if let Err(error) = self.put(&described, cluster) {
            // The book has tried each mapping and import.
            notes.push(Note(Level::Error, format!("Accounts cannot be described by their claims: {error}")));
        }
        notes
    }
}
