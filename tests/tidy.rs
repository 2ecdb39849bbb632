//! The rules that the compiler can't see: layers, file heads, tasks, sizes, pages that must stay true.
//!
//! Each failure names the file and the line.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a test reads the sources, and whatever it can't read fails it"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file before it has to be split by concern.
const LINES_MAX: usize = 900;

/// Layers of the server that the tools of an operator may know: what they report is what a user sees.
const SEEN_FROM_OUTSIDE: [&str; 2] = ["base", "protocol"];

/// What starts a task or a thread.
const STARTS: [&str; 4] = ["spawn(", "spawn_blocking(", "spawn_local(", "thread::Builder"];

/// What a lock's type looks like.
const LOCKS: [&str; 4] = ["Mutex<", "RwLock<", "OnceLock<", "watch::Sender<"];

#[test]
fn a_layer_imports_only_earlier_layers() {
    let layers = layers();
    let mut offences = Vec::new();
    for source in Source::all("src/server") {
        let Some(own) = layers.iter().position(|layer| *layer == source.folder("src/server")) else {
            continue;
        };
        for (line, name) in source.imports(&["server"]) {
            match layers.iter().position(|layer| *layer == name) {
                Some(other) if other <= own => {}
                Some(_) => offences
                    .push(source.at(line, &format!("`{}` imports `{name}`, a later layer", layers[own]))),
                None => offences.push(source.at(line, &format!("`{name}` is no layer"))),
            }
        }
        for outside in ["cmd", "admin", "parity"] {
            for line in source.lines_with(&format!("crate::{outside}")) {
                offences.push(source.at(line, &format!("the server imports `{outside}`")));
            }
        }
    }
    report(&offences);
}

#[test]
fn every_folder_of_the_server_is_a_layer() {
    let layers = layers();
    let folders = entries(&root().join("src/server")).into_iter().filter(|path| path.is_dir());
    let unlisted: Vec<String> = folders
        .map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        .filter(|name| !layers.contains(name))
        .map(|name| format!("src/server/{name}: not declared in src/server/mod.rs"))
        .collect();
    report(&unlisted);
}

#[test]
fn admin_and_parity_see_the_server_from_outside() {
    let mut offences = Vec::new();
    for folder in ["src/admin", "src/parity"] {
        for source in Source::all(folder) {
            for (line, name) in source.imports(&["crate", "server"]) {
                if !SEEN_FROM_OUTSIDE.contains(&name.as_str()) {
                    offences.push(source.at(line, &format!("imports `server::{name}`")));
                }
            }
        }
    }
    report(&offences);
}

#[test]
fn every_file_opens_with_what_it_is() {
    let mut offences = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for source in Source::all(folder) {
            let head = source.text.lines().next().unwrap_or_default();
            if head.strip_prefix("//! ").is_none_or(|words| words.trim().is_empty()) {
                offences.push(source.at(1, "opens without a `//!` line"));
            }
        }
    }
    report(&offences);
}

#[test]
fn tasks_start_in_task_files() {
    let mut offences = Vec::new();
    for source in Source::all("src/server") {
        if source.path.ends_with("task.rs") || source.folder("src/server") == "run" {
            continue;
        }
        for (line, text) in source.own_lines() {
            if STARTS.iter().any(|start| text.contains(start)) && !text.trim_start().starts_with("//") {
                offences.push(source.at(line, "starts a task outside a `*task.rs` file"));
            }
        }
    }
    report(&offences);
}

#[test]
fn no_file_is_too_long() {
    let mut offences = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for source in Source::all(folder) {
            let lines = source.text.lines().count();
            if lines > LINES_MAX {
                offences.push(source.at(LINES_MAX + 1, &format!("{lines} lines, more than {LINES_MAX}")));
            }
        }
    }
    report(&offences);
}

#[test]
fn no_test_is_ignored_or_sleeps() {
    // Put together here, so that this file doesn't find itself.
    let forbidden = [["#[", "ignore"].concat(), ["#[", "should_panic"].concat(), ["sle", "ep("].concat()];
    let mut offences = Vec::new();
    for source in Source::all("tests") {
        if source.path == "tests/blackbox/harness/wait.rs" {
            continue;
        }
        for words in &forbidden {
            for line in source.lines_with(words) {
                offences.push(source.at(line, &format!("`{words}`")));
            }
        }
    }
    report(&offences);
}

