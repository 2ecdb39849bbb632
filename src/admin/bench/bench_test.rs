//! The load generator against a small server that can misbehave on demand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::connections::Crowd;
use super::load::{Amount, Fleet, LoadError};
use super::plan;
use super::runner::{Settings, run_scenario};
use super::scenario::{self, Kind, Scenario, Shape};
use super::wire::{self, Target};

/// What the server does wrong, at its delivery of that number (counted from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Lose(u64),
    Repeat(u64),
    /// Delivers another payload of one byte less.
    Shorten(u64),
    Close(u64),
    /// Closes subscribers to such subjects at their first delivery.
    CloseOn(&'static str),
    /// Refuses CONNECT.
    Refuse,
    /// Takes everything after the login and says nothing more.
    FallSilent,
    /// Sends PING before and after each PONG, as servers do when they like.
    Ask,
}

struct Subscription {
    pattern: String,
    queue: Option<String>,
    sid: String,
    peer: Option<SocketAddr>,
    stream: TcpStream,
}

struct Server {
    fault: Fault,
    subscriptions: Mutex<(u64, Vec<Subscription>)>,
}

/// Starts one on a free port; its threads end with their connections.
fn serve(fault: Fault) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Arc::new(Server { fault, subscriptions: Mutex::new((0, Vec::new())) });
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let server = Arc::clone(&server);
            std::thread::spawn(move || server.talk(stream));
        }
    });
    Target::parse(&address).unwrap()
}

impl Server {
    fn talk(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        stream.write_all(b"INFO {\"version\":\"0\"}\r\n").ok()?;
        let mut lines = BufReader::new(stream.try_clone().ok()?);
        let mut line = String::new();
        while lines.read_line(&mut line).ok()? > 0 {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            match *words.as_slice() {
                ["SUB" | "PUB", ..] if self.fault == Fault::FallSilent => {
                    // Reads on until the client gives up.
                    return lines.read_to_end(&mut Vec::new()).ok().map(drop);
                }
                ["PING"] => {
                    let ask = self.fault == Fault::Ask;
                    let answer: &[u8] = if ask { b"PING\r\nPONG\r\nPING\r\n" } else { b"PONG\r\n" };
                    // One write: the subscriber's deliveries come from other threads.
                    let _guard = self.subscriptions.lock().unwrap();
                    stream.write_all(answer).ok()?;
                }
                ["SUB", pattern, sid] => self.subscribe(pattern, None, sid, &stream)?,
                ["SUB", pattern, queue, sid] => self.subscribe(pattern, Some(queue), sid, &stream)?,
                ["PUB", subject, ref rest @ ..] => {
                    let (reply, size) = rest.split_at(rest.len() - 1);
                    let mut payload = vec![0; size[0].parse::<usize>().unwrap() + 2];
                    lines.read_exact(&mut payload).ok()?;
                    self.publish(subject, reply.first().copied(), &payload);
                }
                ["UNSUB", sid] => {
                    let peer = stream.peer_addr().ok();
                    let mut subscriptions = self.subscriptions.lock().unwrap();
                    subscriptions.1.retain(|one| one.peer != peer || one.sid != sid);
                }
                ["CONNECT", ..] if self.fault == Fault::Refuse => {
                    stream.write_all(b"-ERR 'Authorization Violation'\r\n").ok()?;
                }
                _ => {}
            }
            line.clear();
        }
        Some(())
    }

    fn subscribe(&self, pattern: &str, queue: Option<&str>, sid: &str, stream: &TcpStream) -> Option<()> {
        self.subscriptions.lock().unwrap().1.push(Subscription {
            pattern: pattern.to_owned(),
            queue: queue.map(str::to_owned),
            sid: sid.to_owned(),
            peer: stream.peer_addr().ok(),
            stream: stream.try_clone().ok()?,
        });
        Some(())
    }

    fn publish(&self, subject: &str, reply: Option<&str>, payload: &[u8]) {
        let (count, subscriptions) = &mut *self.subscriptions.lock().unwrap();
        let mut served = Vec::new();
        for subscription in subscriptions {
            let other_member = subscription.queue.as_ref().is_some_and(|queue| served.contains(queue));
            if other_member || !matches(&subscription.pattern, subject) {
                continue;
            }
            served.extend(subscription.queue.clone());
            *count += 1;
            let at = |number: u64| number == *count;
            let (times, payload) = match self.fault {
                Fault::Lose(number) if at(number) => (0, payload),
                Fault::Repeat(number) if at(number) => (2, payload),
                Fault::Shorten(number) if at(number) => (1, &payload[1..]),
                Fault::Close(number) if !at(number) => (1, payload),
                Fault::CloseOn(prefix) if !subject.starts_with(prefix) => (1, payload),
                Fault::Close(_) | Fault::CloseOn(_) => {
                    let _ = subscription.stream.write_all(b"-ERR 'Slow Consumer'\r\n");
                    let _ = subscription.stream.shutdown(Shutdown::Both);
                    (0, payload)
                }
                _ => (1, payload),
            };
            let reply = reply.map_or_else(String::new, |reply| format!("{reply} "));
            let line = format!("MSG {subject} {} {reply}{}\r\n", subscription.sid, payload.len() - 2);
            for _ in 0..times {
                let _ = subscription.stream.write_all(&[line.as_bytes(), payload].concat());
            }
        }
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(wanted), Some(token)) if wanted == "*" || wanted == token => {}
            _ => return false,
        }
    }
}

