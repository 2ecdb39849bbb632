//! Weighted subject mappings: one source, several destinations with a share each.
//!
//! Pure: the caller looks for the first mapping that covers a subject, and brings chance along.

use super::subject::{has_wildcard, is_subset, is_valid};
use super::transform::{Transform, TransformError, Use, check_mapping, with_references};

/// All of the traffic.
const WHOLE: u8 = 100;

/// One destination as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingDestination {
    /// Subject with functions.
    pub subject: Box<[u8]>,
    /// Per cent of the messages.
    pub weight: u8,
    /// Set: only on servers of this cluster, where it replaces the destinations for all.
    pub cluster: Option<Box<str>>,
}

/// A checked mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    source: Box<[u8]>,
    literal: bool,
    shares: Shares,
    clusters: Vec<(Box<str>, Shares)>,
}

/// Destinations by growing upper bound of their share; what is left over is lost.
type Shares = Vec<Share>;

#[derive(Clone, Debug)]
struct Share {
    transform: Transform,
    below: u8,
}

/// What a mapping makes of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// The message goes to this subject.
    To(Vec<u8>),
    /// The message is dropped: its source is a destination itself, of less than all.
    Lost,
}

impl Mapping {
    /// Checks a mapping. Unless the source is a destination itself, what the weights leave of 100 %
    /// stays on the source.
    ///
    /// # Errors
    /// A source that is no subject, a destination that does not fit it or is named twice, weights of
    /// more than 100 % for one cluster.
    pub fn new(source: &[u8], destinations: &[MappingDestination]) -> Result<Self, TransformError> {
        if !is_valid(source) {
            return Err(TransformError::InvalidSubject);
        }
        let mut mapping = Self {
            source: source.into(),
            literal: !has_wildcard(source),
            shares: Vec::new(),
            clusters: Vec::new(),
        };
        for (at, destination) in destinations.iter().enumerate() {
            let MappingDestination { subject, weight, cluster } = destination;
            if destinations.iter().take(at).any(|earlier| earlier.subject == *subject) {
                let destination = String::from_utf8_lossy(subject).into_owned();
                return Err(TransformError::DuplicateDestination { destination });
            }
            if *weight > WHOLE {
                return Err(TransformError::WeightTooLarge);
            }
            let shares = mapping.shares_of(cluster.as_deref());
            let total: u8 = shares.iter().map(|share| share.below).sum();
            if total + weight > WHOLE {
                return Err(TransformError::TotalWeightTooLarge);
            }
            check_mapping(source, subject)?;
            let Some(transform) = Transform::new(source, subject, Use::Any)? else {
                return Err(TransformError::InvalidTransform { token: String::new() });
            };
            shares.push(Share { transform, below: *weight });
        }
        let lossy = destinations.iter().any(|destination| *destination.subject == *source);
        let original = if lossy { None } else { Transform::new(source, &with_references(source), Use::Any)? };
        finish(&mut mapping.shares, original.as_ref());
        for (_, shares) in &mut mapping.clusters {
            finish(shares, original.as_ref());
        }
        Ok(mapping)
    }

    fn shares_of(&mut self, cluster: Option<&str>) -> &mut Shares {
        let Some(cluster) = cluster.filter(|name| !name.is_empty()) else { return &mut self.shares };
        let at = self.clusters.iter().position(|(name, _)| **name == *cluster).unwrap_or_else(|| {
            self.clusters.push((cluster.into(), Vec::new()));
            self.clusters.len() - 1
        });
        match self.clusters.get_mut(at) {
            Some((_, shares)) => shares,
            None => &mut self.shares,
        }
    }

    /// What it applies to.
    #[must_use]
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether it applies to this subject.
    #[must_use]
    pub fn covers(&self, subject: &[u8]) -> bool {
        if self.literal { *self.source == *subject } else { is_subset(subject, &self.source) }
    }

    /// Picks a destination for a subject that the mapping covers, on a server of `cluster` (empty for
    /// none). `random` gives a number below its argument.
    pub fn map(&self, subject: &[u8], cluster: &str, random: &mut dyn FnMut(u32) -> u32) -> Mapped {
        let shares = self
            .clusters
            .iter()
            .find(|(name, _)| **name == *cluster)
            .map_or(&self.shares, |(_, shares)| shares);
        let share = match shares.as_slice() {
            [only] if only.below == WHOLE => Some(only),
            _ => {
                let roll = random(WHOLE.into());
                shares.iter().find(|share| roll < share.below.into())
            }
        };
        let Some(share) = share else { return Mapped::Lost };
        let mut out = Vec::with_capacity(share.transform.destination().len() + subject.len());
        share.transform.apply(subject, random, &mut out);
        Mapped::To(out)
    }
}