#[test]
fn every_script_belongs_to_a_row() {
    let ledger = fs::read_to_string(root().join("differences.md")).unwrap_or_default();
    let mut offences = Vec::new();
    for path in files(&root().join("tests/scripts"), "txt") {
        let name = relative(&path);
        let text = fs::read_to_string(&path).expect("a script is text");
        let names_a_row = text.lines().any(|line| line.starts_with("! row:"));
        if !names_a_row && !ledger.contains(&name) {
            offences.push(format!("{name}:1: names no row, and no row of differences.md names it"));
        }
    }
    report(&offences);
}

#[test]
fn every_task_and_every_lock_is_on_the_concurrency_page() {
    let page = fs::read_to_string(root().join("docs/concurrency.md")).expect("docs/concurrency.md");
    let mut offences = Vec::new();
    for source in Source::all("src/server") {
        let name = source.path.trim_start_matches("src/server/");
        if page.contains(&format!("`{name}`")) {
            continue;
        }
        if name.ends_with("task.rs") {
            offences.push(source.at(1, "docs/concurrency.md doesn't list it"));
        }
        for (line, text) in source.own_lines() {
            // Who borrows another file's lock has none.
            let has = |lock: &&str| {
                text.contains(*lock)
                    && !text.contains(&format!("a {lock}"))
                    && !text.contains(&format!("&{lock}"))
            };
            if LOCKS.iter().any(has) {
                offences.push(source.at(line, "docs/concurrency.md doesn't list its lock"));
            }
        }
    }
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        for name in named_files(line) {
            if !root().join("src/server").join(name).exists() {
                offences.push(format!("docs/concurrency.md:{}: there is no {name}", number + 1));
            }
        }
    }
    report(&offences);
}

#[test]
fn the_map_of_what_stands_is_complete_and_true() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let mut offences = Vec::new();
    let (mut mapped, mut folder) = (Vec::new(), None);
    for (number, line) in page.lines().enumerate() {
        // `### src/server/base/` opens a map of that folder; any other heading ends it.
        if line.starts_with('#') {
            folder = line.strip_prefix("### `").and_then(|name| name.strip_suffix("/`")).map(Path::new);
            continue;
        }
        let Some(folder) = folder else { continue };
        // Names stand in front; what a file is follows behind two blanks or more.
        let names = line.split("   ").next().unwrap_or_default();
        for name in names.split_whitespace().filter(|name| name.ends_with(".rs")) {
            let path = folder.join(name);
            if !root().join(&path).exists() {
                offences.push(format!("docs/architecture.md:{}: there is no {}", number + 1, path.display()));
            }
            mapped.push(path);
        }
    }
    for source in Source::all("src") {
        if !source.path.ends_with("_test.rs") && !mapped.iter().any(|path| *path == Path::new(&source.path)) {
            offences.push(source.at(1, "docs/architecture.md doesn't name it"));
        }
    }
    report(&offences);
}

#[test]
fn tables_of_what_stands_name_files_that_exist() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let mut offences = Vec::new();
    for (number, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        for name in named_files(line).filter(|_| !line.contains("planned")) {
            let places = ["src/server", "src", ""].map(|folder| root().join(folder).join(name));
            if !places.iter().any(|place| place.exists()) {
                offences.push(format!("docs/architecture.md:{}: there is no {name}", number + 1));
            }
        }
    }
    report(&offences);
}

/// The source files that a line of a page names between backticks.
fn named_files(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs") && !name.contains(['<', '*']))
}

#[track_caller]
fn report(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// All files below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found
}

/// The layers in their order, as `src/server/mod.rs` declares them.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/server/mod.rs")).expect("src/server/mod.rs");
    text.lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// A source file with its place in the module tree.
struct Source {
    path: String,
    text: String,
    /// `src/server/log/file.rs` is `crate::server::log::file`.
    module: Vec<String>,
}

impl Source {
    fn all(folder: &str) -> Vec<Self> {
        files(&root().join(folder), "rs").iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a source file is text");
        let path = relative(path);
        Self { module: module_of(&path), path, text }
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The folder right below `base`, or nothing for a file in `base` itself.
    fn folder(&self, base: &str) -> &str {
        let rest = self.path.strip_prefix(base).unwrap_or_default().trim_start_matches('/');
        rest.split_once('/').map_or("", |(folder, _)| folder)
    }

    fn lines_with(&self, words: &str) -> Vec<usize> {
        let lines = self.text.lines().enumerate();
        lines.filter(|(_, line)| line.contains(words)).map(|(index, _)| index + 1).collect()
    }

    /// Lines with their numbers, without the tests at the end of the file or beside it.
    fn own_lines(&self) -> Vec<(usize, &str)> {
        if self.path.ends_with("_test.rs") {
            return Vec::new();
        }
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]").collect()
    }

