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
    let next = arrival.max(now).saturating_add(interval.saturating_mul(u64::from(cost)));
    let ahead = next - now;
    match ahead.checked_sub(interval.saturating_mul(u64::from(burst))) {
        None | Some(0) => Ok(next),
        Some(too_far) => Err(too_far),
    }
}

/// One limit for one thing, such as a session: 8 bytes, without a lock.
#[derive(Debug, Default)]
pub struct Gcra {
    arrival: AtomicU64,
}

impl Gcra {
    /// Lets something that counts for `cost` through at the time `now`, if the last ones were not more than `burst` at once and `rate` a second after
    /// that. A `rate` of 0 is no limit. A clock that steps back only makes it stricter for a while.
    ///
    /// # Errors
    /// The number of milliseconds (at least 1) after which the next is let through.
    pub fn check(&self, now: Millis, rate: u32, burst: u32, cost: u32) -> Result<(), u64> {
        if rate == 0 {
            return Ok(());
        }
        let interval = 1_000_000 / u64::from(rate);
        let now = now.saturating_mul(1_000);
        let mut arrival = self.arrival.load(Ordering::Relaxed);
        loop {
            let next = step(arrival, now, interval, burst, cost).map_err(|micros| micros.div_ceil(1_000))?;
            match self.arrival.compare_exchange_weak(arrival, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => arrival = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    #[test]
    fn what_costs_more_takes_more() {
        let limit = Gcra::default();
        assert_eq!(limit.check(NOW, 10, 5, 4), Ok(()));
        assert_eq!(limit.check(NOW, 10, 5, 2), Err(100));
        assert_eq!(limit.check(NOW, 10, 5, 1), Ok(()));
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = Gcra::default();
        let taken = (0..100).filter(|_| limit.check(NOW, 10, 5, 1).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(limit.check(NOW, 10, 5, 1), Err(100));
        assert_eq!(limit.check(NOW + 99, 10, 5, 1), Err(1));
        assert_eq!(limit.check(NOW + 100, 10, 5, 1), Ok(()));
        let in_ten_seconds = (0..10_000).filter(|ms| limit.check(NOW + 101 + ms, 10, 5, 1).is_ok()).count();
        assert_eq!(in_ten_seconds, 100);
    }

    #[test]
    fn a_pause_gives_the_burst_back_and_no_more() {
        let limit = Gcra::default();
        let take = |now| (0..100).filter(|_| limit.check(now, 10, 5, 1).is_ok()).count();
        assert_eq!([take(NOW), take(NOW + 200), take(NOW + 3_600_000)], [5, 2, 5]);
    }

    #[test]
    fn threads_take_no_more_than_there_is() {
        let limit = Gcra::default();
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1_000).filter(|_| limit.check(NOW, 1, 500, 1).is_ok()).count())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }

    #[test]
    fn the_edges() {
        assert_eq!(Gcra::default().check(NOW, 0, 0, 1), Ok(()));
        assert!(Gcra::default().check(u64::MAX, 1, 1, 1).is_ok());
        let fast = Gcra::default();
        assert_eq!((0..3_000_000).filter(|_| fast.check(NOW, 1_000_000, 1_000, 1).is_ok()).count(), 1_000);
        assert_eq!(std::mem::size_of::<Gcra>(), 8);
    }
}
