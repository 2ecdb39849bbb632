//! TLS of the client listener, as a start and a reload build it.

use std::sync::Arc;

use super::start::StartError;
use super::{ocsp_cache_task, staple_task};
use crate::server::base::clock::Timestamp;
use crate::server::config::options::Options;
use crate::server::config::read::Here;
use crate::server::conn::TlsGate;
use crate::server::log::Logger;
use crate::server::net::TlsSetup;
use crate::server::net::ocsp_cache::OcspCache;
use crate::server::net::ocsp_peer::PeerCheck;

/// Everything that new connections meet.
#[derive(Debug, Default)]
pub(super) struct ListenerTls {
    setup: Option<Arc<TlsSetup>>,
}

impl ListenerTls {
    /// Reads the files that the options name, and builds what they ask for. `kept` is the cache to go on with.
    pub(super) fn build(
        options: &Options,
        kept: Option<Arc<OcspCache>>,
        log: &Logger,
    ) -> Result<Self, StartError> {
        let Some(tls) = &options.tls else { return Ok(Self::default()) };
        let setup = TlsSetup::new(tls, &Here)?;
        if let Some(rules) = tls.ocsp_peer.clone().filter(|rules| rules.verify) {
            log.debug(format_args!("Plugging TLS OCSP peer for [Client]"));
            let Some(verifier) = setup.verifier() else {
                let text =
                    "OCSP peer verification for client connections requires TLS verify (mTLS) to be enabled";
                return Err(StartError::Staple(text.into()));
            };
            let cache = kept.or_else(|| ocsp_cache_task::open(options, log));
            let check = PeerCheck::new(rules, cache, &Here, log.clone()).map_err(StartError::Staple)?;
            verifier.ask(Arc::new(check));
        }
        Ok(Self { setup: Some(Arc::new(setup)) })
    }

    /// Staples answers to the certificates that are to have one.
    pub(super) async fn staple(&self, options: &Options, now: Timestamp, log: &Logger) -> Result<(), String> {
        match &self.setup {
            Some(setup) => staple_task::staple_all(options, setup, now, log).await,
            None => Ok(()),
        }
    }

    /// The gate of a listener that begins with it.
    pub(super) fn into_gate(self, options: &Options) -> TlsGate {
        let gate = TlsGate::new(options.tls.as_ref().map_or(0, |tls| tls.connection_rate_limit));
        self.install(&gate);
        gate
    }

    /// Puts it into force for those who come later.
    pub(super) fn install(self, gate: &TlsGate) {
        gate.install(self.setup);
    }
}
