//! The official Rust client does with this server what it does with any.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{ConnectOptions, Event, HeaderMap, RequestErrorKind, Subscriber};
use futures_util::StreamExt;

use crate::harness::client::soon;
use crate::harness::trial::trials;
use crate::harness::{Nats, Server, Signal, block_on};

trials! { Nothing => [
    a_published_message_reaches_the_subscriber,
    wildcards_select_by_token,
    one_member_of_a_queue_group_gets_each_message,
    a_request_gets_its_reply,
    many_requests_at_once_each_get_their_own_reply,
    headers_arrive_with_their_values,
    a_request_nobody_serves_fails_at_once,
    unsubscribing_after_a_count_ends_the_stream,
    drain_delivers_what_was_on_its_way,
    a_large_payload_arrives_whole,
    a_payload_over_the_limit_is_refused_by_the_client,
    lame_duck_moves_the_client_to_the_next_server,
    the_client_comes_back_after_a_restart_of_its_server,
    a_subscriber_that_does_not_read_is_reported_as_slow,
    user_and_password_are_asked_for,
] }

async fn next(messages: &mut Subscriber) -> async_nats::Message {
    soon("a message", messages.next()).await.expect("the subscription is open")
}

fn text(message: &async_nats::Message) -> &str {
    std::str::from_utf8(&message.payload).unwrap()
}

fn a_published_message_reaches_the_subscriber() {
    let server = Server::start("");
    block_on(async {
        let (from, to) = (Nats::connect(&server).await, Nats::connect(&server).await);
        let mut messages = to.client.subscribe("greet.joe").await.unwrap();
        to.flush().await;
        for text in ["hello", "", "again"] {
            from.client.publish("greet.joe", text.into()).await.unwrap();
        }
        for want in ["hello", "", "again"] {
            let message = next(&mut messages).await;
            assert_eq!((message.subject.as_str(), text(&message)), ("greet.joe", want));
        }
    });
}

fn wildcards_select_by_token() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let mut star = nats.client.subscribe("orders.*.new").await.unwrap();
        let mut tail = nats.client.subscribe("orders.>").await.unwrap();
        for subject in ["orders.eu.new", "orders.eu.old", "orders", "orders.us.new", "orders.a.b.new"] {
            nats.client.publish(subject, "".into()).await.unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(next(&mut star).await.subject.to_string());
        }
        assert_eq!(seen, ["orders.eu.new", "orders.us.new"]);
        seen.clear();
        for _ in 0..4 {
            seen.push(next(&mut tail).await.subject.to_string());
        }
        assert_eq!(seen, ["orders.eu.new", "orders.eu.old", "orders.us.new", "orders.a.b.new"]);
    });
}

fn one_member_of_a_queue_group_gets_each_message() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let mut members = Vec::new();
        for _ in 0..3 {
            members.push(nats.client.queue_subscribe("work", "workers".into()).await.unwrap());
        }
        let mut all = nats.client.subscribe("work").await.unwrap();
        for number in 0..300 {
            nats.client.publish("work", number.to_string().into()).await.unwrap();
        }
        // The plain subscription sees everything, so by its last message the members have theirs.
        for want in 0..300 {
            assert_eq!(text(&next(&mut all).await), want.to_string());
        }
        nats.flush().await;
        let mut taken = Vec::new();
        for member in &mut members {
            member.unsubscribe().await.unwrap();
            let mut share = 0;
            while let Some(message) = soon("a member's messages", member.next()).await {
                taken.push(text(&message).parse::<u32>().unwrap());
                share += 1;
            }
            assert!(share > 0, "a member got nothing of 300 messages");
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..300).collect::<Vec<_>>());
    });
}

fn a_request_gets_its_reply() {
    let server = Server::start("");
    block_on(async {
        let (asker, worker) = (Nats::connect(&server).await, Nats::connect(&server).await);
        serve_echo(&worker, "service").await;
        let reply = asker.client.request("service", "question".into()).await.unwrap();
        assert_eq!(text(&reply), "re: question");
    });
}

/// Answers every request on `subject` with its text behind `re: `.
async fn serve_echo(worker: &Nats, subject: &'static str) {
    let mut requests = worker.client.subscribe(subject).await.unwrap();
    worker.flush().await;
    let client = worker.client.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let answer = format!("re: {}", text(&request));
            client.publish(request.reply.unwrap(), answer.into()).await.unwrap();
        }
    });
}

fn many_requests_at_once_each_get_their_own_reply() {
    let server = Server::start("");
    block_on(async {
        let (asker, worker) = (Nats::connect(&server).await, Nats::connect(&server).await);
        serve_echo(&worker, "service").await;
        let requests = (0..500).map(|number| {
            let client = asker.client.clone();
            async move { (number, client.request("service", number.to_string().into()).await.unwrap()) }
        });
        for (number, reply) in futures_util::future::join_all(requests).await {
            assert_eq!(text(&reply), format!("re: {number}"));
        }
    });
}

fn headers_arrive_with_their_values() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let mut messages = nats.client.subscribe("h").await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("Trace", "1");
        headers.append("List", "a");
        headers.append("List", "b");
        nats.client.publish_with_headers("h", headers.clone(), "body".into()).await.unwrap();
        let message = next(&mut messages).await;
        assert_eq!(message.headers.as_ref(), Some(&headers));
        assert_eq!(text(&message), "body");
    });
}

