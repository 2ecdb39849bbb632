//! Every key of the configuration, right and wrong, through `-t`: the tables in
//! `tests/fixtures/config/keys`, which unit tests read too, played against the binary under test.
//!
//! With the reference as that binary they are checked themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::harness::command::serve;
use crate::harness::trial::trials;

trials! { Nothing => [general, auth, accounts, tls, links, listeners, jetstream, operator] }

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/keys")
}

/// A place with the files that the tables name.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("files")).unwrap();
    for file in std::fs::read_dir(folder().join("files")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), place.path().join("files").join(file.file_name())).unwrap();
    }
    place
}

/// What `-t` says to a configuration: nothing, or lines in any order.
fn verdict(place: &Path, text: &str) -> BTreeSet<String> {
    std::fs::write(place.join("x.conf"), text).unwrap();
    let output = serve().args(["-t", "-c", "x.conf"]).current_dir(place).output().unwrap();
    if output.status.success() {
        return BTreeSet::new();
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_once(": ").map_or("", |(_, said)| said);
    // Source lines and suggestions are natsx's own; what follows a crash inside is the reference's.
    let is_verdict =
        |line: &&str| !line.is_empty() && !line.starts_with("  ") && !line.contains("runtime error:");
    said.lines().filter(is_verdict).map(str::to_owned).collect()
}

#[track_caller]
fn play(table: &str) {
    let place = place();
    let table = std::fs::read_to_string(folder().join(format!("{table}.txt"))).unwrap();
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('['));
    let mut lines = lines.peekable();
    let mut differing = Vec::new();
    while let Some(text) = lines.next() {
        let mut want = BTreeSet::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            if !line.trim_start().starts_with("+ ") {
                want.insert(line.trim_start().to_owned());
            }
        }
        let got = verdict(place.path(), &text.replace("\\n", "\n"));
        if got != want {
            differing.push(format!("{text}\n  want {want:?}\n  got  {got:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn general() {
    play("general");
}

fn auth() {
    play("auth");
}

fn accounts() {
    play("accounts");
}

fn tls() {
    play("tls");
}

fn links() {
    play("links");
}

fn listeners() {
    play("listeners");
}

fn jetstream() {
    play("jetstream");
}

fn operator() {
    play("operator");
}
