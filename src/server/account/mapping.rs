//! Subject mappings of one account: what its clients publish to one subject goes to another.

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
