//! Every message to everyone who should have it: once, whole, in order, whatever others do.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::scope;

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::harness::chance::Chance;
use crate::harness::raw::Message;
use crate::harness::trial::trials;
use crate::harness::{Raw, Server, Start};

trials! { Nothing => [
    order_is_kept_from_each_publisher_to_each_subscriber,
    nothing_is_lost_or_doubled_while_connections_come_go_and_stall,
    a_fanout_of_two_hundred_gives_everyone_everything,
    random_subjects_reach_literals_wildcards_and_a_group_without_a_gap,
    receivers_that_stall_and_go_on_miss_nothing,
    large_payloads_and_groups_keep_their_place_among_small_messages,
    a_queue_group_takes_each_message_once_while_members_come_and_go,
    queue_members_are_chosen_at_random,
    several_groups_and_plain_subscriptions_each_get_a_copy,
    one_connection_may_hold_several_members,
    a_closed_member_is_skipped,
    order_is_kept_within_a_queue_group_of_one,
    operations_cut_at_every_byte_mean_the_same,
    many_operations_in_one_packet_are_all_done,
    a_large_payload_sent_in_pieces_arrives_whole,
    every_byte_value_passes_in_a_payload,
    thousands_of_subscriptions_each_get_their_own,
    subscriptions_end_with_their_connection,
    a_new_wildcard_is_seen_by_subjects_already_in_use,
    a_removed_subscription_gets_nothing_more,
    subjects_of_many_tokens_match,
] }

/// The numbers of `range` as messages on `subject`, `tag` before each.
fn numbered(subject: &str, tag: &str, range: Range<u32>) -> String {
    range.map(|number| numbered_one(subject, tag, number)).collect()
}

fn numbered_one(subject: &str, tag: &str, number: u32) -> String {
    let payload = format!("{tag} {number}");
    format!("PUB {subject} {}\r\n{payload}\r\n", payload.len())
}

/// A message of [`numbered`]: its tag and its number.
fn parse_numbered(text: &str) -> (String, u32) {
    let (tag, number) = text.split_once(' ').unwrap_or_else(|| panic!("not numbered: {text:?}"));
    (tag.to_owned(), number.parse().unwrap())
}

/// Reads `count` messages and asserts that each tag counts up from zero without a gap.
#[track_caller]
fn expect_in_order(raw: &mut Raw, count: u32) {
    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..count {
        let (tag, number) = parse_numbered(raw.message().text());
        let want = next.entry(tag.clone()).or_default();
        assert_eq!(number, *want, "from {tag}");
        *want += 1;
    }
}

fn order_is_kept_from_each_publisher_to_each_subscriber() {
    const PUBLISHERS: u32 = 4;
    const MESSAGES: u32 = 5000;
    let server = Server::start("");
    let mut subscribers: Vec<Raw> = ["load.a", "load.*", "load.>", "load.a"]
        .iter()
        .map(|subject| {
            let mut raw = Raw::connect(&server);
            raw.send(format!("SUB {subject} 1\r\n"));
            raw.sync();
            raw
        })
        .collect();
    scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut raw = Raw::connect(&server);
            scope.spawn(move || {
                // Pieces of different sizes, so that batches end everywhere.
                let text = numbered("load.a", &format!("p{publisher}"), 0..MESSAGES);
                for piece in text.as_bytes().chunks(997 + 1000 * publisher as usize) {
                    raw.send(piece);
                }
                raw.sync();
            });
        }
        for raw in &mut subscribers {
            scope.spawn(|| expect_in_order(raw, PUBLISHERS * MESSAGES));
        }
    });
    for raw in &mut subscribers {
        raw.expect_silence();
    }
}