    /// Every path in code that leads to `crate::<within>::<name>`, as line and name.
    fn imports(&self, within: &[&str]) -> Vec<(usize, String)> {
        let base: Vec<&str> = std::iter::once("crate").chain(within.iter().copied()).collect();
        let base = if within.first() == Some(&"crate") { within.to_vec() } else { base };
        let mut found = Vec::new();
        let mut inline: Vec<usize> = Vec::new();
        let mut pending: Option<(usize, String)> = None;
        for (index, line) in self.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let indent = line.len() - line.trim_start().len();
            if code.trim() == "}" && inline.last() == Some(&indent) {
                inline.pop();
            }
            let words = code.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            if words.starts_with("mod ") && words.ends_with('{') {
                inline.push(indent);
            }
            // A `use` over several lines is read as one, at the line where it begins.
            let (number, text) = match pending.take() {
                Some((number, begun)) => (number, begun + " " + code.trim()),
                None => (index + 1, code.to_owned()),
            };
            if text
                .trim_start()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ")
                .starts_with("use ")
                && !text.contains(';')
            {
                pending = Some((number, text));
                continue;
            }
            let names = self.paths(&text, inline.len(), &base);
            found.extend(names.into_iter().map(|name| (number, name)));
        }
        found
    }

    /// Names right behind `base` in the absolute form of every `crate::…` and `super::…` of a line.
    fn paths(&self, text: &str, inline: usize, base: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for root in ["crate::", "super::"] {
            for (at, _) in text.match_indices(root) {
                let before = text.get(..at).unwrap_or_default();
                if before.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == ':') {
                    continue;
                }
                let mut rest = text.get(at..).unwrap_or_default();
                let mut place: Vec<String> = vec!["crate".to_owned()];
                if root == "super::" {
                    place = self.module.clone();
                    place.extend(std::iter::repeat_n("inline".to_owned(), inline));
                    while let Some(after) = rest.strip_prefix("super::") {
                        place.pop();
                        rest = after;
                    }
                } else {
                    rest = rest.strip_prefix("crate::").unwrap_or_default();
                }
                found.extend(leaves(rest).into_iter().filter_map(|leaf| {
                    let full: Vec<&str> = place.iter().map(String::as_str).chain(leaf.split("::")).collect();
                    let name = full.strip_prefix(base)?.first()?;
                    (!matches!(*name, "" | "*" | "self")).then(|| (*name).to_owned())
                }));
            }
        }
        found
    }
}

/// `src/server/log/file.rs` → `crate`, `server`, `log`, `file`; the tests beside it, `file_test.rs`,
/// are a module of that one.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let path = path.strip_suffix("_test").map_or(path.to_owned(), |tested| format!("{tested}/tests"));
    let names = path.split('/').filter(|name| *name != "lib").map(str::to_owned);
    std::iter::once("crate".to_owned()).chain(names).collect()
}

/// The paths that a use tree's text stands for: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn leaves(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_:*".contains(c))).unwrap_or(text.len());
    let (stem, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let Some(group) = rest.strip_prefix('{').filter(|_| stem.is_empty() || stem.ends_with("::")) else {
        return vec![stem.to_owned()];
    };
    let mut depth = 0_usize;
    let mut parts = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(leaves).map(|leaf| format!("{stem}{leaf}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, want: &[&str]) {
        let source = Source { path: path.to_owned(), text: text.to_owned(), module: module_of(path) };
        let got: Vec<String> = source.imports(&["server"]).into_iter().map(|(_, name)| name).collect();
        assert_eq!(got, want, "{path}: {text}");
    }

    #[test]
    fn imports_are_found_however_they_are_written() {
        let file = "src/server/log/file.rs";
        check(file, "use crate::server::base::clock::Clock;", &["base"]);
        check(file, "use crate::server::{base, protocol::{op, parser}};", &["base", "protocol", "protocol"]);
        check(file, "use crate::{server::{\n    base::clock,\n    run,\n}};", &["base", "run"]);
        check(file, "use super::super::net::dial;", &["net"]);
        check(file, "use super::line;", &["log"]);
        check(file, "let x: crate::server::run::Server = y;", &["run"]);
        check(file, "// crate::server::run", &[]);
        check("src/server/log/mod.rs", "use super::net;", &["net"]);
        check("src/server/log/mod.rs", "mod tests {\n    use super::line;\n}", &["log"]);
        check(file, "mod tests {\n    use super::super::line;\n}\nuse super::super::net;", &["log", "net"]);
        check(file, "use crate::cmd;", &[]);
        check("src/server/log/file_test.rs", "use super::super::line;", &["log"]);
    }
}
