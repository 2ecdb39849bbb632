//! `MEMORY`: claims that the configuration brings, kept as long as the server runs.

use std::collections::HashMap;

use super::key::AccountKey;

/// Preloaded claims by account.
#[derive(Debug, Default)]
pub struct Memory {
    tokens: HashMap<AccountKey, String>,
}

impl Memory {
    /// Claims of an account.
    pub fn load(&self, key: &AccountKey) -> Option<&str> {
        self.tokens.get(key).map(String::as_str)
    }

    /// Keeps claims of an account in place of those before.
    pub fn save(&mut self, key: AccountKey, token: String) {
        self.tokens.insert(key, token);
    }
}