fn nothing_is_lost_or_doubled_while_connections_come_go_and_stall() {
    const PUBLISHERS: u32 = 3;
    const MESSAGES: u32 = 8000;
    const VISITORS: usize = 3;
    const STALLERS: usize = 4;
    let server = Start::config("max_pending: 1mb").args(&["-D"]).start();
    let mut residents: Vec<Raw> = (0..3)
        .map(|_| {
            let mut raw = Raw::connect(&server);
            raw.send("SUB load.> 1\r\n");
            raw.sync();
            raw
        })
        .collect();
    // They subscribe and never read: the server may drop them, nobody else may notice.
    let stallers: Vec<Raw> = (0..STALLERS)
        .map(|_| {
            let mut raw = Raw::connect(&server);
            raw.send("SUB load.> 1\r\n");
            raw.sync();
            raw
        })
        .collect();
    let over = AtomicBool::new(false);
    let visits = scope(|scope| {
        let visitors: Vec<_> = (0..VISITORS)
            .map(|_| {
                scope.spawn(|| {
                    let mut visits = 0;
                    while !over.load(Ordering::Relaxed) {
                        visit(&server, visits);
                        visits += 1;
                    }
                    visits
                })
            })
            .collect();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let mut raw = Raw::connect(&server);
                scope.spawn(move || {
                    for start in (0..MESSAGES).step_by(100) {
                        raw.send(numbered("load.x", &format!("p{publisher}"), start..start + 100));
                        raw.sync();
                    }
                })
            })
            .collect();
        let readers: Vec<_> = residents
            .iter_mut()
            .map(|raw| scope.spawn(|| expect_in_order(raw, PUBLISHERS * MESSAGES)))
            .collect();
        for thread in publishers.into_iter().chain(readers) {
            let done = thread.join();
            over.store(true, Ordering::Relaxed);
            done.unwrap();
        }
        visitors.into_iter().map(|visitor| visitor.join().unwrap()).sum::<u32>()
    });
    assert!(visits > 0, "nobody came or went");
    for raw in &mut residents {
        raw.expect_silence();
    }
    drop(stallers);
}

/// Comes, subscribes, reads a little and goes in one of three ways: what it saw had no gaps.
fn visit(server: &Server, number: u32) {
    let mut raw = Raw::connect(server);
    raw.send("SUB load.* 7\r\nPING\r\n");
    let mut next: BTreeMap<String, u32> = BTreeMap::new();
    let (mut messages, mut pongs) = (0, 0);
    // The publishers may be done: a few round trips end the visit too.
    while messages < 200 && pongs < 20 {
        if raw.line() == "PONG" {
            pongs += 1;
            raw.send("PING\r\n");
            continue;
        }
        let (tag, number) = parse_numbered(&raw.line());
        messages += 1;
        if let Some(want) = next.insert(tag.clone(), number + 1) {
            assert_eq!(number, want, "a visitor's messages from {tag}");
        }
    }
    match number % 3 {
        0 => raw.send("UNSUB 7\r\n"),
        1 => raw.finish_sending(),
        _ => {}
    }
}

fn a_fanout_of_two_hundred_gives_everyone_everything() {
    const SUBSCRIBERS: usize = 200;
    const MESSAGES: u32 = 200;
    let server = Server::start("");
    let mut subscribers: Vec<Raw> = (0..SUBSCRIBERS)
        .map(|_| {
            let mut raw = Raw::connect(&server);
            raw.send("SUB fan 1\r\n");
            raw.sync();
            raw
        })
        .collect();
    let mut publisher = Raw::connect(&server);
    publisher.send(numbered("fan", "p", 0..MESSAGES));
    publisher.sync();
    for raw in &mut subscribers {
        expect_in_order(raw, MESSAGES);
        raw.expect_silence();
    }
}

/// What publisher number `publisher` sends, message by message: tokens of `load.<one>.<other>`.
fn random_route(publisher: u32) -> impl Iterator<Item = (usize, usize)> {
    let mut chance = Chance::new(u64::from(publisher) + 1);
    std::iter::from_fn(move || Some((chance.below(20), chance.below(20))))
}

