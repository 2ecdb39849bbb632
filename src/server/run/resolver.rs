//! A resolver as the options describe it: opened, filled with what is preloaded, ready for its task.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::resolver_task::Parts;
use crate::server::account::Trust;
use crate::server::base::clock::{Clock, SystemClock, Timestamp};
use crate::server::base::io_text::io_text;
use crate::server::base::quote::quote;
use crate::server::config::options::{self, Options, Resolver, SYSTEM_ACCOUNT};
use crate::server::config::read::Here;
use crate::server::jwt::AccountClaims;
use crate::server::log::Logger;
use crate::server::net::tls_dial::client_config;
use crate::server::resolver::desk::{Desk, Settings};
use crate::server::resolver::disk::Folder;
use crate::server::resolver::requests::Operator;
use crate::server::resolver::store::{Deletion, Store};
use crate::server::resolver::store_task;
use crate::server::resolver::url::Web;
use crate::server::resolver::{AccountKey, ClaimSource, Keeping, Kind, kind};

/// A resolver that is open; its task does not run yet.
pub(super) struct Opened {
    pub(super) claim_source: ClaimSource,
    pub(super) parts: Parts,
    /// What the log is told once it runs.
    notice: Option<String>,
    damaged: Vec<String>,
}

/// Opens the resolver that the options name, if they do. The texts of errors are the reference's.
pub(super) async fn open(options: &Options, clock: &SystemClock) -> Result<Option<Opened>, String> {
    let Some(resolver) = &options.resolver else { return Ok(None) };
    let kind = Kind::of(resolver);
    let (claim_source, calls) = ClaimSource::new();
    let parts = Parts {
        kind,
        desk: Desk::new(settings(options, kind)),
        calls,
        orders: None,
        web: None,
        sync_interval: None,
        expiry_check: None,
    };
    let mut opened = Opened { claim_source, parts, notice: None, damaged: Vec::new() };
    let preloads = preloads(options)?;
    match resolver {
        Resolver::Mem => {
            preloads.into_iter().for_each(|(key, token)| opened.parts.desk.preload(key, token));
        }
        Resolver::Url(url) => {
            let tls =
                client_config(options.resolver_tls.as_ref(), &Here).map_err(|error| error.to_string())?;
            let web = Web::new(url, tls)?;
            web.fetch("").await?;
            opened.parts.web = Some(web);
        }
        Resolver::Full(dir) => {
            let (path, keeping) = (dir.dir.clone(), Keeping::full(dir));
            opened = opened.keep_elsewhere("all", path, keeping, preloads, trust(options), clock).await?;
        }
        Resolver::Cache(dir) => {
            let (path, keeping) = (dir.dir.clone(), Keeping::cache(dir));
            opened = opened.keep_elsewhere("some", path, keeping, preloads, trust(options), clock).await?;
        }
    }
    Ok(Some(opened))
}

