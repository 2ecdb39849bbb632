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
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use natsx::server::auth::{Admission, Authenticator, Login};
    /// use natsx::server::base::clock::SystemClock;
    /// use natsx::server::config::options::{Options, PORT_RANDOM};
    /// use natsx::server::log::Logger;
    /// use natsx::server::run::Server;
    ///
    /// struct Guests;
    ///
    /// impl Authenticator for Guests {
    ///     fn authenticate(&self, login: &Login) -> Option<Admission> {
    ///         (login.options.user == "guest").then(Admission::default)
    ///     }
    /// }
    ///
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let mut options = Options { host: "127.0.0.1".to_owned(), port: PORT_RANDOM, ..Options::default() };
    /// options.settle();
    /// let logger = Logger::silent(Arc::new(SystemClock::new()));
    /// let server = Server::builder(options, logger).authenticate(Guests).start().await?;
    /// let client = server.connect_in_process()?;
    /// assert_eq!(server.client_addresses().len(), 1);
    /// drop(client);
    /// server.stop().await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
