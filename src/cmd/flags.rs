//! Every flag of the server, as a row: names, value, place in the usage text, help, effect.
//!
//! Parsing, usage text, man page and shell completions all read [`FLAGS`]. A new flag is one row.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::builder::ValueHint;

use super::go_style::{self, FlagKind, Known, SyntaxError, Value};
use crate::server::base::url::{Url, UrlError};
use crate::server::config::options::{Options, Tls};

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Its names without dashes; the last is the long one.
    pub names: &'static [&'static str],
    /// What it takes.
    pub kind: FlagKind,
    /// What stands for the value in help; empty for switches.
    pub value: &'static str,
    /// How the usage text spells it: one line, or two.
    spelling: &'static [&'static str],
    /// What it does, a line of the usage text each.
    pub help: &'static [&'static str],
    effect: Effect,
}

/// What a flag changes.
#[derive(Debug)]
enum Effect {
    /// Asks the command for something.
    Ask,
    /// Writes a value over what the file said.
    Set(fn(&mut Options, &Value)),
    /// The same after all [`Effect::Set`], in the order of the flags' names, and may refuse.
    Late(fn(&mut Options, &Value) -> Result<(), FlagError>),
    /// Part of the TLS settings, which are taken as a whole.
    Tls,
}

/// A heading of the usage text and the flags under it.
#[derive(Debug)]
pub struct Group {
    /// Without colon.
    pub title: &'static str,
    /// In the order of the usage text.
    pub flags: &'static [Flag],
}

/// The flags' values cannot be; the texts are the reference's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// `--cluster` is no URL.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// `--cluster` has no port, or too many colons.
    #[error("{0}")]
    Address(String),
    /// A user without a password in `--cluster`.
    #[error("expected cluster password to be set")]
    ClusterPassword,
    /// TLS is asked for without a certificate.
    #[error("TLS Server certificate must be present and valid")]
    TlsCertificate,
    /// TLS is asked for without a key.
    #[error("TLS Server private key must be present and valid")]
    TlsKey,
    /// `--routes` on a server that has no cluster.
    #[error("solicited routes require cluster capabilities, e.g. --cluster")]
    RoutesWithoutCluster,
}

/// What the command line said, kept for every reload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagValues {
    given: Vec<(String, Value)>,
}

/// What the flags ask the command for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asks {
    /// `-h`.
    pub help: bool,
    /// `-v`.
    pub version: bool,
    /// `--help_tls`.
    pub tls_help: bool,
    /// `-t`.
    pub check: bool,
    /// `-c`; `None` where it is missing or empty.
    pub config: Option<PathBuf>,
    /// `-sl`; `None` where it is missing or empty.
    pub signal: Option<String>,
}

const fn switch(
    names: &'static [&'static str],
    spelling: &'static [&'static str],
    help: &'static [&'static str],
    effect: Effect,
) -> Flag {
    Flag { names, kind: FlagKind::Switch, value: "", spelling, help, effect }
}

const fn number(
    names: &'static [&'static str],
    value: &'static str,
    spelling: &'static [&'static str],
    help: &'static [&'static str],
    effect: Effect,
) -> Flag {
    Flag { names, kind: FlagKind::Number, value, spelling, help, effect }
}

const fn text(
    names: &'static [&'static str],
    value: &'static str,
    spelling: &'static [&'static str],
    help: &'static [&'static str],
    effect: Effect,
) -> Flag {
    Flag { names, kind: FlagKind::Text, value, spelling, help, effect }
}

