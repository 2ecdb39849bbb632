//! Does each Y row name tests and scripts that exist, and did they run?
//!
//! A test is named like `protocol::parser::tests::any_case`: a `fn any_case` with a test attribute, in
//! a file below `src/` or `tests/` whose path and inline modules hold every name before it. A script
//! or other file is named by its path, and if a script names rows itself, the row must be among them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::rows::Name;
use super::script::Script;

/// Where conversation scripts live, below the project's directory.
pub const SCRIPTS: &str = "tests/scripts/";

/// The tests and scripts of a source tree.
#[derive(Debug, Default)]
pub struct Sources {
    root: PathBuf,
    tests: HashMap<String, Vec<HashSet<String>>>,
    /// Path → rows that the script names, or why it proves nothing.
    scripts: BTreeMap<String, Result<Vec<Name>, String>>,
}

impl Sources {
    /// The sources at `root`, or `None` where there are none.
    ///
    /// # Errors
    /// A file or directory that can't be read.
    pub fn at(root: &Path) -> io::Result<Option<Self>> {
        if !root.join("src").is_dir() || !root.join("tests").is_dir() {
            return Ok(None);
        }
        let mut sources = Self { root: root.to_owned(), ..Self::default() };
        for folder in ["src", "tests"] {
            sources.read_folder(Path::new(folder))?;
        }
        Ok(Some(sources))
    }

    /// Does this evidence for this row exist?
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn find(&self, evidence: &str, row: &Name) -> Result<(), String> {
        let (path, name) = match evidence.split_once("::") {
            Some((path, name)) if path.contains('/') => (path, Some(name)),
            _ => (evidence, None),
        };
        if !path.contains('/') {
            return self.find_test(evidence);
        }
        match self.scripts.get(path) {
            Some(Ok(rows)) if rows.is_empty() || rows.contains(row) => return Ok(()),
            Some(Ok(_)) => return Err(format!("script `{path}` doesn't name the row `{row}`")),
            Some(Err(problem)) => return Err(format!("script `{path}` proves nothing: {problem}")),
            None => {}
        }
        let text =
            fs::read_to_string(self.root.join(path)).map_err(|_| format!("there is no file `{path}`"))?;
        match name.and_then(|name| name.rsplit("::").next()) {
            Some(name) if !text.contains(name) => Err(format!("`{path}` has no `{name}`")),
            _ => Ok(()),
        }
    }

    /// Every script with the rows that it names.
    pub fn scripts(&self) -> impl Iterator<Item = (&str, &[Name])> {
        let readable =
            self.scripts.iter().filter_map(|(path, rows)| rows.as_ref().ok().map(|rows| (path, rows)));
        readable.map(|(path, rows)| (path.as_str(), rows.as_slice()))
    }

    fn find_test(&self, evidence: &str) -> Result<(), String> {
        let mut modules: Vec<&str> = evidence.split("::").collect();
        let function = modules.pop().unwrap_or_default();
        let Some(places) = self.tests.get(function) else {
            return Err(format!("there is no test `{function}`"));
        };
        if places.iter().any(|place| modules.iter().all(|module| place.contains(*module))) {
            return Ok(());
        }
        Err(format!("no test `{function}` stands in `{}`", modules.join("::")))
    }

    fn read_folder(&mut self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                self.read_folder(&path)?;
            } else if name.ends_with(".rs") {
                self.read_tests(&name, &fs::read_to_string(entry.path())?);
            } else if name.starts_with(SCRIPTS) && name.ends_with(".txt") {
                let text = fs::read(entry.path())?;
                let script = Script::parse(&String::from_utf8_lossy(&text));
                let rows = match script {
                    Ok(Script { unbuilt: Some(unbuilt), .. }) => {
                        Err(format!("natsx doesn't keep it yet: {unbuilt}"))
                    }
                    Ok(script) => Ok(script.rows),
                    Err(error) => Err(error.to_string()),
                };
                self.scripts.insert(name, rows);
            }
        }
        Ok(())
    }

    fn read_tests(&mut self, path: &str, text: &str) {
        let mut modules: HashSet<String> =
            path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        // Tests of `parser.rs` that outgrew it stand in `parser_test.rs`, as its module `tests`.
        if let Some((_, file)) = path.rsplit_once('/')
            && let Some(of) = file.strip_suffix("_test.rs")
        {
            modules.extend([of.to_owned(), "tests".to_owned()]);
        }
        let mut functions = Vec::new();
        let mut attributed = false;
        let mut listed = false;
        for raw in text.lines() {
            let line = raw.trim();
            // Some tests carry no attribute: a macro at the file's top level makes them of a list.
            listed |= opens_list(raw);
            if listed && !line.contains("fn ") && !line.starts_with("#[") {
                modules.extend(line.split_once(" => [").and_then(|(module, _)| identifier(module)));
                functions
                    .extend(line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter_map(identifier));
                let alone = opens_list(raw) && line.ends_with(['}', ';']);
                let closed = raw.starts_with([']', '}', ')']) && !line.ends_with('[');
                listed = !(alone || closed);
                continue;
            }
            listed = false;
            if line.starts_with("#[") {
                attributed |= line.contains("test");
                continue;
            }
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            let words = line.trim_start_matches("pub ").trim_start_matches("async ");
            if let Some(name) = words.strip_prefix("mod ") {
                modules.extend(identifier(name));
            } else if let Some(name) = words.strip_prefix("fn ").filter(|_| attributed) {
                functions.extend(identifier(name));
            }
            attributed = false;
        }
        for function in functions {
            self.tests.entry(function).or_default().push(modules.clone());
        }
    }
}