impl Opened {
    /// [`Self::keep`], where the disk keeps nobody waiting: at a reload others run on this thread.
    async fn keep_elsewhere(
        mut self,
        how_many: &'static str,
        path: PathBuf,
        keeping: Keeping,
        preloads: Vec<(AccountKey, String)>,
        trust: Trust,
        clock: &SystemClock,
    ) -> Result<Self, String> {
        let clock = clock.clone();
        let kept = spawn_blocking(move || {
            self.keep(how_many, &path, keeping, &preloads, trust, &clock).map(|()| self)
        });
        // It has panicked, and said so, or the server is stopping.
        kept.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Opens the directory, puts what is preloaded into it, and hands it to its thread.
    fn keep(
        &mut self,
        how_many: &str,
        path: &Path,
        keeping: Keeping,
        preloads: &[(AccountKey, String)],
        trust: Trust,
        clock: &SystemClock,
    ) -> Result<(), String> {
        let refused = |error: std::io::Error| format!("mkdir {}: {}", path.display(), io_text(&error));
        let folder = Folder::open(path).map_err(refused)?;
        self.notice =
            Some(format!("Managing {how_many} jwt in exclusive directory {}", folder.root().display()));
        let shared = folder.others_may_write();
        let warning = format!("others may write to the directory {}", folder.root().display());
        let now = clock.now();
        let opened = Store::open(folder, keeping.policy, keeping.deletion, now).map_err(refused)?;
        let (mut store, found) = opened;
        self.damaged = found.damaged;
        self.damaged.extend(shared.then_some(warning));
        for (key, token) in preloads {
            if let Err(error) = store.save_if_newer(key, token, now) {
                self.damaged.push(format!("preloaded claims of {key} are not kept: {error}"));
            }
        }
        store.sync().map_err(refused)?;
        let (orders, _) = store_task::start(store, trust, Arc::new(clock.clone())).map_err(refused)?;
        self.parts.orders = Some(orders);
        self.parts.sync_interval = keeping.interval;
        self.parts.expiry_check = Some(keeping.expiry_check);
        Ok(())
    }

    /// Tells the log what the resolver looks after.
    pub(super) fn announce(&self, logger: &Logger) {
        for text in &self.damaged {
            logger.warn(format_args!("DirResolver - {text}"));
        }
        if let Some(notice) = &self.notice {
            logger.notice(format_args!("{notice}"));
        }
    }
}

fn settings(options: &Options, kind: Kind) -> Settings {
    let keeping = match &options.resolver {
        Some(Resolver::Full(dir)) => Some(Keeping::full(dir)),
        Some(Resolver::Cache(dir)) => Some(Keeping::cache(dir)),
        _ => None,
    };
    Settings {
        kind,
        operator: operator(options.operators.first()),
        system_account: options.system_account_name().unwrap_or_default().to_owned(),
        may_delete: keeping.is_some_and(|keeping| keeping.deletion != Deletion::Refused),
        timeout: keeping.map_or(kind::FETCH_TIMEOUT, |keeping| keeping.timeout),
    }
}

/// Whose claims are taken from other servers.
fn trust(options: &Options) -> Trust {
    Trust::of(options).unwrap_or_default()
}

fn operator(first: Option<&options::Operator>) -> Operator {
    let Some(first) = first else { return Operator::default() };
    let own = (!first.strict_signing_key_usage).then(|| first.key.clone());
    Operator {
        key: first.key.clone(),
        is_strict: first.strict_signing_key_usage,
        keys: own.into_iter().chain(first.signing_keys.iter().cloned()).collect(),
    }
}

/// Preloaded claims, read once so that nothing wrong is kept. The texts of errors are the reference's.
pub(super) fn preloads(options: &Options) -> Result<Vec<(AccountKey, String)>, String> {
    let is_read_only = matches!(options.resolver, Some(Resolver::Url(_)));
    if is_read_only && !options.resolver_preload.is_empty() {
        return Err("resolver preloads only available for writeable resolver types MEM/DIR/CACHE_DIR".into());
    }
    let mut all = Vec::new();
    for (name, token) in &options.resolver_preload {
        AccountClaims::decode(token)
            .map_err(|error| format!("preload account error for {}: {error}", quote(name)))?;
        // What is filed under a name that is none can never be asked for.
        all.extend(AccountKey::parse(name).map(|key| (key, token.clone())));
    }
    Ok(all)
}

/// Whether the claims of the system account are at hand and good, where they can come from nowhere else. The
/// texts of errors are the reference's.
pub(super) fn check_system_account(options: &Options, now: Timestamp) -> Result<(), String> {
    let is_by_claims = !options.operators.is_empty() || !options.trusted_keys.is_empty();
    let name = options.system_account.as_deref().filter(|name| *name != SYSTEM_ACCOUNT);
    let (Some(name), true, Some(Resolver::Mem)) = (name, is_by_claims, &options.resolver) else {
        return Ok(());
    };
    let verified = match options.resolver_preload.get(name) {
        None => Err("account missing".to_owned()),
        Some(token) => trust(options).verify(name, token, now).map_err(|error| error.to_string()),
    };
    verified.map(drop).map_err(|error| format!("error resolving system account: {error}"))
}

/// What keeps a directory from being looked after, although it is open: nobody could be trusted.
pub(super) fn check_start(options: &Options) -> Result<(), String> {
    let has_directory = options.resolver.as_ref().is_some_and(|resolver| Kind::of(resolver).has_directory());
    if has_directory && operator(options.operators.first()).keys.is_empty() {
        return Err("Could not start resolver: no operator key found".into());
    }
    Ok(())
}