/// The numbers of these messages by publisher, which must rise.
#[track_caller]
fn rising(messages: impl Iterator<Item = Message>, publishers: u32) -> Vec<Vec<u32>> {
    let mut numbers = vec![Vec::new(); publishers as usize];
    for message in messages {
        let (publisher, number) = parse_numbered(message.text());
        let publisher: usize = publisher.parse().unwrap();
        assert!(numbers[publisher].last().is_none_or(|last| *last < number), "{number} of {publisher} late");
        numbers[publisher].push(number);
    }
    numbers
}

/// Random subjects and a queue group: no two messages in a row are delivered together.
fn random_subjects_reach_literals_wildcards_and_a_group_without_a_gap() {
    const PUBLISHERS: u32 = 4;
    const MESSAGES: u32 = 30_000;
    const MEMBERS: usize = 3;
    type Wants = fn(usize, usize) -> bool;
    let plain: [(&str, Wants); 5] = [
        ("load.>", |_, _| true),
        ("load.*.7", |_, other| other == 7),
        ("load.3.>", |one, _| one == 3),
        ("load.*.*", |_, _| true),
        ("load.5.5", |one, other| (one, other) == (5, 5)),
    ];
    let server = Server::start("");
    let subscribe = |line: String| {
        let mut raw = Raw::connect(&server);
        raw.send(line);
        raw.sync();
        raw
    };
    let mut subscribers = plain.map(|(pattern, _)| subscribe(format!("SUB {pattern} 12\r\n")));
    let mut members = [(); MEMBERS].map(|()| subscribe("SUB load.> workers 345\r\nSUB end 6\r\n".to_owned()));
    let wanted = |wants: Wants| -> Vec<Vec<u32>> {
        let of = |publisher| (0..MESSAGES).zip(random_route(publisher));
        let kept = |publisher| of(publisher).filter(|(_, (one, other))| wants(*one, *other));
        (0..PUBLISHERS).map(|publisher| kept(publisher).map(|(number, _)| number).collect()).collect()
    };
    let taken = scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let mut raw = Raw::connect(&server);
                scope.spawn(move || {
                    let messages = (0..MESSAGES).zip(random_route(publisher));
                    let messages = messages.map(|(number, (one, other))| {
                        numbered_one(&format!("load.{one}.{other}"), &publisher.to_string(), number)
                    });
                    let text: String = messages.collect();
                    for piece in text.as_bytes().chunks(20_011) {
                        raw.send(piece);
                    }
                    // The second answer comes when all that the first batch caused has been sent.
                    raw.sync();
                    raw.sync();
                })
            })
            .collect();
        for (raw, (pattern, wants)) in subscribers.iter_mut().zip(plain) {
            let wanted = wanted(wants);
            scope.spawn(move || {
                let count = wanted.iter().map(Vec::len).sum();
                let received = rising((0..count).map(|_| raw.message()), PUBLISHERS);
                assert!(received == wanted, "{pattern}: some were lost or doubled");
                raw.expect_silence();
            });
        }
        // How many a member gets is chance: it is told when all have been sent.
        let readers = members.each_mut().map(|raw| {
            scope.spawn(|| {
                let until_end =
                    std::iter::from_fn(|| Some(raw.message())).take_while(|message| message.subject != "end");
                let taken = rising(until_end, PUBLISHERS);
                raw.expect_silence();
                taken
            })
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        Raw::connect(&server).send("PUB end 0\r\n\r\n");
        readers.map(|reader| reader.join().unwrap())
    });
    for publisher in 0..PUBLISHERS as usize {
        let mut numbers: Vec<u32> = taken.iter().flat_map(|member| member[publisher].clone()).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..MESSAGES), "the group's messages of publisher {publisher}");
    }
}