/// Does this line, at a file's top level, open a macro's list, like `trials! {`?
fn opens_list(raw: &str) -> bool {
    let Some((name, rest)) = raw.split_once('!') else { return false };
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_name && name != "macro_rules" && rest.trim_start().starts_with(['[', '{', '('])
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Names of tests that ran and passed.
#[derive(Debug, Default)]
pub struct Ran {
    names: Vec<String>,
}

impl Ran {
    /// Reads one name a line, or the output of a test run (`test NAME ... ok`).
    pub fn parse(text: &str) -> Self {
        let mut names = Vec::new();
        for line in text.lines().map(str::trim) {
            let Some(rest) = line.strip_prefix("test ") else {
                if let Some((_, name)) = line.strip_prefix("PASS ").and_then(|rest| rest.split_once("] ")) {
                    names.push(name.trim().replace(' ', "::"));
                } else if !line.is_empty() && !line.contains(' ') {
                    names.push(line.to_owned());
                }
                continue;
            };
            if let Some((name, "ok")) = rest.rsplit_once(" ... ") {
                names.push(name.trim().to_owned());
            }
        }
        Self { names }
    }

    /// Is this evidence among them? A script counts where it was played against natsx.
    pub fn has(&self, evidence: &str) -> bool {
        if let Some(script) = evidence.strip_prefix(SCRIPTS) {
            let name = format!("natsx::{}", script.trim_end_matches(".txt"));
            return self.names.iter().any(|ran| ran.ends_with(&name));
        }
        let evidence = evidence.rsplit_once('/').map_or(evidence, |(_, last)| last);
        self.names.iter().any(|ran| is_tail(ran, evidence) || is_tail(evidence, ran))
    }
}

/// Do the module names of `long` end in those of `short`?
fn is_tail(long: &str, short: &str) -> bool {
    long.strip_suffix(short).is_some_and(|before| before.is_empty() || before.ends_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        let text = "#[test]\nfn any_case() {}\nfn helper() {}\nmod tests {\n #[tokio::test]\n async fn waits() {}\n}";
        sources.read_tests("src/server/protocol/parser.rs", text);
        let trials = "trials! { Nothing => [\n    first_trial,\n], Natsx => [\n    last_trial,\n] }\nfn first_trial() {}\nfn helper() {}";
        sources.read_tests("tests/blackbox/process.rs", trials);
        sources.read_tests(
            "src/server/config/read/cases_test.rs",
            "tables! {\n    general => [\n        listen,\n    ],\n}\n",
        );
        sources.read_tests("src/server/interest/sublist_test.rs", "#[test]\nfn counts() {}");
        sources.scripts.insert("tests/scripts/a.txt".to_owned(), Ok(vec![Name::new("A", "B", "C")]));
        sources.scripts.insert("tests/scripts/free.txt".to_owned(), Ok(Vec::new()));
        sources.scripts.insert("tests/scripts/bad.txt".to_owned(), Err("line 1".to_owned()));
        sources
    }

    #[track_caller]
    fn check(evidence: &str, want: bool) {
        let found = sources().find(evidence, &Name::new("A", "B", "C"));
        assert_eq!(found.is_ok(), want, "{evidence}: {found:?}");
    }

    #[test]
    fn a_test_stands_in_every_module_that_its_name_says() {
        check("protocol::parser::any_case", true);
        check("protocol::parser::tests::waits", true);
        check("any_case", true);
        check("interest::sublist::tests::counts", true);
        check("blackbox::process::first_trial", true);
        check("blackbox::process::last_trial", true);
        check("blackbox::process::helper", false);
        check("config::read::cases_test::general::listen", true);
        check("protocol::op::any_case", false);
        check("protocol::parser::nothing", false);
    }

    #[test]
    fn a_function_that_is_no_test_is_no_evidence() {
        check("protocol::parser::helper", false);
    }

    #[test]
    fn a_script_that_names_rows_proves_only_those() {
        check("tests/scripts/a.txt", true);
        check("tests/scripts/free.txt", true);
        check("tests/scripts/bad.txt", false);
        check("tests/scripts/none.txt", false);
        assert!(sources().find("tests/scripts/a.txt", &Name::new("A", "B", "other")).is_err());
    }

    #[test]
    fn tests_that_ran_are_found_by_their_last_names() {
        let ran = Ran::parse(
            "test server::protocol::parser::tests::any_case ... ok\ntest a::failed ... FAILED\ncore::pub::arrives\n\
             test natsx::core/framing/case ... ok\ntest reference::core/only ... ok\n        PASS [   0.1s] natsx cmd::x\n",
        );
        for (evidence, want) in [
            ("protocol::parser::tests::any_case", true),
            ("parser::tests::any_case", true),
            ("r::tests::any_case", false),
            ("a::failed", false),
            ("blackbox::core::pub::arrives", true),
            ("tests/scripts/core/framing/case.txt", true),
            ("tests/scripts/core/only.txt", false),
            ("natsx::cmd::x", true),
        ] {
            assert_eq!(ran.has(evidence), want, "{evidence}");
        }
    }
}