fn settings(target: Target) -> Settings {
    let mut settings = Settings::new(target);
    settings.target.patience = Duration::from_secs(20);
    settings
}

fn named(name: &str) -> Scenario {
    let mut scenario = scenario::by_name(name).remove(0);
    scenario.messages = 600;
    scenario.subjects = scenario.subjects.min(300);
    scenario.connections = scenario.connections.min(30);
    scenario
}

#[track_caller]
fn check(name: &str, published: u64, delivered: u64) {
    let outcome = run_scenario(&settings(serve(Fault::None)), &named(name), &mut |_| ()).unwrap();
    assert_eq!((outcome.published, outcome.delivered), (published, delivered), "{name}");
}

#[test]
fn every_publish_subscribe_scenario_counts_what_it_should() {
    check("publish", 600, 0);
    check("one-to-one", 600, 600);
    check("fan-out-20", 600, 12_000);
    check("wildcard", 600, 2_400);
    check("four-to-four", 600, 2_400);
    check("queue-2-4", 600, 600);
    check("mixed", 600, 3_000);
    check("mixed-4", 600, 3_000);
    check("subjects-200k", 600, 600);
}

#[test]
fn requests_connections_and_storms_are_counted() {
    check("request", 600, 600);
    check("request-20", 600, 600);
    let mut fixed = named("fixed");
    fixed.messages = 1_000;
    let outcome = run_scenario(&settings(serve(Fault::None)), &fixed, &mut |_| ()).unwrap();
    assert_eq!((outcome.published, outcome.delivered), (1_000, 300 + 50 * 20 + 50 * 4 + 50 + 100 * 5 + 50));
    let outcome = run_scenario(&settings(serve(Fault::None)), &named("storm"), &mut |_| ()).unwrap();
    assert_eq!(outcome.latency.unwrap().count, 30);
}

#[test]
fn a_storm_of_log_ins_tells_what_it_did_to_others_and_how_many_failed() {
    let mut storm = named("auth-storm");
    storm.publishers = 10;
    let outcome = run_scenario(&settings(serve(Fault::None)), &storm, &mut |_| ()).unwrap();
    assert_eq!((outcome.published, outcome.connections), (30, 30));
    assert!(outcome.latency.unwrap().count > 0);
    assert!(outcome.notes[1].starts_with("30 log-ins: p50 "), "{:?}", outcome.notes);
    // Who is refused already at the first connection measures nothing.
    assert!(run_scenario(&settings(serve(Fault::Refuse)), &storm, &mut |_| ()).is_err());
}

#[test]
fn a_servers_ping_is_answered_and_not_counted() {
    let outcome = run_scenario(&settings(serve(Fault::Ask)), &named("one-to-one"), &mut |_| ()).unwrap();
    assert_eq!(outcome.delivered, 600);
}

#[test]
fn idle_connections_get_their_message_though_the_server_asks_meanwhile() {
    let target = serve(Fault::Ask);
    let (crowd, connecting) = Crowd::gather(&target, 30, &mut |_| ()).unwrap();
    crowd.deliver_to_each().unwrap();
    assert_eq!((crowd.count(), connecting.latency.len()), (30, 30));
}

fn fleet(fault: Fault, subscribers: usize, patience: Duration) -> Result<(), LoadError> {
    let mut settings = settings(serve(fault));
    settings.target.patience = patience;
    let kind = Kind::PubSub(Shape::Plain);
    let scenario = Scenario { subscribers, messages: 100, kind, ..scenario::base() };
    let plan = plan::plan(&scenario, Shape::Plain, Amount::Messages(100), 1024)?;
    let mut fleet = Fleet::start(&settings.target, &plan, settings.effort(&scenario))?;
    fleet.phase(Amount::Messages(100), &mut |_| ())?;
    fleet.finish()
}

#[track_caller]
fn check_fault(fault: Fault, patience: Duration, want: &str) {
    let error = fleet(fault, 2, patience).unwrap_err().to_string();
    assert!(error.contains(want), "{fault:?}: {error}");
}

#[test]
fn a_lost_message_is_noticed() {
    check_fault(Fault::Lose(17), Duration::from_secs(2), "1 of 200 expected messages did not arrive");
}

#[test]
fn a_repeated_message_is_noticed() {
    check_fault(Fault::Repeat(200), Duration::from_secs(20), "received 101 messages");
}

