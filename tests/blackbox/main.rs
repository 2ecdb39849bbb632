//! Black-box tests: a server process, real clients, nothing of the library in between.
//!
//! One module a feature; a trial's name, `blackbox::<module>::<test>`, is what `differences.md`
//! gives as evidence. The binary under test is `$NATSX_BIN`, or the one cargo built beside these
//! tests. Give it a Go `nats-server` and every test that states parity passes against that too:
//!
//! ```text
//! NATSX_BIN=/path/to/nats-server cargo test --test blackbox
//! ```

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: whatever is missing fails the test, and files, threads and clocks are theirs"
)]

mod harness;

mod rust_client;
mod python_client;
mod delivery;
mod slow;
mod limits;
mod closed;
mod process;
mod files;
mod lame_duck;
mod logging;
mod reload;
mod hostile;
mod proxy;
mod tls;
mod tls_issuers;
mod tls_reload;
mod ocsp;
mod examples;
mod config_check;
mod twins;
mod accept;
mod cost;
mod mapping;
mod accounts;
mod embedded;
mod callout;
mod operator_mode;
mod nsc_store;
mod operator_accounts;
mod resolver;
mod auth;
mod certificate_users;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = [
        rust_client::trials(),
        python_client::trials(),
        delivery::trials(),
        slow::trials(),
        limits::trials(),
        closed::trials(),
        process::trials(),
        files::trials(),
        lame_duck::trials(),
        logging::trials(),
        reload::trials(),
        hostile::trials(),
        proxy::trials(),
        tls::trials(),
        tls_issuers::trials(),
        tls_reload::trials(),
        auth::trials(),
        certificate_users::trials(),
        ocsp::trials(),
        examples::trials(),
        config_check::trials(),
        twins::trials(),
        accept::trials(),
        cost::trials(),
        mapping::trials(),
        accounts::trials(),
        embedded::trials(),
        callout::trials(),
        operator_mode::trials(),
        nsc_store::trials(),
        operator_accounts::trials(),
        resolver::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit();
}
