//! Subject mappings of one account: what its clients publish to one subject goes to another.

use crate::server::base::quote::quote;
use crate::server::base::rng::Rng;
use crate::server::config::options;
use crate::server::protocol::mapping::{Mapped, Mapping, MappingDestination};
use crate::server::protocol::transform::TransformError;

/// The mappings in the order they are tried: the first that covers a subject decides.
#[derive(Debug, Default)]
pub struct Mappings {
    list: Vec<Mapping>,
    /// The cluster of this server; empty for none.
    cluster: String,
}

impl Mappings {
    /// Mappings as configured, for a server of `cluster`.
    ///
    /// # Errors
    /// A mapping that is none; the reader of the configuration has refused it before.
    pub fn new(configured: &[options::Mapping], cluster: Option<&str>) -> Result<Self, TransformError> {
        let list = configured.iter().map(build).collect::<Result<_, _>>()?;
        Ok(Self { list, cluster: cluster.unwrap_or_default().to_owned() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Where a message to `subject` goes; `None`: where it was going. The empty subject, which nobody
    /// can want, stands for a message that the weights lose.
    pub fn map(&self, subject: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        let mapping = self.list.iter().find(|mapping| mapping.covers(subject))?;
        let mut random = |bound: u32| u32::try_from(rng.below(bound as usize)).unwrap_or(0);
        match mapping.map(subject, &self.cluster, &mut random) {
            Mapped::To(mapped) => Some(mapped),
            Mapped::Lost => Some(Vec::new()),
        }
    }
}

/// Says which of an account's mappings is none, and why, in the reference's words.
///
/// # Errors
/// One of them is none.
pub fn check_mappings(described: &[options::Mapping]) -> Result<(), String> {
    described.iter().try_for_each(|mapping| {
        let Err(error) = build(mapping) else { return Ok(()) };
        let source = quote(&mapping.source);
        let is_wrong_alone = |destination: &&options::MappingDestination| {
            let destinations = vec![(*destination).clone()];
            build(&options::Mapping { source: mapping.source.clone(), destinations }).is_err()
        };
        Err(match mapping.destinations.iter().find(is_wrong_alone) {
            Some(wrong) => format!("mapping {source} -> {}: {error}", quote(&wrong.subject)),
            None => format!("mapping {source}: {error}"),
        })
    })
}

fn build(configured: &options::Mapping) -> Result<Mapping, TransformError> {
    let destinations: Vec<_> = configured
        .destinations
        .iter()
        .map(|destination| MappingDestination {
            subject: destination.subject.as_bytes().into(),
            weight: destination.weight,
            cluster: destination.cluster.as_deref().map(Into::into),
        })
        .collect();
    Mapping::new(configured.source.as_bytes(), &destinations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(configured: &[(&str, &[(&str, u8)])]) -> Mappings {
        let configured: Vec<_> = configured
            .iter()
            .map(|(source, destinations)| options::Mapping {
                source: (*source).to_owned(),
                destinations: destinations
                    .iter()
                    .map(|(subject, weight)| options::MappingDestination {
                        subject: (*subject).to_owned(),
                        weight: *weight,
                        cluster: None,
                    })
                    .collect(),
            })
            .collect();
        Mappings::new(&configured, None).unwrap()
    }

    #[test]
    fn a_mapping_that_is_none_is_named_with_what_is_wrong_in_it() {
        let check = |source: &str, destinations: &[&str]| {
            let destinations = destinations.iter().map(|subject| options::MappingDestination {
                subject: (*subject).to_owned(),
                weight: 10,
                cluster: None,
            });
            let good = options::Mapping { source: "ok".to_owned(), destinations: Vec::new() };
            let mapping =
                options::Mapping { source: source.to_owned(), destinations: destinations.collect() };
            check_mappings(&[good, mapping])
        };
        assert_eq!(check("a.*", &["b.$1"]), Ok(()));
        let refused = |text: &str| Err(text.to_owned());
        let index = "invalid mapping destination: wildcard index out of range in $2: [2]";
        let want = format!("mapping \"a.*\" -> \"c.$2\": {index}");
        assert_eq!(check("a.*", &["b.$1", "c.$2"]), refused(&want));
        assert_eq!(check("a", &["b.>"]), refused("mapping \"a\" -> \"b.>\": invalid subject"));
        assert_eq!(check("a", &["b", "b"]), refused("mapping \"a\": duplicate entry for \"b\""));
    }

    #[test]
    fn first_mapping_that_covers_the_subject_decides_and_is_not_chained() {
        let mappings = mappings(&[("a", &[("b", 100)]), ("b", &[("c", 100)]), ("*", &[("d", 100)])]);
        let mut rng = Rng::seeded(1);
        assert_eq!(mappings.map(b"a", &mut rng), Some(b"b".to_vec()));
        assert_eq!(mappings.map(b"x", &mut rng), Some(b"d".to_vec()));
        assert_eq!(mappings.map(b"x.y", &mut rng), None);
    }

    #[test]
    fn source_among_its_destinations_loses_the_remainder() {
        let mappings = mappings(&[("a", &[("a", 50)])]);
        let mut rng = Rng::seeded(1);
        let lost = (0..1000).filter(|_| mappings.map(b"a", &mut rng) == Some(Vec::new())).count();
        assert!((400..600).contains(&lost), "{lost}");
    }
}
