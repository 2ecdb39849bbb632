//! `mappings`, of accounts and of the global account.

use crate::server::base::quote::quote;
use crate::server::config::options::{Mapping, MappingDestination, Options};
use crate::server::config::value::{Entry, Node, Pos, Value};

use super::context::{Context, shown};
use super::subjects::is_subject;

/// Parts that all destinations of a mapping share.
const WEIGHT_MAX: u8 = 100;

/// The block at the top of the file.
pub(super) fn read_global(context: &mut Context<'_>, entry: &Entry, out: &mut Options) {
    out.mappings = read(context, entry);
}

/// Reads a block. A source that stands twice is mapped as it says last.
pub(super) fn read(context: &mut Context<'_>, entry: &Entry) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    for source in context.plain_map(&entry.node).into_iter().flatten() {
        if !is_subject(&source.key) {
            let text = format!("Subject {} is not a valid subject", quote(&source.key));
            context.error(&entry.node.pos, text);
            continue;
        }
        mappings.extend(read_source(context, &source.key, &source.node));
    }
    mappings
}

fn read_source(context: &mut Context<'_>, source: &str, node: &Node) -> Option<Mapping> {
    let destinations = match &node.value {
        Value::String(subject) => {
            vec![MappingDestination { subject: subject.clone(), weight: WEIGHT_MAX, cluster: None }]
        }
        Value::Array(items) => {
            items.iter().filter_map(|item| read_destination(context, item, &item.pos)).collect()
        }
        _ => vec![read_destination(context, node, &node.pos)?],
    };
    if let Err(reason) = check(source, &destinations) {
        let to = match &node.value {
            Value::String(subject) => format!(" to {}", quote(subject)),
            _ => String::new(),
        };
        let text = format!("Error adding mapping for {}{to} : {reason}", quote(source));
        context.error(&node.pos, text);
        return None;
    }
    Some(Mapping { source: source.to_owned(), destinations })
}

/// One destination with its weight. Wrong types stand at `pos`.
fn read_destination(context: &mut Context<'_>, node: &Node, pos: &Pos) -> Option<MappingDestination> {
    let Value::Map(map) = &node.value else {
        context.error(pos, "Expected an entry for the mapping destination");
        return None;
    };
    let errors = context.errors();
    let mut destination = MappingDestination { subject: String::new(), weight: 0, cluster: None };
    let mut weight = None;
    context.wrong_types_at = Some(pos.clone());
    for Entry { key, node } in map {
        match key.to_lowercase().as_str() {
            "dest" | "destination" => {
                if let Some(subject) = context.str(node) {
                    subject.clone_into(&mut destination.subject);
                }
            }
            "weight" => weight = read_weight(context, node),
            "cluster" => {
                destination.cluster = context.str(node).and_then(super::shapes::filled);
            }
            // Refused even where it serves as a variable.
            _ => {
                let text = format!("Unknown field {} for mapping destination", quote(key));
                context.error(&node.pos, text);
            }
        }
    }
    context.wrong_types_at = None;
    if context.errors() > errors {
        return None;
    }
    let Some(weight) = weight else {
        let subject = quote(&destination.subject);
        context.error(pos, format!("Missing weight for mapping destination {subject}"));
        return None;
    };
    Some(MappingDestination { weight, ..destination })
}

fn read_weight(context: &mut Context<'_>, node: &Node) -> Option<u8> {
    let number = match &node.value {
        Value::Int(number) => *number,
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or(text);
            let Ok(number) = digits.parse::<i64>() else {
                let text = format!("Invalid weight {} for mapping destination", quote(digits));
                context.error(&node.pos, text);
                return None;
            };
            number
        }
        other => {
            // The line break is the reference's.
            let text = format!("Unknown entry type for weight of {}\n", shown(other));
            context.error(&node.pos, text);
            return None;
        }
    };
    match u8::try_from(number) {
        Ok(weight) if weight <= WEIGHT_MAX => Some(weight),
        _ => {
            context.error(&node.pos, format!("Invalid weight {number} for mapping destination"));
            None
        }
    }
}

/// Destinations differ, and their weights fit into a hundred, for each cluster by itself.
fn check(source: &str, destinations: &[MappingDestination]) -> Result<(), String> {
    for (at, destination) in destinations.iter().enumerate() {
        let before = destinations.iter().take(at);
        if before.clone().any(|other| other.subject == destination.subject) {
            return Err(format!("duplicate entry for {}", quote(&destination.subject)));
        }
        let same_cluster = before.filter(|other| other.cluster == destination.cluster);
        let weight: u32 = same_cluster.map(|other| u32::from(other.weight)).sum();
        if weight + u32::from(destination.weight) > u32::from(WEIGHT_MAX) {
            return Err("total weight needs to be <= 100".into());
        }
        super::subjects::check_mapping(source, &destination.subject)?;
    }
    Ok(())
}
