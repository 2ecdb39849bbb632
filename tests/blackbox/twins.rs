//! The same random conversations with the server under test and with the reference: every line
//! that comes back must be the same.
//!
//! A failure prints the seed and the step; `SEED=… cargo test --test blackbox -- twins` plays that
//! conversation alone.

use crate::harness::trial::trials;
use crate::harness::{Chance, Raw, Server, Start};

trials! { Reference => [
    random_conversations_get_the_same_answers,
    random_conversations_with_small_limits_get_the_same_answers,
    every_cut_off_operation_gets_the_same_answer,
] }

/// One thing said by one of the two connections.
#[derive(Debug, Clone)]
struct Step {
    speaker: usize,
    said: Vec<u8>,
}

/// Two connections to one server; one that gets closed is opened anew.
struct Stage<'a> {
    server: &'a Server,
    connections: Vec<Raw>,
}

impl<'a> Stage<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, connections: (0..2).map(|_| Raw::greeted(server)).collect() }
    }

    /// Says it, and gives every line that came back, by listener. Messages of one step may come in
    /// any order: which subscription is served first is nobody's promise.
    fn play(&mut self, step: &Step) -> Vec<String> {
        let mut heard = Vec::new();
        // By the speaker's PONG everything it caused is on its way to the other one.
        for index in [step.speaker, 1 - step.speaker] {
            let said: &[u8] = if index == step.speaker { &step.said } else { b"" };
            let raw = &mut self.connections[index];
            // A server that closes before it has read everything is one of the answers.
            let _ = raw.try_send([said, b"PING\r\n"].concat());
            let mut lines = Vec::new();
            // A PING that was said has its own PONG before ours.
            let asked = said.get(..4).is_some_and(|op| op.eq_ignore_ascii_case(b"PING"));
            if !(Self::until_pong(raw, &mut lines) && (!asked || Self::until_pong(raw, &mut lines))) {
                lines.push("closed".to_owned());
                *raw = Raw::greeted(self.server);
            }
            heard.push((index, lines));
        }
        let mut answer = Vec::new();
        for (index, mut lines) in heard {
            lines.sort();
            answer.extend(lines.into_iter().map(|line| format!("{index}: {line}")));
        }
        answer
    }

    /// Collects lines up to the PONG; false if the server closed first.
    fn until_pong(raw: &mut Raw, lines: &mut Vec<String>) -> bool {
        loop {
            match raw.try_line() {
                Some(line) if line == "PONG" => return true,
                Some(line) if line.starts_with("MSG ") || line.starts_with("HMSG ") => {
                    let size = line.rsplit(' ').next().and_then(|size| size.parse().ok()).unwrap_or(0);
                    let Some(payload) = raw.bytes(size) else { return false };
                    lines.push(format!("{line} {}", payload.escape_ascii()));
                    if raw.bytes(2).is_none() {
                        return false;
                    }
                }
                Some(line) => lines.push(line),
                None => return false,
            }
        }
    }
}

#[track_caller]
fn compare(config: &str, seed: u64, steps: &[Step]) {
    let ours = Start::config(config).start();
    let theirs = Start::config(config).reference().start();
    let (mut our_stage, mut their_stage) = (Stage::new(&ours), Stage::new(&theirs));
    for (number, step) in steps.iter().enumerate() {
        let (want, got) = (their_stage.play(step), our_stage.play(step));
        let said = step.said.escape_ascii();
        assert_eq!(got, want, "seed {seed}, step {number}: connection {} says {said}", step.speaker);
    }
}

const SUBJECTS: [&str; 20] = [
    "a", "a.b", "a.b.c", "b", "a.*", "a.>", ">", "*", "*.b", "a.*.c", "a..b", ".a", "a.", "a*", "a.>.b", "A",
    "_R_.x", "_GR_.x", "$NRG.x", "ü",
];
const REPLIES: [&str; 8] = ["", "r", "a.b", "_R_.x", "$JS.ACK.x", "_GR_.x", "a..b", "inbox.1"];
const CONNECTS: [&str; 12] = [
    r#"{"verbose":false,"pedantic":false}"#,
    r#"{"verbose":false,"pedantic":false,"headers":true}"#,
    r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#,
    r#"{"verbose":false,"pedantic":true}"#,
    r#"{"verbose":true,"pedantic":false,"headers":true}"#,
    r#"{"verbose":false,"echo":false}"#,
    r"{}",
    r#"{"unknown":{"a":[1,2.5e3,null,"\u00fc"]},"verbose":false}"#,
    r#"{"verbose":false,"protocol":2}"#,
    r#"{"verbose":false,"no_responders":true}"#,
    r#"{"verbose":0}"#,
    r#"{"verbose":false,"name":"n"#,
];