/// All flags, by group.
pub const FLAGS: &[Group] = &[
    Group {
        title: "Server Options",
        flags: &[
            text(
                &["a", "net", "addr"],
                "host",
                &["-a, --addr, --net <host>"],
                &["Address to listen on (default: 0.0.0.0)"],
                Effect::Set(|options, value| value.text().clone_into(&mut options.host)),
            ),
            number(
                &["p", "port"],
                "port",
                &["-p, --port <port>"],
                &["Port for clients, -1 for a free one (default: 4222)"],
                Effect::Set(|options, value| options.port = port(value)),
            ),
            text(
                &["n", "name", "server_name"],
                "server_name",
                &["-n, --name", "    --server_name <server_name>"],
                &["Name of the server (default: its id)"],
                Effect::Set(|options, value| options.server_name = some_text(value)),
            ),
            text(
                &["P", "pid"],
                "file",
                &["-P, --pid <file>"],
                &["File to write the process id to"],
                Effect::Set(|options, value| options.pid_file = some_path(value)),
            ),
            number(
                &["m", "http_port"],
                "port",
                &["-m, --http_port <port>"],
                &["Port for monitoring over http"],
                Effect::Set(|options, value| options.http_port = port(value)),
            ),
            number(
                &["ms", "https_port"],
                "port",
                &["-ms,--https_port <port>"],
                &["Port for monitoring over https"],
                Effect::Set(|options, value| options.https_port = port(value)),
            ),
            text(&["c", "config"], "file", &["-c, --config <file>"], &["Configuration file"], Effect::Ask),
            switch(&["t"], &["-t"], &["Check the configuration file and exit"], Effect::Ask),
            text(
                &["sl", "signal"],
                "signal",
                &["-sl,--signal <signal>[=<pid>]"],
                &[
                    "Tell a running nats-server: ldm, stop, quit, term, reopen or reload",
                    "<pid> is a process id, a file that holds one (/var/run/nats-server.pid),",
                    "or the beginning of ids and a star (12*)",
                ],
                Effect::Ask,
            ),
            text(
                &["client_advertise"],
                "string",
                &["    --client_advertise <string>"],
                &["Client URL that other servers are told"],
                Effect::Set(|options, value| options.client_advertise = some_text(value)),
            ),
            text(
                &["ports_file_dir"],
                "dir",
                &["    --ports_file_dir <dir>"],
                &["Directory for a file with the bound ports (<executable_name>_<pid>.ports)"],
                Effect::Set(|options, value| options.ports_file_dir = some_path(value)),
            ),
        ],
    },
    Group {
        title: "Logging Options",
        flags: &[
            text(
                &["l", "log"],
                "file",
                &["-l, --log <file>"],
                &["File to log to"],
                Effect::Set(|options, value| options.log_file = some_path(value)),
            ),
            switch(
                &["T", "logtime"],
                &["-T, --logtime"],
                &["Lines carry the time (default: true)"],
                Effect::Set(|options, value| options.logtime = value.switch()),
            ),
            switch(
                &["logtime_utc"],
                &["    --logtime_utc"],
                &["That time is UTC (default: false)"],
                Effect::Set(|options, value| options.logtime_utc = value.switch()),
            ),
            switch(
                &["s", "syslog"],
                &["-s, --syslog"],
                &["Log to the syslog of this machine"],
                Effect::Set(|options, value| options.syslog = value.switch()),
            ),
            text(
                &["r", "remote_syslog"],
                "addr",
                &["-r, --remote_syslog <addr>"],
                &["Log to a syslog elsewhere (udp://localhost:514)"],
                Effect::Set(|options, value| options.remote_syslog = some_text(value)),
            ),
            switch(
                &["D", "debug"],
                &["-D, --debug"],
                &["Log for finding faults"],
                Effect::Set(|options, value| options.debug = value.switch()),
            ),
            switch(
                &["V", "trace"],
                &["-V, --trace"],
                &["Log the raw protocol"],
                Effect::Set(|options, value| options.trace = value.switch()),
            ),
            switch(
                &["VV"],
                &["-VV"],
                &["Log the raw protocol, the system account's too"],
                Effect::Late(|options, value| {
                    options.trace = value.switch();
                    options.trace_verbose = value.switch();
                    Ok(())
                }),
            ),
            switch(
                &["DV"],
                &["-DV"],
                &["-D and -V"],
                Effect::Late(|options, value| {
                    options.debug = value.switch();
                    options.trace = value.switch();
                    Ok(())
                }),
            ),
            switch(
                &["DVV"],
                &["-DVV"],
                &["-D and -VV"],
                Effect::Late(|options, value| {
                    options.debug = value.switch();
                    options.trace = value.switch();
                    options.trace_verbose = value.switch();
                    Ok(())
                }),
            ),
            number(
                &["log_size_limit"],
                "limit",
                &["    --log_size_limit <limit>"],
                &["Bytes after which the log file is put aside (default: never)"],
                Effect::Set(|options, value| options.logfile_size_limit = value.number()),
            ),
            number(
                &["max_traced_msg_len"],
                "len",
                &["    --max_traced_msg_len <len>"],
                &["Bytes shown of a traced message (default: all)"],
                Effect::Set(|options, value| options.max_traced_msg_len = value.number()),
            ),
        ],
    },
    Group {
        title: "JetStream Options",
        flags: &[
            switch(
                &["js", "jetstream"],
                &["-js, --jetstream"],
                &["Switch JetStream on"],
                Effect::Set(|options, value| options.jetstream.enabled = value.switch()),
            ),
            text(
                &["sd", "store_dir"],
                "dir",
                &["-sd, --store_dir <dir>"],
                &["Directory for its data"],
                Effect::Set(|options, value| options.store_dir = some_path(value)),
            ),
        ],
    },
    Group {
        title: "Authorization Options",
        flags: &[
            text(
                &["user"],
                "user",
                &["    --user <user>"],
                &["User that clients must present"],
                Effect::Set(|options, value| options.authorization.username = some_text(value)),
            ),
            text(
                &["pass"],
                "password",
                &["    --pass <password>"],
                &["Password that clients must present"],
                Effect::Set(|options, value| options.authorization.password = some_text(value)),
            ),
            text(
                &["auth"],
                "token",
                &["    --auth <token>"],
                &["Token that clients must present"],
                Effect::Set(|options, value| options.authorization.token = some_text(value)),
            ),
        ],
    },
    Group {
        title: "TLS Options",
        flags: &[
            switch(
                &["tls"],
                &["    --tls"],
                &["Serve TLS; clients need no certificate (default: false)"],
                Effect::Tls,
            ),
            text(&["tlscert"], "file", &["    --tlscert <file>"], &["The server's certificate"], Effect::Tls),
            text(&["tlskey"], "file", &["    --tlskey <file>"], &["Its private key"], Effect::Tls),
            switch(
                &["tlsverify"],
                &["    --tlsverify"],
                &["Serve TLS; clients must present a certificate"],
                Effect::Tls,
            ),
            text(
                &["tlscacert"],
                "file",
                &["    --tlscacert <file>"],
                &["Authorities that clients' certificates are checked against"],
                Effect::Tls,
            ),
        ],
    },
    Group {
        title: "Cluster Options",
        flags: &[
            text(
                &["routes"],
                "rurl-1, rurl-2",
                &["    --routes <rurl-1, rurl-2>"],
                &["Servers to connect to as routes"],
                Effect::Late(set_routes),
            ),
            text(
                &["cluster"],
                "cluster-url",
                &["    --cluster <cluster-url>"],
                &["URL to listen at for routes, with user and password if any"],
                Effect::Late(set_cluster),
            ),
            text(
                &["cluster_name"],
                "string",
                &["    --cluster_name <string>"],
                &["Name of the cluster (default: one made up)"],
                Effect::Set(|options, value| options.cluster.name = some_text(value)),
            ),
            switch(
                &["no_advertise"],
                &["    --no_advertise <bool>"],
                &["Don't tell clients about the other servers"],
                Effect::Set(|options, value| options.cluster.no_advertise = value.switch()),
            ),
            text(
                &["cluster_advertise"],
                "string",
                &["    --cluster_advertise <string>"],
                &["Route address that other servers are told"],
                Effect::Set(|options, value| options.cluster.advertise = some_text(value)),
            ),
            number(
                &["connect_retries"],
                "number",
                &["    --connect_retries <number>"],
                &["Attempts at a route that another server told of"],
                Effect::Set(|options, value| options.cluster.connect_retries = value.number()),
            ),
            text(
                &["cluster_listen"],
                "url",
                &["    --cluster_listen <url>"],
                &["The same as --cluster"],
                Effect::Late(set_cluster),
            ),
        ],
    },
    Group {
        title: "Profiling Options",
        flags: &[number(
            &["profile"],
            "port",
            &["    --profile <port>"],
            &["Port for profiles over http"],
            Effect::Set(|options, value| options.prof_port = port(value)),
        )],
    },
    Group {
        title: "Common Options",
        flags: &[
            switch(&["h", "help"], &["-h, --help"], &["Show this text"], Effect::Ask),
            switch(&["v", "version"], &["-v, --version"], &["Show the version"], Effect::Ask),
            switch(&["help_tls"], &["    --help_tls"], &["Help about TLS"], Effect::Ask),
        ],
    },
];

