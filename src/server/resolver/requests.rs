//! What is asked of a resolver over the system account, and what is replied.
//!
//! Pure: a request is judged by what its claims say; whoever performs the verdict turns the result into
//! an [`Answer`]. The texts are the reference's.

use super::kind::Words;
use crate::server::log::Level;
use crate::server::protocol::json::ObjectWriter;

/// A request, by its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// An account's claims, or an empty message where there are none.
    Lookup(&'a str),
    /// Claims to keep, of an account that the subject names or that they name themselves.
    Update(Option<&'a str>),
    /// The accounts whose claims are kept.
    List,
    /// Claims to delete.
    Delete,
    /// All claims, unless they are the same.
    Pack,
}

impl<'a> Request<'a> {
    /// The request that comes on `subject`.
    pub fn parse(subject: &'a str) -> Option<Self> {
        let mut tokens = [""; 6];
        let mut count = 0;
        for token in subject.split('.') {
            *tokens.get_mut(count)? = token;
            count += 1;
        }
        Some(match tokens {
            ["$SYS", "REQ", "ACCOUNT", account, "CLAIMS", "LOOKUP"] => Self::Lookup(account),
            ["$SYS", "REQ", "ACCOUNT", account, "CLAIMS", "UPDATE"] => Self::Update(Some(account)),
            ["$SYS", "ACCOUNT", account, "CLAIMS", "UPDATE", ""] if count == 5 => Self::Update(Some(account)),
            ["$SYS", "REQ", "CLAIMS", "UPDATE", "", ""] if count == 4 => Self::Update(None),
            ["$SYS", "REQ", "CLAIMS", "LIST", "", ""] if count == 4 => Self::List,
            ["$SYS", "REQ", "CLAIMS", "DELETE", "", ""] if count == 4 => Self::Delete,
            ["$SYS", "REQ", "CLAIMS", "PACK", "", ""] if count == 4 => Self::Pack,
            _ => return None,
        })
    }
}

/// What an update or a deletion came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose claims; empty where there are many.
    pub account: String,
    /// What was done, or tried.
    pub message: String,
    /// Why it was not done.
    pub error: Option<String>,
}

impl Answer {
    fn done(account: &str, message: &str) -> Self {
        Self { account: account.to_owned(), message: message.to_owned(), error: None }
    }

    fn failed(account: &str, message: &str, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::done(account, message) }
    }

    /// The reply's document; `server` is what the server says of itself, as JSON.
    pub fn document(&self, server: &[u8]) -> Vec<u8> {
        let mut out = b"{\"server\":".to_vec();
        out.extend_from_slice(server);
        out.extend_from_slice(if self.error.is_some() { b",\"error\":" } else { b",\"data\":" });
        let mut inner = ObjectWriter::new(&mut out);
        inner.text_if_any("account", &self.account);
        match &self.error {
            Some(error) => {
                inner.int("code", 500);
                inner.text("description", &format!("{} - {error}", self.message));
            }
            None => {
                inner.int("code", 200);
                inner.text_if_any("message", &self.message);
            }
        }
        inner.end();
        out.push(b'}');
        out
    }

    /// What the log says of it.
    pub fn log_line(&self) -> (Level, String) {
        let mut line = self.message.clone();
        for part in [Some(&self.account), self.error.as_ref()].into_iter().flatten() {
            if !part.is_empty() {
                line = format!("{line} - {part}");
            }
        }
        (if self.error.is_some() { Level::Error } else { Level::Debug }, line)
    }
}

/// What matters of an account's claims that somebody wants kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHead {
    /// Whose claims these are.
    pub subject: String,
    /// Who signed them.
    pub issuer: String,
    /// Rules that they break, as the reference lists them; `None` when they break none.
    pub broken_rules: Option<String>,
}

/// Whom a resolver takes claims and orders from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operator {
    /// The operator's own key.
    pub key: String,
    /// The operator signs with other keys only.
    pub is_strict: bool,
    /// Keys that sign for the operator.
    pub keys: Vec<String>,
}

/// What is to be done about an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The claims of this account are to be kept, then [`updated`] says what came of it.
    Keep(String),
    /// This is the answer already.
    Answered(Answer),
}

/// How a kind of resolver judges an update.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// In which words.
    pub words: &'a Words,
    /// Claims of any account are kept. Otherwise those of accounts in use here.
    pub keeps_all: bool,
    /// Claims are kept in a directory. Otherwise the account in use is updated, and it judges them.
    pub has_directory: bool,
    /// Whom claims are taken from.
    pub operator: &'a Operator,
}

