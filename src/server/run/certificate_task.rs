//! Notices renewed certificate files and takes them without a signal; tells the log when certificates end.
//!
//! Files are read every few seconds: it is what works wherever they come from (a rename, a link that is
//! turned, a network file system). Files that do not fit together yet, the certificate there and its key
//! not, are left until they do.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::tls::ListenerTls;
use crate::server::base::clock::Clock;
use crate::server::client::ClientContext;
use crate::server::config::options::Options;
use crate::server::config::read::Here;
use crate::server::net::TlsSetup;
use crate::server::net::expiry::{Expiry, Said};

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub(super) async fn run(client: Arc<ClientContext>) {
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut expiry = Expiry::default();
    let mut failed = None;
    loop {
        looks.tick().await;
        let options = client.conn.options();
        let Some(setup) = client.tls.setup() else { continue };
        if options.watch_certificates && changed(&setup).await {
            renew(&client, &options, &setup, &mut failed).await;
        }
        let Some(setup) = client.tls.setup() else { continue };
        for said in expiry.look(&setup.certificates, client.conn.clock.now()) {
            let logger = &client.conn.logger;
            match said {
                Said::Seen(text) => logger.notice(format_args!("{text}")),
                Said::Soon(text) => logger.warn(format_args!("{text}")),
                Said::Over(text) => logger.error(format_args!("{text}")),
            }
        }
    }
}

/// Whether a file holds something else than when it was read.
async fn changed(setup: &Arc<TlsSetup>) -> bool {
    let setup = Arc::clone(setup);
    // An error says that the runtime is shutting down.
    spawn_blocking(move || setup.files_changed(&Here)).await.unwrap_or(false)
}

/// Takes what the files hold now, or says, once, why it cannot be taken.
async fn renew(client: &ClientContext, options: &Options, seen: &Arc<TlsSetup>, failed: &mut Option<String>) {
    let logger = &client.conn.logger;
    let cache = client.tls.peer_check().and_then(|check| check.cache());
    let renewed = match ListenerTls::build(options, cache, logger) {
        Ok(renewed) => renewed,
        Err(error) => {
            let error = error.to_string();
            if failed.as_ref() != Some(&error) {
                logger.warn(format_args!(
                    "Certificate files have changed and cannot be used, those before stay in use: {error}"
                ));
            }
            *failed = Some(error);
            return;
        }
    };
    if let Err(error) = renewed.staple(options, client.conn.clock.now(), logger).await {
        logger.warn(format_args!("Can't restart OCSP features: {error}"));
    }
    // A reload may have come in between and read the files itself.
    if client.tls.setup().is_some_and(|now| Arc::ptr_eq(&now, seen)) {
        renewed.install(&client.tls);
        logger.notice(format_args!("Certificate files have changed: new connections use the new ones"));
    }
    *failed = None;
}
