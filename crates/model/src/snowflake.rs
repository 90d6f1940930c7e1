//! Snowflake ids: 41 bits of milliseconds, 10 bits of node, 12 bits of counter.
//!
//! The layout is Twitter's of 2010. The clock is an argument: a caller that is told to wait asks again with a later time.

use crate::Millis;

/// 2026-01-01T00:00:00Z in milliseconds since the Unix epoch: where banter's ids begin. 41 bits reach to the year 2095.
pub const EPOCH: Millis = 1_767_225_600_000;
/// Nodes that can give out ids at one time (10 bits).
pub const NODES: u16 = 1 << NODE_BITS;
/// Ids that one node can give out in one millisecond (12 bits).
pub const PER_MILLISECOND: u16 = 1 << COUNTER_BITS;

const NODE_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;
const TIME_BITS: u32 = 41;

/// Why no id can be given at this instant. None of these is ever answered with a repeated id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// All ids of this millisecond are used: ask again in the next one.
    #[error("all {PER_MILLISECOND} ids of this millisecond are used")]
    Exhausted,
    /// The clock shows an earlier time than it did: ask again when it has caught up.
    #[error("the clock is {behind_ms} ms behind the last id given out")]
    ClockBehind {
        /// How far the clock is behind the last id, in milliseconds.
        behind_ms: u64,
    },
    /// The clock is before [`EPOCH`] or beyond 41 bits of milliseconds after it.
    #[error("the clock is outside the years that ids can express (2026 to 2095)")]
    ClockOutOfRange,
}

/// Gives out ids for one node. Unique as long as no other generator has the same node number.
#[derive(Debug)]
pub struct Generator {
    node: u64,
    last_ms: u64,
    counter: u64,
}

impl Generator {
    /// A generator for `node`, which must be below [`NODES`].
    ///
    /// # Panics
    /// When `node` is [`NODES`] or more: a lease for such a number cannot exist.
    pub fn new(node: u16) -> Self {
        assert!(node < NODES, "node numbers are below {NODES}, not {node}");
        Generator { node: u64::from(node), last_ms: 0, counter: 0 }
    }

    /// A generator for `node` whose ids are all later than `time`: up to there the number may have been used before.
    ///
    /// # Panics
    /// As [`Generator::new`].
    pub fn after(node: u16, time: Millis) -> Self {
        // The counter of that millisecond counts as used up.
        Generator { last_ms: time.saturating_sub(EPOCH), counter: u64::from(PER_MILLISECOND), ..Generator::new(node) }
    }

    /// The next id at the time `now`, greater than every id given before by this generator.
    pub fn next(&mut self, now: Millis) -> Result<u64, Unavailable> {
        let now_ms = now.checked_sub(EPOCH).filter(|ms| *ms > 0 && ms >> TIME_BITS == 0).ok_or(Unavailable::ClockOutOfRange)?;
        if now_ms < self.last_ms {
            return Err(Unavailable::ClockBehind { behind_ms: self.last_ms - now_ms });
        }
        if now_ms > self.last_ms {
            (self.last_ms, self.counter) = (now_ms, 0);
        }
        if self.counter == u64::from(PER_MILLISECOND) {
            return Err(Unavailable::Exhausted);
        }
        let id = self.last_ms << (NODE_BITS + COUNTER_BITS) | self.node << COUNTER_BITS | self.counter;
        self.counter += 1;
        Ok(id)
    }
}

/// When `id` was given out, in milliseconds since the Unix epoch.
pub fn time_of(id: u64) -> Millis {
    (id >> (NODE_BITS + COUNTER_BITS)) + EPOCH
}

/// Which node gave out `id`.
pub fn node_of(id: u64) -> u16 {
    (id >> COUNTER_BITS) as u16 & (NODES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = EPOCH + 1_000_000;

    #[test]
    fn a_millisecond_holds_4096_ids() {
        let mut generator = Generator::new(1023);
        let ids: Vec<u64> = (0..4096).map(|_| generator.next(NOW).unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(generator.next(NOW), Err(Unavailable::Exhausted));
        let next = generator.next(NOW + 1).unwrap();
        assert!(next > ids[4095]);
        assert_eq!((time_of(next), node_of(next)), (NOW + 1, 1023));
    }

    #[test]
    fn a_clock_that_steps_back_never_repeats() {
        let mut generator = Generator::new(0);
        let first = generator.next(NOW).unwrap();
        assert_eq!(generator.next(NOW - 250), Err(Unavailable::ClockBehind { behind_ms: 250 }));
        assert!(generator.next(NOW).unwrap() > first);
    }

    #[test]
    fn ids_go_on_after_those_of_an_earlier_run() {
        let mut generator = Generator::after(3, NOW);
        assert_eq!(generator.next(NOW - 1), Err(Unavailable::ClockBehind { behind_ms: 1 }));
        assert_eq!(generator.next(NOW), Err(Unavailable::Exhausted));
        assert_eq!(time_of(generator.next(NOW + 1).unwrap()), NOW + 1);
    }

    #[test]
    fn all_1024_nodes_differ() {
        let ids: std::collections::HashSet<u64> = (0..NODES).map(|node| Generator::new(node).next(NOW).unwrap()).collect();
        assert_eq!(ids.len(), 1024);
    }

    #[test]
    fn times_outside_the_range_are_refused() {
        let mut generator = Generator::new(5);
        for time in [0, EPOCH, EPOCH - 1, EPOCH + (1 << 41)] {
            assert_eq!(generator.next(time), Err(Unavailable::ClockOutOfRange));
        }
        assert!(generator.next(EPOCH + 1).unwrap() > 0, "0 stands for no id and is never given out");
    }
}
