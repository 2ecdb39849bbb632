//! Many account claims in a FULL resolver: what a start, look-ups and updates cost, and the memory.
//!
//! `cargo bench --bench claims -- --accounts 100000`; `NATS_SERVER` names a reference to stand beside.
//! Both servers get the same directory, written once; they run one after the other.

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a bench starts processes and prints")]

#[path = "../compare/machine.rs"]
mod machine;
#[path = "../compare/server.rs"]
#[expect(dead_code, reason = "the comparison starts servers without credentials")]
mod server;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, Command, value_parser};
use natsx::admin::bench::histogram::Histogram;
use natsx::admin::bench::server_figures::of_process;
use natsx::admin::bench::wire::{self, Login};
use natsx::server::base::clock::{Clock as _, SystemClock};
use natsx::server::jwt::{AccountClaims, Limits, NatsLimits, OperatorClaims, UserClaims, sign};
use nkeys::KeyPair;

use machine::Machine;
use server::Server;

/// How long a server may take to start with all of its claims.
const START_MAX: Duration = Duration::from_secs(600);
/// Look-ups, one after the other.
const LOOK_UPS: usize = 5_000;
/// Updates, one after the other; each is on the disk when it is answered.
const UPDATES: usize = 500;
/// Updates, all sent before the first answer is awaited.
const UPDATES_AT_ONCE: usize = 2_000;

fn command() -> Command {
    Command::new("claims")
        .about("Measure a FULL resolver with many accounts")
        .arg(
            Arg::new("accounts")
                .long("accounts")
                .value_name("N")
                .default_value("100000")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("natsx")
                .long("natsx")
                .value_name("FILE")
                .default_value(env!("CARGO_BIN_EXE_natsx"))
                .help("The natsx to measure"),
        )
        // What cargo adds to every bench's command line.
        .arg(Arg::new("bench").long("bench").action(ArgAction::SetTrue).hide(true))
}

