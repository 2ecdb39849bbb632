//! Notices renewed certificate files and takes them without a signal; tells the log when certificates end.
//!
//! Files are read every few seconds: it is what works wherever they come from (a rename, a link that is
//! turned, a network file system). Files that do not fit together yet, the certificate there and its key
//! not, are left until they do.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::server::base::clock::Clock;
use crate::server::client::ClientContext;
use crate::server::config::options::Tls;
use crate::server::config::read::Here;
use crate::server::net::expiry::{Expiry, Said};
use crate::server::net::{TlsSetup, TlsSetupError};

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
        let (Some(tls), Some(setup)) = (&options.tls, client.tls.setup()) else { continue };
        if options.watch_certificates {
            let outcome = look(tls.clone(), Arc::clone(&setup)).await;
            tell(&client, &setup, outcome, &mut failed);
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

/// What the files stand for now; `None` where they are as they were.
async fn look(tls: Tls, setup: Arc<TlsSetup>) -> Option<Result<TlsSetup, TlsSetupError>> {
    let read = spawn_blocking(move || setup.files_changed(&Here).then(|| TlsSetup::new(&tls, &Here)));
    // An error says that the runtime is shutting down.
    read.await.ok().flatten()
}

/// Takes what was read, or says, once, why it cannot be taken.
fn tell(
    client: &ClientContext,
    seen: &Arc<TlsSetup>,
    outcome: Option<Result<TlsSetup, TlsSetupError>>,
    failed: &mut Option<TlsSetupError>,
) {
    let logger = &client.conn.logger;
    match outcome {
        // A reload came in between and read the files itself.
        Some(_) if client.tls.setup().is_none_or(|now| !Arc::ptr_eq(&now, seen)) => {}
        Some(Ok(renewed)) => {
            client.tls.set_setup(Some(Arc::new(renewed)));
            logger.notice(format_args!("Certificate files have changed: new connections use the new ones"));
            *failed = None;
        }
        Some(Err(error)) => {
            if failed.as_ref() != Some(&error) {
                logger.warn(format_args!(
                    "Certificate files have changed and cannot be used, those before stay in use: {error}"
                ));
            }
            *failed = Some(error);
        }
        None => *failed = None,
    }
}