/// Adds what stays on the source, and turns weights into upper bounds, smallest share first.
fn finish(shares: &mut Shares, original: Option<&Transform>) {
    let total: u8 = shares.iter().map(|share| share.below).sum();
    if let Some(transform) = original.filter(|_| total < WHOLE) {
        shares.push(Share { transform: transform.clone(), below: WHOLE - total });
    }
    shares.sort_by_key(|share| share.below);
    let mut below = 0;
    for share in shares {
        below += share.below;
        share.below = below;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(subject: &str, weight: u8) -> MappingDestination {
        MappingDestination { subject: subject.as_bytes().into(), weight, cluster: None }
    }

    fn in_cluster(subject: &str, weight: u8, cluster: &str) -> MappingDestination {
        MappingDestination { cluster: Some(cluster.into()), ..to(subject, weight) }
    }

    /// How often each destination comes out over all 100 rolls.
    fn spread(
        source: &str,
        destinations: &[MappingDestination],
        subject: &str,
        cluster: &str,
    ) -> Vec<(String, u32)> {
        let mapping = Mapping::new(source.as_bytes(), destinations).unwrap();
        assert!(mapping.covers(subject.as_bytes()));
        let mut counts = std::collections::BTreeMap::new();
        for roll in 0..100 {
            let name = match mapping.map(subject.as_bytes(), cluster, &mut |_| roll) {
                Mapped::To(subject) => String::from_utf8(subject).unwrap(),
                Mapped::Lost => "lost".to_owned(),
            };
            *counts.entry(name).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    #[track_caller]
    fn check(
        source: &str,
        destinations: &[MappingDestination],
        subject: &str,
        cluster: &str,
        want: &[(&str, u32)],
    ) {
        let want: Vec<_> = want.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        assert_eq!(spread(source, destinations, subject, cluster), want);
    }

    #[test]
    fn weights_split_the_traffic() {
        check("a", &[to("b", 20), to("c", 80)], "a", "", &[("b", 20), ("c", 80)]);
        check("a.*", &[to("b.$1", 100)], "a.x", "", &[("b.x", 100)]);
    }

    #[test]
    fn smaller_shares_come_first() {
        let mapping = Mapping::new(b"a", &[to("b", 80), to("c", 20)]).unwrap();
        for (roll, want) in [(0, "c"), (19, "c"), (20, "b"), (99, "b")] {
            assert_eq!(mapping.map(b"a", "", &mut |_| roll), Mapped::To(want.as_bytes().to_vec()), "{roll}");
        }
    }

    #[test]
    fn single_destination_of_everything_needs_no_chance() {
        let mapping = Mapping::new(b"a", &[to("b", 100)]).unwrap();
        let mut asked = 0;
        let mapped = mapping.map(b"a", "", &mut |_| {
            asked += 1;
            0
        });
        assert_eq!((mapped, asked), (Mapped::To(b"b".to_vec()), 0));
    }

    #[test]
    fn what_weights_leave_stays_on_the_source() {
        check("a", &[to("b", 20)], "a", "", &[("a", 80), ("b", 20)]);
        check("a.*.>", &[to("b.$1.>", 30)], "a.x.y.z", "", &[("a.x.y.z", 70), ("b.x.y.z", 30)]);
        check("a", &[], "a", "", &[("a", 100)]);
    }

    #[test]
    fn source_as_destination_below_100_loses_the_remainder() {
        check("l", &[to("l", 50)], "l", "", &[("l", 50), ("lost", 50)]);
        check("l", &[to("l", 50), to("m", 20)], "l", "", &[("l", 50), ("lost", 30), ("m", 20)]);
    }

    #[test]
    fn destinations_of_a_cluster_replace_the_others_there() {
        let all = [to("b", 100), in_cluster("c", 100, "east"), in_cluster("d", 40, "west")];
        check("a", &all, "a", "", &[("b", 100)]);
        check("a", &all, "a", "north", &[("b", 100)]);
        check("a", &all, "a", "east", &[("c", 100)]);
        check("a", &all, "a", "west", &[("a", 60), ("d", 40)]);
    }

    #[track_caller]
    fn refused(source: &str, destinations: &[MappingDestination], want: &str) {
        assert_eq!(Mapping::new(source.as_bytes(), destinations).unwrap_err().to_string(), want);
    }

    #[test]
    fn more_than_100_per_cent_is_refused() {
        refused("a", &[to("b", 101)], "individual weights need to be <= 100");
        refused("a", &[to("b", 60), to("c", 41)], "total weight needs to be <= 100");
        refused(
            "a",
            &[in_cluster("b", 60, "x"), in_cluster("c", 41, "x")],
            "total weight needs to be <= 100",
        );
        assert!(Mapping::new(b"a", &[to("b", 60), in_cluster("c", 41, "x")]).is_ok());
    }

    #[test]
    fn destination_named_twice_is_refused() {
        refused("a", &[to("b", 10), to("b", 10)], "duplicate entry for \"b\"");
    }

    #[test]
    fn destination_with_wildcard_or_other_shape_is_refused() {
        refused("a.*", &[to("b.*", 100)], "invalid subject");
        refused("a.>", &[to("b", 100)], "invalid subject");
        refused("a", &[to("b.>", 100)], "invalid subject");
        refused("a b", &[to("b", 100)], "invalid subject");
    }

    #[test]
    fn only_covered_subjects_are_mapped() {
        let literal = Mapping::new(b"a.b", &[to("c", 100)]).unwrap();
        assert!(literal.covers(b"a.b") && !literal.covers(b"a.c"));
        let wild = Mapping::new(b"a.*", &[to("c", 100)]).unwrap();
        assert!(wild.covers(b"a.c") && !wild.covers(b"a.c.d") && !wild.covers(b"b"));
    }
}
