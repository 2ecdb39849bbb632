//! The server's command line: options, logger, server, until told to stop.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::flags::{self, Asks, FlagValues};
use super::load::{self, LoadError, Source};
use super::redact::hide_from_others;
use super::tell::{Machine, Processes, tell};
use super::{Io, Program, tls_help};
use crate::server::base::clock::{Clock, SystemClock, Timestamp};
use crate::server::base::io_text::io_text;
use crate::server::base::quote::quote;
use crate::server::log::{self, LogError, Logger, Settings};
use crate::server::run::signal::{Order, Signals};
use crate::server::run::{Life, Prepared, Server, StartError, called_by};

/// What the words ask for.
#[derive(Debug)]
enum Plan {
    Version,
    Help,
    TlsHelp,
    Tell(String),
    Check(Source),
    Serve(Source),
}

/// Runs `natsx serve` or `nats-server` with the words behind its name; gives the exit code.
pub fn run(program: Program, args: &[String], io: &mut Io<'_>) -> u8 {
    match plan(args) {
        Ok(plan) => perform(program, plan, io, &mut Machine),
        Err(Refusal::Syntax(text)) => {
            let _ = writeln!(io.err, "{text}");
            print_usage(program, io);
            // So does the reference, whose usage text ends the process before its error can.
            0
        }
        Err(Refusal::Command(text)) => refuse(program, &text, io),
    }
}

enum Refusal {
    /// A flag cannot be understood.
    Syntax(String),
    /// Anything else.
    Command(String),
}

fn plan(args: &[String]) -> Result<Plan, Refusal> {
    let (values, asks, words) = flags::parse(args).map_err(|error| Refusal::Syntax(error.to_string()))?;
    if asks.version {
        return Ok(Plan::Version);
    }
    if asks.help {
        return Ok(Plan::Help);
    }
    if asks.tls_help {
        return Ok(Plan::TlsHelp);
    }
    match words.first().map(|word| word.to_lowercase()).as_deref() {
        Some("version") => return Ok(Plan::Version),
        Some("help") => return Ok(Plan::Help),
        Some(_) => {
            let word = words.first().map(String::as_bytes).unwrap_or_default();
            return Err(Refusal::Command(format!("unrecognized command: {}", quote(word))));
        }
        None => {}
    }
    Ok(work(values, asks))
}

fn work(flags: FlagValues, asks: Asks) -> Plan {
    if let Some(ask) = asks.signal {
        return Plan::Tell(ask);
    }
    let source = Source { config: asks.config, flags };
    if asks.check { Plan::Check(source) } else { Plan::Serve(source) }
}

fn perform(program: Program, plan: Plan, io: &mut Io<'_>, processes: &mut impl Processes) -> u8 {
    match plan {
        Plan::Version => {
            let _ = writeln!(io.out, "{}", program.version_line());
            0
        }
        Plan::Help => {
            print_usage(program, io);
            0
        }
        Plan::TlsHelp => {
            let _ = write!(io.out, "{}", tls_help::TEXT);
            0
        }
        Plan::Tell(ask) => match tell(&ask, processes) {
            Ok(()) => 0,
            Err(text) => refuse(program, &text, io),
        },
        Plan::Check(source) => check(program, &source, io),
        Plan::Serve(source) => serve(program, source, io),
    }
}

fn print_usage(program: Program, io: &mut Io<'_>) {
    let name = match program {
        Program::NatsServer => "nats-server",
        Program::Natsx => "natsx serve",
    };
    let _ = write!(io.out, "{}", flags::usage(name));
}

fn refuse(program: Program, text: &str, io: &mut Io<'_>) -> u8 {
    let _ = writeln!(io.err, "{}: {text}", program.name());
    1
}

/// `-t`: the verdict on the file alone. Warnings condemn it too.
fn check(program: Program, source: &Source, io: &mut Io<'_>) -> u8 {
    let Some(path) = &source.config else {
        return refuse(program, "must specify [-c, --config] option to check configuration file syntax", io);
    };
    match load::read(path) {
        Ok(loaded) if loaded.warnings.is_empty() => {
            let digest = &loaded.options.config_digest;
            let _ = writeln!(
                io.err,
                "{}: configuration file {} is valid ({digest})",
                program.name(),
                path.display()
            );
            0
        }
        Ok(loaded) => refuse(program, &loaded.warnings, io),
        Err(error) => refuse_file(program, &error, io),
    }
}

/// Under the reference's name a file is refused in its words alone; else the place is shown as well.
fn refuse_file(program: Program, error: &LoadError, io: &mut Io<'_>) -> u8 {
    match program {
        Program::NatsServer => refuse(program, &error.to_string(), io),
        Program::Natsx => refuse(program, &error.explained(), io),
    }
}

