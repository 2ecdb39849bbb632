//! Subjects that become others: what a configuration may not ask for, and how traffic is split.

use crate::harness::trial::trials;
use crate::harness::{Raw, Server, run};

trials! { Nothing => [
    functions_that_do_not_exist_or_get_wrong_arguments_are_refused,
    destinations_that_do_not_fit_are_refused,
    weights_split_the_messages,
    destinations_of_another_cluster_are_not_used,
    imports_have_no_function_but_wildcard,
] }

/// Checks and starts with these mappings, expecting a refusal with these words.
#[track_caller]
fn expect_refused(mappings: &str, words: &str) {
    expect_config_refused(&format!("mappings: {{ {mappings} }}\n"), words);
}

#[track_caller]
fn expect_config_refused(config: &str, words: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.conf");
    std::fs::write(&file, config).unwrap();
    let file = file.to_str().unwrap();
    for args in [["-a", "127.0.0.1", "-p", "-1", "-c", file].as_slice(), &["-t", "-c", file]] {
        let output = run(args);
        assert_eq!(output.code(), 1, "{config}: {output:?}");
        assert!(output.stderr.contains(words), "{config}: no {words:?} in {output:?}");
    }
}

fn functions_that_do_not_exist_or_get_wrong_arguments_are_refused() {
    for (destination, words) in [
        ("b.{{foo(1)}}", "unknown function in {{foo(1)}}"),
        ("b.{{foo}}", "unknown function in {{foo}}"),
        ("b.{{wildcard()}}", "not enough arguments passed to the function in {{wildcard()}}"),
        ("b.{{split(1)}}", "not enough arguments passed to the function in {{split(1)}}"),
        ("b.{{wildcard(1,2)}}", "too many arguments passed to the function in {{wildcard(1,2)}}"),
        ("b.{{split(1,-,2)}}", "too many arguments passed to the function in {{split(1,-,2)}}"),
        ("b.{{wildcard(x)}}", "function argument is invalid or in the wrong format in {{wildcard(x)}}"),
        ("b.{{partition()}}", "function argument is invalid or in the wrong format in {{partition()}}"),
        ("b.{{wildcard(2)}}", "wildcard index out of range in {{wildcard(2)}}: [2]"),
        ("b.$2", "wildcard index out of range in $2: [2]"),
    ] {
        let words = format!(
            "Error adding mapping for \"a.*\" to \"{destination}\" : invalid mapping destination: {words}"
        );
        expect_refused(&format!("\"a.*\": \"{destination}\""), &words);
    }
}

fn destinations_that_do_not_fit_are_refused() {
    for (mappings, words) in [
        (
            "a: [ { dest: b, weight: 50 }, { dest: c, weight: 51 } ]",
            "\"a\" : total weight needs to be <= 100",
        ),
        ("a: [ { dest: b, weight: 50 }, { dest: b, weight: 10 } ]", "\"a\" : duplicate entry for \"b\""),
        ("\"a.*\": \"b.*\"", "\"a.*\" to \"b.*\" : invalid subject"),
        ("a: \"b.*\"", "\"a\" to \"b.*\" : invalid subject"),
        ("\"a.>\": b", "\"a.>\" to \"b\" : invalid subject"),
        ("a: \"b.>\"", "\"a\" to \"b.>\" : invalid subject"),
    ] {
        expect_refused(mappings, &format!("Error adding mapping for {words}"));
    }
}

/// How many of 10,000 messages to `a` come under each of these subjects.
fn shares<const N: usize>(mappings: &str, subjects: [&str; N]) -> [usize; N] {
    let server = Server::start(&format!("mappings: {{ {mappings} }}"));
    let mut raw = Raw::connect(&server);
    raw.send("SUB > 1\r\n");
    raw.send("PUB a 0\r\n\r\n".repeat(10_000));
    raw.send("PUB end 0\r\n\r\n");
    let mut counts = [0; N];
    loop {
        let message = raw.message();
        if message.subject == "end" {
            return counts;
        }
        let at = subjects.iter().position(|subject| *subject == message.subject);
        counts[at.unwrap_or_else(|| panic!("{message:?}"))] += 1;
    }
}

/// Deviations of ten times the usual one are allowed.
fn weights_split_the_messages() {
    let mappings = "a: [ { dest: b, weight: 20 }, { dest: c, weight: \"50%\" } ]";
    let [b, c, rest] = shares(mappings, ["b", "c", "a"]);
    assert_eq!(b + c + rest, 10_000);
    assert!((1600..2400).contains(&b) && (4500..5500).contains(&c), "{b} {c} {rest}");
}

fn destinations_of_another_cluster_are_not_used() {
    let mappings = "a: [ { dest: b, weight: 100 }, { dest: c, weight: 100, cluster: OTHER } ]";
    assert_eq!(shares(mappings, ["b", "c"]), [10_000, 0]);
}

fn imports_have_no_function_but_wildcard() {
    for function in ["{{partition(3,1)}}", "{{split(1,-)}}"] {
        let config = format!(
            "accounts {{ A {{ exports: [{{ stream: 's.*' }}] }}, \
             B {{ imports: [{{ stream: {{ account: A, subject: 's.*' }}, to: 'x.{function}' }}] }} }}"
        );
        let words = "the only mapping function allowed for import transforms is {{Wildcard()}} in ";
        expect_config_refused(&config, &format!("{words}{function}"));
    }
}
