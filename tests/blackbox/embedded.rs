//! The server as a library: started, spoken to, changed and stopped by the program it lives in.
//!
//! These use the library that was built with the tests, whatever binary is under test.

use std::sync::Arc;

use natsx::server::auth::{Admission, Authenticator, Login};
use natsx::server::base::clock::SystemClock;
use natsx::server::config::options::{self, HandshakeFirst, Options, PORT_RANDOM, Tls};
use natsx::server::log::{Levels, Logger};
use natsx::server::run::{Life, Server, StartError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::harness::client::soon;
use crate::harness::pki::Authority;
use crate::harness::trial::trials;
use crate::harness::{Raw, block_on};

trials! { Nothing => [
    a_client_connects_over_tcp,
    a_client_connects_inside_the_process,
    both_kinds_of_client_reach_each_other,
    servers_of_one_process_share_nothing,
    new_options_are_taken_while_it_runs,
    its_pid_and_ports_files_are_written_moved_and_removed,
    options_that_need_a_restart_are_refused,
    a_stop_closes_clients_and_ends,
    a_port_in_use_is_an_error_value,
    what_is_not_built_is_an_error_value,
    a_lame_duck_without_clients_stops,
    nobody_connects_inside_the_process_once_it_is_a_lame_duck_or_has_stopped,
    its_log_can_be_read_in_the_process,
    an_authenticator_decides_who_connects_and_as_whom,
    an_authenticator_that_blocks_holds_up_nobody,
    an_authenticator_is_asked_again_at_a_reload,
    who_is_connected_stays_so_until_the_authenticator_answers,
    an_authenticator_that_panics_refuses,
    what_an_authenticator_grants_may_end,
    clients_get_a_nonce_where_the_program_wants_it,
    options_show_no_passwords,
    inside_the_process_nobody_needs_tls,
] }

fn options() -> Options {
    let mut options = Options { host: "127.0.0.1".to_owned(), port: PORT_RANDOM, ..Options::default() };
    options.settle();
    options
}

async fn start(options: Options) -> Server {
    let logger = Logger::silent(Arc::new(SystemClock::new()));
    Server::start(options, logger).await.expect("the embedded server starts")
}

/// A client over TCP that has said its CONNECT.
fn tcp_client(server: &Server) -> Raw {
    let mut raw = Raw::open(server.client_addresses()[0]);
    assert!(raw.line().starts_with("INFO {"));
    raw.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
    raw.sync();
    raw
}

/// A client inside the process that has said its CONNECT.
struct Inside(BufReader<UnixStream>);

impl Inside {
    async fn connect(server: &Server) -> Self {
        let mut inside = Self(BufReader::new(server.connect_in_process().expect("a connection")));
        assert!(inside.line().await.starts_with("INFO {"));
        inside.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n").await;
        inside.until("PONG").await;
        inside
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.expect("the server takes it");
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        soon("a line", self.0.read_line(&mut line)).await.expect("the connection is open");
        line.trim_end().to_owned()
    }

    async fn until(&mut self, wanted: &str) {
        while self.line().await != wanted {}
    }
}

fn a_client_connects_over_tcp() {
    block_on(async {
        let server = start(options()).await;
        let mut raw = tcp_client(&server);
        raw.send("SUB a 1\r\nPUB a 1\r\nx\r\n");
        raw.expect_message("a", "x");
        assert_eq!((server.connections(), server.life()), (1, Life::Running));
        server.stop().await;
    });
}

fn a_client_connects_inside_the_process() {
    block_on(async {
        let server = start(options()).await;
        let mut inside = Inside::connect(&server).await;
        inside.send("SUB a.* 1\r\nPUB a.b 5\r\nhello\r\n").await;
        inside.until("MSG a.b 1 5").await;
        assert_eq!(inside.line().await, "hello");
        server.stop().await;
    });
}

fn both_kinds_of_client_reach_each_other() {
    block_on(async {
        let server = start(options()).await;
        let mut inside = Inside::connect(&server).await;
        let mut raw = tcp_client(&server);
        inside.send("SUB in 1\r\nPING\r\n").await;
        inside.until("PONG").await;
        raw.send("SUB out 1\r\nPUB in 1\r\nx\r\n");
        raw.sync();
        inside.until("MSG in 1 1").await;
        inside.send("PUB out 1\r\ny\r\n").await;
        raw.expect_message("out", "y");
        server.stop().await;
    });
}

fn servers_of_one_process_share_nothing() {
    block_on(async {
        let (one, two) = (start(options()).await, start(options()).await);
        assert_ne!(one.id(), two.id());
        let (mut of_one, mut of_two) = (tcp_client(&one), tcp_client(&two));
        of_one.send("SUB a 1\r\n");
        of_one.sync();
        of_two.send("PUB a 1\r\nx\r\n");
        of_two.sync();
        of_one.expect_silence();
        one.stop().await;
        of_two.expect_silence();
        two.stop().await;
    });
}

fn new_options_are_taken_while_it_runs() {
    block_on(async {
        let server = start(options()).await;
        let mut raw = tcp_client(&server);
        let new = Options { max_payload: 3, ..options() };
        server.reload(new).await.expect("a payload limit can change");
        assert_eq!(server.options().max_payload, 3);
        raw.send("PUB a 4\r\n");
        assert_eq!(raw.closed(), ["-ERR 'Maximum Payload Violation'"]);
        server.stop().await;
    });
}

fn its_pid_and_ports_files_are_written_moved_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let folder = dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    let names = |name: &str| {
        let entries = std::fs::read_dir(folder(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let with = |name: &str| {
        let folder = folder(name);
        Options { pid_file: Some(folder.join("pid")), ports_file_dir: Some(folder), ..options() }
    };
    let ports_files = |name: &str| names(name).iter().filter(|file| file.ends_with(".ports")).count();
    block_on(async {
        let server = start(with("one")).await;
        assert_eq!((ports_files("one"), names("one").len()), (1, 2));
        server.reload(with("two")).await.expect("files can move");
        assert_eq!((names("one"), ports_files("two")), (vec!["pid".to_owned()], 1));
        server.stop().await;
        assert_eq!(names("two"), ["pid"]);
    });
}

fn options_that_need_a_restart_are_refused() {
    block_on(async {
        let server = start(options()).await;
        let new = Options { server_name: "other".to_owned().into(), max_payload: 3, ..options() };
        let error = server.reload(new).await.unwrap_err().to_string();
        assert!(error.starts_with("config reload not supported for ServerName"), "{error}");
        assert_ne!(server.options().max_payload, 3);
        server.stop().await;
    });
}

fn a_stop_closes_clients_and_ends() {
    block_on(async {
        let server = start(options()).await;
        let mut raw = tcp_client(&server);
        server.stop().await;
        assert_eq!((server.life(), server.connections()), (Life::Stopped, 0));
        soon("the end", server.stopped()).await;
        assert_eq!(raw.closed(), Vec::<String>::new());
        assert!(std::net::TcpStream::connect(server.client_addresses()[0]).is_err());
    });
}

fn a_port_in_use_is_an_error_value() {
    block_on(async {
        let first = start(options()).await;
        let port = first.client_addresses()[0].port();
        let logger = Logger::silent(Arc::new(SystemClock::new()));
        let error = Server::start(Options { port: port.into(), ..options() }, logger).await.unwrap_err();
        assert!(matches!(error, StartError::Listen { .. }), "{error}");
        first.stop().await;
    });
}

fn what_is_not_built_is_an_error_value() {
    block_on(async {
        let logger = Logger::silent(Arc::new(SystemClock::new()));
        let mut options = options();
        options.http_port = PORT_RANDOM;
        let error = Server::start(options, logger).await.unwrap_err();
        assert!(error.to_string().contains("`http`"), "{error}");
    });
}

fn a_lame_duck_without_clients_stops() {
    block_on(async {
        let server = start(options()).await;
        server.lame_duck().await;
        soon("the end", server.stopped()).await;
        assert_eq!(server.life(), Life::Stopped);
    });
}

fn nobody_connects_inside_the_process_once_it_is_a_lame_duck_or_has_stopped() {
    block_on(async {
        let server = start(options()).await;
        let _staying = tcp_client(&server);
        let duck = server.clone();
        let ending = tokio::spawn(async move { duck.lame_duck().await });
        while server.life() == Life::Running {
            tokio::task::yield_now().await;
        }
        assert!(server.connect_in_process().is_err());
        server.stop().await;
        assert!(server.connect_in_process().is_err());
        ending.await.expect("the lame duck ends with the server");
    });
}

fn its_log_can_be_read_in_the_process() {
    block_on(async {
        let (logger, recorder) = Logger::recorded(Levels::default(), Arc::new(SystemClock::new()));
        let server = Server::start(options(), logger).await.expect("the embedded server starts");
        server.stop().await;
        let lines = recorder.lines();
        for text in ["Server is ready", "Initiating Shutdown...", "Server Exiting.."] {
            assert!(lines.iter().any(|line| line.contains(text)), "{lines:?}");
        }
    });
}

/// A server whose program decides by `decide` who connects.
async fn start_deciding(
    options: Options,
    decide: impl Fn(&Login) -> Option<Admission> + Send + Sync + 'static,
) -> Server {
    struct Deciding<F>(F);
    impl<F: Fn(&Login) -> Option<Admission> + Send + Sync + 'static> Authenticator for Deciding<F> {
        fn authenticate(&self, login: &Login) -> Option<Admission> {
            self.0(login)
        }
    }
    let logger = Logger::silent(Arc::new(SystemClock::new()));
    let builder = Server::builder(options, logger).authenticate(Deciding(decide));
    builder.start().await.expect("the embedded server starts")
}

const VIOLATION: &str = "-ERR 'Authorization Violation'";

/// Says CONNECT with this user, and PING.
fn come_as(server: &Server, user: &str) -> Raw {
    let mut raw = Raw::open(server.client_addresses()[0]);
    assert!(raw.line().contains("\"auth_required\":true"));
    raw.send(format!("CONNECT {{\"verbose\":false,\"pedantic\":false,\"user\":\"{user}\"}}\r\nPING\r\n"));
    raw
}

fn an_authenticator_decides_who_connects_and_as_whom() {
    block_on(async {
        let account = options::Account { name: "A".to_owned(), ..options::Account::default() };
        let options = Options { accounts: vec![account], ..options() };
        let server = start_deciding(options, |login| match login.options.user.as_str() {
            "ann" if login.peer.is_some() => Some(Admission {
                account: Some("A".to_owned()),
                permissions: Some(options::Permissions {
                    publish: Some(options::SubjectPermission {
                        allow: Some(vec!["a".to_owned()]),
                        deny: vec![],
                    }),
                    ..options::Permissions::default()
                }),
                ..Admission::default()
            }),
            "lost" => Some(Admission { account: Some("nowhere".to_owned()), ..Admission::default() }),
            "bob" => Some(Admission::default()),
            _ => None,
        })
        .await;
        let mut ann = come_as(&server, "ann");
        ann.expect("PONG");
        ann.send("PUB b 1\r\nx\r\n");
        assert_eq!(ann.sync(), ["-ERR 'Permissions Violation for Publish to \"b\"'"]);
        let mut bob = come_as(&server, "bob");
        bob.expect("PONG");
        bob.send("SUB a 1\r\n");
        bob.sync();
        ann.send("PUB a 1\r\nx\r\n");
        ann.sync();
        bob.expect_silence();
        for user in ["eve", "lost"] {
            assert_eq!(come_as(&server, user).closed(), [VIOLATION], "{user}");
        }
        server.stop().await;
    });
}

fn an_authenticator_that_blocks_holds_up_nobody() {
    block_on(async {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let server = start_deciding(options(), move |login| {
            if login.options.user == "slow" {
                gate.lock().unwrap().recv().ok()?;
            }
            Some(Admission::default())
        })
        .await;
        let mut quick = come_as(&server, "quick");
        quick.expect("PONG");
        let mut slow = come_as(&server, "slow");
        quick.send("SUB a 1\r\nPUB a 1\r\nx\r\n");
        quick.expect_message("a", "x");
        slow.socket().set_nonblocking(true).unwrap();
        assert!(slow.socket().peek(&mut [0]).is_err(), "it is not decided yet");
        slow.socket().set_nonblocking(false).unwrap();
        release.send(()).unwrap();
        slow.expect("PONG");
        server.stop().await;
    });
}

fn an_authenticator_is_asked_again_at_a_reload() {
    block_on(async {
        let is_open = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let seen = Arc::clone(&is_open);
        let server = start_deciding(options(), move |login| {
            let is_open = seen.load(std::sync::atomic::Ordering::Relaxed) || login.options.user.is_empty();
            is_open.then(Admission::default)
        })
        .await;
        let mut nobody = come_as(&server, "");
        nobody.expect("PONG");
        is_open.store(false, std::sync::atomic::Ordering::Relaxed);
        nobody.sync();
        server.reload(options()).await.expect("nothing changes");
        assert_eq!(nobody.sync(), [""; 0]);
        assert_eq!(come_as(&server, "ann").closed(), [VIOLATION]);
        server.stop().await;
    });
}

fn who_is_connected_stays_so_until_the_authenticator_answers() {
    block_on(async {
        let (release, gate) = std::sync::mpsc::channel::<bool>();
        let gate = std::sync::Mutex::new(gate);
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let server = start_deciding(options(), move |_| {
            let is_first = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
            (is_first || gate.lock().unwrap().recv() == Ok(true)).then(Admission::default)
        })
        .await;
        let mut ann = come_as(&server, "ann");
        ann.expect("PONG");
        ann.send("SUB a 1\r\n");
        server.reload(options()).await.expect("nothing changes");
        ann.send("PUB a 1\r\nx\r\n");
        ann.expect_message("a", "x");
        release.send(true).unwrap();
        server.reload(options()).await.expect("nothing changes");
        ann.send("PUB a 1\r\ny\r\n");
        ann.expect_message("a", "y");
        release.send(false).unwrap();
        release.send(false).unwrap();
        assert_eq!(ann.closed(), [VIOLATION]);
        server.stop().await;
    });
}

fn an_authenticator_that_panics_refuses() {
    block_on(async {
        let server = start_deciding(options(), |login| {
            assert_ne!(login.options.user, "eve", "told to");
            Some(Admission::default())
        })
        .await;
        assert_eq!(come_as(&server, "eve").closed(), [VIOLATION]);
        come_as(&server, "ann").expect("PONG");
        server.stop().await;
    });
}

fn what_an_authenticator_grants_may_end() {
    block_on(async {
        let server = start_deciding(options(), |_| {
            let soon = std::time::SystemTime::now() + std::time::Duration::from_millis(50);
            Some(Admission { deadline: Some(soon), ..Admission::default() })
        })
        .await;
        let mut ann = come_as(&server, "ann");
        ann.expect("PONG");
        assert_eq!(ann.closed(), ["-ERR 'User Authentication Expired'"]);
        server.stop().await;
    });
}

fn clients_get_a_nonce_where_the_program_wants_it() {
    block_on(async {
        let logger = Logger::silent(Arc::new(SystemClock::new()));
        let server = Server::builder(options(), logger).always_nonce().start().await.expect("it starts");
        let nonce = || {
            let line = Raw::open(server.client_addresses()[0]).line();
            line.split("\"nonce\":\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
        };
        let (one, two) = (nonce().expect("a nonce"), nonce().expect("a nonce"));
        assert!(one.len() == 15 && one != two, "{one} {two}");
        server.stop().await;
    });
}

fn options_show_no_passwords() {
    let mut options = options();
    options.authorization.password = Some("hush".to_owned());
    options.authorization.token = Some("hush".to_owned());
    options.users.push(options::User {
        identity: options::UserIdentity::Password { username: "ann".to_owned(), password: "hush".to_owned() },
        permissions: None,
        account: None,
        allowed_connection_types: Vec::new(),
        proxy_required: false,
    });
    let shown = format!("{options:?}");
    assert!(shown.contains("ann") && !shown.contains("hush"), "{shown}");
}

fn inside_the_process_nobody_needs_tls() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    Authority::new("test").server(&["localhost"]).write(dir.path(), "server");
    let file = |name: &str| Some(dir.path().join(name));
    for first in [HandshakeFirst::Off, HandshakeFirst::On] {
        block_on(async {
            let (cert_file, key_file) = (file("server.pem"), file("server.key"));
            let tls = Tls { cert_file, key_file, handshake_first: first, ..Tls::default() };
            let server = start(Options { tls: Some(tls), ..options() }).await;
            let mut inside = Inside(BufReader::new(server.connect_in_process().expect("a connection")));
            let info = inside.line().await;
            assert!(info.contains("\"tls_available\":true") && !info.contains("tls_required"), "{info}");
            inside.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n").await;
            assert_eq!(inside.line().await, "PONG");
            server.stop().await;
        });
    }
}