fn serve(program: Program, source: Source, io: &mut Io<'_>) -> u8 {
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(error) => return refuse_file(program, &error, io),
    };
    let _ = write!(io.err, "{}", loaded.warnings);
    let prepared = match Prepared::new(loaded.options) {
        Ok(prepared) => prepared,
        Err(refusal) => return refuse(program, &refusal.to_string(), io),
    };
    hide_from_others();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = Settings::from_options(prepared.options(), &called_by());
    let (logger, thread) = match log::start(&settings, Arc::clone(&clock)) {
        Ok(started) => started,
        Err(error) => return refuse_log(&error, clock.now(), io),
    };
    let ended = run_server(&source, prepared, &logger);
    // Writes what is still queued.
    drop(thread);
    ended.unwrap_or_else(|text| refuse(program, &text, io))
}

/// Runs the server until it ends; gives the exit code, or what keeps it from beginning a log.
fn run_server(source: &Source, prepared: Prepared, logger: &Logger) -> Result<u8, String> {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            logger.fatal(format_args!("{}", io_text(&error)));
            return Ok(1);
        }
    };
    tell_panics(logger.clone());
    runtime.block_on(async {
        match start_and_obey(source, prepared, logger).await {
            Ok(()) => Ok(0),
            Err(Failure::BeforeLog(text)) => Err(text),
            Err(Failure::Told(text)) => {
                logger.fatal(format_args!("{text}"));
                Ok(1)
            }
        }
    })
}

/// A bug that ends a task is told in the log, where an operator looks.
fn tell_panics(logger: Logger) {
    std::panic::set_hook(Box::new(move |panic| logger.error(format_args!("Internal error: {panic}"))));
}

/// Why a server ends that did not have to.
enum Failure {
    /// The log says nothing of it.
    BeforeLog(String),
    /// It is the log's last line.
    Told(String),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Unopened(text) => Self::BeforeLog(text),
            error => Self::Told(error.to_string()),
        }
    }
}

/// Runs the server until it has stopped, doing what signals ask.
async fn start_and_obey(source: &Source, prepared: Prepared, logger: &Logger) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::Told(io_text(&error)))?;
    let server = Server::start_prepared(prepared, logger.clone()).await?;
    // A lame duck is one from the signal on, before its task has run for the first time.
    let mut stage = Life::Running;
    // A reload may wait for the network: meanwhile signals are obeyed.
    let mut reloads = JoinSet::new();
    let mut reloads_again = false;
    loop {
        let trapped = tokio::select! {
            () = server.stopped() => break,
            order = server.reload_order(), if reloads.is_empty() => {
                let reloaded = reload(source.clone(), server.clone());
                reloads.spawn(async move { order.done(reloaded.await) });
                continue;
            }
            Some(_) = reloads.join_next() => {
                if std::mem::take(&mut reloads_again) {
                    reloads.spawn(reload_for_signal(source.clone(), server.clone(), logger.clone()));
                }
                continue;
            }
            trapped = signals.next() => trapped,
        };
        logger.notice(format_args!("Trapped {:?} signal", trapped.name()));
        stage = stage.max(server.life());
        match trapped.order(stage) {
            Some(Order::Stop) => {
                reloads.shutdown().await;
                server.stop().await;
            }
            Some(Order::Reopen) => logger.reopen(),
            // One more, behind the one that has begun, sees all that has changed till then.
            Some(Order::Reload) if !reloads.is_empty() => reloads_again = true,
            Some(Order::Reload) => {
                reloads.spawn(reload_for_signal(source.clone(), server.clone(), logger.clone()));
            }
            Some(Order::LameDuck) => {
                stage = Life::LameDuck;
                let server = server.clone();
                // It goes on while more signals are obeyed; `stopped` tells of its end.
                drop(tokio::spawn(async move { server.lame_duck().await }));
            }
            None => {}
        }
    }
    Ok(())
}

/// A reload of which nobody but the log is told.
async fn reload_for_signal(source: Source, server: Server, logger: Logger) {
    if let Err(refused) = reload(source, server).await {
        logger.error(format_args!("Failed to reload server configuration: {refused}"));
    }
}

/// Reads file and flags again and puts them into force.
async fn reload(source: Source, server: Server) -> Result<(), String> {
    let loaded = source.load_again().map_err(|error| error.to_string())?;
    server.reload(loaded.options).await.map_err(|error| error.to_string())
}

/// A log that cannot be opened is told with a date instead of the program's name, as the reference does.
fn refuse_log(error: &LogError, now: Timestamp, io: &mut Io<'_>) -> u8 {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(now.nanos())).unwrap_or(jiff::Timestamp::MAX);
    let time =
        moment.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y/%m/%d %H:%M:%S").to_string();
    let _ = writeln!(io.err, "{time} {error}");
    1
}