/// Everybody publishes on without waiting, while the receivers read a round of it, do nothing during
/// the next one, and then read what has piled up.
fn receivers_that_stall_and_go_on_miss_nothing() {
    const PUBLISHERS: u32 = 3;
    const RECEIVERS: usize = 6;
    const ROUNDS: u32 = 4;
    /// Of each publisher: in all more than sockets hold, and less than the server lets wait.
    const MESSAGES: u32 = 2_500;
    let filler = "f".repeat(1000);
    // A machine that is busy with other things is no slow receiver.
    let server = Server::start("write_deadline: 1m");
    let mut receivers: Vec<Raw> = (0..RECEIVERS)
        .map(|number| {
            let mut raw = Raw::connect(&server);
            set_socket_recv_buffer_size(raw.socket(), 16 << 10).unwrap();
            raw.send(format!("SUB load.> {}\r\n", 10_u32.pow(number as u32)));
            raw.sync();
            raw
        })
        .collect();
    // Publishers stay at most two rounds ahead of the receivers, who begin when one has been published. Whoever
    // fails leaves nobody waiting.
    let (tell, told): (Vec<_>, Vec<_>) = (0..RECEIVERS).map(|_| sync_channel::<()>(0)).unzip();
    scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut raw = Raw::connect(&server);
            let (tell, filler) = (tell.clone(), &filler);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let numbers = round * MESSAGES..(round + 1) * MESSAGES;
                    let text = numbers.map(|number| {
                        let payload = format!("{publisher} {number} {filler}");
                        format!("PUB load.x {}\r\n{payload}\r\n", payload.len())
                    });
                    // Pieces of another size each, so that batches of several publishers end between each other's.
                    for piece in
                        text.collect::<String>().as_bytes().chunks(7_000 + 9_000 * publisher as usize)
                    {
                        raw.send(piece);
                    }
                    raw.sync();
                    for receiver in &tell {
                        let _ = receiver.send(());
                    }
                }
            });
        }
        drop(tell);
        for (raw, told) in receivers.iter_mut().zip(told) {
            let filler = &filler;
            scope.spawn(move || {
                let mut next = [0; PUBLISHERS as usize];
                for _ in 0..ROUNDS {
                    (0..PUBLISHERS).for_each(|_| told.recv().unwrap());
                    for _ in 0..PUBLISHERS * MESSAGES {
                        let message = raw.message();
                        let mut words = message.text().split(' ');
                        let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).unwrap();
                        let (publisher, number) = (number() as usize, number());
                        assert_eq!(number, next[publisher], "from publisher {publisher}");
                        assert_eq!(words.next(), Some(filler.as_str()));
                        next[publisher] += 1;
                    }
                }
                raw.expect_silence();
            });
        }
    });
}

/// Small messages of one publisher are delivered together; what can't be must not overtake them.
fn large_payloads_and_groups_keep_their_place_among_small_messages() {
    const MESSAGES: u32 = 20_000;
    let server = Server::start("");
    let mut subscribers = ["SUB mix.> 1\r\n", "SUB mix.* 22\r\n", "SUB mix.a 3\r\nSUB mix.b workers 4\r\n"]
        .map(|lines| {
            let mut raw = Raw::connect(&server);
            raw.send(lines);
            raw.sync();
            raw
        });
    let mut chance = Chance::new(11);
    let mut text = String::new();
    for number in 0..MESSAGES {
        let large = "l".repeat(if chance.below(16) == 0 { 9 << 10 } else { 0 });
        let subject = if chance.below(8) == 0 { "mix.b" } else { "mix.a" };
        text += &numbered_one(subject, &format!("p{large}"), number);
    }
    scope(|scope| {
        let mut publisher = Raw::connect(&server);
        scope.spawn(move || {
            text.as_bytes().chunks(100_003).for_each(|piece| publisher.send(piece));
            publisher.sync();
        });
        for raw in &mut subscribers {
            scope.spawn(|| {
                for want in 0..MESSAGES {
                    let (tag, number) = parse_numbered(raw.message().text());
                    assert_eq!((number, tag.len() > 1), (want, tag.len() == 1 + (9 << 10)), "message {want}");
                }
                raw.expect_silence();
            });
        }
    });
}

