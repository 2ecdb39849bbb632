//! A server about to be started, with what only the program around it can give.

use super::server::Server;
use super::start::{Prepared, StartError};
use crate::server::auth::{Authenticator, PolicyBuilder};
use crate::server::base::rng::Rng;
use crate::server::config::options::Options;
use crate::server::log::Logger;

/// Characters that make the name of a made-up user one of its own. Reference: 8.
const ANONYMOUS_LENGTH: usize = 8;

/// Starts a server of its own making; see [`Server::builder`].
#[derive(Debug)]
pub struct Builder {
    options: Options,
    logger: Logger,
    policies: PolicyBuilder,
}

impl Server {
    /// A server with `options`, which are settled, before it is started.
    pub fn builder(options: Options, logger: Logger) -> Builder {
        Builder { options, logger, policies: policies() }
    }
}

impl Builder {
    /// Lets `authenticator` decide who may connect, instead of what the options say of users.
    #[must_use]
    pub fn authenticate(mut self, authenticator: impl Authenticator) -> Self {
        self.policies.set_authenticator(authenticator);
        self
    }

    /// Gives every client a nonce to sign, even where no user of the options needs one.
    #[must_use]
    pub fn always_nonce(mut self) -> Self {
        self.policies.set_always_nonce(true);
        self
    }

    /// Starts it: when this returns, clients can connect. The runtime that calls this is the one it runs on.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start(self) -> Result<Server, StartError> {
        Server::start_with(Prepared::new(self.options)?, self.logger, self.policies).await
    }
}

/// How logins are judged where nobody wants it otherwise.
pub(super) fn policies() -> PolicyBuilder {
    PolicyBuilder::new(&format!("nats-{}", Rng::from_entropy().token(ANONYMOUS_LENGTH)))
}
