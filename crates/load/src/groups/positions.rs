//! Latency by position in the fan-out: how long until the first member has a message, the one in the middle, the last.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Map, Value};

use crate::process;

/// Most messages that are followed at the same time.
const FOLLOWED: usize = 1 << 16;

/// A message: its group, and its place there.
pub type Followed = (usize, u64);

/// Counts the receipts of messages, and keeps the times of those at a few positions.
pub struct Positions {
    receivers: usize,
    points: Vec<(usize, Histogram<u64>)>,
    under_way: HashMap<Followed, usize>,
}

impl Positions {
    /// For messages that `receivers` receive each: the first, those at each quarter, and the last.
    pub fn new(receivers: usize) -> Result<Self> {
        ensure!(receivers > 0, "somebody has to receive");
        let mut places: Vec<usize> = (0..=4).map(|quarter| (receivers * quarter).div_ceil(4).max(1)).collect();
        places.dedup();
        let points = places.into_iter().map(|place| Ok((place, Histogram::new(3)?))).collect::<Result<_>>()?;
        Ok(Positions { receivers, points, under_way: HashMap::new() })
    }

    /// One more receiver has `message`, `time` (microseconds) after it was due. `None` when that is not measured: the receipt is counted
    /// all the same.
    pub fn received(&mut self, message: Followed, time: Option<u64>) -> Result<()> {
        let position = match self.under_way.get_mut(&message) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                ensure!(self.under_way.len() < FOLLOWED, "{FOLLOWED} messages are received by some and not by others");
                self.under_way.insert(message, 1);
                1
            }
        };
        if position >= self.receivers {
            self.under_way.remove(&message);
        }
        if let (Some(time), Ok(point)) = (time, self.points.binary_search_by_key(&position, |(place, _)| *place)) {
            self.points[point].1.record(time.max(1))?;
        }
        Ok(())
    }

    /// Messages that some have and others do not.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Adds what another thread measured of groups of the same size.
    pub fn add(&mut self, other: &Positions) -> Result<()> {
        for ((place, times), (other_place, other_times)) in self.points.iter_mut().zip(&other.points) {
            ensure!(place == other_place, "groups of different sizes");
            times.add(other_times)?;
        }
        Ok(())
    }

    /// Quantiles for each position, in milliseconds, by a name for it.
    pub fn figures(&self) -> Map<String, Value> {
        let name = |place: usize| format!("from due to receipt {place} of {}, ms", self.receivers);
        self.points.iter().map(|(place, times)| (name(*place), process::quantiles(times))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(positions: &Positions) -> Vec<(usize, u64)> {
        positions.points.iter().map(|(place, times)| (*place, times.len())).collect()
    }

    #[test]
    fn the_first_the_quarters_and_the_last() {
        let places =
            |receivers| counts(&Positions::new(receivers).unwrap()).into_iter().map(|(place, _)| place).collect::<Vec<_>>();
        assert_eq!(places(99), [1, 25, 50, 75, 99]);
        assert_eq!(places(4), [1, 2, 3, 4]);
        assert_eq!(places(1), [1]);
        assert!(Positions::new(0).is_err());
    }

    #[test]
    fn each_receipt_counts_at_its_position() {
        let mut positions = Positions::new(8).unwrap();
        for time in 1..=8 {
            positions.received((0, 1), Some(time * 10)).unwrap();
            // Another message, at the same place of another group, in between.
            positions.received((1, 1), None).unwrap();
        }
        assert_eq!(counts(&positions), [(1, 1), (2, 1), (4, 1), (6, 1), (8, 1)]);
        let times: Vec<u64> = positions.points.iter().map(|(_, times)| times.max()).collect();
        assert_eq!(times, [10, 20, 40, 60, 80]);
        assert_eq!(positions.under_way(), 0, "what everybody has is not followed any more");
    }

    #[test]
    fn threads_add_up() {
        let (mut one, mut other) = (Positions::new(2).unwrap(), Positions::new(2).unwrap());
        one.received((0, 2), Some(1)).unwrap();
        other.received((1, 2), Some(3)).unwrap();
        other.received((1, 2), Some(4)).unwrap();
        one.add(&other).unwrap();
        assert_eq!(counts(&one), [(1, 2), (2, 1)]);
        assert!(one.figures().contains_key("from due to receipt 2 of 2, ms"));
        assert!(one.add(&Positions::new(9).unwrap()).is_err());
    }
}
