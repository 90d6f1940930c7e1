//! How large groups are: a lognormal distribution, as human groups have it; most are small, and a few are as large as they may be.

use anyhow::{Context, Result};
use banter_model::limits::GROUP_MEMBERS;
use rand::Rng;
use rand_distr::{Distribution, LogNormal};
use serde_json::{Value, json};

/// Fewer than three are a direct conversation.
const SMALLEST: usize = 3;

/// The distribution of sizes.
pub struct Sizes(LogNormal<f64>);

impl Sizes {
    /// Sizes of which half are at most `median`; `sigma` is the deviation of their logarithm.
    ///
    /// # Errors
    /// When one of them is not a number above 0.
    pub fn new(median: f64, sigma: f64) -> Result<Self> {
        let logarithm = Some(median).filter(|median| *median > 0.0).context("a median size is above 0")?.ln();
        Ok(Sizes(LogNormal::new(logarithm, sigma).ok().filter(|_| sigma > 0.0).context("a deviation is above 0")?))
    }

    /// The size of one more group: from 3 to the most that a group may have.
    pub fn next(&self, random: &mut impl Rng) -> usize {
        // A float beyond the range of the integer becomes the nearest.
        (self.0.sample(random).round() as usize).clamp(SMALLEST, GROUP_MEMBERS)
    }
}

/// What the sizes that were drawn are like, for the table.
pub fn figures(sizes: &[usize]) -> Value {
    let mut sorted = sizes.to_vec();
    sorted.sort_unstable();
    let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else { return Value::Null };
    let at = |quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
    let mean = sorted.iter().sum::<usize>() as f64 / sorted.len() as f64;
    json!({ "groups": sorted.len(), "least": least, "p50": at(0.5), "p90": at(0.9), "most": most, "mean": mean })
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn the_median_is_what_was_asked_for_and_the_ends_are_those_of_a_group() {
        let seed: u64 = rand::rng().random();
        eprintln!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let sizes = Sizes::new(8.0, 1.0).unwrap();
        let drawn: Vec<usize> = (0..20_000).map(|_| sizes.next(&mut random)).collect();
        let figures = figures(&drawn);
        // Twenty thousand draws: the median is off by less than one in any run that anybody will see.
        assert!((7..=9).contains(&figures["p50"].as_u64().unwrap()), "{figures}");
        // e^(1.2816 sigma) times the median is the ninth tenth.
        assert!((26..=32).contains(&figures["p90"].as_u64().unwrap()), "{figures}");
        assert_eq!((figures["least"].as_u64(), figures["most"].as_u64()), (Some(3), Some(GROUP_MEMBERS as u64)));
    }

    #[test]
    fn the_same_seed_gives_the_same_sizes() {
        let sizes = Sizes::new(8.0, 1.0).unwrap();
        let draw = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..100).map(|_| sizes.next(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn what_is_no_distribution() {
        assert!(Sizes::new(0.0, 1.0).is_err() && Sizes::new(8.0, 0.0).is_err() && Sizes::new(8.0, f64::NAN).is_err());
        assert_eq!(figures(&[]), Value::Null);
    }
}