/// Column of the usage text at which help begins.
const HELP_COLUMN: usize = 37;

/// The usage text: an empty line, a line of usage, the flags by group.
pub fn usage(program: &str) -> String {
    let mut out = format!("\nUsage: {program} [options]\n");
    for group in FLAGS {
        // Writing into a String cannot fail.
        let _ = write!(out, "\n{}:\n", group.title);
        for flag in group.flags {
            write_usage(&mut out, flag);
        }
    }
    out.push('\n');
    out
}

fn write_usage(out: &mut String, flag: &Flag) {
    let (last, before) = match flag.spelling.split_last() {
        Some((last, before)) => (*last, before),
        None => ("", &[][..]),
    };
    for line in before {
        let _ = writeln!(out, "    {line}");
    }
    let mut left = format!("    {last}");
    for line in flag.help {
        let _ = writeln!(out, "{left:HELP_COLUMN$}{line}");
        left.clear();
    }
}

struct AllFlags;

impl Known for AllFlags {
    fn kind(&self, name: &str) -> Option<FlagKind> {
        find(name).map(|flag| flag.kind)
    }
}

fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().flat_map(|group| group.flags).find(|flag| flag.names.contains(&name))
}

/// Reads the words behind the program's name; gives the flags, what they ask for, and the words that
/// are no flags.
pub fn parse(args: &[String]) -> Result<(FlagValues, Asks, Vec<String>), SyntaxError> {
    let parsed = go_style::parse(args, &AllFlags)?;
    let values = FlagValues { given: parsed.flags };
    let asks = values.asks();
    Ok((values, asks, parsed.words))
}

