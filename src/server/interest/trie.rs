//! Wildcards that no mask table holds, by token: too many tokens, or one mask too many.
//!
//! Nodes stand in one vector and name each other by index: nothing recurses, however many tokens a
//! pattern has.

use foldhash::fast::SeedableRandomState;
use hashbrown::HashTable;

use super::hash_bytes;
use super::subscription::Subscription;
use super::table::{Bucket, Sink, Tally};
use crate::server::protocol::subject::tokens;

/// Children of a node that are searched one by one; more are hashed.
const FEW_MAX: usize = 8;

type Index = u32;

const ROOT: Index = 0;

#[derive(Debug)]
enum Children {
    Few(Vec<Index>),
    Many(HashTable<Index>),
}

#[derive(Debug)]
struct Node {
    parent: Index,
    token: Box<[u8]>,
    literals: Children,
    star: Option<Index>,
    full: Option<Index>,
    bucket: Bucket,
}

impl Node {
    fn new(parent: Index, token: &[u8]) -> Self {
        Self {
            parent,
            token: token.into(),
            literals: Children::Few(Vec::new()),
            star: None,
            full: None,
            bucket: Bucket::default(),
        }
    }

    fn is_bare(&self) -> bool {
        let childless = match &self.literals {
            Children::Few(few) => few.is_empty(),
            Children::Many(many) => many.is_empty(),
        };
        childless && self.star.is_none() && self.full.is_none() && self.bucket.is_empty()
    }
}

/// Patterns by token.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// The root first; empty as long as nothing was inserted.
    nodes: Vec<Node>,
    free: Vec<Index>,
    subscriptions: usize,
}

#[expect(clippy::indexing_slicing, reason = "indices come from this arena and are dropped with their node")]
impl Trie {
    pub(super) fn is_empty(&self) -> bool {
        self.subscriptions == 0
    }

    pub(super) fn for_each(&self, visit: &mut dyn FnMut(&Subscription)) {
        self.nodes.iter().for_each(|node| node.bucket.iter().for_each(&mut *visit));
    }

    /// Gives `sink` what matches a valid subject. There must be something in here.
    pub(super) fn collect(&self, subject: &[u8], hasher: &SeedableRandomState, sink: &mut impl Sink) {
        let tokens: Vec<&[u8]> = tokens(subject).collect();
        let mut open = vec![(ROOT, 0)];
        while let Some((index, depth)) = open.pop() {
            let node = &self.nodes[index as usize];
            let Some(token) = tokens.get(depth) else {
                if !node.bucket.is_empty() {
                    sink.bucket(&node.bucket);
                }
                continue;
            };
            if let Some(full) = node.full {
                sink.bucket(&self.nodes[full as usize].bucket);
            }
            if sink.done() {
                return;
            }
            open.extend(node.star.map(|star| (star, depth + 1)));
            open.extend(self.literal(index, token, hasher).map(|child| (child, depth + 1)));
        }
    }

    pub(super) fn insert(&mut self, sub: Subscription, hasher: &SeedableRandomState) -> Tally {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(ROOT, b""));
        }
        let mut index = ROOT;
        for token in tokens(sub.subject()) {
            index = match self.child(index, token, hasher) {
                Some(child) => child,
                None => self.add(index, token, hasher),
            };
        }
        self.subscriptions += 1;
        self.nodes[index as usize].bucket.insert(sub)
    }

    pub(super) fn remove(&mut self, sub: &Subscription, hasher: &SeedableRandomState) -> Option<Tally> {
        if self.is_empty() {
            return None;
        }
        let mut index = ROOT;
        for token in tokens(sub.subject()) {
            index = self.child(index, token, hasher)?;
        }
        let tally = self.nodes[index as usize].bucket.remove(sub)?;
        self.subscriptions -= 1;
        self.prune(index, hasher);
        Some(tally)
    }

    fn child(&self, index: Index, token: &[u8], hasher: &SeedableRandomState) -> Option<Index> {
        match token {
            b"*" => self.nodes[index as usize].star,
            b">" => self.nodes[index as usize].full,
            _ => self.literal(index, token, hasher),
        }
    }

    fn literal(&self, index: Index, token: &[u8], hasher: &SeedableRandomState) -> Option<Index> {
        let is_it = |child: &&Index| *self.nodes[**child as usize].token == *token;
        match &self.nodes[index as usize].literals {
            Children::Few(few) => few.iter().find(is_it).copied(),
            Children::Many(many) => many.find(hash_bytes(hasher, token), |child| is_it(&child)).copied(),
        }
    }

    fn add(&mut self, parent: Index, token: &[u8], hasher: &SeedableRandomState) -> Index {
        let node = Node::new(parent, token);
        let index = match self.free.pop() {
            Some(index) => {
                self.nodes[index as usize] = node;
                index
            }
            None => {
                self.nodes.push(node);
                Index::try_from(self.nodes.len() - 1).unwrap_or(ROOT)
            }
        };
        match token {
            b"*" => self.nodes[parent as usize].star = Some(index),
            b">" => self.nodes[parent as usize].full = Some(index),
            _ => self.attach(parent, index, hasher),
        }
        index
    }

    fn attach(&mut self, parent: Index, index: Index, hasher: &SeedableRandomState) {
        // Taken out for the moment: hashing a child looks at its node.
        let literals = &mut self.nodes[parent as usize].literals;
        let mut literals = std::mem::replace(literals, Children::Few(Vec::new()));
        let hash = |child: &Index| hash_bytes(hasher, &self.nodes[*child as usize].token);
        match &mut literals {
            Children::Few(few) if few.len() < FEW_MAX => few.push(index),
            Children::Few(few) => {
                let mut many = HashTable::with_capacity(FEW_MAX * 2);
                few.iter().chain([&index]).for_each(|child| {
                    many.insert_unique(hash(child), *child, hash);
                });
                literals = Children::Many(many);
            }
            Children::Many(many) => {
                many.insert_unique(hash(&index), index, hash);
            }
        }
        self.nodes[parent as usize].literals = literals;
    }

    /// Drops a node that holds nothing, then its parent if that holds nothing either, and so on.
    fn prune(&mut self, mut index: Index, hasher: &SeedableRandomState) {
        while index != ROOT && self.nodes[index as usize].is_bare() {
            let gone = std::mem::replace(&mut self.nodes[index as usize], Node::new(ROOT, b""));
            let parent = &mut self.nodes[gone.parent as usize];
            match (&*gone.token, &mut parent.literals) {
                (b"*", _) => parent.star = None,
                (b">", _) => parent.full = None,
                (_, Children::Few(few)) => few.retain(|child| *child != index),
                (token, Children::Many(many)) => {
                    if let Ok(entry) = many.find_entry(hash_bytes(hasher, token), |child| *child == index) {
                        entry.remove();
                    }
                }
            }
            self.free.push(index);
            index = gone.parent;
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }
}