fn a_queue_group_takes_each_message_once_while_members_come_and_go() {
    const ROUNDS: u32 = 40;
    const MESSAGES: u32 = 50;
    let server = Server::start("");
    let mut publisher = Raw::connect(&server);
    let mut resident = Raw::connect(&server);
    resident.send("SUB work q 1\r\n");
    resident.sync();
    let mut taken = Vec::new();
    for round in 0..ROUNDS {
        let mut guest = Raw::connect(&server);
        guest.send("SUB work q 9\r\n");
        guest.sync();
        publisher.send(numbered("work", "w", round * MESSAGES..round * MESSAGES + MESSAGES / 2));
        publisher.sync();
        // What the guest got before its UNSUB comes before the PONG behind it.
        guest.send("UNSUB 9\r\nPING\r\n");
        loop {
            match guest.line().as_str() {
                "PONG" => break,
                line => {
                    assert!(line.starts_with("MSG work 9 "), "{line}");
                    taken.push(parse_numbered(&guest.line()).1);
                }
            }
        }
        publisher.send(numbered("work", "w", round * MESSAGES + MESSAGES / 2..(round + 1) * MESSAGES));
        publisher.sync();
    }
    let by_guests = taken.len();
    while taken.len() < (ROUNDS * MESSAGES) as usize {
        taken.push(parse_numbered(resident.message().text()).1);
    }
    resident.expect_silence();
    taken.sort_unstable();
    assert_eq!(taken, (0..ROUNDS * MESSAGES).collect::<Vec<_>>());
    assert!(by_guests > 0, "no guest was ever chosen");
}

/// Which sid of `raw` took each of the next `count` messages.
fn chosen(raw: &mut Raw, count: usize) -> Vec<usize> {
    (0..count).map(|_| raw.message().sid.parse().unwrap()).collect()
}

fn queue_members_are_chosen_at_random() {
    const MEMBERS: usize = 4;
    const MESSAGES: usize = 4000;
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    for sid in 0..MEMBERS {
        raw.send(format!("SUB work q {sid}\r\n"));
    }
    let mut publisher = Raw::connect(&server);
    raw.sync();
    publisher.send("PUB work 1\r\nx\r\n".repeat(MESSAGES));
    let chosen = chosen(&mut raw, MESSAGES);
    for member in 0..MEMBERS {
        let share = chosen.iter().filter(|&&sid| sid == member).count();
        // The mean is 1000 with a deviation of 27: chance does not leave these bounds.
        assert!((700..1300).contains(&share), "member {member} took {share} of {MESSAGES}");
    }
    let repeats = chosen.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(repeats > 500, "{repeats} repeats: members take turns instead of being drawn");
}

fn several_groups_and_plain_subscriptions_each_get_a_copy() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    raw.send(
        "SUB s red 1\r\nSUB s red 2\r\nSUB s blue 3\r\nSUB s blue 4\r\nSUB s 5\r\nSUB * 6\r\nSUB > red 7\r\n",
    );
    raw.send("PUB s 1\r\nx\r\n".repeat(100));
    let mut copies: BTreeMap<&str, u32> = BTreeMap::new();
    for sid in chosen(&mut raw, 400) {
        let receiver = match sid {
            1 | 2 | 7 => "red",
            3 | 4 => "blue",
            5 => "plain",
            _ => "wildcard",
        };
        *copies.entry(receiver).or_default() += 1;
    }
    assert_eq!(copies, BTreeMap::from([("red", 100), ("blue", 100), ("plain", 100), ("wildcard", 100)]));
    raw.expect_silence();
}

fn one_connection_may_hold_several_members() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    raw.send("SUB s q 1\r\nSUB s q 2\r\nSUB s q 3\r\n");
    raw.send("PUB s 1\r\nx\r\n".repeat(200));
    let members: BTreeSet<usize> = chosen(&mut raw, 200).into_iter().collect();
    raw.expect_silence();
    assert_eq!(members, BTreeSet::from([1, 2, 3]));
}