#[test]
fn a_payload_of_another_length_is_noticed() {
    check_fault(
        Fault::Shorten(17),
        Duration::from_secs(20),
        "100 messages with 12799 payload bytes instead of 100 messages with 12800",
    );
}

#[test]
fn a_closed_subscriber_is_named_with_the_servers_reason() {
    let error = fleet(Fault::Close(18), 2, Duration::from_secs(20)).unwrap_err().to_string();
    assert!(error.starts_with("subscriber ") && error.contains("-ERR 'Slow Consumer'"), "{error}");
}

#[test]
fn a_refused_login_is_told_in_the_servers_words() {
    let error = wire::connect(&serve(Fault::Refuse)).unwrap_err().to_string();
    assert!(error.contains("Authorization Violation"), "{error}");
}

#[test]
fn figures_of_the_servers_process_are_in_the_outcome() {
    let mut settings = settings(serve(Fault::None));
    settings.server_pid = Some(std::process::id());
    let outcome = run_scenario(&settings, &named("one-to-one"), &mut |_| ()).unwrap();
    assert!(outcome.server.unwrap().rss_bytes_after > 0);
}

#[test]
fn a_server_that_answers_no_more_is_given_up_after_the_timeout() {
    let check = |name: &str, want: &str| {
        let mut settings = settings(serve(Fault::FallSilent));
        settings.target.patience = Duration::from_millis(300);
        let error = run_scenario(&settings, &named(name), &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
    };
    check("one-to-one", "no PONG on 1 connections, and nothing moved for ");
    check("publish", "no PONG on 1 connections, and nothing moved for ");
    check("request", "no answer within 300 ms");
    check("connections", "no answer within 300 ms");
}

/// Six messages, all publishers together: each has a pause that is longer than the patience.
#[test]
fn pauses_of_a_slow_rate_are_no_loss_and_publishers_take_turns() {
    let mut settings = settings(serve(Fault::None));
    settings.target.patience = Duration::from_millis(100);
    settings.rate = Some(5);
    let scenario = Scenario { publishers: 3, messages: 6, ..named("one-to-one") };
    let outcome = run_scenario(&settings, &scenario, &mut |_| ()).unwrap();
    assert_eq!((outcome.published, outcome.delivered, outcome.asked_per_second), (6, 6, Some(5)));
    // The last is due after five fifths of a second, whichever publisher has it.
    assert!(outcome.seconds >= 0.99, "{}", outcome.seconds);
}

#[test]
fn a_rate_that_cannot_be_reached_is_told() {
    let mut settings = settings(serve(Fault::None));
    settings.rate = Some(1_000_000_000);
    let outcome = run_scenario(&settings, &named("request"), &mut |_| ()).unwrap();
    assert!(outcome.notes.iter().any(|note| note.starts_with("asked for 1000000000/s, reached ")));
    // All were due at once, so that each waited for those before it: one after the other, their round trips
    // alone would come to no more than the whole took.
    let latency = outcome.latency.unwrap();
    assert!(latency.mean_us * latency.count as f64 > 2e6 * outcome.seconds, "{latency:?}");
}

#[test]
fn a_duration_ends_every_kind_of_run() {
    let mut settings = settings(serve(Fault::None));
    settings.duration = Some(Duration::from_millis(200));
    settings.receivers = 3;
    for name in ["publish", "fan-out-20", "request", "storm", "auth-storm"] {
        let mut scenario = named(name);
        scenario.publishers = 2;
        let outcome = run_scenario(&settings, &scenario, &mut |_| ()).unwrap();
        assert!(outcome.published > 0, "{name}");
        if name == "fan-out-20" {
            assert_eq!(outcome.delivered, 20 * outcome.published);
        }
    }
}

#[test]
fn a_storm_keeps_its_rate() {
    let mut settings = settings(serve(Fault::None));
    settings.rate = Some(100);
    let outcome = run_scenario(&settings, &named("storm"), &mut |_| ()).unwrap();
    assert_eq!(outcome.connections, 30);
    assert!(outcome.seconds >= 0.28, "{}", outcome.seconds);
}

#[test]
fn a_flood_that_fails_ends_the_talk_beside_it() {
    // The requests go on for ever, unless they hear of it.
    let scenario = Scenario { messages: 1_000_000_000, ..named("request-flood") };
    let error =
        run_scenario(&settings(serve(Fault::CloseOn("bench.r"))), &scenario, &mut |_| ()).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("the fan-out beside it: subscriber "), "{error}");
}

#[test]
fn a_process_that_did_nothing_is_not_taken_for_the_server() {
    let mut sleeper = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let mut settings = settings(serve(Fault::None));
    settings.server_pid = Some(sleeper.id());
    let outcome = run_scenario(&settings, &named("one-to-one"), &mut |_| ());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let notes = outcome.unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("used no CPU time")), "{notes:?}");
}
