//! Whole command lines: exit code, standard output, standard error.
//!
//! With `NATS_SERVER` naming the reference's binary, the cases of `nats-server` are played against it
//! too.

use std::process::Command;

use super::*;

/// Code, standard output, standard error.
type Said = (ExitCode, String, String);

const OK: ExitCode = ExitCode::SUCCESS;

fn say(line: &str) -> Said {
    let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&args, &mut Io { out: &mut out, err: &mut err });
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The reference's usage text says the same in other words, so that both are shown as `USAGE`.
fn without_usage(said: Said) -> Said {
    let is_usage = said.1.starts_with("\nUsage: nats-server [options]\n") && said.1.ends_with("\n\n");
    (said.0, if is_usage { "USAGE".to_owned() } else { said.1 }, said.2)
}

fn say_reference(binary: &str, line: &str) -> Said {
    let args = line.split(' ').skip(1);
    let output = Command::new(binary).args(args).current_dir("/tmp").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        ExitCode::from(u8::try_from(output.status.code().unwrap()).unwrap()),
        text(output.stdout),
        text(output.stderr),
    )
}

/// What the server's command line answers, the reference's too where it is at hand.
#[track_caller]
fn check(line: &str, code: u8, out: &str, err: &str) {
    let want = (ExitCode::from(code), out.to_owned(), err.to_owned());
    assert_eq!(without_usage(say(line)), want, "{line}");
    if let Ok(binary) = std::env::var("NATS_SERVER") {
        assert_eq!(without_usage(say_reference(&binary, line)), want, "{line} (reference)");
    }
}

#[test]
fn the_version_is_the_references() {
    for words in
        ["-v", "--version", "version", "VeRsion", "-v=false version", "-- version", "-p 0o17 version"]
    {
        check(&format!("/usr/sbin/nats-server {words}"), 0, "nats-server: v2.15.1\n", "");
    }
}

#[test]
fn help_is_the_usage_text_and_no_failure() {
    for words in ["-h", "--help", "help", "HELP", "-h=false help"] {
        check(&format!("nats-server {words}"), 0, "USAGE", "");
    }
}

#[test]
fn tls_help_shows_a_tls_block_and_what_may_be_chosen() {
    let (code, out, err) = say("nats-server --help_tls");
    assert_eq!((code, err.as_str()), (OK, ""));
    for part in ["tls {", "cert_file:", "TLS_AES_128_GCM_SHA256", "CurveP256", "ocsp_peer"] {
        assert!(out.contains(part), "{part}");
    }
}

#[test]
fn an_unknown_flag_gives_complaint_and_usage_and_exit_code_0() {
    check("nats-server -x", 0, "USAGE", "flag provided but not defined: -x\n");
    check("nats-server --xyz 1", 0, "USAGE", "flag provided but not defined: -xyz\n");
    check("nats-server --help -x", 0, "USAGE", "flag provided but not defined: -x\n");
}

#[test]
fn a_bad_value_gives_complaint_and_usage_and_exit_code_0() {
    for (words, err) in [
        ("-p abc", "invalid value \"abc\" for flag -p: parse error"),
        ("-p=08", "invalid value \"08\" for flag -p: parse error"),
        ("-p 99999999999999999999", "invalid value \"99999999999999999999\" for flag -p: value out of range"),
        ("-p", "flag needs an argument: -p"),
        ("-D=maybe", "invalid boolean value \"maybe\" for -D: parse error"),
        ("--debug=2", "invalid boolean value \"2\" for -debug: parse error"),
        ("---x", "bad flag syntax: ---x"),
        ("--=x", "bad flag syntax: --=x"),
        ("-max_traced_msg_len 1.5", "invalid value \"1.5\" for flag -max_traced_msg_len: parse error"),
    ] {
        check(&format!("nats-server {words}"), 0, "USAGE", &format!("{err}\n"));
    }
}

#[test]
fn an_unknown_word_is_refused() {
    for (words, word) in [("foo", "foo"), ("foo bar", "foo"), ("-D true -v", "true"), ("- version", "-")] {
        let err = format!("nats-server: unrecognized command: \"{word}\"\n");
        check(&format!("nats-server {words}"), 1, "", &err);
    }
}

#[test]
fn what_flags_cannot_say_together_is_refused() {
    for (words, err) in [
        ("--routes nats://127.0.0.1:5", "solicited routes require cluster capabilities, e.g. --cluster"),
        ("--cluster nats://u@127.0.0.1:5", "expected cluster password to be set"),
        ("--cluster nats://127.0.0.1", "address 127.0.0.1: missing port in address"),
        ("--cluster foo", "missing port in address"),
        ("--cluster nats://u:p@127.0.0.1:", "EOF"),
        ("--tls", "TLS Server certificate must be present and valid"),
        ("--tlscert x", "TLS Server private key must be present and valid"),
        (
            "--tlscert /nope --tlskey /nope",
            "error parsing X509 certificate/key pair: open /nope: no such file or directory",
        ),
        ("-t", "must specify [-c, --config] option to check configuration file syntax"),
    ] {
        check(&format!("nats-server {words}"), 1, "", &format!("nats-server: {err}\n"));
    }
}

