//! When each of many connections says that it is there: spread evenly over the interval.

use std::time::{Duration, Instant};

/// Whose turn it is.
#[derive(Debug)]
pub struct Heartbeats {
    begun: Instant,
    interval: Duration,
    done: u64,
}

impl Heartbeats {
    /// Heartbeats that begin at `now`; each connection's come `interval` apart.
    pub fn new(now: Instant, interval: Duration) -> Self {
        Heartbeats { begun: now, interval, done: 0 }
    }

    /// Those of `count` connections whose turn has come since the last time. One that was busy for longer than the interval
    /// gives each its turn once.
    pub fn due(&mut self, now: Instant, count: u64) -> impl Iterator<Item = usize> + use<> {
        let intervals = now.saturating_duration_since(self.begun).as_secs_f64() / self.interval.as_secs_f64();
        let due = ((intervals * count as f64) as u64).max(self.done);
        let from = self.done.max(due.saturating_sub(count));
        self.done = due;
        (from..due).map(move |turn| (turn % count) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_once_in_an_interval() {
        let begun = Instant::now();
        let mut heartbeats = Heartbeats::new(begun, Duration::from_secs(45));
        let mut turns = [0; 7];
        for step in 0..=900 {
            for index in heartbeats.due(begun + Duration::from_millis(step * 100), 7) {
                turns[index] += 1;
            }
        }
        assert_eq!(turns, [2; 7]);
        assert_eq!(heartbeats.due(begun + Duration::from_secs(900), 7).count(), 7, "not what was missed long ago");
        assert_eq!(Heartbeats::new(begun, Duration::from_secs(1)).due(begun + Duration::from_secs(5), 0).count(), 0);
    }
}
