//! Second step of reading a configuration file: tokens become a tree of values.
//!
//! Here variables are looked up, included files are read (through a [`Loader`]: this file touches
//! neither disk nor environment) and size suffixes are multiplied in. The first finding of a file
//! is the reference's, to the byte; behind it reading goes on at the next line, so that one run
//! shows as many mistakes as possible.
//!
//! The reference keeps keys on a stack of their own. Where a value fails to take its key (a size
//! like `1kbb`, a map key without a value), the next value takes it, and so it does here.

use std::sync::Arc;

use super::diagnose::{Diagnostic, Sources};
use super::lex::{Lexer, Token, TokenKind};
use super::number::{self, Number};
use super::path;
use super::value::{Map, Node, Pos, Span, Value};

/// Levels of maps and arrays in each other. The reference has no limit; it is here so that no file
/// can exhaust the stack.
pub const DEPTH_MAX: usize = 500;

/// Files read for one configuration, included ones counted each time.
pub const FILES_MAX: usize = 1000;

/// Files that include each other, counted from the first. The reference crashes on a cycle.
pub const INCLUDE_DEPTH_MAX: usize = 32;

/// Bytes of values that variables may copy into a tree: a few lines could ask for gigabytes.
pub const COPIED_BYTES_MAX: usize = 64 << 20;

/// Syntax errors shown of one file; the rest is likely to follow from them.
pub(super) const FINDINGS_MAX: usize = 10;

/// Where the text of included files and of environment variables comes from.
pub trait Loader {
    /// The bytes of a file, or the reason in the reference's words: `open x: no such file or
    /// directory`.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;
}

/// What a file became.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// The keys of the file and of all that it includes.
    pub root: Map,
    /// What was wrong with the syntax, in the order of reading; the first is the reference's. With
    /// any in it the tree is incomplete and good for nothing but an editor.
    pub findings: Vec<Diagnostic>,
    /// The texts that were read, for showing lines of them.
    pub sources: Sources,
}

/// Parses a text that came from the file `name`.
pub fn parse(name: &str, text: &[u8], loader: &dyn Loader) -> Parsed {
    let mut session = Session::new(loader);
    let (root, findings) = session.file(name, text, &Origin::File);
    Parsed { root, findings: findings.into_iter().map(Finding::into).collect(), sources: session.sources }
}

/// What all files of one configuration share.
struct Session<'l> {
    loader: &'l dyn Loader,
    sources: Sources,
    files: usize,
    depth: usize,
    copied_bytes: usize,
}

/// What is being parsed: it decides about places and some words.
#[derive(Clone)]
enum Origin {
    /// A file, or one that it includes.
    File,
    /// The value of an environment variable, with the names looked up on the way. All of it stands
    /// where the variable was named.
    Environment { at: Pos, names: Vec<String> },
}

/// Something wrong, before it is known who asked.
#[derive(Debug)]
struct Finding {
    message: String,
    at: (Arc<str>, Span),
}

impl From<Finding> for Diagnostic {
    fn from(finding: Finding) -> Self {
        Self { shown: Some(finding.at), ..Self::unplaced(finding.message) }
    }
}

fn too_deep() -> String {
    format!("files include each other deeper than {INCLUDE_DEPTH_MAX} levels")
}

impl<'l> Session<'l> {
    fn new(loader: &'l dyn Loader) -> Self {
        Self { loader, sources: Sources::default(), files: 1, depth: 0, copied_bytes: 0 }
    }

    /// Parses a file's text.
    fn file(&mut self, name: &str, text: &[u8], origin: &Origin) -> (Map, Vec<Finding>) {
        let name: Arc<str> = name.into();
        // One character for each bad byte, so that offsets stay true.
        self.sources.add(Arc::clone(&name), readable(text, "?").into());
        self.run(name, text, origin.clone())
    }

    fn run(&mut self, name: Arc<str>, text: &[u8], origin: Origin) -> (Map, Vec<Finding>) {
        self.depth += 1;
        let parser = Parser {
            session: self,
            lexer: Lexer::new(text),
            folder: path::folder(&name),
            name,
            origin,
            open: Vec::new(),
            root: Map::new(),
            keys: Vec::new(),
            findings: Vec::new(),
        };
        let result = parser.run();
        self.depth -= 1;
        result
    }

    /// Parses an included file; the findings come without who included it.
    fn include(&mut self, path: &str, origin: &Origin) -> Result<(Map, Vec<Finding>), String> {
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files included"));
        }
        let text = self.loader.read(path).map_err(|error| match origin {
            Origin::File => error,
            Origin::Environment { .. } => format!("error opening config file: {error}"),
        })?;
        Ok(self.file(path, &text, origin))
    }
}

/// One file, or one environment variable, being parsed.
struct Parser<'s, 'l, 't> {
    session: &'s mut Session<'l>,
    lexer: Lexer<'t>,
    name: Arc<str>,
    /// What included files are relative to.
    folder: String,
    origin: Origin,
    root: Map,
    /// Maps and arrays not closed yet, innermost last.
    open: Vec<Open>,
    /// Keys that wait for their value.
    keys: Vec<Key>,
    findings: Vec<Finding>,
}