fn said(chance: &mut Chance) -> Vec<u8> {
    let space = chance.of(&[" ", " ", " ", " ", "  ", "\t", " \t "]);
    let end = chance.of(&["\r\n", "\r\n", "\r\n", "\n", " \r\n"]);
    let subject = chance.of(&SUBJECTS);
    let sid = chance.of(&["1", "2", "3", "x"]);
    let payload = chance.of(&["", "x", "hello", "a\r\nb"]);
    let reply = chance.of(&REPLIES);
    let reply = if reply.is_empty() { String::new() } else { format!("{reply}{space}") };
    let spell = |chance: &mut Chance, op: &str| match chance.below(4) {
        0 => op.to_lowercase(),
        _ => op.to_owned(),
    };
    let text = match chance.below(24) {
        0..4 => format!("{}{space}{subject}{space}{sid}{end}", spell(chance, "SUB")),
        4 => {
            // A group of its own: which of several members is chosen is chance.
            let group = format!("q{}", chance.next());
            let group = chance.of(&[group.as_str(), group.as_str(), group.as_str(), "_sys_"]);
            format!("SUB{space}{subject}{space}{group}{space}{sid}{end}")
        }
        5 => format!("{}{space}{sid}{end}", spell(chance, "UNSUB")),
        6 => format!("UNSUB{space}{sid}{space}{}{end}", chance.of(&["1", "2", "0", "-1", "x", "5"])),
        7..12 => {
            let size = chance.of(&["", "", "", "0"]);
            let op = spell(chance, "PUB");
            format!("{op}{space}{subject}{space}{reply}{size}{}{end}{payload}\r\n", payload.len())
        }
        12..16 => {
            let header = chance.of(&["NATS/1.0\r\n\r\n", "NATS/1.0\r\nA: b\r\n\r\n", "garbage", ""]);
            let total = header.len() + payload.len();
            let op = spell(chance, "HPUB");
            format!(
                "{op}{space}{subject}{space}{reply}{}{space}{total}{end}{header}{payload}\r\n",
                header.len()
            )
        }
        16..19 => format!("{}{space}{}\r\n", spell(chance, "CONNECT"), chance.of(&CONNECTS)),
        19 => chance
            .of(&[
                "PING\r\n",
                "PINGabc\r\n",
                "PONG\r\n",
                "+OK\r\n",
                "INFO {}\r\n",
                "CONNECT{\"verbose\":false}\r\n",
            ])
            .to_owned(),
        20 => chance
            .of(&[
                "-ERR 'x'\r\n",
                "MSG a 1 0\r\n\r\n",
                "RS+ a b\r\n",
                "LS+ a\r\n",
                "A+ a\r\n",
                "RMSG a\r\n",
                "LMSG a\r\n",
                "NONSENSE\r\n",
            ])
            .to_owned(),
        21 => chance
            .of(&[
                "SUB\r\n",
                "SUB a\r\n",
                "SUB a b c d\r\n",
                "UNSUB\r\n",
                "UNSUB 1 2 3\r\n",
                "PUB a\r\n",
                "PUB a b c d\r\n",
                "PUB a -1\r\n",
                "PUB a +1\r\n",
                "PUB a 1x\r\n",
                "PUB a 1234567890\r\n",
                "HPUB a 1\r\n",
                "HPUB a 5 2\r\n",
                "HPUB a b c d e\r\n",
                "HPUB a x 2\r\n",
                "HPUB a 2 x\r\n",
                "PUB a 2\r\nabc\r\n",
                "PUB a 2\r\nab\n",
                "PUB a 99999999\r\n",
            ])
            .to_owned(),
        _ => format!(
            "SUB {} {sid}\r\nPUB a.b {reply}{}\r\n{payload}\r\n",
            chance.of(&["a.*", ">"]),
            payload.len()
        ),
    };
    text.into_bytes()
}

fn conversation(seed: u64, length: usize) -> Vec<Step> {
    let mut chance = Chance::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    (0..length).map(|_| Step { speaker: chance.below(2), said: said(&mut chance) }).collect()
}

/// The seed that was asked for, or so many.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

fn random_conversations_get_the_same_answers() {
    for seed in seeds(12) {
        compare("", seed, &conversation(seed, 250));
    }
}

fn random_conversations_with_small_limits_get_the_same_answers() {
    let config = "max_payload: 20\nmax_control_line: 64\nmax_subscriptions: 2\nmax_sub_tokens: 2";
    for seed in seeds(6) {
        compare(config, seed, &conversation(seed + 1000, 250));
    }
}

/// Every beginning of an operation, with a line end behind it: where arguments go missing.
fn every_cut_off_operation_gets_the_same_answer() {
    let mut steps = Vec::new();
    for text in [
        "SUB a.b q 1",
        "UNSUB 1 10",
        "PUB a.b r 5",
        "HPUB a.b r 12 17",
        "CONNECT {\"verbose\":true}",
        "PING",
        "+OK",
        "-ERR 'x'",
    ] {
        for cut in 1..=text.len() {
            steps.push(Step { speaker: cut % 2, said: format!("{}\r\n", &text[..cut]).into_bytes() });
        }
    }
    compare("", 0, &steps);
}