impl Rules<'_> {
    /// Judges an update: `asked` is the account that the subject names, `read` what the payload holds
    /// (or why it is no account's claims), `is_known` whether an account is in use here.
    pub fn judge(
        &self,
        asked: Option<&str>,
        payload: &[u8],
        read: Result<AccountHead, String>,
        is_known: impl FnOnce(&str) -> bool,
    ) -> Verdict {
        let words = self.words;
        if let Some(account) = asked.filter(|_| !self.has_directory && payload.is_empty()) {
            return answered(Answer::failed(account, "jwt update error", "request body is empty"));
        }
        let head = match read {
            Ok(head) => head,
            Err(error) => {
                // A FULL resolver does not say whose it would have been.
                let account = asked.filter(|_| !self.keeps_all).unwrap_or("n/a");
                return answered(Answer::failed(account, words.failed, error));
            }
        };
        let subject = head.subject.as_str();
        let broken = head.broken_rules.as_deref().filter(|_| self.has_directory);
        let invalid = |rules: &str| answered(Answer::failed(subject, words.invalid, rules));
        // The order in which a FULL resolver looks differs between the two subjects.
        if let Some(rules) = broken.filter(|_| self.keeps_all && asked.is_some()) {
            return invalid(rules);
        }
        if let Some(account) = asked.filter(|account| *account != subject) {
            return answered(Answer::failed(account, words.failed, "subject does not match jwt content"));
        }
        if self.has_directory && self.operator.is_strict && head.issuer == self.operator.key {
            let error = "operator requires issuer to be a signing key";
            return answered(Answer::failed(subject, words.failed, error));
        }
        if !self.keeps_all && !is_known(subject) {
            return answered(Answer::done(subject, words.skipped));
        }
        match broken {
            Some(rules) => invalid(rules),
            None => Verdict::Keep(head.subject),
        }
    }
}

fn answered(answer: Answer) -> Verdict {
    Verdict::Answered(answer)
}

/// The answer to an update that was to be kept.
pub fn updated(words: &Words, account: &str, result: Result<(), String>) -> Answer {
    match result {
        Ok(()) => Answer::done(account, words.updated),
        Err(error) => Answer::failed(account, words.failed, error),
    }
}

/// What matters of a signed request to delete claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteRequest {
    /// Who it is about.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// `nats.accounts`: `None` where it is missing, or no list of texts.
    pub accounts: Option<Vec<String>>,
}

/// Judges a request to delete claims: the accounts to delete, or the answer.
///
/// # Errors
/// The answer to a request that is refused.
pub fn judge_delete(
    read: Result<DeleteRequest, String>,
    may_delete: bool,
    operator: &Operator,
    system_account: &str,
) -> Result<Vec<super::AccountKey>, Answer> {
    let refused = |subject: &str, error: &str| {
        Answer::failed("", &format!("delete accounts request by {subject} failed"), error)
    };
    let request = read.map_err(|error| refused("", &error))?;
    let refused = |error: &str| refused(&request.subject, error);
    if !may_delete {
        return Err(refused("delete must be enabled in server config"));
    }
    if request.subject != request.issuer {
        return Err(refused("not self signed"));
    }
    if !operator.keys.contains(&request.issuer) {
        return Err(refused("not trusted"));
    }
    let Some(accounts) = &request.accounts else { return Err(refused("malformed request")) };
    let mut keys = Vec::with_capacity(accounts.len());
    for account in accounts {
        let Some(key) = super::AccountKey::parse(account) else { return Err(refused("malformed request")) };
        if account == system_account {
            return Err(refused("not allowed to delete system account"));
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The answer to a request to delete claims: how many went, and why the others did not.
pub fn deleted(count: usize, errors: &[String]) -> Answer {
    if errors.is_empty() {
        return Answer::done("", &format!("deleted {count} accounts"));
    }
    let message = format!("deleted {count} accounts, failed for {}", errors.len());
    Answer::failed("", &message, errors.join("\n"))
}

/// The reply to a request for the list of accounts.
pub fn list_document(accounts: &[super::AccountKey], server: &[u8]) -> Vec<u8> {
    let mut out = b"{\"data\":[".to_vec();
    for (at, account) in accounts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(account.as_str().as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b"],\"server\":");
    out.extend_from_slice(server);
    out.push(b'}');
    out
}

#[cfg(test)]
#[path = "requests_test.rs"]
mod tests;