fn main() -> ExitCode {
    match measure_all(&command().get_matches()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("claims: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever signs, and who asks.
struct World {
    operator: KeyPair,
    system: KeyPair,
    accounts: Vec<KeyPair>,
    clock: SystemClock,
}

fn measure_all(matches: &clap::ArgMatches) -> Result<(), String> {
    let count = matches.get_one::<usize>("accounts").copied().unwrap_or(0);
    let natsx = matches.get_one::<String>("natsx").cloned().unwrap_or_default();
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = World {
        operator: KeyPair::new_operator(),
        system: KeyPair::new_account(),
        accounts: (0..count).map(|_| KeyPair::new_account()).collect(),
        clock: SystemClock::new(),
    };
    let bytes = world.write(folder.path())?;
    let machine = Machine::here();
    println!(
        "{count} account claims of {} bytes each; {} ({} cores, {} GiB), Linux {}; natsx {}; {}",
        bytes / count.max(1),
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.commit,
        machine.date
    );
    let config = folder.path().join("server.conf");
    let servers = [
        ("natsx", format!("{natsx} serve")),
        ("reference", std::env::var("NATS_SERVER").unwrap_or_default()),
    ];
    println!(
        "| | start | its CPU | RSS | look-up p50, p99 | update p50, p99 | updates at once | list | RSS after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, program) in servers.iter().filter(|(_, program)| !program.is_empty()) {
        let command = format!("{program} -c {} -a 127.0.0.1 -p {{port}}", config.display());
        println!("| {name} | {} |", world.measure(&command)?);
    }
    Ok(())
}

impl World {
    /// Writes configuration and claims; gives the bytes of all claims.
    fn write(&self, folder: &Path) -> Result<usize, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut operator = OperatorClaims::new(self.operator.public_key());
        operator.nats.system_account = self.system.public_key();
        let operator =
            sign(&mut operator, &self.operator, self.clock.now()).map_err(|error| error.to_string())?;
        let dir = folder.join("jwt");
        std::fs::create_dir_all(&dir).map_err(text)?;
        let mut bytes = 0;
        for account in self.accounts.iter().chain([&self.system]) {
            let token = self.claims(account, "account")?;
            bytes += token.len();
            std::fs::write(dir.join(format!("{}.jwt", account.public_key())), token).map_err(text)?;
        }
        let config = format!(
            "operator: {operator}\nsystem_account: {}\nresolver {{ type: full, dir: {:?}, limit: {} }}\n",
            self.system.public_key(),
            dir,
            self.accounts.len() + 10
        );
        std::fs::write(folder.join("server.conf"), config).map_err(text)?;
        Ok(bytes)
    }

    fn claims(&self, account: &KeyPair, name: &str) -> Result<String, String> {
        let mut claims = AccountClaims::new(account.public_key());
        claims.envelope.name = name.to_owned();
        claims.nats.limits = Limits::none();
        sign(&mut claims, &self.operator, self.clock.now()).map_err(|error| error.to_string())
    }

    /// One server's cells.
    fn measure(&self, command: &str) -> Result<String, String> {
        let user = KeyPair::new_user();
        let mut claims = UserClaims::new(user.public_key());
        claims.nats.rights.limits.nats = NatsLimits::NONE;
        let jwt = sign(&mut claims, &self.system, self.clock.now()).map_err(|error| error.to_string())?;
        let login = Login::Key { seed: user.seed().map_err(|error| error.to_string())?, jwt: Some(jwt) };
        let (server, started) = Server::start_as(command, login, START_MAX)?;
        let figures = || of_process(server.pid()).map_err(|error| error.to_string());
        let ready = figures()?;
        let mut asker = Asker::new(wire::connect(server.target()).map_err(|error| error.to_string())?)?;
        let chosen = |number: usize| self.accounts.get(number * 7919 % self.accounts.len().max(1));
        let mut look_ups = Histogram::new();
        for account in (0..LOOK_UPS).filter_map(chosen) {
            let subject = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", account.public_key());
            let begun = Instant::now();
            let answer = asker.ask(&subject, "")?;
            look_ups.record(nanos(begun.elapsed()));
            if !answer.starts_with("eyJ") {
                return Err(format!("a look-up was answered with {answer:?}"));
            }
        }
        let mut updates = Histogram::new();
        for account in (0..UPDATES).filter_map(chosen) {
            let token = self.claims(account, "changed")?;
            let begun = Instant::now();
            updated(&asker.ask("$SYS.REQ.CLAIMS.UPDATE", &token)?)?;
            updates.record(nanos(begun.elapsed()));
        }
        let tokens: Vec<String> = (UPDATES..UPDATES + UPDATES_AT_ONCE)
            .filter_map(chosen)
            .map(|account| self.claims(account, "changed at once"))
            .collect::<Result<_, _>>()?;
        let begun = Instant::now();
        for token in &tokens {
            asker.send("$SYS.REQ.CLAIMS.UPDATE", token)?;
        }
        for _ in &tokens {
            updated(&asker.answer()?)?;
        }
        let at_once = tokens.len() as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let list = asker.ask("$SYS.REQ.CLAIMS.LIST", "")?;
        let listed = begun.elapsed();
        if list.len() < self.accounts.len() * 56 {
            return Err("the list is too short".to_owned());
        }
        let after = figures()?;
        server.stop();
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let ms = |nanos: u64| nanos as f64 / 1e6;
        Ok(format!(
            "{:.2} s | {:.2} s | {:.0} MiB | {:.2} ms, {:.2} ms | {:.2} ms, {:.2} ms | {at_once:.0}/s | {:.0} ms | {:.0} MiB",
            started.as_secs_f64(),
            ready.cpu.as_secs_f64(),
            mib(ready.rss_bytes),
            ms(look_ups.quantile(0.5)),
            ms(look_ups.quantile(0.99)),
            ms(updates.quantile(0.5)),
            ms(updates.quantile(0.99)),
            listed.as_secs_f64() * 1e3,
            mib(after.rss_bytes),
        ))
    }
}

fn updated(answer: &str) -> Result<(), String> {
    if answer.contains("\"jwt updated\"") {
        Ok(())
    } else {
        Err(format!("an update was answered with {answer}"))
    }
}

/// A connection of the system account that asks, and gets answers in turn.
struct Asker {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Asker {
    fn new(mut stream: TcpStream) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        stream.set_read_timeout(Some(START_MAX)).map_err(text)?;
        stream.write_all(b"SUB bench.answers 1\r\n").map_err(text)?;
        let answers = BufReader::new(stream.try_clone().map_err(text)?);
        Ok(Self { stream, answers })
    }

    fn ask(&mut self, subject: &str, body: &str) -> Result<String, String> {
        self.send(subject, body)?;
        self.answer()
    }

    fn send(&mut self, subject: &str, body: &str) -> Result<(), String> {
        let request = format!("PUB {subject} bench.answers {}\r\n{body}\r\n", body.len());
        self.stream.write_all(request.as_bytes()).map_err(|error| error.to_string())
    }

    fn answer(&mut self) -> Result<String, String> {
        let text = |error: std::io::Error| error.to_string();
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line).map_err(text)? == 0 {
                return Err("the server closed the connection".to_owned());
            }
            if line.starts_with("PING") {
                self.stream.write_all(b"PONG\r\n").map_err(text)?;
            } else if line.starts_with("-ERR") {
                return Err(line);
            } else if line.starts_with("MSG ") {
                let size = line.trim_end().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
                let mut body = vec![0; size.ok_or("a message without a size")? + 2];
                std::io::Read::read_exact(&mut self.answers, &mut body).map_err(text)?;
                body.truncate(body.len() - 2);
                return String::from_utf8(body).map_err(|error| error.to_string());
            }
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
