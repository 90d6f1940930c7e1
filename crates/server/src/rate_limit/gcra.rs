//! The generic cell rate algorithm (ITU-T I.371): a leaky bucket in one number.
//!
//! The number is the theoretical arrival time: when everything let through so far would have arrived at just the allowed
//! rate. It runs ahead of the clock by what was taken, and may be ahead by no more than a burst.

use std::sync::atomic::{AtomicU64, Ordering};

use banter_model::Millis;

/// Lets something that counts for `cost` through at `now`, when `arrival` is the theoretical arrival time. All in microseconds.
///
/// # Errors
/// How long until it would be let through.
pub fn step(arrival: u64, now: u64, interval: u64, burst: u32, cost: u32) -> Result<u64, u64> {
    let next = charged(arrival, now, interval, cost);
    let ahead = next - now;
    match ahead.checked_sub(interval.saturating_mul(u64::from(burst))) {
        None | Some(0) => Ok(next),
        Some(too_far) => Err(too_far),
    }
}

/// The theoretical arrival time after something that counts for `cost`.
fn charged(arrival: u64, now: u64, interval: u64, cost: u32) -> u64 {
    arrival.max(now).saturating_add(interval.saturating_mul(u64::from(cost)))
}

/// One limit for one thing, such as a session: 8 bytes, without a lock.
#[derive(Debug, Default)]
pub struct Gcra {
    arrival: AtomicU64,
}

impl Gcra {
    /// Takes something that counts for `cost` at the time `now`, and says how many milliseconds it has to wait, so that no more than `burst`
    /// go through at once and `rate` a second after that; 0 is at once. It is counted also while it waits: to be called for the next
    /// one when this one is through. A `rate` of 0 is no limit. A clock that steps back only makes it stricter for a while.
    pub fn take(&self, now: Millis, rate: u32, burst: u32, cost: u32) -> u64 {
        if rate == 0 {
            return 0;
        }
        let interval = 1_000_000 / u64::from(rate);
        let now = now.saturating_mul(1_000);
        let next = |arrival| charged(arrival, now, interval, cost);
        let before = self.arrival.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |arrival| Some(next(arrival)));
        let ahead = next(before.unwrap_or_else(|arrival| arrival)) - now;
        ahead.saturating_sub(interval.saturating_mul(u64::from(burst))).div_ceil(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    /// How many need not wait now.
    fn at_once(limit: &Gcra, now: Millis) -> usize {
        let mut count = 0;
        while step(limit.arrival.load(Ordering::Relaxed), now * 1_000, 100_000, 5, 1).is_ok() {
            assert_eq!(limit.take(now, 10, 5, 1), 0);
            count += 1;
        }
        count
    }

    #[test]
    fn what_costs_more_takes_more() {
        let limit = Gcra::default();
        assert_eq!(limit.take(NOW, 10, 5, 4), 0);
        assert_eq!(limit.take(NOW, 10, 5, 2), 100);
        assert_eq!(limit.take(NOW + 100, 10, 5, 1), 100, "the one that waited is counted");
        assert_eq!(limit.take(NOW + 200, 10, 5, 20), 2_000, "more than a burst");
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = Gcra::default();
        let mut now = NOW;
        let waits: Vec<u64> = (0..105)
            .map(|_| {
                let wait = limit.take(now, 10, 5, 1);
                now += wait;
                wait
            })
            .collect();
        assert_eq!(waits[..7], [0, 0, 0, 0, 0, 100, 100]);
        assert_eq!(now - NOW, 10_000, "each after its wait: ten a second");
    }

    #[test]
    fn a_pause_gives_the_burst_back_and_no_more() {
        let limit = Gcra::default();
        assert_eq!([NOW, NOW + 200, NOW + 3_600_000].map(|now| at_once(&limit, now)), [5, 2, 5]);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let limit = Gcra::default();
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| limit.take(NOW, 1, 500, 1) == 0).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }

    #[test]
    fn the_edges() {
        assert_eq!(Gcra::default().take(NOW, 0, 0, 1), 0);
        assert_eq!(Gcra::default().take(u64::MAX, 1, 1, 1), 0);
        let fast = Gcra::default();
        assert_eq!((0..3_000_000).filter(|_| fast.take(NOW, 1_000_000, 1_000, 1) == 0).count(), 1_000);
        assert_eq!(std::mem::size_of::<Gcra>(), 8);
    }
}