fn a_closed_member_is_skipped() {
    let server = Start::config("").args(&["-D"]).start();
    let mut stays = Raw::connect(&server);
    stays.send("SUB s q 1\r\n");
    stays.sync();
    for round in 0..5 {
        let mut goes = Raw::connect(&server);
        goes.send("SUB s q 2\r\n");
        goes.sync();
        let mark = server.log_mark();
        drop(goes);
        server.wait_log_after(mark, "Client connection closed: ");
        let mut publisher = Raw::connect(&server);
        publisher.send(numbered("s", "p", round * 50..(round + 1) * 50));
        publisher.sync();
    }
    expect_in_order(&mut stays, 250);
}

fn order_is_kept_within_a_queue_group_of_one() {
    let server = Server::start("");
    let mut member = Raw::connect(&server);
    member.send("SUB s q 1\r\n");
    member.sync();
    let mut publisher = Raw::connect(&server);
    publisher.send(numbered("s", "p", 0..5000));
    expect_in_order(&mut member, 5000);
}

fn operations_cut_at_every_byte_mean_the_same() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    let conversation =
        "SUB a.* 1\r\nPUB a.b 5\r\nhe\r\nl\r\nHPUB a.c r 12 14\r\nNATS/1.0\r\n\r\nhi\r\nUNSUB 1\r\nPING\r\n";
    for cut in 0..=conversation.len() {
        let (head, tail) = conversation.split_at(cut);
        raw.send(head);
        raw.send(tail);
        expect_conversation(&mut raw);
    }
    for byte in conversation.as_bytes() {
        raw.send([*byte]);
    }
    expect_conversation(&mut raw);
}

#[track_caller]
fn expect_conversation(raw: &mut Raw) {
    let message = raw.message();
    assert_eq!((message.subject.as_str(), message.text()), ("a.b", "he\r\nl"));
    let message = raw.message();
    assert_eq!((message.subject.as_str(), message.reply.as_deref()), ("a.c", Some("r")));
    assert_eq!((message.headers.as_slice(), message.text()), (b"NATS/1.0\r\n\r\n".as_slice(), "hi"));
    raw.expect("PONG");
}

fn many_operations_in_one_packet_are_all_done() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    let mut packet = String::new();
    for number in 0..500 {
        packet += &format!(
            "SUB n.{number} {number}\r\nPUB n.{number} 0\r\n\r\nUNSUB {number}\r\nPUB n.{number} 1\r\nx\r\n"
        );
    }
    raw.send(packet);
    for number in 0..500 {
        raw.expect_message(&format!("n.{number}"), "");
    }
    raw.expect_silence();
}

fn a_large_payload_sent_in_pieces_arrives_whole() {
    let server = Server::start("");
    let mut receiver = Raw::connect(&server);
    receiver.send("SUB large 1\r\n");
    receiver.sync();
    let mut sender = Raw::connect(&server);
    for (round, piece) in [1000, 1 << 12, (1 << 16) - 1, 1 << 20].into_iter().enumerate() {
        let payload: Vec<u8> = (0..1 << 20).map(|index| (index % 251 + round) as u8).collect();
        sender.send(format!("PUB large {}\r\n", payload.len()));
        for piece in payload.chunks(piece) {
            sender.send(piece);
        }
        sender.send("\r\n");
        assert!(receiver.message().payload == payload, "in pieces of {piece}");
    }
}

fn every_byte_value_passes_in_a_payload() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    let payload: Vec<u8> = (0..=255).chain(*b"\r\nPUB x 1\r\n").collect();
    raw.send(format!("SUB b 1\r\nPUB b {}\r\n", payload.len()));
    raw.send(&payload);
    raw.send("\r\n");
    assert_eq!(raw.message().payload, payload);
    raw.expect_silence();
}