#[test]
fn signals_that_cannot_be_sent_are_refused() {
    for (words, err) in [
        ("-sl foo=1", "unknown signal \"foo\""),
        ("--signal quit=abc", "invalid pid: abc"),
        ("-sl=quit=99999999", "\nsignal \"quit\" 99999999: no such process"),
        ("-sl quit=1=2=3", "invalid signal parameters: [2 3]"),
    ] {
        check(&format!("nats-server {words}"), 1, "", &format!("nats-server: {err}\n"));
    }
}

/// The verdict of `-t` on a file with this text; `{}` in `err` stands for its path.
#[track_caller]
fn check_verdict(text: &str, code: u8, err: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.conf");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    check(&format!("nats-server -t -c {path}"), code, "", &err.replace("{}", &path));
}

#[test]
fn a_good_file_is_valid_and_shown_with_its_digest() {
    let digest = "sha256:863d2fb90b76abd8b0ef70f512332b7aea1c3145b330f6f8dc2d30ccbe2c0fab";
    check_verdict("port: 14999", 0, &format!("nats-server: configuration file {{}} is valid ({digest})\n"));
}

#[test]
fn a_bad_file_is_refused_with_its_mistakes() {
    check_verdict(" foo: 1", 1, "nats-server: {}:1:1: unknown field \"foo\"\n\n");
    check_verdict("a {\n", 1, "nats-server: Parse error on line 2: 'Unexpected EOF processing map.'\n");
}

#[test]
fn warnings_alone_fail_the_check() {
    check_verdict("# nothing\n", 1, "nats-server: {}: config has no values or is empty\n\n");
}

#[test]
fn a_missing_file_is_refused_with_the_systems_reason() {
    check("nats-server -t -c /nope", 1, "", "nats-server: open /nope: no such file or directory\n");
    check("nats-server -c /nope", 1, "", "nats-server: open /nope: no such file or directory\n");
    check("nats-server -c /tmp", 1, "", "nats-server: read /tmp: is a directory\n");
}

#[test]
fn a_log_file_that_cannot_be_opened_ends_the_start() {
    let (code, out, err) = say("nats-server -l /nope/x");
    assert_eq!((code, out.as_str()), (ExitCode::from(1), ""));
    assert!(err.ends_with(" error opening file: open /nope/x: no such file or directory\n"), "{err}");
}

#[test]
fn natsx_serve_takes_the_same_flags_under_its_own_name() {
    let (code, out, err) = say("natsx serve -x");
    assert_eq!((code, err.as_str()), (OK, "flag provided but not defined: -x\n"));
    assert!(out.starts_with("\nUsage: natsx serve [options]\n"));
    assert_eq!(say("natsx serve foo").2, "natsx: unrecognized command: \"foo\"\n");
    assert_eq!(say("natsx -t").2, say("natsx serve -t").2);
}

#[test]
fn natsx_tells_its_version_and_the_references() {
    let own = format!("natsx: v{NATSX}\n");
    for line in ["natsx version", "natsx --version", "natsx -v"] {
        assert_eq!(say(line), (OK, format!("{own}nats-server: v2.15.1\n"), String::new()), "{line}");
    }
    assert_eq!(say("natsx serve --version"), (OK, own, String::new()));
}

#[test]
fn natsx_lists_its_commands() {
    let (code, out, err) = say("natsx help");
    assert_eq!((code, err.as_str()), (OK, ""));
    for command in COMMANDS {
        assert!(out.contains(&format!("\n  {} ", command.name)), "{}", command.name);
        assert_eq!(say(&format!("natsx help {}", command.name)).0, OK);
    }
    assert_eq!(say("natsx").0, ExitCode::from(USAGE_ERROR));
}

#[test]
fn natsx_refuses_commands_it_does_not_have() {
    let err = "natsx: there is no command \"foo\"; `natsx help` lists them\n";
    assert_eq!(say("natsx foo"), (ExitCode::from(USAGE_ERROR), String::new(), err.to_owned()));
    assert_eq!(say("natsx help foo"), (ExitCode::from(USAGE_ERROR), String::new(), err.to_owned()));
    assert_eq!(say("natsx completions nosuchshell").0, ExitCode::from(USAGE_ERROR));
    assert_eq!(say("natsx man foo").0, ExitCode::from(USAGE_ERROR));
}

#[test]
fn completions_know_commands_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = say(&format!("natsx completions {shell}"));
        assert_eq!(code, OK);
        for word in ["serve", "completions", "store_dir", "cluster_listen"] {
            assert!(out.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn the_man_page_shows_every_flag() {
    let (code, page, _) = say("natsx man serve");
    assert_eq!(code, OK);
    for flag in flags::FLAGS.iter().flat_map(|group| group.flags) {
        let name = flag.names.last().unwrap().replace('-', "\\-");
        assert!(page.contains(&format!("\\-{name}")), "{name}");
    }
    assert!(say("natsx man").1.contains("natsx"));
}
