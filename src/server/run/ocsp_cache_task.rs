//! Saves the cache of responders' answers now and then.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::server::base::io_text::io_text;
use crate::server::client::ClientContext;
use crate::server::config::options::{OcspCache as Settings, OcspCacheStore, Options};
use crate::server::log::Logger;
use crate::server::net::ocsp_cache::OcspCache;

/// The reference's name for the file.
const FILE: &str = "cache.json";

/// A cache as the options ask for it, with what its file holds; `None` where nothing is kept.
pub(super) fn open(options: &Options, log: &Logger) -> Option<Arc<OcspCache>> {
    let settings = settings(options);
    if settings.store == OcspCacheStore::None {
        log.notice(format_args!("OCSP peer cache online, type [none]"));
        return None;
    }
    let cache = OcspCache::new(settings.preserve_revoked);
    let path = settings.local_store.join(FILE);
    log.debug(format_args!("Starting OCSP peer cache"));
    log.debug(format_args!("Loading OCSP peer cache [{}]", absolute(&path).display()));
    match read(&path) {
        Ok(Some(file)) => {
            if let Err(error) = cache.load(&file) {
                log.warn(format_args!("Unable to load OCSP peer cache: {error}"));
            }
        }
        Ok(None) => log.debug(format_args!("No OCSP peer cache found, starting with empty cache")),
        Err(error) => log.warn(format_args!("Unable to load OCSP peer cache: {error}")),
    }
    log.notice(format_args!("OCSP peer cache online, type [local]"));
    Some(Arc::new(cache))
}

fn settings(options: &Options) -> Settings {
    options.ocsp_cache.clone().unwrap_or_default()
}

/// Runs until it is dropped.
pub(super) async fn run(client: Arc<ClientContext>) {
    loop {
        sleep_until(Instant::now() + settings(&client.conn.options()).save_interval).await;
        save(&client).await;
    }
}

/// Writes what is not in the file yet.
pub(super) async fn save(client: &ClientContext) {
    let log = &client.conn.logger;
    let Some(cache) = client.tls.peer_check().and_then(|check| check.cache()) else { return };
    let Some(file) = cache.save() else { return };
    let path = settings(&client.conn.options()).local_store.join(FILE);
    log.debug(format_args!("OCSP peer cache is dirty, saving"));
    log.debug(format_args!("Saving OCSP peer cache [{}]", absolute(&path).display()));
    let size = file.len();
    match spawn_blocking(move || write(&path, &file)).await {
        Ok(Ok(())) => log.debug(format_args!("Saved OCSP peer cache successfully ({size} bytes)")),
        Ok(Err(error)) => {
            cache.not_saved();
            log.error(format_args!("Unable to save OCSP peer cache: {error}"));
        }
        // The runtime is shutting down.
        Err(_) => {}
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the cache is kept in a file")]
fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::read(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("open {}: {}", path.display(), io_text(&error))),
    }
}

/// Writes beside the file and renames: whoever reads meanwhile finds the old one.
#[expect(clippy::disallowed_methods, reason = "the cache is kept in a file")]
fn write(path: &Path, file: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("open {}: {}", path.display(), io_text(&error));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, file).and_then(|()| std::fs::rename(&beside, path)).map_err(failed)
}