impl FlagValues {
    fn asks(&self) -> Asks {
        let is_on = |name| self.last(name).is_some_and(Value::switch);
        let given_text = |name| self.last(name).map(Value::text).filter(|text| !text.is_empty());
        Asks {
            help: is_on("help"),
            version: is_on("version"),
            tls_help: is_on("help_tls"),
            check: is_on("t"),
            config: given_text("config").map(PathBuf::from),
            signal: given_text("signal").map(str::to_owned),
        }
    }

    /// The value that counts of the flag with this name, whatever name it was given by.
    fn last(&self, name: &str) -> Option<&Value> {
        let names = find(name)?.names;
        self.given.iter().rfind(|(given, _)| names.contains(&given.as_str())).map(|(_, value)| value)
    }

    /// Whether any TLS flag was given.
    pub fn has_tls(&self) -> bool {
        let is_tls = |name: &str| find(name).is_some_and(|flag| matches!(flag.effect, Effect::Tls));
        self.given.iter().any(|(name, _)| is_tls(name))
    }

    /// Whether any cluster address was given, be it empty.
    fn has_cluster(&self) -> bool {
        ["cluster", "cluster_listen"]
            .iter()
            .any(|name| self.last(name).is_some_and(|value| !value.text().is_empty()))
    }
}

/// Writes the flags over `options`, which hold what the file said. At start and at every reload; call
/// [`Options::settle`] after it.
pub fn apply(values: &FlagValues, options: &mut Options) -> Result<(), FlagError> {
    for (name, value) in &values.given {
        if let Some(Flag { effect: Effect::Set(set), .. }) = find(name) {
            set(options, value);
        }
    }
    let mut late: Vec<&(String, Value)> = values.given.iter().collect();
    // Stable: of flags given twice the later one wins.
    late.sort_by(|left, right| left.0.cmp(&right.0));
    for (name, value) in late {
        if let Some(Flag { effect: Effect::Late(set), .. }) = find(name) {
            set(options, value)?;
        }
    }
    apply_tls(values, options)?;
    let has_routes = values.last("routes").is_some_and(|value| !value.text().is_empty());
    let has_cluster = values.has_cluster() || options.cluster.host.is_some() || options.cluster.port != 0;
    if has_routes && !has_cluster {
        return Err(FlagError::RoutesWithoutCluster);
    }
    Ok(())
}

/// `--tls=false` drops the file's TLS; any other TLS flag replaces it, so certificate and key must be
/// among the flags. Limits and pins of the file stay, as they have no flags.
fn apply_tls(values: &FlagValues, options: &mut Options) -> Result<(), FlagError> {
    if values.last("tls").is_some_and(|value| !value.switch()) {
        options.tls = None;
        return Ok(());
    }
    if !values.has_tls() {
        return Ok(());
    }
    let path = |name| values.last(name).and_then(some_path);
    let cert_file = path("tlscert").ok_or(FlagError::TlsCertificate)?;
    let key_file = path("tlskey").ok_or(FlagError::TlsKey)?;
    let from_file = options.tls.take().unwrap_or_default();
    options.tls = Some(Tls {
        cert_file: Some(cert_file),
        key_file: Some(key_file),
        ca_file: path("tlscacert"),
        verify: values.last("tlsverify").is_some_and(Value::switch),
        timeout: from_file.timeout,
        connection_rate_limit: from_file.connection_rate_limit,
        pinned_certs: from_file.pinned_certs,
        handshake_first: from_file.handshake_first,
        ..Tls::default()
    });
    Ok(())
}