fn thousands_of_subscriptions_each_get_their_own() {
    const SUBSCRIPTIONS: usize = 20_000;
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    let subscribe: String =
        (0..SUBSCRIPTIONS).map(|number| format!("SUB many.{}.{number} {number}\r\n", number % 10)).collect();
    raw.send(subscribe);
    raw.sync();
    let mut publisher = Raw::connect(&server);
    for number in (0..SUBSCRIPTIONS).step_by(7) {
        publisher.send(format!("PUB many.{}.{number} 0\r\n\r\n", number % 10));
        let message = raw.message();
        assert_eq!(message.sid, number.to_string());
    }
    let unsubscribe: String = (0..SUBSCRIPTIONS).map(|number| format!("UNSUB {number}\r\n")).collect();
    raw.send(unsubscribe);
    raw.sync();
    publisher.send("PUB many.0.0 0\r\n\r\nPUB many.1.1 0\r\n\r\n");
    publisher.sync();
    raw.expect_silence();
}

fn subscriptions_end_with_their_connection() {
    let server = Start::config("").args(&["-D"]).start();
    let mut asker = Raw::connect(&server);
    asker.send("SUB inbox 1\r\n");
    let mut worker = Raw::connect(&server);
    worker.send("SUB service 1\r\nSUB service q 2\r\n");
    worker.sync();
    asker.send("PUB service inbox 0\r\n\r\n");
    assert_eq!(worker.message().reply.as_deref(), Some("inbox"));
    let mark = server.log_mark();
    drop(worker);
    server.wait_log_after(mark, "Client connection closed: ");
    asker.send("PUB service inbox 0\r\n\r\n");
    let nobody = asker.message();
    assert_eq!(nobody.subject, "inbox");
    assert!(nobody.headers.starts_with(b"NATS/1.0 503\r\n"), "{nobody:?}");
}

fn a_new_wildcard_is_seen_by_subjects_already_in_use() {
    let server = Server::start("");
    let mut publisher = Raw::connect(&server);
    let mut receiver = Raw::connect(&server);
    receiver.send("SUB a.b.c 1\r\n");
    receiver.sync();
    // The publisher's matches are remembered by now, wherever a server remembers them.
    publisher.send("PUB a.b.c 1\r\n1\r\n".repeat(10));
    for _ in 0..10 {
        receiver.expect_message("a.b.c", "1");
    }
    for (sid, pattern) in ["a.*.c", "a.>", ">", "*.*.*"].into_iter().enumerate() {
        receiver.send(format!("SUB {pattern} {}\r\n", sid + 2));
        receiver.sync();
        publisher.send("PUB a.b.c 1\r\n2\r\n");
        let sids: BTreeSet<String> = (0..sid + 2).map(|_| receiver.message().sid).collect();
        assert_eq!(sids, (1..sid + 3).map(|sid| sid.to_string()).collect());
    }
}

fn a_removed_subscription_gets_nothing_more() {
    let server = Server::start("");
    let mut publisher = Raw::connect(&server);
    let mut receiver = Raw::connect(&server);
    for round in 0..100 {
        receiver.send("SUB a.b 1\r\nSUB a.* 2\r\n");
        receiver.sync();
        publisher.send(numbered_one("a.b", "p", round));
        let sids: BTreeSet<String> = (0..2).map(|_| receiver.message().sid).collect();
        assert_eq!(sids, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
        receiver.send("UNSUB 2\r\nUNSUB 1\r\n");
        receiver.sync();
        publisher.send(numbered_one("a.b", "p", round));
        publisher.sync();
        receiver.expect_silence();
    }
}

fn subjects_of_many_tokens_match() {
    let server = Server::start("");
    let mut raw = Raw::connect(&server);
    for tokens in [1, 15, 16, 17, 31, 32, 33, 64, 100] {
        let subject = vec!["t"; tokens].join(".");
        let wildcard = vec!["*"; tokens].join(".");
        raw.send(format!(
            "SUB {subject} 1\r\nSUB {wildcard} 2\r\nSUB {wildcard}.> 3\r\nPUB {subject} 0\r\n\r\n"
        ));
        let sids: BTreeSet<String> = (0..2).map(|_| raw.message().sid).collect();
        assert_eq!(sids, BTreeSet::from(["1".to_owned(), "2".to_owned()]), "{tokens} tokens");
        raw.send("UNSUB 1\r\nUNSUB 2\r\nUNSUB 3\r\n");
        raw.expect_silence();
    }
}
