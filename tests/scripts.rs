//! Conversations with a server, to the byte: every file below `tests/scripts/` is a trial.
//!
//! Each is played against natsx (`natsx::…`), against natsx with the sent bytes cut at random places
//! (`cut::…`), and against the reference (`reference::…`), which is `$NATS_SERVER` or else the
//! `nats-server` on the path; without one those trials are reported as ignored.
//! `$NATSX_BIN` names another natsx than the one built with these tests.

#![expect(clippy::disallowed_methods, reason = "the test reads its scripts")]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use natsx::parity::evidence::SCRIPTS;
use natsx::parity::host::Server;
use natsx::parity::player::{self, Play};
use natsx::parity::script::Script;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    if let Err(error) = find_scripts(&root.join(SCRIPTS), &mut files) {
        eprintln!("{SCRIPTS}: {error}");
        return ExitCode::FAILURE;
    }
    files.sort();

    let natsx =
        env::var_os("NATSX_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_natsx")), PathBuf::from);
    let reference = reference();
    let idle = Arc::new(Idle::default());
    let mut trials = Vec::new();
    for file in files {
        let name = name_of(&file, root);
        let script = match read(&file) {
            Ok(script) => Arc::new(script),
            Err(problem) => {
                trials.push(Trial::test(format!("natsx::{name}"), move || Err(Failed::from(problem))));
                continue;
            }
        };
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let cut = Play { cut: Some(hasher.finish()), ..Play::default() };
        if let Some(unbuilt) = &script.unbuilt {
            trials.push(unkept(format!("natsx::{name}"), unbuilt.clone(), &script, &natsx));
        } else {
            trials.push(trial(format!("natsx::{name}"), &script, Some(&natsx), &idle, Play::default()));
        }
        if !script.whole && script.unbuilt.is_none() {
            trials.push(trial(format!("cut::{name}"), &script, Some(&natsx), &idle, cut));
        }
        if script.beyond.is_none() {
            trials.push(trial(
                format!("reference::{name}"),
                &script,
                reference.as_deref(),
                &idle,
                Play::default(),
            ));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(idle);
    conclusion.exit_code()
}

fn trial(name: String, script: &Arc<Script>, program: Option<&Path>, idle: &Arc<Idle>, how: Play) -> Trial {
    let (script, idle) = (Arc::clone(script), Arc::clone(idle));
    let ignored = program.is_none();
    let program = program.map(Path::to_owned).unwrap_or_default();
    Trial::test(name, move || idle.play(&program, &script, how)).with_ignored_flag(ignored)
}

/// How long an answer that isn't expected may take.
const UNBUILT_PATIENCE: Duration = Duration::from_millis(500);

/// The trial of a script that natsx can't keep yet: it fails once natsx keeps it.
fn unkept(name: String, unbuilt: String, script: &Arc<Script>, natsx: &Path) -> Trial {
    let (script, natsx) = (Arc::clone(script), natsx.to_owned());
    Trial::test(name, move || {
        let how = Play { patience: UNBUILT_PATIENCE, ..Play::default() };
        let Ok(mut server) = Server::start(&natsx, &script.config) else { return Ok(()) };
        match player::play(&script, server.address(), Some(&mut server), how).failure {
            Some(_) => Ok(()),
            None => Err(Failed::from(format!("kept now: take the line `! unbuilt: {unbuilt}` out"))),
        }
    })
}

/// A program and the configuration it was started with.
type Kind = (PathBuf, Vec<String>);

/// Servers that wait for the next script which wants their configuration.
#[derive(Default)]
struct Idle {
    servers: Mutex<HashMap<Kind, Vec<Server>>>,
}

impl Idle {
    fn play(&self, program: &Path, script: &Script, how: Play) -> Result<(), Failed> {
        let key = (program.to_owned(), script.config.clone());
        let waiting = if script.wants_own_server() { None } else { self.take(&key) };
        let mut server = match waiting {
            Some(server) => server,
            None => Server::start(program, &script.config)?,
        };
        let outcome = player::play(script, server.address(), Some(&mut server), how);
        if outcome.failure.is_some() {
            return Err(Failed::from(outcome.explain()));
        }
        if !script.wants_own_server() {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.entry(key).or_default().push(server);
        }
        Ok(())
    }

    fn take(&self, key: &Kind) -> Option<Server> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(key)?.pop()
    }
}

fn reference() -> Option<PathBuf> {
    if let Some(named) = env::var_os("NATS_SERVER").filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|program| program.is_file())
}

fn find_scripts(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            find_scripts(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
    Ok(())
}

fn name_of(file: &Path, root: &Path) -> String {
    let below = file.strip_prefix(root.join(SCRIPTS)).unwrap_or(file);
    below.with_extension("").to_string_lossy().replace('\\', "/")
}

fn read(file: &Path) -> Result<Script, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    Script::parse(&text).map_err(|error| error.to_string())
}