fn set_routes(options: &mut Options, value: &Value) -> Result<(), FlagError> {
    let urls = value.text().split(',').map(str::trim).filter(|url| !url.is_empty());
    // What is no URL is left out, as the reference never reaches it either.
    options.cluster.routes = urls.filter_map(|url| Url::parse(url).ok()).collect();
    Ok(())
}

fn set_cluster(options: &mut Options, value: &Value) -> Result<(), FlagError> {
    let cluster = &mut options.cluster;
    if value.text().is_empty() {
        cluster.port = 0;
        return Ok(());
    }
    // A URL's port has digits only: a random one is put in afterwards.
    let (text, is_random) = match value.text().strip_suffix(":-1") {
        Some(front) => (format!("{front}:0"), true),
        None => (value.text().to_owned(), false),
    };
    let url = Url::parse(&text)?;
    let (host, digits) = split_host_port(&url.host)?;
    let port = if is_random { -1 } else { cluster_port(digits)? };
    match url.user.as_ref().map(|user| (&user.username, &user.password)) {
        Some((_, None)) => return Err(FlagError::ClusterPassword),
        Some((username, Some(password))) => {
            cluster.username = Some(username.clone());
            cluster.password = Some(password.clone());
        }
        None => {
            cluster.username = None;
            cluster.password = None;
        }
    }
    cluster.host = Some(host.to_owned()).filter(|host| !host.is_empty());
    cluster.port = port;
    Ok(())
}

fn cluster_port(digits: &str) -> Result<i32, FlagError> {
    if digits.is_empty() {
        return Err(FlagError::Address("EOF".to_owned()));
    }
    // Too large for a port is found when listening.
    Ok(digits.parse().unwrap_or(i32::MAX))
}

/// `host:port` or `[host]:port` in its parts; refusals in the reference's words.
fn split_host_port(address: &str) -> Result<(&str, &str), FlagError> {
    let refuse = |reason: &str| {
        let shown =
            if address.is_empty() { reason.to_owned() } else { format!("address {address}: {reason}") };
        FlagError::Address(shown)
    };
    let Some((host, port)) = address.rsplit_once(':') else {
        return Err(refuse("missing port in address"));
    };
    if let Some(inner) = host.strip_prefix('[') {
        return match inner.strip_suffix(']') {
            Some(inner) => Ok((inner, port)),
            None => Err(refuse("missing port in address")),
        };
    }
    if host.contains(':') {
        return Err(refuse("too many colons in address"));
    }
    Ok((host, port))
}

fn port(value: &Value) -> i32 {
    let number = value.number();
    // Beyond 32 bits it is no port either way; listening refuses it.
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

fn some_text(value: &Value) -> Option<String> {
    Some(value.text().to_owned()).filter(|text| !text.is_empty())
}

fn some_path(value: &Value) -> Option<PathBuf> {
    some_text(value).map(PathBuf::from)
}

/// The flags as clap knows them: for the man page and the shells' completions.
pub fn command(name: &'static str) -> clap::Command {
    let mut command = clap::Command::new(name)
        .about("Run a server")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .override_usage(format!("natsx {name} [options]"));
    for group in FLAGS {
        for flag in group.flags {
            command = command.arg(argument(flag).help_heading(group.title));
        }
    }
    command
}

fn argument(flag: &Flag) -> clap::Arg {
    let long = flag.names.last().copied().unwrap_or_default();
    let mut argument = clap::Arg::new(long).help(flag.help.join("\n"));
    for name in flag.names {
        let mut letters = name.chars();
        argument = match (letters.next(), letters.next()) {
            (Some(letter), None) => argument.short(letter),
            _ if *name == long => argument.long(*name),
            _ => argument.visible_alias(*name),
        };
    }
    match flag.kind {
        FlagKind::Switch => argument.action(clap::ArgAction::SetTrue),
        _ => argument.action(clap::ArgAction::Set).value_name(flag.value).value_hint(hint(flag.value)),
    }
}

fn hint(value: &str) -> ValueHint {
    match value {
        "file" => ValueHint::FilePath,
        "dir" => ValueHint::DirPath,
        "host" => ValueHint::Hostname,
        "url" | "cluster-url" => ValueHint::Url,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
#[path = "flags_test.rs"]
mod tests;