struct Open {
    content: Content,
    /// Where its bracket stands.
    start: usize,
}

enum Content {
    Map(Map),
    Array(Vec<Node>),
}

struct Key {
    text: String,
    pos: Pos,
}

impl Parser<'_, '_, '_> {
    fn run(mut self) -> (Map, Vec<Finding>) {
        let mut previous_is_key = false;
        loop {
            let token = self.lexer.next_token();
            match token.kind {
                TokenKind::Eof => {
                    // A last `}` reads as a key: what closes a file that is one JSON object.
                    let last_key = self.keys.last().filter(|_| previous_is_key);
                    if last_key.is_some_and(|key| key.text != "}") {
                        let message =
                            format!("config is invalid ({}:{}:{})", self.name, token.line, token.column);
                        self.find(&token, message);
                    }
                    break;
                }
                TokenKind::Error => {
                    let message = format!("Parse error on line {}: '{}'", token.line, text(&token.text));
                    self.find(&token, message);
                    if previous_is_key {
                        self.keys.pop();
                    }
                    previous_is_key = false;
                    self.lexer.resume();
                }
                kind => {
                    if self.open.len() > DEPTH_MAX {
                        self.find(&token, format!("nested deeper than {DEPTH_MAX} levels"));
                        break;
                    }
                    previous_is_key = kind == TokenKind::Key;
                    if let Err(message) = self.token(&token) {
                        self.find(&token, message);
                        self.drop_key();
                    }
                }
            }
            if self.findings.len() >= FINDINGS_MAX {
                break;
            }
        }
        (self.root, self.findings)
    }

    /// Takes in one token that is neither the end nor an error.
    fn token(&mut self, token: &Token<'_>) -> Result<(), String> {
        let value = match token.kind {
            TokenKind::Key => {
                self.keys.push(Key { text: text(&token.text), pos: self.pos(token) });
                return Ok(());
            }
            TokenKind::MapStart => {
                self.open.push(Open { content: Content::Map(Map::new()), start: token.span.start });
                return Ok(());
            }
            TokenKind::ArrayStart => {
                self.open.push(Open { content: Content::Array(Vec::new()), start: token.span.start });
                return Ok(());
            }
            TokenKind::MapEnd | TokenKind::ArrayEnd => return self.close(token),
            TokenKind::Variable => return self.variable(token),
            TokenKind::Include => return self.include(token),
            TokenKind::String => Value::String(text(&token.text)),
            TokenKind::Bool => {
                Value::Bool(matches!(token.text.to_ascii_lowercase().as_slice(), b"true" | b"yes" | b"on"))
            }
            TokenKind::Integer => match number::integer(&token.text)? {
                Number::Value(value) => Value::Int(value),
                Number::UnknownSuffix => return Ok(()),
            },
            TokenKind::Float => Value::Float(number::float(&token.text)?),
            TokenKind::Date => Value::Date(number::date(&token.text)?),
            TokenKind::Eof | TokenKind::Error => return Ok(()),
        };
        let node = self.node(value, token);
        self.set(node);
        Ok(())
    }

    /// The innermost map or array ends here.
    fn close(&mut self, token: &Token<'_>) -> Result<(), String> {
        let Some(Open { content, start }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Map(map) => Value::Map(map),
            Content::Array(items) => Value::Array(items),
        };
        // In an array the reference names the place of the closing bracket.
        let mut node = self.node(value, token);
        node.span = Span { start: start.saturating_sub(1), end: token.span.end };
        node.pos.span = node.span;
        self.set(node);
        Ok(())
    }

    fn variable(&mut self, token: &Token<'_>) -> Result<(), String> {
        let name = text(&token.text);
        let found = self.look_up(&name, token).map_err(|error| match error {
            LookUp::Missing => {
                format!("variable reference for '{name}' on line {} can not be found", token.line)
            }
            LookUp::Bad(error) => {
                format!("variable reference for '{name}' on line {} could not be parsed: {error}", token.line)
            }
        })?;
        let mut node = self.node(found.value, token);
        node.from_variable = Some(name.into());
        self.session.copied_bytes += node.bytes();
        if self.session.copied_bytes > COPIED_BYTES_MAX {
            return Err(format!("variables copy more than {COPIED_BYTES_MAX} bytes"));
        }
        self.set(node);
        Ok(())
    }

    /// What a variable stands for: a key of an enclosing block, then the environment.
    fn look_up(&mut self, name: &str, token: &Token<'_>) -> Result<Node, LookUp> {
        let at = match (self.open.last(), self.keys.last()) {
            (Some(Open { content: Content::Array(_), .. }), _) | (_, None) => self.pos(token),
            (_, Some(key)) => key.pos.clone(),
        };
        // A bcrypt hash begins with a dollar sign and may stand without quotes.
        if name.starts_with("2a$") {
            return Ok(Node::new(Value::String(format!("${name}")), at));
        }
        let maps = self.open.iter_mut().rev().filter_map(|open| match &mut open.content {
            Content::Map(map) => Some(map),
            Content::Array(_) => None,
        });
        if let Some(node) = maps.chain([&mut self.root]).find_map(|map| map.get_mut(name)) {
            node.used_as_variable = true;
            return Ok(node.clone());
        }
        let (at, mut names) = match &self.origin {
            Origin::File => (at, Vec::new()),
            Origin::Environment { at, names } => (at.clone(), names.clone()),
        };
        if names.iter().any(|known| known == name) {
            return Err(LookUp::Bad(format!("variable reference cycle for '{name}'")));
        }
        if names.len() >= INCLUDE_DEPTH_MAX {
            return Err(LookUp::Bad(format!("variables deeper than {INCLUDE_DEPTH_MAX} levels")));
        }
        names.push(name.to_owned());
        let value = self.session.loader.variable(name).ok_or(LookUp::Missing)?;
        let text = [b"pk=", value.as_slice()].concat();
        let (map, findings) = self.session.run("".into(), &text, Origin::Environment { at, names });
        match findings.into_iter().next() {
            Some(finding) => Err(LookUp::Bad(finding.message)),
            None => map.get("pk").cloned().ok_or(LookUp::Missing),
        }
    }

    fn include(&mut self, token: &Token<'_>) -> Result<(), String> {
        let file = text(&token.text);
        let path = path::join(&self.folder, &file);
        // Only an environment variable's own look-ups can run into a cycle with themselves.
        let origin = match &self.origin {
            Origin::File => Origin::File,
            Origin::Environment { at, .. } => Origin::Environment { at: at.clone(), names: Vec::new() },
        };
        if self.session.depth >= INCLUDE_DEPTH_MAX {
            return Err(too_deep());
        }
        let (map, findings) = self
            .session
            .include(&path, &origin)
            .map_err(|error| format!("error parsing include file '{file}', {error}"))?;
        for finding in findings {
            // What is wrong with all of them is not told of each.
            let message = match finding.message {
                message if message == too_deep() => message,
                message => format!("error parsing include file '{file}', {message}"),
            };
            self.findings.push(Finding { message, ..finding });
        }
        let Some(target) = self.innermost_map() else { return Ok(()) };
        for entry in map {
            target.insert_entry(entry);
        }
        Ok(())
    }

    fn innermost_map(&mut self) -> Option<&mut Map> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => Some(&mut self.root),
            Some(Content::Map(map)) => Some(map),
            Some(Content::Array(_)) => None,
        }
    }

    /// Puts a value where it belongs: behind the others of an array, or under the waiting key.
    fn set(&mut self, mut node: Node) {
        if let Some(Open { content: Content::Array(items), .. }) = self.open.last_mut() {
            items.push(node);
            return;
        }
        let Some(Key { text, pos }) = self.keys.pop() else { return };
        node.pos = pos;
        if let Some(map) = self.innermost_map() {
            map.insert(text, node);
        }
    }

    /// Forgets the key of a value that could not be read.
    fn drop_key(&mut self) {
        if !matches!(self.open.last(), Some(Open { content: Content::Array(_), .. })) {
            self.keys.pop();
        }
    }

    fn node(&self, value: Value, token: &Token<'_>) -> Node {
        Node { span: token.span, ..Node::new(value, self.pos(token)) }
    }

    fn pos(&self, token: &Token<'_>) -> Pos {
        match &self.origin {
            Origin::File => {
                Pos { file: Arc::clone(&self.name), line: token.line, column: token.column, span: token.span }
            }
            Origin::Environment { at, .. } => at.clone(),
        }
    }

    fn find(&mut self, token: &Token<'_>, message: String) {
        let at = match &self.origin {
            Origin::File => (Arc::clone(&self.name), token.span),
            Origin::Environment { at, .. } => (Arc::clone(&at.file), at.span),
        };
        self.findings.push(Finding { message, at });
    }
}

/// Why a variable has no value.
enum LookUp {
    Missing,
    Bad(String),
}

/// Bytes of a file as text.
fn text(bytes: &[u8]) -> String {
    readable(bytes, "\u{fffd}")
}

/// The bytes as text, with `instead` for every byte that is not part of UTF-8.
fn readable(bytes: &[u8], instead: &str) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for _ in chunk.invalid() {
            out.push_str(instead);
        }
    }
    out
}

/// Parses arbitrary bytes, which may name themselves as file and variable: whatever they are, it
/// ends without a panic, and the tree can be hashed and its findings shown.
pub fn fuzz_config(data: &[u8]) {
    struct Itself<'a>(&'a [u8]);
    impl Loader for Itself<'_> {
        fn read(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(self.0.to_vec())
        }
        fn variable(&self, _: &str) -> Option<Vec<u8>> {
            Some(self.0.to_vec())
        }
    }
    let parsed = parse("fuzz.conf", data, &Itself(data));
    super::digest::digest(&parsed.root);
    for finding in &parsed.findings {
        super::diagnose::render(finding, &parsed.sources);
    }
}