fn a_request_nobody_serves_fails_at_once() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let error = nats.client.request("nobody.home", "".into()).await.unwrap_err();
        assert_eq!(error.kind(), RequestErrorKind::NoResponders);
    });
}

fn unsubscribing_after_a_count_ends_the_stream() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let mut messages = nats.client.subscribe("count").await.unwrap();
        messages.unsubscribe_after(3).await.unwrap();
        for number in 0..5 {
            nats.client.publish("count", number.to_string().into()).await.unwrap();
        }
        let mut got = Vec::new();
        while let Some(message) = soon("the end of the stream", messages.next()).await {
            got.push(text(&message).to_owned());
        }
        assert_eq!(got, ["0", "1", "2"]);
    });
}

fn drain_delivers_what_was_on_its_way() {
    let server = Server::start("");
    block_on(async {
        let (from, to) = (Nats::connect(&server).await, Nats::connect(&server).await);
        let mut messages = to.client.subscribe("d").await.unwrap();
        to.flush().await;
        for number in 0..1000 {
            from.client.publish("d", number.to_string().into()).await.unwrap();
        }
        from.flush().await;
        to.client.drain().await.unwrap();
        let mut count = 0;
        while let Some(message) = soon("the end of the drain", messages.next()).await {
            assert_eq!(text(&message), count.to_string());
            count += 1;
        }
        assert_eq!(count, 1000);
    });
}

fn a_large_payload_arrives_whole() {
    let server = Server::start("");
    block_on(async {
        let nats = Nats::connect(&server).await;
        let mut messages = nats.client.subscribe("large").await.unwrap();
        let payload: Vec<u8> =
            (0..1 << 20).map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        nats.client.publish("large", payload.clone().into()).await.unwrap();
        assert!(next(&mut messages).await.payload == payload, "the megabyte has changed on its way");
    });
}

fn a_payload_over_the_limit_is_refused_by_the_client() {
    let server = Server::start("max_payload: 100");
    block_on(async {
        let nats = Nats::connect(&server).await;
        assert_eq!(nats.client.server_info().max_payload, 100);
        assert!(nats.client.publish("x", vec![0; 101].into()).await.is_err());
    });
}

fn lame_duck_moves_the_client_to_the_next_server() {
    let old = Server::start("lame_duck_duration: 30s\nlame_duck_grace_period: 10ms");
    let new = Server::start("");
    block_on(async {
        let mut nats = Nats::connect_with(ConnectOptions::new(), &[&old, &new]).await;
        let mut messages = nats.client.subscribe("moved").await.unwrap();
        nats.flush().await;
        assert_eq!(nats.client.server_info().port, old.addr().port());
        old.signal(Signal::LameDuck);
        nats.event("news of the lame duck", |event| matches!(event, Event::LameDuckMode)).await;
        nats.event("the loss of the old server", |event| matches!(event, Event::Disconnected)).await;
        nats.event("the new server", |event| matches!(event, Event::Connected)).await;
        assert_eq!(nats.client.server_info().port, new.addr().port());
        let other = Nats::connect(&new).await;
        nats.flush().await;
        other.client.publish("moved", "here".into()).await.unwrap();
        assert_eq!(text(&next(&mut messages).await), "here");
    });
}

fn the_client_comes_back_after_a_restart_of_its_server() {
    let mut first = Server::start("");
    let port = first.addr().port().to_string();
    block_on(async {
        let options = ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(20));
        let mut nats = Nats::connect_with(options, &[&first]).await;
        let mut messages = nats.client.subscribe("back").await.unwrap();
        nats.flush().await;
        first.signal(Signal::Terminate);
        assert!(first.wait_exit().success());
        nats.event("the loss of the server", |event| matches!(event, Event::Disconnected)).await;
        let second = crate::harness::Start::config("").args(&["-p", &port]).start();
        nats.event("the server's return", |event| matches!(event, Event::Connected)).await;
        nats.flush().await;
        let other = Nats::connect(&second).await;
        other.client.publish("back", "again".into()).await.unwrap();
        assert_eq!(text(&next(&mut messages).await), "again");
    });
}

fn a_subscriber_that_does_not_read_is_reported_as_slow() {
    let server = Server::start("");
    block_on(async {
        let options = ConnectOptions::new().subscription_capacity(8);
        let mut nats = Nats::connect_with(options, &[&server]).await;
        let messages = nats.client.subscribe("flood").await.unwrap();
        for _ in 0..64 {
            nats.client.publish("flood", "x".into()).await.unwrap();
        }
        nats.event("the slow consumer", |event| matches!(event, Event::SlowConsumer(_))).await;
        drop(messages);
        nats.flush().await;
    });
}

fn user_and_password_are_asked_for() {
    let server = Server::start("authorization { user: joe, password: secret }");
    block_on(async {
        let known = ConnectOptions::with_user_and_password("joe".into(), "secret".into());
        let nats = Nats::connect_with(known, &[&server]).await;
        nats.flush().await;
        let mut refused = BTreeSet::new();
        for (user, password) in [("joe", "wrong"), ("jim", "secret")] {
            let options = ConnectOptions::with_user_and_password(user.into(), password.into());
            let error = options.connect(server.url()).await.unwrap_err();
            refused.insert(error.to_string().to_lowercase());
        }
        assert!(refused.iter().all(|text| text.contains("authorization")), "{refused:?}");
    });
}
