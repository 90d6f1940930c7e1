//! Which places of a log are known: a set of ranges that touch nowhere.

use banter_model::Seq;
use serde::{Deserialize, Serialize};

/// Ranges of places, both ends included, in order and at least one place apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges(Vec<(Seq, Seq)>);

impl Ranges {
    /// Adds `from..=to`, joining what it touches. A range that ends before it begins adds nothing.
    pub fn insert(&mut self, from: Seq, to: Seq) {
        if to < from {
            return;
        }
        // The common case: the log's end grows.
        if let Some(last) = self.0.last_mut()
            && last.0 <= from
            && from <= last.1.saturating_add(1)
        {
            last.1 = last.1.max(to);
            return;
        }
        let first = self.0.partition_point(|range| range.1.saturating_add(1) < from);
        let after = self.0.partition_point(|range| range.0 <= to.saturating_add(1));
        let (mut from, mut to) = (from, to);
        if first < after {
            from = from.min(self.0[first].0);
            to = to.max(self.0[after - 1].1);
        }
        self.0.splice(first..after, [(from, to)]);
    }

    /// Takes out every place below `seq`.
    pub fn forget_below(&mut self, seq: Seq) {
        self.0.retain(|range| range.1 >= seq);
        if let Some(first) = self.0.first_mut() {
            first.0 = first.0.max(seq);
        }
    }

    /// The range that holds `seq`.
    pub fn around(&self, seq: Seq) -> Option<(Seq, Seq)> {
        let index = self.0.partition_point(|range| range.1 < seq);
        self.0.get(index).copied().filter(|range| range.0 <= seq)
    }

    /// Is every place of `from..=to` known? True for no places at all.
    pub fn cover(&self, from: Seq, to: Seq) -> bool {
        to < from || self.around(from).is_some_and(|range| to <= range.1)
    }

    /// The range with the highest places.
    pub fn last(&self) -> Option<(Seq, Seq)> {
        self.0.last().copied()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_where_they_touch() {
        let mut ranges = Ranges::default();
        for (from, to) in [(10, 20), (1, 3), (30, 30), (22, 25), (5, 4)] {
            ranges.insert(from, to);
        }
        assert_eq!(ranges.0, [(1, 3), (10, 20), (22, 25), (30, 30)]);
        ranges.insert(21, 21);
        assert_eq!(ranges.0, [(1, 3), (10, 25), (30, 30)]);
        ranges.insert(4, 40);
        assert_eq!(ranges.0, [(1, 40)]);
        ranges.insert(41, 41);
        assert_eq!(ranges.last(), Some((1, 41)));
    }

    #[test]
    fn the_same_as_a_set_of_places() {
        let mut random = crate::sync::tests::Random(7);
        for _ in 0..300 {
            let (mut ranges, mut places) = (Ranges::default(), [false; 64]);
            for _ in 0..random.below(12) {
                let from = 1 + random.below(50);
                let to = from + random.below(9);
                ranges.insert(from, to);
                places[from as usize..=to as usize].fill(true);
            }
            for seq in 1..63 {
                assert_eq!(ranges.around(seq).is_some(), places[seq as usize]);
                assert_eq!(ranges.cover(seq, seq + 1), places[seq as usize] && places[seq as usize + 1]);
            }
            assert!(ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
